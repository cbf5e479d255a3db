//! Question: what share of the processor's peak do the matrix products of
//! training reach?
//!
//! Data: random matrices in the shapes of the two benchmark models (width 192,
//! feed-forward 512, vocabulary 4096; width 288, 768, 8192), at 1024 and 4096
//! tokens, in the three transpositions of training, and a cube of 2048.
//! Caveats: the peak is measured, by a loop of independent fused
//! multiply-adds in registers, so a machine that slows down under load shows
//! its slowed peak. Medians of several runs; other load spoils them.
//!
//! Run: `cargo run --release -p kwaya-math --example gemm_peak [threads]`

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::time::Instant;

use kwaya_math::{Matrix, Pool, Start, isa, matmul, philox::Stream};

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Seconds of one call, as the median of at least seven.
fn time(mut call: impl FnMut()) -> f64 {
    call();
    let mut times = Vec::new();
    let began = Instant::now();
    while times.len() < 7 || (began.elapsed().as_secs_f64() < 0.5 && times.len() < 100) {
        let start = Instant::now();
        call();
        times.push(start.elapsed().as_secs_f64());
    }
    median(times)
}

/// Fused multiply-adds in registers alone, in GFLOPS over all threads.
fn peak(pool: &Pool) -> f64 {
    const ROUNDS: usize = 2_000_000;
    let seconds = time(|| {
        pool.run(pool.threads(), |_| {
            std::hint::black_box(multiply_add(ROUNDS));
        });
    });
    (pool.threads() * ROUNDS * 2 * 96) as f64 / seconds / 1e9
}

fn multiply_add(rounds: usize) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if isa() == "avx2" {
        #[target_feature(enable = "avx2,fma")]
        fn avx2(rounds: usize) -> f32 {
            chains(rounds)
        }
        // SAFETY: `isa` says that the machine has AVX2 and FMA.
        return unsafe { avx2(rounds) };
    }
    chains(rounds)
}

#[inline(always)]
fn chains(rounds: usize) -> f32 {
    let factor = std::hint::black_box([0.999_f32; 8]);
    let mut sums = [[1.0_f32; 8]; 12];
    for _ in 0..rounds {
        for sum in &mut sums {
            for lane in 0..8 {
                sum[lane] = sum[lane].mul_add(factor[lane], factor[lane]);
            }
        }
    }
    sums.iter().flatten().sum()
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1);
    let pool = Pool::new(threads);
    let peak = peak(&pool);
    println!("{} threads, {}, peak {peak:.1} GFLOPS", pool.threads(), isa());
    let mut shapes = vec![(2048, 2048, 2048)];
    for tokens in [1024, 4096] {
        for (width, hidden, vocabulary) in [(192, 512, 4096), (288, 768, 8192)] {
            shapes.extend([(tokens, width, width), (tokens, hidden, width), (1024, vocabulary, width)]);
        }
    }
    for (rows, out, inner) in shapes {
        let make = |n: usize, i| {
            let mut stream = Stream::new(1, 1, i);
            (0..n).map(|_| stream.next_f32() - 0.5).collect::<Vec<f32>>()
        };
        let (x, w, dy) = (make(rows * inner, 0), make(out * inner, 1), make(rows * out, 2));
        let (x, w, dy) = (Matrix::new(&x, rows, inner), Matrix::new(&w, out, inner), Matrix::new(&dy, rows, out));
        let (mut y, mut dx, mut dw) = (vec![0.0; rows * out], vec![0.0; rows * inner], vec![0.0; out * inner]);
        let work = 2.0 * (rows * out * inner) as f64 / 1e9;
        let figures = [
            time(|| matmul(&pool, &mut y, Start::Zero, x, w.t())),
            time(|| matmul(&pool, &mut dx, Start::Zero, dy, w)),
            time(|| matmul(&pool, &mut dw, Start::Zero, dy.t(), x)),
        ]
        .map(|seconds| format!("{:6.1} ({:3.0} %)", work / seconds, 100.0 * work / seconds / peak));
        println!(
            "tokens {rows:5} out {out:5} in {inner:5}: forward {}  dx {}  dw {}",
            figures[0], figures[1], figures[2]
        );
    }
}
