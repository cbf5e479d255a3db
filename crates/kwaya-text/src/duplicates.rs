//! Exact and near duplicates, among more documents than fit in memory.
//!
//! Near duplicates are those whose sets of shingles, five words each, have a
//! Jaccard similarity of the threshold or more. Candidates are found by MinHash
//! (Broder 1997) with one permutation for all slots (Li, Owen and Zhang 2012),
//! empty slots filled from the next full one (Shrivastava and Li 2014), and
//! banding (Leskovec et al., "Mining of Massive Datasets", chapter 3). The
//! signatures give an estimate; where it is near the threshold the texts
//! themselves are compared.
//!
//! ```text
//! exact:  sort (hash, document); all but the first of a hash are duplicates
//! near:   sort (band, document); those of a band are candidates: each with the
//!         first of the band and with the one before it
//!         sort (later, earlier); a document is a duplicate if it is like the
//!         document that one of its candidates is kept as
//! ```
//!
//! The earlier document is kept, so that those that are kept are not alike. What
//! comes out depends on the documents and their order alone.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Progress, Result, error::At};

use crate::{
    sort::{Sorted, Sorter},
    spool::{Key, Spool},
};

/// Slots of a signature.
pub(crate) const SLOTS: usize = 96;
/// Slots in a band may be so many; fewer find less alike documents, and more
/// candidates that are none.
const BAND_SLOTS: [usize; 6] = [12, 8, 6, 4, 3, 2];
/// The chance, at least, that two documents which are just alike enough share a
/// band: 0.992 at a threshold of 0.8.
const RECALL_MIN: f64 = 0.97;
/// An estimate that is further from the threshold than this is believed, three
/// standard errors of 96 slots, if there are enough shingles for all slots.
const ESTIMATE_ERROR: f64 = 0.15;
/// Shorter texts have fewer.
const ESTIMATE_BYTES_MIN: u64 = 1500;
/// Words in a shingle.
const WORDS: usize = 5;
/// Characters in a shingle of a script that does not part words.
const CHARACTERS: usize = 8;
/// Longer "words" on average mean that words are not parted, in bytes.
const WORD_BYTES_MAX: usize = 40;

/// The MinHash signature of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature(pub(crate) [u16; SLOTS]);

/// A document that is dropped for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) document: u32,
    /// The one that is kept.
    pub(crate) of: u32,
    /// Whether they are the same to the byte.
    pub(crate) exact: bool,
}

impl Duplicate {
    fn record(self) -> u128 {
        u128::from(self.document) << 64 | u128::from(self.of) << 32 | u128::from(self.exact)
    }

    fn of_record(record: u128) -> Self {
        Self { document: (record >> 64) as u32, of: (record >> 32) as u32, exact: record & 1 == 1 }
    }
}

/// A bit for each document.
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// `count` bits, none of them set.
    pub(crate) fn new(count: u32) -> Self {
        Self(vec![0; (count as usize).div_ceil(64)])
    }

    pub(crate) fn set(&mut self, index: u32) {
        self.0[index as usize / 64] |= 1 << (index % 64);
    }

    pub(crate) fn get(&self, index: u32) -> bool {
        self.0[index as usize / 64] >> (index % 64) & 1 == 1
    }
}

/// The duplicates among the documents of `spool` that are not in `gone`, by
/// their numbers; they are put there. A `threshold` above 1 finds none that are
/// only near. Takes about `memory` bytes, and space in `folder`.
///
/// # Errors
/// `interrupted`, and what the disk brings.
pub(crate) fn find(
    spool: &mut Spool,
    gone: &mut Bits,
    threshold: f64,
    memory: usize,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<impl Iterator<Item = Result<Duplicate>> + use<>> {
    let mut found = Sorter::new(folder, memory / 4);
    let mut hashes = Sorter::new(folder, memory / 2);
    for key in spool.keys()? {
        let (document, key) = key?;
        if !gone.get(document) {
            let hash = u128::from_le_bytes(key.hash[..16].try_into().expect("a hash has 32 bytes"));
            hashes.push(hash << 32 | u128::from(document))?;
        }
    }
    for follower in followers(hashes.finish()?) {
        let [of, _, document] = follower?;
        gone.set(document);
        found.push(Duplicate { document, of, exact: true }.record())?;
    }
    if threshold <= 1.0 {
        let candidates = candidates(spool, gone, threshold, memory, folder, progress)?;
        let mut judge = Judge { spool, threshold, kept_as: KeptAs::new(folder)?, later: None, earlier: None };
        for pair in candidates {
            let pair = pair?;
            let (document, earlier) = ((pair >> 32) as u32, pair as u32);
            if gone.get(document) {
                continue;
            }
            if progress.stopped() {
                return Err(Error::new("interrupted"));
            }
            if let Some(of) = judge.alike(document, earlier)? {
                gone.set(document);
                judge.kept_as.set(document, of)?;
                found.push(Duplicate { document, of, exact: false }.record())?;
            }
        }
    }
    Ok(found.finish()?.map(|record| record.map(Duplicate::of_record)))
}

/// Pairs of documents that share a band, as (later, earlier); some come twice.
fn candidates(
    spool: &Spool,
    gone: &Bits,
    threshold: f64,
    memory: usize,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Sorted> {
    let slots = band_slots(threshold);
    let mut bands = Sorter::new(folder, memory / 2);
    for key in spool.keys()? {
        let (document, key) = key?;
        progress.at(u64::from(document));
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        if let Some(signature) = key.signature.filter(|_| !gone.get(document)) {
            for band in signature.bands(slots) {
                bands.push(u128::from(band) << 32 | u128::from(document))?;
            }
        }
    }
    let mut pairs = Sorter::new(folder, memory / 4);
    for follower in followers(bands.finish()?) {
        let [first, before, document] = follower?;
        pairs.push(u128::from(document) << 32 | u128::from(first))?;
        if before != first {
            pairs.push(u128::from(document) << 32 | u128::from(before))?;
        }
    }
    pairs.finish()
}

/// Of the documents (the low 32 bits) under one key (the bits above) all but the
/// first, each after the first and the one before it.
fn followers(sorted: Sorted) -> impl Iterator<Item = Result<[u32; 3]>> {
    let mut last: Option<(u128, u32, u32)> = None;
    sorted.filter_map(move |record| match record {
        Err(error) => Some(Err(error)),
        Ok(record) => {
            let (key, document) = (record >> 32, record as u32);
            let group = last.filter(|(other, ..)| *other == key);
            last = Some((key, group.map_or(document, |(_, first, _)| first), document));
            group.map(|(_, first, before)| Ok([first, before, document]))
        }
    })
}

/// Compares candidates.
struct Judge<'a> {
    spool: &'a mut Spool,
    threshold: f64,
    kept_as: KeptAs,
    /// The documents that were compared last: mostly they come again.
    later: Option<Side>,
    earlier: Option<Side>,
}

struct Side {
    document: u32,
    key: Key,
    shingles: Option<Vec<u64>>,
}

impl Judge<'_> {
    /// The document that `earlier` is kept as, where `later` is like it.
    fn alike(&mut self, later: u32, earlier: u32) -> Result<Option<u32>> {
        let earlier = self.kept_as.get(earlier)?;
        for (side, document) in [(&mut self.later, later), (&mut self.earlier, earlier)] {
            if side.as_ref().is_none_or(|side| side.document != document) {
                *side = Some(Side { document, key: self.spool.key(document)?, shingles: None });
            }
        }
        let (Some(a), Some(b)) = (&mut self.later, &mut self.earlier) else { unreachable!("both were just set") };
        let (Some(first), Some(second)) = (&a.key.signature, &b.key.signature) else { return Ok(None) };
        let mut similarity = first.similarity(second);
        let short = a.key.bytes.min(b.key.bytes) < ESTIMATE_BYTES_MIN;
        if short || (similarity - self.threshold).abs() <= ESTIMATE_ERROR {
            for side in [&mut *a, &mut *b] {
                if side.shingles.is_none() {
                    side.shingles = Some(shingles(&self.spool.text(&side.key)?));
                }
            }
            similarity = jaccard(a.shingles.as_deref().unwrap_or_default(), b.shingles.as_deref().unwrap_or_default());
        }
        Ok((similarity >= self.threshold).then_some(earlier))
    }
}

/// For each duplicate the document that it is kept as, on disk: four bytes each,
/// nothing where there is no duplicate.
struct KeptAs {
    folder: PathBuf,
    file: File,
    length: u64,
}

impl KeptAs {
    fn new(folder: &Path) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), file: tempfile::tempfile_in(folder).at(folder)?, length: 0 })
    }

    fn get(&mut self, document: u32) -> Result<u32> {
        let place = u64::from(document) * 4;
        if place >= self.length {
            return Ok(document);
        }
        let mut bytes = [0; 4];
        self.file.seek(SeekFrom::Start(place)).at(&self.folder)?;
        self.file.read_exact(&mut bytes).at(&self.folder)?;
        Ok(u32::from_le_bytes(bytes).checked_sub(1).unwrap_or(document))
    }

    fn set(&mut self, document: u32, of: u32) -> Result<()> {
        let place = u64::from(document) * 4;
        self.file.seek(SeekFrom::Start(place)).at(&self.folder)?;
        self.file.write_all(&(of + 1).to_le_bytes()).at(&self.folder)?;
        self.length = self.length.max(place + 4);
        Ok(())
    }
}

/// The largest band that still finds what is just alike enough.
fn band_slots(threshold: f64) -> usize {
    let power = |base: f64, exponent: usize| (0..exponent).fold(1.0, |product, _| product * base);
    let recall = |slots: usize| 1.0 - power(1.0 - power(threshold, slots), SLOTS / slots);
    BAND_SLOTS.into_iter().find(|slots| recall(*slots) >= RECALL_MIN).unwrap_or(2)
}

/// The share of two sorted sets that is in both.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        i += usize::from(x <= y);
        j += usize::from(y <= x);
        both += usize::from(x == y);
    }
    both as f64 / (a.len() + b.len() - both).max(1) as f64
}

/// The hashes of a text's shingles, each once, sorted.
fn shingles(text: &str) -> Vec<u64> {
    let mut shingles = Vec::new();
    for_each_shingle(text, |shingle| shingles.push(shingle));
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

impl Signature {
    /// The signature of a text, over lower-case letters and digits alone.
    /// None where there is no letter or digit.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let mut slots = [u32::MAX; SLOTS];
        for_each_shingle(text, |shingle| add(&mut slots, shingle));
        // What is alike has the same low bits too.
        let any = slots.iter().any(|slot| *slot != u32::MAX);
        any.then(|| Self(densify(slots).map(|slot| slot as u16)))
    }

    /// The estimate of the Jaccard similarity: the share of equal slots.
    fn similarity(&self, other: &Self) -> f64 {
        self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count() as f64 / SLOTS as f64
    }

    /// A hash of each band of so many slots.
    fn bands(&self, slots: usize) -> impl Iterator<Item = u64> + '_ {
        let bands = (1..).zip(self.0.chunks_exact(slots));
        bands.map(|(band, slots)| slots.iter().fold(band, |hash, slot| mix(hash ^ u64::from(*slot))))
    }
}

/// Calls `shingle` with the hash of every run of five words, or of eight
/// characters where words are not parted; of a shorter text with the one of all
/// its words.
fn for_each_shingle(text: &str, mut shingle: impl FnMut(u64)) {
    let hash = |words: &[u64]| words.iter().fold(0, |h, w| mix(h ^ w));
    // All words first: their ends cannot be foretold, and what is made of them need
    // not wait for that.
    let mut words = Vec::with_capacity(text.len() / 5);
    for_each_word(text, |word| words.push(word));
    words.windows(WORDS).for_each(|window| shingle(hash(window)));
    if !parts_words(text, words.len()) {
        let characters: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
        for window in characters.windows(CHARACTERS) {
            shingle(window.iter().fold(1, |h, c| mix(h ^ u64::from(*c))));
        }
    } else if (1..WORDS).contains(&words.len()) {
        let mut few = [0; WORDS];
        few[WORDS - words.len()..].copy_from_slice(&words);
        shingle(hash(&few));
    }
}

/// Whether a text of so many words is written with something between them.
pub(crate) fn parts_words(text: &str, words: usize) -> bool {
    text.len() <= words * WORD_BYTES_MAX
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
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Calls `word` with the hash of each run of letters and digits, lower case.
pub(crate) fn for_each_word(text: &str, mut word: impl FnMut(u64)) {
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
    use kwaya_base::Silent;

    use super::*;
    use crate::{prepare::Clean, spool::Batch, withdrawn::Letters};

    /// The duplicates among `texts`, found with `memory` bytes.
    fn duplicates(texts: &[String], threshold: f64, memory: usize) -> Vec<Duplicate> {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        for (file, text) in (0..).zip(texts) {
            let mut batch = Batch::default();
            let clean = Box::new(Clean { text: text.clone(), ..Clean::default() });
            let hash = *blake3::hash(text.as_bytes()).as_bytes();
            let signature = Signature::of(text);
            let key =
                Key { file, bytes: 0, entry: 0, hash, letters: Letters::of(text), language: String::new(), signature };
            batch.keep(clean, key, std::iter::empty());
            spool.append(batch).unwrap();
        }
        let mut gone = Bits::new(spool.documents());
        let found: Vec<Duplicate> =
            find(&mut spool, &mut gone, threshold, memory, dir.path(), &Silent).unwrap().map(Result::unwrap).collect();
        assert!((0..spool.documents()).all(|d| gone.get(d) == found.iter().any(|f| f.document == d)));
        found
    }

    fn near(document: u32, of: u32) -> Duplicate {
        Duplicate { document, of, exact: false }
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
        let first = text(1, 60);
        let mut texts = vec![first.clone(), first.clone(), first.replacen("mahindi", "mtama", 2), first.to_uppercase()];
        texts.extend((2..200).map(|seed| text(seed, 60)));
        texts.push(first);
        let last = texts.len() as u32 - 1;
        let exact = |document| Duplicate { document, of: 0, exact: true };
        let found = duplicates(&texts, 0.8, 1 << 20);
        assert_eq!(found, [exact(1), near(2, 0), near(3, 0), exact(last)]);
        assert_eq!(duplicates(&texts, 2.0, 1 << 20), [exact(1), exact(last)]);
    }

    /// Each document is like the one before, the first and the last are not:
    /// what is like a document that is dropped may still be another text.
    #[test]
    fn those_that_are_kept_are_not_alike() {
        let sentences: Vec<String> = text(3, 120).lines().map(|line| format!("{line}\n")).collect();
        let texts: Vec<String> = (0..8).map(|i| sentences[i * 4..i * 4 + 60].concat()).collect();
        let found = duplicates(&texts, 0.8, 0);
        let kept: Vec<u32> = (0..8).filter(|d| found.iter().all(|f| f.document != *d)).collect();
        assert!(kept.len() >= 3, "{found:?}");
        for (i, a) in kept.iter().enumerate() {
            for b in &kept[..i] {
                assert!(jaccard(&shingles(&texts[*a as usize]), &shingles(&texts[*b as usize])) < 0.8);
            }
        }
        for Duplicate { document, of, .. } in found {
            assert!(kept.contains(&of), "{document} is kept as {of}");
            assert!(jaccard(&shingles(&texts[document as usize]), &shingles(&texts[of as usize])) >= 0.8);
        }
    }

    #[test]
    fn the_limit_of_memory_does_not_show() {
        let texts: Vec<String> = (0..300).map(|i| text(i % 100, 20 + i / 100)).collect();
        let found = duplicates(&texts, 0.8, 1 << 20);
        assert!(found.len() >= 190, "{}", found.len());
        assert_eq!(duplicates(&texts, 0.8, 0), found);
    }

    #[test]
    fn the_estimate_is_near_the_truth() {
        let whole = text(5, 400);
        let lines: Vec<&str> = whole.lines().collect();
        for share in [50, 80, 90] {
            let cut = lines[..lines.len() * share / 100].join("\n");
            let exact = jaccard(&shingles(&whole), &shingles(&cut));
            let found = Signature::of(&whole).unwrap().similarity(&Signature::of(&cut).unwrap());
            // Five standard errors of 96 slots.
            assert!((found - exact).abs() < 5.0 * (exact * (1.0 - exact) / 96.0).sqrt(), "{found} for {exact}");
        }
    }

    #[test]
    fn bands_are_chosen_for_the_threshold() {
        assert_eq!([0.5, 0.6, 0.7, 0.8, 0.9, 1.0].map(band_slots), [3, 3, 4, 6, 8, 12]);
    }

    #[test]
    fn short_and_unparted_texts_have_signatures() {
        let texts =
            ["a", "moja mbili tatu", "ភាសាខ្មែរជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជា", "ຂ້ອຍຮັກພາສາລາວຫຼາຍທີ່ສຸດໃນໂລກນີ້", "", "?", "!"];
        assert_eq!(duplicates(&texts.map(str::to_owned), 0.8, 0), []);
        assert_eq!(texts.map(|text| Signature::of(text).is_some()), [true, true, true, true, false, false, false]);
    }
}
