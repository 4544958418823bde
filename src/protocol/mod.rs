//! The application protocols as pure state machines: messages and time come in, effects go out. Layer 2.
//!
//! A protocol reacts to [`on_open`](Protocol::on_open), [`on_message`](Protocol::on_message) and
//! [`on_close`](Protocol::on_close), in that order, and acts only through [`Effects`]. It never sees a socket: the
//! peer it writes to may be a socket of this process or, later, something else. Time, randomness and limits are
//! arguments (in [`Context`]), so each protocol runs in tests and fuzzers with a [`recorder::Recorder`].
//!
//! Adding a protocol is one file here, one variant of [`Session`], one row of [`route`], its client and its tests.

pub mod link;
mod membership;
pub mod named;
pub mod network;
pub mod p2p;
pub mod pocket;
pub mod recorder;
pub mod root;
pub mod route;
pub mod tcp;
pub mod webshare;
pub mod ws2s;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tungstenite::protocol::frame::coding::CloseCode;

use crate::access::{Grant, Permit};
use crate::config::Config;
use crate::frame::message::{Kind, Message};
pub use crate::hub::channels::Audience;
use crate::hub::channels::ChannelId;
use crate::hub::devices::DeviceId;
use crate::hub::pairs::MemberId;
use crate::hub::{Hub, SessionId};

/// What a session knows while it reacts: who it is, what time it is, and the relations it may change.
pub struct Context<'a> {
    /// The session that reacts.
    pub id: SessionId,
    /// The client's address, for rate limits and presence; `None` for a session without a socket of ours.
    pub address: Option<SocketAddr>,
    /// The loop's clock: read once per batch of events.
    pub now: Instant,
    /// What time it is for people, read at the same moment. It may be set back; durations are `now`'s affair.
    pub wall: SystemTime,
    /// What the session may do.
    pub permit: Permit<'a>,
    /// Pairs, channels.
    pub hub: &'a mut Hub,
    /// The operator's choices.
    pub config: &'a Config,
    /// Space to put a message together in. It holds something of whoever used it last: clear it first.
    pub buffer: &'a mut Vec<u8>,
}

/// Everything a protocol can do to the world.
///
/// What one receiver gets is in the order of the calls. Writes are batched until the sender's bytes are used up;
/// [`close`](Effects::close) happens after what was written before it.
pub trait Effects {
    /// Passes `message` on unchanged to one receiver. Should that receiver fall behind, reading from this session
    /// pauses until it has caught up: nothing is lost.
    fn relay(&mut self, to: SessionId, message: Message<'_>);

    /// Passes `message` on unchanged to many. Nobody is paused: a member that falls too far behind is closed.
    fn broadcast(&mut self, to: Audience<'_>, message: Message<'_>);

    /// Frames something new: the concatenation of `parts` becomes one message.
    fn send(&mut self, to: SessionId, kind: Kind, parts: &[&[u8]]);

    /// As [`send`](Effects::send), to many.
    fn send_all(&mut self, to: Audience<'_>, kind: Kind, parts: &[&[u8]]);

    /// Passes what this session said on in an envelope: as [`send`](Effects::send), with the receiver's pace kept as in
    /// [`relay`](Effects::relay). Long parts that lie in the message being handled are not copied on their way.
    fn relay_parts(&mut self, to: SessionId, kind: Kind, parts: &[&[u8]]);

    /// Gives back a message that was read and goes nowhere as it is: the buffer of a long one serves the next.
    fn recycle(&mut self, message: Message<'_>);

    /// Opens a TCP connection for `who`, in place of the one it may have, which is closed without a word. Until
    /// [`Protocol::on_bridge`] says how it went, nothing more that `who` sends is handled: what it sends meanwhile
    /// waits.
    fn dial(&mut self, who: SessionId, host: &str, port: u16);

    /// Writes the payload of `message` to the connection that `who` dialled. Should the target fall behind, reading from
    /// this session pauses.
    fn bridge(&mut self, who: SessionId, message: Message<'_>);

    /// As [`bridge`](Effects::bridge), for bytes that are not a message. Long ones that lie in the message being handled
    /// are not copied on their way.
    fn bridge_bytes(&mut self, who: SessionId, bytes: &[u8]);

    /// Ends the connection that `who` dialled: what was written before goes out, what still comes is thrown away, and
    /// [`Protocol::on_bridge`] hears nothing more of it. Without one, nothing happens.
    fn hang_up(&mut self, who: SessionId);

    /// Asks the client of `who` for a sign of life: [`Protocol::on_alive`] hears it. One without a WebSocket is not asked,
    /// its next request is its sign.
    fn ping(&mut self, who: SessionId);

    /// Has [`Protocol::on_timeout`] of `who` called once `at` has passed, in place of what was asked for before.
    fn wake_at(&mut self, who: SessionId, at: Instant);

    /// Gives the connection of `from` to `to`, which has none: what waits for `to` goes out first, and what `from`'s
    /// client says from now on is said to `to`. The session `from` is no more; it hears nothing of that.
    fn hand_over(&mut self, from: SessionId, to: SessionId);

    /// The client of `who` has shown a token in the protocol's own way: from now on, and until it ends, this is what it
    /// may do. The effect comes when the message is handled; until then [`Permit::with`] stands for it.
    fn grant(&mut self, who: SessionId, grant: Arc<Grant>);

    /// A token that was shown in the protocol's own way is not accepted: it is counted with those shown elsewhere.
    fn refuse_token(&mut self);

    /// Starts the closing handshake. `reason` is cut to the 123 bytes that fit (RFC 6455 §5.5.1).
    fn close(&mut self, who: SessionId, code: CloseCode, reason: &str);
}

/// What happens to a TCP connection that a session dialled.
#[derive(Debug)]
pub enum BridgeEvent<'m> {
    /// It is open.
    Open,
    /// It could not be opened; there is none now.
    Failed(DialError),
    /// Bytes came, as a binary message that can be relayed as it is. Never empty.
    Received(Message<'m>),
    /// The target has finished; there is none now.
    Ended,
    /// It broke, as the system puts it; there is none now.
    Broken(std::io::ErrorKind),
}

/// Why a TCP connection could not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DialError {
    /// The operator does not allow this target (`--bridge-allow`).
    Forbidden,
    /// The target is this server itself, and no `--bridge-name` leads there.
    Ourselves,
    /// The session's token does not permit this target.
    NotPermitted,
    /// As many are open as a limit allows; this is the option that changes it.
    TooMany(&'static str),
    /// The name has no address.
    NoSuchName,
    /// Nobody listens there.
    Refused,
    /// No answer in time (`--dial-timeout`).
    TimedOut,
    /// Anything else the system said.
    Unreachable(std::io::ErrorKind),
}

/// One client's side of an application protocol.
pub trait Protocol {
    /// The opening handshake is complete.
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects);

    /// A whole message arrived; text is valid UTF-8.
    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects);

    /// Something happened to the connection that this session dialled. Only protocols that dial hear of it.
    fn on_bridge(&mut self, cx: &mut Context<'_>, event: BridgeEvent<'_>, fx: &mut impl Effects) {
        let _ = (cx, event, fx);
    }

    /// The instant of [`Effects::wake_at`] has passed. Only protocols that ask for it hear of it.
    fn on_timeout(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let _ = (cx, fx);
    }

    /// The client gave a sign of life that is no message: a pong, or a request.
    fn on_alive(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let _ = (cx, fx);
    }

    /// The client is gone, for whatever reason. Called exactly once; effects on itself are ignored.
    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects);
}

/// One client's session, of whichever protocol.
#[derive(Debug)]
pub enum Session {
    /// Opened `/` and has said nothing yet.
    Undecided(root::Undecided),
    /// On a named channel.
    Named(named::Named),
    /// On a network channel.
    Network(network::Network),
    /// A link of a channel with another server.
    Link(Box<link::Link>),
    /// In a pocket room.
    Pocket(pocket::Pocket),
    /// A WebShare client.
    Webshare(webshare::Webshare),
    /// A ws2s client.
    Ws2s(ws2s::Ws2s),
    /// A client of the bytes of one TCP connection.
    Tcp(tcp::Tcp),
    /// A Socket.IO client.
    Device(Box<p2p::Device>),
    /// A WebSocket that a Socket.IO client tries out before it gives up polling.
    Probe(p2p::probe::Probe),
}

impl Session {
    /// Which of the offered subprotocols is answered, the preferred one being offered first. Only `/tcp` has a
    /// preference; no other protocol of ours depends on the choice, and a client may fail the handshake without one.
    pub fn subprotocol<'o>(&self, mut offered: impl Iterator<Item = &'o str>) -> Option<&'o str> {
        if let Self::Tcp(_) = self { tcp::subprotocol(offered) } else { offered.next() }
    }

    /// The memory of what it keeps until it can pass it on, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Device(device) => device.weight(),
            Self::Link(link) => link.weight(),
            _ => 0,
        }
    }

    /// Since when it waits for the rest of something that came in part.
    #[must_use]
    pub fn waits_since(&self) -> Option<Instant> {
        if let Self::Device(device) = self { device.waits_since() } else { None }
    }

    /// Nobody listened to the client, as others had to catch up first: what it would have said by now may come later.
    pub fn excuse(&mut self, now: Instant) {
        if let Self::Device(device) = self {
            device.excuse(now);
        }
    }
}

/// What can be said of a session to whoever runs the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct About {
    /// The protocol, by the word in its path; `root` before the first message has decided.
    pub protocol: &'static str,
    /// The channel it is in.
    pub channel: Option<ChannelId>,
    /// What it is among those that pair.
    pub member: Option<MemberId>,
    /// What it is among devices.
    pub device: Option<DeviceId>,
}

impl Session {
    /// What this session is and where it takes part.
    #[must_use]
    pub fn about(&self) -> About {
        let about = |protocol| About { protocol, ..About::default() };
        match self {
            Self::Undecided(_) => about("root"),
            Self::Named(named) => About { channel: named.channel(), ..about("named") },
            Self::Network(network) => About { channel: network.channel(), ..about("network") },
            Self::Link(link) => About { channel: link.channel(), ..about("link") },
            Self::Pocket(pocket) => About { channel: pocket.channel(), ..about("pocket") },
            Self::Webshare(webshare) => About { member: webshare.member(), ..about("webshare") },
            Self::Ws2s(_) => about("ws2s"),
            Self::Tcp(_) => about("tcp"),
            Self::Device(device) => About { device: device.id(), ..about("socket.io") },
            Self::Probe(_) => about("socket.io"),
        }
    }
}

impl Session {
    /// Whether the client belongs to nobody until it speaks, which it may have to do in time.
    #[must_use]
    pub fn must_speak(&self) -> bool {
        matches!(self, Self::Undecided(_))
    }
}

impl Protocol for Session {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        match self {
            Self::Undecided(_) => {}
            Self::Named(named) => named.on_open(cx, fx),
            Self::Network(network) => network.on_open(cx, fx),
            Self::Link(link) => link.on_open(cx, fx),
            Self::Pocket(pocket) => pocket.on_open(cx, fx),
            Self::Webshare(webshare) => webshare.on_open(cx, fx),
            Self::Ws2s(ws2s) => ws2s.on_open(cx, fx),
            Self::Tcp(tcp) => tcp.on_open(cx, fx),
            Self::Device(device) => device.on_open(cx, fx),
            Self::Probe(probe) => probe.on_open(cx, fx),
        }
    }

    #[inline]
    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        match self {
            Self::Named(named) => named.on_message(cx, message, fx),
            Self::Network(network) => network.on_message(cx, message, fx),
            Self::Link(link) => link.on_message(cx, message, fx),
            Self::Pocket(pocket) => pocket.on_message(cx, message, fx),
            Self::Webshare(webshare) => webshare.on_message(cx, message, fx),
            Self::Ws2s(ws2s) => ws2s.on_message(cx, message, fx),
            Self::Tcp(tcp) => tcp.on_message(cx, message, fx),
            Self::Device(device) => device.on_message(cx, message, fx),
            Self::Probe(probe) => probe.on_message(cx, message, fx),
            Self::Undecided(undecided) => match undecided.decide(&message, cx.config) {
                Ok(mut session) => {
                    session.on_open(cx, fx);
                    session.on_message(cx, message, fx);
                    *self = session;
                }
                Err(refusal) => fx.close(cx.id, CloseCode::Policy, &refusal.to_string()),
            },
        }
    }

    #[inline]
    fn on_bridge(&mut self, cx: &mut Context<'_>, event: BridgeEvent<'_>, fx: &mut impl Effects) {
        match self {
            Self::Ws2s(ws2s) => ws2s.on_bridge(cx, event, fx),
            Self::Tcp(tcp) => tcp.on_bridge(cx, event, fx),
            _ => {}
        }
    }

    fn on_timeout(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        match self {
            Self::Device(device) => device.on_timeout(cx, fx),
            Self::Probe(probe) => probe.on_timeout(cx, fx),
            Self::Link(link) => link.on_timeout(cx, fx),
            _ => {}
        }
    }

    fn on_alive(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if let Self::Device(device) = self {
            device.on_alive(cx, fx);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        match self {
            Self::Undecided(_) => {}
            Self::Named(named) => named.on_close(cx, fx),
            Self::Network(network) => network.on_close(cx, fx),
            Self::Link(link) => link.on_close(cx, fx),
            Self::Pocket(pocket) => pocket.on_close(cx, fx),
            Self::Webshare(webshare) => webshare.on_close(cx, fx),
            Self::Ws2s(ws2s) => ws2s.on_close(cx, fx),
            Self::Tcp(tcp) => tcp.on_close(cx, fx),
            Self::Device(device) => device.on_close(cx, fx),
            Self::Probe(probe) => probe.on_close(cx, fx),
        }
    }
}
