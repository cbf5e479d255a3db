//! One file on its thread: read, extract, clean, cut and judge its documents,
//! each by itself. A large file of many documents is read by one thread and
//! worked on by all.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{Cursor, Read},
    mem::take,
    sync::{atomic::Ordering::Relaxed, mpsc},
    thread,
};

use kwaya_base::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Reason,
    chat::{self, Message},
    clean,
    corpus::{Options, Step},
    duplicates::Signature,
    extract::{self, Extracted, Extractor, Format, Refusal},
    extractors::Extractors,
    language::{Guess, Identifier, Wanted},
    lines::{self, Line},
    paragraphs, parallel,
    privacy::Counts,
    records::{self, Disk, Record, Task, Watch},
    sources::{self, Source},
    spool::Refused,
    withdrawn::Letters,
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

/// Characters of a text that was dropped, kept to be looked at.
const START_CHARACTERS: usize = 300;
/// Containers of this size are read by the thread that meets them, if no more
/// than so many bytes come out; larger ones by all threads, in pieces.
const SMALL_BYTES: u64 = 1 << 20;
const SMALL_RECORDS: u64 = 4 << 20;
/// Records that are handed to a thread at once, in bytes and in number.
const BATCH_BYTES: u64 = 256 << 10;
const BATCH_RECORDS: usize = 1000;
/// Records under way at once, in bytes; one alone may be larger.
const UNDER_WAY_BYTES: u64 = 16 << 20;

/// A document that is good by itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Clean {
    /// Its name within its file; empty where it has none.
    pub(crate) part: String,
    pub(crate) language: String,
    pub(crate) format: String,
    pub(crate) history: Vec<Step>,
    pub(crate) letters: Letters,
    #[serde(skip)]
    pub(crate) text: String,
}

/// What a document came to on its thread.
pub(crate) enum Prepared {
    Clean { document: Box<Clean>, hash: blake3::Hash, signature: Option<Box<Signature>>, paragraphs: Vec<(u32, u64)> },
    Dropped(Box<Refused>),
}

/// What a file came to.
pub(crate) enum Outcome {
    Documents(Vec<Prepared>),
    /// It holds more than one thread should make: see [`stream`].
    Large,
}

impl Prepared {
    fn dropped((reason, detail): Refusal, bytes: u64) -> Self {
        let none = String::new;
        // Its file is for the caller to say.
        let refused =
            Refused { file: 0, part: none(), reason, detail, language: none(), bytes, letters: none(), start: none() };
        Self::Dropped(Box::new(refused))
    }

    /// A text that is dropped; of one that was taken back nothing is kept.
    fn refused(reason: Reason, detail: &str, text: &str, bytes: u64, options: &Options) -> Self {
        let letters = Letters::of(text);
        if options.withdrawn.text(&letters) {
            return Self::dropped((Reason::Withdrawn, String::new()), bytes);
        }
        let mut dropped = Self::dropped((reason, detail.to_owned()), bytes);
        if let Self::Dropped(refused) = &mut dropped {
            refused.start = match &options.privacy {
                // More is looked at than is kept: no number is cut in two.
                Some(privacy) => start(&privacy.redact(text.chars().take(16 * START_CHARACTERS).collect()).text),
                None => start(text),
            };
            refused.letters = letters.to_string();
        }
        dropped
    }

    fn set_part(&mut self, name: &str) {
        let part = match self {
            Self::Clean { document, .. } => &mut document.part,
            Self::Dropped(refused) => &mut refused.part,
        };
        name.clone_into(part);
    }
}

/// Counts what is dropped of one file, so that not every line gets a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    dropped: BTreeMap<Reason, (u64, u64)>,
}

impl Tally {
    /// The document, if it gets a row of its own.
    fn admit(&mut self, document: Prepared) -> Option<Prepared> {
        match &document {
            Prepared::Dropped(refused) if !self.admits(refused) => None,
            _ => Some(document),
        }
    }

    /// Whether what was dropped gets a row of its own.
    pub(crate) fn admits(&mut self, refused: &Refused) -> bool {
        let (count, rest) = self.dropped.entry(refused.reason).or_default();
        *count += 1;
        let admitted = *count <= DROPPED_LINES_MAX;
        *rest += if admitted { 0 } else { refused.bytes };
        admitted
    }

    /// Adds what got no row in a portion of the file; what got one is counted by
    /// itself.
    pub(crate) fn add_rest(&mut self, portion: &Self) {
        for (reason, (count, rest)) in &portion.dropped {
            let (all, bytes) = self.dropped.entry(*reason).or_default();
            *all += count.saturating_sub(DROPPED_LINES_MAX);
            *bytes += rest;
        }
    }

    /// Rows for the rest.
    pub(crate) fn rest(self) -> impl Iterator<Item = Prepared> {
        let many = self.dropped.into_iter().filter(|(_, (count, _))| *count > DROPPED_LINES_MAX);
        many.map(|(reason, (count, rest))| {
            Prepared::dropped((reason, format!("{} more", count - DROPPED_LINES_MAX)), rest)
        })
    }
}

/// Which batches of the records of a large file are worked on: from the one called
/// `first` on, of every `of` the one at `index`. The others are read all the same,
/// as a stream has no other way past them.
#[derive(Clone, Copy)]
pub(crate) struct Portion {
    pub(crate) first: u64,
    pub(crate) index: u64,
    pub(crate) of: u64,
}

impl Portion {
    /// All batches.
    pub(crate) const ALL: Self = Self { first: 0, index: 0, of: 1 };

    fn holds(self, batch: u64) -> bool {
        batch >= self.first && batch % self.of == self.index
    }
}

/// What came of a batch of the records of a large file.
pub(crate) struct Streamed<'a> {
    /// The number of the batch.
    pub(crate) batch: u64,
    pub(crate) documents: Vec<Prepared>,
    /// What was dropped up to here.
    pub(crate) tally: &'a Tally,
    /// How much of the file was read.
    pub(crate) position: u64,
}

/// What is done to one file, and by what.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) file: &'a sources::File,
    pub(crate) source: &'a Source,
    pub(crate) options: &'a Options,
    pub(crate) identifier: &'a Identifier,
}

impl Job<'_> {
    fn task(&self) -> Task<'_> {
        Task {
            name: &self.file.name,
            bytes: self.file.bytes,
            record_bytes_max: self.options.max_file_bytes,
            column: self.source.column.as_deref(),
        }
    }

    /// The documents of a record.
    fn record(&self, record: Record, extractor: &mut Extractor) -> Result<Vec<Prepared>> {
        let &Self { source, options, identifier, .. } = self;
        let (part, place, bytes, format) = (record.part.clone(), record.place, record.bytes, record.format);
        let documents = match extractor.extract_record(&self.file.name, record)? {
            Ok(Extracted { text, history, .. }) if format == Some(Format::Lines) => {
                lines::parse(&text, source.column.as_deref())
                    .map_err(|cause| Prepared::dropped((Reason::BadLine, cause), bytes))
                    .and_then(|line| of_line(line, bytes, &history, source, options, identifier))
            }
            Ok(extracted) => refine(extracted, bytes, options).map(|text| of_text(text, source, options, identifier)),
            Err(refusal) => Err(Prepared::dropped(refusal, bytes)),
        };
        let mut documents = documents.unwrap_or_else(|mut dropped| {
            if let (Prepared::Dropped(refused), Some((what, number))) = (&mut dropped, place) {
                let colon = if refused.detail.is_empty() { "" } else { ": " };
                refused.detail = format!("{what} {number}{colon}{}", refused.detail);
            }
            vec![dropped]
        });
        if !part.is_empty() {
            documents.iter_mut().for_each(|document| document.set_part(&part));
        }
        Ok(documents)
    }

    fn records(&self, records: Vec<Record>, extractor: &mut Extractor) -> Result<Vec<Prepared>> {
        let mut documents = Vec::new();
        for record in records {
            documents.extend(self.record(record, extractor)?);
        }
        Ok(documents)
    }
}

/// The beginning of a text, for people to look at.
pub(crate) fn start(text: &str) -> String {
    text.chars().take(START_CHARACTERS).collect()
}

/// The documents of one file, or why there are none.
pub(crate) fn prepare(job: Job<'_>, extractor: &mut Extractor) -> Result<Outcome> {
    let Job { file, source, options, identifier } = job;
    let bytes = match read(file, options)? {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Outcome::Large),
        Err(refusal) => return Ok(Outcome::Documents(vec![Prepared::dropped(refusal, file.bytes)])),
    };
    if file.bytes <= SMALL_BYTES && records::holds_many(&file.name, &mut Cursor::new(&bytes)).is_ok_and(|many| many) {
        let (mut records, mut size) = (Vec::new(), 0);
        records::read_bytes(job.task(), &bytes, extractor, &mut |record: Record| {
            size += record.bytes;
            records.push(record);
            size <= SMALL_RECORDS
        })?;
        if size > SMALL_RECORDS {
            return Ok(Outcome::Large);
        }
        let mut tally = Tally::default();
        let documents = job.records(records, extractor)?.into_iter().filter_map(|document| tally.admit(document));
        let mut documents: Vec<Prepared> = documents.collect();
        documents.extend(tally.rest());
        return Ok(Outcome::Documents(documents));
    }
    let extracted = match extractor.extract(&file.name, &bytes)? {
        Ok(extracted) => refine(extracted, file.bytes, options),
        Err(refusal) => Err(Prepared::dropped(refusal, file.bytes)),
    };
    Ok(Outcome::Documents(match extracted {
        Ok(extracted) => of_text(extracted, source, options, identifier),
        Err(dropped) => vec![dropped],
    }))
}

/// The documents of a portion of a file that is [`Outcome::Large`], to `sink` in
/// their order. One thread reads, all work. `tally` is of the batches before; gives
/// that of all.
///
/// # Errors
/// Those of [`prepare`] and of `sink`.
pub(crate) fn stream(
    job: Job<'_>,
    portion: Portion,
    mut tally: Tally,
    extractors: &Extractors,
    mut sink: impl FnMut(Streamed<'_>) -> Result<()>,
) -> Result<Tally> {
    let Job { file, options, .. } = job;
    let (send, batches) = mpsc::sync_channel::<(u64, Vec<Record>, u64)>(1);
    let disk = Disk { path: &file.path, task: job.task(), hash: file.hash };
    let watch = Watch::default();
    thread::scope(|scope| {
        let watch = &watch;
        let reader = scope.spawn(move || {
            let (mut number, mut batch, mut bytes) = (0, Vec::new(), 0);
            disk.read(&mut extractors.get(), watch, &mut |record: Record| {
                bytes += record.bytes;
                batch.push(record);
                bytes < BATCH_BYTES && batch.len() < BATCH_RECORDS || {
                    let full = (number, take(&mut batch), take(&mut bytes));
                    number += 1;
                    !portion.holds(full.0) || send.send(full).is_ok()
                }
            })?;
            if portion.holds(number) {
                // Who would take it may be gone; why, they know.
                let _ = send.send((number, batch, bytes));
            }
            Ok(())
        });
        let done = parallel::stream(
            move || batches.recv().ok(),
            options.threads,
            (|(_, _, bytes): &(_, _, u64)| *bytes, UNDER_WAY_BYTES),
            || extractors.get(),
            |extractor, (number, records, _)| (number, job.records(records, extractor)),
            |_, (number, documents)| {
                let position = watch.position.load(Relaxed).min(file.bytes);
                let done = documents.and_then(|documents| {
                    let documents = documents.into_iter().filter_map(|document| tally.admit(document)).collect();
                    sink(Streamed { batch: number, documents, tally: &tally, position })
                });
                // The reader may be far from its next record.
                watch.stopped.store(done.is_err(), Relaxed);
                done
            },
        );
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done.and(read)?;
        Ok(tally)
    })
}

/// The documents of a line.
fn of_line(
    line: Line,
    bytes: u64,
    history: &[Step],
    source: &Source,
    options: &Options,
    identifier: &Identifier,
) -> Result<Vec<Prepared>, Prepared> {
    let mut history = history.to_vec();
    match line {
        Line::Text(text) => {
            let extracted = refine(Extracted { text, format: Format::Lines, history }, bytes, options)?;
            Ok(of_text(extracted, source, options, identifier))
        }
        Line::Chat(mut messages) => {
            let said = |messages: &[Message]| messages.iter().map(|message| message.content.len() as u64).sum();
            let before = said(&messages);
            messages.iter_mut().for_each(|message| message.content = clean::normalise(&message.content));
            let after = said(&messages);
            history.push(Step::Normalise { before, after });
            if !lines::has_answer(&messages) {
                return Err(Prepared::dropped((Reason::BadLine, lines::NO_ANSWER.to_owned()), bytes));
            }
            if after > options.max_file_bytes {
                return Err(Prepared::dropped((Reason::TooLarge, "text".to_owned()), bytes));
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
    if text.len() <= PIECE_BYTES {
        return vec![judge(Content::Text(Cow::Owned(text)), format, history, source, options, identifier)];
    }
    let pieces = clean::pieces(&text, PIECE_BYTES);
    let count = pieces.len() as u64;
    let judged = (1..).zip(pieces).map(|(piece, text)| {
        let mut history = history.clone();
        history.push(Step::Cut { piece, pieces: count });
        judge(Content::Text(Cow::Borrowed(text)), format, history, source, options, identifier)
    });
    judged.collect()
}

/// The bytes of a file; `None` when it holds many documents and is not small.
fn read(file: &sources::File, options: &Options) -> Result<Result<Option<Vec<u8>>, Refusal>> {
    let refuse = |reason, detail: &str| Ok(Err((reason, detail.to_owned())));
    if options.withdrawn.file(&file.hash) {
        return refuse(Reason::Withdrawn, "");
    }
    if file.bytes == 0 {
        return refuse(Reason::Empty, "");
    }
    let mut bytes = Vec::new();
    let read = File::open(&file.path).and_then(|mut open| {
        if file.bytes > SMALL_BYTES.min(options.max_file_bytes) && records::holds_many(&file.name, &mut open)? {
            return Ok(false);
        }
        if file.bytes <= options.max_file_bytes {
            // A file that has grown since it was listed is noticed, not read
            // in full.
            bytes.reserve_exact(file.bytes as usize + 1);
            open.take(file.bytes + 1).read_to_end(&mut bytes)?;
        }
        Ok(true)
    });
    match read {
        Err(error) => refuse(Reason::Unreadable, &error.to_string()),
        Ok(false) => Ok(Ok(None)),
        Ok(true) if file.bytes > options.max_file_bytes => refuse(Reason::TooLarge, ""),
        Ok(true) if blake3::hash(&bytes) != file.hash => Err(Error::new("source-changed").path(&file.path)),
        Ok(true) => Ok(Ok(Some(bytes))),
    }
}

/// A text normalised, where it is one that can be used; `bytes` are of what it
/// came from.
fn refine(
    Extracted { text: raw, format, mut history }: Extracted,
    bytes: u64,
    options: &Options,
) -> Result<Extracted, Prepared> {
    let raw = extract::mend(raw, format, &mut history);
    let text = clean::normalise(&raw);
    history.push(Step::Normalise { before: raw.len() as u64, after: text.len() as u64 });
    drop(raw);
    let refuse = |reason, detail: &str| Err(Prepared::refused(reason, detail, &text, bytes, options));
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
    Text(Cow<'a, str>),
    Chat(Vec<Message>),
}

impl Content<'_> {
    /// All that is said in it.
    fn words(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(&**text),
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
    let words = content.words();
    let letters = Letters::of(&words);
    if options.withdrawn.text(&letters) {
        return Prepared::dropped((Reason::Withdrawn, String::new()), words.len() as u64);
    }
    drop(words);
    let refuse = |reason, words: &str, language| {
        let mut dropped = Prepared::refused(reason, "", words, words.len() as u64, options);
        if let Prepared::Dropped(refused) = &mut dropped {
            refused.language = language;
        }
        dropped
    };
    let content = match content {
        Content::Text(text) if options.paragraphs => {
            let Wanted { text: kept, languages, left_out } = identifier.keep_wanted(&text);
            // Where all of it is in another language, that is what is said of it.
            let length = if left_out > 0 { kept.chars().take(options.min_characters).count() } else { usize::MAX };
            if length < options.min_characters {
                let most = languages.into_iter().max_by_key(|(_, bytes)| *bytes);
                return refuse(Reason::OtherLanguage, &text, most.map(|(tag, _)| tag).unwrap_or_default());
            }
            history.push(Step::Paragraphs { languages, left_out });
            Content::Text(if left_out > 0 { Cow::Owned(kept) } else { text })
        }
        content => content,
    };
    let words = content.words();
    let verdict = identifier.identify(&words, source.language.as_deref());
    let language = verdict.language;
    if verdict.unwanted {
        return refuse(Reason::OtherLanguage, &words, language);
    }
    if options.keep_out.is_in(&words) {
        return refuse(Reason::Contaminated, &words, language);
    }
    drop(words);
    let Guess { language: detected, percent } = verdict.detected;
    history.push(Step::Identify { detected, sure: verdict.sure, percent });
    let mut replaced = Counts::new();
    let mut plain = |text: String| {
        let Some(privacy) = &options.privacy else { return text };
        let redacted = privacy.redact(text);
        redacted.counts.into_iter().for_each(|(kind, count)| *replaced.entry(kind).or_default() += count);
        redacted.text
    };
    let (text, signature, paragraphs) = match content {
        Content::Text(text) => {
            let text = plain(text.into_owned());
            let signature = Signature::of(&text).map(Box::new);
            let paragraphs = if options.unique_paragraphs { paragraphs::hashes(&text).collect() } else { Vec::new() };
            (text, signature, paragraphs)
        }
        // The same question in other words, with the same answer, teaches what
        // it is there to teach.
        Content::Chat(mut messages) => {
            messages.iter_mut().for_each(|message| message.content = plain(take(&mut message.content)));
            (chat::document(&messages), None, Vec::new())
        }
    };
    if !replaced.is_empty() {
        history.push(Step::Redact { replaced });
    }
    let hash = blake3::hash(text.as_bytes());
    let format = format.name().to_owned();
    let document = Box::new(Clean { part: String::new(), language, format, history, letters, text });
    Prepared::Clean { document, hash, signature, paragraphs }
}
