//! The tokenizer: it is byte-pair encoding, loses nothing, and is the same at
//! every run.

use std::{collections::BTreeMap, path::Path};

use kwaya_base::Silent;
use kwaya_text::{
    chat::Message,
    tokenizer::{self, END_OF_TEXT, Text, Turns, Words},
};
use safetensors::SafeTensors;

/// Words of two to five syllables, the same for the same seed.
fn swahili(mut seed: u64, words: usize) -> String {
    let mut next = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let syllables = ["ma", "wa", "ki", "li", "ni", "sha", "mba", "ku", "ha", "ndi", "po", "ta"];
    let word = |_| (0..2 + next(4)).map(|_| syllables[next(12) as usize]).collect::<String>();
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

fn text(text: String, language: &str, held_out: bool) -> Text {
    Text { text, language: language.to_owned(), held_out, hash: 0, messages: None }
}

fn train(texts: &[String], vocabulary: usize, out: &Path) -> usize {
    let bytes = texts.iter().map(String::len).sum::<usize>() as u64;
    let documents = texts.iter().map(|t| Ok(text(t.clone(), "sw", false)));
    tokenizer::train(documents, bytes, vocabulary, out, &Silent).unwrap()
}

/// The first `count` merges as the paper has them (Sennrich et al. 2016,
/// algorithm 1): the most frequent pair of neighbours, counted anew each time;
/// of equals the one whose parts came first.
fn plain_merges(text: &str, count: usize) -> Vec<(String, String)> {
    // Byte-level: a space is a letter like others, written Ġ, and begins a word.
    let mut words: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for (index, word) in text.split(' ').enumerate() {
        let space = (index > 0).then(|| "Ġ".to_owned());
        *words.entry(space.into_iter().chain(word.chars().map(String::from)).collect()).or_default() += 1;
    }
    let mut ranks: BTreeMap<String, usize> = ('\u{21}'..='\u{17f}').map(|c| (c.to_string(), c as usize)).collect();
    let mut merges = Vec::new();
    for number in 0..count {
        let mut pairs: BTreeMap<(&String, &String), usize> = BTreeMap::new();
        for (word, count) in &words {
            word.windows(2).for_each(|pair| *pairs.entry((&pair[0], &pair[1])).or_default() += count);
        }
        let best = |(a, b): &(&String, &String), count: usize| (count, std::cmp::Reverse((ranks[*a], ranks[*b])));
        let (a, b) = pairs.iter().max_by_key(|(pair, count)| best(pair, **count)).map(|(p, _)| *p).unwrap();
        let (a, b) = (a.clone(), b.clone());
        words = words
            .into_iter()
            .map(|(word, count)| {
                let mut merged: Vec<String> = Vec::new();
                let mut left = word.as_slice();
                while let [first, rest @ ..] = left {
                    let pair = *first == a && rest.first() == Some(&b);
                    merged.push(if pair { format!("{a}{b}") } else { first.clone() });
                    left = &rest[usize::from(pair)..];
                }
                (merged, count)
            })
            .collect();
        ranks.insert(format!("{a}{b}"), 1000 + number);
        merges.push((a, b));
    }
    merges
}

#[test]
fn the_merges_are_those_of_the_paper() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tokenizer.json");
    let sample = swahili(7, 3000);
    // An end-of-text and the 256 bytes come before the merges.
    assert_eq!(train(std::slice::from_ref(&sample), 257 + 150, &out), 257 + 150);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let part = |pair: &serde_json::Value, i: usize| pair[i].as_str().unwrap().to_owned();
    let merges = json["model"]["merges"].as_array().unwrap();
    let merges: Vec<(String, String)> = merges.iter().map(|pair| (part(pair, 0), part(pair, 1))).collect();
    assert_eq!(merges, plain_merges(&sample, 150));
}

#[test]
fn the_same_texts_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..40).map(|seed| swahili(seed, 300)).collect();
    let out = |name: &str| folder.path().join(name);
    train(&texts, 600, &out("first"));
    for name in ["second", "third"] {
        train(&texts, 600, &out(name));
        assert!(std::fs::read(out("first")).unwrap() == std::fs::read(out(name)).unwrap());
    }
}

#[test]
fn every_text_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tokenizer.json");
    train(&[swahili(1, 500)], 400, &out);
    let tokenizer = tokenizer::open(&out).unwrap();
    let mut texts: Vec<String> = [
        "",
        " ",
        "  mbili  ",
        "a\r\n\tb\0c",
        "Ìjọba ti sọ pé àwọn àgbẹ̀",
        "ሰላም ለዓለም",
        "مرحبا بالعالم",
        "नमस्ते दुनिया",
        "👩🏿‍🌾🌽",
        "<|endoftext|> ni maandishi",
        "\u{10ffff}\u{feff}\u{200d}",
    ]
    .map(String::from)
    .into();
    // And any character there is, in all kinds of company.
    let mut seed = 5_u64;
    for _ in 0..300 {
        let characters = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from_u32(((seed >> 40) as u32 % 0x11_0000) >> (seed >> 33 & 15)).unwrap_or(' ')
        });
        texts.push(characters.take(30).collect());
    }
    let end = tokenizer.token_to_id(END_OF_TEXT).unwrap();
    for text in texts {
        let ids = tokenizer.encode(text.as_str(), false).unwrap().get_ids().to_vec();
        assert!(!ids.contains(&end), "{text:?} holds an end-of-text token");
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}

#[test]
fn a_token_file_holds_every_document_with_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    train(&[swahili(1, 500)], 400, &path("tokenizer.json"));
    let documents: Vec<Text> =
        (0..9).map(|i| text(swahili(i, 20 + i as usize), if i % 2 == 0 { "sw" } else { "en" }, i % 3 == 0)).collect();
    let languages = ["en".to_owned(), "sw".to_owned()];
    let tokenizer = tokenizer::open(&path("tokenizer.json")).unwrap();
    let end = tokenizer.token_to_id(END_OF_TEXT).unwrap();
    let words = Words { tokenizer: &tokenizer, opening: end, end, chat: None };
    let stats = tokenizer::tokenize(
        documents.iter().cloned().map(Ok),
        1,
        &languages,
        &words,
        &path("training"),
        &path("held_out"),
        &Silent,
    )
    .unwrap();
    for (name, held_out) in [("training", false), ("held_out", true)] {
        let bytes = std::fs::read(path(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tokens: Vec<u32> =
            file.tensor("tokens").unwrap().data().as_chunks().0.iter().map(|t| u16::from_le_bytes(*t).into()).collect();
        let ends: Vec<u64> = file
            .tensor("document_ends")
            .unwrap()
            .data()
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(u64::from_le_bytes)
            .collect();
        let language = file.tensor("document_language").unwrap().data().to_vec();
        let expected: Vec<&Text> = documents.iter().filter(|d| d.held_out == held_out).collect();
        assert_eq!(ends.len(), expected.len());
        let mut from = 0;
        for ((end, language), document) in ends.iter().zip(language).zip(expected) {
            let ids = &tokens[from..*end as usize];
            assert_eq!(ids.last().copied(), tokenizer.token_to_id(END_OF_TEXT));
            assert_eq!(tokenizer.decode(&ids[..ids.len() - 1], false).unwrap(), document.text);
            assert_eq!(languages[language as usize], document.language);
            from = *end as usize;
        }
        assert_eq!(from, tokens.len());
    }
    let held_out: u64 = stats.held_out.values().map(|count| count.documents).sum();
    assert_eq!((stats.training["sw"].documents, stats.training["en"].documents, held_out), (3, 3, 3));
}

/// The numbers of a tensor of a token file.
fn numbers(file: &SafeTensors<'_>, name: &str) -> Vec<u64> {
    let view = file.tensor(name).unwrap_or_else(|_| panic!("{name}"));
    let width = view.data().len() / view.shape()[0];
    view.data().chunks(width).map(|bytes| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))).collect()
}

#[test]
fn of_a_chat_the_answers_are_learned() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    train(&[swahili(1, 500)], 400, &path("tokenizer.json"));
    let tokenizer = tokenizer::open(&path("tokenizer.json")).unwrap();
    let end = tokenizer.token_to_id(END_OF_TEXT).unwrap();
    let chat = |held_out| Text {
        messages: Some(vec![Message::new("user", "?"), Message::new("assistant", "mba")]),
        ..text("?\n\nmba".into(), "sw", held_out)
    };
    let documents = [text("mandi".into(), "sw", false), chat(false), text("po".into(), "sw", false), chat(true)];
    let encode = |messages: &[Message]| {
        assert_eq!(messages.len(), 2);
        Ok(Turns { tokens: vec![7, 8, 9, 10], answers: vec![false, false, true, true], answer_bytes: 3 })
    };
    let [training, held_out] = ["training", "held_out"].map(path);
    let tokenize = |words: &Words<'_>| {
        let documents = documents.iter().cloned().map(Ok);
        tokenizer::tokenize(documents, 1, &["sw".to_owned()], words, &training, &held_out, &Silent)
    };
    let error = tokenize(&Words { tokenizer: &tokenizer, opening: end, end, chat: None }).unwrap_err();
    assert_eq!(error.key(), "chat-without-template");
    let stats = tokenize(&Words { tokenizer: &tokenizer, opening: 5, end, chat: Some(&encode) }).unwrap();

    let bytes = std::fs::read(path("training")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ids = |text: &str| tokenizer.encode(text, false).unwrap().get_ids().iter().map(|&id| u64::from(id)).collect();
    let [first, last]: [Vec<u64>; 2] = [ids("mandi"), ids("po")];
    let end = u64::from(end);
    assert_eq!(numbers(&file, "tokens"), [&first[..], &[end, 8, 9, 10, end], &last, &[end]].concat());
    let mask = [vec![1; first.len() + 1], vec![0, 1, 1, 0], vec![1; last.len() + 1]].concat();
    assert_eq!(numbers(&file, "loss_mask"), mask);
    assert_eq!(numbers(&file, "document_opening"), [5, 7, 5]);
    assert_eq!(numbers(&file, "document_bytes"), [5, 3, 2]);
    assert_eq!(stats.held_out["sw"].tokens, 2);
    assert_eq!(stats.held_out["sw"].bytes, 3);
}

#[test]
fn a_chat_may_have_nothing_to_learn() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    train(&[swahili(1, 500)], 400, &path("tokenizer.json"));
    let tokenizer = tokenizer::open(&path("tokenizer.json")).unwrap();
    let end = tokenizer.token_to_id(END_OF_TEXT).unwrap();
    // Says of how many tokens it is, and of fewer whether they count.
    let encode = |messages: &[Message]| {
        let count = messages[0].content.len();
        Ok(Turns { tokens: vec![9; count], answers: vec![false; count / 2], answer_bytes: 0 })
    };
    let chat = |content: &str| Text {
        messages: Some(vec![Message::new("assistant", content)]),
        ..text(content.into(), "sw", false)
    };
    let words = Words { tokenizer: &tokenizer, opening: end, end, chat: Some(&encode) };
    let [training, held_out] = ["training", "held_out"].map(path);
    let documents = ["", "a", "abc"].map(|content| Ok(chat(content))).into_iter();
    let stats = tokenizer::tokenize(documents, 1, &["sw".to_owned()], &words, &training, &held_out, &Silent).unwrap();
    let bytes = std::fs::read(&training).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let end = u64::from(end);
    assert_eq!(numbers(&file, "tokens"), [end, end, 9, 9, end]);
    assert_eq!(numbers(&file, "loss_mask"), [0; 5]);
    assert_eq!(numbers(&file, "document_ends"), [1, 2, 5]);
    assert_eq!(numbers(&file, "document_opening"), [end, 9, 9]);
    assert_eq!((stats.training["sw"].documents, stats.training["sw"].tokens), (3, 0));
    let bytes = std::fs::read(&held_out).unwrap();
    assert_eq!(SafeTensors::deserialize(&bytes).unwrap().names().len(), 4, "no document, and nothing of chats");
}

#[test]
fn documents_are_whole_whatever_the_file_says_and_wide_where_ids_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    train(&[swahili(1, 500)], 400, &path("tokenizer.json"));
    let plain = tokenizer::open(&path("tokenizer.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(path("tokenizer.json")).unwrap()).unwrap();
    json["truncation"] =
        serde_json::json!({ "direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0 });
    json["padding"] = serde_json::json!({ "strategy": { "Fixed": 12 }, "direction": "Right",
        "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": END_OF_TEXT });
    // A gap, and a token beyond the numbers of two bytes.
    json["model"]["vocab"]["\u{a1}\u{a2}"] = 70_000.into();
    std::fs::write(path("other.json"), json.to_string()).unwrap();
    let other = tokenizer::open(&path("other.json")).unwrap();
    let end = plain.token_to_id(END_OF_TEXT).unwrap();
    let documents = || [swahili(2, 50), "ma".to_owned()].map(|content| Ok(text(content, "sw", false))).into_iter();
    let [training, held_out] = ["training", "held_out"].map(path);
    let found = [&plain, &other].map(|tokenizer| {
        let words = Words { tokenizer, opening: end, end, chat: None };
        tokenizer::tokenize(documents(), 1, &["sw".to_owned()], &words, &training, &held_out, &Silent).unwrap();
        let bytes = std::fs::read(&training).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        (numbers(&file, "tokens"), file.tensor("tokens").unwrap().dtype())
    });
    assert_eq!(found[0].0, found[1].0);
    assert_eq!([found[0].1, found[1].1], [safetensors::Dtype::U16, safetensors::Dtype::U32]);
}
