//! `kwaya`, the command line: reads what was typed, calls a library, prints
//! what it says. Data goes to standard output, everything else to standard
//! error. Exit codes: 0 done, 1 failed, 2 wrong use.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the program talks to people")]

mod arguments;
mod ask;
mod bar;
mod classify;
mod commands;
mod corpus;
mod exchange;
mod extract;
mod language;
mod new;
mod parity;
mod ranks;
mod serve;

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::ArgMatches;
use kwaya_base::{Error, Result, error::Kind, say};
use kwaya_recipe::together::{self, Ranks};

fn main() -> ExitCode {
    kwaya_recipe::machine::give_memory_back();
    let matches = match arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(refusal) => return ExitCode::from(refuse(&refusal)),
    };
    let json = matches.get_flag("json");
    let (command, m) = matches.subcommand().expect("a command is required");
    let ranks = match ranks::join(command) {
        Ok(ranks) => ranks,
        Err(error) => return ExitCode::from(report(&error, json)),
    };
    watch_for_stop(ranks.rank(), ranks.size());
    if ranks.rank() > 0 {
        return ExitCode::from(commands::follow(m, &*ranks));
    }
    let code = run(&matches, &*ranks).map_or_else(|error| report(&error, json), |()| 0);
    together::end(&*ranks, code);
    ExitCode::from(code)
}

/// The second Ctrl-C ends the program at once; nothing is lost by it but the
/// work since the last checkpoint. Among several processes, mpirun sends more
/// than one signal for a Ctrl-C, and sees to it that all end.
fn watch_for_stop(rank: usize, size: usize) {
    let handler = ctrlc::set_handler(move || {
        let again = bar::STOPPED.swap(true, Ordering::Relaxed);
        match (again, size) {
            (true, 1) => std::process::abort(),
            (false, 2..) if rank == 0 => bar::note(&say!("ranks-stopping")),
            _ => {}
        }
    });
    if let Err(error) = handler {
        bar::note(&error.to_string());
    }
}

fn run(matches: &ArgMatches, ranks: &dyn Ranks) -> Result<()> {
    // Before anything is computed with it.
    kwaya_math::check_isa().map_err(|error| {
        Error::usage("isa-missing").arg("asked", error.asked).arg("present", error.present.join(", "))
    })?;
    match matches.subcommand().expect("a command is required") {
        ("new", m) => new::new(m),
        ("machine", m) => commands::machine(m),
        ("bench", m) => commands::bench(m),
        ("plan", m) => commands::plan(m, ranks),
        ("build", m) => commands::build(m, ranks),
        ("status", m) => commands::status(m),
        ("generate", m) => commands::generate(m),
        ("chat", m) => commands::chat(m),
        ("ask", m) => ask::ask(m),
        ("import", m) => exchange::import(m),
        ("export", m) => exchange::export(m),
        ("eval", m) if m.contains_id("ask") => ask::eval(m),
        ("eval", m) => exchange::eval(m),
        ("inspect", m) => exchange::inspect(m),
        ("corpus", m) => corpus::corpus(m),
        ("language", m) => language::language(m),
        ("classify", m) => classify::classify(m),
        ("extract", m) => extract::extract(m),
        ("serve", m) => serve::serve(m),
        ("token", m) => serve::token(m),
        ("extract-worker", _) => kwaya_text::extract::worker_main(std::io::stdin().lock(), std::io::stdout().lock()),
        (other, _) => unreachable!("clap knows no command {other}"),
    }
}

/// Says what is wrong with the command line, or gives the help asked for.
fn refuse(refusal: &clap::Error) -> u8 {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if json && refusal.use_stderr() {
        return report(&Error::usage("command-wrong").arg("cause", refusal.to_string().trim_end()), json);
    }
    // Whoever asked may read no further.
    let _ = refusal.print();
    if refusal.use_stderr() { 2 } else { 0 }
}

fn report(error: &Error, json: bool) -> u8 {
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
        Kind::Usage => 2,
        Kind::Failed => 1,
    }
}
