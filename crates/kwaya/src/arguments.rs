//! The command line: each command and flag once, with its words from the
//! message file.

use std::{fmt::Display, str::FromStr};

use clap::{Arg, ArgAction, Command, value_parser};
use kwaya_base::{messages, say};
use kwaya_recipe::{rights::Use, taught};
use kwaya_serve::{settings, token::Role};
use kwaya_text::Reason;

/// The whole command line of `kwaya`.
pub(crate) fn command() -> Command {
    let mut kwaya = Command::new("kwaya")
        .version(env!("CARGO_PKG_VERSION"))
        .about(say!("help-kwaya"))
        .after_help(say!("help-kwaya-examples"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(flag("json").global(true))
        .arg(option("threads", "N").value_parser(number(1_usize, 1024)).global(true));
    kwaya = kwaya
        .subcommand(
            subcommand("new")
                .arg(place("dir"))
                .arg(option("from", "FOLDER").required(true))
                .arg(option("language", "TAG").required(true).action(ArgAction::Append))
                .arg(option("licence", "SPDX"))
                .arg(option("allowed-by", "WHO"))
                .arg(option("allowed-on", "DAY"))
                .arg(uses("allowed-for"))
                .arg(option("allowed-until", "DAY"))
                .arg(uses("use"))
                .arg(option("base", "MODEL"))
                .arg(option("method", "METHOD").value_parser(["lora", "full", "continue"]).requires("base")),
        )
        .subcommand(subcommand("machine").arg(option("memory", "BYTES")))
        .subcommand(subcommand("bench").arg(option("memory", "BYTES")))
        .subcommand(
            subcommand("plan")
                .arg(place("dir"))
                .arg(option("within", "TIME").default_value("30m"))
                .arg(option("memory", "BYTES")),
        )
        .subcommand(
            subcommand("build")
                .arg(place("dir"))
                .arg(option("within", "TIME").default_value("30m"))
                .arg(option("checkpoint-every", "TIME").default_value("30s"))
                .arg(option("memory", "BYTES")),
        )
        .subcommand(subcommand("status").arg(place("dir")))
        .subcommand(sampling(subcommand("generate").arg(place("model")).arg(place("prompt"))))
        .subcommand(sampling(subcommand("chat").arg(place("model")).arg(option("system", "TEXT"))))
        .subcommand(answering(
            subcommand("ask")
                .arg(place("dir"))
                .arg(place("question").required(false))
                .arg(flag("passages"))
                .arg(option("model", "MODEL").help(say!("help-flag-ask-model")).conflicts_with("quote")),
        ))
        .subcommand(
            subcommand("import")
                .arg(place("source"))
                .arg(place("out"))
                .arg(option("numbers", "FORMAT"))
                .arg(option("adapter", "FOLDER")),
        )
        .subcommand(
            subcommand("export")
                .arg(place("model"))
                .arg(place("out"))
                .arg(option("format", "FORMAT").value_parser(["gguf", "folder"]))
                .arg(option("quantise", "TARGET"))
                .arg(option("measure", "FILE"))
                .arg(flag("adapter-only").conflicts_with_all(["format", "quantise", "measure"])),
        )
        .subcommand(subcommand("inspect").arg(place("model")).arg(flag("tensors")))
        .subcommand(
            answering(subcommand("eval").arg(place("model")))
                .arg(option("data", "FILE").required_unless_present("ask").action(ArgAction::Append).num_args(1..))
                .arg(option("ask", "FILE"))
                .mut_arg("data", |data| data.conflicts_with_all(["ask", "count", "quote", "vectors"])),
        )
        .subcommand(
            subcommand("corpus")
                .subcommand_required(true)
                .subcommand(subcommand("stats").arg(place("dir")))
                .subcommand(looking(subcommand("show").arg(place("dir")).arg(place("id").required(false))).arg(skip()))
                .subcommand(looking(subcommand("dropped").arg(place("dir"))).args(of_dropped()).arg(skip()))
                .subcommand(
                    looking(subcommand("sample").arg(place("dir")))
                        .arg(flag("dropped"))
                        .args(of_dropped().map(|arg| arg.requires("dropped")))
                        .arg(option("seed", "N").value_parser(value_parser!(u64)).default_value("0")),
                )
                .subcommand(
                    subcommand("parity")
                        .arg(place("dir").required(false))
                        .arg(option("tokenizer", "MODEL").action(ArgAction::Append).num_args(1..))
                        .arg(option("parallel", "TAG=FILE").action(ArgAction::Append).num_args(1..))
                        .arg(option("chart", "FILE")),
                )
                .subcommand(
                    subcommand("audit")
                        .arg(place("dir"))
                        .arg(limit().short('n').value_parser(number(1_usize, 1000)).default_value("5")),
                )
                .subcommand(subcommand("card").arg(place("dir")))
                .subcommand(
                    subcommand("withdraw")
                        .arg(place("dir"))
                        .arg(place("what"))
                        .arg(option("because", "WORDS"))
                        .arg(flag("delete")),
                ),
        )
        .subcommand(
            subcommand("language")
                .subcommand_required(true)
                .subcommand(of_language("list").arg(option("learned", "FILE").action(ArgAction::Append)))
                .subcommand(
                    of_language("detect")
                        .arg(place("file").num_args(1..))
                        .arg(flag("paragraphs"))
                        .arg(option("learned", "FILE").action(ArgAction::Append)),
                )
                .subcommand(
                    of_language("learn")
                        .arg(place("tag"))
                        .arg(place("file").num_args(1..))
                        .arg(option("out", "FILE").required(true)),
                ),
        )
        .subcommand(classify())
        .subcommand(extract())
        .subcommand(serving(subcommand("serve").arg(place("model"))))
        .subcommand(
            subcommand("token")
                .subcommand_required(true)
                .subcommand(
                    subcommand("add")
                        .arg(place("name"))
                        .arg(place("model"))
                        .arg(option("role", "ROLE").required(true).value_parser(Role::ALL.map(Role::name))),
                )
                .subcommand(subcommand("list").arg(place("model")))
                .subcommand(subcommand("remove").arg(place("name")).arg(place("model"))),
        )
        .subcommand(Command::new("extract-worker").hide(true));
    kwaya
}

/// All settings of the server. They are read as those of its file are.
fn serving(command: Command) -> Command {
    let setting = |name: &'static str| {
        let value = match name {
            "listen" => "ADDRESS",
            "name" => "NAME",
            "vectors" => "MODEL",
            "classifier" | "tls-certificate" | "tls-key" => "FILE",
            "body" | "cache" | "keep" => "BYTES",
            _ if name.ends_with("-time") => "TIME",
            _ => "N",
        };
        let setting = option(name, value);
        if name == "tokens" { setting.help(say!("help-flag-answer-tokens")) } else { setting }
    };
    command.arg(option("config", "FILE")).args(settings::NAMES.map(setting))
}

fn subcommand(name: &'static str) -> Command {
    let command = Command::new(name).about(say!(&format!("help-{name}")));
    let examples = format!("help-{name}-examples");
    if messages::exists(&examples) { command.after_help(say!(&examples)) } else { command }
}

/// A command of `kwaya language`.
fn of_language(name: &'static str) -> Command {
    Command::new(name)
        .about(say!(&format!("help-language-{name}")))
        .after_help(say!(&format!("help-language-{name}-examples")))
}

fn classify() -> Command {
    let command = |name: &'static str| {
        let key = format!("help-classify-{name}");
        Command::new(name).about(say!(&key)).after_help(say!(&format!("{key}-examples")))
    };
    let place = |name: &'static str| place(name).help(say!(&format!("help-classify-{name}")));
    let option = |name: &'static str, value| option(name, value).help(say!(&format!("help-classify-{name}")));
    let report = || option("report", "FILE");
    subcommand("classify")
        .subcommand_required(true)
        .subcommand(
            command("train")
                .arg(place("out"))
                .arg(option("data", "FILE").required(true))
                .arg(option("dev", "FILE"))
                .arg(option("label", "COLUMN").required(true))
                .arg(option("text", "COLUMNS").required(true))
                .arg(option("sure", "SHARE").value_parser(number(0.0_f64, 1.0)).default_value("0.95"))
                .arg(option("base", "MODEL"))
                .args(teaching().map(|arg| arg.requires("base")))
                .arg(report()),
        )
        .subcommand(
            command("run")
                .arg(place("model"))
                .arg(place("texts").required(false).num_args(1..).conflicts_with("data"))
                .arg(option("data", "FILE"))
                .arg(option("text", "COLUMNS")),
        )
        .subcommand(
            command("eval")
                .arg(place("model"))
                .arg(option("data", "FILE").required(true))
                .arg(option("label", "COLUMN"))
                .arg(option("text", "COLUMNS"))
                .arg(report()),
        )
}

/// How a language model is taught to be a classifier.
fn teaching() -> [Arg; 6] {
    let option = |name: &'static str, value| option(name, value).help(say!(&format!("help-classify-{name}")));
    [
        option("tokens", "N").value_parser(number(1_usize, taught::TOKENS_MAX)).default_value("256"),
        option("epochs", "N").value_parser(number(1_u64, 1000)).default_value("3"),
        option("rate", "NUMBER").value_parser(number(1e-9_f32, 1.0)).default_value("0.001"),
        option("precision", "NUMBERS").value_parser(["f32", "bf16"]).default_value("f32"),
        self::option("checkpoint-every", "TIME").default_value("30s"),
        self::option("memory", "BYTES"),
    ]
}

fn extract() -> Command {
    let option = |name: &'static str, value| option(name, value).help(say!(&format!("help-extract-{name}")));
    let flag = |name: &'static str| flag(name).help(say!(&format!("help-extract-{name}")));
    subcommand("extract")
        .arg(place("model"))
        .arg(place("documents").num_args(1..))
        .arg(option("schema", "FILE").required(true))
        .arg(option("to", "FILE").required(true))
        .arg(option("instructions", "TEXT"))
        .arg(option("tokens", "N").value_parser(number(1_usize, 1 << 16)).default_value("512"))
        .arg(option("at-once", "N").value_parser(number(1_usize, 256)).default_value("8"))
        .arg(flag("only-found"))
        .arg(flag("again"))
        .arg(option("check", "FILE"))
}

fn place(name: &'static str) -> Arg {
    Arg::new(name).value_name(name.to_uppercase()).required(true).help(say!(&format!("help-arg-{name}")))
}

fn option(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(say!(&format!("help-flag-{name}")))
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(say!(&format!("help-flag-{name}")))
}

/// Reads a number and holds it to its bounds; NaN is in none.
fn number<T>(low: T, high: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| match text.parse() {
        Ok(number) if low <= number && number <= high => Ok(number),
        _ => Err(say!("number-wrong", low = low, high = high)),
    }
}

fn uses(name: &'static str) -> Arg {
    option(name, "USE").value_parser(Use::ALL.map(Use::name)).action(ArgAction::Append)
}

/// Which documents to look at.
fn looking(command: Command) -> Command {
    command
        .arg(limit())
        .arg(option("language", "TAG").help(say!("help-flag-of-language")))
        .arg(option("source", "NAME").help(say!("help-flag-of-source")))
}

/// Which of those that were dropped.
fn of_dropped() -> [Arg; 2] {
    [option("reason", "REASON").value_parser(Reason::ALL.map(Reason::key)), option("filter", "WORDS")]
}

fn skip() -> Arg {
    option("skip", "N").value_parser(value_parser!(usize)).default_value("0")
}

fn limit() -> Arg {
    option("limit", "N").value_parser(value_parser!(usize)).default_value("20")
}

/// How questions about documents are answered.
fn answering(command: Command) -> Command {
    let count = option("count", "N").value_parser(number(1_usize, 20)).default_value("5");
    command.arg(count).arg(flag("quote")).arg(option("vectors", "MODEL"))
}

fn sampling(command: Command) -> Command {
    command
        .arg(option("tokens", "N").value_parser(value_parser!(usize)).default_value("120"))
        .arg(option("temperature", "T").value_parser(number(0.0_f32, 100.0)).default_value("0.8"))
        .arg(option("top-k", "K").value_parser(value_parser!(usize)).default_value("40"))
        .arg(option("top-p", "P").value_parser(number(0.0_f32, 1.0)).default_value("0.95"))
        .arg(option("repetition-penalty", "R").value_parser(number(0.01_f32, 100.0)).default_value("1.1"))
        .arg(option("seed", "N").value_parser(value_parser!(u64)).default_value("0"))
        .arg(option("json-schema", "SCHEMA"))
        .arg(option("regex", "REGEX").conflicts_with("json-schema"))
}
