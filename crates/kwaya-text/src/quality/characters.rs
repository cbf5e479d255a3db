//! What a character is to the measures: its class, its small letter, whether
//! it ends a sentence. A table for the first plane, computed once: looking
//! each up in Unicode's own tables would cost more than everything else.

use std::sync::OnceLock;

use unicode_normalization::char::is_combining_mark;

/// How a character takes part in words, after Unicode's annex 29.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// Parts words: punctuation and symbols.
    Other,
    /// Parts words and is not seen.
    Blank,
    /// A letter of a script that parts words.
    Letter,
    /// A digit or another number.
    Number,
    /// Goes on with what is before it.
    Mark,
    /// Joins what is on both sides: `_`.
    Join,
    /// Joins two letters, as in `l·l`.
    MidLetter,
    /// Joins two digits, as in `1,5`.
    MidNumber,
    /// Joins two letters or two digits, as in `ng'ombe`, `1.5`.
    MidBoth,
    /// A letter of a script whose words only a dictionary can part.
    Dictionary,
}

const CLASSES: [Class; 16] = [
    Class::Other,
    Class::Blank,
    Class::Letter,
    Class::Number,
    Class::Mark,
    Class::Join,
    Class::MidLetter,
    Class::MidNumber,
    Class::MidBoth,
    Class::Dictionary,
    Class::Other,
    Class::Other,
    Class::Other,
    Class::Other,
    Class::Other,
    Class::Other,
];

/// A character is one of so many symbols, so that a table can hold all that
/// three in a row can be.
pub(super) const SYMBOLS: usize = 64;
/// Letters that are neighbours in their script are other symbols: what is
/// left over by a prime.
const SYMBOL_PRIME: u32 = 61;
pub(super) const BLANK: usize = 61;
pub(super) const NUMBER: usize = 62;
const PUNCTUATION: usize = 63;

/// One character: the code point of its small letter (bits 0 to 20), its
/// symbol (24 to 29), its class (32 to 35), whether it can end a sentence and
/// whether it is a letter or mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Character(u64);

impl Character {
    const LETTER: u64 = 1 << 41;
    const ENDS_SENTENCE: u64 = 1 << 40;

    fn new(c: char) -> Self {
        let mut small = c.to_lowercase();
        let small = match (small.next(), small.next()) {
            (Some(small), None) => small,
            _ => c,
        };
        let class = class(c);
        let symbol = match class {
            Class::Blank => BLANK,
            Class::Number => NUMBER,
            Class::Letter | Class::Mark | Class::Dictionary => (u32::from(small) % SYMBOL_PRIME) as usize,
            _ => PUNCTUATION,
        };
        let flag = |set: bool, flag: u64| if set { flag } else { 0 };
        let letter = c.is_alphabetic() || (!c.is_ascii() && is_combining_mark(c));
        let flags = flag(letter, Self::LETTER) | flag(ends_sentence(c), Self::ENDS_SENTENCE);
        Self(u64::from(small) | (symbol as u64) << 24 | (class as u64) << 32 | flags)
    }

    /// The code point of its small letter.
    #[inline]
    pub(super) fn small(self) -> u32 {
        self.0 as u32 & 0x1f_ffff
    }

    /// Which of the [`SYMBOLS`] it is.
    #[inline]
    pub(super) fn symbol(self) -> usize {
        (self.0 >> 24) as usize % SYMBOLS
    }

    #[inline]
    pub(super) fn class(self) -> Class {
        CLASSES[(self.0 >> 32) as usize % CLASSES.len()]
    }

    /// Whether a sentence can end with it.
    #[inline]
    pub(super) fn ends_sentence(self) -> bool {
        self.0 & Self::ENDS_SENTENCE != 0
    }

    /// Whether it is a letter, a vowel sign or a tone mark.
    #[inline]
    pub(super) fn is_letter(self) -> bool {
        self.0 & Self::LETTER != 0
    }

    /// Whether it is a letter of a script that parts words.
    #[inline]
    pub(super) fn is_plain_letter(self) -> bool {
        self.0 & (0xf << 32 | Self::LETTER) == (Class::Letter as u64) << 32 | Self::LETTER
    }
}

/// The characters of the first plane.
pub(super) struct Table(Vec<Character>);

impl Table {
    pub(super) fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| {
            let of = |point| Character::new(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
            Self((0..1 << 16).map(of).collect())
        })
    }

    /// The character at a boundary of `text`, and its length in bytes; `None`
    /// at the end.
    #[inline]
    pub(super) fn at(&self, text: &str, at: usize) -> Option<(Character, usize)> {
        let byte = *text.as_bytes().get(at)?;
        if byte.is_ascii() {
            return Some((self.0[usize::from(byte)], 1));
        }
        let c = text.get(at..)?.chars().next()?;
        Some((self.of(c), c.len_utf8()))
    }

    #[inline]
    pub(super) fn of(&self, c: char) -> Character {
        match self.0.get(c as usize) {
            Some(character) => *character,
            None => Character::new(c),
        }
    }
}

fn class(c: char) -> Class {
    match c {
        '_' | '\u{203f}' | '\u{2040}' => Class::Join,
        ':' | '\u{b7}' | '\u{387}' | '\u{55f}' | '\u{5f4}' | '\u{2027}' | '\u{ff1a}' => Class::MidLetter,
        ',' | ';' | '\u{37e}' | '\u{589}' | '\u{60c}' | '\u{60d}' | '\u{66c}' | '\u{7f8}' | '\u{2044}' => {
            Class::MidNumber
        }
        '.' | '\'' | '\u{2018}' | '\u{2019}' | '\u{2024}' | '\u{ff07}' | '\u{ff0e}' => Class::MidBoth,
        '\u{200c}' | '\u{200d}' => Class::Mark,
        _ if c.is_ascii_alphabetic() => Class::Letter,
        _ if c.is_whitespace() => Class::Blank,
        _ if c.is_numeric() && !c.is_alphabetic() => Class::Number,
        _ if !c.is_ascii() && (c.is_alphabetic() || is_combining_mark(c)) => match u32::from(c) {
            // Thai, Lao, Myanmar and its extensions, Khmer.
            0xe00..=0xeff | 0x1000..=0x109f | 0xa9e0..=0xa9ff | 0xaa60..=0xaa7f | 0x1780..=0x17ff |
            // Kana and Han.
            0x3005..=0x3007 | 0x3021..=0x3029 | 0x3038..=0x303b | 0x3041..=0x30ff | 0x31f0..=0x31ff |
            0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0xff66..=0xff9f | 0x20000..=0x3ffff => {
                Class::Dictionary
            }
            _ if is_combining_mark(c) => Class::Mark,
            _ => Class::Letter,
        },
        _ => Class::Other,
    }
}

/// Whether a sentence can end with it, in any script.
fn ends_sentence(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, '.' | '!' | '?');
    }
    matches!(
        c,
        '…' | '։'
            | '؝'
            | '؞'
            | '؟'
            | '۔'
            | '܀'
            | '܁'
            | '܂'
            | '߹'
            | '।'
            | '॥'
            | '།'
            | '༎'
            | '๚'
            | '๛'
            | '၊'
            | '။'
            | '።'
            | '፧'
            | '፨'
            | '᙮'
            | '᜵'
            | '᜶'
            | '។'
            | '៕'
            | '៖'
            | '៚'
            | '᠃'
            | '᠉'
            | '᥄'
            | '᥅'
            | '᪨'
            | '᪩'
            | '᪪'
            | '᪫'
            | '᭚'
            | '᭛'
            | '᭞'
            | '᭟'
            | '᰻'
            | '᰼'
            | '᱾'
            | '᱿'
            | '‼'
            | '‽'
            | '⁇'
            | '⁈'
            | '⁉'
            | '⸮'
            | '⸼'
            | '。'
            | '꓿'
            | '꘎'
            | '꘏'
            | '꛳'
            | '꛷'
            | '꡶'
            | '꡷'
            | '꣎'
            | '꣏'
            | '꤯'
            | '꧈'
            | '꧉'
            | '꩝'
            | '꩞'
            | '꩟'
            | '꫰'
            | '꫱'
            | '꯫'
            | '﹒'
            | '﹖'
            | '﹗'
            | '！'
            | '．'
            | '？'
            | '｡'
            | '𑅁'
            | '𑅂'
            | '𑅃'
    )
}

/// Whether it may stand between the end of a sentence and the end of a line.
fn closes(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | ')'
            | ']'
            | '’'
            | '”'
            | '»'
            | '›'
            | '“'
            | '」'
            | '』'
            | '】'
            | '）'
            | '》'
            | '〉'
            | '*'
            | '_'
    )
}

/// Whether a line ends as a sentence does.
pub(super) fn ends_as_sentence(line: &str) -> bool {
    line.trim_end_matches(closes).chars().next_back().is_some_and(ends_sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_small_letters() {
        let table = Table::get();
        for (c, class, small) in [
            ('A', Class::Letter, 'a'),
            ('Ọ', Class::Letter, 'ọ'),
            ('\u{301}', Class::Mark, '\u{301}'),
            ('ሰ', Class::Letter, 'ሰ'),
            ('፡', Class::Other, '፡'),
            ('ក', Class::Dictionary, 'ក'),
            ('៣', Class::Number, '៣'),
            ('中', Class::Dictionary, '中'),
            ('한', Class::Letter, '한'),
            ('\u{1e900}', Class::Letter, '\u{1e922}'),
            ('\u{a0}', Class::Blank, '\u{a0}'),
            ('7', Class::Number, '7'),
            ('’', Class::MidBoth, '’'),
        ] {
            assert_eq!((table.of(c).class(), table.of(c).small()), (class, u32::from(small)), "{c}");
        }
        assert!((0..=Class::Dictionary as usize).all(|i| CLASSES[i] as usize == i));
    }

    #[test]
    fn lines_end_in_any_script() {
        for line in ["Habari.", "«Njoo!»", "ሰላም።", "नमस्ते।", "你好。", "سلام؟", "သည်။", "She said (so).", "*Asante.*"]
        {
            assert!(ends_as_sentence(line), "{line}");
        }
        for line in ["", "Habari", "Mada: ", "…,", "\"\"", "42"] {
            assert!(!ends_as_sentence(line), "{line}");
        }
    }
}
