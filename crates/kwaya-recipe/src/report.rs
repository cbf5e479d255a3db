//! What people read of a build: `report.html`, one page that needs no
//! network, and the cards. All of it comes from the ledger's figures and the
//! tables of the corpus; the words come from the message file, the curves
//! from a plotting library.

use std::{fs, path::Path};

use kwaya_base::{Error, Result, error::At, files, messages};
use kwaya_text::{
    corpus::{self, Stats},
    look,
};
use kwaya_train::LogEntry;
use minijinja::{
    Environment, Value, context,
    value::{Kwargs, Serde},
};
use plotters::prelude::*;
use serde::Serialize;

use crate::{
    bars::{self, Bar},
    build::Built,
    ledger::Entry,
    machine::Machine,
    rights, words,
};

/// Dropped files that the page lists; `kwaya corpus dropped` has them all.
const DROPPED_MAX: usize = 200;

/// The pages: name in the build folder, and template.
const PAGES: [(&str, &str); 2] = [
    ("report.html", include_str!("../templates/report.html")),
    ("cards/model.md", include_str!("../templates/model.md")),
];

/// Documents of each kind that the page shows, drawn at random.
const SAMPLES: usize = 20;

/// Characters of a document that the page shows.
const SAMPLE_CHARACTERS: usize = 300;

/// Of the corpus alone; it is written beside that.
const DATA: (&str, &str) = ("data.md", include_str!("../templates/data.md"));

/// A dropped file, for the page.
#[derive(Serialize)]
struct Dropped {
    source: String,
    reason: String,
    duplicate_of: String,
}

/// A document drawn at random, for the page.
#[derive(Serialize)]
struct Sample {
    source: String,
    language: String,
    detail: String,
    start: String,
}

/// Writes the report and the cards of `built` into the build folder.
///
/// # Errors
/// What the disk brings.
pub fn write(built: &Built, machine: &Machine, ledger: &[Entry], folder: &Path) -> Result<()> {
    let mut dropped = Vec::new();
    for row in corpus::dropped(&folder.join("corpus/dropped.parquet"))?.take(DROPPED_MAX) {
        let row = row?;
        dropped.push(Dropped {
            source: row.source,
            reason: row.reason.key().to_owned(),
            duplicate_of: row.duplicate_of,
        });
    }
    let documents = corpus::documents(&folder.join("corpus/documents.parquet"))?;
    let kept = look::sample(documents, SAMPLES, 0)?.into_values().flatten().map(|document| Sample {
        start: document.text.chars().take(SAMPLE_CHARACTERS).collect(),
        source: document.source,
        language: document.language,
        detail: String::new(),
    });
    let left_out = look::sample(corpus::dropped(&folder.join("corpus/dropped.parquet"))?, SAMPLES, 0)?;
    let left_out = left_out.into_iter().map(|(reason, rows)| {
        let rows = rows.into_iter().map(|row| Sample {
            source: row.source,
            language: row.language,
            detail: if row.duplicate_of.is_empty() { row.detail } else { row.duplicate_of },
            start: row.start,
        });
        (reason, rows.collect())
    });
    let dropped_count: u64 = built.corpus.dropped.values().sum();
    let environment = environment();
    let curve = &built.training.curve;
    let page = context! {
        built => Value::from(Serde(built)),
        base => Value::from(Serde(&built.lock.base)),
        machine => Value::from(Serde(machine)),
        ledger => Value::from(Serde(ledger)),
        dropped => Value::from(Serde(&dropped)),
        dropped_count => dropped_count,
        replaced => words::replaced(&built.corpus.replaced),
        kept => Value::from(Serde(kept.collect::<Vec<Sample>>())),
        left_out => Value::from(Serde(left_out.collect::<Vec<(&str, Vec<Sample>)>>())),
        rights => Value::from(Serde(rights::of_sources(&built.recipe, &built.corpus))),
        lengths_svg => Value::from_safe_string(lengths_chart(&built.corpus)?),
        languages_svg => Value::from_safe_string(languages_chart(&built.corpus)?),
        reasons_svg => Value::from_safe_string(reasons_chart(&built.corpus)?),
        licences => Value::from(Serde(licences(built))),
        loss_svg => Value::from_safe_string(loss_chart(curve)?),
        rate_svg => Value::from_safe_string(rate_chart(curve)?),
    };
    for (name, _) in PAGES {
        let text = fill(&environment, name, &page)?;
        let path = folder.join(name);
        let parent = path.parent().expect("a page is in a folder");
        fs::create_dir_all(parent).at(parent)?;
        files::write(&path, text.as_bytes())?;
    }
    Ok(())
}

fn fill(environment: &Environment<'_>, name: &str, page: &Value) -> Result<String> {
    let template = environment.get_template(name).expect("every page has a template");
    template.render(page).map_err(|e| Error::new("report-failed").arg("cause", format!("{e:#}")))
}

/// A page alone.
///
/// # Errors
/// `report-failed`, which would be a fault of its template.
pub(crate) fn render(name: &str, page: Value) -> Result<String> {
    fill(&environment(), name, &page)
}

/// The licences of all sources, each once, in the order of the recipe.
fn licences(built: &Built) -> Vec<&str> {
    let mut licences: Vec<&str> = Vec::new();
    for source in &built.recipe.source {
        if !licences.contains(&source.consent.licence.as_str()) {
            licences.push(&source.consent.licence);
        }
    }
    licences
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    for (name, template) in PAGES.into_iter().chain([DATA]) {
        environment.add_template(name, template).expect("the templates are well formed");
    }
    environment.add_function("say", say);
    environment.add_filter("bytes", words::bytes);
    environment.add_filter("duration", words::duration);
    environment.add_filter("count", words::count);
    environment.add_filter("fixed", |figure: f64, digits: usize| format!("{figure:.digits$}"));
    environment.add_filter("date", words::date);
    // What stands in a table of Markdown must not end its cell.
    environment.add_filter("cell", |text: &str| text.replace('|', "\\|").replace(['\r', '\n'], " "));
    environment
}

/// `say(key, name=value)` in a template: the message with the values.
fn say(key: &str, values: Kwargs) -> Result<String, minijinja::Error> {
    let args: Vec<(&str, String)> = values
        .args()
        .map(|name| Ok((name, values.get::<Value>(name)?.to_string())))
        .collect::<Result<_, minijinja::Error>>()?;
    Ok(messages::format(key, &args))
}

/// How long the documents are.
fn lengths_chart(corpus: &Stats) -> Result<String> {
    let bars = corpus.lengths.iter().map(|(power, documents)| {
        let [low, high] = [*power, power + 1].map(|power| words::bytes(1 << power.min(63)));
        Bar { name: format!("{low} – {high}"), value: *documents as f64, figure: words::count(*documents) }
    });
    bars::draw(&bars.collect::<Vec<_>>())
}

/// How much text there is in each language, the most first.
fn languages_chart(corpus: &Stats) -> Result<String> {
    let mut languages: Vec<_> = corpus.languages.iter().collect();
    languages.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.bytes));
    let bars = languages.into_iter().map(|(language, figures)| Bar {
        name: language.clone(),
        value: figures.bytes as f64,
        figure: words::bytes(figures.bytes),
    });
    bars::draw(&bars.collect::<Vec<_>>())
}

/// How much was dropped for each reason.
fn reasons_chart(corpus: &Stats) -> Result<String> {
    let bars = corpus.dropped.iter().map(|(reason, files)| Bar {
        name: messages::format(&reason.message(), &[]),
        value: *files as f64,
        figure: words::count(*files),
    });
    bars::draw(&bars.collect::<Vec<_>>())
}

const SIZE: (u32, u32) = (720, 260);
const BLUE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const ORANGE: RGBColor = RGBColor(0xd9, 0x5f, 0x02);

/// The loss on training text and on held-out text, in nats per token.
fn loss_chart(curve: &[LogEntry]) -> Result<String> {
    let training: Vec<_> = curve.iter().map(|e| (e.tokens as f64, f64::from(e.loss))).collect();
    let held_out: Vec<_> = curve.iter().filter_map(|e| Some((e.tokens as f64, f64::from(e.held_out?)))).collect();
    chart("report-axis-loss", &[("report-line-training", BLUE, training), ("report-line-held-out", ORANGE, held_out)])
}

fn rate_chart(curve: &[LogEntry]) -> Result<String> {
    let rate: Vec<_> = curve.iter().map(|e| (e.tokens as f64, f64::from(e.learning_rate))).collect();
    chart("report-axis-rate", &[("report-line-rate", BLUE, rate)])
}

type Line<'a> = (&'a str, RGBColor, Vec<(f64, f64)>);

/// Lines over the tokens seen, as an SVG. Every line is named by a word
/// beside its end, so that no meaning hangs on colour alone.
fn chart(label: &str, lines: &[Line<'_>]) -> Result<String> {
    let failed = |cause: String| Error::new("report-failed").arg("cause", cause);
    let points = || lines.iter().flat_map(|(_, _, points)| points);
    let right = points().map(|p| p.0).fold(1.0, f64::max);
    // A range without height, or without end, would keep the library's axis
    // looking for labels for ever.
    let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p.1), high.max(p.1)));
    let (low, high) = match (low.is_finite() && high.is_finite(), low < high) {
        (true, true) => (low, high),
        (true, false) => (low, low + 1.0),
        (false, _) => (0.0, 1.0),
    };
    let margin = (high - low) * 0.05;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..right * 1.18, low - margin..high + margin)
            .map_err(|e| failed(e.to_string()))?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(messages::format("report-axis-tokens", &[]))
            .y_desc(messages::format(label, &[]))
            .x_label_formatter(&|x| words::count(*x as u64))
            .draw()
            .map_err(|e| failed(e.to_string()))?;
        for (name, colour, points) in lines {
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))
                .map_err(|e| failed(e.to_string()))?;
            if let Some(&end) = points.last() {
                let name = Text::new(messages::format(name, &[]), end, ("sans-serif", 13).into_font().color(colour));
                chart.draw_series([name]).map_err(|e| failed(e.to_string()))?;
            }
        }
        root.present().map_err(|e| failed(e.to_string()))?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_names_its_lines_and_stands_odd_curves() {
        let entry = |tokens, loss, held_out| LogEntry {
            step: 1,
            loss,
            learning_rate: 0.0,
            gradient_norm: 0.0,
            tokens,
            seconds: 0.0,
            held_out,
        };
        let svg = loss_chart(&[entry(100, 5.0, None), entry(200, 4.0, Some(4.5))]).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains(&messages::format("report-line-held-out", &[])), "{svg}");
        for curve in [vec![], vec![entry(1, 3.0, None)], vec![entry(1, 3.0, None), entry(2, 3.0, None)]] {
            loss_chart(&curve).unwrap();
            rate_chart(&curve).unwrap();
        }
    }
}
