//! Training: from a file of tokens to a model, with AdamW, a schedule, a fixed
//! order of the data, checkpoints that survive a power cut, and figures on
//! text the model has not seen.
//!
//! A trained model is a function of the configuration, the [`Schedule`] and
//! the tokens alone: not of the number of threads or of processes, and not of
//! how often the training was interrupted.

mod checkpoint;
mod evaluate;
mod measure;
#[cfg(feature = "mpi")]
mod mpi;
mod order;
mod ranks;
mod schedule;
mod step;
mod tokens;
mod train;
mod tree;
mod tune;
mod watch;

pub use checkpoint::reached;
pub use evaluate::{LanguageScore, SAMPLED_TOKENS, bits_per_byte, sampled_bits_per_byte};
pub use kwaya_model::{Keep, Precision};
pub use measure::{Measured, Memory, measure, measure_tuning, measure_whole, measure_within, memory, tuning_memory};
#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use ranks::{Alone, Ranks, agree};
pub use schedule::{Decay, Schedule};
pub use tokens::{Document, TokenFile};
pub use train::{LogEntry, Options, Outcome, train, train_from};
pub use tune::{tune, weights_hash};
pub use watch::{Watched, watch_newest};
