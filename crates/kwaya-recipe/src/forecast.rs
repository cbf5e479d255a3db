//! What a build will cost, before it is begun: time, memory, disk. The
//! training's come from real steps on this machine, those of the stages about
//! text from rates that were measured (BENCHMARKS.md).
//!
//! `examples/forecast.rs` holds it against the truth.

use std::time::Duration;

use kwaya_base::Result;
use kwaya_math::Pool;
use kwaya_model::Frozen;
use kwaya_train::Schedule;
use serde::{Deserialize, Serialize};

use crate::{
    evaluation::SAMPLED_BYTES,
    learning::Learning,
    lock::Lock,
    machine,
    memory::Way,
    plan::{self, CorpusSize},
};

/// What a build costs, foretold or measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds of all stages after the corpus.
    pub seconds: f64,
    /// Seconds of the training alone, its looks at held-out text among them.
    pub training_seconds: f64,
    /// Peak bytes of memory; `None` where the system does not say.
    pub memory_bytes: Option<u64>,
    /// Bytes on disk when the training is done.
    pub disk_bytes: u64,
}

/// The program, its threads, and the rooms that the kernels pack matrices
/// into, as far as they cannot be measured: 33 to 45 MB on 2 threads.
pub(crate) const PROGRAM_BYTES: u64 = 40_000_000;

/// The program with what the library of the tokenizer keeps: 32 MB for 0.2 MB
/// of text, and 48 to 57 for 3.9 and more.
const AFTER_TOKENIZER_BYTES: [u64; 2] = [32_000_000, 55_000_000];
const AFTER_TOKENIZER_BYTES_PER_BYTE: u64 = 6;

/// The program before it has trained anything.
const PROGRAM_AT_REST_BYTES: u64 = 36_000_000;

/// What the tokenizer's training takes beside the program: 20 MB for 0.9 MB of
/// text, 57 for 3.9, 309 for 27.8.
const TOKENIZER_BYTES: u64 = 12_000_000;
const TOKENIZER_BYTES_PER_BYTE: u64 = 11;

/// It looks at no more text than this.
const TOKENIZER_TEXT_MAX: u64 = 64 << 20;

/// What the compressor takes beside the program: the tables of its level,
/// which are small where there is little text to look back at, and the text
/// and what it remembers of it. 90 MB for 0.9 MB of text, 104 for 3.7, 199 for 26.
const COMPRESSOR_BYTES: [u64; 2] = [10_000_000, 88_000_000];
const COMPRESSOR_BYTES_PER_BYTE: u64 = 4;

/// It looks back at no more text than this.
const COMPRESSOR_TEXT_MAX: u64 = 64 << 20;

/// Seconds per megabyte of text for tokenizer and tokens.
const TOKENIZE_SECONDS_PER_MEGABYTE: f64 = 0.55;

/// Seconds per megabyte of text to look back at, for each language, of the
/// compressor.
const COMPRESSOR_SECONDS_PER_MEGABYTE: f64 = 0.9;

/// Bytes a second at which a checkpoint is hashed and written.
const CHECKPOINT_SPEED: f64 = 3e8;

/// What the timing may take, whatever a step takes.
const TIMED_AT_MOST: Duration = Duration::from_secs(5);

/// What a build of `lock` will cost on this machine: training steps timed now,
/// with their memory, and rates for the small stages. A checkpoint comes every
/// `checkpoint_every`. `ranks` processes share the training; what they send
/// each other is not foretold.
///
/// # Errors
/// When the lock's numbers are not valid.
pub fn forecast(
    lock: &Lock,
    learning: &Learning<'_>,
    corpus: CorpusSize,
    way: Way,
    checkpoint_every: Duration,
    pool: &Pool,
    ranks: usize,
) -> Result<Cost> {
    let steps = (lock.train.steps / 20).clamp(5, 100) as usize;
    machine::reset_peak_memory();
    let [least, most] = AFTER_TOKENIZER_BYTES;
    let after_tokenizer = (least + AFTER_TOKENIZER_BYTES_PER_BYTE * corpus.training_bytes).min(most);
    let rest = machine::resident_memory().map_or(0, |now| after_tokenizer.saturating_sub(now));
    let measured = learning.measure(&plan::share(&lock.train, ranks), way.activations, pool, steps, TIMED_AT_MOST)?;
    // What it took beside what it planned is the program itself, and what the
    // stages before the training will still leave in it.
    let program = machine::peak_memory().map_or(PROGRAM_BYTES, |peak| peak.saturating_sub(measured.used_bytes) + rest);
    machine::release_memory();
    let tokens = (corpus.training_bytes + corpus.held_out_bytes) as f64 / corpus.bytes_per_token(lock.vocabulary);
    let training_bytes = program + measured.bytes + 4 * tokens as u64;
    let pace = Pace::new(learning, &lock.train, measured.seconds_per_step);
    let training_seconds = training_seconds(&lock.train, pace, corpus, lock.vocabulary);
    let checkpoints = 1.0 + (training_seconds / checkpoint_every.as_secs_f64()).floor();
    let training_seconds = training_seconds + checkpoints * 12.0 * learning.parameters() as f64 / CHECKPOINT_SPEED;
    Ok(Cost {
        seconds: training_seconds + other_seconds(corpus, lock.vocabulary, learning, pace),
        training_seconds,
        memory_bytes: Some(training_bytes.max(text_bytes(corpus)).max(figures_bytes(learning))),
        disk_bytes: disk(learning, corpus, lock.vocabulary, checkpoints),
    })
}

/// What a token costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Seconds of a step.
    pub(crate) step: f64,
    /// Seconds of a token that is only read: a forward pass is a third of the
    /// work of a step, or half of it where no gradients of weights are made.
    pub(crate) forward: f64,
}

impl Pace {
    pub(crate) fn new(learning: &Learning<'_>, schedule: &Schedule, seconds_per_step: f64) -> Self {
        let passes = if learning.lora.is_some() { 2.0 } else { 3.0 };
        Self { step: seconds_per_step, forward: seconds_per_step / schedule.targets_per_step() as f64 / passes }
    }
}

/// Seconds of the steps and of the looks at held-out text between them.
pub(crate) fn training_seconds(schedule: &Schedule, pace: Pace, corpus: CorpusSize, vocabulary: usize) -> f64 {
    let looks = schedule.steps.div_ceil(schedule.evaluate_every.max(1)) as f64;
    schedule.steps as f64 * pace.step + looks * look_tokens(corpus, vocabulary) * pace.forward
}

/// Tokens of a look at held-out text.
pub(crate) fn look_tokens(corpus: CorpusSize, vocabulary: usize) -> f64 {
    (corpus.held_out_bytes as f64 / corpus.bytes_per_token(vocabulary)).min(kwaya_train::SAMPLED_TOKENS as f64)
}

/// Seconds of everything but the training.
pub(crate) fn other_seconds(corpus: CorpusSize, vocabulary: usize, learning: &Learning<'_>, pace: Pace) -> f64 {
    // The figures read each document in windows that overlap by half, for the
    // trained and the untrained model.
    let most = if learning.base.is_some() { SAMPLED_BYTES } else { u64::MAX };
    let held_out = corpus.held_out_bytes.min(most) as f64 / corpus.bytes_per_token(vocabulary);
    let figures = 4.0 * held_out * pace.forward;
    let text = (corpus.training_bytes + corpus.held_out_bytes) as f64 / 1e6;
    let looked_back_at = corpus.training_bytes.min(COMPRESSOR_TEXT_MAX) as f64 / 1e6;
    // A sample for each language and one more; each token reads all weights.
    let samples = 60.0 * (1 + corpus.languages) as f64 * 4.0 * learning.architecture.parameters() as f64 / 1e10;
    let compressor = COMPRESSOR_SECONDS_PER_MEGABYTE * looked_back_at * corpus.languages as f64;
    figures + TOKENIZE_SECONDS_PER_MEGABYTE * text + compressor + samples + 0.5
}

/// The most bytes of the stages that work on text alone.
pub(crate) fn text_bytes(corpus: CorpusSize) -> u64 {
    let text = corpus.training_bytes;
    let tokenizer = TOKENIZER_BYTES + TOKENIZER_BYTES_PER_BYTE * text.min(TOKENIZER_TEXT_MAX);
    let tables = COMPRESSOR_BYTES[usize::from(text > 256 << 10)];
    let compressor = tables + COMPRESSOR_BYTES_PER_BYTE * text.min(COMPRESSOR_TEXT_MAX);
    PROGRAM_AT_REST_BYTES + tokenizer.max(compressor)
}

/// The figures: a model, and its file. What began as a base stays in its file,
/// of 16 bits, but for the head, and is packed from there to write samples; the
/// base is there too, and a row of logits at a time.
fn figures_bytes(learning: &Learning<'_>) -> u64 {
    let weights = learning.architecture.parameters();
    PROGRAM_BYTES
        + match learning.base {
            None => 8 * weights,
            Some(_) => {
                let logits = 4 * (plan::ROW_FOR_BASE * learning.architecture.vocab) as u64;
                4 * weights + Frozen::bytes(&learning.architecture) + logits + learning.file_bytes()
            }
        }
}

/// The store, with what is learned and up to two checkpoints of it and both
/// averages; where adapters are, with the model that they are merged into.
fn disk(learning: &Learning<'_>, corpus: CorpusSize, vocabulary: usize, checkpoints: f64) -> u64 {
    let weights = 4 * learning.parameters();
    let merged = if learning.lora.is_some() { 2 * learning.architecture.parameters() } else { 0 };
    let text = corpus.training_bytes + corpus.held_out_bytes;
    let tokens = (text as f64 / corpus.bytes_per_token(vocabulary) * 2.0) as u64;
    merged + weights * if checkpoints > 1.0 { 7 } else { 4 } + tokens + text * 2 / 5 + (1 << 20)
}
