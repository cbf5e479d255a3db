//! Prints the ids that a vocabulary gives to lines, for comparison with other
//! programs: `encode_words VOCABULARY.json LINES.json`, where the first is a
//! [`Vocabulary`] and the second a list of texts. The answer is a list of
//! lists.

use std::io::Write;

use kwaya_text::vocabulary::Vocabulary;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut files = std::env::args().skip(1).map(std::fs::read);
    let vocabulary: Vocabulary = serde_json::from_slice(&files.next().ok_or("no vocabulary")??)?;
    let lines: Vec<String> = serde_json::from_slice(&files.next().ok_or("no lines")??)?;
    let mut tokenizer = vocabulary.tokenizer().map_err(|error| error.to_string())?;
    tokenizer.set_encode_special_tokens(true);
    let mut ids = Vec::new();
    for line in lines {
        ids.push(tokenizer.encode_fast(line, false)?.get_ids().to_vec());
    }
    serde_json::to_writer(std::io::stdout().lock(), &ids)?;
    Ok(std::io::stdout().flush()?)
}
