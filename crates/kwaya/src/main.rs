//! `kwaya`, the command line: reads what was typed, calls a library, prints
//! what it says. Data goes to standard output, everything else to standard
//! error. Exit codes: 0 done, 1 failed, 2 wrong use.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the program talks to people")]

mod arguments;
mod bar;
mod commands;

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::ArgMatches;
use kwaya_base::{Error, Result, error::Kind, say};

fn main() -> ExitCode {
    let matches = match arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(refusal) => return refuse(&refusal),
    };
    // The second Ctrl-C ends the program at once; nothing is lost by it but
    // the work since the last checkpoint.
    let handler = ctrlc::set_handler(|| {
        if bar::STOPPED.swap(true, Ordering::Relaxed) {
            std::process::abort();
        }
    });
    if let Err(error) = handler {
        bar::note(&error.to_string());
    }
    match run(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, matches.get_flag("json")),
    }
}

fn run(matches: &ArgMatches) -> Result<()> {
    match matches.subcommand().expect("a command is required") {
        ("new", m) => commands::new(m),
        ("machine", m) => commands::machine(m),
        ("bench", m) => commands::bench(m),
        ("plan", m) => commands::plan(m),
        ("build", m) => commands::build(m),
        ("status", m) => commands::status(m),
        ("generate", m) => commands::generate(m),
        ("chat", m) => commands::chat(m),
        ("corpus", m) => commands::corpus(m),
        ("extract-worker", _) => kwaya_text::extract::worker_main(std::io::stdin().lock(), std::io::stdout().lock()),
        (other, _) => unreachable!("clap knows no command {other}"),
    }
}

/// Says what is wrong with the command line, or gives the help asked for.
fn refuse(refusal: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if json && refusal.use_stderr() {
        return report(&Error::usage("command-wrong").arg("cause", refusal.to_string().trim_end()), json);
    }
    // Whoever asked may read no further.
    let _ = refusal.print();
    ExitCode::from(if refusal.use_stderr() { 2 } else { 0 })
}

fn report(error: &Error, json: bool) -> ExitCode {
    let remedy = error.remedy();
    if json {
        let args: serde_json::Map<_, _> =
            error.args().iter().map(|(k, v)| ((*k).to_owned(), v.clone().into())).collect();
        let body = serde_json::json!({
            "error": { "key": error.key(), "message": error.to_string(), "remedy": remedy, "args": args }
        });
        commands::print(&body.to_string());
    } else {
        bar::note(&format!("{}: {error}", say!("word-error")));
        if let Some(remedy) = remedy {
            bar::note(&format!("{}: {remedy}", say!("word-remedy")));
        }
    }
    match error.kind() {
        Kind::Usage => ExitCode::from(2),
        Kind::Failed => ExitCode::from(1),
    }
}
