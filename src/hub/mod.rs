//! Who is related to whom: pairs, channels, devices, and channels that reach other machines. Layer 2: plain tables, no sockets and no wire formats.

pub mod channels;
pub mod devices;
pub mod ids;
pub mod pairs;
pub mod peers;
pub mod shared;

pub use ids::SessionId;

use crate::memory::Account;

/// All relations between sessions.
#[derive(Debug, Default)]
pub struct Hub {
    /// One-to-one pairs and the keys by which partners find each other.
    pub pairs: pairs::Pairs,
    /// Named channels and their members.
    pub channels: channels::Channels,
    /// Who is whose peer on network channels.
    pub peers: peers::Peers,
    /// Socket.IO clients, and the ids by which they find each other.
    pub devices: devices::Devices,
    /// For what sessions keep until they can pass it on.
    pub memory: Account,
}

impl Hub {
    /// One that counts what it keeps for clients here.
    #[must_use]
    pub fn new(memory: Account) -> Self {
        let mut hub = Self { memory: memory.clone(), ..Self::default() };
        hub.devices.memory = memory;
        hub
    }
}
