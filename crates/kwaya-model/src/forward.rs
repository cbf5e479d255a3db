//! The forward pass, top to bottom in the order of the Llama paper. Its mirror
//! image is `backward.rs`.

use std::mem;

use kwaya_math::{
    AttentionShape, Direction, Matrix, Pool, RopeTable, Start, attention, cross_entropy_loss, embedding, matmul,
    rms_norm, rope, swiglu,
};

use crate::{
    activations::{Activations, Batch, Layer, Sizes},
    model::{LayerRanges, Model},
};

/// The loss at every position, in nats: -ln of the probability that the model
/// gives to the target; 0 where the target is ignored. `losses` is (N).
pub fn loss(model: &Model, batch: &Batch<'_>, activations: &mut Activations, losses: &mut [f32], pool: &Pool) {
    forward(model, batch, activations, pool);
    let Activations { x_norm, logits, head_rows, sizes: Sizes { c, v, .. }, .. } = activations;
    let head = Matrix::new(&model.weights()[model.layout().head.clone()], *v, *c);
    let targets = batch.targets.chunks(*head_rows);
    for ((x, targets), losses) in x_norm.chunks(*head_rows * *c).zip(targets).zip(losses.chunks_mut(*head_rows)) {
        let logits = &mut logits[..targets.len() * *v];
        matmul(pool, logits, Start::Zero, Matrix::new(x, targets.len(), *c), head.t());
        cross_entropy_loss(pool, logits, losses, targets, *v);
    }
}

/// The logits at every position: `out` is (N, V). For tests and small inputs.
pub fn logits(model: &Model, batch: &Batch<'_>, activations: &mut Activations, out: &mut [f32], pool: &Pool) {
    forward(model, batch, activations, pool);
    let Sizes { c, v, .. } = activations.sizes;
    let head = Matrix::new(&model.weights()[model.layout().head.clone()], v, c);
    matmul(pool, out, Start::Zero, Matrix::new(&activations.x_norm, batch.tokens.len(), c), head.t());
}

/// Everything but the head: leaves the normed stream in `activations.x_norm`.
pub(crate) fn forward(model: &Model, batch: &Batch<'_>, activations: &mut Activations, pool: &Pool) {
    let shape = activations.fit(&model.config, batch);
    let (weights, layout) = (model.weights(), model.layout());
    let Activations { layers, x, inv_rms, x_norm, rope: table, sizes, .. } = activations;
    let epsilon = model.config.rms_norm_eps as f32;

    embedding(pool, x, &weights[layout.embedding.clone()], batch.tokens);
    for (index, ranges) in layout.layers.iter().enumerate() {
        let count = layers.len();
        let layer = &mut layers[index % count];
        // The stream becomes the layer's input, and the layer's old buffer is
        // where it puts its output: nothing is copied.
        mem::swap(x, &mut layer.x);
        let block = Block { weights, ranges, sizes, shape: &shape, table, epsilon, pool };
        block.attention(layer, batch);
        block.feed_forward(layer, x);
    }
    rms_norm(pool, x_norm, inv_rms, x, &weights[layout.norm.clone()], epsilon);
}

/// One transformer layer.
struct Block<'a> {
    weights: &'a [f32],
    ranges: &'a LayerRanges,
    sizes: &'a Sizes,
    shape: &'a AttentionShape,
    table: &'a RopeTable,
    epsilon: f32,
    pool: &'a Pool,
}

impl Block<'_> {
    /// h = x + Wo attention(rope(Wq norm(x)), rope(Wk norm(x)), Wv norm(x))
    fn attention(&self, layer: &mut Layer, batch: &Batch<'_>) {
        let (pool, w, r, &Sizes { c, q, k, .. }) = (self.pool, self.weights, self.ranges, self.sizes);
        let n = batch.tokens.len();
        let AttentionShape { heads, kv_heads, .. } = *self.shape;

        rms_norm(pool, &mut layer.x_norm, &mut layer.x_inv_rms, &layer.x, &w[r.input_norm.clone()], self.epsilon);
        let x_norm = Matrix::new(&layer.x_norm, n, c);
        matmul(pool, &mut layer.query, Start::Zero, x_norm, Matrix::new(&w[r.query.clone()], q, c).t());
        matmul(pool, &mut layer.key, Start::Zero, x_norm, Matrix::new(&w[r.key.clone()], k, c).t());
        matmul(pool, &mut layer.value, Start::Zero, x_norm, Matrix::new(&w[r.value.clone()], k, c).t());
        rope(pool, &mut layer.query, heads, self.table, batch.positions, Direction::Forward);
        rope(pool, &mut layer.key, kv_heads, self.table, batch.positions, Direction::Forward);
        attention(
            pool,
            &mut layer.attended,
            &mut layer.softmax_max,
            &mut layer.softmax_sum,
            &layer.query,
            &layer.key,
            &layer.value,
            batch.starts,
            self.shape,
        );
        // The product starts from the stream, which saves a pass that adds.
        layer.h.copy_from_slice(&layer.x);
        let output = Matrix::new(&w[r.output.clone()], c, q);
        matmul(pool, &mut layer.h, Start::Keep, Matrix::new(&layer.attended, n, q), output.t());
    }

    /// out = h + Wdown (silu(Wgate norm(h)) * (Wup norm(h)))
    fn feed_forward(&self, layer: &mut Layer, out: &mut [f32]) {
        let (pool, w, r, &Sizes { c, f, .. }) = (self.pool, self.weights, self.ranges, self.sizes);
        let n = out.len() / c;

        let norm = &w[r.post_attention_norm.clone()];
        rms_norm(pool, &mut layer.h_norm, &mut layer.h_inv_rms, &layer.h, norm, self.epsilon);
        let h_norm = Matrix::new(&layer.h_norm, n, c);
        matmul(pool, &mut layer.gate, Start::Zero, h_norm, Matrix::new(&w[r.gate.clone()], f, c).t());
        matmul(pool, &mut layer.up, Start::Zero, h_norm, Matrix::new(&w[r.up.clone()], f, c).t());
        swiglu(pool, &mut layer.activated, &layer.gate, &layer.up);
        out.copy_from_slice(&layer.h);
        let down = Matrix::new(&w[r.down.clone()], c, f);
        matmul(pool, out, Start::Keep, Matrix::new(&layer.activated, n, f), down.t());
    }
}
