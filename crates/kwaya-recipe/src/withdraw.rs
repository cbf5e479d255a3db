//! Taking somebody's text back: it is found in every corpus that was made,
//! noted in `withdrawn.jsonl` so that it stays out of the next, and followed
//! through the ledger to all that was made from it.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use kwaya_base::{Error, Result, error::At, files};
use kwaya_text::{
    Reason, corpus,
    sources::path_of,
    withdrawn::{self, Letters, Withdrawal, Withdrawn},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    ledger::{Entry, Named},
    recipe::Recipe,
    rights::Day,
    stage::{UNFINISHED, Workshop},
    store,
};

/// Digits of a document's number that are enough to name it.
const ID_DIGITS_MIN: usize = 8;

/// What was taken back, and what was made from it.
#[derive(Debug, Serialize)]
pub struct Taken {
    /// What was named.
    pub what: String,
    /// How many texts that is.
    pub texts: usize,
    /// Whether it had been taken back before.
    pub before: bool,
    /// The files of the sources that still hold it.
    pub files: Vec<PathBuf>,
    /// What was made from it and is still there.
    pub made: Vec<Made>,
    /// Whether the ledger has figures that were made from it.
    pub figures: bool,
    /// Whether what was made from it is deleted now.
    pub deleted: bool,
}

/// A file of the build folder that was made from a text.
#[derive(Debug, Serialize)]
pub struct Made {
    /// The stage that made it; empty for reports, caches and the like.
    pub stage: String,
    /// What it is called.
    pub name: String,
    /// Its BLAKE3 hash, in hex.
    pub hash: String,
    /// Its size.
    pub bytes: u64,
    /// Where it lies, under all its names.
    pub paths: Vec<PathBuf>,
}

/// What is to be taken back, as it is found table by table.
struct Search<'a> {
    named: &'a str,
    /// The source that was named, from 1.
    origin: Option<u64>,
    /// Where the sources are.
    roots: &'a [PathBuf],
    letters: HashSet<Letters>,
    /// Files, by source and name, of which all is taken back.
    files: BTreeSet<(u64, String)>,
}

impl Search<'_> {
    /// Whether this is the file that was named, or lies in the folder or the
    /// archive that was.
    fn is_named(&self, origin: u64, name: &str) -> bool {
        let root = || self.roots.get(origin as usize - 1);
        self.origin == Some(origin)
            || Path::new(name).starts_with(self.named)
            || root().is_some_and(|root| path_of(root, name).starts_with(self.named))
    }

    fn is_id(&self, id: &str) -> bool {
        self.named.len() >= ID_DIGITS_MIN && id.starts_with(self.named)
    }

    fn add(&mut self, letters: &str) {
        // What has no letters is not somebody's text.
        let found = letters.parse().ok().filter(|found: &Letters| *found != Letters::of(""));
        self.letters.extend(found);
    }

    /// Looks through one corpus, as it was kept.
    fn kept(&mut self, path: &Path) -> Result<()> {
        // The documents of a file follow one another.
        let mut of_one: Option<((u64, String), bool)> = None;
        for document in corpus::documents(path)? {
            let document = document?;
            let wanted = self.is_named(document.origin, &document.source) || self.is_id(&document.id);
            if wanted {
                self.add(&document.letters);
            }
            let file = (document.origin, document.source);
            match &mut of_one {
                Some((known, whole)) if *known == file => *whole &= wanted,
                _ => self.whole(of_one.replace((file, wanted))),
            }
        }
        self.whole(of_one);
        Ok(())
    }

    fn whole(&mut self, file: Option<((u64, String), bool)>) {
        self.files.extend(file.filter(|(_, whole)| *whole).map(|(file, _)| file));
    }

    /// Looks through what was dropped: what was named, and what was dropped
    /// for being the same.
    fn dropped(&mut self, path: &Path) -> Result<()> {
        for row in corpus::dropped(path)? {
            let row = row?;
            if row.reason == Reason::Withdrawn {
                continue;
            }
            let named = self.is_named(row.origin, &row.source);
            let twin = row.twin.parse().is_ok_and(|twin: Letters| self.letters.contains(&twin));
            if named || twin {
                self.add(&row.letters);
            }
            if named {
                self.files.insert((row.origin, row.source));
            }
        }
        Ok(())
    }

    fn is_in(&self, documents: &Path, dropped: &Path) -> Result<bool> {
        let has = |letters: &str| letters.parse().is_ok_and(|found: Letters| self.letters.contains(&found));
        for document in corpus::documents(documents)? {
            if has(&document?.letters) {
                return Ok(true);
            }
        }
        for row in corpus::dropped(dropped)? {
            if has(&row?.letters) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes back the document (by the beginning of its id), the file (by its name
/// or path) or the source (by its path) that is `named`, and everything that
/// was dropped for being the same. With `delete`, what was made from it is
/// deleted.
///
/// # Errors
/// `withdraw-unknown` when there is nothing of that name, `withdraw-several`
/// when there are several.
pub fn withdraw(folder: &Path, named: &str, because: &str, delete: bool) -> Result<Taken> {
    let recipe = Recipe::read(folder)?;
    let mut shop = Workshop::open(folder)?;
    let roots: Vec<PathBuf> = recipe.source.iter().map(|source| folder.join(&source.path)).collect();
    let is_source = |(at, entry): (usize, &crate::recipe::SourceEntry)| {
        entry.path == Path::new(named) || same_place(&roots[at], Path::new(named))
    };
    let origin = recipe.source.iter().enumerate().position(is_source).map(|at| at as u64 + 1);
    let corpora = corpora(&shop);
    let mut search = Search { named, origin, roots: &roots, letters: HashSet::new(), files: BTreeSet::new() };
    for (documents, _) in corpora.values().flatten() {
        search.kept(documents)?;
    }
    for (_, dropped) in corpora.values().flatten() {
        search.dropped(dropped)?;
    }
    let origins: BTreeSet<u64> = search.files.iter().map(|(origin, _)| *origin).collect();
    if origin.is_none() && origins.len() > 1 {
        let paths = search.files.iter().map(|(origin, name)| path_in(&roots, *origin, name).display().to_string());
        return Err(Error::usage("withdraw-several")
            .arg("what", named)
            .arg("list", paths.collect::<Vec<_>>().join("\n")));
    }
    let mut paths: BTreeSet<PathBuf> = search.files.iter().map(|(at, name)| path_in(&roots, *at, name)).collect();
    // A file that no corpus has seen yet.
    let in_source = |path: &PathBuf| roots.iter().any(|root| path.starts_with(root) && path != root);
    let unseen = [PathBuf::from(named)].into_iter().chain(roots.iter().map(|root| root.join(named)));
    paths.extend(unseen.filter(|path| in_source(path) && path.is_file()).take(1));
    paths.retain(|path| path.is_file());
    if search.letters.is_empty() && paths.is_empty() {
        return Err(Error::usage("withdraw-unknown").arg("what", named).arg("folder", folder.display()));
    }
    let before = note(folder, &search.letters, &paths, named, because)?;
    let tainted = tainted(&shop, &search, &corpora)?;
    let made = made(&shop, &tainted)?;
    if delete {
        for path in made.iter().flat_map(|made| &made.paths) {
            fs::remove_file(path).at(path)?;
        }
        files::sync_folder(&shop.folder)?;
        let deleted = made.iter().filter(|made| !made.stage.is_empty());
        let inputs = deleted.map(|made| Named { name: made.name.clone(), hash: made.hash.clone() }).collect();
        record(&mut shop, inputs, search.letters.len())?;
    }
    Ok(Taken {
        what: named.to_owned(),
        texts: search.letters.len(),
        before,
        files: paths.into_iter().collect(),
        made,
        figures: tainted.figures,
        deleted: delete,
    })
}

fn same_place(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn path_in(roots: &[PathBuf], origin: u64, name: &str) -> PathBuf {
    roots.get(origin as usize - 1).map_or_else(|| PathBuf::from(name), |root| path_of(root, name))
}

/// The documents and the dropped rows of each corpus of the ledger by the
/// number of its line; `None` where they are no longer in the store.
fn corpora(shop: &Workshop) -> BTreeMap<u64, Option<(PathBuf, PathBuf)>> {
    let path = |entry: &Entry, name: &str| {
        let output = entry.outputs.iter().find(|output| output.name == name)?;
        Some(shop.artefact(output)).filter(|path| path.is_file())
    };
    let lines = shop.ledger.entries().iter().filter(|entry| entry.stage == "corpus");
    lines.map(|e| (e.index, path(e, "documents.parquet").zip(path(e, "dropped.parquet")))).collect()
}

/// Notes what is taken back, unless all of it is noted already: says so then.
fn note(
    folder: &Path,
    letters: &HashSet<Letters>,
    paths: &BTreeSet<PathBuf>,
    named: &str,
    because: &str,
) -> Result<bool> {
    let known = Withdrawn::read(folder)?;
    let mut texts: Vec<Letters> = letters.iter().copied().filter(|found| !known.text(found)).collect();
    texts.sort_unstable();
    let mut hashes = BTreeSet::new();
    for path in paths.iter().filter(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 0)) {
        let hash = store::hash_file(path)?;
        if blake3::Hash::from_hex(&hash).is_ok_and(|content| !known.file(&content)) {
            hashes.insert(hash);
        }
    }
    if texts.is_empty() && hashes.is_empty() {
        return Ok(true);
    }
    let withdrawal = Withdrawal {
        what: named.to_owned(),
        on: Day::today().to_string(),
        because: because.to_owned(),
        texts,
        files: hashes.into_iter().collect(),
    };
    withdrawn::withdraw(folder, &withdrawal).map(|()| false)
}

/// What was made from a text, by the ledger.
struct Tainted {
    /// Hashes of artefacts, each with its stage and name.
    artefacts: BTreeMap<String, (String, String)>,
    /// Hashes of all other artefacts.
    clean: HashSet<String>,
    /// Whether figures in the ledger are.
    figures: bool,
}

fn tainted(
    shop: &Workshop,
    search: &Search<'_>,
    corpora: &BTreeMap<u64, Option<(PathBuf, PathBuf)>>,
) -> Result<Tainted> {
    let mut found = Tainted { artefacts: BTreeMap::new(), clean: HashSet::new(), figures: false };
    for entry in shop.ledger.entries() {
        let bad = match corpora.get(&entry.index) {
            // What cannot be looked at may have held it.
            Some(None) => true,
            Some(Some((documents, dropped))) => search.is_in(documents, dropped)?,
            None => entry.inputs.iter().any(|input| found.artefacts.contains_key(&input.hash)),
        };
        found.figures |= bad && entry.outputs.is_empty();
        for output in &entry.outputs {
            // What comes out without the text as well holds nothing of it.
            if !bad {
                found.artefacts.remove(&output.hash);
                found.clean.insert(output.hash.clone());
            } else if !found.clean.contains(&output.hash) {
                found.artefacts.insert(output.hash.clone(), (entry.stage.clone(), output.name.clone()));
            }
        }
    }
    Ok(found)
}

/// The files of the build folder that are tainted: artefacts under all their
/// names, and whatever else is not known to be clean, such as pages,
/// checkpoints and caches of texts. What of these is of another corpus is
/// made again by a build.
fn made(shop: &Workshop, tainted: &Tainted) -> Result<Vec<Made>> {
    let mut files = Vec::new();
    walk(&shop.folder, &mut files)?;
    let mut made: BTreeMap<(String, String), Made> = BTreeMap::new();
    for path in files {
        let name = path.strip_prefix(&shop.folder).unwrap_or(&path);
        let first = name.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
        if ["ledger.jsonl", "lock"].contains(&first) {
            continue;
        }
        let hash = store::hash_file(&path)?;
        let (stage, name) = match tainted.artefacts.get(&hash) {
            Some(known) => known.clone(),
            None if tainted.clean.contains(&hash) => continue,
            None => (String::new(), name.display().to_string()),
        };
        let bytes = fs::metadata(&path).at(&path)?.len();
        let known = made.entry((name.clone(), hash.clone()));
        known.or_insert_with(|| Made { stage, name, hash, bytes, paths: Vec::new() }).paths.push(path);
    }
    // The rest is suspect only where something is, but for what a stopped build
    // left: no line of the ledger says what is in it.
    if made.values().all(|made| made.stage.is_empty()) {
        made.retain(|(name, _), _| Path::new(name).starts_with(UNFINISHED));
    }
    let mut made: Vec<Made> = made.into_values().collect();
    let place = |made: &Made| !tainted.artefacts.contains_key(&made.hash);
    made.sort_by_key(|made| (place(made), made.stage.clone(), made.name.clone()));
    Ok(made)
}

/// All files under `folder`, sorted; links are not followed.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder).at(folder)?.collect::<std::io::Result<_>>().at(folder)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().at(&path)?.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Leaves a line in the ledger that says what was deleted.
fn record(shop: &mut Workshop, inputs: Vec<Named>, texts: usize) -> Result<()> {
    shop.ledger.append(Entry {
        index: 0,
        previous: String::new(),
        time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        stage: "withdraw".into(),
        key: String::new(),
        inputs,
        outputs: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seconds: 0.0,
        peak_memory_bytes: None,
        figures: json!({ "texts": texts }),
    })
}
