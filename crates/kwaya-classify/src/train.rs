//! Training: features are counted, settings chosen by cross-validation,
//! probabilities calibrated on the rows that were held out, and the chosen
//! settings trained on all rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::OnceLock,
};

use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_math::{Pool, philox, scalar};
use serde::Serialize;

use crate::{
    calibrate::{self, Calibration},
    features::{self, Analysis, Counted},
    measure::{self, Judged},
    model::{self, About, Bag, Classifier, Table, Telling},
    rows::{Columns, Row, Rows},
    solver::{self, LANES, Lanes, PASSES_MAX, Problem, Solved, Sparse},
};

/// Bounds of what is trained on.
const ROWS_MAX: usize = 1 << 21;
const TEXT_BYTES_MAX: usize = 128 << 20;
const LABELS_MAX: usize = 1 << 10;
/// Weights of a classifier, in all bags and for all labels together; where
/// there would be more, the rarest features are left out.
const WEIGHTS_MAX: usize = 1 << 27;

/// The rows are held out in so many parts, in turn.
const FOLDS: usize = 4;
/// Fewer rows teach nothing.
const ROWS_MIN: usize = 2 * FOLDS;
/// A feature is in so many rows at least, and in this share of them at most:
/// what is in one row teaches nothing, what is in all tells nothing apart. A
/// word that all rows of one of two labels have is in half of them.
const IN_ROWS_MIN: u32 = 2;
const IN_SHARE_MAX: f64 = 0.5;
/// Few rows have no feature that is in more of them by chance.
const IN_ROWS_ALWAYS: u32 = 20;
/// What is tried: the weight of the bags of single columns beside that of all,
/// and the cost of an error. `COST` is that of the first trials.
const COLUMN_WEIGHTS: [f32; 2] = [0.6, 1.0];
const COST: f32 = 3.0;
const OTHER_COSTS: [f32; 1] = [0.5];
/// Settings are compared on so many of the folds.
const FOLDS_COMPARED: usize = 2;
/// How near a solution has to be. LIBLINEAR's command has 0.1, which takes
/// half as many passes more; F1 in cross-validation is within 0.1.
const TOLERANCE: f32 = 0.25;
/// Counts whose logarithm is kept.
const DAMPED: u32 = 256;
/// The most telling words are drawn from so many rows of each label.
const TELLING_ROWS: usize = 20;
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
    /// Weighted F1 on the rows of the folds that settings are compared on.
    pub weighted_f1: f64,
}

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
fn vectors(analysis: &Analysis, count: usize, labels: usize, pool: &Pool) -> Vectors {
    let mut made = Vectors { rows: Sparse::default(), tables: Vec::new(), starts: vec![0] };
    let mut of_bags = Vec::new();
    let common: Vec<f32> = (0..DAMPED).map(model::damped).collect();
    let damped = |count: u32| common.get(count as usize).copied().unwrap_or_else(|| model::damped(count));
    let most = ((count as f64 * IN_SHARE_MAX) as u32).max(IN_ROWS_ALWAYS);
    for bag in 0..analysis.bags.len() {
        let Counted { names, documents } = analysis.count(bag, count, (IN_ROWS_MIN, most), pool);
        let mut in_rows = vec![0_u32; names.len()];
        documents[..count].iter().flatten().for_each(|(feature, _)| in_rows[*feature as usize] += 1);
        let kept = |least: u32| in_rows.iter().filter(|rows| (least..=most).contains(*rows)).count();
        let room = WEIGHTS_MAX / labels.next_multiple_of(LANES) / analysis.bags.len();
        let least = (IN_ROWS_MIN..).find(|least| kept(*least) <= room).unwrap_or(most);
        // The number and the rarity of each feature that is kept.
        let (mut kept, mut table) = (vec![(u32::MAX, 0.0); names.len()], Table::default());
        for ((name, rows), kept) in names.into_iter().zip(in_rows).zip(&mut kept) {
            if (least..=most).contains(&rows) {
                let share = (1 + count) as f64 / f64::from(1 + rows);
                let rarity = (1.0 + scalar::log2(share) * std::f64::consts::LN_2) as f32;
                *kept = (table.names.len() as u32, rarity);
                table.names.push(name);
                table.rarity.push(rarity);
            }
        }
        let start = *made.starts.last().expect("the first is 0");
        let vectors = features::in_shards(pool, documents.len(), |range| {
            let vector = |document: &Vec<(u32, u32)>| {
                let known = document.iter().filter_map(|&(feature, count)| {
                    let (number, rarity) = kept[feature as usize];
                    (number != u32::MAX).then(|| (start + number, damped(count) * rarity))
                });
                let mut vector: Vec<(u32, f32)> = known.collect();
                model::normalise(&mut vector);
                vector
            };
            documents[range].iter().map(vector).collect::<Vec<_>>()
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
    let of_features: Vec<f32> = weights
        .iter()
        .zip(vectors.starts.windows(2))
        .flat_map(|(weight, ends)| (ends[0]..ends[1]).map(|_| *weight))
        .collect();
    vectors.rows.map(|feature, value| value * of_features[feature as usize])
}

/// Which of so many parts each row, whose label is known by number, is in: the
/// rows of a label are dealt out, in an order drawn by chance that is the same
/// each time.
///
/// # Panics
/// For a label that is none of `label_count`, and for no parts.
pub fn deal(labels: &[u32], label_count: usize, parts: usize) -> Vec<usize> {
    let mut of_label: Vec<Vec<usize>> = vec![Vec::new(); label_count];
    labels.iter().enumerate().for_each(|(row, label)| of_label[*label as usize].push(row));
    let (mut dealt_to, mut dealt) = (vec![0; labels.len()], 0);
    for (label, rows) in of_label.iter().enumerate() {
        for place in 0..rows.len() as u64 {
            let row = rows[philox::permute(0, FOLD_STAGE, label as u64, rows.len() as u64, place) as usize];
            dealt_to[row] = dealt % parts;
            dealt += 1;
        }
    }
    dealt_to
}

/// The labels of rows that are learned from, sorted: two to `most`.
///
/// # Errors
/// `classify-few`, `classify-one-label`, `classify-many-labels`.
pub fn labels(rows: &[Row], most: usize) -> Result<Vec<String>> {
    let labels: Vec<String> = rows.iter().map(|row| row.label.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    if rows.len() < ROWS_MIN {
        return Err(Error::new("classify-few").arg("rows", rows.len()).arg("min", ROWS_MIN));
    } else if labels.len() < 2 {
        return Err(Error::new("classify-one-label").arg("label", &labels[0]));
    } else if labels.len() > most {
        return Err(Error::new("classify-many-labels").arg("count", labels.len()).arg("max", most));
    }
    Ok(labels)
}

/// The scores of rows, by row.
type Scores = BTreeMap<usize, Vec<f32>>;

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
            let problem =
                Problem { rows, pick: &picks[part], labels, features, cost, tolerance: TOLERANCE, passes: PASSES_MAX };
            let _ = made[piece].set(take(part, solver::solve(&problem, (group * LANES) as u32)));
        });
        let mut made = made.into_iter().map(|part| part.into_inner().expect("every piece was worked on"));
        picks.iter().map(|_| made.by_ref().take(groups).collect()).collect()
    }

    /// The scores of rows by a classifier that has not seen them: that of
    /// their fold, for some of the folds, or, for rows that are never trained
    /// on, the mean of all. Adds them to `scores`, which are by row.
    fn hold_out(&self, rows: &Sparse, cost: f32, folds: Range<usize>, scores: &mut Scores) {
        let all = || 0..self.count as u32;
        let picks: Vec<Vec<u32>> =
            folds.clone().map(|fold| all().filter(|row| self.folds[*row as usize] != fold).collect()).collect();
        let scored = self.solve(rows, cost, &picks, |part, solved| {
            let unseen = |row: &usize| *row >= self.count || self.folds[*row] == folds.start + part;
            (0..rows.len()).filter(unseen).map(|row| (row, solved.scores(rows.row(row)))).collect::<Vec<_>>()
        });
        for groups in scored {
            for (group, scored) in groups.into_iter().enumerate() {
                for (row, lanes) in scored {
                    let share = if row < self.count { 1.0 } else { 1.0 / FOLDS as f32 };
                    let scores = scores.entry(row).or_insert_with(|| vec![0.0; self.label_count]);
                    scores.iter_mut().skip(group * LANES).zip(lanes).for_each(|(score, lane)| *score += lane * share);
                }
            }
        }
    }

    fn judge(&self, scores: &Scores, temperature: f64) -> Vec<Judged> {
        scores.iter().map(|(row, scores)| calibrate::judge(scores, self.labels[*row], temperature)).collect()
    }

    /// Tries a setting on some of the folds, and gives their scores too.
    fn attempt(&self, vectors: &Vectors, column_weight: f32, cost: f32, names: &[String]) -> (Trial, Scores) {
        let rows = weighed(vectors, &weights(vectors.tables.len(), column_weight));
        let mut scores = Scores::new();
        self.hold_out(&rows, cost, 0..FOLDS_COMPARED, &mut scores);
        let weighted_f1 = measure::measure(names, &self.judge(&scores, 1.0), 0.0).weighted_f1;
        (Trial { column_weight, cost, weighted_f1 }, scores)
    }
}

/// The place of the best of some trials, the first of several.
fn best(trials: &[(Trial, Scores)]) -> usize {
    let better = |a: usize, b: usize| trials[b].0.weighted_f1 > trials[a].0.weighted_f1;
    (1..trials.len()).fold(0, |best, trial| if better(best, trial) { trial } else { best })
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
    let labels = labels(rows, LABELS_MAX)?;
    columns.check()?;
    let number = |row: &&Row| labels.binary_search(&row.label).ok().map(|label| label as u32);
    // A label that is not learned cannot be answered, rightly or wrongly.
    let used: Vec<&Row> = rows.iter().chain(dev.iter().filter(|row| number(row).is_some())).collect();
    let numbers: Vec<u32> = used.iter().filter_map(number).collect();
    let documents: Vec<Vec<String>> = used.iter().map(|row| row.texts.clone()).collect();
    let length = |column: &usize| rows.iter().map(|row| row.texts[*column].len()).sum::<usize>();
    let longest = (0..columns.text.len()).rev().max_by_key(length).unwrap_or(0);
    let bags = features::bags(columns.text.len(), longest);

    // The steps: features, each trial, all folds, and all rows.
    let tried_weights = if bags.len() > 1 { &COLUMN_WEIGHTS[..] } else { &COLUMN_WEIGHTS[..1] };
    progress.begin("classify-training", (3 + tried_weights.len() + OTHER_COSTS.len()) as u64, Unit::Steps);
    let analysis = features::analyse(&documents, &bags, pool);
    let vectors = vectors(&analysis, rows.len(), labels.len(), pool);
    drop((analysis, documents));
    let features = *vectors.starts.last().expect("the first is 0") as usize;
    if features == 0 {
        return Err(Error::new("classify-no-words").arg("columns", columns.text.join(", ")));
    }
    let folds = deal(&numbers[..rows.len()], labels.len(), FOLDS);
    let (label_count, count) = (labels.len(), rows.len());
    let work = Work { labels: &numbers, count, label_count, folds: &folds, features, pool };

    let mut trials = Vec::new();
    for &column_weight in tried_weights {
        progress.at(trials.len() as u64 + 1);
        stop(progress)?;
        trials.push(work.attempt(&vectors, column_weight, COST, &labels));
    }
    let column_weight = trials[best(&trials)].0.column_weight;
    for cost in OTHER_COSTS {
        progress.at(trials.len() as u64 + 1);
        stop(progress)?;
        trials.push(work.attempt(&vectors, column_weight, cost, &labels));
    }
    let (chosen, mut scores) = trials[best(&trials)].clone();
    let weights = weights(bags.len(), chosen.column_weight);
    let weighed = weighed(&vectors, &weights);
    work.hold_out(&weighed, chosen.cost, FOLDS_COMPARED..FOLDS, &mut scores);
    let (plain, truths): (Vec<Vec<f32>>, Vec<u32>) =
        scores.iter().map(|(row, scores)| (scores.clone(), numbers[*row])).unzip();
    let calibration = Calibration::of(&plain, &truths, sure);
    let judged = work.judge(&scores, calibration.temperature);
    let held_out = measure::measure(&labels, &judged, calibration.unsure_below);

    progress.at(trials.len() as u64 + 2);
    stop(progress)?;
    let all: Vec<u32> = (0..count as u32).collect();
    let solved = work.solve(&weighed, chosen.cost, &[all], |_, solved| solved);
    let solved = solved.into_iter().next().expect("one part was picked");
    let mut by_label = vec![0; labels.len()];
    numbers[..count].iter().for_each(|label| by_label[*label as usize] += 1);
    let about = About {
        text: columns.text.clone(),
        label: columns.label.clone().unwrap_or_default(),
        labels,
        rows: by_label,
        cost: chosen.cost,
        calibration,
        held_out,
        telling: Vec::new(),
        bags: bags.into_iter().zip(weights).map(|(columns, weight)| Bag { columns, weight }).collect(),
    };
    let mut classifier = assemble(about, vectors, &solved);
    classifier.about.telling = telling(&classifier, rows, &numbers[..count], pool);
    progress.at(trials.len() as u64 + 3);
    progress.end();
    Ok(Trained { classifier, trials: trials.into_iter().map(|(trial, _)| trial).collect() })
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

#[cfg(test)]
mod tests {
    use kwaya_base::Silent;

    use super::*;

    /// Rows of ten labels, so that there is more than one group of lanes.
    fn rows(count: usize) -> Vec<Row> {
        let mut random = philox::Stream::new(9, 1, 0);
        let row = |i: usize| {
            let label = i % 10;
            let mut text = String::new();
            for _ in 0..12 {
                let word =
                    if random.below(3) == 0 { label as u64 * 7 + random.below(7) } else { 100 + random.below(400) };
                text += &format!("neno{word} ");
            }
            Row { line: i as u64, label: format!("l{label}"), texts: vec![text] }
        };
        (0..count).map(row).collect()
    }

    fn columns() -> Columns {
        Columns { text: vec!["text".into()], label: Some("topic".into()) }
    }

    fn learned(rows: &[Row], dev: &[Row], threads: usize) -> Trained {
        train(rows, dev, &columns(), 0.9, &Pool::new(threads), &Silent).unwrap()
    }

    #[test]
    fn the_same_rows_give_the_same_bits_with_any_number_of_threads() {
        let place = tempfile::tempdir().unwrap();
        let (rows, dev) = (rows(400), rows(450).split_off(400));
        let bytes = |threads: usize| {
            let path = place.path().join(threads.to_string());
            learned(&rows, &dev, threads).classifier.write(&path).unwrap();
            std::fs::read(path).unwrap()
        };
        let one = bytes(1);
        assert!(one == bytes(2) && one == bytes(3));
    }

    #[test]
    fn rows_that_were_not_seen_get_their_labels() {
        let (all, pool) = (rows(1_000), Pool::new(2));
        let trained = learned(&all[..800], &[], 2);
        let about = trained.classifier.about();
        assert_eq!((about.labels.len(), about.rows.iter().sum::<u64>(), about.held_out.rows), (10, 800, 800));
        let texts: Vec<Vec<String>> = all[800..].iter().map(|row| row.texts.clone()).collect();
        let truths: Vec<usize> = all[800..].iter().map(|row| trained.classifier.label(&row.label).unwrap()).collect();
        let answers = trained.classifier.answers(&texts, &pool);
        let measures = about.calibration.measure(&about.labels, &answers, &truths);
        assert!(measures.weighted_f1 > 0.8, "{}", measures.weighted_f1);
        assert!((measures.weighted_f1 - about.held_out.weighted_f1).abs() < 0.1);
        assert!(measures.calibration_error < 0.1 && about.held_out.calibration_error < 0.1, "{measures:?}");
        assert!(measures.sure_accuracy >= measures.accuracy);
        let own = |(label, words): (usize, &Vec<Telling>)| {
            let number: usize = words[0].word[4..].parse().unwrap();
            assert!((label * 7..label * 7 + 7).contains(&number), "{label} {words:?}");
        };
        about.telling.iter().enumerate().for_each(own);
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused() {
        let refused = |rows: &[Row]| train(rows, &[], &columns(), 0.9, &Pool::new(1), &Silent).unwrap_err().key();
        assert_eq!(refused(&[]), "classify-few");
        let same = |row: Row| Row { label: "a".into(), ..row };
        assert_eq!(refused(&rows(50).into_iter().map(same).collect::<Vec<_>>()), "classify-one-label");
        let own = |row: Row| Row { label: row.line.to_string(), ..row };
        assert_eq!(refused(&rows(LABELS_MAX + 1).into_iter().map(own).collect::<Vec<_>>()), "classify-many-labels");
        let empty = |row: Row| Row { texts: vec!["?!".into()], ..row };
        assert_eq!(refused(&rows(50).into_iter().map(empty).collect::<Vec<_>>()), "classify-no-words");
        struct Stop;
        impl Progress for Stop {
            fn begin(&self, _: &'static str, _: u64, _: Unit) {}
            fn at(&self, _: u64) {}
            fn stopped(&self) -> bool {
                true
            }
        }
        let stopped = train(&rows(50), &[], &columns(), 0.9, &Pool::new(1), &Stop);
        assert_eq!(stopped.unwrap_err().key(), "interrupted");
        // A label of one row is in no fold of its own, and does no harm.
        let mut odd = rows(60);
        odd[7].label = "odd".into();
        learned(&odd, &odd, 1);
    }
}
