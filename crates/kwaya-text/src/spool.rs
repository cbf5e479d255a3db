//! What has been made of the files so far, on disk: so that memory does not grow
//! with the corpus, and a build that was stopped goes on where it was.
//!
//! Three files are only ever added to: `entries`, a record for each document or
//! file that was looked at, in the order of the listing, with the text where it
//! is kept; `keys`, for each kept one a record of fixed length with all that is
//! compared; and `paragraphs`, a hash for each paragraph that may occur in others.
//! `mark` says how far they are whole: what lies behind it is cut off.
//!
//! ```text
//! entries:    (length u32, text length u64, Entry as JSON, text)*
//! keys:       (Key, KEY_BYTES)*
//! paragraphs: (document u32, number u32, hash u64)*      all little-endian
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result, error::At, files};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{
    Reason,
    duplicates::{SLOTS, Signature},
    prepare::{Clean, Tally},
    withdrawn::Letters,
};

/// How much is added before it is made durable.
const SAVE_BYTES: u64 = 64 << 20;
/// A language tag is not longer.
const TAG_BYTES: usize = 36;
const KEY_BYTES: usize = 4 + 8 + 8 + 32 + 16 + TAG_BYTES + 1 + 2 * SLOTS;
const PARAGRAPH_BYTES: u64 = 16;
/// The files that grow.
const NAMES: [&str; 3] = ["entries", "keys", "paragraphs"];

/// What became of a document on its thread.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// It is good by itself; its text is not in here but beside it.
    Clean(Box<Clean>),
    /// It is not.
    Dropped(Box<Refused>),
}

/// Of an [`Entry`] what has to be known to measure its text. It takes a fraction of
/// the time to read.
#[derive(Debug, Deserialize)]
pub(crate) enum Brief {
    /// See [`Entry::Clean`].
    Clean(Named),
    /// See [`Entry::Dropped`].
    Dropped(IgnoredAny),
}

/// Two fields of [`Clean`].
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    pub(crate) part: String,
    pub(crate) format: String,
}

/// A file or document that was dropped before it was compared with others.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// The number of its file in the listing.
    pub(crate) file: u32,
    /// Its name within its file; empty where it has none.
    pub(crate) part: String,
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    pub(crate) language: String,
    pub(crate) bytes: u64,
    /// What the text is known by, and how it begins, where there was one.
    pub(crate) letters: String,
    pub(crate) start: String,
}

/// What of a clean document is compared with others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// The number of its file in the listing.
    pub(crate) file: u32,
    /// The UTF-8 bytes of its text.
    pub(crate) bytes: u64,
    /// Where it begins in `entries`.
    pub(crate) entry: u64,
    /// BLAKE3 of the text.
    pub(crate) hash: [u8; 32],
    /// What the text is known by, however it is set.
    pub(crate) letters: Letters,
    /// The code of its language.
    pub(crate) language: String,
    /// Of a text; a chat has none.
    pub(crate) signature: Option<Signature>,
}

impl Key {
    fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.file.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.entry.to_le_bytes());
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&self.letters.0);
        let tag = &self.language.as_bytes()[..self.language.floor_char_boundary(TAG_BYTES)];
        out.extend_from_slice(tag);
        out.resize(begin + 68 + TAG_BYTES, 0);
        out.push(u8::from(self.signature.is_some()));
        self.signature.iter().flat_map(|s| s.0).for_each(|slot| out.extend_from_slice(&slot.to_le_bytes()));
        out.resize(begin + KEY_BYTES, 0);
    }

    fn read(mut bytes: &[u8]) -> Self {
        let mut take = |count: usize| bytes.split_off(..count).expect("a key has its length");
        let file = u32::from_le_bytes(take(4).try_into().expect("four bytes"));
        let length = u64::from_le_bytes(take(8).try_into().expect("eight bytes"));
        let entry = u64::from_le_bytes(take(8).try_into().expect("eight bytes"));
        let hash = take(32).try_into().expect("a hash");
        let letters = Letters(take(16).try_into().expect("half a hash"));
        let tag = take(TAG_BYTES);
        let tag = &tag[..tag.iter().position(|b| *b == 0).unwrap_or(TAG_BYTES)];
        let language = String::from_utf8_lossy(tag).into_owned();
        let signed = take(1)[0] == 1;
        let slots = take(2 * SLOTS).as_chunks().0;
        let signature = signed.then(|| Signature(std::array::from_fn(|slot| u16::from_le_bytes(slots[slot]))));
        Self { file, bytes: length, entry, hash, letters, language, signature }
    }
}

/// What a thread made of some files, as it is written.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: [Vec<u8>; 3],
    documents: u32,
}

impl Batch {
    /// Its bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.iter().map(Vec::len).sum()
    }

    /// Adds a file or document that was dropped.
    pub(crate) fn drop(&mut self, refused: Box<Refused>) {
        self.entry(&Entry::Dropped(refused), "");
    }

    /// Adds a document, with the hashes of its paragraphs.
    pub(crate) fn keep(
        &mut self,
        mut document: Box<Clean>,
        mut key: Key,
        paragraphs: impl Iterator<Item = (u32, u64)>,
    ) {
        let text = std::mem::take(&mut document.text);
        key.entry = self.entry(&Entry::Clean(document), &text);
        key.bytes = text.len() as u64;
        key.write(&mut self.bytes[1]);
        for (number, hash) in paragraphs {
            let record = u128::from(hash) << 64 | u128::from(number) << 32 | u128::from(self.documents);
            self.bytes[2].extend_from_slice(&record.to_le_bytes());
        }
        self.documents += 1;
    }

    /// Writes it for [`Self::read`]: `(documents u32, lengths of the three u64, the
    /// three)`.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.documents.to_le_bytes())?;
        self.bytes.iter().try_for_each(|bytes| out.write_all(&(bytes.len() as u64).to_le_bytes()))?;
        self.bytes.iter().try_for_each(|bytes| out.write_all(bytes))
    }

    /// What [`Self::write`] wrote.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut documents = [0; 4];
        from.read_exact(&mut documents)?;
        let mut lengths = [[0; 8]; 3];
        lengths.iter_mut().try_for_each(|length| from.read_exact(length))?;
        let mut batch = Self { bytes: Default::default(), documents: u32::from_le_bytes(documents) };
        for (bytes, length) in batch.bytes.iter_mut().zip(lengths) {
            let length = u64::from_le_bytes(length);
            if from.by_ref().take(length).read_to_end(bytes)? as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if batch.bytes[1].len() as u64 != u64::from(batch.documents) * KEY_BYTES as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(batch)
    }

    /// The documents that are kept, with their texts and keys.
    pub(crate) fn kept(&self) -> impl Iterator<Item = io::Result<(Named, String, Key)>> + '_ {
        let (mut entries, mut keys) = (self.bytes[0].as_slice(), self.bytes[1].chunks_exact(KEY_BYTES));
        let entries = std::iter::from_fn(move || entry(&mut entries).transpose());
        entries.filter_map(move |entry| match entry {
            Ok((Brief::Clean(named), text)) => {
                let key = keys.next().ok_or_else(|| io::ErrorKind::InvalidData.into());
                Some(key.map(|key| (named, text, Key::read(key))))
            }
            Ok((Brief::Dropped(_), _)) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Without those dropped ones that `admit` does not want.
    pub(crate) fn retain(&mut self, mut admit: impl FnMut(&Refused) -> bool) -> io::Result<()> {
        let [entries, keys, _] = &mut self.bytes;
        let mut kept = Vec::with_capacity(entries.len());
        let mut keys = keys.chunks_exact_mut(KEY_BYTES);
        let mut left = entries.as_slice();
        while !left.is_empty() {
            let whole = left;
            let found = entry::<Entry>(&mut left)?.map(|(entry, _)| entry);
            match found {
                Some(Entry::Dropped(refused)) if !admit(&refused) => continue,
                Some(Entry::Clean(_)) => {
                    let key = keys.next().ok_or(io::ErrorKind::InvalidData)?;
                    key[12..20].copy_from_slice(&(kept.len() as u64).to_le_bytes());
                }
                _ => {}
            }
            kept.extend_from_slice(&whole[..whole.len() - left.len()]);
        }
        *entries = kept;
        Ok(())
    }

    /// Where the entry begins.
    fn entry(&mut self, entry: &Entry, text: &str) -> u64 {
        let bytes = &mut self.bytes[0];
        let begin = bytes.len();
        bytes.extend_from_slice(&[0; 12]);
        serde_json::to_writer(&mut *bytes, entry).expect("an entry is plain data");
        let length = (bytes.len() - begin - 12) as u32;
        bytes[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
        bytes[begin + 4..begin + 12].copy_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        begin as u64
    }
}

/// How far the files are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Mark {
    /// Files of the listing that are done.
    files: u64,
    /// Batches of the records of the next file that are done, and what was dropped of
    /// them.
    batches: u64,
    tally: Tally,
    /// Clean documents.
    documents: u32,
    /// The lengths of the three files.
    lengths: [u64; 3],
}

impl Mark {
    fn bytes(&self) -> u64 {
        self.lengths.iter().sum()
    }
}

/// The three files.
pub(crate) struct Spool {
    folder: PathBuf,
    files: [File; 3],
    /// What has been added.
    mark: Mark,
    /// Up to the last file or batch of records that was done.
    whole: Mark,
    /// What was made durable.
    saved: u64,
}

impl Spool {
    /// Opens what is in `folder`, or begins there.
    ///
    /// # Errors
    /// What the disk brings.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).at(folder)?;
        let mark: Mark = fs::read(folder.join("mark"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let open = |number: usize| {
            let path = folder.join(NAMES[number]);
            let file = OpenOptions::new().read(true).append(true).create(true).open(&path).at(&path)?;
            Ok((file.metadata().at(&path)?.len(), file))
        };
        let files = [open(0)?, open(1)?, open(2)?];
        let whole = files.iter().zip(mark.lengths).all(|((length, _), needed)| *length >= needed);
        let mark = if whole { mark } else { Mark::default() };
        let files = files.map(|(_, file)| file);
        for (file, length) in files.iter().zip(mark.lengths) {
            file.set_len(length).at(folder)?;
        }
        Ok(Self { folder: folder.to_owned(), files, saved: mark.bytes(), whole: mark.clone(), mark })
    }

    /// Files of the listing that are done.
    pub(crate) fn files(&self) -> usize {
        self.mark.files as usize
    }

    /// Clean documents.
    pub(crate) fn documents(&self) -> u32 {
        self.mark.documents
    }

    /// Adds what came of the next file or of a part of it.
    ///
    /// # Errors
    /// `corpus-too-many` beyond what a document's number can say, and what the
    /// disk brings.
    pub(crate) fn append(&mut self, mut batch: Batch) -> Result<()> {
        for key in batch.bytes[1].chunks_exact_mut(KEY_BYTES) {
            let entry = u64::from_le_bytes(key[12..20].try_into().expect("eight bytes"));
            key[12..20].copy_from_slice(&(self.mark.lengths[0] + entry).to_le_bytes());
        }
        let documents = self.mark.documents.checked_add(batch.documents);
        let documents = documents.ok_or_else(|| Error::new("corpus-too-many"))?;
        for record in batch.bytes[2].as_chunks_mut::<{ PARAGRAPH_BYTES as usize }>().0 {
            let document = u32::from_le_bytes(record[..4].try_into().expect("four bytes"));
            record[..4].copy_from_slice(&(self.mark.documents + document).to_le_bytes());
        }
        for ((file, bytes), length) in self.files.iter_mut().zip(&batch.bytes).zip(&mut self.mark.lengths) {
            file.write_all(bytes).at(&self.folder)?;
            *length += bytes.len() as u64;
        }
        self.mark.documents = documents;
        Ok(())
    }

    /// The first `files` of the listing are done: with them a build can go on.
    pub(crate) fn done(&mut self, files: usize) -> Result<()> {
        (self.mark.batches, self.mark.tally) = (0, Tally::default());
        self.mark.files = files as u64;
        self.goes_on()
    }

    /// Of the next file the first `batches` are done.
    pub(crate) fn done_within(&mut self, batches: u64, tally: &Tally) -> Result<()> {
        (self.mark.batches, self.mark.tally) = (batches, tally.clone());
        self.goes_on()
    }

    /// Begins with the records of a file, those before it being done; how many
    /// batches of them are done, and what was dropped of these.
    pub(crate) fn begin(&mut self, file: usize) -> Result<(u64, Tally)> {
        if file != self.files() {
            self.done(file)?;
        }
        Ok((self.mark.batches, self.mark.tally.clone()))
    }

    /// Whether a part of the next file is done.
    pub(crate) fn is_within(&self) -> bool {
        self.mark.batches > 0
    }

    fn goes_on(&mut self) -> Result<()> {
        self.whole = self.mark.clone();
        if self.whole.bytes() - self.saved >= SAVE_BYTES { self.save() } else { Ok(()) }
    }

    /// Makes all that is done durable.
    pub(crate) fn save(&mut self) -> Result<()> {
        self.files.iter().try_for_each(|file| file.sync_data()).at(&self.folder)?;
        files::write(&self.folder.join("mark"), &serde_json::to_vec(&self.whole).expect("a mark is plain data"))?;
        self.saved = self.whole.bytes();
        Ok(())
    }

    fn reader(&self, number: usize) -> Result<BufReader<io::Take<File>>> {
        let path = self.folder.join(NAMES[number]);
        let file = File::open(&path).at(&path)?;
        Ok(BufReader::with_capacity(1 << 20, file.take(self.mark.lengths[number])))
    }

    /// All entries, as [`Entry`] or [`Brief`], with their texts.
    pub(crate) fn entries<E: DeserializeOwned>(&self) -> Result<impl Iterator<Item = Result<(E, String)>> + use<E>> {
        let (mut reader, folder) = (self.reader(0)?, self.folder.clone());
        Ok(std::iter::from_fn(move || entry(&mut reader).at(&folder).transpose()))
    }

    /// All keys, with the numbers of their documents.
    pub(crate) fn keys(&self) -> Result<impl Iterator<Item = Result<(u32, Key)>> + use<>> {
        let (mut reader, folder) = (self.reader(1)?, self.folder.clone());
        Ok((0..self.mark.documents).map(move |document| {
            let mut bytes = [0; KEY_BYTES];
            reader.read_exact(&mut bytes).at(&folder)?;
            Ok((document, Key::read(&bytes)))
        }))
    }

    /// All paragraphs: hash, document, number.
    pub(crate) fn paragraphs(&self) -> Result<impl Iterator<Item = Result<(u64, u32, u32)>> + use<>> {
        let (mut reader, folder) = (self.reader(2)?, self.folder.clone());
        Ok((0..self.mark.lengths[2] / PARAGRAPH_BYTES).map(move |_| {
            let mut bytes = [0; PARAGRAPH_BYTES as usize];
            reader.read_exact(&mut bytes).at(&folder)?;
            let record = u128::from_le_bytes(bytes);
            Ok(((record >> 64) as u64, record as u32, (record >> 32) as u32))
        }))
    }

    /// One key.
    pub(crate) fn key(&mut self, document: u32) -> Result<Key> {
        let mut bytes = [0; KEY_BYTES];
        self.files[1].seek(SeekFrom::Start(u64::from(document) * KEY_BYTES as u64)).at(&self.folder)?;
        self.files[1].read_exact(&mut bytes).at(&self.folder)?;
        Ok(Key::read(&bytes))
    }

    /// One text.
    pub(crate) fn text(&mut self, key: &Key) -> Result<String> {
        Ok(self.entry(key)?.1)
    }

    /// What else is known of a document.
    pub(crate) fn document(&mut self, key: &Key) -> Result<Box<Clean>> {
        match self.entry(key)?.0 {
            Entry::Clean(document) => Ok(document),
            Entry::Dropped(_) => Err(io::Error::from(io::ErrorKind::InvalidData)).at(&self.folder),
        }
    }

    fn entry(&mut self, key: &Key) -> Result<(Entry, String)> {
        self.files[0].seek(SeekFrom::Start(key.entry)).at(&self.folder)?;
        let whole = entry(&mut self.files[0]).and_then(|entry| entry.ok_or(io::ErrorKind::UnexpectedEof.into()));
        whole.at(&self.folder)
    }
}

/// Fills `buffer`, unless there is nothing left to read.
pub(crate) fn begins(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(&mut buffer[..1]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.and_then(|()| from.read_exact(&mut buffer[1..])).map(|()| true),
    }
}

fn entry<E: DeserializeOwned>(reader: &mut impl Read) -> io::Result<Option<(E, String)>> {
    let (mut length, mut text) = ([0; 4], [0; 8]);
    if !begins(reader, &mut length)? {
        return Ok(None);
    }
    reader.read_exact(&mut text)?;
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    reader.read_exact(&mut bytes)?;
    let entry = serde_json::from_slice(&bytes)?;
    let mut bytes = vec![0; u64::from_le_bytes(text) as usize];
    reader.read_exact(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok(Some((entry, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(file: u32, language: &str, signature: Option<Signature>) -> Key {
        Key {
            file,
            bytes: 0,
            entry: 0,
            hash: [file as u8; 32],
            letters: Letters::of(""),
            language: language.to_owned(),
            signature,
        }
    }

    fn batch(file: u32) -> Batch {
        let mut batch = Batch::default();
        let refused = Refused {
            file,
            part: "kurasa/1".into(),
            reason: Reason::Empty,
            detail: String::new(),
            language: String::new(),
            bytes: 7,
            letters: "ab".into(),
            start: String::new(),
        };
        batch.drop(Box::new(refused));
        let clean = |text: &str| Box::new(Clean { text: text.to_owned(), ..Clean::default() });
        let signature = Signature::of("moja mbili tatu nne tano sita saba");
        batch.keep(clean(&format!("mahindi {file}")), key(file, "sw", signature), [(3, 11)].into_iter());
        batch.keep(clean("chai"), key(file, "zh-Hant", None), std::iter::empty());
        batch
    }

    #[test]
    fn what_is_saved_is_read_back_and_what_is_torn_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.append(batch(0)).unwrap();
        spool.append(batch(1)).unwrap();
        spool.done(2).unwrap();
        // Not done: whoever stops here has done it for nothing.
        spool.append(batch(2)).unwrap();
        spool.save().unwrap();
        drop(spool);
        let mut spool = Spool::open(dir.path()).unwrap();
        assert_eq!((spool.files(), spool.documents()), (2, 4));
        spool.append(batch(5)).unwrap();
        let keys: Vec<(u32, Key)> = spool.keys().unwrap().map(Result::unwrap).collect();
        let entries: Vec<(Entry, String)> = spool.entries().unwrap().map(Result::unwrap).collect();
        assert_eq!((keys.len(), entries.len()), (6, 9));
        for (document, key) in keys {
            assert_eq!(spool.key(document).unwrap(), key);
            let (batch, number) = (document as usize / 2, document as usize % 2);
            let (file, text) = ([0, 1, 5][batch], entries[batch * 3 + 1 + number].1.clone());
            assert_eq!((key.file, spool.text(&key).unwrap()), (file, text));
            assert_eq!(key.language, ["sw", "zh-Hant"][document as usize % 2]);
            assert_eq!(key.signature.is_some(), document % 2 == 0);
        }
        assert!(matches!(&entries[6].0, Entry::Dropped(refused) if refused.file == 5 && refused.bytes == 7));
        let paragraphs: Vec<_> = spool.paragraphs().unwrap().map(Result::unwrap).collect();
        assert_eq!(paragraphs, [(11, 0, 3), (11, 2, 3), (11, 4, 3)]);
    }

    #[test]
    fn files_shorter_than_the_mark_are_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.append(batch(0)).unwrap();
        spool.done(1).unwrap();
        spool.save().unwrap();
        fs::write(dir.path().join("keys"), "").unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        assert_eq!((spool.files(), spool.documents()), (0, 0));
        assert_eq!(spool.entries::<Entry>().unwrap().count(), 0);
    }
}
