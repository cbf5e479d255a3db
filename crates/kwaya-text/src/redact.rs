//! Replacing personal data: e-mail addresses and telephone numbers.

use std::sync::OnceLock;

use regex::Regex;

const EMAIL: &str = "<email>";
const PHONE: &str = "<phone>";

/// A text without personal data, and how much of it there was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redacted {
    pub(crate) text: String,
    pub(crate) emails: u64,
    pub(crate) phones: u64,
}

/// Replaces e-mail addresses by `<email>` and telephone numbers by `<phone>`.
/// Numbers count when they are written with `+` or `00` and a country code,
/// with a country code of East Africa (250 to 257) alone, or in the ten-digit
/// form used within its countries; years, dates, prices and book numbers have
/// none of these forms.
pub(crate) fn redact(text: String) -> Redacted {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        Regex::new(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+").expect("the pattern is well formed")
    });
    let mut emails = 0;
    let text = if text.contains('@') {
        pattern
            .replace_all(&text, |_: &regex::Captures<'_>| {
                emails += 1;
                EMAIL
            })
            .into_owned()
    } else {
        text
    };
    let mut phones = 0;
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() && bytes[at] != b'+' {
            at += 1;
            continue;
        }
        let begins = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || b".,-/+".contains(&bytes[at - 1]));
        match if begins { phone(&bytes[at..]) } else { None } {
            Some(length) => {
                out.push_str(&text[copied..at]);
                out.push_str(PHONE);
                phones += 1;
                at += length;
                copied = at;
            }
            None => {
                // The rest of this number is no beginning of another.
                at += 1;
                at += bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
            }
        }
    }
    if phones == 0 {
        return Redacted { text, emails, phones };
    }
    out.push_str(&text[copied..]);
    Redacted { text: out, emails, phones }
}

/// The length of the telephone number that `bytes` begins with.
fn phone(bytes: &[u8]) -> Option<usize> {
    let plus = usize::from(bytes[0] == b'+');
    let digits: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_digit).take(5).collect();
    let zeros = if plus == 0 && digits.starts_with(b"00") { 2 } else { 0 };
    let country = digits.get(zeros..zeros + 3)?;
    let east_africa = country.starts_with(b"25") && country[2] <= b'7';
    let (least, most, first) = match (plus == 1 || zeros == 2, east_africa) {
        (true, true) => (zeros + 10, zeros + 12, 1),
        (true, false) => (zeros + 9, zeros + 13, 1),
        (false, true) => (12, 12, 3),
        (false, false) if digits[0] == b'0' && (b'1'..=b'9').contains(&digits[1]) => (10, 10, 3),
        _ => return None,
    };
    let groups = groups(&bytes[plus..]);
    let (mut total, mut best) = (0, None);
    for (index, &(count, end)) in groups.iter().enumerate() {
        total += count;
        if (index == 0 && count < first) || (index > 0 && count < 2 && plus + zeros == 0) || total > most {
            break;
        }
        if total >= least {
            best = Some(plus + end);
        }
    }
    let end = best?;
    // A number that goes on in letters is part of a code.
    (!bytes.get(end).is_some_and(u8::is_ascii_alphanumeric)).then_some(end)
}

/// The groups of digits from the start, each with its number of digits and
/// its end, as far as only one blank, dash, dot or a bracket is between them.
fn groups(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut groups = Vec::new();
    let mut at = usize::from(bytes.first() == Some(&b'('));
    while groups.len() < 8 {
        let count = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            break;
        }
        at += count;
        groups.push((count, at));
        let between = bytes[at..].iter().take(3).take_while(|b| b" -.()".contains(b)).count();
        if between == 0 || between > 2 {
            break;
        }
        at += between;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephone_numbers_and_addresses_are_replaced() {
        for (before, after) in [
            ("Piga +255 712 345 678 leo", "Piga <phone> leo"),
            ("Simu: 0712-345-678.", "Simu: <phone>."),
            ("0712345678", "<phone>"),
            ("(254712345678)", "(<phone>)"),
            ("00254 20 123 4567, au", "<phone>, au"),
            ("+44 (20) 7946 0958", "<phone>"),
            ("tuma kwa juma.ali@mfano.co.tz.", "tuma kwa <email>."),
            ("0712 345 678 au 0755 111 222", "<phone> au <phone>"),
        ] {
            assert_eq!(redact(before.into()).text, after);
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "mwaka 1999-2004 na 2010",
            "01 02 2020, 12/05/2021, 2021-05-12",
            "Sh 1,250,000,000 na 0.123456789",
            "ISBN 978-9976-60-123-4 na 0-7356-1990-3",
            "watu 254 300 000 walipiga kura",
            "tarehe 10.10.2020 saa 0800",
            "+5 na + 10, a+b@c",
            "namba AB0712345678 na 07123456789012",
        ] {
            let redacted = redact(text.into());
            assert_eq!((redacted.text.as_str(), redacted.phones, redacted.emails), (text, 0, 0));
        }
    }
}
