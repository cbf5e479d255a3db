//! The documents of a build, to be searched and opened.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use kwaya_base::{Error, Progress, Result};
use kwaya_recipe::text_model::TextModel;
use kwaya_text::corpus::Document;
use serde::{Serialize, Serializer};
use tantivy::{
    DocAddress, Searcher, TantivyDocument, TantivyError, Term,
    collector::{DocSetCollector, TopDocs},
    query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery},
    schema::{Field, IndexRecordOption, Value},
};

use crate::{
    index::{self, Fields, Opened},
    passages,
    question::{Question, Weighted},
    vectors::Vectors,
};

/// Bytes of a question.
pub const QUESTION_BYTES_MAX: usize = 4096;
/// Words of a question that are looked for, the rarest of them, and pieces: more
/// cost twice the time and find no more (measured on headlines of four languages).
const WORDS_MAX: usize = 24;
const PIECES_MAX: usize = 40;

/// Passages that are taken from each of two lists, by words and by vectors.
const CANDIDATES: usize = 50;
/// What vectors count of the sum, each list by its best. Ranks in the place of
/// scores were worse: they make much of small differences (`docs/asking.md`).
const VECTORS_WEIGHT: f32 = 0.2;

/// A passage of a document, with where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passage {
    /// The number of the document: the hash of its text.
    pub document: String,
    /// The name of its file.
    pub source: String,
    /// The code of its language.
    pub language: String,
    /// Its number in its document, from 1.
    #[serde(rename = "passage")]
    pub number: u64,
    /// Where it starts in the text of its document, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What it says.
    pub text: String,
}

/// A passage that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The passage.
    #[serde(flatten)]
    pub passage: Passage,
    /// By what it was ranked; to be compared with others of the same question
    /// alone.
    #[serde(serialize_with = "rounded")]
    pub score: f32,
    /// How much of the question is in it, from 0 to 1: rare words count more.
    #[serde(serialize_with = "rounded")]
    pub cover: f32,
}

/// Of a figure, what somebody may want to read.
fn rounded<S: Serializer>(figure: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((f64::from(*figure) * 1e4).round() / 1e4)
}

/// A document, to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// Its number: the hash of its text.
    pub document: String,
    /// The name of its file.
    pub source: String,
    /// The code of its language.
    pub language: String,
    /// What it says. Of a chat it is what was said, one after the other.
    pub text: String,
}

/// How much words and pieces of words count.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// Of words.
    pub words: f32,
    /// Of pieces of words.
    pub pieces: f32,
}

impl Default for Weights {
    /// What `examples/known_items.rs` found best over five languages.
    fn default() -> Self {
        Self { words: 1.0, pieces: 1.0 }
    }
}

/// The documents of a build, to be searched and opened. It may be used by many
/// threads at once, and is cheap to clone.
#[derive(Clone)]
pub struct Library {
    searcher: Searcher,
    fields: Fields,
    place: PathBuf,
    near: Option<Arc<Near>>,
}

/// Vectors, and the model that makes one of a question.
struct Near {
    vectors: Vectors,
    model: Arc<TextModel>,
}

impl Library {
    /// The library of the build in `folder`, the folder of a recipe. Its index
    /// is made first where there is none of this corpus.
    ///
    /// # Errors
    /// `corpus-missing` before a build; `interrupted`; when a disk is full.
    pub fn open(folder: &Path, progress: &dyn Progress) -> Result<Self> {
        index::open(folder, progress).map(Self::of)
    }

    /// The library of `documents`, with its index in the new folder `place`.
    ///
    /// # Errors
    /// The first of the documents; when the index cannot be written.
    pub fn make(documents: impl Iterator<Item = Result<Document>>, place: &Path) -> Result<Self> {
        index::make(documents, place)?;
        index::check(place).map(Self::of).ok_or_else(|| Error::new("ask-index-damaged").path(place))
    }

    fn of(Opened { searcher, fields, place }: Opened) -> Self {
        Self { searcher, fields, place, near: None }
    }

    /// The same, with passages found also by what `model` makes of them. That is
    /// done first where it was not yet, or not to its end.
    ///
    /// # Errors
    /// `interrupted`; when a disk is full; those of the model.
    pub fn with_vectors(mut self, model: Arc<TextModel>, progress: &dyn Progress) -> Result<Self> {
        let text = |number: u64| {
            let row = self.row(DocAddress::new(0, number as u32))?;
            Ok(self.text(&row, self.fields.text).trim().to_owned())
        };
        let vectors = Vectors::open(&self.place, self.passages(), &model, text, progress)?;
        self.near = Some(Arc::new(Near { vectors, model }));
        Ok(self)
    }

    /// Bytes of the vectors by which passages are found, if they are.
    pub fn vector_bytes(&self) -> Option<usize> {
        self.near.as_ref().map(|near| near.vectors.bytes())
    }

    /// How many passages there are.
    pub fn passages(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// The `count` passages that answer `question` best, best first.
    ///
    /// # Errors
    /// `ask-question-empty` and `ask-question-long`.
    pub fn search(&self, question: &str, count: usize) -> Result<Vec<Found>> {
        self.search_for(&self.question(question)?, question, count)
    }

    /// As [`Self::search`], for a question that was taken apart.
    pub(crate) fn search_for(&self, question: &Question, text: &str, count: usize) -> Result<Vec<Found>> {
        let Some(near) = &self.near else { return self.search_by(question, count, Weights::default()) };
        let by_words = self.best(question, CANDIDATES, Weights::default())?;
        let by_words = by_words.into_iter().map(|(score, at)| (score, at.doc_id)).collect();
        let by_vectors = near.vectors.nearest(&near.model, text, CANDIDATES)?;
        let mut scores = BTreeMap::<u32, f32>::new();
        for (list, weight) in [(by_words, 1.0 - VECTORS_WEIGHT), (by_vectors, VECTORS_WEIGHT)] {
            let best = list.first().map_or(0.0, |(score, _)| *score);
            for (score, at) in list.into_iter().filter(|(score, _)| *score > 0.0) {
                *scores.entry(at).or_default() += weight * score / best;
            }
        }
        let mut best: Vec<(f32, u32)> = scores.into_iter().map(|(at, score)| (score, at)).collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let found = best.into_iter().take(count);
        found.map(|(score, at)| self.found(question, score, DocAddress::new(0, at))).collect()
    }

    /// What is looked for with `question`.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn question(&self, question: &str) -> Result<Question> {
        can_be_asked(question)?;
        self.weighed(question)?.ok_or_else(empty)
    }

    /// Any text, taken apart; `None` where it has no word.
    pub(crate) fn weighed(&self, text: &str) -> Result<Option<Question>> {
        let with = |field: Field, text: &str| self.searcher.doc_freq(&Term::from_field_text(field, text));
        let (words, pieces) = (self.fields.words, self.fields.pieces);
        Question::new(text, self.passages(), |word| with(words, word), |piece| with(pieces, piece)).map_err(failed)
    }

    /// As [`Self::search`], with weights of one's own.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn search_by(&self, question: &Question, count: usize, weights: Weights) -> Result<Vec<Found>> {
        let best = self.best(question, count, weights)?;
        best.into_iter().map(|(score, at)| self.found(question, score, at)).collect()
    }

    fn found(&self, question: &Question, score: f32, at: DocAddress) -> Result<Found> {
        let passage = self.passage(at)?;
        let cover = question.cover(&passage.text);
        Ok(Found { passage, score, cover })
    }

    /// The best passages by words and pieces of them.
    fn best(&self, question: &Question, count: usize, weights: Weights) -> Result<Vec<(f32, DocAddress)>> {
        let words = rarest(question.words(), WORDS_MAX).map(|word| (self.fields.words, word, weights.words));
        let pieces = rarest(question.pieces(), PIECES_MAX).map(|piece| (self.fields.pieces, piece, weights.pieces));
        let terms = words.chain(pieces).filter(|(.., weight)| *weight > 0.0).map(|(field, weighted, weight)| {
            let term = Term::from_field_text(field, &weighted.text);
            let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
            (Occur::Should, Box::new(BoostQuery::new(Box::new(query), weight)) as Box<dyn Query>)
        });
        let query = BooleanQuery::new(terms.collect());
        let best = TopDocs::with_limit(count.max(1)).order_by_score();
        let mut best = self.searcher.search(&query, &best).map_err(failed)?;
        best.truncate(count);
        Ok(best)
    }

    /// The document of this number.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn document(&self, id: &str) -> Result<Option<Text>> {
        let query = TermQuery::new(Term::from_field_text(self.fields.document, id), IndexRecordOption::Basic);
        let found = self.searcher.search(&query, &DocSetCollector).map_err(failed)?;
        let mut found: Vec<DocAddress> = found.into_iter().collect();
        found.sort_unstable();
        let mut whole: Option<Text> = None;
        for at in found {
            let row = self.row(at)?;
            let text = self.text(&row, self.fields.text);
            match &mut whole {
                Some(whole) => whole.text += text,
                None => {
                    let field = |field| self.text(&row, field).to_owned();
                    let (source, language) = (field(self.fields.source), field(self.fields.language));
                    whole = Some(Text { document: id.to_owned(), source, language, text: text.to_owned() });
                }
            }
        }
        Ok(whole)
    }

    fn row(&self, at: DocAddress) -> Result<TantivyDocument> {
        self.searcher.doc(at).map_err(failed)
    }

    fn text<'r>(&self, row: &'r TantivyDocument, field: Field) -> &'r str {
        row.get_first(field).and_then(|value| value.as_str()).unwrap_or_default()
    }

    fn passage(&self, at: DocAddress) -> Result<Passage> {
        let row = self.row(at)?;
        let field = |field| self.text(&row, field).to_owned();
        let number = |field| row.get_first(field).and_then(|value| value.as_u64()).unwrap_or_default();
        let (text, place) = passages::trimmed(self.text(&row, self.fields.text), number(self.fields.start) as usize);
        Ok(Passage {
            document: field(self.fields.document),
            source: field(self.fields.source),
            language: field(self.fields.language),
            number: number(self.fields.number),
            start: place.start,
            end: place.end,
            text: text.to_owned(),
        })
    }
}

/// Whether a question has a word, and not too many.
pub(crate) fn can_be_asked(question: &str) -> Result<()> {
    if question.len() > QUESTION_BYTES_MAX {
        let error = Error::usage("ask-question-long").arg("bytes", question.len());
        return Err(error.arg("most", QUESTION_BYTES_MAX).arg("param", "question"));
    }
    if question.contains(char::is_alphanumeric) { Ok(()) } else { Err(empty()) }
}

fn empty() -> Error {
    Error::usage("ask-question-empty").arg("param", "question")
}

/// Those that are in the fewest passages, and in one at least.
fn rarest(terms: &[Weighted], count: usize) -> impl Iterator<Item = &Weighted> {
    let mut known: Vec<&Weighted> = terms.iter().filter(|term| term.passages > 0).collect();
    known.sort_by_key(|term| term.passages);
    known.truncate(count);
    known.into_iter()
}

fn failed(cause: TantivyError) -> Error {
    index::wrong(Path::new("build/ask"), cause)
}
