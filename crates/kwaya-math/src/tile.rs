//! The tile: the inner loop of every product, 6 rows by 16 columns of outputs
//! held in registers. Vectors run across outputs, never across `k`, and each
//! output takes `k` in order by fused multiply-add.

use crate::isa::kernel;

/// Rows of a tile.
pub(crate) const MR: usize = 6;
/// Columns of a tile.
pub(crate) const NR: usize = 16;

/// The left operand of a tile: up to [`MR`] rows of it, wherever they lie.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    data: &'a [f32],
    stride: usize,
    rows: usize,
    layout: Layout,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Row `r` begins at `r * stride`.
    Rows,
    /// Column `p` begins at `p * stride` and has [`MR`] values, of which
    /// those beyond `rows` mean nothing.
    Columns,
}

impl<'a> Left<'a> {
    pub(crate) fn rows(data: &'a [f32], stride: usize, rows: usize) -> Self {
        Self { data, stride, rows: rows.min(MR), layout: Layout::Rows }
    }

    pub(crate) fn columns(data: &'a [f32], stride: usize, rows: usize) -> Self {
        Self { data, stride, rows: rows.min(MR), layout: Layout::Columns }
    }
}

/// `c` = or += `a` times `panel` (depth, 16). `c` has rows of `n`; as many rows
/// as `a` has and `width` columns of it are changed.
pub(crate) fn tile(c: &mut [f32], n: usize, width: usize, a: Left<'_>, panel: &[f32], keep: bool) {
    if a.rows == MR && width >= NR {
        return whole(c, n, a, panel, keep);
    }
    // At an edge, a tile beside the output takes its place.
    let mut beside = [0.0_f32; MR * NR];
    let width = width.min(NR);
    if keep {
        for (row, c) in beside.chunks_exact_mut(NR).zip(c.chunks(n)).take(a.rows) {
            row[..width].copy_from_slice(&c[..width]);
        }
    }
    whole(&mut beside, NR, a, panel, keep);
    for (row, c) in beside.chunks_exact(NR).zip(c.chunks_mut(n)).take(a.rows) {
        c[..width].copy_from_slice(&row[..width]);
    }
}

kernel! {
fn whole(c: &mut [f32], n: usize, a: Left<'_>, panel: &[f32], keep: bool) {
    let c = &mut c[..(MR - 1) * n + NR];
    let mut tile = [[0.0_f32; NR]; MR];
    if keep {
        tile = std::array::from_fn(|r| c[r * n..r * n + NR].try_into().expect("sixteen"));
    }
    let tile = accumulate(tile, a, panel.as_chunks().0);
    for r in 0..MR {
        c[r * n..r * n + NR].copy_from_slice(&tile[r]);
    }
}
}

/// tile[r][c] takes a[r][p] * b[p][c] for each p in order.
#[inline(always)]
fn accumulate(mut tile: [[f32; NR]; MR], a: Left<'_>, b: &[[f32; NR]]) -> [[f32; NR]; MR] {
    match a.layout {
        Layout::Rows => {
            // A row that is missing is the last one again.
            let row = |r: usize| &a.data[r.min(a.rows - 1) * a.stride..][..b.len()];
            let [a0, a1, a2, a3, a4, a5]: [&[f32]; MR] = std::array::from_fn(row);
            // Zipped, because an index would be checked at each step.
            let columns = a0.iter().zip(a1).zip(a2).zip(a3).zip(a4).zip(a5);
            for ((((((a0, a1), a2), a3), a4), a5), b) in columns.zip(b) {
                step(&mut tile, &[*a0, *a1, *a2, *a3, *a4, *a5], b);
            }
        }
        Layout::Columns => {
            for (column, b) in a.data.chunks(a.stride).zip(b) {
                step(&mut tile, column.first_chunk().expect("six"), b);
            }
        }
    }
    tile
}

#[inline(always)]
fn step(tile: &mut [[f32; NR]; MR], a: &[f32; MR], b: &[f32; NR]) {
    for r in 0..MR {
        for c in 0..NR {
            tile[r][c] = a[r].mul_add(b[c], tile[r][c]);
        }
    }
}

/// A transposed matrix is packed by squares of this side, which fit registers.
const SQUARE: usize = 4;

kernel! {
/// Rows of `b` from `p0` on, columns `first..first + count`, as a panel
/// (depth, 16), filled up with 0.
pub(crate) fn pack(panel: &mut [f32], b: &[f32], row_stride: usize, col_stride: usize, p0: usize, first: usize, count: usize) {
    if col_stride == 1 {
        for (p, row) in panel.as_chunks_mut::<NR>().0.iter_mut().enumerate() {
            let from = &b[(p0 + p) * row_stride + first..];
            match from.first_chunk() {
                Some(from) if count == NR => *row = *from,
                _ => *row = std::array::from_fn(|j| if j < count { from[j] } else { 0.0 }),
            }
        }
    } else {
        let depth = panel.len() / NR;
        let mut p = 0;
        while row_stride == 1 && count == NR && p + SQUARE <= depth {
            let rows = &mut panel.as_chunks_mut::<NR>().0[p..p + SQUARE];
            for j in (0..NR).step_by(SQUARE) {
                let column = |j: usize| b[(first + j) * col_stride + p0 + p..].first_chunk::<SQUARE>().expect("a square");
                let columns: [&[f32; SQUARE]; SQUARE] = std::array::from_fn(|c| column(j + c));
                for (p, row) in rows.iter_mut().enumerate() {
                    let values: [f32; SQUARE] = std::array::from_fn(|c| columns[c][p]);
                    row[j..j + SQUARE].copy_from_slice(&values);
                }
            }
            p += SQUARE;
        }
        for (p, row) in panel.as_chunks_mut::<NR>().0.iter_mut().enumerate().skip(p) {
            let at = |j: usize| b[(p0 + p) * row_stride + (first + j) * col_stride];
            *row = std::array::from_fn(|j| if j < count { at(j) } else { 0.0 });
        }
    }
}
}

/// `length` values of `room`, from the beginning of a cache line: a vector
/// that lies across two lines is read as two.
pub(crate) fn lines(room: &mut Vec<f32>, length: usize) -> &mut [f32] {
    const LINE: usize = 64;
    if room.len() < length + LINE / 4 {
        room.resize(length + LINE / 4, 0.0);
    }
    let first = room.as_ptr().align_offset(LINE).min(LINE / 4);
    &mut room[first..first + length]
}
