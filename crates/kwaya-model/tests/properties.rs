//! What must hold of the model whatever its weights: threads do not matter,
//! documents do not see each other, the cache changes nothing, the gradient is
//! the slope of the loss, and saving loses nothing.

use std::fs;

use kwaya_math::{Pool, philox::Stream};
use kwaya_model::{Activations, Batch, Config, Keep, Model, Precision, forward_backward, logits, loss};

fn config() -> Config {
    Config {
        vocab_size: 131,
        hidden_size: 48,
        intermediate_size: 80,
        num_hidden_layers: 3,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 8,
        max_position_embeddings: 256,
        initializer_range: 0.2,
        ..Config::default()
    }
}

/// A batch that owns its numbers.
#[derive(Default)]
struct Rows {
    rows: usize,
    tokens: Vec<u32>,
    targets: Vec<u32>,
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl Rows {
    /// `rows` rows, each made of documents of the given lengths.
    fn of_documents(rows: usize, lengths: &[usize], seed: u64) -> Self {
        let mut stream = Stream::new(seed, 1, 0);
        let mut batch = Self { rows, ..Self::default() };
        for _ in 0..rows {
            let mut start = 0;
            for &length in lengths {
                for position in 0..length as u32 {
                    batch.tokens.push(stream.below(131) as u32);
                    batch.targets.push(stream.below(131) as u32);
                    batch.starts.push(start);
                    batch.positions.push(position);
                }
                start += length as u32;
            }
        }
        batch
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            rows: self.rows,
            tokens_per_row: self.tokens.len() / self.rows,
            tokens: &self.tokens,
            targets: &self.targets,
            starts: &self.starts,
            positions: &self.positions,
        }
    }

    /// Losses and gradients.
    fn run(&self, model: &Model, pool: &Pool) -> (Vec<f32>, Vec<f32>) {
        let batch = self.batch();
        let mut activations =
            Activations::new(model.architecture(), batch.rows, batch.tokens_per_row, Precision::F32, Keep::Everything);
        let (mut losses, mut gradients) = (vec![0.0; self.tokens.len()], vec![0.0; model.weights().len()]);
        forward_backward(model, &batch, &mut activations, &mut losses, &mut gradients, 0.01, pool);
        (losses, gradients)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn threads_do_not_change_a_bit() {
    let rows = Rows::of_documents(2, &[17, 20], 3);
    let run = |threads| {
        let pool = Pool::new(threads);
        let model = Model::random(config(), 9, &pool);
        let (losses, gradients) = rows.run(&model, &pool);
        (bits(model.weights()), bits(&losses), bits(&gradients))
    };
    let one = run(1);
    assert!(one == run(2), "2 threads");
    assert!(one == run(3), "3 threads");
}

#[test]
fn packed_documents_are_as_if_alone() {
    /// Sums over a row run in other lanes when a document begins elsewhere in
    /// it, so the two agree to rounding; losses are about 6.
    const TOLERANCE: f32 = 1e-5;
    let pool = Pool::new(2);
    let model = Model::random(config(), 4, &pool);
    let lengths = [5, 1, 19, 12];
    let packed = Rows::of_documents(1, &lengths, 8);
    let (losses, gradients) = packed.run(&model, &pool);

    let (mut alone_losses, mut alone_gradients) = (Vec::new(), vec![0.0f32; gradients.len()]);
    let mut start = 0;
    for length in lengths {
        let place = start..start + length;
        let document = Rows {
            rows: 1,
            tokens: packed.tokens[place.clone()].to_vec(),
            targets: packed.targets[place.clone()].to_vec(),
            starts: vec![0; length],
            positions: packed.positions[place].to_vec(),
        };
        let (losses, gradients) = document.run(&model, &pool);
        alone_losses.extend(losses);
        alone_gradients.iter_mut().zip(gradients).for_each(|(sum, gradient)| *sum += gradient);
        start += length;
    }
    // The first document begins where it would alone.
    assert_eq!(bits(&losses[..5]), bits(&alone_losses[..5]));
    let worst = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("worst: losses {:.1e}", worst(&losses, &alone_losses));
    println!("worst: gradients {:.1e}", worst(&gradients, &alone_gradients));
    assert!(worst(&losses, &alone_losses) < TOLERANCE);
    assert!(worst(&gradients, &alone_gradients) < TOLERANCE);
}

#[test]
fn a_later_token_changes_no_earlier_logit() {
    let pool = Pool::new(1);
    let model = Model::random(config(), 4, &pool);
    let mut rows = Rows::of_documents(1, &[30], 8);
    let run = |rows: &Rows| {
        let mut activations = Activations::forward_only(model.architecture(), 1, 30);
        let mut out = vec![0.0; 30 * 131];
        logits(&model, &rows.batch(), &mut activations, &mut out, &pool);
        bits(&out)
    };
    let before = run(&rows);
    rows.tokens[20] ^= 1;
    let after = run(&rows);
    assert_eq!(before[..20 * 131], after[..20 * 131]);
    assert_ne!(before[20 * 131..21 * 131], after[20 * 131..21 * 131]);
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    /// Of the slope, plus what f32 rounding of the loss does to a difference.
    const RELATIVE: f64 = 2e-2;
    const ABSOLUTE: f64 = 5e-3;
    let pool = Pool::new(2);
    let mut model = Model::random(config(), 11, &pool);
    let rows = Rows::of_documents(2, &[7, 9], 5);
    let (_, gradients) = rows.run(&model, &pool);
    let mut activations = Activations::forward_only(model.architecture(), 2, 16);
    let mut total = |model: &Model| {
        let mut losses = vec![0.0; 32];
        loss(model, &rows.batch(), &mut activations, &mut losses, &pool);
        losses.iter().map(|&nats| f64::from(nats)).sum::<f64>()
    };
    let mut stream = Stream::new(1, 2, 0);
    let mut worst = 0.0f64;
    for tensor in model.tensors().to_vec() {
        for _ in 0..4 {
            let index = tensor.range.start + stream.below(tensor.range.len() as u64) as usize;
            let weight = model.weights()[index];
            let step = 5e-3;
            model.weights_mut()[index] = weight + step;
            let above = total(&model);
            model.weights_mut()[index] = weight - step;
            let below = total(&model);
            model.weights_mut()[index] = weight;
            let slope = (above - below) / f64::from((weight + step) - (weight - step));
            let found = f64::from(gradients[index]) * 100.0;
            let error = (slope - found).abs() / (ABSOLUTE / RELATIVE + slope.abs());
            worst = worst.max(error);
            assert!(error < RELATIVE, "{}[{index}]: slope {slope}, gradient {found}", tensor.name);
        }
    }
    println!("worst relative difference {worst:.1e}");
}

/// Whatever the gradients held before, whatever is kept of the activations,
/// and wherever it is kept: with many rows the layers' values do not fit the
/// gradients and have memory of their own. The head takes 40,000 logits a row
/// in several pieces.
#[test]
fn what_is_kept_and_where_changes_no_bit() {
    let pool = Pool::new(2);
    let model = Model::random(Config { vocab_size: 40_000, num_hidden_layers: 3, ..config() }, 4, &pool);
    for (count, precision) in [(1, Precision::F32), (4, Precision::F32), (4, Precision::Bf16), (12, Precision::F32)] {
        let rows = Rows::of_documents(count, &[50], 3);
        let batch = rows.batch();
        let mut first = None;
        for (keep, before) in [(Keep::Everything, 0.0), (Keep::Everything, f32::NAN), (Keep::Inputs, f32::NAN)] {
            let mut activations =
                Activations::new(model.architecture(), batch.rows, batch.tokens_per_row, precision, keep);
            let (mut losses, mut gradients) = (vec![0.0; rows.tokens.len()], vec![before; model.weights().len()]);
            forward_backward(&model, &batch, &mut activations, &mut losses, &mut gradients, 0.01, &pool);
            let found = (bits(&losses), bits(&gradients));
            assert!(gradients.iter().all(|g| g.is_finite()), "{count} rows, {keep:?}");
            assert!(*first.get_or_insert_with(|| found.clone()) == found, "{count} rows, {keep:?}");
        }
    }
}

#[test]
fn save_load_save_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    let pool = Pool::new(2);
    for tied in [true, false] {
        let config = Config { tie_word_embeddings: tied, bos_token_id: Some(0), rope_theta: 5e5, ..config() };
        let model = Model::random(config, 12, &pool);
        model.save(&first).unwrap();
        let loaded = Model::load(&first).unwrap();
        assert_eq!(loaded.config, model.config);
        assert_eq!(bits(loaded.weights()), bits(model.weights()));
        loaded.save(&second).unwrap();
        for name in ["config.json", "model.safetensors", "generation_config.json"] {
            assert_eq!(fs::read(first.join(name)).unwrap(), fs::read(second.join(name)).unwrap(), "{name}");
        }
    }
}

#[test]
fn fresh_weights_have_the_sizes_asked_for() {
    let pool = Pool::new(2);
    let model = Model::random(config(), 1, &pool);
    assert_eq!(model.weights().len() as u64, config().parameters());
    for tensor in model.tensors() {
        let weights = &model.weights()[tensor.range.clone()];
        let n = weights.len() as f32;
        let deviation = (weights.iter().map(|w| w * w).sum::<f32>() / n).sqrt();
        let residual = tensor.name.contains("o_proj") || tensor.name.contains("down_proj");
        let expected = if !tensor.decays { 1.0 } else { 0.2 / if residual { 6f32.sqrt() } else { 1.0 } };
        assert!((deviation / expected - 1.0).abs() < 5.0 / n.sqrt(), "{}: {deviation}", tensor.name);
    }
}
