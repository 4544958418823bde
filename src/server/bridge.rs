//! TCP connections behind WebSockets: dialled for a session, and then as much a connection as any other. Layer 3.
//!
//! A dial goes through the operator's policy twice: the name may be looked up only if some rule could allow it, and only
//! addresses that a rule allows are tried, as addresses, so that what was checked is what is connected to. Our own
//! listeners are not among them unless the operator gave that target a name: who came out there would be this machine, to
//! whom more is open and less is counted. While it lasts, the session's own connection is held: what its client sends waits.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};

use log::{debug, info};
use mio::Interest;
use slab::Slab;

use super::batch::{Actions, Place};
use super::conn::{Behind, ConnId, Connection, End, Ending, Phase};
use super::exchange::{Exchange, FIRST_LISTENER, second};
use super::links::LINK_TICKET;
use super::relay::Progress;
use crate::frame::message::{HEADROOM, Kind, Message};
use crate::hub::SessionId;
use crate::net::address::leads_to;
use crate::net::listener::counted;
use crate::net::reactor::{Turn, token};
use crate::net::scratch::SCRATCH_BYTES;
use crate::net::socket::{Received, Socket};
use crate::net::stream::Stream;
use crate::net::targets::Host;
use crate::net::tcp::TcpStream;
use crate::net::timer::{Alarm, Fired, Ticks};
use crate::protocol::{BridgeEvent, Context, DialError, Protocol, Session};

/// The wheel's owners from this one on are dials; connections are below.
pub(super) const FIRST_DIAL: u32 = FIRST_LISTENER as u32;

/// All that is being dialled.
#[derive(Debug, Default)]
pub(super) struct Dials {
    dials: Slab<Dial>,
    by_session: HashMap<SessionId, usize>,
    /// Counts lookups, so that an answer that comes too late finds nobody.
    tickets: u64,
}

impl Dials {
    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.dials.len()
    }
}

/// A connection on its way to a session.
#[derive(Debug)]
struct Dial {
    session: SessionId,
    host: String,
    port: u16,
    /// The lookup that is awaited.
    ticket: u64,
    /// Whether the operator named this very target: then its addresses are not judged.
    is_configured: bool,
    /// Addresses that may be tried, and have not been.
    candidates: VecDeque<SocketAddr>,
    /// The attempt under way.
    attempt: Option<ConnId>,
    /// What the last attempt came to.
    outcome: DialError,
    alarm: Alarm,
}

impl Exchange {
    /// Dials `host` for a session, in place of what it has dialled before.
    pub(super) fn dial(&mut self, turn: &mut Turn, session: SessionId, host: String, port: u16) {
        self.hang_up(turn, session);
        let Some(own) = self.outlets.get(session) else { return };
        if let Err(error) = self.start_dial(turn, session, own, host, port) {
            // A client of /tcp is closed for it, which is counted then.
            let stays = matches!(self.sessions[session.0 as usize], Session::Ws2s(_));
            if let DialError::TooMany(option) = error
                && stays
            {
                self.refusals.count(option);
            }
            self.report(turn, session, BridgeEvent::Failed(error));
        }
    }

    fn start_dial(
        &mut self,
        turn: &mut Turn,
        session: SessionId,
        own: ConnId,
        host: String,
        port: u16,
    ) -> Result<(), DialError> {
        let limits = &self.config.limits;
        let peer = self.conns[own as usize].client();
        let is_configured = self.config.bridge_names.iter().any(|(_, name, number)| *name == host && *number == port);
        let names = &self.config.bridge_names;
        let names = names.iter().filter(|(_, name, number)| *name == host && *number == port);
        if !self.access.permit(session).may_dial(&host, port, names.map(|(name, ..)| name.as_str())) {
            return Err(DialError::NotPermitted);
        }
        if !is_configured && !self.targets.may_match(&host, port) {
            return Err(DialError::Forbidden);
        }
        let address = match Host::read(&host) {
            Some(Host::Address(address)) => Some(address),
            Some(Host::Name(_)) => None,
            None => return Err(DialError::NoSuchName),
        };
        let max = limits.max_bridges;
        if max > 0 && self.bridges.count() + self.dials.len() >= max {
            return Err(DialError::TooMany("--max-bridges"));
        }
        if self.conns.len() >= self.max_connections {
            return Err(DialError::TooMany(self.connections_bound()));
        }
        if !self.bridged.admit(peer.ip(), limits.max_bridges_per_address) {
            return Err(DialError::TooMany("--max-bridges-per-address"));
        }
        self.dials.tickets += 1;
        let ticket = self.dials.tickets;
        debug!("{peer}: dials {host:?} port {port}");
        let dial = Dial {
            session,
            host,
            port,
            ticket,
            is_configured,
            candidates: VecDeque::new(),
            attempt: None,
            outcome: DialError::NoSuchName,
            alarm: Alarm::default(),
        };
        let key = self.dials.dials.insert(dial);
        self.dials.by_session.insert(session, key);
        self.conns[own as usize].is_held = true;
        let dial = &mut self.dials.dials[key];
        turn.wheel.set(&mut dial.alarm, FIRST_DIAL + key as u32, Ticks::from(limits.dial_timeout));
        match address {
            Some(address) => self.on_addresses(turn, key, Ok(vec![address])),
            None => {
                if self.resolver.lookup(counted(peer.ip()), ticket, &dial.host, port).is_err() {
                    self.fail(turn, key, DialError::TooMany("name lookups under way"));
                }
            }
        }
        Ok(())
    }

    /// Lookups have been answered.
    pub(super) fn on_answers(&mut self, turn: &mut Turn) {
        while let Some((ticket, addresses)) = self.resolver.next_answer() {
            if ticket >= LINK_TICKET {
                self.on_link_addresses(turn, ticket, &addresses.unwrap_or_default());
                continue;
            }
            let key = self.dials.dials.iter().find(|(_, dial)| dial.ticket == ticket).map(|(key, _)| key);
            if let Some(key) = key {
                self.on_addresses(turn, key, addresses);
            }
        }
    }

    /// The addresses of a target are known: those that the policy allows are tried, in their order.
    fn on_addresses(&mut self, turn: &mut Turn, key: usize, addresses: io::Result<Vec<IpAddr>>) {
        let dial = &mut self.dials.dials[key];
        let addresses = addresses.unwrap_or_default();
        let targets = &self.targets;
        let ours = self.listeners.iter().map(|(listener, _)| listener.address());
        let ours: Vec<IpAddr> = ours.filter(|ours| ours.port() == dial.port).map(|ours| ours.ip()).collect();
        let is_allowed = |address: &IpAddr| dial.is_configured || targets.allows(&dial.host, *address, dial.port);
        let is_ours = |address: &IpAddr| !dial.is_configured && ours.iter().any(|ours| leads_to(*address, *ours));
        let (refused, candidates): (Vec<IpAddr>, Vec<IpAddr>) =
            addresses.iter().filter(|address| is_allowed(address)).partition(|address| is_ours(address));
        if candidates.is_empty() && !addresses.is_empty() {
            dial.outcome = if refused.is_empty() { DialError::Forbidden } else { DialError::Ourselves };
        }
        dial.candidates = candidates.into_iter().map(|ip| SocketAddr::new(ip, dial.port)).collect();
        self.try_next(turn, key);
    }

    /// Begins the next attempt, or gives up.
    fn try_next(&mut self, turn: &mut Turn, key: usize) {
        loop {
            let dial = &mut self.dials.dials[key];
            dial.attempt = None;
            let Some(address) = dial.candidates.pop_front() else {
                let outcome = dial.outcome;
                return self.fail(turn, key, outcome);
            };
            match self.attempt(turn, key, address) {
                Ok(id) => {
                    self.dials.dials[key].attempt = Some(id);
                    return;
                }
                Err(error) => self.dials.dials[key].outcome = error,
            }
        }
    }

    fn attempt(&mut self, turn: &mut Turn, key: usize, address: SocketAddr) -> Result<ConnId, DialError> {
        let session = self.dials.dials[key].session;
        let stream = TcpStream::connect(address).map_err(|error| outcome(&error))?;
        let entry = self.conns.vacant_entry();
        let id = u32::try_from(entry.key()).expect("descriptors are fewer");
        let socket = Socket::new(Stream::plain(stream));
        let conn = entry.insert(Connection::new(socket, address, 0, &self.config.limits));
        (conn.phase, conn.end) = (Phase::Dialing(session), End::Target);
        conn.since = second(turn.now, self.started);
        let interests = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = turn.registry.register(conn.socket.stream(), token(id), interests) {
            self.conns.remove(id as usize);
            return Err(outcome(&error));
        }
        self.set_marks();
        Ok(id)
    }

    /// An attempt is ready for writing, or has failed.
    pub(super) fn on_attempt(&mut self, turn: &mut Turn, id: ConnId, session: SessionId) {
        let Some(&key) = self.dials.by_session.get(&session) else { return self.remove(turn, id) };
        let connected = self.conns[id as usize].socket.stream().connected(self.config.limits.max_queue);
        match connected {
            Ok(false) => {}
            Ok(true) => {
                self.dials.by_session.remove(&session);
                let dial = self.dials.dials.remove(key);
                let idle = self.config.limits.bridge_idle;
                let conn = &mut self.conns[id as usize];
                conn.phase = Phase::Bridge(session);
                if !idle.is_zero() {
                    turn.wheel.set(&mut conn.alarm, id, idle.into());
                }
                self.bridges.set(session, Some(id));
                if let Some(own) = self.outlets.get(session) {
                    let (peer, at) = (self.conns[own as usize].client(), self.conns[id as usize].peer());
                    info!("{peer}: reached {:?} at {at}", dial.host);
                }
                self.report(turn, session, BridgeEvent::Open);
                // What the target said first may have come with the same readiness.
                self.revisit(turn, id);
            }
            Err(error) => {
                self.remove(turn, id);
                self.dials.dials[key].outcome = outcome(&error);
                self.try_next(turn, key);
            }
        }
    }

    /// Ends a dial that came to nothing.
    fn fail(&mut self, turn: &mut Turn, key: usize, error: DialError) {
        let dial = self.dials.dials.remove(key);
        self.dials.by_session.remove(&dial.session);
        self.resolver.forget(dial.ticket);
        if let Some(id) = dial.attempt {
            self.remove(turn, id);
        }
        if let Some(own) = self.outlets.get(dial.session) {
            let peer = self.conns[own as usize].client();
            self.bridged.leave(peer.ip());
            info!("{peer}: {:?} port {} not reached: {error:?}", dial.host, dial.port);
        }
        self.report(turn, dial.session, BridgeEvent::Failed(error));
    }

    /// A dial took too long.
    pub(super) fn on_dial_deadline(&mut self, turn: &mut Turn, fired: Fired) {
        let key = (fired.owner - FIRST_DIAL) as usize;
        let Some(dial) = self.dials.dials.get_mut(key) else { return };
        if turn.wheel.has_passed(&mut dial.alarm, fired) {
            self.fail(turn, key, DialError::TimedOut);
        }
    }

    /// Tells a session what became of its connection, and reads on from its client.
    fn report(&mut self, turn: &mut Turn, session: SessionId, event: BridgeEvent<'_>) {
        let Some(own) = self.outlets.get(session) else { return };
        self.act(turn, session, Some(own), |session, cx, fx| session.on_bridge(cx, event, fx));
        let is_dialling = self.dials.by_session.contains_key(&session);
        let conn = &mut self.conns[own as usize];
        if conn.is_held && !is_dialling {
            conn.is_held = false;
            self.revisit(turn, own);
        }
    }

    /// A bridged socket is readable: one receive, and everything it causes.
    pub(super) fn on_bridge_readable(&mut self, turn: &mut Turn, id: ConnId, session: SessionId) -> Progress {
        let Some(own) = self.outlets.get(session) else {
            self.remove(turn, id);
            return Progress::Stop;
        };
        // Room in front for the frame's header.
        let asked = self.read_bytes().min(SCRATCH_BYTES - HEADROOM);
        let conn = &mut self.conns[id as usize];
        let received = match conn.socket.recv(&mut self.scratch[HEADROOM..HEADROOM + asked]) {
            Received::Bytes(bytes) => bytes,
            Received::Nothing | Received::Later => return Progress::Stop,
            Received::End => {
                self.end_bridge(turn, id, session);
                self.report(turn, session, BridgeEvent::Ended);
                return Progress::Stop;
            }
            Received::Failed(error) => {
                self.bridge_failed(turn, id, session, &error);
                return Progress::Stop;
            }
        };
        self.metrics.on_read(received);
        let idle = self.config.limits.bridge_idle;
        if !idle.is_zero() {
            turn.wheel.set(&mut conn.alarm, id, idle.into());
        }
        let address = Some(self.conns[own as usize].client());
        let Self { sessions, hub, batch, deeds, scratch, config, buffer, access, .. } = self;
        let permit = access.permit(session);
        let place = Place::of(scratch);
        let message = Message::in_place(Kind::Binary, &mut scratch[..HEADROOM + received], HEADROOM);
        let mut cx = Context { id: session, address, now: turn.now, wall: turn.wall, permit, hub, config, buffer };
        let mut fx = Actions { batch, deeds, scratch: place };
        sessions[session.0 as usize].on_bridge(&mut cx, BridgeEvent::Received(message), &mut fx);
        self.write_batch(Some(id));
        self.settle(turn);
        if received < asked { Progress::Drained(received) } else { Progress::More(received) }
    }

    /// A bridged connection broke.
    pub(super) fn bridge_failed(&mut self, turn: &mut Turn, id: ConnId, session: SessionId, error: &io::Error) {
        self.release(turn, session);
        self.remove(turn, id);
        self.report(turn, session, BridgeEvent::Broken(error.kind()));
    }

    /// Nothing came from a target for too long. If something went there meanwhile, another span begins.
    pub(super) fn on_bridge_idle(&mut self, turn: &mut Turn, id: ConnId, session: SessionId) {
        let conn = &mut self.conns[id as usize];
        if std::mem::take(&mut conn.was_written) {
            return turn.wheel.set(&mut conn.alarm, id, self.config.limits.bridge_idle.into());
        }
        info!("{}: {}", self.conns[id as usize].peer(), Ending::TimedOut("an idle bridge (--bridge-idle)"));
        self.end_bridge(turn, id, session);
        self.report(turn, session, BridgeEvent::Broken(io::ErrorKind::TimedOut));
    }

    /// The session wants no more of what it dialled, or is gone.
    pub(super) fn hang_up(&mut self, turn: &mut Turn, session: SessionId) {
        if let Some(key) = self.dials.by_session.remove(&session) {
            let dial = self.dials.dials.remove(key);
            self.resolver.forget(dial.ticket);
            if let Some(id) = dial.attempt {
                self.remove(turn, id);
            }
            if let Some(own) = self.outlets.get(session) {
                self.bridged.leave(self.conns[own as usize].client().ip());
                self.conns[own as usize].is_held = false;
                self.revisit(turn, own);
            }
        }
        if let Some(id) = self.bridges.get(session) {
            self.end_bridge(turn, id, session);
        }
    }

    /// Takes a bridge from its session: what waits for the target goes out, then our end of the stream.
    fn end_bridge(&mut self, turn: &mut Turn, id: ConnId, session: SessionId) {
        self.release(turn, session);
        self.finish(turn, id, &[]);
    }

    /// The session has no bridge any more, and whoever waited for it to take bytes waits no longer.
    fn release(&mut self, turn: &mut Turn, session: SessionId) {
        let Some(id) = self.bridges.get(session) else { return };
        self.bridges.set(session, None);
        self.resume(turn, Behind::socket(id));
        if let Some(own) = self.outlets.get(session) {
            self.bridged.leave(self.conns[own as usize].client().ip());
        }
    }
}

/// What a failed attempt comes to.
fn outcome(error: &io::Error) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused,
        io::ErrorKind::TimedOut => DialError::TimedOut,
        kind => DialError::Unreachable(kind),
    }
}
