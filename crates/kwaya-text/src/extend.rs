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
use tokenizers::{Model, OffsetReferential, OffsetType, PreTokenizer, Tokenizer};

use crate::{
    tokenizer::{Text, sampled},
    vocabulary::TOKENS_MAX,
};

/// How SentencePiece writes a space.
const SPACE: char = '▁';

/// A new token is no longer than this.
const TOKEN_BYTES_MAX: usize = 64;

/// Longer words are cut: of scripts that do not part words one may be a whole
/// paragraph, and each join goes through all of the words that it is in.
const WORD_BYTES_MAX: usize = 512;

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
    if let Some(kind) = other_kind(&json["model"]) {
        return Err(Error::usage("vocabulary-extend").arg("kind", kind));
    }
    let mut tokenizer = Tokenizer::from_bytes(base).map_err(|cause| wrong(&cause))?;
    tokenizer.set_encode_special_tokens(true);
    let last = tokenizer.get_vocab(true).into_values().max();
    let first = last.map_or(0, |last| last as usize + 1);
    let count = count.min(TOKENS_MAX.checked_sub(first).ok_or_else(|| wrong(&format!("{first} tokens")))?);
    let first = first as u32;
    let mut words = Words { tokenizer: &tokenizer, counts: BTreeMap::new() };
    progress.begin("stage-tokenizer", bytes, Unit::Bytes);
    let mut done = 0;
    for document in documents {
        let document = document?;
        running(progress)?;
        if !document.held_out && sampled(document.hash, bytes) {
            words.add(&document.text).map_err(|cause| wrong(&cause))?;
        }
        done += document.text.len() as u64;
        progress.at(done);
    }
    let mut pairs = Pairs::new(&tokenizer, &json["model"], words.counts).map_err(|cause| wrong(&cause))?;
    pairs.join(first, count, progress)?;
    progress.end();
    let Pairs { merges, pieces, .. } = pairs;
    let new: Vec<String> = merges.iter().map(|(left, right)| format!("{left}{right}")).collect();
    keep_marks(&mut json, &tokenizer)?;
    write(&mut json, first, &new, &merges)?;
    let json = serde_json::to_vec(&json).map_err(|cause| wrong(&cause))?;
    let pieces = (0..new.len() as u32).map(|i| pieces[&(first + i)].clone()).collect();
    Ok(Extended { json, first, pieces })
}

/// What a model is that cannot go on: no byte-pair encoding, one whose tokens
/// are not the texts of their parts joined, or one that cuts by chance.
fn other_kind(model: &Value) -> Option<String> {
    let kind = model["type"].as_str().unwrap_or("BPE");
    if kind != "BPE" || !model["merges"].is_array() {
        return Some(kind.to_owned());
    }
    let prefix = model["continuing_subword_prefix"].as_str().is_some_and(|prefix| !prefix.is_empty());
    let chance = model["dropout"].as_f64().is_some_and(|share| share > 0.0);
    let fields = [(prefix, "continuing_subword_prefix"), (chance, "dropout")];
    fields.into_iter().find_map(|(is, field)| is.then(|| format!("BPE, {field}")))
}

fn running(progress: &dyn Progress) -> Result<()> {
    if progress.stopped() { Err(Error::new("interrupted")) } else { Ok(()) }
}

/// The words of a corpus, cut as the base cuts them.
struct Words<'a> {
    tokenizer: &'a Tokenizer,
    /// How often each occurs. In order, so that nothing depends on hashes.
    counts: BTreeMap<String, u64>,
}

impl Words<'_> {
    fn add(&mut self, text: &str) -> tokenizers::Result<()> {
        // Added tokens are taken out first, as everywhere.
        let (added, normalizer) = (self.tokenizer.get_added_vocabulary(), self.tokenizer.get_normalizer());
        let mut cut = added.extract_and_normalize(normalizer, text);
        if let Some(pre_tokenizer) = self.tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut cut)?;
        }
        let splits = cut.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        for (piece, _, _) in splits.into_iter().filter(|(_, _, added)| added.is_none()) {
            // SentencePiece joins across nothing but spaces, which begin words.
            let mut word = String::new();
            for character in piece.chars() {
                let begins = character == SPACE && !word.is_empty() && !word.ends_with(SPACE);
                if begins || character == '\n' || word.len() >= WORD_BYTES_MAX {
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
    places: HashMap<Pair, Vec<usize>>,
    /// The most frequent pair, and of those the first.
    heap: BinaryHeap<(u64, Reverse<Pair>)>,
    /// The texts of the tokens that may be joined.
    texts: HashMap<u32, String>,
    /// Texts that are tokens already.
    known: HashSet<String>,
    /// Those that the base never makes, not even of their own text, though by
    /// [`every_way`] a new token could be a half of one.
    unmade: Vec<String>,
    /// What each new token was joined from.
    merges: Vec<(String, String)>,
    pieces: HashMap<u32, Vec<u32>>,
}

impl Pairs {
    fn new(tokenizer: &Tokenizer, model: &Value, counted: BTreeMap<String, u64>) -> tokenizers::Result<Self> {
        let added = tokenizer.get_added_vocabulary().get_vocab();
        let known: HashSet<String> = tokenizer.get_vocab(true).into_keys().collect();
        // What stands for something else than its own text is joined to nothing.
        let text = |text: &str| !is_byte(text) && model["unk_token"] != text && !added.contains_key(text);
        let texts = tokenizer.get_vocab(false).into_iter().filter(|(token, _)| text(token));
        let texts: HashMap<u32, String> = texts.map(|(text, token)| (token, text)).collect();
        let mut unmade = Vec::new();
        if model["byte_fallback"] == true {
            for (&token, text) in &texts {
                let made = tokenizer.get_model().tokenize(text)?;
                if made.len() != 1 || made[0].id != token {
                    unmade.push(text.clone());
                }
            }
        }
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
            unmade,
            merges: Vec::new(),
            pieces: HashMap::new(),
        };
        for place in 0..pairs.words.len() {
            let (tokens, count) = &pairs.words[place];
            for pair in tokens.windows(2) {
                let pair = (pair[0], pair[1]);
                *pairs.counts.entry(pair).or_default() += count;
                see(&mut pairs.places, pair, place);
            }
        }
        pairs.heap = pairs.counts.iter().map(|(pair, count)| (*count, Reverse(*pair))).collect();
        Ok(pairs)
    }

    /// Makes up to `count` tokens, from the number `first` on.
    fn join(&mut self, first: u32, count: usize, progress: &dyn Progress) -> Result<()> {
        while self.merges.len() < count {
            running(progress)?;
            let Some((seen, Reverse(pair))) = self.heap.pop() else { break };
            let now = self.counts.get(&pair).copied().unwrap_or(0);
            if now != seen {
                // Others were joined meanwhile: it comes again in its place.
                if now > 0 {
                    self.heap.push((now, Reverse(pair)));
                }
                continue;
            }
            if now < SEEN_MIN {
                break;
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
        Ok(())
    }

    /// The texts of a pair, if they may become one.
    fn joinable(&self, (left, right): Pair) -> Option<(String, String)> {
        let (left, right) = (self.texts.get(&left)?, self.texts.get(&right)?);
        let whole = format!("{left}{right}");
        let half = |token: &String| {
            let others = [token.strip_prefix(&*whole), token.strip_suffix(&*whole)];
            others.into_iter().flatten().any(|other| self.known.contains(other))
        };
        let fits = whole.len() <= TOKEN_BYTES_MAX && !self.known.contains(&whole) && !self.unmade.iter().any(half);
        fits.then(|| (left.clone(), right.clone()))
    }

    /// Puts `token` where the pair is. Only what stands beside it is counted
    /// anew, as a word may be long.
    fn replace(&mut self, pair: Pair, token: u32) {
        let mut made: BTreeSet<Pair> = BTreeSet::new();
        for place in self.places.remove(&pair).unwrap_or_default() {
            let (tokens, count) = &mut self.words[place];
            let mut joined = Vec::with_capacity(tokens.len());
            // Neighbours up to here are taken away; two that are joined may
            // have one pair between them.
            let (mut at, mut gone) = (0, 0);
            while at < tokens.len() {
                if !tokens[at..].starts_with(&[pair.0, pair.1]) {
                    joined.push(tokens[at]);
                    at += 1;
                    continue;
                }
                let end = (at + 3).min(tokens.len());
                for old in tokens[at.saturating_sub(1).max(gone)..end].windows(2) {
                    if let Some(seen) = self.counts.get_mut(&(old[0], old[1])) {
                        *seen -= *count;
                    }
                }
                joined.push(token);
                at += 2;
                gone = at;
            }
            for new in joined.windows(2).filter(|new| new.contains(&token)) {
                let new = (new[0], new[1]);
                *self.counts.entry(new).or_default() += *count;
                see(&mut self.places, new, place);
                made.insert(new);
            }
            *tokens = joined;
        }
        self.counts.remove(&pair);
        // Those that became fewer come again when they are popped.
        self.heap.extend(made.into_iter().map(|pair| (self.counts[&pair], Reverse(pair))));
    }
}

/// Notes that a pair is in the word at `place`; places come in order.
fn see(places: &mut HashMap<Pair, Vec<usize>>, pair: Pair, place: usize) {
    let places = places.entry(pair).or_default();
    if places.last() != Some(&place) {
        places.push(place);
    }
}

/// `<0x0A>` stands for a byte, and not for its own text.
fn is_byte(text: &str) -> bool {
    text.len() == 6 && text.starts_with("<0x") && text.ends_with('>')
}

/// Puts the added tokens among those of the model. A reader counts those that
/// are not from the end of the model's on, which new tokens move.
fn keep_marks(json: &mut Value, tokenizer: &Tokenizer) -> Result<()> {
    let added = json["added_tokens"].as_array().cloned().unwrap_or_default();
    let Some(vocab) = json["model"]["vocab"].as_object_mut() else { return Ok(()) };
    for token in added {
        let Some(content) = token["content"].as_str() else { continue };
        let id = tokenizer.token_to_id(content);
        if id.map(u64::from) != token["id"].as_u64() {
            let cause = format!("{content:?} = {}, {id:?}", token["id"]);
            return Err(Error::new("vocabulary-wrong").arg("field", "added_tokens").arg("cause", cause));
        }
        vocab.entry(content).or_insert_with(|| id.into());
    }
    Ok(())
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
/// that make one of the old; those that were learned come first for each. Only
/// these ever join: where the other halves of a token stood, the base would
/// have made it in another way before.
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
        for (token, id) in old.get_vocab(true) {
            assert_eq!((new.token_to_id(&token), new.id_to_token(id)), (Some(id), Some(token)));
        }
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
            assert_eq!(ids(&from_gguf), ids(&folder_s), "{}", document.text);
        }
    }

    #[test]
    fn tokens_that_the_base_never_makes_stay_unmade() {
        // "bc" joins first, so no "▁ab" is left to join with "cd".
        let mut base: Value = serde_json::from_slice(&sentence_piece()).unwrap();
        for (token, id) in ["bc", "▁a", "▁ab", "cd", "▁abcd"].into_iter().zip(400..) {
            base["model"]["vocab"][token] = id.into();
        }
        let merges = base["model"]["merges"].as_array_mut().unwrap();
        merges.extend(["b c", "▁ a", "▁a b", "c d", "▁ab cd"].map(Value::from));
        let mut documents = documents(3);
        for document in &mut documents {
            document.text = "abce abcd abcf abcd ".repeat(9).trim_end().to_owned();
        }
        let extended = check(base.to_string().as_bytes(), &documents);
        Vocabulary::of(&extended.json, None).unwrap();
        let new = Tokenizer::from_bytes(&extended.json).unwrap();
        assert_eq!(new.token_to_id("▁abc"), None, "with d it would make a token that was never trained");
    }

    /// An added token that is not in the vocabulary of the model.
    fn add(base: &mut Value, content: &str, special: bool) {
        let own = base["model"]["vocab"].as_object().unwrap().len();
        let added = base["added_tokens"].as_array_mut().unwrap();
        // The end-of-text is among the model's own.
        added.push(json!({ "id": own + added.len() - 1, "content": content, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false, "special": special }));
    }

    #[test]
    fn marks_outside_of_the_model_keep_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let mut base: Value = serde_json::from_slice(&base(folder.path())).unwrap();
        let own = base["model"]["vocab"].as_object().unwrap().len() as u32;
        ["<|user|>", "<|end|>"].iter().for_each(|mark| add(&mut base, mark, true));
        let extended = check(base.to_string().as_bytes(), &documents(1));
        assert_eq!((extended.first, extended.pieces.len()), (own + 2, 40));
        let new = Tokenizer::from_bytes(&extended.json).unwrap();
        assert_eq!(new.encode("<|user|><|end|>", false).unwrap().get_ids(), [own, own + 1]);
        let tokens = Vocabulary::of(&extended.json, None).unwrap().tokens;
        assert_eq!((tokens.len(), &*tokens[own as usize + 1]), (own as usize + 42, "<|end|>"));
    }

    #[test]
    fn what_is_no_text_is_joined_to_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut with_word: Value = serde_json::from_slice(&base(folder.path())).unwrap();
        add(&mut with_word, "mahindi", false);
        let mut with_unknown: Value = serde_json::from_slice(&sentence_piece()).unwrap();
        with_unknown["model"]["byte_fallback"] = false.into();
        for (base, never) in [(with_word, "mahi"), (with_unknown, "<unk>")] {
            let documents = documents(4).into_iter().map(Ok);
            let extended = extend(documents, 10_000, base.to_string().as_bytes(), 40, &Silent).unwrap();
            let new = Tokenizer::from_bytes(&extended.json).unwrap();
            let texts = (extended.first..).zip(&extended.pieces).map(|(id, _)| new.id_to_token(id).unwrap());
            let texts: Vec<String> = texts.collect();
            assert!(texts.len() > 10 && !texts.iter().any(|text| text.contains(never)), "{never}: {texts:?}");
        }
    }

    #[test]
    fn long_words_are_cut() {
        let json = sentence_piece();
        let tokenizer = Tokenizer::from_bytes(&json).unwrap();
        let mut words = Words { tokenizer: &tokenizer, counts: BTreeMap::new() };
        let text = "ខ្មែរ".repeat(1000);
        words.add(&text).unwrap();
        let bytes: usize = words.counts.iter().map(|(word, count)| word.len() * *count as usize).sum();
        assert_eq!(bytes, text.len() + SPACE.len_utf8());
        assert!(words.counts.keys().all(|word| word.len() < WORD_BYTES_MAX + 4));
    }

    #[test]
    fn it_can_be_stopped() {
        struct Stopped;
        impl Progress for Stopped {
            fn begin(&self, _: &'static str, _: u64, _: Unit) {}
            fn at(&self, _: u64) {}
            fn stopped(&self) -> bool {
                true
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let base = base(folder.path());
        let error = extend(std::iter::empty(), 1, &base, 4, &Stopped).unwrap_err();
        assert_eq!(error.key(), "interrupted");
    }

    #[test]
    fn other_kinds_are_refused() {
        let json = json!({ "version": "1.0", "model": { "type": "WordPiece", "vocab": {} } }).to_string();
        let error = extend(std::iter::empty(), 1, json.as_bytes(), 4, &Silent).unwrap_err();
        assert_eq!(error.key(), "vocabulary-extend");
        for (field, value) in [("continuing_subword_prefix", json!("##")), ("dropout", json!(0.1))] {
            let mut base: Value = serde_json::from_slice(&sentence_piece()).unwrap();
            base["model"][field] = value;
            let error = extend(std::iter::empty(), 1, base.to_string().as_bytes(), 4, &Silent).unwrap_err();
            assert_eq!(error.key(), "vocabulary-extend", "{field}");
        }
        let mut far: Value = serde_json::from_slice(&sentence_piece()).unwrap();
        far["model"]["vocab"]["ab"] = u32::MAX.into();
        for json in ["{".to_owned(), far.to_string()] {
            let error = extend(std::iter::empty(), 1, json.as_bytes(), 4, &Silent).unwrap_err();
            assert_eq!(error.key(), "vocabulary-wrong");
        }
    }

    /// The most frequent pair, counted anew each time, of equals the one whose
    /// numbers come first.
    fn plainly(pairs: &mut Pairs, first: u32, count: usize) {
        for token in first..first + count as u32 {
            let mut counts: BTreeMap<Pair, u64> = BTreeMap::new();
            for (tokens, count) in &pairs.words {
                tokens.windows(2).for_each(|pair| *counts.entry((pair[0], pair[1])).or_default() += count);
            }
            counts.retain(|&pair, count| *count >= SEEN_MIN && pairs.joinable(pair).is_some());
            let Some((&pair, _)) = counts.iter().max_by_key(|(pair, count)| (**count, Reverse(**pair))) else { return };
            let (left, right) = pairs.joinable(pair).unwrap();
            pairs.known.insert(format!("{left}{right}"));
            pairs.texts.insert(token, format!("{left}{right}"));
            pairs.merges.push((left, right));
            for (tokens, _) in &mut pairs.words {
                let mut at = 0;
                while at + 1 < tokens.len() {
                    if (tokens[at], tokens[at + 1]) == pair {
                        tokens.splice(at..at + 2, [token]);
                    }
                    at += 1;
                }
            }
        }
    }

    #[test]
    fn joins_are_those_of_plain_counting() {
        let json: Value = serde_json::from_slice(&sentence_piece()).unwrap();
        let tokenizer = Tokenizer::from_bytes(sentence_piece()).unwrap();
        for seed in 1..30_u64 {
            let mut state = seed;
            let mut next = move |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % n
            };
            // Few letters: pairs overlap and stand side by side.
            let letters = ["a", "b", "ab", "aa", "c"];
            let mut word = || -> String { (0..1 + next(12)).map(|_| letters[next(5) as usize]).collect() };
            let words: BTreeMap<String, u64> = (1..40).map(|count| (word(), count % 7 + 1)).collect();
            let pairs = || Pairs::new(&tokenizer, &json["model"], words.clone()).unwrap();
            let (mut quick, mut plain) = (pairs(), pairs());
            quick.join(1000, 60, &Silent).unwrap();
            plainly(&mut plain, 1000, 60);
            assert!(plain.merges.len() > 20);
            assert_eq!((quick.merges, quick.words), (plain.merges, plain.words), "{seed}");
        }
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
