//! What a training will cost, before it is begun: memory from the sizes, time
//! from real steps on this machine.

use std::time::{Duration, Instant};

use kwaya_base::Result;
use kwaya_math::{Pool, philox::Stream};
use kwaya_model::{Activations, Adapters, Architecture, Config, Frozen, Keep, Lora, Model, Network};
use serde::Serialize;

use crate::{
    order::BatchBuffer,
    ranks::Alone,
    schedule::Schedule,
    step::{Adapted, Learner, State, Stepper},
    tree::tree_depth,
};

/// The random numbers of made-up tokens.
const SYNTHETIC: u32 = 4 << 16;

/// What a step leaves in the log: an entry, and once more as JSON for a
/// checkpoint.
const LOG_BYTES: u64 = 256;

/// Bytes that a training takes, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Memory {
    /// The model itself.
    pub weights: u64,
    /// The gradients and the partial sums of their tree.
    pub gradients: u64,
    /// AdamW's two averages.
    pub optimiser: u64,
    /// What the forward pass leaves for the backward pass, and the latter's own.
    pub activations: u64,
    /// Everything else: the batch, its losses, the log.
    pub workspace: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.optimiser + self.activations + self.workspace
    }
}

/// The bytes that [`crate::train`] takes: the exact sums of its buffers. The
/// program, its threads' stacks, the rooms that kernels pack matrices into and
/// the mapped token files are left out.
pub fn memory(a: &Architecture, schedule: &Schedule, keep: Keep) -> Memory {
    let weights = 4 * a.parameters();
    let (rows, length) = (schedule.sequences_per_micro_batch, schedule.sequence_length);
    Memory {
        weights,
        gradients: weights * tree_depth(schedule.micro_batches_per_step.max(1)) as u64,
        optimiser: 2 * weights,
        activations: Activations::bytes(a, rows, length, keep),
        // Four numbers and a loss for each position.
        workspace: 20 * (rows * length) as u64 + LOG_BYTES * schedule.steps,
    }
}

/// The bytes that [`crate::tune`] takes, and the frozen weights beside their
/// files, under `weights` with the adapters.
pub fn tuning_memory(a: &Architecture, lora: &Lora, schedule: &Schedule, keep: Keep) -> Memory {
    let adapters = 4 * lora.parameters(a);
    let (rows, length) = (schedule.sequences_per_micro_batch, schedule.sequence_length);
    Memory {
        weights: adapters + Frozen::bytes(a),
        gradients: adapters * tree_depth(schedule.micro_batches_per_step.max(1)) as u64,
        optimiser: 2 * adapters,
        activations: Activations::adapted_bytes(a, lora, rows, length, keep),
        workspace: 20 * (rows * length) as u64 + LOG_BYTES * schedule.steps,
    }
}

/// What steps on this machine cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Seconds of one whole step: all micro-batches and the update.
    pub seconds_per_step: f64,
    /// Planned bytes, [`Memory::total`].
    pub bytes: u64,
    /// Those of them that the trial has really used: of the partial sums of the
    /// gradient at most two, and no log.
    pub used_bytes: u64,
    /// The loss of the second step, which every trial has, however short:
    /// equal bits show that two runs did the same work.
    pub loss: f32,
}

/// Times `steps` micro-batches and updates on made-up tokens, after one of
/// each to warm up, and takes the medians. A step of many micro-batches costs
/// as many times the one and once the other.
///
/// # Errors
/// When configuration or schedule are not valid.
pub fn measure(config: &Config, schedule: &Schedule, keep: Keep, pool: &Pool, steps: usize) -> Result<Measured> {
    measure_within(config, schedule, keep, pool, steps, Duration::MAX)
}

/// As [`measure`], with as many of the `steps` as begin in the time `limit`,
/// but at least one beside those to warm up.
///
/// # Errors
/// When configuration or schedule are not valid.
pub fn measure_within(
    config: &Config,
    schedule: &Schedule,
    keep: Keep,
    pool: &Pool,
    steps: usize,
    limit: Duration,
) -> Result<Measured> {
    config.validate()?;
    measure_whole(Model::random(config.clone(), schedule.seed, pool), schedule, keep, pool, steps, limit)
}

/// As [`measure_within`], of a training of all weights of `model`.
///
/// # Errors
/// When the schedule is not valid.
pub fn measure_whole(
    model: Model,
    schedule: &Schedule,
    keep: Keep,
    pool: &Pool,
    steps: usize,
    limit: Duration,
) -> Result<Measured> {
    schedule.validate(model.architecture().context)?;
    let planned = memory(model.architecture(), schedule, keep);
    Ok(measure_steps(model, planned, schedule, keep, pool, steps, limit))
}

/// As [`measure_within`], of a training of `adapters` beside `frozen` weights.
///
/// # Errors
/// When the schedule is not valid.
///
/// # Panics
/// When the adapters are for another model.
pub fn measure_tuning(
    frozen: &Frozen<'_>,
    adapters: Adapters,
    schedule: &Schedule,
    keep: Keep,
    pool: &Pool,
    steps: usize,
    limit: Duration,
) -> Result<Measured> {
    assert!(adapters.fits(frozen.architecture()), "adapters of another model");
    schedule.validate(frozen.architecture().context)?;
    let planned = tuning_memory(frozen.architecture(), adapters.lora(), schedule, keep);
    Ok(measure_steps(Adapted { frozen, adapters }, planned, schedule, keep, pool, steps, limit))
}

fn measure_steps<L: Learner>(
    learner: L,
    planned: Memory,
    schedule: &Schedule,
    keep: Keep,
    pool: &Pool,
    steps: usize,
    limit: Duration,
) -> Measured {
    let learned = 4 * learner.weights().len() as u64;
    let mut state = State::new(learner);
    let mut stepper = Stepper::new(state.learner.network(), schedule, keep, pool, &Alone);
    let targets = schedule.targets_per_step();
    let batch = synthetic(state.learner.network().architecture().vocab, schedule);
    warm_up(&mut stepper, state.learner.network(), schedule, &batch);
    let (mut forward_backward, mut update, mut loss) = (Vec::new(), Vec::new(), 0.0);
    let began = Instant::now();
    while update.len() < 2 || (update.len() <= steps && began.elapsed() < limit) {
        let start = Instant::now();
        stepper.begin();
        stepper.micro_batch(state.learner.network(), &batch.batch(), targets);
        forward_backward.push(start.elapsed());
        let start = Instant::now();
        let (sum, norm) = stepper.finish(targets);
        if update.len() == 1 {
            loss = sum;
        }
        stepper.update(&mut state, norm);
        update.push(start.elapsed());
    }
    let micro_batches = schedule.micro_batches_per_step as f64;
    let unused = planned.gradients.saturating_sub(2 * learned) + LOG_BYTES * schedule.steps;
    Measured {
        seconds_per_step: micro_batches * median(&mut forward_backward[1..]) + median(&mut update[1..]),
        bytes: planned.total(),
        used_bytes: planned.total() - unused,
        loss,
    }
}

/// Uses the memory that a training uses: two partial sums of a gradient, and a
/// look at held-out text. What was taken and never touched would count as
/// memory that is not needed.
fn warm_up(stepper: &mut Stepper<'_>, network: Network<'_>, schedule: &Schedule, batch: &BatchBuffer) {
    stepper.begin();
    for _ in 0..schedule.micro_batches_per_step.min(2) {
        stepper.micro_batch(network, &batch.batch(), schedule.targets_per_step());
    }
    stepper.losses(network, &batch.batch());
}

/// Rows of random tokens, each a single document: attention then costs the
/// most that it can.
fn synthetic(vocabulary: usize, schedule: &Schedule) -> BatchBuffer {
    let n = schedule.sequences_per_micro_batch * schedule.sequence_length;
    let mut stream = Stream::new(schedule.seed, SYNTHETIC, 0);
    let tokens: Vec<u32> = (0..=n).map(|_| stream.below(vocabulary as u64) as u32).collect();
    let mut batch = BatchBuffer::default();
    batch.fill_whole(schedule.sequences_per_micro_batch, tokens[..n].iter().copied(), tokens[1..].iter().copied());
    batch
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}
