//! Tags of languages (BCP 47), as people write them and as the tables have
//! them.

use std::collections::BTreeMap;

/// The part of a tag that says what a text is written in: the language, and
/// the script where one is named. Regions and variants do not tell texts
/// apart reliably.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag {
    language: String,
    script: Option<String>,
}

impl Tag {
    /// `others` are names of languages that have another here.
    pub(super) fn of(tag: &str, others: &BTreeMap<String, String>) -> Self {
        let mut parts = tag.split('-');
        let language = parts.next().unwrap_or_default().to_ascii_lowercase();
        let script = parts.next().filter(|part| part.len() == 4 && part.bytes().all(|b| b.is_ascii_alphabetic()));
        let language = others.get(&language).cloned().unwrap_or(language);
        Self { language, script: script.map(str::to_ascii_lowercase) }
    }

    /// Whether a text that the tables name `known` is what this tag means.
    pub(super) fn means(&self, known: &str) -> bool {
        let known = Self::of(known, &BTreeMap::new());
        self.language == known.language
            && (self.script.is_none() || known.script.is_none() || self.script == known.script)
    }
}

/// Whether `tag` has the form of a tag of a language.
pub(super) fn well_formed(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let plain = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && tag.len() <= 35
        && parts.all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_means_the_language_in_its_script() {
        let others = BTreeMap::from([("swa".to_owned(), "sw".to_owned())]);
        let means = |tag: &str, known: &str| Tag::of(tag, &others).means(known);
        assert!(means("sw", "sw") && means("swa-KE", "sw") && means("pt-MZ", "pt"));
        assert!(means("sr", "sr-Latn") && means("sr-latn-RS", "sr-Latn") && means("sw-Latn", "sw"));
        assert!(!means("sr-Cyrl", "sr-Latn") && !means("sw", "swb"));
    }

    #[test]
    fn tags_have_a_form() {
        for good in ["sw", "bem", "sr-Latn", "pt-MZ", "de-1996"] {
            assert!(well_formed(good), "{good}");
        }
        for bad in ["", "s", "swahili", "SW", "sw-", "sw_KE", "sw-toolongpart", "../x", "sw\n"] {
            assert!(!well_formed(bad), "{bad}");
        }
    }
}
