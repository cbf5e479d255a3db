//! Which of all documents are good enough ([`quality`](crate::quality)): each
//! language is learned from its documents first, then every document is
//! measured, then it is known what is usual in its language.
//!
//! Memory is taken for each language, not for each document: the figures wait on
//! disk, beside the documents, so that a build which is stopped after they were
//! taken, or for which others took them, does not take them again.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use kwaya_base::{Error, Progress, Result, Unit, error::At, files};

use crate::{
    corpus::{Options, Step},
    duplicates::Bits,
    extract::Format,
    parallel,
    prepare::Clean,
    quality::{DOCUMENTS_MIN, Distribution, Fault, Filter, Knowledge, Learner, Level, Measures, Thresholds},
    sources::{self, Listing},
    spool::{Brief, Key, Named, Spool},
};

/// So much text of a language is learned from; of more, so much is drawn by the
/// hashes of the documents.
const LEARNED_BYTES: u64 = 32 << 20;
/// Documents handed to a thread at once, and those under way, in bytes.
const BATCH_BYTES: u64 = 256 << 10;
const UNDER_WAY_BYTES: u64 = 16 << 20;

/// The share of removed lines is told in ten-thousandths: in a text of fewer bytes a
/// line that was removed shows, which is two bytes with its end.
const SHARE_BYTES: u64 = 20_000;

/// The files of what was measured: the figures, what they were measured with, and
/// what is usual, which is written last.
const MEASURES: &str = "measures";
const KNOWLEDGE: &str = "knowledge";
const USUAL: &str = "usual";

/// A document that may be judged.
pub(crate) struct Document {
    key: Key,
    site: u64,
    /// Chats are not: neither what is usual in them nor their lines are those of
    /// texts.
    judged: bool,
    text: String,
}

impl Document {
    /// `file` is the name of its file.
    pub(crate) fn new(Named { part, format }: &Named, key: Key, file: &str, text: String) -> Self {
        Self { site: site(file, part), key, judged: format != Format::Chat.name(), text }
    }
}

/// Documents and bytes of each language: how much of it is learned from.
pub(crate) type Amounts = BTreeMap<String, (u64, u64)>;

/// What is usual in each language.
pub(crate) type Usual = BTreeMap<String, Distribution>;

/// Whether anything is asked of the documents.
pub(crate) fn asks(options: &Options) -> bool {
    options.quality.level != Level::Off || !options.quality.limits.is_empty()
}

/// How much there is to learn from.
pub(crate) fn amounts(spool: &Spool) -> Result<Amounts> {
    let mut amounts = Amounts::new();
    for key in spool.keys()? {
        let (_, key) = key?;
        let (documents, bytes) = amounts.entry(key.language).or_default();
        (*documents, *bytes) = (*documents + 1, *bytes + key.bytes);
    }
    Ok(amounts)
}

/// Learns from a document, or from its lines alone.
pub(crate) fn learn(document: &Document, learner: &Learner, amounts: &Amounts, options: &Options) {
    let Document { key, site, judged: true, text } = document else { return };
    // What is usual among fewer is not asked of them, and a large corpus has a
    // few documents in every language. At the strict level it is asked whether
    // lines end as sentences do.
    let strict = options.quality.level == Level::Strict;
    let enough = |documents: u64| strict || documents >= DOCUMENTS_MIN;
    let draw = u64::from_le_bytes(key.hash[..8].try_into().expect("a hash has 32 bytes"));
    let (documents, of) = amounts.get(&key.language).copied().unwrap_or_default();
    let drawn = u128::from(draw) * u128::from(of) <= u128::from(LEARNED_BYTES) << 64;
    match drawn && enough(documents) {
        true => learner.add(&key.language, *site, text),
        false => learner.add_lines(*site, text),
    }
}

/// Measures a document, and adds it to what is usual.
pub(crate) fn measure(document: &Document, knowledge: &Knowledge, usual: &Mutex<Usual>, options: &Options) -> Measures {
    let Document { key, site, judged: true, text } = document else { return Measures::none() };
    let cleaned = knowledge.clean(&key.language, *site, text, options.quality.level);
    let measures = knowledge.measure(&key.language, &cleaned, &options.word_lists);
    let mut usual = usual.lock().unwrap_or_else(PoisonError::into_inner);
    match usual.get_mut(&key.language) {
        Some(distribution) => distribution.add(&measures),
        None => usual.entry(key.language.clone()).or_default().add(&measures),
    }
    measures
}

/// Figures of documents on their way to disk, in the order of the documents.
pub(crate) struct Figures<'a> {
    folder: &'a Path,
    file: BufWriter<File>,
}

impl<'a> Figures<'a> {
    /// Begins them in `folder`.
    pub(crate) fn begin(folder: &'a Path) -> Result<Self> {
        let path = folder.join(MEASURES);
        Ok(Self { folder, file: BufWriter::new(File::create(&path).at(&path)?) })
    }

    /// Adds those of the next documents.
    pub(crate) fn add(&mut self, measures: &[u8]) -> Result<()> {
        self.file.write_all(measures).at(self.folder)
    }

    /// With these they are whole.
    pub(crate) fn finish(self, knowledge: &Knowledge, usual: &Usual) -> Result<()> {
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error).at(self.folder)?;
        file.sync_all().at(self.folder)?;
        files::write(&self.folder.join(KNOWLEDGE), &knowledge.to_bytes())?;
        files::write(&self.folder.join(USUAL), &serde_json::to_vec(usual).expect("counts are plain data"))
    }
}

/// What was measured with and what is usual, where [`Figures`] of so many
/// documents are whole in `folder`.
pub(crate) fn taken(folder: &Path, documents: u32) -> Option<(Knowledge, Usual)> {
    let length = fs::metadata(folder.join(MEASURES)).ok()?.len();
    let usual = serde_json::from_slice(&fs::read(folder.join(USUAL)).ok()?).ok()?;
    let knowledge = Knowledge::from_bytes(&fs::read(folder.join(KNOWLEDGE)).ok()?)?;
    (length == u64::from(documents) * Measures::BYTES as u64).then_some((knowledge, usual))
}

/// What is known of the documents, asked for in their order.
pub(crate) struct Judged<'a> {
    options: &'a Options,
    listing: &'a Listing,
    knowledge: Knowledge,
    thresholds: BTreeMap<String, Thresholds>,
    measures: Option<(BufReader<File>, PathBuf)>,
    /// Those of the document that was asked for last.
    last: Measures,
}

impl<'a> Judged<'a> {
    /// Judges the documents of `spool`; those that are not good enough are set in
    /// `gone`. Their figures wait in `folder`, which is for these documents and
    /// options.
    ///
    /// # Errors
    /// `interrupted`, and what the disk brings.
    pub(crate) fn of(
        spool: &Spool,
        gone: &mut Bits,
        listing: &'a Listing,
        options: &'a Options,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (knowledge, thresholds, measures) = (Knowledge::default(), BTreeMap::new(), None);
        let mut judged = Self { options, listing, knowledge, thresholds, measures, last: Measures::none() };
        if !asks(options) {
            return Ok(judged);
        }
        let usual = match taken(folder, spool.documents()) {
            Some((knowledge, usual)) => {
                judged.knowledge = knowledge;
                usual
            }
            None => judged.take(spool, folder, progress)?,
        };
        let learned = usual.iter().map(|(language, of)| (language.clone(), Thresholds::learn(of, &options.quality)));
        judged.thresholds = learned.collect();
        let path = folder.join(MEASURES);
        judged.measures = Some((BufReader::new(File::open(&path).at(&path)?), path));
        for key in spool.keys()? {
            let (document, key) = key?;
            if judged.fault(&key)?.is_some() {
                gone.set(document);
            }
        }
        if let Some((measures, path)) = &mut judged.measures {
            std::io::Seek::rewind(measures).at(path)?;
        }
        Ok(judged)
    }

    /// Learns, and takes the figures.
    fn take(&mut self, spool: &Spool, folder: &Path, progress: &dyn Progress) -> Result<Usual> {
        progress.begin("corpus-quality", 2 * u64::from(spool.documents()), Unit::Documents);
        let (options, amounts, learner) = (self.options, amounts(spool)?, Learner::default());
        self.each(spool, (0, progress), |document| learn(document, &learner, &amounts, options), |()| Ok(()))?;
        self.knowledge = learner.finish();
        let (mut figures, usual) = (Figures::begin(folder)?, Mutex::default());
        let work = |document: &Document| measure(document, &self.knowledge, &usual, options).to_bytes();
        self.each(spool, (spool.documents(), progress), work, |measures| figures.add(&measures))?;
        let usual = usual.into_inner().unwrap_or_else(PoisonError::into_inner);
        figures.finish(&self.knowledge, &usual)?;
        progress.end();
        Ok(usual)
    }

    /// Calls `work` on all threads with each document, and `take` with what it
    /// gives, in order.
    fn each<R: Send>(
        &self,
        spool: &Spool,
        (done, progress): (u32, &dyn Progress),
        work: impl Fn(&Document) -> R + Sync,
        mut take: impl FnMut(R) -> Result<()>,
    ) -> Result<()> {
        let mut documents = self.documents(spool)?;
        let batch = || {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while bytes < BATCH_BYTES
                && let Some(document) = documents.next()
            {
                bytes += document.as_ref().map_or(0, |(_, document)| document.key.bytes);
                batch.push(document);
            }
            (!batch.is_empty()).then_some((batch, bytes))
        };
        parallel::stream(
            batch,
            self.options.threads,
            (|(_, bytes): &(_, u64)| *bytes, UNDER_WAY_BYTES),
            || (),
            |(), (batch, _)| {
                batch
                    .into_iter()
                    .map(|document: Result<_>| document.map(|(number, document)| (number, work(&document))))
                    .collect::<Result<Vec<_>>>()
            },
            |_, batch| {
                for (number, result) in batch? {
                    progress.at(u64::from(done + number));
                    take(result)?;
                }
                if progress.stopped() { Err(Error::new("interrupted")) } else { Ok(()) }
            },
        )
    }

    fn documents(&self, spool: &Spool) -> Result<impl Iterator<Item = Result<(u32, Document)>> + use<'_>> {
        let (mut keys, listing) = (spool.keys()?, self.listing);
        Ok(spool.entries()?.filter_map(move |entry| {
            let (named, text) = match entry {
                Ok((Brief::Clean(named), text)) => (named, text),
                Ok((Brief::Dropped(_), _)) => return None,
                Err(error) => return Some(Err(error)),
            };
            let key = keys.next().expect("each clean document has a key");
            Some(key.map(|(number, key)| {
                let file = &listing.files[key.file as usize].name;
                (number, Document::new(&named, key, file, text))
            }))
        }))
    }

    /// What is wrong with the next document.
    ///
    /// # Errors
    /// What the disk brings.
    pub(crate) fn fault(&mut self, key: &Key) -> Result<Option<Fault>> {
        let Some((file, path)) = &mut self.measures else { return Ok(None) };
        let mut bytes = [0; Measures::BYTES];
        file.read_exact(&mut bytes).at(path)?;
        self.last = Measures::from_bytes(&bytes);
        let thresholds = self.thresholds.get(&key.language);
        Ok(thresholds.and_then(|thresholds| thresholds.judge(&self.last)))
    }

    /// The text of the document that [`Self::fault`] was asked of last without the
    /// lines that are no part of it, and what was done. Paragraphs may be gone from
    /// it already.
    pub(crate) fn clean(&self, clean: &Clean, key: &Key, text: String) -> (String, Option<Step>) {
        // Of most texts it is known that no line is to be removed.
        let untouched = key.bytes < SHARE_BYTES && self.last.get(Filter::Boilerplate) == Some(0.0);
        if self.measures.is_none() || untouched || clean.format == Format::Chat.name() {
            return (text, None);
        }
        let site = site(&self.listing.files[key.file as usize].name, &clean.part);
        let cleaned = self.knowledge.clean(&key.language, site, &text, self.options.quality.level);
        match cleaned.removed_bytes {
            0 => (text, None),
            bytes => {
                let step = Step::Lines { removed: cleaned.removed, bytes };
                (cleaned.text.into_owned(), Some(step))
            }
        }
    }

    /// The limits of each language.
    pub(crate) fn into_limits(self) -> BTreeMap<String, Thresholds> {
        self.thresholds
    }
}

/// What documents of one site or folder have in common.
fn site(file: &str, part: &str) -> u64 {
    let name = sources::part(file, part);
    let site = match name.split_once("://") {
        Some((_, address)) => address.split('/').next(),
        None => name.rsplit_once('/').map(|(folder, _)| folder),
    };
    let hash = blake3::hash(site.unwrap_or_default().as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}
