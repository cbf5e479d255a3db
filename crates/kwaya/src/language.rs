//! `kwaya language`: which languages are recognised, which one a document is
//! in, and one more learned from a sample.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use clap::ArgMatches;
use kwaya_base::{Error, Result, error::At, files, messages, say};
use kwaya_text::{
    clean,
    extract::{self, Worker},
    language::{self, Identifier, Learned},
};
use serde_json::json;

use crate::commands::{json, json_line, print, text, worker};

/// More of a document is not read.
const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
/// Characters of a paragraph that are shown.
const SHOWN: usize = 80;

pub(crate) fn language(m: &ArgMatches) -> Result<()> {
    let (command, m) = m.subcommand().expect("a command is required");
    match command {
        "list" => list(m),
        "detect" => detect(m),
        _ => learn(m),
    }
}

fn learned(m: &ArgMatches) -> Result<Vec<Learned>> {
    let paths = m.get_many::<String>("learned").unwrap_or_default();
    let learned: Vec<Learned> = paths.map(|path| Ok(Learned::read(Path::new(path))?.0)).collect::<Result<_>>()?;
    match learned.len() > language::LEARNED_MAX {
        true => Err(Error::usage("command-wrong").arg("cause", format!("--learned > {}", language::LEARNED_MAX))),
        false => Ok(learned),
    }
}

fn list(m: &ArgMatches) -> Result<()> {
    let (known, learned) = (language::known(), learned(m)?);
    let taken = |tag: &str| learned.iter().any(|learned| learned.tag() == tag);
    let rows: Vec<_> = known.iter().filter(|known| !taken(known.tag)).collect();
    let figure = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"));
    if m.get_flag("json") {
        let known = rows.iter().map(|known| {
            json!({ "tag": known.tag, "script": known.script, "name": known.name, "texts": known.texts, "f1": known.f1,
                "taken_for": known.taken_for, "other_texts": known.other_texts, "other_recall": known.recall,
                "learned_from": known.sources })
        });
        let learned = learned.iter().map(|learned| json!({ "tag": learned.tag(), "learned_from": "sample" }));
        json(m, &known.chain(learned).collect::<Vec<_>>());
        return Ok(());
    }
    print(&say!("language-list-head", count = rows.len() + learned.len()));
    for known in rows {
        let (f1, other) = (figure(known.f1), figure(known.recall));
        print(&format!("{:<8} {:<6} {f1:>7} {other:>6}  {}", known.tag, known.script, known.name));
    }
    for learned in &learned {
        print(learned.tag());
    }
    Ok(())
}

fn detect(m: &ArgMatches) -> Result<()> {
    let identifier = Identifier::new(&[], &learned(m)?);
    let worker = worker()?;
    let mut failed = None;
    for path in m.get_many::<String>("file").expect("required") {
        match read(path, &worker) {
            Ok(text) if m.get_flag("paragraphs") => {
                for paragraph in identifier.paragraphs(&text) {
                    let guess = &paragraph.guess;
                    let start: String = text[paragraph.range.clone()].chars().take(SHOWN).collect();
                    let row = || {
                        json!({ "source": path, "start": paragraph.range.start, "bytes": paragraph.range.len(),
                            "language": guess.language, "percent": guess.percent, "text": start })
                    };
                    if !json_line(m, row) {
                        let start = start.replace('\n', " ");
                        print(&format!("{path}\t{}\t{} %\t{start}", guess.language, guess.percent));
                    }
                }
            }
            Ok(text) => {
                let guess = identifier.guess(&text);
                let row = || json!({ "source": path, "language": guess.language, "percent": guess.percent });
                if !json_line(m, row) {
                    print(&format!("{path}\t{}\t{} %", guess.language, guess.percent));
                }
            }
            // The others are looked at all the same.
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    crate::bar::note(&earlier.to_string());
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn learn(m: &ArgMatches) -> Result<()> {
    let (tag, out) = (text(m, "tag"), Path::new(text(m, "out")));
    let worker = worker()?;
    let sample: Vec<String> =
        m.get_many::<String>("file").expect("required").map(|path| read(path, &worker)).collect::<Result<_>>()?;
    let (learned, lesson) = Learned::learn(tag, &sample)?;
    files::write(out, &learned.to_bytes())?;
    if json(m, &json!({ "path": out.display().to_string(), "tag": tag, "lesson": lesson })) {
        return Ok(());
    }
    let [path, texts] = [out.display().to_string(), lesson.texts.to_string()];
    print(&say!(
        "language-learned",
        path = path,
        tag = tag,
        texts = texts,
        kept_back = lesson.kept_back,
        right = lesson.right
    ));
    let named = |found: &BTreeMap<String, usize>| {
        let mut found: Vec<_> = found.iter().collect();
        found.sort_by_key(|(tag, count)| (std::cmp::Reverse(*count), *tag));
        found.iter().take(5).map(|(tag, count)| format!("{tag} {count}")).collect::<Vec<_>>().join(", ")
    };
    if !lesson.taken_for.is_empty() {
        print(&say!("language-learned-others", others = named(&lesson.taken_for)));
    }
    print(&say!("language-learned-before", others = named(&lesson.before)));
    print(&say!("language-learned-next", path = path));
    Ok(())
}

/// The text of a document, or of standard input.
fn read(path: &str, worker: &Worker) -> Result<String> {
    let named = Path::new(path);
    let mut bytes = Vec::new();
    let mut limited = |reader: &mut dyn Read| reader.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes).at(named);
    if path == "-" {
        limited(&mut io::stdin().lock())?;
    } else {
        limited(&mut File::open(named).at(named)?)?;
    }
    let refusal = if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        kwaya_text::Reason::TooLarge
    } else if bytes.is_empty() {
        kwaya_text::Reason::Empty
    } else {
        let (mut text, mut refusal) = (String::new(), kwaya_text::Reason::Empty);
        extract::texts(path, &bytes, DOCUMENT_BYTES_MAX, worker, &mut |_, found| match found {
            Ok(found) => text.extend([&clean::normalise(found), "\n\n"]),
            Err((reason, _)) => refusal = reason,
        })?;
        if !text.trim().is_empty() {
            return Ok(text);
        }
        refusal
    };
    let key = refusal.message();
    let remedy = messages::attribute(&key, "remedy", &[]).unwrap_or_default();
    Err(Error::new("language-left-out").path(named).arg("why", messages::format(&key, &[])).arg("remedy", remedy))
}
