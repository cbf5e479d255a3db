//! A model as a service: the API that every client speaks, for those who may
//! use it, within limits that are told.
//!
//! ```text
//! connection → gate (who, may they) → route → engine's queue → answer
//! ```
//!
//! One thread owns the model and writes all answers together (`engine.rs`);
//! another does all that has to do with the network. They share a queue and a
//! channel for each request. A client that goes away drops its end of the
//! channel, and its place is free at the next step.

mod access;
mod answer;
mod api;
mod ask;
mod call;
mod calls;
mod chance;
mod classify;
mod compact;
mod connection;
mod engine;
mod fault;
mod fields;
mod log;
mod metrics;
mod operate;
mod page;
mod queue;
mod reply;
mod request;
mod service;
mod session;
pub mod settings;
mod text;
mod tls;
pub mod token;
mod tools;
mod watch;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kwaya_base::{Error, Result};
use kwaya_recipe::{
    classifier::Classifier,
    machine,
    recipe::RECIPE,
    text_model::{self, TextModel},
};
use serde_json::json;
use tokio::{sync::watch as channel, time};

pub use settings::Settings;

use crate::{
    access::Access,
    ask::Documents,
    engine::{Engine, REST_AFTER, Room},
    log::log,
    metrics::Metrics,
    service::Service,
    watch::Files,
};

/// How often it is looked whether to stop, and whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Threads that make tokens of texts and check tokens. Each keeps words that it
/// has seen, so that fewer take less memory.
const THREADS_BESIDE: usize = 2;
const LOOK_AT_FILES_EVERY: u32 = 10;

/// The folder in which the settings of what is served lie: the folder that was
/// named, or that of the file.
pub fn home(named: &Path) -> &Path {
    if named.is_dir() { named } else { named.parent().unwrap_or(Path::new("")) }
}

/// The folder of the server's own files.
pub fn own_folder(named: &Path) -> PathBuf {
    home(named).join(token::FOLDER)
}

/// Serves the model that is `named` until `stopped` says so, and finishes the
/// answers that are being written then. `started` is told the address and what
/// the model is called.
///
/// # Errors
/// `serve-port` when somebody else listens there; when the model cannot be
/// loaded; `serve-no-tokens`; `serve-engine-lost` when the engine broke.
pub fn serve(
    named: &Path,
    settings: Settings,
    threads: usize,
    stopped: impl Fn() -> bool,
    started: impl FnOnce(&str, &str),
) -> Result<()> {
    let begun = Instant::now();
    let place = text_model::place(named)?;
    let folder = own_folder(named);
    // All that can be wrong is told before the model is read.
    let access = Access::open(&folder, settings.listen, settings.rate)?;
    let tls = tls::acceptor(&settings)?;
    let finder = ask::finder(named, settings.vectors.as_deref())?;
    let mut classifier = settings.classifier.as_deref().map(|path| Classifier::open(path, threads)).transpose()?;
    classifier.iter_mut().for_each(Classifier::let_go_of_files);
    let (listener, listen) = listen(settings.listen)?;
    let access = access.at(listen, tls.is_some());
    let files = Files::of(&place);
    let mut model = TextModel::load(&place, threads)?;
    model.let_go_of_files();
    let model = Arc::new(model);
    let documents = Documents::of(named, finder, (&place, &model), threads)?;
    machine::release_memory();
    let name = settings.name.clone().unwrap_or_else(|| name(named));
    let room = Room {
        answers: settings.answers,
        queue: settings.queue,
        memory: settings.cache_bytes,
        kept: settings.keep_bytes,
    };
    let service = Arc::new(Service {
        engine: Engine::start(Arc::clone(&model), room),
        model,
        classifier,
        classifying: Arc::default(),
        home: home(named).to_owned(),
        recipe: named.join(RECIPE).exists().then(|| named.to_owned()),
        threads,
        documents,
        name: name.clone(),
        started: log::now(),
        metrics: Metrics::default(),
        access,
        settings,
        stopping: AtomicBool::new(false),
        changed: AtomicBool::new(false),
    });
    ask::open(&service);
    let address = format!("{}://{listen}", if tls.is_some() { "https" } else { "http" });
    log(
        "info",
        "listening",
        json!({
            "address": address, "model": name, "context": service.engine.context,
            "milliseconds": begun.elapsed().as_millis() as u64,
        }),
    );
    started(&address, &name);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(THREADS_BESIDE).build();
    let runtime = runtime.map_err(|cause| Error::io(Path::new("tokio"), cause))?;
    let result = runtime.block_on(run(Arc::clone(&service), listener, tls, files, stopped));
    // Threads that still make tokens for nobody are not waited for.
    runtime.shutdown_background();
    log("info", "stopped", json!({}));
    result
}

/// What the model is called where nobody says: its folder, or its file without
/// the ending.
fn name(named: &Path) -> String {
    let whole = named.canonicalize().unwrap_or_else(|_| named.to_owned());
    let name = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    name.map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn listen(at: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(at).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        Ok((listener, at))
    });
    listener.map_err(|cause| {
        let taken = cause.kind() == io::ErrorKind::AddrInUse;
        let key = if taken { Error::usage("serve-port") } else { Error::usage("serve-address") };
        key.arg("listen", at).arg("cause", cause)
    })
}

/// Takes connections until all is finished.
async fn run(
    service: Arc<Service>,
    listener: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    files: Files,
    stopped: impl Fn() -> bool,
) -> Result<()> {
    let listener =
        tokio::net::TcpListener::from_std(listener).map_err(|cause| Error::io(Path::new("socket"), cause))?;
    let router = service::router(&service);
    let (stop, stopping) = channel::channel(false);
    let mut look = time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut looked = 0_u32;
    let mut since: Option<Instant> = None;
    let mut rest = Rest::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (service, router, tls) = (Arc::clone(&service), router.clone(), tls.clone());
                    tokio::spawn(connection::serve(stream, peer, service, router, tls, stopping.clone()));
                }
                Err(cause) => {
                    // Out of file handles, mostly: some will come back.
                    log("error", "accept-failed", json!({ "cause": cause.to_string() }));
                    time::sleep(LOOK_EVERY).await;
                }
            },
            _ = look.tick() => {
                looked = looked.wrapping_add(1);
                if looked.is_multiple_of(LOOK_AT_FILES_EVERY) {
                    look_at_files(&service, &files);
                }
                rest.look(&service);
                if let Some(since) = since {
                    let connections = service.metrics.connections.load(Ordering::Relaxed);
                    let quiet = !service.engine.is_running() && connections == 0;
                    if quiet || since.elapsed() > service.settings.stop_time {
                        return Ok(());
                    }
                } else if stopped() {
                    let writing = service.engine.figures().writing.load(Ordering::Relaxed);
                    log("info", "stopping", json!({ "writing": writing }));
                    service.stopping.store(true, Ordering::Relaxed);
                    service.engine.stop();
                    let _ = stop.send(true);
                    since = Some(Instant::now());
                } else if !service.engine.is_running() {
                    return Err(Error::new("serve-engine-lost"));
                }
            }
        }
    }
}

/// Gives memory back to the system after each time of work.
struct Rest {
    quiet_since: Instant,
    rested: bool,
}

impl Rest {
    fn new() -> Self {
        Self { quiet_since: Instant::now(), rested: true }
    }

    fn look(&mut self, service: &Service) {
        let busy = service.metrics.connections.load(Ordering::Relaxed) > 0
            || service.engine.figures().writing.load(Ordering::Relaxed) > 0;
        if busy {
            (self.quiet_since, self.rested) = (Instant::now(), false);
        } else if !self.rested && self.quiet_since.elapsed() > 2 * REST_AFTER {
            // The engine has let go of its own by now.
            machine::release_memory();
            self.rested = true;
        }
    }
}

fn look_at_files(service: &Arc<Service>, files: &Files) {
    ask::renew(service);
    if files.have_changed() && !service.changed.swap(true, Ordering::Relaxed) {
        log("warning", "model-changed", json!({ "words": Error::new("serve-model-changed").to_string() }));
    }
    if let Err(error) = service.access.renew() {
        log("error", "tokens-failed", json!({ "words": error.to_string() }));
    }
}
