//! What a socket could not take yet. Layer 1.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::memory::pile::{PIECE_BYTES, roomy};
use crate::memory::{Account, Charge};

/// Chunks of one vectored write; the kernel takes at most 1,024, and more than this gains nothing.
pub const MAX_SLICES: usize = 64;

/// What a chunk costs beside its bytes: its place in the queue, its owner and what the allocator adds to both.
const CHUNK_BYTES: usize = 128;

/// Shared chunks up to this length are copied: the copy costs less memory than another place in the queue.
const COPY_BYTES: usize = 128;

/// Bytes waiting for a socket, oldest first. Empty, it owns no heap.
#[derive(Debug, Default)]
pub struct WriteQueue {
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    chunks: VecDeque<Bytes>,
    /// Copied bytes behind the chunks, which others may join; those before `tail_at` are written. However many small messages
    /// wait, they wait in few pieces.
    tail: Vec<u8>,
    tail_at: usize,
    /// Invariant: the sum of the chunks' lengths and of what is left of the tail, and `> 0`.
    bytes: usize,
    /// Bytes that were taken since something waits.
    taken: u64,
    is_watched: bool,
    /// Nothing of it has been offered to the system.
    is_postponed: bool,
    /// For the tail and the places of the chunks; whoever made those has charged what is in them.
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
        self.waiting.as_ref().map_or(0, |waiting| waiting.bytes + (waiting.chunks.len() + 1) * CHUNK_BYTES)
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
        if chunk.len() <= COPY_BYTES {
            return self.push_copy(&[IoSlice::new(&chunk)], 0, memory);
        }
        let waiting = self.waiting(memory);
        waiting.seal(memory);
        waiting.bytes += chunk.len();
        waiting.chunks.push_back(chunk);
        waiting.weigh();
    }

    /// Appends a copy of `slices` without their first `skip` bytes.
    pub fn push_copy(&mut self, slices: &[IoSlice<'_>], mut skip: usize, memory: &Account) {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total <= skip {
            return;
        }
        let waiting = self.waiting(memory);
        let mut left = total - skip;
        waiting.bytes += left;
        for slice in slices {
            let skipped = skip.min(slice.len());
            skip -= skipped;
            let mut rest = &slice[skipped..];
            while !rest.is_empty() {
                let room = waiting.room(left, memory).min(rest.len());
                let (fits, beyond) = rest.split_at(room);
                waiting.tail.extend_from_slice(fits);
                (rest, left) = (beyond, left - room);
            }
        }
        waiting.weigh();
    }

    fn waiting(&mut self, memory: &Account) -> &mut Waiting {
        self.waiting.get_or_insert_with(|| {
            Box::new(Waiting {
                chunks: VecDeque::new(),
                tail: Vec::new(),
                tail_at: 0,
                bytes: 0,
                taken: 0,
                is_watched: false,
                is_postponed: false,
                charge: memory.charge(),
            })
        })
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

    /// Whether what waits is to be offered to the socket by whoever let it wait: no readiness will tell.
    #[must_use]
    pub fn is_postponed(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.is_postponed)
    }

    /// Notes whether it is.
    pub fn set_postponed(&mut self, is_postponed: bool) {
        if let Some(waiting) = &mut self.waiting {
            waiting.is_postponed = is_postponed;
        }
    }

    /// The oldest chunks, for one vectored write.
    pub fn slices<'a>(&'a self, out: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let Some(waiting) = &self.waiting else { return 0 };
        let mut filled = 0;
        let tail = &waiting.tail[waiting.tail_at..];
        let chunks = waiting.chunks.iter().map(|chunk| &chunk[..]);
        for (slot, chunk) in out.iter_mut().zip(chunks.chain((!tail.is_empty()).then_some(tail))) {
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
        waiting.tail_at += written;
        if waiting.bytes == 0 {
            self.waiting = None;
        }
    }
}

impl Waiting {
    /// Makes room in the tail, at best for all of `bytes`, and says how much there is: some.
    fn room(&mut self, bytes: usize, memory: &Account) -> usize {
        if self.tail.len() == self.tail.capacity() {
            if self.tail.len() >= PIECE_BYTES {
                self.seal(memory);
            }
            let capacity = roomy(self.tail.len() + bytes).min(PIECE_BYTES);
            self.tail.reserve_exact(capacity - self.tail.len());
        }
        self.tail.capacity() - self.tail.len()
    }

    /// Makes the tail a chunk, so that something may come behind it.
    fn seal(&mut self, memory: &Account) {
        if self.tail_at < self.tail.len() {
            let mut chunk = memory.keep(std::mem::take(&mut self.tail));
            chunk.advance(self.tail_at);
            self.chunks.push_back(chunk);
        }
        self.tail.clear();
        self.tail_at = 0;
    }

    fn weigh(&mut self) {
        let places = self.chunks.capacity() * size_of::<Bytes>();
        self.charge.set(size_of::<Self>() + places + self.tail.capacity());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that waits, as it would be written.
    fn all(queue: &WriteQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = queue.slices(&mut slices);
        slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn advancing_crosses_chunks_and_frees_the_heap_at_the_end() {
        let (mut queue, memory) = (WriteQueue::default(), Account::default());
        for chunk in ["abc", "", "defg", "h"] {
            queue.push(Bytes::from_static(chunk.as_bytes()), &memory);
        }
        assert_eq!(queue.len(), 8);
        queue.advance(4);
        assert_eq!(all(&queue), b"efgh");
        assert!(memory.used() > 0);
        queue.advance(4);
        assert!(queue.is_empty());
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn copies_and_what_is_shared_stay_in_their_order() {
        let (mut queue, memory) = (WriteQueue::default(), Account::default());
        let shared = memory.keep(vec![b's'; 1000]);
        let mut expected = Vec::new();
        for round in 0..6_u8 {
            let (one, other) = (vec![round; 700], vec![round + 100; 20_000]);
            queue.push_copy(&[IoSlice::new(&one), IoSlice::new(&other)], 300 * usize::from(round), &memory);
            expected.extend_from_slice(&[&one[..], &other].concat()[300 * usize::from(round)..]);
            let chunk = shared.slice(..if round % 2 == 0 { 1000 } else { 100 });
            expected.extend_from_slice(&chunk);
            queue.push(chunk, &memory);
            queue.advance(11);
            expected.drain(..11);
            assert_eq!((all(&queue), queue.len()), (expected.clone(), expected.len()));
        }
        while !expected.is_empty() {
            let written = expected.len().min(3001);
            queue.advance(written);
            expected.drain(..written);
            assert_eq!(all(&queue), expected);
        }
        drop(shared);
        assert_eq!((queue.is_empty(), memory.used()), (true, 0));
    }

    #[test]
    fn many_small_messages_weigh_little_more_than_what_is_in_them() {
        let (mut queue, memory) = (WriteQueue::default(), Account::default());
        let shared = memory.keep(vec![1; 30]);
        for _ in 0..10_000 {
            queue.push(shared.clone(), &memory);
        }
        assert_eq!(queue.len(), 300_000);
        assert!(queue.weight() < 310_000 && memory.used() < 340_000, "{} {}", queue.weight(), memory.used());
    }
}
