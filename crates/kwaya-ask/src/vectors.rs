//! Passages as vectors: what a model makes of each, so that passages are found
//! that say the same in other words.
//!
//! A vector is the mean of the last states of a passage, less the mean of some
//! passages (states of one model mostly point the same way), in small numbers.
//!
//! ```text
//! file = head mean row*
//! head = JSON and a line end: format, width, passages
//! mean = width × f32, check
//! ```
//!
//! Rows and checks are those of `small.rs`. Numbers are little-endian. A file on its
//! way is called `vectors.part`, and is gone on with after the last row that is whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
    time::{Duration, Instant},
};

use kwaya_base::{Error, Progress, Result, Unit, error::At, files};
use kwaya_model::Conversations;
use kwaya_recipe::text_model::TextModel;
use serde::{Deserialize, Serialize};
use tantivy::directory::{Directory, MmapDirectory, OwnedBytes};

use crate::{
    index,
    small::{CHECK_BYTES, Small, is_whole, row_bytes, sealed},
};

const FILE: &str = "vectors";
const PART: &str = "vectors.part";
const FORMAT: &str = "kwaya-vectors-1";
/// A head is a short line.
const HEAD_BYTES_MAX: u64 = 1024;
/// No model has wider states.
const WIDTH_MAX: usize = 1 << 16;
/// Passages whose mean is taken from all.
const MEAN_OF: u64 = 256;
/// What a power cut may cost.
const SYNC_EVERY: Duration = Duration::from_secs(10);

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    width: usize,
    passages: u64,
}

/// The vectors of all passages of a library, with the model that made them.
pub(crate) struct Vectors {
    bytes: OwnedBytes,
    /// Where the first row begins.
    start: usize,
    mean: Vec<f32>,
}

impl Vectors {
    /// The vectors in the index folder `place`, made by `model` or going on from
    /// what was made of them. `text` gives the text of a passage by its number.
    ///
    /// # Errors
    /// `interrupted`; when a disk is full; those of `text` and of the model.
    pub(crate) fn open(
        place: &Path,
        passages: u64,
        model: &TextModel,
        text: impl Fn(u64) -> Result<String>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let head = Head { format: FORMAT.to_owned(), width: model.architecture().hidden, passages };
        let mut states = States { model, cache: model.conversations() };
        // Another model of the same width makes another vector of the first.
        let first = if passages > 0 { states.of(&text(0)?)? } else { Vec::new() };
        let of_model = |vectors: &Self| passages == 0 || vectors.row(0) == vectors.small(&first).row();
        if let Some(vectors) = Self::check(place, &head).filter(of_model) {
            return Ok(vectors);
        }
        loop {
            let lock = index::lock(place, progress)?;
            // Another process may have made them.
            if let Some(vectors) = Self::check(place, &head).filter(of_model) {
                return Ok(vectors);
            }
            if lock.is_some() {
                make(place, &head, &mut states, &first, text, progress)?;
                return Self::check(place, &head).ok_or_else(|| Error::new("ask-index-damaged").path(place));
            }
        }
    }

    /// The vectors that were made, if every row is as it was written.
    fn check(place: &Path, wanted: &Head) -> Option<Self> {
        let bytes = MmapDirectory::open(place).ok()?.open_read(Path::new(FILE)).ok()?.read_bytes().ok()?;
        let most = bytes.len().min(HEAD_BYTES_MAX as usize);
        let end = bytes[..most].iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        if head != *wanted || head.width > WIDTH_MAX {
            return None;
        }
        let start = end + 1 + 4 * head.width + CHECK_BYTES;
        let rows = usize::try_from(head.passages).ok()?.checked_mul(row_bytes(head.width))?;
        if bytes.len() != start.checked_add(rows)? {
            return None;
        }
        let mean = numbers(&bytes[end + 1..start])?;
        let vectors = Self { bytes, start, mean };
        let whole = vectors.rows().all(is_whole);
        whole.then_some(vectors)
    }

    /// Bytes of the file that they lie in.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes[self.start..].chunks_exact(row_bytes(self.mean.len()))
    }

    fn row(&self, number: usize) -> &[u8] {
        let bytes = row_bytes(self.mean.len());
        &self.bytes[self.start + number * bytes..][..bytes]
    }

    /// The `count` passages that are nearest to `text`, each with its cosine,
    /// nearest first; of equals the first.
    ///
    /// # Errors
    /// Those of the model.
    pub(crate) fn nearest(&self, model: &TextModel, text: &str, count: usize) -> Result<Vec<(f32, u32)>> {
        let question = self.small(&States { model, cache: model.conversations() }.of(text)?);
        Ok(question.nearest(model.pool(), &self.bytes[self.start..], count))
    }

    fn small(&self, state: &[f32]) -> Small {
        Small::of(state, &self.mean)
    }
}

/// What a model makes of texts.
struct States<'m> {
    model: &'m TextModel,
    cache: Conversations<'m>,
}

impl States<'_> {
    /// The mean of the last states of a text, as much of it as the model reads.
    fn of(&mut self, text: &str) -> Result<Vec<f32>> {
        let architecture = self.model.architecture();
        let mut tokens = self.model.codec().encode(text)?;
        tokens.truncate(architecture.context);
        let mut sum = vec![0.0_f64; architecture.hidden];
        let (conversation, _) = self.cache.begin(&[]);
        let added = self.cache.add_states(conversation, &tokens, &mut sum);
        self.cache.end(conversation);
        added?;
        let count = tokens.len().max(1) as f64;
        Ok(sum.into_iter().map(|x| (x / count) as f32).collect())
    }
}

/// Makes the vectors, after those that are there already.
fn make(
    place: &Path,
    head: &Head,
    states: &mut States<'_>,
    first: &[f32],
    text: impl Fn(u64) -> Result<String>,
    progress: &dyn Progress,
) -> Result<()> {
    let part = place.join(PART);
    progress.begin("ask-vectors", head.passages, Unit::Documents);
    let (mean, done) = match resume(&part, head, first)? {
        Some(known) => known,
        None => {
            let mean = mean(head, states, &text, progress)?;
            let mut start = serde_json::to_vec(head).expect("a head is plain data");
            start.push(b'\n');
            start.extend(sealed(mean.iter().flat_map(|x| x.to_le_bytes()).collect()));
            fs::write(&part, start).at(&part)?;
            (mean, 0)
        }
    };
    let mut out = BufWriter::new(OpenOptions::new().append(true).open(&part).at(&part)?);
    let mut synced = Instant::now();
    for number in done..head.passages {
        out.write_all(&Small::of(&states.of(&text(number)?)?, &mean).row()).at(&part)?;
        progress.at(number + 1);
        if progress.stopped() || synced.elapsed() > SYNC_EVERY {
            out.flush().and_then(|()| out.get_ref().sync_data()).at(&part)?;
            synced = Instant::now();
        }
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
    }
    out.flush().at(&part)?;
    drop(out);
    progress.end();
    files::publish(&part, &place.join(FILE))
}

/// The mean of passages from all over the library.
fn mean(
    head: &Head,
    states: &mut States<'_>,
    text: &impl Fn(u64) -> Result<String>,
    progress: &dyn Progress,
) -> Result<Vec<f32>> {
    let count = head.passages.min(MEAN_OF);
    let mut sum = vec![0.0_f64; head.width];
    for number in 0..count {
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        let state = states.of(&text(number * head.passages / count)?)?;
        sum.iter_mut().zip(state).for_each(|(sum, x)| *sum += f64::from(x));
    }
    Ok(sum.into_iter().map(|x| (x / count.max(1) as f64) as f32).collect())
}

/// The mean and the number of rows of a file that was begun by the same model
/// for the same passages; what is behind the last whole row is cut off.
fn resume(part: &Path, head: &Head, first: &[f32]) -> Result<Option<(Vec<f32>, u64)>> {
    let Ok(file) = File::open(part) else { return Ok(None) };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    (&mut reader).take(HEAD_BYTES_MAX).read_until(b'\n', &mut line).at(part)?;
    if serde_json::from_slice::<Head>(&line).ok().is_none_or(|found| found != *head) {
        return Ok(None);
    }
    let mut bytes = vec![0; 4 * head.width + CHECK_BYTES];
    if reader.read_exact(&mut bytes).is_err() {
        return Ok(None);
    }
    let Some(mean) = numbers(&bytes) else { return Ok(None) };
    let (mut found, mut done) = (vec![0; row_bytes(head.width)], 0);
    while done < head.passages && reader.read_exact(&mut found).is_ok() && is_whole(&found) {
        if done == 0 && found != Small::of(first, &mean).row() {
            return Ok(None);
        }
        done += 1;
    }
    let whole = line.len() as u64 + bytes.len() as u64 + done * found.len() as u64;
    OpenOptions::new().write(true).open(part).and_then(|file| file.set_len(whole)).at(part)?;
    Ok(Some((mean, done)))
}

/// Numbers with a check, if they are as they were written.
fn numbers(bytes: &[u8]) -> Option<Vec<f32>> {
    let four = |four: &[u8]| f32::from_le_bytes(four.try_into().expect("four bytes"));
    is_whole(bytes).then(|| bytes[..bytes.len() - CHECK_BYTES].chunks_exact(4).map(four).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "{\"format\":\"kwaya-vectors-1\",\"width\":3,\"passages\":4}\n";

    fn head() -> Head {
        Head { format: FORMAT.to_owned(), width: 3, passages: 4 }
    }

    fn state(number: u8) -> [f32; 3] {
        [f32::from(number), 1.0, -2.0]
    }

    fn file(rows: u8) -> Vec<u8> {
        let mut bytes = HEAD.as_bytes().to_vec();
        bytes.extend(sealed(vec![0; 12]));
        (0..rows).for_each(|number| bytes.extend(Small::of(&state(number), &[0.0; 3]).row()));
        bytes
    }

    #[test]
    fn what_was_begun_is_gone_on_with_after_the_last_whole_row() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join(PART);
        let resumed = |bytes: &[u8], first: u8| {
            fs::write(&part, bytes).unwrap();
            let known = resume(&part, &head(), &state(first)).unwrap();
            known.map(|(_, done)| (done, fs::read(&part).unwrap()))
        };
        assert_eq!(resumed(&file(2), 0), Some((2, file(2))));
        // Cut within a row, with rubbish behind it, and with a row that was hurt.
        assert_eq!(resumed(&file(3)[..file(3).len() - 1], 0), Some((2, file(2))));
        assert_eq!(resumed(&[file(2), vec![0; 5]].concat(), 0), Some((2, file(2))));
        let mut hurt = file(3);
        let at = file(1).len() + 5;
        hurt[at] ^= 1;
        assert_eq!(resumed(&hurt, 0), Some((1, file(1))));
        // Another model, other passages, no head.
        assert_eq!(resumed(&file(2), 9), None);
        assert_eq!(resumed(b"{}\n", 0), None);
        assert_eq!(resumed(b"", 0), None);
        assert_eq!(resumed(&HEAD.as_bytes()[..9], 0), None);
        assert_eq!(resumed(HEAD.as_bytes(), 0), None);
    }

    #[test]
    fn a_file_is_believed_when_every_row_of_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let whole = |bytes: &[u8]| {
            fs::write(folder.path().join(FILE), bytes).unwrap();
            Vectors::check(folder.path(), &head()).is_some()
        };
        assert!(whole(&file(4)));
        assert!(!whole(&file(3)) && !whole(&file(4)[1..]) && !whole(b"") && !whole(&[file(4), vec![0]].concat()));
        for at in 0..file(4).len() {
            let mut hurt = file(4);
            hurt[at] ^= 1;
            assert!(!whole(&hurt), "{at}");
        }
    }
}
