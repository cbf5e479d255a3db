//! Words, sentences and digits of a text in any script.

use std::ops::Range;

use crate::{
    privacy::ZEROS,
    quality::words::{sentences, words},
};

/// What a text consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Words, by the rules of Unicode (UAX #29) and by dictionaries where a script
    /// puts no space between them.
    pub words: u64,
    /// Sentences, by the rules of Unicode; the end of a line ends one.
    pub sentences: u64,
}

/// Counts the words and sentences of `text`.
pub fn count(text: &str) -> Units {
    let spoken = sentences(text).filter(|sentence| sentence.contains(char::is_alphanumeric));
    Units { words: words(text).len() as u64, sentences: spoken.count() as u64 }
}

/// The sentence that `place` of `text` is in, without the blanks around it; the
/// end of a line ends one. Of a place in several, from the first to the last.
pub fn sentence_at(text: &str, place: &Range<usize>) -> Range<usize> {
    let start = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[place.end..].find('\n').map_or(text.len(), |at| place.end + at);
    let (mut found, mut at) = (start..end, start);
    for sentence in sentences(&text[start..end]) {
        let next = at + sentence.len();
        if at <= place.start {
            found.start = at;
        }
        if next >= place.end {
            found.end = next;
            break;
        }
        at = next;
    }
    let whole = &text[found.clone()];
    found.start += whole.len() - whole.trim_start().len();
    found.start..found.start + whole.trim().len()
}

/// The value of a digit of any script.
pub fn digit(character: char) -> Option<u8> {
    if character.is_ascii() {
        return character.to_digit(10).map(|digit| digit as u8);
    }
    let code = u32::from(character);
    ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)).map(|zero| (code - zero) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sentences_are_counted_in_several_scripts() {
        for (text, words, sentences) in [
            ("Mvua ilinyesha. Ng'ombe walikuja!\n\n1. Mahindi", 6, 4),
            ("ሰላም ለዓለም። እንዴት ነህ?", 4, 2),
            ("नमस्ते दुनिया। कैसे हो?", 4, 2),
            (" \n. — !", 0, 0),
            ("ฉันกินกล้วยทุกวัน", 5, 1),
        ] {
            assert_eq!(count(text), Units { words, sentences }, "{text}");
        }
    }

    #[test]
    fn a_place_is_in_its_sentence_and_its_line() {
        let text = "Ndugu,\n Ninaitwa Asha. Ninatoka Moshi.  Asante!\nبتاريخ ٥ مايو\n";
        let sentence = |word: &str| {
            let at = text.find(word).unwrap();
            &text[sentence_at(text, &(at..at + word.len()))]
        };
        assert_eq!(sentence("Ndugu"), "Ndugu,");
        assert_eq!(sentence("Asha"), "Ninaitwa Asha.");
        assert_eq!(sentence("Moshi"), "Ninatoka Moshi.");
        assert_eq!(sentence("Asha. Ninatoka"), "Ninaitwa Asha. Ninatoka Moshi.");
        assert_eq!(sentence("Ndugu,\n Ninaitwa"), "Ndugu,\n Ninaitwa Asha.");
        assert_eq!(sentence("٥"), "بتاريخ ٥ مايو");
        assert_eq!(sentence_at("", &(0..0)), 0..0);
        assert_eq!(sentence_at("  ", &(1..1)), 2..2);
    }

    #[test]
    fn digits_have_their_values() {
        let digits = "09٠٩۵९".chars().map(digit).collect::<Option<Vec<u8>>>();
        assert_eq!(digits, Some(vec![0, 9, 0, 9, 5, 9]));
        assert_eq!("a².五".chars().filter_map(digit).count(), 0);
    }
}
