//! A vector in 8-bit numbers, its row in a file, and the search for the nearest
//! of many rows: all are read, and compared in whole numbers, so that none is
//! missed and the result is the same on every machine.
//!
//! ```text
//! row = scale: f32, width × i8, check
//! ```
//!
//! A check is the first 4 bytes of the BLAKE3 of what is before it.

use std::sync::{Mutex, PoisonError};

use kwaya_math::{Pool, dots};

const SCALE_BYTES: usize = 4;
pub(crate) const CHECK_BYTES: usize = 4;
/// Rows of one piece of a search: enough to be worth handing out, few enough that
/// a slow thread keeps nobody waiting.
const PIECE: usize = 1 << 13;
/// Rows whose products are made at once; they stay in the nearest cache.
const BLOCK: usize = 256;

/// A vector of length 1 in small numbers: each is so many times the scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Small {
    scale: f32,
    numbers: Vec<i8>,
}

impl Small {
    /// A state less the mean, in numbers from -127 to 127.
    pub fn of(state: &[f32], mean: &[f32]) -> Self {
        let centred: Vec<f64> = state.iter().zip(mean).map(|(x, mean)| f64::from(*x) - f64::from(*mean)).collect();
        let length = centred.iter().map(|x| x * x).sum::<f64>().sqrt();
        let most = centred.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        if !(most > 0.0 && length.is_finite()) {
            return Self { scale: 0.0, numbers: vec![0; state.len()] };
        }
        let numbers = centred.iter().map(|x| (x / most * 127.0).round() as i8).collect();
        Self { scale: (most / length / 127.0) as f32, numbers }
    }

    /// Its row in a file.
    pub fn row(&self) -> Vec<u8> {
        let mut row = self.scale.to_le_bytes().to_vec();
        row.extend(self.numbers.iter().map(|number| number.cast_unsigned()));
        sealed(row)
    }

    /// The `count` of `rows` that are nearest to this vector, by their cosines and
    /// numbers, nearest first; of equals the first.
    pub fn nearest(&self, pool: &Pool, rows: &[u8], count: usize) -> Vec<(f32, u32)> {
        let bytes = PIECE * row_bytes(self.numbers.len());
        let wide: Vec<i16> = self.numbers.iter().map(|number| i16::from(*number)).collect();
        let all = Mutex::new(Vec::new());
        pool.run(rows.len().div_ceil(bytes), |piece| {
            let of_piece = &rows[piece * bytes..rows.len().min((piece + 1) * bytes)];
            let best = self.nearest_of(&wide, of_piece, (piece * PIECE) as u32, count);
            all.lock().unwrap_or_else(PoisonError::into_inner).extend(best);
        });
        let mut all: Vec<(f32, u32)> = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all.truncate(count);
        all
    }

    /// The same among the rows of a piece, of which the first is number `first`.
    fn nearest_of(&self, wide: &[i16], rows: &[u8], first: u32, count: usize) -> Vec<(f32, u32)> {
        let stride = row_bytes(wide.len());
        let mut best: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
        let mut products = [0; BLOCK];
        let mut number = first;
        for block in rows.chunks(BLOCK * stride) {
            let products = &mut products[..block.len() / stride];
            dots(&block[SCALE_BYTES..], stride, wide, products);
            for (row, product) in block.chunks_exact(stride).zip(products) {
                let scale = f32::from_le_bytes(row[..SCALE_BYTES].try_into().expect("four bytes"));
                let near = *product as f32 * scale * self.scale;
                if best.len() < count || best.last().is_some_and(|(least, _)| near > *least) {
                    let at = best.partition_point(|(other, _)| *other >= near);
                    best.insert(at, (near, number));
                    best.truncate(count);
                }
                number += 1;
            }
        }
        best
    }
}

/// Bytes of the row of a vector of `width` numbers.
pub(crate) fn row_bytes(width: usize) -> usize {
    SCALE_BYTES + width + CHECK_BYTES
}

pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let check = blake3::hash(&bytes);
    bytes.extend(&check.as_bytes()[..CHECK_BYTES]);
    bytes
}

pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let (bytes, check) = bytes.split_at(bytes.len() - CHECK_BYTES);
    blake3::hash(bytes).as_bytes()[..CHECK_BYTES] == *check
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn small_numbers_point_where_the_large_ones_do(state in prop::collection::vec(-1e3_f32..1e3, 1..80)) {
            let small = Small::of(&state, &vec![0.0; state.len()]);
            let length = state.iter().map(|x| x * x).sum::<f32>().sqrt();
            for (number, x) in small.numbers.iter().zip(&state) {
                prop_assert!((f32::from(*number) * small.scale - x / length.max(1e-9)).abs() <= 0.51 * small.scale + 1e-6);
            }
            prop_assert!(is_whole(&small.row()) && small.row().len() == row_bytes(state.len()));
        }
    }

    #[test]
    fn the_nearest_are_those_of_a_plain_search_for_any_number_of_threads() {
        const WIDTH: usize = 3;
        // Few directions, so that many are as near; more than one piece of them.
        let state = |number: usize| [(number % 7) as f32, (number % 3) as f32 - 1.0, (number % 2) as f32 - 0.5];
        for total in [0, 1, BLOCK + 1, PIECE, PIECE + 1, 2 * PIECE + BLOCK - 1] {
            let all: Vec<Small> = (0..total).map(|number| Small::of(&state(number), &[0.0; WIDTH])).collect();
            let rows: Vec<u8> = all.iter().flat_map(Small::row).collect();
            let asked = Small::of(&[1.0, 0.5, -0.2], &[0.0; WIDTH]);
            let near = |other: &Small| {
                let product: i64 =
                    asked.numbers.iter().zip(&other.numbers).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
                product as f32 * other.scale * asked.scale
            };
            let mut plain: Vec<(f32, u32)> = all.iter().map(near).zip(0..).collect();
            plain.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for (threads, count) in [(1, 50), (2, 50), (3, 1), (2, 0)] {
                let found = asked.nearest(&Pool::new(threads), &rows, count);
                assert_eq!(found, plain[..count.min(total)], "{total} {threads} {count}");
            }
        }
    }
}
