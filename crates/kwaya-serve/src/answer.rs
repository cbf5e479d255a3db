//! One answer on its way: how its next token is chosen, what of it is sent,
//! and when it is over.

use std::collections::BTreeMap;

use kwaya_base::{Error, Result};
use kwaya_model::{Conversation, Sampler, SamplerOptions};
use kwaya_recipe::text_model::TextModel;
use kwaya_text::constraint::Constrained;
use tokio::sync::mpsc::UnboundedSender;

use crate::text::{Pieces, Stops};

/// How an answer is to be written.
pub(crate) struct Writing {
    pub(crate) sampler: SamplerOptions,
    pub(crate) tokens_max: usize,
    /// Texts that end it and are not sent.
    pub(crate) stop: Vec<String>,
    pub(crate) constrained: Option<Constrained>,
    /// How many of the likeliest tokens are told at each place, if any is.
    pub(crate) logprobs: Option<usize>,
    /// Added to the logits of tokens.
    pub(crate) bias: BTreeMap<u32, f32>,
    /// Taken from the logit of a token for each time that it was written.
    pub(crate) frequency_penalty: f32,
    /// Taken from it once when it was written at all.
    pub(crate) presence_penalty: f32,
}

impl Writing {
    /// The likeliest tokens, up to `end` if that is there.
    pub(crate) fn likeliest(tokens_max: usize, end: Option<String>) -> Self {
        Self {
            sampler: SamplerOptions { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 },
            tokens_max,
            stop: end.into_iter().collect(),
            constrained: None,
            logprobs: None,
            bias: BTreeMap::new(),
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
        }
    }
}

/// Where the events of an answer go. It never makes the engine wait: an answer
/// is short, and whoever asked may go away.
pub(crate) struct Sender {
    /// Which of the answers to the request it is.
    pub(crate) index: usize,
    pub(crate) to: UnboundedSender<(usize, Event)>,
}

impl Sender {
    pub(crate) fn send(&self, event: Event) {
        // Whoever went away does not want to know.
        let _ = self.to.send((self.index, event));
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.to.is_closed()
    }
}

/// A request for an answer, or for what the model makes of a text.
pub(crate) struct Job {
    pub(crate) prompt: Vec<u32>,
    /// How to write; nothing where only the prompt is to be read.
    pub(crate) writing: Option<Writing>,
    pub(crate) events: Sender,
}

impl Job {
    /// Tokens that it can come to.
    pub(crate) fn length_max(&self) -> usize {
        self.prompt.len() + self.writing.as_ref().map_or(0, |writing| writing.tokens_max)
    }
}

/// A text that is read for what the model makes of it: the mean of its last
/// states.
pub(crate) struct Reading {
    pub(crate) user: String,
    pub(crate) conversation: Conversation,
    pub(crate) tokens: Vec<u32>,
    pub(crate) read: usize,
    /// Of the states of the tokens that were read.
    pub(crate) sum: Vec<f64>,
    pub(crate) events: Sender,
}

impl Reading {
    /// Says what came of it: the mean, of length 1, as is usual.
    pub(crate) fn finish(&self) {
        let length = self.sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        self.events.send(Event::State(self.sum.iter().map(|x| (x * scale) as f32).collect()));
    }
}

/// What whoever asked is told.
pub(crate) enum Event {
    /// More of the answer.
    Piece(Piece),
    /// It is whole.
    End(End),
    /// What the model made of the text.
    State(Vec<f32>),
    /// It will not come.
    Failed(Error),
}

/// A token of an answer.
#[derive(Default)]
pub(crate) struct Piece {
    /// The text that can be shown now; may be empty.
    pub(crate) text: String,
    pub(crate) likely: Option<Likely>,
}

/// A token with its likelihood, and the likeliest in its place.
pub(crate) struct Likely {
    pub(crate) token: u32,
    pub(crate) logprob: f32,
    pub(crate) top: Vec<(u32, f32)>,
}

/// How an answer ended.
#[derive(Clone, Copy)]
pub(crate) struct End {
    /// Whether it ended because it had as many tokens as it may.
    pub(crate) cut: bool,
    pub(crate) tokens: usize,
    /// Tokens of the prompt that had been read before.
    pub(crate) known: usize,
}

/// An answer that is being written.
pub(crate) struct Answer {
    pub(crate) user: String,
    pub(crate) conversation: Conversation,
    /// The prompt and what was written.
    pub(crate) history: Vec<u32>,
    /// Tokens of the history that the model has read.
    pub(crate) read: usize,
    /// Tokens that it may come to, prompt and all.
    pub(crate) length_max: usize,
    prompt: usize,
    known: usize,
    writing: Writing,
    sampler: Sampler,
    counts: BTreeMap<u32, u32>,
    pieces: Pieces,
    stops: Stops,
    events: Sender,
}

impl Answer {
    /// `known` tokens of its prompt need not be read.
    pub(crate) fn new(
        user: String,
        prompt: Vec<u32>,
        mut writing: Writing,
        events: Sender,
        conversation: Conversation,
        known: usize,
    ) -> Self {
        Self {
            user,
            conversation,
            read: known,
            length_max: prompt.len() + writing.tokens_max,
            prompt: prompt.len(),
            known,
            sampler: Sampler::new(writing.sampler),
            counts: BTreeMap::new(),
            pieces: Pieces::new(&prompt),
            stops: Stops::new(std::mem::take(&mut writing.stop)),
            history: prompt,
            writing,
            events,
        }
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.events.is_closed()
    }

    /// Goes on with the token that `logits` (V) give. True when it is over.
    pub(crate) fn go_on(&mut self, model: &TextModel, logits: &[f32], scratch: &mut Vec<f32>) -> bool {
        match self.step(model, logits, scratch) {
            Ok(None) => false,
            Ok(Some(cut)) => {
                let end = End { cut, tokens: self.history.len() - self.prompt, known: self.known };
                self.events.send(Event::End(end));
                true
            }
            Err(error) => {
                self.fail(error);
                true
            }
        }
    }

    pub(crate) fn fail(&self, error: Error) {
        self.events.send(Event::Failed(error));
    }

    /// Whether it was cut, once it is over.
    fn step(&mut self, model: &TextModel, logits: &[f32], scratch: &mut Vec<f32>) -> Result<Option<bool>> {
        let changed = self.change(logits, scratch);
        let token = self.sampler.next(if changed { scratch } else { logits }, &self.history);
        if let Some(constrained) = &mut self.writing.constrained {
            constrained.take(token)?;
        }
        if model.codec().ends(token) {
            return self.finish(model, false).map(Some);
        }
        self.history.push(token);
        *self.counts.entry(token).or_default() += 1;
        let (text, stopped) = self.stops.push(&self.pieces.push(token, model.codec())?);
        let likely = self.writing.logprobs.map(|top| Likely::of(logits, token, top));
        if !text.is_empty() || likely.is_some() {
            self.events.send(Event::Piece(Piece { text, likely }));
        }
        if stopped {
            return Ok(Some(false));
        }
        if self.writing.constrained.as_ref().is_some_and(Constrained::is_over) {
            return self.finish(model, false).map(Some);
        }
        if self.history.len() == self.length_max {
            return self.finish(model, true).map(Some);
        }
        Ok(None)
    }

    /// Sends what was kept back.
    fn finish(&mut self, model: &TextModel, cut: bool) -> Result<bool> {
        let (mut text, stopped) = self.stops.push(&self.pieces.rest(model.codec())?);
        if !stopped {
            text += &self.stops.rest();
        }
        if !text.is_empty() {
            self.events.send(Event::Piece(Piece { text, likely: None }));
        }
        Ok(cut && !stopped)
    }

    /// Writes the logits as the request changes them to `scratch`, if it does.
    fn change(&self, logits: &[f32], scratch: &mut Vec<f32>) -> bool {
        let Writing { constrained, bias, frequency_penalty, presence_penalty, .. } = &self.writing;
        let penalised = *frequency_penalty != 0.0 || *presence_penalty != 0.0;
        if constrained.is_none() && bias.is_empty() && !penalised {
            return false;
        }
        scratch.clear();
        scratch.extend_from_slice(logits);
        let mut add = |token: u32, change: f32| {
            if let Some(logit) = scratch.get_mut(token as usize) {
                *logit += change;
            }
        };
        bias.iter().for_each(|(token, change)| add(*token, *change));
        if penalised {
            self.counts
                .iter()
                .for_each(|(token, count)| add(*token, -(*count as f32 * frequency_penalty + presence_penalty)));
        }
        if let Some(constrained) = constrained {
            for (token, logit) in (0..).zip(scratch.iter_mut()) {
                if !constrained.allows(token) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        true
    }
}

impl Likely {
    /// By what the model says, before temperature and all else.
    fn of(logits: &[f32], token: u32, top: usize) -> Self {
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|logit| f64::from(logit - greatest).exp()).sum();
        let logprob = |logit: f32| (f64::from(logit - greatest) - sum.ln()) as f32;
        let mut best: Vec<(u32, f32)> = Vec::with_capacity(top + 1);
        for (token, logit) in (0..).zip(logits) {
            if best.len() < top || best.last().is_some_and(|(_, least)| logit > least) {
                let at = best.partition_point(|(_, other)| other >= logit);
                best.insert(at, (token, *logit));
                best.truncate(top);
            }
        }
        let top = best.into_iter().map(|(token, logit)| (token, logprob(logit))).collect();
        Self { token, logprob: logprob(logits[token as usize]), top }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelihoods_are_those_of_the_softmax() {
        let logits = [1.0_f32, 3.0, 2.0, 3.0];
        let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
        let likely = Likely::of(&logits, 2, 3);
        assert!((likely.logprob - (2.0 - total.ln())).abs() < 1e-6);
        assert_eq!(likely.top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 3, 2]);
        assert!(Likely::of(&logits, 0, 0).top.is_empty());
        assert!(Likely::of(&[f32::NAN, 1.0], 1, 2).top.len() <= 2);
    }
}
