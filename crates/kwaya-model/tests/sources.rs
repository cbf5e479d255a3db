//! Folders and GGUF files from strangers: what is wrong is named, nothing
//! outside of the folder is read, and no memory is taken for a claim.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result};
use kwaya_model::{
    Gguf, Source,
    gguf::{self, Entry, Value},
};

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families")
}

/// A copy of a model's folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn copy(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(golden().join(name)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Changes a file by replacing text of it, which is there.
    fn replace(&self, name: &str, from: &str, to: &str) {
        let bytes = fs::read(self.path(name)).unwrap();
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("{from} in {name}"));
        fs::write(self.path(name), [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()).unwrap();
    }

    fn error(&self) -> Error {
        error(self.0.path())
    }

    /// The key of the error, and the thing it is about.
    fn refused(&self, about: &str) -> (&'static str, String) {
        let error = self.error();
        let about = error.args().iter().find(|(name, _)| *name == about);
        (error.key(), about.map_or(String::new(), |(_, value)| value.clone()))
    }
}

fn check(path: &Path) -> Result<Vec<String>> {
    let source = Source::open(path)?;
    Ok(source.check()?.into_iter().map(str::to_owned).collect())
}

fn error(path: &Path) -> Error {
    let error = check(path).expect_err("a bad model");
    assert!(error.remedy().is_some(), "{error:?}");
    error
}

const INDEX: &str = "model.safetensors.index.json";
const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

#[test]
fn a_folder_of_parts_is_read_whole() {
    let folder = Folder::copy("llama3");
    assert!(folder.path(SHARDS[1]).exists() && !folder.path("model.safetensors").exists());
    assert_eq!(check(folder.0.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn an_index_names_plain_files_alone() {
    let folder = Folder::copy("llama3");
    for bad in [
        "../model.safetensors",
        "/etc/model.safetensors",
        "part/model.safetensors",
        r"..\\model.safetensors",
        "C:model.safetensors",
        ".model.safetensors",
        "",
        "..",
        "pytorch_model.bin",
        "config.json",
        r"a\u0000.safetensors",
    ] {
        folder.write(INDEX, &format!(r#"{{"weight_map": {{"model.norm.weight": "{bad}"}}}}"#));
        assert_eq!(folder.error().key(), "model-index-shard", "{bad}");
    }
    for malformed in ["", "[]", "{}", r#"{"weight_map": 3}"#, r#"{"weight_map": {"a": 3}}"#, r#"{"weight_map": {"a": "#]
    {
        folder.write(INDEX, malformed);
        assert_eq!(folder.error().key(), "model-index-malformed", "{malformed}");
    }
    folder.write(INDEX, r#"{"weight_map": {}}"#);
    assert_eq!(folder.refused("tensor"), ("model-tensor-missing", "model.embed_tokens.weight".into()));
}

#[test]
fn parts_and_their_index_agree() {
    let folder = Folder::copy("llama3");
    fs::rename(folder.path(SHARDS[1]), folder.path("away")).unwrap();
    let path = folder.path(SHARDS[1]).display().to_string();
    assert_eq!(folder.refused("path"), ("model-shard-missing", path));
    fs::rename(folder.path("away"), folder.path(SHARDS[1])).unwrap();

    folder.replace(INDEX, "model.norm.weight", "model.norm.weighs");
    assert_eq!(folder.refused("tensor"), ("model-tensor-missing", "model.norm.weighs".into()));

    let folder = Folder::copy("llama3");
    let text = fs::read_to_string(folder.path(INDEX)).unwrap();
    let at = text.find("\"model.norm.weight\"").unwrap();
    let (head, tail) = text.split_at(at);
    let other = if tail[..50].contains(SHARDS[0]) { [SHARDS[0], SHARDS[1]] } else { [SHARDS[1], SHARDS[0]] };
    folder.write(INDEX, &format!("{head}{}", tail.replacen(other[0], other[1], 1)));
    assert_eq!(folder.refused("tensor"), ("model-tensor-missing", "model.norm.weight".into()));

    let folder = Folder::copy("llama3");
    fs::copy(folder.path(SHARDS[0]), folder.path("twin.safetensors")).unwrap();
    folder.replace(
        INDEX,
        "\"weight_map\": {",
        "\"weight_map\": { \"model.embed_tokens.weight\": \"twin.safetensors\",",
    );
    folder.replace(INDEX, &format!("\"model.embed_tokens.weight\": \"{}\"", SHARDS[0]), "\"x\": \"twin.safetensors\"");
    assert_eq!(folder.error().key(), "model-tensor-twice");

    let folder = Folder::copy("llama3");
    let part = fs::read(folder.path(SHARDS[0])).unwrap();
    fs::write(folder.path(SHARDS[0]), &part[..part.len() - 1]).unwrap();
    assert_eq!(folder.error().key(), "tensors-damaged");
}

#[test]
fn pickles_are_never_read() {
    let folder = Folder::copy("llama2");
    for name in ["pytorch_model.bin", "consolidated.00.pth", "model.pt"] {
        folder.write(name, "not a pickle");
        assert_eq!(error(&folder.path(name)).key(), "model-pickle");
    }
    assert_eq!(check(folder.0.path()).unwrap(), Vec::<String>::new(), "beside safetensors they do no harm");
    fs::remove_file(folder.path("model.safetensors")).unwrap();
    let error = folder.error();
    assert_eq!(error.key(), "model-pickle");
    assert!(error.to_string().contains("any program") && error.remedy().unwrap().contains("save_pretrained"));
    for name in ["pytorch_model.bin", "consolidated.00.pth", "model.pt"] {
        fs::remove_file(folder.path(name)).unwrap();
    }
    assert_eq!(folder.error().key(), "model-weights-missing");
    assert_eq!(self::error(&folder.path("config.json")).key(), "model-file-unknown");
    assert_eq!(self::error(&folder.path("nothing")).key(), "io-not-found");
}

#[test]
fn weights_that_are_not_those_of_the_configuration_are_named() {
    for (from, to, key, about) in [
        ("\"model.norm.weight\"", "\"model.horn.weight\"", "model-tensor-missing", "model.norm.weight"),
        ("\"shape\":[101,24]", "\"shape\":[24,101]", "model-tensor-wrong", "model.embed_tokens.weight"),
        ("\"shape\":[101,24]", "\"shape\":[2424]  ", "model-tensor-wrong", "model.embed_tokens.weight"),
        ("layers.1.mlp.up_proj", "layers.2.mlp.up_proj", "model-tensor-missing", "model.layers.1.mlp.up_proj.weight"),
    ] {
        let folder = Folder::copy("llama2");
        // The shape of the head comes first, which is the same.
        let name = if from.contains("shape") { "embed_tokens" } else { from };
        let bytes = fs::read(folder.path("model.safetensors")).unwrap();
        let start = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
        let at = start + bytes[start..].windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let changed = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
        fs::write(folder.path("model.safetensors"), changed).unwrap();
        assert_eq!(folder.refused("tensor"), (key, about.into()), "{from}");
    }
    let folder = Folder::copy("llama2");
    folder.replace("model.safetensors", "\"F32\"", "\"I32\"");
    assert_eq!(folder.error().key(), "model-tensor-wrong");
    for (from, to, key) in [
        ("\"vocab_size\": 101", "\"vocab_size\": 4194304", "model-tensor-wrong"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1024", "model-tensor-missing"),
        // A layer that would not be computed makes it another model.
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "model-tensor-extra"),
        ("\"model_type\": \"llama\"", "\"model_type\": \"qwen2\"", "model-tensor-missing"),
        ("\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", "model-family-unknown"),
        ("\"hidden_size\": 24", "\"hidden_size\": \"24\"", "model-config-value"),
    ] {
        let folder = Folder::copy("llama2");
        folder.replace("config.json", from, to);
        assert_eq!(folder.error().key(), key, "{to}");
    }
    // The biases of a Qwen 2 are not silently left out.
    let folder = Folder::copy("qwen2");
    folder.replace("config.json", "\"model_type\": \"qwen2\"", "\"model_type\": \"llama\"");
    folder.replace("config.json", "\"layer_types\"", "\"_\"");
    assert_eq!(folder.error().key(), "model-tensor-extra");
}

#[test]
fn what_else_a_folder_says_is_read() {
    let folder = Folder::copy("llama2");
    folder.write("README.md", "---\nlanguage: sw\nlicense: \"apache-2.0\"\n---\n# A model\nlicense: none\n");
    folder.write("generation_config.json", r#"{"eos_token_id": [5, 2, 6]}"#);
    let source = Source::open(folder.0.path()).unwrap();
    assert_eq!(source.architecture().licence.as_deref(), Some("apache-2.0"));
    assert_eq!(source.architecture().eos, [2, 5, 6]);
    folder.write("README.md", "# A model\nlicense: mit\n");
    assert_eq!(Source::open(folder.0.path()).unwrap().architecture().licence, None);
    folder.write("generation_config.json", r#"{"eos_token_id": 101}"#);
    assert_eq!(folder.refused("key"), ("model-config-value", "eos_token_id".into()));
    folder.write("generation_config.json", "{");
    assert_eq!(folder.error().key(), "model-config-malformed");
}

type Metadata = Vec<(String, Value)>;

/// A GGUF file of a golden model with another metadata, in a folder that goes
/// away.
fn changed(name: &str, change: impl Fn(&mut Metadata)) -> (tempfile::TempDir, PathBuf) {
    let file = Gguf::open(&golden().join(format!("{name}.gguf"))).unwrap();
    let mut metadata: Metadata = file.metadata.clone().into_iter().collect();
    change(&mut metadata);
    let metadata: Vec<(&str, Value)> = metadata.iter().map(|(key, value)| (&**key, value.clone())).collect();
    let entries: Vec<Entry<'_>> =
        file.tensors().iter().map(|t| Entry { name: &t.name, shape: &t.shape, format: t.format }).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.gguf");
    gguf::write(&path, &metadata, &entries, |i, put| put(file.bytes(&file.tensors()[i]))).unwrap();
    (folder, path)
}

#[test]
fn what_cannot_be_in_a_gguf_file_is_refused_by_its_own_key() {
    let unsigned = |n: u64| Value::Unsigned(n);
    for (name, key, value, error_key) in [
        ("llama2", "general.architecture", Value::from("mamba"), "model-family-unknown"),
        ("llama2", "general.architecture", unsigned(3), "gguf-key-type"),
        ("llama2", "llama.embedding_length", unsigned(0), "model-config-value"),
        ("llama2", "llama.embedding_length", unsigned(u64::MAX), "model-config-value"),
        ("llama2", "llama.block_count", Value::Signed(-1), "model-config-value"),
        ("llama2", "llama.block_count", Value::Unsigneds(vec![2, 2]), "model-config-value"),
        ("llama2", "llama.attention.head_count", Value::Float(4.5), "model-config-value"),
        ("llama2", "llama.attention.layer_norm_rms_epsilon", Value::Float(f64::NAN), "model-config-value"),
        ("llama2", "llama.rope.freq_base", Value::Float(0.0), "model-config-value"),
        ("llama2", "llama.rope.scaling.type", Value::from("yarn"), "model-config-value"),
        ("llama2", "llama.rope.dimension_count", unsigned(4), "model-config-value"),
        ("llama2", "llama.attention.value_length", unsigned(4), "model-config-value"),
        ("llama2", "llama.expert_count", unsigned(8), "model-config-value"),
        ("llama2", "tokenizer.ggml.bos_token_id", unsigned(101), "model-config-value"),
        ("llama2", "split.count", unsigned(2), "model-split"),
        ("mistral", "llama.attention.sliding_window", unsigned(0), "model-config-value"),
        ("gemma3", "gemma3.attention.scale", Value::Float(0.0), "model-config-value"),
        ("gemma3", "gemma3.attention.sliding_window_pattern", Value::Bools(vec![true]), "model-config-value"),
        ("gemma3", "gemma3.final_logit_softcapping", Value::Float(-1.0), "model-config-value"),
    ] {
        let (_folder, path) = changed(name, |metadata| {
            metadata.retain(|(other, _)| other != key);
            metadata.push((key.into(), value.clone()));
        });
        let error = error(&path);
        assert_eq!(error.key(), error_key, "{key} {value:?}");
        if error_key == "model-config-value" {
            assert_eq!(error.args()[0].1, key, "the message names the key that stands in the file");
        }
    }
    for key in ["llama.embedding_length", "llama.block_count", "llama.attention.layer_norm_rms_epsilon"] {
        let (_folder, path) = changed("llama2", |metadata| metadata.retain(|(other, _)| other != key));
        let error = error(&path);
        assert_eq!((error.key(), &*error.args()[0].1), ("model-config-missing", key));
    }
}

#[test]
fn a_gguf_file_may_say_things_in_other_ways() {
    let layers = |change: &dyn Fn(&mut Metadata)| {
        let (_folder, path) = changed("gemma3", change);
        Source::open(&path).unwrap().architecture().layers.clone()
    };
    let plain = layers(&|_| {});
    let flags = vec![true, true, true, true, true, false, true];
    let key = || "gemma3.attention.sliding_window_pattern".to_owned();
    assert_eq!(layers(&|metadata| metadata.push((key(), Value::Bools(flags.clone())))), plain);
    assert_eq!(layers(&|metadata| metadata.push((key(), Value::Unsigned(6)))), plain);
    assert_ne!(layers(&|metadata| metadata.push((key(), Value::Unsigned(2)))), plain);
}
