//! What whoever runs the server asks: does it live, is it ready, what has it
//! done; and what it can do at all.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Response, StatusCode},
    routing::get,
};
use serde_json::{Value, json};

use crate::service::{Service, reply, text};

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(describe))
}

/// The process lives.
async fn health() -> Response<Body> {
    reply(&json!({ "status": "ok" }))
}

/// It can answer: 503 while it stops.
async fn ready(State(service): State<Arc<Service>>) -> Response<Body> {
    let stopping = service.stopping.load(Ordering::Relaxed);
    let status = if stopping { "stopping" } else { "ready" };
    let changed = service.changed.load(Ordering::Relaxed);
    let mut response = reply(&json!({ "status": status, "model": service.name, "model_file_changed": changed }));
    if stopping {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

async fn metrics(State(service): State<Arc<Service>>) -> Response<Body> {
    text("text/plain; version=0.0.4", service.metrics.text(service.engine.figures()))
}

/// The description of all routes. It is written by hand; a test holds the
/// server to it.
async fn describe(State(service): State<Arc<Service>>) -> Response<Body> {
    let mut description: Value = serde_json::from_str(include_str!("openapi.json")).expect("it is JSON");
    for request in ["ChatRequest", "TextRequest", "EmbeddingRequest"] {
        description["components"]["schemas"][request]["properties"]["model"]["enum"] = json!([service.name]);
    }
    reply(&description)
}
