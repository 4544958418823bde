//! A connected byte stream behind three calls: receive, send, finish. Layer 1.
//!
//! Everything above speaks to a connection through these, so that another transport is one more case here: TLS is one,
//! and a plain connection pays a predictable branch for it.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::tcp::{TcpStream, set_up};
use super::tls::Session;

/// A non-blocking stream of bytes.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    /// For the socket above: the sending side is to be shut down once its queue is empty. Every connection has one, and
    /// here is a byte that costs nothing.
    pub(super) is_finishing: bool,
    tls: Option<Session>,
}

impl Stream {
    /// Takes over a connected socket.
    #[must_use]
    pub fn plain(tcp: TcpStream) -> Self {
        Self { tcp, is_finishing: false, tls: None }
    }

    /// From here on the connection speaks TLS. What was received and sent before was plain.
    pub fn secure(&mut self, session: Session) {
        self.tls = Some(session);
    }

    /// Receives into `buffer`; 0 means that the peer has finished.
    ///
    /// # Errors
    /// As `recv(2)`; `WouldBlock` if nothing is there, `ResourceBusy` if something is that must wait for the loop's next
    /// turn.
    #[inline]
    pub fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => (&self.tcp).read(buffer),
            Some(session) => session.recv(&mut &self.tcp, buffer),
        }
    }

    /// As [`recv`](Self::recv) of a stream that is not secured yet, and what is received stays to be received again.
    ///
    /// # Errors
    /// As `recv(2)`; `WouldBlock` if nothing is there.
    pub fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.peek(buffer)
    }

    /// Whether the next receive may bring something though the last one did not fill its buffer.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(Session::has_more)
    }

    /// Sends what the kernel takes of `slices`, or of what they become.
    ///
    /// # Errors
    /// As `writev(2)`; `WouldBlock` if it takes nothing.
    #[inline]
    pub fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(session) = &mut self.tls {
            return session.send(&mut &self.tcp, slices);
        }
        match slices {
            [slice] => (&self.tcp).write(slice),
            slices => (&self.tcp).write_vectored(slices),
        }
    }

    /// Bytes that count as sent and that the kernel has not taken.
    #[must_use]
    #[inline]
    pub fn pending(&self) -> usize {
        self.tls.as_ref().map_or(0, Session::pending)
    }

    /// The memory of bytes that are kept for the transport's own sake, those that are [`pending`](Stream::pending) included.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.tls.as_ref().map_or(0, Session::weight)
    }

    /// Sends what is [`pending`](Stream::pending), as far as the kernel takes it.
    ///
    /// # Errors
    /// As `write(2)`, but for `WouldBlock`.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(session) = &mut self.tls else { return Ok(()) };
        session.flush(&mut &self.tcp)?;
        if session.is_finishing() && session.pending() == 0 {
            self.shut_down();
        }
        Ok(())
    }

    /// Whether an attempt to connect has come to an end, and how (mio's manual for `TcpStream::connect`). A connection
    /// that is open is kept alive by the system, so that a target which silently went away is noticed, and takes `unsent`
    /// bytes that cannot be sent yet.
    ///
    /// # Errors
    /// Why the attempt failed.
    pub fn connected(&mut self, unsent: usize) -> io::Result<bool> {
        if let Some(error) = self.tcp.take_error()? {
            return Err(error);
        }
        match self.tcp.peer_addr() {
            Ok(_) => {
                set_up(&self.tcp, unsent)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells the peer that nothing more will come, behind what is [`pending`](Stream::pending).
    pub fn finish(&mut self) {
        if let Some(session) = &mut self.tls {
            session.finish(&mut &self.tcp);
            if session.pending() > 0 {
                return;
            }
        }
        self.shut_down();
    }

    /// Tells a peer that speaks TLS, and no other, that nothing more will come: dropping the connection tells the others.
    pub fn announce_end(&mut self) {
        if let Some(session) = &mut self.tls {
            session.finish(&mut &self.tcp);
        }
    }

    fn shut_down(&self) {
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
