//! What a finished model is worth: bits per byte on text that was kept out of
//! training, beside two baselines that needed no training, and samples.

use std::path::Path;

use kwaya_base::{Progress, Result};
use kwaya_math::Pool;
use kwaya_model::{Model, SamplerOptions};
use kwaya_text::{compressor, tokenizer};
use kwaya_train::{LanguageScore, TokenFile};
use serde::{Deserialize, Serialize};

use crate::text_model::{Options, TextModel};

/// Words of a held-out document that a sample goes on from.
const PROMPT_WORDS: usize = 6;
/// Tokens of a sample.
const SAMPLE_TOKENS: usize = 60;

/// The figures on held-out text of one language, in bits per byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Score {
    /// BCP 47 tag.
    pub language: String,
    /// Documents measured on.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The trained model.
    pub trained: f64,
    /// The same model before training.
    pub untrained: f64,
    /// zstd -19 with the training text to look back at.
    pub compressor: f64,
    /// Tokens per byte.
    pub tokens_per_byte: f64,
}

/// A text that the model wrote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// BCP 47 tag of the document that the prompt is from; empty for none.
    pub language: String,
    /// What the model was given.
    pub prompt: String,
    /// What it wrote.
    pub text: String,
}

/// All figures on held-out text, and samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evaluation {
    /// By language.
    pub languages: Vec<Score>,
    /// One without a prompt and one for each language.
    pub samples: Vec<Sample>,
}

/// Measures the model in `folder` and the two baselines. `texts` gives the
/// whole corpus, as often as it is called.
///
/// # Errors
/// What the files bring, and `interrupted`.
pub fn evaluate<I: Iterator<Item = Result<tokenizer::Text>>>(
    folder: &Path,
    seed: u64,
    held_out: &TokenFile,
    texts: &dyn Fn() -> Result<I>,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Evaluation> {
    // One model at a time, and none beside the compressor, which needs much
    // memory itself.
    let score = |model: Model| {
        let context = model.config.max_position_embeddings;
        let scores = kwaya_train::bits_per_byte(&model, held_out, context, pool, progress)?;
        Ok::<_, kwaya_base::Error>((scores, model.config))
    };
    let (trained, config) = score(Model::load(folder)?)?;
    let (untrained, _) = score(Model::random(config, seed, pool))?;
    let packed = compressor::bits_per_byte(texts()?)?;
    let samples = samples(&TextModel::load(folder, pool.threads())?, texts()?)?;
    Ok(Evaluation { languages: trained.iter().filter_map(|s| side_by_side(s, &untrained, &packed)).collect(), samples })
}

/// All three figures come from the same documents, so each language that one
/// of them knows the others know too.
fn side_by_side(trained: &LanguageScore, untrained: &[LanguageScore], packed: &[compressor::Packed]) -> Option<Score> {
    let untrained = untrained.iter().find(|s| s.language == trained.language)?;
    let packed = packed.iter().find(|p| p.language == trained.language)?;
    Some(Score {
        language: trained.language.clone(),
        documents: trained.documents,
        bytes: trained.bytes,
        trained: trained.bits_per_byte,
        untrained: untrained.bits_per_byte,
        compressor: packed.bits_per_byte,
        tokens_per_byte: trained.tokens as f64 / trained.bytes.max(1) as f64,
    })
}

fn samples(model: &TextModel, texts: impl Iterator<Item = Result<tokenizer::Text>>) -> Result<Vec<Sample>> {
    let mut samples = vec![Sample { language: String::new(), prompt: String::new(), text: String::new() }];
    for document in texts {
        let document = document?;
        if document.held_out && !samples.iter().any(|s| s.language == document.language) {
            let prompt = opening(&document.text);
            samples.push(Sample { language: document.language, prompt, text: String::new() });
        }
    }
    let options = Options {
        sampler: SamplerOptions { temperature: 0.8, top_k: 40, ..SamplerOptions::default() },
        tokens_max: SAMPLE_TOKENS,
        form: None,
    };
    for sample in &mut samples {
        model.generate(&sample.prompt, &options, |piece| {
            sample.text.push_str(piece);
            true
        })?;
    }
    Ok(samples)
}

/// The first words of a text, without what a word may not end in.
fn opening(text: &str) -> String {
    text.split_whitespace().take(PROMPT_WORDS).collect::<Vec<_>>().join(" ")
}

impl Evaluation {
    /// The mean of `figure` over all bytes measured on.
    pub fn mean(&self, figure: fn(&Score) -> f64) -> f64 {
        let bytes: u64 = self.languages.iter().map(|s| s.bytes).sum();
        self.languages.iter().map(|s| figure(s) * s.bytes as f64).sum::<f64>() / bytes.max(1) as f64
    }
}
