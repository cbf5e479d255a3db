//! How well a model does on files of texts and questions.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Progress, Result, Unit, error::At};
use kwaya_model::{Conversations, SamplerOptions};
use kwaya_text::chat::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text_model::{Options, TextModel};

/// Tokens that are read at once, where the model reads as many: what it
/// predicts then does not depend on how long a text it could read.
const WINDOW: usize = 512;

/// What a text costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// How many texts.
    pub texts: u64,
    /// Their bytes, but for those that were given.
    pub bytes: u64,
    /// -log2 p of their tokens over their bytes.
    pub bits_per_byte: f64,
}

/// What one byte of `text` costs when the model has to guess it: the sum of
/// -log2 p of its tokens over its bytes. Each token is guessed from those
/// before it in a window of up to 512; windows do not overlap but for the last
/// token of one, which begins the next. Where the tokenizer does not put a
/// token before a text, the first is given and its bytes do not count.
///
/// # Errors
/// `measure-short` for a text with nothing to guess; when the tokenizer or
/// the model cannot read it.
pub fn bits_per_byte(model: &TextModel, text: &str, progress: &dyn Progress) -> Result<f64> {
    let mut score = Score::default();
    add(&mut score, model, &mut model.conversations(), text, Some(progress))?;
    if score.bytes > 0 { Ok(score.bits_per_byte) } else { Err(Error::new("measure-short")) }
}

/// Adds a text to a score.
fn add(
    score: &mut Score,
    model: &TextModel,
    conversations: &mut Conversations<'_>,
    text: &str,
    progress: Option<&dyn Progress>,
) -> Result<()> {
    let tokens = model.codec().encode(text)?;
    let given = model.codec().decode(&tokens[..tokens.len().min(1)])?.len();
    let window = model.architecture().context.clamp(2, WINDOW + 1);
    progress.inspect(|progress| progress.begin("measure-text", tokens.len() as u64, Unit::Tokens));
    let mut nats = 0.0;
    for first in (0..tokens.len().saturating_sub(1)).step_by(window - 1) {
        if progress.is_some_and(Progress::stopped) {
            return Err(Error::new("interrupted"));
        }
        let end = tokens.len().min(first + window);
        nats += conversations.surprise(&tokens[first..end], 1)?;
        progress.inspect(|progress| progress.at(end as u64));
    }
    progress.inspect(|progress| progress.end());
    let bits = score.bits_per_byte * score.bytes as f64 + nats / std::f64::consts::LN_2;
    score.texts += 1;
    score.bytes += text.len().saturating_sub(given) as u64;
    score.bits_per_byte = bits / score.bytes.max(1) as f64;
    Ok(())
}

/// How well a model does on one file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Examined {
    /// The file.
    pub file: PathBuf,
    /// Texts by language; those without one stand under the empty name.
    pub texts: BTreeMap<String, Score>,
    /// Questions with choices.
    pub choices: Choices,
    /// Questions with one right answer.
    pub exact: Exact,
}

/// Questions of which the likeliest choice is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Choices {
    /// How many questions.
    pub questions: u64,
    /// Right where the choice with the largest log p is taken.
    pub right: u64,
    /// Right where it is the largest log p for each byte.
    pub right_by_length: u64,
}

/// Questions whose answer is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Exact {
    /// How many questions.
    pub questions: u64,
    /// Answered with the very words.
    pub right: u64,
}

/// A line of a JSONL file.
enum Line {
    Text { text: String, language: String },
    Choice { question: String, choices: Vec<String>, answer: usize },
    Exact { prompt: String, answer: String },
}

/// Puts a file to the model. One that ends in `.jsonl` has on each line
/// `{"text", "language"}`, `{"question", "choices", "answer"}` (the place of
/// the right choice from 0 on, or its words) or `{"prompt", "answer"}`; any
/// other is one text.
///
/// # Errors
/// `eval-line` naming file and line; `measure-short` for a file with nothing
/// in it; when the model cannot read it.
pub fn examine(model: &TextModel, path: &Path, progress: &dyn Progress) -> Result<Examined> {
    let content = fs::read_to_string(path).at(path)?;
    let mut examined = Examined { file: path.to_owned(), ..Examined::default() };
    let mut conversations = model.conversations();
    if path.extension().is_none_or(|extension| extension != "jsonl") {
        let mut score = Score::default();
        add(&mut score, model, &mut conversations, &content, Some(progress))?;
        if score.bytes == 0 {
            return Err(Error::new("measure-short"));
        }
        examined.texts.insert(String::new(), score);
        return Ok(examined);
    }
    // All lines are looked at before the first is worked on.
    let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let lines: Vec<Line> = lines
        .map(|(at, line)| {
            let wrong = |cause| Error::new("eval-line").path(path).arg("line", at + 1).arg("cause", cause);
            parse(line).map_err(wrong)
        })
        .collect::<Result<_>>()?;
    if lines.is_empty() {
        return Err(Error::new("measure-short"));
    }
    progress.begin("measure-text", lines.len() as u64, Unit::Documents);
    for (line, done) in lines.iter().zip(1..) {
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        match line {
            Line::Text { text, language } => {
                add(examined.texts.entry(language.clone()).or_default(), model, &mut conversations, text, None)?;
            }
            Line::Choice { question, choices, answer } => {
                choose(&mut examined.choices, model, &mut conversations, question, choices, *answer)?;
            }
            Line::Exact { prompt, answer } => {
                examined.exact.questions += 1;
                let said = answered(model, &mut conversations, prompt, answer)?;
                examined.exact.right += u64::from(said == answer.trim());
            }
        }
        progress.at(done);
    }
    progress.end();
    Ok(examined)
}

fn parse(line: &str) -> Result<Line, String> {
    #[derive(Deserialize)]
    struct Fields {
        text: Option<String>,
        language: Option<String>,
        question: Option<String>,
        choices: Option<Vec<String>>,
        prompt: Option<String>,
        #[serde(default)]
        answer: Value,
    }
    let fields: Fields = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if let (Some(question), Some(choices)) = (fields.question, fields.choices) {
        let answer = match &fields.answer {
            Value::String(words) => choices.iter().position(|choice| choice == words),
            other => other.as_u64().map(|at| at as usize).filter(|at| *at < choices.len()),
        };
        let answer = answer.ok_or_else(|| format!("answer: {}", fields.answer))?;
        return Ok(Line::Choice { question, choices, answer });
    }
    match (fields.prompt, fields.text, fields.answer) {
        (Some(prompt), _, Value::String(answer)) => Ok(Line::Exact { prompt, answer }),
        (Some(_), _, other) => Err(format!("answer: {other}")),
        (None, Some(text), _) => Ok(Line::Text { text, language: fields.language.unwrap_or_default() }),
        _ => Err("{...}".into()),
    }
}

fn choose(
    figures: &mut Choices,
    model: &TextModel,
    conversations: &mut Conversations<'_>,
    question: &str,
    choices: &[String],
    answer: usize,
) -> Result<()> {
    let context = model.architecture().context;
    let before = model.codec().encode(question)?;
    let mut log_p = Vec::new();
    for choice in choices {
        let apart = question.is_empty() || question.ends_with(char::is_whitespace) || choice.starts_with(' ');
        let rest = model.codec().encode_rest(&if apart { choice.clone() } else { format!(" {choice}") })?;
        let mut tokens = before.clone();
        // A question that is too long loses its beginning, but for the first
        // token, which tells the model that a text begins.
        let over = (before.len() + rest.len()).saturating_sub(context).min(before.len() - 1);
        tokens.drain(1..=over);
        let from = tokens.len();
        tokens.extend(rest);
        log_p.push(if tokens.len() == from { f64::MIN } else { -conversations.surprise(&tokens, from)? });
    }
    let best = |value: &dyn Fn(usize) -> f64| {
        (0..choices.len()).reduce(|best, i| if value(i) > value(best) { i } else { best })
    };
    figures.questions += 1;
    figures.right += u64::from(best(&|i| log_p[i]) == Some(answer));
    figures.right_by_length += u64::from(best(&|i| log_p[i] / choices[i].len().max(1) as f64) == Some(answer));
    Ok(())
}

/// What the model says to `prompt`, without the spaces around it: as the turn
/// of a chat where it knows chats, or else as the rest of the line.
fn answered(model: &TextModel, conversations: &mut Conversations<'_>, prompt: &str, answer: &str) -> Result<String> {
    // Room for the answer and for seeing that it goes on.
    let tokens_max = 2 * model.codec().encode_rest(answer)?.len() + 16;
    let sampler = SamplerOptions { temperature: 0.0, repetition_penalty: 1.0, ..SamplerOptions::default() };
    let options = Options { sampler, tokens_max, form: None };
    let mut said = String::new();
    if model.codec().has_chat_template() {
        model.answer(conversations, &[Message::new("user", prompt)], &options, |piece| {
            said.push_str(piece);
            true
        })?;
        return Ok(said.trim().to_owned());
    }
    model.generate(prompt, &options, |piece| {
        said.push_str(piece);
        !said.trim_start().contains('\n')
    })?;
    Ok(said.trim_start().lines().next().unwrap_or_default().trim().to_owned())
}
