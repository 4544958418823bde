//! A client of bare bytes: everything it sends is written out by the test, everything it receives is checked strictly.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::DEADLINE;
use super::frame::{self, Frame, Received};
use super::http::{Response, upgrade_request};

/// Why a client did not get what it waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// Nothing (more) came in time.
    Deadline,
    /// The server closed the TCP connection.
    End,
    /// The server reset the TCP connection, which may have cost bytes that it had sent.
    Reset,
    /// The server sent what a server must not send.
    Malformed(String),
}

/// A TCP connection to the server.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// Received and not used yet.
    buffer: Vec<u8>,
    /// How long one expectation may take.
    patience: Duration,
}

impl Client {
    /// Connects, and sends nothing.
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the server accepts"))
    }

    /// Uses a TCP connection that exists.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a live socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a live socket");
        Self { stream, buffer: Vec::new(), patience: DEADLINE }
    }

    /// Connects with buffers of about `bytes` in our kernel, so that the server soon feels it when this client does not
    /// read, and this client when the server does not.
    #[track_caller]
    pub(crate) fn connect_with_buffers(address: SocketAddr, bytes: usize) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)
            .expect("a descriptor is free");
        socket.set_recv_buffer_size(bytes).expect("the size is allowed");
        socket.set_send_buffer_size(bytes).expect("the size is allowed");
        socket.connect(&address.into()).expect("the server accepts");
        Self::over(socket.into())
    }

    /// Connects and completes the opening handshake on `target`.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, target: &str) -> Self {
        let mut client = Self::connect(address);
        client.upgrade(target);
        client
    }

    /// Completes the opening handshake on `target`.
    #[track_caller]
    pub(crate) fn upgrade(&mut self, target: &str) -> Response {
        let address = self.stream.peer_addr().expect("connected");
        self.write(upgrade_request(address, target).as_bytes());
        let response = self.response();
        assert_eq!(response.status, 101, "upgrade of {target}: {response:?}");
        response
    }

    /// The socket, for what this type has no method for.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The socket alone.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Waits this long, instead of `DEADLINE`, from now on.
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Writes bytes as they are.
    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes our bytes");
    }

    /// Writes one frame.
    #[track_caller]
    pub(crate) fn send(&mut self, frame: &Frame) {
        self.write(&frame.bytes());
    }

    /// Ends our direction of the TCP connection.
    pub(crate) fn finish_writing(&self) {
        self.stream.shutdown(Shutdown::Write).expect("a live socket");
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> Result<Received, Trouble> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(frame) = Received::take(&mut self.buffer).map_err(Trouble::Malformed)? {
                return Ok(frame);
            }
            self.receive(deadline)?;
        }
    }

    /// The next frame; anything else fails the test.
    #[track_caller]
    pub(crate) fn expect_frame(&mut self) -> Received {
        match self.frame() {
            Ok(frame) => frame,
            Err(trouble) => panic!("instead of a frame: {trouble:?}"),
        }
    }

    /// The next frame is this text.
    #[track_caller]
    pub(crate) fn expect_text(&mut self, payload: impl AsRef<str>) {
        let frame = self.expect_frame();
        assert_eq!(frame.opcode, frame::TEXT, "{}", frame.summary());
        assert_eq!(String::from_utf8_lossy(&frame.payload), payload.as_ref());
    }

    /// The next frame is text: which one?
    #[track_caller]
    pub(crate) fn any_text(&mut self) -> String {
        let frame = self.expect_frame();
        assert_eq!(frame.opcode, frame::TEXT, "{}", frame.summary());
        String::from_utf8(frame.payload).expect("checked with the frame")
    }

    /// The next frame is binary with this payload.
    #[track_caller]
    pub(crate) fn expect_binary(&mut self, payload: impl AsRef<[u8]>) {
        let frame = self.expect_frame();
        assert_eq!(frame.opcode, frame::BINARY, "{}", frame.summary());
        assert!(frame.payload == payload.as_ref(), "another payload: {}", frame.summary());
    }

    /// The next frame is a Ping: its payload.
    #[track_caller]
    pub(crate) fn expect_ping(&mut self) -> Vec<u8> {
        let frame = self.expect_frame();
        assert_eq!(frame.opcode, frame::PING, "{}", frame.summary());
        frame.payload
    }

    /// The next frame is a Pong with this payload.
    #[track_caller]
    pub(crate) fn expect_pong(&mut self, payload: impl AsRef<[u8]>) {
        let frame = self.expect_frame();
        assert_eq!((frame.opcode, &frame.payload[..]), (frame::PONG, payload.as_ref()), "{}", frame.summary());
    }

    /// The next frame is a Close with this status, after which the server ends the connection: the reason it gave.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: u16) -> String {
        let frame = self.expect_frame();
        assert_eq!((frame.opcode, frame.close_code()), (frame::CLOSE, Some(code)), "{}", frame.summary());
        frame.close_reason()
    }

    /// The server ends the TCP connection and sends nothing more before it.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        match self.end() {
            Ok(()) => {}
            Err(trouble) => panic!("instead of the connection's end: {trouble:?}"),
        }
    }

    /// Whether the server ends the TCP connection in order and sends nothing more before it.
    pub(crate) fn end(&mut self) -> Result<(), Trouble> {
        let deadline = Instant::now() + self.patience;
        loop {
            if !self.buffer.is_empty() {
                let shown = &self.buffer[..self.buffer.len().min(60)];
                return Err(Trouble::Malformed(format!("{} more bytes: {shown:02x?}", self.buffer.len())));
            }
            match self.receive(deadline) {
                Ok(()) => {}
                Err(Trouble::End) => return Ok(()),
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Sends nothing for `duration` and expects to hear nothing.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, duration: Duration) {
        let heard = if self.buffer.is_empty() { self.receive(Instant::now() + duration) } else { Ok(()) };
        assert_eq!(heard, Err(Trouble::Deadline), "instead of silence: {:02x?}", self.buffer);
    }

    /// Sends a Ping and waits for its Pong: everything sent before has been processed, and nothing else was said.
    #[track_caller]
    pub(crate) fn round_trip(&mut self) {
        self.send(&frame::ping(b"round trip"));
        self.expect_pong(b"round trip");
    }

    /// Completes a closing handshake that we start.
    #[track_caller]
    pub(crate) fn close(mut self) {
        self.send(&frame::close(1000, b""));
        self.expect_close(1000);
        self.expect_end();
    }

    /// Reads a response to a request other than HEAD.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads a response to a request with this method.
    #[track_caller]
    pub(crate) fn response_to(&mut self, method: &str) -> Response {
        match self.try_response(method) {
            Ok(response) => response,
            Err(trouble) => {
                panic!("instead of a response: {trouble:?}, after {:?}", String::from_utf8_lossy(&self.buffer))
            }
        }
    }

    /// Reads a response to a request with this method, if one comes.
    pub(crate) fn try_response(&mut self, method: &str) -> Result<Response, Trouble> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(response) = Response::take(&mut self.buffer, method).map_err(Trouble::Malformed)? {
                return Ok(response);
            }
            self.receive(deadline)?;
        }
    }

    /// Waits for at least one more byte.
    fn receive(&mut self, deadline: Instant) -> Result<(), Trouble> {
        let mut chunk = [0; 64 * 1024];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Trouble::Deadline);
            }
            self.stream.set_read_timeout(Some(left)).expect("a live socket and a time above zero");
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Trouble::End),
                Ok(len) => {
                    self.buffer.extend_from_slice(&chunk[..len]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Trouble::Deadline),
                    ErrorKind::Interrupted => {}
                    _ => return Err(Trouble::Reset),
                },
            }
        }
    }
}
