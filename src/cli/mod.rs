//! The command line, environment and configuration file, which become a [`Config`]. Layer 3, beside `main`.
//!
//! `options` is the table from which everything comes. [`parse`] applies file, environment and flags over the
//! defaults, in that order, and says what the process is to do. It opens nothing but the configuration file, to check
//! them the certificate and its key, and for `token` a key; names to listen on are looked up.

mod access;
mod banner;
mod bridge;
#[cfg(feature = "tls")]
mod certificate;
mod exposure;
mod file;
mod flags;
mod generate;
mod lan;
mod listen;
mod logger;
mod options;
mod settings;
mod token;
mod units;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::ArgMatches;
use clap::error::ErrorKind;

pub use banner::banner;
pub use generate::options_table;
pub use logger::start_logging;

use crate::config::Config;
use crate::net::tls::Identity;
use file::did_you_mean;
use options::{Kind, SETTINGS, Setting};
use settings::{Effective, Layers, Source, plain};

/// What the process is to do.
#[derive(Debug)]
pub enum Order {
    /// Serve.
    Serve(Box<Config>),
    /// Print this on standard output, and succeed.
    Print(String),
    /// Print this on standard error, and fail.
    Fail(String),
    /// Make a certificate and its key.
    #[cfg(feature = "tls")]
    Certificate(certificate::Wish),
}

/// A command line, environment or file that is wrong: lines that begin with `error: `. The exit code is 2.
#[derive(Debug)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

impl std::error::Error for UsageError {}

/// Reads the command line `args` (the program's name first) with the environment `variables`.
///
/// # Errors
/// Everything that is wrong with them, each with its option, its value and what is allowed.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Order, UsageError> {
    let matches = match flags::command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Order::Print(error.to_string()));
        }
        Err(error) => return Err(UsageError(error.to_string())),
    };
    match matches.subcommand() {
        Some(("generate", matches)) => match matches.subcommand() {
            #[cfg(feature = "tls")]
            Some(("cert", matches)) => certificate::Wish::read(matches).map(Order::Certificate).map_err(UsageError),
            // clap has seen to it that it is this one.
            _ => Ok(Order::Print(generate::config())),
        },
        Some(("token", matches)) => token::run(matches),
        Some((_, matches)) => {
            let effective = layered(matches, variables)?;
            let config = &effective.settings.config;
            let addresses: Vec<_> = config.listen.iter().map(|listen| listen.address).collect();
            let mut warnings = banner::warnings(config, &addresses);
            warnings.extend(check_identity(config)?);
            Ok(Order::Print(generate::effective(&effective, &warnings)))
        }
        None => layered(&matches, variables).map(|effective| Order::Serve(Box::new(effective.settings.config))),
    }
}

/// Whether the certificate and its key can be used, and what is to be said about them.
fn check_identity(config: &Config) -> Result<Vec<String>, UsageError> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(Vec::new()) };
    match Identity::load(cert, key, SystemTime::now()) {
        Ok(identity) => Ok(identity.warnings().to_vec()),
        Err(error) => Err(UsageError(format!("error: {error} (--tls-cert, --tls-key)"))),
    }
}

/// Puts the layers one over the other.
fn layered(
    matches: &ArgMatches,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Effective, UsageError> {
    let mut layers = Layers::default();
    let mut variables = ours(variables);
    let flag = matches.get_one::<String>("config").map(PathBuf::from);
    let variable = variables.remove(CONFIG).map(PathBuf::from);
    if let Some(path) = flag.or(variable) {
        match file::read(&path) {
            Ok(text) => file::apply(&path, &text, &mut layers),
            Err(fault) => layers.fault(fault),
        }
    }
    for setting in SETTINGS {
        if let Some(value) = variables.remove(&setting.variable()) {
            apply_variable(setting, value, &mut layers);
        }
    }
    for name in variables.keys().filter(|name| !is_foreign(name)) {
        let known = SETTINGS.iter().map(Setting::variable).chain([CONFIG.to_owned()]);
        layers.fault(format!("unknown variable {}{}", plain(name), did_you_mean(name, known)));
    }
    for setting in SETTINGS {
        if let Some(texts) = flags::texts(matches, setting) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let written = (texts.len() == 1).then_some(texts[0]);
            layers.set(setting, Source::Flag, written, &texts);
        }
    }
    layers
        .finish(|name, port| (name, port).to_socket_addrs().map(Iterator::collect))
        .map_err(|faults| UsageError(faults.iter().map(|fault| format!("error: {fault}\n")).collect()))
}

/// The variable that names the configuration file.
const CONFIG: &str = "JACKFIELD_CONFIG";

/// The variables that begin with our name and are set to something.
fn ours(variables: impl IntoIterator<Item = (OsString, OsString)>) -> BTreeMap<String, OsString> {
    let named = variables.into_iter().map(|(name, value)| (name.to_string_lossy().into_owned(), value));
    named.filter(|(name, value)| name.starts_with("JACKFIELD_") && !value.is_empty()).collect()
}

/// Whether a variable with our prefix is somebody else's: tests say with `JACKFIELD_BIN` where the program is, and
/// container platforms describe a service called jackfield with variables that begin with its name.
fn is_foreign(name: &str) -> bool {
    let name = name.strip_prefix("JACKFIELD_").unwrap_or(name);
    matches!(name, "BIN" | "PORT") || name.starts_with("PORT_") || name.starts_with("SERVICE_")
}

fn apply_variable(setting: &Setting, value: OsString, layers: &mut Layers) {
    let value = match value.into_string() {
        Ok(value) => value,
        Err(value) => {
            let value = plain(&value.to_string_lossy());
            return layers.fault(format!("{}={value}: is not UTF-8 text", setting.variable()));
        }
    };
    let texts = match setting.kind {
        Kind::List { continues, .. } => items(&value, continues),
        _ => vec![value.trim().to_owned()],
    };
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let written = (texts.len() == 1).then_some(value.as_str());
    layers.set(setting, Source::Variable, written, &texts);
}

/// The texts between the commas of `value`, those joined again that belong together.
fn items(value: &str, continues: fn(&str) -> bool) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for piece in value.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        match items.last_mut() {
            Some(item) if continues(piece) => {
                item.push(',');
                item.push_str(piece);
            }
            _ => items.push(piece.to_owned()),
        }
    }
    items
}

#[cfg(test)]
mod tests;
