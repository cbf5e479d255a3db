//! The room of the data: what is in the corpus, in figures and page by page,
//! and what was left out, and why.

use std::{path::PathBuf, sync::Arc};

use axum::{Extension, body::Body, extract::State, http::Response};
use kwaya_base::{Error, Result, languages::LANGUAGES};
use kwaya_recipe::rights::{self, SourceRights, Until};
use kwaya_text::{
    Reason,
    corpus::{Document, Dropped, Split, Stats},
    language, look,
    quality::Thresholds,
};
use minijinja::{Value, context};
use serde::Serialize;

use super::{
    Visit, beside,
    built::Built,
    form,
    template::{self, plain},
};
use crate::{fault::Fault, service::Service};

/// Rows of a page.
const ROWS: usize = 20;
/// Pages that can be asked for.
const PAGES_MAX: u64 = 1_000_000;
/// Characters of a text that a row shows.
const START_CHARACTERS: usize = 240;

/// A row of a picture.
#[derive(Serialize)]
struct Bar {
    name: String,
    count: u64,
    share: f64,
}

/// A document in a list.
#[derive(Default, Serialize)]
struct Row {
    name: String,
    path: String,
    language: String,
    bytes: u64,
    held_out: bool,
    reason: &'static str,
    detail: String,
    twin: String,
    start: String,
}

/// What a list can be narrowed to.
#[derive(Serialize)]
struct Choice {
    value: String,
    /// The message that says it; empty where it has a name.
    key: String,
    name: String,
    count: u64,
}

fn folder(service: &Service) -> Result<PathBuf> {
    service.recipe.clone().ok_or_else(|| Error::new("serve-path"))
}

fn stats(built: &Built) -> Result<Stats> {
    built.figures("corpus").ok_or_else(|| Error::new("serve-path"))
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    beside(move || {
        let folder = folder(&service)?;
        let stats = stats(&Built::read(&folder)?)?;
        let main = template::render(visit.language, "data.html", facts(&stats, &rights::read(&folder)?))?;
        Ok(visit.page(&service, &visit.language.text("room-data", &[]), &main))
    })
    .await
}

fn facts(stats: &Stats, sources: &[SourceRights]) -> Value {
    let dropped = bars(stats.dropped.iter().map(|(reason, count)| (reason.key().to_owned(), *count)));
    let dropped = dropped.into_iter().map(|bar| context! { key => bar.name, count => bar.count, share => bar.share });
    let most = stats.lengths.values().copied().max().unwrap_or(1).max(1) as f64;
    let lengths = stats.lengths.iter().map(|(power, count)| {
        let [low, high] = [*power, power + 1].map(|power| 2_f64.powi(power.min(63) as i32));
        context! { low, high, count, share => *count as f64 / most }
    });
    context! {
        corpus => plain(stats),
        languages => languages(stats),
        sources => sources.iter().map(source).collect::<Vec<_>>(),
        dropped => dropped.collect::<Vec<_>>(),
        dropped_count => stats.dropped.values().sum::<u64>(),
        lengths => lengths.collect::<Vec<_>>(),
        limits => stats.limits.iter().filter_map(|(tag, limits)| limits_of(tag, limits)).collect::<Vec<_>>(),
        formats => plain(bars(stats.formats.iter().map(|(name, count)| (name.clone(), *count)))),
        private => plain(bars(stats.replaced.iter().map(|(kind, count)| (kind.to_string(), *count)))),
    }
}

/// The most first, each as long as its share of the first.
fn bars(counts: impl Iterator<Item = (String, u64)>) -> Vec<Bar> {
    let mut bars: Vec<Bar> = counts.map(|(name, count)| Bar { name, count, share: 0.0 }).collect();
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.count));
    let most = bars.first().map_or(1, |bar| bar.count.max(1)) as f64;
    bars.iter_mut().for_each(|bar| bar.share = bar.count as f64 / most);
    bars
}

/// What a language calls itself, where pages are in it; else its name in
/// English, or its tag.
pub(super) fn named(tag: &str) -> Value {
    if let Some(own) = LANGUAGES.iter().find(|language| language.tag == tag) {
        return context! { name => own.name, lang => own.tag };
    }
    let known = language::known().into_iter().find(|known| known.tag == tag);
    let plain = |name: &'static str| name.split(" (").next().unwrap_or(name);
    context! { name => known.map_or(tag, |known| plain(known.name)), lang => "en" }
}

fn languages(stats: &Stats) -> Vec<Value> {
    let mut languages: Vec<_> = stats.languages.iter().collect();
    languages.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.bytes));
    let row = |(tag, figures): (&String, &kwaya_text::corpus::LanguageStats)| {
        context! {
            tag,
            named => named(tag),
            documents => figures.documents,
            bytes => figures.bytes,
            held_out => figures.held_out_documents,
            share => figures.bytes as f64 / stats.bytes.max(1) as f64,
        }
    };
    languages.into_iter().map(row).collect()
}

fn source(source: &SourceRights) -> Value {
    let consent = &source.consent;
    let until = match consent.allowed_until {
        Until::NoEnd => None,
        Until::Day(day) => Some(day.seconds()),
    };
    context! {
        path => &source.path,
        licence => &consent.licence,
        allowed_by => &consent.allowed_by,
        allowed_for => consent.allowed_for.iter().map(|one| one.name()).collect::<Vec<_>>(),
        on => consent.allowed_on.seconds(),
        until,
        documents => source.documents,
        bytes => source.bytes,
    }
}

fn limits_of(tag: &str, thresholds: &Thresholds) -> Option<Value> {
    let limits: Vec<Value> = thresholds
        .limits()
        .map(|(filter, limit)| {
            let [low, high] = limit.edges();
            let (origin, share) = (limit.origin.name(), f64::from(limit.share) / 10_000.0);
            context! { filter => Reason::Quality(filter).key(), low, high, origin, share }
        })
        .collect();
    (!limits.is_empty()).then(|| context! { name => named(tag).get_attr("name").unwrap_or_default(), limits })
}

/// The documents that were kept, a page of them.
pub(super) async fn documents(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    beside(move || {
        let folder = folder(&service)?;
        let stats = stats(&Built::read(&folder)?)?;
        let (chosen, page) = (visit.asked("language"), page(&visit));
        let table = folder.join("build/corpus/documents.parquet");
        let found = look::documents_page(&table, chosen, (page - 1) * ROWS as u64, ROWS)?;
        let choices = stats.languages.iter().map(|(tag, figures)| Choice {
            value: tag.clone(),
            key: String::new(),
            name: named(tag).get_attr("name").map_or_else(|_| tag.clone(), |name| name.to_string()),
            count: figures.documents,
        });
        let list = context! {
            heading => "data-documents", choice_label => "data-language", choice_name => "language",
            choices => plain(choices.collect::<Vec<_>>()), chosen => chosen.unwrap_or_default(),
            rows => plain(found.rows.into_iter().map(kept).collect::<Vec<_>>()),
        };
        list_page(&service, &visit, "data-documents", list, page, found.more)
    })
    .await
}

/// What was left out, a page of it.
pub(super) async fn dropped(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    beside(move || {
        let folder = folder(&service)?;
        let stats = stats(&Built::read(&folder)?)?;
        let (chosen, page) = (visit.asked("reason").and_then(Reason::from_key), page(&visit));
        let table = folder.join("build/corpus/dropped.parquet");
        let found = look::dropped_page(&table, chosen, (page - 1) * ROWS as u64, ROWS)?;
        let choices = stats.dropped.iter().map(|(reason, count)| Choice {
            value: reason.key().to_owned(),
            key: format!("reason-{}", reason.key()),
            name: String::new(),
            count: *count,
        });
        let list = context! {
            heading => "data-left-out", choice_label => "dropped-reason", choice_name => "reason",
            choices => plain(choices.collect::<Vec<_>>()), chosen => chosen.map_or("", Reason::key),
            rows => plain(found.rows.into_iter().map(left_out).collect::<Vec<_>>()),
        };
        list_page(&service, &visit, "data-left-out", list, page, found.more)
    })
    .await
}

/// Which page is asked for, from 1.
fn page(visit: &Visit) -> u64 {
    visit.number("page").unwrap_or(1).clamp(1, PAGES_MAX)
}

fn list_page(
    service: &Service,
    visit: &Visit,
    title: &str,
    list: Value,
    page: u64,
    more: bool,
) -> Result<Response<Body>> {
    let other = |page: u64| visit.address_with(Some(("page", &page.to_string())));
    let list = context! {
        page,
        first => (page - 1) * ROWS as u64 + 1,
        previous => (page > 1).then(|| other(page - 1)),
        next => more.then(|| other(page + 1)),
        ..list
    };
    let main = template::render(visit.language, "list.html", list)?;
    Ok(visit.page(service, &visit.language.text(title, &[]), &main))
}

fn start(text: &str) -> String {
    let mut start: String = text.chars().take(START_CHARACTERS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

fn kept(document: Document) -> Row {
    Row {
        start: start(&document.text),
        path: format!("/documents/{}", form::encode(&document.id)),
        name: document.source,
        language: document.language,
        bytes: document.bytes,
        held_out: document.split == Split::HeldOut,
        ..Row::default()
    }
}

fn left_out(dropped: Dropped) -> Row {
    Row {
        start: start(&dropped.start),
        name: dropped.source,
        language: dropped.language,
        bytes: dropped.bytes,
        reason: dropped.reason.key(),
        detail: dropped.detail,
        twin: dropped.duplicate_of,
        ..Row::default()
    }
}
