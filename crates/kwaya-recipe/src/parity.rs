//! Parity: what the speakers of each language pay with a tokenizer. A model
//! reads and writes tokens; time, memory and price are counted in them, and
//! the same words take more of them in one language than in another (Petrov
//! et al. 2023, "Language model tokenizers introduce unfairness between
//! languages").

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Progress, Result, Unit, error::At, say};
use kwaya_model::Gguf;
use kwaya_text::{corpus, tokenizer, units};
use serde::Serialize;
use tokenizers::Tokenizer;

use crate::{
    bars::{self, Bar},
    codec,
    recipe::RECIPE,
    words,
};

/// Text of one language that a tokenizer is tried on: more makes the figures
/// no better.
const SAMPLE_BYTES: u64 = 4_000_000;

/// Parallel text that is read of each language, and the longest of its lines.
const PARALLEL_BYTES: u64 = 16 << 20;
const LINE_BYTES_MAX: u64 = 1 << 20;

/// More languages or tokenizers than these at once are a mistake.
const MANY: usize = 64;

/// The language that others are compared with, where it is there.
const ENGLISH: &str = "en";

/// What text was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The same text in all languages: premiums are exact.
    Parallel,
    /// Texts that say different things: a premium is of sentence beside
    /// sentence, and an estimate.
    Corpus,
}

/// The text of one language.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Amount {
    /// Documents, or lines of parallel text.
    pub documents: u64,
    /// Words.
    pub words: u64,
    /// Sentences.
    pub sentences: u64,
    /// UTF-8 bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, text: &str) {
        let units = units::count(text);
        self.documents += 1;
        self.words += units.words;
        self.sentences += units.sentences;
        self.bytes += text.len() as u64;
    }
}

/// What one language costs with one tokenizer.
#[derive(Clone, Debug, Serialize)]
pub struct Price {
    /// Tokens of the text that was tried.
    pub tokens: u64,
    /// The text that was tried: all, or a sample of it.
    pub tried: Amount,
    /// Tokens for each byte.
    pub per_byte: f64,
    /// Tokens for each word.
    pub per_word: f64,
    /// Tokens for each sentence.
    pub per_sentence: f64,
    /// How many times the tokens of English, where that is there.
    pub beside_english: Option<f64>,
    /// How many times the tokens of the language that has fewest.
    pub beside_best: f64,
}

/// One tokenizer and its prices by language.
#[derive(Clone, Debug, Serialize)]
pub struct Prices {
    /// What it is called.
    pub tokenizer: String,
    /// Tokens that it has.
    pub vocabulary: usize,
    /// The prices.
    pub languages: BTreeMap<String, Price>,
    /// The language that has fewest tokens.
    pub best: String,
}

/// The figures for one text.
#[derive(Clone, Debug, Serialize)]
pub struct Parity {
    /// What text that is.
    pub kind: Kind,
    /// How much there is in each language.
    pub languages: BTreeMap<String, Amount>,
    /// What it costs with each tokenizer.
    pub tokenizers: Vec<Prices>,
}

/// A tokenizer with its name.
pub struct Named {
    name: String,
    tokenizer: Tokenizer,
}

/// Opens tokenizers: each a `tokenizer.json`, a GGUF file, the folder of a
/// model or that of a recipe that was built.
///
/// # Errors
/// Naming the file that is missing or wrong.
pub fn open(paths: &[PathBuf]) -> Result<Vec<Named>> {
    if paths.is_empty() {
        return Err(Error::usage("parity-no-tokenizer"));
    }
    if paths.len() > MANY {
        return Err(Error::usage("parity-many").arg("count", paths.len()).arg("max", MANY));
    }
    let mut opened = Vec::new();
    for path in paths {
        let mut tokenizer = one(path)?;
        // What a file may say of the length of texts is for batches.
        let wrong = |cause| Error::new("tokenizer-failed").path(path).arg("cause", cause);
        tokenizer.with_truncation(None).map_err(wrong)?;
        tokenizer.with_padding(None);
        opened.push(Named { name: short(path), tokenizer });
    }
    let twice = |name: &str| opened.iter().filter(|other| other.name == name).count() > 1;
    let names = opened.iter().zip(paths).map(|(named, path)| match twice(&named.name) {
        true => path.display().to_string(),
        false => named.name.clone(),
    });
    let names: Vec<String> = names.collect();
    opened.iter_mut().zip(names).for_each(|(named, name)| named.name = name);
    Ok(opened)
}

fn one(path: &Path) -> Result<Tokenizer> {
    if path.is_dir() {
        let own = if path.join(RECIPE).exists() { path.join("build") } else { path.to_owned() };
        return tokenizer::open(&own.join("tokenizer.json"));
    }
    let mut magic = [0; 4];
    let read = File::open(path).at(path)?.read(&mut magic).at(path)?;
    if magic[..read] == *b"GGUF" {
        let file = Gguf::open(path)?;
        let mut tokenizer = codec::vocabulary_of(&file)
            .and_then(|vocabulary| vocabulary.tokenizer())
            .map_err(|error| error.path(path))?;
        tokenizer.set_encode_special_tokens(true);
        return Ok(tokenizer);
    }
    tokenizer::open(path)
}

/// What a tokenizer is called: its model, not its file.
fn short(path: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let own = match path.file_name() {
        Some(file) if file == "tokenizer.json" => path.parent().and_then(name),
        _ if path.is_dir() => name(path),
        _ => path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
    };
    own.unwrap_or_else(|| path.display().to_string())
}

/// What is measured of one text, language by language.
struct Measured<'a> {
    amounts: BTreeMap<String, Amount>,
    /// What was tried, and the tokens of it with each tokenizer.
    tried: BTreeMap<String, (Amount, Vec<u64>)>,
    tokenizers: &'a [Named],
}

impl<'a> Measured<'a> {
    fn new(tokenizers: &'a [Named]) -> Self {
        Self { amounts: BTreeMap::new(), tried: BTreeMap::new(), tokenizers }
    }

    fn add(&mut self, language: &str, text: &str, try_it: bool) -> Result<()> {
        let mut amount = Amount::default();
        amount.add(text);
        let (tried, tokens) = self
            .tried
            .entry(language.to_owned())
            .or_insert_with(|| (Amount::default(), vec![0; self.tokenizers.len()]));
        let sums = [Some(self.amounts.entry(language.to_owned()).or_default()), try_it.then_some(tried)];
        for sum in sums.into_iter().flatten() {
            sum.documents += amount.documents;
            sum.words += amount.words;
            sum.sentences += amount.sentences;
            sum.bytes += amount.bytes;
        }
        for (tokens, named) in tokens.iter_mut().zip(self.tokenizers).filter(|_| try_it) {
            let encoded = named.tokenizer.encode_fast(text, false);
            *tokens += encoded.map_err(|cause| Error::new("prompt-failed").arg("cause", cause))?.len() as u64;
        }
        Ok(())
    }

    fn finish(self, kind: Kind) -> Parity {
        let tokenizers = (0..).zip(self.tokenizers).map(|(at, named): (usize, _)| {
            // The same text is compared as it is, others by the sentence.
            let cost = |tried: &Amount, tokens: &[u64]| match kind {
                Kind::Parallel => tokens[at] as f64,
                Kind::Corpus => tokens[at] as f64 / tried.sentences.max(1) as f64,
            };
            let costs = self.tried.iter().map(|(language, (tried, tokens))| (language, cost(tried, tokens)));
            let costs: BTreeMap<&String, f64> = costs.collect();
            let best = costs.iter().filter(|(_, cost)| **cost > 0.0).min_by(|a, b| a.1.total_cmp(b.1));
            let (best, least) = best.map_or((String::new(), 1.0), |(language, cost)| ((*language).clone(), *cost));
            let english = costs.get(&ENGLISH.to_owned()).copied().filter(|cost| *cost > 0.0);
            let languages = self.tried.iter().map(|(language, (tried, tokens))| {
                let per = |count: u64| tokens[at] as f64 / count.max(1) as f64;
                let price = Price {
                    tokens: tokens[at],
                    tried: tried.clone(),
                    per_byte: per(tried.bytes),
                    per_word: per(tried.words),
                    per_sentence: per(tried.sentences),
                    beside_english: english.map(|english| costs[language] / english),
                    beside_best: costs[language] / least,
                };
                (language.clone(), price)
            });
            let languages = languages.collect();
            Prices { tokenizer: named.name.clone(), vocabulary: named.tokenizer.get_vocab_size(true), languages, best }
        });
        Parity { kind, tokenizers: tokenizers.collect(), languages: self.amounts }
    }
}

/// Measures the corpus in `folder`: all of it is counted, and of each language
/// documents of about [`SAMPLE_BYTES`], drawn by their hash, become tokens.
///
/// # Errors
/// `corpus-missing` before there is one; `interrupted`.
pub fn of_corpus(folder: &Path, tokenizers: &[Named], progress: &dyn Progress) -> Result<Parity> {
    let stats = crate::build::corpus_stats(folder)?;
    let path = folder.join("build/corpus/documents.parquet");
    if !path.exists() {
        return Err(Error::new("corpus-missing").path(folder));
    }
    let mut measured = Measured::new(tokenizers);
    progress.begin("parity-measure", stats.bytes, Unit::Bytes);
    let mut done = 0;
    for document in corpus::documents(&path)? {
        let document = document?;
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        let bytes = stats.languages.get(&document.language).map_or(document.bytes, |language| language.bytes);
        let share = SAMPLE_BYTES as f64 / bytes.max(1) as f64;
        let rank = u64::from_str_radix(document.id.get(..16).unwrap_or("0"), 16).unwrap_or(0);
        let said = document.messages().map(|messages| kwaya_text::chat::words(&messages));
        let try_it = rank as f64 / u64::MAX as f64 <= share || document.bytes >= bytes;
        measured.add(&document.language, said.as_deref().unwrap_or(&document.text), try_it)?;
        done += document.bytes;
        progress.at(done);
    }
    progress.end();
    Ok(measured.finish(Kind::Corpus))
}

/// Measures files whose lines say the same, each with its language. A line
/// counts when all languages have something there; of long files the first
/// [`PARALLEL_BYTES`] are read.
///
/// # Errors
/// `parity-lines` when the files have different numbers of lines, and when
/// one is not UTF-8 or has a line that is too long.
pub fn of_parallel(files: &[(String, PathBuf)], tokenizers: &[Named], progress: &dyn Progress) -> Result<Parity> {
    let languages: std::collections::BTreeSet<&String> = files.iter().map(|(language, _)| language).collect();
    if files.len() < 2 || languages.len() < files.len() {
        return Err(Error::usage("parity-languages"));
    }
    if files.len() > MANY {
        return Err(Error::usage("parity-many").arg("count", files.len()).arg("max", MANY));
    }
    let mut readers = Vec::new();
    for (_, path) in files {
        readers.push(BufReader::new(File::open(path).at(path)?));
    }
    let mut measured = Measured::new(tokenizers);
    let whole = files.iter().filter_map(|(_, path)| Some(path.metadata().ok()?.len().min(PARALLEL_BYTES))).max();
    progress.begin("parity-measure", whole.unwrap_or(0), Unit::Bytes);
    let mut read = vec![0; files.len()];
    for number in 1.. {
        if progress.stopped() {
            return Err(Error::new("interrupted"));
        }
        let mut lines = Vec::new();
        for ((reader, (_, path)), read) in readers.iter_mut().zip(files).zip(&mut read) {
            lines.push(line(reader, path, number, read)?);
        }
        let ended = lines.iter().filter(|line| line.is_none()).count();
        if ended > 0 && ended < lines.len() {
            let at = lines.iter().position(Option::is_none).unwrap_or(0);
            return Err(Error::usage("parity-lines").path(&files[at].1).arg("lines", number - 1));
        }
        let most = read.iter().copied().max().unwrap_or(0);
        if ended > 0 || most > PARALLEL_BYTES {
            break;
        }
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        if lines.iter().all(|line| !line.trim().is_empty()) {
            for ((language, _), line) in files.iter().zip(&lines) {
                measured.add(language, line.trim(), true)?;
            }
        }
        progress.at(most);
    }
    progress.end();
    Ok(measured.finish(Kind::Parallel))
}

/// The next line of a file; `None` at its end.
fn line(reader: &mut impl BufRead, path: &Path, number: u64, read: &mut u64) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let length = reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).at(path)? as u64;
    *read += length;
    let wrong = |cause: &str| Error::new("parity-line").path(path).arg("line", number).arg("cause", cause);
    if length == LINE_BYTES_MAX && bytes.last() != Some(&b'\n') {
        return Err(wrong("too-long"));
    }
    let line = String::from_utf8(bytes).map_err(|_| wrong("not-utf8"))?;
    Ok((length > 0).then_some(line))
}

impl Parity {
    /// The premiums as bars: beside English where it is there, else beside
    /// the best.
    ///
    /// # Errors
    /// What the drawing brings.
    pub fn chart(&self) -> Result<String> {
        let mut drawn = Vec::new();
        for prices in &self.tokenizers {
            for (language, price) in &prices.languages {
                let value = price.beside_english.unwrap_or(price.beside_best);
                let name = format!("{language}  {}", prices.tokenizer);
                drawn.push(Bar { name, value, figure: say!("parity-times", times = format!("{value:.2}")) });
            }
        }
        bars::draw(&drawn)
    }

    /// What the figures mean, a sentence for each tokenizer.
    pub fn sentences(&self) -> Vec<String> {
        let sentences = self.tokenizers.iter().filter_map(|prices| {
            let worst = prices.languages.iter().max_by(|a, b| a.1.beside_best.total_cmp(&b.1.beside_best));
            let (language, price) = worst?;
            if prices.languages.len() < 2 || *language == prices.best {
                return None;
            }
            Some(say!(
                if self.kind == Kind::Parallel { "parity-sentence" } else { "parity-estimate" },
                tokenizer = prices.tokenizer,
                language = language,
                best = prices.best,
                times = format!("{:.2}", price.beside_best),
                thousand = words::count((1000.0 / price.beside_best).round() as u64),
            ))
        });
        sentences.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kwaya_base::Silent;

    use super::*;

    /// A tokenizer of whole words and letters: what it costs can be counted by
    /// hand.
    fn tokenizer(folder: &Path) -> PathBuf {
        let vocabulary = serde_json::json!({ "?": 0, "rain": 1, "m": 2, "v": 3, "u": 4, "a": 5 });
        let json = serde_json::json!({ "version": "1.0", "added_tokens": [],
            "truncation": { "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 },
            "pre_tokenizer": { "type": "Whitespace" },
            "model": { "type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": "?", "ignore_merges": true } });
        let path = folder.join("tokenizer.json");
        fs::write(&path, json.to_string()).unwrap();
        path
    }

    fn files(folder: &Path, texts: &[(&str, &str)]) -> Vec<(String, PathBuf)> {
        let write = |(language, text): &(&str, &str)| {
            let path = folder.join(format!("{language}.txt"));
            fs::write(&path, text).unwrap();
            ((*language).to_owned(), path)
        };
        texts.iter().map(write).collect()
    }

    #[test]
    fn prices_are_as_counted_by_hand() {
        let dir = tempfile::tempdir().unwrap();
        let tokenizers = open(&[tokenizer(dir.path())]).unwrap();
        let texts = [("en", "rain rain\n\nrain\n"), ("sw", "mvua mvua\nmvua\nmvua\n")];
        let parity = of_parallel(&files(dir.path(), &texts), &tokenizers, &Silent).unwrap();
        // The second line is empty in English and does not count.
        let amounts = parity.languages.values().map(|a| [a.documents, a.words, a.sentences, a.bytes]);
        assert_eq!(amounts.collect::<Vec<_>>(), [[2, 3, 2, 13]; 2]);
        let prices = &parity.tokenizers[0];
        let sw = &prices.languages["sw"];
        assert_eq!((prices.languages["en"].tokens, sw.tokens, prices.best.as_str()), (3, 12, "en"));
        assert_eq!((sw.per_word, sw.per_sentence, sw.beside_english, sw.beside_best), (4.0, 6.0, Some(4.0), 4.0));
        assert!((sw.per_byte - 12.0 / 13.0).abs() < 1e-12);
        assert!(parity.sentences()[0].contains("4.00") && parity.sentences()[0].contains("250"));
        assert!(parity.chart().unwrap().contains("sw"));
    }

    #[test]
    fn what_does_not_correspond_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = tokenizer(dir.path());
        let tokenizers = open(&[path.clone(), path.clone()]).unwrap();
        assert_eq!(tokenizers[0].name, path.display().to_string(), "names that are the same are told in full");
        let key =
            |texts: &[(&str, &str)]| of_parallel(&files(dir.path(), texts), &tokenizers, &Silent).unwrap_err().key();
        assert_eq!(key(&[("en", "a\nb\n"), ("sw", "a\n")]), "parity-lines");
        assert_eq!(key(&[("en", "a\n")]), "parity-languages");
        assert_eq!(key(&[("en", "a\n"), ("en", "b\n")]), "parity-languages");
        let long = "a".repeat(2 << 20);
        assert_eq!(key(&[("en", &long), ("sw", "a")]), "parity-line");
        fs::write(dir.path().join("x.txt"), b"\xff\n").unwrap();
        let wrong = [("en", "x.txt"), ("sw", "x.txt")].map(|(l, name)| (l.to_owned(), dir.path().join(name)));
        assert_eq!(of_parallel(&wrong, &tokenizers, &Silent).unwrap_err().key(), "parity-line");
        // Nothing on both sides is no division by nothing.
        let empty = of_parallel(&files(dir.path(), &[("en", "\n"), ("sw", "\n")]), &tokenizers, &Silent).unwrap();
        assert!(empty.sentences().is_empty());
        empty.chart().unwrap();
        assert_eq!(open(&[]).err().unwrap().key(), "parity-no-tokenizer");
        assert_eq!(open(&[dir.path().join("none")]).err().unwrap().key(), "io-not-found");
    }
}
