//! How long an index takes, how large it is, and how fast it answers.
//!
//! ```text
//! cargo run --release -p kwaya-ask --example ask_speed -- DOCUMENTS.jsonl FOLDER [QUESTIONS]
//! ```
//!
//! A line of the documents has a `text`. A question is half of the words of a
//! sentence, and its answer the document that this is from. Passages and
//! questions are written to FOLDER, for others to be measured on the same.

#![allow(clippy::print_stdout)]

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use kwaya_ask::Library;
use kwaya_recipe::machine;
use kwaya_text::corpus::{Document, Split};
use serde_json::{Value, json};

fn documents(path: &Path) -> impl Iterator<Item = Document> {
    let lines = BufReader::new(File::open(path).expect("the documents are there")).lines();
    lines.enumerate().map(|(number, line)| {
        let row: Value = serde_json::from_str(&line.expect("text")).expect("a line is JSON");
        let text = row["text"].as_str().expect("a line has a text").to_owned();
        Document {
            id: number.to_string(),
            source: format!("{number}.txt"),
            origin: 1,
            licence: String::new(),
            language: "sw".to_owned(),
            split: Split::Train,
            bytes: text.len() as u64,
            letters: String::new(),
            history: Vec::new(),
            text,
        }
    })
}

/// Half of the words of a line of a text, by its number.
fn question(text: &str, number: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| line.split_whitespace().count() > 11).collect();
    let line = lines.get(number % lines.len().max(1)).copied().unwrap_or(text);
    let half = |(at, word): (usize, &str)| ((at * 7 + number) % 4 < 2).then(|| word.to_owned());
    line.split_whitespace().take(60).enumerate().filter_map(half).collect::<Vec<_>>().join(" ")
}

fn main() {
    let mut arguments = env::args().skip(1);
    let source = PathBuf::from(arguments.next().expect("DOCUMENTS.jsonl"));
    let folder = PathBuf::from(arguments.next().expect("FOLDER"));
    let count: usize = arguments.next().map_or(1000, |count| count.parse().expect("QUESTIONS is a number"));
    let place = folder.join("index");
    let begun = Instant::now();
    let library = Library::make(documents(&source).map(Ok), &place).expect("an index");
    let seconds = begun.elapsed().as_secs_f64();
    let peak = machine::peak_memory();

    let total = documents(&source).count();
    let every = (total / count).max(1);
    let mut out = BufWriter::new(File::create(folder.join("questions.jsonl")).expect("a file"));
    let mut passages = BufWriter::new(File::create(folder.join("passages.jsonl")).expect("a file"));
    let mut questions = Vec::new();
    for document in documents(&source) {
        for passage in kwaya_ask::passages(&document.text) {
            let row = json!({ "document": document.id, "text": document.text[passage].trim() });
            writeln!(passages, "{row}").expect("room on the disk");
        }
        let number: usize = document.id.parse().expect("a number");
        if number.is_multiple_of(every) && questions.len() < count {
            let question = question(&document.text, number);
            writeln!(out, "{}", json!({ "question": question, "document": document.id })).expect("room on the disk");
            questions.push((question, document.id));
        }
    }
    let (mut times, mut first, mut five) = (Vec::new(), 0, 0);
    for (question, document) in &questions {
        let begun = Instant::now();
        let found = library.search(question, 5).expect("a search");
        times.push(1e3 * begun.elapsed().as_secs_f64());
        first += usize::from(found.first().is_some_and(|found| found.passage.document == *document));
        five += usize::from(found.iter().any(|found| found.passage.document == *document));
    }
    times.sort_by(f64::total_cmp);
    let bytes: u64 = fs::read_dir(&place)
        .expect("the index")
        .map(|entry| entry.and_then(|e| e.metadata()).map_or(0, |m| m.len()))
        .sum();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{}",
        json!({
            "documents": total, "passages": library.passages(), "text_bytes": fs::metadata(&source).map_or(0, |m| m.len()),
            "seconds": seconds, "peak_memory_bytes": peak, "index_bytes": bytes, "questions": questions.len(),
            "p50_ms": at(50), "p95_ms": at(95), "hit_at_1": first, "hit_at_5": five,
        })
    );
}
