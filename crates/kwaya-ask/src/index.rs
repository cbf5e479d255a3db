//! The index on disk: made from a corpus, checked before it is used.
//!
//! ```text
//! build/ask/KEY/manifest.json   names, sizes and hashes of the files beside it
//!               *               an index of tantivy in one segment
//! ```
//!
//! The key is the hash of the corpus without what was taken back, so another
//! corpus has another index. The passages of a document follow one another, in
//! the order of the corpus, and the number of a passage is its number in the
//! segment: passages of equal rank are told in that order on every machine.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use kwaya_base::{Error, Progress, Result, Unit, error::At, files};
use kwaya_recipe::store::FolderLock;
use kwaya_text::{
    chat,
    corpus::{self, Document},
    withdrawn::{Letters, Withdrawn},
};
use serde::{Deserialize, Serialize};
use tantivy::{
    Index, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, TantivyError,
    indexer::NoMergePolicy,
    schema::{Field, IndexRecordOption, NumericOptions, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value},
    tokenizer::{Token, TokenStream, Tokenizer},
};

use crate::{analysis, passages};

/// Raised when passages or their analysis change.
const REVISION: u32 = 1;
/// Bytes of postings that are held while an index is made. What is more becomes
/// segments that are merged at the end.
const MEMORY_BYTES: usize = 160 << 20;
/// What stands between words, and in none of them.
const BETWEEN: &str = "\0";
/// The name of [`Parted`] in an index.
const PARTED: &str = "parted";
const MANIFEST: &str = "manifest.json";
/// A manifest names some ten files.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// How often it is looked whether another process has made the index.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What an index knows of a passage, by name.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) words: Field,
    pub(crate) pieces: Field,
    pub(crate) document: Field,
    pub(crate) source: Field,
    pub(crate) language: Field,
    pub(crate) text: Field,
    /// The number of the passage in the corpus.
    pub(crate) place: Field,
    /// Its number in its document, from 1.
    pub(crate) number: Field,
    /// Where it starts in its document, in bytes.
    pub(crate) start: Field,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    files: Vec<Named>,
}

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    bytes: u64,
    blake3: String,
}

/// An index that was checked.
pub(crate) struct Opened {
    pub(crate) searcher: Searcher,
    pub(crate) fields: Fields,
    /// Its folder.
    pub(crate) place: PathBuf,
}

/// Opens the index of the corpus in `folder`, the folder of a recipe, and makes
/// it first where there is none that is whole.
///
/// # Errors
/// `corpus-missing` before a build; `interrupted`; when a disk is full.
pub(crate) fn open(folder: &Path, progress: &dyn Progress) -> Result<Opened> {
    let corpus = folder.join("build/corpus/documents.parquet");
    if !corpus.exists() {
        return Err(Error::new("corpus-missing").path(folder));
    }
    let home = folder.join("build/ask");
    loop {
        let withdrawn = Withdrawn::read(folder)?;
        let key = key(&corpus, &withdrawn)?;
        let place = home.join(&key);
        if let Some(opened) = check(&place) {
            return Ok(opened);
        }
        let Some(_lock) = lock(&home, progress)? else { continue };
        clear(&home)?;
        renew(&corpus, &withdrawn, &place, progress)?;
        let opened = check(&place).ok_or_else(|| Error::new("ask-index-damaged").path(&place))?;
        // A build may have put another corpus in its place meanwhile.
        if self::key(&corpus, &Withdrawn::read(folder)?)? == key {
            return Ok(opened);
        }
    }
}

/// The lock of `folder`; `None` after another process held it for a while, who
/// may have made what is wanted.
///
/// # Errors
/// `interrupted`; when the lock cannot be tried for.
pub(crate) fn lock(folder: &Path, progress: &dyn Progress) -> Result<Option<FolderLock>> {
    match FolderLock::take(folder) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.key() == "folder-busy" && progress.stopped() => Err(Error::new("interrupted")),
        Err(error) if error.key() == "folder-busy" => {
            thread::sleep(LOOK_EVERY);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn key(corpus: &Path, withdrawn: &Withdrawn) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&REVISION.to_le_bytes());
    hasher.update_reader(File::open(corpus).at(corpus)?).at(corpus)?;
    Ok(withdrawn.without(&hasher.finalize().to_hex())[..32].to_owned())
}

/// Takes away indexes of other corpora, which may hold what was taken back
/// since, damaged ones, and what a process left that was ended.
fn clear(home: &Path) -> Result<()> {
    for entry in fs::read_dir(home).at(home)? {
        let path = entry.at(home)?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).at(&path)?;
        }
    }
    Ok(())
}

/// The index in `place`, if every file is as it was written: tantivy believes
/// what it reads.
pub(crate) fn check(place: &Path) -> Option<Opened> {
    let manifest = place.join(MANIFEST);
    if fs::metadata(&manifest).ok()?.len() > MANIFEST_BYTES_MAX {
        return None;
    }
    let manifest: Manifest = serde_json::from_slice(&fs::read(&manifest).ok()?).ok()?;
    let whole = |file: &Named| {
        let path = place.join(Path::new(&file.name).file_name()?);
        let right = fs::metadata(&path).ok()?.len() == file.bytes && hash(&path).ok()? == file.blake3;
        right.then_some(())
    };
    manifest.files.iter().try_for_each(whole)?;
    let index = Index::open_in_dir(place).ok()?;
    let fields = fields(&index.schema())?;
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().ok()?;
    Some(Opened { searcher: reader.searcher(), fields, place: place.to_owned() })
}

fn hash(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).at(path)?).at(path)?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn fields(schema: &Schema) -> Option<Fields> {
    let field = |name| schema.get_field(name).ok();
    Some(Fields {
        words: field("words")?,
        pieces: field("pieces")?,
        document: field("document")?,
        source: field("source")?,
        language: field("language")?,
        text: field("text")?,
        place: field("place")?,
        number: field("number")?,
        start: field("start")?,
    })
}

fn schema() -> Schema {
    let mut schema = Schema::builder();
    let counted = TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqs);
    let counted = TextOptions::default().set_indexing_options(counted.set_tokenizer(PARTED));
    schema.add_text_field("words", counted.clone());
    schema.add_text_field("pieces", counted);
    schema.add_text_field("document", STRING | STORED);
    for name in ["source", "language", "text"] {
        schema.add_text_field(name, TextOptions::default().set_stored());
    }
    for name in ["place", "number", "start"] {
        schema.add_u64_field(name, NumericOptions::default().set_stored());
    }
    schema.build()
}

/// Makes the index of the corpus where nobody looks for it, and shows it in
/// `place` once all of it is on the disk. The folder of `place` is locked.
fn renew(corpus: &Path, withdrawn: &Withdrawn, place: &Path, progress: &dyn Progress) -> Result<()> {
    let making = place.with_file_name("making");
    progress.begin("ask-indexing", corpus::count(corpus)?, Unit::Documents);
    let taken_back =
        |document: &Document| document.letters.parse().is_ok_and(|letters: Letters| withdrawn.text(&letters));
    let documents = (1..).zip(corpus::documents(corpus)?).filter_map(|(done, document)| {
        progress.at(done);
        match document {
            _ if progress.stopped() => Some(Err(Error::new("interrupted"))),
            Ok(document) if taken_back(&document) => None,
            document => Some(document),
        }
    });
    if let Err(error) = make(documents, &making) {
        // What cannot be used is not to fill the disk.
        let _ = fs::remove_dir_all(&making);
        return Err(error);
    }
    progress.end();
    fs::rename(&making, place).at(place)?;
    files::sync_folder(place.parent().unwrap_or(place))
}

/// Makes the index of `documents` in the folder `place`.
pub(crate) fn make(documents: impl Iterator<Item = Result<Document>>, place: &Path) -> Result<()> {
    let wrong = |cause: TantivyError| wrong(place, cause);
    fs::create_dir_all(place).at(place)?;
    let index = Index::create_in_dir(place, schema()).map_err(wrong)?;
    index.tokenizers().register(PARTED, Parted::default());
    let mut writer = index.writer_with_num_threads(1, MEMORY_BYTES).map_err(wrong)?;
    writer.set_merge_policy(Box::new(NoMergePolicy));
    let fields = fields(&index.schema()).expect("the schema has its fields");
    let mut at = 0;
    for document in documents {
        add(&writer, fields, &document?, &mut at).map_err(wrong)?;
    }
    writer.commit().map_err(wrong)?;
    merge(&index, &mut writer, fields).map_err(wrong)?;
    writer.wait_merging_threads().map_err(wrong)?;
    seal(place)
}

/// The text of a document as it is read: of a chat what is said, one after the
/// other.
fn text(document: &Document) -> String {
    document.messages().map_or_else(|| document.text.clone(), |messages| chat::words(&messages))
}

fn add(writer: &IndexWriter, fields: Fields, document: &Document, at: &mut u64) -> tantivy::Result<()> {
    let text = text(document);
    for (number, place) in (1..).zip(passages::passages(&text)) {
        let mut row = TantivyDocument::new();
        let passage = &text[place.clone()];
        row.add_text(fields.words, analysis::words(passage).join(BETWEEN));
        row.add_text(fields.pieces, analysis::pieces(passage).join(BETWEEN));
        row.add_text(fields.document, &document.id);
        row.add_text(fields.source, &document.source);
        row.add_text(fields.language, &document.language);
        row.add_text(fields.text, passage);
        row.add_u64(fields.place, *at);
        row.add_u64(fields.number, number);
        row.add_u64(fields.start, place.start as u64);
        writer.add_document(row)?;
        *at += 1;
    }
    Ok(())
}

/// Takes words and pieces apart that were found already: as one text they take
/// a tenth of the memory while they wait to be indexed.
#[derive(Clone, Default)]
struct Parted(Token);

struct PartedStream<'a> {
    rest: std::str::Split<'a, &'static str>,
    token: &'a mut Token,
}

impl Tokenizer for Parted {
    type TokenStream<'a> = PartedStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> PartedStream<'a> {
        self.0.reset();
        PartedStream { rest: text.split(BETWEEN), token: &mut self.0 }
    }
}

impl TokenStream for PartedStream<'_> {
    fn advance(&mut self) -> bool {
        // An empty text has one part, which is no word.
        let Some(part) = self.rest.next().filter(|part| !part.is_empty()) else { return false };
        self.token.text.clear();
        self.token.text.push_str(part);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Makes one segment of all, in the order of the corpus: that of their names is
/// left to chance.
fn merge(index: &Index, writer: &mut IndexWriter, fields: Fields) -> tantivy::Result<()> {
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let mut segments = Vec::new();
    for segment in reader.searcher().segment_readers() {
        let first: TantivyDocument = segment.get_store_reader(1)?.get(0)?;
        segments.push((first.get_first(fields.place).and_then(|place| place.as_u64()), segment.segment_id()));
    }
    segments.sort_unstable();
    let order: Vec<_> = segments.into_iter().map(|(_, segment)| segment).collect();
    if order.len() > 1 {
        writer.merge(&order).wait()?;
        writer.garbage_collect_files().wait()?;
    }
    Ok(())
}

/// Sees to it that all files are on the disk, and notes what they are.
fn seal(place: &Path) -> Result<()> {
    let entries = fs::read_dir(place).at(place)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries: Vec<PathBuf> = entries.collect::<Result<_, _>>().at(place)?;
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".lock") {
            continue;
        }
        let file = File::open(&path).at(&path)?;
        file.sync_all().at(&path)?;
        files.push(Named { name, bytes: file.metadata().at(&path)?.len(), blake3: hash(&path)? });
    }
    let manifest = serde_json::to_vec(&Manifest { files }).expect("a manifest is plain data");
    files::write(&place.join(MANIFEST), &manifest)
}

pub(crate) fn wrong(place: &Path, cause: TantivyError) -> Error {
    match cause {
        TantivyError::IoError(cause) => Error::io(place, std::io::Error::new(cause.kind(), cause.to_string())),
        cause => Error::new("ask-index").path(place).arg("cause", cause),
    }
}
