//! How fast a training step is: forward, backward, clipping and AdamW on
//! made-up tokens. Prints one line of JSON per run: the median of its steps,
//! the process's peak memory, and the bits of the last loss, which must not
//! differ between runs, threads or instruction sets.
//!
//!     cargo run --release -p kwaya-train --example step_speed -- small 5 2
//!
//! Arguments: small | large | smollm, steps, threads, and perhaps f32 | bf16 and
//! everything | inputs, which is what is kept for the backward pass. `benches/peers` alternates
//! it with PyTorch.

use kwaya_math::Pool;
use kwaya_model::Config;
use kwaya_train::{Decay, Keep, Precision, Schedule, measure};

fn main() -> kwaya_base::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [size, steps, threads, rest @ ..] = &arguments[..] else {
        panic!("arguments: small | large | smollm, steps, threads, f32 | bf16, everything | inputs")
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let precision = if rest.contains(&"bf16") { Precision::Bf16 } else { Precision::F32 };
    let keep = if rest.contains(&"inputs") { Keep::Inputs } else { Keep::Everything };
    let (hidden, layers, heads, kv_heads, intermediate, vocabulary, rows, length) = match size.as_str() {
        "small" => (192, 4, 6, 6, 512, 4096, 16, 256),
        "large" => (288, 6, 6, 6, 768, 8192, 8, 256),
        "smollm" => (576, 30, 9, 3, 1536, 49_152, 1, 512),
        other => panic!("small, large or smollm, not {other}"),
    };
    let config = Config {
        vocab_size: vocabulary,
        hidden_size: hidden,
        intermediate_size: intermediate,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: kv_heads,
        head_dim: hidden / heads,
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
        precision,
    };
    let pool = Pool::new(threads.parse().expect("a number of threads"));
    let measured = measure(&config, &schedule, keep, &pool, steps.parse().expect("a number of steps"))?;
    let speed = schedule.targets_per_step() as f64 / measured.seconds_per_step;
    #[expect(clippy::print_stdout, reason = "a program, not a library")]
    {
        println!(
            "{{\"engine\": \"kwaya\", \"size\": \"{size}\", \"precision\": \"{precision:?}\", \"threads\": {threads}, \"tokens_per_second\": {speed:.0}, \
             \"ms_per_step\": {:.1}, \"peak_mib\": {}, \"planned_mib\": {}, \"loss_bits\": \"{:08x}\"}}",
            1e3 * measured.seconds_per_step,
            peak_mib().unwrap_or(0),
            measured.bytes >> 20,
            measured.loss.to_bits(),
        );
    }
    Ok(())
}

/// The most memory that the process held, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib >> 10)
}
