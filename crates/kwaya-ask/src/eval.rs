//! How well questions are answered: a file of questions with the document that
//! answers each, and what the answer is.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use kwaya_base::{Error, Progress, Result, Unit, error::At};
use serde::{Deserialize, Serialize};

use crate::{
    answer::{Answer, Asked, SUPPORT_MIN},
    library::{Found, Library, can_be_asked},
};

/// Bytes of a line of the file.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Passages among which the document is looked for.
const PASSAGES: usize = 50;

/// A line of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What is asked.
    pub question: String,
    /// The document that answers it: its file, or how its number begins. None
    /// where no document does.
    #[serde(default)]
    pub document: Option<String>,
    /// What the answer has to say.
    #[serde(default)]
    pub answer: Option<String>,
}

/// How well questions were answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// All questions.
    pub questions: u64,
    /// Those that a document answers.
    pub with_document: u64,
    /// Of these, those whose document came first.
    pub hit_at_1: u64,
    /// Of these, those whose document was among the first five.
    pub hit_at_5: u64,
    /// The mean of one over its rank, among these; zero where it was not found.
    pub mrr: f64,
    /// Questions with a document that were answered.
    pub answered: u64,
    /// Questions without one.
    pub without_document: u64,
    /// Of these, those that were not answered, as they should not be.
    pub refused: u64,
    /// All answers.
    pub answers: u64,
    /// Answers of which the passages that they name support every statement.
    pub supported: u64,
    /// Answers to questions of which the file says the answer.
    pub with_answer: u64,
    /// Of these, those whose passages say it.
    pub right: u64,
}

/// Reads the questions of `path`, JSON lines.
///
/// # Errors
/// `ask-questions`, with the number of the line that is wrong.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let mut reader = BufReader::new(File::open(path).at(path)?);
    let mut rows = Vec::new();
    for number in 1_u64.. {
        let mut line = Vec::new();
        if (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).at(path)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |cause: &dyn std::fmt::Display| {
            Error::usage("ask-questions").path(path).arg("line", number).arg("cause", cause)
        };
        let row: Row = serde_json::from_slice(&line).map_err(|cause| wrong(&cause))?;
        can_be_asked(&row.question).map_err(|cause| wrong(&cause))?;
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(Error::usage("ask-questions-none").path(path));
    }
    Ok(rows)
}

/// Asks the questions of `rows`, taking `count` passages for each answer, which
/// `answer` makes.
///
/// # Errors
/// The first of an answer; `ask-questions` for a question that cannot be asked;
/// `interrupted`.
pub fn measure(
    library: &Library,
    rows: &[Row],
    count: usize,
    mut answer: impl FnMut(&Asked) -> Result<Answer>,
    progress: &dyn Progress,
) -> Result<Measured> {
    let mut measured = Measured { questions: rows.len() as u64, ..Measured::default() };
    let mut reciprocal = 0.0;
    progress.begin("ask-asking", rows.len() as u64, Unit::Documents);
    for (row, done) in rows.iter().zip(1..) {
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        let said = answer(&library.ask(&row.question, count)?)?;
        measured.answers += u64::from(said.supported);
        measured.supported += u64::from(said.supported && said.unsupported.is_empty());
        match &row.document {
            None => {
                measured.without_document += 1;
                measured.refused += u64::from(!said.supported);
            }
            Some(document) => {
                measured.with_document += 1;
                measured.answered += u64::from(said.supported);
                if let Some(rank) = rank(&library.search(&row.question, PASSAGES)?, document) {
                    measured.hit_at_1 += u64::from(rank == 1);
                    measured.hit_at_5 += u64::from(rank <= 5);
                    reciprocal += 1.0 / rank as f64;
                }
            }
        }
        if let Some(expected) = row.answer.as_ref().filter(|_| said.supported) {
            measured.with_answer += 1;
            measured.right += u64::from(says(library, &said, expected)?);
        }
        progress.at(done);
    }
    progress.end();
    measured.mrr = reciprocal / measured.with_document.max(1) as f64;
    Ok(measured)
}

/// The rank of a document among those of the passages.
fn rank(found: &[Found], wanted: &str) -> Option<usize> {
    let mut documents: Vec<&str> = Vec::new();
    for Found { passage, .. } in found {
        if documents.contains(&&*passage.document) {
            continue;
        }
        documents.push(&passage.document);
        let file = passage.source == wanted || passage.source.ends_with(&format!("/{wanted}"));
        if file || (wanted.len() >= 8 && passage.document.starts_with(wanted)) {
            return Some(documents.len());
        }
    }
    None
}

/// Whether the passages that are named say what was expected.
fn says(library: &Library, said: &Answer, expected: &str) -> Result<bool> {
    let texts: Vec<&str> = said.citations.iter().map(|citation| &*citation.found.passage.text).collect();
    let expected = library.weighed(expected)?;
    Ok(expected.is_some_and(|expected| expected.cover(&texts.join("\n")) >= SUPPORT_MIN))
}
