//! What the filters of quality say of documents, and how fast:
//! `cargo run --release -p kwaya-text --example quality LEVEL DOCUMENTS.jsonl [FIGURES.jsonl]`
//!
//! Each line has a `text` and a `language`, and perhaps a `source` and a
//! `kind`, by which the table is made. With a third argument the figures of
//! every document are written, with the filter that dropped it.
//! `benches/quality.sh` makes documents, good and bad, and calls it.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::{
    collections::BTreeMap,
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write},
    sync::OnceLock,
    time::Instant,
};

use kwaya_text::quality::{Cleaned, Distribution, Filter, Learner, LineRule, Thresholds, Wishes, WordLists, words};
use serde_json::{Value, json};

/// One document of the file.
struct Document {
    text: String,
    language: String,
    kind: String,
    source: u64,
}

/// How many documents, and how many of them each filter dropped.
type Dropped = (u64, BTreeMap<Filter, u64>);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [level, documents, rest @ ..] = arguments.as_slice() else { return Err("LEVEL DOCUMENTS [FIGURES]".into()) };
    let wishes = Wishes { level: serde_json::from_value(json!(level))?, ..Wishes::default() };
    let documents = read(documents)?;
    let mut watch = Watch::default();

    let mut languages: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    documents.iter().enumerate().for_each(|(i, d)| languages.entry(&d.language).or_default().push(i));
    let learner = Learner::default();
    for (language, of) in &languages {
        let learn = |d: &Document| learner.add(&d.language, d.source, &d.text);
        watch.time("learn", language, of.iter().map(|i| &documents[*i]), learn);
    }
    let knowledge = learner.finish();
    let lists = WordLists::default();
    let mut distributions: BTreeMap<&str, Distribution> = BTreeMap::new();
    let mut measured = vec![None; documents.len()];
    let mut lines: BTreeMap<(&str, LineRule), u64> = BTreeMap::new();
    for (language, of) in &languages {
        let all = || of.iter().map(|i| &documents[*i]);
        let clean = |d: &'_ Document| knowledge.clean(&d.language, d.source, &d.text, wishes.level).removed.len();
        watch.time("clean", language, all(), clean);
        watch.time("words alone", language, all(), |d| words::words(&d.text).len());
        watch.time("sentences alone", language, all(), |d| words::sentences(&d.text).count());
        let untouched = |d: &Document| knowledge.measure(&d.language, &Cleaned::untouched(&d.text), &lists);
        watch.time("measure", language, all(), untouched);
        for i in of {
            let d = &documents[*i];
            let cleaned = knowledge.clean(&d.language, d.source, &d.text, wishes.level);
            cleaned.removed.iter().for_each(|(rule, count)| *lines.entry((&d.kind, *rule)).or_default() += count);
            let measures = knowledge.measure(&d.language, &cleaned, &lists);
            distributions.entry(language).or_default().add(&measures);
            measured[*i] = Some(measures);
        }
    }
    let measured: Vec<_> = measured.into_iter().flatten().collect();
    let thresholds: BTreeMap<&str, Thresholds> =
        distributions.iter().map(|(language, of)| (*language, Thresholds::learn(of, &wishes))).collect();
    let mut figures = rest.first().map(File::create).transpose()?.map(BufWriter::new);
    // Documents of each kind, and those of them that each filter drops.
    let mut kinds: BTreeMap<(&str, &str), Dropped> = BTreeMap::new();
    for (document, measures) in documents.iter().zip(&measured) {
        let fault = thresholds[document.language.as_str()].judge(measures);
        let (count, dropped) = kinds.entry((&document.language, &document.kind)).or_default();
        *count += 1;
        if let Some(fault) = fault {
            *dropped.entry(fault.filter).or_default() += 1;
        }
        if let Some(figures) = &mut figures {
            let of: BTreeMap<_, _> = Filter::ALL.iter().map(|f| (f.name(), measures.get(*f))).collect();
            let fault = fault.map(|fault| fault.filter.name());
            writeln!(figures, "{}", json!({ "kind": document.kind, "figures": of, "dropped": fault }))?;
        }
    }
    println!("Limits, and the share of the language that each would drop by itself");
    for (language, thresholds) in &thresholds {
        println!("{language}: {} documents", distributions[language].documents());
        for (filter, limit) in thresholds.limits() {
            let edge =
                |side: Option<u32>| side.map_or("–".to_owned(), |side| format!("{:.3}", f64::from(side) / 1e4));
            let share = f64::from(limit.share) / 100.0;
            println!(
                "  {filter:30} {:>9} {:>9} {:>9} {share:6.2} %",
                edge(limit.low),
                edge(limit.high),
                name(limit.origin)
            );
        }
    }
    println!("\nDropped, by the first filter that finds fault");
    for ((language, kind), (count, dropped)) in kinds {
        let all: u64 = dropped.values().sum();
        let by: Vec<_> = dropped.iter().map(|(filter, count)| format!("{filter} {count}")).collect();
        println!(
            "{language:4} {kind:12} {count:6} {all:6} = {:6.2} %  {}",
            100.0 * all as f64 / count as f64,
            by.join(", ")
        );
    }
    println!("\nLines removed");
    lines.iter().for_each(|((kind, rule), count)| println!("{kind:12} {:10} {count}", name(*rule)));
    watch.print();
    Ok(())
}

fn name(of: impl serde::Serialize) -> String {
    serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn read(path: &str) -> Result<Vec<Document>, Box<dyn Error>> {
    let mut documents = Vec::new();
    for line in fs::read_to_string(path)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let source = text("source").bytes().fold(0, |hash: u64, byte| hash * 31 + u64::from(byte));
        documents.push(Document { text: text("text"), language: text("language"), kind: text("kind"), source });
    }
    Ok(documents)
}

/// Seconds and bytes of each step and language.
#[derive(Default)]
struct Watch(BTreeMap<(&'static str, String), (f64, u64)>);

impl Watch {
    fn time<'d, T>(
        &mut self,
        step: &'static str,
        language: &str,
        documents: impl Iterator<Item = &'d Document>,
        work: impl Fn(&'d Document) -> T,
    ) {
        let start = seconds();
        let bytes = documents.map(|d| {
            std::hint::black_box(work(d));
            d.text.len() as u64
        });
        let bytes: u64 = bytes.sum();
        let taken = seconds() - start;
        for language in [language, "all"] {
            let (time, sum) = self.0.entry((step, language.to_owned())).or_default();
            *time += taken;
            *sum += bytes;
        }
    }

    fn print(&self) {
        println!("\nMB/s on one core");
        for ((step, language), (time, bytes)) in &self.0 {
            println!("{step:16} {language:4} {:8.1}", *bytes as f64 / 1e6 / time);
        }
    }
}

/// What this thread has worked so far, where the system says so: other work
/// on the machine does not count then. Else the time of day.
fn seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    let spent = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    spent.map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}
