//! The JSON body of a request, field by field: each is of its type and within
//! its bounds, or is named in the refusal.

use std::fmt::Display;

use kwaya_base::{Error, Result};
use serde_json::{Map, Value};

/// An object of a request.
pub(crate) struct Fields<'v> {
    object: &'v Map<String, Value>,
    /// What stands before the names of its fields in a refusal.
    within: String,
}

/// Reads the body of a request.
///
/// # Errors
/// `serve-json` when it is not JSON in UTF-8.
pub(crate) fn parse(body: &[u8]) -> Result<Value> {
    // What was sent is not repeated in the answer.
    serde_json::from_slice(body).map_err(|cause| {
        Error::new("serve-json").arg("line", cause.line()).arg("column", cause.column()).arg("cause", cause_of(&cause))
    })
}

fn cause_of(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    text.split(" at line ").next().unwrap_or_default().chars().take(120).collect()
}

/// `param` is not what it may be.
pub(crate) fn wrong(param: impl Display, allowed: impl Display) -> Error {
    Error::new("serve-value").arg("param", param).arg("allowed", allowed)
}

impl<'v> Fields<'v> {
    pub(crate) fn of(value: &'v Value, within: &str) -> Result<Self> {
        let object =
            value.as_object().ok_or_else(|| wrong(if within.is_empty() { "body" } else { within }, "an object"));
        let within = if within.is_empty() { String::new() } else { format!("{within}.") };
        Ok(Self { object: object?, within })
    }

    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.within)
    }

    /// The field, if it is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'v Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A field that has to be there.
    pub(crate) fn need(&self, name: &str) -> Result<&'v Value> {
        self.get(name).ok_or_else(|| Error::new("serve-missing").arg("param", self.path(name)))
    }

    fn as_some<T>(&self, name: &str, allowed: &str, read: impl Fn(&'v Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong(self.path(name), allowed))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'v str>> {
        self.as_some(name, "a text", Value::as_str)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.as_some(name, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    pub(crate) fn number(&self, name: &str, low: f32, high: f32) -> Result<Option<f32>> {
        let within = |number: &f64| (f64::from(low)..=f64::from(high)).contains(number);
        let read = |value: &Value| value.as_f64().filter(within).map(|number| number as f32);
        self.as_some(name, &format!("a number from {low} to {high}"), read)
    }

    pub(crate) fn whole(&self, name: &str, low: i64, high: i64) -> Result<Option<i64>> {
        let read = |value: &Value| whole(value).filter(|number| (low..=high).contains(number));
        self.as_some(name, &format!("a whole number from {low} to {high}"), read)
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Fields<'v>>> {
        self.get(name).map(|value| Fields::of(value, &self.path(name))).transpose()
    }

    /// A field that is not known here: it may be there as long as it asks for
    /// nothing.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<()> {
        let asks = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(values) => !values.is_empty(),
            Value::String(text) => !["none", "auto", ""].contains(&text.as_str()),
            _ => true,
        };
        match names.iter().find(|name| self.object.get(**name).is_some_and(asks)) {
            Some(name) => Err(Error::new("serve-unsupported").arg("param", self.path(name))),
            None => Ok(()),
        }
    }
}

/// A whole number, also when it is written as 1.0, which JSON does not tell
/// from 1.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() < 9.1e15;
    value.as_i64().or_else(|| value.as_f64().filter(exact).map(|number| number as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_within_its_bounds_or_named() {
        let body = parse(br#"{"a": 1.5, "b": 3, "c": null, "d": "x", "o": {"b": 1e99}}"#).unwrap();
        let fields = Fields::of(&body, "").unwrap();
        assert_eq!(fields.number("a", 0.0, 2.0).unwrap(), Some(1.5));
        assert_eq!(fields.whole("b", 0, 3).unwrap(), Some(3));
        assert_eq!(fields.whole("c", 0, 3).unwrap(), None);
        assert!(!fields.flag("c").unwrap());
        assert_eq!(fields.text("d").unwrap(), Some("x"));
        let named = |error: Error| (error.key(), error.args()[0].1.clone());
        assert_eq!(named(fields.number("a", 0.0, 1.0).unwrap_err()), ("serve-value", "a".into()));
        assert_eq!(named(fields.whole("a", 0, 9).unwrap_err()), ("serve-value", "a".into()));
        assert_eq!(named(fields.flag("d").unwrap_err()), ("serve-value", "d".into()));
        assert_eq!(named(fields.need("c").err().unwrap()), ("serve-missing", "c".into()));
        let inner = fields.object("o").unwrap().unwrap();
        assert_eq!(named(inner.whole("b", 0, 9).unwrap_err()), ("serve-value", "o.b".into()));
        assert_eq!(named(fields.refuse(&["c", "d"]).unwrap_err()), ("serve-unsupported", "d".into()));
        fields.refuse(&["c", "z"]).unwrap();
    }

    #[test]
    fn what_is_no_json_is_refused_without_being_repeated() {
        for body in [&b"{"[..], b"", b"{\"a\": \"\xff\"}", &b"[".repeat(10_000), b"{\"secret\": nonsense}"] {
            let error = parse(body).unwrap_err();
            assert_eq!(error.key(), "serve-json");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
