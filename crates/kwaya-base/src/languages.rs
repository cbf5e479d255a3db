//! The languages that pages for people can be read in: their words, their
//! plurals, how they write numbers, and which of them a reader wants.
//!
//! Each has a Fluent file in `messages/page/` with the same keys as the
//! English one. What the program says on a terminal is in `messages/en.ftl`.

use std::sync::OnceLock;

use fluent_bundle::{
    FluentArgs, FluentResource, FluentValue,
    concurrent::FluentBundle,
    types::{FluentNumber, FluentNumberOptions},
};

type Bundle = FluentBundle<FluentResource>;

/// A language that pages are written in.
pub struct Language {
    /// Its BCP 47 tag.
    pub tag: &'static str,
    /// What it calls itself.
    pub name: &'static str,
    /// Whether it is written from right to left.
    pub right_to_left: bool,
    words: &'static str,
    numbers: Numbers,
    /// Tells a bundle how numbers are written; a formatter carries nothing.
    tell: fn(&mut Bundle),
    bundle: OnceLock<Bundle>,
}

/// How numbers are written.
struct Numbers {
    /// Between thousands.
    group: &'static str,
    /// Before tenths.
    decimal: &'static str,
    /// Digits of a group beyond the first three: two in India.
    digits: usize,
}

macro_rules! languages {
    ($($at:literal $tag:literal $name:literal $right_to_left:literal $group:literal $decimal:literal $digits:literal),* $(,)?) => {
        [$(Language {
            tag: $tag,
            name: $name,
            right_to_left: $right_to_left,
            words: include_str!(concat!("../messages/page/", $tag, ".ftl")),
            numbers: Numbers { group: $group, decimal: $decimal, digits: $digits },
            tell: |bundle| bundle.set_formatter(Some(|value, _| LANGUAGES[$at].written(value))),
            bundle: OnceLock::new(),
        }),*]
    };
}

/// All of them; the first is for whoever reads none of them. Digits are those
/// of ASCII in all: that is how readers of each of these meet them on screens.
pub static LANGUAGES: [Language; 9] = languages![
    0 "en" "English" false "," "." 3,
    1 "sw" "Kiswahili" false "," "." 3,
    2 "fr" "Français" false "\u{202f}" "," 3,
    3 "es" "Español" false "\u{202f}" "," 3,
    4 "pt" "Português" false "." "," 3,
    5 "ar" "العربية" true "," "." 3,
    6 "hi" "हिन्दी" false "," "." 2,
    7 "ru" "Русский" false "\u{a0}" "," 3,
    8 "zh" "中文" false "," "." 3,
];

/// What is put into a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Letters.
    Text(String),
    /// A number, with so many digits after the point; plurals go by it.
    Number(f64, usize),
}

/// Languages that a browser may name: no honest one names more.
const WANTED_MAX: usize = 32;

impl Language {
    /// The language with this tag, however it is written: `fr`, `FR`, `fr-CM`.
    pub fn named(tag: &str) -> Option<&'static Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        LANGUAGES.iter().find(|language| language.tag.eq_ignore_ascii_case(primary))
    }

    /// The best for whoever sends this `Accept-Language` (RFC 9110, 12.5.4).
    pub fn wanted(accept: &str) -> &'static Self {
        let weighed = accept.split(',').take(WANTED_MAX).filter_map(|wish| {
            let (tag, weight) = wish.split_once(';').unwrap_or((wish, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.trim().parse().ok()?;
            let language = Self::named(tag.trim())?;
            (weight > 0.0).then_some((weight, language))
        });
        // Among equals the first.
        let best = weighed.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or(&LANGUAGES[0], |(_, language)| language)
    }

    /// Where it stands in [`LANGUAGES`].
    pub fn number(&self) -> usize {
        LANGUAGES.iter().position(|language| language.tag == self.tag).unwrap_or(0)
    }

    /// The text of message `key` with `args` filled in; the key itself where
    /// there is none, which a test rules out.
    pub fn text(&self, key: &str, args: &[(&str, Given)]) -> String {
        let bundle = self.bundle();
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else { return key.to_owned() };
        let args: FluentArgs<'_> = args.iter().map(|(name, value)| (*name, value.fluent(self.right_to_left))).collect();
        bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }

    /// What to do after the error of message `key`; empty where it says nothing.
    pub fn remedy(&self, key: &str) -> String {
        let bundle = self.bundle();
        let remedy = bundle.get_message(key).and_then(|message| message.get_attribute("remedy"));
        remedy.map_or_else(String::new, |remedy| {
            bundle.format_pattern(remedy.value(), None, &mut Vec::new()).into_owned()
        })
    }

    /// A number as it is written in this language.
    pub fn figure(&self, value: f64, decimals: usize) -> String {
        let plain = format!("{:.decimals$}", value.abs());
        let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
        let Numbers { group, decimal, digits, .. } = &self.numbers;
        let mut out = String::new();
        if value < 0.0 && plain.bytes().any(|digit| digit > b'0') {
            out.push('\u{2212}');
        }
        for (at, digit) in whole.chars().enumerate() {
            let left = whole.len() - at;
            if at > 0 && left >= 3 && (left - 3).is_multiple_of(*digits) {
                out.push_str(group);
            }
            out.push(digit);
        }
        if !part.is_empty() {
            out.push_str(decimal);
            out.push_str(part);
        }
        out
    }

    fn written(&self, value: &FluentValue<'_>) -> Option<String> {
        let FluentValue::Number(number) = value else { return None };
        Some(self.figure(number.value, number.options.minimum_fraction_digits.unwrap_or(0)))
    }

    fn bundle(&self) -> &Bundle {
        self.bundle.get_or_init(|| {
            let resource = FluentResource::try_new(self.words.to_owned())
                .unwrap_or_else(|(_, errors)| panic!("messages/page/{}.ftl is well formed: {errors:?}", self.tag));
            let mut bundle = FluentBundle::new_concurrent(vec![self.tag.parse().expect("it is a language")]);
            // Those of Fluent would turn a date around: what is isolated within
            // an isolate does not count for its direction.
            bundle.set_use_isolating(false);
            (self.tell)(&mut bundle);
            bundle.add_resource(resource).expect("each message is defined once");
            bundle
        })
    }
}

impl Given {
    fn fluent(&self, right_to_left: bool) -> FluentValue<'_> {
        match self {
            // A name in other letters keeps its direction, and the words around
            // it keep theirs.
            Self::Text(text) if right_to_left && is_left_to_right(text) => {
                FluentValue::from(format!("\u{2068}{text}\u{2069}"))
            }
            Self::Text(text) => FluentValue::from(text.as_str()),
            Self::Number(value, decimals) => {
                // A number in a file has no digits after a point, and equals
                // only one of which none are asked for.
                let minimum_fraction_digits = (*decimals > 0).then_some(*decimals);
                let options = FluentNumberOptions { minimum_fraction_digits, ..Default::default() };
                FluentValue::Number(FluentNumber::new(*value, options))
            }
        }
    }
}

/// Whether a text has letters, and none of Hebrew, Arabic or their neighbours.
fn is_left_to_right(text: &str) -> bool {
    let of_other = |c: char| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    text.chars().any(char::is_alphabetic) && !text.chars().any(of_other)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The values that each message of a file is given, by key; of one that
    /// chooses by a value, the values of all its variants.
    fn keys(language: &Language) -> BTreeMap<String, BTreeSet<String>> {
        let mut keys = BTreeMap::<String, BTreeSet<String>>::new();
        let mut now = String::new();
        for line in language.words.lines() {
            if let Some((key, _)) = line.split_once(" =").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase()))
            {
                now = key.to_owned();
                assert!(keys.insert(now.clone(), BTreeSet::new()).is_none(), "{}: {now} twice", language.tag);
            }
            let values = line
                .split('$')
                .skip(1)
                .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>());
            keys.entry(now.clone()).or_default().extend(values);
        }
        keys
    }

    #[test]
    fn every_language_says_all_that_english_says_with_the_same_values() {
        let english = keys(&LANGUAGES[0]);
        assert!(english.len() > 100);
        for language in &LANGUAGES {
            assert_eq!(keys(language), english, "{}", language.tag);
            assert_eq!(LANGUAGES[language.number()].tag, language.tag);
            for (key, values) in english.iter().filter(|(key, _)| !key.is_empty()) {
                for number in [0.0, 1.0, 2.0, 3.0, 5.0, 11.0, 21.0, 100.0, 1234.5] {
                    let given: Vec<_> = values.iter().map(|name| (&**name, Given::Number(number, 0))).collect();
                    let text = language.text(key, &given);
                    assert!(
                        !text.trim().is_empty() && !text.contains('$') && text != *key,
                        "{} {key}: {text}",
                        language.tag
                    );
                }
            }
        }
    }

    #[test]
    fn plurals_follow_each_language() {
        let written = |tag: &str, number: f64| {
            Language::named(tag).unwrap().text("documents", &[("count", Given::Number(number, 0))])
        };
        let forms = |tag: &str, numbers: &[f64]| {
            let words = |number: &f64| written(tag, *number).chars().filter(|c| c.is_alphabetic()).collect::<String>();
            numbers.iter().map(words).collect::<BTreeSet<_>>().len()
        };
        assert_eq!((written("en", 1.0), written("en", 1200.0)), ("1 document".into(), "1,200 documents".into()));
        // One, few, many: 21 is as 1, 22 as 2, 11 as 5.
        assert_eq!(forms("ru", &[1.0, 2.0, 5.0]), 3);
        for same in [[1.0, 21.0], [2.0, 22.0], [5.0, 11.0]] {
            assert_eq!(forms("ru", &same), 1, "{same:?}");
        }
        assert_eq!(forms("ar", &[0.0, 1.0, 2.0, 3.0, 11.0]), 5);
        assert_eq!(forms("zh", &[1.0, 2.0]), 1);
        // In French and Hindi nothing is one of something, too.
        assert_eq!(forms("fr", &[0.0, 1.0]), 1);
        assert_eq!(forms("sw", &[1.0, 2.0]), 2);
    }

    #[test]
    fn every_month_has_its_name() {
        for language in &LANGUAGES {
            let name = |month: i32| language.text("month", &[("month", Given::Number(f64::from(month), 0))]);
            assert_eq!((1..=12).map(name).collect::<BTreeSet<_>>().len(), 12, "{}", language.tag);
        }
    }

    #[test]
    fn names_in_other_letters_keep_their_direction() {
        let twin = |name: &str| Language::named("ar").unwrap().text("twin-of", &[("name", Given::Text(name.into()))]);
        assert!(twin("a.txt").ends_with("\u{2068}a.txt\u{2069}"));
        for plain in ["1", "1 ديسمبر 2026", ""] {
            assert!(!twin(plain).contains('\u{2068}'), "{plain}");
        }
        let english = LANGUAGES[0].text("twin-of", &[("name", Given::Text("حبوب".into()))]);
        assert!(english.ends_with(": حبوب"), "{english}");
    }

    #[test]
    fn numbers_are_written_as_each_language_does() {
        let figure = |tag: &str| Language::named(tag).unwrap().figure(12_345_678.25, 1);
        assert_eq!(figure("en"), "12,345,678.2");
        assert_eq!(figure("fr"), "12\u{202f}345\u{202f}678,2");
        assert_eq!(figure("pt"), "12.345.678,2");
        assert_eq!(figure("hi"), "1,23,45,678.2");
        let english = &LANGUAGES[0];
        assert_eq!(english.figure(-0.04, 1), "0.0");
        assert_eq!(english.figure(-1234.0, 0), "\u{2212}1,234");
        assert_eq!(english.figure(f64::NAN, 1), "NaN");
    }

    #[test]
    fn a_browser_gets_the_language_that_it_likes_best() {
        let wanted = |accept: &str| Language::wanted(accept).tag;
        assert_eq!(wanted("fr-CM,fr;q=0.9,en;q=0.8"), "fr");
        assert_eq!(wanted("de,en;q=0.5,sw;q=0.7"), "sw");
        assert_eq!(wanted("AR_eg"), "ar");
        assert_eq!(wanted("zh-Hant-TW"), "zh");
        for odd in ["", "*", ";;;q=q,,", "en;q=0", "fr;q=NaN", "yo,ha", &"sw;q=0,".repeat(1000)] {
            assert_eq!(wanted(odd), "en", "{odd}");
        }
        assert!(Language::named("").is_none() && Language::named("enx").is_none());
    }
}
