//! The forward pass, top to bottom in the order of the Llama paper. Its mirror
//! image is `backward.rs`.

use std::{mem, ops::Range};

use kwaya_math::{
    AttentionShape, Direction, Matrix, Pool, Precision, RopeTable, Start, attention, cross_entropy_loss, embedding,
    matmul, rms_norm, rope, swiglu,
};

use crate::{
    activations::{Activations, Batch, Keep, Layer, PIECE, Room, Sizes, Work},
    model::{LayerRanges, Model},
};

/// The loss at every position, in nats: -ln of the probability that the model
/// gives to the target; 0 where the target is ignored. `losses` is (N).
pub fn loss(model: &Model, batch: &Batch<'_>, activations: &mut Activations, losses: &mut [f32], pool: &Pool) {
    forward(model, batch, activations, None, pool);
    let Activations { x_norm, logits, head_rows, precision, sizes: Sizes { c, v, .. }, .. } = activations;
    let head = Matrix::new(&model.weights()[model.layout().head.clone()], *v, *c);
    let targets = batch.targets.chunks(*head_rows);
    for ((x, targets), losses) in x_norm.chunks(*head_rows * *c).zip(targets).zip(losses.chunks_mut(*head_rows)) {
        let logits = &mut logits[..targets.len() * *v];
        matmul(pool, logits, Start::Zero, Matrix::new(x, targets.len(), *c), head.t(), *precision);
        cross_entropy_loss(pool, logits, losses, targets, *v);
    }
}

/// The logits at every position: `out` is (N, V). For tests and small inputs.
pub fn logits(model: &Model, batch: &Batch<'_>, activations: &mut Activations, out: &mut [f32], pool: &Pool) {
    forward(model, batch, activations, None, pool);
    let Sizes { c, v, .. } = activations.sizes;
    let head = Matrix::new(&model.weights()[model.layout().head.clone()], v, c);
    let x = Matrix::new(&activations.x_norm, batch.tokens.len(), c);
    matmul(pool, out, Start::Zero, x, head.t(), activations.precision);
}

/// Everything but the head: leaves the normed stream in `activations.x_norm`,
/// and where there are `gradients`, in which nothing is lost, what the
/// backward pass reads.
pub(crate) fn forward(
    model: &Model,
    batch: &Batch<'_>,
    activations: &mut Activations,
    gradients: Option<&mut [f32]>,
    pool: &Pool,
) -> AttentionShape {
    let shape = activations.fit(&model.config, batch);
    let (n, left) = (batch.tokens.len(), activations.left(batch.tokens.len()));
    let (weights, layout) = (model.weights(), model.layout());
    let Activations { keep, room, block, first_x, x, inv_rms, x_norm, work, rope: table, sizes, precision, .. } =
        activations;
    let epsilon = model.config.rms_norm_eps as f32;
    // The blocks of the layers after the first, and how far apart they begin.
    let blocks = match (room, gradients) {
        (_, None) | (Room::None, _) => None,
        (Room::Own(own), _) => Some((&mut own[..], left)),
        (Room::Gradients, Some(gradients)) => Some((&mut gradients[layout.layers_start()..], layout.layer_length())),
    };

    embedding(pool, first_x, &weights[layout.embedding.clone()], batch.tokens);
    let block_of =
        |ranges| Block { weights, ranges, sizes, shape: &shape, table, epsilon, precision: *precision, pool };
    if let Some((mut rest, step)) = blocks {
        let mut input: &mut [f32] = first_x;
        let mut values: &mut [f32] = block;
        let mut ranges = layout.layers.iter().peekable();
        while let Some(layer) = ranges.next() {
            let here = block_of(layer);
            let mut left = Layer::within(values, n, sizes);
            here.attention(input, &mut left, work, batch);
            if ranges.peek().is_none() {
                here.feed_forward(&mut left, work, Some(x));
                break;
            }
            // The output is where the next layer reads it: nothing is copied.
            let (next, after) = mem::take(&mut rest).split_at_mut(step);
            rest = after;
            let (next_input, next_values) = next.split_at_mut(n * sizes.c);
            here.feed_forward(&mut left, work, Some(next_input));
            input = next_input;
            if *keep == Keep::Everything {
                values = next_values;
            }
        }
    } else {
        for layer in &layout.layers {
            let here = block_of(layer);
            let mut values = Layer::within(block, n, sizes);
            here.attention(first_x, &mut values, work, batch);
            here.feed_forward(&mut values, work, Some(x));
            mem::swap(x, first_x);
        }
        mem::swap(x, first_x);
    }
    rms_norm(pool, x_norm, inv_rms, x, &weights[layout.norm.clone()], epsilon);
    shape
}

/// One transformer layer.
pub(crate) struct Block<'a> {
    pub(crate) weights: &'a [f32],
    pub(crate) ranges: &'a LayerRanges,
    pub(crate) sizes: &'a Sizes,
    pub(crate) shape: &'a AttentionShape,
    pub(crate) table: &'a RopeTable,
    pub(crate) epsilon: f32,
    pub(crate) precision: Precision,
    pub(crate) pool: &'a Pool,
}

impl Block<'_> {
    /// h = x + Wo attention(rope(Wq norm(x)), rope(Wk norm(x)), Wv norm(x))
    pub(crate) fn attention(&self, x: &[f32], layer: &mut Layer<'_>, work: &mut Work, batch: &Batch<'_>) {
        let (pool, w, r, &Sizes { c, q, k, .. }) = (self.pool, self.weights, self.ranges, self.sizes);
        let (n, precision) = (batch.tokens.len(), self.precision);
        let AttentionShape { heads, kv_heads, .. } = *self.shape;

        rms_norm(pool, &mut work.norm, layer.x_inv_rms, x, &w[r.input_norm.clone()], self.epsilon);
        let x_norm = Matrix::new(&work.norm, n, c);
        matmul(pool, layer.query, Start::Zero, x_norm, Matrix::new(&w[r.query.clone()], q, c).t(), precision);
        matmul(pool, layer.key, Start::Zero, x_norm, Matrix::new(&w[r.key.clone()], k, c).t(), precision);
        matmul(pool, layer.value, Start::Zero, x_norm, Matrix::new(&w[r.value.clone()], k, c).t(), precision);
        rope(pool, layer.query, heads, self.table, batch.positions, Direction::Forward);
        rope(pool, layer.key, kv_heads, self.table, batch.positions, Direction::Forward);
        attention(
            pool,
            layer.attended,
            layer.softmax_max,
            layer.softmax_sum,
            layer.query,
            layer.key,
            layer.value,
            batch.starts,
            self.shape,
        );
        // The product starts from the stream, which saves a pass that adds.
        let output = Matrix::new(&w[r.output.clone()], c, q);
        matmul(pool, layer.h, Start::From(x), Matrix::new(layer.attended, n, q), output.t(), precision);
    }

    /// gate = Wgate norm(h), up = Wup norm(h), and where it is wanted
    /// out = h + Wdown (silu(gate) * up): a piece of the batch at a time.
    pub(crate) fn feed_forward(&self, layer: &mut Layer<'_>, work: &mut Work, mut out: Option<&mut [f32]>) {
        let (pool, w, r, precision) = (self.pool, self.weights, self.ranges, self.precision);
        let &Sizes { c, f, .. } = self.sizes;
        let matrix = |range: &Range<usize>, rows, cols| Matrix::new(&w[range.clone()], rows, cols);

        for piece in pieces(layer.h_inv_rms.len()) {
            let n = piece.len();
            let (by_c, by_f) = (piece.start * c..piece.end * c, piece.start * f..piece.end * f);
            let (h, norm) = (&layer.h[by_c.clone()], &mut work.norm[..n * c]);
            let (gate, up) = (&mut layer.gate[by_f.clone()], &mut layer.up[by_f]);
            rms_norm(pool, norm, &mut layer.h_inv_rms[piece], h, &w[r.post_attention_norm.clone()], self.epsilon);
            let norm = Matrix::new(norm, n, c);
            matmul(pool, gate, Start::Zero, norm, matrix(&r.gate, f, c).t(), precision);
            matmul(pool, up, Start::Zero, norm, matrix(&r.up, f, c).t(), precision);
            if let Some(out) = &mut out {
                let activated = &mut work.activated[..n * f];
                swiglu(pool, activated, gate, up);
                let activated = Matrix::new(activated, n, f);
                matmul(pool, &mut out[by_c], Start::From(h), activated, matrix(&r.down, c, f).t(), precision);
            }
        }
    }
}

/// The feed-forward layers go over a batch of `n` positions in such pieces,
/// whose values stay in the cache from one product to the next.
pub(crate) fn pieces(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(PIECE).map(move |start| start..n.min(start + PIECE))
}
