//! *bare WS*: the least that makes a WebSocket relay. A handshake, masking off, headers rewritten, frames passed on as
//! they arrive, complete or not.
//!
//! A client's header carries a four-byte key that ours does not, so what leaves is always shorter than what came: a
//! whole burst is unmasked *towards the front* and leaves as one contiguous slice. Control frames travel like data,
//! except Close, which is answered. As frames are cut through, two members of a fan-out must not send at once.
//!
//! In a bridge the client's headers are taken off instead, and what a read of the target brings becomes one binary
//! frame.
//!
//! Clients of one path are a group. Under `/receipt/` each message also writes a frame back to its sender, which are
//! the two writes of a webshare relay without its JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::{Step, Wire};

/// What a sender under `/receipt/` gets for each message, header included: the frame that webshare answers a relay with.
pub(crate) const RECEIPT: &[u8] = b"\x81\x59{\"ok\":true,\"code\":\"RELAY_SENT\",\"body\":null,\"command\":\"relay\",\
    \"echo\":{\"callbackId\":\"abc\"}}";

/// Where senders get receipts.
const RECEIPT_PATHS: &[u8] = b"/receipt/";

/// Bytes of the answer to an opening handshake.
pub(crate) const ANSWER_BYTES: usize = ANSWER.len() + 28 + 4;

const ANSWER: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A longer request is not one of the generator's.
const MAX_REQUEST_BYTES: usize = 4096;

/// A header that is incomplete has at most this many bytes.
const MAX_KEPT_BYTES: usize = 13;

/// The longest header that leaves.
const MAX_HEADER_BYTES: usize = 10;

/// Bytes that are unmasked at once while they move.
const BLOCK_BYTES: usize = 64;

/// One connection.
pub(crate) enum Bare {
    /// The request as far as it is there.
    Opening(Vec<u8>),
    Open(Frames),
    /// The far end of a bridge, which speaks no WebSocket.
    Target,
}

/// Where in the frames a connection is.
pub(crate) struct Frames {
    /// Payload of the frame in progress that has not arrived.
    remaining: u64,
    /// The key as it applies to the next byte.
    key: [u8; 4],
    kept: [u8; MAX_KEPT_BYTES],
    kept_len: u8,
    gives_receipts: bool,
    /// Payload leaves without headers.
    leads_to_target: bool,
}

impl Default for Bare {
    fn default() -> Self {
        Self::Opening(Vec::new())
    }
}

impl Wire for Bare {
    const GROUPS_ON_ACCEPT: bool = false;

    fn target() -> Self {
        Self::Target
    }

    fn lead_to_target(&mut self) {
        if let Self::Open(frames) = self {
            frames.leads_to_target = true;
        }
    }

    fn restore(&mut self, scratch: &mut [u8]) -> usize {
        let kept = match self {
            Self::Opening(request) => &request[..],
            Self::Open(frames) => &frames.kept[..usize::from(std::mem::take(&mut frames.kept_len))],
            // Room for the header.
            Self::Target => return MAX_HEADER_BYTES,
        };
        scratch[..kept.len()].copy_from_slice(kept);
        kept.len()
    }

    fn on_bytes(&mut self, bytes: &mut [u8], receipts: &mut Vec<u8>) -> Step {
        match self {
            Self::Open(frames) => frames.on_bytes(bytes, receipts),
            Self::Target => {
                let len = (bytes.len() - MAX_HEADER_BYTES) as u64;
                let start = MAX_HEADER_BYTES - outgoing_header_bytes(len);
                write_header(&mut bytes[start..], 0x82, len);
                Step::Forward { range: start..bytes.len(), is_last: false }
            }
            Self::Opening(request) => {
                let step = open(bytes);
                match &step {
                    Step::Join { path, .. } => {
                        *self = Self::Open(Frames {
                            remaining: 0,
                            key: [0; 4],
                            kept: [0; MAX_KEPT_BYTES],
                            kept_len: 0,
                            gives_receipts: path.starts_with(RECEIPT_PATHS),
                            leads_to_target: false,
                        });
                    }
                    _ => {
                        request.clear();
                        request.extend_from_slice(bytes);
                    }
                }
                step
            }
        }
    }
}

/// Reads the request of an opening handshake. A client that speaks before it was answered is refused.
fn open(bytes: &[u8]) -> Step {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
        Ok(httparse::Status::Partial) if bytes.len() < MAX_REQUEST_BYTES => return Step::Wait,
        _ => return Step::Refuse,
    }
    let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
    let (Some(path), Some(key)) = (request.path, key) else { return Step::Refuse };
    let digest = Sha1::new().chain_update(key.value).chain_update(GUID).finalize();
    let mut answer = [0; ANSWER_BYTES];
    answer[..ANSWER.len()].copy_from_slice(ANSWER);
    if STANDARD.encode_slice(digest, &mut answer[ANSWER.len()..]).is_err() {
        return Step::Refuse;
    }
    answer[ANSWER_BYTES - 4..].copy_from_slice(b"\r\n\r\n");
    Step::Join { path: path.as_bytes().into(), answer }
}

impl Frames {
    fn on_bytes(&mut self, bytes: &mut [u8], receipts: &mut Vec<u8>) -> Step {
        let filled = bytes.len();
        // Payload of a frame whose header has left: it lies at the front and stays there.
        let mut read = self.payload(bytes, 0, 0);
        let mut start = 0;
        let mut end = read;
        if read > 0 && self.remaining == 0 {
            self.receipt(receipts);
        }
        while read < filled {
            let Some((header, len, key)) = parse(&bytes[read..filled]) else {
                self.keep(&bytes[read..filled]);
                break;
            };
            let first = bytes[read];
            if first & 0x0F == 0x8 {
                receipts.extend_from_slice(&[0x88, 0]);
                return Step::Forward { range: start..end, is_last: true };
            }
            let from = read + header;
            if end == start {
                // The first frame to leave does not move: its header goes just before its payload.
                start = if self.leads_to_target { from } else { from - outgoing_header_bytes(len) };
                end = start;
            }
            if !self.leads_to_target {
                end += write_header(&mut bytes[end..], first, len);
            }
            self.remaining = len;
            self.key = key;
            let arrived = self.payload(bytes, from, end);
            read = from + arrived;
            end += arrived;
            if self.remaining == 0 {
                self.receipt(receipts);
            }
        }
        Step::Forward { range: start..end, is_last: false }
    }

    /// Unmasks what is there of the frame's payload from `from` on and moves it to `to`. Says how much that was.
    fn payload(&mut self, bytes: &mut [u8], from: usize, to: usize) -> usize {
        let there = bytes.len() - from;
        let len = usize::try_from(self.remaining).map_or(there, |remaining| remaining.min(there));
        unmask(&mut bytes[to..from + len], from - to, self.key);
        self.key.rotate_left(len % 4);
        self.remaining -= len as u64;
        len
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept[..bytes.len()].copy_from_slice(bytes);
        // At most MAX_KEPT_BYTES: a longer header is complete.
        self.kept_len = bytes.len() as u8;
    }

    fn receipt(&self, receipts: &mut Vec<u8>) {
        if self.gives_receipts {
            receipts.extend_from_slice(RECEIPT);
        }
    }
}

/// Length of the header, of the payload, and the key; `None` while the header is incomplete.
fn parse(bytes: &[u8]) -> Option<(usize, u64, [u8; 4])> {
    let (len, at) = match bytes.get(1)? & 0x7F {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    Some((at + 4, len, bytes.get(at..at + 4)?.try_into().ok()?))
}

fn outgoing_header_bytes(len: u64) -> usize {
    match len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// Writes the header of an unmasked frame and says how long it is.
fn write_header(to: &mut [u8], first: u8, len: u64) -> usize {
    to[0] = first;
    match outgoing_header_bytes(len) {
        2 => {
            to[1] = len as u8;
            2
        }
        4 => {
            to[1] = 126;
            to[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        }
        header => {
            to[1] = 127;
            to[2..10].copy_from_slice(&len.to_be_bytes());
            header
        }
    }
}

/// Unmasks `bytes[shift..]` and moves it to the front of `bytes`, in one pass.
fn unmask(bytes: &mut [u8], shift: usize, key: [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(key));
    let word = word << 32 | word;
    if shift == 0 {
        let mut words = bytes.chunks_exact_mut(8);
        for chunk in &mut words {
            let plain = u64::from_ne_bytes(chunk.try_into().expect("chunks_exact yields eight bytes")) ^ word;
            chunk.copy_from_slice(&plain.to_ne_bytes());
        }
        for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
        return;
    }
    let len = bytes.len() - shift;
    let mut at = 0;
    // A block is loaded before it is stored, and what it overwrites beyond itself was loaded before it.
    while at + BLOCK_BYTES <= len {
        let block = &bytes[at + shift..at + shift + BLOCK_BYTES];
        let mut plain = [0; BLOCK_BYTES];
        for (to, from) in plain.chunks_exact_mut(8).zip(block.chunks_exact(8)) {
            let from = u64::from_ne_bytes(from.try_into().expect("chunks_exact yields eight bytes"));
            to.copy_from_slice(&(from ^ word).to_ne_bytes());
        }
        bytes[at..at + BLOCK_BYTES].copy_from_slice(&plain);
        at += BLOCK_BYTES;
    }
    while at + 8 <= len {
        let from: [u8; 8] = bytes[at + shift..at + shift + 8].try_into().expect("a range of eight bytes");
        bytes[at..at + 8].copy_from_slice(&(u64::from_ne_bytes(from) ^ word).to_ne_bytes());
        at += 8;
    }
    for at in at..len {
        bytes[at] = bytes[at + shift] ^ key[at % 4];
    }
}
