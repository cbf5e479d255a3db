//! Texts that were taken back stay out of a corpus: whole files, documents,
//! lines and chats, with nothing of them left in the table of what was dropped.

use std::{fs, path::Path};

use kwaya_base::Silent;
use kwaya_text::{
    Reason,
    corpus::{self, Document, Dropped, Options},
    sources::{self, Source},
    withdrawn::{self, Letters, Withdrawal, Withdrawn},
};

fn swahili(seed: usize) -> String {
    let words = ["serikali", "mkutano", "wananchi", "barabara", "shule", "hospitali", "biashara", "kilimo", "mvua"];
    let mut state = seed as u64 + 1;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words[(state >> 33) as usize % words.len()]
    };
    let line = |_| format!("Kwa mujibu wa {} na {} katika {} ni muhimu kwa {}.\n", word(), word(), word(), word());
    (0..10).map(line).collect()
}

fn build(folder: &Path, out: &Path, withdrawn: &Withdrawn, threads: usize) -> (Vec<Document>, Vec<Dropped>) {
    fs::create_dir_all(out).unwrap();
    let sources = [Source { path: folder.to_owned(), licence: "CC0-1.0".into(), language: None, column: None }];
    let listing = sources::scan(&sources, u64::MAX, &Silent).unwrap();
    let options = Options { languages: vec!["sw".into()], threads, withdrawn: withdrawn.clone(), ..Options::default() };
    corpus::build(&listing, &sources, &options, &out.join("unfinished"), out, &Silent).unwrap();
    let documents = corpus::documents(&out.join("documents.parquet")).unwrap().map(Result::unwrap).collect();
    (documents, corpus::dropped(&out.join("dropped.parquet")).unwrap().map(Result::unwrap).collect())
}

fn chat(number: usize) -> String {
    let messages = [["user", "Eleza"], ["assistant", &swahili(number)]];
    let messages = messages.map(|[role, content]| serde_json::json!({ "role": role, "content": content }));
    serde_json::json!({ "messages": messages }).to_string()
}

#[test]
fn whatever_was_taken_back_stays_out_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, notes) = (dir.path().join("in"), dir.path().join("recipe"));
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir(&notes).unwrap();
    (0..8).for_each(|i| fs::write(folder.join(format!("{i}.txt")), swahili(i)).unwrap());
    fs::write(folder.join("simu.txt"), format!("{}Piga 0712 345 678.\n", swahili(20))).unwrap();
    fs::write(folder.join("fupi.txt"), "Habari fupi za shamba la mahindi.").unwrap();
    fs::write(folder.join("en.txt"), "The farmers will receive new seeds before the rains begin this year, they said, and the roads to the markets will be repaired soon.").unwrap();
    let lines = [chat(30), chat(31), serde_json::json!({ "text": swahili(32) }).to_string()];
    fs::write(folder.join("mistari.jsonl"), lines.join("\n")).unwrap();
    fs::write(folder.join("faili.txt"), swahili(40)).unwrap();

    let (documents, dropped) = build(&folder, &dir.path().join("1"), &Withdrawn::default(), 2);
    assert_eq!((documents.len(), dropped.len()), (13, 2), "{dropped:?}");
    let short = dropped.iter().find(|row| row.reason == Reason::TooShort).unwrap();
    assert!(short.start.starts_with("Habari fupi"), "{short:?}");
    let letters = |name: &str, at: usize| -> Letters {
        let of_file: Vec<_> = documents.iter().filter(|d| d.source == name).collect();
        of_file[at].letters.parse().unwrap()
    };
    let of_dropped = dropped.iter().map(|row| row.letters.parse().unwrap());
    let texts = [letters("3.txt", 0), letters("simu.txt", 0), letters("mistari.jsonl", 1), letters("mistari.jsonl", 2)];
    assert_eq!(letters("simu.txt", 0), Letters::of(&format!("{}Piga 0712 345 678.", swahili(20))), "as it was before");
    let withdrawal = Withdrawal {
        what: "majaribio".into(),
        on: "2026-11-25".into(),
        because: String::new(),
        texts: texts.into_iter().chain(of_dropped).collect(),
        files: vec![blake3::hash(swahili(40).as_bytes()).to_hex().to_string()],
    };
    withdrawn::withdraw(&notes, &withdrawal).unwrap();
    let withdrawn = Withdrawn::read(&notes).unwrap();

    let without = build(&folder, &dir.path().join("2"), &withdrawn, 1);
    assert_eq!(without, build(&folder, &dir.path().join("3"), &withdrawn, 3), "threads do not show");
    let (documents, dropped) = without;
    assert_eq!((documents.len(), dropped.len()), (8, 7), "{dropped:?}");
    for row in &dropped {
        assert_eq!((row.reason, row.start.as_str(), row.letters.as_str()), (Reason::Withdrawn, "", ""), "{row:?}");
    }
    assert!(documents.iter().all(|d| !["3.txt", "simu.txt", "faili.txt"].contains(&d.source.as_str())));
}
