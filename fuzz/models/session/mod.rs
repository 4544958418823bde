//! Sessions of one protocol in a recorder's world, against that protocol's model.
//!
//! A protocol joins with one file and one line in [`run`]. The world itself panics when something is done to a session
//! that is gone; a model says what must be done to the others.

use crate::models::input::Input;

pub(crate) mod pocket;
pub(crate) mod webshare;

/// Plays what `data` decides: the first byte chooses the protocol, the rest is its model's.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let protocols = [webshare::run, pocket::run];
    input.one_of(&protocols)(&mut input);
}

/// Operations in one run, which keeps inputs short and runs fast.
pub(crate) const MAX_OPERATIONS: usize = 256;
