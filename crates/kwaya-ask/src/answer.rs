//! From passages to an answer: quoted from them, or written by a model and then
//! held against them.

use std::collections::HashSet;

use kwaya_base::{Result, say};
use kwaya_recipe::text_model::TextModel;
use kwaya_text::{chat::Message, quality::words::sentences};
use serde::Serialize;

use crate::{
    analysis,
    library::{Found, Library},
    question::Question,
};

/// A question of which no passage has so much is not answered by the documents.
/// `examples/known_items.rs` measures how often that is right.
pub const COVER_MIN: f32 = 0.48;
/// Passages of which one has to have so much.
const LOOKED_AT: usize = 10;
/// What a model says is in a passage when the passage has so much of it.
pub const SUPPORT_MIN: f32 = 0.6;
/// Tokens of an answer that a model writes.
pub const ANSWER_TOKENS: usize = 256;
/// Quotes of an answer.
const QUOTES_MAX: usize = 3;
/// A further quote has to have this much of the question that none before has.
const GAIN_MIN: f32 = 0.15;
/// A quote has to have this much of what the best of them has.
const SHARE_MIN: f32 = 0.6;
/// A shorter sentence is quoted with what comes after it: it may be a heading.
const QUOTE_BYTES_MIN: usize = 160;

/// A question with the passages that were found for it.
pub struct Asked {
    documents: Library,
    question: Question,
    text: String,
    found: Vec<Found>,
    supported: bool,
}

/// An answer, with the passages that it rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// What was asked.
    pub question: String,
    /// Whether the documents support an answer. If not, `text` is empty.
    pub supported: bool,
    /// Whether all of it stands in the passages word for word.
    pub quoted: bool,
    /// The statements, each with the numbers of its passages: `[1]`.
    pub text: String,
    /// The same, one by one.
    pub statements: Vec<Statement>,
    /// What a model said besides, which no passage supports.
    pub unsupported: Vec<String>,
    /// The passages that are named.
    pub citations: Vec<Citation>,
}

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// What it says.
    pub text: String,
    /// The numbers of the passages that say so.
    pub citations: Vec<usize>,
}

/// A passage that an answer names.
#[derive(Clone, Debug, Serialize)]
pub struct Citation {
    /// By which it is named.
    pub number: usize,
    /// What and where it is.
    #[serde(flatten)]
    pub found: Found,
}

impl Library {
    /// Looks for the `count` passages that answer `question` best.
    ///
    /// # Errors
    /// As [`Library::search`].
    pub fn ask(&self, question: &str, count: usize) -> Result<Asked> {
        let text = question.trim().to_owned();
        let question = self.question(&text)?;
        // Whether there is an answer does not depend on how many are shown.
        let mut found = self.search_for(&question, &text, count.max(LOOKED_AT))?;
        let supported = found.iter().any(|found| found.cover >= COVER_MIN);
        found.truncate(count);
        Ok(Asked { documents: self.clone(), question, text, found, supported })
    }
}

impl Asked {
    /// The passages, best first.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Whether the documents have enough of what was asked for an answer.
    pub fn is_supported(&self) -> bool {
        self.supported
    }

    /// The sentences that have most of the question, as they stand there.
    pub fn quoted(&self) -> Answer {
        if !self.is_supported() {
            return self.answer(Vec::new(), Vec::new(), true);
        }
        let mut quotes: Vec<Quote> = self.found.iter().enumerate().flat_map(quotes).collect();
        let cover = |quote: &Quote| self.question.gain(&quote.pieces, &HashSet::new());
        // What has little of the question has it by chance.
        let least = SHARE_MIN * quotes.iter().map(cover).fold(0.0, f32::max);
        quotes.retain(|quote| cover(quote) >= least);
        let (mut chosen, mut known) = (Vec::<Quote>::new(), HashSet::new());
        while chosen.len() < QUOTES_MAX && !quotes.is_empty() {
            let gain = |quote: &Quote| self.question.gain(&quote.pieces, &known);
            let gains: Vec<f32> = quotes.iter().map(gain).collect();
            // The first of the best.
            let best = (0..gains.len()).rev().max_by(|a, b| gains[*a].total_cmp(&gains[*b])).unwrap_or(0);
            if !chosen.is_empty() && gains[best] < GAIN_MIN {
                break;
            }
            let quote = quotes.swap_remove(best);
            quotes.retain(|other| other.found != quote.found || other.end <= quote.start || quote.end <= other.start);
            quotes.sort_by_key(|quote| (quote.found, quote.start));
            known.extend(quote.pieces.iter().cloned());
            chosen.push(quote);
        }
        chosen.sort_by_key(|quote| (quote.found, quote.start));
        let statement = |quote: Quote| {
            let text = &self.found[quote.found].passage.text[quote.start..quote.end];
            Statement { text: text.trim().to_owned(), citations: vec![quote.found + 1] }
        };
        self.answer(chosen.into_iter().map(statement).collect(), Vec::new(), true)
    }

    /// What `model` is to be told for it to answer from the passages: the best of
    /// them that leave room for the answer in a context of `context` tokens; `None`
    /// where not even one does.
    ///
    /// # Errors
    /// When the chat template of the model fails.
    pub fn prompt(&self, model: &TextModel, context: usize) -> Result<Option<Vec<Message>>> {
        for count in (1..=self.found.len()).rev() {
            let messages = self.messages(count);
            if model.chat_prompt(&messages)?.0.len() + ANSWER_TOKENS <= context {
                return Ok(Some(messages));
            }
        }
        Ok(None)
    }

    fn messages(&self, count: usize) -> Vec<Message> {
        let passages = self.found.iter().take(count).enumerate();
        let passages: Vec<String> =
            passages.map(|(at, found)| format!("[{}] {}", at + 1, found.passage.text)).collect();
        let user = say!("ask-prompt", passages = passages.join("\n\n"), question = self.text);
        vec![Message::new("system", &say!("ask-prompt-system")), Message::new("user", &user)]
    }

    /// What a model `said`, held against the passages. Where they support none
    /// of it, the answer is quoted.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn written(&self, said: &str) -> Result<Answer> {
        let (mut statements, mut unsupported) = (Vec::new(), Vec::new());
        for (text, named) in statements_of(said) {
            match self.support(&text, &named)? {
                Some(citations) => statements.push(Statement { text, citations }),
                None => unsupported.push(text),
            }
        }
        if statements.is_empty() || !self.is_supported() {
            return Ok(self.quoted());
        }
        Ok(self.answer(statements, unsupported, false))
    }

    /// The numbers of the passages that say so: those that are named, if they do
    /// together, or else the one that has most of it.
    fn support(&self, statement: &str, named: &[usize]) -> Result<Option<Vec<usize>>> {
        let Some(question) = self.documents.weighed(statement)? else { return Ok(None) };
        let numbers: Vec<String> = numbers(statement).collect();
        let says = |texts: &str| {
            let found: HashSet<String> = self::numbers(texts).collect();
            let cover = question.cover(texts);
            (cover >= SUPPORT_MIN && numbers.iter().all(|number| found.contains(number))).then_some(cover)
        };
        let named: Vec<usize> =
            named.iter().copied().filter(|number| (1..=self.found.len()).contains(number)).collect();
        let together: Vec<&str> = named.iter().map(|number| &*self.found[number - 1].passage.text).collect();
        if !named.is_empty() && says(&together.join("\n")).is_some() {
            return Ok(Some(named));
        }
        let each = self.found.iter().enumerate().rev();
        let each = each.filter_map(|(at, found)| Some((says(&found.passage.text)?, at + 1)));
        Ok(each.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, number)| vec![number]))
    }

    fn answer(&self, statements: Vec<Statement>, unsupported: Vec<String>, quoted: bool) -> Answer {
        let named: HashSet<usize> = statements.iter().flat_map(|statement| &statement.citations).copied().collect();
        let citations = (1..).zip(&self.found).filter(|(number, _)| named.contains(number));
        let line = |statement: &Statement| {
            let numbers: String = statement.citations.iter().map(|number| format!("[{number}]")).collect();
            format!("{} {numbers}", statement.text)
        };
        Answer {
            question: self.text.clone(),
            supported: !statements.is_empty(),
            quoted,
            text: statements.iter().map(line).collect::<Vec<_>>().join("\n"),
            statements,
            unsupported,
            citations: citations.map(|(number, found)| Citation { number, found: found.clone() }).collect(),
        }
    }
}

/// A part of a passage that may be quoted.
struct Quote {
    /// Which passage, by rank.
    found: usize,
    start: usize,
    end: usize,
    pieces: HashSet<String>,
}

/// What may be quoted of a passage: each sentence, a short one with what comes
/// after it.
fn quotes((at, found): (usize, &Found)) -> Vec<Quote> {
    let text = &found.passage.text;
    let mut ends = vec![0];
    for sentence in sentences(text) {
        ends.push(ends[ends.len() - 1] + sentence.len());
    }
    let quote = |first: usize| {
        let (start, last) = (ends[first], ends.len() - 1);
        let long = |&&end: &&usize| end - start >= QUOTE_BYTES_MIN;
        let end = *ends[first + 1..].iter().find(long).unwrap_or(&ends[last]);
        Quote { found: at, start, end, pieces: analysis::pieces(&text[start..end]).into_iter().collect() }
    };
    (0..ends.len() - 1).map(quote).collect()
}

/// The sentences of what a model said, each with the passages that it names.
fn statements_of(said: &str) -> Vec<(String, Vec<usize>)> {
    let mut statements: Vec<(String, Vec<usize>)> = Vec::new();
    for sentence in said.lines().flat_map(sentences) {
        let (mut text, mut named, mut rest) = (String::new(), Vec::new(), sentence);
        while let Some(open) = rest.find('[') {
            let inside = rest[open + 1..].split(']').next().unwrap_or_default();
            let numbers: Option<Vec<usize>> = inside.split(',').map(|number| number.trim().parse().ok()).collect();
            let Some(numbers) = numbers else {
                text += &rest[..=open];
                rest = &rest[open + 1..];
                continue;
            };
            text += &rest[..open];
            rest = rest[open + 1 + inside.len()..].strip_prefix(']').unwrap_or_default();
            // After the end of a sentence it speaks of that one.
            match statements.last_mut().filter(|_| !text.contains(char::is_alphanumeric)) {
                Some((_, before)) => before.extend(numbers),
                None => named.extend(numbers),
            }
        }
        text += rest;
        if text.contains(char::is_alphanumeric) {
            statements.push((tidy(&text), named));
        }
    }
    statements
}

/// A sentence without the blank that a number in brackets left before its end.
fn tidy(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().next_back() {
        Some((at, last)) if !last.is_alphanumeric() => format!("{}{last}", text[..at].trim_end()),
        _ => text.to_owned(),
    }
}

/// The numbers that are in a text.
fn numbers(text: &str) -> impl Iterator<Item = String> {
    analysis::words(text).into_iter().filter(|word| word.starts_with(|c: char| c.is_numeric()))
}
