//! Two pairs that mean well, one of webshare and one on a channel: whatever the others do, what one says the other hears,
//! at once and in order.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use jackfield::server::simulation::{ClientEnd, Simulation};
use serde_json::Value;
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Message, Utf8Bytes};

use super::oracle::small;
use super::{MOST_TURNS, PUBLIC};

/// What only the neighbours say.
pub(crate) const PRIVATE: &str = "between the two of us";

/// A stream for tungstenite.
struct Wire(ClientEnd);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.read(buffer.len());
        if bytes.is_empty() && !self.0.has_ended() {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            0 => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Client = WebSocket<Wire>;

/// The four of them.
pub(crate) struct Neighbours {
    webshare: [Client; 2],
    channel: [Client; 2],
    said: u64,
}

fn open(server: &mut Simulation, target: &str, port: u16) -> Client {
    let mut end = server.connect(PUBLIC, SocketAddr::from(([127, 0, 0, 1], port)));
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    assert_eq!(end.write(head.as_bytes()), head.len());
    server.settle(MOST_TURNS);
    let response = end.read(4096);
    assert!(response.starts_with(b"HTTP/1.1 101 ") && response.ends_with(b"\r\n\r\n"), "{target}");
    WebSocket::from_raw_socket(Wire(end), Role::Client, Some(small()))
}

fn say(client: &mut Client, text: &str) {
    client.send(Message::Text(Utf8Bytes::from(text))).expect("a neighbour is heard");
}

/// Everything that has come, as text. Pings are answered on the way.
fn heard(client: &mut Client) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match client.read() {
            Ok(Message::Text(text)) => texts.push(text.to_string()),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(other) => panic!("a neighbour hears {other:?}"),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("a neighbour is disturbed: {error}"),
        }
    }
    // The answers to pings.
    client.flush().expect("a neighbour is heard");
    texts
}

fn body(text: &str) -> Value {
    let reply: Value = serde_json::from_str(text).expect("webshare speaks JSON");
    assert_eq!(reply["ok"], Value::Bool(true), "{text}");
    reply["body"].clone()
}

impl Neighbours {
    /// They come first, and find each other.
    pub(crate) fn new(server: &mut Simulation) -> Self {
        let mut webshare = [open(server, "/webshare", 1), open(server, "/webshare", 2)];
        let channel = ["/local/neighbours-only", "/local/neighbours-only"].map(|target| open(server, target, 3));
        say(&mut webshare[0], r#"{"command":"key"}"#);
        server.settle(MOST_TURNS);
        let key = body(&heard(&mut webshare[0])[0])["key"].as_str().expect("a key").to_owned();
        say(&mut webshare[1], &format!(r#"{{"command":"pair","body":{{"target":"{key}"}}}}"#));
        server.settle(MOST_TURNS);
        assert_eq!(body(&heard(&mut webshare[1])[0])["with"], key.as_str());
        assert_eq!(heard(&mut webshare[0]).len(), 1);
        Self { webshare, channel, said: 0 }
    }

    /// One message each way on both, and nothing else is heard.
    pub(crate) fn talk(&mut self, server: &mut Simulation) {
        self.listen();
        let (number, from) = (self.said, usize::from(self.said % 2 == 1));
        self.said += 1;
        let text = format!("{PRIVATE} {number}");
        say(&mut self.webshare[from], &format!(r#"{{"command":"relay","body":"{text}","echo":{number}}}"#));
        say(&mut self.channel[from], &text);
        server.settle(MOST_TURNS);
        let receipts = heard(&mut self.webshare[from]);
        assert!(receipts.len() == 1 && receipts[0].contains("RELAY_SENT"), "{receipts:?}");
        let pushes = heard(&mut self.webshare[1 - from]);
        assert!(pushes.len() == 1 && body(&pushes[0]) == text.as_str(), "{number}: {pushes:?}");
        assert_eq!(heard(&mut self.channel[1 - from]), [text]);
        assert_eq!(heard(&mut self.channel[from]), [""; 0]);
    }

    /// Hears pings, and nothing else.
    pub(crate) fn listen(&mut self) {
        for client in self.webshare.iter_mut().chain(&mut self.channel) {
            assert_eq!(heard(client), [""; 0]);
        }
    }
}
