//! Numbers of bank accounts and payment cards, by their check digits.

use super::{checksum, run::Run};

/// Lengths of an IBAN by country: the IBAN registry of SWIFT (release 99),
/// and countries that use the form without being registered (`partial` on
/// iban.com), such as most of West and Central Africa.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24), ("AE", 23), ("AL", 28), ("AO", 25), ("AT", 20), ("AZ", 28), ("BA", 20), ("BE", 16), ("BF", 28),
    ("BG", 22), ("BH", 22), ("BI", 27), ("BJ", 28), ("BR", 29), ("BY", 28), ("CF", 27), ("CG", 27), ("CH", 21),
    ("CI", 28), ("CM", 27), ("CR", 22), ("CV", 25), ("CY", 28), ("CZ", 24), ("DE", 22), ("DJ", 27), ("DK", 18),
    ("DO", 28), ("DZ", 26), ("EE", 20), ("EG", 29), ("ES", 24), ("FI", 18), ("FK", 18), ("FO", 18), ("FR", 27),
    ("GA", 27), ("GB", 22), ("GE", 22), ("GI", 23), ("GL", 18), ("GQ", 27), ("GR", 27), ("GT", 28), ("GW", 25),
    ("HN", 28), ("HR", 21), ("HU", 28), ("IE", 22), ("IL", 23), ("IQ", 23), ("IR", 26), ("IS", 26), ("IT", 27),
    ("JO", 30), ("KM", 27), ("KW", 30), ("KZ", 20), ("LB", 28), ("LC", 32), ("LI", 21), ("LT", 20), ("LU", 20),
    ("LV", 21), ("LY", 25), ("MA", 28), ("MC", 27), ("MD", 24), ("ME", 22), ("MG", 27), ("MK", 19), ("ML", 28),
    ("MN", 20), ("MR", 27), ("MT", 31), ("MU", 30), ("MZ", 25), ("NE", 28), ("NI", 28), ("NL", 18), ("NO", 15),
    ("OM", 23), ("PK", 24), ("PL", 28), ("PS", 29), ("PT", 25), ("QA", 29), ("RO", 24), ("RS", 22), ("RU", 33),
    ("SA", 24), ("SC", 31), ("SD", 18), ("SE", 24), ("SI", 19), ("SK", 24), ("SM", 27), ("SN", 28), ("SO", 23),
    ("ST", 25), ("SV", 28), ("TD", 27), ("TG", 28), ("TL", 23), ("TN", 24), ("TR", 26), ("UA", 29), ("VA", 22),
    ("VG", 24), ("XK", 20), ("YE", 30),
];

/// The ways in which the digits of a card are put in groups.
const CARD_GROUPS: &[&[usize]] =
    &[&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3], &[4, 4, 5], &[4, 5, 6], &[6, 13], &[4, 4, 4, 1], &[4, 4, 4, 3]];

/// The end of the IBAN that begins at `start`. It is looked for in the text
/// and not in a run, as its groups may be of letters alone.
pub(super) fn iban(text: &str, start: usize) -> Option<usize> {
    let rest = &text.as_bytes()[start..];
    let head = rest.get(..4)?;
    if !(head[..2].iter().all(u8::is_ascii_alphabetic) && head[2..].iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let country = std::str::from_utf8(&head[..2]).ok()?.to_ascii_uppercase();
    let length = IBAN_LENGTHS.iter().find(|(code, _)| *code == country)?.1;
    let mut value = Vec::with_capacity(length);
    let mut at = 0;
    while value.len() < length {
        match rest.get(at)? {
            byte if byte.is_ascii_alphanumeric() => value.push(byte.to_ascii_uppercase()),
            b' ' | b'-' if value.len() >= 4 && rest.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => return None,
        }
        at += 1;
    }
    // All in capitals, or in small letters without blanks: no words after it.
    let own = &rest[..at];
    let one_case = !own.iter().any(u8::is_ascii_lowercase)
        || !own.iter().any(|byte| byte.is_ascii_uppercase() || *byte == b' ');
    let begins = !text[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let ends = !text[start + at..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (one_case && begins && ends && checksum::mod97(&value)).then_some(start + at)
}

/// The end of the card number at `start` of the run.
pub(super) fn card(run: &Run<'_>, start: usize) -> Option<usize> {
    let bytes = &run.text.as_bytes()[start..];
    let mut digits = Vec::with_capacity(20);
    let mut groups = Vec::with_capacity(6);
    let mut at = 0;
    let mut sign = None;
    loop {
        let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits.extend_from_slice(&bytes[at..at + length]);
        groups.push(length);
        at += length;
        let next = bytes.get(at).filter(|byte| matches!(byte, b' ' | b'-'));
        if length == 0 || digits.len() >= 19 || next.is_none() || sign.is_some_and(|sign| Some(sign) != next.copied()) {
            break;
        }
        if !bytes.get(at + 1).is_some_and(u8::is_ascii_digit) || is_card(&digits, &groups) {
            break;
        }
        sign = next.copied();
        at += 1;
    }
    (is_card(&digits, &groups) && run.is_whole(start, start + at)).then_some(start + at)
}

fn is_card(digits: &[u8], groups: &[usize]) -> bool {
    let form = groups.len() == 1 || CARD_GROUPS.contains(&groups);
    form && (13..=19).contains(&digits.len()) && is_of_issuer(digits) && checksum::luhn(digits)
}

/// Whether a card with this beginning and length is issued (ISO/IEC 7812
/// ranges, as the networks publish them).
fn is_of_issuer(digits: &[u8]) -> bool {
    let begin = |count: usize| digits[..count].iter().fold(0_u32, |number, digit| 10 * number + u32::from(digit - b'0'));
    let length = digits.len();
    match begin(2) {
        // Visa.
        40..=49 => matches!(length, 13 | 16 | 19),
        // Mastercard.
        51..=55 => length == 16,
        22..=27 => length == 16 && ((2221..=2720).contains(&begin(4)) || (2200..=2204).contains(&begin(4))),
        // American Express.
        34 | 37 => length == 15,
        // Diners Club.
        30 => (300..=305).contains(&begin(3)) && (14..=19).contains(&length),
        36 | 38 | 39 => (14..=19).contains(&length),
        // JCB.
        35 => (3528..=3589).contains(&begin(4)) && (16..=19).contains(&length),
        // Discover, RuPay, Verve, UnionPay, Maestro.
        50 | 56..=58 | 60..=69 => (16..=19).contains(&length),
        81 | 82 => length == 16,
        _ => false,
    }
}
