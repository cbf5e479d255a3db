//! `config.json`: the sizes of a model, with the names that Hugging Face gives
//! them in `LlamaConfig`, so that other engines read the file as it is.

use std::{fs::File, io::Read, path::Path};

use kwaya_base::{Error, Result, error::At};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The sizes and constants of a Llama model.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default)]
pub struct Config {
    /// The class that loads the model in `transformers`.
    pub architectures: Vec<String>,
    /// Always `llama`.
    pub model_type: String,
    /// `V`, the number of different tokens.
    pub vocab_size: usize,
    /// `C`, the width of the residual stream.
    pub hidden_size: usize,
    /// `F`, the width of the feed-forward layers.
    pub intermediate_size: usize,
    /// The number of transformer layers.
    pub num_hidden_layers: usize,
    /// The number of query heads.
    pub num_attention_heads: usize,
    /// The number of key and value heads; divides the number of query heads.
    pub num_key_value_heads: usize,
    /// The width of one head.
    pub head_dim: usize,
    /// The longest sequence that the model was made for.
    pub max_position_embeddings: usize,
    /// The small number under the root of the RMS norm.
    pub rms_norm_eps: f64,
    /// The base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
    /// The token a text begins with.
    pub bos_token_id: Option<u32>,
    /// The token a text ends with.
    pub eos_token_id: Option<u32>,
    /// Always `silu`.
    pub hidden_act: String,
    /// The standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Always false.
    pub attention_bias: bool,
    /// Always false.
    pub mlp_bias: bool,
    /// Always `float32`.
    pub torch_dtype: String,
}

impl Default for Config {
    /// The constants of Llama, and sizes that are nought: set the sizes.
    fn default() -> Self {
        Self {
            architectures: vec!["LlamaForCausalLM".into()],
            model_type: "llama".into(),
            vocab_size: 0,
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 0,
            num_attention_heads: 0,
            num_key_value_heads: 0,
            head_dim: 0,
            max_position_embeddings: 2048,
            rms_norm_eps: 1e-5,
            rope_theta: 10000.0,
            tie_word_embeddings: true,
            bos_token_id: None,
            eos_token_id: None,
            hidden_act: "silu".into(),
            initializer_range: 0.02,
            attention_bias: false,
            mlp_bias: false,
            torch_dtype: "float32".into(),
        }
    }
}

/// A `config.json` is a page of text; anything longer is something else.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Bounds that no model for ordinary computers comes near and that keep every
/// product of sizes inside 64 bits.
const LARGEST: [(&str, usize); 8] = [
    ("vocab_size", 1 << 22),
    ("hidden_size", 1 << 16),
    ("intermediate_size", 1 << 18),
    ("num_hidden_layers", 1 << 10),
    ("num_attention_heads", 1 << 10),
    ("num_key_value_heads", 1 << 10),
    ("head_dim", 1 << 10),
    ("max_position_embeddings", 1 << 22),
];

pub(crate) const RMS_EPS: (f64, f64) = (1e-12, 1.0);
pub(crate) const ROPE_THETA: (f64, f64) = (1.0, 1e12);

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is not JSON, or [`Config::validate`]
    /// refuses it.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&read_text(path, FILE_BYTES_MAX)?).map_err(|error| error.path(path))
    }

    fn parse(text: &str) -> Result<Self> {
        let malformed = |error| Error::new("model-config-malformed").arg("cause", &error).source(error);
        let mut map: Map<String, Value> = serde_json::from_str(text).map_err(malformed)?;
        adopt(&mut map)?;
        let config: Self = serde_json::from_value(Value::Object(map)).map_err(malformed)?;
        config.validate()?;
        Ok(config)
    }

    /// Checks that this crate computes what the configuration asks for.
    ///
    /// # Errors
    /// `model-config-value`, naming the key, its value, and what is possible.
    pub fn validate(&self) -> Result<()> {
        if self.model_type != "llama" {
            return refuse("model_type", &self.model_type, "llama");
        }
        if self.hidden_act != "silu" {
            return refuse("hidden_act", &self.hidden_act, "silu");
        }
        for (key, bias) in [("attention_bias", self.attention_bias), ("mlp_bias", self.mlp_bias)] {
            if bias {
                return refuse(key, &bias.to_string(), "false");
            }
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        for (key, value) in sizes {
            if !(1..=largest(key)).contains(&value) {
                return refuse(key, &value.to_string(), &format!("1 - {}", largest(key)));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let divides = format!("a divisor of {}", self.num_attention_heads);
            return refuse("num_key_value_heads", &self.num_key_value_heads.to_string(), &divides);
        }
        if !self.head_dim.is_multiple_of(2) {
            return refuse("head_dim", &self.head_dim.to_string(), "2, 4, 6, ...");
        }
        check_number("rms_norm_eps", self.rms_norm_eps, RMS_EPS)?;
        check_number("rope_theta", self.rope_theta, ROPE_THETA)?;
        check_number("initializer_range", self.initializer_range, (0.0, 1e3))?;
        for (key, token) in [("bos_token_id", self.bos_token_id), ("eos_token_id", self.eos_token_id)] {
            if token.is_some_and(|t| t as usize >= self.vocab_size) {
                return refuse(key, &format!("{token:?}"), &format!("0 - {}", self.vocab_size - 1));
            }
        }
        Ok(())
    }

    /// `Q`, the width of all query heads.
    pub fn query_size(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// `K`, the width of all key heads, which is that of all value heads.
    pub fn key_value_size(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// The number of weights.
    pub fn parameters(&self) -> u64 {
        let table = self.vocab_size as u64 * self.hidden_size as u64;
        let tables = if self.tie_word_embeddings { table } else { 2 * table };
        tables + self.num_hidden_layers as u64 * self.layer_parameters() + self.hidden_size as u64
    }

    /// The number of weights of one layer.
    pub fn layer_parameters(&self) -> u64 {
        let size = |n: usize| n as u64;
        let (c, q, k, f) = (
            size(self.hidden_size),
            size(self.query_size()),
            size(self.key_value_size()),
            size(self.intermediate_size),
        );
        c * (2 * q + 2 * k) + 3 * c * f + 2 * c
    }
}

/// Brings the dialects of `config.json` to one: sizes that Hugging Face leaves
/// out when they follow from others, and the newer `rope_parameters`.
fn adopt(map: &mut Map<String, Value>) -> Result<()> {
    if let Some(rope) = map.remove("rope_parameters").filter(|rope| !rope.is_null()) {
        let kind = rope.get("rope_type").and_then(Value::as_str).unwrap_or("default");
        if kind != "default" {
            return refuse("rope_parameters", kind, "default");
        }
        if let Some(theta) = rope.get("rope_theta") {
            map.entry("rope_theta").or_insert_with(|| theta.clone());
        }
    }
    for key in ["rope_scaling", "quantization_config"] {
        if let Some(value) = map.get(key).filter(|value| !value.is_null()) {
            return refuse(key, &value.to_string(), "null");
        }
    }
    let size = |key: &str| map.get(key).and_then(Value::as_u64).filter(|&n| n > 0);
    let heads = size("num_attention_heads");
    let head_dim = size("hidden_size").zip(heads).map(|(hidden, heads)| hidden / heads);
    for (key, value) in [("num_key_value_heads", heads), ("head_dim", head_dim)] {
        if let Some(value) = value
            && map.get(key).is_none_or(Value::is_null)
        {
            map.insert(key.into(), value.into());
        }
    }
    // Several end tokens are allowed there; the first is the main one.
    for key in ["bos_token_id", "eos_token_id"] {
        if let Some(Value::Array(tokens)) = map.get(key) {
            let first = tokens.first().cloned().unwrap_or(Value::Null);
            map.insert(key.into(), first);
        }
    }
    map.entry("tie_word_embeddings").or_insert(Value::Bool(false));
    Ok(())
}

/// The largest value of the size `key`.
pub(crate) fn largest(key: &str) -> usize {
    LARGEST.iter().find(|(name, _)| *name == key).expect("each size has a bound").1
}

/// Refuses a `value` outside `low` to `high`, and one that is no number.
pub(crate) fn check_number(key: &str, value: f64, (low, high): (f64, f64)) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    refuse(key, &value.to_string(), &format!("{low} - {high}"))
}

/// Reads a text file of at most `most` bytes; what is beyond is left out.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String> {
    let mut text = String::new();
    File::open(path).at(path)?.take(most).read_to_string(&mut text).at(path)?;
    Ok(text)
}

pub(crate) fn refuse<T>(key: &str, value: &str, possible: &str) -> Result<T> {
    // The value may come from an untrusted file: quote no more than a line.
    let value: String = value.chars().take(80).collect();
    Err(Error::new("model-config-value").arg("key", key).arg("value", value).arg("possible", possible))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"model_type": "llama", "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "someday": {"unknown": [1]}, "eos_token_id": [1, 2]"#;

    fn parse(rest: &str) -> Result<Config> {
        Config::parse(&format!("{TINY}{rest}}}"))
    }

    #[test]
    fn sizes_left_out_follow_from_the_others() {
        let config = parse("").unwrap();
        assert_eq!((config.num_key_value_heads, config.head_dim), (4, 8));
        assert_eq!((config.eos_token_id, config.tie_word_embeddings), (Some(1), false));
        assert_eq!(config.parameters(), 2 * 97 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32);
        let newer = parse(r#", "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}"#).unwrap();
        assert_eq!(newer.rope_theta, 5e5);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (rest, key) in [
            (r#", "rope_scaling": {"type": "yarn"}"#, "rope_scaling"),
            (r#", "rope_parameters": {"rope_type": "llama3"}"#, "rope_parameters"),
            (r#", "hidden_act": "gelu""#, "hidden_act"),
            (r#", "attention_bias": true"#, "attention_bias"),
            (r#", "num_key_value_heads": 3"#, "num_key_value_heads"),
            (r#", "num_key_value_heads": 0"#, "num_key_value_heads"),
            (r#", "head_dim": 7"#, "head_dim"),
            (r#", "head_dim": 4294967296"#, "head_dim"),
            (r#", "rms_norm_eps": -1"#, "rms_norm_eps"),
            (r#", "rope_theta": 0"#, "rope_theta"),
            (r#", "bos_token_id": 97"#, "bos_token_id"),
        ] {
            let error = parse(rest).unwrap_err();
            assert_eq!(error.key(), "model-config-value", "{rest}");
            assert_eq!(error.args()[0].1, key);
        }
        for rest in
            [r#", "rope_theta": NaN"#, r#", "rope_theta": 1e999"#, r#", "head_dim": -8"#, r#", "head_dim": "8""#]
        {
            assert_eq!(parse(rest).unwrap_err().key(), "model-config-malformed", "{rest}");
        }
    }
}
