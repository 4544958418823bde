//! What clients make us remember, counted in bytes where it is taken and given back. In no layer: plain counting, that
//! every layer may use.
//!
//! One [`Account`] holds the sum over all connections: what waits to be written, halves of requests and frames, messages
//! that have not arrived in full, mailboxes, what devices have names for, whom links tell of. A [`Charge`] stands beside
//! each piece of memory and takes itself off the account when it is dropped with it, so that nobody can forget. An idle
//! connection has none, and a message that is passed on at once costs no counting. What grows bit by bit grows in a [`Pile`](pile::Pile).

pub mod pile;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// What a piece of memory costs beside its bytes: its owner, its charge and what the allocator adds.
const OWNER_BYTES: usize = 96;

/// What the process takes without clients: its program, the C library, the loop's own buffers.
const OWN_BYTES: usize = 6 * 1024 * 1024;

/// What a connection takes beside what it is charged for: its slots, its session, its place under a name of its own. A
/// session that polls takes as much, with or without a connection.
const CONNECTION_BYTES: usize = 1024;

/// Of what is charged, the part that the allocator's holes add to it.
const HOLES: usize = 6;

/// The least part of a ceiling that is there for clients, however little all else leaves.
const LEAST_PART: usize = 8;

/// What a process with so many connections may have on its account, so that it stays below a ceiling, all in bytes.
#[must_use]
pub fn room(ceiling: usize, connections: usize) -> usize {
    let left = ceiling.saturating_sub(OWN_BYTES).saturating_sub(connections * CONNECTION_BYTES);
    (left / (HOLES + 1) * HOLES).max(ceiling / LEAST_PART)
}

/// Whether so many connections alone leave less than the least part: who is there stays, but nobody can be let in.
#[must_use]
pub fn is_crowded(ceiling: usize, connections: usize) -> bool {
    footprint(ceiling / LEAST_PART, connections) > ceiling
}

/// What a process with so many connections and so much on its account takes, in bytes, as [`room`] reckons.
#[must_use]
pub fn footprint(used: usize, connections: usize) -> usize {
    OWN_BYTES + connections * CONNECTION_BYTES + used + used / HOLES
}

/// A sum of charges. Clones are handles of the same sum.
#[derive(Clone, Debug, Default)]
pub struct Account(Arc<Sum>);

#[derive(Debug)]
struct Sum {
    used: AtomicUsize,
    /// From here on it is scarce; `usize::MAX` for never.
    scarce: AtomicUsize,
}

impl Default for Sum {
    fn default() -> Self {
        Self { used: AtomicUsize::new(0), scarce: AtomicUsize::new(usize::MAX) }
    }
}

impl Account {
    /// The bytes charged now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Says from how many bytes on memory is scarce.
    pub fn set_scarce(&self, bytes: usize) {
        self.0.scarce.store(bytes, Ordering::Relaxed);
    }

    /// Whether so much is charged that nothing more is to be kept that clients could hold for ever.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.used() >= self.0.scarce.load(Ordering::Relaxed)
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

/// The part of an account that stands for one piece of memory; by default, of an account of its own.
#[derive(Debug, Default)]
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

    /// Whether memory is scarce where it is charged.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.account.is_scarce()
    }

    /// Says how large the piece is now.
    pub fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.account.0.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.account.0.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
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
    fn a_full_room_is_a_process_at_its_ceiling() {
        for (ceiling, connections) in [(32, 0), (64, 10_000), (256, 1000)] {
            let ceiling = ceiling * 1024 * 1024;
            let full = footprint(room(ceiling, connections), connections);
            assert!((ceiling - 16..=ceiling).contains(&full), "{full} of {ceiling}");
        }
        assert_eq!(room(16 * 1024 * 1024, 1_000_000), 2 * 1024 * 1024, "those who are there are not all sent away");
    }

    #[test]
    fn a_crowd_is_who_leaves_no_more_than_the_least_room() {
        for ceiling in [16, 32, 256] {
            let ceiling = ceiling * 1024 * 1024;
            let most = (0..).step_by(100).take_while(|count| !is_crowded(ceiling, *count)).last().expect("some");
            assert!(room(ceiling, most) >= ceiling / LEAST_PART && room(ceiling, most + 200) == ceiling / LEAST_PART);
        }
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
