//! What a client may hear: responses of HTTP, and behind one of status 101 frames as RFC 6455 wants them from a server, in
//! tungstenite's judgement.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

/// The bytes that came and were not understood yet. What tungstenite answers goes nowhere.
#[derive(Default)]
pub(crate) struct Inbox(VecDeque<u8>);

impl Read for Inbox {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
    }
}

impl Write for Inbox {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Judges everything that one client hears.
pub(crate) enum Oracle {
    Http(Vec<u8>),
    Frames(Box<WebSocket<Inbox>>),
    Closed,
}

impl Default for Oracle {
    fn default() -> Self {
        Self::Http(Vec::new())
    }
}

/// Settings of tungstenite that suit many small clients.
pub(crate) fn small() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096)
}

impl Oracle {
    /// Hears `bytes`, and panics if a server must not say them: the messages, bodies of responses among them.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        match self {
            Self::Http(buffer) => {
                buffer.extend(bytes);
                while let Some(response) = Response::take(buffer) {
                    if response.status == 101 {
                        let frames = std::mem::take(buffer);
                        *self = Self::Frames(Box::new(WebSocket::from_raw_socket(
                            Inbox::default(),
                            Role::Client,
                            Some(small()),
                        )));
                        heard.extend(self.hear(&frames));
                        break;
                    }
                    heard.push(response.body);
                }
            }
            Self::Frames(socket) => {
                socket.get_mut().0.extend(bytes);
                loop {
                    match socket.read() {
                        Ok(Message::Close(_)) => {
                            assert!(socket.get_ref().0.is_empty(), "something behind a Close frame");
                            *self = Self::Closed;
                            break;
                        }
                        Ok(message) => heard.push(message.into_data().to_vec()),
                        Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => panic!("a client is sent what it must refuse: {error}"),
                    }
                }
            }
            Self::Closed => assert!(bytes.is_empty(), "something behind a Close frame"),
        }
        heard
    }

    /// Whether frames are spoken.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Frames(_))
    }
}

struct Response {
    status: u16,
    body: Vec<u8>,
}

impl Response {
    /// Takes one response off the front, if it has come in full.
    fn take(buffer: &mut Vec<u8>) -> Option<Self> {
        let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = str::from_utf8(&buffer[..end]).expect("heads of ours are ASCII");
        assert!(head.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n')), "{head:?}");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status line of HTTP/1.1");
        let (status, reason) = status.split_at(3);
        let status: u16 = status.parse().expect("three digits");
        assert!((100..600).contains(&status) && reason.starts_with(' ') && reason.len() > 1, "{head:?}");
        let mut length = None;
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header field");
            assert!(!name.is_empty() && !name.contains([' ', '\r', '\n']), "{head:?}");
            assert!(!name.eq_ignore_ascii_case("transfer-encoding"), "{head:?}");
            if name.eq_ignore_ascii_case("content-length") {
                assert!(length.is_none(), "{head:?}");
                length = Some(value.parse::<usize>().expect("a length"));
            }
        }
        let length = match status {
            100..200 | 204 | 304 => 0,
            _ => length.unwrap_or_else(|| panic!("no length: {head:?}")),
        };
        let body = end + 4;
        if buffer.len() < body + length {
            return None;
        }
        let response = Self { status, body: buffer[body..body + length].to_vec() };
        buffer.drain(..body + length);
        Some(response)
    }
}
