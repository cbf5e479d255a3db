//! From tokens to text that can be sent: whole characters alone, and nothing
//! of a text that ends an answer.

use kwaya_base::Result;
use kwaya_recipe::codec::Codec;

/// Tokens of the prompt that are looked at: whether the first word of an
/// answer has a space before it depends on what is there.
const BEFORE: usize = 4;
/// Tokens that may wait for their character to be whole; none takes as many.
const WAITING_MAX: usize = 16;

/// The text of a growing list of tokens, piece by piece. Only the end of the
/// list is made text again at each token.
pub(crate) struct Pieces {
    tokens: Vec<u32>,
    /// What is shown already ends here.
    shown: usize,
}

impl Pieces {
    pub(crate) fn new(prompt: &[u32]) -> Self {
        let tokens = prompt[prompt.len().saturating_sub(BEFORE)..].to_vec();
        Self { shown: tokens.len(), tokens }
    }

    /// The text that `token` completes; often a word, sometimes nothing.
    pub(crate) fn push(&mut self, token: u32, codec: &Codec) -> Result<String> {
        self.tokens.push(token);
        let piece = self.rest(codec)?;
        if piece.ends_with('\u{fffd}') && self.tokens.len() - self.shown < WAITING_MAX {
            return Ok(String::new());
        }
        self.tokens.drain(..self.shown);
        self.shown = self.tokens.len();
        Ok(piece)
    }

    /// What is left at the end, perhaps a part of a character.
    pub(crate) fn rest(&self, codec: &Codec) -> Result<String> {
        let before = codec.decode(&self.tokens[..self.shown])?;
        let all = codec.decode(&self.tokens)?;
        Ok(all.get(before.len()..).unwrap_or_default().to_owned())
    }
}

/// Keeps back what may be the beginning of a text that ends the answer.
pub(crate) struct Stops {
    ends: Vec<String>,
    kept: String,
}

impl Stops {
    pub(crate) fn new(ends: Vec<String>) -> Self {
        Self { ends, kept: String::new() }
    }

    /// What can be sent now that `piece` was added, and whether the answer is
    /// over.
    pub(crate) fn push(&mut self, piece: &str) -> (String, bool) {
        self.kept += piece;
        let found = self.ends.iter().filter_map(|end| self.kept.find(end.as_str())).min();
        if let Some(at) = found {
            self.kept.truncate(at);
            return (std::mem::take(&mut self.kept), true);
        }
        let may_end = |at: &usize| {
            self.kept.is_char_boundary(*at) && self.ends.iter().any(|end| end.starts_with(&self.kept[*at..]))
        };
        let longest = self.ends.iter().map(String::len).max().unwrap_or(0);
        let from = self.kept.len().saturating_sub(longest);
        let certain = (from..self.kept.len()).find(may_end).unwrap_or(self.kept.len());
        let rest = self.kept.split_off(certain);
        (std::mem::replace(&mut self.kept, rest), false)
    }

    /// What was kept back after all.
    pub(crate) fn rest(&mut self) -> String {
        std::mem::take(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(ends: &[&str], pieces: &[&str]) -> (Vec<String>, bool, String) {
        let mut stops = Stops::new(ends.iter().map(|&end| end.to_owned()).collect());
        let mut sent = Vec::new();
        for piece in pieces {
            let (text, over) = stops.push(piece);
            sent.push(text);
            if over {
                return (sent, true, stops.rest());
            }
        }
        (sent, false, stops.rest())
    }

    #[test]
    fn an_answer_ends_before_its_stop() {
        let text = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(sent(&[], &["ab", "c"]), (text(&["ab", "c"]), false, String::new()));
        assert_eq!(sent(&["\nYou:"], &["Hi", "\nYo", "u: no"]), (text(&["Hi", "", ""]), true, String::new()));
        assert_eq!(sent(&["\nYou:"], &["Hi\nYo", "ung"]), (text(&["Hi", "\nYoung"]), false, String::new()));
        assert_eq!(sent(&["END"], &["aE", "N"]), (text(&["a", ""]), false, "EN".to_owned()));
        // The first of two, wherever they stand in the list.
        assert_eq!(sent(&["c", "b"], &["abc"]), (text(&["a"]), true, String::new()));
        // A beginning within a beginning, and characters of several bytes.
        assert_eq!(sent(&["aab"], &["aa", "ab"]), (text(&["", "a"]), true, String::new()));
        assert_eq!(sent(&["é!"], &["é", "é!"]), (text(&["", "é"]), true, String::new()));
    }
}
