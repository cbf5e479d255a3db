//! Writes a small fresh model, to see whether other engines read it.
//!
//!     cargo run --release -p kwaya-model --example fresh -- NEW_DIR

use std::path::Path;

use kwaya_base::error::At;
use kwaya_math::Pool;
use kwaya_model::{Config, Model};

fn main() -> kwaya_base::Result<()> {
    let folder = std::env::args().nth(1).expect("the folder to make");
    let folder = Path::new(&folder);
    std::fs::create_dir(folder).at(folder)?;
    let config = Config {
        vocab_size: 4096,
        hidden_size: 192,
        intermediate_size: 512,
        num_hidden_layers: 4,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 32,
        bos_token_id: Some(0),
        eos_token_id: Some(0),
        // Large enough that attention is far from uniform.
        initializer_range: 0.1,
        ..Config::default()
    };
    Model::random(config, 1, &Pool::new(2)).save(folder)
}
