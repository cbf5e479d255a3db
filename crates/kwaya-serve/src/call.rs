//! One call in an answer: an object with the name of a function and its arguments,
//! read a character at a time.

use std::mem;

use serde_json::{Value, json};

use crate::{
    chance,
    compact::{Compact, Letter, Letters},
};

/// A call that a model wants to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// The text of an object.
    pub(crate) arguments: String,
}

impl Call {
    /// As clients of OpenAI read it.
    pub(crate) fn json(&self) -> Value {
        // Some templates take no names of calls but of nine letters and digits.
        json!({
            "id": &chance::name()[..9],
            "type": "function",
            "function": { "name": self.name, "arguments": self.arguments },
        })
    }
}

/// A call that is being read, from after its first bracket.
pub(crate) struct Reading {
    raw: String,
    depth: usize,
    letters: Option<Letters>,
    member: Member,
    /// Of a name or a key: what it says so far.
    text: String,
    /// What is called, once that is known.
    pub(crate) name: Option<String>,
    arguments: Option<Arguments>,
    /// Whether there are as many calls as may be.
    pub(crate) is_left_out: bool,
}

/// What a part of a call is of.
#[derive(Default)]
enum Member {
    #[default]
    Key,
    Name,
    Arguments,
    Other,
}

impl Reading {
    pub(crate) fn new(is_left_out: bool) -> Self {
        Self {
            raw: "{".to_owned(),
            depth: 1,
            letters: None,
            member: Member::Key,
            text: String::new(),
            name: None,
            arguments: None,
            is_left_out,
        }
    }

    /// What is certain of the arguments.
    pub(crate) fn arguments(&self) -> &str {
        self.arguments.as_ref().map_or("", |arguments| arguments.object.text())
    }

    /// Takes a character: whether the call is over with it; `None` where it is
    /// none.
    pub(crate) fn push(&mut self, c: char) -> Option<bool> {
        self.raw.push(c);
        let is_between = self.letters.is_none() && self.depth == 1;
        match (c, &self.member) {
            (',' | '}', _) if is_between => {
                self.member_over()?;
                return Some(c == '}');
            }
            (':', Member::Key) if is_between => {
                self.member = self.of_key();
                return Some(false);
            }
            (']', _) if is_between => return None,
            (_, Member::Arguments) => self.arguments.as_mut()?.push(c)?,
            _ => {}
        }
        match &mut self.letters {
            Some(letters) => match letters.push(c)? {
                Letter::Known(known) if self.depth == 1 => self.text += &known,
                Letter::Known(_) | Letter::Pending => {}
                Letter::End => self.letters = None,
            },
            None => match c {
                '"' => self.letters = Some(Letters::default()),
                '{' | '[' => self.depth += 1,
                '}' | ']' => self.depth -= 1,
                _ => {}
            },
        }
        Some(false)
    }

    /// What the value of the key is that was read.
    fn of_key(&mut self) -> Member {
        match mem::take(&mut self.text).as_str() {
            _ if self.is_left_out => Member::Other,
            "name" if self.name.is_none() => Member::Name,
            "arguments" | "parameters" if self.arguments.is_none() => {
                self.arguments = Some(Arguments::default());
                Member::Arguments
            }
            _ => Member::Other,
        }
    }

    fn member_over(&mut self) -> Option<()> {
        let text = mem::take(&mut self.text);
        match mem::take(&mut self.member) {
            Member::Name => self.name = Some(text),
            Member::Arguments if !self.arguments.as_ref()?.object.is_over() => return None,
            Member::Arguments | Member::Key | Member::Other => {}
        }
        Some(())
    }

    /// The call, if it is whole and one; nothing of one that is left out.
    pub(crate) fn whole(self) -> Option<Option<Call>> {
        serde_json::from_str::<Value>(&self.raw).ok()?;
        if self.is_left_out {
            return Some(None);
        }
        let arguments = match self.arguments {
            None => "{}".to_owned(),
            Some(arguments) => arguments.object.whole()?,
        };
        Some(Some(Call { name: self.name?, arguments }))
    }
}

/// The arguments of a call: an object, or the text of one as some write it.
#[derive(Default)]
struct Arguments {
    object: Compact,
    form: Form,
}

#[derive(Default)]
enum Form {
    #[default]
    Unknown,
    Object,
    Text(Letters),
    TextOver,
}

impl Arguments {
    /// Takes a character; `None` where there are no arguments like it.
    fn push(&mut self, c: char) -> Option<()> {
        let is_space = matches!(c, ' ' | '\t' | '\n' | '\r');
        match &mut self.form {
            Form::Unknown if c == '"' => self.form = Form::Text(Letters::default()),
            Form::Unknown if !is_space => {
                self.form = Form::Object;
                self.object.push(c)?;
            }
            Form::Object => self.object.push(c)?,
            Form::Text(letters) => match letters.push(c)? {
                Letter::Known(known) => known.chars().try_for_each(|c| self.object.push(c))?,
                Letter::Pending => {}
                Letter::End => self.form = Form::TextOver,
            },
            Form::TextOver if !is_space => return None,
            Form::Unknown | Form::TextOver => {}
        }
        Some(())
    }
}
