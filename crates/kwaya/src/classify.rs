//! `kwaya classify`: learns from labelled rows, answers, and measures answers.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Instant,
};

use clap::ArgMatches;
use kwaya_base::{Error, Progress, Result, Unit, files, say};
use kwaya_classify::{Answer, Classifier, Columns, Measures, Row, Rows, Telling};
use kwaya_math::Pool;
use kwaya_recipe::{machine, words};
use serde_json::{Value, json};

use crate::{
    bar::{Bar, STOPPED, note},
    commands::{self, print, text},
};

/// Rows that are answered before they are printed.
const BLOCK: usize = 1024;
/// Words that are said to have spoken for an answer.
const BECAUSE: usize = 8;
/// A matrix of more labels than these is left to the page.
const MATRIX_LABELS_MAX: usize = 12;
/// Words shown for each label.
const TELLING: usize = 10;

pub(crate) fn classify(m: &ArgMatches) -> Result<()> {
    match m.subcommand().expect("a command is required") {
        ("train", m) => train(m),
        ("run", m) => run(m),
        ("eval", m) => eval(m),
        (other, _) => unreachable!("clap knows no command {other}"),
    }
}

fn pool(m: &ArgMatches) -> Pool {
    Pool::new(machine::threads(m.get_one("threads").copied()))
}

fn model(m: &ArgMatches) -> Result<(PathBuf, Classifier)> {
    let path = PathBuf::from(text(m, "model"));
    let classifier = Classifier::read(&path)?;
    Ok((path, classifier))
}

/// The columns that were named, with commas between.
fn named(m: &ArgMatches) -> Option<Vec<String>> {
    let typed = m.get_one::<String>("text")?;
    Some(typed.split(',').map(|name| name.trim().to_owned()).collect())
}

/// The columns of a file for a classifier, under other names where those were
/// typed.
fn columns(m: &ArgMatches, classifier: &Classifier, label: Option<String>) -> Result<Columns> {
    let about = classifier.about();
    let text = named(m).unwrap_or_else(|| about.text.clone());
    if text.len() != about.text.len() {
        let error = Error::usage("classify-columns-other").arg("wanted", about.text.len());
        return Err(error.arg("names", about.text.join(", ")).arg("found", text.len()));
    }
    Ok(Columns { text, label })
}

fn train(m: &ArgMatches) -> Result<()> {
    let start = Instant::now();
    let (bar, pool, out) = (Bar::new(), pool(m), Path::new(text(m, "out")));
    let columns = Columns { text: named(m).expect("required"), label: m.get_one::<String>("label").cloned() };
    let rows = kwaya_classify::read(Path::new(text(m, "data")), &columns, &bar)?;
    let dev = match m.get_one::<String>("dev") {
        Some(path) => kwaya_classify::read(Path::new(path), &columns, &bar)?,
        None => Vec::new(),
    };
    let sure = *m.get_one::<f64>("sure").expect("has a default");
    let trained = kwaya_classify::train(&rows, &dev, &columns, sure, &pool, &bar)?;
    let classifier = &trained.classifier;
    classifier.write(out)?;
    let (about, seconds) = (classifier.about(), start.elapsed().as_secs_f64());
    let bytes = std::fs::metadata(out).map_or(0, |metadata| metadata.len());
    report(m, out, classifier, &about.held_out, true)?;
    let figures = json!({
        "model": out.display().to_string(), "bytes": bytes, "features": classifier.features(), "seconds": seconds,
        "tried": trained.trials, "labels": about.labels, "rows": about.rows, "cost": about.cost,
        "temperature": about.temperature, "unsure_below": about.unsure_below, "held_out": about.held_out,
        "telling": about.telling,
    });
    if commands::json(m, &figures) {
        return Ok(());
    }
    print(&say!(
        "classify-made",
        labels = about.labels.len(),
        rows = words::count(rows.len() as u64),
        time = words::duration(seconds),
        path = out.display(),
        bytes = words::bytes(bytes),
        features = words::count(classifier.features() as u64),
    ));
    for trial in &trained.trials {
        let f1 = format!("{:.1}", 100.0 * trial.weighted_f1);
        print(&say!("classify-tried", column_weight = trial.column_weight, cost = trial.cost, f1 = f1));
    }
    print("");
    print(&say!("classify-of-held-out", rows = words::count(about.held_out.rows)));
    show(classifier, &about.held_out);
    for (label, telling) in about.labels.iter().zip(&about.telling) {
        let most: Vec<&str> = telling.iter().take(TELLING).map(|telling| telling.word.as_str()).collect();
        print(&say!("classify-telling", label = label, words = most.join(", ")));
    }
    print("");
    print(&say!("classify-next", path = out.display()));
    Ok(())
}

/// Writes the page, when that was asked for.
fn report(m: &ArgMatches, path: &Path, classifier: &Classifier, measures: &Measures, held_out: bool) -> Result<()> {
    let Some(report) = m.get_one::<String>("report") else { return Ok(()) };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let page = kwaya_classify::page(&name, classifier.about(), measures, held_out)?;
    files::write(Path::new(report), page.as_bytes())?;
    note(&say!("classify-report", path = report));
    Ok(())
}

fn show(classifier: &Classifier, measures: &Measures) {
    let about = classifier.about();
    print(&say!("classify-head"));
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    for label in &measures.labels {
        let [precision, recall, f1] = [label.precision, label.recall, label.f1].map(percent);
        print(&format!("{:<28} {:>9} {precision:>10} {recall:>10} {f1:>10}", label.label, words::count(label.rows)));
    }
    if measures.labels.len() <= MATRIX_LABELS_MAX {
        print("");
        print(&say!("classify-matrix"));
        let short = |label: &String| label.chars().take(9).collect::<String>();
        let heads: String = about.labels.iter().map(|label| format!(" {:>9}", short(label))).collect();
        print(&format!("{:<28}{heads}", ""));
        for (label, row) in about.labels.iter().zip(&measures.confusion) {
            let cells: String = row.iter().map(|count| format!(" {count:>9}")).collect();
            print(&format!("{label:<28}{cells}"));
        }
    }
    print("");
    print(&say!(
        "classify-figures",
        f1 = percent(measures.weighted_f1),
        macro_f1 = percent(measures.macro_f1),
        accuracy = percent(measures.accuracy),
        error = percent(measures.calibration_error),
    ));
    let share = 100.0 * measures.sure as f64 / measures.rows.max(1) as f64;
    print(&say!(
        "classify-sure",
        below = format!("{:.2}", about.unsure_below),
        share = format!("{share:.0}"),
        accuracy = percent(measures.sure_accuracy),
    ));
}

fn eval(m: &ArgMatches) -> Result<()> {
    let (bar, pool, (path, classifier)) = (Bar::new(), pool(m), model(m)?);
    let about = classifier.about();
    let label = m.get_one::<String>("label").unwrap_or(&about.label).clone();
    let data = Path::new(text(m, "data"));
    let rows = kwaya_classify::read(data, &columns(m, &classifier, Some(label))?, &bar)?;
    let truth = |row: &Row| {
        classifier.label(&row.label).ok_or_else(|| {
            let error = Error::new("classify-label-unknown").path(data).arg("line", row.line);
            error.arg("label", &row.label).arg("labels", about.labels.join(", "))
        })
    };
    let truths: Vec<usize> = rows.iter().map(truth).collect::<Result<_>>()?;
    let texts: Vec<Vec<String>> = rows.into_iter().map(|row| row.texts).collect();
    let start = Instant::now();
    let answers = classifier.answers(&texts, &pool);
    let seconds = start.elapsed().as_secs_f64();
    let measures = classifier.measure(&answers, &truths);
    report(m, &path, &classifier, &measures, false)?;
    if !commands::json(m, &json!({ "measures": measures, "seconds": seconds })) {
        print(&say!("classify-of-test", rows = words::count(measures.rows)));
        show(&classifier, &measures);
    }
    speed(answers.len(), seconds);
    Ok(())
}

fn speed(rows: usize, seconds: f64) {
    let speed = words::rounded(rows as f64 / seconds.max(1e-9));
    note(&say!("classify-speed", rows = words::count(rows as u64), time = words::duration(seconds), speed = speed));
}

fn run(m: &ArgMatches) -> Result<()> {
    let (pool, (_, classifier)) = (pool(m), model(m)?);
    let typed: Vec<&String> = m.get_many::<String>("texts").into_iter().flatten().collect();
    let Some(path) = m.get_one::<String>("data").map(Path::new) else {
        if typed.is_empty() {
            return Err(Error::usage("classify-nothing"));
        }
        let row = |(line, text): (u64, &String)| (line, classifier.row(text));
        answer(m, &classifier, (1..).zip(typed).map(row).collect(), &pool, true);
        return Ok(());
    };
    let mut rows = Rows::open(path, &columns(m, &classifier, None)?)?;
    let (bar, start, mut count) = (Bar::new(), Instant::now(), 0);
    bar.begin("classify-answering", rows.progress().1, Unit::Bytes);
    loop {
        let mut block = Vec::new();
        // What came before a wrong row is answered before it is told of.
        let mut wrong = None;
        for row in rows.by_ref().take(BLOCK) {
            match row {
                Ok(row) => block.push((row.line, row.texts)),
                Err(error) => wrong = Some(error),
            }
        }
        let read = block.len();
        count += read;
        answer(m, &classifier, block, &pool, count == read);
        bar.at(rows.progress().0);
        match wrong {
            Some(error) => return Err(error),
            None if read == 0 => break,
            None if STOPPED.load(Ordering::Relaxed) => return Err(Error::new("interrupted")),
            None => {}
        }
    }
    bar.end();
    speed(count, start.elapsed().as_secs_f64());
    Ok(())
}

/// Answers rows and prints the answers, after the names of the columns where
/// they are the first.
fn answer(m: &ArgMatches, classifier: &Classifier, rows: Vec<(u64, Vec<String>)>, pool: &Pool, first: bool) {
    let as_json = m.get_flag("json");
    if first && !as_json {
        print(&say!("classify-answers-head"));
    }
    let (lines, texts): (Vec<u64>, Vec<Vec<String>>) = rows.into_iter().unzip();
    for ((line, texts), answer) in lines.iter().zip(&texts).zip(classifier.answers(&texts, pool)) {
        let label = &classifier.about().labels[answer.label];
        if as_json {
            let because = classifier.because(texts, answer.label, BECAUSE);
            print(&as_object(*line, classifier, &answer, &because).to_string());
        } else {
            let unsure = if answer.sure { say!("classify-no") } else { say!("classify-yes") };
            // A label may hold what ends a field or a row.
            let label = label.replace(['\t', '\n', '\r'], " ");
            print(&format!("{line}\t{label}\t{:.4}\t{unsure}", answer.probabilities[answer.label]));
        }
    }
}

fn as_object(line: u64, classifier: &Classifier, answer: &Answer, because: &[Telling]) -> Value {
    let labels = &classifier.about().labels;
    let all: serde_json::Map<String, Value> =
        labels.iter().zip(&answer.probabilities).map(|(label, p)| (label.clone(), json!(p))).collect();
    json!({
        "line": line, "label": labels[answer.label], "probability": answer.probabilities[answer.label],
        "unsure": !answer.sure, "probabilities": all, "because": because,
    })
}
