//! An answer as clients of OpenAI read it: whole, or piece by piece as
//! server-sent events.

use std::sync::Arc;

use kwaya_base::{Error, Result};
use kwaya_recipe::text_model::TextModel;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    answer::{End, Event, Likely, Piece},
    api::Waiting,
    call::Call,
    calls::{Reader, Told},
    fault::Fault,
    request::{Request, Way},
    tools::Tools,
};

/// What is the same in all that is said of an answer.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) way: Way,
    pub(crate) id: String,
    pub(crate) model: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
}

/// What was counted for an answer.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    prompt: usize,
    written: usize,
    known: usize,
}

impl Usage {
    pub(crate) fn of(request: &Request) -> Self {
        Self { prompt: request.prompt_tokens, ..Self::default() }
    }

    fn add(&mut self, end: End) {
        self.written += end.tokens;
        self.known += end.known;
    }

    fn json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.written,
            "total_tokens": self.prompt + self.written,
            "prompt_tokens_details": { "cached_tokens": self.known },
        })
    }
}

/// Events of the answers to a request, each with the number of its answer.
pub(crate) type Events = UnboundedReceiver<(usize, Event)>;

fn reason(end: End, has_calls: bool) -> &'static str {
    match (end.cut, has_calls) {
        (true, _) => "length",
        (false, false) => "stop",
        (false, true) => "tool_calls",
    }
}

/// What an assistant says at once.
fn message(text: &str, calls: &[Call]) -> Value {
    let content = (calls.is_empty() || !text.is_empty()).then_some(text);
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
    if !calls.is_empty() {
        message["tool_calls"] = calls.iter().map(Call::json).collect();
    }
    message
}

/// The likelihoods of the tokens of an answer.
enum Logprobs {
    /// A list with an entry for each token.
    Chat(Vec<Value>),
    /// A list of each kind.
    Text { tokens: Vec<Value>, logprobs: Vec<Value>, top: Vec<Value>, offsets: Vec<Value>, offset: usize },
}

impl Logprobs {
    fn new(way: Way) -> Self {
        match way {
            Way::Chat => Self::Chat(Vec::new()),
            Way::Text => {
                let [tokens, logprobs, top, offsets] = [const { Vec::new() }; 4];
                Self::Text { tokens, logprobs, top, offsets, offset: 0 }
            }
        }
    }

    fn add(&mut self, model: &TextModel, likely: &Likely) -> Result<()> {
        let forms = model.forms()?;
        let name = |token: u32| {
            let bytes = forms.bytes(token);
            // A mark has no bytes of its own.
            let mark = || model.codec().tokenizer().id_to_token(token).unwrap_or_default();
            if bytes.is_empty() { mark() } else { String::from_utf8_lossy(bytes).into_owned() }
        };
        match self {
            Self::Chat(entries) => {
                let entry = |token: u32, logprob: f32| json!({ "token": name(token), "logprob": finite(logprob), "bytes": forms.bytes(token) });
                let mut told = entry(likely.token, likely.logprob);
                told["top_logprobs"] = likely.top.iter().map(|(token, logprob)| entry(*token, *logprob)).collect();
                entries.push(told);
            }
            Self::Text { tokens, logprobs, top, offsets, offset } => {
                let name_of = name(likely.token);
                offsets.push((*offset).into());
                *offset += name_of.chars().count();
                tokens.push(name_of.into());
                logprobs.push(finite(likely.logprob).into());
                top.push(
                    likely.top.iter().map(|(token, logprob)| (name(*token), Value::from(finite(*logprob)))).collect(),
                );
            }
        }
        Ok(())
    }

    /// What was added since the last time.
    fn take(&mut self) -> Value {
        match self {
            Self::Chat(entries) => json!({ "content": std::mem::take(entries), "refusal": null }),
            Self::Text { tokens, logprobs, top, offsets, .. } => json!({
                "tokens": std::mem::take(tokens),
                "token_logprobs": std::mem::take(logprobs),
                "top_logprobs": std::mem::take(top),
                "text_offset": std::mem::take(offsets),
            }),
        }
    }
}

/// JSON has no infinity: -9999 stands for it, as with OpenAI.
fn finite(logprob: f32) -> f32 {
    if logprob.is_finite() { logprob } else { -9999.0 }
}

/// Waits for all answers to a request.
///
/// # Errors
/// The first that an answer ends with.
pub(crate) async fn whole(head: &Head, request: &Request, model: &TextModel, events: &mut Waiting) -> Result<Value> {
    let count = request.count;
    let mut usage = Usage::of(request);
    let mut texts = vec![String::new(); count];
    let mut reasons = vec!["stop"; count];
    let mut calls: Vec<Vec<Call>> = (0..count).map(|_| Vec::new()).collect();
    let mut likelihoods: Vec<_> = (0..count).map(|_| request.logprobs.then(|| Logprobs::new(head.way))).collect();
    let mut left = count;
    while left > 0 {
        let Some((at, event)) = events.next().await else { return Err(Error::new("serve-engine-lost")) };
        match event {
            Event::Piece(Piece { text, likely }) => {
                texts[at] += &text;
                if let (Some(likely), Some(logprobs)) = (likely, &mut likelihoods[at]) {
                    logprobs.add(model, &likely)?;
                }
            }
            Event::End(end) => {
                usage.add(end);
                if let Some((said, called)) =
                    request.tools.as_deref().and_then(|tools| Reader::whole(&texts[at], tools))
                {
                    (texts[at], calls[at]) = (said, called);
                }
                reasons[at] = reason(end, !calls[at].is_empty());
                left -= 1;
            }
            Event::Failed(error) => return Err(error),
            Event::State(_) => unreachable!("nobody asked for it"),
        }
    }
    let choice = |(at, logprobs): (usize, &mut Option<Logprobs>)| {
        let (text, reason) = (&texts[at], reasons[at]);
        let logprobs = logprobs.as_mut().map(Logprobs::take);
        match head.way {
            Way::Chat => json!({
                "index": at,
                "message": message(text, &calls[at]),
                "logprobs": logprobs,
                "finish_reason": reason,
            }),
            Way::Text => json!({ "index": at, "text": text, "logprobs": logprobs, "finish_reason": reason }),
        }
    };
    let choices: Vec<_> = likelihoods.iter_mut().enumerate().map(choice).collect();
    let mut whole = head.object(false);
    whole["choices"] = choices.into();
    whole["usage"] = usage.json();
    Ok(whole)
}

/// Waits for what the model makes of `count` texts.
///
/// # Errors
/// The first that a text ends with.
pub(crate) async fn states(count: usize, events: &mut Waiting) -> Result<Vec<Vec<f32>>> {
    let mut states = vec![Vec::new(); count];
    for _ in 0..count {
        match events.next().await {
            Some((at, Event::State(state))) => states[at] = state,
            Some((_, Event::Failed(error))) => return Err(error),
            _ => return Err(Error::new("serve-engine-lost")),
        }
    }
    Ok(states)
}

/// Vectors as clients of OpenAI read them; most ask for the bytes of the
/// numbers in base 64.
pub(crate) fn embeddings(model: &str, states: &[Vec<f32>], base64: bool, tokens: usize) -> Value {
    let vector = |state: &[f32]| match base64 {
        true => base64_of(&state.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()).into(),
        false => Value::from(state),
    };
    let one =
        |(at, state): (usize, &Vec<f32>)| json!({ "object": "embedding", "index": at, "embedding": vector(state) });
    json!({
        "object": "list",
        "model": model,
        "data": states.iter().enumerate().map(one).collect::<Vec<_>>(),
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })
}

fn base64_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let digit =
            |at: usize| if at > three.len() { '=' } else { DIGITS[(bits >> (18 - 6 * at)) as usize % 64].into() };
        text.extend((0..4).map(digit));
    }
    text
}

impl Head {
    fn object(&self, piece: bool) -> Value {
        let object = match (self.way, piece) {
            (Way::Chat, false) => "chat.completion",
            (Way::Chat, true) => "chat.completion.chunk",
            (Way::Text, _) => "text_completion",
        };
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": concat!("kwaya-", env!("CARGO_PKG_VERSION")),
        })
    }
}

/// Makes server-sent events of the events of the engine.
pub(crate) struct Stream {
    head: Head,
    usage: Usage,
    /// Whether the figures are wanted at the end.
    tells_usage: bool,
    logprobs: Vec<Option<Logprobs>>,
    /// The functions that may be called, and who reads the answers for calls.
    tools: Option<Arc<Tools>>,
    readers: Vec<Reader>,
    left: usize,
}

impl Stream {
    pub(crate) fn new(head: Head, request: &Request) -> Self {
        let logprobs = (0..request.count).map(|_| request.logprobs.then(|| Logprobs::new(head.way))).collect();
        let (usage, left) = (Usage::of(request), request.count);
        let readers = (0..request.count).map(|_| Reader::default()).collect();
        Self { head, usage, tells_usage: request.usage, logprobs, tools: request.tools.clone(), readers, left }
    }

    /// Whether all was said.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// What is sent before anything is known.
    pub(crate) fn begin(&self) -> String {
        if self.head.way == Way::Text {
            return String::new();
        }
        let first =
            |at| self.choice(at, json!({ "role": "assistant", "content": "", "refusal": null }), Value::Null, None);
        (0..self.left).map(first).collect()
    }

    /// What is sent for an event of answer `at`; after a failure nothing more.
    pub(crate) fn event(&mut self, model: &TextModel, at: usize, event: Event) -> String {
        match event {
            Event::Piece(Piece { text, likely }) => {
                let logprobs = match (likely, &mut self.logprobs[at]) {
                    (Some(likely), Some(logprobs)) => match logprobs.add(model, &likely) {
                        Ok(()) => logprobs.take(),
                        Err(error) => return self.failed(error),
                    },
                    _ => Value::Null,
                };
                let told = match &self.tools {
                    Some(tools) => self.readers[at].push(&text, &**tools),
                    None => vec![Told::Words(text)],
                };
                self.told(at, told, logprobs)
            }
            Event::End(end) => {
                self.usage.add(end);
                self.left -= 1;
                let (rest, calls) = std::mem::take(&mut self.readers[at]).finish();
                let mut sent = self.told(at, vec![Told::Words(rest)], Value::Null);
                let nothing = if self.head.way == Way::Chat { json!({}) } else { "".into() };
                sent += &self.choice(at, nothing, Value::Null, Some(reason(end, calls.is_some())));
                if self.left == 0 {
                    if self.tells_usage {
                        let mut object = self.head.object(true);
                        object["choices"] = json!([]);
                        object["usage"] = self.usage.json();
                        sent += &line(&object);
                    }
                    sent += "data: [DONE]\n\n";
                }
                sent
            }
            Event::Failed(error) => self.failed(error),
            Event::State(_) => unreachable!("nobody asked for it"),
        }
    }

    /// What is sent when this is known of answer `at`. What is known of its tokens
    /// goes with the first.
    fn told(&self, at: usize, told: Vec<Told>, mut logprobs: Value) -> String {
        let is_chat = self.head.way == Way::Chat;
        let delta = |told| match told {
            Told::Words(text) if text.is_empty() => None,
            Told::Words(text) if is_chat => Some(json!({ "content": text })),
            Told::Words(text) => Some(text.into()),
            Told::Name(index, name) => {
                let mut call = Call { name, arguments: String::new() }.json();
                call["index"] = index.into();
                Some(json!({ "tool_calls": [call] }))
            }
            Told::Arguments(index, arguments) => {
                Some(json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] }))
            }
        };
        let mut deltas: Vec<Value> = told.into_iter().filter_map(delta).collect();
        if deltas.is_empty() && !logprobs.is_null() {
            deltas.push(if is_chat { json!({ "content": "" }) } else { "".into() });
        }
        deltas.into_iter().map(|delta| self.choice(at, delta, logprobs.take(), None)).collect()
    }

    /// Says that there will be no more.
    pub(crate) fn failed(&mut self, error: Error) -> String {
        self.left = 0;
        line(&Fault::from(error).json())
    }

    fn choice(&self, at: usize, text: Value, logprobs: Value, reason: Option<&str>) -> String {
        let mut object = self.head.object(true);
        let name = if self.head.way == Way::Chat { "delta" } else { "text" };
        object["choices"] = json!([{ "index": at, name: text, "logprobs": logprobs, "finish_reason": reason }]);
        line(&object)
    }
}

fn line(value: &Value) -> String {
    format!("data: {value}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From RFC 4648.
    #[test]
    fn base_64_is_that_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64_of(bytes.as_bytes()), text);
        }
        assert_eq!(base64_of(&[0xff, 0xfe, 0xfb]), "//77");
    }
}
