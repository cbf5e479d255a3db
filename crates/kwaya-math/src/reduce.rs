//! Reductions: 16 lanes, lane `i` taking elements `i`, `i + 16`, … in order,
//! then a fixed tree over the lanes. A vector register of any width up to 16
//! does the same additions.

use std::cell::RefCell;

use crate::{
    isa::kernel,
    pool::{Pool, Shards},
};

/// Lanes of a reduction.
pub(crate) const LANES: usize = 16;

/// Elements that one piece of a long reduction takes; part of the
/// arithmetic, since it decides how partial sums meet.
const CHUNK: usize = 1 << 16;

/// The fixed tree: lane i takes lane i + 8, then i + 4, i + 2, i + 1.
#[inline(always)]
pub(crate) fn tree(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The sum of `x`, inside a kernel.
#[inline(always)]
pub(crate) fn sum_inline(x: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    tree(lanes)
}

/// The sum of products, each by fused multiply-add, inside a kernel.
#[inline(always)]
pub(crate) fn dot_inline(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest = (xs.remainder(), ys.remainder());
    for (a, b) in xs.zip(ys) {
        for i in 0..LANES {
            lanes[i] = a[i].mul_add(b[i], lanes[i]);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(rest.0).zip(rest.1) {
        *lane = a.mul_add(*b, *lane);
    }
    tree(lanes)
}

/// The largest value, whatever the order; -infinity for an empty slice.
#[inline(always)]
pub(crate) fn max_inline(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |m, v| if *v > m { *v } else { m })
}

kernel! {
/// The sum of `x`.
pub fn sum(x: &[f32]) -> f32 {
    sum_inline(x)
}
}

kernel! {
fn squares(x: &[f32]) -> f32 {
    dot_inline(x, x)
}
}

/// The sum of the squares of `x`: the sum over chunks of 65,536 elements of
/// each chunk's sum.
pub fn sum_squares(pool: &Pool, x: &[f32]) -> f32 {
    PARTIAL.with_borrow_mut(|partial| {
        partial.resize(x.len().div_ceil(CHUNK), 0.0);
        let shards = Shards::new(partial);
        pool.run(x.len().div_ceil(CHUNK), |c| {
            // SAFETY: each piece writes its own element.
            let out = unsafe { shards.part(c..c + 1) };
            out[0] = squares(&x[c * CHUNK..x.len().min((c + 1) * CHUNK)]);
        });
        sum(partial)
    })
}

thread_local! {
    /// Kept from one step to the next.
    static PARTIAL: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::Stream;

    #[test]
    fn a_sum_is_sixteen_lanes_and_a_tree() {
        let mut stream = Stream::new(5, 0, 0);
        for n in [0, 1, 7, 15, 16, 17, 31, 32, 33, 1000] {
            let x: Vec<f32> = (0..n).map(|_| stream.next_f32() - 0.3).collect();
            let mut lanes = [0.0_f32; 16];
            for (i, v) in x.iter().enumerate() {
                lanes[i % 16] += v;
            }
            let eight: Vec<f32> = (0..8).map(|i| lanes[i] + lanes[i + 8]).collect();
            let four: Vec<f32> = (0..4).map(|i| eight[i] + eight[i + 4]).collect();
            let expected = (four[0] + four[2]) + (four[1] + four[3]);
            assert_eq!(sum(&x).to_bits(), expected.to_bits(), "{n} values");
        }
    }

    #[test]
    fn squares_do_not_depend_on_threads() {
        let mut stream = Stream::new(5, 0, 1);
        let x: Vec<f32> = (0..300_001).map(|_| stream.next_f32() - 0.5).collect();
        let one = sum_squares(&Pool::new(1), &x);
        assert_eq!(one.to_bits(), sum_squares(&Pool::new(3), &x).to_bits());
        let exact: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
        assert!((f64::from(one) / exact - 1.0).abs() < 1e-6);
    }
}
