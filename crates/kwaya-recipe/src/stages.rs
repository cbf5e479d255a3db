//! The stages of a build after the corpus, one function each. Each says what
//! goes in, what decides its result, and how it is made; whether it has been
//! made already is for the [`Workshop`] to say.

use std::{fs, path::Path};

use kwaya_base::{Error, Result, error::At, files};
use kwaya_math::Pool;
use kwaya_model::{ADAPTER_FILES, Adapters, Architecture, Lora, Source};
use kwaya_text::{
    chat::{self, Message},
    corpus,
    tokenizer::{self, Words},
};
use kwaya_train::{LogEntry, Schedule, TokenFile};
use serde::Serialize;
use serde_json::json;

use crate::{
    base::{self, Base, NewTokens, TOKENIZER},
    build::{Context, Training, plain},
    codec::Codec,
    evaluation::{self, Before},
    exchange::{self, WEIGHTS},
    forecast::{self, Cost},
    learning::{Learned, Learning},
    ledger::Named,
    lock::{Lock, LockedBase, Sizes},
    machine,
    memory::{self, Way},
    plan::CorpusSize,
    recipe::{Method, Recipe},
    stage::{self, Done, Stage, Workshop},
    together,
};

/// Points of the loss curve that the ledger keeps.
const CURVE_POINTS: usize = 400;

/// What is told of the tokens that were added to a base.
const NEW_TOKENS: &str = "new_tokens.json";

const TRAINING: &str = "training.safetensors";
const HELD_OUT: &str = "held-out.safetensors";

/// What the stages have in common.
pub(crate) struct Work<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) recipe: &'a Recipe,
    pub(crate) shop: &'a mut Workshop,
    pub(crate) pool: &'a Pool,
    pub(crate) size: CorpusSize,
    pub(crate) corpus: &'a Done,
    pub(crate) base: Option<&'a Base>,
}

/// The text as tokens, and what they are tokens of.
pub(crate) struct Tokens {
    pub(crate) tokenizer: Done,
    pub(crate) tokenize: Done,
    /// Where tokens were added to a base.
    pub(crate) extended: Option<Extended>,
}

/// A base with tokens that were added.
pub(crate) struct Extended {
    /// The stage that has the base with them.
    pub(crate) with: Done,
    /// The stage that has the text in the tokens that it had before.
    pub(crate) before: Done,
    source: Source,
    new: NewTokens,
}

impl Tokens {
    /// The weights that a training begins from.
    pub(crate) fn source<'a>(&'a self, base: Option<&'a Base>) -> Option<&'a Source> {
        self.extended.as_ref().map(|extended| &extended.source).or(base.map(|base| &base.source))
    }

    /// How many tokens were added.
    pub(crate) fn added(&self) -> usize {
        self.extended.as_ref().map_or(0, |extended| extended.new.pieces.len())
    }
}

/// What a stage of training is decided by. From nothing, it is as it was
/// before there were bases: what was trained then is still known.
#[derive(Serialize)]
#[serde(untagged)]
enum Decided<'a> {
    FromNothing(&'a Sizes, &'a Schedule, &'a str),
    FromBase(&'a LockedBase, &'a Sizes, &'a Schedule, &'a str),
}

/// What tokens are decided by, beside what goes in. From nothing, it is as it
/// was before there were bases.
#[derive(Serialize)]
#[serde(untagged)]
enum Cut<'a> {
    FromNothing(&'a [String]),
    ForBase(&'a [String], Method),
}

/// All texts of the corpus at `documents`, as the tokenizer wants them.
fn texts(documents: &Path) -> Result<impl Iterator<Item = Result<tokenizer::Text>> + use<>> {
    Ok(corpus::documents(documents)?.map(|document| document.map(text_of)))
}

fn text_of(document: corpus::Document) -> tokenizer::Text {
    let held_out = document.split == corpus::Split::HeldOut;
    let hash = u64::from_str_radix(document.id.get(..16).unwrap_or("0"), 16).unwrap_or(0);
    let messages = document.messages();
    let text = messages.as_deref().map_or(document.text, chat::words);
    tokenizer::Text { held_out, hash, text, language: document.language, messages }
}

impl Work<'_> {
    fn documents(&self) -> Named {
        self.corpus.output("documents.parquet").clone()
    }

    fn bytes(&self) -> u64 {
        self.size.training_bytes + self.size.held_out_bytes
    }

    fn token_file(&self, tokenize: &Done, name: &str) -> Result<TokenFile> {
        TokenFile::open(&self.shop.artefact(tokenize.output(name)))
    }

    /// The tokens, where a base says what they are: they are made before
    /// anything is decided, which then knows how many there are.
    pub(crate) fn tokens_for_base(&mut self) -> Result<Option<Tokens>> {
        if self.base.is_none() {
            return Ok(None);
        }
        let tokens = self.tokens(0)?;
        self.size = self.measured(&tokens.tokenize)?;
        Ok(Some(tokens))
    }

    /// Weights of the model, and numbers of them or beside them that are
    /// learned.
    pub(crate) fn sizes(&self, tokens: &Tokens, learning: &Learning<'_>) -> Result<(u64, u64)> {
        if learning.base.is_some() {
            return Ok((learning.architecture.parameters(), learning.parameters()));
        }
        let vocab = self.token_file(&tokens.tokenize, TRAINING)?.vocab_size() as usize;
        let parameters = Architecture { vocab, ..learning.architecture.clone() }.parameters();
        Ok((parameters, parameters))
    }

    /// The tokenizer, the tokens and, where there is one, the base that they
    /// are for. From nothing, a tokenizer of `vocabulary` tokens is asked for.
    pub(crate) fn tokens(&mut self, vocabulary: usize) -> Result<Tokens> {
        let Some(base) = self.base else {
            let tokenizer = self.train_tokenizer(vocabulary)?;
            let inputs = [self.documents(), tokenizer.output(TOKENIZER[0]).clone()];
            let tokenize = self.tokenize("tokenize", &inputs, &[TRAINING, HELD_OUT], None)?;
            return Ok(Tokens { tokenizer, tokenize, extended: None });
        };
        let tokenizer = self.base_tokenizer(base)?;
        let mut vocab = base.architecture().vocab;
        let mut extended = None;
        let base_name = Named { name: "base".into(), hash: base.hash.clone() };
        if self.recipe.train.new_tokens.is_some() {
            let new = NewTokens::read(&self.shop.artefact(tokenizer.output(NEW_TOKENS)))?;
            vocab = new.vocabulary(vocab);
            let with = self.extend(base, &new, &base_name, tokenizer.output(NEW_TOKENS))?;
            let folder = self.shop.folder.join("base");
            for output in with.outputs.iter().chain(tokenizer.outputs.iter().filter(|o| o.name != NEW_TOKENS)) {
                self.shop.store.show(&output.hash, &folder.join(&output.name))?;
            }
            let source = Source::open(&folder)?;
            let before = [self.documents(), base_name.clone(), base_tokenizer_name(base)];
            let before =
                self.tokenize("tokenize-base", &before, &[HELD_OUT], Some((base, base.architecture().vocab)))?;
            extended = Some(Extended { with, before, source, new });
        }
        let files = TOKENIZER.map(|name| tokenizer.output(name).clone());
        let inputs = [&[self.documents(), base_name][..], &files].concat();
        let tokenize = self.tokenize("tokenize", &inputs, &[TRAINING, HELD_OUT], Some((base, vocab)))?;
        Ok(Tokens { tokenizer, tokenize, extended })
    }

    fn train_tokenizer(&mut self, vocabulary: usize) -> Result<Done> {
        let inputs = [self.documents()];
        let stage =
            Stage { name: "tokenizer", revision: 3, options: &vocabulary, inputs: &inputs, outputs: &TOKENIZER };
        let (bytes, progress) = (self.bytes(), self.context.progress);
        self.shop.run(&stage, |shop, folder| {
            let texts = texts(&shop.artefact(&inputs[0]))?;
            let size = tokenizer::train(texts, bytes, vocabulary, &folder.join(TOKENIZER[0]), progress)?;
            files::write(&folder.join(TOKENIZER[1]), tokenizer_config().as_bytes())?;
            Ok(json!({ "vocabulary": size }))
        })
    }

    /// The tokenizer of the base, with new tokens where they are wished for.
    fn base_tokenizer(&mut self, base: &Base) -> Result<Done> {
        let wished = self.recipe.train.new_tokens;
        let mut inputs = vec![base_tokenizer_name(base)];
        inputs.extend(wished.map(|_| self.documents()));
        let outputs = [TOKENIZER[0], TOKENIZER[1], NEW_TOKENS];
        let outputs = if wished.is_some() { &outputs[..] } else { &TOKENIZER };
        let stage = Stage { name: "tokenizer", revision: 4, options: &wished, inputs: &inputs, outputs };
        let (bytes, progress) = (self.bytes(), self.context.progress);
        self.shop.run(&stage, |shop, folder| {
            base.write_tokenizer(folder)?;
            let Some(count) = wished else { return Ok(json!({ "vocabulary": base.architecture().vocab })) };
            let texts = texts(&shop.artefact(&inputs[1]))?;
            let extended = tokenizer::extend(texts, bytes, &base.tokenizer[0], count, progress)?;
            files::write(&folder.join(TOKENIZER[0]), &extended.json)?;
            let new = NewTokens::of(&extended);
            new.write(&folder.join(NEW_TOKENS))?;
            let size = new.vocabulary(base.architecture().vocab);
            Ok(json!({ "vocabulary": size, "new_tokens": new.pieces.len() }))
        })
    }

    /// The base with rows for new tokens.
    fn extend(&mut self, base: &Base, new: &NewTokens, base_name: &Named, tokens: &Named) -> Result<Done> {
        let inputs = [base_name.clone(), tokens.clone()];
        let stage = Stage { name: "extend", revision: 1, options: &(), inputs: &inputs, outputs: &WEIGHTS };
        let (pool, progress) = (self.pool, self.context.progress);
        self.shop.run(&stage, |_, folder| {
            base.extend(new, folder, pool, progress)?;
            Ok(json!({ "new_tokens": new.pieces.len() }))
        })
    }

    /// Text as tokens, by the tokenizer among the inputs; or for a base, whose
    /// vocabulary may have been extended, by that of the base.
    fn tokenize(
        &mut self,
        name: &'static str,
        inputs: &[Named],
        outputs: &[&'static str],
        base: Option<(&Base, usize)>,
    ) -> Result<Done> {
        let (languages, method) = (&self.recipe.languages, self.recipe.train.method());
        let options = base.map_or(Cut::FromNothing(languages), |_| Cut::ForBase(languages, method));
        let revision = if base.is_some() { 2 } else { 1 };
        let stage = Stage { name, revision, options: &options, inputs, outputs };
        let (bytes, progress) = (self.bytes(), self.context.progress);
        self.shop.run(&stage, |shop, folder| {
            let [training, held_out] = [TRAINING, HELD_OUT].map(|name| folder.join(name));
            let documents = shop.artefact(&inputs[0]);
            let all = outputs.contains(&TRAINING);
            let texts = texts(&documents)?.filter(|text| all || text.as_ref().map_or(true, |text| text.held_out));
            let tokenize = |words: &Words<'_>| {
                tokenizer::tokenize(texts, bytes, languages, words, &training, &held_out, progress).map(plain)
            };
            let Some((base, vocab)) = base else {
                let path = shop.artefact(&inputs[1]);
                let tokenizer = tokenizer::open(&path)?;
                let end = tokenizer
                    .token_to_id(tokenizer::END_OF_TEXT)
                    .ok_or_else(|| Error::new("tokenizer-failed").path(&path).arg("cause", tokenizer::END_OF_TEXT))?;
                return tokenize(&Words { tokenizer: &tokenizer, opening: end, end, chat: None });
            };
            // Those of the stage before, or the base's own.
            let own = tempfile::tempdir_in(folder).at(folder)?;
            base.write_tokenizer(own.path())?;
            for file in inputs.iter().filter(|input| TOKENIZER.contains(&&*input.name)) {
                shop.store.show(&file.hash, &own.path().join(&file.name))?;
            }
            let codec = Codec::in_folder(own.path(), &Architecture { vocab, ..base.architecture().clone() })?;
            let (opening, end) = codec.around()?;
            let turns = |messages: &[Message]| {
                if method == Method::Continue { Err(Error::usage("chat-continue")) } else { codec.turns(messages) }
            };
            tokenize(&Words { tokenizer: codec.tokenizer(), opening, end, chat: Some(&turns) })
        })
    }

    /// Trains what the lock decides, and gives the stage that has it: weights
    /// or adapters.
    pub(crate) fn train(
        &mut self,
        lock: &Lock,
        tokens: &Tokens,
        announce: &mut dyn FnMut(&Cost, &Way),
    ) -> Result<Done> {
        let (pool, progress) = (self.pool, self.context.progress);
        let mut inputs = tokens.tokenize.outputs.clone();
        let mut decided = Decided::FromNothing(&lock.model, &lock.train, &lock.arithmetic);
        if let Some(base) = &lock.base {
            inputs.push(Named { name: "base".into(), hash: base.weights.clone() });
            inputs.extend(tokens.extended.iter().flat_map(|extended| extended.with.outputs.clone()));
            decided = Decided::FromBase(base, &lock.model, &lock.train, &lock.arithmetic);
        }
        let mut learning = lock.learning(tokens.source(self.base));
        let outputs = if learning.lora.is_some() { &ADAPTER_FILES[..] } else { &WEIGHTS };
        let stage = Stage { name: "train", revision: 1, options: &decided, inputs: &inputs, outputs };
        if let Some(done) = self.shop.known(&stage) {
            return Ok(done);
        }
        let (room, ranks) = (self.context.room(), self.context.ranks);
        let [training, held_out] = [TRAINING, HELD_OUT].map(|name| self.token_file(&tokens.tokenize, name));
        let (training, held_out) = (training?, held_out?);
        if lock.base.is_none() {
            // The corpus may have had too few pairs for all that was asked for.
            learning.architecture.vocab = training.vocab_size() as usize;
        }
        memory::check(lock, &learning, &self.recipe.train, room, ranks.size(), self.context.folder)?;
        let way = memory::way_of(lock, &learning, room, ranks.size());
        let every = self.context.checkpoint_every;
        let forecast = forecast::forecast(lock, &learning, self.size, way, every, pool, ranks.size())?;
        announce(&forecast, &way);
        let all_checkpoints = self.shop.folder.join("checkpoints");
        // A folder for each plan: one that was given up does not stand in the
        // way of the next.
        let checkpoints = all_checkpoints.join(&stage::key(&stage)[..16]);
        let build_folder = self.shop.folder.clone();
        let named_base = self.named_base(tokens);
        let done = self.shop.run(&stage, |shop, folder| {
            let activations = way.activations;
            let options = kwaya_train::Options { checkpoint_every: every, keep: 2, activations, ranks };
            let files = [TRAINING, HELD_OUT].map(|name| {
                let path = shop.artefact(tokens.tokenize.output(name));
                path.strip_prefix(&shop.folder).expect("an artefact is in the build folder").to_owned()
            });
            let base = self.recipe.train.base.as_ref().map(|named| match tokens.extended {
                Some(_) => EXTENDED.into(),
                None => named.clone(),
            });
            together::begin(ranks, &learning, base, &lock.train, activations, files)?;
            let trained = learning.train(&lock.train, &training, &held_out, &checkpoints, &options, pool, progress)?;
            match &trained.model {
                Learned::Model(model) => {
                    model.save(folder)?;
                    learning.base.map_or(Ok(()), |base| exchange::write_ends(base.architecture(), folder))?;
                }
                Learned::Adapters(adapters) => adapters.save(folder, &named_base)?,
            }
            Ok(plain(Training {
                seconds: trained.seconds,
                tokens_per_second: trained.tokens_per_second,
                forecast,
                disk_bytes: machine::folder_bytes(&build_folder),
                ranks: ranks.size(),
                bytes_per_step: trained.bytes_per_step,
                curve: curve(&trained.log),
            }))
        })?;
        fs::remove_dir_all(&all_checkpoints).at(&all_checkpoints)?;
        Ok(done)
    }

    /// What adapters call their base: as the recipe has it, so that their
    /// bytes do not depend on where the recipe is.
    fn named_base(&self, tokens: &Tokens) -> String {
        let named = self.recipe.train.base.as_ref().filter(|_| tokens.extended.is_none());
        named.map_or_else(|| format!("../{EXTENDED}"), |named| named.display().to_string())
    }

    /// The base with the adapters of `train` merged into it.
    pub(crate) fn merge(&mut self, tokens: &Tokens, source: &Source, train: &Done) -> Result<Done> {
        let mut inputs = train.outputs.clone();
        inputs.extend(self.base.map(|base| Named { name: "base".into(), hash: base.hash.clone() }));
        inputs.extend(tokens.extended.iter().flat_map(|extended| extended.with.outputs.clone()));
        let stage = Stage { name: "merge", revision: 1, options: &(), inputs: &inputs, outputs: &WEIGHTS };
        let (pool, progress) = (self.pool, self.context.progress);
        self.shop.run(&stage, |shop, folder| {
            let adapter = tempfile::tempdir_in(folder).at(folder)?;
            for file in &train.outputs {
                shop.store.show(&file.hash, &adapter.path().join(&file.name))?;
            }
            let adapters = Adapters::load(adapter.path(), source.architecture())?;
            base::merge(source, &adapters, folder, pool, progress)?;
            Ok(json!({}))
        })
    }

    /// The figures of the model in `folder`, whose weights are an output of
    /// `made`.
    pub(crate) fn evaluate(&mut self, lock: &Lock, tokens: &Tokens, made: &Done, folder: &Path) -> Result<Done> {
        let mut inputs =
            vec![made.output(WEIGHTS[2]).clone(), tokens.tokenize.output(HELD_OUT).clone(), self.documents()];
        if let Some(base) = self.base {
            inputs.push(Named { name: "base".into(), hash: base.hash.clone() });
            inputs.extend(tokens.extended.iter().map(|extended| extended.before.output(HELD_OUT).clone()));
        }
        let revision = if self.base.is_some() { 3 } else { 2 };
        let stage = Stage { name: "evaluate", revision, options: &lock.model.context, inputs: &inputs, outputs: &[] };
        let (pool, progress, context) = (self.pool, self.context.progress, lock.model.context);
        let held_out = self.token_file(&tokens.tokenize, HELD_OUT)?;
        let before =
            tokens.extended.as_ref().map(|extended| self.token_file(&extended.before, HELD_OUT)).transpose()?;
        let before = match self.base {
            None => Before::Random { seed: lock.train.seed },
            Some(base) => Before::Base {
                source: &base.source,
                held_out: before.as_ref().unwrap_or(&held_out),
                context,
                precision: lock.train.precision,
            },
        };
        self.shop.run(&stage, |shop, _| {
            let documents = shop.artefact(&inputs[2]);
            evaluation::evaluate(folder, before, &held_out, &|| texts(&documents), pool, progress).map(plain)
        })
    }

    /// The size of the corpus in the tokens of `tokenize`.
    pub(crate) fn measured(&self, tokenize: &Done) -> Result<CorpusSize> {
        let tokens = self.token_file(tokenize, TRAINING)?.tokens();
        let bytes = self.size.training_bytes.max(1) as f64 / tokens.max(1) as f64;
        Ok(CorpusSize { bytes_per_token: Some(bytes), ..self.size })
    }

    /// What the lock says of the base.
    pub(crate) fn locked(&self, tokens: &Tokens) -> Option<LockedBase> {
        let (base, wishes) = (self.base?, &self.recipe.train);
        let new = tokens.extended.as_ref().map(|extended| &extended.new).filter(|new| !new.pieces.is_empty());
        let rows = new.map(|new| kwaya_model::Tokens { first: new.first, count: new.pieces.len() as u32 });
        let lora = Lora { tokens: rows, ..crate::plan::lora_of(wishes) };
        Some(LockedBase {
            weights: base.hash.clone(),
            tokenizer: base.tokenizer_hash(),
            method: wishes.method(),
            new_tokens: tokens.added(),
            lora: (wishes.method() == Method::Lora).then_some(lora),
        })
    }
}

/// Where a base with new tokens is, from the folder of the recipe.
const EXTENDED: &str = "build/base";

fn base_tokenizer_name(base: &Base) -> Named {
    Named { name: "base-tokenizer".into(), hash: base.tokenizer_hash() }
}

/// What `transformers` needs to load `tokenizer.json` by itself.
fn tokenizer_config() -> String {
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokenizer::END_OF_TEXT,
        "eos_token": tokenizer::END_OF_TEXT,
        // Each text follows the end of another.
        "add_bos_token": true,
        "clean_up_tokenization_spaces": false,
    });
    format!("{config:#}\n")
}

/// The log with neighbouring steps averaged, so that a ledger line stays
/// short however long the training was. Each held-out figure stays.
fn curve(log: &[LogEntry]) -> Vec<LogEntry> {
    log.chunks(log.len().div_ceil(CURVE_POINTS).max(1))
        .filter_map(|chunk| {
            let mut point = chunk.last()?.clone();
            point.loss = chunk.iter().map(|e| e.loss).sum::<f32>() / chunk.len() as f32;
            point.held_out = chunk.iter().rev().find_map(|e| e.held_out);
            Some(point)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_becomes_a_short_curve_with_the_same_mean() {
        let entry = |step: u64| LogEntry {
            step,
            loss: step as f32,
            learning_rate: 0.1,
            gradient_norm: 1.0,
            tokens: step,
            seconds: 0.0,
            held_out: step.is_multiple_of(5_000).then_some(2.0),
        };
        let log: Vec<LogEntry> = (1..=100_000).map(entry).collect();
        let curve = curve(&log);
        assert_eq!(curve.len(), CURVE_POINTS);
        assert_eq!(curve.iter().filter(|e| e.held_out.is_some()).count(), 20);
        let mean = curve.iter().map(|e| f64::from(e.loss)).sum::<f64>() / curve.len() as f64;
        assert!((mean - 50_000.5).abs() < 1.0, "{mean}");
        assert_eq!(self::curve(&log[..7]).len(), 7);
        assert!(self::curve(&[]).is_empty());
    }
}
