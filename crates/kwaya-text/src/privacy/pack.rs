//! Packs: rules for numbers of identity and of money, as data.
//!
//! A pack is a TOML file. A rule has a `name`, a `kind` and a `pattern`
//! (<https://docs.rs/regex/#syntax>), which begins where a number or a code
//! begins, sees digits of every script as ASCII, and has to reach a place
//! where the number is whole. What it matches has at least five digits, or
//! eight letters and digits. `checksum` lists checks that must hold, `near`
//! words of which one has to stand near; a name with `@` stands for a list
//! under `[words]`, here or in the packs of Kwaya, and a `*` at the end of a
//! word for any end. `match` and `no_match` are examples. They are tried when
//! the pack is read: a rule that does not do what its author believes does
//! harm in silence.

use std::{collections::BTreeMap, path::PathBuf};

use kwaya_base::{Error, Result};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder, SetMatches};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use super::{
    Kind,
    checksum::Checksum,
    near::Words,
    run::{self, Run, Stop},
};

/// The packs that come with Kwaya.
pub(super) const BUILT_IN: [(&str, &str); 5] = [
    ("words", include_str!("packs/words.toml")),
    ("money", include_str!("packs/money.toml")),
    ("africa", include_str!("packs/africa.toml")),
    ("asia", include_str!("packs/asia.toml")),
    ("america-europe", include_str!("packs/america-europe.toml")),
];

/// Rules in all packs.
const RULES_MAX: usize = 2000;
/// Bytes of a pattern, and of its compiled form.
const PATTERN_BYTES_MAX: usize = 2000;
const COMPILED_BYTES_MAX: usize = 1 << 20;
const ALL_COMPILED_BYTES_MAX: usize = 64 << 20;
/// Words near a rule, and examples of it.
const WORDS_MAX: usize = 1000;
const EXAMPLES_MAX: usize = 100;
/// How far away words may stand when a rule does not say, in characters.
const WITHIN: usize = 48;
const WITHIN_MAX: usize = 400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    words: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    rule: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    kind: Kind,
    pattern: String,
    #[serde(default)]
    near: Vec<String>,
    #[serde(default = "within")]
    within: usize,
    #[serde(default)]
    checksum: Vec<Checksum>,
    #[serde(rename = "match")]
    matches: Vec<String>,
    #[serde(default)]
    no_match: Vec<String>,
    // For people who read the pack.
    #[serde(default, rename = "country")]
    _country: String,
    #[serde(default, rename = "source")]
    _source: String,
    #[serde(default, rename = "risk")]
    _risk: String,
}

fn within() -> usize {
    WITHIN
}

/// All rules, those that ask for words first.
pub(super) struct Packs {
    rules: Vec<Rule>,
    patterns: RegexSet,
}

struct Rule {
    kind: Kind,
    pattern: Regex,
    near: Option<Words>,
    within: usize,
    checks: Vec<Checksum>,
}

impl Packs {
    /// The rules of `packs`, texts with their paths.
    pub(super) fn new(packs: &[(PathBuf, String)]) -> Result<Self> {
        let mut words: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut rules = Vec::new();
        let mut patterns = Vec::new();
        let mut files = Vec::new();
        for (path, text) in packs {
            let file: File = toml::from_str(text).map_err(|error| {
                Error::usage("privacy-file").path(path).arg("cause", error.to_string().trim_end())
            })?;
            for (name, list) in file.words {
                words.entry(name).or_default().extend(list);
            }
            files.push((path, file.rule));
        }
        for (path, entry) in files.into_iter().flat_map(|(path, entries)| entries.into_iter().map(move |e| (path, e))) {
            let name = entry.name.clone();
            let wrong = |cause: String| Error::usage("privacy-rule").path(path).arg("rule", &name).arg("cause", cause);
            if rules.len() == RULES_MAX {
                return Err(wrong(format!("more than {RULES_MAX} rules")));
            }
            patterns.push((!entry.near.is_empty(), anchored(&entry.pattern)));
            let examples = [(true, entry.matches.clone()), (false, entry.no_match.clone())];
            let rule = Rule::new(entry, &words).map_err(wrong)?;
            for (expected, examples) in examples {
                if let Some(example) = examples.iter().find(|example| rule.is_in(example) != expected) {
                    let key = if expected { "privacy-example-missed" } else { "privacy-example-found" };
                    return Err(Error::usage(key).path(path).arg("rule", &name).arg("example", example));
                }
            }
            rules.push(rule);
        }
        // Stable, so that the order within the files counts.
        rules.sort_by_key(|rule| rule.near.is_none());
        patterns.sort_by_key(|(near, _)| !near);
        let patterns = RegexSetBuilder::new(patterns.iter().map(|(_, pattern)| pattern))
            .unicode(false)
            .size_limit(ALL_COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| Error::usage("privacy-file").arg("path", "packs").arg("cause", error))?;
        Ok(Self { rules, patterns })
    }

    /// Which rules' patterns begin at `start` of the run.
    pub(super) fn matches(&self, run: &Run<'_>, start: usize) -> SetMatches {
        self.patterns.matches(&run.text[start..])
    }

    /// The end and the kind of what the first of these rules finds, among those
    /// that ask for words or among the others.
    pub(super) fn find(&self, matches: &SetMatches, run: &Run<'_>, start: usize, near: bool) -> Option<(usize, Kind)> {
        let rules = matches.iter().map(|index| &self.rules[index]).filter(|rule| rule.near.is_some() == near);
        rules.filter_map(|rule| Some((rule.find(run, start)?, rule.kind))).next()
    }
}

fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})")
}

impl Rule {
    fn new(entry: Entry, words: &BTreeMap<String, Vec<String>>) -> Result<Self, String> {
        let Entry { name, pattern, near, within, checksum, matches, no_match, kind, .. } = entry;
        if name.trim().is_empty() || pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("a name, and a pattern of at most {PATTERN_BYTES_MAX} bytes"));
        }
        if matches.is_empty() || matches.len().max(no_match.len()) > EXAMPLES_MAX {
            return Err(format!("1 to {EXAMPLES_MAX} examples"));
        }
        if within > WITHIN_MAX {
            return Err(format!("within: at most {WITHIN_MAX}"));
        }
        if let Some(mistake) = checksum.iter().find_map(Checksum::mistake) {
            return Err(mistake.to_owned());
        }
        let pattern = RegexBuilder::new(&anchored(&pattern))
            .unicode(false)
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| error.to_string())?;
        let mut list = Vec::new();
        for word in &near {
            match word.strip_prefix('@') {
                Some(name) => list.extend(words.get(name).ok_or_else(|| format!("no words @{name}"))?.iter()),
                None => list.push(word),
            }
        }
        if list.len() > WORDS_MAX || list.iter().any(|word| word.trim_matches(['*', ' ']).is_empty()) {
            return Err(format!("near: at most {WORDS_MAX} words, none empty"));
        }
        let near = match list.is_empty() {
            true => None,
            false => Some(Words::new(list.into_iter().map(String::as_str)).map_err(|error| error.to_string())?),
        };
        Ok(Self { kind, pattern, near, within, checks: checksum })
    }

    /// The end of what it finds at `start`.
    fn find(&self, run: &Run<'_>, start: usize) -> Option<usize> {
        let found = self.pattern.find(&run.text[start..])?;
        let end = start + found.end();
        let holds = found.end() > 0
            && run.is_whole(start, end)
            && !(found.as_str().contains(' ') && run.is_in_series(start, end))
            && (self.checks.is_empty() || {
                let value: String = found.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
                self.checks.iter().all(|check| check.holds(&value))
            })
            && self.near.as_ref().is_none_or(|words| words.stand(self.within, run.before(start), run.after(end)));
        holds.then_some(end)
    }

    /// Whether it finds anything in a text.
    fn is_in(&self, text: &str) -> bool {
        // As the texts of a corpus are.
        let text = &text.nfc().collect::<String>();
        let mut at = 0;
        while let Some(stop) = run::stop(text, at) {
            at = match stop {
                Stop::At(at) => at + 1,
                Stop::Digit(at) => {
                    let extent = run::extent(text, at, 0);
                    let found = extent.is_candidate() && {
                        let run = Run::new(text, &extent, 0);
                        run.numbers().iter().any(|(start, _)| self.find(&run, *start).is_some())
                    };
                    if found {
                        return true;
                    }
                    extent.end
                }
            };
        }
        false
    }
}
