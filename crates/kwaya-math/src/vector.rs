//! Vectors of f32, each instruction set's own: the only thing in which the
//! kernels of the tile differ.
//!
//! A lane also holds a pair of bfloat16 numbers, the even one in its low
//! half. [`Vector::dot`] adds both products of a pair to a sum as the x86
//! instruction `vdpbf16ps` does: the odd product first, each by a fused
//! multiply-add rounded to nearest, with denormals taken and left as zeros of
//! their sign. Where the instruction is missing, [`Vector::dot_emulated`]
//! gives the same bits, or, faster, the tile takes number by number
//! (`Word::Rounded` in `tile.rs`).

/// A vector register of f32.
pub(crate) trait Vector: Copy {
    /// How many f32 it holds.
    const LANES: usize;
    /// All lanes +0.
    ///
    /// # Safety
    /// The machine has the instructions: as everywhere in this trait.
    unsafe fn zero() -> Self;
    /// # Safety
    /// `LANES` f32 can be read from there.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// `LANES` f32 can be written there.
    unsafe fn store(self, to: *mut f32);
    /// All lanes the f32 that is there.
    ///
    /// # Safety
    /// It can be read.
    unsafe fn splat(from: *const f32) -> Self;
    /// `LANES` f16 as f32.
    ///
    /// # Safety
    /// They can be read from there.
    unsafe fn load_halves(from: *const u16) -> Self;
    /// self * b + sum, rounded once.
    ///
    /// # Safety
    /// As for the trait.
    unsafe fn multiply_add(self, b: Self, sum: Self) -> Self;
    /// The even number of each pair as f32.
    ///
    /// # Safety
    /// As for the trait.
    unsafe fn even(self) -> Self;
    /// The odd number of each pair as f32.
    ///
    /// # Safety
    /// As for the trait.
    unsafe fn odd(self) -> Self;
    /// Denormals become zeros of their sign.
    ///
    /// # Safety
    /// As for the trait.
    unsafe fn flush(self) -> Self;
    /// sum + odd * odd, then + even * even.
    ///
    /// # Safety
    /// As for the trait.
    #[inline(always)]
    unsafe fn dot(self, b: Self, sum: Self) -> Self {
        // SAFETY: as for this function.
        unsafe { self.dot_emulated(b, sum) }
    }
    /// What [`Vector::dot`] gives, from other instructions.
    ///
    /// # Safety
    /// As for the trait.
    #[inline(always)]
    unsafe fn dot_emulated(self, b: Self, sum: Self) -> Self {
        // SAFETY: as for this function.
        unsafe {
            let sum = self.odd().flush().multiply_add(b.odd().flush(), sum.flush()).flush();
            self.even().flush().multiply_add(b.even().flush(), sum).flush()
        }
    }
}

/// Sixteen plain f32.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 16]);

impl Vector for Plain {
    const LANES: usize = 16;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 16])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller says.
        Self(unsafe { from.cast::<[f32; 16]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller says.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: as the caller says.
        Self([unsafe { *from }; 16])
    }
    #[inline(always)]
    unsafe fn load_halves(from: *const u16) -> Self {
        // SAFETY: as the caller says.
        Self(unsafe { from.cast::<[u16; 16]>().read_unaligned() }.map(crate::half::widen))
    }
    #[inline(always)]
    unsafe fn multiply_add(self, b: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], sum.0[i])))
    }
    #[inline(always)]
    unsafe fn even(self) -> Self {
        Self(self.0.map(|x| f32::from_bits(x.to_bits() << 16)))
    }
    #[inline(always)]
    unsafe fn odd(self) -> Self {
        Self(self.0.map(|x| f32::from_bits(x.to_bits() & 0xffff_0000)))
    }
    #[inline(always)]
    unsafe fn flush(self) -> Self {
        Self(self.0.map(|x| if x.abs() < f32::MIN_POSITIVE { 0.0_f32.copysign(x) } else { x }))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Avx512Bf16, dot_is_as_specified};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Plain, Vector};

    /// 8 lanes of AVX2.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256);

    // SAFETY of all blocks below: the trait demands the instructions, and
    // memory is as its functions demand.
    #[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
    impl Vector for Avx2 {
        const LANES: usize = 8;
        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(unsafe { _mm256_setzero_ps() })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { _mm256_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            Self(unsafe { _mm256_set1_ps(*from) })
        }
        #[inline(always)]
        unsafe fn load_halves(from: *const u16) -> Self {
            Self(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) })
        }
        #[inline(always)]
        unsafe fn multiply_add(self, b: Self, sum: Self) -> Self {
            Self(unsafe { _mm256_fmadd_ps(self.0, b.0, sum.0) })
        }
        #[inline(always)]
        unsafe fn even(self) -> Self {
            Self(unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(self.0))) })
        }
        #[inline(always)]
        unsafe fn odd(self) -> Self {
            let mask = unsafe { _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000_u32 as i32)) };
            Self(unsafe { _mm256_and_ps(self.0, mask) })
        }
        #[inline(always)]
        unsafe fn flush(self) -> Self {
            unsafe {
                let sign = _mm256_set1_ps(-0.0);
                let size = _mm256_andnot_ps(sign, self.0);
                // Unordered: a NaN stays.
                let kept = _mm256_cmp_ps::<_CMP_NLT_UQ>(size, _mm256_set1_ps(f32::MIN_POSITIVE));
                Self(_mm256_and_ps(self.0, _mm256_or_ps(kept, sign)))
            }
        }
    }

    /// 16 lanes of AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    #[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
    impl Vector for Avx512 {
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(unsafe { _mm512_setzero_ps() })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            Self(unsafe { _mm512_set1_ps(*from) })
        }
        #[inline(always)]
        unsafe fn load_halves(from: *const u16) -> Self {
            Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) })
        }
        #[inline(always)]
        unsafe fn multiply_add(self, b: Self, sum: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, b.0, sum.0) })
        }
        #[inline(always)]
        unsafe fn even(self) -> Self {
            Self(unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(self.0))) })
        }
        #[inline(always)]
        unsafe fn odd(self) -> Self {
            let mask = unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(0xffff_0000_u32 as i32)) };
            Self(unsafe { _mm512_and_ps(self.0, mask) })
        }
        #[inline(always)]
        unsafe fn flush(self) -> Self {
            unsafe {
                let sign = _mm512_set1_ps(-0.0);
                let size = _mm512_andnot_ps(sign, self.0);
                let small = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(size, _mm512_set1_ps(f32::MIN_POSITIVE));
                Self(_mm512_mask_and_ps(self.0, small, self.0, sign))
            }
        }
    }

    /// 16 lanes of AVX-512 with its instruction for pairs.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512Bf16(Avx512);

    #[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
    impl Vector for Avx512Bf16 {
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(unsafe { Avx512::zero() })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { Avx512::load(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { self.0.store(to) }
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            Self(unsafe { Avx512::splat(from) })
        }
        #[inline(always)]
        unsafe fn load_halves(from: *const u16) -> Self {
            Self(unsafe { Avx512::load_halves(from) })
        }
        #[inline(always)]
        unsafe fn multiply_add(self, b: Self, sum: Self) -> Self {
            Self(unsafe { self.0.multiply_add(b.0, sum.0) })
        }
        #[inline(always)]
        unsafe fn even(self) -> Self {
            Self(unsafe { self.0.even() })
        }
        #[inline(always)]
        unsafe fn odd(self) -> Self {
            Self(unsafe { self.0.odd() })
        }
        #[inline(always)]
        unsafe fn flush(self) -> Self {
            Self(unsafe { self.0.flush() })
        }
        #[inline(always)]
        unsafe fn dot(self, b: Self, sum: Self) -> Self {
            unsafe {
                let pairs = |x: Self| std::mem::transmute::<__m512, __m512bh>(x.0.0);
                Self(Avx512(_mm512_dpbf16_ps(sum.0.0, pairs(self), pairs(b))))
            }
        }
    }

    /// Whether the instruction of this processor gives the bits that are
    /// specified, seen on numbers of every size: a processor of another mind
    /// takes the emulation. The machine must have AVX-512 BF16.
    pub(crate) fn dot_is_as_specified() -> bool {
        // SAFETY: as this function demands.
        unsafe { compare() }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    fn compare() -> bool {
        let mut stream = crate::philox::Stream::new(1, 0, 0);
        // Sizes near each other, so that roundings meet, and any.
        let mut number = |any: bool, middle: u32| {
            let bits = stream.next_u32();
            let exponent = if any { bits >> 23 & 0xff } else { middle + (bits >> 23 & 7) };
            let bits = bits & 0x807f_ffff | exponent << 23;
            if f32::from_bits(bits).is_finite() { bits } else { 0 }
        };
        (0..256).all(|round| {
            let (any, middle) = (round % 4 == 0, if round % 2 == 0 { 123 } else { 60 });
            let mut pairs = || [0; 16].map(|_: u32| number(any, middle) >> 16 | number(any, middle) & 0xffff_0000);
            let [a, b] = [pairs(), pairs()].map(|x| x.map(f32::from_bits));
            let sums = pairs().map(|x| f32::from_bits(x.wrapping_mul(if middle == 60 { 1 } else { 3 }) & 0x7f7f_ffff));
            // SAFETY: this function has the instructions, and the arrays
            // have sixteen numbers.
            let found = unsafe {
                let dot =
                    Avx512Bf16::load(a.as_ptr()).dot(Avx512Bf16::load(b.as_ptr()), Avx512Bf16::load(sums.as_ptr()));
                let plain = Plain::load(a.as_ptr()).dot(Plain::load(b.as_ptr()), Plain::load(sums.as_ptr()));
                let mut out = [[0.0_f32; 16]; 2];
                dot.store(out[0].as_mut_ptr());
                plain.store(out[1].as_mut_ptr());
                out.map(|out| out.map(f32::to_bits))
            };
            let nan = |bits: u32| f32::from_bits(bits).is_nan();
            found[0].iter().zip(&found[1]).all(|(x, y)| x == y || (nan(*x) && nan(*y)))
        })
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::Vector;

    /// 4 lanes of NEON.
    #[derive(Clone, Copy)]
    pub(crate) struct Neon(float32x4_t);

    // SAFETY of all blocks below: all of AArch64 has NEON, and memory is as
    // the trait's functions demand.
    #[allow(clippy::undocumented_unsafe_blocks, unused_unsafe, reason = "one reason for all, above")]
    impl Vector for Neon {
        const LANES: usize = 4;
        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(unsafe { vdupq_n_f32(0.0) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { vld1q_f32(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { vst1q_f32(to, self.0) }
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            Self(unsafe { vld1q_dup_f32(from) })
        }
        /// As `half::widen`: the instruction for it is not yet in stable Rust.
        #[inline(always)]
        unsafe fn load_halves(from: *const u16) -> Self {
            unsafe {
                let bits = vmovl_u16(vld1_u16(from));
                let low = vreinterpretq_f32_u32(vshlq_n_u32::<13>(vandq_u32(bits, vdupq_n_u32(0x7fff))));
                let size = vreinterpretq_u32_f32(vmulq_f32(low, vdupq_n_f32(f32::from_bits((112 + 127) << 23))));
                let exponent = vandq_u32(bits, vdupq_n_u32(0x7c00));
                let special = vandq_u32(vceqq_u32(exponent, vdupq_n_u32(0x7c00)), vdupq_n_u32(0x7f80_0000));
                let sign = vshlq_n_u32::<16>(vandq_u32(bits, vdupq_n_u32(0x8000)));
                Self(vreinterpretq_f32_u32(vorrq_u32(vorrq_u32(size, special), sign)))
            }
        }
        #[inline(always)]
        unsafe fn multiply_add(self, b: Self, sum: Self) -> Self {
            Self(unsafe { vfmaq_f32(sum.0, self.0, b.0) })
        }
        #[inline(always)]
        unsafe fn even(self) -> Self {
            Self(unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_f32(self.0))) })
        }
        #[inline(always)]
        unsafe fn odd(self) -> Self {
            let mask = unsafe { vdupq_n_u32(0xffff_0000) };
            Self(unsafe { vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(self.0), mask)) })
        }
        #[inline(always)]
        unsafe fn flush(self) -> Self {
            unsafe {
                let bits = vreinterpretq_u32_f32(self.0);
                let small = vcaltq_f32(self.0, vdupq_n_f32(f32::MIN_POSITIVE));
                // Where small, all but the sign is cleared.
                let cleared = vandq_u32(small, vdupq_n_u32(0x7fff_ffff));
                Self(vreinterpretq_f32_u32(vbicq_u32(bits, cleared)))
            }
        }
    }
}
