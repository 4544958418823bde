//! The one receive buffer of the loop, and what a connection keeps of it between two reads. Layer 1.

use crate::memory::pile::roomy;
use crate::memory::{Account, Charge};

/// Bytes received at once. Large enough that a burst, or a message of 64 KiB with its header, arrives in one read;
/// small enough to stay in a core's cache.
pub const SCRATCH_BYTES: usize = 256 * 1024;

/// A few bytes that mean nothing yet: half a request head, half a frame header. Nothing kept, it owns no heap, and is
/// one word in the table: hence the box around the vector.
#[derive(Debug, Default)]
pub struct Carry(Option<Box<Kept>>);

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl Carry {
    /// Keeps `bytes` for the next read.
    pub fn keep(&mut self, bytes: &[u8], memory: &Account) {
        self.0 = (!bytes.is_empty()).then(|| {
            let mut charge = memory.charge();
            let mut kept = Vec::with_capacity(roomy(bytes.len()));
            kept.extend_from_slice(bytes);
            charge.set(kept.capacity() + size_of::<Kept>());
            Box::new(Kept { bytes: kept, _charge: charge })
        });
    }

    /// Puts what was kept to the front of `buffer` and returns how many bytes that were.
    pub fn restore(&mut self, buffer: &mut [u8]) -> usize {
        self.0.take().map_or(0, |kept| {
            buffer[..kept.bytes.len()].copy_from_slice(&kept.bytes);
            kept.bytes.len()
        })
    }

    /// Bytes kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.bytes.len())
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
