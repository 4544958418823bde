//! A connected byte stream behind three calls: receive, send, finish. Layer 1.
//!
//! Everything above speaks to a connection through these, so that another transport is one more variant here.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// A non-blocking stream of bytes.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
}

impl Stream {
    /// Takes over a connected socket.
    #[must_use]
    pub fn plain(tcp: TcpStream) -> Self {
        Self { tcp }
    }

    /// Receives into `buffer`; 0 means that the peer has finished.
    ///
    /// # Errors
    /// As `recv(2)`; `WouldBlock` if nothing is there.
    pub fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.tcp).read(buffer)
    }

    /// As [`recv`](Self::recv), and what is received stays to be received again.
    ///
    /// # Errors
    /// As `recv(2)`; `WouldBlock` if nothing is there.
    pub fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.peek(buffer)
    }

    /// Sends what the kernel takes of `slices`.
    ///
    /// # Errors
    /// As `writev(2)`; `WouldBlock` if it takes nothing.
    pub fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [slice] => (&self.tcp).write(slice),
            slices => (&self.tcp).write_vectored(slices),
        }
    }

    /// Whether an attempt to connect has come to an end, and how (mio's manual for `TcpStream::connect`). A connection
    /// that is open is kept alive by the system, so that a target which silently went away is noticed.
    ///
    /// # Errors
    /// Why the attempt failed.
    pub fn connected(&mut self) -> io::Result<bool> {
        if let Some(error) = self.tcp.take_error()? {
            return Err(error);
        }
        match self.tcp.peer_addr() {
            Ok(_) => {
                self.tcp.set_nodelay(true)?;
                socket2::SockRef::from(&self.tcp).set_keepalive(true)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells the peer that nothing more will come.
    pub fn finish(&mut self) {
        // Fails only when the peer is gone already, which the next receive reports.
        let _ = self.tcp.shutdown(Shutdown::Write);
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.tcp.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.tcp.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.tcp.deregister(registry)
    }
}
