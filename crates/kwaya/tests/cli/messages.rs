//! The message file and the sources agree: no key is missing, none is left
//! over, every error says what to do, and the help is complete.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use regex::Regex;

use crate::common::Place;

const CRATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a message has, as far as the tests look.
#[derive(Default)]
struct Message {
    remedy: bool,
    values: BTreeSet<String>,
}

/// The messages of the English file by key.
fn messages() -> BTreeMap<String, Message> {
    let text = fs::read_to_string(format!("{CRATES}/kwaya-base/messages/en.ftl")).unwrap();
    let key = Regex::new(r"^([a-z][a-z0-9-]*) =").unwrap();
    let value = Regex::new(r"\{ ?\$([a-z_]+) ?\}").unwrap();
    let mut messages = BTreeMap::<String, Message>::new();
    let mut now = String::new();
    for line in text.lines() {
        if let Some(found) = key.captures(line) {
            now = found[1].to_owned();
            assert!(messages.insert(now.clone(), Message::default()).is_none(), "{now} is there twice");
        }
        if let Some(message) = messages.get_mut(&now) {
            message.remedy |= line.trim_start().starts_with(".remedy =");
            message.values.extend(value.captures_iter(line).map(|found| found[1].to_owned()));
        }
    }
    assert!(messages.len() > 100, "the message file was not understood");
    messages
}

/// Sources and templates of all crates, by path.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path.display().to_string(), text));
            }
        }
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(CRATES).unwrap() {
        for part in ["src", "templates"] {
            walk(&entry.as_ref().unwrap().path().join(part), &mut found);
        }
    }
    walk(&Path::new(CRATES).join("../cluster/src"), &mut found);
    found
}

/// All first groups of `pattern` in the sources, each with its file.
fn find(sources: &[(String, String)], pattern: &str) -> BTreeSet<(String, String)> {
    let pattern = Regex::new(pattern).unwrap();
    let all = sources.iter().flat_map(|(path, text)| {
        pattern.captures_iter(text).map(|found| (found[1].to_owned(), path.clone())).collect::<Vec<_>>()
    });
    all.collect()
}

#[test]
fn every_key_in_the_sources_has_words_and_every_error_a_remedy() {
    let (messages, sources) = (messages(), sources());
    let mut errors = find(&sources, r#"(?:Error::new|Error::usage)\(\s*"([a-z0-9-]+)""#);
    let (through_a_closure, _): (Vec<_>, Vec<_>) =
        sources.iter().cloned().partition(|(_, text)| text.contains("refuse = |key|"));
    errors.extend(find(&through_a_closure, r#"\brefuse\(\s*"([a-z0-9-]+)""#));
    assert!(errors.len() > 30, "{errors:?}");
    for (key, path) in &errors {
        let message = messages.get(key).unwrap_or_else(|| panic!("{path}: no words for {key}"));
        assert!(message.remedy, "{key} does not say what to do");
    }
    let said = r#"(?:say!|say|messages::format|messages::attribute|\.begin|chart)\(\s*"([a-z0-9-]+)""#;
    for (key, path) in find(&sources, said) {
        // A key that is only a beginning is completed by a name, as a reason's.
        let begins = key.ends_with('-') && messages.keys().any(|whole| whole.starts_with(&key));
        assert!(begins || messages.contains_key(&key), "{path}: no words for {key}");
    }
}

#[test]
fn every_message_is_used_and_is_given_its_values() {
    let (messages, sources) = (messages(), sources());
    // Keys made from a beginning and a name: format!("reason-{reason}").
    let beginnings = find(&sources, r#""((?:[a-z]+-)+)(?:\{|" ?[~+])"#);
    let given = |text: &str, value: &str| {
        let ways = [format!("\"{value}\""), format!("{value} ="), format!("{value}="), format!(".{value}(")];
        ways.iter().any(|way| text.contains(way.as_str()))
    };
    for (key, message) in &messages {
        let literal = format!("\"{key}\"");
        let users: Vec<_> = sources.iter().filter(|(_, text)| text.contains(&literal)).collect();
        let built = beginnings.iter().any(|(beginning, _)| key.starts_with(beginning.as_str()));
        assert!(built || !users.is_empty(), "nobody says {key}");
        for value in &message.values {
            assert!(users.iter().any(|(_, text)| given(text, value)), "nobody gives {key} its {value}");
        }
    }
}

/// The other languages are held to the English file in `kwaya-base`.
#[test]
fn the_pages_say_every_word_that_they_have_and_no_other() {
    let text = fs::read_to_string(format!("{CRATES}/kwaya-base/messages/page/en.ftl")).unwrap();
    let key = Regex::new(r"(?m)^([a-z][a-z0-9-]*) =").unwrap();
    let keys: BTreeSet<String> = key.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    let of_pages = |path: &str| path.contains("kwaya-serve/src/page") || path.contains("kwaya-serve/templates");
    let sources: Vec<_> = sources().into_iter().filter(|(path, _)| of_pages(path)).collect();
    for (said, path) in find(&sources, r#"\btext\(\s*"([a-z0-9-]+)""#) {
        let begins = said.ends_with('-') && keys.iter().any(|key| key.starts_with(&said));
        assert!(begins || keys.contains(&said), "{path}: no words for {said}");
    }
    let beginnings = find(&sources, r#""((?:[a-z]+-)+)(?:\{|" ?~)"#);
    for key in &keys {
        let literal = format!("\"{key}\"");
        let built = beginnings.iter().any(|(beginning, _)| key.starts_with(beginning.as_str()));
        assert!(built || sources.iter().any(|(_, text)| text.contains(&literal)), "no page says {key}");
    }
    // A reason that is added has to get its words in all languages.
    for reason in kwaya_text::Reason::ALL {
        assert!(keys.contains(&format!("reason-{}", reason.key())), "no words for {reason}");
    }
}

#[test]
fn every_command_has_help_and_an_example() {
    let place = Place::new();
    let commands = [
        "new",
        "machine",
        "bench",
        "plan",
        "build",
        "status",
        "generate",
        "chat",
        "corpus",
        "corpus stats",
        "corpus show",
        "corpus dropped",
        "corpus sample",
        "corpus parity",
        "corpus audit",
        "corpus card",
        "corpus withdraw",
        "language",
        "language list",
        "language detect",
        "language learn",
        "import",
        "export",
        "inspect",
        "eval",
        "classify",
        "classify train",
        "classify run",
        "classify eval",
        "extract",
        "serve",
        "token",
        "token add",
        "token list",
        "token remove",
        "",
    ];
    let listed = place.run(["--help"]).good().out;
    for command in commands {
        let arguments: Vec<_> = command.split(' ').filter(|word| !word.is_empty()).chain(["--help"]).collect();
        let help = place.run(&arguments).good().out;
        assert!(help.contains("Example"), "no example: {help}");
        assert!(help.contains(&format!("kwaya {command}")), "an example of something else: {help}");
        // A key without words is shown as the key.
        assert!(!help.contains("help-"), "no words: {help}");
        for line in help.lines().filter(|line| line.trim_start().starts_with("--")) {
            assert!(line.trim().contains("  "), "a flag without words: {line}");
        }
        assert!(listed.contains(command.split(' ').next().unwrap()));
    }
    let version = place.run(["--version"]).good().out;
    assert_eq!(version.trim(), concat!("kwaya ", env!("CARGO_PKG_VERSION")));
}
