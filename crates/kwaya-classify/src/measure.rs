//! How good answers are: the confusion matrix, precision, recall and F1 of
//! each label, whether probabilities mean what they say, and what is gained by
//! being unsure.

use serde::{Deserialize, Serialize};

/// Parts into which probabilities are put for the calibration error.
const BINS: usize = 10;

/// An answer to a row whose label is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) truth: usize,
    pub(crate) answer: usize,
    pub(crate) probability: f64,
}

/// The figures of one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfLabel {
    /// The label.
    pub label: String,
    /// Rows that have it.
    pub rows: u64,
    /// Of the rows that got it as answer, the share that has it.
    pub precision: f64,
    /// Of the rows that have it, the share that got it as answer.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

/// What answers to rows came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Rows that were judged.
    pub rows: u64,
    /// The share that was right.
    pub accuracy: f64,
    /// F1 of each label, weighted by its rows.
    pub weighted_f1: f64,
    /// F1 of each label that there are rows of, all weighing the same.
    pub macro_f1: f64,
    /// The expected calibration error: by how much probabilities and shares of
    /// right answers are apart, in ten parts of equal width, on average over
    /// the rows.
    pub calibration_error: f64,
    /// Rows whose answer was sure enough.
    pub sure: u64,
    /// The share of those that was right; 0 where there were none.
    pub sure_accuracy: f64,
    /// The figures of each label.
    pub labels: Vec<OfLabel>,
    /// How many rows with the label of the row got the label of the column.
    pub confusion: Vec<Vec<u64>>,
}

impl Measures {
    /// Whether they, which may come from anywhere, are of so many labels.
    pub fn fits(&self, labels: usize) -> bool {
        let counts = &self.confusion;
        self.labels.len() == labels && counts.len() == labels && counts.iter().all(|row| row.len() == labels)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Measures answers, of which those below `unsure_below` are unsure.
pub(crate) fn measure(labels: &[String], judged: &[Judged], unsure_below: f64) -> Measures {
    let mut confusion = vec![vec![0_u64; labels.len()]; labels.len()];
    let mut bins = [(0_u64, 0_u64, 0.0_f64); BINS];
    let (mut sure, mut sure_right) = (0, 0);
    for &Judged { truth, answer, probability } in judged {
        confusion[truth][answer] += 1;
        let right = u64::from(truth == answer);
        let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + right, bin.2 + probability);
        if probability >= unsure_below {
            sure += 1;
            sure_right += right;
        }
    }
    let of_label = |label: usize| {
        let rows: u64 = confusion[label].iter().sum();
        let answers: u64 = confusion.iter().map(|row| row[label]).sum();
        let right = confusion[label][label];
        let [precision, recall] = [share(right, answers), share(right, rows)];
        OfLabel { label: labels[label].clone(), rows, precision, recall, f1: share(2 * right, rows + answers) }
    };
    let figures: Vec<OfLabel> = (0..labels.len()).map(of_label).collect();
    let rows = judged.len() as u64;
    let right: u64 = (0..labels.len()).map(|label| confusion[label][label]).sum();
    let there = figures.iter().filter(|figures| figures.rows > 0);
    let gap = bins.iter().map(|(_, right, sum)| (*right as f64 - sum).abs()).sum::<f64>();
    Measures {
        rows,
        accuracy: share(right, rows),
        weighted_f1: figures.iter().map(|label| label.f1 * label.rows as f64).sum::<f64>() / (rows as f64).max(1.0),
        macro_f1: there.clone().map(|label| label.f1).sum::<f64>() / there.count().max(1) as f64,
        calibration_error: gap / (rows as f64).max(1.0),
        sure,
        sure_accuracy: share(sure_right, sure),
        labels: figures,
        confusion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rows: &[(usize, usize, f64)]) -> Vec<Judged> {
        rows.iter().map(|&(truth, answer, probability)| Judged { truth, answer, probability }).collect()
    }

    /// The expected figures are from scikit-learn 1.9.1:
    /// `precision_recall_fscore_support(y, p, zero_division=0)` of the labels
    /// below, `f1_score` weighted, and by hand for the calibration error.
    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let rows = [(0, 0, 0.95), (0, 1, 0.55), (0, 0, 0.65), (1, 1, 0.85), (1, 0, 0.45), (2, 1, 0.5)];
        let found = measure(&labels, &judged(&rows), 0.6);
        assert_eq!(found.confusion, [[2, 1, 0], [1, 1, 0], [0, 1, 0]]);
        assert!((found.labels[0].f1 - 2.0 / 3.0).abs() < 1e-12 && (found.labels[1].f1 - 0.4).abs() < 1e-12);
        assert!((found.weighted_f1 - 0.466_666_666_666).abs() < 1e-9, "{found:?}");
        assert!((found.macro_f1 - 0.355_555_555_555).abs() < 1e-9);
        assert!((found.accuracy - 0.5).abs() < 1e-12 && found.labels[2].precision == 0.0);
        // Parts: 0.95 right; 0.85 right; 0.65 right; 0.55 and 0.5 wrong; 0.45 wrong.
        let gap = (0.05 + 0.15 + 0.35 + 1.05 + 0.45) / 6.0;
        assert!((found.calibration_error - gap).abs() < 1e-12, "{}", found.calibration_error);
        assert_eq!((found.sure, found.sure_accuracy), (3, 1.0));
    }

    #[test]
    fn nothing_to_judge_gives_no_nan() {
        let found = measure(&["a".to_owned(), "b".to_owned()], &[], 0.5);
        assert_eq!((found.rows, found.weighted_f1, found.macro_f1, found.calibration_error), (0, 0.0, 0.0, 0.0));
    }
}
