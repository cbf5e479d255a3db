//! The style, the script and the icon of the pages. Each has the hash of its
//! content in its name, so that a browser need not ask for it twice.

use std::sync::LazyLock;

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderValue, Response, header},
};
use kwaya_base::Error;
use serde::Serialize;

use crate::{fault::Fault, service::text};

const STYLE: &str = concat!(include_str!("../../templates/page.css"), include_str!("../../templates/rooms.css"));
const SCRIPT: &str = include_str!("../../templates/page.js");
const ICON: &str = include_str!("../../templates/icon.svg");

/// For as long as a browser will.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The names of all of them.
#[derive(Serialize)]
pub(super) struct Names {
    style: String,
    script: String,
    icon: String,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let name = |content: &str, end: &str| format!("{}.{end}", &blake3::hash(content.as_bytes()).to_hex()[..16]);
    Names { style: name(STYLE, "css"), script: name(SCRIPT, "js"), icon: name(ICON, "svg") }
});

pub(super) fn names() -> &'static Names {
    &NAMES
}

/// One of them.
pub(super) async fn give(Path(name): Path<String>) -> Result<Response<Body>, Fault> {
    let (kind, content) = match name {
        name if name == NAMES.style => ("text/css; charset=utf-8", STYLE),
        name if name == NAMES.script => ("text/javascript; charset=utf-8", SCRIPT),
        name if name == NAMES.icon => ("image/svg+xml", ICON),
        _ => return Err(Error::new("serve-path").into()),
    };
    Ok(kept(kind, content))
}

/// Browsers ask for it where a page names none.
pub(super) async fn icon() -> Response<Body> {
    kept("image/svg+xml", ICON)
}

fn kept(kind: &'static str, content: &'static str) -> Response<Body> {
    let mut response = text(kind, content);
    response.headers_mut().insert(header::CACHE_CONTROL, FOR_EVER);
    let own = HeaderValue::from_static("same-origin");
    response.headers_mut().insert("cross-origin-resource-policy", own);
    response
}
