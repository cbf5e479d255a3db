//! Who may use the server: anybody on this computer, or whoever has a token.
//!
//! Tokens are random and shown once; the folder keeps their Argon2 hashes. A
//! token that was found right is remembered by its SHA-256 as long as the
//! server runs, so that not every request takes the time of an Argon2. Whoever
//! signed in at the pages has a session instead (`session.rs`).

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use axum::http::{HeaderMap, Method, header};
use kwaya_base::{Error, Result, error::At};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    log,
    session::{Cookie, Sessions},
    token::{self, Role, Token},
};

/// Wrong tokens from one address in a minute.
const WRONG_PER_MINUTE: u32 = 10;
/// Addresses with wrong tokens that are remembered.
const ADDRESSES_MAX: usize = 4096;
/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 256;

/// Who may do what.
pub(crate) struct Access {
    /// Where tokens and what was done are kept, if a token is asked for.
    folder: Option<PathBuf>,
    /// The names by which this computer may be called where none is.
    hosts: Vec<String>,
    rate: u32,
    state: Mutex<State>,
    /// One Argon2 at a time: each takes memory and a core.
    checking: tokio::sync::Mutex<()>,
    pub(crate) sessions: Sessions,
}

/// Who may go on.
#[derive(Clone)]
pub(crate) struct Admitted {
    /// The name of the token, or the address.
    pub(crate) user: String,
    /// What they may do; none where no tokens are asked for, and all may do all.
    pub(crate) role: Option<Role>,
    /// The name of their session.
    pub(crate) session: Option<String>,
}

impl Admitted {
    /// Anybody, from an address.
    fn anybody(peer: Option<IpAddr>) -> Self {
        Self { user: peer.map(|peer| peer.to_string()).unwrap_or_default(), role: None, session: None }
    }
}

/// The header in which a script of our own pages shows the mark of a form.
pub(crate) const MARK_HEADER: &str = "x-csrf-token";

#[derive(Default)]
struct State {
    tokens: Vec<Arc<Token>>,
    /// By the SHA-256 of the whole token.
    known: BTreeMap<[u8; 32], Arc<Token>>,
    buckets: BTreeMap<String, Bucket>,
    wrong: BTreeMap<IpAddr, Bucket>,
    audit: Option<File>,
}

/// What may be used of a rate: full at first, filled again as time goes by.
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: u32) -> Self {
        Self { left: f64::from(rate), at: Instant::now() }
    }

    fn take(&mut self, rate: u32) -> bool {
        let rate = f64::from(rate);
        self.left = (self.left + self.at.elapsed().as_secs_f64() * rate / 60.0).min(rate);
        self.at = Instant::now();
        let enough = self.left >= 1.0;
        self.left -= if enough { 1.0 } else { 0.0 };
        enough
    }
}

impl Access {
    /// Access to a server that listens at `listen` and keeps its tokens in
    /// `folder`. Tokens are asked for where there are some, and beyond this
    /// computer always.
    ///
    /// # Errors
    /// `serve-no-tokens` when there have to be tokens and are none.
    pub(crate) fn open(folder: &Path, listen: SocketAddr, rate: u32) -> Result<Self> {
        let tokens = token::read(folder)?;
        if tokens.is_empty() && !listen.ip().is_loopback() {
            return Err(Error::usage("serve-no-tokens").arg("listen", listen).path(folder));
        }
        let asked = !tokens.is_empty();
        let audit = if asked { Some(audit(folder)?) } else { None };
        let tokens = tokens.into_iter().map(Arc::new).collect();
        Ok(Self {
            folder: asked.then(|| folder.to_owned()),
            hosts: Vec::new(),
            rate,
            state: Mutex::new(State { tokens, audit, ..State::default() }),
            checking: tokio::sync::Mutex::new(()),
            sessions: Sessions::new(0, false),
        })
    }

    /// The same, now that it is known where it listens, and whether with TLS.
    pub(crate) fn at(mut self, listen: SocketAddr, tls: bool) -> Self {
        let port = listen.port();
        self.sessions = Sessions::new(port, tls);
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned(), listen.ip().to_string()];
        self.hosts = names.into_iter().flat_map(|name| [format!("{name}:{port}"), name]).collect();
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding this")
    }

    /// Reads the tokens again: some may have been added or taken away.
    ///
    /// # Errors
    /// When the file cannot be read; the tokens are then those of before.
    pub(crate) fn renew(&self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let read = token::read(folder)?;
        let mut state = self.state();
        if state.tokens.iter().map(|token| &**token).ne(&read) {
            state.tokens = read.into_iter().map(Arc::new).collect();
            state.known.clear();
        }
        Ok(())
    }

    /// In whose name a request comes, if it may do what takes `role`. Where
    /// only a program asks, as a page does not, a session counts with the
    /// mark of its forms alone.
    ///
    /// # Errors
    /// `serve-token-missing`, `serve-token-wrong`, `serve-role`, `serve-rate`,
    /// `serve-mark`; without tokens `serve-host`.
    pub(crate) async fn user(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
        role: Role,
        page: bool,
    ) -> Result<Admitted> {
        if self.folder.is_none() {
            self.check_host(headers)?;
            return Ok(Admitted::anybody(peer));
        }
        let said = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let (token, session) = match said {
            Some(said) => {
                let secret = said.strip_prefix(b"Bearer ").or_else(|| said.strip_prefix(b"bearer "));
                let token = self.token(secret.unwrap_or_default().trim_ascii(), peer).await?;
                (token.ok_or_else(|| Error::new("serve-token-wrong"))?, None)
            }
            None => {
                let name = self.sessions.cookie(headers, Cookie::Session);
                let found = name.and_then(|name| Some((self.signed_in(name)?, name)));
                let (token, name) = found.ok_or_else(|| Error::new("serve-token-missing"))?;
                let mark = headers.get(MARK_HEADER).map(|mark| mark.as_bytes()).unwrap_or_default();
                if !page && !self.sessions.is_mark(name, mark) {
                    return Err(Error::new("serve-mark"));
                }
                (token, Some(name.to_owned()))
            }
        };
        self.take(&token)?;
        if token.role < role {
            return Err(Error::new("serve-role").arg("role", token.role.name()).arg("needed", role.name()));
        }
        Ok(Admitted { user: token.name.clone(), role: Some(token.role), session })
    }

    /// The token of a session, if it was not taken away meanwhile.
    fn signed_in(&self, session: &str) -> Option<Arc<Token>> {
        let token = self.sessions.token(session)?;
        self.state().tokens.iter().any(|known| **known == *token).then_some(token)
    }

    /// Takes one request from what a token may ask in a minute.
    fn take(&self, token: &Token) -> Result<()> {
        let mut state = self.state();
        let bucket = state.buckets.entry(token.name.clone()).or_insert_with(|| Bucket::full(self.rate));
        if bucket.take(self.rate) { Ok(()) } else { Err(Error::new("serve-rate").arg("rate", self.rate)) }
    }

    /// Who has come as far as the door: whoever is signed in, or anybody.
    pub(crate) fn known(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Admitted {
        let name = self.sessions.cookie(headers, Cookie::Session);
        let found = name.and_then(|name| Some((self.signed_in(name)?, name)));
        match found {
            Some((token, name)) => {
                Admitted { user: token.name.clone(), role: Some(token.role), session: Some(name.to_owned()) }
            }
            None => Admitted::anybody(peer),
        }
    }

    /// Whether tokens are asked for.
    pub(crate) fn asks(&self) -> bool {
        self.folder.is_some()
    }

    /// Opens a session for whoever has this token: its name, and whose it is.
    ///
    /// # Errors
    /// `serve-token-wrong` and `serve-rate`.
    pub(crate) async fn sign_in(&self, secret: &str, peer: Option<IpAddr>) -> Result<(String, String)> {
        let token = self.token(secret.trim().as_bytes(), peer).await?;
        let token = token.ok_or_else(|| Error::new("serve-token-wrong"))?;
        self.take(&token)?;
        let user = token.name.clone();
        Ok((self.sessions.begin(token), user))
    }

    /// A page of another host may have had its name turned to this address;
    /// its browser still says the name.
    fn check_host(&self, headers: &HeaderMap) -> Result<()> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let known = self.hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
        known
            .then_some(())
            .ok_or_else(|| Error::new("serve-host").arg("host", host.chars().take(80).collect::<String>()))
    }

    async fn token(&self, secret: &[u8], peer: Option<IpAddr>) -> Result<Option<Arc<Token>>> {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        if let Some(token) = self.state().known.get(&digest) {
            return Ok(Some(Arc::clone(token)));
        }
        // Whoever guesses is made to wait, and takes no more than a core.
        if let Some(peer) = peer {
            let mut state = self.state();
            if state.wrong.len() >= ADDRESSES_MAX {
                state.wrong.clear();
            }
            if !state.wrong.entry(peer).or_insert_with(|| Bucket::full(WRONG_PER_MINUTE)).take(WRONG_PER_MINUTE) {
                return Err(Error::new("serve-rate").arg("rate", WRONG_PER_MINUTE));
            }
        }
        let secret = match std::str::from_utf8(secret) {
            Ok(secret) if secret.len() <= TOKEN_BYTES_MAX => secret.to_owned(),
            _ => return Ok(None),
        };
        let id = token::id(&secret).map(str::to_owned);
        let found = self.state().tokens.iter().find(|token| Some(&token.id) == id.as_ref()).cloned();
        let Some(token) = found else { return Ok(None) };
        let _one = self.checking.lock().await;
        // Another request with it may have been first.
        if self.state().known.contains_key(&digest) {
            return Ok(Some(token));
        }
        let of_check = Arc::clone(&token);
        let right = tokio::task::spawn_blocking(move || of_check.is(&secret)).await.unwrap_or(false);
        if !right {
            return Ok(None);
        }
        let mut state = self.state();
        if let Some(peer) = peer {
            state.wrong.remove(&peer);
        }
        state.known.insert(digest, Arc::clone(&token));
        Ok(Some(token))
    }

    /// Writes down who did what and when, where tokens are asked for.
    pub(crate) fn note(&self, user: &str, method: &Method, route: &str, status: u16) {
        let mut state = self.state();
        let Some(file) = &mut state.audit else { return };
        let what = format!("{method} {route}");
        let line = json!({ "when": log::time(), "who": user, "what": what, "status": status });
        if let Err(cause) = file.write_all(format!("{line}\n").as_bytes()) {
            log::log("error", "audit-failed", json!({ "cause": cause.to_string() }));
        }
    }
}

/// The file of what was done; it is only ever added to.
fn audit(folder: &Path) -> Result<File> {
    let path = folder.join("audit.jsonl");
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).at(&path)
}
