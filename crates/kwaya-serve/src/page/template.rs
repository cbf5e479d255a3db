//! Templates filled in one language. They are minijinja's, as those of the
//! report are; what they are given is escaped, and a message comes by its key.

use std::sync::OnceLock;

use chrono::{DateTime, Datelike};
use kwaya_base::{
    Error, Result,
    languages::{Given, LANGUAGES, Language},
};
use minijinja::{
    Environment, UndefinedBehavior, Value,
    value::{Kwargs, Serde, ValueKind},
};
use serde::Serialize;

use super::form;

/// All templates.
const TEMPLATES: [(&str, &str); 13] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    ("overview.html", include_str!("../../templates/overview.html")),
    ("data.html", include_str!("../../templates/data.html")),
    ("list.html", include_str!("../../templates/list.html")),
    ("document.html", include_str!("../../templates/document.html")),
    ("training.html", include_str!("../../templates/training.html")),
    ("ways.html", include_str!("../../templates/ways.html")),
    ("chat.html", include_str!("../../templates/chat.html")),
    ("chat_form.html", include_str!("../../templates/chat_form.html")),
    ("ask.html", include_str!("../../templates/ask.html")),
    ("classify.html", include_str!("../../templates/classify.html")),
    ("sign_in.html", include_str!("../../templates/sign_in.html")),
    ("fault.html", include_str!("../../templates/fault.html")),
];

/// The template `name` in `language`, with `page` filled in.
///
/// # Errors
/// `report-failed`, which would be a fault of the template.
pub(super) fn render(language: &'static Language, name: &str, page: Value) -> Result<String> {
    static ENVIRONMENTS: [OnceLock<Environment<'static>>; LANGUAGES.len()] =
        [const { OnceLock::new() }; LANGUAGES.len()];
    let environment = ENVIRONMENTS[language.number()].get_or_init(|| environment(language));
    let failed = |cause: minijinja::Error| Error::new("report-failed").arg("cause", format!("{cause:#}"));
    environment.get_template(name).and_then(|template| template.render(page)).map_err(failed)
}

/// What a template is given of data that can be written down.
pub(super) fn plain(data: impl Serialize) -> Value {
    Value::from(Serde(data))
}

/// An environment of its own for each language, so that all functions know it.
fn environment(language: &'static Language) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => out.write_str(&escape(text)).map_err(minijinja::Error::from),
        _ => minijinja::escape_formatter(out, state, value),
    });
    for (name, template) in TEMPLATES {
        environment.add_template(name, template).expect("the templates are well formed");
    }
    environment.add_global("lang", language.tag);
    environment.add_global("dir", if language.right_to_left { "rtl" } else { "ltr" });
    environment.add_function("text", move |key: &str, values: Kwargs| words(language, key, &values));
    environment.add_function("remedy", move |key: &str| language.remedy(key));
    environment.add_function("bar", |share: f64| Value::from_safe_string(bar(share)));
    environment.add_filter("count", move |number: f64| language.figure(number, 0));
    environment.add_filter("fixed", move |number: f64, digits: usize| language.figure(number, digits));
    environment.add_filter("bytes", move |number: f64| bytes(language, number));
    environment.add_filter("percent", move |share: f64| percent(language, share));
    environment.add_filter("duration", move |seconds: f64| duration(language, seconds));
    environment.add_filter("day", move |seconds: u64| moment(language, seconds, false));
    environment.add_filter("moment", move |seconds: u64| moment(language, seconds, true));
    environment.add_filter("part", |text: &str| form::encode(text));
    environment
}

/// A text as a text of HTML, between tags and within quotation marks. That of
/// minijinja escapes the stroke too, of which addresses are full.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn words(language: &Language, key: &str, values: &Kwargs) -> Result<String, minijinja::Error> {
    let given = |name| {
        let value = values.get::<Value>(name)?;
        let given = match value.kind() {
            ValueKind::Number => Given::Number(f64::try_from(value)?, 0),
            _ => Given::Text(value.to_string()),
        };
        Ok((name, given))
    };
    let args: Vec<(&str, Given)> = values.args().map(given).collect::<Result<_, minijinja::Error>>()?;
    Ok(language.text(key, &args))
}

/// A bar that is `share` of its row long.
fn bar(share: f64) -> String {
    // A share that is not nothing is not to look like it.
    let length = if share > 0.0 { (share * 100.0).clamp(0.5, 100.0) } else { 0.0 };
    format!(
        r#"<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="{length:.1}" height="1"/></svg>"#
    )
}

fn number(language: &Language, key: &str, value: f64, decimals: usize) -> String {
    language.text(key, &[("count", Given::Number(value, decimals))])
}

/// Bytes with a unit of thousands.
pub(super) fn bytes(language: &Language, value: f64) -> String {
    match value {
        ..1e3 => number(language, "size-bytes", value, 0),
        ..999_950.0 => number(language, "size-kb", value / 1e3, 1),
        ..999.95e6 => number(language, "size-mb", value / 1e6, 1),
        _ => number(language, "size-gb", value / 1e9, 2),
    }
}

/// A share of one as a percentage, with a digit more where it is small.
fn percent(language: &Language, share: f64) -> String {
    let value = share * 100.0;
    number(language, "percent", value, usize::from(value > 0.0 && value < 9.95))
}

/// Seconds with their unit.
pub(super) fn duration(language: &Language, seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    let part = |unit: f64| Given::Number((seconds / unit).floor(), 0);
    let rest = |unit: f64, of: f64| Given::Number((seconds % unit / of).floor(), 0);
    match seconds {
        ..9.95 => number(language, "seconds", seconds, 1),
        ..99.5 => number(language, "seconds", seconds, 0),
        ..3600.0 => language.text("minutes", &[("minutes", part(60.0)), ("seconds", rest(60.0, 1.0))]),
        _ => language.text("hours", &[("hours", part(3600.0)), ("minutes", rest(3600.0, 60.0))]),
    }
}

/// Seconds since 1970 as a day, or as a day and a time in UTC.
fn moment(language: &Language, seconds: u64, with_time: bool) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)).unwrap_or_default();
    let month = language.text("month", &[("month", Given::Number(f64::from(time.month()), 0))]);
    let text = |number: &dyn ToString| Given::Text(number.to_string());
    let day = language
        .text("day", &[("day", text(&time.day())), ("month", Given::Text(month)), ("year", text(&time.year()))]);
    match with_time {
        false => day,
        true => {
            let clock = Given::Text(time.format("%H:%M").to_string());
            language.text("moment", &[("day", Given::Text(day)), ("time", clock)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        let english = &LANGUAGES[0];
        assert_eq!(bytes(english, 1.0), "1 byte");
        assert_eq!(bytes(english, 999_960.0), "1.0 MB");
        assert_eq!(bytes(english, 3.2e9), "3.20 GB");
        assert_eq!(duration(english, 5.0), "5.0 s");
        assert_eq!(duration(english, 3599.9), "59 min 59 s");
        assert_eq!(duration(english, 7300.0), "2 h 1 min");
        assert_eq!(duration(english, f64::INFINITY), "0.0 s");
        assert_eq!(percent(english, 0.5), "50 %");
        assert_eq!(percent(english, 0.0123), "1.2 %");
        assert_eq!(moment(english, 1_796_000_000, true), "30 November 2026, 00:53 UTC");
        for language in &LANGUAGES {
            for seconds in [0, 1_700_000_000, u64::MAX] {
                assert!(!moment(language, seconds, true).contains('$'));
            }
        }
        assert!(bar(f64::NAN).contains("\"0.0\"") && bar(7.0).contains("\"100.0\"") && bar(1e-9).contains("\"0.5\""));
    }

    /// A template that cannot be filled would only show when somebody looks.
    #[test]
    fn what_strangers_wrote_is_escaped() {
        let hostile = "<script>alert(1)</script>\"'&";
        let page = minijinja::context! {
            key => "error-path", found => (), written => hostile, csrf => hostile,
        };
        let page = render(&LANGUAGES[0], "classify.html", page).unwrap();
        assert!(
            !page.contains("<script") && page.contains("&lt;script&gt;") && page.contains("value=\"&lt;"),
            "{page}"
        );
    }
}
