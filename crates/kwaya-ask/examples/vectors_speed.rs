//! How fast the nearest of many vectors are found, and what share of the memory's
//! speed that is.
//!
//! ```text
//! cargo run --release -p kwaya-ask --example vectors_speed -- FOLDER [COUNT] [WIDTH] [QUESTIONS]
//! ```
//!
//! The vectors are random and lie in a file in FOLDER that is mapped, as those of
//! passages are. A plain search has to find the same for the first question, with 1
//! and 2 threads, before anything is timed.

#![allow(clippy::print_stdout)]

use std::{
    env,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use kwaya_ask::Small;
use kwaya_math::{Pool, limits, philox::Stream};
use serde_json::json;
use tantivy::directory::{Directory, MmapDirectory};

const SEED: u64 = 1;
/// As many as a question takes from each list.
const NEAREST: usize = 50;
/// As `kwaya machine` reads.
const BANDWIDTH_BYTES: usize = 512 << 20;

fn vector(number: u64, width: usize) -> Small {
    let mut numbers = Stream::new(SEED, 0, number);
    let state: Vec<f32> = (0..width).map(|_| numbers.next_f32() + numbers.next_f32() - 1.0).collect();
    Small::of(&state, &vec![0.0; width])
}

fn write(path: &Path, count: u64, width: usize) {
    let mut out = BufWriter::new(File::create(path).expect("a file"));
    (0..count).for_each(|number| out.write_all(&vector(number, width).row()).expect("room on the disk"));
    out.flush().expect("room on the disk");
}

/// One row after the other, in plain Rust, from the bytes of the rows alone.
fn plain(asked: &Small, rows: &[u8], width: usize) -> Vec<(f32, u32)> {
    let scale = |row: &[u8]| f32::from_le_bytes(row[..4].try_into().expect("four bytes"));
    let asked = asked.row();
    let near = |row: &[u8]| {
        let pairs = row[4..4 + width].iter().zip(&asked[4..4 + width]);
        let product: i32 = pairs.map(|(a, b)| i32::from(a.cast_signed()) * i32::from(b.cast_signed())).sum();
        product as f32 * scale(row) * scale(&asked)
    };
    let mut all: Vec<(f32, u32)> = rows.chunks_exact(asked.len()).map(near).zip(0..).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.truncate(NEAREST);
    all
}

fn main() {
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("FOLDER"));
    let mut number = |usual: u64| arguments.next().map_or(usual, |typed| typed.parse().expect("a number"));
    let (count, width, questions) = (number(1_000_000), number(384) as usize, number(100));
    write(&folder.join("rows"), count, width);
    let map = MmapDirectory::open(&folder).expect("the folder is there");
    let rows = map.open_read(Path::new("rows")).expect("the file is there").read_bytes().expect("a mapped file");
    let asked: Vec<Small> = (0..questions).map(|question| vector(count + question, width)).collect();
    let begun = Instant::now();
    let right = plain(&asked[0], &rows, width);
    let plain_ms = 1e3 * begun.elapsed().as_secs_f64();
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        assert_eq!(asked[0].nearest(&pool, &rows, NEAREST), right, "as a plain search");
        let mut times: Vec<f64> = asked
            .iter()
            .map(|asked| {
                let begun = Instant::now();
                asked.nearest(&pool, &rows, NEAREST);
                begun.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        let (speed, bandwidth) = (rows.len() as f64 / at(50), limits::bandwidth(&pool, BANDWIDTH_BYTES));
        println!(
            "{}",
            json!({
                "vectors": count, "width": width, "bytes": rows.len(), "threads": threads, "plain_ms": plain_ms,
                "p50_ms": 1e3 * at(50), "p95_ms": 1e3 * at(95), "bytes_per_second": speed,
                "bandwidth": bandwidth, "share": speed / bandwidth, "first": right[0].1,
            })
        );
    }
}
