//! The top-level members of a JSON object, as spans of the text they stand in.
//!
//! [`find`] checks the whole text and picks the members that a protocol asks for, in one pass without a tree, an
//! allocation or recursion: this runs for every message that is relayed in an envelope. [`string`] and [`is_falsy`]
//! look into a span afterwards, where a protocol must. Texts are byte slices, as the UTF-8 of a text message has been
//! checked when it was assembled.

use std::borrow::Cow;

use super::scan::{MAX_DEPTH, Scanner};
use super::unescape::inner;

/// Why a text has no members.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldsError {
    /// Not JSON, or arrays and objects more than 127 deep.
    NotJson,
    /// JSON, but an array, string, number, boolean or null.
    NotObject,
}

/// Finds the values of members by name; what stands beside them is checked and skipped.
///
/// A value is the exact bytes that were sent, without the white space around it. Of members with the same name the
/// last one counts, as for JavaScript's and Python's readers. `text` must be valid UTF-8.
///
/// # Errors
/// When `text` as a whole is not one JSON object.
#[inline]
pub fn find<'t, const N: usize>(text: &'t [u8], names: [&str; N]) -> Result<[Option<&'t [u8]>; N], FieldsError> {
    let mut scanner = Scanner::new(text);
    if !scanner.accept(b'{') {
        return Err(not_an_object(text));
    }
    let mut found = [None; N];
    if !scanner.accept(b'}') {
        loop {
            let name = scanner.name().map_err(|_| FieldsError::NotJson)?;
            let value = scanner.value(MAX_DEPTH - 1).map_err(|_| FieldsError::NotJson)?;
            let index = names.iter().position(|wanted| name == wanted.as_bytes());
            if let Some(index) = index.or_else(|| escaped_name(name, &names)) {
                found[index] = Some(value);
            }
            if scanner.accept(b',') {
                continue;
            }
            if scanner.accept(b'}') {
                break;
            }
            return Err(FieldsError::NotJson);
        }
    }
    scanner.end().map_err(|_| FieldsError::NotJson)?;
    Ok(found)
}

/// Whether a text for which [`find`] finds no members has one of this name for a reader who takes more for JSON: deeper
/// arrays and objects, numbers like `NaN`. Names only: nothing else is checked, so this may also say yes to what nobody
/// takes for JSON.
#[cold]
#[must_use]
pub fn may_have(text: &[u8], name: &str) -> bool {
    let mut scanner = Scanner::new(text);
    let mut depth = 0_usize;
    if scanner.peek() != b'{' {
        return false;
    }
    loop {
        match scanner.peek() {
            b'"' => {
                let Ok(quoted) = scanner.value(0) else { return false };
                let is_name = depth == 1 && scanner.peek() == b':';
                if is_name && string(quoted).is_some_and(|quoted| quoted == name) {
                    return true;
                }
                continue;
            }
            0 => return false,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let next = scanner.peek();
        scanner.accept(next);
    }
}

/// Tells other JSON from what is none.
#[cold]
fn not_an_object(text: &[u8]) -> FieldsError {
    let mut scanner = Scanner::new(text);
    match scanner.value(MAX_DEPTH).and_then(|_| scanner.end()) {
        Ok(()) => FieldsError::NotObject,
        Err(_) => FieldsError::NotJson,
    }
}

/// Which of `names` is meant by what stands between the quotes, should it contain escapes.
#[inline(always)]
fn escaped_name(name: &[u8], names: &[&str]) -> Option<usize> {
    if name.contains(&b'\\') { unescaped_position(name, names) } else { None }
}

#[cold]
fn unescaped_position(name: &[u8], names: &[&str]) -> Option<usize> {
    let name = unescape([b"\"", name, b"\""].concat().as_slice())?;
    names.iter().position(|wanted| name == *wanted)
}

/// The text of a string value; borrowed when it contains no escapes.
///
/// `None` for a value of another kind, and for a string that no text can express: JavaScript may escape half of a
/// surrogate pair.
#[must_use]
pub fn string(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = inner(value)?;
    if inner.contains(&b'\\') { unescape(value).map(Cow::Owned) } else { str::from_utf8(inner).ok().map(Cow::Borrowed) }
}

/// The text of a string in its quotes.
fn unescape(quoted: &[u8]) -> Option<String> {
    serde_json::from_slice(quoted).ok()
}

/// Whether a value is a string, even one that [`string`] cannot express.
#[must_use]
pub fn is_string(value: &[u8]) -> bool {
    value.first() == Some(&b'"')
}

/// Whether a value is an object.
#[must_use]
pub fn is_object(value: &[u8]) -> bool {
    value.first() == Some(&b'{')
}

/// Whether a value is an array.
#[must_use]
pub fn is_array(value: &[u8]) -> bool {
    value.first() == Some(&b'[')
}

/// Whether Python would take a value for false: null, false, zero, or empty.
#[must_use]
pub fn is_falsy(value: &[u8]) -> bool {
    match value {
        b"null" | b"false" | b"\"\"" => true,
        [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => inner.trim_ascii().is_empty(),
        [b'-' | b'0'..=b'9', ..] => str::from_utf8(value).is_ok_and(|number| number.parse() == Ok(0.0)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
