//! Numbers and dates in the writings that people have for them: with marks or
//! blanks between the thousands, in the digits of any script, with the names of
//! months.

use std::{ops::Range, sync::OnceLock};

use kwaya_text::units::digit;
use serde_json::Number;

use super::place::fold;

/// What may stand between the digits of one number, beside blanks.
const MARKS: [char; 7] = ['.', ',', '\'', '\u{2019}', '\u{66b}', '\u{66c}', '\u{b7}'];
/// Blanks that part thousands.
const BLANKS: [char; 5] = [' ', '\u{a0}', '\u{2009}', '\u{202f}', '\u{2007}'];
/// What comes before the part of a number that is less than one.
const POINTS: [char; 3] = ['.', ',', '\u{66b}'];
/// Digits of the numbers that are looked for, with a few marks.
const GROUPS_MAX: usize = 10;
/// The day, the month and the year of a date are in so many words and numbers.
const DATE_PARTS_MAX: usize = 7;

/// The names of months in some languages, as they are compared.
const MONTHS: &str = include_str!("months.tsv");

/// Digits that follow one another.
pub(super) struct Group {
    place: Range<usize>,
    /// In ASCII.
    digits: String,
}

/// All groups of digits in a text.
pub(super) fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, character) in text.char_indices() {
        let Some(value) = digit(character) else { continue };
        let end = at + character.len_utf8();
        match groups.last_mut() {
            Some(group) if group.place.end == at => group.place.end = end,
            _ => groups.push(Group { place: at..end, digits: String::new() }),
        }
        if let Some(group) = groups.last_mut() {
            group.digits.push(char::from(b'0' + value));
        }
    }
    groups
}

/// The one character between two groups that follow one another.
fn between(text: &str, groups: &[Group], after: usize) -> Option<char> {
    let mut characters = text[groups[after].place.end..groups.get(after + 1)?.place.start].chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// The first place of a number, first as it is written in programs, then in any
/// writing.
pub(super) fn number(text: &str, groups: &[Group], number: &Number) -> Option<Range<usize>> {
    let value = match number.as_f64()? {
        // It is exact to the last digit, other than the other.
        _ if number.is_i64() || number.is_u64() => number.to_string(),
        value => value.to_string(),
    };
    let (negative, value) = match value.strip_prefix('-') {
        Some(value) => (true, value),
        None => (false, value.as_str()),
    };
    let value = plain(value.split_once('.').unwrap_or((value, "")));
    let runs = runs(text, groups);
    let signed = |run: &Range<usize>| {
        let place = groups[run.start].place.start..groups[run.end - 1].place.end;
        (is_negative(text, &place) == negative).then_some(place)
    };
    let with = |reads: &dyn Fn(&Range<usize>) -> bool| runs.iter().filter(|run| reads(run)).find_map(signed);
    with(&|run| as_programs_write(text, groups, run) == Some(value.clone()))
        .or_else(|| with(&|run| readings(text, groups, run).contains(&value)))
}

/// The groups that are one number: all that have marks between them, and then
/// those with blanks, with which they may be.
fn runs(text: &str, groups: &[Group]) -> Vec<Range<usize>> {
    let joined = |marks: &[char], after: usize| between(text, groups, after).is_some_and(|mark| marks.contains(&mark));
    let mut runs = Vec::new();
    let mut start = 0;
    while start < groups.len() {
        let end = (start..groups.len()).find(|at| !joined(&MARKS, *at)).map_or(groups.len(), |at| at + 1);
        runs.push(start..end);
        start = end;
    }
    let tight = runs.clone();
    for (at, first) in tight.iter().enumerate() {
        let mut run = first.clone();
        for next in &tight[at + 1..] {
            if !joined(&BLANKS, run.end - 1) || groups[next.start].digits.len() != 3 || run.len() >= GROUPS_MAX {
                break;
            }
            run.end = next.end;
            runs.push(run.clone());
        }
    }
    runs.sort_by_key(|run| (run.start, std::cmp::Reverse(run.end)));
    runs
}

/// Without zeros that say nothing.
fn plain((whole, part): (&str, &str)) -> String {
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    format!("{whole}.{part}")
}

fn as_programs_write(text: &str, groups: &[Group], run: &Range<usize>) -> Option<String> {
    let groups_of = &groups[run.clone()];
    match groups_of {
        [whole] => Some(plain((&whole.digits, ""))),
        [whole, part] if between(text, groups, run.start) == Some('.') => Some(plain((&whole.digits, &part.digits))),
        _ => None,
    }
}

/// What a run of groups can mean.
fn readings(text: &str, groups: &[Group], run: &Range<usize>) -> Vec<String> {
    let digits: Vec<&str> = groups[run.clone()].iter().map(|group| group.digits.as_str()).collect();
    let marks: Vec<char> = (run.start..run.end - 1).filter_map(|at| between(text, groups, at)).collect();
    let mut readings = Vec::new();
    let (Some(last), Some((part, wholes))) = (marks.last(), digits.split_last()) else { return readings };
    let alike = |marks: &[char]| marks.iter().all(|mark| *mark == marks[0]);
    if alike(&marks) && are_thousands(&digits) {
        readings.push(plain((&digits.concat(), "")));
    }
    let before = &marks[..marks.len() - 1];
    if POINTS.contains(last) && (before.is_empty() || !before.contains(last) && alike(before) && are_thousands(wholes))
    {
        readings.push(plain((&wholes.concat(), part)));
    }
    readings
}

/// Whether digits are parted as thousands are, or as lakh and crore.
fn are_thousands(digits: &[&str]) -> bool {
    let [first, middle @ .., last] = digits else { return true };
    let lengths = |length: usize| middle.iter().all(|group| group.len() == length);
    (1..=3).contains(&first.len()) && last.len() == 3 && (lengths(3) || lengths(2) && first.len() < 3)
}

/// By a sign before it, or by brackets, as in books of account.
fn is_negative(text: &str, place: &Range<usize>) -> bool {
    let mut before = text[..place.start].chars().rev();
    match before.next() {
        Some('-' | '\u{2212}') => !before.next().is_some_and(char::is_alphanumeric),
        Some('(') => text[place.end..].starts_with(')'),
        _ => false,
    }
}

/// The first place of a date that is given as 2024-03-05.
pub(super) fn date(text: &str, groups: &[Group], value: &str) -> Option<Range<usize>> {
    let bytes = value.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' || !value.is_ascii() {
        return None;
    }
    let part = |range: Range<usize>| value[range].parse::<u32>().ok();
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    in_digits(text, groups, [year, month, day]).or_else(|| in_words(text, groups, [year, month, day]))
}

fn number_of(group: &Group) -> Option<u32> {
    group.digits.parse().ok().filter(|_| group.digits.len() <= 4)
}

fn is_year(group: &Group, year: u32) -> bool {
    match group.digits.len() {
        4 => number_of(group) == Some(year),
        2 => number_of(group) == Some(year % 100),
        _ => false,
    }
}

fn in_digits(text: &str, groups: &[Group], [year, month, day]: [u32; 3]) -> Option<Range<usize>> {
    let is_date = |at: usize| {
        let [first, second, third] = groups.get(at..at + 3)? else { return None };
        let marks = [between(text, groups, at)?, between(text, groups, at + 1)?];
        let [a, b, c] = [first, second, third].map(number_of);
        let (day, month) = (Some(day), Some(month));
        let ends = is_year(third, year) && (a == day && b == month || a == month && b == day);
        let begins = first.digits.len() == 4 && is_year(first, year) && b == month && c == day;
        let parted = marks[0] == marks[1] && ['/', '.', '-', ' '].contains(&marks[0]);
        (parted && (ends || begins)).then_some(first.place.start..third.place.end)
    };
    (0..groups.len()).find_map(is_date)
}

fn in_words(text: &str, groups: &[Group], [year, month, day]: [u32; 3]) -> Option<Range<usize>> {
    for (at, group) in groups.iter().enumerate() {
        // The year is the last part of such a date in all languages here.
        if group.digits.len() != 4 || !is_year(group, year) {
            continue;
        }
        let line = text[..group.place.start].rfind('\n').map_or(0, |at| at + 1);
        let parts = words(&text[line..group.place.start], line);
        let parts = &parts[parts.len().saturating_sub(DATE_PARTS_MAX)..];
        let day_at = groups[..at].iter().rev().take(2).find(|group| number_of(group) == Some(day));
        let month_at = parts.iter().find(|place| is_month(&text[(*place).clone()], month));
        let (Some(day), Some(month)) = (day_at, month_at) else { continue };
        if parts.iter().any(|part| part.start == day.place.start) {
            return Some(day.place.start.min(month.start)..group.place.end);
        }
    }
    None
}

/// The words and the numbers of a text that begins at `from`.
fn words(text: &str, from: usize) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut last = None;
    for (at, character) in text.char_indices() {
        let kind = character.is_alphanumeric().then(|| digit(character).is_some());
        let end = from + at + character.len_utf8();
        match words.last_mut() {
            Some(word) if kind.is_some() && kind == last => word.end = end,
            _ if kind.is_some() => words.push(from + at..end),
            _ => {}
        }
        last = kind;
    }
    words
}

fn is_month(word: &str, month: u32) -> bool {
    static NAMES: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    let names = NAMES.get_or_init(|| MONTHS.lines().map(|line| line.split('\t').skip(1).map(fold).collect()).collect());
    let of_month = (month as usize).checked_sub(1).and_then(|index| names.get(index));
    of_month.is_some_and(|names| names.contains(&fold(word)))
}
