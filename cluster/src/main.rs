//! `kwaya-cluster`: the corpus of a recipe on several machines. It is a program of
//! its own because the engine below it, Apache DataFusion Ballista, takes longer to
//! build than all of Kwaya.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0
//! done, 1 failed, 2 wrong use.

mod arguments;
mod coordinator;
mod places;
mod processes;
mod queries;
mod tickets;
mod watch;
mod work;

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use clap::ArgMatches;
use kwaya_base::{Error, Result, error::At, error::Kind, say};
use kwaya_recipe::{
    build::{self, Context, Hands, Nobody},
    machine,
    recipe::{Recipe, is_address},
    together::Alone,
    words,
};
use kwaya_text::corpus::Stats;
use url::Url;

use crate::{
    coordinator::{Coordinator, Crew},
    places::Place,
    watch::note,
};

/// Where a scheduler listens when its address does not say it.
pub(crate) const PORT: u16 = 50050;
/// What a corpus is made of.
const TABLES: [&str; 2] = ["documents.parquet", "dropped.parquet"];

fn main() -> ExitCode {
    let matches = match arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(refusal) => {
            // Whoever asked may read no further.
            let _ = refusal.print();
            return ExitCode::from(if refusal.use_stderr() { 2 } else { 0 });
        }
    };
    watch::listen();
    match run(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(report(&error, matches.get_flag("json"))),
    }
}

fn run(matches: &ArgMatches) -> Result<()> {
    match matches.subcommand().expect("a command is required") {
        ("scheduler", m) => {
            let address = address(m)?;
            note(&say!("cluster-scheduler-runs", address = address));
            processes::scheduler(address)
        }
        ("executor", m) => {
            let (scheduler, address) = (scheduler(m)?, address(m)?);
            let threads = machine::threads(m.get_one::<u64>("threads").map(|threads| *threads as usize));
            note(&say!("cluster-executor-runs", address = address, scheduler = scheduler, threads = threads));
            processes::executor(&scheduler, address, m.get_one("host").cloned(), threads)
        }
        ("corpus", m) => corpus(m, matches.get_flag("json")),
        ("extract-worker", _) => kwaya_text::extract::worker_main(io::stdin().lock(), io::stdout().lock()),
        (other, _) => unreachable!("clap knows no command {other}"),
    }
}

fn text<'a>(m: &'a ArgMatches, name: &str) -> Option<&'a String> {
    m.get_one::<String>(name)
}

fn address(m: &ArgMatches) -> Result<SocketAddr> {
    let address = text(m, "listen").expect("has a default");
    address.parse().map_err(|cause| Error::usage("cluster-address").arg("address", address).arg("cause", cause))
}

fn scheduler(m: &ArgMatches) -> Result<Url> {
    let address = text(m, "scheduler").expect("is required");
    let wrong = |cause: &str| Error::usage("cluster-address").arg("address", address).arg("cause", cause);
    let url = Url::parse(address).map_err(|cause| wrong(&cause.to_string()))?;
    if url.host_str().is_some() { Ok(url) } else { Err(wrong("no host")) }
}

/// The corpus of a recipe, on the cluster.
fn corpus(m: &ArgMatches, json: bool) -> Result<()> {
    let began = Instant::now();
    let dir = Path::new(text(m, "dir").expect("is required"));
    let folder = dir.canonicalize().at(dir)?;
    // Not below it, as that is passed over when documents are listed.
    let work = text(m, "work").cloned().unwrap_or_else(|| folder.join("build/cluster").display().to_string());
    let share_bytes = m.get_one::<u64>("share").expect("has a default") << 20;
    let elsewhere = Recipe::read(&folder)?.source.iter().any(|source| is_address(&source.path));
    let threads = machine::threads(None);
    let crew = match text(m, "scheduler") {
        Some(_) => Some(Crew::Executors(scheduler(m)?)),
        // What is in a store is brought here share by share.
        None => elsewhere.then_some(Crew::Threads(threads)),
    };
    let coordinator = crew.map(|crew| Coordinator::new(&folder, crew, work, share_bytes)).transpose()?;
    stop_on_signal();
    let progress = watch::Lines::default();
    let context = Context {
        folder: &folder,
        threads,
        training_threads: 1,
        ranks: &Alone,
        worker: work::worker()?,
        progress: &progress,
        checkpoint_every: Duration::MAX,
        memory: None,
    };
    let hands = coordinator.as_ref().map_or(&Nobody as &dyn Hands, |coordinator| coordinator as &dyn Hands);
    let done = build::corpus(&context, hands)?;
    let written = folder.join("build/corpus");
    if let Some(out) = text(m, "out") {
        let place = Place::open(out)?;
        for name in TABLES {
            place.put_file(name, |to| fs::copy(written.join(name), to).map(|_| ()).at(to))?;
        }
    }
    let costs = coordinator.as_ref().map(Coordinator::costs).unwrap_or_default();
    if json {
        let all = serde_json::json!({
            "corpus": done, "cluster": costs, "phases": progress.took(), "seconds": began.elapsed().as_secs_f64()
        });
        return print(&all.to_string());
    }
    let stats: Stats = serde_json::from_value(done.figures.clone())
        .map_err(|cause| Error::new("ledger-figures").arg("cause", cause))?;
    let executors: f64 = costs.values().map(|cost| cost.executor_seconds).sum();
    print(&say!(
        "cluster-done",
        documents = words::count(stats.documents),
        text = words::bytes(stats.bytes),
        folder = written.display(),
        time = words::duration(began.elapsed().as_secs_f64()),
        executors = words::duration(executors),
    ))
}

/// Ctrl-C leaves what was done; a second one ends the program at once.
fn stop_on_signal() {
    std::thread::spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            if watch::STOPPED.swap(true, Relaxed) {
                std::process::abort();
            }
        }
    });
}

/// Prints data. That nobody reads it is no failure.
fn print(line: &str) -> Result<()> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::io(&PathBuf::from("stdout"), error)),
        _ => Ok(()),
    }
}

fn report(error: &Error, json: bool) -> u8 {
    let remedy = error.remedy();
    if json {
        let body = serde_json::json!({
            "error": { "key": error.key(), "message": error.to_string(), "remedy": remedy }
        });
        let _ = print(&body.to_string());
    } else {
        note(&format!("{}: {error}", say!("word-error")));
        if let Some(remedy) = remedy {
            note(&format!("{}: {remedy}", say!("word-remedy")));
        }
    }
    match error.kind() {
        Kind::Usage => 2,
        Kind::Failed => 1,
    }
}
