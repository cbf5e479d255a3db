//! What a finished model is worth: bits per byte on text that was kept out of
//! training, beside two baselines that needed no training, and samples.

use std::path::Path;

use kwaya_base::{Progress, Result, Unit};
use kwaya_math::Pool;
use kwaya_model::{Adapters, Frozen, Lora, Model, Network, SamplerOptions, Source, Target};
use kwaya_text::{chat::Message, compressor, tokenizer};
use kwaya_train::{LanguageScore, Precision, TokenFile};
use serde::{Deserialize, Serialize};

use crate::text_model::{Options, TextModel};

/// Words of a held-out document that a sample goes on from.
const PROMPT_WORDS: usize = 6;
/// Tokens of a sample.
const SAMPLE_TOKENS: usize = 60;
/// Held-out text that a base and what became of it are measured on, in bytes:
/// it is ten times the size of what is trained from nothing, and so is the
/// time that a byte takes.
pub(crate) const SAMPLED_BYTES: u64 = 100_000;

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
    /// The same model before training: with random weights, or the base.
    pub untrained: f64,
    /// zstd -19 with the training text to look back at.
    pub compressor: f64,
    /// Tokens per byte.
    pub tokens_per_byte: f64,
    /// Those of the base, where tokens were added to its vocabulary.
    #[serde(default)]
    pub base_tokens_per_byte: Option<f64>,
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

/// The model before it was trained.
#[derive(Clone, Copy)]
pub enum Before<'a> {
    /// Random weights.
    Random {
        /// Of this seed.
        seed: u64,
    },
    /// The weights of a base.
    Base {
        /// Where they are.
        source: &'a Source,
        /// The same text in its tokens.
        held_out: &'a TokenFile,
        /// Tokens that are read at once.
        context: usize,
        /// The numbers that products are made of, as in the training.
        precision: Precision,
    },
}

/// Measures the model in `folder` and the two baselines. `texts` gives the
/// whole corpus, as often as it is called.
///
/// # Errors
/// What the files bring, and `interrupted`.
pub fn evaluate<I: Iterator<Item = Result<tokenizer::Text>>>(
    folder: &Path,
    before: Before<'_>,
    held_out: &TokenFile,
    texts: &dyn Fn() -> Result<I>,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Evaluation> {
    // One model at a time, and none beside the compressor, which needs much
    // memory itself.
    let (trained, untrained) = match before {
        Before::Random { seed } => {
            let score = |model: Model, progress: &dyn Progress| {
                let context = model.config.max_position_embeddings;
                let scores = kwaya_train::bits_per_byte(&model, held_out, context, pool, progress)?;
                Ok::<_, kwaya_base::Error>((scores, model.config))
            };
            let (trained, config) = score(Model::load(folder)?, progress)?;
            (trained, score(Model::random(config, seed, pool), &OfBefore(progress))?.0)
        }
        Before::Base { source, held_out: before, context, precision } => {
            let score = |source: &Source, text, progress: &dyn Progress| {
                of_source(source, text, context, precision, pool, progress)
            };
            (score(&Source::open(folder)?, held_out, progress)?, score(source, before, &OfBefore(progress))?)
        }
    };
    let packed = compressor::bits_per_byte(texts()?)?;
    let samples = samples(&TextModel::load(folder, pool.threads())?, texts()?)?;
    let extended = matches!(before, Before::Base { held_out: other, .. } if other.hash() != held_out.hash());
    let side_by_side = |score| side_by_side(score, &untrained, &packed, extended);
    Ok(Evaluation { languages: trained.iter().filter_map(side_by_side).collect(), samples })
}

/// A watcher that is told that the model of before is being measured.
struct OfBefore<'a>(&'a dyn Progress);

impl Progress for OfBefore<'_> {
    fn begin(&self, _: &'static str, total: u64, unit: Unit) {
        self.0.begin("train-score-before", total, unit);
    }
    fn at(&self, done: u64) {
        self.0.at(done);
    }
    fn figures(&self, text: &str) {
        self.0.figures(text);
    }
    fn warn(&self, text: &str) {
        self.0.warn(text);
    }
    fn end(&self) {
        self.0.end();
    }
    fn stopped(&self) -> bool {
        self.0.stopped()
    }
}

/// The figures of weights as they lie in their files: in memory there are no
/// more of them than one matrix and the head.
fn of_source(
    source: &Source,
    held_out: &TokenFile,
    context: usize,
    precision: Precision,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Vec<LanguageScore>> {
    let frozen = Frozen::new(source, pool)?;
    // The smallest adapters there are, which change nothing.
    let nothing = Lora { rank: 1, alpha: 1.0, targets: vec![Target::Query], tokens: None };
    let nothing = Adapters::zeros(frozen.architecture(), nothing);
    let network = Network::Adapted(&frozen, &nothing);
    kwaya_train::sampled_bits_per_byte(network, held_out, context, precision, SAMPLED_BYTES, pool, progress)
}

/// All three figures come from the same documents, so each language that one
/// of them knows the others know too. Where the vocabulary was `extended`, the
/// model before had other tokens.
fn side_by_side(
    trained: &LanguageScore,
    untrained: &[LanguageScore],
    packed: &[compressor::Packed],
    extended: bool,
) -> Option<Score> {
    let untrained = untrained.iter().find(|s| s.language == trained.language)?;
    let packed = packed.iter().find(|p| p.language == trained.language)?;
    let tokens_per_byte = |score: &LanguageScore| score.tokens as f64 / score.bytes.max(1) as f64;
    Some(Score {
        language: trained.language.clone(),
        documents: trained.documents,
        bytes: trained.bytes,
        trained: trained.bits_per_byte,
        untrained: untrained.bits_per_byte,
        compressor: packed.bits_per_byte,
        tokens_per_byte: tokens_per_byte(trained),
        base_tokens_per_byte: extended.then(|| tokens_per_byte(untrained)),
    })
}

fn samples(model: &TextModel, texts: impl Iterator<Item = Result<tokenizer::Text>>) -> Result<Vec<Sample>> {
    let mut samples = vec![Sample { language: String::new(), prompt: String::new(), text: String::new() }];
    let mut chats = vec![false];
    for document in texts {
        let document = document?;
        if document.held_out && !samples.iter().any(|s| s.language == document.language) {
            let question = document.messages.as_ref().and_then(|m| m.iter().find(|m| m.role == "user"));
            chats.push(question.is_some());
            let prompt = question.map_or_else(|| opening(&document.text), |question| question.content.clone());
            samples.push(Sample { language: document.language, prompt, text: String::new() });
        }
    }
    let options = Options {
        sampler: SamplerOptions { temperature: 0.8, top_k: 40, ..SamplerOptions::default() },
        tokens_max: SAMPLE_TOKENS,
        form: None,
    };
    for (sample, chat) in samples.iter_mut().zip(chats) {
        let mut written = String::new();
        let listen = |piece: &str| {
            written.push_str(piece);
            true
        };
        if chat {
            model.answer(&mut model.conversations(), &[Message::new("user", &sample.prompt)], &options, listen)?;
            sample.text = format!("\n{written}");
        } else {
            model.generate(&sample.prompt, &options, listen)?;
            sample.text = written;
        }
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
