//! What a control center shows: the list of devices, and what has changed in it. Layer 2.

use super::{Device, DeviceId, Devices, Standing, Transport};

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
    /// How many want to be told.
    subscribers: usize,
    /// Invariant: empty while nobody wants to be told.
    untold: Vec<DeviceId>,
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
        if self.changes.subscribers > 0 && !self.changes.untold.contains(&id) {
            self.changes.untold.push(id);
        }
    }

    /// Whether there are changes that were not told.
    #[inline]
    #[must_use]
    pub fn has_untold(&self) -> bool {
        !self.changes.untold.is_empty()
    }

    /// The devices that have changed since this was asked last.
    pub fn take_untold(&mut self) -> Vec<DeviceId> {
        std::mem::take(&mut self.changes.untold)
    }

    /// Somebody wants to be told of changes.
    pub fn subscribe(&mut self) {
        self.changes.subscribers += 1;
    }

    /// Somebody no longer does.
    pub fn unsubscribe(&mut self) {
        self.changes.subscribers -= 1;
        if self.changes.subscribers == 0 {
            self.changes.untold = Vec::new();
        }
    }
}
