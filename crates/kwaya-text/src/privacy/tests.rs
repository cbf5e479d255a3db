//! Whole texts through all rules.

use std::{fs, path::Path};

use super::*;

fn with(settings: Settings) -> Privacy {
    Privacy::new(&settings).unwrap()
}

fn in_countries(countries: &[&str]) -> Privacy {
    with(Settings { countries: countries.iter().map(|&name| name.to_owned()).collect(), ..Settings::default() })
}

fn redact(privacy: &Privacy, text: &str) -> String {
    privacy.redact(text.to_owned()).text
}

#[test]
fn each_kind_is_replaced_in_the_forms_people_write() {
    let privacy = Privacy::plain();
    for (before, after) in [
        ("Piga +255 712 345 678 leo", "Piga <phone> leo"),
        ("Simu: 0712-345-678.", "Simu: <phone>."),
        ("0712345678", "<phone>"),
        ("(254712345678)", "(<phone>)"),
        ("00254 20 123 4567, au", "<phone>, au"),
        ("+44 (20) 7946 0958", "<phone>"),
        ("+44 (0)20 7946 0958", "<phone>"),
        ("(+254) 712 345 678 na", "<phone> na"),
        ("0712 345 678 au 0755 111 222", "<phone> au <phone>"),
        ("Tel. 2123456/2123457", "Tel. <phone>/<phone>"),
        ("Simu: 0712345678/0755111222", "Simu: <phone>/<phone>"),
        ("call (212) 555-2368 now", "call <phone> now"),
        ("wa.me/254712345678", "wa.me/<phone>"),
        ("ফোন: ০১৭১১-১২৩৪৫৬।", "ফোন: <phone>।"),
        ("هاتف ٠١٠١٢٣٤٥٦٧٨", "هاتف <phone>"),
        ("电话13812345678。", "电话<phone>。"),
        ("โทร.0812345678", "โทร.<phone>"),
        ("tuma kwa juma.ali@mfano.co.tz.", "tuma kwa <email>."),
        ("juma123 (at) mfano [dot] com", "<email>"),
        ("0712345678@mfano.com", "<email>"),
        ("María: josé.peña@correo.mx,", "María: <email>,"),
        ("kadi 4111 1111 1111 1111 imeisha", "kadi <card> imeisha"),
        ("5500-0000-0000-0004", "<card>"),
        ("378282246310005", "<card>"),
        ("IBAN GB29 NWBK 6016 1331 9268 19.", "IBAN <iban>."),
        ("MU17BOMM0101101030300200000MUR", "<iban>"),
        ("kutoka 41.90.64.123 jana", "kutoka <ip> jana"),
        ("http://197.248.5.23:8080/a", "http://<ip>:8080/a"),
        ("2a00:1450:4001:81b::200e", "<ip>"),
        ("GPS -1.286389, 36.817223", "GPS <coordinates>"),
        ("1°17′11″S 36°49′2″E", "<coordinates>"),
        ("maps/@-6.79235,39.20832,15z", "maps/@<coordinates>,15z"),
        ("lat: -1.2864, lon: 36.8172", "lat: <coordinates>"),
        ("Kitambulisho namba 12345678", "Kitambulisho namba <id>"),
        ("CPF 123.456.789-09", "CPF <id>"),
        ("QGR7XK2P0A Confirmed. Ksh500", "<money> Confirmed. Ksh500"),
    ] {
        assert_eq!(redact(&privacy, before), after, "{before}");
    }
}

#[test]
fn numbers_without_a_zero_are_of_the_countries_of_the_corpus() {
    for (countries, before, after) in [
        (&["IN"][..], "98765 43210 पर", "<phone> पर"),
        (&["IN"], "+919876543210, 919876543210", "<phone>, <phone>"),
        (&["SN"], "77 123 45 67", "<phone>"),
        (&["CI"], "07 07 12 34 56", "<phone>"),
        (&["BR"], "(11) 91234-5678", "<phone>"),
        (&["MZ"], "84 123 4567", "<phone>"),
        (&["FR"], "06 12 34 56 78", "<phone>"),
        (&["TZ"], "watu 12 345 678 na 61 234 567", "watu 12 345 678 na 61 234 567"),
    ] {
        assert_eq!(redact(&in_countries(countries), before), after);
    }
    let languages = with(Settings { languages: vec!["pt-MZ".into(), "qaa".into()], ..Settings::default() });
    assert_eq!(redact(&languages, "84 123 4567"), "<phone>");
    let wrong = Privacy::new(&Settings { countries: vec!["KENYA".into()], ..Settings::default() }).unwrap_err();
    assert_eq!(wrong.key(), "privacy-country");
}

#[test]
fn other_numbers_stay() {
    let all = ["TZ", "KE", "IN", "BD", "FR", "SN", "CI", "BR", "US", "MZ", "ET", "NG"];
    for privacy in [Privacy::plain(), in_countries(&all).into()] {
        for text in [
            "mwaka 1999-2004 na 2010",
            "01 02 2020, 12/05/2021, 2021-05-12, 12-05-2021, 2021 05 12",
            "Sh 1,250,000,000 na 0.123456789",
            "ISBN 978-9976-60-123-4 na 0-7356-1990-3, ISBN 0735619903",
            "watu 254 300 000 walipiga kura",
            "tarehe 10.10.2020 saa 0800",
            "+5 na + 10, a+b@c, @juma, react@18.2.0",
            "namba AB0712345678 na 07123456789012",
            "2015-2019, 2015 2016 2017 2018",
            "toleo 4.15.0.213 na kifungu 3.14.15.92, v1.2.3.4, 127.0.0.1, 192.168.1.10",
            "saa 10:30:45, Mt 5:3-12, 21-19 21-17 21-15",
            "36.6°C na 37.2°C, 3.14159 na 0.33333, 12.5 45.7",
            "https://habari.co.tz/a/1234567890123456?id=254712345678",
            "Sheria Na. 12 ya 2019, GN 123/2019, 20210512103045",
            "ongezeko la 12 345 678 901, 1.234.567.890",
            "550e8400-e29b-41d4-a716-446655440000, 00:1a:2b:3c:4d:5e",
            "COVID-19, B-52, 4x100m, 5G, Boeing 737-800, KAA 123B",
        ] {
            assert_eq!(redact(&privacy, text), text);
        }
    }
}

#[test]
fn counts_are_by_kind_and_nothing_else_changes() {
    let redacted = Privacy::plain().redact("a@b.co na c@d.co, +255 712 345 678: habari".into());
    assert_eq!(redacted.text, "<email> na <email>, <phone>: habari");
    assert_eq!(redacted.counts, [(Kind::Email, 2), (Kind::Phone, 1)].into());
    assert_eq!(serde_json::to_string(&redacted.counts).unwrap(), r#"{"email":2,"phone":1}"#);
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        assert!(kwaya_base::messages::exists(&format!("privacy-{kind}")), "{kind}");
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    folder
}

const PACK: &str = r#"
[[rule]]
name = "Members of the co-operative"
kind = "id"
pattern = 'UM-\d{5}'
near = ["mwanachama*"]
match = ["mwanachama UM-12345"]
no_match = ["UM-12345", "mwanachama UM-1234"]
"#;

fn of_pack(folder: &Path) -> Result<Privacy> {
    Privacy::new(&Settings { packs: vec![folder.join("my.toml")], ..Settings::default() })
}

#[test]
fn a_pack_of_ones_own_counts_into_the_hash() {
    let own = folder(&[("my.toml", PACK)]);
    let privacy = of_pack(own.path()).unwrap();
    assert_eq!(redact(&privacy, "Mwanachama wetu UM-12345"), "Mwanachama wetu <id>");
    assert_eq!(redact(&privacy, "Basi UM-12345"), "Basi UM-12345");
    assert_ne!(privacy.hash(), Privacy::plain().hash());
    assert_eq!(Privacy::plain().hash(), Privacy::plain().hash());
    assert_ne!(in_countries(&["TZ"]).hash(), Privacy::plain().hash());
}

#[test]
fn a_pack_that_does_not_do_what_it_says_is_refused() {
    for (from, to, key, named) in [
        (r"\d{5}", r"\d{6}", "privacy-example-missed", "mwanachama UM-12345"),
        ("near = [\"mwanachama*\"]\n", "", "privacy-example-found", "UM-12345"),
        (r"\d{5}", "(", "privacy-rule", "Members"),
        (r"\d{5}", "(a{1000}){1000}", "privacy-rule", "Members"),
        ("[\"mwanachama*\"]", "[\"@nothing\"]", "privacy-rule", "@nothing"),
        ("[\"mwanachama*\"]", "[\" \"]", "privacy-rule", "empty"),
        ("kind = \"id\"", "kind = \"ID\"", "privacy-file", "kind"),
        ("match = [\"mwanachama UM-12345\"]", "match = []", "privacy-rule", "examples"),
        ("near", "neer", "privacy-file", "neer"),
        (
            "near",
            "checksum = [{ weighted = { weights = [], modulo = 1, characters = '' } }]\nnear",
            "privacy-rule",
            "weights",
        ),
    ] {
        let own = folder(&[("my.toml", &PACK.replacen(from, to, 1))]);
        let error = of_pack(own.path()).unwrap_err();
        assert_eq!(error.key(), key, "{to}: {error}");
        assert!(error.args().iter().any(|(_, value)| value.contains(named)), "{error:?}");
        assert!(error.remedy().is_some());
    }
    assert_eq!(of_pack(folder(&[]).path()).unwrap_err().key(), "io-not-found");
    let large = folder(&[("my.toml", &"#".repeat(FILE_BYTES_MAX as usize + 1))]);
    assert_eq!(of_pack(large.path()).unwrap_err().key(), "privacy-file");
}

#[test]
fn names_are_whole_words_as_written_or_in_capitals() {
    let own = folder(&[("names.txt", "# watu\nJuma Ali\nJuma\nNg'ang'a\nസുമ\nสมชาย\n")]);
    let settings = Settings { names: vec![own.path().join("names.txt")], ..Settings::default() };
    let privacy = with(settings);
    for (before, after) in [
        ("Juma Ali na JUMA ALI", "<name> na <name>"),
        ("Juma Alitoka jana", "<name> Alitoka jana"),
        ("juma mosi, Jumanne, Jumapili", "juma mosi, Jumanne, Jumapili"),
        ("Bw. Ng'ang'a alisema", "Bw. <name> alisema"),
        ("ที่สมชายไป", "ที่<name>ไป"),
        ("സുമ വന്നു, സുമതി", "<name> വന്നു, സുമതി"),
        ("juma.Juma@mfano.com, Juma", "<email>, <name>"),
    ] {
        assert_eq!(redact(&privacy, before), after);
    }
    for wrong in ["A\n", &"x".repeat(300)] {
        let own = folder(&[("names.txt", wrong)]);
        let settings = Settings { names: vec![own.path().join("names.txt")], ..Settings::default() };
        assert_eq!(Privacy::new(&settings).unwrap_err().key(), "privacy-file");
    }
}

/// `#` stands for any digit, `%` for one from 1 to 9.
const PLAIN: [&str; 24] = [
    "https://habari.co.tz/makala/%#######-%##########/?id=%###########&p=%",
    "www.mfano.org/a_%############.html, t.co/%#########, http://x.org/20##/1#/0%/%######",
    "https://facebook.com/groups/%##############/posts/%##############",
    "mwaka 19## na 20##, 19##-20##, 20##/20##, (18##–19##)",
    "tarehe 1#/0%/20##, 1#.0%.19##, 20##-0%-1#, 1# Januari 20##",
    "Sh %,###,###, KSh%##,###.00, Tsh %#.###.###, $%.## bilioni, ₦%##,###, %## ### ### FCFA",
    "dola %#######, shilingi %######, Rs. %,##,##,###, USD %#####.##",
    "Mathayo %:%-1#, Zab. 1##:1-#, 1 Kor 1#:%-#; %:%, Sura 2:2##, Mwa 1#:1-1#",
    "saa 1#:##, 0%:##:##, 20##-0%-1#T0%:##:##Z, 1#.##-1#.## EAT",
    "ISBN 978-%-####-####-#, ISBN 978%#########, ISSN %###-####, doi:10.%###/%#######",
    "Sheria Na. 1# ya 20##, GN. %## ya 20##, Section 1#.%.%.%, Art. 1##(2)(a), Cap. %## R.E 20##",
    "v%.%#.%, version 1#.%.%.%#, toleo %.0.%.1#, Android 1#.%, Chrome 9#.0.4###.1##",
    "%,###,###,###; %#.###.###.9##; %## ### ###; %#,###.##; 0.######; %.######e-#",
    "2-1, 21-1# 21-1#, %-% %-%, 6-4 7-6 6-3, 1##-##",
    "1##.### km, %#.##°C, 36.%°C na 37.%°C, %##x%##, 4x100m, 1 050 ### m³",
    "watu %,###,### kati ya %#,###,###, asilimia %#.%#, kura %######",
    "KAA ###B, T ### ABC, ET 8##, Boeing 737-800, A380-8##, N%###",
    "192.168.1.1##, 127.0.0.1, 10.0.#.1##, 00:1a:2b:3c:4d:5e",
    "uk. %##-%##, Juz. %#, Na. %, kurasa %##, 1#(%): %##–%##",
    "%# × %## = %###, %/%#, 1:%0000, ½, 2^%#, 10%",
    "#habari20##, @juma##, juma_##, COVID-19, B-52, G20, 5G, 4.5G",
    "বছর ২০১৯, ১২/০৫/২০২১, টাকা ১,২৫,০০০; सन् २०१९, १२.०५.२०२१",
    "1#h30, 1# heures, le 1#/0%/20##, R$ %.###,##, € %.###,##",
    "20## 20## 20##, %#% %#% %#%, 1%, 2%, 3%; a) %#, b) %#",
];

#[test]
fn links_years_prices_dates_and_verses_stay() {
    let all = ["TZ", "KE", "IN", "BD", "FR", "SN", "CI", "BR", "US", "MZ", "ET", "NG"];
    let mut random = random(11);
    for privacy in [Privacy::plain(), in_countries(&all).into()] {
        for form in PLAIN {
            for _ in 0..400 {
                let digit = |c| match c {
                    '#' => char::from(b'0' + random(10) as u8),
                    '%' => char::from(b'1' + random(9) as u8),
                    other => other,
                };
                let text: String = form.chars().map(digit).collect();
                assert_eq!(redact(&privacy, &text), text);
            }
        }
    }
}

/// Numbers below a bound, from a linear congruence (Knuth, MMIX).
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// Pieces that rules look at, put together at random.
const PIECES: [&str; 40] = [
    "0712345678",
    "+255",
    " 712 345 678",
    "@",
    "a.b",
    "(at)",
    ".co.tz",
    "4111 1111 ",
    "1111 1111",
    "GB29 NWBK ",
    "6016 1331 9268 19",
    "41.90.64.123",
    "2a00:1450:",
    ":81b::200e",
    "-1.286389",
    ", 36.817223",
    "1°17′11″S ",
    "36°49′2″E",
    "ID ",
    "simu ",
    "০১৭১১",
    "٠١٠١٢",
    "–",
    "‑",
    " ",
    "-",
    ".",
    "/",
    "(",
    ")",
    "+",
    "GHA-",
    "CM90",
    "é",
    "ក",
    "\n",
    ":",
    "<phone>",
    "00",
    "ไทย",
];

#[test]
fn nothing_panics_and_a_second_time_changes_nothing() {
    let privacy = in_countries(&["TZ", "IN", "BR"]);
    let mut random = random(7);
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..1 + random(12) {
            text += PIECES[random(PIECES.len())];
        }
        let found = privacy.find(&text);
        assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start), "{text:?}: {found:?}");
        let once = privacy.redact(text.clone());
        assert_eq!(once.counts.values().sum::<u64>(), found.len() as u64);
        let outside = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
        let inside: usize = found.iter().map(|piece| outside(&text[piece.start..piece.end])).sum();
        let placeholders: usize = found.iter().map(|piece| outside(piece.kind.placeholder())).sum();
        assert_eq!(outside(&once.text) + inside, outside(&text) + placeholders, "{text:?}");
    }
}

#[test]
fn hostile_texts_take_time_in_proportion() {
    let privacy = Privacy::plain();
    for piece in ["1", "a1", "1 ", "1-", "@", "a@", "(at", "1.2345, ", "GHA-", "1°2′", "2a00:", "+2", "১", "é1"] {
        let began = std::time::Instant::now();
        privacy.redact(piece.repeat((1 << 19) / piece.len()));
        assert!(began.elapsed().as_secs() < 10, "{piece}: {:?}", began.elapsed());
    }
}
