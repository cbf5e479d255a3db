//! Who may use the server: anybody on this computer, or whoever has a token.
//!
//! Tokens are random and shown once; the folder keeps their Argon2 hashes. A
//! token that was found right is remembered by its SHA-256 as long as the
//! server runs, so that not every request takes the time of an Argon2.

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
}

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
        })
    }

    /// The same, now that it is known where it listens.
    pub(crate) fn at(mut self, listen: SocketAddr) -> Self {
        let port = listen.port();
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

    /// In whose name a request comes, if it may do what takes `role`.
    ///
    /// # Errors
    /// `serve-token-missing`, `serve-token-wrong`, `serve-role`,
    /// `serve-rate`; without tokens `serve-host`.
    pub(crate) async fn user(&self, headers: &HeaderMap, peer: Option<IpAddr>, role: Role) -> Result<String> {
        if self.folder.is_none() {
            self.check_host(headers)?;
            return Ok(peer.map(|peer| peer.to_string()).unwrap_or_default());
        }
        let said = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let said = said.ok_or_else(|| Error::new("serve-token-missing"))?;
        let secret = said.strip_prefix(b"Bearer ").or_else(|| said.strip_prefix(b"bearer ")).unwrap_or_default();
        let token = match self.token(secret.trim_ascii(), peer).await? {
            Some(token) => token,
            None => return Err(Error::new("serve-token-wrong")),
        };
        let mut state = self.state();
        let bucket = state.buckets.entry(token.name.clone()).or_insert_with(|| Bucket::full(self.rate));
        if !bucket.take(self.rate) {
            return Err(Error::new("serve-rate").arg("rate", self.rate));
        }
        if token.role < role {
            return Err(Error::new("serve-role").arg("role", token.role.name()).arg("needed", role.name()));
        }
        Ok(token.name.clone())
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
