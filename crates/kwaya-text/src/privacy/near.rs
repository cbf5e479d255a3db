//! Words that must stand near a number for it to be what it looks like.

use aho_corasick::{AhoCorasick, BuildError};
use unicode_normalization::UnicodeNormalization;

use super::lower;

/// Words of which one has to stand near.
pub(super) struct Words {
    search: AhoCorasick,
    /// For each word, whether it is the beginning of words.
    beginnings: Vec<bool>,
}

impl Words {
    /// `words` in any case; with `*` at its end, one is the beginning of words.
    pub(super) fn new<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, BuildError> {
        let (texts, beginnings): (Vec<String>, Vec<bool>) = words
            .map(|word| match word.trim().strip_suffix('*') {
                Some(beginning) => (normal(beginning), true),
                None => (normal(word.trim()), false),
            })
            .unzip();
        Ok(Self { search: AhoCorasick::new(texts)?, beginnings })
    }

    /// Whether one stands within so many characters before, or half of them
    /// after.
    pub(super) fn stand(&self, within: usize, before: &str, after: &str) -> bool {
        self.are_in(&lower(last(before, within))) || self.are_in(&lower(first(after, within / 2)))
    }

    /// Whether one stands in a text in small letters.
    fn are_in(&self, text: &str) -> bool {
        self.search.find_overlapping_iter(text).any(|found| {
            let word = &text[found.range()];
            is_edge(text[..found.start()].chars().next_back(), word.chars().next())
                && (self.beginnings[found.pattern().as_usize()]
                    || is_edge(text[found.end()..].chars().next(), word.chars().next_back()))
        })
    }
}

/// As the texts of a corpus are, in small letters.
fn normal(word: &str) -> String {
    word.to_lowercase().nfc().collect()
}

/// Whether the text ends in one of `words`, small letters, and signs.
pub(super) fn ends_in_word(text: &str, words: &[&str]) -> bool {
    let text = lower(text);
    let text = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    let word = text.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or(text);
    words.contains(&word)
}

/// At most `count` characters at the end.
pub(super) fn last(text: &str, count: usize) -> &str {
    match count.checked_sub(1) {
        None => "",
        Some(before) => text.char_indices().rev().nth(before).map_or(text, |(at, _)| &text[at..]),
    }
}

/// At most `count` characters at the beginning.
pub(super) fn first(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(at, _)| &text[..at])
}

/// Whether a word may end between `inside`, its last character, and `beside`.
pub(super) fn is_edge(beside: Option<char>, inside: Option<char>) -> bool {
    let part = |c: char| c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c);
    !beside.is_some_and(part) || beside.is_some_and(has_no_blanks) || inside.is_some_and(has_no_blanks)
}

/// Scripts that are written without blanks between words: Thai, Lao, Tibetan,
/// Burmese, Khmer, Chinese and Japanese.
fn has_no_blanks(character: char) -> bool {
    matches!(u32::from(character),
        0x0e00..=0x0fff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff | 0x2_0000..=0x3_ffff)
}
