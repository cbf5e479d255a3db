//! The layers of a Llama model and its relatives that are not matrix products
//! or attention, forward and backward: RMS norm, rotary positions, embedding;
//! and the optimiser. Gates and the loss have files of their own.
//!
//! Shapes: `N` rows, `C` width, `V` vocabulary. Gradients have a `d` before
//! the name of the thing.

use crate::{
    isa::kernel,
    pool::{Pool, Shards},
    reduce::{LANES, dot_inline},
    scalar,
};

/// Rows that one piece takes: few enough to share, enough to be worth it.
const ROWS: usize = 16;

/// Runs `task(first_row..last_row)` over `rows` in pieces.
fn by_rows(pool: &Pool, rows: usize, task: impl Fn(std::ops::Range<usize>) + Sync) {
    pool.run(rows.div_ceil(ROWS), |p| task(p * ROWS..rows.min((p + 1) * ROWS)));
}

/// Runs `task(range)` over `length` elements in pieces of whole cache lines.
pub(crate) fn by_elements(pool: &Pool, length: usize, task: impl Fn(std::ops::Range<usize>) + Sync) {
    const PIECE: usize = 1 << 14;
    pool.run(length.div_ceil(PIECE), |p| task(p * PIECE..length.min((p + 1) * PIECE)));
}

/// Root-mean-square norm (Zhang and Sennrich 2019): `out` (N, C) =
/// `x` / rms(x) * `weight` (C). `inv_rms` (N) gets 1 / rms for the backward.
///
/// # Panics
/// When the shapes do not fit.
pub fn rms_norm(pool: &Pool, out: &mut [f32], inv_rms: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let (n, c) = (inv_rms.len(), weight.len());
    assert!(x.len() == n * c && out.len() == n * c, "rms_norm: {} values for ({n}, {c})", x.len());
    let (outs, invs) = (Shards::new(out), Shards::new(inv_rms));
    by_rows(pool, n, |rows| {
        // SAFETY: pieces have disjoint rows.
        let (out, inv) = unsafe { (outs.part(rows.start * c..rows.end * c), invs.part(rows.clone())) };
        rms_norm_rows(out, inv, &x[rows.start * c..rows.end * c], weight, eps);
    });
}

kernel! {
fn rms_norm_rows(out: &mut [f32], inv_rms: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let c = weight.len();
    for (i, inv) in inv_rms.iter_mut().enumerate() {
        let (x, out) = (&x[i * c..(i + 1) * c], &mut out[i * c..(i + 1) * c]);
        *inv = 1.0 / (dot_inline(x, x) / c as f32 + eps).sqrt();
        for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * *inv * w;
        }
    }
}
}

/// What [`rms_norm`] gave, from the `inv_rms` (N) that it left.
///
/// # Panics
/// When the shapes do not fit.
pub fn rms_norm_again(pool: &Pool, out: &mut [f32], x: &[f32], weight: &[f32], inv_rms: &[f32]) {
    let (n, c) = (inv_rms.len(), weight.len());
    assert!(x.len() == n * c && out.len() == n * c, "rms_norm_again: {} values for ({n}, {c})", x.len());
    let outs = Shards::new(out);
    by_rows(pool, n, |rows| {
        // SAFETY: pieces have disjoint rows.
        let out = unsafe { outs.part(rows.start * c..rows.end * c) };
        norm_rows(out, &x[rows.start * c..rows.end * c], weight, &inv_rms[rows]);
    });
}

kernel! {
fn norm_rows(out: &mut [f32], x: &[f32], weight: &[f32], inv_rms: &[f32]) {
    let c = weight.len();
    for ((out, x), inv) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(inv_rms) {
        for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * inv * w;
        }
    }
}
}

/// Backward of [`rms_norm`]: `dx` (N, C) is overwritten, `dweight` (C) is
/// added to, row after row for each element; an empty one is not wanted.
///
/// # Panics
/// When the shapes do not fit.
pub fn rms_norm_backward(
    pool: &Pool,
    dx: &mut [f32],
    dweight: &mut [f32],
    dy: &[f32],
    x: &[f32],
    weight: &[f32],
    inv_rms: &[f32],
) {
    let (n, c) = (inv_rms.len(), weight.len());
    let fits = [dx.len(), dy.len(), x.len()].iter().all(|l| *l == n * c) && [0, c].contains(&dweight.len());
    assert!(fits, "rms_norm_backward: {} values for ({n}, {c})", x.len());
    let dxs = Shards::new(dx);
    by_rows(pool, n, |rows| {
        // SAFETY: pieces have disjoint rows.
        let dx = unsafe { dxs.part(rows.start * c..rows.end * c) };
        let span = rows.start * c..rows.end * c;
        rms_norm_dx(dx, &dy[span.clone()], &x[span], weight, &inv_rms[rows]);
    });
    let wanted = dweight.len();
    let dws = Shards::new(dweight);
    pool.run(wanted.div_ceil(64), |p| {
        let columns = p * 64..c.min((p + 1) * 64);
        // SAFETY: pieces have disjoint columns.
        let dw = unsafe { dws.part(columns.clone()) };
        rms_norm_dweight(dw, columns.start, c, dy, x, inv_rms);
    });
}

kernel! {
fn rms_norm_dx(dx: &mut [f32], dy: &[f32], x: &[f32], weight: &[f32], inv_rms: &[f32]) {
    let c = weight.len();
    for (i, inv) in inv_rms.iter().enumerate() {
        let (x, dy, dx) = (&x[i * c..(i + 1) * c], &dy[i * c..(i + 1) * c], &mut dx[i * c..(i + 1) * c]);
        // dx holds dy * weight for a moment, to be summed against x.
        for ((dx, dy), w) in dx.iter_mut().zip(dy).zip(weight) {
            *dx = dy * w;
        }
        let slope = -(dot_inline(dx, x) * inv * inv * inv / c as f32);
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = x.mul_add(slope, *dx * inv);
        }
    }
}
}

kernel! {
fn rms_norm_dweight(dweight: &mut [f32], first: usize, c: usize, dy: &[f32], x: &[f32], inv_rms: &[f32]) {
    for (i, inv) in inv_rms.iter().enumerate() {
        let at = i * c + first..i * c + first + dweight.len();
        for ((dw, dy), x) in dweight.iter_mut().zip(&dy[at.clone()]).zip(&x[at]) {
            *dw = dy.mul_add(x * inv, *dw);
        }
    }
}
}

/// Cosines and sines of the rotary embedding (Su et al. 2021).
#[derive(Clone, Debug)]
pub struct RopeTable {
    half: usize,
    positions: usize,
    /// (positions, half): cosines, then sines, of position times frequency.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// The table for `positions` positions of heads of width `head_dim`. As
    /// in Hugging Face: frequency i is 1 / theta^(2i / head_dim) rounded to
    /// f32, the angle is position times frequency in f32.
    ///
    /// # Panics
    /// When `head_dim` is odd.
    pub fn new(theta: f64, head_dim: usize, positions: usize) -> Self {
        assert!(head_dim.is_multiple_of(2), "rope: head_dim {head_dim} is odd");
        let frequency = |i: usize| {
            let power = scalar::exp2((2 * i) as f64 / head_dim as f64 * scalar::log2(theta));
            1.0 / power as f32
        };
        let frequencies: Vec<f32> = (0..head_dim / 2).map(frequency).collect();
        Self::of(&frequencies, positions)
    }

    /// The table of given frequencies: pair i of a head turns by its position
    /// times `frequencies[i]`.
    pub fn of(frequencies: &[f32], positions: usize) -> Self {
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| f64::from(p as f32 * f)));
        let table = |of: fn(f64) -> f64| {
            // Not collected, which would take up to twice the memory.
            let mut table = Vec::with_capacity(positions * frequencies.len());
            table.extend(angles.clone().map(|angle| of(angle) as f32));
            table
        };
        Self { half: frequencies.len(), positions, cos: table(scalar::cos), sin: table(scalar::sin) }
    }

    /// How many positions it has.
    pub fn positions(&self) -> usize {
        self.positions
    }
}

/// Which way [`rope`] turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Embeds the position.
    Forward,
    /// The gradient: the turn back.
    Backward,
}

/// Turns each head of `x` (N, heads * head_dim) by the angles of its row's
/// position, in the layout of Hugging Face: element i goes with i + half.
///
/// # Panics
/// When the shapes do not fit or a position is beyond the table.
pub fn rope(pool: &Pool, x: &mut [f32], heads: usize, table: &RopeTable, positions: &[u32], direction: Direction) {
    let width = heads * table.half * 2;
    assert!(x.len() == positions.len() * width, "rope: {} values for ({}, {width})", x.len(), positions.len());
    assert!(positions.iter().all(|p| (*p as usize) < table.positions), "rope: a position beyond {}", table.positions);
    let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
    let xs = Shards::new(x);
    by_rows(pool, positions.len(), |rows| {
        // SAFETY: pieces have disjoint rows.
        let part = unsafe { xs.part(rows.start * width..rows.end * width) };
        rope_rows(part, &positions[rows], &table.cos, &table.sin, table.half, width, sign);
    });
}

kernel! {
fn rope_rows(x: &mut [f32], positions: &[u32], cos: &[f32], sin: &[f32], half: usize, width: usize, sign: f32) {
    for (row, position) in x.chunks_exact_mut(width).zip(positions) {
        let at = *position as usize * half;
        let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
        for head in row.chunks_exact_mut(2 * half) {
            let (first, second) = head.split_at_mut(half);
            for (((a, b), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                let s = sign * s;
                let turned = (a.mul_add(*c, -(*b * s)), b.mul_add(*c, *a * s));
                (*a, *b) = turned;
            }
        }
    }
}
}

/// `x` becomes cap * tanh(x / cap), which stays between -cap and cap.
pub fn softcap(pool: &Pool, x: &mut [f32], cap: f32) {
    let length = x.len();
    let xs = Shards::new(x);
    by_elements(pool, length, |range| {
        // SAFETY: pieces are disjoint.
        softcap_part(unsafe { xs.part(range) }, cap);
    });
}

kernel! {
fn softcap_part(x: &mut [f32], cap: f32) {
    for x in x.iter_mut() {
        *x = cap * scalar::tanh(*x / cap);
    }
}
}

/// `out` (N, C) = the rows of `table` (V, C) that `tokens` (N) name.
///
/// # Panics
/// When the shapes do not fit or a token is beyond the table.
pub fn embedding(pool: &Pool, out: &mut [f32], table: &[f32], tokens: &[u32]) {
    let n = tokens.len();
    if n == 0 {
        return;
    }
    let c = out.len() / n;
    assert!(out.len() == n * c && c > 0, "embedding: {} values for {n} tokens", out.len());
    let outs = Shards::new(out);
    by_rows(pool, n, |rows| {
        for i in rows {
            let at = tokens[i] as usize * c;
            // SAFETY: pieces have disjoint rows.
            unsafe { outs.part(i * c..(i + 1) * c) }.copy_from_slice(&table[at..at + c]);
        }
    });
}

/// Backward of [`embedding`]: adds each row of `dout` (N, C) to its token's
/// row of `dtable` (V, C), in the order of the tokens.
///
/// # Panics
/// When the shapes do not fit or a token is beyond the table.
pub fn embedding_backward(pool: &Pool, dtable: &mut [f32], dout: &[f32], tokens: &[u32]) {
    let n = tokens.len();
    if n == 0 {
        return;
    }
    let c = dout.len() / n;
    assert!(dout.len() == n * c && c > 0, "embedding_backward: {} values for {n} tokens", dout.len());
    // Split over columns, so that each element has its tokens in order.
    let tables = Shards::new(dtable);
    pool.run(c.div_ceil(LANES * 4), |p| {
        let columns = p * LANES * 4..c.min((p + 1) * LANES * 4);
        for (token, row) in tokens.iter().zip(dout.chunks_exact(c)) {
            let at = *token as usize * c;
            // SAFETY: pieces have disjoint columns.
            let out = unsafe { tables.part(at + columns.start..at + columns.end) };
            for (out, d) in out.iter_mut().zip(&row[columns.clone()]) {
                *out += d;
            }
        }
    });
}

/// `out` += `x`.
///
/// # Panics
/// When the lengths differ.
pub fn add_assign(pool: &Pool, out: &mut [f32], x: &[f32]) {
    assert_eq!(out.len(), x.len(), "add_assign: {} and {}", out.len(), x.len());
    let outs = Shards::new(out);
    by_elements(pool, x.len(), |range| {
        // SAFETY: pieces are disjoint.
        let out = unsafe { outs.part(range.clone()) };
        add_part(out, &x[range]);
    });
}

kernel! {
fn add_part(out: &mut [f32], x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += x;
    }
}
}

/// Adds `bias` (C) to each row of `out` (N, C).
///
/// # Panics
/// When the shapes do not fit.
pub fn add_to_rows(pool: &Pool, out: &mut [f32], bias: &[f32]) {
    let c = bias.len();
    assert!(c > 0 && out.len().is_multiple_of(c), "add_to_rows: {} values in rows of {c}", out.len());
    let (n, outs) = (out.len() / c, Shards::new(out));
    by_rows(pool, n, |rows| {
        // SAFETY: pieces have disjoint rows.
        let rows = unsafe { outs.part(rows.start * c..rows.end * c) };
        rows.chunks_exact_mut(c).for_each(|row| add_part(row, bias));
    });
}

/// Backward of [`add_to_rows`]: `dbias` (C) becomes the sum of the rows of `dout`
/// (N, C), in their order.
///
/// # Panics
/// When the shapes do not fit.
pub fn add_to_rows_backward(pool: &Pool, dbias: &mut [f32], dout: &[f32]) {
    let c = dbias.len();
    assert!(c > 0 && dout.len().is_multiple_of(c), "add_to_rows_backward: {} values in rows of {c}", dout.len());
    let sums = Shards::new(dbias);
    pool.run(c.div_ceil(64), |p| {
        let columns = p * 64..c.min((p + 1) * 64);
        // SAFETY: pieces have disjoint columns.
        let sums = unsafe { sums.part(columns.clone()) };
        sums.fill(0.0);
        dout.chunks_exact(c).for_each(|row| add_part(sums, &row[columns.clone()]));
    });
}

/// `out` *= `factor`.
pub fn scale(pool: &Pool, out: &mut [f32], factor: f32) {
    let length = out.len();
    let outs = Shards::new(out);
    by_elements(pool, length, |range| {
        // SAFETY: pieces are disjoint.
        scale_row(unsafe { outs.part(range) }, factor);
    });
}

kernel! {
pub(crate) fn scale_row(row: &mut [f32], factor: f32) {
    for x in row.iter_mut() {
        *x *= factor;
    }
}
}

/// The optimiser AdamW (Loshchilov and Hutter 2019), with the meaning that
/// `torch.optim.AdamW` gives its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The learning rate of this step.
    pub learning_rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Which step this is, from 1.
    pub step: u64,
    /// Multiplies each gradient first: gradient clipping.
    pub gradient_scale: f32,
}

impl AdamW {
    /// One step, in one pass over memory.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn update(&self, pool: &Pool, weights: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32]) {
        let n = weights.len();
        let fits = gradients.len() == n && first.len() == n && second.len() == n;
        assert!(fits, "adamw: {n} weights, {} gradients", gradients.len());
        let correct = |beta: f32| 1.0 - scalar::powi(f64::from(beta), self.step);
        let rate = f64::from(self.learning_rate) / correct(self.beta1);
        let root = 1.0 / correct(self.beta2).sqrt();
        let (weights, firsts, seconds) = (Shards::new(weights), Shards::new(first), Shards::new(second));
        by_elements(pool, n, |range| {
            // SAFETY: pieces are disjoint.
            let (w, m, v) =
                unsafe { (weights.part(range.clone()), firsts.part(range.clone()), seconds.part(range.clone())) };
            adamw_part(w, &gradients[range], m, v, *self, rate as f32, root as f32);
        });
    }
}

kernel! {
fn adamw_part(weights: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32], o: AdamW, rate: f32, root: f32) {
    let keep = 1.0 - o.learning_rate * o.weight_decay;
    for (((w, g), m), v) in weights.iter_mut().zip(gradients).zip(first).zip(second) {
        let g = g * o.gradient_scale;
        *m = m.mul_add(o.beta1, (1.0 - o.beta1) * g);
        *v = v.mul_add(o.beta2, (1.0 - o.beta2) * g * g);
        *w = w.mul_add(keep, -(rate * *m / v.sqrt().mul_add(root, o.epsilon)));
    }
}
}
