//! The tokenizer: byte-level byte-pair encoding (Sennrich et al. 2016,
//! Radford et al. 2019), trained on the corpus by the `tokenizers` library,
//! and the corpus turned into token files.
//!
//! A token file is a safetensors file:
//!
//! ```text
//! tokens             U16 or U32 (tokens)     each document's tokens, then one end-of-text
//! loss_mask          U8  (tokens)            1 for tokens to be predicted; where there are chats
//! document_ends      U64 (documents)         index after each document's end-of-text
//! document_opening   U32 (documents)         the token that each is read after; where that is not end-of-text
//! document_bytes     U32 (documents)         bytes of each document's UTF-8 text, of a chat those of its answers
//! document_language  U8  (documents)         index into the metadata "languages"
//! metadata           vocab_size, end_of_text, languages (comma-separated tags)
//! ```

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Seek, SeekFrom, Write},
    path::Path,
};

use crate::chat::Message;
pub use crate::extend::{Extended, extend};
use kwaya_base::{Error, Progress, Result, Unit, error::At, files};
use serde::{Deserialize, Serialize};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer, TokenizerImpl,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::byte_level::ByteLevel,
};

/// The token that ends a document, and begins a text to be made.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// Text that the tokenizer is trained on, at most: more changes little and
/// memory has to stay bounded.
const TRAINING_BYTES_MAX: u64 = 64 << 20;

/// Text encoded at once: the library keeps about 50 bytes for each of it.
const BATCH_BYTES: usize = 512 << 10;

/// The header of a token file is written last, into room kept for it.
const HEADER_BYTES: usize = 8 << 10;

/// A document as the tokenizer needs it.
#[derive(Clone, Debug)]
pub struct Text {
    /// The cleaned text.
    pub text: String,
    /// Its language tag.
    pub language: String,
    /// Whether it is kept out of training.
    pub held_out: bool,
    /// The beginning of the hash of its content, by which an even sample is
    /// taken.
    pub hash: u64,
    /// The messages of a chat; `text` is then all that is said in it.
    pub messages: Option<Vec<Message>>,
}

/// How documents become tokens.
pub struct Words<'a> {
    /// For text that people wrote: what looks like a mark is text.
    pub tokenizer: &'a Tokenizer,
    /// The token that a plain document is read after.
    pub opening: u32,
    /// The token that closes a document.
    pub end: u32,
    /// How a chat becomes tokens.
    pub chat: Option<&'a Encode<'a>>,
}

/// Makes tokens of a chat.
pub type Encode<'a> = dyn Fn(&[Message]) -> Result<Turns> + 'a;

/// A chat as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// All of them.
    pub tokens: Vec<u32>,
    /// Which of them the model is to say.
    pub answers: Vec<bool>,
    /// The bytes of what it is to say.
    pub answer_bytes: u64,
}

/// What tokens cost in one language, in one split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Documents.
    pub documents: u64,
    /// Bytes of UTF-8 text.
    pub bytes: u64,
    /// Tokens, without the end-of-text ones.
    pub tokens: u64,
}

/// The figures of a tokenized corpus, by language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenStats {
    /// What the model is trained on.
    pub training: BTreeMap<String, Count>,
    /// What it is measured on.
    pub held_out: BTreeMap<String, Count>,
}

impl TokenStats {
    /// Tokens of the training split, end-of-text ones included.
    pub fn training_tokens(&self) -> u64 {
        self.training.values().map(|c| c.tokens + c.documents).sum()
    }
}

fn library(path: &Path) -> impl Fn(tokenizers::Error) -> Error {
    move |cause| Error::new("tokenizer-failed").path(path).arg("cause", cause)
}

/// Trains a tokenizer of at most `vocabulary` tokens on the training
/// documents, in their order, and writes it to `out` as `tokenizer.json`.
/// `bytes` is how much text there is in all. Gives the real size, which is
/// smaller when the corpus has too few different pairs.
///
/// # Errors
/// What the documents or the file bring.
pub fn train(
    documents: impl Iterator<Item = Result<Text>> + Send,
    bytes: u64,
    vocabulary: usize,
    out: &Path,
    progress: &dyn Progress,
) -> Result<usize> {
    let mut tokenizer: TokenizerImpl<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    > = TokenizerImpl::new(BPE::default());
    let byte_level = ByteLevel::new(false, true, true);
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::ByteLevel(byte_level)));
    tokenizer.with_decoder(Some(DecoderWrapper::ByteLevel(byte_level)));
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocabulary)
        .min_frequency(2)
        .special_tokens(vec![AddedToken::from(END_OF_TEXT, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();

    progress.begin("stage-tokenizer", bytes, Unit::Bytes);
    let mut failure = None;
    let mut done = 0;
    let texts = documents
        .map_while(|document| document.map_err(|error| failure = Some(error)).ok())
        .inspect(|document| {
            done += document.text.len() as u64;
            progress.at(done);
        })
        .filter(|document| !document.held_out && sampled(document.hash, bytes))
        .map(|document| document.text);
    tokenizer.train(&mut trainer, texts).map_err(library(out))?;
    if let Some(error) = failure {
        return Err(error);
    }
    progress.end();
    let json = tokenizer.to_string(false).map_err(library(out))?;
    files::write(out, json.as_bytes())?;
    Ok(tokenizer.get_vocab_size(true))
}

/// Whether a document is in the even sample that keeps memory bounded.
pub(crate) fn sampled(hash: u64, bytes: u64) -> bool {
    u128::from(hash) * u128::from(bytes.max(1)) <= u128::from(u64::MAX) * u128::from(TRAINING_BYTES_MAX)
}

/// Opens a `tokenizer.json` for text that people wrote: what looks like a
/// special token in a text is text.
///
/// # Errors
/// When it cannot be read or is no tokenizer.
pub fn open(path: &Path) -> Result<Tokenizer> {
    let json = std::fs::read(path).at(path)?;
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(library(path))?;
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

/// The tokenizer without what its file may say of the length of texts:
/// documents are neither cut off nor filled up.
fn whole(tokenizer: &Tokenizer) -> tokenizers::Result<Cow<'_, Tokenizer>> {
    if tokenizer.get_truncation().is_none() && tokenizer.get_padding().is_none() {
        return Ok(Cow::Borrowed(tokenizer));
    }
    let mut tokenizer = tokenizer.clone();
    tokenizer.with_truncation(None)?;
    tokenizer.with_padding(None);
    Ok(Cow::Owned(tokenizer))
}

/// Turns the documents into the token files `training` and `held_out`, in
/// their order. `languages` are the tags that may occur, at most 256.
///
/// # Errors
/// `chat-without-template` for a chat where `words` does not say how one is
/// written; what the documents, the tokenizer or the files bring.
pub fn tokenize(
    documents: impl Iterator<Item = Result<Text>>,
    bytes: u64,
    languages: &[String],
    words: &Words<'_>,
    training: &Path,
    held_out: &Path,
    progress: &dyn Progress,
) -> Result<TokenStats> {
    let Words { opening, end, .. } = *words;
    let failed = |cause| Error::new("prompt-failed").arg("cause", cause);
    let tokenizer = whole(words.tokenizer).map_err(failed)?;
    let vocabulary = vocabulary(&tokenizer);
    let mut stats = TokenStats::default();
    progress.begin("stage-tokenize", bytes, Unit::Bytes);
    let mut done = 0;
    files::write_with(training, |training| {
        let mut training = Writer::new(training, vocabulary, end, languages)?;
        files::write_with(held_out, |held_out| {
            let mut held_out = Writer::new(held_out, vocabulary, end, languages)?;
            let mut documents = documents.peekable();
            while documents.peek().is_some() {
                let mut batch = Vec::new();
                let mut size = 0;
                while size < BATCH_BYTES {
                    let Some(document) = documents.next().transpose()? else { break };
                    size += document.text.len();
                    batch.push(document);
                }
                if progress.stopped() {
                    return Err(Error::new("interrupted"));
                }
                let plain = batch.iter().filter(|document| document.messages.is_none());
                let texts: Vec<&str> = plain.map(|document| document.text.as_str()).collect();
                let mut encodings = tokenizer.encode_batch_fast(texts, false).map_err(failed)?.into_iter();
                for document in &batch {
                    let tokens = match &document.messages {
                        Some(messages) => Tokens::of_chat(words, messages)?,
                        None => {
                            let encoding = encodings.next().expect("an encoding for each text");
                            let (ids, bytes) = (encoding.get_ids().to_vec(), document.text.len() as u64);
                            Tokens { opening, counted: ids.len() as u64, mask: None, ids, bytes }
                        }
                    };
                    let split = if document.held_out {
                        held_out.document(&tokens, &document.language)?;
                        &mut stats.held_out
                    } else {
                        training.document(&tokens, &document.language)?;
                        &mut stats.training
                    };
                    let count = split.entry(document.language.clone()).or_default();
                    count.documents += 1;
                    count.bytes += tokens.bytes;
                    count.tokens += tokens.counted;
                }
                done += size as u64;
                progress.at(done);
            }
            held_out.finish()
        })?;
        training.finish()
    })?;
    progress.end();
    Ok(stats)
}

/// Writes lessons that are tokens already as a token file, in their order: each
/// is a document, and closes with `end`.
///
/// # Errors
/// The first that is among the lessons, and what the file brings.
pub fn write(
    out: &Path,
    tokenizer: &Tokenizer,
    end: u32,
    lessons: impl IntoIterator<Item = Result<Turns>>,
) -> Result<()> {
    let languages = [UNKNOWN.to_owned()];
    files::write_with(out, |file| {
        let mut writer = Writer::new(file, vocabulary(tokenizer), end, &languages)?;
        for lesson in lessons {
            writer.document(&Tokens::of_turns(lesson?, end), UNKNOWN)?;
        }
        writer.finish()
    })
}

/// The tag of a language that nobody has said.
const UNKNOWN: &str = "und";

/// Tokens up to the last: not how many there are, as some vocabularies have
/// gaps.
fn vocabulary(tokenizer: &Tokenizer) -> usize {
    tokenizer.get_vocab(true).into_values().max().map_or(0, |last| last as usize + 1)
}

/// A document as it stands in a token file, without its end.
struct Tokens {
    opening: u32,
    ids: Vec<u32>,
    /// Which of them are to be predicted; without, all are, and the end too.
    mask: Option<Vec<bool>>,
    /// How many are to be predicted, without the end.
    counted: u64,
    /// Bytes of what is to be predicted.
    bytes: u64,
}

impl Tokens {
    /// The first token of a chat is what it is read after.
    fn of_chat(words: &Words<'_>, messages: &[Message]) -> Result<Self> {
        let encode = words.chat.ok_or_else(|| Error::usage("chat-without-template"))?;
        Ok(Self::of_turns(encode(messages)?, words.end))
    }

    fn of_turns(turns: Turns, end: u32) -> Self {
        let Turns { mut tokens, mut answers, answer_bytes } = turns;
        answers.resize(tokens.len(), false);
        let opening = if tokens.is_empty() { end } else { tokens.remove(0) };
        answers.drain(..answers.len().min(1));
        let counted = answers.iter().filter(|counts| **counts).count() as u64;
        Self { opening, ids: tokens, mask: Some(answers), counted, bytes: answer_bytes }
    }
}

/// Writes one token file as the documents come; 17 bytes a document, and where
/// there are chats one for each token, wait in memory for the end.
struct Writer<'f, 'l> {
    file: &'f mut BufWriter<File>,
    wide: bool,
    vocabulary: usize,
    end: u32,
    languages: &'l [String],
    tokens: u64,
    /// Of all tokens, once there is a chat.
    mask: Option<Vec<u8>>,
    ends: Vec<u8>,
    openings: Vec<u8>,
    bytes: Vec<u8>,
    language: Vec<u8>,
}

impl<'f, 'l> Writer<'f, 'l> {
    fn new(file: &'f mut BufWriter<File>, vocabulary: usize, end: u32, languages: &'l [String]) -> Result<Self> {
        let path = Path::new("tokens.safetensors");
        file.write_all(&[b' '; 8 + HEADER_BYTES]).at(path)?;
        let wide = vocabulary > 1 << 16;
        let (ends, openings, bytes, language) = Default::default();
        Ok(Self { file, wide, vocabulary, end, languages, tokens: 0, mask: None, ends, openings, bytes, language })
    }

    fn document(&mut self, tokens: &Tokens, language: &str) -> Result<()> {
        for id in tokens.ids.iter().chain([&self.end]) {
            let id = id.to_le_bytes();
            let width = if self.wide { 4 } else { 2 };
            self.file.write_all(&id[..width]).at(Path::new("tokens.safetensors"))?;
        }
        if tokens.mask.is_some() {
            self.mask.get_or_insert_with(|| vec![1; self.tokens as usize]);
        }
        self.tokens += tokens.ids.len() as u64 + 1;
        if let Some(mask) = &mut self.mask {
            mask.extend(tokens.mask.iter().flatten().map(|counts| u8::from(*counts)));
            // The end of a chat is nothing that the model says.
            mask.resize(self.tokens as usize, u8::from(tokens.mask.is_none()));
        }
        let place = self.languages.iter().position(|l| l == language);
        let place = place.and_then(|l| u8::try_from(l).ok()).ok_or_else(|| {
            Error::new("corpus-damaged")
                .path(Path::new("documents.parquet"))
                .arg("cause", format!("language {language}"))
        })?;
        self.ends.extend(self.tokens.to_le_bytes());
        self.openings.extend(tokens.opening.to_le_bytes());
        self.bytes.extend((tokens.bytes as u32).to_le_bytes());
        self.language.push(place);
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let path = Path::new("tokens.safetensors");
        let documents = self.language.len();
        let mut at = 0;
        let mut tensor = |dtype: &str, count: u64, width: u64| {
            let from = at;
            at += count * width;
            serde_json::json!({ "dtype": dtype, "shape": [count], "data_offsets": [from, at] })
        };
        let (dtype, width) = if self.wide { ("U32", 4) } else { ("U16", 2) };
        let own = self.openings.chunks(4).any(|opening| opening != self.end.to_le_bytes());
        let mut header = serde_json::json!({
            "tokens": tensor(dtype, self.tokens, width),
            "document_ends": tensor("U64", documents as u64, 8),
            "document_bytes": tensor("U32", documents as u64, 4),
            "document_language": tensor("U8", documents as u64, 1),
            "__metadata__": {
                "vocab_size": self.vocabulary.to_string(),
                "end_of_text": self.end.to_string(),
                "languages": self.languages.join(","),
            },
        });
        let (mut more, mask) = (Vec::new(), self.mask.unwrap_or_default());
        if own {
            header["document_opening"] = tensor("U32", documents as u64, 4);
            more.push(&self.openings);
        }
        if !mask.is_empty() {
            header["loss_mask"] = tensor("U8", self.tokens, 1);
            more.push(&mask);
        }
        let header = header.to_string();
        if header.len() > HEADER_BYTES {
            return Err(Error::usage("too-many-languages").arg("count", self.languages.len()));
        }
        for part in [&self.ends, &self.bytes, &self.language].into_iter().chain(more) {
            self.file.write_all(part).at(path)?;
        }
        self.file.seek(SeekFrom::Start(0)).at(path)?;
        self.file.write_all(&(HEADER_BYTES as u64).to_le_bytes()).at(path)?;
        self.file.write_all(header.as_bytes()).at(path)?;
        self.file.seek(SeekFrom::End(0)).at(path)?;
        Ok(())
    }
}
