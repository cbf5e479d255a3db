//! Classifiers: learned, asked and measured by the real program.

use std::{fs, path::Path};

use crate::common::{Place, fails, random};

/// Words that tell three labels apart, and words that do not.
const TELLING: [(&str, [&str; 5]); 3] = [
    ("afya", ["daktari", "hospitali", "dawa", "chanjo", "mgonjwa"]),
    ("kilimo", ["mahindi", "shamba", "mbegu", "mvua", "mavuno"]),
    ("michezo", ["timu", "goli", "mpira", "uwanja", "kocha"]),
];
const OTHERS: [&str; 8] = ["leo", "jana", "mkutano", "mji", "watu", "wengi", "habari", "mwaka"];

/// A table of rows with these numbers.
fn table(numbers: std::ops::Range<u64>) -> String {
    let mut rows = String::from("id\ttopic\ttitle\ttext\n");
    for number in numbers {
        let mut state = number;
        let (label, words) = TELLING[(number % 3) as usize];
        let mut word = || match random(&mut state) % 10 {
            0..3 => words[random(&mut state) as usize % words.len()],
            _ => OTHERS[random(&mut state) as usize % OTHERS.len()],
        };
        let title = format!("{} {} {}", word(), word(), word());
        let text = (0..12).map(|_| word()).collect::<Vec<_>>().join(" ");
        rows += &format!("{number}\t{label}\t{title}\t\"{text},\n\"\"{number}\"\"\"\n");
    }
    rows
}

const TRAIN: [&str; 9] =
    ["classify", "train", "--data", "train.tsv", "--label", "topic", "--text", "title,text", "m.safetensors"];

pub(crate) fn trained() -> Place {
    let place = Place::new();
    place.write("train.tsv", table(0..300));
    place.write("test.tsv", table(300..420));
    place.run(TRAIN).good();
    place
}

#[test]
fn a_classifier_is_trained_measured_and_asked() {
    let place = trained();
    let told = place.run(TRAIN.into_iter().chain(["--report", "r.html"])).good();
    for word in ["afya", "kilimo", "michezo", "F1", "unsure", "mahindi"] {
        assert!(told.out.contains(word), "no {word} in {}", told.out);
    }
    let page = place.text("r.html");
    assert!(page.contains("<table class=\"matrix\">") && page.contains("kocha"), "{page}");
    assert!(!page.contains("http") && !page.contains("classify-"), "{page}");

    let figures = place.run(["classify", "eval", "m.safetensors", "--data", "test.tsv", "--json"]).good().json();
    let measures = &figures["measures"];
    assert_eq!(measures["rows"], 120);
    assert!(measures["weighted_f1"].as_f64().unwrap() > 0.9, "{measures}");
    assert!(measures["calibration_error"].as_f64().unwrap() < 0.15, "{measures}");
    let diagonal: u64 = (0..3).map(|label| measures["confusion"][label][label].as_u64().unwrap()).sum();
    assert!((diagonal as f64 / 120.0 - measures["accuracy"].as_f64().unwrap()).abs() < 1e-9);
    assert!(place.run(["classify", "eval", "m.safetensors", "--data", "test.tsv"]).good().out.contains("F1"));

    let asked = place.run(["classify", "run", "m.safetensors", "Timu ya mpira", "Mbegu za mahindi"]).good();
    let lines: Vec<&str> = asked.out.lines().collect();
    assert_eq!(lines[0], "line\tlabel\tprobability\tunsure");
    assert!(lines[1].starts_with("1\tmichezo\t") && lines[2].starts_with("2\tkilimo\t"), "{lines:?}");
    let answers = place.run(["classify", "run", "m.safetensors", "--data", "test.tsv"]).good();
    assert_eq!(answers.out.lines().count(), 121);
    assert!(answers.err.contains("rows per second"), "{}", answers.err);

    // Lines of JSON through a pipe, in other columns, say why.
    let input = "{\"a\": \"\", \"b\": \"daktari wa hospitali\"}\n\n{\"a\": \"goli\", \"b\": \"uwanja\"}\n";
    let piped = ["classify", "run", "m.safetensors", "--data", "-", "--text", "a,b", "--json"];
    let answers = place.run_with_input(piped, input).good().json_lines();
    assert_eq!(
        (&answers[0]["label"], &answers[1]["label"], &answers[1]["line"]),
        (&"afya".into(), &"michezo".into(), &3.into())
    );
    assert!(answers[0]["because"].as_array().unwrap().iter().any(|telling| telling["word"] == "daktari"));
    let sum: f64 = answers[0]["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let place = trained();
    let first = place.bytes("m.safetensors");
    assert!(first.len() < 200_000, "{}", first.len());
    for threads in ["1", "2", "3"] {
        place.run(TRAIN.into_iter().chain(["--threads", threads])).good();
        assert!(place.bytes("m.safetensors") == first, "{threads} threads");
    }
    let portable = place.command(TRAIN).env("KWAYA_ISA", "portable").output().unwrap();
    assert!(portable.status.success() && place.bytes("m.safetensors") == first);
}

#[test]
fn what_is_wrong_with_rows_is_told() {
    let place = trained();
    let train = |data: &'static str, label: &'static str| {
        ["classify", "train", "--data", data, "--label", label, "--text", "text", "n.safetensors"]
    };
    fails(&place, &train("missing.tsv", "topic"), 1, "io-not-found", &["missing.tsv"]);
    fails(&place, &train("train.tsv", "tpic"), 2, "classify-column", &["tpic", "id, topic, title, text"]);
    place.write("a.xlsx", "x");
    fails(&place, &train("a.xlsx", "topic"), 2, "classify-format", &["a.xlsx", ".csv"]);
    place.write("wide.tsv", "topic\ttext\na\tb\nc\n");
    fails(&place, &train("wide.tsv", "topic"), 1, "classify-width", &["wide.tsv", "line 3", "1 columns"]);
    place.write("bad.jsonl", "{\"topic\": \"a\", \"text\": \"b\"}\n{\"topic\": \n");
    fails(&place, &train("bad.jsonl", "topic"), 1, "classify-row", &["bad.jsonl", "line 2"]);
    place.write("few.tsv", "topic\ttext\na\tb\n");
    fails(&place, &train("few.tsv", "topic"), 1, "classify-few", &["1 rows"]);
    place.write("one.tsv", format!("topic\ttext\n{}", "a\tb c\n".repeat(30)));
    fails(&place, &train("one.tsv", "topic"), 1, "classify-one-label", &["a"]);
    assert!(!place.path("n.safetensors").exists());

    place.write("new.tsv", "topic\ttitle\ttext\nsiasa\ta\tb\n");
    let eval = ["classify", "eval", "m.safetensors", "--data", "new.tsv"];
    fails(&place, &eval, 1, "classify-label-unknown", &["line 2", "siasa", "kilimo"]);
    fails(&place, &["classify", "run", "m.safetensors"], 2, "classify-nothing", &["--data"]);
    let other = ["classify", "run", "m.safetensors", "--data", "new.tsv", "--text", "text"];
    fails(&place, &other, 2, "classify-columns-other", &["title, text"]);
    fails(&place, &["classify", "run", "new.tsv", "a"], 1, "classify-damaged", &["new.tsv"]);
    // What came before the wrong row is answered.
    place.write("half.tsv", "title\ttext\na\tb\nc\n");
    let half = place.run(["classify", "run", "m.safetensors", "--data", "half.tsv"]);
    assert_eq!((half.code, half.out.lines().count()), (Some(1), 2), "{half:?}");
}

/// Real news, where they are: as good as what was measured, with room.
#[test]
fn news_in_luganda_get_their_topics() {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/masakhanews/lug"));
    if !data.exists() {
        eprintln!("skipped: {} is not here", data.display());
        return;
    }
    let place = Place::new();
    for name in ["train.tsv", "test.tsv"] {
        fs::copy(data.join(name), place.path(name)).unwrap();
    }
    let train = ["classify", "train", "--data", "train.tsv", "--label", "category", "--text", "headline,text", "m"];
    place.run(train).good();
    let figures = place.run(["classify", "eval", "m", "--data", "test.tsv", "--json"]).good().json();
    assert!(figures["measures"]["weighted_f1"].as_f64().unwrap() > 0.85, "{figures}");
}
