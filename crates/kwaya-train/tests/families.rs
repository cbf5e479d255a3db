//! Adapters beside models of all families: against PEFT (golden/make_families.py),
//! and against themselves, in other formats, on other threads, interrupted.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use kwaya_base::{Progress, Silent, Unit};
use kwaya_math::Pool;
use kwaya_model::{
    Adapters, Architecture, Batch, Conversations, Decoder, Frozen, Keep, Lora, Model, Network, Precision, Source,
    Target, Tensor, Tokens, forward_backward, logits, loss,
    tensors::{self, Mapped},
};
use kwaya_train::{Decay, Options, Schedule, TokenFile, tune, tuning_memory};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
const FAMILIES: [&str; 5] = ["llama3", "mistral", "qwen2", "qwen3", "gemma3"];
/// Of a loss, relative; what was found is 1e-6.
const TOLERANCE: f32 = 1e-5;
/// Of a gradient, as a part of the largest value in its tensor.
const GRADIENT_TOLERANCE: f32 = 2e-5;
const LENGTH: usize = 32;

fn source(name: &str) -> Source {
    Source::open(&Path::new(GOLDEN).join("../../../kwaya-model/tests/golden/families").join(name)).unwrap()
}

/// The rows of the script.
struct Rows {
    tokens: Vec<u32>,
    targets: Vec<u32>,
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl Rows {
    fn new() -> Self {
        let file = token_file();
        let targets: Vec<u32> = (0..3 * LENGTH as u64).map(|i| file.token(i)).collect();
        let mut tokens = vec![file.end_of_text()];
        tokens.extend(&targets[..targets.len() - 1]);
        let (mut starts, mut positions) = (Vec::new(), Vec::new());
        for row in tokens.chunks(LENGTH) {
            let mut start = 0;
            for (place, &token) in (0..).zip(row) {
                start = if token == file.end_of_text() { place } else { start };
                starts.push(start);
                positions.push(place - start);
            }
        }
        Self { tokens, targets, starts, positions }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            rows: 3,
            tokens_per_row: LENGTH,
            tokens: &self.tokens,
            targets: &self.targets,
            starts: &self.starts,
            positions: &self.positions,
        }
    }
}

fn token_file() -> TokenFile {
    TokenFile::open(&Path::new(GOLDEN).join("tokens.safetensors")).unwrap()
}

/// Those of the script.
fn adapters(frozen: &Frozen<'_>, tokens: Option<Tokens>) -> Adapters {
    let lora = Lora { rank: 4, alpha: 7.0, targets: Target::ALL.to_vec(), tokens };
    let mut adapters = Adapters::fresh(frozen, lora, 1);
    let tensors = adapters.tensors().to_vec();
    for (tensor, place) in tensors.into_iter().filter(|tensor| tensor.decays).zip(0_u64..) {
        for (value, i) in adapters.weights_mut()[tensor.range].iter_mut().zip(0_u64..) {
            *value = ((i * i * 31 + i * 7919 + place * 104_729) % 2001) as f32 / 8192.0 - 1000.0 / 8192.0;
        }
    }
    adapters
}

/// Losses and gradient.
fn gradient(network: Network<'_>, precision: Precision, keep: Keep, pool: &Pool) -> (Vec<f32>, Vec<f32>) {
    let rows = Rows::new();
    let n = rows.tokens.len();
    let mut activations = network.activations(3, LENGTH, precision, keep);
    // What was there before must not matter.
    let (mut losses, mut gradient) = (vec![f32::NAN; n], vec![f32::NAN; network.learned().len()]);
    let scale = 1.0 / n as f32;
    forward_backward(network, &rows.batch(), &mut activations, &mut losses, &mut gradient, scale, pool);
    (losses, gradient)
}

#[test]
fn losses_and_gradients_match_peft() {
    for name in FAMILIES {
        let (pool, source) = (Pool::new(2), source(name));
        let frozen = Frozen::new(&source, &pool).unwrap();
        let adapters = adapters(&frozen, None);
        let network = Network::Adapted(&frozen, &adapters);
        let (losses, found) = gradient(network, Precision::F32, Keep::Everything, &pool);
        let mut alone = vec![0.0; losses.len()];
        loss(network, &Rows::new().batch(), &mut network.forward_only(3, LENGTH), &mut alone, &pool);
        assert_eq!(alone, losses, "the forward pass alone gives the same losses");

        compare(name, &losses, adapters.tensors(), &found);
    }
}

/// Of a whole model: all vectors, and matrices of the first layer, which the
/// gradients of all others lead to.
#[test]
fn gradients_of_all_weights_match_transformers() {
    for name in FAMILIES.into_iter().filter(|name| *name != "gemma3") {
        let (pool, source) = (Pool::new(2), source(name));
        let model = Model::from_source(&source, &pool).unwrap();
        let (losses, found) = gradient((&model).into(), Precision::F32, Keep::Everything, &pool);
        for (keep, threads) in [(Keep::Inputs, 1), (Keep::Everything, 3)] {
            let same = gradient((&model).into(), Precision::F32, keep, &Pool::new(threads));
            assert!(same == (losses.clone(), found.clone()), "{name}, {keep:?} on {threads} threads");
        }
        let matrices = ["model.layers.0.self_attn.k_proj.weight", "model.layers.0.mlp.gate_proj.weight"];
        let kept = |tensor: &&Tensor| !tensor.decays || matrices.contains(&&*tensor.name);
        let tensors: Vec<Tensor> = model.tensors().iter().filter(kept).cloned().collect();
        assert!(tensors.len() > 6);
        compare(&format!("{name}-whole"), &losses, &tensors, &found);

        // What is written is the model that was read, for whoever reads it.
        let dir = tempfile::tempdir().unwrap();
        model.save(dir.path()).unwrap();
        let again = Source::open(dir.path()).unwrap();
        let computed = |source: &Source| Architecture { licence: None, ..source.architecture().clone() };
        assert_eq!(computed(&again).layers, computed(&source).layers, "{name}");
        assert_eq!(computed(&again).ropes, computed(&source).ropes, "{name}");
        assert!(Model::from_source(&again, &pool).unwrap().weights() == model.weights(), "{name}");
    }
}

/// Losses and gradients beside those of a file of the script.
fn compare(name: &str, losses: &[f32], of: &[Tensor], found: &[f32]) {
    let path = Path::new(GOLDEN).join("families").join(format!("{name}.safetensors"));
    let mapped = Mapped::open(&path).unwrap();
    let read = mapped.read(&path).unwrap();
    assert_eq!(read.len(), of.len() + 1, "{name}");
    let expected = |tensor: &str| {
        let view = read.tensor(tensor).unwrap();
        let mut values = vec![0.0; view.data().len() / 4];
        tensors::read_values(&mut values, view.data());
        values
    };
    let worst = |found: &[f32], expected: &[f32]| {
        assert_eq!(found.len(), expected.len());
        let size = expected.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
        found.iter().zip(expected).map(|(a, b)| (a - b).abs() / size).fold(0.0, f32::max)
    };
    let of_losses = worst(losses, &expected("losses"));
    assert!(of_losses < TOLERANCE, "{name}: losses differ by {of_losses:.1e}");
    for tensor in of {
        let error = worst(&found[tensor.range.clone()], &expected(&tensor.name));
        assert!(error < GRADIENT_TOLERANCE, "{name} {}: differs by {error:.1e}", tensor.name);
    }
}

/// Whatever is kept, on any number of threads, and from whichever file.
#[test]
fn files_threads_and_memory_change_no_bit() {
    for name in FAMILIES {
        let (folder, file) = (source(name), source(&format!("{name}.gguf")));
        let (pool, tokens) = (Pool::new(2), Some(Tokens { first: 90, count: 5 }));
        let [folder, file] = [&folder, &file].map(|source| Frozen::new(source, &pool).unwrap());
        for tokens in [None, tokens] {
            let adapters = adapters(&folder, tokens);
            for precision in [Precision::F32, Precision::Bf16] {
                let of = |frozen, keep, threads| {
                    gradient(Network::Adapted(frozen, &adapters), precision, keep, &Pool::new(threads))
                };
                let whole = of(&folder, Keep::Everything, 1);
                assert!(whole.1.iter().all(|d| d.is_finite()) && whole.1.iter().any(|&d| d != 0.0));
                // The GGUF of a Llama 3 has divisors in place of a rule, which
                // are rounded otherwise.
                let other = if name == "llama3" { &folder } else { &file };
                for (frozen, keep, threads) in [(other, Keep::Everything, 2), (other, Keep::Inputs, 3)] {
                    assert!(of(frozen, keep, threads) == whole, "{name} {precision:?} {keep:?} on {threads} threads");
                }
            }
        }
    }
}

/// Rows of new tokens go through the scale of the embedding and the caps of
/// scores and logits: by small steps in each direction.
#[test]
fn gradients_of_rows_of_tokens_follow_the_loss() {
    for name in ["qwen3", "gemma3"] {
        let (pool, source) = (Pool::new(2), source(name));
        let frozen = Frozen::new(&source, &pool).unwrap();
        let mut adapters = adapters(&frozen, Some(Tokens { first: 20, count: 40 }));
        let (_, gradient) = gradient(Network::Adapted(&frozen, &adapters), Precision::F32, Keep::Everything, &pool);
        let rows = Rows::new();
        let mut activations = Network::Adapted(&frozen, &adapters).forward_only(3, LENGTH);
        let mut mean = |adapters: &Adapters| {
            let mut losses = vec![0.0; rows.targets.len()];
            loss(Network::Adapted(&frozen, adapters), &rows.batch(), &mut activations, &mut losses, &pool);
            losses.iter().map(|&nats| f64::from(nats)).sum::<f64>() / losses.len() as f64
        };
        for tensor in adapters.tensors().iter().filter(|tensor| !tensor.decays).cloned().collect::<Vec<_>>() {
            let size = gradient[tensor.range.clone()].iter().fold(0.0_f32, |size, x| size.max(x.abs()));
            for at in tensor.range.clone().step_by(61) {
                let (value, width) = (adapters.weights()[at], 0.002);
                let mut loss_at = |value: f32| {
                    adapters.weights_mut()[at] = value;
                    mean(&adapters)
                };
                let slope = (loss_at(value + width) - loss_at(value - width)) / (2.0 * f64::from(width));
                loss_at(value);
                let error = (slope as f32 - gradient[at]).abs();
                assert!(error < 0.01 * size, "{name} {}[{at}]: {slope}, not {}", tensor.name, gradient[at]);
            }
        }
    }
}

/// What trains a model and what lets it answer compute the same.
#[test]
fn a_training_sees_the_model_that_answers() {
    for name in FAMILIES {
        let (pool, source) = (Pool::new(2), source(name));
        let frozen = Frozen::new(&source, &pool).unwrap();
        let nothing = Lora { rank: 1, alpha: 1.0, targets: vec![Target::Query], tokens: None };
        let adapters = Adapters::zeros(frozen.architecture(), nothing);
        let (network, v) = (Network::Adapted(&frozen, &adapters), frozen.architecture().vocab);
        let tokens: Vec<u32> = (0..20).map(|i| 3 + i * 17 % 90).collect();
        let positions: Vec<u32> = (0..20).collect();
        let (targets, starts) = (&tokens, &[0; 20]);
        let batch = Batch { rows: 1, tokens_per_row: 20, tokens: &tokens, targets, starts, positions: &positions };
        let mut found = vec![0.0; 20 * v];
        logits(network, &batch, &mut network.forward_only(1, 20), &mut found, &pool);
        let decoder = Decoder::load(self::source(name), &pool).unwrap();
        let mut conversations = Conversations::new(&decoder, &pool, 1 << 24);
        let (conversation, _) = conversations.begin(&tokens);
        let expected = conversations.feed(&[(conversation, &tokens)]).unwrap();
        let size = expected.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
        let error = found[19 * v..].iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // The cache of an answer is f16, and its products round to 8 bits.
        assert!(error < 0.05 * size, "{name}: logits differ by {error} of {size}");
    }
}

/// Asks to stop once a step is done.
struct StopAt(u64, AtomicU64);

impl Progress for StopAt {
    fn begin(&self, _: &'static str, _: u64, _: Unit) {}
    fn at(&self, done: u64) {
        self.1.store(done, Ordering::Relaxed);
    }
    fn warn(&self, _: &str) {}
    fn stopped(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

#[test]
fn it_learns_and_an_interruption_changes_no_bit() {
    let schedule = Schedule {
        seed: 3,
        steps: 12,
        sequence_length: 16,
        sequences_per_micro_batch: 2,
        micro_batches_per_step: 3,
        learning_rate: 0.01,
        learning_rate_min: 0.001,
        warmup_steps: 2,
        decay: Decay::Cosine,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.01,
        clip_norm: 1.0,
        evaluate_every: 6,
        precision: Precision::F32,
    };
    let (dir, file) = (tempfile::tempdir().unwrap(), token_file());
    for name in FAMILIES {
        let source = source(name);
        let run = |folder: PathBuf, threads, watcher: &dyn Progress| {
            let pool = Pool::new(threads);
            let frozen = Frozen::new(&source, &pool).unwrap();
            let lora = Lora { rank: 4, alpha: 8.0, targets: Target::ALL.to_vec(), tokens: None };
            let planned = tuning_memory(frozen.architecture(), &lora, &schedule, Keep::Everything);
            assert!(planned.activations > 0);
            let first = Adapters::fresh(&frozen, lora, 1);
            tune(&frozen, &first, &schedule, &file, &file, &folder, &Options::default(), &pool, watcher)
        };
        let whole = run(dir.path().join(name), 2, &Silent).unwrap();
        assert!(
            whole.log[11].loss < 0.9 * whole.log[0].loss,
            "{name}: {} to {}",
            whole.log[0].loss,
            whole.log[11].loss
        );
        let stopped = dir.path().join(format!("{name}-stopped"));
        let error = run(stopped.clone(), 1, &StopAt(5, AtomicU64::new(0))).err().unwrap();
        assert_eq!(error.key(), "interrupted");
        let resumed = run(stopped.clone(), 1, &Silent).unwrap();
        assert_eq!(resumed.resumed_at, Some(5));
        let bits = |weights: &[f32]| weights.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
        assert!(bits(resumed.model.weights()) == bits(whole.model.weights()), "{name}");
        // What the model computes is in the identity of its checkpoints.
        if name == "mistral" {
            let copy = dir.path().join("wider");
            fs::create_dir(&copy).unwrap();
            for file in fs::read_dir(source.path()).unwrap().map(Result::unwrap) {
                fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
            let config = fs::read_to_string(copy.join("config.json")).unwrap();
            assert!(config.contains("\"sliding_window\": 5"));
            let wider = config.replace("\"sliding_window\": 5", "\"sliding_window\": 6");
            fs::write(copy.join("config.json"), wider).unwrap();
            let (wider, pool) = (Source::open(&copy).unwrap(), Pool::new(1));
            let frozen = Frozen::new(&wider, &pool).unwrap();
            let options = Options::default();
            let outcome = tune(&frozen, &whole.model, &schedule, &file, &file, &stopped, &options, &pool, &Silent);
            assert_eq!(outcome.err().unwrap().key(), "checkpoint-foreign");
        }
    }
}
