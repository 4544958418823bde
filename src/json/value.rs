//! A whole text that must be one JSON value.

use super::scan::{MAX_DEPTH, Scanner};
pub use super::walk::NotJson;

/// The value that `text` is, without white space around it. One pass, no allocation. `text` must be valid UTF-8.
///
/// # Errors
/// [`NotJson`] for anything but one JSON value with at most 127 arrays and objects inside each other.
#[inline]
pub fn check(text: &[u8]) -> Result<&[u8], NotJson> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value(MAX_DEPTH)?;
    scanner.end()?;
    Ok(value)
}
