//! The pages for people: rooms of a house, each made here from what lies on
//! disk and what the engine counts, in the language of whoever reads it.
//!
//! ```text
//! gate (service.rs) → Visit (who, which language, which rooms) → a room → template → finish (headers, cookies)
//! ```
//!
//! Every page works without a script; scripts make two of them livelier.
//! Documents and what a model writes are strangers' words: the templates
//! escape all that they are given, and the policy of every page lets it run
//! nothing and load nothing but what this server has under `/assets/`.

mod ask;
mod assets;
mod built;
mod chat;
mod classify;
mod curve;
mod data;
mod document;
mod files;
mod form;
mod overview;
mod sign_in;
mod template;
mod training;
mod visit;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header, request::Parts},
    routing::{get, post},
};
use kwaya_base::Error;
use minijinja::context;

pub(crate) use visit::Visit;

use crate::{
    fault::{Cause, Fault},
    service::Service,
    token::Role,
};

/// What each page asks of whoever wants to see it; nothing for the door.
const ROUTES: [(&str, Option<Role>); 16] = [
    ("/", Some(Role::Use)),
    ("/try", Some(Role::Use)),
    ("/try/ask", Some(Role::Use)),
    ("/try/classify", Some(Role::Use)),
    // Whoever asks the documents must be able to look an answer up.
    ("/documents/{id}", Some(Role::Use)),
    ("/cards/model", Some(Role::Use)),
    ("/cards/data", Some(Role::Use)),
    // All documents, and those that were left out.
    ("/data", Some(Role::Build)),
    ("/data/documents", Some(Role::Build)),
    ("/data/dropped", Some(Role::Build)),
    ("/training", Some(Role::Build)),
    ("/report", Some(Role::Build)),
    ("/sign-in", None),
    ("/sign-out", None),
    ("/assets/{name}", None),
    ("/favicon.ico", None),
];

/// What a browser may do with a page: show it, with the style and the script
/// that this server has, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(overview::show))
        .route("/try", get(chat::show).post(chat::answer))
        .route("/try/ask", get(ask::show).post(ask::answer))
        .route("/try/classify", get(classify::show).post(classify::answer))
        .route("/documents/{id}", get(document::show))
        .route("/cards/model", get(files::model_card))
        .route("/cards/data", get(files::data_card))
        .route("/data", get(data::show))
        .route("/data/documents", get(data::documents))
        .route("/data/dropped", get(data::dropped))
        .route("/training", get(training::show))
        .route("/report", get(files::report))
        .route("/sign-in", get(sign_in::show).post(sign_in::open))
        .route("/sign-out", post(sign_in::close))
        .route("/assets/{name}", get(assets::give))
        .route("/favicon.ico", get(assets::icon))
}

/// What the page of a route asks; `None` where the route is none of a page.
pub(crate) fn role(route: &str) -> Option<Option<Role>> {
    ROUTES.iter().find(|(page, _)| *page == route).map(|(_, role)| *role)
}

/// Whether a person is to read the answer: on the routes of pages, and where
/// nothing is if a browser asks.
pub(crate) fn is_for_people(route: &str, request: &Parts) -> bool {
    let accept = request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    match route {
        "none" => accept.contains("text/html") && !request.uri.path().starts_with("/v1/"),
        "/assets/{name}" | "/favicon.ico" => false,
        route => role(route).is_some(),
    }
}

/// Whether a request that changes something comes from a page of this server,
/// as far as the browser says. What it does not say, the mark of the form
/// shows: without TLS browsers are silent, and pages send no referrer.
pub(crate) fn is_from_here(request: &Parts) -> bool {
    if [Method::GET, Method::HEAD].contains(&request.method) {
        return true;
    }
    let said = |name: header::HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = request.headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    match said(header::ORIGIN) {
        None | Some("null") => true,
        Some(origin) => origin.split_once("://").map(|(_, host)| host) == said(header::HOST),
    }
}

/// Gives an answer for people its last touch: an error becomes a page that
/// says what to do; cookies and what a browser may do with it are added.
pub(crate) fn finish(service: &Service, visit: &Visit, response: Response<Body>) -> Response<Body> {
    let cause = response.extensions().get::<Cause>().map(|cause| Arc::clone(&cause.0));
    let mut response = match cause {
        Some(error) => fault(service, visit, &error, response),
        None => response,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    for cookie in visit.cookies() {
        headers.append(header::SET_COOKIE, cookie.clone());
    }
    response
}

/// The page of an error, with the status of `response`.
fn fault(service: &Service, visit: &Visit, error: &Error, response: Response<Body>) -> Response<Body> {
    let page = match error.key() {
        "serve-token-missing" => sign_in::page(service, visit, &visit.address(), false),
        "serve-token-wrong" => sign_in::page(service, visit, &visit.address(), true),
        key => {
            let key = words_of(key);
            let body = template::render(visit.language, "fault.html", context! { key });
            body.map(|body| visit.page(service, &visit.language.text(key, &[]), &body))
        }
    };
    let (head, _) = response.into_parts();
    // A template that cannot be filled would be a fault of ours: its own page
    // is made of the same template.
    let mut page = page.unwrap_or_default();
    *page.status_mut() = head.status;
    for name in [header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = head.headers.get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

/// What a page says of an error.
fn words_of(key: &str) -> &'static str {
    match key {
        "serve-path" | "serve-no-classifier" | "serve-no-documents" => "error-path",
        "serve-document" => "error-document",
        "serve-host" => "error-host",
        "serve-role" => "error-role",
        "serve-rate" => "error-rate",
        "serve-queue-full" => "error-full",
        "serve-stopping" => "error-stopping",
        "serve-documents-making" => "error-making",
        "serve-mark" => "error-forged",
        "serve-context" | "serve-body-large" | "ask-question-long" => "error-long",
        "serve-answer-slow" | "serve-body-slow" => "error-slow",
        "serve-form" | "serve-content-type" | "serve-body-lost" | "serve-missing" | "serve-value"
        | "ask-question-empty" => "error-form",
        "serve-method" => "error-method",
        _ => "error-internal",
    }
}

/// The result of work that reads files, done beside the network.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> kwaya_base::Result<T> + Send + 'static) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::new("serve-engine-lost")));
    Ok(done?)
}

/// Sends a browser on to `path`.
fn go_to(path: &str) -> Response<Body> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, path);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = axum::http::Request::builder().method(method).uri("/try").header("host", "a:1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn what_another_site_sends_is_not_from_here() {
        let from = |headers: &[(&str, &str)]| is_from_here(&request("POST", headers));
        assert!(from(&[]) && from(&[("origin", "http://a:1")]) && from(&[("sec-fetch-site", "same-origin")]));
        for (name, value) in [
            ("origin", "http://b:1"),
            ("origin", "http://a:2"),
            ("origin", "a:1"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!from(&[(name, value)]), "{value}");
            assert!(is_from_here(&request("GET", &[(name, value)])));
        }
        assert!(!from(&[("sec-fetch-site", "cross-site"), ("origin", "http://a:1")]));
    }

    #[test]
    fn every_route_has_a_role_and_no_more() {
        let marker = concat!(".route", "(\"");
        let mut routes: Vec<&str> =
            include_str!("mod.rs").split(marker).skip(1).map(|r| r.split('"').next().unwrap()).collect();
        let mut roles: Vec<&str> = ROUTES.iter().map(|(route, _)| *route).collect();
        routes.sort_unstable();
        roles.sort_unstable();
        assert_eq!(routes, roles);
    }
}
