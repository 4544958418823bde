//! Tokens that are worth nothing any more, although they have not expired. Layer 0.
//!
//! The operator's file has a line for each: a token's `jti`, or a subject, all of whose tokens are meant, whoever issued
//! them. Lines that begin with `#` are comments, and blanks at a line's ends do not count: names that a line could not hold
//! are no names ([`is_name`]). A file without any line is refused: it looks the same as one that was
//! cut short, and taking it for "nobody" would give everybody back what was taken from them. A comment says that it is
//! meant.

use std::collections::HashSet;
use std::fmt;

use super::Grant;

/// Bytes of a line: more than an id or a subject may have.
const MAX_LINE_BYTES: usize = 512;

/// A mark that some editors put before all text, and that is no part of it (RFC 3629 §6).
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Whether a line can hold `name`. What no list could revoke must not be in a token.
pub(super) fn is_name(name: &str) -> bool {
    name == name.trim() && !name.starts_with(['#', BYTE_ORDER_MARK])
}

/// What is revoked. The default is nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Revoked(HashSet<Box<str>>);

/// Why a file is no list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadList {
    /// It has no line at all.
    Empty,
    /// It is not UTF-8.
    NotText,
    /// This line has control characters, or is too long.
    Line(usize),
}

impl fmt::Display for BadList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty; if nobody is revoked, let a comment (# nobody) say so"),
            Self::NotText => f.write_str("it is not UTF-8 text"),
            Self::Line(number) => {
                write!(f, "line {number} is no id and no subject: it has control characters or more than 512 bytes")
            }
        }
    }
}

impl Revoked {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`BadList`]; nothing of such a file counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadList> {
        let text = std::str::from_utf8(bytes).map_err(|_| BadList::NotText)?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let mut entries = HashSet::new();
        let mut is_empty = true;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.len() > MAX_LINE_BYTES || line.chars().any(char::is_control) {
                return Err(BadList::Line(number + 1));
            }
            is_empty &= line.is_empty();
            if !line.is_empty() && !line.starts_with('#') {
                entries.insert(line.into());
            }
        }
        if is_empty { Err(BadList::Empty) } else { Ok(Self(entries)) }
    }

    /// Adds the entries of another list.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether it names this token or its subject.
    #[must_use]
    pub fn has(&self, grant: &Grant) -> bool {
        let Some(holder) = &grant.holder else { return false };
        [&holder.id, &holder.subject].into_iter().flatten().any(|name| self.0.contains(name))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
