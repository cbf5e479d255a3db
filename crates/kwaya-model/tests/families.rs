//! Models of all families against `transformers`, which made them
//! (golden/families.py): what their files say, and what they compute.

mod oracle;

use std::{collections::BTreeMap, fs, path::PathBuf};

use kwaya_model::{Activation, Architecture, Family, LayerAttention, Rope, RopeScaling, Source};
use oracle::Oracle;
use serde::Deserialize;

/// What f32 sums in `transformers` may be away from the oracle's in f64; the
/// logits are about 5, and the worst difference was 5e-6.
const TOLERANCE: f64 = 2e-5;

#[derive(Deserialize)]
struct Expected {
    tokens: Vec<u32>,
    logits: Vec<Vec<f64>>,
    greedy: Vec<u32>,
}

#[derive(Deserialize)]
struct Golden {
    models: BTreeMap<String, Expected>,
    frequencies: Vec<Frequencies>,
}

#[derive(Deserialize)]
struct Frequencies {
    head_dim: usize,
    config: serde_json::Value,
    /// Of the last rotary embedding, which in Gemma is that of all tokens.
    inverse: Vec<f32>,
}

fn files() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families")
}

fn golden() -> Golden {
    serde_json::from_str(&fs::read_to_string(files().join("expected.json")).unwrap()).unwrap()
}

/// Opens both forms of a model, each with its name.
fn both(name: &str) -> [(String, Source); 2] {
    [name.to_owned(), format!("{name}.gguf")].map(|file| {
        let source = Source::open(&files().join(&file)).unwrap();
        assert_eq!(source.check().unwrap(), Vec::<&str>::new(), "{file}");
        (file, source)
    })
}

#[test]
fn every_family_computes_what_transformers_computes() {
    for (name, expected) in golden().models {
        for (file, source) in both(&name) {
            let oracle = Oracle::new(&source);
            let found = oracle.logits(&expected.tokens);
            let pairs = || found.iter().flatten().zip(expected.logits.iter().flatten());
            assert_eq!(pairs().count(), expected.tokens.len() * oracle.architecture.vocab);
            let worst = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("{file}: worst difference of the logits {worst:.1e}");
            assert!(worst < TOLERANCE, "{file}");
            // A choice of the script is never closer than 5e-3.
            assert_eq!(oracle.greedy(&expected.tokens, expected.greedy.len()), expected.greedy, "{file}");
        }
    }
}

/// The test above would not notice what these models do not make a difference
/// in, so each difference is taken away in turn.
#[test]
fn each_difference_between_the_families_is_noticed() {
    type Change = fn(&mut Architecture);
    let whole: Change = |a| a.layers.iter_mut().for_each(|layer| layer.window = None);
    let rope: Change = |a| a.ropes[0].scaling = RopeScaling::None;
    let cases: [(&str, &str, Change); 11] = [
        ("llama3", "rope scaling", rope),
        ("mistral", "window", whole),
        ("mistral", "window one longer", |a| a.layers.iter_mut().for_each(|l| l.window = l.window.map(|w| w + 1))),
        ("qwen3", "norms of queries and keys", |a| a.qk_norm = false),
        ("gemma3", "window", whole),
        ("gemma3", "local rope", |a| a.layers.iter_mut().for_each(|layer| layer.rope = 0)),
        ("gemma3", "linear scaling", rope),
        ("gemma3", "embedding scale", |a| a.embedding_scale = 1.0),
        ("gemma3", "activation", |a| a.activation = Activation::Silu),
        ("gemma3", "cap of scores", |a| a.attention_softcap = None),
        ("gemma3", "cap of logits", |a| a.logit_softcap = None),
    ];
    let golden = golden();
    for (name, what, change) in cases {
        let mut oracle = Oracle::new(&both(name)[0].1);
        change(&mut oracle.architecture);
        let expected = &golden.models[name];
        let found = oracle.logits(&expected.tokens);
        let pairs = found.iter().flatten().zip(expected.logits.iter().flatten());
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{name} without its {what}: {worst:.1e}");
        assert!(worst > 1e4 * TOLERANCE, "{name}: {what}");
    }
}

#[test]
fn frequencies_are_those_of_transformers() {
    for Frequencies { head_dim, config, inverse } in golden().frequencies {
        let architecture = Architecture::from_config_json(&config.to_string()).unwrap();
        let found = architecture.ropes[0].inverse_frequencies(head_dim);
        // The power is rounded once here, and there up to twice.
        let ulps = found.iter().zip(&inverse).map(|(a, b)| a.to_bits().abs_diff(b.to_bits()));
        let ulps: Vec<u32> = ulps.collect();
        println!(
            "{}: {} of {} differ, by {} ulp at most",
            config["model_type"],
            ulps.iter().filter(|u| **u > 0).count(),
            ulps.len(),
            ulps.iter().max().unwrap()
        );
        assert_eq!(found.len(), inverse.len());
        assert!(ulps.iter().all(|&ulps| ulps <= 4), "{config}: {ulps:?}");
    }
}

#[test]
fn both_files_of_a_model_say_the_same() {
    for name in golden().models.keys() {
        let [(_, folder), (file, gguf)] = &both(name);
        let (mut a, mut b) = (folder.architecture().clone(), gguf.architecture().clone());
        assert_eq!((a.licence.take(), b.licence.take()), (None, Some("cc0-1.0".into())));
        // GGUF calls a Mistral a Llama, keeps numbers in f32, and has
        // divisors in place of the rule they follow from.
        if let (RopeScaling::Llama3 { .. }, RopeScaling::Factors(_)) = (&a.ropes[0].scaling, &b.ropes[0].scaling) {
            let (exact, divided) =
                (a.ropes[0].inverse_frequencies(a.head_dim), b.ropes[0].inverse_frequencies(b.head_dim));
            assert!(exact.iter().zip(divided).all(|(exact, divided)| (exact - divided).abs() <= 2e-7 * exact));
            b.ropes.clone_from(&a.ropes);
        }
        assert_eq!(a, b, "{file}");
        for (tensor, _) in a.tensors() {
            let (one, other) = (folder.tensor(&tensor).unwrap(), gguf.tensor(&tensor).unwrap());
            assert_eq!((one.rows, one.cols), (other.rows, other.cols), "{file} {tensor}");
            assert_eq!(one.values(), other.values(), "{file} {tensor}");
        }
        // The head of a tied model is its table.
        assert_eq!(folder.tensor("lm_head.weight").unwrap().rows, a.vocab);
    }
}

#[test]
fn what_a_folder_says_becomes_data() {
    let gemma = Source::open(&files().join("gemma3")).unwrap();
    let a = gemma.architecture();
    let (local, global) = (LayerAttention { window: Some(4), rope: 1 }, LayerAttention { window: None, rope: 0 });
    assert_eq!(a.layers, [local, local, local, local, local, global, local]);
    assert_eq!(a.ropes[0], Rope { theta: 1e6, scaling: RopeScaling::Linear(8.0) });
    assert_eq!(a.ropes[1], Rope { theta: 1e4, scaling: RopeScaling::None });
    assert_eq!((a.embedding_scale, a.attention_scale), (32f32.sqrt(), 24f64.sqrt().recip() as f32));
    assert_eq!((a.family, a.tied, a.config()), (Family::Gemma3, true, None));
    let llama3 = Source::open(&files().join("llama3")).unwrap();
    assert_eq!(llama3.architecture().eos, [2, 7, 9]);
    assert_eq!(llama3.architecture().config(), None);
    let llama2 = Source::open(&files().join("llama2")).unwrap();
    let config = llama2.architecture().config().unwrap();
    assert_eq!(Architecture::from(&config), *llama2.architecture());
    assert_eq!(config.parameters(), llama2.architecture().parameters());
    assert_eq!(config.rms_norm_eps, 1e-5);
}
