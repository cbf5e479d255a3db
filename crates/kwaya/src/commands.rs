//! One function for each command: arguments in, a library called, figures out.

use std::{
    fs,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

use clap::{ArgMatches, parser::ValueSource};
use kwaya_base::{Error, Result, error::At, say};
use kwaya_math::Pool;
use kwaya_math::Precision;
use kwaya_model::SamplerOptions;
use kwaya_recipe::{
    bench::{self, Work},
    build::{self, Announcement, Built, Context, Planned},
    forecast::Cost,
    machine::{self, Ability, Machine, Measured},
    memory::Room,
    rights,
    text_model::{self, Ended, Options, TextModel},
    together::{self, Ranks},
    words,
};
use kwaya_text::{chat::Message, constraint::Form, extract::Worker};

use crate::{
    bar::{Bar, STOPPED, note},
    ranks::Quiet,
};

/// What a build does without being told.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);

/// A document that takes longer to parse is set aside.
const EXTRACTION_LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn text<'a>(m: &'a ArgMatches, name: &str) -> &'a str {
    m.get_one::<String>(name).expect("required or with a default")
}

pub(crate) fn folder(m: &ArgMatches) -> PathBuf {
    PathBuf::from(text(m, "dir"))
}

pub(crate) fn time(m: &ArgMatches, name: &str) -> Result<Duration> {
    let typed = text(m, name);
    words::parse_duration(typed).ok_or_else(|| Error::usage("time-wrong").arg("value", typed))
}

/// The memory to use at most, when that was said.
pub(crate) fn memory(m: &ArgMatches) -> Result<Option<u64>> {
    let Some(typed) = m.get_one::<String>("memory") else { return Ok(None) };
    let bytes = words::parse_bytes(typed).ok_or_else(|| Error::usage("memory-wrong").arg("value", typed))?;
    Ok(Some(bytes))
}

/// Prints a line of data. When nobody reads any more, as after `| head`, the
/// program ends in peace: all work is done by the time anything is printed.
#[expect(clippy::exit, reason = "what ripgrep and others do, and what pipes expect")]
pub(crate) fn print(line: &str) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}") {
        let unread = error.kind() == io::ErrorKind::BrokenPipe;
        if !unread {
            note(&Error::io(Path::new("-"), error).to_string());
        }
        std::process::exit(if unread { 0 } else { 1 });
    }
}

/// Prints `figures` as JSON when that was asked for, and says whether it was.
pub(crate) fn json(m: &ArgMatches, figures: &impl serde::Serialize) -> bool {
    let asked = m.get_flag("json");
    if asked {
        print(&serde_json::to_string_pretty(figures).expect("figures are plain data"));
    }
    asked
}

/// Prints one of many rows as a line of JSON when that was asked for.
pub(crate) fn json_line(m: &ArgMatches, row: impl FnOnce() -> serde_json::Value) -> bool {
    let asked = m.get_flag("json");
    if asked {
        print(&row().to_string());
    }
    asked
}

/// What takes documents apart: this program, in a process of its own.
pub(crate) fn worker() -> Result<Worker> {
    let program = std::env::current_exe().map_err(|e| Error::io(Path::new("kwaya"), e))?;
    Ok(Worker::Child { program, arguments: vec!["extract-worker".into()], time_limit: EXTRACTION_LIMIT })
}

fn with_context<T>(m: &ArgMatches, ranks: &dyn Ranks, work: impl FnOnce(&Context<'_>) -> Result<T>) -> Result<T> {
    let folder = folder(m);
    let progress = Bar::new();
    // Only a build takes a long time and has the flag.
    let checkpoint_every = match m.try_contains_id("checkpoint-every") {
        Ok(true) => time(m, "checkpoint-every")?,
        _ => CHECKPOINT_EVERY,
    };
    work(&Context {
        folder: &folder,
        threads: machine::threads(m.get_one("threads").copied()),
        training_threads: together::threads(m.get_one("threads").copied(), ranks),
        ranks,
        worker: worker()?,
        progress: &progress,
        checkpoint_every,
        memory: memory(m)?,
    })
}

pub(crate) fn machine(m: &ArgMatches) -> Result<()> {
    let threads = machine::threads(m.get_one("threads").copied());
    let measured = Measured::now(Path::new("."), threads, memory(m)?, &Bar::new())?;
    if json(m, &measured) {
        return Ok(());
    }
    let Measured { machine, f32, bf16, paper_peak, bandwidth, disk_write, disk_sync_seconds, abilities } = measured;
    let billions = |speed: f64| format!("{:.0}", speed / 1e9);
    let share = |part: f64, whole: f64| format!("{:.0}", 100.0 * part / whole);
    let paper = match paper_peak {
        Some(peak) => say!("machine-paper", peak = billions(peak), share = share(f32.peak, peak)),
        None => say!("machine-no-paper"),
    };
    print(&say!(
        "machine-figures",
        processor = machine.processor,
        threads = machine.threads,
        instructions = machine.instructions,
        memory = words::bytes(machine.memory_bytes),
        free = words::bytes(machine.memory_free_bytes),
        one = words::bytes(bandwidth[0] as u64),
        all = words::bytes(bandwidth[1] as u64),
        disk = machine.disk_free_bytes.map_or_else(|| "?".to_owned(), words::bytes),
        write = words::bytes(disk_write as u64),
        sync = format!("{:.1}", 1e3 * disk_sync_seconds),
        peak = billions(f32.peak),
        product = share(f32.product, f32.peak),
        training = share(f32.training, f32.peak),
        peak_bf16 = billions(bf16.peak),
        product_bf16 = share(bf16.product, bf16.peak),
        training_bf16 = share(bf16.training, bf16.peak),
        paper = paper,
    ));
    let row = |cell: fn(&Ability) -> f64| abilities.each_ref().map(|a| format!("{:>9}", words::rounded(cell(a))));
    let [train, tune, answers] = [row(|a| a.train / 1e6), row(|a| a.fine_tune / 1e6), row(|a| a.answers)];
    print(&say!(
        "machine-can",
        train_hour = train[0],
        train_night = train[1],
        train_week = train[2],
        tune_hour = tune[0],
        tune_night = tune[1],
        tune_week = tune[2],
        answers_hour = answers[0],
        answers_night = answers[1],
        answers_week = answers[2],
        serve = words::rounded(abilities[0].serve / 1e6),
    ));
    Ok(())
}

pub(crate) fn bench(m: &ArgMatches) -> Result<()> {
    let threads = machine::threads(m.get_one("threads").copied());
    let room = Room::of(&Machine::look(Path::new("."), threads), memory(m)?);
    let bench = bench::run(&Pool::new(threads), room.bytes, &Bar::new())?;
    if json(m, &bench) {
        return Ok(());
    }
    print(&say!(
        "bench-head",
        instructions = bench.instructions,
        threads = bench.threads,
        peak = format!("{:.1}", bench.peak / 1e9),
        peak_bf16 = format!("{:.1}", bench.peak_bf16 / 1e9),
        bandwidth = format!("{:.1}", bench.bandwidth / 1e9),
    ));
    for kernel in &bench.kernels {
        print(&format!(
            "{:<20} {:<20} {:>8.1} {:<8} {:>3.0} %  {}",
            format!("{}{}", kernel.name, numbers(kernel.precision)),
            kernel.shape,
            kernel.speed / 1e9,
            if kernel.work == Work::Operations { "GFLOPS" } else { "GB/s" },
            100.0 * kernel.share,
            kernel.hash,
        ));
    }
    print(&say!("bench-trainings"));
    for training in &bench.trainings {
        print(&format!(
            "{:<20} {:<20} {:>8.0} {:<8} {:>3.0} %  {}  {}",
            format!("{:.1} M{}", training.parameters as f64 / 1e6, numbers(training.precision)),
            training.shape,
            training.tokens_per_second,
            "tokens/s",
            100.0 * training.share,
            training.loss_bits,
            words::bytes(training.memory_bytes),
        ));
    }
    Ok(())
}

/// What a row of the benchmarks says of its numbers, where they are not f32.
fn numbers(precision: Precision) -> &'static str {
    if precision == Precision::F32 { "" } else { " bf16" }
}

fn show_plan(announcement: &Announcement<'_>) -> String {
    let Announcement { lock, rungs, forecast, way, parameters, learned } = announcement;
    let memory = way.memory;
    let mut lines = String::new();
    if !rungs.is_empty() {
        lines = format!("{}\n", say!("plan-table"));
    }
    for rung in *rungs {
        lines += &say!(
            "plan-row",
            mark = if rung.chosen { "→" } else { " " },
            millions = format!("{:>7.1}", rung.parameters as f64 / 1e6),
            width = format!("{:>5}", rung.sizes.hidden_size),
            layers = format!("{:>6}", rung.sizes.layers),
            milliseconds = format!("{:>7.0}", rung.seconds_per_step * 1e3),
            steps = format!("{:>7}", rung.steps),
            epochs = format!("{:>6.1}", rung.epochs),
        );
        lines.push('\n');
    }
    if let Some(base) = &lock.base {
        let learned = format!("{:.1}", *learned as f64 / 1e6);
        lines += &say!("plan-base", method = base.method.name(), learned = learned, tokens = base.new_tokens);
        lines.push('\n');
    }
    lines
        + &say!(
            "plan-figures",
            millions = format!("{:.1}", *parameters as f64 / 1e6),
            layers = lock.model.layers,
            width = lock.model.hidden_size,
            vocabulary = lock.vocabulary,
            steps = lock.train.steps,
            arithmetic = lock.arithmetic,
            cost = cost(forecast),
            weights = words::bytes(memory.weights),
            gradients = words::bytes(memory.gradients),
            optimiser = words::bytes(memory.optimiser),
            activations = words::bytes(memory.activations),
            workspace = words::bytes(memory.workspace),
        )
}

fn cost(cost: &Cost) -> String {
    say!(
        "cost",
        time = words::duration(cost.seconds),
        memory = cost.memory_bytes.map_or_else(|| "?".to_owned(), words::bytes),
        disk = words::bytes(cost.disk_bytes),
    )
}

pub(crate) fn plan(m: &ArgMatches, ranks: &dyn Ranks) -> Result<()> {
    let planned = with_context(m, ranks, |context| build::plan(context, time(m, "within")?))?;
    if !json(m, &planned) {
        let Planned { lock, rungs, forecast, way, parameters, learned, .. } = &planned;
        let (parameters, learned) = (*parameters, *learned);
        print(&show_plan(&Announcement { lock, rungs, forecast, way, parameters, learned }));
        let rights = &planned.rights;
        let until = rights.until.to_string();
        print(&say!("plan-rights", uses = rights::words(&rights.uses), day = rights.day, until = until));
        print(&say!("plan-next", folder = text(m, "dir")));
    }
    Ok(())
}

pub(crate) fn build(m: &ArgMatches, ranks: &dyn Ranks) -> Result<()> {
    let built = with_context(m, ranks, |context| {
        build::build(context, time(m, "within")?, &mut |announcement| note(&show_plan(announcement)))
    })?;
    if !json(m, &built) {
        show_built(text(m, "dir"), &built);
    }
    Ok(())
}

/// What a process does that is not the first of several. Gives its exit code.
pub(crate) fn follow(m: &ArgMatches, ranks: &dyn Ranks) -> u8 {
    let threads = together::threads(m.get_one("threads").copied(), ranks);
    together::follow(ranks, &folder(m), threads, &Quiet)
}

fn show_built(folder: &str, built: &Built) {
    let (corpus, tokens, training) = (&built.corpus, &built.tokens, &built.training);
    if built.stages.iter().all(|stage| stage.skipped) {
        print(&say!("build-nothing-to-do"));
    }
    print(&say!(
        "build-figures",
        model = built.model.display(),
        millions = format!("{:.1}", built.parameters as f64 / 1e6),
        documents = words::count(corpus.documents),
        text = words::bytes(corpus.bytes),
        dropped = words::count(corpus.dropped.values().sum()),
        folder = folder,
        tokens = words::count(tokens.training_tokens()),
        steps = words::count(built.lock.train.steps),
        seen = words::count(training.curve.last().map_or(0, |e| e.tokens)),
        speed = words::count(training.tokens_per_second as u64),
    ));
    if let Some(adapter) = &built.adapter {
        let learned = format!("{:.1}", built.learned as f64 / 1e6);
        print(&say!("build-adapter", path = adapter.display(), millions = learned));
    }
    if training.ranks > 1 {
        let time = |bits: f64| match 8.0 * training.bytes_per_step as f64 / bits {
            seconds if seconds < 1.0 => format!("{} ms", words::rounded(1e3 * seconds)),
            seconds => words::duration(seconds),
        };
        print(&say!(
            "build-ranks",
            ranks = training.ranks,
            bytes = words::bytes(training.bytes_per_step),
            slow = time(1e8),
            fast = time(1e9),
        ));
    }
    print("");
    print(&say!("build-evaluation"));
    for score in &built.evaluation.languages {
        print(&say!(
            if built.lock.base.is_some() { "build-language-base" } else { "build-language" },
            language = score.language,
            trained = format!("{:.3}", score.trained),
            untrained = format!("{:.3}", score.untrained),
            compressor = format!("{:.3}", score.compressor),
            tokens = format!("{:.3}", score.tokens_per_byte),
        ));
        if let Some(before) = score.base_tokens_per_byte {
            print(&say!(
                "build-new-tokens",
                count = built.lock.base.as_ref().map_or(0, |base| base.new_tokens),
                before = format!("{before:.3}"),
                after = format!("{:.3}", score.tokens_per_byte),
            ));
        }
    }
    print("");
    print(&say!("build-cost", truth = cost(&built.truth), forecast = cost(&training.forecast)));
    print(&format!("\n{}", say!("build-sample")));
    for sample in &built.evaluation.samples {
        print(&format!("  {}{}", sample.prompt, sample.text.trim_end().replace('\n', "\n  ")));
    }
    print("");
    print(&say!("build-next", folder = folder, report = built.report.display()));
}

pub(crate) fn status(m: &ArgMatches) -> Result<()> {
    let folder = folder(m);
    let stages = build::status(&folder)?;
    if json(m, &stages) {
        return Ok(());
    }
    for stage in &stages {
        let name = say!(&format!("stage-name-{}", stage.stage));
        print(&match (stage.seconds, &stage.reached) {
            (Some(seconds), _) => say!("status-done", stage = name, time = words::duration(seconds)),
            (None, Some(reached)) => say!(
                "status-reached",
                stage = name,
                step = words::count(reached.step),
                steps = words::count(reached.steps),
                time = words::duration(reached.seconds_left),
            ),
            (None, None) => say!("status-left", stage = name),
        });
    }
    let next = if stages.iter().all(|s| s.seconds.is_some()) { "status-next-done" } else { "status-next" };
    print(&say!(next, folder = folder.display()));
    Ok(())
}

/// The model that was named.
fn load(m: &ArgMatches) -> Result<TextModel> {
    let place = text_model::place(Path::new(text(m, "model")))?;
    TextModel::load(&place, machine::threads(m.get_one("threads").copied()))
}

/// The form that was asked for. A schema is typed, or the name of a file.
fn form(m: &ArgMatches) -> Result<Option<Form>> {
    if let Some(expression) = m.get_one::<String>("regex") {
        return Ok(Some(Form::Regex(expression.clone())));
    }
    let Some(schema) = m.get_one::<String>("json-schema") else { return Ok(None) };
    if schema.trim_start().starts_with('{') {
        return Ok(Some(Form::JsonSchema(schema.clone())));
    }
    let path = Path::new(schema);
    Ok(Some(Form::JsonSchema(fs::read_to_string(path).at(path)?)))
}

fn options(m: &ArgMatches) -> Result<Options> {
    let form = form(m)?;
    // A form repeats what it must, and answers quote the question.
    let penalised = form.is_none() || m.value_source("repetition-penalty") != Some(ValueSource::DefaultValue);
    let float = |name| *m.get_one::<f32>(name).expect("has a default");
    let whole = |name| *m.get_one::<usize>(name).expect("has a default");
    let sampler = SamplerOptions {
        temperature: float("temperature"),
        top_k: whole("top-k"),
        top_p: float("top-p"),
        repetition_penalty: if penalised { float("repetition-penalty") } else { 1.0 },
        seed: *m.get_one::<u64>("seed").expect("has a default"),
    };
    Ok(Options { sampler, tokens_max: whole("tokens"), form })
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
        let ended = model.generate(prompt, &options(m)?, |piece| {
            written.push_str(piece);
            !STOPPED.load(Ordering::Relaxed)
        })?;
        json(m, &serde_json::json!({ "prompt": prompt, "text": written, "ended": ended.as_str() }));
        return Ok(());
    }
    show(prompt);
    model.generate(prompt, &options(m)?, show)?;
    print("");
    Ok(())
}

pub(crate) fn chat(m: &ArgMatches) -> Result<()> {
    // Wrong use is told before anything is loaded.
    let options = options(m)?;
    let model = load(m)?;
    let (you, as_json) = (say!("chat-you"), m.get_flag("json"));
    note(&say!("chat-hello"));
    let mut cache = model.conversations();
    let mut messages: Vec<Message> =
        m.get_one::<String>("system").map(|text| Message::new("system", text)).into_iter().collect();
    while let Some(prompt) = ask(&you)? {
        messages.push(Message::new("user", &prompt));
        let mut answer = String::new();
        let ended = model.answer(&mut cache, &messages, &options, |piece| {
            answer.push_str(piece);
            (as_json || show(piece)) && !STOPPED.load(Ordering::Relaxed)
        })?;
        if ended == Ended::Stopped {
            break;
        }
        let answer = answer.trim().to_owned();
        if !json_line(m, || serde_json::json!({ "prompt": prompt, "text": answer, "ended": ended.as_str() })) {
            print("");
        }
        messages.push(Message::new("assistant", &answer));
    }
    Ok(())
}

/// The next line that is typed; `None` at the end and after Ctrl-C.
pub(crate) fn ask(who: &str) -> Result<Option<String>> {
    let mut prompt = io::stderr().lock();
    let _ = write!(prompt, "{who}: ").and_then(|()| prompt.flush());
    let mut line = Vec::new();
    let read = io::stdin().lock().read_until(b'\n', &mut line).at(Path::new("-"))?;
    let line = String::from_utf8_lossy(&line).trim().to_owned();
    Ok((read > 0 && !STOPPED.load(Ordering::Relaxed)).then_some(line))
}
