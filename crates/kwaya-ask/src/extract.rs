//! Fields from documents: a model fills in a schema for each document, and each
//! value is looked for in the document, so that the passage it came from is shown
//! and a value that was made up is seen.
//!
//! One thread takes texts out of files; this one asks the model about several at
//! once, and leaves each answer in a journal, from which the table is written in
//! the order of the documents. Nothing of the table depends on how many are asked
//! at once.

mod check;
mod journal;
mod parts;
mod place;
mod rows;
mod schema;
mod work;
mod writer;
mod writings;

use std::{
    collections::HashSet,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::mpsc::{self, SyncSender},
    thread,
    time::Instant,
};

use kwaya_base::{Error, Progress, Result, Unit, error::At};
use kwaya_recipe::text_model::{self, TextModel};
use kwaya_text::{
    Reason,
    extract::{Texts, Worker},
    sources::{self, Listing, Source},
};
use serde::Serialize;

pub use self::check::{Checked, Score};
use self::{
    check::Check,
    journal::Journal,
    rows::{Format, Layout},
    schema::Schema,
    work::Work,
};

/// A text of more bytes is none; a file of one document neither.
const BYTES_MAX: u64 = 64 << 20;
/// Texts that wait for each that is being asked about.
const WAITING: usize = 2;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The model, as a person names it.
    pub model: PathBuf,
    /// The file of the schema.
    pub schema: PathBuf,
    /// Folders and files of documents.
    pub places: Vec<PathBuf>,
    /// The table: `.csv` or `.parquet`.
    pub to: PathBuf,
    /// What the model is told besides.
    pub instructions: Option<String>,
    /// Threads; the result does not depend on it.
    pub threads: usize,
    /// Tokens of an answer at the most.
    pub tokens_max: usize,
    /// Documents that are asked about at once; the result does not depend on it.
    pub at_once: usize,
    /// Whether to ask again what is known.
    pub again: bool,
    /// Whether to leave out values that stand nowhere in the document.
    pub only_found: bool,
    /// A file of what is right for some documents.
    pub check: Option<PathBuf>,
}

/// A document that could not be read.
#[derive(Clone, Debug, Serialize)]
pub struct Unread {
    /// The name of the file.
    pub document: String,
    /// Its name within the file; empty for the file itself.
    pub record: String,
    /// Why.
    pub reason: Reason,
    /// More of that, for experts.
    pub detail: String,
}

/// What it came to.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Rows of the table.
    pub rows: u64,
    /// Those that were known from an earlier run.
    pub known: u64,
    /// Documents that could not be read.
    pub unread: Vec<Unread>,
    /// Values that stand in their document.
    pub found: u64,
    /// Values that do not.
    pub not_found: u64,
    /// Rows whose answer was cut.
    pub cut: u64,
    /// Seconds of asking.
    pub seconds: f64,
    /// Documents a second, of those that were asked about.
    pub documents_per_second: f64,
    /// How good the values are, where somebody said what is right.
    pub check: Option<Checked>,
}

/// A document as the reader gives it.
enum Read {
    Text {
        name: String,
        record: String,
        text: String,
        /// How far in all files the reader is.
        position: u64,
    },
    Unread(Unread),
}

/// Fills in a table for all documents. After a stop the rows that there are have
/// been written, and the same call goes on.
///
/// # Errors
/// What is wrong with the schema, the output or the model, before any document is
/// read; `extract-stopped` after a stop, `extract-nothing` when no document could
/// be read; what the disk brings.
pub fn extract(settings: &Settings, worker: &Worker, progress: &dyn Progress) -> Result<Outcome> {
    let schema = Schema::read(&settings.schema)?;
    let layout = Layout::of(&schema)?;
    let format = Format::of(&settings.to)?;
    if settings.to.is_dir() {
        return Err(Error::usage("extract-output-folder").path(&settings.to));
    }
    let check = settings.check.as_ref().map(|path| Check::read(path, &schema)).transpose()?;
    if let Some(missing) = settings.places.iter().find(|place| !place.exists()) {
        return Err(Error::new("source-missing").path(missing));
    }
    let path = journal_path(&settings.to);
    let journal = Journal::open(&path, settings.again)?;
    let place = text_model::place(&settings.model)?;
    let model = TextModel::load(&place, settings.threads)?;
    let mut work = Work::new(&model, &hash(&place)?, schema, settings, journal, progress)?;
    let listing = scan(settings, &path, progress)?;
    let begun = Instant::now();
    let stopped = ask(&mut work, settings, &listing, worker, progress)?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut outcome = work.write(&settings.to, format, &layout, check, settings.only_found)?;
    (outcome.seconds, outcome.documents_per_second) =
        (seconds, (outcome.rows - outcome.known) as f64 / seconds.max(1e-9));
    match (stopped, outcome.rows) {
        (true, 0) => Err(Error::new("interrupted")),
        (true, rows) => Err(Error::new("extract-stopped").path(&settings.to).arg("rows", rows)),
        (false, 0) => Err(Error::new("extract-nothing").arg("count", outcome.unread.len())),
        (false, _) => Ok(outcome),
    }
}

/// Asks about all documents. True when somebody wanted it to stop.
fn ask(
    work: &mut Work<'_>,
    settings: &Settings,
    listing: &Listing,
    worker: &Worker,
    progress: &dyn Progress,
) -> Result<bool> {
    progress.begin("extract-documents", listing.files.iter().map(|file| file.bytes).sum(), Unit::Bytes);
    let (send, receive) = mpsc::sync_channel(WAITING * settings.at_once);
    let done = thread::scope(|scope| {
        let reader = scope.spawn(move || read(settings, listing, worker, &send));
        // Who reads ends when nobody takes what it gives.
        let done = work.ask(receive);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done.and_then(|stopped| read.map(|()| stopped))
    });
    progress.end();
    done
}

/// Where what is known lies.
fn journal_path(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

/// The files of documents; those of this work may lie among them and are none.
fn scan(settings: &Settings, journal: &Path, progress: &dyn Progress) -> Result<Listing> {
    let source = |path: &PathBuf| Source { path: path.clone(), licence: String::new(), language: None, column: None };
    let all: Vec<Source> = settings.places.iter().map(source).collect();
    let mut listing = sources::scan(&all, BYTES_MAX, progress)?;
    let own = [Some(&settings.to), Some(&settings.schema), settings.check.as_ref()];
    let own = own.into_iter().flatten().map(PathBuf::as_path).chain([journal]);
    let own: HashSet<PathBuf> = own.filter_map(|path| path.canonicalize().ok()).collect();
    listing.files.retain(|file| file.path.canonicalize().map_or(true, |path| !own.contains(&path)));
    if listing.files.is_empty() {
        let paths: Vec<_> = settings.places.iter().map(|place| place.display().to_string()).collect();
        return Err(Error::new("source-empty").arg("path", paths.join(", ")));
    }
    Ok(listing)
}

/// Gives the texts of all files to `send`, in their order, as long as somebody
/// takes them.
fn read(settings: &Settings, listing: &Listing, worker: &Worker, send: &SyncSender<Read>) -> Result<()> {
    // Among several places, a name alone might be that of two documents.
    let full = |source: usize, name: &str| match &settings.places[..] {
        [_] => name.to_owned(),
        places if places[source].is_dir() => format!("{}/{name}", places[source].display()),
        places => places[source].display().to_string(),
    };
    for skipped in &listing.skipped {
        let document = full((skipped.origin as usize).saturating_sub(1), &skipped.source);
        let detail = skipped.detail.clone();
        // Whoever has gone has a reason.
        let _ = send.send(Read::Unread(Unread { document, record: String::new(), reason: skipped.reason, detail }));
    }
    let mut texts = Texts::new(worker, BYTES_MAX);
    let mut before = 0;
    for file in &listing.files {
        let (mut within, mut wanted) = (0, true);
        let name = full(file.source, &file.name);
        let done = texts.of(file, &mut |part, taken| {
            let (name, record) = (name.clone(), part.to_owned());
            let unread = |reason, detail: &str| {
                Read::Unread(Unread {
                    document: name.clone(),
                    record: record.clone(),
                    reason,
                    detail: detail.to_owned(),
                })
            };
            let read = match taken {
                Err((reason, detail)) => unread(reason, detail),
                Ok(text) if text.trim().is_empty() => unread(Reason::Empty, ""),
                Ok(text) => {
                    within += text.len() as u64;
                    let position = before + within.min(file.bytes);
                    Read::Text { name, record, text: text.to_owned(), position }
                }
            };
            wanted = send.send(read).is_ok();
            wanted
        });
        match done {
            // What it holds now was read.
            Err(error) if error.key() == "source-changed" => {}
            done => done?,
        }
        if !wanted {
            return Ok(());
        }
        before += file.bytes;
    }
    Ok(())
}

/// The hash of all files of a model that decide over what it writes.
fn hash(place: &Path) -> Result<blake3::Hash> {
    let mut files = vec![place.to_owned()];
    if place.is_dir() {
        files = fs::read_dir(place).at(place)?.map(|entry| Ok(entry.at(place)?.path())).collect::<Result<_>>()?;
        let counts = |ending: &str| matches!(ending, "json" | "safetensors" | "jinja" | "model");
        files.retain(|path| path.extension().and_then(|ending| ending.to_str()).is_some_and(counts));
        files.sort();
    }
    let mut all = blake3::Hasher::new();
    for path in files {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(&path).at(&path)?).at(&path)?;
        all.update(path.file_name().filter(|_| place.is_dir()).unwrap_or_default().as_encoded_bytes());
        all.update(hasher.finalize().as_bytes());
    }
    Ok(all.finalize())
}
