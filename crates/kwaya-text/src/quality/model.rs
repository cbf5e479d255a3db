//! What the documents of one language say of it: which characters follow one
//! another, which words are frequent, which of those stand side by side, and
//! whether lines end as sentences do. Counts in tables of a fixed size that
//! are addressed by hash, so that memory does not grow with the corpus, and
//! sums in any order are the same.
//!
//! Every document is a part of what it is measured against. Counts are
//! therefore taken less one where they are asked: what stands in one place
//! only has been seen nowhere else.

use super::{
    characters::{Character, Class},
    words::{Reader, Word, mix, read},
};

/// Counters of characters, of two, and of three that follow one another, and
/// of words and two words.
const SINGLES: usize = 1 << 12;
const DOUBLES: usize = 1 << 15;
const TRIPLES: usize = 1 << 16;
const WORDS: usize = 1 << 14;
const PAIRS: usize = 1 << 16;

/// How much the characters before the last one weigh against how often the
/// two before it were seen.
const BACKOFF: f32 = 4.0;
/// A word is frequent when it makes this part of all words.
const FREQUENT: u64 = 500;
/// Added to what is seen and to what is expected of a pair of words.
const PAIR_PRIOR: f32 = 2.0;
/// Fewer pairs of frequent words say nothing about their order.
const PAIRS_MIN: u64 = 20;
/// Lines of so many bytes should end as sentences do, where a language has a
/// sign for that.
const LONG_LINE_BYTES: usize = 100;

/// The counts of one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    documents: u64,
    characters: u64,
    words: u64,
    pairs: u64,
    long_lines: u64,
    long_lines_ended: u64,
    singles: Vec<u32>,
    doubles: Vec<u32>,
    triples: Vec<u32>,
    word: Vec<u32>,
    pair: Vec<u32>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            documents: 0,
            characters: 0,
            words: 0,
            pairs: 0,
            long_lines: 0,
            long_lines_ended: 0,
            singles: vec![0; SINGLES],
            doubles: vec![0; DOUBLES],
            triples: vec![0; TRIPLES],
            word: vec![0; WORDS],
            pair: vec![0; PAIRS],
        }
    }
}

impl Model {
    /// The documents that were learned from.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Whether most long lines end as sentences do.
    pub(super) fn ends_lines(&self) -> bool {
        2 * self.long_lines_ended > self.long_lines
    }

    /// Learns from a document.
    pub fn add(&mut self, text: &str) {
        self.documents += 1;
        for line in text.lines().filter(|line| line.len() >= LONG_LINE_BYTES) {
            self.long_lines += 1;
            self.long_lines_ended += u64::from(super::characters::ends_as_sentence(line));
        }
        read(text, &mut Learning { model: self, recent: Recent::default(), word: None });
    }

    /// Adds what another has learned from other documents.
    pub fn merge(&mut self, other: &Self) {
        self.documents += other.documents;
        self.characters += other.characters;
        self.words += other.words;
        self.pairs += other.pairs;
        self.long_lines += other.long_lines;
        self.long_lines_ended += other.long_lines_ended;
        for (table, others) in [
            (&mut self.singles, &other.singles),
            (&mut self.doubles, &other.doubles),
            (&mut self.triples, &other.triples),
            (&mut self.word, &other.word),
            (&mut self.pair, &other.pair),
        ] {
            table.iter_mut().zip(others).for_each(|(count, other)| *count = count.saturating_add(*other));
        }
    }

    /// Whether the word with this hash is frequent.
    fn is_frequent(&self, hash: u64) -> bool {
        u64::from(self.word[slot(hash, WORDS)]) * FREQUENT > self.words
    }
}

/// The counter of a hash in a table of `size`, a power of two.
#[inline]
fn slot(hash: u64, size: usize) -> usize {
    (hash >> (64 - size.trailing_zeros())) as usize
}

fn count(table: &mut [u32], hash: u64) {
    let slot = slot(hash, table.len());
    table[slot] = table[slot].saturating_add(1);
}

/// The last three characters, as the model sees them.
#[derive(Clone, Copy, Default)]
struct Recent([u64; 3]);

impl Recent {
    /// After one more character; `None` where it adds nothing: blanks in a
    /// row, digits in a row.
    #[inline]
    fn next(self, character: Character) -> Option<Self> {
        let (class, last) = (character.class(), self.0[2]);
        let symbol = match class {
            Class::Blank => u64::from(' '),
            Class::Number => u64::from('0'),
            _ => u64::from(character.small()),
        };
        let again = last == symbol && matches!(class, Class::Blank | Class::Number);
        (!again).then_some(Self([self.0[1], last, symbol]))
    }

    /// The hashes of the last one, two and three.
    #[inline]
    fn hashes(self) -> [u64; 3] {
        let [a, b, c] = self.0;
        let multiply = |x: u64| x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [multiply(c), multiply(b << 21 | c), multiply(a << 42 | b << 21 | c)]
    }

    /// The hash of the first two of three.
    #[inline]
    fn context(self) -> u64 {
        (self.0[0] << 21 | self.0[1]).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The hash of two words in a row.
fn pair_hash(first: u64, second: u64) -> u64 {
    mix(first.rotate_left(1) ^ second)
}

/// A text on its way into the counts.
struct Learning<'m> {
    model: &'m mut Model,
    recent: Recent,
    word: Option<u64>,
}

impl<'a> Reader<'a> for Learning<'_> {
    #[inline]
    fn character(&mut self, character: Character) {
        let Some(recent) = self.recent.next(character) else { return };
        self.recent = recent;
        let [single, double, triple] = recent.hashes();
        self.model.characters += 1;
        count(&mut self.model.singles, single);
        count(&mut self.model.doubles, double);
        count(&mut self.model.triples, triple);
    }

    fn word(&mut self, word: Word<'a>) {
        self.model.words += 1;
        count(&mut self.model.word, word.hash);
        if let Some(before) = self.word.replace(word.hash) {
            self.model.pairs += 1;
            count(&mut self.model.pair, pair_hash(before, word.hash));
        }
    }
}

/// A text as it is measured against a model.
pub(super) struct Measuring<'m> {
    model: &'m Model,
    recent: Recent,
    characters: u64,
    /// 1/256 bits.
    bits: u64,
    words: u64,
    frequent: u64,
    before: Option<u64>,
    pairs: u64,
    /// 1/256 bits.
    order: i64,
}

/// A text against a model, in ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Likeness {
    /// Bits for each character.
    pub(super) bits: u64,
    /// Words that are frequent, of all words.
    pub(super) frequent: u64,
    /// Bits by which the order of frequent words is likelier than chance,
    /// plus [`ORDER_ZERO`]; `None` when there are too few.
    pub(super) order: Option<u64>,
}

/// What stands for an order that chance could have made.
pub(super) const ORDER_ZERO: u64 = 100_000;

impl<'m> Measuring<'m> {
    pub(super) fn new(model: &'m Model) -> Self {
        Self {
            model,
            recent: Recent::default(),
            characters: 0,
            bits: 0,
            words: 0,
            frequent: 0,
            before: None,
            pairs: 0,
            order: 0,
        }
    }

    #[inline]
    pub(super) fn character(&mut self, character: Character) {
        let Some(recent) = self.recent.next(character) else { return };
        self.recent = recent;
        let [single, double, triple] = recent.hashes();
        let seen = |table: &[u32], hash| table[slot(hash, table.len())].saturating_sub(1) as f32;
        let model = self.model;
        let last = recent.0[1].wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let one = (seen(&model.singles, single) + 0.1) / (model.characters as f32 + 0.1 * SINGLES as f32);
        let two = (seen(&model.doubles, double) + BACKOFF * one) / (seen(&model.singles, last) + BACKOFF);
        let three = (seen(&model.triples, triple) + BACKOFF * two) / (seen(&model.doubles, recent.context()) + BACKOFF);
        self.characters += 1;
        // Collisions can make a likelihood of more than one.
        self.bits += u64::try_from(-log2(three.min(1.0))).unwrap_or(0);
    }

    #[inline]
    pub(super) fn word(&mut self, hash: u64) {
        let model = self.model;
        self.words += 1;
        let frequent = model.is_frequent(hash);
        self.frequent += u64::from(frequent);
        let Some(before) = std::mem::replace(&mut self.before, frequent.then_some(hash)) else { return };
        if !frequent {
            return;
        }
        let seen = |hash| model.word[slot(hash, WORDS)] as f32;
        let by_chance = model.pairs as f32 / PAIRS as f32;
        let expected = seen(before) * seen(hash) / model.words as f32;
        if expected < by_chance.max(1.0) {
            return;
        }
        let found = model.pair[slot(pair_hash(before, hash), PAIRS)].saturating_sub(1) as f32;
        self.pairs += 1;
        self.order += log2(((found - by_chance).max(0.0) + PAIR_PRIOR) / (expected + PAIR_PRIOR));
    }

    pub(super) fn done(self) -> Likeness {
        let share = |part: u64, of: u64| part * 10_000 / of.max(1);
        let order = |pairs: u64| ORDER_ZERO.saturating_add_signed(self.order * 10_000 / 256 / pairs.cast_signed());
        Likeness {
            bits: share(self.bits, self.characters) / 256,
            frequent: share(self.frequent, self.words),
            order: (self.pairs >= PAIRS_MIN).then(|| order(self.pairs)),
        }
    }
}

/// The logarithm to base 2 in 1/256, from the bits of the number alone, so
/// that it is the same everywhere: the exponent, and a table over the first
/// eight bits of the fraction.
#[inline]
fn log2(x: f32) -> i64 {
    let bits = x.to_bits();
    i64::from((bits >> 23) as i32 - 127) * 256 + i64::from(FRACTIONS[(bits >> 15 & 0xff) as usize])
}

/// `256 · log2(1 + (i + ½)/256)`, rounded down, by squaring.
const FRACTIONS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        // 1 + (i + ½)/256 in 1/2^31.
        let mut x: u64 = (1 << 31) + (2 * i as u64 + 1) * (1 << 22);
        let (mut bits, mut round) = (0_u8, 0);
        while round < 8 {
            x = (x * x) >> 31;
            bits <<= 1;
            if x >= 1 << 32 {
                x >>= 1;
                bits |= 1;
            }
            round += 1;
        }
        table[i] = bits;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: [&str; 5] = ["mkulima", "mwalimu", "mama", "mzee", "mtoto"];
    const THINGS: [&str; 6] = ["mahindi", "maji", "kitabu", "jembe", "samaki", "mbegu"];

    /// Sentences of one form.
    fn text(seed: u64) -> String {
        let pick = |words: &[&'static str], i: u64| words[(mix(seed * 977 + i) % words.len() as u64) as usize];
        let sentence = |i| {
            let (who, what, whose) = (pick(&PEOPLE, i), pick(&THINGS, i + 40), pick(&PEOPLE, i + 80));
            format!("{who} wa kijiji hiki alisema kuwa {what} ya {whose} ni mazuri.")
        };
        (0..12).map(sentence).collect::<Vec<_>>().join(" ")
    }

    fn measure(model: &Model, text: &str) -> Likeness {
        struct Both<'m>(Measuring<'m>);
        impl<'a> Reader<'a> for Both<'_> {
            fn character(&mut self, character: Character) {
                self.0.character(character);
            }
            fn word(&mut self, word: Word<'a>) {
                self.0.word(word.hash);
            }
        }
        let mut both = Both(Measuring::new(model));
        read(text, &mut both);
        both.0.done()
    }

    #[test]
    fn text_is_told_from_letters_and_from_words_without_order() {
        let mut model = Model::default();
        (0..200).for_each(|seed| model.add(&text(seed)));
        let good = measure(&model, &text(1000));
        let mut words: Vec<String> = text(1001).split(' ').map(str::to_owned).collect();
        words.sort_by_key(|word| mix(word.len() as u64 * 31 + u64::from(word.as_bytes()[0])));
        let mut shuffled: Vec<(u64, String)> = words.into_iter().zip(0..).map(|(word, i)| (mix(i), word)).collect();
        shuffled.sort();
        let shuffled: Vec<String> = shuffled.into_iter().map(|(_, word)| word).collect();
        let shuffled = measure(&model, &shuffled.join(" "));
        let letters: String = (0..800).map(|i| char::from(b'a' + (mix(i) % 26) as u8)).collect();
        let letters = measure(&model, &letters);
        assert!(good.bits * 3 < letters.bits, "{good:?} {letters:?}");
        assert!(good.order > Some(ORDER_ZERO + 5_000) && shuffled.order < Some(ORDER_ZERO), "{good:?} {shuffled:?}");
        assert!(good.frequent > 9_000 && letters.frequent == 0 && letters.order.is_none(), "{good:?} {letters:?}");
    }

    #[test]
    fn what_only_one_document_has_is_not_known() {
        let mut model = Model::default();
        (0..200).for_each(|seed| model.add(&text(seed)));
        let alien: String = (0..400_u32).filter_map(|i| char::from_u32(0x400 + mix(u64::from(i)) as u32 % 80)).collect();
        let before = measure(&model, &alien).bits;
        model.add(&alien);
        let after = measure(&model, &alien).bits;
        assert!(after > 3 * measure(&model, &text(1)).bits && after > before / 2, "{before} {after}");
    }

    #[test]
    fn merging_in_any_order_is_adding() {
        let (mut whole, mut odd, mut even) = (Model::default(), Model::default(), Model::default());
        for seed in 0..20 {
            whole.add(&text(seed));
            if seed % 2 == 0 { &mut even } else { &mut odd }.add(&text(seed));
        }
        let mut merged = odd.clone();
        merged.merge(&even);
        even.merge(&odd);
        assert!(merged == even && merged == whole);
    }

    #[test]
    fn logarithms_are_right() {
        for x in [1e-6_f32, 0.001, 0.37, 0.5, 0.999, 1.0, 1.5, 7.0, 1e6] {
            assert!((log2(x) as f64 / 256.0 - f64::from(x).log2()).abs() < 0.006, "{x}");
        }
    }
}
