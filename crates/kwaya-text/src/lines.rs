//! Files of JSON lines: on each a text, or a chat.

use serde::Deserialize;

use crate::chat::Message;

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

#[derive(Deserialize)]
struct Fields {
    text: Option<String>,
    messages: Option<Vec<Message>>,
}

/// The lines that are not empty, with their numbers from 1, or what is wrong
/// with them.
pub(crate) fn read(text: &str) -> impl Iterator<Item = (usize, Result<Line, String>)> + '_ {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| (number, parse(line)))
}

fn parse(line: &str) -> Result<Line, String> {
    let fields: Fields = serde_json::from_str(line).map_err(|error| {
        let cause = error.to_string();
        // It may quote the line, which may be long.
        cause.chars().take(120).collect::<String>()
    })?;
    match fields {
        Fields { messages: Some(messages), .. } => {
            if let Some(message) = messages.iter().find(|message| !ROLES.contains(&message.role.as_str())) {
                let role: String = message.role.chars().take(40).collect();
                return Err(format!("role: {role:?}; possible: {}", ROLES.join(", ")));
            }
            let answers = |message: &Message| message.role == "assistant" && !message.content.trim().is_empty();
            if messages.iter().any(answers) { Ok(Line::Chat(messages)) } else { Err("no answer".to_owned()) }
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
            "{}\nmahindi\n[]\n",
        );
        let read: Vec<_> = read(file).collect();
        assert_eq!(read[0], (1, Ok(Line::Text("mahindi".into()))));
        let chat = vec![Message::new("user", "?"), Message::new("assistant", "!")];
        assert_eq!(read[1], (3, Ok(Line::Chat(chat))));
        for ((number, line), cause) in
            read[2..].iter().zip(["no answer", "role", "sequence", "neither", "expected", "invalid"])
        {
            assert!(line.as_ref().unwrap_err().contains(cause), "{number} {line:?} {cause}");
        }
        assert_eq!(read.last().unwrap().0, 9);
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
            whole += read(&String::from_utf8_lossy(&bytes)).filter(|(_, line)| line.is_ok()).count();
        }
        assert!((1..10_000).contains(&whole), "{whole}");
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
