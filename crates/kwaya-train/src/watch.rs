//! The log of a training while it runs, for whoever watches from another
//! process: `log.jsonl` beside its checkpoints, which come minutes apart. It
//! is not made durable and nothing is gone on from: a training whose watchers
//! lose it loses nothing.
//!
//! A log stays when its training was stopped, or given up for another. Whether one
//! is being written says a lock on the file beside it: the operating system lets
//! go of it when the process ends, however it ends.

use std::{
    fs::{self, File, TryLockError},
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    thread,
    time::Duration,
};

use crate::train::LogEntry;

const FILE: &str = "log.jsonl";
/// Not the log itself: on Windows nobody could read what is locked.
const LOCK: &str = "log.lock";
/// How often, and how long apart, the lock is tried for: somebody may only be
/// looking whether it is held.
const GLANCES: u32 = 4;
const GLANCE_TIME: Duration = Duration::from_millis(20);
/// Between two lines: as long as this, and a part of the time that the
/// training has taken, so that a long one has no more to show than a picture can.
const SECONDS_MIN: f64 = 0.5;
const PART: f64 = 0.002;
/// No honest log is longer.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The log of the training that this process runs.
pub(crate) struct Live {
    /// None once the disk would not have it: that stops no training.
    file: Option<File>,
    shown: f64,
    /// Held as long as it is written.
    _lock: Option<File>,
}

impl Live {
    /// Begins with what was there before.
    pub(crate) fn begin(folder: &Path, log: &[LogEntry]) -> Self {
        let lock = hold(&folder.join(LOCK));
        let mut live = Self { file: File::create(folder.join(FILE)).ok(), shown: f64::NEG_INFINITY, _lock: lock };
        log.iter().for_each(|entry| live.add(entry));
        live
    }

    /// Writes a step down, if it is time.
    pub(crate) fn add(&mut self, entry: &LogEntry) {
        let due = entry.seconds - self.shown >= SECONDS_MIN.max(PART * entry.seconds);
        let Some(file) = self.file.as_mut().filter(|_| due || entry.held_out.is_some()) else { return };
        let line = serde_json::to_string(entry).expect("an entry becomes JSON");
        // A line at once, so that nobody reads a part of one.
        if file.write_all(format!("{line}\n").as_bytes()).is_err() {
            self.file = None;
        }
        self.shown = entry.seconds;
    }
}

/// The steps of the training with checkpoints in `folder`, some of them left
/// out; none where nothing can be read.
fn watch(folder: &Path) -> Vec<LogEntry> {
    let Ok(file) = File::open(folder.join(FILE)) else { return Vec::new() };
    let lines = BufReader::new(file.take(FILE_BYTES_MAX)).lines().map_while(Result::ok);
    lines.map_while(|line| serde_json::from_str(&line).ok()).collect()
}

/// The lock of a log, if nobody has it and the disk has room for it.
fn hold(path: &Path) -> Option<File> {
    let file = File::create(path).ok()?;
    for _ in 0..GLANCES {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) => thread::sleep(GLANCE_TIME),
            Err(TryLockError::Error(_)) => return None,
        }
    }
    None
}

/// Whether a process writes the log in `folder` now. To know it takes the lock
/// for an instant.
fn is_written(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(LOCK)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// A training as its log shows it.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Its steps, some of them left out.
    pub log: Vec<LogEntry>,
    /// Whether a process is at it now.
    pub runs: bool,
}

/// The training that runs, or else the one that was written to last, among those
/// with folders in `checkpoints`.
pub fn watch_newest(checkpoints: &Path) -> Watched {
    let folders = fs::read_dir(checkpoints).into_iter().flatten().flatten().map(|entry| entry.path());
    let written = |folder: &Path| fs::metadata(folder.join(FILE)).and_then(|found| found.modified()).ok();
    let newest = folders.filter_map(|folder| Some((is_written(&folder), written(&folder)?, folder))).max();
    newest.map(|(runs, _, folder)| Watched { log: watch(&folder), runs }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: u64, seconds: f64, held_out: Option<f32>) -> LogEntry {
        LogEntry { step, loss: 1.0, learning_rate: 0.1, gradient_norm: 1.0, tokens: step, seconds, held_out }
    }

    #[test]
    fn whoever_watches_sees_what_a_picture_can_show() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("one");
        fs::create_dir(&folder).unwrap();
        let before: Vec<_> = (1..=10).map(|step| entry(step, step as f64 * 0.1, None)).collect();
        let mut live = Live::begin(&folder, &before);
        let steps = |log: &[LogEntry]| log.iter().map(|entry| entry.step).collect::<Vec<_>>();
        assert_eq!(steps(&watch(&folder)), [1, 6]);
        live.add(&entry(11, 1.01, Some(2.0)));
        live.add(&entry(12, 1.02, None));
        assert_eq!(steps(&watch(&folder)), [1, 6, 11]);
        // A week of a step a second.
        (13..600_000).for_each(|step| live.add(&entry(step, step as f64, None)));
        let lines = watch(&folder).len();
        assert!((1_000..10_000).contains(&lines), "{lines}");
        assert_eq!(watch_newest(place.path()).log.len(), lines);
        // Half a line, or none at all.
        File::options().append(true).open(folder.join(FILE)).unwrap().write_all(b"{\"step\": 7").unwrap();
        assert_eq!(watch(&folder).len(), lines);
        assert!(watch(&place.path().join("other")).is_empty() && watch_newest(&folder).log.is_empty());
    }
    #[test]
    fn a_log_that_was_left_behind_is_of_no_training_that_runs() {
        let place = tempfile::tempdir().unwrap();
        let begin = |name: &str, steps: u64| {
            let folder = place.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            Live::begin(&folder, &(1..=steps).map(|step| entry(step, step as f64, None)).collect::<Vec<_>>())
        };
        let seen = || {
            let watched = watch_newest(place.path());
            (watched.log.len(), watched.runs)
        };
        assert_eq!(seen(), (0, false));
        let one = begin("one", 3);
        assert_eq!((seen(), seen()), ((3, true), (3, true)));
        // A newer one that was given up is not the one that runs.
        drop(begin("another", 5));
        assert_eq!(seen(), (3, true));
        drop(one);
        assert!(!seen().1);
        // Gone on with.
        let _one = begin("one", 4);
        assert_eq!(seen(), (4, true));
    }
}
