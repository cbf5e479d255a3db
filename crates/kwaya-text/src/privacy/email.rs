//! E-mail addresses, also those that hide their `@` as `(at)` or `[at]`.

/// More is no name of a mailbox (RFC 5321, 4.5.3.1.1).
const LOCAL_MAX: usize = 64;
/// More is no name of a host.
const HOST_MAX: usize = 255;

/// The address around the `@`, or the bracket before `at`, at `at`; not before
/// `floor`.
pub(super) fn find(text: &str, at: usize, floor: usize) -> Option<(usize, usize)> {
    let hidden = text.as_bytes()[at] != b'@';
    let host = match hidden {
        false => at + 1,
        true => {
            let rest = text.get(at + 3..)?;
            let close = rest.strip_prefix([')', ']'])?;
            text.len() - close.trim_start_matches(' ').len()
        }
    };
    let before = &text[floor..at];
    let end_of_local = floor + if hidden { before.trim_end_matches(' ').len() } else { before.len() };
    let start = local(text, end_of_local, floor)?;
    let end = host + domain(&text[host..], hidden)?;
    Some((start, end))
}

/// Where the mailbox begins that ends at `end`.
fn local(text: &str, end: usize, floor: usize) -> Option<usize> {
    let mut start = end;
    for (at, character) in text[floor..end].char_indices().rev().take(LOCAL_MAX) {
        let part = character.is_alphanumeric() || "._%+-'".contains(character);
        if !part {
            break;
        }
        start = floor + at;
    }
    // What cannot begin a mailbox is of the sentence: a dash, a quote.
    let skip = text[start..end].len() - text[start..end].trim_start_matches(['.', '-', '\'', '%', '+']).len();
    let start = start + skip;
    let good = start < end && !text[start..end].ends_with(['.', '\'']);
    good.then_some(start)
}

/// The length of the name of a host that `text` begins with. Its last part is
/// of letters, so `react@18.2.0` is none.
fn domain(text: &str, hidden: bool) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '-';
    let mut end = 0;
    let mut good = None;
    let mut parts = 0;
    while end < HOST_MAX {
        let rest = &text[end..];
        let length = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
        let label = &rest[..length];
        if label.is_empty() || label.starts_with('-') {
            break;
        }
        end += length;
        parts += 1;
        let label = label.trim_end_matches('-');
        let top = label.strip_prefix("xn--").map_or_else(
            || label.chars().count() >= 2 && label.chars().all(char::is_alphabetic),
            |code| code.len() >= 2,
        );
        if parts >= 2 && top {
            good = Some(end - (length - label.len()));
        }
        let dot = dot(&text[end..], hidden);
        if dot == 0 {
            break;
        }
        end += dot;
    }
    good.filter(|end| *end <= HOST_MAX)
}

/// The length of a dot, which may be hidden too.
fn dot(text: &str, hidden: bool) -> usize {
    if text.starts_with('.') {
        return 1;
    }
    if !hidden {
        return 0;
    }
    let inner = text.trim_start_matches(' ');
    let Some(after) = ["(dot)", "[dot]"].iter().find_map(|dot| inner.strip_prefix(dot)) else { return 0 };
    text.len() - after.trim_start_matches(' ').len()
}
