//! The backward pass: `forward.rs` read from the bottom up. The gradient of a
//! product y = x Wᵗ is dx = dy W for its input and dW = dyᵗ x for its weights.

use std::{mem, ops::Range};

use kwaya_math::{
    Direction, IGNORED, Matrix, Pool, Start, add_assign, add_to_rows_backward, attention_backward,
    capped_cross_entropy, embedding_backward, geglu_backward, matmul, matmul_two, rms_norm_again, rms_norm_backward,
    rope, scale, softmax_cross_entropy, sum, swiglu_backward,
};

use crate::{
    activations::{Activations, Batch, Beside, Branch, Keep, Layer, Room, Scratch, Sizes, Work},
    architecture::Activation,
    forward::{Block, Passes, forward, head as head_forward, pieces},
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

    let (a, whole) = (network.architecture(), network.whole());
    let (n, left) = (batch.tokens.len(), activations.left(batch.tokens.len()));
    let Activations { keep, room, block, first_x, x, inv_rms, work, scratch, ropes, windows, sizes, precision, .. } =
        activations;
    let here = Passes { network, batch, sizes, shape: &shape, ropes, windows, precision: *precision, pool };
    let scratch = scratch.as_mut().expect("activations that were made for training");
    let d_weight = whole.map_or(&mut [][..], |layout| &mut gradients[layout.norm.clone()]);
    d_weight.fill(0.0);
    rms_norm_backward(pool, &mut scratch.d_x, d_weight, &scratch.d_norm, x, network.norm(), inv_rms);
    let (start, length) = network.layer_gradients();
    for index in (0..a.layers.len()).rev() {
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
        let last = index + 1 == a.layers.len();
        let again = *keep == Keep::Inputs && !last;
        let mut left = Layer::within(if values.is_empty() { &mut block[..] } else { values }, n, sizes);
        let forward = here.block(index);
        if again {
            forward.attention(x, &mut left, work);
            forward.feed_forward(&mut left, work, None);
        }
        let mut backward =
            BlockBackward { forward, gradients: &mut gradients[..length], start: start + index * length };
        backward.feed_forward(&left, work, scratch);
        backward.attention(x, &mut left, work, scratch);
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
                table[place].iter_mut().zip(d_x).for_each(|(sum, d)| *sum += a.embedding_scale * d);
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
        cross_entropy(network, logits, losses, targets, loss_scale, pool);
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

/// The losses of `logits`, which become their gradient, before the cap of a
/// family that has one.
fn cross_entropy(
    network: Network<'_>,
    logits: &mut [f32],
    losses: &mut [f32],
    targets: &[u32],
    loss_scale: f32,
    pool: &Pool,
) {
    match network.architecture().logit_softcap {
        None => softmax_cross_entropy(pool, logits, losses, targets, loss_scale),
        Some(cap) => capped_cross_entropy(pool, logits, losses, targets, loss_scale, cap),
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
        cross_entropy(network, logits, &mut losses[..rows], targets, loss_scale, pool);
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
    /// The layer, and what it was computed with.
    forward: Block<'a>,
    /// Of this layer alone, overwritten: of its weights, or of its adapters.
    gradients: &'a mut [f32],
    /// Where they begin among all.
    start: usize,
}

impl BlockBackward<'_> {
    fn gradient(&mut self, range: &Range<usize>) -> &mut [f32] {
        &mut self.gradients[range.start - self.start..range.end - self.start]
    }

    /// dx = or += dy W, and where the product has an adapter, whose dlow is
    /// s dy B, += dlow A.
    fn input(&self, dx: &mut [f32], start: Start<'_>, target: Target, dy: Matrix<'_>, beside: &mut Beside) {
        let (pool, precision) = (self.forward.pool, self.forward.precision);
        let weights = self.forward.layer.matrix(target, self.forward.sizes, &mut beside.widened, pool);
        let Some(Adapter { a, b, scale: s }) = self.forward.layer.adapter(target) else {
            return matmul(pool, dx, start, dy, weights, precision);
        };
        let (n, rank) = (dy.rows(), self.forward.sizes.rank);
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
        let (pool, precision) = (self.forward.pool, self.forward.precision);
        let adapters = match self.forward.layer {
            LayerWeights::Whole(_, ranges) => {
                return matmul(pool, self.gradient(ranges.matrix(target)), start, dy.t(), x, precision);
            }
            LayerWeights::Frozen(_, adapters) => adapters,
        };
        if let (Some(Adapter { a, scale: s, .. }), Some((d_a, d_b))) = (adapters.of(target), adapters.place(target)) {
            let (n, rank) = (dy.rows(), self.forward.sizes.rank);
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
        range: fn(&LayerRanges) -> Option<&Range<usize>>,
        x: &[f32],
        inv_rms: &[f32],
        s: &mut Scratch,
    ) {
        let pool = self.forward.pool;
        let d_weight = self.vector(range);
        rms_norm_backward(pool, &mut s.d_branch, d_weight, &s.d_norm, x, weight, inv_rms);
        add_assign(pool, &mut s.d_x, &s.d_branch);
    }

    /// Leaves the gradient of what a branch gives in `s.d_branch`, from that of
    /// the stream, where the family has a norm between the two.
    fn open(&self, target: Target, branch: &Branch<'_>, s: &mut Scratch) {
        if let Some(norms) = self.forward.layer.post_norms() {
            let weight = norms[usize::from(target == Target::Down)];
            rms_norm_backward(self.forward.pool, &mut s.d_branch, &mut [], &s.d_x, branch.out, weight, branch.inv_rms);
        }
    }

    fn feed_forward(&mut self, layer: &Layer<'_>, work: &mut Work, s: &mut Scratch) {
        let (pool, &Sizes { c, f, post_norms, .. }) = (self.forward.pool, self.forward.sizes);
        let weight = self.forward.layer.feed_forward_norm();

        self.open(Target::Down, &layer.branches[1], s);
        for piece in pieces(layer.h_inv_rms.len()) {
            let (n, start) = (piece.len(), if piece.start == 0 { Start::Zero } else { Start::Keep });
            let (by_c, by_f) = (piece.start * c..piece.end * c, piece.start * f..piece.end * f);
            let (activated, norm) = (&mut work.activated[..n * f], &mut work.norm[..n * c]);
            let (d_activated, d_norm) = (&mut s.d_activated[..n * f], &mut s.d_norm[by_c.clone()]);
            let (d_gate, d_up) = (&mut s.d_gate[..n * f], &mut s.d_up[..n * f]);
            let (gate, up, beside) = (&layer.gate[by_f.clone()], &layer.up[by_f], &mut work.beside);

            let d_out = if post_norms { &s.d_branch } else { &s.d_x };
            let d_out = Matrix::new(&d_out[by_c.clone()], n, c);
            self.input(d_activated, Start::Zero, Target::Down, d_out, beside);
            match self.forward.architecture.activation {
                Activation::Silu => swiglu_backward(pool, d_gate, d_up, activated, d_activated, gate, up),
                Activation::GeluTanh => geglu_backward(pool, d_gate, d_up, activated, d_activated, gate, up),
            }
            self.weights(start, Target::Down, d_out, Matrix::new(activated, n, f), beside);
            rms_norm_again(pool, norm, &layer.h[by_c], weight, &layer.h_inv_rms[piece]);
            let (norm, d_gate, d_up) = (Matrix::new(norm, n, c), Matrix::new(d_gate, n, f), Matrix::new(d_up, n, f));
            self.input(d_norm, Start::Zero, Target::Gate, d_gate, beside);
            self.weights(start, Target::Gate, d_gate, norm, beside);
            self.input(d_norm, Start::Keep, Target::Up, d_up, beside);
            self.weights(start, Target::Up, d_up, norm, beside);
        }
        self.norm(weight, |ranges| Some(&ranges.post_attention_norm), layer.h, layer.h_inv_rms, s);
    }

    fn attention(&mut self, x: &[f32], layer: &mut Layer<'_>, work: &mut Work, s: &mut Scratch) {
        let Block { pool, sizes, shape, starts, positions, table, .. } = self.forward;
        let (&Sizes { c, q, k, post_norms, qk_norm, .. }, n) = (sizes, positions.len());

        self.open(Target::Output, &layer.branches[0], s);
        let d_out = Matrix::new(if post_norms { &s.d_branch } else { &s.d_x }, n, c);
        self.input(&mut s.d_attended, Start::Zero, Target::Output, d_out, &mut work.beside);
        self.weights(Start::Zero, Target::Output, d_out, Matrix::new(layer.attended, n, q), &mut work.beside);
        if qk_norm {
            self.forward.turn(layer, work);
        }
        let (query, key) = self.forward.turned((&*layer.query, &*layer.key), work);
        attention_backward(
            pool,
            &mut s.d_query,
            &mut s.d_key,
            &mut s.d_value,
            &s.d_attended,
            query,
            key,
            layer.value,
            layer.attended,
            layer.softmax_max,
            layer.softmax_sum,
            starts,
            shape,
        );
        rope(pool, &mut s.d_query, shape.heads, table, positions, Direction::Backward);
        rope(pool, &mut s.d_key, shape.kv_heads, table, positions, Direction::Backward);
        self.head_norms(layer, s);
        self.biases(s);
        let weight = self.forward.layer.input_norm();
        rms_norm_again(pool, &mut work.norm, x, weight, layer.x_inv_rms);
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
        self.norm(weight, |ranges| Some(&ranges.input_norm), x, layer.x_inv_rms, s);
    }

    /// The gradients of queries and keys go back through the norms of heads,
    /// where the family has them. The gradient of what was attended to has been
    /// read: its room is free.
    fn head_norms(&mut self, layer: &Layer<'_>, s: &mut Scratch) {
        let (Some([of_query, of_key]), pool) = (self.forward.layer.head_norms(), self.forward.pool) else { return };
        let (d_query, inverse) = (&mut s.d_attended, &layer.query_inv_rms);
        let d_weight = self.vector(|ranges| ranges.head_norms.as_ref().map(|[query, _]| query));
        rms_norm_backward(pool, d_query, d_weight, &s.d_query, layer.query, of_query, inverse);
        mem::swap(&mut s.d_query, &mut s.d_attended);
        let d_key = &mut s.d_attended[..s.d_key.len()];
        let d_weight = self.vector(|ranges| ranges.head_norms.as_ref().map(|[_, key]| key));
        rms_norm_backward(pool, d_key, d_weight, &s.d_key, layer.key, of_key, layer.key_inv_rms);
        s.d_key.copy_from_slice(d_key);
    }

    /// The gradients of biases, where they are learned.
    fn biases(&mut self, s: &Scratch) {
        let LayerWeights::Whole(_, LayerRanges { biases: Some(places), .. }) = self.forward.layer else { return };
        for (place, dy) in places.iter().zip([&s.d_query, &s.d_key, &s.d_value]) {
            let pool = self.forward.pool;
            add_to_rows_backward(pool, self.gradient(place), dy);
        }
    }

    /// The gradient of a vector that is learned, as 0; an empty one of another.
    fn vector(&mut self, range: fn(&LayerRanges) -> Option<&Range<usize>>) -> &mut [f32] {
        let gradient = match self.forward.layer {
            LayerWeights::Whole(_, ranges) => range(ranges).map_or(&mut [][..], |range| self.gradient(range)),
            LayerWeights::Frozen(..) => &mut [],
        };
        gradient.fill(0.0);
        gradient
    }
}
