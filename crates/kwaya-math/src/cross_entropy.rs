//! Softmax and cross-entropy: what a model says of the token that comes next,
//! the loss of that, and its gradient.
//!
//! Shapes: `N` rows, `V` vocabulary.

use crate::{
    isa::kernel,
    layers::scale_row,
    pool::{Pool, Shards},
    reduce::{LANES, max_inline, sum_inline, tree},
    scalar,
};

/// The target of a position that is not scored.
pub const IGNORED: u32 = u32::MAX;

/// Turns `logits` (N, V) into their gradient times `scale`, in place, and
/// puts -log p(target) into `losses` (N), in nats. Where the target is
/// [`IGNORED`] both are 0.
///
/// # Panics
/// When the shapes do not fit or a target is beyond the vocabulary.
pub fn softmax_cross_entropy(pool: &Pool, logits: &mut [f32], losses: &mut [f32], targets: &[u32], scale: f32) {
    by_rows(pool, logits, losses, targets, |row, target| {
        let logit = row[target];
        let (max, sum) = exponentials(row);
        scale_row(row, scale / sum);
        row[target] -= scale;
        scalar::log(sum) - (logit - max)
    });
}

/// As [`softmax_cross_entropy`], of `logits` that are cap * tanh(x / cap), as
/// [`softcap`] leaves them: they become the gradient of x.
///
/// # Panics
/// When the shapes do not fit or a target is beyond the vocabulary.
pub fn capped_cross_entropy(
    pool: &Pool,
    logits: &mut [f32],
    losses: &mut [f32],
    targets: &[u32],
    scale: f32,
    cap: f32,
) {
    by_rows(pool, logits, losses, targets, |row, target| {
        let logit = row[target];
        let (max, sum) = sum_of_exponentials(row);
        capped_gradient(row, max, scale / sum, cap);
        row[target] -= scale * (1.0 - (logit / cap) * (logit / cap));
        scalar::log(sum) - (logit - max)
    });
}

/// Gives each row of `logits` (N, V) with its target to `of_row`, which makes it a
/// gradient and says the loss; both are 0 where the target is [`IGNORED`].
fn by_rows(
    pool: &Pool,
    logits: &mut [f32],
    losses: &mut [f32],
    targets: &[u32],
    of_row: impl Fn(&mut [f32], usize) -> f32 + Sync,
) {
    let (n, v) = cross_entropy_shape(logits.len(), losses.len(), targets);
    let (rows_of, losses_of) = (Shards::new(logits), Shards::new(losses));
    pool.run(n, |i| {
        // SAFETY: pieces have disjoint rows.
        let (row, loss) = unsafe { (rows_of.part(i * v..(i + 1) * v), losses_of.part(i..i + 1)) };
        loss[0] = match targets[i] {
            IGNORED => {
                row.fill(0.0);
                0.0
            }
            target => of_row(row, target as usize),
        };
    });
}

kernel! {
/// The probability of each logit times its slope: of cap * tanh(x / cap) that is
/// 1 - tanh(x / cap)^2. The logits are needed to the end, so the exponentials
/// are made twice and not kept.
fn capped_gradient(row: &mut [f32], max: f32, factor: f32, cap: f32) {
    for x in row.iter_mut() {
        let part = *x / cap;
        *x = scalar::exp(*x - max) * factor * (1.0 - part * part);
    }
}
}

/// -log p(target) of each row of `logits` (N, `vocab`), in nats, into
/// `losses` (N); 0 where ignored.
///
/// # Panics
/// When the shapes do not fit or a target is beyond the vocabulary.
pub fn cross_entropy_loss(pool: &Pool, logits: &[f32], losses: &mut [f32], targets: &[u32], vocab: usize) {
    let (n, v) = cross_entropy_shape(logits.len(), losses.len(), targets);
    assert!(n == 0 || v == vocab, "cross_entropy_loss: rows of {v} logits, vocabulary {vocab}");
    let losses_of = Shards::new(losses);
    pool.run(n, |i| {
        let row = &logits[i * v..(i + 1) * v];
        // SAFETY: pieces have disjoint rows.
        let loss = unsafe { losses_of.part(i..i + 1) };
        loss[0] = match targets[i] {
            IGNORED => 0.0,
            target => {
                let (max, sum) = sum_of_exponentials(row);
                scalar::log(sum) - (row[target as usize] - max)
            }
        };
    });
}

kernel! {
/// What [`exponentials`] gives, without changing the row.
fn sum_of_exponentials(row: &[f32]) -> (f32, f32) {
    let max = max_inline(row);
    let mut lanes = [0.0_f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += scalar::exp(chunk[i] - max);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += scalar::exp(x - max);
    }
    (max, tree(lanes))
}
}

fn cross_entropy_shape(logits: usize, losses: usize, targets: &[u32]) -> (usize, usize) {
    let n = targets.len();
    assert!(losses == n && (n == 0 || logits.is_multiple_of(n)), "cross_entropy: {logits} logits, {n} targets");
    let v = logits.checked_div(n).unwrap_or(0);
    assert!(targets.iter().all(|t| *t == IGNORED || (*t as usize) < v), "cross_entropy: a target beyond {v}");
    (n, v)
}

kernel! {
/// Replaces a row by exp(x - max); gives max and the sum.
fn exponentials(row: &mut [f32]) -> (f32, f32) {
    let max = max_inline(row);
    for x in row.iter_mut() {
        *x = scalar::exp(*x - max);
    }
    (max, sum_inline(row))
}
}

/// Softmax of one row, in place, for sampling.
pub fn softmax(row: &mut [f32]) {
    let (_, sum) = exponentials(row);
    scale_row(row, 1.0 / sum);
}
