//! Masking keys for the connections on which we are the client. Layer 3.

use crate::frame::mask::mask_frames;

/// Random bytes that are fetched at once: a system call for every 256 keys.
const POOL_BYTES: usize = 1024;

/// Keys that nobody can foretell (RFC 6455 §5.3).
#[derive(Debug, Default)]
pub(in crate::server) struct Masks {
    /// Those that are not used yet; empty while no link was dialled.
    pool: Vec<u8>,
}

impl Masks {
    /// Whole frames of ours as a client sends them.
    pub(in crate::server) fn mask(&mut self, frames: &[u8]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(frames.len() + 64);
        mask_frames(&mut masked, frames, || self.key());
        masked
    }

    fn key(&mut self) -> [u8; 4] {
        if self.pool.len() < 4 {
            self.pool.resize(POOL_BYTES, 0);
            // Where the generator fails, links have no proofs and none opens; one that is open goes on, with keys that
            // are not secret.
            let _ = getrandom::fill(&mut self.pool);
        }
        let rest = self.pool.len() - 4;
        let mut key = [0; 4];
        key.copy_from_slice(&self.pool[rest..]);
        self.pool.truncate(rest);
        key
    }
}
