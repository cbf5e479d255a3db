//! The text of a PDF, or the pictures of one that is a scan.
//!
//! `hayro-interpret` draws the pages; what is drawn is taken as signs with
//! places ([`signs`]) and becomes paragraphs ([`lines`]). Here running heads are
//! left out, paragraphs that go on over a page are joined, and a file that does
//! not say which characters its signs are is refused.

mod lines;
mod signs;
mod visual;

use std::collections::BTreeMap;

use hayro_interpret::{
    Context, Device, InterpreterCache, InterpreterSettings, RenderContent, TransformExt,
    hayro_syntax::{DecryptionError, LoadPdfError, Pdf, page::Page},
    interpret_page,
    kurbo::Rect,
};

use self::signs::{Pictures, Sign, Signs};
use crate::{Reason, extract::Refusal, worker::REPLY_MAX};

/// Pages of one file, at most.
const PAGES_MAX: usize = 20_000;
/// A file with a larger share of characters that cannot be known is refused.
const UNKNOWN_MAX: f64 = 0.05;
/// Where the file says of a larger share of the signs that they are no text, it
/// is not believed.
const ARTIFACTS_MAX: f64 = 0.5;
/// A head is the same on so many pages, and among so many blocks at the edge.
const HEAD_PAGES_MIN: usize = 3;
const HEAD_BLOCKS: usize = 2;
/// And is no longer than this.
const HEAD_BYTES_MAX: usize = 200;

fn open(bytes: &[u8]) -> Result<Pdf, Refusal> {
    let pdf = Pdf::new(bytes.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected | DecryptionError::UnsupportedAlgorithm) => {
            (Reason::Encrypted, String::new())
        }
        LoadPdfError::Decryption(error) => (Reason::Damaged, format!("encryption: {error:?}")),
        LoadPdfError::Invalid => (Reason::Damaged, "its objects cannot be found".to_owned()),
    })?;
    match pdf.pages().len() {
        0 => Err((Reason::Damaged, "it has no pages".to_owned())),
        pages if pages > PAGES_MAX => Err((Reason::TooLarge, format!("{pages} pages; possible: {PAGES_MAX}"))),
        _ => Ok(pdf),
    }
}

/// Shows a page to `device`.
fn show<'a>(page: &Page<'a>, cache: &InterpreterCache<'a>, device: &mut impl Device<'a>) {
    let (width, height) = page.render_dimensions();
    let bounds = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
    // Notes on a page are not its text.
    let settings = InterpreterSettings { render_content: RenderContent::PAGE, ..InterpreterSettings::default() };
    let upright = page.initial_transform(true).to_kurbo();
    let mut context = Context::new(upright, bounds, cache, page.xref(), settings);
    interpret_page(page, &mut context, device);
}

/// The text of a PDF.
pub(crate) fn text(bytes: &[u8]) -> Result<String, Refusal> {
    let pdf = open(bytes)?;
    let cache = InterpreterCache::new();
    let (mut pages, mut unknown): (Vec<Vec<Sign>>, u64) = (Vec::new(), 0);
    for page in pdf.pages().iter() {
        let mut signs = Signs::default();
        show(page, &cache, &mut signs);
        pages.push(signs.signs);
        unknown += signs.unknown;
    }
    let all = || pages.iter().flatten().filter(|sign| !sign.text.trim().is_empty());
    let (count, artifacts) = (all().count(), all().filter(|sign| sign.artifact).count());
    if artifacts as f64 <= ARTIFACTS_MAX * count as f64 {
        pages.iter_mut().for_each(|page| page.retain(|sign| !sign.artifact));
    }
    visual::to_spoken(&mut pages);
    let mut pages: Vec<Vec<String>> = pages.iter().map(|page| lines::paragraphs(page)).collect();
    without_heads(&mut pages);
    let text = joined(&pages);
    known(&text, unknown)?;
    match text.trim().is_empty() {
        true => Err((Reason::NoText, String::new())),
        false => Ok(text.chars().filter(|c| !is_private(*c)).collect()),
    }
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
        let edge =
            page.iter().enumerate().filter(|(at, block)| is_edge(*at, page.len()) && block.len() <= HEAD_BYTES_MAX);
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

/// Whether it is known what most of the signs are, apart from those that the
/// file says nothing of.
fn known(text: &str, unknown: u64) -> Result<(), Refusal> {
    let (mut characters, mut strange, mut last) = (0_u64, 0_u64, ' ');
    for character in text.chars() {
        characters += u64::from(!character.is_whitespace());
        let nothing =
            character.is_control() && !character.is_whitespace() || matches!(character, '\u{fffd}' | '\u{ffff}');
        strange += u64::from(nothing || is_private(character) || is_mixed(last, character));
        last = character;
    }
    // Some programs write `(cid:12)` for a sign that they do not know.
    strange += 6 * text.matches("(cid:").count() as u64;
    let share = strange.max(unknown) as f64 / characters.max(unknown).max(1) as f64;
    match share <= UNKNOWN_MAX {
        true => Ok(()),
        false => Err((Reason::UnreadableFont, format!("{:.0} % of the signs", 100.0 * share))),
    }
}

/// Letters side by side of a script of India and of another script that is not
/// Latin: no word is written so, but a file with wrong tables is.
fn is_mixed(a: char, b: char) -> bool {
    let script = |c: char| match u32::from(c) {
        code @ 0x900..=0xd7f => Some((code >> 7, true)),
        code @ (0x370..=0x8ff | 0x1000..=0x1bff | 0x2000..=0x2bff | 0x2e80..=0xd7ff) if c.is_alphanumeric() => {
            Some((code >> 8, false))
        }
        _ => None,
    };
    // Some signs of India are in a block of their own, beside these.
    matches!((script(a), script(b)), (Some((a, x)), Some((b, y))) if a != b && (x || y))
}

/// A character that means what a font wants it to mean.
fn is_private(character: char) -> bool {
    matches!(character, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// How many pages a PDF has and the pictures of one of them: the number, and for
/// each picture its length and its bytes. Numbers have 8 bytes, little endian;
/// the request begins with that of the page, from 0.
pub(crate) fn pictures(request: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (number, bytes) = request.split_first_chunk::<8>().ok_or((Reason::Damaged, String::new()))?;
    let pdf = open(bytes)?;
    let pages = pdf.pages();
    let mut out = (pages.len() as u64).to_le_bytes().to_vec();
    if let Some(page) = usize::try_from(u64::from_le_bytes(*number)).ok().and_then(|number| pages.get(number)) {
        let mut pictures = Pictures::default();
        show(page, &InterpreterCache::new(), &mut pictures);
        for picture in pictures.pictures {
            if (out.len() + picture.len() + 8) as u64 > REPLY_MAX {
                return Err((Reason::TooLarge, "pictures".to_owned()));
            }
            out.extend((picture.len() as u64).to_le_bytes());
            out.extend(&picture);
        }
    }
    Ok(out)
}

/// A request for the pictures of a page.
pub(crate) fn request(page: u64, bytes: &[u8]) -> Vec<u8> {
    [&page.to_le_bytes(), bytes].concat()
}

/// What [`pictures`] has packed: how many pages there are, and the pictures.
pub(crate) fn unpack(packed: &[u8]) -> (u64, Vec<&[u8]>) {
    let Some((pages, mut packed)) = packed.split_first_chunk::<8>() else { return (0, Vec::new()) };
    let mut pictures = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk::<8>() {
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((picture, rest)) = rest.split_at_checked(length) else { break };
        pictures.push(picture);
        packed = rest;
    }
    (u64::from_le_bytes(*pages), pictures)
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
        let packed = b"\x07\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0ab\x01\0\0\0\0\0\0\0c\xff\xff\xff\xff\xff\xff\xff\xffab";
        assert_eq!(unpack(packed), (7, vec![b"ab".as_slice(), b"c"]));
        assert_eq!(unpack(b"\x03\0"), (0, Vec::new()));
    }

    #[test]
    fn signs_that_nobody_knows_are_a_reason() {
        assert!(known("Mahindi \u{f0b7} huvunwa yakikauka shambani", 1).is_ok());
        assert_eq!(known("Mahindi", 3).unwrap_err(), (Reason::UnreadableFont, "43 % of the signs".to_owned()));
        assert!(known("हिन्दी, বাংলা, தமிழ் and english 中文 हिन्दीenglish", 0).is_ok());
        for text in ["अध協✿कतम संखᙍया", "\u{e001}\u{e002} ab", "(cid:12)(cid:40) na", "a\u{1}b\u{2}", "\u{fffd}abc"]
        {
            assert_eq!(known(text, 0).unwrap_err().0, Reason::UnreadableFont, "{text:?}");
        }
    }
}
