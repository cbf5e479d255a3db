//! How fast attention over pages is: for decoding, in bytes of keys and values
//! a second beside what memory gives; for a prompt, beside `attention` over
//! f32. Of the fastest round, as what else the machine does can only slow one
//! down.
//!
//!     cargo run --release -p kwaya-math --example paged -- [ROUNDS]

#![expect(clippy::print_stdout, reason = "a program, not a library")]

use std::time::Instant;

use kwaya_math::{AttentionShape, CacheAttention, PAGE, Pages, Pool, Row, attention, limits, philox::Stream};

/// Enough that no cache holds all of them: each is read in turn.
const LAYERS: usize = 16;

fn main() {
    let rounds = std::env::args().nth(1).map_or(5, |a| a.parse().expect("a number"));
    println!("{}, pages of {PAGE}", kwaya_math::isa());
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        println!("{threads} threads: memory {:.1} GB/s", limits::bandwidth(&pool, 1 << 28) / 1e9);
        for (rows, positions, heads, kv_heads, head_dim) in [
            (8, 2048, 9, 3, 64),
            (1, 2048, 9, 3, 64),
            (1, 2048, 8, 1, 64),
            (16, 512, 9, 3, 64),
            (4, 2048, 8, 8, 64),
            (4, 2048, 16, 8, 128),
            (4, 2048, 8, 1, 256),
        ] {
            decode(&pool, rounds, rows, positions, heads, kv_heads, head_dim);
        }
        for (heads, kv_heads, head_dim, tokens) in
            [(9, 3, 64, 512), (9, 3, 64, 2048), (8, 8, 64, 512), (16, 8, 128, 512)]
        {
            prompt(&pool, rounds, heads, kv_heads, head_dim, tokens);
        }
    }
}

fn options(heads: usize, head_dim: usize) -> CacheAttention {
    CacheAttention { heads, scale: 1.0 / (head_dim as f32).sqrt(), softcap: None, window: None }
}

/// Each row's pages lie in between those of the others, as they do when
/// conversations grow side by side.
fn decode(pool: &Pool, rounds: usize, count: usize, positions: usize, heads: usize, kv_heads: usize, head_dim: usize) {
    let mut pages = Pages::new(LAYERS, kv_heads, head_dim);
    let each = positions.div_ceil(PAGE);
    pages.grow(count * each);
    let lists: Vec<Vec<u32>> = (0..count).map(|c| (0..each).map(|i| (i * count + c) as u32).collect()).collect();
    let (k, v) = (random(positions * kv_heads * head_dim), random(positions * kv_heads * head_dim));
    for list in &lists {
        let rows: Vec<Row<'_>> = (0..positions).map(|position| Row { pages: list, position }).collect();
        (0..LAYERS).for_each(|layer| pages.write(pool, layer, &rows, &k, &v));
    }
    let rows: Vec<Row<'_>> = lists.iter().map(|list| Row { pages: list, position: positions - 1 }).collect();
    let q = random(count * heads * head_dim);
    let mut out = vec![0.0; q.len()];
    let seconds = fastest(rounds, || {
        for layer in 0..LAYERS {
            pages.attention(pool, &mut out, &q, layer, &rows, &options(heads, head_dim));
        }
    });
    let bytes = 4 * count * positions * kv_heads * head_dim * LAYERS;
    println!(
        "  decode {count:2} x {positions}, heads {heads}/{kv_heads}, d {head_dim:3}: {:7.3} ms a layer, {:5.1} GB/s",
        seconds * 1e3 / LAYERS as f64,
        bytes as f64 / seconds / 1e9
    );
}

fn prompt(pool: &Pool, rounds: usize, heads: usize, kv_heads: usize, head_dim: usize, tokens: usize) {
    let mut pages = Pages::new(1, kv_heads, head_dim);
    pages.grow(tokens.div_ceil(PAGE));
    let list: Vec<u32> = (0..pages.count() as u32).collect();
    let rows: Vec<Row<'_>> = (0..tokens).map(|position| Row { pages: &list, position }).collect();
    let (k, v) = (random(tokens * kv_heads * head_dim), random(tokens * kv_heads * head_dim));
    let q = random(tokens * heads * head_dim);
    let mut out = vec![0.0; q.len()];
    let write = fastest(rounds, || pages.write(pool, 0, &rows, &k, &v));
    let paged = fastest(rounds, || pages.attention(pool, &mut out, &q, 0, &rows, &options(heads, head_dim)));
    let shape = AttentionShape::new(1, tokens, heads, kv_heads, head_dim);
    let (mut max, mut sum) = (vec![0.0; tokens * heads], vec![0.0; tokens * heads]);
    let starts = vec![0; tokens];
    let plain = fastest(rounds, || attention(pool, &mut out, &mut max, &mut sum, &q, &k, &v, &starts, &shape));
    println!(
        "  prompt {tokens}, heads {heads}/{kv_heads}, d {head_dim:3}: {:.3} ms and {:.3} to write; attention over f32 {:.3} ms",
        paged * 1e3,
        write * 1e3,
        plain * 1e3
    );
}

fn fastest(rounds: usize, mut task: impl FnMut()) -> f64 {
    let mut time = || {
        let start = Instant::now();
        task();
        start.elapsed().as_secs_f64()
    };
    time();
    (0..rounds.max(1)).map(|_| time()).fold(f64::INFINITY, f64::min)
}

fn random(length: usize) -> Vec<f32> {
    let mut stream = Stream::new(1, 0, 0);
    (0..length).map(|_| stream.next_f32() - 0.5).collect()
}
