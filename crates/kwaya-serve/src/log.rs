//! What happens, a line of JSON each, on standard error.

use std::{
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The time as RFC 3339 has it, in UTC.
pub(crate) fn time() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = i64::try_from(now.as_millis()).ok().and_then(chrono::DateTime::from_timestamp_millis);
    time.map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// Writes that `event` happened, with what belongs to it. That nobody reads
/// the log stops nothing.
pub(crate) fn log(level: &str, event: &str, with: Value) {
    let mut line = Map::new();
    line.insert("time".into(), time().into());
    line.insert("level".into(), level.into());
    line.insert("event".into(), event.into());
    if let Value::Object(with) = with {
        line.extend(with.into_iter().filter(|(_, value)| !value.is_null()));
    }
    let line = format!("{}\n", Value::Object(line));
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
