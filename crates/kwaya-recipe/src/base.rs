//! The model of other makers that a build begins from: what it is, its
//! tokenizer, and what becomes of both in the build.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Progress, Result, error::At, files};
use kwaya_math::{Format, Pool, blocks::dequantise};
use kwaya_model::{Adapters, Architecture, EMBEDDING, HEAD, Source};
use kwaya_text::tokenizer::Extended;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    exchange::{self, Change},
    text_model,
};

/// The tokenizer of a base, in files that any folder has.
pub const TOKENIZER: [&str; 2] = ["tokenizer.json", "tokenizer_config.json"];

/// A model that can be taught.
pub struct Base {
    /// Its files.
    pub source: Source,
    /// The hash of its weights and sizes, in hex.
    pub hash: String,
    /// The contents of [`TOKENIZER`].
    pub tokenizer: [Vec<u8>; 2],
}

/// The tokens that were added to a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTokens {
    /// The number of the first; the others follow.
    pub first: u32,
    /// For each, the tokens of the base that it was made of.
    pub pieces: Vec<Vec<u32>>,
}

impl Base {
    /// The base that is `named` in the recipe in `folder`.
    ///
    /// # Errors
    /// What is wrong with it; `exchange-unsayable` for one whose result could not be written.
    pub fn open(folder: &Path, named: &Path) -> Result<Self> {
        let path = text_model::place(&folder.join(named))?;
        let source = exchange::open(&path)?;
        let sizes = source.architecture().config_json(Format::F32).map_err(|error| error.path(&path))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(sizes.to_string().as_bytes());
        hasher.update(kwaya_train::weights_hash(&source)?.as_bytes());
        let tokenizer = tokenizer(&source)?;
        Ok(Self { hash: hasher.finalize().to_hex().to_string(), tokenizer, source })
    }

    /// The hash of its tokenizer, in hex.
    pub fn tokenizer_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for content in &self.tokenizer {
            hasher.update(&(content.len() as u64).to_le_bytes());
            hasher.update(content);
        }
        hasher.finalize().to_hex().to_string()
    }

    /// What it computes.
    pub fn architecture(&self) -> &Architecture {
        self.source.architecture()
    }

    /// Leaves its tokenizer in `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_tokenizer(&self, folder: &Path) -> Result<()> {
        TOKENIZER.iter().zip(&self.tokenizer).try_for_each(|(name, content)| files::write(&folder.join(name), content))
    }

    /// Leaves the model in `folder`, as a Hugging Face folder has it, with
    /// rows for `tokens` in its tables: each begins as the mean of the rows of
    /// its pieces, which is what the base reads and says in its place.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn extend(&self, tokens: &NewTokens, folder: &Path, pool: &Pool, progress: &dyn Progress) -> Result<()> {
        let first = tokens.first as usize;
        let tables: &[&str] = if self.architecture().tied { &[EMBEDDING] } else { &[EMBEDDING, HEAD] };
        let rows = tables.iter().map(|table| Ok((*table, self.means(table, tokens)?)));
        let change = Change::Rows { first, count: tokens.pieces.len(), rows: rows.collect::<Result<_>>()? };
        exchange::write_weights(&self.source, folder, &change, pool, progress)
    }

    /// The means of the rows of `table` that each new token is made of.
    fn means(&self, table: &str, tokens: &NewTokens) -> Result<Vec<f32>> {
        let view = self.source.tensor(table)?;
        let (mut row, mut means) = (vec![0.0; view.cols], Vec::with_capacity(tokens.pieces.len() * view.cols));
        for pieces in &tokens.pieces {
            let mut sum = vec![0.0f64; view.cols];
            for &piece in pieces {
                dequantise(view.format, view.row(piece as usize), &mut row);
                sum.iter_mut().zip(&row).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            means.extend(sum.iter().map(|sum| (sum / pieces.len().max(1) as f64) as f32));
        }
        Ok(means)
    }
}

/// Leaves `source` with `adapters` merged into it in `folder`, without a
/// tokenizer.
///
/// # Errors
/// When a file cannot be written.
pub fn merge(source: &Source, adapters: &Adapters, folder: &Path, pool: &Pool, progress: &dyn Progress) -> Result<()> {
    exchange::write_weights(source, folder, &Change::Merge(adapters), pool, progress)
}

impl NewTokens {
    /// Those of an extended tokenizer.
    pub fn of(extended: &Extended) -> Self {
        Self { first: extended.first, pieces: extended.pieces.clone() }
    }

    /// Reads what [`NewTokens::write`] has written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        serde_json::from_slice(&fs::read(path).at(path)?)
            .map_err(|cause| Error::new("tokenizer-failed").path(path).arg("cause", cause))
    }

    /// Writes them durably.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write(path, json!(self).to_string().as_bytes())
    }

    /// The vocabulary of a model of `vocab` tokens with these.
    pub fn vocabulary(&self, vocab: usize) -> usize {
        vocab.max(self.first as usize + self.pieces.len())
    }
}

/// The tokenizer of a model as two files: a chat template that has a file of
/// its own goes into the second.
fn tokenizer(source: &Source) -> Result<[Vec<u8>; 2]> {
    let mut companions = exchange::companions(source)?;
    let mut take = |wanted: &str| {
        let at = companions.iter().position(|(name, _)| name == wanted)?;
        Some(companions.swap_remove(at).1)
    };
    let path: PathBuf = source.path().join(TOKENIZER[0]);
    let json = take(TOKENIZER[0]).ok_or_else(|| Error::new("tokenizer-missing").path(source.path()))?;
    let config = take(TOKENIZER[1]).unwrap_or_else(|| br#"{"tokenizer_class":"PreTrainedTokenizerFast"}"#.to_vec());
    let Some(template) = take("chat_template.jinja") else { return Ok([json, config]) };
    let mut config: Value = serde_json::from_slice(&config)
        .map_err(|cause| Error::new("tokenizer-failed").path(&path).arg("cause", cause))?;
    config["chat_template"] = String::from_utf8_lossy(&template).into();
    Ok([json, format!("{config:#}\n").into_bytes()])
}
