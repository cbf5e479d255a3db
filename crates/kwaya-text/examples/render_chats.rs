//! Prints the texts that chat templates make of chats, for comparison with
//! other programs: `render_chats CHATS.json TEMPLATE...`, where the first is
//! `tests/golden/chats.json`. The answer is a list of lists; an error is an
//! object.

use std::io::Write;

use kwaya_text::chat::{Date, Message, Setting, Template};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = std::env::args().skip(1).map(std::fs::read_to_string);
    let golden: Value = serde_json::from_str(&files.next().ok_or("no chats")??)?;
    let mut answers = Vec::new();
    for source in files {
        let template = Template::new(&source?);
        let mut texts = Vec::new();
        for chat in golden["chats"].as_object().ok_or("no chats")?.values() {
            let turn = |turn: &Value| {
                Message::new(turn["role"].as_str().unwrap_or_default(), turn["content"].as_str().unwrap_or_default())
            };
            let messages: Vec<Message> = chat.as_array().into_iter().flatten().map(turn).collect();
            for tools in [None, golden["tools"].as_str()] {
                let setting = Setting {
                    add_generation_prompt: true,
                    bos_token: "<s>",
                    eos_token: "</s>",
                    tools,
                    date: Some(Date { year: 2026, month: 2, day: 9 }),
                };
                texts.push(match &template {
                    Ok(template) => match template.render(&messages, &setting) {
                        Ok(text) => Value::from(text),
                        Err(error) => json!({ "error": error.to_string() }),
                    },
                    Err(error) => json!({ "error": error.to_string() }),
                });
            }
        }
        answers.push(texts);
    }
    serde_json::to_writer(std::io::stdout().lock(), &answers)?;
    Ok(std::io::stdout().flush()?)
}
