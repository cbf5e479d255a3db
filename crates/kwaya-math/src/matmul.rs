//! Matrix products.
//!
//! Each output is one accumulator that starts at 0 (or at what the output
//! holds) and takes `k` in ascending order by fused multiply-add:
//!
//! ```text
//! for i in 0..m { for j in 0..n { for p in 0..k { c[i][j] = fma(a[i][p], b[p][j], c[i][j]) } } }
//! ```
//!
//! For speed (Goto and van de Geijn, "Anatomy of high-performance matrix
//! multiplication", 2008), with the same order for each output:
//! 1. `k` is cut into blocks that fit the cache; between two blocks the
//!    accumulators rest in the output, which is exact.
//! 2. A block of `b` is packed into panels of 16 columns, so that the inner
//!    loop reads it in a row whatever its layout was.
//! 3. Rows of the output are split into blocks, which are what threads take;
//!    each packs its part of `a` into panels of 6 rows.
//! 4. The inner loop keeps 6 x 16 accumulators in registers: vectors run
//!    across outputs, never across `k`.

use std::cell::RefCell;

use crate::{
    isa::kernel,
    pool::{Pool, Shards},
};

/// Rows of the tile held in registers.
const MR: usize = 6;
/// Columns of the tile held in registers.
const NR: usize = 16;
/// The most depth of a block: a panel of `b` (20 KiB) stays in the first cache.
const KC: usize = 320;
/// The most rows in a block: a block of `a` (120 KiB) stays in the second cache.
const MC: usize = 96;
/// The most columns packed at once: bounds the memory of packing.
const NC: usize = 4096;
/// Up to so many rows of `a` are not worth packing `b` for.
const FEW_ROWS: usize = 8;

/// What the accumulators start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From 0: the output is overwritten.
    Zero,
    /// From what the output holds: the product is added to it.
    Keep,
}

/// A view of a slice as a matrix, perhaps transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    /// Distance between neighbours in a column, and in a row; one of them is 1.
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `data` as (`rows`, `cols`), row-major, with nothing between rows.
    ///
    /// # Panics
    /// When `data` is not of that length.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "matrix: {} values for ({rows}, {cols})", data.len());
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// `data` as (`rows`, `cols`), row-major, row `i` starting at
    /// `i * row_stride`.
    ///
    /// # Panics
    /// When the last row would end beyond `data`, or rows overlap.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        let needed = if rows == 0 { 0 } else { (rows - 1) * row_stride + cols };
        assert!(
            row_stride >= cols && data.len() >= needed,
            "matrix: {} values for ({rows}, {cols}) with stride {row_stride}",
            data.len()
        );
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transpose, without moving anything.
    #[must_use]
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// `out` (m, n) = or += `a` (m, k) @ `b` (k, n).
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul(pool: &Pool, out: &mut [f32], start: Start, a: Matrix<'_>, b: Matrix<'_>) {
    let (m, n) = (a.rows, b.cols);
    assert!(
        a.cols == b.rows && out.len() == m * n,
        "matmul: ({m}, {}) @ ({}, {n}) into {} values",
        a.cols,
        b.rows,
        out.len()
    );
    if a.cols == 0 && start == Start::Zero {
        out.fill(0.0);
    }
    if out.is_empty() || a.cols == 0 {
        return;
    }
    if m <= FEW_ROWS && b.col_stride == 1 {
        few_rows(pool, out, start, a, b);
    } else {
        blocked(pool, out, start, a, b);
    }
}

thread_local! {
    /// Room for packing, kept from one product to the next.
    static PACKED_A: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static PACKED_B: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `length` values of `room`, from the beginning of a cache line: a vector
/// that lies across two lines is read as two.
fn lines(room: &mut Vec<f32>, length: usize) -> &mut [f32] {
    const LINE: usize = 64;
    if room.len() < length + LINE / 4 {
        room.resize(length + LINE / 4, 0.0);
    }
    let first = room.as_ptr().align_offset(LINE).min(LINE / 4);
    &mut room[first..first + length]
}

fn blocked(pool: &Pool, out: &mut [f32], start: Start, a: Matrix<'_>, b: Matrix<'_>) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    // Enough blocks of rows that every thread finds several.
    let rows = (m.div_ceil(pool.threads() * 4)).next_multiple_of(MR).clamp(4 * MR, MC);
    let blocks = m.div_ceil(rows);
    // Even blocks: a shallow one at the end would cost nearly as much.
    let deep = k.div_ceil(k.div_ceil(KC));
    PACKED_B.with_borrow_mut(|room| {
        for j0 in (0..n).step_by(NC) {
            let columns = NC.min(n - j0);
            let panels = columns.div_ceil(NR);
            for p0 in (0..k).step_by(deep) {
                let depth = deep.min(k - p0);
                let room = lines(room, panels * NR * depth);
                let packed = Shards::new(room);
                pool.run(panels, |p| {
                    // SAFETY: panels are disjoint.
                    let panel = unsafe { packed.part(p * NR * depth..(p + 1) * NR * depth) };
                    let first = j0 + p * NR;
                    pack_b(panel, b.data, b.row_stride, b.col_stride, p0, first, NR.min(n - first));
                });
                let packed: &[f32] = room;
                let shards = Shards::new(out);
                pool.run(blocks, |block| {
                    let i0 = block * rows;
                    let count = rows.min(m - i0);
                    // SAFETY: blocks of rows are disjoint.
                    let c = unsafe { shards.part(i0 * n..(i0 + count) * n) };
                    PACKED_A.with_borrow_mut(|room| {
                        let packed_a = lines(room, count.next_multiple_of(MR) * depth);
                        let packing = pack_a(packed_a, a, i0, count, p0);
                        let keep = p0 > 0 || start == Start::Keep;
                        row_block(c, packed_a, packing, packed, n, j0, columns, depth, keep);
                    });
                });
            }
        }
    });
}

kernel! {
/// Columns `first..first + count` of b, rows from `p0`, as rows of 16 values.
fn pack_b(panel: &mut [f32], b: &[f32], row_stride: usize, col_stride: usize, p0: usize, first: usize, count: usize) {
    if col_stride == 1 && count == NR {
        for (p, row) in panel.chunks_exact_mut(NR).enumerate() {
            let at = (p0 + p) * row_stride + first;
            row.copy_from_slice(&b[at..at + NR]);
        }
    } else {
        // Eight rows at a time: the columns of a transposed b lie in a row
        // each, and a cache line of each is used up before it is left.
        for (step, group) in panel.chunks_mut(NR * 16).enumerate() {
            for j in 0..NR {
                for (p, row) in group.chunks_exact_mut(NR).enumerate() {
                    let at = (p0 + step * 16 + p) * row_stride + (first + j) * col_stride;
                    row[j] = if j < count { b[at] } else { 0.0 };
                }
            }
        }
    }
}
}

/// Packs rows `i0..i0 + count` of a, columns from `p0`, as panels of 6 rows,
/// and says how: copied one after the other where a row of `a` lies in a row;
/// else 6 values of column p0, 6 of the next, and so on. Missing rows are 0.
fn pack_a(packed: &mut [f32], a: Matrix<'_>, i0: usize, count: usize, p0: usize) -> Packing {
    if a.col_stride == 1 {
        pack_rows(packed, a.data, a.row_stride, i0, count, p0);
        Packing::Rows
    } else {
        pack_columns(packed, a.data, a.col_stride, i0, count, p0);
        Packing::Columns
    }
}

/// How a panel of `a` lies in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// (6, depth)
    Rows,
    /// (depth, 6)
    Columns,
}

fn pack_rows(packed: &mut [f32], a: &[f32], row_stride: usize, i0: usize, count: usize, p0: usize) {
    let depth = packed.len() / count.next_multiple_of(MR);
    let (whole, rest) = packed.split_at_mut(count * depth);
    for (r, row) in whole.chunks_exact_mut(depth).enumerate() {
        let at = (i0 + r) * row_stride + p0;
        row.copy_from_slice(&a[at..at + depth]);
    }
    rest.fill(0.0);
}

kernel! {
fn pack_columns(packed: &mut [f32], a: &[f32], col_stride: usize, i0: usize, count: usize, p0: usize) {
    let depth = packed.len() / count.next_multiple_of(MR);
    // A column of a lies in a row: it is read once, for all panels.
    for p in 0..depth {
        let at = (p0 + p) * col_stride + i0;
        let column = &a[at..at + count];
        let (whole, rest) = column.as_chunks::<MR>();
        let mut panels = packed.chunks_exact_mut(MR * depth).map(|panel| &mut panel.as_chunks_mut::<MR>().0[p]);
        for (values, group) in whole.iter().zip(panels.by_ref()) {
            *group = *values;
        }
        if let Some(group) = panels.next() {
            *group = std::array::from_fn(|r| rest.get(r).copied().unwrap_or(0.0));
        }
    }
}
}

/// One block of rows times columns `j0..j0 + columns` of packed b, over
/// `depth` values of k. `c` has rows of `n`.
#[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
fn row_block(
    c: &mut [f32],
    a: &[f32],
    packing: Packing,
    b: &[f32],
    n: usize,
    j0: usize,
    columns: usize,
    depth: usize,
    keep: bool,
) {
    let rows = c.len() / n;
    for (j, b_panel) in (0..columns).step_by(NR).zip(b.chunks_exact(NR * depth)) {
        let width = NR.min(columns - j);
        for (i, a_panel) in (0..rows).step_by(MR).zip(a.chunks_exact(MR * depth)) {
            let height = MR.min(rows - i);
            let c = &mut c[i * n + j0 + j..];
            if height == MR && width == NR {
                tile(c, n, a_panel, packing, b_panel, keep);
                continue;
            }
            // At an edge, a tile beside the output takes its place.
            let mut beside = [0.0_f32; MR * NR];
            if keep {
                for (row, c) in beside.chunks_exact_mut(NR).zip(c.chunks(n)).take(height) {
                    row[..width].copy_from_slice(&c[..width]);
                }
            }
            tile(&mut beside, NR, a_panel, packing, b_panel, keep);
            for (row, c) in beside.chunks_exact(NR).zip(c.chunks_mut(n)).take(height) {
                c[..width].copy_from_slice(&row[..width]);
            }
        }
    }
}

kernel! {
/// A tile of `c`, which has rows of `n`.
fn tile(c: &mut [f32], n: usize, a: &[f32], packing: Packing, b: &[f32], keep: bool) {
    let c = &mut c[..(MR - 1) * n + NR];
    let mut tile = [[0.0_f32; NR]; MR];
    if keep {
        tile = std::array::from_fn(|r| c[r * n..r * n + NR].try_into().expect("sixteen"));
    }
    let tile = accumulate(tile, a, packing, b);
    for r in 0..MR {
        c[r * n..r * n + NR].copy_from_slice(&tile[r]);
    }
}
}

/// tile[r][c] takes a[r][p] * b[p][c] for each p in order.
#[inline(always)]
fn accumulate(mut tile: [[f32; NR]; MR], a: &[f32], packing: Packing, b: &[f32]) -> [[f32; NR]; MR] {
    let b = b.as_chunks::<NR>().0;
    match packing {
        Packing::Rows => {
            let depth = a.len() / MR;
            let [a0, a1, a2, a3, a4, a5]: [&[f32]; MR] = std::array::from_fn(|r| &a[r * depth..][..depth]);
            // Zipped, because an index would be checked at each step.
            let columns = a0.iter().zip(a1).zip(a2).zip(a3).zip(a4).zip(a5);
            for ((((((a0, a1), a2), a3), a4), a5), b) in columns.zip(b) {
                step(&mut tile, [*a0, *a1, *a2, *a3, *a4, *a5], b);
            }
        }
        Packing::Columns => {
            for (a, b) in a.as_chunks::<MR>().0.iter().zip(b) {
                step(&mut tile, *a, b);
            }
        }
    }
    tile
}

#[inline(always)]
fn step(tile: &mut [[f32; NR]; MR], a: [f32; MR], b: &[f32; NR]) {
    for r in 0..MR {
        for c in 0..NR {
            tile[r][c] = a[r].mul_add(b[c], tile[r][c]);
        }
    }
}

/// Columns that one piece of [`few_rows`] does.
const STRIP: usize = 64;

/// A few rows times a row-major `b`: `b` is read once, in order, as fast as
/// memory gives it. This is decoding.
fn few_rows(pool: &Pool, out: &mut [f32], start: Start, a: Matrix<'_>, b: Matrix<'_>) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    // Small products are not worth waking threads for.
    let strips = n.div_ceil(STRIP);
    let pieces = if n * k < 1 << 15 { 1 } else { strips.min(pool.threads() * 4) };
    let per_piece = strips.div_ceil(pieces) * STRIP;
    let shards = Shards::new(out);
    pool.run(pieces, |piece| {
        for i in 0..m {
            let columns = (piece * per_piece).min(n)..((piece + 1) * per_piece).min(n);
            // SAFETY: pieces have disjoint columns.
            let c = unsafe { shards.part(i * n + columns.start..i * n + columns.end) };
            for (s, strip) in c.chunks_mut(STRIP).enumerate() {
                let j0 = columns.start + s * STRIP;
                row_times(
                    strip,
                    a.data,
                    i * a.row_stride,
                    a.col_stride,
                    b.data,
                    b.row_stride,
                    j0,
                    k,
                    start == Start::Keep,
                );
            }
        }
    });
}

kernel! {
/// A strip of one output row.
fn row_times(strip: &mut [f32], a: &[f32], a_first: usize, a_step: usize, b: &[f32], row_stride: usize, j0: usize, k: usize, keep: bool) {
    let mut sums = [0.0_f32; STRIP];
    let width = strip.len();
    if keep {
        sums[..width].copy_from_slice(strip);
    }
    if width == STRIP {
        for p in 0..k {
            let x = a[a_first + p * a_step];
            let at = p * row_stride + j0;
            let row: &[f32; STRIP] = b[at..at + STRIP].try_into().expect("a whole strip");
            for (sum, y) in sums.iter_mut().zip(row) {
                *sum = x.mul_add(*y, *sum);
            }
        }
    } else {
        for p in 0..k {
            let x = a[a_first + p * a_step];
            let at = p * row_stride + j0;
            for (sum, y) in sums.iter_mut().zip(&b[at..at + width]) {
                *sum = x.mul_add(*y, *sum);
            }
        }
    }
    strip.copy_from_slice(&sums[..width]);
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::Stream;

    fn random(n: usize, index: u64) -> Vec<f32> {
        let mut stream = Stream::new(1, 1, index);
        (0..n).map(|_| stream.next_f32() * 2.0 - 1.0).collect()
    }

    fn at(m: &Matrix<'_>, i: usize, j: usize) -> f32 {
        m.data[i * m.row_stride + j * m.col_stride]
    }

    /// The definition, word for word.
    fn plain(out: &mut [f32], start: Start, a: &Matrix<'_>, b: &Matrix<'_>) {
        for i in 0..a.rows {
            for j in 0..b.cols {
                let first = if start == Start::Keep { out[i * b.cols + j] } else { 0.0 };
                out[i * b.cols + j] = (0..a.cols).fold(first, |sum, p| at(a, i, p).mul_add(at(b, p, j), sum));
            }
        }
    }

    fn check(pool: &Pool, m: usize, n: usize, k: usize, start: Start) {
        let (a, b) = (random(m * k, 1), random(k * n, 2));
        for layout in 0..4 {
            let a = if layout & 1 == 0 { Matrix::new(&a, m, k) } else { Matrix::new(&a, k, m).t() };
            let b = if layout & 2 == 0 { Matrix::new(&b, k, n) } else { Matrix::new(&b, n, k).t() };
            let mut expected = random(m * n, 3);
            let mut found = expected.clone();
            plain(&mut expected, start, &a, &b);
            matmul(pool, &mut found, start, a, b);
            let same = expected.iter().zip(&found).all(|(x, y)| x.to_bits() == y.to_bits());
            assert!(same, "({m}, {k}) @ ({k}, {n}), layout {layout}, {start:?}, {} threads", pool.threads());
        }
    }

    #[test]
    fn every_shape_has_the_bits_of_the_definition() {
        let sizes = [0, 1, 2, 5, 6, 7, 8, 9, 15, 16, 17, 33, 65];
        for threads in [1, 2, 3] {
            let pool = Pool::new(threads);
            for m in sizes {
                for n in sizes {
                    check(&pool, m, n, 19, Start::Zero);
                    check(&pool, m, n, 7, Start::Keep);
                }
                check(&pool, m, 130, 2 * KC + 3, Start::Keep);
                check(&pool, 100 + m, 40, KC + 1, Start::Zero);
                check(&pool, 13, 17, m, Start::Zero);
            }
            check(&pool, 10, NC + 17, 3, Start::Zero);
        }
    }

    #[test]
    fn rows_may_lie_apart() {
        let pool = Pool::new(2);
        let (a, b) = (random(20 * 50, 1), random(30 * 40, 2));
        let (a, b) = (Matrix::strided(&a[7..], 19, 30, 50), Matrix::strided(&b, 30, 25, 40));
        let (mut expected, mut found) = (vec![0.0; 19 * 25], vec![0.0; 19 * 25]);
        plain(&mut expected, Start::Zero, &a, &b);
        matmul(&pool, &mut found, Start::Zero, a, b);
        assert_eq!(expected, found);
    }

    #[test]
    #[should_panic(expected = "matmul: (2, 3) @ (4, 5)")]
    fn shapes_that_do_not_fit_are_named() {
        let data = [0.0; 20];
        matmul(&Pool::new(1), &mut [0.0; 10], Start::Zero, Matrix::new(&data[..6], 2, 3), Matrix::new(&data, 4, 5));
    }
}
