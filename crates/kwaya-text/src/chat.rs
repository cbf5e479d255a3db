//! Chat templates: the messages of a chat as the one text that a model was
//! trained on.
//!
//! A template is a Jinja2 program that comes with the model. It is run as
//! `transformers` runs it, and as text from a stranger: what it may do is
//! counted, and one that loops for ever ends with an error. One thing escapes
//! the count: the engine adds lists without it, so that a template that adds a
//! list to itself more than thirty times takes memory until there is none.

use std::io;

use kwaya_base::{Error, Result};
use minijinja::{
    Environment, ErrorKind, Value,
    syntax::SyntaxConfig,
    value::{Kwargs, Serde, ValueKind},
};
use regex::Regex;
use serde::{Deserialize, Serialize};

/// What a template may do: one is an instruction, or 64 bytes of text made.
const FUEL: u64 = 1_000_000;

/// Bytes of a template at the most. The longest known have 30 kB.
const SOURCE_BYTES_MAX: usize = 1 << 20;

/// Bytes of the text made at the most.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// How deep macros may call one another, times four.
const DEPTH_MAX: usize = 200;

/// How deep a value that becomes JSON may be.
const JSON_DEPTH_MAX: usize = 64;

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of `role` that says `content`.
    pub fn new(role: &str, content: &str) -> Self {
        Self { role: role.to_owned(), content: content.to_owned() }
    }
}

/// A chat as the text of a document of a corpus: JSON.
pub(crate) fn document(messages: &[Message]) -> String {
    serde_json::to_string(messages).expect("texts become JSON")
}

/// All that is said in a chat.
pub fn words(messages: &[Message]) -> String {
    messages.iter().map(|message| &*message.content).collect::<Vec<_>>().join("\n\n")
}

/// A day, for templates that tell the model what day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The year, from 1 on.
    pub year: u32,
    /// The month, from 1 to 12.
    pub month: u32,
    /// The day of the month, from 1 on.
    pub day: u32,
}

/// What a template is told besides the messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'s> {
    /// Whether the text is to end where the assistant begins.
    pub add_generation_prompt: bool,
    /// The token that begins a text, as text.
    pub bos_token: &'s str,
    /// The token that ends a text, as text.
    pub eos_token: &'s str,
    /// The tools that the model may call, as the text of a JSON list, whose
    /// keys keep their order.
    pub tools: Option<&'s str>,
    /// What `strftime_now` says, at midnight. Without it there is no such
    /// function, and a template falls back on the day that it was written
    /// with, if it has one: the same messages always give the same text.
    pub date: Option<Date>,
}

/// A chat template, read and ready.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// How the model calls tools, where the template has a place for them.
    tools: Option<ToolStyle>,
}

/// How a model that was taught to call tools writes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolStyle {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`, as Hermes and Qwen do.
    Marked,
    /// `[TOOL_CALLS][{"name": …, "arguments": …}]`, as Mistral does.
    List,
    /// `{"name": …, "parameters": …}` and nothing else, as Llama does.
    Bare,
}

impl ToolStyle {
    /// That of a template that mentions tools.
    fn of(source: &str) -> Option<Self> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        if !source.split(|c| !is_part(c)).any(|word| word == "tools") {
            return None;
        }
        Some(match source {
            _ if source.contains("[TOOL_CALLS]") => Self::List,
            _ if source.contains("<tool_call>") => Self::Marked,
            _ => Self::Bare,
        })
    }
}

const NAME: &str = "chat";

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// `chat-template`, with the line and the cause.
    pub fn new(source: &str) -> Result<Self> {
        if source.len() > SOURCE_BYTES_MAX {
            let cause = format!("{} bytes are too many", source.len());
            return Err(Error::new("chat-template").arg("line", 1).arg("cause", cause));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.expect("the marks are those of Jinja"));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(|state, value, method, arguments| {
            // A width in a format takes that much memory, uncounted.
            let fields = || value.as_str().into_iter().flat_map(|text| text.split('{').skip(1));
            if method == "format" && fields().any(|field| field.split('}').next().unwrap_or_default().contains(':')) {
                return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "format with a width"));
            }
            minijinja_contrib::pycompat::unknown_method_callback(state, value, method, arguments)
        });
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH_MAX);
        environment.add_filter("tojson", to_json);
        // It makes as many lists as it is told to, uncounted.
        environment.remove_filter("slice");
        // The engine lets one go through what is none, Python does not.
        environment.add_test("iterable", |value: &Value| {
            let kind = value.kind();
            kind == ValueKind::Undefined || kind == ValueKind::String || !value.is_none() && value.try_iter().is_ok()
        });
        environment.add_function("raise_exception", |cause: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, cause))
        });
        environment.add_template_owned(NAME, without_generation(source)).map_err(|error| failed(&error))?;
        Ok(Self { environment, tools: ToolStyle::of(source) })
    }

    /// Makes the text of `messages`.
    ///
    /// # Errors
    /// `chat-template`, with the line and the cause: what the template itself
    /// objects to, what it cannot do, or that it does too much.
    pub fn render(&self, messages: &[Message], setting: &Setting) -> Result<String> {
        self.render_values(Value::from(Serde(messages)), setting)
    }

    /// As [`Template::render`], of messages that hold more than a role and words:
    /// a list of objects.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_objects(&self, messages: &[serde_json::Value], setting: &Setting) -> Result<String> {
        self.render_values(Value::from(Serde(messages)), setting)
    }

    /// How the model calls tools; `None` when it cannot be told of any.
    pub fn tools(&self) -> Option<ToolStyle> {
        self.tools
    }

    fn render_values(&self, messages: Value, setting: &Setting) -> Result<String> {
        let tools: Option<Value> =
            match setting.tools {
                Some(tools) => Some(serde_json::from_str(tools).map_err(|cause| {
                    Error::new("chat-template").arg("line", 1).arg("cause", format!("tools: {cause}"))
                })?),
                None => None,
            };
        let mut context = vec![
            ("messages", messages),
            ("add_generation_prompt", Value::from(setting.add_generation_prompt)),
            ("bos_token", Value::from(setting.bos_token)),
            ("eos_token", Value::from(setting.eos_token)),
            ("tools", Value::from(tools)),
            ("documents", Value::from(())),
        ];
        if let Some(date) = setting.date {
            context.push(("strftime_now", Value::from_function(move |format: &str| date.formatted(format))));
        }
        let mut text = Bounded(Vec::new());
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        template.render_captured_to(Value::from_pairs(context), &mut text).map_err(|error| failed(&error))?;
        // The engine writes whole texts.
        String::from_utf8(text.0).map_err(|cause| Error::new("chat-template").arg("line", 1).arg("cause", cause))
    }
}

fn failed(error: &minijinja::Error) -> Error {
    let cause = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it does not come to an end".to_owned(),
        (ErrorKind::WriteFailure, _) => format!("the text has more than {TEXT_BYTES_MAX} bytes"),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    Error::new("chat-template").arg("line", error.line().unwrap_or(1)).arg("cause", cause)
}

/// `transformers` has the tags `generation` and `endgeneration`, which mark
/// what the assistant says and do nothing to the text.
fn without_generation(source: &str) -> String {
    if !source.contains("generation") {
        return source.to_owned();
    }
    let tag = |name, block: &str, source: &str| {
        let tag = Regex::new(&format!(r"\{{%([-+]?)\s*{name}\s*([-+]?)%\}}")).expect("the expression is fixed");
        tag.replace_all(source, format!("{{%$1 {block} $2%}}")).into_owned()
    };
    tag("endgeneration", "endif", &tag("generation", "if true", source))
}

/// Takes so much text and no more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > TEXT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The filter `tojson` of `transformers`: `json.dumps` of Python, which
/// escapes nothing for HTML.
fn to_json(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, minijinja::Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get::<Option<Value>>("indent")?,
    };
    let indent = match indent.filter(|indent| !indent.is_none()) {
        Some(indent) => Some(indent.as_usize().filter(|&indent| indent <= 64).ok_or_else(|| refused("indent"))?),
        None => None,
    };
    let mut json = Json {
        text: String::new(),
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sorted: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        item: if indent.is_some() { "," } else { ", " }.to_owned(),
        key: ": ".to_owned(),
    };
    if let Some(separators) = options.get::<Option<Vec<String>>>("separators")? {
        let [item, key] = <[String; 2]>::try_from(separators).map_err(|_| refused("separators"))?;
        (json.item, json.key) = (item, key);
    }
    options.assert_all_used()?;
    json.value(value, 0)?;
    Ok(Value::from(json.text))
}

fn refused(what: &'static str) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, format!("tojson: {what}"))
}

struct Json {
    text: String,
    ascii: bool,
    sorted: bool,
    indent: Option<usize>,
    item: String,
    key: String,
}

impl Json {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), minijinja::Error> {
        if depth > JSON_DEPTH_MAX || self.text.len() > TEXT_BYTES_MAX {
            return Err(refused("the value is too large"));
        }
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                self.text.push('[');
                let mut any = false;
                for item in value.try_iter()? {
                    self.next(any, depth);
                    any = true;
                    self.value(&item, depth + 1)?;
                }
                self.end(any, depth, ']');
            }
            ValueKind::Map => {
                self.text.push('{');
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorted {
                    keys.sort();
                }
                for (at, key) in keys.iter().enumerate() {
                    self.next(at > 0, depth);
                    self.string(&key.to_string());
                    self.text.push_str(&self.key);
                    self.value(&value.get_item(key)?, depth + 1)?;
                }
                self.end(!keys.is_empty(), depth, '}');
            }
            _ => return Err(refused("the value is no JSON")),
        }
        Ok(())
    }

    fn next(&mut self, any: bool, depth: usize) {
        if any {
            self.text.push_str(&self.item);
        }
        self.line(depth + 1);
    }

    fn end(&mut self, any: bool, depth: usize, mark: char) {
        if any {
            self.line(depth);
        }
        self.text.push(mark);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    /// Python writes `1e+16` and `1e-05` where Rust writes `1e16` and `1e-5`.
    fn number(&mut self, value: &Value) {
        if value.is_integer() {
            self.text.push_str(&value.to_string());
            return;
        }
        let number = format!("{:?}", f64::try_from(value.clone()).unwrap_or(f64::NAN));
        match number.split_once('e') {
            Some((digits, exponent)) => {
                let (sign, exponent) = match exponent.strip_prefix('-') {
                    Some(exponent) => ('-', exponent),
                    None => ('+', exponent),
                };
                self.text.push_str(&format!("{digits}e{sign}{exponent:0>2}"));
            }
            None => self.text.push_str(match number.as_str() {
                "inf" => "Infinity",
                "-inf" => "-Infinity",
                other => other,
            }),
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                ..' ' => self.escape(character),
                '\u{7f}'.. if self.ascii => self.escape(character),
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }

    fn escape(&mut self, character: char) {
        for unit in character.encode_utf16(&mut [0; 2]) {
            self.text.push_str(&format!("\\u{unit:04x}"));
        }
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Saturday", "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday"];

impl Date {
    /// `strftime` of C in English. What it does not know stays as it is.
    fn formatted(self, format: &str) -> String {
        let Self { year, month, day } = self;
        let month_name = MONTHS.get((month as usize).wrapping_sub(1)).copied().unwrap_or_default();
        let mut text = String::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            let mut code = characters.next();
            let bare = code == Some('-');
            if bare {
                code = characters.next();
            }
            let number = |number: u32| if bare { number.to_string() } else { format!("{number:02}") };
            text.push_str(&match code {
                Some('Y') => year.to_string(),
                Some('y') => number(year % 100),
                Some('m') => number(month),
                Some('d') => number(day),
                Some('B') => month_name.to_owned(),
                Some('b') => month_name.chars().take(3).collect(),
                Some('A') => self.weekday().to_owned(),
                Some('a') => self.weekday()[..3].to_owned(),
                Some('F') => format!("{year}-{month:02}-{day:02}"),
                Some('H' | 'M' | 'S') => number(0),
                Some('%') => "%".to_owned(),
                Some(other) => format!("%{other}"),
                None => "%".to_owned(),
            });
        }
        text
    }

    /// By Zeller's rule.
    fn weekday(self) -> &'static str {
        let (year, month) = if self.month < 3 {
            (u64::from(self.year).saturating_sub(1), u64::from(self.month) + 12)
        } else {
            (u64::from(self.year), u64::from(self.month))
        };
        let day = u64::from(self.day) + 13 * (month + 1) / 5 + year + year / 4 - year / 100 + year / 400;
        DAYS[(day % 7) as usize]
    }
}
