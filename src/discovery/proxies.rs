//! What is remembered of announcements, within bounds. Layer 2.
//!
//! When there is no room, the oldest one makes room that concerns no channel with members here; where all do, the new one
//! is not taken. So a flood of forged announcements costs a fixed amount of memory, and displaces nobody who matters.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::announcement::Sighting;
use crate::hub::shared::{ChannelKey, InstanceId};

/// Addresses that are kept of one announcement.
const MAX_ADDRESSES: usize = 8;

/// Bytes of an announcement's name, as it is unique: a label, escaped, and the type of service.
const MAX_NAME_BYTES: usize = 320;

/// Another server's announcement of one channel.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) key: ChannelKey,
    pub(super) id: Option<InstanceId>,
    pub(super) addresses: Vec<SocketAddr>,
    /// When it came, in announcements.
    age: u64,
}

#[derive(Debug)]
pub(super) struct Proxies {
    limit: usize,
    by_name: HashMap<Arc<str>, Proxy>,
    by_key: HashMap<ChannelKey, BTreeSet<Arc<str>>>,
    by_age: BTreeMap<u64, Arc<str>>,
    count: u64,
}

impl Proxies {
    pub(super) fn new(limit: usize) -> Self {
        let (by_name, by_key, by_age) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Self { limit, by_name, by_key, by_age, count: 0 }
    }

    /// Takes an announcement in, or its new addresses. `None` if there is no room for it. Whose it is and for which
    /// channel does not change while it is remembered.
    pub(super) fn insert(
        &mut self,
        name: &str,
        sighting: Sighting,
        mut addresses: Vec<SocketAddr>,
        is_wanted: bool,
        matters: impl Fn(&ChannelKey) -> bool,
    ) -> Option<Arc<str>> {
        addresses.truncate(MAX_ADDRESSES);
        if name.len() > MAX_NAME_BYTES {
            return None;
        }
        if let Some((name, proxy)) = self.by_name.get_key_value(name) {
            let name = Arc::clone(name);
            if (proxy.key, proxy.id) != (sighting.key, sighting.id) {
                return None;
            }
            self.by_name.get_mut(&name)?.addresses = addresses;
            return Some(name);
        }
        if self.by_name.len() >= self.limit {
            // Those that matter are few, or everything does and nothing makes room.
            let oldest =
                self.by_age.values().find(|name| !self.by_name.get(*name).is_some_and(|old| matters(&old.key)));
            let oldest = Arc::clone(oldest.filter(|_| is_wanted || self.limit > 0)?);
            self.remove(&oldest);
        }
        self.count += 1;
        let name: Arc<str> = name.into();
        self.by_key.entry(sighting.key).or_default().insert(Arc::clone(&name));
        self.by_age.insert(self.count, Arc::clone(&name));
        let proxy = Proxy { key: sighting.key, id: sighting.id, addresses, age: self.count };
        self.by_name.insert(Arc::clone(&name), proxy);
        Some(name)
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<(Arc<str>, ChannelKey)> {
        let (name, proxy) = self.by_name.remove_entry(name)?;
        self.by_age.remove(&proxy.age);
        if let Some(names) = self.by_key.get_mut(&proxy.key) {
            names.remove(&name);
            if names.is_empty() {
                self.by_key.remove(&proxy.key);
            }
        }
        Some((name, proxy.key))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Proxy> {
        self.by_name.get(name)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Who announces this channel.
    pub(super) fn of(&self, key: ChannelKey) -> Vec<(Arc<str>, Option<InstanceId>)> {
        let names = self.by_key.get(&key).into_iter().flatten();
        names.map(|name| (Arc::clone(name), self.by_name.get(name).and_then(|proxy| proxy.id))).collect()
    }

    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.by_name.values().any(|proxy| proxy.addresses.iter().any(|other| other.ip().to_canonical() == address))
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }
}
