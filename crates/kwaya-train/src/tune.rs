//! Fine-tuning: adapters are trained beside the frozen weights of a model
//! that somebody else has trained, in all else as a model is.

use std::path::Path;

use kwaya_base::{Error, Progress, Result};
use kwaya_math::Pool;
use kwaya_model::{Adapters, Architecture, Config, Frozen, Source, tensors};
use serde::Serialize;

use crate::{
    ranks::agree,
    schedule::Schedule,
    step::Adapted,
    tokens::TokenFile,
    train::{Options, Outcome, Task},
};

/// Trains adapters, which begin as `adapters`, or goes on with a training
/// whose checkpoints are in `folder`: the same bits either way, as
/// [`crate::train`] has it.
///
/// # Errors
/// As [`crate::train`]; `lora-unfit` where the adapters are for a model of
/// other sizes.
#[expect(clippy::too_many_arguments, reason = "each is one thing that a training needs")]
pub fn tune(
    frozen: &Frozen<'_>,
    adapters: &Adapters,
    schedule: &Schedule,
    training: &TokenFile,
    held_out: &TokenFile,
    folder: &Path,
    options: &Options<'_>,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Outcome<Adapters>> {
    let (a, lora) = (frozen.architecture(), adapters.lora());
    let look = || {
        if !adapters.fits(a) {
            return Err(Error::new("lora-unfit"));
        }
        Ok(weights_hash(frozen.source())?.to_string())
    };
    let weights = agree(options.ranks, look(), &[])?;
    let mut first = blake3::Hasher::new();
    tensors::for_each_block(adapters.weights(), |bytes| {
        first.update(bytes);
        Ok::<(), std::convert::Infallible>(())
    })
    .unwrap_or_else(|never| match never {});
    let plan = (Computed::of(a), schedule, lora, weights, first.finalize().to_string());
    let task = Task {
        architecture: a,
        schedule,
        training,
        held_out,
        plan: serde_json::to_string(&plan).expect("numbers become JSON"),
        blank: &|| Adapted { frozen, adapters: Adapters::zeros(a, lora.clone()) },
        fresh: &|| Ok(Adapted { frozen, adapters: adapters.clone() }),
    };
    Ok(task.run(folder, options, pool, progress)?.map(|learner| learner.adapters))
}

/// What a model computes, among what decides bits. A plain Llama is in the words
/// of its configuration.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Computed<'a> {
    Plain(Box<Config>),
    Other(&'a Architecture),
}

impl<'a> Computed<'a> {
    pub(crate) fn of(a: &'a Architecture) -> Self {
        a.config().map_or(Self::Other(a), |config| Self::Plain(Box::new(config)))
    }
}

/// The hash of the weights of `source`, in the numbers of their file: of what
/// decides bits, whatever else is in the files and however they are named.
///
/// # Errors
/// When a tensor is missing or cannot be read.
pub fn weights_hash(source: &Source) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    for (name, shape) in source.architecture().tensors() {
        let view = source.tensor(&name)?;
        hasher.update(format!("{name} {shape:?} {}\n", view.format.name()).as_bytes());
        for row in 0..view.rows {
            hasher.update(view.row(row));
        }
    }
    Ok(hasher.finalize())
}
