//! Who is signed in at the pages: sessions in memory, known by a random name
//! in a cookie, and marks by which a form shows that it came from a page of
//! this server.
//!
//! A mark is a keyed hash of what it is bound to: the session, or where there
//! is none a random name in a cookie of its own. A page of another site can
//! send our cookies, but can neither read nor make their mark.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::{chance, token::Token};

/// After which one has to sign in again: a day of work.
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// Sessions of one token, and of all.
const OF_TOKEN_MAX: usize = 20;
const SESSIONS_MAX: usize = 1000;
/// Digits of a name.
const NAME_DIGITS: usize = 32;

/// All sessions.
pub(crate) struct Sessions {
    key: [u8; 32],
    /// Ends the names of the cookies: another server on this computer has
    /// another port and the same cookies.
    port: u16,
    /// Whether cookies may be sent over TLS alone.
    tls: bool,
    open: Mutex<Vec<Session>>,
}

struct Session {
    /// SHA-256 of its name, so that how long a search takes tells nothing.
    digest: [u8; 32],
    token: Arc<Token>,
    until: Instant,
}

/// What the cookies of this server are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Who is signed in.
    Session,
    /// What the forms of somebody who is not are bound to.
    Visit,
    /// The language that was chosen.
    Language,
}

impl Sessions {
    pub(crate) fn new(port: u16, tls: bool) -> Self {
        let mut key = [0; 32];
        key.chunks_mut(8).for_each(|part| part.copy_from_slice(&chance::number().to_le_bytes()));
        Self { key, port, tls, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Session>> {
        self.open.lock().expect("nobody panics holding this")
    }

    /// Opens a session of `token` and gives its name. The oldest of too many
    /// ends.
    pub(crate) fn begin(&self, token: Arc<Token>) -> String {
        let (name, now) = (chance::name(), Instant::now());
        let mut open = self.open();
        open.retain(|session| session.until > now);
        let of_token = open.iter().filter(|session| session.token.id == token.id).count();
        let oldest = match (of_token >= OF_TOKEN_MAX, open.len() >= SESSIONS_MAX) {
            (true, _) => open.iter().position(|session| session.token.id == token.id),
            (false, true) => Some(0),
            _ => None,
        };
        // They stand in the order in which they began.
        oldest.map(|at| open.remove(at));
        open.push(Session { digest: digest(&name), token, until: now + LIFE });
        name
    }

    /// The token of the session with this name.
    pub(crate) fn token(&self, name: &str) -> Option<Arc<Token>> {
        let (digest, now) = (digest(name), Instant::now());
        let open = self.open();
        let session = open.iter().find(|session| session.digest == digest && session.until > now)?;
        Some(Arc::clone(&session.token))
    }

    pub(crate) fn end(&self, name: &str) {
        let digest = digest(name);
        self.open().retain(|session| session.digest != digest);
    }

    /// What a form that is bound to `name` carries.
    pub(crate) fn mark(&self, name: &str) -> String {
        blake3::keyed_hash(&self.key, name.as_bytes()).to_hex()[..NAME_DIGITS].to_owned()
    }

    /// Whether `said` is the mark of `name`. Takes the same time for each.
    pub(crate) fn is_mark(&self, name: &str, said: &[u8]) -> bool {
        let mark = self.mark(name);
        let differs = mark.bytes().zip(said).fold(0, |differs, (one, other)| differs | (one ^ other));
        mark.len() == said.len() && differs == 0
    }

    fn name_of(&self, cookie: Cookie) -> String {
        let name = match cookie {
            Cookie::Session => "session",
            Cookie::Visit => "visit",
            Cookie::Language => "language",
        };
        // With this prefix a browser takes a cookie from this very host alone.
        format!("{}kwaya-{name}-{}", if self.tls { "__Host-" } else { "" }, self.port)
    }

    /// What a browser has as `cookie`.
    pub(crate) fn cookie<'h>(&self, headers: &'h HeaderMap, cookie: Cookie) -> Option<&'h str> {
        let name = self.name_of(cookie);
        let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let value = pairs.find(|(key, _)| *key == name)?.1;
        let plain = |value: &str| value.len() == NAME_DIGITS && value.bytes().all(|b| b.is_ascii_hexdigit());
        (cookie == Cookie::Language || plain(value)).then_some(value)
    }

    /// Makes a browser keep `value`, which is letters and digits, as `cookie`;
    /// none lets it forget.
    pub(crate) fn keep(&self, cookie: Cookie, value: Option<&str>) -> HeaderValue {
        let secure = if self.tls { "; Secure" } else { "" };
        let age = match (value, cookie) {
            (None, _) => "; Max-Age=0".to_owned(),
            (_, Cookie::Session) => format!("; Max-Age={}", LIFE.as_secs()),
            // Until the browser is closed.
            (_, Cookie::Visit) => String::new(),
            (_, Cookie::Language) => "; Max-Age=31536000".to_owned(),
        };
        let (name, value) = (self.name_of(cookie), value.unwrap_or_default());
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
        HeaderValue::from_str(&text).expect("letters, digits and signs of ASCII")
    }
}

fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{self, Role};

    fn headers(cookies: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookies).unwrap())])
    }

    #[test]
    fn sessions_are_bounded_and_end() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["asha", "juma"] {
            token::add(folder.path(), name, Role::Use).unwrap();
        }
        let tokens: Vec<Arc<Token>> = token::read(folder.path()).unwrap().into_iter().map(Arc::new).collect();
        let sessions = Sessions::new(8080, false);
        let other = sessions.begin(Arc::clone(&tokens[1]));
        let names: Vec<String> = (0..OF_TOKEN_MAX + 1).map(|_| sessions.begin(Arc::clone(&tokens[0]))).collect();
        assert!(sessions.token(&names[0]).is_none() && sessions.token(&names[1]).unwrap().name == "asha");
        assert_eq!(sessions.token(&other).unwrap().name, "juma");
        sessions.end(&other);
        assert!(sessions.token(&other).is_none() && sessions.token("").is_none());
        sessions.open().iter_mut().for_each(|session| session.until = Instant::now());
        assert!(sessions.token(&names[5]).is_none());
    }

    #[test]
    fn a_mark_is_of_one_name_and_one_server() {
        let (sessions, others) = (Sessions::new(1, false), Sessions::new(1, false));
        let mark = sessions.mark("a");
        assert!(sessions.is_mark("a", mark.as_bytes()));
        assert!(!sessions.is_mark("b", mark.as_bytes()) && !others.is_mark("a", mark.as_bytes()));
        assert!(!sessions.is_mark("a", &mark.as_bytes()[1..]) && !sessions.is_mark("a", b""));
    }

    #[test]
    fn cookies_are_found_by_their_whole_names() {
        let name = chance::name();
        let sessions = Sessions::new(8080, false);
        let found = |cookies: &str| sessions.cookie(&headers(cookies), Cookie::Session).map(str::to_owned);
        assert_eq!(found(&format!("a=b; kwaya-session-8080={name}; c=d")), Some(name.clone()));
        assert_eq!(found(&format!("kwaya-session-80={name}")), None);
        assert_eq!(found("kwaya-session-8080=; kwaya-session-8080=%00"), None);
        let kept = Sessions::new(443, true).keep(Cookie::Session, Some(&name));
        let kept = kept.to_str().unwrap();
        for part in ["__Host-kwaya-session-443=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(kept.contains(part), "{kept}");
        }
    }
}
