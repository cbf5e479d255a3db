//! Where a value stands in a text: word for word, else after NFKC and without
//! regard to case, blanks and the kind of digits; numbers and dates also in other
//! writings.

use std::{cell::OnceCell, ops::Range};

use kwaya_text::units::digit;
use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

use super::writings::{self, Group};

/// A shorter value is found as a word of its own alone; a longer one also as a
/// part of a word, for languages that join words or do not part them.
const PART_CHARS_MIN: usize = 4;

/// A text to find values in.
pub(super) struct Searched<'t> {
    text: &'t str,
    folded: OnceCell<Folded>,
    groups: OnceCell<Vec<Group>>,
}

/// A text without what does not tell its words apart.
struct Folded {
    text: String,
    /// For each byte of it, where its character is in the text.
    places: Vec<(u32, u32)>,
}

impl<'t> Searched<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, folded: OnceCell::new(), groups: OnceCell::new() }
    }

    /// The first place of a string or a number.
    pub(super) fn find(&self, value: &Value) -> Option<Range<usize>> {
        match value {
            Value::String(value) => self.string(value.trim()),
            Value::Number(number) => {
                let groups = self.groups.get_or_init(|| writings::groups(self.text));
                writings::number(self.text, groups, number)
            }
            _ => None,
        }
    }

    fn string(&self, value: &str) -> Option<Range<usize>> {
        if value.is_empty() {
            return None;
        }
        let folded = self.folded.get_or_init(|| Folded::of(self.text));
        let wanted = fold(value);
        let long = wanted.chars().count() >= PART_CHARS_MIN;
        let whole = |text: &str, value: &str| places(text, value).find(|place| stands_alone(text, place));
        let part = |text: &str, value: &str| places(text, value).next().filter(|_| long);
        whole(self.text, value)
            .or_else(|| whole(&folded.text, &wanted).map(|place| folded.place(place)))
            .or_else(|| part(self.text, value))
            .or_else(|| part(&folded.text, &wanted).map(|place| folded.place(place)))
            .or_else(|| {
                let groups = self.groups.get_or_init(|| writings::groups(self.text));
                writings::date(self.text, groups, value)
            })
    }
}

/// All places of `value`.
fn places(text: &str, value: &str) -> impl Iterator<Item = Range<usize>> {
    let count = if value.is_empty() { 0 } else { usize::MAX };
    text.match_indices(value).take(count).map(|(at, found)| at..at + found.len())
}

/// Whether no letter or digit goes on beyond the place.
fn stands_alone(text: &str, place: &Range<usize>) -> bool {
    let joins = |inside: Option<char>, outside: Option<char>| {
        let [inside, outside] = [inside, outside].map(|c| c.is_some_and(char::is_alphanumeric));
        inside && outside
    };
    let found = &text[place.clone()];
    !joins(found.chars().next(), text[..place.start].chars().next_back())
        && !joins(found.chars().next_back(), text[place.end..].chars().next())
}

impl Folded {
    fn of(text: &str) -> Self {
        let mut folded = Self { text: String::with_capacity(text.len()), places: Vec::with_capacity(text.len()) };
        let mut rest = text;
        while !rest.is_empty() {
            // A character and the marks upon it, which have an order of their own.
            let marks = rest.chars().skip(1).take_while(|mark| canonical_combining_class(*mark) != 0);
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let length = first + marks.map(char::len_utf8).sum::<usize>();
            let start = (text.len() - rest.len()) as u32;
            folded.add(&rest[..length], (start, start + length as u32));
            rest = &rest[length..];
        }
        folded
    }

    fn add(&mut self, cluster: &str, place: (u32, u32)) {
        for character in cluster.nfkd().flat_map(char::to_lowercase) {
            let character = match character {
                '\u{2018}' | '\u{2019}' | '\u{02bc}' => '\'',
                '\u{201c}' | '\u{201d}' => '"',
                '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
                '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{feff}' => continue,
                c if c.is_whitespace() => ' ',
                c => digit(c).map_or(c, |digit| char::from(b'0' + digit)),
            };
            if character == ' ' && (self.text.is_empty() || self.text.ends_with(' ')) {
                continue;
            }
            self.text.push(character);
            self.places.resize(self.text.len(), place);
        }
    }

    fn place(&self, place: Range<usize>) -> Range<usize> {
        self.places[place.start].0 as usize..self.places[place.end - 1].1 as usize
    }
}

/// A text as it is compared with others.
pub(super) fn fold(text: &str) -> String {
    let mut folded = Folded::of(text).text;
    folded.truncate(folded.trim_end().len());
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(text: &str, value: impl Into<Value>) -> Option<&str> {
        let value = value.into();
        Searched::new(text).find(&value).map(|place| &text[place])
    }

    #[test]
    fn strings_are_found_word_for_word_or_folded() {
        let text = "Mimi,  JUMA   Said wa Kijiji cha Ng’ombe. E\u{301}tienne; ﬁnal. Simu: ٠٧١٢ ٣٤٥. Nilifika Moshini.";
        for (value, found) in [
            ("JUMA", "JUMA"),
            (" Juma Said ", "JUMA   Said"),
            ("ng'ombe", "Ng’ombe"),
            ("étienne", "E\u{301}tienne"),
            ("FINAL", "ﬁnal"),
            ("0712 345", "٠٧١٢ ٣٤٥"),
            ("Moshi", "Moshi"),
        ] {
            assert_eq!(finds(text, value), Some(found), "{value}");
        }
        for value in ["", " ", "Jum", "ijij0", "Said\u{301}", "Asha", "Saidi"] {
            assert_eq!(finds(text, value), None, "{value}");
        }
        assert_eq!(finds("Banana, Ana", "Ana"), Some("Ana"));
        assert_eq!(Searched::new("Banana, Ana").find(&"Ana".into()), Some(8..11));
        assert_eq!(finds("", "a"), None);
        assert_eq!(finds("北京市的李明", "李明"), None);
        assert_eq!(finds("北京市,李明。", "李明"), Some("李明"));
        assert_eq!(fold("  A\u{a0}\n B "), "a b");
    }

    #[test]
    fn numbers_are_found_in_other_writings() {
        for (text, value, found) in [
            ("Sh. 12500 tu", 12_500.0, "12500"),
            ("Sh. 12,500 tu", 12_500.0, "12,500"),
            ("Sh. 12.500 tu", 12_500.0, "12.500"),
            ("Sh. 12 500 tu", 12_500.0, "12 500"),
            ("Sh. 12\u{202f}500,75 tu", 12_500.75, "12\u{202f}500,75"),
            ("1'234'567.5", 1_234_567.5, "1'234'567.5"),
            ("1.234.567,50", 1_234_567.5, "1.234.567,50"),
            ("1,23,456 rupees", 123_456.0, "1,23,456"),
            ("مبلغ ١٬٢٥٠ ريال", 1250.0, "١٬٢٥٠"),
            ("सन् १२५० में", 1250.0, "१२५०"),
            ("0,5 ha", 0.5, "0,5"),
            ("baridi -4 C", -4.0, "4"),
            ("deni (500)", -500.0, "500"),
            ("namba 007", 7.0, "007"),
            ("KSh500/=", 500.0, "500"),
            ("ukurasa 3, 500 kg", 500.0, "500"),
            ("2024-03-05", 2024.0, "2024"),
        ] {
            let value = serde_json::Number::from_f64(value).unwrap();
            assert_eq!(finds(text, Value::Number(value)), Some(found), "{text}");
        }
        for (text, value) in
            [("1,500", 1), ("1,500", 500), ("1500", 500), ("-4", 4), ("4", -4), ("12 5", 125), ("", 1), ("1.2.3", 123)]
        {
            assert_eq!(finds(text, value), None, "{value} in {text}");
        }
    }

    #[test]
    fn dates_are_found_as_people_write_them() {
        for text in [
            "2024-03-05",
            "5/3/2024",
            "05.03.24",
            "3/5/2024",
            "5 March 2024",
            "March 5th, 2024",
            "tarehe 5 Machi 2024",
            "le 5 mars 2024",
            "5 de março de 2024",
            "٥ مارس ٢٠٢٤",
        ] {
            assert!(finds(text, "2024-03-05").is_some(), "{text}");
        }
        for text in
            ["2024-03-06", "5 April 2024", "6 March 2024", "5 March 2023", "5 March", "15 March 2024", "05032024"]
        {
            assert_eq!(finds(text, "2024-03-05"), None, "{text}");
        }
        assert_eq!(finds("Leo, 5 Machi 2024, nimefika", "2024-03-05"), Some("5 Machi 2024"));
    }
}
