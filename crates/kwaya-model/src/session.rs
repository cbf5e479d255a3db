//! Generation: one text at a time through the model, with the keys and values
//! of every position kept, so that a new token costs one pass over the weights.

use std::ops::Range;

use kwaya_base::{Error, Result};
use kwaya_math::{
    AttentionShape, Direction, Matrix, Pool, Precision, RopeTable, Start, attention_decode, embedding, matmul,
    rms_norm, rope, swiglu,
};

use crate::{activations::Sizes, model::Model};

/// Long prompts are read in pieces of this many tokens, which bounds the
/// working memory.
const PIECE: usize = 128;

/// A text being read and written by a model. The logits have the bits that
/// [`crate::logits`] gives.
pub struct Session<'m> {
    model: &'m Model,
    pool: &'m Pool,
    /// Every matrix as (in, out), at the place of its (out, in) original: a
    /// single row then streams through the weights in order.
    transposed: Vec<f32>,
    cache: Vec<Cache>,
    rope: RopeTable,
    position: usize,
    /// Positions that `cache` and `rope` have room for; grows with the text,
    /// since a model may claim to read far longer texts than it is given.
    room: usize,
    max_positions: usize,
    buffers: Buffers,
}

/// One layer's keys and values, (room, K) each.
#[derive(Clone, Default)]
struct Cache {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Room for one piece.
struct Buffers {
    positions: Vec<u32>, // (P)
    x: Vec<f32>,         // (P, C)
    norm: Vec<f32>,      // (P, C)
    inv_rms: Vec<f32>,   // (P)
    query: Vec<f32>,     // (P, Q)
    attended: Vec<f32>,  // (P, Q)
    gate: Vec<f32>,      // (P, F)
    up: Vec<f32>,        // (P, F)
    activated: Vec<f32>, // (P, F)
    logits: Vec<f32>,    // (V)
}

impl<'m> Session<'m> {
    /// A session for a text of up to `max_positions` tokens. Takes as much
    /// memory as the model, plus the cache, which grows with the text.
    pub fn new(model: &'m Model, pool: &'m Pool, max_positions: usize) -> Self {
        let Sizes { c, q, f, v, .. } = Sizes::of(&model.config);
        let piece = PIECE.min(max_positions);
        let buffer = |width: usize| vec![0.0; piece * width];
        Self {
            model,
            pool,
            transposed: transpose(model),
            cache: vec![Cache::default(); model.config.num_hidden_layers],
            rope: RopeTable::new(model.config.rope_theta, model.config.head_dim, 0),
            position: 0,
            room: 0,
            max_positions,
            buffers: Buffers {
                positions: vec![0; piece],
                x: buffer(c),
                norm: buffer(c),
                inv_rms: buffer(1),
                query: buffer(q),
                attended: buffer(q),
                gate: buffer(f),
                up: buffer(f),
                activated: buffer(f),
                logits: vec![0.0; v],
            },
        }
    }

    /// Reads `tokens` after those read before and returns the logits (V) for
    /// the token that comes next.
    ///
    /// # Errors
    /// `session-full` when the text would be longer than the session;
    /// `session-token` for a token outside the vocabulary; `session-empty`
    /// for no tokens. The session is then as it was.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<&[f32]> {
        let left = self.max_positions - self.position;
        if tokens.is_empty() {
            return Err(Error::new("session-empty"));
        }
        if tokens.len() > left {
            return Err(Error::new("session-full").arg("tokens", tokens.len()).arg("left", left));
        }
        let vocabulary = self.model.config.vocab_size;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(Error::new("session-token").arg("token", token).arg("vocabulary", vocabulary));
        }
        self.make_room(self.position + tokens.len());
        for piece in tokens.chunks(PIECE) {
            self.read(piece);
        }
        let last = (tokens.len() - 1) % PIECE;
        Ok(self.head(last))
    }

    /// Forgets all but the first `positions` tokens.
    pub fn truncate(&mut self, positions: usize) {
        self.position = self.position.min(positions);
    }

    /// How many tokens have been read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Doubles the room until `positions` fit.
    fn make_room(&mut self, positions: usize) {
        if positions <= self.room {
            return;
        }
        let config = &self.model.config;
        self.room = positions.next_power_of_two().max(PIECE).min(self.max_positions);
        self.rope = RopeTable::new(config.rope_theta, config.head_dim, self.room);
        for Cache { keys, values } in &mut self.cache {
            keys.resize(self.room * config.key_value_size(), 0.0);
            values.resize(self.room * config.key_value_size(), 0.0);
        }
    }

    /// One piece through all layers: `forward.rs` over cached keys and values.
    fn read(&mut self, tokens: &[u32]) {
        let Sizes { c, q, k, f, heads, .. } = Sizes::of(&self.model.config);
        let (weights, layout, n) = (self.model.weights(), self.model.layout(), tokens.len());
        let (pool, epsilon, kv_heads) =
            (self.pool, self.model.config.rms_norm_eps as f32, self.model.config.num_key_value_heads);
        let b = &mut self.buffers;
        let (x, norm, inv_rms) = (&mut b.x[..n * c], &mut b.norm[..n * c], &mut b.inv_rms[..n]);
        let (query, attended) = (&mut b.query[..n * q], &mut b.attended[..n * q]);
        let (gate, up, activated) = (&mut b.gate[..n * f], &mut b.up[..n * f], &mut b.activated[..n * f]);
        let positions = &mut b.positions[..n];
        for (place, position) in positions.iter_mut().zip(self.position as u32..) {
            *place = position;
        }
        let kept = self.position * k..(self.position + n) * k;
        let (transposed, rope_table, first) = (&self.transposed, &self.rope, self.position);
        let matrix = |range: &Range<usize>, rows| Matrix::new(&transposed[range.clone()], rows, range.len() / rows);

        embedding(pool, x, &weights[layout.embedding.clone()], tokens);
        for (r, cache) in layout.layers.iter().zip(&mut self.cache) {
            rms_norm(pool, norm, inv_rms, x, &weights[r.input_norm.clone()], epsilon);
            let normed = Matrix::new(norm, n, c);
            let keys = &mut cache.keys[kept.clone()];
            matmul(pool, query, Start::Zero, normed, matrix(&r.query, c), Precision::F32);
            matmul(pool, keys, Start::Zero, normed, matrix(&r.key, c), Precision::F32);
            matmul(pool, &mut cache.values[kept.clone()], Start::Zero, normed, matrix(&r.value, c), Precision::F32);
            rope(pool, query, heads, rope_table, positions, Direction::Forward);
            rope(pool, keys, kv_heads, rope_table, positions, Direction::Forward);
            for (i, (query, out)) in query.chunks(q).zip(attended.chunks_mut(q)).enumerate() {
                let seen = first + i + 1;
                let shape =
                    AttentionShape { batch: 1, tokens: seen, heads, kv_heads, head_dim: self.model.config.head_dim };
                attention_decode(pool, out, query, &cache.keys[..seen * k], &cache.values[..seen * k], seen, &shape);
            }
            matmul(pool, x, Start::Keep, Matrix::new(attended, n, q), matrix(&r.output, q), Precision::F32);
            rms_norm(pool, norm, inv_rms, x, &weights[r.post_attention_norm.clone()], epsilon);
            let normed = Matrix::new(norm, n, c);
            matmul(pool, gate, Start::Zero, normed, matrix(&r.gate, c), Precision::F32);
            matmul(pool, up, Start::Zero, normed, matrix(&r.up, c), Precision::F32);
            swiglu(pool, activated, gate, up);
            matmul(pool, x, Start::Keep, Matrix::new(activated, n, f), matrix(&r.down, f), Precision::F32);
        }
        self.position += n;
    }

    /// The logits after row `row` of the last piece.
    fn head(&mut self, row: usize) -> &[f32] {
        let c = self.model.config.hidden_size;
        let (layout, config) = (self.model.layout(), &self.model.config);
        let b = &mut self.buffers;
        let norm = &self.model.weights()[layout.norm.clone()];
        let (x, normed) = (&b.x[row * c..][..c], &mut b.norm[..c]);
        rms_norm(self.pool, normed, &mut b.inv_rms[..1], x, norm, config.rms_norm_eps as f32);
        let head = Matrix::new(&self.transposed[layout.head.clone()], c, config.vocab_size);
        matmul(self.pool, &mut b.logits, Start::Zero, Matrix::new(normed, 1, c), head, Precision::F32);
        &b.logits
    }
}

/// A copy of the weights in which every matrix is turned round.
fn transpose(model: &Model) -> Vec<f32> {
    /// Small enough that a block's rows and columns stay in the first cache.
    const BLOCK: usize = 32;
    let mut transposed = vec![0.0; model.weights().len()];
    for tensor in model.tensors() {
        let &[rows, columns] = &tensor.shape[..] else { continue };
        let (from, to) = (&model.weights()[tensor.range.clone()], &mut transposed[tensor.range.clone()]);
        for (row, column) in (0..rows).step_by(BLOCK).flat_map(|r| (0..columns).step_by(BLOCK).map(move |c| (r, c))) {
            for r in row..(row + BLOCK).min(rows) {
                for c in column..(column + BLOCK).min(columns) {
                    to[c * rows + r] = from[r * columns + c];
                }
            }
        }
    }
    transposed
}
