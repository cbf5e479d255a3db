//! Who allowed what: the licence of each source, who gave consent, when, for
//! what and until when. A plan or a build whose sources do not allow what the
//! model is for does not start. Which day it is decides only that, never a
//! bit.

use std::{
    fmt, fs,
    path::Path,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use chrono::NaiveDate;
use kwaya_base::{Error, Result, error::At, say};
use kwaya_text::corpus::Stats;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::recipe::Recipe;

/// The file beside the corpus that says what each source allows.
pub const SOURCES: &str = "sources.json";

/// Words of who gave consent, at most.
const WORDS_MAX: usize = 500;

/// What a model, or a document, may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Anything, by anybody.
    Any,
    /// To find something out.
    Research,
    /// To teach and to learn.
    Education,
    /// The care of patients.
    HealthCare,
    /// The work of the state and of those who work for all without gain.
    PublicService,
    /// To earn money.
    Commercial,
}

impl Use {
    /// Every use, in the order in which they are told.
    pub const ALL: [Self; 6] =
        [Self::Any, Self::Research, Self::Education, Self::HealthCare, Self::PublicService, Self::Commercial];

    /// The stable name: `public-service`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Research => "research",
            Self::Education => "education",
            Self::HealthCare => "health-care",
            Self::PublicService => "public-service",
            Self::Commercial => "commercial",
        }
    }

    /// Its permission in the Data Use Ontology, which has none for teaching,
    /// public service and trade.
    pub const fn duo(self) -> Option<Duo> {
        match self {
            Self::Any => Some(Duo { id: "DUO:0000004", label: "no restriction" }),
            Self::Research => Some(Duo { id: "DUO:0000042", label: "general research use" }),
            Self::HealthCare => Some(Duo { id: "DUO:0000043", label: "clinical care use" }),
            Self::Education | Self::PublicService | Self::Commercial => None,
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Use {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| words(&Self::ALL))
    }
}

/// Names with commas between them.
pub fn words(uses: &[Use]) -> String {
    uses.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ")
}

/// A term of the Data Use Ontology (<https://github.com/EBISPOT/DUO>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Duo {
    /// As `DUO:0000042`.
    pub id: &'static str,
    /// As it is called there.
    pub label: &'static str,
}

/// A day of the Gregorian calendar, written 2026-11-25.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(NaiveDate);

impl Day {
    /// The day by this machine's clock, in UTC.
    pub fn today() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let time = i64::try_from(seconds).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
        Self(time.unwrap_or_default().date_naive())
    }

    /// When it begins, in seconds since 1970 in UTC; 0 for days before that.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0.and_time(chrono::NaiveTime::MIN).and_utc().timestamp()).unwrap_or(0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| plain);
        day.map(Self).ok_or("a day is written 2026-11-25")
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A day in quotation marks, or one of TOML.
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Day;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a day, such as \"2026-11-25\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Day, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Day, A::Error> {
                let written = toml::value::Datetime::deserialize(MapAccessDeserializer::new(map))?;
                written.to_string().parse().map_err(serde::de::Error::custom)
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// How long consent lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// To the end of this day.
    Day(Day),
    /// Without an end.
    NoEnd,
}

/// As it is written in a recipe.
const NO_END: &str = "no-end";

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::NoEnd => f.write_str(NO_END),
        }
    }
}

impl FromStr for Until {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            NO_END => Ok(Self::NoEnd),
            day => day.parse().map(Self::Day).map_err(|_| "a day is written 2026-11-25; without an end, no-end"),
        }
    }
}

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Words(String),
            Day(toml::value::Datetime),
        }
        let words = match Written::deserialize(deserializer)? {
            Written::Words(words) => words,
            Written::Day(day) => day.to_string(),
        };
        words.parse().map_err(serde::de::Error::custom)
    }
}

/// The consent that is given for a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    /// The licence of these documents: an SPDX expression, or
    /// `LicenseRef-…` for terms of one's own.
    pub licence: String,
    /// Who allowed it.
    pub allowed_by: String,
    /// When.
    pub allowed_on: Day,
    /// For what.
    pub allowed_for: Vec<Use>,
    /// Until when.
    pub allowed_until: Until,
}

/// The words that a recipe must have for each source.
pub const WORDS: [&str; 5] = ["licence", "allowed_by", "allowed_on", "allowed_for", "allowed_until"];

impl Consent {
    /// What of it cannot be: the key, its value, and what may be.
    pub(crate) fn wrong(&self) -> Option<(&'static str, String, String)> {
        let licence = match spdx::Expression::parse(&self.licence) {
            Ok(licence) => licence,
            Err(error) => {
                let cause = format!("{} ({})", self.licence, error.reason);
                return Some(("source.licence", cause, say!("rights-licences")));
            }
        };
        // A name of nothing is none, though the grammar has it.
        if licence.requirements().any(|one| one.req.license.to_string().ends_with("LicenseRef-")) {
            return Some(("source.licence", self.licence.clone(), say!("rights-licences")));
        }
        let by = self.allowed_by.trim();
        if by.is_empty() || by.chars().count() > WORDS_MAX || by.chars().any(char::is_control) {
            return Some(("source.allowed_by", by.chars().take(WORDS_MAX).collect(), say!("rights-by")));
        }
        if self.allowed_for.is_empty() {
            return Some(("source.allowed_for", "[]".into(), words(&Use::ALL)));
        }
        // What such a licence keeps back, its words cannot give: whoever gave
        // more, gave a licence of their own.
        let trade = self.allows(Use::Commercial);
        if trade && !licence.evaluate(|required| !non_commercial(&required.license.to_string())) {
            let value = format!("{} ({})", words(&self.allowed_for), self.licence);
            return Some(("source.allowed_for", value, say!("rights-non-commercial")));
        }
        None
    }

    /// Whether this use is among those allowed.
    pub fn allows(&self, wanted: Use) -> bool {
        self.allowed_for.contains(&Use::Any) || self.allowed_for.contains(&wanted)
    }
}

/// Whether a licence of this name keeps trade back.
fn non_commercial(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("-nc-") || name.ends_with("-nc") || name.contains("noncommercial") || name.contains("non-commercial")
}

/// What was found when consent was compared with a day.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The day.
    pub day: Day,
    /// What the model is for, which all sources allow.
    pub uses: Vec<Use>,
    /// When the first consent ends.
    pub until: Until,
}

/// Whether every source of `recipe` allows what the model is for, on the day
/// `day`.
///
/// # Errors
/// `rights-refused`, with each source that does not, and why.
pub fn check(recipe: &Recipe, day: Day) -> Result<Checked> {
    let mut refused = Vec::new();
    for source in &recipe.source {
        let (place, consent) = (source.path.display(), &source.consent);
        let missing: Vec<Use> = recipe.uses.iter().copied().filter(|wanted| !consent.allows(*wanted)).collect();
        if !missing.is_empty() {
            let allowed = words(&consent.allowed_for);
            refused.push(say!("rights-not-for", place = place, wanted = words(&missing), allowed = allowed));
        }
        if consent.allowed_on > day {
            refused.push(say!("rights-not-yet", place = place, on = consent.allowed_on, today = day));
        }
        if let Until::Day(end) = consent.allowed_until
            && end < day
        {
            refused.push(say!("rights-ended", place = place, end = end, by = consent.allowed_by, today = day));
        }
    }
    if !refused.is_empty() {
        return Err(Error::usage("rights-refused").arg("list", refused.join("\n")).arg("use", words(&recipe.uses)));
    }
    let until = recipe.source.iter().map(|source| source.consent.allowed_until).min();
    Ok(Checked { day, uses: recipe.uses.clone(), until: until.unwrap_or(Until::NoEnd) })
}

/// What a source allows and what is in the corpus of it: a row of
/// [`SOURCES`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceRights {
    /// Its number, which each document carries as `origin`.
    pub origin: u64,
    /// Where it is, as the recipe has it.
    pub path: String,
    /// The consent.
    #[serde(flatten)]
    pub consent: Consent,
    /// Documents of it in the corpus.
    pub documents: u64,
    /// UTF-8 bytes of them.
    pub bytes: u64,
}

/// What each source of `recipe` allows, with its part of the corpus.
pub fn of_sources(recipe: &Recipe, corpus: &Stats) -> Vec<SourceRights> {
    let rows = (1..).zip(&recipe.source).map(|(origin, source)| {
        let part = corpus.sources.get(&origin).copied().unwrap_or_default();
        SourceRights {
            origin,
            path: source.path.display().to_string(),
            consent: source.consent.clone(),
            documents: part.documents,
            bytes: part.bytes,
        }
    });
    rows.collect()
}

/// What the sources of the corpus in `folder` allow.
///
/// # Errors
/// `corpus-missing` before there is one, and when the file is damaged.
pub fn read(folder: &Path) -> Result<Vec<SourceRights>> {
    let path = folder.join("build/corpus").join(SOURCES);
    if !path.exists() {
        return Err(Error::new("corpus-missing").path(folder));
    }
    serde_json::from_slice(&fs::read(&path).at(&path)?)
        .map_err(|cause| Error::new("corpus-damaged").path(&path).arg("cause", cause))
}

/// What all of these sources allow together.
pub fn common(sources: &[SourceRights]) -> Vec<Use> {
    let allowed = |wanted: &Use| sources.iter().all(|source| source.consent.allows(*wanted));
    Use::ALL.into_iter().filter(allowed).collect()
}

/// The terms of the Data Use Ontology that say this: permissions first, then
/// what limits them.
pub fn duo(uses: &[Use], until: Until) -> Vec<Duo> {
    let permissions = if uses.contains(&Use::Any) { &uses[..1] } else { uses };
    let mut terms: Vec<Duo> = permissions.iter().filter_map(|one| one.duo()).collect();
    if !uses.contains(&Use::Any) && !uses.contains(&Use::Commercial) {
        terms.push(Duo { id: "DUO:0000046", label: "non-commercial use only" });
    }
    if until != Until::NoEnd {
        terms.push(Duo { id: "DUO:0000025", label: "time limit on use" });
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(licence: &str, uses: &[Use]) -> Consent {
        Consent {
            licence: licence.into(),
            allowed_by: "Chama cha wakulima".into(),
            allowed_on: "2026-01-01".parse().unwrap(),
            allowed_for: uses.to_vec(),
            allowed_until: "2026-12-31".parse().unwrap(),
        }
    }

    #[test]
    fn days_and_uses_are_read_and_written() {
        for good in ["2026-11-25", "2024-02-29"] {
            assert_eq!(good.parse::<Day>().unwrap().to_string(), good);
        }
        for wrong in ["", "2026-02-29", "25.11.2026", "2026-1-1", "+026-01-01", "20261125xx", "no-end"] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
        assert_eq!("no-end".parse::<Until>(), Ok(Until::NoEnd));
        for one in Use::ALL {
            assert_eq!(one.name().parse(), Ok(one));
            assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{one}\""));
        }
        assert!("profit".parse::<Use>().unwrap_err().contains("public-service"));
        #[derive(Deserialize)]
        struct Days {
            on: Day,
            until: Until,
        }
        for text in ["on = 2026-11-25\nuntil = 2027-01-01", "on = \"2026-11-25\"\nuntil = \"2027-01-01\""] {
            let days: Days = toml::from_str(text).unwrap();
            assert_eq!((days.on.to_string(), days.until.to_string()), ("2026-11-25".into(), "2027-01-01".into()));
        }
        for wrong in ["on = 2026-11-25T10:00:00Z\nuntil = 2027-01-01", "on = 3\nuntil = 4"] {
            assert!(toml::from_str::<Days>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_licence_is_an_expression_of_spdx_and_keeps_what_it_keeps() {
        let wrong = |licence: &str, uses: &[Use]| consent(licence, uses).wrong().map(|(key, ..)| key);
        for good in ["CC-BY-4.0", "MIT OR Apache-2.0", "LicenseRef-minutes-of-2026", "(CC0-1.0 AND ODbL-1.0)"] {
            assert_eq!(wrong(good, &[Use::Any]), None, "{good}");
        }
        for bad in ["", "free", "CC BY 4.0", "CC-BY-4.0 AND", "LicenseRef-", "cc-by-4.0; DROP"] {
            assert_eq!(wrong(bad, &[Use::Research]), Some("source.licence"), "{bad}");
        }
        assert_eq!(wrong("CC-BY-NC-SA-4.0", &[Use::Research, Use::Education]), None);
        assert_eq!(wrong("CC-BY-NC-4.0", &[Use::Commercial]), Some("source.allowed_for"));
        assert_eq!(wrong("CC0-1.0 AND CC-BY-NC-4.0", &[Use::Any]), Some("source.allowed_for"));
        assert_eq!(wrong("CC-BY-NC-4.0 OR LicenseRef-letter", &[Use::Any]), None);
        assert_eq!(wrong("CC0-1.0", &[]), Some("source.allowed_for"));
        let silent = Consent { allowed_by: " ".into(), ..consent("CC0-1.0", &[Use::Any]) };
        assert_eq!(silent.wrong().unwrap().0, "source.allowed_by");
    }

    #[test]
    fn terms_say_what_is_permitted_and_what_limits_it() {
        let ids =
            |uses: &[Use], until: &str| duo(uses, until.parse().unwrap()).iter().map(|t| t.id).collect::<Vec<_>>();
        assert_eq!(ids(&Use::ALL, "no-end"), ["DUO:0000004"]);
        assert_eq!(ids(&[Use::Research, Use::Education], "no-end"), ["DUO:0000042", "DUO:0000046"]);
        assert_eq!(ids(&[Use::Commercial], "2027-01-01"), ["DUO:0000025"]);
    }
}
