//! Who allowed what, and taking texts back.

use std::{collections::HashSet, fs, path::Path};

use crate::common::{CONSENT, Place, TINY, document, fails, ledger, new};

/// A recipe with `consent` instead of the usual one.
fn with_consent(place: &Place, uses: &str, consent: &str) {
    let recipe = format!("name = \"m\"\nlanguages = [\"sw\"]\n{uses}[[source]]\npath = \"documents\"\n{consent}{TINY}");
    place.write("m/kwaya.toml", recipe);
}

#[test]
fn a_recipe_of_before_is_told_what_it_lacks() {
    let place = Place::with_documents(3);
    with_consent(&place, "", "licence = \"CC0-1.0\"\n");
    let words =
        ["use\n", "documents: allowed_by, allowed_on, allowed_for, allowed_until", "allowed_until = \"no-end\""];
    fails(&place, &["plan", "m"], 2, "recipe-rights", &words);
    let uses = "use = [\"research\"]\n";
    for (from, to, key) in [
        ("CC0-1.0", "CC 0", "source.licence"),
        ("\"CC0-1.0\"", "\"CC-BY-NC-4.0\"", "source.allowed_for"),
        ("Chama cha wakulima", "", "source.allowed_by"),
    ] {
        with_consent(&place, uses, &CONSENT.replace(from, to));
        fails(&place, &["plan", "m"], 2, "recipe-value", &[key]);
    }
    with_consent(&place, uses, &CONSENT.replace("2026-01-01", "2026-02-30"));
    fails(&place, &["plan", "m"], 2, "recipe-wrong", &["2026-02-30", "2026-11-25"]);
    with_consent(&place, "use = [\"profit\"]\n", CONSENT);
    fails(&place, &["plan", "m"], 2, "recipe-wrong", &["profit", "public-service"]);
}

#[test]
fn a_use_that_is_not_allowed_stops_the_build_and_consent_that_ran_out_too() {
    let place = Place::with_documents(30);
    let uses = "use = [\"research\", \"commercial\"]\n";
    let consent = CONSENT.replace("\"any\"", "\"research\", \"education\"");
    with_consent(&place, uses, &consent);
    let words = ["documents: not allowed for commercial, but for research, education"];
    for command in ["plan", "build"] {
        fails(&place, &[command, "m"], 2, "rights-refused", &words);
        assert!(!place.path("m/build").exists(), "nothing was begun");
    }
    let uses = "use = [\"research\"]\n";
    with_consent(&place, uses, &consent.replace("no-end", "2026-01-02"));
    fails(&place, &["build", "m"], 2, "rights-refused", &["2026-01-02", "Chama cha wakulima", "today is"]);
    with_consent(&place, uses, &consent.replace("2026-01-01", "9999-12-31"));
    fails(&place, &["build", "m"], 2, "rights-refused", &["9999-12-31"]);

    with_consent(&place, uses, &consent.replace("no-end", "9999-01-01"));
    let plan = place.run(["plan", "m"]).good().out;
    assert!(plan.contains("Rights: all sources allow research") && plan.contains("9999-01-01"), "{plan}");
    place.run(["build", "m"]).good();
    let (lines, hash) = (ledger(&place).len(), place.model_hash());
    let told = &ledger(&place)[1];
    assert_eq!((&told["stage"], &told["figures"]["sources"][0]["documents"]), (&"rights".into(), &30.into()));
    assert_eq!(told["figures"]["sources"][0]["allowed_by"], "Chama cha wakulima");
    let sources: serde_json::Value = serde_json::from_slice(&place.bytes("m/build/corpus/sources.json")).unwrap();
    assert_eq!(sources, told["figures"]["sources"]);
    // Consent that lasts longer costs a line of the ledger and no training.
    with_consent(&place, uses, &consent);
    place.run(["build", "m"]).good();
    assert_eq!((ledger(&place).len(), place.model_hash()), (lines + 1, hash));
}

#[test]
fn what_is_not_typed_is_asked_for() {
    let place = Place::with_documents(1);
    fs::remove_file(place.path("m/kwaya.toml")).unwrap();
    let bare = ["new", "m", "--from", "m/documents", "--language", "sw"];
    fails(&place, &bare, 2, "new-unanswered", &["--licence", "--allowed-by"]);
    let wrong = place.run_with_input(bare, "CC0-1.0\nAsha\n1 May\n");
    assert!(wrong.code == Some(2) && wrong.err.contains("1 May") && wrong.err.contains("2026-11-25"), "{wrong:?}");
    assert!(!place.path("m/kwaya.toml").exists());
    let asked = place.run_with_input(bare, "CC-BY-NC-4.0\nAsha Juma\n2026-03-01\neducation, research\n\n2030-01-01\n");
    assert!(asked.good().err.contains("What the model is for"));
    let recipe = place.text("m/kwaya.toml");
    for word in ["Asha Juma", "2026-03-01", "2030-01-01", "allowed_for", "CC-BY-NC-4.0", "\"education\""] {
        assert!(recipe.contains(word), "no {word}: {recipe}");
    }
    let place = Place::with_documents(1);
    fs::remove_file(place.path("m/kwaya.toml")).unwrap();
    let wrong = place.run([&new("m/documents")[..], &["--use", "profit"]].concat());
    assert!(wrong.code == Some(2) && wrong.err.contains("public-service"), "{wrong:?}");
}

/// Whether any file under `folder` holds these bytes, and which.
fn holding(folder: &Path, hashes: &HashSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, hashes));
        } else if hashes.contains(&blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_text_that_is_taken_back_is_gone_with_all_that_was_made_from_it_and_stays_out() {
    let place = Place::with_documents(30);
    // Nearly the same as another, and dropped for that.
    place.write("m/documents/z.txt", format!("{}Asante sana.\n", document(7)));
    place.run(["build", "m"]).good();
    let before = place.model_hash();
    let made: HashSet<String> = ledger(&place)
        .iter()
        .flat_map(|line| line["outputs"].as_array().unwrap().clone())
        .map(|output| output["hash"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        fails(&place, &["corpus", "withdraw", "m", "hakuna"], 2, "withdraw-unknown", &["hakuna"]).lines().count(),
        2
    );
    let shown = place.run(["corpus", "show", "m", "--json", "--source", "007.txt"]).good().json_lines();
    let id = &shown[0]["id"].as_str().unwrap()[..12];

    let taken = place.run(["corpus", "withdraw", "m", id, "--because", "Asha aliomba", "--json"]).good().json();
    assert_eq!((&taken["texts"], &taken["deleted"]), (&2.into(), &false.into()), "{taken}");
    assert!(taken["files"][0].as_str().unwrap().ends_with("documents/007.txt"), "{taken}");
    let stages: HashSet<_> = taken["made"].as_array().unwrap().iter().map(|m| m["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, HashSet::from(["corpus", "rights", "tokenizer", "tokenize", "train", ""]), "{taken}");
    assert_eq!(place.model_hash(), before, "nothing is deleted without being asked");
    assert!(place.text("m/withdrawn.jsonl").contains("Asha aliomba"));
    fails(&place, &["build", "m"], 2, "lock-documents", &["kwaya plan m"]);

    let again = place.run(["corpus", "withdraw", "m", "007.txt", "--delete"]).good().out;
    assert!(again.contains("before") && again.contains("model.safetensors") && again.contains("007.txt"), "{again}");
    assert_eq!(place.text("m/withdrawn.jsonl").lines().count(), 1);
    assert_eq!(holding(&place.path("m/build"), &made), Vec::<String>::new());
    assert!(!place.path("m/build/report.html").exists() && !place.path("m/build/model/model.safetensors").exists());
    assert_eq!(ledger(&place).last().unwrap()["stage"], "withdraw");

    // It comes back under another name, set in another way.
    let text = document(7).replace('\n', " ").replace(". ", ".\u{a0}");
    place.write("m/documents/barua/nyingine.md", text);
    fs::remove_file(place.path("m/documents/007.txt")).unwrap();
    place.run(["plan", "m"]).good();
    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(built["corpus"]["documents"], 29);
    assert_eq!(built["corpus"]["dropped"]["withdrawn"], 2, "{built}");
    assert_ne!(place.model_hash(), before);
    let dropped = place.run(["corpus", "dropped", "m", "--reason", "withdrawn", "--json"]).good().json_lines();
    assert!(dropped.iter().all(|row| row["start"] == ""), "nothing of it is kept: {dropped:?}");
    // A file that no corpus has seen, and a whole source.
    place.write("m/documents/mpya.txt", document(99));
    let new = place.run(["corpus", "withdraw", "m", "m/documents/mpya.txt", "--json"]).good().json();
    assert_eq!((&new["texts"], new["made"].as_array().unwrap().len()), (&0.into(), 0), "{new}");
    let all = place.run(["corpus", "withdraw", "m", "documents", "--json"]).good().json();
    assert_eq!(all["texts"], 29, "{all}");
    fails(&place, &["plan", "m"], 1, "corpus-empty", &["Somebody took it back"]);
    place.write("m/withdrawn.jsonl", "{}");
    fails(&place, &["plan", "m"], 2, "withdrawn-wrong", &["Line 1"]);
}

#[test]
fn a_mailbox_is_taken_back_by_its_name_and_what_a_stopped_build_left_goes_too() {
    let place = Place::with_documents(30);
    let message = |number: u64| {
        let date = "Thu, 5 Mar 2026 10:00:00 +0300";
        format!("From a@b Thu Mar  5 10:00:00 2026\nFrom: a@b\nDate: {date}\n\n{}\n", document(number))
    };
    place.write("m/documents/barua/zote.mbox", message(50) + &message(51));
    place.write("m/documents/barua/moja.txt", document(52));
    // What a build that is stopped leaves of texts, before there is a corpus.
    place.write("m/build/unfinished/corpus/0/entries", document(99));
    place.write("m/documents/mpya.txt", document(99));
    let new = place.run(["corpus", "withdraw", "m", "mpya.txt", "--delete", "--json"]).good().json();
    assert_eq!((&new["texts"], new["made"].as_array().unwrap().len()), (&0.into(), 1), "{new}");
    assert!(!place.path("m/build/unfinished/corpus/0/entries").exists());

    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!((&built["corpus"]["documents"], &built["corpus"]["formats"]["mail"]), (&33.into(), &2.into()));
    assert!(!place.path("m/build/unfinished/corpus").exists(), "it was done");
    let taken = place.run(["corpus", "withdraw", "m", "barua/zote.mbox", "--json"]).good().json();
    assert_eq!((&taken["texts"], taken["files"].as_array().unwrap().len()), (&2.into(), 1), "{taken}");
    assert!(taken["made"].as_array().unwrap().iter().any(|made| made["stage"] == "train"), "{taken}");
    // A folder by its name, with what is in it.
    let folder = place.run(["corpus", "withdraw", "m", "barua", "--json"]).good().json();
    assert_eq!(folder["texts"], 3, "{folder}");
    place.run(["plan", "m"]).good();
    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!((&built["corpus"]["documents"], &built["corpus"]["dropped"]["withdrawn"]), (&30.into(), &3.into()));
}
