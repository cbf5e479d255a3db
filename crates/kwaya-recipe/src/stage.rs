//! A stage of a build: run once for its inputs, then known by its key.
//!
//! The key is the hash of the stage's name, its revision, its options and
//! the hashes of its inputs. When the ledger has a line with that key and
//! the store still holds the outputs whole, the stage is skipped.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use kwaya_base::{Error, Result, error::At, files};
use serde::Serialize;

use crate::{
    ledger::{Entry, Ledger, Named},
    machine,
    store::{FolderLock, Store},
};

/// In the build folder: what stages that were stopped left.
pub(crate) const UNFINISHED: &str = "unfinished";

/// The build folder of one recipe, held by this process.
pub struct Workshop {
    /// `DIR/build`.
    pub folder: PathBuf,
    /// Its artefacts.
    pub store: Store,
    /// Its history.
    pub ledger: Ledger,
    _lock: FolderLock,
}

/// What a stage is, apart from what it does.
pub struct Stage<'a, O> {
    /// Its name in the ledger.
    pub name: &'static str,
    /// Raised when the stage's code changes what it makes.
    pub revision: u32,
    /// Everything but the inputs that decides its outputs.
    pub options: &'a O,
    /// What goes in.
    pub inputs: &'a [Named],
    /// The files it makes in its scratch folder.
    pub outputs: &'a [&'static str],
}

/// A stage that is done, now or earlier.
#[derive(Clone, Debug, Serialize)]
pub struct Done {
    /// Its name.
    pub stage: &'static str,
    /// Whether it had been done before.
    pub skipped: bool,
    /// How long it took, when it ran.
    pub seconds: f64,
    /// The most memory the program had meanwhile, where the system says.
    pub peak_memory_bytes: Option<u64>,
    /// What it made.
    pub outputs: Vec<Named>,
    /// Its figures.
    pub figures: serde_json::Value,
}

impl Done {
    /// The output called `name`.
    ///
    /// # Panics
    /// When the stage has no such output: a mistake in this crate.
    pub fn output(&self, name: &str) -> &Named {
        self.outputs.iter().find(|o| o.name == name).expect("a stage's output is asked for by its name")
    }
}

impl Workshop {
    /// Opens `DIR/build` and takes its lock.
    pub fn open(recipe_folder: &Path) -> Result<Self> {
        let folder = recipe_folder.join("build");
        let lock = FolderLock::take(&folder)?;
        for place in ["", "build", "build/corpus", "build/model", "build/cards"] {
            files::clear_unfinished(&recipe_folder.join(place))?;
        }
        let store = Store::open(&folder.join("store"))?;
        let ledger = Ledger::open(&folder.join("ledger.jsonl"))?;
        Ok(Self { folder, store, ledger, _lock: lock })
    }

    /// The finished run of `stage`, when there is one that still holds.
    pub fn known<O: Serialize>(&self, stage: &Stage<'_, O>) -> Option<Done> {
        let entry = self.ledger.find(stage.name, &key(stage))?;
        let whole = entry.outputs.iter().all(|output| self.store.holds(&output.hash));
        whole.then(|| Done {
            stage: stage.name,
            skipped: true,
            seconds: entry.seconds,
            peak_memory_bytes: entry.peak_memory_bytes,
            outputs: entry.outputs.clone(),
            figures: entry.figures.clone(),
        })
    }

    /// Runs `stage` unless it is known. `work` gets an empty folder, leaves
    /// the outputs there, and returns the figures for the ledger.
    pub fn run<O: Serialize>(
        &mut self,
        stage: &Stage<'_, O>,
        work: impl FnOnce(&Self, &Path) -> Result<serde_json::Value>,
    ) -> Result<Done> {
        if let Some(done) = self.known(stage) {
            return Ok(done);
        }
        let began = Instant::now();
        machine::reset_peak_memory();
        let scratch = self.store.scratch()?;
        let figures = work(self, scratch.path())?;
        let mut outputs = Vec::with_capacity(stage.outputs.len());
        for name in stage.outputs {
            let hash = self.store.add(&scratch.path().join(name))?;
            outputs.push(Named { name: (*name).to_owned(), hash });
        }
        let seconds = began.elapsed().as_secs_f64();
        let peak_memory_bytes = machine::peak_memory();
        machine::release_memory();
        self.ledger.append(Entry {
            index: 0,
            previous: String::new(),
            time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            stage: stage.name.to_owned(),
            key: key(stage),
            inputs: stage.inputs.to_vec(),
            outputs: outputs.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seconds,
            peak_memory_bytes,
            figures: figures.clone(),
        })?;
        scratch.close().at(&self.folder)?;
        remove(&self.folder.join(UNFINISHED).join(stage.name))?;
        Ok(Done { stage: stage.name, skipped: false, seconds, peak_memory_bytes, outputs, figures })
    }

    /// The folder, perhaps with something in it already, where `stage` leaves what
    /// it can go on from when it is stopped. What the same stage left for other
    /// inputs or options is removed.
    pub fn unfinished<O: Serialize>(&self, stage: &Stage<'_, O>) -> Result<PathBuf> {
        let (all, key) = (self.folder.join(UNFINISHED).join(stage.name), key(stage));
        fs::create_dir_all(&all).at(&all)?;
        for entry in fs::read_dir(&all).at(&all)? {
            let entry = entry.at(&all)?;
            if entry.file_name() != key.as_str() {
                remove(&entry.path())?;
            }
        }
        let folder = all.join(key);
        fs::create_dir_all(&folder).at(&folder)?;
        Ok(folder)
    }

    /// Where an output of a stage lies.
    pub fn artefact(&self, output: &Named) -> PathBuf {
        self.store.path(&output.hash)
    }
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(folder, error)),
        _ => Ok(()),
    }
}

/// The name of a stage with its inputs and options: their hash.
pub fn key<O: Serialize>(stage: &Stage<'_, O>) -> String {
    #[derive(Serialize)]
    struct Key<'a, O> {
        stage: &'a str,
        revision: u32,
        options: &'a O,
        inputs: &'a [Named],
    }
    let key = Key { stage: stage.name, revision: stage.revision, options: stage.options, inputs: stage.inputs };
    let bytes = serde_json::to_vec(&key).expect("a key is plain data");
    blake3::hash(&bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage<'a>(options: &'a u32, inputs: &'a [Named]) -> Stage<'a, u32> {
        Stage { name: "corpus", revision: 1, options, inputs, outputs: &["a.txt"] }
    }

    fn make(text: &'static str) -> impl FnOnce(&Workshop, &Path) -> Result<serde_json::Value> {
        move |_, folder| {
            fs::write(folder.join("a.txt"), text).unwrap();
            Ok(serde_json::json!({ "length": text.len() }))
        }
    }

    #[test]
    fn a_stage_runs_once_for_its_key_and_again_when_anything_changes() {
        let dir = tempfile::tempdir().unwrap();
        let mut shop = Workshop::open(dir.path()).unwrap();
        let first = shop.run(&stage(&1, &[]), make("maize")).unwrap();
        assert!(!first.skipped);
        let again = shop.run(&stage(&1, &[]), |_, _| panic!("the stage is known")).unwrap();
        assert!(again.skipped);
        assert_eq!(again.figures, first.figures);
        assert!(!shop.run(&stage(&2, &[]), make("beans")).unwrap().skipped, "other options");
        let input = [Named { name: "x".into(), hash: "y".into() }];
        assert!(!shop.run(&stage(&1, &input), make("beans")).unwrap().skipped, "other inputs");
        fs::remove_file(shop.artefact(first.output("a.txt"))).unwrap();
        assert!(!shop.run(&stage(&1, &[]), make("maize")).unwrap().skipped, "a lost output");
    }

    #[test]
    fn a_failed_stage_leaves_no_line_and_no_artefact() {
        let dir = tempfile::tempdir().unwrap();
        let mut shop = Workshop::open(dir.path()).unwrap();
        let error = shop.run(&stage(&1, &[]), |_, _| Err(Error::new("interrupted"))).unwrap_err();
        assert_eq!(error.key(), "interrupted");
        assert!(shop.ledger.entries().is_empty());
        assert!(shop.known(&stage(&1, &[])).is_none());
    }
}
