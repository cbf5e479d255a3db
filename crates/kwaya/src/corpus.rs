//! `kwaya corpus`: looking at the data, and taking somebody's text back.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use kwaya_base::{Error, Result, messages, say};
use kwaya_recipe::{
    build, card, machine, personal,
    recipe::Recipe,
    rights::{self, SourceRights},
    withdraw::{self, Taken},
    words,
};
use kwaya_text::{
    Reason,
    audit::{Place, Sampled},
    corpus::{self, Document, Dropped, Stats, Step},
    look::{self, Wanted},
    quality::LineRule,
};
use serde_json::{Value, json};

use crate::bar::Bar;
use crate::commands::{folder, json, json_line, print, text, worker};

/// Characters of a text that a line shows.
const LINE_CHARACTERS: usize = 200;

/// Digits of a document's number that a line shows.
const ID_DIGITS: usize = 12;

pub(crate) fn corpus(m: &ArgMatches) -> Result<()> {
    let (command, m) = m.subcommand().expect("a command is required");
    // It may be about files alone.
    if command == "parity" {
        return crate::parity::parity(m);
    }
    let folder = folder(m);
    match command {
        "stats" => {
            let stats = build::corpus_stats(&folder)?;
            if !json(m, &stats) {
                show_stats(&stats);
            }
            Ok(())
        }
        "show" => match m.get_one::<String>("id") {
            Some(id) => show_one(m, &folder, id),
            None => show(m, &folder),
        },
        "dropped" => dropped(m, &folder),
        "sample" => sample(m, &folder),
        "audit" => audit(m, &folder),
        "card" => card(m, &folder),
        _ => withdraw(m, &folder),
    }
}

/// A table of the corpus, if it has been made.
fn table(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join("build/corpus").join(name);
    if path.exists() { Ok(path) } else { Err(Error::new("corpus-missing").path(folder)) }
}

fn documents(folder: &Path) -> Result<impl Iterator<Item = Result<Document>> + use<>> {
    corpus::documents(&table(folder, "documents.parquet")?)
}

fn number(m: &ArgMatches, name: &str) -> usize {
    *m.get_one::<usize>(name).expect("has a default")
}

/// What is to be looked at. A source is named as in the recipe; anything else
/// is a file in one, or a folder.
fn wanted(m: &ArgMatches, folder: &Path) -> Result<Wanted> {
    let told = |name: &str| m.try_get_one::<String>(name).ok().flatten().cloned();
    let source = told("source");
    let origin = match &source {
        None => None,
        Some(named) => {
            let recipe = Recipe::read(folder)?;
            recipe.source.iter().position(|entry| entry.path == Path::new(named)).map(|at| at as u64 + 1)
        }
    };
    Ok(Wanted {
        language: told("language"),
        source: source.filter(|_| origin.is_none()),
        origin,
        reason: told("reason").and_then(|reason| Reason::from_key(&reason)),
        filter: told("filter"),
    })
}

/// An item of a table, unless it is read well and not wanted.
fn pick<R>(row: Result<R>, wanted: impl FnOnce(&R) -> bool) -> Option<Result<R>> {
    match row {
        Ok(row) if !wanted(&row) => None,
        row => Some(row),
    }
}

fn show(m: &ArgMatches, folder: &Path) -> Result<()> {
    let wanted = wanted(m, folder)?;
    let rows = documents(folder)?.filter_map(|row| pick(row, |document| wanted.document(document)));
    rows.skip(number(m, "skip")).take(number(m, "limit")).try_for_each(|row| row.map(|row| show_line(m, &row)))
}

fn show_line(m: &ArgMatches, d: &Document) {
    let start: String = d.text.chars().take(LINE_CHARACTERS).collect();
    if !json_line(m, || row_of(d, "start", &start)) {
        let id = d.id.get(..ID_DIGITS).unwrap_or(&d.id);
        print(&format!("{id}\t{}\t{}\t{}\t{}", d.source, d.language, d.bytes, start.replace('\n', " ")));
    }
}

fn row_of(d: &Document, key: &str, text: &str) -> Value {
    json!({ "id": d.id, "source": d.source, "origin": d.origin, "language": d.language, "bytes": d.bytes,
        "licence": d.licence, "split": d.split, "history": d.history, key: text })
}

/// One document with all that was done to it, in words.
fn show_one(m: &ArgMatches, folder: &Path, id: &str) -> Result<()> {
    let mut found = None;
    for document in documents(folder)? {
        let document = document?;
        if document.id.starts_with(id) {
            if found.is_some() {
                return Err(Error::usage("show-several").arg("what", id));
            }
            found = Some(document);
        }
    }
    let d = found.ok_or_else(|| Error::usage("show-unknown").arg("what", id).arg("folder", folder.display()))?;
    let source = rights::read(folder)?.into_iter().find(|source| source.origin == d.origin);
    let mut row = row_of(&d, "text", &d.text);
    row["rights"] = serde_json::to_value(&source).expect("rights are plain data");
    if json(m, &row) {
        return Ok(());
    }
    print(&say!(
        "show-head",
        id = d.id,
        file = d.source,
        language = d.language,
        bytes = words::bytes(d.bytes),
        split = say!(&format!("split-{}", d.split.as_str())),
    ));
    if let Some(source) = &source {
        print(&rights_of(source));
    }
    for step in &d.history {
        print(&format!("  {}", told(step)));
    }
    print(&format!("\n{}", d.text));
    Ok(())
}

fn rights_of(source: &SourceRights) -> String {
    let consent = &source.consent;
    say!(
        "show-rights",
        path = source.path,
        licence = consent.licence,
        by = consent.allowed_by,
        on = consent.allowed_on,
        uses = rights::words(&consent.allowed_for),
        until = consent.allowed_until,
    )
}

/// A step of a document's history in words.
fn told(step: &Step) -> String {
    match step {
        Step::Extract { format, extractor, bytes } => {
            let by = if extractor.is_empty() { String::new() } else { format!(" ({extractor})") };
            say!("history-extract", format = format, by = by, bytes = words::bytes(*bytes))
        }
        Step::Decode { encoding } => say!("history-decode", encoding = encoding),
        Step::Mend { mojibake, hyphens } => say!("history-mend", characters = mojibake, words = hyphens),
        Step::Normalise { before, after } => {
            say!("history-normalise", before = words::bytes(*before), after = words::bytes(*after))
        }
        Step::Cut { piece, pieces } => say!("history-cut", piece = piece, pieces = pieces),
        Step::Identify { detected, sure: true, percent } => {
            say!("history-language", detected = detected, percent = percent)
        }
        Step::Identify { detected, sure: false, percent } => {
            say!("history-language-unsure", detected = detected, percent = percent)
        }
        Step::Lines { removed, bytes } => {
            say!("history-lines", lines = words::count(removed.values().sum()), bytes = words::bytes(*bytes))
        }
        Step::Paragraphs { languages, left_out } => {
            let found: Vec<String> =
                languages.iter().map(|(tag, size)| format!("{tag} {}", words::bytes(*size))).collect();
            say!("history-paragraphs", languages = found.join(", "), left_out = words::bytes(*left_out))
        }
        Step::Repeated { paragraphs } => say!("history-repeated", paragraphs = paragraphs),
        Step::Redact { replaced } => say!("history-redact", list = words::replaced(replaced)),
    }
}

fn dropped(m: &ArgMatches, folder: &Path) -> Result<()> {
    let wanted = wanted(m, folder)?;
    let rows = corpus::dropped(&table(folder, "dropped.parquet")?)?;
    let rows = rows.filter_map(|row| pick(row, |dropped| wanted.dropped(dropped)));
    rows.skip(number(m, "skip")).take(number(m, "limit")).try_for_each(|row| row.map(|row| dropped_line(m, &row)))
}

fn dropped_line(m: &ArgMatches, d: &Dropped) {
    let key = d.reason.message();
    let remedy = messages::attribute(&key, "remedy", &[]).unwrap_or_default();
    let row = || {
        json!({ "source": d.source, "origin": d.origin, "reason": d.reason, "why": say!(&key), "remedy": remedy,
            "detail": d.detail, "language": d.language, "duplicate_of": d.duplicate_of, "bytes": d.bytes,
            "start": d.start })
    };
    if !json_line(m, row) {
        let start: String = d.start.chars().take(LINE_CHARACTERS).collect();
        let detail = if d.detail.is_empty() { String::new() } else { format!(" ({})", d.detail) };
        print(&format!(
            "{}\t{}{detail}. {remedy}\t{}\t{}",
            d.source,
            say!(&key),
            d.duplicate_of,
            start.replace('\n', " ")
        ));
    }
}

fn sample(m: &ArgMatches, folder: &Path) -> Result<()> {
    let (wanted, count) = (wanted(m, folder)?, number(m, "limit"));
    let seed = *m.get_one::<u64>("seed").expect("has a default");
    if m.get_flag("dropped") {
        let rows = corpus::dropped(&table(folder, "dropped.parquet")?)?;
        let rows = rows.filter_map(|row| pick(row, |dropped| wanted.dropped(dropped)));
        look::sample(rows, count, seed)?.values().flatten().for_each(|row| dropped_line(m, row));
    } else {
        let rows = documents(folder)?.filter_map(|row| pick(row, |document| wanted.document(document)));
        look::sample(rows, count, seed)?.values().flatten().for_each(|row| show_line(m, row));
    }
    Ok(())
}

fn show_stats(stats: &Stats) {
    print(&say!(
        "report-corpus-figures",
        files = words::count(stats.files),
        file_bytes = words::bytes(stats.file_bytes),
        documents = words::count(stats.documents),
        bytes = words::bytes(stats.bytes),
        dropped = words::count(stats.dropped.values().sum()),
    ));
    if !stats.mended.is_empty() {
        let mended = |kind: &str| words::count(stats.mended.get(kind).copied().unwrap_or_default());
        print(&say!("corpus-mended", characters = mended("mojibake"), words = mended("hyphens")));
    }
    if !stats.lines_removed.is_empty() {
        let rule = |(rule, count): (&LineRule, &u64)| {
            format!("{} × {}", words::count(*count), say!(&format!("line-{}", rule.name())))
        };
        let rules: Vec<String> = stats.lines_removed.iter().map(rule).collect();
        let lines = words::count(stats.lines_removed.values().sum());
        print(&say!("corpus-lines", lines = lines, rules = rules.join(", ")));
    }
    if !stats.replaced.is_empty() {
        print(&say!("corpus-replaced", list = words::replaced(&stats.replaced)));
    }
    for (language, figures) in &stats.languages {
        print(&say!(
            "corpus-language",
            language = language,
            documents = words::count(figures.documents),
            bytes = words::bytes(figures.bytes),
            held_out = words::bytes(figures.held_out_bytes),
        ));
    }
    for (origin, figures) in &stats.sources {
        let (documents, bytes) = (words::count(figures.documents), words::bytes(figures.bytes));
        print(&say!("corpus-source", origin = origin, documents = documents, bytes = bytes));
    }
    for (power, documents) in &stats.lengths {
        let [low, high] = [*power, power + 1].map(|power| words::bytes(1 << power.min(63)));
        print(&say!("corpus-length", low = low, high = high, documents = words::count(*documents)));
    }
    for (language, thresholds) in &stats.limits {
        let limits: Vec<_> = thresholds.limits().filter(|(_, limit)| limit.share > 0).collect();
        if limits.is_empty() {
            continue;
        }
        print(&say!("corpus-limits", language = language));
        for (filter, limit) in limits {
            let [low, high] =
                limit.edges().map(|edge| edge.map_or_else(|| "-".to_owned(), |edge| format!("{edge:.3}")));
            let share = f64::from(limit.share) / 100.0;
            let origin = say!(&format!("limit-{}", limit.origin.name()));
            print(&format!("  {filter:30} {low:>10} {high:>10}  {origin:38} {share:6.2} %"));
        }
    }
    for (reason, files) in &stats.dropped {
        print(&say!("corpus-dropped", why = say!(&reason.message()), files = words::count(*files)));
    }
}

/// What was replaced and what may have been missed; it prints personal data.
fn audit(m: &ArgMatches, folder: &Path) -> Result<()> {
    let threads = machine::threads(m.get_one("threads").copied());
    let audit = personal::audit(folder, number(m, "limit"), worker()?, threads, &Bar::new())?;
    if json(m, &audit) {
        return Ok(());
    }
    print(&say!("audit-replaced", documents = words::count(audit.documents)));
    audit.replaced.iter().for_each(|(kind, sampled)| show_places(&say!(&format!("privacy-{kind}")), sampled));
    print(&format!("\n{}", say!("audit-missed")));
    for (suspicion, sampled) in &audit.missed {
        show_places(&say!(&format!("missed-{}", suspicion.name())), sampled);
    }
    if audit.replaced.values().flat_map(|sampled| &sampled.places).any(|place| !place.read_again) {
        print(&format!("\n{}", say!("audit-not-read-again")));
    }
    Ok(())
}

fn show_places(what: &str, sampled: &Sampled) {
    let (count, documents) = (words::count(sampled.count), words::count(sampled.documents));
    print(&format!("\n{}", say!("audit-kind", what = what, count = count, documents = documents)));
    for Place { source, id, before, what, after, .. } in &sampled.places {
        print(&format!(
            "  {}  {source}\n      {before} \u{2770}{what}\u{2771} {after}",
            id.get(..ID_DIGITS).unwrap_or(id)
        ));
    }
}

fn card(m: &ArgMatches, folder: &Path) -> Result<()> {
    let written = card::write(folder)?;
    if json(m, &written) {
        return Ok(());
    }
    print(&say!("card-written", readme = written.readme.display(), croissant = written.croissant.display()));
    if !written.open.is_empty() {
        print(&say!("card-left-open"));
        written.open.iter().for_each(|open| print(&format!("  {:<12} {}", open.key, open.question)));
    }
    Ok(())
}

fn withdraw(m: &ArgMatches, folder: &Path) -> Result<()> {
    let because = m.get_one::<String>("because").map_or("", String::as_str);
    let taken = withdraw::withdraw(folder, text(m, "what"), because, m.get_flag("delete"))?;
    if !json(m, &taken) {
        show_taken(&taken, folder);
    }
    Ok(())
}

fn show_taken(taken: &Taken, folder: &Path) {
    let key = if taken.before { "withdraw-before" } else { "withdraw-done" };
    print(&say!(key, what = taken.what, texts = taken.texts));
    if !taken.files.is_empty() {
        print(&say!("withdraw-files"));
        taken.files.iter().for_each(|path| print(&format!("  {}", path.display())));
    }
    if taken.made.is_empty() {
        print(&say!("withdraw-nothing-made"));
    } else {
        print(&say!(if taken.deleted { "withdraw-deleted" } else { "withdraw-made" }));
        for made in &taken.made {
            let stage = if made.stage.is_empty() { "-" } else { &made.stage };
            print(&format!(
                "  {stage:<14} {:<32} {:>10}  {}",
                made.name,
                words::bytes(made.bytes),
                &made.hash[..ID_DIGITS]
            ));
        }
    }
    if taken.figures {
        print(&say!("withdraw-ledger"));
    }
    let key = if taken.deleted || taken.made.is_empty() { "withdraw-next" } else { "withdraw-next-delete" };
    print(&say!(key, what = taken.what, folder = folder.display()));
}
