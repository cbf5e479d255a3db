//! A tokenizer as the metadata of a GGUF file describe it, to and from what
//! the `tokenizers` library runs.
//!
//! Two kinds of byte-pair encoding go by the same name in those files:
//!
//! ```text
//! gpt2    text is cut by regular expressions (`pre` names them), its bytes
//!         become 256 printable characters, and merges join those in order
//! llama   spaces become "▁", characters that have no token become bytes, and
//!         the pair joins first whose token has the highest score
//! ```
//!
//! The ids are those of llama.cpp, but for two things. Where llama.cpp only
//! comes near the regular expressions that a model was trained with (tekken,
//! gpt-4o: capitals and accents outside ASCII), the model's own are used. And
//! text that spells a control token never joins to that token, as in
//! SentencePiece.

mod cuts;
mod json;

use std::collections::{HashMap, HashSet};

use kwaya_base::{Error, Result};
use serde::{Deserialize, Serialize};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer,
    decoders::{byte_fallback::ByteFallback, fuse::Fuse, sequence::Sequence as Decoders, strip::Strip},
    models::bpe::{BPE, Vocab},
    normalizers::{Prepend, Replace, Sequence as Normalizers},
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence as PreTokenizers,
        split::{Split, SplitPattern},
    },
    processors::template::{SpecialToken, TemplateProcessing},
};

use self::cuts::Cut;

/// How SentencePiece writes a space.
const SPACE: &str = "▁";

/// Tokens at the most; the largest vocabularies have 262,144.
pub(crate) const TOKENS_MAX: usize = 1 << 20;

/// Bytes of one token at the most: its halves are all looked up.
const TOKEN_BYTES_MAX: usize = 1 << 10;

/// Bytes of all tokens at the most.
const BYTES_MAX: usize = 32 << 20;

/// Merges at the most; Gemma has half a million.
const MERGES_MAX: usize = 1 << 22;

/// What a token is, as GGUF numbers it.
pub mod kind {
    /// A piece of text.
    pub const NORMAL: i32 = 1;
    /// What stands for text that has no token.
    pub const UNKNOWN: i32 = 2;
    /// A mark that is no text, such as the end of a turn.
    pub const CONTROL: i32 = 3;
    /// Text that is always one token.
    pub const USER_DEFINED: i32 = 4;
    /// An id that stands for nothing.
    pub const UNUSED: i32 = 5;
    /// One byte, written `<0x0A>`.
    pub const BYTE: i32 = 6;
}

/// What `tokenizer.ggml.*` and `tokenizer.chat_template` say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vocabulary {
    /// `gpt2` or `llama`.
    pub model: String,
    /// The name of the regular expressions that cut text; `gpt2` alone.
    pub pre: Option<String>,
    /// The tokens, by id.
    pub tokens: Vec<String>,
    /// The scores of the tokens; `llama` alone.
    pub scores: Option<Vec<f32>>,
    /// What each token is, see [`kind`].
    pub kinds: Option<Vec<i32>>,
    /// The merges in order, each two tokens with a space between; `gpt2`
    /// alone.
    pub merges: Option<Vec<String>>,
    /// The token that begins a text.
    pub bos: Option<u32>,
    /// The token that ends a text.
    pub eos: Option<u32>,
    /// The token that stands for text that has none.
    pub unknown: Option<u32>,
    /// The token that fills up a batch.
    pub padding: Option<u32>,
    /// Whether a text gets `bos` before it. Unsaid, `llama` and some `pre`
    /// mean yes.
    pub add_bos: Option<bool>,
    /// Whether a text gets `eos` after it. Unsaid means no.
    pub add_eos: Option<bool>,
    /// Whether a text gets a space before it; `llama` alone. Unsaid means
    /// yes.
    pub add_space_prefix: Option<bool>,
    /// The template that makes one text of a chat.
    pub chat_template: Option<String>,
}

/// A cause that quotes a file is cut off, since that may be long.
fn wrong(field: &'static str, cause: impl std::fmt::Display) -> Error {
    let cause: String = cause.to_string().chars().take(200).collect();
    Error::new("vocabulary-wrong").arg("field", field).arg("cause", cause)
}

fn library(cause: tokenizers::Error) -> Error {
    wrong("tokens", cause)
}

impl Vocabulary {
    /// What a `tokenizer.json` of the Hugging Face kind, and the
    /// `tokenizer_config.json` beside it, come to in a GGUF file.
    ///
    /// llama.cpp recognises `pre` by the ids of one long text; here it is
    /// recognised by the steps of the pre-tokenizer. Normalisation to NFC,
    /// which some have, is left out, since a GGUF file cannot say it. A
    /// template in a file of its own (`chat_template.jinja`) is for the caller
    /// to put in.
    ///
    /// # Errors
    /// When a file is damaged or says what a GGUF file cannot.
    pub fn of(tokenizer_json: &[u8], tokenizer_config: Option<&[u8]>) -> Result<Self> {
        let vocabulary = json::read(tokenizer_json, tokenizer_config)?;
        vocabulary.check()?;
        Ok(vocabulary)
    }

    /// Adds tokens that stand for nothing until there are `size`, for a model
    /// whose embedding has more rows than its tokenizer has tokens.
    ///
    /// # Errors
    /// When there are more tokens than that already.
    pub fn pad(&mut self, size: usize) -> Result<()> {
        if size < self.tokens.len() || size > TOKENS_MAX {
            return Err(wrong("tokens", format!("{} tokens in a model of {size}", self.tokens.len())));
        }
        let before = self.tokens.len();
        self.tokens.extend((before..size).map(|id| format!("[PAD{id}]")));
        self.kinds.get_or_insert_with(|| vec![kind::NORMAL; before]).resize(size, kind::UNUSED);
        if let Some(scores) = &mut self.scores {
            scores.resize(size, -(size as f32));
        }
        Ok(())
    }

    /// Whether a text gets the token `bos` before it, said or unsaid.
    pub fn begins_with_bos(&self) -> bool {
        let unsaid = self.model == "llama" || self.cut().is_ok_and(|cut| cut.add_bos);
        self.add_bos.unwrap_or(self.bos.is_some() && unsaid)
    }

    /// The tokenizer. It finds control tokens in text unless
    /// `set_encode_special_tokens` tells it not to, and adds `bos` and `eos`
    /// when asked to add special tokens.
    ///
    /// Where two different tokens have the same score and overlap, llama.cpp
    /// joins the one to the left, and this the one with the lower id.
    ///
    /// # Errors
    /// Naming the field that is missing or wrong.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let ids = self.check()?;
        let mut tokenizer = if self.model == "gpt2" { self.byte_level(&ids)? } else { self.sentence_piece(&ids)? };
        let added = self.tokens.iter().enumerate().filter_map(|(id, token)| {
            let special = match self.kind(id) {
                kind::CONTROL | kind::UNKNOWN => true,
                kind::USER_DEFINED => false,
                _ => return None,
            };
            Some(AddedToken::from(token.clone(), special).normalized(false))
        });
        tokenizer.add_tokens(added).map_err(library)?;
        self.add_marks(&mut tokenizer)?;
        Ok(tokenizer)
    }

    fn kind(&self, id: usize) -> i32 {
        self.kinds.as_ref().and_then(|kinds| kinds.get(id).copied()).unwrap_or(kind::NORMAL)
    }

    fn cut(&self) -> Result<&'static Cut> {
        let name = self.pre.as_deref().unwrap_or("default");
        Cut::named(name).ok_or_else(|| Error::new("vocabulary-pre").arg("name", name).arg("known", Cut::names()))
    }

    /// Says what is wrong before anything is built of it, and gives the ids
    /// of the tokens.
    fn check(&self) -> Result<HashMap<&str, u32>> {
        if !["gpt2", "llama"].contains(&self.model.as_str()) {
            return Err(wrong("model", format!("{:?}", self.model)));
        }
        let size = self.tokens.len();
        if size == 0 || size > TOKENS_MAX || self.tokens.iter().map(String::len).sum::<usize>() > BYTES_MAX {
            return Err(wrong("tokens", format!("{size} tokens")));
        }
        let mut ids = HashMap::with_capacity(size);
        for (id, token) in self.tokens.iter().enumerate() {
            if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
                return Err(wrong("tokens", format!("token {id} has {} bytes", token.len())));
            }
            if let Some(first) = ids.insert(token.as_str(), id as u32) {
                return Err(wrong("tokens", format!("tokens {first} and {id} are the same")));
            }
        }
        if let Some(kinds) = &self.kinds {
            if kinds.len() != size {
                return Err(wrong("token_type", format!("{} for {size} tokens", kinds.len())));
            }
            if let Some(kind) = kinds.iter().find(|kind| !(0..=kind::BYTE).contains(*kind)) {
                return Err(wrong("token_type", kind));
            }
        }
        if let Some(scores) = &self.scores
            && (scores.len() != size || scores.iter().any(|score| score.is_nan()))
        {
            return Err(wrong("scores", format!("{} for {size} tokens", scores.len())));
        }
        let named = [
            ("bos_token_id", self.bos),
            ("eos_token_id", self.eos),
            ("unknown_token_id", self.unknown),
            ("padding_token_id", self.padding),
        ];
        for (field, id) in named {
            if let Some(id) = id.filter(|&id| id as usize >= size) {
                return Err(wrong(field, format!("{id} of {size} tokens")));
            }
        }
        for (field, add, id) in [("add_bos_token", self.add_bos, self.bos), ("add_eos_token", self.add_eos, self.eos)] {
            if add == Some(true) && id.is_none() {
                return Err(wrong(field, "there is no such token"));
            }
        }
        Ok(ids)
    }

    fn byte_level(&self, ids: &HashMap<&str, u32>) -> Result<Tokenizer> {
        let cut = self.cut()?;
        let merges = self.merges.as_ref().ok_or_else(|| wrong("merges", "there are none"))?;
        if merges.len() > MERGES_MAX {
            return Err(wrong("merges", merges.len()));
        }
        let mut seen = HashSet::with_capacity(merges.len());
        let mut pairs = Vec::with_capacity(merges.len());
        let mut whole = String::new();
        for merge in merges {
            // The first token may begin with a space, as llama.cpp has it.
            let space = merge.char_indices().skip(1).find(|&(_, character)| character == ' ');
            let pair = space.map(|(at, _)| (&merge[..at], &merge[at + 1..])).filter(|(left, right)| {
                whole.clear();
                whole.push_str(left);
                whole.push_str(right);
                [left, right, whole.as_str()].iter().all(|token| ids.contains_key(token))
            });
            let pair = pair.ok_or_else(|| wrong("merges", format!("{merge:?}")))?;
            // Of two equal ones the first counts.
            if seen.insert(pair) {
                pairs.push((pair.0.to_owned(), pair.1.to_owned()));
            }
        }
        let model = BPE::builder()
            .vocab_and_merges(self.vocab(), pairs)
            .ignore_merges(cut.whole_words)
            .build()
            .map_err(library)?;
        let mut steps = Vec::new();
        for pattern in cut.by {
            let pattern = SplitPattern::Regex((*pattern).to_owned());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(library)?;
            steps.push(PreTokenizerWrapper::Split(split));
        }
        let bytes = ByteLevel::new(false, true, false);
        steps.push(PreTokenizerWrapper::ByteLevel(bytes));
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_pre_tokenizer(Some(PreTokenizers::new(steps)));
        tokenizer.with_decoder(Some(bytes));
        Ok(tokenizer)
    }

    fn sentence_piece(&self, ids: &HashMap<&str, u32>) -> Result<Tokenizer> {
        let merges = self.merges_of_scores(ids)?;
        let owned = |(left, right): (&str, &str)| (left.to_owned(), right.to_owned());
        let mut model = BPE::builder()
            .vocab_and_merges(self.vocab(), merges.into_iter().map(owned).collect::<Vec<_>>())
            .byte_fallback(true)
            .fuse_unk(true);
        if let Some(unknown) = self.unknown {
            model = model.unk_token(self.tokens[unknown as usize].clone());
        }
        let prefix = self.add_space_prefix.unwrap_or(true);
        let mut normalizers = Vec::new();
        let mut decoders = vec![
            DecoderWrapper::Replace(Replace::new(SPACE, " ").map_err(library)?),
            DecoderWrapper::ByteFallback(ByteFallback::new()),
            DecoderWrapper::Fuse(Fuse::new()),
        ];
        if prefix {
            normalizers.push(NormalizerWrapper::Prepend(Prepend::new(SPACE.to_owned())));
            decoders.push(DecoderWrapper::Strip(Strip::new(' ', 1, 0)));
        }
        normalizers.push(NormalizerWrapper::Replace(Replace::new(" ", SPACE).map_err(library)?));
        let mut tokenizer = Tokenizer::new(model.build().map_err(library)?);
        tokenizer.with_normalizer(Some(Normalizers::new(normalizers))).map_err(library)?;
        tokenizer.with_decoder(Some(Decoders::new(decoders)));
        Ok(tokenizer)
    }

    fn vocab(&self) -> Vocab {
        self.tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect()
    }

    /// The merges that scores come to: every way in which two tokens make a
    /// third, the third with the highest score first.
    fn merges_of_scores<'v>(&'v self, ids: &HashMap<&'v str, u32>) -> Result<Vec<(&'v str, &'v str)>> {
        let scores = self.scores.as_ref().ok_or_else(|| wrong("scores", "there are none"))?;
        let text = |id: usize| ![kind::UNKNOWN, kind::CONTROL, kind::BYTE].contains(&self.kind(id));
        let is_text = |token: &str| ids.get(token).is_some_and(|&id| text(id as usize));
        let mut order: Vec<usize> = (0..self.tokens.len()).filter(|&id| text(id)).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut merges = Vec::new();
        for id in order {
            let token = self.tokens[id].as_str();
            let first = merges.len();
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if is_text(left) && is_text(right) {
                    merges.push((left, right));
                }
            }
            // All have the same score, so where two overlap (in "ab" "a" "ba"
            // there is "aba" twice) the left one has to come first: the one
            // whose second part begins the token too.
            merges[first..].sort_by_key(|(left, right)| !token.starts_with(right) || token.ends_with(left));
            if merges.len() > MERGES_MAX {
                return Err(wrong("tokens", format!("more than {MERGES_MAX} merges")));
            }
        }
        Ok(merges)
    }

    /// Has `bos` and `eos` put around a text.
    fn add_marks(&self, tokenizer: &mut Tokenizer) -> Result<()> {
        let bos = self.bos.filter(|_| self.begins_with_bos());
        let eos = self.eos.filter(|_| self.add_eos == Some(true));
        let mut marks = Vec::new();
        for (name, id) in [("BOS", bos), ("EOS", eos)] {
            if let Some(id) = id {
                let token = self.tokens[id as usize].clone();
                marks.push(SpecialToken::new(name.to_owned(), vec![id], vec![token]).map_err(library)?);
            }
        }
        let around = match (bos, eos) {
            (None, None) => return Ok(()),
            (Some(_), None) => "BOS $A",
            (None, Some(_)) => "$A EOS",
            (Some(_), Some(_)) => "BOS $A EOS",
        };
        let processor = TemplateProcessing::builder()
            .try_single(around)
            .map_err(|cause| wrong("add_bos_token", cause))?
            .special_tokens(marks)
            .build()
            .map_err(|cause| wrong("add_bos_token", cause))?;
        tokenizer.with_post_processor(Some(processor));
        Ok(())
    }
}
