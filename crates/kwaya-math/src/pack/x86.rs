//! Packing by the instructions of x86: with AVX-512 and its rounding to
//! bfloat16, and with AVX2.

use std::arch::x86_64::*;

use super::COLUMNS;
use crate::tile::Word;

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

/// Eight numbers as [`super::rounded`] gives them.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(x: __m256) -> __m256 {
    let bits = _mm256_castps_si256(x);
    let size = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fff_ffff));
    let tie = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
    let nearest = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), tie);
    let small = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x0080_0000), size);
    let nan = _mm256_cmpgt_epi32(size, _mm256_set1_epi32(0x7f80_0000));
    // What is left of a denormal is its sign, of a NaN all that fits.
    let nearest = _mm256_andnot_si256(_mm256_and_si256(small, _mm256_set1_epi32(0x7fff_ffff)), nearest);
    let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
    let chosen = _mm256_blendv_epi8(nearest, quiet, nan);
    _mm256_castsi256_ps(_mm256_and_si256(chosen, _mm256_set1_epi32(0xffff_0000_u32 as i32)))
}

/// Rows that are fetched ahead: a few numbers of each row of a large matrix
/// are too far apart for the processor to see what will be read.
const AHEAD: usize = 12;

/// Asks for `count` numbers from `first` on, or what there is of them, to be
/// brought near.
#[inline]
#[target_feature(enable = "avx2")]
fn fetch(x: &[f32], first: usize, count: usize) {
    const LINE: usize = 64 / size_of::<f32>();
    for line in (first..first + count).step_by(LINE) {
        _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(line).cast());
    }
}

/// [`super::words_rounded`] of as many as fill vectors: returns how many.
///
/// # Safety
/// The machine has AVX2: as for all that follow.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn words_rounded(out: &mut [f32], row: &[f32]) -> usize {
    let (rows, _) = row.as_chunks::<8>();
    for (out, row) in out.as_chunks_mut::<8>().0.iter_mut().zip(rows) {
        // SAFETY: chunks of 8.
        unsafe {
            let x = rounded(_mm256_loadu_ps(row.as_ptr()));
            _mm256_storeu_ps(out.as_mut_ptr(), _mm256_permute_ps::<0b10_11_00_01>(x)); // the odd one first
        }
    }
    rows.len() * 8
}

/// All whole pairs of rows of [`super::panel_of_rounded`], whose `count` is a
/// multiple of 16: returns how many rows.
///
/// # Safety
/// As for [`words_rounded`].
#[target_feature(enable = "avx2")]
pub(super) unsafe fn panel_rounded(panel: &mut [f32], x: &[f32], stride: usize, depth: usize, count: usize) -> usize {
    for (out, p) in panel.chunks_exact_mut(2 * count).zip((0..depth / 2 * 2).step_by(2)) {
        let (odd, even) = out.split_at_mut(count);
        for (out, p) in [(even, p), (odd, p + 1)] {
            fetch(x, (p + AHEAD) * stride, count);
            let x = &x[p * stride..][..count];
            for (out, x) in out.as_chunks_mut::<8>().0.iter_mut().zip(x.as_chunks::<8>().0) {
                // SAFETY: chunks of 8.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr(), rounded(_mm256_loadu_ps(x.as_ptr()))) }
            }
        }
    }
    depth / 2 * 2
}

/// [`super::groups_of_columns`] in whole groups of 6 or 8 columns: returns how
/// many groups, which is less than there are where eight numbers cannot be
/// read for each.
///
/// # Safety
/// As for [`words_rounded`].
#[target_feature(enable = "avx2")]
pub(super) unsafe fn groups_of(
    group: usize,
    word: Word,
    packed: &mut [f32],
    a: &[f32],
    stride: usize,
    count: usize,
    depth: usize,
) -> usize {
    let length = word.words(depth);
    let last = a.len() - (depth - 1) * stride;
    let whole = (count / group).min((last + group).saturating_sub(8) / group);
    assert!((group == 6 || group == 8) && whole * group * length <= packed.len() && word != Word::Pair);
    for p in 0..length {
        fetch(a, (p + AHEAD) * stride, count);
        let place = if word == Word::Rounded { p ^ 1 } else { p };
        let mut out = packed[place * group..].as_mut_ptr();
        for g in 0..whole {
            // SAFETY: the last group of the last row begins eight numbers
            // before the end of a, and each has its place in `packed`.
            unsafe {
                let mut x = _mm256_setzero_ps();
                if p < depth {
                    x = _mm256_loadu_ps(a.as_ptr().add(p * stride + g * group));
                }
                if word == Word::Rounded {
                    x = rounded(x);
                }
                if group == 8 {
                    _mm256_storeu_ps(out, x);
                } else {
                    _mm_storeu_ps(out, _mm256_castps256_ps128(x));
                    _mm_storel_epi64(out.add(4).cast(), _mm_castps_si128(_mm256_extractf128_ps::<1>(x)));
                }
            }
            out = out.wrapping_add(group * length);
        }
    }
    whole
}

/// `out[p * stride + i] = rows[i][p]` for `p` below `length`, in squares of 8.
///
/// # Safety
/// Each row has `length` words, a multiple of 8; `out` has
/// (length - 1) * stride + 16; the machine has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn squares_of_8(out: *mut f32, stride: usize, rows: [*const f32; COLUMNS], length: usize) {
    for p in (0..length).step_by(8) {
        for half in [0, 8] {
            // SAFETY: within the rows and the output, as the caller says.
            unsafe {
                let x: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(rows[half + i].add(p)));
                let pairs: [__m256; 8] = std::array::from_fn(|i| {
                    let (a, b) = (x[i & !1], x[i | 1]);
                    if i % 2 == 0 { _mm256_unpacklo_ps(a, b) } else { _mm256_unpackhi_ps(a, b) }
                });
                // fours[4g + c] has column 4l + c of rows 4g.. in its lane l.
                let fours: [__m256; 8] = std::array::from_fn(|i| {
                    let (g, c) = (i / 4 * 4, i % 4);
                    let (a, b) = (_mm256_castps_pd(pairs[g + c / 2]), _mm256_castps_pd(pairs[g + 2 + c / 2]));
                    _mm256_castpd_ps(if c % 2 == 0 { _mm256_unpacklo_pd(a, b) } else { _mm256_unpackhi_pd(a, b) })
                });
                for c in 0..4 {
                    let (a, b) = (fours[c], fours[4 + c]);
                    _mm256_storeu_ps(out.add((p + c) * stride + half), _mm256_permute2f128_ps::<0x20>(a, b));
                    _mm256_storeu_ps(out.add((p + 4 + c) * stride + half), _mm256_permute2f128_ps::<0x31>(a, b));
                }
            }
        }
    }
}
