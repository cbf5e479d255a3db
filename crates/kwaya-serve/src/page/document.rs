//! A document of the corpus, and a passage in it: `/documents/ID?from=START&to=END#here`,
//! where START and END count the bytes of what it says. The passage is marked by
//! the server, so that no script is needed to find it.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::Response,
};
use kwaya_base::{
    Error, Result,
    languages::{Given, Language},
};
use kwaya_recipe::rights;
use kwaya_text::{
    chat,
    corpus::{Document, Step},
    look,
    withdrawn::Withdrawn,
};
use minijinja::context;
use serde::Serialize;

use super::{
    Visit, beside,
    template::{self, bytes, plain},
};
use crate::{fault::Fault, service::Service, token::Role};

/// Digits of the name of a document.
const ID_DIGITS: usize = 64;

/// A piece of the text, with what is marked in it.
#[derive(Default, Serialize)]
struct Part {
    /// Who says it, in a chat.
    role: String,
    before: String,
    mark: String,
    after: String,
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
    Path(id): Path<String>,
) -> Result<Response<Body>, Fault> {
    beside(move || {
        let unknown = || Error::new("serve-document");
        let folder = service.recipe.as_deref().ok_or_else(unknown)?;
        if id.len() != ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let table = folder.join("build/corpus/documents.parquet");
        let found = if table.exists() { look::document(&table, &id)? } else { None };
        let document = found.ok_or_else(unknown)?;
        // Taken back since the corpus was built.
        if document.letters.parse().is_ok_and(|letters| Withdrawn::read(folder).is_ok_and(|taken| taken.text(&letters)))
        {
            return Err(unknown());
        }
        let source = rights::read(folder)?.into_iter().find(|source| source.origin == document.origin);
        let source = source.map(|source| context! { path => source.path, allowed_by => source.consent.allowed_by });
        let text = said(&document);
        let passage = passage(&text, visit.number("from"), visit.number("to"));
        let steps: Vec<String> = document.history.iter().map(|step| told(visit.language, step)).collect();
        let page = context! {
            name => &document.source, language => &document.language, bytes => document.bytes,
            licence => &document.licence, source, steps,
            data_room => visit.may(Role::Build),
            passage => passage.is_some(),
            parts => plain(parts(&document, text, passage)),
        };
        let main = template::render(visit.language, "document.html", page)?;
        Ok(visit.page(&service, &document.source, &main))
    })
    .await
}

/// The marked part of a text, in whole characters.
fn passage(text: &str, from: Option<u64>, to: Option<u64>) -> Option<(usize, usize)> {
    let place = |at: u64| text.floor_char_boundary(usize::try_from(at).unwrap_or(usize::MAX).min(text.len()));
    let (from, to) = (place(from?), place(to?));
    (from < to).then_some((from, to))
}

/// What it says. Of a chat it is what was said, one after the other, in which
/// the places of passages count.
fn said(document: &Document) -> String {
    document.messages().map_or_else(|| document.text.clone(), |messages| chat::words(&messages))
}

fn parts(document: &Document, text: String, passage: Option<(usize, usize)>) -> Vec<Part> {
    match (passage, document.messages()) {
        (Some((from, to)), _) => {
            let [before, mark, after] = [&text[..from], &text[from..to], &text[to..]].map(str::to_owned);
            vec![Part { before, mark, after, ..Part::default() }]
        }
        (None, Some(messages)) => {
            let part = |message: kwaya_text::chat::Message| {
                let known = ["user", "assistant"].contains(&message.role.as_str());
                let role = if known { message.role } else { "system".to_owned() };
                Part { role, before: message.content, ..Part::default() }
            };
            messages.into_iter().map(part).collect()
        }
        (None, None) => vec![Part { before: text, ..Part::default() }],
    }
}

/// A step of a document's history in words.
fn told(language: &Language, step: &Step) -> String {
    let size = |size: u64| Given::Text(bytes(language, size as f64));
    let count = |count: u64| Given::Number(count as f64, 0);
    let word = |word: &str| Given::Text(word.to_owned());
    match step {
        Step::Extract { format, bytes, .. } => {
            language.text("step-extract", &[("format", word(format)), ("size", size(*bytes))])
        }
        Step::Decode { encoding } => language.text("step-decode", &[("encoding", word(encoding))]),
        Step::Mend { mojibake, hyphens } => {
            language.text("step-mend", &[("characters", count(*mojibake)), ("words", count(*hyphens))])
        }
        Step::Normalise { before, after } => {
            language.text("step-normalise", &[("before", size(*before)), ("after", size(*after))])
        }
        Step::Cut { piece, pieces } => {
            language.text("step-cut", &[("piece", count(*piece)), ("pieces", count(*pieces))])
        }
        Step::Identify { detected, percent, .. } => {
            let percent = language.text("percent", &[("count", count(u64::from(*percent)))]);
            language.text("step-identify", &[("language", word(detected)), ("percent", Given::Text(percent))])
        }
        Step::Lines { removed, .. } => language.text("step-lines", &[("lines", count(removed.values().sum()))]),
        Step::Paragraphs { left_out, .. } => language.text("step-paragraphs", &[("size", size(*left_out))]),
        Step::Redact { replaced } => language.text("step-redact", &[("places", count(replaced.values().sum()))]),
        Step::Repeated { paragraphs } => language.text("step-repeated", &[("paragraphs", count(*paragraphs))]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_of_whole_characters_and_within_the_text() {
        let text = "Maíz na maji";
        assert_eq!(passage(text, Some(0), Some(3)), Some((0, 2)));
        assert_eq!(passage(text, Some(3), Some(u64::MAX)), Some((2, text.len())));
        for (from, to) in [(Some(3), Some(3)), (Some(9), Some(2)), (None, Some(5)), (Some(99), Some(100))] {
            assert_eq!(passage(text, from, to), None);
        }
    }
}
