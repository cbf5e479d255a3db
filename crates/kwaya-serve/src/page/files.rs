//! What a build wrote for people: the cards, and the report with its pictures.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Response, header},
};
use kwaya_base::{Error, error::At};

use super::beside;
use crate::{
    fault::Fault,
    service::{Service, text},
};

/// Where they lie in the folder of the recipe.
pub(super) const MODEL_CARD: &str = "build/cards/model.md";
pub(super) const DATA_CARD: &str = "build/corpus/README.md";
pub(super) const REPORT: &str = "build/report.html";

/// The largest that is shown.
const BYTES_MAX: u64 = 32 << 20;

/// The report has its style within it, and no script.
const REPORT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; sandbox",
);

pub(super) async fn model_card(State(service): State<Arc<Service>>) -> Result<Response<Body>, Fault> {
    file(service, MODEL_CARD, "text/plain; charset=utf-8").await
}

pub(super) async fn data_card(State(service): State<Arc<Service>>) -> Result<Response<Body>, Fault> {
    file(service, DATA_CARD, "text/plain; charset=utf-8").await
}

pub(super) async fn report(State(service): State<Arc<Service>>) -> Result<Response<Body>, Fault> {
    let mut report = file(service, REPORT, "text/html; charset=utf-8").await?;
    report.headers_mut().insert(header::CONTENT_SECURITY_POLICY, REPORT_POLICY);
    Ok(report)
}

async fn file(service: Arc<Service>, name: &'static str, kind: &'static str) -> Result<Response<Body>, Fault> {
    beside(move || {
        let missing = || Error::new("serve-path");
        let path = service.recipe.as_ref().ok_or_else(missing)?.join(name);
        let length = std::fs::metadata(&path).map_err(|_| missing())?.len();
        if length > BYTES_MAX {
            return Err(missing());
        }
        Ok(text(kind, std::fs::read(&path).at(&path)?))
    })
    .await
}
