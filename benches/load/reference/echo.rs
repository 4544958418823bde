//! *echo*: what a bridge leads to. Every byte comes back; what it costs is nobody's figure.

use super::{Step, Wire};

/// Nothing is known about a connection.
#[derive(Default)]
pub(crate) struct Echo;

impl Wire for Echo {
    const GROUPS_ON_ACCEPT: bool = true;

    fn restore(&mut self, _: &mut [u8]) -> usize {
        0
    }

    fn on_bytes(&mut self, bytes: &mut [u8], receipts: &mut Vec<u8>) -> Step {
        receipts.extend_from_slice(bytes);
        Step::Forward { range: 0..0, is_last: false }
    }
}
