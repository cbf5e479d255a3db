//! Looking at a corpus: which rows of its two tables are wanted, and a random
//! sample of them that is the same every time.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
};

use kwaya_base::Result;

use crate::{
    Reason,
    corpus::{Document, Dropped},
    table::{Reader, Row},
};

/// Which documents are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// In this language.
    pub language: Option<String>,
    /// In this file, or in files of this folder.
    pub source: Option<String>,
    /// In the source of this number.
    pub origin: Option<u64>,
    /// Dropped for this reason.
    pub reason: Option<Reason>,
    /// Dropped by the filter of this name: what the detail begins with.
    pub filter: Option<String>,
}

impl Wanted {
    /// Whether this document is.
    pub fn document(&self, document: &Document) -> bool {
        self.place(&document.language, &document.source, document.origin)
    }

    /// Whether what was dropped here is.
    pub fn dropped(&self, dropped: &Dropped) -> bool {
        self.place(&dropped.language, &dropped.source, dropped.origin)
            && self.reason.is_none_or(|reason| reason == dropped.reason)
            && self.filter.as_ref().is_none_or(|filter| dropped.detail.starts_with(filter.as_str()))
    }

    fn place(&self, language: &str, name: &str, origin: u64) -> bool {
        let inside = |folder: &String| {
            let rest = name.strip_prefix(folder.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.language.as_ref().is_none_or(|wanted| wanted == language)
            && self.origin.is_none_or(|wanted| wanted == origin)
            && self.source.as_ref().is_none_or(inside)
    }
}

/// What a row is drawn by.
pub trait Drawn {
    /// What it is a sample of: documents that were kept, or one reason.
    fn group(&self) -> &'static str;
    /// What makes it this row and no other.
    fn mark(&self) -> [&str; 3];
}

impl Drawn for Document {
    fn group(&self) -> &'static str {
        ""
    }

    fn mark(&self) -> [&str; 3] {
        [&self.id, "", ""]
    }
}

impl Drawn for Dropped {
    fn group(&self) -> &'static str {
        self.reason.key()
    }

    fn mark(&self) -> [&str; 3] {
        [&self.letters, &self.source, &self.detail]
    }
}

/// Draws `count` of each group from `rows`: those with the lowest hashes, so
/// that each row has the same chance, and the same seed gives the same sample
/// whatever the order of the rows.
///
/// # Errors
/// The first of the rows.
pub fn sample<R: Drawn>(
    rows: impl Iterator<Item = Result<R>>,
    count: usize,
    seed: u64,
) -> Result<BTreeMap<&'static str, Vec<R>>> {
    let mut groups: BTreeMap<&'static str, BTreeMap<[u8; 32], R>> = BTreeMap::new();
    for row in rows {
        let row = row?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        for part in row.mark() {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let group = groups.entry(row.group()).or_default();
        if let Entry::Vacant(place) = group.entry(*hasher.finalize().as_bytes()) {
            place.insert(row);
        }
        if group.len() > count {
            group.pop_last();
        }
    }
    Ok(groups.into_iter().map(|(name, rows)| (name, rows.into_values().collect())).collect())
}

/// The document with this id in the table at `path`, found without reading the
/// others.
///
/// # Errors
/// When the table is not there or damaged.
pub fn document(path: &Path, id: &str) -> Result<Option<Document>> {
    let mut found = None;
    Reader::<Document>::scan(path, "id", |number, other| {
        found = (other == id).then_some(number);
        found.is_none()
    })?;
    let numbers: Vec<u64> = found.into_iter().collect();
    Ok(Reader::pick(path, &numbers)?.pop())
}

/// A page of a table: some of its rows, and whether there are more after them.
#[derive(Debug)]
pub struct Page<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Whether there are more.
    pub more: bool,
}

/// The page of `count` documents after the first `skip`, all or those in one
/// language. What is before it and in other languages is not unpacked.
///
/// # Errors
/// When the table is not there or damaged.
pub fn documents_page(path: &Path, language: Option<&str>, skip: u64, count: usize) -> Result<Page<Document>> {
    page(path, language.map(|language| ("language", language)), skip, count)
}

/// The same of what was dropped, all or for one reason.
///
/// # Errors
/// As [`documents_page`].
pub fn dropped_page(path: &Path, reason: Option<Reason>, skip: u64, count: usize) -> Result<Page<Dropped>> {
    page(path, reason.map(|reason| ("reason", reason.key())), skip, count)
}

fn page<R: Row>(path: &Path, only: Option<(&str, &str)>, skip: u64, count: usize) -> Result<Page<R>> {
    let mut numbers = Vec::new();
    match only {
        None => {
            let total = Reader::<R>::open(path)?.total();
            numbers.extend(skip.min(total)..skip.saturating_add(count as u64 + 1).min(total));
        }
        Some((column, wanted)) => {
            let mut before = 0;
            Reader::<R>::scan(path, column, |number, value| {
                if value == wanted {
                    before += 1;
                    numbers.extend((before > skip).then_some(number));
                }
                numbers.len() <= count
            })?;
        }
    }
    let more = numbers.len() > count;
    numbers.truncate(count);
    Ok(Page { rows: Reader::pick(path, &numbers)?, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize, reason: Reason) -> Dropped {
        let name = format!("{}/{number:03}.txt", if number.is_multiple_of(2) { "barua" } else { "barua2" });
        Dropped { detail: format!("short {number}"), language: "sw".into(), ..Dropped::new(name, 0, reason) }
    }

    #[test]
    fn a_sample_is_the_same_in_any_order_and_has_so_many_of_each_reason() {
        let rows = |turn: usize| {
            let mut rows: Vec<_> =
                (0..500).map(|i| row(i, if i < 490 { Reason::TooShort } else { Reason::NotText })).collect();
            rows.rotate_left(turn);
            rows.into_iter().map(Ok)
        };
        let drawn = sample(rows(0), 20, 7).unwrap();
        assert_eq!(drawn, sample(rows(123), 20, 7).unwrap());
        assert_ne!(drawn, sample(rows(0), 20, 8).unwrap());
        assert_eq!((drawn["too-short"].len(), drawn["not-text"].len()), (20, 10));
        // From all over the table.
        let halves = drawn["too-short"].iter().filter(|row| row.source.as_str() < "barua2").count();
        assert!((3..=17).contains(&halves), "{halves}");
    }

    #[test]
    fn rows_are_wanted_by_place_language_reason_and_filter() {
        let one = row(2, Reason::TooShort);
        let folder = |name: &str| Wanted { source: Some(name.into()), ..Wanted::default() };
        assert!(
            folder("barua").dropped(&one) && folder("barua/").dropped(&one) && folder("barua/002.txt").dropped(&one)
        );
        assert!(!folder("bar").dropped(&one) && !folder("barua").dropped(&row(3, Reason::TooShort)));
        let wanted = Wanted { reason: Some(Reason::TooShort), filter: Some("short".into()), ..Wanted::default() };
        assert!(wanted.dropped(&one) && !wanted.dropped(&row(2, Reason::NotText)));
        assert!(!Wanted { filter: Some("long".into()), ..wanted }.dropped(&one));
        assert!(!Wanted { language: Some("en".into()), ..Wanted::default() }.dropped(&one));
        assert!(!Wanted { origin: Some(2), ..Wanted::default() }.dropped(&one));
    }
}
