//! Files of JSON lines: on each a text, or a chat.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{chat::Message, records::TEXT_KEYS};

/// Who may say something in a chat.
const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// What a line holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// A plain document.
    Text(String),
    /// A chat with an answer in it.
    Chat(Vec<Message>),
}

/// What of an object is looked at: the value of `column`, or else messages and
/// the surest of the keys that hold texts.
struct Fields<'a> {
    column: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = (Option<Vec<Message>>, Option<String>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = (Option<Vec<Message>>, Option<String>);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut messages, mut text, mut best) = (None, None, TEXT_KEYS.len());
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let rank = match self.column {
                Some(column) => (key == column).then_some(0),
                None if key == "messages" => {
                    let found: Option<Vec<Object<Message>>> = map.next_value()?;
                    messages = found.map(|found| found.into_iter().map(|Object(message)| message).collect());
                    continue;
                }
                None => TEXT_KEYS.iter().position(|text| key.eq_ignore_ascii_case(text)),
            };
            match rank {
                Some(0) => (text, best) = (map.next_value()?, 0),
                Some(rank) if rank < best => {
                    // A word that may also be the name of something else.
                    if let serde_json::Value::String(found) = map.next_value()? {
                        (text, best) = (Some(found), rank);
                    }
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok((messages, text))
    }
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

/// Whether anything is to be learned from a chat.
pub(crate) fn has_answer(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.role == "assistant" && !message.content.trim().is_empty())
}

/// What is wrong with a chat without an answer.
pub(crate) const NO_ANSWER: &str = "no answer";

/// What a line holds, or what is wrong with it; `column` is the key of its
/// text where that is known.
pub(crate) fn parse(line: &str, column: Option<&str>) -> Result<Line, String> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let fields = Fields { column }.deserialize(&mut deserializer).and_then(|fields| {
        deserializer.end()?;
        Ok(fields)
    });
    let fields = fields.map_err(|error| {
        let cause = error.to_string();
        // It may quote the line, which may be long.
        cause.chars().take(120).collect::<String>()
    })?;
    match fields {
        (Some(messages), _) => {
            if let Some(message) = messages.iter().find(|message| !ROLES.contains(&message.role.as_str())) {
                let role: String = message.role.chars().take(40).collect();
                return Err(format!("role: {role:?}; possible: {}", ROLES.join(", ")));
            }
            if has_answer(&messages) { Ok(Line::Chat(messages)) } else { Err(NO_ANSWER.to_owned()) }
        }
        (None, Some(text)) => Ok(Line::Text(text)),
        (None, None) => match column {
            Some(column) => Err(format!("no {column:?}")),
            None => Err("neither \"text\" nor \"messages\"".to_owned()),
        },
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
        let read: Vec<_> = file.lines().filter(|line| !line.is_empty()).map(|line| parse(line, None)).collect();
        assert_eq!(read[0], Ok(Line::Text("mahindi".into())));
        let chat = vec![Message::new("user", "?"), Message::new("assistant", "!")];
        assert_eq!(read[1], Ok(Line::Chat(chat)));
        let causes =
            ["no answer", "role", "sequence", "neither", "expected", "an object", "an object", "expected an object"];
        assert_eq!(read.len(), 2 + causes.len());
        for (line, cause) in read[2..].iter().zip(causes) {
            assert!(line.as_ref().unwrap_err().contains(cause), "{line:?} {cause}");
        }
    }

    #[test]
    fn a_text_goes_by_several_names() {
        let text = |line, column| parse(line, column).map_err(|cause| cause.chars().take(10).collect::<String>());
        let good = |text: &str| Ok(Line::Text(text.to_owned()));
        assert_eq!(text(r#"{"description": "c", "Content": "a", "body": "b"}"#, None), good("a"));
        assert_eq!(text(r#"{"content": {"a": 1}, "body": "b"}"#, None), good("b"));
        assert_eq!(text(r#"{"matini": "a", "text": "b"}"#, Some("matini")), good("a"));
        assert_eq!(text(r#"{"text": "b"}"#, Some("matini")), Err("no \"matini".to_owned()));
        assert_eq!(text(r#"{"text": "b"} x"#, None), Err("trailing c".to_owned()));
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
            whole += usize::from(str::from_utf8(&bytes).is_ok_and(|line| parse(line, None).is_ok()));
        }
        assert!((1..10_000).contains(&whole), "{whole}");
        assert!(parse(&"[".repeat(100_000), None).is_err());
    }
}
