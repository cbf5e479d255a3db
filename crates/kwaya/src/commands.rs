//! One function for each command: arguments in, a library called, figures out.

use std::{
    fs,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

use clap::ArgMatches;
use kwaya_base::{Error, Result, error::At, files, say};
use kwaya_model::SamplerOptions;
use kwaya_recipe::{
    build::{self, Built, Context},
    ledger::Ledger,
    lock::Lock,
    machine,
    plan::Forecast,
    recipe::{RECIPE, Recipe},
    text_model::{Ended, Options, TextModel},
    words,
};
use kwaya_text::{corpus, extract::Worker};

use crate::bar::{Bar, STOPPED};

/// A document that takes longer to parse is set aside.
const EXTRACTION_LIMIT: Duration = Duration::from_secs(10);

fn text<'a>(m: &'a ArgMatches, name: &str) -> &'a str {
    m.get_one::<String>(name).expect("required or with a default")
}

fn folder(m: &ArgMatches) -> PathBuf {
    PathBuf::from(text(m, "dir"))
}

fn within(m: &ArgMatches) -> Result<Duration> {
    let typed = text(m, "within");
    words::parse_duration(typed).ok_or_else(|| Error::usage("time-wrong").arg("value", typed))
}

/// Prints `figures` as JSON when that was asked for, and says whether it was.
fn json(m: &ArgMatches, figures: &impl serde::Serialize) -> bool {
    let asked = m.get_flag("json");
    if asked {
        println!("{}", serde_json::to_string_pretty(figures).expect("figures are plain data"));
    }
    asked
}

fn with_context<T>(m: &ArgMatches, work: impl FnOnce(&Context<'_>) -> Result<T>) -> Result<T> {
    let folder = folder(m);
    let progress = Bar::new();
    let program = std::env::current_exe().map_err(|e| Error::io(Path::new("kwaya"), e))?;
    work(&Context {
        folder: &folder,
        threads: machine::threads(m.get_one("threads").copied()),
        worker: Worker::Child { program, arguments: vec!["extract-worker".into()], time_limit: EXTRACTION_LIMIT },
        progress: &progress,
    })
}

pub(crate) fn new(m: &ArgMatches) -> Result<()> {
    let folder = folder(m);
    let path = folder.join(RECIPE);
    if path.exists() {
        return Err(Error::usage("recipe-exists").path(&folder));
    }
    let from = Path::new(text(m, "from"));
    let from = from.canonicalize().at(from)?;
    let languages: Vec<String> = m.get_many::<String>("language").expect("required").cloned().collect();
    let name = folder.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    let recipe = Recipe::new(&name, &from, &languages, text(m, "licence"));
    fs::create_dir_all(&folder).at(&folder)?;
    let body = toml::to_string_pretty(&recipe).expect("a recipe is plain data");
    files::write(&path, format!("{}\n{body}", say!("recipe-header")).as_bytes())?;
    if !json(m, &recipe) {
        println!("{}", say!("new-done", path = path.display(), folder = folder.display()));
    }
    Ok(())
}

fn show_plan(lock: &Lock, forecast: &Forecast) -> String {
    let parameters = lock.model.config(lock.vocabulary).parameters();
    say!(
        "plan-figures",
        millions = format!("{:.1}", parameters as f64 / 1e6),
        layers = lock.model.layers,
        width = lock.model.hidden_size,
        vocabulary = lock.vocabulary,
        steps = lock.train.steps,
        time = words::duration(forecast.seconds),
        memory = words::bytes(forecast.memory_bytes),
        disk = words::bytes(forecast.disk_bytes),
    )
}

pub(crate) fn plan(m: &ArgMatches) -> Result<()> {
    let (lock, forecast) = with_context(m, |context| build::plan(context, within(m)?))?;
    if !json(m, &serde_json::json!({ "lock": lock, "forecast": forecast })) {
        println!("{}", show_plan(&lock, &forecast));
        println!("{}", say!("plan-next", folder = text(m, "dir")));
    }
    Ok(())
}

pub(crate) fn build(m: &ArgMatches) -> Result<()> {
    let built = with_context(m, |context| {
        build::build(context, within(m)?, &mut |lock, forecast| eprintln!("{}", show_plan(lock, forecast)))
    })?;
    if json(m, &built) {
        return Ok(());
    }
    show_built(&built);
    let model = TextModel::load(&built.model, machine::threads(m.get_one("threads").copied()))?;
    let options = Options {
        sampler: SamplerOptions { temperature: 0.8, top_k: 40, ..SamplerOptions::default() },
        tokens_max: 60,
    };
    println!("{}", say!("build-sample"));
    model.generate("", &options, |piece| {
        print!("{piece}");
        true
    })?;
    println!("\n\n{}", say!("build-next", model = built.model.display()));
    Ok(())
}

fn show_built(built: &Built) {
    for stage in &built.stages {
        let key = if stage.skipped { "build-stage-skipped" } else { "build-stage" };
        println!("{}", say!(key, stage = stage.stage, time = words::duration(stage.seconds)));
    }
    let evaluation = &built.evaluation;
    println!("{}", say!("build-evaluation"));
    for score in &evaluation.languages {
        println!(
            "{}",
            say!(
                "build-language",
                language = score.language,
                trained = format!("{:.3}", score.trained),
                untrained = format!("{:.3}", score.untrained),
                compressor = format!("{:.3}", score.compressor),
                tokens = format!("{:.3}", score.tokens_per_byte),
            )
        );
    }
    let memory = built.peak_memory_bytes.map_or_else(|| "?".to_owned(), words::bytes);
    println!("{}", say!("build-cost", time = words::duration(built.seconds), memory = memory));
    if let Some(forecast) = &built.forecast {
        let (time, memory) = (words::duration(forecast.seconds), words::bytes(forecast.memory_bytes));
        println!("{}", say!("build-forecast", time = time, memory = memory));
    }
}

pub(crate) fn status(m: &ArgMatches) -> Result<()> {
    let folder = folder(m);
    Recipe::read(&folder)?;
    let ledger = Ledger::open(&folder.join("build").join("ledger.jsonl"))?;
    if json(m, &ledger.entries()) {
        return Ok(());
    }
    for stage in ["corpus", "tokenizer", "tokenize", "train", "evaluate"] {
        match ledger.entries().iter().rev().find(|e| e.stage == stage) {
            Some(entry) => println!("{}", say!("build-stage", stage = stage, time = words::duration(entry.seconds))),
            None => println!("{}", say!("status-left", stage = stage)),
        }
    }
    Ok(())
}

/// A build folder's model, or a model folder itself.
fn load(m: &ArgMatches) -> Result<TextModel> {
    let folder = PathBuf::from(text(m, "model"));
    let built = folder.join("build").join("model");
    let folder = if built.exists() { built } else { folder };
    TextModel::load(&folder, machine::threads(m.get_one("threads").copied()))
}

fn options(m: &ArgMatches) -> Options {
    let float = |name| *m.get_one::<f32>(name).expect("has a default");
    let whole = |name| *m.get_one::<usize>(name).expect("has a default");
    Options {
        sampler: SamplerOptions {
            temperature: float("temperature"),
            top_k: whole("top-k"),
            top_p: float("top-p"),
            repetition_penalty: float("repetition-penalty"),
            seed: *m.get_one::<u64>("seed").expect("has a default"),
        },
        tokens_max: whole("tokens"),
    }
}

/// Prints a piece at once; false after Ctrl-C or when nobody reads.
fn show(piece: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(piece.as_bytes()).and_then(|()| out.flush()).is_ok() && !STOPPED.load(Ordering::Relaxed)
}

pub(crate) fn generate(m: &ArgMatches) -> Result<()> {
    let (model, prompt) = (load(m)?, text(m, "prompt"));
    if m.get_flag("json") {
        let mut written = String::new();
        let ended = model.generate(prompt, &options(m), |piece| {
            written.push_str(piece);
            !STOPPED.load(Ordering::Relaxed)
        })?;
        json(m, &serde_json::json!({ "prompt": prompt, "text": written, "ended": format!("{ended:?}") }));
        return Ok(());
    }
    show(prompt);
    model.generate(prompt, &options(m), show)?;
    println!();
    Ok(())
}

pub(crate) fn chat(m: &ArgMatches) -> Result<()> {
    let (model, options) = (load(m)?, options(m));
    let (you, it) = (say!("chat-you"), say!("chat-model"));
    eprintln!("{}", say!("chat-hello"));
    let mut history = String::new();
    loop {
        eprint!("{you}: ");
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).at(Path::new("-"))? == 0 || STOPPED.load(Ordering::Relaxed) {
            return Ok(());
        }
        history.push_str(&format!("{you}: {}\n{it}:", line.trim()));
        let mut answer = String::new();
        let turn = format!("\n{you}:");
        let ended = model.generate(&history, &options, |piece| {
            answer.push_str(piece);
            // The model would go on and write the person's part too.
            !answer.contains(&turn) && show(piece)
        })?;
        if ended == Ended::Stopped && !answer.contains(&turn) {
            return Ok(());
        }
        println!();
        let own = answer.split(&turn).next().unwrap_or_default();
        history.push_str(&format!(" {}\n", own.trim()));
    }
}

pub(crate) fn corpus(m: &ArgMatches) -> Result<()> {
    let (command, m) = m.subcommand().expect("a command is required");
    let build = folder(m).join("build");
    let limit = |m: &ArgMatches| *m.get_one::<usize>("limit").expect("has a default");
    match command {
        "stats" => {
            let ledger = Ledger::open(&build.join("ledger.jsonl"))?;
            let entry = ledger.entries().iter().rev().find(|e| e.stage == "corpus");
            let entry = entry.ok_or_else(|| Error::new("corpus-missing").path(&build))?;
            println!("{}", serde_json::to_string_pretty(&entry.figures).expect("figures are plain data"));
        }
        "show" => {
            for document in corpus::documents(&build.join("corpus/documents.parquet"))?.take(limit(m)) {
                let d = document?;
                let start: String = d.text.chars().take(200).collect();
                println!("{}\t{}\t{}\t{}", d.source, d.language, d.bytes, start.replace('\n', " "));
            }
        }
        _ => {
            for dropped in corpus::dropped(&build.join("corpus/dropped.parquet"))?.take(limit(m)) {
                let d = dropped?;
                println!("{}\t{}\t{}", d.source, say!(&format!("reason-{}", d.reason)), d.duplicate_of);
            }
        }
    }
    Ok(())
}
