//! The configuration file: TOML, every key at the top level. Layer 3, beside `main`.
//!
//! What a key may hold follows from the table of options. Everything wrong is reported with file and line, and a key
//! that nobody knows with the one that was probably meant.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::cli::options::{Kind, SETTINGS, Setting};
use crate::cli::settings::{Layers, Line, Source, plain};
use crate::cli::units::Unit;

/// Bytes of a configuration file: far more than all keys need, and an end where a device or a log was named.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads the file at `path`.
///
/// # Errors
/// That it cannot be read, and why.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let fail = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", plain(&path.display().to_string()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| fail(&error))?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(fail(&"it is larger than 1MiB, so it is no configuration file"));
    }
    String::from_utf8(bytes).map_err(|_| fail(&"it is not UTF-8 text"))
}

/// Applies `text`, the content of the file at `path`.
pub(super) fn apply(path: &Path, text: &str, layers: &mut Layers) {
    let line_at = |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let line = line_at(error.span().map_or(0, |span| span.start));
            return layers.fault(format!("{}: {}", Line(path, line), plain(error.message())));
        }
    };
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let line = line_at(key.span().start);
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key() == **key.get_ref()) else {
            layers.fault(format!("{}: {}", Line(path, line), unknown(key.get_ref(), value.get_ref())));
            continue;
        };
        let written = text.get(value.span()).filter(|written| !written.contains('\n'));
        match texts(setting, value.get_ref()) {
            Ok(texts) => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let written = written.filter(|_| texts.len() == 1);
                layers.set(setting, Source::File { path: path.to_owned(), line }, written, &texts);
            }
            Err(wrong) => layers.fault(format!("{}: {}: {wrong}", Line(path, line), setting.key())),
        }
    }
}

/// The value as the texts that a flag would give.
fn texts(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let expected = match (&setting.kind, value) {
        (Kind::Number { unit: Unit::Time, .. }, DeValue::Integer(number)) if number.as_str() != "0" => {
            let number = plain(number.as_str());
            return Err(format!("a time needs its unit: say \"{number}s\" or \"{number}ms\""));
        }
        (Kind::Number { .. } | Kind::Counted { .. }, DeValue::Integer(number)) => {
            // Larger than any range allows, as is what a negative number becomes in `Unit::read`: not a number.
            let number = i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX);
            return Ok(vec![number.to_string()]);
        }
        (Kind::Number { unit: Unit::Bytes | Unit::Time, .. }, DeValue::String(text)) => {
            return Ok(vec![text.clone().into_owned()]);
        }
        (Kind::Text { .. }, DeValue::String(text)) => return Ok(vec![text.clone().into_owned()]),
        (Kind::Switch { .. }, DeValue::Boolean(on)) => return Ok(vec![on.to_string()]),
        (Kind::List { .. }, DeValue::Array(items)) if items.iter().all(|item| item.get_ref().is_str()) => {
            return Ok(items.iter().filter_map(|item| item.get_ref().as_str().map(str::to_owned)).collect());
        }
        (Kind::Number { unit: Unit::Bytes, .. }, _) => "a size such as 65536 or \"64KiB\"",
        (Kind::Number { unit: Unit::Time, .. }, _) => "a time such as \"30s\"",
        (Kind::Number { .. } | Kind::Counted { .. }, _) => "a whole number",
        (Kind::Text { .. }, _) => "a string",
        (Kind::Switch { .. }, _) => "true or false",
        (Kind::List { .. }, DeValue::Array(_)) => return Err("expected an array of strings only".to_owned()),
        (Kind::List { .. }, _) => "an array of strings",
    };
    Err(format!("expected {expected}, found {}", a_kind(value)))
}

fn a_kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn unknown(key: &str, value: &DeValue<'_>) -> String {
    let hint = if value.is_table() {
        "; keys stand at the top level, outside tables".to_owned()
    } else {
        did_you_mean(key, SETTINGS.iter().map(Setting::key))
    };
    format!("unknown key \"{}\"{hint}", plain(key))
}

/// `; did you mean "…"?`, or nothing where no candidate is like `name`. Case does not count, nor `-` for `_`.
pub(super) fn did_you_mean(name: &str, candidates: impl Iterator<Item = String>) -> String {
    // Two letters in five may be wrong, missing, too many or swapped; beyond that everything resembles something.
    const LIKE: f64 = 0.6;
    let fold = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    // What all variables share would make any two alike.
    let bare = |text: &str| fold(text.strip_prefix("JACKFIELD_").unwrap_or(text));
    let name = bare(name);
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&name, &bare(&candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean \"{candidate}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::Settings;

    /// What is wrong with a file, or what it makes of the settings.
    fn read_as(text: &str) -> Result<Settings, Vec<String>> {
        let mut layers = Layers::default();
        apply(Path::new("jack.toml"), text, &mut layers);
        layers.finish(|_, _| unreachable!("no names in these files")).map(|effective| effective.settings)
    }

    #[test]
    fn every_form_of_value() {
        let settings = read_as(
            "# a comment\n\
             listen = [\"named@127.0.0.1:1\", \"[::1]:2\"]\n\
             classic = false\n\
             verbose = 1\n\
             presence = true\n\
             allow_origin = [\"https://example.com\"]\n\
             allow_host = []\n\
             max_message = \"16MiB\"\n\
             max_queue = 2_097_152\n\
             max_head = 0x1000\n\
             max_connections = 0\n\
             ping_interval = 0\n\
             pong_timeout = \"1500ms\"\n",
        )
        .unwrap();
        let (config, limits) = (&settings.config, &settings.config.limits);
        assert_eq!(config.listen.len(), 2);
        assert_eq!((config.verbose, config.presence, limits.max_message), (1, true, 16 << 20));
        assert_eq!((limits.max_queue, limits.max_head, limits.max_connections), (2 << 20, 4096, 0));
        assert!(limits.ping_interval.is_zero());
        assert_eq!(limits.pong_timeout.as_millis(), 1500);
        assert_eq!(config.allow_origin, ["https://example.com"]);
    }

    #[test]
    fn faults_name_file_line_and_what_would_be_right() {
        for (text, fault) in [
            ("\nmax_mesage = 1", "jack.toml:2: unknown key \"max_mesage\"; did you mean \"max_message\"?"),
            ("max-message = 1", "jack.toml:1: unknown key \"max-message\"; did you mean \"max_message\"?"),
            ("MaxMessage = 1", "jack.toml:1: unknown key \"MaxMessage\"; did you mean \"max_message\"?"),
            ("colour = 1", "jack.toml:1: unknown key \"colour\""),
            ("\"\\u001b[m\" = 1", "jack.toml:1: unknown key \"\\u{1b}[m\""),
            (
                "[limits]\nmax_head = 1",
                "jack.toml:1: unknown key \"limits\"; keys stand at the top level, outside tables",
            ),
            ("max_head = true", "jack.toml:1: max_head: expected a size such as 65536 or \"64KiB\", found a boolean"),
            ("max_headers = \"9\"", "jack.toml:1: max_headers: expected a whole number, found a string"),
            ("max_headers = 9.5", "jack.toml:1: max_headers: expected a whole number, found a float"),
            ("verbose = []", "jack.toml:1: verbose: expected a whole number, found an array"),
            ("pong_timeout = 5", "jack.toml:1: pong_timeout: a time needs its unit: say \"5s\" or \"5ms\""),
            ("pong_timeout = {}", "jack.toml:1: pong_timeout: expected a time such as \"30s\", found a table"),
            ("presence = 1", "jack.toml:1: presence: expected true or false, found an integer"),
            ("presence = 1979-05-27", "jack.toml:1: presence: expected true or false, found a date"),
            ("listen = \"a:1\"", "jack.toml:1: listen: expected an array of strings, found a string"),
            ("listen = [1]", "jack.toml:1: listen: expected an array of strings only"),
            ("listen = []", "--listen (jack.toml:1): there is nothing to listen on: name at least one HOST:PORT"),
            ("max_head = 1", "jack.toml:1: max_head = 1: must be from 512B to 64KiB"),
            ("max_head = -1", "jack.toml:1: max_head = -1: expected a size such as 65536, 64KiB or 1MB"),
            (
                "max_head = 99999999999999999999",
                "jack.toml:1: max_head = 99999999999999999999: must be from 512B to 64KiB",
            ),
            ("verbose = 3", "jack.toml:1: verbose = 3: must be from 0 to 2"),
            (
                "listen = [\n\"127.0.0.1:1\",\n\"9\"]",
                "jack.toml:1: listen: \"9\": expected [ROOT@]HOST:PORT, such as 127.0.0.1:9009",
            ),
        ] {
            assert_eq!(read_as(text).unwrap_err(), [fault], "{text:?}");
        }
    }

    #[test]
    fn syntax_errors_have_a_line() {
        for text in ["\n\nmax_head = ", "\n\nmax_head", "\n\n= 1", "\n\nmax_head = 30s"] {
            let faults = read_as(text).unwrap_err();
            assert!(faults[0].starts_with("jack.toml:3: "), "{faults:?}");
            assert!(!faults[0].contains('\n'), "{faults:?}");
        }
        assert!(read_as("verbose = 1\nverbose = 2").unwrap_err()[0].starts_with("jack.toml:2: duplicate key"));
    }

    #[test]
    fn all_faults_are_told_at_once_in_the_order_of_the_file() {
        let faults = read_as("verbose = 9\nlisten = 1\nnothing = 1\n").unwrap_err();
        let lines: Vec<&str> = faults.iter().map(|fault| &fault[..11]).collect();
        assert_eq!(lines, ["jack.toml:1", "jack.toml:2", "jack.toml:3"]);
    }

    #[test]
    fn nothing_is_suggested_for_what_is_like_nothing() {
        for name in ["x", "", "timeout", "JACKFIELD", "proto"] {
            assert_eq!(did_you_mean(name, SETTINGS.iter().map(Setting::key)), "", "{name}");
        }
    }

    #[test]
    fn files_that_cannot_be_read() {
        assert!(read(Path::new("/no/such/file")).unwrap_err().starts_with("cannot read /no/such/file: No such file"));
        assert!(read(Path::new("/")).unwrap_err().starts_with("cannot read /: "));
        let endless = "cannot read /dev/zero: it is larger than 1MiB, so it is no configuration file";
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err(), endless);
    }
}
