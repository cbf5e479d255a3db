//! The command line.

use clap::{Arg, ArgAction, Command, builder::NonEmptyStringValueParser, value_parser};
use kwaya_base::say;

use crate::coordinator::SHARE_BYTES;

fn flag(name: &'static str, help: String) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).global(true).help(help)
}

fn value(name: &'static str, shown: &'static str, help: String) -> Arg {
    Arg::new(name).long(name).value_name(shown).value_parser(NonEmptyStringValueParser::new()).help(help)
}

/// All commands.
pub(crate) fn command() -> Command {
    let scheduler = || value("scheduler", "URL", say!("help-cluster-scheduler-url"));
    let number = |name, help| value(name, "N", help).value_parser(value_parser!(u64).range(1..));
    Command::new("kwaya-cluster")
        .version(env!("CARGO_PKG_VERSION"))
        .about(say!("help-cluster"))
        .after_help(say!("help-cluster-example"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(flag("json", say!("help-cluster-json")))
        .subcommand(
            Command::new("scheduler")
                .about(say!("help-cluster-scheduler"))
                .arg(value("listen", "ADDRESS", say!("help-cluster-listen")).default_value("127.0.0.1:50050")),
        )
        .subcommand(
            Command::new("executor")
                .about(say!("help-cluster-executor"))
                .arg(scheduler().required(true))
                .arg(value("listen", "ADDRESS", say!("help-cluster-listen")).default_value("127.0.0.1:50051"))
                .arg(value("host", "NAME", say!("help-cluster-host")))
                .arg(number("threads", say!("help-cluster-threads"))),
        )
        .subcommand(
            Command::new("corpus")
                .about(say!("help-cluster-corpus"))
                .arg(Arg::new("dir").value_name("DIR").required(true).help(say!("help-cluster-dir")))
                .arg(scheduler().help(say!("help-cluster-scheduler-or-none")))
                .arg(value("work", "PLACE", say!("help-cluster-work")))
                .arg(value("out", "PLACE", say!("help-cluster-out")))
                .arg(
                    number("share", say!("help-cluster-share"))
                        .value_name("MB")
                        .default_value((SHARE_BYTES >> 20).to_string()),
                ),
        )
        .subcommand(Command::new("extract-worker").hide(true))
}
