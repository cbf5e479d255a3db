//! Causal grouped-query attention, forward and backward, without ever holding
//! a T x T matrix.
//!
//! For a query at position i of its row, over the keys j in start..=i:
//!
//! ```text
//! s_j = (sum over d of q_d * k_jd, one accumulator in order of d) * scale
//! s_j = cap * tanh(s_j / cap)            (with a softcap)
//! m   = max s_j
//! p_j = exp(s_j - m)                     (0 for every other j)
//! z   = sum of p_j in 16 lanes, lane j mod 16, and the fixed tree
//! o_d = (sum over j of p_j * v_jd, one accumulator in order of j) / z
//! ```
//!
//! Blocks of queries are worked on together for speed. Keys that no query of
//! a block sees are left out, and keys that one query does not see count as
//! p = 0: both give the same bits, since fma(0, x, a) = a for every finite x
//! and every sum a that is not -0, and sums that start from +0 do not become
//! -0 but by underflow of a single product below 2^-149.
//!
//! A window is no business of this file: it moves the starts.
//!
//! The backward pass makes p again from m and z (Dao et al. 2022), and sums
//! dk and dv over the heads of a group in order, and over queries in order.

use std::{
    cell::RefCell,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    isa::kernel,
    pack::{lines, panel_of_columns, panel_of_rows},
    pool::{Pool, Shards},
    reduce::{LANES, dot_inline, max_inline, sum_inline},
    scalar,
    tile::{COLUMNS, First, Left, Output, Precision, Right, Word, product, size},
};

/// Queries worked on together.
const BLOCK: usize = 48;

/// The sizes of an attention, and what becomes of its scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Rows of the batch, B.
    pub batch: usize,
    /// Positions of a row, T.
    pub tokens: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides the query heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// What scores are multiplied by.
    pub scale: f32,
    /// Scores become cap * tanh(score / cap).
    pub softcap: Option<f32>,
}

impl AttentionShape {
    /// With the usual scale, 1 / sqrt(head_dim), and no cap.
    pub fn new(batch: usize, tokens: usize, heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        let scale = 1.0 / (head_dim as f32).sqrt();
        Self { batch, tokens, heads, kv_heads, head_dim, scale, softcap: None }
    }

    fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn check(&self, what: &str, queries: &[usize], keys: &[usize], softmax: &[usize], starts: &[u32]) {
        let n = self.batch * self.tokens;
        let fits = self.kv_heads > 0
            && self.heads.is_multiple_of(self.kv_heads)
            && queries.iter().all(|l| *l == n * self.query_width())
            && keys.iter().all(|l| *l == n * self.kv_width())
            && softmax.iter().all(|l| *l == n * self.heads)
            && starts.len() == n;
        assert!(fits, "{what}: {queries:?}, {keys:?}, {softmax:?} values for {self:?}");
        for (i, start) in starts.iter().enumerate() {
            assert!(*start as usize <= i % self.tokens, "{what}: query {i} starts at {start}, after itself");
        }
    }
}

/// The part of a matrix that belongs to one row of the batch and one head.
#[derive(Clone, Copy)]
struct Head<'a> {
    data: &'a [f32],
    stride: usize,
}

impl<'a> Head<'a> {
    fn new(data: &'a [f32], batch: usize, head: usize, shape: &AttentionShape, width: usize) -> Self {
        Self { data: &data[batch * shape.tokens * width + head * shape.head_dim..], stride: width }
    }

    /// From row `first` on.
    fn from(self, first: usize) -> Self {
        Self { data: &self.data[first * self.stride..], ..self }
    }
}

/// Scratch of one thread, kept from one call to the next. T' and D' are T and
/// the width of a head, rounded up to whole groups of 16.
#[derive(Default)]
struct Scratch {
    /// Panels of the transposed keys and values: (D, T').
    keys_t: Vec<f32>,
    values_t: Vec<f32>,
    /// Panels of keys or values: (T, D').
    values: Vec<f32>,
    /// Panels of a block of queries and of what comes back to it: (rows, D').
    queries: Vec<f32>,
    /// (BLOCK, T')
    p: Vec<f32>,
    dp: Vec<f32>,
    /// (BLOCK, D'): the rows of a block, before they go to their places.
    rows: Vec<f32>,
    /// (T, D'): gradients of one head, summed over blocks and queries.
    dk: Vec<f32>,
    dv: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// `out` (B*T, heads * head_dim) = attention of `q` over `k` and `v` (B*T,
/// kv_heads * head_dim). Query i of a row sees keys `starts[i]..=i`, so that
/// documents packed into one row do not see each other. `softmax_max` and
/// `softmax_sum` (B * heads * T) are kept for the backward pass.
///
/// # Panics
/// When the shapes do not fit.
#[allow(clippy::too_many_arguments, reason = "the operands of one operation")]
pub fn attention(
    pool: &Pool,
    out: &mut [f32],
    softmax_max: &mut [f32],
    softmax_sum: &mut [f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    starts: &[u32],
    shape: &AttentionShape,
) {
    let softmax = [softmax_max.len(), softmax_sum.len()];
    shape.check("attention", &[out.len(), q.len()], &[k.len(), v.len()], &softmax, starts);
    let (t, d, width) = (shape.tokens, shape.head_dim, shape.query_width());
    let (outs, maxes, sums) = (Shards::new(out), Shards::new(softmax_max), Shards::new(softmax_sum));
    let group = shape.heads / shape.kv_heads;
    pool.run(shape.batch * shape.heads, |piece| {
        let (b, h) = (piece / shape.heads, piece % shape.heads);
        let q = Head::new(q, b, h, shape, width);
        let keys = Head::new(k, b, h / group, shape, shape.kv_width());
        let values = Head::new(v, b, h / group, shape, shape.kv_width());
        let starts = &starts[b * t..(b + 1) * t];
        // SAFETY: pieces are disjoint.
        let (max, sum) = unsafe { (maxes.part(piece * t..(piece + 1) * t), sums.part(piece * t..(piece + 1) * t)) };
        SCRATCH.with_borrow_mut(|scratch| {
            let (columns, wide) = (t.next_multiple_of(COLUMNS), d.next_multiple_of(COLUMNS));
            let keys_t = transposed_panels(&mut scratch.keys_t, keys, t, d);
            let values = panels(&mut scratch.values, values, t, d);
            let p = lines(&mut scratch.p, BLOCK * columns);
            let block = lines(&mut scratch.rows, BLOCK * wide);
            for first in (0..t).step_by(BLOCK) {
                let rows = BLOCK.min(t - first);
                let low = low_key(&starts[first..first + rows]);
                scores(p, q.from(first), keys_t, first, rows, low, d, columns);
                let (max, sum) = (&mut max[first..first + rows], &mut sum[first..first + rows]);
                softmax_rows(
                    p,
                    max,
                    sum,
                    &starts[first..first + rows],
                    first,
                    low,
                    columns,
                    shape.scale,
                    shape.softcap,
                );
                weigh(block, p, columns, values, first, rows, low..t, wide, First::Zero);
                for (r, row) in block.chunks_exact_mut(wide).take(rows).enumerate() {
                    let row = &mut row[..d];
                    divide(row, sum[r]);
                    let at = (b * t + first + r) * width + h * d;
                    // SAFETY: each piece has its own head of each row.
                    unsafe { outs.part(at..at + d) }.copy_from_slice(row);
                }
            }
        });
    });
}

/// The first key that any query of a block sees, rounded down to a whole
/// panel, and so to a whole group of lanes, which keep their places.
fn low_key(starts: &[u32]) -> usize {
    let low = starts.iter().min().map_or(0, |s| *s as usize);
    low / size().columns * size().columns
}

/// The transpose of `t` rows of a head as panels.
fn transposed_panels<'r>(room: &'r mut Vec<f32>, x: Head<'_>, t: usize, d: usize) -> Right<'r> {
    let (room, wide) = (lines(room, d * t.next_multiple_of(COLUMNS)), size().columns);
    for (j, panel) in (0..t).step_by(wide).zip(room.chunks_mut(d * wide)) {
        panel_of_columns(panel, x.data, x.stride, 0, d, j, wide.min(t - j), Word::Number);
    }
    Right::panels(room, d)
}

/// `rows` rows of a head as panels.
fn panels<'r>(room: &'r mut Vec<f32>, x: Head<'_>, rows: usize, d: usize) -> Right<'r> {
    let (room, wide) = (lines(room, rows * d.next_multiple_of(COLUMNS)), size().columns);
    for (c, panel) in (0..d).step_by(wide).zip(room.chunks_mut(rows * wide)) {
        panel_of_rows(panel, x.data, x.stride, 0, rows, c, wide.min(d - c), Word::Number);
    }
    Right::panels(room, rows)
}

/// p[r][j] = row r of q, whose place is first + r, times key j, for the keys
/// from `low` that the row sees, rounded up to whole tiles.
#[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
fn scores(
    p: &mut [f32],
    q: Head<'_>,
    keys_t: Right<'_>,
    first: usize,
    rows: usize,
    low: usize,
    d: usize,
    columns: usize,
) {
    let group = size().rows;
    for r in (0..rows).step_by(group) {
        let a = Left::rows(&q.data[r * q.stride..], q.stride);
        let (count, seen) = (group.min(rows - r), (first + rows.min(r + group)).min(columns));
        let out = Output::new(&mut p[r * columns + low..], columns, count, seen.next_multiple_of(COLUMNS) - low);
        product(Precision::F32, out, a, keys_t.after_column(low), d, First::Zero);
    }
}

kernel! {
/// Scores become exp(s - max), with 0 where a query does not see the key.
fn softmax_rows(p: &mut [f32], max: &mut [f32], sum: &mut [f32], starts: &[u32], first: usize, low: usize, columns: usize, scale: f32, softcap: Option<f32>) {
    let rows = max.len();
    let high = (first + rows).next_multiple_of(LANES).min(columns);
    for r in 0..rows {
        let row = &mut p[r * columns + low..r * columns + high];
        let (start, end) = (starts[r] as usize - low, first + r + 1 - low);
        row[..start].fill(0.0);
        row[end..].fill(0.0);
        let seen = &mut row[start..end];
        for s in seen.iter_mut() {
            *s *= scale;
        }
        if let Some(cap) = softcap {
            for s in seen.iter_mut() {
                *s = cap * scalar::tanh(*s / cap);
            }
        }
        max[r] = max_inline(seen);
        for s in seen.iter_mut() {
            *s = scalar::exp(*s - max[r]);
        }
        sum[r] = sum_inline(row);
    }
}
}

/// out (rows, wide) = or += p (rows, columns) times panels of keys or values,
/// over those of `keys` that any row of a tile sees.
#[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
fn weigh(
    out: &mut [f32],
    p: &[f32],
    columns: usize,
    x: Right<'_>,
    first: usize,
    rows: usize,
    keys: Range<usize>,
    wide: usize,
    start: First<'_>,
) {
    let group = size().rows;
    for r in (0..rows).step_by(group) {
        let a = Left::rows(&p[r * columns + keys.start..], columns);
        let (count, high) = (group.min(rows - r), keys.end.min(first + rows.min(r + group)));
        let out = Output::new(&mut out[r * wide..], wide, count, wide);
        product(Precision::F32, out, a, x.after_row(keys.start), high - keys.start, start);
    }
}

/// out (keys, wide) += the transpose of p (rows, columns), for those of `keys`
/// that the block sees, times panels of the block's rows, the first of which
/// is `first`.
#[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
fn weigh_transposed(
    out: &mut [f32],
    p: &[f32],
    columns: usize,
    x: Right<'_>,
    first: usize,
    rows: usize,
    keys: Range<usize>,
    wide: usize,
) {
    let (group, low, before) = (size().rows, keys.start, first.min(keys.end));
    // Keys before the block are seen by all of its rows.
    let a = Left::columns(&p[low..], columns);
    let out_before = Output::new(&mut out[low * wide..], wide, before - low, wide);
    product(Precision::F32, out_before, a, x, rows, First::Output);
    // Those in it by the rows from their own on.
    for r in (0..rows.min(keys.end - before)).step_by(group) {
        let a = Left::columns(&p[r * columns + first + r..], columns);
        let within = Output::new(&mut out[(first + r) * wide..], wide, group.min(rows - r), wide);
        product(Precision::F32, within, a, x.after_row(r), rows - r, First::Output);
    }
}

kernel! {
fn divide(out: &mut [f32], by: f32) {
    for x in out.iter_mut() {
        *x /= by;
    }
}
}

/// Backward of [`attention`]: `dq`, `dk` and `dv` are overwritten.
///
/// # Panics
/// When the shapes do not fit.
#[allow(clippy::too_many_arguments, reason = "the operands of one operation")]
pub fn attention_backward(
    pool: &Pool,
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
    dout: &[f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &[f32],
    softmax_max: &[f32],
    softmax_sum: &[f32],
    starts: &[u32],
    shape: &AttentionShape,
) {
    let queries = [dq.len(), dout.len(), q.len(), out.len()];
    let softmax = [softmax_max.len(), softmax_sum.len()];
    shape.check("attention_backward", &queries, &[dk.len(), dv.len(), k.len(), v.len()], &softmax, starts);
    let (t, d, width, kv_width) = (shape.tokens, shape.head_dim, shape.query_width(), shape.kv_width());
    let group = shape.heads / shape.kv_heads;
    let (dqs, dks, dvs) = (Shards::new(dq), Shards::new(dk), Shards::new(dv));
    let groups = shape.batch * shape.kv_heads;
    let span = keys_of_a_piece(t, groups, pool.threads());
    // Pieces of a group that are done. Later ones go on from their dq.
    let done = [const { AtomicUsize::new(0) }; MOST_GROUPS];
    pool.run(t.div_ceil(span) * groups, |piece| {
        let (turn, piece) = (piece / groups, piece % groups);
        let (b, g) = (piece / shape.kv_heads, piece % shape.kv_heads);
        // The keys of this piece are from..from + count; places are counted
        // from there.
        let (from, count) = (turn * span, span.min(t - turn * span));
        let keys = Head::new(k, b, g, shape, kv_width).from(from);
        let values = Head::new(v, b, g, shape, kv_width).from(from);
        let starts = &starts[b * t..(b + 1) * t];
        let (columns, wide) = (count.next_multiple_of(COLUMNS), d.next_multiple_of(COLUMNS));
        SCRATCH.with_borrow_mut(|scratch| {
            let keys_t = transposed_panels(&mut scratch.keys_t, keys, count, d);
            let values_t = transposed_panels(&mut scratch.values_t, values, count, d);
            let keys = panels(&mut scratch.values, keys, count, d);
            let p = lines(&mut scratch.p, BLOCK * columns);
            let dp = lines(&mut scratch.dp, BLOCK * columns);
            let block = lines(&mut scratch.rows, BLOCK * wide);
            let (dk, dv) = (lines(&mut scratch.dk, count * wide), lines(&mut scratch.dv, count * wide));
            dk.fill(0.0);
            dv.fill(0.0);
            // Pieces are begun in order, so the one waited for is at work.
            while span < t && done[piece].load(Ordering::Acquire) < turn {
                std::thread::yield_now();
            }
            for h in g * group..(g + 1) * group {
                let head = (b * shape.heads + h) * t;
                for first in (from..t).step_by(BLOCK) {
                    let rows = BLOCK.min(t - first);
                    let block_of = |x| Head::new(x, b, h, shape, width).from(first);
                    let (q, dout, out) = (block_of(q), block_of(dout), block_of(out));
                    // SAFETY: each piece has its own heads of each row, and the
                    // piece before it is done with them.
                    let dq_row = |r: usize| unsafe {
                        let at = (b * t + first + r) * width + h * d;
                        dqs.part(at..at + d)
                    };
                    let starts = &starts[first..first + rows];
                    let low = low_key(starts).saturating_sub(from);
                    if low >= count {
                        // No query of the block sees a key of this piece.
                        (0..rows).filter(|_| turn == 0).for_each(|r| dq_row(r).fill(0.0));
                        continue;
                    }
                    let place = first - from;
                    scores(p, q, keys_t, place, rows, low, d, columns);
                    scores(dp, dout, values_t, place, rows, low, d, columns);
                    let softmax = head + first..head + first + rows;
                    let (max, sum) = (&softmax_max[softmax.clone()], &softmax_sum[softmax]);
                    let (dout_data, out_data) = (dout.data, out.data);
                    score_gradients(
                        p, dp, max, sum, starts, out_data, dout_data, width, from, place, low, count, d, columns, shape,
                    );
                    if turn > 0 {
                        for (r, row) in block.chunks_exact_mut(wide).take(rows).enumerate() {
                            row[..d].copy_from_slice(dq_row(r));
                        }
                    }
                    let start = if turn == 0 { First::Zero } else { First::Output };
                    weigh(block, dp, columns, keys, place, rows, low..count, wide, start);
                    for (r, row) in block.chunks_exact(wide).take(rows).enumerate() {
                        dq_row(r).copy_from_slice(&row[..d]);
                    }
                    let queries = panels(&mut scratch.queries, q, rows, d);
                    weigh_transposed(dk, dp, columns, queries, place, rows, low..count, wide);
                    let queries = panels(&mut scratch.queries, dout, rows, d);
                    weigh_transposed(dv, p, columns, queries, place, rows, low..count, wide);
                }
            }
            if span < t {
                done[piece].store(turn + 1, Ordering::Release);
            }
            for (j, (from_k, from_v)) in dk.chunks_exact(wide).zip(dv.chunks_exact(wide)).enumerate() {
                let at = (b * t + from + j) * kv_width + g * d;
                // SAFETY: each piece has its own head of each row.
                let (dk, dv) = unsafe { (dks.part(at..at + d), dvs.part(at..at + d)) };
                dk.copy_from_slice(&from_k[..d]);
                dv.copy_from_slice(&from_v[..d]);
            }
        });
    });
}

/// Groups of heads that may be cut into pieces.
const MOST_GROUPS: usize = 128;

/// The keys of one piece of the backward pass. Where there are few groups of
/// heads for the threads, each is cut; dq then goes on from piece to piece.
/// Whole blocks and whole tiles, so that the order of no sum changes.
fn keys_of_a_piece(tokens: usize, groups: usize, threads: usize) -> usize {
    let cuts = if threads == 1 || groups > MOST_GROUPS { 1 } else { (4 * threads).div_ceil(groups) };
    tokens.div_ceil(cuts).next_multiple_of(BLOCK).max(2 * BLOCK).min(tokens)
}

kernel! {
/// From scores and dp = dout . v: p becomes the probabilities, and dp the
/// gradient of the score before its scale, ds = p * (dp - dout . out) * scale,
/// times 1 - (s / cap)^2 with a softcap, the slope of what it has made of s.
/// Of `keys` keys, the first of which is key `from`; the first query is at
/// place `first` after it.
fn score_gradients(p: &mut [f32], dp: &mut [f32], max: &[f32], sum: &[f32], starts: &[u32], out: &[f32], dout: &[f32], width: usize, from: usize, first: usize, low: usize, keys: usize, d: usize, columns: usize, shape: &AttentionShape) {
    let (rows, scale) = (max.len(), shape.scale);
    let high = (first + rows).next_multiple_of(LANES).min(columns);
    for r in 0..rows {
        let at = r * width;
        let delta = dot_inline(&dout[at..at + d], &out[at..at + d]);
        let end = keys.min(first + r + 1);
        let start = (starts[r] as usize).saturating_sub(from).min(end);
        let (row, drow) = (&mut p[r * columns..(r + 1) * columns], &mut dp[r * columns..(r + 1) * columns]);
        row[low..start].fill(0.0);
        drow[low..start].fill(0.0);
        row[end..high].fill(0.0);
        drow[end..high].fill(0.0);
        let share = 1.0 / sum[r];
        let seen = row[start..end].iter_mut().zip(&mut drow[start..end]);
        if let Some(cap) = shape.softcap {
            for (p, dp) in seen {
                let part = scalar::tanh(*p * scale / cap);
                *p = scalar::exp(cap * part - max[r]) * share;
                *dp = *p * (*dp - delta) * scale * (1.0 - part * part);
            }
            continue;
        }
        for (p, dp) in seen {
            *p = scalar::exp(*p * scale - max[r]) * share;
            *dp = *p * (*dp - delta) * scale;
        }
    }
}
}
