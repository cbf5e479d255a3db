//! Numbers of 16 bits, IEEE 754 binary16 (*f16*): a sign, 5 bits of exponent
//! and 10 of fraction. They are stored, never computed with.
//!
//! [`narrow`] rounds to nearest, ties to even, keeps denormals, and makes one
//! and the same NaN of every NaN; [`widen`] is exact. Both are made of bit
//! moves and of one exact or correctly rounded operation, so that they have
//! the same bits everywhere, and are those of the instructions `vcvtps2ph`
//! and `vcvtph2ps` of x86 and `fcvtn` and `fcvtl` of Arm but for NaNs.

/// The one NaN.
const NAN: u32 = 0x7e00;

/// The f16 nearest to `x`, ties to even; infinity from 65,520 on.
#[inline(always)]
pub fn narrow(x: f32) -> u16 {
    const INFINITY: u32 = 0x7c00;
    /// 2^-14, the least normal f16.
    const NORMAL: u32 = 113 << 23;
    let bits = x.to_bits();
    let size = bits & 0x7fff_ffff;
    let moved = size.wrapping_sub(112 << 23);
    let normal = (moved.wrapping_add(0xfff + (moved >> 13 & 1)) >> 13).min(INFINITY);
    // The last bit of 0.5 is worth 2^-24, as is that of a denormal f16: the
    // addition rounds it.
    let denormal = (f32::from_bits(size) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
    let value = if size < NORMAL { denormal } else { normal };
    let value = if x.is_nan() { NAN } else { value | bits >> 16 & 0x8000 };
    value as u16
}

/// The number that is stored as `half`.
#[inline(always)]
pub fn widen(half: u16) -> f32 {
    /// 2^112, the distance of the two exponents.
    const UP: f32 = f32::from_bits((112 + 127) << 23);
    let bits = u32::from(half);
    // Exact: a denormal f16 is a denormal f32 here, and normal afterwards.
    let size = (f32::from_bits((bits & 0x7fff) << 13) * UP).to_bits();
    let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(size | special | (bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the definition: sign, exponent and fraction.
    fn exact(half: u16) -> f64 {
        let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
        let size = match exponent {
            0 => fraction * 2.0_f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1.0 + fraction / 1024.0) * 2.0_f64.powi(exponent - 15),
        };
        if half >> 15 == 1 { -size } else { size }
    }

    #[test]
    fn every_f16_comes_back() {
        for half in 0..=u16::MAX {
            let (wide, exact) = (widen(half), exact(half));
            if exact.is_nan() {
                assert!(wide.is_nan());
                assert_eq!(narrow(wide), NAN as u16);
            } else {
                assert_eq!(f64::from(wide).to_bits(), exact.to_bits(), "{half:04x}");
                assert_eq!(narrow(wide), half);
            }
        }
    }

    /// Between two neighbours, the middle goes to the even one, and what is
    /// next to the middle to the nearer one.
    #[test]
    fn rounding_is_to_nearest_and_ties_to_even() {
        for half in 0..0x7c00_u16 {
            let upper = if half == 0x7bff { 65_536.0 } else { exact(half + 1) };
            let middle = ((exact(half) + upper) / 2.0) as f32;
            let beside = |step: i32| f32::from_bits(middle.to_bits().wrapping_add_signed(step));
            assert_eq!(narrow(middle), half + (half & 1), "the middle after {half:04x}");
            assert_eq!((narrow(beside(-1)), narrow(beside(1))), (half, half + 1), "beside the middle after {half:04x}");
            assert_eq!(narrow(-beside(1)), 0x8000 | (half + 1));
        }
        for (x, half) in [(f32::MAX, 0x7c00), (f32::INFINITY, 0x7c00), (-1e9, 0xfc00), (1e-45, 0), (-1e-30, 0x8000)] {
            assert_eq!(narrow(x), half, "{x:e}");
        }
        assert_eq!((narrow(f32::NAN), narrow(-f32::NAN)), (0x7e00, 0x7e00));
    }
}
