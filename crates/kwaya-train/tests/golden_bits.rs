//! The bits of a whole training, written down: every machine and every
//! instruction set has these. `.ci/neon` runs this on AArch64.
//!
//! A change of the arithmetic changes them: that is a new version of it, and
//! what the test then finds is written here.

mod common;

use std::fs;

use kwaya_base::Silent;
use kwaya_math::{Pool, isa, philox::Stream};
use kwaya_model::Config;
use kwaya_train::{Decay, Options, Precision, Schedule, train};

/// BLAKE3 of the trained weights, little-endian, the first 32 digits.
const F32: &str = "056e1e7664277c2e500f9136ebd900fe";
const BF16: &str = "2a91e6df4db19e44edec1c7cfcb855db";

/// Sizes that are no multiples of a vector or a tile.
fn config() -> Config {
    Config {
        vocab_size: 301,
        hidden_size: 72,
        intermediate_size: 203,
        num_hidden_layers: 2,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 12,
        max_position_embeddings: 64,
        ..Config::default()
    }
}

fn schedule(precision: Precision) -> Schedule {
    Schedule {
        seed: 11,
        steps: 5,
        sequence_length: 41,
        sequences_per_micro_batch: 2,
        micro_batches_per_step: 3,
        learning_rate: 0.01,
        learning_rate_min: 0.001,
        warmup_steps: 2,
        decay: Decay::Cosine,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        clip_norm: 1.0,
        evaluate_every: 5,
        precision,
    }
}

#[test]
fn a_training_has_the_bits_that_were_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let document = |index| {
        let mut stream = Stream::new(7, 1, index);
        let length = 5 + stream.below(80);
        (0..length).map(|_| 1 + stream.below(300) as u32).collect()
    };
    let documents: Vec<Vec<u32>> = (0..40).map(document).collect();
    let text = common::write(&dir.path().join("text.safetensors"), 301, &documents);
    for (precision, golden) in [(Precision::F32, F32), (Precision::Bf16, BF16)] {
        let folder = dir.path().join(format!("{precision:?}"));
        fs::create_dir(&folder).unwrap();
        let (config, schedule, options) = (config(), schedule(precision), Options::default());
        let trained = train(&config, &schedule, &text, &text, &folder, &options, &Pool::new(2), &Silent).unwrap();
        let mut hasher = blake3::Hasher::new();
        for weight in trained.model.weights() {
            hasher.update(&weight.to_le_bytes());
        }
        let found = &hasher.finalize().to_hex()[..32];
        assert_eq!(found, golden, "{precision:?}, {} {}", std::env::consts::ARCH, isa());
    }
}
