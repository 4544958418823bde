//! Accepting connections within limits. Layer 1.
//!
//! A server that has run out of descriptors must still answer the peer that waits in the backlog, or the backlog's
//! readiness comes back for ever: one descriptor is held in reserve, given up to accept that peer, and taken again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::tcp::{TcpListener, TcpStream, bound_unsent};

/// Connections that the kernel holds for us until we accept them; it cuts this to its own limit.
const BACKLOG: i32 = 4096;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    /// A descriptor to fall back on.
    reserve: Option<File>,
}

/// What one accept brought.
#[derive(Debug)]
pub enum Accepted {
    /// A connection and where it comes from.
    Connection(TcpStream, SocketAddr),
    /// Nobody waits.
    Nobody,
    /// No descriptor is left but the one in reserve, which this peer has: it must be turned away at once, and
    /// [`Listener::recover`] called.
    TurnedAway(TcpStream),
    /// A peer was gone before it was accepted, or the system is short of something; try the next one.
    Failed(io::Error),
}

impl Listener {
    /// Binds and listens. Connections inherit `TCP_NODELAY`, and that the system takes at most `unsent` bytes that it cannot
    /// send yet, which saves system calls for each.
    ///
    /// # Errors
    /// As `bind(2)` and `listen(2)`.
    pub fn bind(address: SocketAddr, unsent: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        bound_unsent(&socket, unsent);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let tcp = TcpListener::from_std(socket.into());
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address, reserve: reserve() })
    }

    /// One behind `door`, as if it listened at `address`.
    #[cfg(debug_assertions)]
    pub(crate) fn simulated(address: SocketAddr, door: std::sync::Arc<super::simulated::Door>) -> Self {
        Self { tcp: TcpListener::Simulated(door), address, reserve: None }
    }

    /// Where it listens, with the port that the system chose if none was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, for registration.
    pub fn tcp(&mut self) -> &mut TcpListener {
        &mut self.tcp
    }

    /// Accepts one connection.
    pub fn accept(&mut self) -> Accepted {
        match self.tcp.accept() {
            Ok((stream, peer)) => Accepted::Connection(stream, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::Nobody,
            Err(error) if is_out_of_descriptors(&error) => {
                if self.reserve.take().is_none() {
                    self.reserve = reserve();
                    return Accepted::Failed(error);
                }
                match self.tcp.accept() {
                    Ok((stream, _)) => Accepted::TurnedAway(stream),
                    Err(error) => {
                        self.recover();
                        Accepted::Failed(error)
                    }
                }
            }
            Err(error) => Accepted::Failed(error),
        }
    }
}

impl Listener {
    /// Takes the descriptor in reserve again, once the peer that was turned away has let go of it.
    pub fn recover(&mut self) {
        self.reserve = reserve();
    }
}

/// Any descriptor will do; without one, accepting at the limit fails until another connection ends.
fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// `EMFILE` and `ENFILE`, which std has no name for.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// How many connections each address has. Loopback is neither counted nor limited.
#[derive(Debug, Default)]
pub struct Census {
    counts: HashMap<IpAddr, usize>,
}

impl Census {
    /// Counts a connection in, unless its address already has `limit` of them.
    pub fn admit(&mut self, peer: IpAddr, limit: usize) -> bool {
        let Some(address) = counted(peer) else { return true };
        if self.counts.get(&address).copied().unwrap_or(0) >= limit {
            return false;
        }
        *self.counts.entry(address).or_default() += 1;
        true
    }

    /// Counts a connection of `from` as one of `to` from now on, unless that already has `limit` of them.
    pub fn move_to(&mut self, from: IpAddr, to: IpAddr, limit: usize) -> bool {
        let is_moved = counted(from) == counted(to) || self.admit(to, limit);
        if is_moved && counted(from) != counted(to) {
            self.leave(from);
        }
        is_moved
    }

    /// The most connections that one address has.
    #[must_use]
    pub fn most(&self) -> usize {
        self.counts.values().copied().max().unwrap_or(0)
    }

    /// How many connections are counted, over all addresses.
    #[must_use]
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// Counts a connection out.
    pub fn leave(&mut self, peer: IpAddr) {
        let Some(address) = counted(peer) else { return };
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }
}

/// The address that stands for all of one host's: IPv4 as it is, IPv6 by its /64, loopback not at all.
pub fn counted(peer: IpAddr) -> Option<IpAddr> {
    match peer.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
        }
        address => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_by_host_and_loopback_is_exempt() {
        let mut census = Census::default();
        let admit = |census: &mut Census, address: &str| census.admit(address.parse().expect("address"), 2);
        assert!(admit(&mut census, "192.0.2.1") && admit(&mut census, "192.0.2.1"));
        assert!(!admit(&mut census, "192.0.2.1"));
        assert!(!admit(&mut census, "::ffff:192.0.2.1"), "the mapped form is the same host");
        assert!(admit(&mut census, "192.0.2.2"));
        assert!(admit(&mut census, "2001:db8::1") && admit(&mut census, "2001:db8::2"));
        assert!(!admit(&mut census, "2001:db8::3"), "one /64 is one host");
        assert!(admit(&mut census, "2001:db8:0:1::1"));
        assert!((0..9).all(|_| admit(&mut census, "127.0.0.1") && admit(&mut census, "::1")));
        census.leave("192.0.2.1".parse().expect("address"));
        assert!(admit(&mut census, "192.0.2.1"));
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let mut census = Census::default();
        let peer = "192.0.2.1".parse().expect("address");
        census.admit(peer, 1);
        census.leave(peer);
        census.leave(peer);
        assert!(census.counts.is_empty());
    }
}
