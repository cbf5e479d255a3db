//! A tokenizer made of what GGUF files say gives the ids that the libraries
//! of others give, and what is wrong with such a file is said.
//! `golden/make_words.py` makes what is compared with.

use kwaya_text::vocabulary::{Vocabulary, kind};
use serde::Deserialize;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

#[derive(Deserialize)]
struct Golden {
    lines: Vec<String>,
    tokenizer: Value,
    ways: Vec<Way>,
    pieces: Vec<Pieces>,
}

#[derive(Deserialize)]
struct Way {
    pre: String,
    pre_tokenizer: Value,
    ignore_merges: bool,
    sums: String,
}

#[derive(Deserialize)]
struct Pieces {
    vocabulary: Vocabulary,
    sums: String,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/words.json")).unwrap()
}

fn ids(tokenizer: &Tokenizer, line: &str) -> Vec<u32> {
    tokenizer.encode_fast(line, false).unwrap().get_ids().to_vec()
}

/// FNV-1a over the ids, folded to 16 bits, as hexadecimal.
fn fold(ids: &[u32]) -> String {
    let mut state: u64 = 0xCBF2_9CE4_8422_2325;
    for &id in ids {
        state = (state ^ u64::from(id)).wrapping_mul(0x100_0000_01B3);
    }
    format!("{:04x}", (state ^ state >> 16 ^ state >> 32 ^ state >> 48) & 0xFFFF)
}

/// Compares the lines that have no `but` in them.
fn compare(about: &str, tokenizer: &Tokenizer, lines: &[String], sums: &str, but: Option<char>) {
    assert!(lines.len() > 1000 && sums.len() == 4 * lines.len());
    let mut wrong = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| but.is_none_or(|but| !line.contains(but))) {
        if fold(&ids(tokenizer, line)) != sums[4 * at..4 * at + 4] {
            wrong.push((line, tokenizer.encode(line.as_str(), false).unwrap().get_tokens().to_vec()));
        }
    }
    assert!(wrong.is_empty(), "{about}: {} lines, such as {:?}", wrong.len(), wrong[0]);
}

#[test]
fn each_way_to_cut_gives_the_ids_of_its_tokenizer_json() {
    let golden = golden();
    for way in &golden.ways {
        let mut json = golden.tokenizer.clone();
        json["pre_tokenizer"] = way.pre_tokenizer.clone();
        json["model"]["ignore_merges"] = way.ignore_merges.into();
        let vocabulary = Vocabulary::of(json.to_string().as_bytes(), None).unwrap();
        assert_eq!(vocabulary.pre.as_deref(), Some(way.pre.as_str()));
        assert_eq!(vocabulary.bos, Some(0));
        assert_eq!(vocabulary.kinds.as_ref().unwrap()[0], kind::CONTROL);
        compare(&way.pre, &vocabulary.tokenizer().unwrap(), &golden.lines, &way.sums, None);
    }
}

#[test]
fn pieces_give_the_ids_of_sentencepiece() {
    let golden = golden();
    for pieces in &golden.pieces {
        let mut tokenizer = pieces.vocabulary.tokenizer().unwrap();
        tokenizer.set_encode_special_tokens(true);
        // Tokens of several spaces are of spaces proper in GGUF files, and so
        // are not found in text that has SentencePiece's sign for them.
        let but = pieces.vocabulary.tokens.iter().any(|token| token == "  ").then_some('▁');
        compare("pieces", &tokenizer, &golden.lines, &pieces.sums, but);
        // What goes in comes out.
        for line in &golden.lines {
            let plain = !line.contains('▁') && !line.contains("<unk>");
            if plain {
                assert_eq!(tokenizer.decode(&ids(&tokenizer, line), false).unwrap(), *line);
            }
        }
        // As a tokenizer.json it comes back.
        let json = tokenizer.to_string(false).unwrap();
        let again = Vocabulary::of(json.as_bytes(), None).unwrap();
        assert_eq!(again.model, "llama");
        assert_eq!(again.kinds, pieces.vocabulary.kinds);
        assert_eq!(again.add_space_prefix, pieces.vocabulary.add_space_prefix);
        let mut again = again.tokenizer().unwrap();
        again.set_encode_special_tokens(true);
        compare("pieces again", &again, &golden.lines, &pieces.sums, but);
    }
}

#[test]
fn a_tokenizer_of_kwaya_comes_back() {
    use kwaya_text::tokenizer::{Text, train};
    let golden = golden();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let text = |(number, text): (u64, &String)| {
        Ok(Text { text: text.clone(), language: "und".into(), held_out: false, hash: number, messages: None })
    };
    train((0..).zip(&golden.lines).map(text), 1 << 20, 1000, &path, &kwaya_base::Silent).unwrap();
    let json = std::fs::read(&path).unwrap();
    let own = Tokenizer::from_bytes(&json).unwrap();
    let config = br#"{"bos_token": "<|endoftext|>", "eos_token": {"content": "<|endoftext|>"}}"#;
    let vocabulary = Vocabulary::of(&json, Some(config)).unwrap();
    assert_eq!((vocabulary.pre.as_deref(), vocabulary.bos, vocabulary.eos), (Some("gpt-2"), Some(0), Some(0)));
    let tokenizer = vocabulary.tokenizer().unwrap();
    for line in &golden.lines {
        assert_eq!(ids(&tokenizer, line), ids(&own, line), "{line:?}");
        assert_eq!(tokenizer.decode(&ids(&tokenizer, line), false).unwrap(), *line);
    }
}

/// Letters a to c with merges, of either kind.
fn small(model: &str) -> Vocabulary {
    let tokens = ["<s>", "a", "b", "c", "ab", "abc", "</s>"].map(str::to_owned).to_vec();
    let kinds = Some(vec![3, 1, 1, 1, 1, 1, 3]);
    let mut vocabulary = Vocabulary { model: model.to_owned(), tokens, kinds, ..Vocabulary::default() };
    (vocabulary.bos, vocabulary.eos) = (Some(0), Some(6));
    if model == "gpt2" {
        vocabulary.pre = Some("gpt-2".to_owned());
        vocabulary.merges = Some(["a b", "ab c"].map(str::to_owned).to_vec());
    } else {
        vocabulary.scores = Some(vec![0.0, -9.0, -9.0, -9.0, -1.0, -2.0, 0.0]);
        vocabulary.add_space_prefix = Some(false);
    }
    vocabulary
}

#[test]
fn marks_are_put_around_text() {
    for model in ["gpt2", "llama"] {
        let mut vocabulary = small(model);
        let around =
            |vocabulary: &Vocabulary| vocabulary.tokenizer().unwrap().encode("abca", true).unwrap().get_ids().to_vec();
        let unsaid: &[u32] = if model == "llama" { &[0, 5, 1] } else { &[5, 1] };
        assert_eq!(around(&vocabulary), unsaid);
        (vocabulary.add_bos, vocabulary.add_eos) = (Some(true), Some(true));
        assert_eq!(around(&vocabulary), [0, 5, 1, 6]);
        (vocabulary.add_bos, vocabulary.add_eos) = (Some(false), Some(true));
        assert_eq!(around(&vocabulary), [5, 1, 6]);
        let tokenizer = vocabulary.tokenizer().unwrap();
        assert_eq!(ids(&tokenizer, "ab<s>c"), [4, 0, 3]);
        vocabulary.pad(9).unwrap();
        assert_eq!(vocabulary.tokenizer().unwrap().get_vocab_size(true), 9);
        assert!(vocabulary.pad(8).is_err());
    }
}

#[test]
fn what_is_wrong_is_named() {
    type Change = fn(&mut Vocabulary);
    let cases: &[(&str, &str, Change)] = &[
        ("gpt2", "model", |v| v.model = "bert".into()),
        ("gpt2", "tokens", |v| v.tokens.clear()),
        ("gpt2", "tokens", |v| v.tokens[3] = "a".into()),
        ("gpt2", "tokens", |v| v.tokens[3] = "a".repeat(5000)),
        ("gpt2", "tokens", |v| v.tokens[3].clear()),
        ("gpt2", "tokens", |v| v.tokens.resize(1 << 21, String::new())),
        ("gpt2", "token_type", |v| v.kinds = Some(vec![1])),
        ("gpt2", "token_type", |v| v.kinds = Some(vec![77; 7])),
        ("gpt2", "scores", |v| v.scores = Some(vec![0.0])),
        ("gpt2", "bos_token_id", |v| v.bos = Some(7)),
        ("gpt2", "eos_token_id", |v| v.eos = Some(u32::MAX)),
        ("gpt2", "unknown_token_id", |v| v.unknown = Some(7)),
        ("gpt2", "padding_token_id", |v| v.padding = Some(7)),
        ("gpt2", "add_bos_token", |v| (v.bos, v.add_bos) = (None, Some(true))),
        ("gpt2", "merges", |v| v.merges = None),
        ("gpt2", "merges", |v| v.merges = Some(vec!["ab".into()])),
        ("gpt2", "merges", |v| v.merges = Some(vec!["a x".into()])),
        ("gpt2", "merges", |v| v.merges = Some(vec!["b c".into()])),
        ("gpt2", "merges", |v| v.merges = Some(vec!["".into()])),
        ("gpt2", "merges", |v| v.merges = Some(vec!["é".into()])),
        ("llama", "scores", |v| v.scores = None),
        ("llama", "scores", |v| v.scores = Some(vec![f32::NAN; 7])),
    ];
    for (model, field, change) in cases {
        let mut vocabulary = small(model);
        change(&mut vocabulary);
        let error = vocabulary.tokenizer().expect_err(field);
        assert_eq!(error.key(), "vocabulary-wrong");
        assert!(error.args().contains(&("field", (*field).to_owned())), "{field}: {error}");
    }
    let mut vocabulary = small("gpt2");
    vocabulary.pre = Some("nobody-knows".to_owned());
    let error = vocabulary.tokenizer().unwrap_err();
    assert_eq!(error.key(), "vocabulary-pre");
    assert!(error.to_string().contains("nobody-knows"), "{error}");
    assert!(error.remedy().unwrap().contains("qwen2"));
}

#[test]
fn a_tokenizer_json_that_a_gguf_file_cannot_say_is_refused() {
    let golden = golden();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut json = golden.tokenizer.clone();
        change(&mut json);
        Vocabulary::of(json.to_string().as_bytes(), None).unwrap_err().key()
    };
    assert_eq!(refused(&|json| json["model"]["type"] = "Unigram".into()), "vocabulary-wrong");
    assert_eq!(refused(&|json| json["normalizer"] = json!({"type": "Lowercase"})), "vocabulary-wrong");
    assert_eq!(refused(&|json| json["pre_tokenizer"] = json!({"type": "Whitespace"})), "vocabulary-pre");
    assert_eq!(refused(&|json| json["pre_tokenizer"]["add_prefix_space"] = true.into()), "vocabulary-pre");
    assert_eq!(refused(&|json| json["model"]["vocab"]["new"] = 4_000_000_000_u64.into()), "vocabulary-wrong");
    assert_eq!(refused(&|json| json["model"]["vocab"]["new"] = 1.into()), "vocabulary-wrong");
    assert_eq!(refused(&|json| json["model"]["merges"] = json!([["a"]])), "vocabulary-wrong");
    assert!(Vocabulary::of(b"{", None).is_err());
    assert!(Vocabulary::of(b"[1]", None).is_err());
}

#[test]
fn config_says_template_and_marks() {
    let golden = golden();
    let json = golden.tokenizer.to_string();
    let config = json!({
        "bos_token": "<|endoftext|>", "add_bos_token": true,
        "chat_template": [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}],
    });
    let vocabulary = Vocabulary::of(json.as_bytes(), Some(config.to_string().as_bytes())).unwrap();
    assert_eq!((vocabulary.bos, vocabulary.eos, vocabulary.add_bos), (Some(0), None, Some(true)));
    assert_eq!(vocabulary.chat_template.as_deref(), Some("d"));
    let config = br#"{"bos_token": "not there"}"#;
    assert!(Vocabulary::of(json.as_bytes(), Some(config)).is_err());
}
