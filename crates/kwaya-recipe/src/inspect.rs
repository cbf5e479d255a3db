//! What a model is, as its files say: read and checked, but not run.

use std::{collections::BTreeMap, path::Path};

use kwaya_base::Result;
use kwaya_math::{Packed, Pages};
use kwaya_model::{Activations, Architecture, Frozen, Keep, Source};
use serde::Serialize;

use crate::{
    codec::{self, Codec},
    plan,
    recipe::TrainWishes,
};

/// Bytes that full training takes for each weight: the weight, its gradient,
/// and two of the optimiser, in f32.
const FULL_BYTES: u64 = 16;
/// Tokens of a row of fine-tuning, for the estimate.
const ROW: usize = 512;

/// All that is known of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspected {
    /// The name of the family.
    pub family: &'static str,
    /// The number of weights.
    pub parameters: u64,
    /// The number of layers.
    pub layers: usize,
    /// The width of the residual stream.
    pub hidden: usize,
    /// The width of the feed-forward layers.
    pub intermediate: usize,
    /// The number of query heads.
    pub heads: usize,
    /// The number of key and value heads.
    pub kv_heads: usize,
    /// The width of a head.
    pub head_dim: usize,
    /// The number of tokens that the model knows.
    pub vocabulary: usize,
    /// The longest text that the model was made for, in tokens.
    pub context: usize,
    /// How many layers see only the tokens just before, and how many tokens.
    pub windowed: Option<(usize, usize)>,
    /// Whether the output is the embedding table.
    pub tied: bool,
    /// The weights by how they are stored.
    pub formats: BTreeMap<&'static str, Share>,
    /// The tokenizer, where there is one that can be used.
    pub tokenizer: Option<Tokenizer>,
    /// Why the tokenizer cannot be used.
    pub tokenizer_problem: Option<String>,
    /// The licence, where the files state one.
    pub licence: Option<String>,
    /// Bytes that the weights take when the model answers.
    pub answer_bytes: u64,
    /// Bytes that 1,000 tokens of a conversation take.
    pub cache_bytes: u64,
    /// Whether Kwaya can train all weights further, and not adapters alone.
    pub trains: bool,
    /// Bytes that training all weights takes, where Kwaya can; an estimate.
    pub full_bytes: Option<u64>,
    /// The same for the adapters that a recipe gets that says nothing of them.
    pub adapter_bytes: u64,
    /// Each tensor that the model needs.
    pub tensors: Vec<Tensor>,
    /// Tensors that it does not need.
    pub left_out: Vec<String>,
}

/// Some of the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// Matrices and vectors.
    pub tensors: usize,
    /// Weights in them.
    pub weights: u64,
    /// Bytes in the file.
    pub bytes: u64,
}

/// A tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tokenizer {
    /// `gpt2` or `llama`, and how text is cut; none for one that no GGUF file
    /// could describe.
    pub kind: Option<String>,
    /// Its tokens.
    pub tokens: usize,
    /// Whether the model says how a chat is written.
    pub chat_template: bool,
}

/// A matrix or vector of weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tensor {
    /// The name that Hugging Face gives it.
    pub name: String,
    /// Rows, then columns.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub format: &'static str,
    /// Bytes in the file.
    pub bytes: u64,
}

/// Reads what the files at `path` say.
///
/// # Errors
/// What is wrong with the model, naming the file. A tokenizer that cannot be
/// used is no error.
pub fn inspect(path: &Path) -> Result<Inspected> {
    let source = Source::open(path)?;
    let left_out = source.check()?.into_iter().map(str::to_owned).collect();
    let a = source.architecture();
    let (mut tensors, mut formats, mut answer_bytes) = (Vec::new(), BTreeMap::<_, Share>::new(), 0);
    for (name, shape) in a.tensors() {
        let format = source.tensor(&name)?.format;
        let weights: usize = shape.iter().product();
        let bytes = format.bytes(weights).expect("checked: blocks are filled") as u64;
        let share = formats.entry(format.name()).or_default();
        *share =
            Share { tensors: share.tensors + 1, weights: share.weights + weights as u64, bytes: share.bytes + bytes };
        answer_bytes += match shape[..] {
            // Rows of the table are read from the file; of a tied model it is
            // packed as the output as well.
            [_, _] if name.ends_with("embed_tokens.weight") && !a.tied => bytes,
            [rows, cols] => Packed::bytes_of(format, rows, cols),
            _ => 4 * weights as u64,
        };
        tensors.push(Tensor { name, shape, format: format.name(), bytes });
    }
    let (tokenizer, problem) = match tokenizer(&source) {
        Ok(tokenizer) => (Some(tokenizer), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let parameters = a.parameters();
    let windows: Vec<usize> = a.layers.iter().filter_map(|layer| layer.window).collect();
    let row = a.context.min(ROW);
    let full = a.learned_whole().then(|| Activations::bytes(a, 1, row, Keep::Everything));
    let file: u64 = tensors.iter().map(|tensor| tensor.bytes).sum();
    let lora = plan::lora_of(&TrainWishes::default());
    let adapters = Activations::adapted_bytes(a, &lora, 1, row, Keep::Everything) + FULL_BYTES * lora.parameters(a);
    Ok(Inspected {
        family: a.family.name(),
        parameters,
        layers: a.layers.len(),
        hidden: a.hidden,
        intermediate: a.intermediate,
        heads: a.heads,
        kv_heads: a.kv_heads,
        head_dim: a.head_dim,
        vocabulary: a.vocab,
        context: a.context,
        windowed: windows.first().map(|window| (windows.len(), *window)),
        tied: a.tied,
        formats,
        tokenizer,
        tokenizer_problem: problem,
        licence: a.licence.clone(),
        answer_bytes,
        cache_bytes: cache_bytes(a, 1000),
        trains: full.is_some(),
        full_bytes: full.map(|bytes| FULL_BYTES * parameters + bytes),
        // The weights stay in their file.
        adapter_bytes: file + Frozen::bytes(a) + adapters,
        tensors,
        left_out,
    })
}

/// Bytes that keys and values of so many tokens take, in whole pages.
fn cache_bytes(a: &Architecture, tokens: usize) -> u64 {
    let pages = Pages::new(a.layers.len(), a.kv_heads, a.head_dim);
    tokens.div_ceil(kwaya_math::PAGE) as u64 * pages.page_bytes() as u64
}

fn tokenizer(source: &Source) -> Result<Tokenizer> {
    let opened = Codec::open(source)?;
    let vocabulary = match source.gguf() {
        Some(file) => codec::vocabulary_of(file).ok(),
        None => codec::vocabulary_in(source.path(), source.architecture().bos).ok(),
    };
    let kind = vocabulary.map(|v| v.pre.map_or(v.model.clone(), |pre| format!("{}, {pre}", v.model)));
    Ok(Tokenizer { kind, tokens: opened.tokenizer().get_vocab_size(true), chat_template: opened.has_chat_template() })
}
