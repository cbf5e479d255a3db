//! A text as the tables of languages see it: folded, and in n-grams of 1 to 5
//! characters within words. `languages/train.py` says the same in Python.

use unicode_normalization::char::is_combining_mark;

/// Characters of the longest n-gram.
pub(super) const GRAM_MAX: usize = 5;

const SPACE: u32 = ' ' as u32;

/// What a character counts as: a letter in small, an apostrophe, or a space;
/// `None` for joiners, which some spell with and others leave out.
fn fold(character: char) -> Option<char> {
    match character {
        'a'..='z' => Some(character),
        'A'..='Z' => Some(character.to_ascii_lowercase()),
        '\'' | '’' | '‘' | 'ʻ' | 'ʼ' | 'ꞌ' | '`' | '´' => Some('\''),
        '\0'..='\x7f' => Some(' '),
        '\u{200c}' | '\u{200d}' => None,
        _ if character.is_alphabetic() || is_combining_mark(character) => character.to_lowercase().next(),
        _ => Some(' '),
    }
}

/// Whether a character of a word is as it would be folded.
pub(super) fn is_folded(character: char) -> bool {
    character != ' ' && fold(character) == Some(character)
}

/// The folded characters of `text`, with one space before and after each
/// word.
pub(super) fn folded(text: &str) -> Vec<u32> {
    let mut folded = Vec::with_capacity(text.len() + 2);
    folded.push(SPACE);
    for character in text.chars().filter_map(fold) {
        if character != ' ' || folded.last() != Some(&SPACE) {
            folded.push(character.into());
        }
    }
    if folded.last() != Some(&SPACE) {
        folded.push(SPACE);
    }
    folded
}

/// A hash on its way: of no character.
const EMPTY: u32 = 0x2545_f491;

fn and_then(hash: u32, character: u32) -> u32 {
    hash.wrapping_mul(0x9e37_79b1).wrapping_add(character).wrapping_add(1)
}

/// The hash of one n-gram.
pub(super) fn hash(gram: &str) -> u32 {
    gram.chars().fold(EMPTY, |hash, character| and_then(hash, character.into()))
}

/// The hash of folded characters.
pub(super) fn hash_of(folded: &[u32]) -> u32 {
    folded.iter().fold(EMPTY, |hash, &character| and_then(hash, character))
}

/// The words of a folded text, each with the space before and after it: no
/// n-gram has a part of two.
pub(super) fn words(folded: &[u32]) -> impl Iterator<Item = &[u32]> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        let end = 1 + rest.iter().skip(1).position(|&character| character == SPACE)?;
        let word = &rest[..=end];
        rest = &rest[end..];
        Some(word)
    })
}

/// Calls `each` with the hash of every n-gram of a folded text, its first
/// character and how many it has.
pub(super) fn each(folded: &[u32], mut each: impl FnMut(u32, usize, usize)) {
    for start in 0..folded.len() {
        let mut hash = EMPTY;
        for (length, &character) in (1..=GRAM_MAX).zip(&folded[start..]) {
            hash = and_then(hash, character);
            if length > 1 || character != SPACE {
                each(hash, start, length);
            }
            // A word has ended.
            if length > 1 && character == SPACE {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grams(text: &str) -> Vec<String> {
        let folded = folded(text);
        let mut grams = Vec::new();
        each(&folded, |found, start, length| {
            let gram: String = folded[start..][..length].iter().map(|&c| char::from_u32(c).unwrap()).collect();
            assert_eq!(found, hash(&gram));
            grams.push(gram);
        });
        grams
    }

    #[test]
    fn n_grams_lie_within_words_and_their_spaces() {
        assert_eq!(grams("A, b1"), [" a", " a ", "a", "a ", " b", " b ", "b", "b "]);
        assert_eq!(grams("Ng’o"), grams("NG'O"));
        assert_eq!(grams("ක්\u{200d}ෂ"), grams("ක්ෂ"));
        assert_eq!(grams(" …12 "), [""; 0]);
        let longest = grams("İstanbul").into_iter().filter(|gram| gram.chars().count() == GRAM_MAX);
        assert_eq!(longest.collect::<Vec<_>>(), [" ista", "istan", "stanb", "tanbu", "anbul", "nbul "]);
    }
}
