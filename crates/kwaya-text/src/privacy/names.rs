//! Names from lists that a person brings.

use std::path::PathBuf;

use aho_corasick::AhoCorasick;
use kwaya_base::{Error, Result};
use unicode_normalization::UnicodeNormalization;

use super::{Found, Kind, near};

/// Names in all lists: what an automaton of some hundred megabytes holds.
const NAMES_MAX: usize = 200_000;
/// Longer is no name, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// One letter is no name.
const NAME_CHARACTERS_MIN: usize = 2;

pub(super) struct Names(AhoCorasick);

impl Names {
    /// The names in `lists`: one a line, as they are written in texts. They
    /// are also found in capitals; where a script has none, as they are.
    pub(super) fn new(lists: &[(PathBuf, String)]) -> Result<Self> {
        let mut names = Vec::new();
        for (path, text) in lists {
            let wrong = |cause: String| Error::usage("privacy-file").path(path).arg("cause", cause);
            for (number, line) in text.lines().enumerate() {
                let line = line.trim_start_matches('\u{feff}').trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let name: String = line.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect();
                if name.len() > NAME_BYTES_MAX || name.chars().count() < NAME_CHARACTERS_MIN {
                    let cause = format!("line {}: {NAME_CHARACTERS_MIN} letters to {NAME_BYTES_MAX} bytes", number + 1);
                    return Err(wrong(cause));
                }
                let capitals = name.to_uppercase();
                if capitals != name {
                    names.push(capitals);
                }
                names.push(name);
                if names.len() > 2 * NAMES_MAX {
                    return Err(wrong(format!("more than {NAMES_MAX} names")));
                }
            }
        }
        let built = AhoCorasick::new(&names);
        built.map(Self).map_err(|error| {
            let path = lists.first().map(|(path, _)| path.display().to_string()).unwrap_or_default();
            Error::usage("privacy-file").arg("path", path).arg("cause", error)
        })
    }

    /// Where names stand as whole words.
    pub(super) fn find(&self, text: &str) -> Vec<Found> {
        // All matches, as a longer one that is no whole word may hide a shorter
        // one that is.
        let mut whole: Vec<(usize, usize)> = self
            .0
            .find_overlapping_iter(text)
            .map(|found| (found.start(), found.end()))
            .filter(|&(start, end)| {
                let name = &text[start..end];
                let (before, after) = (text[..start].chars().next_back(), text[end..].chars().next());
                near::is_edge(before, name.chars().next()) && near::is_edge(after, name.chars().next_back())
            })
            .collect();
        whole.sort_unstable_by_key(|&(start, end)| (start, std::cmp::Reverse(end)));
        let mut spans: Vec<Found> = Vec::new();
        for (start, end) in whole {
            if spans.last().is_none_or(|last| last.end <= start) {
                spans.push(Found { start, end, kind: Kind::Name });
            }
        }
        spans
    }
}
