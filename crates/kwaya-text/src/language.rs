//! Which of more than 440 languages a text is in: naive Bayes over n-grams of
//! characters, in whole numbers, with tables that `languages/train.py` makes
//! and `languages/figures.tsv` tells the quality of. Languages that are not
//! among them are `und`, unless they were learned ([`Learned`]).

mod grams;
mod learn;
mod model;
mod paragraphs;
mod tags;
mod words;

use std::sync::Arc;

use model::{Model, Nearest, Scores};

pub use learn::{LEARNED_MAX, Learned, Lesson};
pub use paragraphs::{Paragraph, Wanted};

/// What is looked at of a document, at most: two pieces of half of this. More
/// text changes few answers and costs time.
const SAMPLE_BYTES: usize = 1024;
/// What is looked at first, and how sure that must be to be enough.
const GLANCE_BYTES: usize = 384;
const GLANCE_PERCENT: u8 = 90;
/// How much more another language has to score than the best wanted one to
/// count as surely another, in half nats for the square root of the number of
/// n-grams. Of news in seven languages, two texts of 100 bytes or more in a
/// thousand are that far from their own.
const MARGIN: i32 = 3;
/// How well each language is told, in the table that `train.py` writes.
const FIGURES: &str = include_str!("../languages/figures.tsv");

/// What a text is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The tag of the language, `und` for one that is not known.
    pub language: String,
    /// Of a hundred texts like this one, in so many it is right.
    pub percent: u8,
}

/// What a detector says of a text, where some languages are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The language to file the text under.
    pub language: String,
    /// What the detector said, and how sure it is.
    pub detected: Guess,
    /// Whether both are one language.
    pub sure: bool,
    /// Whether it is surely not one of the wanted languages.
    pub unwanted: bool,
}

/// Identifies texts, with some languages wanted.
pub struct Identifier {
    model: Arc<Model>,
    wanted: Vec<String>,
    /// For each language of the model the wanted tag that means it.
    wanted_by: Vec<Option<usize>>,
    unknown: Vec<String>,
}

impl Identifier {
    /// An identifier for texts that should be in `wanted`, empty for any, and
    /// that knows the languages `learned` besides its own.
    pub fn new(wanted: &[String], learned: &[Learned]) -> Self {
        let model = Model::with(learned);
        let mut wanted_by = vec![None; model.tags.len()];
        let mut unknown = Vec::new();
        // Of two tags that mean one language, the first.
        for (i, tag) in wanted.iter().enumerate().rev() {
            let languages = model.languages(tag);
            languages.iter().for_each(|&language| wanted_by[language] = Some(i));
            if languages.is_empty() {
                unknown.insert(0, tag.clone());
            }
        }
        Self { model, wanted: wanted.to_vec(), wanted_by, unknown }
    }

    /// The wanted languages that cannot be recognised. While there are any,
    /// no text is surely unwanted: the detector would name a neighbour.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// What a text is in.
    pub fn guess(&self, text: &str) -> Guess {
        self.guess_from(self.look(text).1.as_ref())
    }

    /// What the tables say of a text. Most texts are told from less than others
    /// take.
    fn look(&self, text: &str) -> (Scores, Option<Nearest>) {
        let look = |bytes| {
            let scores = self.model.scores(&sample(text, bytes));
            let nearest = self.model.nearest(&scores);
            (scores, nearest)
        };
        let (scores, nearest) = look(GLANCE_BYTES);
        let sure = nearest.as_ref().is_some_and(|nearest| nearest.known && nearest.percent >= GLANCE_PERCENT);
        if sure || text.len() <= GLANCE_BYTES { (scores, nearest) } else { look(SAMPLE_BYTES) }
    }

    fn guess_from(&self, nearest: Option<&Nearest>) -> Guess {
        let language = nearest.filter(|nearest| nearest.known).map(|nearest| nearest.language);
        self.guess_of(language, nearest.map_or(0, |nearest| nearest.percent))
    }

    fn guess_of(&self, language: Option<usize>, percent: u8) -> Guess {
        Guess { language: language.map_or("und", |language| &self.model.tags[language]).to_owned(), percent }
    }

    /// The language of `text`, which its source says is in `declared`.
    pub fn identify(&self, text: &str, declared: Option<&str>) -> Verdict {
        let (scores, nearest) = self.look(text);
        let detected = self.guess_from(nearest.as_ref());
        let known = nearest.as_ref().is_some_and(|nearest| nearest.known);
        let verdict = |language: &str, sure: bool, unwanted: bool| Verdict {
            language: language.to_owned(),
            detected: detected.clone(),
            sure: sure && known,
            unwanted,
        };
        if self.wanted.is_empty() {
            let language = declared.unwrap_or(&detected.language);
            return verdict(language, language == detected.language, false);
        }
        let wanted_by = nearest.as_ref().and_then(|nearest| self.wanted_by[nearest.language]);
        if let Some(wanted) = wanted_by {
            return verdict(&self.wanted[wanted], true, false);
        }
        if let Some(first) = self.unknown.first() {
            let declared = declared.filter(|tag| self.wanted.iter().any(|w| w == tag));
            return verdict(declared.unwrap_or(first), false, false);
        }
        // Nothing in the text tells of any language: it is taken as declared.
        let Some(nearest) = nearest else {
            let declared = declared.filter(|tag| self.wanted.iter().any(|w| w == tag));
            return verdict(declared.unwrap_or(&self.wanted[0]), false, false);
        };
        let candidates = self.wanted_by.iter().zip(&scores.of).filter_map(|(by, score)| Some(((*by)?, *score)));
        let best = candidates.max_by_key(|&(by, score)| (score, std::cmp::Reverse(by)));
        let (by, score) = best.expect("each wanted language is known");
        if scores.of[nearest.language] - score > self.handicap(&scores) {
            verdict(&detected.language, false, true)
        } else {
            verdict(&self.wanted[by], false, false)
        }
    }

    /// By how much another language has to score more than a wanted one, to
    /// count as surely another.
    fn handicap(&self, scores: &Scores) -> i32 {
        MARGIN * scores.grams.isqrt() as i32
    }
}

/// A language that the program knows by itself, and how well.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its tag.
    pub tag: &'static str,
    /// The script that its texts are in (ISO 15924).
    pub script: &'static str,
    /// Its name in English.
    pub name: &'static str,
    /// What it was learned from (`languages/LICENSE` says what each is).
    pub sources: &'static str,
    /// Texts that it was measured on and was not learned from.
    pub texts: u32,
    /// F1 on those, among the texts of all languages.
    pub f1: Option<f64>,
    /// Languages that those texts were taken for, and how many.
    pub taken_for: &'static str,
    /// Texts of a source that nothing was learned from; some of them are in
    /// another language than they say.
    pub other_texts: u32,
    /// The share of those that is named rightly.
    pub recall: Option<f64>,
}

/// The languages that the program knows by itself, in the order of their tags.
pub fn known() -> Vec<Known> {
    FIGURES.lines().skip(1).filter_map(row).collect()
}

fn row(line: &'static str) -> Option<Known> {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[tag, script, name, sources, texts, f1, taken_for, other_texts, recall] = &fields[..] else { return None };
    Some(Known {
        tag,
        script,
        name,
        sources,
        texts: texts.parse().ok()?,
        f1: f1.parse().ok(),
        taken_for,
        other_texts: other_texts.parse().ok()?,
        recall: recall.parse().ok(),
    })
}

/// A piece from the start and one from the middle of a text, together at most
/// `bytes`.
fn sample(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let half = bytes / 2;
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
        Identifier::new(&wanted, &[]).identify(text, declared)
    }

    #[test]
    fn another_language_is_unwanted() {
        assert_eq!(identify(&["sw"], SWAHILI, None).language, "sw");
        assert!(identify(&["sw"], ENGLISH, None).unwanted);
        assert!(!identify(&["sw", "en"], ENGLISH, None).unwanted);
    }

    #[test]
    fn tags_are_filed_as_the_recipe_writes_them() {
        let serbian = "Sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima.";
        for tag in ["sr", "sr-Latn", "sr-Latn-RS"] {
            let verdict = identify(&[tag], serbian, None);
            assert_eq!((verdict.language.as_str(), verdict.unwanted), (tag, false));
        }
        assert!(identify(&["sr-Cyrl"], serbian, None).unwanted);
        let verdict = identify(&["swa-KE"], SWAHILI, None);
        assert_eq!(
            (verdict.language.as_str(), verdict.sure, verdict.detected.language.as_str()),
            ("swa-KE", true, "sw")
        );
    }

    #[test]
    fn many_languages_of_all_regions_are_known() {
        let known = known();
        let languages: std::collections::BTreeSet<_> = known.iter().map(|k| k.tag.split('-').next().unwrap()).collect();
        assert!(languages.len() >= 440, "{}", languages.len());
        let tags: Vec<&str> = known.iter().map(|known| known.tag).collect();
        assert_eq!(Model::shared().tags, tags);
        let regions = [
            "sw yo so ig xh lg ha am ki rw zu wo om ti ee ak bm ff ln mg ny sn st tn ts ve ss nr nso kg lua bem",
            "hi bn ta te kn ml mr gu pa or as ne si dz bo ur sd mai bho km lo my th vi id jv su ms tl ceb ilo war min",
            "mi sm to fj haw ty ch bi tpi tet pau",
            "qu ay gn nv chr iu kl yua quc cak arn shp miq ht",
        ];
        for tag in regions.iter().flat_map(|region| region.split(' ')) {
            assert!(languages.contains(tag), "{tag}");
        }
    }

    #[test]
    fn the_languages_of_the_first_makers_are_told() {
        assert_eq!(identify(&["yo", "ig"], YORUBA, None).language, "yo");
        assert_eq!(identify(&[], &SWAHILI.to_uppercase(), None).language, "sw");
        let verdict = identify(&[], SWAHILI, None);
        assert!(verdict.detected.percent >= 85, "{verdict:?}");
    }

    #[test]
    fn what_no_table_knows_is_undetermined() {
        for text in ["", "1", "\u{10ffff}\u{10fffe}", "qzx wvrk jjpq xxkz bvvn wqtp zzrk"] {
            assert_eq!(identify(&[], text, None).language, "und", "{text:?}");
            assert_eq!(identify(&[], text, Some("bem")).language, "bem", "{text:?}");
        }
        for text in ["", "1", "\u{10ffff}\u{10fffe}"] {
            let verdict = identify(&["yo", "sw"], text, Some("sw"));
            assert_eq!((verdict.language.as_str(), verdict.unwanted), ("sw", false), "{text:?}");
        }
    }

    #[test]
    fn a_language_that_the_detector_does_not_know_is_never_unwanted() {
        let verdict = identify(&["sw", "xx"], YORUBA, Some("xx"));
        assert_eq!((verdict.language.as_str(), verdict.unwanted), ("xx", false));
        assert_eq!(Identifier::new(&["sw".into(), "xx".into()], &[]).unknown(), ["xx"]);
    }

    #[test]
    fn no_text_is_too_odd() {
        let identifier = Identifier::new(&["sw".into()], &[]);
        let mut state = 7_u64;
        for _ in 0..3000 {
            let text: String = (0..state % 60)
                .filter_map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let bits = (state >> 33) as u32;
                    char::from_u32(if bits.is_multiple_of(3) { bits % 0x11_0000 } else { bits % 0x250 })
                })
                .collect();
            state = state.wrapping_add(1);
            identifier.identify(&text, None);
            identifier.keep_wanted(&text);
        }
        identifier.guess(&"ꙮ".repeat(100_000));
    }
}
