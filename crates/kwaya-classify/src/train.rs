//! Training: features are counted, settings chosen by cross-validation,
//! probabilities calibrated on the rows that were held out, and the chosen
//! settings trained on all rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_math::{Pool, philox, scalar};
use serde::Serialize;

use crate::{
    calibrate,
    features::{self, Analysis},
    measure::{self, Judged},
    model::{self, About, Bag, Classifier, Table, Telling},
    rows::{Columns, Row, Rows},
    solver::{self, LANES, Lanes, Problem, Solved, Sparse},
};

/// Bounds of what is trained on.
const ROWS_MAX: usize = 1 << 21;
const TEXT_BYTES_MAX: usize = 256 << 20;
const LABELS_MAX: usize = 1 << 10;

/// The rows are held out in so many parts, in turn.
const FOLDS: usize = 5;
/// A feature is in so many rows at least, and in this share of them at most:
/// what is in one row teaches nothing, what is in all tells nothing apart.
const IN_ROWS_MIN: u32 = 2;
const IN_SHARE_MAX: f64 = 0.2;
/// Few rows have no feature that is in more of them by chance.
const IN_ROWS_ALWAYS: u32 = 20;
/// What is tried: the weight of the bags of single columns beside that of all,
/// and the cost of an error. The middle cost is that of the first trials.
const COLUMN_WEIGHTS: [f32; 2] = [0.6, 1.0];
const COST: f32 = 2.0;
const OTHER_COSTS: [f32; 1] = [8.0];
/// How near a solution has to be; that of LIBLINEAR's command.
const TOLERANCE: f32 = 0.1;
/// The most telling words are drawn from so many rows of each label.
const TELLING_ROWS: usize = 40;
const TELLING_WORDS: usize = 20;
/// Rows go into folds by this stage of the random numbers.
const FOLD_STAGE: u32 = 0x666f_6c64;

/// A setting that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The weight of single columns beside that of all together.
    pub column_weight: f32,
    /// What an error cost beside large weights.
    pub cost: f32,
    /// Weighted F1 on the rows that were held out.
    pub weighted_f1: f64,
}

/// The best trial, and the scores of the rows that were held out.
type Best = Option<(Trial, Vec<Vec<f32>>)>;

/// What training made.
#[derive(Debug)]
pub struct Trained {
    /// The classifier.
    pub classifier: Classifier,
    /// What was tried, in order.
    pub trials: Vec<Trial>,
}

/// Reads all rows of a file, to be trained on or measured against.
///
/// # Errors
/// Those of [`Rows`], and `classify-too-much` for more than fits.
pub fn read(path: &std::path::Path, columns: &Columns, progress: &dyn Progress) -> Result<Vec<Row>> {
    let mut rows = Rows::open(path, columns)?;
    progress.begin("classify-reading", rows.progress().1, Unit::Bytes);
    let (mut all, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().transpose()? {
        bytes += row.texts.iter().map(String::len).sum::<usize>();
        if all.len() == ROWS_MAX || bytes > TEXT_BYTES_MAX {
            let error = Error::new("classify-too-much").path(path).arg("line", row.line);
            return Err(error.arg("rows", ROWS_MAX).arg("megabytes", TEXT_BYTES_MAX >> 20));
        }
        all.push(row);
        if all.len().is_multiple_of(1024) {
            progress.at(rows.progress().0);
            stop(progress)?;
        }
    }
    progress.end();
    Ok(all)
}

fn stop(progress: &dyn Progress) -> Result<()> {
    if progress.stopped() { Err(Error::new("interrupted")) } else { Ok(()) }
}

/// The vectors of documents, bags side by side.
struct Vectors {
    rows: Sparse,
    tables: Vec<Table>,
    /// Where each bag's features begin, and where the last ends.
    starts: Vec<u32>,
}

/// Features are chosen and weighed by the first `count` documents alone.
fn vectors(analysis: &Analysis, count: usize, pool: &Pool) -> Vectors {
    let mut made = Vectors { rows: Sparse::default(), tables: Vec::new(), starts: vec![0] };
    let mut of_bags = Vec::new();
    for bag in 0..analysis.bags.len() {
        let counted = analysis.count(bag, pool);
        let mut in_rows = vec![0_u32; analysis.names.len()];
        counted[..count].iter().flatten().for_each(|(feature, _)| in_rows[*feature as usize] += 1);
        let most = ((count as f64 * IN_SHARE_MAX) as u32).max(IN_ROWS_ALWAYS);
        let (mut numbers, mut table) = (vec![u32::MAX; analysis.names.len()], Table::default());
        for (feature, rows) in in_rows.into_iter().enumerate() {
            if (IN_ROWS_MIN..=most).contains(&rows) {
                numbers[feature] = table.names.len() as u32;
                table.names.push(analysis.names[feature]);
                let share = (1 + count) as f64 / f64::from(1 + rows);
                table.rarity.push((1.0 + scalar::log2(share) * std::f64::consts::LN_2) as f32);
            }
        }
        let start = *made.starts.last().expect("the first is 0");
        let vectors = features::in_shards(pool, counted.len(), |range| {
            let vector = |document: &Vec<(u32, u32)>| {
                let known = document.iter().filter_map(|&(feature, count)| {
                    let number = numbers[feature as usize];
                    let rarity = table.rarity.get(number as usize)?;
                    Some((start + number, model::damped(count) * rarity))
                });
                let mut vector: Vec<(u32, f32)> = known.collect();
                model::normalise(&mut vector);
                vector
            };
            counted[range].iter().map(vector).collect::<Vec<_>>()
        });
        of_bags.push(vectors.into_iter().flatten().collect::<Vec<_>>());
        made.starts.push(start + table.names.len() as u32);
        made.tables.push(table);
    }
    for document in 0..of_bags[0].len() {
        made.rows.push(of_bags.iter_mut().flat_map(|bag| std::mem::take(&mut bag[document])));
    }
    made
}

/// What each bag weighs, so that all together have length 1.
fn weights(bags: usize, column_weight: f32) -> Vec<f32> {
    let all = (1.0 + (bags - 1) as f32 * column_weight * column_weight).sqrt();
    std::iter::once(1.0 / all).chain((1..bags).map(|_| column_weight / all)).collect()
}

fn weighed(vectors: &Vectors, weights: &[f32]) -> Sparse {
    vectors.rows.map(|feature, value| {
        let bag = vectors.starts[1..].iter().take_while(|start| **start <= feature).count();
        value * weights[bag]
    })
}

/// Which fold each row is held out in: the rows of a label are dealt out.
fn folds(labels: &[u32], label_count: usize) -> Vec<usize> {
    let mut of_label: Vec<Vec<usize>> = vec![Vec::new(); label_count];
    labels.iter().enumerate().for_each(|(row, label)| of_label[*label as usize].push(row));
    let (mut folds, mut dealt) = (vec![0; labels.len()], 0);
    for (label, rows) in of_label.iter().enumerate() {
        for place in 0..rows.len() as u64 {
            let row = rows[philox::permute(0, FOLD_STAGE, label as u64, rows.len() as u64, place) as usize];
            folds[row] = dealt % FOLDS;
            dealt += 1;
        }
    }
    folds
}

/// Rows with their labels by number, of which those from `count` on are never
/// trained on.
struct Work<'a> {
    labels: &'a [u32],
    count: usize,
    label_count: usize,
    folds: &'a [usize],
    features: usize,
    pool: &'a Pool,
}

impl Work<'_> {
    /// Trains on the rows in `pick` for groups of eight labels, and gives what
    /// `take` makes of each.
    fn solve<T: Send + Sync>(
        &self,
        rows: &Sparse,
        cost: f32,
        picks: &[Vec<u32>],
        take: impl Fn(usize, Solved) -> T + Sync,
    ) -> Vec<Vec<T>> {
        let groups = self.label_count.div_ceil(LANES);
        let made: Vec<OnceLock<T>> = (0..groups * picks.len()).map(|_| OnceLock::new()).collect();
        self.pool.run(made.len(), |piece| {
            let (part, group) = (piece / groups, piece % groups);
            let (labels, features) = (self.labels, self.features);
            let problem = Problem { rows, pick: &picks[part], labels, features, cost, tolerance: TOLERANCE };
            let _ = made[piece].set(take(part, solver::solve(&problem, (group * LANES) as u32)));
        });
        let mut made = made.into_iter().map(|part| part.into_inner().expect("every piece was worked on"));
        picks.iter().map(|_| made.by_ref().take(groups).collect()).collect()
    }

    /// The scores of every row by a classifier that has not seen it: that of
    /// its fold, or, for rows that are in none, the mean of all.
    fn held_out(&self, rows: &Sparse, cost: f32) -> Vec<Vec<f32>> {
        let all = || 0..self.count as u32;
        let picks: Vec<Vec<u32>> =
            (0..FOLDS).map(|fold| all().filter(|row| self.folds[*row as usize] != fold).collect()).collect();
        let scored = self.solve(rows, cost, &picks, |fold, solved| {
            let unseen = |row: &usize| *row >= self.count || self.folds[*row] == fold;
            (0..rows.len()).filter(unseen).map(|row| (row, solved.scores(rows.row(row)))).collect::<Vec<_>>()
        });
        let mut scores = vec![vec![0.0; self.label_count]; rows.len()];
        for groups in scored {
            for (group, scored) in groups.into_iter().enumerate() {
                for (row, lanes) in scored {
                    let share = if row < self.count { 1.0 } else { 1.0 / FOLDS as f32 };
                    let own = scores[row].iter_mut().skip(group * LANES).zip(lanes);
                    own.for_each(|(score, lane)| *score += lane * share);
                }
            }
        }
        scores
    }

    fn judge(&self, scores: &[Vec<f32>], temperature: f64) -> Vec<Judged> {
        let judge = |(scores, truth): (&Vec<f32>, &u32)| {
            let answer = calibrate::best(scores);
            let probability = calibrate::probabilities(scores, temperature)[answer];
            Judged { truth: *truth as usize, answer, probability }
        };
        scores.iter().zip(self.labels).map(judge).collect()
    }
}

/// Trains a classifier on `rows`. Settings are chosen by cross-validation, on
/// those and on `dev` rows, which are never trained on. An answer is to be
/// called sure where `sure` of the answers are right.
///
/// # Errors
/// `classify-one-label`, `classify-many-labels`, `classify-no-words`,
/// `classify-few`, and `interrupted` when the watcher asks to stop.
pub fn train(
    rows: &[Row],
    dev: &[Row],
    columns: &Columns,
    sure: f64,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Trained> {
    let labels: Vec<String> = rows.iter().map(|row| row.label.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    if rows.len() < 2 * FOLDS {
        return Err(Error::new("classify-few").arg("rows", rows.len()).arg("min", 2 * FOLDS));
    } else if labels.len() < 2 {
        return Err(Error::new("classify-one-label").arg("label", &labels[0]));
    } else if labels.len() > LABELS_MAX {
        return Err(Error::new("classify-many-labels").arg("count", labels.len()).arg("max", LABELS_MAX));
    }
    let number = |row: &&Row| labels.binary_search(&row.label).ok().map(|label| label as u32);
    // A label that is not learned cannot be answered, rightly or wrongly.
    let used: Vec<&Row> = rows.iter().chain(dev.iter().filter(|row| number(row).is_some())).collect();
    let numbers: Vec<u32> = used.iter().filter_map(number).collect();
    let documents: Vec<Vec<String>> = used.iter().map(|row| row.texts.clone()).collect();
    let length = |column: &usize| rows.iter().map(|row| row.texts[*column].len()).sum::<usize>();
    let longest = (0..columns.text.len()).rev().max_by_key(length).unwrap_or(0);
    let bags = features::bags(columns.text.len(), longest);

    // The steps: features, each trial, and all rows.
    let tried_weights = if bags.len() > 1 { &COLUMN_WEIGHTS[..] } else { &COLUMN_WEIGHTS[..1] };
    progress.begin("classify-training", (2 + tried_weights.len() + OTHER_COSTS.len()) as u64, Unit::Steps);
    let analysis = features::analyse(&documents, &bags, pool);
    let vectors = vectors(&analysis, rows.len(), pool);
    drop((analysis, documents));
    let features = *vectors.starts.last().expect("the first is 0") as usize;
    if features == 0 {
        return Err(Error::new("classify-no-words").arg("columns", columns.text.join(", ")));
    }
    let folds = folds(&numbers[..rows.len()], labels.len());
    let (label_count, count) = (labels.len(), rows.len());
    let work = Work { labels: &numbers, count, label_count, folds: &folds, features, pool };

    let (mut trials, mut best): (Vec<Trial>, Best) = (Vec::new(), None);
    let mut attempt = |column_weight: f32, cost: f32, best: &mut Best| {
        progress.at(trials.len() as u64 + 1);
        stop(progress)?;
        let scores = work.held_out(&weighed(&vectors, &weights(bags.len(), column_weight)), cost);
        let weighted_f1 = measure::measure(&labels, &work.judge(&scores, 1.0), 0.0).weighted_f1;
        let trial = Trial { column_weight, cost, weighted_f1 };
        trials.push(trial.clone());
        if best.as_ref().is_none_or(|(best, _)| weighted_f1 > best.weighted_f1) {
            *best = Some((trial, scores));
        }
        Ok(())
    };
    for &column_weight in tried_weights {
        attempt(column_weight, COST, &mut best)?;
    }
    let column_weight = best.as_ref().map_or(1.0, |(trial, _)| trial.column_weight);
    for cost in OTHER_COSTS {
        attempt(column_weight, cost, &mut best)?;
    }
    let (chosen, scores) = best.expect("something was tried");
    let temperature = calibrate::temperature(&scores, &numbers);
    let judged = work.judge(&scores, temperature);
    let unsure_below = calibrate::unsure_below(&judged, sure);
    let held_out = measure::measure(&labels, &judged, unsure_below);

    progress.at(trials.len() as u64 + 1);
    stop(progress)?;
    let weights = weights(bags.len(), chosen.column_weight);
    let all: Vec<u32> = (0..count as u32).collect();
    let solved = work.solve(&weighed(&vectors, &weights), chosen.cost, &[all], |_, solved| solved);
    let solved = solved.into_iter().next().expect("one part was picked");
    let mut by_label = vec![0; labels.len()];
    numbers[..count].iter().for_each(|label| by_label[*label as usize] += 1);
    let about = About {
        text: columns.text.clone(),
        label: columns.label.clone().unwrap_or_default(),
        labels,
        rows: by_label,
        cost: chosen.cost,
        temperature,
        unsure_below,
        held_out,
        telling: Vec::new(),
        bags: bags.into_iter().zip(weights).map(|(columns, weight)| Bag { columns, weight }).collect(),
    };
    let mut classifier = assemble(about, vectors, &solved);
    classifier.about.telling = telling(&classifier, rows, &numbers[..count], pool);
    progress.at(trials.len() as u64 + 2);
    progress.end();
    Ok(Trained { classifier, trials })
}

/// The classifier with these weights, each rounded to one of 255 steps of the
/// largest of its feature.
fn assemble(about: About, vectors: Vectors, solved: &[Solved]) -> Classifier {
    let labels = about.labels.len();
    let mut tables = Vec::new();
    for (table, &start) in vectors.tables.into_iter().zip(&vectors.starts) {
        let mut order: Vec<usize> = (0..table.names.len()).collect();
        order.sort_unstable_by_key(|feature| table.names[*feature]);
        let mut sorted = Table::default();
        for feature in order {
            let lines: Vec<&Lanes> = solved.iter().map(|group| &group.weights[start as usize + feature]).collect();
            let weights = || lines.iter().flat_map(|line| line.iter().copied()).take(labels);
            let scale = weights().fold(0.0_f32, |most, weight| most.max(weight.abs())) / 127.0;
            sorted.names.push(table.names[feature]);
            sorted.rarity.push(table.rarity[feature]);
            sorted.scales.push(scale);
            let rounded = |weight: f32| if scale > 0.0 { (weight / scale).round_ties_even() as i8 } else { 0 };
            sorted.weights.extend(weights().map(rounded));
        }
        tables.push(sorted);
    }
    let intercepts = solved.iter().flat_map(|group| group.intercepts).take(labels).collect();
    Classifier::new(about, tables, intercepts)
}

/// The words that say most for each label, on average over rows that have it.
fn telling(classifier: &Classifier, rows: &[Row], numbers: &[u32], pool: &Pool) -> Vec<Vec<Telling>> {
    let labels = classifier.about.labels.len();
    let mut asked = Vec::new();
    for label in 0..labels {
        let own: Vec<usize> = (0..rows.len()).filter(|row| numbers[*row] as usize == label).collect();
        let step = own.len().div_ceil(TELLING_ROWS).max(1);
        asked.extend(own.into_iter().step_by(step).map(|row| (label, row)));
    }
    let parts = features::in_shards(pool, asked.len(), |range| {
        let parts = |(label, row): &(usize, usize)| (*label, classifier.parts(&rows[*row].texts, *label));
        asked[range].iter().map(parts).collect::<Vec<_>>()
    });
    let mut sums = vec![(0_u32, BTreeMap::<String, (f32, u32)>::new()); labels];
    for (label, parts) in parts.into_iter().flatten() {
        sums[label].0 += 1;
        for Telling { word, weight } in parts {
            let sum = sums[label].1.entry(word).or_default();
            *sum = (sum.0 + weight, sum.1 + 1);
        }
    }
    let most = |(rows, words): (u32, BTreeMap<String, (f32, u32)>)| {
        // What one row alone says is about that row.
        let often = words.into_iter().filter(|(_, (weight, times))| *weight > 0.0 && (*times > 1 || rows == 1));
        let mut found: Vec<Telling> =
            often.map(|(word, (weight, _))| Telling { word, weight: weight / rows as f32 }).collect();
        found.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.word.cmp(&b.word)));
        found.truncate(TELLING_WORDS);
        found
    };
    sums.into_iter().map(most).collect()
}
