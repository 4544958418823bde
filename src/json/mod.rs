//! JSON without trees: a text is checked once and read as spans of itself. Layer 0; slices in, slices out.
//!
//! Relayed values are passed on as the bytes that were sent, so numbers beyond 2^53, escapes and the order of members
//! survive. Nothing here builds a document; code off the relay path that wants one uses `serde_json` directly.

pub mod array;
pub mod escape;
pub mod fields;
mod scan;
pub mod unescape;
pub mod value;
pub mod walk;
pub mod write;
