//! Model folders from strangers: whatever is in them, the answer is an error,
//! not a panic and not a demand for memory that the files do not justify.

use std::fs;

use kwaya_math::{Pool, philox::Stream};
use kwaya_model::{Config, Model};

/// A folder with a good tiny model.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            vocab_size: 11,
            hidden_size: 8,
            intermediate_size: 8,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 4,
            ..Config::default()
        };
        Model::random(config, 1, &Pool::new(1)).save(folder.path()).unwrap();
        Self(folder)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    /// The key of the error that loading gives.
    fn error(&self) -> String {
        match Model::load(self.0.path()) {
            Ok(_) => "loaded".into(),
            Err(error) => error.key().into(),
        }
    }
}

/// `bytes` with the first `from` replaced by `to` of the same length.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn each_damage_is_named() {
    let folder = Folder::new();
    assert_eq!(folder.error(), "loaded");
    let good = folder.read("model.safetensors");
    let length = |n: u64| [&n.to_le_bytes()[..], &good[8..]].concat();
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("empty", vec![], "tensors-damaged"),
        ("a few bytes", good[..5].to_vec(), "tensors-damaged"),
        ("truncated header", good[..100].to_vec(), "tensors-damaged"),
        ("truncated weights", good[..good.len() - 4].to_vec(), "tensors-damaged"),
        ("trailing bytes", [&good[..], b"more"].concat(), "tensors-damaged"),
        ("header length 2^64-1", length(u64::MAX), "tensors-damaged"),
        ("header length 2^63", length(1 << 63), "tensors-damaged"),
        ("header length 0", length(0), "tensors-damaged"),
        ("overlapping offsets", replaced(&good, "[0,352]", "[1,353]"), "tensors-damaged"),
        ("wrong shape", replaced(&good, "\"shape\":[11,8]", "\"shape\":[8,11]"), "model-tensor-wrong"),
        ("wrong type", replaced(&good, "\"F32\"", "\"I32\""), "model-tensor-wrong"),
        ("missing tensor", replaced(&good, "norm.weight", "norm.weighs"), "model-tensor-missing"),
    ];
    for (what, bytes, key) in cases {
        folder.write("model.safetensors", &bytes);
        assert_eq!(folder.error(), key, "{what}");
    }
    fs::remove_file(folder.0.path().join("model.safetensors")).unwrap();
    assert_eq!(folder.error(), "io-not-found");
}

#[test]
fn a_configuration_cannot_ask_for_memory_the_weights_do_not_fill() {
    let folder = Folder::new();
    let good = String::from_utf8(folder.read("config.json")).unwrap();
    for (from, to, key) in [
        ("\"vocab_size\": 11", "\"vocab_size\": 4194304", "model-too-short"),
        ("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 1024", "model-too-short"),
        ("\"hidden_size\": 8", "\"hidden_size\": 65536", "model-too-short"),
        ("\"hidden_size\": 8", "\"hidden_size\": 18446744073709551615", "model-config-value"),
        ("\"hidden_size\": 8", "\"hidden_size\": 18446744073709551616", "model-config-malformed"),
        ("\"head_dim\": 4", "\"head_dim\": 4611686018427387904", "model-config-value"),
        ("\"rope_theta\": 10000.0", "\"rope_theta\": NaN", "model-config-malformed"),
        ("\"rms_norm_eps\": 0.00001", "\"rms_norm_eps\": 1e-400", "model-config-value"),
        ("\"vocab_size\": 11", "\"vocab_size\": [[[[]]]]", "model-config-malformed"),
    ] {
        assert!(good.contains(from), "{from} in {good}");
        folder.write("config.json", good.replace(from, to).as_bytes());
        assert_eq!(folder.error(), key, "{to}");
    }
    folder.write("config.json", &b"[".repeat(1 << 21));
    assert_eq!(folder.error(), "model-config-malformed");
    folder.write("config.json", &[0xff; 64]);
    assert_ne!(folder.error(), "loaded");
}

/// Several thousand copies with bytes flipped, most of them in the header,
/// cut, or grown. Flips among the weights load; nothing may panic.
#[test]
fn random_damage_never_panics() {
    const CASES: u64 = 6000;
    let folder = Folder::new();
    let mut loaded = 0;
    for name in ["model.safetensors", "config.json"] {
        let good = folder.read(name);
        let header =
            if name == "config.json" { good.len() } else { 8 + good[8..].iter().position(|&b| b == 0).unwrap_or(64) };
        for case in 0..CASES / 2 {
            let mut stream = Stream::new(20, 1, case);
            let mut bytes = good.clone();
            for _ in 0..=stream.below(4) {
                let within = if stream.below(8) == 0 { good.len() } else { header.min(good.len()) };
                let at = stream.below(within as u64) as usize;
                bytes[at] = match stream.below(3) {
                    0 => stream.next_u32() as u8,
                    1 => bytes[at] ^ (1 << stream.below(8)),
                    _ => b"0123456789-+eE[]{},\":\\"[stream.below(22) as usize],
                };
            }
            match stream.below(8) {
                0 => bytes.truncate(stream.below(bytes.len() as u64) as usize),
                1 => bytes.extend_from_slice(&good[..stream.below(64) as usize]),
                _ => {}
            }
            folder.write(name, &bytes);
            // A panic here fails the test; the case's number finds the input.
            let result = std::panic::catch_unwind(|| folder.error());
            let key = result.unwrap_or_else(|_| panic!("{name}, case {case}: a panic"));
            loaded += u64::from(key == "loaded");
        }
        folder.write(name, &good);
    }
    println!("{loaded} of {CASES} damaged folders still loaded");
    assert!(loaded < CASES / 2, "most damage is noticed");
    assert_eq!(folder.error(), "loaded");
}
