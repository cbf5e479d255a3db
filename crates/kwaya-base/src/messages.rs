//! Words for people, from Fluent files (<https://projectfluent.org>), one per
//! language. Code names a message by key; the text can be translated without
//! touching code.

use std::sync::OnceLock;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};

const ENGLISH: &str = include_str!("../messages/en.ftl");

type Bundle = FluentBundle<FluentResource>;

fn bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let resource = FluentResource::try_new(ENGLISH.to_owned())
            .unwrap_or_else(|(_, errors)| panic!("messages/en.ftl is well formed: {errors:?}"));
        let mut bundle = FluentBundle::new_concurrent(vec!["en".parse().expect("en is a language")]);
        // Invisible direction marks around each value would end up in pipes,
        // files and tests.
        bundle.set_use_isolating(false);
        bundle.add_resource(resource).expect("each message is defined once");
        bundle
    })
}

/// The text of message `key` with `args` filled in. A key that is missing
/// gives the key itself: a wrong word is better than a crash, and a test
/// checks that none is missing.
pub fn format(key: &str, args: &[(&str, String)]) -> String {
    let bundle = bundle();
    match bundle.get_message(key).and_then(|m| m.value()) {
        Some(pattern) => bundle.format_pattern(pattern, Some(&fluent(args)), &mut Vec::new()).into_owned(),
        None => key.to_owned(),
    }
}

/// The attribute `name` of message `key`, if there is one.
pub fn attribute(key: &str, name: &str, args: &[(&str, String)]) -> Option<String> {
    let bundle = bundle();
    let message = bundle.get_message(key)?;
    let pattern = message.get_attribute(name)?.value();
    Some(bundle.format_pattern(pattern, Some(&fluent(args)), &mut Vec::new()).into_owned())
}

/// Whether the message file has `key`.
pub fn exists(key: &str) -> bool {
    bundle().has_message(key)
}

fn fluent<'a>(args: &'a [(&str, String)]) -> FluentArgs<'a> {
    // Values stay strings, except where a message chooses by number.
    args.iter()
        .map(|(name, value)| {
            let value = match value.parse::<u64>() {
                Ok(n) if n < 1_000_000 => FluentValue::from(n),
                _ => FluentValue::from(value.as_str()),
            };
            (*name, value)
        })
        .collect()
}

/// The message `key`, with `name = value` pairs filled in:
/// `say!("plan-next", folder = f.display())`.
#[macro_export]
macro_rules! say {
    ($key:expr $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::messages::format($key, &[$((stringify!($name), $value.to_string())),*])
    };
}
