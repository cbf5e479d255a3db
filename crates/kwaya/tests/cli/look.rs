//! Looking at the corpus: lists, one document, and samples.

use crate::common::{Place, document, fails, write_documents};

#[test]
fn documents_and_what_was_left_out_can_be_looked_at() {
    let place = Place::with_documents(30);
    write_documents(&place.path("m/documents/barua"), 40..50);
    for number in 0..30 {
        place.write(
            &format!("m/documents/fupi/{number:02}.txt"),
            format!("Habari fupi ya shamba la mahindi, ya {number}. Piga +255 712 345 678."),
        );
    }
    place.write("m/documents/tupu.txt", "");
    place.run(["plan", "m"]).good();
    let rows = |arguments: &str| place.run(arguments.split(' ')).good().json_lines();

    let all = rows("corpus show m --json --limit 100");
    assert_eq!(all.len(), 40);
    let page = rows("corpus show m --json --limit 5 --skip 10");
    assert_eq!(page, all[10..15]);
    assert_eq!(rows("corpus show m --json --source barua").len(), 10);
    assert_eq!(rows("corpus show m --json --source documents --limit 100").len(), 40, "a source of the recipe");
    assert_eq!(rows("corpus show m --json --language en").len(), 0);

    let id = all[3]["id"].as_str().unwrap();
    let one = place.run(["corpus", "show", "m", &id[..10]]).good().out;
    let text = document(if all[3]["source"] == "003.txt" { 3 } else { panic!("{}", all[3]) });
    assert!(one.ends_with(&text), "{one}");
    for words in [id, "Chama cha wakulima", "format txt", "recognised as sw"] {
        assert!(one.contains(words), "no {words}: {one}");
    }
    let one = place.run(["corpus", "show", "m", id, "--json"]).good().json();
    assert_eq!((&one["text"], &one["rights"]["licence"]), (&text.trim_end().into(), &"CC0-1.0".into()));
    fails(&place, &["corpus", "show", "m", "zzz"], 2, "show-unknown", &["zzz"]);

    let short = rows("corpus dropped m --json --reason too-short --limit 100");
    assert_eq!(short.len(), 30);
    assert!(
        short[7]["start"].as_str().unwrap().starts_with("Habari fupi ya shamba la mahindi, ya 7. Piga <phone>"),
        "{}",
        short[7]
    );
    assert_eq!(rows("corpus dropped m --json --filter x").len(), 0);
    let sample = rows("corpus sample m --dropped --json --limit 4");
    assert_eq!(sample.len(), 5, "four that are short, and the empty one: {sample:?}");
    assert_eq!(sample, rows("corpus sample m --dropped --json --limit 4"));
    let drawn = rows("corpus sample m --json --limit 8");
    assert_eq!((drawn.len(), drawn == rows("corpus sample m --json --limit 8 --seed 1")), (8, false));
    let stats = place.run(["corpus", "stats", "m", "--json"]).good().json();
    assert_eq!((&stats["sources"]["1"]["documents"], &stats["lengths"]["10"]), (&40.into(), &40.into()), "{stats}");
}

#[test]
fn the_card_says_what_is_known_and_asks_for_the_rest() {
    let place = Place::with_documents(30);
    place.run(["plan", "m"]).good();
    let readme = place.text("m/build/corpus/README.md");
    for words in ["---\npretty_name: \"m\"\nlanguage:\n- \"sw\"\nlicense:\n- cc0-1.0\n", "- n<1K\n", "DUO:0000004"] {
        assert!(readme.contains(words), "no {words}: {readme}");
    }
    assert!(readme.contains("- [ ] Who gathered them? (`curated_by`)"), "{readme}");
    let recipe = place.text("m/kwaya.toml");
    let card = "[card]\ncurated_by = \"Chama cha wakulima\"\nbiases = \"Only maize.\"\npublished = 2026-11-25\n";
    place.write("m/kwaya.toml", format!("{recipe}{card}"));
    let written = place.run(["corpus", "card", "m", "--json"]).good().json();
    assert_eq!(written["open"].as_array().unwrap().len(), 12, "{written}");
    let readme = place.text("m/build/corpus/README.md");
    assert!(readme.contains("**Who gathered them?**\n\nChama cha wakulima") && !readme.contains("(`biases`)"));
    let croissant: serde_json::Value = serde_json::from_slice(&place.bytes("m/build/corpus/croissant.json")).unwrap();
    assert_eq!(croissant["conformsTo"][0], "http://mlcommons.org/croissant/1.1");
    assert_eq!(croissant["usageInfo"][0]["termCode"], "DUO_0000004", "{croissant}");
    assert_eq!(
        (&croissant["rai:dataBiases"], &croissant["datePublished"]),
        (&"Only maize.".into(), &"2026-11-25".into())
    );
    assert_eq!(croissant["license"][0], "https://spdx.org/licenses/CC0-1.0");
    let fields = croissant["recordSet"][0]["field"].as_array().unwrap();
    assert!(fields.iter().any(|field| field["name"] == "origin" && field["dataType"] == "sc:Integer"));
    // An answer costs no work that was done.
    place.run(["build", "m"]).good();
    place.write("m/kwaya.toml", format!("{recipe}[card]\ncurated = \"typed wrong\"\n"));
    fails(&place, &["corpus", "card", "m"], 2, "recipe-wrong", &["curated", "curated_by"]);
}

#[test]
fn what_a_language_costs_is_told_as_a_table_a_chart_and_a_sentence() {
    let place = Place::with_documents(30);
    place.run(["build", "m"]).good();
    place
        .write("en.txt", "The farmers plant maize when the rain begins.\nThey sell it at the market in the village.\n");
    place.write("sw.txt", "Wakulima hupanda mahindi mvua inapoanza.\nHuyauza sokoni kijijini.\n");
    let parallel = ["corpus", "parity", "m", "--chart", "parity.svg", "--parallel", "en=en.txt", "sw=sw.txt"];
    let told = place.run(parallel).good().out;
    assert!(told.contains("beside English") && told.contains("its speakers wait"), "{told}");
    assert!(place.text("parity.svg").starts_with("<svg"));
    let parity = place.run(parallel.iter().chain(&["--json"])).good().json();
    let prices = &parity["tokenizers"][0];
    // A tokenizer that was learned from Swahili favours it.
    assert_eq!((&parity["kind"], &prices["best"]), (&"parallel".into(), &"sw".into()), "{parity}");
    let ratio =
        prices["languages"]["sw"]["tokens"].as_f64().unwrap() / prices["languages"]["en"]["tokens"].as_f64().unwrap();
    assert!((prices["languages"]["sw"]["beside_english"].as_f64().unwrap() - ratio).abs() < 1e-9, "{parity}");
    let own = place.run(["corpus", "parity", "m", "--tokenizer", "m/build/model", "--json"]).good().json();
    assert_eq!((&own["kind"], &own["languages"]["sw"]["documents"]), (&"corpus".into(), &30.into()));
    assert_eq!(own["tokenizers"][1]["languages"]["sw"]["tokens"], own["tokenizers"][0]["languages"]["sw"]["tokens"]);
    fails(
        &place,
        &["corpus", "parity", "--parallel", "en=en.txt", "sw=sw.txt"],
        2,
        "parity-no-tokenizer",
        &["--tokenizer"],
    );
    fails(
        &place,
        &["corpus", "parity", "--tokenizer", "m", "--parallel", "en.txt", "sw=sw.txt"],
        2,
        "parity-pair",
        &["en.txt"],
    );
    fails(&place, &["corpus", "parity", "--tokenizer", "m"], 2, "parity-nothing", &["--parallel"]);
}
