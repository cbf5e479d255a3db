//! The way of all documents at once: each file is prepared on some thread, then
//! all are compared, then written in the order of the listing.
//!
//! What the threads made waits on disk ([`Spool`]), and so does what is sorted to
//! compare it, so memory does not grow with the texts: a bit for each document
//! stays. A build that was stopped goes on after the last files that were saved.

use std::{ops::Range, path::Path};

use kwaya_base::{Error, Progress, Result, Unit, error::At, files, messages};

use crate::{
    Reason,
    corpus::{Document, Dropped, Options, Split, Stats, Step},
    duplicates::{self, Bits, Duplicate},
    extractors::Extractors,
    held_out::HeldOut,
    judged::Judged,
    language::Identifier,
    paragraphs::Repeated,
    parallel,
    prepare::{Clean, Job, Outcome, Portion, Prepared, prepare, start, stream},
    sources::{self, Listing, Source},
    spool::{Batch, Entry, Key, Refused, Spool},
    table::Writer,
};

/// Files under way at once, in bytes; one alone may be larger.
const UNDER_WAY_BYTES: u64 = 16 << 20;

/// Files handed to a thread at once, in bytes and in number.
const BATCH_BYTES: u64 = 128 << 10;
const BATCH_FILES: usize = 64;

/// Builds the corpus of `listing` in `folder`: `documents.parquet` and
/// `dropped.parquet`. The bytes of both depend on the documents and the
/// options alone. What a build that was stopped had done is in `unfinished`, which
/// is for this listing and these options; who calls removes it when the tables
/// are where they belong.
///
/// # Errors
/// `corpus-empty` when nothing was kept (`dropped.parquet` says why),
/// `source-changed` when a file is not as it was listed, `interrupted`, and
/// what the disk brings.
pub fn build(
    listing: &Listing,
    sources: &[Source],
    options: &Options,
    unfinished: &Path,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Stats> {
    let scratch = tempfile::Builder::new().prefix(".corpus-").tempdir_in(folder).at(folder)?;
    let identifier = Identifier::new(&options.languages, &options.learned);
    let mut spool = Spool::open(unfinished)?;
    read(listing, sources, options, &identifier, &mut spool, progress)?;
    let compared = compare(&mut spool, listing, options, (unfinished, scratch.path()), progress)?;
    let stats = Stats { unknown_to_detector: identifier.unknown().to_vec(), ..Stats::default() };
    let mut writing = Writing { listing, sources, options, stats };
    writing.write(&mut spool, compared, scratch.path(), folder, progress)?;
    Ok(writing.stats)
}

/// Brings the spool up to the end of the listing.
fn read(
    listing: &Listing,
    sources: &[Source],
    options: &Options,
    identifier: &Identifier,
    spool: &mut Spool,
    progress: &dyn Progress,
) -> Result<()> {
    let bytes = |files: Range<usize>| listing.files[files].iter().map(|file| file.bytes).sum::<u64>();
    let batches = batches(&listing.files, spool.files());
    progress.begin("corpus-documents", bytes(0..listing.files.len()), Unit::Bytes);
    let mut done = bytes(0..spool.files());
    progress.at(done);
    let extractors = Extractors::new(options);
    let job = |number: usize| {
        let file = &listing.files[number];
        Job { file, source: &sources[file.source], options, identifier }
    };
    let read = parallel::map(
        batches.len(),
        options.threads,
        (|batch: usize| bytes(batches[batch].clone()), UNDER_WAY_BYTES),
        || extractors.get(),
        |extractor, batch| {
            let files = batches[batch].clone();
            files.map(|number| Ok((number, Made::of(number, prepare(job(number), extractor)?)))).collect()
        },
        |batch, made: Result<Vec<(usize, Made)>>| {
            for (number, made) in made? {
                if progress.stopped() {
                    return Err(Error::new("interrupted"));
                }
                match made {
                    Made::Documents(documents) => spool.append(documents)?,
                    Made::Large => {
                        let (first, tally) = spool.begin(number)?;
                        let portion = Portion { first, ..Portion::ALL };
                        let tally = stream(job(number), portion, tally, &extractors, |made| {
                            spool.append(batch_of(number, made.documents))?;
                            spool.done_within(made.batch + 1, made.tally)?;
                            progress.at(done + made.position);
                            if progress.stopped() { Err(Error::new("interrupted")) } else { Ok(()) }
                        })?;
                        spool.append(batch_of(number, tally.rest()))?;
                    }
                }
                done += listing.files[number].bytes;
                progress.at(done);
            }
            spool.done(batches[batch].end)
        },
    );
    progress.end();
    spool.save()?;
    read
}

/// What a file came to, as it is written.
enum Made {
    Documents(Batch),
    Large,
}

impl Made {
    fn of(number: usize, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Large => Self::Large,
            Outcome::Documents(documents) => Self::Documents(batch_of(number, documents)),
        }
    }
}

/// What came of documents of a file.
pub(crate) fn batch_of(file: usize, documents: impl IntoIterator<Item = Prepared>) -> Batch {
    let mut batch = Batch::default();
    documents.into_iter().for_each(|document| add(&mut batch, file, document));
    batch
}

/// Adds what came of a document of a file.
pub(crate) fn add(batch: &mut Batch, file: usize, prepared: Prepared) {
    let file = file as u32;
    match prepared {
        Prepared::Dropped(mut refused) => {
            refused.file = file;
            batch.drop(refused);
        }
        Prepared::Clean { document, hash, signature, paragraphs } => {
            let (language, letters) = (document.language.clone(), document.letters);
            let signature = signature.map(|signature| *signature);
            let key = Key { file, bytes: 0, entry: 0, hash: *hash.as_bytes(), letters, language, signature };
            batch.keep(document, key, paragraphs.into_iter());
        }
    }
}

/// The files from `first` on in runs that are handed to a thread at once: one by
/// one, small files would cost more in waking threads than in work.
fn batches(files: &[sources::File], first: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = BATCH_BYTES;
    for (index, file) in files.iter().enumerate().skip(first) {
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

/// What the documents are beside one another, asked for in their order.
struct Compared<'a> {
    judged: Judged<'a>,
    duplicates: Box<dyn Iterator<Item = Result<Duplicate>>>,
    repeated: Repeated,
    held_out: HeldOut,
}

fn compare<'a>(
    spool: &mut Spool,
    listing: &'a Listing,
    options: &'a Options,
    (unfinished, scratch): (&Path, &Path),
    progress: &dyn Progress,
) -> Result<Compared<'a>> {
    let mut gone = Bits::new(spool.documents());
    // First, so that no text is dropped for one that is dropped itself.
    let judged = Judged::of(spool, &mut gone, listing, options, unfinished, progress)?;
    progress.begin("corpus-duplicates", u64::from(spool.documents()), Unit::Documents);
    let threshold = options.near_duplicate;
    let duplicates = duplicates::find(spool, &mut gone, threshold, options.memory_bytes, scratch, progress)?;
    let repeated = match options.unique_paragraphs {
        true => Repeated::find(spool, &gone, options.memory_bytes, scratch)?,
        false => Repeated::none(),
    };
    let held_out = HeldOut::choose(spool, &gone, options.held_out)?;
    progress.end();
    Ok(Compared { judged, duplicates: Box::new(duplicates), repeated, held_out })
}

/// The last way of all: what is kept and what is not, each into its table.
struct Writing<'a> {
    listing: &'a Listing,
    sources: &'a [Source],
    options: &'a Options,
    stats: Stats,
}

impl Writing<'_> {
    fn write(
        &mut self,
        spool: &mut Spool,
        mut compared: Compared<'_>,
        scratch: &Path,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        let paths = ["documents", "dropped"].map(|name| scratch.join(name));
        let (mut documents, mut dropped) = (Writer::<Document>::create(&paths[0])?, Writer::create(&paths[1])?);
        let skipped = &self.listing.skipped;
        self.stats.files = (self.listing.files.len() + skipped.len()) as u64;
        let listed = self.listing.files.iter().map(|file| file.bytes).sum::<u64>();
        self.stats.file_bytes = listed + skipped.iter().map(|dropped| dropped.bytes).sum::<u64>();
        skipped.iter().try_for_each(|skipped| self.drop(&mut dropped, skipped.clone()))?;

        progress.begin("corpus-write", u64::from(spool.documents()), Unit::Documents);
        let mut duplicate = compared.duplicates.next().transpose()?;
        let mut keys = spool.keys()?;
        for entry in spool.entries()? {
            let (clean, text) = match entry? {
                (Entry::Clean(clean), text) => (clean, text),
                (Entry::Dropped(refused), _) => {
                    let Refused { file, part, reason, detail, language, bytes, letters, start } = *refused;
                    let row = Dropped { detail, language, bytes, letters, start, ..self.row(file, &part, reason) };
                    self.drop(&mut dropped, row)?;
                    continue;
                }
            };
            let (number, key) = keys.next().expect("each clean document has a key")?;
            progress.at(u64::from(number));
            if progress.stopped() {
                return Err(Error::new("interrupted"));
            }
            if let Some(fault) = compared.judged.fault(&key)? {
                let row = self.refused(&key, &clean.part, Reason::Quality(fault.filter), &text);
                self.drop(&mut dropped, Dropped { detail: fault.to_string(), ..row })?;
                continue;
            }
            if let Some(Duplicate { of, exact, .. }) = duplicate.filter(|duplicate| duplicate.document == number) {
                duplicate = compared.duplicates.next().transpose()?;
                let reason = if exact { Reason::ExactDuplicate } else { Reason::NearDuplicate };
                let kept = spool.key(of)?;
                let duplicate_of = self.listing.files[kept.file as usize].part(&spool.document(&kept)?.part);
                let twin = kept.letters.to_string();
                let row = self.refused(&key, &clean.part, reason, &text);
                self.drop(&mut dropped, Dropped { duplicate_of, twin, ..row })?;
                continue;
            }
            let (text, repeated) = compared.repeated.remove(number, text)?;
            let (text, lines) = compared.judged.clean(&clean, &key, text);
            if (repeated > 0 || lines.is_some())
                && text.chars().take(self.options.min_characters).count() < self.options.min_characters
            {
                let reason = if repeated > 0 { Reason::RepeatedParagraphs } else { Reason::TooShort };
                self.drop(&mut dropped, self.refused(&key, &clean.part, reason, &text))?;
                continue;
            }
            let without = Without { repeated, lines };
            documents.push(self.keep(*clean, &key, text, without, compared.held_out.split(&key)))?;
        }
        self.stats.limits = compared.judged.into_limits();
        progress.end();
        documents.finish()?;
        dropped.finish()?;
        files::publish(&paths[1], &folder.join("dropped.parquet"))?;
        if self.stats.documents == 0 {
            let reasons: Vec<_> = self.stats.dropped.iter().map(|(reason, count)| explain(*reason, *count)).collect();
            return Err(Error::new("corpus-empty").arg("reasons", reasons.join("\n")));
        }
        files::publish(&paths[0], &folder.join("documents.parquet"))
    }

    /// What is to be said of any file that was dropped.
    fn row(&self, file: u32, part: &str, reason: Reason) -> Dropped {
        let file = &self.listing.files[file as usize];
        Dropped::new(file.part(part), file.source, reason)
    }

    /// A document that was dropped for what it is beside others.
    fn refused(&self, key: &Key, part: &str, reason: Reason, text: &str) -> Dropped {
        let (language, letters, start) = (key.language.clone(), key.letters.to_string(), start(text));
        Dropped { language, bytes: key.bytes, letters, start, ..self.row(key.file, part, reason) }
    }

    fn drop(&mut self, table: &mut Writer<Dropped>, dropped: Dropped) -> Result<()> {
        *self.stats.dropped.entry(dropped.reason).or_default() += 1;
        table.push(dropped)
    }

    /// A document as it is kept, and counted.
    fn keep(&mut self, clean: Clean, key: &Key, text: String, without: Without, split: Split) -> Document {
        let Without { repeated, lines } = without;
        let Clean { part, language, format, mut history, .. } = clean;
        let mut id = blake3::Hash::from_bytes(key.hash);
        if repeated > 0 || lines.is_some() {
            id = blake3::hash(text.as_bytes());
        }
        if repeated > 0 {
            history.push(Step::Repeated { paragraphs: repeated });
        }
        if let Some(Step::Lines { removed, .. }) = &lines {
            for (rule, count) in removed {
                *self.stats.lines_removed.entry(*rule).or_default() += count;
            }
        }
        history.extend(lines);
        let bytes = text.len() as u64;
        let stats = &mut self.stats;
        stats.documents += 1;
        stats.bytes += bytes;
        for step in &history {
            let Step::Redact { replaced } = step else { continue };
            replaced.iter().for_each(|(&kind, count)| *stats.replaced.entry(kind).or_default() += count);
        }
        stats.repeated_paragraphs += repeated;
        *stats.lengths.entry(bytes.max(1).ilog2()).or_default() += 1;
        *stats.formats.entry(format).or_default() += 1;
        for (kind, count) in mended(&history) {
            *stats.mended.entry(kind.to_owned()).or_default() += count;
        }
        let count = stats.languages.entry(language.clone()).or_default();
        count.documents += 1;
        count.bytes += bytes;
        if split == Split::HeldOut {
            count.held_out_documents += 1;
            count.held_out_bytes += bytes;
        }
        let file = &self.listing.files[key.file as usize];
        let origin = file.source as u64 + 1;
        let source = stats.sources.entry(origin).or_default();
        source.documents += 1;
        source.bytes += bytes;
        Document {
            id: id.to_hex().to_string(),
            text,
            source: file.part(&part),
            origin,
            licence: self.sources[file.source].licence.clone(),
            language,
            split,
            bytes,
            letters: key.letters.to_string(),
            history,
        }
    }
}

/// What was taken out of a text for what other texts have.
struct Without {
    /// Paragraphs of earlier documents.
    repeated: u64,
    /// Lines that are no part of it.
    lines: Option<Step>,
}

/// Why `count` files were dropped, and what to do, in words.
fn explain(reason: Reason, count: u64) -> String {
    let key = reason.message();
    let remedy = messages::attribute(&key, "remedy", &[]).unwrap_or_default();
    format!("  {count} × {}. {remedy}", messages::format(&key, &[]))
}

/// What was mended in the file of a document; of the pieces of a text the first
/// tells it.
fn mended(history: &[Step]) -> impl Iterator<Item = (&'static str, u64)> {
    let later = history.iter().any(|step| matches!(step, Step::Cut { piece, .. } if *piece > 1));
    let counts = history.iter().find_map(|step| match step {
        Step::Mend { mojibake, hyphens } if !later => Some([("mojibake", *mojibake), ("hyphens", *hyphens)]),
        _ => None,
    });
    counts.into_iter().flatten().filter(|(_, count)| *count > 0)
}
