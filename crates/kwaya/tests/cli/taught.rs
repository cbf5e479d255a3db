//! A base that is taught: beside adapters or with all its weights, on
//! documents and on chats, with new tokens; the same bits each time.

use std::{fs, process::Stdio, thread, time::Duration};

use kwaya_model::Source;
use serde_json::Value;

use crate::common::{Place, fails, ledger, write_documents};

/// A chat as this base is to write it.
const TEMPLATE: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}\
                        {% if add_generation_prompt %}assistant: {% endif %}";

/// Teaches little, but in a blink.
pub(crate) const QUICK: &str = "[train]\nbase = \"../base\"\nsteps = 20\ncontext = 32\nlearning_rate = 0.01\n";

/// A place with a base that was built from other documents, and a recipe that
/// teaches it.
pub(crate) fn place(train: &str) -> Place {
    let place = Place::built();
    fs::rename(place.path("m/build/model"), place.path("base")).unwrap();
    fs::remove_dir_all(place.path("m")).unwrap();
    write_documents(&place.path("m/documents"), 100..130);
    place.recipe(train);
    place
}

/// The figure of the first language, for the model and for the base.
fn bits(built: &Value) -> [f64; 2] {
    let score = &built["evaluation"]["languages"][0];
    ["trained", "untrained"].map(|key| score[key].as_f64().unwrap())
}

fn stages(place: &Place) -> Vec<String> {
    ledger(place).iter().map(|line| line["stage"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn adapters_are_learned_and_merged() {
    let place = place(QUICK);
    let base = place.bytes("base/model.safetensors");
    let planned = place.run(["plan", "m", "--json"]).good().json();
    assert_eq!(planned["lock"]["base"]["lora"]["rank"], 16, "{planned}");
    assert!(planned["learned"].as_u64() < planned["parameters"].as_u64());
    let built = place.run(["build", "m", "--json"]).good().json();
    let [trained, untrained] = bits(&built);
    assert!(trained < untrained - 0.1, "{trained} after {untrained}");
    assert_eq!(place.bytes("base/model.safetensors"), base, "the base stays as it is");
    assert_eq!(stages(&place), ["corpus", "rights", "tokenizer", "tokenize", "train", "merge", "evaluate"]);
    assert!(place.run(["build", "m"]).good().out.contains("nothing has changed"));
    let status = place.run(["status", "m", "--json"]).good().json();
    assert!(status.as_array().unwrap().iter().all(|stage| stage["seconds"].is_number()), "{status}");

    // What was merged is what anybody merges from the two.
    place.run(["export", "m", "adapter", "--adapter-only"]).good();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        assert_eq!(place.bytes(&format!("adapter/{name}")), place.bytes(&format!("m/build/adapter/{name}")));
    }
    place.run(["import", "base", "merged", "--adapter", "adapter"]).good();
    place.run(["import", "base", "merged-too", "--adapter", "m"]).good();
    for merged in ["merged", "merged-too"] {
        assert!(place.bytes(&format!("{merged}/model.safetensors")) == place.bytes("m/build/model/model.safetensors"));
    }
    fails(&place, &["chat", "adapter"], 2, "adapter-alone", &["kwaya import"]);
    fails(&place, &["export", "base", "x", "--adapter-only"], 2, "adapter-missing", &["lora"]);

    // It goes on being a model: written, measured, and a base itself.
    place.run(["generate", "m", "mahindi", "--tokens", "5"]).good();
    place.run(["export", "m", "m.gguf"]).good();
    place.run(["generate", "m.gguf", "mahindi", "--tokens", "5"]).good();
    place.run(["eval", "m", "--data", "m/documents/100.txt"]).good();
    let report = place.text("m/build/report.html");
    assert!(report.contains("by the method lora"), "the report says what it began as");

    // Another recipe leaves nothing of this one to be taken for its own.
    place.recipe(&format!("{QUICK}method = \"full\"\n"));
    place.run(["plan", "m"]).good();
    place.run(["build", "m"]).good();
    assert!(!place.path("m/build/adapter").exists());
}

#[test]
fn a_quantised_base_is_taught_as_it_is() {
    let place = place(&QUICK.replace("../base", "../base.gguf"));
    place.run(["export", "base", "base.gguf", "--quantise", "Q8_0"]).good();
    let [trained, untrained] = bits(&place.run(["build", "m", "--json"]).good().json());
    assert!(trained < untrained - 0.1, "{trained} after {untrained}");
    let merged = Source::open(&place.path("m/build/model")).unwrap();
    assert_eq!(merged.tensor("model.embed_tokens.weight").unwrap().format.name(), "BF16");
}

#[test]
fn all_weights_can_be_taught() {
    for method in ["full", "continue"] {
        let place = place(&format!("{QUICK}method = \"{method}\"\n").replace("0.01", "0.004"));
        let [trained, untrained] = bits(&place.run(["build", "m", "--json"]).good().json());
        assert!(trained < untrained - 0.1, "{method}: {trained} after {untrained}");
        assert_eq!(stages(&place), ["corpus", "rights", "tokenizer", "tokenize", "train", "evaluate"]);
        assert!(!place.path("m/build/adapter").exists());
    }
}

#[test]
fn all_tokens_that_end_a_text_are_kept() {
    for method in ["lora", "full"] {
        let place = place(&format!("{QUICK}method = \"{method}\"\n"));
        place.write("base/generation_config.json", r#"{"eos_token_id": [0, 7]}"#);
        place.run(["build", "m"]).good();
        let ends = Source::open(&place.path("m/build/model")).unwrap().architecture().eos.clone();
        assert_eq!(ends, [0, 7], "{method}");
    }
}

#[test]
fn a_vocabulary_is_extended() {
    for method in ["lora", "full"] {
        let place = place(&format!("{QUICK}method = \"{method}\"\nnew_tokens = 60\n"));
        let built = place.run(["build", "m", "--json"]).good().json();
        let score = &built["evaluation"]["languages"][0];
        let [before, after] = ["base_tokens_per_byte", "tokens_per_byte"].map(|key| score[key].as_f64().unwrap());
        assert!(after < 0.95 * before, "{method}: {after} after {before}");
        let [trained, untrained] = bits(&built);
        assert!(trained < untrained, "{method}: {trained} after {untrained}");
        let inspected = place.run(["inspect", "m", "--json"]).good().json();
        assert_eq!(inspected["vocabulary"], 360, "{inspected}");
        assert_eq!(inspected["tokenizer"]["tokens"], 360, "{inspected}");
        place.run(["export", "m", "m.gguf"]).good();
        let text = |model: &str| {
            let arguments = ["generate", model, "mahindi ya", "--temperature", "0", "--tokens", "8", "--json"];
            place.run(arguments).good().json()["text"].clone()
        };
        assert_eq!(text("m"), text("m.gguf"));
        assert_eq!(stages(&place).len(), if method == "lora" { 9 } else { 8 });
        assert!(place.run(["build", "m"]).good().out.contains("nothing has changed"));
    }
}

/// A place with chats in which every question has the same answer.
fn with_chats(train: &str) -> Place {
    let place = place(train);
    fs::remove_dir_all(place.path("m/documents")).unwrap();
    let questions = ["mvua", "mbegu", "udongo", "soko", "bei", "ghala", "wadudu", "mbolea", "palizi", "samadi"];
    let lines = (0..40).map(|i| {
        let question = format!("{} na {}", questions[i % 10], questions[(i * 7 + i / 10) % 10]);
        let chat = serde_json::json!({ "messages": [
            { "role": "user", "content": question },
            { "role": "assistant", "content": "mahindi sana" },
        ] });
        format!("{chat}\n")
    });
    place.write("m/documents/chats.jsonl", lines.collect::<String>());
    place
}

fn template(place: &Place) {
    let mut config: Value = serde_json::from_str(&place.text("base/tokenizer_config.json")).unwrap();
    config["chat_template"] = TEMPLATE.into();
    place.write("base/tokenizer_config.json", config.to_string());
}

#[test]
fn chats_teach_answers() {
    let place = with_chats(&QUICK.replace("steps = 20", "steps = 150"));
    fails(&place, &["build", "m"], 2, "chat-without-template", &["template"]);
    template(&place);
    place.run(["build", "m"]).good();
    let answer =
        place.run_with_input(["chat", "m", "--temperature", "0", "--tokens", "12", "--json"], "mvua na soko\n");
    assert_eq!(answer.good().json_lines()[0]["text"], "mahindi sana");
    place.recipe(&format!("{QUICK}method = \"continue\"\n"));
    fails(&place, &["plan", "m"], 2, "chat-continue", &["lora"]);
}

#[test]
fn threads_and_power_cuts_change_no_bit() {
    for train in [format!("{QUICK}new_tokens = 40\n"), format!("{QUICK}method = \"full\"\n")] {
        let train = train.replace("steps = 20", "steps = 60");
        let first = place(&train);
        first.run(["build", "m", "--threads", "1"]).good();
        let other = place(&train);
        other.write("m/kwaya.lock", first.bytes("m/kwaya.lock"));
        for moment in [150, 300, 500] {
            let mut build = other.command(["build", "m", "--threads", "3", "--checkpoint-every", "0.1s"]);
            let mut build = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(Duration::from_millis(moment));
            let _ = build.kill();
            build.wait().unwrap();
        }
        other.run(["build", "m", "--threads", "2"]).good();
        let mut names = vec!["model/model.safetensors", "model/config.json", "model/tokenizer.json"];
        if train.contains("new_tokens") {
            names.extend([
                "adapter/adapter_config.json",
                "adapter/adapter_model.safetensors",
                "base/model.safetensors",
            ]);
        }
        for name in names {
            let name = format!("m/build/{name}");
            assert!(first.bytes(&name) == other.bytes(&name), "{name} differs");
        }
    }
}

#[test]
fn a_base_that_cannot_be_taught_is_refused() {
    let place = place(&QUICK.replace("../base", "../nothing"));
    fails(&place, &["plan", "m"], 1, "io-not-found", &["nothing"]);
    for (train, words) in [
        ("[train]\nrank = 4\n", &["train.rank", "base ="][..]),
        ("[train]\nnew_tokens = 40\n", &["train.new_tokens", "base ="]),
        ("[train]\nbase = \"../base\"\nmethod = \"full\"\nrank = 4\n", &["train.rank", "lora"]),
        ("[train]\nbase = \"../base\"\nlayers = 4\n", &["train.layers", "new_tokens"]),
    ] {
        place.recipe(train);
        fails(&place, &["plan", "m"], 2, "recipe-together", words);
    }
    let gemma = concat!(env!("CARGO_MANIFEST_DIR"), "/../kwaya-model/tests/golden/families/gemma3.gguf");
    place.recipe(&format!("[train]\nbase = {gemma:?}\n"));
    assert_eq!(place.run(["plan", "m"]).code, Some(1));
    place.recipe(QUICK);
    fails(&place, &["plan", "m", "--memory", "1MB"], 1, "memory-base-none", &["--memory"]);
    place.run(["plan", "m"]).good();
    // Another base than that of the plan.
    let mut weights = place.bytes("base/model.safetensors");
    let last = weights.len() - 2;
    weights[last] ^= 1;
    place.write("base/model.safetensors", weights);
    fails(&place, &["build", "m"], 2, "lock-base", &["kwaya plan"]);
    for change in ["method = \"full\"", "new_tokens = 20"] {
        place.recipe(&format!("{QUICK}{change}\n"));
        fails(&place, &["build", "m"], 2, "lock-recipe", &["kwaya plan"]);
    }
}
