//! The one receive buffer of the loop, and what a connection keeps of it between two reads. Layer 1.

/// Bytes received at once. Large enough that a burst, or a message of 64 KiB with its header, arrives in one read;
/// small enough to stay in a core's cache.
pub const SCRATCH_BYTES: usize = 256 * 1024;

/// A few bytes that mean nothing yet: half a request head, half a frame header. Nothing kept, it owns no heap, and is
/// one word in the table: hence the box around the vector.
#[expect(clippy::box_collection, reason = "every connection has one and hardly any is in use")]
#[derive(Debug, Default)]
pub struct Carry(Option<Box<Vec<u8>>>);

impl Carry {
    /// Keeps `bytes` for the next read.
    pub fn keep(&mut self, bytes: &[u8]) {
        self.0 = (!bytes.is_empty()).then(|| Box::new(bytes.to_vec()));
    }

    /// Puts what was kept to the front of `buffer` and returns how many bytes that were.
    pub fn restore(&mut self, buffer: &mut [u8]) -> usize {
        self.0.take().map_or(0, |kept| {
            buffer[..kept.len()].copy_from_slice(&kept);
            kept.len()
        })
    }

    /// Bytes kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.len())
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
