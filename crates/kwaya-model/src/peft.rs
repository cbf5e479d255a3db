//! Adapters as PEFT (<https://github.com/huggingface/peft>) keeps them: a
//! folder with `adapter_config.json` and `adapter_model.safetensors`, in which
//! the names of the tensors begin with `base_model.model.`.

use std::{collections::BTreeMap, path::Path};

use kwaya_base::{Error, Result};
use kwaya_math::{Format, blocks::dequantise};
use safetensors::Dtype;
use serde_json::{Map, Value, json};

use crate::{
    config::{self, Config},
    lora::{Adapters, Lora, Target, Tokens, lora_value},
    model::write_json,
    tensors::{self, Mapped},
};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";
/// The tables that have a row for each token.
const MODULES: [&str; 2] = ["embed_tokens", "lm_head"];
/// A run of tokens this long is a mistake or an attack.
const TOKENS_MAX: usize = 1 << 20;

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
        let indices = tokens.map(|tokens| {
            let indices: Vec<usize> = tokens.range().collect();
            let tables = [MODULES[0], MODULES[1]].into_iter().take(self.row_places().count());
            tables.map(|table| (table.to_owned(), json!(indices))).collect::<Map<String, Value>>()
        });
        // PEFT has whole numbers there, though others work.
        let alpha = if alpha.fract() == 0.0 { json!(*alpha as i64) } else { json!(alpha) };
        let config = json!({
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
            "trainable_token_indices": indices,
            "use_dora": false,
            "use_rslora": false,
        });
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
    pub fn load(folder: &Path, config: &Config) -> Result<Self> {
        let path = &folder.join(CONFIG);
        let lora = read_config(path, config)?;
        let path = &folder.join(WEIGHTS);
        let mapped = Mapped::open(path)?;
        let (start, header) = mapped.header(path)?;
        let needed = 2 * lora.parameters(config);
        if mapped.bytes().len() as u64 <= needed {
            return Err(Error::new("lora-too-short").path(path).arg("bytes", mapped.bytes().len()));
        }
        let mut adapters = Self::zeros(config, lora);
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

fn read_config(path: &Path, model: &Config) -> Result<Lora> {
    let text = config::read_text(path, config::FILE_BYTES_MAX)?;
    let malformed = |error| Error::new("model-config-malformed").path(path).arg("cause", &error).source(error);
    let map: Map<String, Value> = serde_json::from_str(&text).map_err(malformed)?;
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
    let Ok(tokens) = tokens(get("trainable_token_indices"), model) else {
        let last = model.vocab_size - 1;
        return refuse("trainable_token_indices", &format!("null, {{\"embed_tokens\": [{last}]}}"));
    };
    let rank = usize::try_from(rank).unwrap_or(usize::MAX);
    let lora = Lora { rank, alpha: alpha as f32, targets, tokens };
    lora.validate()?;
    Ok(lora)
}

/// The tokens whose rows are learned: one run of them, of all tables that the
/// model has.
fn tokens(stated: &Value, model: &Config) -> Result<Option<Tokens>, ()> {
    let tables = match stated {
        Value::Null => return Ok(None),
        Value::Object(tables) if tables.is_empty() => return Ok(None),
        Value::Object(tables) => tables,
        _ => return Err(()),
    };
    let needed = if model.tie_word_embeddings { &MODULES[..1] } else { &MODULES };
    if tables.len() != needed.len() {
        return Err(());
    }
    let mut found = None;
    for table in needed {
        let indices = tables.get(*table).and_then(Value::as_array).ok_or(())?;
        let first = indices.first().and_then(Value::as_u64).ok_or(())?;
        let run = (first..).zip(indices).all(|(expected, index)| index.as_u64() == Some(expected));
        let (first, count) = (u32::try_from(first).map_err(|_| ())?, indices.len());
        let fits = count <= TOKENS_MAX && first as usize + count <= model.vocab_size;
        let tokens = Tokens { first, count: count as u32 };
        if !run || !fits || found.is_some_and(|found| found != tokens) {
            return Err(());
        }
        found = Some(tokens);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config() -> Config {
        Config {
            vocab_size: 9,
            hidden_size: 8,
            intermediate_size: 12,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 4,
            ..Config::default()
        }
    }

    fn lora() -> Lora {
        Lora { rank: 3, alpha: 6.0, targets: vec![Target::Query, Target::Value, Target::Down], tokens: None }
    }

    #[test]
    fn what_is_saved_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut saved = Adapters::random(&config(), lora(), 5);
        saved.weights_mut().iter_mut().zip(0u8..).for_each(|(w, i)| *w += f32::from(i));
        saved.save(folder.path(), "a model").unwrap();
        let read = Adapters::load(folder.path(), &config()).unwrap();
        assert_eq!((read.lora(), read.weights()), (saved.lora(), saved.weights()));
        assert!(read.fits(&config()) && !read.fits(&Config { intermediate_size: 16, ..config() }));
        let error = Adapters::load(folder.path(), &Config { intermediate_size: 8, ..config() });
        assert_eq!(error.err().unwrap().key(), "model-tensor-wrong");
        let error = Adapters::load(folder.path(), &Config { num_hidden_layers: 1, ..config() });
        assert_eq!(error.err().unwrap().key(), "model-tensor-extra");
        let error = Adapters::load(folder.path(), &Config { num_hidden_layers: 90, ..config() });
        assert_eq!(error.err().unwrap().key(), "lora-too-short");
    }

    #[test]
    fn what_is_not_computed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        Adapters::zeros(&config(), lora()).save(folder.path(), "a model").unwrap();
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
        ] {
            let mut wrong = good.clone();
            wrong.insert(key.into(), value.clone());
            fs::write(&path, Value::Object(wrong).to_string()).unwrap();
            let error = Adapters::load(folder.path(), &config()).err().unwrap();
            assert_eq!(error.key(), "lora-value", "{key} {value}");
        }
        let mut other = good.clone();
        other.insert("use_rslora".into(), json!(true));
        fs::write(&path, Value::Object(other).to_string()).unwrap();
        let alpha = Adapters::load(folder.path(), &config()).unwrap().lora().alpha;
        assert_eq!(alpha, 6.0 * 3f32.sqrt());
    }

    /// Damage is refused, or leaves adapters as whole as good ones.
    #[test]
    fn random_damage_never_panics() {
        let folder = tempfile::tempdir().unwrap();
        Adapters::random(&config(), lora(), 5).save(folder.path(), "a model").unwrap();
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
                if let Ok(read) = Adapters::load(folder.path(), &config()) {
                    assert!(read.fits(&config()) && read.weights().iter().all(|w| w.is_finite()), "case {case}");
                }
            }
            fs::write(&path, good).unwrap();
        }
    }
}
