//! Words and sentences by Unicode's rules (annex 29), and by dictionaries
//! where a script does not part words: Thai, Lao, Khmer, Burmese, Chinese,
//! Japanese. Where it does, one pass over the characters finds the words that
//! `icu_segmenter` finds, several times as fast; a test compares the two.

use std::sync::OnceLock;

use icu_segmenter::{
    SentenceSegmenter, WordSegmenter, WordSegmenterBorrowed,
    options::{SentenceBreakInvariantOptions, WordBreakInvariantOptions},
};

use super::characters::{Character, Class, Table};

/// A run of letters without blanks is cut after so many bytes before the
/// dictionary is asked, whose search takes memory by the length.
const RUN_BYTES_MAX: usize = 4096;

/// A word of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// As it stands there.
    pub text: &'a str,
    /// Of its small letters; the same on every machine.
    pub hash: u64,
    /// How many characters it has.
    pub characters: u32,
    /// Whether it has a letter: a number has none.
    pub letters: bool,
}

/// What looks at a text, character by character and word by word.
pub(super) trait Reader<'a> {
    /// The next character.
    fn character(&mut self, character: Character);
    /// The same, where it is known to be a letter of a script that parts
    /// words: most characters are.
    fn letter(&mut self, character: Character) {
        self.character(character);
    }
    /// The next word, after its characters.
    fn word(&mut self, word: Word<'a>);
}

impl<'a> Reader<'a> for Vec<Word<'a>> {
    fn character(&mut self, _: Character) {}
    fn word(&mut self, word: Word<'a>) {
        self.push(word);
    }
}

/// The words of `text`, numbers among them, without punctuation.
pub fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    read(text, &mut words);
    words
}

/// The sentences of `text`, with the blanks after them.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let ends = SentenceSegmenter::new(SentenceBreakInvariantOptions::default()).segment_str(text).skip(1);
    ends.map(move |end| &text[std::mem::replace(&mut start, end)..end])
}

/// Takes `reader` through `text`.
pub(super) fn read<'a>(text: &'a str, reader: &mut impl Reader<'a>) {
    let table = Table::get();
    let mut rest = text;
    while !rest.is_empty() {
        let parted = read_parted(rest, table, reader);
        rest = &rest[parted..];
        let unparted = run(rest, table);
        read_unparted(&rest[..unparted], table, reader);
        rest = &rest[unparted..];
    }
}

/// Reads up to the first letter that needs a dictionary; where that is.
fn read_parted<'a>(text: &'a str, table: &Table, reader: &mut impl Reader<'a>) -> usize {
    let mut word = Building::default();
    let mut at = 0;
    while let Some((character, length)) = table.at(text, at) {
        match character.class() {
            Class::Letter => {
                // Most of a text is letters after letters.
                word.start(at);
                at += length;
                word.letter(character);
                reader.letter(character);
                while let Some((character, length)) = table.at(text, at).filter(|(next, _)| next.is_plain_letter()) {
                    at += length;
                    word.letter(character);
                    reader.letter(character);
                }
                word.letters = true;
                word.content = true;
                word.last = Class::Letter;
                continue;
            }
            class @ (Class::Number | Class::Join) => word.add(at, character, class),
            Class::Mark if word.characters > 0 => word.add(at, character, word.last),
            class @ (Class::MidLetter | Class::MidNumber | Class::MidBoth) => {
                let next = table.at(text, at + length).map_or(Class::Other, |(next, _)| next.class());
                if joins(word.last, class, next) {
                    word.add(at, character, class);
                } else {
                    word.end(text, at, reader);
                }
            }
            Class::Dictionary => {
                word.end(text, at, reader);
                return at;
            }
            Class::Mark | Class::Other | Class::Blank => word.end(text, at, reader),
        }
        at += length;
        reader.character(character);
    }
    word.end(text, text.len(), reader);
    text.len()
}

/// Whether a character of the class `middle` joins what is before and after.
fn joins(before: Class, middle: Class, after: Class) -> bool {
    match middle {
        Class::MidLetter => before == Class::Letter && after == Class::Letter,
        Class::MidNumber => before == Class::Number && after == Class::Number,
        _ => before == after && matches!(before, Class::Letter | Class::Number),
    }
}

/// A word on its way.
struct Building {
    start: usize,
    hash: u64,
    characters: u32,
    letters: bool,
    /// Something other than `_`.
    content: bool,
    /// The class of its last character that is no mark.
    last: Class,
}

impl Default for Building {
    fn default() -> Self {
        Self { start: 0, hash: SEED, characters: 0, letters: false, content: false, last: Class::Other }
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// One more character in the hash of a word.
#[inline]
fn add(hash: u64, character: Character) -> u64 {
    (hash ^ u64::from(character.small())).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

impl Building {
    #[inline]
    fn start(&mut self, at: usize) {
        if self.characters == 0 {
            self.start = at;
        }
    }

    #[inline]
    fn letter(&mut self, character: Character) {
        self.hash = add(self.hash, character);
        self.characters += 1;
    }

    #[inline]
    fn add(&mut self, at: usize, character: Character, class: Class) {
        self.start(at);
        self.hash = add(self.hash, character);
        self.characters += 1;
        self.letters |= character.is_letter();
        self.content |= class != Class::Join;
        self.last = class;
    }

    #[inline]
    fn end<'a>(&mut self, text: &'a str, at: usize, reader: &mut impl Reader<'a>) {
        let Self { start, hash, characters, letters, content, .. } = *self;
        if characters > 0 {
            *self = Self::default();
            if content {
                reader.word(Word { text: &text[start..at], hash: mix(hash), characters, letters });
            }
        }
    }
}

/// The bytes of the run of letters that need a dictionary at the start of
/// `text`, with marks between them.
fn run(text: &str, table: &Table) -> usize {
    let of_run = |c: char| matches!(table.of(c).class(), Class::Dictionary | Class::Mark);
    let end = text.find(|c| !of_run(c)).unwrap_or(text.len());
    text.floor_char_boundary(end.min(RUN_BYTES_MAX))
}

/// Reads a run of letters that need a dictionary.
fn read_unparted<'a>(text: &'a str, table: &Table, reader: &mut impl Reader<'a>) {
    static WORDS: OnceLock<WordSegmenterBorrowed<'static>> = OnceLock::new();
    let segmenter = WORDS.get_or_init(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));
    let mut start = 0;
    for end in segmenter.segment_str(text).skip(1) {
        let word = &text[std::mem::replace(&mut start, end)..end];
        let (mut hash, mut characters, mut letters) = (SEED, 0, false);
        for c in word.chars() {
            let character = table.of(c);
            hash = add(hash, character);
            characters += 1;
            letters |= character.class() == Class::Dictionary;
            reader.character(character);
        }
        if letters {
            reader.word(Word { text: word, hash: mix(hash), characters, letters });
        }
    }
}

/// The finalizer of SplitMix64.
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words between the boundaries of `icu_segmenter`. Its own answer to
    /// what is a word is no for those that end in a tone mark.
    fn reference(text: &str) -> Vec<&str> {
        let segmenter = WordSegmenter::new_dictionary(WordBreakInvariantOptions::default());
        let ends: Vec<usize> = segmenter.segment_str(text).collect();
        let words = ends.windows(2).map(|ends| &text[ends[0]..ends[1]]);
        words.filter(|word| word.chars().any(char::is_alphanumeric)).collect()
    }

    fn found(text: &str) -> Vec<&str> {
        words(text).iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_those_of_unicode() {
        for text in [
            "Mkulima alisema: \"Ng'ombe 3,500 na l·l, saa 10.30!\" _tena_ a_b x.y 5:6 a:b",
            "Ìjọba ti sọ pé àwọn àgbẹ̀ yóò gba irúgbìn tuntun.",
            "ሰላም ለዓለም። የሰው፡ልጅ፡ሁሉ፡ሲወለድ፡ነጻና",
            "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता",
            "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.",
            "모든 인간은 태어날 때부터 자유로우며",
            "Все люди рождаются свободными и равными в своём достоинстве и правах.",
            "මිනිසුන් සියලු නිදහස් ක්\u{200d}ෂ",
            "སྐྱེ་བོ་རེ་རེའི་ཐོབ་ཐང་",
            "𞤋𞤲𞥆𞤢𞤥𞤢 𞤢𞥄𞤣𞤫𞥅𞤶𞤭",
            "人人生而自由，在尊严和权利上一律平等。",
            "すべての人間は、生れながらにして自由であり",
            "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์",
            "មនុស្សទាំងអស់កើតមកមានសេរីភាពនិងភាពស្មើៗគ្នា",
            "ມະນຸດທຸກຄົນເກີດມາມີກຽດສັກສີ",
            "လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့်",
            "don’t can't 'quoted' 3rd COVID-19 e.g. www.example.org a@b.c #tag $5.00 …",
        ] {
            assert_eq!(found(text), reference(text), "{text}");
        }
    }

    #[test]
    fn the_hash_is_of_small_letters() {
        let of = |text: &str| words(text).iter().map(|word| word.hash).collect::<Vec<_>>();
        assert_eq!(of("Habari ZA Ọ̀sán"), of("habari za ọ̀sán"));
        assert_ne!(of("ab"), of("ba"));
        assert_eq!(words("Juma 42")[0], Word { text: "Juma", letters: true, characters: 4, hash: of("juma")[0] });
        assert!(!words("Juma 42")[1].letters);
    }

    #[test]
    fn sentences_end_where_unicode_says() {
        let text = "Mvua ilinyesha. Je, mahindi yamekauka? ሰላም። ውሃ 你好。再见。";
        let found: Vec<_> = sentences(text).collect();
        assert_eq!(found, ["Mvua ilinyesha. ", "Je, mahindi yamekauka? ", "ሰላም። ", "ውሃ 你好。", "再见。"]);
        assert_eq!(sentences("").count(), 0);
    }

    #[test]
    fn long_runs_are_cut() {
        let text = "ก".repeat(10_000);
        assert_eq!(words(&text).iter().map(|word| word.text.len()).sum::<usize>(), text.len());
    }
}
