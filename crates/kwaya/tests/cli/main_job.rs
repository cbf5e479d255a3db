//! From a folder of documents to a model that writes: each command once, for
//! people and for programs.

use std::{fs, os::unix::fs::MetadataExt};

use crate::common::{Place, TINY, document, ledger, new, scratch, write_documents};

/// The stages in order, with whether each was skipped.
fn skipped(built: &serde_json::Value) -> Vec<(String, bool)> {
    let stages = built["stages"].as_array().expect("the stages are a list");
    stages.iter().map(|s| (s["stage"].as_str().unwrap().to_owned(), s["skipped"].as_bool().unwrap())).collect()
}

fn ran(built: &serde_json::Value) -> Vec<String> {
    skipped(built).into_iter().filter(|(_, skipped)| !skipped).map(|(stage, _)| stage).collect()
}

#[test]
fn a_newcomer_gets_from_documents_to_a_model_with_the_commands_that_are_shown() {
    let place = Place::new();
    write_documents(&place.path("documents"), 0..30);
    let wrote = place.run(new("documents")).good();
    assert!(wrote.out.contains("kwaya plan m"), "{}", wrote.out);
    // The recipe that `new` writes, with a training that takes a moment.
    let recipe = place.text("m/kwaya.toml");
    assert!(recipe.starts_with("# ") && recipe.contains("CC0-1.0"), "{recipe}");
    place.write("m/kwaya.toml", recipe.replace("[train]\nseed = 0\n", TINY));

    let plan = place.run(["plan", "m", "--within", "1m"]).good();
    assert!(plan.out.contains("kwaya build m"), "{}", plan.out);
    let before = place.run(["status", "m"]).good();
    let build = place.run(["build", "m"]).good();
    assert!(build.out.contains("kwaya generate m") && build.out.contains("\nsw "), "{}", build.out);
    let after = place.run(["status", "m"]).good();
    assert_ne!(before.out, after.out);

    for name in ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"] {
        assert!(!place.bytes(&format!("m/build/model/{name}")).is_empty(), "{name}");
    }
    for name in ["report.html", "tokenizer.json", "corpus/documents.parquet", "corpus/dropped.parquet"] {
        assert!(!place.bytes(&format!("m/build/{name}")).is_empty(), "{name}");
    }
    assert_eq!(ledger(&place).len(), 6);
    assert_eq!(scratch(&place.path("m")), Vec::<std::path::PathBuf>::new());

    let text = place.run(["generate", "m", "Mahindi", "--tokens", "20"]).good();
    assert!(text.out.starts_with("Mahindi"), "{}", text.out);
    let model_folder = place.run(["generate", "m/build/model", "Mahindi", "--tokens", "20"]).good();
    assert_eq!(text.out, model_folder.out, "a recipe's folder and its model folder are one model");
    let chat = place.run_with_input(["chat", "m", "--tokens", "10"], "Habari\nMahindi\n").good();
    assert!(!chat.out.is_empty());
    let show = place.run(["corpus", "show", "m", "--limit", "3"]).good();
    assert_eq!(show.out.lines().count(), 3, "{}", show.out);
    assert!(show.out.contains("000.txt"), "{}", show.out);
}

#[test]
fn every_command_gives_programs_json_and_nothing_else() {
    let place = Place::new();
    write_documents(&place.path("documents"), 0..30);
    place.write("documents/empty.txt", "");
    let recipe = place.run([&new("documents")[..], &["--json"]].concat()).good().json();
    assert_eq!(recipe["languages"][0], "sw");
    let text = place.text("m/kwaya.toml").replace("[train]\nseed = 0\n", TINY);
    place.write("m/kwaya.toml", text);

    let plan = place.run(["plan", "m", "--json"]).good().json();
    assert_eq!(plan["lock"]["train"]["steps"], 12);
    assert!(plan["forecast"]["seconds"].as_f64().unwrap() > 0.0);
    for kind in ["weights", "gradients", "optimiser", "activations", "workspace"] {
        assert!(plan["way"]["memory"][kind].as_u64().unwrap() > 0, "{kind}");
    }
    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(built["corpus"]["documents"], 30);
    let score = &built["evaluation"]["languages"][0];
    assert_eq!(score["language"], "sw");
    assert!(score["trained"].as_f64().unwrap() < score["untrained"].as_f64().unwrap(), "{score}");

    let status = place.run(["status", "m", "--json"]).good().json();
    assert_eq!(status.as_array().unwrap().len(), 5, "{status}");
    let stats = place.run(["corpus", "stats", "m", "--json"]).good().json();
    assert_eq!(stats["documents"], 30);
    let show = place.run(["corpus", "show", "m", "--json", "--limit", "2"]).good().json_lines();
    assert_eq!(show.len(), 2, "one line for each document");
    assert_eq!(show[0]["source"], "000.txt");
    assert!(document(0).starts_with(show[0]["start"].as_str().unwrap()), "{}", show[0]);
    let dropped = place.run(["corpus", "dropped", "m", "--json"]).good().json_lines();
    assert_eq!((&dropped[0]["source"], &dropped[0]["reason"]), (&"empty.txt".into(), &"empty".into()));
    let text = place.run(["generate", "m", "Mahindi", "--json", "--tokens", "5"]).good().json();
    assert_eq!((&text["prompt"], &text["ended"]), (&"Mahindi".into(), &"length".into()), "{text}");
    let chat = place.run_with_input(["chat", "m", "--json", "--tokens", "5"], "Habari\nMahindi\n").good();
    let turns = chat.json_lines();
    assert_eq!(turns.len(), 2, "one line for each answer: {}", chat.out);
    assert_eq!(turns[1]["prompt"], "Mahindi");
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_another() {
    let place = Place::built();
    let text = |seed: &str| place.run(["generate", "m", "Mahindi", "--tokens", "30", "--seed", seed]).good().out;
    assert_eq!(text("1"), text("1"));
    assert_ne!(text("1"), text("2"));
    let likeliest = |seed: &str| {
        place.run(["generate", "m", "Mahindi", "--tokens", "30", "--temperature", "0", "--seed", seed]).good().out
    };
    assert_eq!(likeliest("1"), likeliest("2"), "at temperature 0 nothing is left to chance");
}

#[test]
fn a_build_that_is_done_is_not_done_again() {
    let place = Place::built();
    let (lines, hash) = (ledger(&place).len(), place.model_hash());
    let inode = |name: &str| fs::metadata(place.path(name)).unwrap().ino();
    let weights = inode("m/build/model/model.safetensors");
    let again = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(ran(&again), Vec::<String>::new());
    assert_eq!((ledger(&place).len(), place.model_hash()), (lines, hash));
    assert_eq!(inode("m/build/model/model.safetensors"), weights, "the artefact itself is shown");
}

#[test]
fn changed_documents_are_noticed_and_only_what_follows_from_them_runs() {
    let place = Place::built();
    let (lock, hash) = (place.text("m/kwaya.lock"), place.model_hash());
    place.write("m/documents/003.txt", document(1_003));
    crate::common::fails(&place, &["build", "m"], 2, "lock-documents", &["m/kwaya.lock", "kwaya plan m"]);
    assert_eq!((place.text("m/kwaya.lock"), place.model_hash()), (lock, hash), "nothing is lost");

    place.run(["plan", "m"]).good();
    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(ran(&built), ["tokenizer", "tokenize", "train", "evaluate"], "the plan has read the documents");
    place.write("m/documents/003.txt", document(3));
    place.run(["plan", "m"]).good();
    let back = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(ran(&back), Vec::<String>::new(), "documents put back are known");
}

#[test]
fn a_changed_wish_for_the_training_leaves_corpus_and_tokenizer_alone() {
    let place = Place::built();
    place.recipe(&TINY.replace("steps = 12", "steps = 14"));
    place.run(["plan", "m"]).good();
    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(ran(&built), ["train", "evaluate"]);
}

#[test]
fn a_changed_choice_of_documents_is_noticed() {
    let place = Place::built();
    place.recipe(&format!("[corpus]\nmin_characters = 300\n{TINY}"));
    crate::common::fails(&place, &["build", "m"], 2, "lock-recipe", &["m/kwaya.lock", "kwaya plan m"]);
}

/// People who keep all in one folder: what Kwaya writes must not become a
/// document.
#[test]
fn the_recipe_may_lie_among_the_documents() {
    let place = Place::new();
    write_documents(&place.path("m"), 0..30);
    place.run(new("m")).good();
    let recipe = place.text("m/kwaya.toml").replace("[train]\nseed = 0\n", TINY);
    place.write("m/kwaya.toml", recipe);
    place.run(["build", "m"]).good();
    let again = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(ran(&again), Vec::<String>::new());
    assert_eq!((&again["corpus"]["files"], &again["corpus"]["documents"]), (&30.into(), &30.into()));
}

#[test]
fn the_machine_is_measured_and_told_in_words() {
    let place = Place::with_documents(1);
    let measured = place.run(["machine", "--json"]).good().json();
    for figure in ["peak", "product", "training"] {
        for precision in ["f32", "bf16"] {
            assert!(measured[precision][figure].as_f64().unwrap() > 1e6, "{figure}: {measured}");
        }
    }
    assert!(measured["disk_write"].as_f64().unwrap() > 1e6 && measured["bandwidth"][0].as_f64().unwrap() > 1e6);
    let hours = measured["abilities"].as_array().unwrap();
    assert!(hours[0]["train"].as_f64() < hours[2]["train"].as_f64());
    let little = place.run(["machine", "--json", "--memory", "50MB"]).good().json();
    assert_eq!(little["abilities"][2]["serve"].as_f64(), Some(12.5e6), "as much as 50 MB hold");
    let words = place.run(["machine"]).good().out;
    assert!(words.contains("f32:") && words.contains("bf16:") && words.contains("on paper"), "{words}");
    assert!(words.contains("train from scratch") && words.contains("in a week"), "{words}");
}
