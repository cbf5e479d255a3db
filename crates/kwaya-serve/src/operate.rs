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
    let (documents, vectors) = service.documents.stages();
    let mut response = reply(&json!({
        "status": status, "model": service.name, "model_file_changed": changed,
        "documents": documents, "vectors": vectors,
    }));
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
    for request in ["ChatRequest", "TextRequest", "EmbeddingRequest", "AskRequest"] {
        let properties = &mut description["components"]["schemas"][request]["properties"];
        properties["model"]["enum"] = json!([service.name]);
        for name in ["prompt", "input"] {
            let greatest = service.model.architecture().vocab - 1;
            for pointer in ["/anyOf/2/items", "/anyOf/3/items/items"] {
                if let Some(token) = properties.get_mut(name).and_then(|property| property.pointer_mut(pointer)) {
                    token["maximum"] = greatest.into();
                }
            }
        }
    }
    reply(&description)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every file with routes belongs here.
    const SOURCES: [&str; 4] =
        [include_str!("operate.rs"), include_str!("api.rs"), include_str!("classify.rs"), include_str!("ask.rs")];

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let description: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let described: BTreeSet<String> = description["paths"].as_object().unwrap().keys().cloned().collect();
        let route = concat!(".route", "(\"");
        let routes = SOURCES.iter().flat_map(|source| source.split(route).skip(1));
        let routes = routes.map(|rest| rest.split('"').next().unwrap().replace("{*", "{")).collect();
        assert_eq!(described, routes);
    }
}
