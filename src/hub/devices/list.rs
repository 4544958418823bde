//! What a control center shows: the list of devices, and what has changed in it. Layer 2.

use std::time::{Duration, Instant};

use super::{Device, DeviceId, Devices, Standing, Transport};
use crate::hub::SessionId;

/// Where a listed device stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State<'a> {
    /// Others can find it, and it has no partner.
    Available,
    /// It waits for its id.
    Held,
    /// It has a partner, which has this id.
    Paired(&'a str),
    /// Nobody can find it: it claims no id, or lost it.
    Nameless,
}

/// The count of changes, and those that were not told yet.
#[derive(Debug, Default)]
pub(super) struct Changes {
    version: u64,
    /// Those who want to be told.
    subscribers: Vec<DeviceId>,
    /// Each once; those who have gone among them. Invariant: empty while nobody wants to be told.
    untold: Vec<DeviceId>,
    /// When something was told last.
    told: Option<Instant>,
    /// Who is called when the next may be told.
    caller: Option<DeviceId>,
}

/// When changes are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// There are none, or somebody is called in time.
    Settled,
    /// At once.
    Now,
    /// Then, so this one is to be called.
    Later(SessionId, Instant),
}

impl Devices {
    /// A number that grows with each change of what is listed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.changes.version
    }

    /// Those who are in the namespace, or wait to be.
    pub fn listed(&self) -> impl Iterator<Item = (DeviceId, &Device)> {
        self.iter().filter(|(_, device)| device.standing != Standing::Outside)
    }

    /// Where a listed device stands.
    #[must_use]
    pub fn state(&self, device: &Device) -> State<'_> {
        if matches!(device.standing, Standing::Held(_)) {
            return State::Held;
        }
        match device.partner.and_then(|partner| self.get(partner)).and_then(Device::id) {
            Some(partner) => State::Paired(partner),
            None if device.holds_id => State::Available,
            None => State::Nameless,
        }
    }

    /// Notes a change of transport.
    pub fn set_transport(&mut self, id: DeviceId, transport: Transport) {
        if let Some(device) = self.get_mut(id) {
            device.transport = transport;
            self.touch(id);
        }
    }

    /// Notes that what is listed of a device has changed, or whether it is.
    pub fn touch(&mut self, id: DeviceId) {
        self.changes.version += 1;
        if self.changes.subscribers.is_empty() {
            return;
        }
        if let Some(device) = self.get_mut(id)
            && !std::mem::replace(&mut device.is_untold, true)
        {
            self.changes.untold.push(id);
        }
    }

    /// Whether there are changes that were not told.
    #[inline]
    #[must_use]
    pub fn has_untold(&self) -> bool {
        !self.changes.untold.is_empty()
    }

    /// When the changes that were not told are to be told.
    pub fn due(&mut self, now: Instant) -> Due {
        if !self.has_untold() {
            return Due::Settled;
        }
        let at = match self.changes.told {
            Some(told) if told + PAUSE > now => told + PAUSE,
            _ => return Due::Now,
        };
        if self.changes.caller.is_some() {
            return Due::Settled;
        }
        self.changes.caller = self.changes.subscribers.first().copied();
        match self.changes.caller.and_then(|caller| self.get(caller)) {
            Some(caller) => Due::Later(caller.session, at),
            None => Due::Settled,
        }
    }

    /// When `id` must be called to tell changes.
    #[inline]
    #[must_use]
    pub fn tells_at(&self, id: DeviceId) -> Option<Instant> {
        self.changes.told.filter(|_| self.changes.caller == Some(id)).map(|told| told + PAUSE)
    }

    /// The devices that have changed since this was asked last.
    pub fn take_untold(&mut self, now: Instant) -> Vec<DeviceId> {
        (self.changes.told, self.changes.caller) = (Some(now), None);
        self.forget_untold()
    }

    /// `id` wants to be told of changes. It has just been told everything.
    pub fn subscribe(&mut self, id: DeviceId) {
        self.changes.subscribers.push(id);
    }

    /// It no longer does.
    pub fn unsubscribe(&mut self, id: DeviceId) {
        self.changes.subscribers.retain(|subscriber| *subscriber != id);
        self.changes.caller.take_if(|caller| *caller == id);
        if self.changes.subscribers.is_empty() {
            self.forget_untold();
        }
    }

    fn forget_untold(&mut self) -> Vec<DeviceId> {
        let untold = std::mem::take(&mut self.changes.untold);
        for id in &untold {
            if let Some(device) = self.get_mut(*id) {
                device.is_untold = false;
            }
        }
        untold
    }
}

/// How long changes are gathered once some were told: nobody is flooded because others come and go.
const PAUSE: Duration = Duration::from_millis(100);
