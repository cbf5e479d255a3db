//! All texts of a file, one after the other, for those who want no corpus of them.

use kwaya_base::Result;

use super::{Extracted, Extractor, Format, Worker, mend};
use crate::{
    Reason, chat,
    lines::{self, Line},
    records::{self, Disk, Record, Task, Watch},
    sources::File,
};

/// A text, or why there is none, with more for experts.
pub type Taken<'a> = std::result::Result<&'a str, (Reason, &'a str)>;

/// Takes every text out of a file, or says why there is none: those of its
/// members, rows, lines, pages or messages, where it holds many, each with its
/// name within the file. A text of more than `max` bytes is none.
///
/// # Errors
/// `worker-failed` when the child process cannot be started.
pub fn texts(name: &str, bytes: &[u8], max: u64, worker: &Worker, take: &mut dyn FnMut(&str, Taken<'_>)) -> Result<()> {
    let (mut reader, mut extractor) = (Extractor::new(worker), Extractor::new(worker));
    let task = Task { name, bytes: bytes.len() as u64, record_bytes_max: max, column: None };
    let mut failed = Ok(());
    let mut each = |record: Record| {
        failed = extractor.give(name, record, take);
        failed.is_ok()
    };
    records::read_bytes(task, bytes, &mut reader, &mut each)?;
    failed
}

/// Takes every text out of files on disk as [`texts`] does, with the same child
/// processes for all, and without holding more of a file than one of its texts.
pub struct Texts {
    reader: Extractor,
    extractor: Extractor,
    bytes_max: u64,
}

impl Texts {
    /// A text of more than `bytes_max` bytes is none.
    pub fn new(worker: &Worker, bytes_max: u64) -> Self {
        Self { reader: Extractor::new(worker), extractor: Extractor::new(worker), bytes_max }
    }

    /// Gives the texts of `file` to `take`, until it wants no more. A row or a line
    /// without a name is called by its number.
    ///
    /// # Errors
    /// `worker-failed` when the child process cannot be started, `source-changed`
    /// when the file is not as it was listed; what it holds now was given.
    pub fn of(&mut self, file: &File, take: &mut dyn FnMut(&str, Taken<'_>) -> bool) -> Result<()> {
        let Self { reader, extractor, bytes_max } = self;
        let task = Task { name: &file.name, bytes: file.bytes, record_bytes_max: *bytes_max, column: None };
        let disk = Disk { path: &file.path, task, hash: file.hash };
        let mut done = Ok(());
        let mut each = |record: Record| {
            let mut goes_on = true;
            let number = record.place.map(|(_, number)| number.to_string());
            done = extractor.give(&file.name, record, &mut |part, taken| {
                let parts = [Some(part).filter(|part| !part.is_empty()), number.as_deref()];
                goes_on = take(&parts.into_iter().flatten().collect::<Vec<_>>().join("/"), taken);
            });
            done.is_ok() && goes_on
        };
        disk.read(reader, &Watch::default(), &mut each)?;
        done
    }
}

impl Extractor {
    /// Gives the text of a record of the file `name` to `take`, or why there is
    /// none; of a chat all that is said.
    fn give(&mut self, name: &str, record: Record, take: &mut dyn FnMut(&str, Taken<'_>)) -> Result<()> {
        let part = record.part.clone();
        match self.extract_record(name, record)? {
            Ok(Extracted { text, format: Format::Lines, .. }) => match lines::parse(&text, None) {
                Ok(Line::Text(text)) => take(&part, Ok(&text)),
                Ok(Line::Chat(messages)) => take(&part, Ok(&chat::words(&messages))),
                Err(detail) => take(&part, Err((Reason::BadLine, &detail))),
            },
            Ok(Extracted { text, format, mut history }) => take(&part, Ok(&mend(text, format, &mut history))),
            Err((reason, detail)) => take(&part, Err((reason, &detail))),
        }
        Ok(())
    }
}
