//! Who is whose peer on a network channel: the ids by which members address each other, and through whom each is
//! reached. Layer 2: no wire format.
//!
//! An id is chosen by the server that the member is connected to, and belongs to it until it leaves. One that is taken
//! is never given to somebody else, whatever another server says.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::SessionId;
use super::channels::ChannelId;
use super::ids::{KeySource, MAX_DIGITS};

/// The name of a member among its peers: 63 random bits, written in decimal.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PeerId(u64);

impl PeerId {
    /// Reads a decimal number below 2^63, written as [`Display`](fmt::Display) writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_canonical = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        text.parse::<u64>().ok().filter(|number| is_canonical && *number < 1 << 63).map(Self)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a peer is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Via {
    /// It is this session.
    Member(SessionId),
    /// It is a member elsewhere, behind this link.
    Link(SessionId),
}

impl Via {
    /// The session that is written to.
    #[must_use]
    pub fn session(self) -> SessionId {
        match self {
            Self::Member(session) | Self::Link(session) => session,
        }
    }
}

/// The members of all network channels.
#[derive(Debug, Default)]
pub struct Peers {
    channels: HashMap<ChannelId, BTreeMap<PeerId, Via>>,
    source: KeySource,
}

impl Peers {
    /// No members; ids come from `source`.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self { channels: HashMap::new(), source }
    }

    /// Gives `member` an id.
    ///
    /// # Errors
    /// When the system's generator fails.
    pub fn welcome(&mut self, channel: ChannelId, member: SessionId) -> Result<PeerId, getrandom::Error> {
        loop {
            let key = self.source.key(MAX_DIGITS as u8)?;
            // The first 16 digits are 64 bits, of which 63 make the id.
            let number = u64::from_str_radix(&key.text().as_str()[..16], 16).expect("keys are hexadecimal") >> 1;
            if self.add(channel, PeerId(number), Via::Member(member)) {
                return Ok(PeerId(number));
            }
        }
    }

    /// Notes a peer that is reached through `via`; `false` if the id is taken.
    pub fn add(&mut self, channel: ChannelId, id: PeerId, via: Via) -> bool {
        match self.channels.entry(channel).or_default().entry(id) {
            std::collections::btree_map::Entry::Occupied(_) => false,
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(via);
                true
            }
        }
    }

    /// Forgets a peer, if it is reached through `via`.
    pub fn remove(&mut self, channel: ChannelId, id: PeerId, via: SessionId) -> bool {
        let Some(peers) = self.channels.get_mut(&channel) else { return false };
        let is_known = peers.get(&id).is_some_and(|known| known.session() == via);
        if is_known {
            peers.remove(&id);
            if peers.is_empty() {
                self.channels.remove(&channel);
            }
        }
        is_known
    }

    /// How a peer is reached.
    #[must_use]
    pub fn via(&self, channel: ChannelId, id: PeerId) -> Option<Via> {
        self.channels.get(&channel)?.get(&id).copied()
    }

    /// Everybody on a channel, and how each is reached.
    pub fn all(&self, channel: ChannelId) -> impl Iterator<Item = (PeerId, Via)> {
        self.channels.get(&channel).into_iter().flatten().map(|(id, via)| (*id, *via))
    }

    /// Those who are reached through `via`.
    #[must_use]
    pub fn through(&self, channel: ChannelId, via: SessionId) -> Vec<PeerId> {
        self.all(channel).filter(|(_, other)| other.session() == via).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::channels::Channels;

    #[test]
    fn an_id_belongs_to_one_until_it_leaves() {
        let channel = Channels::default().join("/network/a", SessionId(1), false);
        let mut peers = Peers::new(KeySource::seeded(1));
        let id = peers.welcome(channel, SessionId(1)).expect("seeded");
        assert!(!peers.add(channel, id, Via::Link(SessionId(2))), "taken");
        assert!(!peers.remove(channel, id, SessionId(2)), "somebody else's");
        assert_eq!(peers.via(channel, id), Some(Via::Member(SessionId(1))));
        assert!(peers.remove(channel, id, SessionId(1)));
        assert!(peers.channels.is_empty());
    }

    #[test]
    fn ids_are_decimal_numbers_of_63_bits() {
        for text in ["0", "7", "9223372036854775807"] {
            assert_eq!(PeerId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        }
        for text in ["", "-1", "+1", "01", "1 ", "a", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(PeerId::parse(text), None, "{text}");
        }
    }
}
