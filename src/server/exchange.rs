//! The tables that join sockets to sessions, and what happens to a connection beside its traffic: it is accepted and
//! opened. Layer 3; the traffic is in [`super::relay`], who waits for whom in [`waiting`], the end in [`closing`].

mod closing;
mod halves;
mod shedding;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::{debug, warn};
use mio::{Interest, Token};
use slab::Slab;
use tungstenite::protocol::frame::coding::CloseCode;

use self::closing::{Leaving, REST};
use self::halves::Halves;
use self::shedding::{Farewells, Marks, Stalls};
use super::StartError;
use super::access::{Access, Entrance, FIRST_LEASE};
use super::batch::{Actions, Batch, Deed, Place};
use super::bridge::{Dials, FIRST_DIAL};
use super::client::Trusted;
use super::conn::{Behind, ConnId, Connection, Ending, Phase};
use super::control::{Controls, Order};
use super::links::{LINKS_OWNER, Links};
use super::metrics::Metrics;
use super::pages::Pages;
use super::polling::Polling;
use super::spread::{SPREAD, Spread};
use super::usage::Refusals;
use crate::config::{Config, Listen, Secret};
use crate::frame::pool::{Pool, large_buffer};
use crate::hub::shared::{InstanceId, Sharing};
use crate::hub::{Hub, SessionId};
use crate::memory::Account;
use crate::net::listener::{Accepted, Census, Listener};
use crate::net::reactor::{Handler, Readiness, Turn, token};
use crate::net::resolve::Resolver;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::net::targets::Targets;
use crate::net::tcp::TcpStream;
use crate::net::timer::{Alarm, Fired, Ticks, Wheel};
use crate::net::tls::Tls;
use crate::protocol::{Context, Protocol, Session};

/// Tokens from this one on are listeners'; connections are below.
pub(super) const FIRST_LISTENER: usize = 1 << 31;

/// Connections accepted in one turn, so that a flood of them cannot starve those that are there.
const ACCEPTS_PER_TURN: usize = 16;

/// Slots of the tables that are kept however few are used.
const ROOMY_SLOTS: usize = 1024;

/// What is kept of the buffer in which sessions put messages together, in bytes: a receive buffer in base64, and then some.
const BUFFER_KEPT_BYTES: usize = 512 * 1024;

/// The state of the server.
pub(super) struct Exchange {
    pub(super) config: Config,
    pub(super) started: Instant,
    pub(super) listeners: Vec<(Listener, Listen)>,
    /// Listeners from this one on are administrators'.
    pub(super) first_admin: usize,
    pub(super) controls: Controls,
    pub(super) pages: Pages,
    pub(super) conns: Slab<Connection>,
    pub(super) sessions: Slab<Session>,
    pub(super) outlets: Outlets,
    pub(super) hub: Hub,
    /// Other servers, and channels that are linked with theirs.
    pub(super) links: Links,
    /// Where everybody receives, up to `SCRATCH_BYTES` at a time; a long message may take it along.
    pub(super) scratch: Vec<u8>,
    pub(super) pool: Pool,
    /// What clients make us remember.
    pub(super) memory: Account,
    pub(super) batch: Batch,
    /// What of batches is written in later turns.
    pub(super) spread: Spread,
    /// The response being put together, used again for the next.
    pub(super) reply: Vec<u8>,
    /// The message that a session is putting together, used again for the next.
    pub(super) buffer: Vec<u8>,
    /// What is to be done once the batch is written.
    pub(super) deeds: VecDeque<Deed>,
    /// Connections whose write failed, or that are too slow (no error), to be closed once the batch is written.
    pub(super) failures: Vec<(ConnId, Option<io::Error>)>,
    /// Who waits for whom to catch up, by the one that is behind. Invariant: `waiting[b]` has `c` ⇔ `conns[c].waits_for = b`.
    pub(super) waiting: HashMap<Behind, Vec<ConnId>>,
    pub(super) census: Census,
    /// Proxies that are believed when they say whom a connection is for.
    pub(super) trusted: Trusted,
    /// Sessions without a socket, and requests to them.
    pub(super) polling: Polling,
    /// What sessions may do.
    pub(super) access: Access,
    /// When sessions want to be called, for those that do.
    pub(super) alarms: HashMap<SessionId, Alarm>,
    /// What sessions have dialled.
    pub(super) bridges: Outlets,
    pub(super) dials: Dials,
    /// How many bridges the clients of each address have.
    pub(super) bridged: Census,
    pub(super) targets: Targets,
    pub(super) resolver: Resolver,
    /// What makes TLS sessions, if a certificate is configured.
    pub(super) tls: Option<Tls>,
    pub(super) metrics: Metrics,
    spans: Spans,
    leaving: Leaving,
    pub(super) max_connections: usize,
    ended: Vec<ConnId>,
    /// When a connection that was turned away was last warned of, and how many there had been by then.
    warned: Option<(Instant, u64)>,
    /// With fewer connections than this the tables are cut to what they hold.
    shrinks_below: usize,
    ended_sessions: Vec<SessionId>,
    /// What happens as memory fills up, and when.
    marks: Marks,
    stalls: Stalls,
    halves: Halves,
    /// Connections that are behind since the last event.
    fresh: Vec<ConnId>,
    farewells: Farewells,
    pub(super) refusals: Refusals,
    /// When a drain must be over.
    drains_until: Option<Instant>,
    drain_alarm: Alarm,
    is_stopped: bool,
}

/// Deadlines in the wheel's unit.
struct Spans {
    handshake: Ticks,
    /// `None` waits for ever.
    first_message: Option<Ticks>,
    link: Ticks,
    /// `None` never pings.
    idle: Option<Ticks>,
    pong: Ticks,
    close: Ticks,
}

/// Where the effects on each session go: a socket of ours, or nowhere.
#[derive(Debug, Default)]
pub(super) struct Outlets(Vec<Option<ConnId>>);

impl Outlets {
    /// The socket behind a session.
    #[inline]
    pub(super) fn get(&self, session: SessionId) -> Option<ConnId> {
        self.0.get(session.0 as usize).copied().flatten()
    }

    /// How many sessions have one.
    pub(super) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// Gives back the memory of sessions that nobody has any more.
    fn shrink(&mut self, len: usize) {
        self.0.truncate(len);
        self.0.shrink_to_fit();
    }

    pub(super) fn set(&mut self, session: SessionId, conn: Option<ConnId>) {
        let place = session.0 as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        self.0[place] = conn;
    }
}

impl Exchange {
    pub(super) fn new(
        config: Config,
        listeners: Vec<(Listener, Listen)>,
        first_admin: usize,
        controls: Controls,
        max_connections: usize,
        now: Instant,
    ) -> Result<Self, StartError> {
        let limits = &config.limits;
        let spans = Spans {
            handshake: limits.handshake_timeout.into(),
            first_message: (!limits.first_message_timeout.is_zero()).then(|| limits.first_message_timeout.into()),
            link: limits.link_ping_interval.into(),
            idle: (!limits.ping_interval.is_zero()).then(|| limits.ping_interval.into()),
            pong: limits.pong_timeout.into(),
            close: limits.close_timeout.into(),
        };
        let trusted = Trusted::parse(&config.trusted_proxy).map_err(StartError::BadProxy)?;
        let targets = Targets::parse(&config.bridge_allow).map_err(StartError::BadTarget)?;
        let access = Access::new(&config).map_err(StartError::Access)?;
        let tls = super::reload::start_tls(&config)?;
        let handle = controls.handle();
        let memory = Account::default();
        let mut hub = Hub::new(memory.clone());
        let mut id = [0; 16];
        if config.lan_is_on() {
            getrandom::fill(&mut id).map_err(|error| StartError::System(error.into()))?;
            let secret = config.lan.secret.as_ref().map(Secret::bytes);
            hub.channels.sharing = Some(Box::new(Sharing::new(InstanceId::new(id), secret)));
        }
        let addresses: Vec<_> = listeners.iter().map(|(listener, _)| listener.address()).collect();
        let waker = controls.handle();
        Ok(Self {
            pages: Pages::new(&config).map_err(StartError::BadEntry)?,
            spans,
            leaving: Leaving::default(),
            max_connections,
            started: now,
            listeners,
            first_admin,
            controls,
            conns: Slab::new(),
            sessions: Slab::new(),
            outlets: Outlets::default(),
            hub,
            links: Links::new(&config, InstanceId::new(id), &addresses, move || waker.wake()),
            scratch: large_buffer(),
            pool: Pool::new(memory.clone()),
            memory,
            batch: Batch::default(),
            spread: Spread::default(),
            reply: Vec::new(),
            buffer: Vec::new(),
            deeds: VecDeque::new(),
            failures: Vec::new(),
            waiting: HashMap::new(),
            census: Census::default(),
            trusted,
            polling: Polling::default(),
            access,
            alarms: HashMap::new(),
            bridges: Outlets::default(),
            dials: Dials::default(),
            bridged: Census::default(),
            targets,
            resolver: Resolver::new(move || handle.wake()),
            tls,
            metrics: Metrics::default(),
            ended: Vec::new(),
            shrinks_below: 0,
            warned: None,
            ended_sessions: Vec::new(),
            marks: Marks::of(config.limits.max_memory, 0),
            stalls: Stalls::default(),
            halves: Halves::default(),
            fresh: Vec::new(),
            farewells: Farewells::default(),
            refusals: Refusals::default(),
            drains_until: None,
            drain_alarm: Alarm::default(),
            is_stopped: false,
            config,
        })
    }

    fn on_acceptable(&mut self, turn: &mut Turn, listener: usize) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((socket, listen)) = self.listeners.get_mut(listener) else { return };
            match socket.accept() {
                Accepted::Connection(stream, peer) => self.admit(turn, stream, peer, listener),
                Accepted::Nobody => return,
                Accepted::TurnedAway(stream) => {
                    if listen.tls {
                        drop(stream);
                    } else {
                        self.farewells.say_in_passing(stream, NO_DESCRIPTOR);
                    }
                    socket.recover();
                    self.turned_away(turn, NO_DESCRIPTOR);
                }
                Accepted::Failed(error) => debug!("accepting failed: {error}"),
            }
        }
        turn.revisit(listener_id(listener));
    }

    /// Counts a connection that was turned away, and says so once a second: a flood of them must not flood the log.
    pub(super) fn turned_away(&mut self, turn: &Turn, reason: &str) {
        self.metrics.turned_away += 1;
        self.refusals.count(reason);
        let is_due = self.warned.is_none_or(|(at, _)| turn.now.saturating_duration_since(at) >= Duration::from_secs(1));
        if is_due {
            let before = self.warned.map_or(0, |(_, count)| count);
            let count = self.metrics.turned_away - before;
            warn!("{count} connections turned away: {reason}");
            self.warned = Some((turn.now, self.metrics.turned_away));
        }
    }

    /// Takes a new connection into the table, if the limits allow it.
    fn admit(&mut self, turn: &mut Turn, stream: TcpStream, peer: SocketAddr, listener: usize) {
        let limits = &self.config.limits;
        let Listen { proxy: is_proxied, tls: is_secure, .. } = self.listeners[listener].1;
        let per_address = self.trusted.limit_of(peer.ip(), is_proxied, limits.max_per_address);
        let refusal = if self.conns.len() >= self.max_connections {
            Some(self.too_many_connections())
        } else if is_proxied && !self.trusted.may_speak_for_others(peer.ip()) {
            Some("only proxies may connect here (--trusted-proxy)")
        } else if !self.census.admit(peer.ip(), per_address) {
            Some("too many connections from one address (--max-per-address)")
        } else {
            None
        };
        if let Some(reason) = refusal {
            debug!("{peer}: turned away: {reason}");
            // It would not be understood where TLS is spoken.
            if !is_secure {
                self.refuse_at_once(turn, stream, reason);
            }
            return self.turned_away(turn, reason);
        }
        if self.conns.len() > ROOMY_SLOTS && self.conns.len() > self.conns.capacity() / 4 {
            self.shrinks_below = self.conns.len() / 2;
        }
        let listener = u16::try_from(listener).expect("the configuration holds fewer listeners");
        let entry = self.conns.vacant_entry();
        let id = u32::try_from(entry.key()).expect("descriptors are fewer");
        let conn = entry.insert(Connection::new(Socket::new(Stream::plain(stream)), peer, listener, limits));
        let interests = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = turn.registry.register(conn.socket.stream(), token(id), interests) {
            warn!("{peer}: not registered: {error}");
            self.census.leave(peer.ip());
            self.conns.remove(id as usize);
            return;
        }
        self.metrics.accepted += 1;
        conn.serial = self.metrics.accepted as u32;
        conn.since = second(turn.now, self.started);
        turn.wheel.set(&mut conn.alarm, id, self.spans.handshake);
        if is_proxied {
            conn.phase = Phase::Preamble;
        } else {
            self.secure(turn, id);
        }
        self.set_marks();
    }

    /// Lets a connection speak TLS from here on, if its listener does.
    pub(super) fn secure(&mut self, turn: &mut Turn, id: ConnId) {
        let conn = &mut self.conns[id as usize];
        if !self.listeners[usize::from(conn.listener)].1.tls {
            return;
        }
        // A listener for TLS does not start without a certificate.
        let Some(tls) = &self.tls else { return };
        match tls.accept(&self.memory) {
            Ok(session) => conn.socket.stream().secure(session),
            Err(error) => {
                let reason = error.to_string();
                self.turned_away(turn, &reason);
                self.end(turn, id, &Ending::Broken(io::Error::other(reason)));
            }
        }
    }

    /// The opening handshake is answered: frames of `session` follow. `entrance` says whether they are heard at once.
    pub(super) fn open(&mut self, turn: &mut Turn, id: ConnId, session: Session, entrance: Entrance) -> SessionId {
        let session = SessionId(u32::try_from(self.sessions.insert(session)).expect("as many as connections"));
        self.outlets.set(session, Some(id));
        self.conns[id as usize].phase = Phase::Open(session);
        self.metrics.handshakes += 1;
        match self.spans.first_message {
            Some(span) if self.sessions[session.0 as usize].must_speak() => {
                turn.wheel.set(&mut self.conns[id as usize].alarm, id, span);
            }
            _ => self.touch(turn, id),
        }
        let refusal = if let Entrance::Refused(reason) = entrance { Some(reason) } else { None };
        if self.enter(turn, session, entrance) {
            self.act(turn, session, Some(id), |session, cx, fx| session.on_open(cx, fx));
        } else if let Some(reason) = refusal {
            self.metrics.tokens_refused += 1;
            self.close(turn, id, CloseCode::Policy, reason.to_owned());
        }
        session
    }

    /// Lets a session react, and writes what it says: to how many receivers, an audience being one.
    pub(super) fn act(
        &mut self,
        turn: &Turn,
        id: SessionId,
        reader: Option<ConnId>,
        react: impl FnOnce(&mut Session, &mut Context<'_>, &mut Actions<'_>),
    ) -> usize {
        let address = match self.outlets.get(id) {
            Some(conn) => Some(self.conns[conn as usize].client()),
            None => self.polling.peer(id),
        };
        let Self { sessions, hub, batch, deeds, scratch, config, buffer, access, .. } = self;
        let permit = access.permit(id);
        let mut cx = Context { id, address, now: turn.now, wall: turn.wall, permit, hub, config, buffer };
        let mut fx = Actions { batch, deeds, scratch: Place::of(scratch) };
        react(&mut sessions[id.0 as usize], &mut cx, &mut fx);
        let receivers = self.batch.lanes().len();
        self.write_batch(reader);
        receivers
    }

    /// Something came from the client: the deadline for silence moves.
    #[inline]
    pub(super) fn touch(&mut self, turn: &mut Turn, id: ConnId) {
        let conn = &mut self.conns[id as usize];
        // Until it has spoken, bytes buy no time.
        if self.spans.first_message.is_some()
            && let Phase::Open(session) = conn.phase
            && self.sessions[session.0 as usize].must_speak()
        {
            return;
        }
        conn.is_pinged = false;
        if let Some(idle) = if conn.end.is_link() { Some(self.spans.link) } else { self.spans.idle } {
            turn.wheel.set(&mut conn.alarm, id, idle);
        } else {
            Wheel::clear(&mut conn.alarm);
        }
    }

    /// A request was answered and the connection stays: the deadline for the next one begins.
    pub(super) fn await_request(&mut self, turn: &mut Turn, id: ConnId) {
        turn.wheel.set(&mut self.conns[id as usize].alarm, id, self.spans.handshake);
    }

    /// Has the connection looked at again in this turn or the next.
    pub(super) fn revisit(&mut self, turn: &mut Turn, id: ConnId) {
        let conn = &mut self.conns[id as usize];
        if !conn.is_revisited && conn.phase != Phase::Ended {
            conn.is_revisited = true;
            turn.revisit(id);
        }
    }

    /// Has a session called once `at` has passed.
    pub(super) fn wake_at(&mut self, turn: &mut Turn, session: SessionId, at: Instant) {
        if self.outlets.get(session).is_some() || self.polling.peer(session).is_some() {
            let alarm = self.alarms.entry(session).or_default();
            let span = at.saturating_duration_since(turn.now);
            turn.wheel.set(alarm, FIRST_SESSION + session.0, span.into());
        }
    }

    /// A session has ended: its slot is free at the end of the turn.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.alarms.remove(&session);
        self.access.forget(session);
        self.ended_sessions.push(session);
    }

    /// Whether everybody is on their way out.
    pub(super) fn is_draining(&self) -> bool {
        self.drains_until.is_some()
    }

    pub(super) fn on_writable(&mut self, turn: &mut Turn, id: ConnId) {
        let conn = &mut self.conns[id as usize];
        if conn.socket.queued() == 0 {
            return;
        }
        if let Err(error) = conn.socket.flush() {
            return self.on_broken(turn, id, error);
        }
        if self.conns[id as usize].socket.weight() <= self.low_mark() && !self.waiting.is_empty() {
            self.resume(turn, Behind::socket(id));
        }
        let conn = &self.conns[id as usize];
        if conn.phase == Phase::Closing && conn.socket.queued() == 0 {
            // Its end may have been seen already, while something was still to be written.
            self.revisit(turn, id);
        }
    }
}

/// The wheel's owners from this one on are sessions that want to be called; connections are below, leases above.
const FIRST_SESSION: u32 = 1 << 30;

/// The wheel's owner that stands for the look at whose messages have not arrived in full.
const HALVES_OWNER: u32 = u32::MAX - 4;

/// The wheel's owner that stands for the look at who takes nothing.
const STALL_OWNER: u32 = u32::MAX - 3;

/// The wheel's owner that stands for the connections that were told why they are not served.
const FAREWELL_OWNER: u32 = u32::MAX - 2;

/// Whose entry came round is told by the number alone.
const _: () = {
    let owners = [DRAIN_OWNER, LINKS_OWNER, FAREWELL_OWNER, STALL_OWNER, HALVES_OWNER];
    let mut at = 1;
    while at < owners.len() {
        assert!(owners[at] < owners[at - 1], "each owner has a number of its own");
        at += 1;
    }
};

/// What a client is told when no descriptor is left for it.
const NO_DESCRIPTOR: &str = "no file descriptor is left (raise `ulimit -n`, or lower --max-connections)";

/// The wheel's owner that stands for the drain; connections are numbered from 0 and fewer.
const DRAIN_OWNER: u32 = u32::MAX;

/// Seconds from the server's start to `now`.
pub(super) fn second(now: Instant, started: Instant) -> u32 {
    u32::try_from(now.saturating_duration_since(started).as_secs()).unwrap_or(u32::MAX)
}

/// A listener as the loop's revisit list knows it.
fn listener_id(listener: usize) -> u32 {
    u32::try_from(FIRST_LISTENER + listener).expect("few listeners")
}

impl Handler for Exchange {
    fn on_ready(&mut self, turn: &mut Turn, ready: Readiness) {
        match ready.token {
            token if Controls::owns(token) => {
                while let Some(order) = self.controls.next_order() {
                    match order {
                        Order::Stop => self.drain(turn),
                        Order::Reload => self.reload(turn),
                    }
                }
                self.on_answers(turn);
                self.on_announcements(turn);
            }
            Token(number) if number >= FIRST_LISTENER => self.on_acceptable(turn, number - FIRST_LISTENER),
            Token(number) => {
                let id = number as ConnId;
                match self.conns.get(number).map(|conn| conn.phase) {
                    None | Some(Phase::Ended) => return,
                    Some(Phase::Dialing(session)) => {
                        self.on_attempt(turn, id, session);
                        return self.settle(turn);
                    }
                    Some(Phase::Linking) if !self.on_link_ready(turn, id) => return self.settle(turn),
                    Some(_) => {}
                }
                if ready.is_writable {
                    self.on_writable(turn, id);
                }
                if ready.has_ended && self.leaving.must_wait() {
                    self.revisit(turn, id);
                } else if ready.is_readable || ready.has_ended {
                    self.on_readable(turn, id, ready.has_ended);
                }
            }
        }
        self.settle(turn);
    }

    fn on_revisit(&mut self, turn: &mut Turn, id: u32) {
        if id == SPREAD {
            self.spread(turn);
            return self.settle(turn);
        }
        if id == REST {
            return self.go_on_with_rest(turn);
        }
        if id as usize >= FIRST_LISTENER {
            return self.on_acceptable(turn, id as usize - FIRST_LISTENER);
        }
        let Some(conn) = self.conns.get_mut(id as usize) else { return };
        if self.leaving.is_full() {
            return turn.revisit(id);
        }
        conn.is_revisited = false;
        self.on_readable(turn, id, true);
        self.settle(turn);
    }

    fn on_deadline(&mut self, turn: &mut Turn, fired: Fired) {
        if fired.owner == STALL_OWNER {
            return self.on_stall_sweep(turn, fired);
        }
        if fired.owner == HALVES_OWNER {
            return self.on_halves_sweep(turn, fired);
        }
        if fired.owner == FAREWELL_OWNER {
            return self.farewells.on_deadline(turn, fired);
        }
        if fired.owner == LINKS_OWNER {
            self.on_links_alarm(turn, fired);
            return self.settle(turn);
        }
        if fired.owner >= FIRST_DIAL && fired.owner != DRAIN_OWNER {
            self.on_dial_deadline(turn, fired);
            return self.settle(turn);
        }
        if fired.owner == DRAIN_OWNER {
            self.is_stopped |= turn.wheel.has_passed(&mut self.drain_alarm, fired);
            return;
        }
        if fired.owner >= FIRST_LEASE {
            return self.on_lease_deadline(turn, fired);
        }
        if fired.owner >= FIRST_SESSION {
            let session = SessionId(fired.owner - FIRST_SESSION);
            let Some(alarm) = self.alarms.get_mut(&session) else { return };
            if turn.wheel.has_passed(alarm, fired) {
                if self.is_kept_waiting(session) {
                    self.sessions[session.0 as usize].excuse(turn.now);
                }
                self.act(turn, session, None, |session, cx, fx| session.on_timeout(cx, fx));
                self.settle(turn);
            }
            return;
        }
        let Some(conn) = self.conns.get_mut(fired.owner as usize) else { return };
        if turn.wheel.has_passed(&mut conn.alarm, fired) {
            self.on_passed_deadline(turn, fired.owner);
            self.settle(turn);
        }
    }

    fn on_turn_end(&mut self, turn: &mut Turn) -> bool {
        self.spread.end_turn(turn);
        self.end_turn_of_leaving(turn);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        if !self.ended.is_empty() || !self.ended_sessions.is_empty() {
            self.free_slots();
        }
        if let Some(tls) = &self.tls {
            let report = tls.end_turn();
            self.metrics.tls_handshakes += u64::from(report.completed);
            self.metrics.tls_failures += u64::from(report.failed);
        }
        let is_drained = self.drains_until.is_some() && self.conns.is_empty();
        !(self.is_stopped || is_drained)
    }
}
