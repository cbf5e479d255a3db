//! The recipe, `kwaya.toml`: what a person wants built, in their own words
//! and numbers. It holds wishes; the lock holds what was decided.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result, error::At, say};
use kwaya_model::Target;
use kwaya_text::{
    language::{LEARNED_MAX, Learned},
    quality::{PHRASES_MAX, Wishes as Quality, WordLists},
};
use serde::{Deserialize, Serialize};

use crate::card::CardWishes;
use crate::rights::{Consent, Day, Until, Use, WORDS};

/// The name of the recipe in its folder.
pub const RECIPE: &str = "kwaya.toml";

/// A recipe is a page of text; more is a mistake or an attack.
const RECIPE_BYTES_MAX: u64 = 1 << 20;
/// Each language that Tesseract reads in makes it slower.
const OCR_LANGUAGES_MAX: usize = 8;
/// A list of words is no larger than this.
const WORD_LIST_BYTES_MAX: u64 = 256 << 20;
/// Packs of rules, and lists of names: all are read before anything is done.
const PERSONAL_FILES_MAX: usize = 100;

/// What to build. Unknown keys are refused, so that a typing error never
/// passes for a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The name of the model.
    pub name: String,
    /// BCP 47 tags of the languages that belong in the corpus; documents in
    /// others are set aside.
    pub languages: Vec<String>,
    /// What the model is for.
    #[serde(rename = "use")]
    pub uses: Vec<Use>,
    /// Where the documents are.
    pub source: Vec<SourceEntry>,
    /// How documents are chosen.
    #[serde(default)]
    pub corpus: CorpusWishes,
    /// Wishes for the training.
    #[serde(default)]
    pub train: TrainWishes,
    /// What only a person can say of the documents, for their card.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub card: CardWishes,
}

fn is_usual(quality: &Quality) -> bool {
    *quality == Quality::default()
}

fn is_empty(card: &CardWishes) -> bool {
    *card == CardWishes::default()
}

/// One folder or file of documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "SourceWords", into = "SourceWords")]
pub struct SourceEntry {
    /// Absolute, or relative to the recipe's folder.
    pub path: PathBuf,
    /// Who allowed what.
    pub consent: Consent,
    /// The language of all these documents, where it is known to be one.
    pub language: Option<String>,
    /// The column of its tables, or the key of its lines of JSON, that holds
    /// the text; left out, it is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

/// As it is written: unknown keys could not be refused in a part that is
/// flattened.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceWords {
    path: PathBuf,
    licence: String,
    allowed_by: String,
    allowed_on: Day,
    allowed_for: Vec<Use>,
    allowed_until: Until,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
}

impl From<SourceWords> for SourceEntry {
    fn from(words: SourceWords) -> Self {
        let SourceWords { path, licence, allowed_by, allowed_on, allowed_for, allowed_until, language, column } = words;
        Self {
            path,
            consent: Consent { licence, allowed_by, allowed_on, allowed_for, allowed_until },
            language,
            column,
        }
    }
}

impl From<SourceEntry> for SourceWords {
    fn from(entry: SourceEntry) -> Self {
        let SourceEntry { path, consent, language, column } = entry;
        let Consent { licence, allowed_by, allowed_on, allowed_for, allowed_until } = consent;
        Self { path, licence, allowed_by, allowed_on, allowed_for, allowed_until, language, column }
    }
}

/// How documents are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorpusWishes {
    /// Shorter documents are dropped, in characters.
    pub min_characters: usize,
    /// Larger files are set aside, in megabytes (10^6 bytes).
    pub max_file_mb: u64,
    /// Documents at least this alike (Jaccard, 0 to 1) count as the same.
    pub near_duplicate: f64,
    /// Whether a paragraph is kept in the first document alone that has it.
    pub unique_paragraphs: bool,
    /// Files of texts that models are measured on, absolute or relative to the
    /// recipe's folder: no document may have a passage of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep_out: Vec<PathBuf>,
    /// The share of documents kept out of training, to measure on.
    pub held_out: f64,
    /// Whether personal data is replaced.
    pub redact: bool,
    /// The languages in which Tesseract reads pictures of text, as it names
    /// them; without any it is not used, whether it is there or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ocr: Vec<String>,
    /// What is asked of a text.
    #[serde(skip_serializing_if = "is_usual")]
    pub quality: Quality,
    /// Files of words and phrases, one a line; a text with many of them is
    /// dropped. Absolute, or relative to the recipe's folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub word_lists: Vec<PathBuf>,
    /// Whether paragraphs are left out of a document that are surely in a
    /// language that is not wanted.
    pub paragraphs: bool,
    /// Files of languages that were learned (`kwaya language learn`), to be
    /// recognised too; absolute, or relative to the recipe's folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages_learned: Vec<PathBuf>,
    /// Packs of more rules for personal data and lists of names, absolute or
    /// relative to the recipe's folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub personal_packs: Vec<PathBuf>,
    /// See `personal_packs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub personal_names: Vec<PathBuf>,
    /// In which countries' ways telephone numbers are written (ISO 3166, two
    /// letters); left out, in those where the languages are spoken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub personal_countries: Vec<String>,
}

impl Default for CorpusWishes {
    fn default() -> Self {
        Self {
            min_characters: 200,
            max_file_mb: 64,
            near_duplicate: 0.8,
            unique_paragraphs: true,
            keep_out: Vec::new(),
            held_out: 0.05,
            redact: true,
            ocr: Vec::new(),
            quality: Quality::default(),
            word_lists: Vec::new(),
            paragraphs: false,
            languages_learned: Vec::new(),
            personal_packs: Vec::new(),
            personal_names: Vec::new(),
            personal_countries: Vec::new(),
        }
    }
}

/// Wishes for the training; what is left out, `kwaya plan` decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainWishes {
    /// The seed of every random choice.
    pub seed: u64,
    /// Tokens in the tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<usize>,
    /// Width of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<usize>,
    /// Depth of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// Tokens a model sees at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Optimiser steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Micro-batches in a step: at most so many processes share its work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batches: Option<usize>,
    /// The numbers that matrix products are made of, f32 or bf16: bf16 is
    /// faster where the processor has it, and its bits are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<kwaya_train::Precision>,
    /// Peak learning rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f32>,
    /// The model to begin from: a folder in Hugging Face layout, a GGUF file,
    /// or the folder of another recipe, absolute or relative to this one's.
    /// Without it a model is trained from nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<PathBuf>,
    /// How the base is taught.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// The rank of the adapters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// Their scale, times the rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f32>,
    /// The products of each layer that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<Target>>,
    /// Tokens to add to the vocabulary of the base, learned from the corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_tokens: Option<usize>,
}

/// How a base is taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Its weights stay as they are, and low-rank adapters are learned beside
    /// them (Hu et al. 2021).
    #[default]
    Lora,
    /// All weights are learned, in small steps: chats and documents.
    Full,
    /// All weights are learned, in the steps of a training from nothing, on
    /// documents: its language model goes on (Ibrahim et al. 2024).
    Continue,
}

impl Method {
    /// As it stands in a recipe.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Full => "full",
            Self::Continue => "continue",
        }
    }
}

impl TrainWishes {
    /// How the base is taught, if there is one.
    pub fn method(&self) -> Method {
        self.method.unwrap_or_default()
    }

    /// Wishes that cannot go together: the key, and what it needs.
    fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let lora = [
            ("train.rank", self.rank.is_some()),
            ("train.alpha", self.alpha.is_some()),
            ("train.targets", self.targets.is_some()),
        ];
        let from_base = [("train.method", self.method.is_some()), ("train.new_tokens", self.new_tokens.is_some())];
        let from_nothing = [
            ("train.vocabulary", self.vocabulary.is_some()),
            ("train.hidden_size", self.hidden_size.is_some()),
            ("train.layers", self.layers.is_some()),
        ];
        let first = |keys: &[(&'static str, bool)]| keys.iter().find(|(_, said)| *said).map(|(key, _)| *key);
        match self.base {
            None => first(&lora).or(first(&from_base)).map(|key| (key, "base")),
            Some(_) if self.method() != Method::Lora => first(&lora).map(|key| (key, "lora")),
            Some(_) => None,
        }
        .or_else(|| self.base.as_ref().and_then(|_| first(&from_nothing)).map(|key| (key, "nothing")))
    }
}

impl Recipe {
    /// A recipe for the documents in `from`, of a model that is for `uses`.
    pub fn new(name: &str, from: &Path, languages: &[String], uses: Vec<Use>, consent: Consent) -> Self {
        Self {
            name: name.to_owned(),
            languages: languages.to_vec(),
            uses,
            source: vec![SourceEntry { path: from.to_owned(), consent, language: None, column: None }],
            corpus: CorpusWishes::default(),
            train: TrainWishes::default(),
            card: CardWishes::default(),
        }
    }

    /// Reads and checks `folder/kwaya.toml`.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(RECIPE);
        let bytes = match fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(_) => return Err(Error::usage("recipe-missing").path(folder)),
        };
        if bytes > RECIPE_BYTES_MAX {
            return Err(Error::usage("recipe-too-large").path(&path).arg("bytes", bytes));
        }
        let text = String::from_utf8(fs::read(&path).at(&path)?)
            .map_err(|e| Error::usage("recipe-wrong").path(&path).arg("cause", e))?;
        let wrong =
            |e: toml::de::Error| Error::usage("recipe-wrong").path(&path).arg("cause", e.to_string().trim_end());
        let missing = without_rights(&toml::from_str(&text).map_err(wrong)?);
        if !missing.is_empty() {
            return Err(Error::usage("recipe-rights").path(&path).arg("missing", missing.join("\n")));
        }
        let recipe: Self = toml::from_str(&text).map_err(wrong)?;
        recipe.check(&path)?;
        Ok(recipe)
    }

    /// Refuses values that no build could follow, naming the key.
    ///
    /// # Errors
    /// `recipe-value`; `path` is named as the place of the recipe.
    pub fn check(&self, path: &Path) -> Result<()> {
        let wrong = |key: &str, value: &dyn std::fmt::Display, allowed: &str| {
            Err(Error::usage("recipe-value").path(path).arg("key", key).arg("value", value).arg("allowed", allowed))
        };
        if self.languages.is_empty() {
            return wrong("languages", &"[]", "[\"sw\"]");
        }
        for tag in self.languages.iter().chain(self.source.iter().filter_map(|s| s.language.as_ref())) {
            let plain =
                tag.len() >= 2 && tag.len() <= 35 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !plain {
                return wrong("languages", &tag, "sw, en, yo, pt-MZ");
            }
        }
        if self.source.is_empty() {
            return wrong("source", &"[]", "[[source]] path = \"documents\"");
        }
        if self.uses.is_empty() {
            return wrong("use", &"[]", &crate::rights::words(&Use::ALL));
        }
        if let Some((key, value, allowed)) = self.source.iter().find_map(|source| source.consent.wrong()) {
            return wrong(key, &value, &allowed);
        }
        let corpus = &self.corpus;
        if !(0.0..=0.5).contains(&corpus.held_out) || corpus.held_out == 0.0 {
            return wrong("corpus.held_out", &corpus.held_out, "0.01 – 0.5");
        }
        if !(0.5..=1.0).contains(&corpus.near_duplicate) {
            return wrong("corpus.near_duplicate", &corpus.near_duplicate, "0.5 – 1.0");
        }
        if corpus.max_file_mb == 0 || corpus.max_file_mb > 4096 {
            return wrong("corpus.max_file_mb", &corpus.max_file_mb, "1 – 4096");
        }
        let named = |language: &String| {
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/');
            !language.is_empty() && language.len() <= 40 && language.bytes().all(good)
        };
        if corpus.ocr.len() > OCR_LANGUAGES_MAX || !corpus.ocr.iter().all(named) {
            return wrong("corpus.ocr", &corpus.ocr.join(", "), "[\"swa\", \"eng\"]");
        }
        if let Some((key, value, possible)) = corpus.quality.contradiction() {
            return wrong(&key, &value, &possible);
        }
        if corpus.languages_learned.len() > LEARNED_MAX {
            return wrong("corpus.languages_learned", &corpus.languages_learned.len(), &format!("0 – {LEARNED_MAX}"));
        }
        let personal = [
            ("corpus.personal_packs", corpus.personal_packs.len(), PERSONAL_FILES_MAX),
            ("corpus.personal_names", corpus.personal_names.len(), PERSONAL_FILES_MAX),
            ("corpus.personal_countries", corpus.personal_countries.len(), kwaya_text::privacy::COUNTRIES_MAX),
        ];
        for (key, count, most) in personal.into_iter().filter(|(_, count, _)| *count > 0) {
            if !corpus.redact {
                return Err(Error::usage("recipe-together").path(path).arg("key", key).arg("needs", "redact"));
            }
            if count > most {
                return wrong(key, &say!("recipe-entries", count = count), &say!("recipe-entries", count = most));
            }
        }
        let train = &self.train;
        let ranges: [(&str, Option<u64>, u64, u64); 8] = [
            ("train.vocabulary", train.vocabulary.map(|v| v as u64), 300, 262_144),
            ("train.hidden_size", train.hidden_size.map(|v| v as u64), 32, 16_384),
            ("train.layers", train.layers.map(|v| v as u64), 1, 256),
            ("train.context", train.context.map(|v| v as u64), 16, 65_536),
            ("train.steps", train.steps, 1, 100_000_000),
            ("train.micro_batches", train.micro_batches.map(|v| v as u64), 1, 1024),
            ("train.rank", train.rank.map(|v| v as u64), 1, 4096),
            ("train.new_tokens", train.new_tokens.map(|v| v as u64), 1, 65_536),
        ];
        for (key, value, low, high) in ranges {
            if let Some(v) = value
                && !(low..=high).contains(&v)
            {
                return wrong(key, &v, &format!("{low} – {high}"));
            }
        }
        if let Some(rate) = train.learning_rate.filter(|rate| !(*rate > 0.0 && *rate <= 1.0)) {
            return wrong("train.learning_rate", &rate, "0.00001 – 1");
        }
        if let Some((key, needs)) = train.contradiction() {
            return Err(Error::usage("recipe-together").path(path).arg("key", key).arg("needs", needs));
        }
        Ok(())
    }

    /// The lists of words, with the hash of each file.
    ///
    /// # Errors
    /// `word-list-wrong`, and what the disk brings.
    pub fn word_lists(&self, folder: &Path) -> Result<(WordLists, Vec<String>)> {
        let (mut lists, mut hashes) = (WordLists::default(), Vec::new());
        for path in self.corpus.word_lists.iter().map(|path| folder.join(path)) {
            let mut bytes = Vec::new();
            let file = fs::File::open(&path).at(&path)?;
            // What is cut off is more than the lists may have.
            file.take(WORD_LIST_BYTES_MAX).read_to_end(&mut bytes).at(&path)?;
            let wrong =
                |line: usize| Error::usage("word-list-wrong").path(&path).arg("line", line).arg("max", PHRASES_MAX);
            let list = str::from_utf8(&bytes).map_err(|error| {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                wrong(1 + before.iter().filter(|byte| **byte == b'\n').count())
            })?;
            lists.add(list).map_err(wrong)?;
            hashes.push(blake3::hash(&bytes).to_hex().to_string());
        }
        Ok((lists, hashes))
    }

    /// The languages that were learned, with the hash of each file.
    ///
    /// # Errors
    /// `language-file-wrong`, `language-twice`, and what the disk brings.
    pub fn learned(&self, folder: &Path) -> Result<Vec<(Learned, String)>> {
        let mut learned: Vec<(Learned, String)> = Vec::new();
        for path in self.corpus.languages_learned.iter().map(|path| folder.join(path)) {
            let (language, bytes) = Learned::read(&path)?;
            if learned.iter().any(|(other, _)| other.tag() == language.tag()) {
                return Err(Error::usage("language-twice").path(&path).arg("tag", language.tag()));
            }
            learned.push((language, blake3::hash(&bytes).to_hex().to_string()));
        }
        Ok(learned)
    }

    /// The sources with their paths made absolute from the recipe's folder.
    pub fn sources(&self, folder: &Path) -> Vec<kwaya_text::sources::Source> {
        self.source
            .iter()
            .map(|s| kwaya_text::sources::Source {
                path: if is_address(&s.path) { s.path.clone() } else { folder.join(&s.path) },
                licence: s.consent.licence.clone(),
                language: s.language.clone(),
                column: s.column.clone(),
            })
            .collect()
    }
}

/// Whether this is no path but the address of a place in an object store, such as
/// `s3://bucket/folder`.
pub fn is_address(path: &Path) -> bool {
    path.to_str()
        .and_then(|path| path.split_once("://"))
        .is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// What a recipe does not say of the rights to its documents: recipes of
/// before they were asked for say little.
fn without_rights(recipe: &toml::Table) -> Vec<String> {
    let mut missing = Vec::new();
    if !recipe.contains_key("use") {
        missing.push("  use".to_owned());
    }
    let sources = recipe.get("source").and_then(toml::Value::as_array);
    for source in sources.into_iter().flatten().filter_map(toml::Value::as_table) {
        let keys: Vec<&str> = WORDS.into_iter().filter(|key| !source.contains_key(*key)).collect();
        if !keys.is_empty() {
            let path = source.get("path").and_then(toml::Value::as_str).unwrap_or("?");
            missing.push(format!("  [[source]] {path}: {}", keys.join(", ")));
        }
    }
    missing
}
