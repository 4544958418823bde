//! One row of the table: bytes in, frames out.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;

use crate::common::client::{Client, Trouble};
use crate::common::frame::{self, Frame, Received, close};

/// How the bytes of a case reach the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// One write per chunk, as fast as the kernel takes them.
    Fast,
    /// One write per chunk, each after the server has read the one before: every chunk border is seen.
    Stepwise,
}

/// What tungstenite's own server makes of a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Oracle {
    /// The same as ours: it validates the case.
    Agrees,
    /// Something else, for this reason.
    Differs(&'static str),
}

/// One frame that has to come back.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// This text, in one frame.
    Text(Vec<u8>),
    /// These bytes, in one frame.
    Binary(Vec<u8>),
    /// A Pong with this payload.
    Pong(Vec<u8>),
    /// A Close with this status, then the end of the TCP connection.
    Close(u16),
    /// A Close with this status and a reason that contains this, then the end of the TCP connection.
    CloseSaying(u16, &'static str),
    /// A Close with this status and no reason but, at most, this one, then the end of the TCP connection.
    CloseEcho(u16, String),
    /// A Close without a status, or with 1000, then the end of the TCP connection.
    CloseEmpty,
}

/// A row of the table. After the last expectation nothing more may come; unless that was a Close, the connection must
/// still be good for a closing handshake.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    writes: Vec<Vec<u8>>,
    expect: Vec<Expect>,
    pace: Pace,
    oracle: Oracle,
}

/// A case that writes all frames at once.
pub(crate) fn case(name: impl Into<String>, frames: &[Frame], expect: impl Into<Vec<Expect>>) -> Case {
    let bytes = frames.iter().flat_map(Frame::bytes).collect();
    Case { name: name.into(), writes: vec![bytes], expect: expect.into(), pace: Pace::Fast, oracle: Oracle::Agrees }
}

/// What echoing these bytes as text gives.
pub(crate) fn text_back(payload: impl AsRef<[u8]>) -> Expect {
    Expect::Text(payload.as_ref().to_vec())
}

/// What echoing these bytes as binary gives.
pub(crate) fn binary_back(payload: impl AsRef<[u8]>) -> Expect {
    Expect::Binary(payload.as_ref().to_vec())
}

/// The answer to a Ping.
pub(crate) fn pong_back(payload: impl AsRef<[u8]>) -> Expect {
    Expect::Pong(payload.as_ref().to_vec())
}

impl Case {
    /// Writes in chunks of `len` bytes.
    pub(crate) fn chopped(self, len: usize) -> Self {
        self.chopped_by(&[len])
    }

    /// Writes in chunks of these lengths, again and again.
    pub(crate) fn chopped_by(mut self, lengths: &[usize]) -> Self {
        let bytes = self.writes.concat();
        let mut rest = &bytes[..];
        let mut chunks = Vec::new();
        for &len in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, tail) = rest.split_at(len.min(rest.len()));
            chunks.push(chunk.to_vec());
            rest = tail;
        }
        self.writes = chunks;
        self
    }

    /// Cuts what is written once, after `at` bytes, and makes the server see the cut.
    pub(crate) fn cut(mut self, at: usize) -> Self {
        let mut first = self.writes.concat();
        let second = first.split_off(at);
        self.writes = vec![first, second];
        self.stepwise()
    }

    /// Makes the server see the border of each chunk.
    pub(crate) fn stepwise(mut self) -> Self {
        self.pace = Pace::Stepwise;
        self
    }

    /// tungstenite disagrees.
    pub(crate) fn differs(mut self, reason: &'static str) -> Self {
        self.oracle = Oracle::Differs(reason);
        self
    }

    /// Whether tungstenite's server must pass as well.
    pub(crate) fn is_for_the_oracle(&self) -> bool {
        self.oracle == Oracle::Agrees
    }

    /// Plays the case on a fresh connection.
    ///
    /// # Errors
    /// What came instead of what was expected.
    pub(crate) fn play(&self, server: SocketAddr, target: &str) -> Result<(), String> {
        let mut client = Client::open(server, target);
        let writer = client.stream().try_clone().map_err(|error| error.to_string())?;
        thread::scope(|scope| {
            let writing = scope.spawn(|| self.write(writer));
            let outcome = self.read(&mut client);
            let is_closed = self.expect.last().is_some_and(Expect::is_close);
            if outcome.is_err() || is_closed {
                // What is still unwritten has lost its meaning; this frees a writer that is stuck.
                let _ = client.stream().shutdown(std::net::Shutdown::Both);
            }
            let written = writing.join().map_err(|_| "the writer panicked")?;
            outcome?;
            if is_closed {
                return Ok(());
            }
            written.map_err(|error| format!("writing failed: {error}"))?;
            client.write(&close(1000, b"").bytes());
            expect_frame(&mut client, &Expect::Close(1000)).map_err(|instead| format!("at the end: {instead}"))
        })
    }

    fn write(&self, mut stream: TcpStream) -> std::io::Result<()> {
        for (index, chunk) in self.writes.iter().enumerate() {
            if index > 0 && self.pace == Pace::Stepwise {
                wait_until_read(&stream)?;
            }
            stream.write_all(chunk)?;
        }
        Ok(())
    }

    fn read(&self, client: &mut Client) -> Result<(), String> {
        for (index, expect) in self.expect.iter().enumerate() {
            expect_frame(client, expect).map_err(|instead| format!("at {index}: {instead}"))?;
        }
        Ok(())
    }
}

impl Expect {
    fn is_close(&self) -> bool {
        matches!(self, Self::Close(_) | Self::CloseSaying(..) | Self::CloseEcho(..) | Self::CloseEmpty)
    }

    fn fits(&self, frame: &Received) -> bool {
        let is_close = frame.opcode == frame::CLOSE;
        match self {
            Self::Text(payload) => frame.opcode == frame::TEXT && frame.payload == *payload,
            Self::Binary(payload) => frame.opcode == frame::BINARY && frame.payload == *payload,
            Self::Pong(payload) => frame.opcode == frame::PONG && frame.payload == *payload,
            Self::Close(code) => is_close && frame.close_code() == Some(*code),
            Self::CloseSaying(code, word) => {
                is_close && frame.close_code() == Some(*code) && frame.close_reason().contains(word)
            }
            Self::CloseEcho(code, reason) => {
                is_close
                    && frame.close_code() == Some(*code)
                    && (frame.close_reason().is_empty() || frame.close_reason() == *reason)
            }
            Self::CloseEmpty => is_close && matches!(frame.close_code(), None | Some(1000)),
        }
    }

    fn summary(&self) -> String {
        let received = |opcode, payload: &Vec<u8>| Received { opcode, payload: payload.clone() }.summary();
        match self {
            Self::Text(payload) => received(frame::TEXT, payload),
            Self::Binary(payload) => received(frame::BINARY, payload),
            Self::Pong(payload) => received(frame::PONG, payload),
            other => format!("{other:?}"),
        }
    }
}

fn expect_frame(client: &mut Client, expect: &Expect) -> Result<(), String> {
    match client.frame() {
        Ok(frame) if expect.fits(&frame) => {}
        Ok(frame) => return Err(format!("expected {}, got {}", expect.summary(), frame.summary())),
        Err(trouble) => return Err(format!("expected {}, got {trouble:?}", expect.summary())),
    }
    if expect.is_close() {
        match client.end() {
            Ok(()) => {}
            Err(Trouble::Deadline) => return Err("the server leaves TCP open after the closing handshake".into()),
            Err(trouble) => return Err(format!("after the closing handshake: {trouble:?}")),
        }
    }
    Ok(())
}

/// Waits until the other end of `stream`, in this process, has read everything. Where the kernel's table cannot be
/// read, only gives the server the chance to.
fn wait_until_read(stream: &TcpStream) -> std::io::Result<()> {
    let reader = table_address(stream.peer_addr()?);
    let writer = table_address(stream.local_addr()?);
    for _ in 0..10_000 {
        let Ok(table) = fs::read_to_string("/proc/net/tcp") else { break };
        let unread = table.lines().find_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let is_ours = fields.next() == Some(&reader) && fields.next() == Some(&writer);
            let queues = if is_ours { fields.nth(1) } else { None };
            queues
                .and_then(|queues| queues.split_once(':'))
                .map(|(_, unread)| unread.bytes().any(|digit| digit != b'0'))
        });
        if unread != Some(true) {
            return Ok(());
        }
        thread::yield_now();
    }
    thread::yield_now();
    Ok(())
}

/// An IPv4 address as `/proc/net/tcp` writes it.
fn table_address(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port()),
        SocketAddr::V6(_) => String::new(),
    }
}
