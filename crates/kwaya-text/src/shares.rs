//! A corpus in shares, each of which any process can work on, on any machine: the
//! part of [`corpus::build`] that looks at one document at a time, which is nearly
//! all of its time. What comes back is what a build that was stopped has done
//! already, so that a build goes on from there, with the same bits.
//!
//! ```text
//! cut        a listing                        → shares
//! prepare    a share                          → its documents    (any process)
//! Gathered   documents, share after share     → what a build finds done
//! learn      documents                        → Knowledge        (any process)
//! measure    documents, Knowledge             → their figures    (any process)
//! ```
//!
//! What is written is compressed with zstd. Documents are batches of the spool,
//! each with a number, the last one of a portion a [`Tally`]; figures are
//! `(number u64, length u64, figures)`, the last what is usual.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    mem::take,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use kwaya_base::{Result, error::At};
use serde::{Deserialize, Serialize};

use crate::{
    corpus::Options,
    extractors::Extractors,
    judged::{self, Document, Figures, Usual},
    language::Identifier,
    pipeline::add,
    prepare::{Job, Outcome, Portion, Tally, prepare as prepare_file, stream},
    quality::{Knowledge, Learner},
    sources::{self, Listing, Source},
    spool::{Batch, Key, Named, Spool, begins},
};

/// How hard what goes over a network is compressed: little, as a disk is fast.
const ZSTD_LEVEL: i32 = 1;
/// Documents that are written at once, in bytes.
const BATCH_BYTES: usize = 1 << 20;
/// The number of what stands at the end, and of documents of a file that are not
/// to be counted over portions.
const LAST: u64 = u64::MAX;
const WHOLE: u64 = LAST - 1;
/// A file of many documents is read once for each portion of it, which takes a
/// twentieth of the time that its documents take.
const PORTIONS_MAX: u64 = 8;
/// A portion is so many times the size of a share.
const PORTION_SHARES: u64 = 4;

/// Files of a listing, or a portion of the documents of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Their numbers in the listing.
    pub files: Range<usize>,
    /// Which portion, from 0.
    pub portion: u64,
    /// How many there are.
    pub portions: u64,
}

/// Cuts a listing into shares of about `bytes`, in its order. The portions of a
/// file follow one another.
pub fn cut(listing: &Listing, bytes: u64) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    let mut size = 0;
    for (number, file) in listing.files.iter().enumerate() {
        let portions = (file.bytes / (bytes * PORTION_SHARES).max(1)).clamp(1, PORTIONS_MAX);
        match shares.last_mut() {
            Some(share) if portions == 1 && share.portions == 1 && size + file.bytes <= bytes => {
                share.files.end = number + 1;
                size += file.bytes;
            }
            _ => {
                shares.extend((0..portions).map(|portion| Share { files: number..number + 1, portion, portions }));
                size = file.bytes;
            }
        }
    }
    shares
}

/// Prepares the documents of a share, whose files are `files`, and writes them to
/// `out`.
///
/// # Errors
/// `source-changed` when a file is not as it was listed, and what `out` brings.
pub fn prepare(
    share: &Share,
    files: &[sources::File],
    sources: &[Source],
    options: &Options,
    out: &Path,
) -> Result<()> {
    let identifier = Identifier::new(&options.languages, &options.learned);
    let extractors = Extractors::new(options);
    let portion = Portion { first: 0, index: share.portion, of: share.portions };
    let mut writer = Documents { out: compressed(out)?, path: out, number: 0, batch: Batch::default() };
    for (number, file) in share.files.clone().zip(files) {
        let job = Job { file, source: &sources[file.source], options, identifier: &identifier };
        let outcome = prepare_file(job, &mut extractors.get())?;
        match outcome {
            Outcome::Documents(documents) if share.portion == 0 => {
                writer.number = WHOLE;
                documents.into_iter().for_each(|document| add(&mut writer.batch, number, document));
                writer.write_full(BATCH_BYTES)?;
            }
            // It was no file of portions after all.
            Outcome::Documents(_) => {}
            Outcome::Large => {
                let tally = stream(job, portion, Tally::default(), &extractors, |made| {
                    writer.number = made.batch;
                    made.documents.into_iter().for_each(|document| add(&mut writer.batch, number, document));
                    // Of a portion each batch by itself.
                    writer.write_full(if share.portions > 1 { 0 } else { BATCH_BYTES })
                })?;
                match share.portions {
                    1 => tally.rest().for_each(|document| add(&mut writer.batch, number, document)),
                    _ => writer.write_tally(&tally)?,
                }
            }
        }
    }
    writer.write_full(0)?;
    writer.out.finish().and_then(|mut file| file.flush()).at(out)
}

type Compressed = zstd::Encoder<'static, BufWriter<File>>;

fn compressed(path: &Path) -> Result<Compressed> {
    let file = BufWriter::new(File::create(path).at(path)?);
    zstd::Encoder::new(file, ZSTD_LEVEL).at(path)
}

/// Documents on their way out.
struct Documents<'a> {
    out: Compressed,
    path: &'a Path,
    /// Of the batch that is being filled.
    number: u64,
    batch: Batch,
}

impl Documents<'_> {
    /// Writes the batch if it is larger than this.
    fn write_full(&mut self, bytes: usize) -> Result<()> {
        if self.batch.len() <= bytes {
            return Ok(());
        }
        self.out.write_all(&self.number.to_le_bytes()).at(self.path)?;
        take(&mut self.batch).write(&mut self.out).at(self.path)
    }

    /// Ends a portion: what it dropped is counted over all portions.
    fn write_tally(&mut self, tally: &Tally) -> Result<()> {
        self.write_full(0)?;
        let json = serde_json::to_vec(tally).expect("a tally is plain data");
        write_block(LAST, &json, &mut self.out).at(self.path)
    }
}

fn write_block(number: u64, block: &[u8], out: &mut impl Write) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())?;
    out.write_all(&(block.len() as u64).to_le_bytes())?;
    out.write_all(block)
}

fn read_block(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut length, mut block) = ([0; 8], Vec::new());
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    match from.take(length).read_to_end(&mut block)? as u64 == length {
        true => Ok(block),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What is read back: batches with their numbers, and what stands at the end.
struct Blocks<'a, T> {
    path: &'a Path,
    from: zstd::Decoder<'static, BufReader<File>>,
    read: fn(&mut dyn Read) -> io::Result<T>,
    last: Option<Vec<u8>>,
}

impl<'a, T> Blocks<'a, T> {
    fn open(path: &'a Path, read: fn(&mut dyn Read) -> io::Result<T>) -> Result<Self> {
        let from = File::open(path).and_then(zstd::Decoder::new).at(path)?;
        Ok(Self { path, from, read, last: None })
    }

    fn next(&mut self) -> Result<Option<(u64, T)>> {
        let mut number = [0; 8];
        if !begins(&mut self.from, &mut number).at(self.path)? {
            return Ok(None);
        }
        match u64::from_le_bytes(number) {
            LAST => {
                self.last = Some(read_block(&mut self.from).at(self.path)?);
                self.next()
            }
            number => Ok(Some((number, (self.read)(&mut self.from).at(self.path)?))),
        }
    }

    /// What stands at the end, when all was read.
    fn last<L: for<'de> Deserialize<'de>>(&self) -> Result<Option<L>> {
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let last = self.last.as_deref().map(serde_json::from_slice).transpose();
        last.map_err(wrong).at(self.path)
    }
}

/// Gives `take` all batches of some portions in the order of their numbers.
fn merge<T>(portions: &mut [Blocks<'_, T>], mut take: impl FnMut(u64, T, &Path) -> Result<()>) -> Result<()> {
    let (mut heads, mut order) = (Vec::new(), BinaryHeap::new());
    for (index, portion) in portions.iter_mut().enumerate() {
        let head = portion.next()?;
        order.extend(head.iter().map(|(number, _)| Reverse((*number, index))));
        heads.push(head);
    }
    while let Some(Reverse((_, index))) = order.pop() {
        let portion = &mut portions[index];
        let next = portion.next()?;
        order.extend(next.iter().map(|(number, _)| Reverse((*number, index))));
        if let Some((number, batch)) = std::mem::replace(&mut heads[index], next) {
            take(number, batch, portion.path)?;
        }
    }
    Ok(())
}

/// What came back, as a build finds it done.
pub struct Gathered {
    folder: PathBuf,
    spool: Spool,
}

impl Gathered {
    /// What is in `unfinished`, the folder that [`corpus::build`] will be given; where
    /// that does not end with one of `shares`, from its beginning.
    ///
    /// [`corpus::build`]: crate::corpus::build
    ///
    /// # Errors
    /// What the disk brings.
    pub fn open(unfinished: &Path, shares: &[Share]) -> Result<Self> {
        let mut spool = Spool::open(unfinished)?;
        let ends = |share: &Share| share.files.end == spool.files();
        if spool.is_within() || spool.files() > 0 && !shares.iter().any(ends) {
            drop(spool);
            std::fs::remove_dir_all(unfinished).at(unfinished)?;
            spool = Spool::open(unfinished)?;
        }
        Ok(Self { folder: unfinished.to_owned(), spool })
    }

    /// Files of the listing that are done.
    pub fn files(&self) -> usize {
        self.spool.files()
    }

    /// Adds the documents of the next files: all portions of them.
    ///
    /// # Errors
    /// What the disk brings, and when these are no documents.
    pub fn add(&mut self, files: &Range<usize>, portions: &[PathBuf]) -> Result<()> {
        let mut blocks = open(portions, |mut from| Batch::read(&mut from))?;
        let (spool, mut tally) = (&mut self.spool, Tally::default());
        merge(&mut blocks, |number, mut batch, path| {
            if portions.len() > 1 && number != WHOLE {
                batch.retain(|refused| tally.admits(refused)).at(path)?;
            }
            spool.append(batch)
        })?;
        for portion in &blocks {
            portion.last()?.iter().for_each(|rest| tally.add_rest(rest));
        }
        let mut rest = Batch::default();
        tally.rest().for_each(|document| add(&mut rest, files.start, document));
        spool.append(rest)?;
        spool.done(files.end)
    }

    /// Makes durable what was added.
    ///
    /// # Errors
    /// What the disk brings.
    pub fn save(&mut self) -> Result<()> {
        self.spool.save()
    }

    /// How much there is to learn from; nothing where nothing is asked of the
    /// documents, or where they are measured already.
    ///
    /// # Errors
    /// What the disk brings.
    pub fn to_learn(&self, options: &Options) -> Result<Option<Amounts>> {
        if !judged::asks(options) || judged::taken(&self.folder, self.spool.documents()).is_some() {
            return Ok(None);
        }
        judged::amounts(&self.spool).map(|amounts| Some(Amounts(amounts)))
    }

    /// Begins to take the figures that were measured with `knowledge`.
    ///
    /// # Errors
    /// What the disk brings.
    pub fn measured(&self, knowledge: Knowledge) -> Result<Measured<'_>> {
        Ok(Measured { knowledge, figures: Figures::begin(&self.folder)?, usual: Usual::new() })
    }
}

fn open<T>(paths: &[PathBuf], read: fn(&mut dyn Read) -> io::Result<T>) -> Result<Vec<Blocks<'_, T>>> {
    paths.iter().map(|path| Blocks::open(path, read)).collect()
}

/// Documents and bytes of each language.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Amounts(judged::Amounts);

/// Documents that [`prepare`] wrote.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// Where they are.
    pub path: &'a Path,
    /// The number of their first file in the listing.
    pub first: usize,
    /// The names of their files.
    pub names: &'a [String],
}

impl Part<'_> {
    fn each(&self, mut take: impl FnMut(u64, Vec<Document>) -> Result<()>) -> Result<()> {
        let mut blocks = Blocks::open(self.path, |mut from| Batch::read(&mut from))?;
        while let Some((number, batch)) = blocks.next()? {
            let documents: io::Result<Vec<Document>> = batch.kept().map(|kept| self.document(kept?)).collect();
            take(number, documents.at(self.path)?)?;
        }
        Ok(())
    }

    fn document(&self, (named, text, key): (Named, String, Key)) -> io::Result<Document> {
        let name = (key.file as usize).checked_sub(self.first).and_then(|index| self.names.get(index));
        let name = name.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Document::new(&named, key, name, text))
    }
}

/// What is learned from these documents of a corpus of these amounts.
///
/// # Errors
/// What the disk brings, and when these are no documents.
pub fn learn(parts: &[Part<'_>], amounts: &Amounts, options: &Options) -> Result<Knowledge> {
    let learner = Learner::default();
    for part in parts {
        part.each(|_, documents| {
            documents.iter().for_each(|document| judged::learn(document, &learner, &amounts.0, options));
            Ok(())
        })?;
    }
    Ok(learner.finish())
}

/// Writes what was learned.
///
/// # Errors
/// What the disk brings.
pub fn write_knowledge(knowledge: &Knowledge, out: &Path) -> Result<()> {
    std::fs::write(out, knowledge.to_bytes()).at(out)
}

/// Reads it again.
///
/// # Errors
/// What the disk brings, and when this is something else.
pub fn read_knowledge(path: &Path) -> Result<Knowledge> {
    let bytes = std::fs::read(path).at(path)?;
    Knowledge::from_bytes(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into()).at(path)
}

/// Measures these documents with what was learned from all, and writes their
/// figures to `out`.
///
/// # Errors
/// What the disk brings, and when these are no documents.
pub fn measure(part: &Part<'_>, knowledge: &Knowledge, options: &Options, out: &Path) -> Result<()> {
    let (mut writer, usual) = (compressed(out)?, Mutex::default());
    part.each(|number, documents| {
        let measures =
            documents.iter().map(|document| judged::measure(document, knowledge, &usual, options).to_bytes());
        write_block(number, &measures.collect::<Vec<_>>().concat(), &mut writer).at(out)
    })?;
    let usual = usual.into_inner().unwrap_or_else(PoisonError::into_inner);
    let json = serde_json::to_vec(&usual).expect("counts are plain data");
    write_block(LAST, &json, &mut writer).at(out)?;
    writer.finish().and_then(|mut file| file.flush()).at(out)
}

/// Figures that come back.
pub struct Measured<'a> {
    knowledge: Knowledge,
    figures: Figures<'a>,
    usual: Usual,
}

impl Measured<'_> {
    /// Adds the figures of the next documents: all portions of them.
    ///
    /// # Errors
    /// What the disk brings, and when these are no figures.
    pub fn add(&mut self, portions: &[PathBuf]) -> Result<()> {
        let mut blocks = open(portions, |mut from| read_block(&mut from))?;
        merge(&mut blocks, |_, measures, _| self.figures.add(&measures))?;
        for portion in &blocks {
            for (language, distribution) in portion.last::<Usual>()?.into_iter().flatten() {
                self.usual.entry(language).or_default().merge(&distribution);
            }
        }
        Ok(())
    }

    /// They are whole.
    ///
    /// # Errors
    /// What the disk brings.
    pub fn finish(self) -> Result<()> {
        self.figures.finish(&self.knowledge, &self.usual)
    }
}
