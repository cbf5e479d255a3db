//! The backward pass: `forward.rs` read from the bottom up. The gradient of a
//! product y = x Wᵗ is dx = dy W for its input and dW = dyᵗ x for its weights.

use std::ops::Range;

use kwaya_math::{
    AttentionShape, Direction, IGNORED, Matrix, Pool, Precision, RopeTable, Start, add_assign, attention_backward,
    embedding_backward, matmul, matmul_two, rms_norm_again, rms_norm_backward, rope, scale, softmax_cross_entropy, sum,
    swiglu_backward,
};

use crate::{
    activations::{Activations, Batch, Beside, Keep, Layer, Room, Scratch, Sizes, Work},
    forward::{Block, forward, head as head_forward, pieces},
    lora::{Adapter, Target},
    model::LayerRanges,
    network::{LayerWeights, Network},
};

/// Writes the gradient of `loss_scale` x (the sum of all losses) to
/// `gradients`, which is laid out like [`Network::learned`] and may hold
/// anything before, writes the loss at each position to `losses` (N), and
/// returns their unscaled sum, in nats.
pub fn forward_backward<'a>(
    network: impl Into<Network<'a>>,
    batch: &Batch<'_>,
    activations: &mut Activations,
    losses: &mut [f32],
    gradients: &mut [f32],
    loss_scale: f32,
    pool: &Pool,
) -> f32 {
    let network = network.into();
    assert_eq!(gradients.len(), network.learned().len(), "forward_backward: the number of gradients");
    let shape = forward(network, batch, activations, Some(gradients), pool);
    assert_eq!(losses.len(), batch.tokens.len(), "forward_backward: the number of losses");
    if network.whole().is_none() && network.rows().is_none() {
        frozen_head_backward(network, batch, activations, losses, loss_scale, pool);
    } else {
        head_backward(network, batch, activations, losses, gradients, loss_scale, pool);
    }

    let (config, whole) = (network.config(), network.whole());
    let (n, left) = (batch.tokens.len(), activations.left(batch.tokens.len()));
    let Activations { keep, room, block, first_x, x, inv_rms, work, scratch, rope: table, sizes, precision, .. } =
        activations;
    let scratch = scratch.as_mut().expect("activations that were made for training");
    let d_weight = whole.map_or(&mut [][..], |layout| &mut gradients[layout.norm.clone()]);
    d_weight.fill(0.0);
    rms_norm_backward(pool, &mut scratch.d_x, d_weight, &scratch.d_norm, x, network.norm(), inv_rms);
    let (start, length) = network.layer_gradients();
    for index in (0..config.num_hidden_layers).rev() {
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
        let last = index + 1 == config.num_hidden_layers;
        let again = *keep == Keep::Inputs && !last;
        let mut left = Layer::within(if values.is_empty() { &mut block[..] } else { values }, n, sizes);
        let layer = network.layer(index);
        let forward = Block {
            layer,
            sizes,
            shape: &shape,
            table,
            epsilon: config.rms_norm_eps as f32,
            precision: *precision,
            pool,
        };
        if again {
            forward.attention(x, &mut left, work, batch);
            forward.feed_forward(&mut left, work, None);
        }
        let mut backward = BlockBackward {
            layer,
            gradients: &mut gradients[..length],
            start: start + index * length,
            sizes,
            shape: &shape,
            table,
            precision: *precision,
            pool,
        };
        backward.feed_forward(&left, work, scratch);
        backward.attention(x, &left, work, scratch, batch);
    }
    if let Some(layout) = whole {
        let table = &mut gradients[layout.embedding.clone()];
        if layout.head != layout.embedding {
            table.fill(0.0);
        }
        embedding_backward(pool, table, &scratch.d_x, batch.tokens);
    }
    if let Some(rows) = network.rows() {
        let [embedding, head] = rows.places;
        let table = &mut gradients[embedding.clone()];
        if head != embedding {
            table.fill(0.0);
        }
        for (&token, d_x) in batch.tokens.iter().zip(scratch.d_x.chunks(sizes.c)) {
            if let Some(place) = rows.place(token) {
                table[place].iter_mut().zip(d_x).for_each(|(sum, d)| *sum += d);
            }
        }
    }
    sum(losses)
}

/// Logits, losses and the gradients of both, a piece of the batch at a time:
/// the logits of a whole batch would be the largest buffer of all. Each weight
/// gradient goes on from where the piece before left it, so the pieces' size
/// does not change a bit.
fn head_backward(
    network: Network<'_>,
    batch: &Batch<'_>,
    activations: &mut Activations,
    losses: &mut [f32],
    gradients: &mut [f32],
    loss_scale: f32,
    pool: &Pool,
) {
    let Activations { x_norm, logits, token_logits, head_rows, scratch, precision, sizes: Sizes { c, v, .. }, .. } =
        activations;
    let (c, v, head_rows, precision) = (*c, *v, *head_rows, *precision);
    let d_norm = &mut scratch.as_mut().expect("activations that were made for training").d_norm;
    let head = network.head();
    let pieces = x_norm.chunks(head_rows * c).zip(d_norm.chunks_mut(head_rows * c));
    let pieces = pieces.zip(batch.targets.chunks(head_rows)).zip(losses.chunks_mut(head_rows));
    for (index, (((x, dx), targets), losses)) in pieces.enumerate() {
        let rows = targets.len();
        let x = Matrix::new(x, rows, c);
        let logits = &mut logits[..rows * v];
        head_forward(network, logits, token_logits, x, precision, pool);
        softmax_cross_entropy(pool, logits, losses, targets, loss_scale);
        let start = if index == 0 { Start::Zero } else { Start::Keep };
        let learned = network.rows();
        if let Some(learned) = &learned {
            // Their part goes through the rows that stand in, and to them.
            let count = learned.tokens.len();
            for (logits, d_learned) in logits.chunks_mut(v).zip(token_logits.chunks_mut(count)) {
                d_learned.copy_from_slice(&logits[learned.tokens.clone()]);
                logits[learned.tokens.clone()].fill(0.0);
            }
        }
        let d_logits = Matrix::new(logits, rows, v);
        matmul(pool, dx, Start::Zero, d_logits, head, precision);
        if let Some(learned) = learned {
            let count = learned.tokens.len();
            let d_learned = Matrix::new(&token_logits[..rows * count], rows, count);
            matmul(pool, dx, Start::Keep, d_learned, learned.head(), precision);
            matmul(pool, &mut gradients[learned.places[1].clone()], start, d_learned.t(), x, precision);
        }
        if let Some(layout) = network.whole() {
            matmul(pool, &mut gradients[layout.head.clone()], start, d_logits.t(), x, precision);
        }
    }
}

/// The same where nothing of the head is learned. Each position is a sum of its
/// own, so those that predict nothing, of a chat or of a text with a label
/// most, are left out: the others move together for as long as it takes.
fn frozen_head_backward(
    network: Network<'_>,
    batch: &Batch<'_>,
    activations: &mut Activations,
    losses: &mut [f32],
    loss_scale: f32,
    pool: &Pool,
) {
    let Activations { x_norm, logits, token_logits, head_rows, targets, scratch, precision, sizes, .. } = activations;
    let (c, v, head_rows, precision) = (sizes.c, sizes.v, *head_rows, *precision);
    let d_norm = &mut scratch.as_mut().expect("activations that were made for training").d_norm;
    targets.clear();
    for (at, &target) in batch.targets.iter().enumerate().filter(|(_, target)| **target != IGNORED) {
        x_norm.copy_within(at * c..(at + 1) * c, targets.len() * c);
        targets.push(target);
    }
    let pieces = x_norm.chunks(head_rows * c).zip(d_norm.chunks_mut(head_rows * c));
    for (((x, dx), targets), losses) in pieces.zip(targets.chunks(head_rows)).zip(losses.chunks_mut(head_rows)) {
        let rows = targets.len();
        let logits = &mut logits[..rows * v];
        head_forward(network, logits, token_logits, Matrix::new(&x[..rows * c], rows, c), precision, pool);
        softmax_cross_entropy(pool, logits, &mut losses[..rows], targets, loss_scale);
        let d_logits = Matrix::new(logits, rows, v);
        matmul(pool, &mut dx[..rows * c], Start::Zero, d_logits, network.head(), precision);
    }
    // From the end, each goes back to its place, which nothing is left in.
    let mut left = targets.len();
    for (at, &target) in batch.targets.iter().enumerate().rev() {
        if target == IGNORED {
            d_norm[at * c..(at + 1) * c].fill(0.0);
            losses[at] = 0.0;
        } else {
            left -= 1;
            d_norm.copy_within(left * c..(left + 1) * c, at * c);
            losses[at] = losses[left];
        }
    }
}

/// One transformer layer, backwards. The gradient of the residual stream is in
/// `scratch.d_x` before and after.
struct BlockBackward<'a> {
    layer: LayerWeights<'a>,
    /// Of this layer alone, overwritten: of its weights, or of its adapters.
    gradients: &'a mut [f32],
    /// Where they begin among all.
    start: usize,
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

    /// dx = or += dy W, and where the product has an adapter, whose dlow is
    /// s dy B, += dlow A.
    fn input(&self, dx: &mut [f32], start: Start<'_>, target: Target, dy: Matrix<'_>, beside: &mut Beside) {
        let (pool, precision) = (self.pool, self.precision);
        let weights = self.layer.matrix(target, self.sizes, &mut beside.widened, pool);
        let Some(Adapter { a, b, scale: s }) = self.layer.adapter(target) else {
            return matmul(pool, dx, start, dy, weights, precision);
        };
        let (n, rank) = (dy.rows(), self.sizes.rank);
        let d_low = &mut beside.d_low[..n * rank];
        matmul(pool, d_low, Start::Zero, dy, b, precision);
        scale(pool, d_low, s);
        matmul_two(pool, dx, start, (dy, weights), (Matrix::new(d_low, n, rank), a), precision);
    }

    /// dW = or += dyᵗ x. Of frozen weights nothing, and of the adapter, after
    /// `input` has left dlow: dA = or += dlowᵗ x, dB = or += dyᵗ (s x Aᵗ).
    fn weights(
        &mut self,
        start: Start<'_>,
        target: Target,
        dy: Matrix<'_>,
        x: Matrix<'_>,
        Beside { low, d_low, .. }: &mut Beside,
    ) {
        let (pool, precision) = (self.pool, self.precision);
        let adapters = match self.layer {
            LayerWeights::Whole(_, ranges) => {
                return matmul(pool, self.gradient(ranges.matrix(target)), start, dy.t(), x, precision);
            }
            LayerWeights::Frozen(_, adapters) => adapters,
        };
        if let (Some(Adapter { a, scale: s, .. }), Some((d_a, d_b))) = (adapters.of(target), adapters.place(target)) {
            let (n, rank) = (dy.rows(), self.sizes.rank);
            let (low, d_low) = (&mut low[..n * rank], Matrix::new(&d_low[..n * rank], n, rank));
            matmul(pool, &mut self.gradients[d_a.clone()], start, d_low.t(), x, precision);
            matmul(pool, low, Start::Zero, x, a.t(), precision);
            scale(pool, low, s);
            matmul(pool, &mut self.gradients[d_b.clone()], start, dy.t(), Matrix::new(low, n, rank), precision);
        }
    }

    /// Adds the gradient of a branch, which is in `s.d_norm`, to the stream's,
    /// through the norm of `weight` that it began with, of which `range` is
    /// the place.
    fn norm(
        &mut self,
        weight: &[f32],
        range: fn(&LayerRanges) -> &Range<usize>,
        x: &[f32],
        inv_rms: &[f32],
        s: &mut Scratch,
    ) {
        let pool = self.pool;
        let d_weight = match self.layer {
            LayerWeights::Whole(_, ranges) => self.gradient(range(ranges)),
            LayerWeights::Frozen(..) => &mut [],
        };
        d_weight.fill(0.0);
        rms_norm_backward(pool, &mut s.d_branch, d_weight, &s.d_norm, x, weight, inv_rms);
        add_assign(pool, &mut s.d_x, &s.d_branch);
    }

    fn feed_forward(&mut self, layer: &Layer<'_>, work: &mut Work, s: &mut Scratch) {
        let (pool, &Sizes { c, f, .. }) = (self.pool, self.sizes);

        for piece in pieces(layer.h_inv_rms.len()) {
            let (n, start) = (piece.len(), if piece.start == 0 { Start::Zero } else { Start::Keep });
            let (by_c, by_f) = (piece.start * c..piece.end * c, piece.start * f..piece.end * f);
            let (activated, norm) = (&mut work.activated[..n * f], &mut work.norm[..n * c]);
            let (d_activated, d_norm) = (&mut s.d_activated[..n * f], &mut s.d_norm[by_c.clone()]);
            let (d_gate, d_up) = (&mut s.d_gate[..n * f], &mut s.d_up[..n * f]);
            let beside = &mut work.beside;

            let d_out = Matrix::new(&s.d_x[by_c.clone()], n, c);
            self.input(d_activated, Start::Zero, Target::Down, d_out, beside);
            swiglu_backward(pool, d_gate, d_up, activated, d_activated, &layer.gate[by_f.clone()], &layer.up[by_f]);
            self.weights(start, Target::Down, d_out, Matrix::new(activated, n, f), beside);
            rms_norm_again(pool, norm, &layer.h[by_c], self.layer.post_attention_norm(), &layer.h_inv_rms[piece]);
            let (norm, d_gate, d_up) = (Matrix::new(norm, n, c), Matrix::new(d_gate, n, f), Matrix::new(d_up, n, f));
            self.input(d_norm, Start::Zero, Target::Gate, d_gate, beside);
            self.weights(start, Target::Gate, d_gate, norm, beside);
            self.input(d_norm, Start::Keep, Target::Up, d_up, beside);
            self.weights(start, Target::Up, d_up, norm, beside);
        }
        let weight = self.layer.post_attention_norm();
        self.norm(weight, |ranges| &ranges.post_attention_norm, layer.h, layer.h_inv_rms, s);
    }

    fn attention(&mut self, x: &[f32], layer: &Layer<'_>, work: &mut Work, s: &mut Scratch, batch: &Batch<'_>) {
        let (pool, &Sizes { c, q, k, .. }) = (self.pool, self.sizes);
        let n = batch.tokens.len();
        let AttentionShape { heads, kv_heads, .. } = *self.shape;

        let (attended, d_h) = (Matrix::new(layer.attended, n, q), Matrix::new(&s.d_x, n, c));
        self.input(&mut s.d_attended, Start::Zero, Target::Output, d_h, &mut work.beside);
        self.weights(Start::Zero, Target::Output, d_h, attended, &mut work.beside);
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
        rms_norm_again(pool, &mut work.norm, x, self.layer.input_norm(), layer.x_inv_rms);
        let x_norm = Matrix::new(&work.norm, n, c);
        let products = [
            (Target::Query, Start::Zero, Matrix::new(&s.d_query, n, q)),
            (Target::Key, Start::Keep, Matrix::new(&s.d_key, n, k)),
            (Target::Value, Start::Keep, Matrix::new(&s.d_value, n, k)),
        ];
        for (target, start, dy) in products {
            self.input(&mut s.d_norm, start, target, dy, &mut work.beside);
            self.weights(Start::Zero, target, dy, x_norm, &mut work.beside);
        }
        let weight = self.layer.input_norm();
        self.norm(weight, |ranges| &ranges.input_norm, x, layer.x_inv_rms, s);
    }
}
