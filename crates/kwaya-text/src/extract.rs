//! From the bytes of a file to its text: what format it is, by content, and the
//! way to its text. Each format is read in a file of its own below `extract/`.

mod conversations;
mod encoding;
mod html;
mod hyphens;
mod mojibake;
pub mod ocr;
mod office;
mod pdf;
mod rtf;
mod subtitles;
mod texts;
mod translations;
mod xml;

use std::{borrow::Cow, ffi::OsString, io::Cursor, panic, path::PathBuf, time::Duration};

use kwaya_base::Result;
use pulldown_cmark::{Event, Options, Parser, TagEnd};

pub use self::texts::{Taken, Texts, texts};
pub use crate::worker::worker_main;
use crate::{
    Reason,
    corpus::Step,
    extract::ocr::Ocr,
    records::{self, Record},
    worker::Child,
};

/// So much of a text is looked at to tell what it is.
const BEGINNING_BYTES: usize = 16 << 10;

/// Where formats with a parser are taken apart. The parsers are large and
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
    Xlsx,
    Pptx,
    Doc,
    Xls,
    Ppt,
    Odt,
    Ods,
    Odp,
    /// OpenDocument as one XML file.
    FlatOdf,
    Rtf,
    Epub,
    /// A message, in a mailbox or alone.
    Mail,
    Subtitles,
    Po,
    Tmx,
    WhatsApp,
    Telegram,
    TelegramPage,
    Picture,
    /// The pictures of a PDF, for the child process alone.
    PdfPictures,
    /// A document of its own on each line, as JSON.
    Lines,
    /// One of the lines that is a chat to learn from.
    Chat,
    /// A row of a table of text, of Parquet, and a page of a wiki.
    Rows,
    Parquet,
    Wiki,
}

impl Format {
    /// Those that a child process may be asked for, in the order above.
    pub(crate) const ALL: [Self; 25] = [
        Self::Text,
        Self::Markdown,
        Self::Html,
        Self::Pdf,
        Self::Docx,
        Self::Xlsx,
        Self::Pptx,
        Self::Doc,
        Self::Xls,
        Self::Ppt,
        Self::Odt,
        Self::Ods,
        Self::Odp,
        Self::FlatOdf,
        Self::Rtf,
        Self::Epub,
        Self::Mail,
        Self::Subtitles,
        Self::Po,
        Self::Tmx,
        Self::WhatsApp,
        Self::Telegram,
        Self::TelegramPage,
        Self::Picture,
        Self::PdfPictures,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Pdf | Self::PdfPictures => "pdf",
            Self::Docx => "docx",
            Self::Xlsx => "xlsx",
            Self::Pptx => "pptx",
            Self::Doc => "doc",
            Self::Xls => "xls",
            Self::Ppt => "ppt",
            Self::Odt => "odt",
            Self::Ods => "ods",
            Self::Odp => "odp",
            Self::FlatOdf => "fodt",
            Self::Rtf => "rtf",
            Self::Epub => "epub",
            Self::Subtitles => "subtitles",
            Self::Po => "po",
            Self::Tmx => "tmx",
            Self::WhatsApp => "whatsapp",
            Self::Telegram | Self::TelegramPage => "telegram",
            Self::Picture => "picture",
            Self::Lines => "jsonl",
            Self::Chat => "chat",
            Self::Rows => "csv",
            Self::Parquet => "parquet",
            Self::Wiki => "wiki",
            Self::Mail => "mail",
        }
    }

    /// The library that takes the text out, for the history of a document;
    /// nothing where that is done here.
    const fn extractor(self) -> &'static str {
        match self {
            Self::Rows => "csv-core 0.1",
            Self::Parquet => "parquet 60",
            Self::Mail => "mail-parser 0.11",
            Self::Markdown => "pulldown-cmark 0.13",
            Self::Html => "dom_smoothie 0.19",
            Self::Pdf => "hayro-interpret 0.9",
            Self::Docx | Self::Xlsx | Self::Pptx | Self::Doc | Self::Xls | Self::Ppt => "undoc 0.27",
            Self::Odt | Self::Ods | Self::Odp | Self::FlatOdf | Self::Tmx => "quick-xml 0.42",
            Self::Epub => "rbook 0.7",
            Self::TelegramPage => "dom_query 0.29",
            _ => "",
        }
    }

    /// Whether this is read from bytes, not from characters.
    const fn is_binary(self) -> bool {
        matches!(
            self,
            Self::Docx
                | Self::Xlsx
                | Self::Pptx
                | Self::Doc
                | Self::Xls
                | Self::Ppt
                | Self::Odt
                | Self::Ods
                | Self::Odp
                | Self::Rtf
                | Self::Epub
        )
    }

    /// Whether lines end where a page does, so that words may be broken there.
    pub(crate) const fn has_printed_lines(self) -> bool {
        matches!(self, Self::Text | Self::Pdf | Self::Picture)
    }
}

/// Why there is no text: the reason, and more for experts.
pub type Refusal = (Reason, String);

/// The text of a file and how it was got.
#[derive(Debug)]
pub(crate) struct Extracted {
    pub(crate) text: String,
    pub(crate) format: Format,
    pub(crate) history: Vec<Step>,
}

/// The text of one file, without any judgement of it; the way to look at what is
/// read of a file, and to measure it.
///
/// # Errors
/// When the child process or Tesseract cannot be started. What is wrong with the
/// file is the inner error: the reason, and more for experts.
pub fn text(name: &str, bytes: &[u8], worker: &Worker, ocr: Option<&Ocr>) -> Result<Result<String, Refusal>> {
    let extracted = Extractor::new(worker).wanting(&[], ocr).extract(name, bytes)?;
    Ok(extracted.map(|Extracted { text, format, mut history }| mend(text, format, &mut history)))
}

/// A text without the damage that can be mended.
pub(crate) fn mend(text: String, format: Format, history: &mut Vec<Step>) -> String {
    let (text, mojibake) = mojibake::mend(&text).unwrap_or((text, 0));
    let (whole, hyphens) = match format.has_printed_lines() {
        true => hyphens::mend(&text),
        false => (Cow::Borrowed(text.as_str()), 0),
    };
    if mojibake + hyphens > 0 {
        history.push(Step::Mend { mojibake, hyphens });
    }
    match whole {
        // Where a page ends a line, a paragraph does not end.
        whole if matches!(format, Format::Pdf | Format::Picture) => hyphens::flowing(&whole),
        Cow::Owned(whole) => whole,
        Cow::Borrowed(_) => text,
    }
}

/// Takes texts out of files; one for each thread.
pub(crate) struct Extractor {
    child: Option<Child>,
    languages: Vec<String>,
    ocr: Option<Ocr>,
}

impl Extractor {
    pub(crate) fn new(worker: &Worker) -> Self {
        let child = match worker {
            Worker::InProcess => None,
            Worker::Child { program, arguments, time_limit } => Some(Child::new(program, arguments, *time_limit)),
        };
        Self { child, languages: Vec::new(), ocr: None }
    }

    /// Of files with several languages side by side takes the text in these, and
    /// has pictures of text read by `ocr`.
    pub(crate) fn wanting(self, languages: &[String], ocr: Option<&Ocr>) -> Self {
        Self { languages: languages.to_vec(), ocr: ocr.cloned(), ..self }
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
            let (text, encoding) = encoding::decode(bytes);
            let encoding = record.encoding.map(str::to_owned).or(encoding);
            history.extend(encoding.map(|encoding| Step::Decode { encoding }));
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
            Format::Picture => self.recognise(&[bytes], &mut history)?,
            Format::Pdf => match self.parse(format, bytes)? {
                Err((Reason::NoText, _)) if self.ocr.is_some() => self.scan(bytes, &mut history)?,
                text => text,
            },
            format if format.is_binary() => self.parse(format, bytes)?,
            _ => {
                let (text, encoding) = encoding::decode(bytes);
                if let Some(encoding) = encoding {
                    history.push(Step::Decode { encoding });
                }
                match format {
                    Format::Html | Format::TelegramPage => self.parse(format, text.as_bytes())?,
                    Format::Tmx => translations::tmx(&text, &self.languages),
                    format => of_text(format, text),
                }
            }
        };
        Ok(text.map(|text| Extracted { text, format, history }))
    }

    /// The text of a file, from the child process where there is one.
    fn parse(&mut self, format: Format, bytes: &[u8]) -> Result<Result<String, Refusal>> {
        let reply = self.ask(format, bytes)?;
        Ok(reply.and_then(|text| String::from_utf8(text).map_err(damaged)))
    }

    fn ask(&mut self, format: Format, bytes: &[u8]) -> Result<Result<Vec<u8>, Refusal>> {
        match &mut self.child {
            Some(child) => child.parse(format, bytes),
            None => Ok(parse(format, bytes)),
        }
    }

    /// The text in the pictures of a PDF, page by page.
    fn scan(&mut self, bytes: &[u8], history: &mut [Step]) -> Result<Result<String, Refusal>> {
        let (mut text, mut page, mut pages) = (String::new(), 0, 1);
        while page < pages {
            let packed = match self.ask(Format::PdfPictures, &pdf::request(page, bytes))? {
                Ok(packed) => packed,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let pictures;
            (pages, pictures) = pdf::unpack(&packed);
            match self.recognise(&pictures, history)? {
                Ok(found) => text.extend([&found, "\n\n"]),
                // A page may show nothing but a drawing.
                Err((Reason::Picture, _)) => {}
                Err(refusal) => return Ok(Err(refusal)),
            }
            page += 1;
        }
        Ok(match text.trim().is_empty() {
            true => Err((Reason::NoText, "no text was recognised in it".to_owned())),
            false => Ok(text),
        })
    }

    /// The text in pictures, one after the other.
    fn recognise(&self, pictures: &[&[u8]], history: &mut [Step]) -> Result<Result<String, Refusal>> {
        let Some(ocr) = &self.ocr else { return Ok(Err((Reason::Picture, String::new()))) };
        if let Some(Step::Extract { extractor, .. }) = history.first_mut() {
            *extractor = ocr.describe();
        }
        let mut texts = Vec::new();
        for picture in pictures {
            match ocr.read(picture)? {
                Ok(text) => texts.push(text),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        Ok(Ok(texts.join("\n\n")))
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
    if head.trim_ascii_start().starts_with(b"{\\rtf") {
        return Ok(Format::Rtf);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return of_archive(head, bytes).map_or_else(|| unknown("application/zip"), Ok);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return of_compound(bytes).unwrap_or_else(|| unknown("application/x-ole-storage"));
    }
    if !encoding::is_utf16(bytes) && !looks_like_text(bytes) {
        return match infer::get(bytes) {
            Some(kind) if kind.matcher_type() == infer::MatcherType::Image => Ok(Format::Picture),
            Some(kind) => unknown(kind.mime_type()),
            None => Err((Reason::NotText, String::new())),
        };
    }
    let beginning = &bytes[..bytes.len().min(BEGINNING_BYTES)];
    // What is told apart here is ASCII in all encodings but UTF-16.
    let beginning = match encoding::is_utf16(bytes) {
        true => encoding::decode(&beginning[..beginning.len() & !1]).0,
        false => String::from_utf8_lossy(beginning).into_owned(),
    };
    let beginning = beginning.trim_start_matches('\u{feff}').trim_start();
    let start: String = beginning.chars().take(1024).collect::<String>().to_ascii_lowercase();
    match ending.as_str() {
        _ if start.starts_with("%!ps") => unknown("application/postscript"),
        _ if start.starts_with("<!doctype html") || start.contains("<html") => {
            Ok(if conversations::is_telegram_page(beginning) { Format::TelegramPage } else { Format::Html })
        }
        "svg" => Err((Reason::Picture, "image/svg+xml".to_owned())),
        "htm" | "html" | "xhtml" => Ok(Format::Html),
        _ if start.contains("<tmx") => Ok(Format::Tmx),
        _ if start.starts_with("<?xml") && start.contains("urn:oasis:names:tc:opendocument") => Ok(Format::FlatOdf),
        _ if start.starts_with("<?xml") => unknown("application/xml"),
        _ if subtitles::is_subtitles(beginning) => Ok(Format::Subtitles),
        _ if conversations::is_telegram(beginning) => Ok(Format::Telegram),
        _ if conversations::is_whatsapp(beginning) => Ok(Format::WhatsApp),
        _ if translations::is_po(beginning) => Ok(Format::Po),
        "md" | "markdown" => Ok(Format::Markdown),
        _ => Ok(Format::Text),
    }
}

/// What an archive is a document of; the names of its parts stand uncompressed
/// in it.
fn of_archive(head: &[u8], bytes: &[u8]) -> Option<Format> {
    let kinds: [(&[u8], Format); 4] = [
        (b"application/epub+zip", Format::Epub),
        (b"application/vnd.oasis.opendocument.text", Format::Odt),
        (b"application/vnd.oasis.opendocument.spreadsheet", Format::Ods),
        (b"application/vnd.oasis.opendocument.presentation", Format::Odp),
    ];
    let parts: [(&[u8], Format); 4] = [
        (b"word/document.xml", Format::Docx),
        (b"xl/workbook.xml", Format::Xlsx),
        (b"ppt/presentation.xml", Format::Pptx),
        (b"META-INF/container.xml", Format::Epub),
    ];
    let stated = kinds.into_iter().find(|(kind, _)| contains(head, kind));
    let found = stated.or_else(|| parts.into_iter().find(|(part, _)| contains(bytes, part)));
    found.map(|(_, format)| format)
}

/// What a compound file is, in which old versions of Microsoft's programs store
/// documents, and new ones those with a password.
fn of_compound(bytes: &[u8]) -> Option<Result<Format, Refusal>> {
    let parts = [
        ("EncryptedPackage", Err((Reason::Encrypted, String::new()))),
        ("WordDocument", Ok(Format::Doc)),
        ("Workbook", Ok(Format::Xls)),
        ("PowerPoint Document", Ok(Format::Ppt)),
        ("Book", Ok(Format::Xls)),
    ];
    parts.into_iter().find_map(|(name, format)| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        contains(bytes, &name).then_some(format)
    })
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

/// The text of a file in a format that takes a parser, or its pictures. Panics
/// of the parser are refusals.
pub(crate) fn parse(format: Format, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let parsed = panic::catch_unwind(|| match format {
        Format::PdfPictures => pdf::pictures(bytes),
        _ => of_bytes(format, bytes).map(String::into_bytes),
    });
    parsed.unwrap_or_else(|_| Err((Reason::Damaged, "panic".to_owned())))
}

fn of_bytes(format: Format, bytes: &[u8]) -> Result<String, Refusal> {
    match format {
        Format::Pdf => pdf::text(bytes),
        Format::Docx | Format::Xlsx | Format::Pptx | Format::Doc | Format::Xls | Format::Ppt => {
            office::microsoft(bytes)
        }
        Format::Odt | Format::Ods | Format::Odp => office::open_document(bytes),
        Format::Rtf => rtf::text(bytes),
        Format::Epub => epub(bytes),
        Format::Html => Ok(html::text(&String::from_utf8_lossy(bytes))),
        Format::TelegramPage => Ok(conversations::telegram_page(&String::from_utf8_lossy(bytes))),
        Format::Mail => {
            records::body(bytes).map(|(format, text)| if format == Format::Html { html::text(&text) } else { text })
        }
        _ => of_text(format, encoding::decode(bytes).0),
    }
}

/// The text of a file that is text, without a parser that could go wrong.
fn of_text(format: Format, text: String) -> Result<String, Refusal> {
    match format {
        Format::Markdown => Ok(markdown(&text)),
        Format::Subtitles => Ok(subtitles::text(&text)),
        Format::Po => Ok(translations::po(&text)),
        Format::Tmx => translations::tmx(&text, &[]),
        Format::WhatsApp => Ok(conversations::whatsapp(&text)),
        Format::Telegram => conversations::telegram(&text),
        Format::FlatOdf => office::flat_open_document(&text),
        _ => Ok(text),
    }
}

fn damaged(cause: impl std::fmt::Display) -> Refusal {
    (Reason::Damaged, cause.to_string())
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
