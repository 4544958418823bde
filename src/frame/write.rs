//! Frames that we write ourselves: headers and control frames. Layer 0.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, OpCode};

use super::close::write_close;
use super::message::Kind;
use super::split::MAX_CONTROL_BYTES;

/// Appends the header of a single, final, unmasked frame (RFC 6455 §5.2).
pub fn push_header(out: &mut Vec<u8>, opcode: OpCode, payload_len: usize) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    header.format(payload_len as u64, out).expect("writing to memory does not fail");
}

/// Appends the header of a data message.
pub fn push_data_header(out: &mut Vec<u8>, kind: Kind, payload_len: usize) {
    push_header(out, kind.opcode(), payload_len);
}

/// Appends a whole control frame; `payload` has at most 125 bytes.
pub fn push_control(out: &mut Vec<u8>, control: Control, payload: &[u8]) {
    debug_assert!(payload.len() <= MAX_CONTROL_BYTES);
    push_header(out, OpCode::Control(control), payload.len());
    out.extend_from_slice(payload);
}

/// Appends a Close frame; without a code its payload is empty.
pub fn push_close(out: &mut Vec<u8>, code: Option<CloseCode>, reason: &str) {
    let mut payload = [0; MAX_CONTROL_BYTES];
    let len = code.map_or(0, |code| write_close(&mut payload, code, reason));
    push_control(out, Control::Close, &payload[..len]);
}
