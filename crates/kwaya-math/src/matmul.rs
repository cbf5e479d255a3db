//! Matrix products.
//!
//! Each output is one accumulator that starts at 0 (or at what the output
//! holds) and takes `k` in ascending order by fused multiply-add:
//!
//! ```text
//! for i in 0..m { for j in 0..n { for p in 0..k { c[i][j] = fma(a[i][p], b[p][j], c[i][j]) } } }
//! ```
//!
//! In bfloat16 the operands are rounded first, and `k` is taken in pairs, the
//! odd one first (see `vector.rs`), or number by number in that order.
//!
//! For speed (Goto and van de Geijn, "Anatomy of high-performance matrix
//! multiplication", 2008), with the same order for each output:
//! 1. `k` is cut into blocks that fit the cache; between two blocks the
//!    accumulators rest in the output, which is exact.
//! 2. A block of `b` is packed into panels as wide as a tile, so that the
//!    inner loop reads it in a row whatever its layout was.
//! 3. The output is cut into blocks of rows, and of columns where rows are
//!    few, which are what threads take; each packs its part of `a`.
//! 4. The inner loop (`tile.rs`) keeps its accumulators in registers.

use std::cell::RefCell;

use crate::{
    caches,
    pack::{groups_of_columns, lines, panel_of_columns, panel_of_rows, words},
    pool::{Pool, Shards},
    tile::{COLUMNS, First, Left, Output, Precision, Right, Word, product, size},
};

/// The fewest columns that are worth packing rows of `a` for.
const STRIPE: usize = 384;

/// What the accumulators start from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start<'a> {
    /// From 0: the output is overwritten.
    Zero,
    /// From what the output holds: the product is added to it.
    Keep,
    /// From what another matrix of its shape holds: the output is overwritten
    /// with the sum.
    From(&'a [f32]),
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

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns it has.
    pub fn cols(&self) -> usize {
        self.cols
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
pub fn matmul(pool: &Pool, out: &mut [f32], start: Start<'_>, a: Matrix<'_>, b: Matrix<'_>, precision: Precision) {
    check(out, start, a, b);
    if out.is_empty() || a.cols == 0 {
        match start {
            Start::Zero => out.fill(0.0),
            Start::Keep => {}
            Start::From(first) => out.copy_from_slice(first),
        }
        return;
    }
    blocked(pool, out, start, (a, b), None, precision);
}

/// [`matmul`] of `first`, and then the product of `second` added to it: the
/// bits of one call after the other, but the output goes through memory once.
/// For a second product of little depth.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul_two(
    pool: &Pool,
    out: &mut [f32],
    start: Start<'_>,
    first: (Matrix<'_>, Matrix<'_>),
    second: (Matrix<'_>, Matrix<'_>),
    precision: Precision,
) {
    check(out, start, first.0, first.1);
    check(out, start, second.0, second.1);
    if out.is_empty() || first.0.cols == 0 || second.0.cols == 0 {
        matmul(pool, out, start, first.0, first.1, precision);
        matmul(pool, out, Start::Keep, second.0, second.1, precision);
    } else {
        blocked(pool, out, start, first, Some(second), precision);
    }
}

fn check(out: &[f32], start: Start<'_>, a: Matrix<'_>, b: Matrix<'_>) {
    let (m, n) = (a.rows, b.cols);
    assert!(
        a.cols == b.rows && out.len() == m * n,
        "matmul: ({m}, {}) @ ({}, {n}) into {} values",
        a.cols,
        b.rows,
        out.len()
    );
    if let Start::From(first) = start {
        assert_eq!(first.len(), out.len(), "matmul: a start of {} values for {}", first.len(), out.len());
    }
}

thread_local! {
    /// Room for packing, kept from one product to the next.
    static PACKED_A: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static PACKED_B: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The product of `first`, and after its last block of depth that of `second`,
/// as one block more.
fn blocked(
    pool: &Pool,
    out: &mut [f32],
    start: Start<'_>,
    first: (Matrix<'_>, Matrix<'_>),
    second: Option<(Matrix<'_>, Matrix<'_>)>,
    precision: Precision,
) {
    let (m, n, k) = (first.0.rows, first.1.cols, first.0.cols);
    let tile = size();
    let fit = caches::blocks();
    let rows = rows_of_a_block(m, pool.threads(), tile.rows, fit.rows);
    let (blocks, pieces) = (m.div_ceil(rows), pool.threads() * 4);
    // Even blocks of depth: a shallow one at the end would cost nearly as much.
    let word = Word::of(precision);
    let deepest = fit.depth * word.numbers();
    let deep = k.div_ceil(k.div_ceil(deepest)).next_multiple_of(2);
    PACKED_B.with_borrow_mut(|room| {
        for j0 in (0..n).step_by(fit.columns) {
            let columns = fit.columns.min(n - j0);
            let panels = columns.div_ceil(tile.columns);
            let stripes = pieces.div_ceil(blocks).clamp(1, columns.div_ceil(STRIPE));
            let stripe = panels.div_ceil(stripes) * tile.columns;
            let stripes = columns.div_ceil(stripe);
            // Blocks of depth packed at once, as many as there is room for:
            // threads meet twice for all of them, not for each.
            let filled = columns.next_multiple_of(COLUMNS);
            let at_once = (fit.columns * fit.depth / (filled * word.words(deep))).max(1) * deep;
            for k0 in (0..k).step_by(at_once) {
                let until = k.min(k0 + at_once);
                let own = (until - k0).div_ceil(deep);
                let deeps = own + usize::from(second.is_some() && until == k);
                // A block of depth: the product it is of, where it begins in
                // k, and its place in the packed part.
                let block_of_b = |d: usize| {
                    let (product, p0, depth) = match second {
                        Some(second) if d == own => (second, 0, second.0.cols),
                        _ => (first, k0 + d * deep, deep.min(until - k0 - d * deep)),
                    };
                    let length = word.words(depth);
                    let start = filled * d * word.words(deep);
                    (product, p0, depth, length, start..start + filled * length)
                };
                let room = lines(room, block_of_b(deeps - 1).4.end);
                let packed = Shards::new(room);
                pool.run(panels * deeps, |piece| {
                    let ((_, b), p0, depth, length, whole) = block_of_b(piece / panels);
                    let j = piece % panels * tile.columns;
                    let count = tile.columns.min(columns - j);
                    let range = j * length..(j + count.next_multiple_of(COLUMNS)) * length;
                    // SAFETY: panels are disjoint.
                    let panel = unsafe { packed.part(whole.start + range.start..whole.start + range.end) };
                    if b.col_stride == 1 {
                        panel_of_rows(panel, b.data, b.row_stride, p0, depth, j0 + j, count, word);
                    } else {
                        panel_of_columns(panel, b.data, b.col_stride, p0, depth, j0 + j, count, word);
                    }
                });
                let packed: &[f32] = room;
                let shards = Shards::new(out);
                pool.run(blocks * stripes, |piece| {
                    let (i0, j) = (piece / stripes * rows, piece % stripes * stripe);
                    let (count, width) = (rows.min(m - i0), stripe.min(columns - j));
                    let at = i0 * n + j0 + j;
                    PACKED_A.with_borrow_mut(|room| {
                        // All that a block may need, so that no later one takes more.
                        lines(room, fit.rows * fit.depth);
                        for (d, ((a, _), p0, depth, length, whole)) in (0..deeps).map(block_of_b).enumerate() {
                            let room = lines(room, count.next_multiple_of(tile.rows) * length);
                            let left = block_of_a(room, a, i0, count, p0, depth, word);
                            // SAFETY: pieces have rows and columns of their own.
                            let out = unsafe { Output::shared(&shards, at, n, count, width) };
                            let start = match start {
                                Start::Zero if k0 + d == 0 => First::Zero,
                                Start::From(values) if k0 + d == 0 => First::From(&values[at..]),
                                _ => First::Output,
                            };
                            let right = Right::panels(&packed[whole], length).after_column(j);
                            product(precision, out, left, right, length, start);
                        }
                    });
                });
            }
        }
    });
}

/// So many rows that the thread with the most blocks has the fewest rows, and
/// of several such the fewest: threads that are slowed down then take fewer.
fn rows_of_a_block(m: usize, threads: usize, group: usize, most: usize) -> usize {
    let busiest = |rows: usize| m.div_ceil(rows).div_ceil(threads) * rows;
    let choices = (4..=(most / group).max(4)).map(|groups| groups * group);
    choices.min_by_key(|rows| (busiest(*rows), *rows)).expect("at least one choice")
}

/// Rows `i0..i0 + count` of `a`, columns `p0..p0 + depth`, as words: of f32
/// where they are; rounded rows one after the other; of a transposed `a`,
/// groups of as many as a tile has.
fn block_of_a<'r>(
    room: &'r mut [f32],
    a: Matrix<'r>,
    i0: usize,
    count: usize,
    p0: usize,
    depth: usize,
    word: Word,
) -> Left<'r> {
    let length = word.words(depth);
    // Rows a multiple of a page apart would push each other out of the cache.
    let apart = !(a.row_stride * size_of::<f32>()).is_multiple_of(4096);
    if a.col_stride == 1 && word == Word::Number && apart {
        Left::rows(&a.data[i0 * a.row_stride + p0..], a.row_stride)
    } else if a.col_stride == 1 {
        for (r, out) in room.chunks_exact_mut(length).take(count).enumerate() {
            words(out, &a.data[(i0 + r) * a.row_stride + p0..][..depth], word);
        }
        Left::rows(room, length)
    } else {
        groups_of_columns(room, a.data, a.col_stride, i0, count, p0, depth, word);
        Left::packed(room, length)
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
    fn plain(out: &mut [f32], start: Start<'_>, a: &Matrix<'_>, b: &Matrix<'_>) {
        for i in 0..a.rows {
            for j in 0..b.cols {
                let first = match start {
                    Start::Zero => 0.0,
                    Start::Keep => out[i * b.cols + j],
                    Start::From(first) => first[i * b.cols + j],
                };
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
            matmul(pool, &mut found, start, a, b, Precision::F32);
            let same = expected.iter().zip(&found).all(|(x, y)| x.to_bits() == y.to_bits());
            assert!(same, "({m}, {k}) @ ({k}, {n}), layout {layout}, {start:?}, {} threads", pool.threads());
        }
    }

    #[test]
    fn every_shape_has_the_bits_of_the_definition() {
        let caches::Blocks { depth, columns, .. } = caches::blocks();
        let sizes = [0, 1, 2, 5, 6, 7, 8, 9, 15, 16, 17, 33, 65];
        for threads in [1, 2, 3] {
            let pool = Pool::new(threads);
            for m in sizes {
                for n in sizes {
                    check(&pool, m, n, 19, Start::Zero);
                    check(&pool, m, n, 7, Start::Keep);
                    check(&pool, m, n, 9, Start::From(&random(m * n, 4)));
                }
                check(&pool, m, 130, 2 * depth + 3, Start::Keep);
                check(&pool, 100 + m, 40, depth + 1, Start::Zero);
                check(&pool, 13, 17, m, Start::Zero);
            }
            check(&pool, 10, columns + 17, 3, Start::Zero);
        }
    }

    /// The bits of one product and then the other, of any depth, on any number
    /// of threads.
    #[test]
    fn two_products_are_one_after_the_other() {
        let caches::Blocks { depth, columns, .. } = caches::blocks();
        for (threads, m, n, k, thin) in [
            (1, 7, 50, 5, 3),
            (2, 33, 65, 19, 16),
            (3, 100, 40, depth + 1, 5),
            (2, 20, columns + 17, 2 * depth + 3, depth + 2),
            (2, 17, 9, 4, 0),
            (2, 17, 9, 0, 4),
        ] {
            let pool = Pool::new(threads);
            let (a, b, from) = (random(m * k, 1), random(k * n, 2), random(m * n, 3));
            let (c, d) = (random(m * thin, 4), random(thin * n, 5));
            let first = (Matrix::new(&a, m, k), Matrix::new(&b, n, k).t());
            let second = (Matrix::new(&c, m, thin), Matrix::new(&d, thin, n));
            for start in [Start::Zero, Start::Keep, Start::From(&from)] {
                for precision in [Precision::F32, Precision::Bf16] {
                    let (mut expected, mut found) = (random(m * n, 6), random(m * n, 6));
                    matmul(&pool, &mut expected, start, first.0, first.1, precision);
                    matmul(&pool, &mut expected, Start::Keep, second.0, second.1, precision);
                    matmul_two(&pool, &mut found, start, first, second, precision);
                    let same = expected.iter().zip(&found).all(|(x, y)| x.to_bits() == y.to_bits());
                    assert!(same, "({m}, {k} and {thin}, {n}), {start:?}, {precision:?}");
                }
            }
        }
    }

    #[test]
    fn rows_may_lie_apart() {
        let pool = Pool::new(2);
        let (a, b) = (random(20 * 50, 1), random(30 * 40, 2));
        let (a, b) = (Matrix::strided(&a[7..], 19, 30, 50), Matrix::strided(&b, 30, 25, 40));
        let (mut expected, mut found) = (vec![0.0; 19 * 25], vec![0.0; 19 * 25]);
        plain(&mut expected, Start::Zero, &a, &b);
        matmul(&pool, &mut found, Start::Zero, a, b, Precision::F32);
        assert_eq!(expected, found);
    }

    #[test]
    #[should_panic(expected = "matmul: (2, 3) @ (4, 5)")]
    fn shapes_that_do_not_fit_are_named() {
        let data = [0.0; 20];
        matmul(
            &Pool::new(1),
            &mut [0.0; 10],
            Start::Zero,
            Matrix::new(&data[..6], 2, 3),
            Matrix::new(&data, 4, 5),
            Precision::F32,
        );
    }
}
