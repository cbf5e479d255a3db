//! What goes in, a [`Batch`], and everything the forward pass leaves for the
//! backward pass, [`Activations`]: taken once, so that a step takes no memory.
//!
//! What a layer leaves is read when the layer's gradient is made, and not
//! after it. Until then the gradients of the layers before it are empty room.
//! So layer `l` leaves its values where the gradient of layer `l - 1` will be,
//! when they fit there, and training needs little more memory than weights,
//! gradients and optimiser. What one pass over memory makes again (norms, the
//! activated gate) is not left at all. Where adapters alone are learned there
//! are no such gradients, and layers leave their values in memory of its own.

use std::ops::Range;

use kwaya_math::{AttentionShape, Precision, RopeTable, zeros};

use crate::{
    architecture::{Architecture, Rope, inverse_root},
    lora::Lora,
    network::{Network, widest},
};

/// Rows of tokens, `N` = `rows` x `tokens_per_row` positions in all. A row may
/// hold several documents; `starts` keeps them apart.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The number of rows, `B`.
    pub rows: usize,
    /// The length of each row, `T`.
    pub tokens_per_row: usize,
    /// (N) the tokens read, each below the vocabulary size.
    pub tokens: &'a [u32],
    /// (N) the token to predict at each position, or [`crate::IGNORED`].
    pub targets: &'a [u32],
    /// (N) for each position the first position of its row that it sees, which
    /// is where its document starts. Not above the position's own place.
    pub starts: &'a [u32],
    /// (N) the rotary position, counted from the start of the document.
    pub positions: &'a [u32],
}

/// The widths of the buffers: per position, in values.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) c: usize,
    pub(crate) q: usize,
    pub(crate) k: usize,
    pub(crate) f: usize,
    pub(crate) v: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    /// Whether queries and keys are normed, and what the branches give.
    pub(crate) qk_norm: bool,
    pub(crate) post_norms: bool,
    /// The rank of the adapters, where there are any.
    pub(crate) rank: usize,
    /// How many rows of tokens are learned beside frozen ones.
    pub(crate) tokens: usize,
}

impl Sizes {
    pub(crate) fn of(a: &Architecture) -> Self {
        Self {
            c: a.hidden,
            q: a.query_size(),
            k: a.key_value_size(),
            f: a.intermediate,
            v: a.vocab,
            heads: a.heads,
            kv_heads: a.kv_heads,
            qk_norm: a.qk_norm,
            post_norms: a.post_norms,
            rank: 0,
            tokens: 0,
        }
    }

    fn adapted(a: &Architecture, lora: &Lora) -> Self {
        let tokens = lora.tokens.map_or(0, |tokens| tokens.count as usize);
        Self { rank: lora.rank, tokens, ..Self::of(a) }
    }

    /// Widths of what layers leave where the family has it, and else 0: the
    /// inverse norms of the heads of queries and keys, and what a branch gives
    /// with its inverse norm.
    fn head_norms(&self) -> [usize; 2] {
        if self.qk_norm { [self.heads, self.kv_heads] } else { [0, 0] }
    }

    fn branch(&self) -> [usize; 2] {
        if self.post_norms { [self.c, 1] } else { [0, 0] }
    }
}

/// What a layer leaves beside its input `x` (N, C), in the order in which it
/// comes about: parts of one block.
pub(crate) struct Layer<'a> {
    pub(crate) x_inv_rms: &'a mut [f32], // (N)
    /// (N, Q) after rope; where heads are normed before both, from which both
    /// are made again.
    pub(crate) query: &'a mut [f32],
    pub(crate) key: &'a mut [f32],         // (N, K) as `query`
    pub(crate) value: &'a mut [f32],       // (N, K)
    pub(crate) softmax_max: &'a mut [f32], // (B, heads, T)
    pub(crate) softmax_sum: &'a mut [f32], // (B, heads, T)
    pub(crate) attended: &'a mut [f32],    // (N, Q)
    pub(crate) h: &'a mut [f32],           // (N, C) x + attention
    pub(crate) h_inv_rms: &'a mut [f32],   // (N)
    pub(crate) gate: &'a mut [f32],        // (N, F)
    pub(crate) up: &'a mut [f32],          // (N, F)
    /// Where heads are normed.
    pub(crate) query_inv_rms: &'a mut [f32], // (N, heads)
    pub(crate) key_inv_rms: &'a mut [f32], // (N, kv_heads)
    /// Where what branches give is normed: attention, feed-forward.
    pub(crate) branches: [Branch<'a>; 2],
}

/// What a branch gives before it is normed and added to the stream.
pub(crate) struct Branch<'a> {
    pub(crate) out: &'a mut [f32],     // (N, C)
    pub(crate) inv_rms: &'a mut [f32], // (N)
}

impl<'a> Layer<'a> {
    /// Values per position, without `x`.
    fn width(s: &Sizes) -> usize {
        let family = s.head_norms().iter().sum::<usize>() + 2 * s.branch().iter().sum::<usize>();
        2 + 2 * s.q + 2 * s.k + 2 * s.heads + s.c + 2 * s.f + family
    }

    /// The parts of `block`, for `n` positions.
    pub(crate) fn within(block: &'a mut [f32], n: usize, s: &Sizes) -> Self {
        let mut rest = block;
        let mut take = |width: usize| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(n * width);
            rest = after;
            part
        };
        let ([of_query, of_key], [out, inverse]) = (s.head_norms(), s.branch());
        Self {
            x_inv_rms: take(1),
            query: take(s.q),
            key: take(s.k),
            value: take(s.k),
            softmax_max: take(s.heads),
            softmax_sum: take(s.heads),
            attended: take(s.q),
            h: take(s.c),
            h_inv_rms: take(1),
            gate: take(s.f),
            up: take(s.f),
            query_inv_rms: take(of_query),
            key_inv_rms: take(of_key),
            branches: [(); 2].map(|()| Branch { out: take(out), inv_rms: take(inverse) }),
        }
    }
}

impl Branch<'_> {
    /// The part of some positions; nothing where branches are not normed.
    pub(crate) fn rows(&mut self, rows: Range<usize>) -> Branch<'_> {
        let (rows, c) = if self.inv_rms.is_empty() { (0..0, 0) } else { (rows, self.out.len() / self.inv_rms.len()) };
        Branch { out: &mut self.out[rows.start * c..rows.end * c], inv_rms: &mut self.inv_rms[rows] }
    }
}

/// Values that no layer leaves: each layer uses the same.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) norm: Vec<f32>,      // (N, C) a norm's output
    pub(crate) activated: Vec<f32>, // (PIECE, F) silu(gate) * up
    pub(crate) query: Vec<f32>,     // (N, Q) after norm and rope, where heads are normed
    pub(crate) key: Vec<f32>,       // (N, K) after norm and rope, where heads are normed
    pub(crate) beside: Beside,
}

/// What products with frozen weights need.
#[derive(Default)]
pub(crate) struct Beside {
    /// The weights of one product, while they are f32.
    pub(crate) widened: Vec<f32>,
    pub(crate) low: Vec<f32>,   // (N, rank) s x Aᵗ
    pub(crate) d_low: Vec<f32>, // (N, rank) s dy B
}

/// Gradients on their way back, one of each kind at a time.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) d_x: Vec<f32>,         // (N, C) of the residual stream
    pub(crate) d_norm: Vec<f32>,      // (N, C) of a norm's output
    pub(crate) d_branch: Vec<f32>,    // (N, C) of a norm's input
    pub(crate) d_query: Vec<f32>,     // (N, Q)
    pub(crate) d_key: Vec<f32>,       // (N, K)
    pub(crate) d_value: Vec<f32>,     // (N, K)
    pub(crate) d_attended: Vec<f32>,  // (N, Q)
    pub(crate) d_activated: Vec<f32>, // (PIECE, F)
    pub(crate) d_gate: Vec<f32>,      // (PIECE, F)
    pub(crate) d_up: Vec<f32>,        // (PIECE, F)
}

impl Work {
    /// Each buffer and its length for `n` positions.
    fn buffers(&mut self, s: &Sizes, n: usize) -> [(&mut Vec<f32>, usize); 7] {
        let normed = if s.qk_norm { n } else { 0 };
        [
            (&mut self.norm, n * s.c),
            (&mut self.activated, n.min(PIECE) * s.f),
            (&mut self.query, normed * s.q),
            (&mut self.key, normed * s.k),
            (&mut self.beside.widened, if s.rank == 0 { 0 } else { widest(s) }),
            (&mut self.beside.low, n * s.rank),
            (&mut self.beside.d_low, n * s.rank),
        ]
    }
}

impl Scratch {
    fn buffers(&mut self, s: &Sizes, n: usize) -> [(&mut Vec<f32>, usize); 10] {
        let piece = n.min(PIECE);
        [
            (&mut self.d_x, n * s.c),
            (&mut self.d_norm, n * s.c),
            (&mut self.d_branch, n * s.c),
            (&mut self.d_query, n * s.q),
            (&mut self.d_key, n * s.k),
            (&mut self.d_value, n * s.k),
            (&mut self.d_attended, n * s.q),
            (&mut self.d_activated, piece * s.f),
            (&mut self.d_gate, piece * s.f),
            (&mut self.d_up, piece * s.f),
        ]
    }
}

/// The positions that feed-forward layers work on at a time. Even, so that a
/// piece ends where a pair of bfloat16 numbers does.
pub(crate) const PIECE: usize = 512;

/// What is left of the layers for the backward pass. No bit depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// All that the backward pass reads: the fastest.
    Everything,
    /// The input of each layer, from which the rest is computed again: about
    /// a fourth slower, in a small part of the memory.
    Inputs,
}

/// Where the layers after the first leave their values.
pub(crate) enum Room {
    /// Where the gradient of the layer before will be.
    Gradients,
    /// In memory of its own: (layers - 1) blocks.
    Own(Vec<f32>),
    /// Nowhere: only the forward pass is wanted.
    None,
}

/// Memory for one batch at a time.
pub struct Activations {
    pub(crate) sizes: Sizes,
    pub(crate) precision: Precision,
    pub(crate) keep: Keep,
    pub(crate) room: Room,
    /// What the first layer leaves, or each layer whose values are not kept.
    pub(crate) block: Vec<f32>,
    pub(crate) first_x: Vec<f32>, // (N, C) what the first layer reads
    pub(crate) x: Vec<f32>,       // (N, C) what the last layer gives
    pub(crate) inv_rms: Vec<f32>, // (N)
    pub(crate) x_norm: Vec<f32>,  // (N, C) what the head reads
    pub(crate) logits: Vec<f32>,  // (head_rows, V) at a time
    /// (head_rows, tokens) those of the tokens whose rows are learned
    pub(crate) token_logits: Vec<f32>,
    pub(crate) head_rows: usize,
    /// Beside frozen weights: the targets that there are, without the gaps.
    pub(crate) targets: Vec<u32>,
    pub(crate) work: Work,
    /// Absent when only the forward pass is wanted.
    pub(crate) scratch: Option<Scratch>,
    /// As [`Architecture::ropes`] has them.
    pub(crate) ropes: Vec<RopeTable>,
    /// The first positions that those of the batch see through each window
    /// that a layer has, (N).
    pub(crate) windows: Vec<(usize, Vec<u32>)>,
    capacity: usize,
}

/// The head goes over the batch in pieces of about this many logits, 8 MiB of
/// them, which stay in the cache between the three products that use them.
const HEAD_LOGITS: usize = 1 << 21;

/// But of so many rows, for fewer do not pay for the packing of the head.
const HEAD_ROWS: usize = 256;
/// Where the head is frozen there is memory to spare, and it is packed less
/// often: 4 % of a step of 512 tokens of SmolLM2-135M in bfloat16.
const HEAD_ROWS_FROZEN: usize = 512;
/// And of no more logits than this, 256 MiB of them, where the vocabulary is as
/// large as that of Gemma.
const HEAD_LOGITS_FROZEN: usize = 1 << 26;

impl Activations {
    /// Memory for training on batches of up to `rows` x `tokens_per_row`.
    pub fn new(a: &Architecture, rows: usize, tokens_per_row: usize, precision: Precision, keep: Keep) -> Self {
        Self::take(a, Sizes::of(a), rows, tokens_per_row, precision).for_training(a, keep)
    }

    /// The same where adapters are trained beside frozen weights.
    pub fn adapted(
        a: &Architecture,
        lora: &Lora,
        rows: usize,
        tokens_per_row: usize,
        precision: Precision,
        keep: Keep,
    ) -> Self {
        Self::take(a, Sizes::adapted(a, lora), rows, tokens_per_row, precision).for_training(a, keep)
    }

    fn for_training(mut self, a: &Architecture, keep: Keep) -> Self {
        self.keep = keep;
        self.room = match own_room(a, &self.sizes, self.capacity, keep) {
            0 if self.sizes.rank == 0 => Room::Gradients,
            values => Room::Own(zeros(values)),
        };
        self.scratch = Some(Scratch::default());
        self.resize(self.capacity);
        self
    }

    /// Memory for [`crate::loss`] and [`crate::logits`] alone, in f32: a small
    /// part of what training takes.
    pub fn forward_only(a: &Architecture, rows: usize, tokens_per_row: usize) -> Self {
        let mut activations = Self::take(a, Sizes::of(a), rows, tokens_per_row, Precision::F32);
        activations.resize(activations.capacity);
        activations
    }

    /// The same for frozen weights with adapters.
    pub fn adapted_forward_only(a: &Architecture, lora: &Lora, rows: usize, tokens_per_row: usize) -> Self {
        let mut activations = Self::take(a, Sizes::adapted(a, lora), rows, tokens_per_row, Precision::F32);
        activations.resize(activations.capacity);
        activations
    }

    /// The same memory for products of another precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    fn take(a: &Architecture, sizes: Sizes, rows: usize, tokens_per_row: usize, precision: Precision) -> Self {
        let capacity = rows * tokens_per_row;
        let head_rows = head_rows(&sizes, capacity);
        let table = |rope: &Rope| RopeTable::of(&rope.inverse_frequencies(a.head_dim), tokens_per_row);
        Self {
            sizes,
            precision,
            keep: Keep::Everything,
            room: Room::None,
            block: Vec::new(),
            first_x: Vec::new(),
            x: Vec::new(),
            inv_rms: Vec::new(),
            x_norm: Vec::new(),
            logits: zeros(head_rows * sizes.v),
            token_logits: zeros(head_rows * sizes.tokens),
            head_rows,
            targets: Vec::with_capacity(if sizes.rank == 0 { 0 } else { capacity }),
            work: Work::default(),
            scratch: None,
            ropes: a.ropes.iter().map(table).collect(),
            windows: windows(a).into_iter().map(|window| (window, Vec::with_capacity(capacity))).collect(),
            capacity,
        }
    }

    /// The bytes that [`Activations::new`] takes.
    pub fn bytes(a: &Architecture, rows: usize, tokens_per_row: usize, keep: Keep) -> u64 {
        Self::bytes_of(a, &Sizes::of(a), rows, tokens_per_row, keep)
    }

    /// The bytes that [`Activations::adapted`] takes.
    pub fn adapted_bytes(a: &Architecture, lora: &Lora, rows: usize, tokens_per_row: usize, keep: Keep) -> u64 {
        Self::bytes_of(a, &Sizes::adapted(a, lora), rows, tokens_per_row, keep)
    }

    fn bytes_of(a: &Architecture, sizes: &Sizes, rows: usize, tokens_per_row: usize, keep: Keep) -> u64 {
        let n = rows * tokens_per_row;
        let values = |buffers: &[(&mut Vec<f32>, usize)]| buffers.iter().map(|(_, values)| *values).sum::<usize>();
        let buffers = values(&Work::default().buffers(sizes, n)) + values(&Scratch::default().buffers(sizes, n));
        let per_position = Layer::width(sizes) + 3 * sizes.c + 1 + usize::from(sizes.rank > 0) + windows(a).len();
        let (room, logits) = (own_room(a, sizes, n, keep), head_rows(sizes, n) * (sizes.v + sizes.tokens));
        let ropes = a.ropes.len() * tokens_per_row * a.head_dim;
        4 * (n * per_position + buffers + room + logits + ropes) as u64
    }

    /// Makes every buffer as long as the batch needs. Takes memory only the
    /// first time.
    fn resize(&mut self, n: usize) {
        let sizes = &self.sizes;
        let work = self.work.buffers(sizes, n).into_iter();
        let scratch = self.scratch.iter_mut().flat_map(|scratch| scratch.buffers(sizes, n));
        let ends = [
            (&mut self.block, n * Layer::width(sizes)),
            (&mut self.first_x, n * sizes.c),
            (&mut self.x, n * sizes.c),
            (&mut self.inv_rms, n),
            (&mut self.x_norm, n * sizes.c),
        ];
        for (buffer, values) in work.chain(scratch).chain(ends) {
            if buffer.is_empty() {
                *buffer = zeros(values);
            }
            buffer.resize(values, 0.0);
        }
    }

    /// Values of the block that a layer after the first leaves: its input,
    /// and what else is kept.
    pub(crate) fn left(&self, n: usize) -> usize {
        left(&self.sizes, n, self.keep)
    }

    /// Checks the batch against the model's sizes and the memory taken, and
    /// fits the buffers to it.
    pub(crate) fn fit(&mut self, network: Network<'_>, batch: &Batch<'_>) -> AttentionShape {
        let (a, n) = (network.architecture(), batch.rows * batch.tokens_per_row);
        let sizes = match network {
            Network::Whole(_) => Sizes::of(a),
            Network::Adapted(_, adapters) => Sizes::adapted(a, adapters.lora()),
        };
        assert!(sizes == self.sizes && n > 0, "activations of another model, or an empty batch");
        assert!(
            n <= self.capacity && batch.tokens_per_row <= self.ropes[0].positions(),
            "activations: a batch of {} x {} where {} positions fit",
            batch.rows,
            batch.tokens_per_row,
            self.capacity
        );
        for (name, values) in [
            ("tokens", batch.tokens),
            ("targets", batch.targets),
            ("starts", batch.starts),
            ("positions", batch.positions),
        ] {
            assert_eq!(values.len(), n, "batch: the number of {name}");
        }
        self.resize(n);
        for (window, starts) in &mut self.windows {
            let place = |i: usize| (i % batch.tokens_per_row + 1).saturating_sub(*window) as u32;
            starts.clear();
            starts.extend(batch.starts.iter().enumerate().map(|(i, start)| place(i).max(*start)));
        }
        let shape = AttentionShape::new(batch.rows, batch.tokens_per_row, a.heads, a.kv_heads, a.head_dim);
        // The usual scale is rounded otherwise here than where a model answers.
        let usual = a.attention_scale == inverse_root(a.head_dim as f64);
        let scale = if usual { shape.scale } else { a.attention_scale };
        AttentionShape { scale, softcap: a.attention_softcap, ..shape }
    }
}

/// The windows that layers have.
fn windows(a: &Architecture) -> Vec<usize> {
    let mut windows: Vec<usize> = a.layers.iter().filter_map(|layer| layer.window).collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

fn head_rows(sizes: &Sizes, positions: usize) -> usize {
    let rows = match sizes.rank {
        0 => HEAD_ROWS,
        _ => (HEAD_LOGITS_FROZEN / sizes.v / 2 * 2).clamp(HEAD_ROWS / 2, HEAD_ROWS_FROZEN),
    };
    // Even, so that a piece ends where a pair of bfloat16 numbers does.
    (HEAD_LOGITS / sizes.v / 2 * 2).max(rows).min(positions)
}

fn left(sizes: &Sizes, n: usize, keep: Keep) -> usize {
    n * (sizes.c + if keep == Keep::Everything { Layer::width(sizes) } else { 0 })
}

/// Values of memory that the layers after the first need for what they leave:
/// none where it fits the gradients.
fn own_room(a: &Architecture, sizes: &Sizes, n: usize, keep: Keep) -> usize {
    let left = left(sizes, n, keep);
    let fits = sizes.rank == 0 && left as u64 <= a.layer_parameters();
    if fits { 0 } else { (a.layers.len() - 1) * left }
}
