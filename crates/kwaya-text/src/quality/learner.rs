//! What has to be known of all documents before one can be judged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Cleaned, Level, Measures, Model, WordLists, Yardstick,
    lines::{SiteLines, line_hashes},
};

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
