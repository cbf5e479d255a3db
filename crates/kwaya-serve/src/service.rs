//! What the server is, and the way of every request through it: who asks,
//! whether they may, the answer, and what is written down of it.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Response, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::IntoResponse,
};
use http_body_util::{BodyExt, Limited};
use kwaya_base::{Error, Result};
use kwaya_classify::Classifier;
use kwaya_recipe::text_model::TextModel;
use serde_json::{Value, json};

use crate::{
    access::Access,
    ask::Documents,
    engine::Engine,
    fault::{Cause, Fault},
    log::log,
    metrics::Metrics,
    settings::Settings,
    token::Role,
};

/// Bytes that are read of a body that is too large, so that whoever sends it
/// comes to read the answer, and for how long.
const REST_BYTES_MAX: usize = 64 << 20;
const REST_TIME_MAX: Duration = Duration::from_secs(10);

/// All that requests share.
pub(crate) struct Service {
    pub(crate) model: Arc<TextModel>,
    pub(crate) classifier: Option<Classifier>,
    pub(crate) documents: Documents,
    /// What the model is called.
    pub(crate) name: String,
    /// Seconds since 1970.
    pub(crate) started: u64,
    pub(crate) engine: Engine,
    pub(crate) metrics: Metrics,
    pub(crate) access: Access,
    pub(crate) settings: Settings,
    pub(crate) stopping: AtomicBool,
    /// Whether the files of the model are no longer those that were read.
    pub(crate) changed: AtomicBool,
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who asks: the name of a token, or an address.
#[derive(Clone)]
pub(crate) struct User(pub(crate) String);

/// All routes. More rooms of the house merge theirs here.
pub(crate) fn router(service: &Arc<Service>) -> Router {
    Router::new()
        .merge(crate::operate::routes())
        .merge(crate::api::routes())
        .merge(crate::classify::routes())
        .merge(crate::ask::routes())
        .fallback(|| async { Fault::from(Error::new("serve-path")) })
        .method_not_allowed_fallback(|| async { Fault::from(Error::new("serve-method")) })
        .with_state(Arc::clone(service))
        .layer(middleware::from_fn_with_state(Arc::clone(service), gate))
}

/// What a path asks of whoever wants to use it; `None` for nothing.
fn role(path: &str) -> Option<Role> {
    match path {
        "/healthz" | "/readyz" | "/openapi.json" => None,
        "/metrics" => Some(Role::Administer),
        _ => Some(Role::Use),
    }
}

/// Every request goes through here, and every answer.
async fn gate(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let (mut parts, body) = request.into_parts();
    let method = parts.method.clone();
    let route = parts.extensions.get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let (user, mut response) = match service.admit(&parts, peer).await {
        Ok(user) => {
            parts.extensions.insert(User(user.clone()));
            (user, next.run(Request::from_parts(parts, body)).await)
        }
        Err(fault) => (peer.map(|peer| peer.to_string()).unwrap_or_default(), fault.into_response()),
    };
    guard(&mut response);
    let (status, time) = (response.status().as_u16(), begun.elapsed());
    service.metrics.request(&route, status, time);
    let cause = response.extensions().get::<Cause>().cloned();
    let level = if response.status().is_server_error() { "warning" } else { "info" };
    // A probe every second would bury the rest.
    if cause.is_some() || !["/healthz", "/readyz", "/metrics"].contains(&route.as_str()) {
        log(
            level,
            "request",
            json!({
                "method": method.as_str(), "route": route, "status": status, "user": user,
                "milliseconds": time.as_micros() as f64 / 1e3,
                "cause": cause.as_ref().map(|cause| cause.0), "words": cause.as_ref().map(|cause| &*cause.1),
            }),
        );
    }
    service.access.note(&user, &method, &route, status);
    response
}

impl Service {
    /// Whether a request may go on, and in whose name.
    async fn admit(&self, request: &Parts, peer: Option<IpAddr>) -> Result<String, Fault> {
        let (path, headers) = (request.uri.path(), &request.headers);
        let Some(role) = role(path) else { return Ok(peer.map(|peer| peer.to_string()).unwrap_or_default()) };
        let user = self.access.user(headers, peer, role).await?;
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Error::new("serve-stopping").into());
        }
        Ok(user)
    }

    /// The body of a request, if it is JSON, comes in time and is not too
    /// large.
    pub(crate) async fn body(&self, request: Request) -> Result<Bytes, Fault> {
        // A form on any web page may send text to this address, but not this.
        let json = |value: &HeaderValue| {
            let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            kind.eq_ignore_ascii_case(b"application/json")
        };
        if !request.headers().get(header::CONTENT_TYPE).is_some_and(json) {
            return Err(Error::new("serve-content-type").into());
        }
        let most = self.settings.body_bytes;
        let large = || Fault::from(Error::new("serve-body-large").arg("bytes", most));
        let said = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let mut body = request.into_body();
        if said.is_some_and(|length: u64| length > most as u64) {
            read_away(body);
            return Err(large());
        }
        let whole = Limited::new(&mut body, most).collect();
        match tokio::time::timeout(self.settings.body_time, whole).await {
            Err(_) => Err(Error::new("serve-body-slow").arg("seconds", self.settings.body_time.as_secs()).into()),
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(cause)) if cause.is::<http_body_util::LengthLimitError>() => {
                read_away(body);
                Err(large())
            }
            Ok(Err(_)) => Err(Error::new("serve-body-lost").into()),
        }
    }
}

/// Reads on for a while beside the answer: a connection that is closed while
/// data comes in loses what was sent on it.
fn read_away(body: Body) {
    let rest = async move {
        let _ = Limited::new(body, REST_BYTES_MAX).collect().await;
    };
    tokio::spawn(tokio::time::timeout(REST_TIME_MAX, rest));
}

/// What browsers are told with every answer: to run nothing, keep nothing, and
/// show it in no other page.
fn guard(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        // A page may have a policy of its own.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// An answer of JSON.
pub(crate) fn reply(value: &Value) -> Response<Body> {
    text("application/json", value.to_string())
}

/// An answer of any text.
pub(crate) fn text(kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
