//! The numbers that, with the configuration and the tokens, decide every bit
//! of a trained model. They are written in the lock.

use kwaya_base::{Error, Result};
use kwaya_math::scalar;
use kwaya_model::Precision;
use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Half a period of a cosine (Loshchilov & Hutter 2017).
    Cosine,
    /// A straight line.
    Linear,
}

/// How a model is trained.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Where all random numbers start.
    pub seed: u64,
    /// Updates of the weights.
    pub steps: u64,
    /// Targets in a row.
    pub sequence_length: usize,
    /// Rows whose gradient is computed at once. It decides bits: the gradient
    /// of a micro-batch is one sum in order, and the gradients of several are
    /// added as a tree.
    pub sequences_per_micro_batch: usize,
    /// Micro-batches in a step.
    pub micro_batches_per_step: usize,
    /// The learning rate at the end of the warm-up.
    pub learning_rate: f32,
    /// The learning rate at the last step.
    pub learning_rate_min: f32,
    /// Steps over which the learning rate rises in a straight line.
    pub warmup_steps: u64,
    /// How it falls afterwards.
    pub decay: Decay,
    /// AdamW's memory of the gradient.
    pub beta1: f32,
    /// AdamW's memory of the squared gradient.
    pub beta2: f32,
    /// AdamW's guard against division by nought.
    pub epsilon: f32,
    /// Decoupled weight decay, for matrices.
    pub weight_decay: f32,
    /// The largest norm of a step's gradient; a larger one is scaled down.
    pub clip_norm: f32,
    /// Steps between two looks at the held-out text.
    pub evaluate_every: u64,
    /// The numbers that matrix products are made of. Weights, sums and
    /// everything else are f32 in either.
    #[serde(default)]
    pub precision: Precision,
}

impl Schedule {
    /// Checks the numbers, alone and against a model that reads `context` tokens.
    ///
    /// # Errors
    /// `schedule-value`, naming the number.
    pub fn validate(&self, context: usize) -> Result<()> {
        let refuse = |key: &str, value: &dyn std::fmt::Display| {
            Err(Error::usage("schedule-value").arg("key", key).arg("value", value))
        };
        let rows = 1 << 20;
        for (key, value, largest) in [
            ("steps", self.steps, 1 << 40),
            ("sequence_length", self.sequence_length as u64, context as u64),
            ("sequences_per_micro_batch", self.sequences_per_micro_batch as u64, rows),
            ("micro_batches_per_step", self.micro_batches_per_step as u64, rows),
            ("evaluate_every", self.evaluate_every, u64::MAX),
        ] {
            if value == 0 || value > largest {
                return refuse(key, &value);
            }
        }
        if self.warmup_steps > self.steps {
            return refuse("warmup_steps", &self.warmup_steps);
        }
        for (key, value, largest) in [
            ("learning_rate", self.learning_rate, 1e3),
            ("learning_rate_min", self.learning_rate_min, self.learning_rate),
            ("beta1", self.beta1, 0.999_999),
            ("beta2", self.beta2, 0.999_999),
            ("epsilon", self.epsilon, 1.0),
            ("weight_decay", self.weight_decay, 1e3),
            ("clip_norm", self.clip_norm, f32::MAX),
        ] {
            // Written so that a NaN is refused.
            if !(0.0..=largest).contains(&value) {
                return refuse(key, &value);
            }
        }
        Ok(())
    }

    /// The learning rate of `step`, counted from 1: a straight line up to
    /// `learning_rate` at the end of the warm-up, then down to
    /// `learning_rate_min` at the last step. In f64, rounded once.
    pub fn learning_rate_at(&self, step: u64) -> f32 {
        let (high, low) = (f64::from(self.learning_rate), f64::from(self.learning_rate_min));
        if step < self.warmup_steps {
            return (high * step as f64 / self.warmup_steps as f64) as f32;
        }
        let steps = (self.steps - self.warmup_steps).max(1);
        let done = (step - self.warmup_steps) as f64 / steps as f64;
        let left = match self.decay {
            Decay::Cosine => 0.5 * (1.0 + scalar::cos(std::f64::consts::PI * done)),
            Decay::Linear => 1.0 - done,
        };
        (low + (high - low) * left) as f32
    }

    /// Targets of a step, where every row is full.
    pub fn targets_per_step(&self) -> u64 {
        (self.micro_batches_per_step * self.sequences_per_micro_batch * self.sequence_length) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule {
            seed: 1,
            steps: 110,
            sequence_length: 8,
            sequences_per_micro_batch: 1,
            micro_batches_per_step: 1,
            learning_rate: 1.0,
            learning_rate_min: 0.1,
            warmup_steps: 10,
            decay,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
            clip_norm: 1.0,
            evaluate_every: 10,
            precision: Precision::F32,
        }
    }

    #[test]
    fn the_learning_rate_rises_and_falls() {
        for (decay, at_35) in [(Decay::Cosine, 0.1 + 0.9 * 0.853_553_4), (Decay::Linear, 0.1 + 0.9 * 0.75)] {
            let schedule = schedule(decay);
            for (step, rate) in [(1, 0.1), (5, 0.5), (10, 1.0), (35, at_35), (60, 0.55), (110, 0.1)] {
                let found = schedule.learning_rate_at(step);
                assert!((found - rate).abs() < 1e-6, "{decay:?} at {step}: {found}");
            }
        }
        assert_eq!(Schedule { warmup_steps: 0, ..schedule(Decay::Linear) }.learning_rate_at(110), 0.1);
        assert_eq!(Schedule { warmup_steps: 110, ..schedule(Decay::Cosine) }.learning_rate_at(110), 1.0);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let good = schedule(Decay::Cosine);
        good.validate(2048).unwrap();
        for (wrong, key) in [
            (Schedule { steps: 0, ..good.clone() }, "steps"),
            (Schedule { sequence_length: 2049, ..good.clone() }, "sequence_length"),
            (Schedule { warmup_steps: 111, ..good.clone() }, "warmup_steps"),
            (Schedule { learning_rate: f32::NAN, ..good.clone() }, "learning_rate"),
            (Schedule { learning_rate_min: 2.0, ..good.clone() }, "learning_rate_min"),
            (Schedule { beta2: 1.0, ..good.clone() }, "beta2"),
        ] {
            let error = wrong.validate(2048).unwrap_err();
            assert_eq!((error.key(), &*error.args()[0].1), ("schedule-value", key));
        }
    }
}
