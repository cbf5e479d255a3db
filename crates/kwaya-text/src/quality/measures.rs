//! The figures of one document.

use serde::{Deserialize, Serialize};

use super::{
    Cleaned, Filter, WordLists, Yardstick,
    characters::{Character, Class, ends_as_sentence},
    filter::SCALE,
    model::Measuring,
    plain,
    repetition::{Grams, Parts},
    words::{Reader, Word, mix, read},
};

/// With fewer lines there is no share of them.
const LINES_MIN: u64 = 3;
/// FineWeb: lines of no more characters are short.
const SHORT_LINE: u64 = 30;

/// The figures of one document, one for each filter, in ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measures([u32; Filter::COUNT]);

/// No figure: the document has too little of what is measured, or there is
/// nothing to measure it against.
const NONE: u32 = u32::MAX;

impl Measures {
    /// The length of [`Self::to_bytes`].
    pub const BYTES: usize = 4 * Filter::COUNT;

    /// No figures: no filter finds fault with them.
    pub const fn none() -> Self {
        Self([NONE; Filter::COUNT])
    }

    /// The figures, little endian.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes.as_chunks_mut::<4>().0.iter_mut().zip(self.0).for_each(|(bytes, figure)| *bytes = figure.to_le_bytes());
        bytes
    }

    /// What [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let figures = bytes.as_chunks::<4>().0;
        Self(std::array::from_fn(|filter| u32::from_le_bytes(figures[filter])))
    }

    /// The figures of a text against the model of its language and the lists
    /// of the user.
    pub fn of(cleaned: &Cleaned<'_>, yardstick: Option<&Yardstick>, lists: &WordLists) -> Self {
        let text = cleaned.text.as_ref();
        let mut reading = Reading {
            words: Vec::with_capacity(text.len() / 5),
            measuring: yardstick.map(Measuring::new),
            ..Reading::default()
        };
        read(text, &mut reading);
        let lines = Lines::of(text);
        let words = reading.words.len() as u64;
        let grams = Grams::of(&reading.words, reading.characters);
        let likeness = reading.measuring.map(Measuring::done);
        let mut measures = Self::none();
        let mut set = |filter: Filter, figure: Option<u64>| {
            if let Some(figure) = figure {
                measures.0[filter as usize] = figure.min(u64::from(NONE - 1)) as u32;
            }
        };
        let each = |part: u64, of: u64| Some(part.saturating_mul(u64::from(SCALE)) / of.max(1));
        let before = text.len() as u64 + cleaned.removed_bytes;
        set(Filter::Boilerplate, each(cleaned.removed_bytes, before));
        set(Filter::FewWords, each(words, 1));
        set(Filter::FewSentences, each(reading.sentences + u64::from(reading.ending), 1));
        set(Filter::MeanWordLength, each(reading.word_characters, words).filter(|_| words > 0));
        set(Filter::Letters, each(reading.letters, reading.characters - reading.blanks));
        set(Filter::AlphabeticWords, each(reading.alphabetic, words));
        set(Filter::SymbolRatio, each(lines.hashes.max(lines.ellipses), words));
        let lines_count = lines.lines.repeated.parts;
        // Of one paragraph in one line such shares say nothing.
        let of_lines = |part: u64| each(part, lines_count).filter(|_| lines_count >= LINES_MIN);
        set(Filter::BulletLines, of_lines(lines.bullets));
        set(Filter::EllipsisLines, of_lines(lines.ended_by_ellipsis));
        set(Filter::CurlyBrackets, of_lines(lines.brackets));
        set(Filter::LoremIpsum, each(cleaned.lorem_ipsum.into(), 1));
        set(Filter::UnendedLines, each(lines.unended, lines_count));
        set(Filter::ShortLines, each(lines.short, lines_count));
        set(Filter::LineBreaks, each(lines_count.saturating_sub(1), words));
        let (line, paragraph) = (lines.lines.repeated, lines.paragraphs.repeated);
        set(Filter::DuplicateLines, each(line.duplicates, line.parts));
        set(Filter::DuplicateLineCharacters, each(line.characters, reading.characters));
        set(Filter::DuplicateParagraphs, each(paragraph.duplicates, paragraph.parts));
        set(Filter::DuplicateParagraphCharacters, each(paragraph.characters, reading.characters));
        set(Filter::TopNgram, Some(grams.top));
        set(Filter::DuplicateNgrams, Some(grams.duplicate));
        set(Filter::StopWords, likeness.map(|likeness| likeness.frequent));
        set(Filter::WordOrder, likeness.and_then(|likeness| likeness.order));
        set(Filter::Gibberish, likeness.map(|likeness| likeness.bits));
        set(Filter::WordList, each(lists.count(&reading.words), words).filter(|_| !lists.is_empty()));
        measures
    }

    pub(super) fn figure(&self, filter: Filter) -> Option<u32> {
        Some(self.0[filter as usize]).filter(|figure| *figure != NONE)
    }

    /// The figure of a filter, where there is one.
    pub fn get(&self, filter: Filter) -> Option<f64> {
        self.figure(filter).map(plain)
    }
}

/// Characters and words of a text.
#[derive(Default)]
struct Reading<'m> {
    measuring: Option<Measuring<'m>>,
    words: Vec<(u64, u32)>,
    characters: u64,
    blanks: u64,
    letters: u64,
    alphabetic: u64,
    word_characters: u64,
    sentences: u64,
    /// Whether a full stop waits for the blank after it.
    ending: bool,
}

impl<'a> Reader<'a> for Reading<'_> {
    #[inline]
    fn character(&mut self, character: Character) {
        let blank = character.class() == Class::Blank;
        self.characters += 1;
        self.blanks += u64::from(blank);
        self.letters += u64::from(character.is_letter());
        self.sentences += u64::from(self.ending && blank);
        self.ending = character.ends_sentence() || (self.ending && !blank && !character.is_letter());
        if let Some(measuring) = &mut self.measuring {
            measuring.character(character);
        }
    }

    #[inline]
    fn letter(&mut self, letter: Character) {
        self.characters += 1;
        self.letters += 1;
        self.ending = false;
        if let Some(measuring) = &mut self.measuring {
            measuring.letter(letter);
        }
    }

    #[inline]
    fn word(&mut self, word: Word<'a>) {
        self.words.push(word.key());
        self.alphabetic += u64::from(word.letters);
        self.word_characters += u64::from(word.characters);
        if let Some(measuring) = &mut self.measuring {
            measuring.word(word.hash);
        }
    }
}

/// Lines and paragraphs of a text. Empty lines are none.
#[derive(Default)]
struct Lines {
    lines: Parts,
    paragraphs: Parts,
    bullets: u64,
    ended_by_ellipsis: u64,
    brackets: u64,
    unended: u64,
    short: u64,
    hashes: u64,
    ellipses: u64,
}

impl Lines {
    fn of(text: &str) -> Self {
        let mut lines = Self::default();
        // Most texts have none of these, and one look at all of it is quick.
        let any_bracket = memchr::memchr2(b'{', b'}', text.as_bytes()).is_some();
        lines.hashes = memchr::memchr_iter(b'#', text.as_bytes()).count() as u64;
        let count = |sign: &str| memchr::memmem::find_iter(text.as_bytes(), sign).count() as u64;
        lines.ellipses = count("…") + count("...");
        let mut paragraph = (0, 0);
        for line in crate::clean::lines(text) {
            if line.is_empty() {
                lines.paragraph(&mut paragraph);
                continue;
            }
            // A line between parts, `* * *`, says nothing twice.
            if !line.bytes().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()) {
                continue;
            }
            let characters = line.bytes().filter(|byte| byte.cast_signed() >= -0x40).count() as u64;
            let hash = bytes_hash(line.as_bytes());
            lines.lines.add(hash, characters);
            paragraph = (mix(paragraph.0 ^ hash), paragraph.1 + characters);
            lines.bullets += u64::from(line.starts_with(['•', '-', '*', '‣', '▪', '●', '◦', '·']));
            let ellipsis = lines.ellipses > 0 && (line.ends_with("...") || line.ends_with('…'));
            lines.ended_by_ellipsis += u64::from(ellipsis);
            lines.brackets += u64::from(any_bracket && line.contains(['{', '}']));
            lines.unended += u64::from(!ends_as_sentence(line));
            lines.short += u64::from(characters <= SHORT_LINE);
        }
        lines.paragraph(&mut paragraph);
        lines
    }

    fn paragraph(&mut self, (hash, characters): &mut (u64, u64)) {
        if *characters > 0 {
            self.paragraphs.add(*hash, *characters);
        }
        (*hash, *characters) = (0, 0);
    }
}

/// A hash of eight bytes at a time, the same on every machine.
fn bytes_hash(bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = chunks.iter().chain([&last]).map(|chunk| u64::from_le_bytes(*chunk));
    let fold = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        ((product >> 64) as u64 ^ product as u64).wrapping_add(0x2545_f491_4f6c_dd1d)
    };
    mix(words.fold(bytes.len() as u64 ^ 0x243f_6a88_85a3_08d3, fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(text: &str) -> Measures {
        Measures::of(&Cleaned::untouched(text), None, &WordLists::default())
    }

    #[test]
    fn figures_are_those_of_the_rules() {
        let text =
            "Habari za leo.\n\n- ndizi 3\n- ndizi 3\n\nMvua... inanyesha {sana} leo asubuhi hapa kijijini…\n\n#moja 42";
        let measures = measure(text);
        for (filter, figure) in [
            (Filter::Boilerplate, Some(0.0)),
            (Filter::FewWords, Some(16.0)),
            (Filter::FewSentences, Some(3.0)),
            (Filter::MeanWordLength, Some(4.25)),
            (Filter::AlphabeticWords, Some(0.8125)),
            (Filter::SymbolRatio, Some(0.125)),
            (Filter::BulletLines, Some(0.4)),
            (Filter::EllipsisLines, Some(0.2)),
            (Filter::CurlyBrackets, Some(0.2)),
            (Filter::LoremIpsum, Some(0.0)),
            (Filter::UnendedLines, Some(0.6)),
            (Filter::ShortLines, Some(0.8)),
            (Filter::LineBreaks, Some(0.25)),
            (Filter::DuplicateLines, Some(0.2)),
            (Filter::DuplicateParagraphs, Some(0.0)),
            (Filter::StopWords, None),
            (Filter::WordList, None),
        ] {
            assert_eq!(measures.get(filter), figure, "{filter}");
        }
        let twice = measure("Habari ya asubuhi.\n\nNjema.\n\nHabari ya asubuhi.");
        assert_eq!(twice.get(Filter::DuplicateParagraphs), Some(0.3333));
        assert_eq!(twice.get(Filter::DuplicateParagraphCharacters), Some(0.3913));
    }

    #[test]
    fn lines_between_parts_are_none() {
        let measures = measure("Habari.\n\n* * *\n\nNjema.\n\n* * *\n\nAsante.\n\n* * *\n\nKaribu.");
        assert_eq!(measures.get(Filter::DuplicateLines), Some(0.0));
        assert_eq!(measures.get(Filter::LineBreaks), Some(0.75));
    }

    #[test]
    fn nothing_is_measured_of_nothing() {
        let measures = measure("");
        assert_eq!(measures.get(Filter::MeanWordLength), None);
        assert!(Filter::ALL.iter().all(|filter| measures.figure(*filter).unwrap_or(0) == 0));
    }

    #[test]
    fn lists_are_shares_of_the_words() {
        let mut lists = WordLists::default();
        lists.add("ndizi").unwrap();
        let measures = Measures::of(&Cleaned::untouched("Ndizi na maji na ndizi"), None, &lists);
        assert_eq!(measures.get(Filter::WordList), Some(0.4));
    }
}
