//! Whole corpora from small folders: what is kept, what is dropped and why,
//! and that the number of threads does not show.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use kwaya_base::{Error, Progress, Silent, Unit};
use kwaya_text::{
    Reason,
    corpus::{self, Document, Options, Split, Stats, Step},
    keep_out::KeepOut,
    privacy::Kind,
    quality::{Level, Wishes},
    sources::{self, Source},
};

/// Ten sentences of Swahili that differ with `seed`.
fn swahili(seed: usize) -> String {
    const WORDS: [&str; 24] = [
        "serikali",
        "wakulima",
        "wananchi",
        "mvua",
        "shule",
        "walimu",
        "habari",
        "maji",
        "barabara",
        "hospitali",
        "watoto",
        "chakula",
        "biashara",
        "soko",
        "mkutano",
        "viongozi",
        "kijiji",
        "mashamba",
        "umeme",
        "vijana",
        "wanawake",
        "afya",
        "elimu",
        "nchi",
    ];
    let mut state = seed as u64 + 1;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        WORDS[(state >> 33) as usize % WORDS.len()]
    };
    (0..10)
        .map(|_| {
            format!(
                "Kwa mujibu wa {} na {} leo katika {} wamesema kuwa {} ni muhimu kwa {}.\n",
                word(),
                word(),
                word(),
                word(),
                word()
            )
        })
        .collect()
}

fn build(folder: &Path, out: &Path, threads: usize) -> Stats {
    build_with(folder, out, Options { threads, ..options() }, &Silent).unwrap()
}

fn options() -> Options {
    Options { languages: vec!["sw".into()], held_out: 0.1, ..Options::default() }
}

fn build_with(folder: &Path, out: &Path, options: Options, progress: &dyn Progress) -> Result<Stats, Error> {
    fs::create_dir_all(out).unwrap();
    let sources =
        [Source { path: folder.to_owned(), licence: "CC-BY-4.0".into(), language: Some("sw".into()), column: None }];
    let listing = sources::scan(&sources, u64::MAX, &Silent).unwrap();
    corpus::build(&listing, &sources, &options, &out.join("unfinished"), out, progress)
}

/// The bytes of both tables.
fn tables(out: &Path) -> [Vec<u8>; 2] {
    ["documents.parquet", "dropped.parquet"].map(|name| fs::read(out.join(name)).unwrap())
}

fn documents(out: &Path) -> Vec<Document> {
    corpus::documents(&out.join("documents.parquet")).unwrap().map(Result::unwrap).collect()
}

fn reasons(out: &Path) -> BTreeMap<String, Reason> {
    let dropped = corpus::dropped(&out.join("dropped.parquet")).unwrap();
    dropped.map(Result::unwrap).map(|d| (d.source, d.reason)).collect()
}

fn folder_of_all_sorts(folder: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    for i in 0..20 {
        write(&format!("habari-{i:02}.txt"), swahili(i).as_bytes());
    }
    write("kichwa.md", format!("# Kichwa cha *habari*\n\n{}", swahili(100)).as_bytes());
    let page = swahili(101).replace('\n', "</p><p>");
    write(
        "ukurasa.html",
        format!("<!doctype html><title>Habari</title><body><article><p>{page}</p></article>").as_bytes(),
    );
    write(
        "utf16.txt",
        &[0xfe, 0xff].into_iter().chain(swahili(102).encode_utf16().flat_map(u16::to_be_bytes)).collect::<Vec<u8>>(),
    );
    write("simu.txt", format!("{}Piga 0712 345 678 au andika kwa a.b@c.co.tz\n", swahili(103)).as_bytes());
    write("z-nakala.txt", swahili(3).as_bytes());
    write("z-karibu.txt", format!("{}Asante.\n", swahili(4)).as_bytes());
    write("tupu.txt", b"");
    write("fupi.txt", b"Habari za leo.");
    write("picha.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0");
    write("hesabu.txt", "12.5 | 33.1 | 0.77\n".repeat(20).as_bytes());
    write("english.txt", "The government said that the farmers will receive new seeds before the rains begin, and that the roads to the markets would be repaired this year.\n".as_bytes());
    write("mbovu.docx", b"PK\x03\x04\x14\0\0\0word/document.xml");
    write("mbovu.pdf", b"%PDF-1.7\nnothing more");
    write(".siri.txt", swahili(200).as_bytes());
}

#[test]
fn each_thing_is_kept_or_dropped_for_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&folder).unwrap();
    folder_of_all_sorts(&folder);
    let stats = build(&folder, &out, 2);
    let documents = documents(&out);
    let reasons = reasons(&out);
    for (name, reason) in [
        ("z-nakala.txt", Reason::ExactDuplicate),
        ("z-karibu.txt", Reason::NearDuplicate),
        ("tupu.txt", Reason::Empty),
        ("fupi.txt", Reason::TooShort),
        ("picha.png", Reason::Picture),
        ("hesabu.txt", Reason::NotText),
        ("english.txt", Reason::OtherLanguage),
        ("mbovu.docx", Reason::Damaged),
        ("mbovu.pdf", Reason::Damaged),
    ] {
        assert_eq!(reasons.get(name), Some(&reason), "{name}");
    }
    assert_eq!((documents.len(), reasons.len()), (24, 9), "{reasons:?}");
    assert_eq!(stats.documents, 24);
    assert_eq!(stats.replaced, [(Kind::Email, 1), (Kind::Phone, 1)].into());
    let by_name = |name: &str| documents.iter().find(|d| d.source == name).unwrap();
    assert!(by_name("simu.txt").text.ends_with("Piga <phone> au andika kwa <email>"));
    assert!(by_name("kichwa.md").text.starts_with("Kichwa cha habari\n"));
    assert_eq!(by_name("utf16.txt").text, swahili(102).trim_end());
    assert!(by_name("ukurasa.html").text.contains("wamesema kuwa"));
    assert!(documents.iter().any(|d| d.split == Split::HeldOut) && documents.iter().any(|d| d.split == Split::Train));
    assert!(documents.iter().all(|d| d.id == blake3::hash(d.text.as_bytes()).to_hex().as_str()));
}

/// Builds in `out`, in a folder for each number of threads.
fn threads_do_not_show(folder: &Path, out: &Path) {
    let built = [1, 2, 3].map(|threads| {
        let out = out.join(threads.to_string());
        let stats = build(folder, &out, threads);
        (stats, tables(&out))
    });
    assert!(built[0] == built[1] && built[0] == built[2]);
}

#[test]
fn the_number_of_threads_does_not_show() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    folder_of_all_sorts(&folder);
    threads_do_not_show(&folder, dir.path());
}

/// Asks to stop when it has been told of the progress so often.
struct StopAfter(AtomicU64);

impl Progress for StopAfter {
    fn begin(&self, _: &'static str, _: u64, _: Unit) {}
    fn at(&self, _: u64) {
        self.0.fetch_update(SeqCst, SeqCst, |left| Some(left.saturating_sub(1))).unwrap();
    }
    fn stopped(&self) -> bool {
        self.0.load(SeqCst) == 0
    }
}

#[test]
fn neither_the_limit_of_memory_nor_a_stop_at_any_moment_shows() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, whole) = (dir.path().join("in"), dir.path().join("whole"));
    fs::create_dir(&folder).unwrap();
    folder_of_all_sorts(&folder);
    // More batches than one.
    for i in 0..300 {
        fs::write(folder.join(format!("mengine-{i:03}.txt")), swahili(300 + i % 250)).unwrap();
    }
    let stats = build(&folder, &whole, 2);
    for (number, steps) in [0, 1, 2, 3, 5, 8, 60, 150, 250].into_iter().enumerate() {
        let out = dir.path().join(number.to_string());
        let options = || Options { memory_bytes: 0, threads: 1 + number % 3, ..options() };
        let stop = StopAfter(AtomicU64::new(steps));
        let error = build_with(&folder, &out, options(), &stop).unwrap_err();
        assert_eq!(error.key(), "interrupted", "{steps}");
        assert!(!out.join("documents.parquet").exists());
        assert!(build_with(&folder, &out, options(), &Silent).unwrap() == stats, "{steps}");
        assert!(tables(&out) == tables(&whole), "{steps}");
        // As after a power cut before the tables were where they belong: all is done already.
        fs::remove_file(out.join("documents.parquet")).unwrap();
        assert!(build_with(&folder, &out, options(), &Silent).unwrap() == stats, "{steps}");
        assert!(tables(&out) == tables(&whole), "{steps}");
    }
}

/// How far a build that was stopped had come: files, and records of the next one in
/// batches.
fn reached(out: &Path) -> (u64, u64) {
    let mark: serde_json::Value = serde_json::from_slice(&fs::read(out.join("unfinished/mark")).unwrap()).unwrap();
    (mark["files"].as_u64().unwrap(), mark["batches"].as_u64().unwrap())
}

/// A file that takes hours is not begun again.
#[test]
fn a_stop_in_the_middle_of_a_large_file_costs_nothing_that_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, whole, out) = (dir.path().join("in"), dir.path().join("whole"), dir.path().join("out"));
    fs::create_dir(&folder).unwrap();
    let texts = (0..3000).map(|i| if i % 4 == 0 { swahili(i / 8) } else { swahili(i) });
    let lines = texts.map(|text| format!("{}\n{{\"text\": \"fupi\"}}\n", serde_json::json!({ "text": text })));
    fs::write(folder.join("b.jsonl"), lines.collect::<String>()).unwrap();
    for name in ["a.txt", "c.txt"] {
        fs::write(folder.join(name), swahili(name.len() + usize::from(name.as_bytes()[0]))).unwrap();
    }
    let stats = build(&folder, &whole, 2);
    assert_eq!(stats.dropped[&Reason::TooShort], 1001, "the lines after the first thousand have one row");
    let (mut before, mut stops) = ((0, 0), 0);
    while before.0 < 3 {
        // It is told of the beginning, and of one more.
        let options = Options { threads: 1 + stops % 3, ..options() };
        let error = build_with(&folder, &out, options, &StopAfter(AtomicU64::new(2))).unwrap_err();
        assert_eq!(error.key(), "interrupted");
        let after = reached(&out);
        assert!(after > before, "{after:?} after {before:?}");
        (before, stops) = (after, stops + 1);
    }
    assert!(stops > 4, "{stops}");
    assert!(build(&folder, &out, 2) == stats);
    assert!(tables(&out) == tables(&whole));
}

#[test]
fn a_paragraph_stays_in_the_first_document_that_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&folder).unwrap();
    let notice = "Haki zote zimehifadhiwa na shirika la habari; makala haya hayaruhusiwi kuchapishwa tena bila ruhusa \
                  ya maandishi kutoka kwa mhariri mkuu wa gazeti hili na wakili wake.";
    for i in 0..3 {
        fs::write(folder.join(format!("{i}.txt")), format!("{}\n{notice}\n\nMwisho.", swahili(i))).unwrap();
    }
    fs::write(folder.join("tangazo.txt"), notice).unwrap();
    let stats = build(&folder, &out, 2);
    assert_eq!((stats.documents, stats.repeated_paragraphs), (3, 2));
    assert_eq!(reasons(&out), BTreeMap::from([("tangazo.txt".to_owned(), Reason::RepeatedParagraphs)]));
    for document in documents(&out) {
        let first = document.source == "0.txt";
        assert_eq!(document.text.contains(notice), first);
        assert!(document.text.ends_with("\n\nMwisho."), "{}", document.text);
        assert_eq!(document.history.contains(&Step::Repeated { paragraphs: 1 }), !first);
        assert_eq!(document.id, blake3::hash(document.text.as_bytes()).to_hex().as_str());
    }
    let options = Options { unique_paragraphs: false, ..options() };
    assert_eq!(build_with(&folder, &out, options, &Silent).unwrap().documents, 4);
}

#[test]
fn what_models_are_measured_with_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&folder).unwrap();
    for i in 0..3 {
        fs::write(folder.join(format!("{i}.txt")), swahili(i)).unwrap();
    }
    let questions = dir.path().join("maswali.jsonl");
    let question = serde_json::json!({ "question": swahili(1).lines().nth(4).unwrap(), "answer": "maji" });
    fs::write(&questions, question.to_string()).unwrap();
    let options = Options { keep_out: KeepOut::read(&[questions]).unwrap(), ..options() };
    build_with(&folder, &out, options, &Silent).unwrap();
    assert_eq!(reasons(&out), BTreeMap::from([("1.txt".to_owned(), Reason::Contaminated)]));
}

#[cfg(unix)]
#[test]
fn link_loops_and_odd_names_are_harmless() {
    use std::os::unix::{ffi::OsStrExt, fs::symlink};
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(std::ffi::OsStr::from_bytes(b"jina-\xff.txt")), swahili(1)).unwrap();
    symlink(&folder, folder.join("loop")).unwrap();
    symlink("nowhere", folder.join("broken")).unwrap();
    let source = [Source { path: folder, licence: String::new(), language: None, column: None }];
    let listing = sources::scan(&source, u64::MAX, &Silent).unwrap();
    assert_eq!(listing.files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["jina-\\xFF.txt"]);
    let skipped: Vec<_> = listing.skipped.iter().map(|d| (d.source.as_str(), d.reason)).collect();
    assert_eq!(skipped, [("broken", Reason::Unreadable), ("loop", Reason::LinkLoop)]);
}

#[test]
fn nothing_to_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let scan = |path: &Path| {
        let source = Source { path: path.to_owned(), licence: String::new(), language: None, column: None };
        sources::scan(&[source], u64::MAX, &Silent).unwrap_err().key()
    };
    assert_eq!(scan(dir.path()), "source-empty");
    assert_eq!(scan(&dir.path().join("none")), "source-missing");
}

#[test]
fn each_line_of_json_lines_is_a_document() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&folder).unwrap();
    let chat = |number: usize| {
        let answer = format!("Andika kwa a.b@c.co.tz. {}", swahili(number));
        serde_json::json!({ "messages": [
            { "role": "user", "content": format!("Eleza habari za {number}") },
            { "role": "assistant", "content": answer },
        ] })
    };
    let short = serde_json::json!({ "messages": [{ "role": "assistant", "content": "Habari za leo ni nzuri." }] });
    let lines = [
        serde_json::json!({ "text": swahili(1) }).to_string(),
        chat(2).to_string(),
        "{\"messages\": []}".to_owned(),
        chat(2).to_string(),
        short.to_string(),
        serde_json::json!({ "text": "fupi" }).to_string(),
        "{".to_owned(),
    ];
    fs::write(folder.join("mazungumzo.jsonl"), lines.join("\n")).unwrap();
    let stats = build(&folder, &out, 2);
    let documents = documents(&out);
    assert_eq!(stats.formats, BTreeMap::from([("chat".to_owned(), 2), ("jsonl".to_owned(), 1)]));
    let [text, chat, short] = &documents[..] else { panic!("{documents:?}") };
    assert_eq!((text.text.as_str(), text.messages()), (swahili(1).trim_end(), None));
    let messages = chat.messages().unwrap();
    assert_eq!(messages.iter().map(|m| m.role.as_str()).collect::<Vec<_>>(), ["user", "assistant"]);
    assert!(messages[1].content.starts_with("Andika kwa <email>"), "{messages:?}");
    assert_eq!(stats.replaced, [(Kind::Email, 1)].into());
    assert_eq!(short.messages().unwrap().len(), 1, "a chat may be short");
    let dropped = corpus::dropped(&out.join("dropped.parquet")).unwrap().map(Result::unwrap);
    let dropped: Vec<_> = dropped.map(|d| (d.reason, d.detail)).collect();
    let reasons: Vec<Reason> = dropped.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, [Reason::BadLine, Reason::ExactDuplicate, Reason::TooShort, Reason::BadLine]);
    assert!(dropped[0].1.starts_with("line 3: ") && dropped[3].1.starts_with("line 7: "), "{dropped:?}");
    let first = fs::read(out.join("documents.parquet")).unwrap();
    build(&folder, &dir.path().join("again"), 1);
    assert!(first == fs::read(dir.path().join("again/documents.parquet")).unwrap(), "threads do not show");
}

/// Files of lines among others, with good and bad lines.
fn folder_of_lines(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let text = |text: &str| serde_json::json!({ "text": text }).to_string();
    let chat = |role: &str, answer: &str| {
        let messages = [[role, "Eleza habari"], ["assistant", answer]];
        let messages = messages.map(|[role, content]| serde_json::json!({ "role": role, "content": content }));
        serde_json::json!({ "messages": messages }).to_string()
    };
    fs::write(folder.join("a.txt"), swahili(0)).unwrap();
    let mut lines: Vec<String> = (1..20).map(|i| chat("user", &swahili(i))).collect();
    lines.push(chat("user", "\u{200b}\u{ad}"));
    lines.push(chat("user", &swahili(1)));
    lines.push(chat("system", &swahili(1)));
    lines.push(text(&format!("<html> na %PDF-1.7 {}", swahili(30))));
    fs::write(folder.join("b.jsonl"), lines.join("\n")).unwrap();
    let page = text(&format!("Ìjọba <html> %PDF-1.7 {}", swahili(31)));
    fs::write(folder.join("c.ndjson"), [page.as_bytes(), b"\n{\"text\": \"\xff\"}\n{\"text\": \"\0\"}\n"].concat())
        .unwrap();
    fs::write(folder.join("d.jsonl"), ["{}", "{\"text\": \"fupi\"}\n"].join("\n").repeat(1003)).unwrap();
    let utf16 = text(&swahili(32)).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    fs::write(folder.join("e.jsonl"), [&[0xff, 0xfe], &utf16[..]].concat()).unwrap();
}

#[test]
fn a_wrong_line_costs_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("in"), dir.path().join("out"));
    folder_of_lines(&folder);
    let stats = build(&folder, &out, 2);
    assert_eq!(stats.formats, BTreeMap::from([("chat".into(), 20), ("jsonl".into(), 3), ("txt".into(), 1)]));
    let documents = documents(&out);
    let of = |name: &str| documents.iter().filter(|d| d.source == name).map(|d| &*d.text).collect::<Vec<_>>();
    assert!(of("b.jsonl")[20].starts_with("<html> na %PDF-1.7 Kwa mujibu"));
    assert!(of("c.ndjson")[0].starts_with("Ìjọba <html> %PDF-1.7 Kwa"));
    assert_eq!(of("e.jsonl"), [swahili(32).trim_end()]);

    let dropped: Vec<_> = corpus::dropped(&out.join("dropped.parquet")).unwrap().map(Result::unwrap).collect();
    let of = |name: &str| -> Vec<_> {
        dropped.iter().filter(|d| d.source == name).map(|d| (d.reason, &*d.detail, d.bytes)).collect()
    };
    let b = of("b.jsonl");
    assert_eq!((b[0].0, b[0].1), (Reason::BadLine, "line 20: no answer"));
    // Chats may be alike, but not the same.
    assert_eq!((b[1].0, b.len()), (Reason::ExactDuplicate, 2));
    let c = of("c.ndjson");
    assert_eq!(c[0], (Reason::BadLine, "line 2: no UTF-8", 13));
    assert!(c[1].1.starts_with("line 3: control character"), "{c:?}");
    let d = of("d.jsonl");
    assert_eq!(d[..2].iter().map(|d| d.0).collect::<Vec<_>>(), [Reason::BadLine, Reason::TooShort]);
    assert_eq!(d[1], (Reason::TooShort, "line 2", 16));
    assert_eq!(d[2000..], [(Reason::BadLine, "3 more", 6), (Reason::TooShort, "3 more", 48)]);
}

#[test]
fn chats_are_held_out_whole_and_threads_do_not_show() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    folder_of_lines(&folder);
    threads_do_not_show(&folder, dir.path());
    let documents = documents(&dir.path().join("1"));
    let chats: Vec<&Document> = documents.iter().filter(|d| d.messages().is_some()).collect();
    let held_out = chats.iter().filter(|d| d.split == Split::HeldOut).count();
    assert!((1..20).contains(&held_out), "{held_out}");
    for chat in chats {
        let messages = chat.messages().unwrap();
        assert_eq!(chat.text, serde_json::to_string(&messages).unwrap());
        assert_eq!(chat.id, blake3::hash(chat.text.as_bytes()).to_hex().as_str());
        assert!(matches!(chat.history[1], corpus::Step::Normalise { .. }), "{:?}", chat.history);
    }
}

#[test]
fn texts_are_judged_by_the_rest_of_their_language() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("in"), dir.path().join("out"));
    for (path, text) in (0..60).map(|i| (format!("gazeti/{i:02}.txt"), swahili(i))) {
        fs::create_dir_all(folder.join("gazeti")).unwrap();
        fs::write(folder.join(path), format!("Mwanzo | Habari | Wasiliana nasi\n\n{text}")).unwrap();
    }
    fs::write(folder.join("gazeti/pana.txt"), format!("{}Lorem ipsum dolor sit amet.\n", swahili(70))).unwrap();
    fs::write(folder.join("peke.txt"), format!("Mwanzo | Habari | Wasiliana nasi\n\n{}", swahili(71))).unwrap();
    // The same words as a document that is dropped; it is not dropped for it.
    let twin = format!("{}Lorem ipsum dolor sit amet, {{}} {{}} {{}}\n", swahili(72));
    fs::write(folder.join("a.txt"), &twin).unwrap();
    fs::write(folder.join("b.txt"), twin.replace("Lorem ipsum", "Mvua kubwa")).unwrap();
    let stats = build(&folder, &out, 2);
    let documents = documents(&out);
    let (kept, reasons) = (|name: &str| documents.iter().find(|document| document.source == name), reasons(&out));
    let cleaned = kept("gazeti/07.txt").unwrap();
    assert_eq!(cleaned.text, swahili(7).trim_end());
    let taken = cleaned.history.iter().find_map(|step| match step {
        Step::Lines { removed, bytes } => Some((removed.values().sum::<u64>(), *bytes)),
        _ => None,
    });
    assert_eq!(taken, Some((1, 34)));
    assert_eq!(cleaned.id, blake3::hash(cleaned.text.as_bytes()).to_hex().as_str());
    assert_eq!(stats.lines_removed.values().sum::<u64>(), 60);
    // What is a menu in one place is a line like others in another.
    assert!(kept("peke.txt").unwrap().text.starts_with("Mwanzo"));
    assert_eq!(reasons["gazeti/pana.txt"].key(), "lorem-ipsum");
    assert_eq!((reasons["a.txt"].key(), kept("b.txt").is_some()), ("lorem-ipsum", true));
    assert!(stats.limits["sw"].limits().any(|(filter, _)| filter.name() == "lorem-ipsum"));

    let off = Options { quality: Wishes { level: Level::Off, ..Wishes::default() }, ..options() };
    let stats = build_with(&folder, &out.join("off"), off, &Silent).unwrap();
    assert!(
        stats.limits.is_empty()
            && stats.lines_removed.is_empty()
            && !stats.dropped.keys().any(|r| r.key() == "lorem-ipsum")
    );
}
