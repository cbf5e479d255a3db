//! Words that were broken at the end of a line are made whole.

use std::{borrow::Cow, collections::HashSet};

/// A hyphen that is there only if the line ends after it.
const SOFT: char = '\u{ad}';

/// The text with the words made whole that a line end and a hyphen part, and
/// how many there were. The rest of the word moves up to its beginning.
///
/// A hyphen belongs to the word, and stays, when the word is written with it
/// elsewhere in the text, when its parts are the same (`haraka-haraka`), and
/// when a part is one letter long.
pub(crate) fn mend(text: &str) -> (Cow<'_, str>, u64) {
    let broken = |line: &str| line.trim_end().ends_with(['-', '\u{2010}', SOFT]);
    if !text.lines().any(broken) {
        return (Cow::Borrowed(text), 0);
    }
    let words: HashSet<&str> =
        text.split(|c: char| !in_word(c)).filter(|word| word.contains(['-', '\u{2010}'])).collect();
    let (mut out, mut count) = (String::with_capacity(text.len()), 0);
    let mut lines = text.split_inclusive('\n').peekable();
    let mut rest = "";
    loop {
        let line = if rest.is_empty() { lines.next().unwrap_or("") } else { std::mem::take(&mut rest) };
        if line.is_empty() {
            break;
        }
        let Some((left, right)) = lines.peek().and_then(|next| parts(line, next)) else {
            out.push_str(line);
            continue;
        };
        let next = lines.next().expect("it was peeked at").trim_start();
        let hyphen = line.trim_end().chars().next_back().expect("it ends in a hyphen");
        let whole = hyphen == SOFT || {
            let letters = |part: &str| part.chars().filter(|c| c.is_alphabetic()).count();
            let written = words.contains(format!("{left}{hyphen}{right}").as_str());
            !written && left.to_lowercase() != right.to_lowercase() && letters(left) > 1 && letters(right) > 1
        };
        let line = line.trim_end();
        let end = if whole { line.len() - hyphen.len_utf8() } else { line.len() };
        out.push_str(&line[..end]);
        count += u64::from(whole);
        // The rest of the word ends this line, and the next begins after it.
        let (word, after) = next.split_at(next.find(char::is_whitespace).unwrap_or(next.len()));
        out.push_str(word);
        let after_blanks = after.trim_start_matches([' ', '\t']);
        if after_blanks.starts_with(['\n', '\r']) || after_blanks.is_empty() {
            out.push_str(after_blanks);
        } else {
            out.push('\n');
            rest = after_blanks;
        }
    }
    (Cow::Owned(out), count)
}

/// The text with the lines of each paragraph joined, by a blank where the script
/// parts words by blanks. Rows of a table stay.
pub(crate) fn flowing(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let before = out.trim_end_matches([' ', '\t', '\r', '\n']).len();
        let first = line.trim_start().chars().next();
        let one = out[before..].matches('\n').count() == 1;
        let last = out[..before].chars().next_back();
        let row = |line: &str| line.contains(" | ");
        let last_line = out[..before].rsplit('\n').next().unwrap_or("");
        if let (true, Some(last), Some(first), false) = (one, last, first, row(line) || row(last_line)) {
            out.truncate(before);
            if !(is_unparted(last) && is_unparted(first)) {
                out.push(' ');
            }
            out.push_str(line.trim_start_matches([' ', '\t']));
        } else {
            out.push_str(line);
        }
    }
    out
}

/// Letters of scripts that do not part words by blanks: Thai, Lao, Tibetan,
/// Burmese, Khmer, Chinese, Japanese.
fn is_unparted(character: char) -> bool {
    matches!(character, '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aad}'
        | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

/// The two parts of a word that is broken between these lines.
fn parts<'a>(line: &'a str, next: &'a str) -> Option<(&'a str, &'a str)> {
    let line = line.trim_end();
    let before = line.strip_suffix(['-', '\u{2010}', SOFT])?;
    let left = before.rsplit(|c: char| !in_word(c)).next()?;
    let right = next.trim_start().split(|c: char| !in_word(c)).next()?;
    // A dash at the end of a line stands alone or is written twice; figures and
    // names that go on with a capital are no broken words.
    let good =
        left.chars().next_back().is_some_and(|c| in_word(c) && !c.is_numeric() && !matches!(c, '-' | '\u{2010}'))
            && right.chars().next().is_some_and(|c| c.is_alphabetic() && !c.is_uppercase());
    good.then_some((left, right))
}

fn in_word(character: char) -> bool {
    character.is_alphanumeric()
        || matches!(character, '-' | '\u{2010}' | '\'' | '’')
        || unicode_normalization::char::is_combining_mark(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_words_are_made_whole() {
        for (text, mended, count) in [
            ("Mahindi ya-\nnavunwa leo\nna kesho.", "Mahindi yanavunwa\nleo\nna kesho.", 1),
            ("Mahindi ya\u{ad}\n  navunwa.\n\nLeo", "Mahindi yanavunwa.\n\nLeo", 1),
            ("a-\nna ku-\nlima sana", "a-na\nkulima\nsana", 1),
            ("well-known, well-\nknown", "well-known, well-known", 0),
            ("twende haraka-\nharaka nyumbani", "twende haraka-haraka\nnyumbani", 0),
            ("ọ́-\nfẹ́ràn ìwé náà", "ọ́-fẹ́ràn\nìwé náà", 0),
            (
                "Dar es Salaam-\nDodoma, 1990-\n1999, leo -\nkesho",
                "Dar es Salaam-\nDodoma, 1990-\n1999, leo -\nkesho",
                0,
            ),
            ("mstari wa mwi-\r\nsho\r\n", "mstari wa mwisho\r\n", 1),
            ("mwisho-", "mwisho-", 0),
            ("mwi-\n\nsho", "mwi-\n\nsho", 0),
        ] {
            assert_eq!(mend(text), (mended.into(), count), "{text:?}");
        }
    }

    #[test]
    fn the_lines_of_a_paragraph_are_joined() {
        let text = "Mahindi\nhuvunwa \n yakikauka.\n\nJina | Umri\nJuma | 31\nMwisho\n\n玉米在\n叶子\n";
        assert_eq!(flowing(text), "Mahindi huvunwa yakikauka.\n\nJina | Umri\nJuma | 31\nMwisho\n\n玉米在叶子\n");
    }

    #[test]
    fn nothing_but_hyphens_and_blanks_is_lost() {
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let parts = ["a", "mahindi", "-", "\n", "-\n", " ", "\u{ad}\n", "Ọ̀", "\r\n", "ẹ̀", "7", "\u{2010}\n", "\t"];
        for _ in 0..5000 {
            let text: String = (0..random(40)).map(|_| parts[random(parts.len())]).collect();
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            assert_eq!(letters(&mend(&text).0), letters(&text), "{text:?}");
        }
    }
}
