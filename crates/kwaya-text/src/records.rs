//! Files that hold many documents: archives, compressed files, tables, lines
//! of JSON, web archives, wiki dumps and mailboxes. Each is read as a stream
//! of [`Record`]s, so that memory is bounded by a record and not by the file,
//! and what is inside a container may be a container itself.
//!
//! What reads a file here runs in this process: it is memory-safe, it holds
//! one record of at most the limit for a file, and all that is unpacked is
//! counted ([`Budget`]). Parquet is read in the child process: how much memory
//! a page of it takes is for its library to say. So are messages, whose parser
//! calls itself, and all documents of formats with a parser, wherever they lie.

mod archive;
mod disk;
mod lines;
mod mail;
mod parquet;
mod rows;
mod warc;
mod wiki;

use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Cursor, Read, Seek},
    panic,
    path::Path,
};

use kwaya_base::Error;

pub(crate) use self::{
    disk::{Disk, Watch},
    mail::body,
    parquet::serve,
    wiki::page,
};
use crate::{
    Reason,
    extract::{Extractor, Format, Refusal},
    sources::escape,
};

/// Containers within containers: a table in a `.tar.gz` within a zip file is
/// the fourth.
const DEPTH_MAX: usize = 6;
/// Members of one archive.
const MEMBERS_MAX: usize = 1 << 20;
/// The longest name of a member, in bytes.
const NAME_MAX: usize = 1024;
/// What a file may unpack to in all: so many times its size …
const UNPACKED_RATIO_MAX: u64 = 200;
/// … and so many bytes more. Text packs to a tenth; a file of one letter to a
/// thousandth and less.
const UNPACKED_FREE: u64 = 64 << 20;
/// What a zstd file may want to look back on, as a power of two: what `--long`
/// makes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// What is looked at to tell what a file is.
const HEAD_BYTES: usize = 4096;
/// What is read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// The columns and keys that hold the text, the surest first.
pub(crate) const TEXT_KEYS: [&str; 13] = [
    "text",
    "content",
    "body",
    "article",
    "document",
    "sentence",
    "raw_content",
    "maintext",
    "transcription",
    "transcript",
    "story",
    "description",
    "utterance",
];

/// One of the documents in a file.
pub(crate) struct Record {
    /// Its name within the file; empty where the file names none.
    pub(crate) part: String,
    /// Where it is for those who look for it, such as ("line", 3).
    pub(crate) place: Option<(&'static str, u64)>,
    /// What its content is; `None` for what a file of its name would be.
    pub(crate) format: Option<Format>,
    /// The encoding that it was in, where that is known to be another.
    pub(crate) encoding: Option<&'static str>,
    pub(crate) content: Result<Vec<u8>, Refusal>,
    /// Its length.
    pub(crate) bytes: u64,
}

/// A kind of file that holds many documents, or one under a wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    Gzip,
    Zstd,
    Bzip2,
    Rows,
    Lines,
    Parquet,
    Warc,
    Wiki,
    Mailbox,
    Mail,
}

/// What the file is by its first bytes and, among kinds of text, its name;
/// `None` when it is one document. A zip file may be one all the same
/// ([`archive::is_document`]).
fn sniff(name: &str, head: &[u8]) -> Option<Kind> {
    let lower = name.to_ascii_lowercase();
    let ending = lower.rsplit_once('.').map_or("", |(_, ending)| ending);
    let utf16 = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    let lines = matches!(ending, "jsonl" | "ndjson");
    let text = || utf16 || !head.contains(&0);
    let start = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    Some(match head {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        [0x1f, 0x8b, 8, ..] => Kind::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Kind::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Kind::Bzip2,
        [b'P', b'A', b'R', b'1', ..] => Kind::Parquet,
        [b'W', b'A', b'R', b'C', b'/', b'0'..=b'9', ..] => Kind::Warc,
        _ if archive::is_tar(head) => Kind::Tar,
        // Lines may tell of anything, and one that is wrong costs no other.
        _ if lines && start.trim_ascii_start().starts_with(b"{") => Kind::Lines,
        _ if !text() => return None,
        _ if lines => Kind::Lines,
        _ if matches!(ending, "csv" | "tsv" | "tab") => Kind::Rows,
        _ if utf16 => return None,
        _ if ending == "eml" => Kind::Mail,
        _ if mail::is_mailbox(head) => Kind::Mailbox,
        _ if wiki::is_dump(start) => Kind::Wiki,
        _ => return None,
    })
}

/// Why a container was not read to its end.
#[derive(Debug)]
enum End {
    /// Who takes the records wants no more.
    Stopped,
    /// The file unpacks to more than it may.
    Spent,
    /// The container is damaged or goes past a limit.
    Refused(Refusal),
    /// The program itself cannot go on.
    Failed(Error),
}

type Flow = Result<(), End>;

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::QuotaExceeded => Self::Spent,
            _ => Self::refused(Reason::Damaged, error.to_string()),
        }
    }
}

impl End {
    fn refused(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Refused((reason, detail.into()))
    }
}

/// What may still be unpacked of a file, over all that is nested in it.
struct Budget {
    left: Cell<u64>,
}

impl Budget {
    fn of(file_bytes: u64) -> Self {
        Self { left: Cell::new(file_bytes.saturating_mul(UNPACKED_RATIO_MAX).saturating_add(UNPACKED_FREE)) }
    }
}

/// A reader of what is unpacked, which counts against a budget.
struct Unpacked<'a, R> {
    inner: R,
    budget: &'a Budget,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.budget.left.get().checked_sub(read as u64) {
            Some(left) => {
                self.budget.left.set(left);
                Ok(read)
            }
            None => Err(io::ErrorKind::QuotaExceeded.into()),
        }
    }
}

/// A file on disk or in memory.
pub(crate) trait ReadSeek: Read + Seek {}
impl<R: Read + Seek> ReadSeek for R {}

/// Whether the file holds many documents, or one under a wrap. It is left at
/// its start.
pub(crate) fn holds_many(name: &str, file: &mut dyn ReadSeek) -> io::Result<bool> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    (&mut *file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    file.rewind()?;
    let many = match sniff(name, &head) {
        Some(Kind::Zip) => !archive::is_document(file),
        kind => kind.is_some(),
    };
    file.rewind()?;
    Ok(many)
}

/// Where a container is: its name on the outside, and within the file.
#[derive(Clone, Copy)]
struct At<'a> {
    /// The name that says what it is: without `.gz` where it is unpacked.
    name: &'a str,
    /// Its name within the file; empty for the file itself.
    part: &'a str,
    depth: usize,
}

/// What is to be known of a file and of the wishes for it.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its size.
    pub(crate) bytes: u64,
    /// The largest record.
    pub(crate) record_bytes_max: u64,
    /// The column or key that holds the text, where somebody named it.
    pub(crate) column: Option<&'a str>,
}

/// What is read, as its kind needs it.
enum Input<'a> {
    Stream(&'a mut dyn Read),
    Zip(&'a mut dyn ReadSeek),
    Parquet(&'a Path),
}

/// Reads the records of a file that is in memory, until `sink` says that it
/// wants no more.
///
/// # Errors
/// When the child process cannot be started.
pub(crate) fn read_bytes(
    task: Task<'_>,
    mut bytes: &[u8],
    extractor: &mut Extractor,
    sink: &mut dyn FnMut(Record) -> bool,
) -> Result<(), Error> {
    match sniff(task.name, &bytes[..bytes.len().min(HEAD_BYTES)]) {
        Some(Kind::Zip) => read(task, Input::Zip(&mut Cursor::new(bytes)), extractor, sink),
        _ => read(task, Input::Stream(&mut bytes), extractor, sink),
    }
}

fn read(
    task: Task<'_>,
    input: Input<'_>,
    extractor: &mut Extractor,
    sink: &mut dyn FnMut(Record) -> bool,
) -> Result<(), Error> {
    let budget = Budget::of(task.bytes);
    let at = At { name: task.name, part: "", depth: 0 };
    let walk = panic::AssertUnwindSafe(|| {
        let mut walk = Walk { task, budget: &budget, extractor, sink: &mut *sink };
        match input {
            Input::Stream(reader) => walk.stream(at, reader),
            Input::Zip(file) => walk.zip(at, file),
            Input::Parquet(path) => walk.parquet(at, parquet::Place::File(path)),
        }
    });
    let end = match panic::catch_unwind(walk) {
        Ok(Ok(()) | Err(End::Stopped)) => return Ok(()),
        Ok(Err(End::Failed(error))) => return Err(error),
        Ok(Err(End::Spent)) => {
            (Reason::ArchiveLimit, format!("it unpacks to more than {UNPACKED_RATIO_MAX} times its size"))
        }
        Ok(Err(End::Refused(refusal))) => refusal,
        Err(_) => (Reason::Damaged, "panic".to_owned()),
    };
    sink(Record::refused("", None, end, task.bytes));
    Ok(())
}

impl Record {
    fn refused(part: &str, place: Option<(&'static str, u64)>, refusal: Refusal, bytes: u64) -> Self {
        Self { part: part.to_owned(), place, format: None, encoding: None, content: Err(refusal), bytes }
    }
}

/// The way through a file and all that is nested in it.
struct Walk<'a> {
    task: Task<'a>,
    budget: &'a Budget,
    extractor: &'a mut Extractor,
    sink: &'a mut dyn FnMut(Record) -> bool,
}

impl Walk<'_> {
    /// A stream that may be anything.
    fn stream(&mut self, at: At<'_>, reader: &mut dyn Read) -> Flow {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        reader.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let kind = sniff(at.name, &head);
        let encoding = head.get(..2).and_then(lines::utf16);
        let mut reader = Cursor::new(&head).chain(reader);
        let Some(kind) = kind else { return self.document(at, &mut reader) };
        if at.depth >= DEPTH_MAX {
            return Err(End::refused(Reason::ArchiveLimit, format!("more than {DEPTH_MAX} within one another")));
        }
        let budget = self.budget;
        let inner = At { name: unwrapped(at.name), depth: at.depth + 1, ..at };
        match kind {
            Kind::Gzip => {
                let reader = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, reader));
                self.stream(inner, &mut Unpacked { inner: reader, budget })
            }
            Kind::Zstd => {
                let mut reader = zstd::Decoder::new(reader)?;
                reader.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                self.stream(inner, &mut Unpacked { inner: reader, budget })
            }
            Kind::Bzip2 => {
                let reader = bzip2::bufread::MultiBzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, reader));
                self.stream(inner, &mut Unpacked { inner: reader, budget })
            }
            Kind::Tar => self.tar(at, &mut reader),
            // These are read from their end.
            Kind::Zip | Kind::Parquet => match self.whole(&mut reader)? {
                None => Err(self.too_large()),
                Some(bytes) if kind == Kind::Parquet => self.parquet(at, parquet::Place::Content(&bytes)),
                Some(bytes) if archive::is_document(&mut Cursor::new(&bytes)) => {
                    let length = bytes.len() as u64;
                    self.give(at.part, None, None, bytes, length)
                }
                Some(bytes) => self.zip(at, &mut Cursor::new(&bytes)),
            },
            Kind::Rows | Kind::Lines => {
                let mut reader: Box<dyn BufRead + '_> = match encoding {
                    Some(encoding) => Box::new(BufReader::new(lines::Utf16::new(reader, encoding))),
                    None => Box::new(BufReader::with_capacity(BUFFER_BYTES, reader)),
                };
                match kind {
                    Kind::Rows => self.rows(at, encoding, &mut reader),
                    _ => self.lines(at, encoding, &mut reader),
                }
            }
            Kind::Warc => self.warc(at, &mut BufReader::with_capacity(BUFFER_BYTES, reader)),
            Kind::Wiki => self.wiki(at, &mut BufReader::with_capacity(BUFFER_BYTES, reader)),
            Kind::Mailbox => self.mailbox(at, &mut BufReader::with_capacity(BUFFER_BYTES, reader)),
            Kind::Mail => match self.whole(&mut reader)? {
                Some(bytes) => {
                    let length = bytes.len() as u64;
                    self.give(at.part, None, Some(Format::Mail), bytes, length)
                }
                None => Err(self.too_large()),
            },
        }
    }

    /// A member of a container. What is wrong with it is no matter for the
    /// others.
    fn member(&mut self, at: At<'_>, bytes: u64, reader: &mut dyn Read) -> Flow {
        match self.stream(at, reader) {
            Err(End::Refused(refusal)) => self.refuse(at.part, None, refusal, bytes),
            flow => flow,
        }
    }

    /// A document by itself.
    fn document(&mut self, at: At<'_>, reader: &mut dyn Read) -> Flow {
        match self.whole(reader)? {
            Some(bytes) => {
                let length = bytes.len() as u64;
                self.give(at.part, None, None, bytes, length)
            }
            None => Err(self.too_large()),
        }
    }

    /// All that is left, when that is not more than a record may be.
    fn whole(&self, reader: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let length = reader.take(self.task.record_bytes_max.saturating_add(1)).read_to_end(&mut bytes)? as u64;
        Ok((length <= self.task.record_bytes_max).then_some(bytes))
    }

    fn too_large(&self) -> End {
        End::refused(Reason::TooLarge, "")
    }

    fn give(
        &mut self,
        part: &str,
        place: Option<(&'static str, u64)>,
        format: Option<Format>,
        content: Vec<u8>,
        bytes: u64,
    ) -> Flow {
        self.emit(Record { part: part.to_owned(), place, format, encoding: None, content: Ok(content), bytes })
    }

    fn refuse(&mut self, part: &str, place: Option<(&'static str, u64)>, refusal: Refusal, bytes: u64) -> Flow {
        self.emit(Record::refused(part, place, refusal, bytes))
    }

    fn emit(&mut self, record: Record) -> Flow {
        if (self.sink)(record) { Ok(()) } else { Err(End::Stopped) }
    }
}

/// The name of what is in a compressed file: `a.txt` of `a.txt.gz`.
pub(crate) fn unwrapped(name: &str) -> &str {
    const WRAPS: [&str; 6] = ["gz", "tgz", "zst", "zstd", "bz2", "tbz2"];
    match name.rsplit_once('.') {
        Some((rest, ending)) if WRAPS.iter().any(|wrap| ending.eq_ignore_ascii_case(wrap)) => rest,
        _ => name,
    }
}

/// The name of a member below `part`, without control characters.
fn below(part: &str, name: &[u8]) -> String {
    let name: String = escape(name).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let name: String = if name.len() > NAME_MAX { name[..name.floor_char_boundary(NAME_MAX)].to_owned() } else { name };
    if part.is_empty() { name } else { format!("{part}/{name}") }
}
