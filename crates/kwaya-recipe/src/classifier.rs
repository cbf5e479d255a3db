//! A classifier of either kind behind one face: linear over hashed words, or a
//! language model that was taught.

use std::{fs::File, io::Read, path::Path};

use kwaya_base::{Progress, Result, error::At};
use kwaya_classify::{Answer, Calibration, Measures, Shown, Telling};
use kwaya_math::Pool;

use crate::taught::Taught;

/// What every GGUF file begins with.
const MAGIC: &[u8] = b"GGUF";

/// A classifier that answers.
pub enum Classifier {
    /// Over hashed words and characters.
    Linear(Box<kwaya_classify::Classifier>, Pool),
    /// A language model.
    Taught(Box<Taught>),
}

impl Classifier {
    /// Opens the file at `path`, which may come from anywhere.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path, threads: usize) -> Result<Self> {
        let mut magic = Vec::new();
        if !path.is_dir() {
            File::open(path).at(path)?.take(MAGIC.len() as u64).read_to_end(&mut magic).at(path)?;
        }
        // A folder is no classifier, but may be a model.
        if magic == MAGIC || path.is_dir() {
            return Ok(Self::Taught(Box::new(Taught::open(path, threads)?)));
        }
        Ok(Self::Linear(Box::new(kwaya_classify::Classifier::read(path)?), Pool::new(threads)))
    }

    /// Makes it independent of its file.
    pub fn let_go_of_files(&mut self) {
        if let Self::Taught(taught) = self {
            taught.let_go_of_files();
        }
    }

    /// The columns with text that it was made from.
    pub fn text(&self) -> &[String] {
        match self {
            Self::Linear(linear, _) => &linear.about().text,
            Self::Taught(taught) => &taught.about().text,
        }
    }

    /// The column with the label.
    pub fn column(&self) -> &str {
        match self {
            Self::Linear(linear, _) => &linear.about().label,
            Self::Taught(taught) => &taught.about().label,
        }
    }

    /// The labels, sorted.
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Linear(linear, _) => &linear.about().labels,
            Self::Taught(taught) => &taught.about().labels,
        }
    }

    /// The number of a label.
    pub fn label(&self, name: &str) -> Option<usize> {
        self.labels().binary_search_by(|label| label.as_str().cmp(name)).ok()
    }

    /// How scores become answers.
    pub fn calibration(&self) -> &Calibration {
        match self {
            Self::Linear(linear, _) => &linear.about().calibration,
            Self::Taught(taught) => &taught.about().calibration,
        }
    }

    /// Rows that it answers in about a second: so many are handed to
    /// [`Classifier::answers`] at once.
    pub fn at_once(&self) -> usize {
        match self {
            Self::Linear(..) => 1024,
            Self::Taught(_) => 8,
        }
    }

    /// The row of a text whose columns are not known.
    pub fn row(&self, text: &str) -> Vec<String> {
        match self {
            Self::Linear(linear, _) => linear.row(text),
            Self::Taught(_) => vec![text.to_owned()],
        }
    }

    /// The answers to rows of texts, in their order.
    ///
    /// # Errors
    /// `interrupted`; when a language model cannot read a text.
    ///
    /// # Panics
    /// When a linear one is given fewer texts than columns.
    pub fn answers(&self, rows: &[Vec<String>], progress: &dyn Progress) -> Result<Vec<Answer>> {
        match self {
            Self::Linear(linear, pool) => Ok(linear.answers(rows, pool)),
            Self::Taught(taught) => taught.answers(rows, progress),
        }
    }

    /// The words of a row that spoke most for a label. A language model does
    /// not tell.
    pub fn because(&self, texts: &[String], label: usize, most: usize) -> Vec<Telling> {
        match self {
            Self::Linear(linear, _) => linear.because(texts, label, most),
            Self::Taught(_) => Vec::new(),
        }
    }

    /// Measures answers to rows whose labels, by number, are `truths`.
    ///
    /// # Panics
    /// When there are not as many truths as answers.
    pub fn measure(&self, answers: &[Answer], truths: &[usize]) -> Measures {
        self.calibration().measure(self.labels(), answers, truths)
    }

    /// What a page shows of it.
    pub fn shown(&self) -> Shown<'_> {
        match self {
            Self::Linear(linear, _) => linear.about().into(),
            Self::Taught(taught) => taught.about().into(),
        }
    }
}
