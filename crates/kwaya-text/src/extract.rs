//! From the bytes of a file to its text: what format it is, by content; the
//! text of PDF, DOCX, EPUB, HTML, Markdown and messages; and the encoding of the
//! rest.

use std::{ffi::OsString, io::Cursor, panic, path::PathBuf, time::Duration};

use dom_smoothie::{Config, Readability, TextMode};
use kwaya_base::Result;
use pulldown_cmark::{Event, Options, Parser, TagEnd};

pub use crate::worker::worker_main;
use crate::{
    Reason,
    corpus::Step,
    records::{self, Record, Task},
    worker::Child,
};

/// Where PDF, DOCX, EPUB, HTML, messages and Parquet are taken apart. The parsers are large and
/// the files are untrusted: a child process can be stopped.
#[derive(Clone, Debug)]
pub enum Worker {
    /// In this process, without a limit. Panics are caught.
    InProcess,
    /// In a child process for each thread, which runs [`worker_main`] and is
    /// replaced when it dies, takes too long, or takes too much memory.
    Child {
        /// The program to start.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<OsString>,
        /// How long one file may take.
        time_limit: Duration,
    },
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Markdown,
    Html,
    Pdf,
    Docx,
    Epub,
    /// A message, in a mailbox or alone.
    Mail,
    /// A document of its own on each line, as JSON.
    Lines,
    /// One of these that is a chat.
    Chat,
    /// A row of a table of text, of Parquet, and a page of a wiki.
    Rows,
    Parquet,
    Wiki,
}

impl Format {
    /// Those that a child process may be asked for, in their order.
    pub(crate) const ALL: [Self; 7] =
        [Self::Text, Self::Markdown, Self::Html, Self::Pdf, Self::Docx, Self::Epub, Self::Mail];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Epub => "epub",
            Self::Lines => "jsonl",
            Self::Chat => "chat",
            Self::Rows => "csv",
            Self::Parquet => "parquet",
            Self::Wiki => "wiki",
            Self::Mail => "mail",
        }
    }

    /// The library that takes the text out, for the history of a document.
    const fn extractor(self) -> &'static str {
        match self {
            Self::Text | Self::Lines | Self::Chat | Self::Wiki => "",
            Self::Rows => "csv-core 0.1",
            Self::Parquet => "parquet 60",
            Self::Mail => "mail-parser 0.11",
            Self::Markdown => "pulldown-cmark 0.13",
            Self::Html => "dom_smoothie 0.19",
            Self::Pdf => "unpdf 0.52",
            Self::Docx => "undoc 0.27",
            Self::Epub => "rbook 0.7",
        }
    }
}

/// Why there is no text: the reason, and more for experts.
pub(crate) type Refusal = (Reason, String);

/// The text of a file and how it was got.
#[derive(Debug)]
pub(crate) struct Extracted {
    pub(crate) text: String,
    pub(crate) format: Format,
    pub(crate) history: Vec<Step>,
}

/// Takes texts out of files; one for each thread.
pub(crate) struct Extractor {
    child: Option<Child>,
}

/// A text, or why there is none, with more for experts.
pub type Taken<'a> = std::result::Result<&'a str, (Reason, &'a str)>;

/// Takes every text out of a file, or says why there is none: those of its
/// members, rows, pages or messages, where it holds many, each with its name
/// within the file; of a line of JSON, the line. A text of more than `max`
/// bytes is none.
///
/// # Errors
/// `worker-failed` when the child process cannot be started.
pub fn texts(name: &str, bytes: &[u8], max: u64, worker: &Worker, take: &mut dyn FnMut(&str, Taken<'_>)) -> Result<()> {
    let (mut reader, mut extractor) = (Extractor::new(worker), Extractor::new(worker));
    let task = Task { name, bytes: bytes.len() as u64, record_bytes_max: max, column: None };
    let mut failed = Ok(());
    let mut each = |record: Record| {
        let part = record.part.clone();
        match extractor.extract_record(name, record) {
            Ok(Ok(extracted)) => take(&part, Ok(&extracted.text)),
            Ok(Err((reason, detail))) => take(&part, Err((reason, &detail))),
            Err(error) => failed = Err(error),
        }
        failed.is_ok()
    };
    records::read_bytes(task, bytes, &mut reader, &mut each)?;
    failed
}

impl Extractor {
    pub(crate) fn new(worker: &Worker) -> Self {
        let child = match worker {
            Worker::InProcess => None,
            Worker::Child { program, arguments, time_limit } => Some(Child::new(program, arguments, *time_limit)),
        };
        Self { child }
    }

    /// The text of one document of many in the file `name`; of a line of JSON,
    /// the line.
    ///
    /// # Errors
    /// As [`Self::extract`].
    pub(crate) fn extract_record(&mut self, name: &str, record: Record) -> Result<Result<Extracted, Refusal>> {
        let bytes = match record.content {
            Ok(bytes) => bytes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(format) = record.format else {
            let name = if record.part.is_empty() { name } else { &record.part };
            return self.extract(records::unwrapped(name), &bytes);
        };
        let mut history = vec![Step::Extract {
            format: format.name().to_owned(),
            extractor: format.extractor().to_owned(),
            bytes: bytes.len() as u64,
        }];
        let mut plain = |bytes: &[u8]| {
            let (text, encoding) = decode(bytes);
            let encoding = record.encoding.or(encoding).map(|encoding| Step::Decode { encoding: encoding.to_owned() });
            history.extend(encoding);
            text
        };
        let text = match format {
            Format::Mail => self.parse(format, &bytes)?,
            Format::Wiki => panic::catch_unwind(|| records::page(&String::from_utf8_lossy(&bytes)))
                .unwrap_or_else(|_| Err((Reason::Damaged, "panic".to_owned()))),
            Format::Html => {
                let page = plain(&bytes);
                self.parse(Format::Html, page.as_bytes())?
            }
            // JSON is UTF-8: a line that is not is wrong by itself.
            Format::Lines => String::from_utf8(bytes).map_err(|_| (Reason::BadLine, "no UTF-8".to_owned())),
            _ => Ok(plain(&bytes)),
        };
        Ok(text.map(|text| Extracted { text, format, history }))
    }

    /// The rows of a table in Parquet, in batches, until `take` wants no more;
    /// see [`records::serve`].
    ///
    /// # Errors
    /// As [`Self::extract`].
    pub(crate) fn rows(
        &mut self,
        request: Vec<u8>,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Result<(), Refusal>> {
        match &mut self.child {
            Some(child) => child.rows(request, take),
            None => {
                Ok(panic::catch_unwind(panic::AssertUnwindSafe(|| records::serve(&request, &mut |batch| take(&batch))))
                    .unwrap_or_else(|_| Err((Reason::Damaged, "panic".to_owned()))))
            }
        }
    }

    /// The text of the file `name` with the content `bytes`.
    ///
    /// # Errors
    /// When the child process cannot be started at all. What is wrong with
    /// the file is the inner [`Refusal`].
    pub(crate) fn extract(&mut self, name: &str, bytes: &[u8]) -> Result<Result<Extracted, Refusal>> {
        let format = match detect(name, bytes) {
            Ok(format) => format,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut history = vec![Step::Extract {
            format: format.name().to_owned(),
            extractor: format.extractor().to_owned(),
            bytes: bytes.len() as u64,
        }];
        let text = match format {
            Format::Pdf | Format::Docx | Format::Epub => self.parse(format, bytes)?,
            _ => {
                let (text, encoding) = decode(bytes);
                if let Some(encoding) = encoding {
                    history.push(Step::Decode { encoding: encoding.to_owned() });
                }
                match format {
                    Format::Markdown => Ok(markdown(&text)),
                    Format::Html => self.parse(format, text.as_bytes())?,
                    _ => Ok(text),
                }
            }
        };
        Ok(text.map(|text| Extracted { text, format, history }))
    }

    fn parse(&mut self, format: Format, bytes: &[u8]) -> Result<Result<String, Refusal>> {
        match &mut self.child {
            Some(child) => child.parse(format, bytes),
            None => Ok(parse(format, bytes)),
        }
    }
}

/// What the file is: by its content, and between kinds of plain text by the
/// ending of its name.
pub(crate) fn detect(name: &str, bytes: &[u8]) -> Result<Format, Refusal> {
    let unknown = |detail: &str| Err((Reason::UnknownFormat, detail.to_owned()));
    let head = &bytes[..bytes.len().min(1024)];
    let ending = name.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase());
    if contains(head, b"%PDF-") {
        return Ok(Format::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        // The names of the parts stand uncompressed in the archive.
        return match () {
            () if contains(head, b"application/epub+zip") || contains(bytes, b"META-INF/container.xml") => {
                Ok(Format::Epub)
            }
            () if contains(bytes, b"word/document.xml") => Ok(Format::Docx),
            () => unknown("application/zip"),
        };
    }
    if !is_utf16(bytes) && !looks_like_text(bytes) {
        return match infer::get(bytes) {
            Some(kind) if kind.matcher_type() == infer::MatcherType::Image => {
                Err((Reason::Picture, kind.mime_type().to_owned()))
            }
            Some(kind) => unknown(kind.mime_type()),
            None => Err((Reason::NotText, String::new())),
        };
    }
    let start = head.trim_ascii_start().to_ascii_lowercase();
    match ending.as_str() {
        _ if start.starts_with(b"{\\rtf") => unknown("application/rtf"),
        _ if start.starts_with(b"%!ps") => unknown("application/postscript"),
        _ if start.starts_with(b"<!doctype html") || contains(&start, b"<html") => Ok(Format::Html),
        "svg" => Err((Reason::Picture, "image/svg+xml".to_owned())),
        "htm" | "html" | "xhtml" => Ok(Format::Html),
        _ if start.starts_with(b"<?xml") => unknown("application/xml"),
        "md" | "markdown" => Ok(Format::Markdown),
        _ => Ok(Format::Text),
    }
}

fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

/// Text has no NUL and next to no control characters. All of the file is
/// looked at, as junk often follows a readable header.
fn looks_like_text(bytes: &[u8]) -> bool {
    let controls = bytes.iter().filter(|&&b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0x1b));
    !bytes.contains(&0) && controls.count() <= bytes.len() / 100
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The text of a file without structure, and its encoding where that is not
/// UTF-8. Any bytes are text in Windows-1252, so nothing is lost.
fn decode(bytes: &[u8]) -> (String, Option<&'static str>) {
    let utf16 = |of: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks(2).map(|pair| of([pair[0], *pair.get(1).unwrap_or(&0)]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    if bytes.starts_with(&[0xff, 0xfe]) {
        return (utf16(u16::from_le_bytes), Some("utf-16le"));
    }
    if bytes.starts_with(&[0xfe, 0xff]) {
        return (utf16(u16::from_be_bytes), Some("utf-16be"));
    }
    match str::from_utf8(bytes) {
        Ok(text) => (text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(), None),
        Err(_) => (bytes.iter().map(|&b| windows_1252(b)).collect(), Some("windows-1252")),
    }
}

/// One byte of Windows-1252, as the Encoding Standard of the web maps it.
fn windows_1252(byte: u8) -> char {
    const UPPER: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => UPPER[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// The text of a file in a format that takes a parser. Panics of the parser
/// are refusals.
pub(crate) fn parse(format: Format, bytes: &[u8]) -> Result<String, Refusal> {
    let parsed = panic::catch_unwind(|| match format {
        Format::Pdf => pdf(bytes),
        Format::Docx => undoc::parse_bytes(bytes).map(|d| d.plain_text()).map_err(damaged),
        Format::Epub => epub(bytes),
        Format::Html => Ok(html(&String::from_utf8_lossy(bytes))),
        Format::Markdown => Ok(markdown(&String::from_utf8_lossy(bytes))),
        Format::Mail => {
            records::body(bytes).map(|(format, text)| if format == Format::Html { html(&text) } else { text })
        }
        _ => Ok(decode(bytes).0),
    });
    parsed.unwrap_or_else(|_| Err((Reason::Damaged, "panic".to_owned())))
}

fn damaged(cause: impl std::fmt::Display) -> Refusal {
    (Reason::Damaged, cause.to_string())
}

fn pdf(bytes: &[u8]) -> Result<String, Refusal> {
    let parsed = unpdf::Unpdf::new().sequential().lenient().parse_bytes(bytes).map_err(damaged)?;
    let text = parsed.plain_text();
    match text.trim().is_empty() {
        true => Err((Reason::NoText, String::new())),
        false => Ok(text),
    }
}

fn epub(bytes: &[u8]) -> Result<String, Refusal> {
    let book = rbook::Epub::options().skip_toc(true).read(Cursor::new(bytes.to_vec())).map_err(damaged)?;
    let mut text = String::new();
    let mut reader = book.reader();
    while let Some(chapter) = reader.read_next() {
        let chapter = dom_query::Document::from(chapter.map_err(damaged)?.content());
        text.push_str(&chapter.select("body").formatted_text());
        text.push_str("\n\n");
    }
    Ok(text)
}

/// The main text of a page, without menus and the like; all of the page when
/// no main text stands out.
fn html(page: &str) -> String {
    let config = Config { text_mode: TextMode::Formatted, ..Config::default() };
    let article = Readability::new(page, None, Some(config)).and_then(|mut page| page.parse());
    match article {
        Ok(article) if !article.text_content.trim().is_empty() => {
            // The heading is part of the text, and often no part of the body.
            let (title, text) = (article.title.trim(), article.text_content.trim());
            if title.is_empty() || text.starts_with(title) { text.to_owned() } else { format!("{title}\n\n{text}") }
        }
        _ => {
            let document = dom_query::Document::from(page);
            document.select("script, style, noscript, template").remove();
            document.select("body").formatted_text().to_string()
        }
    }
}

fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Text(part) | Event::Code(part) => out.push_str(&part),
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::Item | TagEnd::TableRow | TagEnd::TableHead) => {
                out.push('\n');
            }
            Event::End(TagEnd::TableCell) => out.push(' '),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::List(_)) => {
                out.push_str("\n\n");
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use super::*;

    /// The documents of the example that were made from a source: name,
    /// bytes, source.
    fn made() -> Vec<(String, Vec<u8>, String)> {
        let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/maize");
        let mut made = Vec::new();
        for language in ["en", "sw"] {
            let sources = fs::read_dir(example.join("sources").join(language)).unwrap();
            for source in sources.map(|entry| entry.unwrap().path()) {
                let stem = source.file_stem().unwrap().to_str().unwrap();
                let (format, name) = stem.split_once('-').unwrap();
                let name = format!("{name}.{format}");
                let bytes = fs::read(example.join("documents").join(language).join(&name)).unwrap();
                made.push((name, bytes, fs::read_to_string(&source).unwrap()));
            }
        }
        made.sort();
        made
    }

    fn words(text: &str) -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    }

    #[test]
    fn pdf_docx_and_epub_give_the_words_of_their_source_in_order() {
        let made = made();
        for format in ["pdf", "docx", "epub"] {
            assert!(made.iter().any(|(name, ..)| name.ends_with(format)), "no {format} in the example");
        }
        for (name, bytes, source) in made {
            let found = Extractor::new(&Worker::InProcess).extract(&name, &bytes).unwrap().unwrap();
            assert!(name.ends_with(found.format.name()), "{name} is {:?}", found.format);
            // The title of a book is in its description, not in its chapters.
            let body = source.split_once('\n').unwrap().1;
            let source = if found.format == Format::Epub { body } else { &source };
            let (found, expected) = (words(&found.text), words(source));
            // Page numbers, and words broken at the end of a line, may be in
            // between: each word is looked for a little way ahead.
            let (mut at, mut missing) = (0, Vec::new());
            for word in &expected {
                match found[at..].iter().take(20).position(|found| found == word) {
                    Some(ahead) => at += ahead + 1,
                    None => missing.push(word),
                }
            }
            assert!(
                missing.len() * 100 <= expected.len(),
                "{name}: of {} words are missing {missing:?}",
                expected.len()
            );
            assert!(found.len() * 100 <= expected.len() * 103, "{name}: {} words of {}", found.len(), expected.len());
        }
    }

    #[test]
    fn a_child_knows_formats_by_their_place_in_the_list() {
        for (index, format) in Format::ALL.into_iter().enumerate() {
            assert_eq!(format as usize, index, "{format:?}");
        }
        // All that come before those without a parser are in it.
        assert_eq!(Format::Lines as usize, Format::ALL.len());
    }

    #[test]
    fn damaged_files_are_refused_or_read_but_never_stop_the_program() {
        // Panics of the parsers are caught; their messages help nobody here.
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for (name, bytes, _) in made() {
            for round in 0..30 {
                let mut damaged = bytes.clone();
                match round % 3 {
                    0 => damaged.truncate(random(bytes.len())),
                    1 => (0..1 + random(20)).for_each(|_| damaged[random(bytes.len())] = random(256) as u8),
                    _ => {
                        let (from, to) = (random(bytes.len()), random(bytes.len()));
                        let length = random(200).min(bytes.len() - from.max(to));
                        damaged.copy_within(from..from + length, to);
                    }
                }
                let started = Instant::now();
                let _ = Extractor::new(&Worker::InProcess).extract(&name, &damaged).unwrap();
                let seconds = started.elapsed().as_secs_f32();
                assert!(seconds < 20.0, "{name}, round {round}: {seconds} s");
            }
        }
        panic::set_hook(hook);
    }

    fn child(program: &str, arguments: &[&str]) -> Extractor {
        Extractor::new(&Worker::Child {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            time_limit: Duration::from_millis(300),
        })
    }

    #[test]
    #[cfg(unix)]
    fn a_parser_that_hangs_or_dies_costs_one_file() {
        let page = b"<html><body><p>Mahindi</p></body></html>";
        let mut hangs = child("sleep", &["60"]);
        let mut dies = child("true", &[]);
        for _ in 0..2 {
            assert_eq!(hangs.extract("a.html", page).unwrap().unwrap_err().0, Reason::TimeLimit);
            assert_eq!(dies.extract("a.html", page).unwrap().unwrap_err().0, Reason::Damaged);
        }
        // Plain text needs no parser.
        assert_eq!(hangs.extract("a.txt", b"Mahindi").unwrap().unwrap().text, "Mahindi");
    }

    #[test]
    fn a_parser_that_cannot_be_started_is_an_error() {
        let mut missing = child("/no/such/program", &[]);
        let error = missing.extract("a.html", b"<html><p>Mahindi</p></html>").unwrap_err();
        assert_eq!(error.key(), "worker-failed");
    }
}
