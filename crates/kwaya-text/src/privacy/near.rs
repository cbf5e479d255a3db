//! Words that must stand near a number for it to be what it looks like.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, BuildError};
use unicode_normalization::UnicodeNormalization;

use super::lower;

/// The words of all rules, each with its number: one search tells which of
/// them stand near.
#[derive(Default)]
pub(super) struct Words {
    /// Small letters, and whether it is the beginning of words.
    numbers: BTreeMap<(String, bool), usize>,
    search: Option<AhoCorasick>,
    beginnings: Vec<bool>,
}

/// A word that stands near a place, and how many characters reach from there to
/// its other end; those after the place count double.
pub(super) struct Near {
    pub(super) word: usize,
    pub(super) characters: usize,
}

impl Words {
    /// The number of a word in any case; with `*` at its end, it is the
    /// beginning of words.
    pub(super) fn number(&mut self, word: &str) -> usize {
        let key = match word.trim().strip_suffix('*') {
            Some(beginning) => (normal(beginning), true),
            None => (normal(word.trim()), false),
        };
        let next = self.numbers.len();
        *self.numbers.entry(key).or_insert(next)
    }

    /// To be done when each word has its number.
    pub(super) fn build(&mut self) -> Result<(), BuildError> {
        let mut words: Vec<_> =
            self.numbers.iter().map(|((word, beginning), number)| (number, word, beginning)).collect();
        words.sort_unstable();
        self.beginnings = words.iter().map(|(_, _, beginning)| **beginning).collect();
        self.search = Some(AhoCorasick::new(words.iter().map(|(_, word, _)| word))?);
        Ok(())
    }

    /// Those that stand within so many characters before, or half of them
    /// after.
    pub(super) fn near(&self, within: usize, before: &str, after: &str) -> Vec<Near> {
        let mut near = Vec::new();
        let (before, after) = (lower(last(before, within)), lower(first(after, within / 2)));
        self.each(&before, |word, range| near.push(Near { word, characters: before[range.start..].chars().count() }));
        self.each(&after, |word, range| near.push(Near { word, characters: 2 * after[..range.end].chars().count() }));
        near
    }

    fn each(&self, text: &str, mut found: impl FnMut(usize, std::ops::Range<usize>)) {
        for hit in self.search.iter().flat_map(|search| search.find_overlapping_iter(text)) {
            let (word, number) = (&text[hit.range()], hit.pattern().as_usize());
            let whole = is_edge(text[..hit.start()].chars().next_back(), word.chars().next())
                && (self.beginnings[number] || is_edge(text[hit.end()..].chars().next(), word.chars().next_back()));
            if whole {
                found(number, hit.range());
            }
        }
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
