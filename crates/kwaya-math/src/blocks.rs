//! The number formats of weight files: floats of 32 and 16 bits, and the
//! block formats of GGUF, in which 32 or 256 neighbours share a scale.
//!
//! The arithmetic is that of ggml's reference functions (`quantize_row_*_ref`
//! and `dequantize_row_*` of `ggml-quants.c`): f32, each operation rounded, in
//! their order. So values read are those that other engines read, and blocks
//! written are those that llama.cpp writes on x86-64. A value depends on its
//! block and nothing else.

use crate::{
    half::{narrow, widen},
    isa::kernel,
    pool::{Pool, Shards},
};

/// Values that a thread takes at a time; blocks of all lengths fit in.
const PIECE: usize = 1 << 13;
/// Values that share a scale in the older block formats.
const BLOCK: usize = 32;
/// Values of a block of the formats named K, which have scales of scales.
const SUPERBLOCK: usize = 256;

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Format {
    /// IEEE 754 of 32 bits.
    F32,
    /// IEEE 754 of 16 bits.
    F16,
    /// The upper half of [`Format::F32`].
    #[cfg_attr(feature = "serde", serde(rename = "BF16"))]
    Bf16,
    /// 8 bits and a scale for 32 values.
    Q8_0,
    /// 4 bits and a scale for 32 values.
    Q4_0,
    /// 4 bits, a scale and a minimum for 32 values.
    Q4_1,
    /// 5 bits and a scale for 32 values.
    Q5_0,
    /// 5 bits, a scale and a minimum for 32 values.
    Q5_1,
    /// 2 bits; scales and minima of 4 bits for 16 values.
    #[cfg_attr(feature = "serde", serde(rename = "Q2_K"))]
    Q2K,
    /// 3 bits; scales of 6 bits for 16 values.
    #[cfg_attr(feature = "serde", serde(rename = "Q3_K"))]
    Q3K,
    /// 4 bits; scales and minima of 6 bits for 32 values.
    #[cfg_attr(feature = "serde", serde(rename = "Q4_K"))]
    Q4K,
    /// 5 bits; scales and minima of 6 bits for 32 values.
    #[cfg_attr(feature = "serde", serde(rename = "Q5_K"))]
    Q5K,
    /// 6 bits; scales of 8 bits for 16 values.
    #[cfg_attr(feature = "serde", serde(rename = "Q6_K"))]
    Q6K,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 13] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// The name that ggml gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q2K => "Q2_K",
            Self::Q3K => "Q3_K",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// The format with this [`Format::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// How many values a block holds.
    pub fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => BLOCK,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => SUPERBLOCK,
        }
    }

    /// How many bytes a block takes.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// How many bytes `values` values take; `None` when they do not fill
    /// their blocks or the number overflows.
    pub fn bytes(self, values: usize) -> Option<usize> {
        if values.is_multiple_of(self.block()) { (values / self.block()).checked_mul(self.block_bytes()) } else { None }
    }

    /// Whether [`quantise`] writes it. The others are only read.
    pub fn is_written(self) -> bool {
        !matches!(self, Self::Q2K | Self::Q3K | Self::Q5K)
    }
}

/// Reads `bytes` into `out`.
///
/// # Panics
/// When the lengths do not agree, or `out` does not fill its blocks.
pub fn dequantise(format: Format, bytes: &[u8], out: &mut [f32]) {
    check("dequantise", format, out.len(), bytes.len());
    read_blocks(format, bytes, out);
}

kernel! {
fn read_blocks(format: Format, bytes: &[u8], out: &mut [f32]) {
    // A loop of its own for each, compiled around one body.
    macro_rules! each {
        (|$bytes:ident, $out:ident| $read:expr) => {{
            let blocks = bytes.chunks_exact(format.block_bytes()).zip(out.chunks_exact_mut(format.block()));
            for ($bytes, $out) in blocks {
                $read;
            }
        }};
    }
    match format {
        Format::F32 => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f32::from_le_bytes(*bytes);
            }
        }
        Format::F16 => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = widen(u16::from_le_bytes(*bytes));
            }
        }
        Format::Bf16 => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = bf16_to_f32(u16::from_le_bytes(*bytes));
            }
        }
        Format::Q8_0 => each!(|b, out| read_q8_0(b, out)),
        Format::Q4_0 => each!(|b, out| read_simple::<4, false>(b, out)),
        Format::Q4_1 => each!(|b, out| read_simple::<4, true>(b, out)),
        Format::Q5_0 => each!(|b, out| read_simple::<5, false>(b, out)),
        Format::Q5_1 => each!(|b, out| read_simple::<5, true>(b, out)),
        Format::Q2K => each!(|b, out| read_q2_k(b, out)),
        Format::Q3K => each!(|b, out| read_q3_k(b, out)),
        Format::Q4K => each!(|b, out| read_q4_k(b, out)),
        Format::Q5K => each!(|b, out| read_q5_k(b, out)),
        Format::Q6K => each!(|b, out| read_q6_k(b, out)),
    }
}
}

/// Writes `values` to `out`, without an importance matrix. Values that are not
/// finite, or whose scale does not fit in 16 bits, give blocks that mean
/// nothing, the same ones each time.
///
/// # Panics
/// When the lengths do not agree, `values` does not fill its blocks, or the
/// format is only read ([`Format::is_written`]).
pub fn quantise(format: Format, values: &[f32], out: &mut [u8]) {
    check("quantise", format, values.len(), out.len());
    let blocks = values.chunks_exact(format.block()).zip(out.chunks_exact_mut(format.block_bytes()));
    match format {
        Format::F32 => blocks.for_each(|(x, out)| out.copy_from_slice(&x[0].to_le_bytes())),
        Format::F16 => blocks.for_each(|(x, out)| out.copy_from_slice(&f32_to_f16(x[0]).to_le_bytes())),
        Format::Bf16 => blocks.for_each(|(x, out)| out.copy_from_slice(&f32_to_bf16(x[0]).to_le_bytes())),
        Format::Q8_0 => blocks.for_each(|(x, out)| write_q8_0(x, out)),
        Format::Q4_0 => blocks.for_each(|(x, out)| write_simple::<4, false>(x, out)),
        Format::Q4_1 => blocks.for_each(|(x, out)| write_simple::<4, true>(x, out)),
        Format::Q5_0 => blocks.for_each(|(x, out)| write_simple::<5, false>(x, out)),
        Format::Q5_1 => blocks.for_each(|(x, out)| write_simple::<5, true>(x, out)),
        Format::Q4K => blocks.for_each(|(x, out)| write_q4_k(x, out)),
        Format::Q6K => blocks.for_each(|(x, out)| write_q6_k(x, out)),
        Format::Q2K | Format::Q3K | Format::Q5K => panic!("quantise: {} is only read", format.name()),
    }
}

/// [`dequantise`], its blocks shared among threads.
///
/// # Panics
/// As [`dequantise`].
pub fn dequantise_with(pool: &Pool, format: Format, bytes: &[u8], out: &mut [f32]) {
    check("dequantise", format, out.len(), bytes.len());
    let piece = PIECE / format.block();
    let (pieces, length) = (out.len().div_ceil(PIECE), out.len());
    let outs = Shards::new(out);
    pool.run(pieces, |p| {
        // SAFETY: pieces are disjoint.
        let out = unsafe { outs.part(p * PIECE..length.min((p + 1) * PIECE)) };
        let start = p * piece * format.block_bytes();
        dequantise(format, &bytes[start..start + out.len() / format.block() * format.block_bytes()], out);
    });
}

/// [`dequantise`] of `rows` rows, row `i` of which `row` gives, one after the
/// other into `out`, shared among threads.
///
/// # Panics
/// As [`dequantise`], for a row.
pub fn dequantise_rows<'a>(
    pool: &Pool,
    format: Format,
    rows: usize,
    row: impl Fn(usize) -> &'a [u8] + Sync,
    out: &mut [f32],
) {
    let cols = out.len().checked_div(rows).unwrap_or(0);
    assert_eq!(rows * cols, out.len(), "dequantise: {rows} rows");
    let at_once = (PIECE / cols.max(1)).max(1);
    let outs = Shards::new(out);
    pool.run(rows.div_ceil(at_once), |piece| {
        for i in piece * at_once..rows.min((piece + 1) * at_once) {
            // SAFETY: rows are disjoint.
            dequantise(format, row(i), unsafe { outs.part(i * cols..(i + 1) * cols) });
        }
    });
}

/// [`quantise`], its blocks shared among threads.
///
/// # Panics
/// As [`quantise`].
pub fn quantise_with(pool: &Pool, format: Format, values: &[f32], out: &mut [u8]) {
    check("quantise", format, values.len(), out.len());
    let size = PIECE / format.block() * format.block_bytes();
    let length = out.len();
    let outs = Shards::new(out);
    pool.run(values.len().div_ceil(PIECE), |p| {
        let values = &values[p * PIECE..values.len().min((p + 1) * PIECE)];
        // SAFETY: pieces are disjoint.
        let out = unsafe { outs.part(p * size..length.min((p + 1) * size)) };
        quantise(format, values, out);
    });
}

fn check(operation: &str, format: Format, values: usize, bytes: usize) {
    let name = format.name();
    assert!(format.bytes(values) == Some(bytes), "{operation}: {values} values of {name} in {bytes} bytes");
}

/// An IEEE 754 half as a float, exactly; a NaN becomes quiet.
#[inline(always)]
pub fn f16_to_f32(bits: u16) -> f32 {
    let value = widen(bits);
    if value.is_nan() { f32::from_bits(value.to_bits() | 0x0040_0000) } else { value }
}

/// The half nearest to `x`, ties to even; beyond the halves infinity, and for
/// a NaN the quiet one of its sign.
#[inline]
pub fn f32_to_f16(x: f32) -> u16 {
    if x.is_nan() { (x.to_bits() >> 16) as u16 & 0x8000 | 0x7e00 } else { narrow(x) }
}

/// A bfloat16 number as a float, exactly.
#[inline(always)]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bfloat16 number nearest to `x`, ties to even; a NaN becomes quiet.
/// Unlike the operands of the products, small numbers are kept.
#[inline]
pub fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() { (bits >> 16) as u16 | 64 } else { ((bits + (0x7fff + (bits >> 16 & 1))) >> 16) as u16 }
}

/// The half at the beginning of `bytes`.
#[inline(always)]
fn half(bytes: &[u8]) -> f32 {
    f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// Writes `x` as a half to the beginning of `out`.
fn put_half(out: &mut [u8], x: f32) {
    out[..2].copy_from_slice(&f32_to_f16(x).to_le_bytes());
}

// ---------------------------------------------------------------------------
// Blocks of 32: scale, minimum if there is one, high bits if there are any,
// and the low four bits, of value j in the lower half of byte j and of value
// j + 16 in the upper half.

#[inline(always)]
fn read_q8_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block);
    let (numbers, out): (&[u8; BLOCK], &mut [f32; BLOCK]) =
        (block[2..].try_into().expect("a block"), out.try_into().expect("a block"));
    for (out, &q) in out.iter_mut().zip(numbers) {
        *out = f32::from(q as i8) * scale;
    }
}

#[inline(always)]
fn read_simple<const BITS: usize, const MINIMUM: bool>(block: &[u8], out: &mut [f32]) {
    // Else the compiler makes vectors of values of many blocks, and scatters
    // them, which takes three times as long.
    let block = std::hint::black_box(block);
    let scale = half(block);
    let minimum = if MINIMUM { half(&block[2..]) } else { 0.0 };
    let (high, low) = block[if MINIMUM { 4 } else { 2 }..].split_at((BITS - 4) * 4);
    // Of lengths that the compiler knows, which makes vectors of the loops.
    let (low, out): (&[u8; BLOCK / 2], &mut [f32; BLOCK]) =
        (low.try_into().expect("half a block"), out.try_into().expect("a block"));
    let mut numbers = [0i32; BLOCK];
    for (j, &byte) in low.iter().enumerate() {
        (numbers[j], numbers[j + BLOCK / 2]) = (i32::from(byte & 15), i32::from(byte >> 4));
    }
    if BITS == 5 {
        let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
        for (place, q) in numbers.iter_mut().enumerate() {
            *q += (high >> place & 1) as i32 * 16;
        }
    }
    for (out, q) in out.iter_mut().zip(numbers) {
        *out = if MINIMUM { q as f32 * scale + minimum } else { (q - (1 << (BITS - 1))) as f32 * scale };
    }
}

fn write_q8_0(x: &[f32], out: &mut [u8]) {
    let largest = x.iter().fold(0.0f32, |largest, x| if x.abs() > largest { x.abs() } else { largest });
    let scale = largest / 127.0;
    let inverse = inverse(scale);
    put_half(out, scale);
    for (out, x) in out[2..].iter_mut().zip(x) {
        // Rounds halves away from nought, as C's `roundf`.
        *out = (x * inverse).round() as i8 as u8;
    }
}

fn write_simple<const BITS: usize, const MINIMUM: bool>(x: &[f32], out: &mut [u8]) {
    let last = (1u32 << BITS) - 1;
    let (scale, minimum) = if MINIMUM {
        let (low, high) = x.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| {
            (if x < low { x } else { low }, if x > high { x } else { high })
        });
        ((high - low) / last as f32, low)
    } else {
        // The value farthest from nought gets the lowest number, which has no
        // counterpart on the other side: the scale has the sign against it.
        (farthest(x) / -((1 << (BITS - 1)) as f32), 0.0)
    };
    let inverse = inverse(scale);
    put_half(out, scale);
    if MINIMUM {
        put_half(&mut out[2..], minimum);
    }
    let (high, low) = out[if MINIMUM { 4 } else { 2 }..].split_at_mut((BITS - 4) * 4);
    let number = |x: f32| {
        let q = if MINIMUM { (x - minimum) * inverse + 0.5 } else { x * inverse + ((1 << (BITS - 1)) as f32 + 0.5) };
        (q as u32).min(last)
    };
    let mut bits = 0;
    for (j, low) in low.iter_mut().enumerate() {
        let (a, b) = (number(x[j]), number(x[j + 16]));
        *low = (a & 15 | (b & 15) << 4) as u8;
        bits |= a >> 4 << j | b >> 4 << (j + 16);
    }
    if BITS == 5 {
        high.copy_from_slice(&bits.to_le_bytes());
    }
}

/// `1 / scale`, and nought for nought.
fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// The first of the values farthest from nought.
fn farthest(x: &[f32]) -> f32 {
    x.iter().fold(0.0f32, |farthest, &x| if x.abs() > farthest.abs() { x } else { farthest })
}

// ---------------------------------------------------------------------------
// Blocks of 256. Quarters of each half block lie over one another: the low
// bits of a byte are of the first 32 values, the next of the second, and so on.

/// 16 bytes of scale and minimum (4 bits each), 64 of numbers, scale, minimum.
#[inline(always)]
fn read_q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, rest) = block.split_at(16);
    let (scale, minimum) = (half(&rest[64..]), half(&rest[66..]));
    for (group, (out, &s)) in out.chunks_exact_mut(16).zip(scales).enumerate() {
        let (scale, minimum) = (scale * f32::from(s & 15), minimum * f32::from(s >> 4));
        for (out, q) in out.iter_mut().zip(&rest[quarter(group)..]) {
            *out = scale * f32::from(q >> shift(group) & 3) - minimum;
        }
    }
}

/// Where the numbers of a group of 16 begin, when four groups share a byte.
#[inline(always)]
fn quarter(group: usize) -> usize {
    group / 8 * 32 + group % 2 * 16
}

/// And at which bit of the bytes.
#[inline(always)]
fn shift(group: usize) -> usize {
    group / 2 % 4 * 2
}

/// 32 bytes of high bits, 64 of low bits, 12 of scales, scale.
#[inline(always)]
fn read_q3_k(block: &[u8], out: &mut [f32]) {
    let (high, rest) = block.split_at(32);
    let (low, rest) = rest.split_at(64);
    let (scales, scale) = (&rest[..12], half(&rest[12..]));
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        // The low four bits of 16 scales in 8 bytes, the high two in 4.
        let (four, two) = (scales[group % 8] >> (group / 8 * 4) & 15, scales[8 + group % 4] >> (group / 4 * 2) & 3);
        let scale = scale * f32::from((four | two << 4) as i8 - 32);
        let (low, high) = (&low[quarter(group)..], &high[group % 2 * 16..]);
        for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
            // A high bit that is missing takes 4 away.
            let q = (low >> shift(group) & 3) as i8 - if high >> (group / 2) & 1 == 1 { 0 } else { 4 };
            *out = scale * f32::from(q);
        }
    }
}

/// The scale and the minimum of eight groups of 32, of 6 bits each, in 12
/// bytes: four scales, four minima, then the low four bits of the other four
/// of both, whose high bits are above the first eight.
#[inline(always)]
fn scale_and_minimum(bytes: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        (bytes[group] & 63, bytes[group + 4] & 63)
    } else {
        let low = bytes[group + 4];
        (low & 15 | bytes[group - 4] >> 6 << 4, low >> 4 | bytes[group] >> 6 << 4)
    }
}

fn put_scale_and_minimum(bytes: &mut [u8], group: usize, scale: u8, minimum: u8) {
    if group < 4 {
        bytes[group] = scale;
        bytes[group + 4] = minimum;
    } else {
        bytes[group + 4] = scale & 15 | minimum << 4;
        bytes[group - 4] |= scale >> 4 << 6;
        bytes[group] |= minimum >> 4 << 6;
    }
}

/// Scale, minimum, 12 bytes of both, 128 of numbers.
#[inline(always)]
fn read_q4_k(block: &[u8], out: &mut [f32]) {
    let (scale, minimum) = (half(block), half(&block[2..]));
    let (scales, numbers) = block[4..].split_at(12);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (s, m) = scale_and_minimum(scales, group);
        let (scale, minimum) = (scale * f32::from(s), minimum * f32::from(m));
        for (out, q) in out.iter_mut().zip(&numbers[group / 2 * 32..]) {
            *out = scale * f32::from(q >> (group % 2 * 4) & 15) - minimum;
        }
    }
}

/// Scale, minimum, 12 bytes of both, 32 of high bits, 128 of low bits.
#[inline(always)]
fn read_q5_k(block: &[u8], out: &mut [f32]) {
    let (scale, minimum) = (half(block), half(&block[2..]));
    let (scales, rest) = block[4..].split_at(12);
    let (high, low) = rest.split_at(32);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (s, m) = scale_and_minimum(scales, group);
        let (scale, minimum) = (scale * f32::from(s), minimum * f32::from(m));
        for ((out, low), high) in out.iter_mut().zip(&low[group / 2 * 32..]).zip(high) {
            let q = low >> (group % 2 * 4) & 15 | (high >> group & 1) << 4;
            *out = scale * f32::from(q) - minimum;
        }
    }
}

/// 128 bytes of low bits, 64 of high bits, 16 scales, scale.
#[inline(always)]
fn read_q6_k(block: &[u8], out: &mut [f32]) {
    let (lows, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, scale) = (&rest[..16], half(&rest[16..]));
    for (group, (out, &s)) in out.chunks_exact_mut(16).zip(scales).enumerate() {
        let scale = scale * f32::from(s as i8);
        let (low, low_shift) = six_bits_low(group);
        for ((out, low), high) in out.iter_mut().zip(&lows[low..]).zip(&high[quarter(group)..]) {
            let q = low >> low_shift & 15 | (high >> shift(group) & 3) << 4;
            *out = scale * f32::from(q as i8 - 32);
        }
    }
}

/// Where the low four bits of a group of 16 begin in a block of six bits, and
/// at which bit: two quarters of a half block lie side by side, two above.
#[inline(always)]
fn six_bits_low(group: usize) -> (usize, usize) {
    (group / 8 * 64 + group % 4 * 16, group / 4 % 2 * 4)
}

/// The integer nearest to `x`, ties to even, for |x| < 2^22; defined but
/// without meaning beyond. Adding 1.5 * 2^23 leaves it in the low bits.
fn nearest(x: f32) -> i32 {
    ((x + 12_582_912.0).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

fn write_q4_k(x: &[f32], out: &mut [u8]) {
    let mut numbers = [0u8; SUPERBLOCK];
    let (mut scales, mut minima) = ([0.0f32; 8], [0.0f32; 8]);
    for (group, (x, numbers)) in x.chunks_exact(32).zip(numbers.chunks_exact_mut(32)).enumerate() {
        (scales[group], minima[group]) = fit_line(x, numbers);
    }
    let largest = |of: &[f32; 8]| of.iter().fold(0.0f32, |largest, &x| if x > largest { x } else { largest });
    let (scale, minimum) = (largest(&scales), largest(&minima));
    let six_bits = |largest: f32, x: f32| {
        let inverse = if largest > 0.0 { 63.0 / largest } else { 0.0 };
        (nearest(inverse * x) as u8).min(63)
    };

    put_half(out, scale / 63.0);
    put_half(&mut out[2..], minimum / 63.0);
    let rounded = (half(out), half(&out[2..]));
    let (packed, low) = out[4..].split_at_mut(12);
    for group in 0..8 {
        let (s, m) = (six_bits(scale, scales[group]), six_bits(minimum, minima[group]));
        put_scale_and_minimum(packed, group, s, m);
        let (scale, minimum) = (rounded.0 * f32::from(s), rounded.1 * f32::from(m));
        // The numbers again, for the scale and minimum as they were stored.
        if scale != 0.0 {
            let at = group * 32..group * 32 + 32;
            for (number, x) in numbers[at.clone()].iter_mut().zip(&x[at]) {
                *number = nearest((x + minimum) / scale).clamp(0, 15) as u8;
            }
        }
    }
    for (low, numbers) in low.chunks_exact_mut(32).zip(numbers.chunks_exact(64)) {
        for (low, (a, b)) in low.iter_mut().zip(numbers.iter().zip(&numbers[32..])) {
            *low = a | b << 4;
        }
    }
}

/// Numbers of 0..=15, a scale and what to take away, so that the weighted sum
/// of squared errors of `scale * number - minimum` is small. Large values weigh
/// more. Twenty-one widths are tried; for each the numbers are rounded, and
/// scale and minimum solved by least squares.
fn fit_line(x: &[f32], numbers: &mut [u8]) -> (f32, f32) {
    const LAST: f32 = 15.0;
    let mut squares = 0.0f32;
    for x in x {
        squares += x * x;
    }
    let mean = (squares / 32.0).sqrt();
    let mut weights = [0.0f32; 32];
    for (weight, x) in weights.iter_mut().zip(x) {
        *weight = mean + x.abs();
    }

    let (mut low, mut high) = (x[0], x[0]);
    let mut sum_w = weights[0];
    let mut sum_x = sum_w * x[0];
    for (&x, w) in x.iter().zip(weights).skip(1) {
        low = if x < low { x } else { low };
        high = if x > high { x } else { high };
        sum_w += w;
        sum_x += w * x;
    }
    // The minimum is stored without a sign.
    if low > 0.0 {
        low = 0.0;
    }
    if high == low {
        numbers.fill(0);
        return (0.0, -low);
    }
    let round = |inverse: f32, minimum: f32, x: f32| nearest(inverse * (x - minimum)).clamp(0, 15);
    let error = |scale: f32, minimum: f32, numbers: &[u8]| {
        let mut sum = 0.0f32;
        for ((&x, w), &number) in x.iter().zip(weights).zip(numbers) {
            let difference = scale * f32::from(number) + minimum - x;
            sum += w * (difference * difference);
        }
        sum
    };

    let inverse = LAST / (high - low);
    for (number, &x) in numbers.iter_mut().zip(x) {
        *number = round(inverse, low, x) as u8;
    }
    let (mut scale, mut minimum) = (1.0 / inverse, low);
    let mut best = error(scale, minimum, numbers);
    let mut tried = [0u8; 32];
    for step in 0..=20 {
        // From the best minimum so far, not from the lowest value.
        let inverse = (-1.0 + 0.1 * step as f32 + LAST) / (high - minimum);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0f32, 0.0f32, 0.0f32);
        for ((tried, &x), w) in tried.iter_mut().zip(x).zip(weights) {
            let number = round(inverse, minimum, x);
            *tried = number as u8;
            let l = number as f32;
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * x;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut this_minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if this_minimum > 0.0 {
                this_minimum = 0.0;
                this_scale = sum_xl / sum_l2;
            }
            let this = error(this_scale, this_minimum, &tried);
            if this < best {
                numbers.copy_from_slice(&tried);
                (best, scale, minimum) = (this, this_scale, this_minimum);
            }
        }
    }
    (scale, -minimum)
}

/// Groups whose values are all smaller than this are nought.
const NOTHING: f32 = 1e-15;

fn write_q6_k(x: &[f32], out: &mut [u8]) {
    let mut numbers = [0i32; SUPERBLOCK];
    let mut scales = [0.0f32; 16];
    for (scale, (x, numbers)) in scales.iter_mut().zip(x.chunks_exact(16).zip(numbers.chunks_exact_mut(16))) {
        *scale = fit_scale(x, numbers);
    }
    out.fill(0);
    let largest = farthest(&scales);
    if largest.abs() < NOTHING {
        return;
    }
    let inverse = -128.0 / largest;
    put_half(&mut out[208..], 1.0 / inverse);
    let rounded = half(&out[208..]);
    for (group, scale) in scales.iter().enumerate() {
        let s = nearest(inverse * scale).min(127) as i8;
        out[192 + group] = s as u8;
        let scale = rounded * f32::from(s);
        // The numbers again, for the scale as it was stored.
        if scale != 0.0 {
            let at = group * 16..group * 16 + 16;
            for (number, x) in numbers[at.clone()].iter_mut().zip(&x[at]) {
                *number = nearest(x / scale).clamp(-32, 31);
            }
        }
    }
    for (group, numbers) in numbers.chunks_exact(16).enumerate() {
        let (low, low_shift) = six_bits_low(group);
        let high = 128 + quarter(group);
        for (j, number) in numbers.iter().enumerate() {
            let number = (number + 32) as u8;
            out[low + j] |= (number & 15) << low_shift;
            out[high + j] |= number >> 4 << shift(group);
        }
    }
}

/// Numbers of -32..32 and a scale, so that the sum of squared errors of
/// `scale * number`, weighted with the squares of the values, is small. Nineteen
/// scales are tried around the one that takes the farthest value to -32; for
/// each the numbers are rounded and the scale solved by least squares.
fn fit_scale(x: &[f32], numbers: &mut [i32]) -> f32 {
    let farthest = farthest(x);
    if farthest.abs() < NOTHING {
        // Number 0 of the file, which would be -32 here.
        numbers.fill(-32);
        return 0.0;
    }
    let round = |inverse: f32, x: f32| nearest(inverse * x).clamp(-32, 31);
    let sums = |inverse: f32| {
        let (mut sum_lx, mut sum_l2) = (0.0f32, 0.0f32);
        for &x in x {
            let (l, w) = (round(inverse, x) as f32, x * x);
            sum_lx += w * x * l;
            sum_l2 += w * l * l;
        }
        (sum_lx, sum_l2)
    };
    let mut chosen = -32.0 / farthest;
    let (sum_lx, sum_l2) = sums(chosen);
    let mut scale = if sum_l2 != 0.0 { sum_lx / sum_l2 } else { 0.0 };
    let mut best = scale * sum_lx;
    for step in (-9i8..=9).filter(|&step| step != 0) {
        let inverse = -(32.0 + 0.1 * f32::from(step)) / farthest;
        let (sum_lx, sum_l2) = sums(inverse);
        if sum_l2 > 0.0 && sum_lx * sum_lx > best * sum_l2 {
            chosen = inverse;
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    for (number, &x) in numbers.iter_mut().zip(x) {
        *number = round(chosen, x);
    }
    scale
}
