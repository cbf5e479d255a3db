//! Files that survive a power cut: written under a temporary name in the
//! same folder, synced, renamed, and the folder synced. A reader sees the old
//! content or the new, never a part.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::error::{At, Result};

/// What an unfinished file is called, with chance letters between.
const PREFIX: &str = ".writing-";
const SUFFIX: &str = ".tmp";

/// Writes `path` durably with what `fill` writes. On any error the old file,
/// if there was one, is untouched and the temporary file is gone.
pub fn write_with<T>(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
    let folder = parent(path);
    let temporary = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder).at(folder)?;
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.reopen().at(path)?);
    let value = fill(&mut writer)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error).at(path)?;
    readable(&file).at(path)?;
    file.sync_all().at(path)?;
    drop(file);
    temporary.persist(path).map_err(|e| e.error).at(path)?;
    sync_folder(folder)?;
    Ok(value)
}

/// Writes `bytes` to `path` durably.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |writer| writer.write_all(bytes).at(path))
}

/// Moves the finished file `from` to `to` durably. Both must be on one file
/// system.
pub fn publish(from: &Path, to: &Path) -> Result<()> {
    let file = File::open(from).at(from)?;
    readable(&file).at(from)?;
    file.sync_all().at(from)?;
    drop(file);
    fs::rename(from, to).at(to)?;
    sync_folder(parent(to))
}

/// Removes what interrupted writes left in `folder`, if it is there. Only for
/// folders that nobody else is writing in.
pub fn clear_unfinished(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.at(folder)?,
    };
    for entry in entries {
        let path = entry.at(folder)?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes()) {
            fs::remove_file(&path).at(&path)?;
        }
    }
    Ok(())
}

/// Makes the names in `folder` durable. Windows has no such call and needs
/// none.
pub fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(folder).at(folder)?.sync_all().at(folder)?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Temporary files are made private; a finished artefact is for everybody
/// who may read the folder.
fn readable(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(&path, b"old").unwrap();
        let failed: Result<()> = write_with(&path, |w| {
            w.write_all(b"new").unwrap();
            Err(Error::new("interrupted"))
        });
        assert_eq!(failed.unwrap_err().key(), "interrupted");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_writer_left_is_cleared_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".writing-abc.tmp", ".writing", "a.tmp", "b.txt"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        clear_unfinished(dir.path()).unwrap();
        assert!(!dir.path().join(".writing-abc.tmp").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        clear_unfinished(&dir.path().join("missing")).unwrap();
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write(Path::new("/nonexistent/kwaya/a"), b"x").unwrap_err();
        assert_eq!(error.key(), "io-not-found");
        assert!(error.to_string().contains("/nonexistent/kwaya"), "{error}");
    }
}
