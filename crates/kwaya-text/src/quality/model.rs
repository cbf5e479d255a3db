//! What the documents of one language say of it: which characters follow one
//! another, which words are frequent, which of those stand side by side, and
//! whether lines end as sentences do. Counts in tables of a fixed size, so
//! that memory does not grow with the corpus; sums in any order are the same.
//!
//! Every document is a part of what it is measured against. Counts are
//! therefore taken less one where they are asked: what stands in one place
//! only has been seen nowhere else.

use super::{
    characters::{BLANK, Character, NUMBER, SYMBOLS},
    words::{Reader, Word, mix, read},
};

/// Counters of words and of two words, by their hash.
const WORDS: usize = 1 << 14;
const PAIRS: usize = 1 << 17;

/// How much the characters before the last one weigh against how often the
/// two before it were seen.
const BACKOFF: f32 = 4.0;
/// A word is frequent when it makes this part of all words.
const FREQUENT: u64 = 500;
/// Added to what is seen and to what is expected of a pair of words.
const PAIR_PRIOR: f32 = 2.0;
/// Fewer pairs of frequent words say nothing about their order.
const PAIRS_MIN: u64 = 12;
/// Lines of so many bytes should end as sentences do, where a language has a
/// sign for that.
const LONG_LINE_BYTES: usize = 100;

/// The counts of one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    documents: u64,
    words: u64,
    pairs: u64,
    long_lines: u64,
    long_lines_ended: u64,
    /// Three symbols in a row, the last one fastest.
    triples: Vec<u32>,
    word: Vec<u32>,
    pair: Vec<u32>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            documents: 0,
            words: 0,
            pairs: 0,
            long_lines: 0,
            long_lines_ended: 0,
            triples: vec![0; SYMBOLS * SYMBOLS * SYMBOLS],
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
        for line in crate::clean::lines(text).filter(|line| line.len() >= LONG_LINE_BYTES) {
            self.long_lines += 1;
            self.long_lines_ended += u64::from(super::characters::ends_as_sentence(line));
        }
        read(text, &mut Learning { model: self, recent: Recent::default(), word: None });
    }

    /// As bytes, for [`Self::read`]: five sums (u64) and three tables (u32).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for sum in [self.documents, self.words, self.pairs, self.long_lines, self.long_lines_ended] {
            out.extend_from_slice(&sum.to_le_bytes());
        }
        [&self.triples, &self.word, &self.pair].into_iter().for_each(|table| super::write_counts(table, out));
    }

    /// What [`Self::write`] wrote; `None` where that is not what it is.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut model = Self::default();
        let Self { documents, words, pairs, long_lines, long_lines_ended, triples, word, pair } = &mut model;
        for sum in [documents, words, pairs, long_lines, long_lines_ended] {
            *sum = super::read_number(bytes)?;
        }
        for table in [triples, word, pair] {
            super::read_counts(table, bytes)?;
        }
        Some(model)
    }

    /// Adds what another has learned from other documents.
    pub fn merge(&mut self, other: &Self) {
        self.documents += other.documents;
        self.words += other.words;
        self.pairs += other.pairs;
        self.long_lines += other.long_lines;
        self.long_lines_ended += other.long_lines_ended;
        for (table, others) in
            [(&mut self.triples, &other.triples), (&mut self.word, &other.word), (&mut self.pair, &other.pair)]
        {
            table.iter_mut().zip(others).for_each(|(count, other)| *count = count.saturating_add(*other));
        }
    }
}

/// The counter of a hash in a table of `size`, a power of two.
#[inline]
fn slot(hash: u64, size: usize) -> usize {
    (hash >> (64 - size.trailing_zeros())) as usize
}

fn count(table: &mut [u32], slot: usize) {
    table[slot] = table[slot].saturating_add(1);
}

/// The last three characters, as symbols.
#[derive(Clone, Copy, Default)]
struct Recent(usize);

impl Recent {
    /// After one more character; `None` where it adds nothing: blanks in a
    /// row, digits in a row.
    #[inline]
    fn next(self, character: Character) -> Option<Self> {
        let symbol = character.symbol();
        let again = self.0 % SYMBOLS == symbol && (symbol == BLANK || symbol == NUMBER);
        (!again).then(|| self.letter(character))
    }

    /// After one more letter.
    #[inline]
    fn letter(self, character: Character) -> Self {
        Self((self.0 * SYMBOLS + character.symbol()) % (SYMBOLS * SYMBOLS * SYMBOLS))
    }
}

/// The counter of two words in a row.
fn pair_slot(first: u64, second: u64) -> usize {
    slot(mix(first.rotate_left(1) ^ second), PAIRS)
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
        if let Some(recent) = self.recent.next(character) {
            self.recent = recent;
            count(&mut self.model.triples, recent.0);
        }
    }

    #[inline]
    fn letter(&mut self, character: Character) {
        self.recent = self.recent.letter(character);
        count(&mut self.model.triples, self.recent.0);
    }

    #[inline]
    fn word(&mut self, word: Word<'a>) {
        self.model.words += 1;
        count(&mut self.model.word, slot(word.hash, WORDS));
        if let Some(before) = self.word.replace(word.hash) {
            self.model.pairs += 1;
            count(&mut self.model.pair, pair_slot(before, word.hash));
        }
    }
}

/// A model made ready to measure with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yardstick {
    model: Model,
    /// The bits of the last of three symbols, in 1/256.
    bits: Vec<u16>,
    /// For each counter of words, whether it is that of a frequent one.
    frequent: Vec<bool>,
}

impl Yardstick {
    /// For the language of `model`.
    pub fn new(model: Model) -> Self {
        let frequent = model.word.iter().map(|count| u64::from(*count) * FREQUENT > model.words).collect();
        Self { bits: bits(&model.triples), frequent, model }
    }

    /// What it was made of.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What it was made of, to learn more.
    pub fn into_model(self) -> Model {
        self.model
    }
}

/// The bits of the last of three symbols after the two before it: the counts
/// of three, two and one, each weighed against the next.
fn bits(triples: &[u32]) -> Vec<u16> {
    let (mut single, mut double) = (vec![0_u64; SYMBOLS], vec![0_u64; SYMBOLS * SYMBOLS]);
    for (triple, count) in triples.iter().enumerate() {
        single[triple % SYMBOLS] += u64::from(*count);
        double[triple % (SYMBOLS * SYMBOLS)] += u64::from(*count);
    }
    let all = single.iter().sum::<u64>() as f32;
    let less_one = |count: u64| count.saturating_sub(1) as f32;
    let bits = triples.chunks_exact(SYMBOLS).enumerate().flat_map(|(before, row)| {
        let seen = row.iter().map(|count| u64::from(*count)).sum::<u64>() as f32;
        let last = before % SYMBOLS;
        let (single, double) = (&single, &double);
        row.iter().enumerate().map(move |(symbol, count)| {
            let one = (single[symbol] as f32 + 0.1) / (all + 0.1 * SYMBOLS as f32);
            let two = (less_one(double[last * SYMBOLS + symbol]) + BACKOFF * one) / (single[last] as f32 + BACKOFF);
            let three = (less_one((*count).into()) + BACKOFF * two) / (seen + BACKOFF);
            (-log2(three)).clamp(0, i64::from(u16::MAX)) as u16
        })
    });
    bits.collect()
}

/// A text as it is measured.
pub(super) struct Measuring<'m> {
    yardstick: &'m Yardstick,
    recent: Recent,
    characters: u64,
    /// 1/256 bits.
    bits: u64,
    words: u64,
    frequent: u64,
    /// The word before, if it is frequent.
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
    pub(super) fn new(yardstick: &'m Yardstick) -> Self {
        Self {
            yardstick,
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
        if self.recent.next(character).is_some() {
            self.letter(character);
        }
    }

    #[inline]
    pub(super) fn letter(&mut self, letter: Character) {
        self.recent = self.recent.letter(letter);
        self.characters += 1;
        self.bits += u64::from(self.yardstick.bits[self.recent.0]);
    }

    #[inline]
    pub(super) fn word(&mut self, hash: u64) {
        self.words += 1;
        let frequent = self.yardstick.frequent[slot(hash, WORDS)];
        let before = std::mem::replace(&mut self.before, frequent.then_some(hash));
        if frequent {
            self.frequent += 1;
            if let Some(before) = before {
                self.pair(before, hash);
            }
        }
    }

    /// Two frequent words, as far as they would meet by chance at all, and
    /// more often than other pairs share their counter.
    fn pair(&mut self, first: u64, second: u64) {
        let model = &self.yardstick.model;
        let seen = |hash| model.word[slot(hash, WORDS)] as f32;
        let others = model.pairs as f32 / PAIRS as f32;
        let expected = seen(first) * seen(second) / model.words as f32;
        if expected < others.max(1.0) {
            return;
        }
        let found = model.pair[pair_slot(first, second)].saturating_sub(1) as f32;
        self.pairs += 1;
        self.order += log2(((found - others).max(0.0) + PAIR_PRIOR) / (expected + PAIR_PRIOR));
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
        let yardstick = Yardstick::new(model.clone());
        let mut both = Both(Measuring::new(&yardstick));
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
        let alien: String =
            (0..400_u32).filter_map(|i| char::from_u32(0x400 + mix(u64::from(i)) as u32 % 80)).collect();
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
