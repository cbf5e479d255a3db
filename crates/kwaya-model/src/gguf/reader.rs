//! Reading the header of a GGUF file. Memory is taken only for what is known
//! to be there, and at most [`HEADER_BYTES_MAX`] bytes are looked at.

use std::{collections::BTreeMap, ops::Range, path::Path};

use kwaya_base::{Error, Result};
use kwaya_math::Format;

use super::{ALIGNMENT, ALIGNMENT_KEY, FORMATS, GgufTensor, MAGIC, Texts, Value};

/// The largest header. A vocabulary of 250,000 tokens with its merges takes
/// about 10 MB. Numbers of 8 bits become 64 in memory, nothing grows more.
const HEADER_BYTES_MAX: usize = 1 << 26;
/// The most keys; models have about 50.
const KEYS_MAX: u64 = 1 << 16;
/// The most tensors; models have 10 to 100 a layer.
const TENSORS_MAX: u64 = 1 << 17;
/// The most elements of a list.
const ELEMENTS_MAX: u64 = 1 << 24;
/// The longest key or name of a tensor, from the specification.
const NAME_BYTES_MAX: u64 = (1 << 16) - 1;
/// The most sizes of a tensor.
const DIMENSIONS_MAX: u32 = 4;
/// The deepest list of lists.
const DEPTH_MAX: usize = 4;
/// The largest alignment.
const ALIGNMENT_MAX: u64 = 1 << 20;

/// What a key takes at least: two lengths or types and a byte.
const KEY_BYTES_MIN: usize = 8 + 4 + 1;
/// What a tensor takes at least: name, number of sizes, format, place.
const TENSOR_BYTES_MIN: usize = 8 + 4 + 4 + 8;

/// Formats that other engines know, for the message.
const UNREAD: [(u32, &str); 22] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

/// What a header says.
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: Vec<GgufTensor>,
    pub(super) names: BTreeMap<String, usize>,
}

/// Reads the header of the file at `path` that consists of `bytes`.
///
/// # Errors
/// Those of [`super::Gguf::open`].
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Header> {
    header(bytes).map_err(|error| error.path(path))
}

fn header(bytes: &[u8]) -> Result<Header> {
    let mut cursor = Cursor { bytes, at: 0 };
    if bytes.get(..4) != Some(MAGIC) {
        return damaged("magic", "the file does not begin with GGUF");
    }
    cursor.at = 4;
    let version = cursor.u32()?;
    match (version, version.swap_bytes()) {
        (2 | 3, _) => {}
        (_, big @ 1..=0xffff) => return refuse_version(&format!("{big}, big-endian")),
        _ => return refuse_version(&version.to_string()),
    }
    let tensor_count = cursor.count("tensor count", TENSORS_MAX, TENSOR_BYTES_MIN)?;
    let key_count = cursor.count("key count", KEYS_MAX, KEY_BYTES_MIN)?;

    let mut metadata = BTreeMap::new();
    for index in 0..key_count {
        let key = cursor.name(&format!("key {index}"))?;
        let kind = cursor.u32()?;
        let value = cursor.value(&key, kind)?;
        if metadata.insert(key.clone(), value).is_some() {
            return damaged(quoted(&key), "the key is there twice");
        }
    }
    let alignment = alignment(&metadata)?;

    let (mut tensors, mut names) = (Vec::with_capacity(tensor_count), BTreeMap::new());
    for index in 0..tensor_count {
        let tensor = cursor.tensor(index, alignment)?;
        if names.insert(tensor.name.clone(), index).is_some() {
            return damaged(quoted(&tensor.name), "the tensor is there twice");
        }
        tensors.push(tensor);
    }
    place(&mut tensors, cursor.at.next_multiple_of(alignment), bytes.len())?;
    Ok(Header { metadata, tensors, names })
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<usize> {
    match metadata.get(ALIGNMENT_KEY) {
        None => Ok(ALIGNMENT),
        Some(&Value::Unsigned(n @ 1..=ALIGNMENT_MAX)) if n.is_power_of_two() => Ok(n as usize),
        Some(_) => damaged(ALIGNMENT_KEY, format_args!("it is no power of two up to {ALIGNMENT_MAX}")),
    }
}

/// Turns ranges from the first tensor into ranges of the file, and checks that
/// they share nothing and that the file holds them.
fn place(tensors: &mut [GgufTensor], start: usize, length: usize) -> Result<()> {
    for tensor in &mut *tensors {
        let Some(end) = tensor.range.end.checked_add(start) else {
            return damaged(quoted(&tensor.name), "its place is beyond every file");
        };
        tensor.range = tensor.range.start + start..end;
    }
    let mut order: Vec<&GgufTensor> = tensors.iter().collect();
    order.sort_unstable_by_key(|tensor| tensor.range.start);
    for pair in order.windows(2) {
        if pair[0].range.end > pair[1].range.start {
            return damaged(quoted(&pair[1].name), format_args!("it overlaps {}", quoted(&pair[0].name)));
        }
    }
    match order.last() {
        Some(last) if last.range.end > length => short(last.range.end - length),
        _ => Ok(()),
    }
}

/// A place in the header.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` things of `size` bytes.
    fn take(&mut self, count: usize, size: usize) -> Result<&'a [u8]> {
        let Some(length) = count.checked_mul(size) else {
            return damaged("header", format_args!("{count} elements of {size} bytes"));
        };
        if length > HEADER_BYTES_MAX.saturating_sub(self.at) {
            return damaged("header", format_args!("it is longer than {HEADER_BYTES_MAX} bytes"));
        }
        if length > self.left() {
            return short(length - self.left());
        }
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(1, N)?.try_into().expect("as many bytes as asked for"))
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of things that take at least `size` bytes each: no more than
    /// `most`, and no more than there can be in the rest of the file.
    fn count(&mut self, field: &str, most: u64, size: usize) -> Result<usize> {
        let count = self.u64()?;
        if count > most {
            return damaged(quoted(field), format_args!("{count} are more than {most}"));
        }
        let needed = count as usize * size;
        if needed > self.left() {
            return short(needed - self.left());
        }
        Ok(count as usize)
    }

    fn text(&mut self, field: &str, most: u64) -> Result<&'a str> {
        let length = self.u64()?;
        if length > most {
            return damaged(quoted(field), format_args!("a text of {length} bytes is longer than {most}"));
        }
        let bytes = self.take(length as usize, 1)?;
        str::from_utf8(bytes).or_else(|_| damaged(quoted(field), "the text is not UTF-8"))
    }

    /// A key or the name of a tensor.
    fn name(&mut self, field: &str) -> Result<String> {
        match self.text(field, NAME_BYTES_MAX)? {
            "" => damaged(field, "the name is empty"),
            name => Ok(name.to_owned()),
        }
    }

    /// The value of `key`.
    fn value(&mut self, key: &str, kind: u32) -> Result<Value> {
        if kind == 9 {
            return self.list(key, 1);
        }
        // A single value is a list of one, without its head.
        Ok(match self.elements(key, kind, 1, 0)? {
            Value::Unsigneds(list) => Value::Unsigned(list[0]),
            Value::Signeds(list) => Value::Signed(list[0]),
            Value::Floats(list) => Value::Float(list[0]),
            Value::Bools(list) => Value::Bool(list[0]),
            Value::Texts(list) => Value::Text(list.iter().collect()),
            other => other,
        })
    }

    fn list(&mut self, key: &str, depth: usize) -> Result<Value> {
        if depth > DEPTH_MAX {
            return damaged(quoted(key), format_args!("lists lie in one another more than {DEPTH_MAX} deep"));
        }
        let kind = self.u32()?;
        let size = match kind {
            8 => 8,
            9 => 12,
            _ => 1,
        };
        let count = self.count(key, ELEMENTS_MAX, size)?;
        self.elements(key, kind, count, depth)
    }

    /// `count` values of the type `kind`, as a list.
    fn elements(&mut self, key: &str, kind: u32, count: usize, depth: usize) -> Result<Value> {
        Ok(match kind {
            0 => Value::Unsigneds(self.numbers(count, |b| u8::from_le_bytes(b).into())?),
            1 => Value::Signeds(self.numbers(count, |b| i8::from_le_bytes(b).into())?),
            2 => Value::Unsigneds(self.numbers(count, |b| u16::from_le_bytes(b).into())?),
            3 => Value::Signeds(self.numbers(count, |b| i16::from_le_bytes(b).into())?),
            4 => Value::Unsigneds(self.numbers(count, |b| u32::from_le_bytes(b).into())?),
            5 => Value::Signeds(self.numbers(count, |b| i32::from_le_bytes(b).into())?),
            6 => Value::Floats(self.numbers(count, |b| f32::from_le_bytes(b).into())?),
            7 => {
                let bytes = self.take(count, 1)?;
                if bytes.iter().any(|&byte| byte > 1) {
                    return damaged(quoted(key), "a yes or no is neither");
                }
                Value::Bools(bytes.iter().map(|&byte| byte == 1).collect())
            }
            8 => {
                let mut texts = Texts::with_capacity(count);
                for _ in 0..count {
                    texts.push(self.text(key, HEADER_BYTES_MAX as u64)?);
                }
                Value::Texts(texts)
            }
            9 => {
                let lists = (0..count).map(|_| self.list(key, depth + 1));
                Value::Lists(lists.collect::<Result<_>>()?)
            }
            10 => Value::Unsigneds(self.numbers(count, u64::from_le_bytes)?),
            11 => Value::Signeds(self.numbers(count, i64::from_le_bytes)?),
            12 => Value::Floats(self.numbers(count, f64::from_le_bytes)?),
            _ => return damaged(quoted(key), format_args!("there is no type of values {kind}")),
        })
    }

    fn numbers<const N: usize, T>(&mut self, count: usize, of: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
        let bytes = self.take(count, N)?;
        Ok(bytes.as_chunks().0.iter().map(|&bytes| of(bytes)).collect())
    }

    /// A tensor, its range counted from the first tensor.
    fn tensor(&mut self, index: usize, alignment: usize) -> Result<GgufTensor> {
        let name = self.name(&format!("tensor {index}"))?;
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS_MAX {
            return damaged(quoted(&name), format_args!("{dimensions} sizes are more than {DIMENSIONS_MAX}"));
        }
        let mut shape = Vec::with_capacity(dimensions as usize);
        for _ in 0..dimensions {
            let size = self.u64()?;
            match usize::try_from(size) {
                Ok(size @ 1..) => shape.push(size),
                _ => return damaged(quoted(&name), format_args!("a size of {size}")),
            }
        }
        let number = self.u32()?;
        let Some(&(_, format)) = FORMATS.iter().find(|(known, _)| *known == number) else {
            return refuse_format(&name, number);
        };
        let columns = shape.first().copied().unwrap_or(1);
        if !columns.is_multiple_of(format.block()) {
            let cause = format_args!("{columns} columns are no multiple of {}", format.block()).to_string();
            return damaged(quoted(&name), cause);
        }
        let offset = self.u64()?;
        let Some(range) = range(&shape, format, offset) else {
            return damaged(quoted(&name), "its size is beyond every file");
        };
        if !range.start.is_multiple_of(alignment) {
            return damaged(quoted(&name), format_args!("its place {offset} is no multiple of {alignment}"));
        }
        shape.reverse();
        Ok(GgufTensor { name, shape, format, range })
    }
}

fn range(shape: &[usize], format: Format, offset: u64) -> Option<Range<usize>> {
    let values = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(format.bytes(values)?)?)
}

/// A name out of an untrusted file: no more than a line of it, and nothing
/// that a terminal would obey.
fn quoted(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

fn damaged<T>(field: impl std::fmt::Display, cause: impl std::fmt::Display) -> Result<T> {
    Err(Error::new("gguf-damaged").arg("field", field).arg("cause", cause))
}

fn short<T>(missing: usize) -> Result<T> {
    Err(Error::new("gguf-short").arg("missing", missing))
}

fn refuse_version<T>(found: &str) -> Result<T> {
    Err(Error::new("gguf-version").arg("found", found))
}

fn refuse_format<T>(tensor: &str, number: u32) -> Result<T> {
    let known = UNREAD.iter().find(|(known, _)| *known == number);
    let found = known.map_or_else(|| number.to_string(), |(_, name)| format!("{name} ({number})"));
    let possible: Vec<_> = Format::ALL.map(Format::name).into();
    let error = Error::new("gguf-type").arg("tensor", quoted(tensor));
    Err(error.arg("found", found).arg("possible", possible.join(", ")))
}
