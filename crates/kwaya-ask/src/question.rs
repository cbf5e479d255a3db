//! What a question looks for, and how much of it a text has.

use std::collections::{BTreeSet, HashSet};

use crate::analysis;

/// A word of a question, or a piece of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    /// As it is compared.
    pub text: String,
    /// How many passages have it.
    pub passages: u64,
    /// How much it tells: the fewer passages have it, the more.
    pub weight: f32,
}

/// A question, taken apart.
#[derive(Clone, Debug)]
pub struct Question {
    words: Vec<Weighted>,
    pieces: Vec<Weighted>,
}

impl Question {
    /// Takes `text` apart; `None` where it has no word. The closures count the
    /// passages that have a word and a piece, of `passages` that there are.
    pub(crate) fn new<E>(
        text: &str,
        passages: u64,
        with_word: impl Fn(&str) -> Result<u64, E>,
        with_piece: impl Fn(&str) -> Result<u64, E>,
    ) -> Result<Option<Self>, E> {
        let words = weigh(analysis::words(text), passages, with_word)?;
        let pieces = weigh(analysis::pieces(text), passages, with_piece)?;
        Ok((!pieces.is_empty()).then_some(Self { words, pieces }))
    }

    /// Its words, each once.
    pub fn words(&self) -> &[Weighted] {
        &self.words
    }

    /// The pieces of its words, each once.
    pub fn pieces(&self) -> &[Weighted] {
        &self.pieces
    }

    /// How much of the question `text` has, from 0 to 1.
    pub fn cover(&self, text: &str) -> f32 {
        self.gain(&analysis::pieces(text).into_iter().collect(), &HashSet::new())
    }

    /// How much of the question is among `pieces` and not yet `known`.
    pub(crate) fn gain(&self, pieces: &HashSet<String>, known: &HashSet<String>) -> f32 {
        let gained = |piece: &&Weighted| pieces.contains(&piece.text) && !known.contains(&piece.text);
        let all: f32 = self.pieces.iter().map(|piece| piece.weight).sum();
        let gained: f32 = self.pieces.iter().filter(gained).map(|piece| piece.weight).sum();
        if all > 0.0 { gained / all } else { 0.0 }
    }
}

/// Each term once, with its weight: the inverse document frequency of BM25.
fn weigh<E>(terms: Vec<String>, passages: u64, with: impl Fn(&str) -> Result<u64, E>) -> Result<Vec<Weighted>, E> {
    let terms: BTreeSet<String> = terms.into_iter().collect();
    let weigh = |text: String| {
        let with = with(&text)?;
        let (all, some) = (passages.max(with) as f32, with as f32);
        Ok(Weighted { text, passages: with, weight: (1.0 + (all - some + 0.5) / (some + 0.5)).ln() })
    };
    terms.into_iter().map(weigh).collect()
}
