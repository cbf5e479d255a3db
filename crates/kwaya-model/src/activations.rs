//! What goes in, a [`Batch`], and everything the forward pass leaves for the
//! backward pass, [`Activations`]: taken once, so that a step takes no memory.

use kwaya_math::{AttentionShape, RopeTable};

use crate::config::Config;

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
#[derive(Clone, Copy, Default)]
pub(crate) struct Sizes {
    pub(crate) c: usize,
    pub(crate) q: usize,
    pub(crate) k: usize,
    pub(crate) f: usize,
    pub(crate) v: usize,
    pub(crate) heads: usize,
}

impl Sizes {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            c: config.hidden_size,
            q: config.query_size(),
            k: config.key_value_size(),
            f: config.intermediate_size,
            v: config.vocab_size,
            heads: config.num_attention_heads,
        }
    }
}

/// One layer's values, in the order in which they come about.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) x: Vec<f32>,           // (N, C) what the layer reads
    pub(crate) x_inv_rms: Vec<f32>,   // (N)
    pub(crate) x_norm: Vec<f32>,      // (N, C)
    pub(crate) query: Vec<f32>,       // (N, Q) after rope
    pub(crate) key: Vec<f32>,         // (N, K) after rope
    pub(crate) value: Vec<f32>,       // (N, K)
    pub(crate) softmax_max: Vec<f32>, // (B, heads, T)
    pub(crate) softmax_sum: Vec<f32>, // (B, heads, T)
    pub(crate) attended: Vec<f32>,    // (N, Q)
    pub(crate) h: Vec<f32>,           // (N, C) x + attention
    pub(crate) h_inv_rms: Vec<f32>,   // (N)
    pub(crate) h_norm: Vec<f32>,      // (N, C)
    pub(crate) gate: Vec<f32>,        // (N, F)
    pub(crate) up: Vec<f32>,          // (N, F)
    pub(crate) activated: Vec<f32>,   // (N, F) silu(gate) * up
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
    pub(crate) d_activated: Vec<f32>, // (N, F)
    pub(crate) d_gate: Vec<f32>,      // (N, F)
    pub(crate) d_up: Vec<f32>,        // (N, F)
}

impl Layer {
    fn buffers(&mut self, s: &Sizes) -> [(&mut Vec<f32>, usize); 15] {
        [
            (&mut self.x, s.c),
            (&mut self.x_inv_rms, 1),
            (&mut self.x_norm, s.c),
            (&mut self.query, s.q),
            (&mut self.key, s.k),
            (&mut self.value, s.k),
            (&mut self.softmax_max, s.heads),
            (&mut self.softmax_sum, s.heads),
            (&mut self.attended, s.q),
            (&mut self.h, s.c),
            (&mut self.h_inv_rms, 1),
            (&mut self.h_norm, s.c),
            (&mut self.gate, s.f),
            (&mut self.up, s.f),
            (&mut self.activated, s.f),
        ]
    }
}

impl Scratch {
    fn buffers(&mut self, s: &Sizes) -> [(&mut Vec<f32>, usize); 10] {
        [
            (&mut self.d_x, s.c),
            (&mut self.d_norm, s.c),
            (&mut self.d_branch, s.c),
            (&mut self.d_query, s.q),
            (&mut self.d_key, s.k),
            (&mut self.d_value, s.k),
            (&mut self.d_attended, s.q),
            (&mut self.d_activated, s.f),
            (&mut self.d_gate, s.f),
            (&mut self.d_up, s.f),
        ]
    }
}

/// Memory for one batch at a time.
pub struct Activations {
    pub(crate) sizes: Sizes,
    /// As many as the model has, or a single one that all layers share.
    pub(crate) layers: Vec<Layer>,
    pub(crate) x: Vec<f32>,       // (N, C) the residual stream where it is now
    pub(crate) inv_rms: Vec<f32>, // (N)
    pub(crate) x_norm: Vec<f32>,  // (N, C) what the head reads
    pub(crate) logits: Vec<f32>,  // (head_rows, V) at a time
    pub(crate) head_rows: usize,
    /// Absent when only the forward pass is wanted.
    pub(crate) scratch: Option<Scratch>,
    pub(crate) rope: RopeTable,
    capacity: usize,
}

/// The head goes over the batch in pieces of about this many logits, 8 MiB of
/// them, which stay in the cache between the three products that use them.
const HEAD_LOGITS: usize = 1 << 21;

impl Activations {
    /// Memory for training on batches of up to `rows` x `tokens_per_row`.
    pub fn new(config: &Config, rows: usize, tokens_per_row: usize) -> Self {
        Self::take(config, rows, tokens_per_row, config.num_hidden_layers, true)
    }

    /// Memory for [`crate::loss`] and [`crate::logits`] alone: a small part of
    /// what training takes.
    pub fn forward_only(config: &Config, rows: usize, tokens_per_row: usize) -> Self {
        Self::take(config, rows, tokens_per_row, 1, false)
    }

    fn take(config: &Config, rows: usize, tokens_per_row: usize, layers: usize, backward: bool) -> Self {
        let (sizes, capacity) = (Sizes::of(config), rows * tokens_per_row);
        let head_rows = head_rows(&sizes, capacity);
        let mut activations = Self {
            sizes,
            layers: (0..layers).map(|_| Layer::default()).collect(),
            x: Vec::new(),
            inv_rms: Vec::new(),
            x_norm: Vec::new(),
            logits: vec![0.0; head_rows * sizes.v],
            head_rows,
            scratch: backward.then(Scratch::default),
            rope: RopeTable::new(config.rope_theta, config.head_dim, tokens_per_row),
            capacity,
        };
        activations.resize(capacity);
        activations
    }

    /// The bytes that [`Activations::new`] takes.
    pub fn bytes(config: &Config, rows: usize, tokens_per_row: usize) -> u64 {
        let (sizes, n) = (Sizes::of(config), rows * tokens_per_row);
        let width = |buffers: &[(&mut Vec<f32>, usize)]| buffers.iter().map(|(_, width)| *width as u64).sum::<u64>();
        let per_position = config.num_hidden_layers as u64 * width(&Layer::default().buffers(&sizes))
            + width(&Scratch::default().buffers(&sizes))
            + 2 * sizes.c as u64
            + 1;
        let logits = (head_rows(&sizes, n) * sizes.v) as u64;
        let rope = (tokens_per_row * config.head_dim) as u64;
        4 * (n as u64 * per_position + logits + rope)
    }

    /// Makes every buffer as long as the batch needs. Takes memory only the
    /// first time.
    fn resize(&mut self, n: usize) {
        let sizes = &self.sizes;
        let layers = self.layers.iter_mut().flat_map(|layer| layer.buffers(sizes));
        let scratch = self.scratch.iter_mut().flat_map(|scratch| scratch.buffers(sizes));
        let ends = [(&mut self.x, sizes.c), (&mut self.inv_rms, 1), (&mut self.x_norm, sizes.c)];
        for (buffer, width) in layers.chain(scratch).chain(ends) {
            buffer.resize(n * width, 0.0);
        }
    }

    /// Checks the batch against the model's sizes and the memory taken, and
    /// fits the buffers to it.
    pub(crate) fn fit(&mut self, config: &Config, batch: &Batch<'_>) -> AttentionShape {
        let n = batch.rows * batch.tokens_per_row;
        assert!(Sizes::of(config).c == self.sizes.c && n > 0, "activations of another model, or an empty batch");
        assert!(
            n <= self.capacity && batch.tokens_per_row <= self.rope.positions(),
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
        AttentionShape {
            batch: batch.rows,
            tokens: batch.tokens_per_row,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        }
    }
}

fn head_rows(sizes: &Sizes, positions: usize) -> usize {
    (HEAD_LOGITS / sizes.v).max(128).min(positions)
}
