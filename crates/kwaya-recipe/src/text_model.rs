//! A model with its tokenizer: text in, text out.

use std::path::Path;

use kwaya_base::{Error, Result};
use kwaya_math::Pool;
use kwaya_model::{Model, Sampler, SamplerOptions, Session};
use tokenizers::Tokenizer;

/// A model folder in Hugging Face layout, ready to write.
pub struct TextModel {
    model: Model,
    tokenizer: Tokenizer,
    pool: Pool,
    end: u32,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The model said that the text is over.
    EndOfText,
    /// The asked number of tokens was reached.
    Length,
    /// The model's context is full.
    Context,
    /// Whoever listens wanted no more.
    Stopped,
}

impl Ended {
    /// The stable name, for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndOfText => "end-of-text",
            Self::Length => "length",
            Self::Context => "context",
            Self::Stopped => "stopped",
        }
    }
}

/// How to write.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the next token is chosen.
    pub sampler: SamplerOptions,
    /// Tokens at the most.
    pub tokens_max: usize,
}

impl TextModel {
    /// Loads `config.json`, `model.safetensors` and `tokenizer.json`.
    ///
    /// # Errors
    /// Naming the file that is missing or wrong.
    pub fn load(folder: &Path, threads: usize) -> Result<Self> {
        let model = Model::load(folder)?;
        let path = folder.join("tokenizer.json");
        let tokenizer = kwaya_text::tokenizer::open(&path)?;
        if tokenizer.get_vocab_size(true) > model.config.vocab_size {
            return Err(Error::new("tokenizer-mismatch").path(&path));
        }
        let end = model.config.eos_token_id.unwrap_or(0);
        Ok(Self { model, tokenizer, pool: Pool::new(threads), end })
    }

    /// Tokens that the model sees at once.
    pub fn context(&self) -> usize {
        self.model.config.max_position_embeddings
    }

    /// Continues `prompt`, giving each new piece of text to `listen`, which
    /// says whether to go on. A prompt that is too long loses its beginning.
    ///
    /// # Errors
    /// When the tokenizer cannot read the prompt.
    pub fn generate(&self, prompt: &str, options: &Options, mut listen: impl FnMut(&str) -> bool) -> Result<Ended> {
        let failed = |cause: tokenizers::Error| Error::new("prompt-failed").arg("cause", cause);
        let encoding = self.tokenizer.encode_fast(prompt, false).map_err(failed)?;
        let context = self.context();
        let room = context - options.tokens_max.min(context / 2);
        let ids = encoding.get_ids();
        let mut history = vec![self.end];
        history.extend(&ids[ids.len().saturating_sub(room - 1)..]);
        let mut session = Session::new(&self.model, &self.pool, context);
        let mut sampler = Sampler::new(options.sampler);
        let mut written = Vec::new();
        let mut shown = 0;
        let mut logits = session.feed(&history)?.to_vec();
        for _ in 0..options.tokens_max {
            let token = sampler.next(&logits, &history);
            if token == self.end {
                return Ok(Ended::EndOfText);
            }
            history.push(token);
            written.push(token);
            let text = self.tokenizer.decode(&written, true).map_err(failed)?;
            // A character may be spread over several tokens: its bytes are
            // shown when it is whole.
            if !text.ends_with('\u{fffd}') && text.len() > shown {
                if !listen(&text[shown..]) {
                    return Ok(Ended::Stopped);
                }
                shown = text.len();
            }
            if session.position() == context {
                return Ok(Ended::Context);
            }
            logits.copy_from_slice(session.feed(&[token])?);
        }
        Ok(Ended::Length)
    }
}
