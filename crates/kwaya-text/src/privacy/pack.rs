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
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use super::{
    Kind,
    checksum::Checksum,
    near::{Near, Words},
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
    words: Words,
    /// The most that any rule asks for.
    within: usize,
}

struct Rule {
    kind: Kind,
    pattern: Regex,
    /// The numbers of the words, sorted; none where nothing has to stand near.
    near: Vec<usize>,
    within: usize,
    checks: Vec<Checksum>,
}

impl Packs {
    /// The rules of `packs`, texts with their paths.
    pub(super) fn new(packs: &[(PathBuf, String)]) -> Result<Self> {
        let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut words = Words::default();
        let mut rules = Vec::new();
        let mut examples = Vec::new();
        let mut files = Vec::new();
        for (path, text) in packs {
            let file: File = toml::from_str(text)
                .map_err(|error| Error::usage("privacy-file").path(path).arg("cause", error.to_string().trim_end()))?;
            for (name, list) in file.words {
                lists.entry(name).or_default().extend(list);
            }
            files.push((path, file.rule));
        }
        for (path, entry) in files.into_iter().flat_map(|(path, entries)| entries.into_iter().map(move |e| (path, e))) {
            let name = entry.name.clone();
            let wrong = |cause: String| Error::usage("privacy-rule").path(path).arg("rule", &name).arg("cause", cause);
            if rules.len() == RULES_MAX {
                return Err(wrong(format!("more than {RULES_MAX} rules")));
            }
            let said = [(true, entry.matches.clone()), (false, entry.no_match.clone())];
            examples.push((path, name.clone(), said));
            rules.push(Rule::new(entry, &lists, &mut words).map_err(wrong)?);
        }
        let whole = |cause: &dyn std::fmt::Display| {
            Error::usage("privacy-file").path(&packs[packs.len() - 1].0).arg("cause", cause)
        };
        words.build().map_err(|error| whole(&error))?;
        let within = rules.iter().map(|rule| rule.within).max().unwrap_or(0);
        let mut packs = Self { rules, patterns: RegexSet::empty(), words, within };
        for (rule, (path, name, said)) in packs.rules.iter().zip(examples) {
            for (expected, examples) in said {
                if let Some(example) = examples.iter().find(|example| packs.is_in(rule, example) != expected) {
                    let key = if expected { "privacy-example-missed" } else { "privacy-example-found" };
                    return Err(Error::usage(key).path(path).arg("rule", &name).arg("example", example));
                }
            }
        }
        // Stable, so that the order within the files counts.
        packs.rules.sort_by_key(|rule| rule.near.is_empty());
        packs.patterns = RegexSetBuilder::new(packs.rules.iter().map(|rule| rule.pattern.as_str()))
            .unicode(false)
            .size_limit(ALL_COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| whole(&error))?;
        Ok(packs)
    }

    /// The end and the kind of what the first rule finds at `start` of the run.
    pub(super) fn find(&self, run: &Run<'_>, start: usize) -> Option<(usize, Kind)> {
        let matches = self.patterns.matches(&run.text[start..]);
        let mut near = None;
        let mut found = matches.iter().map(|index| &self.rules[index]);
        found.find_map(|rule| Some((self.end(rule, run, start, &mut near)?, rule.kind)))
    }

    /// The end of what a rule finds at `start` of the run. The words that stand
    /// near are kept with the end that they were looked for with: most rules
    /// find the same.
    fn end(&self, rule: &Rule, run: &Run<'_>, start: usize, near: &mut Option<(usize, Vec<Near>)>) -> Option<usize> {
        let end = rule.find(run, start)?;
        if rule.near.is_empty() {
            return Some(end);
        }
        let stands = |near: &Near| near.characters <= rule.within && rule.near.binary_search(&near.word).is_ok();
        if near.as_ref().is_none_or(|(of, _)| *of != end) {
            *near = Some((end, self.words.near(self.within, run.before(start), run.after(end))));
        }
        near.iter().flat_map(|(_, near)| near).any(stands).then_some(end)
    }

    /// Whether a rule finds anything in a text.
    fn is_in(&self, rule: &Rule, text: &str) -> bool {
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
                        run.numbers().iter().any(|(start, _)| self.end(rule, &run, *start, &mut None).is_some())
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

fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})")
}

impl Rule {
    fn new(entry: Entry, lists: &BTreeMap<String, Vec<String>>, words: &mut Words) -> Result<Self, String> {
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
                Some(name) => list.extend(lists.get(name).ok_or_else(|| format!("no words @{name}"))?.iter()),
                None => list.push(word),
            }
        }
        if list.len() > WORDS_MAX || list.iter().any(|word| word.trim_matches(['*', ' ']).is_empty()) {
            return Err(format!("near: at most {WORDS_MAX} words, none empty"));
        }
        let mut near: Vec<usize> = list.into_iter().map(|word| words.number(word)).collect();
        near.sort_unstable();
        Ok(Self { kind, pattern, near, within, checks: checksum })
    }

    /// The end of what it finds at `start`, whatever stands near.
    fn find(&self, run: &Run<'_>, start: usize) -> Option<usize> {
        let found = self.pattern.find(&run.text[start..])?;
        let end = start + found.end();
        let holds = found.end() > 0
            && run.is_whole(start, end)
            && !(found.as_str().contains(' ') && run.is_in_series(start, end))
            && (self.checks.is_empty() || {
                let value: String = found.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
                self.checks.iter().all(|check| check.holds(&value))
            });
        holds.then_some(end)
    }
}
