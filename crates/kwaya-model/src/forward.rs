//! The forward pass, top to bottom in the order of the Llama paper. In what the
//! other families differ is data, which each step asks for
//! (`architecture.rs`). Its mirror image is `backward.rs`.

use std::{mem, ops::Range};

use kwaya_math::{
    AttentionShape, Direction, Matrix, Pool, Precision, RopeTable, Start, add_assign, add_to_rows, attention,
    cross_entropy_loss, geglu, matmul, matmul_two, rms_norm, rope, scale, softcap, swiglu,
};

use crate::{
    activations::{Activations, Batch, Beside, Branch, Keep, Layer, PIECE, Room, Sizes, Work},
    architecture::{Activation, Architecture},
    lora::{Adapter, Target},
    network::{LayerWeights, Network},
};

/// The loss at every position, in nats: -ln of the probability that the model
/// gives to the target; 0 where the target is ignored. `losses` is (N).
pub fn loss<'a>(
    network: impl Into<Network<'a>>,
    batch: &Batch<'_>,
    activations: &mut Activations,
    losses: &mut [f32],
    pool: &Pool,
) {
    let network = network.into();
    forward(network, batch, activations, None, pool);
    let Activations { x_norm, logits, token_logits, head_rows, precision, sizes: Sizes { c, v, .. }, .. } = activations;
    let targets = batch.targets.chunks(*head_rows);
    for ((x, targets), losses) in x_norm.chunks(*head_rows * *c).zip(targets).zip(losses.chunks_mut(*head_rows)) {
        let logits = &mut logits[..targets.len() * *v];
        let x = Matrix::new(x, targets.len(), *c);
        head(network, logits, token_logits, x, *precision, pool);
        cross_entropy_loss(pool, logits, losses, targets, *v);
    }
}

/// The logits at every position: `out` is (N, V). For tests and small inputs.
pub fn logits<'a>(
    network: impl Into<Network<'a>>,
    batch: &Batch<'_>,
    activations: &mut Activations,
    out: &mut [f32],
    pool: &Pool,
) {
    let network = network.into();
    forward(network, batch, activations, None, pool);
    let x = Matrix::new(&activations.x_norm, batch.tokens.len(), activations.sizes.c);
    let mut token_logits = vec![0.0; batch.tokens.len() * activations.sizes.tokens];
    head(network, out, &mut token_logits, x, activations.precision, pool);
}

/// `logits` (n, V) of the normed stream `x` (n, C). Those of tokens whose rows
/// are learned come from these, by way of `token_logits`.
pub(crate) fn head(
    network: Network<'_>,
    logits: &mut [f32],
    token_logits: &mut [f32],
    x: Matrix<'_>,
    precision: Precision,
    pool: &Pool,
) {
    matmul(pool, logits, Start::Zero, x, network.head().t(), precision);
    if let Some(rows) = network.rows() {
        let (count, v) = (rows.tokens.len(), network.architecture().vocab);
        let token_logits = &mut token_logits[..x.rows() * count];
        matmul(pool, token_logits, Start::Zero, x, rows.head().t(), precision);
        for (logits, learned) in logits.chunks_mut(v).zip(token_logits.chunks(count)) {
            logits[rows.tokens.clone()].copy_from_slice(learned);
        }
    }
    if let Some(cap) = network.architecture().logit_softcap {
        softcap(pool, logits, cap);
    }
}

/// Everything but the head: leaves the normed stream in `activations.x_norm`,
/// and where there are `gradients`, in which nothing is lost, what the
/// backward pass reads.
pub(crate) fn forward(
    network: Network<'_>,
    batch: &Batch<'_>,
    activations: &mut Activations,
    gradients: Option<&mut [f32]>,
    pool: &Pool,
) -> AttentionShape {
    let a = network.architecture();
    let shape = activations.fit(network, batch);
    let (n, left) = (batch.tokens.len(), activations.left(batch.tokens.len()));
    let Activations { keep, room, block, first_x, x, inv_rms, x_norm, work, ropes, windows, sizes, precision, .. } =
        activations;
    let here = Passes { network, batch, sizes, shape: &shape, ropes, windows, precision: *precision, pool };
    // The blocks of the layers after the first, and how far apart they begin.
    let blocks = match (room, gradients) {
        (_, None) | (Room::None, _) => None,
        (Room::Own(own), _) => Some((&mut own[..], left)),
        (Room::Gradients, Some(gradients)) => {
            let (start, length) = network.layer_gradients();
            Some((&mut gradients[start..], length))
        }
    };

    network.embed(first_x, batch.tokens, pool);
    if let Some((mut rest, step)) = blocks {
        let mut input: &mut [f32] = first_x;
        let mut values: &mut [f32] = block;
        for index in 0..a.layers.len() {
            let here = here.block(index);
            let mut left = Layer::within(values, n, sizes);
            here.attention(input, &mut left, work);
            if index + 1 == a.layers.len() {
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
        for index in 0..a.layers.len() {
            let here = here.block(index);
            let mut values = Layer::within(block, n, sizes);
            here.attention(first_x, &mut values, work);
            here.feed_forward(&mut values, work, Some(x));
            mem::swap(x, first_x);
        }
        mem::swap(x, first_x);
    }
    rms_norm(pool, x_norm, inv_rms, x, network.norm(), a.rms_eps);
    shape
}

/// What both passes of all layers have in common.
#[derive(Clone, Copy)]
pub(crate) struct Passes<'a> {
    pub(crate) network: Network<'a>,
    pub(crate) batch: &'a Batch<'a>,
    pub(crate) sizes: &'a Sizes,
    pub(crate) shape: &'a AttentionShape,
    pub(crate) ropes: &'a [RopeTable],
    pub(crate) windows: &'a [(usize, Vec<u32>)],
    pub(crate) precision: Precision,
    pub(crate) pool: &'a Pool,
}

impl<'a> Passes<'a> {
    /// The layer `index`, with what its attention sees.
    pub(crate) fn block(&self, index: usize) -> Block<'a> {
        let architecture = self.network.architecture();
        let sees = architecture.layers[index];
        let mut windows = self.windows.iter().filter(|(window, _)| Some(*window) == sees.window);
        Block {
            layer: self.network.layer(index),
            architecture,
            starts: windows.next().map_or(self.batch.starts, |(_, starts)| starts),
            positions: self.batch.positions,
            table: &self.ropes[sees.rope],
            sizes: self.sizes,
            shape: self.shape,
            precision: self.precision,
            pool: self.pool,
        }
    }
}

/// One transformer layer.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) layer: LayerWeights<'a>,
    pub(crate) architecture: &'a Architecture,
    /// (N) the first position that each sees in this layer.
    pub(crate) starts: &'a [u32],
    pub(crate) positions: &'a [u32],
    pub(crate) table: &'a RopeTable,
    pub(crate) sizes: &'a Sizes,
    pub(crate) shape: &'a AttentionShape,
    pub(crate) precision: Precision,
    pub(crate) pool: &'a Pool,
}

impl Block<'_> {
    /// h = x + Wo attention(rope(Wq norm(x)), rope(Wk norm(x)), Wv norm(x))
    pub(crate) fn attention(&self, x: &[f32], layer: &mut Layer<'_>, work: &mut Work) {
        let (pool, &Sizes { c, q, .. }) = (self.pool, self.sizes);
        let n = self.positions.len();

        rms_norm(pool, &mut work.norm, layer.x_inv_rms, x, self.layer.input_norm(), self.architecture.rms_eps);
        let x_norm = Matrix::new(&work.norm, n, c);
        self.product(layer.query, Start::Zero, x_norm, Target::Query, &mut work.beside);
        self.product(layer.key, Start::Zero, x_norm, Target::Key, &mut work.beside);
        self.product(layer.value, Start::Zero, x_norm, Target::Value, &mut work.beside);
        if let Some(biases) = self.layer.biases() {
            for (out, bias) in [&mut *layer.query, layer.key, layer.value].into_iter().zip(biases) {
                add_to_rows(pool, out, bias);
            }
        }
        self.turn(layer, work);
        let (query, key) = self.turned((&*layer.query, &*layer.key), work);
        attention(
            pool,
            layer.attended,
            layer.softmax_max,
            layer.softmax_sum,
            query,
            key,
            layer.value,
            self.starts,
            self.shape,
        );
        let (input, [branch, _]) = (Matrix::new(layer.attended, n, q), &mut layer.branches);
        self.close(Target::Output, layer.h, x, input, branch.rows(0..n), &mut work.beside);
    }

    /// Turns queries and keys by their positions, where they lie, or where heads
    /// are normed first, in `work`: the norm's input is what a layer leaves.
    pub(crate) fn turn(&self, layer: &mut Layer<'_>, work: &mut Work) {
        let (pool, epsilon) = (self.pool, self.architecture.rms_eps);
        let AttentionShape { heads, kv_heads, .. } = *self.shape;
        let (query, key) = match self.layer.head_norms() {
            None => (&mut *layer.query, &mut *layer.key),
            Some([of_query, of_key]) => {
                rms_norm(pool, &mut work.query, layer.query_inv_rms, layer.query, of_query, epsilon);
                rms_norm(pool, &mut work.key, layer.key_inv_rms, layer.key, of_key, epsilon);
                (&mut work.query[..], &mut work.key[..])
            }
        };
        rope(pool, query, heads, self.table, self.positions, Direction::Forward);
        rope(pool, key, kv_heads, self.table, self.positions, Direction::Forward);
    }

    /// Where [`Block::turn`] has left them: those of the layer, or of `work`.
    pub(crate) fn turned<'l>(&self, left: (&'l [f32], &'l [f32]), work: &'l Work) -> (&'l [f32], &'l [f32]) {
        if self.sizes.qk_norm { (&work.query, &work.key) } else { left }
    }

    /// gate = Wgate norm(h), up = Wup norm(h), and where it is wanted
    /// out = h + Wdown (silu(gate) * up): a piece of the batch at a time.
    pub(crate) fn feed_forward(&self, layer: &mut Layer<'_>, work: &mut Work, mut out: Option<&mut [f32]>) {
        let (pool, &Sizes { c, f, .. }) = (self.pool, self.sizes);
        for piece in pieces(layer.h_inv_rms.len()) {
            let n = piece.len();
            let (by_c, by_f) = (piece.start * c..piece.end * c, piece.start * f..piece.end * f);
            let (h, norm) = (&layer.h[by_c.clone()], &mut work.norm[..n * c]);
            let (gate, up) = (&mut layer.gate[by_f.clone()], &mut layer.up[by_f]);
            let (weight, epsilon) = (self.layer.feed_forward_norm(), self.architecture.rms_eps);
            rms_norm(pool, norm, &mut layer.h_inv_rms[piece.clone()], h, weight, epsilon);
            let norm = Matrix::new(norm, n, c);
            self.product(gate, Start::Zero, norm, Target::Gate, &mut work.beside);
            self.product(up, Start::Zero, norm, Target::Up, &mut work.beside);
            // What the branch gives is to be left even where nobody reads on.
            let out = match &mut out {
                Some(out) => &mut out[by_c],
                None if self.sizes.post_norms => &mut work.norm[..n * c],
                None => continue,
            };
            let activated = &mut work.activated[..n * f];
            match self.architecture.activation {
                Activation::Silu => swiglu(pool, activated, gate, up),
                Activation::GeluTanh => geglu(pool, activated, gate, up),
            }
            let (input, [_, branch]) = (Matrix::new(activated, n, f), &mut layer.branches);
            self.close(Target::Down, out, h, input, branch.rows(piece), &mut work.beside);
        }
    }

    /// out = x + W input, or x + norm(W input): the end of a branch that began
    /// at x.
    fn close(
        &self,
        target: Target,
        out: &mut [f32],
        x: &[f32],
        input: Matrix<'_>,
        branch: Branch<'_>,
        beside: &mut Beside,
    ) {
        let Some(norms) = self.layer.post_norms() else {
            // The product starts from the stream, which saves a pass that adds.
            return self.product(out, Start::From(x), input, target, beside);
        };
        self.product(branch.out, Start::Zero, input, target, beside);
        let weight = norms[usize::from(target == Target::Down)];
        rms_norm(self.pool, out, branch.inv_rms, branch.out, weight, self.architecture.rms_eps);
        add_assign(self.pool, out, x);
    }

    /// y = x Wᵗ, from a start if there is one, and where the product has an
    /// adapter + s (x Aᵗ) Bᵗ.
    fn product(&self, y: &mut [f32], start: Start<'_>, x: Matrix<'_>, target: Target, beside: &mut Beside) {
        let (pool, precision) = (self.pool, self.precision);
        let weights = self.layer.matrix(target, self.sizes, &mut beside.widened, pool);
        let Some(Adapter { a, b, scale: s }) = self.layer.adapter(target) else {
            return matmul(pool, y, start, x, weights.t(), precision);
        };
        let (n, rank) = (x.rows(), self.sizes.rank);
        let low = &mut beside.low[..n * rank];
        matmul(pool, low, Start::Zero, x, a.t(), precision);
        scale(pool, low, s);
        matmul_two(pool, y, start, (x, weights.t()), (Matrix::new(low, n, rank), b.t()), precision);
    }
}

/// The feed-forward layers go over a batch of `n` positions in such pieces,
/// whose values stay in the cache from one product to the next.
pub(crate) fn pieces(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(PIECE).map(move |start| start..n.min(start + PIECE))
}
