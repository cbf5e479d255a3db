//! The lock, `kwaya.lock`: the plan resolved to exact numbers. It alone,
//! with the documents that it names by hash, defines every bit of the model.

use std::{fs, path::Path};

use kwaya_base::{Error, Result, error::At, files};
use kwaya_model::{Architecture, Config, Lora, Source};
use kwaya_train::{Precision, Schedule};
use serde::{Deserialize, Serialize};

use crate::{
    learning::Learning,
    recipe::{CorpusWishes, Method},
};

/// The name of the lock in the recipe's folder.
pub const LOCK: &str = "kwaya.lock";

/// The format of the lock that this program reads and writes.
const VERSION: u32 = 1;

/// The arithmetics that this program computes with (docs/arithmetic.md).
const ARITHMETICS: [(Precision, &str); 2] = [(Precision::F32, "f32-1"), (Precision::Bf16, "bf16-1")];

/// The names of all of them.
pub(crate) fn arithmetics() -> String {
    ARITHMETICS.map(|(_, name)| name).join(" or ")
}

/// The arithmetic of a training with products of `precision`.
pub(crate) fn arithmetic(precision: Precision) -> &'static str {
    let found = ARITHMETICS.iter().find(|(known, _)| *known == precision);
    found.expect("each precision has an arithmetic").1
}

const HEADER: &str = "# Written by `kwaya plan`. These numbers, with the documents, define every bit of the model.\n\n";

/// All that decides the bits of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Format of this file.
    pub version: u32,
    /// Which arithmetic the bits are in.
    pub arithmetic: String,
    /// BLAKE3 over the names, licences, languages and contents of all
    /// documents, in sorted order, and of languages that were learned.
    pub documents: String,
    /// The languages that belong in the corpus.
    pub languages: Vec<String>,
    /// How documents are chosen.
    pub corpus: CorpusWishes,
    /// Tokens asked for in the tokenizer; with a base, those of the model.
    pub vocabulary: usize,
    /// What the training begins from, if not from nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<LockedBase>,
    /// Sizes of the model. Those of a base are told here, not decided.
    pub model: Sizes,
    /// The training.
    pub train: Schedule,
}

/// The model that a training begins from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedBase {
    /// BLAKE3 of its weights and sizes.
    pub weights: String,
    /// BLAKE3 of its tokenizer.
    pub tokenizer: String,
    /// How it is taught.
    pub method: Method,
    /// Tokens that were added to its vocabulary.
    #[serde(default)]
    pub new_tokens: usize,
    /// The adapters that are learned, where that is the method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
}

/// The sizes that are chosen; the rest of `config.json` follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Width.
    pub hidden_size: usize,
    /// Depth.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub key_value_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Tokens a model sees at once.
    pub context: usize,
    /// The standard deviation of fresh weights.
    pub initializer_range: f64,
}

impl Sizes {
    /// Those of a base, which is read `context` tokens at a time.
    pub fn of_base(a: &Architecture, context: usize) -> Self {
        Self {
            hidden_size: a.hidden,
            layers: a.layers.len(),
            heads: a.heads,
            key_value_heads: a.kv_heads,
            intermediate_size: a.intermediate,
            context,
            // Nothing begins random; what every such lock has said.
            initializer_range: Config::default().initializer_range,
        }
    }

    /// The model's configuration with a tokenizer of `vocabulary` tokens, of
    /// which token 0 is the end of a text.
    pub fn config(&self, vocabulary: usize) -> Config {
        Config {
            vocab_size: vocabulary,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            num_key_value_heads: self.key_value_heads,
            head_dim: self.hidden_size / self.heads.max(1),
            max_position_embeddings: self.context,
            initializer_range: self.initializer_range,
            bos_token_id: Some(0),
            eos_token_id: Some(0),
            ..Config::default()
        }
    }
}

impl Lock {
    /// A lock in this program's format and arithmetic.
    pub fn new(
        documents: String,
        languages: Vec<String>,
        corpus: CorpusWishes,
        vocabulary: usize,
        base: Option<LockedBase>,
        model: Sizes,
        train: Schedule,
    ) -> Self {
        let arithmetic = arithmetic(train.precision).to_owned();
        Self { version: VERSION, arithmetic, documents, languages, corpus, vocabulary, base, model, train }
    }

    /// What is learned, beginning with the weights of `base` where there is
    /// one.
    pub fn learning<'a>(&self, base: Option<&'a Source>) -> Learning<'a> {
        let fresh = Learning::from_nothing(self.model.config(self.vocabulary));
        let lora = self.base.as_ref().and_then(|base| base.lora.clone());
        let architecture = base.map_or(fresh.architecture, |source| source.architecture().clone());
        let architecture = Architecture { vocab: self.vocabulary, ..architecture };
        Learning { architecture, base, lora, ..fresh }
    }

    /// Reads `folder/kwaya.lock`; `None` when there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(LOCK);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).at(&path)?;
        let refuse = |key| Error::usage(key).path(&path).arg("folder", folder.display());
        let wrong = |e: toml::de::Error| refuse("lock-wrong").arg("cause", e.to_string().trim_end());
        // The version is looked at first: another version may have other keys.
        let table: toml::Table = toml::from_str(&text).map_err(wrong)?;
        let stated = |key| table.get(key).map(|v| v.to_string().trim_matches('"').to_owned()).unwrap_or_default();
        let (version, arithmetic) = (stated("version"), stated("arithmetic"));
        let known = ARITHMETICS.map(|(_, name)| name);
        if version != VERSION.to_string() || !known.contains(&&*arithmetic) {
            return Err(refuse("lock-version")
                .arg("found", format!("{version}, {arithmetic}"))
                .arg("known", format!("{VERSION}, {}", arithmetics())));
        }
        let lock: Self = toml::from_str(&text).map_err(wrong)?;
        // The heads of a base may be wider.
        let fits = lock.base.is_some() || lock.model.hidden_size.is_multiple_of(lock.model.heads);
        if lock.model.heads == 0 || !fits {
            return Err(refuse("lock-wrong").arg("cause", "model.heads"));
        }
        if lock.arithmetic != self::arithmetic(lock.train.precision) {
            let cause = format!("arithmetic = {:?}, but train.precision is another", lock.arithmetic);
            return Err(refuse("lock-wrong").arg("cause", cause));
        }
        match &lock.base {
            None => lock.model.config(lock.vocabulary).validate()?,
            Some(base) => base.lora.iter().try_for_each(Lora::validate)?,
        }
        Ok(Some(lock))
    }

    /// Writes `folder/kwaya.lock` durably.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let body = toml::to_string_pretty(self).expect("a lock is plain data");
        files::write(&folder.join(LOCK), format!("{HEADER}{body}").as_bytes())
    }
}
