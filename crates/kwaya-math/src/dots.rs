//! Products of one vector of small whole numbers with many, exact: what a search
//! for the nearest of many vectors reads them all for.
//!
//! Whole numbers add up to the same in any order, so that the compiler may take
//! the widest products that there are (`vpmaddwd`), which need the one vector in
//! 16 bits.

use crate::isa::kernel;

/// The longest vector whose products an `i32` holds: 2^16 × 2^7 × 2^7 is 2^30.
const LENGTH_MAX: usize = 1 << 16;

/// The product of `other` with each of `out.len()` rows of `bytes`, which lie
/// `stride` bytes apart; the bytes of a row are signed numbers. `other` is of
/// numbers from -128 to 127.
///
/// # Panics
/// When the rows are longer than `stride`, or more than `bytes` has.
pub fn dots(bytes: &[u8], stride: usize, other: &[i16], out: &mut [i32]) {
    let (length, rows) = (other.len(), out.len());
    assert!(length <= stride.min(LENGTH_MAX), "dots: {length} numbers of a row of {stride} bytes");
    let needed = rows.saturating_sub(1).saturating_mul(stride).saturating_add(length);
    assert!(rows == 0 || needed <= bytes.len(), "dots: {rows} rows of {stride} bytes of {}", bytes.len());
    rows_times(bytes, stride, other, out);
}

kernel! {
    fn rows_times(bytes: &[u8], stride: usize, other: &[i16], out: &mut [i32]) {
        for (i, out) in out.iter_mut().enumerate() {
            let row = &bytes[i * stride..][..other.len()];
            let mut sum = 0_i32;
            for (a, b) in row.iter().zip(other) {
                sum += i32::from(a.cast_signed()) * i32::from(*b);
            }
            *out = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::Stream;

    #[test]
    fn products_are_those_of_plain_loops() {
        let mut numbers = Stream::new(7, 0, 0);
        for length in [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 384, 576, 1000] {
            for (rows, beside) in [(0, 0), (1, 0), (2, 1), (7, 8), (33, 3)] {
                let stride = length + beside;
                let bytes: Vec<u8> = (0..rows * stride).map(|_| numbers.next_u32() as u8).collect();
                let other: Vec<i16> = (0..length).map(|_| i16::from(numbers.next_u32() as i8)).collect();
                let mut out = vec![1; rows];
                dots(&bytes, stride, &other, &mut out);
                for (i, out) in out.iter().enumerate() {
                    let row = &bytes[i * stride..][..length];
                    let naive: i64 = row.iter().zip(&other).map(|(a, b)| i64::from(*a as i8) * i64::from(*b)).sum();
                    assert_eq!(i64::from(*out), naive, "{length} {rows} {i}");
                }
            }
        }
        // The largest there are.
        let mut out = [0];
        dots(&vec![128; LENGTH_MAX], LENGTH_MAX, &vec![-128; LENGTH_MAX], &mut out);
        assert_eq!(out, [1 << 30]);
    }

    #[test]
    fn what_does_not_fit_is_a_mistake() {
        for (bytes, stride, length, rows) in [(8, 4, 5, 1), (8, 4, 4, 3), (7, 4, 4, 2), (0, 4, 4, 1)] {
            let wrong =
                std::panic::catch_unwind(|| dots(&vec![0; bytes], stride, &vec![0; length], &mut vec![0; rows]));
            assert!(wrong.is_err(), "{bytes} {stride} {length} {rows}");
        }
    }
}
