//! The store, `build/store/`: artefacts named by the BLAKE3 hash of their
//! content, written once. A stage whose key stands in the ledger, and whose
//! outputs are still in the store, is not run again.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use kwaya_base::{Error, Result, error::At, files};

/// The artefacts of one build folder.
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens `folder`, making it when it is missing, and clears what an
    /// interrupted write left behind.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).at(folder)?;
        let scratch = folder.join("scratch");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).at(&scratch)?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// A new empty folder for a stage to work in, on the store's file system.
    pub fn scratch(&self) -> Result<tempfile::TempDir> {
        let scratch = self.folder.join("scratch");
        fs::create_dir_all(&scratch).at(&scratch)?;
        tempfile::tempdir_in(&scratch).at(&scratch)
    }

    /// Takes the finished file `from` in and gives its hash. What lies under
    /// that name already may be damaged, so it is replaced.
    pub fn add(&self, from: &Path) -> Result<String> {
        let hash = hash_file(from)?;
        files::publish(from, &self.path(&hash))?;
        Ok(hash)
    }

    /// Where the artefact with this hash lies, whether or not it is there.
    pub fn path(&self, hash: &str) -> PathBuf {
        self.folder.join(hash)
    }

    /// Whether the artefact is there with its content whole. Reads it all:
    /// a disk that went bad must not be trusted by name.
    pub fn holds(&self, hash: &str) -> bool {
        let path = self.path(hash);
        path.is_file() && hash_file(&path).is_ok_and(|found| found == hash)
    }

    /// Makes `link` another name of the artefact (a hard link, or a copy
    /// where the file system has no links).
    pub fn show(&self, hash: &str, link: &Path) -> Result<()> {
        let from = self.path(hash);
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent).at(parent)?;
        }
        // Renamed into place, so that a reader never finds it missing.
        let temporary = link.with_file_name(".writing-link.tmp");
        let _ = fs::remove_file(&temporary);
        if fs::hard_link(&from, &temporary).is_err() {
            fs::copy(&from, &temporary).at(link)?;
        }
        fs::rename(&temporary, link).at(link)?;
        // A rename between two names of one file does nothing.
        let _ = fs::remove_file(&temporary);
        files::sync_folder(link.parent().unwrap_or(Path::new(".")))
    }
}

/// BLAKE3 of a file's content, in hex.
pub fn hash_file(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).at(path)?;
    io::copy(&mut file, &mut hasher).at(path)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// How often, and how long apart, a lock is tried for: somebody may only be
/// looking whether it is held.
const GLANCES: u32 = 3;
const GLANCE_TIME: Duration = Duration::from_millis(20);

/// Holds a build folder for one process. The operating system lets go of it
/// when the process ends, however it ends, so a stale one needs no guessing.
pub struct FolderLock(#[expect(dead_code, reason = "held for its lock")] File);

impl FolderLock {
    /// Takes the lock of `folder`, or says which process holds it.
    pub fn take(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).at(folder)?;
        let path = folder.join("lock");
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).at(&path)?;
        let mut locked = file.try_lock();
        for _ in 0..GLANCES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(GLANCE_TIME);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&mut file).take(32).read_to_string(&mut holder);
                return Err(Error::new("folder-busy").path(folder).arg("process", holder.trim()));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io(&path, error)),
        }
        file.set_len(0).at(&path)?;
        file.seek(SeekFrom::Start(0)).at(&path)?;
        writeln!(file, "{}", std::process::id()).at(&path)?;
        Ok(Self(file))
    }

    /// Whether a process holds `folder` now. To know it takes the lock for an
    /// instant, for which [`Self::take`] has patience.
    pub fn is_held(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join("lock")) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artefact_is_known_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let hash = {
            let scratch = store.scratch().unwrap();
            let file = scratch.path().join("x");
            fs::write(&file, b"ugali").unwrap();
            store.add(&file).unwrap()
        };
        assert_eq!(hash, blake3::hash(b"ugali").to_hex().to_string());
        assert!(store.holds(&hash));
        let link = dir.path().join("shown/ugali.txt");
        store.show(&hash, &link).unwrap();
        assert_eq!(fs::read(&link).unwrap(), b"ugali");
        fs::write(store.path(&hash), b"uji").unwrap();
        assert!(!store.holds(&hash), "a changed artefact is not held");
        fs::write(dir.path().join("again"), b"ugali").unwrap();
        store.add(&dir.path().join("again")).unwrap();
        assert!(store.holds(&hash), "made again, it takes the place of the damaged one");
        fs::write(store.path(&hash), b"uji").unwrap();
    }

    #[test]
    fn a_second_lock_names_the_holder_and_a_dropped_one_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let first = FolderLock::take(dir.path()).unwrap();
        let error = FolderLock::take(dir.path()).err().unwrap();
        assert_eq!(error.key(), "folder-busy");
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        assert!(FolderLock::is_held(dir.path()) && !FolderLock::is_held(&dir.path().join("other")));
        drop(first);
        assert!(!FolderLock::is_held(dir.path()));
        FolderLock::take(dir.path()).unwrap();
    }
}
