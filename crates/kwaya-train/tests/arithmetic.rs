//! A whole training has the bits that `docs/arithmetic.md` says, from the
//! initial weights to the last step: sections 7 and 8 in plain loops, over
//! the plain operations of `kwaya-math`'s tests.

mod common;
#[path = "../../kwaya-math/tests/oracle/mod.rs"]
mod oracle;

use kwaya_base::Silent;
use kwaya_math::Pool;
use kwaya_model::Config;
use kwaya_train::{Decay, Options, Precision, Schedule, train};
use oracle::{AdamW, Attention};

const VOCABULARY: usize = 50;

/// Every tensor of a model, in the order of section 7.
type Tensors = Vec<Vec<f32>>;

/// Rows of a micro-batch, side by side.
#[derive(Default)]
struct Rows {
    tokens: Vec<u32>,
    targets: Vec<u32>,
    starts: Vec<u32>,
    positions: Vec<u32>,
}

/// Section 7.
struct Llama<'a> {
    config: &'a Config,
    /// Positions of a row.
    length: usize,
    numbers: oracle::Numbers,
}

/// What a layer's backward needs.
struct Layer {
    x: Vec<f32>,
    x_norm: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    h: Vec<f32>,
    h_norm: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    activated: Vec<f32>,
}

impl Llama<'_> {
    fn initial(&self, seed: u64) -> Tensors {
        let config = self.config;
        let (v, c, f) = (config.vocab_size, config.hidden_size, config.intermediate_size);
        let (q, k) = (config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim);
        let usual = config.initializer_range as f32;
        let small = usual / ((2 * config.num_hidden_layers) as f32).sqrt();
        let norm = (c, None);
        let mut shapes = vec![(v * c, Some(usual))];
        for _ in 0..config.num_hidden_layers {
            shapes.extend([
                norm,
                (q * c, Some(usual)),
                (k * c, Some(usual)),
                (k * c, Some(usual)),
                (c * q, Some(small)),
            ]);
            shapes.extend([norm, (f * c, Some(usual)), (f * c, Some(usual)), (c * f, Some(small))]);
        }
        shapes.push(norm);
        if !config.tie_word_embeddings {
            shapes.push((v * c, Some(usual)));
        }
        let tensor = |(i, (n, deviation)): (u32, (usize, Option<f32>))| match deviation {
            Some(deviation) => oracle::normal(n, deviation, seed, (1 << 16) + i),
            None => vec![1.0; n],
        };
        (0..).zip(shapes).map(tensor).collect()
    }

    fn is_norm(&self, tensor: usize) -> bool {
        let last = 1 + 9 * self.config.num_hidden_layers;
        tensor == last || (tensor > 0 && tensor < last && matches!((tensor - 1) % 9, 0 | 5))
    }

    fn attention<'b>(&self, rows: &'b Rows, layer: &'b Layer) -> Attention<'b> {
        Attention {
            tokens: self.length,
            heads: self.config.num_attention_heads,
            kv_heads: self.config.num_key_value_heads,
            d: self.config.head_dim,
            softcap: None,
            starts: &rows.starts,
            q: &layer.q,
            k: &layer.k,
            v: &layer.v,
        }
    }

    fn turn(&self, rows: &Rows, q: &mut [f32], k: &mut [f32], sign: f32) {
        oracle::rope(q, self.config.num_attention_heads, self.config.rope_theta, &rows.positions, sign);
        oracle::rope(k, self.config.num_key_value_heads, self.config.rope_theta, &rows.positions, sign);
    }

    /// `layer` of the stream x; and what goes on.
    fn forward(&self, w: &[Vec<f32>], rows: &Rows, x: Vec<f32>) -> (Layer, Vec<f32>) {
        let (c, f, epsilon) = (self.config.hidden_size, self.config.intermediate_size, self.config.rms_norm_eps as f32);
        let n = rows.tokens.len();
        let times = |x: &[f32], w: &[f32]| {
            let mut out = vec![0.0; n * w.len() / c];
            oracle::product_t(&mut out, x, w, c, self.numbers);
            out
        };
        let x_norm = oracle::rms_norm(&x, &w[0], epsilon);
        let (mut q, mut k, v) = (times(&x_norm, &w[1]), times(&x_norm, &w[2]), times(&x_norm, &w[3]));
        self.turn(rows, &mut q, &mut k, 1.0);
        let none = Vec::new;
        let mut layer = Layer {
            h: x.clone(),
            x,
            x_norm,
            q,
            k,
            v,
            attended: none(),
            h_norm: none(),
            gate: none(),
            up: none(),
            activated: none(),
        };
        layer.attended = self.attention(rows, &layer).forward();
        oracle::product_t(&mut layer.h, &layer.attended, &w[4], layer.attended.len() / n, self.numbers);
        layer.h_norm = oracle::rms_norm(&layer.h, &w[5], epsilon);
        layer.gate = times(&layer.h_norm, &w[6]);
        layer.up = times(&layer.h_norm, &w[7]);
        layer.activated = oracle::swiglu(&layer.gate, &layer.up);
        let mut out = layer.h.clone();
        oracle::product_t(&mut out, &layer.activated, &w[8], f, self.numbers);
        (layer, out)
    }

    /// Replaces dx, the gradient of what goes on, by that of the stream.
    fn backward(&self, w: &[Vec<f32>], g: &mut [Vec<f32>], rows: &Rows, layer: &Layer, dx: &mut [f32]) {
        let (c, epsilon) = (self.config.hidden_size, self.config.rms_norm_eps as f32);
        let n = rows.tokens.len();
        // d of an input, from d of the outputs of several products.
        let back = |pairs: &[(&[f32], &[f32])]| {
            let mut out = vec![0.0; n * (pairs[0].1.len() * n / pairs[0].0.len())];
            for (d, w) in pairs {
                oracle::product(&mut out, d, w, d.len() / n, self.numbers);
            }
            out
        };
        let d_activated = back(&[(dx, &w[8])]);
        oracle::t_product(&mut g[8], dx, &layer.activated, n, self.numbers);
        let (d_gate, d_up) = oracle::swiglu_backward(&d_activated, &layer.gate, &layer.up);
        let d_norm = back(&[(&d_gate, &w[6]), (&d_up, &w[7])]);
        oracle::t_product(&mut g[6], &d_gate, &layer.h_norm, n, self.numbers);
        oracle::t_product(&mut g[7], &d_up, &layer.h_norm, n, self.numbers);
        let branch = oracle::rms_norm_backward(&mut g[5], &d_norm, &layer.h, &w[5], epsilon);
        dx.iter_mut().zip(branch).for_each(|(d, b)| *d += b);

        let d_attended = back(&[(dx, &w[4])]);
        oracle::t_product(&mut g[4], dx, &layer.attended, n, self.numbers);
        let [mut dq, mut dk, dv] = self.attention(rows, layer).backward(&layer.attended, &d_attended);
        self.turn(rows, &mut dq, &mut dk, -1.0);
        let d_norm = back(&[(&dq, &w[1]), (&dk, &w[2]), (&dv, &w[3])]);
        for (i, d) in [(1, &dq), (2, &dk), (3, &dv)] {
            oracle::t_product(&mut g[i], d, &layer.x_norm, n, self.numbers);
        }
        let branch = oracle::rms_norm_backward(&mut g[0], &d_norm, &layer.x, &w[0], epsilon);
        dx.iter_mut().zip(branch).for_each(|(d, b)| *d += b);
        assert_eq!(dx.len(), n * c);
    }

    /// The gradient of `scale` times the sum of the losses.
    fn gradient(&self, w: &Tensors, rows: &Rows, scale: f32) -> Tensors {
        let (v, c, epsilon) = (self.config.vocab_size, self.config.hidden_size, self.config.rms_norm_eps as f32);
        let (n, depth) = (rows.tokens.len(), self.config.num_hidden_layers);
        let mut g: Tensors = w.iter().map(|w| vec![0.0; w.len()]).collect();
        let mut x: Vec<f32> = rows.tokens.iter().flat_map(|t| w[0][*t as usize * c..][..c].to_vec()).collect();
        let mut layers = Vec::new();
        for l in 0..depth {
            let (layer, out) = self.forward(&w[1 + 9 * l..][..9], rows, x);
            layers.push(layer);
            x = out;
        }
        let norm = 1 + 9 * depth;
        let head = if self.config.tie_word_embeddings { 0 } else { norm + 1 };
        let x_norm = oracle::rms_norm(&x, &w[norm], epsilon);
        let mut logits = vec![0.0; n * v];
        oracle::product_t(&mut logits, &x_norm, &w[head], c, self.numbers);
        for (row, target) in logits.chunks_mut(v).zip(&rows.targets) {
            oracle::cross_entropy(row, Some(*target as usize), scale);
        }
        let mut d_norm = vec![0.0; n * c];
        oracle::product(&mut d_norm, &logits, &w[head], v, self.numbers);
        oracle::t_product(&mut g[head], &logits, &x_norm, n, self.numbers);
        let mut dx = oracle::rms_norm_backward(&mut g[norm], &d_norm, &x, &w[norm], epsilon);
        for (l, layer) in layers.iter().enumerate().rev() {
            self.backward(&w[1 + 9 * l..][..9], &mut g[1 + 9 * l..][..9], rows, layer, &mut dx);
        }
        for (token, d) in rows.tokens.iter().zip(dx.chunks(c)) {
            g[0][*token as usize * c..][..c].iter_mut().zip(d).for_each(|(g, d)| *g += d);
        }
        g
    }
}

/// Row `r` of the documents, put after what `rows` holds.
fn append(rows: &mut Rows, stream: &[u32], length: usize, r: usize) {
    let mut start = 0;
    for place in 0..length {
        let at = r * length + place;
        let token = if at == 0 { 0 } else { stream[at - 1] };
        if token == 0 {
            start = place as u32;
        }
        rows.tokens.push(token);
        rows.targets.push(stream[at]);
        rows.starts.push(start);
        rows.positions.push(place as u32 - start);
    }
}

/// Section 8.
fn trained(config: &Config, schedule: &Schedule, documents: &[Vec<u32>]) -> Tensors {
    let length = schedule.sequence_length;
    let numbers = match schedule.precision {
        Precision::F32 => oracle::Numbers::F32,
        Precision::Bf16 => oracle::Numbers::Bf16,
    };
    let llama = Llama { config, length, numbers };
    let stream: Vec<u32> = documents.iter().flat_map(|d| d.iter().copied().chain([0])).collect();
    let count = (stream.len() / length) as u64;
    let mut w = llama.initial(schedule.seed);
    let mut m: Tensors = w.iter().map(|w| vec![0.0; w.len()]).collect();
    let mut v = m.clone();
    let mut index = 0;
    for step in 1..=schedule.steps {
        let targets = schedule.micro_batches_per_step * schedule.sequences_per_micro_batch * length;
        let scale = (1.0 / targets as f64) as f32;
        let mut stack: Vec<Tensors> = Vec::new();
        let add = |stack: &mut Vec<Tensors>| {
            let upper = stack.pop().unwrap();
            let lower = stack.last_mut().unwrap().iter_mut().flatten();
            lower.zip(upper.iter().flatten()).for_each(|(l, u)| *l += u);
        };
        for number in 1..=schedule.micro_batches_per_step {
            let mut rows = Rows::default();
            for _ in 0..schedule.sequences_per_micro_batch {
                let r = oracle::permute(schedule.seed, 3 << 16, index / count, count, index % count);
                append(&mut rows, &stream, length, r as usize);
                index += 1;
            }
            stack.push(llama.gradient(&w, &rows, scale));
            (0..number.trailing_zeros()).for_each(|_| add(&mut stack));
        }
        while stack.len() > 1 {
            add(&mut stack);
        }
        let g = stack.pop().unwrap();
        let norm = oracle::sum_squares(&g.concat()).sqrt();
        for t in 0..w.len() {
            let rule = AdamW {
                rate: learning_rate(schedule, step),
                beta1: schedule.beta1,
                beta2: schedule.beta2,
                epsilon: schedule.epsilon,
                decay: if llama.is_norm(t) { 0.0 } else { schedule.weight_decay },
                step,
                clip: (schedule.clip_norm / (norm + 1e-6)).min(1.0),
            };
            for i in 0..w[t].len() {
                rule.update(&mut w[t][i], g[t][i], &mut m[t][i], &mut v[t][i]);
            }
        }
    }
    w
}

fn learning_rate(schedule: &Schedule, t: u64) -> f32 {
    let (high, low) = (f64::from(schedule.learning_rate), f64::from(schedule.learning_rate_min));
    let warmup = schedule.warmup_steps;
    if t < warmup {
        return (high * t as f64 / warmup as f64) as f32;
    }
    let done = (t - warmup) as f64 / (schedule.steps - warmup).max(1) as f64;
    let left = match schedule.decay {
        Decay::Cosine => 0.5 * (1.0 + oracle::cos(std::f64::consts::PI * done)),
        Decay::Linear => 1.0 - done,
    };
    (low + (high - low) * left) as f32
}

#[test]
fn a_training_has_the_bits_of_the_document() {
    // Documents of many lengths; the rows of an epoch are seen twice.
    let documents: Vec<Vec<u32>> = (0..24_u32)
        .map(|d| (0..3 + d * 7 % 41).map(|i| 1 + (d * 31 + i * (d % 5 + 1)) % (VOCABULARY as u32 - 1)).collect())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let tokens = common::write(&folder.path().join("tokens.safetensors"), VOCABULARY as u64, &documents);
    for (name, tied, micro_batches, decay, precision) in [
        ("tied", true, 3, Decay::Cosine, Precision::F32),
        ("untied", false, 4, Decay::Linear, Precision::F32),
        ("tied in bf16", true, 3, Decay::Cosine, Precision::Bf16),
        ("untied in bf16", false, 4, Decay::Linear, Precision::Bf16),
    ] {
        let config = Config {
            vocab_size: VOCABULARY,
            hidden_size: 24,
            intermediate_size: 36,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 6,
            max_position_embeddings: 64,
            tie_word_embeddings: tied,
            ..Config::default()
        };
        let schedule = Schedule {
            seed: 5 << 32 | 3,
            steps: 6,
            sequence_length: 20,
            sequences_per_micro_batch: 2,
            micro_batches_per_step: micro_batches,
            learning_rate: 0.01,
            learning_rate_min: 0.001,
            warmup_steps: 2,
            decay,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
            clip_norm: 0.5,
            evaluate_every: 100,
            precision,
        };
        let expected = trained(&config, &schedule, &documents);
        let (folder, pool) = (folder.path().join(name), Pool::new(2));
        let found = train(&config, &schedule, &tokens, &tokens, &folder, &Options::default(), &pool, &Silent).unwrap();
        for (tensor, expected) in found.model.tensors().iter().zip(expected) {
            let found = &found.model.weights()[tensor.range.clone()];
            let differs = found.iter().zip(&expected).filter(|(f, e)| f.to_bits() != e.to_bits()).count();
            assert_eq!((found.len(), differs), (expected.len(), 0), "{name}: {}", tensor.name);
        }
    }
}
