//! Models of other makers, in and out: from a Hugging Face folder or a GGUF
//! file to a folder that Kwaya, `transformers` and others read, or to a GGUF
//! file that llama.cpp and others run.
//!
//! Everything is checked before the first byte is written. Weights go from
//! file to file a piece at a time; what is stored in the wanted format already
//! is copied as it is. The same model gives the same bytes, on any number of
//! threads.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Progress, Result, Unit, error::At, files};
use kwaya_math::{Format, Pool};
use kwaya_model::{
    ADAPTER_FILES, Adapters, Architecture, Layout, Source, View,
    gguf::{self, Metadata, Texts, Value},
    quantise::Target,
    tensors,
};
use kwaya_text::vocabulary::Vocabulary;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::{
    codec::{self, Codec},
    machine::disk_free,
};

/// What a folder may have beside its weights, that belongs to the model.
const COMPANIONS: [&str; 13] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "README.md",
    "LICENSE",
    "LICENSE.txt",
    "NOTICE",
];

/// What a key of Kwaya's own begins with.
pub(crate) const OWN: &str = "kwaya.";

/// The version of the block formats, under `general.quantization_version`.
const QUANTISATION: u64 = 2;

/// What was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exchanged {
    /// The folder or file that was written.
    pub path: PathBuf,
    /// The number of weights.
    pub parameters: u64,
    /// Bytes of the weights in the files read, and in those written.
    pub bytes: [u64; 2],
    /// Weights of the files that the model does not need, left out.
    pub left_out: Vec<String>,
    /// How many weights there are in each format, written.
    pub formats: BTreeMap<&'static str, u64>,
}

/// Opens a model, and checks that it is whole and that its tokenizer fits.
///
/// # Errors
/// What is wrong with it, naming the file.
pub fn open(path: &Path) -> Result<Source> {
    let source = Source::open(path)?;
    source.check()?;
    let there = match source.gguf() {
        Some(file) => file.metadata.contains_key("tokenizer.ggml.tokens"),
        None => path.join("tokenizer.json").exists(),
    };
    if !there {
        return Err(Error::new("tokenizer-missing").path(path));
    }
    Codec::open(&source)?;
    Ok(source)
}

/// Writes `source` as a folder in the layout of Hugging Face at `out`, where
/// nothing may be yet. The numbers are those of `format`; where none is named,
/// floats stay as they are and blocks become f32.
///
/// # Errors
/// What is wrong with the model; `exchange-exists`; `exchange-disk`;
/// `exchange-unsayable`; when a file cannot be written.
pub fn to_folder(
    source: &Source,
    out: &Path,
    format: Option<Format>,
    change: &Change<'_>,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Exchanged> {
    refuse_existing(out)?;
    let stored = |found: Format| format.unwrap_or(if found.block() == 1 { found } else { Format::F32 });
    let (plan, config) = Plan::folder(source, change, stored)?;
    let companions = companions(source)?;
    plan.check_disk(parent(out), companions.iter().map(|(_, bytes)| bytes.len() as u64).sum())?;
    publish(out, |folder| {
        for (name, bytes) in &companions {
            files::write(&folder.join(name), bytes)?;
        }
        plan.fill(&config, folder, pool, progress)
    })?;
    plan.finish(out)
}

/// Makes the folder `out` of what `write` leaves in a temporary one: whoever
/// looks finds all of it or nothing.
fn publish(out: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = parent(out);
    let temporary = tempfile::Builder::new().prefix(".writing-").suffix(".tmp").tempdir_in(parent).at(parent)?;
    let folder = temporary.path();
    write(folder)?;
    readable(folder)?;
    files::sync_folder(folder)?;
    fs::rename(folder, out).at(out)?;
    let _ = temporary.keep();
    files::sync_folder(parent)
}

/// The files that [`write_weights`] leaves.
pub const WEIGHTS: [&str; 3] = ["config.json", "generation_config.json", "model.safetensors"];

/// Writes the [`WEIGHTS`] of `source`, changed, into `folder`, which exists.
/// Floats stay in their format, and blocks become bf16.
///
/// # Errors
/// As [`to_folder`].
pub fn write_weights(
    source: &Source,
    folder: &Path,
    change: &Change<'_>,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<()> {
    let stored = |found: Format| if found.block() == 1 { found } else { Format::Bf16 };
    let (plan, config) = Plan::folder(source, change, stored)?;
    plan.check_disk(folder, 0)?;
    write_ends(source.architecture(), folder)?;
    plan.fill(&config, folder, pool, progress)
}

/// Writes the second of the [`WEIGHTS`]: the tokens that begin and end a text,
/// of which there may be more than the configuration has.
///
/// # Errors
/// When the file cannot be written.
pub fn write_ends(a: &Architecture, folder: &Path) -> Result<()> {
    let generation = Map::from_iter([("bos_token_id".to_owned(), a.bos.into()), ("eos_token_id".to_owned(), ends(a))]);
    files::write(&folder.join(WEIGHTS[1]), pretty(&generation.into()).as_bytes())
}

/// What becomes of a model on its way into a folder.
pub enum Change<'a> {
    /// Nothing.
    Nothing,
    /// Adapters are merged into it.
    Merge(&'a Adapters),
    /// Its tables get other rows for some tokens, which may be new: `count` of
    /// them from `first` on, by the name of the table.
    Rows {
        /// The first token.
        first: usize,
        /// How many.
        count: usize,
        /// The rows, by table.
        rows: BTreeMap<&'static str, Vec<f32>>,
    },
}

impl Change<'_> {
    /// What the changed model computes.
    fn architecture(&self, source: &Source) -> Architecture {
        let mut architecture = source.architecture().clone();
        if let Self::Rows { first, count, .. } = self {
            architecture.vocab = architecture.vocab.max(first + count);
        }
        architecture
    }
}

/// Whether a GGUF file could say what the model is, and that there is nothing
/// at `out` yet: for whoever works for long before there is something to write.
///
/// # Errors
/// As [`to_folder`].
pub fn check_gguf(source: &Source, out: &Path) -> Result<()> {
    refuse_existing(out)?;
    source.gguf().map_or_else(|| described(source, "").map(drop), |_| Ok(()))
}

/// Writes `source`, changed, as a GGUF file at `out`, where nothing may be yet;
/// `name` is what the file calls the model, and `own` is what Kwaya says of it
/// under a key of its own.
///
/// # Errors
/// As [`to_folder`].
#[expect(clippy::too_many_arguments, reason = "each is one thing that a file needs")]
pub fn to_gguf(
    source: &Source,
    out: &Path,
    target: Target,
    name: &str,
    change: &Change<'_>,
    own: Option<(&str, String)>,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Exchanged> {
    refuse_existing(out)?;
    let a = source.architecture();
    let (mut metadata, divisors) = match source.gguf() {
        Some(file) => (as_stated(file), stated_divisors(file)),
        None => described(source, name)?,
    };
    metadata.extend(own.map(|(key, text)| (format!("{OWN}{key}"), Value::Text(text))));
    metadata.push(("general.file_type".into(), Value::Unsigned(target.file_type().into())));
    metadata.push(("general.quantization_version".into(), Value::Unsigned(QUANTISATION)));
    metadata.sort_by(|a, b| order(&a.0).cmp(&order(&b.0)));
    let plan = Plan::of(source, change, |name, _| {
        let shape = source.tensor(name).map(|view| vec![view.rows, view.cols]).unwrap_or_default();
        let stored = a.gguf_name(name);
        let format = target.of(&stored, &shape, a.layers.len(), a.tied);
        (stored, Layout::gguf(a, name, format))
    })?;
    let parent = parent(out);
    plan.check_disk(parent, 1 << 24)?;
    let shape = divisors.as_ref().map(|divisors| [divisors.len()]);
    let mut entries: Vec<gguf::Entry<'_>> = Vec::new();
    if let Some(shape) = &shape {
        entries.push(gguf::Entry { name: "rope_freqs.weight", shape, format: Format::F32 });
    }
    let first = entries.len();
    entries.extend(plan.tensors.iter().map(|t| gguf::Entry {
        name: &t.stored,
        shape: &t.shape,
        format: t.layout.format,
    }));
    let metadata: Vec<(&str, Value)> = metadata.iter().map(|(key, value)| (&**key, value.clone())).collect();
    plan.begin(progress);
    gguf::write(out, &metadata, &entries, |index, take| match index.checked_sub(first) {
        Some(index) => plan.write(index, pool, progress, take),
        None => tensors::for_each_block(divisors.as_deref().unwrap_or_default(), take),
    })?;
    progress.end();
    plan.finish(out)
}

/// Adapters that were copied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Copied {
    /// The folder that was written.
    pub path: PathBuf,
    /// Bytes in it.
    pub bytes: u64,
}

/// Copies the adapters of the recipe in the folder `built` to `out`, where
/// nothing may be yet. They are in the format of PEFT.
///
/// # Errors
/// `adapter-missing` where there are none; `exchange-exists`; when a file
/// cannot be written.
pub fn adapter(built: &Path, out: &Path) -> Result<Copied> {
    refuse_existing(out)?;
    let folder = built.join("build").join("adapter");
    if !folder.join(ADAPTER_FILES[0]).exists() {
        return Err(Error::usage("adapter-missing").path(built));
    }
    let mut bytes = 0;
    publish(out, |copy| {
        for name in ADAPTER_FILES {
            let content = fs::read(folder.join(name)).at(&folder)?;
            bytes += content.len() as u64;
            files::write(&copy.join(name), &content)?;
        }
        Ok(())
    })?;
    Ok(Copied { path: out.to_owned(), bytes })
}

/// The tensors to be written.
struct Plan<'a> {
    source: &'a Source,
    change: &'a Change<'a>,
    tensors: Vec<Planned>,
    left_out: Vec<String>,
    done: Cell<u64>,
}

struct Planned {
    /// Its name in Hugging Face.
    name: String,
    /// Its name in the file to be written.
    stored: String,
    shape: Vec<usize>,
    layout: Layout,
    /// Bytes read, and written.
    bytes: [u64; 2],
}

impl<'a> Plan<'a> {
    /// `store` says under which name and how a tensor is stored, of which it
    /// is told name and format.
    fn of(
        source: &'a Source,
        change: &'a Change<'a>,
        store: impl Fn(&str, Format) -> (String, Layout),
    ) -> Result<Self> {
        let left_out = source.check()?.into_iter().map(str::to_owned).collect();
        let mut tensors = Vec::new();
        for (name, shape) in change.architecture(source).tensors() {
            let view = source.tensor(&name)?;
            let (stored, layout) = store(&name, view.format);
            let values = shape.iter().product();
            let bytes = [view.bytes() as u64, layout.format.bytes(values).expect("blocks are filled") as u64];
            tensors.push(Planned { name, stored, shape, layout, bytes });
        }
        Ok(Self { source, change, tensors, left_out, done: Cell::new(0) })
    }

    /// Those of a folder in the layout of Hugging Face, and its configuration.
    fn folder(source: &'a Source, change: &'a Change<'a>, stored: impl Fn(Format) -> Format) -> Result<(Self, Json)> {
        let a = change.architecture(source);
        let mut plan =
            Self::of(source, change, |name, found| (name.to_owned(), Layout::folder(&a, name, stored(found))))?;
        plan.tensors.sort_by(|a, b| a.stored.cmp(&b.stored));
        let embedding = plan.tensors.iter().find(|tensor| tensor.shape.len() == 2).map(|tensor| tensor.layout.format);
        let config = a.config_json(embedding.unwrap_or(Format::F32)).map_err(|error| error.path(source.path()))?;
        Ok((plan, config))
    }

    /// Writes weights and configuration into a folder. The configuration comes
    /// last: a folder that has one is whole.
    fn fill(&self, config: &Json, folder: &Path, pool: &Pool, progress: &dyn Progress) -> Result<()> {
        // Without this entry `transformers` does not load the file.
        let metadata = BTreeMap::from([("format", "pt".to_owned())]);
        let entries: Vec<_> = self.tensors.iter().map(|t| (&*t.stored, &*t.shape, t.layout.format)).collect();
        self.begin(progress);
        tensors::write_with(&folder.join(WEIGHTS[2]), &metadata, &entries, |index, take| {
            self.write(index, pool, progress, take)
        })?;
        progress.end();
        files::write(&folder.join(WEIGHTS[0]), pretty(config).as_bytes())
    }

    fn bytes(&self, which: usize) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes[which]).sum()
    }

    /// Whether there is room for the weights and `more` bytes beside them.
    fn check_disk(&self, folder: &Path, more: u64) -> Result<()> {
        let needed = self.bytes(1) + more;
        match disk_free(folder) {
            Some(free) if free < needed => Err(Error::new("exchange-disk")
                .path(folder)
                .arg("needed", crate::words::bytes(needed))
                .arg("free", crate::words::bytes(free))),
            _ => Ok(()),
        }
    }

    fn begin(&self, progress: &dyn Progress) {
        progress.begin("exchange-weights", self.bytes(1), Unit::Bytes);
    }

    fn write(
        &self,
        index: usize,
        pool: &Pool,
        progress: &dyn Progress,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let tensor = &self.tensors[index];
        let mut handed = |bytes: &[u8]| {
            if progress.stopped() {
                return Err(Error::new("interrupted"));
            }
            take(bytes)?;
            self.done.set(self.done.get() + bytes.len() as u64);
            progress.at(self.done.get());
            Ok(())
        };
        self.changed(tensor, pool, &mut handed).map_err(|error| match error.key() {
            "exchange-range" => error.path(self.source.path()).arg("tensor", &tensor.name),
            _ => error,
        })
    }

    /// Hands on the bytes of a tensor as they are to be written.
    fn changed(&self, tensor: &Planned, pool: &Pool, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (view, layout) = (self.source.tensor(&tensor.name)?, tensor.layout);
        match self.change {
            Change::Merge(adapters) => {
                let mut values = view.values();
                match adapters.merge_named(&tensor.name, &mut values, pool) {
                    true => layout.write(pool, &values, view.cols, take),
                    false => view.stream(pool, layout, take),
                }
            }
            Change::Rows { first, count, rows } if rows.contains_key(&*tensor.name) => {
                let kept = |from: usize, to: usize| -> Option<View<'_>> { (from < to).then(|| view.slice(from..to)) };
                if let Some(before) = kept(0, (*first).min(view.rows)) {
                    before.stream(pool, layout, take)?;
                }
                layout.write(pool, &rows[&*tensor.name], view.cols, take)?;
                kept(first + count, view.rows).map_or(Ok(()), |after| after.stream(pool, layout, take))
            }
            _ => view.stream(pool, layout, take),
        }
    }

    fn finish(self, out: &Path) -> Result<Exchanged> {
        let mut formats = BTreeMap::new();
        for tensor in &self.tensors {
            let values: usize = tensor.shape.iter().product();
            *formats.entry(tensor.layout.format.name()).or_default() += values as u64;
        }
        Ok(Exchanged {
            path: out.to_owned(),
            parameters: self.change.architecture(self.source).parameters(),
            bytes: [self.bytes(0), self.bytes(1)],
            left_out: self.left_out,
            formats,
        })
    }
}

fn refuse_existing(out: &Path) -> Result<()> {
    match fs::symlink_metadata(out) {
        Ok(_) => Err(Error::usage("exchange-exists").path(out)),
        Err(_) => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary folder is private; a finished one is for everybody who may
/// read what is around it.
fn readable(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).at(folder)?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

fn pretty(value: &Json) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).expect("plain data"))
}

/// The tokens that end a text, as a configuration has them.
fn ends(a: &Architecture) -> Json {
    if a.eos.len() == 1 { a.eos[0].into() } else { a.eos.clone().into() }
}

/// The files of a folder but for weights and configuration.
pub(crate) fn companions(source: &Source) -> Result<Vec<(String, Vec<u8>)>> {
    let Some(file) = source.gguf() else {
        let mut found = Vec::new();
        for name in COMPANIONS {
            let path = source.path().join(name);
            if path.is_file() {
                found.push((name.to_owned(), fs::read(&path).at(&path)?));
            }
        }
        return Ok(found);
    };
    let vocabulary = codec::vocabulary_of(file).map_err(|error| error.path(file.path()))?;
    let tokenizer = vocabulary.tokenizer().map_err(|error| error.path(file.path()))?;
    let tokenizer = tokenizer
        .to_string(true)
        .map_err(|cause| Error::new("tokenizer-failed").path(file.path()).arg("cause", cause))?;
    let a = source.architecture();
    let mut generation = Map::from_iter([
        ("bos_token_id".to_owned(), vocabulary.bos.or(a.bos).into()),
        ("eos_token_id".to_owned(), ends(a)),
    ]);
    generation.extend(vocabulary.padding.map(|padding| ("pad_token_id".to_owned(), padding.into())));
    let mut found = vec![
        ("tokenizer.json".to_owned(), format!("{tokenizer}\n").into_bytes()),
        ("tokenizer_config.json".to_owned(), pretty(&tokenizer_config(&vocabulary, a.context)).into_bytes()),
        ("generation_config.json".to_owned(), pretty(&generation.into()).into_bytes()),
    ];
    if let Some(licence) = &a.licence {
        found.push(("README.md".to_owned(), format!("---\nlicense: {}\n---\n", json!(licence)).into_bytes()));
    }
    Ok(found)
}

/// The `tokenizer_config.json` of a vocabulary.
fn tokenizer_config(vocabulary: &Vocabulary, context: usize) -> Json {
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": false,
        "add_bos_token": vocabulary.begins_with_bos(),
        "add_eos_token": vocabulary.add_eos == Some(true),
    });
    for (key, id) in [
        ("bos_token", vocabulary.bos),
        ("eos_token", vocabulary.eos),
        ("unk_token", vocabulary.unknown),
        ("pad_token", vocabulary.padding),
    ] {
        if let Some(token) = id.and_then(|id| vocabulary.tokens.get(id as usize)) {
            config[key] = token.as_str().into();
        }
    }
    if let Some(template) = &vocabulary.chat_template {
        config["chat_template"] = template.as_str().into();
    }
    config
}

/// The metadata of a file but for what says how it is stored, and what Kwaya
/// says of these very numbers.
fn as_stated(file: &gguf::Gguf) -> Metadata {
    let storage = |key: &str| {
        ["general.file_type", "general.quantization_version"].contains(&key)
            || key.starts_with("split.")
            || key.starts_with("quantize.")
            || key.starts_with(OWN)
    };
    let kept = file.metadata.iter().filter(|(key, _)| !storage(key));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn stated_divisors(file: &gguf::Gguf) -> Option<Vec<f32>> {
    let tensor = file.tensor("rope_freqs.weight")?;
    let mut divisors = vec![0.0; tensor.values()];
    kwaya_math::blocks::dequantise(tensor.format, file.bytes(tensor), &mut divisors);
    Some(divisors)
}

/// The metadata for a folder, and its divisors of frequencies.
fn described(source: &Source, name: &str) -> Result<(Metadata, Option<Vec<f32>>)> {
    let (a, place) = (source.architecture(), source.path());
    let (mut metadata, divisors) = a.gguf_metadata().map_err(|error| error.path(place))?;
    let mut vocabulary = codec::vocabulary_in(place, a.bos)?;
    vocabulary.pad(a.vocab).map_err(|error| error.path(place))?;
    metadata.push(("general.type".into(), "model".into()));
    metadata.push(("general.name".into(), name.into()));
    // The end that the tokenizer names comes first; there are names for three.
    let mut ends: Vec<u32> = vocabulary.eos.into_iter().collect();
    ends.extend(a.eos.iter().filter(|end| Some(**end) != vocabulary.eos));
    let ids = [("bos", vocabulary.bos.or(a.bos)), ("unknown", vocabulary.unknown), ("padding", vocabulary.padding)];
    let ids = ids.into_iter().chain(["eos", "eot", "eom"].into_iter().zip(ends.into_iter().map(Some)));
    let own = |key: &str, value: Value| (format!("tokenizer.ggml.{key}"), value);
    metadata.extend(ids.filter_map(|(key, id)| Some(own(&format!("{key}_token_id"), Value::Unsigned(u64::from(id?))))));
    metadata.push(own("model", Value::Text(vocabulary.model.clone())));
    metadata.extend(vocabulary.pre.clone().map(|pre| own("pre", Value::Text(pre))));
    metadata.push(own("tokens", Value::Texts(vocabulary.tokens.iter().collect::<Texts>())));
    let flags = [
        ("add_bos_token", Some(vocabulary.begins_with_bos())),
        ("add_eos_token", vocabulary.add_eos),
        ("add_space_prefix", vocabulary.add_space_prefix),
    ];
    metadata.extend(flags.into_iter().filter_map(|(key, flag)| Some(own(key, Value::Bool(flag?)))));
    metadata.extend(
        vocabulary.scores.map(|scores| own("scores", Value::Floats(scores.into_iter().map(f64::from).collect()))),
    );
    metadata.extend(
        vocabulary.kinds.map(|kinds| own("token_type", Value::Signeds(kinds.into_iter().map(i64::from).collect()))),
    );
    metadata.extend(vocabulary.merges.map(|merges| own("merges", Value::Texts(merges.iter().collect::<Texts>()))));
    metadata
        .extend(vocabulary.chat_template.map(|template| ("tokenizer.chat_template".to_owned(), Value::Text(template))));
    Ok((metadata, divisors))
}

/// Readers that show a file's head want the short things first.
fn order(key: &str) -> (usize, &str) {
    let group = match key.split('.').next() {
        _ if key == "general.architecture" => 0,
        Some("general") => 1,
        Some("tokenizer") => 3,
        _ => 2,
    };
    (group, key)
}
