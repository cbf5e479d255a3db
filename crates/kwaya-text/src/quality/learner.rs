//! What has to be known of all documents before one can be judged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Cleaned, Level, Measures, Model, WordLists, Yardstick, read_number,
    site::{SiteLines, line_hashes},
};

/// How hard what was learned is compressed: little, as a disk is fast.
const ZSTD_LEVEL: i32 = 1;

/// Learns from documents on any number of threads, in any order: sums are all
/// that it keeps, so that the order does not show. About 1.6 MB for
/// each language, and 16 MB.
#[derive(Default)]
pub struct Learner {
    models: Mutex<BTreeMap<String, Arc<Mutex<Model>>>>,
    lines: Mutex<SiteLines>,
}

impl Learner {
    /// Learns from a document in `language`. `source` stands for the site or
    /// folder that it is from.
    pub fn add(&self, language: &str, source: u64, text: &str) {
        let model = {
            let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
            match models.get(language) {
                Some(model) => Arc::clone(model),
                None => Arc::clone(models.entry(language.to_owned()).or_default()),
            }
        };
        model.lock().unwrap_or_else(PoisonError::into_inner).add(text);
        self.add_lines(source, text);
    }

    /// Learns from the lines of a document alone: of the language enough is known.
    pub fn add_lines(&self, source: u64, text: &str) {
        let lines = line_hashes(source, text);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).add_hashes(source, &lines);
    }

    /// What was learned.
    pub fn finish(self) -> Knowledge {
        let models = self.models.into_inner().unwrap_or_else(PoisonError::into_inner);
        let model = |model: Arc<Mutex<Model>>| {
            let model = Arc::into_inner(model).expect("no document is being added any more");
            model.into_inner().unwrap_or_else(PoisonError::into_inner)
        };
        Knowledge {
            languages: models.into_iter().map(|(language, of)| (language, Yardstick::new(model(of)))).collect(),
            lines: self.lines.into_inner().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// What was learned from all documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    languages: BTreeMap<String, Yardstick>,
    lines: SiteLines,
}

impl Knowledge {
    /// A document without the lines that are no part of it.
    pub fn clean<'a>(&self, language: &str, source: u64, text: &'a str, level: Level) -> Cleaned<'a> {
        Cleaned::of(text, level, (&self.lines, source), self.languages.get(language).map(Yardstick::model))
    }

    /// Its figures.
    pub fn measure(&self, language: &str, cleaned: &Cleaned<'_>, lists: &WordLists) -> Measures {
        Measures::of(cleaned, self.languages.get(language), lists)
    }

    /// As bytes, for [`Self::from_bytes`]: the lines; then for each language the
    /// length of its code (u64), that, and its counts; compressed, as most counts are 0.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.lines.write(&mut out);
        for (language, yardstick) in &self.languages {
            out.extend_from_slice(&(language.len() as u64).to_le_bytes());
            out.extend_from_slice(language.as_bytes());
            yardstick.model().write(&mut out);
        }
        zstd::encode_all(&*out, ZSTD_LEVEL).expect("memory takes what is written to it")
    }

    /// What [`Self::to_bytes`] gave; `None` where these bytes are not that.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = zstd::decode_all(bytes).ok()?;
        let mut bytes = bytes.as_slice();
        let mut knowledge = Self { languages: BTreeMap::new(), lines: SiteLines::read(&mut bytes)? };
        while !bytes.is_empty() {
            let length = usize::try_from(read_number(&mut bytes)?).ok()?;
            let language = String::from_utf8(bytes.split_off(..length)?.to_vec()).ok()?;
            knowledge.languages.insert(language, Yardstick::new(Model::read(&mut bytes)?));
        }
        Some(knowledge)
    }

    /// Adds what was learned from other documents.
    pub fn merge(&mut self, other: &Self) {
        for (language, yardstick) in &other.languages {
            let mut model = self.languages.remove(language).map_or_else(Model::default, Yardstick::into_model);
            model.merge(yardstick.model());
            self.languages.insert(language.clone(), Yardstick::new(model));
        }
        self.lines.merge(&other.lines);
    }
}
