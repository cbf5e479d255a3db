//! Texts that a model is measured on, which must not be trained on.
//!
//! A document is contaminated when it has a run of 13 words in common with one of
//! them (Brown et al. 2020, appendix C), or the whole of one that has 8 to 12
//! words. In scripts that do not part words it is 39 characters, or the whole of one
//! that has 34 to 38.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

use kwaya_base::{Error, Result, error::At};
use serde_json::Value;

use crate::duplicates::{for_each_word, mix, parts_words};

/// Words that are in common.
const WORDS: usize = 13;
/// A shorter text is a common phrase.
const WORDS_MIN: usize = 8;
/// Where words are not parted, runs of so many characters are units, which
/// overlap: 13 of them are 39 characters.
const CHARACTERS: usize = 27;
/// A file of such texts that is larger is no set of questions.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The runs of words that no document may have.
#[derive(Clone, Debug, Default)]
pub struct KeepOut {
    /// The hashes of runs, by the number of words.
    runs: BTreeMap<usize, HashSet<u64>>,
    /// BLAKE3 of each file.
    hashes: Vec<blake3::Hash>,
}

impl KeepOut {
    /// Reads `files`: JSON lines, of which every string counts, or plain text, of
    /// which every line does.
    ///
    /// # Errors
    /// `keep-out-too-large`, `keep-out-text` for a file that is no text, and what
    /// the disk brings.
    pub fn read<P: AsRef<Path>>(files: &[P]) -> Result<Self> {
        let mut keep_out = Self::default();
        for path in files.iter().map(AsRef::as_ref) {
            if fs::metadata(path).at(path)?.len() > FILE_BYTES_MAX {
                return Err(Error::usage("keep-out-too-large").path(path).arg("bytes", FILE_BYTES_MAX));
            }
            let bytes = fs::read(path).at(path)?;
            keep_out.hashes.push(blake3::hash(&bytes));
            let text = String::from_utf8(bytes).map_err(|_| Error::usage("keep-out-text").path(path))?;
            for line in text.lines() {
                match serde_json::from_str::<Value>(line) {
                    Ok(value @ (Value::Object(_) | Value::Array(_))) => keep_out.add_strings(&value),
                    _ => keep_out.add(line),
                }
            }
        }
        Ok(keep_out)
    }

    /// The content of its files, whatever their names: what makes it another one.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for hash in &self.hashes {
            hasher.update(hash.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    fn add_strings(&mut self, value: &Value) {
        match value {
            Value::String(text) => text.lines().for_each(|line| self.add(line)),
            Value::Array(values) => values.iter().for_each(|value| self.add_strings(value)),
            Value::Object(values) => values.values().for_each(|value| self.add_strings(value)),
            _ => {}
        }
    }

    fn add(&mut self, line: &str) {
        let units = units(line);
        let length = units.len().min(WORDS);
        if length >= WORDS_MIN {
            let runs = self.runs.entry(length).or_default();
            runs.extend(units.windows(length).map(run));
        }
    }

    /// Whether `text` has one of the runs.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if self.runs.is_empty() {
            return false;
        }
        let units = units(text);
        self.runs.iter().any(|(length, runs)| units.windows(*length).any(|window| runs.contains(&run(window))))
    }
}

fn run(units: &[u64]) -> u64 {
    units.iter().fold(units.len() as u64, |hash, unit| mix(hash ^ unit))
}

/// Hashes of the words of a text, lower case, or of runs of its characters.
fn units(text: &str) -> Vec<u64> {
    let mut units = Vec::new();
    for_each_word(text, |word| units.push(word));
    if parts_words(text, units.len()) {
        return units;
    }
    let characters: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    characters.windows(CHARACTERS).map(|window| window.iter().fold(1, |h, c| mix(h ^ u64::from(*c)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "Je, ni nchi gani ya Afrika Mashariki ambayo ilipata uhuru wake mwaka wa 1961?";

    fn keep_out(name: &str, content: &str) -> KeepOut {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        KeepOut::read(&[path]).unwrap()
    }

    #[test]
    fn a_question_is_found_however_it_is_written() {
        let line = serde_json::json!({ "question": QUESTION, "choices": ["Kenya", "Tanganyika"], "answer": 1 });
        for keep_out in [keep_out("a.jsonl", &line.to_string()), keep_out("a.txt", QUESTION)] {
            assert!(keep_out.is_in(&format!("Jaribio la kwanza.\n{}\nJibu: Tanganyika", QUESTION.to_uppercase())));
            assert!(keep_out.is_in(&QUESTION.replace(' ', "\n")));
            assert!(
                !keep_out
                    .is_in("Ni nchi gani ya Afrika Mashariki ambayo ilipata uhuru mwaka wa 1963? Kenya au Tanganyika?")
            );
            assert!(!keep_out.is_in(""));
        }
    }

    #[test]
    fn short_ones_count_whole_and_the_shortest_not_at_all() {
        let nine = "mto mrefu kuliko yote katika bara la Afrika ni";
        let keep_out = keep_out("a.txt", &format!("{nine}\nasante sana kwa kunisaidia leo"));
        assert!(keep_out.is_in(&format!("Wanasema {nine} Nile.")));
        assert!(!keep_out.is_in("mto mrefu kuliko yote katika bara la Asia; asante sana kwa kunisaidia leo"));
    }

    #[test]
    fn scripts_without_blanks_are_compared_by_characters() {
        let text = "ភាសាខ្មែរជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជាហើយមានអ្នកនិយាយច្រើនជាងដប់ប្រាំមួយលាននាក់";
        let keep_out = keep_out("a.txt", text);
        let other: String = text.chars().rev().collect();
        assert!(keep_out.is_in(&format!("{other}{text}{other}")));
        assert!(!keep_out.is_in(&other));
    }
}
