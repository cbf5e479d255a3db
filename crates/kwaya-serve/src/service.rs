//! What the server is, and the way of every request through it: who asks,
//! whether they may, the answer, and what is written down of it.

use std::{
    net::IpAddr,
    path::PathBuf,
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
use kwaya_recipe::{classifier::Classifier, text_model::TextModel};
use serde_json::{Value, json};

use crate::{
    access::{Access, Admitted},
    ask::Documents,
    engine::Engine,
    fault::{Cause, Fault},
    log::log,
    metrics::Metrics,
    page::{self, Visit},
    settings::Settings,
    token::Role,
};

/// Bytes that are read of a body that is too large, so that whoever sends it
/// comes to read the answer, and for how long.
const REST_BYTES_MAX: usize = 64 << 20;
const REST_TIME_MAX: Duration = Duration::from_secs(10);

/// What a body has to say that it is: a form on any web page may send text to
/// this address, but not JSON; a form of our own has a mark.
pub(crate) const JSON: &str = "application/json";

/// All that requests share.
pub(crate) struct Service {
    pub(crate) model: Arc<TextModel>,
    pub(crate) classifier: Option<Classifier>,
    /// Held while a language model classifies the texts of a request.
    pub(crate) classifying: Arc<tokio::sync::Mutex<()>>,
    /// The folder that is served, or that of the file.
    pub(crate) home: PathBuf,
    /// The same, if it has a recipe: then pages tell of its build.
    pub(crate) recipe: Option<PathBuf>,
    /// Threads that the model is computed with.
    pub(crate) threads: usize,
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
        .merge(page::routes())
        .merge(crate::ask::routes())
        .fallback(|| async { Fault::from(Error::new("serve-path")) })
        .method_not_allowed_fallback(|| async { Fault::from(Error::new("serve-method")) })
        .with_state(Arc::clone(service))
        .layer(middleware::from_fn_with_state(Arc::clone(service), gate))
}

/// What a route asks of whoever wants to use it; `None` for nothing.
fn role(route: &str) -> Option<Role> {
    match route {
        "/healthz" | "/readyz" | "/openapi.json" => None,
        "/metrics" => Some(Role::Administer),
        _ => page::role(route).unwrap_or(Some(Role::Use)),
    }
}

/// Every request goes through here, and every answer.
async fn gate(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let (mut parts, body) = request.into_parts();
    let method = parts.method.clone();
    let route = parts.extensions.get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let is_page = page::is_for_people(&route, &parts);
    let admitted = service.admit(&parts, &route, is_page, peer).await;
    let who = admitted.as_ref().cloned().unwrap_or_else(|_| service.access.known(&parts.headers, peer));
    // The door is open to all, the rooms are not.
    let is_in = (admitted.is_ok() && role(&route).is_some()) || who.session.is_some();
    let visit = is_page.then(|| Visit::new(&service, &parts, &who, is_in));
    let mut response = match admitted {
        Ok(admitted) => {
            parts.extensions.insert(User(admitted.user));
            if let Some(visit) = &visit {
                parts.extensions.insert(visit.clone());
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(fault) => fault.into_response(),
    };
    let cause = response.extensions().get::<Cause>().map(|cause| Arc::clone(&cause.0));
    if let Some(visit) = &visit {
        response = page::finish(&service, visit, response);
    }
    guard(&mut response);
    let user = response.extensions().get::<User>().map_or(who.user, |user| user.0.clone());
    let (status, time) = (response.status().as_u16(), begun.elapsed());
    service.metrics.request(&route, status, time);
    let level = if response.status().is_server_error() { "warning" } else { "info" };
    // A probe every second would bury the rest.
    if cause.is_some() || !["/healthz", "/readyz", "/metrics"].contains(&route.as_str()) {
        log(
            level,
            "request",
            json!({
                "method": method.as_str(), "route": route, "status": status, "user": user,
                "milliseconds": time.as_micros() as f64 / 1e3,
                "cause": cause.as_ref().map(|cause| cause.key()), "words": cause.as_ref().map(|cause| cause.to_string()),
            }),
        );
    }
    service.access.note(&user, &method, &route, status);
    response
}

impl Service {
    /// Whether a request may go on, and in whose name.
    async fn admit(
        &self,
        request: &Parts,
        route: &str,
        is_page: bool,
        peer: Option<IpAddr>,
    ) -> Result<Admitted, Fault> {
        if is_page && !page::is_from_here(request) {
            return Err(Error::new("serve-mark").into());
        }
        let Some(role) = role(route) else { return Ok(self.access.known(&request.headers, peer)) };
        let admitted = self.access.user(&request.headers, peer, role, is_page).await?;
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Error::new("serve-stopping").into());
        }
        Ok(admitted)
    }

    /// The body of a request, if it is of this kind, comes in time and is not
    /// too large.
    pub(crate) async fn body(&self, request: Request, kind: &str) -> Result<Bytes, Fault> {
        let is_of_kind = |value: &HeaderValue| {
            let said = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            said.eq_ignore_ascii_case(kind.as_bytes())
        };
        if !request.headers().get(header::CONTENT_TYPE).is_some_and(is_of_kind) {
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
