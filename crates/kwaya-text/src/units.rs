//! Words and sentences of a text in any script, to count by.

use crate::quality::words::{sentences, words};

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
}
