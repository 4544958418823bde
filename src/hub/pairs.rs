//! One-to-one pairing: members, the keys by which they find each other, and who is paired with whom.
//!
//! A session [`join`](Pairs::join)s and gets a member's slot and a key; it [`leave`](Pairs::leave)s exactly once. In
//! between, [`pair`](Pairs::pair) and [`unpair`](Pairs::unpair) tie and untie two members. Asking for a partner, which
//! happens for every relayed message, follows an index; only keys are looked up by hash. Layer 2: who may pair, what is
//! said about it and on which wire is the protocol's matter.

pub mod guesses;

use std::collections::HashMap;
use std::fmt;

use slab::Slab;

use self::guesses::Guesses;
use super::ids::{Key, KeySource, MAX_DIGITS, SessionId};

/// A member's slot. It is the member's own from [`Pairs::join`] to [`Pairs::leave`] and recycled afterwards.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MemberId(u32);

#[derive(Debug)]
struct Member {
    session: SessionId,
    key: Key,
    /// Invariant: `members[a].partner = b ⇔ members[b].partner = a`, and `a ≠ b`.
    partner: Option<MemberId>,
}

/// The table of pairs.
#[derive(Debug, Default)]
pub struct Pairs {
    members: Slab<Member>,
    /// Invariant: `keys[k] = m ⇔ members[m].key = k`.
    keys: HashMap<Key, MemberId>,
    source: KeySource,
    /// Wrong keys that addresses have tried.
    pub guesses: Guesses,
}

/// Why a session cannot have a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JoinError {
    /// The system's random number generator failed.
    NoRandomness(getrandom::Error),
    /// Keys up to the greatest length were taken, which means that the generator repeats itself.
    NoFreeKey,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRandomness(cause) => write!(f, "no key: the system's random number generator failed: {cause}"),
            Self::NoFreeKey => f.write_str("no key: the random number generator repeats itself"),
        }
    }
}

impl std::error::Error for JoinError {}

/// Why two members cannot pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PairError {
    /// A member cannot be its own partner.
    Oneself,
    /// One of the two has a partner.
    AlreadyPaired,
}

impl Pairs {
    /// An empty table that draws its keys from `source`.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self { source, ..Self::default() }
    }

    /// Makes `session` a member, with a key of `digits` digits that no other member has.
    ///
    /// Where short keys have become scarce, the new one is longer.
    ///
    /// # Errors
    /// When there is no randomness to make a key of.
    pub fn join(&mut self, session: SessionId, digits: u8) -> Result<MemberId, JoinError> {
        let key = self.free_key(digits)?;
        let slot = self.members.insert(Member { session, key, partner: None });
        let member = MemberId(u32::try_from(slot).expect("each member is a session, whose ids have 32 bits"));
        self.keys.insert(key, member);
        debug_assert_eq!(self.keys.len(), self.members.len());
        Ok(member)
    }

    fn free_key(&mut self, digits: u8) -> Result<Key, JoinError> {
        for digits in digits.clamp(1, MAX_DIGITS as u8)..=MAX_DIGITS as u8 {
            for _ in 0..TRIES_PER_LENGTH {
                let key = self.source.key(digits).map_err(JoinError::NoRandomness)?;
                if !self.keys.contains_key(&key) {
                    return Ok(key);
                }
            }
        }
        Err(JoinError::NoFreeKey)
    }

    /// Ends a membership, and its pair if there is one. Returns the session that has lost its partner.
    pub fn leave(&mut self, member: MemberId) -> Option<SessionId> {
        let partner = self.unpair(member);
        let Member { key, .. } = self.members.remove(member.0 as usize);
        let removed = self.keys.remove(&key);
        debug_assert_eq!(removed, Some(member));
        self.shrink();
        partner.map(|partner| self.session(partner))
    }

    /// Gives memory back once most of it is unused; halving it at a time keeps the cost of leaving constant on average.
    fn shrink(&mut self) {
        let used = self.keys.len();
        if self.keys.capacity() > SPARE_KEYS && used < self.keys.capacity() / 4 {
            self.keys.shrink_to(used * 2);
        }
        // Slots stay where they are, so the slab can only be given back whole.
        if used == 0 && self.members.capacity() > SPARE_KEYS {
            self.members = Slab::new();
        }
    }

    /// Ties two members.
    ///
    /// # Errors
    /// When one of them has a partner, or both are the same.
    pub fn pair(&mut self, one: MemberId, other: MemberId) -> Result<(), PairError> {
        if one == other {
            return Err(PairError::Oneself);
        }
        if self.partner(one).is_some() || self.partner(other).is_some() {
            return Err(PairError::AlreadyPaired);
        }
        self.member_mut(one).partner = Some(other);
        self.member_mut(other).partner = Some(one);
        Ok(())
    }

    /// Unties a member from its partner and returns that partner.
    pub fn unpair(&mut self, member: MemberId) -> Option<MemberId> {
        let partner = self.member_mut(member).partner.take()?;
        let back = self.member_mut(partner).partner.take();
        debug_assert_eq!(back, Some(member));
        Some(partner)
    }

    /// The member on the other end.
    #[must_use]
    pub fn partner(&self, member: MemberId) -> Option<MemberId> {
        self.member(member).partner
    }

    /// The session behind a member.
    #[must_use]
    pub fn session(&self, member: MemberId) -> SessionId {
        self.member(member).session
    }

    /// A member's key.
    #[must_use]
    pub fn key(&self, member: MemberId) -> Key {
        self.member(member).key
    }

    /// The member with this key.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<MemberId> {
        self.keys.get(&key).copied()
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many pairs there are. Looks at every member.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.members.iter().filter(|(_, member)| member.partner.is_some()).count() / 2
    }

    /// Both sessions of every pair.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, SessionId)> {
        self.members.iter().filter_map(|(slot, member)| {
            let partner = member.partner.filter(|partner| slot < partner.0 as usize)?;
            Some((member.session, self.session(partner)))
        })
    }

    /// Whether all invariants hold. Looks at every member, so this is for tests and fuzzing.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let members_agree = self.members.iter().all(|(slot, member)| {
            let id = MemberId(slot as u32);
            let is_mutual = |partner: MemberId| partner != id && self.partner(partner) == Some(id);
            member.partner.is_none_or(is_mutual) && self.find(member.key) == Some(id)
        });
        members_agree && self.keys.len() == self.members.len()
    }

    fn member(&self, member: MemberId) -> &Member {
        self.members.get(member.0 as usize).expect(MEMBERSHIP)
    }

    fn member_mut(&mut self, member: MemberId) -> &mut Member {
        self.members.get_mut(member.0 as usize).expect(MEMBERSHIP)
    }
}

/// Why indexing with a [`MemberId`] cannot fail.
const MEMBERSHIP: &str = "member ids come from join and are not used after leave";

/// Tries at one length before a key grows a digit. With three quarters of all keys taken, one join in a hundred fails
/// them all.
const TRIES_PER_LENGTH: u32 = 16;

/// Keys for which memory is kept in any case.
const SPARE_KEYS: usize = 64;

const _: () = assert!(size_of::<Member>() <= 32, "an idle client is billed for this");

#[cfg(test)]
mod tests;
