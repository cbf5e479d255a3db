//! The room of the training: how far a build is that runs in another process,
//! its curve, what it was thought to take and took, and what the model writes.

use std::{path::Path, sync::Arc};

use axum::{Extension, body::Body, extract::State, http::Response};
use kwaya_base::{
    Error, Result,
    languages::{Given, Language},
};
use kwaya_recipe::{
    build::{self, Reached, Training},
    evaluation::Evaluation,
    store::FolderLock,
};
use kwaya_train::LogEntry;
use minijinja::{Value, context};

use super::{
    Visit, beside,
    built::Built,
    curve,
    template::{self, bytes, duration, plain},
};
use crate::{
    fault::Fault,
    service::{Service, text},
};

/// Seconds after which the page looks again by itself, where a script may.
const LOOK_AGAIN: u64 = 5;

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    beside(move || {
        let folder = service.recipe.as_deref().ok_or_else(|| Error::new("serve-path"))?;
        let main = template::render(visit.language, "training.html", facts(visit.language, folder)?)?;
        let title = visit.language.text("room-training", &[]);
        Ok(text("text/html; charset=utf-8", visit.frame(&service, &title, &main, true)?))
    })
    .await
}

fn facts(language: &Language, folder: &Path) -> Result<Value> {
    let built = Built::read(folder)?;
    let building = FolderLock::is_held(&folder.join("build"));
    let live = kwaya_train::watch_newest(&folder.join("build/checkpoints"));
    let mut stages = build::status(folder)?;
    let train = stages.iter().position(|stage| stage.stage == "train");
    match train.filter(|_| building) {
        // A training under way is newer than the newest checkpoint, and than what an
        // earlier plan has trained.
        Some(at) if live.runs => {
            stages[at..].iter_mut().for_each(|stage| stage.seconds = None);
            stages[at].reached = reached(&live.log, &built).or(stages[at].reached.take());
        }
        // What was left of one is no sign that the build has come to it.
        Some(at) => stages[at].reached = None,
        None => {}
    }
    let trained: Option<Training> = built.figures("train");
    let shows_live = !live.log.is_empty() && (live.runs || !building);
    let log = if shows_live { Some(live.log) } else { trained.as_ref().map(|trained| trained.curve.clone()) };
    let evaluation: Option<Evaluation> = built.figures("evaluate");
    Ok(context! {
        building,
        live => if building { LOOK_AGAIN } else { 0 },
        curve => log.and_then(|log| curve::of(&log)),
        stages => plain(stages),
        cost => trained.map(|trained| cost(language, &trained, &built)),
        samples => plain(evaluation.map(|evaluation| evaluation.samples)),
    })
}

fn reached(live: &[LogEntry], built: &Built) -> Option<Reached> {
    let (last, steps) = (live.last()?, built.lock.as_ref()?.train.steps);
    let seconds_left = last.seconds / last.step.max(1) as f64 * steps.saturating_sub(last.step) as f64;
    Some(Reached { step: last.step, steps, seconds_left })
}

/// What the newest training was thought to take, and took.
fn cost(language: &Language, trained: &Training, built: &Built) -> Vec<Value> {
    let foretold = trained.forecast;
    let size = |size: Option<u64>| size.map_or_else(|| "–".to_owned(), |size| bytes(language, size as f64));
    let row = |name: &str, forecast: String, truth: String| context! { name, forecast, truth };
    let speed = language.text("per-second", &[("count", Given::Number(trained.tokens_per_second, 0))]);
    let memory = built.stage("train").and_then(|entry| entry.peak_memory_bytes);
    vec![
        row("cost-time", duration(language, foretold.training_seconds), duration(language, trained.seconds)),
        row("cost-memory", size(foretold.memory_bytes), size(memory)),
        row("cost-disk", size(Some(foretold.disk_bytes)), size(Some(trained.disk_bytes))),
        row("cost-speed", "–".to_owned(), speed),
    ]
}
