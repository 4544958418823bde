//! Devices: who is connected over Socket.IO, and under which id others find it. Layer 2: no wire format.
//!
//! A device is [`add`](Devices::add)ed when its Engine.IO session opens and [`remove`](Devices::remove)d when that ends;
//! between the two it may claim an id. What other sessions must know of it to speak to it is here; what only its own
//! session needs is there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use slab::Slab;

use super::SessionId;
use super::ids::{Key, KeySource, MAX_DIGITS};

/// A device's slot, with a number that no other device ever had: kept after the device has gone, it means nobody.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeviceId {
    slot: u32,
    serial: u64,
}

/// Which revision of Engine.IO a client speaks. It stands for Socket.IO's too: 2.x clients speak 3, later ones 4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revision {
    /// Engine.IO 3: the client pings, the namespace `/` is connected without asking.
    Three,
    /// Engine.IO 4: the server pings, the client asks for its namespace.
    Four,
}

/// What carries a device's packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// HTTP long polling.
    Polling,
    /// Still polling, while a WebSocket is being tried out.
    Upgrading,
    /// A WebSocket.
    WebSocket,
}

/// Which generation of the plugin a client is of, as far as it decides what it is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Generation {
    /// The seed: gets its arguments as one array, and cannot answer.
    Seed,
    /// Its same-day successor, and everything later: gets them one by one, and may answer.
    Later,
}

/// What a client says about itself in its query.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The id under which it wants to be found: `deviceId` or `clientId`. Neither empty nor too long, and without control
    /// characters.
    pub id: Option<Box<str>>,
    /// By the member that names the id, and `gen`.
    pub generation: Generation,
    /// Whether it may see what only whoever runs the server may: it is on this machine, and no page of somebody else.
    pub is_operator: bool,
}

/// What others must know of a device.
#[derive(Debug)]
pub struct Device {
    /// Its session.
    pub session: SessionId,
    /// The secret name of its Engine.IO session.
    pub sid: Key,
    /// What it speaks.
    pub revision: Revision,
    /// What carries its packets.
    pub transport: Transport,
    /// Where it is; `None` for one without a socket of ours.
    pub address: Option<SocketAddr>,
    /// When it came.
    pub since: SystemTime,
    /// Whether it takes no binary messages, but text that stands for them.
    pub base64_only: bool,
    /// What it said about itself.
    pub claim: Claim,
    /// Whether it is in the namespace `/`: only then is it sent anything.
    pub is_connected: bool,
    serial: u64,
}

impl Device {
    /// A device that has just come.
    #[must_use]
    pub fn new(
        session: SessionId,
        sid: Key,
        revision: Revision,
        transport: Transport,
        address: Option<SocketAddr>,
        since: SystemTime,
        claim: Claim,
    ) -> Self {
        Self {
            session,
            sid,
            revision,
            transport,
            address,
            since,
            base64_only: false,
            claim,
            is_connected: false,
            serial: 0,
        }
    }
}

/// All devices.
#[derive(Debug, Default)]
pub struct Devices {
    table: Slab<Device>,
    /// Invariant: `by_sid[k] = d ⇔ table[d].sid = k`.
    by_sid: HashMap<Key, DeviceId>,
    serial: u64,
    source: KeySource,
}

impl Devices {
    /// An empty table that draws its secret names from `source`.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self { source, ..Self::default() }
    }

    /// A name of 128 random bits, for a session or a socket.
    ///
    /// # Errors
    /// When the system's generator fails.
    pub fn name(&mut self) -> Result<Key, getrandom::Error> {
        self.source.key(MAX_DIGITS as u8)
    }

    /// Takes in a device.
    pub fn add(&mut self, mut device: Device) -> DeviceId {
        self.serial += 1;
        device.serial = self.serial;
        let (serial, sid) = (device.serial, device.sid);
        let slot = self.table.insert(device);
        let id = DeviceId { slot: u32::try_from(slot).expect("each is a session, whose ids have 32 bits"), serial };
        self.by_sid.insert(sid, id);
        id
    }

    /// Takes a device out.
    pub fn remove(&mut self, id: DeviceId) -> Option<Device> {
        self.get(id)?;
        let device = self.table.remove(id.slot as usize);
        self.by_sid.remove(&device.sid);
        Some(device)
    }

    /// A device, while it is here.
    #[must_use]
    pub fn get(&self, id: DeviceId) -> Option<&Device> {
        self.table.get(id.slot as usize).filter(|device| device.serial == id.serial)
    }

    /// A device, while it is here.
    pub fn get_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.table.get_mut(id.slot as usize).filter(|device| device.serial == id.serial)
    }

    /// The device of an Engine.IO session.
    #[must_use]
    pub fn by_sid(&self, sid: Key) -> Option<DeviceId> {
        self.by_sid.get(&sid).copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}
