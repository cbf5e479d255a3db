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
//! What is multiplied is 32 bits wide in either precision: an f32, or a pair
//! of bfloat16 numbers that are neighbours in `k` (see `vector.rs`).

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

impl Precision {
    /// How many 32-bit words `depth` numbers of a row are.
    pub(crate) fn words(self, depth: usize) -> usize {
        match self {
            Self::F32 => depth,
            Self::Bf16 => depth.div_ceil(2),
        }
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
            (Isa::Avx512, Precision::Bf16) => x86::avx512_pairs(&call),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, Precision::F32) => x86::avx2(&call),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, Precision::Bf16) => x86::avx2_pairs(&call),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, Precision::F32) => panels::<crate::vector::Neon, false>(&call),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, Precision::Bf16) => panels::<crate::vector::Neon, true>(&call),
            (Isa::Portable, Precision::F32) => panels::<Plain, false>(&call),
            (Isa::Portable, Precision::Bf16) => panels::<Plain, true>(&call),
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
            (Isa::Avx512Bf16 | Isa::Avx512, Precision::F32) => x86::chains_avx512(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, Precision::Bf16) => x86::chains_avx512_pairs(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, Precision::F32) => x86::chains_avx2(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, Precision::Bf16) => x86::chains_avx2_pairs(rounds),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, Precision::F32) => chain::<crate::vector::Neon, false>(rounds),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, Precision::Bf16) => chain::<crate::vector::Neon, true>(rounds),
            (Isa::Portable, Precision::F32) => chain::<Plain, false>(rounds),
            (Isa::Portable, Precision::Bf16) => chain::<Plain, true>(rounds),
        }
    }
}

/// Sums in [`chains`]: enough that none waits for its last step, few enough
/// for registers.
const CHAINS: usize = 12;

/// # Safety
/// The machine has the instructions of `V`.
#[inline(always)]
unsafe fn chain<V: Vector, const PAIRS: bool>(rounds: usize) -> f64 {
    let x = std::hint::black_box(0.999_f32);
    // SAFETY: as the caller says.
    unsafe {
        let factor = V::splat(&raw const x);
        let mut sums = [V::zero(); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = if PAIRS { factor.dot(factor, *sum) } else { factor.multiply_add(factor, *sum) };
            }
        }
        let mut out = [0.0_f32; 16];
        for sum in sums {
            sum.store(out.as_mut_ptr());
            std::hint::black_box(&out);
        }
    }
    (rounds * CHAINS * V::LANES * if PAIRS { 4 } else { 2 }) as f64
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
    use super::{Call, chain, panels};
    use crate::vector::{Avx2, Avx512, Avx512Bf16};

    macro_rules! entry {
        ($($name:ident, $chains:ident: $features:literal, $vector:ty, $pairs:literal;)*) => {$(
            /// # Safety
            /// As for [`panels`].
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(call: &Call<'_>) {
                // SAFETY: as for this function.
                unsafe { panels::<$vector, $pairs>(call) }
            }

            /// # Safety
            /// As for [`chain`].
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $chains(rounds: usize) -> f64 {
                // SAFETY: as for this function.
                unsafe { chain::<$vector, $pairs>(rounds) }
            }
        )*};
    }
    entry! {
        avx512_bf16, chains_avx512_bf16: "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma", Avx512Bf16, true;
        avx512, chains_avx512: "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", Avx512, false;
        avx512_pairs, chains_avx512_pairs: "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", Avx512, true;
        avx2, chains_avx2: "avx2,fma", Avx2, false;
        avx2_pairs, chains_avx2_pairs: "avx2,fma", Avx2, true;
    }
}

/// A vector with the table of its tiles: for each number of vectors in a row
/// of a panel, one for each number of rows.
trait Tiled: Vector {
    /// # Safety
    /// The operands are as long as the tile says, and the machine has the
    /// instructions.
    unsafe fn tile<const PAIRS: bool>(t: &Tile, columns: usize);
}

macro_rules! tiled {
    ($($(#[$meta:meta])* $vector:ty: $vectors:tt of $rows:tt;)*) => {$(
        $(#[$meta])*
        impl Tiled for $vector {
            #[inline(always)]
            unsafe fn tile<const PAIRS: bool>(t: &Tile, columns: usize) {
                // SAFETY: as for this function.
                unsafe { tiled!(@vectors t, columns / Self::LANES, $vectors, $rows) }
            }
        }
    )*};
    (@vectors $t:ident, $count:expr, [$($v:literal),*], $rows:tt) => {
        match $count { $($v => tiled!(@rows $t, $v, $rows),)* _ => unreachable!("a panel of another width") }
    };
    (@rows $t:ident, $v:literal, [$($r:literal),*]) => {
        match $t.rows { $($r => accumulate::<Self, PAIRS, $r, $v>($t),)* _ => unreachable!("a tile of more rows") }
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

/// The tile itself: `R` rows of `V` vectors.
///
/// # Safety
/// As for [`Tiled::tile`].
#[inline(always)]
unsafe fn accumulate<T: Vector, const PAIRS: bool, const R: usize, const V: usize>(t: &Tile) {
    // SAFETY: as the caller says.
    unsafe {
        let mut tile = [[T::zero(); V]; R];
        if !t.first.is_null() {
            tile = std::array::from_fn(|r| std::array::from_fn(|v| T::load(t.first.add(r * t.stride + v * T::LANES))));
        }
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.depth {
            let row: [T; V] = std::array::from_fn(|v| T::load(b.add(v * T::LANES)));
            for (r, sums) in tile.iter_mut().enumerate() {
                let x = T::splat(a.add(r * t.row_step));
                for (sum, y) in sums.iter_mut().zip(row) {
                    *sum = if PAIRS { x.dot(y, *sum) } else { x.multiply_add(y, *sum) };
                }
            }
            a = a.add(t.step);
            b = b.add(t.b_step);
        }
        for (r, sums) in tile.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                sum.store(t.out.add(r * t.stride + v * T::LANES));
            }
        }
    }
}

/// Goes over the panels, and the groups of rows in each.
///
/// # Safety
/// The operands of the call are as long as [`product`] checks, and the
/// machine has the instructions of `V`.
#[inline(always)]
unsafe fn panels<V: Tiled, const PAIRS: bool>(call: &Call<'_>) {
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
                    V::tile::<PAIRS>(&tile, filled);
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
                V::tile::<PAIRS>(&tile, filled);
                for i in 0..tile.rows {
                    std::ptr::copy_nonoverlapping(tile.out.add(i * filled), to.add(i * out.stride), width);
                }
            }
        }
    }
}
