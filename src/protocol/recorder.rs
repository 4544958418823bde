//! Effects that are written down instead of carried out: the other end of every protocol test and fuzzer. Layer 2.
//!
//! A [`Recorder`] notes [`Effect`]s. A [`World`] is what a protocol lives in, without a server: a hub, a configuration,
//! a clock that stands still, and sessions that are opened, spoken to and closed by hand. Each of its calls returns
//! what happened, so that a test reads like a dialogue:
//!
//! ```
//! use jackfield::protocol::recorder::{World, sent};
//! use jackfield::protocol::webshare::Webshare;
//!
//! let mut world = World::new();
//! let alice = world.open(Webshare::new(false));
//! assert_eq!(
//!     world.text(alice, r#"{"command":"unpair","echo":7}"#),
//!     [sent(alice, r#"{"ok":false,"code":"NOT_PAIRED","body":null,"command":"unpair","echo":7}"#)],
//! );
//! ```
//!
//! It stands in for the targets of dialled connections too: [`World::bridge`] says what happens to one, and what a client
//! says while its session waits for that is held, as a server holds it.
//!
//! The world also holds protocols to their contract and panics where one breaks it: nothing is done to a session that
//! is gone, nothing is written to one after it was closed, and nothing is written to a connection that is not open.

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::CloseCode;

use super::{Audience, BridgeEvent, Context, Effects, Protocol};
use crate::access::{Gate, Grant, Permit};
use crate::config::Config;
use crate::frame::message::{Framed, HEADROOM, Kind, Message};
use crate::hub::devices::Devices;
use crate::hub::ids::KeySource;
use crate::hub::pairs::Pairs;
use crate::hub::peers::Peers;
use crate::hub::{Hub, SessionId};

/// One thing that a protocol did, in its own words.
#[derive(Clone, Eq, PartialEq)]
pub enum Effect {
    /// [`Effects::send`], with its parts joined.
    Sent {
        /// The receiver.
        to: SessionId,
        /// Text or binary.
        kind: Kind,
        /// The message.
        payload: Vec<u8>,
    },
    /// [`Effects::relay`].
    Relayed {
        /// The receiver.
        to: SessionId,
        /// Text or binary.
        kind: Kind,
        /// The message.
        payload: Vec<u8>,
    },
    /// [`Effects::broadcast`].
    Broadcast {
        /// The audience's version.
        version: u64,
        /// The audience's members.
        members: Vec<SessionId>,
        /// The member that is left out.
        except: Option<SessionId>,
        /// Text or binary.
        kind: Kind,
        /// The message.
        payload: Vec<u8>,
    },
    /// [`Effects::dial`].
    Dialled {
        /// For whom.
        who: SessionId,
        /// As the client wrote it.
        host: String,
        /// The port.
        port: u16,
    },
    /// [`Effects::bridge`] or [`Effects::bridge_bytes`].
    Bridged {
        /// Whose connection.
        who: SessionId,
        /// What goes to the target.
        bytes: Vec<u8>,
    },
    /// [`Effects::hang_up`].
    HungUp {
        /// Whose connection.
        who: SessionId,
    },
    /// [`Effects::ping`].
    Pinged {
        /// Who is asked.
        who: SessionId,
    },
    /// [`Effects::wake_at`].
    Woken {
        /// Who is called.
        who: SessionId,
        /// When.
        at: Instant,
    },
    /// [`Effects::hand_over`].
    HandedOver {
        /// Whose connection it was.
        from: SessionId,
        /// Whose it is now.
        to: SessionId,
    },
    /// [`Effects::grant`].
    Granted {
        /// Who may do more now, or other things.
        who: SessionId,
        /// What.
        grant: Arc<Grant>,
    },
    /// [`Effects::close`].
    Closed {
        /// The session that ends.
        who: SessionId,
        /// RFC 6455 §7.4.
        code: CloseCode,
        /// In full, longer than a close frame may hold perhaps.
        reason: String,
    },
}

/// The effect of sending a text.
#[must_use]
pub fn sent(to: SessionId, text: &str) -> Effect {
    Effect::Sent { to, kind: Kind::Text, payload: text.into() }
}

/// The effect of relaying a message.
#[must_use]
pub fn relayed(to: SessionId, kind: Kind, payload: &[u8]) -> Effect {
    Effect::Relayed { to, kind, payload: payload.into() }
}

impl Effect {
    /// The message, if there is one.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        match self {
            Self::Sent { payload, .. } | Self::Relayed { payload, .. } | Self::Broadcast { payload, .. } => {
                Some(payload)
            }
            _ => None,
        }
    }

    /// Whom it reaches.
    #[must_use]
    pub fn receivers(&self) -> Vec<SessionId> {
        match self {
            Self::Sent { to, .. } | Self::Relayed { to, .. } | Self::HandedOver { to, .. } => vec![*to],
            Self::Closed { who, .. } | Self::Pinged { who } | Self::Woken { who, .. } | Self::Granted { who, .. } => {
                vec![*who]
            }
            // What they reach is no session.
            Self::Dialled { .. } | Self::Bridged { .. } | Self::HungUp { .. } => Vec::new(),
            Self::Broadcast { members, except, .. } => {
                members.iter().filter(|member| Some(**member) != *except).copied().collect()
            }
        }
    }

    /// The session whose dialled connection it is about.
    #[must_use]
    pub fn caller(&self) -> Option<SessionId> {
        match self {
            Self::Dialled { who, .. } | Self::Bridged { who, .. } | Self::HungUp { who } => Some(*who),
            _ => None,
        }
    }
}

/// Payloads as text, which is what a failed comparison of dialogues should show.
impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |payload: &[u8]| payload.escape_ascii().to_string().replace("\\\"", "\"");
        match self {
            Self::Sent { to, kind, payload } => write!(f, "send {kind:?} to {}: {}", to.0, words(payload)),
            Self::Relayed { to, kind, payload } => write!(f, "relay {kind:?} to {}: {}", to.0, words(payload)),
            Self::Broadcast { version, members, except, kind, payload } => {
                write!(
                    f,
                    "broadcast {kind:?} to version {version} of {members:?} except {except:?}: {}",
                    words(payload)
                )
            }
            Self::Dialled { who, host, port } => write!(f, "{} dials {host}:{port}", who.0),
            Self::Bridged { who, bytes } => write!(f, "{} bridges {}", who.0, words(bytes)),
            Self::HungUp { who } => write!(f, "{} hangs up", who.0),
            Self::Pinged { who } => write!(f, "ping {}", who.0),
            Self::Woken { who, .. } => write!(f, "wake {}", who.0),
            Self::HandedOver { from, to } => write!(f, "hand the connection of {} to {}", from.0, to.0),
            Self::Granted { who, grant } => write!(f, "grant {}: {:?}", who.0, grant.identity()),
            Self::Closed { who, code, reason } => write!(f, "close {} with {code}: {reason}", who.0),
        }
    }
}

/// Writes effects down in the order of the calls.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What was done.
    pub effects: Vec<Effect>,
}

impl Effects for Recorder {
    fn relay(&mut self, to: SessionId, message: Message<'_>) {
        let (kind, payload) = framed(message);
        self.effects.push(Effect::Relayed { to, kind, payload });
    }

    fn broadcast(&mut self, to: Audience<'_>, message: Message<'_>) {
        let (kind, payload) = framed(message);
        let members = to.members.to_vec();
        self.effects.push(Effect::Broadcast { version: to.version, members, except: to.except, kind, payload });
    }

    fn send(&mut self, to: SessionId, kind: Kind, parts: &[&[u8]]) {
        self.effects.push(Effect::Sent { to, kind, payload: parts.concat() });
    }

    fn send_all(&mut self, to: Audience<'_>, kind: Kind, parts: &[&[u8]]) {
        let (members, payload) = (to.members.to_vec(), parts.concat());
        self.effects.push(Effect::Broadcast { version: to.version, members, except: to.except, kind, payload });
    }

    fn relay_parts(&mut self, to: SessionId, kind: Kind, parts: &[&[u8]]) {
        self.effects.push(Effect::Relayed { to, kind, payload: parts.concat() });
    }

    fn recycle(&mut self, _: Message<'_>) {}

    fn dial(&mut self, who: SessionId, host: &str, port: u16) {
        self.effects.push(Effect::Dialled { who, host: host.to_owned(), port });
    }

    fn bridge(&mut self, who: SessionId, message: Message<'_>) {
        self.bridge_bytes(who, message.payload());
    }

    fn bridge_bytes(&mut self, who: SessionId, bytes: &[u8]) {
        self.effects.push(Effect::Bridged { who, bytes: bytes.to_vec() });
    }

    fn hang_up(&mut self, who: SessionId) {
        self.effects.push(Effect::HungUp { who });
    }

    fn ping(&mut self, who: SessionId) {
        self.effects.push(Effect::Pinged { who });
    }

    fn wake_at(&mut self, who: SessionId, at: Instant) {
        self.effects.push(Effect::Woken { who, at });
    }

    fn hand_over(&mut self, from: SessionId, to: SessionId) {
        self.effects.push(Effect::HandedOver { from, to });
    }

    fn grant(&mut self, who: SessionId, grant: Arc<Grant>) {
        self.effects.push(Effect::Granted { who, grant });
    }

    /// Counting is the server's affair.
    fn refuse_token(&mut self) {}

    fn close(&mut self, who: SessionId, code: CloseCode, reason: &str) {
        self.effects.push(Effect::Closed { who, code, reason: reason.to_owned() });
    }
}

/// Gives a message its header, as every relayed one gets, and takes it apart again.
fn framed(message: Message<'_>) -> (Kind, Vec<u8>) {
    let kind = message.kind();
    let payload = message.payload().to_vec();
    let frame = message.reframe();
    let mut bytes = match &frame {
        Framed::InPlace(bytes) => bytes,
        Framed::Owned(bytes, range) => &bytes[range.clone()],
    };
    let (header, len) = FrameHeader::parse(&mut std::io::Cursor::new(&mut bytes))
        .ok()
        .flatten()
        .expect("a reframed message starts with a whole header");
    assert_eq!((header.opcode, len, header.is_final), (kind.opcode(), payload.len() as u64, true));
    assert!(bytes.ends_with(&payload));
    (kind, payload)
}

/// A message in a buffer of its own.
fn message(kind: Kind, payload: &[u8]) -> Message<'static> {
    let bytes = [&[0; HEADROOM], payload].concat();
    let end = bytes.len();
    Message::owned(kind, bytes, HEADROOM..end)
}

/// Sessions of one protocol, or of several in one enum, and everything they see of a server.
///
/// Session ids count up from 0 and are not reused.
#[derive(Debug)]
pub struct World<P> {
    /// Starts empty, with keys that are the same in every run.
    pub hub: Hub,
    /// Starts with the defaults.
    pub config: Config,
    /// Only [`advance`](World::advance) moves it.
    pub now: Instant,
    /// Starts at 2013-05-07 12:34:56.123456 UTC and moves with `now`.
    pub wall: SystemTime,
    /// Starts without one: everything is permitted.
    pub gate: Option<Gate>,
    /// What sessions that are opened from now on were granted before.
    pub granted: Option<Arc<Grant>>,
    seats: Vec<Seat<P>>,
}

#[derive(Debug)]
struct Seat<P> {
    session: P,
    address: Option<SocketAddr>,
    is_open: bool,
    line: Line,
    /// What the client said while its session dialled.
    held: VecDeque<(Kind, Vec<u8>)>,
    /// When it wants to be called.
    alarm: Option<Instant>,
    grant: Option<Arc<Grant>>,
}

/// The connection that a session dialled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line {
    /// There is none.
    Idle,
    /// Nobody knows yet how that went.
    Dialling,
    /// It is open.
    Open,
}

impl<P: Protocol> Default for World<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Protocol> World<P> {
    /// A world with nobody in it.
    #[must_use]
    pub fn new() -> Self {
        let devices = Devices::new(KeySource::seeded(1));
        let peers = Peers::new(KeySource::seeded(2));
        let hub = Hub { pairs: Pairs::new(KeySource::seeded(0)), devices, peers, ..Hub::default() };
        let wall = SystemTime::UNIX_EPOCH + Duration::from_micros(1_367_930_096_123_456);
        let config = Config::default();
        Self { hub, config, now: Instant::now(), wall, gate: None, granted: None, seats: Vec::new() }
    }

    /// What the sessions are related by.
    pub fn hub(&mut self) -> &mut Hub {
        &mut self.hub
    }

    /// Lets time pass, without calling anybody.
    pub fn advance(&mut self, time: Duration) {
        self.now += time;
        self.wall += time;
    }

    /// Lets time pass, calling sessions at the instants that they have asked for, in their order.
    pub fn sleep(&mut self, time: Duration) -> Vec<Effect> {
        let (until, mut effects) = (self.now + time, Vec::new());
        loop {
            let next = self.seats.iter().enumerate().filter_map(|(id, seat)| Some((seat.alarm?, id))).min();
            let Some((at, id)) = next.filter(|(at, _)| *at <= until) else { break };
            self.advance(at.saturating_duration_since(self.now));
            self.seats[id].alarm = None;
            effects.extend(self.call(SessionId(id as u32), |session, cx, fx| session.on_timeout(cx, fx)));
        }
        self.advance(until.saturating_duration_since(self.now));
        effects
    }

    /// A client gives a sign of life that is no message.
    ///
    /// # Panics
    /// When the session is not open.
    pub fn alive(&mut self, who: SessionId) -> Vec<Effect> {
        assert!(self.is_open(who), "session {} is not open", who.0);
        self.call(who, |session, cx, fx| session.on_alive(cx, fx))
    }

    /// A client of this machine connects, from the port of its id. Its protocol must say nothing about that to anybody.
    ///
    /// # Panics
    /// When it does.
    pub fn open(&mut self, session: P) -> SessionId {
        let port = u16::try_from(self.seats.len()).expect("nobody opens that many by hand");
        let (id, effects) = self.open_from(Some((Ipv4Addr::LOCALHOST, port).into()), session);
        assert_eq!(effects, [], "opening had effects");
        id
    }

    /// A client connects from `address`. Returns what that led to as well.
    pub fn open_from(&mut self, address: Option<SocketAddr>, session: P) -> (SessionId, Vec<Effect>) {
        let id = SessionId(u32::try_from(self.seats.len()).expect("nobody opens that many by hand"));
        self.seats.push(Seat {
            session,
            address,
            is_open: true,
            line: Line::Idle,
            held: VecDeque::new(),
            alarm: None,
            grant: self.granted.clone(),
        });
        (id, self.call(id, |session, cx, fx| session.on_open(cx, fx)))
    }

    /// A client says a text.
    pub fn text(&mut self, who: SessionId, text: &str) -> Vec<Effect> {
        self.message(who, Kind::Text, text.as_bytes())
    }

    /// A client says bytes.
    pub fn binary(&mut self, who: SessionId, bytes: &[u8]) -> Vec<Effect> {
        self.message(who, Kind::Binary, bytes)
    }

    /// A client says something. While its session dials it is held, and nothing happens.
    ///
    /// # Panics
    /// When the session is not open.
    pub fn message(&mut self, who: SessionId, kind: Kind, payload: &[u8]) -> Vec<Effect> {
        assert!(self.is_open(who), "session {} is not open", who.0);
        if self.line(who) == Line::Dialling {
            self.seats[who.0 as usize].held.push_back((kind, payload.to_vec()));
            return Vec::new();
        }
        self.call(who, |session, cx, fx| session.on_message(cx, message(kind, payload), fx))
    }

    /// Something happens to the connection that a session dialled. What was held for the outcome follows it.
    ///
    /// # Panics
    /// When that cannot happen to it, or not to the session.
    pub fn bridge(&mut self, who: SessionId, event: BridgeEvent<'_>) -> Vec<Effect> {
        assert!(self.is_open(who), "session {} is not open", who.0);
        let line = match (self.line(who), &event) {
            (Line::Dialling, BridgeEvent::Open) => Line::Open,
            (Line::Dialling, BridgeEvent::Failed(_)) => Line::Idle,
            (Line::Open, BridgeEvent::Received(message)) if !message.payload().is_empty() => Line::Open,
            (Line::Open, BridgeEvent::Ended | BridgeEvent::Broken(_)) => Line::Idle,
            (line, event) => panic!("{event:?} cannot happen to session {}, whose line is {line:?}", who.0),
        };
        self.seats[who.0 as usize].line = line;
        let mut effects = self.call(who, |session, cx, fx| session.on_bridge(cx, event, fx));
        while self.is_open(who)
            && self.line(who) != Line::Dialling
            && let Some((kind, payload)) = self.seats[who.0 as usize].held.pop_front()
        {
            effects.extend(self.message(who, kind, &payload));
        }
        effects
    }

    /// Bytes come from the target that a session dialled.
    ///
    /// # Panics
    /// When it is not open.
    pub fn receive(&mut self, who: SessionId, bytes: &[u8]) -> Vec<Effect> {
        self.bridge(who, BridgeEvent::Received(message(Kind::Binary, bytes)))
    }

    /// The connection that a session dialled.
    ///
    /// # Panics
    /// When there was no such session.
    #[must_use]
    pub fn line(&self, who: SessionId) -> Line {
        self.seats[who.0 as usize].line
    }

    /// A client goes away.
    ///
    /// # Panics
    /// When the session is not open.
    pub fn close(&mut self, who: SessionId) -> Vec<Effect> {
        assert!(self.is_open(who), "session {} is not open", who.0);
        self.end(who)
    }

    /// Whether a session is open.
    #[must_use]
    pub fn is_open(&self, who: SessionId) -> bool {
        self.seats.get(who.0 as usize).is_some_and(|seat| seat.is_open)
    }

    /// A session, open or not.
    ///
    /// # Panics
    /// When there was no such session.
    pub fn session(&mut self, who: SessionId) -> &mut P {
        &mut self.seats[who.0 as usize].session
    }

    /// The open sessions, oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        (0..self.seats.len() as u32).map(SessionId).filter(|&id| self.is_open(id)).collect()
    }

    fn end(&mut self, who: SessionId) -> Vec<Effect> {
        let seat = &mut self.seats[who.0 as usize];
        seat.is_open = false;
        seat.line = Line::Idle;
        seat.held.clear();
        seat.alarm = None;
        self.call(who, |session, cx, fx| session.on_close(cx, fx))
    }

    /// Lets a session react, then ends the sessions that this closed.
    fn call(&mut self, id: SessionId, react: impl FnOnce(&mut P, &mut Context<'_>, &mut Recorder)) -> Vec<Effect> {
        let mut recorder = Recorder::default();
        let Self { hub, config, now, wall, seats, gate, granted: _ } = self;
        let seat = &mut seats[id.0 as usize];
        let buffer = &mut b"somebody else's".to_vec();
        let permit = Permit { gate: gate.as_ref(), grant: seat.grant.as_deref() };
        let mut cx = Context { id, address: seat.address, now: *now, wall: *wall, permit, hub, config, buffer };
        react(&mut seat.session, &mut cx, &mut recorder);
        let is_leaving = !seat.is_open;
        let mut effects = recorder.effects;
        if is_leaving {
            // By contract these are ignored.
            effects.retain(|effect| effect.receivers() != [id] && effect.caller() != Some(id));
        }
        let mut closed = Vec::new();
        for effect in &effects {
            for receiver in effect.receivers() {
                let can_receive = self.is_open(receiver) && !closed.contains(&receiver);
                assert!(can_receive || (is_leaving && receiver == id), "the receiver is gone: {effect:?}");
            }
            if let Some(caller) = effect.caller() {
                assert!(self.is_open(caller) && !closed.contains(&caller), "the caller is gone: {effect:?}");
            }
            match effect {
                Effect::Dialled { who, .. } => self.seats[who.0 as usize].line = Line::Dialling,
                Effect::HungUp { who } => self.seats[who.0 as usize].line = Line::Idle,
                Effect::Bridged { who, .. } => {
                    assert_eq!(self.line(*who), Line::Open, "nothing is open: {effect:?}");
                }
                Effect::Closed { who, .. } => closed.push(*who),
                Effect::HandedOver { from, .. } => {
                    assert!(self.is_open(*from) && !closed.contains(from), "the giver is gone: {effect:?}");
                    self.seats[from.0 as usize].is_open = false;
                    self.seats[from.0 as usize].alarm = None;
                }
                Effect::Granted { who, grant } => self.seats[who.0 as usize].grant = Some(Arc::clone(grant)),
                Effect::Woken { who, at } => self.seats[who.0 as usize].alarm = Some(*at),
                Effect::Sent { .. } | Effect::Relayed { .. } | Effect::Broadcast { .. } | Effect::Pinged { .. } => {}
            }
        }
        for who in closed {
            if self.is_open(who) {
                effects.extend(self.end(who));
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests;
