//! New tokens for the tokenizer of a base: byte-pair encoding (Sennrich et al.
//! 2016) goes on where the base's training ended, on another corpus.
//!
//! Text is cut and joined as the base does it, and the pair of neighbouring
//! tokens that is most frequent becomes a token, again and again. The new
//! merges come after all of the base's, so a text is first made of the base's
//! tokens and these are then joined: what has no new tokens stays as it was,
//! and each new token is a row of old ones, its pieces.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet},
};

use kwaya_base::{Error, Progress, Result, Unit};
use serde_json::{Value, json};
use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer,
};

use crate::tokenizer::{Text, sampled};

/// How SentencePiece writes a space.
const SPACE: char = '▁';

/// A new token is no longer than this.
const TOKEN_BYTES_MAX: usize = 64;

/// A pair that is seen less often is chance.
const SEEN_MIN: u64 = 2;

/// A tokenizer with tokens more than its base.
#[derive(Clone, Debug)]
pub struct Extended {
    /// Its `tokenizer.json`.
    pub json: Vec<u8>,
    /// The number of the first new token; the others follow.
    pub first: u32,
    /// For each new token, those of the base that it was made of, in order.
    pub pieces: Vec<Vec<u32>>,
}

/// Learns up to `count` tokens from the training documents, in addition to
/// those of the tokenizer in `base`, the content of a `tokenizer.json`.
/// `bytes` is how much text there is in all. The same documents give the same
/// tokens, on any number of threads.
///
/// # Errors
/// `vocabulary-extend` for a base that is no byte-pair encoding;
/// `vocabulary-wrong` for a damaged one; what the documents bring;
/// `interrupted`.
pub fn extend(
    documents: impl Iterator<Item = Result<Text>>,
    bytes: u64,
    base: &[u8],
    count: usize,
    progress: &dyn Progress,
) -> Result<Extended> {
    let wrong = |cause: &dyn std::fmt::Display| {
        let cause: String = cause.to_string().chars().take(200).collect();
        Error::new("vocabulary-wrong").arg("field", "tokenizer.json").arg("cause", cause)
    };
    let mut json: Value = serde_json::from_slice(base).map_err(|cause| wrong(&cause))?;
    let kind = json["model"]["type"].as_str().unwrap_or("BPE").to_owned();
    if kind != "BPE" || !json["model"]["merges"].is_array() {
        return Err(Error::usage("vocabulary-extend").arg("kind", kind));
    }
    let mut tokenizer = Tokenizer::from_bytes(base).map_err(|cause| wrong(&cause))?;
    tokenizer.set_encode_special_tokens(true);
    let mut words = Words::new(&tokenizer)?;
    progress.begin("stage-tokenizer", bytes, Unit::Bytes);
    let mut done = 0;
    for document in documents {
        let document = document?;
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        if !document.held_out && sampled(document.hash, bytes) {
            words.add(&document.text).map_err(|cause| wrong(&cause))?;
        }
        done += document.text.len() as u64;
        progress.at(done);
    }
    let mut pairs = Pairs::new(&tokenizer, words.counts).map_err(|cause| wrong(&cause))?;
    let first = pairs.texts.keys().max().map_or(0, |last| last + 1);
    pairs.join(first, count);
    progress.end();
    let Pairs { merges, pieces, .. } = pairs;
    let new: Vec<String> = merges.iter().map(|(left, right)| format!("{left}{right}")).collect();
    write(&mut json, first, &new, &merges)?;
    let json = serde_json::to_vec(&json).map_err(|cause| wrong(&cause))?;
    let pieces = (0..new.len() as u32).map(|i| pieces[&(first + i)].clone()).collect();
    Ok(Extended { json, first, pieces })
}

/// The words of a corpus, cut as the base cuts them.
struct Words<'a> {
    tokenizer: &'a Tokenizer,
    /// How often each occurs. In order, so that nothing depends on hashes.
    counts: BTreeMap<String, u64>,
}

impl<'a> Words<'a> {
    fn new(tokenizer: &'a Tokenizer) -> Result<Self> {
        Ok(Self { tokenizer, counts: BTreeMap::new() })
    }

    fn add(&mut self, text: &str) -> tokenizers::Result<()> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = self.tokenizer.get_normalizer() {
            normalizer.normalize(&mut normalized)?;
        }
        let mut cut = PreTokenizedString::from(normalized);
        if let Some(pre_tokenizer) = self.tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut cut)?;
        }
        for (piece, _, _) in cut.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            // SentencePiece joins across nothing but spaces, which begin words.
            let mut word = String::new();
            for character in piece.chars() {
                if (character == SPACE && !word.is_empty() && !word.ends_with(SPACE)) || character == '\n' {
                    self.count(&word);
                    word.clear();
                }
                word.push(character);
            }
            self.count(&word);
        }
        Ok(())
    }

    fn count(&mut self, word: &str) {
        match self.counts.get_mut(word) {
            Some(count) => *count += 1,
            None if word.is_empty() => {}
            None => {
                self.counts.insert(word.to_owned(), 1);
            }
        }
    }
}

type Pair = (u32, u32);

/// Words as tokens, and how often each pair of neighbours occurs.
struct Pairs {
    /// The tokens of each word, and how often it occurs.
    words: Vec<(Vec<u32>, u64)>,
    counts: HashMap<Pair, u64>,
    /// The words that a pair occurs in, or once did.
    places: HashMap<Pair, BTreeSet<usize>>,
    /// The most frequent pair, and of those the first.
    heap: BinaryHeap<(u64, Reverse<Pair>)>,
    /// The text of every token.
    texts: HashMap<u32, String>,
    /// Texts that are tokens already.
    known: HashSet<String>,
    /// What each new token was joined from.
    merges: Vec<(String, String)>,
    pieces: HashMap<u32, Vec<u32>>,
}

impl Pairs {
    fn new(tokenizer: &Tokenizer, counted: BTreeMap<String, u64>) -> tokenizers::Result<Self> {
        let texts: HashMap<u32, String> =
            tokenizer.get_vocab(true).into_iter().map(|(text, token)| (token, text)).collect();
        let known = texts.values().cloned().collect();
        let mut words = Vec::with_capacity(counted.len());
        for (word, count) in counted {
            let tokens = tokenizer.get_model().tokenize(&word)?;
            words.push((tokens.iter().map(|token| token.id).collect::<Vec<u32>>(), count));
        }
        let mut pairs = Self {
            words,
            counts: HashMap::new(),
            places: HashMap::new(),
            heap: BinaryHeap::new(),
            texts,
            known,
            merges: Vec::new(),
            pieces: HashMap::new(),
        };
        for place in 0..pairs.words.len() {
            let (tokens, count) = &pairs.words[place];
            for pair in tokens.windows(2) {
                let pair = (pair[0], pair[1]);
                *pairs.counts.entry(pair).or_default() += count;
                pairs.places.entry(pair).or_default().insert(place);
            }
        }
        pairs.heap = pairs.counts.iter().map(|(pair, count)| (*count, Reverse(*pair))).collect();
        Ok(pairs)
    }

    /// Makes up to `count` tokens, from the number `first` on.
    fn join(&mut self, first: u32, count: usize) {
        while self.merges.len() < count {
            let Some((seen, Reverse(pair))) = self.heap.pop() else { return };
            let now = self.counts.get(&pair).copied().unwrap_or(0);
            if now != seen {
                // Others were joined meanwhile: it comes again in its place.
                if now > 0 {
                    self.heap.push((now, Reverse(pair)));
                }
                continue;
            }
            if now < SEEN_MIN {
                return;
            }
            let Some((left, right)) = self.joinable(pair) else { continue };
            let token = first + self.merges.len() as u32;
            let text = format!("{left}{right}");
            let pieces = [pair.0, pair.1].map(|part| self.pieces.get(&part).cloned().unwrap_or_else(|| vec![part]));
            self.pieces.insert(token, pieces.concat());
            self.known.insert(text.clone());
            self.texts.insert(token, text);
            self.merges.push((left, right));
            self.replace(pair, token);
        }
    }

    /// The texts of a pair, if they may become one.
    fn joinable(&self, (left, right): Pair) -> Option<(String, String)> {
        let (left, right) = (self.texts.get(&left)?, self.texts.get(&right)?);
        // `<0x0A>` stands for a byte, and not for its own text.
        let byte = |text: &str| text.len() == 6 && text.starts_with("<0x") && text.ends_with('>');
        let whole = format!("{left}{right}");
        let fits = whole.len() <= TOKEN_BYTES_MAX && !byte(left) && !byte(right) && !self.known.contains(&whole);
        fits.then(|| (left.clone(), right.clone()))
    }

    /// Puts `token` where the pair is.
    fn replace(&mut self, pair: Pair, token: u32) {
        let mut changed: BTreeSet<Pair> = BTreeSet::new();
        for place in self.places.remove(&pair).unwrap_or_default() {
            let (tokens, count) = &mut self.words[place];
            let count = *count;
            for old in tokens.windows(2) {
                let old = (old[0], old[1]);
                if let Some(seen) = self.counts.get_mut(&old) {
                    *seen -= count;
                }
                changed.insert(old);
            }
            let mut joined = Vec::with_capacity(tokens.len());
            let mut at = 0;
            while at < tokens.len() {
                let here = tokens.get(at + 1).is_some_and(|&next| (tokens[at], next) == pair);
                joined.push(if here { token } else { tokens[at] });
                at += if here { 2 } else { 1 };
            }
            *tokens = joined;
            for new in tokens.windows(2) {
                let new = (new[0], new[1]);
                *self.counts.entry(new).or_default() += count;
                self.places.entry(new).or_default().insert(place);
                changed.insert(new);
            }
        }
        self.counts.remove(&pair);
        for pair in changed {
            if let Some(&count) = self.counts.get(&pair)
                && count > 0
            {
                self.heap.push((count, Reverse(pair)));
            }
        }
    }
}

/// Adds tokens and merges to a `tokenizer.json`.
fn write(json: &mut Value, first: u32, new: &[String], learned: &[(String, String)]) -> Result<()> {
    let model = &mut json["model"];
    let pairs = model["merges"].as_array().is_some_and(|merges| merges.first().is_some_and(Value::is_array));
    let mut merges = learned.to_vec();
    if model["byte_fallback"] == true {
        // A reader of GGUF files joins any two tokens that make a third, so
        // each way to make one has to be a merge here too.
        let old = model["vocab"].as_object().map(|vocab| vocab.keys().cloned().collect()).unwrap_or_default();
        merges = every_way(old, new, learned);
    }
    let vocab = model["vocab"].as_object_mut();
    let vocab = vocab.ok_or_else(|| Error::new("vocabulary-wrong").arg("field", "vocab").arg("cause", "-"))?;
    for (token, number) in new.iter().zip(first..) {
        vocab.insert(token.clone(), number.into());
    }
    let list = model["merges"].as_array_mut();
    let list = list.ok_or_else(|| Error::new("vocabulary-wrong").arg("field", "merges").arg("cause", "-"))?;
    list.extend(merges.into_iter().map(
        |(left, right)| {
            if pairs { json!([left, right]) } else { format!("{left} {right}").into() }
        },
    ));
    Ok(())
}

/// All pairs of tokens that make a new one, and those with a new one in them
/// that make one of the old; those that were learned come first for each.
fn every_way(old: HashSet<String>, new: &[String], learned: &[(String, String)]) -> Vec<(String, String)> {
    let fresh: HashSet<&str> = new.iter().map(String::as_str).collect();
    let token = |text: &str| fresh.contains(text) || old.contains(text);
    let splits = |text: &str| -> Vec<(String, String)> {
        let cuts = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
        cuts.filter(|(left, right)| token(left) && token(right)).map(|(l, r)| (l.to_owned(), r.to_owned())).collect()
    };
    let mut merges = Vec::new();
    for (text, pair) in new.iter().zip(learned) {
        merges.push(pair.clone());
        merges.extend(splits(text).into_iter().filter(|other| other != pair));
    }
    let mut sorted: Vec<&String> = old.iter().collect();
    sorted.sort();
    let with_new = |(left, right): &(String, String)| fresh.contains(left.as_str()) || fresh.contains(right.as_str());
    merges.extend(sorted.into_iter().flat_map(|text| splits(text)).filter(with_new));
    merges
}

#[cfg(test)]
mod tests {
    use kwaya_base::Silent;

    use super::*;
    use crate::{tokenizer, vocabulary::Vocabulary};

    /// Text in which some words come again and again.
    fn documents(seed: u64) -> Vec<Text> {
        let words = ["mahindi", "shamba", "mkulima", "ng'ombe", "mvua", "ĝardeno", "农民", "na", "ya", "🌽"];
        let mut state = seed;
        let mut next = move |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut text = || (0..60).map(|_| words[next(words.len())]).collect::<Vec<_>>().join(" ");
        (0..20)
            .map(|hash| Text { text: text(), language: "sw".into(), held_out: false, hash, messages: None })
            .collect()
    }

    fn base(folder: &std::path::Path) -> Vec<u8> {
        let path = folder.join("tokenizer.json");
        let other = "The farmer sows maize when it rains. Die Bäuerin sät Mais. ".repeat(20);
        let other = Text { text: other, language: "en".into(), held_out: false, hash: 0, messages: None };
        tokenizer::train([Ok(other)].into_iter(), 1000, 300, &path, &Silent).unwrap();
        std::fs::read(path).unwrap()
    }

    /// SentencePiece as Llama 2 has it: bytes, letters and a few merges.
    fn sentence_piece() -> Vec<u8> {
        let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
        tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
        tokens.extend("▁abcdefghijklmnopqrstuvwxyz'".chars().map(String::from));
        tokens.extend(["ma", "na", "▁m", "▁ma"].map(String::from));
        let vocab: serde_json::Map<String, Value> =
            tokens.iter().zip(0..).map(|(t, i)| (t.clone(), i.into())).collect();
        let added = [0, 1, 2].map(|id: usize| {
            json!({ "id": id, "content": tokens[id], "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
        });
        json!({
            "version": "1.0", "added_tokens": added, "truncation": null, "padding": null,
            "normalizer": { "type": "Sequence", "normalizers": [
                { "type": "Prepend", "prepend": "▁" },
                { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
            ] },
            "pre_tokenizer": null, "post_processor": null,
            "decoder": { "type": "Sequence", "decoders": [
                { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
                { "type": "ByteFallback" }, { "type": "Fuse" },
                { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
            ] },
            "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": vocab, "merges": ["m a", "n a", "▁ m", "▁ ma", "▁m a"] },
        })
        .to_string()
        .into_bytes()
    }

    /// What must be true of every extended tokenizer.
    fn check(base: &[u8], documents: &[Text]) -> Extended {
        let extended = extend(documents.iter().cloned().map(Ok), 10_000, base, 40, &Silent).unwrap();
        let again = extend(documents.iter().cloned().map(Ok), 10_000, base, 40, &Silent).unwrap();
        assert_eq!(extended.json, again.json);
        let [old, new] = [base, &extended.json].map(|json| {
            let mut tokenizer = Tokenizer::from_bytes(json).unwrap();
            tokenizer.set_encode_special_tokens(true);
            tokenizer
        });
        assert_eq!(new.get_vocab_size(true), old.get_vocab_size(true) + extended.pieces.len());
        let (mut before, mut after) = (0, 0);
        for document in documents {
            let ids = |tokenizer: &Tokenizer, text: &str| tokenizer.encode(text, false).unwrap().get_ids().to_vec();
            let (expected, found) = (ids(&old, &document.text), ids(&new, &document.text));
            let taken_apart: Vec<u32> = found
                .iter()
                .flat_map(|&id| match id.checked_sub(extended.first) {
                    Some(place) => extended.pieces[place as usize].clone(),
                    None => vec![id],
                })
                .collect();
            assert_eq!(taken_apart, expected, "new tokens are rows of old ones");
            assert_eq!(new.decode(&found, true).unwrap(), document.text);
            (before, after) = (before + expected.len(), after + found.len());
        }
        assert!(after * 10 < before * 8, "{after} tokens after {before}");
        for (pieces, id) in extended.pieces.iter().zip(extended.first..) {
            let text: String = pieces.iter().map(|&piece| old.id_to_token(piece).unwrap()).collect();
            assert_eq!(new.id_to_token(id), Some(text));
        }
        extended
    }

    #[test]
    fn byte_level_tokenizers_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let base = base(folder.path());
        let extended = check(&base, &documents(1));
        let vocabulary = Vocabulary::of(&extended.json, None).unwrap();
        assert_eq!(vocabulary.tokens.len(), extended.first as usize + extended.pieces.len());
    }

    #[test]
    fn sentence_piece_goes_on_and_a_gguf_file_can_say_it() {
        let base = sentence_piece();
        Vocabulary::of(&base, None).unwrap();
        let mut documents = documents(2);
        for document in &mut documents {
            document.text.retain(|c| c.is_ascii());
            document.text = document.text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        let extended = check(&base, &documents);
        let vocabulary = Vocabulary::of(&extended.json, None).unwrap();
        let from_gguf = vocabulary.tokenizer().unwrap();
        let folder_s = Tokenizer::from_bytes(&extended.json).unwrap();
        for document in &documents {
            let ids =
                |tokenizer: &Tokenizer| tokenizer.encode(document.text.as_str(), false).unwrap().get_ids().to_vec();
            let same = ids(&from_gguf).len().abs_diff(ids(&folder_s).len()) <= 2;
            assert!(same, "{}", document.text);
        }
    }

    #[test]
    fn other_kinds_are_refused() {
        let json = json!({ "version": "1.0", "model": { "type": "WordPiece", "vocab": {} } }).to_string();
        let error = extend(std::iter::empty(), 1, json.as_bytes(), 4, &Silent).unwrap_err();
        assert_eq!(error.key(), "vocabulary-extend");
        assert_eq!(extend(std::iter::empty(), 1, b"{", 4, &Silent).unwrap_err().key(), "vocabulary-wrong");
    }

    #[test]
    fn too_little_text_gives_fewer_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let base = base(folder.path());
        let one = Text { text: "mbili mbili".into(), language: "sw".into(), held_out: false, hash: 0, messages: None };
        let extended = extend([Ok(one)].into_iter(), 10, &base, 40, &Silent).unwrap();
        assert!(!extended.pieces.is_empty() && extended.pieces.len() < 10, "{}", extended.pieces.len());
    }
}
