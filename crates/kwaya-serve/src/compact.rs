//! The text of JSON without what stands between its parts, made as the text
//! comes: every piece of it is the beginning of what the whole will be.
//!
//! It is what `serde_json` makes of a value, but that a name which an object has
//! twice stays there twice.

use std::mem;

use serde_json::Value;

/// Characters of an escape: of most, of one by number, and of a pair of those.
const ESCAPE: usize = 2;
const NUMBER: usize = 6;
const PAIR: usize = 12;

/// The characters of a string in JSON, after its first quote.
#[derive(Default)]
pub(crate) struct Letters {
    /// An escape that is not whole.
    escape: String,
}

/// What a character of a string comes to.
pub(crate) enum Letter {
    /// What it stands for.
    Known(String),
    /// More is needed to know it.
    Pending,
    /// The string is over.
    End,
}

impl Letters {
    /// Takes a character; `None` where JSON has none like it.
    pub(crate) fn push(&mut self, c: char) -> Option<Letter> {
        if self.escape.is_empty() {
            return match c {
                '"' => Some(Letter::End),
                '\\' => {
                    self.escape.push(c);
                    Some(Letter::Pending)
                }
                ..' ' => None,
                _ => Some(Letter::Known(c.to_string())),
            };
        }
        self.escape.push(c);
        // An escape is of ASCII; what is not is refused when it is read.
        let length = self.escape.chars().count();
        let is_number = self.escape.as_bytes()[1] == b'u';
        let needed = match (is_number, length) {
            (false, _) => ESCAPE,
            (true, NUMBER..) if self.is_first_of_pair()? => PAIR,
            (true, _) => NUMBER,
        };
        if length < needed {
            return Some(Letter::Pending);
        }
        let escape = mem::take(&mut self.escape);
        serde_json::from_str(&format!("\"{escape}\"")).ok().map(Letter::Known)
    }

    /// Whether a character of two numbers begins with this one.
    fn is_first_of_pair(&self) -> Option<bool> {
        let digits = self.escape.get(2..NUMBER)?;
        let number = u32::from_str_radix(digits, 16).ok()?;
        Some((0xd800..0xdc00).contains(&number))
    }
}

/// An object that is being written.
#[derive(Default)]
pub(crate) struct Compact {
    /// As it comes.
    raw: String,
    /// What is certain of it.
    text: String,
    /// A number or a name whose end is not known.
    rest: String,
    letters: Option<Letters>,
    depth: usize,
}

impl Compact {
    /// What is certain by now.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Takes a character; `None` where no object goes on with it. Some objects that
    /// are none are seen by [`Self::whole`] alone.
    pub(crate) fn push(&mut self, c: char) -> Option<()> {
        self.raw.push(c);
        if let Some(letters) = &mut self.letters {
            match letters.push(c)? {
                Letter::Pending => {}
                Letter::Known(known) => {
                    let quoted = Value::from(known).to_string();
                    self.text += &quoted[1..quoted.len() - 1];
                }
                Letter::End => {
                    self.letters = None;
                    self.text.push(c);
                }
            }
            return Some(());
        }
        let is_space = matches!(c, ' ' | '\t' | '\n' | '\r');
        if self.depth == 0 {
            // Before the object, and after it.
            let begins = c == '{' && self.text.is_empty();
            if begins {
                self.depth = 1;
                self.text.push(c);
            }
            return (begins || is_space).then_some(());
        }
        let is_mark = matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | '"');
        if !is_space && !is_mark {
            self.rest.push(c);
            return Some(());
        }
        if !self.rest.is_empty() {
            let known: Value = serde_json::from_str(&mem::take(&mut self.rest)).ok()?;
            self.text += &known.to_string();
        }
        match c {
            '"' => self.letters = Some(Letters::default()),
            '{' | '[' => self.depth += 1,
            '}' | ']' => self.depth -= 1,
            _ => {}
        }
        if is_mark {
            self.text.push(c);
        }
        Some(())
    }

    /// Whether its last bracket has come.
    pub(crate) fn is_over(&self) -> bool {
        self.depth == 0 && !self.text.is_empty()
    }

    /// The text of the object, if it is whole and one.
    pub(crate) fn whole(self) -> Option<String> {
        (self.is_over() && serde_json::from_str::<Value>(&self.raw).is_ok()).then_some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn compact(text: &str) -> Option<String> {
        let mut compact = Compact::default();
        for c in text.chars() {
            let before = compact.text().len();
            compact.push(c)?;
            assert!(compact.text().is_char_boundary(before), "{text}");
        }
        compact.whole()
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
            "[\u{0}-\u{20}\"\\\\/\u{1f33d}é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\é\u{7}]{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_serde_makes_of_the_value(value in prop::collection::btree_map("[a-z]{1,3}", value(), 0..4)) {
            let value = Value::Object(value.into_iter().collect());
            let plain = value.to_string();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            // All that can be escaped, escaped.
            let mut escaped = String::new();
            let mut inside = false;
            let mut last = ' ';
            for c in plain.chars() {
                let is_quote = c == '"' && last != '\\';
                inside ^= is_quote;
                // Digits may be those of an escape.
                let plain_letter = inside && !is_quote && ![c, last].contains(&'\\') && !c.is_ascii_hexdigit();
                if plain_letter {
                    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped += &format!("\\u{unit:04X}"));
                } else {
                    escaped.push(c);
                }
                last = if last == '\\' { ' ' } else { c };
            }
            for text in [plain, format!(" \n{pretty}\t"), escaped] {
                let read: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(compact(&text), Some(read.to_string()));
            }
        }

        #[test]
        fn what_is_no_object_is_none(text in "[{}\\[\\]\":,a1 \\\\u-]{0,12}") {
            let is_object = serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object());
            prop_assert_eq!(compact(&text).is_some(), is_object, "{}", text);
        }
    }

    #[test]
    fn odd_objects_are_kept_or_refused_as_serde_does() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":"\ud83c\udf3d \/ \u00e9 \b\u0008"}"#,
            r#"{"a":-0,"b":1E5,"c":10000000000000000000000,"d":1.0}"#,
        ] {
            let read: Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&compact(text).unwrap()).unwrap(), read);
        }
        let odd = r#"{"a":"\ud83c\udf3d \/ \u00e9 \b\u0008","b":1E5,"c":[1.50]}"#;
        assert_eq!(compact(odd), Some(serde_json::from_str::<Value>(odd).unwrap().to_string()));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for text in [
            r#"{"a":"\ud83c"}"#,
            r#"{"a":"\ud83cx"}"#,
            r#"{"a":"\ud83c\u0041"}"#,
            r#"{"a":"\udf3d"}"#,
            r#"{"a":"\u00é9"}"#,
            r#"{"a":"\x"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":1e999}"#,
            r#"{"a":Moshi}"#,
            r#"{"a":1 2}"#,
            "{} {}",
            "[1]",
            "",
            &deep,
        ] {
            assert_eq!(compact(text), None, "{text}");
        }
        assert_eq!(compact(r#"{"a":{"b":[]}}"#), Some(json!({ "a": { "b": [] } }).to_string()));
    }
}
