//! Word lists that the user brings: which part of a text is on them.

use std::collections::HashMap;

use super::words::words;

/// Words and phrases of all lists together, at most.
pub const PHRASES_MAX: usize = 1_000_000;
/// A longer entry is no phrase.
const PHRASE_WORDS_MAX: usize = 16;

/// Words and phrases, to be found between the boundaries of words, in large
/// letters or small.
#[derive(Clone, Debug, Default)]
pub struct WordLists {
    count: usize,
    /// By the first word, the words after it.
    phrases: HashMap<u64, Vec<Box<[u64]>>>,
}

impl WordLists {
    /// Adds a list: a word or phrase a line.
    ///
    /// # Errors
    /// The number of the line that is no word or phrase, or is one too many.
    pub fn add(&mut self, list: &str) -> Result<(), usize> {
        for (number, line) in (1..).zip(list.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let phrase: Vec<u64> = words(line).iter().map(|word| word.hash).collect();
            match phrase.split_first() {
                Some((first, rest)) if rest.len() < PHRASE_WORDS_MAX && self.count < PHRASES_MAX => {
                    self.phrases.entry(*first).or_default().push(rest.into());
                    self.count += 1;
                }
                _ => return Err(number),
            }
        }
        Ok(())
    }

    /// Whether nothing is on any list.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many of the words, given by their hashes, are part of an entry.
    pub(super) fn count(&self, words: &[(u64, u32)]) -> u64 {
        let (mut count, mut counted) = (0, 0);
        for (place, (first, _)) in words.iter().enumerate() {
            let Some(phrases) = self.phrases.get(first) else { continue };
            let after = &words[place + 1..];
            let found = phrases.iter().filter(|rest| {
                rest.len() <= after.len() && rest.iter().zip(after).all(|(phrase, (word, _))| phrase == word)
            });
            if let Some(longest) = found.map(|rest| rest.len() + 1).max() {
                let end = place + longest;
                count += end.saturating_sub(place.max(counted)) as u64;
                counted = counted.max(end);
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(lists: &WordLists, text: &str) -> u64 {
        lists.count(&words(text).iter().map(|word| word.key()).collect::<Vec<_>>())
    }

    #[test]
    fn whole_words_and_phrases_are_found() {
        let mut lists = WordLists::default();
        lists.add("mjinga\n\nMtu mbaya sana\nmbaya\nกล้วย\n").unwrap();
        assert_eq!(count(&lists, "MJINGA yule, mtu mbaya sana. mjingani"), 4);
        assert_eq!(count(&lists, "mtu mbaya"), 1);
        assert_eq!(count(&lists, "ฉันกินกล้วยทุกวัน"), 1);
        assert_eq!(count(&lists, ""), 0);
    }

    #[test]
    fn what_is_no_phrase_is_named() {
        assert_eq!(WordLists::default().add("neno\n...\n"), Err(2));
        assert_eq!(WordLists::default().add(&"neno ".repeat(17)), Err(1));
        assert!(WordLists::default().is_empty());
    }
}
