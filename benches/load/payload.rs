//! What the messages of the load say, so that each can be checked to the byte.
//!
//! A payload begins with its sequence number and its group in sixteen hexadecimal digits, the least significant first,
//! so that the shortest payloads still tell neighbours apart; the rest is the same in all messages of a run.

use clap::ValueEnum;

/// Digits in front.
const HEAD_BYTES: usize = 16;

/// Of these, the ones that number the message.
const SEQUENCE_DIGITS: usize = 10;

/// What the bytes are.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Content {
    /// Any bytes, in binary messages.
    Binary,
    /// ASCII, in text messages.
    Ascii,
    /// Text of which about every fourth character needs two to four bytes.
    Mixed,
}

/// The payload of a run.
pub(crate) struct Payload {
    content: Content,
    bytes: Vec<u8>,
}

impl Payload {
    /// Payloads of this many bytes. Text has neither quotes nor backslashes, so that JSON carries it as it is.
    pub(crate) fn new(content: Content, size: usize) -> Self {
        let mut bytes = vec![b'0'; HEAD_BYTES.min(size)];
        match content {
            Content::Binary => {
                let mut random = Random::new(1);
                bytes.resize_with(size, || random.next() as u8);
            }
            Content::Ascii => {
                let letters =
                    b"the quick brown fox jumps over the lazy dog, 0123456789 times; ".iter().copied().cycle();
                bytes.extend(letters.take(size - bytes.len()));
            }
            Content::Mixed => {
                for character in "Grüße aus Köln: café à 3€, 日本語, πλ, 😀 ok; ".chars().cycle() {
                    if bytes.len() + character.len_utf8() > size {
                        break;
                    }
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                bytes.resize(size, b'.');
            }
        }
        Self { content, bytes }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_text(&self) -> bool {
        self.content != Content::Binary
    }

    /// Appends the payload of one message.
    pub(crate) fn write(&self, group: usize, sequence: u64, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(&self.bytes);
        let head = head(group, sequence);
        let len = HEAD_BYTES.min(self.bytes.len());
        to[start..start + len].copy_from_slice(&head[..len]);
    }

    /// Whether these are the bytes of that message from `at` on.
    pub(crate) fn matches(&self, group: usize, sequence: u64, at: usize, bytes: &[u8]) -> bool {
        let Some(expected) = self.bytes.get(at..at + bytes.len()) else { return false };
        let in_head = HEAD_BYTES.saturating_sub(at).min(bytes.len());
        (in_head == 0 || bytes[..in_head] == head(group, sequence)[at..at + in_head])
            && bytes[in_head..] == expected[in_head..]
    }
}

fn head(group: usize, sequence: u64) -> [u8; HEAD_BYTES] {
    let number = u128::from(sequence) | (group as u128) << (4 * SEQUENCE_DIGITS);
    std::array::from_fn(|digit| b"0123456789abcdef"[(number >> (4 * digit)) as usize & 0xF])
}

/// Masking keys and filling. Not for secrets.
pub(crate) struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// xorshift64*.
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }
}
