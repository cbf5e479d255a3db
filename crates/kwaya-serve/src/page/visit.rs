//! Somebody who looks at a page: who they are, which language they read, which
//! rooms are open to them, and what their forms are bound to.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Response, header, request::Parts},
};
use kwaya_base::{
    Error,
    languages::{LANGUAGES, Language},
};
use minijinja::{Value, context};

use super::{
    assets,
    form::{self, Form},
    template::{self, plain},
};
use crate::{
    access::Admitted,
    chance,
    fault::Fault,
    service::{Service, text},
    session::Cookie,
    token::Role,
};

/// What is looked at of an address.
const QUERY_BYTES_MAX: usize = 4096;

/// A visit to a page.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) language: &'static Language,
    /// Whose token, or an address.
    pub(super) user: String,
    /// The name of the session.
    pub(super) session: Option<String>,
    role: Option<Role>,
    /// Whether they may see the rooms that their role opens.
    is_in: bool,
    /// What the forms of this page are bound to.
    bound: String,
    /// What every form carries.
    pub(super) csrf: String,
    path: String,
    query: Vec<(String, String)>,
    /// By which name the server was called, with its port.
    host: String,
    cookies: Vec<HeaderValue>,
}

/// A room, as the way to it is shown.
#[derive(serde::Serialize)]
struct Room {
    path: &'static str,
    name: &'static str,
    here: bool,
}

/// A language, as it is offered.
#[derive(serde::Serialize)]
struct Offered {
    tag: &'static str,
    name: &'static str,
    path: String,
}

impl Visit {
    /// `is_in` says whether `who` was let in, and not only to the door.
    pub(crate) fn new(service: &Service, request: &Parts, who: &Admitted, is_in: bool) -> Self {
        let (headers, sessions) = (&request.headers, &service.access.sessions);
        let query = request.uri.query().unwrap_or_default();
        let query = if query.len() <= QUERY_BYTES_MAX { form::pairs(query.as_bytes()) } else { Vec::new() };
        let chosen = query.iter().find(|(name, _)| name == "lang").and_then(|(_, tag)| Language::named(tag));
        let kept = sessions.cookie(headers, Cookie::Language).and_then(Language::named);
        let accept = headers.get(header::ACCEPT_LANGUAGE).and_then(|accept| accept.to_str().ok());
        let language = chosen.or(kept).unwrap_or_else(|| Language::wanted(accept.unwrap_or_default()));
        let mut cookies = Vec::new();
        cookies.extend(chosen.map(|language| sessions.keep(Cookie::Language, Some(language.tag))));
        let bound = match (&who.session, sessions.cookie(headers, Cookie::Visit)) {
            (Some(session), _) => session.clone(),
            (None, Some(visit)) => visit.to_owned(),
            (None, None) => {
                let visit = chance::name();
                cookies.push(sessions.keep(Cookie::Visit, Some(&visit)));
                visit
            }
        };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        Self {
            language,
            user: who.user.clone(),
            session: who.session.clone(),
            role: who.role,
            is_in,
            csrf: sessions.mark(&bound),
            bound,
            // Browsers take `//host` and `/\\host` for addresses of other hosts.
            path: format!("/{}", request.uri.path().trim_start_matches(['/', '\\'])),
            query,
            host: host.map_or_else(|| service.settings.listen.to_string(), str::to_owned),
            cookies,
        }
    }

    /// What the browser is to keep.
    pub(super) fn cookies(&self) -> impl Iterator<Item = &HeaderValue> {
        self.cookies.iter()
    }

    /// Whether they may do what takes `role`.
    pub(super) fn may(&self, role: Role) -> bool {
        self.is_in && self.role.is_none_or(|own| own >= role)
    }

    /// What the address asks for.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The same, where it is a whole number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.asked(name)?.parse().ok()
    }

    /// The address of this page, without the choice of a language.
    pub(super) fn address(&self) -> String {
        self.address_with(None)
    }

    /// The same with `more`, in place of what it says now.
    pub(super) fn address_with(&self, more: Option<(&str, &str)>) -> String {
        let same = |name: &str| name == "lang" || more.is_some_and(|(other, _)| other == name);
        let pairs =
            self.query.iter().filter(|(name, _)| !same(name)).map(|(name, value)| (name.as_str(), value.as_str()));
        let query: Vec<String> =
            pairs.chain(more).map(|(name, value)| format!("{}={}", form::encode(name), form::encode(value))).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }

    /// The address of the server, as it was called.
    pub(super) fn server(&self, service: &Service) -> String {
        let tls = service.settings.tls_certificate.is_some();
        format!("{}://{}", if tls { "https" } else { "http" }, self.host)
    }

    /// What was filled in, from a form of our own.
    ///
    /// # Errors
    /// `serve-form` for what is no form, `serve-mark` for one without our mark.
    pub(super) async fn form(&self, service: &Service, request: Request) -> Result<Form, Fault> {
        let body = service.body(request, "application/x-www-form-urlencoded").await?;
        let form = Form(form::pairs(&body));
        let mark = form.get("csrf").unwrap_or_default();
        if !service.access.sessions.is_mark(&self.bound, mark.as_bytes()) {
            return Err(Error::new("serve-mark").into());
        }
        Ok(form)
    }

    /// A whole page of this room, with the HTML of its `main` part.
    pub(super) fn page(&self, service: &Service, title: &str, main: &str) -> Response<Body> {
        match self.frame(service, title, main, false) {
            Ok(page) => text("text/html; charset=utf-8", page),
            Err(error) => axum::response::IntoResponse::into_response(Fault::from(error)),
        }
    }

    /// The same as text; with `script` it runs ours.
    pub(super) fn frame(&self, service: &Service, title: &str, main: &str, script: bool) -> kwaya_base::Result<String> {
        let path = self.path.as_str();
        let mut rooms = Vec::new();
        let mut room = |is_there: bool, path_of: &'static str, name: &'static str| {
            let inside = path == path_of
                || path.strip_prefix(path_of).is_some_and(|rest| path_of != "/" && rest.starts_with('/'));
            rooms.extend(is_there.then_some(Room { path: path_of, name, here: inside }));
        };
        let built = service.recipe.is_some() && self.may(Role::Build);
        room(self.may(Role::Use), "/", "room-overview");
        room(built, "/data", "room-data");
        room(built, "/training", "room-training");
        room(self.may(Role::Use), "/try", "room-try");
        let offered = LANGUAGES.iter().map(|language| Offered {
            tag: language.tag,
            name: language.name,
            path: self.address_with(Some(("lang", language.tag))),
        });
        template::render(
            self.language,
            "layout.html",
            context! {
                title,
                model => &service.name,
                rooms => plain(&rooms),
                languages => plain(offered.collect::<Vec<_>>()),
                assets => plain(assets::names()),
                script,
                main => Value::from_safe_string(main.to_owned()),
                session => self.session.is_some(),
                user => &self.user,
                csrf => &self.csrf,
                version => env!("CARGO_PKG_VERSION"),
            },
        )
    }
}
