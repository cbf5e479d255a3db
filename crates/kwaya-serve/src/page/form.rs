//! Forms and the ends of addresses, `application/x-www-form-urlencoded`
//! (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>).

/// Pairs that are looked at.
const PAIRS_MAX: usize = 2048;

/// What was filled in, in the order of the form.
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The pairs of names and values; bytes that are no UTF-8 become `�`.
pub(super) fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let parts = bytes.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).take(PAIRS_MAX);
    let pair = |part: &[u8]| {
        let end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        (decode(&part[..end]), decode(part.get(end + 1..).unwrap_or_default()))
    };
    parts.map(pair).collect()
}

fn decode(bytes: &[u8]) -> String {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| Some(digit(at + 1)? * 16 + digit(at + 2)?)).flatten();
        out.push(match escaped {
            Some(value) => value as u8,
            None if byte == b'+' => b' ',
            None => byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Makes any text a part of an address.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_send_them() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = pairs("a=b+c&m=Habari%20%F0%9F%98%80%0D%0A&&x&=y&b=%&c=%f&d=1=2".as_bytes());
        let wanted =
            [("a", "b c"), ("m", "Habari 😀\r\n"), ("x", ""), ("", "y"), ("b", "%"), ("c", "%f"), ("d", "1=2")];
        assert_eq!(read, wanted.map(|(name, value)| pair(name, value)));
        assert_eq!(pairs(b"a=%ff"), [pair("a", "\u{fffd}")]);
        assert_eq!(pairs(&b"a&".repeat(10_000)).len(), PAIRS_MAX);
        for text in ["", "a b&c=d", "نص/..\0", "%2e"] {
            assert_eq!(pairs(format!("x={}", encode(text)).as_bytes()), [pair("x", text)]);
        }
    }
}
