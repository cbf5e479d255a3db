//! The first room: what runs here, what it was built from, and on what.

use std::sync::{Arc, atomic::Ordering};

use axum::{Extension, body::Body, extract::State, http::Response};
use kwaya_base::Result;
use kwaya_recipe::{
    evaluation::{Evaluation, Score},
    machine::Machine,
};
use kwaya_text::corpus::Stats;
use minijinja::{Value, context};
use serde::Serialize;

use super::{
    Visit, beside,
    built::Built,
    data::named,
    files,
    template::{self, plain},
};
use crate::{fault::Fault, service::Service, token::Role};

/// A page that the overview leads to.
#[derive(Serialize)]
struct Link {
    path: &'static str,
    name: &'static str,
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    beside(move || {
        let main = template::render(visit.language, "overview.html", facts(&service, &visit))?;
        Ok(visit.page(&service, &service.name, &main))
    })
    .await
}

fn facts(service: &Service, visit: &Visit) -> Value {
    let architecture = service.model.architecture();
    let counted = service.engine.figures();
    let read = |figure: &std::sync::atomic::AtomicU64| figure.load(Ordering::Relaxed);
    let now = context! {
        writing => read(&counted.writing),
        waiting => read(&counted.waiting),
        written => read(&counted.tokens_written),
        read => read(&counted.tokens_read),
        since => service.started,
    };
    let model = context! {
        model => &service.name,
        weights => architecture.parameters(),
        context => service.engine.context,
        vocabulary => architecture.vocab,
        layers => architecture.layers.len(),
        family => architecture.family.name(),
        address => visit.server(service),
        changed => service.changed.load(Ordering::Relaxed),
        machine => plain(Machine::look(&service.home, service.threads)),
        now,
        links => plain(links(service, visit)),
        corpus => (), scores => (),
    };
    // A recipe that is being edited does not shut this room.
    match service.recipe.as_deref().map(Built::read) {
        Some(Ok(built)) => context! { ..of_build(&built), ..model },
        _ => model,
    }
}

fn of_build(built: &Built) -> Value {
    let corpus: Option<Stats> = built.figures("corpus");
    let evaluation: Option<Evaluation> = built.figures("evaluate");
    let mut licences: Vec<String> = built.recipe.source.iter().map(|source| source.consent.licence.clone()).collect();
    licences.sort();
    licences.dedup();
    let last = ["evaluate", "merge", "train", "corpus"].iter().find_map(|stage| built.stage(stage));
    context! {
        corpus => plain(&corpus),
        built => last.map(|entry| entry.time),
        languages_of => corpus.as_ref().map(|corpus| corpus.languages.keys().map(|tag| named(tag)).collect::<Vec<_>>()),
        licences,
        uses => built.recipe.uses.iter().map(|one| one.name()).collect::<Vec<_>>(),
        hash => built.lock.as_ref().map(|lock| lock.documents.clone()),
        scores => evaluation.map(|evaluation| evaluation.languages.iter().map(score).collect::<Vec<_>>()),
    }
}

fn score(score: &Score) -> Value {
    context! { named => named(&score.language), figures => plain(score) }
}

/// The cards and the report, as far as they are there and may be seen.
fn links(service: &Service, visit: &Visit) -> Vec<Link> {
    let Some(folder) = &service.recipe else { return Vec::new() };
    let mut links = Vec::new();
    for (file, role, path, name) in [
        (files::MODEL_CARD, Role::Use, "/cards/model", "link-model-card"),
        (files::DATA_CARD, Role::Use, "/cards/data", "link-data-card"),
        (files::REPORT, Role::Build, "/report", "link-report"),
    ] {
        links.extend((visit.may(role) && folder.join(file).exists()).then_some(Link { path, name }));
    }
    links
}
