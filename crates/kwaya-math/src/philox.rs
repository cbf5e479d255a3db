//! Random numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror and
//! Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//!
//! A number is a function of the seed, the stage and the position, so any
//! thread can make any of them, in any order, and a resumed run goes on
//! exactly where it was.

use crate::{
    isa::kernel,
    pool::{Pool, Shards},
    scalar,
};

/// The ten rounds on one counter block.
#[inline(always)]
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
    }
    counter
}

/// A row of random numbers of its own for each seed, stage and index.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    stage: u32,
    index: u64,
    block: u32,
    ready: [u32; 4],
    used: usize,
}

impl Stream {
    /// The stream of `index` in `stage` under `seed`. It holds 2^34 numbers.
    pub fn new(seed: u64, stage: u32, index: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], stage, index, block: 0, ready: [0; 4], used: 4 }
    }

    /// The next 32 random bits.
    #[inline(always)]
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.ready = philox4x32([self.block, self.stage, self.index as u32, (self.index >> 32) as u32], self.key);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.ready[self.used - 1]
    }

    /// The next 64 random bits, the low half first.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// Uniform in [0, 1), a multiple of 2^-24.
    #[inline(always)]
    pub fn next_f32(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in 0..n, without bias (Lemire, "Fast random integer
    /// generation in an interval", 2019).
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "below: the range 0..0 is empty");
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }
}

/// Where position `i` goes in a random permutation of 0..n: a Feistel network
/// of eight rounds over the next power of four, walked again while it lands
/// outside. It takes no memory, and no order but this one is ever needed.
///
/// # Panics
/// When `i >= n`.
pub fn permute(seed: u64, stage: u32, epoch: u64, n: u64, i: u64) -> u64 {
    assert!(i < n, "permute: position {i} of {n}");
    let half_bits = (64 - (n - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1_u64 << half_bits) - 1;
    let key = [seed as u32, (seed >> 32) as u32];
    let mut value = i;
    loop {
        let (mut left, mut right) = (value >> half_bits, value & mask);
        for round in 0..8_u32 {
            let counter = [right as u32, stage, epoch as u32, (epoch >> 32) as u32 ^ round << 24];
            let mixed = u64::from(philox4x32(counter, key)[0]) & mask;
            (left, right) = (right, left ^ mixed);
        }
        value = left << half_bits | right;
        if value < n {
            return value;
        }
    }
}

/// Fills `out` with normal numbers of mean 0 and deviation `std`, by the
/// transform of Box and Muller on pairs; element 2j and 2j+1 come from
/// stream j / 512 of the stage.
pub fn fill_normal(pool: &Pool, out: &mut [f32], std: f32, seed: u64, stage: u32) {
    const CHUNK: usize = 1024;
    let chunks = out.len().div_ceil(CHUNK);
    let length = out.len();
    let shards = Shards::new(out);
    pool.run(chunks, |c| {
        // SAFETY: chunks are disjoint.
        let part = unsafe { shards.part(c * CHUNK..length.min((c + 1) * CHUNK)) };
        normal_part(part, std, seed, stage, c as u64);
    });
}

kernel! {
fn normal_part(part: &mut [f32], std: f32, seed: u64, stage: u32, index: u64) {
    let mut stream = Stream::new(seed, stage, index);
    for pair in part.chunks_mut(2) {
        // In (0, 1], so that the logarithm is finite.
        let u = 1.0 - stream.next_f32();
        let angle = f64::from(stream.next_f32()) * std::f64::consts::TAU;
        let radius = (-2.0 * scalar::log(u)).sqrt() * std;
        pair[0] = radius * scalar::cos(angle) as f32;
        if let Some(second) = pair.get_mut(1) {
            *second = radius * scalar::sin(angle) as f32;
        }
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the Random123 library (kat_vectors, philox4x32 10).
    #[test]
    fn known_answers() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn a_permutation_hits_every_place_once_and_moves_them() {
        for n in [1, 2, 3, 5, 16, 17, 1000] {
            let mut seen = vec![false; n as usize];
            for i in 0..n {
                let j = permute(7, 3, 1, n, i) as usize;
                assert!(!std::mem::replace(&mut seen[j], true), "{j} twice in 0..{n}");
            }
        }
        let order = |epoch| (0..1000).map(|i| permute(7, 3, epoch, 1000, i)).collect::<Vec<_>>();
        assert_ne!(order(0), order(1));
        let fixed = order(0).iter().enumerate().filter(|(i, j)| *i as u64 == **j).count();
        assert!(fixed < 10, "{fixed} of 1000 stay where they are; about 1 is expected");
    }

    #[test]
    fn normal_numbers_have_their_moments_and_do_not_depend_on_threads() {
        let make = |threads| {
            let mut x = vec![0.0; 100_001];
            fill_normal(&Pool::new(threads), &mut x, 2.0, 42, 9);
            x
        };
        let x = make(1);
        assert_eq!(x, make(3));
        let n = x.len() as f64;
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let moment = |p| x.iter().map(|v| (f64::from(*v) / 2.0).powi(p)).sum::<f64>() / n;
        // Five standard errors each.
        assert!(mean.abs() < 5.0 * 2.0 / n.sqrt(), "mean {mean}");
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "fourth moment {}", moment(4));
    }
}
