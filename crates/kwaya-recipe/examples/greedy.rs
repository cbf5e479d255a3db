//! Greedy tokens of prompts with the two largest logits at each place.
use kwaya_recipe::text_model::TextModel;
use std::io::BufRead;
fn main() {
    let path = std::env::args().nth(1).expect("a model");
    let count: usize = std::env::args().nth(2).expect("a count").parse().expect("a number");
    let model = TextModel::load(std::path::Path::new(&path), 2).expect("a model");
    for line in std::io::stdin().lock().lines() {
        let prompt: String = serde_json::from_str(&line.expect("a line")).expect("a text");
        let tokens = model.codec().encode(&prompt).expect("tokens");
        let mut all = model.conversations();
        let (conversation, known) = all.begin(&tokens);
        let mut rest = tokens[known..].to_vec();
        let (mut greedy, mut top) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let logits = all.feed(&[(conversation, &rest)]).expect("logits");
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.select_nth_unstable_by(1, |a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
            top.push([(order[0], logits[order[0]]), (order[1], logits[order[1]])]);
            greedy.push(order[0] as u32);
            rest = vec![order[0] as u32];
        }
        let text = model.codec().decode(&greedy).expect("text");
        println!("{}", serde_json::json!({ "prompt": tokens, "greedy": greedy, "top": top, "text": text }));
    }
}
