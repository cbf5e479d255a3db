//! The language of each paragraph of a text. One alone may be a name or a
//! number, so the likeliest way through all of them is taken, on which it
//! costs something to change the language (Viterbi 1967).

use std::{collections::BTreeMap, ops::Range};

use super::{Guess, Identifier, model::Scores, sample};

/// What is looked at of a paragraph, at most.
const PARAGRAPH_SAMPLE_BYTES: usize = 256;
/// What a change of language costs, in half nats: much more than chance gives
/// a wrong language in a line of text, and less than a sentence gives the
/// right one.
const CHANGE: i32 = 24;
/// A paragraph with fewer n-grams than this is never unknown by itself: it is
/// in the language of those around it.
const ALONE_GRAMS: u32 = 150;
/// So many paragraphs are held in memory at once.
const PARAGRAPHS_AT_ONCE: usize = 512;

/// A paragraph of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paragraph {
    /// Where it is.
    pub range: Range<usize>,
    /// What it is in.
    pub guess: Guess,
}

/// What is left of a text without paragraphs in languages that are not wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The text.
    pub text: String,
    /// Bytes of the whole text, by language.
    pub languages: BTreeMap<String, u64>,
    /// Bytes that were left out.
    pub left_out: u64,
}

impl Identifier {
    /// The paragraphs of a normalised text, with the language of each. They
    /// are parted by empty lines, or by lines where there is no empty one.
    pub fn paragraphs(&self, text: &str) -> Vec<Paragraph> {
        self.judged(text).into_iter().map(|(paragraph, _)| paragraph).collect()
    }

    /// What is left without the paragraphs that are surely in a language that
    /// is not wanted.
    pub fn keep_wanted(&self, text: &str) -> Wanted {
        let mut wanted = Wanted { text: String::new(), languages: BTreeMap::new(), left_out: 0 };
        let filter = !self.wanted.is_empty() && self.unknown.is_empty();
        let parted = parted_by(text);
        for (Paragraph { range, guess }, keep) in self.judged(text) {
            let part = &text[range];
            *wanted.languages.entry(guess.language).or_default() += part.len() as u64;
            if filter && !keep {
                wanted.left_out += part.len() as u64;
                continue;
            }
            if !wanted.text.is_empty() {
                wanted.text.push_str(parted);
            }
            wanted.text.push_str(part);
        }
        wanted
    }

    /// The paragraphs, and whether each may be kept.
    fn judged(&self, text: &str) -> Vec<(Paragraph, bool)> {
        let ranges = split(text);
        let mut judged = Vec::with_capacity(ranges.len());
        let mut way: Vec<i32> = self.model.scores("").of;
        for ranges in ranges.chunks(PARAGRAPHS_AT_ONCE) {
            let scores =
                ranges.iter().map(|range| self.model.sums(&sample(&text[range.clone()], PARAGRAPH_SAMPLE_BYTES)));
            let scores: Vec<Scores> = scores.collect();
            let languages = self.likeliest_way(&mut way, &scores);
            for ((range, scores), language) in ranges.iter().zip(&scores).zip(languages) {
                let nearest = self.model.judge(scores, language);
                let known = nearest.known || scores.grams < ALONE_GRAMS;
                let guess = self.guess_of(known.then_some(language), nearest.percent);
                let keep = !known || self.wanted_by[language].is_some();
                judged.push((Paragraph { range: range.clone(), guess }, keep));
            }
        }
        judged
    }

    /// The language of each paragraph on the likeliest way, which begins with
    /// what each language has scored so far.
    fn likeliest_way(&self, way: &mut [i32], paragraphs: &[Scores]) -> Vec<usize> {
        let languages = way.len();
        let best = |way: &[i32]| (0..languages).max_by_key(|&l| (way[l], std::cmp::Reverse(l))).unwrap_or(0);
        let mut from: Vec<u16> = Vec::with_capacity(paragraphs.len() * languages);
        for scores in paragraphs {
            let before = best(way);
            let jump = way[before] - CHANGE;
            // Only what is surely in another language counts as that.
            let handicap = self.handicap(scores);
            for (language, score) in way.iter_mut().enumerate() {
                // Of two ways alike the one that changes later.
                let stays = *score > jump;
                from.push(if stays { language } else { before } as u16);
                let unwanted = !self.wanted.is_empty() && self.wanted_by[language].is_none();
                let own = scores.of[language] - if unwanted { handicap } else { 0 };
                *score = (*score).max(jump) + own;
            }
        }
        let mut languages_of = vec![0; paragraphs.len()];
        let mut at = best(way);
        for paragraph in (0..paragraphs.len()).rev() {
            languages_of[paragraph] = at;
            at = usize::from(from[paragraph * languages + at]);
        }
        // Only differences count, and they do not grow without end.
        let most = way[best(way)];
        way.iter_mut().for_each(|score| *score = (*score - most).max(-CHANGE));
        languages_of
    }
}

/// What parts the paragraphs of a text.
fn parted_by(text: &str) -> &'static str {
    if text.contains("\n\n") { "\n\n" } else { "\n" }
}

/// Where the paragraphs of a text are.
fn split(text: &str) -> Vec<Range<usize>> {
    let start = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    let parts = text.split(parted_by(text)).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| start(part)..start(part) + part.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWAHILI: &str = "Serikali imesema kuwa wakulima watapata mbegu mpya kabla ya msimu wa mvua kuanza.";
    const ENGLISH: &str = "The government said that farmers will receive new seeds before the rainy season begins.";

    fn languages(wanted: &[&str], text: &str) -> Vec<String> {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let paragraphs = Identifier::new(&wanted, &[]).paragraphs(text);
        paragraphs.into_iter().map(|paragraph| paragraph.guess.language).collect()
    }

    #[test]
    fn each_paragraph_has_its_language_and_short_ones_that_of_their_neighbours() {
        let text = format!("Habari\n\n{SWAHILI}\n\n2019\n\n{ENGLISH}\n\nNew York\n\n{ENGLISH}\n\n{SWAHILI}");
        assert_eq!(languages(&[], &text), ["sw", "sw", "sw", "en", "en", "en", "sw"]);
        assert_eq!(languages(&[], &text.replace("\n\n", "\n")).len(), 7);
        assert_eq!(languages(&[], ""), [""; 0]);
    }

    #[test]
    fn paragraphs_that_are_not_wanted_can_be_left_out() {
        let text = format!("{SWAHILI}\n\n{ENGLISH}\n\n1. 2. 3.\n\n{SWAHILI}");
        let keep = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            Identifier::new(&wanted, &[]).keep_wanted(&text)
        };
        let kept = keep(&["sw"]);
        assert!(!kept.text.contains("government") && kept.text.matches("Serikali").count() == 2);
        assert_eq!(kept.left_out, kept.languages["en"]);
        let parted = 2 * text.matches("\n\n").count();
        assert_eq!(kept.languages.values().sum::<u64>(), (text.len() - parted) as u64);
        // Nothing is lost where all is wanted, or one cannot be recognised.
        for wanted in [&["sw", "en"][..], &["sw", "xx"], &[]] {
            assert_eq!(keep(wanted).text, text, "{wanted:?}");
        }
    }

    #[test]
    fn many_paragraphs_go_through_in_parts() {
        let text = vec![SWAHILI; 2 * PARAGRAPHS_AT_ONCE + 3].join("\n\n");
        let found = languages(&[], &text);
        assert!(found.len() == 2 * PARAGRAPHS_AT_ONCE + 3 && found.iter().all(|language| language == "sw"));
    }
}
