//! The log of a training while it runs, for whoever watches from another
//! process: `log.jsonl` beside its checkpoints, which come minutes apart. It
//! is not made durable and nothing is gone on from: a training whose watchers
//! lose it loses nothing.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    path::Path,
};

use crate::train::LogEntry;

const FILE: &str = "log.jsonl";
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
}

impl Live {
    /// Begins with what was there before.
    pub(crate) fn begin(folder: &Path, log: &[LogEntry]) -> Self {
        let mut live = Self { file: File::create(folder.join(FILE)).ok(), shown: f64::NEG_INFINITY };
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

/// The training that was written to last, among those with folders in
/// `checkpoints`.
pub fn watch_newest(checkpoints: &Path) -> Vec<LogEntry> {
    let folders = fs::read_dir(checkpoints).into_iter().flatten().flatten().map(|entry| entry.path());
    let written = |folder: &Path| fs::metadata(folder.join(FILE)).and_then(|found| found.modified()).ok();
    let newest = folders.filter_map(|folder| Some((written(&folder)?, folder))).max();
    newest.map(|(_, folder)| watch(&folder)).unwrap_or_default()
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
        assert_eq!(watch_newest(place.path()).len(), lines);
        // Half a line, or none at all.
        File::options().append(true).open(folder.join(FILE)).unwrap().write_all(b"{\"step\": 7").unwrap();
        assert_eq!(watch(&folder).len(), lines);
        assert!(watch(&place.path().join("other")).is_empty() && watch_newest(&folder).is_empty());
    }
}
