//! A language model that was taught to give texts labels: one GGUF file,
//! complete by itself, which any program for such files can open.
//!
//! ```text
//! opening, text (its first tokens), "\n\nCOLUMN:"  →  " LABEL", end
//! ```
//!
//! The model reads the left side once, and is asked how likely each label is
//! as what comes next. Of the tokens of labels only those decide at which
//! labels part: for labels that begin differently that is the first, and
//! nothing is read but the text. How it is taught is said in `teach.rs`; what
//! is known of it stands under the key `kwaya.classifier` of the file, as JSON.

use std::{collections::BTreeMap, path::Path};

use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_classify::{Answer, Calibration, Measures, Shown};
use kwaya_math::scalar;
use kwaya_model::{Conversation, Conversations, Lora, Source, gguf::Value};
use kwaya_text::tokenizer::Turns;
use kwaya_train::{Schedule, weights_hash};
use serde::{Deserialize, Serialize};

use crate::{codec::Codec, exchange::OWN, text_model::TextModel};

/// The key of what is known of it, after that of Kwaya.
pub(crate) const KEY: &str = "classifier";
pub(crate) const FORMAT: u32 = 1;
/// The longest that is read under it: a matrix of as many labels as there may
/// be has 65,536 numbers.
const ABOUT_BYTES_MAX: usize = 4 << 20;
/// Labels; each place where some part is read by itself.
pub const LABELS_MAX: usize = 256;
const LABEL_BYTES_MAX: usize = 256;
/// Columns with text.
const COLUMNS_MAX: usize = 256;
/// The most tokens of a text that may be read.
pub const TOKENS_MAX: usize = 1 << 13;
/// Text beyond so many bytes for each token is not looked at.
const BYTES_PER_TOKEN: usize = 64;
/// Characters of the name of the column that are repeated.
const COLUMN_CHARACTERS_MAX: usize = 64;
/// Tokens that are read at once, where texts are short.
const AT_ONCE: usize = 512;
/// Places where labels part that are looked at together.
const BRANCHES: usize = 32;
/// A power of two that adds nothing any more.
const LEAST: f64 = -500.0;
/// Keys and values take this much memory at the most; a text of as many tokens
/// as there may be takes a small part of it.
const CACHE_BYTES: u64 = 2 << 30;

/// All about a taught classifier but its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    pub(crate) format: u32,
    /// The columns with text that it was taught on.
    pub text: Vec<String>,
    /// The column with the label.
    pub label: String,
    /// The labels, sorted.
    pub labels: Vec<String>,
    /// Rows of each label that it was taught.
    pub rows: Vec<u64>,
    /// What of a text is read: its first tokens.
    pub tokens: usize,
    /// The model that was taught, as it was named.
    pub base: String,
    /// The hash of its weights and sizes.
    pub base_hash: String,
    /// How often it saw each row.
    pub epochs: u64,
    /// The adapters that were learned and merged.
    pub lora: Lora,
    /// How they were learned.
    pub schedule: Schedule,
    /// How likelihoods become answers.
    #[serde(flatten)]
    pub calibration: Calibration,
    /// How good answers were to rows that it was not taught.
    pub held_out: Measures,
    /// The hash of the weights of this file.
    pub(crate) weights: String,
}

impl<'a> From<&'a About> for Shown<'a> {
    fn from(about: &'a About) -> Self {
        let unsure_below = about.calibration.unsure_below;
        Self { labels: &about.labels, unsure_below, telling: &[], base: Some(&about.base) }
    }
}

/// A taught classifier that answers.
pub struct Taught {
    about: About,
    model: TextModel,
    ask: Ask,
}

impl Taught {
    /// Opens the file at `path`, which may come from anywhere.
    ///
    /// # Errors
    /// `classify-untaught` for a model that is no classifier;
    /// `classify-damaged` with the cause; what is wrong with the model.
    pub fn open(path: &Path, threads: usize) -> Result<Self> {
        let damaged = |cause: &str| Error::new("classify-damaged").path(path).arg("cause", cause);
        let source = Source::open(path)?;
        let key = format!("{OWN}{KEY}");
        let Some(Value::Text(text)) = source.gguf().and_then(|file| file.metadata.get(&key)) else {
            return Err(Error::usage("classify-untaught").path(path));
        };
        if text.len() > ABOUT_BYTES_MAX {
            return Err(damaged(&format!("{key}: {} bytes", text.len())));
        }
        let about: About = serde_json::from_str(text).map_err(|error| damaged(&format!("{key}: {error}")))?;
        check(&about).map_err(|cause| damaged(&format!("{key}: {cause}")))?;
        if weights_hash(&source)?.to_string() != about.weights {
            return Err(damaged("BLAKE3"));
        }
        let model = TextModel::load(path, threads)?;
        let ask = Ask::new(model.codec(), model.architecture().context, &about.label, &about.labels, about.tokens)?;
        Ok(Self { about, model, ask })
    }

    /// What it was made from, and how good it is.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Makes it independent of its file.
    pub fn let_go_of_files(&mut self) {
        self.model.let_go_of_files();
    }

    /// The answers to rows of texts, in their order.
    ///
    /// # Errors
    /// `interrupted`; when the model cannot read a text.
    pub fn answers(&self, rows: &[Vec<String>], progress: &dyn Progress) -> Result<Vec<Answer>> {
        let scores = self.ask.scores(&self.model, rows, progress)?;
        Ok(scores.iter().map(|scores| self.about.calibration.answer(scores)).collect())
    }
}

fn check(about: &About) -> Result<(), String> {
    let labels = about.labels.len();
    if about.format != FORMAT {
        return Err(format!("format {}", about.format));
    }
    let named = about.labels.iter().all(|label| (1..=LABEL_BYTES_MAX).contains(&label.len()));
    if !(2..=LABELS_MAX).contains(&labels)
        || !named
        || !about.labels.is_sorted_by(|a, b| a < b)
        || about.rows.len() != labels
        || !about.held_out.fits(labels)
    {
        return Err(format!("labels: {labels}"));
    }
    if !(1..=COLUMNS_MAX).contains(&about.text.len()) {
        return Err(format!("columns: {}", about.text.len()));
    }
    if !(1..=TOKENS_MAX).contains(&about.tokens) || !about.calibration.is_valid() {
        return Err(format!("tokens: {}, {:?}", about.tokens, about.calibration));
    }
    Ok(())
}

/// How a text and its label stand before a model, in its tokens.
pub(crate) struct Ask {
    /// The token that a text is read after.
    opening: u32,
    /// What of a text is read.
    tokens: usize,
    /// Between text and label.
    before: Vec<u32>,
    /// Each label, with the token that ends it.
    labels: Vec<Vec<u32>>,
    branches: Vec<Branch>,
}

/// A place where labels part.
struct Branch {
    /// What the labels have in common up to there.
    common: Vec<u32>,
    /// The tokens that go on, each with the numbers of its labels.
    ways: BTreeMap<u32, Vec<usize>>,
}

impl Branch {
    /// Adds the logarithms of the probabilities of the ways, given that one of
    /// them is taken, to those of their labels.
    fn add(&self, logits: &[f32], scores: &mut [f64]) {
        // A tokenizer may have more tokens than the model, which says none of them.
        let logit = |token: &u32| f64::from(logits.get(*token as usize).copied().unwrap_or(f32::MIN));
        let most = self.ways.keys().map(logit).fold(f64::NEG_INFINITY, f64::max);
        let power = |token| scalar::exp2(((logit(token) - most) * std::f64::consts::LOG2_E).max(LEAST));
        let sum: f64 = self.ways.keys().map(power).sum();
        let log_sum = scalar::log2(sum) * std::f64::consts::LN_2;
        for (token, labels) in &self.ways {
            labels.iter().for_each(|label| scores[*label] += logit(token) - most - log_sum);
        }
    }
}

impl Ask {
    /// For these labels, which stand in a column of this name; of a text so
    /// many `tokens` are read.
    ///
    /// # Errors
    /// `base-without-end`; `classify-labels-alike` for labels that the
    /// tokenizer does not tell apart; `classify-context` where the model cannot
    /// read as much.
    pub(crate) fn new(codec: &Codec, context: usize, column: &str, names: &[String], tokens: usize) -> Result<Self> {
        let (opening, end) = codec.around()?;
        let column: String = column.chars().take(COLUMN_CHARACTERS_MAX).collect();
        let before = codec.encode_rest(&format!("\n\n{column}:"))?;
        let label = |name: &String| {
            let mut label = codec.encode_rest(&format!(" {name}"))?;
            label.push(end);
            Ok(label)
        };
        let labels: Vec<Vec<u32>> = names.iter().map(label).collect::<Result<_>>()?;
        let mut sorted: Vec<usize> = (0..labels.len()).collect();
        sorted.sort_by_key(|label| &labels[*label]);
        if let Some(pair) = sorted.windows(2).find(|pair| labels[pair[1]].starts_with(&labels[pair[0]])) {
            let error = Error::new("classify-labels-alike").arg("label", &names[pair[0]]);
            return Err(error.arg("other", &names[pair[1]]));
        }
        let longest = labels.iter().map(Vec::len).max().unwrap_or(0);
        let room = context.saturating_sub(1 + before.len() + longest);
        if tokens > room {
            return Err(Error::usage("classify-context").arg("tokens", tokens).arg("max", room));
        }
        let mut branches: BTreeMap<&[u32], BTreeMap<u32, Vec<usize>>> = BTreeMap::new();
        for (number, label) in labels.iter().enumerate() {
            for (at, token) in label.iter().enumerate() {
                branches.entry(&label[..at]).or_default().entry(*token).or_default().push(number);
            }
        }
        let branches = branches.into_iter().filter(|(_, ways)| ways.len() > 1);
        let branches = branches.map(|(common, ways)| Branch { common: common.to_vec(), ways }).collect();
        Ok(Self { opening, tokens, before, branches, labels })
    }

    /// A text up to where its label is to come, and whether it was cut.
    fn prompt(&self, codec: &Codec, texts: &[impl AsRef<str>]) -> Result<(Vec<u32>, bool)> {
        let texts = texts.iter().map(|text| text.as_ref().trim()).filter(|text| !text.is_empty());
        let text = texts.collect::<Vec<_>>().join("\n");
        let looked_at = &text[..text.floor_char_boundary(self.tokens * BYTES_PER_TOKEN)];
        let tokens = codec.encode_rest(looked_at)?;
        let cut = tokens.len() > self.tokens || looked_at.len() < text.len();
        let kept = &tokens[..tokens.len().min(self.tokens)];
        Ok(([&[self.opening][..], kept, &self.before].concat(), cut))
    }

    /// A text with its label, of which that alone is to be said, and whether the
    /// text was cut.
    ///
    /// # Errors
    /// When the tokenizer cannot read it.
    pub(crate) fn lesson(&self, codec: &Codec, texts: &[String], label: usize) -> Result<(Turns, bool)> {
        let (mut tokens, cut) = self.prompt(codec, texts)?;
        let mut answers = vec![false; tokens.len()];
        tokens.extend(&self.labels[label]);
        answers.resize(tokens.len(), true);
        Ok((Turns { tokens, answers, answer_bytes: 0 }, cut))
    }

    /// How likely each label is for each row of texts: the logarithms, which
    /// add up to 1 as probabilities.
    ///
    /// # Errors
    /// As [`Taught::answers`].
    pub(crate) fn scores(
        &self,
        model: &TextModel,
        rows: &[Vec<String>],
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<f32>>> {
        let mut conversations = model.conversations_within(CACHE_BYTES, 0);
        let vocab = model.architecture().vocab;
        let (mut scores, mut group) = (Vec::with_capacity(rows.len()), Vec::new());
        progress.begin("classify-answering", rows.len() as u64, Unit::Documents);
        for (row, done) in rows.iter().zip(1..) {
            if progress.stopped() {
                return Err(Error::new("interrupted"));
            }
            group.push(self.prompt(model.codec(), row)?.0);
            if done == rows.len() || group.iter().map(Vec::len).sum::<usize>() >= AT_ONCE {
                scores.extend(self.of_group(&mut conversations, vocab, &group)?);
                group.clear();
                progress.at(done as u64);
            }
        }
        progress.end();
        Ok(scores)
    }

    fn of_group(
        &self,
        conversations: &mut Conversations<'_>,
        vocab: usize,
        prompts: &[Vec<u32>],
    ) -> Result<Vec<Vec<f32>>> {
        let mut scores = vec![vec![0.0; self.labels.len()]; prompts.len()];
        let (begun, logits) = read(conversations, prompts)?;
        // Where labels begin differently, nothing more has to be read.
        let (first, deeper): (Vec<&Branch>, Vec<&Branch>) = self.branches.iter().partition(|b| b.common.is_empty());
        for branch in first {
            scores.iter_mut().zip(logits.chunks(vocab)).for_each(|(scores, logits)| branch.add(logits, scores));
        }
        for (prompt, scores) in prompts.iter().zip(&mut scores) {
            for branches in deeper.chunks(BRANCHES) {
                let texts: Vec<Vec<u32>> =
                    branches.iter().map(|branch| [&prompt[..], &branch.common].concat()).collect();
                let (begun, logits) = read(conversations, &texts)?;
                branches.iter().zip(logits.chunks(vocab)).for_each(|(branch, logits)| branch.add(logits, scores));
                begun.into_iter().for_each(|conversation| conversations.end(conversation));
            }
        }
        begun.into_iter().for_each(|conversation| conversations.end(conversation));
        Ok(scores.into_iter().map(|scores| scores.into_iter().map(|score| score as f32).collect()).collect())
    }
}

/// Reads texts, and gives the logits after each. They stay open, so that what
/// begins alike is not read again.
fn read<'c>(conversations: &'c mut Conversations<'_>, texts: &[Vec<u32>]) -> Result<(Vec<Conversation>, &'c [f32])> {
    let begun: Vec<(Conversation, usize)> = texts.iter().map(|text| conversations.begin(text)).collect();
    let rest: Vec<(Conversation, &[u32])> =
        begun.iter().zip(texts).map(|((conversation, known), text)| (*conversation, &text[*known..])).collect();
    let logits = conversations.feed(&rest)?;
    Ok((begun.into_iter().map(|(conversation, _)| conversation).collect(), logits))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use kwaya_base::Silent;
    use kwaya_classify::{Columns, Row};
    use kwaya_math::{Format, Pool, philox::Stream};
    use kwaya_model::{Adapters, Config, Model, quantise::Target};
    use kwaya_train::Precision;

    use super::*;
    use crate::{
        exchange::{self, Change},
        memory::Room,
        teach::{Wishes, teach},
    };

    /// A model that has learned nothing, with a tokenizer, in a folder.
    fn base(folder: &Path) {
        let text = "bei ya mahindi na mbegu sokoni; daktari wa hospitali na dawa: ".repeat(20);
        let text =
            kwaya_text::tokenizer::Text { text, language: "sw".into(), held_out: false, hash: 0, messages: None };
        let path = folder.join("tokenizer.json");
        let vocab_size = kwaya_text::tokenizer::train([Ok(text)].into_iter(), 1300, 320, &path, &Silent).unwrap();
        let config = Config {
            vocab_size,
            hidden_size: 32,
            intermediate_size: 32,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            num_key_value_heads: 1,
            head_dim: 32,
            max_position_embeddings: 64,
            initializer_range: 0.2,
            ..Config::default()
        };
        Model::random(config, 3, &Pool::new(1)).save(folder).unwrap();
    }

    /// The file of a classifier of 40 rows.
    fn taught(place: &Path) -> std::path::PathBuf {
        base(place);
        let texts = ["bei ya mbegu", "daktari na dawa", "hospitali"];
        let labels = ["soko la leo", "afya", "soko"];
        let row = |i: usize| Row { line: i as u64, label: labels[i % 3].into(), texts: vec![texts[i % 3].into()] };
        let rows: Vec<Row> = (0..40).map(row).collect();
        let columns = Columns { text: vec!["text".into()], label: Some("topic".into()) };
        let wishes = Wishes {
            tokens: 12,
            epochs: 2,
            learning_rate: 0.01,
            precision: Precision::F32,
            sure: 0.9,
            checkpoint_every: Duration::from_secs(100),
        };
        let (out, room) = (place.join("t.gguf"), Room { bytes: 1 << 34, free: 1 << 34 });
        teach(place, &rows, &[], &columns, &wishes, &out, room, &Pool::new(2), &Silent).unwrap();
        out
    }

    /// The naive twin: each place of each label is read from the beginning, and
    /// all that is left of the labels there is compared.
    #[test]
    fn what_is_read_once_is_what_is_read_label_by_label() {
        let place = tempfile::tempdir().unwrap();
        let taught = Taught::open(&taught(place.path()), 1).unwrap();
        assert_eq!(taught.about.labels, ["afya", "soko", "soko la leo"]);
        let (ask, model) = (&taught.ask, &taught.model);
        assert!(ask.branches.len() > 1 && ask.branches.iter().any(|branch| !branch.common.is_empty()));
        // Longer than a page, shorter, and nothing.
        let rows: Vec<Vec<String>> =
            ["mahindi na mbegu ".repeat(9), "dawa".into(), String::new()].map(|text| vec![text]).into();
        let scores = ask.scores(model, &rows, &Silent).unwrap();
        for (row, scores) in rows.iter().zip(&scores) {
            let sum: f64 = scores.iter().map(|score| f64::from(*score).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{scores:?}");
            let (prompt, cut) = ask.prompt(model.codec(), row).unwrap();
            assert_eq!((cut, prompt.len() <= 1 + 12 + ask.before.len()), (row[0].len() > 100, true));
            for (label, score) in ask.labels.iter().zip(scores) {
                let mut expected = 0.0;
                for at in 0..label.len() {
                    let others = ask.labels.iter().filter(|other| other.starts_with(&label[..at]));
                    let next: std::collections::BTreeSet<u32> = others.map(|other| other[at]).collect();
                    let mut conversations = model.conversations();
                    let text = [&prompt[..], &label[..at]].concat();
                    let (conversation, _) = conversations.begin(&text);
                    let logits = conversations.feed(&[(conversation, &text)]).unwrap();
                    let sum: f64 = next.iter().map(|token| f64::from(logits[*token as usize]).exp()).sum();
                    expected += f64::from(logits[label[at] as usize]) - sum.ln();
                }
                assert!((expected - f64::from(*score)).abs() < 1e-4, "{expected} {score}");
            }
        }
    }

    #[test]
    fn what_is_merged_into_a_file_is_what_is_merged_into_a_folder() {
        let place = tempfile::tempdir().unwrap();
        base(place.path());
        let source = Source::open(place.path()).unwrap();
        let lora = crate::plan::lora_of(&crate::recipe::TrainWishes::default());
        let mut adapters = Adapters::random(source.architecture(), lora, 5);
        adapters.weights_mut().iter_mut().zip(0_u16..).for_each(|(w, i)| *w += f32::from(i % 7) / 50.0);
        let [one, folder, other] = ["one.gguf", "folder", "other.gguf"].map(|name| place.path().join(name));
        let (merge, pool) = (Change::Merge(&adapters), Pool::new(2));
        let write = |source: &Source, out: &Path, change: &Change<'_>| {
            exchange::to_gguf(source, out, Target::Q8_0, "m", change, None, &pool, &Silent).unwrap();
        };
        write(&source, &one, &merge);
        exchange::to_folder(&source, &folder, Some(Format::F32), &merge, &pool, &Silent).unwrap();
        write(&Source::open(&folder).unwrap(), &other, &Change::Nothing);
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap());
    }

    #[test]
    fn labels_that_a_tokenizer_does_not_tell_apart_are_refused() {
        let place = tempfile::tempdir().unwrap();
        base(place.path());
        let path = place.path().join("tokenizer.json");
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json["normalizer"] = serde_json::json!({ "type": "Lowercase" });
        fs::write(&path, json.to_string()).unwrap();
        let codec = Codec::open(&Source::open(place.path()).unwrap()).unwrap();
        let ask = |labels: [&str; 2], tokens| Ask::new(&codec, 64, "topic", &labels.map(str::to_owned), tokens);
        assert_eq!(ask(["Afya", "afya"], 8).err().unwrap().key(), "classify-labels-alike");
        assert_eq!(ask(["afya", "soko"], 64).err().unwrap().key(), "classify-context");
        assert!(ask(["afya", "afya ya jamii"], 8).is_ok());
    }

    #[test]
    fn damaged_files_are_refused_or_answer() {
        let place = tempfile::tempdir().unwrap();
        let path = taught(place.path());
        let good = fs::read(&path).unwrap();
        let find = |what: &[u8]| good.windows(what.len()).position(|bytes| bytes == what).unwrap();
        let (key, end) = (find(b"kwaya.classifier"), find(b"llama.attention"));
        let json = if end > key { key..end } else { key..key + 2_000 };
        let mut answered = 0;
        for round in 0..2_000 {
            let mut random = Stream::new(9, 0, round);
            let mut bytes = good.clone();
            for _ in 0..=random.below(3) {
                // In what is said of it, in all that is said, and anywhere.
                let at = match round % 3 {
                    0 => json.start as u64 + random.below(json.len() as u64),
                    1 => random.below(json.end as u64),
                    _ => random.below(bytes.len() as u64),
                } as usize;
                match random.below(3) {
                    0 => bytes[at] = b"0123456789-e.,\"[]{}"[random.below(19) as usize],
                    1 => bytes[at] ^= 1 << random.below(8),
                    _ => bytes[at] = random.next_u32() as u8,
                }
            }
            if random.below(12) == 0 {
                bytes.truncate(random.below(bytes.len() as u64) as usize);
            }
            fs::write(&path, &bytes).unwrap();
            if let Ok(taught) = Taught::open(&path, 1) {
                let rows = [vec!["bei ya dawa".to_owned()], vec![String::new()]];
                if let Ok(answers) = taught.answers(&rows, &Silent) {
                    answered += 1;
                    assert!(answers.iter().all(|answer| answer.probabilities.len() == taught.about.labels.len()));
                }
            }
        }
        assert!(answered > 10, "{answered} of the damaged files answered");
        // A weight that is another is told, wherever it is.
        let mut bytes = good.clone();
        let last = bytes.len() - 40;
        bytes[last] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(Taught::open(&path, 1).err().unwrap().key(), "classify-damaged");
    }
}
