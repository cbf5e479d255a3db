//! Linear support vector machines with squared hinge loss, by dual coordinate
//! descent: Hsieh, Chang, Lin, Keerthi and Sundararajan, "A dual coordinate
//! descent method for large-scale linear SVM", ICML 2008, algorithm 1, as in
//! LIBLINEAR (Fan et al., JMLR 9, 2008, solver `L2R_L2LOSS_SVC_DUAL`).
//!
//! ```text
//! minimise over w   1/2 w·w + C sum_i max(0, 1 - y_i w·x_i)^2
//! by its dual       alpha_i >= 0,  w = sum_i alpha_i y_i x_i,  D = 1/(2C)
//! repeat, i in a random order:
//!     G      = y_i w·x_i - 1 + D alpha_i
//!     alpha' = max(alpha_i - G / (x_i·x_i + D), 0)
//!     w     += (alpha' - alpha_i) y_i x_i;   alpha_i = alpha'
//! until the largest and the smallest projected gradient are near
//! ```
//!
//! What differs: the one-vs-rest problems of eight labels are solved at once,
//! one in each lane, in the same order of rows. The weights of a feature for
//! eight labels lie in half a cache line, and fetching them is what the time
//! goes into. Rows are not shrunk. Each row has one more feature, always 1, so
//! that there is an intercept, which is held small like every weight.
//!
//! The sum over the features of a row is two sums, of every second feature,
//! because one would wait for itself. All is f32
//! without fused multiply-add, so the bits are the same on every processor.

use kwaya_math::philox::Stream;

/// Labels that are solved for at once.
pub(crate) const LANES: usize = 8;

/// A number for each of eight labels.
pub(crate) type Lanes = [f32; LANES];

/// The most passes over the rows in training.
pub(crate) const PASSES_MAX: u64 = 100;
/// Rows are taken in the order of this seed and stage.
const SEED: u64 = 0;
const STAGE: u32 = 0x7376_6d00;

/// Rows of numbers of which most are 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sparse {
    starts: Vec<usize>,
    items: Vec<(u32, f32)>,
}

impl Sparse {
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = (u32, f32)>) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.items.extend(row);
        self.starts.push(self.items.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub(crate) fn row(&self, row: usize) -> &[(u32, f32)] {
        &self.items[self.starts[row]..self.starts[row + 1]]
    }

    /// The same rows with each number changed.
    pub(crate) fn map(&self, change: impl Fn(u32, f32) -> f32) -> Self {
        let items = self.items.iter().map(|&(feature, value)| (feature, change(feature, value))).collect();
        Self { starts: self.starts.clone(), items }
    }
}

/// What is to be solved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem<'a> {
    /// The rows, of which `pick` are learned from.
    pub(crate) rows: &'a Sparse,
    pub(crate) pick: &'a [u32],
    /// The label of each row.
    pub(crate) labels: &'a [u32],
    /// How many features there are.
    pub(crate) features: usize,
    /// What a row on the wrong side costs beside large weights.
    pub(crate) cost: f32,
    /// How near the projected gradients have to be.
    pub(crate) tolerance: f32,
    /// The most passes over the rows.
    pub(crate) passes: u64,
}

/// The weights of the features for eight labels, and their intercepts.
#[derive(Clone, Debug)]
pub(crate) struct Solved {
    pub(crate) weights: Vec<Lanes>,
    pub(crate) intercepts: Lanes,
}

impl Solved {
    /// The side that a row lies on, for each of the labels.
    pub(crate) fn scores(&self, row: &[(u32, f32)]) -> Lanes {
        let (pairs, rest) = row.as_chunks::<2>();
        let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
        for [(first, one), (second, two)] in pairs {
            let (a, b) = (&self.weights[*first as usize], &self.weights[*second as usize]);
            for lane in 0..LANES {
                even[lane] += a[lane] * one;
                odd[lane] += b[lane] * two;
            }
        }
        for &(feature, value) in rest {
            add(&mut even, &self.weights[feature as usize], value);
        }
        let mut scores = self.intercepts;
        for (lane, score) in scores.iter_mut().enumerate() {
            *score += even[lane] + odd[lane];
        }
        scores
    }
}

/// `sums += line * value`, lane by lane.
#[inline(always)]
pub(crate) fn add(sums: &mut Lanes, line: &Lanes, value: f32) {
    for lane in 0..LANES {
        sums[lane] += line[lane] * value;
    }
}

/// Solves for the labels `first .. first + 8`, each against all others.
pub(crate) fn solve(problem: &Problem<'_>, first: u32) -> Solved {
    let Problem { rows, pick, labels, features, cost, tolerance, passes } = *problem;
    let mut solved = Solved { weights: vec![[0.0; LANES]; features], intercepts: [0.0; LANES] };
    let mut alphas = vec![[0.0_f32; LANES]; pick.len()];
    let diagonal = 0.5 / cost;
    let square = |row: &u32| rows.row(*row as usize).iter().map(|(_, value)| value * value).sum::<f32>();
    let squares: Vec<f32> = pick.iter().map(|row| square(row) + 1.0 + diagonal).collect();
    let mut order: Vec<usize> = (0..pick.len()).collect();
    for pass in 0..passes {
        let (mut highest, mut lowest) = ([f32::NEG_INFINITY; LANES], [f32::INFINITY; LANES]);
        // The shuffle of Fisher and Yates.
        let mut random = Stream::new(SEED, STAGE, pass);
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        for &i in &order {
            let row = rows.row(pick[i] as usize);
            let scores = solved.scores(row);
            let label = labels[pick[i] as usize].wrapping_sub(first) as usize;
            let mut change = [0.0; LANES];
            for lane in 0..LANES {
                let sign = if lane == label { 1.0 } else { -1.0 };
                let alpha = alphas[i][lane];
                let gradient = sign * scores[lane] - 1.0 + diagonal * alpha;
                let projected = if alpha == 0.0 { gradient.min(0.0) } else { gradient };
                highest[lane] = highest[lane].max(projected);
                lowest[lane] = lowest[lane].min(projected);
                alphas[i][lane] = (alpha - gradient / squares[i]).max(0.0);
                change[lane] = (alphas[i][lane] - alpha) * sign;
            }
            if change == [0.0; LANES] {
                continue;
            }
            for &(feature, value) in row {
                add(&mut solved.weights[feature as usize], &change, value);
            }
            add(&mut solved.intercepts, &change, 1.0);
        }
        if (0..LANES).all(|lane| highest[lane] - lowest[lane] < tolerance) {
            break;
        }
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 90 rows of 12 features and three labels, drawn as golden/svm.py draws
    /// them.
    fn drawn() -> (Sparse, Vec<u32>) {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let (mut rows, mut labels) = (Sparse::default(), Vec::new());
        for _ in 0..90 {
            let label = (next() % 3) as u32;
            let mut row = Vec::new();
            for feature in 0..12 {
                let (chance, value) = (next() % 100, (1 + next() % 8) as f32 / 8.0);
                if chance < if feature % 3 == label { 55 } else { 30 } {
                    row.push((feature, value));
                }
            }
            rows.push(row);
            labels.push(label);
        }
        (rows, labels)
    }

    fn objective(rows: &Sparse, labels: &[u32], cost: f32, lane: usize, solved: &Solved) -> f64 {
        let square = |weight: f32| f64::from(weight) * f64::from(weight);
        let weights: f64 = solved.weights.iter().map(|line| square(line[lane])).sum();
        let loss = |row: usize| {
            let sign = if labels[row] as usize == lane { 1.0 } else { -1.0 };
            (1.0 - sign * f64::from(solved.scores(rows.row(row))[lane])).max(0.0)
        };
        let losses: f64 = (0..rows.len()).map(loss).map(|loss| loss * loss).sum();
        0.5 * (weights + square(solved.intercepts[lane])) + f64::from(cost) * losses
    }

    /// The objective that scikit-learn's LinearSVC reaches; the numbers are from
    /// golden/svm.py.
    #[test]
    fn the_objective_is_that_of_liblinear() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../golden/svm.json")).unwrap();
        let (rows, labels) = drawn();
        let pick: Vec<u32> = (0..90).collect();
        for case in golden["cases"].as_array().unwrap() {
            let cost = case["cost"].as_f64().unwrap() as f32;
            let problem = Problem {
                rows: &rows,
                pick: &pick,
                labels: &labels,
                features: 12,
                cost,
                tolerance: 1e-6,
                passes: 100_000,
            };
            let solved = solve(&problem, 0);
            for lane in 0..3 {
                let wanted = case["objectives"][lane].as_f64().unwrap();
                let found = objective(&rows, &labels, cost, lane, &solved);
                assert!((found / wanted - 1.0).abs() < 1e-5, "cost {cost}, label {lane}: {found} for {wanted}");
                for feature in 0..12 {
                    let wanted = case["weights"][lane][feature].as_f64().unwrap();
                    let found = f64::from(solved.weights[feature][lane]);
                    assert!((found - wanted).abs() < 2e-3, "cost {cost}, {lane}, {feature}: {found} for {wanted}");
                }
            }
        }
    }

    #[test]
    fn the_tolerance_of_training_is_near_enough() {
        let (rows, labels) = drawn();
        let pick: Vec<u32> = (0..90).collect();
        let reached = |tolerance| {
            let problem = Problem {
                rows: &rows,
                pick: &pick,
                labels: &labels,
                features: 12,
                cost: 1.0,
                tolerance,
                passes: 100_000,
            };
            objective(&rows, &labels, 1.0, 0, &solve(&problem, 0))
        };
        assert!(reached(0.25) / reached(1e-6) < 1.01);
    }
}
