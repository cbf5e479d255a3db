//! The texts of documents as they were before personal data was replaced, read
//! again out of the files they came from. They are known by their
//! [`Letters`](crate::withdrawn::Letters), which are taken before: a file that
//! has changed gives other letters, and so nothing wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use kwaya_base::{Error, Progress, Result, Unit};

use crate::{
    chat,
    corpus::{Document, Options},
    extract::Format,
    extractors::Extractors,
    keep_out::KeepOut,
    language::Identifier,
    prepare::{Job, Outcome, Portion, Prepared, Tally, prepare, stream},
    sources::{self, File, Source, path_of},
    withdrawn::Withdrawn,
};

/// The texts of `documents` by their letters, as far as their files have them.
/// Each file is read once, and no further than is needed.
///
/// # Errors
/// `interrupted`, and when the child process that takes files apart cannot be
/// used. A file that cannot be read is as one that is gone.
pub(crate) fn originals(
    documents: &[&Document],
    sources: &[Source],
    options: &Options,
    progress: &dyn Progress,
) -> Result<BTreeMap<String, String>> {
    let options = Options {
        privacy: None,
        withdrawn: Withdrawn::default(),
        keep_out: KeepOut::default(),
        unique_paragraphs: false,
        ..options.clone()
    };
    let identifier = Identifier::new(&options.languages, &options.learned);
    let extractors = Extractors::new(&options);
    let mut wanted: BTreeMap<(usize, String), BTreeSet<&str>> = BTreeMap::new();
    for document in documents {
        let Some(source) = (document.origin as usize).checked_sub(1).filter(|source| *source < sources.len()) else {
            continue;
        };
        if let Some(name) = file_of(&sources[source].path, &document.source) {
            wanted.entry((source, name.to_owned())).or_default().insert(&document.letters);
        }
    }
    let mut found = BTreeMap::new();
    progress.begin("audit-sources", wanted.len() as u64, Unit::Documents);
    for (done, ((source, name), mut letters)) in wanted.into_iter().enumerate() {
        progress.at(done as u64);
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        let path = path_of(&sources[source].path, &name);
        let Ok((hash, bytes)) = sources::hash(&path) else { continue };
        let file = File { path, name, source, bytes, hash };
        let job = Job { file: &file, source: &sources[source], options: &options, identifier: &identifier };
        let mut take = |prepared: Prepared| {
            if let Prepared::Clean { document, .. } = prepared
                && letters.remove(&*document.letters.to_string())
            {
                let chat = document.format == Format::Chat.name();
                let messages = chat.then(|| serde_json::from_str(&document.text).ok()).flatten();
                let text = messages.map_or(document.text, |messages: Vec<chat::Message>| chat::words(&messages));
                found.insert(document.letters.to_string(), text);
            }
            if letters.is_empty() || progress.stopped() { Err(Error::new("interrupted")) } else { Ok(()) }
        };
        // What ends it is that all is found; or the reader of the file does,
        // and then it is as if it were gone.
        let _ = match prepare(job, &mut extractors.get()) {
            Ok(Outcome::Documents(prepared)) => prepared.into_iter().try_for_each(&mut take),
            Ok(Outcome::Large) => stream(job, Portion::ALL, Tally::default(), &extractors, |made| {
                made.documents.into_iter().try_for_each(&mut take)
            })
            .map(drop),
            Err(error) => Err(error),
        };
    }
    progress.end();
    Ok(found)
}

/// The name of the file that holds the document of this name.
fn file_of<'n>(root: &Path, name: &'n str) -> Option<&'n str> {
    let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
    ends.map(|end| &name[..end]).find(|part| path_of(root, part).is_file())
}
