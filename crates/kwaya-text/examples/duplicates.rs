//! Recall and precision of near duplicates on a planted set:
//! `cargo run --release -p kwaya-text --example duplicates FILE [DOCUMENTS]`
//!
//! FILE is running text, a sentence or more on a line. Of its lines DOCUMENTS
//! texts are made, and of each a copy in which 1 to 20 of 100 words are others.
//! Whether two texts are near duplicates is computed here from sets of strings,
//! with none of the code that is measured. Precision counts a document that was
//! dropped as right when it is as alike to the one it was dropped for as asked.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write,
    path::Path,
    time::Instant,
};

use kwaya_base::{Error, Result, Silent, error::At};
use kwaya_text::{
    Reason, clean,
    corpus::{self, Options},
    sources::{self, Source},
};

const THRESHOLD: f64 = 0.8;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or_else(|| Error::usage("source-missing").arg("path", "FILE"))?;
    let count: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let text = fs::read_to_string(&path).at(Path::new(&path))?;
    let lines: Vec<&str> = text.lines().filter(|line| line.len() > 60).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let temporary = std::env::temp_dir();
    let folder = tempfile::tempdir_in(&temporary).at(&temporary)?;
    let mut texts: Vec<String> = Vec::new();
    let mut random = Random(1);
    for _ in 0..count {
        // No two have a beginning of lines in common.
        let original: Vec<&str> = (0..4 + random.below(12)).map(|_| lines[random.below(lines.len())]).collect();
        let original = original.join("\n");
        let share = 1 + random.below(20);
        let changed: Vec<&str> = original
            .split_whitespace()
            .map(|word| if random.below(100) < share { words[random.below(words.len())] } else { word })
            .collect();
        let changed = changed.join(" ");
        texts.extend([original, changed]);
    }
    let documents = folder.path().join("planted.jsonl");
    let mut file = fs::File::create(&documents).at(&documents)?;
    for text in &texts {
        writeln!(file, "{}", serde_json::json!({ "text": text })).at(&documents)?;
    }
    let sources = [Source { path: documents, licence: String::new(), language: None, column: None }];
    let listing = sources::scan(&sources, u64::MAX, &Silent)?;
    let options = Options {
        near_duplicate: THRESHOLD,
        unique_paragraphs: false,
        privacy: None,
        max_file_bytes: u64::MAX,
        threads: 2,
        ..Options::default()
    };
    let began = Instant::now();
    corpus::build(&listing, &sources, &options, &folder.path().join("unfinished"), folder.path(), &Silent)?;
    let seconds = began.elapsed().as_secs_f64();
    let mut kept = HashSet::new();
    for document in corpus::documents(&folder.path().join("documents.parquet"))? {
        kept.insert(document?.text);
    }
    let dropped = corpus::dropped(&folder.path().join("dropped.parquet"))?;
    let near = dropped.filter(|d| d.as_ref().is_ok_and(|d| d.reason == Reason::NearDuplicate)).count();
    report(&texts, &kept, near);
    println!("{seconds:.2} s for {} documents", texts.len());
    Ok(())
}

/// Pairs by their similarity: how many were found.
fn report(texts: &[String], kept: &HashSet<String>, near: usize) {
    let (mut alike, mut found, mut wrong) = (0, 0, 0);
    let mut tenths: HashMap<u32, (u32, u32)> = HashMap::new();
    for pair in texts.chunks_exact(2) {
        let similarity = jaccard(&pair[0], &pair[1]);
        let dropped = !kept.contains(&clean::normalise(&pair[1]));
        let entry = tenths.entry((similarity * 20.0) as u32).or_default();
        entry.0 += 1;
        entry.1 += u32::from(dropped);
        let is = similarity >= THRESHOLD;
        alike += u32::from(is);
        found += u32::from(is && dropped);
        wrong += u32::from(!is && dropped);
    }
    let mut tenths: Vec<_> = tenths.into_iter().collect();
    tenths.sort_unstable();
    for (tenth, (pairs, found)) in tenths {
        println!("similarity {:.2} and more: {found} of {pairs} found", f64::from(tenth) / 20.0);
    }
    let recall = f64::from(found) / f64::from(alike);
    let precision = f64::from(found) / f64::from(found + wrong);
    println!("recall {recall:.4}, precision {precision:.4}, {near} dropped as near duplicates");
}

fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn jaccard(a: &str, b: &str) -> f64 {
    let set = |text: &str| words_of(text).windows(5).map(|window| window.join(" ")).collect::<HashSet<String>>();
    let (a, b) = (set(a), set(b));
    let both = a.intersection(&b).count();
    both as f64 / (a.len() + b.len() - both) as f64
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }
}
