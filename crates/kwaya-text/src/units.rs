//! Words and sentences of a text in any script, to count by.

use unicode_segmentation::UnicodeSegmentation;

/// What a text consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Words, by the rules of Unicode (UAX #29).
    pub words: u64,
    /// Sentences, by the same; the end of a line ends one.
    pub sentences: u64,
}

/// Counts the words and sentences of `text`. The rules know no dictionary:
/// where a script puts no space between words, as in Thai, Lao and Khmer, each
/// stretch of letters is one or each letter is.
pub fn count(text: &str) -> Units {
    Units { words: text.unicode_words().count() as u64, sentences: text.unicode_sentences().count() as u64 }
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
        ] {
            assert_eq!(count(text), Units { words, sentences }, "{text}");
        }
    }
}
