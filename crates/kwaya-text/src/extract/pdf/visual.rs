//! Scripts of South and South-East Asia in the order in which they are seen.
//!
//! Some vowels of these scripts are written before the consonants that they are
//! spoken after, and an `r` before a cluster is a hook above its end. Programs
//! that say of each sign only what it is (XeTeX, word processors) leave signs in
//! the order of places. Here they are put in the order of speech, in files where
//! such vowels stand where no spelling has them.

use unicode_normalization::char::is_combining_mark;

use super::signs::Sign;

/// Vowels that are seen before their consonant, in each script.
const BEFORE: [char; 26] = [
    '\u{93f}', '\u{9bf}', '\u{9c7}', '\u{9c8}', '\u{a3f}', '\u{abf}', '\u{b47}', '\u{bc6}', '\u{bc7}', '\u{bc8}',
    '\u{d46}', '\u{d47}', '\u{d48}', '\u{dd9}', '\u{dda}', '\u{ddb}', '\u{1031}', '\u{1084}', '\u{17c1}', '\u{17c2}',
    '\u{17c3}', '\u{17c4}', '\u{17c5}', '\u{1b3e}', '\u{1b3f}', '\u{a9ba}',
];
/// A file is in the order of places if so many such vowels, and this share, have
/// nothing before them that they could be spoken after.
const VISIBLE_MIN: usize = 3;
const VISIBLE_SHARE: f64 = 0.05;
/// A cluster has no more signs.
const CLUSTER_MAX: usize = 6;

/// Puts the signs of all pages in the order of speech, if they are not.
pub(super) fn to_spoken(pages: &mut [Vec<Sign>]) {
    let (mut vowels, mut visible) = (0, 0);
    for page in pages.iter() {
        for (at, sign) in page.iter().enumerate() {
            if is_before(sign) {
                vowels += 1;
                let last = at.checked_sub(1).filter(|last| follows(&page[*last], sign));
                let consonant = last.is_some_and(|last| page[last].text.chars().next_back().is_some_and(is_consonant));
                visible += usize::from(!consonant);
            }
        }
    }
    if visible >= VISIBLE_MIN && visible as f64 >= VISIBLE_SHARE * f64::from(vowels) {
        pages.iter_mut().for_each(|page| reorder(page));
    }
}

fn reorder(page: &mut [Sign]) {
    for at in 0..page.len() {
        if page[at].text == "\u{9af}\u{9cd}" {
            // In Bengali a `y` after another consonant is a sign of its own.
            page[at].text = "\u{9cd}\u{9af}".to_owned();
        }
        let Some(Parts { hook, vowel, rest }) = parts(&page[at].text) else { continue };
        if let Some(vowel) = vowel {
            if let Some(base) = base_after(page, at) {
                page[at].text.clear();
                let text = &mut page[base].text;
                // After the consonants, before other vowels.
                let end = text.char_indices().rfind(|(_, c)| is_consonant(*c)).map_or(0, |(at, c)| at + c.len_utf8());
                text.insert(end, vowel);
                text.push_str(&rest);
                page[at + 1].text.insert_str(0, &hook);
            }
        } else if let (false, Some(first)) = (hook.is_empty(), cluster_before(page, at)) {
            page[at].text = rest;
            page[first].text.insert_str(0, &hook);
        }
    }
}

/// What a sign is that stands elsewhere than it is spoken: a hook over a cluster,
/// a vowel before it, or both, and marks that are drawn with them.
struct Parts {
    hook: String,
    vowel: Option<char>,
    rest: String,
}

fn parts(text: &str) -> Option<Parts> {
    let hook = HOOKS.iter().find(|hook| text.contains(**hook)).copied().unwrap_or_default();
    let other = if hook.is_empty() { text.to_owned() } else { text.replacen(hook, "", 1) };
    let vowel = other.chars().find(|c| BEFORE.contains(c));
    let rest: String = other.chars().filter(|c| Some(*c) != vowel).collect();
    let only = rest.chars().all(is_combining_mark) && !rest.chars().any(is_consonant);
    (only && (vowel.is_some() || !hook.is_empty())).then(|| Parts { hook: hook.to_owned(), vowel, rest })
}

/// The sign with the consonant that the vowel at `at` is spoken after: signs
/// that end in a virama are only the beginning of a cluster.
fn base_after(page: &[Sign], at: usize) -> Option<usize> {
    let mut last = at;
    for (next, sign) in page.iter().enumerate().skip(at + 1).take(CLUSTER_MAX) {
        if !follows(&page[last], sign) || !sign.text.chars().any(is_consonant) {
            return None;
        }
        last = next;
        if !sign.text.ends_with(is_virama) {
            return Some(next);
        }
    }
    None
}

/// The first sign of the cluster that a hook at `at` stands over.
fn cluster_before(page: &[Sign], at: usize) -> Option<usize> {
    let mut first = None;
    for last in (at.saturating_sub(CLUSTER_MAX)..at).rev() {
        if page[last].text.is_empty() {
            continue;
        }
        let consonant = page[last].text.chars().any(is_consonant);
        match first {
            // Vowels are between the consonant and the hook.
            None if consonant => first = Some(last),
            None => {}
            Some(_) if consonant && page[last].text.ends_with(is_virama) => first = Some(last),
            Some(_) => break,
        }
    }
    first
}

/// Whether a sign stands next to the one before it, without a blank.
fn follows(last: &Sign, sign: &Sign) -> bool {
    let gap = sign.start - last.end;
    let blank = last.text.ends_with(char::is_whitespace);
    !blank
        && last.turn == sign.turn
        && (last.across - sign.across).abs() < last.size
        && (-0.6..0.18).contains(&(gap / sign.size.max(last.size)))
}

fn is_before(sign: &Sign) -> bool {
    parts(&sign.text).is_some_and(|parts| parts.vowel.is_some())
}

/// An `r` with a virama is the hook over a cluster.
const HOOKS: [&str; 6] =
    ["\u{930}\u{94d}", "\u{9b0}\u{9cd}", "\u{ab0}\u{acd}", "\u{b30}\u{b4d}", "\u{c30}\u{c4d}", "\u{cb0}\u{ccd}"];

fn is_virama(character: char) -> bool {
    matches!(
        character,
        '\u{94d}'
            | '\u{9cd}'
            | '\u{a4d}'
            | '\u{acd}'
            | '\u{b4d}'
            | '\u{bcd}'
            | '\u{c4d}'
            | '\u{ccd}'
            | '\u{d4d}'
            | '\u{dca}'
            | '\u{1039}'
            | '\u{17d2}'
    )
}

/// A consonant, or what is spelled as a part of one: nukta and virama.
fn is_consonant(character: char) -> bool {
    let of_block = |at: u32| matches!(at, 0x15..=0x39 | 0x3c | 0x4d | 0x58..=0x5f);
    match u32::from(character) {
        code @ 0x900..=0xd7f => of_block(code & 0x7f),
        0xd9a..=0xdc6 | 0xdca | 0x1000..=0x1021 | 0x1039 | 0x103a..=0x103e | 0x1780..=0x17a2 | 0x17d2 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(texts: &[&str]) -> Vec<Sign> {
        let mut end = 0.0;
        let sign = |text: &&str| {
            let start = end;
            end += 5.0;
            Sign { text: (*text).to_owned(), start, end, across: 0.0, size: 10.0, turn: 0, artifact: false }
        };
        texts.iter().map(sign).collect()
    }

    fn spoken(texts: &[&str]) -> String {
        let mut pages = [signs(texts)];
        to_spoken(&mut pages);
        pages[0].iter().map(|sign| sign.text.as_str()).collect()
    }

    #[test]
    fn what_is_seen_before_is_put_after() {
        let seen = [
            "\u{93f}", "ल", "ए", " ", "\u{93f}", "फ", "र", " ", "\u{93f}", "न", "द", "े", "र्", "\u{93f}", "श", "क", "ा",
            " ", "\u{93f}", "स्", "थ", "त", " ", "क", "ा", "य", "र्",
        ];
        assert_eq!(spoken(&seen), "लिए फिर निर्देशिका स्थित कार्य");
        let seen = [
            "\u{93f}ं",
            "ल",
            "क",
            " ",
            "श",
            "ी",
            "र्\u{93f}",
            "ष",
            "क",
            " ",
            "\u{93f}",
            "न",
            "द",
            "र्े",
            "श",
            " ",
            "জ",
            "ন",
            "য্",
        ];
        assert_eq!(spoken(&seen), "लिंक शीर्षिक निर्देश জন্য");
    }

    #[test]
    fn what_is_in_the_order_of_speech_stays() {
        let good = ["ल", "\u{93f}", "ए", " ", "क", "\u{93f}", "त", "ा", "ब"];
        assert_eq!(spoken(&good), good.concat());
        assert_eq!(spoken(&["\u{93f}", "ल"]), "\u{93f}ल", "once is a mistake of the writer");
    }
}
