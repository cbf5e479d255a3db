//! The plan: what can be built from this corpus, on this machine, in the time
//! there is. Sizes come from a ladder; the rung is chosen by real training
//! steps timed here. What is chosen goes into the lock; how long it took to
//! measure, and on what, does not.

use std::time::Duration;

use kwaya_base::{Error, Result};
use kwaya_math::Pool;
use kwaya_train::{Decay, Schedule};
use serde::Serialize;

use crate::{lock::Sizes, recipe::TrainWishes};

/// Below this much training text no tokenizer and no model make sense.
pub const TEXT_BYTES_MIN: u64 = 20_000;

/// Tokens per step: enough for a steady gradient, few enough for many steps.
const STEP_TOKENS: usize = 4096;

/// How often the model may see the same text: more only learns it by heart
/// (Muennighoff et al., "Scaling data-constrained language models", 2023,
/// found little gain beyond about 16 times).
const EPOCHS_MAX: f64 = 16.0;

/// A larger model is taken only when the time lets it see the text at least
/// so often; a smaller one learns more otherwise.
const EPOCHS_MIN: f64 = 6.0;

/// The part of the time that training gets; the other stages have the rest.
const TRAINING_SHARE: f64 = 0.85;

/// Steps timed for each rung of the ladder.
const TIMED_STEPS: usize = 3;

/// (hidden size, layers, heads, feed-forward size), from small to large:
/// heads of 32 to 64, feed-forward 8/3 of the width, as Llama has.
const LADDER: [(usize, usize, usize, usize); 7] = [
    (96, 3, 3, 256),
    (128, 4, 4, 352),
    (192, 4, 6, 512),
    (256, 6, 8, 704),
    (384, 8, 6, 1024),
    (512, 10, 8, 1408),
    (768, 12, 12, 2048),
];

/// What a build will cost.
#[derive(Clone, Copy, Debug, Serialize, serde::Deserialize, PartialEq)]
pub struct Forecast {
    /// Seconds of training.
    pub training_seconds: f64,
    /// Seconds of all stages.
    pub seconds: f64,
    /// Peak bytes of memory.
    pub memory_bytes: u64,
    /// Bytes on disk at the most.
    pub disk_bytes: u64,
}

/// What the plan knows of the corpus.
#[derive(Clone, Copy, Debug)]
pub struct CorpusSize {
    /// Bytes of training text.
    pub training_bytes: u64,
    /// Bytes of held-out text.
    pub held_out_bytes: u64,
}

/// What was chosen.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Tokens asked for in the tokenizer.
    pub vocabulary: usize,
    /// Sizes of the model.
    pub sizes: Sizes,
    /// The training.
    pub schedule: Schedule,
}

/// A vocabulary that fits the corpus: a token should be seen often enough to
/// be learned.
fn vocabulary(bytes: u64) -> usize {
    match bytes {
        0..500_000 => 1024,
        500_000..2_000_000 => 2048,
        2_000_000..16_000_000 => 4096,
        16_000_000..100_000_000 => 8192,
        _ => 16_384,
    }
}

/// Bytes that a token stands for, roughly, before there is a tokenizer.
fn bytes_per_token(vocabulary: usize) -> f64 {
    match vocabulary {
        0..1500 => 2.8,
        1500..3000 => 3.2,
        3000..6000 => 3.7,
        6000..12_000 => 4.1,
        _ => 4.5,
    }
}

/// Chooses sizes and steps for `corpus` so that a build takes about `within`,
/// keeping every wish of the recipe.
///
/// # Errors
/// `corpus-too-small`, `time-too-short`, `memory-too-short`.
pub fn choose(
    corpus: CorpusSize,
    wishes: &TrainWishes,
    within: Duration,
    memory_free: u64,
    pool: &Pool,
    measured: &mut dyn FnMut(&Sizes, f64),
) -> Result<Chosen> {
    if corpus.training_bytes < TEXT_BYTES_MIN {
        return Err(Error::new("corpus-too-small")
            .arg("found", crate::words::bytes(corpus.training_bytes))
            .arg("needed", crate::words::bytes(TEXT_BYTES_MIN)));
    }
    let vocabulary = wishes.vocabulary.unwrap_or_else(|| vocabulary(corpus.training_bytes));
    let tokens = corpus.training_bytes as f64 / bytes_per_token(vocabulary);
    let seconds = within.as_secs_f64() * TRAINING_SHARE;
    let fixed = wishes.hidden_size.is_some() || wishes.layers.is_some();
    let mut best: Option<Chosen> = None;
    for rung in LADDER {
        let sizes = sized(rung, wishes);
        let mut schedule = schedule(&sizes, wishes, 1);
        let config = sizes.config(vocabulary);
        let need = kwaya_train::memory(&config, &schedule).total();
        if need > memory_free / 10 * 9 {
            if best.is_none() {
                return Err(Error::new("memory-too-short")
                    .arg("needed", crate::words::bytes(need))
                    .arg("free", crate::words::bytes(memory_free)));
            }
            break;
        }
        let step = kwaya_train::measure(&config, &schedule, pool, TIMED_STEPS)?.seconds_per_step;
        measured(&sizes, step);
        let affordable = (seconds / step) as u64;
        let epochs = affordable as f64 * STEP_TOKENS as f64 / tokens;
        if best.is_some() && (fixed || epochs < EPOCHS_MIN) {
            break;
        }
        let useful = (EPOCHS_MAX * tokens / STEP_TOKENS as f64).ceil() as u64;
        let steps = wishes.steps.unwrap_or(affordable.min(useful.max(50)));
        if steps < 10 && wishes.steps.is_none() {
            let needed = (10.0 * step / TRAINING_SHARE).ceil().max(1.0);
            return Err(Error::usage("time-too-short")
                .arg("within", crate::words::duration(within.as_secs_f64()))
                .arg("needed", format!("{needed}s")));
        }
        schedule = self::schedule(&sizes, wishes, steps);
        best = Some(Chosen { vocabulary, sizes, schedule });
    }
    Ok(best.expect("the first rung is chosen or refused"))
}

fn sized(rung: (usize, usize, usize, usize), wishes: &TrainWishes) -> Sizes {
    let (mut hidden_size, layers, mut heads, mut intermediate_size) = rung;
    if let Some(width) = wishes.hidden_size {
        hidden_size = width.next_multiple_of(32);
        heads = hidden_size / 32;
        intermediate_size = (hidden_size * 8 / 3).next_multiple_of(32);
    }
    Sizes {
        hidden_size,
        layers: wishes.layers.unwrap_or(layers),
        heads,
        key_value_heads: heads,
        intermediate_size,
        context: wishes.context.unwrap_or(256),
    }
}

fn schedule(sizes: &Sizes, wishes: &TrainWishes, steps: u64) -> Schedule {
    // Wider models want smaller steps; 0.004 at width 192 was found by trial.
    let rate = wishes.learning_rate.unwrap_or_else(|| (0.768 / sizes.hidden_size as f32).min(0.004));
    let rows = (STEP_TOKENS / sizes.context).max(1);
    let micro_batches = rows.min(4);
    Schedule {
        seed: wishes.seed,
        steps,
        sequence_length: sizes.context,
        sequences_per_micro_batch: rows.div_ceil(micro_batches),
        micro_batches_per_step: micro_batches,
        learning_rate: rate,
        learning_rate_min: rate * 0.05,
        warmup_steps: (steps / 20).clamp(1, 500).min(steps),
        decay: Decay::Cosine,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        clip_norm: 1.0,
        evaluate_every: (steps / 20).max(1),
    }
}
