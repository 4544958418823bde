//! Who is whose peer on a network channel: the ids by which members address each other, and through whom each is
//! reached. Layer 2: no wire format.
//!
//! An id is chosen by the server that the member is connected to, and belongs to it until it leaves. One that is taken
//! is never given to somebody else, whatever another server says.
//!
//! Members of this machine and those behind links are kept apart: whoever comes or goes, only the former are told. All that
//! were behind a link go with it at once, however many; they are *lost* until members have been told of each, in shares.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::SessionId;
use super::channels::ChannelId;
use super::ids::{KeySource, MAX_DIGITS};
use crate::memory::{Account, Charge};

/// Peers behind links that one channel has at most, lost ones among them: whoever comes is told of all of them, which must
/// not be more than may wait for it.
const MOST_REMOTE: usize = 8192;

/// What one of them costs, in bytes.
pub const REMOTE_BYTES: usize = 48;

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

/// The members of all network channels.
#[derive(Debug, Default)]
pub struct Peers {
    channels: HashMap<ChannelId, Table>,
    /// Channels with peers that are lost, or that had them.
    losing: Vec<ChannelId>,
    source: KeySource,
}

/// Who is on one channel. Nobody is in two of the tables.
#[derive(Debug, Default)]
struct Table {
    members: BTreeMap<PeerId, SessionId>,
    /// Those behind links, and behind which.
    remote: BTreeMap<PeerId, SessionId>,
    /// Those whom members still believe to be there. Empty when there are no members.
    lost: BTreeSet<PeerId>,
    /// For the last two; made for the first of them.
    charge: Option<Charge>,
}

/// Why a peer behind a link is not noted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unwanted {
    /// Somebody else has the id.
    Taken,
    /// The channel has as many as it may have.
    TooMany,
}

/// Peers that are gone and the members that are to be told.
#[derive(Debug)]
pub struct Lost {
    /// Who is gone.
    pub peers: Vec<PeerId>,
    /// Who is told, by which id.
    pub members: Vec<(PeerId, SessionId)>,
}

impl Table {
    fn is_taken(&self, id: PeerId) -> bool {
        self.members.contains_key(&id) || self.remote.contains_key(&id)
    }

    fn set_charge(&mut self) {
        if let Some(charge) = &mut self.charge {
            charge.set((self.remote.len() + self.lost.len()) * REMOTE_BYTES);
        }
    }
}

impl Peers {
    /// No members; ids come from `source`.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self { source, ..Self::default() }
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
            let (id, table) = (PeerId(number), self.channels.entry(channel).or_default());
            if !table.is_taken(id) && !table.lost.contains(&id) {
                table.members.insert(id, member);
                return Ok(id);
            }
        }
    }

    /// Forgets a member of this machine.
    pub fn leave(&mut self, channel: ChannelId, id: PeerId) {
        let Some(table) = self.channels.get_mut(&channel) else { return };
        table.members.remove(&id);
        if table.members.is_empty() {
            table.lost.clear();
        }
        self.tidy(channel);
    }

    /// Notes a peer behind `link`. Whether members are to be told: they still believe one to be there that was lost.
    ///
    /// # Errors
    /// [`Unwanted`], and nothing is noted.
    pub fn add(&mut self, channel: ChannelId, id: PeerId, link: SessionId, memory: &Account) -> Result<bool, Unwanted> {
        let table = self.channels.entry(channel).or_default();
        if table.is_taken(id) {
            return Err(Unwanted::Taken);
        }
        let is_new = !table.lost.contains(&id);
        if is_new && table.remote.len() + table.lost.len() >= MOST_REMOTE {
            return Err(Unwanted::TooMany);
        }
        table.lost.remove(&id);
        table.remote.insert(id, link);
        table.charge.get_or_insert_with(|| memory.charge());
        table.set_charge();
        Ok(is_new)
    }

    /// Forgets a peer, if it is behind `link`.
    pub fn remove(&mut self, channel: ChannelId, id: PeerId, link: SessionId) -> bool {
        let Some(table) = self.channels.get_mut(&channel) else { return false };
        let is_known = table.remote.get(&id) == Some(&link);
        if is_known {
            table.remote.remove(&id);
            self.tidy(channel);
        }
        is_known
    }

    /// Loses all peers behind `link`. Members are to be told as [`next_lost`](Self::next_lost) says.
    pub fn lose(&mut self, channel: ChannelId, link: SessionId) {
        let Some(table) = self.channels.get_mut(&channel) else { return };
        let (lost, is_told) = (&mut table.lost, !table.members.is_empty());
        table.remote.retain(|id, other| {
            let is_lost = *other == link;
            if is_lost && is_told {
                lost.insert(*id);
            }
            !is_lost
        });
        if !table.lost.is_empty() && !self.losing.contains(&channel) {
            self.losing.push(channel);
        }
        self.tidy(channel);
    }

    /// Whether there may be somebody whose loss members are to be told of.
    #[inline]
    #[must_use]
    pub fn has_lost(&self) -> bool {
        !self.losing.is_empty()
    }

    /// Some of one channel's lost peers, at least one and as many as make so many `messages` to its members, who are told
    /// by whoever asks. `None` if nobody is to be told of anybody.
    pub fn next_lost(&mut self, messages: usize) -> Option<Lost> {
        while let Some(channel) = self.losing.last().copied() {
            let table = self.channels.get_mut(&channel).filter(|table| !table.lost.is_empty());
            let Some(table) = table else {
                self.losing.pop();
                continue;
            };
            let count = (messages / table.members.len().max(1)).max(1);
            let peers = std::iter::from_fn(|| table.lost.pop_first()).take(count).collect();
            let members = table.members.iter().map(|(id, member)| (*id, *member)).collect();
            self.tidy(channel);
            return Some(Lost { peers, members });
        }
        self.losing = Vec::new();
        None
    }

    /// A channel has fewer peers than before.
    fn tidy(&mut self, channel: ChannelId) {
        let Some(table) = self.channels.get_mut(&channel) else { return };
        table.set_charge();
        if table.members.is_empty() && table.remote.is_empty() {
            self.channels.remove(&channel);
        }
    }

    /// How a peer is reached.
    #[must_use]
    pub fn via(&self, channel: ChannelId, id: PeerId) -> Option<Via> {
        let table = self.channels.get(&channel)?;
        let member = table.members.get(&id).map(|member| Via::Member(*member));
        member.or_else(|| table.remote.get(&id).map(|link| Via::Link(*link)))
    }

    /// The members of this machine on a channel.
    pub fn members(&self, channel: ChannelId) -> impl Iterator<Item = (PeerId, SessionId)> {
        let tables = self.channels.get(&channel).into_iter();
        tables.flat_map(|table| &table.members).map(|(id, member)| (*id, *member))
    }

    /// Those elsewhere of whom the members of a channel have been told, lost ones among them.
    pub fn remote(&self, channel: ChannelId) -> impl Iterator<Item = PeerId> {
        let tables = self.channels.get(&channel).into_iter();
        tables.flat_map(|table| table.remote.keys().chain(&table.lost)).copied()
    }

    /// Whether nobody is left, for whoever checks that everything is given back.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.channels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::channels::Channels;

    /// A channel with this many members, their ids, and what counts its peers' memory.
    fn channel(members: u32) -> (Peers, ChannelId, Vec<PeerId>, Account) {
        let channel = Channels::default().join("/network/a", SessionId(1), false);
        let mut peers = Peers::new(KeySource::seeded(1));
        let ids = (0..members).map(|member| peers.welcome(channel, SessionId(member)).expect("seeded")).collect();
        (peers, channel, ids, Account::default())
    }

    const LINK: SessionId = SessionId(1000);
    const OTHER: SessionId = SessionId(1001);

    #[test]
    fn an_id_belongs_to_one_until_it_leaves() {
        let (mut peers, channel, ids, memory) = channel(1);
        assert_eq!(peers.add(channel, ids[0], LINK, &memory), Err(Unwanted::Taken));
        assert!(!peers.remove(channel, ids[0], LINK), "somebody else's");
        assert_eq!(peers.via(channel, ids[0]), Some(Via::Member(SessionId(0))));
        assert_eq!(peers.add(channel, PeerId(7), LINK, &memory), Ok(true));
        assert_eq!(peers.add(channel, PeerId(7), OTHER, &memory), Err(Unwanted::Taken));
        assert!(!peers.remove(channel, PeerId(7), OTHER), "behind another link");
        assert!(memory.used() > 0);
        assert!(peers.remove(channel, PeerId(7), LINK));
        assert_eq!(memory.used(), 0);
        peers.leave(channel, ids[0]);
        assert!(peers.is_clear());
    }

    #[test]
    fn who_is_lost_goes_at_once_and_is_told_of_in_shares() {
        let (mut peers, channel, ids, memory) = channel(2);
        (0..5).for_each(|id| assert_eq!(peers.add(channel, PeerId(id), LINK, &memory), Ok(true)));
        assert_eq!(peers.add(channel, PeerId(9), OTHER, &memory), Ok(true));
        peers.lose(channel, LINK);
        assert_eq!(peers.via(channel, PeerId(0)), None);
        assert_eq!(peers.via(channel, PeerId(9)), Some(Via::Link(OTHER)));
        assert_eq!(peers.remote(channel).count(), 6, "a newcomer would hear of less than the others");
        // Back before anybody was told: they have nothing to be told.
        assert_eq!(peers.add(channel, PeerId(1), OTHER, &memory), Ok(false));
        let mut told = Vec::new();
        while let Some(lost) = peers.next_lost(4) {
            assert!((1..=2).contains(&lost.peers.len()) && lost.members.len() == ids.len());
            told.extend(lost.peers);
        }
        assert_eq!(told, [0, 2, 3, 4].map(PeerId));
        assert!(!peers.has_lost());
        peers.lose(channel, OTHER);
        ids.iter().for_each(|id| peers.leave(channel, *id));
        assert!(peers.next_lost(4).is_none() && peers.is_clear());
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn nobody_is_told_where_there_are_no_members() {
        let (mut peers, channel, _, memory) = channel(0);
        (0..5).for_each(|id| assert_eq!(peers.add(channel, PeerId(id), LINK, &memory), Ok(true)));
        peers.lose(channel, LINK);
        assert!(!peers.has_lost() && peers.is_clear());
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_channel_has_so_many_peers_elsewhere_lost_ones_among_them() {
        let (mut peers, channel, _, memory) = channel(1);
        let add = |peers: &mut Peers, id: usize, link| peers.add(channel, PeerId(id as u64), link, &memory);
        (0..MOST_REMOTE).for_each(|id| assert_eq!(add(&mut peers, id, LINK), Ok(true)));
        peers.lose(channel, LINK);
        assert_eq!(add(&mut peers, MOST_REMOTE, OTHER), Err(Unwanted::TooMany));
        assert_eq!(add(&mut peers, 0, OTHER), Ok(false));
        while peers.next_lost(1000).is_some() {}
        assert_eq!(add(&mut peers, MOST_REMOTE, OTHER), Ok(true));
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
