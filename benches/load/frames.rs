//! Frames as a client sees them: its own leave masked, the server's arrive in any pieces.
//!
//! Payloads are handed on as they arrive, so that a large message is checked where it was received and copied nowhere.

use crate::Outcome;

/// The longest payload of a control frame (RFC 6455 §5.5).
const MAX_CONTROL_BYTES: u64 = 125;

/// The longest header of a server's frame.
const MAX_HEADER_BYTES: usize = 10;

/// Opcodes (RFC 6455 §5.2).
pub(crate) mod opcode {
    pub(crate) const TEXT: u8 = 0x1;
    pub(crate) const BINARY: u8 = 0x2;
    pub(crate) const CLOSE: u8 = 0x8;
    pub(crate) const PING: u8 = 0x9;
    pub(crate) const PONG: u8 = 0xA;
}

/// Appends a final frame of `len` bytes that `write` appends; with a key it is masked.
pub(crate) fn append(out: &mut Vec<u8>, opcode: u8, key: Option<u32>, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    out.push(0x80 | opcode);
    match len {
        0..=125 => out.push(mask_bit | len as u8),
        126..=0xFFFF => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let key = key.map(u32::to_ne_bytes);
    out.extend_from_slice(key.as_ref().map_or(&[], |key| &key[..]));
    let start = out.len();
    write(out);
    debug_assert_eq!(out.len() - start, len, "the header names the payload's length");
    if let Some(key) = key {
        mask(&mut out[start..], key);
    }
}

fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(key));
    let word = word << 32 | word;
    let mut words = bytes.chunks_exact_mut(8);
    for chunk in &mut words {
        let masked = u64::from_ne_bytes(chunk.try_into().expect("chunks_exact yields eight bytes")) ^ word;
        chunk.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Some of what a server sent.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// A part of a message: where in the message it lies, and whether it is the last.
    Data { is_text: bool, at: usize, bytes: &'a [u8], is_last: bool },
    /// A control frame.
    Control { opcode: u8, payload: Vec<u8> },
}

/// Takes frames apart.
#[derive(Default)]
pub(crate) struct Reader {
    header: [u8; MAX_HEADER_BYTES],
    header_len: usize,
    /// The frame in progress.
    frame: Option<Frame>,
    /// The message in progress: its opcode and the bytes handed on.
    message: Option<(u8, usize)>,
    control: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Frame {
    is_final: bool,
    opcode: u8,
    remaining: u64,
}

impl Reader {
    /// Takes the next piece off the front of `input`; `None` when more must arrive first.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Outcome<Option<Piece<'a>>> {
        loop {
            let Some(frame) = self.frame else {
                let Some(frame) = self.begin(input)? else { return Ok(None) };
                self.frame = Some(frame);
                continue;
            };
            if input.is_empty() && frame.remaining > 0 {
                return Ok(None);
            }
            let len = usize::try_from(frame.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
            let (bytes, rest) = input.split_at(len);
            *input = rest;
            let remaining = frame.remaining - len as u64;
            self.frame = (remaining > 0).then_some(Frame { remaining, ..frame });
            if frame.opcode >= opcode::CLOSE {
                self.control.extend_from_slice(bytes);
                if remaining > 0 {
                    return Ok(None);
                }
                return Ok(Some(Piece::Control { opcode: frame.opcode, payload: std::mem::take(&mut self.control) }));
            }
            let (kind, at) = self.message.unwrap_or((frame.opcode, 0));
            let is_last = frame.is_final && remaining == 0;
            self.message = (!is_last).then_some((kind, at + len));
            return Ok(Some(Piece::Data { is_text: kind == opcode::TEXT, at, bytes, is_last }));
        }
    }

    /// Reads a header; `None` while it is incomplete.
    fn begin(&mut self, input: &mut &[u8]) -> Outcome<Option<Frame>> {
        loop {
            let needed = match (self.header_len, self.header[1] & 0x7F) {
                (0 | 1, _) => 2,
                (_, 126) => 4,
                (_, 127) => 10,
                _ => 2,
            };
            if self.header_len == needed {
                break;
            }
            let taken = (needed - self.header_len).min(input.len());
            if taken == 0 {
                return Ok(None);
            }
            let (bytes, rest) = input.split_at(taken);
            self.header[self.header_len..self.header_len + taken].copy_from_slice(bytes);
            self.header_len += taken;
            *input = rest;
        }
        let [first, second, a, b, c, d, e, f, g, h] = self.header;
        let remaining = match second & 0x7F {
            126 => u64::from(u16::from_be_bytes([a, b])),
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            short => u64::from(short),
        };
        self.header_len = 0;
        let frame = Frame { is_final: first & 0x80 != 0, opcode: first & 0x0F, remaining };
        let is_continuation = frame.opcode == 0;
        if first & 0x70 != 0 || second & 0x80 != 0 {
            return Err(
                format!("the server's frame {first:02x} {second:02x} is masked or has reserved bits set").into()
            );
        }
        match frame.opcode {
            0..=opcode::BINARY if is_continuation == self.message.is_some() => Ok(Some(frame)),
            opcode::CLOSE..=opcode::PONG if frame.is_final && remaining <= MAX_CONTROL_BYTES => Ok(Some(frame)),
            _ => Err(format!("the server's frame {first:02x} {second:02x} has no place here").into()),
        }
    }
}
