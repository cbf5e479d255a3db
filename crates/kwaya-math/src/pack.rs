//! Operands of products on their way into the cache: panels of columns of
//! `b`, rows or groups of rows of `a`, as words of 32 bits, each an f32 or two
//! neighbours in `k` rounded to bfloat16, or one of them ([`Word`]).
#![cfg_attr(
    target_arch = "aarch64",
    allow(unused_imports, unused_mut, unused_variables, reason = "what chooses AVX-512 has no choice there")
)]

#[cfg(target_arch = "x86_64")]
mod x86;

use crate::{
    isa::{Isa, current, kernel},
    tile::{COLUMNS, Word, size},
};

/// The bfloat16 nearest to `x`, ties to even; a denormal becomes a zero of
/// its sign first. As the x86 instruction `vcvtneps2bf16` rounds.
#[inline(always)]
pub(crate) fn bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    let value = if bits & 0x7f80_0000 == 0 { bits >> 31 << 15 } else { rounded };
    if x.is_nan() { bits >> 16 | 0x40 } else { value }
}

/// A word of two neighbours.
#[inline(always)]
fn pair(even: f32, odd: f32) -> f32 {
    f32::from_bits(bf16(even) | bf16(odd) << 16)
}

/// A number as [`Word::Rounded`] has it.
#[inline(always)]
fn rounded(x: f32) -> f32 {
    f32::from_bits(bf16(x) << 16)
}

/// A row of numbers as words; where there is one too few, with +0.
pub(crate) fn words(out: &mut [f32], row: &[f32], word: Word) {
    match word {
        Word::Number => out.copy_from_slice(row),
        Word::Rounded => {
            let mut done = 0;
            #[cfg(target_arch = "x86_64")]
            if current() != Isa::Portable {
                // SAFETY: `current` found the instructions, as all others have AVX2.
                done = unsafe { x86::words_rounded(out, row) };
            }
            words_rounded(&mut out[done..], &row[done..]);
        }
        Word::Pair => {
            let mut done = 0;
            #[cfg(target_arch = "x86_64")]
            if current() == Isa::Avx512Bf16 {
                // SAFETY: `current` found the instructions.
                done = unsafe { x86::words(out, row) };
            }
            words_plain(&mut out[done..], &row[2 * done..]);
        }
    }
}

fn words_rounded(out: &mut [f32], row: &[f32]) {
    for (out, row) in out.chunks_exact_mut(2).zip(row.chunks(2)) {
        out.copy_from_slice(&[row.get(1).map_or(0.0, |odd| rounded(*odd)), rounded(row[0])]);
    }
}

kernel! {
fn words_plain(out: &mut [f32], row: &[f32]) {
    let (pairs, rest) = row.as_chunks::<2>();
    for (out, [even, odd]) in out.iter_mut().zip(pairs) {
        *out = pair(*even, *odd);
    }
    if let ([last], Some(out)) = (rest, out.last_mut()) {
        *out = pair(*last, 0.0);
    }
}
}

/// Columns `first..first + count` of rows `p0..p0 + depth` of a row-major
/// matrix as a panel, row by row, filled up with +0 to a multiple of 16.
#[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
pub(crate) fn panel_of_rows(
    panel: &mut [f32],
    x: &[f32],
    stride: usize,
    p0: usize,
    depth: usize,
    first: usize,
    count: usize,
    word: Word,
) {
    let x = &x[p0 * stride + first..];
    match word {
        Word::Number => panel_of_f32(panel, x, stride, depth, count),
        Word::Rounded => panel_of_rounded(panel, x, stride, depth, count),
        Word::Pair => {
            let mut done = 0;
            #[cfg(target_arch = "x86_64")]
            if current() == Isa::Avx512Bf16 && count.is_multiple_of(COLUMNS) {
                // SAFETY: `current` found the instructions.
                done = unsafe { x86::panel(panel, x, stride, depth / 2, count) };
            }
            panel_of_pairs(panel, x, stride, depth, count, done);
        }
    }
}

kernel! {
fn panel_of_f32(panel: &mut [f32], x: &[f32], stride: usize, depth: usize, count: usize) {
    let width = count.next_multiple_of(COLUMNS);
    for (p, out) in panel.chunks_exact_mut(width).enumerate().take(depth) {
        let row = &x[p * stride..][..count];
        // A copy of a known length needs no call.
        match count {
            48 => copy::<48>(out, row),
            32 => copy::<32>(out, row),
            16 => copy::<16>(out, row),
            _ => {
                let (out, fill) = out.split_at_mut(count);
                out.copy_from_slice(row);
                fill.fill(0.0);
            }
        }
    }
}
}

#[inline(always)]
fn copy<const N: usize>(out: &mut [f32], row: &[f32]) {
    *out.first_chunk_mut::<N>().expect("a row of a panel") = *row.first_chunk().expect("a row");
}

fn panel_of_rounded(panel: &mut [f32], x: &[f32], stride: usize, depth: usize, count: usize) {
    let width = count.next_multiple_of(COLUMNS);
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if width == count && current() != Isa::Portable {
        // SAFETY: `current` found the instructions, as all others have AVX2.
        done = unsafe { x86::panel_rounded(panel, x, stride, depth, count) };
    }
    for (p, out) in panel.chunks_exact_mut(width).enumerate().skip(done) {
        // The odd one first; past the last there is +0.
        out.fill(0.0);
        if p ^ 1 < depth {
            for (out, x) in out.iter_mut().zip(&x[(p ^ 1) * stride..][..count]) {
                *out = rounded(*x);
            }
        }
    }
}

kernel! {
/// From word `from` of each column on.
fn panel_of_pairs(panel: &mut [f32], x: &[f32], stride: usize, depth: usize, count: usize, from: usize) {
    let width = count.next_multiple_of(COLUMNS);
    for (p, out) in panel.chunks_exact_mut(width).enumerate().skip(from) {
        let (out, fill) = out.split_at_mut(count);
        fill.fill(0.0);
        let even = &x[2 * p * stride..][..count];
        if 2 * p + 1 < depth {
            for ((out, even), odd) in out.iter_mut().zip(even).zip(&x[(2 * p + 1) * stride..][..count]) {
                *out = pair(*even, *odd);
            }
        } else {
            for (out, even) in out.iter_mut().zip(even) {
                *out = pair(*even, 0.0);
            }
        }
    }
}
}

/// Rows `first..first + count`, from column `p0` on, of a row-major matrix as
/// the columns of a panel (words, width), filled up with +0.
#[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
pub(crate) fn panel_of_columns(
    panel: &mut [f32],
    x: &[f32],
    stride: usize,
    p0: usize,
    depth: usize,
    first: usize,
    count: usize,
    word: Word,
) {
    /// Numbers of a row that are rounded at once, beside the panel.
    const PART: usize = 64;
    let (width, length) = (count.next_multiple_of(COLUMNS), word.words(depth));
    let row = |i: usize, p: usize, length: usize| &x[(first + i) * stride + p0 + p..][..length];
    let mut beside = [[0.0_f32; PART]; COLUMNS];
    for j in (0..width).step_by(COLUMNS) {
        let real = COLUMNS.min(count.saturating_sub(j));
        for p in (0..length).step_by(PART) {
            let part = PART.min(length - p);
            let out = &mut panel[p * width + j..];
            if word == Word::Number && real == COLUMNS {
                transpose(out, width, std::array::from_fn(|i| row(j + i, p, part)));
                continue;
            }
            let from = p * word.numbers();
            let numbers = (part * word.numbers()).min(depth - from);
            for (i, beside) in beside.iter_mut().enumerate() {
                if i < real {
                    words(&mut beside[..part], row(j + i, from, numbers), word);
                } else {
                    beside.fill(0.0);
                }
            }
            transpose(out, width, beside.each_ref().map(|row| &row[..part]));
        }
    }
}

/// `out[p * stride + i] = rows[i][p]`.
fn transpose(out: &mut [f32], stride: usize, rows: [&[f32]; COLUMNS]) {
    let length = rows[0].len();
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if current() != Isa::Portable {
        let wide = current() != Isa::Avx2;
        let square = if wide { COLUMNS } else { 8 };
        done = length / square * square;
        assert!(rows.iter().all(|row| row.len() == length));
        assert!(done == 0 || out.len() >= (done - 1) * stride + COLUMNS, "transpose: the output is too short");
        let (out, rows) = (out.as_mut_ptr(), rows.map(<[f32]>::as_ptr));
        // SAFETY: the lengths were checked, and `current` found the
        // instructions.
        unsafe { if wide { x86::squares(out, stride, rows, done) } else { x86::squares_of_8(out, stride, rows, done) } }
    }
    transpose_plain(out, stride, rows, done);
}

kernel! {
/// From place `from` on.
fn transpose_plain(out: &mut [f32], stride: usize, rows: [&[f32]; COLUMNS], from: usize) {
    /// Fits the registers.
    const SQUARE: usize = 4;
    let length = rows[0].len();
    let mut p = from;
    while p + SQUARE <= length {
        for i in (0..COLUMNS).step_by(SQUARE) {
            let square: [&[f32; SQUARE]; SQUARE] = std::array::from_fn(|r| rows[i + r][p..].first_chunk().expect("a square"));
            for q in 0..SQUARE {
                let values: [f32; SQUARE] = std::array::from_fn(|r| square[r][q]);
                out[(p + q) * stride + i..][..SQUARE].copy_from_slice(&values);
            }
        }
        p += SQUARE;
    }
    for p in p..length {
        for (i, row) in rows.iter().enumerate() {
            out[p * stride + i] = row[p];
        }
    }
}
}

/// Columns `i0..i0 + count` of rows `p0..p0 + depth` of a row-major matrix,
/// as groups of as many of them as a tile has rows: in each, one word for
/// each, then the next word, and so on. The last group is filled up with +0.
#[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
pub(crate) fn groups_of_columns(
    packed: &mut [f32],
    a: &[f32],
    stride: usize,
    i0: usize,
    count: usize,
    p0: usize,
    depth: usize,
    word: Word,
) {
    let a = &a[p0 * stride + i0..];
    #[cfg(target_arch = "x86_64")]
    if current() == Isa::Avx512Bf16 && word == Word::Pair && depth.is_multiple_of(2) && count.is_multiple_of(COLUMNS) {
        // SAFETY: `current` found the instructions.
        return unsafe { x86::groups(packed, a, stride, count, depth / 2) };
    }
    let groups = match size().rows {
        8 => groups_of_eight,
        6 => groups_of_six,
        4 => groups_of_four,
        other => unreachable!("a tile of {other} rows"),
    };
    groups(packed, a, stride, count, depth, word);
}

// `kernel!` takes no parameters of constants.
macro_rules! groups {
    ($($name:ident: $group:literal;)*) => {$(
        kernel! {
        fn $name(packed: &mut [f32], a: &[f32], stride: usize, count: usize, depth: usize, word: Word) {
            groups_inline::<$group>(packed, a, stride, count, depth, word);
        }
        }
    )*};
}
groups! { groups_of_eight: 8; groups_of_six: 6; groups_of_four: 4; }

#[inline(always)]
fn groups_inline<const G: usize>(packed: &mut [f32], a: &[f32], stride: usize, count: usize, depth: usize, word: Word) {
    let length = word.words(depth);
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if word != Word::Pair && current() != Isa::Portable {
        // SAFETY: `current` found the instructions, as all others have AVX2.
        done = unsafe { x86::groups_of(G, word, packed, a, stride, count, depth) };
    }
    let number = |p: usize, i: usize| if p < depth && i < count { a[p * stride + i] } else { 0.0 };
    // A row of a is read once, for all groups.
    for p in 0..length {
        for (g, group) in packed.chunks_exact_mut(G * length).enumerate().skip(done) {
            for (j, out) in group[p * G..][..G].iter_mut().enumerate() {
                let i = g * G + j;
                *out = match word {
                    Word::Number => number(p, i),
                    Word::Rounded => rounded(number(p ^ 1, i)),
                    Word::Pair => pair(number(2 * p, i), number(2 * p + 1, i)),
                };
            }
        }
    }
}

/// `length` values of `room`, from the beginning of a cache line: a vector
/// that lies across two lines is read as two.
pub(crate) fn lines(room: &mut Vec<f32>, length: usize) -> &mut [f32] {
    const LINE: usize = 64;
    if room.len() < length + LINE / 4 {
        *room = crate::zeros(length + LINE / 4);
    }
    let first = room.as_ptr().align_offset(LINE).min(LINE / 4);
    &mut room[first..first + length]
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// Groups of the rows of each tile of x86, whichever is in use, up to the
    /// last number of a matrix.
    #[test]
    fn groups_of_six_and_of_eight() {
        if !Isa::Avx2.present() {
            return;
        }
        for (group, count, depth, word) in [
            (6, 42, 5, Word::Number),
            (6, 44, 6, Word::Rounded),
            (6, 6, 3, Word::Rounded),
            (8, 24, 5, Word::Rounded),
            (8, 27, 4, Word::Number),
        ] {
            let (stride, length) = (count + 3, word.words(depth));
            let a: Vec<f32> = (0..(depth - 1) * stride + count).map(|i| 1.0 + i as f32 / 1000.0).collect();
            let mut packed = vec![-1.0; count.next_multiple_of(group) * length];
            // SAFETY: the machine has AVX2.
            let done = unsafe { x86::groups_of(group, word, &mut packed, &a, stride, count, depth) };
            assert!((count / group).saturating_sub(1) <= done && done <= count / group, "{done} groups");
            for (i, x) in packed.iter().enumerate() {
                let (g, p, column) =
                    (i / (group * length), i / group % length, i / (group * length) * group + i % group);
                let expected = match word {
                    _ if g >= done => -1.0,
                    Word::Rounded if p ^ 1 >= depth => 0.0,
                    Word::Rounded => rounded(a[(p ^ 1) * stride + column]),
                    _ => a[p * stride + column],
                };
                assert_eq!(x.to_bits(), expected.to_bits(), "{word:?}: word {p} of column {column}");
            }
        }
    }
}
