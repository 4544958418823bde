//! An event or an ack of which attachments are still to come. Layer 2.
//!
//! It is passed on only when it is complete: a receiver takes anything that comes between a packet and its attachments
//! for a fault, and several senders may speak to one receiver.

use std::time::Instant;

use crate::memory::Charge;

/// What has come so far. Allocation follows what came, not what was announced.
#[derive(Debug)]
pub(super) struct Pending {
    text: Box<[u8]>,
    /// When the packet came.
    since: Instant,
    attachments: Vec<Box<[u8]>>,
    /// Still to come; `> 0`.
    missing: u32,
    bytes: usize,
    /// For all of it.
    charge: Charge,
}

/// What a piece costs beside its bytes.
const PIECE_BYTES: usize = 32;

impl Pending {
    /// The packet as it came, `missing > 0` attachments short.
    pub(super) fn new(text: &[u8], missing: u32, since: Instant, mut charge: Charge) -> Self {
        charge.set(size_of::<Self>() + text.len() + PIECE_BYTES);
        Self { text: text.into(), since, attachments: Vec::new(), missing, bytes: text.len(), charge }
    }

    /// The memory that it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.charge.bytes()
    }

    /// When it began.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// The packet.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the next attachment completes it.
    pub(super) fn is_last(&self) -> bool {
        self.missing == 1
    }

    /// Whether all is no longer than one message may be, in bytes, when `attachment` has come.
    pub(super) fn fits(&self, attachment: &[u8], max_bytes: usize) -> bool {
        self.bytes + attachment.len() <= max_bytes
    }

    /// Takes in an attachment that is not the last.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.missing -= 1;
        self.attachments.push(bytes.into());
        self.charge.set(self.charge.bytes() + bytes.len() + PIECE_BYTES);
    }

    /// All attachments, `last` being the last.
    pub(super) fn attachments<'a>(&'a self, last: &'a [u8]) -> Vec<&'a [u8]> {
        self.attachments.iter().map(|attachment| &attachment[..]).chain([last]).collect()
    }
}
