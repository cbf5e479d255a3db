//! What a client asks for, in the words of OpenAI.

use std::{collections::BTreeMap, sync::Arc};

use kwaya_base::{Error, Result};
use kwaya_model::SamplerOptions;
use kwaya_recipe::text_model::TextModel;
use kwaya_text::{
    chat::Message,
    constraint::{Constrained, Form},
};
use serde_json::{Map, Value};

use crate::{
    answer::Writing,
    fields::{Fields, whole, wrong},
    tools::{self, Tools},
};

/// Choices that a request may ask for: prompts times answers to each.
const CHOICES_MAX: usize = 16;
/// Texts that may end an answer, and bytes of each.
const STOPS_MAX: usize = 16;
const STOP_BYTES_MAX: usize = 256;
/// Tokens that may be made more or less likely.
const BIASES_MAX: usize = 1024;
/// Alternatives that may be told of each token.
const TOP_MAX: i64 = 20;
/// The largest seed: beyond it not every number is exact in JSON.
const SEED_MAX: i64 = (1 << 53) - 1;
/// Messages of a chat.
const MESSAGES_MAX: usize = 4096;

/// Which of the two ways to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Text,
}

/// The limits that a request is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Tokens of a prompt and its answer.
    pub(crate) context: usize,
    /// Tokens of an answer where the request does not say.
    pub(crate) tokens: usize,
    /// Where random numbers start if the request does not say.
    pub(crate) seed: u64,
}

/// A request, understood and within all limits.
pub(crate) struct Request {
    pub(crate) stream: bool,
    /// Whether a stream ends with the figures.
    pub(crate) usage: bool,
    pub(crate) logprobs: bool,
    /// The functions that the answers may call.
    pub(crate) tools: Option<Arc<Tools>>,
    /// The answers that are asked for, until they are.
    pub(crate) answers: Vec<(Vec<u32>, Writing)>,
    /// How many.
    pub(crate) count: usize,
    /// Tokens of the prompts, each counted once.
    pub(crate) prompt_tokens: usize,
}

impl Request {
    /// Understands the body of a request to `model`. Takes as long as it takes
    /// to make tokens of the text.
    ///
    /// # Errors
    /// Naming the parameter that is missing, wrong or not known here.
    pub(crate) fn read(way: Way, body: &Value, model: &TextModel, bounds: Bounds) -> Result<Self> {
        let fields = Fields::of(body, "")?;
        fields.refuse(&["functions", "function_call", "audio", "echo", "suffix", "web_search_options"])?;
        let tools = match way {
            Way::Chat => Tools::read(&fields, model.codec().tools())?,
            Way::Text => fields.refuse(&["tools"]).map(|()| None)?,
        };
        if fields.get("best_of").is_some_and(|best| whole(best) != Some(1)) {
            return Err(Error::new("serve-unsupported").arg("param", "best_of"));
        }
        let of = if way == Way::Chat { "messages" } else { "prompt" };
        let (prompts, end_of_turn) = match way {
            Way::Chat => {
                let (prompt, end) = tools::prompt(model, messages(fields.need(of)?)?, tools.as_ref())?;
                (vec![prompt], end)
            }
            Way::Text => (prompts(of, fields.need(of)?, model)?, None),
        };
        let each = fields.whole("n", 1, CHOICES_MAX as i64)?.unwrap_or(1) as usize;
        if prompts.len() * each > CHOICES_MAX {
            return Err(wrong("n", format!("no more than {CHOICES_MAX} answers in all")));
        }
        let common = Common::read(way, &fields, end_of_turn)?;
        let form = match (form(&fields)?, &tools) {
            (Some(_), Some(_)) => return Err(wrong("response_format", "text where there are tools")),
            (form, tools) => form.or_else(|| tools.as_ref()?.form()),
        };
        let (asked, most) = asked(&fields)?;
        let prompt_tokens = prompts.iter().map(Vec::len).sum();
        let mut answers = Vec::new();
        for prompt in prompts {
            let tokens_max = length(of, prompt.len(), asked, most, &bounds)?;
            for number in 0..each {
                let seed = common.seed.unwrap_or(bounds.seed).wrapping_add(number as u64);
                let constrained = form.as_ref().map(|form| model.forms()?.begin(form)).transpose()?;
                answers.push((prompt.clone(), common.writing(seed, tokens_max, constrained)));
            }
        }
        let options = fields.object("stream_options")?;
        let logprobs = common.logprobs.is_some();
        if logprobs {
            // They tell what the tokens are.
            model.forms()?;
        }
        Ok(Self {
            stream: fields.flag("stream")?,
            usage: options.map_or(Ok(false), |options| options.flag("include_usage"))?,
            logprobs,
            tools: tools.map(Arc::new),
            count: answers.len(),
            answers,
            prompt_tokens,
        })
    }
}

/// A request for what the model makes of texts.
pub(crate) struct Embedding {
    /// The tokens of each.
    pub(crate) texts: Vec<Vec<u32>>,
    pub(crate) tokens: usize,
    /// Whether numbers are to be sent as their bytes in base 64.
    pub(crate) base64: bool,
}

impl Embedding {
    /// As [`Request::read`].
    pub(crate) fn read(body: &Value, model: &TextModel, bounds: Bounds) -> Result<Self> {
        let fields = Fields::of(body, "")?;
        fields.refuse(&["dimensions"])?;
        let texts = prompts("input", fields.need("input")?, model)?;
        for text in &texts {
            length("input", text.len(), Some(0), "input", &bounds)?;
        }
        let base64 = match fields.text("encoding_format")? {
            None | Some("float") => false,
            Some("base64") => true,
            Some(_) => return Err(wrong("encoding_format", "float or base64")),
        };
        Ok(Self { tokens: texts.iter().map(Vec::len).sum(), texts, base64 })
    }
}

/// The tokens that an answer may have, as asked: the number, and the name of
/// the parameter.
fn asked(fields: &Fields<'_>) -> Result<(Option<usize>, &'static str)> {
    for name in ["max_completion_tokens", "max_tokens"] {
        if let Some(tokens) = fields.whole(name, 1, i64::from(u32::MAX))? {
            return Ok((Some(tokens as usize), name));
        }
    }
    Ok((None, "max_tokens"))
}

fn length(of: &str, prompt: usize, asked: Option<usize>, param: &str, bounds: &Bounds) -> Result<usize> {
    let left = bounds.context.saturating_sub(prompt);
    let too_long = |param: &str, tokens: usize| {
        let error = Error::new("serve-context").arg("param", param).arg("prompt", prompt);
        error.arg("tokens", tokens).arg("context", bounds.context)
    };
    match asked {
        _ if prompt > bounds.context => Err(too_long(of, asked.unwrap_or(1))),
        Some(tokens) if tokens > left => Err(too_long(param, tokens)),
        Some(tokens) => Ok(tokens),
        None if left == 0 => Err(too_long(of, 1)),
        None => Ok(left.min(bounds.tokens)),
    }
}

/// What is the same for all answers of a request.
struct Common {
    sampler: SamplerOptions,
    seed: Option<u64>,
    stop: Vec<String>,
    logprobs: Option<usize>,
    bias: BTreeMap<u32, f32>,
    frequency_penalty: f32,
    presence_penalty: f32,
}

impl Common {
    fn read(way: Way, fields: &Fields<'_>, end_of_turn: Option<String>) -> Result<Self> {
        let mut stop = stops(fields)?;
        stop.extend(end_of_turn);
        let logprobs = match way {
            Way::Chat => {
                let top = fields.whole("top_logprobs", 0, TOP_MAX)?;
                let asked = fields.flag("logprobs")?;
                if top.is_some_and(|top| top > 0) && !asked {
                    return Err(wrong("logprobs", "true where top_logprobs is there"));
                }
                asked.then_some(top.unwrap_or(0) as usize)
            }
            Way::Text => fields.whole("logprobs", 0, TOP_MAX)?.map(|top| top as usize),
        };
        Ok(Self {
            // Those of OpenAI where nothing is said; the last two are not
            // among its words, but other servers know them.
            sampler: SamplerOptions {
                temperature: fields.number("temperature", 0.0, 2.0)?.unwrap_or(1.0),
                top_p: fields.number("top_p", 0.0, 1.0)?.unwrap_or(1.0),
                top_k: fields.whole("top_k", 0, i64::from(u32::MAX))?.unwrap_or(0) as usize,
                repetition_penalty: fields.number("repetition_penalty", 0.01, 100.0)?.unwrap_or(1.0),
                seed: 0,
            },
            seed: fields.whole("seed", -SEED_MAX, SEED_MAX)?.map(i64::cast_unsigned),
            stop,
            logprobs,
            bias: bias(fields)?,
            frequency_penalty: fields.number("frequency_penalty", -2.0, 2.0)?.unwrap_or(0.0),
            presence_penalty: fields.number("presence_penalty", -2.0, 2.0)?.unwrap_or(0.0),
        })
    }

    fn writing(&self, seed: u64, tokens_max: usize, constrained: Option<Constrained>) -> Writing {
        Writing {
            sampler: SamplerOptions { seed, ..self.sampler },
            tokens_max,
            stop: self.stop.clone(),
            constrained,
            logprobs: self.logprobs,
            bias: self.bias.clone(),
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
        }
    }
}

fn stops(fields: &Fields<'_>) -> Result<Vec<String>> {
    let allowed = || wrong("stop", format!("a text or up to {STOPS_MAX} texts, each of 1 to {STOP_BYTES_MAX} bytes"));
    let texts = match fields.get("stop") {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
        Some(value) => value.as_str().map(|text| vec![text]),
    };
    let texts = texts.filter(|texts| texts.len() <= STOPS_MAX).ok_or_else(allowed)?;
    if texts.iter().any(|text| text.is_empty() || text.len() > STOP_BYTES_MAX) {
        return Err(allowed());
    }
    Ok(texts.into_iter().map(str::to_owned).collect())
}

fn bias(fields: &Fields<'_>) -> Result<BTreeMap<u32, f32>> {
    let allowed = || wrong("logit_bias", format!("up to {BIASES_MAX} tokens, each with a number from -100 to 100"));
    let Some(value) = fields.get("logit_bias") else { return Ok(BTreeMap::new()) };
    let entries = value.as_object().filter(|entries| entries.len() <= BIASES_MAX).ok_or_else(allowed)?;
    let read = |(token, change): (&String, &Value)| {
        let change = change.as_f64().filter(|change| (-100.0..=100.0).contains(change))?;
        Some((token.parse().ok()?, change as f32))
    };
    entries.iter().map(read).collect::<Option<_>>().ok_or_else(allowed)
}

/// The form that an answer is to have.
fn form(fields: &Fields<'_>) -> Result<Option<Form>> {
    let Some(asked) = fields.object("response_format")? else { return Ok(None) };
    match asked.need("type")?.as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Form::JsonSchema(r#"{"type":"object"}"#.to_owned()))),
        Some("json_schema") => {
            asked.need("json_schema")?;
            let named = asked.object("json_schema")?;
            let schema = named.map(|named| named.need("schema")).transpose()?;
            Ok(schema.map(|schema| Form::JsonSchema(schema.to_string())))
        }
        _ => Err(wrong(asked.path("type"), "text, json_object or json_schema")),
    }
}

/// The messages of a chat, and what each says of calls.
fn messages(value: &Value) -> Result<Vec<(Message, Map<String, Value>)>> {
    let list = value.as_array().filter(|list| (1..=MESSAGES_MAX).contains(&list.len()));
    let list = list.ok_or_else(|| wrong("messages", format!("a list of 1 to {MESSAGES_MAX} messages")))?;
    let message = |(at, value): (usize, &Value)| {
        let fields = Fields::of(value, &format!("messages[{at}]"))?;
        fields.refuse(&["function_call"])?;
        let role = match fields.need("role")?.as_str() {
            Some("system" | "developer") => "system",
            Some("user") => "user",
            Some("assistant") => "assistant",
            Some("tool") => "tool",
            _ => return Err(wrong(fields.path("role"), "system, developer, user, assistant or tool")),
        };
        let content = match fields.get("content") {
            None if role == "assistant" => String::new(),
            None => return Err(Error::new("serve-missing").arg("param", fields.path("content"))),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts.iter().map(|part| text_of(part, &fields)).collect::<Result<_>>()?,
            Some(_) => return Err(wrong(fields.path("content"), "a text or a list of parts")),
        };
        Ok((Message::new(role, &content), tools::of_message(&fields, role)?))
    };
    list.iter().enumerate().map(message).collect()
}

/// The text of a part of a message.
fn text_of<'v>(part: &'v Value, message: &Fields<'_>) -> Result<&'v str> {
    let part = Fields::of(part, &message.path("content"))?;
    match part.need("type")?.as_str() {
        Some("text") => part.need("text")?.as_str().ok_or_else(|| wrong(part.path("text"), "a text")),
        _ => Err(wrong(part.path("type"), "text")),
    }
}

/// A text, tokens, or a list of either.
fn prompts(param: &str, value: &Value, model: &TextModel) -> Result<Vec<Vec<u32>>> {
    let vocabulary = model.architecture().vocab as i64;
    let allowed = || wrong(param, format!("a text, tokens below {vocabulary}, or up to {CHOICES_MAX} of either"));
    let token = |value: &Value| whole(value).filter(|token| (0..vocabulary).contains(token)).map(|token| token as u32);
    let one = |value: &Value| match value {
        Value::String(text) => model.codec().encode(text),
        Value::Array(tokens) if !tokens.is_empty() => {
            tokens.iter().map(token).collect::<Option<_>>().ok_or_else(allowed)
        }
        _ => Err(allowed()),
    };
    match value {
        Value::Array(list) if list.first().is_some_and(|first| !first.is_number()) => {
            if list.len() > CHOICES_MAX {
                return Err(allowed());
            }
            list.iter().map(one).collect()
        }
        value => Ok(vec![one(value)?]),
    }
}
