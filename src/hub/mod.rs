//! Who is related to whom: pairs, channels. Layer 2: plain tables, no sockets and no wire formats.

pub mod channels;
pub mod ids;
pub mod pairs;

pub use ids::SessionId;

/// All relations between sessions.
#[derive(Debug, Default)]
pub struct Hub {
    /// One-to-one pairs and the keys by which partners find each other.
    pub pairs: pairs::Pairs,
    /// Named channels and their members.
    pub channels: channels::Channels,
}
