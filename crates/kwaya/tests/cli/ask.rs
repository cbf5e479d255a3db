//! Questions about the documents of a build, by command and over HTTP: what is
//! answered, from where, and what happens to the index.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    common::{Place, TINY, fails},
    serve::{PATIENCE, Server, is_as_described},
};

/// Documents in Swahili and English, of many formats.
const MAIZE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/maize");

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// A build of them, shared by tests that change nothing.
fn maize() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = Place::shared();
        copy(&Path::new(MAIZE).join("documents"), &place.path("m/documents"));
        place.recipe(TINY);
        let recipe = place.text("m/kwaya.toml").replace("[\"sw\"]", "[\"sw\", \"en\"]");
        place.write("m/kwaya.toml", recipe);
        place.run(["build", "m"]).good();
        place.run(["ask", "m", "mahindi"]).good();
        place
    })
}

/// The same for a test that changes something.
fn own_maize() -> Place {
    let place = Place::new();
    copy(&maize().path("m"), &place.path("m"));
    place
}

fn index(place: &Place) -> PathBuf {
    let folders = fs::read_dir(place.path("m/build/ask")).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    assert_eq!(folders.len(), 1, "one index, and nothing unfinished: {folders:?}");
    folders.into_iter().next().unwrap()
}

fn asked(place: &Place, question: &str, flags: &[&str]) -> Value {
    place.run([&["ask", "m", question, "--json"], flags].concat()).good().json()
}

#[test]
fn an_answer_names_passages_that_stand_where_it_says() {
    let place = maize();
    let answer = asked(place, "Mbegu za kiduha hulala udongoni miaka mingapi?", &[]);
    assert_eq!((&answer["supported"], &answer["quoted"]), (&json!(true), &json!(true)), "{answer}");
    assert!(answer["text"].as_str().unwrap().contains("miaka kumi hata zaidi ya kumi na tano"), "{answer}");
    let citations = answer["citations"].as_array().unwrap();
    assert!(citations.iter().any(|citation| citation["source"] == "sw/kiduha-gugu-mnyonyaji.md"), "{answer}");
    for citation in citations {
        let document = place.run(["corpus", "show", "m", citation["document"].as_str().unwrap(), "--json"]).good();
        let text = document.json()["text"].as_str().unwrap().to_owned();
        let [start, end] = ["start", "end"].map(|name| citation[name].as_u64().unwrap() as usize);
        assert_eq!(&text[start..end], citation["text"], "{citation}");
    }
    for statement in answer["statements"].as_array().unwrap() {
        let said = statement["text"].as_str().unwrap();
        let number = &statement["citations"][0];
        let cited = citations.iter().find(|citation| citation["number"] == *number).unwrap();
        assert!(cited["text"].as_str().unwrap().contains(said), "{statement}");
    }

    let words = place.run(["ask", "m", "Mbegu za kiduha hulala udongoni miaka mingapi?"]).good().out;
    assert!(words.contains("[1] sw/kiduha-gugu-mnyonyaji.md, passage "), "{words}");
    let passages = place.run(["ask", "m", "Mbegu za kiduha hulala udongoni miaka mingapi?", "--passages"]).good().out;
    assert!(passages.len() > words.len() && passages.contains("\n    "), "{passages}");
    let one = asked(place, "Mbegu za kiduha hulala udongoni miaka mingapi?", &["--count", "1"]);
    assert_eq!(one["citations"].as_array().unwrap().len(), 1, "{one}");
}

#[test]
fn what_is_not_in_the_documents_is_not_answered() {
    let place = maize();
    for question in ["Nani alishinda Kombe la Dunia mwaka 2018?", "What is the capital of Mongolia?", "你好吗"] {
        let answer = asked(place, question, &[]);
        assert_eq!((&answer["supported"], &answer["text"]), (&json!(false), &json!("")), "{answer}");
        assert_eq!(answer["citations"], json!([]), "{answer}");
        let words = place.run(["ask", "m", question]).good().out;
        assert_eq!(words, "The documents do not say.\n");
    }
}

#[test]
fn several_questions_can_be_typed() {
    let place = own_maize();
    let typed = "Masika huanza mwezi gani?\n?\nWhat is the capital of Mongolia?\n";
    let ran = place.run_with_input(["ask", "m"], typed).good();
    assert!(ran.out.contains("Machi") && ran.out.contains("The documents do not say."), "{}", ran.out);
    assert!(ran.err.contains("There is no word in the question"), "{}", ran.err);
    let lines = place.run_with_input(["ask", "m", "--json"], typed).good().json_lines();
    assert_eq!(lines.len(), 2);
}

#[test]
fn what_cannot_be_asked_is_told() {
    let place = maize();
    let long = "mahindi ".repeat(600);
    for (question, key) in
        [("", "ask-question-empty"), (" ?!\u{200d}—", "ask-question-empty"), (long.as_str(), "ask-question-long")]
    {
        fails(place, &["ask", "m", question], 2, key, &[]);
    }
    for odd in
        ["\u{0}x", "\u{202e}mahindi\u{202c}", "\u{1f9d1}\u{200d}\u{1f33e} a", &"ạ̈".repeat(800), "a'b’c\"d[1](x)^2 AND"]
    {
        if !odd.contains('\0') {
            place.run(["ask", "m", odd]).good();
        }
    }
    #[cfg(unix)]
    {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let ran = place.run([OsStr::new("ask"), OsStr::new("m"), OsStr::from_bytes(b"mahindi \xff")]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    let empty = Place::with_documents(1);
    fails(&empty, &["ask", "m", "mahindi"], 1, "corpus-missing", &["kwaya plan m"]);
    fails(place, &["ask", "m", "mahindi", "--model", "m"], 2, "ask-model-no-chat", &["--model"]);
}

#[test]
fn answers_are_the_same_for_any_number_of_threads_and_any_making_of_the_index() {
    let place = own_maize();
    let questions = ["Kribu inapaswa kuwa na upana gani?", "mahindi", "How dry must grain be?"];
    let all = |threads: &str| questions.map(|question| asked(&place, question, &["--threads", threads]));
    let first = all("1");
    assert_eq!(first, all("2"));
    fs::remove_dir_all(place.path("m/build/ask")).unwrap();
    assert_eq!(first, all("2"));
}

#[test]
fn a_damaged_index_is_made_anew() {
    let place = own_maize();
    let question = "Kribu inapaswa kuwa na upana gani?";
    let right = asked(&place, question, &[]);
    let mut names: Vec<_> = fs::read_dir(index(&place)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for number in 0..names.len() {
        let mut names: Vec<_> = fs::read_dir(index(&place)).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let Some(path) = names.get(number).filter(|path| fs::metadata(path).unwrap().len() > 0) else { continue };
        let mut bytes = fs::read(path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 0x55;
        fs::write(path, &bytes).unwrap();
        assert_eq!(asked(&place, question, &[]), right, "{}", path.display());
        let path = fs::read_dir(index(&place)).unwrap().nth(number % 3).unwrap().unwrap().path();
        fs::write(&path, "").unwrap();
        assert_eq!(asked(&place, question, &[]), right, "{}", path.display());
    }
    // What a process left that was ended.
    fs::create_dir_all(place.path("m/build/ask/making")).unwrap();
    fs::remove_file(index_file(&place, "manifest.json")).unwrap();
    assert_eq!(asked(&place, question, &[]), right);
    index(&place);
}

fn index_file(place: &Place, name: &str) -> PathBuf {
    let folders = fs::read_dir(place.path("m/build/ask")).unwrap().map(|entry| entry.unwrap().path().join(name));
    folders.into_iter().find(|path| path.exists()).unwrap()
}

#[test]
fn what_was_taken_back_is_found_no_more() {
    let place = own_maize();
    let question = "Mbegu za kiduha hulala udongoni miaka mingapi?";
    let (source, before) = ("sw/kiduha-gugu-mnyonyaji.md", index(&place));
    let names = |answer: &Value| answer["citations"].to_string().contains(source);
    assert!(names(&asked(&place, question, &[])));
    place.run(["corpus", "withdraw", "m", source]).good();
    // At once, before another build.
    assert!(!names(&asked(&place, question, &[])));
    assert!(!before.exists(), "the index that has it is gone");
    place.run(["plan", "m"]).good();
    place.run(["build", "m"]).good();
    assert!(!names(&asked(&place, question, &[])));
    index(&place);
}

#[test]
fn answers_are_measured_on_questions_whose_document_is_known() {
    let place = maize();
    let questions = format!("{MAIZE}/questions.jsonl");
    let measured = place.run(["eval", "m", "--ask", &questions, "--json"]).good().json();
    assert_eq!((&measured["questions"], &measured["with_document"]), (&json!(46), &json!(30)));
    // Well below what is measured, so that it fails for a fault alone.
    assert!(measured["hit_at_5"].as_u64().unwrap() >= 24, "{measured}");
    assert!(measured["mrr"].as_f64().unwrap() > 0.6 && measured["refused"].as_u64().unwrap() >= 12, "{measured}");
    assert_eq!(measured["supported"], measured["answers"], "what is quoted is supported");
    let words = place.run(["eval", "m", "--ask", &questions]).good().out;
    assert!(
        words.contains("mean reciprocal rank") && words.contains("16 questions that no document answers"),
        "{words}"
    );

    let own = own_maize();
    for (name, text, words) in [
        ("a.jsonl", "{\"question\": \"mahindi\"}\n\n{\"question\": 7}\n", ["Line 3", "a.jsonl"]),
        ("b.jsonl", "{\"question\": \"?\"}\n", ["Line 1", "no word"]),
        ("c.jsonl", "{\"quest\": \"mahindi\"}\n", ["Line 1", "quest"]),
        ("d.jsonl", "{\"question\": \"ma\n", ["Line 1", "d.jsonl"]),
    ] {
        own.write(name, text);
        fails(&own, &["eval", "m", "--ask", name], 2, "ask-questions", &words);
    }
    own.write("none.jsonl", "\n");
    fails(&own, &["eval", "m", "--ask", "none.jsonl"], 2, "ask-questions-none", &["none.jsonl"]);
    fails(&own, &["eval", "m", "--ask", "missing.jsonl"], 1, "io-not-found", &["missing.jsonl"]);
    assert_eq!(own.run(["eval", "m", "--data", "a.jsonl", "--quote"]).code, Some(2));
}

#[test]
fn vectors_are_remembered_gone_on_with_and_made_anew_where_they_are_damaged() {
    let place = own_maize();
    let question = "Kribu inapaswa kuwa na upana gani?";
    let words = asked(&place, question, &[]);
    let right = asked(&place, question, &["--vectors", "m"]);
    assert_ne!(words["citations"][0]["score"], right["citations"][0]["score"], "ranked by something else");
    let path = index(&place).join("vectors");
    let whole = fs::read(&path).unwrap();
    let known = place.run(["ask", "m", question]).good();
    assert!(!known.err.contains("Making vectors"), "{}", known.err);
    assert_eq!(asked(&place, question, &["--threads", "1"]), right);
    let mut hurt = whole.clone();
    let middle = hurt.len() / 2;
    hurt[middle] ^= 1;
    for bytes in [&hurt[..], &whole[..middle], b"{", b""] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(asked(&place, question, &[]), right);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    // As if it had been stopped half-way.
    fs::remove_file(&path).unwrap();
    fs::write(path.with_extension("part"), &whole[..middle]).unwrap();
    assert_eq!(asked(&place, question, &[]), right);
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert_eq!(asked(&place, question, &["--vectors", "off"]), words);
    assert_eq!(asked(&place, question, &[]), words);
    fails(&place, &["ask", "m", question, "--vectors", "none"], 1, "io-not-found", &["none"]);
}

/// An answer of the command as the server gives it.
fn as_served(mut answer: Value) -> Value {
    for citation in answer["citations"].as_array_mut().unwrap() {
        let [document, start, end] = ["document", "start", "end"].map(|name| citation[name].clone());
        citation["url"] = format!("/documents/{}?from={start}&to={end}#here", document.as_str().unwrap()).into();
    }
    answer["object"] = "answer".into();
    answer
}

/// Asks until the vectors are as `wanted`; every answer on the way is one of
/// those that are `right`, and the last is the last of them.
#[track_caller]
fn served(server: &Server, question: &str, wanted: &str, right: &[&Value]) {
    let begun = Instant::now();
    loop {
        let known = server.get("/readyz").json();
        let answer = server.post("/v1/ask", &json!({ "question": question }));
        let is_ready = known["documents"] == "ready" && known["vectors"] == wanted;
        if answer.status == 503 {
            assert!(!is_ready, "{known}");
        } else {
            let answer = answer.json();
            let right = if is_ready { &right[right.len() - 1..] } else { right };
            assert!(right.iter().any(|right| answer == as_served((*right).clone())), "{known}: {answer}");
        }
        if is_ready {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{known}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_server_finds_by_vectors_what_the_command_finds_by_them() {
    let place = own_maize();
    let question = "Kribu inapaswa kuwa na upana gani?";
    let words = asked(&place, question, &[]);
    // The model that is served and one beside it, which are the same.
    copy(&place.path("m/build/model"), &place.path("other"));
    for named in ["m", "other"] {
        let _ = fs::remove_file(index(&place).join("vectors"));
        let right = {
            let server = Server::start(&place, "m", &["--vectors", named]);
            let made = asked(&place, question, &["--vectors", named]);
            assert_ne!(made["citations"][0]["score"], words["citations"][0]["score"]);
            served(&server, question, "ready", &[&words, &made]);
            is_as_described(&server, "m", |path| path == "/readyz" || path == "/v1/ask");
            made
        };
        // From now on, for both.
        assert_eq!(asked(&place, question, &[]), right);
        served(&Server::start(&place, "m", &[]), question, "ready", &[&words, &right]);
    }
    // The model by which it found is gone; then it is to find by words.
    fs::remove_dir_all(place.path("other")).unwrap();
    served(&Server::start(&place, "m", &[]), question, "none", &[&words]);
    place.run(["ask", "m", question, "--vectors", "m"]).good();
    place.write("m/serve.toml", "vectors = \"off\"\n");
    served(&Server::start(&place, "m", &[]), question, "none", &[&words]);
    assert_eq!(asked(&place, question, &[]), words);
    fs::remove_file(place.path("m/serve.toml")).unwrap();

    // What is taken back while vectors are made is found no more.
    let source = "sw/kiduha-gugu-mnyonyaji.md";
    let question = "Mbegu za kiduha hulala udongoni miaka mingapi?";
    fs::remove_file(index(&place).join("vectors")).unwrap();
    let server = Server::start(&place, "m", &["--vectors", "m"]);
    place.run(["corpus", "withdraw", "m", source]).good();
    let begun = Instant::now();
    loop {
        let answer = server.post("/v1/ask", &json!({ "question": question }));
        let is_gone = answer.status == 200 && !answer.json()["citations"].to_string().contains(source);
        if is_gone && server.get("/readyz").json()["vectors"] == "ready" {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", answer.head);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(
        server.post("/v1/ask", &json!({ "question": question })).json(),
        as_served(asked(&place, question, &["--vectors", "m"]))
    );
}

#[test]
fn a_server_says_before_it_listens_that_vectors_cannot_be_made() {
    let place = own_maize();
    let serve = |model: &str, vectors: &str, code: i32, key: &str, words: &[&str]| {
        fails(&place, &["serve", model, "--listen", "127.0.0.1:0", "--vectors", vectors], code, key, words)
    };
    serve("m", "none", 1, "io-not-found", &["none"]);
    serve("m/build/model", "m", 2, "serve-vectors-alone", &["m/build/model", "setting vectors"]);
    // As of models that make nothing but vectors, which are of another kind.
    copy(&place.path("m/build/model"), &place.path("other"));
    let config = place.text("other/config.json").replace("\"llama\"", "\"bert\"");
    place.write("other/config.json", config);
    serve("m", "other", 1, "model-family-unknown", &["bert"]);
    place.write("m/serve.toml", "vectors = \"none\"\n");
    fails(&place, &["serve", "m", "--listen", "127.0.0.1:0"], 1, "io-not-found", &["none"]);
    place.write("m/serve.toml", "vectors = \"off\"\n");
    let ran =
        place.command(["serve", "m", "--listen", "127.0.0.1:0"]).env("KWAYA_SERVE_VECTORS", "none").output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.code() == Some(1) && said.contains("none"), "{said}");
}

#[test]
fn a_server_of_a_build_answers_from_its_documents() {
    let place = own_maize();
    fs::remove_dir_all(place.path("m/build/ask")).unwrap();
    let server = Server::start(&place, "m", &[]);
    let ask = |body: Value| server.post("/v1/ask", &body);
    let question = "Mbegu za kiduha hulala udongoni miaka mingapi?";
    // The index is made meanwhile, and whoever asks is told to come again.
    let begun = Instant::now();
    let answer = loop {
        let answer = ask(json!({ "question": question }));
        if answer.status == 200 {
            break answer.json();
        }
        answer.refused(503, "documents_not_ready");
        assert!(answer.head.contains("retry-after") && begun.elapsed() < PATIENCE, "{}", answer.head);
    };
    assert_eq!(answer, as_served(asked(&place, question, &[])), "as by command");
    let none = ask(json!({ "question": "What is the capital of Mongolia?", "quote": true })).json();
    assert_eq!((&none["supported"], &none["citations"]), (&json!(false), &json!([])));

    assert_eq!(ask(json!({ "question": "?" })).refused(400, "invalid_value"), "question");
    assert_eq!(ask(json!({ "question": "mahindi ".repeat(600) })).refused(400, "invalid_value"), "question");
    assert_eq!(ask(json!({ "question": ["mahindi"] })).refused(400, "invalid_value"), "question");
    assert_eq!(ask(json!({ "question": "mahindi", "model": "other" })).refused(404, "model_not_found"), "model");
    assert_eq!(ask(json!({ "question": "mahindi", "stream": true })).refused(400, "unsupported_parameter"), "stream");
    server
        .raw("POST /v1/ask HTTP/1.0\r\nContent-Type: application/json", b"{\"question\": \"\xff\"}")
        .refused(400, "invalid_json");
    is_as_described(&server, "m", |path| path == "/v1/ask");

    // What is taken back while it runs is found no more.
    let source = "sw/kiduha-gugu-mnyonyaji.md";
    assert!(answer["citations"].to_string().contains(source), "{answer}");
    place.run(["corpus", "withdraw", "m", source]).good();
    let begun = Instant::now();
    loop {
        let answer = server.post("/v1/ask", &json!({ "question": question }));
        if answer.status == 200 && !answer.json()["citations"].to_string().contains(source) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", answer.head);
        std::thread::sleep(Duration::from_millis(50));
    }

    let alone = Server::start(&place, "m/build/model", &[]);
    alone.post("/v1/ask", &json!({ "question": "mahindi" })).refused(404, "documents_not_found");
}
