//! How long work tells its watcher where it is, and learns that it should
//! stop. Library crates report here; only the program draws.

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of input.
    Bytes,
    /// Documents or files.
    Documents,
    /// Optimiser steps.
    Steps,
    /// Tokens.
    Tokens,
}

/// The watcher of a long piece of work. All methods may be called from any
/// thread.
pub trait Progress: Sync {
    /// A phase begins: `key` names a message, `total` is how much there is.
    fn begin(&self, key: &'static str, total: u64, unit: Unit);
    /// So much of the phase is done.
    fn at(&self, done: u64);
    /// A short line of figures beside the bar, such as the loss.
    fn figures(&self, _text: &str) {}
    /// Something a person should know, that does not stop the work.
    fn warn(&self, _text: &str) {}
    /// The phase is over.
    fn end(&self) {}
    /// True when the person asked to stop: leave things resumable and return
    /// the error `interrupted`.
    fn stopped(&self) -> bool {
        false
    }
}

/// A watcher that looks away.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &'static str, _: u64, _: Unit) {}
    fn at(&self, _: u64) {}
}
