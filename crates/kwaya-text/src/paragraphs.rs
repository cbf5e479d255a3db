//! Paragraphs that occur in several documents: notices, descriptions of the
//! author, a report that others quote whole. The first document that has one
//! keeps it.

use std::{iter::Peekable, path::Path};

use kwaya_base::Result;

use crate::{
    duplicates::Bits,
    sort::{Sorted, Sorter},
    spool::Spool,
};

/// Shorter ones are common phrases, and may occur wherever they fit.
const BYTES_MIN: usize = 100;
/// Lines that are longer than this on average are paragraphs; of shorter ones
/// those between two empty lines are one.
const LINE_BYTES: usize = 100;

/// The paragraphs of a normalised text, in order, with what parts each from the
/// next.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive("\n\n").flat_map(|block| {
        let lines = block.trim_end().lines().count().max(1);
        let line = if block.len() / lines > LINE_BYTES { "\n" } else { "\n\n" };
        // The last line of a block keeps the empty line after it.
        let (body, end) = block.split_at(block.trim_end().len());
        let mut parts: Vec<&str> = body.split_inclusive(line).collect();
        if let Some(last) = parts.pop() {
            parts.push(&block[body.len() - last.len()..body.len() + end.len()]);
        }
        parts
    })
}

/// The number and the hash of each paragraph that is long enough.
pub(crate) fn hashes(text: &str) -> impl Iterator<Item = (u32, u64)> {
    (0..).zip(split(text)).filter(|(_, paragraph)| paragraph.trim_end().len() >= BYTES_MIN).map(
        |(number, paragraph)| {
            let hash = blake3::hash(paragraph.trim_end().as_bytes());
            (number, u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes")))
        },
    )
}

/// The paragraphs to leave out.
pub(crate) struct Repeated(Option<Peekable<Sorted>>);

impl Repeated {
    /// None.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// All that an earlier document has, of those that are not in `gone`.
    ///
    /// # Errors
    /// What the disk brings.
    pub(crate) fn find(spool: &Spool, gone: &Bits, memory: usize, folder: &Path) -> Result<Self> {
        let mut sorter = Sorter::new(folder, memory / 2);
        for paragraph in spool.paragraphs()? {
            let (hash, document, number) = paragraph?;
            if !gone.get(document) {
                sorter.push(u128::from(hash) << 64 | u128::from(document) << 32 | u128::from(number))?;
            }
        }
        let mut found = Sorter::new(folder, memory / 2);
        let mut first = None;
        for record in sorter.finish()? {
            let record = record?;
            let (hash, document) = ((record >> 64) as u64, (record >> 32) as u32);
            match first {
                Some((other, keeper)) if other == hash => {
                    if document != keeper {
                        found.push(u128::from(record as u64))?;
                    }
                }
                _ => first = Some((hash, document)),
            }
        }
        Ok(Self(Some(found.finish()?.peekable())))
    }

    /// The text of `document` without them, and how many were left out; asked
    /// for documents in ascending order.
    ///
    /// # Errors
    /// What the disk brings.
    pub(crate) fn remove(&mut self, document: u32, text: String) -> Result<(String, u64)> {
        let Some(sorted) = &mut self.0 else { return Ok((text, 0)) };
        let mut numbers = Vec::new();
        while let Some(record) =
            sorted.next_if(|record| record.as_ref().map_or(true, |record| (record >> 32) as u32 <= document))
        {
            let record = record?;
            if (record >> 32) as u32 == document {
                numbers.push(record as u32);
            }
        }
        if numbers.is_empty() {
            return Ok((text, 0));
        }
        let left = (0..).zip(split(&text)).filter(|(number, _)| numbers.binary_search(number).is_err());
        let left: String = left.map(|(_, paragraph)| paragraph).collect();
        Ok((left.trim_end().to_owned(), numbers.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_lines_or_what_stands_between_empty_ones() {
        let long = "Mahindi huvunwa yakikauka, kisha hukaushwa tena juani kabla ya kuwekwa ghalani. ".repeat(2);
        let long = long.trim_end();
        let wrapped = "mvua kubwa\nilinyesha jana\nusiku kucha".to_owned();
        for (text, expected) in [
            (String::new(), vec![]),
            ("a".to_owned(), vec!["a"]),
            (format!("{long}\n{long}\n\n{wrapped}"), vec![long, long, &wrapped]),
            (format!("{wrapped}\n\n{wrapped}\n\na"), vec![&wrapped, &wrapped, "a"]),
        ] {
            let parts: Vec<&str> = split(&text).collect();
            assert_eq!(parts.concat(), text);
            assert_eq!(parts.iter().map(|part| part.trim_end()).collect::<Vec<_>>(), expected);
        }
        let numbers: Vec<u32> = hashes(&format!("Kichwa\n\n{long}\n{long}")).map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 2]);
    }
}
