//! The calls in an answer, read as it is written: what of it is words, and of
//! each call its name and then its arguments, as soon as that is certain.
//!
//! ```text
//! answer = words marked+ | list | bare+
//! marked = "<tool_call>" call "</tool_call>"?      words between them are dropped
//! list   = "[TOOL_CALLS]"? "[" call ("," call)* "]"
//! bare   = "<|python_tag|>"? call ";"?
//! call   = an object with "name" and "arguments", or "parameters"
//! ```
//!
//! A call is told once its name is that of a function and its arguments have
//! begun: before that, whatever turns out to be none is words. What breaks off
//! later was told in a stream; that the answer is no call after all shows in why
//! it ended.

use std::mem;

use crate::call::{Call, Reading};

/// What stands before a call, and after it.
const MARK: &str = "<tool_call>";
const MARK_END: &str = "</tool_call>";
/// What stands before a list of calls, and before a call by itself. They are
/// tokens of their own, which have no text in many models.
pub(crate) const LIST_MARK: &str = "[TOOL_CALLS]";
const BARE_MARK: &str = "<|python_tag|>";

/// What may be called.
pub(crate) trait Known {
    /// Whether there is a function of this name.
    fn has(&self, name: &str) -> bool;
    /// Calls of an answer at the most; more are left out.
    fn most(&self) -> usize;
}

/// What is known of an answer now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It says this.
    Words(String),
    /// It has a call of this number, counted from 0.
    Name(usize, String),
    /// The arguments of that call go on so.
    Arguments(usize, String),
}

/// Reads an answer.
#[derive(Default)]
pub(crate) struct Reader {
    text: String,
    /// How much of it was read, and how much was told.
    read: usize,
    told: usize,
    /// Where the words before the first call end.
    words: usize,
    at: At,
    calls: Vec<Call>,
    /// How much was told of the arguments of the call that is being read; nothing
    /// was where there is no number.
    arguments_told: Option<usize>,
}

/// Where in an answer the reader is.
#[derive(Default)]
enum At {
    /// Calls may begin without words.
    #[default]
    Start,
    Words,
    Between(Between),
    Call(Box<Reading>, Between),
    /// It is no call: the rest is words.
    Lost,
}

/// Between calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    /// After the mark of a call.
    Marked,
    /// After a marked call, and after its end.
    MarkedOver,
    Dropped,
    /// Before a list, before a call in it, after one, after the list.
    List,
    ListCall,
    ListOver,
    Over,
    /// Before and after a call by itself.
    Bare,
}

impl Reader {
    /// What is known more now that `piece` was added.
    pub(crate) fn push(&mut self, piece: &str, known: &impl Known) -> Vec<Told> {
        self.text += piece;
        let mut told = Vec::new();
        while self.step(known, &mut told) {}
        told
    }

    /// At the end: the words that were not told yet, and the calls; none where
    /// the answer is no call after all.
    pub(crate) fn finish(self) -> (String, Option<Vec<Call>>) {
        let is_over = match self.at {
            At::Between(Between::MarkedOver | Between::Bare | Between::Over) => {
                self.text[self.read..].trim().is_empty()
            }
            At::Between(Between::Dropped) => true,
            _ => false,
        };
        if is_over && !self.calls.is_empty() {
            return (String::new(), Some(self.calls));
        }
        (self.text[self.told..].to_owned(), None)
    }

    /// The words before the calls, and the calls, of a whole answer; `None` for one
    /// that is none but words.
    pub(crate) fn whole(text: &str, known: &impl Known) -> Option<(String, Vec<Call>)> {
        let mut reader = Self::default();
        reader.push(text.trim(), known);
        let said = reader.text[..reader.words].trim_end().to_owned();
        reader.finish().1.map(|calls| (said, calls))
    }

    /// Goes on as far as one thing leads. False when more is needed.
    fn step(&mut self, known: &impl Known, told: &mut Vec<Told>) -> bool {
        match &mut self.at {
            At::Start => self.begin(),
            At::Words => self.words(told),
            At::Between(between) => {
                let between = *between;
                self.between(between, known)
            }
            At::Call(..) => self.call(known, told),
            At::Lost => {
                self.tell_words(self.text.len(), told);
                false
            }
        }
    }

    /// Whether calls begin here without words.
    fn begin(&mut self) -> bool {
        let begins = self.text.trim_start();
        let at = self.text.len() - begins.len();
        let is_part = |mark: &str| mark.len() > begins.len() && mark.starts_with(begins);
        if is_part(LIST_MARK) || is_part(BARE_MARK) {
            return false;
        }
        let (between, marked) = if begins.starts_with(LIST_MARK) {
            (Between::List, LIST_MARK.len())
        } else if begins.starts_with(BARE_MARK) {
            (Between::Bare, BARE_MARK.len())
        } else if begins.starts_with('[') {
            (Between::List, 0)
        } else if begins.starts_with('{') {
            (Between::Bare, 0)
        } else {
            self.at = At::Words;
            return true;
        };
        (self.read, self.at) = (at + marked, At::Between(between));
        true
    }

    /// Tells the words before a marked call.
    fn words(&mut self, told: &mut Vec<Told>) -> bool {
        let rest = &self.text[self.told..];
        if let Some(at) = rest.find(MARK) {
            self.words = self.told + at;
            self.tell_words(self.words, told);
            (self.read, self.at) = (self.words + MARK.len(), At::Between(Between::Marked));
            return true;
        }
        let may_begin = |at: &usize| rest.is_char_boundary(*at) && MARK.starts_with(&rest[*at..]);
        let from = rest.len().saturating_sub(MARK.len());
        let end = (from..rest.len()).find(may_begin).unwrap_or(rest.len());
        self.tell_words(self.told + end, told);
        false
    }

    fn tell_words(&mut self, end: usize, told: &mut Vec<Told>) {
        if end > self.told {
            told.push(Told::Words(self.text[self.told..end].to_owned()));
            self.told = end;
        }
    }

    /// Goes on to the next call.
    fn between(&mut self, between: Between, known: &impl Known) -> bool {
        let rest = &self.text[self.read..];
        if between == Between::Dropped {
            let Some(at) = rest.find(MARK) else {
                self.read = self.text.floor_char_boundary(self.text.len().saturating_sub(MARK.len())).max(self.read);
                return false;
            };
            (self.read, self.at) = (self.read + at + MARK.len(), At::Between(Between::Marked));
            return true;
        }
        let is_space = |c: char| c.is_whitespace() || (c == ';' && between == Between::Bare && !self.calls.is_empty());
        let next = rest.trim_start_matches(is_space);
        self.read = self.text.len() - next.len();
        if next.is_empty() {
            return false;
        }
        let call = |after| (1, At::Call(Box::new(Reading::new(self.calls.len() >= known.most())), after));
        let over = |mark: &str, after| (mark.len(), At::Between(after));
        let is_part = |mark: &str| mark.len() > next.len() && mark.starts_with(next);
        let (read, at) = match (between, next.as_bytes()[0]) {
            (Between::Marked, b'{') => call(Between::MarkedOver),
            (Between::Bare, b'{') => call(Between::Bare),
            (Between::ListCall, b'{') => call(Between::ListOver),
            (Between::List, b'[') => over("[", Between::ListCall),
            (Between::ListOver, b',') => over(",", Between::ListCall),
            (Between::ListOver, b']') => over("]", Between::Over),
            (Between::MarkedOver, _) if next.starts_with(MARK) => over(MARK, Between::Marked),
            (Between::MarkedOver, _) if next.starts_with(MARK_END) => over(MARK_END, Between::Dropped),
            (Between::MarkedOver, _) if is_part(MARK) || is_part(MARK_END) => return false,
            _ => (0, self.lost(matches!(between, Between::Marked | Between::MarkedOver))),
        };
        (self.read, self.at) = (self.read + read, at);
        true
    }

    /// Goes on with a call.
    fn call(&mut self, known: &impl Known, told: &mut Vec<Told>) -> bool {
        let At::Call(mut reading, after) = mem::take(&mut self.at) else { return true };
        let mut step = Some(false);
        for c in self.text[self.read..].chars() {
            step = reading.push(c);
            if step.is_none() {
                break;
            }
            self.read += c.len_utf8();
            if step == Some(true) {
                break;
            }
        }
        let is_known = reading.is_left_out || reading.name.as_ref().is_none_or(|name| known.has(name));
        let call = match step.filter(|_| is_known) {
            Some(false) => {
                if let Some(name) = reading.name.as_ref().filter(|_| !reading.arguments().is_empty()) {
                    self.tell(name, reading.arguments(), told);
                }
                self.at = At::Call(reading, after);
                return false;
            }
            Some(true) => reading.whole(),
            None => None,
        };
        self.at = match call {
            None => self.lost(after == Between::MarkedOver),
            Some(call) => {
                if let Some(call) = call {
                    self.tell(&call.name, &call.arguments, told);
                    self.arguments_told = None;
                    self.calls.push(call);
                }
                At::Between(after)
            }
        };
        true
    }

    /// Tells what was not told yet of the call that is being read.
    fn tell(&mut self, name: &str, arguments: &str, told: &mut Vec<Told>) {
        let number = self.calls.len();
        if self.arguments_told.is_none() {
            told.push(Told::Name(number, name.to_owned()));
        }
        let before = self.arguments_told.replace(arguments.len()).unwrap_or(0);
        if arguments.len() > before {
            told.push(Told::Arguments(number, arguments[before..].to_owned()));
        }
        self.told = self.read;
    }

    /// Where to go on when it is no call: there may be marked ones behind words
    /// that began like others.
    fn lost(&self, is_marked: bool) -> At {
        if is_marked || self.told > 0 { At::Lost } else { At::Words }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct Two(usize);

    impl Known for Two {
        fn has(&self, name: &str) -> bool {
            ["weather", "time"].contains(&name)
        }

        fn most(&self) -> usize {
            self.0
        }
    }

    /// What is told of `pieces`, put together: words, calls, and whether they are
    /// calls at the end.
    fn told(pieces: &[&str], most: usize) -> (String, Vec<(String, String)>, bool) {
        let (mut reader, mut words, mut calls) = (Reader::default(), String::new(), Vec::<(String, String)>::new());
        for piece in pieces {
            for told in reader.push(piece, &Two(most)) {
                match told {
                    Told::Words(more) => words += &more,
                    Told::Name(number, name) => {
                        assert_eq!(number, calls.len(), "{pieces:?}");
                        calls.push((name, String::new()));
                    }
                    Told::Arguments(number, more) => {
                        assert!(number + 1 == calls.len() && !more.is_empty(), "{pieces:?}");
                        calls[number].1 += &more;
                    }
                }
            }
        }
        let (rest, whole) = reader.finish();
        words += &rest;
        if let Some(whole) = &whole {
            let whole: Vec<_> = whole.iter().map(|call| (call.name.clone(), call.arguments.clone())).collect();
            assert_eq!(calls, whole, "{pieces:?}");
        }
        (words, calls, whole.is_some())
    }

    /// A call as a model may write it, and its arguments as `serde_json` does.
    const WEATHER: &str =
        r#"{"name": "weather", "arguments": {"town": "Moshi \"A\" \u00e9\ud83c\udf3d", "days": [1, 2.50]}}"#;

    fn arguments() -> String {
        let read: Value = serde_json::from_str(WEATHER).unwrap();
        read["arguments"].to_string()
    }

    #[test]
    fn calls_are_told_as_they_come_however_they_are_cut() {
        let said = arguments();
        let weather = || ("weather".to_owned(), said.clone());
        let time = || ("time".to_owned(), "{}".to_owned());
        let bare = WEATHER.replace("arguments", "parameters");
        let quoted = json!({ "name": "weather", "arguments": said }).to_string();
        let late = format!(r#"{{"arguments": {said}, "name": "weather", "id": [{{}}]}}"#);
        let short = r#"{"name": "time"}"#;
        for (text, words, calls) in [
            (format!("<tool_call>\n{WEATHER}\n</tool_call>"), "", vec![weather()]),
            (format!("  <tool_call>{WEATHER}"), "  ", vec![weather()]),
            (
                format!("I see. <tool_call>{WEATHER}</tool_call> and <tool_call>{short}</tool_call>\n"),
                "I see. ",
                vec![weather(), time()],
            ),
            (format!("<tool_call>{quoted}<tool_call>{late}"), "", vec![weather(), weather()]),
            (bare.clone(), "", vec![weather()]),
            (format!(r#"<|python_tag|>{bare}; {{"name": "time", "parameters": {{ }}}}"#), "", vec![weather(), time()]),
            (format!("[TOOL_CALLS] [{WEATHER} , {late}]\n"), "", vec![weather(), weather()]),
            (format!(" [{short},{quoted}]"), "", vec![time(), weather()]),
        ] {
            let expected = (words.to_owned(), calls, true);
            for (at, _) in text.char_indices() {
                assert_eq!(told(&[&text[..at], &text[at..]], 9), expected, "{at} of {text}");
            }
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(told(&letters, 9), expected, "{text}");
            let (said, whole) = Reader::whole(&text, &Two(9)).unwrap();
            assert_eq!((said.as_str(), whole.len()), (words.trim(), expected.1.len()));
        }
    }

    #[test]
    fn the_name_comes_first_and_the_arguments_while_they_are_written() {
        let mut reader = Reader::default();
        let arguments = |text: &str| Told::Arguments(0, text.to_owned());
        for (piece, told) in [
            (r#"<tool_call>{"name": "weather""#, vec![]),
            (r#", "arguments": "#, vec![]),
            ("{", vec![Told::Name(0, "weather".to_owned()), arguments("{")]),
            (r#" "town" : "Mo"#, vec![arguments(r#""town":"Mo"#)]),
            (r"\u00", vec![]),
            (r#"e9", "days": 1"#, vec![arguments(r#"é","days":"#)]),
            ("2", vec![]),
            ("}", vec![arguments("12}")]),
            ("}", vec![]),
            ("</tool_call>", vec![]),
        ] {
            assert_eq!(reader.push(piece, &Two(9)), told, "{piece}");
        }
    }

    #[test]
    fn what_is_no_call_is_words_and_what_was_told_of_one_is_no_whole_call() {
        for text in [
            "",
            "  ",
            "Moshi is warm.",
            "Moshi <b> is <tool good",
            r#"{"a": 1}"#,
            r#"{"name": "shutdown", "parameters": {}}"#,
            r#"{"name": "weather", "parameters": [1]}"#,
            r#"{"name": "weather", "parameters": "x"}"#,
            r#"{"name": "weather""#,
            "[1, 2]",
            "[]",
            "[TOOL_CALLS]",
            r#"[TOOL_CALLS]{"name": "time"}"#,
            "<tool_call>",
            "<tool_call>weather</tool_call>",
            r#"<tool_call>{"name": 5}"#,
            r#"{"name": {"a": "time"}}"#,
        ] {
            for at in text.char_indices().map(|(at, _)| at).chain([text.len()]) {
                assert_eq!(told(&[&text[..at], &text[at..]], 9), (text.to_owned(), vec![], false), "{text}");
            }
            assert_eq!(Reader::whole(text, &Two(9)), None, "{text}");
        }
        // It is too late to say nothing of these.
        for (text, words) in [
            (r#"{"name": "time", "parameters": {}} is how"#, " is how"),
            (r#"<tool_call>{"name": "time", "arguments": {}"#, ""),
            (r#"<tool_call>{"name": "time", "arguments": {} 5}"#, r#"{"name": "time", "arguments": {} 5}"#),
            (r#"<tool_call>{"name": "time"}</tool_call><tool_call>x"#, "</tool_call><tool_call>x"),
        ] {
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            let (said, calls, whole) = told(&letters, 9);
            assert!(words.ends_with(&said), "{text}: {said}");
            assert_eq!((calls.len(), whole), (1, false), "{text}");
            assert_eq!(Reader::whole(text, &Two(9)), None, "{text}");
        }
        let mark_in_a_call = r#"{"name": "weather", "arguments": {"town": "<tool_call></tool_call>"}}"#;
        for text in [mark_in_a_call, &format!("<tool_call>{mark_in_a_call}</tool_call>")] {
            assert!(told(&[text], 9).2, "{text}");
        }
        assert_eq!(told(&[r#"{"a": 1} <tool_call>{"name": "time"}"#], 9).0, r#"{"a": 1} "#);
    }

    #[test]
    fn words_are_told_at_once_but_what_may_be_a_mark() {
        let mut reader = Reader::default();
        let words = ["Mo", "shi <", "b> is <tool", " good"].map(|piece| match &reader.push(piece, &Two(9))[..] {
            [Told::Words(words)] => words.clone(),
            told => panic!("{told:?}"),
        });
        assert_eq!(words, ["Mo", "shi ", "<b> is ", "<tool good"]);
    }

    #[test]
    fn calls_beyond_the_most_are_left_out() {
        let (time, other) = (r#"{"name": "time"}"#, r#"{"name": "shutdown", "arguments": 5}"#);
        for text in
            [format!("{time};{other}"), format!("[{time},{other}]"), format!("<tool_call>{time}<tool_call>{other}")]
        {
            let one = ("time".to_owned(), "{}".to_owned());
            assert_eq!(told(&[&text], 1), (String::new(), vec![one], true), "{text}");
            assert!(!told(&[&text], 2).2);
        }
    }
}
