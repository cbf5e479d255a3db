//! The likeliest tokens after prompts, with the two largest logits at each
//! place: a prompt as a JSON text on each line of the input, a line of JSON
//! for each. `benches/peers/same_answers.py` holds them against llama.cpp.
//!
//!     cargo run --release -p kwaya-recipe --example greedy -- MODEL 40 < prompts.jsonl

#![expect(clippy::print_stdout, reason = "a program, not a library")]

use std::{io::BufRead, path::Path};

use kwaya_recipe::text_model::TextModel;

fn main() -> kwaya_base::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, count] = &arguments[..] else { panic!("arguments: MODEL, tokens") };
    let count: usize = count.parse().expect("a number");
    let model = TextModel::load(Path::new(path), 2)?;
    for line in std::io::stdin().lock().lines() {
        let prompt: String = serde_json::from_str(&line.expect("a line")).expect("a JSON text");
        let tokens = model.codec().encode(&prompt)?;
        let mut all = model.conversations();
        let (conversation, known) = all.begin(&tokens);
        let mut rest = tokens[known..].to_vec();
        let (mut greedy, mut top) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let logits = all.feed(&[(conversation, &rest)])?;
            let mut order: Vec<u32> = (0..logits.len() as u32).collect();
            let logit = |token: &u32| logits[*token as usize];
            order.select_nth_unstable_by(1, |a, b| logit(b).total_cmp(&logit(a)).then(a.cmp(b)));
            top.push([(order[0], logit(&order[0])), (order[1], logit(&order[1]))]);
            greedy.push(order[0]);
            rest = vec![order[0]];
        }
        println!("{}", serde_json::json!({ "prompt": tokens, "greedy": greedy, "top": top }));
    }
    Ok(())
}
