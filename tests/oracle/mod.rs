//! What our framing makes of a client's bytes, held against tungstenite's `WebSocketContext`, which wrote none of it.
//! Used by the tests and by the fuzzer.

use std::io::{self, Read, Write};

use jackfield::frame::assemble::{Assembler, Item, MessageLimits, Window};
use jackfield::frame::close::ClosePayload;
use jackfield::frame::message::{Framed, Kind};
use jackfield::frame::pool::Pool;
use jackfield::frame::split::Violation;
use tungstenite::protocol::frame::coding::Control;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// The longest message that both accept, in bytes.
pub(crate) const MAX_MESSAGE: usize = 300_000;

/// Something whole that a client said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Said {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// More bytes are wanted.
    Waiting,
    /// After a Close frame nothing counts.
    Closed,
    /// A rule was broken; ours says which.
    Rejected(Option<Violation>),
}

/// What we make of `bytes`, received in pieces of the given sizes, over and over; a piece of 0 counts as 1.
pub(crate) fn ours(bytes: &[u8], pieces: &[usize]) -> (Vec<Said>, End) {
    ours_with(bytes, pieces, usize::MAX)
}

/// The same, taking the direct way into a message's own buffer whenever `worth` bytes of a frame are missing.
pub(crate) fn ours_with(bytes: &[u8], pieces: &[usize], worth: usize) -> (Vec<Said>, End) {
    let limits = MessageLimits { bytes: MAX_MESSAGE, fragments: u32::MAX };
    let (mut assembler, mut pool, mut said) = (Assembler::default(), Pool::default(), Vec::new());
    // Room behind what is received, so that a long message may take the buffer along.
    let mut scratch = vec![0; bytes.len() * 2 + 256];
    let (mut kept, mut rest) = (Vec::new(), bytes);
    let mut sizes = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(usize::MAX).max(1).min(rest.len());
        if kept.is_empty()
            && let Some(room) = assembler.room(worth)
        {
            let size = size.min(room.len());
            let (piece, behind) = rest.split_at(size);
            room[..size].copy_from_slice(piece);
            rest = behind;
            match assembler.received(size, &mut pool) {
                Ok(message) => said.extend(message.map(take)),
                Err(violation) => return (said, End::Rejected(Some(violation))),
            }
            continue;
        }
        let (piece, behind) = rest.split_at(size);
        rest = behind;
        let end = kept.len() + piece.len();
        scratch[..kept.len()].copy_from_slice(&kept);
        scratch[kept.len()..end].copy_from_slice(piece);
        let mut window = Window::new(end);
        loop {
            match assembler.next(&mut scratch, &mut window, limits, &mut pool) {
                Ok(Some(Item::Message(message))) => said.push(take(message)),
                Ok(Some(Item::Control(Control::Ping, payload))) => said.push(Said::Ping(payload.to_vec())),
                Ok(Some(Item::Control(Control::Pong, payload))) => said.push(Said::Pong(payload.to_vec())),
                Ok(Some(Item::Control(_, payload))) => match ClosePayload::parse(payload) {
                    Err(violation) => return (said, End::Rejected(Some(violation))),
                    Ok(_) => {
                        said.push(Said::Close);
                        return (said, End::Closed);
                    }
                },
                Ok(None) => break,
                Err(violation) => return (said, End::Rejected(Some(violation))),
            }
        }
        kept = scratch[window.start..window.end].to_vec();
        assert!(kept.len() < 14 + 125, "only half a header or half a control frame is kept");
    }
    (said, End::Waiting)
}

/// The message, by way of the frame that would be relayed.
fn take(message: jackfield::frame::message::Message<'_>) -> Said {
    let (kind, payload) = (message.kind(), message.payload().to_vec());
    let frame = match message.reframe() {
        Framed::InPlace(frame) => frame.to_vec(),
        Framed::Owned(buffer, range) => buffer[range].to_vec(),
    };
    let mut client = WebSocketContext::new(Role::Client, Some(WebSocketConfig::default().read_buffer_size(1024)));
    let relayed = client.read(&mut Wire(&frame)).expect("what we relay is a frame that any client takes");
    assert!(client.read(&mut Wire(&[])).is_err(), "and nothing more");
    match kind {
        Kind::Text => {
            assert_eq!(relayed, Message::Text(String::from_utf8(payload.clone()).expect("checked").into()));
            Said::Text(payload)
        }
        Kind::Binary => {
            assert_eq!(relayed, Message::Binary(payload.clone().into()));
            Said::Binary(payload)
        }
    }
}

/// What the oracle makes of the same bytes.
pub(crate) fn oracle(bytes: &[u8]) -> (Vec<Said>, End) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(1024);
    let mut server = WebSocketContext::new(Role::Server, Some(config));
    let (mut wire, mut said) = (Wire(bytes), Vec::new());
    loop {
        match server.read(&mut wire) {
            Ok(Message::Text(text)) => said.push(Said::Text(text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => said.push(Said::Binary(bytes.to_vec())),
            Ok(Message::Ping(payload)) => said.push(Said::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => said.push(Said::Pong(payload.to_vec())),
            Ok(Message::Close(_)) => {
                said.push(Said::Close);
                return (said, End::Closed);
            }
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(Error::Io(_)) => return (said, End::Waiting),
            Err(_) => return (said, End::Rejected(None)),
        }
    }
}

/// Fails unless both say the same of `bytes`, however we receive them.
pub(crate) fn compare(bytes: &[u8], pieces: &[usize]) {
    let (said, end) = ours(bytes, pieces);
    assert_eq!((said.clone(), end), ours(bytes, &[]), "pieces change nothing");
    assert_eq!((said.clone(), end), ours_with(bytes, pieces, 1), "nor does the way in");
    let (heard, verdict) = oracle(bytes);
    match (end, verdict) {
        // We are stricter about lengths in more bytes than they need (RFC 6455 §5.2), and refuse as early as the bytes allow.
        // The oracle answers a close code that must not be sent without calling it an error.
        (End::Rejected(Some(Violation::BadClose)), End::Closed)
        | (End::Rejected(Some(Violation::BadLength | Violation::LongControl)), _)
        | (End::Rejected(_), End::Waiting | End::Rejected(_)) => {
            assert!(heard.starts_with(&said), "{said:?} before the refusal, the oracle heard {heard:?}");
        }
        (End::Waiting, End::Waiting) | (End::Closed, End::Closed) => assert_eq!(said, heard),
        (end, verdict) => panic!("we say {end:?}, the oracle {verdict:?}, of {bytes:x?}"),
    }
}

/// A stream that has these bytes and then nothing yet, and takes whatever is written.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
