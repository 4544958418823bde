//! Devices: who is connected over Socket.IO, under which id others find it, and whom it has to do with. Layer 2: no wire
//! format.
//!
//! A device is [`add`](Devices::add)ed when its Engine.IO session opens and [`remove`](Devices::remove)d when that ends;
//! between the two it may hold an id. What other sessions must know of it is here; what only its own session needs is
//! there. Tables hold [`DeviceId`]s, which mean nobody once the device has gone.
//!
//! Relations are in [`relations`] (pairs, targets, services) and `rooms`, calls that wait for an answer in [`calls`], what
//! all of them weigh in `weight`, what the control center shows in [`list`].

pub mod calls;
pub mod list;
pub mod relations;
mod rooms;
mod weight;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use slab::Slab;

use self::calls::{Calls, Open};
use self::relations::{Question, Target};
pub use self::weight::NoRoom;
use super::SessionId;
use super::channels::ChannelId;
use super::ids::{Key, KeySource, MAX_DIGITS};
use crate::memory::{Account, Charge};

/// A device's slot, with a number that no other device ever had: kept after the device has gone, it means nobody.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeviceId {
    slot: u32,
    serial: u64,
}

impl DeviceId {
    /// The number that no other device ever had.
    #[must_use]
    pub fn serial(self) -> u64 {
        self.serial
    }
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

/// Where a device stands with the namespace `/`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is not in it: not yet, no longer, or it was shown the door.
    Outside,
    /// It waits for the holder of its id to give a sign of life until then.
    Held(Instant),
    /// It is in it. Only then is it sent events, and only then are its own heard.
    Connected,
}

/// What a client has shown of the plugin's generation that it is of, beyond what it claimed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Manners {
    /// It answers P2P_REGISTER with its ack, so it knows P2P_UNREGISTER too.
    pub acks_registrations: bool,
    /// It knows P2P_UNREGISTER, as it said it itself.
    pub unregisters: bool,
    /// Whether it says MULTI_API_ADD_TARGET or ADD_TARGET, once it has said either.
    pub is_multi: Option<bool>,
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
    /// What carries its packets. [`Devices::set_transport`] changes it.
    pub transport: Transport,
    /// Where it is; `None` for one without a socket of ours.
    pub address: Option<SocketAddr>,
    /// When it came.
    pub since: SystemTime,
    /// Whether it takes no binary messages, but text that stands for them.
    pub base64_only: bool,
    /// What it said about itself.
    pub claim: Claim,
    /// Who vouches that it is whom: its id is not for anybody else. `None` where nobody does.
    pub identity: Option<Box<str>>,
    /// Whether it is in the namespace `/`.
    pub standing: Standing,
    /// What it has shown since.
    pub manners: Manners,
    /// Those who want its id and are held for it, in the order in which they came. Invariant: empty unless it holds one.
    pub claimants: Vec<DeviceId>,
    /// Whether a claimant says that it gave no sign of life.
    pub is_accused: bool,
    /// Whether it was asked for one and has not given it yet.
    pub is_probed: bool,
    /// When it gave one that it was asked for.
    pub proved: Option<Instant>,
    /// What it was told in lists, in bytes, since when.
    pub listed: Option<(Instant, usize)>,
    /// Whether what is listed of it has changed and was not told.
    is_untold: bool,
    /// Whom it emitted to last: most clients speak to one other.
    pub last_target: Option<DeviceId>,
    /// The rooms that it is in, each with its name in front of it.
    rooms: Vec<(Box<str>, ChannelId)>,
    /// Where it is told of changes to the list of devices.
    pub subscription: Option<ChannelId>,
    /// Registrations that it was asked for and has not answered yet, oldest first; also those that nobody waits for any
    /// more, as an answer without a number is to the oldest.
    questions: VecDeque<Question>,
    /// Invariant: `d.partner = e ⇔ e.partner = d`, `d ≠ e`, and both are connected.
    partner: Option<DeviceId>,
    /// Whether it asked for its partner, rather than being asked.
    has_asked: bool,
    /// Changes of `partner`, and times it was told that it has none.
    pairings: u32,
    /// Invariant: `e ∈ d.targets ⇔ d ∈ e.targets`, `d ≠ e`, each once.
    targets: Vec<Target>,
    /// Names of what it provides. Invariant: `n ∈ d.services ⇔ services[n] = d`.
    services: Vec<Box<str>>,
    /// Calls that it made.
    outgoing: Open,
    /// Calls that it has to answer.
    incoming: Open,
    /// Bytes of the names of its rooms and services.
    named: usize,
    /// For all of those.
    charge: Charge,
    /// Invariant: `d.holds_id ⇔ by_name[d.claim.id] = d`.
    holds_id: bool,
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
            identity: None,
            claim,
            standing: Standing::Outside,
            manners: Manners::default(),
            claimants: Vec::new(),
            is_accused: false,
            is_probed: false,
            proved: None,
            listed: None,
            is_untold: false,
            last_target: None,
            rooms: Vec::new(),
            subscription: None,
            questions: VecDeque::new(),
            partner: None,
            has_asked: false,
            pairings: 0,
            targets: Vec::new(),
            services: Vec::new(),
            outgoing: Open::default(),
            incoming: Open::default(),
            named: 0,
            charge: Charge::default(),
            holds_id: false,
            serial: 0,
        }
    }

    /// Whether it is in the namespace `/`.
    #[inline]
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.standing == Standing::Connected
    }

    /// The id under which others find it.
    #[inline]
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.claim.id.as_deref().filter(|_| self.holds_id)
    }

    /// The memory of its rooms, services, targets, questions and calls, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.charge.bytes()
    }

    /// Whether it is of the seed's generation: gets its arguments as one array, and cannot answer.
    #[inline]
    #[must_use]
    pub fn is_seed(&self) -> bool {
        self.claim.generation == Generation::Seed
    }
}

/// All devices.
#[derive(Debug, Default)]
pub struct Devices {
    table: Slab<Device>,
    /// Invariant: `by_sid[k] = d ⇔ table[d].sid = k`.
    by_sid: HashMap<Key, DeviceId>,
    by_name: HashMap<Box<str>, DeviceId>,
    services: HashMap<Box<str>, DeviceId>,
    calls: Calls,
    /// Where it is counted what devices keep.
    pub memory: Account,
    changes: list::Changes,
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
        device.charge = self.memory.charge();
        let (serial, sid) = (device.serial, device.sid);
        let slot = self.table.insert(device);
        let id = DeviceId { slot: u32::try_from(slot).expect("each is a session, whose ids have 32 bits"), serial };
        self.by_sid.insert(sid, id);
        id
    }

    /// Takes a device out. It has left the namespace.
    pub fn remove(&mut self, id: DeviceId) -> Option<Device> {
        let device = self.get(id)?;
        debug_assert!(device.standing == Standing::Outside && !device.holds_id && device.partner.is_none());
        let device = self.table.remove(id.slot as usize);
        self.by_sid.remove(&device.sid);
        Some(device)
    }

    /// A device, while it is here.
    #[inline]
    #[must_use]
    pub fn get(&self, id: DeviceId) -> Option<&Device> {
        self.table.get(id.slot as usize).filter(|device| device.serial == id.serial)
    }

    /// A device, while it is here.
    #[inline]
    pub fn get_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.table.get_mut(id.slot as usize).filter(|device| device.serial == id.serial)
    }

    /// A device that is in the namespace.
    #[inline]
    #[must_use]
    pub fn connected(&self, id: DeviceId) -> Option<&Device> {
        self.get(id).filter(|device| device.is_connected())
    }

    /// The device of an Engine.IO session.
    #[must_use]
    pub fn by_sid(&self, sid: Key) -> Option<DeviceId> {
        self.by_sid.get(&sid).copied()
    }

    /// The device that holds this id.
    #[inline]
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<DeviceId> {
        self.by_name.get(name).copied()
    }

    /// The device that holds this id, for `me` who looks for the same one most of the time.
    #[inline]
    pub fn target(&mut self, me: DeviceId, name: &[u8]) -> Option<DeviceId> {
        let last = self.get(me)?.last_target;
        if let Some(last) = last
            && self.get(last).is_some_and(|device| device.id().map(str::as_bytes) == Some(name))
        {
            return Some(last);
        }
        let target = self.by_name(str::from_utf8(name).ok()?)?;
        self.get_mut(me)?.last_target = Some(target);
        Some(target)
    }

    /// Gives a device the id that it claims, if nobody holds that.
    pub fn hold(&mut self, id: DeviceId) {
        let Some(device) = self.get_mut(id) else { return };
        let Some(name) = device.claim.id.clone() else { return };
        device.holds_id = true;
        let before = self.by_name.insert(name, id);
        debug_assert!(before.is_none(), "nobody held it");
    }

    /// Takes a device's id from it.
    pub fn release(&mut self, id: DeviceId) {
        let Some(device) = self.table.get_mut(id.slot as usize).filter(|device| device.serial == id.serial) else {
            return;
        };
        if std::mem::take(&mut device.holds_id)
            && let Some(name) = &device.claim.id
        {
            self.by_name.remove(name);
        }
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

    /// Whether nobody holds an id, provides anything or waits for an answer.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.by_name.is_empty() && self.services.is_empty() && self.calls() == 0 && !self.has_untold()
    }

    /// Each device with its id, oldest slot first.
    pub fn iter(&self) -> impl Iterator<Item = (DeviceId, &Device)> {
        let id = |slot: usize, device: &Device| DeviceId { slot: slot as u32, serial: device.serial };
        self.table.iter().map(move |(slot, device)| (id(slot, device), device))
    }
}

#[cfg(test)]
mod tests;
