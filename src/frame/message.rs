//! One whole message, with room in front of its payload for the header of its onward journey.
//!
//! A client's frame header carries a 4-byte masking key and ours never does, so the header we send is always at least
//! four bytes shorter than the one we received: [`Message::reframe`] writes it into the bytes just before the payload
//! and no payload byte moves. Layer 0: knows frames, not who sends or receives them.

use std::ops::Range;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// The longest header that a server sends: two bytes and a 64-bit length (RFC 6455 §5.2).
pub const HEADROOM: usize = 10;

/// What a data message carries (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// UTF-8, already checked.
    Text,
    /// Any bytes.
    Binary,
}

impl Kind {
    /// The opcode of this kind's first frame.
    #[must_use]
    pub fn opcode(self) -> OpCode {
        OpCode::Data(match self {
            Self::Text => Data::Text,
            Self::Binary => Data::Binary,
        })
    }
}

/// A complete, unmasked, checked message: where it was received, or in a buffer of its own.
#[derive(Debug)]
pub struct Message<'m> {
    kind: Kind,
    bytes: Bytes<'m>,
    /// Where the payload lies; invariant: `header length ≤ start ≤ end ≤ bytes.len()`.
    payload: Range<usize>,
}

#[derive(Debug)]
enum Bytes<'m> {
    InPlace(&'m mut [u8]),
    Owned(Vec<u8>),
}

/// A message that carries its own header now, ready to be written as it is.
#[derive(Debug)]
pub enum Framed<'m> {
    /// A finished frame inside the buffer it was received in.
    InPlace(&'m [u8]),
    /// A finished frame in the given part of a buffer of its own.
    Owned(Vec<u8>, Range<usize>),
}

impl<'m> Message<'m> {
    /// A message whose payload is `bytes[head..]`, with at least as many spare bytes before it as its header needs.
    #[must_use]
    pub fn in_place(kind: Kind, bytes: &'m mut [u8], head: usize) -> Self {
        let payload = head..bytes.len();
        debug_assert!(header_len(payload.len()) <= head);
        Self { kind, bytes: Bytes::InPlace(bytes), payload }
    }

    /// A message whose payload is `bytes[payload]` in a buffer of its own; same rule.
    #[must_use]
    pub fn owned(kind: Kind, bytes: Vec<u8>, payload: Range<usize>) -> Self {
        debug_assert!(header_len(payload.len()) <= payload.start);
        Self { kind, bytes: Bytes::Owned(bytes), payload }
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The unmasked payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match &self.bytes {
            Bytes::InPlace(bytes) => &bytes[self.payload.clone()],
            Bytes::Owned(bytes) => &bytes[self.payload.clone()],
        }
    }

    /// The buffer of its own, if it has one.
    #[must_use]
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        match self.bytes {
            Bytes::InPlace(_) => None,
            Bytes::Owned(bytes) => Some(bytes),
        }
    }

    /// Writes a server's header for a single final frame into the bytes before the payload (RFC 6455 §5.2).
    #[must_use]
    pub fn reframe(self) -> Framed<'m> {
        let Self { kind, bytes, payload } = self;
        match bytes {
            Bytes::InPlace(bytes) => {
                let start = write_header(bytes, &payload, kind);
                Framed::InPlace(&bytes[start..payload.end])
            }
            Bytes::Owned(mut bytes) => {
                let start = write_header(&mut bytes, &payload, kind);
                Framed::Owned(bytes, start..payload.end)
            }
        }
    }
}

/// Puts the header of `bytes[payload]` right before it and returns where it starts.
#[inline]
fn write_header(bytes: &mut [u8], payload: &Range<usize>, kind: Kind) -> usize {
    let start = payload.start - header_len(payload.len());
    let header = FrameHeader { opcode: kind.opcode(), ..FrameHeader::default() };
    header
        .format(payload.len() as u64, &mut &mut bytes[start..payload.start])
        .expect("the space is exactly the header's length");
    start
}

/// Bytes of a server's header for a payload of `len` bytes (RFC 6455 §5.2).
#[must_use]
pub const fn header_len(len: usize) -> usize {
    match len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}
