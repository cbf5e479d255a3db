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
