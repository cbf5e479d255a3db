//! Mailboxes (mbox): what each message says, without its headers, which are
//! names and addresses, what it quotes, and its signature.

use std::io::BufRead;

use mail_parser::{MessageParser, PartType};

use super::{At, Flow, Walk, below, lines::line};
use crate::{
    Reason,
    extract::{Format, Refusal},
};

/// Parts of a message.
const PARTS_MAX: usize = 1000;
/// Messages in a message.
const NESTED_MAX: usize = 500;

/// Whether the file begins as a mailbox does: with `From`, a time, and a
/// header below.
pub(super) fn is_mailbox(head: &[u8]) -> bool {
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = lines.next().is_some_and(begins);
    first
        && lines.next().is_some_and(|header| {
            let name = header.split(|&byte| byte == b':').next().unwrap_or(header);
            name.len() < header.len()
                && !name.is_empty()
                && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        })
}

/// Whether a message begins after this line.
fn begins(line: &[u8]) -> bool {
    let time = |four: &[u8]| four[0].is_ascii_digit() && four[1] == b':' && four[2..].iter().all(u8::is_ascii_digit);
    line.starts_with(b"From ") && line.windows(4).any(time)
}

impl Walk<'_> {
    pub(super) fn mailbox(&mut self, at: At<'_>, reader: &mut dyn BufRead) -> Flow {
        let max = self.task.record_bytes_max;
        let (mut text, mut message) = (Vec::new(), Vec::new());
        let (mut number, mut bytes, mut after_blank) = (0, 0, true);
        loop {
            let length = line(reader, max.saturating_add(1), &mut text)?;
            if length == 0 || (after_blank && begins(&text)) {
                if number > 0 {
                    let part = below(at.part, number.to_string().as_bytes());
                    let place = Some(("message", number));
                    match bytes > max {
                        true => self.refuse(&part, place, (Reason::TooLarge, String::new()), bytes)?,
                        false => self.give(&part, place, Some(Format::Mail), message.clone(), bytes)?,
                    }
                }
                if length == 0 {
                    return Ok(());
                }
                number += 1;
                bytes = 0;
                message.clear();
                continue;
            }
            after_blank = text.trim_ascii().is_empty();
            bytes += length;
            if bytes <= max {
                // A line that begins like a message is kept from being one.
                let unquoted = text.iter().position(|&byte| byte != b'>').unwrap_or(0);
                let kept = unquoted > 0 && text[unquoted..].starts_with(b"From ");
                message.extend_from_slice(&text[usize::from(kept)..]);
            }
        }
    }
}

/// Whether messages may lie so deep within one another that the parser, which
/// calls itself for each, runs out of its stack.
fn is_deep(message: &[u8]) -> bool {
    let nested = memchr::memchr_iter(b'/', message).filter(|&at| {
        let before = &message[at.saturating_sub(7)..at];
        let after = &message[at + 1..message.len().min(at + 7)];
        before.eq_ignore_ascii_case(b"message") || after.eq_ignore_ascii_case(b"digest")
    });
    nested.take(NESTED_MAX + 1).count() > NESTED_MAX
}

/// What a message says: a text, or a page when it has no text.
pub(crate) fn body(message: &[u8]) -> Result<(Format, String), Refusal> {
    if is_deep(message) {
        return Err((Reason::Damaged, format!("more than {NESTED_MAX} messages within one another")));
    }
    let broken = || (Reason::Damaged, "no message".to_owned());
    let message = MessageParser::new().parse(message).ok_or_else(broken)?;
    let parts = || message.text_body.iter().take(PARTS_MAX).filter_map(|&part| message.parts.get(part as usize));
    let mut text = String::new();
    for part in parts() {
        if let PartType::Text(part) = &part.body {
            text.push_str(part);
            text.push_str("\n\n");
        }
    }
    if text.trim().is_empty() {
        let page = parts()
            .chain(message.html_body.iter().take(PARTS_MAX).filter_map(|&part| message.parts.get(part as usize)));
        for part in page {
            if let PartType::Html(page) = &part.body {
                return Ok((Format::Html, page.clone().into_owned()));
            }
        }
    }
    Ok((Format::Text, said(&text)))
}

/// The text without what it quotes and without the signature.
fn said(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut quoting = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if line.starts_with('>') {
            if !quoting {
                drop_introduction(&mut lines);
            }
            quoting = true;
            continue;
        }
        if trimmed == "--" || is_rule(trimmed) {
            break;
        }
        // Blank lines between quotes belong to them.
        quoting &= trimmed.is_empty();
        lines.push(line);
    }
    lines.join("\n")
}

/// Programs put these before the message that is answered, or below it all.
fn is_rule(line: &str) -> bool {
    let underlines = line.len() >= 20 && line.bytes().all(|byte| byte == b'_');
    let titled = line.starts_with("--") && line.ends_with("--") && line.chars().any(char::is_alphabetic);
    underlines || (titled && line.len() < 100)
}

/// Takes away who wrote what is quoted below: `On Monday somebody wrote:`.
fn drop_introduction(lines: &mut Vec<&str>) {
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    let telling = |line: &str| line.contains('@') || line.chars().any(char::is_numeric);
    if lines.last().is_some_and(|line| line.trim().ends_with(':')) {
        let told = lines.pop().is_some_and(telling);
        // It may be on two lines, with the day on the first.
        if !told && lines.last().is_some_and(|line| telling(line)) {
            lines.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_its_writer_wrote() {
        let text = "Habari,\n\nOn Mon, 3 Mar 2025, Asha <asha@x.org> wrote:\n> Mvua?\n>\n\n> Lini?\nKesho.\n\nMnamo 4 Machi Asha\naliandika:\n> Sawa\n\nAsante.\n-- \nJuma\n";
        assert_eq!(said(text).split_whitespace().collect::<Vec<_>>(), ["Habari,", "Kesho.", "Asante."]);
        let outlook = "Ndiyo.\n\n-----Original Message-----\nFrom: Asha\nSent: Monday\n";
        assert_eq!(said(outlook).trim(), "Ndiyo.");
        assert_eq!(said("Bei: 5\nAina:\nmbegu\n----------\nmwisho").lines().count(), 5);
    }

    #[test]
    fn parts_and_encodings_are_taken_apart() {
        let message = b"From: Asha <a@x.org>\r\nSubject: =?utf-8?q?Siri?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=8Cj=E1=BB=8Dba\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>page\r\n--b--\r\n";
        let (format, text) = body(message).unwrap();
        assert_eq!((format, text.trim()), (Format::Text, "Ìjọba"));
        let page = b"Content-Type: text/html\r\n\r\n<p>page</p>\r\n";
        let (format, text) = body(page).unwrap();
        assert_eq!((format, text.trim()), (Format::Html, "<p>page</p>"));
    }

    #[test]
    fn time_grows_with_the_length_alone() {
        let parts = [
            "Content-Type: message/rfc822\n\n",
            "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\n",
            "--b\n\nx\n",
            "Subject: =?utf-8?q?",
            "From: ((((\n <",
            "> x:\n\n",
            "--\t",
            "Content-Type: text/html\n\n<",
        ];
        for part in parts {
            for head in ["", "Content-Type: multipart/mixed; boundary=\"b\"\n\n"] {
                let message = format!("{head}{}", part.repeat(2_000_000 / part.len()));
                let started = std::time::Instant::now();
                let _ = body(message.as_bytes());
                assert!(started.elapsed().as_secs_f32() < 5.0, "{part}: {:?}", started.elapsed());
            }
        }
    }

    #[test]
    fn a_mailbox_is_told_from_prose() {
        assert!(is_mailbox(b"From a@x Mon Mar  3 10:00:00 2025\nSubject: x\n\nbody"));
        assert!(!is_mailbox(b"From here at 10:00 on: we walked\nand then: home"));
        assert!(!is_mailbox(b"From the start\nSubject: x"));
    }
}
