//! The harness: a server on a thread, clients that say exactly what they are told to, a strict eye on the answers.
//!
//! Nothing here sleeps to wait for something: a client blocks on its socket, and a deadline that passes is a failure.

// Each test file is a program of its own and uses its own part of the harness.
#![allow(dead_code)]

pub(crate) mod client;
pub(crate) mod engine;
pub(crate) mod frame;
pub(crate) mod http;
pub(crate) mod independent;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod target;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::env;
use std::time::Duration;

/// How long anything may take before the test fails. Generous: the machine may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of a long transfer: `full` where the program is compiled to be fast or `JACKFIELD_TEST_LONG` is set.
pub(crate) fn long([full, short]: [usize; 2]) -> usize {
    if !cfg!(debug_assertions) || env::var_os("JACKFIELD_TEST_LONG").is_some() { full } else { short }
}
