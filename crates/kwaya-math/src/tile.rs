//! The tile: the inner loop of every product. A few rows by a few vectors of
//! outputs are held in registers; vectors run across outputs, never across
//! `k`, and each output takes `k` in order.
//!
//! ```text
//! for each panel of columns, for each group of rows:
//!     tile = 0 or what the output holds
//!     for p in 0..depth: tile[r][j] = fma(a[r][p], panel[p][j], tile[r][j])
//!     output = tile
//! ```
//!
//! What is multiplied is 32 bits wide in either precision ([`Word`]): an f32, a
//! pair of bfloat16 numbers that are neighbours in `k` (see `vector.rs`), or
//! one such number as an f32.

use crate::{
    isa::{Isa, current},
    pool::Shards,
    vector::{Plain, Vector},
};

/// Columns of a panel are filled up to a multiple of this.
pub(crate) const COLUMNS: usize = 16;

/// What numbers products are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Precision {
    /// f32 throughout.
    #[default]
    F32,
    /// Both operands rounded to bfloat16, sums in f32.
    Bf16,
}

/// What the 32 bits of a word are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// An f32.
    Number,
    /// Two bfloat16 numbers, for instruction sets that multiply pairs, and for
    /// those without a trace of denormals.
    Pair,
    /// A bfloat16 number as an f32, of each pair the odd one first. One fused
    /// multiply-add after the other then gives the bits of pairs, except where
    /// a denormal is met, which x86 takes note of ([`accumulate`]).
    #[cfg_attr(target_arch = "aarch64", allow(dead_code, reason = "NEON takes no note of denormals"))]
    Rounded,
}

impl Word {
    /// What products are made of on this machine.
    pub(crate) fn of(precision: Precision) -> Self {
        match (precision, current()) {
            (Precision::F32, _) => Self::Number,
            #[cfg(target_arch = "x86_64")]
            (Precision::Bf16, Isa::Avx512 | Isa::Avx2) => Self::Rounded,
            (Precision::Bf16, _) => Self::Pair,
        }
    }

    /// How many words `depth` numbers of a row are.
    pub(crate) fn words(self, depth: usize) -> usize {
        match self {
            Self::Number => depth,
            Self::Pair => depth.div_ceil(2),
            Self::Rounded => depth.next_multiple_of(2),
        }
    }

    /// How many numbers of a row a word stands for.
    pub(crate) fn numbers(self) -> usize {
        if self == Self::Pair { 2 } else { 1 }
    }
}

/// The sizes of the tile of an instruction set.
#[derive(Clone, Copy)]
pub(crate) struct TileSize {
    /// Rows of a tile.
    pub(crate) rows: usize,
    /// Columns of a tile, which are those of a panel.
    pub(crate) columns: usize,
}

/// The sizes in use: as many sums as the registers hold, with room left for a
/// row of the panel and a value of `a`.
pub(crate) fn size() -> TileSize {
    match current() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 | Isa::Avx512 => TileSize { rows: 8, columns: 48 },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => TileSize { rows: 6, columns: 16 },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => TileSize { rows: 6, columns: 16 },
        Isa::Portable => TileSize { rows: 4, columns: 16 },
    }
}

/// The left operand: word `p` of row `r` is at
/// `r / group * group_step + r % group * row_step + p * step`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    data: &'a [f32],
    row_step: usize,
    step: usize,
    group_step: usize,
}

impl<'a> Left<'a> {
    /// Row `r` begins at `r * stride`.
    pub(crate) fn rows(data: &'a [f32], stride: usize) -> Self {
        Self { data, row_step: stride, step: 1, group_step: size().rows * stride }
    }

    /// Column `p` begins at `p * stride`.
    pub(crate) fn columns(data: &'a [f32], stride: usize) -> Self {
        Self { data, row_step: 1, step: stride, group_step: size().rows }
    }

    /// Groups of as many rows as a tile has, each column by column.
    pub(crate) fn packed(data: &'a [f32], depth: usize) -> Self {
        let rows = size().rows;
        Self { data, row_step: 1, step: rows, group_step: rows * depth }
    }

    /// The place after the last word that `rows` rows of `depth` words need.
    fn end(&self, rows: usize, depth: usize) -> usize {
        let group = size().rows;
        let last = |rows: usize| (rows - 1) / group * self.group_step + (rows - 1) % group * self.row_step;
        // The last row of a whole group may lie beyond the last row.
        let farthest = if rows > group { last(rows).max(last(rows / group * group)) } else { last(rows) };
        farthest + (depth - 1) * self.step + 1
    }
}

/// The right operand, `length` words deep, in panels of as many columns as a
/// tile has, the last filled up to a multiple of 16: the panel of column `j`
/// begins at `j * length` and is row-major.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    data: &'a [f32],
    length: usize,
    columns: usize,
    first: usize,
}

impl<'a> Right<'a> {
    pub(crate) fn panels(data: &'a [f32], length: usize) -> Self {
        let columns = data.len() / length.max(1);
        assert!(columns * length == data.len() && columns.is_multiple_of(COLUMNS), "panels: {columns} columns");
        Self { data, length, columns, first: 0 }
    }

    /// Without the rows before `first`.
    pub(crate) fn after_row(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// Without the columns before `j`, with which a panel begins.
    pub(crate) fn after_column(self, j: usize) -> Self {
        Self { data: &self.data[j * self.length..], columns: self.columns - j, ..self }
    }

    /// From the first number of column `j` on, and how far its numbers are
    /// from one another.
    pub(crate) fn column(&self, j: usize) -> (&'a [f32], usize) {
        let wide = size().columns;
        let panel = j / wide * wide;
        (&self.data[panel * self.length + j - panel..], wide.min(self.columns - panel))
    }
}

/// Where a product goes: row `r` begins at `r * stride`.
pub(crate) struct Output<'a> {
    pub(crate) start: *mut f32,
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    _slice: std::marker::PhantomData<&'a mut [f32]>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(data: &'a mut [f32], stride: usize, rows: usize, columns: usize) -> Self {
        let shards = Shards::new(data);
        // SAFETY: the slice is this output's alone.
        unsafe { Self::shared(&shards, 0, stride, rows, columns) }
    }

    /// The part of a slice that several threads write.
    ///
    /// # Safety
    /// No two outputs that are alive at once may share an element.
    pub(crate) unsafe fn shared(
        slice: &Shards<'a, f32>,
        first: usize,
        stride: usize,
        rows: usize,
        columns: usize,
    ) -> Self {
        let end = first + rows.saturating_sub(1) * stride + columns;
        assert!(columns <= stride || rows <= 1, "output: {columns} columns in rows of {stride}");
        Self { start: slice.pointer(first..end), stride, rows, columns, _slice: std::marker::PhantomData }
    }
}

/// What the sums of a product start from.
#[derive(Clone, Copy)]
pub(crate) enum First<'a> {
    Zero,
    /// What the output holds.
    Output,
    /// A matrix with rows as far apart as those of the output.
    From(&'a [f32]),
}

/// `out` (rows, columns) = `first` + `a` (rows, depth) times `depth` rows of `b`,
/// in words.
///
/// # Panics
/// When an operand is too short.
pub(crate) fn product(
    precision: Precision,
    out: Output<'_>,
    a: Left<'_>,
    b: Right<'_>,
    depth: usize,
    first: First<'_>,
) {
    if out.rows == 0 || out.columns == 0 || depth == 0 {
        return;
    }
    let fits = a.data.len() >= a.end(out.rows, depth) && b.columns >= out.columns && b.length >= b.first + depth;
    assert!(
        fits,
        "product: ({}, {depth}) @ ({depth}, {}): {} words and ({}, {}) from row {}",
        out.rows,
        out.columns,
        a.data.len(),
        b.length,
        b.columns,
        b.first
    );
    if let First::From(first) = first {
        assert!(
            first.len() >= (out.rows - 1) * out.stride + out.columns,
            "product: {} sums to start from",
            first.len()
        );
    }
    let call = Call { out, a, b, depth, first };
    // SAFETY: the lengths were checked above, and `current` found the
    // instructions on this machine.
    unsafe {
        match (current(), precision) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512Bf16, Precision::Bf16) => x86::avx512_bf16(&call),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512Bf16 | Isa::Avx512, Precision::F32) => x86::avx512(&call),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, Precision::Bf16) => x86::avx512_rounded(&call),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, Precision::F32) => x86::avx2(&call),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, Precision::Bf16) => x86::avx2_rounded(&call),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, Precision::F32) => panels::<crate::vector::Neon, { Word::Number as u8 }>(&call),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, Precision::Bf16) => panels::<crate::vector::Neon, { Word::Pair as u8 }>(&call),
            (Isa::Portable, Precision::F32) => panels::<Plain, { Word::Number as u8 }>(&call),
            (Isa::Portable, Precision::Bf16) => panels::<Plain, { Word::Pair as u8 }>(&call),
        }
    }
}

/// `rounds` of [`CHAINS`] products added to sums that wait for nothing but
/// themselves, all in registers: what no tile can surpass. Returns how many
/// floating-point operations that were; each product counts for two.
pub(crate) fn chains(precision: Precision, rounds: usize) -> f64 {
    // SAFETY: `current` found the instructions on this machine.
    unsafe {
        match (current(), precision) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512Bf16, Precision::Bf16) => x86::chains_avx512_bf16(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512Bf16 | Isa::Avx512, _) => x86::chains_avx512(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) => x86::chains_avx2(rounds),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, Precision::F32) => chain::<crate::vector::Neon, { Word::Number as u8 }>(rounds),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, Precision::Bf16) => chain::<crate::vector::Neon, { Word::Pair as u8 }>(rounds),
            (Isa::Portable, Precision::F32) => chain::<Plain, { Word::Number as u8 }>(rounds),
            (Isa::Portable, Precision::Bf16) => chain::<Plain, { Word::Pair as u8 }>(rounds),
        }
    }
}

/// Sums in [`chains`]: enough that none waits for its last step, few enough
/// for registers.
const CHAINS: usize = 12;

/// # Safety
/// The machine has the instructions of `V`.
#[inline(always)]
unsafe fn chain<V: Vector, const WORD: u8>(rounds: usize) -> f64 {
    let x = std::hint::black_box(0.999_f32);
    // SAFETY: as the caller says.
    unsafe {
        let factor = V::splat(&raw const x);
        let mut sums = [V::zero(); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = multiply_add::<V, WORD>(factor, factor, *sum);
            }
        }
        let mut out = [0.0_f32; 16];
        for sum in sums {
            sum.store(out.as_mut_ptr());
            std::hint::black_box(&out);
        }
    }
    (rounds * CHAINS * V::LANES * if WORD == Word::Pair as u8 { 4 } else { 2 }) as f64
}

/// A checked call of [`product`].
struct Call<'a> {
    out: Output<'a>,
    a: Left<'a>,
    b: Right<'a>,
    depth: usize,
    first: First<'a>,
}

/// One tile: a group of rows and a panel.
struct Tile {
    out: *mut f32,
    stride: usize,
    rows: usize,
    a: *const f32,
    row_step: usize,
    step: usize,
    b: *const f32,
    /// Columns of the panel in memory.
    b_step: usize,
    depth: usize,
    /// Where the sums start, with rows as those of `out`; null for zeros.
    first: *const f32,
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    use super::{Call, Word, chain, panels};
    use crate::vector::{Avx2, Avx512, Avx512Bf16};

    macro_rules! entry {
        ($($name:ident $(, $chains:ident)?: $features:literal, $vector:ty, $word:expr;)*) => {$(
            /// # Safety
            /// As for [`panels`].
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(call: &Call<'_>) {
                // SAFETY: as for this function.
                unsafe { panels::<$vector, { $word as u8 }>(call) }
            }

            $(
            /// # Safety
            /// As for [`chain`].
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $chains(rounds: usize) -> f64 {
                // SAFETY: as for this function.
                unsafe { chain::<$vector, { $word as u8 }>(rounds) }
            }
            )?
        )*};
    }
    entry! {
        avx512_bf16, chains_avx512_bf16: "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma", Avx512Bf16, Word::Pair;
        avx512, chains_avx512: "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", Avx512, Word::Number;
        avx512_rounded: "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", Avx512, Word::Rounded;
        avx2, chains_avx2: "avx2,fma", Avx2, Word::Number;
        avx2_rounded: "avx2,fma", Avx2, Word::Rounded;
    }

    /// Whether a denormal was met on this thread since this was last asked:
    /// the processor keeps that in MXCSR, as flags that stay until they are
    /// cleared. One that was met before only makes the answer yes too often.
    ///
    /// # Safety
    /// `sums` is where numbers were written that the answer is about.
    #[inline(always)]
    pub(super) unsafe fn met_denormals(sums: *const f32) -> bool {
        /// A denormal was read; a result was too small for a normal number.
        const FLAGS: u32 = 1 << 1 | 1 << 4;
        let mut state = 0_u32;
        // SAFETY: flags of exceptions may be cleared by assembly, and nothing
        // else is changed. That it may read `sums` makes the compiler finish
        // them before.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) &raw mut state, in("rax") sums, options(nostack));
            if state & FLAGS != 0 {
                state &= !FLAGS;
                asm!("ldmxcsr [{}]", in(reg) &raw const state, options(nostack));
                return true;
            }
        }
        false
    }
}

/// A vector with the table of its tiles: for each number of vectors in a row
/// of a panel, one for each number of rows.
trait Tiled: Vector {
    /// # Safety
    /// The operands are as long as the tile says, and the machine has the
    /// instructions.
    unsafe fn tile<const WORD: u8>(t: &Tile, columns: usize);
}

macro_rules! tiled {
    ($($(#[$meta:meta])* $vector:ty: $vectors:tt of $rows:tt;)*) => {$(
        $(#[$meta])*
        impl Tiled for $vector {
            #[inline(always)]
            unsafe fn tile<const WORD: u8>(t: &Tile, columns: usize) {
                // SAFETY: as for this function.
                unsafe { tiled!(@vectors t, columns / Self::LANES, $vectors, $rows) }
            }
        }
    )*};
    (@vectors $t:ident, $count:expr, [$($v:literal),*], $rows:tt) => {
        match $count { $($v => tiled!(@rows $t, $v, $rows),)* _ => unreachable!("a panel of another width") }
    };
    (@rows $t:ident, $v:literal, [$($r:literal),*]) => {
        match $t.rows { $($r => accumulate::<Self, WORD, $r, $v>($t),)* _ => unreachable!("a tile of more rows") }
    };
}
tiled! {
    #[cfg(target_arch = "x86_64")]
    crate::vector::Avx512Bf16: [1, 2, 3] of [1, 2, 3, 4, 5, 6, 7, 8];
    #[cfg(target_arch = "x86_64")]
    crate::vector::Avx512: [1, 2, 3] of [1, 2, 3, 4, 5, 6, 7, 8];
    #[cfg(target_arch = "x86_64")]
    crate::vector::Avx2: [2] of [1, 2, 3, 4, 5, 6];
    #[cfg(target_arch = "aarch64")]
    crate::vector::Neon: [4] of [1, 2, 3, 4, 5, 6];
    Plain: [1] of [1, 2, 3, 4];
}

/// One product of words added to a sum.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
unsafe fn multiply_add<T: Vector, const WORD: u8>(x: T, y: T, sum: T) -> T {
    // SAFETY: as the caller says.
    unsafe { if WORD == Word::Pair as u8 { x.dot(y, sum) } else { x.multiply_add(y, sum) } }
}

/// The tile itself: `R` rows of `V` vectors.
///
/// [`Word::Rounded`] is first multiplied as if there were no denormals. Where
/// one was met, on the way or at its end, the tile is made again, and all
/// sums are flushed.
///
/// # Safety
/// As for [`Tiled::tile`].
#[inline(always)]
unsafe fn accumulate<T: Vector, const WORD: u8, const R: usize, const V: usize>(t: &Tile) {
    let rounded = WORD == Word::Rounded as u8;
    // SAFETY: as the caller says.
    unsafe {
        let mut first = [[T::zero(); V]; R];
        if !t.first.is_null() {
            first = std::array::from_fn(|r| std::array::from_fn(|v| T::load(t.first.add(r * t.stride + v * T::LANES))));
        }
        if !rounded {
            return store(t, &over_depth::<T, WORD, R, V, false>(t, first));
        }
        flush(&mut first);
        let mut tile = over_depth::<T, WORD, R, V, false>(t, first);
        // This also asks of each sum whether it is one.
        flush(&mut tile);
        store(t, &tile);
        #[cfg(target_arch = "x86_64")]
        if x86::met_denormals(t.out) {
            store(t, &over_depth::<T, WORD, R, V, true>(t, first));
        }
    }
}

/// What the sums are after all products, each sum flushed or not.
///
/// # Safety
/// As for [`Tiled::tile`].
#[inline(always)]
unsafe fn over_depth<T: Vector, const WORD: u8, const R: usize, const V: usize, const FLUSH: bool>(
    t: &Tile,
    mut tile: [[T; V]; R],
) -> [[T; V]; R] {
    // SAFETY: as the caller says.
    unsafe {
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.depth {
            let row: [T; V] = std::array::from_fn(|v| T::load(b.add(v * T::LANES)));
            for (r, sums) in tile.iter_mut().enumerate() {
                let x = T::splat(a.add(r * t.row_step));
                for (sum, y) in sums.iter_mut().zip(row) {
                    *sum = multiply_add::<T, WORD>(x, y, *sum);
                    if FLUSH {
                        *sum = sum.flush();
                    }
                }
            }
            a = a.add(t.step);
            b = b.add(t.b_step);
        }
    }
    tile
}

/// # Safety
/// As for [`Vector`].
#[inline(always)]
unsafe fn flush<T: Vector, const R: usize, const V: usize>(tile: &mut [[T; V]; R]) {
    for sum in tile.as_flattened_mut() {
        // SAFETY: as the caller says.
        *sum = unsafe { sum.flush() };
    }
}

/// # Safety
/// As for [`Tiled::tile`].
#[inline(always)]
unsafe fn store<T: Vector, const R: usize, const V: usize>(t: &Tile, tile: &[[T; V]; R]) {
    for (r, sums) in tile.iter().enumerate() {
        for (v, sum) in sums.iter().enumerate() {
            // SAFETY: as the caller says.
            unsafe { sum.store(t.out.add(r * t.stride + v * T::LANES)) };
        }
    }
}

/// Goes over the panels, and the groups of rows in each.
///
/// # Safety
/// The operands of the call are as long as [`product`] checks, and the
/// machine has the instructions of `V`.
#[inline(always)]
unsafe fn panels<V: Tiled, const WORD: u8>(call: &Call<'_>) {
    let TileSize { rows: group, columns: wide } = size();
    let Call { out, a, b, depth, first } = call;
    let mut beside = [0.0_f32; 8 * 48]; // the largest tile
    for j in (0..out.columns).step_by(wide) {
        let width = wide.min(out.columns - j);
        let filled = width.next_multiple_of(COLUMNS);
        let b_step = wide.min(b.columns - j);
        for r in (0..out.rows).step_by(group) {
            // SAFETY: within the operands, as the caller says.
            unsafe {
                let at = r * out.stride + j;
                let to = out.start.add(at);
                let from: *const f32 = match first {
                    First::Zero => std::ptr::null(),
                    First::Output => to,
                    First::From(first) => first.as_ptr().add(at),
                };
                let mut tile = Tile {
                    out: to,
                    stride: out.stride,
                    rows: group.min(out.rows - r),
                    a: a.data.as_ptr().add(r / group * a.group_step),
                    row_step: a.row_step,
                    step: a.step,
                    b: b.data.as_ptr().add(j * b.length + b.first * b_step),
                    b_step,
                    depth: *depth,
                    first: from,
                };
                if width == filled {
                    V::tile::<WORD>(&tile, filled);
                    continue;
                }
                // At an edge, a tile beside the output takes its place.
                (tile.out, tile.stride) = (beside.as_mut_ptr(), filled);
                if !from.is_null() {
                    for i in 0..tile.rows {
                        std::ptr::copy_nonoverlapping(from.add(i * out.stride), tile.out.add(i * filled), width);
                    }
                    tile.first = tile.out;
                }
                V::tile::<WORD>(&tile, filled);
                for i in 0..tile.rows {
                    std::ptr::copy_nonoverlapping(tile.out.add(i * filled), to.add(i * out.stride), width);
                }
            }
        }
    }
}
