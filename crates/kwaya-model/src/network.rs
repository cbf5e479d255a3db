//! What the forward and the backward pass go through: a [`Model`], all of
//! whose weights are learned, or [`Frozen`] weights with [`Adapters`] beside
//! them, which alone are learned.

use std::ops::Range;

use kwaya_base::{Error, Result};
use kwaya_math::{
    Matrix, Pool, Precision,
    blocks::{dequantise, dequantise_rows},
    embedding, scale,
};

use crate::{
    activations::{Activations, Keep, Sizes},
    architecture::{self, Architecture},
    lora::{Adapter, Adapters, LayerAdapters, Rows, Target},
    model::{LayerRanges, Layout, Model, Tensor},
    source::{Source, View},
};

/// The weights of a model as they lie in their files, in any format.
///
/// A matrix is made f32 when it is multiplied with, in the forward pass and
/// again in the backward pass: beside the files they take the memory of one
/// matrix, which stays in the cache, of the head, and of vectors.
pub struct Frozen<'a> {
    source: &'a Source,
    embedding: View<'a>,
    layers: Vec<FrozenLayer<'a>>,
    norm: Vec<f32>,
    head: Vec<f32>, // (V, C)
}

/// One layer of them.
pub(crate) struct FrozenLayer<'a> {
    input_norm: Vec<f32>, // (C)
    /// Of query, key and value, where the family has them.
    biases: Option<[Vec<f32>; 3]>, // (Q), (K), (K)
    /// Of each head of query and key, where the family has them.
    head_norms: Option<[Vec<f32>; 2]>, // (head_dim)
    /// After attention and after the feed-forward layers, where the family
    /// has them.
    post_norms: Option<[Vec<f32>; 2]>, // (C)
    feed_forward_norm: Vec<f32>, // (C)
    /// In the order of [`Target::ALL`].
    matrices: [View<'a>; 7],
}

impl<'a> Frozen<'a> {
    /// The weights of `source`, checked whole.
    ///
    /// # Errors
    /// What [`Source::check`] says; `model-not-finite` for weights that are no
    /// finite numbers.
    pub fn new(source: &'a Source, pool: &Pool) -> Result<Self> {
        source.check()?;
        let (a, sizes) = (source.architecture(), Sizes::of(source.architecture()));
        // Each matrix is made f32 once, for the check alone; the head stays.
        let mut head = kwaya_math::zeros(a.vocab * a.hidden);
        let mut room = vec![0.0; widest(&sizes)];
        let layers = (0..a.layers.len()).map(|layer| {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            let mut matrix = |target: Target| {
                let (rows, cols) = target.shape(&sizes);
                checked(source, &name(&format!("{}.weight", target.place())), &mut room[..rows * cols], pool)
            };
            let matrices = [
                matrix(Target::Query)?,
                matrix(Target::Key)?,
                matrix(Target::Value)?,
                matrix(Target::Output)?,
                matrix(Target::Gate)?,
                matrix(Target::Up)?,
                matrix(Target::Down)?,
            ];
            let norm = |part: &str| vector(source, &name(&format!("{part}.weight")));
            let bias = |part: &str| vector(source, &name(&format!("self_attn.{part}.bias")));
            let pair = |wanted: bool, [one, other]: [&str; 2]| {
                wanted.then(|| Ok::<_, Error>([norm(one)?, norm(other)?])).transpose()
            };
            let biases = a.qkv_bias.then(|| Ok::<_, Error>([bias("q_proj")?, bias("k_proj")?, bias("v_proj")?]));
            let before = if a.post_norms { "pre_feedforward_layernorm" } else { "post_attention_layernorm" };
            Ok(FrozenLayer {
                input_norm: norm("input_layernorm")?,
                biases: biases.transpose()?,
                head_norms: pair(a.qk_norm, ["self_attn.q_norm", "self_attn.k_norm"])?,
                post_norms: pair(a.post_norms, ["post_attention_layernorm", "post_feedforward_layernorm"])?,
                feed_forward_norm: norm(before)?,
                matrices,
            })
        });
        let layers = layers.collect::<Result<_>>()?;
        let embedding = checked(source, architecture::EMBEDDING, &mut head, pool)?;
        if !a.tied {
            checked(source, architecture::HEAD, &mut head, pool)?;
        }
        let norm = vector(source, architecture::NORM)?;
        Ok(Self { source, embedding, layers, norm, head })
    }

    /// What it computes.
    pub fn architecture(&self) -> &'a Architecture {
        self.source.architecture()
    }

    /// (rows, C) of the embedding table.
    pub(crate) fn embedding_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        for (row, out) in rows.zip(out.chunks_mut(self.architecture().hidden)) {
            dequantise(self.embedding.format, self.embedding.row(row), out);
        }
    }

    /// (rows, C) of the head.
    pub(crate) fn head_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        let c = self.architecture().hidden;
        out.copy_from_slice(&self.head[rows.start * c..rows.end * c]);
    }

    /// Where they are.
    pub fn source(&self) -> &'a Source {
        self.source
    }

    /// The bytes of memory that it takes, beside the files: the head and all
    /// vectors.
    pub fn bytes(a: &Architecture) -> u64 {
        let tensors = a.tensors();
        let vectors = tensors.iter().filter(|(_, shape)| shape.len() == 1).map(|(_, shape)| shape[0]);
        4 * (a.vocab * a.hidden + vectors.sum::<usize>()) as u64
    }

    /// A model with these weights and `adapters`, if any, merged into them.
    ///
    /// # Errors
    /// As [`Source::learned_whole`].
    ///
    /// # Panics
    /// When the adapters are for another model.
    pub fn merged(&self, adapters: Option<&Adapters>, pool: &Pool) -> Result<Model> {
        assert!(adapters.is_none_or(|adapters| adapters.fits(self.architecture())), "adapters of another model");
        let mut model = Model::from_source(self.source, pool)?;
        if let Some(adapters) = adapters {
            for Tensor { name, range, .. } in model.tensors().to_vec() {
                adapters.merge_named(&name, &mut model.weights_mut()[range], pool);
            }
        }
        Ok(model)
    }
}

impl Model {
    /// A model with the weights of `source`, which are made f32 and checked
    /// whole.
    ///
    /// # Errors
    /// As [`Frozen::new`], and as [`Source::learned_whole`].
    pub fn from_source(source: &Source, pool: &Pool) -> Result<Self> {
        source.check()?;
        let mut model = Self::of(source.learned_whole()?.clone());
        for Tensor { name, range, .. } in model.tensors().to_vec() {
            checked(source, &name, &mut model.weights_mut()[range], pool)?;
        }
        Ok(model)
    }
}

/// The values of the largest matrix of a layer.
pub(crate) fn widest(sizes: &Sizes) -> usize {
    Target::ALL.map(|target| target.shape(sizes)).map(|(rows, cols)| rows * cols).into_iter().max().unwrap_or(0)
}

/// The tensor `name`, and its values in `room`, which are all finite.
fn checked<'a>(source: &'a Source, name: &str, room: &mut [f32], pool: &Pool) -> Result<View<'a>> {
    let view = source.tensor(name)?;
    widen(&view, room, pool);
    finite(source, name, room).map(|()| view)
}

/// A vector, whose values are all finite.
fn vector(source: &Source, name: &str) -> Result<Vec<f32>> {
    let values = source.tensor(name)?.values();
    finite(source, name, &values).map(|()| values)
}

fn finite(source: &Source, name: &str, values: &[f32]) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::new("model-not-finite").path(source.path()).arg("tensor", name))
}

/// A tensor as f32.
fn widen(view: &View<'_>, out: &mut [f32], pool: &Pool) {
    dequantise_rows(pool, view.format, view.rows, |row| view.row(row), out);
}

/// What a forward pass goes through.
#[derive(Clone, Copy)]
pub enum Network<'a> {
    /// All of whose weights are learned.
    Whole(&'a Model),
    /// Of which the adapters alone are learned. They are for a model of these
    /// sizes.
    Adapted(&'a Frozen<'a>, &'a Adapters),
}

impl<'a> From<&'a Model> for Network<'a> {
    fn from(model: &'a Model) -> Self {
        Self::Whole(model)
    }
}

impl<'a> Network<'a> {
    /// What it computes.
    pub fn architecture(self) -> &'a Architecture {
        match self {
            Self::Whole(model) => model.architecture(),
            Self::Adapted(frozen, _) => frozen.architecture(),
        }
    }

    /// What is learned: the gradient is laid out like it.
    pub fn learned(self) -> &'a [f32] {
        match self {
            Self::Whole(model) => model.weights(),
            Self::Adapted(_, adapters) => adapters.weights(),
        }
    }

    /// Memory for training on batches of up to `rows` x `tokens_per_row`.
    pub fn activations(self, rows: usize, tokens_per_row: usize, precision: Precision, keep: Keep) -> Activations {
        match self {
            Self::Whole(model) => Activations::new(model.architecture(), rows, tokens_per_row, precision, keep),
            Self::Adapted(frozen, adapters) => {
                Activations::adapted(frozen.architecture(), adapters.lora(), rows, tokens_per_row, precision, keep)
            }
        }
    }

    /// Memory for [`crate::loss`] and [`crate::logits`] alone, in f32.
    pub fn forward_only(self, rows: usize, tokens_per_row: usize) -> Activations {
        match self {
            Self::Whole(model) => Activations::forward_only(model.architecture(), rows, tokens_per_row),
            Self::Adapted(frozen, adapters) => {
                Activations::adapted_forward_only(frozen.architecture(), adapters.lora(), rows, tokens_per_row)
            }
        }
    }

    /// Where everything lies, if all of it is learned.
    pub(crate) fn whole(self) -> Option<&'a Layout> {
        match self {
            Self::Whole(model) => Some(model.layout()),
            Self::Adapted(..) => None,
        }
    }

    /// Where the gradient of the first layer begins, and how long each is.
    pub(crate) fn layer_gradients(self) -> (usize, usize) {
        match self {
            Self::Whole(model) => (model.layout().layers_start(), model.layout().layer_length()),
            Self::Adapted(_, adapters) => (0, adapters.layer_length()),
        }
    }

    /// The rows of the embedding table that `tokens` name, as large as the
    /// family has them.
    pub(crate) fn embed(self, out: &mut [f32], tokens: &[u32], pool: &Pool) {
        match self {
            Self::Whole(model) => embedding(pool, out, &model.weights()[model.layout().embedding.clone()], tokens),
            Self::Adapted(frozen, _) => {
                let row = |i: usize| frozen.embedding.row(tokens[i] as usize);
                dequantise_rows(pool, frozen.embedding.format, tokens.len(), row, out);
            }
        }
        if let Some(rows) = self.rows() {
            for (&token, out) in tokens.iter().zip(out.chunks_mut(self.architecture().hidden)) {
                if let Some(place) = rows.place(token) {
                    out.copy_from_slice(&rows.embedding[place]);
                }
            }
        }
        if self.architecture().embedding_scale != 1.0 {
            scale(pool, out, self.architecture().embedding_scale);
        }
    }

    /// Rows of tokens that are learned beside frozen ones.
    pub(crate) fn rows(self) -> Option<Rows<'a>> {
        match self {
            Self::Whole(_) => None,
            Self::Adapted(_, adapters) => adapters.rows(),
        }
    }

    pub(crate) fn layer(self, index: usize) -> LayerWeights<'a> {
        match self {
            Self::Whole(model) => LayerWeights::Whole(model.weights(), &model.layout().layers[index]),
            Self::Adapted(frozen, adapters) => LayerWeights::Frozen(&frozen.layers[index], adapters.layer(index)),
        }
    }

    /// (C) the weights of the last norm.
    pub(crate) fn norm(self) -> &'a [f32] {
        match self {
            Self::Whole(model) => &model.weights()[model.layout().norm.clone()],
            Self::Adapted(frozen, _) => &frozen.norm,
        }
    }

    /// (V, C) the weights of the head, for which those of [`Network::rows`]
    /// stand in.
    pub(crate) fn head(self) -> Matrix<'a> {
        let weights = match self {
            Self::Whole(model) => &model.weights()[model.layout().head.clone()],
            Self::Adapted(frozen, _) => &frozen.head,
        };
        Matrix::new(weights, self.architecture().vocab, self.architecture().hidden)
    }
}

/// The weights of one layer.
#[derive(Clone, Copy)]
pub(crate) enum LayerWeights<'a> {
    /// All weights of the model, and where those of the layer lie in them.
    Whole(&'a [f32], &'a LayerRanges),
    /// With what is learned beside them.
    Frozen(&'a FrozenLayer<'a>, LayerAdapters<'a>),
}

impl<'a> LayerWeights<'a> {
    /// (out, in) the weights of a product, in `room` if they have to be made
    /// f32.
    pub(crate) fn matrix<'r>(&self, target: Target, sizes: &Sizes, room: &'r mut [f32], pool: &Pool) -> Matrix<'r>
    where
        'a: 'r,
    {
        let (rows, cols) = target.shape(sizes);
        match *self {
            Self::Whole(weights, ranges) => Matrix::new(&weights[ranges.matrix(target).clone()], rows, cols),
            Self::Frozen(layer, _) => {
                let room = &mut room[..rows * cols];
                widen(&layer.matrices[target as usize], room, pool);
                Matrix::new(room, rows, cols)
            }
        }
    }

    /// What is learned beside frozen weights.
    pub(crate) fn adapter(&self, target: Target) -> Option<Adapter<'a>> {
        match self {
            Self::Whole(..) => None,
            Self::Frozen(_, adapters) => adapters.of(target),
        }
    }

    /// (C)
    pub(crate) fn input_norm(&self) -> &'a [f32] {
        match *self {
            Self::Whole(weights, ranges) => &weights[ranges.input_norm.clone()],
            Self::Frozen(layer, _) => &layer.input_norm,
        }
    }

    /// (Q), (K), (K)
    pub(crate) fn biases(&self) -> Option<[&'a [f32]; 3]> {
        match *self {
            Self::Whole(weights, ranges) => ranges.biases.as_ref().map(|places| within(weights, places)),
            Self::Frozen(layer, _) => layer.biases.as_ref().map(|biases| biases.each_ref().map(|bias| &bias[..])),
        }
    }

    /// (head_dim) of query and key.
    pub(crate) fn head_norms(&self) -> Option<[&'a [f32]; 2]> {
        match *self {
            Self::Whole(weights, ranges) => ranges.head_norms.as_ref().map(|places| within(weights, places)),
            Self::Frozen(layer, _) => layer.head_norms.as_ref().map(|norms| norms.each_ref().map(|norm| &norm[..])),
        }
    }

    /// (C) after attention and after the feed-forward layers.
    pub(crate) fn post_norms(&self) -> Option<[&'a [f32]; 2]> {
        match *self {
            // No such family is learned whole.
            Self::Whole(..) => None,
            Self::Frozen(layer, _) => layer.post_norms.as_ref().map(|norms| norms.each_ref().map(|norm| &norm[..])),
        }
    }

    /// (C)
    pub(crate) fn feed_forward_norm(&self) -> &'a [f32] {
        match *self {
            Self::Whole(weights, ranges) => &weights[ranges.post_attention_norm.clone()],
            Self::Frozen(layer, _) => &layer.feed_forward_norm,
        }
    }
}

fn within<'a, const N: usize>(weights: &'a [f32], places: &[Range<usize>; N]) -> [&'a [f32]; N] {
    places.each_ref().map(|place| &weights[place.clone()])
}
