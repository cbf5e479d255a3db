//! The text of a PDF, or the pictures of one that is a scan.
//!
//! `unpdf` finds the order of reading and the paragraphs. Here running heads
//! are left out, paragraphs that go on over a page are joined, and a file whose
//! fonts do not say which characters they show is refused.

use std::collections::BTreeMap;

use unpdf::{
    Error,
    model::{Document, Page},
};

use crate::{
    Reason,
    extract::{Refusal, damaged},
    worker::REPLY_MAX,
};

/// A file with a larger share of characters that cannot be known is refused.
const UNKNOWN_MAX: f64 = 0.05;
/// A head is the same on so many pages, and among so many blocks at the edge.
const HEAD_PAGES_MIN: usize = 3;
const HEAD_BLOCKS: usize = 2;
/// And is no longer than this.
const HEAD_BYTES_MAX: usize = 200;
/// Fonts that are named in a refusal.
const FONTS_NAMED_MAX: usize = 5;
/// Smaller pictures are no pages.
const PICTURE_PIXELS_MIN: u32 = 200;

fn open(bytes: &[u8], pictures: bool) -> Result<Document, Refusal> {
    let reader = unpdf::Unpdf::new().sequential().lenient().with_images(pictures);
    let parsed = reader.parse_bytes(bytes).map_err(|error| match error {
        Error::Encrypted | Error::InvalidPassword => (Reason::Encrypted, String::new()),
        other => damaged(other),
    })?;
    Ok(parsed.document)
}

/// The text of a PDF.
pub(crate) fn text(bytes: &[u8]) -> Result<String, Refusal> {
    let document = open(bytes, false)?;
    let mut pages: Vec<Vec<String>> = document.pages.iter().map(blocks).collect();
    without_heads(&mut pages);
    let text = joined(&pages);
    known(&document, &text)?;
    match text.trim().is_empty() {
        true => Err((Reason::NoText, String::new())),
        false => Ok(text.chars().filter(|c| !is_private(*c)).collect()),
    }
}

fn blocks(page: &Page) -> Vec<String> {
    let blocks = page.elements.iter().map(|block| {
        let mut text = String::new();
        block.append_plain_text(&mut text);
        text
    });
    blocks.filter(|block| !block.trim().is_empty()).collect()
}

/// Takes away what is at the edge of several pages, but for its numbers.
fn without_heads(pages: &mut [Vec<String>]) {
    let key = |block: &str| -> String {
        let plain = block.chars().map(|c| if c.is_numeric() { '#' } else { c });
        let mut key: String = plain.filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
        while key.contains("##") {
            key = key.replace("##", "#");
        }
        key
    };
    let is_edge = |at: usize, count: usize| at < HEAD_BLOCKS || at + HEAD_BLOCKS >= count;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for page in pages.iter() {
        let edge = page.iter().enumerate().filter(|(at, block)| is_edge(*at, page.len()) && block.len() <= HEAD_BYTES_MAX);
        let mut keys: Vec<String> = edge.map(|(_, block)| key(block)).collect();
        keys.sort();
        keys.dedup();
        keys.into_iter().for_each(|key| *seen.entry(key).or_default() += 1);
    }
    seen.retain(|_, count| *count >= HEAD_PAGES_MIN);
    for page in pages.iter_mut().filter(|_| !seen.is_empty()) {
        let (count, mut at) = (page.len(), 0);
        page.retain(|block| {
            at += 1;
            !(is_edge(at - 1, count) && block.len() <= HEAD_BYTES_MAX && seen.contains_key(&key(block)))
        });
    }
}

/// The text of the pages, with paragraphs whole that go on over a page.
fn joined(pages: &[Vec<String>]) -> String {
    let mut out = String::new();
    for page in pages {
        for (at, block) in page.iter().enumerate() {
            let goes_on = at == 0 && block.chars().next().is_some_and(char::is_lowercase) && {
                let end = out.trim_end().chars().next_back();
                end.is_some_and(|c| c.is_alphanumeric() || matches!(c, ',' | '-' | '\u{2010}' | '\u{ad}'))
            };
            if !out.is_empty() {
                out.push_str(if goes_on { "\n" } else { "\n\n" });
            }
            out.push_str(block.trim_end());
        }
    }
    out
}

/// Whether it is known what most of the signs are.
fn known(document: &Document, text: &str) -> Result<(), Refusal> {
    let (mut characters, mut unknown) = (0_u64, 0_u64);
    for character in text.chars().filter(|c| !c.is_whitespace()) {
        characters += 1;
        unknown += u64::from(is_private(character) || character.is_control() || character == '\u{fffd}');
    }
    // Some programs write `(cid:12)` for a sign that they do not know.
    unknown += 6 * text.matches("(cid:").count() as u64;
    let mut fonts = Vec::new();
    for page in &document.pages {
        characters += u64::from(page.undecoded_text_codes);
        unknown += u64::from(page.undecoded_text_codes);
        for font in &page.unreadable_fonts {
            // A run is a few words; its signs are not counted.
            let signs = 10 * font.runs as u64;
            (characters, unknown) = (characters + signs, unknown + signs);
            if fonts.len() < FONTS_NAMED_MAX && !fonts.contains(&font.name) {
                fonts.push(font.name.clone());
            }
        }
    }
    let share = unknown as f64 / characters.max(1) as f64;
    if share <= UNKNOWN_MAX {
        return Ok(());
    }
    fonts.sort();
    let fonts = if fonts.is_empty() { String::new() } else { format!(": {}", fonts.join(", ")) };
    Err((Reason::UnreadableFont, format!("{:.0} %{fonts}", 100.0 * share)))
}

/// A character that means what a font wants it to mean.
fn is_private(character: char) -> bool {
    matches!(character, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// The pictures of a PDF page after page, each its length (8 bytes, little
/// endian) and its bytes.
pub(crate) fn pictures(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let document = open(bytes, true)?;
    let mut out = Vec::new();
    for (_, picture) in document.resources().filter(|(_, resource)| resource.is_image()) {
        let is_page = |side: Option<u32>| side.is_none_or(|side| side >= PICTURE_PIXELS_MIN);
        if !(is_page(picture.width) && is_page(picture.height)) {
            continue;
        }
        if (out.len() + picture.data.len() + 8) as u64 > REPLY_MAX {
            return Err((Reason::TooLarge, "pictures".to_owned()));
        }
        out.extend((picture.data.len() as u64).to_le_bytes());
        out.extend(&picture.data);
    }
    match out.is_empty() {
        true => Err((Reason::NoText, "no picture can be taken out".to_owned())),
        false => Ok(out),
    }
}

/// The pictures that [`pictures`] has packed.
pub(crate) fn unpack(mut packed: &[u8]) -> Vec<&[u8]> {
    let mut pictures = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk::<8>() {
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((picture, rest)) = rest.split_at_checked(length) else { break };
        pictures.push(picture);
        packed = rest;
    }
    pictures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(pages: &[&[&str]]) -> Vec<Vec<String>> {
        pages.iter().map(|page| page.iter().map(|block| (*block).to_owned()).collect()).collect()
    }

    #[test]
    fn running_heads_and_numbers_are_left_out_and_paragraphs_go_on() {
        let mut all = pages(&[
            &["Kilimo bora", "Mahindi hupandwa wakati mvua zina-", "Ukurasa 1"],
            &["Kilimo bora", "anza, na", "kwa safu.", "Ukurasa 2"],
            &["Kilimo bora", "kwa mkono", "Ukurasa 13"],
            &["Kilimo bora"],
        ]);
        without_heads(&mut all);
        assert_eq!(joined(&all), "Mahindi hupandwa wakati mvua zina-\nanza, na\n\nkwa safu.\n\nkwa mkono");
        let mut two = pages(&[&["Kilimo", "a"], &["Kilimo", "b"]]);
        without_heads(&mut two);
        assert_eq!(two[0].len(), 2, "on two pages it may be text");
    }

    #[test]
    fn pictures_are_unpacked_as_far_as_they_go() {
        assert_eq!(unpack(b"\x02\0\0\0\0\0\0\0ab\x01\0\0\0\0\0\0\0c"), [b"ab".as_slice(), b"c"]);
        assert_eq!(unpack(b"\x03\0\0\0\0\0\0\0ab").len() + unpack(b"\xff\xff\xff\xff\xff\xff\xff\xffab").len(), 0);
    }

    #[test]
    fn signs_that_nobody_knows_are_a_reason() {
        let document = Document::new();
        assert!(known(&document, "Mahindi \u{f0b7} huvunwa yakikauka shambani").is_ok());
        for text in ["\u{e001}\u{e002} ab", "(cid:12)(cid:40) na", "a\u{1}b\u{2}", "\u{fffd}abc"] {
            assert_eq!(known(&document, text).unwrap_err().0, Reason::UnreadableFont, "{text:?}");
        }
    }
}
