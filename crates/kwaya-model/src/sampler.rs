//! From logits to the next token: repetition penalty, temperature, top-k and
//! top-p, in the order and with the meaning of `transformers`, then a draw.
//! The same options and logits give the same tokens.

use std::cmp::Ordering;

use kwaya_math::{philox::Stream, softmax};

/// The random numbers of sampling.
const SAMPLING: u32 = 2 << 16;

/// How adventurous the choice is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerOptions {
    /// Divides the logits; 0 takes the likeliest token each time.
    pub temperature: f32,
    /// Keeps the k likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the likeliest tokens that together have at least this
    /// probability; 1 keeps all (Holtzman et al. 2020).
    pub top_p: f32,
    /// Divides positive logits of tokens already in the text, and multiplies
    /// negative ones; 1 is off (Keskar et al. 2019).
    pub repetition_penalty: f32,
    /// Where the random numbers start.
    pub seed: u64,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self { temperature: 0.8, top_k: 0, top_p: 0.95, repetition_penalty: 1.0, seed: 0 }
    }
}

/// Draws tokens.
pub struct Sampler {
    options: SamplerOptions,
    stream: Stream,
    scores: Vec<f32>,
    /// The tokens to draw from.
    kept: Vec<u32>,
    /// Of each of them.
    probabilities: Vec<f32>,
}

impl Sampler {
    /// A sampler at the start of its random numbers.
    pub fn new(options: SamplerOptions) -> Self {
        let stream = Stream::new(options.seed, SAMPLING, 0);
        Self { options, stream, scores: Vec::new(), kept: Vec::new(), probabilities: Vec::new() }
    }

    /// Chooses the next token from `logits` (V) after the text `history`.
    /// Uses one random number per call, unless the temperature is 0.
    ///
    /// # Panics
    /// When there are no logits.
    pub fn next(&mut self, logits: &[f32], history: &[u32]) -> u32 {
        assert!(!logits.is_empty(), "sampler: no logits");
        self.penalise(logits, history);
        if self.options.temperature <= 0.0 {
            return likeliest(&self.scores);
        }
        for score in &mut self.scores {
            *score /= self.options.temperature;
        }
        self.keep_top_k();
        self.normalise();
        if self.options.top_p < 1.0 {
            self.keep_top_p();
        }
        self.draw()
    }

    fn penalise(&mut self, logits: &[f32], history: &[u32]) {
        let penalty = self.options.repetition_penalty;
        self.scores.clear();
        self.scores.extend_from_slice(logits);
        if penalty == 1.0 {
            return;
        }
        for &token in history {
            // From the original logit: a token that occurs twice is penalised
            // once.
            if let Some(&logit) = logits.get(token as usize) {
                self.scores[token as usize] = if logit < 0.0 { logit * penalty } else { logit / penalty };
            }
        }
    }

    /// Keeps the `top_k` likeliest tokens, in the order of their ids.
    fn keep_top_k(&mut self) {
        let (scores, count) = (&self.scores, self.scores.len());
        self.kept.clear();
        self.kept.extend(0..count as u32);
        if (1..count).contains(&self.options.top_k) {
            self.kept.select_nth_unstable_by(self.options.top_k - 1, |a, b| by_score(scores, *a, *b));
            self.kept.truncate(self.options.top_k);
            self.kept.sort_unstable();
        }
    }

    /// Keeps the fewest tokens that reach `top_p`, likeliest first.
    fn keep_top_p(&mut self) {
        // Together, tokens below this do not hold 1 - top_p, so the others
        // reach top_p without them and few are left to sort. The factor is
        // for rounding; a NaN stays.
        let least = 0.99 * (1.0 - self.options.top_p) / self.kept.len() as f32;
        let stays = |probability: &f32| probability.is_nan() || *probability >= least;
        let mut probabilities = self.probabilities.iter();
        self.kept.retain(|_| probabilities.next().is_some_and(stays));
        let scores = &self.scores;
        self.kept.sort_unstable_by(|a, b| by_score(scores, *a, *b));
        self.probabilities.retain(stays);
        self.probabilities.sort_unstable_by(|a, b| b.total_cmp(a));
        let mut total = 0.0;
        let reached = self.probabilities.iter().position(|&probability| {
            total += probability;
            total >= self.options.top_p
        });
        self.kept.truncate(reached.map_or(usize::MAX, |last| last + 1));
        self.normalise();
    }

    fn normalise(&mut self) {
        self.probabilities.clear();
        self.probabilities.extend(self.kept.iter().map(|&token| self.scores[token as usize]));
        softmax(&mut self.probabilities);
    }

    fn draw(&mut self) -> u32 {
        let mut left = self.stream.next_f32();
        for (&token, &probability) in self.kept.iter().zip(&self.probabilities) {
            if left < probability {
                return token;
            }
            left -= probability;
        }
        // Rounding may leave a crumb beyond the last probability.
        likeliest(&self.scores)
    }
}

/// Likeliest first; of equal ones the lowest id first.
fn by_score(scores: &[f32], a: u32, b: u32) -> Ordering {
    scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b))
}

/// The place of the largest score; the first of several.
fn likeliest(scores: &[f32]) -> u32 {
    let mut best = 0;
    for (token, score) in scores.iter().enumerate() {
        if *score > scores[best] || scores[best].is_nan() {
            best = token;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [1.0, 3.0, -2.0, 3.0, 0.5, 2.0];

    fn options() -> SamplerOptions {
        SamplerOptions { temperature: 1.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 7 }
    }

    /// The tokens that come up in many draws, and how often.
    fn counts(options: SamplerOptions, history: &[u32]) -> [usize; 6] {
        let mut sampler = Sampler::new(options);
        let mut counts = [0; 6];
        for _ in 0..20_000 {
            counts[sampler.next(&LOGITS, history) as usize] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_first_of_equals_and_survives_nan() {
        let greedy = SamplerOptions { temperature: 0.0, ..options() };
        assert_eq!(Sampler::new(greedy).next(&LOGITS, &[]), 1);
        // Penalty 2 halves token 1; token 3 is then the largest.
        let penalty = SamplerOptions { repetition_penalty: 2.0, ..greedy };
        assert_eq!(Sampler::new(penalty).next(&LOGITS, &[1, 1, 99]), 3);
        assert_eq!(Sampler::new(greedy).next(&[f32::NAN, 1.0, 2.0], &[]), 2);
        assert!(Sampler::new(options()).next(&[f32::NAN; 3], &[]) < 3);
    }

    #[test]
    fn frequencies_are_the_softmax() {
        let weights = LOGITS.map(f32::exp);
        let total: f32 = weights.iter().sum();
        for (count, weight) in counts(options(), &[]).into_iter().zip(weights) {
            let (expected, deviation) = (20_000.0 * weight / total, (20_000.0 * weight / total).sqrt());
            assert!((count as f32 - expected).abs() < 4.0 * deviation + 1.0, "{count} for {expected}");
        }
    }

    #[test]
    fn top_k_and_top_p_keep_what_they_say() {
        let kept = |options| counts(options, &[]).map(|n| n > 0);
        assert_eq!(kept(SamplerOptions { top_k: 1, ..options() }), [false, true, false, false, false, false]);
        assert_eq!(kept(SamplerOptions { top_k: 3, ..options() }), [false, true, false, true, false, true]);
        // Probabilities in order: 0.386 0.386 0.142 0.052 0.032 0.003.
        assert_eq!(kept(SamplerOptions { top_p: 0.3, ..options() }), [false, true, false, false, false, false]);
        assert_eq!(kept(SamplerOptions { top_p: 0.8, ..options() }), [false, true, false, true, false, true]);
        assert_eq!(kept(SamplerOptions { top_p: 0.0, ..options() }), [false, true, false, false, false, false]);
    }

    #[test]
    fn the_seed_decides() {
        let draw = |seed| {
            let mut sampler = Sampler::new(SamplerOptions { seed, ..options() });
            (0..50).map(|_| sampler.next(&LOGITS, &[])).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
