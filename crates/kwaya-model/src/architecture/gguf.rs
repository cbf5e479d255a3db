//! What a GGUF file says of its model, brought to the keys of Hugging Face, so
//! that one reader checks both.

use kwaya_base::{Error, Result};
use kwaya_math::blocks::dequantise;
use serde_json::{Map, Value as Json};

use super::{
    Architecture, EMBEDDING, Family, HEAD, NORM, RopeScaling, hugging_face::Reader, inverse_root, unknown_family,
    unsayable,
};
use crate::gguf::{Gguf, Metadata, Value};

/// The keys of Hugging Face by those of GGUF, which stand behind the name of
/// the architecture.
const KEYS: [(&str, &str); 19] = [
    ("hidden_size", "embedding_length"),
    ("intermediate_size", "feed_forward_length"),
    ("num_hidden_layers", "block_count"),
    ("num_attention_heads", "attention.head_count"),
    ("num_key_value_heads", "attention.head_count_kv"),
    ("head_dim", "attention.key_length"),
    ("max_position_embeddings", "context_length"),
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
    ("rope_theta", "rope.freq_base"),
    ("rope_local_base_freq", "rope.freq_base_swa"),
    ("rope_type", "rope.scaling.type"),
    ("factor", "rope.scaling.factor"),
    ("sliding_window", "attention.sliding_window"),
    ("sliding_window_pattern", "attention.sliding_window_pattern"),
    ("attn_logit_softcapping", "attn_logit_softcapping"),
    ("final_logit_softcapping", "final_logit_softcapping"),
    // These have no counterpart there; they only must not say another thing.
    ("value_length", "attention.value_length"),
    ("rope_dimensions", "rope.dimension_count"),
    ("experts", "expert_count"),
];
/// Keys without which llama.cpp would not load a file either.
const NEEDED: [&str; 5] =
    ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "rms_norm_eps"];
/// Gemma 3 of 27 billion weights is known by its layers: it alone scales
/// attention by its hidden size, and older files do not say so.
const LAYERS_OF_GEMMA_27B: u64 = 62;

pub(super) fn read(file: &Gguf) -> Result<Architecture> {
    let name = file.text("general.architecture")?;
    let model_type = match name {
        "llama" if file.metadata.contains_key("llama.attention.sliding_window") => "mistral",
        "gemma3" => "gemma3_text",
        "llama" | "qwen2" | "qwen3" => name,
        other => return Err(unknown_family(other)),
    };
    let mut labels: Vec<(&str, String)> = KEYS.iter().map(|(key, own)| (*key, format!("{name}.{own}"))).collect();
    let mut map = Map::new();
    for (key, label) in &labels {
        match file.metadata.get(label) {
            Some(value) => _ = map.insert((*key).into(), json(value)),
            None if NEEDED.contains(key) => return Err(Error::new("model-config-missing").arg("key", label)),
            None => {}
        }
    }
    labels.push(("layer_types", format!("{name}.attention.sliding_window_pattern")));
    labels.push(("query_pre_attn_scalar", format!("{name}.attention.scale")));
    labels.push(("bos_token_id", "tokenizer.ggml.bos_token_id".into()));
    labels.push(("eos_token_id", "tokenizer.ggml.eos_token_id".into()));

    map.insert("model_type".into(), model_type.into());
    adopt(file, &mut map)?;
    let mut reader = Reader::new(&map)?;
    reader.labels = &labels;
    let mut architecture = reader.read()?;

    for key in ["value_length", "rope_dimensions"] {
        reader.whole(key, Some(architecture.head_dim), (architecture.head_dim, architecture.head_dim))?;
    }
    reader.whole("experts", Some(0), (0, 0))?;
    if let Some(scale) = file.metadata.get(&format!("{name}.attention.scale")) {
        let map = Map::from_iter([("query_pre_attn_scalar".into(), json(scale))]);
        architecture.attention_scale = reader.of(&map).number("query_pre_attn_scalar", None, (1e-6, 1e3))? as f32;
    }
    if let Some(tensor) = file.tensor("rope_freqs.weight") {
        let mut factors = vec![0.0; tensor.values().min(architecture.head_dim)];
        let whole = tensor.values() == architecture.head_dim / 2;
        if whole {
            dequantise(tensor.format, file.bytes(tensor), &mut factors);
        }
        let plain = architecture.ropes.len() == 1 && architecture.ropes[0].scaling == RopeScaling::None;
        if !whole || !plain || !factors.iter().all(|factor| (1e-6..=1e6).contains(factor)) {
            let possible = format!("{} divisors", architecture.head_dim / 2);
            return reader.refuse("rope_freqs.weight", &format!("{:?}", tensor.shape), &possible);
        }
        architecture.ropes[0].scaling = RopeScaling::Factors(factors);
    }
    architecture.licence = match file.metadata.get("general.license") {
        Some(Value::Text(licence)) => Some(licence.chars().filter(|c| !c.is_control()).take(120).collect()),
        _ => None,
    };
    Ok(architecture)
}

/// Writes what [`read`] reads, and gives the content of `rope_freqs.weight`.
pub(super) fn write(a: &Architecture) -> Result<(Metadata, Option<Vec<f32>>)> {
    let name = match a.family {
        Family::Llama | Family::Mistral => "llama",
        Family::Qwen2 => "qwen2",
        Family::Qwen3 => "qwen3",
        Family::Gemma3 => "gemma3",
    };
    let gemma = a.family == Family::Gemma3;
    let whole = |size: usize| Value::Unsigned(size as u64);
    let float = |x: f32| Value::Float(f64::from(x));
    let mut own = vec![
        ("vocab_size", whole(a.vocab)),
        ("context_length", whole(a.context)),
        ("embedding_length", whole(a.hidden)),
        ("block_count", whole(a.layers.len())),
        ("feed_forward_length", whole(a.intermediate)),
        ("attention.head_count", whole(a.heads)),
        ("attention.head_count_kv", whole(a.kv_heads)),
        ("attention.key_length", whole(a.head_dim)),
        ("attention.value_length", whole(a.head_dim)),
        ("attention.layer_norm_rms_epsilon", float(a.rms_eps)),
        ("rope.dimension_count", whole(a.head_dim)),
        // llama.cpp knows this number in 32 bits alone.
        ("rope.freq_base", float(a.ropes[0].theta as f32)),
    ];
    let divisors = a.ropes[0].divisors(a.head_dim);
    match a.ropes[0].scaling {
        RopeScaling::Linear(factor) => {
            own.push(("rope.scaling.type", "linear".into()));
            own.push(("rope.scaling.factor", float(factor as f32)));
        }
        RopeScaling::Llama3 { .. } | RopeScaling::Factors(_) if a.ropes.len() > 1 => {
            return Err(unsayable("rope_scaling"));
        }
        _ => {}
    }
    let window = a.layers.iter().find_map(|layer| layer.window);
    match window {
        Some(_) if matches!(a.family, Family::Qwen2 | Family::Qwen3) => {
            return Err(unsayable("sliding_window"));
        }
        Some(window) => own.push(("attention.sliding_window", whole(window))),
        None => {}
    }
    if gemma {
        own.push(("rope.freq_base_swa", float(a.ropes[a.ropes.len() - 1].theta as f32)));
        let sliding: Vec<bool> = a.layers.iter().map(|layer| layer.window.is_some()).collect();
        let by = |pattern: usize| (1..=sliding.len()).all(|layer| sliding[layer - 1] != layer.is_multiple_of(pattern));
        // Where nothing is said, each sixth layer sees all.
        if !by(6) {
            let pattern = (1..=sliding.len()).find(|&pattern| by(pattern));
            own.push(("attention.sliding_window_pattern", pattern.map_or(Value::Bools(sliding.clone()), whole)));
        }
        own.push(("attention.scale", float(a.attention_scale)));
    } else if a.attention_scale != inverse_root(a.head_dim as f64) {
        return Err(unsayable("attention_scale"));
    }
    for (key, cap) in [("attn_logit_softcapping", a.attention_softcap), ("final_logit_softcapping", a.logit_softcap)] {
        match cap {
            Some(cap) if gemma => own.push((key, float(cap))),
            Some(_) => return Err(unsayable(key)),
            None => {}
        }
    }
    let mut all = vec![("general.architecture".to_owned(), name.into())];
    all.extend(a.licence.iter().map(|licence| ("general.license".to_owned(), Value::Text(licence.clone()))));
    all.extend(own.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
    Ok((all, divisors))
}

/// What GGUF says in another way than Hugging Face.
fn adopt(file: &Gguf, map: &mut Map<String, Json>) -> Result<()> {
    let tensor = |name: &str| file.tensor(&stored_name(name, false));
    let embedding = tensor(EMBEDDING).ok_or_else(|| Error::new("model-tensor-missing").arg("tensor", EMBEDDING))?;
    map.insert("vocab_size".into(), embedding.shape.first().copied().unwrap_or(0).into());
    map.insert("tie_word_embeddings".into(), tensor(HEAD).is_none().into());

    let whole = |key: &str| map.get(key).and_then(Json::as_u64).filter(|&n| n > 0);
    let plain_head = whole("hidden_size").zip(whole("num_attention_heads")).map(|(hidden, heads)| hidden / heads);
    let head_dim = whole("head_dim").or(plain_head);
    let scalar = if whole("num_hidden_layers") == Some(LAYERS_OF_GEMMA_27B) { plain_head } else { head_dim };
    let heads = whole("num_attention_heads");
    let left_out = [("num_key_value_heads", heads), ("head_dim", head_dim), ("query_pre_attn_scalar", scalar)];
    for (key, value) in left_out {
        if let Some(value) = value
            && !map.contains_key(key)
        {
            map.insert(key.into(), value.into());
        }
    }

    // Which layers have a window may be a number or a list.
    if let Some(Json::Array(sliding)) = map.get("sliding_window_pattern") {
        let kind = |sliding: &Json| if *sliding == true { "sliding_attention" } else { "full_attention" };
        let kinds: Json = sliding.iter().map(kind).collect();
        map.remove("sliding_window_pattern");
        map.insert("layer_types".into(), kinds);
    }
    let mut scaling = Map::new();
    for key in ["rope_type", "factor"] {
        if let Some(value) = map.remove(key).filter(|value| value != "none") {
            scaling.insert(key.into(), value);
        }
    }
    if scaling.contains_key("rope_type") {
        map.insert("rope_scaling".into(), scaling.into());
    }

    if let Some(bos) = file.metadata.get("tokenizer.ggml.bos_token_id") {
        map.insert("bos_token_id".into(), json(bos));
    }
    // The end of a turn and of a message end what the model writes, too.
    let ends =
        ["eos", "eot", "eom"].iter().filter_map(|end| file.metadata.get(&format!("tokenizer.ggml.{end}_token_id")));
    let ends: Json = ends.map(json).collect();
    map.insert("eos_token_id".into(), ends);
    Ok(())
}

/// A value in JSON; one that cannot mean a size or number becomes what it is
/// called, which no reader of numbers accepts.
fn json(value: &Value) -> Json {
    match value {
        Value::Unsigned(number) => (*number).into(),
        Value::Signed(number) => (*number).into(),
        // JSON has no NaN and would make it a null, which means a default.
        Value::Float(number) if number.is_finite() => (*number).into(),
        Value::Float(number) => number.to_string().into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bools(flags) => flags.as_slice().into(),
        _ => "a list".into(),
    }
}

/// The name in GGUF of the tensor `name`.
pub(crate) fn stored_name(name: &str, post_norms: bool) -> String {
    let Some((layer, rest)) = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) else {
        return match name {
            EMBEDDING => "token_embd.weight".into(),
            NORM => "output_norm.weight".into(),
            HEAD => "output.weight".into(),
            other => other.into(),
        };
    };
    let (part, kind) = rest.rsplit_once('.').unwrap_or((rest, "weight"));
    let part = match part {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        // The same name in Hugging Face means two things.
        "post_attention_layernorm" if post_norms => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        other => other,
    };
    format!("blk.{layer}.{part}.{kind}")
}
