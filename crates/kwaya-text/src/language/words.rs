//! What words score, kept: a few thousand words make most of a text, and to add
//! what one scores is quicker than to look its n-grams up again. The sums are the
//! same, whichever are kept.

use super::{
    grams,
    model::{Found, Model, Scores},
};

/// Characters of the longest word that is kept, with its spaces.
const CHARACTERS_MAX: usize = 16;
/// Each word has two places, which its hash gives, for the last two that were met: of
/// ten words of Swahili news eight are found there. Some 8 MB where 450 languages are
/// known.
const PAIRS_BITS: u32 = 12;

/// A word, folded; zeros at the end.
type Key = [u32; CHARACTERS_MAX];

/// The words that one thread met last. L languages.
pub(super) struct Words {
    /// Without a word zeros alone.
    words: Vec<Key>,
    /// N-grams of each.
    grams: Vec<u16>,
    /// What each scores (L), no prior.
    scores: Vec<u16>,
    /// Of each two, the one that was met last.
    latest: Vec<u8>,
    /// For n-grams on their way.
    found: Vec<Found>,
}

impl Words {
    /// None, of so many languages.
    pub(super) fn new(languages: usize) -> Self {
        let pairs = 1 << PAIRS_BITS;
        Self {
            words: vec![[0; CHARACTERS_MAX]; 2 * pairs],
            grams: vec![0; 2 * pairs],
            scores: vec![0; 2 * pairs * languages],
            latest: vec![0; pairs],
            found: Vec::new(),
        }
    }

    /// Adds to `sums` what a word with its spaces scores in `model`.
    pub(super) fn add(&mut self, model: &Model, word: &[u32], sums: &mut Scores) {
        let mut key = [0; CHARACTERS_MAX];
        let Some(own) = key.get_mut(..word.len()) else {
            let of = &mut sums.of;
            sums.grams += model.look_up(word, &mut self.found, |language, score| of[language] += i32::from(score));
            return;
        };
        own.copy_from_slice(word);
        let pair = (grams::hash_of(word).wrapping_mul(0x85eb_ca6b) >> (32 - PAIRS_BITS)) as usize;
        // Not `==`, which calls a function.
        let differs = |slot: usize| self.words[slot].iter().zip(&key).fold(0, |bits, (a, b)| bits | (a ^ b)) != 0;
        let latest = usize::from(self.latest[pair]);
        let (slot, known) = match [2 * pair + latest, 2 * pair + 1 - latest].map(|slot| (slot, !differs(slot))) {
            [found @ (_, true), _] | [_, found] => found,
        };
        self.latest[pair] = (slot % 2) as u8;
        let languages = sums.of.len();
        let scores = &mut self.scores[slot * languages..][..languages];
        if !known {
            self.words[slot] = key;
            scores.fill(0);
            // So few n-grams score less than the numbers hold, unless a language was
            // taught by a file that was made to break this.
            let add = |language: usize, score| scores[language] = scores[language].saturating_add(score);
            let grams = model.look_up(word, &mut self.found, add);
            self.grams[slot] = grams as u16;
        }
        sums.grams += u32::from(self.grams[slot]);
        sums.of.iter_mut().zip(scores).for_each(|(sum, score)| *sum += i32::from(*score));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_scores_what_is_looked_up() {
        let model = Model::shared();
        let mut words = Words::new(model.tags.len());
        let mut state = 5_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let letters: Vec<char> = "aeiouknmstwọ́ñሰक".chars().collect();
        for round in 0..300 {
            // Most come again; some push others out, and some are too long.
            let length = 1 + random(if round % 10 == 0 { 40 } else { 3 });
            let text: String = (0..200)
                .map(|i| if i % (length + 1) == length { ' ' } else { letters[random(letters.len())] })
                .collect();
            let folded = grams::folded(&text);
            let mut kept = Scores { of: vec![0; model.tags.len()], grams: 0 };
            grams::words(&folded).for_each(|word| words.add(&model, word, &mut kept));
            let mut plain = vec![0; model.tags.len()];
            let grams = model.look_up(&folded, &mut Vec::new(), |language, score| plain[language] += i32::from(score));
            assert_eq!((kept.of, kept.grams), (plain, grams), "{text}");
        }
    }
}
