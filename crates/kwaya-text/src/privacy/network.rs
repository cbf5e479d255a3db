//! Addresses in networks, as far as they tell of somebody: those that the
//! whole internet knows. Addresses within a house (`192.168.1.1`), of the
//! machine itself and of examples stay.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{near, run::Run};

/// Longer is no address: eight groups, or six and an IPv4 address.
const V6_MAX: usize = 45;
/// Words before four numbers that are no address.
const VERSIONS: &[&str] = &[
    "v",
    "ver",
    "version",
    "versions",
    "release",
    "build",
    "section",
    "sections",
    "chapter",
    "clause",
    "article",
    "paragraph",
    "para",
    "rule",
    "figure",
    "table",
    "toleo",
    "sehemu",
    "kifungu",
    "ibara",
    "versión",
    "versão",
    "sección",
    "seção",
    "artículo",
    "artigo",
    "chapitre",
    "annex",
    "appendix",
    "schedule",
    "oid",
    "update",
    "firmware",
    "driver",
];
/// Words before four numbers that are one.
const ADDRESSES: &[&str] =
    &["ip", "ipv", "address", "host", "server", "anwani", "adresse", "dirección", "endereço", "alamat", "seva"];
/// Parts of versions are smaller.
const LIKELY_MIN: u8 = 60;
/// Bytes before the number that are looked at for them.
const BEFORE: usize = 24;

/// The end of the IPv4 address at `start` of the run, and whether it tells of
/// somebody; `None` where there are no four numbers with points.
pub(super) fn v4(run: &Run<'_>, start: usize) -> Option<(usize, bool)> {
    let rest = &run.text.as_bytes()[start..];
    let mut parts = [0_u8; 4];
    let mut at = 0;
    for (i, part) in parts.iter_mut().enumerate() {
        if i > 0 {
            (rest.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        let length = rest[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 || length > 3 || (length > 1 && rest[at] == b'0') {
            return None;
        }
        *part = std::str::from_utf8(&rest[at..at + length]).ok()?.parse().ok()?;
        at += length;
    }
    let end = start + at;
    let more = rest.get(at) == Some(&b'.') && rest.get(at + 1).is_some_and(u8::is_ascii_digit);
    (!more).then(|| (end, tells(run, start, end, parts)))
}

fn tells(run: &Run<'_>, start: usize, end: usize, parts: [u8; 4]) -> bool {
    let before = run.before(start);
    let begins = run.begins(start) || before.ends_with("//") || before.ends_with('@');
    if is_of_nobody(parts) || !begins || !(run.ends(end) || is_port(run.after(end))) {
        return false;
    }
    let before = near::last(before, BEFORE);
    // `1.2.3.4` is a section or a version far more often.
    let likely = parts.iter().any(|part| *part >= LIKELY_MIN) && !near::ends_in_word(before, VERSIONS);
    likely || near::ends_in_word(before, ADDRESSES)
}

/// The ranges that IANA keeps from the internet (RFC 6890).
fn is_of_nobody(parts: [u8; 4]) -> bool {
    let address = Ipv4Addr::from(parts);
    let [first, second, ..] = parts;
    let shared = first == 100 && (64..128).contains(&second);
    let benchmark = first == 198 && (second == 18 || second == 19);
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || benchmark
        || first == 0
        || first >= 224
}

/// Whether the number of a port or a mask follows: `:8080`, `/24`.
fn is_port(after: &str) -> bool {
    after.strip_prefix([':', '/']).is_some_and(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        (1..=5).contains(&digits) && !rest[digits..].starts_with('.')
    })
}

/// The end of the IPv6 address that begins at `start`: of the global range, or
/// local to a link, which holds the number of a device.
pub(super) fn v6(text: &str, start: usize) -> Option<usize> {
    let bytes = &text.as_bytes()[start..];
    let first = bytes.iter().take(5).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let global = first == 4 && matches!(bytes[0], b'2' | b'3');
    let of_link = first == 4 && bytes[..4].eq_ignore_ascii_case(b"fe80");
    if bytes.get(first) != Some(&b':') || !(global || of_link) {
        return None;
    }
    let before = text[..start].bytes().next_back();
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b':' || byte == b'.') {
        return None;
    }
    let part = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b':' || **byte == b'.';
    let length = bytes.iter().take(V6_MAX + 1).take_while(part).count();
    let address = text[start..start + length].trim_end_matches(['.', ':']);
    let parsed: Ipv6Addr = address.parse().ok()?;
    let end = start + address.len();
    let glued = text[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
    let example = parsed.segments()[..2] == [0x2001, 0x0db8];
    (!glued && !example).then_some(end)
}
