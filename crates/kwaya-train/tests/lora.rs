//! Fine-tuning: against PEFT, against itself on other threads and other
//! formats of the same weights, and interrupted.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use kwaya_base::{Progress, Result, Silent, Unit};
use kwaya_math::{Format, Pool, blocks::quantise, philox::Stream};
use kwaya_model::{
    Adapters, Architecture, Batch, Config, Frozen, IGNORED, Keep, Lora, Model, Network, Precision, Source, Target,
    Tokens, forward_backward,
    gguf::{self, Entry, Value},
    loss, peft_base,
    tensors::{self, Mapped},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use kwaya_train::{Decay, Options, Outcome, Schedule, TokenFile, bits_per_byte, measure_tuning, tune, tuning_memory};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
/// Losses after some updates, relative.
const TOLERANCE: f64 = 1e-5;
/// Of a gradient, as a part of the largest value in its tensor.
const GRADIENT_TOLERANCE: f32 = 2e-5;

/// Rows of tokens as a batch.
struct Rows {
    length: usize,
    tokens: Vec<u32>,
    targets: Vec<u32>,
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl Rows {
    /// The first rows of a token file, as a training reads them.
    fn of(file: &TokenFile, rows: usize, length: usize) -> Self {
        let targets: Vec<u32> = (0..(rows * length) as u64).map(|i| file.token(i)).collect();
        let mut tokens = vec![file.end_of_text()];
        tokens.extend(&targets[..targets.len() - 1]);
        let (mut starts, mut positions) = (Vec::new(), Vec::new());
        for row in tokens.chunks(length) {
            let mut start = 0;
            for (place, &token) in (0..).zip(row) {
                start = if token == file.end_of_text() { place } else { start };
                starts.push(start);
                positions.push(place - start);
            }
        }
        Self { length, tokens, targets, starts, positions }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            rows: self.tokens.len() / self.length,
            tokens_per_row: self.length,
            tokens: &self.tokens,
            targets: &self.targets,
            starts: &self.starts,
            positions: &self.positions,
        }
    }
}

/// Losses and gradient.
fn gradient(
    network: Network<'_>,
    batch: &Batch<'_>,
    precision: Precision,
    keep: Keep,
    pool: &Pool,
) -> (Vec<f32>, Vec<f32>) {
    let mut activations = network.activations(batch.rows, batch.tokens_per_row, precision, keep);
    let counted = batch.targets.iter().filter(|&&target| target != IGNORED).count();
    // What was there before must not matter.
    let (mut losses, mut gradient) = (vec![f32::NAN; batch.tokens.len()], vec![f32::NAN; network.learned().len()]);
    forward_backward(network, batch, &mut activations, &mut losses, &mut gradient, 1.0 / counted as f32, pool);
    (losses, gradient)
}

fn close(name: &str, found: &[f32], expected: &serde_json::Value) {
    let (sum, absolutes) = (expected[0].as_f64().unwrap(), expected[1].as_f64().unwrap());
    let found = |f: fn(f64) -> f64| found.iter().map(|&w| f(f64::from(w))).sum::<f64>();
    let error = (found(|w| w) - sum).abs().max((found(f64::abs) - absolutes).abs()) / absolutes;
    assert!(error < 1e-4, "{name}: differs by {error:.1e}");
}

#[test]
fn six_steps_match_peft() {
    println!("{}", matches_peft("lora", "tied", None));
}

#[test]
fn rows_of_tokens_match_peft() {
    let tokens = Some(Tokens { first: 19, count: 6 });
    println!("{}", matches_peft("lora_tokens", "tied", tokens));
    println!("{}", matches_peft("lora_tokens_untied", "untied", tokens));
}

/// What is written has the names, shapes and numbers that PEFT has written, and
/// says of tokens the same.
fn saves_as_peft(adapters: &Adapters, theirs: &Path) {
    let dir = tempfile::tempdir().unwrap();
    adapters.save(dir.path(), "a base").unwrap();
    let read = |folder: &Path| fs::read(folder.join("adapter_model.safetensors")).unwrap();
    let (ours, others) = (read(dir.path()), read(theirs));
    let tensors = |bytes| {
        let mut tensors = SafeTensors::deserialize(bytes).unwrap().tensors();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        tensors
    };
    assert!(tensors(&ours) == tensors(&others));
    let tokens = |folder: &Path| {
        let config = fs::read_to_string(folder.join("adapter_config.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&config).unwrap()["trainable_token_indices"].clone()
    };
    assert_eq!(tokens(dir.path()), tokens(theirs));
}

/// Returns the largest differences, for people.
fn matches_peft(name: &str, base: &str, tokens: Option<Tokens>) -> String {
    let golden = Path::new(GOLDEN);
    let text = fs::read_to_string(golden.join(name).join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schedule: Schedule = serde_json::from_value(expected["schedule"].clone()).unwrap();
    let pool = Pool::new(2);
    let source = Source::open(&golden.join("../../../kwaya-model/tests/golden").join(base)).unwrap();
    let frozen = Frozen::new(&source, &pool).unwrap();
    let adapters = Adapters::load(&golden.join(name), frozen.architecture()).unwrap();
    assert_eq!(adapters.lora(), &Lora { rank: 3, alpha: 7.0, targets: Target::ALL.to_vec(), tokens });
    assert_eq!(peft_base(&golden.join(name)).unwrap(), base);
    saves_as_peft(&adapters, &golden.join(name));
    let file = TokenFile::open(&golden.join("tokens.safetensors")).unwrap();

    let rows = Rows::of(&file, 6, schedule.sequence_length);
    let network = Network::Adapted(&frozen, &adapters);
    let (losses, found) = gradient(network, &rows.batch(), Precision::F32, Keep::Everything, &pool);
    let mut alone = vec![0.0; losses.len()];
    loss(network, &rows.batch(), &mut network.forward_only(6, schedule.sequence_length), &mut alone, &pool);
    assert_eq!(alone, losses, "the forward pass alone gives the same losses");
    let path = golden.join(name).join("gradient.safetensors");
    let mapped = Mapped::open(&path).unwrap();
    let read = mapped.read(&path).unwrap();
    let mut worst_gradient = 0.0f32;
    for tensor in adapters.tensors() {
        let view = read.tensor(&tensor.name).unwrap();
        let mut expected = vec![0.0; tensor.range.len()];
        tensors::read_values(&mut expected, view.data());
        let size = expected.iter().fold(0.0f32, |size, x| size.max(x.abs()));
        let found = &found[tensor.range.clone()];
        let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / size).fold(0.0, f32::max);
        worst_gradient = worst_gradient.max(error);
        assert!(error < GRADIENT_TOLERANCE, "{}: differs by {error:.1e} of {size}", tensor.name);
    }

    let dir = tempfile::tempdir().unwrap();
    let options = Options::default();
    let outcome = tune(&frozen, &adapters, &schedule, &file, &file, dir.path(), &options, &pool, &Silent).unwrap();
    let mut worst = 0.0f64;
    for (index, step) in expected["log"].as_array().unwrap().iter().enumerate() {
        let entry = &outcome.log[index];
        for (name, found) in
            [("loss", entry.loss), ("gradient_norm", entry.gradient_norm), ("learning_rate", entry.learning_rate)]
        {
            let expected = step[name].as_f64().unwrap();
            let error = (f64::from(found) - expected).abs() / expected;
            worst = worst.max(error);
            assert!(error < TOLERANCE, "step {}, {name}: {found}, PEFT has {expected}", index + 1);
        }
    }
    assert!(outcome.log[5].held_out.is_some());
    let trained = &outcome.model;
    for tensor in trained.tensors() {
        let weights = &expected["weights_sum_and_sum_of_absolutes"][&tensor.name];
        close(&tensor.name, &trained.weights()[tensor.range.clone()], weights);
    }
    let merged = frozen.merged(Some(trained), &pool).unwrap();
    for tensor in merged.tensors() {
        let weights = &expected["merged_sum_and_sum_of_absolutes"][&tensor.name];
        close(&tensor.name, &merged.weights()[tensor.range.clone()], weights);
    }
    // The merged model says the same as the two of which it is made.
    let scores = [
        bits_per_byte(&merged, &file, 16, &pool, &Silent).unwrap(),
        bits_per_byte(Network::Adapted(&frozen, trained), &file, 16, &pool, &Silent).unwrap(),
    ];
    let [one, other] = scores.map(|scores| scores.iter().map(|score| score.nats).sum::<f64>());
    assert!((one - other).abs() < 1e-5 * one, "{one} and {other}");
    format!("{name}: gradients differ by {worst_gradient:.1e} of the largest value, steps by {worst:.1e}")
}

fn config() -> Config {
    Config {
        vocab_size: 40,
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        max_position_embeddings: 64,
        ..Config::default()
    }
}

fn plain(config: &Config) -> Architecture {
    config.into()
}

fn lora() -> Lora {
    Lora { rank: 5, alpha: 8.0, targets: Target::ALL.to_vec(), tokens: None }
}

/// Some of the vocabulary of 40, not at its end.
const TOKENS: Tokens = Tokens { first: 30, count: 7 };

fn with_tokens() -> Lora {
    Lora { tokens: Some(TOKENS), ..lora() }
}

/// Adapters whose B is not 0.
fn adapters(config: &Config, lora: Lora) -> Adapters {
    moved(Adapters::random(&plain(config), lora, 4))
}

fn moved(mut adapters: Adapters) -> Adapters {
    let mut stream = Stream::new(9, 1, 0);
    adapters.weights_mut().iter_mut().for_each(|w| *w += 0.1 * (stream.next_f32() - 0.5));
    adapters
}

/// A GGUF file of a random model, matrices in `format`.
fn quantised(path: &Path, config: &Config, format: Format) {
    let model = Model::random(config.clone(), 3, &Pool::new(2));
    let sizes = [
        ("embedding_length", config.hidden_size),
        ("feed_forward_length", config.intermediate_size),
        ("block_count", config.num_hidden_layers),
        ("attention.head_count", config.num_attention_heads),
        ("attention.head_count_kv", config.num_key_value_heads),
        ("attention.key_length", config.head_dim),
        ("attention.value_length", config.head_dim),
        ("context_length", config.max_position_embeddings),
    ];
    let keys: Vec<String> = sizes.iter().map(|(key, _)| format!("llama.{key}")).collect();
    let mut metadata = vec![
        ("general.architecture", Value::Text("llama".into())),
        ("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5)),
    ];
    metadata.extend(keys.iter().zip(sizes).map(|(key, (_, size))| (&**key, Value::Unsigned(size as u64))));
    let name = |name: &str| {
        let parts = [
            ("model.embed_tokens", "token_embd"),
            ("model.norm", "output_norm"),
            ("model.layers", "blk"),
            ("input_layernorm", "attn_norm"),
            ("self_attn.q_proj", "attn_q"),
            ("self_attn.k_proj", "attn_k"),
            ("self_attn.v_proj", "attn_v"),
            ("self_attn.o_proj", "attn_output"),
            ("post_attention_layernorm", "ffn_norm"),
            ("mlp.gate_proj", "ffn_gate"),
            ("mlp.up_proj", "ffn_up"),
            ("mlp.down_proj", "ffn_down"),
            ("lm_head", "output"),
        ];
        parts.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
    };
    let names: Vec<String> = model.tensors().iter().map(|tensor| name(&tensor.name)).collect();
    let of = |decays: bool| if decays { format } else { Format::F32 };
    let entries: Vec<Entry<'_>> = (model.tensors().iter().zip(&names))
        .map(|(tensor, name)| Entry { name, shape: &tensor.shape, format: of(tensor.decays) })
        .collect();
    gguf::write(path, &metadata, &entries, |i, put| {
        let mut bytes = vec![0; entries[i].bytes()];
        quantise(entries[i].format, &model.weights()[model.tensors()[i].range.clone()], &mut bytes);
        put(&bytes)
    })
    .unwrap();
}

/// Documents in a vocabulary of 40, some of which begin with what is not to
/// be predicted.
fn rows(length: usize, mask: bool) -> Rows {
    let mut stream = Stream::new(2, 1, 0);
    let tokens: Vec<u32> = (0..2 * length).map(|_| stream.below(40) as u32).collect();
    let mut targets: Vec<u32> = (0..2 * length).map(|_| stream.below(40) as u32).collect();
    if mask {
        targets[3..length - 2].fill(IGNORED);
    }
    let positions = (0..2 * length).map(|i| (i % length) as u32).collect();
    Rows { length, tokens, targets, starts: vec![0; 2 * length], positions }
}

/// A gradient beside quantised weights has the bits of one beside the numbers
/// that they stand for, in f32, whatever is kept and on any number of threads.
#[test]
fn formats_threads_and_memory_change_no_bit() {
    let dir = tempfile::tempdir().unwrap();
    let formats = Format::ALL.into_iter().filter(|format| format.is_written());
    for (case, format) in formats.enumerate() {
        let mut config = Config { tie_word_embeddings: case % 2 == 0, ..config() };
        if format.block() == 256 {
            (config.hidden_size, config.head_dim, config.intermediate_size) = (256, 64, 256);
        }
        let pool = Pool::new(2);
        let (path, folder) = (dir.path().join("model.gguf"), dir.path().join(format.name()));
        quantised(&path, &config, format);
        let source = Source::open(&path).unwrap();
        let frozen = Frozen::new(&source, &pool).unwrap();
        assert_eq!(frozen.architecture(), source.architecture());
        fs::create_dir(&folder).unwrap();
        let merged = frozen.merged(None, &pool).unwrap();
        let read = Model::from_source(&source, &pool).unwrap();
        assert!(read.config == merged.config && read.weights() == merged.weights(), "{}", format.name());
        merged.save(&folder).unwrap();
        let plain = Source::open(&folder).unwrap();
        let plain = Frozen::new(&plain, &pool).unwrap();

        let targets = if case % 2 == 0 { Target::ALL.to_vec() } else { vec![Target::Value, Target::Up] };
        let tokens = (case % 3 > 0).then_some(TOKENS);
        let adapters = adapters(&config, Lora { targets, tokens, ..lora() });
        let rows = rows(31, case % 3 == 0);
        for precision in [Precision::F32, Precision::Bf16] {
            let of = |frozen, keep, threads| {
                let pool = Pool::new(threads);
                gradient(Network::Adapted(frozen, &adapters), &rows.batch(), precision, keep, &pool)
            };
            let whole = of(&plain, Keep::Everything, 1);
            assert!(whole.1.iter().all(|d| d.is_finite()) && whole.1.iter().any(|&d| d != 0.0));
            for (frozen, keep, threads) in
                [(&frozen, Keep::Everything, 2), (&frozen, Keep::Inputs, 3), (&plain, Keep::Inputs, 1)]
            {
                let same = of(frozen, keep, threads);
                assert!(same == whole, "{} {precision:?} {keep:?} on {threads} threads", format.name());
            }
        }
    }
}

/// The gradient of weights W tells that of A and B: where B A is added to W,
/// dA = s Bᵗ dW and dB = s dW Aᵗ. Rows of tokens have theirs as they are there.
#[test]
fn gradients_follow_from_those_of_a_whole_model() {
    for (tokens, tie_word_embeddings) in [(None, true), (Some(TOKENS), true), (Some(TOKENS), false)] {
        gradients_follow(Lora { tokens, ..lora() }, Config { tie_word_embeddings, ..config() });
    }
}

fn gradients_follow(lora: Lora, config: Config) {
    let dir = tempfile::tempdir().unwrap();
    let (pool, rows) = (Pool::new(2), rows(40, true));
    Model::random(config.clone(), 8, &pool).save(dir.path()).unwrap();
    let source = Source::open(dir.path()).unwrap();
    let frozen = Frozen::new(&source, &pool).unwrap();
    let adapters = adapters(&config, lora);
    let s = adapters.lora().alpha / adapters.lora().rank as f32;
    let network = Network::Adapted(&frozen, &adapters);
    let (losses, found) = gradient(network, &rows.batch(), Precision::F32, Keep::Everything, &pool);
    let merged = frozen.merged(Some(&adapters), &pool).unwrap();
    let (whole_losses, d_weights) = gradient((&merged).into(), &rows.batch(), Precision::F32, Keep::Everything, &pool);
    for (one, other) in losses.iter().zip(&whole_losses) {
        assert!((one - other).abs() < 1e-4, "{one} and {other}");
    }
    let near = |name: &str, found: &[f32], expected: Vec<f32>| {
        let size = expected.iter().fold(0.0f32, |size, x| size.max(x.abs()));
        let error = found.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(size > 0.0 && error < 1e-4 * size, "{name}: {error} of {size}");
    };
    let rank = adapters.lora().rank;
    let (pairs, tables): (Vec<_>, Vec<_>) = adapters.tensors().iter().partition(|tensor| tensor.name.contains("lora"));
    let names = ["model.embed_tokens.weight", "lm_head.weight"];
    assert_eq!(tables.len(), adapters.lora().tokens.map_or(0, |_| 2 - usize::from(config.tie_word_embeddings)));
    for (tensor, name) in tables.into_iter().zip(names) {
        let whole = merged.tensors().iter().find(|tensor| tensor.name == name).unwrap();
        let start = whole.range.start + TOKENS.first as usize * config.hidden_size;
        let expected = &d_weights[start..start + TOKENS.count as usize * config.hidden_size];
        near(name, &found[tensor.range.clone()], expected.to_vec());
        assert!(!tensor.decays);
    }
    for pair in pairs.chunks(2) {
        let [a, b] = pair else { panic!("A and B") };
        let name = a.name.replace("lora_A.", "");
        let weight = merged.tensors().iter().find(|tensor| tensor.name == name).unwrap();
        let d_weight = &d_weights[weight.range.clone()];
        let (rows, cols) = (weight.shape[0], weight.shape[1]);
        let (a_values, b_values) = (&adapters.weights()[a.range.clone()], &adapters.weights()[b.range.clone()]);
        let d_a = (0..rank * cols).map(|i| {
            let (r, c) = (i / cols, i % cols);
            s * (0..rows).map(|o| b_values[o * rank + r] * d_weight[o * cols + c]).sum::<f32>()
        });
        let d_b = (0..rows * rank).map(|i| {
            let (o, r) = (i / rank, i % rank);
            s * (0..cols).map(|c| d_weight[o * cols + c] * a_values[r * cols + c]).sum::<f32>()
        });
        near(&a.name, &found[a.range.clone()], d_a.collect());
        near(&b.name, &found[b.range.clone()], d_b.collect());
    }
}

/// Central differences of the mean loss, at numbers of learned rows: of tokens
/// that are read and predicted.
#[test]
fn rows_of_tokens_have_the_slope_of_the_loss() {
    for tie_word_embeddings in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { tie_word_embeddings, initializer_range: 0.3, ..config() };
        let (pool, rows) = (Pool::new(2), rows(40, false));
        Model::random(config.clone(), 8, &pool).save(dir.path()).unwrap();
        let source = Source::open(dir.path()).unwrap();
        let frozen = Frozen::new(&source, &pool).unwrap();
        let mut adapters = moved(Adapters::fresh(&frozen, with_tokens(), 4));
        let network = Network::Adapted(&frozen, &adapters);
        let (_, gradient) = gradient(network, &rows.batch(), Precision::F32, Keep::Everything, &pool);
        let mut activations = network.forward_only(2, rows.length);
        let mut mean = |adapters: &Adapters| {
            let mut losses = vec![0.0; rows.targets.len()];
            loss(Network::Adapted(&frozen, adapters), &rows.batch(), &mut activations, &mut losses, &pool);
            losses.iter().map(|&nats| f64::from(nats)).sum::<f64>() / losses.len() as f64
        };
        let tables: Vec<_> = adapters.tensors().iter().filter(|tensor| !tensor.decays).cloned().collect();
        assert_eq!(tables.len(), if tie_word_embeddings { 1 } else { 2 });
        for tensor in tables {
            let size = gradient[tensor.range.clone()].iter().fold(0.0f32, |size, x| size.max(x.abs()));
            for at in tensor.range.clone().step_by(61) {
                let (value, width) = (adapters.weights()[at], 0.001);
                let mut loss_at = |value: f32| {
                    adapters.weights_mut()[at] = value;
                    mean(&adapters)
                };
                let slope = (loss_at(value + width) - loss_at(value - width)) / (2.0 * f64::from(width));
                loss_at(value);
                let error = (slope as f32 - gradient[at]).abs();
                assert!(error < 0.01 * size, "{}[{at}]: {slope}, not {} (of {size})", tensor.name, gradient[at]);
            }
        }
    }
}

/// At first nothing is changed, to the last bit.
#[test]
fn fresh_rows_of_tokens_are_those_of_the_model() {
    for (format, tie_word_embeddings) in [(Format::F32, true), (Format::Q8_0, false), (Format::Q4_0, true)] {
        let (dir, pool) = (tempfile::tempdir().unwrap(), Pool::new(2));
        let config = Config { tie_word_embeddings, ..config() };
        let path = dir.path().join("model.gguf");
        quantised(&path, &config, format);
        let source = Source::open(&path).unwrap();
        let frozen = Frozen::new(&source, &pool).unwrap();
        let without = Adapters::fresh(&frozen, lora(), 1);
        assert!(without.weights() == Adapters::random(&plain(&config), lora(), 1).weights());
        let fresh = Adapters::fresh(&frozen, with_tokens(), 1);
        let (plain, merged) = (frozen.merged(None, &pool).unwrap(), frozen.merged(Some(&fresh), &pool).unwrap());
        assert!(merged.weights() == plain.weights() && merged.config.tie_word_embeddings == tie_word_embeddings);
        let rows = rows(40, false);
        let losses = |adapters: &Adapters| {
            let (network, mut losses) = (Network::Adapted(&frozen, adapters), vec![0.0; 80]);
            loss(network, &rows.batch(), &mut network.forward_only(2, 40), &mut losses, &pool);
            losses
        };
        assert_eq!(losses(&fresh), losses(&without));
    }
}

/// A tensor at a time is what the whole is.
#[test]
fn tensors_are_merged_by_name() {
    for (tokens, tie_word_embeddings) in [(None, true), (Some(TOKENS), true), (Some(TOKENS), false)] {
        let (dir, pool) = (tempfile::tempdir().unwrap(), Pool::new(2));
        let config = Config { tie_word_embeddings, ..config() };
        Model::random(config.clone(), 8, &pool).save(dir.path()).unwrap();
        let source = Source::open(dir.path()).unwrap();
        let frozen = Frozen::new(&source, &pool).unwrap();
        let adapters = adapters(&config, Lora { targets: vec![Target::Query, Target::Down], tokens, ..lora() });
        let (plain, merged) = (frozen.merged(None, &pool).unwrap(), frozen.merged(Some(&adapters), &pool).unwrap());
        for tensor in plain.tensors() {
            let (name, before) = (&*tensor.name, &plain.weights()[tensor.range.clone()]);
            let mut values = before.to_vec();
            let changed = adapters.merge_named(name, &mut values, &pool);
            assert!(values == merged.weights()[tensor.range.clone()], "{name}");
            let table = tokens.is_some() && ["model.embed_tokens.weight", "lm_head.weight"].contains(&name);
            assert_eq!(
                changed,
                table || name.ends_with("q_proj.weight") || name.ends_with("down_proj.weight"),
                "{name}"
            );
            assert_eq!(changed, values != before, "{name}");
        }
        // A head of its own beside a tied table has the same rows.
        let mut values = vec![0.0; config.vocab_size * config.hidden_size];
        let changed = adapters.merge_named("lm_head.weight", &mut values, &pool);
        let learned = values.iter().filter(|&&value| value != 0.0).count();
        let rows = tokens.map_or(0, |tokens| tokens.count as usize) * config.hidden_size;
        assert_eq!((changed, learned), (tokens.is_some(), rows));
        for other in
            ["model.layers.3.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.bias", "model.norm.weight"]
        {
            assert!(!adapters.merge_named(other, &mut [1.0; 4], &pool), "{other}");
        }
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

/// A place to tune in.
struct Bench {
    dir: tempfile::TempDir,
    source: Source,
    training: TokenFile,
    held_out: TokenFile,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.gguf");
        quantised(&path, &config(), Format::Q8_0);
        let corpus = |name: &str, documents: u64, seed: u64| {
            let document = |index| {
                let mut stream = Stream::new(seed, 1, index);
                let (start, length) = (stream.below(39), 3 + stream.below(60));
                (0..length).map(|i| 1 + ((start + i) % 39) as u32).collect()
            };
            common::write(&dir.path().join(name), 40, &(0..documents).map(document).collect::<Vec<_>>())
        };
        let (training, held_out) = (corpus("training.safetensors", 60, 1), corpus("held_out.safetensors", 9, 2));
        Self { source: Source::open(&path).unwrap(), training, held_out, dir }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tune(&self, name: &str, first: &Adapters, threads: usize, watcher: &dyn Progress) -> Result<Outcome<Adapters>> {
        let (folder, pool) = (self.folder(name), Pool::new(threads));
        let frozen = Frozen::new(&self.source, &pool).unwrap();
        let options = Options { checkpoint_every: Duration::ZERO, ..Options::default() };
        tune(&frozen, first, &schedule(), &self.training, &self.held_out, &folder, &options, &pool, watcher)
    }
}

fn schedule() -> Schedule {
    Schedule {
        seed: 3,
        steps: 40,
        sequence_length: 24,
        sequences_per_micro_batch: 2,
        micro_batches_per_step: 3,
        learning_rate: 0.02,
        learning_rate_min: 0.001,
        warmup_steps: 3,
        decay: Decay::Cosine,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.01,
        clip_norm: 1.0,
        evaluate_every: 20,
        precision: Precision::F32,
    }
}

/// BLAKE3 of the trained adapters, little-endian, the first 32 digits: every
/// machine and every instruction set has these.
const BITS: [(Precision, Option<Tokens>, &str); 4] = [
    (Precision::F32, None, "dcef20bac1c97c2675a6d2d9e26920cb"),
    (Precision::Bf16, None, "0279c14a05ce7a1e859912d91509014b"),
    (Precision::F32, Some(TOKENS), "fc55ff487adc99dd9015e8164af825e5"),
    (Precision::Bf16, Some(TOKENS), "078cd530cb21020231e1867efe77e33c"),
];

#[test]
fn a_tuning_has_the_bits_that_were_written_down() {
    for (precision, tokens, expected) in BITS {
        let bench = Bench::new();
        let schedule = Schedule { steps: 5, precision, ..schedule() };
        let pool = Pool::new(2);
        let frozen = Frozen::new(&bench.source, &pool).unwrap();
        let first = Adapters::fresh(&frozen, Lora { tokens, ..lora() }, 1);
        let (folder, options) = (bench.folder("bits"), Options::default());
        let outcome =
            tune(&frozen, &first, &schedule, &bench.training, &bench.held_out, &folder, &options, &pool, &Silent);
        let bytes: Vec<u8> = bits(&outcome.unwrap()).into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(
            &blake3::hash(&bytes).to_hex()[..32],
            expected,
            "{precision:?} {tokens:?} with {}",
            kwaya_math::isa()
        );
    }
}

fn bits(outcome: &Outcome<Adapters>) -> Vec<u32> {
    outcome.model.weights().iter().map(|weight| weight.to_bits()).collect()
}

#[test]
fn it_learns_and_an_interruption_changes_no_bit() {
    let bench = Bench::new();
    let first = Adapters::random(&plain(&config()), lora(), 1);
    let whole = bench.tune("whole", &first, 2, &Silent).unwrap();
    assert!(whole.log[39].loss < 0.8 * whole.log[0].loss, "{} to {}", whole.log[0].loss, whole.log[39].loss);
    let held_out: Vec<f32> = whole.log.iter().filter_map(|entry| entry.held_out).collect();
    assert!(held_out.len() == 2 && held_out[1] < held_out[0], "{held_out:?}");
    for (stop, threads) in [(1, 1), (17, 3)] {
        let name = format!("stopped-{stop}");
        let error = bench.tune(&name, &first, threads, &StopAt(stop, AtomicU64::new(0))).err().unwrap();
        assert_eq!(error.key(), "interrupted");
        let resumed = bench.tune(&name, &first, 2, &Silent).unwrap();
        assert_eq!(resumed.resumed_at, Some(stop));
        assert!(bits(&resumed) == bits(&whole), "interrupted after step {stop}");
    }
    // With rows of tokens too.
    let fresh = Adapters::fresh(&Frozen::new(&bench.source, &Pool::new(2)).unwrap(), with_tokens(), 1);
    let tokens = bench.tune("tokens", &fresh, 2, &Silent).unwrap();
    assert!(tokens.log[39].loss < whole.log[39].loss, "what is learned more helps");
    bench.tune("tokens-stopped", &fresh, 1, &StopAt(9, AtomicU64::new(0))).err().unwrap();
    assert!(bits(&bench.tune("tokens-stopped", &fresh, 3, &Silent).unwrap()) == bits(&tokens));
    // What decides bits is in the checkpoints' identity.
    assert_eq!(bench.tune("whole", &fresh, 2, &Silent).err().unwrap().key(), "checkpoint-foreign");
    let other = Adapters::random(&plain(&config()), lora(), 2);
    assert_eq!(bench.tune("whole", &other, 2, &Silent).err().unwrap().key(), "checkpoint-foreign");
    let other = Adapters::random(&plain(&config()), Lora { alpha: 9.0, ..lora() }, 1);
    assert_eq!(bench.tune("whole", &other, 2, &Silent).err().unwrap().key(), "checkpoint-foreign");
    for other in [
        Config { num_hidden_layers: 2, ..config() },
        Config { vocab_size: 36, ..config() },
        Config { tie_word_embeddings: false, ..config() },
    ] {
        let other =
            Adapters::random(&plain(&other), Lora { tokens: Some(Tokens { first: 30, count: 6 }), ..lora() }, 1);
        let same = other.fits(&plain(&config()));
        assert_eq!(same, other.tensors().len() == fresh.tensors().len());
        if !same {
            assert_eq!(bench.tune("other", &other, 2, &Silent).err().unwrap().key(), "lora-unfit");
        }
    }
    quantised(&bench.folder("other.gguf"), &config(), Format::Q4_0);
    let bench = Bench { source: Source::open(&bench.folder("other.gguf")).unwrap(), ..bench };
    assert_eq!(bench.tune("whole", &first, 2, &Silent).err().unwrap().key(), "checkpoint-foreign");
}

/// The same file with a mask of what is to be predicted.
fn masked(path: &Path, to: &Path, mask: &[u8]) -> TokenFile {
    let bytes = fs::read(path).unwrap();
    let mut tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    tensors.push(("loss_mask".into(), TensorView::new(Dtype::U8, vec![mask.len()], mask).unwrap()));
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    fs::write(to, safetensors::serialize(tensors, header.metadata().clone()).unwrap()).unwrap();
    TokenFile::open(to).unwrap()
}

#[test]
fn what_is_masked_does_not_count() {
    let bench = Bench::new();
    let tokens = bench.training.tokens() as usize;
    let first = Adapters::random(&plain(&config()), lora(), 1);
    let whole = bench.tune("whole", &first, 2, &Silent).unwrap();
    let (from, to) = (bench.folder("training.safetensors"), bench.folder("masked.safetensors"));
    let bench = Bench { training: masked(&from, &to, &vec![1; tokens]), ..bench };
    assert!(bits(&bench.tune("all", &first, 2, &Silent).unwrap()) == bits(&whole), "a mask that leaves nothing out");
    // Of each row the first third, and of the last ones nothing.
    let mask: Vec<u8> = (0..tokens).map(|i| u8::from(i % 24 < 8 && i < tokens / 2)).collect();
    let bench = Bench { training: masked(&from, &to, &mask), ..bench };
    let some = bench.tune("some", &first, 2, &Silent).unwrap();
    let counted: u64 = some.log[39].tokens;
    let share = counted as f64 / whole.log[39].tokens as f64;
    assert!((share - 1.0 / 6.0).abs() < 0.01 && counted.is_multiple_of(8), "{share}");
    assert!(some.log.iter().all(|entry| entry.loss.is_finite()));
    let nothing = Bench { training: masked(&from, &to, &vec![0; tokens]), ..bench };
    let nothing = nothing.tune("nothing", &first, 2, &Silent).unwrap();
    assert!(nothing.log.iter().all(|entry| entry.loss == 0.0 && entry.gradient_norm == 0.0));
}

#[test]
fn a_trial_tells_what_a_step_costs() {
    let bench = Bench::new();
    let pool = Pool::new(2);
    let frozen = Frozen::new(&bench.source, &pool).unwrap();
    let first = Adapters::random(&plain(&config()), lora(), 1);
    let planned = tuning_memory(frozen.architecture(), first.lora(), &schedule(), Keep::Everything);
    assert_eq!(planned.optimiser, 8 * first.weights().len() as u64);
    let more = tuning_memory(frozen.architecture(), &with_tokens(), &schedule(), Keep::Everything);
    assert_eq!(more.optimiser - planned.optimiser, 8 * 7 * 64);
    assert_eq!(more.activations - planned.activations, 4 * 7 * 48, "a logit for each of them at each position");
    let less = tuning_memory(frozen.architecture(), first.lora(), &schedule(), Keep::Inputs);
    assert!(less.activations < planned.activations);
    let measured = measure_tuning(&frozen, first, &schedule(), Keep::Everything, &pool, 2, Duration::MAX).unwrap();
    assert_eq!(measured.bytes, planned.total());
    assert!(measured.seconds_per_step > 0.0 && measured.loss.is_finite());
}

/// A family of which not all weights can be learned is named.
#[test]
fn all_weights_of_other_families_are_refused() {
    let families = Path::new(GOLDEN).join("../../../kwaya-model/tests/golden/families");
    let source = Source::open(&families.join("gemma3")).unwrap();
    let error = Model::from_source(&source, &Pool::new(1)).err().unwrap();
    assert_eq!((error.key(), &*error.args()[1].1), ("train-family", "gemma3_text"));
    let frozen = Frozen::new(&source, &Pool::new(1)).unwrap();
    assert_eq!(frozen.merged(None, &Pool::new(1)).err().unwrap().key(), "train-family");
    for name in ["llama2.gguf", "llama3", "mistral", "qwen2", "qwen3.gguf"] {
        let source = Source::open(&families.join(name)).unwrap();
        assert!(Model::from_source(&source, &Pool::new(1)).is_ok(), "{name}");
    }
}
