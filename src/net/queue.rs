//! What a socket could not take yet. Layer 1.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::memory::{Account, Charge};

/// Chunks of one vectored write; the kernel takes at most 1,024, and more than this gains nothing.
pub const MAX_SLICES: usize = 64;

/// What a chunk costs beside its bytes: its place in the queue, its owner and what the allocator adds to both.
const CHUNK_BYTES: usize = 128;

/// Bytes waiting for a socket, oldest first. Empty, it owns no heap.
#[derive(Debug, Default)]
pub struct WriteQueue {
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    chunks: VecDeque<Bytes>,
    /// Invariant: the sum of the chunks' lengths, and `> 0`.
    bytes: usize,
    /// Bytes that were taken since something waits.
    taken: u64,
    is_watched: bool,
    /// For the places of the chunks; whoever made them has charged what is in them.
    charge: Charge,
}

impl WriteQueue {
    /// Bytes waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// The memory that they take, in bytes: a queue of tiny chunks weighs many times what is in it.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.bytes + waiting.chunks.len() * CHUNK_BYTES)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_none()
    }

    /// Appends a chunk, which is charged already where it is not ours for ever; it may be shared with other queues.
    pub fn push(&mut self, chunk: Bytes, memory: &Account) {
        if chunk.is_empty() {
            return;
        }
        let new =
            || Waiting { chunks: VecDeque::new(), bytes: 0, taken: 0, is_watched: false, charge: memory.charge() };
        let waiting = self.waiting.get_or_insert_with(|| Box::new(new()));
        waiting.bytes += chunk.len();
        waiting.chunks.push_back(chunk);
        waiting.charge.set(size_of::<Waiting>() + waiting.chunks.capacity() * size_of::<Bytes>());
    }

    /// How many bytes were taken since something waits, if something does and somebody watches it.
    #[must_use]
    pub fn taken(&self) -> Option<u64> {
        self.waiting.as_ref().filter(|waiting| waiting.is_watched).map(|waiting| waiting.taken)
    }

    /// Notes that somebody watches what waits until nothing does; whether that is news.
    pub fn watch(&mut self) -> bool {
        self.waiting.as_mut().is_some_and(|waiting| !std::mem::replace(&mut waiting.is_watched, true))
    }

    /// The oldest chunks, for one vectored write.
    pub fn slices<'a>(&'a self, out: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let Some(waiting) = &self.waiting else { return 0 };
        let mut filled = 0;
        for (slot, chunk) in out.iter_mut().zip(&waiting.chunks) {
            *slot = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    /// Drops the first `written` bytes.
    pub fn advance(&mut self, mut written: usize) {
        let Some(waiting) = &mut self.waiting else { return };
        debug_assert!(written <= waiting.bytes);
        waiting.bytes -= written;
        waiting.taken += written as u64;
        while let Some(chunk) = waiting.chunks.front_mut() {
            if written < chunk.len() {
                chunk.advance(written);
                return;
            }
            written -= chunk.len();
            waiting.chunks.pop_front();
        }
        self.waiting = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_crosses_chunks_and_frees_the_heap_at_the_end() {
        let (mut queue, memory) = (WriteQueue::default(), Account::default());
        for chunk in ["abc", "", "defg", "h"] {
            queue.push(Bytes::from_static(chunk.as_bytes()), &memory);
        }
        assert_eq!(queue.len(), 8);
        queue.advance(4);
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = queue.slices(&mut slices);
        assert_eq!(slices[..filled].iter().map(|slice| &slice[..]).collect::<Vec<_>>(), [&b"efg"[..], b"h"]);
        assert!(memory.used() > 0);
        queue.advance(4);
        assert!(queue.is_empty());
        assert_eq!(memory.used(), 0);
    }
}
