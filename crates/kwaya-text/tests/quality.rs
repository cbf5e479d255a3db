//! What the filters of quality say of whole corpora: the one that the project
//! ships, and news where there is some.

use std::{env, fs, path::Path};

use kwaya_base::Silent;
use kwaya_text::{
    corpus::{self, Options},
    quality::{Distribution, Fault, Learner, Level, Thresholds, Wishes, WordLists},
    sources::{self, Source},
};

/// The texts that are dropped, and the lines that are removed.
fn judge(texts: &[String], level: Level) -> (Vec<(Fault, &str)>, u64) {
    let wishes = Wishes { level, ..Wishes::default() };
    let learner = Learner::default();
    texts.iter().for_each(|text| learner.add("sw", 0, text));
    let (knowledge, lists) = (learner.finish(), WordLists::default());
    let mut distribution = Distribution::default();
    let (mut measured, mut removed) = (Vec::new(), 0);
    for text in texts {
        let cleaned = knowledge.clean("sw", 0, text, level);
        removed += cleaned.removed.values().sum::<u64>();
        let measures = knowledge.measure("sw", &cleaned, &lists);
        distribution.add(&measures);
        measured.push(measures);
    }
    let thresholds = Thresholds::learn(&distribution, &wishes);
    let faults = texts
        .iter()
        .zip(&measured)
        .filter_map(|(text, measures)| thresholds.judge(measures).map(|fault| (fault, text.as_str())));
    (faults.collect(), removed)
}

/// A small corpus of chosen documents, lists and a word book among them, stays
/// as it is.
#[test]
fn the_example_keeps_all_that_is_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/maize/documents");
    let sources = [Source { path: folder, licence: "CC-BY-4.0".to_owned(), language: None, column: None }];
    let listing = sources::scan(&sources, u64::MAX, &Silent).unwrap();
    let out = tempfile::tempdir().unwrap();
    let options = Options { languages: vec!["sw".to_owned(), "en".to_owned()], ..Options::default() };
    corpus::build(&listing, &sources, &options, &out.path().join("unfinished"), out.path(), &Silent).unwrap();
    let documents = corpus::documents(&out.path().join("documents.parquet")).unwrap();
    let texts: Vec<String> = documents.map(|document| document.unwrap().text).collect();
    assert!(texts.len() > 50, "{}", texts.len());
    let (faults, removed) = judge(&texts, Level::Gentle);
    assert!(faults.is_empty() && removed == 0, "{removed} {faults:?}");
    for (fault, text) in judge(&texts, Level::Strict).0 {
        println!("strict would drop by {} ({fault}): {:.60}", fault.filter, text);
    }
}

#[test]
fn news_is_good() {
    let text = env::var_os("KWAYA_DATA").map(|data| Path::new(&data).join("swahili-news/train.swa.txt"));
    let Some(Ok(text)) = text.map(fs::read_to_string) else {
        return println!("skipped: KWAYA_DATA names no folder with swahili-news");
    };
    let lines: Vec<&str> = text.lines().collect();
    let texts: Vec<String> = lines.chunks_exact(12).map(|lines| lines.join("\n")).collect();
    let (faults, removed) = judge(&texts, Level::Gentle);
    assert!(faults.len() * 100 < texts.len() && removed < 10, "{removed} {}: {faults:?}", faults.len());
}
