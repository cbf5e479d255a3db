//! How fast products with packed weights are: of one row, in bytes of weights
//! per second, and of 512 rows, in operations per second.
//!
//!     cargo run --release -p kwaya-math --example packed -- 2 [ROWS]
//!
//! Argument: threads.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::Instant;

use kwaya_math::{Arena, Format, Packed, Pool, Rounded, project};

/// The matrices of a layer of SmolLM2-135M: (out, in).
const SHAPES: [(usize, usize); 4] = [(960, 576), (576, 576), (3072, 576), (576, 1536)];
const LAYERS: usize = 30;

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let pool = Pool::new(arguments.first().copied().unwrap_or(1));
    for format in [Format::Q8_0, Format::Q4_0, Format::Q4_1, Format::Q4K, Format::Bf16, Format::F32] {
        let weights: usize = SHAPES.iter().map(|(rows, cols)| rows * cols).sum();
        let bytes = Packed::bytes_of(format, weights / 512, 512) as usize * LAYERS;
        let start = Instant::now();
        let mut arena = Arena::with_bytes(bytes + (1 << 20));
        let layers: Vec<Packed> = (0..LAYERS)
            .flat_map(|_| SHAPES)
            .map(|(rows, cols)| {
                let cols = cols.next_multiple_of(format.block());
                let bytes: Vec<u8> =
                    (0..cols / format.block() * format.block_bytes()).map(|i| (i % 37) as u8).collect();
                Packed::new(&pool, &mut arena, format, (rows, cols), |_| &bytes).expect("finite")
            })
            .collect();
        let packing = start.elapsed().as_secs_f64();
        let bytes: usize = layers.iter().map(Packed::bytes).sum();
        let values: usize = layers.iter().map(|m| m.rows() * m.cols()).sum();
        print!("{:<5} packed {:>5.0} MB in {:>4.0} ms", format.name(), bytes as f64 / 1e6, 1e3 * packing);
        for n in [1, 8, 512] {
            let x: Vec<f32> = (0..n * 1536).map(|i| (i % 101) as f32 / 50.0 - 1.0).collect();
            let mut out = vec![0.0; n * 3072];
            let mut room = Rounded::default();
            let mut times: Vec<f64> = (0..if n > 8 { 3 } else { 9 })
                .map(|_| {
                    let start = Instant::now();
                    for m in &layers {
                        project(&pool, &x[..n * m.cols()], n, &mut room, &mut [(m, &mut out[..n * m.rows()])]);
                    }
                    start.elapsed().as_secs_f64()
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let time = times[times.len() / 2];
            let (gb, gops) = (bytes as f64 / time / 1e9, (2 * n * values) as f64 / time / 1e9);
            print!("   {n} rows {:>6.2} ms {gb:>5.1} GB/s {gops:>5.0} GOPS", 1e3 * time);
        }
        println!();
    }
}
