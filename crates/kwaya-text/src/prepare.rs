//! One file on its thread: read, extract, clean, cut and judge its documents,
//! each by itself.

use std::{borrow::Cow, collections::BTreeMap, fs::File, io::Read, mem::take};

use kwaya_base::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Reason,
    chat::{self, Message},
    clean,
    corpus::{Options, Step},
    duplicates::Signature,
    extract::{Extracted, Extractor, Format, Refusal},
    language::Identifier,
    lines::{self, Line},
    privacy::Counts,
    sources::{self, Source},
};

/// Longer texts are cut into pieces, each a document of its own: a book or one
/// large file then has parts to train on and parts to measure on, copies of
/// chapters are found, and no step has to hold more than this at once. It is
/// less than the smallest corpus that can be trained on.
const PIECE_BYTES: usize = 16 << 10;

/// Lines of a file that are dropped for one reason, each with a row of its own;
/// a row more tells of the rest. A line may be three bytes, a row takes
/// hundreds.
const DROPPED_LINES_MAX: u64 = 1000;

/// A document that is good by itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct Clean {
    pub(crate) language: String,
    pub(crate) format: String,
    pub(crate) history: Vec<Step>,
    pub(crate) replaced: Counts,
    #[serde(skip)]
    pub(crate) text: String,
}

/// What a document came to on its thread.
pub(crate) enum Prepared {
    Clean { document: Clean, hash: blake3::Hash, signature: Option<Box<Signature>> },
    Dropped { reason: Reason, detail: String, language: String, bytes: u64 },
}

impl Prepared {
    fn dropped((reason, detail): Refusal, bytes: u64) -> Self {
        Self::Dropped { reason, detail, language: String::new(), bytes }
    }
}

/// The documents of one file, or why there are none.
pub(crate) fn prepare(
    file: &sources::File,
    source: &Source,
    options: &Options,
    identifier: &Identifier,
    extractor: &mut Extractor,
) -> Result<Vec<Prepared>> {
    let extracted = match read(file, options, extractor)? {
        Ok(extracted) if extracted.format == Format::Lines => {
            return Ok(of_lines(&extracted, source, options, identifier));
        }
        Ok(extracted) => refine(extracted, options),
        Err(refusal) => Err(refusal),
    };
    Ok(match extracted {
        Ok(extracted) => of_text(extracted, source, options, identifier),
        Err(refusal) => vec![Prepared::dropped(refusal, file.bytes)],
    })
}

/// The documents of a file of lines.
fn of_lines(file: &Extracted, source: &Source, options: &Options, identifier: &Identifier) -> Vec<Prepared> {
    let mut documents = Vec::new();
    let mut dropped: BTreeMap<Reason, (u64, u64)> = BTreeMap::new();
    for (number, bytes, line) in lines::read(&file.text) {
        let prepared = line
            .map_err(|cause| (Reason::BadLine, cause))
            .and_then(|line| of_line(line, &file.history, source, options, identifier))
            .unwrap_or_else(|(reason, detail)| {
                let colon = if detail.is_empty() { "" } else { ": " };
                vec![Prepared::dropped((reason, format!("line {number}{colon}{detail}")), bytes)]
            });
        for document in prepared {
            if let Prepared::Dropped { reason, bytes, .. } = document {
                let (count, rest) = dropped.entry(reason).or_default();
                *count += 1;
                if *count > DROPPED_LINES_MAX {
                    *rest += bytes;
                    continue;
                }
            }
            documents.push(document);
        }
    }
    for (reason, (count, rest)) in dropped.into_iter().filter(|(_, (count, _))| *count > DROPPED_LINES_MAX) {
        let detail = format!("{} more", count - DROPPED_LINES_MAX);
        documents.push(Prepared::dropped((reason, detail), rest));
    }
    documents
}

/// The documents of a line.
fn of_line(
    line: Line,
    history: &[Step],
    source: &Source,
    options: &Options,
    identifier: &Identifier,
) -> Result<Vec<Prepared>, Refusal> {
    let mut history = history.to_vec();
    match line {
        Line::Text(text) => {
            let extracted = refine(Extracted { text, format: Format::Lines, history }, options)?;
            Ok(of_text(extracted, source, options, identifier))
        }
        Line::Chat(mut messages) => {
            let said = |messages: &[Message]| messages.iter().map(|message| message.content.len() as u64).sum();
            let before = said(&messages);
            messages.iter_mut().for_each(|message| message.content = clean::normalise(&message.content));
            let after = said(&messages);
            history.push(Step::Normalise { before, after });
            if !lines::has_answer(&messages) {
                return Err((Reason::BadLine, lines::NO_ANSWER.to_owned()));
            }
            if after > options.max_file_bytes {
                return Err((Reason::TooLarge, "text".to_owned()));
            }
            Ok(vec![judge(Content::Chat(messages), Format::Chat, history, source, options, identifier)])
        }
    }
}

/// The documents of a text.
fn of_text(
    Extracted { text, format, history }: Extracted,
    source: &Source,
    options: &Options,
    identifier: &Identifier,
) -> Vec<Prepared> {
    let pieces = clean::pieces(&text, PIECE_BYTES);
    let count = pieces.len() as u64;
    let judged = (1..).zip(pieces).map(|(piece, text)| {
        let mut history = history.clone();
        if count > 1 {
            history.push(Step::Cut { piece, pieces: count });
        }
        judge(Content::Text(text), format, history, source, options, identifier)
    });
    judged.collect()
}

/// The text of a file.
fn read(file: &sources::File, options: &Options, extractor: &mut Extractor) -> Result<Result<Extracted, Refusal>> {
    let refuse = |reason, detail: &str| Ok(Err((reason, detail.to_owned())));
    if file.bytes == 0 {
        return refuse(Reason::Empty, "");
    }
    if file.bytes > options.max_file_bytes {
        return refuse(Reason::TooLarge, "");
    }
    // A file that has grown since it was listed is noticed, not read in full.
    let mut bytes = Vec::with_capacity(file.bytes as usize + 1);
    let read = File::open(&file.path).and_then(|f| f.take(file.bytes + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return refuse(Reason::Unreadable, &error.to_string());
    }
    if blake3::hash(&bytes) != file.hash {
        return Err(Error::new("source-changed").path(&file.path));
    }
    extractor.extract(&file.name, &bytes)
}

/// A text normalised, where it is one that can be used.
fn refine(Extracted { text: raw, format, mut history }: Extracted, options: &Options) -> Result<Extracted, Refusal> {
    let refuse = |reason, detail: &str| Err((reason, detail.to_owned()));
    let text = clean::normalise(&raw);
    history.push(Step::Normalise { before: raw.len() as u64, after: text.len() as u64 });
    drop(raw);
    if text.is_empty() {
        return refuse(Reason::Empty, "");
    }
    if text.len() as u64 > options.max_file_bytes {
        return refuse(Reason::TooLarge, "text");
    }
    if let Some(why) = clean::not_prose(&text) {
        return refuse(Reason::NotText, why);
    }
    if text.chars().take(options.min_characters).count() < options.min_characters {
        return refuse(Reason::TooShort, "");
    }
    Ok(Extracted { text, format, history })
}

/// What a document is made of.
enum Content<'a> {
    Text(&'a str),
    Chat(Vec<Message>),
}

impl Content<'_> {
    /// All that is said in it.
    fn words(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Chat(messages) => Cow::Owned(chat::words(messages)),
        }
    }
}

/// One document by itself: its language, and the text without personal data.
fn judge(
    content: Content<'_>,
    format: Format,
    mut history: Vec<Step>,
    source: &Source,
    options: &Options,
    identifier: &Identifier,
) -> Prepared {
    if let Some(Step::Extract { format: stated, .. }) = history.first_mut() {
        format.name().clone_into(stated);
    }
    let verdict = identifier.identify(&content.words(), source.language.as_deref());
    let language = verdict.language;
    if verdict.unwanted {
        let (detail, bytes) = (String::new(), content.words().len() as u64);
        return Prepared::Dropped { reason: Reason::OtherLanguage, detail, language, bytes };
    }
    history.push(Step::Identify { sure: verdict.detected == language, detected: verdict.detected });
    let mut replaced = Counts::new();
    let mut plain = |text: String| {
        let Some(privacy) = &options.privacy else { return text };
        let redacted = privacy.redact(text);
        redacted.counts.into_iter().for_each(|(kind, count)| *replaced.entry(kind).or_default() += count);
        redacted.text
    };
    let (text, signature) = match content {
        Content::Text(text) => {
            let text = plain(text.to_owned());
            let signature = Box::new(Signature::of(&text));
            (text, Some(signature))
        }
        // The same question in other words, with the same answer, teaches what
        // it is there to teach.
        Content::Chat(mut messages) => {
            messages.iter_mut().for_each(|message| message.content = plain(take(&mut message.content)));
            (chat::document(&messages), None)
        }
    };
    if !replaced.is_empty() {
        history.push(Step::Redact { replaced: replaced.clone() });
    }
    let hash = blake3::hash(text.as_bytes());
    let format = format.name().to_owned();
    Prepared::Clean { document: Clean { language, format, history, replaced, text }, hash, signature }
}
