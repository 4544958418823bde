//! What clients make us remember, counted in bytes where it is taken and given back. In no layer: plain counting, that
//! every layer may use.
//!
//! One [`Account`] holds the sum over all connections: what waits to be written, halves of requests and frames, messages
//! that have not arrived in full, mailboxes. A [`Charge`] stands beside each piece of memory and takes itself off the
//! account when it is dropped with it, so that nobody can forget. An idle connection has none, and a message that is passed
//! on at once costs no counting. What grows bit by bit grows in a [`Pile`](pile::Pile).

pub mod pile;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// What a piece of memory costs beside its bytes: its owner, its charge and what the allocator adds.
const OWNER_BYTES: usize = 96;

/// A sum of charges. Clones are handles of the same sum.
#[derive(Clone, Debug, Default)]
pub struct Account(Arc<AtomicUsize>);

impl Account {
    /// The bytes charged now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A charge of nothing yet.
    #[must_use]
    pub fn charge(&self) -> Charge {
        Charge { account: self.clone(), bytes: 0 }
    }

    /// Bytes that are charged once, however many share them, until the last of those has let go.
    #[must_use]
    pub fn keep(&self, bytes: Vec<u8>) -> Bytes {
        let mut charge = self.charge();
        charge.set(bytes.capacity() + OWNER_BYTES);
        Bytes::from_owner(Kept { bytes, _charge: charge })
    }
}

/// The part of an account that stands for one piece of memory.
#[derive(Debug)]
pub struct Charge {
    account: Account,
    bytes: usize,
}

impl Charge {
    /// How large the piece is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Says how large the piece is now.
    pub fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.account.0.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.account.0.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_charged_once_until_the_last_lets_go() {
        let account = Account::default();
        let bytes = account.keep(vec![1; 1000]);
        let rest = bytes.slice(900..);
        let used = account.used();
        assert!((1000..1200).contains(&used), "{used}");
        drop(bytes);
        assert_eq!((account.used(), &rest[..]), (used, &[1; 100][..]));
        drop(rest);
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn a_charge_follows_its_piece() {
        let account = Account::default();
        let mut charges = [account.charge(), account.charge()];
        charges[0].set(10);
        charges[1].set(5);
        charges[0].set(3);
        assert_eq!(account.used(), 8);
        drop(charges);
        assert_eq!(account.used(), 0);
    }
}
