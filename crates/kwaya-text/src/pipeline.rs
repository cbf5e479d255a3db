//! The way of all documents at once: each file is prepared on some thread, then
//! they are compared and written in the order of the listing.
//!
//! Texts wait in a scratch file, so memory does not grow with them: about
//! 1 KB a document stays, nearly all of it to find duplicates.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, BufWriter, Read, Seek, Write},
    ops::Range,
    path::Path,
};

use kwaya_base::{Error, Progress, Result, Unit, error::At, files, messages};

use crate::{
    Reason,
    corpus::{Document, Dropped, Options, Split, Stats},
    duplicates::{Index, Verdict},
    extract::Extractor,
    language::Identifier,
    parallel,
    prepare::{Clean, Prepared, prepare},
    sources::{self, Listing, Source},
    table::Writer,
};

/// Files under way at once, in bytes; one alone may be larger.
const UNDER_WAY_BYTES: u64 = 16 << 20;

/// Files handed to a thread at once, in bytes and in number.
const BATCH_BYTES: u64 = 128 << 10;
const BATCH_FILES: usize = 64;

/// Text held out of training in one language, at most: more makes the figures
/// no better and the measuring slower.
const HELD_OUT_BYTES: u64 = 2_000_000;

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
        collector.stats.files += 1;
        collector.stats.file_bytes += dropped.bytes;
        collector.drop(dropped.clone())?;
    }
    progress.begin("corpus-documents", listing.files.iter().map(|f| f.bytes).sum(), Unit::Bytes);
    let mut done = 0;
    let batches = batches(&listing.files);
    let bytes = |batch: usize| listing.files[batches[batch].clone()].iter().map(|file| file.bytes).sum::<u64>();
    parallel::map(
        batches.len(),
        options.threads,
        (bytes, UNDER_WAY_BYTES),
        || Extractor::new(&options.worker),
        |extractor, batch| {
            let files = listing.files[batches[batch].clone()].iter();
            files.map(|file| prepare(file, &sources[file.source], options, &identifier, extractor)).collect()
        },
        |batch, prepared: Vec<_>| {
            for (index, documents) in batches[batch].clone().zip(prepared) {
                if progress.stopped() {
                    return Err(Error::new("interrupted"));
                }
                collector.take(index, documents?)?;
                done += listing.files[index].bytes;
                progress.at(done);
            }
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
    write_documents(&path, spool, listing, sources, &kept, &held_out, &mut stats)?;
    files::publish(&path, &folder.join("documents.parquet"))?;
    Ok(stats)
}

/// The files in runs that are handed to a thread at once: one by one, small
/// files would cost more in waking threads than in work.
fn batches(files: &[sources::File]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = BATCH_BYTES;
    for (index, file) in files.iter().enumerate() {
        bytes += file.bytes;
        match batches.last_mut() {
            Some(batch) if bytes <= BATCH_BYTES && batch.len() < BATCH_FILES => batch.end = index + 1,
            _ => {
                batches.push(index..index + 1);
                bytes = file.bytes;
            }
        }
    }
    batches
}

/// Why `count` files were dropped, and what to do, in words.
fn explain(reason: Reason, count: u64) -> String {
    let key = reason.message();
    let remedy = messages::attribute(&key, "remedy", &[]).unwrap_or_default();
    format!("  {count} × {}. {remedy}", messages::format(&key, &[]))
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
    file: usize,
    hash: blake3::Hash,
    language: String,
    bytes: u64,
}

impl Collector<'_> {
    fn take(&mut self, file: usize, documents: Vec<Prepared>) -> Result<()> {
        self.stats.files += 1;
        self.stats.file_bytes += self.listing.files[file].bytes;
        documents.into_iter().try_for_each(|document| self.document(file, document))
    }

    fn document(&mut self, file: usize, prepared: Prepared) -> Result<()> {
        let source = self.listing.files[file].name.clone();
        let (document, hash, signature) = match prepared {
            Prepared::Clean { document, hash, signature } => (document, hash, signature),
            Prepared::Dropped { reason, detail, language, bytes } => {
                return self.drop(Dropped { source, reason, detail, language, bytes, duplicate_of: String::new() });
            }
        };
        let (language, bytes) = (document.language.clone(), document.text.len() as u64);
        let (reason, first) = match self.index.judge(self.kept.len() as u32, &hash, signature.as_deref()) {
            Verdict::Exact(first) => (Reason::ExactDuplicate, first),
            Verdict::Near(first) => (Reason::NearDuplicate, first),
            Verdict::New => {
                self.kept.push(Kept { file, hash, language, bytes });
                return self.spool.push(&document);
            }
        };
        let duplicate_of = self.listing.files[self.kept[first as usize].file].name.clone();
        self.drop(Dropped { source, reason, detail: String::new(), language, bytes, duplicate_of })
    }

    fn drop(&mut self, dropped: Dropped) -> Result<()> {
        *self.stats.dropped.entry(dropped.reason).or_default() += 1;
        self.dropped.push(dropped)
    }
}

/// Which documents to hold out: of each language those whose hash is in the
/// lowest `share` of all hashes, or in the share that makes about
/// [`HELD_OUT_BYTES`]; of two documents or more at least the lowest, and not
/// all.
fn hold_out(kept: &[Kept], share: f64) -> Vec<bool> {
    let rank = |i: usize| u64::from_be_bytes(kept[i].hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
    let mut languages: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, document) in kept.iter().enumerate() {
        languages.entry(&document.language).or_default().push(i);
    }
    let mut held_out = vec![false; kept.len()];
    if share <= 0.0 {
        return held_out;
    }
    for documents in languages.values().filter(|documents| documents.len() >= 2) {
        let bytes: u64 = documents.iter().map(|&i| kept[i].bytes).sum();
        let share = share.min(HELD_OUT_BYTES as f64 / bytes as f64).min(1.0);
        let limit = (share * u64::MAX as f64) as u64;
        let low: Vec<usize> = documents.iter().copied().filter(|&i| rank(i) < limit).collect();
        if low.is_empty() || low.len() == documents.len() {
            let lowest = documents.iter().copied().min_by_key(|&i| kept[i].hash.as_bytes());
            lowest.into_iter().for_each(|i| held_out[i] = true);
        } else {
            low.into_iter().for_each(|i| held_out[i] = true);
        }
    }
    held_out
}

fn write_documents(
    path: &Path,
    spool: Spool,
    listing: &Listing,
    sources: &[Source],
    kept: &[Kept],
    held_out: &[bool],
    stats: &mut Stats,
) -> Result<()> {
    let mut writer = Writer::create(path)?;
    let mut reader = spool.reader()?;
    for (kept, &held_out) in kept.iter().zip(held_out) {
        let document = reader.next()?;
        let file = &listing.files[kept.file];
        let bytes = kept.bytes;
        stats.documents += 1;
        stats.bytes += bytes;
        document.replaced.iter().for_each(|(kind, count)| *stats.replaced.entry(*kind).or_default() += count);
        *stats.formats.entry(document.format).or_default() += 1;
        let language = stats.languages.entry(document.language.clone()).or_default();
        language.documents += 1;
        language.bytes += bytes;
        if held_out {
            language.held_out_documents += 1;
            language.held_out_bytes += bytes;
        }
        writer.push(Document {
            id: kept.hash.to_hex().to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(language: &str, number: u64, bytes: u64) -> Kept {
        Kept { file: 0, hash: blake3::hash(&number.to_le_bytes()), language: language.to_owned(), bytes }
    }

    #[test]
    fn every_language_with_two_documents_is_measured_and_trained_on() {
        let mut documents: Vec<Kept> = (0..5000).map(|i| kept("sw", i, 3000)).collect();
        documents.extend((0..2).map(|i| kept("en", 9000 + i, 3000)));
        documents.push(kept("yo", 10_000, 3000));
        let count = |share: f64| {
            let held_out = hold_out(&documents, share);
            let of = |language: &&str| {
                documents.iter().zip(&held_out).filter(|(d, h)| d.language == *language && **h).count()
            };
            ["sw", "en", "yo"].each_ref().map(of)
        };
        let [sw, en, yo] = count(0.02);
        assert!((70..130).contains(&sw), "{sw}");
        assert_eq!((en, yo), (1, 0));
        // 15 MB of text, of which no more than 2 MB are held out.
        let [sw, en, yo] = count(1.0);
        assert!((600..730).contains(&sw), "{sw}");
        assert_eq!((en, yo), (1, 0));
        assert_eq!(count(0.0), [0, 0, 0]);
    }
}
