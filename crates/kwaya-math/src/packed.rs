//! Weights as they are kept for answers: in the numbers of their file, turned
//! round once so that a product reads them in the order in which they lie.
//!
//! Of one row, a product streams through the weights at the speed of memory;
//! of many, it keeps a few outputs' weights in the cache and goes over the
//! rows at the speed of the arithmetic. Each output of a row is a sum of its
//! own in a fixed order, so it depends neither on the other rows nor on
//! threads.
//!
//! Weights that are f32, f16 or bfloat16 are multiplied as in `matmul.rs`.
//! Those in blocks of codes take rows rounded to 8 bits (`codes.rs`).

use std::cell::RefCell;

use crate::{
    blocks::{Format, bf16_to_f32, dequantise},
    codes::{self, Coding, GROUP, PANEL, Panels, ROUNDED, Rows, SUMMED},
    half::widen as widen_f16,
    isa::kernel,
    memory::{Arena, Room, prefetch},
    pack::lines,
    pool::{Pool, Shards},
    tile::{COLUMNS, First, Left, Output, Precision, Right, product, size},
};

/// Outputs that a thread takes at least: whole panels of either kind.
const UNIT: usize = 48;
/// Rows that a thread goes over with the same weights.
const ROWS: usize = 128;
/// Depth of a piece of f16 or bfloat16 weights that becomes f32 at once, which
/// stays in the first cache.
const PIECE: usize = 128;

/// A matrix of weights (out, in), packed.
pub struct Packed {
    rows: usize,
    cols: usize,
    form: Form,
}

enum Form {
    /// Panels as wide as a tile, row-major: the transpose of the rows.
    Real(Room),
    /// The same of 16 bits, two in each f32.
    Half(Room, Format),
    /// Panels of 16 outputs, codes apart from scales.
    Codes { coding: Coding, codes: Room, scales: Room },
}

/// A scale in a file is infinite or not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite;

impl Packed {
    /// Packs `rows` x `cols` weights, row `i` of which `row` gives as the bytes
    /// of its blocks, into memory of `arena`.
    ///
    /// # Errors
    /// When a block has a scale that is no finite number.
    ///
    /// # Panics
    /// When a row has another length, or `cols` are no whole blocks.
    pub fn new<'a>(
        pool: &Pool,
        arena: &mut Arena,
        format: Format,
        (rows, cols): (usize, usize),
        row: impl Fn(usize) -> &'a [u8] + Sync,
    ) -> Result<Self, NotFinite> {
        assert!(cols.is_multiple_of(format.block()), "packed: rows of {cols} in {}", format.name());
        let form = match format {
            Format::F32 => Form::Real(real(pool, arena, rows, cols, &row)),
            Format::F16 | Format::Bf16 => Form::Half(half(pool, arena, rows, cols, &row), format),
            _ => coded(pool, arena, format, (rows, cols), &row)?,
        };
        Ok(Self { rows, cols, form })
    }

    /// How many outputs it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many inputs it has.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        match &self.form {
            Form::Real(values) => size_of_val(&values[..]),
            Form::Half(room, _) => size_of_val(&room[..]),
            Form::Codes { codes, scales, .. } => size_of_val(&codes[..]) + size_of_val(&scales[..]),
        }
    }

    /// The memory that `rows` x `cols` weights of a format would take, but for
    /// some bytes at the ends.
    pub fn bytes_of(format: Format, rows: usize, cols: usize) -> u64 {
        let (rows, cols) = (rows as u64, cols as u64);
        match format {
            Format::F32 | Format::F16 | Format::Bf16 => rows * cols * format.block_bytes() as u64,
            _ => {
                let (coding, panels) = (coding(format), rows.div_ceil(PANEL as u64));
                let scales = cols / coding.block as u64 * (coding.panel_scales(coding.block)) as u64;
                panels * (cols * coding.panel_codes(2) as u64 / 2 + scales)
            }
        }
    }

    /// The weights of output `row` as f32, the bits that [`dequantise`] makes of
    /// its bytes in the file: a table that is kept packed need not be kept twice.
    ///
    /// # Panics
    /// When there is no such row, or `out` has another length.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.cols, "packed: row {row} of {} into {}", self.rows, out.len());
        match &self.form {
            Form::Real(values) => {
                let (first, wide) = panel(self.rows, row);
                let values = values[first * self.cols + row - first..].iter().step_by(wide);
                out.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
            }
            Form::Half(room, format) => {
                let (first, wide) = panel(self.rows, row);
                for (out, bits) in
                    out.iter_mut().zip(as_halves(room)[first * self.cols + row - first..].iter().step_by(wide))
                {
                    *out = if *format == Format::Bf16 { bf16_to_f32(*bits) } else { widen_f16(*bits) };
                }
            }
            Form::Codes { coding, codes, scales } => {
                let (panel, lane) = (row / PANEL, row % PANEL);
                let codes = &aligned(codes)[panel * coding.panel_codes(self.cols)..];
                let scales = &aligned(scales)[panel * coding.panel_scales(self.cols)..];
                coding.read_lane(codes, scales, lane, out);
            }
        }
    }

    fn units(&self) -> usize {
        self.rows.div_ceil(UNIT)
    }
}

/// The place of an output's panel and the panel's width, of `rows` outputs.
fn panel(rows: usize, output: usize) -> (usize, usize) {
    let wide = size().columns;
    let first = output / wide * wide;
    (first, wide.min(rows.next_multiple_of(COLUMNS) - first))
}

fn real<'a>(
    pool: &Pool,
    arena: &mut Arena,
    rows: usize,
    cols: usize,
    row: &(impl Fn(usize) -> &'a [u8] + Sync),
) -> Room {
    let mut values = arena.take(rows.next_multiple_of(COLUMNS) * cols);
    let shards = Shards::new(&mut values);
    pool.run(rows.div_ceil(UNIT), |unit| {
        let mut values = vec![0.0; cols];
        for i in unit * UNIT..rows.min((unit + 1) * UNIT) {
            dequantise(Format::F32, row(i), &mut values);
            let (first, wide) = panel(rows, i);
            // SAFETY: units have panels of their own.
            let panel = unsafe { shards.part(first * cols..(first + wide) * cols) };
            for (to, value) in panel[i - first..].iter_mut().step_by(wide).zip(&values) {
                *to = *value;
            }
        }
    });
    values
}

fn half<'a>(
    pool: &Pool,
    arena: &mut Arena,
    rows: usize,
    cols: usize,
    row: &(impl Fn(usize) -> &'a [u8] + Sync),
) -> Room {
    let mut room = arena.take((rows.next_multiple_of(COLUMNS) * cols).div_ceil(2));
    let shards = Shards::new(as_halves_mut(&mut room));
    pool.run(rows.div_ceil(UNIT), |unit| {
        for i in unit * UNIT..rows.min((unit + 1) * UNIT) {
            let (first, wide) = panel(rows, i);
            let bytes = row(i).as_chunks::<2>().0;
            assert_eq!(bytes.len(), cols, "packed: the length of a row");
            // SAFETY: units have panels of their own.
            let panel = unsafe { shards.part(first * cols..(first + wide) * cols) };
            for (to, bytes) in panel[i - first..].iter_mut().step_by(wide).zip(bytes) {
                *to = u16::from_le_bytes(*bytes);
            }
        }
    });
    room
}

fn as_halves(room: &[f32]) -> &[u16] {
    // SAFETY: any f32 is two u16.
    unsafe { std::slice::from_raw_parts(room.as_ptr().cast(), 2 * room.len()) }
}

fn as_halves_mut(room: &mut [f32]) -> &mut [u16] {
    // SAFETY: any f32 is two u16, and any two u16 are an f32.
    unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), 2 * room.len()) }
}

fn coded<'a>(
    pool: &Pool,
    arena: &mut Arena,
    format: Format,
    (rows, cols): (usize, usize),
    row: &(impl Fn(usize) -> &'a [u8] + Sync),
) -> Result<Form, NotFinite> {
    let coding = coding(format);
    let (panels, words) = (rows.div_ceil(PANEL), |bytes: usize| bytes / size_of::<f32>());
    let (panel_codes, panel_scales) = (coding.panel_codes(cols), coding.panel_scales(cols));
    let mut codes = arena.take(words(panels * panel_codes) + LINE);
    let mut scales = arena.take(words(panels * panel_scales) + LINE);
    let finite = std::sync::atomic::AtomicBool::new(true);
    {
        let (codes, scales) = (Shards::new(aligned_mut(&mut codes)), Shards::new(aligned_mut(&mut scales)));
        pool.run(panels, |panel| {
            // SAFETY: panels are disjoint.
            let (codes, scales) = unsafe {
                (
                    codes.part(panel * panel_codes..(panel + 1) * panel_codes),
                    scales.part(panel * panel_scales..(panel + 1) * panel_scales),
                )
            };
            let mut block = Block { codes: [0; 256], scales: [Scale::default(); 16] };
            let lanes = PANEL.min(rows - panel * PANEL);
            let rows: [&[u8]; PANEL] =
                std::array::from_fn(|lane| if lane < lanes { row(panel * PANEL + lane) } else { &[] });
            let (blocks, width) = (cols / format.block(), format.block_bytes());
            assert!(rows[..lanes].iter().all(|row| row.len() == blocks * width), "packed: the length of a row");
            for at in 0..blocks {
                for (lane, row) in rows[..lanes].iter().enumerate() {
                    let bytes = &row[at * width..][..width];
                    if let Some(flip) = straight(format) {
                        block.scales[0].half = halves(bytes, coding.least);
                        place_words(codes, &bytes[width - coding.block * coding.bits / 8..], flip, at, lane);
                    } else {
                        block.read(format, bytes);
                        block.place_codes(coding, format.block(), codes, at, lane);
                    }
                    if !block.place_scales(coding, format.block(), scales, at, lane) {
                        finite.store(false, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            }
        });
    }
    if finite.into_inner() { Ok(Form::Codes { coding, codes, scales }) } else { Err(NotFinite) }
}

/// f32 in a line of the cache.
const LINE: usize = 16;

fn first_line(room: &[f32]) -> usize {
    room.as_ptr().align_offset(64).min(LINE)
}

/// The bytes of `room` from the first whole line on.
fn aligned(room: &[f32]) -> &[u8] {
    let room = &room[first_line(room)..];
    // SAFETY: any f32 is four bytes.
    unsafe { std::slice::from_raw_parts(room.as_ptr().cast(), size_of_val(room)) }
}

/// As [`aligned`].
fn aligned_mut(room: &mut [f32]) -> &mut [u8] {
    let first = first_line(room);
    let room = &mut room[first..];
    // SAFETY: any f32 is four bytes, and any four bytes are an f32.
    unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), size_of_val(room)) }
}

/// How the blocks of a format are kept: exactly, if often in more bytes.
fn coding(format: Format) -> Coding {
    let (bits, block, zero, least, half) = match format {
        Format::Q8_0 => (8, 32, 128, false, true),
        Format::Q4_0 => (4, 32, 8, false, true),
        Format::Q4_1 => (4, 32, 0, true, true),
        Format::Q5_0 => (8, 32, 16, false, true),
        Format::Q5_1 => (8, 32, 0, true, true),
        Format::Q2K => (4, 16, 0, true, false),
        Format::Q3K => (4, 16, 4, false, false),
        Format::Q4K => (4, 32, 0, true, false),
        Format::Q5K => (8, 32, 0, true, false),
        Format::Q6K => (8, 16, 32, false, false),
        Format::F32 | Format::F16 | Format::Bf16 => unreachable!("{} has no codes", format.name()),
    };
    Coding { bits, block, zero, least, half }
}

/// A scale and a least value: as f16 bits, or as f32.
#[derive(Clone, Copy, Default)]
struct Scale {
    half: [u16; 2],
    full: [f32; 2],
}

/// A block of a file, taken apart: a code for each number, and a scale for
/// every 16 or 32.
struct Block {
    codes: [u8; 256],
    scales: [Scale; 16],
}

impl Block {
    /// Takes apart a block as `ggml-quants.h` of llama.cpp lays it out.
    fn read(&mut self, format: Format, bytes: &[u8]) {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let full = |at: usize| widen_f16(u16_at(at));
        match format {
            Format::Q5_0 | Format::Q5_1 => {
                let least = format == Format::Q5_1;
                self.scales[0].half = halves(bytes, least);
                let (fifth, low) = bytes[if least { 4 } else { 2 }..].split_at(4);
                let fifth = u32::from_le_bytes([fifth[0], fifth[1], fifth[2], fifth[3]]);
                for (i, byte) in low.iter().enumerate() {
                    self.codes[i] = byte & 15 | ((fifth >> i & 1) << 4) as u8;
                    self.codes[i + 16] = byte >> 4 | ((fifth >> (i + 16) & 1) << 4) as u8;
                }
            }
            Format::Q2K => {
                let (d, least) = (full(80), full(82));
                for (i, scale) in self.scales.iter_mut().enumerate() {
                    scale.full = [d * f32::from(bytes[i] & 15), -(least * f32::from(bytes[i] >> 4))];
                }
                for (i, code) in self.codes.iter_mut().enumerate() {
                    *code = bytes[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
                }
            }
            Format::Q3K => {
                let d = full(108);
                let (high, low, packed) = (&bytes[..32], &bytes[32..96], &bytes[96..108]);
                for (i, scale) in self.scales.iter_mut().enumerate() {
                    let four = packed[i % 8] >> (i / 8 * 4) & 15;
                    let two = packed[8 + i % 4] >> (i / 4 * 2) & 3;
                    scale.full = [d * (f32::from(four | two << 4) - 32.0), 0.0];
                }
                for (i, code) in self.codes.iter_mut().enumerate() {
                    let two = low[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
                    *code = two | (high[i % 32] >> (i / 32) & 1) << 2;
                }
            }
            Format::Q4K | Format::Q5K => {
                let (d, least) = (full(0), full(2));
                for i in 0..8 {
                    let [scale, minimum] = six_bits(&bytes[4..16], i);
                    self.scales[i].full = [d * f32::from(scale), -(least * f32::from(minimum))];
                }
                let five = format == Format::Q5K;
                let low = if five { &bytes[48..176] } else { &bytes[16..144] };
                for (i, code) in self.codes.iter_mut().enumerate() {
                    *code = low[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
                    if five {
                        *code |= (bytes[16 + i % 32] >> (i / 32) & 1) << 4;
                    }
                }
            }
            Format::Q6K => {
                let d = full(208);
                let (low, high, scales) = (&bytes[..128], &bytes[128..192], &bytes[192..208]);
                for (scale, byte) in self.scales.iter_mut().zip(scales) {
                    scale.full = [d * f32::from(*byte as i8), 0.0];
                }
                for (i, code) in self.codes.iter_mut().enumerate() {
                    let (half, quarter, at) = (i / 128, i % 128 / 32, i % 32);
                    let four = low[half * 64 + quarter % 2 * 32 + at] >> (quarter / 2 * 4) & 15;
                    *code = four | (high[half * 32 + at] >> (quarter * 2) & 3) << 4;
                }
            }
            _ => unreachable!("{} has no codes, or straight ones", format.name()),
        }
    }

    /// Puts the codes of the block, the `at`-th of its row, into a lane of a
    /// panel.
    fn place_codes(&self, coding: Coding, length: usize, codes: &mut [u8], at: usize, lane: usize) {
        let block_bytes = coding.block * PANEL * coding.bits / 8;
        for part in 0..length / coding.block {
            let values = &self.codes[part * coding.block..][..coding.block];
            let lines = &mut codes[(at * length / coding.block + part) * block_bytes..][..block_bytes];
            if coding.bits == 8 {
                for (word, line) in values.as_chunks::<4>().0.iter().zip(lines.chunks_exact_mut(64)) {
                    line[4 * lane..][..4].copy_from_slice(word);
                }
            } else {
                let (low, high) = values.split_at(coding.block / 2);
                let words = low.as_chunks::<4>().0.iter().zip(high.as_chunks::<4>().0);
                for ((low, high), line) in words.zip(lines.chunks_exact_mut(64)) {
                    let word: [u8; 4] = std::array::from_fn(|i| low[i] | high[i] << 4);
                    line[4 * lane..][..4].copy_from_slice(&word);
                }
            }
        }
    }

    /// The same for its scales and least values. Says whether they are finite.
    fn place_scales(&self, coding: Coding, length: usize, scales: &mut [u8], at: usize, lane: usize) -> bool {
        let (kinds, width) = (if coding.least { 2 } else { 1 }, coding.scales());
        let mut finite = true;
        for part in 0..length / coding.block {
            for kind in 0..kinds {
                let block = at * length / coding.block + part;
                let to = &mut scales[(block * kinds + kind) * width..][..width];
                if coding.half {
                    let bits = self.scales[part].half[kind];
                    finite &= bits & 0x7c00 != 0x7c00;
                    to[2 * lane..][..2].copy_from_slice(&bits.to_le_bytes());
                } else {
                    let value = self.scales[part].full[kind];
                    finite &= value.is_finite();
                    to[4 * lane..][..4].copy_from_slice(&value.to_le_bytes());
                }
            }
        }
        finite
    }
}

/// Where the codes of a block lie in a file as they do in a lane of a panel,
/// but for bits that are turned round: which.
fn straight(format: Format) -> Option<u32> {
    match format {
        // Signed there, counted from -128 here.
        Format::Q8_0 => Some(0x8080_8080),
        Format::Q4_0 | Format::Q4_1 => Some(0),
        _ => None,
    }
}

/// Puts such codes, those of the `at`-th block of a row, into a lane.
fn place_words(codes: &mut [u8], words: &[u8], flip: u32, at: usize, lane: usize) {
    let lines = &mut codes.as_chunks_mut::<64>().0[at * words.len() / 4..];
    for (line, word) in lines.iter_mut().zip(words.as_chunks::<4>().0) {
        let word = u32::from_le_bytes(*word) ^ flip;
        line[4 * lane..4 * lane + 4].copy_from_slice(&word.to_le_bytes());
    }
}

/// The scale with which a block begins, and the least value after it.
fn halves(bytes: &[u8], least: bool) -> [u16; 2] {
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    [half(0), if least { half(2) } else { 0 }]
}

/// The `i`-th of 8 scales and least values of 6 bits in 12 bytes.
fn six_bits(bytes: &[u8], i: usize) -> [u8; 2] {
    if i < 4 {
        [bytes[i] & 63, bytes[i + 4] & 63]
    } else {
        [bytes[i + 4] & 15 | bytes[i - 4] >> 6 << 4, bytes[i + 4] >> 4 | bytes[i] >> 6 << 4]
    }
}

/// Room for rows rounded to 8 bits, kept from one product to the next.
#[derive(Default)]
pub struct Rounded {
    words: Vec<i32>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl Rounded {
    /// Rounds rows of `k`: blocks of 32 with a scale of 1/127 of the largest.
    fn round(&mut self, pool: &Pool, x: &[f32], n: usize, k: usize) {
        fn room<T: Clone + Default>(values: &mut Vec<T>, length: usize) -> &mut [T] {
            if values.len() < length {
                values.resize(length, T::default());
            }
            &mut values[..length]
        }
        let groups = n.div_ceil(GROUP);
        let words = Shards::new(room(&mut self.words, groups * k));
        let scales = Shards::new(room(&mut self.scales, groups * GROUP * k / ROUNDED));
        let sums = Shards::new(room(&mut self.sums, groups * GROUP * k / SUMMED));
        // A few rows are not worth waking threads for.
        let at_once = if groups <= 2 { groups } else { 4 };
        pool.run(groups.div_ceil(at_once), |piece| {
            for group in piece * at_once..groups.min((piece + 1) * at_once) {
                let part = |every: usize| {
                    let length = k / every * GROUP;
                    group * length..(group + 1) * length
                };
                // SAFETY: groups are disjoint.
                let (words, scales, sums) =
                    unsafe { (words.part(part(4)), scales.part(part(ROUNDED)), sums.part(part(SUMMED))) };
                for slot in 0..GROUP.min(n - group * GROUP) {
                    let row = group * GROUP + slot;
                    round_row(&mut words[slot..], &mut scales[slot..], &mut sums[slot..], &x[row * k..][..k]);
                }
            }
        });
    }

    /// From row `first` on, which begins a group.
    fn rows(&self, first: usize, k: usize) -> Rows<'_> {
        Rows {
            words: &self.words[first * k / 4..],
            scales: &self.scales[first * k / ROUNDED..],
            sums: &self.sums[first * k / SUMMED..],
        }
    }
}

kernel! {
/// A row of a group: each value is four places after the one before.
fn round_row(words: &mut [i32], scales: &mut [f32], sums: &mut [i32], x: &[f32]) {
    for (block, x) in x.as_chunks::<ROUNDED>().0.iter().enumerate() {
        let mut largest = [0.0_f32; 8];
        for x in x.as_chunks::<8>().0 {
            for (largest, x) in largest.iter_mut().zip(x) {
                *largest = if x.abs() > *largest { x.abs() } else { *largest };
            }
        }
        let largest = largest.iter().fold(0.0_f32, |a, b| if *b > a { *b } else { a });
        scales[block * GROUP] = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        // To the nearest, halves to even: added to 1.5 * 2^23, a number below
        // 2^22 keeps no part of one.
        const WHOLE: f32 = 12_582_912.0;
        let codes = x.map(|x| ((x * inverse + WHOLE) - WHOLE) as i8);
        for (i, word) in codes.as_chunks::<4>().0.iter().enumerate() {
            words[(block * ROUNDED / 4 + i) * GROUP] = i32::from_le_bytes(word.map(|code| code as u8));
        }
        for (i, codes) in codes.as_chunks::<SUMMED>().0.iter().enumerate() {
            sums[(block * 2 + i) * GROUP] = codes.iter().map(|code| i32::from(*code)).sum();
        }
    }
}
}

/// For each output (n, out) of `outputs`: x (n, in) times the transpose of its
/// weights, all in one go over the threads.
///
/// # Panics
/// When the shapes do not fit.
pub fn project(pool: &Pool, x: &[f32], n: usize, rounded: &mut Rounded, outputs: &mut [(&Packed, &mut [f32])]) {
    let Some(k) = outputs.first().map(|(weights, _)| weights.cols) else { return };
    for (weights, out) in outputs.iter() {
        let fits = weights.cols == k && x.len() == n * k && out.len() == n * weights.rows;
        let (rows, cols) = (weights.rows, weights.cols);
        assert!(fits, "project: {} values in {n} rows, ({rows}, {cols}) into {}", x.len(), out.len());
    }
    if outputs.iter().any(|(weights, _)| matches!(weights.form, Form::Codes { .. })) {
        rounded.round(pool, x, n, k);
    }
    let (rounded, total) = (&*rounded, outputs.iter().map(|(weights, _)| weights.units()).sum::<usize>());
    let outputs: Vec<_> = outputs.iter_mut().map(|(weights, out)| (*weights, Shards::new(out))).collect();
    let blocks = n.div_ceil(ROWS);
    // Of few rows the work is small: it goes out in few pieces.
    let units = if blocks > 1 { 1 } else { total.div_ceil(8 * pool.threads()) };
    pool.run(total.div_ceil(units) * blocks, |piece| {
        let (first, block) = (piece / blocks * units, piece % blocks);
        let (row, count) = (block * ROWS, ROWS.min(n - block * ROWS));
        let mut before = 0;
        for (weights, out) in &outputs {
            let here = first.max(before)..total.min(first + units).min(before + weights.units());
            for unit in here {
                // SAFETY: pieces have rows and outputs of their own.
                unsafe { unit_times(weights, unit - before, out, row, count, x, rounded) };
            }
            before += weights.units();
        }
    });
}

thread_local! {
    /// Weights as f32, or outputs, kept from one product to the next.
    static WIDENED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Rows `row..row + count` times the outputs of a unit.
///
/// # Safety
/// Nobody else reads or writes these outputs of these rows.
unsafe fn unit_times(
    weights: &Packed,
    unit: usize,
    out: &Shards<'_, f32>,
    row: usize,
    count: usize,
    x: &[f32],
    rounded: &Rounded,
) {
    let (rows, k) = (weights.rows, weights.cols);
    let (first, last) = (unit * UNIT, rows.min((unit + 1) * UNIT));
    match &weights.form {
        Form::Codes { coding, codes, scales } => {
            let (panel, panels) = (first / PANEL, (last - first).div_ceil(PANEL));
            let panels_of = Panels {
                coding: *coding,
                codes: &aligned(codes)[panel * coding.panel_codes(k)..],
                scales: &aligned(scales)[panel * coding.panel_scales(k)..],
                k,
            };
            let whole = (last - first).is_multiple_of(PANEL);
            if whole {
                let to = out.pointer(row * rows + first..(row + count - 1) * rows + last);
                // SAFETY: the outputs are in bounds, and this call's alone.
                unsafe { codes::times(to, rows, rounded.rows(row, k), count, panels_of, panels) };
                return;
            }
            // At an edge, rows beside the output take its place.
            WIDENED.with_borrow_mut(|room| {
                let beside = lines(room, count * UNIT);
                // SAFETY: there is room for whole units; the rest as above.
                unsafe {
                    codes::times(beside.as_mut_ptr(), UNIT, rounded.rows(row, k), count, panels_of, panels);
                    for (i, beside) in beside.chunks(UNIT).enumerate() {
                        let at = (row + i) * rows;
                        out.part(at + first..at + last).copy_from_slice(&beside[..last - first]);
                    }
                }
            });
        }
        Form::Real(values) => {
            for (first, wide) in panels_of(rows, first, last) {
                let right = Right::panels(&values[first * k..(first + wide) * k], k);
                // SAFETY: as the caller says.
                let out = unsafe { Output::shared(out, row * rows + first, rows, count, wide.min(rows - first)) };
                product(Precision::F32, out, Left::rows(&x[row * k..], k), right, k, First::Zero);
            }
        }
        Form::Half(bits, format) => WIDENED.with_borrow_mut(|room| {
            let bits = as_halves(bits);
            for (first, wide) in panels_of(rows, first, last) {
                for p in (0..k).step_by(PIECE) {
                    let depth = PIECE.min(k - p);
                    let values = lines(room, depth * wide);
                    // The next piece comes from memory meanwhile.
                    let next = &bits[(first * k + (p + depth) * wide).min(bits.len())..];
                    next.iter().take(PIECE * wide).step_by(32).for_each(|line| prefetch(line));
                    widen(values, &bits[first * k + p * wide..][..depth * wide], *format == Format::Bf16);
                    // SAFETY: as the caller says.
                    let out = unsafe { Output::shared(out, row * rows + first, rows, count, wide.min(rows - first)) };
                    let start = if p == 0 { First::Zero } else { First::Output };
                    let left = Left::rows(&x[row * k + p..], k);
                    product(Precision::F32, out, left, Right::panels(values, depth), depth, start);
                }
            }
        }),
    }
}

/// The tile's panels of outputs `first..last`: where each begins, its width.
fn panels_of(rows: usize, first: usize, last: usize) -> impl Iterator<Item = (usize, usize)> {
    (first..last).step_by(size().columns).map(move |output| panel(rows, output))
}

kernel! {
fn widen(values: &mut [f32], bits: &[u16], bfloat: bool) {
    if bfloat {
        for (value, bits) in values.iter_mut().zip(bits) {
            *value = f32::from_bits(u32::from(*bits) << 16);
        }
    } else {
        for (value, bits) in values.iter_mut().zip(bits) {
            *value = widen_f16(*bits);
        }
    }
}
}
