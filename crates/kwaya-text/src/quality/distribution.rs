//! How the figures of one language are spread over its documents: a
//! histogram for each filter, of fixed bins, so that memory does not grow and
//! the order of the documents does not matter.

use serde::{Deserialize, Serialize};

use super::{Filter, Measures};

/// Bins for each doubling of a figure, as a power of two: a bin is at most
/// 1/64 of its figure wide.
const FINE_BITS: u32 = 6;
const FINE: u32 = 1 << FINE_BITS;

/// The figures of the documents of one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    documents: u64,
    figures: Vec<Histogram>,
}

/// One figure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Histogram {
    documents: u64,
    /// Documents in each bin, as far as the highest.
    bins: Vec<u64>,
}

/// The figures of a filter as a picture shows them: bars of one width, the
/// first and the last with all that is beyond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Where the first bar begins and the last ends, in ten-thousandths.
    pub from: u32,
    /// See `from`.
    pub to: u32,
    /// Documents in each bar.
    pub bars: Vec<u64>,
}

impl Spread {
    const BARS: u64 = 24;
    /// Of 10,000 documents, so many on either side may be beyond the bars.
    const BEYOND: u64 = 50;
}

impl Distribution {
    /// Documents that were counted.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Counts a document.
    pub fn add(&mut self, measures: &Measures) {
        self.documents += 1;
        self.figures.resize_with(Filter::COUNT, Histogram::default);
        for (histogram, filter) in self.figures.iter_mut().zip(Filter::ALL) {
            if let Some(figure) = measures.figure(filter) {
                histogram.add(figure);
            }
        }
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.documents += other.documents;
        self.figures.resize_with(Filter::COUNT, Histogram::default);
        self.figures.iter_mut().zip(&other.figures).for_each(|(histogram, other)| histogram.merge(other));
    }

    pub(super) fn of(&self, filter: Filter) -> Option<&Histogram> {
        self.figures.get(filter as usize).filter(|histogram| histogram.documents > 0)
    }
}

impl Histogram {
    fn add(&mut self, figure: u32) {
        let bin = bin(figure) as usize;
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += 1;
        self.documents += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.bins.resize(self.bins.len().max(other.bins.len()), 0);
        self.bins.iter_mut().zip(&other.bins).for_each(|(bin, other)| *bin += other);
        self.documents += other.documents;
    }

    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    /// The upper edge of the bin of the document at `share` (of 10,000) from
    /// below.
    pub(super) fn quantile(&self, share: u64) -> u32 {
        let rank = (u128::from(self.documents) * u128::from(share) / 10_000) as u64;
        let mut below = 0;
        let found = self.bins.iter().position(|count| {
            below += count;
            below > rank
        });
        upper(found.unwrap_or(self.bins.len().saturating_sub(1)) as u32)
    }

    /// The documents in bars, wide enough that `limits` are seen too.
    pub(super) fn spread(&self, limits: impl Iterator<Item = u32>) -> Spread {
        let usual = [Spread::BEYOND, 10_000 - Spread::BEYOND].map(|share| self.quantile(share));
        let [from, to] = limits.fold(usual, |[from, to], limit| [from.min(limit), to.max(limit)]);
        let mut bars = vec![0; Spread::BARS as usize];
        for (bin, count) in (0..).zip(&self.bins) {
            let middle = lower(bin) + (upper(bin) - lower(bin)) / 2;
            let along = u64::from(middle.clamp(from, to) - from);
            bars[(along * Spread::BARS / (u64::from(to - from) + 1)) as usize] += count;
        }
        Spread { from, to, bars }
    }

    /// Documents whose figure is surely or perhaps less than `limit`.
    pub(super) fn below(&self, limit: u32) -> u64 {
        (0..).zip(&self.bins).take_while(|(bin, _)| lower(*bin) < limit).map(|(_, count)| count).sum()
    }

    /// Documents whose figure is surely or perhaps more than `limit`.
    pub(super) fn above(&self, limit: u32) -> u64 {
        let first = self.bins.len().min(bin(limit) as usize + usize::from(limit == upper(bin(limit))));
        self.bins[first..].iter().sum()
    }

    /// The lowest limit that is at least `limit` and leaves at most `most`
    /// documents above it.
    pub(super) fn raise(&self, limit: u32, most: u64) -> u32 {
        let mut above = 0;
        let first = self.bins.iter().rposition(|count| {
            above += count;
            above > most
        });
        limit.max(first.map_or(0, |bin| upper(bin as u32)))
    }

    /// The highest limit that is at most `limit` and leaves at most `most`
    /// documents below it.
    pub(super) fn lower(&self, limit: u32, most: u64) -> u32 {
        let mut below = 0;
        let first = self.bins.iter().position(|count| {
            below += count;
            below > most
        });
        limit.min(first.map_or(u32::MAX, |bin| lower(bin as u32)))
    }
}

/// The bin of a figure: the figures below 64 have one each, and each doubling
/// after that has 64.
fn bin(figure: u32) -> u32 {
    match figure.checked_ilog2() {
        Some(log) if log >= FINE_BITS => (log - FINE_BITS + 1) * FINE + (figure >> (log - FINE_BITS)) - FINE,
        _ => figure,
    }
}

/// The least figure in a bin.
fn lower(bin: u32) -> u32 {
    match (bin / FINE).checked_sub(1) {
        Some(doublings) => (FINE + bin % FINE) << doublings,
        None => bin,
    }
}

/// The greatest figure in a bin.
fn upper(bin: u32) -> u32 {
    match (bin / FINE).checked_sub(1) {
        Some(doublings) => lower(bin) + ((1 << doublings) - 1),
        None => bin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_in_its_bin() {
        let figures = (0..5000).chain((0..32).flat_map(|bit| [(1_u32 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        for figure in figures.chain([u32::MAX - 1]) {
            let bin = bin(figure);
            assert!((lower(bin)..=upper(bin)).contains(&figure), "{figure}");
            assert!(u64::from(upper(bin) - lower(bin)) * 64 <= u64::from(figure), "{figure}");
            assert!(bin == 0 || upper(bin - 1) + 1 == lower(bin));
        }
    }

    #[test]
    fn limits_leave_no_more_than_asked() {
        let mut histogram = Histogram::default();
        (0..1000).for_each(|i| histogram.add(i * i));
        let exact = |limit: u32| (0..1000).filter(|i| i * i > limit).count() as u64;
        for most in [0, 1, 7, 50, 300, 999, 1000] {
            let limit = histogram.raise(0, most);
            assert!(exact(limit) <= most && histogram.above(limit) == exact(limit), "{most}");
            let limit = histogram.lower(u32::MAX, most);
            assert!((0..1000).filter(|i| i * i < limit).count() as u64 <= most, "{most}");
            assert!(histogram.below(limit) <= most);
        }
        assert_eq!((histogram.raise(5_000_000, 0), histogram.lower(3, 1000)), (5_000_000, 3));
        let median = histogram.quantile(5000);
        assert!((250_000..254_000).contains(&median), "{median}");
        assert_eq!(Histogram::default().quantile(5000), 0);
    }

    #[test]
    fn a_picture_has_every_document_and_shows_the_limits() {
        let mut histogram = Histogram::default();
        (0..1000).for_each(|i| histogram.add(10_000 + i * 10));
        histogram.add(u32::MAX - 1);
        for limits in [&[][..], &[100], &[15_000, 90_000], &[u32::MAX]] {
            let spread = histogram.spread(limits.iter().copied());
            assert_eq!(spread.bars.iter().sum::<u64>(), 1001);
            assert!(limits.iter().all(|limit| (spread.from..=spread.to).contains(limit)), "{spread:?}");
        }
        // A bar takes whole bins, here of 12 or 25 documents.
        let spread = histogram.spread(std::iter::empty());
        assert!(spread.bars.iter().all(|bar| (20..=75).contains(bar)), "{spread:?}");
        assert_eq!(Histogram::default().spread(std::iter::empty()).bars.iter().sum::<u64>(), 0);
    }
}
