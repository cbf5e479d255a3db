//! Parsers in a child process, which is this program itself: without a harness
//! that would write to its output.

use std::{fs, io, time::Duration};

use kwaya_base::Silent;
use kwaya_text::{
    Reason,
    corpus::{self, Options},
    extract::{Worker, texts, worker_main},
    sources::{self, Source},
};

/// A table in Parquet, which is what a corpus is written as.
fn table(texts: &[String]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let lines: String = texts.iter().map(|text| format!("{{\"text\": \"{text}\"}}\n")).collect();
    fs::write(&path, lines).unwrap();
    let sources = [Source { path, licence: "CC0-1.0".into(), language: Some("sw".into()), column: None }];
    let listing = sources::scan(&sources, u64::MAX, &Silent).unwrap();
    let options = Options { min_characters: 1, near_duplicate: 2.0, ..Options::default() };
    corpus::build(&listing, &sources, &options, &folder.path().join("unfinished"), folder.path(), &Silent).unwrap();
    fs::read(folder.path().join("documents.parquet")).unwrap()
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return worker_main(io::stdin().lock(), io::stdout().lock()).unwrap();
    }
    let worker = Worker::Child {
        program: std::env::current_exe().unwrap(),
        arguments: vec!["worker".into()],
        time_limit: Duration::from_secs(30),
    };
    let expected: Vec<String> =
        (0..20_000).map(|i| format!("Hati ya {i}: wakulima walivuna magunia {} ya mahindi.", i * 7)).collect();
    let bytes = table(&expected);
    let read = |name: &str, bytes: &[u8], worker: &Worker| {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        texts(name, bytes, 8 << 20, worker, &mut |_, text| match text {
            Ok(text) => good.push(text.to_owned()),
            Err((reason, detail)) => bad.push((reason, detail.to_owned())),
        })
        .unwrap();
        (good, bad)
    };
    assert_eq!(read("x.parquet", &bytes, &worker), (expected.clone(), Vec::new()));

    // On disk it is the child that opens it; a page of HTML goes to the same.
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::write(folder.path().join("in/x.parquet"), &bytes).unwrap();
    fs::write(folder.path().join("in/y.html"), "<html><body><p>Mahindi huvunwa yakikauka.</p></body></html>").unwrap();
    let sources = [Source {
        path: folder.path().join("in"),
        licence: "CC0-1.0".into(),
        language: Some("sw".into()),
        column: None,
    }];
    let options = Options {
        min_characters: 5,
        near_duplicate: 2.0,
        threads: 2,
        max_file_bytes: 100_000,
        worker: worker.clone(),
        ..Options::default()
    };
    assert!(bytes.len() > 100_000);
    let listing = sources::scan(&sources, options.max_file_bytes, &Silent).unwrap();
    let stats =
        corpus::build(&listing, &sources, &options, &folder.path().join("unfinished"), folder.path(), &Silent).unwrap();
    assert_eq!((stats.documents, stats.formats["parquet"], stats.formats["html"]), (20_001, 20_000, 1));

    // Messages, some of which are pages.
    let message = |kind: &str, text: &str| {
        format!("From a@x.org Mon Mar  3 10:00:00 2025\nFrom: A <a@x.org>\nContent-Type: text/{kind}\n\n{text}\n\n")
    };
    let mail = [message("plain", "Mahindi yamevunwa."), message("html", "<p>Maji ni <b>uhai</b>.</p>")].concat();
    let (good, bad) = read("x.mbox", mail.as_bytes(), &worker);
    assert_eq!(
        (good.iter().map(|text| text.trim()).collect::<Vec<_>>(), bad.len()),
        (vec!["Mahindi yamevunwa.", "Maji ni uhai."], 0)
    );

    // Damage is an answer, the same in the child as without.
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut refused, mut same) = (0, 0);
    for _ in 0..60 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + random(20) {
            // Most of what can be wrong is in the last part.
            let far = [5000, damaged.len()][random(2)];
            let at = damaged.len() - 1 - random(far);
            damaged[at] = random(256) as u8;
        }
        let (good, bad) = read("x.parquet", &damaged, &worker);
        refused += usize::from(!bad.is_empty());
        same += usize::from(good == expected);
        assert!(
            bad.iter().all(|(reason, _)| matches!(
                reason,
                Reason::Damaged | Reason::NoColumn | Reason::TooLarge | Reason::ArchiveLimit
            )),
            "{bad:?}"
        );
    }
    assert!(refused > 20 && same < 60, "{refused} {same}");
    // A child that dies is a refusal too.
    let dies = Worker::Child { program: "true".into(), arguments: Vec::new(), time_limit: Duration::from_secs(30) };
    assert_eq!(read("x.parquet", &bytes, &dies).1[0].0, Reason::Damaged);
}
