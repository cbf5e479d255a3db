//! What of a text is looked for: its words, and pieces of them.
//!
//! There is no list of stems or of common words, as most languages have none.
//! Words are those of Unicode and of dictionaries, in small letters without the
//! tones and dots that many people do not type. Pieces of words find what words do
//! not: other forms of a word where a language builds them with prefixes and
//! suffixes, and words of scripts that put no space between them, wherever these
//! were cut.
//!
//! ```text
//! Wakulima wa Ọ̀yọ́ → words  wakulima wa oyo
//!                   → pieces _wak waku akul kuli ulim lima ima_ _wa_ _oyo oyo_
//! ```

use kwaya_text::quality::words::{self, Word};
use unicode_normalization::UnicodeNormalization;

/// Longer words are numbers of files, links and the like.
const WORD_CHARACTERS_MAX: usize = 64;

/// The words of `text` as they are compared: compatible forms of a character
/// are one, and so are capital and small letters, with marks and without.
pub(crate) fn words(text: &str) -> Vec<String> {
    let words = words::words(text).into_iter().filter(|word| word.characters as usize <= WORD_CHARACTERS_MAX);
    words.map(|word| folded(word.text)).collect()
}

/// The pieces of the words of `text`.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    for_each_run(text, |run, letters| cut(run, letters, &mut |piece| pieces.push(piece)));
    pieces
}

/// Words with nothing between them, which a dictionary has parted, are one run:
/// it may have parted them elsewhere in another text.
fn for_each_run<'t>(text: &'t str, mut found: impl FnMut(&'t str, bool)) {
    let place = |word: &Word<'_>| word.text.as_ptr().addr() - text.as_ptr().addr();
    let mut open: Option<(usize, usize, bool)> = None;
    for word in words::words(text) {
        let (start, end) = (place(&word), place(&word) + word.text.len());
        match &mut open {
            Some((_, last, letters)) if *last == start => (*last, *letters) = (end, *letters || word.letters),
            _ => {
                let before = open.replace((start, end, word.letters));
                before.into_iter().for_each(|(start, end, letters)| found(&text[start..end], letters));
            }
        }
    }
    open.into_iter().for_each(|(start, end, letters)| found(&text[start..end], letters));
}

/// The pieces of one run. A number is one piece: parts of it mean nothing.
fn cut(run: &str, letters: bool, found: &mut impl FnMut(String)) {
    let run = folded(run);
    let characters: Vec<char> = std::iter::once('_').chain(run.chars()).chain(std::iter::once('_')).collect();
    let width = if letters { width(&characters) } else { usize::MAX };
    if characters.len() <= width {
        if characters.len() <= WORD_CHARACTERS_MAX {
            found(characters.into_iter().collect());
        }
        return;
    }
    characters.windows(width).for_each(|piece| found(piece.iter().collect()));
}

/// Characters of a piece: four letters, three syllables, two ideographs.
fn width(run: &[char]) -> usize {
    match run.get(1).map_or(0, |c| u32::from(*c)) {
        // Kana and ideographs.
        0x2e80..=0x9fff | 0xf900..=0xfaff | 0xff66..=0xff9f | 0x2_0000..=0x3_ffff => 2,
        // Hangul.
        0xac00..=0xd7ff => 2,
        // Ethiopic, Cherokee, Canadian syllables, Vai, and the scripts of
        // South-East Asia, whose words are short.
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1200..=0x139f | 0x13a0..=0x167f | 0x1780..=0x17ff => 3,
        0x2d80..=0x2ddf | 0xa500..=0xa63f | 0xab00..=0xab2f => 3,
        _ => 4,
    }
}

/// A word without tones and other marks over and under its letters, which many
/// people do not type.
fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let letters = word.nfkd().filter(|c| !is_accent(*c)).flat_map(char::to_lowercase);
    letters.filter(|c| !is_accent(*c)).map(plain_sign).map(plain_letter).nfc().collect()
}

/// Marks that a word can be read without. Vowel signs of Indic scripts are no
/// such marks.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{fe20}'..='\u{fe2f}'
        // The points of Hebrew, the vowels and the stroke of Arabic.
        | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// One apostrophe for all: `ng’ombe`, `ngʼombe`, `ng'ombe`.
fn plain_sign(c: char) -> char {
    if matches!(c, '\u{2018}' | '\u{2019}' | '\u{2bc}' | '\u{2bb}' | '\u{ff07}') { '\'' } else { c }
}

/// Letters of African and European languages that stand for another where a
/// keyboard lacks them.
fn plain_letter(c: char) -> char {
    match c {
        'ɓ' => 'b',
        'ƈ' => 'c',
        'ɖ' | 'ɗ' | 'đ' => 'd',
        'ɛ' | 'ǝ' | 'ə' => 'e',
        'ƒ' => 'f',
        'ɠ' | 'ɣ' => 'g',
        'ħ' => 'h',
        'ɨ' | 'ı' | 'ɩ' => 'i',
        'ƙ' => 'k',
        'ł' => 'l',
        'ŋ' | 'ɲ' => 'n',
        'ɔ' | 'ø' | 'ɵ' => 'o',
        'ƥ' => 'p',
        'ƭ' => 't',
        'ʉ' | 'ʊ' => 'u',
        'ʋ' => 'v',
        'ƴ' => 'y',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_in_small_letters_without_tones() {
        assert_eq!(words("Wakulima wa Ọ̀yọ́, 2023"), ["wakulima", "wa", "oyo", "2023"]);
        assert_eq!(words("Ng’ombe NG'OMBE ﬁ"), ["ng'ombe", "ng'ombe", "fi"]);
        assert_eq!(words(&"x".repeat(65)), [""; 0]);
    }

    #[test]
    fn pieces_are_those_of_words_without_tones() {
        assert_eq!(pieces("Mvua Ọ̀yọ́ a 2023"), ["_mvu", "mvua", "vua_", "_oyo", "oyo_", "_a_", "_2023_"]);
        assert_eq!(pieces("ƙofa"), pieces("Kofa"));
        assert_eq!(pieces("ŋɔ Ŋɔ"), ["_no_", "_no_"]);
        assert_eq!(pieces("أحمد"), pieces("احمد"));
        assert_eq!(pieces("مُحَمَّد"), pieces("محمد"));
        // Vowel signs that are marks in Unicode stay.
        assert_ne!(pieces("कि"), pieces("का"));
        assert_ne!(pieces("ที่"), pieces("ทา"));
    }

    #[test]
    fn scripts_without_spaces_have_pieces_across_the_words_of_a_dictionary() {
        assert_eq!(pieces("権利の"), ["_権", "権利", "利の", "の_"]);
        assert_eq!(pieces("모든 인간"), ["_모", "모든", "든_", "_인", "인간", "간_"]);
        assert!(pieces("ฉันกินกล้วย").contains(&"นกิ".to_owned()));
        assert_eq!(pieces("ሰላም"), ["_ሰላ", "ሰላም", "ላም_"]);
    }

    proptest! {
        #[test]
        fn any_text_has_words_and_pieces_of_bounded_length(text in "\\PC{0,200}") {
            for piece in pieces(&text) {
                prop_assert!(!piece.is_empty() && piece.chars().count() <= WORD_CHARACTERS_MAX);
            }
            for word in words(&text) {
                prop_assert!(word.chars().count() <= 20 * WORD_CHARACTERS_MAX);
            }
        }
    }
}
