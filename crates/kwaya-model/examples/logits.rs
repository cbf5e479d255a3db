//! Prints what a model says to a text, as JSON: one list of logits per token.
//!
//!     cargo run --release -p kwaya-model --example logits -- MODEL_DIR 5 17 3
//!
//! `integrations/compare_with_transformers.py` compares it with `transformers`.

use std::path::Path;

use kwaya_math::Pool;
use kwaya_model::{Activations, Batch, Model, logits};

fn main() -> kwaya_base::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("the folder of a model");
    let tokens: Vec<u32> = arguments.map(|token| token.parse().expect("token numbers")).collect();
    let model = Model::load(Path::new(&folder))?;
    let vocabulary = model.config.vocab_size;
    assert!(tokens.iter().all(|&token| (token as usize) < vocabulary), "tokens below {vocabulary}");

    let n = tokens.len();
    let batch = Batch {
        rows: 1,
        tokens_per_row: n,
        tokens: &tokens,
        targets: &tokens,
        starts: &vec![0; n],
        positions: &(0..n as u32).collect::<Vec<_>>(),
    };
    let mut activations = Activations::forward_only(model.architecture(), 1, n);
    let mut out = vec![0.0; n * vocabulary];
    logits(&model, &batch, &mut activations, &mut out, &Pool::new(2));
    let rows: Vec<&[f32]> = out.chunks(vocabulary).collect();
    #[expect(clippy::print_stdout, reason = "a program, not a library")]
    {
        println!("{}", serde_json::to_string(&rows).expect("numbers become JSON"));
    }
    Ok(())
}
