//! A `tokenizer.json` and its `tokenizer_config.json`, read for what a GGUF
//! file says of a tokenizer.

use std::collections::{HashMap, HashSet};

use kwaya_base::{Error, Result};
use serde_json::Value;

use super::{MERGES_MAX, SPACE, TOKENS_MAX, Vocabulary, cuts::Cut, kind, wrong};
use crate::tokenizer::END_OF_TEXT;

pub(super) fn read(tokenizer: &[u8], config: Option<&[u8]>) -> Result<Vocabulary> {
    let tokenizer: Value = serde_json::from_slice(tokenizer).map_err(|cause| wrong("tokenizer.json", cause))?;
    let config: Value = match config {
        Some(config) => serde_json::from_slice(config).map_err(|cause| wrong("tokenizer_config.json", cause))?,
        None => Value::Null,
    };
    let model = &tokenizer["model"];
    if model["type"].as_str().unwrap_or("BPE") != "BPE" {
        return Err(wrong("model.type", &model["type"]));
    }
    for field in ["continuing_subword_prefix", "end_of_word_suffix", "dropout"] {
        if !["null", "\"\"", "0.0"].contains(&model[field].to_string().as_str()) {
            return Err(wrong("model", field));
        }
    }
    let (tokens, mut kinds) = tokens(&tokenizer)?;
    let merges = merges(&model["merges"])?;
    let mut vocabulary = Vocabulary { tokens, ..Vocabulary::default() };
    let unknown = model["unk_token"].as_str();
    if normalizers(&tokenizer["normalizer"]).any(|step| step["type"] == "Replace") {
        vocabulary.model = "llama".to_owned();
        vocabulary.add_space_prefix = Some(spaces(&tokenizer)?);
        for (token, kind) in vocabulary.tokens.iter().zip(&mut kinds) {
            if is_byte(token) {
                *kind = kind::BYTE;
            } else if Some(token.as_str()) == unknown {
                *kind = kind::UNKNOWN;
            }
        }
        // The space of such a token stands for itself, since it is looked for
        // before spaces are replaced.
        let all: HashSet<String> = vocabulary.tokens.iter().cloned().collect();
        for (token, kind) in vocabulary.tokens.iter_mut().zip(&kinds) {
            let plain = token.replace(SPACE, " ");
            if *kind == kind::USER_DEFINED && !all.contains(&plain) {
                *token = plain;
            }
        }
        vocabulary.kinds = Some(kinds);
        score(&mut vocabulary, &merges)?;
    } else {
        vocabulary.model = "gpt2".to_owned();
        if normalizers(&tokenizer["normalizer"]).any(|step| step["type"] != "NFC") {
            return Err(wrong("normalizer", &tokenizer["normalizer"]["type"]));
        }
        let whole_words = model["ignore_merges"].as_bool().unwrap_or(false);
        let pre = Cut::of(&tokenizer["pre_tokenizer"], whole_words).ok_or_else(|| {
            let name: String = tokenizer["pre_tokenizer"].to_string().chars().take(200).collect();
            Error::new("vocabulary-pre").arg("name", name).arg("known", Cut::names())
        })?;
        vocabulary.pre = Some(pre.to_owned());
        vocabulary.kinds = Some(kinds);
        vocabulary.merges = Some(merges.iter().map(|(left, right)| format!("{left} {right}")).collect());
    }
    marks(&mut vocabulary, &tokenizer, &config, unknown)?;
    vocabulary.chat_template = template(&config["chat_template"]).map(str::to_owned);
    Ok(vocabulary)
}

/// The tokens by id, and what they are as far as the list of added ones says.
fn tokens(tokenizer: &Value) -> Result<(Vec<String>, Vec<i32>)> {
    let vocab = tokenizer["model"]["vocab"].as_object().ok_or_else(|| wrong("model.vocab", "there is none"))?;
    let mut all = Vec::with_capacity(vocab.len());
    for (token, id) in vocab {
        all.push((id.as_u64(), token.as_str(), kind::NORMAL));
    }
    for added in tokenizer["added_tokens"].as_array().into_iter().flatten() {
        let kind = if added["special"] == true { kind::CONTROL } else { kind::USER_DEFINED };
        let content = added["content"].as_str().ok_or_else(|| wrong("added_tokens", "no content"))?;
        all.push((added["id"].as_u64(), content, kind));
    }
    let (mut tokens, mut kinds) = (Vec::new(), Vec::new());
    for (id, token, kind) in all {
        let id = id.and_then(|id| usize::try_from(id).ok()).filter(|&id| id < TOKENS_MAX);
        let id = id.ok_or_else(|| wrong("model.vocab", format!("the id of {token:?}")))?;
        if tokens.len() <= id {
            tokens.resize(id + 1, String::new());
            kinds.resize(id + 1, kind::UNUSED);
        }
        if !tokens[id].is_empty() && tokens[id] != token {
            return Err(wrong("model.vocab", format!("{:?} and {token:?} have the same id", tokens[id])));
        }
        token.clone_into(&mut tokens[id]);
        kinds[id] = kind;
    }
    for (id, token) in tokens.iter_mut().enumerate().filter(|(_, token)| token.is_empty()) {
        *token = format!("[PAD{id}]");
    }
    Ok((tokens, kinds))
}

/// The merges, which older files write as one text with a space.
fn merges(list: &Value) -> Result<Vec<(&str, &str)>> {
    let list = list.as_array().ok_or_else(|| wrong("model.merges", "there are none"))?;
    if list.len() > MERGES_MAX {
        return Err(wrong("model.merges", list.len()));
    }
    list.iter().map(|merge| pair(merge).ok_or_else(|| wrong("model.merges", merge))).collect()
}

fn pair(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(merge) => merge.split_once(' '),
        Value::Array(pair) if pair.len() == 2 => Some((pair[0].as_str()?, pair[1].as_str()?)),
        _ => None,
    }
}

/// A normalizer's steps.
fn normalizers(normalizer: &Value) -> impl Iterator<Item = &Value> {
    let steps = normalizer["normalizers"].as_array().map(Vec::as_slice);
    let one = Some(normalizer).filter(|one| !one.is_null() && steps.is_none());
    steps.unwrap_or_default().iter().chain(one)
}

/// Whether a text gets a space before it. Everything else about spaces has
/// to be as in SentencePiece.
fn spaces(tokenizer: &Value) -> Result<bool> {
    let mut prefix = false;
    for step in normalizers(&tokenizer["normalizer"]) {
        match step["type"].as_str() {
            Some("Prepend") if step["prepend"] == SPACE => prefix = true,
            Some("Replace") if step["pattern"]["String"] == " " && step["content"] == SPACE => {}
            _ => return Err(wrong("normalizer", &step["type"])),
        }
    }
    let cut = &tokenizer["pre_tokenizer"];
    match cut["type"].as_str() {
        None => {}
        Some("Metaspace") if cut["split"] == false && cut["replacement"] == SPACE => {
            prefix |= cut["prepend_scheme"] != "never";
        }
        // No space is left to split at.
        Some("Split") if cut["pattern"]["String"] == " " => {}
        _ => return Err(wrong("pre_tokenizer", &cut["type"])),
    }
    if tokenizer["model"]["byte_fallback"] != true {
        return Err(wrong("model.byte_fallback", &tokenizer["model"]["byte_fallback"]));
    }
    Ok(prefix)
}

fn is_byte(token: &str) -> bool {
    token.len() == 6
        && token.starts_with("<0x")
        && token.ends_with('>')
        && token.get(3..5).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok())
}

/// Gives each token a score by the merge that first makes it, and sees that
/// the scores say the merges: a reader of GGUF files joins any two tokens that
/// make a third.
fn score(vocabulary: &mut Vocabulary, merges: &[(&str, &str)]) -> Result<()> {
    let mut scores = HashMap::with_capacity(merges.len());
    for (left, right) in merges {
        let score = -(scores.len() as f32);
        scores.entry([*left, right].concat()).or_insert(score);
    }
    let kinds = vocabulary.kinds.iter().flatten();
    let mut next = -(scores.len() as f32);
    let mut all = Vec::with_capacity(vocabulary.tokens.len());
    for (token, kind) in vocabulary.tokens.iter().zip(kinds) {
        all.push(match (scores.get(token), *kind) {
            (_, kind::UNKNOWN | kind::CONTROL | kind::BYTE) => 0.0,
            (Some(score), _) => *score,
            (None, _) => {
                next -= 1.0;
                next
            }
        });
    }
    vocabulary.scores = Some(all);
    let given: HashSet<(&str, &str)> = merges.iter().copied().collect();
    let ids = vocabulary.check()?;
    match vocabulary.merges_of_scores(&ids)?.into_iter().find(|pair| !given.contains(pair)) {
        Some((left, right)) => Err(wrong("model.merges", format!("{left:?} and {right:?} make a token unmerged"))),
        None => Ok(()),
    }
}

/// The tokens with a purpose, and whether the first two are put around text.
fn marks(vocabulary: &mut Vocabulary, tokenizer: &Value, config: &Value, unknown: Option<&str>) -> Result<()> {
    let ids: HashMap<&str, u32> = vocabulary.tokens.iter().map(String::as_str).zip(0..).collect();
    let named = |field: &'static str| -> Result<Option<u32>> {
        let token = config[field].as_str().or_else(|| config[field]["content"].as_str());
        let Some(token) = token else { return Ok(None) };
        ids.get(token).copied().map(Some).ok_or_else(|| wrong(field, format!("{token:?} is no token")))
    };
    let (mut bos, mut eos) = (named("bos_token")?, named("eos_token")?);
    if bos.is_none() && eos.is_none() && config.is_null() {
        // Kwaya's own, and many others'.
        bos = ids.get(END_OF_TEXT).copied();
        eos = bos;
    }
    let padding = named("pad_token")?;
    let unknown = named("unk_token")?.or_else(|| unknown.and_then(|token| ids.get(token).copied()));

    let processor = &tokenizer["post_processor"];
    let steps = processor["processors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let around = steps.iter().chain([processor]).find(|step| step["type"] == "TemplateProcessing");
    let (mut add_bos, mut add_eos) = (config["add_bos_token"] == true, config["add_eos_token"] == true);
    if let Some(around) = around {
        let mark = |piece: Option<&Value>| {
            let name = piece?["SpecialToken"]["id"].as_str()?;
            u32::try_from(around["special_tokens"][name]["ids"][0].as_u64()?).ok()
        };
        let single = around["single"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (before, after) = (mark(single.first()), mark(single.last()));
        bos = bos.or(before);
        eos = eos.or(after);
        add_bos = before.is_some() && before == bos;
        add_eos = after.is_some() && after == eos;
    }
    (vocabulary.bos, vocabulary.eos, vocabulary.unknown, vocabulary.padding) = (bos, eos, unknown, padding);
    vocabulary.add_bos = Some(add_bos && bos.is_some());
    vocabulary.add_eos = Some(add_eos && eos.is_some());
    Ok(())
}

/// The template, of several the one for every day.
fn template(template: &Value) -> Option<&str> {
    let several = template.as_array().into_iter().flatten();
    let everyday = several.filter(|one| one["name"] == "default").find_map(|one| one["template"].as_str());
    template.as_str().or(everyday)
}
