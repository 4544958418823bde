//! Names of sessions: the slot in the server's table, and the key by which other clients find one, with its
//! generator. Layer 2; who holds which key is known in [`pairs`](super::pairs).

use std::fmt;

/// A session's slot in the server's session table. It is recycled only after the event batch in which the session
/// ended, so within a batch it never means somebody else.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub u32);

/// A session's public name: up to 32 lower-case hexadecimal digits, which people read to each other.
///
/// The original's have one to eight digits, as it drops leading zeros (sock-share `server.py`); clients treat them as
/// opaque.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    /// Two digits in each byte, the first one in the high half. Invariant: what lies behind `digits` is zero.
    nibbles: [u8; MAX_DIGITS / 2],
    /// Invariant: `1 ≤ digits ≤ MAX_DIGITS`.
    digits: u8,
}

impl Key {
    /// Reads a key as [`Display`](fmt::Display) writes it; upper case is not accepted, as in the original.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_DIGITS {
            return None;
        }
        let mut nibbles = [0; MAX_DIGITS / 2];
        for (at, digit) in text.bytes().enumerate() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            nibbles[at / 2] |= if at % 2 == 0 { value << 4 } else { value };
        }
        Some(Self { nibbles, digits: text.len() as u8 })
    }

    /// The first `digits` digits of `random`; at least one, at most 32.
    #[must_use]
    pub fn from_random(mut random: [u8; MAX_DIGITS / 2], digits: u8) -> Self {
        let digits = digits.clamp(1, MAX_DIGITS as u8);
        let used = usize::from(digits);
        random[used.div_ceil(2)..].fill(0);
        if used % 2 == 1 {
            random[used / 2] &= 0xF0;
        }
        Self { nibbles: random, digits }
    }

    /// The key as it is written, on the stack.
    #[must_use]
    pub fn text(&self) -> KeyText {
        let mut digits = [0; MAX_DIGITS];
        for (pair, nibbles) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.nibbles) {
            *pair = [nibbles >> 4, nibbles & 0xF].map(|nibble| DIGITS[usize::from(nibble)]);
        }
        KeyText { digits, len: self.digits }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_str())
    }
}

/// A written key.
#[derive(Clone, Copy, Debug)]
pub struct KeyText {
    /// Invariant: all ASCII.
    digits: [u8; MAX_DIGITS],
    len: u8,
}

impl KeyText {
    /// The digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.len)]
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("hexadecimal digits are ASCII")
    }
}

/// Where keys come from.
#[derive(Debug, Default)]
pub struct KeySource(Randomness);

#[derive(Debug, Default)]
enum Randomness {
    #[default]
    System,
    /// SplitMix64's state.
    Seeded(u64),
}

impl KeySource {
    /// Keys that follow from `seed` alone and that anybody can foretell: for tests, fuzzing and simulation.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Randomness::Seeded(seed))
    }

    /// A fresh key, which may be taken already.
    ///
    /// # Errors
    /// When the system's generator fails, as it may where it is locked away from this process.
    pub fn key(&mut self, digits: u8) -> Result<Key, getrandom::Error> {
        let mut random = [0; MAX_DIGITS / 2];
        match &mut self.0 {
            Randomness::System => getrandom::fill(&mut random)?,
            Randomness::Seeded(state) => {
                for bytes in random.as_chunks_mut().0 {
                    *bytes = split_mix(state).to_le_bytes();
                }
            }
        }
        Ok(Key::from_random(random, digits))
    }
}

/// The next number of SplitMix64 (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// 128 bits, which nobody guesses.
pub const MAX_DIGITS: usize = 32;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests;
