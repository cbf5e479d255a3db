//! The plan: what can be built from this corpus, on this machine, in the time
//! there is. Sizes come from a ladder; the rung is chosen by real training
//! steps timed here. What is chosen goes into the lock; how long it took to
//! measure, and on what, does not.

use std::time::{Duration, Instant};

use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_math::Pool;
use kwaya_model::{Lora, Target};
use kwaya_train::{Decay, Schedule};
use serde::Serialize;

use crate::{
    forecast::{self, Pace},
    learning::Learning,
    lock::Sizes,
    memory::{self, Room},
    recipe::{Method, TrainWishes},
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

/// A base has learned its language already, or another: the same text teaches
/// it little more often than this (Muennighoff et al. again).
const EPOCHS_MAX_FOR_BASE: f64 = 4.0;

/// Tokens per step that a base is taught with: fewer where there are few, so
/// that there are some steps.
const STEP_TOKENS_FOR_BASE: [usize; 2] = [256, 1024];
const STEPS_FOR_BASE: u64 = 100;

/// Tokens of a row, at most.
pub(crate) const ROW_FOR_BASE: usize = 512;

/// The adapters that a base gets unless the recipe says otherwise: for all
/// products, since those of attention alone learned less than training all
/// weights did (Dettmers et al. 2023, "QLoRA").
const RANK: usize = 16;

/// What is kept back of the time, for a machine that is busier than it was.
const SPARE: f64 = 0.08;

/// Steps timed for each rung of the ladder, where they are short.
const TIMED_STEPS: usize = 5;

/// Looks at held-out text during a training.
const LOOKS: u64 = 20;

/// What they may take beside the steps.
const LOOKS_SHARE: f64 = 0.1;

/// (hidden size, layers, heads, key and value heads, feed-forward size), from
/// small to large: heads of 32 to 64, feed-forward 8/3 of the width, as Llama
/// has. Few key and value heads learned faster than as many as query heads:
/// 2.00 instead of 2.05 bits per byte after the same 700,000 tokens.
pub(crate) const LADDER: [(usize, usize, usize, usize, usize); 7] = [
    (96, 3, 3, 1, 256),
    (128, 4, 4, 1, 352),
    (192, 4, 6, 2, 512),
    (256, 6, 8, 2, 704),
    (384, 8, 6, 2, 1024),
    (512, 10, 8, 2, 1408),
    (768, 12, 12, 4, 2048),
];

/// What the plan knows of the corpus.
#[derive(Clone, Copy, Debug)]
pub struct CorpusSize {
    /// Bytes of training text.
    pub training_bytes: u64,
    /// Bytes of held-out text.
    pub held_out_bytes: u64,
    /// Languages that it is in.
    pub languages: usize,
    /// Bytes that a token stands for, where that is known.
    pub bytes_per_token: Option<f64>,
    /// Seconds that reading it took, which are part of the time there is.
    pub seconds: f64,
}

impl CorpusSize {
    /// Bytes that a token of a tokenizer of `vocabulary` stands for.
    pub(crate) fn bytes_per_token(&self, vocabulary: usize) -> f64 {
        self.bytes_per_token.unwrap_or_else(|| bytes_per_token(vocabulary))
    }
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

/// Chooses sizes and steps for `corpus` so that a build takes about `within`,
/// this choice included, keeping every wish of the recipe. `ranks` processes
/// share the training; what they send each other is not foretold.
///
/// # Errors
/// `corpus-too-small`, `time-too-short`, `memory-too-short`, `memory-none`,
/// `interrupted`.
pub fn choose(
    corpus: CorpusSize,
    wishes: &TrainWishes,
    within: Duration,
    room: Room,
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
    let tokens = corpus.training_bytes as f64 / corpus.bytes_per_token(vocabulary);
    let time = Time { began: Instant::now(), within, corpus, vocabulary };
    let fixed = wishes.hidden_size.is_some() || wishes.layers.is_some();
    let mut rungs: Vec<Rung> = Vec::new();
    let mut best: Option<(Sizes, Schedule)> = None;
    progress.begin("plan-measure", LADDER.len() as u64, Unit::Steps);
    for rung in LADDER {
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        let sizes = sized(rung, wishes);
        let learning = Learning::from_nothing(sizes.config(vocabulary));
        let trial = schedule(&sizes, wishes, vocabulary, 1, room.bytes);
        let share = share(&trial, ranks);
        let need = memory::needed(&learning, &share, Some(corpus), room.bytes);
        if need > room.bytes {
            if best.is_none() {
                return Err(memory::too_short(
                    memory::RECIPE_TOO_LARGE,
                    wishes,
                    &sizes,
                    vocabulary,
                    Some(corpus),
                    need,
                    room,
                ));
            }
            break;
        }
        let step_tokens = trial.targets_per_step() as f64;
        let epochs = |steps: u64| steps as f64 * step_tokens / tokens;
        // A size far out of reach is not timed: its step costs at least as
        // many times more as it has more weights.
        if let Some(last) = rungs.last() {
            let step = last.seconds_per_step * learning.parameters() as f64 / last.parameters as f64;
            if epochs(time.steps(&learning, Pace::new(&learning, &trial, step))) < EPOCHS_MIN / 2.0 {
                break;
            }
        }
        let keep = memory::way(&learning, &share, room.bytes).activations;
        let step = learning.measure(&share, keep, pool, TIMED_STEPS, time.of_a_rung())?.seconds_per_step;
        let pace = Pace::new(&learning, &trial, step);
        let affordable = time.steps(&learning, pace);
        if best.is_none() && affordable < STEPS_MIN && wishes.steps.is_none() {
            return Err(time.too_short(&learning, pace));
        }
        let useful = (EPOCHS_MAX * tokens / step_tokens).ceil() as u64;
        let steps = wishes.steps.unwrap_or(affordable.min(useful.max(50)));
        let better = best.is_none() || (!fixed && epochs(affordable) >= EPOCHS_MIN);
        if better {
            rungs.iter_mut().for_each(|rung| rung.chosen = false);
            let mut schedule = schedule(&sizes, wishes, vocabulary, steps, room.bytes);
            schedule.evaluate_every = evaluate_every(&schedule, forecast::look_tokens(corpus, vocabulary));
            best = Some((sizes, schedule));
        }
        let (parameters, epochs) = (learning.parameters(), epochs(steps));
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

/// Chooses steps for what is `learning` beside or from a base, whose sizes are
/// given, as [`choose`] does.
///
/// # Errors
/// `time-too-short`, `memory-base`, `memory-base-none`, `interrupted`.
#[expect(clippy::too_many_arguments, reason = "each is one thing that a plan needs")]
pub fn choose_for_base(
    corpus: CorpusSize,
    learning: &Learning<'_>,
    wishes: &TrainWishes,
    within: Duration,
    room: Room,
    pool: &Pool,
    ranks: usize,
    progress: &dyn Progress,
) -> Result<Chosen> {
    let vocabulary = learning.architecture.vocab;
    let time = Time { began: Instant::now(), within, corpus, vocabulary };
    progress.begin("plan-measure", 1, Unit::Steps);
    let tokens = corpus.training_bytes as f64 / corpus.bytes_per_token(vocabulary);
    let trial = schedule_for_base(learning, wishes, tokens, 1);
    let share = share(&trial, ranks);
    let need = memory::needed(learning, &share, Some(corpus), room.bytes);
    if need > room.bytes {
        return Err(memory::too_short_for_base(wishes, learning, need, room));
    }
    let keep = memory::way(learning, &share, room.bytes).activations;
    let step = learning.measure(&share, keep, pool, TIMED_STEPS, time.of_a_rung())?.seconds_per_step;
    if progress.stopped() {
        return Err(Error::new("interrupted"));
    }
    let pace = Pace::new(learning, &trial, step);
    let affordable = time.steps(learning, pace);
    if affordable < STEPS_MIN && wishes.steps.is_none() {
        return Err(time.too_short(learning, pace));
    }
    let step_tokens = trial.targets_per_step() as f64;
    let useful = (EPOCHS_MAX_FOR_BASE * tokens / step_tokens).ceil() as u64;
    let steps = wishes.steps.unwrap_or(affordable.min(useful.max(STEPS_FOR_BASE)));
    let mut schedule = schedule_for_base(learning, wishes, tokens, steps);
    schedule.evaluate_every = evaluate_every(&schedule, forecast::look_tokens(corpus, vocabulary));
    progress.at(1);
    progress.end();
    let sizes = Sizes::of_base(&learning.architecture, schedule.sequence_length);
    let rung = Rung {
        sizes,
        parameters: learning.parameters(),
        seconds_per_step: step,
        steps,
        epochs: steps as f64 * step_tokens / tokens,
        chosen: true,
    };
    Ok(Chosen { vocabulary, sizes, schedule, rungs: vec![rung] })
}

/// The adapters that are wished for.
pub(crate) fn lora_of(wishes: &TrainWishes) -> Lora {
    let rank = wishes.rank.unwrap_or(RANK);
    let mut targets = wishes.targets.clone().unwrap_or_else(|| Target::ALL.to_vec());
    targets.sort_unstable();
    targets.dedup();
    Lora { rank, alpha: wishes.alpha.unwrap_or(2.0 * rank as f32), targets, tokens: None }
}

/// How a base is taught `tokens` of text. A micro-batch is one row, which takes
/// least memory.
pub(crate) fn schedule_for_base(learning: &Learning<'_>, wishes: &TrainWishes, tokens: f64, steps: u64) -> Schedule {
    let a = &learning.architecture;
    let [fewest, most] = STEP_TOKENS_FOR_BASE;
    let step = (EPOCHS_MAX_FOR_BASE * tokens / STEPS_FOR_BASE as f64) as usize / 64 * 64;
    let step = step.clamp(fewest, most);
    let context = wishes.context.unwrap_or(step.min(ROW_FOR_BASE)).min(a.context);
    let rows = (step / context).max(1);
    let micro_batches = wishes.micro_batches.unwrap_or((rows * context / ROW_FOR_BASE).clamp(1, rows));
    // Wider models want smaller steps; adapters want the same at any width.
    let width = 576.0 / a.hidden as f32;
    let rate = wishes.learning_rate.unwrap_or(match wishes.method() {
        Method::Lora => 2e-3,
        Method::Full => (1e-4 * width).min(1e-3),
        Method::Continue => (5e-4 * width).min(3e-3),
    });
    Schedule {
        seed: wishes.seed,
        steps,
        sequence_length: context,
        sequences_per_micro_batch: rows.div_ceil(micro_batches),
        micro_batches_per_step: micro_batches,
        learning_rate: rate,
        learning_rate_min: rate * 0.05,
        warmup_steps: (steps / 20).clamp(1, 100).min(steps),
        decay: Decay::Cosine,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weight_decay: if learning.lora.is_some() { 0.0 } else { 0.1 },
        clip_norm: 1.0,
        evaluate_every: (steps / LOOKS).max(1),
        precision: wishes.precision.unwrap_or_default(),
    }
}

/// The time there is, and what it has to do for.
struct Time {
    began: Instant,
    within: Duration,
    corpus: CorpusSize,
    vocabulary: usize,
}

impl Time {
    /// Timing a rung may take so much of it, beyond the two steps that it takes
    /// at least.
    fn of_a_rung(&self) -> Duration {
        (self.within / 200).min(Duration::from_secs(2))
    }

    /// What is gone: for the corpus, and for the plan so far.
    fn gone(&self) -> f64 {
        self.corpus.seconds + self.began.elapsed().as_secs_f64()
    }

    /// Steps that there is time for, with the looks between them.
    fn steps(&self, learning: &Learning<'_>, pace: Pace) -> u64 {
        let other = forecast::other_seconds(self.corpus, self.vocabulary, learning, pace);
        let left = (self.within.as_secs_f64() - self.gone()) * (1.0 - SPARE) - other;
        let looks = LOOKS as f64 * forecast::look_tokens(self.corpus, self.vocabulary) * pace.forward;
        // All looks, or where they would take too much, fewer.
        ((left - looks).max(left / (1.0 + LOOKS_SHARE)).max(0.0) / pace.step) as u64
    }

    /// The error that it is too short, with what would do.
    fn too_short(&self, learning: &Learning<'_>, pace: Pace) -> Error {
        Error::usage("time-too-short")
            .arg("within", words::duration(self.within.as_secs_f64()))
            .arg("needed", format!("{}s", self.needed(learning, pace)))
    }

    /// Whole seconds in which the fewest steps can be done.
    fn needed(&self, learning: &Learning<'_>, pace: Pace) -> f64 {
        let other = forecast::other_seconds(self.corpus, self.vocabulary, learning, pace);
        let steps = STEPS_MIN as f64 * pace.step * (1.0 + LOOKS_SHARE);
        ((steps + other) / (1.0 - SPARE) + self.gone()).ceil() + 1.0
    }
}

/// Steps between two looks of `tokens` each, so that they are [`LOOKS`], or
/// fewer where those would take more than their share of the training.
fn evaluate_every(schedule: &Schedule, tokens: f64) -> u64 {
    // A step costs three times the forward pass over its tokens.
    let work = 3.0 * (schedule.steps * schedule.targets_per_step()) as f64;
    let looks = (LOOKS_SHARE * work / tokens.max(1.0)).clamp(2.0, LOOKS as f64);
    (schedule.steps as f64 / looks).ceil().max(1.0) as u64
}

pub(crate) fn sized(rung: (usize, usize, usize, usize, usize), wishes: &TrainWishes) -> Sizes {
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

/// A step's rows are cut into two micro-batches, or, where that does not fit
/// into `room`, into as many as do.
pub(crate) fn schedule(sizes: &Sizes, wishes: &TrainWishes, vocabulary: usize, steps: u64, room: u64) -> Schedule {
    let rows = (STEP_TOKENS / sizes.context).max(1);
    let of = |micro_batches| schedule_of(sizes, wishes, steps, rows, micro_batches);
    if let Some(wished) = wishes.micro_batches {
        return of(wished);
    }
    let learning = Learning::from_nothing(sizes.config(vocabulary));
    let need = |schedule: &Schedule| memory::needed(&learning, schedule, None, room);
    let usual = of(rows.min(2));
    if need(&usual) <= room {
        return usual;
    }
    // One, and the powers of two: a tree over any other number takes as much
    // memory as over the next of these.
    let others = std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n <= rows).map(of);
    others.min_by_key(need).unwrap_or(usual)
}

fn schedule_of(sizes: &Sizes, wishes: &TrainWishes, steps: u64, rows: usize, micro_batches: usize) -> Schedule {
    // Wider models want smaller steps; 0.003 at width 192 was found by trial.
    let rate = wishes.learning_rate.unwrap_or_else(|| (0.576 / sizes.hidden_size as f32).min(0.004));
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
        precision: wishes.precision.unwrap_or_default(),
    }
}

/// The work of one of several processes.
pub(crate) fn share(schedule: &Schedule, ranks: usize) -> Schedule {
    Schedule { micro_batches_per_step: schedule.micro_batches_per_step.div_ceil(ranks), ..schedule.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kwaya_base::Silent;

    const CORPUS: CorpusSize = CorpusSize {
        training_bytes: 1_000_000,
        held_out_bytes: 20_000,
        languages: 1,
        bytes_per_token: None,
        seconds: 0.0,
    };

    fn small() -> TrainWishes {
        TrainWishes { hidden_size: Some(32), layers: Some(1), context: Some(64), ..TrainWishes::default() }
    }

    fn chosen(corpus: CorpusSize, wishes: &TrainWishes, seconds: u64, memory: u64) -> Result<Chosen> {
        let room = Room { bytes: memory, free: memory };
        choose(corpus, wishes, Duration::from_secs(seconds), room, &Pool::new(1), 1, &Silent)
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
        schedule.validate(sizes.context).unwrap();
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
        let tiny = CorpusSize { training_bytes: TEXT_BYTES_MIN - 1, held_out_bytes: 0, ..CORPUS };
        assert_eq!(chosen(tiny, &small(), 60, 1 << 34).unwrap_err().key(), "corpus-too-small");
        assert_eq!(chosen(CORPUS, &small(), 60, 1 << 20).unwrap_err().key(), "memory-none");
        let error = chosen(CORPUS, &small(), 0, 1 << 34).unwrap_err();
        assert_eq!(error.key(), "time-too-short");
        let needed = &error.args().iter().find(|(name, _)| *name == "needed").unwrap().1;
        let needed = words::parse_duration(needed).unwrap();
        let room = Room { bytes: 1 << 34, free: 1 << 34 };
        choose(CORPUS, &small(), needed * 3, room, &Pool::new(1), 1, &Silent).unwrap();
    }

    #[test]
    fn every_rung_is_a_model_of_the_family() {
        for rung in LADDER {
            let sizes = sized(rung, &TrainWishes::default());
            sizes.config(4096).validate().unwrap();
            schedule(&sizes, &TrainWishes::default(), 4096, 100, 1 << 40).validate(sizes.context).unwrap();
            assert!((32..=64).contains(&(sizes.hidden_size / sizes.heads)), "{rung:?}");
        }
        assert_eq!(initializer_range(192), 0.0456);
    }

    #[test]
    fn looks_do_not_take_the_time_of_the_training() {
        let sizes = sized(LADDER[0], &TrainWishes::default());
        let every = |steps, tokens| {
            let schedule = schedule(&sizes, &TrainWishes::default(), 1024, steps, 1 << 40);
            evaluate_every(&schedule, tokens)
        };
        assert_eq!(every(10_000, 32_768.0), 500, "a long training: twenty looks");
        assert_eq!(every(100, 500.0), 5, "little text: twenty looks");
        assert_eq!(every(100, 32_768.0), 50, "a short training and much text: two");
        assert_eq!(every(1, 32_768.0), 1);
    }

    #[test]
    fn when_memory_is_short_the_step_is_cut_finer_before_anything_is_refused() {
        let wishes = TrainWishes::default();
        let sizes = sized(LADDER[0], &wishes);
        let learning = Learning::from_nothing(sizes.config(4096));
        let of = |room| schedule(&sizes, &wishes, 4096, 10, room);
        let usual = of(1 << 40);
        assert_eq!(usual.micro_batches_per_step, 2);
        let need = |schedule: &Schedule| memory::needed(&learning, schedule, None, 0);
        let finer = of(need(&usual) - 1);
        assert!(finer.micro_batches_per_step > 2 && need(&finer) < need(&usual), "{finer:?}");
        assert_eq!(finer.targets_per_step(), usual.targets_per_step());
    }

    #[test]
    fn little_text_is_taught_in_small_steps() {
        let config = kwaya_model::Config { max_position_embeddings: 2048, ..kwaya_model::Config::default() };
        let learning = Learning::from_nothing(config.clone());
        let of = |tokens, wishes: &TrainWishes| {
            let schedule = schedule_for_base(&learning, wishes, tokens, 50);
            schedule.validate(config.max_position_embeddings).unwrap();
            (schedule.sequence_length, schedule.targets_per_step())
        };
        let wishes = TrainWishes::default();
        assert_eq!(of(4_000.0, &wishes), (256, 256));
        assert_eq!(of(16_000.0, &wishes), (512, 512));
        assert_eq!(of(1e9, &wishes), (512, 1024));
        assert_eq!(of(1e9, &TrainWishes { context: Some(2048), ..wishes.clone() }), (2048, 2048));
        let shared = TrainWishes { micro_batches: Some(3), ..wishes };
        assert_eq!(schedule_for_base(&learning, &shared, 1e9, 50).micro_batches_per_step, 3);
    }

    #[test]
    fn planning_takes_little_of_the_time_there_is() {
        let began = Instant::now();
        let corpus = CorpusSize {
            training_bytes: 400_000_000,
            held_out_bytes: 20_000,
            languages: 1,
            bytes_per_token: None,
            seconds: 0.0,
        };
        let error = chosen(corpus, &TrainWishes::default(), 20, 1 << 36);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        // Nothing larger was tried than could be of use.
        assert!(error.is_err_and(|error| error.key() == "time-too-short"));
    }
}
