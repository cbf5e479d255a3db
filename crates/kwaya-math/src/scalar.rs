//! Elementary functions from add, multiply, fused multiply-add and bit moves
//! alone, so that they have the same bits on every machine: the C library's
//! and the processor's own do not.
//!
//! The f32 functions have no branches, so loops over them become vectors.
//! The reductions and polynomials are those of Cephes (Moshier) for f32 and
//! of fdlibm (Sun) for the f64 sine and cosine; the largest errors are stated
//! and tested.

use std::f64::consts::{LN_2, LOG2_E};

/// e to the power `x`; at most 2 ULP off. Below -87.336 it is 0 (no
/// denormals), above 88.722 infinity; NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
    let y = x.clamp(-87.4, 88.8);
    let n = y.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, y));
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    p = p.mul_add(r * r, r) + 1.0;
    // Two factors, because 2^128 is not a finite f32. The low bits of
    // n + ROUND hold n as an integer.
    let whole = (n + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
    let half = whole >> 1;
    let power = |e: i32| f32::from_bits(((e + 127) << 23) as u32);
    let value = p * power(half) * power(whole - half);
    let value = if x < -87.336_54 { 0.0 } else { value };
    let value = if x > 88.722_84 { f32::INFINITY } else { value };
    if x.is_nan() { x } else { value }
}

/// The natural logarithm; at most 2 ULP off for normal numbers. Denormals
/// count as 0, whose logarithm is minus infinity; negative numbers give NaN.
#[inline(always)]
pub fn log(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    // The mantissa in [sqrt(1/2), sqrt(2)).
    let e = (bits - 0x3f35_04f3) >> 23;
    let m = f32::from_bits((bits - (e << 23)) as u32) - 1.0;
    let e = e as f32;
    let mut p = 7.037_683_6e-2_f32;
    p = p.mul_add(m, -1.151_461e-1);
    p = p.mul_add(m, 1.167_699_87e-1);
    p = p.mul_add(m, -1.242_014_1e-1);
    p = p.mul_add(m, 1.424_932_3e-1);
    p = p.mul_add(m, -1.666_805_8e-1);
    p = p.mul_add(m, 2.000_071_5e-1);
    p = p.mul_add(m, -2.499_999_4e-1);
    p = p.mul_add(m, 3.333_333e-1);
    let square = m * m;
    let low = e.mul_add(-2.121_944_4e-4, p * m * square);
    let value = e.mul_add(0.693_359_4, square.mul_add(-0.5, low) + m);
    let value = if x < f32::MIN_POSITIVE { f32::NEG_INFINITY } else { value };
    let value = if x < 0.0 { f32::NAN } else { value };
    if x.is_nan() || x == f32::INFINITY { x } else { value }
}

/// The hyperbolic tangent; at most 2 ULP off for normal numbers.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let square = x * x;
    let mut p = -5.704_988_7e-3_f32;
    p = p.mul_add(square, 2.063_908_9e-2);
    p = p.mul_add(square, -5.373_971_6e-2);
    p = p.mul_add(square, 1.333_144_2e-1);
    p = p.mul_add(square, -3.333_328_2e-1);
    let small = (p * square).mul_add(a, a);
    let large = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
    (if a < 0.625 { small } else { large }).copysign(x)
}

/// 2 to the power `x`, for |x| < 1000; relative error below 1e-15.
pub fn exp2(x: f64) -> f64 {
    let n = x.round_ties_even();
    let r = (x - n) * LN_2;
    // The series of e^r, |r| <= 0.35, to the fifteenth power.
    let p = (1..=15).rev().fold(1.0_f64, |p, k| (p * r / f64::from(k)) + 1.0);
    p * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}

/// The logarithm to base 2 of a positive normal number; absolute error below
/// 1e-14 for numbers up to 2^64.
pub fn log2(x: f64) -> f64 {
    let bits = x.to_bits() as i64;
    let e = (bits - 0x3fe6_a09e_667f_3bcd) >> 52;
    let m = f64::from_bits((bits - (e << 52)) as u64);
    // log m = 2 artanh s, with |s| < 0.172.
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = (0..14).rev().fold(0.0_f64, |p, k| p.mul_add(square, 1.0 / f64::from(2 * k + 1)));
    (2.0 * s * series).mul_add(LOG2_E, e as f64)
}

/// The sine of an angle in radians, |x| < 10^6; absolute error below 1e-10.
#[inline(always)]
pub fn sin(x: f64) -> f64 {
    quadrant(x, 0)
}

/// The cosine of an angle in radians, |x| < 10^6; absolute error below 1e-10.
#[inline(always)]
pub fn cos(x: f64) -> f64 {
    quadrant(x, 1)
}

#[inline(always)]
fn quadrant(x: f64, shift: i64) -> f64 {
    // pi/2 in two parts; the first has 33 bits, so n times it is exact.
    const HIGH: f64 = 1.570_796_326_734_125_6;
    const LOW: f64 = 6.077_100_506_506_192e-11;
    let n = (x * std::f64::consts::FRAC_2_PI).round_ties_even();
    let r = n.mul_add(-LOW, n.mul_add(-HIGH, x));
    let square = r * r;
    let sine = || {
        let mut p = 1.589_690_995_211_55e-10_f64;
        p = p.mul_add(square, -2.505_076_025_340_686_3e-8);
        p = p.mul_add(square, 2.755_731_370_707_007e-6);
        p = p.mul_add(square, -1.984_126_982_985_795e-4);
        p = p.mul_add(square, 8.333_333_333_322_49e-3);
        p = p.mul_add(square, -1.666_666_666_666_663_2e-1);
        (p * square).mul_add(r, r)
    };
    let cosine = || {
        let mut p = -1.135_964_755_778_819_5e-11_f64;
        p = p.mul_add(square, 2.087_572_321_298_175e-9);
        p = p.mul_add(square, -2.755_731_435_139_066_3e-7);
        p = p.mul_add(square, 2.480_158_728_947_673e-5);
        p = p.mul_add(square, -1.388_888_888_887_411e-3);
        p = p.mul_add(square, 4.166_666_666_666_66e-2);
        (p * square).mul_add(square, square.mul_add(-0.5, 1.0))
    };
    match (n as i64 + shift) & 3 {
        0 => sine(),
        1 => cosine(),
        2 => -sine(),
        _ => -cosine(),
    }
}

/// `x` to a whole power, by repeated squaring.
pub fn powi(x: f64, mut n: u64) -> f64 {
    let (mut result, mut square) = (1.0, x);
    while n > 0 {
        if n & 1 == 1 {
            result *= square;
        }
        square *= square;
        n >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulps(value: f32, exact: f64) -> f64 {
        let ulp = f64::from(f32::from_bits((exact.abs() as f32).to_bits() + 1)) - f64::from(exact.abs() as f32);
        (f64::from(value) - exact).abs() / ulp
    }

    #[test]
    fn exp_log_and_tanh_stay_within_two_ulp() {
        let (mut worst_exp, mut worst_log, mut worst_tanh) = (0.0_f64, 0.0_f64, 0.0_f64);
        for i in 0..400_000 {
            let x = -87.0 + 175.0 * i as f32 / 400_000.0;
            worst_exp = worst_exp.max(ulps(exp(x), f64::from(x).exp()));
            let t = -10.0 + 20.0 * i as f32 / 400_000.0;
            worst_tanh = worst_tanh.max(ulps(tanh(t), f64::from(t).tanh()));
            let y = f32::from_bits(0x0080_0000 + i * 5_000);
            worst_tanh = worst_tanh.max(ulps(tanh(y), f64::from(y).tanh()));
            if f64::from(y).ln().abs() > 1e-3 {
                worst_log = worst_log.max(ulps(log(y), f64::from(y).ln()));
            }
        }
        println!("worst: exp {worst_exp:.2} ULP, log {worst_log:.2} ULP, tanh {worst_tanh:.2} ULP");
        assert!(worst_exp <= 2.0, "exp {worst_exp}");
        assert!(worst_log <= 2.0, "log {worst_log}");
        assert!(worst_tanh <= 2.0, "tanh {worst_tanh}");
    }

    #[test]
    fn the_edges_of_exp_log_and_tanh() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert_eq!(tanh(f32::NEG_INFINITY), -1.0);
        assert_eq!(tanh(-0.0).to_bits(), (-0.0_f32).to_bits());
        assert!(tanh(f32::NAN).is_nan());
        assert_eq!(log(1.0), 0.0);
        assert_eq!(log(0.0), f32::NEG_INFINITY);
        assert!(log(-1.0).is_nan());
        assert_eq!(log(f32::INFINITY), f32::INFINITY);
    }

    #[test]
    fn the_f64_functions_are_near_the_library() {
        for i in -20_000..20_000 {
            let x = f64::from(i) * 0.731;
            assert!((sin(x) - x.sin()).abs() < 1e-10, "sin {x}");
            assert!((cos(x) - x.cos()).abs() < 1e-10, "cos {x}");
            let y = f64::from(i) / 100.0;
            assert!((exp2(y) / y.exp2() - 1.0).abs() < 1e-15, "exp2 {y}");
            let z = f64::from(i + 20_001) * 1.37;
            assert!((log2(z) - z.log2()).abs() < 1e-14, "log2 {z}");
        }
        assert!((powi(0.999, 12_345) / 0.999_f64.powi(12_345) - 1.0).abs() < 1e-12);
    }
}
