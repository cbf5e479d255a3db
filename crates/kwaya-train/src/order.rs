//! The order of the data: the documents one after the other, cut into rows of
//! equal length, and the rows shuffled anew in each epoch.
//!
//! A document is read as `[opening, t1, t2, ...]` and predicted as
//! `[t1, t2, ..., end-of-text]`. The opening is a token of the document that
//! is not among its tokens; for most it is end-of-text too, so that the end of
//! one opens the next:
//!
//! ```text
//! stream   a b c E d e E f ...          E = end-of-text
//! row 0    reads  E a b c     predicts a b c E     (4 targets a row)
//! row 1    reads  E d e E     predicts d e E f
//! ```
//!
//! A query sees its own document alone (`starts`) and counts its position from
//! the document's start in the row. Targets after the last full row are
//! dropped, unless that row is the only one. A token that the file's mask
//! leaves out is read and not predicted.

use kwaya_math::philox;
use kwaya_model::{Batch, IGNORED};

use crate::tokens::TokenFile;

/// The random numbers of the order.
const DATA_ORDER: u32 = 3 << 16;

/// A token file as rows of `length` targets.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    file: &'a TokenFile,
    length: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(file: &'a TokenFile, length: usize) -> Self {
        Self { file, length }
    }

    /// Targets in a row.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// How many there are: at least 1 where there are tokens.
    pub(crate) fn count(&self) -> u64 {
        match self.file.tokens() {
            0 => 0,
            tokens => (tokens / self.length as u64).max(1),
        }
    }

    /// How many targets of a row count: all, but for those that are masked,
    /// and those missing where the only row is short.
    pub(crate) fn targets(&self, row: u64) -> u64 {
        let first = row * self.length as u64;
        self.file.counted(first..self.file.tokens().min(first + self.length as u64))
    }

    /// The row that comes at place `index` of the endless sequence of epochs.
    pub(crate) fn shuffled(&self, seed: u64, index: u64) -> u64 {
        let rows = self.count();
        philox::permute(seed, DATA_ORDER, index / rows, rows, index % rows)
    }
}

/// Rows on their way into the model.
#[derive(Default)]
pub(crate) struct BatchBuffer {
    rows: usize,
    tokens: Vec<u32>,
    targets: Vec<u32>,
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl BatchBuffer {
    /// Replaces what is held by the given rows.
    pub(crate) fn fill(&mut self, rows: &Rows<'_>, indices: impl Iterator<Item = u64>) {
        self.rows = 0;
        for buffer in [&mut self.tokens, &mut self.targets, &mut self.starts, &mut self.positions] {
            buffer.clear();
        }
        for index in indices {
            self.push(rows, index);
        }
    }

    fn push(&mut self, rows: &Rows<'_>, row: u64) {
        let (file, length) = (rows.file, rows.length);
        let first = row * length as u64;
        let count = (file.tokens() - first).min(length as u64);
        let mut document = file.document_of(first);
        let mut start = 0;
        for place in 0..length as u32 {
            let index = first + u64::from(place);
            // Past the end of a short row, each position is a document of its
            // own that predicts nothing.
            let (mut token, mut target) = (file.end_of_text(), IGNORED);
            if u64::from(place) < count {
                let at = &file.documents()[document];
                let begins = index == at.tokens.start;
                token = if begins { at.opening } else { file.token(index - 1) };
                if begins {
                    start = place;
                }
                if file.counts(index) {
                    target = file.token(index);
                }
                document += usize::from(index + 1 == at.tokens.end);
            } else {
                start = place;
            }
            self.tokens.push(token);
            self.targets.push(target);
            self.starts.push(start);
            self.positions.push(place - start);
        }
        self.rows += 1;
    }

    /// Replaces what is held by `rows` rows that are one document each.
    pub(crate) fn fill_whole(
        &mut self,
        rows: usize,
        tokens: impl Iterator<Item = u32>,
        targets: impl Iterator<Item = u32>,
    ) {
        for buffer in [&mut self.tokens, &mut self.targets, &mut self.starts, &mut self.positions] {
            buffer.clear();
        }
        self.rows = rows;
        self.tokens.extend(tokens);
        self.targets.extend(targets);
        let (n, length) = (self.tokens.len(), self.tokens.len() / rows);
        self.starts.resize(n, 0);
        self.positions.extend((0..n).map(|i| (i % length) as u32));
    }

    /// What is held, for the model.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            rows: self.rows,
            tokens_per_row: self.tokens.len() / self.rows.max(1),
            tokens: &self.tokens,
            targets: &self.targets,
            starts: &self.starts,
            positions: &self.positions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tests::{masked, opened, write};

    /// The example at the top of this file, with a = 1, b = 2, ... and E = 0.
    #[test]
    fn documents_open_and_close_with_end_of_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), &[&[1, 2, 3], &[4], &[5, 6, 7, 8]]);
        let rows = Rows::new(&file, 4);
        assert_eq!(rows.count(), 2);
        let mut buffer = BatchBuffer::default();
        buffer.fill(&rows, 0..2);
        let batch = buffer.batch();
        assert_eq!((batch.rows, batch.tokens_per_row), (2, 4));
        assert_eq!(batch.tokens, [0, 1, 2, 3, 0, 4, 0, 5]);
        assert_eq!(batch.targets, [1, 2, 3, 0, 4, 0, 5, 6]);
        assert_eq!(batch.starts, [0, 0, 0, 0, 0, 0, 2, 2]);
        assert_eq!(batch.positions, [0, 1, 2, 3, 0, 1, 0, 1]);
    }

    #[test]
    fn very_little_text_is_one_padded_row() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), &[&[1, 2]]);
        let rows = Rows::new(&file, 5);
        assert_eq!((rows.count(), rows.targets(0)), (1, 3));
        let mut buffer = BatchBuffer::default();
        buffer.fill(&rows, [rows.shuffled(1, 7)].into_iter());
        assert_eq!(buffer.batch().tokens, [0, 1, 2, 0, 0]);
        assert_eq!(buffer.batch().targets, [1, 2, 0, IGNORED, IGNORED]);
        assert_eq!(buffer.batch().starts, [0, 0, 0, 3, 4]);
    }

    #[test]
    fn documents_open_with_their_own_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let file = opened(dir.path(), &[&[1, 0, 3], &[4], &[5, 6]], &[7, 8, 7]).unwrap();
        let rows = Rows::new(&file, 3);
        let mut buffer = BatchBuffer::default();
        buffer.fill(&rows, 0..3);
        let batch = buffer.batch();
        assert_eq!(batch.tokens, [7, 1, 0, 3, 8, 4, 7, 5, 6]);
        assert_eq!(batch.targets, [1, 0, 3, 0, 4, 0, 5, 6, 0]);
        assert_eq!(batch.starts, [0, 0, 0, 0, 1, 1, 0, 0, 0]);
        assert_eq!(batch.positions, [0, 1, 2, 0, 0, 1, 0, 1, 2]);
    }

    #[test]
    fn what_is_masked_is_read_and_not_predicted() {
        let dir = tempfile::tempdir().unwrap();
        let file = masked(dir.path(), &[&[1, 2, 3], &[4, 5, 6]], &[0, 0, 1, 1, 0, 1, 1, 0]).unwrap();
        let rows = Rows::new(&file, 4);
        assert_eq!((rows.targets(0), rows.targets(1)), (2, 2));
        let mut buffer = BatchBuffer::default();
        buffer.fill(&rows, 0..2);
        let batch = buffer.batch();
        assert_eq!(batch.tokens, [0, 1, 2, 3, 0, 4, 5, 6]);
        assert_eq!(batch.targets, [IGNORED, IGNORED, 3, 0, IGNORED, 5, 6, IGNORED]);
        assert_eq!(batch.starts, [0; 8]);
    }

    #[test]
    fn each_epoch_has_every_row_once_in_an_order_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), &[&[1; 399]]);
        let rows = Rows::new(&file, 4);
        let epoch = |epoch: u64| (0..100).map(|i| rows.shuffled(3, epoch * 100 + i)).collect::<Vec<_>>();
        let (first, second) = (epoch(0), epoch(1));
        assert_ne!(first, second);
        for mut order in [first, second] {
            order.sort_unstable();
            assert!(order.into_iter().eq(0..100));
        }
    }
}
