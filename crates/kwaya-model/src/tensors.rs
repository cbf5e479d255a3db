//! Safetensors files: 8 bytes of header length, a JSON header with the type,
//! shape and place of each tensor, and the tensors
//! (<https://huggingface.co/docs/safetensors>).
//!
//! Reading uses the `safetensors` crate, which checks that offsets, shapes and
//! the file's length agree. Writing is our own: that crate keeps metadata in a
//! hash map, so two writes of one model could differ in bytes.

use std::{collections::BTreeMap, fs::File, io::Write, path::Path};

use kwaya_base::{Error, Result, error::At, files};
use kwaya_math::Format;
use memmap2::Mmap;
use safetensors::{SafeTensorError, SafeTensors, tensor::Metadata};
use serde::Serialize;

/// A safetensors file, mapped into memory.
pub struct Mapped {
    map: Mmap,
}

impl Mapped {
    /// Maps the file at `path`. Nothing is read yet.
    ///
    /// # Errors
    /// When it cannot be opened or mapped.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at(path)?;
        // SAFETY: the map is only ever read, as plain bytes, for which any
        // content is valid. Kwaya replaces finished files by renaming and
        // never writes into one; a file that another program cuts short
        // while it is read ends this program, as it does with every reader
        // of safetensors.
        #[expect(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.at(path)?;
        Ok(Self { map })
    }

    /// Reads the header and checks it against the file's length.
    ///
    /// # Errors
    /// `tensors-damaged` with the cause.
    pub fn read(&self, path: &Path) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.map).map_err(|error| damaged(path, error))
    }

    /// The header alone, checked in the same way: the place in
    /// [`Mapped::bytes`] where the tensors begin, their places from there,
    /// and the metadata.
    ///
    /// # Errors
    /// As [`Mapped::read`].
    pub fn header(&self, path: &Path) -> Result<(usize, Metadata)> {
        let (length, header) = SafeTensors::read_metadata(&self.map).map_err(|error| damaged(path, error))?;
        Ok((8 + length, header))
    }

    /// Gives back the memory that the map took so far. No more than a wish:
    /// where the system has no such call, it takes what it needs.
    pub(crate) fn let_go(&self) {
        #[cfg(unix)]
        {
            // SAFETY: nothing is ever written through the map, so what is
            // given up can be read from the file again.
            #[expect(unsafe_code)]
            let _ = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }
}

fn damaged(path: &Path, error: SafeTensorError) -> Error {
    Error::new("tensors-damaged").path(path).arg("cause", &error).source(error)
}

/// A tensor to be written: name, shape, values.
pub type Entry<'a> = (&'a str, &'a [usize], &'a [f32]);

/// An entry of the header. Maps are sorted and structures keep their order, so
/// that the bytes do not depend on how `serde_json` was built.
#[derive(Serialize)]
#[serde(untagged)]
enum Header<'a> {
    Metadata(&'a BTreeMap<&'a str, String>),
    Tensor { dtype: &'a str, shape: &'a [usize], data_offsets: [usize; 2] },
}

/// Writes f32 tensors durably, in the order given. The same input gives the
/// same bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, metadata: &BTreeMap<&str, String>, entries: &[Entry<'_>]) -> Result<()> {
    let described: Vec<_> = entries.iter().map(|&(name, shape, _)| (name, shape, Format::F32)).collect();
    write_with(path, metadata, &described, |index, take| for_each_block(entries[index].2, take))
}

/// Writes tensors of floats durably, in the order given: each has a name, a
/// shape and a format. `fill` is called once for each, with its place among
/// them and a function that takes its bytes in pieces of any length.
///
/// # Errors
/// When the file cannot be written, and those of `fill`.
///
/// # Panics
/// When a format is one of blocks, or `fill` gives another number of bytes
/// than the shape says.
pub fn write_with(
    path: &Path,
    metadata: &BTreeMap<&str, String>,
    entries: &[(&str, &[usize], Format)],
    mut fill: impl FnMut(usize, &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let mut header = BTreeMap::from([("__metadata__", Header::Metadata(metadata))]);
    let mut offset = 0;
    let mut lengths = Vec::with_capacity(entries.len());
    for &(name, shape, format) in entries {
        let dtype = match format {
            Format::F32 | Format::F16 | Format::Bf16 => format.name(),
            other => panic!("{name} as {}", other.name()),
        };
        lengths.push(shape.iter().product::<usize>() * format.block_bytes());
        let end = offset + lengths[lengths.len() - 1];
        header.insert(name, Header::Tensor { dtype, shape, data_offsets: [offset, end] });
        offset = end;
    }
    let mut header = serde_json::to_vec(&header).expect("names and numbers become JSON");
    header.resize(header.len().next_multiple_of(8), b' ');
    files::write_with(path, |writer| {
        writer.write_all(&(header.len() as u64).to_le_bytes()).at(path)?;
        writer.write_all(&header).at(path)?;
        for (index, &(name, _, _)) in entries.iter().enumerate() {
            let mut written = 0;
            fill(index, &mut |bytes| {
                written += bytes.len();
                writer.write_all(bytes).at(path)
            })?;
            assert_eq!(written, lengths[index], "bytes of {name}");
        }
        Ok(())
    })
}

/// Hands `values` on as little-endian bytes, a block at a time.
///
/// # Errors
/// The first that `take` returns.
pub fn for_each_block<E>(values: &[f32], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut bytes = [0; 1 << 16];
    for block in values.chunks(bytes.len() / 4) {
        for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(block) {
            *bytes = value.to_le_bytes();
        }
        take(&bytes[..size_of_val(block)])?;
    }
    Ok(())
}

/// Reads little-endian bytes into `values`; the lengths must agree.
pub fn read_values(values: &mut [f32], bytes: &[u8]) {
    assert_eq!(size_of_val(values), bytes.len(), "bytes and values");
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = f32::from_le_bytes(*bytes);
    }
}
