//! Attention for generation, over keys and values that are kept in pages: a
//! batch is rows of several conversations, each with its own list of pages,
//! and conversations that begin alike share pages. Who owns a page, and when
//! it may be written, is decided above.
//!
//! For a row at `position`, over the positions j in first..=position, where
//! first is 0 or, with a window, max(0, position + 1 - window):
//!
//! ```text
//! s_j = (sum over d of q_d * k_jd, one accumulator in order of d) * scale
//! s_j = cap * tanh(s_j / cap)            (with a softcap)
//! m   = max s_j
//! p_j = exp(s_j - m)
//! z   = sum of p_j in 16 lanes, lane j mod 16, and the fixed tree
//! o_d = (sum over j of p_j * v_jd, one accumulator in order of j) / z
//! ```
//!
//! with k and v rounded to f16 when they are written. So the bits of a row
//! are decided by its q and by what it sees alone: not by the other rows of
//! the batch, by how a prompt was cut, or by where its pages lie.
//!
//! Two ways lead to them. A row by itself reads the f16 as they lie, all
//! query heads of a key head at once. Consecutive rows of one conversation
//! are worked on in blocks, as in `attention.rs`, over panels of f32 that are
//! made once for a block and all its heads. There, unlike there, a term that
//! a row does not see is left out and not counted as 0: what is not seen may
//! be an infinity.

use std::{cell::RefCell, cmp::Reverse, ops::Range};

use crate::{
    halves::{self, Halves},
    isa::kernel,
    pack::lines,
    pages::{PAGE, Pages, Row},
    pool::{Pool, Shards},
    reduce::{LANES, max_inline, sum_inline},
    scalar,
    tile::{COLUMNS, First, Left, Output, Precision, Right, product, size},
};

/// How many pages ahead memory is asked for.
const AHEAD: usize = 64 / PAGE;

/// Positions of which a block makes panels at once: whole panels, and few
/// enough for the second cache.
const CHUNK: usize = 384;

/// Query rows, over all heads of a key head, of a block.
const BLOCK: usize = 144;

/// Rows of a conversation that are fewer are taken one by one.
const FEW: usize = 4;

/// How an attention over pages is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CacheAttention {
    /// Query heads; a multiple of the key heads of the pages.
    pub heads: usize,
    /// What scores are multiplied by.
    pub scale: f32,
    /// Scores become cap * tanh(score / cap).
    pub softcap: Option<f32>,
    /// How many positions a row sees, its own included.
    pub window: Option<usize>,
}

impl CacheAttention {
    /// The positions that a row sees.
    fn seen(&self, row: &Row<'_>) -> Range<usize> {
        let end = row.position + 1;
        self.window.map_or(0, |window| end.saturating_sub(window))..end
    }
}

/// The pages that hold a range of positions.
fn pages_of(positions: &Range<usize>) -> Range<usize> {
    positions.start / PAGE..positions.end.div_ceil(PAGE)
}

impl Pages {
    /// `out` (N, heads * head_dim) = attention of `q`, of the same shape, over
    /// what each row sees, its own position included: its key and value are
    /// written before. The head of the module says every bit.
    ///
    /// # Panics
    /// When the shapes do not fit or there is no such page.
    pub fn attention(
        &self,
        pool: &Pool,
        out: &mut [f32],
        q: &[f32],
        layer: usize,
        rows: &[Row<'_>],
        options: &CacheAttention,
    ) {
        self.check_rows("pages: attention", layer, rows);
        let width = options.heads * self.head_dim;
        let fits = options.heads > 0
            && options.heads.is_multiple_of(self.kv_heads)
            && options.window != Some(0)
            && q.len() == rows.len() * width
            && out.len() == q.len();
        assert!(
            fits,
            "pages: attention: {} of {} queries in {} rows for {} key heads, {options:?}",
            out.len(),
            q.len(),
            rows.len(),
            self.kv_heads
        );
        let call = Call { pages: self, out: Shards::new(out), q, layer, rows, options, width };
        PLAN.with_borrow_mut(|pieces| {
            call.plan(pieces, pool.threads());
            let pieces = &pieces[..];
            pool.run(pieces.len(), |i| {
                SCRATCH.with_borrow_mut(|scratch| match &pieces[i] {
                    piece @ Piece { rows: 1, .. } => call.one_row(scratch, piece),
                    piece => call.block(scratch, piece),
                });
            });
        });
    }
}

/// A row, or consecutive rows of one conversation, for query heads that share
/// a key head.
#[derive(Clone)]
struct Piece {
    first: usize,
    rows: usize,
    /// The key head.
    head: usize,
    /// Which of its query heads: for several rows, all.
    heads: Range<usize>,
}

/// Scratch of a thread that works.
#[derive(Default)]
struct Scratch {
    /// Scores and then weights: (query rows, positions).
    p: Vec<f32>,
    /// What the query rows add up: (query rows, D').
    sums: Vec<f32>,
    /// Panels of a chunk of keys or values.
    panels: Vec<f32>,
    /// The denominators of the query rows.
    z: Vec<f32>,
}

thread_local! {
    /// The pieces of a call, kept by the thread that makes it.
    static PLAN: RefCell<Vec<Piece>> = RefCell::default();
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// [`lines`] that grow in large steps, as conversations do in small ones.
fn room(room: &mut Vec<f32>, length: usize) -> &mut [f32] {
    const STEP: usize = 1 << 14;
    &mut lines(room, length.next_multiple_of(STEP))[..length]
}

/// A checked call of [`Pages::attention`].
struct Call<'a> {
    pages: &'a Pages,
    out: Shards<'a, f32>,
    q: &'a [f32],
    layer: usize,
    rows: &'a [Row<'a>],
    options: &'a CacheAttention,
    width: usize,
}

impl Call<'_> {
    /// Query heads of a key head.
    fn group(&self) -> usize {
        self.options.heads / self.pages.kv_heads
    }

    /// The pieces of the work, the largest first. Single rows and key heads
    /// that are fewer than the threads are cut by query heads, each of which
    /// reads the keys again. Cutting scores by positions and values by columns
    /// as well was slower on two threads than one thread without.
    fn plan(&self, pieces: &mut Vec<Piece>, threads: usize) {
        pieces.clear();
        let group = self.group();
        let block = (BLOCK / group / size().rows * size().rows).max(size().rows);
        let mut first = 0;
        while first < self.rows.len() {
            let follows = |i: usize| i < self.rows.len() && follows(&self.rows[i - 1], &self.rows[i]);
            let end = (first + 1..).find(|i| !follows(*i)).expect("rows end");
            let step = if end - first < FEW { 1 } else { block };
            for from in (first..end).step_by(step) {
                let rows = step.min(end - from);
                let piece = |head| Piece { first: from, rows, head, heads: 0..group };
                pieces.extend((0..self.pages.kv_heads).map(piece));
            }
            first = end;
        }
        let whole = pieces.len();
        if whole < threads && pieces.iter().all(|piece| piece.rows == 1) {
            let each = group.div_ceil(threads.div_ceil(whole.max(1)));
            for i in 0..whole {
                for from in (each..group).step_by(each) {
                    pieces.push(Piece { heads: from..group.min(from + each), ..pieces[i].clone() });
                }
                pieces[i].heads = 0..each;
            }
        }
        let terms = |piece: &Piece| piece.rows * self.options.seen(&self.rows[piece.first + piece.rows - 1]).len();
        pieces.sort_unstable_by_key(|piece| Reverse(terms(piece)));
    }

    /// Where the query of a row and one of the query heads of `head` begins,
    /// and its output.
    fn at(&self, row: usize, head: usize, of_group: usize) -> usize {
        row * self.width + (head * self.group() + of_group) * self.pages.head_dim
    }

    fn one_row(&self, scratch: &mut Scratch, piece: &Piece) {
        let (seen, heads, wide) = (self.options.seen(&self.rows[piece.first]), piece.heads.len(), self.pages.wide());
        let pages = pages_of(&seen);
        let columns = pages.len() * PAGE;
        let p = room(&mut scratch.p, heads * columns);
        self.scores(p, piece);
        let (sums, z) = (room(&mut scratch.sums, heads * wide), room(&mut scratch.z, heads));
        let low = pages.start * PAGE;
        for (p, z) in p.chunks_exact_mut(columns).zip(z.iter_mut()) {
            *z = weights(p, seen.start - low, seen.end - low, self.options.scale, self.options.softcap);
        }
        self.weigh(sums, p, z, piece);
    }

    /// The scores of a row: p (heads, columns), over whole pages.
    fn scores(&self, p: &mut [f32], piece: &Piece) {
        let (d, heads, row) = (self.pages.head_dim, piece.heads.len(), &self.rows[piece.first]);
        let queries = &self.q[self.at(piece.first, piece.head, piece.heads.start)..][..heads * d];
        let (pages, columns) = (pages_of(&self.options.seen(row)), p.len() / heads);
        let block = |page: usize| self.pages.block(row.pages[page], self.layer, piece.head);
        for (i, page) in pages.clone().enumerate() {
            let keys = Halves { data: block(page).0, stride: PAGE };
            // After the keys come the values.
            let next = page + AHEAD;
            let next = if next < pages.end {
                block(next).0
            } else {
                block((pages.start + next - pages.end).min(pages.end - 1)).1
            };
            let out = Output::new(&mut p[i * PAGE..], columns, heads, PAGE);
            halves::product(out, queries, d, keys, d, false, Some(next));
        }
    }

    /// The outputs of a row from its weights p (heads, columns); `sums`
    /// (heads, D') is scratch.
    fn weigh(&self, sums: &mut [f32], p: &[f32], z: &[f32], piece: &Piece) {
        let (d, wide, heads, row) = (self.pages.head_dim, self.pages.wide(), z.len(), &self.rows[piece.first]);
        let (seen, columns) = (self.options.seen(row), p.len() / heads);
        let pages = pages_of(&seen);
        let block = |page: usize| self.pages.block(row.pages[page], self.layer, piece.head).1;
        sums.fill(0.0);
        for page in pages.clone() {
            let next = (page + AHEAD < pages.end).then(|| block(page + AHEAD));
            let (from, to) = (seen.start.max(page * PAGE), seen.end.min((page + 1) * PAGE));
            let values = Halves { data: &block(page)[from % PAGE * wide..], stride: wide };
            let p = &p[from - pages.start * PAGE..];
            halves::product(Output::new(sums, wide, heads, wide), p, columns, values, to - from, true, next);
        }
        for ((h, sums), z) in piece.heads.clone().zip(sums.chunks_exact(wide)).zip(z) {
            let at = self.at(piece.first, piece.head, h);
            // SAFETY: pieces have rows or heads of their own.
            divide(unsafe { self.out.part(at..at + d) }, &sums[..d], *z);
        }
    }

    /// Rows that follow one another in one conversation, for all query heads
    /// of a key head.
    fn block(&self, scratch: &mut Scratch, piece: &Piece) {
        let Piece { first, rows: count, head, .. } = *piece;
        let Scratch { p, sums, panels, z } = scratch;
        let (group, wide, d) = (self.group(), self.pages.wide(), self.pages.head_dim);
        let seen = |r: usize| self.options.seen(&self.rows[first + r]);
        let all = seen(0).start..seen(count - 1).end;
        let block =
            Block { first, count, head, low: pages_of(&all).start * PAGE, pages: self.rows[first + count - 1].pages };
        let columns = pages_of(&all).len() * PAGE;
        let p = room(p, group * count * columns);
        for from in (block.low..all.end).step_by(CHUNK) {
            let chunk = from..all.end.min(from + CHUNK);
            let keys = self.key_panels(panels, &block, chunk.clone());
            self.block_scores(p, columns, &block, keys, chunk);
        }
        let z = room(z, group * count);
        for (i, (p, z)) in p.chunks_exact_mut(columns).zip(z.iter_mut()).enumerate() {
            let seen = seen(i % count);
            *z = weights(p, seen.start - block.low, seen.end - block.low, self.options.scale, self.options.softcap);
        }
        let sums = room(sums, group * count * wide);
        sums.fill(0.0);
        for from in (block.low..all.end).step_by(CHUNK) {
            let chunk = from..all.end.min(from + CHUNK);
            let values = self.value_panels(panels, &block, chunk.clone());
            self.block_values(sums, p, columns, &block, values, chunk);
        }
        for (i, (sums, z)) in sums.chunks_exact(wide).zip(z).enumerate() {
            let at = self.at(first + i % count, head, i / count);
            // SAFETY: each piece has its own rows and heads.
            divide(unsafe { self.out.part(at..at + d) }, &sums[..d], *z);
        }
    }

    /// Panels (d, positions) of the keys of a chunk.
    fn key_panels<'r>(&self, panels: &'r mut Vec<f32>, block: &Block<'_>, chunk: Range<usize>) -> Right<'r> {
        let d = self.pages.head_dim;
        let columns = chunk.len().next_multiple_of(COLUMNS);
        let panels = room(panels, d * columns);
        for page in pages_of(&chunk) {
            let (keys, _) = self.pages.block(block.pages[page], self.layer, block.head);
            for group in (0..PAGE).step_by(COLUMNS) {
                let j = page * PAGE + group - chunk.start;
                if j < columns {
                    let (at, stride) = place_in_panels(j, columns, d);
                    halves::widen(&mut panels[at..], stride, Halves { data: &keys[group..], stride: PAGE }, d, COLUMNS);
                }
            }
        }
        Right::panels(panels, d)
    }

    /// Panels (positions, wide) of the values of a chunk.
    fn value_panels<'r>(&self, panels: &'r mut Vec<f32>, block: &Block<'_>, chunk: Range<usize>) -> Right<'r> {
        let wide = self.pages.wide();
        let panels = room(panels, chunk.len() * wide);
        for page in pages_of(&chunk) {
            let (_, values) = self.pages.block(block.pages[page], self.layer, block.head);
            let (row, rows) = (page * PAGE - chunk.start, PAGE.min(chunk.end - page * PAGE));
            for j in (0..wide).step_by(size().columns) {
                let (at, stride) = place_in_panels(j, wide, chunk.len());
                let values = Halves { data: &values[j..], stride: wide };
                halves::widen(&mut panels[at + row * stride..], stride, values, rows, stride);
            }
        }
        Right::panels(panels, chunk.len())
    }

    /// Scores of a block over a chunk, those that any row of a tile sees.
    fn block_scores(&self, p: &mut [f32], columns: usize, block: &Block<'_>, keys: Right<'_>, chunk: Range<usize>) {
        let (d, wide) = (self.pages.head_dim, size().columns);
        for (tile, rows) in self.tiles(block) {
            let seen = self.seen_by(&rows);
            let skip = seen.all.start.saturating_sub(chunk.start) / wide * wide;
            let (from, to) = (chunk.start + skip, chunk.end.min(seen.all.end));
            if from >= to {
                continue;
            }
            let queries = &self.q[self.at(rows.start, block.head, tile / block.count)..];
            let out = &mut p[tile * columns + from - block.low..];
            let out = Output::new(out, columns, rows.len(), (to - from).next_multiple_of(COLUMNS));
            product(Precision::F32, out, Left::rows(queries, self.width), keys.after_column(skip), d, First::Zero);
        }
    }

    /// Adds what a chunk weighs: for each tile the positions that all of its
    /// rows see together, those before and after row by row.
    fn block_values(
        &self,
        sums: &mut [f32],
        p: &[f32],
        columns: usize,
        block: &Block<'_>,
        values: Right<'_>,
        chunk: Range<usize>,
    ) {
        let wide = self.pages.wide();
        let edge = |sums: &mut [f32], i: usize, positions: Range<usize>| {
            if !positions.is_empty() {
                let p = &p[i * columns + positions.start - block.low..][..positions.len()];
                weigh_edge(&mut sums[i * wide..(i + 1) * wide], p, values, positions.start - chunk.start);
            }
        };
        for (tile, rows) in self.tiles(block) {
            let common = self.seen_by(&rows).common;
            let within = |from: usize, to: usize| from.max(chunk.start)..to.min(chunk.end);
            for (i, row) in (tile..).zip(rows.clone()) {
                let seen = self.options.seen(&self.rows[row]);
                edge(sums, i, within(seen.start, common.start.min(seen.end)));
            }
            let together = within(common.start, common.end);
            if !together.is_empty() {
                let a = Left::rows(&p[tile * columns + together.start - block.low..], columns);
                let out = Output::new(&mut sums[tile * wide..], wide, rows.len(), wide);
                let values = values.after_row(together.start - chunk.start);
                product(Precision::F32, out, a, values, together.len(), First::Output);
            }
            for (i, row) in (tile..).zip(rows) {
                edge(sums, i, within(common.end, self.options.seen(&self.rows[row]).end));
            }
        }
    }

    /// The tiles of a block: the first query row of each, counted head by
    /// head, and its rows of the batch.
    fn tiles(&self, block: &Block<'_>) -> impl Iterator<Item = (usize, Range<usize>)> {
        let (first, count, step) = (block.first, block.count, size().rows);
        (0..self.group()).flat_map(move |head| {
            let rows = move |r: usize| first + r..first + count.min(r + step);
            (0..count).step_by(step).map(move |r| (head * count + r, rows(r)))
        })
    }

    /// What rows that follow one another see.
    fn seen_by(&self, rows: &Range<usize>) -> Seen {
        let [first, last] = [rows.start, rows.end - 1].map(|row| self.options.seen(&self.rows[row]));
        Seen { all: first.start..last.end, common: last.start..first.end.max(last.start) }
    }
}

/// What rows that follow one another see.
struct Seen {
    /// At least one of them.
    all: Range<usize>,
    /// All of them; where that is nothing, it lies at the last one's first.
    common: Range<usize>,
}

/// Consecutive rows of one conversation, for one key head.
struct Block<'a> {
    first: usize,
    count: usize,
    head: usize,
    /// The position in the first column of the scores.
    low: usize,
    pages: &'a [u32],
}

/// Whether `next` is the next position of the same conversation.
fn follows(row: &Row<'_>, next: &Row<'_>) -> bool {
    let pages = row.position / PAGE + 1;
    next.position == row.position + 1
        && (row.pages.as_ptr() == next.pages.as_ptr() || row.pages[..pages] == next.pages[..pages])
}

/// Where column `j` of panels begins, and how wide its panel is.
fn place_in_panels(j: usize, columns: usize, length: usize) -> (usize, usize) {
    let wide = size().columns;
    let panel = j / wide * wide;
    (panel * length + j - panel, wide.min(columns - panel))
}

kernel! {
/// Scores, of which those from `start` to `end` are seen, become exp(s - max)
/// and, in the rest of the groups of lanes, 0. Returns their sum.
fn weights(p: &mut [f32], start: usize, end: usize, scale: f32, softcap: Option<f32>) -> f32 {
    let (low, high) = (start / LANES * LANES, end.next_multiple_of(LANES));
    p[low..start].fill(0.0);
    p[end..high].fill(0.0);
    let seen = &mut p[start..end];
    for s in seen.iter_mut() {
        *s *= scale;
    }
    if let Some(cap) = softcap {
        for s in seen.iter_mut() {
            *s = cap * scalar::tanh(*s / cap);
        }
    }
    let max = max_inline(seen);
    for s in seen.iter_mut() {
        *s = scalar::exp(*s - max);
    }
    sum_inline(&p[low..high])
}
}

kernel! {
/// out (wide) += the sum of p times rows of panels, from row `first` on.
fn weigh_edge(out: &mut [f32], p: &[f32], values: Right<'_>, first: usize) {
    // Several groups of 16 at once, so that none waits for its last sum.
    const GROUPS: usize = 3;
    let (outs, _) = out.as_chunks_mut::<COLUMNS>();
    let wide = size().columns;
    let mut j = 0;
    while j < outs.len() {
        let (from, stride) = values.column(j * COLUMNS);
        let rows = from[first * stride..].chunks(stride);
        if wide.is_multiple_of(GROUPS * COLUMNS) && j + GROUPS <= outs.len() {
            edge::<GROUPS>(&mut outs[j..], p, rows);
            j += GROUPS;
        } else {
            edge::<1>(&mut outs[j..], p, rows);
            j += 1;
        }
    }
}
}

#[inline(always)]
fn edge<'a, const G: usize>(outs: &mut [[f32; COLUMNS]], p: &[f32], rows: impl Iterator<Item = &'a [f32]>) {
    let outs = outs.first_chunk_mut::<G>().expect("groups");
    let mut sums = *outs;
    for (p, row) in p.iter().zip(rows) {
        for (sums, row) in sums.iter_mut().zip(row.as_chunks::<COLUMNS>().0) {
            for i in 0..COLUMNS {
                sums[i] = p.mul_add(row[i], sums[i]);
            }
        }
    }
    *outs = sums;
}

kernel! {
fn divide(out: &mut [f32], from: &[f32], by: f32) {
    for (out, x) in out.iter_mut().zip(from) {
        *out = x / by;
    }
}
}
