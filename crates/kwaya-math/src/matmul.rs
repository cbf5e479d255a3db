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
    tile::{Left, MR, NR, lines, pack, tile},
};

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
                    pack(panel, b.data, b.row_stride, b.col_stride, p0, first, NR.min(n - first));
                });
                let packed: &[f32] = room;
                let shards = Shards::new(out);
                pool.run(blocks, |block| {
                    let i0 = block * rows;
                    let count = rows.min(m - i0);
                    // SAFETY: blocks of rows are disjoint.
                    let c = unsafe { shards.part(i0 * n..(i0 + count) * n) };
                    let keep = p0 > 0 || start == Start::Keep;
                    PACKED_A.with_borrow_mut(|room| {
                        let room = lines(room, count.next_multiple_of(MR) * depth);
                        let lefts = block_of_a(room, a, i0, count, p0, depth);
                        for (j, panel) in (j0..n).step_by(NR).zip(packed.chunks_exact(NR * depth)) {
                            for i in (0..count).step_by(MR) {
                                tile(&mut c[i * n + j..], n, n - j, lefts(i), panel, keep);
                            }
                        }
                    });
                });
            }
        }
    });
}

/// Rows `i0..i0 + count` of `a`, columns `p0..p0 + depth`, for tiles: given the
/// first row in the block, the rows from there.
///
/// Rows are copied one after the other, so that they lie close together; of a
/// transposed `a`, 6 values of column p0, 6 of the next, and so on.
fn block_of_a<'r>(
    room: &'r mut [f32],
    a: Matrix<'_>,
    i0: usize,
    count: usize,
    p0: usize,
    depth: usize,
) -> impl Fn(usize) -> Left<'r> {
    let rows = a.col_stride == 1;
    if rows {
        for (r, row) in room.chunks_exact_mut(depth).take(count).enumerate() {
            let at = (i0 + r) * a.row_stride + p0;
            row.copy_from_slice(&a.data[at..at + depth]);
        }
    } else {
        pack_columns(room, a.data, a.col_stride, i0, count, p0, depth);
    }
    let room: &[f32] = room;
    move |i| {
        let (at, left) = (&room[i * depth..], count - i);
        if rows { Left::rows(at, depth, left) } else { Left::columns(&at[..MR * depth], MR, left) }
    }
}

kernel! {
fn pack_columns(packed: &mut [f32], a: &[f32], col_stride: usize, i0: usize, count: usize, p0: usize, depth: usize) {
    // A column of a lies in a row: it is read once, for all panels.
    for p in 0..depth {
        let at = (p0 + p) * col_stride + i0;
        let (whole, rest) = a[at..at + count].as_chunks::<MR>();
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
