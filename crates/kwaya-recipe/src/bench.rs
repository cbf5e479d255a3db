//! How fast each kernel and each shape of training is here, what share of the
//! machine's limit that is, and a hash of what it computed: equal on every
//! machine, or the machines would not give the same models.

use std::time::{Duration, Instant};

use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_math::{
    AdamW, AttentionShape, Direction, Matrix, Pool, RopeTable, Start, attention, attention_backward,
    limits::{bandwidth, peak},
    matmul,
    philox::Stream,
    rms_norm, rms_norm_backward, rope, softmax_cross_entropy, swiglu, swiglu_backward,
};
use kwaya_model::Config;
use kwaya_train::{Decay, Keep, Precision, Schedule};
use serde::Serialize;

use crate::{learning::Learning, memory};

/// The random numbers of the benchmarks' inputs.
const INPUTS: u32 = 5 << 16;

/// More than the caches of an ordinary machine hold.
const BANDWIDTH_BYTES: usize = 256 << 20;

/// The arithmetics, by the numbers that their products are made of.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// What timing a training may take beyond two steps.
const TRAINING_AT_MOST: Duration = Duration::from_secs(3);

/// All figures.
#[derive(Debug, Serialize)]
pub struct Bench {
    /// The instruction set of the kernels.
    pub instructions: &'static str,
    /// Threads used.
    pub threads: usize,
    /// Floating-point operations a second that this machine can do, in f32.
    pub peak: f64,
    /// The same in bf16.
    pub peak_bf16: f64,
    /// Bytes a second that it can read.
    pub bandwidth: f64,
    /// One for each operation and shape.
    pub kernels: Vec<Kernel>,
    /// One for each model.
    pub trainings: Vec<Training>,
}

/// What a kernel's speed is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Floating-point operations: it is bound by the processor.
    Operations,
    /// Bytes read and written: it is bound by the memory.
    Bytes,
}

/// The figures of one operation.
#[derive(Debug, Serialize)]
pub struct Kernel {
    /// What it computes.
    pub name: &'static str,
    /// Of what sizes.
    pub shape: String,
    /// The numbers that products are made of.
    pub precision: Precision,
    /// What the speed is in.
    pub work: Work,
    /// Work a second, in the median.
    pub speed: f64,
    /// The part of the machine's limit that this is.
    pub share: f64,
    /// BLAKE3 of the bits of the result, the first 16 digits.
    pub hash: String,
}

/// The figures of one shape of training.
#[derive(Debug, Serialize)]
pub struct Training {
    /// Weights of the model.
    pub parameters: u64,
    /// Rows and positions of a micro-batch.
    pub shape: String,
    /// The numbers that products are made of.
    pub precision: Precision,
    /// Tokens a second, in the median.
    pub tokens_per_second: f64,
    /// The part of the machine's peak that 6 operations for each weight and
    /// token are (Kaplan et al. 2020).
    pub share: f64,
    /// Bytes of memory that it plans for.
    pub memory_bytes: u64,
    /// The bits of the loss of the second step: equal on every machine.
    pub loss_bits: String,
}

/// Measures everything that there is `room` for, in bytes.
///
/// # Errors
/// `interrupted` after a stop request.
pub fn run(pool: &Pool, room: u64, progress: &dyn Progress) -> Result<Bench> {
    let models = models();
    let mut bench = Bench {
        instructions: kwaya_math::isa(),
        threads: pool.threads(),
        peak: peak(pool, Precision::F32),
        peak_bf16: peak(pool, Precision::Bf16),
        bandwidth: bandwidth(pool, BANDWIDTH_BYTES),
        kernels: Vec::new(),
        trainings: Vec::new(),
    };
    progress.begin("bench-measure", (KERNELS + 2 * models.len()) as u64, Unit::Steps);
    let step = |bench: &Bench| {
        progress.at((bench.kernels.len() + bench.trainings.len()) as u64);
        if progress.stopped() { Err(Error::new("interrupted")) } else { Ok(()) }
    };
    kernels(pool, &mut |kernel| {
        let limit = match (kernel.work, kernel.precision) {
            (Work::Operations, Precision::F32) => bench.peak,
            (Work::Operations, Precision::Bf16) => bench.peak_bf16,
            (Work::Bytes, _) => bench.bandwidth,
        };
        bench.kernels.push(Kernel { share: kernel.speed / limit, ..kernel });
        step(&bench)
    })?;
    for (config, schedule) in models.iter().flat_map(in_both) {
        let learning = Learning::from_nothing(config.clone());
        let memory_bytes = memory::needed(&learning, &schedule, None, room);
        if memory_bytes <= room {
            let keep = memory::way(&learning, &schedule, room).activations;
            let measured = kwaya_train::measure_within(config, &schedule, keep, pool, 5, TRAINING_AT_MOST)?;
            let tokens_per_second = schedule.targets_per_step() as f64 / measured.seconds_per_step;
            let parameters = config.parameters();
            bench.trainings.push(Training {
                parameters,
                shape: format!("{} × {}", schedule.sequences_per_micro_batch, schedule.sequence_length),
                tokens_per_second,
                precision: schedule.precision,
                share: 6.0 * parameters as f64 * tokens_per_second
                    / if schedule.precision == Precision::F32 { bench.peak } else { bench.peak_bf16 },
                memory_bytes,
                loss_bits: format!("{:08x}", measured.loss.to_bits()),
            });
            step(&bench)?;
        }
    }
    progress.end();
    Ok(bench)
}

/// A training in f32 and in bf16.
fn in_both(model: &(Config, Schedule)) -> [(&Config, Schedule); 2] {
    PRECISIONS.map(|precision| (&model.0, Schedule { precision, ..model.1.clone() }))
}

/// Floating-point operations a second of a large matrix product.
pub(crate) fn product(pool: &Pool, precision: Precision) -> f64 {
    const SIDE: usize = 1024;
    let (a, b) = (random(SIDE * SIDE, 0), random(SIDE * SIDE, 1));
    let (a, b) = (Matrix::new(&a, SIDE, SIDE), Matrix::new(&b, SIDE, SIDE));
    let product = |out: &mut [f32]| matmul(pool, out, Start::Zero, a, b, precision);
    kernel("matmul", "", Work::Operations, 2.0 * (SIDE * SIDE * SIDE) as f64, &vec![0.0; SIDE * SIDE], product).speed
}

/// Floating-point operations a second of a training, 6 for each weight and
/// token.
pub(crate) fn training(pool: &Pool, precision: Precision) -> Result<f64> {
    let [_, (config, schedule), _] = models();
    let schedule = Schedule { precision, ..schedule };
    let keep = Keep::Everything;
    let seconds = kwaya_train::measure_within(&config, &schedule, keep, pool, 5, TRAINING_AT_MOST)?.seconds_per_step;
    Ok(6.0 * (config.parameters() * schedule.targets_per_step()) as f64 / seconds)
}

/// The shapes of training: two small models, and that of SmolLM2-135M.
fn models() -> [(Config, Schedule); 3] {
    let model = |width, layers, heads, kv_heads, feed_forward, vocabulary, rows, length| {
        let config = Config {
            vocab_size: vocabulary,
            hidden_size: width,
            intermediate_size: feed_forward,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            head_dim: width / heads,
            ..Config::default()
        };
        let schedule = Schedule {
            seed: 1,
            steps: 1000,
            sequence_length: length,
            sequences_per_micro_batch: rows,
            micro_batches_per_step: 1,
            learning_rate: 1e-3,
            learning_rate_min: 1e-4,
            warmup_steps: 10,
            decay: Decay::Cosine,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
            clip_norm: 1.0,
            evaluate_every: 1000,
            precision: Precision::F32,
        };
        (config, schedule)
    };
    [
        model(192, 4, 6, 6, 512, 4096, 16, 256),
        model(288, 6, 6, 6, 768, 8192, 8, 256),
        model(576, 30, 9, 3, 1536, 49_152, 1, 512),
    ]
}

/// How many [`kernels`] there are, for the progress.
const KERNELS: usize = 21;

/// The operations of a training step, in the shapes of the 8 M model.
fn kernels(pool: &Pool, found: &mut dyn FnMut(Kernel) -> Result<()>) -> Result<()> {
    let (rows, length, heads, d) = (8, 256, 6, 48);
    let (n, c, f, v) = (rows * length, heads * d, 768, 8192);

    for (out, inner, tokens) in [(2048, 2048, 2048), (f, c, n)] {
        let (x, w, dy) = (random(tokens * inner, 0), random(out * inner, 1), random(tokens * out, 2));
        let (x, w) = (Matrix::new(&x, tokens, inner), Matrix::new(&w, out, inner));
        let dy = Matrix::new(&dy, tokens, out);
        let (shape, work) = (format!("{tokens} × {inner} × {out}"), 2.0 * (tokens * inner * out) as f64);
        for (name, length, a, b) in [
            ("matmul", tokens * out, x, w.t()),
            ("matmul-input", tokens * inner, dy, w),
            ("matmul-weight", out * inner, dy.t(), x),
        ] {
            for precision in PRECISIONS {
                let product = |out: &mut [f32]| matmul(pool, out, Start::Zero, a, b, precision);
                let kernel = kernel(name, &shape, Work::Operations, work, &vec![0.0; length], product);
                found(Kernel { precision, ..kernel })?;
            }
        }
    }

    let shape = AttentionShape::new(rows, length, heads, heads, d);
    let starts = vec![0; n];
    let (q, k, v_) = (random(n * c, 3), random(n * c, 4), random(n * c, 5));
    let (mut max, mut sum) = (vec![0.0; n * heads], vec![0.0; n * heads]);
    let mut out = vec![0.0; n * c];
    attention(pool, &mut out, &mut max, &mut sum, &q, &k, &v_, &starts, &shape);
    let (mut m, mut s, mut dk, mut dv) = (max.clone(), sum.clone(), vec![0.0; n * c], vec![0.0; n * c]);
    let (label, pairs) = (format!("{rows} × {length} × {heads} × {d}"), rows * heads * length * (length + 1) / 2);
    let (zeros, work) = (vec![0.0; n * c], (4 * d * pairs) as f64);
    let forward = |o: &mut [f32]| attention(pool, o, &mut m, &mut s, &q, &k, &v_, &starts, &shape);
    found(kernel("attention", &label, Work::Operations, work, &zeros, forward))?;
    let backward = |dq: &mut [f32]| {
        attention_backward(pool, dq, &mut dk, &mut dv, &q, &q, &k, &v_, &out, &max, &sum, &starts, &shape);
    };
    found(kernel("attention-backward", &label, Work::Operations, 2.5 * work, &zeros, backward))?;

    let (x, weight, dy, mut inv) = (random(n * c, 6), random(c, 7), random(n * c, 8), vec![0.0; n]);
    let label = format!("{n} × {c}");
    let bytes = |arrays: usize, length: usize| (4 * arrays * length) as f64;
    let norm = |out: &mut [f32]| rms_norm(pool, out, &mut inv, &x, &weight, 1e-5);
    found(kernel("rms-norm", &label, Work::Bytes, bytes(2, n * c), &zeros, norm))?;
    let mut dw = vec![0.0; c];
    let norm = |dx: &mut [f32]| rms_norm_backward(pool, dx, &mut dw, &dy, &x, &weight, &inv);
    found(kernel("rms-norm-backward", &label, Work::Bytes, bytes(5, n * c), &zeros, norm))?;
    let positions: Vec<u32> = (0..n).map(|i| (i % length) as u32).collect();
    let table = RopeTable::new(10_000.0, d, length);
    let turn = |x: &mut [f32]| rope(pool, x, heads, &table, &positions, Direction::Forward);
    found(kernel("rope", &label, Work::Bytes, bytes(2, n * c), &x, turn))?;

    let (gate, up, d_out) = (random(n * f, 9), random(n * f, 10), random(n * f, 11));
    let (label, zeros) = (format!("{n} × {f}"), vec![0.0; n * f]);
    let (mut d_gate, mut again) = (zeros.clone(), zeros.clone());
    let act = |out: &mut [f32]| swiglu(pool, out, &gate, &up);
    found(kernel("swiglu", &label, Work::Bytes, bytes(3, n * f), &zeros, act))?;
    let act = |d_up: &mut [f32]| swiglu_backward(pool, &mut d_gate, d_up, &mut again, &d_out, &gate, &up);
    found(kernel("swiglu-backward", &label, Work::Bytes, bytes(6, n * f), &zeros, act))?;

    let (rows, mut losses) = (256, vec![0.0; 256]);
    let targets: Vec<u32> = (0..rows).map(|i| (i * 31 % v) as u32).collect();
    let loss = |logits: &mut [f32]| softmax_cross_entropy(pool, logits, &mut losses, &targets, 1e-3);
    let label = format!("{rows} × {v}");
    found(kernel("cross-entropy", &label, Work::Bytes, bytes(2, rows * v), &random(rows * v, 12), loss))?;

    let length = 8 << 20;
    let (gradients, mut first, mut second) = (random(length, 13), vec![0.0; length], vec![0.0; length]);
    let rule = AdamW {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        step: 5,
        gradient_scale: 0.5,
    };
    let update = |weights: &mut [f32]| {
        first.fill(0.0);
        second.fill(0.0);
        rule.update(pool, weights, &gradients, &mut first, &mut second);
    };
    // With the two averages set back, which is two writes more.
    found(kernel("adamw", &format!("{length}"), Work::Bytes, bytes(9, length), &random(length, 14), update))
}

fn random(length: usize, index: u64) -> Vec<f32> {
    let mut stream = Stream::new(1, INPUTS, index);
    (0..length).map(|_| stream.next_f32() - 0.5).collect()
}

/// Times `run` on copies of `start`, whose making is not timed.
fn kernel(
    name: &'static str,
    shape: &str,
    unit: Work,
    work: f64,
    start: &[f32],
    mut run: impl FnMut(&mut [f32]),
) -> Kernel {
    let mut out = start.to_vec();
    run(&mut out);
    let (mut times, began) = (Vec::new(), Instant::now());
    // Five runs, or what there is time for where a run is long, as of bf16 on a
    // machine that has to emulate it.
    let limit = |runs| Duration::from_millis(if runs < 5 { 1_000 } else { 300 });
    while times.is_empty() || (began.elapsed() < limit(times.len()) && times.len() < 200) {
        out.copy_from_slice(start);
        let began = Instant::now();
        run(&mut out);
        times.push(began.elapsed());
    }
    times.sort();
    let mut hasher = blake3::Hasher::new();
    for x in &out {
        hasher.update(&x.to_le_bytes());
    }
    let speed = work / times[times.len() / 2].as_secs_f64().max(1e-9);
    let hash = hasher.finalize().to_hex()[..16].to_owned();
    Kernel { name, shape: shape.to_owned(), precision: Precision::F32, work: unit, speed, share: 0.0, hash }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_measured_and_computes_the_same_on_any_number_of_threads() {
        let hashes = |threads| {
            let mut found = Vec::new();
            kernels(&Pool::new(threads), &mut |kernel| {
                assert!(kernel.speed > 1e6, "{kernel:?}");
                found.push((kernel.name, kernel.precision, kernel.hash));
                Ok(())
            })
            .unwrap();
            found
        };
        let one = hashes(1);
        assert_eq!(one.len(), KERNELS);
        assert_eq!(one, hashes(3));
    }
}
