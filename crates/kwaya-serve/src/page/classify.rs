//! The classifier that is served beside the model, tried on one text.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::Response,
};
use kwaya_base::{Error, Result, Silent};
use minijinja::context;
use serde::Serialize;

use super::{
    Visit, beside,
    chat::ways,
    template::{self, plain},
};
use crate::{classify::WORDS, fault::Fault, service::Service};

/// Labels that are shown, the likeliest first.
const LABELS: usize = 10;

/// What the classifier says of a text.
#[derive(Serialize)]
struct Found {
    label: String,
    unsure: bool,
    likely: Vec<Likely>,
    because: Vec<String>,
}

#[derive(Serialize)]
struct Likely {
    label: String,
    share: f64,
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    service.classifier.as_ref().ok_or_else(|| Error::new("serve-no-classifier"))?;
    Ok(page(&service, &visit, None, "")?)
}

pub(super) async fn answer(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let form = visit.form(&service, request).await?;
    let written = form.get("text").unwrap_or_default().replace("\r\n", "\n");
    beside(move || {
        let found = look(&service, &written)?;
        page(&service, &visit, Some(found), &written)
    })
    .await
}

fn look(service: &Service, text: &str) -> Result<Found> {
    let classifier = service.classifier.as_ref().ok_or_else(|| Error::new("serve-no-classifier"))?;
    let (rows, labels) = ([classifier.row(text)], classifier.labels());
    let answer = &classifier.answers(&rows, &Silent)?[0];
    let likely = labels.iter().zip(&answer.probabilities);
    let mut likely: Vec<Likely> = likely.map(|(label, share)| Likely { label: label.clone(), share: *share }).collect();
    likely.sort_by(|one, other| other.share.total_cmp(&one.share));
    likely.truncate(LABELS);
    Ok(Found {
        label: labels[answer.label].clone(),
        unsure: !answer.sure,
        likely,
        because: classifier.because(&rows[0], answer.label, WORDS).into_iter().map(|telling| telling.word).collect(),
    })
}

fn page(service: &Service, visit: &Visit, found: Option<Found>, written: &str) -> Result<Response<Body>> {
    let page = context! { csrf => &visit.csrf, found => plain(found), written };
    let main = ways(service, visit, "/try/classify")? + &template::render(visit.language, "classify.html", page)?;
    Ok(visit.page(service, &visit.language.text("try-classify", &[]), &main))
}
