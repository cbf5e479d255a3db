//! Which figures are good in one language: the limits of the papers where
//! they hold in every language, and learned ones where they do not.
//!
//! A learned limit is as far from the median as so many quartile distances
//! on its side: junk in a quarter of the documents does not move it. Where a
//! paper gives a limit, the looser of the two holds. No learned limit drops
//! more than [`Thresholds::SHARE_MAX`] of a language; one that would is moved
//! until it does not, and says so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Filter, Level, Measures, Wish, Wishes,
    distribution::{Distribution, Histogram, Spread},
    figure,
    filter::Bound,
    plain,
};

/// With fewer documents, what is usual is not known.
pub(crate) const DOCUMENTS_MIN: u64 = 300;
/// How many quartile distances from the median a learned limit is, gentle and
/// strict. The quartile of a normal distribution is at 0.67 deviations.
const DISTANCE: [u32; 2] = [9, 6];

/// The limits for the documents of one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    limits: BTreeMap<Filter, Limit>,
    /// How the figures of the documents lie to them.
    #[serde(default)]
    spreads: BTreeMap<Filter, Spread>,
}

/// What a figure may be, in ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// At least.
    pub low: Option<u32>,
    /// At most.
    pub high: Option<u32>,
    /// Where it is from.
    pub origin: Origin,
    /// How many of 10,000 documents of the language are beyond it, or in the
    /// last bin before it.
    pub share: u32,
}

/// Where a limit is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The recipe states it.
    Stated,
    /// A paper gives it.
    Published,
    /// It was learned from the documents of the language.
    Learned,
    /// It was learned, and moved so that it drops no more than
    /// [`Thresholds::SHARE_MAX`].
    Moved,
}

/// Why a document is not good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// The filter that says so.
    pub filter: Filter,
    /// Its figure.
    pub measured: f64,
    /// What it may be.
    pub limit: f64,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.measured > self.limit { '>' } else { '<' };
        write!(f, "{:.3} {sign} {:.3}", self.measured, self.limit)
    }
}

impl Thresholds {
    /// The part of 10,000 documents that a learned limit drops at most,
    /// gentle and strict.
    pub const SHARE_MAX: [u32; 2] = [500, 1500];

    /// The limits for the language of `documents`.
    pub fn learn(documents: &Distribution, wishes: &Wishes) -> Self {
        let limits = Filter::ALL.into_iter().filter_map(|filter| {
            let stated = wishes.limits.get(&filter);
            let level = match (wishes.level, stated) {
                (_, Some(Wish::Applied(false))) => None,
                // What is switched on by name is so at the gentle level.
                (Level::Off, Some(_)) => Some(Level::Gentle),
                (Level::Off, None) => None,
                (level, _) => Some(level),
            }? as usize
                - 1;
            let histogram = documents.of(filter);
            let limit = match stated {
                Some(Wish::Limit(limit)) => match filter.rule().levels[1] {
                    Bound::Low(_) | Bound::UsualLow => stated_limit(Some(*limit), None),
                    _ => stated_limit(None, Some(*limit)),
                },
                Some(Wish::Range([low, high])) => stated_limit(Some(*low), Some(*high)),
                _ => learn(filter, level, stated.is_some(), histogram)?,
            };
            Some((filter, limit.with_share(histogram)))
        });
        let limits: BTreeMap<Filter, Limit> = limits.collect();
        let spread = |(filter, limit): (&Filter, &Limit)| {
            let edges = [limit.low, limit.high].into_iter().flatten();
            Some((*filter, documents.of(*filter)?.spread(edges)))
        };
        let spreads = limits.iter().filter_map(spread).collect();
        Self { limits, spreads }
    }

    /// The first filter that finds fault with a document.
    pub fn judge(&self, measures: &Measures) -> Option<Fault> {
        self.limits.iter().find_map(|(&filter, limit)| {
            let measured = measures.figure(filter)?;
            let low = limit.low.filter(|low| measured < *low);
            let high = limit.high.filter(|high| measured > *high);
            let fault = |limit| Fault { filter, measured: plain(measured), limit: plain(limit) };
            low.or(high).map(fault)
        })
    }

    /// The limits, in the order of the filters; those of the filters that
    /// judge nothing in this language are missing.
    pub fn limits(&self) -> impl Iterator<Item = (Filter, &Limit)> {
        self.limits.iter().map(|(filter, limit)| (*filter, limit))
    }
}

fn stated_limit(low: Option<f64>, high: Option<f64>) -> Limit {
    Limit { low: low.map(figure), high: high.map(figure), origin: Origin::Stated, share: 0 }
}

impl Origin {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Published => "published",
            Self::Learned => "learned",
            Self::Moved => "moved",
        }
    }
}

impl Limit {
    /// The least and the most that a figure may be, for people.
    pub fn edges(&self) -> [Option<f64>; 2] {
        [self.low, self.high].map(|edge| edge.map(plain))
    }

    fn with_share(mut self, histogram: Option<&Histogram>) -> Self {
        if let Some(histogram) = histogram {
            let low = self.low.map_or(0, |low| histogram.below(low));
            let beyond = low + self.high.map_or(0, |high| histogram.above(high));
            self.share = (u128::from(beyond) * 10_000 / u128::from(histogram.documents().max(1))) as u32;
        }
        self
    }
}

/// The limit of a filter that the recipe says no number for. One that it
/// `names` holds at the strict level where the gentle one has none.
fn learn(filter: Filter, level: usize, names: bool, histogram: Option<&Histogram>) -> Option<Limit> {
    let rule = filter.rule();
    let bound = match rule.levels[level] {
        Bound::Off if names => rule.levels[1],
        bound => bound,
    };
    let (low, high, learns_low, learns_high) = match bound {
        Bound::Off => return None,
        Bound::Low(low) => (Some(figure(low)), None, true, false),
        Bound::High(high) => (None, Some(figure(high)), false, true),
        Bound::Between(low, high) => (Some(figure(low)), Some(figure(high)), true, true),
        Bound::UsualLow => (None, None, true, false),
        Bound::UsualHigh => (None, None, false, true),
    };
    let published = Limit { low, high, origin: Origin::Published, share: 0 };
    if !rule.by_language {
        return Some(published);
    }
    let histogram = histogram.filter(|histogram| histogram.documents() >= DOCUMENTS_MIN)?;
    let (quarter, median, three) = (histogram.quantile(2500), histogram.quantile(5000), histogram.quantile(7500));
    let distance =
        |quartile: u32| median.abs_diff(quartile).saturating_mul(DISTANCE[level]).max(figure(filter.distance_min()));
    let most = histogram.documents() * u64::from(Thresholds::SHARE_MAX[level]) / 10_000;
    let mut limit = published;
    if learns_low {
        let usual = median.saturating_sub(distance(quarter));
        let looser = low.map_or(usual, |low| low.min(usual));
        limit.set(low, looser, histogram.lower(looser, most), |limit, to| limit.low = Some(to));
    }
    if learns_high {
        let usual = median.saturating_add(distance(three));
        let looser = high.map_or(usual, |high| high.max(usual));
        limit.set(high, looser, histogram.raise(looser, most), |limit, to| limit.high = Some(to));
    }
    Some(limit)
}

impl Limit {
    /// Sets one side to `moved`, which is `looser` moved as far as it must be.
    fn set(&mut self, published: Option<u32>, looser: u32, moved: u32, side: impl Fn(&mut Self, u32)) {
        side(self, moved);
        if moved != looser {
            self.origin = Origin::Moved;
        } else if published != Some(looser) && self.origin != Origin::Moved {
            self.origin = Origin::Learned;
        }
    }
}
