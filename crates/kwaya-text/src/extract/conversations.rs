//! Chats between people, as WhatsApp and Telegram export them. Who speaks is a
//! number that stays the same through a chat; times, notices of the program
//! and notes of what was left out of the export are left out.

use std::{collections::BTreeMap, fmt::Write, sync::OnceLock};

use regex::Regex;
use serde::Deserialize;

use crate::{Reason, extract::Refusal};

/// A name is no longer than this; what is longer before a colon is a sentence.
const NAME_CHARACTERS_MAX: usize = 60;
/// A text is such an export if so many of its first lines, or all, begin a
/// message.
const LINES_MIN: usize = 2;
const LINES_SEEN: usize = 6;

/// What was said, and by whom.
#[derive(Default)]
struct Chat {
    speakers: BTreeMap<String, usize>,
    last: usize,
    out: String,
}

impl Chat {
    /// The number of a speaker, from 1 in the order in which they come.
    fn number(&mut self, speaker: &str) -> usize {
        let next = self.speakers.len() + 1;
        *self.speakers.entry(speaker.to_owned()).or_insert(next)
    }

    fn say(&mut self, speaker: &str, said: &str) {
        let said = said.trim();
        if said.is_empty() {
            return;
        }
        let number = self.number(speaker);
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        // Who goes on speaking is not named again.
        if number != self.last {
            write!(self.out, "{number}: ").expect("a string takes what is written");
        }
        self.last = number;
        self.out.push_str(said);
    }
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is well formed")
}

/// The marks of direction that WhatsApp writes around names and notices.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn unmarked(text: &str) -> String {
    text.chars().filter(|c| !is_mark(*c)).collect()
}

/// What stands before a message: `31/12/2020, 21:41 - ` on Android and
/// `[31/12/2020, 21:41:05] ` on iOS, with the date in the order of the country.
fn head() -> &'static Regex {
    static HEAD: OnceLock<Regex> = OnceLock::new();
    HEAD.get_or_init(|| {
        let date = r"\d{1,4}[./-]\s?\d{1,2}[./-]\s?\d{1,4}\.?";
        // `à`, `at` or `um` may be between, and AM, `p. m.` or its like after.
        let time = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[\s\u{a0}\u{202f}][^\d\]\-:]{1,12})?";
        let between = r"[,،]?[\s\u{a0}\u{202f}]+(?:[^\W\d]{1,3}\s)?";
        pattern(&format!(r"^(?:\[{date}{between}{time}\]\s|{date}{between}{time}\s[-–]\s)"))
    })
}

/// A line without the marks before it, and the length of what is before the
/// message, when it begins one.
fn begins(line: &str) -> Option<(&str, usize)> {
    let line = line.trim_start_matches(is_mark);
    head().find(line).map(|found| (line, found.end()))
}

/// Whether a text begins as an export of WhatsApp.
pub(crate) fn is_whatsapp(beginning: &str) -> bool {
    let lines: Vec<&str> = beginning.lines().filter(|line| !line.trim().is_empty()).take(LINES_SEEN).collect();
    let found = lines.iter().filter(|line| begins(line).is_some()).count();
    // A file may have one message, and a message many lines.
    lines.first().is_some_and(|line| begins(line).is_some()) && (found >= LINES_MIN || found == lines.len())
}

/// What is said in an export of WhatsApp.
pub(crate) fn whatsapp(file: &str) -> String {
    let mut chat = Chat::default();
    let mut message: Option<(String, String)> = None;
    for line in file.lines() {
        let Some((line, at)) = begins(line) else {
            if let Some((_, said)) = &mut message {
                said.push('\n');
                said.push_str(line);
            }
            continue;
        };
        if let Some((speaker, said)) = message.take() {
            whatsapp_message(&mut chat, &speaker, &said);
        }
        // Without a name it is a notice, such as who joined.
        if let Some((name, said)) = line[at..].split_once(": ").or_else(|| line[at..].split_once(":\u{200e} "))
            && name.chars().count() <= NAME_CHARACTERS_MAX
        {
            message = Some((unmarked(name).trim().trim_start_matches('~').trim().to_owned(), said.to_owned()));
        }
    }
    if let Some((speaker, said)) = message {
        whatsapp_message(&mut chat, &speaker, &said);
    }
    chat.out
}

/// Takes a message, without what the program has put in it.
fn whatsapp_message(chat: &mut Chat, speaker: &str, said: &str) {
    static LEFT_OUT: OnceLock<Regex> = OnceLock::new();
    static MENTION: OnceLock<Regex> = OnceLock::new();
    // iOS marks all notices; `<Media omitted>` is in the language of the telephone.
    if said.starts_with('\u{200e}') {
        return;
    }
    let left_out = LEFT_OUT.get_or_init(|| {
        pattern(&[
            r"(?i)^\s*<[^<>\n]{3,60}>\s*$",
            r"^\s*[^\s/]{1,80}\.(?:jpe?g|png|webp|gif|mp4|3gp|mov|opus|m4a|aac|mp3|ogg|amr|pdf|docx?|xlsx?|pptx?|vcf|zip|apk|txt)\s*\([^()\n]{3,40}\)\s*$",
            r"^\s*\S{1,20}:\s+https://maps\.google\.com/\S*\s*$",
            &format!("^(?:{})[.\u{200e}]*$", NOTICES.join("|")),
        ].join("|"))
    });
    // What was added at the end, such as `<This message was edited>`.
    let said = match said.rfind("\u{200e}<").or_else(|| said.rfind(" <")) {
        Some(at) if said.ends_with('>') && at > 0 && said[at..].chars().count() <= 60 => &said[..at],
        _ => said,
    };
    // Notes for each file that was sent, before what was said of it.
    let lines: Vec<&str> = said.lines().filter(|line| !left_out.is_match(line.trim_matches(is_mark))).collect();
    let said = lines.join("\n");
    if said.trim().is_empty() {
        return;
    }
    // Whoever speaks comes before whom they name.
    chat.number(speaker);
    let mention = MENTION.get_or_init(|| pattern("@\u{2068}~?\u{a0}?([^\u{2068}\u{2069}\n]{1,60})\u{2069}"));
    let said = mention.replace_all(&said, |found: &regex::Captures<'_>| format!("@{}", chat.number(found[1].trim())));
    chat.say(speaker, &unmarked(&said));
}

/// What WhatsApp writes in the place of a message, in some languages; iOS marks
/// these, Android does not.
const NOTICES: [&str; 20] = [
    "This message was deleted",
    "You deleted this message",
    "Missed voice call",
    "Missed video call",
    "Waiting for this message",
    "null",
    "Ce message a été supprimé",
    "Vous avez supprimé ce message",
    "Appel vocal manqué",
    "Appel vidéo manqué",
    "Esta mensagem foi apagada",
    "Mensagem apagada",
    "Se eliminó este mensaje",
    "Eliminaste este mensaje",
    "Diese Nachricht wurde gelöscht",
    "Ujumbe huu umefutwa",
    "Ulifuta ujumbe huu",
    "تم حذف هذه الرسالة",
    "यह मैसेज डिलीट किया गया",
    "此消息已删除",
];

/// Whether a text begins as the `result.json` of Telegram.
pub(crate) fn is_telegram(beginning: &str) -> bool {
    let compact: String = beginning.chars().filter(|c| !c.is_whitespace()).collect();
    let messages = compact.contains("\"messages\":[") || compact.contains("\"chats\":{");
    compact.starts_with('{') && messages && (compact.contains("\"from_id\":") || compact.contains("\"actor_id\":"))
}

#[derive(Deserialize)]
struct Export {
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    chats: Chats,
    #[serde(default)]
    left_chats: Chats,
}

#[derive(Default, Deserialize)]
struct Chats {
    #[serde(default)]
    list: Vec<OneChat>,
}

#[derive(Deserialize)]
struct OneChat {
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    r#type: String,
    from: Option<String>,
    from_id: Option<Id>,
    #[serde(default)]
    text: Text,
}

/// Older exports have numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Name(String),
    Number(i64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Parts(Vec<Part>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Plain(String),
    Marked { r#type: String, text: String },
}

/// What is said in a `result.json` of Telegram, chat after chat.
///
/// # Errors
/// `Damaged` when it is none.
pub(crate) fn telegram(file: &str) -> Result<String, Refusal> {
    let export: Export = serde_json::from_str(file.trim_start_matches('\u{feff}')).map_err(|error| {
        let cause = error.to_string();
        // It may quote the file.
        (Reason::Damaged, cause.chars().take(120).collect::<String>())
    })?;
    let others = export.chats.list.into_iter().chain(export.left_chats.list).map(|chat| chat.messages);
    let chats: Vec<String> =
        std::iter::once(export.messages).chain(others).map(|messages| telegram_chat(&messages)).collect();
    Ok(chats.into_iter().filter(|chat| !chat.is_empty()).collect::<Vec<_>>().join("\n\n"))
}

fn telegram_chat(messages: &[Message]) -> String {
    let mut chat = Chat::default();
    for message in messages.iter().filter(|message| message.r#type == "message") {
        let speaker = match (&message.from_id, &message.from) {
            (Some(Id::Name(id)), _) => id.clone(),
            (Some(Id::Number(id)), _) => id.to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => String::new(),
        };
        // Whoever speaks comes before whom they name.
        if !matches!(&message.text, Text::Plain(text) if text.is_empty()) {
            chat.number(&speaker);
        }
        let said = match &message.text {
            Text::Plain(text) => text.clone(),
            Text::Parts(parts) => parts.iter().map(|part| telegram_part(&mut chat, part)).collect(),
        };
        chat.say(&speaker, &said);
    }
    chat.out
}

/// A part of a message; people who are named by a link are numbers.
fn telegram_part(chat: &mut Chat, part: &Part) -> String {
    match part {
        Part::Plain(text) => text.clone(),
        Part::Marked { r#type, text } => match r#type.as_str() {
            "mention" | "mention_name" => format!("@{}", chat.number(text)),
            "phone" => "<phone>".to_owned(),
            "email" => "<email>".to_owned(),
            "bot_command" | "custom_emoji" => String::new(),
            _ => text.clone(),
        },
    }
}

/// Whether a page is an export of Telegram.
pub(crate) fn is_telegram_page(beginning: &str) -> bool {
    beginning.contains("class=\"history\"") && beginning.contains("class=\"message ")
}

/// What is said in a page of an export of Telegram.
pub(crate) fn telegram_page(page: &str) -> String {
    let document = dom_query::Document::from(page);
    let mut chat = Chat::default();
    let mut speaker = String::new();
    for message in document.select("div.history > div.message.default").iter() {
        let body = message.select_single("div.body");
        // Without a name, whoever spoke before goes on.
        let name =
            body.children().iter().find(|child| child.has_class("from_name")).map(|name| name.text().trim().to_owned());
        if let Some(name) = name {
            speaker = name;
        }
        for mention in message.select("div.text a[onclick^=\"return ShowMentionName\"]").iter() {
            let number = chat.number(&mention.text());
            mention.set_html(format!("@{number}"));
        }
        let said: Vec<String> =
            message.select("div.text").iter().map(|text| text.formatted_text().to_string()).collect();
        chat.say(&speaker, &said.join("\n"));
    }
    chat.out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatsapp_of_android_and_ios_in_many_countries_is_read() {
        let heads = [
            "12/31/20, 9:41 PM - ",
            "31/12/2020, 21:41 - ",
            "31.12.20, 21:41 - ",
            "2020-12-31, 21:41 - ",
            "31/12/2020 21:41 - ",
            "31/12/2020 à 21:41 - ",
            "12/31/20, 9:41\u{202f}PM - ",
            "31/12/20, 9:41 p. m. - ",
            "٣١/١٢/٢٠٢٠، ٢١:٤١ - ",
            "31-12-2020 21.41 - ",
            "[31/12/2020, 21:41:05] ",
            "[12/31/20, 9:41:05 PM] ",
            "\u{200e}[31.12.20, 21:41:05] ",
            "[2020/12/31 21:41:05] ",
            "[31/12/20, 9:41:05\u{202f}PM] ",
        ];
        for head in heads {
            let file = format!(
                "{head}Messages are end-to-end encrypted.\n{head}Juma Ali: Habari: za leo?\n{head}Asha: Nzuri,\nasante.\n\
                {head}Asha: Karibu @\u{2068}Juma Ali\u{2069} na @\u{2068}Zawadi\u{2069}\n{head}Juma Ali: <Media omitted>\n{head}Asha: \u{200e}image omitted\n\
                {head}\u{202a}+255 712 345 678\u{202c}: Mimi ni mgeni \u{200e}<This message was edited>\n{head}Asha: This message was deleted\n\
                {head}Juma Ali: IMG-20201231-WA0001.jpg (file attached)\nPicha ya shamba\n"
            );
            assert!(is_whatsapp(&file), "{head}");
            assert_eq!(
                whatsapp(&file),
                "1: Habari: za leo?\n2: Nzuri,\nasante.\nKaribu @1 na @3\n4: Mimi ni mgeni\n1: Picha ya shamba",
                "{head}"
            );
        }
        assert!(is_whatsapp("31/12/2020, 21:41 - Juma: Habari\n"));
        for text in ["", "Mahindi\n31/12/2020, 21:41 - Juma: Habari", "31/12/2020: Habari\nza leo\n", "1/2/3 4 - 5"] {
            assert!(!is_whatsapp(text), "{text}");
        }
    }

    const TELEGRAM: &str = r#"{ "name": "Kijiji", "type": "private_group", "id": 1, "messages": [
        { "id": 1, "type": "service", "actor_id": "user1", "action": "create_group", "text": "" },
        { "id": 2, "type": "message", "date": "2020", "from": "Juma", "from_id": "user1", "text": "Habari za leo?" },
        { "id": 3, "type": "message", "from": "Asha", "from_id": "user2", "photo": "a.jpg", "text": ["Nzuri ", { "type": "mention", "text": "@juma" }, ", piga ", { "type": "phone", "text": "0712345678" }] },
        { "id": 4, "type": "message", "from": null, "from_id": 7, "text": "" },
        { "id": 5, "type": "message", "from": "Juma", "from_id": "user1", "text": "Asante" } ] }"#;

    #[test]
    fn telegram_is_read() {
        assert!(is_telegram(TELEGRAM));
        assert_eq!(telegram(TELEGRAM).unwrap(), "1: Habari za leo?\n2: Nzuri @3, piga <phone>\n1: Asante");
        let account = format!("{{\"about\": \"\", \"chats\": {{\"list\": [{TELEGRAM}, {TELEGRAM}]}}}}");
        assert!(is_telegram(&account));
        assert_eq!(telegram(&account).unwrap().matches("1: Habari").count(), 2);
        assert_eq!(telegram(&TELEGRAM[..200]).unwrap_err().0, Reason::Damaged);
        assert_eq!(telegram(&"[".repeat(100_000)).unwrap_err().0, Reason::Damaged);
        assert!(!is_telegram("{\"messages\": [{\"role\": \"user\"}]}"));
    }

    #[test]
    fn pages_of_telegram_are_read() {
        let page = r#"<!DOCTYPE html><html><body><div class="page_wrap"><div class="page_body chat_page"><div class="history">
            <div class="message service" id="message-1"><div class="body details">1 January 2020</div></div>
            <div class="message default clearfix" id="message2"><div class="pull_left"></div><div class="body">
            <div class="pull_right date details">10:00</div><div class="from_name">Juma</div><div class="text">Habari za leo?<br>Mvua imenyesha.</div></div></div>
            <div class="message default clearfix joined" id="message3"><div class="body"><div class="date">10:01</div><div class="text">Karibu</div></div></div>
            <div class="message default clearfix" id="message4"><div class="body"><div class="from_name">Asha</div>
            <div class="forwarded body"><div class="from_name">Zawadi <span>2019</span></div><div class="text">Asante
            <a href="" onclick="return ShowMentionName()">Juma</a></div></div></div></div></div></div></div></body></html>"#;
        assert!(is_telegram_page(page));
        assert_eq!(telegram_page(page), "1: Habari za leo?\nMvua imenyesha.\nKaribu\n2: Asante @1");
    }
}
