//! The commands of the server: to run it, and to say who may use it.

use std::{
    io::{self, IsTerminal},
    path::Path,
    sync::atomic::Ordering,
};

use clap::ArgMatches;
use kwaya_base::{Error, Result, say};
use kwaya_recipe::machine;
use kwaya_serve::{
    Settings, home, own_folder, settings,
    token::{self, Role},
};

use crate::{
    bar::{STOPPED, note},
    commands::{json, print, text},
};

pub(crate) fn serve(m: &ArgMatches) -> Result<()> {
    let named = Path::new(text(m, "model"));
    let typed: Vec<(&str, &str)> = settings::NAMES
        .iter()
        .filter_map(|name| m.get_one::<String>(name).map(|value| (*name, value.as_str())))
        .collect();
    let settings = Settings::read(home(named), m.get_one::<String>("config").map(Path::new), &typed)?;
    let threads = machine::threads(m.get_one("threads").copied());
    let stopped = || STOPPED.load(Ordering::Relaxed);
    kwaya_serve::serve(named, settings, threads, stopped, |address, name| {
        // Where a program reads them, there are lines of JSON alone.
        if io::stderr().is_terminal() {
            note(&say!("serve-started", address = address, name = name));
        }
    })
}

pub(crate) fn token(m: &ArgMatches) -> Result<()> {
    let (what, m) = m.subcommand().expect("a command is required");
    let place = Path::new(text(m, "model"));
    if !place.exists() {
        return Err(Error::io(place, io::ErrorKind::NotFound.into()));
    }
    let folder = own_folder(place);
    match what {
        "add" => {
            let (name, role) = (text(m, "name"), Role::named(text(m, "role")).expect("clap knows the roles"));
            let secret = token::add(&folder, name, role)?;
            if !json(m, &serde_json::json!({ "name": name, "role": role.name(), "token": secret })) {
                note(&say!("token-made", name = name, role = role.name()));
                print(&secret);
            }
        }
        "remove" => {
            token::remove(&folder, text(m, "name"))?;
            if !json(m, &serde_json::json!({ "removed": text(m, "name") })) {
                note(&say!("token-removed", name = text(m, "name")));
            }
        }
        _ => {
            let tokens = token::read(&folder)?;
            let row = |token: &token::Token| serde_json::json!({ "name": token.name, "role": token.role, "made": token.made });
            if json(m, &tokens.iter().map(row).collect::<Vec<_>>()) {
                return Ok(());
            }
            if tokens.is_empty() {
                note(&say!("token-none", path = folder.display()));
            }
            tokens.iter().for_each(|token| print(&format!("{:<10} {}  {}", token.role.name(), token.made, token.name)));
        }
    }
    Ok(())
}
