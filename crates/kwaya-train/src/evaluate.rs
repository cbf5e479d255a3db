//! Figures on text that the model has not seen.

use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_math::Pool;
use kwaya_model::{Activations, IGNORED, Network, Precision, loss};
use serde::{Deserialize, Serialize};

use crate::{
    order::{BatchBuffer, Rows},
    ranks::Ranks,
    step::Stepper,
    tokens::{Document, TokenFile},
    tree,
};

/// While training, the held-out loss is that of at most this many tokens, in
/// rows spread evenly over the file: a look that costs about a step.
pub const SAMPLED_TOKENS: u64 = 1 << 15;

/// The mean loss over a sample of rows, in nats per token; `None` without
/// tokens. The ranks share the work; the sum is in the order of the rows.
pub(crate) fn sampled_loss(
    network: Network<'_>,
    rows: Rows<'_>,
    rows_at_once: usize,
    stepper: &mut Stepper<'_>,
    batch: &mut BatchBuffer,
    ranks: &dyn Ranks,
) -> Option<f32> {
    let count = rows.count();
    let sample = count.min((SAMPLED_TOKENS / rows.length() as u64).max(1));
    let places: Vec<u64> = (0..sample).map(|i| i * count / sample).collect();
    let batches: Vec<&[u64]> = places.chunks(rows_at_once).collect();
    let mut mine = Vec::new();
    for places in &batches[tree::share(batches.len(), ranks.rank(), ranks.size())] {
        batch.fill(&rows, places.iter().copied());
        let batch = batch.batch();
        let nats = stepper.losses(network, &batch).iter().map(|&nats| f64::from(nats)).sum::<f64>();
        let targets = batch.targets.iter().filter(|&&target| target != IGNORED).count() as u64;
        mine.extend(nats.to_bits().to_le_bytes().into_iter().chain(targets.to_le_bytes()));
    }
    let all = ranks.gather(&mine).concat();
    let (mut nats, mut targets) = (0.0, 0);
    for figures in all.chunks_exact(16) {
        let number = |at: usize| u64::from_le_bytes(figures[at..at + 8].try_into().expect("eight bytes"));
        nats += f64::from_bits(number(0));
        targets += number(8);
    }
    (targets > 0).then(|| (nats / targets as f64) as f32)
}

/// How well a model predicts the text of one language.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct LanguageScore {
    /// Its tag.
    pub language: String,
    /// Documents scored.
    pub documents: u64,
    /// Bytes of their texts, in UTF-8.
    pub bytes: u64,
    /// Tokens predicted, end-of-text ones among them: those that the mask of
    /// the file leaves.
    pub tokens: u64,
    /// -ln of the probability of all of them.
    pub nats: f64,
    /// Bits per byte of text: comparable between tokenizers, which nats per
    /// token are not.
    pub bits_per_byte: f64,
}

/// Scores every document of `held_out`, each alone, from its opening to its
/// closing end-of-text, by language. A document longer than
/// `context` is read in windows that overlap by half, and each token is scored
/// once, with at least half a window before it. Tokens that are not to be
/// predicted are read and not scored. Languages without documents are left
/// out.
///
/// # Errors
/// `interrupted` after a stop request; `token-file-unfit` when the file has
/// tokens that the model lacks.
pub fn bits_per_byte<'a>(
    network: impl Into<Network<'a>>,
    held_out: &TokenFile,
    context: usize,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Vec<LanguageScore>> {
    sampled_bits_per_byte(network, held_out, context, Precision::F32, u64::MAX, pool, progress)
}

/// As [`bits_per_byte`], of an even sample of the documents of about
/// `bytes_max` bytes, at least one of each language, with products of
/// `precision`. Two token files of the same documents have the same sample.
///
/// # Errors
/// As [`bits_per_byte`].
pub fn sampled_bits_per_byte<'a>(
    network: impl Into<Network<'a>>,
    held_out: &TokenFile,
    context: usize,
    precision: Precision,
    bytes_max: u64,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Vec<LanguageScore>> {
    let network = network.into();
    if held_out.vocab_size() as usize > network.architecture().vocab {
        return Err(TokenFile::unfit("vocab_size"));
    }
    // No window is longer than a document, whatever the model claims to read.
    let longest = held_out.documents().iter().map(|d| d.tokens.end - d.tokens.start).max().unwrap_or(1);
    let context = context.clamp(1, longest as usize);
    let mut scorer = Scorer {
        network,
        file: held_out,
        context,
        activations: network.forward_only(1, context).with_precision(precision),
        losses: vec![0.0; context],
        batch: BatchBuffer::default(),
        pool,
    };
    let empty = |language: &String| LanguageScore {
        language: language.clone(),
        documents: 0,
        bytes: 0,
        tokens: 0,
        nats: 0.0,
        bits_per_byte: 0.0,
    };
    let mut scores: Vec<LanguageScore> = held_out.languages().iter().map(empty).collect();
    progress.begin("train-score", held_out.tokens(), Unit::Tokens);
    let mut seen = vec![0; scores.len()];
    for document in held_out.documents() {
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        // One in so many, by number: the bytes of some may be 0.
        let number: &mut u64 = &mut seen[usize::from(document.language)];
        let sampled = number.is_multiple_of(held_out.bytes().div_ceil(bytes_max).max(1));
        *number += 1;
        if !sampled {
            continue;
        }
        let score = &mut scores[usize::from(document.language)];
        score.documents += 1;
        score.bytes += u64::from(document.bytes);
        score.tokens += held_out.counted(document.tokens.clone());
        score.nats += scorer.nats(document);
        progress.at(document.tokens.end);
    }
    progress.end();
    scores.retain(|score| score.documents > 0);
    for score in &mut scores {
        score.bits_per_byte = score.nats / std::f64::consts::LN_2 / score.bytes.max(1) as f64;
    }
    Ok(scores)
}

struct Scorer<'a> {
    network: Network<'a>,
    file: &'a TokenFile,
    context: usize,
    activations: Activations,
    losses: Vec<f32>,
    batch: BatchBuffer,
    pool: &'a Pool,
}

impl Scorer<'_> {
    /// The nats of a document.
    fn nats(&mut self, document: &Document) -> f64 {
        let (file, start, end) = (self.file, document.tokens.start, document.tokens.end);
        let (context, stride) = (self.context as u64, (self.context / 2).max(1) as u64);
        let mut nats = 0.0;
        // The first target not scored yet, and where the window begins.
        let (mut next, mut window) = (start, start);
        while next < end {
            let window_end = (window + context).min(end);
            let opening = if window == start { document.opening } else { file.token(window - 1) };
            let tokens = std::iter::once(opening).chain((window..window_end - 1).map(|i| file.token(i)));
            self.batch.fill_whole(1, tokens, (window..window_end).map(|i| file.token(i)));
            let losses = &mut self.losses[..(window_end - window) as usize];
            loss(self.network, &self.batch.batch(), &mut self.activations, losses, self.pool);
            let scored = (next..).zip(&losses[(next - window) as usize..]).filter(|(index, _)| file.counts(*index));
            nats += scored.map(|(_, &nats)| f64::from(nats)).sum::<f64>();
            next = window_end;
            window += stride;
        }
        nats
    }
}

#[cfg(test)]
mod tests {
    use kwaya_base::Silent;
    use kwaya_model::{Config, Model};

    use super::*;
    use crate::tokens::tests::{opened, with};

    /// The losses of one document, read after `opening`, as the model has them.
    fn losses(model: &Model, opening: u32, tokens: &[u32], pool: &Pool) -> Vec<f64> {
        let mut batch = BatchBuffer::default();
        let read = std::iter::once(opening).chain(tokens[..tokens.len() - 1].iter().copied());
        batch.fill_whole(1, read, tokens.iter().copied());
        let mut losses = vec![0.0; tokens.len()];
        let mut activations = Activations::forward_only(model.architecture(), 1, tokens.len());
        loss(model, &batch.batch(), &mut activations, &mut losses, pool);
        losses.into_iter().map(f64::from).collect()
    }

    #[test]
    fn documents_are_scored_after_their_openings_and_where_they_count() {
        let (dir, pool) = (tempfile::tempdir().unwrap(), Pool::new(1));
        let config = Config {
            vocab_size: 9,
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 8,
            initializer_range: 0.5,
            ..Config::default()
        };
        let model = Model::random(config, 4, &pool);
        let score = |file: &TokenFile, context| bits_per_byte(&model, file, context, &pool, &Silent).unwrap();
        let (one, other) = (losses(&model, 7, &[1, 0, 3, 0], &pool), losses(&model, 8, &[4, 0], &pool));

        let documents: [&[u16]; 2] = [&[1, 0, 3], &[4]];
        let file = opened(dir.path(), &documents, &[7, 8]).unwrap();
        let [first, second] = &score(&file, 16)[..] else { panic!("two languages") };
        assert_eq!((first.tokens, first.nats), (4, one.iter().sum()));
        assert_eq!((second.tokens, second.nats), (2, other.iter().sum()));
        let file = with(dir.path(), &documents, Some(&[0, 1, 0, 1, 0, 0]), Some(&[7, 8])).unwrap();
        let [first, second] = &score(&file, 16)[..] else { panic!("two languages") };
        assert_eq!((first.tokens, first.nats), (2, one[1] + one[3]));
        assert_eq!((second.documents, second.tokens, second.nats), (1, 0, 0.0));
        // In windows of two: the last two are read after the second alone.
        let [first, _] = &score(&file, 2)[..] else { panic!("two languages") };
        let last = losses(&model, 0, &[3, 0], &pool);
        assert_eq!((first.tokens, first.nats), (2, one[1] + last[1]));
    }
}
