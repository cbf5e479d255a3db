//! GGUF files damaged by chance, for the tests and for `examples/fuzz.rs`.
//! The damage knows where numbers stand in a header, so that most of it gets
//! further than the first check.

use std::{fs, path::Path};

use kwaya_base::Result;
use kwaya_math::{Format, blocks::dequantise, philox::Stream};
use kwaya_model::gguf::{self, Entry, Gguf, Value};

/// A good file.
pub(crate) struct Seed {
    pub(crate) bytes: Vec<u8>,
    /// Where each number of the header that says a count, a type, a size or a
    /// place stands, and how many bytes it has.
    fields: Vec<(usize, usize)>,
    /// Where the header ends.
    header: usize,
}

/// Metadata with a value of each kind.
pub(crate) fn metadata() -> Vec<(&'static str, Value)> {
    let words = (0..40).map(|n| format!("▁word{n}"));
    vec![
        ("general.architecture", "llama".into()),
        ("general.alignmenX", Value::Unsigned(32)),
        ("llama.context_length", Value::Unsigned(2048)),
        ("a.large", Value::Unsigned(u64::MAX)),
        ("a.negative", Value::Signed(-5)),
        ("a.very.negative", Value::Signed(i64::MIN)),
        ("llama.rope.freq_base", Value::Float(10000.0)),
        ("a.double", Value::Float(0.1)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ("tokenizer.ggml.tokens", Value::Texts(words.collect())),
        ("tokenizer.ggml.scores", Value::Floats((0..40).map(|n| -f64::from(n) / 2.0).collect())),
        ("tokenizer.ggml.token_type", Value::Signeds((0..40).map(|n| n % 6 - 1).collect())),
        ("some.counts", Value::Unsigneds(vec![0, 1, u64::MAX])),
        ("some.flags", Value::Bools(vec![true, false, true])),
        ("nothing", Value::Unsigneds(vec![])),
        ("lists", Value::Lists(vec![Value::Lists(vec![Value::Signeds(vec![1])]), Value::Bools(vec![])])),
    ]
}

/// Tensors of every format and of every number of sizes.
pub(crate) const TENSORS: [(&str, &[usize], Format); 15] = [
    ("token_embd.weight", &[3, 256], Format::F32),
    ("f16", &[2, 1, 5, 32], Format::F16),
    ("bf16", &[7], Format::Bf16),
    ("one", &[], Format::F32),
    ("q8_0", &[3, 32], Format::Q8_0),
    ("q4_0", &[2, 64], Format::Q4_0),
    ("q4_1", &[2, 2, 32], Format::Q4_1),
    ("q5_0", &[1, 32], Format::Q5_0),
    ("q5_1", &[96], Format::Q5_1),
    ("q2_k", &[2, 256], Format::Q2K),
    ("q3_k", &[1, 256], Format::Q3K),
    ("q4_k", &[1, 512], Format::Q4K),
    ("q5_k", &[2, 256], Format::Q5K),
    ("q6_k", &[1, 256], Format::Q6K),
    ("blk.0.attn_norm.weight", &[5], Format::F32),
];

pub(crate) fn entries() -> Vec<Entry<'static>> {
    TENSORS.map(|(name, shape, format)| Entry { name, shape, format }).into()
}

/// The bytes of the tensor `index` of [`TENSORS`]: the same ones each time.
pub(crate) fn content(index: usize) -> Vec<u8> {
    let mut stream = Stream::new(4, 1, index as u64);
    (0..entries()[index].bytes()).map(|_| stream.next_u32() as u8).collect()
}

/// `bytes` with the first `from` replaced by `to` of the same length.
pub(crate) fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

/// Good files: all of everything, metadata alone, tensors alone, and one of
/// version 2 that gives its alignment.
pub(crate) fn seeds(folder: &Path) -> Vec<Seed> {
    let path = folder.join("seed.gguf");
    let seed = |metadata: &[(&str, Value)], entries: &[Entry<'_>], change: &dyn Fn(&[u8]) -> Vec<u8>| {
        gguf::write(&path, metadata, entries, |index, take| take(&content(index))).unwrap();
        Seed::new(change(&fs::read(&path).unwrap()))
    };
    let older = |bytes: &[u8]| {
        let aligned = replaced(bytes, b"alignmenX", b"alignment");
        replaced(&aligned, &3u32.to_le_bytes(), &2u32.to_le_bytes())
    };
    vec![
        seed(&metadata(), &entries(), &<[u8]>::to_vec),
        seed(&metadata(), &[], &<[u8]>::to_vec),
        seed(&[], &entries()[..4], &<[u8]>::to_vec),
        seed(&metadata()[..4], &entries(), &older),
    ]
}

impl Seed {
    fn new(bytes: Vec<u8>) -> Self {
        let mut walk = Walk { bytes: &bytes, at: 4, fields: vec![] };
        walk.number(4);
        let (tensors, keys) = (walk.number(8), walk.number(8));
        for _ in 0..keys {
            walk.text();
            let kind = walk.number(4);
            walk.value(kind);
        }
        for _ in 0..tensors {
            walk.text();
            for _ in 0..walk.number(4) {
                walk.number(8);
            }
            walk.number(4);
            walk.number(8);
        }
        let (fields, header) = (walk.fields, walk.at);
        Self { bytes, fields, header }
    }
}

/// A walk through the header of a good file, which notes where numbers stand.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    fields: Vec<(usize, usize)>,
}

impl Walk<'_> {
    fn number(&mut self, size: usize) -> u64 {
        let mut number = [0; 8];
        number[..size].copy_from_slice(&self.bytes[self.at..self.at + size]);
        self.fields.push((self.at, size));
        self.at += size;
        u64::from_le_bytes(number)
    }

    fn text(&mut self) {
        let length = self.number(8);
        self.at += length as usize;
    }

    fn value(&mut self, kind: u64) {
        match kind {
            7 => self.at += 1,
            8 => self.text(),
            9 => {
                let kind = self.number(4);
                for _ in 0..self.number(8) {
                    self.value(kind);
                }
            }
            4..=6 => self.at += 4,
            _ => self.at += 8,
        }
    }
}

/// One of the seeds, damaged up to four times.
pub(crate) fn damaged(seeds: &[Seed], stream: &mut Stream) -> Vec<u8> {
    let any = |stream: &mut Stream, n: usize| stream.below(n.max(1) as u64) as usize;
    let seed = &seeds[any(stream, seeds.len())];
    let mut bytes = seed.bytes.clone();
    // More often once than not.
    for _ in 0..=stream.below(2) * stream.below(4) {
        let at = any(stream, seed.header.min(bytes.len()));
        match stream.below(10) {
            0..=4 => {
                let (at, size) = seed.fields[any(stream, seed.fields.len())];
                let Some(field) = bytes.get_mut(at..at + size) else { continue };
                let mut old = [0; 8];
                old[..size].copy_from_slice(field);
                let new = extreme(u64::from_le_bytes(old), seed.bytes.len() as u64, stream);
                field.copy_from_slice(&new.to_le_bytes()[..size]);
            }
            5 | 6 if !bytes.is_empty() => bytes[at] ^= 1 << stream.below(8),
            7 if !bytes.is_empty() => bytes[at] = stream.next_u32() as u8,
            8 => {
                // A piece is there twice, or missing.
                let end = (at + any(stream, 64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                if stream.below(2) == 0 {
                    bytes.splice(at..at, piece);
                } else {
                    bytes.drain(at..end);
                }
            }
            _ => {
                let end = if stream.below(2) == 0 { seed.header } else { bytes.len() };
                bytes.truncate(any(stream, end));
            }
        }
    }
    bytes
}

/// A number that is likely to be wrong in a way that matters.
fn extreme(old: u64, length: u64, stream: &mut Stream) -> u64 {
    let power = 1u64 << stream.below(64);
    match stream.below(12) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX - stream.below(64),
        3 => power,
        4 => power - 1,
        5 => old.wrapping_add(1),
        6 => old.wrapping_sub(1),
        7 => old ^ power,
        8 => old.wrapping_mul(stream.below(1 << 20)),
        9 => length / (1 + stream.below(64)),
        10 => stream.below(48),
        _ => u64::from(stream.next_u32()),
    }
}

/// Reads all there is in the file at `path`, as a program would that loads a
/// model: the number of values.
///
/// # Errors
/// Those of [`Gguf::open`].
pub(crate) fn read_all(path: &Path, buffer: &mut Vec<f32>) -> Result<usize> {
    let file = Gguf::open(path)?;
    let mut values = 0;
    for tensor in file.tensors() {
        assert_eq!(file.tensor(&tensor.name), Some(tensor));
        buffer.resize(tensor.values(), 0.0);
        dequantise(tensor.format, file.bytes(tensor), buffer);
        values += tensor.values();
    }
    for key in file.metadata.keys() {
        let _ = (file.text(key), file.unsigned(key), file.float(key), file.flag(key));
        let _ = (file.floats(key), file.signeds(key), file.unsigneds(key));
        values += file.texts(key).map_or(0, |texts| texts.iter().map(str::len).sum());
    }
    Ok(values)
}
