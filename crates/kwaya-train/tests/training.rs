//! Training as its users see it: it learns, nothing is lost, and the same
//! recipe gives the same bits.

mod common;
mod ranks;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use kwaya_base::{Progress, Result, Silent, Unit};
use kwaya_math::{Pool, philox::Stream};
use kwaya_model::{Config, Model, Source};
use kwaya_train::{
    Decay, Keep, Options, Outcome, Precision, Schedule, TokenFile, bits_per_byte, measure, measure_within, memory,
    train, train_from,
};

const VOCABULARY: u64 = 40;

fn config() -> Config {
    Config {
        vocab_size: VOCABULARY as usize,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        max_position_embeddings: 64,
        ..Config::default()
    }
}

fn schedule() -> Schedule {
    Schedule {
        seed: 3,
        steps: 12,
        sequence_length: 24,
        sequences_per_micro_batch: 2,
        micro_batches_per_step: 3,
        learning_rate: 0.01,
        learning_rate_min: 0.001,
        warmup_steps: 3,
        decay: Decay::Cosine,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        clip_norm: 1.0,
        evaluate_every: 4,
        precision: Precision::F32,
    }
}

/// Documents that count upwards from a random start: easy to learn.
fn corpus(path: &Path, documents: u64, seed: u64) -> TokenFile {
    let document = |index| {
        let mut stream = Stream::new(seed, 1, index);
        let (start, length) = (stream.below(VOCABULARY - 1), 3 + stream.below(60));
        (0..length).map(|i| 1 + ((start + i) % (VOCABULARY - 1)) as u32).collect()
    };
    common::write(path, VOCABULARY, &(0..documents).map(document).collect::<Vec<_>>())
}

/// A place to train in.
struct Bench {
    dir: tempfile::TempDir,
    training: TokenFile,
    held_out: TokenFile,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let training = corpus(&dir.path().join("training.safetensors"), 60, 1);
        let held_out = corpus(&dir.path().join("held_out.safetensors"), 9, 2);
        Self { dir, training, held_out }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn train(&self, name: &str, schedule: &Schedule, threads: usize, watcher: &dyn Progress) -> Result<Outcome> {
        let options = Options { checkpoint_every: Duration::ZERO, ..Options::default() };
        let (folder, pool) = (self.folder(name), Pool::new(threads));
        train(&config(), schedule, &self.training, &self.held_out, &folder, &options, &pool, watcher)
    }

    fn train_from(&self, source: &Source, name: &str, threads: usize, watcher: &dyn Progress) -> Result<Outcome> {
        let options = Options { checkpoint_every: Duration::ZERO, ..Options::default() };
        let (folder, pool) = (self.folder(name), Pool::new(threads));
        train_from(source, &schedule(), &self.training, &self.held_out, &folder, &options, &pool, watcher)
    }

    /// A folder with a model.
    fn saved(&self, name: &str, model: &Model) -> Source {
        let folder = self.folder(name);
        fs::create_dir(&folder).unwrap();
        model.save(&folder).unwrap();
        Source::open(&folder).unwrap()
    }

    fn checkpoints(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder(name)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        // For whoever watches; nothing is gone on from it.
        names.retain(|name| !["log.jsonl", "log.lock"].contains(&&**name));
        names.sort();
        names
    }
}

/// Asks to stop once a step is done.
struct StopAt {
    step: u64,
    done: AtomicU64,
    warnings: AtomicU64,
}

impl StopAt {
    fn step(step: u64) -> Self {
        Self { step, done: AtomicU64::new(0), warnings: AtomicU64::new(0) }
    }
}

impl Progress for StopAt {
    fn begin(&self, _: &'static str, _: u64, _: Unit) {}
    fn at(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }
    fn warn(&self, _: &str) {
        self.warnings.fetch_add(1, Ordering::Relaxed);
    }
    fn stopped(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.step
    }
}

fn bits(outcome: &Outcome) -> Vec<u32> {
    outcome.model.weights().iter().map(|weight| weight.to_bits()).collect()
}

#[test]
fn it_learns_and_knows_what_it_learnt() {
    let bench = Bench::new();
    let schedule = Schedule { steps: 150, ..schedule() };
    let outcome = bench.train("learn", &schedule, 2, &Silent).unwrap();
    let (first, last) = (&outcome.log[0], &outcome.log[149]);
    assert!((first.loss - 40f32.ln()).abs() < 0.3, "an untrained model knows nothing: {}", first.loss);
    assert!(last.loss < 1.2, "{}", last.loss);
    assert!(last.held_out.unwrap() < 1.5, "{:?}", last.held_out);
    assert_eq!(last.tokens, 150 * 3 * 2 * 24);
    assert_eq!(outcome.log.iter().filter(|entry| entry.held_out.is_some()).count(), 38);

    let pool = Pool::new(2);
    let scores = bits_per_byte(&outcome.model, &bench.held_out, 64, &pool, &Silent).unwrap();
    assert_eq!(scores.iter().map(|s| (&*s.language, s.documents)).collect::<Vec<_>>(), [("sw", 5), ("en", 4)]);
    assert_eq!(scores.iter().map(|s| s.tokens).sum::<u64>(), bench.held_out.tokens());
    assert_eq!(scores.iter().map(|s| s.bytes).sum::<u64>(), bench.held_out.bytes());
    let nats = scores.iter().map(|s| s.nats).sum::<f64>() / bench.held_out.tokens() as f64;
    assert!(nats < 1.5, "{nats}");
    // Short windows still score every token once.
    let windows = bits_per_byte(&outcome.model, &bench.held_out, 8, &pool, &Silent).unwrap();
    let window_nats = windows.iter().map(|s| s.nats).sum::<f64>() / bench.held_out.tokens() as f64;
    assert!((nats..nats + 0.5).contains(&window_nats), "{window_nats} beside {nats}");
}

#[test]
fn an_interruption_changes_no_bit() {
    let bench = Bench::new();
    let whole = bench.train("whole", &schedule(), 2, &Silent).unwrap();
    assert_eq!(whole.resumed_at, None);
    for stop in [1, 4, 7, 11] {
        let name = format!("stopped-{stop}");
        let error = bench.train(&name, &schedule(), 1, &StopAt::step(stop)).err().unwrap();
        assert_eq!(error.key(), "interrupted");
        let resumed = bench.train(&name, &schedule(), 2, &Silent).unwrap();
        assert_eq!(resumed.resumed_at, Some(stop));
        assert!(bits(&resumed) == bits(&whole), "interrupted after step {stop}");
        let curve = |outcome: &Outcome| -> Vec<_> {
            outcome.log.iter().map(|e| (e.step, e.loss.to_bits(), e.held_out, e.tokens)).collect()
        };
        assert_eq!(curve(&resumed), curve(&whole));
        assert_eq!(bench.checkpoints(&name), ["step-00000011.safetensors", "step-00000012.safetensors"]);
    }
    let again = bench.train("whole", &schedule(), 2, &Silent).unwrap();
    assert_eq!(again.resumed_at, Some(12));
    assert!(bits(&again) == bits(&whole), "a finished training is read, not repeated");
}

/// One that begins with the weights that another makes from its seed goes the
/// same way.
#[test]
fn a_training_begins_with_the_weights_of_a_model() {
    let (bench, pool) = (Bench::new(), Pool::new(2));
    let whole = bench.train("whole", &schedule(), 2, &Silent).unwrap();
    let source = bench.saved("random", &Model::random(config(), schedule().seed, &pool));
    let from = bench.train_from(&source, "from", 1, &Silent).unwrap();
    assert!(bits(&from) == bits(&whole));
    assert_eq!(from.model.config.max_position_embeddings, 64);
    let error = bench.train_from(&source, "stopped", 1, &StopAt::step(5)).err().unwrap();
    assert_eq!(error.key(), "interrupted");
    let resumed = bench.train_from(&source, "stopped", 2, &Silent).unwrap();
    assert_eq!(resumed.resumed_at, Some(5));
    assert!(bits(&resumed) == bits(&whole));
    // What it begins with decides bits, so it is in the checkpoints' identity.
    let trained = bench.saved("trained", &whole.model);
    assert_eq!(bench.train_from(&trained, "stopped", 2, &Silent).err().unwrap().key(), "checkpoint-foreign");
    assert_eq!(bench.train_from(&source, "whole", 2, &Silent).err().unwrap().key(), "checkpoint-foreign");

    // The first loss is that of the model itself: all rows are one document.
    let document = corpus(&bench.folder("short.safetensors"), 1, 5);
    let scores = bits_per_byte(&whole.model, &document, 64, &pool, &Silent).unwrap();
    let bench = Bench { training: document, ..bench };
    let schedule = Schedule { sequence_length: 64, steps: 4, ..schedule() };
    let (folder, options) = (bench.folder("short"), Options::default());
    let again =
        train_from(&trained, &schedule, &bench.training, &bench.held_out, &folder, &options, &pool, &Silent).unwrap();
    let (found, expected) = (again.log[0].loss, (scores[0].nats / scores[0].tokens as f64) as f32);
    assert!((found - expected).abs() < 1e-5 * expected, "{found} and {expected}");
}

#[test]
fn weights_that_are_no_numbers_are_named_and_nothing_begins() {
    let (bench, pool) = (Bench::new(), Pool::new(1));
    let mut broken = Model::random(config(), 1, &pool);
    broken.weights_mut()[70] = f32::NAN;
    let error = bench.train_from(&bench.saved("broken", &broken), "a", 1, &Silent).err().unwrap();
    assert!(error.key() == "model-not-finite" && error.to_string().contains("embed_tokens"), "{error}");
    assert!(bench.checkpoints("a").is_empty());
}

#[test]
fn threads_change_no_bit() {
    let bench = Bench::new();
    let one = bench.train("one", &schedule(), 1, &Silent).unwrap();
    for threads in [2, 3] {
        let more = bench.train(&threads.to_string(), &schedule(), threads, &Silent).unwrap();
        assert!(bits(&one) == bits(&more), "{threads} threads");
    }
    let grouped = Schedule { sequences_per_micro_batch: 3, micro_batches_per_step: 2, ..schedule() };
    let grouped = bench.train("grouped", &grouped, 2, &Silent).unwrap();
    assert!(bits(&one) != bits(&grouped), "micro-batches decide bits, which is why they are in the lock");
    assert!((one.log[0].loss - grouped.log[0].loss).abs() < 1e-5, "but not what is computed");
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let bench = Bench::new();
    let whole = bench.train("whole", &schedule(), 2, &Silent).unwrap();
    let newest = bench.folder("damaged").join("step-00000006.safetensors");
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 5] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.clear(),
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        |bytes| bytes[40] ^= 1,
        |bytes| bytes.fill(0),
    ];
    for damage in damages {
        let error = bench.train("damaged", &schedule(), 2, &StopAt::step(6)).err().unwrap();
        assert_eq!(error.key(), "interrupted");
        let mut bytes = fs::read(&newest).unwrap();
        damage(&mut bytes);
        fs::write(&newest, bytes).unwrap();
        fs::write(bench.folder("damaged").join(".writing-x.tmp"), b"half").unwrap();
        let watcher = StopAt::step(u64::MAX);
        let resumed = bench.train("damaged", &schedule(), 2, &watcher).unwrap();
        assert_eq!((resumed.resumed_at, watcher.warnings.into_inner()), (Some(5), 1));
        assert!(bits(&resumed) == bits(&whole));
        assert_eq!(bench.checkpoints("damaged").len(), 2);
        fs::remove_dir_all(bench.folder("damaged")).unwrap();
    }
}

#[test]
fn a_foreign_checkpoint_is_refused_and_kept() {
    let bench = Bench::new();
    bench.train("a", &schedule(), 2, &StopAt::step(3)).err().unwrap();
    let before = bench.checkpoints("a");
    let other = Schedule { learning_rate: 0.02, ..schedule() };
    let error = bench.train("a", &other, 2, &Silent).err().unwrap();
    assert_eq!(error.key(), "checkpoint-foreign");
    let other = corpus(&bench.folder("other.safetensors"), 61, 1);
    let (folder, pool) = (bench.folder("a"), Pool::new(1));
    let swapped = train(&config(), &schedule(), &other, &bench.held_out, &folder, &Options::default(), &pool, &Silent);
    assert_eq!(swapped.err().unwrap().key(), "checkpoint-foreign");
    assert_eq!(bench.checkpoints("a"), before);
}

#[test]
fn a_breakdown_names_step_and_tensor_and_keeps_the_checkpoints() {
    let bench = Bench::new();
    // Weight decay of 1000 at a learning rate of 1000 multiplies the weights
    // by -10^6 at each step.
    let wild = Schedule { learning_rate: 1e3, weight_decay: 1e3, warmup_steps: 0, ..schedule() };
    let error = bench.train("wild", &wild, 2, &Silent).err().unwrap();
    assert_eq!(error.key(), "train-not-finite");
    let named = |name: &str| error.args().iter().find(|(found, _)| *found == name).unwrap().1.clone();
    assert!(named("tensor").ends_with(".weight"), "{error}");
    assert!(error.to_string().contains("step") && error.remedy().unwrap().contains("learning_rate = 0.004"), "{error}");
    assert_eq!(bench.checkpoints("wild").len(), 2);
    assert!(error.to_string().contains(&bench.folder("wild").display().to_string()), "{error}");

    // Where no checkpoint was due yet, the last good state is written.
    let (step, folder, pool) = (named("step").parse::<u64>().unwrap(), bench.folder("rare"), Pool::new(2));
    let rare = Options { checkpoint_every: Duration::MAX, ..Options::default() };
    let error = train(&config(), &wild, &bench.training, &bench.held_out, &folder, &rare, &pool, &Silent);
    let error = error.err().unwrap();
    let kept = error.args().iter().find(|(name, _)| *name == "kept").unwrap().1.parse::<u64>().unwrap();
    assert_eq!(bench.checkpoints("rare"), [format!("step-{kept:08}.safetensors")]);
    assert!(kept < step && values(&folder.join(format!("step-{kept:08}.safetensors"))).iter().all(|v| v.is_finite()));
}

/// All numbers of a checkpoint.
fn values(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn a_model_that_breaks_in_its_last_step_is_not_a_result() {
    let bench = Bench::new();
    // The weights overflow in some update; the loss would tell in the next.
    for steps in 1..40 {
        let wild = Schedule { learning_rate: 1e3, weight_decay: 1e3, warmup_steps: 0, steps, ..schedule() };
        match bench.train(&format!("{steps}"), &wild, 1, &Silent) {
            Ok(outcome) => assert!(outcome.model.weights().iter().all(|w| w.is_finite()), "after {steps} steps"),
            Err(error) => return assert_eq!(error.key(), "train-not-finite"),
        }
    }
    panic!("it does not break down");
}

#[test]
fn a_checkpoint_of_another_version_is_refused_and_kept() {
    let bench = Bench::new();
    bench.train("a", &schedule(), 2, &StopAt::step(3)).err().unwrap();
    let newest = bench.folder("a").join("step-00000003.safetensors");
    let whole = fs::read(&newest).unwrap();
    let at = whole.windows(13).position(|w| w == b"\"version\":\"1\"").expect("the version is stated");
    let mut other = whole.clone();
    other[at + 11] = b'7';
    fs::write(&newest, &other).unwrap();
    let before = bench.checkpoints("a");
    let error = bench.train("a", &schedule(), 2, &Silent).err().unwrap();
    assert_eq!(error.key(), "checkpoint-version");
    assert!(error.to_string().contains("7; this program knows 1"), "{error}");
    assert_eq!((bench.checkpoints("a"), fs::read(&newest).unwrap()), (before, other), "nothing is touched");
    fs::write(&newest, whole).unwrap();
    bench.train("a", &schedule(), 2, &Silent).unwrap();
}

#[test]
fn damaged_checkpoints_ahead_do_not_crowd_out_the_good_ones() {
    let bench = Bench::new();
    bench.train("a", &schedule(), 2, &StopAt::step(8)).err().unwrap();
    for name in bench.checkpoints("a") {
        fs::write(bench.folder("a").join(name), b"hapana").unwrap();
    }
    let watcher = StopAt::step(3);
    bench.train("a", &schedule(), 2, &watcher).err().unwrap();
    assert_eq!(watcher.warnings.into_inner(), 2);
    let resumed = bench.train("a", &schedule(), 2, &Silent).unwrap();
    assert_eq!(resumed.resumed_at, Some(3), "what was done since is not lost");
}

#[test]
fn what_does_not_fit_is_refused() {
    let bench = Bench::new();
    let run = |config: &Config, schedule: &Schedule, training: &TokenFile| {
        let (folder, pool) = (bench.folder("refused"), Pool::new(1));
        let options = Options::default();
        train(config, schedule, training, &bench.held_out, &folder, &options, &pool, &Silent).err().unwrap().key()
    };
    let small = Config { vocab_size: 39, ..config() };
    assert_eq!(run(&small, &schedule(), &bench.training), "train-vocabulary");
    let long = Schedule { sequence_length: 65, ..schedule() };
    assert_eq!(run(&config(), &long, &bench.training), "schedule-value");
    let nothing = corpus(&bench.folder("nothing.safetensors"), 0, 1);
    assert_eq!(run(&config(), &schedule(), &nothing), "train-nothing");
}

#[test]
fn one_short_document_and_no_held_out_text_are_enough() {
    let bench = Bench::new();
    let training = corpus(&bench.folder("short.safetensors"), 1, 5);
    let nothing = corpus(&bench.folder("nothing.safetensors"), 0, 1);
    let schedule = Schedule { sequence_length: 64, steps: 30, ..schedule() };
    let (folder, pool) = (bench.folder("short"), Pool::new(2));
    let outcome =
        train(&config(), &schedule, &training, &nothing, &folder, &Options::default(), &pool, &Silent).unwrap();
    assert!(outcome.log[29].loss < outcome.log[0].loss);
    assert_eq!(outcome.log[29].held_out, None);
    assert!(bits_per_byte(&outcome.model, &nothing, 64, &pool, &Silent).unwrap().is_empty());
}

#[test]
fn the_forecast_is_made_of_real_steps() {
    let (pool, config, schedule) = (Pool::new(2), config(), schedule());
    let measured = measure(&config, &schedule, Keep::Everything, &pool, 3).unwrap();
    assert!(measured.seconds_per_step > 0.0);
    let planned = memory(&(&config).into(), &schedule, Keep::Everything);
    assert_eq!(measured.bytes, planned.total());
    assert!(measured.used_bytes < measured.bytes && measured.used_bytes > measured.bytes / 2);
    let short = measure_within(&config, &schedule, Keep::Everything, &pool, 50, Duration::ZERO).unwrap();
    assert_eq!(short.loss.to_bits(), measured.loss.to_bits(), "the time there is changes no bit");
    assert_eq!((planned.weights, planned.optimiser), (4 * config.parameters(), 8 * config.parameters()));
    assert_eq!(planned.gradients, 2 * planned.weights, "three micro-batches: two partial sums at once");
    assert_eq!(
        measured.loss.to_bits(),
        measure(&config, &schedule, Keep::Everything, &Pool::new(1), 3).unwrap().loss.to_bits()
    );
}
