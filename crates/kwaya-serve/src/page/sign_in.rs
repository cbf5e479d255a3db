//! The door: a token opens a session, and its end shuts it.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode, header},
};
use kwaya_base::Result;
use minijinja::context;

use super::{Visit, go_to, template};
use crate::{
    fault::Fault,
    service::{Peer, Service, User},
    session::Cookie,
};

/// The page of the door, from which one comes to `then`.
pub(super) fn page(service: &Service, visit: &Visit, then: &str, wrong: bool) -> Result<Response<Body>> {
    let main = template::render(visit.language, "sign_in.html", context! { csrf => &visit.csrf, then, wrong })?;
    Ok(visit.page(service, &visit.language.text("sign-in", &[]), &main))
}

/// An address of this server and of no other: browsers take `//host` and
/// `/\host` for addresses of other hosts.
fn inside(then: &str) -> &str {
    let plain = then.starts_with('/') && !then[1..].starts_with(['/', '\\']) && !then.contains(char::is_control);
    if plain && !then.starts_with("/sign-") { then } else { "/" }
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    // Where no tokens are asked for there is no door.
    if !service.access.asks() {
        return Ok(go_to("/"));
    }
    Ok(page(&service, &visit, "/", false)?)
}

pub(super) async fn open(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let peer: Option<IpAddr> = request.extensions().get::<Peer>().map(|peer| peer.0);
    let form = visit.form(&service, request).await?;
    let then = inside(form.get("then").unwrap_or("/"));
    match service.access.sign_in(form.get("token").unwrap_or_default(), peer).await {
        Ok((session, user)) => {
            let mut response = go_to(then);
            let kept = service.access.sessions.keep(Cookie::Session, Some(&session));
            response.headers_mut().append(header::SET_COOKIE, kept);
            response.extensions_mut().insert(User(user));
            Ok(response)
        }
        Err(error) if error.key() == "serve-token-wrong" => {
            let mut response = page(&service, &visit, then, true)?;
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn close(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    visit.form(&service, request).await?;
    visit.session.iter().for_each(|session| service.access.sessions.end(session));
    let mut response = go_to("/");
    let forget = service.access.sessions.keep(Cookie::Session, None);
    response.headers_mut().append(header::SET_COOKIE, forget);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_host() {
        for good in ["/", "/data", "/data/documents?language=sw&page=2", "/documents/ab?from=1&to=2"] {
            assert_eq!(inside(good), good);
        }
        for bad in ["", "//evil.example", "/\\evil.example", "https://evil.example", "data", "/a\r\nb: c", "/sign-out"]
        {
            assert_eq!(inside(bad), "/", "{bad}");
        }
    }
}
