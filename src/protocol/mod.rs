//! The application protocols as pure state machines: messages and time come in, effects go out. Layer 2.
//!
//! A protocol reacts to [`on_open`](Protocol::on_open), [`on_message`](Protocol::on_message) and
//! [`on_close`](Protocol::on_close), in that order, and acts only through [`Effects`]. It never sees a socket: the
//! peer it writes to may be a socket of this process or, later, something else. Time, randomness and limits are
//! arguments (in [`Context`]), so each protocol runs in tests and fuzzers with a [`recorder::Recorder`].
//!
//! Adding a protocol is one file here, one variant of [`Session`], one row of [`route`], its client and its tests.

mod membership;
pub mod named;
pub mod pocket;
pub mod recorder;
pub mod root;
pub mod route;
pub mod webshare;

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use tungstenite::protocol::frame::coding::CloseCode;

use crate::config::Config;
use crate::frame::message::{Kind, Message};
pub use crate::hub::channels::Audience;
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
    /// Pairs, channels.
    pub hub: &'a mut Hub,
    /// The operator's choices.
    pub config: &'a Config,
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

    /// Starts the closing handshake. `reason` is cut to the 123 bytes that fit (RFC 6455 §5.5.1).
    fn close(&mut self, who: SessionId, code: CloseCode, reason: &str);
}

/// One client's side of an application protocol.
pub trait Protocol {
    /// The opening handshake is complete.
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects);

    /// A whole message arrived; text is valid UTF-8.
    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects);

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
    /// In a pocket room.
    Pocket(pocket::Pocket),
    /// A WebShare client.
    Webshare(webshare::Webshare),
}

impl Protocol for Session {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        match self {
            Self::Undecided(_) => {}
            Self::Named(named) => named.on_open(cx, fx),
            Self::Pocket(pocket) => pocket.on_open(cx, fx),
            Self::Webshare(webshare) => webshare.on_open(cx, fx),
        }
    }

    #[inline]
    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        match self {
            Self::Named(named) => named.on_message(cx, message, fx),
            Self::Pocket(pocket) => pocket.on_message(cx, message, fx),
            Self::Webshare(webshare) => webshare.on_message(cx, message, fx),
            Self::Undecided(undecided) => {
                let Some(mut session) = undecided.decide(cx, &message, fx) else { return };
                session.on_open(cx, fx);
                session.on_message(cx, message, fx);
                *self = session;
            }
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        match self {
            Self::Undecided(_) => {}
            Self::Named(named) => named.on_close(cx, fx),
            Self::Pocket(pocket) => pocket.on_close(cx, fx),
            Self::Webshare(webshare) => webshare.on_close(cx, fx),
        }
    }
}
