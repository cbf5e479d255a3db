//! Personal data made up at random, in the forms people write, and numbers
//! that only look like it.
//!
//! Telephone numbers are made from the numbering plans, cards and IBANs with
//! check digits computed here, so that nothing of the rules is used.

use kwaya_text::privacy::Kind;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % count as u64) as usize
    }

    pub(super) fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// `#` becomes a digit, `A` a capital, `X` either, `%` a digit from 1; what
    /// is in braces stays.
    fn fill(&mut self, form: &str) -> String {
        let mut kept = false;
        let mut out = String::new();
        for c in form.chars() {
            match c {
                '{' => kept = true,
                '}' => kept = false,
                _ if kept => out.push(c),
                '#' => out.push(char::from(b'0' + self.below(10) as u8)),
                '%' => out.push(char::from(b'1' + self.below(9) as u8)),
                'A' => out.push(char::from(b'A' + self.below(26) as u8)),
                'X' => out.push(char::from(*self.of(b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"))),
                other => out.push(other),
            }
        }
        out
    }

    fn day(&mut self, separator: &str) -> String {
        format!("{:02}{separator}{:02}", self.between(1, 12), self.between(1, 28))
    }
}

/// A piece of personal data and what is said around it.
pub(super) struct Item {
    pub(super) form: &'static str,
    pub(super) before: String,
    pub(super) value: String,
    pub(super) after: &'static str,
}

pub(super) const KINDS: [Kind; 8] =
    [Kind::Email, Kind::Phone, Kind::Card, Kind::Iban, Kind::Ip, Kind::Coordinates, Kind::Id, Kind::Money];

const AFTER: [&str; 6] = ["", ".", ",", ";", ")", " "];

pub(super) fn item(kind: Kind, random: &mut Random) -> Item {
    let (form, before, value): (_, String, _) = match kind {
        Kind::Email => email(random),
        Kind::Phone => phone(random),
        Kind::Card => card(random),
        Kind::Iban => iban(random),
        Kind::Ip => ip(random),
        Kind::Coordinates => coordinates(random),
        Kind::Id => id(random),
        _ => money(random),
    };
    let after = *random.of(&AFTER);
    let before = if after == ")" { format!("({before}") } else { before };
    Item { form, before, value, after }
}

const NAMES: [&str; 16] = [
    "juma", "asha", "wanjiku", "chidi", "adaeze", "thabo", "nomsa", "amina", "tesfaye", "rahim", "priya", "josé",
    "maría", "siti", "okello", "mugisha",
];
const HOSTS: [&str; 14] = [
    "gmail.com",
    "yahoo.com",
    "outlook.com",
    "udsm.ac.tz",
    "kenet.or.ke",
    "mak.ac.ug",
    "unilag.edu.ng",
    "uct.ac.za",
    "afya.go.tz",
    "mfano.co.ke",
    "exemplo.com.br",
    "correo.mx",
    "mail.org.in",
    "ushirika.africa",
];

type Made = (&'static str, String, String);

fn email(random: &mut Random) -> Made {
    let (one, two, host) = (*random.of(&NAMES), *random.of(&NAMES), *random.of(&HOSTS));
    let number = random.below(2000);
    let local = match random.below(6) {
        0 => one.to_owned(),
        1 => format!("{one}.{two}"),
        2 => format!("{one}{number}"),
        3 => format!("{one}_{two}{number}"),
        4 => format!("{one}+{two}"),
        _ => format!("{}-{two}", one.to_uppercase()),
    };
    let before = *random.of(&["", "barua pepe: ", "email ", "mailto:", "<"]);
    match random.below(12) {
        0 => (
            "hidden",
            before.into(),
            format!(
                "{local} [at] {} [dot] {}",
                &host[..host.find('.').unwrap_or(0)],
                &host[host.find('.').unwrap_or(0) + 1..]
            ),
        ),
        1 => ("hidden", before.into(), format!("{local}(at){host}")),
        _ => ("plain", before.into(), format!("{local}@{host}")),
    }
}

/// Code of the country, prefixes of mobile numbers without the zero, digits
/// that follow, whether a zero is dialled first, and the usual groups.
type Plan = (&'static str, &'static [&'static str], usize, bool, &'static [usize]);
const PLANS: &[Plan] = &[
    ("254", &["70", "71", "72", "11", "79"], 7, true, &[3, 3, 3]),
    ("255", &["71", "75", "65", "68", "78"], 7, true, &[3, 3, 3]),
    ("256", &["70", "75", "77", "78"], 7, true, &[3, 3, 3]),
    ("250", &["78", "72", "73"], 7, true, &[3, 3, 3]),
    ("234", &["803", "806", "703", "813", "902"], 7, true, &[3, 3, 4]),
    ("27", &["72", "73", "82", "83", "61"], 7, true, &[2, 3, 4]),
    ("233", &["24", "20", "54", "27"], 7, true, &[2, 3, 4]),
    ("251", &["91", "92", "93"], 7, true, &[2, 3, 4]),
    ("263", &["77", "71", "73"], 7, true, &[2, 3, 4]),
    ("252", &["61", "63"], 7, true, &[2, 3, 4]),
    ("258", &["84", "82", "86"], 7, false, &[2, 3, 4]),
    ("221", &["77", "78", "76"], 7, false, &[2, 3, 2, 2]),
    ("91", &["98", "99", "70", "87"], 8, false, &[5, 5]),
    ("92", &["300", "321", "333", "345"], 7, true, &[3, 7]),
    ("880", &["171", "181", "191", "155"], 7, true, &[4, 6]),
    ("62", &["812", "813", "857"], 7, true, &[3, 4, 3]),
    ("63", &["917", "918", "927"], 7, true, &[3, 3, 4]),
    ("84", &["90", "91", "98"], 7, true, &[2, 3, 4]),
    ("44", &["79111", "74001"], 5, true, &[4, 6]),
    ("33", &["61", "62", "63"], 7, true, &[1, 2, 2, 2, 2]),
    ("49", &["1511", "1520", "1701"], 7, true, &[4, 7]),
    ("55", &["119", "219"], 8, false, &[2, 5, 4]),
    ("52", &["55", "33"], 8, false, &[2, 4, 4]),
    ("1", &["212", "415", "617"], 7, false, &[3, 3, 4]),
];

fn grouped(digits: &str, groups: &[usize], separator: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = digits;
    for (i, &count) in groups.iter().enumerate() {
        let (part, after) = rest.split_at(if i + 1 == groups.len() { rest.len() } else { count.min(rest.len()) });
        parts.push(part);
        rest = after;
    }
    parts.join(separator)
}

fn native(text: &str, zero: u32) -> String {
    let digit = |c: char| c.to_digit(10).and_then(|value| char::from_u32(zero + value)).unwrap_or(c);
    text.chars().map(digit).collect()
}

const PHONE_WORDS: [&str; 14] = [
    "simu: ",
    "Tel. ",
    "piga ",
    "namba ya simu ",
    "WhatsApp ",
    "call ",
    "phone no. ",
    "téléphone : ",
    "teléfono ",
    "foonu ",
    "essimu ",
    "telefone: ",
    "ucingo ",
    "taleefan ",
];

fn phone(random: &mut Random) -> Made {
    let (code, prefixes, more, zero, groups) = random.of(PLANS);
    let mut digits = (*random.of(prefixes)).to_owned();
    // The first digit after the prefix is none of those that begin services.
    digits += &random.fill("%");
    for _ in 1..*more {
        digits += &random.fill("#");
    }
    // North American exchanges do not begin with 1, nor end in 11.
    if *code == "1" {
        digits.replace_range(3..6, &format!("{}{}5", random.between(2, 9), random.between(2, 9)));
    }
    let separator = *random.of(&[" ", "-", " ", "."]);
    let separator = if separator == "." && groups.len() > 3 { " " } else { separator };
    let said = |random: &mut Random| (*random.of(&PHONE_WORDS)).to_owned();
    let before = if random.below(2) == 0 { said(random) } else { String::new() };
    let spaced = grouped(&digits, groups, separator);
    match random.below(8) {
        0 | 1 => ("+, in groups", before, format!("+{code}{separator}{spaced}")),
        2 | 3 => ("+, together", before, format!("+{code}{digits}")),
        4 => ("00", before, format!("00{code}{separator}{spaced}")),
        5 if *zero => {
            let digits = format!("0{digits}");
            let mut groups = groups.to_vec();
            groups[0] += 1;
            if groups[0] < 3 {
                groups = vec![3, 3, digits.len() - 6];
            }
            ("0, in groups", before, grouped(&digits, &groups, separator))
        }
        6 if *zero => ("0, together", before, format!("0{digits}")),
        5 | 6 if *code == "1" => {
            ("United States", before, format!("({}) {}-{}", &digits[..3], &digits[3..6], &digits[6..]))
        }
        5 | 6 => ("no zero, after a word", said(random), spaced),
        _ => {
            let zeros = [0x09e6, 0x0966, 0x0660, 0x06f0];
            ("digits of other scripts", before, native(&format!("+{code} {spaced}"), *random.of(&zeros)))
        }
    }
}

fn luhn(mut digits: String) -> String {
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(i, byte)| {
            let digit = u32::from(byte - b'0');
            let double = 2 * digit;
            if i % 2 == 0 { double / 10 + double % 10 } else { digit }
        })
        .sum();
    digits += &((10 - sum % 10) % 10).to_string();
    digits
}

fn card(random: &mut Random) -> Made {
    let (form, groups): (_, &[usize]) = *random.of(&[
        ("4##############", &[4, 4, 4, 4][..]),
        ("4##############", &[4, 4, 4, 4]),
        ("51#############", &[4, 4, 4, 4]),
        ("55#############", &[4, 4, 4, 4]),
        ("2345###########", &[4, 4, 4, 4]),
        ("37############", &[4, 6, 5]),
        ("6011###########", &[4, 4, 4, 4]),
        ("5061###########", &[4, 4, 4, 4]),
        ("36###########", &[4, 6, 4]),
        ("3530###########", &[4, 4, 4, 4]),
        ("62#############", &[4, 4, 4, 4]),
    ]);
    let digits = luhn(random.fill(form));
    let before = *random.of(&["", "kadi ", "card no. ", "Visa: ", "namba ya kadi ni "]);
    match random.below(3) {
        0 => ("together", before.into(), digits),
        1 => ("blanks", before.into(), grouped(&digits, groups, " ")),
        _ => ("dashes", before.into(), grouped(&digits, groups, "-")),
    }
}

fn iban(random: &mut Random) -> Made {
    let (country, form) = *random.of(&[
        ("DE", "##################"),
        ("GB", "AAAA##############"),
        ("FR", "#######################"),
        ("MU", "AAAA0################00{MUR}"),
        ("TN", "####################"),
        ("EG", "#########################"),
        ("PK", "AAAA################"),
        ("SA", "####################"),
        ("BR", "#######################A1"),
        ("SN", "{SN}######################"),
        ("NL", "AAAA##########"),
        ("TR", "######################"),
    ]);
    let account = random.fill(form);
    let rest = format!("{account}{country}00").bytes().fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    let value = format!("{country}{:02}{account}", 98 - rest);
    let before = *random.of(&["", "IBAN ", "IBAN: ", "akaunti "]);
    if random.below(2) == 0 {
        return ("together", before.into(), value);
    }
    let fours: Vec<&str> = (0..value.len()).step_by(4).map(|at| &value[at..(at + 4).min(value.len())]).collect();
    ("in fours", before.into(), fours.join(" "))
}

fn ip(random: &mut Random) -> Made {
    let before = *random.of(&["", "IP ", "anwani ya IP ", "from ", "http://"]);
    if random.below(3) > 0 {
        let first = *random.of(&[41, 102, 105, 154, 196, 197, 62, 80, 185, 8, 13]);
        let part = |random: &mut Random| random.between(1, 254);
        let value = format!("{first}.{}.{}.{}", part(random), part(random), part(random));
        return ("version 4", before.into(), value);
    }
    let part = |random: &mut Random| format!("{:x}", random.below(65_536));
    let parts: Vec<String> = (0..6).map(|_| part(random)).collect();
    let head = *random.of(&["2001", "2c0f", "2a02", "2600", "2400"]);
    let before = if before == "http://" { "http://[" } else { before };
    let value = match random.below(2) {
        0 => format!("{head}:fe8:{}", parts.join(":")),
        _ => format!("{head}:{}::{}", parts[0], parts[1]),
    };
    ("version 6", before.into(), value)
}

fn coordinates(random: &mut Random) -> Made {
    let south = random.below(2) == 0;
    let (lat, lon) = (random.below(34_000_000) as f64 / 1e6 + 1.0, random.below(50_000_000) as f64 / 1e6 + 1.0);
    let sign = if south { "-" } else { "" };
    let half = if south { 'S' } else { 'N' };
    let degrees = |angle: f64| {
        let seconds = angle * 3600.0;
        (angle as u32, (seconds / 60.0) as u32 % 60, seconds % 60.0)
    };
    let ((d1, m1, s1), (d2, m2, s2)) = (degrees(lat), degrees(lon));
    match random.below(6) {
        0 | 1 => ("decimal pair", (*random.of(&["", "GPS ", "eneo: "])).into(), format!("{sign}{lat:.6}, {lon:.6}")),
        2 => ("link to a map", "https://www.google.com/maps/@".into(), format!("{sign}{lat:.7},{lon:.7}")),
        3 => ("decimal with letters", String::new(), format!("{lat:.4}° {half}, {lon:.4}° E")),
        4 => (
            "degrees, minutes, seconds",
            String::new(),
            format!("{d1}°{m1:02}′{s1:04.1}″{half} {d2}°{m2:02}′{s2:04.1}″E"),
        ),
        _ => (
            "degrees, minutes, seconds",
            String::new(),
            format!("{d1}° {m1}' {s1:.0}\" {half}, {d2}° {m2}' {s2:.0}\" E").replace(" 60\"", " 59\""),
        ),
    }
}

/// Appends the check digit that `rule` gives for the rest of the sum of
/// products.
fn weighted(
    mut digits: String,
    weights: impl Iterator<Item = u32>,
    modulo: u32,
    rule: impl Fn(u32) -> String,
) -> String {
    let sum: u32 = digits.bytes().zip(weights).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
    digits += &rule(sum % modulo);
    digits
}

/// Verhoeff by the group of symmetries of a pentagon, computed and not from a
/// table.
fn verhoeff(digits: String) -> String {
    let times = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let step = |digit: u32| [1, 5, 7, 6, 2, 8, 3, 0, 9, 4][digit as usize];
    let check = |text: &str| {
        let digits = text.bytes().rev().enumerate();
        digits.fold(0, |sum, (place, byte)| {
            times(sum, (0..place % 8).fold(u32::from(byte - b'0'), |digit, _| step(digit)))
        })
    };
    let right = (0..10).map(|digit| format!("{digits}{digit}")).find(|text| check(text) == 0);
    right.unwrap_or(digits)
}

fn id(random: &mut Random) -> Made {
    let by_eleven = |rest: u32| (if rest < 2 { 0 } else { 11 - rest }).to_string();
    let year = random.between(1950, 2005);
    let day = random.day("");
    match random.below(20) {
        0 => {
            ("Kenya", (*random.of(&["ID No. ", "Kitambulisho namba ", "National ID "])).into(), random.fill("%#######"))
        }
        1 => ("Kenya, tax", String::new(), random.fill("{A}#########A")),
        2 => ("Tanzania", String::new(), format!("{year}{day}-{}", random.fill("#####-#####-##"))),
        3 => ("Uganda", String::new(), random.fill("{CM}##{0}##{1}XXXXXX")),
        4 => ("Rwanda", String::new(), format!("1 {year} {} {}", random.of(&["8", "7"]), random.fill("####### # ##"))),
        5 => ("Nigeria, NIN", "NIN ".into(), random.fill("%##########")),
        6 => ("Nigeria, BVN", "BVN: ".into(), random.fill("22#########")),
        7 => ("South Africa", String::new(), luhn(format!("{:02}{day}{}", year % 100, random.fill("####08")))),
        8 => ("Ghana", String::new(), random.fill("{GHA-}#########-#")),
        9 => ("India, Aadhaar", (*random.of(&["आधार ", "Aadhaar "])).into(), {
            let digits = verhoeff(random.fill("3##########"));
            {
                let between = *random.of(&[" ", ""]);
                grouped(&digits, &[4, 4, 4], between)
            }
        }),
        10 => ("India, PAN", String::new(), random.fill("AAA{P}A####A")),
        11 => ("Pakistan", String::new(), random.fill("3####-#######-#")),
        12 => ("Bangladesh", "জাতীয় পরিচয়পত্র নম্বর ".into(), native(&random.fill("%#########"), 0x09e6)),
        13 => ("Brazil", String::new(), {
            let one = weighted(random.fill("#########"), (2..=10).rev(), 11, by_eleven);
            let all = weighted(one, (2..=11).rev(), 11, by_eleven);
            format!("{}.{}.{}-{}", &all[..3], &all[3..6], &all[6..9], &all[9..])
        }),
        14 => (
            "Indonesia",
            String::new(),
            format!(
                "31{}{:02}{:02}{}",
                random.fill("####"),
                random.between(1, 28),
                random.between(1, 12),
                random.fill("######")
            ),
        ),
        15 => (
            "Egypt",
            String::new(),
            format!("2{:02}{day}{:02}{}", year % 100, random.between(1, 4), random.fill("#####")),
        ),
        16 => (
            "Thailand",
            "เลขประจำตัวประชาชน ".into(),
            weighted(random.fill("1###########"), (2..=13).rev(), 11, |rest| ((11 - rest) % 10).to_string()),
        ),
        17 => ("China", String::new(), {
            let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2].into_iter();
            let rule = |rest: u32| match (12 - rest) % 11 {
                10 => "X".to_owned(),
                digit => digit.to_string(),
            };
            weighted(format!("{}{year}{day}{}", random.fill("11####"), random.fill("###")), weights, 11, rule)
        }),
        18 => (
            "passport",
            (*random.of(&["Passport No. ", "pasipoti ", "passaporte nº "])).into(),
            random.fill("A#######"),
        ),
        _ => (
            "United States",
            String::new(),
            format!("{}-{}-{}", random.between(100, 599), random.between(10, 99), random.between(1000, 9999)),
        ),
    }
}

fn money(random: &mut Random) -> Made {
    match random.below(6) {
        0 | 1 => ("M-Pesa, Kenya", String::new(), random.fill("{S}AX#AX#XXA")).with_after(),
        2 => ("M-Pesa, Tanzania", "M-PESA ".into(), random.fill("9A##A##AX#X")),
        3 => (
            "Airtel Money",
            "Trans ID: ".into(),
            format!(
                "PP{:02}{}.{}.A{}",
                random.between(18, 25),
                random.day(""),
                random.fill("####"),
                random.fill("#####")
            ),
        ),
        4 => (
            "MTN, bKash",
            (*random.of(&["Financial Transaction Id: ", "TrxID ", "Transaction ID "])).into(),
            random.fill("X%#X#A#X##"),
        ),
        _ => ("account", (*random.of(&["Account No: ", "akaunti namba ", "A/C "])).into(), random.fill("0###########")),
    }
}

trait Confirmation {
    fn with_after(self) -> Self;
}

impl Confirmation for Made {
    /// The words of a confirmation, said before the code here.
    fn with_after(self) -> Self {
        (self.0, "M-PESA imethibitishwa: ".to_owned(), self.2)
    }
}

pub(super) const OTHERS: [&str; 18] = [
    "dates",
    "prices",
    "books",
    "years",
    "scores",
    "laws",
    "versions",
    "times",
    "figures",
    "tables",
    "populations",
    "links",
    "time stamps",
    "bar codes",
    "plates and flights",
    "verses",
    "measures",
    "identifiers of machines",
];

pub(super) fn other(sort: &str, random: &mut Random) -> String {
    let form = match sort {
        "dates" => {
            *random.of(&["##/1#/19##", "1#.0%.201#", "201#-0%-1#", "1# 0% 202#", "2#-1#-199#", "1# Januari 201#"])
        }
        "prices" => *random.of(&[
            "Sh %,###,###",
            "KSh%##,###.00",
            "$%.## bilioni",
            "Tsh %#.###.###",
            "₦%##,###",
            "%## ### ### FCFA",
            "USD %######",
        ]),
        "books" => *random.of(&[
            "ISBN {978}-%-####-####-#",
            "ISBN {978}9976######",
            "ISBN 0-####-####-#",
            "ISSN 1###-####",
            "ISBN 0#########",
        ]),
        "years" => *random.of(&["19##-20##", "199#–201#", "201#/201#", "20## 20## 20##", "(18##-19##)"]),
        "scores" => *random.of(&["2-1", "21-1# 21-1#", "%-% %-%", "6-4 7-6 6-3", "1##-##"]),
        "laws" => *random.of(&[
            "Sheria Na. 1# ya 20##",
            "GN. %##/20##",
            "Section 1#.%.%.%",
            "Art. 1##(2)(a)",
            "Cap. %## R.E 20##",
        ]),
        "versions" => *random.of(&[
            "v%.%#.%",
            "version 1#.%.%.%#",
            "toleo %.0.%.1#",
            "Android 1#.%",
            "%.%#.1###-rc%",
            "Chrome 9#.0.4###.1##",
        ]),
        "times" => *random.of(&["saa 1#:##", "0%:##:##", "20%%-1#-1#T0%:##:##Z", "1#.##-1#.## EAT", "0%00"]),
        "figures" => *random.of(&[
            "%,###,###,###",
            "%#.###.###.###",
            "%## ### ###",
            "%#,###.##",
            "0.######",
            "%.######e-#",
            "1 2## ### ###",
        ]),
        "tables" => *random.of(&[
            "%## %## %## %##",
            "%#.# %#.# %#.#",
            "%### %### %###",
            "%## ### %## ###",
            "%#% %#% %#%",
            "12 3## 4# 5## 6#",
        ]),
        "populations" => *random.of(&["watu %#######", "%######", "%#####", "kura %,###,### kati ya %#,###,###"]),
        "links" => *random.of(&[
            "https://habari.co.tz/a/%###############",
            "bbc.com/swahili/habari-%#######",
            "http://x.org/?id=%###########&p=%",
            "t.co/X#X#X#X#X#",
            "#habari20##",
        ]),
        "time stamps" => *random.of(&["202%1%1#1#2#3#", "16########", "202%0%1#", "1#########.###"]),
        "bar codes" => *random.of(&["6161########", "60090########", "5000###########"]),
        "plates and flights" => *random.of(&["KAA ###B", "T ### ABC", "ET 8##", "Boeing 737-800", "KQ100", "A380-8##"]),
        "verses" => *random.of(&["Mathayo 5:3-12", "Zab. 1##:1-#", "Sura 2:255", "1 Kor 13:4-#"]),
        "measures" => {
            *random.of(&["1##.### km", "%#.##°C", "1,### mm", "%##x%##", "4x100m", "36.%°C na 37.%°C", "1 050 ### m³"])
        }
        _ => *random.of(&[
            "{550e8400-e29b-41d4-a716-4466554}4####",
            "00:1{a}:2{b}:3{c}:4{d}:#{e}",
            "192.168.1.1##",
            "127.0.0.1",
            "10.0.#.1##",
            "{d41d8cd98f00b204e980}0998####",
        ]),
    };
    random.fill(form)
}
