//! How well and how fast languages are told, on texts with their language.
//!
//! ```text
//! cargo run --release --example language_figures -p kwaya-text -- FILE.tsv ...
//! ```
//!
//! Each line of a `.tsv` is a tag, a tab and a text; all languages are
//! candidates and `und` is a wrong answer. Printed are, for each file, the
//! share that is right, F1 for each language and their mean, how often texts
//! are right by what the program says of its confidence, by how much at most
//! another language scores more than the right one, and the speed on one
//! core: by documents, and by all paragraphs. Of any other file, which is a
//! text, the speed is printed alone, in pieces of 16 kB as in a corpus.

#![allow(clippy::print_stdout, reason = "prints figures")]

use std::{collections::BTreeMap, fs, hint::black_box, sync::OnceLock, time::Instant};

use kwaya_text::{clean, language::Identifier};

/// Seconds that this thread has been at work, where Linux tells them: other
/// work on the machine does not count. Else those of the clock.
fn seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|told| told.split(' ').next()?.parse::<f64>().ok());
    told.map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

fn main() {
    let start = seconds();
    let identifier = Identifier::new(&[], &[]);
    println!("tables ready in {:.1} ms", (seconds() - start) * 1e3);
    for path in std::env::args().skip(1) {
        let file = fs::read_to_string(&path).expect("a file of UTF-8");
        if !path.ends_with(".tsv") {
            speed(&identifier, &path, &file);
            continue;
        }
        let texts: Vec<(&str, &str)> = file.lines().filter_map(|line| line.split_once('\t')).collect();
        figures(&identifier, &path, &texts);
    }
}

/// The shortest time of five in which `work` is done.
fn shortest(work: &dyn Fn()) -> f64 {
    let once = || {
        let start = seconds();
        work();
        seconds() - start
    };
    (0..5).map(|_| once()).fold(f64::MAX, f64::min)
}

fn speed(identifier: &Identifier, path: &str, text: &str) {
    let pieces = clean::pieces(text, 16 << 10);
    let megabytes = text.len() as f64 / 1e6;
    let whole = shortest(&|| pieces.iter().for_each(|piece| drop(black_box(identifier.guess(piece)))));
    let parts = shortest(&|| pieces.iter().for_each(|piece| drop(black_box(identifier.paragraphs(piece)))));
    let paragraphs: usize = pieces.iter().map(|piece| identifier.paragraphs(piece).len()).sum();
    println!(
        "\n{path}: {megabytes:.1} MB, {paragraphs} paragraphs; MB/s: {:.0} by documents, {:.0} by paragraphs",
        megabytes / whole,
        megabytes / parts
    );
}

fn figures(identifier: &Identifier, path: &str, texts: &[(&str, &str)]) {
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    let whole = shortest(&|| {
        for (_, text) in texts {
            black_box(identifier.guess(text));
        }
    });
    let parts = shortest(&|| {
        for (_, text) in texts {
            black_box(identifier.paragraphs(text));
        }
    });
    let (mut right, mut unknown) = (0, 0);
    let mut of: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut bands: BTreeMap<u8, (usize, usize, usize)> = BTreeMap::new();
    let mut lost: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for &(tag, text) in texts {
        let guess = identifier.guess(text);
        let hit = guess.language == tag;
        right += usize::from(hit);
        unknown += usize::from(guess.language == "und");
        let count = of.entry(tag).or_default();
        count[1] += 1;
        count[0] += usize::from(hit);
        if let Some(count) = of.get_mut(&*guess.language) {
            count[2] += 1;
        } else {
            of.entry(texts.iter().find(|(tag, _)| *tag == guess.language).map_or("", |(tag, _)| tag)).or_default()
                [2] += 1;
        }
        if guess.language != "und" {
            let band = bands.entry((guess.percent / 10).min(9)).or_default();
            *band = (band.0 + usize::from(hit), band.1 + 1, band.2 + usize::from(guess.percent));
        }
        let counted = lost.entry(tag.to_owned()).or_default();
        let verdict = Identifier::new(&[tag.to_owned()], &[]).identify(text, None);
        counted.0 += usize::from(verdict.unwanted && text.len() >= 100);
        counted.1 += usize::from(text.len() >= 100);
    }
    of.remove("");
    let f1: BTreeMap<_, _> =
        of.iter().map(|(tag, [hit, given, found])| (*tag, 2.0 * *hit as f64 / (given + found).max(1) as f64)).collect();
    let mean = f1.values().sum::<f64>() / f1.len() as f64;
    println!("\n{path}: {} texts, {:.1} MB", texts.len(), bytes as f64 / 1e6);
    println!(
        "  right {:.4}, unknown {:.4}, macro F1 {mean:.4}",
        right as f64 / texts.len() as f64,
        unknown as f64 / texts.len() as f64
    );
    println!(
        "  MB/s: {:.0} by documents, {:.0} by paragraphs; {:.1} µs a document",
        bytes as f64 / 1e6 / whole,
        bytes as f64 / 1e6 / parts,
        1e6 * whole / texts.len() as f64
    );
    if f1.len() <= 20 {
        println!("  F1 {}", f1.iter().map(|(tag, f1)| format!("{tag} {f1:.4}")).collect::<Vec<_>>().join("  "));
        let lost = lost.iter().map(|(tag, (lost, of))| format!("{tag} {lost}/{of}"));
        println!("  dropped where only their language is wanted: {}", lost.collect::<Vec<_>>().join("  "));
    }
    for (hit, count, said) in bands.values() {
        println!(
            "  said {:3.0} %: right {:5.1} % of {count}",
            *said as f64 / *count as f64,
            100.0 * *hit as f64 / *count as f64
        );
    }
}
