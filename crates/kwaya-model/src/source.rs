//! Weights from elsewhere: a Hugging Face folder with safetensors, or a GGUF
//! file, under one set of names and in one order of rows.
//!
//! Tensors have the names and rows of Hugging Face. Nothing is copied: a
//! [`View`] gives the bytes as they lie in the file, mapped into memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File},
    io::{ErrorKind, Read},
    ops::Range,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result, error::At};
use kwaya_math::{
    Format, Pool,
    blocks::{dequantise, dequantise_with, quantise_with},
};
use safetensors::Dtype;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    architecture::{self, Architecture, Family},
    config,
    gguf::{self, Gguf},
    tensors::Mapped,
};

/// An index names each tensor of a model once; 16 MB are more than any has.
const INDEX_BYTES_MAX: u64 = 1 << 24;
/// A model card begins with its licence.
const CARD_BYTES_MAX: u64 = 1 << 16;

/// A model as it lies in files.
pub struct Source {
    path: PathBuf,
    architecture: Architecture,
    files: Files,
    /// By the name of Hugging Face; what nobody needs, by its own.
    tensors: BTreeMap<String, Place>,
}

/// The files of the weights.
enum Files {
    /// Safetensors, with the paths.
    Shards(Vec<(PathBuf, Mapped)>),
    Gguf(Gguf),
}

/// Where a tensor lies.
struct Place {
    /// In which of the files.
    file: usize,
    range: Range<usize>,
    /// What its numbers are called in the file.
    kind: String,
    /// Those that can be read have a format.
    format: Option<Format>,
    shape: Vec<usize>,
    /// As in [`View`].
    interleaved: bool,
    offset: f32,
}

/// A tensor of a [`Source`]: a matrix, or a vector, which has one row.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// How its numbers are stored.
    pub format: Format,
    /// Outputs, for a matrix.
    pub rows: usize,
    /// Inputs, for a matrix; the length of a vector.
    pub cols: usize,
    bytes: &'a [u8],
    row_bytes: usize,
    /// Where a GGUF of the architecture `llama` has the two halves of a head
    /// of this width interleaved: row 2i is row i of Hugging Face, row 2i + 1
    /// is row i + head_dim / 2.
    interleaved: Option<usize>,
    /// What [`View::values`] adds to each value: 1 for the norms of Gemma, of
    /// which Hugging Face stores only what differs from 1.
    offset: f32,
}

impl<'a> View<'a> {
    /// The bytes of row `i`, in the order of Hugging Face.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, i: usize) -> &'a [u8] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        let stored = match self.interleaved {
            None => i,
            Some(head_dim) => {
                let (head, within, half) = (i / head_dim, i % head_dim, head_dim / 2);
                head * head_dim + 2 * (within % half) + within / half
            }
        };
        &self.bytes[stored * self.row_bytes..][..self.row_bytes]
    }

    /// The bytes of all rows, where they lie in the order of Hugging Face.
    pub fn contiguous(&self) -> Option<&'a [u8]> {
        self.interleaved.is_none().then_some(self.bytes)
    }

    /// How many bytes it takes in the file.
    pub fn bytes(&self) -> usize {
        self.rows * self.row_bytes
    }

    /// Some of its rows.
    ///
    /// # Panics
    /// When there are no such rows, or queries or keys are to be cut.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        assert!(self.interleaved.is_none(), "rows of heads are not cut");
        Self { bytes: &self.bytes[rows.start * self.row_bytes..rows.end * self.row_bytes], rows: rows.len(), ..*self }
    }

    /// All values, row after row. Those of a norm are what the normed stream
    /// is multiplied by, in all families.
    pub fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.rows * self.cols];
        for (i, row) in values.chunks_mut(self.cols).enumerate() {
            dequantise(self.format, self.row(i), row);
        }
        if self.offset != 0.0 {
            values.iter_mut().for_each(|value| *value += self.offset);
        }
        values
    }

    /// Hands on the bytes of the tensor as the file that is `to` has them, a
    /// piece at a time. What is stored in the format of `to` already is not
    /// touched. The bytes do not depend on threads.
    ///
    /// # Errors
    /// `exchange-range` for a value that is not finite or beyond what the
    /// format holds, and the first that `take` returns.
    ///
    /// # Panics
    /// When the format is only read, or rows do not fill its blocks.
    pub fn stream(&self, pool: &Pool, to: Layout, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let change = self.offset - to.offset;
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        let rows = (PIECE / self.cols).max(1);
        for first in (0..self.rows).step_by(rows) {
            bytes.clear();
            (first..self.rows.min(first + rows)).for_each(|row| bytes.extend(self.row(to.place(row))));
            if to.format == self.format && change == 0.0 {
                take(&bytes)?;
                continue;
            }
            values.resize(bytes.len() / self.format.block_bytes() * self.format.block(), 0.0);
            dequantise_with(pool, self.format, &bytes, &mut values);
            if change != 0.0 {
                values.iter_mut().for_each(|value| *value += change);
            }
            to.piece(pool, &values, take)?;
        }
        Ok(())
    }
}

/// Values that are worked on at once.
const PIECE: usize = 1 << 20;

/// How a file stores a tensor.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// How its numbers are stored.
    pub format: Format,
    /// In a GGUF of the architecture `llama` the width of a head, for queries
    /// and keys: the two halves of a head are interleaved.
    pub interleaved: Option<usize>,
    /// What has to be added to a number to get the value: 1 for the norms of
    /// Gemma in a Hugging Face folder.
    pub offset: f32,
}

impl Layout {
    /// That of the tensor `name` in a Hugging Face folder.
    pub fn folder(architecture: &Architecture, name: &str, format: Format) -> Self {
        Self { format, interleaved: None, offset: offset(architecture.family, name) }
    }

    /// That of the tensor `name`, which is that of Hugging Face, in a GGUF
    /// file.
    pub fn gguf(architecture: &Architecture, name: &str, format: Format) -> Self {
        let llama = matches!(architecture.family, Family::Llama | Family::Mistral);
        Self { format, interleaved: (llama && is_turned(name)).then_some(architecture.head_dim), offset: 0.0 }
    }
}

impl Layout {
    /// Hands on the bytes of rows of a matrix, whose values are these, `cols` in
    /// a row, as the file has them.
    ///
    /// # Errors
    /// As [`View::stream`].
    ///
    /// # Panics
    /// When the format is only read, or rows do not fill its blocks; when rows
    /// to be interleaved are not those of whole heads; for norms with an offset.
    pub fn write(
        &self,
        pool: &Pool,
        values: &[f32],
        cols: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        assert!(self.offset == 0.0, "values that are stored as they are");
        let (count, rows, mut piece) = (values.len() / cols, (PIECE / cols).max(1), Vec::new());
        for first in (0..count).step_by(rows) {
            piece.clear();
            let rows = first..count.min(first + rows);
            rows.for_each(|row| piece.extend_from_slice(&values[self.place(row) * cols..][..cols]));
            self.piece(pool, &piece, take)?;
        }
        Ok(())
    }

    /// Which row of Hugging Face is row `row` of the file.
    fn place(&self, row: usize) -> usize {
        let Some(head_dim) = self.interleaved else { return row };
        let (head, within, half) = (row / head_dim, row % head_dim, head_dim / 2);
        head * head_dim + within / 2 + within % 2 * half
    }

    fn piece(&self, pool: &Pool, values: &[f32], take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        // A scale of a block is a half, too.
        let most = if matches!(self.format, Format::F32 | Format::Bf16) { f32::MAX } else { 65_504.0 };
        if let Some(value) = values.iter().find(|value| !(-most..=most).contains(*value)) {
            return Err(Error::new("exchange-range").arg("value", value).arg("format", self.format.name()));
        }
        let mut out = vec![0; values.len() / self.format.block() * self.format.block_bytes()];
        quantise_with(pool, self.format, values, &mut out);
        take(&out)
    }
}

/// Whether it makes queries or keys, which the rotary embedding turns.
fn is_turned(name: &str) -> bool {
    name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight")
}

/// What a folder of the family has to be added to the numbers of a tensor.
fn offset(family: Family, name: &str) -> f32 {
    if family == Family::Gemma3 && name.ends_with("norm.weight") { 1.0 } else { 0.0 }
}

impl Source {
    /// Opens a Hugging Face folder (config.json, and model.safetensors or its
    /// index and shards) or a `.gguf` file. Reads and checks what describes
    /// the weights, but none of them: [`Source::check`] says whether they are
    /// those of the architecture.
    ///
    /// # Errors
    /// Naming the file, and what in it is wrong.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).at(path)?;
        if metadata.is_dir() {
            return Self::folder(path);
        }
        if is_pickle(path) {
            return Err(Error::new("model-pickle").path(path));
        }
        let mut magic = Vec::new();
        if metadata.is_file() {
            File::open(path).at(path)?.take(4).read_to_end(&mut magic).at(path)?;
        }
        if magic != b"GGUF" {
            return Err(Error::new("model-file-unknown").path(path));
        }
        Self::single(path)
    }

    /// The folder or file that it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the model computes.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// What it computes, where all of its weights can be learned.
    ///
    /// # Errors
    /// `train-family` where they cannot.
    pub fn learned_whole(&self) -> Result<&Architecture> {
        if self.architecture.learned_whole() {
            return Ok(&self.architecture);
        }
        Err(Error::new("train-family").path(&self.path).arg("family", self.architecture.family.name()))
    }

    /// The GGUF file, where it is one: it holds the tokenizer too.
    pub fn gguf(&self) -> Option<&Gguf> {
        match &self.files {
            Files::Gguf(gguf) => Some(gguf),
            Files::Shards(_) => None,
        }
    }

    /// Checks that each tensor which the architecture needs is there and has
    /// its shape, in a format that can be read. Nothing is read and no memory
    /// taken. Returns the names of tensors that nobody needs.
    ///
    /// # Errors
    /// `model-tensor-missing`, `model-tensor-wrong`, and for a tensor of a
    /// layer that the architecture does not have, without which the model
    /// would be another, `model-tensor-extra`.
    pub fn check(&self) -> Result<Vec<&str>> {
        let needed = self.architecture.tensors();
        for (name, shape) in &needed {
            let place = self.place(name)?;
            if place.format.is_none() || place.shape != *shape {
                return Err(self.wrong(name, place, &format!("{} {shape:?}", formats())));
            }
            self.tensor(name)?;
        }
        let needed: BTreeSet<&str> = needed.iter().map(|(name, _)| &**name).collect();
        let extra = self.tensors.keys().map(|name| &**name).filter(|name| !needed.contains(name));
        let extra: Vec<&str> = extra.collect();
        if let Some(name) = extra.iter().find(|name| name.starts_with("model.layers.") || name.starts_with("blk.")) {
            let path = self.file(&self.tensors[*name]).0;
            return Err(Error::new("model-tensor-extra").path(path).arg("tensor", line(name)));
        }
        Ok(extra)
    }

    /// The tensor `name`. The head of a tied model is its embedding table.
    ///
    /// # Errors
    /// `model-tensor-missing`; `model-tensor-wrong` for one that is no vector
    /// or matrix, or whose numbers cannot be read.
    pub fn tensor(&self, name: &str) -> Result<View<'_>> {
        let tied = self.architecture.tied && name == architecture::HEAD;
        let name = if tied { architecture::EMBEDDING } else { name };
        let place = self.place(name)?;
        let (rows, cols) = match place.shape[..] {
            [cols] => (1, cols),
            [rows, cols] => (rows, cols),
            _ => return Err(self.wrong(name, place, "a vector or matrix")),
        };
        let bytes = &self.file(place).1.bytes()[place.range.clone()];
        let row_bytes = place.format.and_then(|format| format.bytes(cols));
        let (Some(format), Some(row_bytes)) = (place.format, row_bytes) else {
            return Err(self.wrong(name, place, &formats()));
        };
        let head_dim = self.architecture.head_dim;
        if place.interleaved && !rows.is_multiple_of(head_dim) {
            return Err(self.wrong(name, place, &format!("rows of heads of {head_dim}")));
        }
        let interleaved = place.interleaved.then_some(head_dim);
        Ok(View { format, rows, cols, bytes, row_bytes, interleaved, offset: place.offset })
    }

    /// Gives back the memory that mapping the files took. What is read of them
    /// later is read anew.
    pub(crate) fn let_go(&self) {
        match &self.files {
            Files::Shards(shards) => shards.iter().for_each(|(_, file)| file.let_go()),
            Files::Gguf(gguf) => gguf.file().let_go(),
        }
    }

    fn file(&self, place: &Place) -> (&Path, &Mapped) {
        match &self.files {
            Files::Shards(shards) => (&shards[place.file].0, &shards[place.file].1),
            Files::Gguf(gguf) => (gguf.path(), gguf.file()),
        }
    }

    fn place(&self, name: &str) -> Result<&Place> {
        let missing = || Error::new("model-tensor-missing").path(&self.path).arg("tensor", name);
        self.tensors.get(name).ok_or_else(missing)
    }

    fn wrong(&self, name: &str, place: &Place, expected: &str) -> Error {
        Error::new("model-tensor-wrong")
            .path(self.file(place).0)
            .arg("tensor", name)
            .arg("found", format!("{} {:?}", place.kind, place.shape))
            .arg("expected", expected)
    }

    fn folder(folder: &Path) -> Result<Self> {
        let path = &folder.join("config.json");
        let text = config::read_text(path, config::FILE_BYTES_MAX)?;
        let mut architecture = Architecture::from_config_json(&text).map_err(|error| error.path(path))?;
        add_eos_tokens(&mut architecture, &folder.join("generation_config.json"))?;
        architecture.licence = licence(&folder.join("README.md"));
        let mut parts = Parts { family: architecture.family, shards: Vec::new(), tensors: BTreeMap::new() };
        let (whole, index) = (folder.join("model.safetensors"), folder.join("model.safetensors.index.json"));
        if whole.exists() {
            parts.add(whole)?;
        } else if index.exists() {
            parts.add_all(folder, &index)?;
        } else if let Some(pickle) = pickles(folder)?.first() {
            return Err(Error::new("model-pickle").path(pickle));
        } else {
            return Err(Error::new("model-weights-missing").path(folder));
        }
        let Parts { shards, tensors, .. } = parts;
        Ok(Self { path: folder.to_owned(), architecture, files: Files::Shards(shards), tensors })
    }

    fn single(path: &Path) -> Result<Self> {
        let gguf = Gguf::open(path)?;
        let architecture = Architecture::from_gguf(&gguf)?;
        if let Some(value) = gguf.metadata.get("split.count")
            && *value != gguf::Value::Unsigned(1)
        {
            return Err(Error::new("model-split").path(path));
        }
        let llama = gguf.text("general.architecture")? == "llama";
        let needed = architecture.tensors();
        let names: BTreeMap<String, &str> = needed
            .iter()
            .map(|(name, _)| (architecture::stored_name(name, architecture.post_norms), &**name))
            .collect();
        let mut tensors = BTreeMap::new();
        for tensor in gguf.tensors().iter().filter(|tensor| tensor.name != "rope_freqs.weight") {
            let name = names.get(&tensor.name).map_or(&*tensor.name, |name| *name);
            let place = Place {
                file: 0,
                range: tensor.range.clone(),
                kind: tensor.format.name().into(),
                format: Some(tensor.format),
                shape: tensor.shape.clone(),
                interleaved: llama && is_turned(name),
                offset: 0.0,
            };
            if tensors.insert(name.to_owned(), place).is_some() {
                return Err(Error::new("model-tensor-twice").path(path).arg("tensor", line(name)));
            }
        }
        Ok(Self { path: path.to_owned(), architecture, files: Files::Gguf(gguf), tensors })
    }
}

/// The tensors of a folder while they are found.
struct Parts {
    family: Family,
    shards: Vec<(PathBuf, Mapped)>,
    tensors: BTreeMap<String, Place>,
}

impl Parts {
    /// Adds the shards of an index.
    fn add_all(&mut self, folder: &Path, path: &Path) -> Result<()> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = config::read_text(path, INDEX_BYTES_MAX)?;
        let malformed = |error| Error::new("model-index-malformed").path(path).arg("cause", &error).source(error);
        let Index { weight_map } = serde_json::from_str(&text).map_err(malformed)?;
        let shards: BTreeSet<&String> = weight_map.values().collect();
        for &shard in &shards {
            // An index from a stranger must not lead out of the folder. Its
            // own files may be links: the cache of Hugging Face has them.
            let plain = !shard.contains(['/', '\\', ':', '\0']) && !shard.starts_with('.');
            if !plain || !shard.ends_with(".safetensors") {
                return Err(Error::new("model-index-shard").path(path).arg("shard", line(shard)));
            }
            let file = folder.join(shard);
            if let Err(error) = fs::metadata(&file)
                && error.kind() == ErrorKind::NotFound
            {
                return Err(Error::new("model-shard-missing").path(&file));
            }
            self.add(file)?;
        }
        for (name, shard) in &weight_map {
            let file = folder.join(shard);
            let there = self
                .canonical(name)
                .is_none_or(|name| self.tensors.get(&name).is_some_and(|place| self.shards[place.file].0 == file));
            if !there {
                return Err(Error::new("model-tensor-missing").path(&file).arg("tensor", line(name)));
            }
        }
        Ok(())
    }

    /// Adds the tensors of a safetensors file.
    fn add(&mut self, path: PathBuf) -> Result<()> {
        let mapped = Mapped::open(&path)?;
        let (start, header) = mapped.header(&path)?;
        let file = self.shards.len();
        for (name, info) in header.tensors() {
            let Some(canonical) = self.canonical(&name) else { continue };
            let (from, to) = info.data_offsets;
            let format = match info.dtype {
                Dtype::F32 => Some(Format::F32),
                Dtype::F16 => Some(Format::F16),
                Dtype::BF16 => Some(Format::Bf16),
                _ => None,
            };
            let kind = format!("{:?}", info.dtype);
            let range = start + from..start + to;
            let offset = offset(self.family, &name);
            let place = Place { file, range, kind, format, shape: info.shape.clone(), interleaved: false, offset };
            if self.tensors.insert(canonical, place).is_some() {
                return Err(Error::new("model-tensor-twice").path(&path).arg("tensor", line(&name)));
            }
        }
        self.shards.push((path, mapped));
        Ok(())
    }

    /// The name of a tensor in a model that is text alone; none for what is
    /// not read.
    fn canonical(&self, name: &str) -> Option<String> {
        // Old checkpoints carry frequencies that follow from the configuration.
        if name.ends_with("rotary_emb.inv_freq") {
            return None;
        }
        if self.family == Family::Gemma3 {
            let eyes = ["vision_tower.", "multi_modal_projector."];
            if eyes.iter().any(|eyes| name.strip_prefix("model.").unwrap_or(name).starts_with(eyes)) {
                return None;
            }
            for prefix in ["language_model.model.", "model.language_model."] {
                if let Some(rest) = name.strip_prefix(prefix) {
                    return Some(format!("model.{rest}"));
                }
            }
            if let Some(rest) = name.strip_prefix("language_model.lm_head.") {
                return Some(format!("lm_head.{rest}"));
            }
        }
        Some(name.to_owned())
    }
}

/// Adds the end tokens that `generation_config.json` has besides.
fn add_eos_tokens(architecture: &mut Architecture, path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let text = config::read_text(path, config::FILE_BYTES_MAX)?;
    let malformed = |error| Error::new("model-config-malformed").path(path).arg("cause", &error).source(error);
    let value: Value = serde_json::from_str(&text).map_err(malformed)?;
    let stated = architecture::tokens(&value["eos_token_id"], architecture.vocab).or_else(|value| {
        let possible = format!("0 - {}", architecture.vocab - 1);
        config::refuse("eos_token_id", &value, &possible).map_err(|error| error.path(path))
    })?;
    for token in stated {
        if !architecture.eos.contains(&token) {
            architecture.eos.push(token);
        }
    }
    Ok(())
}

/// The licence in the head of a model card, where there is one.
fn licence(card: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(card).ok()?.take(CARD_BYTES_MAX).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let mut head = lines.take_while(|line| line.trim_end() != "---");
    let licence = head.find_map(|line| line.strip_prefix("license:"))?;
    let licence = line(licence.trim().trim_matches(['"', '\'']));
    (!licence.is_empty()).then_some(licence)
}

/// Whether Python's pickle would have to read it.
fn is_pickle(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ["bin", "pt", "pth", "ckpt", "pkl"].contains(&extension)
}

fn pickles(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).at(folder)?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| is_pickle(path));
    found.sort();
    Ok(found)
}

fn formats() -> String {
    Format::ALL.map(Format::name).join("/")
}

/// A name from an untrusted file, no longer than a line.
fn line(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(120).collect()
}
