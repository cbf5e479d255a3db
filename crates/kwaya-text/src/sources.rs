//! The files of a corpus: a sorted walk over folders, with a hash of each
//! file and one of all.

use std::{
    collections::HashSet,
    fs::File as OsFile,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Progress, Result, Unit};
use serde::{Deserialize, Serialize};
use walkdir::{DirEntry, WalkDir};

use crate::{Reason, corpus::Dropped, records, withdrawn::WITHDRAWN};

/// A folder (or one file) of documents, and what its owner says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// The licence of its documents, as an SPDX expression or in words.
    pub licence: String,
    /// The language of its documents, where the owner knows it.
    pub language: Option<String>,
    /// The column of its tables, or the key of its lines of JSON, that holds
    /// the text; where it is not said it is looked for.
    pub column: Option<String>,
}

/// A file that was found.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Its name relative to its source, with `/` between the parts; bytes
    /// that are not UTF-8 are written `\xNN`.
    pub name: String,
    /// Which source it is from.
    pub source: usize,
    /// Its size.
    pub bytes: u64,
    /// The BLAKE3 hash of its content.
    pub hash: blake3::Hash,
}

impl File {
    /// The name of a document within this file.
    pub(crate) fn part(&self, part: &str) -> String {
        self::part(&self.name, part)
    }
}

/// The name of a document within the file of this name.
pub(crate) fn part(file: &str, part: &str) -> String {
    if part.is_empty() { file.to_owned() } else { format!("{file}/{part}") }
}

/// What a scan found.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The files, by source and then by the bytes of their names.
    pub files: Vec<File>,
    /// BLAKE3 (hexadecimal) over licences, languages, names and contents of
    /// all files, in order. Where the folders lie does not matter.
    pub hash: String,
    /// What could not be read.
    pub skipped: Vec<Dropped>,
}

/// In a folder with a recipe, what is Kwaya's own and no document.
const RECIPE: &str = "kwaya.toml";
const OWN: [&str; 4] = [RECIPE, "kwaya.lock", "build", WITHDRAWN];

/// Lists and hashes the files of `sources`. Hidden and special files and
/// Kwaya's own are passed over; links are followed, but no folder is visited
/// twice. Files over `max_file_bytes` are listed but not read, unless they hold
/// many documents: their hash is of their size.
///
/// # Errors
/// `source-missing` for a folder that is not there, `source-empty` when there
/// is no file in any, `interrupted`.
pub fn scan(sources: &[Source], max_file_bytes: u64, progress: &dyn Progress) -> Result<Listing> {
    let mut found = Found::default();
    sources.iter().enumerate().try_for_each(|(index, source)| found.walk(index, source))?;
    progress.begin("scan-files", found.files.iter().map(|f| f.bytes).sum(), Unit::Bytes);
    let (mut done, mut hashed) = (0, Vec::with_capacity(found.files.len()));
    for file in &found.files {
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        done += file.bytes;
        hashed.push(hash_of(&file.path, &file.name, file.bytes, max_file_bytes).map_err(|error| error.to_string()));
        progress.at(done);
    }
    progress.end();
    found.list(sources, hashed)
}

/// Files that were found, not yet hashed: that can be done elsewhere.
#[derive(Default)]
pub struct Found {
    /// By source and then by the bytes of their names; without their hashes.
    pub files: Vec<File>,
    skipped: Vec<Dropped>,
    visited: HashSet<PathBuf>,
}

impl Found {
    /// Adds the files of the next source, a folder or a file of this machine.
    ///
    /// # Errors
    /// `source-missing`.
    pub fn walk(&mut self, index: usize, source: &Source) -> Result<()> {
        if !source.path.exists() {
            return Err(Error::new("source-missing").path(&source.path));
        }
        walk(index, source, &mut self.visited, &mut self.files, &mut self.skipped);
        Ok(())
    }

    /// Adds the files of the next source, wherever they are: their places, names
    /// and sizes.
    pub fn add(&mut self, source: usize, files: impl IntoIterator<Item = (PathBuf, String, u64)>) {
        let first = self.files.len();
        let hidden = |name: &str| name.split('/').any(|part| part.starts_with('.'));
        let files = files.into_iter().filter(|(_, name, _)| !hidden(name));
        self.files.extend(files.map(|(path, name, bytes)| File {
            path,
            name,
            source,
            bytes,
            hash: blake3::Hash::from_bytes([0; 32]),
        }));
        self.files[first..].sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    }

    /// The listing, given for each file what [`hash_of`] says, or why it cannot be
    /// read.
    ///
    /// # Errors
    /// `source-empty` when there is no file in any source.
    pub fn list(mut self, sources: &[Source], hashed: Vec<Result<(blake3::Hash, u64), String>>) -> Result<Listing> {
        let mut kept = Vec::with_capacity(self.files.len());
        for (mut file, hashed) in self.files.into_iter().zip(hashed) {
            match hashed {
                Ok((hash, bytes)) => {
                    (file.hash, file.bytes) = (hash, bytes);
                    kept.push(file);
                }
                Err(detail) => {
                    self.skipped.push(dropped(file.source, file.name, file.bytes, Reason::Unreadable, detail));
                }
            }
        }
        if kept.is_empty() {
            let paths: Vec<_> = sources.iter().map(|s| s.path.display().to_string()).collect();
            return Err(Error::new("source-empty").arg("path", paths.join(", ")));
        }
        let hash = hash_all(sources, &kept);
        Ok(Listing { files: kept, hash, skipped: self.skipped })
    }
}

/// The hash of a file at `path` and its size now; of one over the limit that is
/// not read, the hash of its size.
///
/// # Errors
/// When it cannot be read.
pub fn hash_of(path: &Path, name: &str, bytes: u64, max_file_bytes: u64) -> std::io::Result<(blake3::Hash, u64)> {
    match bytes <= max_file_bytes || holds_many(path, name) {
        true => hash(path),
        false => Ok((blake3::hash(&bytes.to_le_bytes()), bytes)),
    }
}

fn walk(
    index: usize,
    source: &Source,
    visited: &mut HashSet<PathBuf>,
    files: &mut Vec<File>,
    skipped: &mut Vec<Dropped>,
) {
    let first = files.len();
    let entries = WalkDir::new(&source.path)
        .follow_links(true)
        .sort_by(|a, b| a.file_name().as_encoded_bytes().cmp(b.file_name().as_encoded_bytes()))
        .into_iter()
        .filter_entry(|entry| {
            let hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
            !hidden && !is_own(entry) && (!entry.file_type().is_dir() || is_new(entry, visited))
        });
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(File {
                name: name(entry.path(), &source.path),
                source: index,
                bytes: entry.metadata().map_or(0, |m| m.len()),
                hash: blake3::Hash::from_bytes([0; 32]),
                path: entry.into_path(),
            }),
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => {
                let name = name(entry.path(), &source.path);
                skipped.push(dropped(index, name, 0, Reason::SpecialFile, String::new()));
            }
            Err(error) if error.loop_ancestor().is_some() => {
                let path = error.path().unwrap_or(&source.path);
                skipped.push(dropped(index, name(path, &source.path), 0, Reason::LinkLoop, String::new()));
            }
            Err(error) => {
                let path = error.path().unwrap_or(&source.path);
                let detail = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                skipped.push(dropped(index, name(path, &source.path), 0, Reason::Unreadable, detail));
            }
        }
    }
    files[first..].sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
}

fn dropped(source: usize, name: String, bytes: u64, reason: Reason, detail: String) -> Dropped {
    Dropped { detail, bytes, ..Dropped::new(name, source, reason) }
}

/// Whether this is a recipe, its lock or its build, which may well lie among
/// the documents.
fn is_own(entry: &DirEntry) -> bool {
    entry.depth() > 0
        && OWN.iter().any(|name| entry.file_name() == *name)
        && entry.path().with_file_name(RECIPE).is_file()
}

/// Whether this folder is met for the first time, whatever the path to it.
fn is_new(entry: &DirEntry, visited: &mut HashSet<PathBuf>) -> bool {
    // A folder that cannot be resolved gives its error when it is opened.
    entry.path().canonicalize().map_or(true, |path| visited.insert(path))
}

fn name(path: &Path, root: &Path) -> String {
    let relative = match path.strip_prefix(root) {
        Ok(relative) if !relative.as_os_str().is_empty() => relative,
        _ => Path::new(path.file_name().unwrap_or(path.as_os_str())),
    };
    let parts: Vec<String> = relative.iter().map(|part| escape(part.as_encoded_bytes())).collect();
    parts.join("/")
}

/// Where the file called `name` in the source at `root` is, unless the bytes
/// of its name had to be written in another way.
pub fn path_of(root: &Path, name: &str) -> PathBuf {
    if root.is_file() { root.to_owned() } else { root.join(name) }
}

pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
    }
    out
}

/// Whether a file over the limit is read all the same.
fn holds_many(path: &Path, name: &str) -> bool {
    OsFile::open(path).and_then(|mut open| records::holds_many(name, &mut open)).unwrap_or(false)
}

/// The hash of a file and its size.
pub(crate) fn hash(path: &Path) -> std::io::Result<(blake3::Hash, u64)> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(OsFile::open(path)?)?;
    Ok((hasher.finalize(), hasher.count()))
}

fn hash_all(sources: &[Source], files: &[File]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for file in files {
        let source = &sources[file.source];
        field(source.licence.as_bytes());
        field(source.language.as_deref().unwrap_or("").as_bytes());
        field(file.name.as_bytes());
        source.column.iter().for_each(|column| field(column.as_bytes()));
        field(file.hash.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
