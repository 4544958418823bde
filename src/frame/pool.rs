//! Spare buffers for messages that do not fit where they were received. Layer 0.
//!
//! A large message costs a page fault for each 4 KiB when its buffer is fresh from the system, which is more than
//! relaying it costs. So a few buffers go round; what exceeds the pool's two bounds is given back to the system.

/// Buffers kept at most.
const SPARES: usize = 2;

/// A buffer with more capacity than this is not kept, in bytes: `SPARES` of these is all the pool ever holds.
const SPARE_BYTES: usize = 1024 * 1024 + 4096;

/// A buffer with less capacity is cheaper made anew than kept, in bytes.
const WORTH_KEEPING_BYTES: usize = 16 * 1024;

/// The loop's spare buffers.
#[derive(Debug, Default)]
pub struct Pool {
    spares: Vec<Vec<u8>>,
}

impl Pool {
    /// A buffer of `bytes` at least, of any content; a spare one when that many are worth it.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        let spare = if bytes >= WORTH_KEEPING_BYTES { self.spares.pop() } else { None };
        let mut buffer = spare.unwrap_or_default();
        if buffer.len() < bytes {
            buffer.resize(bytes, 0);
        }
        buffer
    }

    /// Takes back what is no longer needed.
    pub fn give(&mut self, buffer: Vec<u8>) {
        if (WORTH_KEEPING_BYTES..=SPARE_BYTES).contains(&buffer.capacity()) && self.spares.len() < SPARES {
            self.spares.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, SPARE_BYTES, SPARES};

    #[test]
    fn holds_no_more_than_its_bounds() {
        let mut pool = Pool::default();
        for _ in 0..10 {
            pool.give(vec![0; SPARE_BYTES]);
            pool.give(vec![0; SPARE_BYTES * 2]);
            pool.give(vec![0; 100]);
        }
        assert_eq!(pool.spares.len(), SPARES);
        assert_eq!(pool.take(SPARE_BYTES).len(), SPARE_BYTES);
        assert_eq!(pool.spares.len(), SPARES - 1);
    }
}
