//! The command line, given to clap as the table of options says. Layer 3, beside `main`.
//!
//! clap finds flags, values, help and usage errors; what a value means is `options`' work, as it is for the other
//! sources. So every value is text here.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::cli::generate::wrap;
use crate::cli::options::{Group, Kind, SETTINGS, Setting};
use crate::cli::settings::Settings;

/// Flags that are no setting: name, placeholder, meaning.
pub(super) const OWN: [(&str, &str, &str); 1] =
    [("config", "FILE", "Reads a configuration file (TOML). `jackfield generate config` prints one.")];

/// Columns of help text, beside the 10 that it is indented by.
const HELP_WIDTH: usize = 90;

const SOURCES: &str = "\
Every option is also an environment variable (--max-message: JACKFIELD_MAX_MESSAGE) and a key of the
file that --config names (max_message). Flags override variables, variables override the file.
Variables that are set to nothing count as not set; in lists, commas stand between the items.
Sizes: 65536, 64KiB, 16MiB, 1MB. Times: 500ms, 30s, 5m, 1h.";

const VARIABLES: &str = "\
Variables that begin with JACKFIELD_ and are none of these are errors, but for JACKFIELD_BIN (set by
tests) and JACKFIELD_PORT, JACKFIELD_PORT_*, JACKFIELD_SERVICE_* (set by container platforms).";

/// The whole command line.
pub(super) fn command() -> Command {
    let check = Command::new("check")
        .about("Validates flags, environment and file, prints what would be in force, opens nothing")
        .args(arguments());
    let config =
        Command::new("config").about("Prints a configuration file with every key, its default and what it means");
    let generate = Command::new("generate")
        .about("Makes something to begin with: a configuration file, a certificate")
        .subcommand(config)
        .subcommand_required(true)
        .disable_help_subcommand(true);
    #[cfg(feature = "tls")]
    let generate = generate.subcommand(crate::cli::certificate::command());
    Command::new("jackfield")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Joins WebSocket clients: pairs, named channels, rooms and TCP servers, on one thread and one port")
        .after_help(format!("{SOURCES}\n\n{VARIABLES}"))
        .args(arguments())
        .subcommands([check, generate, crate::cli::token::command()])
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
}

fn arguments() -> Vec<Arg> {
    let defaults = Settings::default();
    let own = OWN.map(|(name, placeholder, doc)| {
        Arg::new(name).long(name).value_name(placeholder).help(doc.replace('`', "")).next_line_help(true)
    });
    // Under their headings in order, whatever the order of the table.
    let of = |group| SETTINGS.iter().filter(move |setting| setting.group == group);
    own.into_iter().chain(Group::ALL.into_iter().flat_map(of).map(|setting| argument(setting, &defaults))).collect()
}

fn argument(setting: &Setting, defaults: &Settings) -> Arg {
    let arg = Arg::new(setting.name).long(setting.name).next_line_help(true).help(help(setting, defaults));
    let arg = if setting.group == Group::General { arg } else { arg.help_heading(setting.group.heading()) };
    let arg = match setting.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    match setting.kind {
        Kind::Counted { .. } => arg.action(ArgAction::Count),
        // `--presence` alone says yes; `--presence=false` overrides a file that says it.
        Kind::Switch { .. } => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name(setting.placeholder())
        }
        Kind::List { .. } => arg.action(ArgAction::Append).value_name(setting.placeholder()),
        Kind::Number { .. } | Kind::Text { .. } => arg.value_name(setting.placeholder()),
    }
}

fn help(setting: &Setting, defaults: &Settings) -> String {
    let mut notes = Vec::new();
    match setting.kind {
        Kind::Number { .. } => notes.push(format!("default: {}", setting.get(defaults).concat())),
        Kind::List { .. } => {
            let texts = setting.get(defaults);
            if !texts.is_empty() {
                notes.push(format!("default: {}", texts.join(", ")));
            }
            notes.push("repeatable".to_owned());
        }
        Kind::Text { .. } if !setting.get(defaults).concat().is_empty() => {
            notes.push(format!("default: {}", setting.get(defaults).concat()));
        }
        Kind::Counted { .. } | Kind::Switch { .. } | Kind::Text { .. } => {}
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(", ")) };
    wrap(&format!("{}{notes}", setting.doc.replace('`', "")), HELP_WIDTH).join("\n")
}

/// What the flags said about `setting`, as the texts of one source.
pub(super) fn texts(matches: &ArgMatches, setting: &Setting) -> Option<Vec<String>> {
    if let Kind::Counted { most, .. } = setting.kind {
        // More than the most means the most.
        let count = matches.get_count(setting.name).min(most);
        return (count > 0).then(|| vec![count.to_string()]);
    }
    matches.get_many::<String>(setting.name).map(|texts| texts.cloned().collect())
}
