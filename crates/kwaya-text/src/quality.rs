//! Which documents are good enough, by figures that hold in any language.
//!
//! ```text
//! Learner::add        every document, on any thread     → Knowledge
//! Knowledge::clean    takes lines out that are no text  → Cleaned
//! Knowledge::measure  one figure for each filter        → Measures
//! Distribution::add   the figures of one language       → Distribution
//! Thresholds::learn   what is good in that language     → Thresholds
//! Thresholds::judge   the first filter that finds fault → Fault
//! ```
//!
//! The rules are those of Gopher (Rae et al. 2021), C4 (Raffel et al. 2020)
//! and FineWeb (Penedo et al. 2024 and 2025), each a [`Filter`]. Their limits
//! were found on English: what depends on a language or its script is
//! learned from the documents in that language, as FineWeb2 does. Figures and
//! counts are whole numbers, and sums in any order are the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod characters;
mod distribution;
mod filter;
mod learner;
mod lines;
mod lists;
mod measures;
mod model;
mod repetition;
mod site;
mod thresholds;
pub mod words;

pub use distribution::{Distribution, Spread};
pub use filter::Filter;
pub use learner::{Knowledge, Learner};
pub use lines::{Cleaned, LineRule};
pub use lists::{PHRASES_MAX, WordLists};
pub use measures::Measures;
pub use model::{Model, Yardstick};
pub use site::SiteLines;
pub(crate) use thresholds::DOCUMENTS_MIN;
pub use thresholds::{Fault, Limit, Origin, Thresholds};

/// What a recipe says of quality: the table `[corpus.quality]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wishes {
    /// How much is asked of a document.
    pub level: Level,
    /// Filters that are to judge otherwise than the level says.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Filter, Wish>,
}

/// How much is asked of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What is certainly no text is dropped; right for a small corpus of
    /// documents that somebody chose.
    #[default]
    Gentle,
    /// The limits of the papers; right for pages of the web.
    Strict,
}

/// What a recipe says of one filter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wish {
    /// Whether it judges at all.
    Applied(bool),
    /// Its limit, on the side that it has.
    Limit(f64),
    /// Its lowest and highest figure.
    Range([f64; 2]),
}

impl Wishes {
    /// The first wish that cannot be followed: the key, the value, and what
    /// would be one.
    pub fn contradiction(&self) -> Option<(String, String, String)> {
        let most = plain(u32::MAX - 1).floor();
        self.limits.iter().find_map(|(filter, wish)| {
            let good = match wish {
                Wish::Applied(_) => true,
                Wish::Limit(limit) => (0.0..=most).contains(limit),
                Wish::Range([low, high]) => 0.0 <= *low && low <= high && *high <= most,
            };
            let value = match wish {
                Wish::Applied(applied) => applied.to_string(),
                Wish::Limit(limit) => limit.to_string(),
                Wish::Range([low, high]) => format!("[{low}, {high}]"),
            };
            (!good).then(|| (format!("corpus.quality.limits.{filter}"), value, format!("false, 0 – {most}")))
        })
    }
}

/// A figure in ten-thousandths.
fn figure(plain: f64) -> u32 {
    (plain * f64::from(filter::SCALE)).round() as u32
}

/// A figure for people.
fn plain(figure: u32) -> f64 {
    f64::from(figure) / f64::from(filter::SCALE)
}

/// Counts, little-endian.
fn write_counts(counts: &[u32], out: &mut Vec<u8>) {
    out.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
}

/// Fills `counts`; `None` where there are too few bytes.
fn read_counts(counts: &mut [u32], bytes: &mut &[u8]) -> Option<()> {
    let read = bytes.split_off(..4 * counts.len())?.as_chunks().0;
    counts.iter_mut().zip(read).for_each(|(count, bytes)| *count = u32::from_le_bytes(*bytes));
    Some(())
}

/// A number of eight bytes, little-endian.
fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.split_off(..8)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
