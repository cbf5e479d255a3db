//! The training loop.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use kwaya_base::{Error, Progress, Result, Unit, say};
use kwaya_math::Pool;
use kwaya_model::{Architecture, Config, Keep, Model, Source, tensors};
use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::Checkpoints,
    evaluate,
    order::{BatchBuffer, Rows},
    ranks::{Alone, Ranks, agree},
    schedule::Schedule,
    step::{Learner, State, Stepper},
    tokens::TokenFile,
    tune::{Computed, weights_hash},
    watch::Live,
};

/// What does not decide bits.
#[derive(Clone)]
pub struct Options<'a> {
    /// How much work a power cut may cost.
    pub checkpoint_every: Duration,
    /// How many checkpoints stay.
    pub keep: usize,
    /// What of the activations is kept for the backward pass.
    pub activations: Keep,
    /// Who else trains this model.
    pub ranks: &'a dyn Ranks,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { checkpoint_every: Duration::from_secs(300), keep: 2, activations: Keep::Everything, ranks: &Alone }
    }
}

/// One step in figures.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct LogEntry {
    /// The step, from 1.
    pub step: u64,
    /// Nats per token, before the step's update.
    pub loss: f32,
    /// The learning rate of the update.
    pub learning_rate: f32,
    /// The norm of the gradient before clipping.
    pub gradient_norm: f32,
    /// Targets seen up to and with this step.
    pub tokens: u64,
    /// Seconds of training up to here, interruptions left out. Not the same
    /// twice: it goes into no hash.
    pub seconds: f64,
    /// Nats per token on held-out text after the update, where it was measured.
    pub held_out: Option<f32>,
}

/// A finished training.
pub struct Outcome<L = Model> {
    /// What was trained.
    pub model: L,
    /// Every step.
    pub log: Vec<LogEntry>,
    /// The step of the checkpoint that this run went on from.
    pub resumed_at: Option<u64>,
    /// Seconds of training, over all runs.
    pub seconds: f64,
    /// Targets per second, over all runs.
    pub tokens_per_second: f64,
    /// Bytes that this rank sent in each step of this run, on average: none
    /// where it is alone.
    pub bytes_per_step: u64,
}

impl<L> Outcome<L> {
    /// The same training of something else.
    pub fn map<M>(self, what: impl FnOnce(L) -> M) -> Outcome<M> {
        let Self { model, log, resumed_at, seconds, tokens_per_second, bytes_per_step } = self;
        Outcome { model: what(model), log, resumed_at, seconds, tokens_per_second, bytes_per_step }
    }
}

/// Trains a model, or goes on with a training whose checkpoints are in
/// `folder`: the same bits either way. With several ranks each calls this;
/// rank 0 alone reads and writes checkpoints, and all have the model at the
/// end.
///
/// # Errors
/// `interrupted` after a stop request, with a checkpoint written;
/// `train-not-finite` when loss or gradient are no longer numbers;
/// `ranks-differ` when the ranks would train different things; and what files
/// and a wrong schedule bring. When one rank has an error, all have one.
#[expect(clippy::too_many_arguments, reason = "each is one thing that a training needs")]
pub fn train(
    config: &Config,
    schedule: &Schedule,
    training: &TokenFile,
    held_out: &TokenFile,
    folder: &Path,
    options: &Options<'_>,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Outcome> {
    agree(options.ranks, config.validate(), &[])?;
    let plan = (config, schedule);
    let task = Task {
        architecture: &config.into(),
        schedule,
        training,
        held_out,
        plan: serde_json::to_string(&plan).expect("numbers become JSON"),
        blank: &|| Model::zeros(config.clone()),
        fresh: &|| Ok(Model::random(config.clone(), schedule.seed, pool)),
    };
    task.run(folder, options, pool, progress)
}

/// As [`train`], of a model that computes what `source` does, in any format, and
/// begins with its weights. Each rank reads a copy of its own.
///
/// # Errors
/// As [`train`], and as [`Model::from_source`].
#[expect(clippy::too_many_arguments, reason = "each is one thing that a training needs")]
pub fn train_from(
    source: &Source,
    schedule: &Schedule,
    training: &TokenFile,
    held_out: &TokenFile,
    folder: &Path,
    options: &Options<'_>,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let look = || Ok((source.learned_whole()?, weights_hash(source)?.to_string()));
    let (architecture, weights) = agree(options.ranks, look(), &[])?;
    let plan = (Computed::of(architecture), schedule, weights);
    let task = Task {
        architecture,
        schedule,
        training,
        held_out,
        plan: serde_json::to_string(&plan).expect("numbers become JSON"),
        blank: &|| Model::of(architecture.clone()),
        fresh: &|| Model::from_source(source, pool),
    };
    task.run(folder, options, pool, progress)
}

/// All that decides the bits of a training.
pub(crate) struct Task<'a, L> {
    pub(crate) architecture: &'a Architecture,
    pub(crate) schedule: &'a Schedule,
    pub(crate) training: &'a TokenFile,
    pub(crate) held_out: &'a TokenFile,
    /// The numbers that decide bits, beside the tokens, as JSON.
    pub(crate) plan: String,
    /// Makes a learner of the right size.
    pub(crate) blank: &'a dyn Fn() -> L,
    /// Makes the one that a training begins with.
    pub(crate) fresh: &'a dyn Fn() -> Result<L>,
}

impl<L: Learner> Task<'_, L> {
    /// The training, as [`train`] has it.
    pub(crate) fn run(
        &self,
        folder: &Path,
        options: &Options<'_>,
        pool: &Pool,
        progress: &dyn Progress,
    ) -> Result<Outcome<L>> {
        let (schedule, ranks) = (self.schedule, options.ranks);
        let prepare = || -> Result<_> {
            check(self.architecture, schedule, self.training, self.held_out)?;
            if ranks.rank() > 0 {
                return Ok((None, None));
            }
            let checkpoints = Checkpoints::open(folder, self.identity(), options.keep)?;
            let found = checkpoints.latest(self.blank, progress)?;
            Ok((Some(checkpoints), found))
        };
        let (checkpoints, found) = agree(ranks, prepare(), &self.inputs())?;
        let resumed_at = found.as_ref().map(|(state, _)| state.step);
        let (state, log) = self.begin(ranks, found)?;
        let mut run = Run::new(schedule, self.training, self.held_out, options, pool, state, log);
        run.rehearse()?;

        progress.begin("train-steps", schedule.steps, Unit::Steps);
        progress.at(run.state.step);
        let (first, sent) = (run.state.step, ranks.sent());
        let mut written = (run.state.step, Instant::now());
        let mut live = checkpoints.as_ref().map(|_| Live::begin(folder, &run.log));
        while run.state.step < schedule.steps {
            let mut stepped = run.step(progress);
            if let (Some(live), Ok(()), Some(entry)) = (&mut live, &stepped, run.log.last()) {
                live.add(entry);
            }
            let finished = run.state.step == schedule.steps;
            if finished && !run.state.is_finite() {
                stepped = Err(run.not_finite(run.state.step, f32::NAN));
            }
            // A step that failed left the state before it, which is kept if it is
            // still made of numbers: an update can be what breaks it.
            let due = stepped.is_err() || finished || written.1.elapsed() >= options.checkpoint_every;
            if let Some(checkpoints) = &checkpoints
                && due
                && run.state.step > written.0
                && run.state.is_finite()
            {
                if let Err(error) = checkpoints.write(&run.state, &run.log) {
                    run.leave(stepped.is_err());
                    return Err(error);
                }
                written = (run.state.step, Instant::now());
            }
            stepped.map_err(|error| run.kept(error, written.0, folder))?;
        }
        progress.end();
        let Run { state, log, .. } = run;
        let (seconds, tokens) = log.last().map_or((0.0, 0), |entry| (entry.seconds, entry.tokens));
        Ok(Outcome {
            model: state.learner,
            log,
            resumed_at,
            seconds,
            tokens_per_second: tokens as f64 / seconds.max(1e-9),
            bytes_per_step: (ranks.sent() - sent) / (schedule.steps - first).max(1),
        })
    }

    /// Gives every rank what rank 0 has `found`. A training that begins takes
    /// nothing from the network: its weights come from the seed or from files.
    fn begin(&self, ranks: &dyn Ranks, found: Option<(State<L>, Vec<LogEntry>)>) -> Result<(State<L>, Vec<LogEntry>)> {
        let mine = found.as_ref().map_or(0, |(state, _)| state.step);
        let step = match ranks.size() {
            1 => mine,
            _ => serde_json::from_slice(&ranks.gather(mine.to_string().as_bytes())[0]).expect("rank 0 has sent a step"),
        };
        if step == 0 {
            return Ok((State::new(agree(ranks, (self.fresh)(), &[])?), Vec::new()));
        }
        let (mut state, log) = found.unwrap_or_else(|| (State::new((self.blank)()), Vec::new()));
        state.step = step;
        ranks.broadcast(state.learner.weights_mut());
        ranks.broadcast(&mut state.first_moment);
        ranks.broadcast(&mut state.second_moment);
        Ok((state, log))
    }

    /// What must be the same on all ranks, with its name for people.
    fn inputs(&self) -> [(&'static str, String); 4] {
        let short = |hash: blake3::Hash| hash.to_hex()[..16].to_owned();
        [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("plan", short(blake3::hash(self.plan.as_bytes()))),
            ("training", short(self.training.hash())),
            ("held-out", short(self.held_out.hash())),
        ]
    }

    /// The hash of all that decides the bits of the checkpoints.
    fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.training.hash().as_bytes());
        hasher.update(self.held_out.hash().as_bytes());
        hasher.update(self.plan.as_bytes());
        hasher.finalize().to_string()
    }
}

fn check(a: &Architecture, schedule: &Schedule, training: &TokenFile, held_out: &TokenFile) -> Result<()> {
    schedule.validate(a.context)?;
    for file in [training, held_out] {
        if file.vocab_size() as usize > a.vocab {
            return Err(Error::new("train-vocabulary").arg("tokens", file.vocab_size()).arg("model", a.vocab));
        }
    }
    if training.tokens() == 0 {
        return Err(Error::new("train-nothing"));
    }
    Ok(())
}

struct Run<'a, L> {
    schedule: &'a Schedule,
    ranks: &'a dyn Ranks,
    rows: Rows<'a>,
    held_out: &'a TokenFile,
    stepper: Stepper<'a>,
    batch: BatchBuffer,
    state: State<L>,
    log: Vec<LogEntry>,
    started: Instant,
    /// Seconds of the runs before this one.
    before: f64,
}

impl<'a, L: Learner> Run<'a, L> {
    fn new(
        schedule: &'a Schedule,
        training: &'a TokenFile,
        held_out: &'a TokenFile,
        options: &Options<'a>,
        pool: &'a Pool,
        state: State<L>,
        log: Vec<LogEntry>,
    ) -> Self {
        Self {
            schedule,
            ranks: options.ranks,
            rows: Rows::new(training, schedule.sequence_length),
            held_out,
            stepper: Stepper::new(state.learner.network(), schedule, options.activations, pool, options.ranks),
            batch: BatchBuffer::default(),
            state,
            before: log.last().map_or(0.0, |entry| entry.seconds),
            log,
            started: Instant::now(),
        }
    }

    /// One step. On an error the state is as it was before the step.
    fn step(&mut self, progress: &dyn Progress) -> Result<()> {
        let step = self.state.step + 1;
        let targets = self.targets(step);
        self.stepper.begin();
        let mut stopped = progress.stopped();
        for micro_batch in self.stepper.share() {
            stopped = progress.stopped();
            if stopped {
                break;
            }
            self.micro_batch(step, micro_batch as u64, targets);
        }
        if !self.stepper.meet(stopped) {
            return Err(Error::new("interrupted"));
        }
        let (loss, norm) = self.stepper.finish(targets);
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(self.not_finite(step, loss));
        }
        self.stepper.update(&mut self.state, norm);
        self.record(loss, norm, targets, progress);
        Ok(())
    }

    fn micro_batch(&mut self, step: u64, micro_batch: u64, targets: u64) {
        let count = self.schedule.sequences_per_micro_batch as u64;
        let first = ((step - 1) * self.schedule.micro_batches_per_step as u64 + micro_batch) * count;
        let indices = (first..first + count).map(|index| self.rows.shuffled(self.schedule.seed, index));
        self.batch.fill(&self.rows, indices);
        self.stepper.micro_batch(self.state.learner.network(), &self.batch.batch(), targets);
    }

    /// Before the first step every rank computes the same micro-batch. Where
    /// the gradients are not the same to the last bit, a program or a
    /// processor is not what it should be.
    fn rehearse(&mut self) -> Result<()> {
        if self.ranks.size() == 1 || self.state.step == self.schedule.steps {
            return Ok(());
        }
        self.stepper.begin();
        self.micro_batch(self.state.step + 1, 0, self.schedule.targets_per_step());
        let mut hasher = blake3::Hasher::new();
        tensors::for_each_block(self.stepper.gradient(), |bytes| {
            hasher.update(bytes);
            Ok::<(), std::convert::Infallible>(())
        })
        .unwrap_or_else(|never| match never {});
        let hash = hasher.finalize().to_hex()[..16].to_owned();
        agree(self.ranks, Ok(()), &[("arithmetic", hash)])
    }

    /// Lets the other ranks, which are in their next step, end too: this one
    /// goes no further. Where the step failed on all, they know.
    fn leave(&mut self, they_know: bool) {
        if !they_know && self.state.step < self.schedule.steps {
            self.stepper.begin();
            self.stepper.meet(true);
        }
    }

    /// Targets of a step that count: fewer than there are positions where
    /// some are masked, or where very little data makes a single short row.
    fn targets(&self, step: u64) -> u64 {
        let rows = (self.schedule.micro_batches_per_step * self.schedule.sequences_per_micro_batch) as u64;
        let indices = (step - 1) * rows..step * rows;
        indices.map(|index| self.rows.targets(self.rows.shuffled(self.schedule.seed, index))).sum()
    }

    fn record(&mut self, loss: f32, gradient_norm: f32, targets: u64, progress: &dyn Progress) {
        let step = self.state.step;
        let due = step.is_multiple_of(self.schedule.evaluate_every) || step == self.schedule.steps;
        let held_out = if due {
            let rows = Rows::new(self.held_out, self.schedule.sequence_length);
            let at_once = self.schedule.sequences_per_micro_batch;
            evaluate::sampled_loss(
                self.state.learner.network(),
                rows,
                at_once,
                &mut self.stepper,
                &mut self.batch,
                self.ranks,
            )
        } else {
            None
        };
        let tokens = self.log.last().map_or(0, |entry| entry.tokens) + targets;
        let elapsed = self.started.elapsed().as_secs_f64();
        let learning_rate = self.schedule.learning_rate_at(step);
        let seconds = self.before + elapsed;
        self.log.push(LogEntry { step, loss, learning_rate, gradient_norm, tokens, seconds, held_out });
        progress.at(step);
        progress.figures(&say!(
            "train-figures",
            loss = format!("{loss:.3}"),
            speed = format!("{:.0}", tokens as f64 / seconds.max(1e-9))
        ));
    }

    /// Names the first tensor that is no longer made of numbers.
    fn not_finite(&self, step: u64, loss: f32) -> Error {
        let (learner, gradient) = (&self.state.learner, self.stepper.gradient());
        let broken = |values: &[f32]| {
            let tensor = learner.tensors().iter().find(|t| values[t.range.clone()].iter().any(|v| !v.is_finite()));
            tensor.map(|t| t.name.as_str())
        };
        // Finite values whose norm overflows have no first tensor.
        let tensor = broken(learner.weights()).or_else(|| broken(gradient)).unwrap_or("-");
        Error::new("train-not-finite")
            .arg("step", step)
            .arg("loss", loss)
            .arg("rate", self.schedule.learning_rate_at(step))
            .arg("tensor", tensor)
            .arg("lower", lower(self.schedule.learning_rate))
    }

    /// Adds to a breakdown where the last state is that was still good, if a
    /// checkpoint has one.
    fn kept(&self, error: Error, step: u64, folder: &Path) -> Error {
        if error.key() == "train-not-finite" { error.arg("kept", step).arg("folder", folder.display()) } else { error }
    }
}

/// A learning rate to try after one that was too high: a quarter of it, to one
/// digit, and none above those that serve small models.
fn lower(rate: f32) -> f32 {
    let quarter = (0.25 * rate).min(0.004);
    format!("{quarter:.0e}").parse().unwrap_or(quarter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_lower_learning_rate_is_a_plain_number() {
        for (rate, better) in [(1e3, "0.004"), (0.01, "0.002"), (0.004, "0.001"), (0.0006, "0.0002")] {
            assert_eq!(lower(rate).to_string(), better);
        }
    }

    /// Losses and norms after up to ten updates, relative: rounding grows with
    /// each update.
    const TOLERANCE: f64 = 5e-5;

    /// Ten steps against torch.optim.AdamW and clip_grad_norm_, on documents
    /// kept apart by a mask (tests/golden/make_golden.py).
    #[test]
    fn ten_steps_match_pytorch() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden = here.join("tests/golden");
        let expected: Value =
            serde_json::from_str(&std::fs::read_to_string(golden.join("expected.json")).unwrap()).unwrap();
        let schedule: Schedule = serde_json::from_value(expected["schedule"].clone()).unwrap();
        let model = Model::load(&here.join("../kwaya-model/tests/golden/tied")).unwrap();
        let file = TokenFile::open(&golden.join("tokens.safetensors")).unwrap();
        let pool = Pool::new(2);
        check(model.architecture(), &schedule, &file, &file).unwrap();
        let options = Options::default();
        let mut run = Run::new(&schedule, &file, &file, &options, &pool, State::new(model), Vec::new());
        let mut worst = 0.0f64;
        for (index, step) in expected["log"].as_array().unwrap().iter().enumerate() {
            run.step(&kwaya_base::Silent).unwrap();
            let found = &run.log[index];
            for (name, found) in
                [("loss", found.loss), ("gradient_norm", found.gradient_norm), ("learning_rate", found.learning_rate)]
            {
                let expected = step[name].as_f64().unwrap();
                let error = (f64::from(found) - expected).abs() / expected;
                worst = worst.max(error);
                assert!(error < TOLERANCE, "step {}, {name}: {found}, PyTorch has {expected}", index + 1);
            }
        }
        println!("worst relative difference {worst:.1e}");
        assert_eq!(run.log[9].held_out.is_some(), schedule.evaluate_every == 10);
        for tensor in run.state.learner.tensors() {
            let expected = expected["weights_sum_and_sum_of_absolutes"][&tensor.name][1].as_f64().unwrap();
            let weights = &run.state.learner.weights()[tensor.range.clone()];
            let found: f64 = weights.iter().map(|&w| f64::from(w.abs())).sum();
            assert!((found - expected).abs() < 1e-3 * expected, "{}: {found}, PyTorch has {expected}", tensor.name);
        }
    }
}
