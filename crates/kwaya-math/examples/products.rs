//! How fast matrix products are, in the three transpositions of training and
//! the shapes of the models, as a share of what the processor can do; of the
//! fastest round, as what else the machine does can only slow one down.
//!
//!     cargo run --release -p kwaya-math --example products -- [THREADS] [ROUNDS]

#![expect(clippy::print_stdout, reason = "a program, not a library")]

use std::time::Instant;

use kwaya_math::{Matrix, Pool, Precision, Start, limits, matmul, philox::Stream};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse().expect("a number"));
    let (threads, rounds) = (arguments.next().unwrap_or(2), arguments.next().unwrap_or(7));
    let pool = Pool::new(threads);
    let peaks = [Precision::F32, Precision::Bf16].map(|precision| limits::peak(&pool, precision));
    println!("{}, {threads} threads: f32 {:.1}, bf16 {:.1} GFLOPS", kwaya_math::isa(), peaks[0] / 1e9, peaks[1] / 1e9);
    // Tokens, inputs, outputs.
    let shapes = [
        (2048, 2048, 2048),
        (4096, 192, 192),
        (4096, 192, 512),
        (4096, 512, 192),
        (2048, 288, 768),
        (2048, 768, 288),
        (2048, 288, 288),
        (256, 288, 8192),
        (512, 576, 192),
        (512, 576, 576),
        (512, 576, 1536),
        (512, 1536, 576),
        (128, 576, 49_152),
    ];
    for (n, inputs, outputs) in shapes {
        let (x, w, dy) = (random(n * inputs), random(outputs * inputs), random(n * outputs));
        let (x, w, dy) = (Matrix::new(&x, n, inputs), Matrix::new(&w, outputs, inputs), Matrix::new(&dy, n, outputs));
        let mut line = format!("{n:5} x {inputs:5} x {outputs:5}");
        for (precision, peak) in [(Precision::F32, peaks[0]), (Precision::Bf16, peaks[1])] {
            line += &format!("   {precision:?}");
            for (length, a, b) in [(n * outputs, x, w.t()), (n * inputs, dy, w), (outputs * inputs, dy.t(), x)] {
                let mut out = vec![0.0; length];
                let mut times: Vec<f64> = (0..=rounds)
                    .map(|_| {
                        let start = Instant::now();
                        matmul(&pool, &mut out, Start::Zero, a, b, precision);
                        start.elapsed().as_secs_f64()
                    })
                    .skip(1)
                    .collect();
                times.sort_by(f64::total_cmp);
                let speed = 2.0 * (n * inputs * outputs) as f64 / times[0];
                line += &format!(" {:6.1} {:3.0} %", speed / 1e9, 100.0 * speed / peak);
            }
        }
        println!("{line}");
    }
}

fn random(length: usize) -> Vec<f32> {
    let mut stream = Stream::new(1, 0, 0);
    (0..length).map(|_| stream.next_f32() - 0.5).collect()
}
