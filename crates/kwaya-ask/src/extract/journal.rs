//! What is known of documents already, beside the output: a line of JSON for
//! each, so that work that was stopped goes on, and only new documents are asked
//! about the next time.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kwaya_base::{Error, Result, error::At};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a power cut may cost.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// The longest line. No answer is as long.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// What a document and all that decides over its answer are called.
pub(super) type Key = [u8; 32];

/// What was found out of a document: a value for each column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) values: Vec<Value>,
    /// For each column, where each of its values stands.
    pub(super) places: Vec<Vec<Option<Place>>>,
    /// Whether the model did not come to an end.
    pub(super) cut: bool,
}

/// A place in a text and the sentence it is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) passage: String,
}

#[derive(Serialize, Deserialize)]
struct Line<A> {
    key: String,
    answer: A,
}

/// The file.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    places: HashMap<Key, Range<u64>>,
    end: u64,
    synced: Instant,
}

impl Journal {
    /// Opens it, or makes it; what was written last and is no whole line is taken
    /// away. With `anew` nothing is known.
    ///
    /// # Errors
    /// `extract-busy` when another process has it.
    pub(super) fn open(path: &Path, anew: bool) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).at(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::new("extract-busy").path(path)),
            Err(TryLockError::Error(error)) => return Err(Error::io(path, error)),
        }
        if anew {
            file.set_len(0).at(path)?;
        }
        let (mut places, mut end) = (HashMap::new(), 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).at(path)? as u64;
            if line.last() != Some(&b'\n') {
                break;
            }
            // A line that is damaged, or not ours, is nothing that is known.
            if let Some(key) = serde_json::from_slice::<Line<Answer>>(&line).ok().and_then(|line| bytes(&line.key)) {
                places.insert(key, end..end + length);
            }
            end += length;
        }
        file.set_len(end).at(path)?;
        Ok(Self { path: path.to_owned(), file, places, end, synced: Instant::now() })
    }

    pub(super) fn knows(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    /// What is known of a document.
    pub(super) fn get(&mut self, key: &Key) -> Result<Option<Answer>> {
        let Some(place) = self.places.get(key) else { return Ok(None) };
        let mut line = vec![0; (place.end - place.start) as usize];
        self.file.seek(SeekFrom::Start(place.start)).at(&self.path)?;
        self.file.read_exact(&mut line).at(&self.path)?;
        let line: Line<Answer> = serde_json::from_slice(&line)
            .map_err(|cause| Error::io(&self.path, std::io::Error::new(ErrorKind::InvalidData, cause)))?;
        Ok(Some(line.answer))
    }

    /// Makes something known.
    pub(super) fn add(&mut self, key: &Key, answer: &Answer) -> Result<()> {
        let key_text = blake3::Hash::from_bytes(*key).to_hex().to_string();
        let line = serde_json::to_string(&Line { key: key_text, answer }).expect("values become JSON") + "\n";
        self.file.seek(SeekFrom::Start(self.end)).at(&self.path)?;
        self.file.write_all(line.as_bytes()).at(&self.path)?;
        let end = self.end + line.len() as u64;
        self.places.insert(*key, self.end..end);
        self.end = end;
        if self.synced.elapsed() > SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes what was added durable.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.synced = Instant::now();
        self.file.sync_data().at(&self.path)
    }
}

/// Where nothing was found out no file is left.
impl Drop for Journal {
    fn drop(&mut self) {
        if self.end == 0 {
            // It may lie where nothing can be removed; it is empty then.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn bytes(key: &str) -> Option<Key> {
    blake3::Hash::from_hex(key).ok().map(|hash| *hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_known_again_and_what_is_torn_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv.journal");
        let answer = |name: &str| Answer {
            values: vec![json!(name), json!(0.1), Value::Null],
            places: vec![
                vec![Some(Place { start: 3, end: 9, passage: format!("Mimi {name}.\n") })],
                vec![None],
                Vec::new(),
            ],
            cut: false,
        };
        let mut journal = Journal::open(&path, false).unwrap();
        assert_eq!(Journal::open(&path, false).err().unwrap().key(), "extract-busy");
        journal.add(&[1; 32], &answer("Asha")).unwrap();
        journal.add(&[2; 32], &answer("Juma")).unwrap();
        assert_eq!(journal.get(&[1; 32]).unwrap(), Some(answer("Asha")));
        journal.add(&[3; 32], &answer("Rehema")).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let lengths: Vec<usize> = whole.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).collect();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut journal = Journal::open(&path, false).unwrap();
            let known = (1..=3).filter(|key| journal.knows(&[*key; 32])).count();
            assert_eq!(known, (0..=3).rev().find(|n| lengths[..*n].iter().sum::<usize>() <= length).unwrap());
            assert_eq!(journal.get(&[1; 32]).unwrap(), (known > 0).then(|| answer("Asha")));
            journal.add(&[4; 32], &answer("Neema")).unwrap();
            drop(journal);
            assert_eq!(Journal::open(&path, false).unwrap().get(&[4; 32]).unwrap(), Some(answer("Neema")));
        }
        fs::write(&path, [b"{\"key\": \"x\"}\n\xff\n", &whole[..]].concat()).unwrap();
        assert!(Journal::open(&path, false).unwrap().knows(&[3; 32]));
        let journal = Journal::open(&path, true).unwrap();
        assert!(!journal.knows(&[1; 32]));
        drop(journal);
        assert!(!path.exists());
    }
}
