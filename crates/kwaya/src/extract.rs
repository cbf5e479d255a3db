//! `kwaya extract`: fields from documents as a table.

use std::path::PathBuf;

use clap::ArgMatches;
use kwaya_ask::extract::{self, Checked, Settings};
use kwaya_base::{Result, say};
use kwaya_recipe::{machine, words};

use crate::{
    bar::Bar,
    commands::{self, print, text, worker},
};

pub(crate) fn extract(m: &ArgMatches) -> Result<()> {
    let whole = |name| *m.get_one::<usize>(name).expect("has a default");
    let settings = Settings {
        model: PathBuf::from(text(m, "model")),
        schema: PathBuf::from(text(m, "schema")),
        places: m.get_many::<String>("documents").into_iter().flatten().map(PathBuf::from).collect(),
        to: PathBuf::from(text(m, "to")),
        instructions: m.get_one::<String>("instructions").cloned(),
        threads: machine::threads(m.get_one("threads").copied()),
        tokens_max: whole("tokens"),
        at_once: whole("at-once"),
        again: m.get_flag("again"),
        only_found: m.get_flag("only-found"),
        check: m.get_one::<String>("check").map(PathBuf::from),
    };
    let outcome = extract::extract(&settings, &worker()?, &Bar::new())?;
    if commands::json(m, &outcome) {
        return Ok(());
    }
    let speed = words::rounded(outcome.documents_per_second);
    print(&say!(
        "extract-done",
        path = settings.to.display(),
        rows = words::count(outcome.rows),
        known = words::count(outcome.known),
        speed = speed,
        found = words::count(outcome.found),
        values = words::count(outcome.found + outcome.not_found),
    ));
    if outcome.not_found > 0 {
        print(&say!("extract-not-found", count = words::count(outcome.not_found)));
    }
    if outcome.cut > 0 {
        print(&say!("extract-cut", count = words::count(outcome.cut), tokens = settings.tokens_max));
    }
    if !outcome.unread.is_empty() {
        print(&say!("extract-unread-count", count = words::count(outcome.unread.len() as u64)));
    }
    outcome.check.iter().for_each(show);
    Ok(())
}

fn show(checked: &Checked) {
    print("");
    print(&say!("extract-checked", documents = checked.documents, missing = checked.missing));
    for score in &checked.fields {
        let [exact, f1] = [score.exact, score.f1].map(|share| format!("{:.1}", 100.0 * share));
        print(&format!("{:<32} {exact:>8} {f1:>8}", score.field));
    }
}
