//! Translations: the messages of a PO file, and the segments of a TMX file.

use std::collections::BTreeMap;

use crate::{
    Reason,
    extract::{
        Refusal,
        xml::{Node, attribute, name, walk},
    },
};

/// Languages in one TMX file, at most; more is no translation.
const LANGUAGES_MAX: usize = 500;

/// Whether a text begins as PO files do.
pub(crate) fn is_po(head: &str) -> bool {
    let mut lines = head.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().unwrap_or("");
    let begins = ["msgid \"", "msgctxt \"", "domain \""].iter().any(|keyword| first.starts_with(keyword));
    begins && lines.any(|line| line.starts_with("msgstr"))
}

/// The translations in a PO file, each a line. The originals, the header, what
/// is not sure (`fuzzy`) and what is no longer used are left out.
pub(crate) fn po(file: &str) -> String {
    #[derive(PartialEq)]
    enum At {
        Nothing,
        Original,
        Other,
        Translation,
    }
    let mut out = String::new();
    let (mut at, mut fuzzy, mut original, mut translation) = (At::Nothing, false, String::new(), String::new());
    // One line more ends the last message.
    for line in file.trim_start_matches('\u{feff}').lines().map(str::trim).chain(["msgid \"\""]) {
        let (keyword, quoted) = match line.split_once('"') {
            Some((keyword, rest)) if !line.starts_with('#') => (keyword.trim(), rest.strip_suffix('"').unwrap_or(rest)),
            _ => ("", ""),
        };
        // A message ends where another begins, and each plural form is a text.
        if at == At::Translation && (!keyword.is_empty() || line.starts_with('#')) {
            if !original.is_empty() && !fuzzy && !translation.trim().is_empty() {
                out.push_str(translation.trim());
                out.push('\n');
            }
            translation.clear();
            if !keyword.starts_with("msgstr") {
                (at, fuzzy) = (At::Nothing, false);
                original.clear();
            }
        }
        if line.starts_with("#,") && line.contains("fuzzy") {
            fuzzy = true;
        }
        match keyword {
            "" => {}
            "msgid" => (at, original) = (At::Original, String::new()),
            _ if keyword.starts_with("msgstr") => at = At::Translation,
            _ => at = At::Other,
        }
        match at {
            At::Original => unquote(quoted, &mut original),
            At::Translation => unquote(quoted, &mut translation),
            At::Nothing | At::Other => {}
        }
    }
    out
}

/// Text as it is written between quotes.
fn unquote(quoted: &str, out: &mut String) {
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => {}
                Some(other) => out.push(other),
                None => {}
            },
            (character, false) => out.push(character),
        }
    }
}

/// The segments of a TMX file, one side after the other, so that a text goes on
/// in its language: the sides in a `wanted` language, or all where none is
/// wanted.
///
/// # Errors
/// `Damaged`, and `OtherLanguage` when no side is wanted.
pub(crate) fn tmx(file: &str, wanted: &[String]) -> Result<String, Refusal> {
    let mut sides: BTreeMap<String, String> = BTreeMap::new();
    let (mut language, mut segment, mut hidden, mut inside) = (String::new(), String::new(), 0_usize, false);
    walk(file, |node| match node {
        Node::Open(element) => match name(element) {
            "tuv" => language = attribute(element, "lang").unwrap_or_default().to_ascii_lowercase(),
            "seg" => (inside, segment, hidden) = (true, String::new(), 0),
            // Codes of the program that the text is for.
            "bpt" | "ept" | "it" | "ph" | "ut" if inside => hidden += 1,
            _ => {}
        },
        Node::Close("seg") => {
            inside = false;
            if sides.len() < LANGUAGES_MAX || sides.contains_key(&language) {
                let side = sides.entry(language.clone()).or_default();
                side.push_str(segment.trim());
                side.push('\n');
            }
        }
        Node::Close("bpt" | "ept" | "it" | "ph" | "ut") => hidden = hidden.saturating_sub(1),
        Node::Close(_) => {}
        Node::Text(text) if inside && hidden == 0 => segment.push_str(text),
        Node::Text(_) => {}
    })?;
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or("").to_ascii_lowercase();
    let is_wanted = |tag: &String| wanted.is_empty() || wanted.iter().any(|w| primary(w) == primary(tag));
    if !sides.is_empty() && !sides.keys().any(is_wanted) {
        let found: Vec<&str> = sides.keys().map(String::as_str).take(10).collect();
        return Err((Reason::OtherLanguage, found.join(", ")));
    }
    let sides: Vec<String> = sides.into_iter().filter(|(tag, _)| is_wanted(tag)).map(|(_, side)| side).collect();
    Ok(sides.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PO: &str = r#"# Kiswahili
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"

#: src/a.c:12
msgctxt "menu"
msgid "Open"
msgstr "Fungua"

#, fuzzy
msgid "Close"
msgstr "Funga?"

#, c-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "Faili %d"
msgstr[1] ""
"Faili "
"\"%d\"\n"

#~ msgid "old"
#~ msgstr "kuukuu"
msgid "not translated"
msgstr ""
msgid "Save"
msgstr "Hifadhi"
"#;

    #[test]
    fn the_translations_of_po_are_taken() {
        assert!(is_po(PO));
        assert_eq!(po(PO), "Fungua\nFaili %d\nFaili \"%d\"\nHifadhi\n");
        assert!(!is_po("msgid is a word\nmsgstr too") && !is_po(""));
        for end in 0..PO.len() {
            let _ = po(&PO[..end]);
        }
    }

    const TMX: &str = r#"<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "aaaa">]><tmx version="1.4"><header/><body>
        <tu><note>not text</note><tuv xml:lang="EN-us"><seg>Maize &amp; beans<ph x="1">&lt;br&gt;</ph></seg></tuv>
        <tuv xml:lang="sw"><seg>Mahindi &amp; <hi>maharage</hi> &a;</seg></tuv></tu>
        <tu><tuv xml:lang="sw-KE"><seg>Mvua&#33;</seg></tuv><tuv xml:lang="fr"><seg>La pluie</seg></tuv></tu></body></tmx>"#;

    #[test]
    fn each_side_of_tmx_is_a_text() {
        let wanted = |languages: &[&str]| tmx(TMX, &languages.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
        assert_eq!(wanted(&["sw"]).unwrap(), "Mahindi & maharage\n\n\nMvua!\n");
        assert_eq!(wanted(&["en", "fr"]).unwrap(), "Maize & beans\n\n\nLa pluie\n");
        assert_eq!(wanted(&[]).unwrap().lines().filter(|line| !line.is_empty()).count(), 4);
        assert_eq!(wanted(&["yo"]).unwrap_err(), (Reason::OtherLanguage, "en-us, fr, sw, sw-ke".to_owned()));
        assert_eq!(tmx(&TMX[..300], &[]).unwrap_err().0, Reason::Damaged);
        assert_eq!(tmx(&"<a>".repeat(100_000), &[]).unwrap_err().0, Reason::Damaged);
    }
}
