//! The weights: one flat buffer, a table of the tensors in it, and the folder
//! it is kept in.

use std::{collections::BTreeMap, ops::Range, path::Path};

use kwaya_base::{Error, Result, files};
use kwaya_math::{Format, Pool, philox};
use safetensors::Dtype;
use serde::Serialize;

use crate::{
    architecture::{Architecture, EMBEDDING, HEAD, NORM},
    config::Config,
    lora::Target,
    tensors,
};

/// The random numbers of fresh weights: the stage of tensor `i` is this + `i`.
const INITIAL_WEIGHTS: u32 = 1 << 16;

/// Where a tensor lies in [`Model::weights`].
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name that Hugging Face gives it.
    pub name: String,
    /// (out, in) for a matrix, (C) for a norm.
    pub shape: Vec<usize>,
    /// Its place among the weights, counted in values.
    pub range: Range<usize>,
    /// Whether weight decay applies: to matrices, not to norms.
    pub decays: bool,
}

/// The places of one layer's tensors.
#[derive(Clone)]
pub(crate) struct LayerRanges {
    pub(crate) input_norm: Range<usize>,
    pub(crate) query: Range<usize>,
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
    pub(crate) output: Range<usize>,
    pub(crate) post_attention_norm: Range<usize>,
    pub(crate) gate: Range<usize>,
    pub(crate) up: Range<usize>,
    pub(crate) down: Range<usize>,
    /// Of query, key and value, where the family has them.
    pub(crate) biases: Option<[Range<usize>; 3]>,
    /// Of each head of query and key, where the family has them.
    pub(crate) head_norms: Option<[Range<usize>; 2]>,
}

impl LayerRanges {
    pub(crate) fn matrix(&self, target: Target) -> &Range<usize> {
        match target {
            Target::Query => &self.query,
            Target::Key => &self.key,
            Target::Value => &self.value,
            Target::Output => &self.output,
            Target::Gate => &self.gate,
            Target::Up => &self.up,
            Target::Down => &self.down,
        }
    }
}

/// The places of all tensors, by what they are for.
pub(crate) struct Layout {
    pub(crate) embedding: Range<usize>,
    pub(crate) layers: Vec<LayerRanges>,
    pub(crate) norm: Range<usize>,
    /// The embedding table itself where the two are tied.
    pub(crate) head: Range<usize>,
}

impl Layout {
    /// Where the first layer begins.
    pub(crate) fn layers_start(&self) -> usize {
        self.embedding.end
    }

    /// How many weights a layer has; the next layer begins after them.
    pub(crate) fn layer_length(&self) -> usize {
        (self.norm.start - self.embedding.end) / self.layers.len()
    }
}

/// A model all of whose weights are learned: a Llama, or one that differs from
/// it in what [`Architecture::learned_whole`] allows.
pub struct Model {
    /// Its sizes; of a plain Llama all that there is to say.
    pub config: Config,
    architecture: Architecture,
    weights: Vec<f32>,
    tensors: Vec<Tensor>,
    layout: Layout,
}

impl Model {
    /// A model with every weight 0.
    ///
    /// # Panics
    /// When the configuration is not valid: [`Config::validate`] comes first.
    pub fn zeros(config: Config) -> Self {
        config.validate().expect("a valid configuration");
        let architecture = Architecture::from(&config);
        Self { config, ..Self::of(architecture) }
    }

    /// A model of any architecture that can be learned whole, with every weight 0.
    ///
    /// # Panics
    /// When it cannot.
    pub fn of(architecture: Architecture) -> Self {
        assert!(architecture.learned_whole(), "a model of which adapters alone are learned");
        let (tensors, layout) = lay_out(&architecture);
        let length = tensors.last().map_or(0, |tensor| tensor.range.end);
        Self { config: architecture.sizes(), architecture, weights: kwaya_math::zeros(length), tensors, layout }
    }

    /// A fresh model. Matrices are normal with deviation `initializer_range`;
    /// the two that write into the residual stream are smaller by
    /// 1/sqrt(2 layers), so that the stream keeps its size with depth
    /// (Radford et al. 2019); norms are 1.
    ///
    /// # Panics
    /// As [`Model::zeros`].
    pub fn random(config: Config, seed: u64, pool: &Pool) -> Self {
        let deviation = config.initializer_range;
        Self::zeros(config).randomised(deviation, seed, pool)
    }

    /// The same for a model that is there; vectors of any kind become 1.
    #[must_use]
    pub fn randomised(mut self, deviation: f64, seed: u64, pool: &Pool) -> Self {
        let deviation = deviation as f32;
        let residual = deviation / ((2 * self.layout.layers.len()) as f32).sqrt();
        for (stage, tensor) in (INITIAL_WEIGHTS..).zip(&self.tensors) {
            let weights = &mut self.weights[tensor.range.clone()];
            if !tensor.decays {
                weights.fill(1.0);
            } else if tensor.name.ends_with("o_proj.weight") || tensor.name.ends_with("down_proj.weight") {
                philox::fill_normal(pool, weights, residual, seed, stage);
            } else {
                philox::fill_normal(pool, weights, deviation, seed, stage);
            }
        }
        self
    }

    /// Reads `config.json` and `model.safetensors` from a folder in Hugging
    /// Face layout. The files may come from anywhere: sizes, types and names
    /// are checked before memory is taken.
    ///
    /// # Errors
    /// Naming the file and what is wrong with it.
    pub fn load(folder: &Path) -> Result<Self> {
        let config = Config::read(&folder.join("config.json"))?;
        let path = &folder.join("model.safetensors");
        let mapped = tensors::Mapped::open(path)?;
        let file = mapped.read(path)?;
        // Compared before `zeros` takes memory: what a configuration claims
        // must be in the file. `parameters` cannot overflow within the
        // bounds, and the file is as long as its tensors say.
        let bytes: usize = file.iter().map(|(_, view)| view.data().len()).sum();
        if config.parameters() * 4 > bytes as u64 {
            let needed = config.parameters() * 4;
            return Err(Error::new("model-too-short").path(path).arg("bytes", bytes).arg("needed", needed));
        }
        let mut model = Self::zeros(config);
        for tensor in &model.tensors {
            let view = file
                .tensor(&tensor.name)
                .map_err(|e| Error::new("model-tensor-missing").path(path).arg("tensor", &tensor.name).source(e))?;
            if view.dtype() != Dtype::F32 || view.shape() != tensor.shape {
                return Err(Error::new("model-tensor-wrong")
                    .path(path)
                    .arg("tensor", &tensor.name)
                    .arg("found", format!("{:?} {:?}", view.dtype(), view.shape()))
                    .arg("expected", format!("F32 {:?}", tensor.shape)));
            }
            tensors::read_values(&mut model.weights[tensor.range.clone()], view.data());
        }
        Ok(model)
    }

    /// Writes `model.safetensors`, `generation_config.json` and `config.json`
    /// durably into `folder`, which exists. The same model gives the same
    /// bytes. The configuration comes last: a folder that has one is whole.
    ///
    /// # Errors
    /// When a file cannot be written; `exchange-unsayable` for what a
    /// configuration cannot say.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let mut sorted: Vec<&Tensor> = self.tensors.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let entries: Vec<tensors::Entry<'_>> =
            sorted.iter().map(|t| (&*t.name, &*t.shape, &self.weights[t.range.clone()])).collect();
        // Without this entry `transformers` does not load the file.
        let metadata = BTreeMap::from([("format", "pt".to_owned())]);
        tensors::write(&folder.join("model.safetensors"), &metadata, &entries)?;
        let generation =
            BTreeMap::from([("bos_token_id", self.config.bos_token_id), ("eos_token_id", self.config.eos_token_id)]);
        write_json(&folder.join("generation_config.json"), &generation)?;
        let path = folder.join("config.json");
        match self.architecture.config() {
            Some(_) => write_json(&path, &self.config),
            None => write_json(&path, &self.architecture.config_json(Format::F32)?),
        }
    }

    /// All weights, in the order of [`Model::tensors`].
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// All weights, to be changed.
    pub fn weights_mut(&mut self) -> &mut [f32] {
        &mut self.weights
    }

    /// The table of tensors, in the order of the forward pass.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// What it computes.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).expect("names and numbers become JSON");
    text.push('\n');
    files::write(path, text.as_bytes())
}

/// Lays the tensors one after the other, in the order of the forward pass.
fn lay_out(a: &Architecture) -> (Vec<Tensor>, Layout) {
    let mut end = 0;
    let tensors = a.tensors().into_iter().map(|(name, shape)| {
        let start = end;
        end += shape.iter().product::<usize>();
        Tensor { name, range: start..end, decays: shape.len() > 1, shape }
    });
    let tensors: Vec<Tensor> = tensors.collect();
    let places: BTreeMap<&str, &Range<usize>> = tensors.iter().map(|tensor| (&*tensor.name, &tensor.range)).collect();
    let place = |name: &str| places[name].clone();
    let layers = (0..a.layers.len()).map(|layer| {
        let place = |name: &str| place(&format!("model.layers.{layer}.{name}"));
        let bias = |name: &str| place(&format!("self_attn.{name}_proj.bias"));
        LayerRanges {
            input_norm: place("input_layernorm.weight"),
            query: place("self_attn.q_proj.weight"),
            key: place("self_attn.k_proj.weight"),
            value: place("self_attn.v_proj.weight"),
            output: place("self_attn.o_proj.weight"),
            post_attention_norm: place("post_attention_layernorm.weight"),
            gate: place("mlp.gate_proj.weight"),
            up: place("mlp.up_proj.weight"),
            down: place("mlp.down_proj.weight"),
            biases: a.qkv_bias.then(|| ["q", "k", "v"].map(bias)),
            head_norms: a.qk_norm.then(|| ["self_attn.q_norm.weight", "self_attn.k_norm.weight"].map(place)),
        }
    });
    let layers = layers.collect();
    let (embedding, norm) = (place(EMBEDDING), place(NORM));
    let head = if a.tied { embedding.clone() } else { place(HEAD) };
    (tensors, Layout { embedding, layers, norm, head })
}
