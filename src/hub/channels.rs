//! Named rooms and who is in them. Layer 2: no wire format.
//!
//! A channel may also be known by a key, which stands for its name among machines (see [`shared`](super::shared)). Links
//! with other machines are members of a third kind: what a member says goes to everybody, links included, at the cost
//! of any other member; what a link says goes to [`locals`](Channels::locals) only. A channel that only links are on has
//! no name until a member of this machine brings it.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;
use smallvec::SmallVec;

use super::SessionId;
use super::shared::{ChannelKey, InstanceId, News, Sharing};

/// A channel's slot; it is free again when the last member has left.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ChannelId(u32);

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
    /// What there is to other machines; `None` while they do not matter.
    pub sharing: Option<Box<Sharing>>,
}

/// Most channels are pairs: up to four members cost no heap, in the room that a vector would take to be empty.
type Members = SmallVec<[SessionId; 4]>;

const _: () = assert!(size_of::<Members>() == size_of::<Vec<SessionId>>());

#[derive(Debug)]
struct Channel {
    /// Empty while only links are here.
    name: Arc<str>,
    /// Where channels are shared; boxed, as most servers share none and every channel would pay for it.
    key: Option<Box<ChannelKey>>,
    /// Those who asked for presence, then others of this machine, then links. Invariant: `watchers ≤ locals ≤
    /// members.len()`, and `members` is never empty.
    members: Members,
    watchers: u32,
    locals: u32,
    /// How many members links have told of.
    remote: u32,
    /// The value of `changes` when the members last changed.
    version: u64,
}

impl Channels {
    /// Brings `member` into the channel `name`, which comes into being with its first member.
    pub fn join(&mut self, name: &str, member: SessionId, is_watcher: bool) -> ChannelId {
        let id = self.by_name.get(name).copied().unwrap_or_else(|| self.enter(name));
        self.changes += 1;
        let channel = &mut self.table[id.0 as usize];
        channel.version = self.changes;
        channel.members.push(member);
        let mut place = channel.members.len() - 1;
        channel.members.swap(channel.locals as usize, place);
        place = channel.locals as usize;
        channel.locals += 1;
        if is_watcher {
            channel.members.swap(channel.watchers as usize, place);
            channel.watchers += 1;
        }
        if channel.locals == 1
            && let (Some(key), Some(sharing)) = (channel.key.as_deref(), &mut self.sharing)
        {
            sharing.tell(News::Up(*key, Arc::clone(&channel.name)));
        }
        id
    }

    /// The channel that `name` means from now on: a new one, or one that only links have been on.
    fn enter(&mut self, name: &str) -> ChannelId {
        let name: Arc<str> = name.into();
        let key = self.sharing.as_ref().and_then(|sharing| sharing.key_if_shared(&name));
        let known = key.and_then(|key| self.sharing.as_ref()?.by_key.get(&key).copied());
        let id = known.unwrap_or_else(|| self.create(key));
        self.table[id.0 as usize].name = Arc::clone(&name);
        self.by_name.insert(name, id);
        id
    }

    fn create(&mut self, key: Option<ChannelKey>) -> ChannelId {
        let (name, members) = (Arc::default(), Members::new());
        let channel = Channel { name, key: key.map(Box::new), members, watchers: 0, locals: 0, remote: 0, version: 0 };
        let slot = self.table.insert(channel);
        let id = ChannelId(u32::try_from(slot).expect("each has a member, and sessions have numbers of 32 bits"));
        if let (Some(key), Some(sharing)) = (key, &mut self.sharing) {
            sharing.by_key.insert(key, id);
        }
        id
    }

    /// Brings a link with the server `with`, or with one that has no name, into the channel of this key. `None` if there
    /// is a link between the two already, or nothing is shared.
    pub fn join_link(&mut self, key: ChannelKey, with: Option<InstanceId>, link: SessionId) -> Option<ChannelId> {
        let sharing = self.sharing.as_mut()?;
        if let Some(with) = with {
            match sharing.linked.entry((key, with)) {
                std::collections::hash_map::Entry::Occupied(_) => return None,
                std::collections::hash_map::Entry::Vacant(entry) => entry.insert(link),
            };
        }
        let id = match sharing.by_key.get(&key) {
            Some(id) => *id,
            None => self.create(Some(key)),
        };
        self.changes += 1;
        let channel = &mut self.table[id.0 as usize];
        channel.version = self.changes;
        channel.members.push(link);
        Some(id)
    }

    /// Takes a link out, and the members that it told of.
    pub fn leave_link(&mut self, id: ChannelId, with: Option<InstanceId>, link: SessionId, remote: u32) {
        let Some(channel) = self.table.get_mut(id.0 as usize) else { return };
        channel.remote = channel.remote.saturating_sub(remote);
        if let (Some(key), Some(with), Some(sharing)) = (channel.key.as_deref(), with, &mut self.sharing) {
            sharing.linked.remove(&(*key, with));
        }
        self.leave(id, link);
    }

    /// Takes `member` out; the last one takes the channel along.
    pub fn leave(&mut self, id: ChannelId, member: SessionId) {
        self.changes += 1;
        let Some(channel) = self.table.get_mut(id.0 as usize) else { return };
        let Some(mut place) = channel.members.iter().position(|other| *other == member) else { return };
        channel.version = self.changes;
        // The hole that a member leaves moves to the end of its kind, which the last of that kind fills.
        let is_local = place < channel.locals as usize;
        if place < channel.watchers as usize {
            channel.watchers -= 1;
            channel.members.swap(place, channel.watchers as usize);
            place = channel.watchers as usize;
        }
        if is_local {
            channel.locals -= 1;
            channel.members.swap(place, channel.locals as usize);
            place = channel.locals as usize;
        }
        channel.members.swap_remove(place);
        let (key, is_empty) = (channel.key.as_deref().copied(), channel.members.is_empty());
        if is_local
            && channel.locals == 0
            && let (Some(key), Some(sharing)) = (key, &mut self.sharing)
        {
            sharing.tell(News::Down(key));
        }
        if is_empty {
            let channel = self.table.remove(id.0 as usize);
            self.by_name.remove(&channel.name);
            if let (Some(key), Some(sharing)) = (key, &mut self.sharing) {
                sharing.by_key.remove(&key);
            }
        }
    }

    /// The channel of this name, if anybody is in it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ChannelId> {
        self.by_name.get(name).copied()
    }

    /// The channel of this key, while it has members.
    #[must_use]
    pub fn by_key(&self, key: ChannelKey) -> Option<ChannelId> {
        self.sharing.as_ref()?.by_key.get(&key).copied()
    }

    /// How many members links have told of.
    #[must_use]
    pub fn remote(&self, id: ChannelId) -> u32 {
        self.table[id.0 as usize].remote
    }

    /// A link tells that members came (or went, as many as it had told of).
    pub fn change_remote(&mut self, id: ChannelId, change: i32) {
        let channel = &mut self.table[id.0 as usize];
        channel.remote = channel.remote.saturating_add_signed(change);
    }

    /// Everybody but `except`.
    #[inline]
    #[must_use]
    pub fn members(&self, id: ChannelId, except: Option<SessionId>) -> Audience<'_> {
        self.part(id, 0, |channel| &channel.members, except)
    }

    /// Those who asked for presence, but `except`.
    #[must_use]
    pub fn watchers(&self, id: ChannelId, except: Option<SessionId>) -> Audience<'_> {
        self.part(id, 1, |channel| &channel.members[..channel.watchers as usize], except)
    }

    /// Those of this machine who did not ask for presence, but `except`.
    #[must_use]
    pub fn plain(&self, id: ChannelId, except: Option<SessionId>) -> Audience<'_> {
        self.part(id, 2, |channel| &channel.members[channel.watchers as usize..channel.locals as usize], except)
    }

    /// Those of this machine, but `except`.
    #[must_use]
    pub fn locals(&self, id: ChannelId, except: Option<SessionId>) -> Audience<'_> {
        self.part(id, 3, |channel| &channel.members[..channel.locals as usize], except)
    }

    /// The links.
    #[must_use]
    pub fn links(&self, id: ChannelId) -> Audience<'_> {
        self.part(id, 4, |channel| &channel.members[channel.locals as usize..], None)
    }

    /// The members that `select` selects; `kind` tells the selections of one version apart.
    #[inline]
    fn part(
        &self,
        id: ChannelId,
        kind: u64,
        select: impl FnOnce(&Channel) -> &[SessionId],
        except: Option<SessionId>,
    ) -> Audience<'_> {
        let channel = &self.table[id.0 as usize];
        Audience { version: channel.version * 8 + kind, members: select(channel), except }
    }

    /// Every channel: its name and how many members it has.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.table.iter().map(|(_, channel)| (&*channel.name, channel.members.len()))
    }

    /// A channel's name.
    #[must_use]
    pub fn name(&self, id: ChannelId) -> &str {
        &self.table[id.0 as usize].name
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
    fn links_are_a_part_of_their_own_through_any_order_of_leaving() {
        let key = |channels: &Channels| channels.sharing.as_ref().expect("shared").key("/broadcast/a");
        for leaving in 0..6u32 {
            let mut channels = Channels {
                sharing: Some(Box::new(Sharing::new(InstanceId::new([0; 16]), None))),
                ..Channels::default()
            };
            let key = key(&channels);
            let with = |id: u32| Some(InstanceId::new([id as u8; 16]));
            let mut channel = None;
            for id in 0..6 {
                channel = match id % 3 {
                    2 => channels.join_link(key, with(id), SessionId(id)),
                    kind => Some(channels.join("/broadcast/a", SessionId(id), kind == 0)),
                };
            }
            let channel = channel.expect("joined");
            assert_eq!(channels.join_link(key, with(2), SessionId(9)), None, "one link for each server");
            if leaving % 3 == 2 {
                channels.leave_link(channel, with(leaving), SessionId(leaving), 0);
                assert!(channels.sharing.as_ref().expect("shared").linked.len() == 1);
            } else {
                channels.leave(channel, SessionId(leaving));
            }
            let rest = |kind: u32| (0..6).filter(|id| *id != leaving && id % 3 == kind).map(SessionId).collect();
            assert_eq!(set(channels.watchers(channel, None)), rest(0));
            assert_eq!(set(channels.plain(channel, None)), rest(1));
            assert_eq!(set(channels.links(channel)), rest(2));
            assert_eq!(set(channels.members(channel, None)).len(), 5);
        }
    }

    #[test]
    fn a_channel_of_links_gets_its_name_from_its_first_member_and_news_tell_of_both_ends() {
        let mut channels =
            Channels { sharing: Some(Box::new(Sharing::new(InstanceId::new([0; 16]), None))), ..Channels::default() };
        let key = channels.sharing.as_ref().expect("shared").key("/broadcast/a");
        let linked = channels.join_link(key, None, SessionId(1)).expect("linked");
        assert_eq!(channels.join("/broadcast/a", SessionId(2), false), linked);
        channels.leave(linked, SessionId(2));
        channels.leave_link(linked, None, SessionId(1), 0);
        assert!(channels.is_empty() && channels.by_name.is_empty());
        channels.join("/local/a", SessionId(3), false);
        let sharing = channels.sharing.as_mut().expect("shared");
        assert!(sharing.by_key.is_empty());
        let news: Vec<_> = std::iter::from_fn(|| sharing.next_news()).collect();
        assert_eq!(news, [News::Up(key, "/broadcast/a".into()), News::Down(key)]);
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
