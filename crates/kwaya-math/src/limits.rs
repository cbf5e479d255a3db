//! What this machine can do at most, measured: the figures that a kernel's
//! speed is a share of.

use std::{hint::black_box, time::Instant};

use crate::{
    pool::{Pool, Shards},
    reduce::sum,
    tile::{Precision, chains},
};

/// Runs of each measurement, of which the best counts: what else the machine
/// does can only slow one down.
const RUNS: usize = 7;

/// Floating-point operations a second of multiplying and adding in registers
/// alone, over all threads of `pool`. Each product counts for two, so that a
/// pair of bfloat16 numbers is four operations.
pub fn peak(pool: &Pool, precision: Precision) -> f64 {
    const ROUNDS: usize = 1_000_000;
    let each = chains(precision, ROUNDS);
    best(pool.threads() as f64 * each, || {
        pool.run(pool.threads(), |_| {
            black_box(chains(precision, black_box(ROUNDS)));
        });
    })
}

/// Bytes a second at which the threads of `pool` read `bytes` of memory; more
/// than the caches hold.
pub fn bandwidth(pool: &Pool, bytes: usize) -> f64 {
    const PIECE: usize = 1 << 18;
    let pieces = (bytes / 4).div_ceil(PIECE).max(1);
    let mut room = vec![0.0_f32; pieces * PIECE];
    // Each thread's first touch brings its pages near it.
    let shards = Shards::new(&mut room);
    // SAFETY: pieces are disjoint.
    pool.run(pieces, |p| unsafe { shards.part(p * PIECE..(p + 1) * PIECE) }.fill(1.0));
    best((pieces * PIECE * 4) as f64, || {
        pool.run(pieces, |p| {
            black_box(sum(&room[p * PIECE..(p + 1) * PIECE]));
        });
    })
}

/// `work` by the seconds of the fastest of some runs.
fn best(work: f64, run: impl Fn()) -> f64 {
    run();
    let seconds = (0..RUNS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    work / seconds.fold(f64::INFINITY, f64::min).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_of_this_world() {
        let pool = Pool::new(2);
        let (peak, bandwidth) = (peak(&pool, Precision::F32), bandwidth(&pool, 1 << 26));
        assert!((1e6..1e15).contains(&peak), "{peak}");
        assert!((1e6..1e14).contains(&bandwidth), "{bandwidth}");
    }
}
