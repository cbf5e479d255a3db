//! How often the right document is found, and how well it is told when there is
//! none.
//!
//! ```text
//! cargo run --release -p kwaya-ask --example known_items -- [--together] FILE.jsonl...
//! ```
//!
//! A file is one of `benches/peers/ask_questions.py`: documents with a question
//! each, of which those with `in` are in the library. With `--together` all
//! files are one library.

#![allow(clippy::print_stdout)]

use std::{env, fs, time::Instant};

use kwaya_ask::{Found, Library, Weights};
use kwaya_text::corpus::{Document, Split};
use serde::Deserialize;

#[derive(Deserialize)]
struct Item {
    id: String,
    language: String,
    text: String,
    question: String,
    r#in: bool,
}

fn document(item: &Item) -> Document {
    Document {
        id: format!("{} {}", item.language, item.id),
        text: item.text.clone(),
        source: item.id.clone(),
        origin: 1,
        licence: String::new(),
        language: item.language.clone(),
        split: Split::Train,
        bytes: item.text.len() as u64,
        letters: String::new(),
        history: Vec::new(),
    }
}

const WAYS: [(&str, f32, f32); 6] = [
    ("words", 1.0, 0.0),
    ("pieces", 0.0, 1.0),
    ("2:1", 1.0, 0.5),
    ("1:1", 1.0, 1.0),
    ("1:2", 0.5, 1.0),
    ("1:4", 0.25, 1.0),
];

fn main() {
    let mut together = false;
    let mut sets: Vec<(String, Vec<Item>)> = Vec::new();
    for argument in env::args().skip(1) {
        if argument == "--together" {
            together = true;
            continue;
        }
        let text = fs::read_to_string(&argument).expect("the file is there");
        let items = text.lines().map(|line| serde_json::from_str(line).expect("a line is an item")).collect();
        sets.push((argument.rsplit('/').next().unwrap_or_default().to_owned(), items));
    }
    println!("{:<18} {:<8} {:>6} {:>6} {:>6} {:>6}", "questions", "by", "hit@1", "hit@5", "MRR", "ms");
    let mut covers = Vec::new();
    let place = tempfile::tempdir().expect("a temporary folder");
    let library = |name: &str, items: &mut dyn Iterator<Item = &Item>| {
        let documents = items.filter(|item| item.r#in).map(|item| Ok(document(item)));
        Library::make(documents, &place.path().join(name)).expect("a library")
    };
    let all = together.then(|| library("all", &mut sets.iter().flat_map(|(_, items)| items)));
    for (name, items) in &sets {
        let own = if all.is_none() { Some(library(name, &mut items.iter())) } else { None };
        measure(name, items, all.as_ref().or(own.as_ref()).expect("one of them"), &mut covers);
    }
    println!(
        "\n{:>6} {:>10} {:>10}   of questions that are answered, and that nothing answers",
        "cover", "answered", "answered"
    );
    let (known, unknown): (Vec<_>, Vec<_>) = covers.into_iter().partition(|(known, _)| *known);
    for percent in (20..=80).step_by(4) {
        let share = |covers: &[(bool, f32)]| {
            let over = covers.iter().filter(|(_, cover)| *cover >= percent as f32 / 100.0).count();
            100.0 * over as f64 / covers.len() as f64
        };
        println!("{percent:>6} {:>10.1} {:>10.1}", share(&known), share(&unknown));
    }
}

fn measure(name: &str, items: &[Item], library: &Library, covers: &mut Vec<(bool, f32)>) {
    for (way, words, pieces) in WAYS {
        let (mut first, mut five, mut reciprocal, mut asked) = (0.0, 0.0, 0.0, 0.0);
        let mut times = Vec::new();
        for item in items.iter().filter(|item| item.r#in) {
            let begun = Instant::now();
            let Ok(question) = library.question(&item.question) else { continue };
            let found = library.search_by(&question, 20, Weights { words, pieces }).expect("a search");
            times.push(begun.elapsed().as_secs_f64());
            asked += 1.0;
            if let Some(rank) = rank(&found, &format!("{} {}", item.language, item.id)) {
                first += f64::from(u8::from(rank == 1));
                five += f64::from(u8::from(rank <= 5));
                reciprocal += 1.0 / rank as f64;
            }
        }
        times.sort_by(f64::total_cmp);
        let slow = 1e3 * times[times.len() * 95 / 100];
        println!(
            "{name:<18} {way:<8} {:>6.1} {:>6.1} {:>6.3} {slow:>6.2}",
            100.0 * first / asked,
            100.0 * five / asked,
            reciprocal / asked
        );
    }
    for item in items {
        let Ok(found) = library.search(&item.question, 10) else { continue };
        let cover = found.iter().map(|found| found.cover).fold(0.0, f32::max);
        covers.push((item.r#in, cover));
    }
}

/// Among the documents of the passages.
fn rank(found: &[Found], wanted: &str) -> Option<usize> {
    let mut documents: Vec<&str> = Vec::new();
    for found in found {
        if !documents.contains(&&*found.passage.document) {
            documents.push(&found.passage.document);
        }
    }
    documents.iter().position(|document| *document == wanted).map(|at| at + 1)
}
