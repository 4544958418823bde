//! One-to-one pairing.

/// The table of pairs.
#[derive(Debug, Default)]
pub struct Pairs {}
