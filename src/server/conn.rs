//! A connection: its socket, the phase it is in, and the little it keeps between two reads. Layer 3.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use tungstenite::protocol::frame::coding::CloseCode;

use super::client::Address;
use crate::config::Limits;
use crate::frame::assemble::Assembler;
use crate::hub::SessionId;
use crate::net::scratch::Carry;
use crate::net::socket::Socket;
use crate::net::timer::Alarm;

/// A connection's slot, which is its token too. It is free again only at the end of the turn in which it ended.
pub(super) type ConnId = u32;

/// Who must catch up before a connection is read again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Behind(NonZeroU32);

impl Behind {
    /// Mailboxes from here on, sockets below.
    const FIRST_MAILBOX: NonZeroU32 = NonZeroU32::new(1 << 31).expect("not zero");

    /// Those who were put off (see [`super::spread`]).
    pub(super) const SPREAD: Self = Self(NonZeroU32::MAX);

    pub(super) fn socket(id: ConnId) -> Self {
        // From 1 on, as none is never anybody.
        Self(NonZeroU32::MIN.saturating_add(id))
    }

    pub(super) fn mailbox(session: SessionId) -> Self {
        Self(Self::FIRST_MAILBOX.saturating_add(session.0))
    }

    pub(super) fn subject(self) -> Subject {
        let number = self.0.get();
        if self == Self::SPREAD {
            return Subject::Spread;
        }
        let mailbox = number.checked_sub(Self::FIRST_MAILBOX.get());
        mailbox.map_or(Subject::Socket(number - 1), |session| Subject::Mailbox(SessionId(session)))
    }
}

/// What a [`Behind`] stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    Socket(ConnId),
    /// A session that has a mailbox instead.
    Mailbox(SessionId),
    /// Everybody who was put off.
    Spread,
}

/// One accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) phase: Phase,
    /// Half a request head or half a frame header.
    pub(super) carry: Carry,
    /// A message that has not arrived in full.
    pub(super) assembler: Assembler,
    pub(super) alarm: Alarm,
    pub(super) controls: ControlBudget,
    /// The receiver that must catch up before this connection is read again.
    pub(super) waits_for: Option<Behind>,
    /// A ping went out and nothing came back since.
    pub(super) is_pinged: bool,
    /// What its client sends waits until its dial is answered.
    pub(super) is_held: bool,
    /// Whole frames are kept in `carry`: they are looked at before anything more is received.
    pub(super) has_unread: bool,
    /// Already on the revisit list.
    pub(super) is_revisited: bool,
    /// Something went to the target since the deadline for silence was last looked at.
    pub(super) was_written: bool,
    /// It is to be ended, as a write failed or it is too slow: nothing more is written to it.
    pub(super) has_failed: bool,
    pub(super) end: End,
    /// Which listener accepted it.
    pub(super) listener: u16,
    /// The other end of the socket, and the client that it is for.
    pub(super) address: Address,
    /// Which of all connections that were ever accepted this is (the low bits): with the slot it names this one and no
    /// later one.
    pub(super) serial: u32,
    /// When it was accepted, in seconds since the server started.
    pub(super) since: u32,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// A client that came to us.
    Client,
    /// A server that came to us, for a link.
    Peer,
    /// A target that we dialled for a session.
    Target,
    /// A server that we dialled for a link: there we are the client.
    Server,
}

impl End {
    /// Whether we opened the connection.
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Target | Self::Server)
    }

    /// Whether another server is there, on one of our channels.
    #[inline]
    pub(super) fn is_link(self) -> bool {
        matches!(self, Self::Peer | Self::Server)
    }

    /// Whether what we send is masked and what comes is not.
    #[inline]
    pub(super) fn is_masking(self) -> bool {
        self == Self::Server
    }
}

/// What a connection's bytes mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// A PROXY header; the deadline is for it and the first request head together.
    Preamble,
    /// Requests; the deadline is for the next complete head.
    Http,
    /// A request to Engine.IO that is not answered yet; the deadline is for its body.
    Polling,
    /// Frames of this session; the deadline is for silence.
    Open(SessionId),
    /// Another server that is being connected to, and asked for a link.
    Linking,
    /// A target that is being connected to for this session.
    Dialing(SessionId),
    /// Bytes from what this session dialled; the deadline is for silence, if there is one.
    Bridge(SessionId),
    /// Nothing any more: our side is being finished, the deadline is for theirs.
    Closing,
    /// Over; the slot is freed at the end of the turn.
    Ended,
}

// mio's sockets are larger where they look for mistakes of ours.
const _: () =
    assert!(size_of::<Connection>() <= if cfg!(debug_assertions) { 128 } else { 112 }, "an idle connection is small");

impl Connection {
    pub(super) fn new(socket: Socket, peer: SocketAddr, listener: u16, limits: &Limits) -> Self {
        Self {
            socket,
            phase: Phase::Http,
            carry: Carry::default(),
            assembler: Assembler::default(),
            alarm: Alarm::default(),
            controls: ControlBudget { left: limits.control_burst, second: 0 },
            waits_for: None,
            is_pinged: false,
            is_held: false,
            has_unread: false,
            is_revisited: false,
            was_written: false,
            has_failed: false,
            end: End::Client,
            listener,
            address: Address::of(peer),
            serial: 0,
            since: 0,
        }
    }

    /// The memory that it holds, in bytes.
    pub(super) fn held(&self) -> usize {
        self.socket.held() + self.carry.len() + self.assembler.weight()
    }

    /// Gives that memory back, once it has ended.
    pub(super) fn forget(&mut self) {
        self.socket.forget();
        self.carry = Carry::default();
        self.assembler = Assembler::default();
    }

    /// Whether it is being finished or is between requests, and something is still to be written.
    pub(super) fn is_owed(&self) -> bool {
        matches!(self.phase, Phase::Http | Phase::Closing) && self.socket.queued() > 0
    }

    /// The session, while there is one.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self.phase {
            Phase::Open(session) => Some(session),
            _ => None,
        }
    }
}

/// How many control frames a client may send: a bucket that is refilled by the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlBudget {
    left: u32,
    /// When it was last refilled, in seconds since the server started.
    second: u32,
}

impl ControlBudget {
    /// Takes one, if there is one.
    pub(super) fn take(&mut self, second: u32, limits: &Limits) -> bool {
        let passed = second.saturating_sub(self.second);
        self.second = second;
        self.left = self.left.saturating_add(passed.saturating_mul(limits.control_rate)).min(limits.control_burst);
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }
}

impl Ending {
    /// The reason of an end that we decide, which names the option behind it.
    pub(super) fn refusal(&self) -> Option<&str> {
        match self {
            Self::ByUs(_, reason) => Some(reason),
            Self::TimedOut(reason) | Self::Shed(reason) => Some(reason),
            // Whoever turns away counts it.
            Self::TurnedAway(_) | Self::ByPeer(_) | Self::Vanished | Self::Broken(_) | Self::Answered => None,
        }
    }
}

/// Why a connection ends, for the log.
#[derive(Debug)]
pub(super) enum Ending {
    /// The client closed, with this status.
    ByPeer(Option<CloseCode>),
    /// We close, with this status and reason.
    ByUs(CloseCode, String),
    /// The client finished without a closing handshake.
    Vanished,
    /// The connection broke.
    Broken(std::io::Error),
    /// A request was answered and the connection is not kept.
    Answered,
    /// A deadline passed.
    TimedOut(&'static str),
    /// Its memory is needed.
    Shed(&'static str),
    /// It was turned away before anything was said.
    TurnedAway(&'static str),
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByPeer(Some(code)) => write!(f, "closed by the client ({})", u16::from(*code)),
            Self::ByPeer(None) => f.write_str("closed by the client"),
            Self::ByUs(code, reason) => write!(f, "closed ({}): {reason}", u16::from(*code)),
            Self::Vanished => f.write_str("gone without a closing handshake"),
            Self::Broken(error) => write!(f, "broken: {error}"),
            Self::Answered => f.write_str("answered"),
            Self::TimedOut(what) => write!(f, "timed out: {what}"),
            Self::Shed(reason) => write!(f, "closed to give memory back: {reason}"),
            Self::TurnedAway(reason) => write!(f, "turned away: {reason}"),
        }
    }
}
