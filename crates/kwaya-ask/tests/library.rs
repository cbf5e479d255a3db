//! A library made of a few documents: what is found, where it stands, and what
//! is said of it.

use kwaya_ask::{Library, Weights, passages};
use kwaya_text::corpus::{Document, Split};
use proptest::prelude::*;

fn document(source: &str, text: &str) -> Document {
    Document {
        id: blake3::hash(text.as_bytes()).to_hex().to_string(),
        text: text.to_owned(),
        source: source.to_owned(),
        origin: 1,
        licence: "CC0-1.0".into(),
        language: "sw".into(),
        split: Split::Train,
        bytes: text.len() as u64,
        letters: String::new(),
        history: Vec::new(),
    }
}

fn library(documents: &[Document]) -> (Library, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let library = Library::make(documents.iter().cloned().map(Ok), &place.path().join("index")).unwrap();
    (library, place)
}

fn farm() -> Vec<Document> {
    let long = "Kahawa huchumwa ikiwa nyekundu. Hukaushwa juani siku kumi na tano hivi. ".repeat(30);
    [
        ("mahindi.md", "Kuvuna mahindi\n\nMahindi huvunwa yakikauka, unyevu ukiwa asilimia 13. Ghala liwe safi."),
        ("ng'ombe.md", "Ng’ombe wa maziwa hunywa lita 60 za maji kwa siku. Zizi lisafishwe kila asubuhi."),
        ("isu.txt", "Àwọn àgbẹ̀ máa ń gbin iṣu ní oṣù kejì ọdún. Ilẹ̀ tó dára ni wọ́n máa ń lò."),
        ("jp.txt", "稲は五月に植えられ、九月に刈り取られます。田んぼには水が必要です。"),
        ("teff.txt", "ጤፍ በሐምሌ ወር ይዘራል። በኅዳር ወር ይታጨዳል።"),
        ("kahawa.txt", &long),
    ]
    .map(|(source, text)| document(source, text))
    .to_vec()
}

#[test]
fn words_are_found_in_other_forms_without_tones_and_without_spaces() {
    let (library, _place) = library(&farm());
    for (question, source) in [
        ("mahindi yanavunwaje?", "mahindi.md"),
        ("NG'OMBE", "ng'ombe.md"),
        ("agbe isu", "isu.txt"),
        ("稲刈り", "jp.txt"),
        ("ጤፍን መዝራት", "teff.txt"),
        ("kukausha kahawa", "kahawa.txt"),
    ] {
        let found = library.search(question, 3).unwrap();
        assert_eq!(found[0].passage.source, source, "{question}");
        assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    }
    assert!(library.search("zzzz qqqq", 3).unwrap().is_empty());
    // Equals stand in the order of the corpus.
    let equals: Vec<_> = (0..9).map(|number| document(&format!("{number}"), &format!("Muhogo {number}"))).collect();
    let (library, _place) = self::library(&equals);
    let found: Vec<_> = library.search("muhogo", 5).unwrap().into_iter().map(|found| found.passage.source).collect();
    assert_eq!(found, ["0", "1", "2", "3", "4"]);
}

#[test]
fn an_answer_is_quoted_from_what_has_most_of_the_question() {
    let (library, _place) = library(&farm());
    let asked = library.ask("Ng'ombe hunywa maji lita ngapi kwa siku?", 3).unwrap();
    let answer = asked.quoted();
    assert!(answer.supported && answer.quoted, "{answer:?}");
    assert!(
        answer.text.starts_with("Ng’ombe wa maziwa hunywa lita 60 za maji kwa siku.") && answer.text.ends_with("[1]")
    );
    assert_eq!(answer.citations[0].number, 1);
    // A heading is quoted with what it is the heading of.
    let answer = library.ask("kuvuna mahindi", 3).unwrap().quoted();
    assert!(answer.text.contains("asilimia 13"), "{answer:?}");
    let none = library.ask("Rais wa kwanza wa Zambia alikuwa nani?", 3).unwrap();
    assert!(!none.is_supported() && !none.quoted().supported && none.quoted().text.is_empty());
}

#[test]
fn what_a_model_says_is_held_against_the_passages() {
    let (library, _place) = library(&farm());
    let asked = library.ask("Ng'ombe hunywa maji kiasi gani?", 3).unwrap();
    let answer = |said: &str| asked.written(said).unwrap();
    // As it stands there; without its number; with a wrong one; after the stop.
    for said in [
        "Ng'ombe hunywa lita 60 za maji kwa siku [1].",
        "Ng'ombe hunywa lita 60 za maji kwa siku.",
        "Ng'ombe hunywa lita 60 za maji kwa siku [3].",
        "Ng'ombe hunywa lita 60 za maji kwa siku. [1]",
        "Ng'ombe hunywa lita 60 za maji kwa siku [1, 9].",
    ] {
        let answer = answer(said);
        assert!(answer.supported && !answer.quoted && answer.unsupported.is_empty(), "{answer:?}");
        assert_eq!(answer.text, "Ng'ombe hunywa lita 60 za maji kwa siku. [1]", "{said}");
    }
    // Another number, and something else altogether, beside what is right.
    let mixed =
        answer("Ng'ombe hunywa lita 60 za maji [1]. Hunywa lita 90 za maji kwa siku [1]. Rais alizaliwa Paris [1].");
    assert_eq!(mixed.statements.len(), 1, "{mixed:?}");
    assert_eq!(mixed.unsupported, ["Hunywa lita 90 za maji kwa siku.", "Rais alizaliwa Paris."]);
    // Nothing that is right: the documents are quoted.
    for said in ["Rais alizaliwa Paris [1].", "", "[1] [2]", "]][[1,"] {
        let answer = answer(said);
        assert!(answer.supported && answer.quoted, "{said}: {answer:?}");
    }
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let (library, _place) = library(&farm());
    for (question, key) in [
        ("", "ask-question-empty"),
        ("?! \u{200d}", "ask-question-empty"),
        ("a".repeat(5000).as_str(), "ask-question-long"),
    ] {
        assert_eq!(library.search(question, 3).unwrap_err().key(), key);
    }
    let (empty, _place) = self::library(&[]);
    assert_eq!(empty.passages(), 0);
    assert!(empty.search("mahindi", 3).unwrap().is_empty());
    assert!(!empty.ask("mahindi", 3).unwrap().is_supported());
}

#[test]
fn words_and_pieces_can_be_weighed() {
    let (library, _place) = library(&farm());
    let question = library.question("mahindini").unwrap();
    let by = |words: f32, pieces: f32| library.search_by(&question, 3, Weights { words, pieces }).unwrap().len();
    assert_eq!((by(1.0, 0.0), by(0.0, 1.0)), (0, 1), "another form of a word is another word");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn documents_are_whole_and_passages_stand_where_they_say(
        texts in prop::collection::vec("(\\PC{1,200}[\n. ]{0,3}|[ሀ-ፚ ]{1,300}|[ก-ฮ一-丸]{1,300}){1,8}", 1..6),
        question in "\\PC{0,30}",
    ) {
        let mut documents: Vec<Document> =
            texts.iter().enumerate().map(|(number, text)| document(&format!("{number}.txt"), text)).collect();
        documents.sort_by_key(|document| document.id.clone());
        documents.dedup_by_key(|document| document.id.clone());
        let (library, _place) = library(&documents);
        for document in &documents {
            let found = library.document(&document.id).unwrap().unwrap();
            prop_assert_eq!(&found.text, &document.text);
        }
        prop_assert_eq!(library.passages(), documents.iter().map(|d| passages(&d.text).len() as u64).sum::<u64>());
        prop_assert!(library.document("nothing").unwrap().is_none());
        for question in texts.iter().map(|text| text.chars().take(60).collect()).chain([question]) {
            let Ok(asked) = library.ask(&question, 5) else { continue };
            for found in asked.found() {
                let passage = &found.passage;
                let whole = library.document(&passage.document).unwrap().unwrap();
                prop_assert_eq!(whole.text.get(passage.start..passage.end), Some(&*passage.text));
                prop_assert!((0.0..=1.001).contains(&found.cover));
            }
            let answer = asked.quoted();
            prop_assert_eq!(answer.supported, !answer.citations.is_empty());
            asked.written(&question).unwrap();
        }
    }
}
