//! Writing GGUF files, version 3. The same input gives the same bytes.

use std::{collections::BTreeSet, io::Write, path::Path};

use kwaya_base::{Result, error::At, files};
use kwaya_math::Format;

use super::{ALIGNMENT_KEY, FORMATS, MAGIC, Value};

/// Where tensors begin: at multiples of this, which is what readers take when
/// the file does not say.
pub const ALIGNMENT: usize = 32;
/// The version that is written.
const VERSION: u32 = 3;

/// A tensor to be written.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its sizes, the outermost first: rows, then columns.
    pub shape: &'a [usize],
    /// How its numbers are stored.
    pub format: Format,
}

impl Entry<'_> {
    /// How many bytes it takes.
    ///
    /// # Panics
    /// When its last size does not fill the blocks of its format.
    pub fn bytes(&self) -> usize {
        let columns = self.shape.last().copied().unwrap_or(1);
        assert!(columns.is_multiple_of(self.format.block()), "{} as {}", self.name, self.format.name());
        self.format.bytes(self.shape.iter().product()).expect("a tensor in memory fits in memory")
    }
}

/// Writes a file durably: the metadata and the tensors in the order given.
/// `fill` is called once for each tensor, with its place in `entries` and a
/// function that takes its bytes in pieces of any length. The alignment of
/// another file, when it is among the metadata, is left out.
///
/// # Errors
/// When the file cannot be written, and those of `fill`.
///
/// # Panics
/// When a key or a name is there twice, a shape does not fill its blocks, or
/// `fill` gives another number of bytes than the shape says.
pub fn write(
    path: &Path,
    metadata: &[(&str, Value)],
    entries: &[Entry<'_>],
    mut fill: impl FnMut(usize, &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let header = header(metadata, entries);
    files::write_with(path, |writer| {
        writer.write_all(&header).at(path)?;
        let padding = [0; ALIGNMENT];
        for (index, entry) in entries.iter().enumerate() {
            let mut written = 0;
            fill(index, &mut |bytes| {
                written += bytes.len();
                writer.write_all(bytes).at(path)
            })?;
            assert_eq!(written, entry.bytes(), "bytes of {}", entry.name);
            writer.write_all(&padding[..written.next_multiple_of(ALIGNMENT) - written]).at(path)?;
        }
        Ok(())
    })
}

/// All that stands before the tensors.
fn header(metadata: &[(&str, Value)], entries: &[Entry<'_>]) -> Vec<u8> {
    let metadata: Vec<_> = metadata.iter().filter(|(key, _)| *key != ALIGNMENT_KEY).collect();
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((entries.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());

    let mut keys = BTreeSet::new();
    for (key, value) in metadata {
        assert!(!key.is_empty() && keys.insert(key), "the key {key:?}");
        put_text(&mut out, key);
        out.extend(kind(value).to_le_bytes());
        put_value(&mut out, value);
    }

    let mut names = BTreeSet::new();
    let mut offset = 0;
    for entry in entries {
        assert!(!entry.name.is_empty() && names.insert(entry.name), "the name {:?}", entry.name);
        put_text(&mut out, entry.name);
        out.extend((entry.shape.len() as u32).to_le_bytes());
        for &size in entry.shape.iter().rev() {
            out.extend((size as u64).to_le_bytes());
        }
        let format = FORMATS.iter().find(|(_, format)| *format == entry.format);
        out.extend(format.expect("every format has a number").0.to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        offset += entry.bytes().next_multiple_of(ALIGNMENT);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out
}

/// The number of the type of a value.
fn kind(value: &Value) -> u32 {
    match value {
        Value::Text(_) => 8,
        Value::Bool(_) => 7,
        Value::Unsigned(number) => kind_unsigned(&[*number]),
        Value::Signed(number) => kind_signed(&[*number]),
        Value::Float(number) => kind_float(&[*number]),
        _ => 9,
    }
}

/// 32 bits when all numbers fit in them, or else 64.
fn kind_unsigned(numbers: &[u64]) -> u32 {
    if numbers.iter().all(|&n| u32::try_from(n).is_ok()) { 4 } else { 10 }
}

fn kind_signed(numbers: &[i64]) -> u32 {
    if numbers.iter().all(|&n| i32::try_from(n).is_ok()) { 5 } else { 11 }
}

fn kind_float(numbers: &[f64]) -> u32 {
    if numbers.iter().all(|&x| x.is_nan() || f64::from(x as f32) == x) { 6 } else { 12 }
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Unsigned(number) => put_unsigned(out, &[*number]),
        Value::Signed(number) => put_signed(out, &[*number]),
        Value::Float(number) => put_float(out, &[*number]),
        Value::Bool(flag) => out.push((*flag).into()),
        Value::Text(text) => put_text(out, text),
        Value::Unsigneds(list) => {
            put_list(out, kind_unsigned(list), list.len());
            put_unsigned(out, list);
        }
        Value::Signeds(list) => {
            put_list(out, kind_signed(list), list.len());
            put_signed(out, list);
        }
        Value::Floats(list) => {
            put_list(out, kind_float(list), list.len());
            put_float(out, list);
        }
        Value::Bools(list) => {
            put_list(out, 7, list.len());
            out.extend(list.iter().map(|&flag| u8::from(flag)));
        }
        Value::Texts(list) => {
            put_list(out, 8, list.len());
            list.iter().for_each(|text| put_text(out, text));
        }
        Value::Lists(lists) => {
            put_list(out, 9, lists.len());
            for list in lists {
                assert_eq!(kind(list), 9, "a list of lists holds lists");
                put_value(out, list);
            }
        }
    }
}

fn put_list(out: &mut Vec<u8>, kind: u32, length: usize) {
    out.extend(kind.to_le_bytes());
    out.extend((length as u64).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_unsigned(out: &mut Vec<u8>, numbers: &[u64]) {
    match kind_unsigned(numbers) {
        4 => numbers.iter().for_each(|&n| out.extend((n as u32).to_le_bytes())),
        _ => numbers.iter().for_each(|&n| out.extend(n.to_le_bytes())),
    }
}

fn put_signed(out: &mut Vec<u8>, numbers: &[i64]) {
    match kind_signed(numbers) {
        5 => numbers.iter().for_each(|&n| out.extend((n as i32).to_le_bytes())),
        _ => numbers.iter().for_each(|&n| out.extend(n.to_le_bytes())),
    }
}

fn put_float(out: &mut Vec<u8>, numbers: &[f64]) {
    match kind_float(numbers) {
        6 => numbers.iter().for_each(|&x| out.extend((x as f32).to_le_bytes())),
        _ => numbers.iter().for_each(|&x| out.extend(x.to_le_bytes())),
    }
}
