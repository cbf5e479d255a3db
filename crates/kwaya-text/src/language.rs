//! Which of 139 languages a text is in: naive Bayes over byte n-grams
//! (Lui and Baldwin 2012) with the tables of py3langid, cut down to 600 KB.
//! `languages/make.py` makes them and says how; the sums are of whole numbers.

use std::{cmp::Reverse, sync::OnceLock};

/// The tables, in the format that `languages/make.py` describes.
const TABLES: &[u8] = include_bytes!("../languages/languages.bin");
/// N-grams have two bytes to this many.
const GRAM_BYTES_MAX: usize = 6;
/// So many values up to 93 can be added in 16 bits.
const SUM_ROWS: i32 = 700;
/// The part of a slot that is a row; there are fewer n-grams than this.
const ROW_MASK: u32 = (1 << 15) - 1;
/// Bits of the filter before the table of n-grams.
const FILTER_BITS: usize = 1 << 18;
/// What is looked at, at most: two pieces of half of this. More text changes
/// few answers and costs time.
const SAMPLE_BYTES: usize = 1024;
/// Scores are in this part of a nat.
const NAT: i32 = 512;
/// How much more likely than the best wanted language another has to be to
/// count as surely another. On news in seven languages, no text of 100 bytes
/// or more is that far from its own, and 95 of 100 are from each other.
const MARGIN: i32 = 20 * NAT;

/// What a detector says of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The language to file the text under.
    pub language: String,
    /// What the detector said.
    pub detected: String,
    /// Whether that is surely not one of the wanted languages.
    pub unwanted: bool,
}

/// Identifies texts, with some languages wanted.
pub struct Identifier {
    wanted: Vec<String>,
    unknown: Vec<String>,
}

impl Identifier {
    /// An identifier for texts that should be in `wanted`; empty for any.
    pub fn new(wanted: &[String]) -> Self {
        let unknown = wanted.iter().filter(|tag| !known(tag)).cloned().collect();
        Self { wanted: wanted.to_vec(), unknown }
    }

    /// The wanted languages that cannot be recognised. While there are any,
    /// no text is surely unwanted: the detector would name a neighbour.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The language of `text`, which its source says is in `declared`.
    pub fn identify(&self, text: &str, declared: Option<&str>) -> Verdict {
        let model = Model::get();
        let scores = model.scores(&sample(text));
        // Of equals the first.
        let likeliest = |wanted: &dyn Fn(&str) -> bool| {
            let scores = model.tags.iter().copied().zip(scores.iter().copied());
            scores.filter(|(tag, _)| wanted(tag)).min_by_key(|(_, score)| Reverse(*score))
        };
        let (detected, best) = likeliest(&|_| true).unwrap_or(("und", 0));
        let verdict = |language: &str, unwanted| Verdict {
            language: language.to_owned(),
            detected: detected.to_owned(),
            unwanted,
        };
        if self.wanted.is_empty() {
            return verdict(declared.unwrap_or(detected), false);
        }
        if self.wanted.iter().any(|tag| tag == detected) {
            return verdict(detected, false);
        }
        if let Some(first) = self.unknown.first() {
            let declared = declared.filter(|tag| self.wanted.iter().any(|w| w == tag));
            return verdict(declared.unwrap_or(first), false);
        }
        // None where nothing in the text tells of any.
        let (wanted, score) = likeliest(&|tag| self.wanted.iter().any(|w| w == tag)).unwrap_or(("und", best));
        if best - score > MARGIN { verdict(detected, true) } else { verdict(wanted, false) }
    }
}

/// Whether the detector can recognise the language `tag`.
pub fn known(tag: &str) -> bool {
    Model::get().tags.contains(&tag)
}

/// The tables as they are used. L languages, G n-grams.
struct Model {
    /// The code of each language (L); two have two scripts and occur twice.
    tags: Vec<&'static str>,
    /// Log prior (L), in parts of a nat.
    prior: Vec<i32>,
    /// Log likelihood of an n-gram that is rare in the language (L), in
    /// eighths of a nat.
    rare: Vec<i32>,
    /// log(1 + n) for n = 0 to 255, in 1/64.
    log_count: Vec<u16>,
    /// The n-gram of each row (G).
    grams: Vec<u64>,
    /// Where each n-gram is: open addressing, with one more than its row, and
    /// above that bits of its hash, so that another is seldom looked at; 0 is
    /// no n-gram.
    slots: Vec<u32>,
    /// A bit for the hash of every n-gram that is in `slots`: most n-grams of
    /// a text are not, and this fits in the cache next to the processor.
    filter: Box<[u64; FILTER_BITS / 64]>,
    /// Log likelihood above that of a rare n-gram (G, L), in eighths of a nat.
    above: Vec<u8>,
}

impl Model {
    fn get() -> &'static Self {
        static MODEL: OnceLock<(Vec<u8>, OnceLock<Model>)> = OnceLock::new();
        let (bytes, model) = MODEL
            .get_or_init(|| (zstd::decode_all(TABLES).expect("the tables are part of the program"), OnceLock::new()));
        model.get_or_init(|| Self::of(bytes))
    }

    fn of(mut bytes: &'static [u8]) -> Self {
        let mut take = |count: usize| bytes.split_off(..count).expect("the tables are whole");
        let mut number = || u32::from_le_bytes(take(4).try_into().expect("four bytes")) as usize;
        let (languages, grams, tags) = (number(), number(), number());
        let tags = str::from_utf8(take(tags)).expect("tags are ASCII").split(',').collect();
        let numbers = |bytes: &[u8]| bytes.as_chunks().0.iter().copied().map(i32::from_le_bytes).collect();
        let (prior, rare) = (numbers(take(4 * languages)), numbers(take(4 * languages)));
        let log_count = take(2 * 256).as_chunks().0.iter().copied().map(u16::from_le_bytes).collect();
        let grams: Vec<u64> = take(8 * grams).as_chunks().0.iter().copied().map(u64::from_le_bytes).collect();
        let mut filter = Box::new([0; FILTER_BITS / 64]);
        for gram in &grams {
            let bit = filter_bit(*gram);
            filter[bit / 64] |= 1 << (bit % 64);
        }
        let above = take(grams.len() * languages).to_vec();
        let slots = vec![0; (2 * grams.len()).next_power_of_two()];
        let mut model = Self { tags, prior, rare, log_count, grams, slots, filter, above };
        for row in 0..model.grams.len() {
            let gram = model.grams[row];
            let Err(free) = model.find(gram) else { panic!("the tables name {gram:x} twice") };
            model.slots[free] = check_bits(gram) | (row as u32 + 1);
        }
        model
    }

    /// The row of `gram`, or the slot that it would be put in.
    fn find(&self, gram: u64) -> std::result::Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = (hash(gram) >> 31) as usize & mask;
        loop {
            let found = self.slots[slot];
            if found == 0 {
                return Err(slot);
            }
            let row = (found & ROW_MASK) - 1;
            if found & !ROW_MASK == check_bits(gram) && self.grams[row as usize] == gram {
                return Ok(row);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The score of every language (L); empty when the text has no n-gram that
    /// is known.
    fn scores(&self, text: &str) -> Vec<i32> {
        let rows = self.rows(text.as_bytes());
        if rows.is_empty() {
            return Vec::new();
        }
        let languages = self.tags.len();
        let mut counts = vec![0_u8; self.above.len() / languages];
        for &row in &rows {
            counts[row as usize] = counts[row as usize].saturating_add(1);
        }
        // Most n-grams occur once: their rows are added before they are weighed.
        let (mut once, mut sums) = (0, vec![0_u16; languages]);
        let mut scores = Scores { total: 0, sums: vec![0; languages] };
        for row in rows {
            let above = &self.above[row as usize * languages..][..languages];
            match std::mem::take(&mut counts[row as usize]) {
                0 => {}
                1 => {
                    sums.iter_mut().zip(above).for_each(|(sum, &above)| *sum += u16::from(above));
                    once += 1;
                    if once == SUM_ROWS {
                        scores.add(self.log_count[1], once, sums.iter().copied());
                        (once, sums) = (0, vec![0; languages]);
                    }
                }
                count => scores.add(self.log_count[count as usize], 1, above.iter().copied().map(u16::from)),
            }
        }
        scores.add(self.log_count[1], once, sums.iter().copied());
        let constants = self.prior.iter().zip(&self.rare).map(|(prior, rare)| prior + scores.total * rare);
        scores.sums.iter().zip(constants).map(|(sum, constant)| sum + constant).collect()
    }

    /// The row of the longest n-gram that ends at each byte, where there is
    /// one.
    fn rows(&self, text: &[u8]) -> Vec<u32> {
        // First the filter, which the processor takes without a guess, then
        // the table: its reads do not wait for each other.
        let mut candidates = Vec::with_capacity(text.len());
        let mut recent = 0_u64;
        for (before, &byte) in text.iter().enumerate() {
            // The last bytes, the latest one highest.
            recent = recent >> 8 | u64::from(byte) << 56;
            let mut lengths = 0_u32;
            for length in 2..=GRAM_BYTES_MAX {
                let bit = filter_bit(gram(recent, length));
                let known = (self.filter[bit / 64] >> (bit % 64)) as u32 & 1;
                lengths |= (known * u32::from(length <= before + 1)) << length;
            }
            candidates.push((recent, lengths));
        }
        let mut rows = Vec::with_capacity(text.len());
        for (recent, mut lengths) in candidates {
            while lengths > 0 {
                let length = lengths.ilog2();
                lengths -= 1 << length;
                if let Ok(row) = self.find(gram(recent, length as usize)) {
                    rows.push(row);
                    break;
                }
            }
        }
        rows
    }
}

/// Weighed sums of rows on their way.
struct Scores {
    /// Of the weights.
    total: i32,
    sums: Vec<i32>,
}

impl Scores {
    /// Adds `weight` times the `values`, which are the sum of so many `rows`.
    fn add(&mut self, weight: u16, rows: i32, values: impl Iterator<Item = u16>) {
        self.total += i32::from(weight) * rows;
        self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += i32::from(weight) * i32::from(value));
    }
}

/// The n-gram of the `length` highest bytes of `recent`, as the tables have it.
fn gram(recent: u64, length: usize) -> u64 {
    (length as u64) << 56 | recent >> (64 - 8 * length)
}

fn hash(gram: u64) -> u64 {
    gram.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The bit of the filter for `gram`.
fn filter_bit(gram: u64) -> usize {
    (hash(gram) >> 40) as usize % FILTER_BITS
}

/// What a slot has of the hash of `gram`.
fn check_bits(gram: u64) -> u32 {
    (hash(gram) >> 32) as u32 & !ROW_MASK
}

/// A piece from the start and one from the middle; what is all in capitals is
/// made small, as the tables were made from running text.
fn sample(text: &str) -> String {
    let sample = pieces(text);
    if sample.chars().any(char::is_lowercase) { sample } else { sample.to_lowercase() }
}

fn pieces(text: &str) -> String {
    if text.len() <= SAMPLE_BYTES {
        return text.to_owned();
    }
    let half = SAMPLE_BYTES / 2;
    let middle = text.floor_char_boundary(text.len() / 2);
    let (first, second) = (&text[..text.floor_char_boundary(half)], &text[middle..]);
    format!("{first}\n{}", &second[..second.floor_char_boundary(half)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWAHILI: &str = "Serikali imesema kuwa wakulima watapata mbegu mpya kabla ya msimu wa mvua kuanza.";
    const ENGLISH: &str = "The government said that farmers will receive new seeds before the rainy season begins.";
    const YORUBA: &str = "Ìjọba ti sọ pé àwọn àgbẹ̀ yóò gba irúgbìn tuntun kí òjò tó bẹ̀rẹ̀.";

    fn identify(wanted: &[&str], text: &str, declared: Option<&str>) -> Verdict {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        Identifier::new(&wanted).identify(text, declared)
    }

    #[test]
    fn another_language_is_unwanted() {
        assert_eq!(identify(&["sw"], SWAHILI, None).language, "sw");
        assert!(identify(&["sw"], ENGLISH, None).unwanted);
        assert!(!identify(&["sw", "en"], ENGLISH, None).unwanted);
    }

    #[test]
    fn the_languages_of_the_first_makers_are_known() {
        for tag in ["sw", "yo", "so", "ig", "xh", "lg", "ha", "am", "ki", "rw", "zu", "en", "fr", "km", "lo", "qu"] {
            assert!(known(tag), "{tag}");
        }
        assert_eq!(identify(&["yo", "ig"], YORUBA, None).language, "yo");
        assert_eq!(identify(&[], &SWAHILI.to_uppercase(), None).language, "sw");
    }

    /// `make.py` has the same scores from the same tables in floating point,
    /// with none of this code.
    #[test]
    fn scores_are_those_of_the_reference() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../languages/golden.json")).unwrap();
        for case in golden.as_array().unwrap() {
            let model = Model::get();
            let scores = model.scores(case["text"].as_str().unwrap());
            let mut ranking: Vec<_> = model.tags.iter().copied().zip(scores).collect();
            ranking.sort_by_key(|&(_, score)| Reverse(score));
            for (place, expected) in case["ranking"].as_array().unwrap().iter().enumerate() {
                let (tag, score) = ranking[place];
                let expected_score = expected[1].as_f64().unwrap();
                assert_eq!(tag, expected[0]);
                // Logarithms are rounded to 1/64 on each side of zero.
                let found = f64::from(score) / f64::from(NAT);
                assert!(
                    (found - expected_score).abs() < 0.01 * expected_score.abs(),
                    "{tag}: {found} {expected_score}"
                );
            }
        }
    }

    #[test]
    fn what_no_table_knows_is_undetermined() {
        for text in ["", "1", "\u{10ffff}\u{10fffe}"] {
            assert_eq!(identify(&[], text, None).language, "und", "{text:?}");
            assert_eq!(identify(&[], text, Some("bem")).language, "bem", "{text:?}");
            assert!(!identify(&["sw"], text, None).unwanted, "{text:?}");
        }
    }

    #[test]
    fn a_language_that_the_detector_does_not_know_is_never_unwanted() {
        let verdict = identify(&["sw", "bem"], YORUBA, Some("bem"));
        assert_eq!((verdict.language.as_str(), verdict.unwanted), ("bem", false));
        assert_eq!(Identifier::new(&["sw".into(), "bem".into()]).unknown(), ["bem"]);
    }
}
