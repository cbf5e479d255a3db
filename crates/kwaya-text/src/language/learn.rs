//! One more language, learned from a sample of text: the same n-grams and
//! scores as those of `languages/train.py`, in a small file that people can
//! read. The file may come from a stranger.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::Path,
};

use kwaya_base::{Error, Result, error::At};
use serde::{Deserialize, Serialize};

use super::{
    grams::{self, GRAM_MAX},
    model::{Model, SCORE_MAX},
    tags,
};
use crate::clean;

/// The format of the file.
const FORMAT: u32 = 1;
/// A file of a language has at most so many bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// n-grams of a language, at most.
const GRAMS_MAX: usize = 10_000;
/// Of n-grams that no other language is known to have, so many are kept.
const OWN_GRAMS: usize = 1000;
/// So many files may be named.
pub const LEARNED_MAX: usize = 64;
/// A sample is cut into texts of about this length, of which every fifth is
/// kept back to measure with.
const TEXT_BYTES: usize = 300;
const KEPT_BACK: usize = 5;
/// A sample has at least so many texts; a page of a book has ten.
const TEXTS_MIN: usize = 10;
/// More of a sample than this is not looked at.
const SAMPLE_BYTES_MAX: usize = 4 << 20;
/// Shares of n-grams below this score nothing.
const FLOOR: f64 = 1e-5;
/// What is taken off each count: rare n-grams are rarer than they seem.
const DISCOUNT: f64 = 0.8;
/// The least share that scores 1, 2, … half nats: FLOOR e^((score - 1/2) / 2).
/// Written out, as the last bits of exponentials differ between systems.
#[rustfmt::skip]
const SHARES: [f64; SCORE_MAX as usize] = [
    1.2840254e-5, 2.1170000e-5, 3.4903430e-5, 5.7546027e-5, 9.4877358e-5, 1.5642632e-4, 2.5790340e-4, 4.2521082e-4,
    7.0105412e-4, 1.1558428e-3, 1.9056627e-3, 3.1419066e-3, 5.1801282e-3, 8.5405876e-3, 1.4081048e-2,
];

/// A language that was learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// The format of the file.
    format: u32,
    /// Its tag.
    pub(super) tag: String,
    /// Characters of the sample.
    characters: u64,
    /// What an n-gram of a text typically scores, in 1/256 half nat.
    pub(super) typical: u16,
    /// n-grams of folded text, and what each scores in half nats.
    pub(super) grams: BTreeMap<String, u8>,
}

/// How well a language was learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lesson {
    /// Texts learned from.
    pub texts: usize,
    /// Texts of the sample that were kept back to measure with. The file is
    /// made from all, the figure is of a language that was made without them.
    pub kept_back: usize,
    /// How many of those are named rightly.
    pub right: usize,
    /// What the others are taken for, and how many.
    pub taken_for: BTreeMap<String, usize>,
    /// What the texts were taken for before.
    pub before: BTreeMap<String, usize>,
}

impl Learned {
    /// Learns the language `tag` from a sample.
    ///
    /// # Errors
    /// `language-tag-wrong`, and `language-sample-small` where there is too
    /// little text.
    pub fn learn(tag: &str, sample: &[String]) -> Result<(Self, Lesson)> {
        check_tag(tag)?;
        let texts = texts(sample);
        if texts.len() < TEXTS_MIN {
            return Err(Error::usage("language-sample-small").arg("found", texts.len()).arg("least", TEXTS_MIN));
        }
        let base = Model::shared();
        let (part, rest): (Vec<_>, Vec<_>) =
            texts.iter().enumerate().partition(|(i, _)| i % KEPT_BACK == KEPT_BACK - 1);
        let [part, rest] = [part, rest].map(|texts| texts.into_iter().map(|(_, text)| &**text).collect::<Vec<_>>());
        let mut trial = Self::of(tag, &rest, &base);
        trial.typical = trial.typical_of(&part);
        let names = |model: &Model| {
            let mut names = BTreeMap::<String, usize>::new();
            for text in &part {
                let nearest = model.nearest(&model.scores(text)).filter(|nearest| nearest.known);
                *names.entry(nearest.map_or("und".to_owned(), |n| model.tags[n.language].clone())).or_default() += 1;
            }
            names
        };
        let mut taken_for = names(&Model::with(std::slice::from_ref(&trial)));
        let right = taken_for.remove(tag).unwrap_or(0);
        let lesson = Lesson { texts: texts.len(), kept_back: part.len(), right, taken_for, before: names(&base) };
        let all: Vec<&str> = texts.iter().map(|text| &**text).collect();
        Ok((Self { typical: trial.typical, ..Self::of(tag, &all, &base) }, lesson))
    }

    fn of(tag: &str, texts: &[&str], base: &Model) -> Self {
        let mut counts: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut totals = [0_u32; GRAM_MAX + 1];
        for text in texts {
            let folded = grams::folded(text);
            grams::each(&folded, |_, start, length| {
                *counts.entry(folded[start..][..length].to_vec()).or_default() += 1;
                totals[length] += 1;
            });
        }
        let languages = base.tags.len() as f64;
        let mut grams: Vec<_> = counts
            .into_iter()
            .filter_map(|(gram, count)| {
                let share = (f64::from(count) - DISCOUNT) / f64::from(totals[gram.len()]);
                let gram: String = gram.into_iter().filter_map(char::from_u32).collect();
                let score = score(share);
                // What many languages have in common counts for none.
                let others = base.scores_of_gram(grams::hash(&gram)).filter(|_| score > 0)?;
                let elsewhere: f64 = others.iter().map(|&score| SHARES[usize::from(score.max(1)) - 1]).sum();
                let mean = (share + elsewhere + FLOOR * (languages - others.len() as f64)) / (languages + 1.0);
                let tells = share * (f64::from(score) - f64::from(self::score(mean)));
                Some((others.is_empty(), tells, gram, score))
            })
            .collect();
        grams.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.2.cmp(&b.2)));
        let mut own = 0;
        grams.retain(|(alone, ..)| {
            own += usize::from(*alone);
            !alone || own <= OWN_GRAMS
        });
        grams.truncate(GRAMS_MAX);
        let grams = grams.into_iter().map(|(_, _, gram, score)| (gram, score)).collect();
        let characters = texts.iter().map(|text| text.chars().count() as u64).sum();
        Self { format: FORMAT, tag: tag.to_owned(), characters, typical: 1, grams }
    }

    fn typical_of(&self, texts: &[&str]) -> u16 {
        let (mut score, mut count) = (0_u64, 0_u64);
        let mut gram = String::new();
        for text in texts {
            let folded = grams::folded(text);
            grams::each(&folded, |_, start, length| {
                gram.clear();
                gram.extend(folded[start..][..length].iter().copied().filter_map(char::from_u32));
                score += self.grams.get(&gram).map_or(0, |&score| u64::from(score));
                count += 1;
            });
        }
        (256 * score / count.max(1)).clamp(1, u16::MAX.into()) as u16
    }

    /// Reads the file of a language. The bytes are returned too, for whoever
    /// wants their hash.
    ///
    /// # Errors
    /// `language-file-wrong`, and what the disk brings.
    pub fn read(path: &Path) -> Result<(Self, Vec<u8>)> {
        let wrong = |cause: &dyn std::fmt::Display| Error::usage("language-file-wrong").path(path).arg("cause", cause);
        let mut bytes = Vec::new();
        File::open(path).at(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).at(path)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong(&format!("> {FILE_BYTES_MAX} B")));
        }
        let learned: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
        learned.fault().map_or(Ok((learned, bytes)), |cause| Err(wrong(&cause)))
    }

    /// The tag of the language.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// What is in the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a language is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// What is wrong with it, for experts.
    fn fault(&self) -> Option<String> {
        let wrong_gram = |(gram, score): &(&String, &u8)| {
            let inner = gram.strip_prefix(' ').unwrap_or(gram);
            let inner = inner.strip_suffix(' ').unwrap_or(inner);
            let letters = inner.chars().all(|c| c != ' ' && grams::is_folded(c));
            !letters || inner.is_empty() || gram.chars().count() > GRAM_MAX || !(1..=SCORE_MAX).contains(*score)
        };
        if self.format != FORMAT {
            Some(format!("format {}", self.format))
        } else if !tags::well_formed(&self.tag) {
            Some(format!("tag {:?}", self.tag))
        } else if self.typical == 0 {
            Some("typical 0".to_owned())
        } else if self.grams.is_empty() || self.grams.len() > GRAMS_MAX {
            Some(format!("{} grams", self.grams.len()))
        } else {
            self.grams.iter().find(wrong_gram).map(|(gram, score)| format!("grams: {gram:?}: {score}"))
        }
    }
}

/// Refuses what is no tag of a language.
fn check_tag(tag: &str) -> Result<()> {
    match tags::well_formed(tag) && tag != "und" {
        true => Ok(()),
        false => Err(Error::usage("language-tag-wrong").arg("tag", tag)),
    }
}

/// What a share scores, in half nats.
fn score(share: f64) -> u8 {
    SHARES.partition_point(|least| *least <= share) as u8
}

/// A sample as texts of a few sentences, each once.
fn texts(sample: &[String]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut bytes = 0;
    for text in sample {
        let text = clean::normalise(text);
        for piece in text.split("\n\n").flat_map(|paragraph| clean::pieces(paragraph, TEXT_BYTES)) {
            if bytes < SAMPLE_BYTES_MAX && grams::folded(piece).len() > 20 && seen.insert(piece.to_owned()) {
                bytes += piece.len();
                texts.push(piece.to_owned());
            }
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Identifier;

    /// Words of no language, made by rule, the same each time.
    pub(crate) fn invented(seed: u64, words: usize) -> Vec<String> {
        let mut state = seed;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let syllables = ["qwo", "zix", "vrul", "xan", "jjeb", "wuq", "tlix", "oqqa"];
        let sentence = |next: &mut dyn FnMut(usize) -> usize| {
            (0..12).map(|_| (0..=next(3)).map(|_| syllables[next(8)]).collect::<String>()).collect::<Vec<_>>().join(" ")
        };
        (0..words / 12).map(|_| sentence(&mut next)).collect()
    }

    #[test]
    fn an_invented_language_is_unknown_and_can_be_learned() {
        let sample = [invented(1, 3000).join("\n\n")];
        let text = invented(2, 36).join(" ");
        let before = Identifier::new(&[], &[]).guess(&text);
        assert!(before.language != "qaa", "{before:?}");
        let (learned, lesson) = Learned::learn("qaa", &sample).unwrap();
        assert!(lesson.kept_back > 20 && lesson.right >= lesson.kept_back - 1, "{lesson:?}");
        assert_eq!(learned.fault(), None);
        let identifier = Identifier::new(&["qaa".into(), "sw".into()], &[learned]);
        assert!(identifier.unknown().is_empty());
        let after = identifier.guess(&text);
        assert_eq!(after.language, "qaa");
        assert!(after.percent >= 90, "{after:?}");
        let swahili = "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.";
        assert_eq!(identifier.guess(swahili).language, "sw");
    }

    #[test]
    fn a_small_sample_and_a_wrong_tag_are_refused() {
        let key = |tag: &str, text: &str| Learned::learn(tag, &[text.to_owned()]).unwrap_err().key().to_owned();
        assert_eq!(key("bem", "Abantu bonse bafyalwa abalubuka."), "language-sample-small");
        assert_eq!(key("Kibemba", ""), "language-tag-wrong");
        assert_eq!(key("und", ""), "language-tag-wrong");
    }

    #[test]
    fn the_same_sample_gives_the_same_file_and_damage_is_found() {
        let sample = [invented(1, 600).join("\n\n")];
        let (learned, _) = Learned::learn("qaa", &sample).unwrap();
        let bytes = learned.to_bytes();
        assert_eq!(Learned::learn("qaa", &sample).unwrap().0.to_bytes(), bytes);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qaa.json");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Learned::read(&path)
        };
        assert_eq!(read(&bytes).unwrap().0, learned);
        let text = String::from_utf8(bytes.clone()).unwrap();
        for (from, to) in [
            ("\"format\": 1", "\"format\": 2"),
            ("\"qaa\"", "\"Q\""),
            ("\"grams\": {", "\"grams\": {\"a b\": 3, "),
            ("\"grams\": {", "\"grams\": {\"ABC\": 3, "),
            ("\"grams\": {", "\"grams\": {\"abcdef\": 3, "),
            ("\"grams\": {", "\"grams\": {\"abc\": 16, "),
            ("\"grams\": {", "\"grams\": {\"  \": 1, "),
            ("\"grams\": {", "\"more\": 1, \"grams\": {"),
        ] {
            assert!(text.contains(from));
            assert_eq!(read(text.replacen(from, to, 1).as_bytes()).unwrap_err().key(), "language-file-wrong", "{to}");
        }
        assert_eq!(read(&vec![b' '; 2 << 20]).unwrap_err().key(), "language-file-wrong");
        // Any damage is an error or a language that can be used.
        for change in 0..2000_usize {
            let mut damaged = bytes.clone();
            let at = change.wrapping_mul(7919) % damaged.len();
            damaged[at] = damaged[at].wrapping_add((change % 255) as u8 + 1);
            if change < 40
                && let Ok((learned, _)) = read(&damaged)
            {
                Identifier::new(&[], &[learned]).guess("qwozix vrul");
            } else {
                let _ = serde_json::from_slice::<Learned>(&damaged).map(|learned| learned.fault());
            }
        }
    }
}
