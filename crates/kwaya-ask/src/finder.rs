//! Which model finds passages beside their words: the one that somebody names,
//! or the one that was named before.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result, error::At, files};
use kwaya_recipe::text_model;

/// In the folder of a recipe: the model that was named.
const NOTE: &str = "build/ask/model";

/// What finds passages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finder {
    /// Their words alone.
    Words,
    /// Their words, as the model that was named before is not there any more.
    Gone(PathBuf),
    /// Their words, and what the model in this place makes of them.
    Model(PathBuf),
}

impl Finder {
    /// What is named for no model.
    pub const OFF: &str = "off";

    /// What finds the passages of the build in `folder`: the model that is
    /// `named`, their words alone where that is `off`, and else what was named
    /// before.
    ///
    /// # Errors
    /// When there is no such model; when the note of it cannot be taken away.
    pub fn of(folder: &Path, named: Option<&str>) -> Result<Self> {
        match named {
            Some(Self::OFF) => {
                let note = folder.join(NOTE);
                match fs::remove_file(&note) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(&note, error)),
                    _ => Ok(Self::Words),
                }
            }
            Some(named) => {
                let place = text_model::place(Path::new(named))?;
                fs::metadata(&place).at(&place)?;
                Ok(Self::Model(place))
            }
            None => Ok(match fs::read_to_string(folder.join(NOTE)) {
                Err(_) => Self::Words,
                Ok(noted) => {
                    let place = PathBuf::from(noted.trim_end());
                    if place.exists() { Self::Model(place) } else { Self::Gone(place) }
                }
            }),
        }
    }

    /// Notes that the passages of the build in `folder` are found by the model
    /// in `place` from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(folder: &Path, place: &Path) -> Result<()> {
        let place = place.canonicalize().at(place)?;
        files::write(&folder.join(NOTE), format!("{}\n", place.display()).as_bytes())
    }
}
