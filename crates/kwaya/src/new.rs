//! `kwaya new`: a recipe from what was typed, and from what is asked for.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::ArgMatches;
use kwaya_base::{Error, Result, error::At, files, say};
use kwaya_recipe::{
    recipe::{Method, RECIPE, Recipe},
    rights::{Consent, Until, Use, words},
};

use crate::commands::{ask, folder, json, print, text};

pub(crate) fn new(m: &ArgMatches) -> Result<()> {
    let folder = folder(m);
    let path = folder.join(RECIPE);
    if path.exists() {
        return Err(Error::usage("recipe-exists").path(&folder));
    }
    let from = named(Path::new(text(m, "from")))?;
    let base = m.get_one::<String>("base").map(|base| named(Path::new(base))).transpose()?;
    let languages: Vec<String> = m.get_many::<String>("language").expect("required").cloned().collect();
    let name = folder.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    let (uses, consent) = rights(m)?;
    let mut recipe = Recipe::new(&name, &from, &languages, uses, consent);
    if let Some(base) = base {
        recipe.train.base = Some(base);
        recipe.train.method = Some(match m.get_one::<String>("method").map_or("lora", String::as_str) {
            "full" => Method::Full,
            "continue" => Method::Continue,
            _ => Method::Lora,
        });
    }
    recipe.check(&path)?;
    fs::create_dir_all(&folder).at(&folder)?;
    let body = toml::to_string_pretty(&recipe).expect("a recipe is plain data");
    files::write(&path, format!("{}\n{body}", say!("recipe-header")).as_bytes())?;
    if !json(m, &recipe) {
        print(&say!("new-done", path = path.display(), folder = folder.display()));
    }
    Ok(())
}

/// A place as a recipe can name it.
fn named(path: &Path) -> Result<PathBuf> {
    let path = path.canonicalize().at(path)?;
    if path.to_str().is_none() {
        return Err(Error::usage("path-not-utf8").path(&path));
    }
    Ok(path)
}

/// What the model is for, and who allowed what: from the flags, and for those
/// that are missing from whoever sits there.
fn rights(m: &ArgMatches) -> Result<(Vec<Use>, Consent)> {
    let given = |flag: &'static str| -> Option<String> {
        let all: Vec<String> = m.get_many::<String>(flag)?.cloned().collect();
        Some(all.join(","))
    };
    let licence = answer("licence", given("licence"), &say!("new-ask-licence"), None)?;
    let allowed_by = answer("allowed-by", given("allowed-by"), &say!("new-ask-allowed-by"), None)?;
    let allowed_on = answer("allowed-on", given("allowed-on"), &say!("new-ask-allowed-on"), None)?;
    let Uses(uses) = answer("use", given("use"), &say!("new-ask-use", known = words(&Use::ALL)), None)?;
    // Whoever says what the model is for, on the command line, says that it is
    // allowed.
    let allowed_for = given("allowed-for").or_else(|| given("use"));
    let question = say!("new-ask-allowed-for", known = words(&Use::ALL), default = words(&uses));
    let Uses(allowed_for) = answer("allowed-for", allowed_for, &question, Some(words(&uses)))?;
    let question = say!("new-ask-allowed-until", default = Until::NoEnd);
    let no_end = Until::NoEnd.to_string();
    // Not worth a question where all the rest was typed.
    let allowed_until = given("allowed-until").or_else(|| given("allowed-by").map(|_| no_end.clone()));
    let allowed_until = answer("allowed-until", allowed_until, &question, Some(no_end))?;
    Ok((uses, Consent { licence, allowed_by, allowed_on, allowed_for, allowed_until }))
}

/// Some uses, with commas or blanks between them.
struct Uses(Vec<Use>);

impl FromStr for Uses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        let uses: Vec<Use> = names.map(str::parse).collect::<Result<_, _>>()?;
        if uses.is_empty() { Err(words(&Use::ALL)) } else { Ok(Self(uses)) }
    }
}

/// What was given for `flag`, or what is typed; `default` for an empty line,
/// and where nobody can be asked.
fn answer<T: FromStr<Err: ToString>>(
    flag: &str,
    given: Option<String>,
    question: &str,
    default: Option<String>,
) -> Result<T> {
    let typed = match given {
        Some(given) => given,
        None => match ask(question)?.filter(|typed| !typed.is_empty()).or(default) {
            Some(typed) => typed,
            None => return Err(Error::usage("new-unanswered").arg("flag", flag)),
        },
    };
    typed.trim().parse().map_err(|allowed: T::Err| {
        Error::usage("new-answer").arg("flag", flag).arg("value", &typed).arg("allowed", allowed.to_string())
    })
}
