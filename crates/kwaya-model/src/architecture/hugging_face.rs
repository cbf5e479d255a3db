//! `config.json` of all families, in the keys of `transformers` 4 and 5.

use kwaya_base::{Error, Result};
use serde_json::{Map, Value};

use super::{
    Activation, Architecture, FAMILIES, Family, LayerAttention, Rope, RopeScaling, Traits, inverse_root, unknown_family,
};
use crate::config::{RMS_EPS, ROPE_THETA, check_number, largest, refuse};

pub(super) fn read(text: &str) -> Result<Architecture> {
    let malformed = |error| Error::new("model-config-malformed").arg("cause", &error).source(error);
    let outer: Map<String, Value> = serde_json::from_str(text).map_err(malformed)?;
    Reader::new(&outer)?.read()
}

/// Reads a configuration in the keys of Hugging Face.
pub(super) struct Reader<'a> {
    traits: &'static Traits,
    map: &'a Map<String, Value>,
    /// Gemma 3 with its eyes has the text part inside; some keys stand outside.
    outer: &'a Map<String, Value>,
    /// What a message calls a key, where that is not its name here.
    pub(super) labels: &'a [(&'static str, String)],
}

impl<'a> Reader<'a> {
    pub(super) fn new(outer: &'a Map<String, Value>) -> Result<Self> {
        let name = match outer.get("model_type") {
            Some(Value::String(name)) => name,
            Some(other) => return Err(unknown_family(&other.to_string())),
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

    pub(super) fn read(&self) -> Result<Architecture> {
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
        let inner = self.of(map);
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

    /// The same for the keys of `map` alone.
    pub(super) fn of(&self, map: &'a Map<String, Value>) -> Self {
        Self { map, outer: map, ..*self }
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

    pub(super) fn whole(&self, key: &str, default: Option<usize>, (low, high): (usize, usize)) -> Result<usize> {
        let value = match self.get(key) {
            Some(value) => value.clone(),
            None => default.map(Value::from).ok_or_else(|| self.missing(key))?,
        };
        match value.as_u64().map(usize::try_from) {
            Some(Ok(whole)) if (low..=high).contains(&whole) => Ok(whole),
            _ => self.refuse(key, &plain(&value), &format!("{low} - {high}")),
        }
    }

    pub(super) fn number(&self, key: &str, default: Option<f64>, (low, high): (f64, f64)) -> Result<f64> {
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

    pub(super) fn refuse<T>(&self, key: &str, value: &str, possible: &str) -> Result<T> {
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
