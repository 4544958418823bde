//! One row of the table: bytes in, frames out.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use crate::common::client::{Client, Trouble};
use crate::common::frame::{self, Frame, Received, close, ping};
use crate::common::http::request;

/// How the bytes of a case reach the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// One write per chunk, as fast as the kernel takes them.
    Fast,
    /// One write per chunk, each after the server has read the one before: every chunk border is seen.
    Stepwise,
}

/// Where a case is played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Our server sends whole messages back.
    Echo,
    /// Our server relays whole messages to so many others.
    Listeners(usize),
    /// tungstenite's server sends whole messages back.
    Oracle,
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

    /// Plays the case on a fresh connection, on a name of its own.
    ///
    /// # Errors
    /// What came instead of what was expected.
    pub(crate) fn play(&self, server: SocketAddr, stage: Stage, number: usize) -> Result<(), String> {
        let (target, listeners) = match stage {
            Stage::Echo | Stage::Oracle => (format!("/local/case{number}?echo=1"), 0),
            Stage::Listeners(count) => (format!("/local/case{number}"), count),
        };
        let mut listeners: Vec<_> = (0..listeners).map(|_| Client::open(server, &target)).collect();
        let mut client = Client::open(server, &target);
        let bystander = (stage == Stage::Echo && self.pace == Pace::Stepwise).then(|| Bystander::new(server));
        let writer = client.stream().try_clone().map_err(|error| error.to_string())?;
        thread::scope(|scope| {
            let writing = scope.spawn(|| self.write(writer, bystander));
            let outcome = self.read(&mut client, &mut listeners);
            let is_closed = self.expect.last().is_some_and(Expect::is_close);
            if outcome.is_err() || is_closed {
                // What is still unwritten has lost its meaning; this frees a writer that is stuck.
                let _ = client.stream().shutdown(Shutdown::Both);
            }
            let written = writing.join().map_err(|_| "the writer panicked")?;
            outcome?;
            if !is_closed {
                written.map_err(|error| format!("writing failed: {error}"))?;
                client.write(&close(1000, b"").bytes());
                expect_frame(&mut client, &Expect::Close(1000)).map_err(|instead| format!("at the end: {instead}"))?;
            }
            // Nothing else has reached them, and they are well.
            for listener in &mut listeners {
                listener.write(&ping("well?").bytes());
                expect_frame(listener, &pong_back("well?")).map_err(|instead| format!("a listener: {instead}"))?;
            }
            Ok(())
        })
    }

    fn write(&self, mut stream: TcpStream, mut bystander: Option<Bystander>) -> std::io::Result<()> {
        for (index, chunk) in self.writes.iter().enumerate() {
            if index > 0
                && let Some(bystander) = &mut bystander
            {
                bystander.wait_for_the_loop();
            }
            stream.write_all(chunk)?;
        }
        Ok(())
    }

    fn read(&self, client: &mut Client, listeners: &mut [Client]) -> Result<(), String> {
        for (index, expect) in self.expect.iter().enumerate() {
            let at = |instead| format!("at {index}: {instead}");
            if expect.is_message() && !listeners.is_empty() {
                for listener in listeners.iter_mut() {
                    expect_frame(listener, expect).map_err(at)?;
                }
            } else {
                expect_frame(client, expect).map_err(at)?;
            }
        }
        Ok(())
    }
}

/// Another client of the same server. The loop answers in the order in which bytes arrive, so whatever was written before
/// a bystander's request has been read when its answer is here.
struct Bystander {
    client: Client,
    request: Vec<u8>,
}

impl Bystander {
    fn new(server: SocketAddr) -> Self {
        Self { client: Client::connect(server), request: request("GET", server, "/nobody").into_bytes() }
    }

    fn wait_for_the_loop(&mut self) {
        self.client.write(&self.request);
        self.client.response();
    }
}

impl Expect {
    fn is_message(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }

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
