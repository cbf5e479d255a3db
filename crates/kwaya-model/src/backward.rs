//! The backward pass: `forward.rs` read from the bottom up. The gradient of a
//! product y = x Wᵗ is dx = dy W for its input and dW = dyᵗ x for its weights.

use kwaya_math::{
    AttentionShape, Direction, Matrix, Pool, RopeTable, Start, add_assign, attention_backward, embedding_backward,
    matmul, rms_norm_backward, rope, softmax_cross_entropy, sum, swiglu_backward,
};

use crate::{
    activations::{Activations, Batch, Layer, Scratch, Sizes},
    forward::forward,
    model::{LayerRanges, Model},
};

/// Adds the gradient of `loss_scale` x (the sum of all losses) to `gradients`,
/// which is laid out like [`Model::weights`], writes the loss at each position
/// to `losses` (N), and returns their unscaled sum, in nats.
pub fn forward_backward(
    model: &Model,
    batch: &Batch<'_>,
    activations: &mut Activations,
    losses: &mut [f32],
    gradients: &mut [f32],
    loss_scale: f32,
    pool: &Pool,
) -> f32 {
    assert_eq!(gradients.len(), model.weights().len(), "forward_backward: the number of gradients");
    forward(model, batch, activations, pool);
    head_backward(model, batch, activations, losses, gradients, loss_scale, pool);

    let (weights, layout) = (model.weights(), model.layout());
    let shape = activations.fit(&model.config, batch);
    let Activations { layers, x, inv_rms, scratch, rope: table, sizes, .. } = activations;
    let scratch = scratch.as_mut().expect("activations that were made for training");
    let norm = layout.norm.clone();
    let d_weight = &mut gradients[norm.clone()];
    rms_norm_backward(pool, &mut scratch.d_x, d_weight, &scratch.d_norm, x, &weights[norm], inv_rms);
    for (layer, ranges) in layers.iter().zip(&layout.layers).rev() {
        let mut block = BlockBackward { weights, gradients, ranges, sizes, shape: &shape, table, pool };
        block.feed_forward(layer, scratch);
        block.attention(layer, scratch, batch);
    }
    embedding_backward(pool, &mut gradients[layout.embedding.clone()], &scratch.d_x, batch.tokens);
    sum(losses)
}

/// Logits, losses and the gradients of both, a piece of the batch at a time:
/// the logits of a whole batch would be the largest buffer of all. Each weight
/// gradient goes on from where the piece before left it, so the pieces' size
/// does not change a bit.
fn head_backward(
    model: &Model,
    batch: &Batch<'_>,
    activations: &mut Activations,
    losses: &mut [f32],
    gradients: &mut [f32],
    loss_scale: f32,
    pool: &Pool,
) {
    let Activations { x_norm, logits, head_rows, scratch, sizes: Sizes { c, v, .. }, .. } = activations;
    let (c, v, head_rows) = (*c, *v, *head_rows);
    let d_norm = &mut scratch.as_mut().expect("activations that were made for training").d_norm;
    let head = Matrix::new(&model.weights()[model.layout().head.clone()], v, c);
    let d_head = &mut gradients[model.layout().head.clone()];
    assert_eq!(losses.len(), batch.tokens.len(), "forward_backward: the number of losses");

    let pieces = x_norm.chunks(head_rows * c).zip(d_norm.chunks_mut(head_rows * c));
    for (((x, dx), targets), losses) in pieces.zip(batch.targets.chunks(head_rows)).zip(losses.chunks_mut(head_rows)) {
        let rows = targets.len();
        let x = Matrix::new(x, rows, c);
        let logits = &mut logits[..rows * v];
        matmul(pool, logits, Start::Zero, x, head.t());
        softmax_cross_entropy(pool, logits, losses, targets, loss_scale);
        let d_logits = Matrix::new(logits, rows, v);
        matmul(pool, dx, Start::Zero, d_logits, head);
        matmul(pool, d_head, Start::Keep, d_logits.t(), x);
    }
}

/// One transformer layer, backwards. The gradient of the residual stream is in
/// `scratch.d_x` before and after.
struct BlockBackward<'a> {
    weights: &'a [f32],
    gradients: &'a mut [f32],
    ranges: &'a LayerRanges,
    sizes: &'a Sizes,
    shape: &'a AttentionShape,
    table: &'a RopeTable,
    pool: &'a Pool,
}

impl BlockBackward<'_> {
    fn feed_forward(&mut self, layer: &Layer, s: &mut Scratch) {
        let (pool, w, r, &Sizes { c, f, .. }) = (self.pool, self.weights, self.ranges, self.sizes);
        let g = &mut *self.gradients;
        let n = s.d_x.len() / c;

        let d_out = Matrix::new(&s.d_x, n, c);
        matmul(pool, &mut s.d_activated, Start::Zero, d_out, Matrix::new(&w[r.down.clone()], c, f));
        matmul(pool, &mut g[r.down.clone()], Start::Keep, d_out.t(), Matrix::new(&layer.activated, n, f));
        swiglu_backward(pool, &mut s.d_gate, &mut s.d_up, &s.d_activated, &layer.gate, &layer.up);
        let (d_gate, d_up) = (Matrix::new(&s.d_gate, n, f), Matrix::new(&s.d_up, n, f));
        matmul(pool, &mut s.d_norm, Start::Zero, d_gate, Matrix::new(&w[r.gate.clone()], f, c));
        matmul(pool, &mut s.d_norm, Start::Keep, d_up, Matrix::new(&w[r.up.clone()], f, c));
        let h_norm = Matrix::new(&layer.h_norm, n, c);
        matmul(pool, &mut g[r.gate.clone()], Start::Keep, d_gate.t(), h_norm);
        matmul(pool, &mut g[r.up.clone()], Start::Keep, d_up.t(), h_norm);
        let (norm, d_weight) = (&w[r.post_attention_norm.clone()], &mut g[r.post_attention_norm.clone()]);
        rms_norm_backward(pool, &mut s.d_branch, d_weight, &s.d_norm, &layer.h, norm, &layer.h_inv_rms);
        add_assign(pool, &mut s.d_x, &s.d_branch);
    }

    fn attention(&mut self, layer: &Layer, s: &mut Scratch, batch: &Batch<'_>) {
        let (pool, w, r, &Sizes { c, q, k, .. }) = (self.pool, self.weights, self.ranges, self.sizes);
        let g = &mut *self.gradients;
        let n = batch.tokens.len();
        let AttentionShape { heads, kv_heads, .. } = *self.shape;

        let d_h = Matrix::new(&s.d_x, n, c);
        matmul(pool, &mut s.d_attended, Start::Zero, d_h, Matrix::new(&w[r.output.clone()], c, q));
        matmul(pool, &mut g[r.output.clone()], Start::Keep, d_h.t(), Matrix::new(&layer.attended, n, q));
        attention_backward(
            pool,
            &mut s.d_query,
            &mut s.d_key,
            &mut s.d_value,
            &s.d_attended,
            &layer.query,
            &layer.key,
            &layer.value,
            &layer.attended,
            &layer.softmax_max,
            &layer.softmax_sum,
            batch.starts,
            self.shape,
        );
        rope(pool, &mut s.d_query, heads, self.table, batch.positions, Direction::Backward);
        rope(pool, &mut s.d_key, kv_heads, self.table, batch.positions, Direction::Backward);
        let x_norm = Matrix::new(&layer.x_norm, n, c);
        for (index, (range, width, d)) in
            [(&r.query, q, &s.d_query), (&r.key, k, &s.d_key), (&r.value, k, &s.d_value)].into_iter().enumerate()
        {
            let start = if index == 0 { Start::Zero } else { Start::Keep };
            let d = Matrix::new(d, n, width);
            matmul(pool, &mut s.d_norm, start, d, Matrix::new(&w[range.clone()], width, c));
            matmul(pool, &mut g[range.clone()], Start::Keep, d.t(), x_norm);
        }
        let (norm, d_weight) = (&w[r.input_norm.clone()], &mut g[r.input_norm.clone()]);
        rms_norm_backward(pool, &mut s.d_branch, d_weight, &s.d_norm, &layer.x, norm, &layer.x_inv_rms);
        add_assign(pool, &mut s.d_x, &s.d_branch);
    }
}
