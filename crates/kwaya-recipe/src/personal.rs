//! Personal data, as the recipe wants it dealt with, and the audit of what was
//! done.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use kwaya_base::{Error, Progress, Result};
use kwaya_text::{
    audit::{self, Audit},
    corpus,
    extract::Worker,
    privacy::{Privacy, Settings},
};

use crate::recipe::Recipe;

/// The rules that a recipe asks for; none where all is to stay.
///
/// # Errors
/// As [`Privacy::new`].
pub fn rules(recipe: &Recipe, folder: &Path) -> Result<Option<Arc<Privacy>>> {
    let wishes = &recipe.corpus;
    if !wishes.redact {
        return Ok(None);
    }
    let paths = |files: &[PathBuf]| files.iter().map(|path| folder.join(path)).collect();
    let settings = Settings {
        languages: recipe.languages.clone(),
        countries: wishes.personal_countries.clone(),
        packs: paths(&wishes.personal_packs),
        names: paths(&wishes.personal_names),
    };
    Ok(Some(Arc::new(Privacy::new(&settings)?)))
}

/// Whether some of the rules are in files beside the recipe.
pub(crate) fn has_files(recipe: &Recipe) -> bool {
    !(recipe.corpus.personal_packs.is_empty() && recipe.corpus.personal_names.is_empty())
}

/// What was replaced in the corpus of the recipe in `folder` and what may have
/// been missed, with `sample` places of each kind. `worker` takes documents
/// apart.
///
/// # Errors
/// `corpus-missing`, and as [`audit::audit`].
pub fn audit(folder: &Path, sample: usize, worker: Worker, threads: usize, progress: &dyn Progress) -> Result<Audit> {
    let recipe = Recipe::read(folder)?;
    let path = folder.join("build/corpus/documents.parquet");
    if !path.exists() {
        return Err(Error::new("corpus-missing").path(folder));
    }
    let learned = recipe.learned(folder)?.into_iter().map(|(learned, _)| learned).collect();
    // Where it is missing, what was read by it is not read again.
    let ocr = Some(&recipe.corpus.ocr).filter(|ocr| !ocr.is_empty()).and_then(|ocr| corpus::Ocr::find(ocr).ok());
    let options = corpus::Options {
        languages: recipe.languages.clone(),
        learned,
        paragraphs: recipe.corpus.paragraphs,
        ocr,
        min_characters: recipe.corpus.min_characters,
        max_file_bytes: recipe.corpus.max_file_mb * 1_000_000,
        privacy: rules(&recipe, folder)?,
        threads,
        worker,
        ..corpus::Options::default()
    };
    audit::audit(&path, sample, &recipe.sources(folder), &options, progress)
}
