//! Which links there should be: the channels that are announced, the servers that announce them too, and those that the
//! operator listed. Layer 2, pure: events and time come in, [`Wish`]es go out; it opens nothing and parses no packet.
//!
//! **An announcement is a hint and nothing more.** It makes us dial, once in a while; it never ends, replaces or delays a
//! link that is there, and neither does its withdrawal. What is remembered of announcements is bounded, and so are
//! attempts, whatever is announced.
//!
//! Two servers that see each other need one link for each channel: the one with the lower name dials, and the other does
//! so as well only if it has waited in vain for [`GRACE`]. A server that is dialled while it dials that very server for
//! the same channel refuses if its own name is the lower one; so two that dial each other at once agree on one link
//! without ever having two. Original proxies have no name and one direction for each link: they are dialled at once, and
//! what they dial is a link beside ours.

pub mod announcement;
mod proxies;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::hub::SessionId;
use crate::hub::shared::{ChannelKey, InstanceId};
use announcement::Sighting;
use proxies::Proxies;

/// How long the server with the higher name leaves dialling to the other.
pub const GRACE: Duration = Duration::from_secs(5);
/// Until the second attempt; each further one waits twice as long as the one before.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// Attempts are never further apart.
const MAX_RETRY: Duration = Duration::from_secs(60);
/// How long there is nothing to try: a link of the other's making is there, or the other is this server itself.
const PARKED: Duration = Duration::from_secs(30);
/// A link that lasted this long starts the retries anew.
const LASTING: Duration = Duration::from_secs(30);

/// Another server, as we know of it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Whom {
    /// The operator listed it, at this place.
    Listed(usize),
    /// It announces itself under this name.
    Announced(Arc<str>),
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wish {
    /// This channel has members here.
    Announce(Arc<str>),
    /// It has none any more.
    Withdraw(Arc<str>),
    /// A link is to be opened.
    Dial(Dial),
    /// This attempt is not wanted any more.
    Abandon(ChannelKey, Whom),
    /// This link is not needed any more.
    Close(SessionId),
}

/// A link that is to be opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dial {
    /// For which channel.
    pub key: ChannelKey,
    /// Its path, as it is called here.
    pub path: Arc<str>,
    /// With whom.
    pub whom: Whom,
    /// Where an announced one is; those of listed ones are to be looked up.
    pub addresses: Vec<SocketAddr>,
}

/// Why an attempt came to nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// Nobody answered, or not as a server of ours.
    Unreachable,
    /// This server has a link with us already, or is about to.
    Linked(InstanceId),
    /// It is this server.
    Ourselves,
}

/// Why a link is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It comes from this server.
    Ourselves,
    /// There is one already, or one that we dial.
    Linked,
    /// As many are open as this option allows.
    TooMany(&'static str),
}

/// Bounds; see `config::Limits`.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Links and attempts.
    pub links: usize,
    /// The same with one address.
    pub links_per_peer: usize,
    /// Announcements that are remembered.
    pub proxies: usize,
}

/// Everything that is known about other servers.
#[derive(Debug)]
pub struct Discovery {
    own: InstanceId,
    bounds: Bounds,
    listed: usize,
    /// Channels with members here.
    channels: HashMap<ChannelKey, Arc<str>>,
    proxies: Proxies,
    prospects: BTreeMap<(ChannelKey, Whom), Prospect>,
    /// Invariant: exactly the prospects that wait, by when they are due.
    due: BTreeSet<(Instant, ChannelKey, Whom)>,
    links: HashMap<SessionId, Record>,
    by_address: HashMap<IpAddr, usize>,
    dialling: usize,
    wishes: std::collections::VecDeque<Wish>,
    /// Spreads retries, so that two servers do not meet again and again.
    jitter: u64,
}

/// A link that there should be.
#[derive(Debug)]
struct Prospect {
    state: State,
    failures: u32,
    /// Who it turned out to be, or says it is.
    id: Option<InstanceId>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Waiting(Instant),
    Dialling,
    Linked,
}

/// A link that there is.
#[derive(Debug)]
struct Record {
    key: ChannelKey,
    id: Option<InstanceId>,
    /// Whom we dialled; `None` if it was the other way round.
    whom: Option<Whom>,
    address: IpAddr,
    since: Instant,
    /// It carries its channel: the other end has proved what it has to.
    is_open: bool,
    is_deserted: bool,
}

impl Discovery {
    /// Nothing known yet, by the server `own`; `listed` is how many the operator listed.
    #[must_use]
    pub fn new(own: InstanceId, listed: usize, bounds: Bounds) -> Self {
        Self {
            own,
            bounds,
            listed,
            channels: HashMap::new(),
            proxies: Proxies::new(bounds.proxies),
            prospects: BTreeMap::new(),
            due: BTreeSet::new(),
            links: HashMap::new(),
            by_address: HashMap::new(),
            dialling: 0,
            wishes: std::collections::VecDeque::new(),
            jitter: u64::from_le_bytes(own.bytes()[..8].try_into().expect("eight of sixteen")) | 1,
        }
    }

    // Events.

    /// A channel got its first member here.
    pub fn on_up(&mut self, key: ChannelKey, path: Arc<str>, now: Instant) {
        self.wishes.push_back(Wish::Announce(Arc::clone(&path)));
        self.channels.insert(key, path);
        for place in 0..self.listed {
            self.aim(key, Whom::Listed(place), None, now);
        }
        for (name, id) in self.proxies.of(key) {
            let at = now + self.patience(id);
            self.aim(key, Whom::Announced(name), id, at);
        }
    }

    /// A channel lost its last member here: whoever has members dials whoever has.
    pub fn on_down(&mut self, key: ChannelKey) {
        if let Some(path) = self.channels.remove(&key) {
            self.wishes.push_back(Wish::Withdraw(path));
        }
        for whom in self.whoms(key) {
            self.drop_prospect(key, &whom);
        }
        let dialled = self.links.iter().filter(|(_, link)| link.key == key && link.whom.is_some());
        self.wishes.extend(dialled.map(|(session, _)| Wish::Close(*session)));
    }

    /// Somebody announces a channel, under a name that is its own, at these addresses.
    pub fn on_found(&mut self, name: &str, sighting: Sighting, addresses: Vec<SocketAddr>, now: Instant) {
        if sighting.id == Some(self.own) || addresses.is_empty() {
            return;
        }
        let (key, id) = (sighting.key, sighting.id);
        let is_wanted = self.channels.contains_key(&key);
        let channels = &self.channels;
        let Some(name) = self.proxies.insert(name, sighting, addresses, is_wanted, |key| channels.contains_key(key))
        else {
            return;
        };
        if is_wanted {
            let at = now + self.patience(id);
            self.aim(key, Whom::Announced(name), id, at);
        }
    }

    /// An announcement was withdrawn, or nobody has repeated it.
    pub fn on_lost(&mut self, name: &str) {
        let Some((name, key)) = self.proxies.remove(name) else { return };
        let whom = Whom::Announced(name);
        if let Some(Prospect { state: State::Waiting(_), .. }) = self.prospects.get(&(key, whom.clone())) {
            self.drop_prospect(key, &whom);
        }
        let deserted = self.links.iter().filter(|(_, link)| link.whom.as_ref() == Some(&whom) && link.is_deserted);
        self.wishes.extend(deserted.map(|(session, _)| Wish::Close(*session)));
    }

    /// An attempt came to nothing.
    pub fn on_failed(&mut self, key: ChannelKey, whom: &Whom, why: Failure, now: Instant) {
        let jitter = self.draw();
        let Some(prospect) = self.prospects.get_mut(&(key, whom.clone())) else { return };
        if prospect.state != State::Dialling {
            return;
        }
        self.dialling -= 1;
        prospect.failures = prospect.failures.saturating_add(1);
        let after = match why {
            Failure::Unreachable => retry(prospect.failures, jitter),
            Failure::Ourselves => PARKED,
            Failure::Linked(id) => {
                prospect.id = Some(id);
                retry(prospect.failures.min(3), jitter)
            }
        };
        Self::wait(&mut self.due, prospect, key, whom, now + after);
    }

    /// An attempt led to a link, which may have to be proved yet.
    pub fn on_dialled(
        &mut self,
        session: SessionId,
        dial: (ChannelKey, Whom),
        id: Option<InstanceId>,
        at: IpAddr,
        now: Instant,
    ) {
        if let Some(prospect) = self.prospects.get_mut(&dial) {
            if prospect.state == State::Dialling {
                self.dialling -= 1;
            }
            (prospect.state, prospect.id) = (State::Linked, id.or(prospect.id));
        }
        self.record(session, dial.0, id, Some(dial.1), at, now);
    }

    /// A link was accepted, which may have to be proved yet.
    pub fn on_accepted(
        &mut self,
        session: SessionId,
        key: ChannelKey,
        id: Option<InstanceId>,
        from: IpAddr,
        now: Instant,
    ) {
        self.record(session, key, id, None, from, now);
    }

    /// A link carries its channel.
    pub fn on_linked(&mut self, session: SessionId) {
        if let Some(link) = self.links.get_mut(&session) {
            link.is_open = true;
        }
    }

    /// The other end of a link has no members any more, or has some again.
    pub fn on_deserted(&mut self, session: SessionId, is_deserted: bool) {
        let Some(link) = self.links.get_mut(&session) else { return };
        link.is_deserted = is_deserted;
        if let Some(Whom::Announced(name)) = &link.whom
            && is_deserted
            && !self.proxies.contains(name)
        {
            self.wishes.push_back(Wish::Close(session));
        }
    }

    /// A link is over.
    pub fn on_closed(&mut self, session: SessionId, now: Instant) {
        let jitter = self.draw();
        let Some(link) = self.links.remove(&session) else { return };
        if let Some(count) = self.by_address.get_mut(&link.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&link.address);
            }
        }
        let patience = self.patience(link.id);
        for whom in self.whoms(link.key) {
            let Some(prospect) = self.prospects.get_mut(&(link.key, whom.clone())) else { continue };
            let is_dialled = link.whom.as_ref() == Some(&whom);
            if is_dialled && prospect.state == State::Linked {
                let has_lasted = link.is_open && now.saturating_duration_since(link.since) >= LASTING;
                prospect.failures = if has_lasted { 1 } else { prospect.failures.saturating_add(1) };
                let at = now + retry(prospect.failures, jitter);
                Self::wait(&mut self.due, prospect, link.key, &whom, at);
            } else if link.id.is_some() && prospect.id == link.id && matches!(prospect.state, State::Waiting(_)) {
                // It had dialled us; now it may be our turn.
                Self::wait(&mut self.due, prospect, link.key, &whom, now + patience);
            }
        }
    }

    // Questions.

    /// The next thing to be done; ask until there is none.
    pub fn next_wish(&mut self, now: Instant) -> Option<Wish> {
        loop {
            if let Some(wish) = self.wishes.pop_front() {
                return Some(wish);
            }
            let (at, key, whom) = self.due.first()?;
            if *at > now {
                return None;
            }
            let (key, whom) = (*key, whom.clone());
            self.consider(key, &whom, now);
        }
    }

    /// When there will be something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Whether a link of this channel with the server `id`, which dials us from this address, is to be accepted.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, key: ChannelKey, id: Option<InstanceId>, from: IpAddr) -> Result<(), Refusal> {
        if id == Some(self.own) {
            return Err(Refusal::Ourselves);
        }
        if let Some(id) = id {
            let is_dialling = || {
                let mut prospects = self.whoms(key).into_iter().filter_map(|whom| self.prospects.get(&(key, whom)));
                prospects.any(|known| known.state == State::Dialling && known.id.is_none_or(|known| known == id))
                    || self.links.values().any(|link| link.whom.is_some() && (link.key, link.id) == (key, Some(id)))
            };
            if self.is_linked(key, id) || (self.own < id && is_dialling()) {
                return Err(Refusal::Linked);
            }
        }
        self.has_room(from)
    }

    /// Whether somebody at this address announces channels.
    #[must_use]
    pub fn is_announced(&self, address: IpAddr) -> bool {
        self.proxies.has_address(address)
    }

    /// How many links carry their channels.
    #[must_use]
    pub fn links(&self) -> usize {
        self.links.values().filter(|link| link.is_open).count()
    }

    /// How many announcements are remembered.
    #[must_use]
    pub fn proxies(&self) -> usize {
        self.proxies.len()
    }

    /// Every listed server and every prospect is forgotten: nothing is dialled any more.
    pub fn retire(&mut self) {
        self.channels.clear();
        self.prospects.clear();
        self.due.clear();
        self.wishes.clear();
        self.listed = 0;
    }

    // What both need.

    fn record(
        &mut self,
        session: SessionId,
        key: ChannelKey,
        id: Option<InstanceId>,
        whom: Option<Whom>,
        address: IpAddr,
        now: Instant,
    ) {
        let address = address.to_canonical();
        *self.by_address.entry(address).or_default() += 1;
        let link = Record { key, id, whom, address, since: now, is_open: false, is_deserted: false };
        self.links.insert(session, link);
    }

    /// A prospect is due: it is dialled, or has to wait again.
    fn consider(&mut self, key: ChannelKey, whom: &Whom, now: Instant) {
        let jitter = self.draw();
        let place = (key, whom.clone());
        let (id, addresses) = match whom {
            Whom::Listed(_) => (self.prospects.get(&place).and_then(|prospect| prospect.id), Vec::new()),
            Whom::Announced(name) => match self.proxies.get(name) {
                Some(proxy) => (proxy.id, proxy.addresses.clone()),
                None => return self.drop_prospect(key, whom),
            },
        };
        let Some(path) = self.channels.get(&key).cloned() else { return self.drop_prospect(key, whom) };
        let is_linked = id.is_some_and(|id| self.is_linked(key, id) || self.is_proving(key, id));
        let has_room = match addresses.first() {
            Some(address) => self.has_room(address.ip()).is_ok(),
            None => self.has_room(IpAddr::from([0, 0, 0, 0])).is_ok(),
        };
        let Some(prospect) = self.prospects.get_mut(&place) else { return };
        if is_linked || !has_room {
            let after = if is_linked { PARKED } else { retry(prospect.failures.max(4), jitter) };
            return Self::wait(&mut self.due, prospect, key, whom, now + after);
        }
        if let State::Waiting(at) = prospect.state {
            self.due.remove(&(at, key, whom.clone()));
        }
        prospect.state = State::Dialling;
        self.dialling += 1;
        self.wishes.push_back(Wish::Dial(Dial { key, path, whom: whom.clone(), addresses }));
    }

    /// There should be a link, which may be tried at `at`.
    fn aim(&mut self, key: ChannelKey, whom: Whom, id: Option<InstanceId>, at: Instant) {
        let place = (key, whom.clone());
        match self.prospects.get_mut(&place) {
            Some(prospect) => prospect.id = id.or(prospect.id),
            None => {
                self.prospects.insert(place, Prospect { state: State::Waiting(at), failures: 0, id });
                self.due.insert((at, key, whom));
            }
        }
    }

    fn wait(
        due: &mut BTreeSet<(Instant, ChannelKey, Whom)>,
        prospect: &mut Prospect,
        key: ChannelKey,
        whom: &Whom,
        at: Instant,
    ) {
        if let State::Waiting(before) = prospect.state {
            due.remove(&(before, key, whom.clone()));
        }
        prospect.state = State::Waiting(at);
        due.insert((at, key, whom.clone()));
    }

    fn drop_prospect(&mut self, key: ChannelKey, whom: &Whom) {
        match self.prospects.remove(&(key, whom.clone())).map(|prospect| prospect.state) {
            Some(State::Waiting(at)) => {
                self.due.remove(&(at, key, whom.clone()));
            }
            Some(State::Dialling) => {
                self.dialling -= 1;
                self.wishes.push_back(Wish::Abandon(key, whom.clone()));
            }
            Some(State::Linked) | None => {}
        }
    }

    /// How long to wait for the other to dial.
    fn patience(&self, id: Option<InstanceId>) -> Duration {
        if id.is_some_and(|id| id < self.own) { GRACE } else { Duration::ZERO }
    }

    fn whoms(&self, key: ChannelKey) -> Vec<Whom> {
        let from = (key, Whom::Listed(0));
        let of_key = self.prospects.range(from..).take_while(|((other, _), _)| *other == key);
        of_key.map(|((_, whom), _)| whom.clone()).collect()
    }

    fn is_linked(&self, key: ChannelKey, id: InstanceId) -> bool {
        self.links.values().any(|link| link.is_open && (link.key, link.id) == (key, Some(id)))
    }

    fn is_proving(&self, key: ChannelKey, id: InstanceId) -> bool {
        self.links.values().any(|link| link.whom.is_some() && (link.key, link.id) == (key, Some(id)))
    }

    fn has_room(&self, address: IpAddr) -> Result<(), Refusal> {
        if self.links.len() + self.dialling >= self.bounds.links {
            return Err(Refusal::TooMany("--max-links"));
        }
        if self.by_address.get(&address.to_canonical()).is_some_and(|count| *count >= self.bounds.links_per_peer) {
            return Err(Refusal::TooMany("--max-links-per-peer"));
        }
        Ok(())
    }

    /// A number that nobody has to foretell (xorshift).
    fn draw(&mut self) -> u64 {
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        self.jitter
    }
}

/// How long to wait after so many failures: between three and five quarters of the doubled time.
fn retry(failures: u32, jitter: u64) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(MAX_RETRY);
    doubled.mul_f64(0.75 + (jitter % 1024) as f64 / 2048.0)
}

#[cfg(test)]
mod tests;
