//! Languages on news that nobody here wrote, and in whole corpora: paragraphs
//! of other languages, and a language that was learned.

use std::{collections::BTreeMap, env, fs, path::Path};

use kwaya_base::Silent;
use kwaya_text::{
    corpus::{self, Document, Options, Step},
    language::{Identifier, Learned},
    quality::{Level, Wishes},
    sources::{self, Source},
};

/// The fields of a file of tab-separated rows, of which some are quoted.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    for character in text.chars() {
        match character {
            // A quote within a field is there twice: it ends and begins again.
            '"' => quoted = !quoted,
            '\t' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            _ => field.push(character),
        }
    }
    rows
}

/// The mean of F1 over the languages of `texts`, with all languages as
/// candidates.
fn macro_f1(identifier: &Identifier, texts: &[(&str, String)]) -> f64 {
    let mut counts: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    for (tag, _) in texts {
        counts.entry(tag).or_default()[0] += 1.0;
    }
    for (tag, text) in texts {
        let found = identifier.guess(text).language;
        if let Some((_, count)) = counts.iter_mut().find(|(tag, _)| **tag == found) {
            count[1] += 1.0;
            count[2] += f64::from(u8::from(*tag == found));
        }
    }
    counts.values().map(|[given, found, right]| 2.0 * right / (given + found)).sum::<f64>() / counts.len() as f64
}

#[test]
fn news_is_told_among_all_languages() {
    let (mut articles, mut headlines) = (Vec::new(), Vec::new());
    for (folder, tag) in [("som", "so"), ("yor", "yo"), ("lug", "lg"), ("ibo", "ig"), ("xho", "xh")] {
        let file =
            env::var_os("KWAYA_DATA").map(|data| Path::new(&data).join("masakhanews").join(folder).join("test.tsv"));
        let Some(Ok(text)) = file.map(fs::read_to_string) else {
            return println!("skipped: KWAYA_DATA names no folder with masakhanews");
        };
        for row in rows(&text).into_iter().skip(1) {
            articles.push((tag, format!("{} {}", row[1], row[2])));
            headlines.push((tag, row[1].clone()));
        }
    }
    assert!(articles.len() > 1500);
    let identifier = Identifier::new(&[], &[]);
    let (articles, headlines) = (macro_f1(&identifier, &articles), macro_f1(&identifier, &headlines));
    assert!(articles >= 0.98 && headlines >= 0.93, "{articles} {headlines}");
}

fn build(folder: &Path, options: &Options) -> Vec<Document> {
    let sources = [Source { path: folder.join("documents"), licence: String::new(), language: None, column: None }];
    let listing = sources::scan(&sources, u64::MAX, &Silent).unwrap();
    let unfinished = tempfile::tempdir_in(folder).unwrap();
    corpus::build(&listing, &sources, options, unfinished.path(), folder, &Silent).unwrap();
    corpus::documents(&folder.join("documents.parquet")).unwrap().map(Result::unwrap).collect()
}

/// The texts here say the same again and again.
fn unasked() -> Wishes {
    Wishes { level: Level::Off, ..Wishes::default() }
}

const SWAHILI: &str = "Serikali imesema kuwa wakulima watapata mbegu mpya kabla ya msimu wa mvua kuanza, na wataalamu \
                       watawatembelea vijijini.";
const ENGLISH: &str = "The government said that farmers will receive new seeds before the rainy season begins, and that \
                       experts will visit them in their villages.";

#[test]
fn paragraphs_of_other_languages_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("documents")).unwrap();
    let mixed = format!("{SWAHILI}\n\n{ENGLISH}\n\n{}", SWAHILI.replace("mbegu", "mbolea"));
    fs::write(folder.path().join("documents/mixed.txt"), &mixed).unwrap();
    fs::write(folder.path().join("documents/english.txt"), format!("{ENGLISH}\n\n{ENGLISH}")).unwrap();
    let options = Options { languages: vec!["sw".into()], quality: unasked(), ..Options::default() };
    let whole = build(folder.path(), &options);
    assert_eq!(whole[0].text, mixed);
    let kept = build(folder.path(), &Options { paragraphs: true, ..options });
    assert_eq!((kept.len(), kept[0].language.as_str()), (1, "sw"));
    assert!(!kept[0].text.contains("government") && kept[0].text.contains("mbolea"));
    let shares = kept[0].history.iter().find_map(|step| match step {
        Step::Paragraphs { languages, left_out } => Some((languages.clone(), *left_out)),
        _ => None,
    });
    let english = ENGLISH.len() as u64;
    assert_eq!(
        shares,
        Some((BTreeMap::from([("en".into(), english), ("sw".into(), mixed.len() as u64 - english - 4)]), english))
    );
}

/// A language that nobody speaks, made by rule.
fn invented(seed: u64, sentences: usize) -> String {
    let mut state = seed;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let syllables = ["qwo", "zix", "vrul", "xan", "jjeb", "wuq", "tlix", "oqqa"];
    let mut text = String::new();
    for _ in 0..sentences {
        for _ in 0..12 {
            (0..=next(3)).for_each(|_| text.push_str(syllables[next(8)]));
            text.push(' ');
        }
        text.push('\n');
    }
    text
}

#[test]
fn a_language_that_was_learned_can_be_wanted() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("documents")).unwrap();
    fs::write(folder.path().join("documents/own.txt"), invented(1, 9)).unwrap();
    fs::write(folder.path().join("documents/other.txt"), format!("{ENGLISH}\n{ENGLISH} {ENGLISH}")).unwrap();
    let (learned, _) = Learned::learn("qaa", &[invented(2, 200)]).unwrap();
    let options = Options { languages: vec!["qaa".into()], quality: unasked(), ..Options::default() };
    // Nothing is dropped for a language that cannot be recognised.
    assert_eq!(build(folder.path(), &options).len(), 2);
    let kept = build(folder.path(), &Options { learned: vec![learned], ..options });
    assert_eq!((kept.len(), kept[0].language.as_str(), kept[0].source.as_str()), (1, "qaa", "own.txt"));
}
