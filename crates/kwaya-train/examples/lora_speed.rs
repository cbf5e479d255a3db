//! How fast a step of fine-tuning is: forward, backward, clipping and AdamW of
//! adapters for all products of a model, on 1 x 512 made-up tokens. Prints one
//! line of JSON: the median of its steps, the process's peak memory, and the
//! bits of the last loss, which must not differ between runs, threads or
//! instruction sets.
//!
//!     cargo run --release -p kwaya-train --example lora_speed -- MODEL 5 2
//!
//! Arguments: a folder or a GGUF file, steps, threads, and perhaps f32 | bf16,
//! everything | inputs, which is what is kept for the backward pass, and the
//! rank. `benches/peers/lora.py` alternates it with PEFT.

use std::{path::Path, time::Duration};

use kwaya_math::Pool;
use kwaya_model::{Adapters, Frozen, Lora, Source, Target};
use kwaya_train::{Decay, Keep, Precision, Schedule, measure_tuning};

fn main() -> kwaya_base::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, steps, threads, rest @ ..] = &arguments[..] else {
        panic!("arguments: model, steps, threads, f32 | bf16, everything | inputs, rank")
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let precision = if rest.contains(&"bf16") { Precision::Bf16 } else { Precision::F32 };
    let keep = if rest.contains(&"inputs") { Keep::Inputs } else { Keep::Everything };
    let rank = rest.iter().find_map(|argument| argument.parse().ok()).unwrap_or(16);
    let schedule = Schedule {
        seed: 1,
        steps: 1000,
        sequence_length: 512,
        sequences_per_micro_batch: 1,
        micro_batches_per_step: 1,
        learning_rate: 1e-4,
        learning_rate_min: 1e-5,
        warmup_steps: 10,
        decay: Decay::Cosine,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        clip_norm: 1.0,
        evaluate_every: 1000,
        precision,
    };
    let pool = Pool::new(threads.parse().expect("a number of threads"));
    let source = Source::open(Path::new(model))?;
    let frozen = Frozen::new(&source, &pool)?;
    let lora = Lora { rank, alpha: 32.0, targets: Target::ALL.to_vec(), tokens: None };
    let adapters = Adapters::random(frozen.architecture(), lora, 1);
    let steps = steps.parse().expect("a number of steps");
    let measured = measure_tuning(&frozen, adapters, &schedule, keep, &pool, steps, Duration::MAX)?;
    let speed = schedule.targets_per_step() as f64 / measured.seconds_per_step;
    #[expect(clippy::print_stdout, reason = "a program, not a library")]
    {
        println!(
            "{{\"engine\": \"kwaya\", \"precision\": \"{precision:?}\", \"keep\": \"{keep:?}\", \"rank\": {rank}, \"threads\": {threads}, \
             \"tokens_per_second\": {speed:.0}, \"ms_per_step\": {:.1}, \"peak_mib\": {}, \"planned_mib\": {}, \"loss_bits\": \"{:08x}\"}}",
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
