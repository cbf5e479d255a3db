//! Which language a text is in, by the byte n-gram model of langid.py
//! (Lui and Baldwin 2012), which knows 97 languages.

use std::sync::OnceLock;

use langid_rs::Model;

/// What a detector looks at, at most: two pieces of half of this. More text
/// changes few answers and costs time.
const SAMPLE_BYTES: usize = 1024;
/// How much more likely than the best wanted language, in nats, another has
/// to be to count as surely another.
const MARGIN: f32 = 20.0;

/// What a detector says of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The language to file the text under.
    pub language: String,
    /// What the detector said.
    pub detected: String,
    /// Whether that is surely not one of the wanted languages.
    pub unwanted: bool,
}

/// Identifies texts, with some languages wanted.
pub struct Identifier {
    wanted: Vec<String>,
    unknown: Vec<String>,
}

impl Identifier {
    /// An identifier for texts that should be in `wanted`; empty for any.
    pub fn new(wanted: &[String]) -> Self {
        let unknown = wanted.iter().filter(|tag| !known(tag)).cloned().collect();
        Self { wanted: wanted.to_vec(), unknown }
    }

    /// The wanted languages that cannot be recognised. While there are any,
    /// no text is surely unwanted: the detector would name a neighbour.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The language of `text`, which its source says is in `declared`.
    pub fn identify(&self, text: &str, declared: Option<&str>) -> Verdict {
        let sample = sample(text);
        let ranks = model().rank(&sample);
        let (detected, best) = ranks.first().copied().unwrap_or(("und", 0.0));
        let verdict = |language: &str, unwanted| Verdict {
            language: language.to_owned(),
            detected: detected.to_owned(),
            unwanted,
        };
        if self.wanted.is_empty() {
            return verdict(declared.unwrap_or(detected), false);
        }
        if self.wanted.iter().any(|tag| tag == detected) {
            return verdict(detected, false);
        }
        if let Some(first) = self.unknown.first() {
            let declared = declared.filter(|tag| self.wanted.iter().any(|w| w == tag));
            return verdict(declared.unwrap_or(first), false);
        }
        // The first wanted language in the ranking; every one is in it.
        let (wanted, score) =
            ranks.iter().copied().find(|(tag, _)| self.wanted.iter().any(|w| w == tag)).unwrap_or(("und", best));
        if best - score > MARGIN { verdict(detected, true) } else { verdict(wanted, false) }
    }
}

/// Whether the detector can recognise the language `tag`.
pub fn known(tag: &str) -> bool {
    model().rank("").iter().any(|&(name, _)| name == tag)
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| Model::load(false).expect("the model is part of the program"))
}

/// A piece from the start and one from the middle.
fn sample(text: &str) -> String {
    if text.len() <= SAMPLE_BYTES {
        return text.to_owned();
    }
    let half = SAMPLE_BYTES / 2;
    let middle = text.floor_char_boundary(text.len() / 2);
    let (first, second) = (&text[..text.floor_char_boundary(half)], &text[middle..]);
    format!("{first}\n{}", &second[..second.floor_char_boundary(half)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWAHILI: &str = "Serikali imesema kuwa wakulima watapata mbegu mpya kabla ya msimu wa mvua kuanza.";
    const ENGLISH: &str = "The government said that farmers will receive new seeds before the rainy season begins.";
    const YORUBA: &str = "Ìjọba ti sọ pé àwọn àgbẹ̀ yóò gba irúgbìn tuntun kí òjò tó bẹ̀rẹ̀.";

    fn identify(wanted: &[&str], text: &str, declared: Option<&str>) -> Verdict {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        Identifier::new(&wanted).identify(text, declared)
    }

    #[test]
    fn another_language_is_unwanted() {
        assert_eq!(identify(&["sw"], SWAHILI, None).language, "sw");
        assert!(identify(&["sw"], ENGLISH, None).unwanted);
        assert!(!identify(&["sw", "en"], ENGLISH, None).unwanted);
    }

    #[test]
    fn a_language_that_the_detector_does_not_know_is_never_unwanted() {
        let verdict = identify(&["sw", "yo"], YORUBA, Some("yo"));
        assert_eq!((verdict.language.as_str(), verdict.unwanted), ("yo", false));
        assert_eq!(Identifier::new(&["sw".into(), "yo".into()]).unknown(), ["yo"]);
    }
}
