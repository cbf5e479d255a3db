//! From scores to probabilities that mean what they say: one temperature for
//! all labels (Guo, Pleiss, Sun and Weinberger, "On calibration of modern
//! neural networks", ICML 2017), and the probability below which an answer is
//! called unsure. Both come from rows that were held out.

use kwaya_math::scalar;
use serde::{Deserialize, Serialize};

use crate::{
    measure::{self, Judged, Measures},
    model::Answer,
};

/// Rows that a threshold is drawn from at least, and their share.
const SURE_ROWS_MIN: usize = 20;
const SURE_SHARE_MIN: f64 = 0.1;
/// Where the logarithm to base 2 of the temperature is looked for.
const LOW: f64 = -8.0;
const HIGH: f64 = 4.0;
/// Each step makes the place 0.618 times as wide.
const STEPS: usize = 40;

/// How the scores of labels become an answer, whatever gave the scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// By what the scores are divided before they become probabilities.
    pub temperature: f64,
    /// Answers with a smaller probability are unsure.
    pub unsure_below: f64,
}

impl Calibration {
    /// That which fits rows that were held out: their scores, and the numbers
    /// of their labels. An answer is to be called sure where `sure` of the
    /// answers are right.
    pub fn of(scores: &[Vec<f32>], truths: &[u32], sure: f64) -> Self {
        let temperature = temperature(scores, truths);
        let judged: Vec<Judged> =
            scores.iter().zip(truths).map(|(scores, truth)| judge(scores, *truth, temperature)).collect();
        Self { temperature, unsure_below: unsure_below(&judged, sure) }
    }

    /// The answer to a row whose labels have these scores, one at least.
    pub fn answer(&self, scores: &[f32]) -> Answer {
        let probabilities = probabilities(scores, self.temperature);
        let label = (1..probabilities.len())
            .fold(0, |best, label| if probabilities[label] > probabilities[best] { label } else { best });
        Answer { label, sure: probabilities[label] >= self.unsure_below, probabilities }
    }

    /// Measures answers to rows whose labels, by number, are `truths`.
    ///
    /// # Panics
    /// When there are not as many truths as answers, or a label has no name.
    pub fn measure(&self, labels: &[String], answers: &[Answer], truths: &[usize]) -> Measures {
        assert_eq!(answers.len(), truths.len(), "measure: an answer for each truth");
        let judged = answers.iter().zip(truths).map(|(answer, &truth)| Judged {
            truth,
            answer: answer.label,
            probability: answer.probabilities[answer.label],
        });
        measure::measure(labels, &judged.collect::<Vec<_>>(), self.unsure_below)
    }

    /// Whether the numbers, which may come from anywhere, can be worked with.
    pub fn is_valid(&self) -> bool {
        (1e-6..=1e6).contains(&self.temperature) && (0.0..=1.0).contains(&self.unsure_below)
    }
}

/// What an answer by these scores comes to.
pub(crate) fn judge(scores: &[f32], truth: u32, temperature: f64) -> Judged {
    let answer = best(scores);
    Judged { truth: truth as usize, answer, probability: probabilities(scores, temperature)[answer] }
}

/// Probabilities of labels with these scores.
pub(crate) fn probabilities(scores: &[f32], temperature: f64) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let power = |score: &f32| {
        let x = f64::from(score - highest) / temperature * std::f64::consts::LOG2_E;
        if x < -500.0 { 0.0 } else { scalar::exp2(x) }
    };
    let powers: Vec<f64> = scores.iter().map(power).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The place of the highest score, the first of several.
fn best(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |best, label| if scores[label] > scores[best] { label } else { best })
}

/// The temperature under which the true labels are likeliest, by golden
/// section.
fn temperature(scores: &[Vec<f32>], truths: &[u32]) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let loss = |x: f64| -> f64 {
        let temperature = scalar::exp2(x);
        let likely = |(scores, truth): (&Vec<f32>, &u32)| {
            scalar::log2(probabilities(scores, temperature)[*truth as usize].max(1e-300))
        };
        -scores.iter().zip(truths).map(likely).sum::<f64>()
    };
    let (mut low, mut high) = (LOW, HIGH);
    let (mut left, mut right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut at_left, mut at_right) = (loss(left), loss(right));
    for _ in 0..STEPS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - GOLDEN * (high - low);
            at_left = loss(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + GOLDEN * (high - low);
            at_right = loss(right);
        }
    }
    scalar::exp2(f64::midpoint(low, high))
}

/// The lowest probability from which on `wanted` of the answers are right; where
/// there is none, that from which on most are. At least a tenth of the rows
/// lies above it. Of answers less likely than any of the rows nothing is known.
fn unsure_below(judged: &[Judged], wanted: f64) -> f64 {
    let mut sorted: Vec<(f64, bool)> = judged.iter().map(|row| (row.probability, row.truth == row.answer)).collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let fewest = SURE_ROWS_MIN.max((sorted.len() as f64 * SURE_SHARE_MIN) as usize).min(sorted.len());
    let (mut right, mut lowest, mut best) = (0, None, (0.0, 0.0));
    for (index, (probability, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        let rows = index + 1;
        // Rows of one probability are on one side.
        if rows < fewest || sorted.get(rows).is_some_and(|next| next.0 == *probability) {
            continue;
        }
        let accuracy = right as f64 / rows as f64;
        if accuracy >= wanted {
            lowest = Some(*probability);
        }
        if accuracy > best.0 {
            best = (accuracy, *probability);
        }
    }
    lowest.unwrap_or(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temperature_is_found_again() {
        // Truths drawn from the probabilities of temperature 0.5.
        let mut random = kwaya_math::philox::Stream::new(1, 2, 3);
        let (mut scores, mut truths) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let row: Vec<f32> = (0..3).map(|_| random.next_f32() * 2.0 - 1.0).collect();
            let (mut left, mut truth) = (f64::from(random.next_f32()), 0);
            for (label, probability) in probabilities(&row, 0.5).iter().enumerate() {
                truth = label as u32;
                left -= probability;
                if left < 0.0 {
                    break;
                }
            }
            scores.push(row);
            truths.push(truth);
        }
        let found = temperature(&scores, &truths);
        assert!((found - 0.5).abs() < 0.03, "{found}");
    }

    #[test]
    fn probabilities_add_up_and_odd_scores_do_no_harm() {
        for scores in [vec![0.0, 1.0, -1.0], vec![1e30, -1e30], vec![5.0], vec![f32::MIN, f32::MIN]] {
            let sum: f64 = probabilities(&scores, 1e-3).iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{scores:?}");
        }
        let score = probabilities(&[0.0, 1.0], 1.0)[1];
        assert!((score - 0.731_058_578_630_004_9).abs() < 1e-12, "{score}");
    }

    #[test]
    fn the_threshold_is_where_enough_answers_are_right() {
        let row = |probability: f64, right: bool| Judged { truth: 0, answer: usize::from(!right), probability };
        let judged: Vec<Judged> = (0..1000).map(|i| row(f64::from(i) / 1000.0, i >= 500 || i % 2 == 0)).collect();
        let found = unsure_below(&judged, 0.9);
        let above: Vec<_> = judged.iter().filter(|row| row.probability >= found).collect();
        let right = above.iter().filter(|row| row.truth == row.answer).count() as f64 / above.len() as f64;
        assert!((0.9..0.91).contains(&right) && above.len() > 600, "{found} {right} {}", above.len());
        assert_eq!(unsure_below(&judged, 0.5), 0.0);
        assert_eq!(unsure_below(&judged[300..], 0.5), 0.3);
        // What cannot be had is come near to.
        let wrong: Vec<Judged> = (0..100).map(|i| row(f64::from(i) / 100.0, i % 2 == 0)).collect();
        assert!(unsure_below(&wrong, 0.99) > 0.0);
        assert_eq!(unsure_below(&[], 0.9), 0.0);
    }
}
