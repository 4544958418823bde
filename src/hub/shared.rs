//! Channels that reach other machines: under which key they are known there, and what happened to them here. Layer 2: no
//! wire format, and no opinion about whom to link with (see `discovery`).
//!
//! A channel's key is HMAC-SHA-256 over its path, keyed with the secret, or with nothing where there is none. It stands
//! for the name wherever others may listen: whoever has the secret recognises the names that it knows already, and
//! nobody gets a name from a key but by trying names with the secret in hand.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::SessionId;
use super::channels::ChannelId;
use crate::config::Secret;

/// Paths of channels that are shared begin with one of these.
pub const PREFIXES: [&str; 2] = ["/broadcast/", "/network/"];

/// Keeps keys apart from everything else that is hashed with the same secret.
const KEY_DOMAIN: &[u8] = b"jackfield channel\0";

/// 256 bits that stand for a channel's path.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelKey([u8; 32]);

/// 128 random bits that name one run of one server.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InstanceId([u8; 16]);

macro_rules! hexadecimal {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// These bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Reads what [`Display`](fmt::Display) writes, and nothing else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.as_bytes();
                if digits.len() != 2 * $bytes {
                    return None;
                }
                let mut bytes = [0; $bytes];
                for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
                    let [high, low] = pair.map(digit);
                    *byte = high? << 4 | low?;
                }
                Some(Self(bytes))
            }

            /// The bytes.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hexadecimal!(ChannelKey, 32);
hexadecimal!(InstanceId, 16);

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// What happened that others may have to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// A shared channel got its first member of this machine.
    Up(ChannelKey, Arc<str>),
    /// It lost the last one.
    Down(ChannelKey),
    /// The other end of a link has left its channel with no member there; or the first came.
    Deserted(SessionId, bool),
    /// This link carries its channel from now on.
    Linked(SessionId),
}

/// What channels have to do with other machines.
#[derive(Debug)]
pub struct Sharing {
    id: InstanceId,
    secret: Option<Secret>,
    pub(super) by_key: HashMap<ChannelKey, ChannelId>,
    /// Which server is linked to which channel already; invariant: at most one link for each pair of them.
    pub(super) linked: HashMap<(ChannelKey, InstanceId), SessionId>,
    news: VecDeque<News>,
}

impl Sharing {
    /// Nothing shared yet, by a server of this name.
    #[must_use]
    pub fn new(id: InstanceId, secret: Option<&[u8]>) -> Self {
        let secret = secret.map(Secret::new);
        Self { id, secret, by_key: HashMap::new(), linked: HashMap::new(), news: VecDeque::new() }
    }

    /// This server.
    #[must_use]
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// The secret, if there is one.
    #[must_use]
    pub fn secret(&self) -> Option<&[u8]> {
        self.secret.as_ref().map(Secret::bytes)
    }

    /// The key of a channel.
    #[must_use]
    pub fn key(&self, path: &str) -> ChannelKey {
        let secret = self.secret().unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.update(KEY_DOMAIN);
        mac.update(path.as_bytes());
        ChannelKey(mac.finalize().into_bytes().into())
    }

    /// The key of a channel that others may hear of; `None` for those of this machine alone.
    pub(super) fn key_if_shared(&self, path: &str) -> Option<ChannelKey> {
        PREFIXES.iter().any(|prefix| path.starts_with(prefix)).then(|| self.key(path))
    }

    /// The link of this channel with this server.
    #[must_use]
    pub fn link(&self, key: ChannelKey, with: InstanceId) -> Option<SessionId> {
        self.linked.get(&(key, with)).copied()
    }

    /// Notes what happened.
    pub fn tell(&mut self, news: News) {
        self.news.push_back(news);
    }

    /// What happened, oldest first.
    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_the_path_and_on_the_secret() {
        let id = InstanceId::new([1; 16]);
        let sharings = [None, Some(&b"a secret"[..]), Some(&b"another"[..])].map(|secret| Sharing::new(id, secret));
        let paths = ["/broadcast/a", "/broadcast/b", "/network/a"];
        let keys: std::collections::BTreeSet<_> =
            sharings.iter().flat_map(|sharing| paths.map(|path| sharing.key(path))).collect();
        assert_eq!(keys.len(), 9);
        assert_eq!(sharings[0].key("/broadcast/a"), Sharing::new(InstanceId::new([2; 16]), None).key("/broadcast/a"));
        assert!(sharings[0].key_if_shared("/local/a").is_none());
        assert!(sharings[0].key_if_shared("/broadcast/a").is_some());
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let id = InstanceId::new([0x0F, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xFF]);
        let text = id.to_string();
        assert_eq!(text, "0f0102030405060708090a0b0c0d0eff");
        assert_eq!(InstanceId::parse(&text), Some(id));
        for text in ["", "0", &text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('f', "g")] {
            assert_eq!(InstanceId::parse(text), None, "{text}");
        }
    }
}
