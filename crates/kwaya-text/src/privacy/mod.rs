//! Personal data in a text: found by rules, replaced by placeholders, counted
//! by kind.
//!
//! One scan over the bytes stops at `@`, at a bracket before `at`, and at
//! digits of any script; what stands there goes through the rules. An address
//! with `@` is an e-mail address by its form ([`email`]). Digits make a run
//! ([`run`]): numbers with single blanks, dashes, dots or slashes between. At
//! each number of a run these are tried, and the first that fits replaces it:
//! network addresses, bank accounts (IBAN), cards, rules of packs that ask for
//! words nearby, rules of packs by form alone, telephones, coordinates. Most
//! runs are years and prices, too short for any, and cost next to nothing.
//! Names come from lists that a person brings; a second pass finds them.

mod account;
mod checksum;
mod email;
mod names;
mod near;
mod network;
mod numbering;
mod pack;
mod phone;
mod place;
mod run;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use kwaya_base::{Error, Result, error::At};
use serde::{Deserialize, Serialize};

pub use self::phone::COUNTRIES_MAX;
pub(crate) use self::run::ZEROS;
use self::{names::Names, pack::Packs, phone::Phones, run::Run};

/// Raised when the rules of this module change what they replace; packs and
/// lists are hashed by their content.
const REVISION: u32 = 1;

/// A pack or a list of names is a text that a person wrote; more is a mistake.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Words before numbers of things.
const OTHERS: &[&str] = &["isbn", "issn", "doi", "oclc", "arxiv", "pmid", "ean", "upc", "gtin", "invoice"];
/// Bytes before a number that are looked at for them.
const OTHERS_BEFORE: usize = 16;

/// What a piece of personal data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The number of a payment card.
    Card,
    /// An international bank account number.
    Iban,
    /// An address in a network.
    Ip,
    /// Where on earth somebody is, to some metres.
    Coordinates,
    /// A number that a state gives to a person: of identity, tax, passport.
    Id,
    /// A number or code of mobile money or of an account.
    Money,
    /// A name.
    Name,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Iban,
        Self::Ip,
        Self::Coordinates,
        Self::Id,
        Self::Money,
        Self::Name,
    ];

    /// What stands in the text instead.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "<email>",
            Self::Phone => "<phone>",
            Self::Card => "<card>",
            Self::Iban => "<iban>",
            Self::Ip => "<ip>",
            Self::Coordinates => "<coordinates>",
            Self::Id => "<id>",
            Self::Money => "<money>",
            Self::Name => "<name>",
        }
    }

    /// The stable name: `email`. The words for people are the messages
    /// `privacy-<name>`.
    pub fn name(self) -> &'static str {
        self.placeholder().trim_matches(['<', '>'])
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many pieces of each kind were replaced; kinds that did not occur are
/// not there.
pub type Counts = BTreeMap<Kind, u64>;

/// What decides the rules beside those that come with Kwaya.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The languages of the corpus, as BCP 47 tags: they say in which
    /// countries' ways telephone numbers are written.
    pub languages: Vec<String>,
    /// These countries instead (ISO 3166, two letters).
    pub countries: Vec<String>,
    /// Packs of more rules (TOML).
    pub packs: Vec<PathBuf>,
    /// Lists of names, one a line.
    pub names: Vec<PathBuf>,
}

/// The rules, ready for use by any number of threads.
pub struct Privacy {
    phones: Phones,
    packs: Packs,
    names: Option<Names>,
    hash: String,
}

/// A text without personal data, and how much of it there was.
#[derive(Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The text with placeholders.
    pub text: String,
    /// What they stand for.
    pub counts: Counts,
}

/// A piece of personal data in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Privacy").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Privacy {
    /// The rules that come with Kwaya, in no particular country.
    pub fn plain() -> Arc<Self> {
        static PLAIN: LazyLock<Arc<Privacy>> =
            LazyLock::new(|| Arc::new(Privacy::new(&Settings::default()).expect("the packs of Kwaya are well formed")));
        Arc::clone(&PLAIN)
    }

    /// The rules for `settings`. Every example in every pack is tried.
    ///
    /// # Errors
    /// `privacy-file` for a pack or a list that cannot be used as a whole,
    /// `privacy-rule` for a rule that is wrong, `privacy-example` for an
    /// example that does not do what it should, `privacy-country`, and what
    /// reading brings.
    pub fn new(settings: &Settings) -> Result<Self> {
        let phones = Phones::new(&settings.languages, &settings.countries)?;
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(&REVISION.to_le_bytes());
        field(phones.countries().join(" ").as_bytes());
        let mut packs = Vec::new();
        for (name, text) in pack::BUILT_IN {
            packs.push((PathBuf::from(name), (*text).to_owned()));
        }
        for path in &settings.packs {
            packs.push((path.clone(), read(path)?));
        }
        packs.iter().for_each(|(_, text)| field(text.as_bytes()));
        field(b"names");
        let mut lists = Vec::new();
        for path in &settings.names {
            let text = read(path)?;
            field(text.as_bytes());
            lists.push((path.clone(), text));
        }
        let names = if lists.is_empty() { None } else { Some(Names::new(&lists)?) };
        Ok(Self { phones, packs: Packs::new(&packs)?, names, hash: hasher.finalize().to_hex().to_string() })
    }

    /// BLAKE3 (hexadecimal) of all that decides what is replaced.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The text with each piece of personal data replaced by what it is.
    pub fn redact(&self, text: String) -> Redacted {
        let mut counts = Counts::new();
        let spans = self.find(&text);
        if spans.is_empty() {
            return Redacted { text, counts };
        }
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for Found { start, end, kind } in spans {
            out.push_str(&text[copied..start]);
            out.push_str(kind.placeholder());
            *counts.entry(kind).or_default() += 1;
            copied = end;
        }
        out.push_str(&text[copied..]);
        Redacted { text: out, counts }
    }

    /// The pieces of personal data in a text, in order; none overlaps another.
    pub fn find(&self, text: &str) -> Vec<Found> {
        let mut spans: Vec<Found> = Vec::new();
        let mut at = 0;
        // What is before this belongs to a piece that was found or looked at.
        let mut floor = 0;
        while let Some(stop) = run::stop(text, at) {
            at = match stop {
                run::Stop::At(at) => match email::find(text, at, floor) {
                    Some((start, end)) => {
                        spans.push(Found { start, end, kind: Kind::Email });
                        floor = end;
                        end
                    }
                    None => at + 1,
                },
                run::Stop::Digit(at) => {
                    let end = self.numbers(text, at, floor, &mut spans);
                    floor = spans.last().map_or(floor, |span| floor.max(span.end));
                    end.max(floor)
                }
            };
        }
        match &self.names {
            Some(names) => merge(spans, names.find(text)),
            None => spans,
        }
    }

    /// Looks at the run of numbers around the digit at `at`; gives its end.
    fn numbers(&self, text: &str, at: usize, floor: usize, spans: &mut Vec<Found>) -> usize {
        let extent = run::extent(text, at, floor);
        if let Some(end) = network::v6(text, extent.start) {
            spans.push(Found { start: extent.start, end, kind: Kind::Ip });
            return end;
        }
        if let Some((start, end)) = place::find(text, at, floor) {
            spans.push(Found { start, end, kind: Kind::Coordinates });
            return end;
        }
        if let Some(end) = account::iban(text, extent.start) {
            spans.push(Found { start: extent.start, end, kind: Kind::Iban });
            return end;
        }
        if !extent.is_candidate() {
            // Its last number may be one of degrees, of an address.
            let more = extent.last > at && text[extent.end..].starts_with(['°', 'º', ':']);
            return if more { extent.last } else { extent.end };
        }
        let run = Run::new(text, &extent, floor);
        let mut next = floor;
        for &(start, _) in run.numbers() {
            let at = run.position(start);
            if at < next {
                continue;
            }
            if let Some(span) = self.number(&run, start, spans.last()) {
                next = span.end;
                spans.push(span);
            } else if let Some((start, end)) = place::find(text, at, next) {
                next = end;
                spans.push(Found { start, end, kind: Kind::Coordinates });
            }
        }
        extent.end.max(next)
    }

    /// What begins with the number at `start` of the run.
    fn number(&self, run: &Run<'_>, start: usize, last: Option<&Found>) -> Option<Found> {
        let here = |end, kind| Some(Found { start: run.position(start), end: run.position(end), kind });
        if let Some((end, tells)) = network::v4(run, start) {
            return if tells { here(end, Kind::Ip) } else { None };
        }
        if let Some(end) = network::v6(run.document, run.position(start)) {
            return Some(Found { start: run.position(start), end, kind: Kind::Ip });
        }
        if near::ends_in_word(near::last(run.before(start), OTHERS_BEFORE), OTHERS) {
            return None;
        }
        if let Some(end) = account::iban(run.document, run.position(start)) {
            return Some(Found { start: run.position(start), end, kind: Kind::Iban });
        }
        if let Some(end) = account::card(run, start) {
            return here(end, Kind::Card);
        }
        if let Some((end, kind)) = self.packs.find(run, start) {
            return here(end, kind);
        }
        let after_phone = last.is_some_and(|last| last.kind == Kind::Phone && run.follows(last.end, start));
        self.phones.find(run, start, after_phone).map(|(start, end)| Found { start, end, kind: Kind::Phone })
    }
}

/// Two lists of spans as one; where they overlap, the first list counts.
fn merge(first: Vec<Found>, second: Vec<Found>) -> Vec<Found> {
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let mut first = first.into_iter().peekable();
    for span in second {
        while let Some(before) = first.next_if(|other| other.end <= span.start) {
            merged.push(before);
        }
        if first.peek().is_none_or(|other| span.end <= other.start) {
            merged.push(span);
        }
    }
    merged.extend(first);
    merged
}

fn read(path: &Path) -> Result<String> {
    let wrong = |cause: String| Error::usage("privacy-file").path(path).arg("cause", cause);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)).at(path)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(format!("more than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
}

/// The text in small letters; as it is where that is all it has.
fn lower(text: &str) -> Cow<'_, str> {
    match text.chars().any(char::is_uppercase) {
        true => Cow::Owned(text.to_lowercase()),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
