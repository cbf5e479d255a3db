//! The tables of all languages, and what they make of a text. The format is
//! described in `languages/train.py`, which makes them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{grams, learn::Learned, tags, words::Words};

const TABLES: &[u8] = include_bytes!("../../languages/languages.bin");

/// An n-gram scores at most so much, in half nats.
pub(super) const SCORE_MAX: u8 = 15;
const SCORE_BITS: u32 = 4;
/// Bits of the filter before the table of n-grams: most n-grams of a text are
/// not there, and this fits in the cache of one processor.
const FILTER_BITS: u32 = 21;

/// The tables as they are used. L languages.
pub(super) struct Model {
    /// The tag of each language (L), in order.
    pub(super) tags: Vec<String>,
    /// Other names of tags: `swa` is `sw`.
    pub(super) others: Arc<BTreeMap<String, String>>,
    /// What an n-gram of a text in the language scores (L), in 1/256 half nat.
    typical: Vec<u16>,
    /// The score of an empty text (L), in half nats.
    prior: Vec<u8>,
    /// Where each n-gram is: open addressing, with its hash and where its
    /// entries begin; 0 is no n-gram.
    slots: Vec<(u32, u32)>,
    /// A bit for every n-gram that is in `slots`.
    filter: Vec<u64>,
    /// For each n-gram how many entries follow; each is a language, and in
    /// the lowest bits what it scores. One without entries is common to so
    /// many languages that it counts for none.
    entries: Vec<u16>,
    /// A text is unknown where q^3 m is below this, and in its nearest
    /// language with x / (x + half), x = q^2 m.
    unknown: f64,
    half: f64,
    /// What words score, of each thread that does not look at a text now.
    words: Mutex<Vec<Words>>,
}

/// An n-gram on its way through the tables.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    hash: u32,
    /// The first slot that it may be in, then with where its entries begin.
    slot: (u32, u32),
    entries: u16,
}

/// What the tables say of a text.
pub(super) struct Scores {
    /// For each language (L), in half nats.
    pub(super) of: Vec<i32>,
    /// N-grams of the text, known or not.
    pub(super) grams: u32,
}

/// The nearest language and how near it is.
pub(super) struct Nearest {
    pub(super) language: usize,
    pub(super) known: bool,
    pub(super) percent: u8,
}

impl Model {
    /// Of the languages that the program knows by itself.
    pub(super) fn shared() -> Arc<Self> {
        static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
        MODEL.get_or_init(|| Arc::new(Self::of(&tables(), &[]))).clone()
    }

    /// With languages that were learned besides; each takes the place of one
    /// with the same tag.
    pub(super) fn with(learned: &[Learned]) -> Arc<Self> {
        if learned.is_empty() { Self::shared() } else { Arc::new(Self::of(&tables(), learned)) }
    }

    fn of(mut bytes: &[u8], learned: &[Learned]) -> Self {
        let mut take = |count: usize| bytes.split_off(..count).expect("the tables are whole");
        let mut number = || u32::from_le_bytes(take(4).try_into().expect("four bytes")) as usize;
        let (languages, rows, count, unknown, half) = (number(), number(), number(), number(), number());
        let mut text = |_| {
            let length = u32::from_le_bytes(take(4).try_into().expect("four bytes")) as usize;
            str::from_utf8(take(length)).expect("tags are ASCII")
        };
        let [tags, others] = [(), ()].map(&mut text);
        let mut tags: Vec<String> = tags.split(',').map(str::to_owned).collect();
        let others = others.split(',').filter_map(|pair| pair.split_once('='));
        let others = Arc::new(others.map(|(a, b)| (a.to_owned(), b.to_owned())).collect());
        let mut typical: Vec<u16> = take(2 * languages).as_chunks().0.iter().copied().map(u16::from_le_bytes).collect();
        let mut prior = take(languages).to_vec();
        let hashes = [take(rows), take(rows), take(rows), take(rows)];
        let lengths = take(rows);
        let steps = [take(count), take(count)];
        let scores = take(count);

        // Entries of learned languages, by n-gram.
        let mut more: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        let mut replaced = HashSet::new();
        for language in learned {
            let column = tags.iter().position(|tag| *tag == language.tag).unwrap_or(tags.len());
            if column == tags.len() {
                tags.push(language.tag.clone());
                typical.push(0);
                prior.push(0);
            } else {
                replaced.insert(column as u16);
            }
            (typical[column], prior[column]) = (language.typical, 0);
            for (gram, score) in &language.grams {
                more.entry(grams::hash(gram)).or_default().push(entry(column as u16, *score));
            }
        }

        let mut table = Table::new(rows + more.len(), count + rows);
        let (mut hash, mut at) = (0_u32, 0);
        for row in 0..rows {
            let step = u32::from_le_bytes([hashes[0][row], hashes[1][row], hashes[2][row], hashes[3][row]]);
            hash = hash.wrapping_add(step);
            let start = table.begin(hash);
            let mut language = 0;
            let end = at + usize::from(lengths[row]);
            for at in at..end {
                language += u16::from_le_bytes([steps[0][at], steps[1][at]]);
                if replaced.is_empty() || !replaced.contains(&language) {
                    table.entries.push(entry(language, scores[at]));
                }
            }
            at = end;
            // What is common to many languages counts for none that is learned.
            if let Some(learned) = more.remove(&hash).filter(|_| lengths[row] > 0) {
                table.entries.extend(learned);
            }
            table.end(start);
        }
        for (hash, entries) in more {
            let start = table.begin(hash);
            table.entries.extend(entries);
            table.end(start);
        }
        let Table { slots, filter, entries } = table;
        // Exact: powers of two.
        let (unknown, half) = (unknown as f64 / 4_294_967_296.0, half as f64 / 65536.0);
        Self { tags, others, typical, prior, slots, filter, entries, unknown, half, words: Mutex::default() }
    }

    /// What each language scores on a text that begins nothing: without what
    /// an empty text scores.
    pub(super) fn sums(&self, text: &str) -> Scores {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut words = words.unwrap_or_else(|| Words::new(self.tags.len()));
        let mut scores = Scores { of: vec![0; self.tags.len()], grams: 0 };
        grams::words(&grams::folded(text)).for_each(|word| words.add(self, word, &mut scores));
        self.words.lock().unwrap_or_else(PoisonError::into_inner).push(words);
        scores
    }

    /// Calls `add` with each language that an n-gram of a folded text tells of,
    /// and what it scores; gives how many n-grams there are, known or not.
    pub(super) fn look_up(&self, folded: &[u32], found: &mut Vec<Found>, mut add: impl FnMut(usize, u16)) -> u32 {
        // The tables do not fit in the nearest caches. First the filter, then the
        // slots, then the entries: reads of one kind do not wait for each other, and
        // no branch waits for one.
        let most = folded.len() * grams::GRAM_MAX;
        found.resize(most.max(found.len()), Found::default());
        let (mut count, mut grams) = (0, 0);
        grams::each(folded, |hash, _, _| {
            found[count].hash = hash;
            let bit = filter_bit(hash);
            count += (self.filter[bit / 64] >> (bit % 64)) as usize & 1;
            grams += 1;
        });
        let found = &mut found[..count];
        for gram in &mut *found {
            gram.slot = self.slots[slot(gram.hash, self.slots.len())];
        }
        for Found { hash, slot: (other, start), .. } in &mut *found {
            if hash != other {
                *start = self.start(*hash);
            }
        }
        for Found { slot: (_, start), entries, .. } in &mut *found {
            *entries = self.entries[*start as usize];
        }
        for &Found { slot: (_, start), entries, .. } in &*found {
            for entry in &self.entries[start as usize + 1..][..usize::from(entries)] {
                add(usize::from(entry >> SCORE_BITS), entry & ((1 << SCORE_BITS) - 1));
            }
        }
        grams
    }

    /// As [`Model::sums`], with what an empty text scores.
    pub(super) fn scores(&self, text: &str) -> Scores {
        let mut scores = self.sums(text);
        scores.of.iter_mut().zip(&self.prior).for_each(|(score, &prior)| *score += i32::from(prior));
        scores
    }

    /// Where the entries of an n-gram begin, 0 for one that is not known.
    fn start(&self, hash: u32) -> u32 {
        let mask = self.slots.len() - 1;
        let mut slot = slot(hash, self.slots.len());
        loop {
            let (found, start) = self.slots[slot & mask];
            if start == 0 || found == hash {
                return start;
            }
            slot += 1;
        }
    }

    /// The entries that begin at `start`; none at 0.
    fn entries(&self, start: u32) -> &[u16] {
        let start = start as usize;
        &self.entries[start + 1..][..usize::from(self.entries[start])]
    }

    /// What an n-gram scores in the languages that have it; `None` where it is
    /// common to so many that it counts for none.
    pub(super) fn scores_of_gram(&self, hash: u32) -> Option<Vec<u8>> {
        let start = self.start(hash);
        let entries = self.entries(start);
        let scores = entries.iter().map(|entry| (entry & ((1 << SCORE_BITS) - 1)) as u8);
        (start == 0 || !entries.is_empty()).then(|| scores.collect())
    }

    /// The language that scores most, of equals the first; `None` where
    /// nothing in the text tells of any.
    pub(super) fn nearest(&self, scores: &Scores) -> Option<Nearest> {
        let best = (0..scores.of.len()).max_by_key(|&language| (scores.of[language], std::cmp::Reverse(language)))?;
        (scores.of[best] > i32::from(self.prior[best])).then(|| self.judge(scores, best))
    }

    /// How near `language` is. q is how much of what is typical of it the
    /// text scores, m how much less the next language does: differences grow
    /// as the text does, their noise as its square root.
    pub(super) fn judge(&self, scores: &Scores, language: usize) -> Nearest {
        let own = scores.of[language];
        let next = scores.of.iter().enumerate().filter(|(other, _)| *other != language).map(|(_, score)| *score).max();
        let grams = f64::from(scores.grams.max(1));
        let q = 256.0 * f64::from(own) / (grams * f64::from(self.typical[language].max(1)));
        let m = f64::from((own - next.unwrap_or(0)).max(0)) / grams.sqrt();
        let square = q * q;
        let known = square * q * m >= self.unknown;
        let x = square * m;
        let right = x / (x + self.half);
        let percent = (100.0 * if known { right } else { 1.0 - right }) as u8;
        Nearest { language, known, percent }
    }

    /// The languages that `tag` means.
    pub(super) fn languages(&self, tag: &str) -> Vec<usize> {
        let tag = tags::Tag::of(tag, &self.others);
        (0..self.tags.len()).filter(|&language| tag.means(&self.tags[language])).collect()
    }
}

fn tables() -> Vec<u8> {
    zstd::decode_all(TABLES).expect("the tables are part of the program")
}

fn entry(language: u16, score: u8) -> u16 {
    language << SCORE_BITS | u16::from(score.min(SCORE_MAX))
}

/// The n-grams on their way into the tables.
struct Table {
    slots: Vec<(u32, u32)>,
    filter: Vec<u64>,
    entries: Vec<u16>,
}

impl Table {
    fn new(grams: usize, entries_about: usize) -> Self {
        let slots = vec![(0, 0); (3 * grams / 2).next_power_of_two()];
        let mut entries = Vec::with_capacity(entries_about + 1);
        // The first entry is of no n-gram, so that 0 can mean none.
        entries.push(0);
        Self { slots, filter: vec![0; 1 << (FILTER_BITS - 6)], entries }
    }

    /// Begins an n-gram, whose entries are pushed next.
    fn begin(&mut self, hash: u32) -> usize {
        let start = self.entries.len();
        self.entries.push(0);
        let bit = filter_bit(hash);
        self.filter[bit / 64] |= 1 << (bit % 64);
        let mut slot = slot(hash, self.slots.len());
        while self.slots[slot].1 != 0 {
            slot = (slot + 1) % self.slots.len();
        }
        self.slots[slot] = (hash, start as u32);
        start
    }

    /// Ends the n-gram that began at `start`.
    fn end(&mut self, start: usize) {
        self.entries[start] = (self.entries.len() - start - 1) as u16;
    }
}

fn filter_bit(hash: u32) -> usize {
    (hash.wrapping_mul(0xc2b2_ae35) >> (32 - FILTER_BITS)) as usize
}

/// Where an n-gram is looked for first; `slots` is a power of two.
fn slot(hash: u32, slots: usize) -> usize {
    ((u64::from(hash.wrapping_mul(0x85eb_ca6b)) * slots as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `train.py` has the same scores, with none of this code.
    #[test]
    fn scores_are_those_of_the_reference() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../languages/golden.json")).expect("golden.json is JSON");
        let model = Model::shared();
        for case in golden.as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let scores = model.scores(text);
            assert_eq!(u64::from(scores.grams), case["grams"], "{text}");
            let mut ranking: Vec<_> = model.tags.iter().zip(&scores.of).collect();
            ranking.sort_by_key(|&(_, score)| std::cmp::Reverse(score));
            for (place, expected) in case["ranking"].as_array().unwrap().iter().enumerate() {
                assert_eq!(
                    (ranking[place].0.as_str(), i64::from(*ranking[place].1)),
                    (expected[0].as_str().unwrap(), expected[1].as_i64().unwrap()),
                    "{text}"
                );
            }
        }
    }
}
