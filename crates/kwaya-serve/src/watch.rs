//! Whether the files of a model are still those that were read.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Files of a model folder at the most.
const FILES_MAX: usize = 1000;

/// Length and time of each file.
#[derive(PartialEq, Eq)]
struct Stamp(Option<(u64, Option<SystemTime>)>);

/// The files of a model as they were.
pub(crate) struct Files(Vec<(PathBuf, Stamp)>);

impl Files {
    /// Those of the model in `place`, a folder or a file.
    pub(crate) fn of(place: &Path) -> Self {
        let mut paths: Vec<PathBuf> = match fs::read_dir(place) {
            Ok(entries) => entries.take(FILES_MAX).filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(_) => vec![place.to_owned()],
        };
        paths.retain(|path| path.is_file());
        Self::these(paths)
    }

    /// These, of which some may not be there yet.
    pub(crate) fn these(paths: Vec<PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path.clone(), stamp(&path))).collect())
    }

    pub(crate) fn have_changed(&self) -> bool {
        self.0.iter().any(|(path, before)| stamp(path) != *before)
    }
}

fn stamp(path: &Path) -> Stamp {
    Stamp(fs::metadata(path).ok().map(|found| (found.len(), found.modified().ok())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_or_goes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        for place in [folder.path(), &path] {
            let files = Files::of(place);
            assert!(!files.have_changed());
            fs::write(&path, "other").unwrap();
            assert!(files.have_changed());
            fs::write(&path, "one").unwrap();
        }
        let files = Files::of(&path);
        fs::remove_file(&path).unwrap();
        assert!(files.have_changed());
    }
}
