//! What a socket could not take yet. Layer 1.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Chunks of one vectored write; the kernel takes at most 1,024, and more than this gains nothing.
pub const MAX_SLICES: usize = 64;

/// What a chunk costs beside its bytes: its place in the queue and what the allocator adds to a small piece of memory.
const CHUNK_BYTES: usize = 64;

/// Bytes waiting for a socket, oldest first. Empty, it owns no heap.
#[derive(Debug, Default)]
pub struct WriteQueue {
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    chunks: VecDeque<Bytes>,
    /// Invariant: the sum of the chunks' lengths, and `> 0`.
    bytes: usize,
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

    /// Appends a chunk; it may be shared with other queues.
    pub fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        let waiting = self.waiting.get_or_insert_default();
        waiting.bytes += chunk.len();
        waiting.chunks.push_back(chunk);
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
        let mut queue = WriteQueue::default();
        for chunk in ["abc", "", "defg", "h"] {
            queue.push(Bytes::from_static(chunk.as_bytes()));
        }
        assert_eq!(queue.len(), 8);
        queue.advance(4);
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = queue.slices(&mut slices);
        assert_eq!(slices[..filled].iter().map(|slice| &slice[..]).collect::<Vec<_>>(), [&b"efg"[..], b"h"]);
        queue.advance(4);
        assert!(queue.is_empty());
    }
}
