//! A model with its tokenizer: text in, text out.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use kwaya_base::{Error, Result, say};
use kwaya_math::Pool;
use kwaya_model::{ADAPTER_FILES, Architecture, Conversations, Decoder, Sampler, SamplerOptions, Source, peft_base};
use kwaya_text::{
    chat::Message,
    constraint::{Constrained, Form, Forms},
};

use crate::{codec::Codec, recipe::RECIPE};

/// A model ready to write: a folder in Hugging Face layout or a GGUF file.
pub struct TextModel {
    model: Decoder,
    codec: Codec,
    forms: Mutex<Option<Arc<Forms>>>,
    pool: Pool,
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
    /// The form that the text must have.
    pub form: Option<Form>,
}

/// Where the model is that a person names: the result of a build in the folder
/// of its recipe, or else the folder or file itself.
///
/// # Errors
/// `model-missing` for a recipe that was not built yet; `adapter-alone` for
/// adapters without their base.
pub fn place(named: &Path) -> Result<PathBuf> {
    let built = named.join("build").join("model");
    if built.exists() {
        return Ok(built);
    }
    if named.join(RECIPE).exists() {
        return Err(Error::new("model-missing").path(named));
    }
    if named.join(ADAPTER_FILES[0]).exists() && !named.join("config.json").exists() {
        return Err(Error::usage("adapter-alone").path(named).arg("base", peft_base(named)?));
    }
    Ok(named.to_owned())
}

/// Keys and values of conversations take this much memory at the most.
const CACHE_BYTES: u64 = 2 << 30;

impl TextModel {
    /// Opens a model; its weights are read by several threads while its
    /// tokenizer is made.
    ///
    /// # Errors
    /// Naming the file that is missing or wrong.
    pub fn load(path: &Path, threads: usize) -> Result<Self> {
        let pool = Pool::new(threads);
        let source = Source::open(path)?;
        let (model, codec) = std::thread::scope(|scope| {
            let (source, place) = (source, path);
            let codec = scope.spawn(move || Codec::open(&Source::open(place)?));
            let model = Decoder::load(source, &pool);
            (model, codec.join().unwrap_or_else(|_| Err(Error::new("tokenizer-mismatch").path(path))))
        });
        Ok(Self { model: model?, codec: codec?, forms: Mutex::default(), pool })
    }

    /// Makes the model independent of its files, see
    /// [`Decoder::let_go_of_files`].
    pub fn let_go_of_files(&mut self) {
        self.model.let_go_of_files();
    }

    /// What the model computes.
    pub fn architecture(&self) -> &Architecture {
        self.model.architecture()
    }

    /// Text to tokens and back.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// The threads that compute it.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Room for conversations with this model.
    pub fn conversations(&self) -> Conversations<'_> {
        Conversations::new(&self.model, &self.pool, CACHE_BYTES)
    }

    /// Room for conversations that take at most `memory` bytes, of which `kept`
    /// also for those that are over.
    pub fn conversations_within(&self, memory: u64, kept: u64) -> Conversations<'_> {
        Conversations::new(&self.model, &self.pool, memory).keeping(kept)
    }

    /// Continues `prompt`, giving each new piece of text to `listen`, which
    /// says whether to go on. A prompt that is too long loses its beginning.
    ///
    /// # Errors
    /// When the tokenizer cannot read the prompt.
    pub fn generate(&self, prompt: &str, options: &Options, listen: impl FnMut(&str) -> bool) -> Result<Ended> {
        let tokens = self.codec.encode(prompt)?;
        self.write(&mut self.conversations(), tokens, options, listen)
    }

    /// The tokens of a chat, up to where the model is to answer. A model
    /// without a chat template gets the words as they would stand in a play;
    /// its answer ends where the next line of the user would begin, which is
    /// given too.
    ///
    /// # Errors
    /// When the chat template fails.
    pub fn chat_prompt(&self, messages: &[Message]) -> Result<(Vec<u32>, Option<String>)> {
        if let Some(tokens) = self.codec.encode_chat(messages)? {
            return Ok((tokens, None));
        }
        let name = |role: &str| if role == "assistant" { say!("chat-model") } else { say!("chat-you") };
        let lines = messages.iter().map(|m| match m.role.as_str() {
            "system" => format!("{}\n", m.content),
            role => format!("{}: {}\n", name(role), m.content),
        });
        let prompt = format!("{}{}:", lines.collect::<String>(), name("assistant"));
        Ok((self.codec.encode(&prompt)?, Some(format!("\n{}:", name("user")))))
    }

    /// Answers the last message of a chat. `cache` keeps what was read of the
    /// chat before. See [`TextModel::chat_prompt`] for a model without a chat
    /// template.
    ///
    /// # Errors
    /// When the chat template fails.
    pub fn answer(
        &self,
        cache: &mut Conversations<'_>,
        messages: &[Message],
        options: &Options,
        mut listen: impl FnMut(&str) -> bool,
    ) -> Result<Ended> {
        let (tokens, turn) = self.chat_prompt(messages)?;
        let Some(turn) = turn else { return self.write(cache, tokens, options, listen) };
        let (mut written, mut shown, mut over) = (String::new(), 0, false);
        let ended = self.write(cache, tokens, options, |piece| {
            written.push_str(piece);
            over = written.contains(&turn);
            // What may be the beginning of the user's line is kept back.
            let certain = match written.find(&turn) {
                Some(at) => at,
                None => (0..=written.len())
                    .find(|at| written.is_char_boundary(*at) && turn.starts_with(&written[*at..]))
                    .unwrap_or(written.len()),
            };
            let goes_on = certain <= shown || listen(&written[shown..certain]);
            shown = shown.max(certain);
            goes_on && !over
        })?;
        Ok(if over { Ended::EndOfText } else { ended })
    }

    /// The tokens ready for forms, made when they are first asked for.
    ///
    /// # Errors
    /// `form-without-end` for a model that has no token that ends a text.
    pub fn forms(&self) -> Result<Arc<Forms>> {
        let mut made = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forms) = &*made {
            return Ok(Arc::clone(forms));
        }
        let end = self.codec.end().ok_or_else(|| Error::new("form-without-end"))?;
        let forms = Arc::new(Forms::new(self.codec.tokenizer(), self.architecture().vocab, end)?);
        Ok(Arc::clone(made.insert(forms)))
    }

    /// Gives back the memory of what is soon made again: a service that nobody
    /// uses is small.
    pub fn rest(&self) {
        *self.forms.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn write(
        &self,
        cache: &mut Conversations<'_>,
        mut history: Vec<u32>,
        options: &Options,
        mut listen: impl FnMut(&str) -> bool,
    ) -> Result<Ended> {
        let context = self.architecture().context;
        let room = context - options.tokens_max.min(context / 2);
        if history.len() > room {
            // The first token tells the model that a text begins.
            history.drain(1..=history.len() - room);
        }
        let mut constrained = match &options.form {
            Some(form) => Some(self.forms()?.begin(form)?),
            None => None,
        };
        let (conversation, known) = cache.begin(&history);
        let mut sampler = Sampler::new(options.sampler);
        let (mut written, mut shown) = (Vec::new(), 0);
        let mut rest = history[known..].to_vec();
        let mut ended = Ended::Length;
        for _ in 0..options.tokens_max {
            if cache.tokens(conversation).len() + rest.len() > context {
                ended = Ended::Context;
                break;
            }
            let logits = cache.feed(&[(conversation, &rest)])?;
            let token = match &mut constrained {
                None => sampler.next(logits, &history),
                Some(constrained) => {
                    let allowed = |(token, logit): (u32, &f32)| {
                        if constrained.allows(token) { *logit } else { f32::NEG_INFINITY }
                    };
                    let logits: Vec<f32> = (0..).zip(logits).map(allowed).collect();
                    let token = sampler.next(&logits, &history);
                    constrained.take(token)?;
                    token
                }
            };
            if self.codec.ends(token) {
                ended = Ended::EndOfText;
                break;
            }
            history.push(token);
            written.push(token);
            rest = vec![token];
            let text = self.codec.decode(&written)?;
            // A character may be spread over several tokens: its bytes are
            // shown when it is whole.
            if !text.ends_with('\u{fffd}') && text.len() > shown {
                if !listen(&text[shown..]) {
                    ended = Ended::Stopped;
                    break;
                }
                shown = text.len();
            }
            if constrained.as_ref().is_some_and(Constrained::is_over) {
                ended = Ended::EndOfText;
                break;
            }
        }
        cache.end(conversation);
        Ok(ended)
    }
}
