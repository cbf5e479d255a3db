//! The build: from documents to a model, stage after stage, each skipped when
//! its inputs have not changed, all of it resumable.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kwaya_base::{Error, Progress, Result, error::At, files};
use kwaya_math::Pool;
use kwaya_model::ADAPTER_FILES;
use kwaya_text::{
    corpus,
    extract::Worker,
    keep_out::KeepOut,
    sources::{self, Listing, Source},
    tokenizer,
    withdrawn::Withdrawn,
};
use kwaya_train::{LogEntry, Ranks};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    base::{Base, TOKENIZER},
    card,
    evaluation::Evaluation,
    forecast::{self, Cost},
    learning::Learning,
    ledger::{Ledger, Named},
    lock::Lock,
    machine,
    memory::{self, Room, Way},
    personal,
    plan::{self, CorpusSize, Rung},
    recipe::{Method, Recipe},
    report,
    rights::{self, Checked, Day},
    stage::{Done, Stage, Workshop},
    stages::{Tokens, Work},
};

/// The stages of a recipe in order, by their names in the ledger.
fn stages(recipe: &Recipe) -> Vec<&'static str> {
    let taught = recipe.train.base.is_some();
    let extended = taught && recipe.train.new_tokens.is_some();
    let merged = taught && recipe.train.method() == Method::Lora;
    let mut stages = vec!["corpus", "tokenizer"];
    stages.extend(extended.then_some(["extend", "tokenize-base"]).into_iter().flatten());
    stages.extend(["tokenize", "train"]);
    stages.extend(merged.then_some("merge"));
    stages.push("evaluate");
    stages
}

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
    pub(crate) fn room(&self) -> Room {
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
    /// Weights of the model.
    pub parameters: u64,
    /// Numbers that are learned: fewer where there are adapters.
    pub learned: u64,
}

/// What was planned.
#[derive(Serialize)]
pub struct Planned {
    /// Consent, compared with the day of the plan.
    pub rights: Checked,
    /// What was decided.
    pub lock: Lock,
    /// What was measured to decide it.
    #[serde(rename = "measured")]
    pub rungs: Vec<Rung>,
    /// What it will cost.
    pub forecast: Cost,
    /// How it will be trained, and what that takes of memory.
    pub way: Way,
    /// Weights of the model.
    pub parameters: u64,
    /// Numbers that are learned: fewer where there are adapters.
    pub learned: u64,
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
    /// Numbers that were learned: fewer where there are adapters.
    pub learned: u64,
    /// Where the model is.
    pub model: PathBuf,
    /// Where its adapters are, in the format of PEFT.
    pub adapter: Option<PathBuf>,
    /// The licence of its base, as the files of that state it.
    pub base_licence: Option<String>,
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

pub(crate) fn plain(figures: impl Serialize) -> Value {
    serde_json::to_value(figures).expect("figures are plain data")
}

fn figures<T: DeserializeOwned>(done: &Done) -> Result<T> {
    serde_json::from_value(done.figures.clone()).map_err(|e| Error::new("ledger-figures").arg("cause", e))
}

/// What decides a corpus besides the documents: a recipe, and the files beside it.
pub struct Settings {
    /// The recipe.
    pub recipe: Recipe,
    /// Its sources.
    pub sources: Vec<Source>,
    /// What decides which documents are kept.
    pub options: corpus::Options,
    /// The hashes of what files beside the recipe say.
    beside: Vec<String>,
    ocr: Option<String>,
    privacy: Option<String>,
}

impl Settings {
    /// Those in `folder`, for work on so many threads.
    ///
    /// # Errors
    /// When the recipe or a file that it names is missing or wrong.
    pub fn read(folder: &Path, threads: usize, worker: Worker) -> Result<Self> {
        Self::of(Recipe::read(folder)?, folder, threads, worker)
    }

    fn of(recipe: Recipe, folder: &Path, threads: usize, worker: Worker) -> Result<Self> {
        let privacy = personal::rules(&recipe, folder)?;
        let (learned, mut beside): (Vec<_>, Vec<_>) = recipe.learned(folder)?.into_iter().unzip();
        let (word_lists, of_lists) = recipe.word_lists(folder)?;
        beside.extend(of_lists);
        let paths: Vec<PathBuf> = recipe.corpus.keep_out.iter().map(|path| folder.join(path)).collect();
        let keep_out = KeepOut::read(&paths)?;
        beside.extend((!paths.is_empty()).then(|| keep_out.hash()));
        let privacy_hash = privacy.as_ref().map(|rules| rules.hash().to_owned());
        beside.extend(privacy_hash.clone().filter(|_| personal::has_files(&recipe)));
        let ocr = &recipe.corpus.ocr;
        let ocr = if ocr.is_empty() { None } else { Some(corpus::Ocr::find(ocr)?) };
        let ocr_version = ocr.as_ref().map(corpus::Ocr::describe);
        let options = corpus::Options {
            languages: recipe.languages.clone(),
            learned,
            paragraphs: recipe.corpus.paragraphs,
            min_characters: recipe.corpus.min_characters,
            max_file_bytes: recipe.corpus.max_file_mb * 1_000_000,
            near_duplicate: recipe.corpus.near_duplicate,
            held_out: recipe.corpus.held_out,
            privacy,
            unique_paragraphs: recipe.corpus.unique_paragraphs,
            keep_out,
            quality: recipe.corpus.quality.clone(),
            word_lists,
            withdrawn: Withdrawn::read(folder)?,
            ocr,
            threads,
            worker,
            ..corpus::Options::default()
        };
        let sources = recipe.sources(folder);
        Ok(Self { recipe, sources, options, beside, ocr: ocr_version, privacy: privacy_hash })
    }

    /// A hash of all of it: machines on which it is the same make the same of a
    /// document.
    pub fn hash(&self) -> String {
        let Self { recipe, options, beside, ocr, privacy, .. } = self;
        let all =
            (&recipe.languages, &recipe.corpus, &recipe.source, options.withdrawn.without(""), beside, ocr, privacy);
        blake3::hash(plain(all).to_string().as_bytes()).to_string()
    }
}

/// Who else works on a corpus, before the build goes on with what they have done.
pub trait Hands {
    /// Lists the files of the sources, as [`sources::scan`] does.
    ///
    /// # Errors
    /// Those of [`sources::scan`].
    fn list(&self, settings: &Settings, progress: &dyn Progress) -> Result<Listing> {
        sources::scan(&settings.sources, settings.options.max_file_bytes, progress)
    }

    /// Leaves in `unfinished` what [`corpus::build`] then finds done.
    ///
    /// # Errors
    /// What keeps them from it.
    fn help(
        &self,
        _settings: &Settings,
        _listing: &Listing,
        _unfinished: &Path,
        _progress: &dyn Progress,
    ) -> Result<()> {
        Ok(())
    }
}

/// Nobody does.
pub struct Nobody;

impl Hands for Nobody {}

/// Brings the corpus up to date, and nothing else.
///
/// # Errors
/// What the recipe, the documents or the helping hands bring.
pub fn corpus(context: &Context<'_>, hands: &dyn Hands) -> Result<Done> {
    let recipe = Recipe::read(context.folder)?;
    rights::check(&recipe, Day::today())?;
    let mut shop = Workshop::open(context.folder)?;
    Ok(gather(context, &recipe, &mut shop, hands)?.1)
}

/// Reads the documents and brings the corpus up to date.
fn gather(context: &Context<'_>, recipe: &Recipe, shop: &mut Workshop, hands: &dyn Hands) -> Result<(Listing, Done)> {
    let settings = Settings::of(recipe.clone(), context.folder, context.threads, context.worker.clone())?;
    let Settings { sources, options, beside, .. } = &settings;
    let mut listing = hands.list(&settings, context.progress)?;
    listing.hash = options.withdrawn.without(&listing.hash);
    // What files beside the recipe say decides what is kept, as the documents do.
    if !beside.is_empty() {
        listing.hash = blake3::hash(format!("{}\n{}", listing.hash, beside.join("\n")).as_bytes()).to_string();
    }
    let inputs = [Named { name: "documents".into(), hash: listing.hash.clone() }];
    let stage = Stage {
        name: "corpus",
        revision: 7,
        options: &(&recipe.languages, &recipe.corpus, &settings.ocr, &settings.privacy),
        inputs: &inputs,
        outputs: &["documents.parquet", "dropped.parquet"],
    };
    let done = shop.run(&stage, |shop, folder| {
        let unfinished = shop.unfinished(&stage)?;
        hands.help(&settings, &listing, &unfinished, context.progress)?;
        let built = corpus::build(&listing, sources, options, &unfinished, folder, context.progress);
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
    record_rights(recipe, shop, &done)?;
    card::of_ledger(recipe, shop.ledger.entries(), context.folder)?;
    Ok((listing, done))
}

/// Leaves beside the corpus what each source allows, and a line of it in the
/// ledger. A stage of its own, on which no other depends: when consent is
/// given for longer, no model needs to be trained again.
fn record_rights(recipe: &Recipe, shop: &mut Workshop, corpus: &Done) -> Result<()> {
    let sources = rights::of_sources(recipe, &figures(corpus)?);
    let inputs = [corpus.output("documents.parquet").clone()];
    let options = (&recipe.uses, &sources);
    let stage = Stage { name: "rights", revision: 1, options: &options, inputs: &inputs, outputs: &[rights::SOURCES] };
    let done = shop.run(&stage, |_, folder| {
        let body = serde_json::to_string_pretty(&sources).expect("rights are plain data");
        files::write(&folder.join(rights::SOURCES), format!("{body}\n").as_bytes())?;
        Ok(serde_json::json!({ "use": recipe.uses, "sources": sources }))
    })?;
    shop.store.show(&done.output(rights::SOURCES).hash, &shop.folder.join("corpus").join(rights::SOURCES))
}

/// Decides sizes and steps for the time there is, and writes the lock.
///
/// # Errors
/// What the recipe, the documents, the machine or the time do not allow.
pub fn plan(context: &Context<'_>, within: Duration) -> Result<Planned> {
    let recipe = Recipe::read(context.folder)?;
    let rights = rights::check(&recipe, Day::today())?;
    let mut shop = Workshop::open(context.folder)?;
    let base = base(context, &recipe)?;
    let (listing, corpus) = gather(context, &recipe, &mut shop, &Nobody)?;
    let (pool, size) = (Pool::new(context.training_threads), corpus_size(&corpus)?);
    let mut work =
        Work { context, recipe: &recipe, shop: &mut shop, pool: &pool, size, corpus: &corpus, base: base.as_ref() };
    let tokens = work.tokens_for_base()?;
    let (lock, rungs) = decide(&work, tokens.as_ref(), listing.hash, within)?;
    let learning = lock.learning(tokens.as_ref().and_then(|tokens| tokens.source(base.as_ref())));
    let ranks = context.ranks.size();
    let way = memory::way_of(&lock, &learning, context.room(), ranks);
    let forecast = forecast::forecast(&lock, &learning, work.size, way, context.checkpoint_every, &pool, ranks)?;
    let (parameters, learned) = (learning.architecture.parameters(), learning.parameters());
    Ok(Planned { rights, lock, rungs, forecast, way, parameters, learned })
}

/// The base that the recipe names, if it can be taught in the way that is wished.
fn base(context: &Context<'_>, recipe: &Recipe) -> Result<Option<Base>> {
    let Some(named) = &recipe.train.base else { return Ok(None) };
    let base = Base::open(context.folder, named)?;
    if recipe.train.method() != Method::Lora {
        base.source.learned_whole()?;
    }
    Ok(Some(base))
}

fn decide(work: &Work<'_>, tokens: Option<&Tokens>, documents: String, within: Duration) -> Result<(Lock, Vec<Rung>)> {
    let (context, recipe) = (work.context, work.recipe);
    let (ranks, room, progress) = (context.ranks.size(), context.room(), context.progress);
    let mut wishes = recipe.train.clone();
    if ranks > 1 {
        // As many as there are processes, so that each has work.
        wishes.micro_batches = wishes.micro_batches.or(Some(ranks));
    }
    let locked = tokens.and_then(|tokens| work.locked(tokens));
    let chosen = match tokens.and_then(|tokens| tokens.source(work.base)) {
        None => plan::choose(work.size, &wishes, within, room, work.pool, ranks, progress)?,
        Some(source) => {
            let lora = locked.as_ref().and_then(|base| base.lora.clone());
            let learning = Learning::of_base(source, lora)?;
            plan::choose_for_base(work.size, &learning, &wishes, within, room, work.pool, ranks, progress)?
        }
    };
    let (languages, corpus) = (recipe.languages.clone(), recipe.corpus.clone());
    let lock = Lock::new(documents, languages, corpus, chosen.vocabulary, locked, chosen.sizes, chosen.schedule);
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
        bytes_per_token: None,
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
    rights::check(&recipe, Day::today())?;
    let mut shop = Workshop::open(context.folder)?;
    let existing = Lock::read(context.folder)?;
    let base = base(context, &recipe)?;
    // Where a model was trained there may be nothing left to train.
    if let Some(lock) = &existing
        && !shop.ledger.entries().iter().any(|entry| entry.stage == "train")
    {
        let learning = lock.learning(base.as_ref().map(|base| &base.source));
        memory::check(lock, &learning, &recipe.train, context.room(), context.ranks.size(), context.folder)?;
    }
    let (listing, corpus_done) = gather(context, &recipe, &mut shop, &Nobody)?;
    let (pool, size) = (Pool::new(context.training_threads), corpus_size(&corpus_done)?);
    let (recipe_of, corpus) = (&recipe, &corpus_done);
    let mut work = Work { context, recipe: recipe_of, shop: &mut shop, pool: &pool, size, corpus, base: base.as_ref() };
    let for_base = work.tokens_for_base()?;
    let (lock, rungs) = match existing {
        Some(lock) => (lock, Vec::new()),
        None => decide(&work, for_base.as_ref(), listing.hash.clone(), within)?,
    };
    agree(context.folder, &lock, &recipe, &listing.hash, base.as_ref().zip(for_base.as_ref()))?;
    let tokens = match for_base {
        Some(tokens) => tokens,
        None => work.tokens(lock.vocabulary)?,
    };
    let learning = lock.learning(tokens.source(base.as_ref()));
    let (parameters, learned) = (learning.architecture.parameters(), learning.parameters());
    let train_done = work.train(&lock, &tokens, &mut |forecast, way| {
        announce(&Announcement { lock: &lock, rungs: &rungs, forecast, way, parameters, learned });
    })?;
    let (adapter, model) = (work.shop.folder.join("adapter"), work.shop.folder.join("model"));
    let adapted =
        tokens.source(base.as_ref()).filter(|_| train_done.outputs.iter().any(|o| o.name == ADAPTER_FILES[0]));
    // What another recipe has left there.
    for (folder, is_of_this) in
        [(&adapter, adapted.is_some()), (&work.shop.folder.join("base"), tokens.extended.is_some())]
    {
        if !is_of_this && folder.exists() {
            fs::remove_dir_all(folder).at(folder)?;
        }
    }
    show(work.shop, &train_done.outputs, if adapted.is_some() { &adapter } else { &model })?;
    let merge_done = adapted.map(|source| work.merge(&tokens, source, &train_done)).transpose()?;
    let made = merge_done.as_ref().unwrap_or(&train_done);
    let words = tokens.tokenizer.outputs.iter().filter(|output| TOKENIZER.contains(&&*output.name));
    let words: Vec<Named> = words.cloned().collect();
    show(work.shop, &made.outputs, &model)?;
    show(work.shop, &words, &model)?;
    show(work.shop, &words[..1], &work.shop.folder.clone())?;
    let (parameters, learned) = work.sizes(&tokens, &learning)?;
    let evaluate_done = work.evaluate(&lock, &tokens, made, &model)?;

    let tokenize_done = tokens.tokenize;
    let (corpus, tokens_figures, evaluation) =
        (figures(&corpus_done)?, figures(&tokenize_done)?, figures(&evaluate_done)?);
    let trained: Training = figures(&train_done)?;
    // A stage's time is of its last run; a training may have had several.
    let earlier_runs = (trained.seconds - train_done.seconds).max(0.0);
    let mut stages = vec![corpus_done, tokens.tokenizer];
    stages.extend(tokens.extended.into_iter().flat_map(|extended| [extended.with, extended.before]));
    stages.extend([tokenize_done, train_done]);
    let adapter = merge_done.is_some().then_some(adapter);
    stages.extend(merge_done);
    stages.push(evaluate_done);
    let truth = Cost {
        seconds: stages[1..].iter().map(|s| s.seconds).sum::<f64>() + earlier_runs,
        training_seconds: trained.seconds,
        memory_bytes: stages[1..].iter().map(|s| s.peak_memory_bytes).max().flatten(),
        // With checkpoints during the training, or with what came after it.
        disk_bytes: trained.disk_bytes.max(machine::folder_bytes(&shop.folder)),
    };
    let built = Built {
        recipe,
        lock,
        parameters,
        learned,
        model,
        adapter,
        base_licence: base.and_then(|base| base.source.architecture().licence.clone()),
        report: shop.folder.join("report.html"),
        stages,
        corpus,
        tokens: tokens_figures,
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
    let recipe = Recipe::read(folder)?;
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
    let stages = stages(&recipe).into_iter().map(|stage| {
        let entry = ledger.entries().iter().rev().find(|e| e.stage == stage);
        let entry = entry.filter(|entry| whole && entry.index >= since);
        whole = entry.is_some();
        since = entry.map_or(since, |entry| entry.index);
        let reached = (stage == "train" && entry.is_none()).then(reached).flatten();
        StageStatus { stage, seconds: entry.map(|e| e.seconds), reached }
    });
    Ok(stages.collect())
}

/// The lock must be about this recipe, these documents and this base.
fn agree(folder: &Path, lock: &Lock, recipe: &Recipe, documents: &str, base: Option<(&Base, &Tokens)>) -> Result<()> {
    let path = folder.join(crate::lock::LOCK);
    let refuse = |key| Err(Error::usage(key).path(&path).arg("folder", folder.display()));
    if lock.languages != recipe.languages || lock.corpus != recipe.corpus {
        return refuse("lock-recipe");
    }
    if lock.documents != documents {
        return refuse("lock-documents");
    }
    match (&lock.base, base) {
        (None, None) => {}
        (Some(locked), Some((base, tokens)))
            if locked.method == recipe.train.method() && locked.new_tokens == tokens.added() =>
        {
            if locked.weights != base.hash || locked.tokenizer != base.tokenizer_hash() {
                return refuse("lock-base");
            }
        }
        _ => return refuse("lock-recipe"),
    }
    Ok(())
}

/// Shows artefacts by their names in `folder`.
fn show(shop: &Workshop, outputs: &[Named], folder: &Path) -> Result<()> {
    outputs.iter().try_for_each(|output| shop.store.show(&output.hash, &folder.join(&output.name)))
}
