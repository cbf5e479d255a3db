//! Exact and near duplicates.
//!
//! Near duplicates are found by MinHash (Broder 1997) over shingles of five
//! words, with one permutation for all slots (Li, Owen and Zhang 2012) and
//! empty slots filled from the next full one (Shrivastava and Li 2014), and
//! banding (Leskovec et al., "Mining of Massive Datasets", chapter 3). What
//! shares a band is compared by signature, of which eight bits a slot are
//! kept (Li and König 2010). About 500 bytes a kept document stay in memory.

use std::collections::{HashMap, HashSet};

/// Bands of a signature; two documents that agree in one are compared.
const BANDS: usize = 16;
/// Slots in a band. At a similarity of 0.8 two documents meet with a
/// probability of 1 - (1 - 0.8^6)^16 = 0.992.
const BAND_SLOTS: usize = 6;
const SLOTS: usize = BANDS * BAND_SLOTS;
/// Words in a shingle.
const WORDS: usize = 5;
/// Characters in a shingle of a script that does not part words.
const CHARACTERS: usize = 8;
/// Longer "words" on average mean that words are not parted, in bytes.
const WORD_BYTES_MAX: usize = 40;

/// The MinHash signature of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature([u32; SLOTS]);

/// Whether a document is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is, and is remembered under this number.
    New,
    /// It is the same as document `.0`.
    Exact(u32),
    /// It is nearly the same as document `.0`.
    Near(u32),
}

/// The documents seen so far, asked in order: the earlier one wins.
pub(crate) struct Index {
    threshold: f32,
    exact: HashMap<[u8; 16], u32>,
    bands: HashMap<u64, u32>,
    kept: HashMap<u32, [u8; SLOTS]>,
}

impl Index {
    /// An empty index; `threshold` is the Jaccard similarity from which two
    /// documents count as the same. Above 1, only exact duplicates count.
    pub(crate) fn new(threshold: f32) -> Self {
        Self { threshold, exact: HashMap::new(), bands: HashMap::new(), kept: HashMap::new() }
    }

    /// Judges document `number` with the content hash `hash`; a new one is
    /// remembered. Without a signature it may be like others.
    pub(crate) fn judge(&mut self, number: u32, hash: &blake3::Hash, signature: Option<&Signature>) -> Verdict {
        let short: [u8; 16] = hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes");
        if let Some(first) = self.exact.get(&short) {
            return Verdict::Exact(*first);
        }
        let Some(signature) = signature else {
            self.exact.insert(short, number);
            return Verdict::New;
        };
        let bytes = signature.bytes();
        let keys: Vec<u64> = signature.bands().collect();
        if self.threshold <= 1.0 {
            let candidates: HashSet<u32> = keys.iter().filter_map(|key| self.bands.get(key).copied()).collect();
            // The earliest, whatever the order of the set.
            let alike = candidates.into_iter().filter(|c| similarity(&self.kept[c], &bytes) >= self.threshold).min();
            if let Some(first) = alike {
                return Verdict::Near(first);
            }
        }
        self.exact.insert(short, number);
        for key in keys {
            self.bands.entry(key).or_insert(number);
        }
        self.kept.insert(number, bytes);
        Verdict::New
    }
}

/// The estimate of the Jaccard similarity: the share of equal slots, less
/// what equal low bytes by chance would give.
fn similarity(a: &[u8; SLOTS], b: &[u8; SLOTS]) -> f32 {
    let equal = a.iter().zip(b).filter(|(a, b)| a == b).count() as f32 / SLOTS as f32;
    ((equal - 1.0 / 256.0) / (1.0 - 1.0 / 256.0)).max(0.0)
}

impl Signature {
    /// The signature of a text, over lower-case letters and digits alone.
    pub(crate) fn of(text: &str) -> Self {
        let mut slots = [u32::MAX; SLOTS];
        let mut recent = [0_u64; WORDS];
        let mut words = 0_usize;
        for_each_word(text, |word| {
            recent.rotate_left(1);
            recent[WORDS - 1] = word;
            words += 1;
            if words >= WORDS {
                add(&mut slots, recent.iter().fold(0, |h, w| mix(h ^ w)));
            }
        });
        if words == 0 || text.len() / words > WORD_BYTES_MAX {
            let characters: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
            for window in characters.windows(CHARACTERS) {
                add(&mut slots, window.iter().fold(1, |h, c| mix(h ^ u64::from(*c))));
            }
        } else if words < WORDS {
            add(&mut slots, recent.iter().fold(0, |h, w| mix(h ^ w)));
        }
        Self(densify(slots))
    }

    fn bands(&self) -> impl Iterator<Item = u64> + '_ {
        self.0
            .chunks_exact(BAND_SLOTS)
            .enumerate()
            .map(|(band, slots)| slots.iter().fold(band as u64 + 1, |h, s| mix(h ^ u64::from(*s))))
    }

    fn bytes(&self) -> [u8; SLOTS] {
        self.0.map(|slot| slot as u8)
    }
}

/// One permutation for all slots: the high bits of the hash choose the slot,
/// the low bits compete for it.
fn add(slots: &mut [u32; SLOTS], hash: u64) {
    let slot = ((u128::from(hash) * SLOTS as u128) >> 64) as usize;
    slots[slot] = slots[slot].min(hash as u32);
}

/// An empty slot takes the value of the next full one, changed by the
/// distance so that two texts do not agree by emptiness alone.
fn densify(slots: [u32; SLOTS]) -> [u32; SLOTS] {
    let full = |i: usize| (1..SLOTS).find(|d| slots[(i + d) % SLOTS] != u32::MAX);
    std::array::from_fn(|i| match slots[i] {
        u32::MAX => full(i).map_or(0, |d| slots[(i + d) % SLOTS].wrapping_add((d as u32).wrapping_mul(0x9e37_79b9))),
        value => value,
    })
}

/// A 64-bit finalizer (the one of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Calls `word` with the hash of each run of letters and digits, lower case.
fn for_each_word(text: &str, mut word: impl FnMut(u64)) {
    const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;
    let mut hash = EMPTY;
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let byte = bytes[i];
        if byte < 0x80 {
            // The common case, byte by byte.
            i += 1;
            if byte.is_ascii_alphanumeric() {
                hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3);
                continue;
            }
        } else {
            let character = text[i..].chars().next().expect("a character starts here");
            i += character.len_utf8();
            if character.is_alphanumeric() || unicode_normalization::char::is_combining_mark(character) {
                for lower in character.to_lowercase() {
                    hash = (hash ^ u64::from(lower)).wrapping_mul(0x100_0000_01b3);
                }
                continue;
            }
        }
        if hash != EMPTY {
            word(mix(hash));
            hash = EMPTY;
        }
    }
    if hash != EMPTY {
        word(mix(hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(index: &mut Index, number: u32, text: &str) -> Verdict {
        index.judge(number, &blake3::hash(text.as_bytes()), Some(&Signature::of(text)))
    }

    /// Sentences that differ from one another by their numbers.
    fn text(seed: u64, sentences: u64) -> String {
        let word =
            |i: u64| ["mahindi", "shamba", "mvua", "ghala", "mbegu", "mkulima", "kavu", "safi"][(mix(i) % 8) as usize];
        (0..sentences)
            .map(|s| {
                (0..9)
                    .map(|w| format!("{}{} ", word(seed * 7919 + s * 31 + w), mix(seed + s * 17 + w) % 40))
                    .collect::<String>()
                    + ".\n"
            })
            .collect()
    }

    #[test]
    fn copies_are_found_and_other_texts_are_kept() {
        let mut index = Index::new(0.8);
        let first = text(1, 60);
        assert_eq!(judge(&mut index, 0, &first), Verdict::New);
        assert_eq!(judge(&mut index, 1, &first), Verdict::Exact(0));
        let edited = first.replacen("mahindi", "mtama", 2);
        assert_eq!(judge(&mut index, 2, &edited), Verdict::Near(0));
        assert_eq!(judge(&mut index, 3, &first.to_uppercase()), Verdict::Near(0));
        for seed in 2..200 {
            assert_eq!(judge(&mut index, seed as u32 + 10, &text(seed, 60)), Verdict::New, "text {seed}");
        }
    }

    #[test]
    fn the_estimate_is_near_the_truth() {
        let whole = text(5, 400);
        let lines: Vec<&str> = whole.lines().collect();
        for share in [50, 80, 90] {
            let cut = lines[..lines.len() * share / 100].join("\n");
            let found = similarity(&Signature::of(&whole).bytes(), &Signature::of(&cut).bytes());
            // Five standard errors of 96 slots.
            let exact = share as f32 / 100.0;
            assert!((found - exact).abs() < 5.0 * (exact * (1.0 - exact) / 96.0).sqrt(), "{found} for {exact}");
        }
    }

    #[test]
    fn short_and_unparted_texts_have_signatures() {
        let mut index = Index::new(0.8);
        for (number, text) in ["", "a", "moja mbili tatu", "ភាសាខ្មែរជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជា", "ຂ້ອຍຮັກພາສາລາວຫຼາຍທີ່ສຸດໃນໂລກນີ້"]
            .iter()
            .enumerate()
        {
            assert_eq!(judge(&mut index, number as u32, text), Verdict::New, "{text}");
        }
    }
}
