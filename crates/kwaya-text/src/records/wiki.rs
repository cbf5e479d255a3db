//! Dumps of MediaWiki: the articles, without their markup.
//!
//! The one library that reads wiki markup takes time that grows with the
//! square of its nesting and ends by the clock, so that what it gives depends
//! on the machine. What is done here is one pass: what is opened is put on a
//! stack with the length of the text so far, and what is closed is taken off
//! the end of the text again.

use std::{fmt::Write as _, io::BufRead};

use quick_xml::{Reader, escape::resolve_html5_entity, events::Event};

use super::{At, Flow, Walk, below, lines::line};
use crate::{
    Reason,
    extract::{Format, Refusal},
};

/// Links and templates within one another; deeper ones are left out.
const NESTING_MAX: usize = 40;
/// A tag of HTML.
const TAG_BYTES_MAX: usize = 2000;
/// The name of a character, as in `&nbsp;`.
const ENTITY_BYTES_MAX: usize = 32;
/// Namespaces of a wiki.
const NAMESPACES_MAX: usize = 200;
/// The numbers of the namespaces of files and of categories.
const MEDIA: [&str; 3] = ["-2", "6", "14"];

/// Elements whose content is no prose.
const SILENT: [&str; 16] = [
    "ref",
    "math",
    "chem",
    "gallery",
    "timeline",
    "score",
    "syntaxhighlight",
    "source",
    "imagemap",
    "templatestyles",
    "graph",
    "mapframe",
    "maplink",
    "includeonly",
    "style",
    "references",
];

/// Whether the file begins as a dump does.
pub(super) fn is_dump(start: &[u8]) -> bool {
    let start = start[..start.len().min(1024)].trim_ascii_start();
    start.starts_with(b"<mediawiki")
        || (start.starts_with(b"<?xml") && memchr::memmem::find(start, b"<mediawiki").is_some())
}

impl Walk<'_> {
    /// A record is a line with the names of the namespaces of files and
    /// categories, and the XML of a page.
    pub(super) fn wiki(&mut self, at: At<'_>, reader: &mut dyn BufRead) -> Flow {
        let max = self.task.record_bytes_max;
        let (mut text, mut page) = (Vec::new(), Vec::new());
        let mut names = "File\tImage\tCategory\tMedia".to_owned();
        let (mut namespaces, mut number, mut bytes, mut title) = (0, 0, 0, String::new());
        let mut within = false;
        loop {
            let length = line(reader, max.saturating_add(1), &mut text)?;
            if length == 0 {
                return match within {
                    true => Err(super::End::refused(Reason::Damaged, format!("page {number} has no end"))),
                    false => Ok(()),
                };
            }
            let trimmed = text.trim_ascii();
            if trimmed.starts_with(b"<page>") {
                number += 1;
                (within, bytes) = (true, 0);
                title.clear();
                page.clear();
                page.extend_from_slice(names.as_bytes());
                page.push(b'\n');
            } else if !within {
                if trimmed.starts_with(b"<namespace ") && namespaces < NAMESPACES_MAX {
                    namespaces += 1;
                    names.extend(media(trimmed).map(|name| format!("\t{name}")));
                }
                continue;
            } else if title.is_empty() && trimmed.starts_with(b"<title>") {
                let inner = &trimmed[7..];
                let inner = &inner[..memchr::memchr(b'<', inner).unwrap_or(inner.len())];
                title = entities(&String::from_utf8_lossy(inner));
            }
            bytes += length;
            if bytes <= max {
                page.extend_from_slice(&text);
            }
            if text.trim_ascii().ends_with(b"</page>") {
                within = false;
                let (part, place) = (below(at.part, title.as_bytes()), Some(("page", number)));
                match bytes > max {
                    true => self.refuse(&part, place, (Reason::TooLarge, String::new()), bytes)?,
                    false => self.give(&part, place, Some(Format::Wiki), page.clone(), bytes)?,
                }
            }
        }
    }
}

/// The name of a namespace of files or categories.
fn media(line: &[u8]) -> Option<String> {
    let line = str::from_utf8(line).ok()?;
    let key = line.split_once("key=\"")?.1.split_once('"')?.0;
    let name = line.split_once('>')?.1.split_once('<')?.0.trim();
    (MEDIA.contains(&key) && !name.is_empty() && name.len() < 100).then(|| entities(name))
}

/// The text of a page of a dump.
pub(crate) fn page(record: &str) -> Result<String, Refusal> {
    let (names, xml) = record.split_once('\n').unwrap_or(("", record));
    let names: Vec<String> = names.split('\t').map(str::to_lowercase).collect();
    let damaged = |cause: String| (Reason::Damaged, cause);
    let mut reader = Reader::from_str(xml);
    let mut element = String::new();
    let (mut namespace, mut model, mut text) = (String::new(), String::new(), String::new());
    loop {
        let into = match element.as_str() {
            "ns" => &mut namespace,
            "model" => &mut model,
            "text" => &mut text,
            _ => &mut String::new(),
        };
        match reader.read_event().map_err(|error| damaged(error.to_string()))? {
            Event::Start(start) => {
                element = start.name().as_ref().to_owned();
                // Of a page with its history, the last text counts.
                if element == "text" {
                    text.clear();
                }
            }
            Event::Empty(empty) if empty.name().as_ref() == "redirect" => {
                return Err((Reason::NoDocument, "redirect".to_owned()));
            }
            Event::End(_) => element.clear(),
            Event::Text(part) => into.push_str(&part),
            Event::CData(part) => into.push_str(&part),
            Event::GeneralRef(name) => entity(&name, into),
            Event::Eof => break,
            _ => {}
        }
    }
    match (namespace.trim(), model.trim()) {
        ("" | "0", "" | "wikitext") => Ok(plain(&text, &names)),
        ("" | "0", model) => Err((Reason::NoDocument, model.chars().take(40).collect())),
        (namespace, _) => {
            Err((Reason::NoDocument, format!("namespace {}", namespace.chars().take(10).collect::<String>())))
        }
    }
}

/// Writes the character of this name, or the name when there is none.
fn entity(name: &str, out: &mut String) {
    let number = name.strip_prefix('#').map(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    });
    match number {
        Some(number) => out.extend(number.ok().and_then(char::from_u32)),
        None => match resolve_html5_entity(name) {
            Some(character) => out.push_str(character),
            None => drop(write!(out, "&{name};")),
        },
    }
}

/// The text with the names of characters replaced.
fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let near = &after[..after.floor_char_boundary(ENTITY_BYTES_MAX)];
        match near.split_once(';') {
            Some((name, _)) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#') => {
                entity(name, &mut out);
                rest = &after[name.len() + 1..];
            }
            _ => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// What is open, and how long the text was before it.
enum Open {
    Template(usize),
    Table(usize),
    Link(usize),
}

/// The prose of wiki markup; `names` are those of namespaces of files and
/// categories, in small letters.
fn plain(markup: &str, names: &[String]) -> String {
    let bytes = markup.as_bytes();
    let mut out = String::with_capacity(markup.len());
    let mut open: Vec<Open> = Vec::new();
    // Elements that have no end further on; they are not looked for again.
    let mut endless = [false; SILENT.len() + 2];
    // Brackets around addresses, of which what is shown stays.
    let mut addresses = 0;
    let mut at = 0;
    while at < bytes.len() {
        let plain = bytes[at..].iter().position(|b| matches!(b, b'{' | b'}' | b'[' | b']' | b'<' | b'|'));
        let Some(plain) = plain else { break };
        out.push_str(&markup[at..at + plain]);
        at += plain;
        let byte = bytes[at];
        let run = bytes[at..].iter().take_while(|&&b| b == byte).count();
        match byte {
            b'{' if run >= 2 => {
                for _ in 0..run / 2 {
                    if open.len() < NESTING_MAX {
                        open.push(Open::Template(out.len()));
                    }
                }
                at += run;
            }
            b'{' if bytes.get(at + 1) == Some(&b'|') => {
                if open.len() < NESTING_MAX {
                    open.push(Open::Table(out.len()));
                }
                at += 2;
            }
            b'}' if run >= 2 => {
                for _ in 0..run / 2 {
                    close(&mut open, &mut out, |open| matches!(open, Open::Template(_)));
                }
                at += run;
            }
            b'|' if bytes.get(at + 1) == Some(&b'}') && bytes.get(at + 2) != Some(&b'}') => {
                close(&mut open, &mut out, |open| matches!(open, Open::Table(_)));
                at += 2;
            }
            b'[' if run >= 2 => {
                for _ in 0..run / 2 {
                    if open.len() < NESTING_MAX {
                        open.push(Open::Link(out.len()));
                    }
                }
                at += run;
            }
            b']' if run >= 2 => {
                for _ in 0..run / 2 {
                    let Some(&Open::Link(from)) = open.last() else { break };
                    let label = label(&out[from..], names).to_owned();
                    out.truncate(from);
                    out.push_str(&label);
                    open.pop();
                }
                at += run;
            }
            b'[' => {
                let skipped = address(&markup[at + 1..]);
                match skipped {
                    Some(_) => addresses += 1,
                    None => out.push('['),
                }
                at += 1 + skipped.unwrap_or(0);
            }
            b']' if addresses > 0 => {
                addresses -= 1;
                at += 1;
            }
            b'<' => at += tag(markup, at, &mut out, &mut endless),
            _ => {
                out.push(char::from(byte));
                at += 1;
            }
        }
    }
    out.push_str(&markup[at.min(markup.len())..]);
    lines(&entities(&out))
}

/// Takes what was opened last of a kind off the text, with all that was opened
/// within.
fn close(open: &mut Vec<Open>, out: &mut String, is: impl Fn(&Open) -> bool) {
    if let Some(index) = open.iter().rposition(is) {
        let (Open::Template(from) | Open::Table(from) | Open::Link(from)) = open[index];
        out.truncate(from);
        open.truncate(index);
    }
}

/// What is shown of a link.
fn label<'a>(link: &'a str, names: &[String]) -> &'a str {
    let (target, label) = link
        .split_once('|')
        .map_or((link, None), |(target, rest)| (target, Some(rest.rsplit('|').next().unwrap_or(rest))));
    let shown = label.filter(|label| !label.is_empty()).unwrap_or(target);
    match target.split_once(':') {
        Some(("", rest)) => {
            if label.is_some() {
                shown
            } else {
                rest
            }
        }
        Some((prefix, _)) => {
            let prefix = prefix.trim().to_lowercase();
            // The same article in another language: `en:Maize`.
            let language = (2..=3).contains(&prefix.len()) || prefix.contains('-');
            let language = language && prefix.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && label.is_none();
            if language || names.contains(&prefix) { "" } else { shown }
        }
        None => shown,
    }
}

/// The length of the address after a bracket, when there is one.
fn address(after: &str) -> Option<usize> {
    let near = &after[..after.floor_char_boundary(TAG_BYTES_MAX)];
    let is_address = ["http://", "https://", "//", "ftp://", "mailto:"].iter().any(|start| near.starts_with(start));
    is_address.then(|| near.find([' ', ']', '\n']).unwrap_or(near.len()))
}

/// How far to go on from a `<`, after writing what its tag stands for.
fn tag(markup: &str, at: usize, out: &mut String, endless: &mut [bool; SILENT.len() + 2]) -> usize {
    let rest = &markup[at..];
    let [.., comment, nowiki] = endless;
    if rest.starts_with("<!--") {
        let end = if *comment { None } else { rest.find("-->") };
        *comment |= end.is_none();
        return end.map_or(4, |end| end + 3);
    }
    let near = &rest[..rest.floor_char_boundary(TAG_BYTES_MAX)];
    let name = near[1..].trim_start_matches('/');
    let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len())];
    let Some(end) = near.find('>').filter(|_| !name.is_empty()) else {
        out.push('<');
        return 1;
    };
    let after = end + 1;
    let name = name.to_ascii_lowercase();
    if near[1..].starts_with('/') || near[..end].ends_with('/') {
        if matches!(name.as_str(), "br" | "p" | "div" | "li" | "tr") {
            out.push('\n');
        }
        return after;
    }
    let (which, silent) = match SILENT.iter().position(|silent| *silent == name) {
        Some(index) => (&mut endless[index], true),
        None if name == "nowiki" => (nowiki, false),
        None => {
            if matches!(name.as_str(), "br" | "p" | "div" | "li" | "tr") {
                out.push('\n');
            }
            return after;
        }
    };
    let close = if *which { None } else { closing(&rest[after..], &name) };
    *which |= close.is_none();
    let Some((length, whole)) = close else { return after };
    if !silent {
        out.push_str(&rest[after..after + length]);
    }
    after + whole
}

/// The length of what is before `</name>`, and with it.
fn closing(text: &str, name: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find("</")?;
        let tail = &text.as_bytes()[at + 2..];
        if tail.len() >= name.len() && tail[..name.len()].eq_ignore_ascii_case(name.as_bytes()) {
            let near = &tail[..tail.len().min(TAG_BYTES_MAX)];
            let end = near.iter().position(|&byte| byte == b'>')?;
            return Some((at, at + 2 + end + 1));
        }
        from = at + 2;
    }
}

/// Lines without the marks of headings, lists and emphasis; headings with
/// nothing below them are left out.
fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut headings: Vec<(usize, &str)> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end();
        if line.starts_with("__") && line.ends_with("__") {
            continue;
        }
        let level = line.bytes().take_while(|&byte| byte == b'=').count();
        if level > 0 && line.len() > 2 * level && line.ends_with('=') {
            while headings.last().is_some_and(|(above, _)| *above >= level) {
                headings.pop();
            }
            headings.push((level, line.trim_matches('=').trim()));
            out.push('\n');
            continue;
        }
        let line = line.trim_start_matches(['*', '#', ':', ';', ' ']);
        if !line.is_empty() && line.chars().any(char::is_alphanumeric) {
            for (_, heading) in headings.drain(..) {
                out.push_str(&emphasis(heading));
                out.push_str("\n\n");
            }
        }
        out.push_str(&emphasis(line));
        out.push('\n');
    }
    out
}

/// Without the quotation marks that make letters bold.
fn emphasis(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("''") {
        out.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches('\'');
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn words(markup: &str) -> String {
        plain(markup, &["faili".to_owned(), "category".to_owned()]).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn markup_becomes_prose() {
        let article = "{{Infobox|jina=Mahindi|{{ndani|a}}}}\n'''Mahindi''' ni [[zao|mazao]] ya [[chakula]]<ref name=a>Kitabu [[x]]</ref>, \
                       ''Zea mays''.<ref name=a/>&nbsp;Bei &mdash; juu.<!-- siri -->\n[[Faili:a.jpg|thumb|Picha ya [[shamba]]]]\n\
                       {| class=x\n|-\n| a || {{b}}\n{|\n|c\n|}\n|}\n__NOTOC__\n== Kilimo ==\n* moja\n** mbili<br>tatu\n=== Tupu ===\n\
                       == Tazama ==\nOna [http://x.org tovuti] na [http://y.org].\n== Viungo ==\n[[Category:Mimea]]\n[[en:Maize]]\n";
        assert_eq!(
            words(article),
            "Mahindi ni mazao ya chakula, Zea mays. Bei — juu. Kilimo moja mbili tatu Tazama Ona tovuti na ."
        );
        assert_eq!(
            words("a [b] <nowiki>[[c]] {{d}}</nowiki> [[:Category:E]] 1 < 2"),
            "a [b] [[c]] {{d}} Category:E 1 < 2"
        );
        // What is never closed takes nothing with it.
        assert_eq!(words("a {{b\n\nc [[d\n\n<ref>e <!-- f"), "a b c d e f");
    }

    #[test]
    fn a_page_of_a_dump_is_an_article_or_none() {
        let page_of = |inner: &str| page(&format!("File\n  <page>\n<title>A</title>\n{inner}</page>\n"));
        let text = "<ns>0</ns><revision><text xml:space=\"preserve\">Mahindi &lt;b&gt;&amp;amp; maji&lt;/b&gt; &quot;x&quot;</text></revision>";
        assert_eq!(page_of(text).unwrap().trim(), "Mahindi & maji \"x\"");
        let why = |inner| page_of(inner).unwrap_err();
        assert_eq!(why("<ns>0</ns><redirect title=\"B\" />").1, "redirect");
        assert_eq!(why("<ns>10</ns><revision><text>x</text></revision>").1, "namespace 10");
        assert_eq!(why("<ns>0</ns><revision><text>x").0, Reason::Damaged);
        // Entities of entities are not followed.
        assert_eq!(page_of("<ns>0</ns><text>&lol;</text>").unwrap().trim(), "&lol;");
    }

    #[test]
    fn time_grows_with_the_length_alone() {
        for part in [
            "[[a|",
            "{{a|",
            "<ref>",
            "<!--",
            "{|\n|a\n",
            "''a'''",
            "[http://",
            "</ref",
            "<ref><ref/",
            "&a",
            "[[a|b]]",
            "]]}}|}",
        ] {
            let started = Instant::now();
            plain(&part.repeat(200_000), &[]);
            assert!(started.elapsed().as_secs_f32() < 2.0, "{part}: {:?}", started.elapsed());
        }
    }
}
