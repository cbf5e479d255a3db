//! What is to be done, as it travels: a ticket is one line of JSON, the only column
//! of the table that a query goes over, and says all that an executor has to know.
//!
//! What comes of it is left at the work place under the name that the ticket says,
//! so that nothing is lost with an executor, and a ticket that is done twice is done
//! once.

use std::path::PathBuf;

use kwaya_base::{Error, Result};
use kwaya_text::{
    shares::{Amounts, Share},
    sources::File,
};
use serde::{Deserialize, Serialize};

use crate::places::Spot;

/// A piece of work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ticket {
    /// The program that wrote it, by its hash: only the same one can do it.
    pub(crate) program: String,
    /// The folder of the recipe, and the hash of what it says.
    pub(crate) recipe: PathBuf,
    pub(crate) settings: String,
    /// The address of the work place, and the name in it of what is made.
    pub(crate) work: String,
    pub(crate) name: String,
    pub(crate) task: Task,
}

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Hash the files.
    Hash { files: Vec<Item> },
    /// Prepare the documents of a share.
    Prepare { share: Share, files: Vec<Item> },
    /// Learn from documents.
    Learn { parts: Vec<Part>, amounts: Amounts },
    /// Measure documents with what was learned, which has this name.
    Measure { part: Part, knowledge: String },
}

/// A file of a listing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) spot: Spot,
    pub(crate) name: String,
    pub(crate) source: usize,
    pub(crate) bytes: u64,
    /// Where it is known.
    pub(crate) hash: String,
}

impl Item {
    pub(crate) fn of(file: &File) -> Self {
        Self {
            spot: Spot::of(&file.path),
            name: file.name.clone(),
            source: file.source,
            bytes: file.bytes,
            hash: file.hash.to_hex().to_string(),
        }
    }
}

/// Documents that were prepared.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The name of the file that holds them.
    pub(crate) file: String,
    /// The number of their first file in the listing, and the names of all.
    pub(crate) first: usize,
    pub(crate) names: Vec<String>,
}

/// What an executor says of a ticket that it has done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// The seconds that it took.
    pub(crate) seconds: f64,
    /// The bytes that it wrote.
    pub(crate) bytes: u64,
}

/// Around an error on its way through the engine, which puts words of its own
/// before and behind it.
const MARK: &str = "\u{1}kwaya\u{1}";

/// An error as an executor gives it to the engine.
pub(crate) fn wrap(error: &Error) -> String {
    let remedy = error.remedy().map(|remedy| format!(". {remedy}")).unwrap_or_default();
    format!("{MARK}{error}{remedy}{MARK}")
}

/// What is to be said of an error that came through the engine.
pub(crate) fn unwrap(words: &str) -> &str {
    words.split(MARK).nth(1).unwrap_or(words)
}

/// The hash of this program.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn program() -> Result<String> {
    let path = std::env::current_exe().map_err(|error| Error::io(std::path::Path::new("kwaya-cluster"), error))?;
    let mut hasher = blake3::Hasher::new();
    let read = std::fs::File::open(&path).and_then(|file| hasher.update_reader(file).map(|hasher| hasher.finalize()));
    read.map(|hash| hash.to_string()).map_err(|error| Error::io(&path, error))
}
