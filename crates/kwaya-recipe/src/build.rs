//! The build: from documents to a model, stage after stage, each skipped when
//! its inputs have not changed, all of it resumable.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kwaya_base::{Error, Progress, Result, error::At, files};
use kwaya_math::Pool;
use kwaya_text::{corpus, extract::Worker, sources, tokenizer};
use kwaya_train::{LogEntry, Ranks, TokenFile};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    evaluation::{self, Evaluation},
    forecast::{self, Cost},
    ledger::{Ledger, Named},
    lock::Lock,
    machine,
    memory::{self, Room, Way},
    plan::{self, CorpusSize, Rung},
    recipe::Recipe,
    report,
    stage::{self, Done, Stage, Workshop},
    together,
};

/// The stages in order, by their names in the ledger.
pub const STAGES: [&str; 5] = ["corpus", "tokenizer", "tokenize", "train", "evaluate"];

/// Points of the loss curve that the ledger keeps.
const CURVE_POINTS: usize = 400;

/// What a build runs with and what does not decide bits.
pub struct Context<'a> {
    /// The folder of the recipe.
    pub folder: &'a Path,
    /// Threads to read documents with.
    pub threads: usize,
    /// Threads to train with: fewer where several processes share a machine.
    pub training_threads: usize,
    /// The processes that train together.
    pub ranks: &'a dyn Ranks,
    /// How documents are parsed: in a child process, by a program.
    pub worker: Worker,
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// Between two checkpoints of the training: what a power cut may cost.
    pub checkpoint_every: Duration,
    /// Bytes of memory to use at most; without, what is free.
    pub memory: Option<u64>,
}

impl Context<'_> {
    /// The memory that may be used now.
    fn room(&self) -> Room {
        let room = Room::of(&machine::Machine::look(self.folder, self.threads), self.memory);
        room.shared(self.ranks.beside())
    }
}

/// What is told before the work starts.
pub struct Announcement<'a> {
    /// What was decided.
    pub lock: &'a Lock,
    /// What was measured to decide it, when this run did.
    pub rungs: &'a [Rung],
    /// What it will cost.
    pub forecast: &'a Cost,
    /// How it will be trained, and what that takes of memory.
    pub way: &'a Way,
}

/// What was planned.
#[derive(Serialize)]
pub struct Planned {
    /// What was decided.
    pub lock: Lock,
    /// What was measured to decide it.
    #[serde(rename = "measured")]
    pub rungs: Vec<Rung>,
    /// What it will cost.
    pub forecast: Cost,
    /// How it will be trained, and what that takes of memory.
    pub way: Way,
}

/// What a training came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// Seconds of it, over all runs.
    pub seconds: f64,
    /// Tokens per second, over all runs.
    pub tokens_per_second: f64,
    /// What was foretold of the build.
    pub forecast: Cost,
    /// The most bytes that the build folder took.
    pub disk_bytes: u64,
    /// Processes that shared the work of its last run.
    #[serde(default = "one")]
    pub ranks: usize,
    /// Bytes that each of them sent in a step.
    #[serde(default)]
    pub bytes_per_step: u64,
    /// The loss, at most some hundred points.
    pub curve: Vec<LogEntry>,
}

/// What a build has made, with every figure that the report shows.
#[derive(Serialize)]
pub struct Built {
    /// The recipe.
    pub recipe: Recipe,
    /// What was decided.
    pub lock: Lock,
    /// Weights of the model.
    pub parameters: u64,
    /// Where the model is.
    pub model: PathBuf,
    /// Where the report is.
    pub report: PathBuf,
    /// The stages in order.
    pub stages: Vec<Done>,
    /// What became of the documents.
    pub corpus: corpus::Stats,
    /// What became of the text.
    pub tokens: tokenizer::TokenStats,
    /// The training.
    pub training: Training,
    /// Bits per byte on held-out text, and samples.
    pub evaluation: Evaluation,
    /// What the build cost, over all runs.
    pub truth: Cost,
    /// How long this run took.
    pub seconds: f64,
}

fn one() -> usize {
    1
}

fn plain(figures: impl Serialize) -> Value {
    serde_json::to_value(figures).expect("figures are plain data")
}

fn figures<T: DeserializeOwned>(done: &Done) -> Result<T> {
    serde_json::from_value(done.figures.clone()).map_err(|e| Error::new("ledger-figures").arg("cause", e))
}

/// Reads the documents and brings the corpus up to date.
fn gather(context: &Context<'_>, recipe: &Recipe, shop: &mut Workshop) -> Result<(sources::Listing, Done)> {
    let sources = recipe.sources(context.folder);
    let listing = sources::scan(&sources, recipe.corpus.max_file_mb * 1_000_000, context.progress)?;
    let options = corpus::Options {
        languages: recipe.languages.clone(),
        min_characters: recipe.corpus.min_characters,
        max_file_bytes: recipe.corpus.max_file_mb * 1_000_000,
        near_duplicate: recipe.corpus.near_duplicate,
        held_out: recipe.corpus.held_out,
        redact: recipe.corpus.redact,
        threads: context.threads,
        worker: context.worker.clone(),
    };
    let inputs = [Named { name: "documents".into(), hash: listing.hash.clone() }];
    let stage = Stage {
        name: "corpus",
        revision: 2,
        options: &(&recipe.languages, &recipe.corpus),
        inputs: &inputs,
        outputs: &["documents.parquet", "dropped.parquet"],
    };
    let done = shop.run(&stage, |_, folder| {
        let built = corpus::build(&listing, &sources, &options, folder, context.progress);
        // Where nothing was kept, the table that says why is all there is.
        if matches!(&built, Err(error) if error.key() == "corpus-empty") {
            let dropped = fs::read(folder.join("dropped.parquet")).at(folder)?;
            let shown = context.folder.join("build/corpus");
            fs::create_dir_all(&shown).at(&shown)?;
            files::write(&shown.join("dropped.parquet"), &dropped)?;
        }
        built.map(plain)
    })?;
    for name in ["documents.parquet", "dropped.parquet"] {
        shop.store.show(&done.output(name).hash, &shop.folder.join("corpus").join(name))?;
    }
    Ok((listing, done))
}

/// Decides sizes and steps for the time there is, and writes the lock.
///
/// # Errors
/// What the recipe, the documents, the machine or the time do not allow.
pub fn plan(context: &Context<'_>, within: Duration) -> Result<Planned> {
    let recipe = Recipe::read(context.folder)?;
    let mut shop = Workshop::open(context.folder)?;
    let (listing, corpus_done) = gather(context, &recipe, &mut shop)?;
    let size = corpus_size(&corpus_done)?;
    let pool = Pool::new(context.training_threads);
    let (lock, rungs) = decide(context, &recipe, listing.hash, size, &pool, within)?;
    let ranks = context.ranks.size();
    let way = memory::way_of(&lock, context.room(), ranks);
    let forecast = forecast::forecast(&lock, size, way, context.checkpoint_every, &pool, ranks)?;
    Ok(Planned { lock, rungs, forecast, way })
}

fn decide(
    context: &Context<'_>,
    recipe: &Recipe,
    documents: String,
    size: CorpusSize,
    pool: &Pool,
    within: Duration,
) -> Result<(Lock, Vec<Rung>)> {
    let ranks = context.ranks.size();
    let mut wishes = recipe.train.clone();
    if ranks > 1 {
        // As many as there are processes, so that each has work.
        wishes.micro_batches = wishes.micro_batches.or(Some(ranks));
    }
    let chosen = plan::choose(size, &wishes, within, context.room(), pool, ranks, context.progress)?;
    let (languages, wishes) = (recipe.languages.clone(), recipe.corpus.clone());
    let lock = Lock::new(documents, languages, wishes, chosen.vocabulary, chosen.sizes, chosen.schedule);
    lock.write(context.folder)?;
    Ok((lock, chosen.rungs))
}

fn corpus_size(corpus_done: &Done) -> Result<CorpusSize> {
    let stats: corpus::Stats = figures(corpus_done)?;
    let held_out_bytes = stats.languages.values().map(|l| l.held_out_bytes).sum();
    Ok(CorpusSize {
        training_bytes: stats.bytes - held_out_bytes,
        held_out_bytes,
        languages: stats.languages.len(),
        seconds: corpus_done.seconds,
    })
}

/// Does all of it, or goes on where it stopped. Without a lock it plans
/// first, for the time `within`. `announce` is called before the training
/// starts.
///
/// # Errors
/// What any stage brings; finished stages and checkpoints stay.
pub fn build(context: &Context<'_>, within: Duration, announce: &mut dyn FnMut(&Announcement<'_>)) -> Result<Built> {
    let began = Instant::now();
    let recipe = Recipe::read(context.folder)?;
    let mut shop = Workshop::open(context.folder)?;
    let existing = Lock::read(context.folder)?;
    // Where a model was trained there may be nothing left to train.
    if let Some(lock) = &existing
        && !shop.ledger.entries().iter().any(|entry| entry.stage == "train")
    {
        memory::check(lock, &recipe.train, context.room(), context.ranks.size(), context.folder)?;
    }
    let (listing, corpus_done) = gather(context, &recipe, &mut shop)?;
    let size = corpus_size(&corpus_done)?;
    let pool = Pool::new(context.training_threads);
    let (lock, rungs) = match existing {
        Some(lock) => (lock, Vec::new()),
        None => decide(context, &recipe, listing.hash.clone(), size, &pool, within)?,
    };
    agree(context.folder, &lock, &recipe, &listing.hash)?;
    let mut work =
        Work { context, recipe: &recipe, shop: &mut shop, lock: &lock, pool: &pool, size, corpus: &corpus_done };

    let tokenizer_done = work.tokenizer()?;
    let tokenize_done = work.tokenize(&tokenizer_done)?;
    let training = work.tokens(&tokenize_done, "training.safetensors")?;
    let held_out = work.tokens(&tokenize_done, "held-out.safetensors")?;
    let train_done = work.train(&tokenize_done, &training, &held_out, &mut |forecast, way| {
        announce(&Announcement { lock: &lock, rungs: &rungs, forecast, way });
    })?;
    let model = work.shop.folder.join("model");
    for output in train_done.outputs.iter().chain(&tokenizer_done.outputs) {
        work.shop.store.show(&output.hash, &model.join(&output.name))?;
    }
    let shown = work.shop.folder.join("tokenizer.json");
    work.shop.store.show(&tokenizer_done.output("tokenizer.json").hash, &shown)?;
    let evaluate_done = work.evaluate(&train_done, &tokenize_done, &model, &held_out)?;

    let (corpus, tokens, evaluation) = (figures(&corpus_done)?, figures(&tokenize_done)?, figures(&evaluate_done)?);
    let trained: Training = figures(&train_done)?;
    let stages = vec![corpus_done, tokenizer_done, tokenize_done, train_done, evaluate_done];
    // A stage's time is of its last run; a training may have had several.
    let earlier_runs = (trained.seconds - stages[3].seconds).max(0.0);
    let truth = Cost {
        seconds: stages[1..].iter().map(|s| s.seconds).sum::<f64>() + earlier_runs,
        training_seconds: trained.seconds,
        memory_bytes: stages[1..].iter().map(|s| s.peak_memory_bytes).max().flatten(),
        disk_bytes: trained.disk_bytes,
    };
    let parameters = lock.model.config(training.vocab_size() as usize).parameters();
    let built = Built {
        recipe,
        lock,
        parameters,
        model,
        report: shop.folder.join("report.html"),
        stages,
        corpus,
        tokens,
        training: trained,
        evaluation,
        truth,
        seconds: began.elapsed().as_secs_f64(),
    };
    let machine = machine::Machine::look(context.folder, context.threads);
    report::write(&built, &machine, shop.ledger.entries(), &shop.folder)?;
    Ok(built)
}

/// The figures of the corpus in `folder`, from its ledger.
///
/// # Errors
/// `corpus-missing` before there is one.
pub fn corpus_stats(folder: &Path) -> Result<corpus::Stats> {
    let build = folder.join("build");
    let ledger = Ledger::read(&build.join("ledger.jsonl"))?;
    let entry = ledger.entries().iter().rev().find(|e| e.stage == "corpus");
    let entry = entry.ok_or_else(|| Error::new("corpus-missing").path(folder))?;
    serde_json::from_value(entry.figures.clone()).map_err(|e| Error::new("ledger-figures").arg("cause", e))
}

/// How far one stage is.
#[derive(Clone, Debug, Serialize)]
pub struct StageStatus {
    /// Its name in the ledger.
    pub stage: &'static str,
    /// How long it took, when it is done.
    pub seconds: Option<f64>,
    /// Where the newest checkpoint is, when it is not done.
    pub reached: Option<Reached>,
}

/// How far a training is.
#[derive(Clone, Debug, Serialize)]
pub struct Reached {
    /// The step of the newest checkpoint.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// What is left from there, at the speed so far.
    pub seconds_left: f64,
}

/// What is done in `folder` and what is left, as the ledger and the newest
/// checkpoint have it. A build may be at work meanwhile.
///
/// # Errors
/// When there is no recipe, or the ledger or the lock are not as written.
pub fn status(folder: &Path) -> Result<Vec<StageStatus>> {
    Recipe::read(folder)?;
    let lock = Lock::read(folder)?;
    let build = folder.join("build");
    let ledger = Ledger::read(&build.join("ledger.jsonl"))?;
    let reached = || {
        let steps = lock.as_ref()?.train.steps;
        let newest = fs::read_dir(build.join("checkpoints")).ok()?.flatten();
        let point = newest.filter_map(|entry| kwaya_train::reached(&entry.path())).max_by_key(|point| point.step)?;
        let seconds_left = point.seconds / point.step as f64 * steps.saturating_sub(point.step) as f64;
        Some(Reached { step: point.step, steps, seconds_left })
    };
    // A stage that ran before the one ahead of it ran again is to be done anew.
    let mut since = 0;
    let mut whole = true;
    let stages = STAGES.map(|stage| {
        let entry = ledger.entries().iter().rev().find(|e| e.stage == stage);
        let entry = entry.filter(|entry| whole && entry.index >= since);
        whole = entry.is_some();
        since = entry.map_or(since, |entry| entry.index);
        let reached = (stage == "train" && entry.is_none()).then(reached).flatten();
        StageStatus { stage, seconds: entry.map(|e| e.seconds), reached }
    });
    Ok(stages.into())
}

/// The lock must be about this recipe and these documents.
fn agree(folder: &Path, lock: &Lock, recipe: &Recipe, documents: &str) -> Result<()> {
    let path = folder.join(crate::lock::LOCK);
    let refuse = |key| Err(Error::usage(key).path(&path).arg("folder", folder.display()));
    if lock.languages != recipe.languages || lock.corpus != recipe.corpus {
        return refuse("lock-recipe");
    }
    if lock.documents != documents {
        return refuse("lock-documents");
    }
    Ok(())
}

/// What the stages after the corpus have in common.
struct Work<'a> {
    context: &'a Context<'a>,
    recipe: &'a Recipe,
    shop: &'a mut Workshop,
    lock: &'a Lock,
    pool: &'a Pool,
    size: CorpusSize,
    corpus: &'a Done,
}

/// All texts of the corpus at `documents`, as the tokenizer wants them.
fn texts(documents: &Path) -> Result<impl Iterator<Item = Result<tokenizer::Text>> + use<>> {
    Ok(corpus::documents(documents)?.map(|document| document.map(text_of)))
}

fn text_of(document: corpus::Document) -> tokenizer::Text {
    let held_out = document.split == corpus::Split::HeldOut;
    let hash = u64::from_str_radix(document.id.get(..16).unwrap_or("0"), 16).unwrap_or(0);
    tokenizer::Text { held_out, hash, text: document.text, language: document.language }
}

impl Work<'_> {
    fn documents(&self) -> &Named {
        self.corpus.output("documents.parquet")
    }

    fn bytes(&self) -> u64 {
        self.size.training_bytes + self.size.held_out_bytes
    }

    fn tokens(&self, tokenize: &Done, name: &str) -> Result<TokenFile> {
        TokenFile::open(&self.shop.artefact(tokenize.output(name)))
    }

    fn tokenizer(&mut self) -> Result<Done> {
        let inputs = [self.documents().clone()];
        let stage = Stage {
            name: "tokenizer",
            revision: 3,
            options: &self.lock.vocabulary,
            inputs: &inputs,
            outputs: &["tokenizer.json", "tokenizer_config.json"],
        };
        let (bytes, vocabulary, progress) = (self.bytes(), self.lock.vocabulary, self.context.progress);
        self.shop.run(&stage, |shop, folder| {
            let texts = texts(&shop.artefact(&inputs[0]))?;
            let size = tokenizer::train(texts, bytes, vocabulary, &folder.join("tokenizer.json"), progress)?;
            files::write(&folder.join("tokenizer_config.json"), tokenizer_config().as_bytes())?;
            Ok(json!({ "vocabulary": size }))
        })
    }

    fn tokenize(&mut self, tokenizer: &Done) -> Result<Done> {
        let inputs = [self.documents().clone(), tokenizer.output("tokenizer.json").clone()];
        let stage = Stage {
            name: "tokenize",
            revision: 1,
            options: &self.lock.languages,
            inputs: &inputs,
            outputs: &["training.safetensors", "held-out.safetensors"],
        };
        let (bytes, languages, progress) = (self.bytes(), &self.lock.languages, self.context.progress);
        self.shop.run(&stage, |shop, folder| {
            let [documents, tokenizer] = [0, 1].map(|i| shop.artefact(&inputs[i]));
            let [training, held_out] = [0, 1].map(|i| folder.join(stage.outputs[i]));
            let texts = texts(&documents)?;
            tokenizer::tokenize(texts, bytes, languages, &tokenizer, &training, &held_out, progress).map(plain)
        })
    }

    fn train(
        &mut self,
        tokenize: &Done,
        training: &TokenFile,
        held_out: &TokenFile,
        announce: &mut dyn FnMut(&Cost, &Way),
    ) -> Result<Done> {
        let (lock, pool, progress) = (self.lock, self.pool, self.context.progress);
        let stage = Stage {
            name: "train",
            revision: 1,
            options: &(&lock.model, &lock.train, &lock.arithmetic),
            inputs: &tokenize.outputs,
            outputs: &["config.json", "generation_config.json", "model.safetensors"],
        };
        if let Some(done) = self.shop.known(&stage) {
            return Ok(done);
        }
        let (room, ranks) = (self.context.room(), self.context.ranks);
        memory::check(lock, &self.recipe.train, room, ranks.size(), self.context.folder)?;
        let way = memory::way_of(lock, room, ranks.size());
        let forecast = forecast::forecast(lock, self.size, way, self.context.checkpoint_every, pool, ranks.size())?;
        announce(&forecast, &way);
        let config = lock.model.config(training.vocab_size() as usize);
        let all_checkpoints = self.shop.folder.join("checkpoints");
        // A folder for each plan: one that was given up does not stand in the
        // way of the next.
        let checkpoints = all_checkpoints.join(&stage::key(&stage)[..16]);
        let build_folder = self.shop.folder.clone();
        let checkpoint_every = self.context.checkpoint_every;
        let done = self.shop.run(&stage, |shop, folder| {
            let activations = way.activations;
            let options = kwaya_train::Options { checkpoint_every, keep: 2, activations, ranks };
            let files = ["training.safetensors", "held-out.safetensors"].map(|name| {
                let path = shop.artefact(tokenize.output(name));
                path.strip_prefix(&shop.folder).expect("an artefact is in the build folder").to_owned()
            });
            together::begin(ranks, &config, &lock.train, activations, files)?;
            let trained =
                kwaya_train::train(&config, &lock.train, training, held_out, &checkpoints, &options, pool, progress)?;
            trained.model.save(folder)?;
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

    fn evaluate(&mut self, train: &Done, tokenize: &Done, model: &Path, held_out: &TokenFile) -> Result<Done> {
        let inputs = [
            train.output("model.safetensors").clone(),
            tokenize.output("held-out.safetensors").clone(),
            self.documents().clone(),
        ];
        let stage =
            Stage { name: "evaluate", revision: 2, options: &self.lock.model.context, inputs: &inputs, outputs: &[] };
        let (seed, pool, progress) = (self.lock.train.seed, self.pool, self.context.progress);
        self.shop.run(&stage, |shop, _| {
            let documents = shop.artefact(&inputs[2]);
            evaluation::evaluate(model, seed, held_out, &|| texts(&documents), pool, progress).map(plain)
        })
    }
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
