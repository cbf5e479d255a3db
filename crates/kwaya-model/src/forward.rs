//! The forward pass, top to bottom in the order of the Llama paper. Its mirror
//! image is `backward.rs`.

use std::{mem, ops::Range};

use kwaya_math::{
    AttentionShape, Direction, Matrix, Pool, Precision, RopeTable, Start, attention, cross_entropy_loss, matmul,
    matmul_two, rms_norm, rope, scale, swiglu,
};

use crate::{
    activations::{Activations, Batch, Beside, Keep, Layer, PIECE, Room, Sizes, Work},
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
    let Some(rows) = network.rows() else { return };
    let (count, v) = (rows.tokens.len(), network.config().vocab_size);
    let token_logits = &mut token_logits[..x.rows() * count];
    matmul(pool, token_logits, Start::Zero, x, rows.head().t(), precision);
    for (logits, learned) in logits.chunks_mut(v).zip(token_logits.chunks(count)) {
        logits[rows.tokens.clone()].copy_from_slice(learned);
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
    let config = network.config();
    let shape = activations.fit(network, batch);
    let (n, left) = (batch.tokens.len(), activations.left(batch.tokens.len()));
    let Activations { keep, room, block, first_x, x, inv_rms, x_norm, work, rope: table, sizes, precision, .. } =
        activations;
    let epsilon = config.rms_norm_eps as f32;
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
    let precision = *precision;
    if let Some((mut rest, step)) = blocks {
        let mut input: &mut [f32] = first_x;
        let mut values: &mut [f32] = block;
        for index in 0..config.num_hidden_layers {
            let layer = network.layer(index);
            let here = Block { layer, sizes, shape: &shape, table, epsilon, precision, pool };
            let mut left = Layer::within(values, n, sizes);
            here.attention(input, &mut left, work, batch);
            if index + 1 == config.num_hidden_layers {
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
        for index in 0..config.num_hidden_layers {
            let layer = network.layer(index);
            let here = Block { layer, sizes, shape: &shape, table, epsilon, precision, pool };
            let mut values = Layer::within(block, n, sizes);
            here.attention(first_x, &mut values, work, batch);
            here.feed_forward(&mut values, work, Some(x));
            mem::swap(x, first_x);
        }
        mem::swap(x, first_x);
    }
    rms_norm(pool, x_norm, inv_rms, x, network.norm(), epsilon);
    shape
}

/// One transformer layer.
pub(crate) struct Block<'a> {
    pub(crate) layer: LayerWeights<'a>,
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
        let (pool, &Sizes { c, q, .. }) = (self.pool, self.sizes);
        let (n, beside) = (batch.tokens.len(), &mut work.beside);
        let AttentionShape { heads, kv_heads, .. } = *self.shape;

        rms_norm(pool, &mut work.norm, layer.x_inv_rms, x, self.layer.input_norm(), self.epsilon);
        let x_norm = Matrix::new(&work.norm, n, c);
        self.product(layer.query, Start::Zero, x_norm, Target::Query, beside);
        self.product(layer.key, Start::Zero, x_norm, Target::Key, beside);
        self.product(layer.value, Start::Zero, x_norm, Target::Value, beside);
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
        self.product(layer.h, Start::From(x), Matrix::new(layer.attended, n, q), Target::Output, beside);
    }

    /// gate = Wgate norm(h), up = Wup norm(h), and where it is wanted
    /// out = h + Wdown (silu(gate) * up): a piece of the batch at a time.
    pub(crate) fn feed_forward(&self, layer: &mut Layer<'_>, work: &mut Work, mut out: Option<&mut [f32]>) {
        let (pool, &Sizes { c, f, .. }) = (self.pool, self.sizes);
        for piece in pieces(layer.h_inv_rms.len()) {
            let (n, beside) = (piece.len(), &mut work.beside);
            let (by_c, by_f) = (piece.start * c..piece.end * c, piece.start * f..piece.end * f);
            let (h, norm) = (&layer.h[by_c.clone()], &mut work.norm[..n * c]);
            let (gate, up) = (&mut layer.gate[by_f.clone()], &mut layer.up[by_f]);
            let weight = self.layer.post_attention_norm();
            rms_norm(pool, norm, &mut layer.h_inv_rms[piece], h, weight, self.epsilon);
            let norm = Matrix::new(norm, n, c);
            self.product(gate, Start::Zero, norm, Target::Gate, beside);
            self.product(up, Start::Zero, norm, Target::Up, beside);
            if let Some(out) = &mut out {
                let activated = &mut work.activated[..n * f];
                swiglu(pool, activated, gate, up);
                self.product(&mut out[by_c], Start::From(h), Matrix::new(activated, n, f), Target::Down, beside);
            }
        }
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
