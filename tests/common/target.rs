//! What the server dials: targets on 127.0.0.1, driven by the test or by a thread of their own.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::DEADLINE;

/// A listener whose connections the test drives.
pub(crate) struct Target {
    listener: TcpListener,
}

/// The target's end of a connection that the server opened.
#[derive(Debug)]
pub(crate) struct Line(TcpStream);

impl Target {
    /// On a free port.
    #[track_caller]
    pub(crate) fn listen() -> Self {
        Self::of(bound(), 128)
    }

    /// On a free port, with buffers of about `bytes` in our kernel, so that the server soon feels it when the target does
    /// not read.
    #[track_caller]
    pub(crate) fn listen_with_buffers(bytes: usize) -> Self {
        let socket = bound();
        socket.set_recv_buffer_size(bytes).expect("the size is allowed");
        socket.set_send_buffer_size(bytes).expect("the size is allowed");
        Self::of(socket, 128)
    }

    fn of(socket: Socket, backlog: i32) -> Self {
        socket.listen(backlog).expect("a bound socket listens");
        // Bounds `accept` as well.
        socket.set_read_timeout(Some(DEADLINE)).expect("a live socket");
        Self { listener: socket.into() }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().expect("bound").port()
    }

    /// The next connection that the server opens.
    #[track_caller]
    pub(crate) fn accept(&self) -> Line {
        let (stream, _) = self.listener.accept().expect("the server dials");
        stream.set_nodelay(true).expect("a live socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("a live socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a live socket");
        Line(stream)
    }

    /// Nobody has connected.
    #[track_caller]
    pub(crate) fn expect_nobody(&self) {
        self.listener.set_nonblocking(true).expect("a live socket");
        let accepted = self.listener.accept();
        assert!(accepted.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{accepted:?}");
        self.listener.set_nonblocking(false).expect("a live socket");
    }
}

/// A target that sends everything back, on a thread that lives as long as the test.
#[track_caller]
pub(crate) fn echo() -> u16 {
    let target = Target::listen();
    let port = target.port();
    thread::spawn(move || {
        for mut stream in target.listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = stream.try_clone().expect("a descriptor is free");
                // Whatever ends it ends this connection only.
                let _ = std::io::copy(&mut reader, &mut stream);
            });
        }
    });
    port
}

/// A port on which nobody listens, for as long as this lives.
pub(crate) struct Refusing(Socket);

impl Refusing {
    /// A free port.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self(bound())
    }

    /// Which one.
    pub(crate) fn port(&self) -> u16 {
        port(&self.0)
    }
}

/// A port that does not answer: its queue is full, so the system drops what knocks.
pub(crate) struct Silent {
    socket: Socket,
    _knocking: Vec<Socket>,
}

impl Silent {
    /// A free port.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let socket = bound();
        socket.listen(0).expect("a bound socket listens");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port(&socket))).into();
        let knocking = (0..4).map(|_| {
            let knocking = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
            knocking.set_nonblocking(true).expect("a live socket");
            // Some get in, and the queue is full; the others wait like everybody who comes later.
            let _ = knocking.connect(&address);
            knocking
        });
        let knocking = knocking.collect();
        Self { socket, _knocking: knocking }
    }

    /// Which one.
    pub(crate) fn port(&self) -> u16 {
        port(&self.socket)
    }
}

#[track_caller]
fn bound() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port is free");
    socket
}

fn port(socket: &Socket) -> u16 {
    socket.local_addr().ok().and_then(|address| address.as_socket()).expect("bound").port()
}

impl Line {
    /// The socket, for what this type has no method for.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Writes bytes.
    #[track_caller]
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the server takes our bytes");
    }

    /// The next bytes are these.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut received = vec![0; bytes.len()];
        if let Err(error) = self.0.read_exact(&mut received) {
            panic!("instead of {} bytes: {error}", bytes.len());
        }
        assert!(received == bytes, "received {}", received[..received.len().min(200)].escape_ascii());
    }

    /// The server has ended its side in order, and sends nothing more before that.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut byte = [0];
        match self.0.read(&mut byte) {
            Ok(0) => {}
            other => panic!("instead of the end: {other:?} {byte:?}"),
        }
    }

    /// Ends our side, and still listens.
    #[track_caller]
    pub(crate) fn finish_writing(&self) {
        self.0.shutdown(Shutdown::Write).expect("a live socket");
    }

    /// Ends the connection without an order: the server's system is told that it is reset.
    #[track_caller]
    pub(crate) fn reset(self) {
        let socket = Socket::from(self.0);
        socket.set_linger(Some(std::time::Duration::ZERO)).expect("a live socket");
    }
}

/// Bytes that tell where they are: a stream of them cannot be shortened, repeated or reordered unnoticed.
pub(crate) fn pattern(from: usize, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 16);
    for word in from / 8..(from + len).div_ceil(8) {
        bytes.extend_from_slice(&(word as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    }
    bytes.drain(..from % 8);
    bytes.truncate(len);
    bytes
}

/// Writes the first `total` bytes of the pattern in pieces of `piece` bytes.
pub(crate) fn write_pattern(stream: &mut impl Write, total: usize, piece: usize) -> std::io::Result<()> {
    for from in (0..total).step_by(piece) {
        stream.write_all(&pattern(from, piece.min(total - from)))?;
    }
    Ok(())
}

/// Reads the first `total` bytes of the pattern.
#[track_caller]
pub(crate) fn read_pattern(stream: &mut impl Read, total: usize) {
    let mut buffer = vec![0; 64 * 1024];
    let mut at = 0;
    while at < total {
        let room = buffer.len().min(total - at);
        let len = stream.read(&mut buffer[..room]).unwrap_or_else(|error| panic!("{error} at byte {at} of {total}"));
        assert!(len > 0, "it ends at byte {at} of {total}");
        assert!(buffer[..len] == pattern(at, len), "another byte in the {len} from {at} on");
        at += len;
    }
}

/// Counts what a thread has written.
pub(crate) struct Counted<W>(pub(crate) W, pub(crate) Arc<AtomicUsize>);

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = self.0.write(bytes)?;
        self.1.fetch_add(len, Ordering::Relaxed);
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
