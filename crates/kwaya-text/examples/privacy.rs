//! How fast, how well and what is found of personal data.
//!
//! `cargo run --release -p kwaya-text --example privacy -- speed FILE…`
//! measures one core; `… finds FILE…` prints each piece that is found with the
//! words around it; `… planted FILE…` plants 10,000 pieces of each kind, made
//! up from what is published of their forms and not from the rules, in
//! sentences of the files, and 10,000 of each sort of numbers that are not
//! personal, and prints recall and precision.
#![allow(clippy::print_stdout, reason = "measurements are printed")]

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use kwaya_base::{Error, Result, error::At};
use kwaya_text::privacy::{Kind, Privacy, Settings};

mod planted;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let texts: Vec<String> = arguments.map(|path| read(Path::new(&path))).collect::<Result<_>>()?;
    let languages = ["sw", "so", "yo", "lg", "ig", "xh", "bn", "hi", "fr", "pt"].map(String::from).into();
    let began = Instant::now();
    let privacy = Privacy::new(&Settings { languages, ..Settings::default() })?;
    println!("rules ready in {:.0} ms", 1e3 * began.elapsed().as_secs_f64());
    match what.as_str() {
        "speed" => speed(&privacy, &texts),
        "finds" => finds(&privacy, &texts),
        "planted" => score(&privacy, &texts),
        _ => return Err(Error::usage("command-wrong").arg("cause", "speed, finds or planted")),
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path).at(path)?).into_owned())
}

fn speed(privacy: &Privacy, texts: &[String]) {
    // Documents of the size that a corpus has.
    let documents: Vec<&str> = texts.iter().flat_map(|text| pieces(text, 16 << 10)).collect();
    let bytes: usize = documents.iter().map(|text| text.len()).sum();
    privacy.find("Simu +255 712 345 678");
    for _ in 0..5 {
        let began = Instant::now();
        let pieces: usize = documents.iter().map(|text| privacy.find(text).len()).sum();
        let seconds = began.elapsed().as_secs_f64();
        println!("{:.1} MB, {pieces} pieces: {:.0} MB/s", bytes as f64 / 1e6, bytes as f64 / 1e6 / seconds);
    }
}

fn pieces(text: &str, bytes: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(bytes));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn finds(privacy: &Privacy, texts: &[String]) {
    let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
    for text in texts {
        for found in privacy.find(text) {
            *counts.entry(found.kind).or_default() += 1;
            let before = text.ceil_char_boundary(found.start.saturating_sub(60));
            let after = text.floor_char_boundary((found.end + 30).min(text.len()));
            let line = |text: &str| text.replace(['\n', '\t'], " ");
            let (before, after) = (line(&text[before..found.start]), line(&text[found.end..after]));
            println!("{}\t{before}\u{27e6}{}\u{27e7}{after}", found.kind, line(&text[found.start..found.end]));
        }
    }
    println!("{counts:?}");
}

/// Sentences of plain text, without anything that is found in them.
fn sentences<'t>(privacy: &Privacy, texts: &'t [String]) -> Vec<&'t str> {
    let lines = texts.iter().flat_map(|text| text.split(['\n', '\t']));
    let good = |line: &&str| (80..400).contains(&line.len()) && line.contains(' ') && privacy.find(line).is_empty();
    lines.map(str::trim).filter(good).collect()
}

/// What became of planted pieces.
#[derive(Default)]
struct Score {
    planted: u64,
    right: u64,
    other_kind: u64,
    in_part: u64,
    missed: u64,
    example: String,
}

fn score(privacy: &Privacy, texts: &[String]) {
    const EACH: u64 = 10_000;
    let sentences = sentences(privacy, texts);
    let mut random = planted::Random(20_261_125);
    let place = |piece: &str, random: &mut planted::Random| {
        let sentence = *random.of(&sentences);
        let at = sentence.floor_char_boundary(random.below(sentence.len()));
        let at = sentence[at..].find(' ').map_or(sentence.len(), |blank| at + blank);
        format!("{} {piece}{}", &sentence[..at], &sentence[at..])
    };
    let mut scores: BTreeMap<(Kind, &str), Score> = BTreeMap::new();
    let mut wrong: BTreeMap<Kind, u64> = BTreeMap::new();
    for kind in planted::KINDS {
        for _ in 0..EACH {
            let item = planted::item(kind, &mut random);
            let text = place(&format!("{}{}{}", item.before, item.value, item.after), &mut random);
            let clean = |placeholder: &str| text.replacen(item.value.as_str(), placeholder, 1);
            let redacted = privacy.redact(text.clone());
            let score = scores.entry((kind, item.form)).or_default();
            score.planted += 1;
            if redacted.text == clean(kind.placeholder()) {
                score.right += 1;
            } else if Kind::ALL.iter().any(|other| redacted.text == clean(other.placeholder())) {
                score.other_kind += 1;
                redacted.counts.keys().for_each(|other| *wrong.entry(*other).or_default() += 1);
            } else if redacted.text.contains(item.value.as_str()) {
                score.missed += 1;
                score.example = format!("{}{}{}", item.before, item.value, item.after);
            } else {
                score.in_part += 1;
                redacted
                    .counts
                    .iter()
                    .filter(|(k, _)| **k != kind)
                    .for_each(|(k, n)| *wrong.entry(*k).or_default() += n);
                score.example = format!("in part: {}{}{}", item.before, item.value, item.after);
            }
        }
    }
    println!("\n| kind, form | planted | right | as another kind | in part | missed, for example |");
    println!("| --- | ---: | ---: | ---: | ---: | --- |");
    for ((kind, form), score) in &scores {
        let Score { planted, right, other_kind, in_part, missed, example } = score;
        println!("| {kind}, {form} | {planted} | {right} | {other_kind} | {in_part} | {missed} {example} |");
    }
    println!("\n| not personal | planted | changed | of which | for example |");
    println!("| --- | ---: | ---: | --- | --- |");
    for sort in planted::OTHERS {
        let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
        let (mut changed, mut example) = (0, String::new());
        for _ in 0..EACH {
            let value = planted::other(sort, &mut random);
            let text = place(&value, &mut random);
            let redacted = privacy.redact(text);
            for (kind, count) in redacted.counts {
                *counts.entry(kind).or_default() += count;
                *wrong.entry(kind).or_default() += count;
                example.clone_from(&value);
                changed += 1;
            }
        }
        println!("| {sort} | {EACH} | {changed} | {counts:?} | {example} |");
    }
    println!("\n| kind | planted | replaced | recall | right kind | found elsewhere | precision |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for kind in planted::KINDS {
        let of = |figure: fn(&Score) -> u64| {
            scores.iter().filter(|((k, _), _)| *k == kind).map(|(_, s)| figure(s)).sum::<u64>()
        };
        let (planted, right) = (of(|s| s.planted), of(|s| s.right));
        let replaced = right + of(|s| s.other_kind);
        let wrong = wrong.get(&kind).copied().unwrap_or(0);
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        println!(
            "| {kind} | {planted} | {replaced} | {:.4} | {:.4} | {wrong} | {:.4} |",
            share(replaced, planted),
            share(right, planted),
            share(right, right + wrong)
        );
    }
}
