//! A few large buffers that go round between the receive buffer and long messages. Layer 0.
//!
//! A long message costs a page fault for each 4 KiB when its buffer is fresh from the system, and a copy when it has to
//! leave the receive buffer for one of its own; both cost more than relaying it. So a long message takes the receive
//! buffer itself along, the loop receives into the next one, and what was relayed comes back. There are no more than
//! [`BUFFERS`] of them however many messages are under way; whoever finds none makes do with a buffer that grows.

use crate::memory::{Account, Charge};

/// The length of each, in bytes: a message of 1 MiB with its header, wherever in a small burst it begins.
pub const BUFFER_BYTES: usize = 1024 * 1024 + 4096;

/// How many there are at most, the receive buffer not counted.
pub const BUFFERS: usize = 2;

/// The loop's large buffers. Memory of theirs that was never written is not resident.
#[derive(Debug, Default)]
pub struct Pool {
    /// Invariant: each is `BUFFER_BYTES` long, and `spares.len() ≤ made`.
    spares: Vec<Vec<u8>>,
    /// Those here and those lent; invariant: `made ≤ BUFFERS`.
    made: usize,
    memory: Account,
    /// How many messages were begun to be put together.
    begun: u64,
}

impl Pool {
    /// An empty one, for messages that are charged to this account.
    #[must_use]
    pub fn new(memory: Account) -> Self {
        Self { memory, ..Self::default() }
    }

    /// A number for a message that is being put together, which no other has.
    pub(super) fn number(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// A charge for a message that is being put together.
    pub(super) fn charge(&self) -> Charge {
        self.memory.charge()
    }

    /// A buffer of any content, if one is left.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        if self.spares.is_empty() && self.made < BUFFERS {
            self.made += 1;
            return Some(large_buffer());
        }
        self.spares.pop()
    }

    /// Exchanges `buffer`, which nobody needs the content of, for the one that came back last and is still in the cache.
    pub fn warm(&mut self, buffer: &mut Vec<u8>) {
        if let Some(last) = self.spares.last_mut() {
            std::mem::swap(last, buffer);
        }
    }

    /// Takes back what was lent. Other buffers are given to the system.
    pub fn give(&mut self, buffer: Vec<u8>) {
        if buffer.len() == BUFFER_BYTES && self.spares.len() < self.made {
            self.spares.push(buffer);
        }
    }
}

/// A buffer of this length, cleared.
#[must_use]
pub fn large_buffer() -> Vec<u8> {
    vec![0; BUFFER_BYTES]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many() {
        let mut pool = Pool::default();
        let lent: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(lent.len(), BUFFERS);
        lent.into_iter().for_each(|buffer| pool.give(buffer));
        pool.give(vec![0; 100]);
        pool.give(large_buffer());
        assert_eq!(std::iter::from_fn(|| pool.take()).count(), BUFFERS);
    }
}
