//! `[corpus.quality]` and word lists: what a recipe asks of its texts.

use crate::common::{Place, TINY, document, fails};

/// Why each document was left out of the corpus that `wishes` make.
fn dropped(place: &Place, wishes: &str) -> Vec<(String, String)> {
    place.recipe(&format!("{wishes}{TINY}"));
    place.run(["plan", "m", "--within", "1m"]).good();
    let rows = place.run(["corpus", "dropped", "m", "--json"]).good().json_lines();
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "source"), text(row, "reason"))).collect()
}

#[test]
fn texts_with_many_words_of_a_list_are_left_out() {
    let place = Place::with_documents(30);
    place.write("m/documents/tusi.txt", document(99).replace('.', " tusi kubwa."));
    place.write("m/words.txt", "tusi kubwa\n");
    let of_list = [("tusi.txt".to_owned(), "word-list".to_owned())];
    let list = "[corpus]\nword_lists = [\"words.txt\"]\n";
    assert_eq!(dropped(&place, list), of_list);
    // A list of one's own is read again: the same recipe is another corpus.
    place.write("m/words.txt", "neno lingine\n");
    assert_eq!(dropped(&place, list), []);
    place.write("m/words.txt", "tusi kubwa\n");
    assert_eq!(dropped(&place, &format!("{list}[corpus.quality.limits]\nword-list = 0.5\n")), []);
    assert_eq!(dropped(&place, &format!("{list}[corpus.quality]\nlevel = \"off\"\n")), []);
    assert_eq!(
        dropped(&place, &format!("{list}[corpus.quality]\nlevel = \"off\"\nlimits = {{ word-list = true }}\n")),
        of_list
    );

    place.write("m/words.txt", "tusi\n...\n");
    place.recipe(&format!("{list}{TINY}"));
    fails(&place, &["plan", "m"], 2, "word-list-wrong", &["words.txt", "2"]);
    place.write("m/words.txt", b"tusi\nbaya\n\xff\n");
    fails(&place, &["plan", "m"], 2, "word-list-wrong", &["words.txt", "3"]);
    place.recipe(&format!("[corpus.quality.limits]\ngibberish = -1\n{TINY}"));
    fails(&place, &["plan", "m"], 2, "recipe-value", &["corpus.quality.limits.gibberish", "-1"]);
    place.recipe(&format!("[corpus.quality.limits]\ngibrish = false\n{TINY}"));
    fails(&place, &["plan", "m"], 2, "recipe-wrong", &["gibrish"]);
}
