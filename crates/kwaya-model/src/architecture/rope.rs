//! Rotary embeddings: the frequencies by which queries and keys are turned, and
//! how they are changed for longer texts.

use kwaya_math::scalar;
use serde::Serialize;

use super::shortest;

/// The frequencies of one rotary embedding.
#[derive(Serialize, Clone, PartialEq, Debug)]
pub struct Rope {
    /// The base of the frequencies.
    pub theta: f64,
    /// How they are changed for longer texts.
    pub scaling: RopeScaling,
}

/// How rotary frequencies are changed for texts longer than those of the
/// first training.
#[derive(Serialize, Clone, PartialEq, Debug)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Each frequency is divided by this.
    Linear(f64),
    /// Low frequencies are divided by `factor`, high ones stay, and those
    /// between are mixed (Llama 3.1).
    Llama3 {
        /// What low frequencies are divided by.
        factor: f64,
        /// Frequencies that turn fewer times than this in the context are low.
        low_freq_factor: f64,
        /// Those that turn more times than this are high.
        high_freq_factor: f64,
        /// The context of the first training.
        original_context: usize,
    },
    /// Each frequency is divided by a number of its own: `rope_freqs.weight`
    /// in the GGUF of a Llama 3.
    Factors(Vec<f32>),
}

impl Rope {
    /// The head_dim / 2 inverse frequencies, in f32 as `transformers` has
    /// them: dimension pair i turns by position times frequency i.
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        let plain = (0..head_dim / 2).map(|i| {
            let power = scalar::exp2((2 * i) as f64 / head_dim as f64 * scalar::log2(self.theta));
            1.0 / power as f32
        });
        match &self.scaling {
            RopeScaling::None => plain.collect(),
            RopeScaling::Linear(factor) => plain.map(|f| f / *factor as f32).collect(),
            RopeScaling::Factors(factors) => plain.zip(factors).map(|(f, factor)| f / factor).collect(),
            &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                let context = original_context as f32;
                let (factor, low, high) = (factor as f32, low_freq_factor as f32, high_freq_factor as f32);
                plain
                    .map(|f| {
                        let wavelength = 2.0 * std::f32::consts::PI / f;
                        if wavelength > context / low {
                            f / factor
                        } else if wavelength < context / high {
                            f
                        } else {
                            let smooth = (context / wavelength - low) / (high - low);
                            (1.0 - smooth) * f / factor + smooth * f
                        }
                    })
                    .collect()
            }
        }
    }

    /// By what each frequency is divided, where that differs by frequency.
    pub(super) fn divisors(&self, head_dim: usize) -> Option<Vec<f32>> {
        match &self.scaling {
            RopeScaling::None | RopeScaling::Linear(_) => None,
            RopeScaling::Factors(factors) => Some(factors.clone()),
            RopeScaling::Llama3 { .. } => {
                let plain = Self { scaling: RopeScaling::None, ..self.clone() };
                let pairs = plain.inverse_frequencies(head_dim).into_iter().zip(self.inverse_frequencies(head_dim));
                Some(pairs.map(|(plain, scaled)| plain / scaled).collect())
            }
        }
    }

    /// The same with the rule that divisors follow from, where it is that of
    /// Llama 3 with the numbers that all such models have. The frequencies
    /// are the same but for the last bits.
    pub(super) fn by_rule(&self, head_dim: usize) -> Option<Self> {
        let RopeScaling::Factors(factors) = &self.scaling else { return Some(self.clone()) };
        let found = self.inverse_frequencies(head_dim);
        let factor = factors.iter().fold(1.0, |most: f32, factor| most.max(*factor));
        let rules = (4..=20).map(|power| RopeScaling::Llama3 {
            factor: shortest(factor),
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 1 << power,
        });
        let same = |rope: &Self| {
            let pairs = rope.inverse_frequencies(head_dim).into_iter().zip(&found);
            pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-6 * a)
        };
        rules.map(|scaling| Self { scaling, ..self.clone() }).find(same)
    }
}
