//! A corpus that is made in shares has the bits of one that is made at once.

use std::{fmt::Write, fs, path::Path};

use kwaya_base::Silent;
use kwaya_text::{
    corpus::{self, Options},
    shares::{self, Gathered, Part},
    sources::{self, Listing, Source},
};

const WORDS: [&str; 12] =
    ["mahindi", "mvua", "shamba", "mbegu", "soko", "maji", "jembe", "kijiji", "mkulima", "ghala", "samaki", "udongo"];

/// A text of its own for each seed; of ten, one is nearly the one before.
fn text(seed: u64) -> String {
    let mut state = (seed - u64::from(seed % 10 == 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        WORDS[(state >> 33) as usize % WORDS.len()]
    };
    let mut text = String::new();
    for sentence in 0..20 {
        let words: Vec<&str> = (0..9).map(|_| next()).collect();
        let _ = write!(text, "Mwaka wa {} {}. ", sentence + seed % 10 / 7, words.join(" "));
    }
    text
}

/// Small files, a large one whose lines are partly none, and one that is small
/// enough to be taken at once.
fn write(folder: &Path) {
    fs::create_dir_all(folder.join("vijiji")).unwrap();
    for seed in 0..400 {
        fs::write(folder.join(format!("vijiji/{seed:03}.txt")), text(seed)).unwrap();
    }
    let mut lines = String::new();
    for seed in 300..2300 {
        let _ = writeln!(lines, "{}", serde_json::json!({ "text": text(seed) }));
        if seed % 4 > 0 {
            let _ = writeln!(lines, "si JSON {seed}\nwala hii {seed}");
        }
    }
    assert!(lines.len() > 2 << 20, "it is read as a stream");
    fs::write(folder.join("zote.jsonl"), lines).unwrap();
    let few: String = (5000..5200).map(|seed| format!("{}\n", serde_json::json!({ "text": text(seed) }))).collect();
    fs::write(folder.join("ndogo.jsonl"), few).unwrap();
    fs::write(folder.join("tupu.txt"), "").unwrap();
}

fn tables(folder: &Path) -> [Vec<u8>; 2] {
    ["documents.parquet", "dropped.parquet"].map(|name| fs::read(folder.join(name)).unwrap())
}

/// Has all of it done in shares, and leaves it in `unfinished`. Gives how many
/// shares and portions there were.
fn share(listing: &Listing, sources: &[Source], options: &Options, bytes: u64, unfinished: &Path) -> [usize; 2] {
    let shares = shares::cut(listing, bytes);
    let place = tempfile::tempdir().unwrap();
    let made = |what: &str, number: usize| place.path().join(format!("{what}-{number}"));
    for (number, share) in shares.iter().enumerate().rev() {
        let files = &listing.files[share.files.clone()];
        shares::prepare(share, files, sources, options, &made("prepared", number)).unwrap();
    }
    let mut gathered = Gathered::open(unfinished, &shares).unwrap();
    // The numbers of the shares of the same files.
    let mut files: Vec<Vec<usize>> = Vec::new();
    for (number, share) in shares.iter().enumerate() {
        match share.portion {
            0 => files.push(vec![number]),
            _ => files.last_mut().unwrap().push(number),
        }
    }
    let paths = |what: &str, numbers: &[usize]| numbers.iter().map(|number| made(what, *number)).collect::<Vec<_>>();
    let done = |numbers: &[usize], gathered: &Gathered| shares[numbers[0]].files.start < gathered.files();
    for numbers in &files {
        if !done(numbers, &gathered) {
            gathered.add(&shares[numbers[0]].files, &paths("prepared", numbers)).unwrap();
        }
    }
    gathered.save().unwrap();
    let amounts = gathered.to_learn(options).unwrap().expect("something is asked of the documents");
    let names =
        |number: usize| listing.files[shares[number].files.clone()].iter().map(|file| file.name.clone()).collect();
    let mut knowledge = kwaya_text::quality::Knowledge::default();
    for number in (0..shares.len()).rev() {
        let (path, names): (_, Vec<String>) = (made("prepared", number), names(number));
        let part = Part { path: &path, first: shares[number].files.start, names: &names };
        let out = made("learned", number);
        shares::write_knowledge(&shares::learn(&[part], &amounts, options).unwrap(), &out).unwrap();
        knowledge.merge(&shares::read_knowledge(&out).unwrap());
    }
    for (number, share) in shares.iter().enumerate() {
        let (path, names): (_, Vec<String>) = (made("prepared", number), names(number));
        let part = Part { path: &path, first: share.files.start, names: &names };
        shares::measure(&part, &knowledge, options, &made("measured", number)).unwrap();
    }
    let mut measured = gathered.measured(knowledge).unwrap();
    for numbers in &files {
        measured.add(&paths("measured", numbers)).unwrap();
    }
    measured.finish().unwrap();
    assert!(gathered.to_learn(options).unwrap().is_none(), "it is measured");
    [shares.len(), files.iter().map(Vec::len).max().unwrap()]
}

#[test]
fn a_corpus_in_shares_has_the_bits_of_one_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let documents = folder.path().join("documents");
    write(&documents);
    let sources = [Source { path: documents, licence: "CC0-1.0".into(), language: Some("sw".into()), column: None }];
    let options = Options { threads: 2, ..Options::default() };
    let listing = sources::scan(&sources, options.max_file_bytes, &Silent).unwrap();
    let build = |name: &str, prepare: &dyn Fn(&Path)| {
        let out = folder.path().join(name);
        fs::create_dir_all(&out).unwrap();
        prepare(&out.join("unfinished"));
        let stats = corpus::build(&listing, &sources, &options, &out.join("unfinished"), &out, &Silent).unwrap();
        (stats, tables(&out))
    };
    let (stats, alone) = build("alone", &|_| {});
    let dropped: u64 = stats.dropped.values().sum();
    assert!(stats.documents > 1000 && dropped > 1000, "{stats:?}");
    // What was gathered of a part is gone on with by a build, and the other way.
    let some = |unfinished: &Path, bytes| {
        let shares = shares::cut(&listing, bytes);
        let mut gathered = Gathered::open(unfinished, &shares).unwrap();
        for share in shares.iter().take_while(|share| share.portions == 1).take(2) {
            let out = folder.path().join("some");
            shares::prepare(share, &listing.files[share.files.clone()], &sources, &options, &out).unwrap();
            gathered.add(&share.files, &[out]).unwrap();
        }
        gathered.save().unwrap();
        assert!(gathered.files() > 0 && gathered.files() < listing.files.len());
    };
    let (again, after) = build("after", &|unfinished| some(unfinished, 90_000));
    assert!(again == stats && after == alone, "a build goes on after two shares");
    let (again, other) = build("other", &|unfinished| {
        some(unfinished, 70_000);
        share(&listing, &sources, &options, 90_000, unfinished);
    });
    assert!(again == stats && other == alone, "shares are cut otherwise than before");
    for (bytes, expected) in [(90_000, 7), (300_000, 2), (u64::MAX / 8, 1)] {
        let (again, shared) = build(&format!("shared-{bytes}"), &|unfinished| {
            let [shares, portions] = share(&listing, &sources, &options, bytes, unfinished);
            assert_eq!(portions, expected, "of {shares} shares of {bytes} bytes");
        });
        assert!(again == stats && shared == alone, "shares of {bytes} bytes");
    }
}
