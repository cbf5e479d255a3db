//! Which of all documents are good enough ([`quality`](crate::quality)): each
//! language is learned from its documents first, then every document is
//! measured, then it is known what is usual in its language.
//!
//! Memory is taken for each language, not for each document: the figures wait on
//! disk.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use kwaya_base::{Error, Progress, Result, Unit, error::At};

use crate::{
    corpus::{Options, Step},
    duplicates::Bits,
    extract::Format,
    parallel,
    prepare::Clean,
    quality::{DOCUMENTS_MIN, Distribution, Fault, Knowledge, Learner, Level, Measures, Thresholds},
    sources::{self, Listing},
    spool::{Entry, Key, Spool},
};

/// So much text of a language is learned from; of more, so much is drawn by the
/// hashes of the documents.
const LEARNED_BYTES: u64 = 32 << 20;
/// Documents handed to a thread at once, and those under way, in bytes.
const BATCH_BYTES: u64 = 256 << 10;
const UNDER_WAY_BYTES: u64 = 16 << 20;

/// A document that may be judged.
struct Document {
    number: u32,
    key: Key,
    site: u64,
    /// Chats are not: neither what is usual in them nor their lines are those of
    /// texts.
    judged: bool,
    text: String,
}

/// What is known of the documents, asked for in their order.
pub(crate) struct Judged<'a> {
    options: &'a Options,
    listing: &'a Listing,
    knowledge: Knowledge,
    thresholds: BTreeMap<String, Thresholds>,
    measures: Option<(BufReader<File>, PathBuf)>,
}

impl<'a> Judged<'a> {
    /// Judges the documents of `spool`; those that are not good enough are set in
    /// `gone`. Their figures wait in `folder`.
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
        let mut judged = Self { options, listing, knowledge, thresholds, measures };
        let wishes = &options.quality;
        if wishes.level == Level::Off && wishes.limits.is_empty() {
            return Ok(judged);
        }
        progress.begin("corpus-quality", 2 * u64::from(spool.documents()), Unit::Documents);
        judged.learn(spool, progress)?;
        let path = folder.join("measures");
        judged.measure(spool, &path, progress)?;
        progress.end();
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

    fn learn(&mut self, spool: &Spool, progress: &dyn Progress) -> Result<()> {
        let mut amounts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for key in spool.keys()? {
            let (_, key) = key?;
            let (documents, bytes) = amounts.entry(key.language).or_default();
            (*documents, *bytes) = (*documents + 1, *bytes + key.bytes);
        }
        // What is usual among fewer is not asked of them, and a large corpus has a
        // few documents in every language. At the strict level it is asked whether
        // lines end as sentences do.
        let strict = self.options.quality.level == Level::Strict;
        let enough = |documents: u64| strict || documents >= DOCUMENTS_MIN;
        let learner = Learner::default();
        let learn = |document: &Document| {
            let Document { key, site, judged: true, text, .. } = document else { return };
            let draw = u64::from_le_bytes(key.hash[..8].try_into().expect("a hash has 32 bytes"));
            let (documents, of) = amounts.get(&key.language).copied().unwrap_or_default();
            let drawn = u128::from(draw) * u128::from(of) <= u128::from(LEARNED_BYTES) << 64;
            match drawn && enough(documents) {
                true => learner.add(&key.language, *site, text),
                false => learner.add_lines(*site, text),
            }
        };
        self.each(spool, (0, progress), learn, |()| Ok(()))?;
        self.knowledge = learner.finish();
        Ok(())
    }

    fn measure(&mut self, spool: &Spool, path: &Path, progress: &dyn Progress) -> Result<()> {
        let mut file = BufWriter::new(File::create(path).at(path)?);
        let distributions: Mutex<BTreeMap<String, Distribution>> = Mutex::default();
        let Options { quality, word_lists, .. } = self.options;
        let measure = |document: &Document| {
            let Document { key, site, judged: true, text, .. } = document else { return Measures::none() };
            let cleaned = self.knowledge.clean(&key.language, *site, text, quality.level);
            let measures = self.knowledge.measure(&key.language, &cleaned, word_lists);
            let mut distributions = distributions.lock().unwrap_or_else(PoisonError::into_inner);
            match distributions.get_mut(&key.language) {
                Some(distribution) => distribution.add(&measures),
                None => distributions.entry(key.language.clone()).or_default().add(&measures),
            }
            measures
        };
        self.each(spool, (spool.documents(), progress), measure, |measures| {
            file.write_all(&measures.to_bytes()).at(path)
        })?;
        file.flush().at(path)?;
        let distributions = distributions.into_inner().unwrap_or_else(PoisonError::into_inner);
        let learned = distributions.iter().map(|(language, of)| (language.clone(), Thresholds::learn(of, quality)));
        self.thresholds = learned.collect();
        Ok(())
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
                bytes += document.as_ref().map_or(0, |document| document.key.bytes);
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
                    .map(|document: Result<Document>| document.map(|document| (document.number, work(&document))))
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

    fn documents(&self, spool: &Spool) -> Result<impl Iterator<Item = Result<Document>> + use<'_>> {
        let (mut keys, chat) = (spool.keys()?, Format::Chat.name());
        let listing = self.listing;
        Ok(spool.entries()?.filter_map(move |entry| {
            let (clean, text) = match entry {
                Ok((Entry::Clean(clean), text)) => (clean, text),
                Ok((Entry::Dropped(_), _)) => return None,
                Err(error) => return Some(Err(error)),
            };
            let key = keys.next().expect("each clean document has a key");
            Some(key.map(|(number, key)| {
                let site = site(&listing.files[key.file as usize], &clean.part);
                Document { number, key, site, judged: clean.format != chat, text }
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
        let thresholds = self.thresholds.get(&key.language);
        Ok(thresholds.and_then(|thresholds| thresholds.judge(&Measures::from_bytes(&bytes))))
    }

    /// The text of a document without the lines that are no part of it, and what
    /// was done.
    pub(crate) fn clean(&self, clean: &Clean, key: &Key, text: String) -> (String, Option<Step>) {
        if self.measures.is_none() || clean.format == Format::Chat.name() {
            return (text, None);
        }
        let site = site(&self.listing.files[key.file as usize], &clean.part);
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
fn site(file: &sources::File, part: &str) -> u64 {
    let name = file.part(part);
    let site = match name.split_once("://") {
        Some((_, address)) => address.split('/').next(),
        None => name.rsplit_once('/').map(|(folder, _)| folder),
    };
    let hash = blake3::hash(site.unwrap_or_default().as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}
