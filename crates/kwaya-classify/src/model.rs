//! A classifier: weights of hashed features for each label, and what is said
//! with an answer.

use std::collections::BTreeMap;

use kwaya_math::Pool;
use serde::{Deserialize, Serialize};

use crate::{
    calibrate::Calibration,
    features::{self, Map},
    measure::Measures,
};

/// A word, and how much it speaks for a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Telling {
    /// The word, in small letters.
    pub word: String,
    /// Its part of the score.
    pub weight: f32,
}

/// All about a classifier but its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The columns with text that it was trained on.
    pub text: Vec<String>,
    /// The column with the label.
    pub label: String,
    /// The labels, sorted.
    pub labels: Vec<String>,
    /// Rows of each label that it was trained on.
    pub rows: Vec<u64>,
    /// What an error cost beside large weights, as cross-validation chose it.
    pub cost: f32,
    /// How scores become answers.
    #[serde(flatten)]
    pub calibration: Calibration,
    /// How good answers were to rows that were held out, in turn.
    pub held_out: Measures,
    /// The words that spoke most for each label.
    pub telling: Vec<Vec<Telling>>,
    /// Which columns make each bag of words, and what it weighs.
    pub(crate) bags: Vec<Bag>,
}

/// A bag of words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bag {
    /// Numbers of columns.
    pub(crate) columns: Vec<usize>,
    /// The length of its part of the vector of a document.
    pub(crate) weight: f32,
}

/// The features of one bag.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// Hashes, rising.
    pub(crate) names: Vec<u32>,
    /// How rare each is.
    pub(crate) rarity: Vec<f32>,
    /// What its weights are multiplied by.
    pub(crate) scales: Vec<f32>,
    /// Its weights, one for each label.
    pub(crate) weights: Vec<i8>,
}

/// The answer to a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The number of the likeliest label.
    pub label: usize,
    /// Whether that is likely enough.
    pub sure: bool,
    /// How likely each label is.
    pub probabilities: Vec<f64>,
}

/// A classifier that answers.
#[derive(Clone, Debug)]
pub struct Classifier {
    pub(crate) about: About,
    pub(crate) tables: Vec<Table>,
    pub(crate) intercepts: Vec<f32>,
    /// By bag, the place of each name.
    places: Vec<Map<u32, u32>>,
}

/// The words of a bag of a text, and what is known of them.
struct Known {
    words: Vec<(Vec<char>, u32, std::ops::Range<usize>)>,
    /// The features of the words, one after another.
    features: Vec<u32>,
    /// Each feature once, with its number.
    values: Vec<(u32, f32)>,
}

/// `1 + ln count`: the tenth mention says less than the first.
pub(crate) fn damped(count: u32) -> f32 {
    (1.0 + kwaya_math::scalar::log2(f64::from(count.max(1))) * std::f64::consts::LN_2) as f32
}

/// Brings the numbers of a bag to length 1.
pub(crate) fn normalise(values: &mut [(u32, f32)]) {
    let length = values.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        values.iter_mut().for_each(|(_, value)| *value /= length);
    }
}

impl Classifier {
    pub(crate) fn new(about: About, tables: Vec<Table>, intercepts: Vec<f32>) -> Self {
        let places = tables.iter().map(|table| (0..).zip(&table.names).map(|(place, name)| (*name, place)).collect());
        let places = places.collect();
        Self { about, tables, intercepts, places }
    }

    /// What it was made from, how good it is, and which words tell.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// How many features it knows.
    pub fn features(&self) -> usize {
        self.tables.iter().map(|table| table.names.len()).sum()
    }

    /// The row of a text whose columns are not known: it stands where the long
    /// texts stood.
    pub fn row(&self, text: &str) -> Vec<String> {
        let alone = |column: usize| self.about.bags[1..].iter().any(|bag| bag.columns == [column]);
        let count = self.about.text.len();
        let long = (0..count).find(|column| !alone(*column)).unwrap_or(0);
        (0..count).map(|column| if column == long { text.to_owned() } else { String::new() }).collect()
    }

    fn known(&self, bag: usize, texts: &[impl AsRef<str>]) -> Known {
        let (table, places) = (&self.tables[bag], &self.places[bag]);
        let columns = self.about.bags[bag].columns.iter().map(|column| texts[*column].as_ref());
        let (mut words, mut features, mut counts) = (Vec::new(), Vec::new(), Map::<u32, usize>::default());
        let mut values: Vec<(u32, u32)> = Vec::new();
        for (word, times) in features::bag(columns) {
            let start = features.len();
            features::names(&word, |name| {
                let Some(&feature) = places.get(&name) else { return };
                features.push(feature);
                let place = *counts.entry(feature).or_insert(values.len());
                match values.get_mut(place) {
                    Some((_, count)) => *count = count.saturating_add(times),
                    None => values.push((feature, times)),
                }
            });
            words.push((word, times, start..features.len()));
        }
        let value = |(feature, count)| (feature, damped(count) * table.rarity[feature as usize]);
        let mut values: Vec<(u32, f32)> = values.into_iter().map(value).collect();
        normalise(&mut values);
        values.iter_mut().for_each(|(_, value)| *value *= self.about.bags[bag].weight);
        Known { words, features, values }
    }

    /// The score of each label for a row of texts, one for each column.
    fn scores(&self, texts: &[impl AsRef<str>]) -> Vec<f32> {
        let mut scores = self.intercepts.clone();
        let labels = scores.len();
        for (bag, table) in self.tables.iter().enumerate() {
            for (feature, value) in self.known(bag, texts).values {
                let feature = feature as usize;
                let value = value * table.scales[feature];
                let weights = &table.weights[feature * labels..(feature + 1) * labels];
                for (score, weight) in scores.iter_mut().zip(weights) {
                    *score += f32::from(*weight) * value;
                }
            }
        }
        scores
    }

    /// The answer to a row of texts, one for each column of [`About::text`].
    ///
    /// # Panics
    /// When there are fewer texts than columns.
    pub fn answer(&self, texts: &[impl AsRef<str>]) -> Answer {
        self.about.calibration.answer(&self.scores(texts))
    }

    /// The answers to many rows, in their order.
    ///
    /// # Panics
    /// As [`Classifier::answer`].
    pub fn answers(&self, rows: &[Vec<String>], pool: &Pool) -> Vec<Answer> {
        let made = features::in_shards(pool, rows.len(), |range| {
            rows[range].iter().map(|texts| self.answer(texts)).collect::<Vec<_>>()
        });
        made.into_iter().flatten().collect()
    }

    /// The words of a row that spoke most for a label, the most telling first:
    /// the parts of all words and the intercept add up to the score.
    ///
    /// # Panics
    /// As [`Classifier::answer`], and for a label that there is none of.
    pub fn because(&self, texts: &[impl AsRef<str>], label: usize, most: usize) -> Vec<Telling> {
        let mut parts = self.parts(texts, label);
        parts.retain(|telling| telling.weight > 0.0);
        parts.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.word.cmp(&b.word)));
        parts.truncate(most);
        parts
    }

    /// The part of each word in the score of `label`.
    pub(crate) fn parts(&self, texts: &[impl AsRef<str>], label: usize) -> Vec<Telling> {
        let (labels, mut parts) = (self.intercepts.len(), BTreeMap::<String, f32>::new());
        for (bag, table) in self.tables.iter().enumerate() {
            let known = self.known(bag, texts);
            let mut counts: Map<u32, u32> = Map::default();
            for (_, times, range) in &known.words {
                for feature in &known.features[range.clone()] {
                    *counts.entry(*feature).or_default() += times;
                }
            }
            // What a feature says is shared among the words that have it.
            let shared: Map<u32, f32> = known
                .values
                .iter()
                .map(|&(feature, value)| {
                    let weight = f32::from(table.weights[feature as usize * labels + label]);
                    let said = weight * table.scales[feature as usize] * value;
                    (feature, said / counts[&feature] as f32)
                })
                .collect();
            for (word, times, range) in &known.words {
                let said: f32 = known.features[range.clone()].iter().map(|feature| shared[feature]).sum();
                *parts.entry(word.iter().collect()).or_default() += said * *times as f32;
            }
        }
        parts.into_iter().map(|(word, weight)| Telling { word, weight }).collect()
    }

    /// The number of a label.
    pub fn label(&self, name: &str) -> Option<usize> {
        self.about.labels.binary_search_by(|label| label.as_str().cmp(name)).ok()
    }
}
