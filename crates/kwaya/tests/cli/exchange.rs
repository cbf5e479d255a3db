//! Models in and out: what goes through a folder and back is the same model.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use kwaya_model::{
    Gguf, Source,
    gguf::{self, Texts, Value},
};
use serde_json::Value as Json;

use crate::common::{Place, fails};

/// Tiny models of all families, made by `transformers`, with the tokens that
/// it chooses.
pub(crate) const FAMILIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kwaya-model/tests/golden/families");
/// Each with the target that its weights are stored as.
const STORED: [(&str, &str); 6] =
    [("llama2", "f32"), ("llama3", "bf16"), ("mistral", "F16"), ("qwen2", "f16"), ("qwen3", "F16"), ("gemma3", "F16")];
const TEMPLATE: &str = "{% for m in messages %}{{ m.content }}{% endfor %}";

/// A model of the family with a tokenizer in which `t41` is the token 41.
fn with_tokenizer(place: &Place, name: &str) -> PathBuf {
    with_metadata(place, name, &[])
}

/// The same, with more metadata.
pub(crate) fn with_metadata(place: &Place, name: &str, more: &[(&'static str, Value)]) -> PathBuf {
    let golden = Gguf::open(&Path::new(FAMILIES).join(format!("{name}.gguf"))).unwrap();
    let size = golden.texts("tokenizer.ggml.tokens").unwrap().len();
    let mut metadata: BTreeMap<&str, Value> = golden.metadata.iter().map(|(k, v)| (&**k, v.clone())).collect();
    let kinds = (0..size).map(|id| if id < 3 { 3 } else { 4 }).collect();
    metadata.insert("tokenizer.ggml.token_type", Value::Signeds(kinds));
    metadata.insert("tokenizer.ggml.merges", Value::Texts(Texts::default()));
    metadata.insert("tokenizer.ggml.add_bos_token", Value::Bool(false));
    metadata.insert("tokenizer.chat_template", TEMPLATE.into());
    metadata.extend(more.iter().cloned());
    let metadata: Vec<_> = metadata.into_iter().collect();
    let tensors = golden.tensors();
    let entries: Vec<_> =
        tensors.iter().map(|t| gguf::Entry { name: &t.name, shape: &t.shape, format: t.format }).collect();
    let path = place.path(&format!("{name}.gguf"));
    gguf::write(&path, &metadata, &entries, |index, take| take(golden.bytes(&tensors[index]))).unwrap();
    path
}

fn same_weights(one: &Path, other: &Path) {
    let (one, other) = (Source::open(one).unwrap(), Source::open(other).unwrap());
    for (name, _) in one.architecture().tensors() {
        let (a, b) = (one.tensor(&name).unwrap(), other.tensor(&name).unwrap());
        assert_eq!(a.format, b.format, "{name}");
        assert_eq!(a.values(), b.values(), "{name}");
    }
}

pub(crate) fn spelled(tokens: &Json) -> String {
    tokens.as_array().unwrap().iter().map(|token| format!("t{token}")).collect()
}

#[test]
fn every_family_goes_in_and_out_and_stays_the_same() {
    let place = Place::new();
    let expected = fs::read_to_string(Path::new(FAMILIES).join("expected.json")).unwrap();
    let expected: Json = serde_json::from_str(&expected).unwrap();
    for (name, target) in STORED {
        let [file, folder, back] = [format!("{name}.gguf"), format!("{name}-in"), format!("{name}-out.gguf")];
        let first = with_tokenizer(&place, name);
        place.run(["import", &file, &folder]).good();
        place.run(["export", &folder, &back, "--quantise", target]).good();
        same_weights(&first, &place.path(&folder));
        same_weights(&first, &place.path(&back));
        let expected = &expected["models"][name];
        for model in [&file, &folder, &back] {
            let prompt = spelled(&expected["tokens"]);
            let greedy = ["--temperature", "0", "--repetition-penalty", "1", "--tokens", "16", "--json"];
            let ran = place.run(["generate", model, &prompt].iter().chain(&greedy)).good();
            assert_eq!(ran.json()["text"], spelled(&expected["greedy"]), "{model}");
            let inspected = place.run(["inspect", model, "--json"]).good().json();
            assert_eq!(inspected["tokenizer"]["chat_template"], true, "{inspected}");
            assert_eq!(inspected["licence"], "cc0-1.0", "{inspected}");
        }
        // Of the folder that transformers wrote, too, once it has a tokenizer.
        let golden = format!("{name}-golden");
        fs::create_dir(place.path(&golden)).unwrap();
        for entry in fs::read_dir(Path::new(FAMILIES).join(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), place.path(&golden).join(entry.file_name())).unwrap();
        }
        for tokenizer in ["tokenizer.json", "tokenizer_config.json"] {
            fs::copy(place.path(&folder).join(tokenizer), place.path(&golden).join(tokenizer)).unwrap();
        }
        let joined = format!("{name}-joined");
        place.run(["import", &golden, &joined]).good();
        same_weights(&place.path(&golden), &place.path(&joined));
        let [a, b] = [&golden, &joined].map(|folder| Source::open(&place.path(folder)).unwrap().architecture().clone());
        assert_eq!(a, b, "{name}");
    }
}

#[test]
fn a_build_becomes_a_file_that_says_the_same() {
    let place = Place::built();
    place.write("text.txt", "Mahindi yanahitaji mvua. ".repeat(40));
    let ran =
        place.run(["export", "m", "m.gguf", "--quantise", "F32", "--measure", "text.txt", "--json"]).good().json();
    let [before, after] = [0, 1].map(|which| ran["bits_per_byte"][which].as_f64().unwrap());
    assert!(before == after && before > 0.5 && before < 20.0, "{ran}");
    let greedy = ["Mahindi", "--temperature", "0", "--tokens", "20", "--json"];
    let said = |model: &str| place.run(["generate", model].iter().chain(&greedy)).good().json()["text"].clone();
    assert_eq!(said("m"), said("m.gguf"));
    place.run(["import", "m.gguf", "back"]).good();
    assert_eq!(said("m"), said("back"));

    for target in ["Q8_0", "q4_0", "Q4_K_M", "Q6_K", "F16", "BF16"] {
        let export = |source: &str, threads: &str, out: &str| {
            place.run(["export", source, out, "--quantise", target, "--threads", threads]).good();
            blake3::hash(&place.bytes(out))
        };
        let [one, three] =
            [("1", "1.gguf"), ("3", "3.gguf")].map(|(threads, out)| export("m", threads, &format!("{target}-{out}")));
        assert_eq!(one, three, "{target}");
        export("m.gguf", "2", &format!("{target}-again.gguf"));
        same_weights(&place.path(&format!("{target}-1.gguf")), &place.path(&format!("{target}-again.gguf")));
        said(&format!("{target}-1.gguf"));
    }
    place.run(["export", "m", "half", "--quantise", "bf16"]).good();
    said("half");
    let inspected = place.run(["inspect", "m", "--tensors", "--json"]).good().json();
    assert_eq!(inspected["trains"], true, "{inspected}");
    assert_eq!(inspected["formats"]["F32"]["weights"], inspected["parameters"], "{inspected}");
    assert_eq!(inspected["tensors"].as_array().unwrap().len(), 11, "{inspected}");
    let people = place.run(["inspect", "m", "--tensors"]).good().out;
    assert!(people.contains("model.layers.0.mlp.up_proj.weight") && people.contains("none is stated"), "{people}");
}

#[test]
fn what_cannot_be_exchanged() {
    let place = Place::new();
    with_tokenizer(&place, "llama2");
    place.write("there", "x");
    fails(&place, &["import", "llama2.gguf", "there"], 2, "exchange-exists", &["there"]);
    fails(&place, &["export", "llama2.gguf", "there"], 2, "exchange-exists", &["there"]);
    fails(&place, &["export", "llama2.gguf", "llama2.gguf"], 2, "exchange-exists", &["llama2.gguf"]);
    fails(&place, &["export", "llama2.gguf", "a.gguf", "--quantise", "Q3"], 2, "exchange-format", &["Q3", "Q4_K_M"]);
    fails(&place, &["export", "llama2.gguf", "a", "--quantise", "Q8_0"], 2, "exchange-format", &["Q8_0", "BF16"]);
    fails(&place, &["import", "llama2.gguf", "a", "--numbers", "q8"], 2, "exchange-format", &["q8", "F16"]);
    fails(&place, &["import", "none", "a"], 1, "io-not-found", &["none"]);
    fails(&place, &["import", "llama2.gguf", "no/such/folder"], 1, "io-not-found", &["no/such"]);
    let golden = format!("{FAMILIES}/qwen2");
    fails(&place, &["import", &golden, "a"], 1, "tokenizer-missing", &["tokenizer.json"]);
    let bare = format!("{FAMILIES}/qwen2.gguf");
    fails(&place, &["export", &bare, "a.gguf"], 1, "vocabulary-wrong", &["merges"]);
    let inspected = place.run(["inspect", &bare]).good().out;
    assert!(inspected.contains("none that can be used"), "{inspected}");
    let bytes = place.bytes("llama2.gguf");
    place.write("short.gguf", &bytes[..bytes.len() / 2]);
    for command in [&["inspect", "short.gguf"][..], &["import", "short.gguf", "a"]] {
        fails(&place, command, 1, "gguf-short", &["short.gguf"]);
    }
    place.write("empty.txt", "");
    fails(&place, &["export", "llama2.gguf", "a.gguf", "--measure", "none.txt"], 1, "io-not-found", &["none.txt"]);
    let left: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left.iter().any(|name| name == "a" || name == "a.gguf" || name.to_string_lossy().starts_with('.')),
        "{left:?}"
    );
}

#[test]
fn files_of_texts_and_questions() {
    let place = Place::built();
    place.write("text.txt", "Mahindi yanahitaji mvua. ".repeat(40));
    let lines = r#"{"text": "Mahindi yanahitaji mvua.", "language": "sw"}
{"text": "shamba mvua mkulima", "language": "sw"}
{"text": "Rain", "language": "en"}

{"question": "mbegu mbolea", "choices": ["mavuno kupanda", "\u4e00\u4e01\u4e02"], "answer": 0}
{"question": "mbegu mbolea", "choices": ["mavuno kupanda", "zzzqqq xxx"], "answer": "zzzqqq xxx"}
{"prompt": "mahindi", "answer": "sitasema hivi"}
"#;
    place.write("lines.jsonl", lines);
    let eval = |threads| place.run(["eval", "m", "--data", "text.txt", "lines.jsonl", "--json", "--threads", threads]);
    let figures = eval("1").good().json_lines();
    assert_eq!(figures, eval("3").good().json_lines());
    let bits = figures[0]["texts"][""]["bits_per_byte"].as_f64().unwrap();
    assert!((0.5..20.0).contains(&bits), "{figures:?}");
    let of_lines = &figures[1];
    assert_eq!(of_lines["texts"]["sw"]["texts"], 2);
    // All but what is given, where no token is put before a text.
    assert!((41..=43).contains(&of_lines["texts"]["sw"]["bytes"].as_u64().unwrap()), "{of_lines}");
    assert!((1..=4).contains(&of_lines["texts"]["en"]["bytes"].as_u64().unwrap()), "{of_lines}");
    assert_eq!(of_lines["choices"], serde_json::json!({ "questions": 2, "right": 1, "right_by_length": 1 }));
    assert_eq!(of_lines["exact"], serde_json::json!({ "questions": 1, "right": 0 }));
    let people = place.run(["eval", "m", "--data", "lines.jsonl"]).good().out;
    assert!(people.contains("50.0 % right") && people.contains("bits per byte on 2 texts"), "{people}");

    place.write("wrong.jsonl", format!("{lines}\n{{\"question\": \"a\", \"choices\": [\"b\"], \"answer\": 1}}\n"));
    fails(&place, &["eval", "m", "--data", "wrong.jsonl"], 1, "eval-line", &["Line 9", "wrong.jsonl"]);
    place.write("other.jsonl", "hapana");
    fails(&place, &["eval", "m", "--data", "other.jsonl"], 1, "eval-line", &["Line 1"]);
    place.write("empty.txt", "");
    fails(&place, &["eval", "m", "--data", "empty.txt"], 1, "measure-short", &["too short"]);
    fails(&place, &["eval", "m", "--data", "text.txt", "none.txt"], 1, "io-not-found", &["none.txt"]);
}
