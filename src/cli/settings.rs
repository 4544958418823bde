//! The layers of configuration, one over the other: defaults, file, environment, flags. Layer 3, beside `main`.
//!
//! A wrong value is an error wherever it stands, even where a later layer says better: who wrote it should know. All
//! errors are collected, so that they can be mended in one go.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::cli::access;
use crate::cli::listen::{self, Entry, Lookup};
use crate::cli::options::{SETTINGS, Setting};
use crate::cli::units::Unit;
use crate::config::{Config, Listen};

/// Everything that options set: [`Config`], and what becomes part of it in [`Layers::finish`].
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) listen: Vec<Entry>,
    pub(super) admin: Vec<Entry>,
    pub(super) classic: bool,
    /// Where `config.lan.secret` was read; empty if there is none.
    pub(super) lan_secret_file: String,
}

impl Default for Settings {
    fn default() -> Self {
        let config = Config::default();
        let listen = config.listen.iter().map(Entry::from).collect();
        Self { config, listen, admin: Vec::new(), classic: false, lan_secret_file: String::new() }
    }
}

/// Who set a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Source {
    Default,
    Flag,
    Variable,
    File { path: PathBuf, line: usize },
}

impl Source {
    /// Where the value of `setting` stands.
    pub(super) fn place(&self, setting: &Setting) -> String {
        match self {
            Self::Default => "the default".to_owned(),
            Self::Flag => format!("--{}", setting.name),
            Self::Variable => setting.variable(),
            Self::File { path, line } => Line(path, *line).to_string(),
        }
    }
}

/// `FILE:LINE`, on one line whatever the file is called.
pub(super) struct Line<'a>(pub(super) &'a Path, pub(super) usize);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", plain(&self.0.display().to_string()), self.1)
    }
}

/// `text` with control characters escaped, as it comes from outside and goes to a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The layers applied so far, and what was wrong in them.
#[derive(Default)]
pub(super) struct Layers {
    settings: Settings,
    /// Who set each of [`SETTINGS`]; those beyond its end are defaults.
    sources: Vec<Source>,
    faults: Vec<String>,
}

/// A configuration that is valid, with what is needed to explain it.
#[derive(Debug)]
pub(super) struct Effective {
    pub(super) settings: Settings,
    sources: Vec<Source>,
}

impl Effective {
    /// Who set the option at `index` of [`SETTINGS`].
    pub(super) fn source(&self, index: usize) -> &Source {
        self.sources.get(index).unwrap_or(&Source::Default)
    }
}

impl Layers {
    /// Sets an option over what earlier layers said. `written` is the value as its author wrote it, if that is short.
    pub(super) fn set(&mut self, setting: &Setting, source: Source, written: Option<&str>, texts: &[&str]) {
        if let Err(wrong) = setting.set(&mut self.settings, texts) {
            let value = written.map(|written| match (written, &source) {
                ("", _) => " \"\"".to_owned(),
                (_, Source::Variable) => format!("={}", plain(written)),
                (_, Source::File { .. }) => format!(" = {}", plain(written)),
                _ => format!(" {}", plain(written)),
            });
            let name = match &source {
                Source::File { .. } => format!("{}: {}", source.place(setting), setting.key()),
                _ => source.place(setting),
            };
            self.fault(format!("{name}{}: {wrong}", value.unwrap_or_default()));
        }
        let index = index_of(setting.name);
        if self.sources.len() <= index {
            self.sources.resize(index + 1, Source::Default);
        }
        self.sources[index] = source;
    }

    /// Notes something that is wrong.
    pub(super) fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// Checks what options promise each other, looks up the names to listen on, and hands out the result.
    ///
    /// # Errors
    /// Everything that was wrong in any layer, a line each.
    pub(super) fn finish(mut self, lookup: Lookup) -> Result<Effective, Vec<String>> {
        let limits = &self.settings.config.limits;
        if limits.max_queue < limits.queue_high {
            let described = |name, bytes| format!("--{name} ({}, {})", Unit::Bytes.write(bytes), self.place(name));
            let (queue, high) = (limits.max_queue as u64, limits.queue_high as u64);
            let fault = format!("{} must be at least {}", described("max-queue", queue), described("queue-high", high));
            self.faults.push(fault);
        }
        if let Some(idle) = access::idle(&self.settings.config) {
            self.faults.push(format!("{idle} ({}) means nothing without --token-key", self.place(&idle[2..])));
        }
        // A name is not worth a lookup for a configuration that is wrong anyway.
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let listen: Vec<Listen> = listen::resolve(&self.settings.listen, self.settings.classic, lookup)
            .map_err(|wrong| vec![format!("--listen ({}): {wrong}", self.place("listen"))])?;
        self.check_tls(&listen)?;
        self.settings.listen = listen.iter().map(Entry::explicit).collect();
        let admin = listen::addresses(&self.settings.admin, &listen, lookup)
            .map_err(|wrong| vec![format!("--admin ({}): {wrong}", self.place("admin"))])?;
        self.settings.admin = admin.iter().map(Entry::plain).collect();
        self.settings.config.admin = admin;
        self.settings.config.listen = listen;
        Ok(Effective { settings: self.settings, sources: self.sources })
    }

    /// A certificate needs its key, and a listener that shows it; a listener needs both.
    fn check_tls(&self, listen: &[Listen]) -> Result<(), Vec<String>> {
        let Config { tls_cert, tls_key, .. } = &self.settings.config;
        let described = |name| format!("--{name} ({})", self.place(name));
        let fault = match (listen.iter().find(|listen| listen.tls), tls_cert, tls_key) {
            (Some(_), Some(_), Some(_)) | (None, None, None) => return Ok(()),
            (_, Some(_), None) => format!("{} needs --tls-key", described("tls-cert")),
            (_, None, Some(_)) => format!("{} needs --tls-cert", described("tls-key")),
            (Some(listen), None, None) => format!(
                "{}: {} is to speak TLS and needs --tls-cert and --tls-key (`jackfield generate cert` makes both)",
                described("listen"),
                Entry::from(listen)
            ),
            (None, Some(_), Some(_)) => {
                format!("{}: no listener speaks TLS: say --listen tls+HOST:PORT", described("tls-cert"))
            }
        };
        Err(vec![fault])
    }

    fn place(&self, name: &str) -> String {
        let index = index_of(name);
        self.sources.get(index).unwrap_or(&Source::Default).place(&SETTINGS[index])
    }
}

fn index_of(name: &str) -> usize {
    SETTINGS.iter().position(|setting| setting.name == name).expect("names come from the table")
}
