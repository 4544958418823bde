//! What the table of options prints: a configuration file, the one in force, the table of README. Layer 3.

use crate::cli::flags;
use crate::cli::options::{Group, Kind, SETTINGS, Setting};
use crate::cli::settings::{Effective, Settings, Source, plain};
use crate::cli::units::Unit;

/// Columns of a generated file's comments.
const WIDTH: usize = 100;

/// `generate config`: every key with its default and what it means; reads back as the defaults.
pub(super) fn config() -> String {
    let mut out = String::from(
        "# Configuration of jackfield: every key with its default. Keep what you change.\n\
         #\n\
         # Use it with `jackfield --config FILE`, test it with `jackfield check --config FILE`.\n\
         # Environment variables (JACKFIELD_MAX_MESSAGE) override this file, flags (--max-message) override both.\n\
         # Sizes: 65536, \"64KiB\", \"16MiB\", \"1MB\". Times: \"500ms\", \"30s\", \"5m\", \"1h\".\n",
    );
    let defaults = Settings::default();
    for group in Group::ALL {
        out += &format!("\n\n# {}\n", group.heading());
        for setting in SETTINGS.iter().filter(|setting| setting.group == group) {
            let allowed = setting.allowed().map(|allowed| format!(" Allowed: {allowed}.")).unwrap_or_default();
            out += "\n";
            for line in wrap(&format!("{}{allowed}", setting.doc), WIDTH - 2) {
                out += &format!("# {line}\n");
            }
            out += &format!("{} = {}\n", setting.key(), value(setting, &defaults));
        }
    }
    out
}

/// `check`: the configuration in force, as a file that would bring it about, and who set what.
pub(super) fn effective(effective: &Effective, warnings: &[String]) -> String {
    let mut out = String::from("# The configuration is valid. In force is:\n");
    for (index, setting) in SETTINGS.iter().enumerate() {
        let line = format!("{} = {}", setting.key(), value(setting, &effective.settings));
        out += &match effective.source(index) {
            Source::Default => line,
            source => format!("{line:<32} # {}", source.place(setting)),
        };
        out += "\n";
    }
    for warning in warnings {
        out += &format!("# warning: {warning}\n");
    }
    out
}

/// The table of options in Markdown, as README shows it between its `options` markers.
#[must_use]
pub fn options_table() -> String {
    let mut out = String::from("| option | default | meaning |\n|---|---|---|\n");
    let defaults = Settings::default();
    for (flag, placeholder, doc) in flags::OWN {
        out += &format!("| `--{flag} {placeholder}` | | {doc} |\n");
    }
    for setting in SETTINGS {
        let flag = match &setting.kind {
            Kind::Counted { .. } => format!("`-{0}`, `-{0}{0}`", setting.short.unwrap_or_default()),
            Kind::Switch { .. } => match setting.short {
                Some(short) => format!("`--{}`, `-{short}`", setting.name),
                None => format!("`--{}`", setting.name),
            },
            _ => format!("`--{} {}`", setting.name, setting.placeholder()),
        };
        let texts = setting.get(&defaults);
        let default = if texts.concat().is_empty() { "none".to_owned() } else { format!("`{}`", texts.join("`, `")) };
        let allowed = setting.allowed().map(|allowed| format!(" Allowed: {allowed}.")).unwrap_or_default();
        out += &format!("| {flag} | {default} | {}{allowed} |\n", setting.doc.replace('*', "\\*"));
    }
    out
}

/// The value of `setting` as a file holds it.
fn value(setting: &Setting, settings: &Settings) -> String {
    // Values that were accepted hold no control characters; a quote or a backslash would end the string.
    let quoted = |text: &String| format!("\"{}\"", plain(text).replace('\\', "\\\\").replace('"', "\\\""));
    let texts = setting.get(settings);
    match &setting.kind {
        Kind::List { .. } => format!("[{}]", texts.iter().map(quoted).collect::<Vec<_>>().join(", ")),
        Kind::Number { unit: Unit::Bytes | Unit::Time, .. } | Kind::Text { .. } => texts.iter().map(quoted).collect(),
        _ => texts.concat(),
    }
}

/// Breaks `text` at spaces into lines of `width` columns at most, where words allow.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
