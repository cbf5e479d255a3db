//! The ledger, `ledger.jsonl`: one line per stage run, append only, each
//! line carrying the hash of the line before, so that a line that is changed
//! or taken away later shows.
//!
//! A line is a JSON object whose last member `hash` is the BLAKE3 of the
//! line's bytes without that member.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result, error::At, files};
use serde::{Deserialize, Serialize};

/// The hash before the first line.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// No honest line is longer; bounds what a damaged file can make us read.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// One stage run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the line, from 0.
    pub index: u64,
    /// The hash of the line before.
    pub previous: String,
    /// When it ended, seconds since 1970, by this machine's clock.
    pub time: u64,
    /// Which stage.
    pub stage: String,
    /// The stage's key: the hash of its inputs, options and code version.
    pub key: String,
    /// Hashes of what went in, by name.
    pub inputs: Vec<Named>,
    /// Hashes of what came out, by name.
    pub outputs: Vec<Named>,
    /// The version of the program.
    pub version: String,
    /// How long it took.
    pub seconds: f64,
    /// The most memory the program had meanwhile, where the system says.
    pub peak_memory_bytes: Option<u64>,
    /// The figures of the stage.
    pub figures: serde_json::Value,
}

/// A thing with its BLAKE3 hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What it is called in the build folder.
    pub name: String,
    /// BLAKE3 of its content, in hex.
    pub hash: String,
}

/// The open ledger of one build.
pub struct Ledger {
    path: PathBuf,
    entries: Vec<Entry>,
    last: String,
}

impl Ledger {
    /// Opens and checks the whole chain, to go on with it. A last line that
    /// was cut off by a power cut is removed: it was never finished. Anything
    /// else that is wrong is an error.
    pub fn open(path: &Path) -> Result<Self> {
        let (ledger, whole) = Self::walk(path)?;
        if let Some(whole) = whole {
            let file = OpenOptions::new().write(true).open(path).at(path)?;
            file.set_len(whole).at(path)?;
            file.sync_all().at(path)?;
        }
        Ok(ledger)
    }

    /// Reads and checks the whole chain and changes nothing: another process
    /// may be writing.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self::walk(path)?.0)
    }

    /// The ledger, and the length of its whole lines when the last is not.
    fn walk(path: &Path) -> Result<(Self, Option<u64>)> {
        let mut ledger = Self { path: path.to_owned(), entries: Vec::new(), last: GENESIS.to_owned() };
        if !path.exists() {
            return Ok((ledger, None));
        }
        let mut reader = BufReader::new(File::open(path).at(path)?);
        let mut whole = 0;
        loop {
            let mut line = Vec::new();
            let read = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).at(path)?;
            if read == 0 {
                return Ok((ledger, None));
            }
            if line.pop() != Some(b'\n') {
                return Ok((ledger, Some(whole)));
            }
            let number = ledger.entries.len() + 1;
            let (entry, hash) = check(&line, &ledger.last, number as u64 - 1)
                .ok_or_else(|| Error::new("ledger-broken").path(path).arg("line", number))?;
            ledger.entries.push(entry);
            ledger.last = hash;
            whole += read as u64;
        }
    }

    /// All lines, first to last.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The hash that stands for the whole ledger up to now.
    pub fn head(&self) -> &str {
        &self.last
    }

    /// The newest line of `stage` with exactly this `key`.
    pub fn find(&self, stage: &str, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.stage == stage && e.key == key)
    }

    /// Adds a line durably; fills in `index` and `previous`.
    pub fn append(&mut self, mut entry: Entry) -> Result<()> {
        entry.index = self.entries.len() as u64;
        entry.previous = self.last.clone();
        let (line, hash) = seal(&entry);
        let new = !self.path.exists();
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).at(&self.path)?;
        let before = file.seek(SeekFrom::End(0)).at(&self.path)?;
        if let Err(error) = file.write_all(&line).and_then(|()| file.sync_all()) {
            // Half a line must not stay behind a full disk.
            let _ = file.set_len(before);
            return Err(Error::io(&self.path, error));
        }
        if new {
            files::sync_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        }
        self.entries.push(entry);
        self.last = hash;
        Ok(())
    }
}

/// The line of `entry`, with its hash and the line end, and the hash.
fn seal(entry: &Entry) -> (Vec<u8>, String) {
    let body = serde_json::to_string(entry).expect("an entry is plain data");
    let hash = blake3::hash(body.as_bytes()).to_hex().to_string();
    let open = body.strip_suffix('}').expect("an object ends in a brace");
    (format!("{open},\"hash\":\"{hash}\"}}\n").into_bytes(), hash)
}

/// Reads a line back when its hash, place and predecessor are right.
fn check(line: &[u8], previous: &str, index: u64) -> Option<(Entry, String)> {
    let text = std::str::from_utf8(line).ok()?;
    let (open, rest) = text.rsplit_once(",\"hash\":\"")?;
    let stated = rest.strip_suffix("\"}")?;
    let body = format!("{open}}}");
    let hash = blake3::hash(body.as_bytes()).to_hex().to_string();
    let entry: Entry = serde_json::from_str(&body).ok()?;
    (hash == stated && entry.previous == previous && entry.index == index).then_some((entry, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn entry(stage: &str) -> Entry {
        Entry {
            index: 0,
            previous: String::new(),
            time: 1,
            stage: stage.into(),
            key: "k".into(),
            inputs: vec![],
            outputs: vec![Named { name: "a".into(), hash: "b".into() }],
            version: "0".into(),
            seconds: 0.1,
            peak_memory_bytes: None,
            figures: serde_json::json!({"x": [1.5, "}\",\"hash\":\""]}),
        }
    }

    fn three() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        let mut ledger = Ledger::open(&path).unwrap();
        for stage in ["corpus", "train", "export"] {
            ledger.append(entry(stage)).unwrap();
        }
        (dir, path)
    }

    #[test]
    fn lines_are_read_back() {
        let (_dir, path) = three();
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.entries().len(), 3);
        assert_eq!(ledger.find("train", "k").unwrap().index, 1);
        assert!(ledger.find("train", "other").is_none());
    }

    #[test]
    fn any_changed_byte_of_a_whole_line_shows() {
        let (_dir, path) = three();
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() - 1 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            // A damaged line end joins two lines or cuts the last: also seen,
            // except where it only makes the last line unfinished.
            match Ledger::open(&path) {
                Err(error) => assert_eq!(error.key(), "ledger-broken"),
                Ok(ledger) => assert!(ledger.entries().len() < 3, "byte {at} changed unseen"),
            }
        }
    }

    #[test]
    fn a_line_taken_away_shows() {
        let (_dir, path) = three();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        fs::write(&path, format!("{}\n{}\n", lines[0], lines[2])).unwrap();
        assert_eq!(Ledger::open(&path).err().unwrap().key(), "ledger-broken");
    }

    #[test]
    fn a_line_cut_by_a_power_cut_is_forgotten_and_the_next_follows() {
        let (_dir, path) = three();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.entries().len(), 2);
        ledger.append(entry("export")).unwrap();
        assert_eq!(Ledger::open(&path).unwrap().entries().len(), 3);
    }
}
