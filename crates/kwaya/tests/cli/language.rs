//! `kwaya language`: what is recognised, and one more language.

use crate::common::{Place, document, fails};

/// Sentences of no language, made by rule.
fn invented(seed: u64, sentences: usize) -> String {
    let syllables = ["qwo", "zix", "vrul", "xan", "jjeb", "wuq", "tlix", "oqqa"];
    let mut state = seed;
    let mut text = String::new();
    for word in 0..12 * sentences {
        for _ in 0..=word % 3 {
            text.push_str(syllables[crate::common::random(&mut state) as usize % 8]);
        }
        text.push_str(if word % 12 == 11 { ".\n" } else { " " });
    }
    text
}

#[test]
fn languages_are_listed_and_told() {
    let place = Place::new();
    let listed = place.run(["language", "list", "--json"]).good().json();
    let listed = listed.as_array().unwrap();
    assert!(listed.len() >= 450, "{}", listed.len());
    let swahili = listed.iter().find(|row| row["tag"] == "sw").unwrap();
    assert!(swahili["f1"].as_f64().unwrap() > 0.9 && swahili["script"] == "Latn", "{swahili}");
    let said = place.run(["language", "list"]).good().out;
    assert!(said.contains("Swahili") && said.lines().count() > 450);

    place.write("a.txt", document(1));
    place.write("b.md", "# News\n\nThe government said that farmers will receive new seeds before the rain.\n");
    let told = place.run(["language", "detect", "a.txt", "b.md", "--json"]).good().json_lines();
    assert_eq!((told[0]["language"].as_str(), told[1]["language"].as_str()), (Some("sw"), Some("en")));
    let mixed = "Wakulima watapata mbegu mpya kabla ya msimu wa mvua kuanza.\n\nFarmers will receive new seeds before the \
                 rainy season begins.\n";
    let parts = place.run_with_input(["language", "detect", "--paragraphs", "-", "--json"], mixed).good().json_lines();
    assert_eq!((parts[0]["language"].as_str(), parts[1]["language"].as_str()), (Some("sw"), Some("en")));

    // What cannot be read is said, and the rest is told.
    place.write("empty.txt", "");
    let ran = place.run(["language", "detect", "empty.txt", "a.txt"]);
    assert!(ran.code == Some(1) && ran.out.contains("sw") && ran.err.contains("empty.txt"), "{} {}", ran.out, ran.err);
}

#[test]
fn a_language_is_learned_and_a_recipe_names_it() {
    let place = Place::with_documents(30);
    place.write("sample.txt", invented(1, 200));
    place.write("text.txt", invented(2, 5));
    place.write("short.txt", invented(3, 2));
    fails(&place, &["language", "learn", "qaa", "short.txt", "--out", "m/q.json"], 2, "language-sample-small", &["10"]);
    fails(&place, &["language", "learn", "Q", "sample.txt", "--out", "m/q.json"], 2, "language-tag-wrong", &["Q"]);
    let lesson = place.run(["language", "learn", "qaa", "sample.txt", "--out", "m/q.json", "--json"]).good().json();
    assert_eq!(lesson["lesson"]["right"], lesson["lesson"]["kept_back"], "{lesson}");
    let told = place.run(["language", "detect", "text.txt", "--learned", "m/q.json", "--json"]).good().json_lines();
    assert_eq!(told[0]["language"], "qaa");

    let wishes = "[corpus]\nlanguages_learned = [\"q.json\"]\nparagraphs = true\n";
    place.recipe(&format!("{wishes}{}", crate::common::TINY));
    place.run(["plan", "m", "--within", "1m"]).good();
    // Another file is another corpus: the plan has to be made anew.
    place.run(["language", "learn", "qaa", "text.txt", "sample.txt", "--out", "m/q.json"]).good();
    fails(&place, &["build", "m"], 2, "lock-documents", &["kwaya.lock"]);
    place.write("m/q.json", "{}");
    fails(&place, &["plan", "m"], 2, "language-file-wrong", &["q.json"]);
}
