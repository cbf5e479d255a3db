//! Numbers of bank accounts and payment cards, by their check digits.

use super::{checksum, run::Run};

/// Lengths of an IBAN by country: the IBAN registry of SWIFT (release 99),
/// and countries that use the form without being registered (`partial` on
/// iban.com), such as most of West and Central Africa.
const IBAN_LENGTHS: &str = "\
    AD24 AE23 AL28 AO25 AT20 AZ28 BA20 BE16 BF28 BG22 BH22 BI27 BJ28 BR29 BY28 CF27 CG27 CH21 CI28 CM27 CR22 \
    CV25 CY28 CZ24 DE22 DJ27 DK18 DO28 DZ26 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GA27 GB22 GE22 GI23 GL18 GQ27 \
    GR27 GT28 GW25 HN28 HR21 HU28 IE22 IL23 IQ23 IR26 IS26 IT27 JO30 KM27 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 \
    LV21 LY25 MA28 MC27 MD24 ME22 MG27 MK19 ML28 MN20 MR27 MT31 MU30 MZ25 NE28 NI28 NL18 NO15 OM23 PK24 PL28 \
    PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SN28 SO23 ST25 SV28 TD27 TG28 TL23 TN24 \
    TR26 UA29 VA22 VG24 XK20 YE30";

/// The ways in which the digits of a card are put in groups.
const CARD_GROUPS: &[&[usize]] = &[
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 4, 3],
    &[4, 4, 5],
    &[4, 5, 6],
    &[6, 13],
    &[4, 4, 4, 1],
    &[4, 4, 4, 3],
];

/// The end of the IBAN that begins at `start`. It is looked for in the text
/// and not in a run, as its groups may be of letters alone.
pub(super) fn iban(text: &str, start: usize) -> Option<usize> {
    let rest = &text.as_bytes()[start..];
    let head = rest.get(..4)?;
    if !(head[..2].iter().all(u8::is_ascii_alphabetic) && head[2..].iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let country = std::str::from_utf8(&head[..2]).ok()?.to_ascii_uppercase();
    let length = IBAN_LENGTHS.split(' ').find_map(|entry| entry.strip_prefix(&*country))?.parse().ok()?;
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
    let one_case =
        !own.iter().any(u8::is_ascii_lowercase) || !own.iter().any(|byte| byte.is_ascii_uppercase() || *byte == b' ');
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
    let begin =
        |count: usize| digits[..count].iter().fold(0_u32, |number, digit| 10 * number + u32::from(digit - b'0'));
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
