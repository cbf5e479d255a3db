//! Low-rank adapters (Hu et al. 2021, "LoRA",
//! <https://arxiv.org/abs/2106.09685>): the weights W (out, in) of a product
//! stay as they are, and two thin matrices beside them are learned:
//!
//! ```text
//! y = x Wᵗ + s (x Aᵗ) Bᵗ        A (rank, in), B (out, rank), s = alpha / rank
//! ```
//!
//! A begins random and B at 0, so that at first nothing is changed. All
//! adapters lie in one buffer, layer after layer, as the weights of a
//! [`crate::Model`] do, so that a training treats both alike.
//!
//! Where tokens were added to a vocabulary, their rows of the embedding table
//! and of the head can be learned as well, in place of those of the base. They
//! lie after the layers.

use std::ops::Range;

use kwaya_base::Result;
use kwaya_math::{Matrix, Pool, Precision, Start, add_assign, matmul, philox::Stream, scale};
use serde::{Deserialize, Serialize};

use crate::{
    activations::Sizes,
    architecture::{Architecture, EMBEDDING, HEAD},
    model::Tensor,
    network::Frozen,
};

/// The random numbers of fresh adapters: the stage of tensor `i` is this + `i`.
const INITIAL_ADAPTERS: u32 = 6 << 16;

/// Beyond this an adapter is no longer low: a matrix of most models has as
/// many rows.
const RANK_MAX: usize = 1 << 12;
/// Bounds that keep `s` and what it multiplies inside f32.
const ALPHA: (f64, f64) = (1e-6, 1e6);
/// More than were ever added to a vocabulary; adapters name each of them.
pub(crate) const TOKENS_MAX: u32 = 1 << 18;

/// What PEFT adds to the name of a table of which rows are learned.
const ROWS: &str = ".token_adapter.trainable_tokens_delta";

/// A product of a layer, whose weights are a matrix.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// From the stream to queries.
    #[serde(rename = "q_proj")]
    Query,
    /// From the stream to keys.
    #[serde(rename = "k_proj")]
    Key,
    /// From the stream to values.
    #[serde(rename = "v_proj")]
    Value,
    /// From what was attended to, back to the stream.
    #[serde(rename = "o_proj")]
    Output,
    /// From the stream to the gate.
    #[serde(rename = "gate_proj")]
    Gate,
    /// From the stream to what is gated.
    #[serde(rename = "up_proj")]
    Up,
    /// From the feed-forward layer back to the stream.
    #[serde(rename = "down_proj")]
    Down,
}

impl Target {
    /// All, in the order of the forward pass.
    pub const ALL: [Self; 7] = [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// What Hugging Face calls it.
    pub fn name(self) -> &'static str {
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"][self as usize]
    }

    /// The target of that [`Target::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// With the part of the layer that it is in.
    pub(crate) fn place(self) -> String {
        let part = if self < Self::Gate { "self_attn" } else { "mlp" };
        format!("{part}.{}", self.name())
    }

    /// (out, in) of its matrix.
    pub(crate) fn shape(self, &Sizes { c, q, k, f, .. }: &Sizes) -> (usize, usize) {
        match self {
            Self::Query => (q, c),
            Self::Key | Self::Value => (k, c),
            Self::Output => (c, q),
            Self::Gate | Self::Up => (f, c),
            Self::Down => (c, f),
        }
    }
}

/// What adapters there are, and how wide.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Lora {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// What `s` is, times the rank.
    pub alpha: f32,
    /// Which products of each layer have one, in the order of
    /// [`Target::ALL`], each once.
    pub targets: Vec<Target>,
    /// The tokens whose rows of the embedding table, and of the head where it
    /// is another, are learned too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

/// Tokens that follow one another.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tokens {
    /// The first of them.
    pub first: u32,
    /// How many there are, one at least.
    pub count: u32,
}

impl Tokens {
    pub(crate) fn range(self) -> Range<usize> {
        self.first as usize..self.first as usize + self.count as usize
    }
}

impl Lora {
    /// Checks the numbers.
    ///
    /// # Errors
    /// `lora-value`, naming the number and what is possible.
    pub fn validate(&self) -> Result<()> {
        let refuse = |key, value: String, possible: String| Err(lora_value(key, &value, &possible));
        if !(1..=RANK_MAX).contains(&self.rank) {
            return refuse("rank", self.rank.to_string(), format!("1 - {RANK_MAX}"));
        }
        if !(ALPHA.0..=ALPHA.1).contains(&f64::from(self.alpha)) {
            return refuse("alpha", self.alpha.to_string(), format!("{} - {}", ALPHA.0, ALPHA.1));
        }
        if self.targets.is_empty() || !self.targets.is_sorted_by(|a, b| a < b) {
            let names: Vec<&str> = self.targets.iter().map(|target| target.name()).collect();
            return refuse("targets", names.join(", "), Target::ALL.map(Target::name).join(", "));
        }
        if let Some(Tokens { count, .. }) = self.tokens
            && !(1..=TOKENS_MAX).contains(&count)
        {
            return refuse("tokens", count.to_string(), format!("1 - {TOKENS_MAX}"));
        }
        Ok(())
    }

    /// Whether a model of these sizes has the tokens.
    fn tokens_fit(&self, a: &Architecture) -> bool {
        self.tokens.is_none_or(|tokens| tokens.range().end <= a.vocab)
    }

    /// How many numbers the adapters of one layer have.
    fn layer_parameters(&self, a: &Architecture) -> usize {
        let sizes = Sizes::of(a);
        let shapes = self.targets.iter().map(|target| target.shape(&sizes));
        shapes.map(|(rows, cols)| self.rank * (rows + cols)).sum()
    }

    /// How many numbers are learned.
    pub fn parameters(&self, a: &Architecture) -> u64 {
        let rows = self.tokens.map_or(0, |tokens| tokens.count as usize) * tables(a).len();
        a.layers.len() as u64 * self.layer_parameters(a) as u64 + (rows * a.hidden) as u64
    }
}

/// The tables that have a row for each token.
fn tables(a: &Architecture) -> &'static [&'static str] {
    if a.tied { &[EMBEDDING] } else { &[EMBEDDING, HEAD] }
}

/// Adapters for all layers of a model.
#[derive(Clone)]
pub struct Adapters {
    lora: Lora,
    weights: Vec<f32>,
    tensors: Vec<Tensor>,
    /// Where A and B of each target begin among those of a layer.
    places: [Option<(Range<usize>, Range<usize>)>; 7],
    layer_length: usize,
    layers: usize,
    /// Where the learned rows of the embedding table lie, and those of the
    /// head: the same place where the two are tied.
    rows: Option<[Range<usize>; 2]>,
}

impl Adapters {
    /// Adapters with every number 0.
    ///
    /// # Panics
    /// When the numbers are not valid, which [`Lora::validate`] tells, or the
    /// model lacks the tokens.
    pub fn zeros(a: &Architecture, lora: Lora) -> Self {
        lora.validate().expect("valid adapters");
        assert!(lora.tokens_fit(a), "adapters: {:?} in a vocabulary of {}", lora.tokens, a.vocab);
        let (rank, sizes) = (lora.rank, Sizes::of(a));
        let mut places = [const { None }; 7];
        let mut end = 0;
        let mut take = |values: usize| {
            end += values;
            end - values..end
        };
        for &target in &lora.targets {
            let (rows, cols) = target.shape(&sizes);
            places[target as usize] = Some((take(rank * cols), take(rows * rank)));
        }
        let layer_length = end;
        let mut tensors = Vec::new();
        for layer in 0..a.layers.len() {
            for &target in &lora.targets {
                let (rows, cols) = target.shape(&sizes);
                let (of_a, of_b) = places[target as usize].clone().expect("each target has a place");
                for (name, shape, range) in [("A", [rank, cols], of_a), ("B", [rows, rank], of_b)] {
                    let name = format!("model.layers.{layer}.{}.lora_{name}.weight", target.place());
                    let start = layer * layer_length;
                    let range = start + range.start..start + range.end;
                    tensors.push(Tensor { name, shape: shape.to_vec(), range, decays: true });
                }
            }
        }
        let layers = a.layers.len();
        let rows = lora.tokens.map(|Tokens { count, .. }| {
            let (count, c) = (count as usize, a.hidden);
            let mut end = layers * layer_length;
            let places: Vec<Range<usize>> = (tables(a).iter())
                .map(|table| {
                    let name = table.replace(".weight", ROWS);
                    let range = end..end + count * c;
                    end = range.end;
                    tensors.push(Tensor { name, shape: vec![count, c], range: range.clone(), decays: false });
                    range
                })
                .collect();
            [&places[0], &places[places.len() - 1]].map(Range::clone)
        });
        let weights = kwaya_math::zeros(tensors.last().map_or(0, |tensor| tensor.range.end));
        Self { lora, weights, tensors, places, layer_length, layers, rows }
    }

    /// Fresh adapters, as PEFT makes them: A uniform between plus and minus
    /// 1/sqrt(in) (He et al. 2015, with a = sqrt(5)), B at 0. So are rows of
    /// tokens, for which [`Adapters::fresh`] is there.
    ///
    /// # Panics
    /// As [`Adapters::zeros`].
    pub fn random(a: &Architecture, lora: Lora, seed: u64) -> Self {
        let mut adapters = Self::zeros(a, lora);
        for (stage, tensor) in (INITIAL_ADAPTERS..).zip(&adapters.tensors) {
            if tensor.name.ends_with("lora_A.weight") {
                let cols = tensor.shape[1];
                let bound = 1.0 / (cols as f32).sqrt();
                for (row, values) in (0..).zip(adapters.weights[tensor.range.clone()].chunks_mut(cols)) {
                    let mut stream = Stream::new(seed, stage, row);
                    values.fill_with(|| (2.0 * stream.next_f32() - 1.0) * bound);
                }
            }
        }
        adapters
    }

    /// Adapters to begin with beside `frozen` weights: random ones, and rows of
    /// tokens as they are there. At first nothing is changed.
    ///
    /// # Panics
    /// As [`Adapters::zeros`].
    pub fn fresh(frozen: &Frozen<'_>, lora: Lora, seed: u64) -> Self {
        let mut adapters = Self::random(frozen.architecture(), lora, seed);
        if let (Some(tokens), Some([embedding, head])) = (adapters.lora.tokens, adapters.rows.clone()) {
            // Where both are in one place they are equal.
            frozen.head_rows(tokens.range(), &mut adapters.weights[head]);
            frozen.embedding_rows(tokens.range(), &mut adapters.weights[embedding]);
        }
        adapters
    }

    /// The rows of tokens, if there are any.
    pub(crate) fn rows(&self) -> Option<Rows<'_>> {
        let (tokens, places) = (self.lora.tokens?.range(), self.rows.as_ref()?);
        let [embedding, head] = places.each_ref().map(|place| &self.weights[place.clone()]);
        Some(Rows { tokens, embedding, head, places })
    }

    /// What they are.
    pub fn lora(&self) -> &Lora {
        &self.lora
    }

    /// All their numbers, in the order of [`Adapters::tensors`].
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// All their numbers, to be changed.
    pub fn weights_mut(&mut self) -> &mut [f32] {
        &mut self.weights
    }

    /// The table of their tensors, in the order of the forward pass; with the
    /// names that PEFT gives them, without the `base_model.model.` in front.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Whether they are for a model of these sizes.
    pub fn fits(&self, a: &Architecture) -> bool {
        let (rank, sizes) = (self.lora.rank, Sizes::of(a));
        let mut places = self.lora.targets.iter().zip(self.places.iter().flatten());
        self.layers == a.layers.len()
            && self.lora.parameters(a) == self.weights.len() as u64
            && self.lora.tokens_fit(a)
            && places.all(|(target, (a, b))| {
                let (rows, cols) = target.shape(&sizes);
                (a.len(), b.len()) == (rank * cols, rank * rows)
            })
    }

    /// Makes `values`, which are those of the tensor that Hugging Face calls
    /// `name`, into what alone gives what both give: W + s B A, or the table
    /// with the learned rows in it. False where nothing is learned of the
    /// tensor: the values stay as they are.
    ///
    /// # Panics
    /// When the values are not as many as the tensor has.
    pub fn merge_named(&self, name: &str, values: &mut [f32], pool: &Pool) -> bool {
        if let Some(Adapter { a, b, scale: s }) = self.adapter_of(name) {
            let mut delta = vec![0.0; values.len()];
            matmul(pool, &mut delta, Start::Zero, b, a, Precision::F32);
            scale(pool, &mut delta, s);
            add_assign(pool, values, &delta);
            return true;
        }
        let Some(rows) = self.rows() else { return false };
        let learned = match name {
            EMBEDDING => rows.embedding,
            HEAD => rows.head,
            _ => return false,
        };
        let c = learned.len() / rows.tokens.len();
        assert!(values.len().is_multiple_of(c), "merge: {} values in rows of {c}", values.len());
        values[rows.tokens.start * c..rows.tokens.end * c].copy_from_slice(learned);
        true
    }

    /// The adapter of the tensor that Hugging Face calls `name`.
    fn adapter_of(&self, name: &str) -> Option<Adapter<'_>> {
        let (layer, part) = name.strip_prefix("model.layers.")?.strip_suffix(".weight")?.split_once('.')?;
        let target = Target::ALL.into_iter().find(|target| target.place() == part)?;
        let layer = layer.parse().ok().filter(|&layer| layer < self.layers)?;
        self.layer(layer).of(target)
    }

    /// How many numbers the adapters of one layer have.
    pub(crate) fn layer_length(&self) -> usize {
        self.layer_length
    }

    pub(crate) fn layer(&self, layer: usize) -> LayerAdapters<'_> {
        LayerAdapters {
            weights: &self.weights[layer * self.layer_length..][..self.layer_length],
            places: &self.places,
            rank: self.lora.rank,
            scale: self.lora.alpha / self.lora.rank as f32,
        }
    }
}

/// Rows of tokens that are learned.
pub(crate) struct Rows<'a> {
    /// The tokens.
    pub(crate) tokens: Range<usize>,
    pub(crate) embedding: &'a [f32], // (count, C)
    pub(crate) head: &'a [f32],      // (count, C)
    /// Where the two lie among what is learned: in one place where the head is
    /// the embedding table.
    pub(crate) places: &'a [Range<usize>; 2],
}

impl<'a> Rows<'a> {
    /// Their rows of the head.
    pub(crate) fn head(&self) -> Matrix<'a> {
        let count = self.tokens.len();
        Matrix::new(self.head, count, self.head.len() / count)
    }

    /// The values of the row of `token` in a table of these rows alone.
    pub(crate) fn place(&self, token: u32) -> Option<Range<usize>> {
        let c = self.head.len() / self.tokens.len();
        let row = (token as usize).checked_sub(self.tokens.start).filter(|&row| row < self.tokens.len())?;
        Some(row * c..(row + 1) * c)
    }
}

/// The adapters of one layer.
#[derive(Clone, Copy)]
pub(crate) struct LayerAdapters<'a> {
    weights: &'a [f32],
    places: &'a [Option<(Range<usize>, Range<usize>)>; 7],
    rank: usize,
    scale: f32,
}

/// One adapter.
pub(crate) struct Adapter<'a> {
    pub(crate) a: Matrix<'a>, // (rank, in)
    pub(crate) b: Matrix<'a>, // (out, rank)
    /// `s`
    pub(crate) scale: f32,
}

impl<'a> LayerAdapters<'a> {
    /// That of a product, if it has one.
    pub(crate) fn of(&self, target: Target) -> Option<Adapter<'a>> {
        let (a, b) = self.place(target)?;
        let (a, b) = (&self.weights[a.clone()], &self.weights[b.clone()]);
        let rank = self.rank;
        Some(Adapter {
            a: Matrix::new(a, rank, a.len() / rank),
            b: Matrix::new(b, b.len() / rank, rank),
            scale: self.scale,
        })
    }

    /// Where its A and B lie among the numbers of the layer.
    pub(crate) fn place(&self, target: Target) -> Option<&'a (Range<usize>, Range<usize>)> {
        self.places[target as usize].as_ref()
    }
}

pub(crate) fn lora_value(key: &str, value: &str, possible: &str) -> kwaya_base::Error {
    // The value may come from an untrusted file: quote no more than a line.
    let value: String = value.chars().take(80).collect();
    kwaya_base::Error::usage("lora-value").arg("key", key).arg("value", value).arg("possible", possible)
}
