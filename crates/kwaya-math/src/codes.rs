//! Products of whole numbers: weights kept as codes of 4 or 8 bits, in blocks
//! along `k` that share a scale, times rows rounded to 8 bits.
//!
//! For a block of codes c with scale s (and perhaps a least value m), and a
//! row's whole numbers x with scale d:
//!
//! ```text
//! n   = sum of (c - zero) * x                   exact, in whole numbers
//! sum = fma(n, s * d, sum)
//! sum = fma(m, d * (sum of x), sum)             where there are least values
//! ```
//!
//! block after block in order of `k`, one accumulator for each output. Whole
//! numbers are exact in any order, so instruction sets that multiply them in
//! different ways give the same bits.
//!
//! A panel is 16 outputs. Four codes of an output, neighbours in `k`, are a
//! word; 16 such words are a line, one word for each output. With 4 bits, the
//! low halves of a block's lines are the first half of the block, the high
//! halves the second.

use std::cell::RefCell;

use crate::{
    half::widen,
    isa::{Isa, current, kernel},
    memory::prefetch,
};

/// Outputs of a panel.
pub(crate) const PANEL: usize = 16;
/// Numbers of a row that share a scale.
pub(crate) const ROUNDED: usize = 32;
/// Numbers of a row whose sum is kept.
pub(crate) const SUMMED: usize = 16;

/// How the codes of a matrix are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    /// Bits of a code: 4 or 8.
    pub(crate) bits: usize,
    /// Codes that share a scale: 16 or 32.
    pub(crate) block: usize,
    /// The code of the number 0, where there are no least values.
    pub(crate) zero: i32,
    /// Whether each block has a least value.
    pub(crate) least: bool,
    /// Whether scales and least values are f16, or else f32.
    pub(crate) half: bool,
}

impl Coding {
    /// Bytes of codes of a panel, `k` deep.
    pub(crate) fn panel_codes(&self, k: usize) -> usize {
        k * PANEL * self.bits / 8
    }

    /// Bytes of the scales of a block, or of its least values.
    pub(crate) fn scales(&self) -> usize {
        PANEL * if self.half { 2 } else { 4 }
    }

    /// Bytes of scales and least values of a panel, `k` deep.
    pub(crate) fn panel_scales(&self, k: usize) -> usize {
        k / self.block * self.scales() * if self.least { 2 } else { 1 }
    }

    /// The numbers of one lane of a panel, whose depth is the length of `out`.
    pub(crate) fn read_lane(&self, codes: &[u8], scales: &[u8], lane: usize, out: &mut [f32]) {
        let (kinds, width) = (if self.least { 2 } else { 1 }, self.scales());
        let number = |scales: &[u8]| {
            let word = &scales[lane * width / PANEL..];
            if self.half {
                widen(u16::from_le_bytes([word[0], word[1]]))
            } else {
                f32::from_le_bytes([word[0], word[1], word[2], word[3]])
            }
        };
        let codes = codes.chunks_exact(self.block * PANEL * self.bits / 8);
        let blocks = out.chunks_exact_mut(self.block).zip(codes.zip(scales.chunks_exact(kinds * width)));
        for (out, (lines, scales)) in blocks {
            let (scale, least) = (number(scales), if self.least { Some(number(&scales[width..])) } else { None });
            let value = |code: u8| {
                let value = (i32::from(code) - self.zero) as f32 * scale;
                least.map_or(value, |least| value + least)
            };
            let words = lines.chunks_exact(4 * PANEL).flat_map(|line| &line[4 * lane..][..4]);
            if self.bits == 8 {
                out.iter_mut().zip(words).for_each(|(out, code)| *out = value(*code));
            } else {
                let (low, high) = out.split_at_mut(self.block / 2);
                for ((low, high), codes) in low.iter_mut().zip(high).zip(words) {
                    (*low, *high) = (value(*codes & 15), value(*codes >> 4));
                }
            }
        }
    }
}

/// Rows of a group, which lie side by side, so that one place in memory tells
/// where all of them are.
pub(crate) const GROUP: usize = 4;

/// Rows as the kernel reads them, in groups of four, the last filled up.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// (n / 4, k / 4, 4): words of four whole numbers that are neighbours in k.
    pub(crate) words: &'a [i32],
    /// (n / 4, k / 32, 4)
    pub(crate) scales: &'a [f32],
    /// (n / 4, k / 16, 4)
    pub(crate) sums: &'a [i32],
}

/// Panels of one matrix, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    pub(crate) coding: Coding,
    pub(crate) codes: &'a [u8],
    pub(crate) scales: &'a [u8],
    pub(crate) k: usize,
}

/// `n` rows times `count` panels: output (i, j) goes to `out[i * stride + j]`.
///
/// # Safety
/// From `out`, the rows of `count` x 16 outputs can be written, and nobody
/// else does.
///
/// # Panics
/// When an operand is too short.
pub(crate) unsafe fn times(out: *mut f32, stride: usize, rows: Rows<'_>, n: usize, panels: Panels<'_>, count: usize) {
    let (coding, k, filled) = (panels.coding, panels.k, n.next_multiple_of(GROUP));
    let fits = k.is_multiple_of(ROUNDED)
        && rows.words.len() >= filled * k / 4
        && rows.scales.len() >= filled * k / ROUNDED
        && rows.sums.len() >= filled * k / SUMMED
        && panels.codes.len() >= count * coding.panel_codes(k)
        && panels.scales.len() >= count * coding.panel_scales(k)
        && matches!((coding.bits, coding.block), (4 | 8, 16 | 32));
    assert!(fits, "codes: {n} rows of {k} times {count} panels of {coding:?}");
    SUMS.with_borrow_mut(|Sums { starts, leasts }| {
        let blocks = filled * k / coding.block;
        if starts.len() < blocks {
            starts.resize(blocks, 0);
            leasts.resize(blocks, 0.0);
        }
        let zero = coding.zero - if coding.bits == 8 { offset() } else { 0 };
        sums(&mut starts[..blocks], &mut leasts[..blocks], rows.sums, rows.scales, coding, -zero);
        let call = Call { out, stride, rows, starts, leasts, n, panels, count };
        // SAFETY: the lengths were checked above, the output by the caller,
        // and `current` found the instructions on this machine.
        unsafe {
            match current() {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512Bf16 | Isa::Avx512 if x86::has_vnni() => x86::vnni(&call),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512Bf16 | Isa::Avx512 | Isa::Avx2 => x86::avx2(&call),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => all::<Plain, 4, 4>(&call),
                Isa::Portable => all::<Plain, 4, 4>(&call),
            }
        }
    });
}

/// What [`Lanes::dot8`] takes off each code.
fn offset() -> i32 {
    match current() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 | Isa::Avx512 if !x86::has_vnni() => x86::AVX2_OFFSET,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::AVX2_OFFSET,
        _ => 0,
    }
}

/// For each block of each row, what its sums start from and what a least
/// value is multiplied by.
#[derive(Default)]
struct Sums {
    starts: Vec<i32>,
    leasts: Vec<f32>,
}

thread_local! {
    static SUMS: RefCell<Sums> = RefCell::default();
}

kernel! {
fn sums(starts: &mut [i32], leasts: &mut [f32], sums: &[i32], scales: &[f32], coding: Coding, factor: i32) {
    let out = starts.as_chunks_mut::<GROUP>().0.iter_mut().zip(leasts.as_chunks_mut::<GROUP>().0);
    let (sums, scales) = (sums.as_chunks::<GROUP>().0, scales.as_chunks::<GROUP>().0);
    for (block, (starts, leasts)) in out.enumerate() {
        for r in 0..GROUP {
            let (sum, scale) = if coding.block == ROUNDED {
                (sums[2 * block][r] + sums[2 * block + 1][r], scales[block][r])
            } else {
                (sums[block][r], scales[block / 2][r])
            };
            starts[r] = factor * sum;
            leasts[r] = scale * sum as f32;
        }
    }
}
}

/// A checked call of [`times`].
struct Call<'a> {
    out: *mut f32,
    stride: usize,
    rows: Rows<'a>,
    /// (n / 4, k / block, 4)
    starts: &'a [i32],
    /// (n / 4, k / block, 4)
    leasts: &'a [f32],
    n: usize,
    panels: Panels<'a>,
    count: usize,
}

/// Sixteen sums of whole numbers, with the f32 that they become.
trait Lanes: Copy {
    /// A line of codes.
    type Line: Copy;
    /// Sixteen f32.
    type Floats: Copy;
    /// # Safety
    /// The machine has the instructions: as everywhere in this trait.
    unsafe fn splat(x: i32) -> Self;
    /// # Safety
    /// 64 bytes can be read from there.
    unsafe fn line(from: *const u8) -> Self::Line;
    /// # Safety
    /// As for the trait.
    unsafe fn halves(line: Self::Line) -> [Self::Line; 2];
    /// self + the products of each word of codes below 16 with the bytes of `x`.
    ///
    /// # Safety
    /// As for the trait.
    unsafe fn dot4(self, line: Self::Line, x: i32) -> Self;
    /// The same for any codes, less [`offset`].
    ///
    /// # Safety
    /// As for the trait.
    unsafe fn dot8(self, line: Self::Line, x: i32) -> Self;
    /// # Safety
    /// As for the trait.
    unsafe fn floats(self) -> Self::Floats;
    /// # Safety
    /// 16 f32, or f16 where `half`, can be read from there.
    unsafe fn scales(from: *const u8, half: bool) -> Self::Floats;
    /// # Safety
    /// As for the trait.
    unsafe fn times(a: Self::Floats, b: f32) -> Self::Floats;
    /// a * b + sum, rounded once.
    ///
    /// # Safety
    /// As for the trait.
    unsafe fn multiply_add(a: Self::Floats, b: Self::Floats, sum: Self::Floats) -> Self::Floats;
    /// # Safety
    /// As for the trait.
    unsafe fn all(x: f32) -> Self::Floats;
    /// # Safety
    /// 16 f32 can be written there.
    unsafe fn store(floats: Self::Floats, to: *mut f32);
}

/// All rows and panels: panels outside, so that they come from memory once and
/// in order. A tile is a panel and `A` rows, whole groups, or `B` or one of
/// those that are left, within a group.
///
/// # Safety
/// The call is one that [`times`] checked, and the machine has the
/// instructions of `L`.
#[inline(always)]
unsafe fn all<L: Lanes, const A: usize, const B: usize>(call: &Call<'_>) {
    // SAFETY: as the caller says.
    unsafe {
        match (call.panels.coding.bits, call.panels.coding.block) {
            (8, 32) => tiles::<L, 8, 32, A, B>(call),
            (8, _) => tiles::<L, 8, 16, A, B>(call),
            (_, 32) => tiles::<L, 4, 32, A, B>(call),
            _ => tiles::<L, 4, 16, A, B>(call),
        }
    }
}

/// # Safety
/// As for [`all`].
#[inline(always)]
unsafe fn tiles<L: Lanes, const BITS: usize, const BLOCK: usize, const A: usize, const B: usize>(call: &Call<'_>) {
    let many = call.n / A * A;
    for panel in 0..call.count {
        // SAFETY: as the caller says.
        unsafe {
            (0..many).step_by(A).for_each(|row| tile::<L, BITS, BLOCK, A>(call, row, panel));
            for row in (many..call.n).step_by(B) {
                if row + 1 == call.n {
                    tile::<L, BITS, BLOCK, 1>(call, row, panel);
                } else {
                    tile::<L, BITS, BLOCK, B>(call, row, panel);
                }
            }
        }
    }
}

/// `R` rows times a panel; of rows beyond the last nothing is kept.
///
/// # Safety
/// As for [`all`].
#[inline(always)]
unsafe fn tile<L: Lanes, const BITS: usize, const BLOCK: usize, const R: usize>(
    call: &Call<'_>,
    row: usize,
    panel: usize,
) {
    /// Bytes of codes that are asked for ahead, into the second cache, by the
    /// first rows that use them.
    const AHEAD: usize = 4096;
    let Call { out, stride, rows, starts, leasts, panels: Panels { coding, codes, scales, k }, .. } = *call;
    // Where a row's values begin that are kept for each `every` along k, and
    // how far apart the groups are.
    let (group, slot) = (row / GROUP, row % GROUP);
    let place = |every: usize| group * (k / every) * GROUP + slot;
    // SAFETY: within the operands, as the caller says.
    unsafe {
        let mut codes = codes.as_ptr().add(panel * coding.panel_codes(k));
        let mut scales = scales.as_ptr().add(panel * coding.panel_scales(k));
        let mut words: [*const i32; 3] = std::array::from_fn(|g| rows.words.as_ptr().wrapping_add(place(4) + g * k));
        let (x_scales, starts, leasts) = (
            rows.scales.as_ptr().add(place(ROUNDED)),
            starts.as_ptr().add(place(BLOCK)),
            leasts.as_ptr().add(place(BLOCK)),
        );
        let of = |r: usize, at: usize, every: usize| (r / GROUP * (k / every) + at) * GROUP + r % GROUP;
        let mut sums = [L::all(0.0); R];
        for block in 0..k / BLOCK {
            let mut dots: [L; R] = std::array::from_fn(|r| L::splat(*starts.add(of(r, block, BLOCK))));
            for j in 0..BLOCK * BITS / 32 {
                if R <= GROUP && row == 0 {
                    prefetch(codes.wrapping_add(j * 64 + AHEAD));
                }
                let line = L::line(codes.add(j * 64));
                let word = |r: usize, j: usize| *words[r / GROUP].add(j * GROUP + r % GROUP);
                if BITS == 8 {
                    for (r, dot) in dots.iter_mut().enumerate() {
                        *dot = dot.dot8(line, word(r, j));
                    }
                } else {
                    let [low, high] = L::halves(line);
                    for (r, dot) in dots.iter_mut().enumerate() {
                        *dot = dot.dot4(low, word(r, j)).dot4(high, word(r, j + BLOCK / 8));
                    }
                }
            }
            codes = codes.add(BLOCK * PANEL * BITS / 8);
            words = words.map(|words| words.wrapping_add(BLOCK / 4 * GROUP));
            let scale = L::scales(scales, coding.half);
            scales = scales.add(coding.scales());
            for (r, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                let d = *x_scales.add(of(r, block * BLOCK / ROUNDED, ROUNDED));
                *sum = L::multiply_add(dot.floats(), L::times(scale, d), *sum);
            }
            if coding.least {
                let least = L::scales(scales, coding.half);
                scales = scales.add(coding.scales());
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = L::multiply_add(least, L::all(*leasts.add(of(r, block, BLOCK))), *sum);
                }
            }
        }
        for (r, sum) in sums.into_iter().enumerate().take(call.n - row) {
            L::store(sum, out.add((row + r) * stride + panel * PANEL));
        }
    }
}

/// Sixteen plain whole numbers.
#[derive(Clone, Copy)]
struct Plain([i32; PANEL]);

impl Lanes for Plain {
    type Line = [u8; 64];
    type Floats = [f32; PANEL];
    #[inline(always)]
    unsafe fn splat(x: i32) -> Self {
        Self([x; PANEL])
    }
    #[inline(always)]
    unsafe fn line(from: *const u8) -> [u8; 64] {
        // SAFETY: as the caller says.
        unsafe { from.cast::<[u8; 64]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn halves(line: [u8; 64]) -> [[u8; 64]; 2] {
        [line.map(|codes| codes & 15), line.map(|codes| codes >> 4)]
    }
    #[inline(always)]
    unsafe fn dot4(self, line: [u8; 64], x: i32) -> Self {
        // SAFETY: as the caller says.
        unsafe { self.dot8(line, x) }
    }
    #[inline(always)]
    unsafe fn dot8(mut self, line: [u8; 64], x: i32) -> Self {
        let x = x.to_le_bytes().map(|x| i32::from(x as i8));
        for (sum, codes) in self.0.iter_mut().zip(line.as_chunks::<4>().0) {
            let product = |i: usize| i32::from(codes[i]) * x[i];
            *sum += (product(0) + product(1)) + (product(2) + product(3));
        }
        self
    }
    #[inline(always)]
    unsafe fn floats(self) -> [f32; PANEL] {
        self.0.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn scales(from: *const u8, half: bool) -> [f32; PANEL] {
        // SAFETY: as the caller says.
        unsafe {
            if half {
                from.cast::<[u16; PANEL]>().read_unaligned().map(|bits| widen(u16::from_le(bits)))
            } else {
                from.cast::<[f32; PANEL]>().read_unaligned()
            }
        }
    }
    #[inline(always)]
    unsafe fn times(a: [f32; PANEL], b: f32) -> [f32; PANEL] {
        a.map(|a| a * b)
    }
    #[inline(always)]
    unsafe fn multiply_add(a: [f32; PANEL], b: [f32; PANEL], sum: [f32; PANEL]) -> [f32; PANEL] {
        std::array::from_fn(|i| a[i].mul_add(b[i], sum[i]))
    }
    #[inline(always)]
    unsafe fn all(x: f32) -> [f32; PANEL] {
        [x; PANEL]
    }
    #[inline(always)]
    unsafe fn store(floats: [f32; PANEL], to: *mut f32) {
        // SAFETY: as the caller says.
        unsafe { to.cast::<[f32; PANEL]>().write_unaligned(floats) }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{arch::x86_64::*, sync::OnceLock};

    use super::{Call, Lanes, all};
    use crate::half::widen;

    /// Whether AVX-512 comes with its instruction for bytes.
    pub(super) fn has_vnni() -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        *FOUND.get_or_init(|| std::arch::is_x86_feature_detected!("avx512vnni"))
    }

    /// # Safety
    /// As for [`all`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    pub(super) unsafe fn vnni(call: &Call<'_>) {
        // SAFETY: as for this function.
        unsafe { all::<Avx512, 12, 4>(call) }
    }

    /// # Safety
    /// As for [`all`].
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2(call: &Call<'_>) {
        // SAFETY: as for this function.
        unsafe { all::<Avx2, 2, 2>(call) }
    }

    #[derive(Clone, Copy)]
    struct Avx512(__m512i);

    // SAFETY of all blocks below: the trait demands the instructions, and
    // memory is as its functions demand.
    #[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
    impl Lanes for Avx512 {
        type Line = __m512i;
        type Floats = __m512;
        #[inline(always)]
        unsafe fn splat(x: i32) -> Self {
            Self(unsafe { _mm512_set1_epi32(x) })
        }
        #[inline(always)]
        unsafe fn line(from: *const u8) -> __m512i {
            unsafe { _mm512_loadu_si512(from.cast()) }
        }
        #[inline(always)]
        unsafe fn halves(line: __m512i) -> [__m512i; 2] {
            unsafe {
                let low = _mm512_set1_epi8(15);
                [_mm512_and_si512(line, low), _mm512_and_si512(_mm512_srli_epi16::<4>(line), low)]
            }
        }
        #[inline(always)]
        unsafe fn dot4(self, line: __m512i, x: i32) -> Self {
            unsafe { self.dot8(line, x) }
        }
        #[inline(always)]
        unsafe fn dot8(self, line: __m512i, x: i32) -> Self {
            Self(unsafe { _mm512_dpbusd_epi32(self.0, line, _mm512_set1_epi32(x)) })
        }
        #[inline(always)]
        unsafe fn floats(self) -> __m512 {
            unsafe { _mm512_cvtepi32_ps(self.0) }
        }
        #[inline(always)]
        unsafe fn scales(from: *const u8, half: bool) -> __m512 {
            unsafe {
                if half { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) } else { _mm512_loadu_ps(from.cast()) }
            }
        }
        #[inline(always)]
        unsafe fn times(a: __m512, b: f32) -> __m512 {
            unsafe { _mm512_mul_ps(a, _mm512_set1_ps(b)) }
        }
        #[inline(always)]
        unsafe fn multiply_add(a: __m512, b: __m512, sum: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, sum) }
        }
        #[inline(always)]
        unsafe fn all(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn store(floats: __m512, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, floats) }
        }
    }

    /// Codes become signed, since sums of two products of unsigned ones would
    /// not fit 16 bits.
    pub(super) const AVX2_OFFSET: i32 = 128;

    #[derive(Clone, Copy)]
    struct Avx2([__m256i; 2]);

    #[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
    impl Lanes for Avx2 {
        type Line = [__m256i; 2];
        type Floats = [__m256; 2];
        #[inline(always)]
        unsafe fn splat(x: i32) -> Self {
            Self([unsafe { _mm256_set1_epi32(x) }; 2])
        }
        #[inline(always)]
        unsafe fn line(from: *const u8) -> [__m256i; 2] {
            unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())] }
        }
        #[inline(always)]
        unsafe fn halves(line: [__m256i; 2]) -> [[__m256i; 2]; 2] {
            unsafe {
                let low = _mm256_set1_epi8(15);
                let high = |half| _mm256_and_si256(_mm256_srli_epi16::<4>(half), low);
                [line.map(|half| _mm256_and_si256(half, low)), line.map(high)]
            }
        }
        #[inline(always)]
        unsafe fn dot4(self, line: [__m256i; 2], x: i32) -> Self {
            unsafe {
                let (x, ones) = (_mm256_set1_epi32(x), _mm256_set1_epi16(1));
                let add =
                    |i: usize| _mm256_add_epi32(self.0[i], _mm256_madd_epi16(_mm256_maddubs_epi16(line[i], x), ones));
                Self([add(0), add(1)])
            }
        }
        #[inline(always)]
        unsafe fn dot8(self, line: [__m256i; 2], x: i32) -> Self {
            unsafe {
                let (x, ones) = (_mm256_set1_epi32(x), _mm256_set1_epi16(1));
                let add = |i: usize| {
                    let signed = _mm256_xor_si256(line[i], _mm256_set1_epi8(-128));
                    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(x, signed));
                    _mm256_add_epi32(self.0[i], _mm256_madd_epi16(pairs, ones))
                };
                Self([add(0), add(1)])
            }
        }
        #[inline(always)]
        unsafe fn floats(self) -> [__m256; 2] {
            self.0.map(|x| unsafe { _mm256_cvtepi32_ps(x) })
        }
        #[inline(always)]
        unsafe fn scales(from: *const u8, half: bool) -> [__m256; 2] {
            unsafe {
                if half {
                    let floats = from.cast::<[u16; 16]>().read_unaligned().map(widen);
                    [_mm256_loadu_ps(floats.as_ptr()), _mm256_loadu_ps(floats.as_ptr().add(8))]
                } else {
                    [_mm256_loadu_ps(from.cast()), _mm256_loadu_ps(from.add(32).cast())]
                }
            }
        }
        #[inline(always)]
        unsafe fn times(a: [__m256; 2], b: f32) -> [__m256; 2] {
            a.map(|a| unsafe { _mm256_mul_ps(a, _mm256_set1_ps(b)) })
        }
        #[inline(always)]
        unsafe fn multiply_add(a: [__m256; 2], b: [__m256; 2], sum: [__m256; 2]) -> [__m256; 2] {
            unsafe { [_mm256_fmadd_ps(a[0], b[0], sum[0]), _mm256_fmadd_ps(a[1], b[1], sum[1])] }
        }
        #[inline(always)]
        unsafe fn all(x: f32) -> [__m256; 2] {
            [unsafe { _mm256_set1_ps(x) }; 2]
        }
        #[inline(always)]
        unsafe fn store(floats: [__m256; 2], to: *mut f32) {
            unsafe {
                _mm256_storeu_ps(to, floats[0]);
                _mm256_storeu_ps(to.add(8), floats[1]);
            }
        }
    }
}
