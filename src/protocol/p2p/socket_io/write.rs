//! Socket.IO packets as Engine.IO messages, the `4` in front included.
//!
//! What is relayed is written around borrowed spans: [`event`] and [`ack`] give the text in front, the spans follow, and
//! [`END`] closes. An event is `[event(…), name span, b",", arguments, END]`, without the comma if there are no
//! arguments; an ack is `[ack(…), arguments, END]`. What is said by the server itself goes into a vector.

use std::ops::Deref;

use super::{MAX_NAMESPACE_BYTES, PacketType, ROOT};
use crate::json::escape;

/// Behind the arguments of an event or ack.
pub const END: &[u8] = b"]";

/// What stands in front of an event's name or an ack's arguments, such as `451-/admin,17[`; or a whole short packet.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    bytes: [u8; MAX_PREFIX_BYTES],
    /// Invariant: `≤ MAX_PREFIX_BYTES`.
    len: usize,
}

impl Deref for Prefix {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Prefix {
    #[inline]
    fn new(kind: PacketType, namespace: &str) -> Self {
        let mut prefix = Self { bytes: [0; MAX_PREFIX_BYTES], len: 0 };
        prefix.push(&[b'4', b'0' + kind as u8]);
        prefix.push_namespace(namespace);
        prefix
    }

    #[inline]
    fn list(plain: PacketType, binary: PacketType, attachments: u32, namespace: &str, id: Option<u64>) -> Self {
        let mut prefix = Self { bytes: [0; MAX_PREFIX_BYTES], len: 0 };
        let kind = if attachments == 0 { plain } else { binary };
        prefix.push(&[b'4', b'0' + kind as u8]);
        if attachments > 0 {
            prefix.push_number(attachments.into());
            prefix.push(b"-");
        }
        prefix.push_namespace(namespace);
        if let Some(id) = id {
            prefix.push_number(id);
        }
        prefix.push(b"[");
        prefix
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline]
    fn push_namespace(&mut self, namespace: &str) {
        if namespace != ROOT {
            self.push(namespace.as_bytes());
            self.push(b",");
        }
    }

    #[inline]
    fn push_number(&mut self, mut number: u64) {
        let mut digits = [0; MAX_NUMBER_DIGITS];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.push(&digits[start..]);
            }
        }
    }
}

/// The text in front of an event's name: `42[`, `42/admin,17[`, `451-[`. With an `id` the receiver may answer.
///
/// # Panics
/// When `namespace` is longer than [`MAX_NAMESPACE_BYTES`]; no parsed one is.
#[inline]
#[must_use]
pub fn event(attachments: u32, namespace: &str, id: Option<u64>) -> Prefix {
    Prefix::list(PacketType::Event, PacketType::BinaryEvent, attachments, namespace, id)
}

/// The text in front of an ack's arguments: `4317[`, `461-/admin,17[`.
///
/// # Panics
/// When `namespace` is longer than [`MAX_NAMESPACE_BYTES`]; no parsed one is.
#[inline]
#[must_use]
pub fn ack(attachments: u32, namespace: &str, id: u64) -> Prefix {
    Prefix::list(PacketType::Ack, PacketType::BinaryAck, attachments, namespace, Some(id))
}

/// That a client has joined, for protocol 4: `40`. Clients of protocol 4 are joined to `/` without asking.
///
/// # Panics
/// When `namespace` is longer than [`MAX_NAMESPACE_BYTES`]; no parsed one is.
#[must_use]
pub fn connect(namespace: &str) -> Prefix {
    Prefix::new(PacketType::Connect, namespace)
}

/// That a client has left, or must: `41`.
///
/// # Panics
/// When `namespace` is longer than [`MAX_NAMESPACE_BYTES`]; no parsed one is.
#[must_use]
pub fn disconnect(namespace: &str) -> Prefix {
    Prefix::new(PacketType::Disconnect, namespace)
}

/// Appends that a client has joined, for protocol 5: `40{"sid":"…"}`.
pub fn push_connect_with_sid(out: &mut Vec<u8>, namespace: &str, sid: &str) {
    push_head(out, b"40", namespace);
    out.extend_from_slice(br#"{"sid":"#);
    escape::push_string(out, sid);
    out.push(b'}');
}

/// Appends an error, for protocol 4: `44"…"`.
pub fn push_error(out: &mut Vec<u8>, namespace: &str, message: &str) {
    push_head(out, b"44", namespace);
    escape::push_string(out, message);
}

/// Appends that a client cannot join, for protocol 5: `44{"message":"…"}`.
pub fn push_connect_error(out: &mut Vec<u8>, namespace: &str, message: &str) {
    push_head(out, b"44", namespace);
    out.extend_from_slice(br#"{"message":"#);
    escape::push_string(out, message);
    out.push(b'}');
}

fn push_head(out: &mut Vec<u8>, head: &[u8], namespace: &str) {
    out.extend_from_slice(head);
    if namespace != ROOT {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}

/// Digits of the largest 64-bit number.
const MAX_NUMBER_DIGITS: usize = 20;

/// `45`, a 32-bit number, `-`, a namespace, `,`, a 64-bit number, `[`.
const MAX_PREFIX_BYTES: usize = 2 + 10 + 1 + MAX_NAMESPACE_BYTES + 1 + MAX_NUMBER_DIGITS + 1;
