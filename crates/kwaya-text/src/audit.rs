//! What was replaced in a corpus, and what may have been missed: counts, and
//! the same few places of each each time.
//!
//! What was replaced is stored nowhere. For the documents that are drawn it is
//! read again out of the files they came from ([`originals`]); where these are
//! gone or have changed, the words around the placeholder are shown. What may
//! have been missed is found by patterns looser than those that replace; most of
//! it is harmless, and a person has to look.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    path::Path,
    sync::OnceLock,
};

use kwaya_base::{Error, Progress, Result, Unit};
use regex::Regex;
use serde::Serialize;

use crate::{
    chat,
    corpus::{Document, Options, Step},
    originals::originals,
    privacy::{Counts, Found, Kind},
    sources::Source,
    table::Reader,
};

/// Characters of a text around a place.
const CONTEXT: usize = 48;
/// Longer is shown cut, in characters.
const SHOWN_MAX: usize = 80;

/// Why something may be personal data that was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suspicion {
    /// A word with `@` in it.
    At,
    /// Seven digits or more, and neither a date nor a figure in thousands.
    LongNumber,
    /// A number after a word such as `tel` or `account`.
    AnnouncedNumber,
    /// A long code of capitals and digits.
    Code,
    /// What follows `my name is` in some languages.
    NameAfterWords,
    /// A day after `born`.
    Birth,
    /// A box at a post office.
    PostBox,
    /// Degrees, or a pair of numbers with decimals after a word such as `GPS`.
    Place,
}

impl Suspicion {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::At,
        Self::LongNumber,
        Self::AnnouncedNumber,
        Self::Code,
        Self::NameAfterWords,
        Self::Birth,
        Self::PostBox,
        Self::Place,
    ];

    /// The stable name: `long-number`. The words for people are the messages
    /// `missed-<name>`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::At => "at",
            Self::LongNumber => "long-number",
            Self::AnnouncedNumber => "announced-number",
            Self::Code => "code",
            Self::NameAfterWords => "name-after-words",
            Self::Birth => "birth",
            Self::PostBox => "post-box",
            Self::Place => "place",
        }
    }

    /// What is looked for. The first group, where there is one, is shown. No
    /// Unicode word boundary is asked for: it makes a search ten times slower.
    const fn pattern(self) -> &'static str {
        match self {
            Self::At => r"[^\s<>@]*@[^\s<>@]+",
            Self::LongNumber => r"\d(?:[ .\-/–]?\d){6,30}",
            Self::AnnouncedNumber => {
                r"(?i)(?:^|[^\p{L}])(?:simu|tel|phone|mobile|whatsapp|telefone|teléfono|téléphone|nambari|namba|nida|passport|akaunti|account|a/c|id no|kitambulisho|ስልክ|فون|هاتف|फोन|মোবাইল|ফোন)\W{1,4}(?:\p{L}{1,7}\W{1,3}){0,2}(\d[\d \-]{2,20}\d)"
            }
            Self::Code => r"(?-u:\b)[A-Z0-9]{8,20}(?-u:\b)",
            Self::NameAfterWords => {
                r"(?i:(?:^|[^\p{L}])(?:jina langu(?: ni)?|naitwa|ninaitwa|my name is|je m'appelle|mon nom est|me llamo|mi nombre es|meu nome é|me chamo|chamo-me|sunana|orúkọ mi(?: ni)?|aha m bụ|magacaygu(?: waa)?|igama lami|igama lam|maqaan koo|nama saya|ako si|erinnya lyange|ስሜ|मेरा नाम|আমার নাম|اسمي|میرا نام|نام من))[ :]{1,2}(\p{L}[\p{L}\p{M}'’-]+(?: [\p{Lu}\p{Lo}][\p{L}\p{M}'’-]+)?)"
            }
            Self::Birth => {
                r"(?i)(?:^|[^\p{L}])(?:born(?: on)?|date of birth|dob|alizaliwa|amezaliwa|nilizaliwa|tarehe ya kuzaliwa|née? le|nacid[oa] el|nascid[oa] em|fecha de nacimiento|data de nascimento|dhashay|an haife)\W{1,3}(?:\p{L}+ ){0,3}(\d{1,2}[ ./-]\p{L}{0,10}[ .\d/-]{3,9}\d)"
            }
            Self::PostBox => {
                r"(?i)(?:^|[^\p{L}])(?:p\.? ?o\.? ?box|s\.? ?l\.? ?p|b\.? ?p|apartado|caixa postal)\.?[ :]{1,3}(\d{1,7})"
            }
            Self::Place => {
                r"\d{1,3}(?:\.\d+)? ?[°º] ?[\d′'’.]*|(?i:gps|coordinates|lat|latitude|majira)\W{1,4}?(-?\d{1,3}\.\d{2,}\W{1,3}-?\d{1,3}\.\d{2,})"
            }
        }
    }
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Documents looked at.
    pub documents: u64,
    /// What was replaced.
    pub replaced: BTreeMap<Kind, Sampled>,
    /// What may have been missed.
    pub missed: BTreeMap<Suspicion, Sampled>,
}

/// How much there is of something, and some places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// How often it occurs.
    pub count: u64,
    /// In how many documents.
    pub documents: u64,
    /// Some places, each in another document, chosen by hash.
    pub places: Vec<Place>,
}

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The name of the file.
    pub source: String,
    /// The document.
    pub id: String,
    /// Some words before.
    pub before: String,
    /// What was replaced or may be personal; the placeholder where the file is
    /// gone or has changed.
    pub what: String,
    /// Some words after.
    pub after: String,
    /// Whether this was read out of the file, as the corpus does not have it.
    pub read_again: bool,
}

/// Looks through the corpus at `path` (`documents.parquet`), with `sample`
/// places for each kind. `sources` and `options` are those that it was made
/// with.
///
/// # Errors
/// When the file is not there or is no corpus; `interrupted`.
pub fn audit(
    path: &Path,
    sample: usize,
    sources: &[Source],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Audit> {
    let mut found = 0;
    let mut replaced: BTreeMap<Kind, Drawn> = BTreeMap::new();
    let mut missed: BTreeMap<Suspicion, Drawn> = BTreeMap::new();
    let table = Reader::<Document>::open(path)?;
    progress.begin("audit-documents", table.total(), Unit::Documents);
    for document in table {
        let document = document?;
        found += 1;
        progress.at(found);
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        for (kind, count) in counts(&document) {
            replaced.entry(kind).or_default().add(&document, kind.name(), count, sample);
        }
        let text = words(&document);
        for suspicion in Suspicion::ALL {
            let count = suspicion.places(&text).len() as u64;
            if count > 0 {
                missed.entry(suspicion).or_default().add(&document, suspicion.name(), count, sample);
            }
        }
    }
    progress.end();
    let drawn: Vec<&Document> = replaced.values().flat_map(Drawn::documents).collect();
    let originals = originals(&drawn, sources, options, progress)?;
    let replaced = replaced.into_iter().map(|(kind, drawn)| {
        let place = |document: &Document| {
            let original = originals.get(&document.letters).and_then(|text| replaced_in(text, document, options));
            match original {
                Some((text, found)) => {
                    let places =
                        found.into_iter().filter(|found| found.kind == kind).map(|found| (found.start, found.end));
                    place(document, text, kind.name(), places, true)
                }
                None => {
                    let text = words(document);
                    let places = text.match_indices(kind.placeholder()).map(|(at, what)| (at, at + what.len()));
                    place(document, &text, kind.name(), places, false)
                }
            }
        };
        (kind, drawn.sampled(place))
    });
    let missed = missed.into_iter().map(|(suspicion, drawn)| {
        let place = |document: &Document| {
            let text = words(document);
            place(document, &text, suspicion.name(), suspicion.places(&text).into_iter(), false)
        };
        (suspicion, drawn.sampled(place))
    });
    Ok(Audit { documents: found, replaced: replaced.collect(), missed: missed.collect() })
}

/// What is said in a document.
fn words(document: &Document) -> String {
    document.messages().map_or_else(|| document.text.clone(), |messages| chat::words(&messages))
}

/// How much of each kind was replaced in a document.
fn counts(document: &Document) -> Counts {
    let steps = document.history.iter();
    steps
        .filter_map(|step| if let Step::Redact { replaced } = step { Some(replaced.clone()) } else { None })
        .next()
        .unwrap_or_default()
}

/// What the rules find in the text that a document was made of, if that is
/// what they found then.
fn replaced_in<'t>(text: &'t str, document: &Document, options: &Options) -> Option<(&'t str, Vec<Found>)> {
    let found = options.privacy.as_ref()?.find(text);
    let mut counted = Counts::new();
    found.iter().for_each(|found| *counted.entry(found.kind).or_default() += 1);
    (counted == counts(document)).then_some((text, found))
}

/// The place of the lowest hash among those in a text.
fn place(
    document: &Document,
    text: &str,
    kind: &str,
    places: impl Iterator<Item = (usize, usize)>,
    read_again: bool,
) -> Option<Place> {
    let lowest = places.enumerate().min_by_key(|(index, _)| rank(&format!("{kind} {} {index}", document.id)));
    let (_, (start, end)) = lowest?;
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let before = text[..start].char_indices().rev().nth(CONTEXT - 1).map_or(0, |(at, _)| at);
    let after = text[end..].char_indices().nth(CONTEXT).map_or(text.len(), |(at, _)| end + at);
    Some(Place {
        source: document.source.clone(),
        id: document.id.clone(),
        before: line(&text[before..start]),
        what: line(&text[start..end]).chars().take(SHOWN_MAX).collect(),
        after: line(&text[end..after]),
        read_again,
    })
}

fn rank(what: &str) -> u64 {
    let hash = blake3::hash(what.as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

/// Counts, and the documents of the lowest hashes.
#[derive(Default)]
struct Drawn {
    count: u64,
    documents: u64,
    lowest: BinaryHeap<Ranked>,
}

/// A document by its hash.
struct Ranked(u64, Document);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0, &self.1.id).cmp(&(other.0, &other.1.id))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl Drawn {
    fn add(&mut self, document: &Document, kind: &str, count: u64, sample: usize) {
        self.count += count;
        self.documents += 1;
        let rank = rank(&format!("{kind} {}", document.id));
        let full = self.lowest.len() >= sample;
        if full && self.lowest.peek().is_none_or(|highest| highest.0 <= rank) {
            return;
        }
        if full {
            self.lowest.pop();
        }
        self.lowest.push(Ranked(rank, document.clone()));
    }

    fn documents(&self) -> impl Iterator<Item = &Document> {
        self.lowest.iter().map(|Ranked(_, document)| document)
    }

    fn sampled(self, place: impl Fn(&Document) -> Option<Place>) -> Sampled {
        let Self { count, documents, lowest } = self;
        let lowest = lowest.into_sorted_vec();
        Sampled { count, documents, places: lowest.iter().filter_map(|Ranked(_, document)| place(document)).collect() }
    }
}

impl Suspicion {
    /// Where it is in a text.
    fn places(self, text: &str) -> Vec<(usize, usize)> {
        static PATTERNS: OnceLock<Vec<Regex>> = OnceLock::new();
        let patterns = PATTERNS.get_or_init(|| {
            let pattern = |suspicion: Self| Regex::new(suspicion.pattern()).expect("the patterns are well formed");
            Self::ALL.map(pattern).into()
        });
        let found =
            patterns[self as usize].captures_iter(text).filter_map(|captures| captures.get(1).or(captures.get(0)));
        found.filter(|found| self.is_likely(found.as_str())).map(|found| (found.start(), found.end())).collect()
    }

    /// Whether what the pattern found is none of the harmless things that look
    /// like it.
    fn is_likely(self, found: &str) -> bool {
        let groups = || found.split(|c: char| !c.is_numeric()).map(|group| group.chars().count());
        match self {
            Self::LongNumber => {
                let many = groups().filter(|count| *count > 0).count();
                let thousands = many > 1 && groups().next() <= Some(3) && groups().skip(1).all(|count| count == 3);
                let dates = many > 1 && groups().all(|count| matches!(count, 1 | 2 | 4));
                !thousands && !dates
            }
            Self::Code => {
                let letters = found.bytes().filter(u8::is_ascii_uppercase).count();
                letters >= 2 && found.len() - letters >= 2
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kwaya_base::messages;

    fn found(suspicion: Suspicion, text: &str) -> Vec<&str> {
        suspicion.places(text).into_iter().map(|(start, end)| &text[start..end]).collect()
    }

    #[test]
    fn looser_patterns_find_what_rules_leave() {
        use Suspicion::{AnnouncedNumber, At, Birth, Code, LongNumber, NameAfterWords, Place, PostBox};
        for (suspicion, text, what) in [
            (At, "mfuate @juma_ali leo", &["@juma_ali"][..]),
            (LongNumber, "namba 71234567 na 12 345 678 na 2015-2019 na 12/05/2021", &["71234567"]),
            (AnnouncedNumber, "akaunti namba 12345 na simu yake ni 555-01", &["12345", "555-01"]),
            (Code, "Codes X12CD34EF, MAENDELEO, 20212022", &["X12CD34EF"]),
            (NameAfterWords, "Jina langu ni Asha Juma na naitwa Ali.", &["Asha Juma", "Ali"]),
            (NameAfterWords, "আমার নাম রহিম", &["রহিম"]),
            (Birth, "Alizaliwa tarehe 12 Machi 1990, born on 3/4/1985", &["12 Machi 1990", "3/4/1985"]),
            (PostBox, "S.L.P 1234 Dodoma, P.O. Box 77", &["1234", "77"]),
            (Place, "GPS: -1.28, 36.81", &["-1.28, 36.81"]),
        ] {
            assert_eq!(found(suspicion, text), what, "{suspicion:?}");
        }
    }

    #[test]
    fn each_has_its_place_and_its_words() {
        for (index, suspicion) in Suspicion::ALL.into_iter().enumerate() {
            assert_eq!(suspicion as usize, index);
            assert!(messages::exists(&format!("missed-{}", suspicion.name())));
            assert_eq!(serde_json::to_string(&suspicion).unwrap(), format!("\"{}\"", suspicion.name()));
        }
    }
}
