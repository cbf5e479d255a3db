//! Which documents are kept from training, to measure with.

use std::collections::BTreeMap;

use kwaya_base::Result;

use crate::{
    corpus::Split,
    duplicates::Bits,
    spool::{Key, Spool},
};

/// Text held out of training in one language, at most: more makes the figures
/// no better and the measuring slower.
const BYTES_MAX: u64 = 2_000_000;

/// The choice: of each language the documents whose hash is in the lowest share
/// of all hashes, or in the share that makes about [`BYTES_MAX`]; of two
/// documents or more at least the lowest, and not all.
pub(crate) struct HeldOut(BTreeMap<String, Rule>);

enum Rule {
    /// Those with a hash that begins lower.
    Below(u64),
    /// The one with this hash.
    One([u8; 32]),
}

impl HeldOut {
    /// Chooses about `share`, from 0 to 1, of the documents that are not in `gone`.
    ///
    /// # Errors
    /// What the disk brings.
    pub(crate) fn choose(spool: &Spool, gone: &Bits, share: f64) -> Result<Self> {
        struct Language {
            documents: u64,
            bytes: u64,
            lowest: [u8; 32],
            /// Documents below the limit, and the limit.
            below: u64,
            limit: u64,
        }
        let mut languages: BTreeMap<String, Language> = BTreeMap::new();
        if share <= 0.0 {
            return Ok(Self(BTreeMap::new()));
        }
        for key in spool.keys()? {
            let (document, key) = key?;
            if gone.get(document) {
                continue;
            }
            let language = languages.entry(key.language).or_insert(Language {
                documents: 0,
                bytes: 0,
                lowest: key.hash,
                below: 0,
                limit: 0,
            });
            language.documents += 1;
            language.bytes += key.bytes;
            language.lowest = language.lowest.min(key.hash);
        }
        for language in languages.values_mut() {
            let share = share.min(BYTES_MAX as f64 / language.bytes as f64).min(1.0);
            language.limit = (share * u64::MAX as f64) as u64;
        }
        for key in spool.keys()? {
            let (document, key) = key?;
            if let Some(language) = languages.get_mut(&key.language).filter(|_| !gone.get(document)) {
                language.below += u64::from(rank(&key) < language.limit);
            }
        }
        languages.retain(|_, language| language.documents >= 2);
        let rules = languages.into_iter().map(|(tag, language)| {
            let some = language.below > 0 && language.below < language.documents;
            (tag, if some { Rule::Below(language.limit) } else { Rule::One(language.lowest) })
        });
        Ok(Self(rules.collect()))
    }

    /// What the document is for.
    pub(crate) fn split(&self, key: &Key) -> Split {
        let held_out = match self.0.get(&key.language) {
            None => false,
            Some(Rule::Below(limit)) => rank(key) < *limit,
            Some(Rule::One(hash)) => key.hash == *hash,
        };
        if held_out { Split::HeldOut } else { Split::Train }
    }
}

/// The place of a document among all that there could be.
fn rank(key: &Key) -> u64 {
    u64::from_be_bytes(key.hash[..8].try_into().expect("a hash has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prepare::Clean, spool::Batch, withdrawn::Letters};

    #[test]
    fn every_language_with_two_documents_is_measured_and_trained_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        let mut batch = Batch::default();
        let mut keep = |language: &str, number: u64| {
            let hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
            let key = Key {
                file: 0,
                bytes: 0,
                entry: 0,
                hash,
                letters: Letters::default(),
                language: language.to_owned(),
                signature: None,
            };
            batch.keep(Box::new(Clean { text: "x".repeat(3000), ..Clean::default() }), key, std::iter::empty());
        };
        (0..5000).for_each(|i| keep("sw", i));
        (0..2).for_each(|i| keep("en", 9000 + i));
        keep("yo", 10_000);
        spool.append(batch).unwrap();
        let count = |share: f64, gone: &Bits| {
            let held_out = HeldOut::choose(&spool, gone, share).unwrap();
            let mut counts = BTreeMap::from([("sw", 0), ("en", 0), ("yo", 0)]);
            for key in spool.keys().unwrap() {
                let (document, key) = key.unwrap();
                if !gone.get(document) && held_out.split(&key) == Split::HeldOut {
                    *counts.get_mut(key.language.as_str()).unwrap() += 1;
                }
            }
            ["sw", "en", "yo"].map(|language| counts[language])
        };
        let mut gone = Bits::new(spool.documents());
        let [sw, en, yo] = count(0.02, &gone);
        assert!((70..130).contains(&sw), "{sw}");
        assert_eq!((en, yo), (1, 0));
        // 15 MB of text, of which no more than 2 MB are held out.
        let [sw, en, yo] = count(1.0, &gone);
        assert!((600..730).contains(&sw), "{sw}");
        assert_eq!((en, yo), (1, 0));
        assert_eq!(count(0.0, &gone), [0, 0, 0]);
        // Of those that are gone none is chosen.
        (2..5001).for_each(|document| gone.set(document));
        assert_eq!(count(0.02, &gone), [1, 0, 0]);
    }
}
