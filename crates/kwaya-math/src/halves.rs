//! Products with a right operand of f16, for one query or few: the tile of
//! `tile.rs` in small, which widens the right operand as it is read instead
//! of from panels. Where many rows meet the same operand, [`widen`] makes the
//! panels.
//!
//! ```text
//! out[r][j] = sum over p in order of a[r][p] * b[p][j], by fma
//! ```

use crate::{
    isa::{Isa, current},
    memory::prefetch,
    tile::{COLUMNS, Output},
    vector::{Plain, Vector},
};

/// Rows of a tile.
const ROWS: usize = 4;

/// A matrix of f16, row-major, row `p` from `p * stride` on.
#[derive(Clone, Copy)]
pub(crate) struct Halves<'a> {
    pub(crate) data: &'a [u16],
    pub(crate) stride: usize,
}

impl Halves<'_> {
    fn check(&self, rows: usize, columns: usize) {
        let fits = rows == 0 || self.data.len() >= (rows - 1) * self.stride + columns;
        assert!(
            fits && columns.is_multiple_of(COLUMNS),
            "halves: ({rows}, {columns}) of {} in rows of {}",
            self.data.len(),
            self.stride
        );
    }
}

/// `out` (rows, columns) = or, where `on`, += `a` (rows, depth), row `r` from
/// `r * a_stride` on, times `depth` rows of `b`. Columns are whole groups of
/// 16. What comes later, `next`, is fetched meanwhile: a page is too short
/// for the processor to see by itself that memory is read in order.
///
/// # Panics
/// When an operand is too short.
pub(crate) fn product(
    out: Output<'_>,
    a: &[f32],
    a_stride: usize,
    b: Halves<'_>,
    depth: usize,
    on: bool,
    next: Option<&[u16]>,
) {
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    b.check(depth, out.columns);
    assert!(a.len() >= (out.rows - 1) * a_stride + depth, "halves: {} of ({}, {depth})", a.len(), out.rows);
    let next = next.unwrap_or(b.data).as_ptr();
    let call = Call { out, a, a_stride, b, depth, on, next };
    // SAFETY: the lengths were checked above, and `current` found the
    // instructions on this machine.
    unsafe {
        match current() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 | Isa::Avx512 => x86::tiles_avx512(&call),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::tiles_avx2(&call),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => tiles::<crate::vector::Neon>(&call),
            Isa::Portable => tiles::<Plain>(&call),
        }
    }
}

/// `out` (rows, columns), row `p` from `p * stride` on, = `from` as f32.
/// Columns are whole groups of 16.
///
/// # Panics
/// When an operand is too short.
pub(crate) fn widen(out: &mut [f32], stride: usize, from: Halves<'_>, rows: usize, columns: usize) {
    if rows == 0 || columns == 0 {
        return;
    }
    from.check(rows, columns);
    assert!(out.len() >= (rows - 1) * stride + columns, "widen: ({rows}, {columns}) into {}", out.len());
    // SAFETY: as for `product`.
    unsafe {
        match current() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 | Isa::Avx512 => x86::widened_avx512(out, stride, from, rows, columns),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::widened_avx2(out, stride, from, rows, columns),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => widened::<crate::vector::Neon>(out, stride, from, rows, columns),
            Isa::Portable => widened::<Plain>(out, stride, from, rows, columns),
        }
    }
}

/// A checked call of [`product`].
struct Call<'a> {
    out: Output<'a>,
    a: &'a [f32],
    a_stride: usize,
    b: Halves<'a>,
    depth: usize,
    on: bool,
    /// Read by no more than a prefetch.
    next: *const u16,
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Call, Halves, tiles, widened};
    use crate::vector::{Avx2, Avx512};

    macro_rules! entry {
        ($($tiles:ident, $widened:ident: $features:literal, $vector:ty;)*) => {$(
            /// # Safety
            /// As for [`tiles`].
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $tiles(call: &Call<'_>) {
                // SAFETY: as for this function.
                unsafe { tiles::<$vector>(call) }
            }

            /// # Safety
            /// As for [`widened`].
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $widened(
                out: &mut [f32],
                stride: usize,
                from: Halves<'_>,
                rows: usize,
                columns: usize,
            ) {
                // SAFETY: as for this function.
                unsafe { widened::<$vector>(out, stride, from, rows, columns) }
            }
        )*};
    }
    entry! {
        tiles_avx512, widened_avx512: "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c", Avx512;
        tiles_avx2, widened_avx2: "avx2,fma,f16c", Avx2;
    }
}

/// A vector with the table of its tiles, as in `tile.rs`.
trait Tiled: Vector {
    /// The most columns of a tile.
    const WIDE: usize;
    /// # Safety
    /// As for [`tiles`], for the tile at row `r` and column `j`.
    unsafe fn tile(call: &Call<'_>, r: usize, j: usize, rows: usize, columns: usize);
}

macro_rules! tiled {
    ($($(#[$meta:meta])* $vector:ty: $wide:literal, $vectors:tt;)*) => {$(
        $(#[$meta])*
        impl Tiled for $vector {
            const WIDE: usize = $wide;
            #[inline(always)]
            unsafe fn tile(call: &Call<'_>, r: usize, j: usize, rows: usize, columns: usize) {
                // SAFETY: as for this function.
                unsafe { tiled!(@vectors call, r, j, rows, columns / Self::LANES, $vectors) }
            }
        }
    )*};
    (@vectors $c:ident, $r:ident, $j:ident, $rows:ident, $count:expr, [$($v:literal),*]) => {
        match ($rows, $count) {
            $((1, $v) => accumulate::<Self, 1, $v>($c, $r, $j),
            (2, $v) => accumulate::<Self, 2, $v>($c, $r, $j),
            (3, $v) => accumulate::<Self, 3, $v>($c, $r, $j),
            (4, $v) => accumulate::<Self, 4, $v>($c, $r, $j),)*
            _ => unreachable!("a tile of another size"),
        }
    };
}
tiled! {
    #[cfg(target_arch = "x86_64")]
    crate::vector::Avx512: 64, [1, 2, 3, 4];
    #[cfg(target_arch = "x86_64")]
    crate::vector::Avx2: 16, [2];
    #[cfg(target_arch = "aarch64")]
    crate::vector::Neon: 16, [4];
    Plain: 16, [1];
}

/// # Safety
/// The operands are as long as [`product`] checks, and the machine has the
/// instructions of `V`.
#[inline(always)]
unsafe fn tiles<V: Tiled>(call: &Call<'_>) {
    for r in (0..call.out.rows).step_by(ROWS) {
        for j in (0..call.out.columns).step_by(V::WIDE) {
            let (rows, columns) = (ROWS.min(call.out.rows - r), V::WIDE.min(call.out.columns - j));
            // SAFETY: within the operands.
            unsafe { V::tile(call, r, j, rows, columns) }
        }
    }
}

/// f16 of a cache line.
pub(crate) const LINE: usize = 32;

/// One tile: `R` rows of `C` vectors.
///
/// # Safety
/// As for [`tiles`].
#[inline(always)]
unsafe fn accumulate<V: Vector, const R: usize, const C: usize>(call: &Call<'_>, r: usize, j: usize) {
    // SAFETY: as the caller says.
    unsafe {
        let out = call.out.start.add(r * call.out.stride + j);
        let mut a = call.a.as_ptr().add(r * call.a_stride);
        let mut b = call.b.data.as_ptr().add(j);
        let mut next = call.next.wrapping_add(j);
        let mut tile = [[V::zero(); C]; R];
        if call.on {
            tile =
                std::array::from_fn(|r| std::array::from_fn(|v| V::load(out.add(r * call.out.stride + v * V::LANES))));
        }
        for _ in 0..call.depth {
            let row: [V; C] = std::array::from_fn(|v| V::load_halves(b.add(v * V::LANES)));
            for (r, sums) in tile.iter_mut().enumerate() {
                let x = V::splat(a.add(r * call.a_stride));
                for (sum, y) in sums.iter_mut().zip(row) {
                    *sum = x.multiply_add(y, *sum);
                }
            }
            if r == 0 {
                (0..C * V::LANES).step_by(LINE).for_each(|i| prefetch(next.wrapping_add(i)));
                next = next.wrapping_add(call.b.stride);
            }
            a = a.wrapping_add(1);
            b = b.wrapping_add(call.b.stride);
        }
        for (r, sums) in tile.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                sum.store(out.add(r * call.out.stride + v * V::LANES));
            }
        }
    }
}

/// # Safety
/// The operands are as long as [`widen`] checks, and the machine has the
/// instructions of `V`.
#[inline(always)]
unsafe fn widened<V: Vector>(out: &mut [f32], stride: usize, from: Halves<'_>, rows: usize, columns: usize) {
    for p in 0..rows {
        for j in (0..columns).step_by(V::LANES) {
            // SAFETY: within the operands.
            unsafe {
                let halves = V::load_halves(from.data.as_ptr().add(p * from.stride + j));
                halves.store(out.as_mut_ptr().add(p * stride + j));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::half;

    #[test]
    fn every_f16_is_widened_as_by_the_function() {
        let halves: Vec<u16> = (0..=u16::MAX).collect();
        let mut out = vec![0.0; halves.len()];
        widen(&mut out, 4096, Halves { data: &halves, stride: 4096 }, 16, 4096);
        for (half, out) in halves.iter().zip(&out) {
            let expected = half::widen(*half);
            assert!(out.to_bits() == expected.to_bits() || (out.is_nan() && expected.is_nan()), "{half:04x}");
        }
    }
}
