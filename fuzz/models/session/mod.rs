//! Sessions of one protocol in a recorder's world, against that protocol's model.
//!
//! A protocol joins with one file and one line in [`run`]. The world itself panics when something is done to a session
//! that is gone; a model says what must be done to the others.

use std::io::ErrorKind;

use jackfield::protocol::DialError;

use crate::models::input::Input;

pub(crate) mod p2p;
pub(crate) mod pocket;
pub(crate) mod tcp;
pub(crate) mod webshare;
pub(crate) mod ws2s;

/// Plays what `data` decides: the first byte chooses the protocol, the rest is its model's.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let protocols = [webshare::run, pocket::run, ws2s::run, tcp::run, p2p::run];
    input.one_of(&protocols)(&mut input);
}

/// Operations in one run, which keeps inputs short and runs fast.
pub(crate) const MAX_OPERATIONS: usize = 256;

/// Everything that can become of a dial but success.
pub(crate) const ERRORS: [DialError; 8] = [
    DialError::Refused,
    DialError::Forbidden,
    DialError::NoSuchName,
    DialError::TimedOut,
    DialError::TooMany("--max-bridges"),
    DialError::Unreachable(ErrorKind::NetworkUnreachable),
    DialError::NotPermitted,
    DialError::Ourselves,
];
