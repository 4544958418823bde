//! What a device has us remember, as memory. Layer 2.
//!
//! Each relation of a device is a little memory, and a thousand calls or a few long names are more than all else that is
//! known of it. One [`Charge`](crate::memory::Charge) per device stands for all of them, at what the tables take on average.

use super::Device;

/// What a room costs beside its name: its channel, and the places in the tables.
const ROOM_BYTES: usize = 240;

/// The same of a service.
const SERVICE_BYTES: usize = 128;

/// How often the name of either is kept.
const COPIES: usize = 2;

/// What one side of two devices costs of which each is told when the other leaves.
const TARGET_BYTES: usize = 48;

/// What a registration costs that waits for the device's answer.
const QUESTION_BYTES: usize = 64;

/// What a call costs that waits for an answer, on both sides.
const CALL_BYTES: usize = 128;

/// What a device may keep however scarce memory is, in bytes: some calls and a few rooms, with which most do what they are
/// there for.
const FREE_BYTES: usize = 4096;

/// Why a device may not keep one more of something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoRoom {
    /// It has as many of it as it may.
    Full,
    /// Memory is short.
    NoMemory,
}

impl Device {
    /// Whether it may keep one more of anything.
    pub(super) fn may_keep_more(&self) -> bool {
        self.charge.bytes() < FREE_BYTES || !self.charge.is_scarce()
    }

    /// Something was added or taken away.
    pub(super) fn weigh(&mut self) {
        let bytes = COPIES * self.named
            + ROOM_BYTES * self.rooms.len()
            + SERVICE_BYTES * self.services.len()
            + TARGET_BYTES * self.targets.len()
            + QUESTION_BYTES * self.questions.len()
            + CALL_BYTES * self.outgoing.live();
        self.charge.set(bytes);
    }
}
