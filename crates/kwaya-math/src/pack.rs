//! Operands of products on their way into the cache: panels of columns of
//! `b`, rows or groups of rows of `a`, as words of 32 bits, each an f32 or two
//! neighbours in `k` rounded to bfloat16.
#![cfg_attr(
    target_arch = "aarch64",
    allow(unused_imports, unused_mut, unused_variables, reason = "what chooses AVX-512 has no choice there")
)]

use crate::{
    isa::{Isa, current, kernel},
    tile::{COLUMNS, Precision, size},
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

/// A row of numbers as words; where there is one too many, with +0.
pub(crate) fn words(out: &mut [f32], row: &[f32], precision: Precision) {
    match precision {
        Precision::F32 => out.copy_from_slice(row),
        Precision::Bf16 => {
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
    precision: Precision,
) {
    let x = &x[p0 * stride + first..];
    match precision {
        Precision::F32 => panel_of_f32(panel, x, stride, depth, count),
        Precision::Bf16 => {
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
    precision: Precision,
) {
    /// Numbers of a row that are rounded at once, beside the panel.
    const PART: usize = 64;
    let (width, length) = (count.next_multiple_of(COLUMNS), precision.words(depth));
    let row = |i: usize, p: usize, length: usize| &x[(first + i) * stride + p0 + p..][..length];
    let mut beside = [[0.0_f32; PART]; COLUMNS];
    for j in (0..width).step_by(COLUMNS) {
        let real = COLUMNS.min(count.saturating_sub(j));
        for p in (0..length).step_by(PART) {
            let part = PART.min(length - p);
            let out = &mut panel[p * width + j..];
            match precision {
                Precision::F32 if real == COLUMNS => {
                    transpose(out, width, std::array::from_fn(|i| row(j + i, p, part)));
                }
                _ => {
                    let numbers = if precision == Precision::F32 { part } else { (2 * part).min(depth - 2 * p) };
                    let from = p * if precision == Precision::F32 { 1 } else { 2 };
                    for (i, beside) in beside.iter_mut().enumerate() {
                        if i < real {
                            words(&mut beside[..part], row(j + i, from, numbers), precision);
                        } else {
                            beside.fill(0.0);
                        }
                    }
                    transpose(out, width, beside.each_ref().map(|row| &row[..part]));
                }
            }
        }
    }
}

/// `out[p * stride + i] = rows[i][p]`.
fn transpose(out: &mut [f32], stride: usize, rows: [&[f32]; COLUMNS]) {
    let length = rows[0].len();
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if matches!(current(), Isa::Avx512 | Isa::Avx512Bf16) {
        done = length / COLUMNS * COLUMNS;
        assert!(rows.iter().all(|row| row.len() == length));
        assert!(done == 0 || out.len() >= (done - 1) * stride + COLUMNS, "transpose: the output is too short");
        // SAFETY: the lengths were checked, and `current` found the
        // instructions.
        unsafe { x86::squares(out.as_mut_ptr(), stride, rows.map(<[f32]>::as_ptr), done) }
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
    precision: Precision,
) {
    let a = &a[p0 * stride + i0..];
    #[cfg(target_arch = "x86_64")]
    if current() == Isa::Avx512Bf16
        && precision == Precision::Bf16
        && depth.is_multiple_of(2)
        && count.is_multiple_of(COLUMNS)
    {
        // SAFETY: `current` found the instructions.
        return unsafe { x86::groups(packed, a, stride, count, depth / 2) };
    }
    let groups = match size().rows {
        8 => groups_of_eight,
        6 => groups_of_six,
        4 => groups_of_four,
        other => unreachable!("a tile of {other} rows"),
    };
    groups(packed, a, stride, count, depth, precision);
}

// `kernel!` takes no parameters of constants.
macro_rules! groups {
    ($($name:ident: $group:literal;)*) => {$(
        kernel! {
        fn $name(packed: &mut [f32], a: &[f32], stride: usize, count: usize, depth: usize, precision: Precision) {
            groups_inline::<$group>(packed, a, stride, count, depth, precision);
        }
        }
    )*};
}
groups! { groups_of_eight: 8; groups_of_six: 6; groups_of_four: 4; }

#[inline(always)]
fn groups_inline<const G: usize>(
    packed: &mut [f32],
    a: &[f32],
    stride: usize,
    count: usize,
    depth: usize,
    precision: Precision,
) {
    let length = precision.words(depth);
    // A row of a is read once, for all groups.
    for p in 0..length {
        let row = |p: usize| a[p * stride..][..count].as_chunks::<G>();
        let mut places = packed.chunks_exact_mut(G * length).map(|group| &mut group.as_chunks_mut::<G>().0[p]);
        let part = |rest: &[f32], i: usize| rest.get(i).copied().unwrap_or(0.0);
        match precision {
            Precision::F32 => {
                let (whole, rest) = row(p);
                for (values, out) in whole.iter().zip(places.by_ref()) {
                    *out = *values;
                }
                if let Some(out) = places.next() {
                    *out = std::array::from_fn(|i| part(rest, i));
                }
            }
            Precision::Bf16 => {
                let none: (&[[f32; G]], &[f32]) = (&[], &[]);
                let ((even, even_rest), (odd, odd_rest)) =
                    (row(2 * p), if 2 * p + 1 < depth { row(2 * p + 1) } else { none });
                for (i, (even, out)) in even.iter().zip(places.by_ref()).enumerate() {
                    let odd = odd.get(i).unwrap_or(&[0.0; G]);
                    *out = std::array::from_fn(|i| pair(even[i], odd[i]));
                }
                if let Some(out) = places.next() {
                    *out = std::array::from_fn(|i| pair(part(even_rest, i), part(odd_rest, i)));
                }
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::COLUMNS;

    /// Squares of 16 by 16 words, in registers.
    ///
    /// # Safety
    /// Each row has `length` words, a multiple of 16; `out` has
    /// (length - 1) * stride + 16; the machine has AVX-512.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn squares(out: *mut f32, stride: usize, rows: [*const f32; COLUMNS], length: usize) {
        for p in (0..length).step_by(COLUMNS) {
            // SAFETY: within the rows and the output, as the caller says.
            unsafe {
                let x: [__m512; 16] = std::array::from_fn(|i| _mm512_loadu_ps(rows[i].add(p)));
                // Pairs of rows, then fours, within lanes of 128 bits.
                let pairs: [__m512; 16] = std::array::from_fn(|i| {
                    let (a, b) = (x[i & !1], x[i | 1]);
                    if i % 2 == 0 { _mm512_unpacklo_ps(a, b) } else { _mm512_unpackhi_ps(a, b) }
                });
                // fours[4g + c] has column 4l + c of rows 4g.. in its lane l.
                let fours: [__m512; 16] = std::array::from_fn(|i| {
                    let (g, c) = (i / 4 * 4, i % 4);
                    let (a, b) = (_mm512_castps_pd(pairs[g + c / 2]), _mm512_castps_pd(pairs[g + 2 + c / 2]));
                    _mm512_castpd_ps(if c % 2 == 0 { _mm512_unpacklo_pd(a, b) } else { _mm512_unpackhi_pd(a, b) })
                });
                for c in 0..4 {
                    let (a, b, d, e) = (fours[c], fours[4 + c], fours[8 + c], fours[12 + c]);
                    let low = _mm512_shuffle_f32x4::<0x88>(a, b); // lanes 0, 2 of both
                    let high = _mm512_shuffle_f32x4::<0xdd>(a, b); // lanes 1, 3
                    let low2 = _mm512_shuffle_f32x4::<0x88>(d, e);
                    let high2 = _mm512_shuffle_f32x4::<0xdd>(d, e);
                    let columns = [
                        _mm512_shuffle_f32x4::<0x88>(low, low2),
                        _mm512_shuffle_f32x4::<0x88>(high, high2),
                        _mm512_shuffle_f32x4::<0xdd>(low, low2),
                        _mm512_shuffle_f32x4::<0xdd>(high, high2),
                    ];
                    for (lane, column) in columns.into_iter().enumerate() {
                        _mm512_storeu_ps(out.add((p + 4 * lane + c) * stride), column);
                    }
                }
            }
        }
    }

    /// Sixteen words of an even and an odd number each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn pairs(even: __m512, odd: __m512) -> __m512 {
        // Word i of the one beside word i of the other.
        const BESIDE: [u16; 32] = {
            let mut order = [0; 32];
            let mut i = 0;
            while i < 32 {
                order[i] = (i / 2 + i % 2 * 16) as u16;
                i += 1;
            }
            order
        };
        // SAFETY: an array of 64 bytes is a vector, and so are 32 bfloat16.
        unsafe {
            let rounded = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(odd, even));
            _mm512_castsi512_ps(_mm512_permutexvar_epi16(std::mem::transmute::<[u16; 32], __m512i>(BESIDE), rounded))
        }
    }

    /// [`super::words`] of as many as fill vectors: returns how many words.
    ///
    /// # Safety
    /// The machine has the instructions: as for all here.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn words(out: &mut [f32], row: &[f32]) -> usize {
        let (rows, _) = row.as_chunks::<32>();
        let (words, _) = out.as_chunks_mut::<16>();
        for (out, row) in words.iter_mut().zip(rows) {
            // SAFETY: a chunk has 32 numbers, the output 16 words.
            unsafe {
                let (low, high) = (_mm512_loadu_ps(row.as_ptr()), _mm512_loadu_ps(row.as_ptr().add(16)));
                let rounded = std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(high, low));
                _mm512_storeu_ps(out.as_mut_ptr(), rounded);
            }
        }
        rows.len() * 16
    }

    /// `length` rows of words of [`super::panel_of_rows`], whose `count` is a
    /// multiple of 16.
    ///
    /// # Safety
    /// As for [`words`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn panel(panel: &mut [f32], x: &[f32], stride: usize, length: usize, count: usize) -> usize {
        for (p, out) in panel.chunks_exact_mut(count).enumerate().take(length) {
            let (even, odd) = (&x[2 * p * stride..][..count], &x[(2 * p + 1) * stride..][..count]);
            let numbers = even.as_chunks::<COLUMNS>().0.iter().zip(odd.as_chunks::<COLUMNS>().0);
            for ((even, odd), out) in numbers.zip(out.as_chunks_mut::<COLUMNS>().0) {
                // SAFETY: chunks of 16.
                unsafe {
                    let words = pairs(_mm512_loadu_ps(even.as_ptr()), _mm512_loadu_ps(odd.as_ptr()));
                    _mm512_storeu_ps(out.as_mut_ptr(), words);
                }
            }
        }
        length
    }

    /// [`super::groups_of_columns`] of `count` columns, a multiple of 16, and
    /// `length` words of each, in groups of 8.
    ///
    /// # Safety
    /// As for [`words`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx512dq")]
    pub(super) unsafe fn groups(packed: &mut [f32], a: &[f32], stride: usize, count: usize, length: usize) {
        const G: usize = 8;
        for p in 0..length {
            let (even, odd) = (&a[2 * p * stride..][..count], &a[(2 * p + 1) * stride..][..count]);
            let numbers = even.as_chunks::<COLUMNS>().0.iter().zip(odd.as_chunks::<COLUMNS>().0);
            for ((even, odd), groups) in numbers.zip(packed.chunks_exact_mut(2 * G * length)) {
                let (first, second) = groups.split_at_mut(G * length);
                let (first, second) = (&mut first[p * G..][..G], &mut second[p * G..][..G]);
                // SAFETY: chunks of 16, and groups of 8.
                unsafe {
                    let words = pairs(_mm512_loadu_ps(even.as_ptr()), _mm512_loadu_ps(odd.as_ptr()));
                    _mm256_storeu_ps(first.as_mut_ptr(), _mm512_castps512_ps256(words));
                    _mm256_storeu_ps(second.as_mut_ptr(), _mm512_extractf32x8_ps::<1>(words));
                }
            }
        }
    }
}
