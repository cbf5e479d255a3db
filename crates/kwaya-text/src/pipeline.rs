//! The way of all documents at once: read, extract, clean and judge each on
//! some thread, then compare and write them in the order of the listing.
//!
//! Texts wait in a scratch file, so memory does not grow with them: about
//! 1 KB a document stays, nearly all of it to find duplicates.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, BufWriter, Read, Seek, Write},
    path::Path,
};

use kwaya_base::{Error, Progress, Result, Unit, error::At, files, messages};
use serde::{Deserialize, Serialize};

use crate::{
    Reason, clean,
    corpus::{Document, Dropped, Options, Split, Stats, Step},
    duplicates::{Index, Signature, Verdict},
    extract::{Extracted, Extractor},
    language::Identifier,
    parallel, redact,
    sources::{self, Listing, Source},
    table::Writer,
};

/// Builds the corpus of `listing` in `folder`: `documents.parquet` and
/// `dropped.parquet`. The bytes of both depend on the documents and the
/// options alone.
///
/// # Errors
/// `corpus-empty` when nothing was kept (`dropped.parquet` says why),
/// `source-changed` when a file is not as it was listed, `interrupted`, and
/// what the disk brings.
pub fn build(
    listing: &Listing,
    sources: &[Source],
    options: &Options,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Stats> {
    let identifier = Identifier::new(&options.languages);
    let mut stats = Stats { unknown_to_detector: identifier.unknown().to_vec(), ..Stats::default() };
    let scratch = tempfile::Builder::new().prefix(".corpus-").tempdir_in(folder).at(folder)?;
    let dropped_path = scratch.path().join("dropped");
    let mut collector = Collector {
        listing,
        stats: &mut stats,
        dropped: Writer::create(&dropped_path)?,
        index: Index::new(options.near_duplicate),
        spool: Spool::create(scratch.path())?,
        kept: Vec::new(),
    };
    for dropped in &listing.skipped {
        collector.drop(dropped.clone())?;
    }
    progress.begin("corpus-documents", listing.files.iter().map(|f| f.bytes).sum(), Unit::Bytes);
    let mut done = 0;
    parallel::map(
        listing.files.len(),
        options.threads,
        || Extractor::new(&options.worker),
        |extractor, index| {
            let file = &listing.files[index];
            prepare(file, &sources[file.source], options, &identifier, extractor)
        },
        |index, prepared| {
            if progress.stopped() {
                return Err(Error::new("interrupted"));
            }
            collector.take(index, prepared?)?;
            done += listing.files[index].bytes;
            progress.at(done);
            Ok(())
        },
    )?;
    progress.end();
    let Collector { dropped, spool, kept, .. } = collector;
    dropped.finish()?;
    files::publish(&dropped_path, &folder.join("dropped.parquet"))?;
    if kept.is_empty() {
        let reasons: Vec<_> = stats.dropped.iter().map(|(reason, count)| explain(*reason, *count)).collect();
        return Err(Error::new("corpus-empty").arg("reasons", reasons.join("\n")));
    }
    let held_out = hold_out(&kept, options.held_out);
    let path = scratch.path().join("documents");
    write_documents(&path, spool, listing, sources, &held_out, &mut stats)?;
    files::publish(&path, &folder.join("documents.parquet"))?;
    Ok(stats)
}

/// Why `count` files were dropped, and what to do, in words.
fn explain(reason: Reason, count: u64) -> String {
    let key = reason.message();
    let remedy = messages::attribute(&key, "remedy", &[]).unwrap_or_default();
    format!("  {count} × {}. {remedy}", messages::format(&key, &[]))
}

/// A document that is good by itself.
#[derive(Serialize, Deserialize)]
struct Clean {
    file: usize,
    language: String,
    format: String,
    history: Vec<Step>,
    emails: u64,
    phones: u64,
    #[serde(skip)]
    text: String,
}

/// What one file came to on its thread.
enum Prepared {
    Clean { document: Clean, hash: blake3::Hash, signature: Box<Signature> },
    Dropped { reason: Reason, detail: String, language: String },
}

impl Prepared {
    fn dropped(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Dropped { reason, detail: detail.into(), language: String::new() }
    }
}

fn prepare(
    file: &sources::File,
    source: &Source,
    options: &Options,
    identifier: &Identifier,
    extractor: &mut Extractor,
) -> Result<Prepared> {
    if file.bytes == 0 {
        return Ok(Prepared::dropped(Reason::Empty, ""));
    }
    if file.bytes > options.max_file_bytes {
        return Ok(Prepared::dropped(Reason::TooLarge, ""));
    }
    // A file that has grown since it was listed is noticed, not read in full.
    let mut bytes = Vec::with_capacity(file.bytes as usize);
    let read = File::open(&file.path).and_then(|f| f.take(file.bytes + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Ok(Prepared::dropped(Reason::Unreadable, error.to_string()));
    }
    if blake3::hash(&bytes) != file.hash {
        return Err(Error::new("source-changed").path(&file.path));
    }
    let Extracted { text, format, mut history } = match extractor.extract(&file.name, &bytes)? {
        Ok(extracted) => extracted,
        Err((reason, detail)) => return Ok(Prepared::dropped(reason, detail)),
    };
    drop(bytes);
    let before = text.len() as u64;
    let text = clean::normalise(&text);
    history.push(Step::Normalise { before, after: text.len() as u64 });
    if text.is_empty() {
        return Ok(Prepared::dropped(Reason::Empty, ""));
    }
    if text.len() as u64 > options.max_file_bytes {
        return Ok(Prepared::dropped(Reason::TooLarge, "text"));
    }
    if let Some(why) = clean::not_prose(&text) {
        return Ok(Prepared::dropped(Reason::NotText, why));
    }
    if text.chars().take(options.min_characters).count() < options.min_characters {
        return Ok(Prepared::dropped(Reason::TooShort, ""));
    }
    let verdict = identifier.identify(&text, source.language.as_deref());
    let language = verdict.language;
    if verdict.unwanted {
        return Ok(Prepared::Dropped { reason: Reason::OtherLanguage, detail: String::new(), language });
    }
    history.push(Step::Identify { sure: verdict.detected == language, detected: verdict.detected });
    let (mut emails, mut phones, mut text) = (0, 0, text);
    if options.redact {
        let redacted = redact::redact(text);
        (text, emails, phones) = (redacted.text, redacted.emails, redacted.phones);
        if emails + phones > 0 {
            history.push(Step::Redact { emails, phones });
        }
    }
    let signature = Box::new(Signature::of(&text));
    let hash = blake3::hash(text.as_bytes());
    let format = format.name().to_owned();
    Ok(Prepared::Clean {
        document: Clean { file: 0, language, format, history, emails, phones, text },
        hash,
        signature,
    })
}

/// Takes what the threads made, in order.
struct Collector<'a> {
    listing: &'a Listing,
    stats: &'a mut Stats,
    dropped: Writer<'a, Dropped>,
    index: Index,
    spool: Spool,
    kept: Vec<Kept>,
}

/// What stays in memory of a document that is kept.
struct Kept {
    hash: blake3::Hash,
    language: String,
}

impl Collector<'_> {
    fn take(&mut self, index: usize, prepared: Prepared) -> Result<()> {
        let file = &self.listing.files[index];
        let drop = |reason, detail, language, duplicate_of| Dropped {
            source: file.name.clone(),
            reason,
            detail,
            language,
            bytes: file.bytes,
            duplicate_of,
        };
        let (mut document, hash, signature) = match prepared {
            Prepared::Clean { document, hash, signature } => (document, hash, signature),
            Prepared::Dropped { reason, detail, language } => {
                return self.drop(drop(reason, detail, language, String::new()));
            }
        };
        let (reason, first) = match self.index.judge(index as u32, &hash, &signature) {
            Verdict::Exact(first) => (Reason::ExactDuplicate, first),
            Verdict::Near(first) => (Reason::NearDuplicate, first),
            Verdict::New => {
                self.stats.files += 1;
                self.stats.file_bytes += file.bytes;
                self.kept.push(Kept { hash, language: document.language.clone() });
                document.file = index;
                return self.spool.push(&document);
            }
        };
        let first = self.listing.files[first as usize].name.clone();
        self.drop(drop(reason, String::new(), document.language, first))
    }

    fn drop(&mut self, dropped: Dropped) -> Result<()> {
        self.stats.files += 1;
        self.stats.file_bytes += dropped.bytes;
        *self.stats.dropped.entry(dropped.reason).or_default() += 1;
        self.dropped.push(dropped)
    }
}

/// Which documents to hold out: those whose hash is in the lowest `share` of
/// all hashes; in a language of two or more documents, at least the lowest
/// and not all.
fn hold_out(kept: &[Kept], share: f64) -> Vec<bool> {
    let rank = |i: usize| u64::from_be_bytes(kept[i].hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
    let limit = (share.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
    let mut held_out: Vec<bool> = (0..kept.len()).map(|i| rank(i) < limit).collect();
    let mut languages: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, document) in kept.iter().enumerate() {
        languages.entry(&document.language).or_default().push(i);
    }
    for documents in languages.values() {
        let count = documents.iter().filter(|&&i| held_out[i]).count();
        if share > 0.0 && documents.len() >= 2 && (count == 0 || count == documents.len()) {
            documents.iter().for_each(|&i| held_out[i] = false);
            let lowest = documents.iter().copied().min_by_key(|&i| kept[i].hash.as_bytes());
            lowest.into_iter().for_each(|i| held_out[i] = true);
        } else if documents.len() == 1 {
            held_out[documents[0]] = false;
        }
    }
    held_out
}

fn write_documents(
    path: &Path,
    spool: Spool,
    listing: &Listing,
    sources: &[Source],
    held_out: &[bool],
    stats: &mut Stats,
) -> Result<()> {
    let mut writer = Writer::create(path)?;
    let mut reader = spool.reader()?;
    for &held_out in held_out {
        let document = reader.next()?;
        let file = &listing.files[document.file];
        let bytes = document.text.len() as u64;
        stats.documents += 1;
        stats.bytes += bytes;
        stats.emails_redacted += document.emails;
        stats.phones_redacted += document.phones;
        *stats.formats.entry(document.format).or_default() += 1;
        let language = stats.languages.entry(document.language.clone()).or_default();
        language.documents += 1;
        language.bytes += bytes;
        if held_out {
            language.held_out_documents += 1;
            language.held_out_bytes += bytes;
        }
        writer.push(Document {
            id: blake3::hash(document.text.as_bytes()).to_hex().to_string(),
            text: document.text,
            source: file.name.clone(),
            licence: sources[file.source].licence.clone(),
            language: document.language,
            split: if held_out { Split::HeldOut } else { Split::Train },
            bytes,
            history: document.history,
        })?;
    }
    writer.finish()
}

/// Documents on disk, to be read back once in the same order: each the
/// lengths of its record (JSON) and its text, and both.
struct Spool {
    path: std::path::PathBuf,
    file: BufWriter<File>,
}

impl Spool {
    fn create(folder: &Path) -> Result<Self> {
        let path = folder.join("texts");
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).at(&path)?;
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), path })
    }

    fn push(&mut self, document: &Clean) -> Result<()> {
        let record = serde_json::to_vec(document).expect("a record is plain data");
        for part in [record.as_slice(), document.text.as_bytes()] {
            self.file.write_all(&(part.len() as u64).to_le_bytes()).at(&self.path)?;
            self.file.write_all(part).at(&self.path)?;
        }
        Ok(())
    }

    fn reader(self) -> Result<SpoolReader> {
        let Self { path, file } = self;
        let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error).at(&path)?;
        file.rewind().at(&path)?;
        Ok(SpoolReader { file: BufReader::with_capacity(1 << 20, file), path })
    }
}

struct SpoolReader {
    path: std::path::PathBuf,
    file: BufReader<File>,
}

impl SpoolReader {
    fn next(&mut self) -> Result<Clean> {
        let changed = |cause: String| Error::new("corpus-damaged").path(&self.path).arg("cause", cause);
        let mut document: Clean =
            serde_json::from_slice(&part(&mut self.file).at(&self.path)?).map_err(|e| changed(e.to_string()))?;
        let text = part(&mut self.file).at(&self.path)?;
        document.text = String::from_utf8(text).map_err(|e| changed(e.to_string()))?;
        Ok(document)
    }
}

fn part(file: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let mut bytes = Vec::new();
    let length = u64::from_le_bytes(length);
    match file.take(length).read_to_end(&mut bytes)? as u64 == length {
        true => Ok(bytes),
        false => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}
