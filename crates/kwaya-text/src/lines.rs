//! Files of JSON lines: on each a text, or a chat.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::chat::Message;

/// Who may say something in a chat.
const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// What is put in the place of a line that is no UTF-8.
const NOT_UTF8: &str = "\u{fffd}";

/// What a line holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// A plain document.
    Text(String),
    /// A chat with an answer in it.
    Chat(Vec<Message>),
}

#[derive(Deserialize)]
struct Fields {
    text: Option<String>,
    messages: Option<Vec<Object<Message>>>,
}

/// What is written with names: a structure alone may be read from a list too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Names<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Names(PhantomData)).map(Object)
    }
}

/// The text of a file of lines. JSON is UTF-8: a line that is not is wrong by
/// itself, and says nothing of the encoding of the others.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match str::from_utf8(line) {
            Ok(line) => text.push_str(line),
            Err(_) => text.extend([NOT_UTF8, "\n"]),
        }
    }
    text
}

/// The lines that are not empty, with their numbers from 1 and their lengths,
/// or what is wrong with them.
pub(crate) fn read(text: &str) -> impl Iterator<Item = (u64, u64, Result<Line, String>)> + '_ {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| (number, line.len() as u64, parse(line)))
}

/// Whether anything is to be learned from a chat.
pub(crate) fn has_answer(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.role == "assistant" && !message.content.trim().is_empty())
}

/// What is wrong with a chat without an answer.
pub(crate) const NO_ANSWER: &str = "no answer";

fn parse(line: &str) -> Result<Line, String> {
    if line == NOT_UTF8 {
        return Err("no UTF-8".to_owned());
    }
    let Object(fields) = serde_json::from_str::<Object<Fields>>(line).map_err(|error| {
        let cause = error.to_string();
        // It may quote the line, which may be long.
        cause.chars().take(120).collect::<String>()
    })?;
    match fields {
        Fields { messages: Some(messages), .. } => {
            let messages: Vec<Message> = messages.into_iter().map(|Object(message)| message).collect();
            if let Some(message) = messages.iter().find(|message| !ROLES.contains(&message.role.as_str())) {
                let role: String = message.role.chars().take(40).collect();
                return Err(format!("role: {role:?}; possible: {}", ROLES.join(", ")));
            }
            if has_answer(&messages) { Ok(Line::Chat(messages)) } else { Err(NO_ANSWER.to_owned()) }
        }
        Fields { text: Some(text), .. } => Ok(Line::Text(text)),
        _ => Err("neither \"text\" nor \"messages\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_text_or_a_chat() {
        let file = concat!(
            "{\"text\": \"mahindi\", \"other\": [1]}\n\n",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"?\"}, ",
            "{\"role\": \"assistant\", \"content\": \"!\", \"weight\": 1}]}\n",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"?\"}]}\n",
            "{\"messages\": [{\"role\": \"god\", \"content\": \"?\"}]}\n",
            "{\"messages\": [{\"role\": \"assistant\", \"content\": [1]}]}\n",
            "{}\nmahindi\n[]\n[\"mahindi\", null]\n{\"messages\": [[\"assistant\", \"!\"]]}\n",
        );
        let read: Vec<_> = read(file).collect();
        assert_eq!(read[0], (1, 33, Ok(Line::Text("mahindi".into()))));
        let chat = vec![Message::new("user", "?"), Message::new("assistant", "!")];
        assert_eq!((read[1].0, &read[1].2), (3, &Ok(Line::Chat(chat))));
        let causes =
            ["no answer", "role", "sequence", "neither", "expected", "an object", "an object", "expected an object"];
        assert_eq!(read.len(), 2 + causes.len());
        for ((number, _, line), cause) in read[2..].iter().zip(causes) {
            assert!(line.as_ref().unwrap_err().contains(cause), "{number} {line:?} {cause}");
        }
        assert_eq!(read.last().unwrap().0, 11);
    }

    #[test]
    fn one_line_says_nothing_of_the_encoding_of_others() {
        let file = b"\xef\xbb\xbf{\"text\": \"\xc3\x8cj\xe1\xbb\x8dba\"}\r\n{\"text\": \"\xff\"}\n{\"text\": \"ni\"}";
        let text = decode(file);
        let read: Vec<_> = read(&text).map(|(number, _, line)| (number, line)).collect();
        let good = |text: &str| Ok(Line::Text(text.to_owned()));
        assert_eq!(read, [(1, good("Ìjọba")), (2, Err("no UTF-8".to_owned())), (3, good("ni"))]);
    }

    #[test]
    fn damage_never_panics() {
        let good = "{\"messages\": [{\"role\": \"assistant\", \"content\": \"mahindi \\u00e9\"}]}".as_bytes();
        let mut state = 1u64;
        let mut next = move |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut whole = 0;
        for _ in 0..20_000 {
            let mut bytes = good.to_vec();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                bytes[at] = b"0123456789[]{},:\"\\ \xff"[next(20)];
            }
            whole += read(&decode(&bytes)).filter(|(_, _, line)| line.is_ok()).count();
        }
        assert!((1..10_000).contains(&whole), "{whole}");
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
