//! Engine.IO, revisions 3 and 4: what a request asks for, packets, and the errors that requests are refused with.
//! Polling's payloads are in [`payload`], their form for script tags in [`jsonp`].
//!
//! Pure functions over slices: no session, no timer, no transport. A packet in either transport is one *item*: a whole
//! WebSocket message, text `4hello` or binary. Binary is the bare data in revision 4, where it can only be a message,
//! and has the type as a leading byte in revision 3. Polling's payloads are decoded to the same items, so that a session
//! need not know which transport it reads.
//!
//! Facts: the protocol documents of both revisions, engine.io 3.6 and 6.6 `server`, engine.io-parser 2.2 and 5.2.

pub mod jsonp;
pub mod payload;

pub use payload::{decode_payload, encode_payload};

use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::time::Duration;

use crate::frame::message::Kind;
use crate::http::{Method, Request};
pub use crate::hub::devices::Revision;
use crate::json::escape;

/// How packets travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// GET to receive, POST to send.
    Polling,
    /// One message for each packet.
    WebSocket,
}

impl Transport {
    /// As queries and the open packet name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// What a request asks for, as far as the request itself can say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call<'b> {
    /// The revision that the client speaks. One that differs from its session's is a [`Error::BadRequest`].
    pub revision: Revision,
    /// The transport of this request; it is [`WebSocket`](Transport::WebSocket) exactly when the request is an upgrade.
    pub transport: Transport,
    /// The session that the request belongs to, never empty; without it a session is to be opened. Any text.
    pub sid: Option<Cow<'b, str>>,
    /// The client takes no binary data (`b64`, `j`) over this transport. Clients say so when they open the transport and
    /// need not repeat it in every poll.
    pub base64_only: bool,
    /// The number of the script tag that waits for the answer (`j`). Revision 3 only.
    pub jsonp: Option<u32>,
}

impl<'b> Call<'b> {
    /// Reads the query and checks what can be checked without knowing the sessions, in the original's order.
    ///
    /// The request should be a GET or POST: OPTIONS is for the caller to answer.
    ///
    /// # Errors
    /// [`UnknownTransport`](Error::UnknownTransport), [`BadMethod`](Error::BadMethod),
    /// [`BadRequest`](Error::BadRequest) and [`UnsupportedVersion`](Error::UnsupportedVersion).
    pub fn parse(request: &Request<'b>) -> Result<Self, Error> {
        let transport = match request.query_value("transport").as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(Error::UnknownTransport),
        };
        let sid = request.query_value("sid").filter(|sid| !sid.is_empty());
        let is_post = request.method == Method::Other("POST");
        if request.method != Method::Get && (sid.is_none() || !is_post) {
            return Err(Error::BadMethod);
        }
        if request.wants_upgrade() != (transport == Transport::WebSocket) {
            return Err(Error::BadRequest);
        }
        let revision = match request.query_value("EIO").as_deref() {
            Some("3") => Revision::Three,
            Some("4") => Revision::Four,
            // No session has such a revision.
            _ if sid.is_some() => return Err(Error::BadRequest),
            _ => return Err(Error::UnsupportedVersion),
        };
        let jsonp = match (revision, transport, request.query_value("j")) {
            (Revision::Three, Transport::Polling, Some(index)) => Some(jsonp::index(&index).ok_or(Error::BadRequest)?),
            _ => None,
        };
        // Any value counts, `0` too, as for the original.
        let base64_only = jsonp.is_some() || request.query_value("b64").is_some_and(|value| !value.is_empty());
        Ok(Self { revision, transport, sid, base64_only, jsonp })
    }
}

/// Why a request is refused (engine.io `server`, the table of errors).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Neither polling nor websocket.
    UnknownTransport,
    /// No such session; clients open a new one then.
    UnknownSid,
    /// A session is opened with GET.
    BadMethod,
    /// The request does not fit its session or itself.
    BadRequest,
    /// Not allowed.
    Forbidden,
    /// Neither revision 3 nor 4.
    UnsupportedVersion,
}

impl Error {
    /// The number that clients are told.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSid => 1,
            Self::BadMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    /// The HTTP status of the refusal.
    #[must_use]
    pub fn status(self) -> u16 {
        if self == Self::Forbidden { 403 } else { 400 }
    }

    /// The sentence that clients are told.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSid => "Session ID unknown",
            Self::BadMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }

    /// The body of the refusal, for `application/json`, with a reason in place of the [`message`](Self::message) where
    /// there is a better one.
    #[must_use]
    pub fn body(self, reason: Option<&str>) -> Vec<u8> {
        let mut body = format!(r#"{{"code":{},"message":"#, self.code()).into_bytes();
        escape::push_string(&mut body, reason.unwrap_or(self.message()));
        body.push(b'}');
        body
    }
}

/// What a packet is for. The numbers are those of the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum PacketType {
    /// The first packet of a session, from the server.
    Open,
    /// The session is over.
    Close,
    /// Heartbeat, or with `probe` the first packet of an upgrade.
    Ping,
    /// The answer to a ping, with the same data.
    Pong,
    /// Data of the layer above.
    Message,
    /// The new transport takes over.
    Upgrade,
    /// Nothing, so that a poll ends.
    Noop,
}

impl PacketType {
    /// The type with this number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Open,
            1 => Self::Close,
            2 => Self::Ping,
            3 => Self::Pong,
            4 => Self::Message,
            5 => Self::Upgrade,
            6 => Self::Noop,
            _ => return None,
        })
    }

    /// The digit in front of a text packet.
    #[must_use]
    pub fn digit(self) -> u8 {
        b'0' + self as u8
    }
}

/// Why bytes are no packets. The original closes the session for each of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// A packet or payload without a byte.
    Empty,
    /// A packet of no known type.
    Type,
    /// Text that is not UTF-8.
    Utf8,
    /// Data that is not base64.
    Base64,
    /// A length that is none, or does not end where a packet ends.
    Length,
    /// More packets in one payload than the caller allows.
    TooMany,
    /// A content type that the revision does not have.
    ContentType,
    /// A form without its one field.
    Form,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an Engine.IO packet is empty",
            Self::Type => "an Engine.IO packet has no known type",
            Self::Utf8 => "an Engine.IO packet is not UTF-8",
            Self::Base64 => "an Engine.IO packet is not base64",
            Self::Length => "the lengths in an Engine.IO payload are wrong",
            Self::TooMany => "there are too many packets in one Engine.IO payload",
            Self::ContentType => "Engine.IO 4 has no binary payloads",
            Self::Form => "a form has not exactly one field called d",
        })
    }
}

impl std::error::Error for Malformed {}

/// Takes the type off an item.
///
/// An item that stands for a binary one is refused; see [`unwrapped`].
///
/// # Errors
/// [`Malformed::Empty`] and [`Malformed::Type`].
#[inline]
pub fn packet(kind: Kind, item: &[u8], revision: Revision) -> Result<(PacketType, &[u8]), Malformed> {
    if kind == Kind::Binary && revision == Revision::Four {
        return Ok((PacketType::Message, item));
    }
    let (&first, data) = item.split_first().ok_or(Malformed::Empty)?;
    let number = if kind == Kind::Text { first.wrapping_sub(b'0') } else { first };
    Ok((PacketType::of(number).ok_or(Malformed::Type)?, data))
}

/// The binary item that a text item stands for (`b`, then base64): clients may send such in either transport. `None`
/// for an item that is what it looks like, which is the usual case and costs nothing.
///
/// # Errors
/// [`Malformed::Type`] and [`Malformed::Base64`].
#[inline]
pub fn unwrapped(kind: Kind, item: &[u8], revision: Revision) -> Result<Option<Vec<u8>>, Malformed> {
    match item {
        [b'b', text @ ..] if kind == Kind::Text => payload::from_base64(text, revision).map(Some),
        _ => Ok(None),
    }
}

/// Appends the text item that stands for a binary one, for clients that take nothing else
/// ([`base64_only`](Call::base64_only)), in either transport.
pub fn push_wrapped(out: &mut Vec<u8>, item: &[u8], revision: Revision) {
    payload::push_base64(out, item, revision);
}

/// Appends the packet that opens a session.
///
/// `upgrades` offers WebSocket to a client that polls. Revision 3 does not know `maxPayload`, in bytes, and ignores it.
pub fn open_packet(
    out: &mut Vec<u8>,
    sid: &str,
    upgrades: bool,
    ping_interval: Duration,
    ping_timeout: Duration,
    max_payload: usize,
) {
    out.extend_from_slice(br#"0{"sid":"#);
    escape::push_string(out, sid);
    let upgrades = if upgrades { r#""websocket""# } else { "" };
    let (interval, timeout) = (ping_interval.as_millis(), ping_timeout.as_millis());
    write!(
        out,
        r#","upgrades":[{upgrades}],"pingInterval":{interval},"pingTimeout":{timeout},"maxPayload":{max_payload}}}"#
    )
    .expect("writing to a vector cannot fail");
}

#[cfg(test)]
mod tests;
