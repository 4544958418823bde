//! The table of options, from which everything else comes: flags, environment, file, help, `generate`. Layer 3.
//!
//! An option has one name. `--max-message` is `JACKFIELD_MAX_MESSAGE` in the environment and `max_message` in a file.
//! Defaults are not written here: they are read out of `Settings::default()`, that is, of `Config::default()`.

mod table;

pub(super) use self::table::{SETTINGS, about, never};

use crate::cli::settings::Settings;
use crate::cli::units::Unit;

/// One thing that can be configured.
pub(super) struct Setting {
    /// The flag without its dashes.
    pub(super) name: &'static str,
    /// The one-letter flag.
    pub(super) short: Option<char>,
    /// The heading it stands under.
    pub(super) group: Group,
    /// One or two sentences: what it is, what happens beyond it.
    pub(super) doc: &'static str,
    /// Its form, and how it is read from and written to [`Settings`].
    pub(super) kind: Kind,
}

/// Headings, in the order in which they are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Group {
    General,
    Access,
    Bridge,
    Lan,
    Protocols,
    Limits,
}

impl Group {
    pub(super) const ALL: [Self; 6] =
        [Self::General, Self::Access, Self::Bridge, Self::Lan, Self::Protocols, Self::Limits];

    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Access => "Who may connect",
            Self::Bridge => "Bridge to TCP servers",
            Self::Lan => "Local network",
            Self::Protocols => "Protocols",
            Self::Limits => "Limits",
        }
    }
}

/// The form of an option's value.
pub(super) enum Kind {
    /// A number within a range.
    Number {
        unit: Unit,
        /// Smallest and largest value.
        range: (u64, u64),
        /// Whether 0 is allowed as well, below the range.
        or_zero: bool,
        get: fn(&Settings) -> u64,
        set: fn(&mut Settings, u64),
    },
    /// A number that the flag counts: `-vv`.
    Counted { most: u8, get: fn(&Settings) -> u8, set: fn(&mut Settings, u8) },
    /// Yes or no.
    Switch { get: fn(&Settings) -> bool, set: fn(&mut Settings, bool) },
    /// One text.
    Text {
        placeholder: &'static str,
        get: fn(&Settings) -> String,
        /// Sets it, or says what is wrong.
        set: fn(&mut Settings, &str) -> Result<(), String>,
    },
    /// Any number of texts; the flag may be repeated, the variable has commas between them.
    List {
        placeholder: &'static str,
        /// Whether a text that stands behind a comma of the variable is still part of the one before it.
        continues: fn(&str) -> bool,
        get: fn(&Settings) -> Vec<String>,
        /// Replaces the list, or says which text is wrong and how.
        set: fn(&mut Settings, &[&str]) -> Result<(), String>,
    },
}

impl Setting {
    /// Its name in the environment.
    pub(super) fn variable(&self) -> String {
        format!("JACKFIELD_{}", self.key().to_ascii_uppercase())
    }

    /// Its name in a file.
    pub(super) fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    /// What stands for its value in usage lines.
    pub(super) fn placeholder(&self) -> &'static str {
        match &self.kind {
            Kind::Number { unit, .. } => unit.placeholder(),
            Kind::Counted { .. } => Unit::Count.placeholder(),
            Kind::Switch { .. } => "true|false",
            Kind::Text { placeholder, .. } | Kind::List { placeholder, .. } => placeholder,
        }
    }

    /// Sets it from the texts of one source. Lists are replaced, not extended.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub(super) fn set(&self, settings: &mut Settings, texts: &[&str]) -> Result<(), String> {
        let text = texts.first().copied().unwrap_or_default();
        match &self.kind {
            Kind::Number { unit, range, or_zero, set, .. } => {
                let number = unit.read(text)?;
                let is_zero_meant = *or_zero && number == 0;
                if !is_zero_meant && !(range.0..=range.1).contains(&number) {
                    return Err(format!("must be {}", self.allowed().unwrap_or_default()));
                }
                set(settings, number);
            }
            Kind::Counted { most, set, .. } => match u8::try_from(Unit::Count.read(text)?) {
                Ok(number) if number <= *most => set(settings, number),
                _ => return Err(format!("must be {}", self.allowed().unwrap_or_default())),
            },
            Kind::Switch { set, .. } => match text {
                "true" | "1" => set(settings, true),
                "false" | "0" => set(settings, false),
                _ => return Err("expected true or false".to_owned()),
            },
            Kind::Text { set, .. } => set(settings, text)?,
            Kind::List { set, .. } => set(settings, texts)?,
        }
        Ok(())
    }

    /// Its value as texts: one, or those of a list.
    pub(super) fn get(&self, settings: &Settings) -> Vec<String> {
        match &self.kind {
            Kind::Number { unit, get, .. } => vec![unit.write(get(settings))],
            Kind::Counted { get, .. } => vec![get(settings).to_string()],
            Kind::Switch { get, .. } => vec![get(settings).to_string()],
            Kind::Text { get, .. } => vec![get(settings)],
            Kind::List { get, .. } => get(settings),
        }
    }

    /// Its range in words, if it has one.
    pub(super) fn allowed(&self) -> Option<String> {
        match &self.kind {
            Kind::Number { unit, range: (least, most), or_zero, .. } => {
                let zero = if *or_zero { "0, or " } else { "" };
                Some(format!("{zero}from {} to {}", unit.write(*least), unit.write(*most)))
            }
            Kind::Counted { most, .. } => Some(format!("from 0 to {most}")),
            Kind::Switch { .. } | Kind::Text { .. } | Kind::List { .. } => None,
        }
    }
}
