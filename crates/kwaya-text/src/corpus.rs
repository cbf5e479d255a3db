//! From a listing of files to `documents.parquet` and `dropped.parquet`.

use std::{path::Path, sync::Arc};

use kwaya_base::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{
    Reason,
    chat::Message,
    extract::Format,
    keep_out::KeepOut,
    language::Learned,
    privacy::{Counts, Privacy},
    quality::{LineRule, Thresholds, Wishes, WordLists},
    table::{self, Cell, Cells, Reader, Row},
    withdrawn::Withdrawn,
};
pub use crate::{
    extract::{Worker, ocr::Ocr},
    pipeline::build,
};

/// What decides which documents are kept and what is done to them. All but
/// `memory_bytes`, `threads` and `worker` decide the output.
#[derive(Clone, Debug)]
pub struct Options {
    /// The languages that are wanted, as codes such as `sw` or `yo`; empty
    /// for all.
    pub languages: Vec<String>,
    /// Languages that were learned, to be recognised besides those that the
    /// program knows.
    pub learned: Vec<Learned>,
    /// Whether paragraphs are left out that are surely in a language that is
    /// not wanted.
    pub paragraphs: bool,
    /// Shorter documents are dropped.
    pub min_characters: usize,
    /// Larger files are dropped; texts too. Of a file that holds many documents
    /// it is each of these that counts.
    pub max_file_bytes: u64,
    /// Two documents whose word 5-grams have this Jaccard similarity or more
    /// are near duplicates; above 1, none is.
    pub near_duplicate: f64,
    /// The share of the documents of each language, 0 to 1, to hold out from
    /// training, chosen by the hash of the text; not more than about 2 MB.
    pub held_out: f64,
    /// What replaces personal data; without it all stays.
    pub privacy: Option<Arc<Privacy>>,
    /// What is asked of a text, and lists of words that few may have.
    pub quality: Wishes,
    /// See [`Self::quality`].
    pub word_lists: WordLists,
    /// What was taken back.
    pub withdrawn: Withdrawn,
    /// What no document may have a passage of.
    pub keep_out: KeepOut,
    /// Whether a paragraph is kept in the first document alone that has it.
    pub unique_paragraphs: bool,
    /// About how much memory comparing takes; it does not decide the output.
    pub memory_bytes: usize,
    /// What reads text in pictures and in scans; without it they are dropped.
    pub ocr: Option<Ocr>,
    /// How many threads work, at least 1.
    pub threads: usize,
    /// How PDF, DOCX, EPUB, HTML and Parquet are taken apart.
    pub worker: Worker,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            languages: Vec::new(),
            learned: Vec::new(),
            paragraphs: false,
            min_characters: 100,
            max_file_bytes: 64 << 20,
            near_duplicate: 0.8,
            held_out: 0.02,
            privacy: Some(Privacy::plain()),
            quality: Wishes::default(),
            word_lists: WordLists::default(),
            withdrawn: Withdrawn::default(),
            keep_out: KeepOut::default(),
            unique_paragraphs: true,
            memory_bytes: 256 << 20,
            ocr: None,
            threads: 1,
            worker: Worker::InProcess,
        }
    }
}

/// What a build did, in figures. The same for the same documents and options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Files looked at, those that could not be read included.
    pub files: u64,
    /// The bytes of these files.
    pub file_bytes: u64,
    /// Documents kept; a long text makes several.
    pub documents: u64,
    /// UTF-8 bytes of the texts kept.
    pub bytes: u64,
    /// Documents dropped, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Documents kept, by language.
    pub languages: BTreeMap<String, LanguageStats>,
    /// Documents kept, by the number of their source in the recipe, from 1.
    #[serde(default)]
    pub sources: BTreeMap<u64, SourceStats>,
    /// Documents kept, by the binary logarithm of the bytes of their text.
    #[serde(default)]
    pub lengths: BTreeMap<u32, u64>,
    /// Documents kept, by format: `txt`, `md`, `html`, `pdf`, `docx`, `epub`,
    /// `jsonl`, `chat`, `csv`, `parquet`, `wiki`, `mail` and the like.
    pub formats: BTreeMap<String, u64>,
    /// What was mended in the files of the documents kept, by kind: `mojibake`
    /// in characters, `hyphens` in words.
    #[serde(default)]
    pub mended: BTreeMap<String, u64>,
    /// Pieces of personal data replaced in the documents kept, by kind.
    #[serde(default)]
    pub replaced: Counts,
    /// Paragraphs left out of the documents kept.
    #[serde(default)]
    pub repeated_paragraphs: u64,
    /// Lines taken out of the documents kept that were no part of their texts, by
    /// rule.
    #[serde(default)]
    pub lines_removed: BTreeMap<LineRule, u64>,
    /// What was asked of the texts in each language.
    #[serde(default)]
    pub limits: BTreeMap<String, Thresholds>,
    /// Wanted languages that the detector cannot recognise; nothing was
    /// dropped for being in another language then.
    pub unknown_to_detector: Vec<String>,
}

/// The documents kept of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStats {
    /// Documents, held-out ones included.
    pub documents: u64,
    /// UTF-8 bytes, held-out ones included.
    pub bytes: u64,
}

/// The documents kept in one language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageStats {
    /// Documents, held-out ones included.
    pub documents: u64,
    /// UTF-8 bytes, held-out ones included.
    pub bytes: u64,
    /// Documents held out from training.
    pub held_out_documents: u64,
    /// UTF-8 bytes held out from training.
    pub held_out_bytes: u64,
}

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// To train on.
    Train,
    /// Kept from training, to measure with.
    HeldOut,
}

impl Split {
    /// `train` or `held-out`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::HeldOut => "held-out",
        }
    }
}

/// A text that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// BLAKE3 of the text, in hex.
    pub id: String,
    /// The text: UTF-8, NFC, `\n` line ends.
    pub text: String,
    /// The name of the file, relative to its source, and where the file holds
    /// many below it that of the document: `archive.zip/inner/name.txt`.
    pub source: String,
    /// Which source of the recipe that is, from 1.
    pub origin: u64,
    /// The licence of the source.
    pub licence: String,
    /// The code of its language, `und` when nobody knows.
    pub language: String,
    /// What it is for.
    pub split: Split,
    /// The UTF-8 bytes of the text.
    pub bytes: u64,
    /// What the text is known by, however it is set:
    /// [`Letters`](crate::withdrawn::Letters), taken before personal data was
    /// replaced.
    pub letters: String,
    /// What was done to it, in order.
    pub history: Vec<Step>,
}

impl Document {
    /// What is said in it, and by whom, if it is a chat: its text is JSON
    /// then.
    pub fn messages(&self) -> Option<Vec<Message>> {
        match self.history.first() {
            Some(Step::Extract { format, .. }) if format == Format::Chat.name() => {
                serde_json::from_str(&self.text).ok()
            }
            _ => None,
        }
    }
}

/// One thing that was done to a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// The text was taken out of a file of `bytes` bytes, or out of a member, a
    /// line, a row, a page or a message of one.
    Extract {
        /// `txt`, `md`, `html`, `pdf`, `docx`, `epub` and the like, or of one of
        /// many in a file `jsonl`, `chat`, `csv`, `parquet`, `wiki` or `mail`.
        format: String,
        /// The library or program and its version; empty when the file is the
        /// text, or is taken apart by Kwaya itself.
        extractor: String,
        /// The length of that.
        bytes: u64,
    },
    /// The file was not UTF-8.
    Decode {
        /// What it was taken for, as the Encoding Standard names it:
        /// `utf-16le`, `windows-1252`, `gbk`.
        encoding: String,
    },
    /// Damage to the text was mended.
    Mend {
        /// Characters that were read in a wrong encoding once.
        mojibake: u64,
        /// Words that were broken at the end of a line.
        hyphens: u64,
    },
    /// Unicode, blanks and control characters were put in order.
    Normalise {
        /// UTF-8 bytes before.
        before: u64,
        /// UTF-8 bytes after.
        after: u64,
    },
    /// The text was long and was cut into pieces, each a document.
    Cut {
        /// Which one this is, from 1.
        piece: u64,
        /// How many there are.
        pieces: u64,
    },
    /// The language was identified.
    Identify {
        /// What the detector said; empty when it was not asked.
        detected: String,
        /// Whether it was sure.
        sure: bool,
        /// Of a hundred texts like this one, in so many it is right.
        #[serde(default)]
        percent: u8,
    },
    /// Lines that are no part of the text were taken out.
    Lines {
        /// How many, by rule.
        removed: BTreeMap<LineRule, u64>,
        /// Their UTF-8 bytes.
        bytes: u64,
    },
    /// The language of each paragraph was identified, and those in languages
    /// that are not wanted were left out.
    Paragraphs {
        /// UTF-8 bytes before, by language.
        languages: BTreeMap<String, u64>,
        /// UTF-8 bytes that were left out.
        left_out: u64,
    },
    /// Personal data was replaced.
    Redact {
        /// How much of it, by kind.
        replaced: Counts,
    },
    /// Paragraphs that an earlier document has were left out.
    Repeated {
        /// How many.
        paragraphs: u64,
    },
}

/// A file or text that was not kept. Where very many lines of a file are
/// dropped for one reason, the last row tells of the rest, in `detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The name of the file, relative to its source.
    pub source: String,
    /// Which source of the recipe that is, from 1.
    pub origin: u64,
    /// Why.
    pub reason: Reason,
    /// More about why, for experts; may be empty.
    pub detail: String,
    /// The language, empty when it was dropped before that was looked at.
    pub language: String,
    /// The bytes of the file, of its line, or of the piece of its text.
    pub bytes: u64,
    /// For duplicates, the name of the file that was kept; else empty.
    pub duplicate_of: String,
    /// The letters of the document that was kept instead; else empty.
    pub twin: String,
    /// Its own letters; empty where there was no text.
    pub letters: String,
    /// How its text begins, to be looked at; empty where there was none, and
    /// where it was taken back.
    pub start: String,
}

impl Dropped {
    /// What is to be said in any case; all else is empty.
    pub(crate) fn new(name: String, source: usize, reason: Reason) -> Self {
        Self {
            source: name,
            origin: source as u64 + 1,
            reason,
            detail: String::new(),
            language: String::new(),
            bytes: 0,
            duplicate_of: String::new(),
            twin: String::new(),
            letters: String::new(),
            start: String::new(),
        }
    }
}

/// The columns of the table of documents, each with whether it holds numbers.
pub fn columns() -> Vec<(String, bool)> {
    table::columns::<Document>()
}

/// Reads the documents that were kept, one at a time.
///
/// # Errors
///
/// When the file is not there or is no corpus; each item too.
pub fn documents(path: &Path) -> Result<impl Iterator<Item = Result<Document>> + use<>> {
    Reader::<Document>::open(path)
}

/// How many documents were kept.
///
/// # Errors
///
/// As [`documents`].
pub fn count(path: &Path) -> Result<u64> {
    Reader::<Document>::open(path).map(|reader| reader.total())
}

/// Reads what was dropped, one at a time.
///
/// # Errors
///
/// As [`documents`].
pub fn dropped(path: &Path) -> Result<impl Iterator<Item = Result<Dropped>> + use<>> {
    Reader::<Dropped>::open(path)
}

impl Row for Document {
    const SCHEMA: &str = "message document {
        required binary id (STRING); required binary text (STRING); required binary source (STRING);
        required int64 origin; required binary licence (STRING); required binary language (STRING);
        required binary split (STRING); required int64 bytes; required binary letters (STRING);
        required binary history (STRING); }";

    fn into_cells(self) -> Vec<Cell> {
        vec![
            Cell::Text(self.id),
            Cell::Text(self.text),
            Cell::Text(self.source),
            Cell::Number(self.origin.cast_signed()),
            Cell::Text(self.licence),
            Cell::Text(self.language),
            Cell::Text(self.split.as_str().to_owned()),
            Cell::Number(self.bytes.cast_signed()),
            Cell::Text(self.letters),
            Cell::Text(serde_json::to_string(&self.history).expect("a history is plain data")),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Option<Self> {
        Some(Self {
            id: cells.text()?,
            text: cells.text()?,
            source: cells.text()?,
            origin: cells.number()?.try_into().ok()?,
            licence: cells.text()?,
            language: cells.text()?,
            split: [Split::Train, Split::HeldOut].into_iter().find_map({
                let name = cells.text()?;
                move |split| (split.as_str() == name).then_some(split)
            })?,
            bytes: cells.number()?.try_into().ok()?,
            letters: cells.text()?,
            history: serde_json::from_str(&cells.text()?).ok()?,
        })
    }
}

impl Row for Dropped {
    const SCHEMA: &str = "message dropped {
        required binary source (STRING); required int64 origin; required binary reason (STRING);
        required binary detail (STRING); required binary language (STRING); required int64 bytes;
        required binary duplicate_of (STRING); required binary twin (STRING); required binary letters (STRING);
        required binary start (STRING); }";

    fn into_cells(self) -> Vec<Cell> {
        vec![
            Cell::Text(self.source),
            Cell::Number(self.origin.cast_signed()),
            Cell::Text(self.reason.key().to_owned()),
            Cell::Text(self.detail),
            Cell::Text(self.language),
            Cell::Number(self.bytes.cast_signed()),
            Cell::Text(self.duplicate_of),
            Cell::Text(self.twin),
            Cell::Text(self.letters),
            Cell::Text(self.start),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Option<Self> {
        Some(Self {
            source: cells.text()?,
            origin: cells.number()?.try_into().ok()?,
            reason: Reason::from_key(&cells.text()?)?,
            detail: cells.text()?,
            language: cells.text()?,
            bytes: cells.number()?.try_into().ok()?,
            duplicate_of: cells.text()?,
            twin: cells.text()?,
            letters: cells.text()?,
            start: cells.text()?,
        })
    }
}
