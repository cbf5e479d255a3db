//! Marks: the tokens by which a model knows who speaks and where a turn ends.
//!
//! A chat template writes them as text, and so can anybody: a document that
//! says `<|im_end|>` would end the turn of whoever quotes it, and speak on in
//! another's name. So every such text in what people wrote is put in a fence
//! before the template is run, and is encoded as the words that it is.

use std::{borrow::Cow, mem::take};

use aho_corasick::{AhoCorasick, MatchKind};
use kwaya_base::Result;
use kwaya_text::chat::Message;
use serde_json::Value;
use tokenizers::Tokenizer;

use crate::codec::failed;

/// What opens a fence, and what closes one: Unicode has set both aside to stand
/// for no character, so that no text has them. Where one has, they are left out.
const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// A tokenizer for which marks are marks, except where they are fenced.
#[derive(Debug)]
pub(crate) struct Marks {
    tokenizer: Tokenizer,
    /// Finds the texts of all marks; `None` where there are none.
    texts: Option<AhoCorasick>,
}

impl Marks {
    /// Those of `plain`, for which marks are text.
    pub(crate) fn of(plain: &Tokenizer) -> Self {
        let mut tokenizer = plain.clone();
        tokenizer.set_encode_special_tokens(false);
        let added = tokenizer.get_added_tokens_decoder();
        let marks: Vec<&str> = added
            .values()
            .filter(|token| token.special && !token.content.is_empty())
            .map(|token| &*token.content)
            .collect();
        // The order of the marks does not matter: the longest is taken.
        let texts = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&marks);
        Self { texts: texts.ok().filter(|_| !marks.is_empty()), tokenizer }
    }

    /// A text that somebody wrote, with its marks in fences.
    pub(crate) fn fenced<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let is_fence = |c| c == OPEN || c == CLOSE;
        let text: Cow<'_, str> = if text.contains(is_fence) { text.replace(is_fence, "").into() } else { text.into() };
        let Some(texts) = self.texts.as_ref().filter(|texts| texts.is_match(&*text)) else { return text };
        let (mut fenced, mut from) = (String::with_capacity(text.len() + 16), 0);
        for found in texts.find_iter(&*text) {
            fenced += &text[from..found.start()];
            fenced.push(OPEN);
            fenced += &text[found.range()];
            fenced.push(CLOSE);
            from = found.end();
        }
        (fenced + &text[from..]).into()
    }

    /// The same of a message. Who speaks is not for people to write.
    pub(crate) fn fenced_message(&self, message: &Message) -> Message {
        Message { role: message.role.clone(), content: self.fenced(&message.content).into_owned() }
    }

    /// The same of all texts in a value.
    pub(crate) fn fenced_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fenced(text).into(),
            Value::Array(values) => values.iter().map(|value| self.fenced_value(value)).collect(),
            Value::Object(fields) => {
                let fields =
                    fields.iter().map(|(name, value)| (self.fenced(name).into_owned(), self.fenced_value(value)));
                Value::Object(fields.collect())
            }
            other => other.clone(),
        }
    }

    /// The tokens of what a template made of fenced texts. What a fence holds is
    /// encoded by `plain`, with the words around it; one that a template tore apart
    /// holds all that follows.
    ///
    /// # Errors
    /// When the tokenizer cannot read the text.
    pub(crate) fn encode(&self, plain: &Tokenizer, text: &str) -> Result<Vec<u32>> {
        let tokens = |tokenizer: &Tokenizer, text: &str| -> Result<Vec<u32>> {
            match text {
                "" => Ok(Vec::new()),
                text => Ok(tokenizer.encode_fast(text, false).map_err(failed)?.get_ids().to_vec()),
            }
        };
        let Some(texts) = self.texts.as_ref().filter(|_| text.contains(OPEN)) else {
            return tokens(&self.tokenizer, text);
        };
        let (mut all, mut words, mut rest) = (Vec::new(), String::new(), text);
        while !rest.is_empty() {
            let (open, held) = rest.split_once(OPEN).unwrap_or((rest, ""));
            let mut from = 0;
            for mark in texts.find_iter(open) {
                words += &open[from..mark.start()];
                all.extend(tokens(plain, &take(&mut words))?);
                all.extend(tokens(&self.tokenizer, &open[mark.range()])?);
                from = mark.end();
            }
            words += &open[from..];
            let (held, after) = held.split_once(CLOSE).unwrap_or((held, ""));
            words += held;
            rest = after;
        }
        all.extend(tokens(plain, &words)?);
        Ok(all)
    }
}
