//! Sorting more than fits in memory: numbers are collected up to a limit, sorted,
//! and written to disk as a run; the runs are merged as they are read back.
//!
//! A record is one `u128`: a key in its high bits and what belongs to the key
//! below. What comes out does not depend on the limit.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use kwaya_base::{Result, error::At};

/// The bytes of a record on disk.
const RECORD: usize = 16;
/// A run is read in blocks of at least so many records.
const BLOCK_MIN: usize = 256;

/// Takes numbers in any order.
pub(crate) struct Sorter {
    /// Where the runs are, named for errors; it has no name on the disk.
    folder: PathBuf,
    file: Option<File>,
    runs: Vec<Range<u64>>,
    buffer: Vec<u128>,
    /// Records that `buffer` may hold.
    limit: usize,
}

impl Sorter {
    /// A sorter that takes about `memory` bytes, and the rest in `folder`.
    pub(crate) fn new(folder: &Path, memory: usize) -> Self {
        let limit = (memory / RECORD).max(BLOCK_MIN);
        Self { folder: folder.to_owned(), file: None, runs: Vec::new(), buffer: Vec::new(), limit }
    }

    /// Takes one.
    pub(crate) fn push(&mut self, record: u128) -> Result<()> {
        if self.buffer.len() == self.limit {
            self.spill()?;
        }
        self.buffer.push(record);
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        self.buffer.sort_unstable();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder).at(&self.folder)?),
        };
        let begin = self.runs.last().map_or(0, |run| run.end);
        let mut bytes = Vec::with_capacity(BLOCK_MIN * RECORD);
        for records in self.buffer.chunks(BLOCK_MIN) {
            bytes.clear();
            records.iter().for_each(|record| bytes.extend_from_slice(&record.to_le_bytes()));
            file.write_all(&bytes).at(&self.folder)?;
        }
        self.runs.push(begin..begin + (self.buffer.len() * RECORD) as u64);
        self.buffer.clear();
        Ok(())
    }

    /// All of them in ascending order, each as often as it was taken.
    pub(crate) fn finish(mut self) -> Result<Sorted> {
        if self.runs.is_empty() {
            self.buffer.sort_unstable();
            let memory = self.buffer.into_iter();
            return Ok(Sorted { folder: self.folder, file: None, memory, runs: Vec::new(), heap: BinaryHeap::new() });
        }
        self.spill()?;
        let block = (self.limit / self.runs.len()).max(BLOCK_MIN);
        drop(self.buffer);
        let runs = self.runs.into_iter().map(|left| Run { left, block, records: Vec::new().into_iter() }).collect();
        let mut sorted = Sorted {
            folder: self.folder,
            file: self.file,
            memory: Vec::new().into_iter(),
            runs,
            heap: BinaryHeap::new(),
        };
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }
}

/// What a [`Sorter`] took, in order.
pub(crate) struct Sorted {
    folder: PathBuf,
    file: Option<File>,
    /// All records, where no run was written.
    memory: std::vec::IntoIter<u128>,
    runs: Vec<Run>,
    /// The next record of each run that has one.
    heap: BinaryHeap<Reverse<(u128, usize)>>,
}

struct Run {
    /// What of the file has not been read.
    left: Range<u64>,
    /// Records to read at once.
    block: usize,
    records: std::vec::IntoIter<u128>,
}

impl Sorted {
    /// Puts the next record of `run` on the heap.
    fn refill(&mut self, run: usize) -> Result<()> {
        let Run { left, block, records } = &mut self.runs[run];
        if records.as_slice().is_empty() && !left.is_empty() {
            let file = self.file.as_mut().expect("runs are in a file");
            let end = left.end.min(left.start + (*block * RECORD) as u64);
            let mut bytes = vec![0; (end - left.start) as usize];
            file.seek(SeekFrom::Start(left.start)).at(&self.folder)?;
            file.read_exact(&mut bytes).at(&self.folder)?;
            *records = bytes.as_chunks().0.iter().copied().map(u128::from_le_bytes).collect::<Vec<_>>().into_iter();
            left.start = end;
        }
        if let Some(record) = records.next() {
            self.heap.push(Reverse((record, run)));
        }
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = Result<u128>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.file.is_none() {
            return self.memory.next().map(Ok);
        }
        let Reverse((record, run)) = self.heap.pop()?;
        Some(self.refill(run).map(|()| record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_memory_does_not_show() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = 7_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u128::from(state >> 50) << 77 | u128::from(state >> 60)
        };
        for count in [0, 1, BLOCK_MIN - 1, BLOCK_MIN, BLOCK_MIN + 1, 40 * BLOCK_MIN + 3] {
            let records: Vec<u128> = (0..count).map(|_| next()).collect();
            let mut expected = records.clone();
            expected.sort_unstable();
            for memory in [0, 3000 * RECORD, 1 << 20] {
                let mut sorter = Sorter::new(dir.path(), memory);
                records.iter().for_each(|record| sorter.push(*record).unwrap());
                let sorted: Vec<u128> = sorter.finish().unwrap().map(Result::unwrap).collect();
                assert!(sorted == expected, "{count} records in {memory} bytes");
            }
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left on the disk");
    }
}
