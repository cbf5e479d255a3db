//! Memory for keys and values in f16, in pages that conversations take and
//! share. Who owns a page, and when it may be written, is decided above;
//! `paged.rs` computes with them.

use std::cell::RefCell;

use crate::{
    half,
    halves::LINE,
    isa::kernel,
    memory::zeros_f16,
    pool::{Pool, Shards},
    tile::COLUMNS,
};

/// Positions of a page: a whole number of groups of lanes. With 32, a row of
/// transposed keys fills a cache line.
pub const PAGE: usize = 32;

/// Numbers that are written without waking threads for it.
const SMALL_WRITE: usize = 1 << 15;

/// Memory for the keys and values of all layers, in pages of [`PAGE`]
/// positions.
///
/// A page has room for all layers, so that a conversation has one list of
/// pages, and a page can be copied as one piece. For each layer and key head
/// it holds the keys transposed, (`head_dim`, [`PAGE`]), so that the scores
/// of positions that are neighbours are computed side by side, and then the
/// values, ([`PAGE`], `head_dim` rounded up to 16).
pub struct Pages {
    layers: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    slabs: Vec<Slab>,
}

/// Pages that were taken at once. Growing moves nothing.
struct Slab {
    /// The number of its first page.
    first: usize,
    count: usize,
    data: Vec<u16>,
    /// Where in `data` the first page begins: at a cache line, or every row
    /// of keys would lie across two.
    start: usize,
}

/// A row of a batch: where its conversation's keys and values lie, and its
/// place among them.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Page `i` holds the positions from `i *` [`PAGE`] on. Those before the
    /// window are not looked at, and there may be more than are needed.
    pub pages: &'a [u32],
    /// The row's position in its conversation, from 0.
    pub position: usize,
}

impl Pages {
    /// No pages yet, for this many layers and key heads of this width.
    ///
    /// # Panics
    /// When a size is 0.
    pub fn new(layers: usize, kv_heads: usize, head_dim: usize) -> Self {
        assert!(layers > 0 && kv_heads > 0 && head_dim > 0, "pages: ({layers}, {kv_heads}, {head_dim})");
        Self { layers, kv_heads, head_dim, slabs: Vec::new() }
    }

    /// Adds `count` pages, whose numbers follow those that there are.
    ///
    /// # Panics
    /// When their numbers would not fit a u32.
    pub fn grow(&mut self, count: usize) {
        let first = self.count();
        assert!(first + count <= u32::MAX as usize, "pages: {count} more than {first}");
        if count > 0 {
            let data = zeros_f16(count * self.page_length() + LINE);
            let start = data.as_ptr().align_offset(LINE * size_of::<u16>()).min(LINE);
            self.slabs.push(Slab { first, count, data, start });
        }
    }

    /// Leaves the pages that are `kept` alone, which are 0, 1, … from now on in
    /// the order in which they are named, and gives the memory of the others back.
    ///
    /// # Panics
    /// When there is no such page.
    pub fn keep(&mut self, kept: &[u32]) {
        let mut left = Self { slabs: Vec::new(), ..*self };
        left.grow(kept.len());
        let length = self.page_length();
        for (to, page) in (0..).zip(kept) {
            let ((slab, at), (into, to)) = (self.place(*page), left.place(to));
            left.slabs[into].data[to..to + length].copy_from_slice(&self.slabs[slab].data[at..at + length]);
        }
        *self = left;
    }

    /// How many pages there are: they are numbered from 0.
    pub fn count(&self) -> usize {
        self.slabs.last().map_or(0, |slab| slab.first + slab.count)
    }

    /// Bytes of a page.
    pub fn page_bytes(&self) -> usize {
        self.page_length() * size_of::<u16>()
    }

    /// Makes page `to` a copy of page `from`, for a conversation that goes
    /// its own way in the middle of a page.
    ///
    /// # Panics
    /// When there is no such page.
    pub fn copy(&mut self, from: u32, to: u32) {
        let length = self.page_length();
        let ((slab, from), (into, to)) = (self.place(from), self.place(to));
        if slab == into {
            self.slabs[slab].data.copy_within(from..from + length, to);
        } else {
            let [source, target] = self.slabs.get_disjoint_mut([slab, into]).expect("two slabs");
            target.data[to..to + length].copy_from_slice(&source.data[from..from + length]);
        }
    }

    /// The head's width, filled up to whole groups of 16.
    pub(crate) fn wide(&self) -> usize {
        self.head_dim.next_multiple_of(COLUMNS)
    }

    /// f16 of the keys and the values of a page, for one layer and head.
    fn block_length(&self) -> usize {
        PAGE * (self.head_dim + self.wide())
    }

    fn page_length(&self) -> usize {
        self.layers * self.kv_heads * self.block_length()
    }

    /// The slab of a page, and where in it the page begins.
    fn place(&self, page: u32) -> (usize, usize) {
        let page = page as usize;
        assert!(page < self.count(), "pages: page {page} of {}", self.count());
        let i = self.slabs.partition_point(|slab| slab.first <= page) - 1;
        let slab = &self.slabs[i];
        (i, slab.start + (page - slab.first) * self.page_length())
    }

    /// Keys (`head_dim`, PAGE) and values (PAGE, wide) of a page.
    pub(crate) fn block(&self, page: u32, layer: usize, head: usize) -> (&[u16], &[u16]) {
        let ((slab, at), length) = (self.place(page), self.block_length());
        let at = at + (layer * self.kv_heads + head) * length;
        self.slabs[slab].data[at..at + length].split_at(self.head_dim * PAGE)
    }

    pub(crate) fn check_rows(&self, what: &str, layer: usize, rows: &[Row<'_>]) {
        assert!(layer < self.layers, "{what}: layer {layer} of {}", self.layers);
        for (i, row) in rows.iter().enumerate() {
            let (pages, position) = (row.pages.len(), row.position);
            assert!(pages > position / PAGE, "{what}: row {i} is at {position} with {pages} pages of {PAGE}");
        }
    }

    /// Stores the keys `k` and values `v` (N, kv_heads * head_dim) of the
    /// rows at their positions, rounded to f16. Where two rows name one
    /// place, the later one's stay.
    ///
    /// # Panics
    /// When the shapes do not fit or there is no such page.
    pub fn write(&mut self, pool: &Pool, layer: usize, rows: &[Row<'_>], k: &[f32], v: &[f32]) {
        self.check_rows("pages: write", layer, rows);
        let (d, heads, length, wide) = (self.head_dim, self.kv_heads, self.block_length(), self.wide());
        let width = heads * d;
        let fits = k.len() == rows.len() * width && v.len() == k.len();
        assert!(fits, "pages: write: {} keys and {} values of ({}, {width})", k.len(), v.len(), rows.len());
        PLACES.with_borrow_mut(|places| {
            places.clear();
            places.extend(rows.iter().map(|row| self.place(row.pages[row.position / PAGE])));
            let slabs: Vec<_> = self.slabs.iter_mut().map(|slab| Shards::new(&mut slab.data)).collect();
            // Keys or values of a head: no two pieces share a place.
            let pieces = 2 * heads;
            let task = |piece: usize| {
                let (head, keys) = (piece / 2, piece.is_multiple_of(2));
                for (i, ((slab, page), row)) in places.iter().zip(rows).enumerate() {
                    let from = i * width + head * d..i * width + (head + 1) * d;
                    let (at, slot) = (page + (layer * heads + head) * length, row.position % PAGE);
                    let value = at + d * PAGE + slot * wide;
                    let part = if keys { at..at + d * PAGE } else { value..value + d };
                    // SAFETY: within a page a piece has its own head's keys or
                    // values, and takes one part at a time.
                    let part = unsafe { slabs[*slab].part(part) };
                    if keys { narrow_column(part, slot, &k[from]) } else { narrow_row(part, &v[from]) }
                }
            };
            if k.len() < SMALL_WRITE { (0..pieces).for_each(task) } else { pool.run(pieces, task) }
        });
    }
}

thread_local! {
    /// Where the pages are that are written, kept by the thread that calls.
    static PLACES: RefCell<Vec<(usize, usize)>> = RefCell::default();
}

kernel! {
fn narrow_row(out: &mut [u16], from: &[f32]) {
    for (out, x) in out.iter_mut().zip(from) {
        *out = half::narrow(*x);
    }
}
}

kernel! {
/// Into column `slot` of (d, PAGE).
fn narrow_column(out: &mut [u16], slot: usize, from: &[f32]) {
    for (out, x) in out.as_chunks_mut::<PAGE>().0.iter_mut().zip(from) {
        out[slot] = half::narrow(*x);
    }
}
}
