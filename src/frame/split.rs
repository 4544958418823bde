//! The header of a received frame and every rule that RFC 6455 §5 puts on it. Layer 0.
//!
//! tungstenite reads the header; it refuses reserved opcodes and nothing else, so masking, reserved bits, the shape of
//! control frames and of lengths are checked here. What a frame means for its message is [`super::assemble`]'s work.

use std::fmt;
use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::mask::MaskingKey;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL_BYTES: usize = 125;

/// The longest header a client sends: two bytes, a 64-bit length, a masking key (RFC 6455 §5.2).
pub const MAX_HEADER_BYTES: usize = 14;

/// Who sent a frame, which decides whether it must or must not be masked (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sender {
    /// Masks every frame.
    #[default]
    Client,
    /// Masks none.
    Server,
}

/// A checked header.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Whether the frame ends its message.
    pub is_final: bool,
    /// What the frame is; never a reserved opcode.
    pub opcode: OpCode,
    /// For the payload that follows; all zero from a server.
    pub key: MaskingKey,
    /// Bytes of this header.
    pub header_len: usize,
    /// Bytes of payload; below 2^63, and at most 125 for control frames.
    pub payload_len: u64,
}

impl Head {
    /// Reads the header of a client's frame at the front of `bytes`; `None` while it is incomplete.
    ///
    /// # Errors
    /// The rule that the header breaks, as soon as the bytes that break it are there.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        Self::parse_from(Sender::Client, bytes)
    }

    /// As [`parse`](Self::parse), for a frame of `sender`.
    ///
    /// # Errors
    /// The rule that the header breaks, as soon as the bytes that break it are there.
    #[inline]
    pub fn parse_from(sender: Sender, bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let &[first, second, ..] = bytes else { return Ok(None) };
        // Decided by the first two bytes, so that a bad frame is refused before its header is complete.
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        match (sender, second & 0x80 == 0) {
            (Sender::Client, true) => return Err(Violation::Unmasked),
            (Sender::Server, false) => return Err(Violation::Masked),
            _ => {}
        }
        let opcode = OpCode::from(first & 0x0F);
        match opcode {
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                return Err(Violation::ReservedOpcode);
            }
            OpCode::Control(_) if first & 0x80 == 0 => return Err(Violation::FragmentedControl),
            OpCode::Control(_) if usize::from(second & 0x7F) > MAX_CONTROL_BYTES => {
                return Err(Violation::LongControl);
            }
            _ => {}
        }
        let mut cursor = Cursor::new(bytes);
        let Ok(Some((header, payload_len))) = FrameHeader::parse(&mut cursor) else { return Ok(None) };
        // RFC 6455 §5.2: "the minimal number of bytes MUST be used", and the top bit of 64 is zero.
        let is_minimal = match second & 0x7F {
            126 => payload_len > 125,
            127 => payload_len > 0xFFFF && payload_len >> 63 == 0,
            _ => true,
        };
        if !is_minimal {
            return Err(Violation::BadLength);
        }
        Ok(Some(Self {
            is_final: header.is_final,
            opcode,
            key: MaskingKey::new(header.mask.unwrap_or_default()),
            header_len: usize::try_from(cursor.position()).expect("a header has at most 14 bytes"),
            payload_len,
        }))
    }
}

/// What a client did that ends its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Violation {
    /// A reserved bit is set though no extension was negotiated (§5.2).
    ReservedBits,
    /// An opcode without a meaning (§5.2).
    ReservedOpcode,
    /// A client's frame without a masking key (§5.1).
    Unmasked,
    /// A server's frame with a masking key (§5.1).
    Masked,
    /// A control frame that is not final (§5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes (§5.5).
    LongControl,
    /// A length in more bytes than it needs, or with the top bit set (§5.2).
    BadLength,
    /// A continuation without a message to continue (§5.4).
    StrayContinuation,
    /// A new message inside a fragmented one (§5.4).
    UnfinishedMessage,
    /// Text that is not UTF-8 (§8.1).
    InvalidText,
    /// A close payload of one byte, or with a code that must not be sent (§5.5.1, §7.4).
    BadClose,
    /// A message longer than the limit.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message of more fragments than the limit.
    TooManyFragments {
        /// The limit.
        limit: u32,
    },
    /// More control frames than the limit allows.
    TooManyControls,
}

impl Violation {
    /// The status of the Close frame that answers it (RFC 6455 §7.4.1).
    #[must_use]
    pub fn code(self) -> CloseCode {
        match self {
            Self::InvalidText => CloseCode::Invalid,
            Self::TooLong { .. } => CloseCode::Size,
            Self::TooManyFragments { .. } | Self::TooManyControls => CloseCode::Policy,
            _ => CloseCode::Protocol,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("a reserved bit is set and no extension was negotiated"),
            Self::ReservedOpcode => f.write_str("reserved opcode"),
            Self::Unmasked => f.write_str("a client's frames must be masked"),
            Self::Masked => f.write_str("a server's frames must not be masked"),
            Self::FragmentedControl => f.write_str("a control frame must not be fragmented"),
            Self::LongControl => f.write_str("a control frame carries at most 125 bytes"),
            Self::BadLength => f.write_str("a payload length is not in its shortest form"),
            Self::StrayContinuation => f.write_str("a continuation without a message to continue"),
            Self::UnfinishedMessage => f.write_str("a new message inside a fragmented one"),
            Self::InvalidText => f.write_str("text is not valid UTF-8"),
            Self::BadClose => f.write_str("a close payload is malformed"),
            Self::TooLong { limit } => write!(f, "a message is longer than {limit} bytes (--max-message)"),
            Self::TooManyFragments { limit } => {
                write!(f, "a message has more than {limit} fragments (--max-fragments)")
            }
            Self::TooManyControls => f.write_str("too many control frames (--control-rate, --control-burst)"),
        }
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::{Head, Sender, Violation};

    #[test]
    fn a_header_is_complete_with_its_last_byte() {
        let header = [0x82, 0xFE, 0x01, 0x00, 1, 2, 3, 4];
        for len in 0..header.len() {
            assert!(matches!(Head::parse(&header[..len]), Ok(None)), "{len} bytes");
        }
        let head = Head::parse(&header).ok().flatten().expect("complete");
        assert_eq!((head.header_len, head.payload_len, head.is_final), (8, 256, true));
    }

    #[test]
    fn a_server_does_not_mask() {
        let parse = |bytes: &[u8]| Head::parse_from(Sender::Server, bytes);
        let head = parse(&[0x82, 0x7E, 0x01, 0x00]).ok().flatten().expect("complete");
        assert_eq!((head.header_len, head.payload_len), (4, 256));
        assert_eq!(parse(&[0x82, 0x80]).err(), Some(Violation::Masked));
    }

    #[test]
    fn each_rule_has_its_violation() {
        use Violation::*;
        for (bytes, violation) in [
            (&[0xC2, 0x80][..], ReservedBits),
            (&[0x92, 0x80], ReservedBits),
            (&[0x83, 0x80], ReservedOpcode),
            (&[0x8F, 0x80], ReservedOpcode),
            (&[0x81, 0x00], Unmasked),
            (&[0x09, 0x80], FragmentedControl),
            (&[0x89, 0xFE], LongControl),
            (&[0x82, 0xFE, 0, 125, 1, 2, 3, 4], BadLength),
            (&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4], BadLength),
            (&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4], BadLength),
        ] {
            assert_eq!(Head::parse(bytes).err(), Some(violation), "{bytes:x?}");
        }
    }
}
