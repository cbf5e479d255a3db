//! What a model computes, as data: one definition of the transformer, and the
//! ways in which the families differ from Llama.
//!
//! Llama 2 and 3, Mistral, Qwen 2 and 3 and Gemma 3 are pre-norm decoders with
//! RMS norms, rotary positions, gated feed-forward layers and grouped-query
//! attention. One layer of any of them is
//!
//! ```text
//! h   = x + post_norm(Wo attention(rope(q_norm(Wq norm(x) + bq)), rope(k_norm(Wk norm(x) + bk)), Wv norm(x) + bv))
//! out = h + post_norm(Wdown (activation(Wgate norm(h)) * Wup norm(h)))
//! ```
//!
//! where the biases, the norms of queries and keys, and the post-norms may be
//! absent. The definitions are those of `transformers` 5.24.

mod gguf;
mod hugging_face;
mod rope;

use kwaya_base::{Error, Result};
use kwaya_math::Format;
use serde::Serialize;
use serde_json::Value;

pub use self::rope::{Rope, RopeScaling};
pub(crate) use self::{gguf::stored_name, hugging_face::tokens};
use crate::{
    config::Config,
    gguf::{Gguf, Metadata},
};

/// A family of models: the ones that differ in what is computed.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Llama 1 to 3, SmolLM 2 and all others of that form.
    Llama,
    /// Llama with a sliding window in some versions.
    Mistral,
    /// Qwen 2 and 2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen 3: norms on the queries and keys of each head.
    Qwen3,
    /// The text part of Gemma 3.
    Gemma3,
}

/// What a family fixes, and what `transformers` takes where a configuration is
/// silent.
struct Traits {
    family: Family,
    /// `model_type` in config.json.
    model_types: &'static [&'static str],
    qkv_bias: bool,
    qk_norm: bool,
    post_norms: bool,
    activation: Activation,
    /// Gemma 3 says only in which sizes a model differs from its 4B model.
    sizes: &'static [(&'static str, usize)],
    context: usize,
    theta: f64,
    tied: bool,
    bos: Option<u32>,
    eos: Option<u32>,
    window: Option<usize>,
}

const LLAMA: Traits = Traits {
    family: Family::Llama,
    model_types: &["llama"],
    qkv_bias: false,
    qk_norm: false,
    post_norms: false,
    activation: Activation::Silu,
    sizes: &[],
    context: 2048,
    theta: 1e4,
    tied: false,
    bos: Some(1),
    eos: Some(2),
    window: None,
};

const FAMILIES: [Traits; 5] = [
    LLAMA,
    Traits { family: Family::Mistral, model_types: &["mistral"], context: 131_072, window: Some(4096), ..LLAMA },
    Traits {
        family: Family::Qwen2,
        model_types: &["qwen2"],
        qkv_bias: true,
        context: 32_768,
        bos: None,
        eos: None,
        window: Some(4096),
        ..LLAMA
    },
    Traits {
        family: Family::Qwen3,
        model_types: &["qwen3"],
        qk_norm: true,
        sizes: &[("head_dim", 128)],
        context: 32_768,
        bos: None,
        eos: None,
        window: Some(4096),
        ..LLAMA
    },
    Traits {
        family: Family::Gemma3,
        model_types: &["gemma3_text", "gemma3"],
        qk_norm: true,
        post_norms: true,
        activation: Activation::GeluTanh,
        sizes: &[
            ("vocab_size", 262_208),
            ("hidden_size", 2304),
            ("intermediate_size", 9216),
            ("num_hidden_layers", 26),
            ("num_attention_heads", 8),
            ("num_key_value_heads", 4),
            ("head_dim", 256),
        ],
        context: 131_072,
        theta: 1e6,
        tied: true,
        bos: Some(2),
        eos: Some(1),
        window: Some(4096),
        ..LLAMA
    },
];

impl Family {
    fn traits(self) -> &'static Traits {
        FAMILIES.iter().find(|traits| traits.family == self).expect("each family is in the table")
    }

    /// Its name, which is its first `model_type`.
    pub fn name(self) -> &'static str {
        self.traits().model_types[0]
    }
}

/// The function of the gate in the feed-forward layers.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activation {
    /// x / (1 + exp(-x))
    Silu,
    /// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    GeluTanh,
}

/// What a layer's attention sees.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct LayerAttention {
    /// A token sees itself and the `window - 1` tokens before it; all before
    /// it where there is none.
    pub window: Option<usize>,
    /// Which of [`Architecture::ropes`] turns its queries and keys.
    pub rope: usize,
}

/// Everything that a forward pass needs to know of a model.
#[derive(Serialize, Clone, PartialEq, Debug)]
pub struct Architecture {
    /// Which family it belongs to. What that means is in the other fields; no
    /// forward pass asks for the family.
    pub family: Family,
    /// `V`, the number of different tokens.
    pub vocab: usize,
    /// `C`, the width of the residual stream.
    pub hidden: usize,
    /// `F`, the width of the feed-forward layers.
    pub intermediate: usize,
    /// The layers, each with what its attention sees.
    pub layers: Vec<LayerAttention>,
    /// The number of query heads.
    pub heads: usize,
    /// The number of key and value heads; divides the number of query heads.
    pub kv_heads: usize,
    /// The width of one head; even.
    pub head_dim: usize,
    /// The longest text that the model was made for.
    pub context: usize,
    /// The small number under the root of every RMS norm.
    pub rms_eps: f32,
    /// Whether the output head is the embedding table.
    pub tied: bool,
    /// The token a text begins with.
    pub bos: Option<u32>,
    /// The tokens that end a text, the main one first.
    pub eos: Vec<u32>,
    /// Whether queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Whether each head's query and key go through an RMS norm over head_dim,
    /// before the rotary embedding.
    pub qk_norm: bool,
    /// Whether the outputs of attention and feed-forward go through an RMS
    /// norm each before they are added to the stream.
    pub post_norms: bool,
    /// The function of the gate.
    pub activation: Activation,
    /// What an embedding is multiplied by. Gemma's is the root of `hidden`,
    /// here in f32; where `transformers` runs a model in bfloat16, it rounds
    /// this number to bfloat16 too.
    pub embedding_scale: f32,
    /// What the product of query and key is multiplied by.
    pub attention_scale: f32,
    /// s becomes cap * tanh(s / cap) for a scaled score s, before the softmax.
    pub attention_softcap: Option<f32>,
    /// The same for the logits.
    pub logit_softcap: Option<f32>,
    /// The rotary embeddings that layers name.
    pub ropes: Vec<Rope>,
    /// The licence, where the files state one.
    pub licence: Option<String>,
}

impl Architecture {
    /// Reads and checks the `config.json` of a Hugging Face folder.
    ///
    /// # Errors
    /// `model-config-malformed`; `model-family-unknown`;
    /// `model-config-missing` and `model-config-value`, both naming the key.
    pub fn from_config_json(text: &str) -> Result<Self> {
        hugging_face::read(text)
    }

    /// Reads and checks what a GGUF file says of its model.
    ///
    /// # Errors
    /// `model-family-unknown`; `gguf-key-missing` and `gguf-key-type` for the
    /// keys that every file has; `model-config-missing` and
    /// `model-config-value` for those of the architecture, naming the key.
    pub fn from_gguf(file: &Gguf) -> Result<Self> {
        gguf::read(file).map_err(|error| error.path(file.path()))
    }

    /// The `config.json` that says this, in keys that `transformers` 4 and 5
    /// read, for weights in the numbers of `format`. Read back it is the same
    /// architecture, but for the licence.
    ///
    /// # Errors
    /// `exchange-unsayable` for what such a file cannot say.
    pub fn config_json(&self, format: Format) -> Result<Value> {
        hugging_face::write(self, format)
    }

    /// What a GGUF file says of this, in keys that llama.cpp reads, without
    /// the tokenizer; and the content of `rope_freqs.weight` where there is
    /// that tensor.
    ///
    /// # Errors
    /// `exchange-unsayable` for what such a file cannot say.
    pub fn gguf_metadata(&self) -> Result<(Metadata, Option<Vec<f32>>)> {
        gguf::write(self)
    }

    /// The name that the tensor `name` has in a GGUF file.
    pub fn gguf_name(&self, name: &str) -> String {
        stored_name(name, self.post_norms)
    }

    /// `Q`, the width of all query heads.
    pub fn query_size(&self) -> usize {
        self.heads * self.head_dim
    }

    /// `K`, the width of all key heads, which is that of all value heads.
    pub fn key_value_size(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// The tensors it needs, by the names of Hugging Face, with their shapes,
    /// in the order of the forward pass.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (v, c, f, d) = (self.vocab, self.hidden, self.intermediate, self.head_dim);
        let (q, k) = (self.query_size(), self.key_value_size());
        let mut tensors = vec![(EMBEDDING.to_owned(), vec![v, c])];
        for layer in 0..self.layers.len() {
            let mut place = |wanted: bool, name: &str, shape: &[usize]| {
                if wanted {
                    tensors.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
                }
            };
            place(true, "input_layernorm.weight", &[c]);
            for (name, rows) in [("q", q), ("k", k), ("v", k)] {
                place(true, &format!("self_attn.{name}_proj.weight"), &[rows, c]);
                place(self.qkv_bias, &format!("self_attn.{name}_proj.bias"), &[rows]);
            }
            place(self.qk_norm, "self_attn.q_norm.weight", &[d]);
            place(self.qk_norm, "self_attn.k_norm.weight", &[d]);
            place(true, "self_attn.o_proj.weight", &[c, q]);
            place(true, "post_attention_layernorm.weight", &[c]);
            place(self.post_norms, "pre_feedforward_layernorm.weight", &[c]);
            place(true, "mlp.gate_proj.weight", &[f, c]);
            place(true, "mlp.up_proj.weight", &[f, c]);
            place(true, "mlp.down_proj.weight", &[c, f]);
            place(self.post_norms, "post_feedforward_layernorm.weight", &[c]);
        }
        tensors.push((NORM.to_owned(), vec![c]));
        if !self.tied {
            tensors.push((HEAD.to_owned(), vec![v, c]));
        }
        tensors
    }

    /// The number of weights.
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// The number of weights of the first layer; the others have as many.
    pub(crate) fn layer_parameters(&self) -> u64 {
        let (one, none) = (self.of_layers(1), self.of_layers(0));
        one.parameters() - none.parameters()
    }

    fn of_layers(&self, count: usize) -> Self {
        Self { layers: self.layers[..count].to_vec(), ..self.clone() }
    }

    /// Whether all of its weights can be learned. Beside other families adapters
    /// are learned alone.
    pub fn learned_whole(&self) -> bool {
        let caps = self.attention_softcap.is_some() || self.logit_softcap.is_some();
        !self.post_norms && !caps && self.activation == Activation::Silu && self.embedding_scale == 1.0
    }

    /// Its sizes, as a configuration of Llama has them.
    pub(crate) fn sizes(&self) -> Config {
        Config {
            vocab_size: self.vocab,
            hidden_size: self.hidden,
            intermediate_size: self.intermediate,
            num_hidden_layers: self.layers.len(),
            num_attention_heads: self.heads,
            num_key_value_heads: self.kv_heads,
            head_dim: self.head_dim,
            max_position_embeddings: self.context,
            // 1e-5 in f32 is 0.0000099999997 in f64.
            rms_norm_eps: shortest(self.rms_eps),
            rope_theta: self.ropes[0].theta,
            tie_word_embeddings: self.tied,
            bos_token_id: self.bos,
            eos_token_id: self.eos.first().copied(),
            ..Config::default()
        }
    }

    /// The configuration of a plain Llama, whatever its family is called.
    pub fn config(&self) -> Option<Config> {
        let config = self.sizes();
        let plain =
            Self { family: self.family, licence: self.licence.clone(), eos: self.eos.clone(), ..Self::from(&config) };
        (*self == plain).then_some(config)
    }
}

/// The table with a row for each token that is read.
pub const EMBEDDING: &str = "model.embed_tokens.weight";
pub(crate) const NORM: &str = "model.norm.weight";
/// The table with a row for each token that is said; where the two are tied,
/// there is only the other.
pub const HEAD: &str = "lm_head.weight";

impl From<&Config> for Architecture {
    fn from(config: &Config) -> Self {
        Self {
            family: Family::Llama,
            vocab: config.vocab_size,
            hidden: config.hidden_size,
            intermediate: config.intermediate_size,
            layers: vec![LayerAttention { window: None, rope: 0 }; config.num_hidden_layers],
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
            context: config.max_position_embeddings,
            rms_eps: config.rms_norm_eps as f32,
            tied: config.tie_word_embeddings,
            bos: config.bos_token_id,
            eos: config.eos_token_id.into_iter().collect(),
            qkv_bias: false,
            qk_norm: false,
            post_norms: false,
            activation: Activation::Silu,
            embedding_scale: 1.0,
            attention_scale: inverse_root(config.head_dim as f64),
            attention_softcap: None,
            logit_softcap: None,
            ropes: vec![Rope { theta: config.rope_theta, scaling: RopeScaling::None }],
            licence: None,
        }
    }
}

pub(crate) fn inverse_root(x: f64) -> f32 {
    (1.0 / x.sqrt()) as f32
}

/// The number that a person would have written for this f32.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().expect("a number that was printed")
}

fn unsayable(key: &'static str) -> Error {
    Error::new("exchange-unsayable").arg("key", key)
}

fn unknown_family(name: &str) -> Error {
    // The name may come from an untrusted file: quote no more than a line.
    let name: String = name.chars().take(80).collect();
    let known = FAMILIES.map(|traits| traits.model_types[0]).join(", ");
    Error::new("model-family-unknown").arg("family", name).arg("known", known)
}
