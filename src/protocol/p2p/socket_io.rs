//! Socket.IO packets, protocol 4 (socket.io 1.x and 2.x) and 5 (3.x and 4.x): what a message of Engine.IO says. How they
//! are written is in [`mod@write`].
//!
//! Pure functions over slices, without a session. Data stays the bytes that were sent: [`parse`] checks it as JSON and
//! for the shape that its type must have, [`event`] takes an event's name off, [`arguments`] walks over the rest. What is
//! relayed is never rebuilt. The two protocols differ in what sessions do with packets, hardly in how they are written,
//! so one parser reads both.
//!
//! `TYPE [COUNT-] [/NAMESPACE[?QUERY],] [ID] [JSON]`: `2["hello",1]`, `51-/admin,12["file",{"_placeholder":true,"num":0}]`.
//! The attachments of a binary packet follow as binary messages of their own.
//!
//! Facts: the protocol documents, socket.io-parser 3.3 and 4.2.

mod placeholders;
pub mod write;

use std::borrow::Cow;
use std::fmt;

use crate::json::array::{self, Elements};
use crate::json::fields;
use crate::json::value;

pub use placeholders::placeholders_fit;

/// What a packet is for. The numbers are those of the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum PacketType {
    /// Joins a namespace.
    Connect,
    /// Leaves it.
    Disconnect,
    /// A name and arguments.
    Event,
    /// The answer to an event that carried an id.
    Ack,
    /// Refuses to join a namespace; an error of any kind in protocol 4.
    ConnectError,
    /// An event with attachments.
    BinaryEvent,
    /// An ack with attachments.
    BinaryAck,
}

impl PacketType {
    fn of(digit: u8) -> Option<Self> {
        Some(match digit {
            b'0' => Self::Connect,
            b'1' => Self::Disconnect,
            b'2' => Self::Event,
            b'3' => Self::Ack,
            b'4' => Self::ConnectError,
            b'5' => Self::BinaryEvent,
            b'6' => Self::BinaryAck,
            _ => return None,
        })
    }

    /// Whether attachments follow.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// One packet, as parts of the text it stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'t> {
    /// What it is for.
    pub kind: PacketType,
    /// Binary messages that belong to it and follow: at least 1 for the binary types, 0 for the others.
    pub attachments: u32,
    /// Starts with `/` and is at most [`MAX_NAMESPACE_BYTES`] long.
    pub namespace: &'t str,
    /// What a client of protocol 4 says when it joins a namespace, as it was sent.
    pub query: Option<&'t str>,
    /// What an ack must repeat; below 10^15.
    pub id: Option<u64>,
    /// One JSON value, without white space around it. Always there for events and acks, and never for a disconnect.
    pub data: Option<&'t [u8]>,
}

/// Why a text is no packet. The original ends the connection for each of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// No known type.
    Type,
    /// A binary packet that does not say how many attachments follow, or none.
    Attachments,
    /// More attachments than the caller allows.
    TooManyAttachments,
    /// A namespace that is not UTF-8, or too long.
    Namespace,
    /// An id that JavaScript could not hold.
    Id,
    /// Data that is not JSON, or nests more than 127 deep.
    NotJson,
    /// Data of another shape than the type demands.
    Shape,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "a Socket.IO packet has no known type",
            Self::Attachments => "a binary Socket.IO packet does not say how many attachments it has",
            Self::TooManyAttachments => "a Socket.IO packet has too many attachments",
            Self::Namespace => "a Socket.IO namespace is too long or no text",
            Self::Id => "the id of a Socket.IO packet is too long",
            Self::NotJson => "the data of a Socket.IO packet is not JSON",
            Self::Shape => "the data of a Socket.IO packet does not fit its type",
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads one packet. `text` is the data of an Engine.IO message and valid UTF-8.
///
/// # Errors
/// [`Malformed`] for anything that the original's parsers would not take, and for some of what they take by accident
/// (numbers like `1e1`, events without data).
#[inline]
pub fn parse(text: &[u8], max_attachments: u32) -> Result<Packet<'_>, Malformed> {
    let (&digit, mut rest) = text.split_first().ok_or(Malformed::Type)?;
    let kind = PacketType::of(digit).ok_or(Malformed::Type)?;
    let mut attachments = 0;
    if kind.is_binary() {
        (attachments, rest) = attachment_count(rest, max_attachments)?;
    }
    let (mut namespace, mut query) = (ROOT, None);
    if rest.first() == Some(&b'/') {
        (namespace, query, rest) = split_namespace(rest)?;
    }
    let (id, rest) = split_id(rest)?;
    let data = if rest.is_empty() { None } else { Some(value::check(rest).map_err(|_| Malformed::NotJson)?) };
    // White space in front of the data would be an id, or an accident, to the original.
    if rest.first().is_some_and(u8::is_ascii_whitespace) || !has_shape(kind, data) {
        return Err(Malformed::Shape);
    }
    Ok(Packet { kind, attachments, namespace, query, id, data })
}

/// An event's data in two parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventData<'t> {
    /// What the event is called: borrowed unless something is escaped. A number is taken as it is written.
    pub name: Cow<'t, str>,
    /// The same as it was sent, quotes and all.
    pub name_span: &'t [u8],
    /// What stands between the comma behind the name and the closing bracket, empty without arguments; see
    /// [`arguments`].
    pub arguments: &'t [u8],
}

/// Takes the data of an event apart.
///
/// # Errors
/// [`Malformed::Shape`] for data that is no event's, or whose name no text can express (half of a surrogate pair).
#[inline]
pub fn event(data: &[u8]) -> Result<EventData<'_>, Malformed> {
    let mut elements = elements(data);
    let name_span = elements.next().ok_or(Malformed::Shape)?;
    let name = match name_span {
        [b'"', ..] => fields::string(name_span),
        [b'-' | b'0'..=b'9', ..] => str::from_utf8(name_span).ok().map(Cow::Borrowed),
        _ => None,
    };
    Ok(EventData { name: name.ok_or(Malformed::Shape)?, name_span, arguments: elements.rest() })
}

/// The elements of a JSON array, each as it was sent: the arguments of an ack. Nothing for another value.
#[inline]
#[must_use]
pub fn elements(array: &[u8]) -> Elements<'_> {
    array::elements(array::list(array).unwrap_or_default())
}

/// The elements of a list without brackets, such as [`EventData::arguments`].
#[inline]
#[must_use]
pub fn arguments(list: &[u8]) -> Elements<'_> {
    array::elements(list)
}

fn attachment_count(text: &[u8], max: u32) -> Result<(u32, &[u8]), Malformed> {
    let (count, rest) = number(text, MAX_COUNT_DIGITS).ok_or(Malformed::TooManyAttachments)?;
    let rest = rest.strip_prefix(b"-").ok_or(Malformed::Attachments)?;
    let count = count.filter(|&count| count > 0).ok_or(Malformed::Attachments)?;
    let count = u32::try_from(count).ok().filter(|&count| count <= max).ok_or(Malformed::TooManyAttachments)?;
    Ok((count, rest))
}

/// Up to a comma or the end. Where there is no comma, nothing else follows.
fn split_namespace(text: &[u8]) -> Result<(&str, Option<&str>, &[u8]), Malformed> {
    let end = text.iter().position(|&byte| byte == b',');
    let (name, rest) = match end {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[][..]),
    };
    let name = str::from_utf8(name).map_err(|_| Malformed::Namespace)?;
    let (name, query) = match name.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (name, None),
    };
    if name.len() > MAX_NAMESPACE_BYTES {
        return Err(Malformed::Namespace);
    }
    Ok((name, query, rest))
}

#[inline(always)]
fn split_id(text: &[u8]) -> Result<(Option<u64>, &[u8]), Malformed> {
    number(text, MAX_ID_DIGITS).ok_or(Malformed::Id)
}

/// The digits at the front of `text`, if there are any, and what follows; `None` if there are more than `max`.
#[inline(always)]
fn number(text: &[u8], max: usize) -> Option<(Option<u64>, &[u8])> {
    let mut value = 0;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        if text.len() - rest.len() == max {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
        rest = behind;
    }
    let is_there = rest.len() < text.len();
    Some((is_there.then_some(value), rest))
}

/// What data each type demands (socket.io-parser `isPayloadValid`, the stricter of both protocols).
#[inline(always)]
fn has_shape(kind: PacketType, data: Option<&[u8]>) -> bool {
    let first = data.and_then(|data| data.first());
    match kind {
        PacketType::Connect => matches!(first, None | Some(b'{')),
        PacketType::Disconnect => first.is_none(),
        PacketType::ConnectError => matches!(first, Some(b'{' | b'"')),
        PacketType::Ack | PacketType::BinaryAck => first == Some(&b'['),
        PacketType::Event | PacketType::BinaryEvent => {
            let list = data.and_then(array::list);
            list.and_then(|list| list.first()).is_some_and(|first| matches!(first, b'"' | b'-' | b'0'..=b'9'))
        }
    }
}

/// The namespace of packets that name none.
pub const ROOT: &str = "/";

/// The longest namespace that is read; a path of a few words.
pub const MAX_NAMESPACE_BYTES: usize = 128;

/// Digits of an id: below 2^53, so that JavaScript gets back what it sent.
const MAX_ID_DIGITS: usize = 15;

/// Digits of a count of attachments, which the caller limits further.
const MAX_COUNT_DIGITS: usize = 9;

#[cfg(test)]
mod tests;
