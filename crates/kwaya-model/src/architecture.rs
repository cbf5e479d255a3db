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

use kwaya_base::{Error, Result};
use kwaya_math::scalar;
use serde_json::{Map, Value};

use crate::config::{Config, RMS_EPS, ROPE_THETA, check_number, largest, refuse};

/// A family of models: the ones that differ in what is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// `general.architecture` in GGUF.
    gguf: &'static str,
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
    gguf: "llama",
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
    Traits {
        family: Family::Mistral,
        model_types: &["mistral"],
        gguf: "mistral",
        context: 131_072,
        window: Some(4096),
        ..LLAMA
    },
    Traits {
        family: Family::Qwen2,
        model_types: &["qwen2"],
        gguf: "qwen2",
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
        gguf: "qwen3",
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
        gguf: "gemma3",
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activation {
    /// x / (1 + exp(-x))
    Silu,
    /// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    GeluTanh,
}

/// What a layer's attention sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LayerAttention {
    /// A token sees itself and the `window - 1` tokens before it; all before
    /// it where there is none.
    pub window: Option<usize>,
    /// Which of [`Architecture::ropes`] turns its queries and keys.
    pub rope: usize,
}

/// The frequencies of one rotary embedding.
#[derive(Clone, PartialEq, Debug)]
pub struct Rope {
    /// The base of the frequencies.
    pub theta: f64,
    /// How they are changed for longer texts.
    pub scaling: RopeScaling,
}

/// How rotary frequencies are changed for texts longer than those of the
/// first training.
#[derive(Clone, PartialEq, Debug)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Each frequency is divided by this.
    Linear(f64),
    /// Low frequencies are divided by `factor`, high ones stay, and those
    /// between are mixed (Llama 3.1).
    Llama3 {
        /// What low frequencies are divided by.
        factor: f64,
        /// Frequencies that turn fewer times than this in the context are low.
        low_freq_factor: f64,
        /// Those that turn more times than this are high.
        high_freq_factor: f64,
        /// The context of the first training.
        original_context: usize,
    },
    /// Each frequency is divided by a number of its own: `rope_freqs.weight`
    /// in the GGUF of a Llama 3.
    Factors(Vec<f32>),
}

impl Rope {
    /// The head_dim / 2 inverse frequencies, in f32 as `transformers` has
    /// them: dimension pair i turns by position times frequency i.
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        let plain = (0..head_dim / 2).map(|i| {
            let power = scalar::exp2((2 * i) as f64 / head_dim as f64 * scalar::log2(self.theta));
            1.0 / power as f32
        });
        match &self.scaling {
            RopeScaling::None => plain.collect(),
            RopeScaling::Linear(factor) => plain.map(|f| f / *factor as f32).collect(),
            RopeScaling::Factors(factors) => plain.zip(factors).map(|(f, factor)| f / factor).collect(),
            &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                let context = original_context as f32;
                let (factor, low, high) = (factor as f32, low_freq_factor as f32, high_freq_factor as f32);
                plain
                    .map(|f| {
                        let wavelength = 2.0 * std::f32::consts::PI / f;
                        if wavelength > context / low {
                            f / factor
                        } else if wavelength < context / high {
                            f
                        } else {
                            let smooth = (context / wavelength - low) / (high - low);
                            (1.0 - smooth) * f / factor + smooth * f
                        }
                    })
                    .collect()
            }
        }
    }
}

/// Everything that a forward pass needs to know of a model.
#[derive(Clone, PartialEq, Debug)]
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
        let malformed = |error| Error::new("model-config-malformed").arg("cause", &error).source(error);
        let outer: Map<String, Value> = serde_json::from_str(text).map_err(malformed)?;
        Reader::new(&outer)?.read()
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

    /// The configuration for the training engine, where it can train this: a
    /// plain Llama, whatever its family is called.
    pub fn config(&self) -> Option<Config> {
        let [Rope { theta, scaling: RopeScaling::None }] = self.ropes[..] else { return None };
        let mut config = Config {
            vocab_size: self.vocab,
            hidden_size: self.hidden,
            intermediate_size: self.intermediate,
            num_hidden_layers: self.layers.len(),
            num_attention_heads: self.heads,
            num_key_value_heads: self.kv_heads,
            head_dim: self.head_dim,
            max_position_embeddings: self.context,
            rms_norm_eps: f64::from(self.rms_eps),
            rope_theta: theta,
            tie_word_embeddings: self.tied,
            bos_token_id: self.bos,
            eos_token_id: self.eos.first().copied(),
            ..Config::default()
        };
        // 1e-5 in f32 is 0.0000099999997 in f64: the shortest number that
        // gives the same f32 is the one that somebody wrote.
        config.rms_norm_eps = self.rms_eps.to_string().parse().expect("a number that was printed");
        let plain =
            Self { family: self.family, licence: self.licence.clone(), eos: self.eos.clone(), ..Self::from(&config) };
        (*self == plain).then_some(config)
    }
}

pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(crate) const NORM: &str = "model.norm.weight";
pub(crate) const HEAD: &str = "lm_head.weight";

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

fn inverse_root(x: f64) -> f32 {
    (1.0 / x.sqrt()) as f32
}

/// Reads a configuration in the keys of Hugging Face.
struct Reader<'a> {
    traits: &'static Traits,
    map: &'a Map<String, Value>,
    /// Gemma 3 with its eyes has the text part inside; some keys stand outside.
    outer: &'a Map<String, Value>,
    /// What a message calls a key, where that is not its name here.
    labels: &'a [(&'static str, String)],
}

impl<'a> Reader<'a> {
    fn new(outer: &'a Map<String, Value>) -> Result<Self> {
        let name = match outer.get("model_type") {
            Some(Value::String(name)) => name,
            Some(other) => return refuse("model_type", &other.to_string(), &known_families()),
            None => return Err(Error::new("model-config-missing").arg("key", "model_type")),
        };
        let traits = FAMILIES.iter().find(|traits| traits.model_types.contains(&name.as_str()));
        let traits = traits.ok_or_else(|| unknown_family(name))?;
        let map = match outer.get("text_config") {
            _ if name != "gemma3" => outer,
            Some(Value::Object(inner)) => inner,
            Some(other) => return refuse("text_config", &other.to_string(), "{...}"),
            None => return Err(Error::new("model-config-missing").arg("key", "text_config")),
        };
        Ok(Self { traits, map, outer, labels: &[] })
    }

    fn read(&self) -> Result<Architecture> {
        self.refuse_unsupported()?;
        let vocab = self.size("vocab_size", None)?;
        let hidden = self.size("hidden_size", None)?;
        let heads = self.size("num_attention_heads", None)?;
        let kv_heads = self.size("num_key_value_heads", Some(heads))?;
        let head_dim = self.size("head_dim", Some(hidden / heads))?;
        let context = self.size("max_position_embeddings", Some(self.traits.context))?;
        if !heads.is_multiple_of(kv_heads) {
            return self.refuse("num_key_value_heads", &kv_heads.to_string(), &format!("a divisor of {heads}"));
        }
        if !head_dim.is_multiple_of(2) {
            return self.refuse("head_dim", &head_dim.to_string(), "2, 4, 6, ...");
        }
        let gemma = self.traits.family == Family::Gemma3;
        let pre_attention = self.number("query_pre_attn_scalar", Some(256.0), (1e-3, 1e9))?;
        let ropes = self.ropes(context)?;
        Ok(Architecture {
            family: self.traits.family,
            vocab,
            hidden,
            intermediate: self.size("intermediate_size", None)?,
            layers: self.layers(self.size("num_hidden_layers", None)?, ropes.len())?,
            heads,
            kv_heads,
            head_dim,
            context,
            rms_eps: self.number("rms_norm_eps", Some(1e-6), RMS_EPS)? as f32,
            tied: self.flag("tie_word_embeddings", self.traits.tied)?,
            bos: self.tokens("bos_token_id", self.traits.bos, vocab)?.first().copied(),
            eos: self.tokens("eos_token_id", self.traits.eos, vocab)?,
            qkv_bias: self.traits.qkv_bias,
            qk_norm: self.traits.qk_norm,
            post_norms: self.traits.post_norms,
            activation: self.traits.activation,
            embedding_scale: if gemma { (hidden as f64).sqrt() as f32 } else { 1.0 },
            attention_scale: inverse_root(if gemma { pre_attention } else { head_dim as f64 }),
            attention_softcap: self.cap("attn_logit_softcapping")?,
            logit_softcap: self.cap("final_logit_softcapping")?,
            ropes,
            licence: None,
        })
    }

    /// Refuses what would make another model of it and is computed nowhere.
    fn refuse_unsupported(&self) -> Result<()> {
        for map in [self.outer, self.map] {
            if let Some(value) = map.get("quantization_config").filter(|value| !value.is_null()) {
                let method = value.get("quant_method").and_then(Value::as_str).unwrap_or("not null");
                return self.refuse("quantization_config", method, "null");
            }
        }
        for key in ["attention_bias", "mlp_bias", "use_bidirectional_attention", "rope_interleaved"] {
            // What Qwen 2 has is what other families mean by the first, save
            // for the output, and its configurations need not say so.
            if self.flag(key, false)? && !(self.traits.qkv_bias && key == "attention_bias") {
                return self.refuse(key, "true", "false");
            }
        }
        self.number("partial_rotary_factor", Some(1.0), (1.0, 1.0))?;
        let possible = match self.traits.activation {
            Activation::Silu => "silu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
        };
        for key in ["hidden_act", "hidden_activation"] {
            match self.get(key) {
                None => {}
                Some(Value::String(name)) if name == possible => {}
                Some(other) => return self.refuse(key, &plain(other), possible),
            }
        }
        Ok(())
    }

    fn layers(&self, count: usize, ropes: usize) -> Result<Vec<LayerAttention>> {
        let family = self.traits.family;
        let window = match self.map.get("sliding_window") {
            _ if matches!(family, Family::Llama) => None,
            _ if matches!(family, Family::Qwen2 | Family::Qwen3) && !self.flag("use_sliding_window", false)? => None,
            None => self.traits.window,
            Some(Value::Null) => None,
            Some(_) => Some(self.whole("sliding_window", None, (1, largest("max_position_embeddings")))?),
        };
        let whole = |key, default| self.whole(key, Some(default), (0, largest("num_hidden_layers")));
        let sliding: Vec<bool> = match family {
            Family::Llama | Family::Mistral => vec![window.is_some(); count],
            Family::Qwen2 | Family::Qwen3 => {
                let full = whole("max_window_layers", 28)?;
                (0..count).map(|layer| window.is_some() && layer >= full).collect()
            }
            Family::Gemma3 => {
                let pattern = whole("sliding_window_pattern", 6)?;
                (0..count).map(|layer| !(layer + 1).is_multiple_of(pattern)).collect()
            }
        };
        let sliding = match self.layer_types(count)? {
            // `transformers` does not look at the types of these two.
            Some(stated) if stated != sliding && matches!(family, Family::Llama | Family::Mistral) => {
                return self.refuse("layer_types", "mixed", "null");
            }
            Some(stated) => stated,
            None => sliding,
        };
        if sliding.contains(&true) && window.is_none() {
            return self.refuse("sliding_window", "null", "a number, as there are sliding layers");
        }
        let layer =
            |sliding| LayerAttention { window: window.filter(|_| sliding), rope: usize::from(sliding && ropes > 1) };
        Ok(sliding.into_iter().map(layer).collect())
    }

    /// For each layer whether its window slides, where that is stated.
    fn layer_types(&self, count: usize) -> Result<Option<Vec<bool>>> {
        let Some(value) = self.get("layer_types") else { return Ok(None) };
        let Some(types) = value.as_array().filter(|types| types.len() == count) else {
            return self.refuse("layer_types", &value.to_string(), &format!("a list of {count}"));
        };
        let sliding = types.iter().map(|kind| match kind.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => self.refuse("layer_types", &plain(kind), "full_attention, sliding_attention"),
        });
        sliding.collect::<Result<_>>().map(Some)
    }

    /// One rotary embedding, or two where full and sliding layers differ: the
    /// first is that of the full layers.
    fn ropes(&self, context: usize) -> Result<Vec<Rope>> {
        let empty = &Map::new();
        let object = |map: &'a Map<String, Value>, key| match map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(other) => self.refuse(key, &plain(other), "{...}"),
        };
        let gemma = self.traits.family == Family::Gemma3;
        let (older, newer) = (object(self.map, "rope_scaling")?, object(self.map, "rope_parameters")?);
        let theta = self.number("rope_theta", Some(self.traits.theta), ROPE_THETA)?;
        let nested = newer.filter(|map| ["full_attention", "sliding_attention"].iter().any(|k| map.contains_key(*k)));
        if nested.is_none() && !gemma {
            return Ok(vec![self.rope(older.or(newer).unwrap_or(empty), theta, context)?]);
        }
        if nested.is_none() && newer.is_some_and(|map| !map.is_empty()) {
            return self.refuse("rope_parameters", "one for all layers", "full_attention, sliding_attention");
        }
        let of = |key| nested.map_or(Ok(None), |map| object(map, key));
        let full = older.or(of("full_attention")?).unwrap_or(empty);
        let local = self.number("rope_local_base_freq", Some(if gemma { 1e4 } else { theta }), ROPE_THETA)?;
        let ropes =
            [self.rope(full, theta, context)?, self.rope(of("sliding_attention")?.unwrap_or(empty), local, context)?];
        Ok(if ropes[0] == ropes[1] { ropes[..1].to_vec() } else { ropes.to_vec() })
    }

    fn rope(&self, map: &'a Map<String, Value>, theta: f64, context: usize) -> Result<Rope> {
        let inner = Self { map, outer: map, ..*self };
        let theta = inner.number("rope_theta", Some(theta), ROPE_THETA)?;
        inner.number("partial_rotary_factor", Some(1.0), (1.0, 1.0))?;
        let kind = inner.get("rope_type").or(inner.get("type")).map_or("default".into(), plain);
        let factor = |key| inner.number(key, None, (1e-3, 1e6));
        let scaling = match &*kind {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear(factor("factor")?),
            "llama3" => {
                let (low, high) = (factor("low_freq_factor")?, factor("high_freq_factor")?);
                if low >= high {
                    return self.refuse("high_freq_factor", &high.to_string(), &format!("more than {low}"));
                }
                RopeScaling::Llama3 {
                    factor: factor("factor")?,
                    low_freq_factor: low,
                    high_freq_factor: high,
                    original_context: inner.whole(
                        "original_max_position_embeddings",
                        Some(context),
                        (1, largest("max_position_embeddings")),
                    )?,
                }
            }
            other => return self.refuse("rope_type", other, "default, linear, llama3"),
        };
        Ok(Rope { theta, scaling })
    }

    /// The value of `key`; a null is none.
    fn get(&self, key: &str) -> Option<&'a Value> {
        [self.map, self.outer].iter().find_map(|map| map.get(key).filter(|value| !value.is_null()))
    }

    /// A size of the model, within the bounds of [`Config::validate`].
    fn size(&self, key: &str, default: Option<usize>) -> Result<usize> {
        let family = self.traits.sizes.iter().find(|(name, _)| *name == key).map(|(_, size)| *size);
        self.whole(key, family.or(default), (1, largest(key)))
    }

    fn whole(&self, key: &str, default: Option<usize>, (low, high): (usize, usize)) -> Result<usize> {
        let value = match self.get(key) {
            Some(value) => value.clone(),
            None => default.map(Value::from).ok_or_else(|| self.missing(key))?,
        };
        match value.as_u64().map(usize::try_from) {
            Some(Ok(whole)) if (low..=high).contains(&whole) => Ok(whole),
            _ => self.refuse(key, &plain(&value), &format!("{low} - {high}")),
        }
    }

    fn number(&self, key: &str, default: Option<f64>, (low, high): (f64, f64)) -> Result<f64> {
        match self.get(key) {
            None => default.ok_or_else(|| self.missing(key)),
            Some(value) => match value.as_f64() {
                Some(number) => check_number(self.label(key), number, (low, high)).map(|()| number),
                None => self.refuse(key, &plain(value), &format!("{low} - {high}")),
            },
        }
    }

    fn cap(&self, key: &str) -> Result<Option<f32>> {
        self.get(key).map(|_| self.number(key, None, (1e-3, 1e6)).map(|cap| cap as f32)).transpose()
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => self.refuse(key, &plain(other), "true, false"),
        }
    }

    /// The tokens that `key` names: none, one or several.
    fn tokens(&self, key: &str, default: Option<u32>, vocab: usize) -> Result<Vec<u32>> {
        // Gemma 3 has its end tokens outside of the text part.
        let stated = [self.outer, self.map].iter().find_map(|map| map.get(key));
        let Some(stated) = stated else {
            return Ok(default.into_iter().filter(|&token| (token as usize) < vocab).collect());
        };
        tokens(stated, vocab).or_else(|value| self.refuse(key, &value, &format!("0 - {}", vocab - 1)))
    }

    fn label<'b>(&'b self, key: &'b str) -> &'b str {
        self.labels.iter().find(|(name, _)| *name == key).map_or(key, |(_, label)| label)
    }

    fn missing(&self, key: &str) -> Error {
        Error::new("model-config-missing").arg("key", self.label(key))
    }

    fn refuse<T>(&self, key: &str, value: &str, possible: &str) -> Result<T> {
        refuse(self.label(key), value, possible)
    }
}

/// The different tokens in `value`, which is null, a number or a list of
/// numbers; or what in it is no token below `vocab`.
pub(crate) fn tokens(value: &Value, vocab: usize) -> Result<Vec<u32>, String> {
    /// No model has so many tokens that end a text.
    const TOKENS_MAX: usize = 256;
    let values = match value {
        Value::Null => &[],
        Value::Array(values) if values.len() <= TOKENS_MAX => &values[..],
        one => std::slice::from_ref(one),
    };
    let mut tokens = Vec::new();
    for value in values {
        let token = value.as_u64().filter(|&token| token < vocab as u64).ok_or_else(|| plain(value))?;
        if !tokens.contains(&(token as u32)) {
            tokens.push(token as u32);
        }
    }
    Ok(tokens)
}

/// A value as a message shows it: a string without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn known_families() -> String {
    FAMILIES.map(|traits| traits.model_types[0]).join(", ")
}

fn unknown_family(name: &str) -> Error {
    // The name may come from an untrusted file: quote no more than a line.
    let name: String = name.chars().take(80).collect();
    Error::new("model-family-unknown").arg("family", name).arg("known", known_families())
}
