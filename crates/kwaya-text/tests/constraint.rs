//! Text in a given form: whatever the choices among allowed tokens, what comes
//! out has the form.

use kwaya_text::constraint::{Form, Forms};
use regex::Regex;
use serde_json::Value;
use tokenizers::{
    Tokenizer,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainer},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

const END: &str = "<|end|>";

fn tokenizer() -> Tokenizer {
    let mut tokenizer = Tokenizer::new(BPE::default());
    let byte_level = ByteLevel::new(false, true, true);
    tokenizer.with_pre_tokenizer(Some(byte_level));
    tokenizer.with_decoder(Some(byte_level));
    let mut trainer: TrainerWrapper = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(400)
        .special_tokens(vec![tokenizers::AddedToken::from(END, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build()
        .into();
    let text =
        ["{\"jina\": \"Asha Juma\", \"umri\": 31, \"mji\": \"Mwanza\"}", "mahindi yakikauka \"sana\"; 12 30 450"];
    tokenizer.train(&mut trainer, text.into_iter().map(str::to_owned)).unwrap();
    tokenizer
}

/// Takes tokens by chance until nothing can follow, or `most` were taken.
fn walk(tokenizer: &Tokenizer, forms: &Forms, form: &Form, seed: u64, most: usize) -> Option<String> {
    let end = tokenizer.token_to_id(END).unwrap();
    let vocab = tokenizer.get_vocab_size(true) as u32;
    let mut constrained = forms.begin(form).unwrap();
    let (mut tokens, mut state) = (Vec::new(), seed);
    for _ in 0..most {
        let allowed: Vec<u32> = (0..vocab).filter(|token| constrained.allows(*token)).collect();
        assert!(!allowed.is_empty(), "no way on after {:?}", tokenizer.decode(&tokens, true));
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let token = allowed[(state >> 33) as usize % allowed.len()];
        if token == end {
            return Some(tokenizer.decode(&tokens, true).unwrap());
        }
        tokens.push(token);
        constrained.take(token).unwrap();
        if constrained.is_over() {
            return Some(tokenizer.decode(&tokens, true).unwrap());
        }
    }
    None
}

#[test]
fn json_has_the_schema_whatever_is_chosen() {
    let schema = r#"{"type": "object", "properties": {
        "name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "town": {"enum": ["Mwanza", "Dodoma"]}},
        "required": ["name", "age", "town"], "additionalProperties": false}"#;
    let tokenizer = tokenizer();
    // Rows of the model that stand for no token are never allowed.
    let forms =
        Forms::new(&tokenizer, tokenizer.get_vocab_size(true) + 5, tokenizer.token_to_id(END).unwrap()).unwrap();
    let form = Form::JsonSchema(schema.into());
    let mut whole = 0;
    for seed in 0..40 {
        let Some(text) = walk(&tokenizer, &forms, &form, seed, 400) else { continue };
        whole += 1;
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let object = value.as_object().unwrap();
        assert_eq!(object.len(), 3, "{text}");
        assert!(object["name"].is_string() && object["age"].as_u64().is_some_and(|age| age <= 120), "{text}");
        assert!(["Mwanza", "Dodoma"].contains(&object["town"].as_str().unwrap()), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
    assert!(whole >= 30, "{whole} of 40 came to an end");
}

#[test]
fn text_matches_the_expression_whatever_is_chosen() {
    let tokenizer = tokenizer();
    let forms = Forms::new(&tokenizer, tokenizer.get_vocab_size(true), tokenizer.token_to_id(END).unwrap()).unwrap();
    for expression in [r"(ndiyo|hapana)", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"Mji: [A-Z][a-z]{2,6}\."] {
        let matcher = Regex::new(&format!("^(?:{expression})$")).unwrap();
        for seed in 0..20 {
            let text = walk(&tokenizer, &forms, &Form::Regex(expression.into()), seed, 100).expect("it ends");
            assert!(matcher.is_match(&text), "{text:?} for {expression}");
        }
    }
}

#[test]
fn a_form_that_is_none_is_refused() {
    let tokenizer = tokenizer();
    let forms = Forms::new(&tokenizer, tokenizer.get_vocab_size(true), tokenizer.token_to_id(END).unwrap()).unwrap();
    let nested = format!("{}{}", "(".repeat(10_000), ")".repeat(10_000));
    for form in [
        Form::JsonSchema("{".into()),
        Form::JsonSchema(r#"{"type": 7}"#.into()),
        Form::JsonSchema(r##"{"$ref": "#/nowhere"}"##.into()),
        Form::Regex("(".into()),
        Form::Regex(nested),
    ] {
        let error = forms.begin(&form).err().unwrap_or_else(|| panic!("{form:?} passed"));
        assert_eq!(error.key(), "form-wrong", "{form:?}");
    }
}
