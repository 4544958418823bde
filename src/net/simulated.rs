//! Sockets without a system: bytes in memory, in the same process. Layer 1, and only in builds that check themselves.
//!
//! A [`Line`] behaves as a TCP connection over loopback does: each direction holds only so many bytes, a receive takes what
//! has arrived, a write takes what there is room for, both ends may finish or break it. Readiness is edge-triggered as
//! epoll's: it is reported once for each arrival, and for room again when a third of a direction that was full is free.
//! Nothing here waits, reads a clock or throws dice; whoever drives the other ends decides what arrives when.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::reactor::Readiness;

/// What each direction holds until it is told otherwise, in bytes.
const ROOM_BYTES: usize = 64 * 1024;

/// A connected socket: the system's, or our end of a line.
#[derive(Debug)]
pub enum TcpStream {
    /// As in release builds.
    System(mio::net::TcpStream),
    /// The server's end.
    Simulated(ServerEnd),
}

/// A listening socket: the system's, or a door.
#[derive(Debug)]
pub enum TcpListener {
    /// As in release builds.
    System(mio::net::TcpListener),
    /// Who has come, and nobody has let in yet.
    Simulated(Arc<Door>),
}

/// Where simulated clients wait until they are accepted.
#[derive(Debug, Default)]
pub struct Door(Mutex<VecDeque<(ServerEnd, SocketAddr)>>);

/// A connection in memory.
#[derive(Debug)]
pub struct Line(Mutex<State>);

#[derive(Debug)]
struct State {
    token: Option<Token>,
    /// Something has changed that readiness is to tell of.
    is_news: bool,
    /// For the server.
    inward: VecDeque<u8>,
    /// For the client.
    outward: VecDeque<u8>,
    /// What each of them may hold.
    room: usize,
    /// The server was refused room.
    is_full: bool,
    /// The client sends nothing more.
    has_client_finished: bool,
    /// The client takes nothing more.
    is_client_gone: bool,
    /// The server sends nothing more.
    has_server_finished: bool,
    /// The server has let go of its end.
    is_server_gone: bool,
    /// A reset was sent, and whether the server was told.
    broken: Option<bool>,
}

impl Line {
    /// A connection: the server's end, the client's.
    pub(crate) fn open() -> (ServerEnd, ClientEnd) {
        let state = State {
            token: None,
            is_news: false,
            inward: VecDeque::new(),
            outward: VecDeque::new(),
            room: ROOM_BYTES,
            is_full: false,
            has_client_finished: false,
            is_client_gone: false,
            has_server_finished: false,
            is_server_gone: false,
            broken: None,
        };
        let line = Arc::new(Self(Mutex::new(state)));
        (ServerEnd(Arc::clone(&line)), ClientEnd(line))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is new, once.
    #[must_use]
    pub fn readiness(&self) -> Option<Readiness> {
        let mut state = self.state();
        let token = state.token.filter(|_| !state.is_server_gone)?;
        std::mem::take(&mut state.is_news).then(|| Readiness {
            token,
            is_readable: !state.inward.is_empty() || state.has_client_finished || state.broken.is_some(),
            is_writable: state.outward.len() < state.room || state.broken.is_some(),
            has_ended: state.has_client_finished || state.broken.is_some(),
        })
    }

    /// Whether the server has let go of it.
    #[must_use]
    pub fn is_server_gone(&self) -> bool {
        self.state().is_server_gone
    }
}

impl Door {
    /// A client comes from `peer`.
    pub fn knock(&self, peer: SocketAddr) -> ClientEnd {
        let (server, client) = Line::open();
        self.waiting().push_back((server, peer));
        client
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(ServerEnd, SocketAddr)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server's end of a line; dropped, it is closed.
#[derive(Debug)]
pub struct ServerEnd(Arc<Line>);

impl ServerEnd {
    fn recv(&self, buffer: &mut [u8], is_taken: bool) -> io::Result<usize> {
        let mut state = self.0.state();
        if state.inward.is_empty() {
            return match state.broken {
                Some(false) => {
                    state.broken = Some(true);
                    Err(ErrorKind::ConnectionReset.into())
                }
                Some(true) => Ok(0),
                None if state.has_client_finished => Ok(0),
                None => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let len = buffer.len().min(state.inward.len());
        for (place, byte) in buffer.iter_mut().zip(&state.inward) {
            *place = *byte;
        }
        if is_taken {
            state.inward.drain(..len);
        }
        Ok(len)
    }

    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.state();
        if state.broken.is_some() || state.has_server_finished {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if state.is_client_gone {
            // The system takes it, and learns then that nobody is there.
            state.broken = Some(false);
            state.is_news = true;
            return Ok(slices.iter().map(|slice| slice.len()).sum());
        }
        let mut written = 0;
        for slice in slices {
            let len = slice.len().min(state.room.saturating_sub(state.outward.len()));
            state.outward.extend(&slice[..len]);
            written += len;
            if len < slice.len() {
                state.is_full = true;
                break;
            }
        }
        if written == 0 && state.is_full { Err(ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_server_gone = true;
        // RFC 9293 §3.6.1: closed with something unread, a connection is reset.
        if !state.inward.is_empty() {
            state.broken = Some(true);
        }
        state.inward.clear();
    }
}

/// The client's end of a line; dropped, it is closed.
#[derive(Debug)]
pub struct ClientEnd(Arc<Line>);

impl ClientEnd {
    /// The line, for its readiness.
    #[must_use]
    pub fn line(&self) -> Arc<Line> {
        Arc::clone(&self.0)
    }

    /// Lets each direction hold this many bytes.
    pub fn set_room(&mut self, room: usize) {
        self.0.state().room = room.max(1);
    }

    /// Sends what there is room for, and says how much that was. Whatever is sent to a server that has gone is lost.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut state = self.0.state();
        if state.is_server_gone || state.broken.is_some() {
            return bytes.len();
        }
        if state.has_client_finished {
            return 0;
        }
        let len = bytes.len().min(state.room.saturating_sub(state.inward.len()));
        state.inward.extend(&bytes[..len]);
        state.is_news |= len > 0;
        len
    }

    /// Takes at most `most` bytes of what has come.
    pub fn read(&mut self, most: usize) -> Vec<u8> {
        let mut state = self.0.state();
        let len = most.min(state.outward.len());
        let bytes = state.outward.drain(..len).collect();
        if state.is_full && state.outward.len() * 3 <= state.room * 2 {
            state.is_full = false;
            state.is_news = true;
        }
        bytes
    }

    /// Bytes that have come and were not taken.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.0.state().outward.len()
    }

    /// Sends nothing more.
    pub fn finish(&mut self) {
        let mut state = self.0.state();
        state.is_news |= !state.has_client_finished;
        state.has_client_finished = true;
    }

    /// Breaks the connection; what had come and was not taken is lost.
    pub fn reset(&mut self) {
        let mut state = self.0.state();
        if state.broken.is_none() {
            state.broken = Some(false);
            state.is_news = true;
        }
        state.outward.clear();
    }

    /// Whether everything was taken and nothing more can come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let state = self.0.state();
        let is_over = state.has_server_finished || state.is_server_gone || state.broken.is_some();
        is_over && state.outward.is_empty()
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        if self.unread() > 0 {
            return self.reset();
        }
        self.finish();
        self.0.state().is_client_gone = true;
    }
}

impl TcpStream {
    /// As [`mio::net::TcpStream::connect`]: to the system's network.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        mio::net::TcpStream::connect(address).map(Self::System)
    }

    pub(super) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::System(tcp) => tcp.peek(buffer),
            Self::Simulated(end) => end.recv(buffer, false),
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::System(tcp) => tcp.shutdown(how),
            Self::Simulated(end) => {
                end.0.state().has_server_finished = true;
                Ok(())
            }
        }
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::System(tcp) => tcp.take_error(),
            Self::Simulated(_) => Ok(None),
        }
    }

    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::System(tcp) => tcp.peer_addr(),
            Self::Simulated(_) => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            TcpStream::System(tcp) => (&mut &*tcp).read(buffer),
            TcpStream::Simulated(end) => end.recv(buffer, true),
        }
    }
}

impl Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            TcpStream::System(tcp) => (&mut &*tcp).write(bytes),
            TcpStream::Simulated(end) => end.send(&[IoSlice::new(bytes)]),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            TcpStream::System(tcp) => (&mut &*tcp).write_vectored(slices),
            TcpStream::Simulated(end) => end.send(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(buffer)
    }
}

impl Write for TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for TcpStream {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::System(tcp) => tcp.register(registry, token, interests),
            Self::Simulated(end) => {
                let mut state = end.0.state();
                (state.token, state.is_news) = (Some(token), true);
                Ok(())
            }
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::System(tcp) => tcp.reregister(registry, token, interests),
            Self::Simulated(_) => self.register(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::System(tcp) => tcp.deregister(registry),
            Self::Simulated(end) => {
                end.0.state().token = None;
                Ok(())
            }
        }
    }
}

impl TcpListener {
    pub(super) fn from_std(listener: std::net::TcpListener) -> Self {
        Self::System(mio::net::TcpListener::from_std(listener))
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::System(tcp) => tcp.local_addr(),
            Self::Simulated(_) => Err(ErrorKind::AddrNotAvailable.into()),
        }
    }

    pub(super) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::System(tcp) => tcp.accept().map(|(stream, peer)| (TcpStream::System(stream), peer)),
            Self::Simulated(door) => {
                let (end, peer) = door.waiting().pop_front().ok_or(ErrorKind::WouldBlock)?;
                Ok((TcpStream::Simulated(end), peer))
            }
        }
    }
}

impl Source for TcpListener {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::System(tcp) => tcp.register(registry, token, interests),
            Self::Simulated(_) => Ok(()),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::System(tcp) => tcp.reregister(registry, token, interests),
            Self::Simulated(_) => Ok(()),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::System(tcp) => tcp.deregister(registry),
            Self::Simulated(_) => Ok(()),
        }
    }
}
