//! The plan: what can be built from this corpus, on this machine, in the time
//! there is. Sizes come from a ladder; the rung is chosen by real training
//! steps timed here. What is chosen goes into the lock; how long it took to
//! measure, and on what, does not.

use std::time::Duration;

use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_math::Pool;
use kwaya_model::Config;
use kwaya_train::{Decay, Keep, Precision, Schedule};
use serde::{Deserialize, Serialize};

use crate::{
    lock::{Lock, Sizes},
    machine,
    recipe::TrainWishes,
    words,
};

/// Below this much training text no tokenizer and no model make sense.
pub const TEXT_BYTES_MIN: u64 = 20_000;

/// Tokens per step: enough for a steady gradient, few enough for many steps.
const STEP_TOKENS: usize = 2048;

/// How often the model may see the same text: more only learns it by heart
/// (Muennighoff et al., "Scaling data-constrained language models", 2023,
/// found little gain beyond about 16 times).
const EPOCHS_MAX: f64 = 16.0;

/// A larger model is taken only when the time lets it see the text at least
/// so often; a smaller one learns more otherwise.
const EPOCHS_MIN: f64 = 4.0;

/// Fewer steps teach nothing.
const STEPS_MIN: u64 = 10;

/// What is kept back of the time, for a machine that is busier than it was.
const SPARE: f64 = 0.08;

/// Steps timed for each rung of the ladder, and for the forecast.
const TIMED_STEPS: usize = 5;

/// Looks at held-out text during a training.
const LOOKS: u64 = 20;

/// (hidden size, layers, heads, key and value heads, feed-forward size), from
/// small to large: heads of 32 to 64, feed-forward 8/3 of the width, as Llama
/// has. Few key and value heads learned faster than as many as query heads:
/// 2.00 instead of 2.05 bits per byte after the same 700,000 tokens.
const LADDER: [(usize, usize, usize, usize, usize); 7] = [
    (96, 3, 3, 1, 256),
    (128, 4, 4, 1, 352),
    (192, 4, 6, 2, 512),
    (256, 6, 8, 2, 704),
    (384, 8, 6, 2, 1024),
    (512, 10, 8, 2, 1408),
    (768, 12, 12, 4, 2048),
];

/// What a build costs, foretold or measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds of all stages after the corpus.
    pub seconds: f64,
    /// Seconds of the training alone.
    pub training_seconds: f64,
    /// Peak bytes of memory; `None` where the system does not say.
    pub memory_bytes: Option<u64>,
    /// Bytes on disk.
    pub disk_bytes: u64,
}

/// What the plan knows of the corpus.
#[derive(Clone, Copy, Debug)]
pub struct CorpusSize {
    /// Bytes of training text.
    pub training_bytes: u64,
    /// Bytes of held-out text.
    pub held_out_bytes: u64,
    /// Seconds that reading it took, which are part of the time there is.
    pub seconds: f64,
}

/// A rung of the ladder as it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Rung {
    /// Sizes of the model.
    pub sizes: Sizes,
    /// Weights of the model.
    pub parameters: u64,
    /// Seconds of a step on this machine.
    pub seconds_per_step: f64,
    /// Steps that there is time for.
    pub steps: u64,
    /// How often the model would see the training text.
    pub epochs: f64,
    /// Whether this is the one.
    pub chosen: bool,
}

/// What was chosen, and from what.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Tokens asked for in the tokenizer.
    pub vocabulary: usize,
    /// Sizes of the model.
    pub sizes: Sizes,
    /// The training.
    pub schedule: Schedule,
    /// All rungs that were timed.
    pub rungs: Vec<Rung>,
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
        1500..3000 => 3.3,
        3000..6000 => 3.8,
        6000..12_000 => 4.2,
        _ => 4.5,
    }
}

/// Seconds of everything but the training steps, given the seconds that a
/// token of a training step takes on this machine.
fn other_seconds(corpus: CorpusSize, vocabulary: usize, seconds_per_token: f64) -> f64 {
    // A forward pass is a third of a step. The figures read each document in
    // windows that overlap by half, for the trained and the untrained model.
    let forward = seconds_per_token / 3.0;
    let held_out_tokens = corpus.held_out_bytes as f64 / bytes_per_token(vocabulary);
    let looks = LOOKS as f64 * held_out_tokens.min(kwaya_train::SAMPLED_TOKENS as f64) * forward;
    let figures = 2.0 * 2.0 * held_out_tokens * forward;
    // Tokenizer, tokens, compressor and samples: seconds per megabyte, from
    // the stages' own times (see BENCHMARKS.md).
    let text = (corpus.training_bytes + corpus.held_out_bytes) as f64 / 1e6;
    looks + figures + SECONDS_PER_MEGABYTE * text + 0.5
}

/// Seconds per megabyte of text of the stages that no model is in.
const SECONDS_PER_MEGABYTE: f64 = 1.6;

/// Chooses sizes and steps for `corpus` so that a build takes about `within`,
/// keeping every wish of the recipe. `ranks` processes share the training;
/// what they send each other is not foretold.
///
/// # Errors
/// `corpus-too-small`, `time-too-short`, `memory-too-short`, `interrupted`.
pub fn choose(
    corpus: CorpusSize,
    wishes: &TrainWishes,
    within: Duration,
    memory_free: u64,
    pool: &Pool,
    ranks: usize,
    progress: &dyn Progress,
) -> Result<Chosen> {
    if corpus.training_bytes < TEXT_BYTES_MIN {
        return Err(Error::new("corpus-too-small")
            .arg("found", words::bytes(corpus.training_bytes))
            .arg("needed", words::bytes(TEXT_BYTES_MIN)));
    }
    let vocabulary = wishes.vocabulary.unwrap_or_else(|| vocabulary(corpus.training_bytes));
    let tokens = corpus.training_bytes as f64 / bytes_per_token(vocabulary);
    let fixed = wishes.hidden_size.is_some() || wishes.layers.is_some();
    let mut rungs: Vec<Rung> = Vec::new();
    let mut best: Option<(Sizes, Schedule)> = None;
    progress.begin("plan-measure", LADDER.len() as u64, Unit::Steps);
    for rung in LADDER {
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        let sizes = sized(rung, wishes);
        let config = sizes.config(vocabulary);
        let trial = schedule(&sizes, wishes, 1);
        let share = share(&trial, ranks);
        let need = kwaya_train::memory(&config, &share, Keep::Everything).total();
        if need > memory_free / 10 * 9 {
            if best.is_none() {
                return Err(Error::new("memory-too-short")
                    .arg("needed", words::bytes(need))
                    .arg("free", words::bytes(memory_free)));
            }
            break;
        }
        let step = kwaya_train::measure(&config, &share, Keep::Everything, pool, TIMED_STEPS)?.seconds_per_step;
        let step_tokens = trial.targets_per_step() as f64;
        let other = other_seconds(corpus, vocabulary, step / step_tokens);
        let affordable = (((within.as_secs_f64() - corpus.seconds) * (1.0 - SPARE) - other).max(0.0) / step) as u64;
        if best.is_none() && affordable < STEPS_MIN && wishes.steps.is_none() {
            let needed = ((STEPS_MIN as f64 * step + other) / (1.0 - SPARE) + corpus.seconds).ceil() + 1.0;
            return Err(Error::usage("time-too-short")
                .arg("within", words::duration(within.as_secs_f64()))
                .arg("needed", format!("{needed}s")));
        }
        let useful = (EPOCHS_MAX * tokens / step_tokens).ceil() as u64;
        let steps = wishes.steps.unwrap_or(affordable.min(useful.max(50)));
        let epochs = steps as f64 * step_tokens / tokens;
        let better = best.is_none() || (!fixed && affordable as f64 * step_tokens / tokens >= EPOCHS_MIN);
        if better {
            rungs.iter_mut().for_each(|rung| rung.chosen = false);
            best = Some((sizes, schedule(&sizes, wishes, steps)));
        }
        let parameters = config.parameters();
        rungs.push(Rung { sizes, parameters, seconds_per_step: step, steps, epochs, chosen: better });
        progress.at(rungs.len() as u64);
        if !better || fixed {
            break;
        }
    }
    progress.end();
    let (sizes, schedule) = best.expect("the first rung is chosen or refused");
    Ok(Chosen { vocabulary, sizes, schedule, rungs })
}

fn sized(rung: (usize, usize, usize, usize, usize), wishes: &TrainWishes) -> Sizes {
    let (mut hidden_size, layers, mut heads, mut key_value_heads, mut intermediate_size) = rung;
    if let Some(width) = wishes.hidden_size {
        hidden_size = width.next_multiple_of(32);
        heads = hidden_size / 32;
        key_value_heads = if heads.is_multiple_of(4) { heads / 4 } else { 1 };
        intermediate_size = (hidden_size * 8 / 3).next_multiple_of(32);
    }
    Sizes {
        hidden_size,
        layers: wishes.layers.unwrap_or(layers),
        heads,
        key_value_heads,
        intermediate_size,
        context: wishes.context.unwrap_or(256),
        initializer_range: initializer_range(hidden_size),
    }
}

/// sqrt(2 / (5 width)), to four digits (Nguyen and Salazar, "Transformers
/// without tears", 2019). At width 192, after 700,000 tokens of Swahili news,
/// it gave 2.13 bits per byte where the usual 0.02 gave 2.29.
fn initializer_range(width: usize) -> f64 {
    ((2.0 / (5.0 * width as f64)).sqrt() * 1e4).round() / 1e4
}

fn schedule(sizes: &Sizes, wishes: &TrainWishes, steps: u64) -> Schedule {
    // Wider models want smaller steps; 0.003 at width 192 was found by trial.
    let rate = wishes.learning_rate.unwrap_or_else(|| (0.576 / sizes.hidden_size as f32).min(0.004));
    let rows = (STEP_TOKENS / sizes.context).max(1);
    let micro_batches = wishes.micro_batches.unwrap_or(rows.min(2));
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
        evaluate_every: (steps / LOOKS).max(1),
        precision: Precision::F32,
    }
}

/// The work of one of several processes.
fn share(schedule: &Schedule, ranks: usize) -> Schedule {
    Schedule { micro_batches_per_step: schedule.micro_batches_per_step.div_ceil(ranks), ..schedule.clone() }
}

/// What a build of `lock` will cost on this machine, by `ranks` processes:
/// training steps timed now, and rates for the small stages.
///
/// # Errors
/// When the lock's numbers are not valid.
pub fn forecast(lock: &Lock, corpus: CorpusSize, pool: &Pool, ranks: usize) -> Result<Cost> {
    let config = lock.model.config(lock.vocabulary);
    let share = share(&lock.train, ranks);
    let measured = kwaya_train::measure(&config, &share, Keep::Everything, pool, TIMED_STEPS)?;
    let step = measured.seconds_per_step;
    let other = other_seconds(corpus, lock.vocabulary, step / lock.train.targets_per_step() as f64);
    let training_seconds = step * lock.train.steps as f64;
    Ok(Cost {
        seconds: training_seconds + other,
        training_seconds,
        memory_bytes: Some(memory(measured.bytes, corpus)),
        disk_bytes: disk(&config, corpus, lock.vocabulary),
    })
}

/// The program, its threads and what the library of the tokenizer keeps.
const PROGRAM_BYTES: u64 = 40 << 20;

/// What the compressor takes beside the text: tables for its level, which
/// are small where there is little text to look back at.
const COMPRESSOR_BYTES: [u64; 2] = [8 << 20, 84 << 20];

/// The hungriest stage: the training, or the compressor, which looks back at
/// up to 64 MB of text; or what this process has used until now, in trying
/// the sizes, when the build goes on in it.
fn memory(training: u64, corpus: CorpusSize) -> u64 {
    let text = corpus.training_bytes.min(64 << 20);
    let compressor = COMPRESSOR_BYTES[usize::from(text > 256 << 10)] + 3 * text;
    let foreseen = PROGRAM_BYTES + training.max(compressor);
    foreseen.max(machine::peak_memory().unwrap_or(0))
}

/// The store, with two checkpoints of weights and both averages.
fn disk(config: &Config, corpus: CorpusSize, vocabulary: usize) -> u64 {
    let weights = 4 * config.parameters();
    let text = corpus.training_bytes + corpus.held_out_bytes;
    let tokens = (text as f64 / bytes_per_token(vocabulary) * 2.0) as u64;
    weights * 7 + tokens + text / 2 + (1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kwaya_base::Silent;

    const CORPUS: CorpusSize = CorpusSize { training_bytes: 1_000_000, held_out_bytes: 20_000, seconds: 0.0 };

    fn small() -> TrainWishes {
        TrainWishes { hidden_size: Some(32), layers: Some(1), context: Some(64), ..TrainWishes::default() }
    }

    fn chosen(corpus: CorpusSize, wishes: &TrainWishes, seconds: u64, memory: u64) -> Result<Chosen> {
        choose(corpus, wishes, Duration::from_secs(seconds), memory, &Pool::new(1), 1, &Silent)
    }

    #[test]
    fn the_recipe_s_wishes_are_kept() {
        let wishes =
            TrainWishes { seed: 7, vocabulary: Some(700), steps: Some(33), learning_rate: Some(0.001), ..small() };
        let plan = chosen(CORPUS, &wishes, 60, 1 << 34).unwrap();
        let (sizes, schedule) = (&plan.sizes, &plan.schedule);
        assert_eq!((plan.vocabulary, sizes.hidden_size, sizes.layers, sizes.context), (700, 32, 1, 64));
        assert_eq!((schedule.seed, schedule.steps, schedule.learning_rate), (7, 33, 0.001));
        assert_eq!(plan.rungs.iter().map(|r| r.chosen).collect::<Vec<_>>(), [true]);
        schedule.validate(&sizes.config(700)).unwrap();
        assert_eq!(schedule.micro_batches_per_step, 2);
        let many = chosen(CORPUS, &TrainWishes { micro_batches: Some(5), ..wishes }, 60, 1 << 34).unwrap().schedule;
        assert_eq!((many.micro_batches_per_step, many.sequences_per_micro_batch), (5, 7), "32 rows, cut into five");
    }

    #[test]
    fn text_is_not_seen_more_often_than_it_teaches() {
        let plan = chosen(CORPUS, &small(), 1_000_000, 1 << 34).unwrap();
        assert!((plan.rungs[0].epochs - EPOCHS_MAX).abs() < 0.1, "{:?}", plan.rungs);
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_would_do() {
        let tiny = CorpusSize { training_bytes: TEXT_BYTES_MIN - 1, held_out_bytes: 0, seconds: 0.0 };
        assert_eq!(chosen(tiny, &small(), 60, 1 << 34).unwrap_err().key(), "corpus-too-small");
        assert_eq!(chosen(CORPUS, &small(), 60, 1 << 20).unwrap_err().key(), "memory-too-short");
        let error = chosen(CORPUS, &small(), 0, 1 << 34).unwrap_err();
        assert_eq!(error.key(), "time-too-short");
        let needed = &error.args().iter().find(|(name, _)| *name == "needed").unwrap().1;
        let needed = words::parse_duration(needed).unwrap();
        choose(CORPUS, &small(), needed * 3, 1 << 34, &Pool::new(1), 1, &Silent).unwrap();
    }

    #[test]
    fn every_rung_is_a_model_of_the_family() {
        for rung in LADDER {
            let sizes = sized(rung, &TrainWishes::default());
            sizes.config(4096).validate().unwrap();
            schedule(&sizes, &TrainWishes::default(), 100).validate(&sizes.config(4096)).unwrap();
            assert!((32..=64).contains(&(sizes.hidden_size / sizes.heads)), "{rung:?}");
        }
        assert_eq!(initializer_range(192), 0.0456);
    }
}
