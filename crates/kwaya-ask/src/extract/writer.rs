//! Several answers at once, each held to one form: every pass of the model reads
//! a token of each answer and a piece of the prompts that are not read yet. The
//! tokens of an answer depend on its own prompt alone.

use std::sync::Arc;

use kwaya_base::{Error, Result};
use kwaya_math::PAGE;
use kwaya_model::{Conversation, Conversations, shares};
use kwaya_recipe::text_model::TextModel;
use kwaya_text::constraint::{Constrained, Form, Forms};

/// Tokens of prompts that are read in a pass: enough for products to be fast.
const PROMPT_TOKENS: usize = 256;

/// Bytes that keys and values of all answers may take, and those of them that are
/// kept for prompts that begin alike.
const MEMORY: u64 = 2 << 30;
const KEPT: u64 = 64 << 20;

/// What came of a prompt.
pub(super) struct Written<T> {
    /// Whose it is.
    pub(super) tag: T,
    pub(super) text: String,
    /// Whether it had as many tokens as it may before it came to an end.
    pub(super) cut: bool,
}

struct Answer<T> {
    tag: T,
    conversation: Conversation,
    /// The prompt and what was written.
    history: Vec<u32>,
    /// How much of it the model has read.
    read: usize,
    length_max: usize,
    constrained: Constrained,
    text: Vec<u8>,
}

pub(super) struct Writer<'m, T> {
    model: &'m TextModel,
    forms: Arc<Forms>,
    form: Form,
    cache: Conversations<'m>,
    answers: Vec<Answer<T>>,
}

impl<'m, T> Writer<'m, T> {
    /// # Errors
    /// `form-without-end` for a model that no text ends with, `form-wrong` for a
    /// form that cannot be followed.
    pub(super) fn new(model: &'m TextModel, form: Form) -> Result<Self> {
        let forms = model.forms()?;
        forms.begin(&form)?;
        Ok(Self { model, forms, form, cache: model.conversations_within(MEMORY, KEPT), answers: Vec::new() })
    }

    /// Tokens of a prompt and its answer at the most.
    pub(super) fn context(&self) -> usize {
        self.model.architecture().context.min(self.cache.pages_max().saturating_mul(PAGE))
    }

    /// Reads what all prompts begin with, so that it is read once.
    pub(super) fn read_beginning(&mut self, tokens: &[u32]) -> Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let (conversation, known) = self.cache.begin(tokens);
        let read = self.cache.feed(&[(conversation, &tokens[known..])]).map(drop);
        self.cache.end(conversation);
        read
    }

    /// How many answers are being written.
    pub(super) fn count(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is memory for all that one more prompt can come to; alone it
    /// has.
    pub(super) fn has_room(&self, length_max: usize) -> bool {
        let lengths = self.answers.iter().map(|answer| answer.length_max).chain([length_max]);
        self.answers.is_empty() || lengths.map(|length| length.div_ceil(PAGE)).sum::<usize>() <= self.cache.pages_max()
    }

    /// Begins an answer to `prompt`, which with its answer has at most
    /// `length_max` tokens.
    pub(super) fn begin(&mut self, tag: T, prompt: Vec<u32>, length_max: usize) -> Result<()> {
        let constrained = self.forms.begin(&self.form)?;
        let (conversation, read) = self.cache.begin(&prompt);
        let answer = Answer { tag, conversation, history: prompt, read, length_max, constrained, text: Vec::new() };
        self.answers.push(answer);
        Ok(())
    }

    /// One pass of the model; the answers that it finishes.
    pub(super) fn step(&mut self) -> Result<Vec<Written<T>>> {
        let Self { model, forms, cache, answers, .. } = self;
        let counts = shares(answers.iter().map(|answer| answer.history.len() - answer.read), PROMPT_TOKENS);
        let batch: Vec<(Conversation, &[u32])> = answers
            .iter()
            .zip(&counts)
            .filter(|(_, count)| **count > 0)
            .map(|(answer, count)| (answer.conversation, &answer.history[answer.read..answer.read + count]))
            .collect();
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut logits = cache.feed(&batch)?.chunks(model.architecture().vocab);
        let mut over = Vec::new();
        for (answer, count) in answers.iter_mut().zip(&counts) {
            answer.read += count;
            let logits = if *count > 0 { logits.next() } else { None };
            let written = logits.filter(|_| answer.read == answer.history.len());
            over.push(written.map_or(Ok(false), |logits| answer.go_on(model, forms, logits))?);
        }
        let mut over = over.into_iter();
        let (whole, rest) = std::mem::take(answers).into_iter().partition(|_| over.next().unwrap_or(false));
        *answers = rest;
        let written = |answer: Answer<T>| {
            cache.end(answer.conversation);
            let cut = !answer.constrained.is_over();
            Written { tag: answer.tag, text: String::from_utf8_lossy(&answer.text).into_owned(), cut }
        };
        Ok(whole.into_iter().map(written).collect())
    }
}

impl<T> Answer<T> {
    /// Goes on with the likeliest token of those that the form allows. True when
    /// nothing can follow, or no more is asked for.
    fn go_on(&mut self, model: &TextModel, forms: &Forms, logits: &[f32]) -> Result<bool> {
        let mut best: Option<(u32, f32)> = None;
        for (token, logit) in (0..).zip(logits) {
            if best.is_none_or(|(_, most)| *logit > most) && self.constrained.allows(token) {
                best = Some((token, *logit));
            }
        }
        // A form in which a field has no value that is allowed.
        let Some((token, _)) = best else {
            return Err(Error::usage("extract-dead-end").arg("text", String::from_utf8_lossy(&self.text)));
        };
        self.constrained.take(token)?;
        if !model.codec().ends(token) {
            self.history.push(token);
            self.text.extend(forms.bytes(token));
        }
        Ok(self.constrained.is_over() || self.history.len() >= self.length_max)
    }
}
