//! Models of other families than Llama as bases: taught, stopped and gone on
//! with, merged, and handed on.

use std::{collections::BTreeMap, fs, process::Stdio, thread, time::Duration};

use kwaya_model::{Architecture, Source, tensors};

use crate::{
    common::{Place, fails, random},
    taught::{QUICK, place},
};

/// With norms of queries and keys, in heads wider than the stream allows for.
const QWEN3: &str = r#"{"model_type": "qwen3", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16,
    "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0, "max_position_embeddings": 128}"#;

/// With all that there is but biases: windows, two ropes, norms everywhere.
const GEMMA3: &str = r#"{"model_type": "gemma3_text", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 40,
    "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 24,
    "query_pre_attn_scalar": 20, "sliding_window": 9, "layer_types": ["sliding_attention", "full_attention",
    "sliding_attention"], "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}, "bos_token_id": 0, "eos_token_id": 0,
    "max_position_embeddings": 128}"#;

const QWEN2: &str = r#"{"model_type": "qwen2", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 0,
    "max_position_embeddings": 128}"#;

/// A place whose base is a random model of that configuration, with the
/// tokenizer of the base that was there.
fn with_base(config: &str, train: &str) -> Place {
    let place = place(train);
    let architecture = Architecture::from_config_json(config).unwrap();
    let mut state = 7;
    let mut number = |middle: f32| middle + 0.3 * ((random(&mut state) % 2001) as f32 / 1000.0 - 1.0);
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = (architecture.tensors().into_iter())
        .map(|(name, shape)| {
            // Gemma keeps of its norms what differs from 1.
            let norm = name.ends_with("norm.weight") && !config.contains("gemma3");
            let values = (0..shape.iter().product()).map(|_| number(f32::from(u8::from(norm)))).collect();
            (name, shape, values)
        })
        .collect();
    let mut entries: Vec<tensors::Entry<'_>> =
        tensors.iter().map(|(name, shape, values)| (&**name, &**shape, &**values)).collect();
    entries.sort_by_key(|entry| entry.0);
    let metadata = BTreeMap::from([("format", "pt".to_owned())]);
    tensors::write(&place.path("base/model.safetensors"), &metadata, &entries).unwrap();
    place.write("base/config.json", config);
    place
}

#[test]
fn other_families_learn_and_power_cuts_change_no_bit() {
    let train = QUICK.replace("steps = 20", "steps = 60");
    for (family, config, more) in [
        ("qwen2", QWEN2, "method = \"full\""),
        ("qwen3", QWEN3, "method = \"lora\""),
        ("qwen3", QWEN3, "method = \"continue\""),
        ("gemma3_text", GEMMA3, "new_tokens = 40"),
    ] {
        let train = format!("{train}{more}\n");
        let first = with_base(config, &train);
        let built = first.run(["build", "m", "--threads", "1", "--json"]).good().json();
        let score = &built["evaluation"]["languages"][0];
        let [trained, untrained] = ["trained", "untrained"].map(|key| score[key].as_f64().unwrap());
        assert!(trained < 0.8 * untrained, "{family}: {trained} after {untrained}");
        let other = with_base(config, &train);
        other.write("m/kwaya.lock", first.bytes("m/kwaya.lock"));
        for moment in [150, 300, 500] {
            let mut build = other.command(["build", "m", "--threads", "2", "--checkpoint-every", "0.1s"]);
            let mut build = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(Duration::from_millis(moment));
            let _ = build.kill();
            build.wait().unwrap();
        }
        other.run(["build", "m", "--threads", "2"]).good();
        let mut names = vec!["model/model.safetensors", "model/config.json"];
        names.extend(first.path("m/build/adapter").exists().then_some("adapter/adapter_model.safetensors"));
        assert_eq!(names.len(), if more.contains("full") || more.contains("continue") { 2 } else { 3 });
        for name in names {
            let name = format!("m/build/{name}");
            assert!(first.bytes(&name) == other.bytes(&name), "{family} {more}: {name} differs");
        }
        handed_on(&first, family);
    }
}

/// What was built is the family's own, as a folder and as a file.
fn handed_on(place: &Place, family: &str) {
    let inspected = place.run(["inspect", "m", "--json"]).good().json();
    assert_eq!(inspected["family"], family, "{inspected}");
    place.run(["export", "m", "out"]).good();
    place.run(["export", "m", "m.gguf", "--quantise", "F32"]).good();
    let text = |model: &str| {
        let arguments = ["generate", model, "mahindi ya", "--temperature", "0", "--tokens", "8", "--json"];
        place.run(arguments).good().json()["text"].clone()
    };
    assert_eq!([text("out"), text("m.gguf")], [text("m"), text("m")], "{family}");
    let [folder, file] = ["out", "m.gguf"].map(|name| Source::open(&place.path(name)).unwrap());
    let same = Architecture { licence: None, ..file.architecture().clone() };
    assert_eq!(*folder.architecture(), same, "{family}");
    for (tensor, _) in folder.architecture().tensors() {
        assert!(folder.tensor(&tensor).unwrap().values() == file.tensor(&tensor).unwrap().values(), "{tensor}");
    }
}

#[test]
fn all_weights_of_gemma_are_refused_before_anything_is_done() {
    for method in ["full", "continue"] {
        let place = with_base(GEMMA3, &format!("{QUICK}method = \"{method}\"\n"));
        fails(&place, &["plan", "m"], 1, "train-family", &["gemma3_text", "method = \"lora\""]);
        assert!(!fs::exists(place.path("m/kwaya.lock")).unwrap());
    }
}

#[test]
fn what_a_family_can_learn_is_said() {
    let place = with_base(GEMMA3, QUICK);
    let inspected = place.run(["inspect", "base", "--json"]).good().json();
    assert_eq!((&inspected["trains"], &inspected["full_bytes"]), (&false.into(), &serde_json::Value::Null));
    assert!(inspected["adapter_bytes"].as_u64().unwrap() > 1_000_000, "{inspected}");
    let people = place.run(["inspect", "base"]).good().out;
    assert!(people.contains("adapters") && people.contains("not all of its weights"), "{people}");
}
