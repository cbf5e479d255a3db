//! How fast a model answers: from file to ready, a prompt, one conversation,
//! several at once. Prints one line of JSON.
//!
//!     cargo run --release -p kwaya-model --example answer_speed -- MODEL 2 [PROMPT] [TOKENS]
//!
//! Arguments: a .gguf file or a Hugging Face folder, threads, tokens of the
//! prompt (512), tokens to write (64).

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::{path::Path, time::Instant};

use kwaya_math::Pool;
use kwaya_model::{Conversation, Conversations, Decoder, Source};

fn main() -> kwaya_base::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rest @ ..] = &arguments[..] else { panic!("arguments: MODEL, threads, prompt, tokens") };
    let number = |at: usize, or: usize| rest.get(at).map_or(or, |text| text.parse().expect("a number"));
    let (threads, prompt, written) = (number(0, 2), number(1, 512), number(2, 64));
    let start = Instant::now();
    let pool = Pool::new(threads);
    let model = Decoder::load(Source::open(Path::new(path))?, &pool)?;
    let loaded = start.elapsed().as_secs_f64();
    let vocab = model.architecture().vocab as u32;
    let tokens = |seed: u32| (0..prompt as u32).map(|i| (i * 7919 + seed * 104_729 + 11) % vocab).collect::<Vec<u32>>();
    let likeliest = |logits: &[f32]| {
        (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).expect("a vocabulary") as u32
    };

    let mut all = Conversations::new(&model, &pool, 4 << 30);
    // The first use of memory and threads is not what is asked for.
    let warm = all.begin(&tokens(99)[..8]).0;
    all.feed(&[(warm, &tokens(99)[..8])])?;
    let start = Instant::now();
    let one = all.begin(&tokens(0)).0;
    let mut next = likeliest(all.feed(&[(one, &tokens(0))])?);
    let reading = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut text = vec![next];
    for _ in 0..written {
        next = likeliest(all.feed(&[(one, &[next])])?);
        text.push(next);
    }
    let writing = start.elapsed().as_secs_f64();

    let open: Vec<Conversation> = (0..8)
        .map(|i| {
            let conversation = all.begin(&tokens(i)).0;
            all.feed(&[(conversation, &tokens(i)[all.tokens(conversation).len()..])]).map(|_| conversation)
        })
        .collect::<kwaya_base::Result<_>>()?;
    let mut texts = vec![vec![text[0]]; 8];
    let start = Instant::now();
    for _ in 0..written {
        let batch: Vec<(Conversation, &[u32])> =
            open.iter().zip(&texts).map(|(c, text)| (*c, &text[text.len() - 1..])).collect();
        let logits = all.feed(&batch)?;
        let chosen: Vec<u32> = logits.chunks(vocab as usize).map(likeliest).collect();
        texts.iter_mut().zip(chosen).for_each(|(text, token)| text.push(token));
    }
    let together = start.elapsed().as_secs_f64();
    assert_eq!(texts[0], text, "an answer depends on what else is in the batch");
    println!(
        "{{\"load_ms\": {:.0}, \"prompt_tokens_per_second\": {:.0}, \"tokens_per_second\": {:.1}, \"gb_per_second\": {:.1}, \
         \"of_8_tokens_per_second\": {:.0}, \"bytes_per_token\": {}}}",
        1e3 * loaded,
        prompt as f64 / reading,
        written as f64 / writing,
        (model.bytes_per_token() * written) as f64 / writing / 1e9,
        (8 * written) as f64 / together,
        model.bytes_per_token()
    );
    Ok(())
}
