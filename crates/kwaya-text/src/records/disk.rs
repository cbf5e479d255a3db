//! A file on disk that is read as a stream, and that is known to have been the
//! one that was listed: its hash is made of the bytes as they are read, or, of
//! files that are not read from start to end, once more afterwards.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use kwaya_base::Error;

use super::{HEAD_BYTES, Input, Kind, Record, Task, read, sniff};
use crate::{Reason, extract::Extractor};

/// A file on disk.
pub(crate) struct Disk<'a> {
    pub(crate) path: &'a Path,
    pub(crate) task: Task<'a>,
    /// What it was when it was listed.
    pub(crate) hash: blake3::Hash,
}

/// What those who wait for a file see and say while it is read.
#[derive(Default)]
pub(crate) struct Watch {
    /// How much of it was read.
    pub(crate) position: AtomicU64,
    /// Whether to end.
    pub(crate) stopped: AtomicBool,
}

struct Tracked<'a> {
    file: File,
    hasher: Option<blake3::Hasher>,
    watch: &'a Watch,
}

impl Read for Tracked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.stopped.load(Relaxed) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let read = self.file.read(buffer)?;
        self.watch.position.fetch_add(read as u64, Relaxed);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..read]);
        }
        Ok(read)
    }
}

impl Seek for Tracked<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Disk<'_> {
    /// Reads its records, until `sink` says that it wants no more.
    ///
    /// # Errors
    /// `source-changed` when it is not the file that was listed, or when the
    /// child process cannot be started.
    pub(crate) fn read(
        &self,
        extractor: &mut Extractor,
        watch: &Watch,
        sink: &mut dyn FnMut(Record) -> bool,
    ) -> Result<(), Error> {
        match self.try_read(extractor, watch, sink) {
            Ok(done) => done,
            // What is wrong with the disk, not with the file.
            Err(error) => {
                let detail = (Reason::Unreadable, error.to_string());
                sink(Record::refused("", None, detail, self.task.bytes));
                Ok(())
            }
        }
    }

    fn try_read(
        &self,
        extractor: &mut Extractor,
        watch: &Watch,
        sink: &mut dyn FnMut(Record) -> bool,
    ) -> io::Result<Result<(), Error>> {
        let mut file = File::open(self.path)?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        (&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        file.rewind()?;
        let mut ended = false;
        let mut sink = |record| {
            ended |= !sink(record);
            !ended
        };
        let mut tracked = Tracked { file, hasher: None, watch };
        let (done, hash) = match sniff(self.task.name, &head) {
            Some(kind @ (Kind::Zip | Kind::Parquet)) => {
                let input = match kind {
                    Kind::Zip => Input::Zip(&mut tracked),
                    _ => Input::Parquet(self.path),
                };
                let done = read(self.task, input, extractor, &mut sink);
                if ended || done.is_err() {
                    return Ok(done);
                }
                watch.position.store(self.task.bytes, Relaxed);
                let mut file = tracked.file;
                file.rewind()?;
                (done, blake3::Hasher::new().update_reader(file)?.finalize())
            }
            _ => {
                tracked.hasher = Some(blake3::Hasher::new());
                // A file that has grown is noticed, not read in full.
                let mut limited = tracked.take(self.task.bytes.saturating_add(1));
                let done = read(self.task, Input::Stream(&mut limited), extractor, &mut sink);
                if ended || done.is_err() {
                    return Ok(done);
                }
                io::copy(&mut limited, &mut io::sink())?;
                let hasher = limited.into_inner().hasher.unwrap_or_default();
                (done, hasher.finalize())
            }
        };
        Ok(if hash == self.hash { done } else { Err(Error::new("source-changed").path(self.path)) })
    }
}
