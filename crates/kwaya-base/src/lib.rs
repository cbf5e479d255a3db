//! What every Kwaya crate shares: words for people, errors that say what to
//! do next, files that survive a power cut, and progress.
//!
//! It knows nothing of models or text. `kwaya-math` does without it.

pub mod error;
pub mod files;
pub mod languages;
pub mod messages;
pub mod progress;

pub use error::{Error, Result};
pub use progress::{Progress, Silent, Unit};
