//! `kwaya classify`: learns from labelled rows, answers, and measures answers.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Instant,
};

use clap::ArgMatches;
use kwaya_base::{Error, Progress, Result, Silent, Unit, files, say};
use kwaya_classify::{Answer, Calibration, Columns, Measures, Row, Rows, Shown, Telling};
use kwaya_math::{Pool, Precision};
use kwaya_recipe::{
    classifier::Classifier,
    machine::{self, Machine},
    memory::Room,
    teach::{self, Wishes},
    words,
};
use serde_json::{Value, json};

use crate::{
    bar::{Bar, STOPPED, note},
    commands::{self, print, text},
};

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

fn threads(m: &ArgMatches) -> usize {
    machine::threads(m.get_one("threads").copied())
}

fn model(m: &ArgMatches) -> Result<(PathBuf, Classifier)> {
    let path = PathBuf::from(text(m, "model"));
    let classifier = Classifier::open(&path, threads(m))?;
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
    let own = classifier.text();
    let text = named(m).unwrap_or_else(|| own.to_vec());
    if text.len() != own.len() {
        let error = Error::usage("classify-columns-other").arg("wanted", own.len());
        return Err(error.arg("names", own.join(", ")).arg("found", text.len()));
    }
    Ok(Columns { text, label })
}

fn train(m: &ArgMatches) -> Result<()> {
    let start = Instant::now();
    let (bar, pool, out) = (Bar::new(), Pool::new(threads(m)), Path::new(text(m, "out")));
    let columns = Columns { text: named(m).expect("required"), label: m.get_one::<String>("label").cloned() };
    let rows = kwaya_classify::read(Path::new(text(m, "data")), &columns, &bar)?;
    let dev = match m.get_one::<String>("dev") {
        Some(path) => kwaya_classify::read(Path::new(path), &columns, &bar)?,
        None => Vec::new(),
    };
    let sure = *m.get_one::<f64>("sure").expect("has a default");
    if let Some(base) = m.get_one::<String>("base") {
        return teach(m, Path::new(base), &rows, &dev, &columns, sure, &pool, &bar);
    }
    let trained = kwaya_classify::train(&rows, &dev, &columns, sure, &pool, &bar)?;
    let classifier = &trained.classifier;
    classifier.write(out)?;
    let (about, seconds) = (classifier.about(), start.elapsed().as_secs_f64());
    let bytes = std::fs::metadata(out).map_or(0, |metadata| metadata.len());
    report(m, out, &about.into(), &about.held_out, true)?;
    let figures = json!({
        "model": out.display().to_string(), "bytes": bytes, "features": classifier.features(), "seconds": seconds,
        "tried": trained.trials, "labels": about.labels, "rows": about.rows, "cost": about.cost,
        "temperature": about.calibration.temperature, "unsure_below": about.calibration.unsure_below,
        "held_out": about.held_out,
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
    show(&about.labels, &about.calibration, &about.held_out);
    for (label, telling) in about.labels.iter().zip(&about.telling) {
        let most: Vec<&str> = telling.iter().take(TELLING).map(|telling| telling.word.as_str()).collect();
        print(&say!("classify-telling", label = label, words = most.join(", ")));
    }
    print("");
    print(&say!("classify-next", path = out.display()));
    Ok(())
}

/// Teaches a language model.
#[expect(clippy::too_many_arguments, reason = "what was read of the command line")]
fn teach(
    m: &ArgMatches,
    base: &Path,
    rows: &[Row],
    dev: &[Row],
    columns: &Columns,
    sure: f64,
    pool: &Pool,
    bar: &Bar,
) -> Result<()> {
    let out = Path::new(text(m, "out"));
    let wishes = Wishes {
        tokens: *m.get_one("tokens").expect("has a default"),
        epochs: *m.get_one("epochs").expect("has a default"),
        learning_rate: *m.get_one("rate").expect("has a default"),
        precision: if text(m, "precision") == "bf16" { Precision::Bf16 } else { Precision::F32 },
        sure,
        checkpoint_every: commands::time(m, "checkpoint-every")?,
    };
    let room = Room::of(&Machine::look(Path::new("."), pool.threads()), commands::memory(m)?);
    let made = teach::teach(base, rows, dev, columns, &wishes, out, room, pool, bar)?;
    let about = &made.about;
    report(m, out, &about.into(), &about.held_out, true)?;
    let mut figures = serde_json::to_value(&made).expect("figures are plain data");
    figures["model"] = json!(out.display().to_string());
    if commands::json(m, &figures) {
        return Ok(());
    }
    print(&say!(
        "classify-taught",
        base = about.base,
        labels = about.labels.len(),
        rows = words::count(made.taught),
        time = words::duration(made.seconds),
        path = out.display(),
        bytes = words::bytes(made.bytes),
    ));
    print("");
    print(&say!("classify-of-untaught", rows = words::count(about.held_out.rows)));
    show(&about.labels, &about.calibration, &about.held_out);
    print("");
    print(&say!("classify-next", path = out.display()));
    Ok(())
}

/// Writes the page, when that was asked for.
fn report(m: &ArgMatches, path: &Path, shown: &Shown<'_>, measures: &Measures, held_out: bool) -> Result<()> {
    let Some(report) = m.get_one::<String>("report") else { return Ok(()) };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let page = kwaya_classify::page(&name, shown, measures, held_out)?;
    files::write(Path::new(report), page.as_bytes())?;
    note(&say!("classify-report", path = report));
    Ok(())
}

fn show(labels: &[String], calibration: &Calibration, measures: &Measures) {
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
        let heads: String = labels.iter().map(|label| format!(" {:>9}", short(label))).collect();
        print(&format!("{:<28}{heads}", ""));
        for (label, row) in labels.iter().zip(&measures.confusion) {
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
        below = format!("{:.2}", calibration.unsure_below),
        share = format!("{share:.0}"),
        accuracy = percent(measures.sure_accuracy),
    ));
}

fn eval(m: &ArgMatches) -> Result<()> {
    let (bar, (path, classifier)) = (Bar::new(), model(m)?);
    let label = m.get_one::<String>("label").map_or_else(|| classifier.column(), String::as_str).to_owned();
    let data = Path::new(text(m, "data"));
    let rows = kwaya_classify::read(data, &columns(m, &classifier, Some(label))?, &bar)?;
    let truth = |row: &Row| {
        classifier.label(&row.label).ok_or_else(|| {
            let error = Error::new("classify-label-unknown").path(data).arg("line", row.line);
            error.arg("label", &row.label).arg("labels", classifier.labels().join(", "))
        })
    };
    let truths: Vec<usize> = rows.iter().map(truth).collect::<Result<_>>()?;
    let texts: Vec<Vec<String>> = rows.into_iter().map(|row| row.texts).collect();
    let start = Instant::now();
    let answers = classifier.answers(&texts, &bar)?;
    let seconds = start.elapsed().as_secs_f64();
    let measures = classifier.measure(&answers, &truths);
    report(m, &path, &classifier.shown(), &measures, false)?;
    if !commands::json(m, &json!({ "measures": measures, "seconds": seconds })) {
        print(&say!("classify-of-test", rows = words::count(measures.rows)));
        show(classifier.labels(), classifier.calibration(), &measures);
    }
    speed(answers.len(), seconds);
    Ok(())
}

fn speed(rows: usize, seconds: f64) {
    let speed = words::rounded(rows as f64 / seconds.max(1e-9));
    note(&say!("classify-speed", rows = words::count(rows as u64), time = words::duration(seconds), speed = speed));
}

fn run(m: &ArgMatches) -> Result<()> {
    let (_, classifier) = model(m)?;
    let typed: Vec<&String> = m.get_many::<String>("texts").into_iter().flatten().collect();
    let Some(path) = m.get_one::<String>("data").map(Path::new) else {
        if typed.is_empty() {
            return Err(Error::usage("classify-nothing"));
        }
        let row = |(line, text): (u64, &String)| (line, classifier.row(text));
        return answer(m, &classifier, (1..).zip(typed).map(row).collect(), true);
    };
    let mut rows = Rows::open(path, &columns(m, &classifier, None)?)?;
    let (bar, start, mut count) = (Bar::new(), Instant::now(), 0);
    bar.begin("classify-answering", rows.progress().1, Unit::Bytes);
    loop {
        let mut block = Vec::new();
        // What came before a wrong row is answered before it is told of.
        let mut wrong = None;
        for row in rows.by_ref().take(classifier.at_once()) {
            match row {
                Ok(row) => block.push((row.line, row.texts)),
                Err(error) => wrong = Some(error),
            }
        }
        let read = block.len();
        count += read;
        answer(m, &classifier, block, count == read)?;
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
fn answer(m: &ArgMatches, classifier: &Classifier, rows: Vec<(u64, Vec<String>)>, first: bool) -> Result<()> {
    let as_json = m.get_flag("json");
    if first && !as_json {
        print(&say!("classify-answers-head"));
    }
    let (lines, texts): (Vec<u64>, Vec<Vec<String>>) = rows.into_iter().unzip();
    for ((line, texts), answer) in lines.iter().zip(&texts).zip(classifier.answers(&texts, &Silent)?) {
        let label = &classifier.labels()[answer.label];
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
    Ok(())
}

fn as_object(line: u64, classifier: &Classifier, answer: &Answer, because: &[Telling]) -> Value {
    let labels = classifier.labels();
    let all: serde_json::Map<String, Value> =
        labels.iter().zip(&answer.probabilities).map(|(label, p)| (label.clone(), json!(p))).collect();
    json!({
        "line": line, "label": labels[answer.label], "probability": answer.probabilities[answer.label],
        "unsure": !answer.sure, "probabilities": all, "because": because,
    })
}
