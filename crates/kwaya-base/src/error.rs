//! The one error type of the crates above `kwaya-math`.
//!
//! An error is a key into the message file plus the things it is about. The
//! text lives in `messages/en.ftl`, so that it can be translated, and the key
//! is stable, so that programs (`--json`) and tests can rely on it.

use std::{fmt, io, path::Path};

use crate::messages;

/// A result whose error can be shown to a person.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose mistake it is; decides the exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The work failed: exit code 1.
    Failed,
    /// The command or the recipe is wrong: exit code 2.
    Usage,
}

/// What went wrong, on what, and (from the message file) what to do next.
pub struct Error(Box<Inner>);

struct Inner {
    key: &'static str,
    kind: Kind,
    args: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with the message `key`; its remedy is the attribute
    /// `.remedy` of the same message.
    pub fn new(key: &'static str) -> Self {
        Self(Box::new(Inner { key, kind: Kind::Failed, args: Vec::new(), source: None }))
    }

    /// Like [`Error::new`], for a mistake in the command or the recipe.
    pub fn usage(key: &'static str) -> Self {
        let mut error = Self::new(key);
        error.0.kind = Kind::Usage;
        error
    }

    /// Adds a thing that the message names.
    #[must_use]
    pub fn arg(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.args.push((name, value.to_string()));
        self
    }

    /// Adds a path that the message names.
    #[must_use]
    pub fn path(self, path: &Path) -> Self {
        self.arg("path", path.display())
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Turns an I/O error on `path` into one that names the path. A full
    /// disk and missing permission, which have remedies of their own, get
    /// messages of their own.
    pub fn io(path: &Path, error: io::Error) -> Self {
        let key = match error.kind() {
            io::ErrorKind::NotFound => "io-not-found",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "io-permission",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "io-disk-full",
            _ => "io-other",
        };
        Self::new(key).path(path).arg("cause", &error).source(error)
    }

    /// The key of the message, stable across versions and languages.
    pub fn key(&self) -> &'static str {
        self.0.key
    }

    /// Whose mistake it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The things the message is about, by name.
    pub fn args(&self) -> &[(&'static str, String)] {
        &self.0.args
    }

    /// What to do next, when the message file knows it.
    pub fn remedy(&self) -> Option<String> {
        messages::attribute(self.0.key, "remedy", &self.0.args)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&messages::format(self.0.key, &self.0.args))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}: {self}", self.0.key, self.0.args)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

/// Names the path in the error of an I/O call: `fs::read(p).at(p)?`.
pub trait At<T> {
    /// Wraps the error with the path it happened on.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|error| Error::io(path, error))
    }
}
