//! GGUF files: metadata and tensors in one file, as llama.cpp keeps models
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).
//!
//! ```text
//! "GGUF", version, number of tensors, number of keys
//! for each key: key, type of the value, value
//! for each tensor: name, sizes (columns first), format, place
//! the tensors, each at a multiple of `general.alignment`
//! ```
//!
//! All numbers are little-endian. A file may come from a stranger: the reader
//! believes no count before it has compared it with the bytes that are left.

mod reader;
mod value;
mod writer;

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result};
use kwaya_math::Format;
pub use value::{Texts, Value};
pub use writer::{ALIGNMENT, Entry, write};

use crate::tensors::Mapped;

/// What a file begins with.
const MAGIC: &[u8; 4] = b"GGUF";
/// The key of the alignment of the tensors.
const ALIGNMENT_KEY: &str = "general.alignment";

/// The formats by the numbers that stand in a file.
const FORMATS: [(u32, Format); 13] = [
    (0, Format::F32),
    (1, Format::F16),
    (2, Format::Q4_0),
    (3, Format::Q4_1),
    (6, Format::Q5_0),
    (7, Format::Q5_1),
    (8, Format::Q8_0),
    (10, Format::Q2K),
    (11, Format::Q3K),
    (12, Format::Q4K),
    (13, Format::Q5K),
    (14, Format::Q6K),
    (30, Format::Bf16),
];

/// A GGUF file, mapped into memory, its header read and checked.
pub struct Gguf {
    path: PathBuf,
    file: Mapped,
    /// What the file says of the model, by key.
    pub metadata: BTreeMap<String, Value>,
    tensors: Vec<GgufTensor>,
    /// Places in `tensors`.
    names: BTreeMap<String, usize>,
}

/// What a file is to say of a model, in the order in which it is written.
pub type Metadata = Vec<(String, Value)>;

/// A tensor of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GgufTensor {
    /// Its name.
    pub name: String,
    /// Its sizes, the outermost first: rows, then columns. None is nought. The
    /// file has them the other way round.
    pub shape: Vec<usize>,
    /// How its numbers are stored. The last size fills its blocks.
    pub format: Format,
    /// Where its bytes lie in the file.
    pub range: Range<usize>,
}

impl GgufTensor {
    /// How many values it has.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Gguf {
    /// Maps the file at `path` and reads its header.
    ///
    /// # Errors
    /// When it cannot be opened or mapped; `gguf-version`; `gguf-type` for a
    /// tensor of a format that is not known; `gguf-short` when the file ends
    /// before its header says; `gguf-damaged` with the field and the cause.
    pub fn open(path: &Path) -> Result<Self> {
        let file = Mapped::open(path)?;
        let reader::Header { metadata, tensors, names } = reader::read(path, file.bytes())?;
        Ok(Self { path: path.to_owned(), file, metadata, tensors, names })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensors, in the order of the header.
    pub fn tensors(&self) -> &[GgufTensor] {
        &self.tensors
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&GgufTensor> {
        self.names.get(name).map(|&at| &self.tensors[at])
    }

    /// The bytes of a tensor of this file, as they are stored.
    ///
    /// # Panics
    /// For a tensor of another file that ends beyond this one.
    pub fn bytes(&self, tensor: &GgufTensor) -> &[u8] {
        &self.file.bytes()[tensor.range.clone()]
    }

    /// The whole file.
    pub(crate) fn file(&self) -> &Mapped {
        &self.file
    }

    /// The text under `key`.
    ///
    /// # Errors
    /// Of all these: `gguf-key-missing`, or `gguf-key-type` when another type
    /// stands there.
    pub fn text(&self, key: &str) -> Result<&str> {
        match self.value(key)? {
            Value::Text(text) => Ok(text),
            other => self.wrong(key, "text", other),
        }
    }

    /// The number under `key`, of whatever width, if it is not negative.
    ///
    /// # Errors
    /// As [`Gguf::text`].
    pub fn unsigned(&self, key: &str) -> Result<u64> {
        match self.value(key)? {
            Value::Unsigned(number) => Ok(*number),
            Value::Signed(number) if *number >= 0 => Ok(*number as u64),
            other => self.wrong(key, "a whole number", other),
        }
    }

    /// The float under `key`, of whatever width.
    ///
    /// # Errors
    /// As [`Gguf::text`].
    pub fn float(&self, key: &str) -> Result<f64> {
        match self.value(key)? {
            Value::Float(number) => Ok(*number),
            other => self.wrong(key, "a float", other),
        }
    }

    /// The yes or no under `key`.
    ///
    /// # Errors
    /// As [`Gguf::text`].
    pub fn flag(&self, key: &str) -> Result<bool> {
        match self.value(key)? {
            Value::Bool(flag) => Ok(*flag),
            other => self.wrong(key, "a yes or no", other),
        }
    }

    /// The texts under `key`.
    ///
    /// # Errors
    /// As [`Gguf::text`].
    pub fn texts(&self, key: &str) -> Result<&Texts> {
        match self.value(key)? {
            Value::Texts(texts) => Ok(texts),
            other => self.wrong(key, "a list of texts", other),
        }
    }

    /// The floats under `key`.
    ///
    /// # Errors
    /// As [`Gguf::text`].
    pub fn floats(&self, key: &str) -> Result<&[f64]> {
        match self.value(key)? {
            Value::Floats(numbers) => Ok(numbers),
            other => self.wrong(key, "a list of floats", other),
        }
    }

    /// The signed integers under `key`.
    ///
    /// # Errors
    /// As [`Gguf::text`].
    pub fn signeds(&self, key: &str) -> Result<&[i64]> {
        match self.value(key)? {
            Value::Signeds(numbers) => Ok(numbers),
            other => self.wrong(key, "a list of signed numbers", other),
        }
    }

    /// The unsigned integers under `key`.
    ///
    /// # Errors
    /// As [`Gguf::text`].
    pub fn unsigneds(&self, key: &str) -> Result<&[u64]> {
        match self.value(key)? {
            Value::Unsigneds(numbers) => Ok(numbers),
            other => self.wrong(key, "a list of unsigned numbers", other),
        }
    }

    fn value(&self, key: &str) -> Result<&Value> {
        self.metadata.get(key).ok_or_else(|| Error::new("gguf-key-missing").path(&self.path).arg("field", key))
    }

    fn wrong<T>(&self, key: &str, expected: &str, found: &Value) -> Result<T> {
        let error = Error::new("gguf-key-type").path(&self.path).arg("field", key);
        Err(error.arg("found", found.kind()).arg("expected", expected))
    }
}
