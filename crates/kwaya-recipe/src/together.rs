//! A build by several processes. Rank 0 does all of it but the training, in
//! which the others, who wait until then, do their share.

use std::path::{Path, PathBuf};

use kwaya_base::{Error, Progress, Result};
use kwaya_math::Pool;
use kwaya_model::{Config, Lora, Source};
#[cfg(feature = "mpi")]
pub use kwaya_train::Mpi;
pub use kwaya_train::{Alone, Ranks};
use kwaya_train::{Keep, Options, Schedule, TokenFile, agree};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sysinfo::System;

use crate::{learning::Learning, lock, machine, text_model};

/// What rank 0 gives the others to train.
#[derive(Serialize, Deserialize)]
struct Work {
    /// The sizes of a model that begins from nothing.
    config: Option<Config>,
    schedule: Schedule,
    keep: Keep,
    /// Training and held-out tokens, from the build folder.
    files: [PathBuf; 2],
    /// The weights to begin from, from the folder of the recipe.
    base: Option<PathBuf>,
    lora: Option<Lora>,
}

/// Threads for the training: `asked`, or this process's part of the machine.
pub fn threads(asked: Option<usize>, ranks: &dyn Ranks) -> usize {
    let allowed = machine::threads(asked);
    if asked.is_some() || ranks.beside() == 1 {
        return allowed;
    }
    // mpirun may have allotted processors already, but need not have.
    let processors = System::new().map_or(allowed, |mut system| {
        system.refresh_cpu_all();
        system.cpus().len()
    });
    allowed.min((processors / ranks.beside()).max(1))
}

/// What must be the same on all ranks before they can understand each other.
fn version() -> [(&'static str, String); 1] {
    [("version", format!("{} ({})", env!("CARGO_PKG_VERSION"), lock::arithmetics()))]
}

/// Gives the other ranks their work, which is that of [`Learning::train`].
///
/// # Errors
/// When one of them cannot do it; then none begins.
pub(crate) fn begin(
    ranks: &dyn Ranks,
    learning: &Learning<'_>,
    base: Option<PathBuf>,
    schedule: &Schedule,
    keep: Keep,
    files: [PathBuf; 2],
) -> Result<()> {
    let config = learning.base.is_none().then(|| learning.config());
    let lora = learning.lora.clone();
    let work = Work { config, schedule: schedule.clone(), keep, files, base, lora };
    ranks.tell(json!({ "train": work }).to_string().as_bytes());
    agree(ranks, Ok(()), &version())
}

/// Tells the other ranks that this process ends with `code`, so that they do.
pub fn end(ranks: &dyn Ranks, code: u8) {
    ranks.tell(json!({ "end": code }).to_string().as_bytes());
}

/// What every rank but rank 0 does: the work that rank 0 gives it, for the
/// build in `folder`, until rank 0 ends. Gives the exit code of rank 0, which
/// has also said what went wrong.
pub fn follow(ranks: &dyn Ranks, folder: &Path, threads: usize, progress: &dyn Progress) -> u8 {
    loop {
        let word: Value = serde_json::from_slice(&ranks.listen()).unwrap_or_default();
        if let Some(code) = word.get("end") {
            return code.as_u64().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        }
        // All ranks have the same errors, and rank 0 reports them.
        let _ = work(ranks, &word["train"], folder, threads, progress);
    }
}

fn work(ranks: &dyn Ranks, word: &Value, folder: &Path, threads: usize, progress: &dyn Progress) -> Result<()> {
    let open = || -> Result<_> {
        let work = Work::deserialize(word).map_err(|e| Error::new("ranks-work").arg("cause", e))?;
        let [training, held_out] = work.files.each_ref().map(|file| TokenFile::open(&folder.join("build").join(file)));
        let base = work.base.as_ref().map(|named| Source::open(&text_model::place(&folder.join(named))?));
        Ok((training?, held_out?, base.transpose()?, work))
    };
    let (training, held_out, base, work) = agree(ranks, open(), &version())?;
    let learning = match (&base, work.config) {
        (Some(base), _) => Learning::of_base(base, work.lora)?,
        (None, config) => Learning::from_nothing(config.unwrap_or_default()),
    };
    let options = Options { activations: work.keep, ranks, ..Options::default() };
    let checkpoints = folder.join("build").join("checkpoints");
    let pool = Pool::new(threads);
    learning.train(&work.schedule, &training, &held_out, &checkpoints, &options, &pool, progress)?;
    Ok(())
}
