//! Files of every format: what is read of them, what is refused and why, and
//! that no damage stops the program. `golden/formats` holds the files and the
//! scripts that made them.

use std::{fs, panic, path::PathBuf};

use kwaya_base::Silent;
use kwaya_text::{
    Reason,
    corpus::{self, Ocr, Options, Step},
    extract::{self, Worker},
    sources::{self, Source},
};

fn golden(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats").join(name)).unwrap()
}

fn read(name: &str, bytes: &[u8]) -> Result<String, (Reason, String)> {
    extract::text(name, bytes, &Worker::InProcess, None).unwrap()
}

/// Files of the formats that are text.
fn texts() -> Vec<(&'static str, Vec<u8>)> {
    let telegram = r#"{"name": "K", "type": "private_group", "id": 1, "messages": [
        {"id": 1, "type": "message", "from": "Juma", "from_id": "user1", "text": ["Mvua ", {"type": "bold", "text": "kubwa"}]}]}"#;
    let page = r#"<!DOCTYPE html><html><body><div class="history"><div class="message default clearfix"><div class="body">
        <div class="from_name">Juma</div><div class="text">Mvua kubwa</div></div></div></div></body></html>"#;
    let tmx = r#"<?xml version="1.0"?><tmx version="1.4"><body><tu><tuv xml:lang="sw"><seg>Mvua &amp; <ph>x</ph>jua</seg></tuv></tu></body></tmx>"#;
    let ass = "[Script Info]\n[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,{\\i1}Mvua\\Nkubwa\n";
    let utf16: Vec<u8> = "Mvua kubwa inanyesha.\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\n<i>Mvua</i>\n\n2\n00:00:03,000 --> 00:00:04,000\n- [muziki] kubwa\n".to_vec()),
        ("a.vtt", b"WEBVTT\n\nNOTE x\n\n00:01.000 --> 00:02.000 line:0\n<v Asha>Mvua &amp; jua\n".to_vec()),
        ("a.ass", ass.into()),
        ("a.po", b"msgid \"\"\nmsgstr \"Content-Type: text/plain; charset=UTF-8\\n\"\n\n#, c-format\nmsgid \"a\"\nmsgstr[0] \"Mvua \\\"kubwa\\\"\"\n".to_vec()),
        ("a.tmx", tmx.into()),
        ("a.json", telegram.into()),
        ("messages.html", page.into()),
        ("a.txt", "\u{200e}[31/12/2020, 21:41:05] Juma: Mvua @\u{2068}Asha\u{2069} \u{200e}<edited>\n31/12/2020, 21:41 - a\n".into()),
        ("b.txt", utf16),
        ("c.txt", "Ã‰tÃ© Ã\u{a0} lâ€™est, mwi-\nsho wa kur-\n\nasa Úžas".into()),
        ("d.txt", vec![0xcc, 0xe0, 0xf0, 0xf2, 0x20, 0xb0, 0xa1, 0xc4, 0xe3, 0x2e]),
    ]
}

const OFFICE: [&str; 11] = [
    "text.fodt",
    "text.odt",
    "text.docx",
    "text.doc",
    "text.rtf",
    "sheet.fods",
    "sheet.ods",
    "sheet.xlsx",
    "sheet.xls",
    "slides.odp",
    "slides.pptx",
];

#[test]
fn office_files_give_their_text_and_nothing_else() {
    for name in OFFICE {
        let found = read(name, &golden(name)).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        let expected: &[&str] = match name.split_once('.').unwrap().0 {
            "text" => &[
                "Kuvuna mahindi\n",
                "Mahindi huvunwa yakikauka shambani, kisha hupukuchuliwa.",
                "Ẹ kú iṣẹ́, àwọn àgbẹ̀.",
                "Unyevu usizidi asilimia kumi na tatu.",
                "Zao | Magunia\n",
                "Maharage | Kumi na mbili\n",
                "Mwisho wa taarifa.",
            ],
            "sheet" => &["Zao | Magunia\n", "Maharage mekundu | 12\n"],
            _ => &["Kuvuna mahindi\n", "Mahindi huvunwa yakikauka shambani.\n", "Waulize wakulima kuhusu unyevu."],
        };
        for part in expected {
            assert!(found.contains(part), "{name}: {part:?} is not in {found:?}");
        }
        for part in ["kilichofutwa", "maonikando", "[^", "---", "Notes"] {
            assert!(!found.contains(part), "{name}: {part:?} is in {found:?}");
        }
    }
}

/// Calls `look` with a file that was damaged in some way, `rounds` times.
fn damage(bytes: &[u8], rounds: usize, mut look: impl FnMut(&[u8])) {
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for round in 0..rounds {
        let mut damaged = bytes.to_vec();
        match round % 4 {
            0 => damaged.truncate(random(bytes.len())),
            1 => (0..1 + random(8)).for_each(|_| damaged[random(bytes.len())] = random(256) as u8),
            2 => {
                let (from, to) = (random(bytes.len()), random(bytes.len()));
                let length = random(60).min(bytes.len() - from.max(to));
                damaged.copy_within(from..from + length, to);
            }
            _ => {
                let at = random(bytes.len());
                let piece = damaged[at..(at + random(40)).min(bytes.len())].repeat(1 + random(20));
                damaged.splice(at..at, piece);
            }
        }
        look(&damaged);
    }
}

#[test]
fn damaged_texts_never_stop_the_program() {
    for (name, bytes) in texts() {
        assert!(read(name, &bytes).is_ok(), "{name}");
        damage(&bytes, 2000, |damaged| {
            let _ = read(name, damaged);
        });
    }
}

#[test]
fn damaged_office_files_and_pdfs_are_read_or_refused() {
    // Panics of the libraries are caught; their messages help nobody here.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut panics = Vec::new();
    for name in OFFICE.into_iter().chain(["scan.pdf"]) {
        let (bytes, own) = (golden(name), name.ends_with("rtf") || name.contains(".o") || name.contains(".f"));
        damage(&bytes, 200, |damaged| {
            let refusal = read(name, damaged).err();
            if own && refusal.is_some_and(|(_, detail)| detail == "panic") {
                panics.push(name);
            }
        });
    }
    panic::set_hook(hook);
    assert!(panics.is_empty(), "{panics:?}");
}

const PAGES: &str = "<</Type/Pages/Kids[3 0 R]/Count 1>>";
const PAGE: &str = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>>>";
const DRAWS: &str = "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F 5 0 R>>>>/Length 11>>\nstream\n/F Do /F Do\nendstream";

/// A PDF of these objects, which follow its root.
fn pdf(objects: &[&str]) -> Vec<u8> {
    let mut out = "%PDF-1.4\n".to_owned();
    let all = ["<</Type/Catalog/Pages 2 0 R>>"].into_iter().chain(objects.iter().copied());
    for (number, object) in (1..).zip(all) {
        out += &format!("{number} 0 obj\n{object}\nendobj\n");
    }
    (out + "trailer\n<</Root 1 0 R>>\n%%EOF\n").into_bytes()
}

#[test]
fn what_cannot_be_read_says_why() {
    let mut with_password = vec![0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    with_password.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    for (name, bytes, reason) in [
        ("a.docx", with_password, Reason::Encrypted),
        ("a.png", golden("picture.png"), Reason::Picture),
        ("a.pdf", golden("scan.pdf"), Reason::NoText),
        ("b.pdf", golden("password.pdf"), Reason::Encrypted),
        // Pages that hold themselves, and a drawing that draws itself.
        ("c.pdf", pdf(&["<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"]), Reason::Damaged),
        ("d.pdf", pdf(&[PAGES, PAGE, DRAWS, DRAWS]), Reason::NoText),
        ("a.rtf", b"{\\rtf1 Mvua".to_vec(), Reason::Damaged),
        ("a.odt", golden("text.odt")[..9000].to_vec(), Reason::Damaged),
        ("a.tmx", b"<tmx><body><tu>".to_vec(), Reason::Damaged),
        ("a.json", br#"{"messages": [{"from_id": 1"#.to_vec(), Reason::Damaged),
    ] {
        assert_eq!(read(name, &bytes).unwrap_err().0, reason, "{name}");
    }
}

#[test]
fn a_corpus_of_all_formats_says_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&out).unwrap();
    for name in ["text.odt", "sheet.xlsx", "slides.pptx", "text.rtf"] {
        fs::write(folder.join(name), golden(name)).unwrap();
    }
    for (name, bytes) in texts() {
        fs::write(folder.join(format!("x{name}")), bytes).unwrap();
    }
    let sources = [Source { path: folder, licence: "CC-BY-4.0".into(), language: None, column: None }];
    let listing = sources::scan(&sources, u64::MAX, &Silent).unwrap();
    let options = Options { min_characters: 5, near_duplicate: 1.1, ..Options::default() };
    let unfinished = dir.path().join("unfinished");
    let stats = corpus::build(&listing, &sources, &options, &unfinished, &out, &Silent).unwrap();
    let formats: Vec<&str> = stats.formats.keys().map(String::as_str).collect();
    assert_eq!(formats, ["odt", "po", "pptx", "rtf", "subtitles", "telegram", "tmx", "txt", "whatsapp", "xlsx"]);
    assert!(stats.mended["mojibake"] >= 4, "{:?}", stats.mended);
    assert_eq!(stats.mended["hyphens"], 1);
    let documents: Vec<_> = corpus::documents(&out.join("documents.parquet")).unwrap().map(Result::unwrap).collect();
    let by_name = |name: &str| documents.iter().find(|document| document.source == name).unwrap();
    assert_eq!(by_name("xc.txt").text, "Été à l’est, mwisho\nwa kur-\n\nasa Úžas");
    assert!(by_name("xb.txt").history.iter().any(|step| *step == Step::Decode { encoding: "utf-16le".into() }));
    assert_eq!(by_name("xa.txt").text, "1: Mvua @2");
}

#[test]
fn pictures_and_scans_are_read_where_tesseract_is() {
    let ocr = match Ocr::find(&["eng".to_owned()]) {
        Ok(ocr) => ocr,
        Err(error) => return println!("skipped: {error}"),
    };
    for name in ["picture.png", "scan.pdf"] {
        let text = extract::text(name, &golden(name), &Worker::InProcess, Some(&ocr)).unwrap().unwrap();
        assert_eq!(text.trim(), "Mahindi huvunwa yakikauka shambani wakati wa kiangazi.", "{name}");
    }
    let blank = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0";
    assert!(extract::text("a.png", blank, &Worker::InProcess, Some(&ocr)).unwrap().is_err());
}
