//! What of a text a classifier sees: its words, and the character n-grams of
//! each word with a space before and after it.
//!
//! A text is brought to NFC and to small letters; a word is a run of letters,
//! digits and the marks on them. A feature is known by a hash of 32 bits:
//! FNV-1a of 64 bits over its characters (a step for each, not for each byte),
//! begun with its kind, mixed, and cut to the upper half. The hash is the name
//! of the feature in the file of a model, so a change of it is another format;
//! two features that share a name are one.
//!
//! The columns of a row make *bags*: one of all columns together, and one more
//! of each column but the longest, so that a word in a headline can count for
//! something else than the same word in the text. Words repeat, so the n-grams
//! of a word are made once and a document stays a bag of words for long.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::OnceLock,
};

use kwaya_math::Pool;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark, is_nfc};

/// Characters of a word beyond these are not looked at: it is of a script
/// without spaces, or no word.
const WORD_CHARACTERS_MAX: usize = 1 << 8;
/// Lengths of the n-grams.
pub(crate) const SHORTEST: usize = 2;
pub(crate) const LONGEST: usize = 5;
/// Documents, and words, that one thread takes at once.
const SHARD: usize = 64;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// What a hash begins with, by kind.
const CHARACTERS: u32 = 1;
const WORD: u32 = 2;

fn step(hash: u64, unit: u32) -> u64 {
    (hash ^ u64::from(unit)).wrapping_mul(FNV_PRIME)
}

/// The upper half of the mixed hash.
fn finish(hash: u64) -> u32 {
    const MIX: u64 = 0xd6e8_feb8_6659_fd93;
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(MIX);
    ((mixed ^ (mixed >> 32)).wrapping_mul(MIX) >> 32) as u32
}

/// Keys are hashes already.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are whole numbers")
    }

    fn write_u32(&mut self, key: u32) {
        // The table looks at the upper bits and at the lower ones.
        self.0 = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// A map whose order is never looked at.
pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<AsItIs>>;

/// Calls `found` with each word of `text`.
fn words(text: &str, mut found: impl FnMut(&[char])) {
    let mut word: Vec<char> = Vec::new();
    let mut each = |character: char| {
        let letter = character.is_alphanumeric() || (!word.is_empty() && is_combining_mark(character));
        if letter && word.len() < WORD_CHARACTERS_MAX {
            word.extend(character.to_lowercase());
        } else if !letter && !word.is_empty() {
            found(&word);
            word.clear();
        }
    };
    if is_nfc(text) {
        text.chars().for_each(&mut each);
    } else {
        text.nfc().for_each(&mut each);
    }
    each(' ');
}

fn key(word: &[char]) -> u64 {
    word.iter().fold(step(FNV_OFFSET, WORD), |hash, character| step(hash, u32::from(*character)))
}

/// Calls `found` with the name of each feature of a word; one that the word
/// has twice comes twice.
pub(crate) fn names(word: &[char], mut found: impl FnMut(u32)) {
    found(finish(key(word)));
    let unit = |place: usize| match place.checked_sub(1).and_then(|place| word.get(place)) {
        Some(character) => u32::from(*character),
        None => u32::from(' '),
    };
    let length = word.len() + 2;
    for start in 0..length {
        let mut hash = step(FNV_OFFSET, CHARACTERS);
        for place in start..length.min(start + LONGEST) {
            hash = step(hash, unit(place));
            if place + 1 - start >= SHORTEST {
                found(finish(hash));
            }
        }
    }
}

/// The words of a bag, each with how often it is there, in the order in which
/// they first came.
pub(crate) fn bag<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<(Vec<char>, u32)> {
    let (mut places, mut found) = (Map::<u64, usize>::default(), Vec::<(Vec<char>, u32)>::new());
    for text in texts {
        words(text, |word| match places.entry(key(word)) {
            std::collections::hash_map::Entry::Occupied(place) => found[*place.get()].1 += 1,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(found.len());
                found.push((word.to_vec(), 1));
            }
        });
    }
    found
}

/// Which columns make each bag: all of them, and then each but the longest.
pub(crate) fn bags(columns: usize, longest: usize) -> Vec<Vec<usize>> {
    let others = (0..columns).filter(|column| *column != longest).map(|column| vec![column]);
    std::iter::once((0..columns).collect()).chain(others).collect()
}

/// Documents taken apart.
pub(crate) struct Analysis {
    /// The features of each word: numbers in `names`, the same for all bags.
    pub(crate) features: Vec<Vec<u32>>,
    pub(crate) names: Vec<u32>,
    /// By bag and document, the words and how often each is there.
    pub(crate) bags: Vec<Vec<Vec<(u32, u32)>>>,
}

/// The words of some documents, and the bags of each document in them.
struct Part {
    words: Vec<Vec<char>>,
    documents: Vec<Vec<Vec<(u32, u32)>>>,
}

fn take_apart(documents: &[Vec<String>], bags: &[Vec<usize>]) -> Part {
    let (mut places, mut all) = (Map::<u64, u32>::default(), Vec::new());
    let mut apart = |document: &Vec<String>| -> Vec<Vec<(u32, u32)>> {
        let mut bag = |columns: &Vec<usize>| {
            let (mut at, mut found) = (Map::<u32, usize>::default(), Vec::<(u32, u32)>::new());
            for &column in columns {
                words(&document[column], |word| {
                    let number = *places.entry(key(word)).or_insert_with(|| {
                        all.push(word.to_vec());
                        all.len() as u32 - 1
                    });
                    let place = *at.entry(number).or_insert(found.len());
                    match found.get_mut(place) {
                        Some((_, count)) => *count += 1,
                        None => found.push((number, 1)),
                    }
                });
            }
            found
        };
        bags.iter().map(&mut bag).collect()
    };
    let documents = documents.iter().map(&mut apart).collect();
    Part { words: all, documents }
}

/// Does `work` for shards of what is there, and gives what came of each in
/// order.
pub(crate) fn in_shards<T: Send + Sync>(
    pool: &Pool,
    count: usize,
    work: impl Fn(std::ops::Range<usize>) -> T + Sync,
) -> Vec<T> {
    let shards = count.div_ceil(SHARD);
    let made: Vec<OnceLock<T>> = (0..shards).map(|_| OnceLock::new()).collect();
    pool.run(shards, |shard| {
        let _ = made[shard].set(work(shard * SHARD..count.min((shard + 1) * SHARD)));
    });
    made.into_iter().map(|part| part.into_inner().expect("every shard was worked on")).collect()
}

/// Takes documents apart; each has the same number of columns.
pub(crate) fn analyse(documents: &[Vec<String>], columns: &[Vec<usize>], pool: &Pool) -> Analysis {
    let parts = in_shards(pool, documents.len(), |range| take_apart(&documents[range], columns));
    let (mut places, mut words) = (Map::<u64, u32>::default(), Vec::new());
    let mut bags: Vec<Vec<Vec<(u32, u32)>>> = columns.iter().map(|_| Vec::with_capacity(documents.len())).collect();
    for part in parts {
        let mut number = |word: Vec<char>| {
            *places.entry(key(&word)).or_insert_with(|| {
                words.push(word);
                words.len() as u32 - 1
            })
        };
        let numbers: Vec<u32> = part.words.into_iter().map(&mut number).collect();
        for document in part.documents {
            for (into, bag) in bags.iter_mut().zip(document) {
                into.push(bag.into_iter().map(|(word, count)| (numbers[word as usize], count)).collect());
            }
        }
    }
    let named = in_shards(pool, words.len(), |range| {
        let mut all = Vec::new();
        for word in &words[range] {
            let mut own = Vec::with_capacity(1 + (word.len() + 1) * (1 + LONGEST - SHORTEST));
            names(word, |name| own.push(name));
            all.push(own);
        }
        all
    });
    let mut features: Vec<Vec<u32>> = named.into_iter().flatten().collect();
    // Words share most of their features; growing costs more than room.
    let room = 8 * features.len();
    let (mut numbers, mut names) = (Map::<u32, u32>::with_capacity_and_hasher(room, <_>::default()), Vec::new());
    for feature in features.iter_mut().flatten() {
        *feature = *numbers.entry(*feature).or_insert_with(|| {
            names.push(*feature);
            names.len() as u32 - 1
        });
    }
    Analysis { features, names, bags }
}

/// The documents of a bag as features.
pub(crate) struct Counted {
    /// The name of each feature.
    pub(crate) names: Vec<u32>,
    /// By document, its features, each with how often it is there.
    pub(crate) documents: Vec<Vec<(u32, u32)>>,
}

impl Analysis {
    /// Counts the features of a bag, without most of those that are not in
    /// `least ..= most` of the first `count` documents: what the words tell of
    /// that saves counting them.
    pub(crate) fn count(&self, bag: usize, count: usize, (least, most): (u32, u32), pool: &Pool) -> Counted {
        let documents = &self.bags[bag];
        let mut of_words = vec![0_u32; self.features.len()];
        documents[..count].iter().flatten().for_each(|(word, _)| of_words[*word as usize] += 1);
        // A feature is in no more documents than its words together, and in no
        // fewer than each of them.
        let mut bounds = vec![(0_u32, 0_u32); self.names.len()];
        for (features, &rows) in self.features.iter().zip(&of_words).filter(|(_, rows)| **rows > 0) {
            for &feature in features {
                let (together, each) = &mut bounds[feature as usize];
                (*together, *each) = (together.saturating_add(rows), rows.max(*each));
            }
        }
        let (mut names, mut numbers) = (Vec::new(), vec![u32::MAX; bounds.len()]);
        for (feature, (together, each)) in bounds.into_iter().enumerate() {
            if together >= least && each <= most {
                numbers[feature] = names.len() as u32;
                names.push(self.names[feature]);
            }
        }
        let (mut ends, mut features) = (vec![0], Vec::new());
        let mut there = vec![false; self.features.len()];
        documents.iter().flatten().for_each(|(word, _)| there[*word as usize] = true);
        for (own, there) in self.features.iter().zip(there) {
            let own = if there { own.as_slice() } else { &[] };
            let kept = own.iter().map(|feature| numbers[*feature as usize]);
            features.extend(kept.filter(|number| *number != u32::MAX));
            ends.push(features.len());
        }
        let counted = in_shards(pool, documents.len(), |range| {
            let (mut counts, mut seen) = (vec![0_u32; names.len()], Vec::new());
            let mut count = |document: &Vec<(u32, u32)>| -> Vec<(u32, u32)> {
                for &(word, times) in document {
                    for &feature in &features[ends[word as usize]..ends[word as usize + 1]] {
                        let count = &mut counts[feature as usize];
                        if *count == 0 {
                            seen.push(feature);
                        }
                        *count = count.saturating_add(times);
                    }
                }
                seen.drain(..).map(|feature| (feature, std::mem::take(&mut counts[feature as usize]))).collect()
            };
            documents[range].iter().map(&mut count).collect::<Vec<_>>()
        });
        Counted { names, documents: counted.into_iter().flatten().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(word: &str) -> Vec<u32> {
        let (mut found, word) = (Vec::new(), word.chars().collect::<Vec<_>>());
        names(&word, |name| found.push(name));
        found
    }

    /// Files hold these names: a change is another format. They were computed
    /// in Python from the head of this file.
    #[test]
    fn the_names_of_features_do_not_change() {
        let na = [763420833, 932987972, 3304903930, 3739879789, 4086336005, 1543187359, 2073993781];
        assert_eq!(named("na"), na);
        let marked = [2217734384, 3346521363, 4002395535, 3285997739, 84606232, 1095795893, 2667559749];
        assert_eq!(named("ọ\u{300}"), marked);
    }

    #[test]
    fn words_are_letters_with_their_marks() {
        let found = |text: &str| -> Vec<(String, u32)> {
            bag([text]).into_iter().map(|(word, count)| (word.into_iter().collect(), count)).collect()
        };
        let once = |word: &str| (word.to_owned(), 1);
        // Decomposed and composed are one word; small and large letters too.
        assert_eq!(
            found("Ìjọba, ìjo\u{323}ba! N'ilé-iṣẹ́"),
            [("ìjọba".to_owned(), 2), once("n"), once("ilé"), once("iṣẹ\u{301}")]
        );
        assert_eq!(found("ትምህርት ቤት 2026 हिन्दी"), ["ትምህርት", "ቤት", "2026", "हिन्दी"].map(once));
        assert!(found(" \u{300}\u{300} ?! \n").is_empty());
        // A text without spaces is bounded.
        let long = found(&"字".repeat(100_000));
        assert_eq!((long.len(), long[0].0.chars().count()), (1, WORD_CHARACTERS_MAX));
    }

    #[test]
    fn documents_are_counted_alike_with_any_number_of_threads() {
        let documents: Vec<Vec<String>> =
            (0..200).map(|i| vec![format!("kichwa {}", i % 7), format!("habari ya {} na {}", i % 5, i % 3)]).collect();
        let counted = |threads| {
            let pool = Pool::new(threads);
            let analysis = analyse(&documents, &bags(2, 1), &pool);
            (0..2)
                .map(|bag| analysis.count(bag, 200, (2, 150), &pool))
                .map(|c| (c.names, c.documents))
                .collect::<Vec<_>>()
        };
        let one = counted(1);
        assert_eq!(one, counted(3));
        // The column alone has no words of the other; both have none that all have.
        let word = |word: &str| named(word)[0];
        assert!(one[0].0.contains(&word("5")) && one[1].0.contains(&word("6")));
        assert!(!one[1].0.contains(&word("habari")) && !one[0].0.contains(&word("habari")));
    }
}
