//! The sockets of TCP. Layer 1.
//!
//! In a release build they are mio's, and this is nothing but their names. Builds that check themselves (debug assertions:
//! tests and fuzzing) can have [simulated](super::simulated) ones in their place.

use std::io;

use socket2::SockRef;

#[cfg(not(debug_assertions))]
pub use mio::net::{TcpListener, TcpStream};

#[cfg(debug_assertions)]
pub use super::simulated::{TcpListener, TcpStream};

/// Has the system find out, over hours, whether a peer that says nothing is still there.
#[cfg(not(debug_assertions))]
pub(super) fn keep_alive(tcp: &TcpStream) -> io::Result<()> {
    SockRef::from(tcp).set_keepalive(true)
}

/// As above. A simulated peer is there for as long as it says.
#[cfg(debug_assertions)]
pub(super) fn keep_alive(tcp: &TcpStream) -> io::Result<()> {
    match tcp {
        TcpStream::System(tcp) => SockRef::from(tcp).set_keepalive(true),
        TcpStream::Simulated(_) => Ok(()),
    }
}
