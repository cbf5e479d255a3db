//! Language models that are taught to give texts labels, by the real program.

use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    common::{Place, fails, random},
    serve::{PATIENCE, Server},
};

/// Words that tell three labels apart. Two of the labels begin alike.
const TELLING: [(&str, [&str; 4]); 3] = [
    ("afya ya jamii", ["mama", "watoto", "dawa", "magonjwa"]),
    ("afya", ["shina", "mizizi", "majani", "udongo"]),
    ("soko", ["bei", "fedha", "gunia", "akiba"]),
];

/// A table of rows with these numbers.
fn table(numbers: std::ops::Range<u64>) -> String {
    let mut rows = String::from("topic\ttitle\ttext\n");
    for number in numbers {
        let mut state = number;
        let (label, words) = TELLING[(number % 3) as usize];
        let mut word = || words[random(&mut state) as usize % words.len()];
        rows += &format!("{label}\t{}\t{} {} {}\n", word(), word(), word(), word());
    }
    rows
}

const TRAIN: [&str; 18] = [
    "classify",
    "train",
    "--data",
    "train.tsv",
    "--label",
    "topic",
    "--text",
    "title,text",
    "--base",
    "base",
    "--tokens",
    "24",
    "--epochs",
    "12",
    "--rate",
    "0.01",
    "--checkpoint-every",
    "0.1s",
];

/// A place with rows and a base that knows the words of farming.
fn place() -> Place {
    let place = Place::with_documents(30);
    let sizes = "vocabulary = 400\nhidden_size = 32\nlayers = 1\ncontext = 96\nlearning_rate = 0.004\nsteps = 30\n";
    place.recipe(&format!("[train]\n{sizes}"));
    place.run(["build", "m"]).good();
    fs::rename(place.path("m/build/model"), place.path("base")).unwrap();
    place.write("train.tsv", table(0..150));
    place.write("test.tsv", table(150..210));
    place
}

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TRAIN.iter().chain(more).copied().collect()
}

#[test]
fn a_language_model_is_taught_measured_and_asked() {
    let place = place();
    let told = place.run(train(&["t.gguf", "--report", "r.html"])).good();
    for word in ["afya ya jamii", "soko", "F1", "unsure", "base"] {
        assert!(told.out.contains(word), "no {word} in {}", told.out);
    }
    assert!(told.err.contains("12 times"), "{}", told.err);
    assert!(!place.path("t.gguf.teaching").exists(), "what is done leaves nothing beside it");
    let page = place.text("r.html");
    assert!(page.contains("<table class=\"matrix\">") && page.contains("language model, base"), "{page}");
    assert!(!page.contains("http") && !page.contains("classify-"), "{page}");

    let figures = place.run(["classify", "eval", "t.gguf", "--data", "test.tsv", "--json"]).good().json();
    let measures = &figures["measures"];
    assert_eq!(measures["rows"], 60);
    assert!(measures["weighted_f1"].as_f64().unwrap() > 0.9, "{measures}");
    let asked = place.run(["classify", "run", "t.gguf", "bei fedha gunia", "mizizi na udongo na shina"]).good();
    let lines: Vec<&str> = asked.out.lines().collect();
    assert_eq!(lines[0], "line\tlabel\tprobability\tunsure");
    assert!(lines[1].starts_with("1\tsoko\t") && lines[2].starts_with("2\tafya\t"), "{lines:?}");
    let answers = place.run(["classify", "run", "t.gguf", "--data", "test.tsv"]).good();
    assert_eq!(answers.out.lines().count(), 61);
    let input = "{\"a\": \"dawa\", \"b\": \"magonjwa mama watoto\"}\n";
    let piped = ["classify", "run", "t.gguf", "--data", "-", "--text", "a,b", "--json"];
    let answer = &place.run_with_input(piped, input).good().json_lines()[0];
    assert_eq!((&answer["label"], &answer["because"]), (&"afya ya jamii".into(), &json!([])));
    let sum: f64 = answer["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);

    // It is a model like others; its answers are of these numbers alone.
    place.run(["generate", "t.gguf", "bei", "--tokens", "3"]).good();
    place.run(["export", "t.gguf", "other.gguf"]).good();
    fails(&place, &["classify", "run", "other.gguf", "bei"], 2, "classify-untaught", &["other.gguf", "--base"]);
    // With rows of its own to be calibrated by, all others are taught.
    let dev = train(&["d.gguf", "--dev", "test.tsv", "--json"]);
    let made = place.run(dev).good().json();
    assert_eq!((&made["taught"], &made["about"]["held_out"]["rows"]), (&150.into(), &60.into()));
}

#[test]
fn it_answers_beside_the_model_that_is_served() {
    let place = place();
    place.run(train(&["t.gguf"])).good();
    let server = Server::start(&place, "base", &["--classifier", "t.gguf"]);
    fs::remove_file(place.path("t.gguf")).unwrap();
    let body = json!({ "input": ["bei fedha gunia", "dawa mama"], "explain": true });
    let answer = server.post("/v1/classify", &body).json();
    assert_eq!(answer["data"][0]["label"], "soko", "{answer}");
    assert_eq!(answer["data"][1]["label"], "afya ya jamii", "{answer}");
    assert_eq!(answer["data"][1]["because"], json!([]));
}

fn has_checkpoint(folder: &Path) -> bool {
    let inside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    inside(folder).flat_map(|plan| inside(&plan)).any(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("step-") && name.ends_with(".safetensors")
    })
}

#[test]
fn threads_and_power_cuts_change_no_bit() {
    let place = place();
    place.run(train(&["one.gguf", "--threads", "1"])).good();
    let first = place.bytes("one.gguf");
    // Killed as soon as there is something to go on from.
    let mut run = place.command(train(&["cut.gguf", "--threads", "3"]));
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !has_checkpoint(&place.path("cut.gguf.teaching")) {
        assert!(run.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE, "it left no checkpoint");
        thread::sleep(Duration::from_millis(2));
    }
    let _ = run.kill();
    run.wait().unwrap();
    assert!(!place.path("cut.gguf").exists());
    place.run(train(&["cut.gguf", "--threads", "2"])).good();
    assert!(place.bytes("cut.gguf") == first, "stopped, and with other threads");
    let portable = place.command(train(&["portable.gguf"])).env("KWAYA_ISA", "portable").output().unwrap();
    assert!(portable.status.success() && place.bytes("portable.gguf") == first);
    let answers = |threads| place.run(["classify", "run", "one.gguf", "--data", "test.tsv", "--threads", threads]);
    assert_eq!(answers("1").good().out, answers("3").good().out);
}

#[test]
fn what_cannot_be_taught_is_told_before_it_is_tried() {
    let place = place();
    place.write("there.gguf", "x");
    fails(&place, &train(&["there.gguf"]), 2, "exchange-exists", &["there.gguf"]);
    let other = |place: &[usize], words: &[&'static str]| {
        let mut arguments = train(&["t.gguf"]);
        place.iter().zip(words).for_each(|(at, word)| arguments[*at] = word);
        arguments
    };
    fails(&place, &other(&[9], &["nothing"]), 1, "io-not-found", &["nothing"]);
    fails(&place, &other(&[11], &["95"]), 2, "classify-context", &["95", "--tokens"]);
    let short = [&other(&[], &[])[..], &["--memory", "1MB"]].concat();
    fails(&place, &short, 1, "classify-memory", &["--tokens", "24"]);
    place.write("one.tsv", format!("topic\ttitle\ttext\n{}", "a\tb\tc\n".repeat(30)));
    fails(&place, &other(&[3], &["one.tsv"]), 1, "classify-one-label", &["a"]);
    // Without a base there is nothing that these could mean.
    let linear = ["classify", "train", "--data", "train.tsv", "--label", "topic", "--text", "text", "l"];
    let refused = place.run(linear.iter().chain(&["--epochs", "2"]));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for left in ["t.gguf", "t.gguf.teaching", "l"] {
        assert!(!place.path(left).exists(), "{left}");
    }
    fails(&place, &["classify", "run", "base", "a"], 2, "classify-untaught", &["base"]);
}
