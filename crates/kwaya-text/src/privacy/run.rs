//! Where the scan stops, and runs of numbers.
//!
//! A run is numbers and codes (letters and digits) with one or two blanks,
//! dashes, dots, brackets or slashes between, such as `0712-345 678` or
//! `GHA-123456789-0`. Its digits may be of any script and its dashes of any
//! length; rules see them as ASCII.

use std::{borrow::Cow, cell::Cell};

/// A run is cut here; rules look at less.
const RUN_BYTES_MAX: usize = 96;
/// A run that is still longer ends in something endless, such as base64.
const CANDIDATE_BYTES_MAX: usize = 256;
/// Letters before the first digit that may belong to a code.
const LETTERS_MAX: usize = 12;
/// A run with fewer digits is none of the things looked for ...
const DIGITS_MIN: usize = 5;
/// ... unless it is a code of letters and digits at least this long.
const CODE_MIN: usize = 8;

/// A link that is longer is not known as one.
const LINK_BYTES_MAX: usize = 256;

/// What the scan stopped at.
pub(super) enum Stop {
    /// `@`, or a bracket before `at`.
    At(usize),
    /// A digit.
    Digit(usize),
}

/// The first byte of each thing that the scan stops at.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut byte = b'0' as usize;
    while byte <= b'9' as usize {
        stops[byte] = true;
        byte += 1;
    }
    stops[b'@' as usize] = true;
    stops[b'(' as usize] = true;
    stops[b'[' as usize] = true;
    // First bytes of digits that are not ASCII.
    stops[0xd9] = true;
    stops[0xdb] = true;
    stops[0xdf] = true;
    stops[0xe0] = true;
    stops[0xe1] = true;
    stops[0xef] = true;
    stops
};

/// The zeros of the digits that people write numbers with, beside ASCII.
pub(crate) const ZEROS: [u32; 19] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50, 0x0ed0,
    0x0f20, 0x1040, 0x17e0, 0x1810, 0xff10,
];

/// The next place at or after `at` where something may begin.
pub(super) fn stop(text: &str, mut at: usize) -> Option<Stop> {
    let bytes = text.as_bytes();
    loop {
        at += bytes.get(at..)?.iter().position(|byte| STOPS[usize::from(*byte)])?;
        match bytes[at] {
            b'0'..=b'9' => return Some(Stop::Digit(at)),
            b'@' => return Some(Stop::At(at)),
            b'(' | b'[' => {
                if bytes.get(at + 1..at + 3).is_some_and(|next| next.eq_ignore_ascii_case(b"at")) {
                    return Some(Stop::At(at));
                }
                at += 1;
            }
            _ if digit(bytes, at).is_some() => return Some(Stop::Digit(at)),
            _ => at += 1,
        }
    }
}

/// The value and the length of the digit at `at`, in any script.
pub(super) fn digit(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return first.is_ascii_digit().then(|| (first - b'0', 1));
    }
    if !STOPS[usize::from(first)] {
        return None;
    }
    let tail = |i: usize| bytes.get(at + i).map(|byte| u32::from(byte & 0x3f));
    let (code, length) = match first {
        0xc0..0xe0 => (u32::from(first & 0x1f) << 6 | tail(1)?, 2),
        _ => (u32::from(first & 0x0f) << 12 | tail(1)? << 6 | tail(2)?, 3),
    };
    ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)).map(|zero| ((code - zero) as u8, length))
}

/// How far a run goes.
pub(super) struct Extent {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where its last number begins.
    pub(super) last: usize,
    digits: usize,
    /// The length of its longest code with a letter in it.
    code: usize,
}

impl Extent {
    /// Whether a rule may match.
    pub(super) fn is_candidate(&self) -> bool {
        (self.digits >= DIGITS_MIN || self.code >= CODE_MIN) && self.end - self.start <= CANDIDATE_BYTES_MAX
    }
}

/// The run around the digit at `at`, not before `floor`.
pub(super) fn extent(text: &str, at: usize, floor: usize) -> Extent {
    let bytes = text.as_bytes();
    let start = beginning(bytes, at, floor);
    let limit = start + RUN_BYTES_MAX;
    let mut extent = Extent { start, end: start, last: start, digits: 0, code: 0 };
    let mut next = start;
    loop {
        let (end, digits) = word(bytes, next);
        if digits > 0 && end - next > digits {
            extent.code = extent.code.max(end - next);
        }
        extent.digits += digits;
        (extent.last, extent.end) = (next, end);
        if end >= limit {
            return extent;
        }
        let between = separators(bytes, end);
        let after = end + between;
        let (code_end, digits) = word(bytes, after);
        let code = bytes.get(after).is_some_and(u8::is_ascii_uppercase) && between == 1 && bytes[end] == b'-';
        if between == 0 || code_end == after || (digits == 0 && !code) {
            return extent;
        }
        next = after;
    }
}

/// Where the code begins that the digit at `at` belongs to.
fn beginning(bytes: &[u8], at: usize, floor: usize) -> usize {
    let letters = |end: usize| {
        let before = &bytes[floor.max(end.saturating_sub(LETTERS_MAX + 1)).min(end)..end];
        before.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count()
    };
    let own = letters(at);
    if own > LETTERS_MAX {
        return at;
    }
    let start = at - own;
    // A code such as `GHA-123456789-0`.
    if start > floor && bytes[start - 1] == b'-' {
        let more = letters(start - 1);
        let code = &bytes[start - 1 - more..start - 1];
        if (1..=4).contains(&more) && code.iter().all(u8::is_ascii_uppercase) {
            return start - 1 - more;
        }
    }
    start
}

/// The end of the letters and digits from `at`, and how many are digits.
fn word(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let mut digits = 0;
    loop {
        if bytes.get(at).is_some_and(u8::is_ascii_alphabetic) {
            at += 1;
        } else if let Some((_, length)) = digit(bytes, at) {
            digits += 1;
            at += length;
        } else {
            return (at, digits);
        }
    }
}

/// The length in bytes of what parts two numbers of a run; 0 when it ends here.
fn separators(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    for _ in 0..3 {
        match separator(bytes, end) {
            Some((_, length)) => end += length,
            None => return end - at,
        }
    }
    0
}

/// What parts numbers at `at`, as ASCII, and its length.
fn separator(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    match bytes.get(at..)? {
        [byte @ (b' ' | b'-' | b'.' | b'(' | b')' | b'/'), ..] => Some((*byte, 1)),
        // Hyphens and dashes U+2010 to U+2013.
        [0xe2, 0x80, 0x90..=0x93, ..] => Some((b'-', 3)),
        _ => None,
    }
}

/// A run as rules see it.
pub(super) struct Run<'t> {
    /// The document.
    pub(super) document: &'t str,
    start: usize,
    /// In ASCII. What is before and after is no part of it.
    pub(super) text: Cow<'t, str>,
    /// For each byte of `text`, where it is in the document; empty where that
    /// is the same plus `start`.
    offsets: Vec<usize>,
    numbers: Vec<(usize, usize)>,
    floor: usize,
    /// The last answer of [`Run::begins`]: each rule asks.
    begins: Cell<Option<(usize, bool)>>,
}

impl<'t> Run<'t> {
    pub(super) fn new(document: &'t str, extent: &Extent, floor: usize) -> Self {
        let own = &document[extent.start..extent.end];
        let (text, offsets) = if own.is_ascii() {
            (Cow::Borrowed(own), Vec::new())
        } else {
            let (text, offsets) = fold(own, extent.start);
            (Cow::Owned(text), offsets)
        };
        let mut numbers = Vec::new();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let (end, _) = word(bytes, at);
            if end > at {
                numbers.push((at, end));
                at = end;
            } else {
                at += 1;
            }
        }
        Self { document, start: extent.start, text, offsets, numbers, floor, begins: Cell::new(None) }
    }

    /// The words of letters and digits: where each begins and ends.
    pub(super) fn numbers(&self) -> &[(usize, usize)] {
        &self.numbers
    }

    /// Where a byte of the run is in the document.
    pub(super) fn position(&self, at: usize) -> usize {
        match self.offsets.get(at) {
            Some(position) => *position,
            None => self.start + at,
        }
    }

    /// Whether the number at `start` is the first of the run, after nothing but
    /// pieces that were found.
    pub(super) fn is_first(&self, start: usize) -> bool {
        let earlier = self.numbers.iter().take_while(|(at, _)| *at < start);
        earlier.last().is_none_or(|(_, end)| self.position(*end) <= self.floor)
    }

    /// What is before the byte `at` of the run, back to where the last piece
    /// ended.
    pub(super) fn before(&self, at: usize) -> &'t str {
        &self.document[self.floor.min(self.position(at))..self.position(at)]
    }

    /// What is after the byte `at` of the run.
    pub(super) fn after(&self, at: usize) -> &'t str {
        &self.document[self.position(at)..]
    }

    /// Whether `start..end` stands by itself: it is no part of a longer
    /// number, a word or the address of a page.
    pub(super) fn is_whole(&self, start: usize, end: usize) -> bool {
        self.begins(start) && self.ends(end)
    }

    /// Whether nothing before `start` belongs to it.
    pub(super) fn begins(&self, start: usize) -> bool {
        if let Some((_, begins)) = self.begins.get().filter(|(asked, _)| *asked == start) {
            return begins;
        }
        let begins = self.is_beginning(start);
        self.begins.set(Some((start, begins)));
        begins
    }

    fn is_beginning(&self, start: usize) -> bool {
        let before = self.before(start);
        let mut characters = before.chars().rev();
        let Some(last) = characters.next() else { return true };
        if is_in_link(before) {
            return is_link_to_phone(before);
        }
        if is_glue(last) || (matches!(last, '/' | '=' | '&' | '#' | '%' | '?') && !is_link_to_phone(before)) {
            return before.ends_with('/') && is_after_number(before);
        }
        if last == '+' {
            return false;
        }
        !matches!(last, '.' | ',' | ':' | '-' | '–')
            || !characters.next().is_some_and(|c| c.is_numeric())
            || is_after_number(before)
    }

    /// Whether nothing after `end` belongs to it.
    pub(super) fn ends(&self, end: usize) -> bool {
        let after = self.after(end);
        let mut characters = after.chars();
        let Some(next) = characters.next() else { return true };
        if is_glue(next) || matches!(next, '@' | '%' | '=') {
            return false;
        }
        if !matches!(next, '.' | ',' | ':' | '-' | '/' | '–') {
            return true;
        }
        // Another number, and not more of this one: `0712345678/0755111222`.
        let digits = characters.as_str().bytes().take_while(u8::is_ascii_digit).count();
        let none = digits == 0 && !characters.next().is_some_and(char::is_numeric);
        none || (next != '.' && digits >= 6)
    }

    /// Whether more numbers stand before or after with nothing but a blank
    /// between: a row of a table.
    pub(super) fn is_in_series(&self, start: usize, end: usize) -> bool {
        let number = |c: Option<char>| c.is_some_and(char::is_numeric);
        self.before(start).strip_suffix(' ').is_some_and(|before| number(before.chars().next_back()))
            || self.after(end).strip_prefix(' ').is_some_and(|after| number(after.chars().next()))
    }

    /// Whether nothing but a sign or two is between a piece that ended at
    /// `end` in the document and the byte `start` of the run.
    pub(super) fn follows(&self, end: usize, start: usize) -> bool {
        self.document.get(end..self.position(start)).is_some_and(|between| {
            let word = between.trim_matches([' ', ',', '/', ';', '&', '-', '+', '(', '\n']);
            between.len() <= 8 && word.chars().count() <= 3 && word.chars().all(char::is_alphabetic)
        })
    }
}

/// Whether the text ends in a number of six digits or more and a sign.
fn is_after_number(before: &str) -> bool {
    let digits = |byte: &u8| byte.is_ascii_digit();
    before.bytes().rev().skip(1).take_while(digits).count() >= 6 && !before.ends_with(['.', ':', '+'])
}

/// Whether the text ends within the address of a page.
fn is_in_link(before: &str) -> bool {
    let last = &before[before.ceil_char_boundary(before.len().saturating_sub(LINK_BYTES_MAX))..];
    let word = last.rsplit(char::is_whitespace).next().unwrap_or(last);
    if !word.contains('.') && !word.contains(':') {
        return false;
    }
    let host = word.split_once('/').and_then(|(host, _)| host.rsplit_once('.'));
    let named = host.is_some_and(|(_, top)| top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic()));
    named || word.contains("://") || word.contains("www.")
}

fn is_link_to_phone(before: &str) -> bool {
    ["wa.me/", "phone=", "wa.me/+", "phone=+"].iter().any(|link| before.ends_with(link))
}

/// Whether a number beside this character belongs to it: letters of scripts
/// with capitals. Others are written on to numbers without a blank.
fn is_glue(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || character == '_'
        || (!character.is_ascii() && (character.is_lowercase() || character.is_uppercase() || character.is_numeric()))
}

/// The text with ASCII digits and signs, and where each byte was.
fn fold(text: &str, start: usize) -> (String, Vec<usize>) {
    let bytes = text.as_bytes();
    let (mut out, mut offsets) = (String::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
    let mut at = 0;
    while at < bytes.len() {
        let (character, length) = match (digit(bytes, at), separator(bytes, at)) {
            (Some((value, length)), _) => (char::from(b'0' + value), length),
            (None, Some((sign, length))) => (char::from(sign), length),
            // A run has nothing else but ASCII letters.
            (None, None) => (char::from(bytes[at]), 1),
        };
        out.push(character);
        offsets.push(start + at);
        at += length;
    }
    offsets.push(start + at);
    (out, offsets)
}
