//! `config.json` of all families, in the keys of `transformers` 4 and 5.

use kwaya_base::{Error, Result};
use kwaya_math::Format;
use serde_json::{Map, Value, json};

use super::{
    Activation, Architecture, FAMILIES, Family, LayerAttention, Rope, RopeScaling, Traits, inverse_root, shortest,
    unknown_family, unsayable,
};
use crate::config::{RMS_EPS, ROPE_THETA, check_number, largest, refuse};

pub(super) fn read(text: &str) -> Result<Architecture> {
    let malformed = |error| Error::new("model-config-malformed").arg("cause", &error).source(error);
    let outer: Map<String, Value> = serde_json::from_str(text).map_err(malformed)?;
    Reader::new(&outer)?.read()
}

/// Writes what [`read`] reads.
pub(super) fn write(a: &Architecture, format: Format) -> Result<Value> {
    let ropes: Option<Vec<Rope>> = a.ropes.iter().map(|rope| rope.by_rule(a.head_dim)).collect();
    let ropes = ropes.ok_or_else(|| unsayable("rope_scaling"))?;
    let (gemma, qwen) = (a.family == Family::Gemma3, matches!(a.family, Family::Qwen2 | Family::Qwen3));
    let window = a.layers.iter().find_map(|layer| layer.window);
    let class = match a.family {
        Family::Llama => "Llama",
        Family::Mistral => "Mistral",
        Family::Qwen2 => "Qwen2",
        Family::Qwen3 => "Qwen3",
        Family::Gemma3 => "Gemma3",
    };
    let numbers = match format {
        Format::F16 => "float16",
        Format::Bf16 => "bfloat16",
        _ => "float32",
    };
    let mut config = json!({
        "architectures": [format!("{class}ForCausalLM")],
        "model_type": a.family.name(),
        "torch_dtype": numbers,
        "vocab_size": a.vocab,
        "hidden_size": a.hidden,
        "intermediate_size": a.intermediate,
        "num_hidden_layers": a.layers.len(),
        "num_attention_heads": a.heads,
        "num_key_value_heads": a.kv_heads,
        "head_dim": a.head_dim,
        "max_position_embeddings": a.context,
        "rms_norm_eps": shortest(a.rms_eps),
        "tie_word_embeddings": a.tied,
        "bos_token_id": a.bos,
        "eos_token_id": match a.eos[..] {
            [] => Value::Null,
            [one] => one.into(),
            _ => a.eos.clone().into(),
        },
        "rope_theta": ropes[0].theta,
        "rope_scaling": match ropes[0].scaling {
            RopeScaling::Linear(factor) => json!({ "rope_type": "linear", "factor": factor }),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => json!({
                "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor, "original_max_position_embeddings": original_context,
            }),
            RopeScaling::None | RopeScaling::Factors(_) => Value::Null,
        },
    });
    config[if gemma { "hidden_activation" } else { "hidden_act" }] = match a.activation {
        Activation::Silu => "silu".into(),
        Activation::GeluTanh => "gelu_pytorch_tanh".into(),
    };
    if a.family != Family::Llama {
        config["sliding_window"] = window.or(gemma.then_some(4096)).into();
    }
    if gemma || qwen && window.is_some() {
        let kind = |layer: &LayerAttention| if layer.window.is_some() { "sliding_attention" } else { "full_attention" };
        config["layer_types"] = a.layers.iter().map(kind).collect();
    }
    if qwen {
        config["use_sliding_window"] = window.is_some().into();
    }
    if gemma {
        config["rope_local_base_freq"] = ropes[ropes.len() - 1].theta.into();
        let exact = f64::from(a.attention_scale).powi(-2);
        let whole = exact.round();
        config["query_pre_attn_scalar"] =
            if inverse_root(whole) == a.attention_scale { (whole as u64).into() } else { exact.into() };
        config["attn_logit_softcapping"] = a.attention_softcap.map(shortest).into();
        config["final_logit_softcapping"] = a.logit_softcap.map(shortest).into();
    }
    // What a GGUF file says and no key here does would be lost in silence.
    let told = Architecture { licence: None, ropes, ..a.clone() };
    let heard = read(&config.to_string())?;
    for (key, same) in [
        ("attention_scale", heard.attention_scale == told.attention_scale),
        (
            "logit_softcapping",
            (heard.attention_softcap, heard.logit_softcap) == (told.attention_softcap, told.logit_softcap),
        ),
        ("rope_scaling", heard.ropes == told.ropes),
        ("sliding_window", heard.layers == told.layers),
        ("configuration", heard == told),
    ] {
        if !same {
            return Err(unsayable(key));
        }
    }
    Ok(config)
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
        let whole = |key, default, low| self.whole(key, Some(default), (low, largest("num_hidden_layers")));
        let sliding: Vec<bool> = match family {
            Family::Llama | Family::Mistral => vec![window.is_some(); count],
            Family::Qwen2 | Family::Qwen3 => {
                let full = whole("max_window_layers", 28, 0)?;
                (0..count).map(|layer| window.is_some() && layer >= full).collect()
            }
            Family::Gemma3 => {
                let pattern = whole("sliding_window_pattern", 6, 1)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: &str = r#""vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 8,
        "num_attention_heads": 4"#;

    fn parse(model_type: &str, rest: &str) -> Result<Architecture> {
        read(&format!(r#"{{"model_type": "{model_type}", {SIZES}{rest}}}"#))
    }

    /// The key of the error and what it names.
    fn refused(model_type: &str, rest: &str) -> (&'static str, String) {
        match parse(model_type, rest) {
            Ok(architecture) => panic!("{rest} is accepted: {architecture:?}"),
            Err(error) => (error.key(), error.args()[0].1.clone()),
        }
    }

    fn windows(architecture: &Architecture) -> Vec<usize> {
        architecture.layers.iter().map(|layer| layer.window.unwrap_or(0)).collect()
    }

    #[test]
    fn old_and_new_configurations_mean_the_same() {
        let llama3 = r#""factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3""#;
        for (model_type, old, new) in [
            ("llama", r#""rope_theta": 5e5"#.to_owned(), r#""rope_parameters": {"rope_theta": 5e5}"#.to_owned()),
            ("llama", "\"rope_scaling\": null".into(), r#""rope_parameters": {"rope_type": "default"}"#.into()),
            (
                "llama",
                format!(r#""rope_theta": 5e5, "rope_scaling": {{{llama3}}}"#),
                format!(r#""rope_parameters": {{"rope_theta": 5e5, {llama3}}}"#),
            ),
            (
                "llama",
                r#""rope_scaling": {"type": "linear", "factor": 2}"#.into(),
                r#""rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000}"#.into(),
            ),
            (
                "gemma3_text",
                r#""rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": {"rope_type": "linear", "factor": 8},
                    "sliding_window_pattern": 3, "sliding_window": 7"#
                    .into(),
                r#""rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1e6},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}, "sliding_window": 7,
                    "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention",
                    "sliding_attention", "full_attention", "sliding_attention", "sliding_attention"]"#
                    .into(),
            ),
            (
                "qwen3",
                r#""sliding_window": 9, "use_sliding_window": true, "max_window_layers": 7"#.into(),
                r#""sliding_window": 9, "use_sliding_window": true, "layer_types": ["full_attention", "full_attention",
                    "full_attention", "full_attention", "full_attention", "full_attention", "full_attention",
                    "sliding_attention"]"#
                    .into(),
            ),
        ] {
            let [old, new] = [old, new].map(|rest| parse(model_type, &format!(", {rest}")).unwrap());
            assert_eq!(old, new);
        }
    }

    #[test]
    fn what_is_left_out_follows_from_the_family() {
        let llama = parse("llama", "").unwrap();
        assert_eq!((llama.kv_heads, llama.head_dim, llama.context), (4, 8, 2048));
        assert_eq!((llama.bos, &llama.eos[..], llama.tied), (Some(1), &[2][..], false));
        let qwen = parse("qwen2", r#", "sliding_window": 4, "eos_token_id": [5, 6, 5]"#).unwrap();
        assert_eq!((qwen.qkv_bias, qwen.bos, &qwen.eos[..]), (true, None, &[5, 6][..]));
        assert_eq!(windows(&qwen), [0; 8], "use_sliding_window is false");
        let mistral = parse("mistral", r#", "sliding_window": null, "eos_token_id": null"#).unwrap();
        assert_eq!((windows(&mistral), mistral.eos.len()), (vec![0; 8], 0));
        assert!(mistral.config().is_some(), "without a window it is a plain Llama");
        assert_eq!(windows(&parse("mistral", "").unwrap()), [4096; 8]);
        let gemma = parse("gemma3_text", "").unwrap();
        assert_eq!(windows(&gemma), [4096, 4096, 4096, 4096, 4096, 0, 4096, 4096]);
        assert_eq!((gemma.head_dim, gemma.kv_heads, gemma.attention_scale), (256, 4, 1.0 / 16.0));
        assert_eq!(gemma.ropes.iter().map(|rope| rope.theta).collect::<Vec<_>>(), [1e6, 1e4]);
    }

    #[test]
    fn gemma_with_eyes_is_read_without_them() {
        let whole = read(
            r#"{"model_type": "gemma3", "eos_token_id": [1, 106], "vision_config": {"hidden_size": 1152},
            "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
            "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}}"#,
        )
        .unwrap();
        assert_eq!((whole.vocab, whole.heads, whole.kv_heads, whole.head_dim), (262_208, 8, 4, 256));
        assert_eq!((&whole.eos[..], whole.bos), (&[1, 106][..], Some(2)));
        assert_eq!(whole.ropes[0].scaling, RopeScaling::Linear(8.0));
        let error = read(r#"{"model_type": "gemma3"}"#).unwrap_err();
        assert_eq!((error.key(), &*error.args()[0].1), ("model-config-missing", "text_config"));
    }

    #[test]
    fn unknown_families_are_named_with_those_known() {
        let error = parse("gpt2", "").unwrap_err();
        assert_eq!(error.key(), "model-family-unknown");
        let text = error.to_string();
        for name in ["gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma3_text"] {
            assert!(text.contains(name), "{text}");
        }
        assert_eq!(refused(&"x".repeat(1000), "").1.len(), 80);
        assert_eq!(read("{}").unwrap_err().key(), "model-config-missing");
        assert_eq!(read(r#"{"model_type": 7}"#).unwrap_err().key(), "model-family-unknown");
        assert_eq!(read("[]").unwrap_err().key(), "model-config-malformed");
        assert_eq!(read(&"[".repeat(1 << 20)).unwrap_err().key(), "model-config-malformed");
    }

    #[test]
    fn what_cannot_be_is_refused_by_key() {
        for (model_type, rest, key) in [
            ("llama", r#""hidden_size": 0"#, "hidden_size"),
            ("llama", r#""hidden_size": 65537"#, "hidden_size"),
            ("llama", r#""hidden_size": -1"#, "hidden_size"),
            ("llama", r#""hidden_size": 32.5"#, "hidden_size"),
            ("llama", r#""hidden_size": "32""#, "hidden_size"),
            ("llama", r#""vocab_size": 18446744073709551615"#, "vocab_size"),
            ("llama", r#""intermediate_size": []"#, "intermediate_size"),
            ("llama", r#""num_hidden_layers": 1025"#, "num_hidden_layers"),
            ("llama", r#""num_attention_heads": 0"#, "num_attention_heads"),
            ("llama", r#""num_key_value_heads": 3"#, "num_key_value_heads"),
            ("llama", r#""num_key_value_heads": 0"#, "num_key_value_heads"),
            ("llama", r#""num_attention_heads": 64"#, "head_dim"),
            ("llama", r#""head_dim": 7"#, "head_dim"),
            ("llama", r#""max_position_embeddings": 1e9"#, "max_position_embeddings"),
            ("llama", r#""rms_norm_eps": 0"#, "rms_norm_eps"),
            ("llama", r#""rms_norm_eps": true"#, "rms_norm_eps"),
            ("llama", r#""rope_theta": 0.5"#, "rope_theta"),
            ("llama", r#""tie_word_embeddings": 1"#, "tie_word_embeddings"),
            ("llama", r#""bos_token_id": 97"#, "bos_token_id"),
            ("llama", r#""eos_token_id": [1, -1]"#, "eos_token_id"),
            ("llama", r#""eos_token_id": [[1]]"#, "eos_token_id"),
            ("llama", r#""hidden_act": "gelu""#, "hidden_act"),
            ("llama", r#""attention_bias": true"#, "attention_bias"),
            ("qwen3", r#""attention_bias": true"#, "attention_bias"),
            ("llama", r#""mlp_bias": true"#, "mlp_bias"),
            ("llama", r#""quantization_config": {"quant_method": "gptq"}"#, "quantization_config"),
            ("llama", r#""partial_rotary_factor": 0.5"#, "partial_rotary_factor"),
            ("llama", r#""rope_scaling": {"type": "yarn", "factor": 4}"#, "rope_type"),
            ("llama", r#""rope_scaling": {"type": "dynamic", "factor": 4}"#, "rope_type"),
            ("llama", r#""rope_scaling": "linear""#, "rope_scaling"),
            ("llama", r#""rope_scaling": {"type": "linear", "factor": 0}"#, "factor"),
            (
                "llama",
                r#""rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
                "high_freq_factor": 4}"#,
                "high_freq_factor",
            ),
            ("llama", r#""rope_parameters": {"rope_theta": 0}"#, "rope_theta"),
            ("llama", r#""layer_types": ["sliding_attention"]"#, "layer_types"),
            ("mistral", r#""sliding_window": 0"#, "sliding_window"),
            (
                "mistral",
                r#""sliding_window": 4, "layer_types": ["full_attention", "full_attention", "full_attention",
                "full_attention", "full_attention", "full_attention", "full_attention", "full_attention"]"#,
                "layer_types",
            ),
            ("qwen3", r#""layer_types": ["a", "b", "c", "d", "e", "f", "g", "h"]"#, "layer_types"),
            ("gemma3_text", r#""sliding_window": null"#, "sliding_window"),
            ("gemma3_text", r#""sliding_window_pattern": "2""#, "sliding_window_pattern"),
            ("gemma3_text", r#""sliding_window_pattern": 0"#, "sliding_window_pattern"),
            ("gemma3_text", r#""hidden_activation": "gelu""#, "hidden_activation"),
            ("gemma3_text", r#""use_bidirectional_attention": true"#, "use_bidirectional_attention"),
            ("gemma3_text", r#""query_pre_attn_scalar": 0"#, "query_pre_attn_scalar"),
            ("gemma3_text", r#""final_logit_softcapping": -1"#, "final_logit_softcapping"),
            ("gemma3_text", r#""attn_logit_softcapping": "a""#, "attn_logit_softcapping"),
            ("gemma3_text", r#""rope_parameters": {"rope_theta": 1e6}"#, "rope_parameters"),
            ("gemma3_text", r#""rope_parameters": {"full_attention": 3}"#, "full_attention"),
        ] {
            assert_eq!(refused(model_type, &format!(", {rest}")), ("model-config-value", key.into()), "{rest}");
        }
        for key in ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"] {
            let null = parse("llama", &format!(r#", "{key}": null"#)).unwrap_err();
            assert_eq!((null.key(), &*null.args()[0].1), ("model-config-missing", key));
        }
        assert_eq!(
            refused("llama", r#", "rope_scaling": {"type": "linear"}"#),
            ("model-config-missing", "factor".into())
        );
        assert_eq!(parse("llama", r#", "rope_theta": 1e999"#).unwrap_err().key(), "model-config-malformed");
    }
}
