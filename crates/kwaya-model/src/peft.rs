//! Adapters as PEFT (<https://github.com/huggingface/peft>) keeps them: a
//! folder with `adapter_config.json` and `adapter_model.safetensors`, in which
//! the names of the tensors begin with `base_model.model.`.

use std::{collections::BTreeMap, path::Path};

use kwaya_base::{Error, Result};
use kwaya_math::{Format, blocks::dequantise};
use safetensors::Dtype;
use serde_json::{Map, Value, json};

use crate::{
    architecture::Architecture,
    config,
    lora::{Adapters, Lora, TOKENS_MAX, Target, Tokens, lora_value},
    model::write_json,
    tensors::{self, Mapped},
};

/// The files of adapters.
pub const ADAPTER_FILES: [&str; 2] = [CONFIG, WEIGHTS];
const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";
/// The tables that have a row for each token; the first alone where they are
/// one.
const TABLES: [&str; 2] = ["embed_tokens", "lm_head"];
/// A configuration is a page of text, and a line for each token whose rows are
/// learned, of which there are at most two times [`TOKENS_MAX`].
const CONFIG_BYTES_MAX: u64 = config::FILE_BYTES_MAX + 2 * 16 * TOKENS_MAX as u64;

/// What would change the computation or the model beneath, and is not
/// computed here: it must be absent, false or empty.
const ABSENT: [&str; 16] = [
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "exclude_modules",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "layers_to_transform",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "rank_pattern",
    "target_parameters",
    "use_bdlora",
    "use_dora",
    "use_qalora",
];
/// Ways to begin that leave the model beneath as it is; the others put
/// something else in its place.
const BEGINNINGS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

impl Adapters {
    /// Writes the two files durably into `folder`, which exists; `base` is
    /// what they name as the model beneath. The same adapters give the same
    /// bytes. The configuration comes last: a folder that has one is whole.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, base: &str) -> Result<()> {
        let mut tensors: Vec<_> = self.tensors().iter().map(|t| (format!("{PREFIX}{}", t.name), t)).collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let entries: Vec<tensors::Entry<'_>> =
            tensors.iter().map(|(name, t)| (&**name, &*t.shape, &self.weights()[t.range.clone()])).collect();
        let metadata = BTreeMap::from([("format", "pt".to_owned())]);
        tensors::write(&folder.join(WEIGHTS), &metadata, &entries)?;
        let Lora { rank, alpha, targets, tokens } = self.lora();
        // PEFT has whole numbers there, though others work.
        let alpha = if alpha.fract() == 0.0 { json!(*alpha as i64) } else { json!(alpha) };
        let mut config = json!({
            "alpha_pattern": {},
            "base_model_name_or_path": base,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "layers_to_transform": null,
            "lora_alpha": alpha,
            "lora_dropout": 0.0,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": rank,
            "rank_pattern": {},
            "target_modules": targets,
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": false,
        });
        if let (Some(tokens), Some(rows)) = (tokens, self.rows()) {
            let tables = if rows.places[0] == rows.places[1] { &TABLES[..1] } else { &TABLES };
            for table in tables {
                config["trainable_token_indices"][table] = tokens.range().collect();
            }
        }
        write_json(&folder.join(CONFIG), &config)
    }

    /// Reads adapters for a model of these sizes from a folder. The files may
    /// come from anywhere: what they claim is checked before memory is taken.
    ///
    /// # Errors
    /// `lora-value` for what is not computed here, and for numbers out of
    /// bounds; `model-config-malformed`; `lora-too-short`,
    /// `model-tensor-missing`, `model-tensor-wrong` and `model-tensor-extra`
    /// where the weights are not those of the configuration and the model;
    /// `model-not-finite`.
    pub fn load(folder: &Path, a: &Architecture) -> Result<Self> {
        let path = &folder.join(CONFIG);
        let lora = read_config(path, a)?;
        let path = &folder.join(WEIGHTS);
        let mapped = Mapped::open(path)?;
        let (start, header) = mapped.header(path)?;
        let needed = 2 * lora.parameters(a);
        if mapped.bytes().len() as u64 <= needed {
            return Err(Error::new("lora-too-short").path(path).arg("bytes", mapped.bytes().len()));
        }
        let mut adapters = Self::zeros(a, lora);
        let mut found = header.tensors();
        for tensor in adapters.tensors().to_vec() {
            let name = format!("{PREFIX}{}", tensor.name);
            let wrong = |key| Error::new(key).path(path).arg("tensor", &name);
            let info = found.remove(&name).ok_or_else(|| wrong("model-tensor-missing"))?;
            let format = match info.dtype {
                Dtype::F32 => Some(Format::F32),
                Dtype::F16 => Some(Format::F16),
                Dtype::BF16 => Some(Format::Bf16),
                _ => None,
            };
            let Some(format) = format.filter(|_| info.shape == tensor.shape) else {
                return Err(wrong("model-tensor-wrong")
                    .arg("found", format!("{:?} {:?}", info.dtype, info.shape))
                    .arg("expected", format!("F32/F16/BF16 {:?}", tensor.shape)));
            };
            let (from, to) = info.data_offsets;
            let values = &mut adapters.weights_mut()[tensor.range];
            dequantise(format, &mapped.bytes()[start + from..start + to], values);
            if !values.iter().all(|value| value.is_finite()) {
                return Err(wrong("model-not-finite"));
            }
        }
        if let Some(name) = found.keys().min() {
            let name: String = name.chars().filter(|c| !c.is_control()).take(120).collect();
            return Err(Error::new("model-tensor-extra").path(path).arg("tensor", name));
        }
        Ok(adapters)
    }
}

/// What the adapters in `folder` name as the model beneath: a path, or a name
/// on the hub of Hugging Face.
///
/// # Errors
/// `model-config-malformed`; `lora-value` where there is no such name.
pub fn peft_base(folder: &Path) -> Result<String> {
    const KEY: &str = "base_model_name_or_path";
    let map = read_map(&folder.join(CONFIG))?;
    match map.get(KEY) {
        Some(Value::String(base)) if !base.is_empty() => Ok(base.clone()),
        other => Err(lora_value(KEY, &other.unwrap_or(&Value::Null).to_string(), "a path")),
    }
}

fn read_map(path: &Path) -> Result<Map<String, Value>> {
    let text = config::read_text(path, CONFIG_BYTES_MAX)?;
    let malformed = |error| Error::new("model-config-malformed").path(path).arg("cause", &error).source(error);
    serde_json::from_str(&text).map_err(malformed)
}

/// Checks the configuration of adapters for a `model` of these sizes.
fn read_config(path: &Path, model: &Architecture) -> Result<Lora> {
    let map = read_map(path)?;
    let nothing = Value::Null;
    let get = |key: &str| map.get(key).unwrap_or(&nothing);
    let refuse = |key: &str, possible: &str| Err(lora_value(key, &get(key).to_string(), possible));
    if get("peft_type") != "LORA" {
        return refuse("peft_type", "LORA");
    }
    for key in ABSENT {
        let empty = match get(key) {
            Value::Null | Value::Bool(false) => true,
            Value::Array(values) => values.is_empty(),
            Value::Object(values) => values.is_empty(),
            _ => false,
        };
        if !empty {
            return refuse(key, "null, false, {}, []");
        }
    }
    if !["", "none"].contains(&get("bias").as_str().unwrap_or_default()) {
        return refuse("bias", "none");
    }
    let begins = get("init_lora_weights");
    if !(begins.is_null() || begins.is_boolean() || BEGINNINGS.iter().any(|name| begins == name)) {
        return refuse("init_lora_weights", &format!("true, false, {}", BEGINNINGS.join(", ")));
    }
    let Some(rank) = get("r").as_u64() else { return refuse("r", "1, 2, 3, ...") };
    let Some(mut alpha) = get("lora_alpha").as_f64() else { return refuse("lora_alpha", "8, 16, 32, ...") };
    // There alpha is divided by the root of the rank (Kalajdzievski 2023).
    if get("use_rslora") == true {
        alpha *= (rank as f64).sqrt();
    }
    let names = get("target_modules").as_array().map(Vec::as_slice).unwrap_or_default();
    let targets: Option<Vec<Target>> = names.iter().map(|name| Target::from_name(name.as_str()?)).collect();
    let Some(mut targets) = targets else {
        return refuse("target_modules", &Target::ALL.map(Target::name).join(", "));
    };
    targets.sort_unstable();
    let Some(tokens) = tokens(get("trainable_token_indices"), model) else {
        let tables = if model.tied { &TABLES[..1] } else { &TABLES };
        let run = format!("[N, N + 1, ..., {} at most]", model.vocab - 1);
        let possible: Vec<String> = tables.iter().map(|table| format!("\"{table}\": {run}")).collect();
        return refuse("trainable_token_indices", &format!("null, {{{}}}", possible.join(", ")));
    };
    let rank = usize::try_from(rank).unwrap_or(usize::MAX);
    let lora = Lora { rank, alpha: alpha as f32, targets, tokens };
    lora.validate()?;
    Ok(lora)
}

/// The tokens whose rows are learned, if any: one ascending run of them, and
/// the same of all tables that the model has. `None` for anything else.
fn tokens(stated: &Value, model: &Architecture) -> Option<Option<Tokens>> {
    let of_table = |table: &str| match stated {
        Value::Array(indices) if table == TABLES[0] => Some(indices),
        Value::Object(tables) => tables.get(table)?.as_array(),
        _ => None,
    };
    match stated {
        Value::Null => return Some(None),
        Value::Array(indices) if indices.is_empty() => return Some(None),
        Value::Object(tables) if tables.is_empty() => return Some(None),
        Value::Object(tables) if tables.keys().any(|table| !TABLES.contains(&&**table)) => return None,
        _ => {}
    }
    let indices = of_table(TABLES[0])?;
    let same = of_table(TABLES[1]).map_or(model.tied, |others| others == indices);
    let first = u32::try_from(indices.first()?.as_u64()?).ok()?;
    let run = (u64::from(first)..).zip(indices).all(|(expected, index)| index.as_u64() == Some(expected));
    let tokens = Tokens { first, count: u32::try_from(indices.len()).ok()? };
    (same && run && tokens.range().end <= model.vocab).then_some(Some(tokens))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Config;

    fn architecture() -> Architecture {
        Architecture::from(&Config {
            vocab_size: 9,
            hidden_size: 8,
            intermediate_size: 12,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 4,
            ..Config::default()
        })
    }

    fn with_layers(count: usize) -> Architecture {
        Architecture { layers: vec![architecture().layers[0]; count], ..architecture() }
    }

    fn lora() -> Lora {
        Lora { rank: 3, alpha: 6.0, targets: vec![Target::Query, Target::Value, Target::Down], tokens: None }
    }

    #[test]
    fn what_is_saved_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Some(Tokens { first: 3, count: 4 });
        for (tokens, tied) in [(tokens, false), (tokens, true), (None, true)] {
            let config = Architecture { tied, ..architecture() };
            let mut saved = Adapters::random(&config, Lora { tokens, ..lora() }, 5);
            saved.weights_mut().iter_mut().zip(0u16..).for_each(|(w, i)| *w += f32::from(i));
            saved.save(folder.path(), "a model").unwrap();
            let read = Adapters::load(folder.path(), &config).unwrap();
            assert_eq!((read.lora(), read.weights()), (saved.lora(), saved.weights()));
            assert_eq!(peft_base(folder.path()).unwrap(), "a model");
        }
        let read = Adapters::load(folder.path(), &architecture()).unwrap();
        assert!(read.fits(&architecture()) && !read.fits(&Architecture { intermediate: 16, ..architecture() }));
        let error = Adapters::load(folder.path(), &Architecture { intermediate: 8, ..architecture() });
        assert_eq!(error.err().unwrap().key(), "model-tensor-wrong");
        let error = Adapters::load(folder.path(), &with_layers(1));
        assert_eq!(error.err().unwrap().key(), "model-tensor-extra");
        let error = Adapters::load(folder.path(), &with_layers(90));
        assert_eq!(error.err().unwrap().key(), "lora-too-short");
    }

    #[test]
    fn as_many_tokens_as_there_may_be_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let config = Architecture { vocab: 1 << 22, hidden: 1, tied: false, ..architecture() };
        let tokens = Some(Tokens { first: (1 << 22) - TOKENS_MAX, count: TOKENS_MAX });
        let lora = Lora { tokens, ..lora() };
        Adapters::zeros(&config, lora.clone()).save(folder.path(), "a model").unwrap();
        assert_eq!(Adapters::load(folder.path(), &config).unwrap().lora(), &lora);
        assert_eq!(
            Lora { tokens: Some(Tokens { first: 0, count: 0 }), ..lora.clone() }.validate().unwrap_err().key(),
            "lora-value"
        );
        let more = Lora { tokens: Some(Tokens { first: 0, count: TOKENS_MAX + 1 }), ..lora };
        assert_eq!(more.validate().unwrap_err().key(), "lora-value");
    }

    #[test]
    fn what_is_not_computed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        Adapters::zeros(&architecture(), lora()).save(folder.path(), "a model").unwrap();
        let path = folder.path().join(CONFIG);
        let good: Map<String, Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for (key, value) in [
            ("peft_type", json!("IA3")),
            ("r", json!(0)),
            ("r", json!(u64::MAX)),
            ("r", json!(-1)),
            ("lora_alpha", json!("x")),
            ("lora_alpha", json!(0)),
            ("target_modules", json!(["q_proj", "embed_tokens"])),
            ("target_modules", json!(["q_proj", "q_proj"])),
            ("target_modules", json!(".*_proj")),
            ("target_modules", json!([])),
            ("bias", json!("all")),
            ("use_dora", json!(true)),
            ("rank_pattern", json!({"q_proj": 4})),
            ("modules_to_save", json!(["lm_head"])),
            ("init_lora_weights", json!("pissa")),
            ("trainable_token_indices", json!(7)),
            ("trainable_token_indices", json!({"embed_tokens": 7})),
            ("trainable_token_indices", json!({"embed_tokens": []})),
            ("trainable_token_indices", json!({"embed_tokens": [3, 5]})),
            ("trainable_token_indices", json!({"embed_tokens": [4, 3]})),
            ("trainable_token_indices", json!({"embed_tokens": [3, 3]})),
            ("trainable_token_indices", json!({"embed_tokens": [-1, 0]})),
            ("trainable_token_indices", json!({"embed_tokens": [7, 8, 9]})),
            ("trainable_token_indices", json!({"embed_tokens": [u64::MAX]})),
            ("trainable_token_indices", json!({"embed_tokens": ["3"]})),
            ("trainable_token_indices", json!({"embed_tokens": [3], "lm_head": [4]})),
            ("trainable_token_indices", json!({"lm_head": [3]})),
            ("trainable_token_indices", json!({"q_proj": [3]})),
        ] {
            let mut wrong = good.clone();
            wrong.insert(key.into(), value.clone());
            fs::write(&path, Value::Object(wrong).to_string()).unwrap();
            let error = Adapters::load(folder.path(), &architecture()).err().unwrap();
            assert_eq!(error.key(), "lora-value", "{key} {value}");
        }
        // Where the head is another table, its rows are learned too.
        let untied = Architecture { tied: false, ..architecture() };
        for wrong in [json!([3]), json!({"embed_tokens": [3]}), json!({"embed_tokens": [3], "lm_head": [4]})] {
            let mut other = good.clone();
            other.insert("trainable_token_indices".into(), wrong);
            fs::write(&path, Value::Object(other).to_string()).unwrap();
            assert_eq!(Adapters::load(folder.path(), &untied).err().unwrap().key(), "lora-value");
        }
        // What PEFT understands in the same way, so that the weights are missed.
        for same in [json!([3]), json!({"embed_tokens": [3]}), json!({"embed_tokens": [3], "lm_head": [3]})] {
            let mut other = good.clone();
            other.insert("trainable_token_indices".into(), same);
            fs::write(&path, Value::Object(other).to_string()).unwrap();
            assert_eq!(Adapters::load(folder.path(), &architecture()).err().unwrap().key(), "model-tensor-missing");
        }
        let mut nameless = good.clone();
        nameless.insert("base_model_name_or_path".into(), Value::Null);
        fs::write(&path, Value::Object(nameless).to_string()).unwrap();
        assert_eq!(peft_base(folder.path()).err().unwrap().key(), "lora-value");
        let mut other = good.clone();
        other.insert("use_rslora".into(), json!(true));
        fs::write(&path, Value::Object(other).to_string()).unwrap();
        let alpha = Adapters::load(folder.path(), &architecture()).unwrap().lora().alpha;
        assert_eq!(alpha, 6.0 * 3f32.sqrt());
    }

    /// Damage is refused, or leaves adapters as whole as good ones.
    #[test]
    fn random_damage_never_panics() {
        let folder = tempfile::tempdir().unwrap();
        let lora = Lora { tokens: Some(Tokens { first: 3, count: 4 }), ..lora() };
        Adapters::random(&architecture(), lora, 5).save(folder.path(), "a model").unwrap();
        for name in [CONFIG, WEIGHTS] {
            let path = folder.path().join(name);
            let good = fs::read(&path).unwrap();
            for case in 0..2000 {
                let mut stream = kwaya_math::philox::Stream::new(8, 1, case);
                let mut bytes = good.clone();
                let most = bytes.len().min(1500) as u64;
                for _ in 0..=stream.below(3) {
                    let at = stream.below(most) as usize;
                    bytes[at] = match stream.below(2) {
                        0 => bytes[at] ^ (1 << stream.below(8)),
                        _ => b"0123456789[]{},:"[stream.below(16) as usize],
                    };
                }
                if stream.below(8) == 0 {
                    bytes.truncate(stream.below(bytes.len() as u64) as usize);
                }
                fs::write(&path, &bytes).unwrap();
                if let Ok(read) = Adapters::load(folder.path(), &architecture()) {
                    assert!(read.fits(&architecture()) && read.weights().iter().all(|w| w.is_finite()), "case {case}");
                }
            }
            fs::write(&path, good).unwrap();
        }
    }
}
