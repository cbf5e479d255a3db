//! Fields from documents by the real program. What a model that trained for a
//! blink writes is nonsense, so that the schema of these tests says what it must
//! be; the rest is the form of the table, and that it is the same each time.

use std::{fs, process::Command, time::Instant};

use serde_json::Value;

use crate::common::{CONSENT, Place, document, fails};

/// One field that stands in the first documents, a number in another writing, one
/// that nobody wrote, one to choose, and one that is nonsense.
const SCHEMA: &str = r#"{"type": "object", "properties": {
    "crop": {"type": "string", "pattern": "^mahindi$", "description": "what grows"},
    "price": {"type": "integer", "minimum": 1250, "maximum": 1250},
    "where": {"type": "object", "properties": {"town": {"type": "string", "pattern": "^Zanzibar$"}}},
    "kind": {"enum": ["letter", "report"]},
    "word": {"type": "string", "maxLength": 6}
}}"#;

const HEAD: &str = "document,record,crop,price,where.town,kind,word,\
    crop.passage,crop.start,crop.end,crop.found,price.passage,price.start,price.end,price.found,\
    where.town.passage,where.town.start,where.town.end,where.town.found,\
    word.passage,word.start,word.end,word.found,problem";

/// A place with a model `m` and the schema.
pub(crate) fn place() -> Place {
    let place = Place::new();
    crate::common::write_documents(&place.path("m/documents"), 0..30);
    let train = "[train]\nsteps = 2\nvocabulary = 300\nhidden_size = 32\nlayers = 1\ncontext = 1024\n";
    let source = format!("[[source]]\npath = \"documents\"\n{CONSENT}");
    place.write("m/kwaya.toml", format!("name = \"m\"\nlanguages = [\"sw\"]\nuse = [\"research\"]\n{source}{train}"));
    place.run(["build", "m"]).good();
    place.write("s.json", SCHEMA);
    place
}

const EXTRACT: [&str; 8] = ["extract", "m", "docs", "--schema", "s.json", "--tokens", "150", "--to"];

#[test]
fn fields_become_rows_each_with_the_passage_it_came_from() {
    let place = place();
    place.write("docs/a.txt", "Habari.\nTunalima MAHINDI hapa. Bei ni 1,250 tu.\n");
    place.write("docs/b.html", "<html><body><p>Bei ya mahindi: 1.250/=</p></body></html>");
    place.write("docs/c.csv", "id,text\n1,Mahindi\n2,\"Maji,\nsukari\"\n");
    place.write("docs/d.pdf", "%PDF-1.4 broken");
    place.write("docs/e.txt", format!("{}\n\nMwisho: mahindi.\n", document(1).replace("mahindi", "mtama").repeat(2)));
    place.write("docs/f.txt", " \n");
    // What the work itself needs and makes may lie among the documents.
    place.write("docs/s.json", SCHEMA);
    let right = r#"{"document": "a.txt", "fields": {"crop": "Mahindi", "price": 1250, "where": {"town": "Moshi"}}}
        {"document": "d.pdf", "fields": {"crop": "Mahindi"}}"#;
    place.write("docs/right.jsonl", right);
    let with = |to: &str, more: &[&str]| {
        let typed = ["extract", "m", "docs", "--schema", "docs/s.json", "--tokens", "150", "--to", to];
        place.run(typed.iter().chain(more)).good()
    };
    let told = with("docs/rows.csv", &["--check", "docs/right.jsonl"]);
    for word in ["d.pdf could not be read", "f.txt could not be read"] {
        assert!(told.err.contains(word), "{}", told.err);
    }
    for word in ["5 rows", "have no row: 2.", "right for 1 documents (1 more"] {
        assert!(told.out.contains(word), "no {word:?} in {}", told.out);
    }
    let score = |field: &str| told.out.lines().find(|line| line.starts_with(field)).unwrap().to_owned();
    assert!(score("crop ").contains("100.0") && score("price ").contains("100.0"), "{}", told.out);
    assert!(score("where.town ").contains(" 0.0"), "{}", told.out);

    let rows = place.text("docs/rows.csv");
    let lines: Vec<&str> = rows.split("\r\n").collect();
    assert_eq!(lines[0], HEAD);
    assert!(lines[1].starts_with("a.txt,,mahindi,1250,Zanzibar,"), "{rows}");
    assert!(lines[1].contains(",Tunalima MAHINDI hapa.,17,24,true,"), "{rows}");
    assert!(lines[1].contains(",\"Bei ni 1,250 tu.\",38,43,true,,,,false,"), "{rows}");
    assert!(lines[2].starts_with("b.html,,mahindi,1250,") && lines[2].contains(",Bei ya mahindi: 1.250/=,"), "{rows}");
    let (first, second) = (lines[3], lines[4]);
    assert!(first.starts_with("c.csv,2,mahindi") && second.starts_with("c.csv,3,mahindi"), "{rows}");
    assert!(first.contains(",Mahindi,0,7,true,") && second.contains(",Zanzibar,letter,"), "{rows}");
    // It is longer than the model reads: what stands in its last part is found.
    let e = lines[5];
    assert!(e.starts_with("e.txt,,mahindi,") && e.contains(",Mwisho: mahindi.,"), "{rows}");
    assert_eq!(lines[6..], [""]);

    with("docs/rows.csv", &["--check", "docs/right.jsonl"]);
    assert_eq!(place.text("docs/rows.csv"), rows);
    for made in ["docs/rows.csv", "docs/rows.csv.journal", "docs/right.jsonl"] {
        fs::remove_file(place.path(made)).unwrap();
    }

    // Only what was found; and the same as figures.
    let figures = with("found.csv", &["--only-found", "--json"]).json();
    assert!(place.text("found.csv").contains("\r\na.txt,,mahindi,1250,,"), "{}", place.text("found.csv"));
    assert_eq!((&figures["rows"], &figures["known"]), (&5.into(), &0.into()));
    assert_eq!(figures["unread"][0]["document"], "d.pdf");
    assert!(figures["found"].as_u64().unwrap() >= 6 && figures["not_found"].as_u64().unwrap() >= 5, "{figures}");
    with("rows.parquet", &[]);
    assert!(place.bytes("rows.parquet").starts_with(b"PAR1"));
    assert!(
        !fs::read_dir(place.path(""))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(".tmp") })
    );

    // Several places: their names are told.
    place.write("more/a.txt", "mahindi");
    let several = ["extract", "m", "docs/a.txt", "more", "--schema", "s.json", "--tokens", "150", "--to", "two.csv"];
    place.run(several).good();
    let two = place.text("two.csv");
    assert!(two.contains("\r\ndocs/a.txt,,") && two.contains("\r\nmore/a.txt,,"), "{two}");
}

/// In a build, which goes on without them, and here: the exit code is not changed
/// by some that cannot be read, and is by all.
#[test]
fn documents_that_cannot_be_read_are_counted_and_end_it_as_they_end_a_build() {
    let place = place();
    place.write("m/documents/broken.pdf", "%PDF-1.4 broken");
    place.write("m/documents/empty.txt", " \n");
    place.run(["plan", "m"]).good();
    place.run(["build", "m"]).good();
    let dropped = place.run(["corpus", "dropped", "m"]).good().out;
    assert!(dropped.contains("broken.pdf") && dropped.contains("empty.txt"), "{dropped}");
    let extract =
        |from: &'static str| ["extract", "m", from, "--schema", "s.json", "--tokens", "150", "--to", "rows.csv"];
    let told = place.run(extract("m/documents")).good();
    assert!(told.out.contains(" 30 rows") && told.out.contains("have no row: 2."), "{}", told.out);
    let figures = place.run(extract("m/documents").iter().chain(&["--json"])).good().json();
    let unread: Vec<_> = figures["unread"].as_array().unwrap().iter().map(|unread| &unread["document"]).collect();
    assert_eq!(unread, ["broken.pdf", "empty.txt"]);

    place.write("broken/broken.pdf", "%PDF-1.4 broken");
    let all = place.run(extract("broken"));
    assert!(all.code == Some(1) && all.err.contains("None of the documents could be read; 1 were tried"), "{all:?}");
    let recipe = place.text("m/kwaya.toml").replace("\"documents\"", "\"../broken\"");
    place.write("n/kwaya.toml", recipe);
    assert_eq!(place.run(["build", "n"]).code, Some(1));
}

#[test]
fn the_rows_are_the_same_for_any_threads_and_documents_at_once_and_after_a_stop() {
    let place = place();
    let count = 150;
    for number in 0..count {
        let text: String = document(number).chars().take(100 + 7 * number as usize).collect();
        place.write(&format!("docs/{number:03}.txt"), text);
    }
    place.write("docs/same.txt", place.bytes("docs/007.txt"));
    let run =
        |to: &str, more: &[&str]| place.run(EXTRACT.iter().copied().chain([to]).chain(more.iter().copied())).good();
    run("first.csv", &["--threads", "1", "--at-once", "1"]);
    let first = place.bytes("first.csv");
    assert_eq!(first.windows(2).filter(|end| end == b"\r\n").count() as u64, count + 2);
    run("second.csv", &["--threads", "2", "--at-once", "8"]);
    assert!(place.bytes("second.csv") == first, "{}\n{}", place.text("first.csv"), place.text("second.csv"));

    // Nothing is asked again, unless that is wanted.
    fs::remove_file(place.path("second.csv")).unwrap();
    let known = |more: &[&str]| run("second.csv", &[more, &["--json"]].concat()).json()["known"].as_u64().unwrap();
    assert_eq!(known(&[]), count);
    assert!(place.bytes("second.csv") == first);
    let journal = place.bytes("second.csv.journal");
    place.write("second.csv.journal", &journal[..journal.len() / 2]);
    let half = known(&[]);
    assert!((count / 4..count).contains(&half), "{half}");
    assert!(place.bytes("second.csv") == first);
    assert_eq!(known(&["--instructions", "Haraka."]), 0);
    fs::write(place.path("docs/new.txt"), "mahindi").unwrap();
    assert_eq!(known(&[]), count);
    fs::remove_file(place.path("docs/new.txt")).unwrap();
    assert_eq!(known(&["--again"]), 0);
    assert!(place.bytes("second.csv") == first);

    #[cfg(unix)]
    stopped(&place, &first);
}

/// A run that is stopped leaves the rows that there are, and the next goes on.
#[cfg(unix)]
fn stopped(place: &Place, whole: &[u8]) {
    let typed = EXTRACT.iter().copied().chain(["third.csv", "--at-once", "2"]);
    let child = place.command(typed).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    let lines =
        || fs::read(place.path("third.csv.journal")).map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count());
    while lines() < 5 {
        assert!(begun.elapsed().as_secs() < 120, "it does nothing");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Stopped on request") && said.contains("go on from here"), "{said}");
    let rows = place.bytes("third.csv");
    assert!(rows.len() > HEAD.len() && rows.len() < whole.len(), "{} of {}", rows.len(), whole.len());
    let again = place.run(EXTRACT.iter().copied().chain(["third.csv", "--json"])).good().json();
    assert!(again["known"].as_u64().unwrap() >= 5, "{again}");
    assert!(place.bytes("third.csv") == whole);
}

#[test]
fn what_cannot_be_done_is_told_before_any_work() {
    let place = place();
    place.write("docs/a.txt", "Mahindi.");
    place.write("bad/a.pdf", "%PDF-1.4 broken");
    fs::create_dir(place.path("empty")).unwrap();
    fs::create_dir(place.path("folder.csv")).unwrap();
    place.write("list.json", r#"{"type": "array"}"#);
    place.write("document.json", r#"{"properties": {"document": {"type": "string"}}}"#);
    place.write("never.json", r#"{"properties": {"a": {"type": "integer", "minimum": 5, "maximum": 1}}}"#);
    place.write("look.json", r#"{"properties": {"a": {"type": "string", "pattern": "(?=x)y"}}}"#);
    place.write("wrong.jsonl", r#"{"document": "a.txt", "fields": {"corp": 1}}"#);
    let typed = |from: &'static str, schema: &'static str, to: &'static str| {
        ["extract", "m", from, "--schema", schema, "--tokens", "150", "--to", to]
    };
    fails(&place, &typed("docs", "none.json", "a.csv"), 1, "io-not-found", &["none.json"]);
    fails(&place, &typed("docs", "list.json", "a.csv"), 2, "extract-schema", &["list.json", "object"]);
    fails(&place, &typed("docs", "document.json", "a.csv"), 2, "extract-columns", &["document"]);
    fails(&place, &typed("docs", "never.json", "a.csv"), 2, "form-wrong", &["'a' is unsatisfiable"]);
    fails(&place, &typed("docs", "look.json", "a.csv"), 2, "form-wrong", &[]);
    fails(&place, &typed("docs", "s.json", "a.xlsx"), 2, "extract-output", &["a.xlsx", ".parquet"]);
    fails(&place, &typed("docs", "s.json", "folder.csv"), 2, "extract-output-folder", &["folder.csv"]);
    fails(&place, &typed("docs", "s.json", "none/a.csv"), 1, "io-not-found", &["none"]);
    fails(&place, &typed("none", "s.json", "a.csv"), 1, "source-missing", &["none"]);
    fails(&place, &typed("empty", "s.json", "a.csv"), 1, "source-empty", &["empty"]);
    let ran = place.run(typed("bad", "s.json", "a.csv"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("a.pdf could not be read") && ran.err.contains("None of the documents"), "{}", ran.err);
    let with = |more: &[&'static str]| [&typed("docs", "s.json", "a.csv")[..], more].concat();
    fails(&place, &with(&["--check", "wrong.jsonl"]), 1, "extract-label", &["wrong.jsonl", "corp"]);
    assert_eq!(place.run(with(&["--at-once", "0"])).code, Some(2));
    let mut long = typed("docs", "s.json", "a.csv");
    long[6] = "1000";
    fails(&place, &long, 1, "extract-no-room", &["1024", "--tokens"]);
    let mut other = typed("docs", "s.json", "a.csv");
    other[1] = "none";
    fails(&place, &other, 1, "io-not-found", &["none"]);
    // Nothing is left of all this.
    let left: Vec<String> =
        fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with("a.") || name.starts_with('.')), "{left:?}");
    // An answer without an end is told, and what was whole is kept.
    let mut short = typed("docs", "s.json", "a.csv");
    short[6] = "30";
    let told = place.run(short.iter().chain(&["--json"])).good().json();
    assert_eq!(told["cut"], Value::from(1));
    let rows = place.text("a.csv");
    assert!(rows.contains("a.txt,,mahindi,,,,,Mahindi.,0,7,true,") && rows.ends_with(",cut\r\n"), "{rows}");
}
