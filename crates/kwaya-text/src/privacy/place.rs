//! Coordinates on the earth, as far as they tell a house from its neighbours:
//! pairs of degrees with four decimals or more, or with seconds. Those of a
//! town stay.

use super::near;

/// Decimals by which a pair with signs of its kind is told (about 10 m).
const DECIMALS_MIN: usize = 4;
/// Decimals by which a bare pair is told from figures: what a GPS prints.
const BARE_DECIMALS_MIN: usize = 5;
/// Words before a pair; `@`, `q` and `ll` are from links to maps.
const BEFORE: &[&str] = &[
    "coordinates",
    "coordinate",
    "coords",
    "gps",
    "location",
    "lat",
    "latitude",
    "geo",
    "at",
    "q",
    "ll",
    "loc",
    "pin",
    "position",
    "majira",
    "viwianishi",
    "eneo",
    "latitud",
    "coordenadas",
    "coordonnées",
    "ubicación",
    "koordinat",
    "localização",
    "longitude",
    "lon",
    "long",
];
/// What may stand between the two numbers of a pair, beside signs.
const BETWEEN: &[&str] =
    &["", "lon", "long", "lng", "longitude", "longitud", "lat", "latitude", "latitud", "and", "na", "y", "et", "e"];
/// Bytes between them, at most.
const BETWEEN_MAX: usize = 18;
/// Bytes before them that are looked at.
const WORDS_BEFORE: usize = 24;

/// One number of a pair.
struct Angle {
    start: usize,
    end: usize,
    degrees: f64,
    decimals: usize,
    /// It has a sign for degrees, or a letter for its half of the earth.
    marked: bool,
    /// It is in degrees and minutes, exact to some tens of metres.
    exact: bool,
}

/// The pair of coordinates whose first digit is at `at`; not before `floor`.
pub(super) fn find(text: &str, at: usize, floor: usize) -> Option<(usize, usize)> {
    let first = angle(text, at, floor)?;
    let rest = &text[first.end..];
    let next = near::first(rest, BETWEEN_MAX).find(|c: char| c.is_ascii_digit())?;
    let second = angle(text, first.end + next, first.end)?;
    let between = &text[first.end..second.start];
    let word = between.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
    let signs = between.chars().all(|c| c.is_alphabetic() || " ,;:/=&\n\"'()|".contains(c));
    let latitude = first.degrees <= 90.0 && second.degrees <= 180.0;
    if between.is_empty() || !signs || !BETWEEN.contains(&word.as_str()) || !latitude {
        return None;
    }
    let decimals = first.decimals.min(second.decimals);
    let before = near::last(&text[floor..first.start], WORDS_BEFORE);
    let told = word.starts_with('l') || near::ends_in_word(before, BEFORE) || before.ends_with('@');
    let far = first.degrees >= 1.0 || second.degrees >= 1.0;
    let good = (first.exact && second.exact)
        || (decimals >= DECIMALS_MIN && (told || (first.marked && second.marked)))
        || (decimals >= BARE_DECIMALS_MIN && far && word.is_empty() && between.contains([',', ';']));
    good.then_some((first.start, second.end))
}

fn angle(text: &str, at: usize, floor: usize) -> Option<Angle> {
    let bytes = text.as_bytes();
    let digits =
        |at: usize| bytes.get(at..).map_or(0, |rest| rest.iter().take(24).take_while(|b| b.is_ascii_digit()).count());
    let whole = digits(at);
    if !(1..=3).contains(&whole) {
        return None;
    }
    let mut end = at + whole;
    let point = bytes.get(end) == Some(&b'.');
    let mut decimals = 0;
    if point {
        decimals = digits(end + 1);
        end += 1 + decimals;
        // Most numbers with a point are no angles.
        (decimals >= DECIMALS_MIN).then_some(())?;
    } else {
        degree_sign(&text[end..])?;
    }
    let degrees: f64 = text[at..end].parse().ok()?;
    let mut marked = false;
    let mut exact = false;
    if let Some(length) = degree_sign(&text[end..]) {
        marked = true;
        end += length;
        if !point {
            (end, exact) = minutes(text, end)?;
        }
    }
    let rest = text[end..].trim_start_matches(' ');
    let mut letters = rest.chars();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    if letters.next().is_some_and(|c| "NSEWO".contains(c)) && !letters.next().is_some_and(word) {
        marked = true;
        end = text.len() - rest.len() + 1;
    } else if text[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        // `9.141517e-9`
        return None;
    }
    // A letter or a sign before it.
    let before = &text[floor..at];
    let mut start = at - before.len() + before.trim_end_matches(['-', '+', '−']).len();
    let before = &text[floor..start];
    let letter = before.trim_end_matches(' ');
    let mut letters = letter.chars().rev();
    if letters.next().is_some_and(|c| "NSEW".contains(c)) && !letters.next().is_some_and(char::is_alphanumeric) {
        marked = true;
        start = floor + letter.len() - 1;
    } else if before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-')) {
        return None;
    }
    Some(Angle { start, end, degrees, decimals, marked, exact })
}

fn degree_sign(text: &str) -> Option<usize> {
    ["°", "º", " °", "˚"].into_iter().find(|sign| text.starts_with(sign)).map(str::len)
}

/// Minutes and seconds: their end, and whether they are exact.
fn minutes(text: &str, at: usize) -> Option<(usize, bool)> {
    let (at, decimals) = part(text, at, &["′", "'", "’", "´", "`"])?;
    match part(text, at, &["″", "\"", "”", "''", "′′", "’’"]) {
        Some((end, _)) => Some((end, true)),
        None => Some((at, decimals >= 2)),
    }
}

/// A number below 60 with its sign: the end, and how many decimals it has.
fn part(text: &str, at: usize, signs: &[&str]) -> Option<(usize, usize)> {
    let rest = text[at..].trim_start_matches(' ');
    let length = rest.bytes().take(16).take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let number = &rest[..length];
    let value: f64 = number.parse().ok()?;
    let after = rest[length..].trim_start_matches(' ');
    let sign = signs.iter().find(|sign| after.starts_with(**sign))?;
    let decimals = number.find('.').map_or(0, |point| number.len() - point - 1);
    (value < 60.0).then_some((text.len() - after.len() + sign.len(), decimals))
}
