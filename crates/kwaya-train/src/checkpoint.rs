//! Checkpoints: all that training needs to go on as if nothing had happened,
//! in one safetensors file per checkpoint, `step-00001234.safetensors`.
//!
//! ```text
//! weights, first_moment, second_moment    F32 (parameters), laid out as in the model, or the adapters
//! metadata    version; step; identity: hash of all that decides the bits; log: JSON; checksum
//! ```

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Progress, Result, error::At, say};
use kwaya_model::tensors;
use safetensors::{Dtype, SafeTensors};

use crate::{
    step::{Learner, State},
    train::LogEntry,
};

/// The format of the checkpoints that this program writes and reads. Files
/// from before it was stated count as "0".
const VERSION: &str = "1";

const TENSORS: [&str; 3] = ["weights", "first_moment", "second_moment"];

/// How far a training with checkpoints in `folder` has come, by the newest
/// that can be read; `None` when there is none. For showing, not for going on:
/// the checksum is not looked at.
pub fn reached(folder: &Path) -> Option<LogEntry> {
    let (_, path) = list(folder).ok()?.pop()?;
    let mapped = tensors::Mapped::open(&path).ok()?;
    let (_, header) = mapped.header(&path).ok()?;
    let log: Vec<LogEntry> = serde_json::from_str(header.metadata().as_ref()?.get("log")?).ok()?;
    log.into_iter().last()
}

/// The checkpoints of one training, in a folder of their own.
pub(crate) struct Checkpoints<'a> {
    folder: &'a Path,
    identity: String,
    keep: usize,
}

impl<'a> Checkpoints<'a> {
    /// `identity` is the hash of all that decides the bits; the newest `keep`
    /// checkpoints stay.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub(crate) fn open(folder: &'a Path, identity: String, keep: usize) -> Result<Self> {
        fs::create_dir_all(folder).at(folder)?;
        let checkpoints = Self { folder, identity, keep: keep.max(1) };
        // What a power cut left half-written.
        checkpoints.remove(|name| name.starts_with(".writing-"))?;
        Ok(checkpoints)
    }

    /// The newest checkpoint that is whole, or `None`, read into what `blank`
    /// makes. Damaged ones are passed over with a warning.
    ///
    /// # Errors
    /// `checkpoint-foreign` when the newest whole one belongs to another
    /// training, `checkpoint-version` when it was written by another version
    /// of the program: nothing is overwritten then.
    pub(crate) fn latest<L: Learner>(
        &self,
        blank: &dyn Fn() -> L,
        progress: &dyn Progress,
    ) -> Result<Option<(State<L>, Vec<LogEntry>)>> {
        for (_, path) in list(self.folder)?.into_iter().rev() {
            match self.read(&path, blank) {
                Ok(found) => return Ok(Some(found)),
                Err(error) if matches!(error.key(), "checkpoint-foreign" | "checkpoint-version") => return Err(error),
                Err(error) => {
                    progress.warn(&say!("checkpoint-passed-over", path = path.display(), cause = error));
                }
            }
        }
        Ok(None)
    }

    /// Writes a checkpoint durably, then removes the oldest beyond `keep`.
    ///
    /// # Errors
    /// When it cannot be written; the older ones are then untouched.
    pub(crate) fn write(&self, state: &State<impl Learner>, log: &[LogEntry]) -> Result<()> {
        let path = self.folder.join(format!("step-{:08}.safetensors", state.step));
        let values = [state.learner.weights(), &state.first_moment, &state.second_moment];
        let log = serde_json::to_string(log).expect("a log becomes JSON");
        let step = state.step.to_string();
        let mut checksum = start_checksum(&step, &self.identity, &log);
        for values in values {
            tensors::for_each_block(values, |bytes| {
                checksum.update(bytes);
                Ok::<(), std::convert::Infallible>(())
            })
            .unwrap_or_else(|never| match never {});
        }
        let metadata = BTreeMap::from([
            ("version", VERSION.to_owned()),
            ("step", step),
            ("identity", self.identity.clone()),
            ("log", log),
            ("checksum", checksum.finalize().to_string()),
        ]);
        let shape = [state.learner.weights().len()];
        let entries: Vec<tensors::Entry<'_>> =
            TENSORS.into_iter().zip(values).map(|(name, values)| (name, &shape[..], values)).collect();
        tensors::write(&path, &metadata, &entries)?;
        // Those ahead of this one were passed over: they must not crowd out
        // the good ones.
        let list: Vec<_> = list(self.folder)?.into_iter().filter(|(step, _)| *step <= state.step).collect();
        for (_, path) in &list[..list.len().saturating_sub(self.keep)] {
            fs::remove_file(path).at(path)?;
        }
        Ok(())
    }

    fn read<L: Learner>(&self, path: &Path, blank: &dyn Fn() -> L) -> Result<(State<L>, Vec<LogEntry>)> {
        let damaged = || Error::new("checkpoint-damaged").path(path);
        let mapped = tensors::Mapped::open(path)?;
        let (_, header) = mapped.header(path)?;
        let metadata = header.metadata().as_ref();
        let find = |key: &str| metadata.and_then(|m| m.get(key)).map(String::as_str);
        // Before anything else: another version may have all of it otherwise.
        let version = find("version").unwrap_or("0");
        if version != VERSION {
            return Err(Error::usage("checkpoint-version").path(path).arg("found", version).arg("known", VERSION));
        }
        let text = |key: &str| find(key).ok_or_else(damaged);
        let (step, identity, log) = (text("step")?, text("identity")?, text("log")?);

        let file = mapped.read(path)?;
        let values: Vec<&[u8]> = TENSORS.into_iter().map_while(|name| f32_bytes(&file, name)).collect();
        let mut checksum = start_checksum(step, identity, log);
        for bytes in &values {
            checksum.update(bytes);
        }
        if text("checksum")? != checksum.finalize().to_string() {
            return Err(damaged());
        }
        // Whole, so it is somebody's: it is not passed over in silence.
        if identity != self.identity {
            return Err(Error::usage("checkpoint-foreign").path(path));
        }
        let &[weights, first, second] = &values[..] else { return Err(damaged()) };
        let mut state = State::new(blank());
        if values.iter().any(|bytes| bytes.len() != size_of_val(state.learner.weights())) {
            return Err(damaged());
        }
        tensors::read_values(state.learner.weights_mut(), weights);
        tensors::read_values(&mut state.first_moment, first);
        tensors::read_values(&mut state.second_moment, second);
        state.step = step.parse().map_err(|_| damaged())?;
        Ok((state, serde_json::from_str(log).map_err(|_| damaged())?))
    }

    fn remove(&self, which: impl Fn(&str) -> bool) -> Result<()> {
        for entry in fs::read_dir(self.folder).at(self.folder)? {
            let path = entry.at(self.folder)?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(&which) {
                fs::remove_file(&path).at(&path)?;
            }
        }
        Ok(())
    }
}

fn f32_bytes<'a>(file: &SafeTensors<'a>, name: &str) -> Option<&'a [u8]> {
    let view = file.tensor(name).ok()?;
    (view.dtype() == Dtype::F32).then(|| view.data())
}

/// Steps and paths of the checkpoints in `folder`, oldest first.
fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).at(folder)? {
        let path = entry.at(folder)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let step = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".safetensors"));
        if let Some(step) = step.and_then(|digits| digits.parse().ok()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The checksum covers the metadata, each text with its length, and the
/// tensors.
fn start_checksum(step: &str, identity: &str, log: &str) -> blake3::Hasher {
    let mut checksum = blake3::Hasher::new();
    for text in [step, identity, log] {
        checksum.update(&(text.len() as u64).to_le_bytes());
        checksum.update(text.as_bytes());
    }
    checksum
}
