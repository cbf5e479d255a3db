//! What the forward and the backward pass go through: a [`Model`], all of
//! whose weights are learned, or [`Frozen`] weights with [`Adapters`] beside
//! them, which alone are learned.

use kwaya_base::{Error, Result};
use kwaya_math::{Matrix, Pool, Precision, blocks::dequantise_rows, embedding};

use crate::{
    activations::{Activations, Keep, Sizes},
    architecture,
    config::Config,
    lora::{Adapter, Adapters, LayerAdapters, Target},
    model::{LayerRanges, Layout, Model},
    source::{Source, View},
};

/// The weights of a plain Llama as they lie in their files, in any format.
///
/// They are made f32 one layer at a time, when the layer's turn comes, in the
/// forward pass and again in the backward pass: beside the files they take the
/// memory of one layer and of the head.
pub struct Frozen<'a> {
    source: &'a Source,
    config: Config,
    embedding: View<'a>,
    /// In the order of `LayerRanges`.
    layers: Vec<[View<'a>; 9]>,
    /// Where they come to lie.
    ranges: LayerRanges,
    norm: Vec<f32>,
    head: Vec<f32>, // (V, C)
}

impl<'a> Frozen<'a> {
    /// The weights of `source`, checked whole.
    ///
    /// # Errors
    /// What [`Source::check`] says; `lora-family` for a model that is no plain
    /// Llama; `model-not-finite` for weights that are no finite numbers.
    pub fn new(source: &'a Source, pool: &Pool) -> Result<Self> {
        source.check()?;
        let config = source.architecture().config().ok_or_else(|| {
            let family = source.architecture().family.name();
            Error::new("lora-family").path(source.path()).arg("family", family)
        })?;
        let not_finite = |tensor: &str| Error::new("model-not-finite").path(source.path()).arg("tensor", tensor);
        let ranges = LayerRanges::alone(&config);
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        let mut room = vec![0.0; config.layer_parameters() as usize];
        for layer in 0..config.num_hidden_layers {
            let names = LAYER.map(|name| format!("model.layers.{layer}.{name}.weight"));
            let mut views = Vec::with_capacity(names.len());
            for (name, range) in names.iter().zip(ranges.all()) {
                let view = source.tensor(name)?;
                let values = &mut room[range];
                widen(&view, values, pool);
                if !values.iter().all(|value| value.is_finite()) {
                    return Err(not_finite(name));
                }
                views.push(view);
            }
            layers.push(views.try_into().unwrap_or_else(|_| unreachable!("as many views as names")));
        }
        drop(room);
        let mut head = kwaya_math::zeros(config.vocab_size * config.hidden_size);
        // The head comes last and stays; where the two are tied it is both.
        for name in &[architecture::EMBEDDING, architecture::HEAD][usize::from(config.tie_word_embeddings)..] {
            widen(&source.tensor(name)?, &mut head, pool);
            if !head.iter().all(|value| value.is_finite()) {
                return Err(not_finite(name));
            }
        }
        let norm = source.tensor(architecture::NORM)?.values();
        if !norm.iter().all(|value| value.is_finite()) {
            return Err(not_finite(architecture::NORM));
        }
        Ok(Self { source, embedding: source.tensor(architecture::EMBEDDING)?, config, layers, ranges, norm, head })
    }

    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where they are.
    pub fn source(&self) -> &'a Source {
        self.source
    }

    /// The bytes of memory that it takes, beside the files.
    pub fn bytes(config: &Config) -> u64 {
        4 * (config.vocab_size as u64 + 1) * config.hidden_size as u64
    }

    /// A model with these weights and `adapters`, if any, merged into them.
    ///
    /// # Panics
    /// When the adapters are for another model.
    pub fn merged(&self, adapters: Option<&Adapters>, pool: &Pool) -> Model {
        assert!(adapters.is_none_or(|adapters| adapters.fits(&self.config)), "adapters of another model");
        let mut model = Model::zeros(self.config.clone());
        let (ranges, norm) = (model.layout().layers.clone(), model.layout().norm.clone());
        let (embedding, head) = (model.layout().embedding.clone(), model.layout().head.clone());
        let weights = model.weights_mut();
        widen(&self.embedding, &mut weights[embedding], pool);
        weights[head].copy_from_slice(&self.head);
        weights[norm].copy_from_slice(&self.norm);
        for (layer, (views, ranges)) in self.layers.iter().zip(&ranges).enumerate() {
            for (view, range) in views.iter().zip(ranges.all()) {
                widen(view, &mut weights[range], pool);
            }
            for target in adapters.iter().flat_map(|adapters| &adapters.lora().targets) {
                let range = ranges.matrix(*target).clone();
                adapters.expect("there are targets").merge(layer, *target, &mut weights[range], pool);
            }
        }
        model
    }
}

/// The tensors of a layer, in the order of `LayerRanges`.
const LAYER: [&str; 9] = [
    "input_layernorm",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

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
    /// Its sizes.
    pub fn config(self) -> &'a Config {
        match self {
            Self::Whole(model) => &model.config,
            Self::Adapted(frozen, _) => &frozen.config,
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
            Self::Whole(model) => Activations::new(&model.config, rows, tokens_per_row, precision, keep),
            Self::Adapted(frozen, adapters) => {
                Activations::adapted(&frozen.config, adapters.lora(), rows, tokens_per_row, precision, keep)
            }
        }
    }

    /// Memory for [`crate::loss`] and [`crate::logits`] alone, in f32.
    pub fn forward_only(self, rows: usize, tokens_per_row: usize) -> Activations {
        match self {
            Self::Whole(model) => Activations::forward_only(&model.config, rows, tokens_per_row),
            Self::Adapted(frozen, adapters) => {
                Activations::adapted_forward_only(&frozen.config, adapters.lora(), rows, tokens_per_row)
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

    /// The rows of the embedding table that `tokens` name.
    pub(crate) fn embed(self, out: &mut [f32], tokens: &[u32], pool: &Pool) {
        match self {
            Self::Whole(model) => embedding(pool, out, &model.weights()[model.layout().embedding.clone()], tokens),
            Self::Adapted(frozen, _) => {
                let row = |i: usize| frozen.embedding.row(tokens[i] as usize);
                dequantise_rows(pool, frozen.embedding.format, tokens.len(), row, out);
            }
        }
    }

    /// A layer, in `room` if its weights have to be made f32.
    pub(crate) fn layer<'r>(self, index: usize, room: &'r mut [f32], pool: &Pool) -> LayerWeights<'r>
    where
        'a: 'r,
    {
        match self {
            Self::Whole(model) => {
                LayerWeights { weights: model.weights(), ranges: &model.layout().layers[index], adapters: None }
            }
            Self::Adapted(frozen, adapters) => {
                for (view, range) in frozen.layers[index].iter().zip(frozen.ranges.all()) {
                    widen(view, &mut room[range], pool);
                }
                LayerWeights { weights: room, ranges: &frozen.ranges, adapters: Some(adapters.layer(index)) }
            }
        }
    }

    /// (C) the weights of the last norm.
    pub(crate) fn norm(self) -> &'a [f32] {
        match self {
            Self::Whole(model) => &model.weights()[model.layout().norm.clone()],
            Self::Adapted(frozen, _) => &frozen.norm,
        }
    }

    /// (V, C) the weights of the head.
    pub(crate) fn head(self) -> Matrix<'a> {
        let weights = match self {
            Self::Whole(model) => &model.weights()[model.layout().head.clone()],
            Self::Adapted(frozen, _) => &frozen.head,
        };
        Matrix::new(weights, self.config().vocab_size, self.config().hidden_size)
    }
}

/// The weights of one layer.
#[derive(Clone, Copy)]
pub(crate) struct LayerWeights<'a> {
    pub(crate) weights: &'a [f32],
    /// Where each lies in them.
    pub(crate) ranges: &'a LayerRanges,
    /// Where the weights are frozen.
    pub(crate) adapters: Option<LayerAdapters<'a>>,
}

impl<'a> LayerWeights<'a> {
    /// (out, in) the weights of a product.
    pub(crate) fn matrix(&self, target: Target, sizes: &Sizes) -> Matrix<'a> {
        let (rows, cols) = target.shape(sizes);
        Matrix::new(&self.weights[self.ranges.matrix(target).clone()], rows, cols)
    }

    /// What is learned beside them, if anything is.
    pub(crate) fn adapter(&self, target: Target) -> Option<Adapter<'a>> {
        self.adapters?.of(target)
    }

    /// (C)
    pub(crate) fn input_norm(&self) -> &'a [f32] {
        &self.weights[self.ranges.input_norm.clone()]
    }

    /// (C)
    pub(crate) fn post_attention_norm(&self) -> &'a [f32] {
        &self.weights[self.ranges.post_attention_norm.clone()]
    }
}
