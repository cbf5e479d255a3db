//! Personal data: replaced by the rules of the recipe, counted, and looked
//! through again.

use std::fs;

use crate::common::{Place, TINY, document, fails};

/// A rule of somebody's own.
const PACK: &str = r#"# The register of the co-operative, book of 2019.
[[rule]]
name = "Members of the co-operative"
kind = "id"
pattern = 'UM-\d{5}'
near = ["mwanachama*"]
match = ["mwanachama UM-12345"]
no_match = ["UM-12345"]
"#;

const WISHES: &str = "[corpus]\npersonal_packs = [\"pack.toml\"]\npersonal_names = [\"names.txt\"]\n";

/// Six texts with a telephone number, an address, a number of a member and a
/// name each, two of them lines of one file.
fn place() -> Place {
    let place = Place::with_documents(30);
    let text = |number: u64| {
        let own = format!("Piga +255 712 345 67{number} au andika kwa asha{number}@mfano.co.tz.");
        format!("{} {own} Mwanachama UM-1234{number}, Rehema Juma. Jina langu ni Neema Ali.", document(100 + number))
    };
    for number in 0..4 {
        place.write(&format!("m/documents/watu/{number}.txt"), text(number));
    }
    let lines: Vec<String> = (4..6).map(|number| serde_json::json!({ "text": text(number) }).to_string()).collect();
    place.write("m/documents/watu/mengine.jsonl", lines.join("\n"));
    place.write("m/pack.toml", PACK);
    place.write("m/names.txt", "# wanachama\nRehema Juma\n");
    place.recipe(&format!("{WISHES}{TINY}"));
    place
}

#[test]
fn what_was_replaced_is_counted_and_read_again() {
    let place = place();
    place.run(["plan", "m"]).good();
    let stats = place.run(["corpus", "stats", "m", "--json"]).good().json();
    assert_eq!(stats["replaced"], serde_json::json!({ "email": 6, "phone": 6, "id": 6, "name": 6 }));
    let told = place.run(["corpus", "stats", "m"]).good().out;
    assert!(told.contains("e-mail addresses: 6, telephone numbers: 6"), "{told}");
    let readme = place.text("m/build/corpus/README.md");
    assert!(readme.contains("names: 6"), "{readme}");

    let audit = || place.run(["corpus", "audit", "m", "-n", "4", "--json"]).good().json();
    let found = audit();
    assert_eq!(found, audit());
    assert_eq!(found["documents"], 36);
    for (kind, begins) in [("phone", "+255 712 345 67"), ("email", "asha"), ("id", "UM-1234"), ("name", "Rehema Juma")]
    {
        let sampled = &found["replaced"][kind];
        assert_eq!((&sampled["count"], &sampled["documents"]), (&6.into(), &6.into()), "{kind}");
        let places = sampled["places"].as_array().unwrap();
        assert_eq!(places.len(), 4);
        for place in places {
            assert!(place["what"].as_str().unwrap().starts_with(begins), "{place}");
            assert_eq!(place["read_again"], true, "{place}");
        }
    }
    let all = place.run(["corpus", "audit", "m", "-n", "6", "--json"]).good().json();
    let places = all["replaced"]["phone"]["places"].as_array().unwrap();
    assert_eq!(places.iter().filter(|place| place["source"].as_str().unwrap().contains("mengine.jsonl")).count(), 2);
    let missed = &found["missed"]["name-after-words"];
    assert_eq!((&missed["count"], &missed["places"][0]["what"]), (&6.into(), &"Neema Ali".into()), "{missed}");
    let told = place.run(["corpus", "audit", "m", "-n", "1"]).good().out;
    assert!(told.contains("telephone numbers: 6 in 6 documents") && told.contains("❰+255 712 345 67"), "{told}");
    assert!(told.contains("❰Neema Ali❱") && !told.contains("stored nowhere"), "{told}");

    // A file that is gone, and one that has changed.
    fs::remove_file(place.path("m/documents/watu/0.txt")).unwrap();
    place.write("m/documents/watu/1.txt", document(7));
    let all = place.run(["corpus", "audit", "m", "-n", "6", "--json"]).good().json();
    let places = all["replaced"]["phone"]["places"].as_array().unwrap();
    let (again, not): (Vec<_>, Vec<_>) = places.iter().partition(|place| place["read_again"] == true);
    assert_eq!((again.len(), not.len()), (4, 2));
    assert!(not.iter().all(|place| place["what"] == "<phone>" && place["before"].as_str().unwrap().ends_with("Piga")));
    assert!(place.run(["corpus", "audit", "m", "-n", "6"]).good().out.contains("stored nowhere"));
}

#[test]
fn rules_are_part_of_what_is_built_and_mistakes_in_them_are_told() {
    let place = place();
    fails(&place, &["corpus", "audit", "m"], 1, "corpus-missing", &["kwaya plan"]);
    place.run(["plan", "m"]).good();
    let replaced = |kind: &str| place.run(["corpus", "stats", "m", "--json"]).good().json()["replaced"][kind].clone();
    let rule = "\"mwanachama UM-12345\"";
    place.write("m/pack.toml", PACK.replace("mwanachama*", "mwanakijiji*").replace(rule, "\"mwanakijiji UM-12345\""));
    place.run(["plan", "m"]).good();
    assert_eq!(replaced("id"), serde_json::Value::Null, "the pack has changed");
    place.run(["build", "m"]).good();
    assert!(place.text("m/build/report.html").contains("telephone numbers: 6"));
    place.write("m/names.txt", "Neema Ali\nRehema Juma\n");
    place.run(["plan", "m"]).good();
    assert_eq!(replaced("name"), 12, "the list has changed");

    let plan = ["plan", "m"];
    let wrong = |from: &str, to: &str, key: &str, words: &[&str]| {
        assert!(PACK.contains(from));
        place.write("m/pack.toml", PACK.replacen(from, to, 1));
        fails(&place, &plan, 2, key, words);
    };
    wrong("near", "neer", "privacy-file", &["pack.toml", "line 6", "neer"]);
    wrong(r"\d{5}", r"\d{5", "privacy-rule", &["pack.toml", "Members of the co-operative"]);
    wrong(r"\d{5}", r"\d{6}", "privacy-example-missed", &["pack.toml", "Members", "mwanachama UM-12345"]);
    wrong("near = [\"mwanachama*\"]\n", "", "privacy-example-found", &["pack.toml", "Members", "UM-12345"]);
    place.write("m/pack.toml", PACK);
    place.write("m/names.txt", "Rehema\nJ\n");
    fails(&place, &plan, 2, "privacy-file", &["names.txt", "line 2"]);
    place.write("m/names.txt", [b'R', 0xff, b'\n']);
    fails(&place, &plan, 2, "privacy-file", &["names.txt"]);
    fs::remove_file(place.path("m/names.txt")).unwrap();
    fails(&place, &plan, 1, "io-not-found", &["names.txt"]);
    place.recipe(&format!("[corpus]\npersonal_countries = [\"TZ\", \"Kenya\"]\n{TINY}"));
    fails(&place, &plan, 2, "privacy-country", &["KENYA"]);
    place.recipe(&format!("[corpus]\npersonal_pack = [\"pack.toml\"]\n{TINY}"));
    fails(&place, &plan, 2, "recipe-wrong", &["personal_pack", "personal_packs"]);
    place.recipe(&format!("{WISHES}redact = false\n{TINY}"));
    fails(&place, &plan, 2, "recipe-together", &["corpus.personal_packs", "redact = true"]);
}
