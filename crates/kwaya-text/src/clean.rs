//! Putting a text in order: one Unicode form, one kind of line end, no
//! control characters, no runs of blanks; and telling prose from junk.

use std::mem::replace;

use memchr::memchr_iter;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Below this share of letters among the visible characters, a text is not
/// prose: tables of figures, code points in disguise, line art.
const LETTERS_MIN: f64 = 0.5;
/// Above this share of replacement characters, something was decoded wrongly.
const REPLACEMENTS_MAX: f64 = 0.01;
/// Above this share of bytes in lines that were there before, a text is a
/// form, a log or a broken export.
const REPEATED_MAX: f64 = 0.6;

/// The text in NFC, with `\n` line ends, single blanks, at most one empty
/// line in a row, and no control, zero-width or soft-hyphen characters. The
/// joiners U+200C and U+200D stay: some scripts are spelled with them.
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut blank, mut lines) = (false, 0);
    let mut rest = text;
    while !rest.is_empty() {
        // Most bytes are plain: they are copied by the run, not one by one.
        let (run, after) = rest.split_at(plain(rest.as_bytes()));
        if !run.is_empty() {
            separate(&mut out, &mut blank, &mut lines);
            out.push_str(run);
        }
        let Some(character) = after.chars().next() else { break };
        rest = &after[character.len_utf8()..];
        match character {
            '\r' if rest.starts_with('\n') => {}
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => lines += 1,
            _ if character.is_whitespace() => blank = true,
            '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => {}
            _ if character.is_control() => {}
            _ => {
                separate(&mut out, &mut blank, &mut lines);
                out.push(character);
            }
        }
    }
    // Last, as a character that is left out may have parted two that compose.
    if is_nfc(&out) { out } else { out.nfc().collect() }
}

/// How many bytes at the start are as they should be: visible signs of ASCII with
/// single blanks between them.
fn plain(bytes: &[u8]) -> usize {
    const STEP: usize = 32;
    let visible = |byte: u8| (0x21..0x7f).contains(&byte);
    let good = |byte: u8, next: u8| visible(byte) | ((byte == b' ') & visible(next));
    if bytes.first() == Some(&b' ') {
        return 0;
    }
    let mut at = 0;
    while let Some(step) = bytes.get(at..=at + STEP) {
        // Not `all`, which stops at the first and so cannot take many at a time.
        if !step.iter().zip(&step[1..]).fold(true, |all, (byte, next)| all & good(*byte, *next)) {
            break;
        }
        at += STEP;
    }
    let left = bytes[at..].iter().enumerate();
    let end = |(i, &byte): (usize, &u8)| !good(byte, bytes.get(at + i + 1).copied().unwrap_or(b' '));
    at + left.clone().position(end).unwrap_or(left.len())
}

/// As `text.split('\n')`, many bytes at a time.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let ends = memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
    ends.map(move |end| &text[replace(&mut start, end + 1)..end])
}

/// How many bytes are so, counted many at a time.
fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> u64 {
    let chunks = bytes.chunks(usize::from(u8::MAX));
    chunks.map(|chunk| u64::from(chunk.iter().map(|byte| u8::from(is(*byte))).sum::<u8>())).sum()
}

/// Writes the blank or the line ends that wait before the next character.
fn separate(out: &mut String, blank: &mut bool, lines: &mut usize) {
    if !out.is_empty() {
        match *lines {
            0 if *blank => out.push(' '),
            0 => {}
            1 => out.push('\n'),
            _ => out.push_str("\n\n"),
        }
    }
    (*blank, *lines) = (false, 0);
}

/// A normalised text in even pieces of at most `limit` bytes, cut at the end
/// of a paragraph, or else of a line, or else of a word, that is in the second
/// half of a piece.
pub fn pieces(text: &str, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > limit {
        let end = rest.floor_char_boundary(rest.len().div_ceil(rest.len().div_ceil(limit)));
        let middle = rest.floor_char_boundary(end / 2);
        let at = ["\n\n", "\n", " "].iter().find_map(|cut| rest[middle..end].rfind(cut));
        let (piece, after) = rest.split_at(at.map_or(end, |at| middle + at));
        pieces.push(piece.trim_end());
        rest = after.trim_start();
    }
    pieces.push(rest);
    pieces
}

fn is_nfc(text: &str) -> bool {
    // A line feed never combines, so each line can be judged alone, and most
    // lines of most languages are ASCII.
    lines(text).all(|line| line.is_ascii() || is_nfc_quick(line.chars()) == IsNormalized::Yes)
}

/// Why this normalised text is not prose, as a word for experts; `None` when
/// it may be.
pub fn not_prose(text: &str) -> Option<&'static str> {
    let (mut visible, mut letters, mut replaced) = (0_u64, 0_u64, 0_u64);
    for line in lines(text) {
        if line.is_ascii() {
            // The same as below, many bytes at a time.
            visible += count(line.as_bytes(), |byte| !matches!(byte, 9..=13 | 32));
            letters += count(line.as_bytes(), |byte| byte.is_ascii_alphabetic());
            continue;
        }
        for character in line.chars().filter(|c| !c.is_whitespace()) {
            visible += 1;
            letters += u64::from(character.is_alphabetic() || is_mark(character));
            replaced += u64::from(character == char::REPLACEMENT_CHARACTER);
        }
    }
    let share = |part: u64| part as f64 / visible.max(1) as f64;
    if share(letters) < LETTERS_MIN {
        return Some("letters");
    }
    if share(replaced) > REPLACEMENTS_MAX {
        return Some("replacement-characters");
    }
    (repeated(text) > REPEATED_MAX).then_some("repeated-lines")
}

/// Vowel signs and tone marks that Unicode does not count as alphabetic.
fn is_mark(character: char) -> bool {
    !character.is_ascii() && unicode_normalization::char::is_combining_mark(character)
}

/// The share of bytes in lines that occurred before.
fn repeated(text: &str) -> f64 {
    let mut all: Vec<&str> = lines(text).filter(|line| !line.is_empty()).collect();
    // By their length first, which parts nearly all of them.
    all.sort_unstable_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let again: usize = all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[1].len()).sum();
    again as f64 / text.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_lines_and_controls_are_put_in_order() {
        let text = "\u{feff}  Habari \t za\u{a0}leo \r\n\r\n\n\nNzuri\u{7}\u{ad} sana\rAsante  \n\n";
        assert_eq!(normalise(text), "Habari za leo\n\nNzuri sana\nAsante");
        assert_eq!(normalise(" \n\u{200b}\n"), "");
    }

    #[test]
    fn runs_of_plain_bytes_end_where_something_is_to_be_done() {
        let text = "Habari za leo, mkulima wa kijiji hiki; mvua inanyesha usiku kucha.";
        for (tail, length) in [("", 0), (" ", 0), (" a", 2), ("  a", 0), ("é", 0), (" é", 0), ("\n", 0), ("\u{7f}", 0)]
        {
            for start in text.match_indices(|c| c != ' ').map(|(at, _)| at) {
                let text = format!("{}{tail}", &text[start..]);
                assert_eq!(plain(text.as_bytes()), text.len() - tail.len() + length, "{text:?}");
                assert_eq!(plain(format!(" {text}").as_bytes()), 0);
            }
        }
        assert_eq!(lines("a\n\nb\n").collect::<Vec<_>>(), ["a", "", "b", ""]);
        assert_eq!(lines("").collect::<Vec<_>>(), [""]);
        assert_eq!(count(&[b'a'; 1000], |byte| byte == b'a'), 1000);
    }

    #[test]
    fn letters_are_composed_and_joiners_stay() {
        assert_eq!(normalise("o\u{323}\u{300}ro\u{323}"), "\u{1ecd}\u{300}r\u{1ecd}");
        assert_eq!(normalise("ක්\u{200d}ෂ"), "ක්\u{200d}ෂ");
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for text in ["a\u{300} b\r\n\n c", "e\u{ad}\u{301}", "a \u{301}", "\u{1100}\u{200b}\u{1161}"] {
            let once = normalise(text);
            assert_eq!(normalise(&once), once, "{text:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_at_paragraphs() {
        let paragraph = "Mahindi huvunwa yakikauka. ".repeat(4).trim_end().to_owned();
        let text = [paragraph.as_str(); 50].join("\n\n");
        let cut = pieces(&text, 1000);
        assert_eq!(cut.join("\n\n"), text);
        assert!(cut.iter().all(|piece| (400..=1000).contains(&piece.len())));
        assert_eq!(pieces(&paragraph, 1000), [paragraph.as_str()]);
        // Without a blank, between characters; and nothing but blanks is lost.
        for text in ["ខ្មែរ".repeat(200), "a\nb c ".repeat(300), "neno ".repeat(100) + &"x".repeat(999)] {
            let text = normalise(&text);
            let cut = pieces(&text, 64);
            assert!(cut.iter().all(|piece| (10..=64).contains(&piece.len())), "{cut:?}");
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(letters(&cut.concat()), letters(&text));
        }
    }

    #[test]
    fn junk_is_told_from_prose() {
        assert_eq!(not_prose("Mvua kubwa inatarajiwa kunyesha."), None);
        assert_eq!(not_prose("ሰላም ለዓለም። हिन्दी भाषा"), None);
        assert_eq!(not_prose("12.5 | 33.1 | 0x7f -- 88"), Some("letters"));
        assert_eq!(not_prose("habari \u{fffd}\u{fffd} ya leo"), Some("replacement-characters"));
        assert_eq!(not_prose(&"bonyeza hapa\n".repeat(9)), Some("repeated-lines"));
    }
}
