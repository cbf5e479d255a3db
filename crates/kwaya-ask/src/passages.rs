//! The passages of a text: pieces of a paragraph or a few, each with its place.

use std::ops::Range;

use kwaya_text::quality::words::sentences;

/// A passage goes on up to the end of a paragraph after so many bytes,
const BYTES_MIN: usize = 300;
/// or up to the end of a line after so many,
const BYTES_USUAL: usize = 600;
/// and never has more: a person reads it at a glance, and a model with a short
/// context takes in several.
pub const BYTES_MAX: usize = 1000;

/// Where the passages of `text` lie, in bytes. They follow one another and
/// leave nothing out.
pub fn passages(text: &str) -> Vec<Range<usize>> {
    let mut passages: Vec<Range<usize>> = Vec::new();
    let mut open = 0..0;
    for unit in units(text) {
        if open.len() + unit.len() > BYTES_MAX {
            passages.push(std::mem::replace(&mut open, unit.start..unit.start));
        }
        open.end = unit.end;
        if open.len() >= BYTES_MIN && ends(text, &open) {
            passages.push(std::mem::replace(&mut open, unit.end..unit.end));
        }
    }
    if !open.is_empty() {
        // A last line alone says little.
        match passages.last_mut().filter(|last| open.len() < BYTES_MIN && last.len() + open.len() <= BYTES_MAX) {
            Some(last) => last.end = open.end,
            None => passages.push(open),
        }
    }
    passages
}

/// A passage without the blanks around it, and where that lies.
pub(crate) fn trimmed(text: &str, start: usize) -> (&str, Range<usize>) {
    let start = start + (text.len() - text.trim_start().len());
    let text = text.trim();
    (text, start..start + text.len())
}

/// Whether a passage may end here: after a paragraph, or after a line that
/// does not seem to go on, once it is long enough.
fn ends(text: &str, passage: &Range<usize>) -> bool {
    let (before, after) = (&text[passage.clone()], &text[passage.end..]);
    if !before.ends_with('\n') {
        return false;
    }
    let paragraph = before.ends_with("\n\n");
    let goes_on = |c: char| c.is_alphanumeric() || c == ',';
    let sentence = before.len() >= BYTES_USUAL && !before.trim_end().ends_with(goes_on);
    // The blank line belongs to what is before it.
    !after.starts_with('\n') && (paragraph || sentence)
}

/// The least that is kept together: lines, of long ones sentences, of long
/// sentences words, of long words characters.
fn units(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    let lines = text.split_inclusive('\n');
    let units = lines.flat_map(|line| -> Box<dyn Iterator<Item = &str>> {
        if line.len() <= BYTES_MAX {
            Box::new(std::iter::once(line))
        } else {
            Box::new(sentences(line).flat_map(short))
        }
    });
    units.map(move |unit| {
        at += unit.len();
        at - unit.len()..at
    })
}

/// A sentence in pieces that are short enough.
fn short(sentence: &str) -> impl Iterator<Item = &str> {
    let mut rest = sentence;
    std::iter::from_fn(move || {
        let most = rest.floor_char_boundary(BYTES_MAX);
        let end = if most == rest.len() { most } else { rest[..most].rfind(' ').map_or(most, |blank| blank + 1) };
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        passages(text).into_iter().map(|place| &text[place]).collect()
    }

    #[test]
    fn a_passage_ends_with_a_paragraph() {
        let paragraph = "Mahindi huvunwa yakikauka. ".repeat(13).trim_end().to_owned();
        let text = [paragraph.as_str(); 3].join("\n\n");
        assert_eq!(cut(&text), [&format!("{paragraph}\n\n"), &format!("{paragraph}\n\n"), &*paragraph]);
        // A heading belongs to what comes after it, a last line to what was before.
        let text = format!("Kuvuna\n\n{paragraph}\n\nMwisho.");
        assert_eq!(cut(&text), [&text]);
        assert_eq!(cut("Mahindi"), ["Mahindi"]);
        assert!(cut("").is_empty());
    }

    #[test]
    fn a_long_line_is_cut_between_sentences_and_a_long_word_anywhere() {
        let text = "Mahindi huvunwa yakikauka. ".repeat(100);
        assert!(cut(&text).iter().all(|passage| passage.ends_with("yakikauka. ")));
        let text = "ሰላም".repeat(1000);
        assert_eq!(cut(&text).concat(), text);
    }

    #[test]
    fn blanks_around_a_passage_are_no_part_of_its_place() {
        assert_eq!(trimmed("\n ab\n\n", 7), ("ab", 9..11));
        assert_eq!(trimmed(" ", 7).0, "");
    }

    proptest! {
        #[test]
        fn passages_follow_one_another_in_any_script(text in "(\\PC{0,400}[\n. ]{0,3}|[ሀ-ፚ ]{0,300}|[ก-ฮ一-丸]{0,300}){0,12}") {
            let places = passages(&text);
            let mut at = 0;
            for place in places {
                prop_assert_eq!(place.start, at);
                prop_assert!(!place.is_empty() && place.len() <= BYTES_MAX);
                prop_assert!(text.is_char_boundary(place.end));
                at = place.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
