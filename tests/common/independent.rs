//! A client that is not ours: tungstenite's, for tests of what protocols mean rather than of bytes.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tungstenite::error::Error;
use tungstenite::{Message, WebSocket, client};

use super::DEADLINE;

/// A connected WebSocket.
pub(crate) struct Independent(WebSocket<TcpStream>);

impl Independent {
    /// Connects and opens `target`.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, target: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).expect("a live socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("a live socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a live socket");
        match client(format!("ws://{address}{target}"), stream) {
            Ok((socket, _)) => Self(socket),
            Err(error) => panic!("{target} does not open: {error}"),
        }
    }

    /// The port that the server sees this client at.
    #[track_caller]
    pub(crate) fn port(&self) -> u16 {
        self.0.get_ref().local_addr().expect("a live socket").port()
    }

    /// Sends a message.
    #[track_caller]
    pub(crate) fn send(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).expect("the server takes our message");
    }

    /// Sends text.
    #[track_caller]
    pub(crate) fn say(&mut self, text: &str) {
        self.send(Message::text(text));
    }

    /// The next message that is not a control frame.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Message {
        loop {
            match self.0.read() {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return message,
                Err(error) => panic!("instead of a message: {error}"),
            }
        }
    }

    /// How long it waits for a message.
    #[track_caller]
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.0.get_ref().set_read_timeout(Some(patience)).expect("a live socket");
    }

    /// The next message that is not a control frame, if one comes in time.
    #[track_caller]
    pub(crate) fn try_next(&mut self) -> Option<Message> {
        loop {
            match self.0.read() {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return Some(message),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("instead of a message: {error}"),
            }
        }
    }

    /// The next message is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, message: &Message) {
        let next = self.next();
        assert!(next == *message, "expected {}, got {}", short(message), short(&next));
    }

    /// The next message is this text.
    #[track_caller]
    pub(crate) fn hears(&mut self, text: &str) {
        self.expect(&Message::text(text));
    }

    /// Nothing was sent to this client: the answer to a Ping comes first.
    #[track_caller]
    pub(crate) fn hears_nothing(&mut self) {
        self.send(Message::Ping(b"anything?"[..].into()));
        loop {
            match self.0.read() {
                Ok(Message::Pong(payload)) if &payload[..] == b"anything?" => return,
                Ok(Message::Ping(_)) => {}
                Ok(message) => panic!("expected nothing, got {}", short(&message)),
                Err(error) => panic!("expected nothing, got {error}"),
            }
        }
    }

    /// A closing handshake that we start.
    #[track_caller]
    pub(crate) fn close(mut self) {
        self.0.close(None).expect("the server takes our Close");
        loop {
            match self.0.read() {
                Ok(_) => {}
                Err(Error::ConnectionClosed) => return,
                Err(error) => panic!("the closing handshake failed: {error}"),
            }
        }
    }

    /// The TCP connection ends without a word.
    pub(crate) fn vanish(self) {
        drop(self);
    }
}

fn short(message: &Message) -> String {
    let shown: String = format!("{message:?}").chars().take(200).collect();
    format!("{} bytes, {shown}", message.len())
}
