//! Who may do what: signed tokens, the keys they are checked with, what they permit, and which are revoked. Layer 0:
//! bytes, keys and the time go in, a [`Grant`] or a [`Refusal`] comes out. No file is read here, and no client is known.
//!
//! A token is a JWT (RFC 7519) that is signed with HS256 or Ed25519. What it permits stands in one claim of our name:
//!
//! ```json
//! {
//!   "iss": "https://login.example", "sub": "alice", "jti": "5f0c…", "aud": "jackfield",
//!   "nbf": 1700000000, "exp": 1700003600,
//!   "jackfield": {
//!     "pair": true,
//!     "publish": ["/local/demo", "/pocket/kitchen"],
//!     "subscribe": ["/local/*"],
//!     "device": ["lamp-1", "house.7.*"],
//!     "tcp": ["redis", "127.0.0.1:6379", "*.example.com:443"],
//!     "admin": false
//!   }
//! }
//! ```
//!
//! | claim | meaning |
//! |---|---|
//! | `exp` | needed; from this second on the token is worth nothing, also for sessions that are open |
//! | `nbf` | before this second it is worth nothing, up to [`LEEWAY`] for clocks that differ |
//! | `aud` | where it is there, `jackfield` must be it, or one of it |
//! | `iss` | must be the issuer of the key that signed it; with a key that has no issuer, absent |
//! | `sub` | who it is: a device's id is kept for whoever came with it (issuer and subject together) |
//! | `jti`, `sub` | what a list of revoked tokens names |
//! | `pair` | WebShare: a key of one's own, pairing, relaying |
//! | `publish`, `subscribe` | say and hear on names: `/local/…`, `/broadcast/…`, `/network/…`, `/pocket/ROOM` ([`Pattern`]) |
//! | `device` | ids under which one may be found over Socket.IO ([`Pattern`]) |
//! | `tcp` | targets of the bridge ([`TargetPattern`]), as far as the operator allows them at all |
//! | `admin` | what only the operator may see and do |
//!
//! What is not there is not permitted, and a member that we do not know makes the token worthless: it might be a
//! restriction. The header's `kid` names the key; without it, there must be only one. The key says which algorithm is
//! meant; the header's `alg` must agree. Signatures are compared in constant time, which is ring's work
//! (`ring::hmac::verify`).

mod crypto;
mod gate;
mod keys;
mod pattern;
mod revoked;
mod token;

pub use gate::{Gate, Permit};
pub use keys::{BadKey, KeyName, KeyRing, SigningKey};
pub use pattern::{BadPattern, Pattern, TargetPattern};
pub use revoked::{BadList, Revoked};
pub use token::{LEEWAY, MAX_TOKEN_BYTES, NOT_ACCEPTED, Order, Refusal};

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keys::Mark;

/// What somebody may do, and who that is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// What is permitted.
    pub rights: Rights,
    /// Who came with a token; `None` for what is permitted to anybody.
    pub holder: Option<Holder>,
}

/// Everything that can be permitted. The default is nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rights {
    /// WebShare.
    pub pair: bool,
    /// Names to say something on.
    pub publish: Vec<Pattern>,
    /// Names to hear something on.
    pub subscribe: Vec<Pattern>,
    /// Ids to be found under.
    pub device: Vec<Pattern>,
    /// TCP servers to reach.
    pub tcp: Vec<TargetPattern>,
    /// What is the operator's.
    pub admin: bool,
}

/// Whose token it is, as its verified claims say. No text in it has control characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// Who vouches for it.
    pub issuer: Option<Box<str>>,
    /// Who came with it.
    pub subject: Option<Box<str>>,
    /// The token's own name.
    pub id: Option<Box<str>>,
    /// The second since 1970 from which on it is worth nothing.
    pub expires: u64,
    key: Arc<Mark>,
}

impl Grant {
    /// What is permitted to those who come without a token.
    #[must_use]
    pub fn anonymous(rights: Rights) -> Self {
        Self { rights, holder: None }
    }

    /// Who this is, for the question whether two are the same: issuer and subject on a line each. `None` for those
    /// nobody vouches for by name.
    #[must_use]
    pub fn identity(&self) -> Option<Box<str>> {
        let holder = self.holder.as_ref()?;
        let subject = holder.subject.as_deref()?;
        Some([holder.issuer.as_deref().unwrap_or_default(), "\n", subject].concat().into())
    }

    /// How long it is still worth something; `None` if there is no end to it.
    #[must_use]
    pub fn remaining(&self, now: SystemTime) -> Option<Duration> {
        let holder = self.holder.as_ref()?;
        // An instant that the system cannot express is further away than anything it can.
        let end = UNIX_EPOCH.checked_add(Duration::from_secs(holder.expires));
        Some(end.map_or(Duration::MAX, |end| end.duration_since(now).unwrap_or_default()))
    }

    /// Whether the key that vouched for it is still one of these.
    #[must_use]
    pub fn is_backed_by(&self, keys: &KeyRing) -> bool {
        self.holder.as_ref().is_none_or(|holder| keys.has(&holder.key))
    }

    /// Whether it may say something on this name.
    #[must_use]
    pub fn may_publish(&self, name: &str) -> bool {
        self.rights.publish.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether it may hear what is said on this name.
    #[must_use]
    pub fn may_subscribe(&self, name: &str) -> bool {
        self.rights.subscribe.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether it may be found under this id.
    #[must_use]
    pub fn may_claim(&self, id: &str) -> bool {
        self.rights.device.iter().any(|pattern| pattern.matches(id))
    }

    /// Whether it may connect to this target, by its host and port or by one of the `names` that the operator has given
    /// it.
    #[must_use]
    pub fn may_dial<'n>(&self, host: &str, port: u16, names: impl Iterator<Item = &'n str> + Clone) -> bool {
        self.rights.tcp.iter().any(|pattern| pattern.matches(host, port) || names.clone().any(|n| pattern.is_named(n)))
    }
}

#[cfg(test)]
mod tests;
