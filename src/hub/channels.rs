//! Named rooms.

/// The table of channels.
#[derive(Debug, Default)]
pub struct Channels {}
