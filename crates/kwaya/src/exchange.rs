//! Models in and out, what a model is, and how good it is: `import`, `export`,
//! `inspect`, `eval`.

use std::{fs, path::Path};

use clap::ArgMatches;
use kwaya_base::{Error, Result, error::At, say};
use kwaya_math::{Format, Pool};
use kwaya_model::{Adapters, Source, quantise::Target};
use kwaya_recipe::{
    exchange::{self, Change, Exchanged},
    inspect, machine,
    measure_text::{bits_per_byte, examine},
    text_model::{self, TextModel},
    words,
};

use crate::{
    bar::{Bar, note},
    commands::{json, json_line, print, text},
};

/// The floats that safetensors files hold.
const FLOATS: [Format; 3] = [Format::F32, Format::F16, Format::Bf16];

fn threads(m: &ArgMatches) -> usize {
    machine::threads(m.get_one("threads").copied())
}

/// The float that was asked for by name.
fn float(typed: &str) -> Result<Format> {
    let known = FLOATS.map(Format::name).join(", ");
    let found = Format::from_name(&typed.to_uppercase()).filter(|format| FLOATS.contains(format));
    found.ok_or_else(|| Error::usage("exchange-format").arg("value", typed).arg("known", known))
}

fn target(typed: &str) -> Result<Target> {
    let known = Target::ALL.map(Target::name).join(", ");
    let found = Target::from_name(&typed.to_uppercase());
    found.ok_or_else(|| Error::usage("exchange-format").arg("value", typed).arg("known", known))
}

pub(crate) fn import(m: &ArgMatches) -> Result<()> {
    let format = m.get_one::<String>("numbers").map(|typed| float(typed)).transpose()?;
    let source = exchange::open(Path::new(text(m, "source")))?;
    let out = Path::new(text(m, "out"));
    let adapters = match m.get_one::<String>("adapter") {
        Some(folder) => Some(adapters(Path::new(folder), &source)?),
        None => None,
    };
    let change = adapters.as_ref().map_or(Change::Nothing, Change::Merge);
    let exchanged = exchange::to_folder(&source, out, format, &change, &Pool::new(threads(m)), &Bar::new())?;
    if !json(m, &exchanged) {
        show(&exchanged);
        print(&say!("exchange-next", path = out.display()));
    }
    Ok(())
}

/// The adapters in `folder`, or in that of a recipe, for `source`.
fn adapters(folder: &Path, source: &Source) -> Result<Adapters> {
    let built = folder.join("build").join("adapter");
    Adapters::load(if built.exists() { &built } else { folder }, source.architecture())
}

pub(crate) fn export(m: &ArgMatches) -> Result<()> {
    let (named, out) = (Path::new(text(m, "model")), Path::new(text(m, "out")));
    if m.get_flag("adapter-only") {
        let copied = exchange::adapter(named, out)?;
        if !json(m, &copied) {
            print(&say!("exchange-adapter", path = out.display(), after = words::bytes(copied.bytes)));
        }
        return Ok(());
    }
    let as_file = match m.get_one::<String>("format") {
        Some(format) => format == "gguf",
        None => out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")),
    };
    let quantise = m.get_one::<String>("quantise");
    let measure = match m.get_one::<String>("measure") {
        Some(path) => Some((path, fs::read_to_string(path).at(Path::new(path))?)),
        None => None,
    };
    let place = text_model::place(named)?;
    let (pool, bar) = (Pool::new(threads(m)), Bar::new());
    let exchanged = if as_file {
        let target = quantise.map_or(Ok(Target::Q8_0), |typed| target(typed))?;
        let source = exchange::open(&place)?;
        let named = named.canonicalize().at(named)?;
        let name = named.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        exchange::to_gguf(&source, out, target, &name, &Change::Nothing, None, &pool, &bar)?
    } else {
        let format = quantise.map(|typed| float(typed)).transpose()?;
        exchange::to_folder(&exchange::open(&place)?, out, format, &Change::Nothing, &pool, &bar)?
    };
    let mut measured = None;
    if let Some((_, text)) = &measure {
        let score = |path: &Path| bits_per_byte(&TextModel::load(path, threads(m))?, text, &bar);
        measured = Some([score(&place)?, score(out)?]);
    }
    let mut figures = serde_json::to_value(&exchanged).expect("figures are plain data");
    figures["bits_per_byte"] = measured.map(Vec::from).into();
    if !json(m, &figures) {
        show(&exchanged);
        if let (Some((file, _)), Some([before, after])) = (&measure, measured) {
            let figure = |bits: f64| format!("{bits:.4}");
            print(&say!("exchange-measured", file = file, before = figure(before), after = figure(after)));
        }
    }
    Ok(())
}

fn show(exchanged: &Exchanged) {
    if !exchanged.left_out.is_empty() {
        note(&say!("exchange-left-out", tensors = exchanged.left_out.join(", ")));
    }
    let share = |(format, weights): (&&str, &u64)| {
        format!("{:.1} % {format}", 100.0 * *weights as f64 / exchanged.parameters as f64)
    };
    print(&say!(
        "exchange-done",
        path = exchanged.path.display(),
        count = words::count(exchanged.parameters),
        formats = exchanged
            .formats
            .iter()
            .map(share)
            .filter(|share| !share.starts_with("0.0"))
            .collect::<Vec<_>>()
            .join(", "),
        before = words::bytes(exchanged.bytes[0]),
        after = words::bytes(exchanged.bytes[1]),
    ));
}

pub(crate) fn inspect(m: &ArgMatches) -> Result<()> {
    let named = Path::new(text(m, "model"));
    let mut it = inspect::inspect(&text_model::place(named)?)?;
    if !m.get_flag("tensors") {
        it.tensors.clear();
    }
    if json(m, &it) {
        return Ok(());
    }
    let formats: Vec<String> = it
        .formats
        .iter()
        .map(|(format, share)| {
            say!(
                "inspect-format",
                format = format,
                tensors = share.tensors,
                weights = words::count(share.weights),
                bytes = words::bytes(share.bytes),
            )
        })
        .collect();
    let tokenizer = match (&it.tokenizer, it.tokenizer_problem) {
        (Some(tokenizer), _) => say!(
            if tokenizer.chat_template { "inspect-tokenizer-chat" } else { "inspect-tokenizer" },
            kind = tokenizer.kind.as_deref().unwrap_or("tokenizer.json"),
            tokens = words::count(tokenizer.tokens as u64),
        ),
        (None, problem) => say!("inspect-tokenizer-none", cause = problem.unwrap_or_default()),
    };
    print(&say!(
        "inspect-figures",
        family = it.family,
        weights = words::count(it.parameters),
        layers = it.layers,
        hidden = words::count(it.hidden as u64),
        intermediate = words::count(it.intermediate as u64),
        heads = it.heads,
        kv_heads = it.kv_heads,
        head_dim = it.head_dim,
        vocabulary = words::count(it.vocabulary as u64),
        output = say!(if it.tied { "inspect-tied" } else { "inspect-untied" }),
        context = words::count(it.context as u64),
        window = match it.windowed {
            Some((layers, window)) => say!("inspect-window", layers = layers, window = words::count(window as u64)),
            None => String::new(),
        },
        formats = formats.join("\n            "),
        tokenizer = tokenizer,
        licence = it.licence.unwrap_or_else(|| say!("inspect-no-licence")),
        answer = words::bytes(it.answer_bytes),
        cache = words::bytes(it.cache_bytes),
        training = match it.full_bytes {
            Some(full) => {
                say!("inspect-training", full = words::bytes(full), adapter = words::bytes(it.adapter_bytes))
            }
            None => say!("inspect-training-adapter", adapter = words::bytes(it.adapter_bytes)),
        },
    ));
    if !it.left_out.is_empty() {
        print(&say!("exchange-left-out", tensors = it.left_out.join(", ")));
    }
    for tensor in &it.tensors {
        print(&format!(
            "{:<48} {:<14} {:<5} {:>14}",
            tensor.name,
            tensor.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × "),
            tensor.format,
            words::count(tensor.bytes),
        ));
    }
    Ok(())
}

pub(crate) fn eval(m: &ArgMatches) -> Result<()> {
    let files: Vec<&Path> = m.get_many::<String>("data").expect("required").map(Path::new).collect();
    // A name mistyped is found before the work.
    for file in &files {
        fs::metadata(file).at(file)?;
    }
    let model = TextModel::load(&text_model::place(Path::new(text(m, "model")))?, threads(m))?;
    let bar = Bar::new();
    for file in files {
        let examined = examine(&model, file, &bar)?;
        if json_line(m, || serde_json::to_value(&examined).expect("figures are plain data")) {
            continue;
        }
        print(&file.display().to_string());
        for (language, score) in &examined.texts {
            print_part(&say!(
                "eval-text",
                language = language,
                bits = format!("{:.4}", score.bits_per_byte),
                texts = words::count(score.texts),
                bytes = words::bytes(score.bytes),
            ));
        }
        let share = |right: u64, all: u64| format!("{:.1}", 100.0 * right as f64 / all as f64);
        let (choices, exact) = (examined.choices, examined.exact);
        if choices.questions > 0 {
            print_part(&say!(
                "eval-choices",
                questions = words::count(choices.questions),
                right = share(choices.right, choices.questions),
                by_length = share(choices.right_by_length, choices.questions),
            ));
        }
        if exact.questions > 0 {
            print_part(&say!(
                "eval-exact",
                questions = words::count(exact.questions),
                right = share(exact.right, exact.questions),
            ));
        }
    }
    Ok(())
}

/// Prints a line that belongs to the one above.
fn print_part(line: &str) {
    print(&format!("  {}", line.trim_start()));
}
