//! Repetition within a document, as Gopher counts it (Rae et al. 2021, table
//! A1): lines and paragraphs that were there before, the most frequent n-gram
//! of 2 to 4 words, and all words in n-grams of 5 to 10 that were there
//! before.
//!
//! An n-gram can only occur twice where the (n-1)-grams in it do. So the
//! places that repeat for n are looked for among those that do for n - 1, and
//! in running text few are left after n = 3:
//!
//! ```text
//! places(1) = where a word stands that the text has twice
//! places(n) = where i and i + 1 are in places(n - 1), and the n-gram occurs twice
//! ```

use std::collections::HashSet;

use super::words::Word;

/// The share of the characters that the most frequent n-gram may make, by n
/// from 2, in hundredths.
const TOP: [u64; 3] = [20, 18, 16];
/// The same for all that is in n-grams which were there before, by n from 5.
const DUPLICATE: [u64; 6] = [15, 14, 13, 12, 11, 10];

/// What is repeated in lines or paragraphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repeated {
    /// How many there are.
    pub(super) parts: u64,
    /// Those that were there before.
    pub(super) duplicates: u64,
    /// The characters of those.
    pub(super) characters: u64,
}

/// Parts of a text, as they come.
#[derive(Default)]
pub(super) struct Parts {
    seen: HashSet<u64>,
    pub(super) repeated: Repeated,
}

impl Parts {
    /// The next part, by its hash and its characters.
    pub(super) fn add(&mut self, hash: u64, characters: u64) {
        self.repeated.parts += 1;
        if !self.seen.insert(hash) {
            self.repeated.duplicates += 1;
            self.repeated.characters += characters;
        }
    }
}

/// What is repeated in n-grams of words, in ten-thousandths of what Gopher
/// allows: 10,000 is its limit for the n that is worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grams {
    /// The most frequent of 2 to 4 words.
    pub(super) top: u64,
    /// All of 5 to 10 words that were there before.
    pub(super) duplicate: u64,
}

impl Grams {
    /// Of the `words` of a text of so many `characters`.
    pub(super) fn of(words: &[(u64, u32)], characters: u64) -> Self {
        let mut found = Self::default();
        let mut table = Table::default();
        // For each place that repeats, the number of its n-gram.
        let numbers = table.number(words.iter().map(|word| word.0));
        let ids: Vec<u32> = numbers.iter().map(|&(_, number)| number).collect();
        let mut places = table.repeated(numbers);
        // The characters before each word.
        let mut before = Vec::with_capacity(words.len() + 1);
        let mut sum = 0_u64;
        before.push(sum);
        for &(_, characters) in words {
            sum += u64::from(characters);
            before.push(sum);
        }
        let ten_thousandths = |part: u64, hundredths: u64| part * 1_000_000 / (characters.max(1) * hundredths);
        for n in 2..=10 {
            let pairs = places.windows(2);
            let candidates: Vec<(u32, u64)> = pairs
                .filter(|pair| pair[0].0 + 1 == pair[1].0)
                .map(|pair| (pair[0].0, u64::from(pair[0].1) << 32 | u64::from(ids[pair[0].0 as usize + n - 1])))
                .collect();
            let numbers = table.number(candidates.iter().map(|candidate| candidate.1));
            let numbers = numbers.into_iter().map(|(i, number)| (candidates[i as usize].0, number)).collect();
            places = table.repeated(numbers);
            if places.is_empty() {
                break;
            }
            let length = |place: u32| before[place as usize + n] - before[place as usize];
            if let Some(&limit) = TOP.get(n - 2) {
                // With the blanks between them; of equals the first.
                let most = places.iter().rev().max_by_key(|(_, number)| table.keys[*number as usize].1);
                let part = most.map_or(0, |&(place, number)| {
                    (length(place) + n as u64 - 1) * u64::from(table.keys[number as usize].1)
                });
                found.top = found.top.max(ten_thousandths(part, limit));
            }
            if n >= 5 {
                let mut seen = vec![false; table.keys.len()];
                let (mut part, mut free) = (0, 0);
                for &(place, number) in &places {
                    if place < free {
                        continue;
                    }
                    if std::mem::replace(&mut seen[number as usize], true) {
                        part += length(place);
                        free = place + n as u32;
                    }
                }
                found.duplicate = found.duplicate.max(ten_thousandths(part, DUPLICATE[n - 5]));
            }
        }
        found
    }

    /// Of the words of a text.
    #[cfg(test)]
    fn of_text(text: &str) -> Self {
        let words: Vec<_> = super::words::words(text).iter().map(|word| word.key()).collect();
        Self::of(&words, text.chars().count() as u64)
    }
}

impl Word<'_> {
    /// What is kept of it.
    pub(super) fn key(&self) -> (u64, u32) {
        (self.hash, self.characters)
    }
}

/// Numbers keys in the order in which they come, by open addressing.
#[derive(Default)]
struct Table {
    /// One more than the number of a key; 0 is free.
    slots: Vec<u32>,
    /// Keys, and how often each came.
    keys: Vec<(u64, u32)>,
}

impl Table {
    /// The place of each of the keys, with its number.
    fn number(&mut self, keys: impl ExactSizeIterator<Item = u64>) -> Vec<(u32, u32)> {
        self.slots.clear();
        self.slots.resize((2 * keys.len()).next_power_of_two().max(2), 0);
        self.keys.clear();
        let mask = self.slots.len() - 1;
        let number = |key: u64| {
            let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
            let number = loop {
                match self.slots[slot] as usize {
                    0 => {
                        self.keys.push((key, 0));
                        self.slots[slot] = self.keys.len() as u32;
                        break self.keys.len() - 1;
                    }
                    found if self.keys[found - 1].0 == key => break found - 1,
                    _ => slot = (slot + 1) & mask,
                }
            };
            self.keys[number].1 += 1;
            number as u32
        };
        (0..).zip(keys.map(number)).collect()
    }

    /// Those whose key came more than once.
    fn repeated(&self, mut numbers: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
        numbers.retain(|(_, number)| self.keys[*number as usize].1 > 1);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::quality::words::{mix, words};

    /// As Gopher's description says it, in plain loops.
    fn plain(text: &str) -> Grams {
        let words = words(text);
        let characters = text.chars().count() as u64;
        let mut found = Grams::default();
        let length = |gram: &[Word<'_>]| gram.iter().map(|word| u64::from(word.characters)).sum::<u64>();
        let key = |gram: &[Word<'_>]| gram.iter().map(|word| word.hash).collect::<Vec<_>>();
        for (n, limit) in (2..).zip(TOP) {
            let mut counts: HashMap<Vec<u64>, (u64, usize, u64)> = HashMap::new();
            for (place, gram) in words.windows(n).enumerate() {
                let size = length(gram) + n as u64 - 1;
                counts.entry(key(gram)).or_insert((0, usize::MAX - place, size)).0 += 1;
            }
            let most =
                counts.values().filter(|(count, ..)| *count > 1).max_by_key(|(count, first, _)| (*count, *first));
            let part = most.map_or(0, |(count, _, size)| count * size);
            found.top = found.top.max(part * 1_000_000 / (characters * limit));
        }
        for (n, limit) in (5..).zip(DUPLICATE) {
            let (mut seen, mut place, mut part) = (HashSet::new(), 0, 0);
            while place + n <= words.len() {
                let gram = &words[place..place + n];
                if seen.insert(key(gram)) {
                    place += 1;
                } else {
                    part += length(gram);
                    place += n;
                }
            }
            found.duplicate = found.duplicate.max(part * 1_000_000 / (characters * limit));
        }
        found
    }

    #[test]
    fn n_grams_are_counted_as_in_plain_loops() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = mix(state);
            state % below
        };
        let mut worst = Grams::default();
        for round in 0..300 {
            // Words of few or many kinds, with stretches that come again.
            let kinds = 1 + random(60);
            let mut text: Vec<String> = Vec::new();
            for _ in 0..random(12) {
                if !text.is_empty() && random(3) == 0 {
                    let start = random(text.len() as u64) as usize;
                    let end = (start + random(30) as usize).min(text.len());
                    text.extend_from_within(start..end);
                }
                text.extend((0..random(40)).map(|_| format!("neno{}", random(kinds))));
            }
            let text = text.join(" ") + ".";
            let found = Grams::of_text(&text);
            assert_eq!(found, plain(&text), "round {round}: {text}");
            worst = Grams { top: worst.top.max(found.top), duplicate: worst.duplicate.max(found.duplicate) };
        }
        assert!(worst.top > 20_000 && worst.duplicate > 20_000, "{worst:?}");
        assert_eq!(Grams::of_text(""), Grams::default());
    }

    #[test]
    fn parts_that_were_there_before_are_counted() {
        let mut parts = Parts::default();
        [(1, 10), (2, 5), (1, 10), (1, 10)].into_iter().for_each(|(hash, characters)| parts.add(hash, characters));
        assert_eq!(parts.repeated, Repeated { parts: 4, duplicates: 2, characters: 20 });
    }
}
