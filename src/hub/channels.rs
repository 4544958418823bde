//! Named rooms and who is in them. Layer 2: no wire format.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use super::SessionId;

/// A channel's slot; it is free again when the last member has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChannelId(usize);

/// Several receivers of one message.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// Tells audiences apart within one batch; equal numbers promise equal members.
    pub version: u64,
    /// Who receives.
    pub members: &'a [SessionId],
    /// The member that does not, usually the sender.
    pub except: Option<SessionId>,
}

/// All channels.
#[derive(Debug, Default)]
pub struct Channels {
    by_name: HashMap<Arc<str>, ChannelId>,
    table: Slab<Channel>,
    /// Grows with each change of any channel's members.
    changes: u64,
}

#[derive(Debug)]
struct Channel {
    name: Arc<str>,
    /// Those who asked for presence first; invariant: `watchers ≤ members.len()`, and `members` is never empty.
    members: Vec<SessionId>,
    watchers: usize,
    /// The value of `changes` when the members last changed.
    version: u64,
}

impl Channels {
    /// Brings `member` into the channel `name`, which comes into being with its first member.
    pub fn join(&mut self, name: &str, member: SessionId, is_watcher: bool) -> ChannelId {
        let id = self.by_name.get(name).copied().unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            let channel = Channel { name: Arc::clone(&name), members: Vec::new(), watchers: 0, version: 0 };
            let id = ChannelId(self.table.insert(channel));
            self.by_name.insert(name, id);
            id
        });
        self.changes += 1;
        let channel = &mut self.table[id.0];
        channel.version = self.changes;
        channel.members.push(member);
        if is_watcher {
            let last = channel.members.len() - 1;
            channel.members.swap(channel.watchers, last);
            channel.watchers += 1;
        }
        id
    }

    /// Takes `member` out; the last one takes the channel along.
    pub fn leave(&mut self, id: ChannelId, member: SessionId) {
        self.changes += 1;
        let Some(channel) = self.table.get_mut(id.0) else { return };
        let Some(place) = channel.members.iter().position(|other| *other == member) else { return };
        channel.version = self.changes;
        if place < channel.watchers {
            channel.watchers -= 1;
            channel.members.swap(place, channel.watchers);
            channel.members.swap_remove(channel.watchers);
        } else {
            channel.members.swap_remove(place);
        }
        if channel.members.is_empty() {
            let channel = self.table.remove(id.0);
            self.by_name.remove(&channel.name);
        }
    }

    /// The channel of this name, if anybody is in it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ChannelId> {
        self.by_name.get(name).copied()
    }

    /// Everybody but `except`.
    #[inline]
    #[must_use]
    pub fn members(&self, id: ChannelId, except: Option<SessionId>) -> Audience<'_> {
        let channel = &self.table[id.0];
        Audience { version: channel.version * 3, members: &channel.members, except }
    }

    /// Those who asked for presence, but `except`.
    #[must_use]
    pub fn watchers(&self, id: ChannelId, except: Option<SessionId>) -> Audience<'_> {
        let channel = &self.table[id.0];
        Audience { version: channel.version * 3 + 1, members: &channel.members[..channel.watchers], except }
    }

    /// Those who did not ask for presence, but `except`.
    #[must_use]
    pub fn plain(&self, id: ChannelId, except: Option<SessionId>) -> Audience<'_> {
        let channel = &self.table[id.0];
        Audience { version: channel.version * 3 + 2, members: &channel.members[channel.watchers..], except }
    }

    /// Every channel: its name and how many members it has.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.table.iter().map(|(_, channel)| (&*channel.name, channel.members.len()))
    }

    /// A channel's name.
    #[must_use]
    pub fn name(&self, id: ChannelId) -> &str {
        &self.table[id.0].name
    }

    /// How many channels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

impl Audience<'_> {
    /// The receivers.
    pub fn iter(&self) -> impl Iterator<Item = SessionId> {
        self.members.iter().copied().filter(|member| Some(*member) != self.except)
    }

    /// The receiver, if there is exactly one and the one left out is a member.
    #[inline]
    #[must_use]
    pub fn only(&self) -> Option<SessionId> {
        match (self.members, self.except) {
            ([only], None) => Some(*only),
            ([a, b], Some(except)) if *a == except => Some(*b),
            ([a, b], Some(except)) if *b == except => Some(*a),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn set(audience: Audience<'_>) -> BTreeSet<SessionId> {
        audience.iter().collect()
    }

    #[test]
    fn watchers_and_plain_members_are_kept_apart_through_any_order_of_leaving() {
        for leaving in 0..4u32 {
            let mut channels = Channels::default();
            let ids: Vec<_> = (0..4).map(SessionId).collect();
            let channel = ids.iter().map(|id| channels.join("a", *id, id.0 % 2 == 0)).last().expect("joined");
            channels.leave(channel, SessionId(leaving));
            let rest =
                |even: bool| (0..4).filter(|id| *id != leaving && (id % 2 == 0) == even).map(SessionId).collect();
            assert_eq!(set(channels.watchers(channel, None)), rest(true));
            assert_eq!(set(channels.plain(channel, None)), rest(false));
        }
    }

    #[test]
    fn the_last_member_takes_the_channel_along() {
        let mut channels = Channels::default();
        let channel = channels.join("a", SessionId(7), false);
        assert_eq!(channels.join("a", SessionId(8), true), channel);
        channels.leave(channel, SessionId(7));
        channels.leave(channel, SessionId(7));
        channels.leave(channel, SessionId(8));
        assert!(channels.is_empty() && channels.by_name.is_empty());
    }

    #[test]
    fn the_only_receiver() {
        let ids = [1, 2, 3].map(SessionId);
        let only =
            |members, except: Option<u32>| Audience { version: 0, members, except: except.map(SessionId) }.only();
        assert_eq!(only(&ids[..1], None), Some(ids[0]));
        assert_eq!(only(&ids[..2], Some(1)), Some(ids[1]));
        assert_eq!(only(&ids[..2], Some(2)), Some(ids[0]));
        for (members, except) in [(0, None), (1, Some(1)), (2, None), (2, Some(3)), (3, None), (3, Some(1))] {
            assert_eq!(only(&ids[..members], except), None, "{members} but {except:?}");
        }
    }

    #[test]
    fn a_change_of_members_is_a_new_audience() {
        let mut channels = Channels::default();
        let channel = channels.join("a", SessionId(1), false);
        let before = channels.members(channel, None).version;
        channels.join("a", SessionId(2), false);
        assert_ne!(before, channels.members(channel, None).version);
        assert_eq!(set(channels.members(channel, Some(SessionId(1)))), [SessionId(2)].into());
    }
}
