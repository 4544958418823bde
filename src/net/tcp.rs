//! The sockets of TCP. Layer 1.
//!
//! In a release build they are mio's, and this is nothing but their names. Builds that check themselves (debug assertions:
//! tests and fuzzing) can have [simulated](super::simulated) ones in their place.

use std::io;

use socket2::{SockRef, Socket};

#[cfg(not(debug_assertions))]
pub use mio::net::{TcpListener, TcpStream};

#[cfg(debug_assertions)]
pub use super::simulated::{TcpListener, TcpStream};

/// Has the system take at most `unsent` bytes that it cannot send yet, for this socket and for those that are accepted from
/// it. Left alone it takes megabytes for a peer that does not read. What is on its way is not bounded, and so neither is
/// throughput.
pub(super) fn bound_unsent(socket: &Socket, unsent: usize) {
    // Where it is not known, the system only takes more.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(u32::try_from(unsent).unwrap_or(u32::MAX));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (socket, unsent);
}

/// Sets up a connection that we opened, with `unsent` for [`bound_unsent`]. The system is to find out, over hours, whether a
/// peer that says nothing is still there.
pub(super) fn set_up(tcp: &TcpStream, unsent: usize) -> io::Result<()> {
    #[cfg(debug_assertions)]
    let TcpStream::System(tcp) = tcp else { return Ok(()) };
    let socket = SockRef::from(tcp);
    socket.set_tcp_nodelay(true)?;
    bound_unsent(&socket, unsent);
    socket.set_keepalive(true)
}
