//! The build: from documents to a model, stage after stage, each skipped when
//! its inputs have not changed, all of it resumable.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kwaya_base::{Error, Progress, Result, error::At};
use kwaya_math::Pool;
use kwaya_model::Model;
use kwaya_text::{compressor, corpus, extract::Worker, sources, tokenizer};
use kwaya_train::TokenFile;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    ledger::Named,
    lock::Lock,
    machine,
    plan::{self, CorpusSize, Forecast},
    recipe::Recipe,
    stage::{Done, Stage, Workshop},
};

/// The work that a power cut may cost.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);

/// Time that a plan aims at when nobody says.
pub const WITHIN: Duration = Duration::from_secs(30 * 60);

/// What a build runs with and what does not decide bits.
pub struct Context<'a> {
    /// The folder of the recipe.
    pub folder: &'a Path,
    /// Threads to use.
    pub threads: usize,
    /// How documents are parsed: in a child process, by a program.
    pub worker: Worker,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// What a build has made.
#[derive(Serialize)]
pub struct Built {
    /// Where the model is.
    pub model: PathBuf,
    /// The stages in order.
    pub stages: Vec<Done>,
    /// Bits per byte on held-out text.
    pub evaluation: Evaluation,
    /// What was foretold, when training was still to be done.
    pub forecast: Option<Forecast>,
    /// How long this run took.
    pub seconds: f64,
    /// The most memory that it had, where the system says.
    pub peak_memory_bytes: Option<u64>,
}

/// The figures on held-out text of one language.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Score {
    /// BCP 47 tag.
    pub language: String,
    /// Documents measured on.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The trained model.
    pub trained: f64,
    /// The same model before training.
    pub untrained: f64,
    /// zstd -19 with the training text to look back at.
    pub compressor: f64,
    /// Tokens per byte.
    pub tokens_per_byte: f64,
}

/// All figures on held-out text, in bits per byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evaluation {
    /// By language.
    pub languages: Vec<Score>,
    /// Over all bytes.
    pub trained: f64,
    /// Over all bytes.
    pub untrained: f64,
    /// Over all bytes.
    pub compressor: f64,
}

/// Reads the documents and brings the corpus up to date.
fn gather(context: &Context<'_>, recipe: &Recipe, shop: &mut Workshop) -> Result<(sources::Listing, Done)> {
    let sources = recipe.sources(context.folder);
    let listing = sources::scan(&sources, context.progress)?;
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
        revision: 1,
        options: &(&recipe.languages, &recipe.corpus),
        inputs: &inputs,
        outputs: &["documents.parquet", "dropped.parquet"],
    };
    let done = shop.run(&stage, |_, folder| {
        let stats = corpus::build(&listing, &sources, &options, folder, context.progress)?;
        Ok(serde_json::to_value(stats).expect("figures are plain data"))
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
pub fn plan(context: &Context<'_>, within: Duration) -> Result<(Lock, Forecast)> {
    let recipe = Recipe::read(context.folder)?;
    let mut shop = Workshop::open(context.folder)?;
    plan_in(context, &recipe, &mut shop, within)
}

fn plan_in(context: &Context<'_>, recipe: &Recipe, shop: &mut Workshop, within: Duration) -> Result<(Lock, Forecast)> {
    let (listing, done) = gather(context, recipe, shop)?;
    let size = corpus_size(&shop.artefact(done.output("documents.parquet")))?;
    let pool = Pool::new(context.threads);
    let free = machine::Machine::look(context.folder, context.threads).memory_free_bytes;
    let chosen = plan::choose(size, &recipe.train, within, free, &pool, &mut |_, _| {})?;
    let lock = Lock::new(
        listing.hash,
        recipe.languages.clone(),
        recipe.corpus.clone(),
        chosen.vocabulary,
        chosen.sizes,
        chosen.schedule,
    );
    lock.write(context.folder)?;
    let forecast = forecast(&lock, size, &pool)?;
    Ok((lock, forecast))
}

fn corpus_size(documents: &Path) -> Result<CorpusSize> {
    let mut size = CorpusSize { training_bytes: 0, held_out_bytes: 0 };
    for document in corpus::documents(documents)? {
        let document = document?;
        let bytes = document.text.len() as u64;
        *if is_held_out(&document) { &mut size.held_out_bytes } else { &mut size.training_bytes } += bytes;
    }
    Ok(size)
}

fn is_held_out(document: &corpus::Document) -> bool {
    document.split == corpus::Split::HeldOut
}

/// What the rest of a build will cost: steps timed on this machine for the
/// training, and rates measured once for the small stages.
fn forecast(lock: &Lock, size: CorpusSize, pool: &Pool) -> Result<Forecast> {
    let config = lock.model.config(lock.vocabulary);
    let measured = kwaya_train::measure(&config, &lock.train, pool, 5)?;
    let targets = (lock.train.sequence_length * lock.train.sequences_per_micro_batch) as f64
        * lock.train.micro_batches_per_step as f64;
    // A forward pass is a third of a step's work, and windows that overlap by
    // half do it twice, for the trained and the untrained model.
    let held_out_tokens = size.held_out_bytes as f64 / 3.0;
    let looks = (lock.train.steps / lock.train.evaluate_every) as f64;
    let forward = measured.seconds_per_step / targets / 3.0;
    let training_seconds = measured.seconds_per_step * lock.train.steps as f64 + looks * held_out_tokens * forward;
    let evaluation = 4.0 * held_out_tokens * forward;
    let text = (size.training_bytes + size.held_out_bytes) as f64;
    let small_stages = text / 1.5e6 + 1.0;
    let weights = 4 * config.parameters();
    Ok(Forecast {
        training_seconds,
        seconds: training_seconds + evaluation + small_stages,
        memory_bytes: measured.bytes + (60 << 20),
        disk_bytes: 8 * weights + 4 * (text as u64),
    })
}

/// Does all of it, or goes on where it stopped. `announce` gets the forecast
/// before the work starts.
///
/// # Errors
/// What any stage brings; finished stages and checkpoints stay.
pub fn build(context: &Context<'_>, within: Duration, announce: &mut dyn FnMut(&Lock, &Forecast)) -> Result<Built> {
    let began = Instant::now();
    machine::reset_peak_memory();
    let recipe = Recipe::read(context.folder)?;
    let mut shop = Workshop::open(context.folder)?;
    let (listing, corpus_done) = gather(context, &recipe, &mut shop)?;
    let lock = match Lock::read(context.folder)? {
        Some(lock) => lock,
        None => plan_in(context, &recipe, &mut shop, within)?.0,
    };
    agree(context.folder, &lock, &recipe, &listing.hash)?;

    let documents = shop.artefact(corpus_done.output("documents.parquet"));
    let size = corpus_size(&documents)?;
    let bytes = size.training_bytes + size.held_out_bytes;
    let texts = || -> Result<_> { Ok(corpus::documents(&documents)?.map(|document| document.map(text_of))) };

    let tokenizer_inputs = [corpus_done.output("documents.parquet").clone()];
    let tokenizer_stage = Stage {
        name: "tokenizer",
        revision: 1,
        options: &lock.vocabulary,
        inputs: &tokenizer_inputs,
        outputs: &["tokenizer.json"],
    };
    let tokenizer_done = shop.run(&tokenizer_stage, |_, folder| {
        let out = folder.join("tokenizer.json");
        let size = tokenizer::train(texts()?, bytes, lock.vocabulary, &out, context.progress)?;
        Ok(json!({ "vocabulary": size }))
    })?;

    let tokenize_inputs = [tokenizer_inputs[0].clone(), tokenizer_done.output("tokenizer.json").clone()];
    let tokenize_stage = Stage {
        name: "tokenize",
        revision: 1,
        options: &lock.languages,
        inputs: &tokenize_inputs,
        outputs: &["training.safetensors", "held-out.safetensors"],
    };
    let tokenize_done = shop.run(&tokenize_stage, |shop, folder| {
        let stats = tokenizer::tokenize(
            texts()?,
            bytes,
            &lock.languages,
            &shop.artefact(tokenizer_done.output("tokenizer.json")),
            &folder.join("training.safetensors"),
            &folder.join("held-out.safetensors"),
            context.progress,
        )?;
        Ok(serde_json::to_value(stats).expect("figures are plain data"))
    })?;

    let pool = Pool::new(context.threads);
    let training = TokenFile::open(&shop.artefact(tokenize_done.output("training.safetensors")))?;
    let held_out = TokenFile::open(&shop.artefact(tokenize_done.output("held-out.safetensors")))?;
    let config = lock.model.config(training.vocab_size() as usize);
    let train_inputs = tokenize_done.outputs.clone();
    let train_stage = Stage {
        name: "train",
        revision: 1,
        options: &(&lock.model, &lock.train, &lock.arithmetic),
        inputs: &train_inputs,
        outputs: &["config.json", "generation_config.json", "model.safetensors"],
    };
    let mut foretold = None;
    if shop.known(&train_stage).is_none() {
        let forecast = forecast(&lock, size, &pool)?;
        announce(&lock, &forecast);
        foretold = Some(forecast);
    }
    let checkpoints = shop.folder.join("checkpoints");
    let train_done = shop.run(&train_stage, |_, folder| {
        fs::create_dir_all(&checkpoints).at(&checkpoints)?;
        let options = kwaya_train::Options { checkpoint_every: CHECKPOINT_EVERY, keep: 2 };
        let outcome = kwaya_train::train(
            &config,
            &lock.train,
            &training,
            &held_out,
            &checkpoints,
            &options,
            &pool,
            context.progress,
        )?;
        outcome.model.save(folder)?;
        Ok(json!({
            "seconds": outcome.seconds,
            "tokens_per_second": outcome.tokens_per_second,
            "log": outcome.log,
        }))
    })?;
    if checkpoints.exists() {
        fs::remove_dir_all(&checkpoints).at(&checkpoints)?;
    }
    let model_folder = shop.folder.join("model");
    for output in train_done.outputs.iter().chain(&tokenizer_done.outputs) {
        shop.store.show(&output.hash, &model_folder.join(&output.name))?;
    }

    let evaluate_inputs =
        [train_done.output("model.safetensors").clone(), tokenize_done.output("held-out.safetensors").clone()];
    let evaluate_stage =
        Stage { name: "evaluate", revision: 1, options: &lock.model.context, inputs: &evaluate_inputs, outputs: &[] };
    let evaluate_done = shop.run(&evaluate_stage, |_, _| {
        let trained = Model::load(&model_folder)?;
        let untrained = Model::random(config.clone(), lock.train.seed, &pool);
        let score =
            |model: &Model| kwaya_train::bits_per_byte(model, &held_out, lock.model.context, &pool, context.progress);
        let evaluation = evaluation(&score(&trained)?, &score(&untrained)?, &compressor::bits_per_byte(texts()?)?);
        Ok(serde_json::to_value(evaluation).expect("figures are plain data"))
    })?;
    let evaluation = serde_json::from_value(evaluate_done.figures.clone())
        .map_err(|e| Error::new("ledger-figures").arg("cause", e))?;
    Ok(Built {
        model: model_folder,
        stages: vec![corpus_done, tokenizer_done, tokenize_done, train_done, evaluate_done],
        evaluation,
        forecast: foretold,
        seconds: began.elapsed().as_secs_f64(),
        peak_memory_bytes: machine::peak_memory(),
    })
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

fn text_of(document: corpus::Document) -> tokenizer::Text {
    let held_out = is_held_out(&document);
    let hash = u64::from_str_radix(document.id.get(..16).unwrap_or("0"), 16).unwrap_or(0);
    tokenizer::Text { held_out, hash, text: document.text, language: document.language }
}

fn evaluation(
    trained: &[kwaya_train::LanguageScore],
    untrained: &[kwaya_train::LanguageScore],
    packed: &[compressor::Packed],
) -> Evaluation {
    let languages: Vec<Score> = trained
        .iter()
        .map(|score| Score {
            language: score.language.clone(),
            documents: score.documents,
            bytes: score.bytes,
            trained: score.bits_per_byte,
            untrained: untrained.iter().find(|s| s.language == score.language).map_or(f64::NAN, |s| s.bits_per_byte),
            compressor: packed.iter().find(|p| p.language == score.language).map_or(f64::NAN, |p| p.bits_per_byte),
            tokens_per_byte: score.tokens as f64 / score.bytes.max(1) as f64,
        })
        .collect();
    let bytes: u64 = languages.iter().map(|s| s.bytes).sum();
    let mean = |figure: fn(&Score) -> f64| {
        languages.iter().map(|s| figure(s) * s.bytes as f64).sum::<f64>() / bytes.max(1) as f64
    };
    Evaluation {
        trained: mean(|s| s.trained),
        untrained: mean(|s| s.untrained),
        compressor: mean(|s| s.compressor),
        languages,
    }
}
