//! The backward pass: `forward.rs` read from the bottom up. The gradient of a
//! product y = x Wᵗ is dx = dy W for its input and dW = dyᵗ x for its weights.

use std::ops::Range;

use kwaya_math::{
    AttentionShape, Direction, Matrix, Pool, Precision, RopeTable, Start, add_assign, attention_backward,
    embedding_backward, matmul, rms_norm_again, rms_norm_backward, rope, softmax_cross_entropy, sum, swiglu_backward,
};

use crate::{
    activations::{Activations, Batch, Keep, Layer, Room, Scratch, Sizes, Work},
    forward::{Block, forward, pieces},
    model::{LayerRanges, Model},
};

/// Writes the gradient of `loss_scale` x (the sum of all losses) to
/// `gradients`, which is laid out like [`Model::weights`] and may hold
/// anything before, writes the loss at each position to `losses` (N), and
/// returns their unscaled sum, in nats.
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
    let shape = forward(model, batch, activations, Some(gradients), pool);
    head_backward(model, batch, activations, losses, gradients, loss_scale, pool);

    let (weights, layout, config) = (model.weights(), model.layout(), &model.config);
    let (n, left) = (batch.tokens.len(), activations.left(batch.tokens.len()));
    let Activations { keep, room, block, first_x, x, inv_rms, work, scratch, rope: table, sizes, precision, .. } =
        activations;
    let scratch = scratch.as_mut().expect("activations that were made for training");
    let norm = layout.norm.clone();
    let d_weight = &mut gradients[norm.clone()];
    d_weight.fill(0.0);
    rms_norm_backward(pool, &mut scratch.d_x, d_weight, &scratch.d_norm, x, &weights[norm], inv_rms);
    let (start, length) = (layout.layers_start(), layout.layer_length());
    for (index, ranges) in layout.layers.iter().enumerate().rev() {
        // What the layer left lies below its gradient, if among gradients.
        let (below, gradients) = gradients.split_at_mut(start + index * length);
        let left_by = match (index.checked_sub(1), &mut *room) {
            (None, _) => &mut [],
            (Some(before), Room::Own(own)) => &mut own[before * left..][..left],
            (Some(before), _) => &mut below[start + before * length..][..left],
        };
        let (x, values) = if index == 0 { (&mut first_x[..], left_by) } else { left_by.split_at_mut(n * sizes.c) };
        // The first layer's values are in a block of their own. Where inputs
        // alone are kept, all layers share it, and it holds the last one's.
        let again = *keep == Keep::Inputs && (index + 1 < layout.layers.len());
        let mut layer = Layer::within(if values.is_empty() { &mut block[..] } else { values }, n, sizes);
        let forward = Block {
            weights,
            ranges,
            sizes,
            shape: &shape,
            table,
            epsilon: config.rms_norm_eps as f32,
            precision: *precision,
            pool,
        };
        if again {
            forward.attention(x, &mut layer, work, batch);
            forward.feed_forward(&mut layer, work, None);
        }
        let mut backward = BlockBackward {
            weights,
            gradients: &mut gradients[..length],
            start: start + index * length,
            ranges,
            sizes,
            shape: &shape,
            table,
            precision: *precision,
            pool,
        };
        backward.feed_forward(&layer, work, scratch);
        backward.attention(x, &layer, work, scratch, batch);
    }
    let table = &mut gradients[layout.embedding.clone()];
    if layout.head != layout.embedding {
        table.fill(0.0);
    }
    embedding_backward(pool, table, &scratch.d_x, batch.tokens);
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
    let Activations { x_norm, logits, head_rows, scratch, precision, sizes: Sizes { c, v, .. }, .. } = activations;
    let (c, v, head_rows, precision) = (*c, *v, *head_rows, *precision);
    let d_norm = &mut scratch.as_mut().expect("activations that were made for training").d_norm;
    let head = Matrix::new(&model.weights()[model.layout().head.clone()], v, c);
    let d_head = &mut gradients[model.layout().head.clone()];
    assert_eq!(losses.len(), batch.tokens.len(), "forward_backward: the number of losses");

    let pieces = x_norm.chunks(head_rows * c).zip(d_norm.chunks_mut(head_rows * c));
    let pieces = pieces.zip(batch.targets.chunks(head_rows)).zip(losses.chunks_mut(head_rows));
    for (index, (((x, dx), targets), losses)) in pieces.enumerate() {
        let rows = targets.len();
        let x = Matrix::new(x, rows, c);
        let logits = &mut logits[..rows * v];
        matmul(pool, logits, Start::Zero, x, head.t(), precision);
        softmax_cross_entropy(pool, logits, losses, targets, loss_scale);
        let d_logits = Matrix::new(logits, rows, v);
        matmul(pool, dx, Start::Zero, d_logits, head, precision);
        let start = if index == 0 { Start::Zero } else { Start::Keep };
        matmul(pool, d_head, start, d_logits.t(), x, precision);
    }
}

/// One transformer layer, backwards. The gradient of the residual stream is in
/// `scratch.d_x` before and after.
struct BlockBackward<'a> {
    weights: &'a [f32],
    /// Of this layer alone, overwritten.
    gradients: &'a mut [f32],
    /// Where they begin among all.
    start: usize,
    ranges: &'a LayerRanges,
    sizes: &'a Sizes,
    shape: &'a AttentionShape,
    table: &'a RopeTable,
    precision: Precision,
    pool: &'a Pool,
}

impl BlockBackward<'_> {
    fn gradient(&mut self, range: &Range<usize>) -> &mut [f32] {
        &mut self.gradients[range.start - self.start..range.end - self.start]
    }

    /// dx = or += dy W, dW = or += dyᵗ x
    fn product(
        &mut self,
        dx: &mut [f32],
        dx_start: Start<'_>,
        weight: &Range<usize>,
        dw_start: Start<'_>,
        dy: Matrix<'_>,
        x: Matrix<'_>,
    ) {
        let (pool, precision) = (self.pool, self.precision);
        let w = Matrix::new(&self.weights[weight.clone()], dy.cols(), x.cols());
        matmul(pool, dx, dx_start, dy, w, precision);
        matmul(pool, self.gradient(weight), dw_start, dy.t(), x, precision);
    }

    /// Adds the gradient of a branch, which is in `s.d_norm`, to the stream's,
    /// through the norm that it began with.
    fn norm(&mut self, weight: &Range<usize>, x: &[f32], inv_rms: &[f32], s: &mut Scratch) {
        let (pool, w) = (self.pool, &self.weights[weight.clone()]);
        let d_weight = self.gradient(weight);
        d_weight.fill(0.0);
        rms_norm_backward(pool, &mut s.d_branch, d_weight, &s.d_norm, x, w, inv_rms);
        add_assign(pool, &mut s.d_x, &s.d_branch);
    }

    fn feed_forward(&mut self, layer: &Layer<'_>, work: &mut Work, s: &mut Scratch) {
        let (pool, r, &Sizes { c, f, .. }, precision) = (self.pool, self.ranges, self.sizes, self.precision);

        for piece in pieces(layer.h_inv_rms.len()) {
            let (n, start) = (piece.len(), if piece.start == 0 { Start::Zero } else { Start::Keep });
            let (by_c, by_f) = (piece.start * c..piece.end * c, piece.start * f..piece.end * f);
            let (activated, norm) = (&mut work.activated[..n * f], &mut work.norm[..n * c]);
            let (d_activated, d_norm) = (&mut s.d_activated[..n * f], &mut s.d_norm[by_c.clone()]);
            let (d_gate, d_up) = (&mut s.d_gate[..n * f], &mut s.d_up[..n * f]);

            let d_out = Matrix::new(&s.d_x[by_c.clone()], n, c);
            let down = Matrix::new(&self.weights[r.down.clone()], c, f);
            matmul(pool, d_activated, Start::Zero, d_out, down, precision);
            swiglu_backward(pool, d_gate, d_up, activated, d_activated, &layer.gate[by_f.clone()], &layer.up[by_f]);
            matmul(pool, self.gradient(&r.down), start, d_out.t(), Matrix::new(activated, n, f), precision);
            let weight = &self.weights[r.post_attention_norm.clone()];
            rms_norm_again(pool, norm, &layer.h[by_c], weight, &layer.h_inv_rms[piece]);
            let (norm, d_gate, d_up) = (Matrix::new(norm, n, c), Matrix::new(d_gate, n, f), Matrix::new(d_up, n, f));
            self.product(d_norm, Start::Zero, &r.gate, start, d_gate, norm);
            self.product(d_norm, Start::Keep, &r.up, start, d_up, norm);
        }
        self.norm(&r.post_attention_norm, layer.h, layer.h_inv_rms, s);
    }

    fn attention(&mut self, x: &[f32], layer: &Layer<'_>, work: &mut Work, s: &mut Scratch, batch: &Batch<'_>) {
        let (pool, r, &Sizes { c, q, k, .. }) = (self.pool, self.ranges, self.sizes);
        let n = batch.tokens.len();
        let AttentionShape { heads, kv_heads, .. } = *self.shape;

        let attended = Matrix::new(layer.attended, n, q);
        self.product(&mut s.d_attended, Start::Zero, &r.output, Start::Zero, Matrix::new(&s.d_x, n, c), attended);
        attention_backward(
            pool,
            &mut s.d_query,
            &mut s.d_key,
            &mut s.d_value,
            &s.d_attended,
            layer.query,
            layer.key,
            layer.value,
            layer.attended,
            layer.softmax_max,
            layer.softmax_sum,
            batch.starts,
            self.shape,
        );
        rope(pool, &mut s.d_query, heads, self.table, batch.positions, Direction::Backward);
        rope(pool, &mut s.d_key, kv_heads, self.table, batch.positions, Direction::Backward);
        rms_norm_again(pool, &mut work.norm, x, &self.weights[r.input_norm.clone()], layer.x_inv_rms);
        let x_norm = Matrix::new(&work.norm, n, c);
        self.product(&mut s.d_norm, Start::Zero, &r.query, Start::Zero, Matrix::new(&s.d_query, n, q), x_norm);
        self.product(&mut s.d_norm, Start::Keep, &r.key, Start::Zero, Matrix::new(&s.d_key, n, k), x_norm);
        self.product(&mut s.d_norm, Start::Keep, &r.value, Start::Zero, Matrix::new(&s.d_value, n, k), x_norm);
        self.norm(&r.input_norm, x, layer.x_inv_rms, s);
    }
}
