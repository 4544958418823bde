//! A client of Engine.IO 3 and 4, over polling and WebSocket, and just enough of Socket.IO to be let in. It does what it is
//! told, one request at a time: nothing is polled, ponged or joined by itself.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::client::{Client, Trouble};
use super::frame::{self, BINARY, TEXT};
use super::http::Response;

/// A revision of Engine.IO.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Eio {
    Three,
    Four,
}

/// Both.
pub(crate) const REVISIONS: [Eio; 2] = [Eio::Three, Eio::Four];

impl Eio {
    /// `EIO=3` or `EIO=4`.
    pub(crate) fn query(self) -> &'static str {
        match self {
            Self::Three => "EIO=3",
            Self::Four => "EIO=4",
        }
    }
}

/// A packet: text with its type's digit in front, or the data of a binary message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Packet {
    Text(String),
    Binary(Vec<u8>),
}

/// A text packet.
pub(crate) fn text(text: impl Into<String>) -> Packet {
    Packet::Text(text.into())
}

/// A binary packet.
pub(crate) fn binary(bytes: impl Into<Vec<u8>>) -> Packet {
    Packet::Binary(bytes.into())
}

/// The payload of packets, in text.
pub(crate) fn payload(eio: Eio, packets: &[Packet]) -> String {
    let items = packets.iter().map(|packet| match (packet, eio) {
        (Packet::Text(text), _) => text.clone(),
        (Packet::Binary(bytes), Eio::Three) => format!("b4{}", STANDARD.encode(bytes)),
        (Packet::Binary(bytes), Eio::Four) => format!("b{}", STANDARD.encode(bytes)),
    });
    match eio {
        Eio::Three => items.map(|item| format!("{}:{item}", item.encode_utf16().count())).collect(),
        Eio::Four => items.collect::<Vec<_>>().join("\u{1e}"),
    }
}

/// The payload of packets in revision 3's binary framing.
pub(crate) fn binary_payload(packets: &[Packet]) -> Vec<u8> {
    let mut out = Vec::new();
    for packet in packets {
        let (kind, data) = match packet {
            Packet::Text(text) => (0, text.clone().into_bytes()),
            Packet::Binary(bytes) => (1, [&[4], &bytes[..]].concat()),
        };
        out.push(kind);
        out.extend(data.len().to_string().bytes().map(|digit| digit - b'0'));
        out.push(255);
        out.extend(data);
    }
    out
}

/// The packets in a response to a poll, which must be right in every respect.
#[track_caller]
pub(crate) fn packets(eio: Eio, response: &Response) -> Vec<Packet> {
    assert_eq!(response.status, 200, "{response:?}");
    match (eio, response.header("content-type").expect("a type")) {
        (Eio::Three, "application/octet-stream") => framed(&response.body),
        (_, "text/plain; charset=UTF-8") => unpacked(eio, &response.text()),
        (_, other) => panic!("{other}"),
    }
}

/// The packets of a payload in text.
#[track_caller]
pub(crate) fn unpacked(eio: Eio, text: &str) -> Vec<Packet> {
    let item = |item: &str| match item.strip_prefix('b') {
        Some(encoded) => {
            let data = if eio == Eio::Three { encoded.strip_prefix('4').expect("a message") } else { encoded };
            binary(STANDARD.decode(data).expect("base64"))
        }
        None => Packet::Text(item.to_owned()),
    };
    if eio == Eio::Four {
        return text.split('\u{1e}').filter(|_| !text.is_empty()).map(item).collect();
    }
    let mut units: VecDeque<u16> = text.encode_utf16().collect();
    let mut all = Vec::new();
    while !units.is_empty() {
        let colon = units.iter().position(|unit| *unit == u16::from(b':')).expect("a length");
        let length: Vec<u16> = units.drain(..colon).collect();
        units.pop_front();
        let length: usize = String::from_utf16(&length).expect("digits").parse().expect("a number");
        let packet: Vec<u16> = units.drain(..length).collect();
        all.extend((length > 0).then(|| item(&String::from_utf16(&packet).expect("no character is cut"))));
    }
    all
}

fn framed(mut body: &[u8]) -> Vec<Packet> {
    let mut all = Vec::new();
    while let [kind, rest @ ..] = body {
        let end = rest.iter().position(|byte| *byte == 255).expect("a length's end");
        let length = rest[..end].iter().fold(0, |length, digit| length * 10 + usize::from(*digit));
        let (data, behind) = rest[end + 1..].split_at(length);
        all.push(match kind {
            0 => Packet::Text(String::from_utf8(data.to_vec()).expect("text")),
            1 => binary(data.strip_prefix(&[4]).expect("a message")),
            other => panic!("neither text nor binary: {other}"),
        });
        body = behind;
    }
    all
}

/// What the open packet says.
#[derive(Clone, Debug)]
pub(crate) struct Opening(pub(crate) Value);

impl Opening {
    #[track_caller]
    pub(crate) fn of(packet: &Packet) -> Self {
        let Packet::Text(text) = packet else { panic!("{packet:?}") };
        let json = text.strip_prefix('0').unwrap_or_else(|| panic!("no open packet: {text}"));
        Self(serde_json::from_str(json).expect("JSON"))
    }

    #[track_caller]
    pub(crate) fn sid(&self) -> String {
        self.0["sid"].as_str().expect("a string").to_owned()
    }
}

/// One keep-alive connection for requests.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) client: Client,
    address: SocketAddr,
}

impl Requests {
    #[track_caller]
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { client: Client::connect(address), address }
    }

    /// Sends a request with these lines (each with its end) in the head, and hears nothing yet.
    #[track_caller]
    pub(crate) fn send(&mut self, method: &str, target: &str, lines: &str, body: &[u8]) {
        self.client.write(&request(self.address, method, target, lines, body));
    }

    /// Sends a request and reads the response.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, target: &str, lines: &str, body: &[u8]) -> Response {
        self.send(method, target, lines, body);
        self.client.response_to(method)
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.ask("GET", target, "", b"")
    }

    #[track_caller]
    pub(crate) fn post(&mut self, target: &str, body: impl AsRef<[u8]>) -> Response {
        self.ask("POST", target, "Content-Type: text/plain;charset=UTF-8\r\n", body.as_ref())
    }
}

/// A request on the wire; one with a body, or that should have one, has its length.
pub(crate) fn request(address: SocketAddr, method: &str, target: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{lines}");
    if method == "POST" || !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// A session that polls: one connection for GETs, one for POSTs, as browsers have.
#[derive(Debug)]
pub(crate) struct Polling {
    pub(crate) eio: Eio,
    pub(crate) opening: Opening,
    pub(crate) sid: String,
    pub(crate) polls: Requests,
    pub(crate) posts: Requests,
    pub(crate) address: SocketAddr,
    /// Its clientId.
    pub(crate) me: String,
    /// Heard and not asked for yet.
    inbox: VecDeque<Packet>,
}

impl Polling {
    /// Opens a session.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, eio: Eio) -> Self {
        Self::open_with(address, eio, "")
    }

    /// Opens a session with more in the query, `&` first.
    #[track_caller]
    pub(crate) fn open_with(address: SocketAddr, eio: Eio, more: &str) -> Self {
        let (mut polls, me) = (Requests::to(address), fresh_id());
        let response = polls.get(&format!("/socket.io/?{}&transport=polling&clientId={me}{more}", eio.query()));
        let mut inbox: VecDeque<Packet> = packets(eio, &response).into();
        let opening = Opening::of(&inbox.pop_front().expect("at least one packet"));
        let sid = opening.sid();
        Self { eio, opening, sid, polls, posts: Requests::to(address), address, me, inbox }
    }

    /// Opens a session and is let into the namespace `/`.
    #[track_caller]
    pub(crate) fn join(address: SocketAddr, eio: Eio, more: &str) -> Self {
        let mut session = Self::open_with(address, eio, more);
        if eio == Eio::Four {
            session.say(&[text("40")]);
        }
        session.expect_joined();
        session
    }

    #[track_caller]
    pub(crate) fn expect_joined(&mut self) {
        expect_joined(self.eio, &self.hear());
    }

    /// Where its requests go.
    pub(crate) fn target(&self) -> String {
        format!("/socket.io/?{}&transport=polling&sid={}", self.eio.query(), self.sid)
    }

    /// Posts packets: the answer.
    #[track_caller]
    pub(crate) fn post(&mut self, packets: &[Packet]) -> Response {
        let (target, body) = (self.target(), payload(self.eio, packets));
        self.posts.post(&target, body)
    }

    /// Posts packets, which must be taken.
    #[track_caller]
    pub(crate) fn say(&mut self, packets: &[Packet]) {
        let response = self.post(packets);
        assert_eq!((response.status, &response.text()[..]), (200, "ok"), "{response:?}");
        assert_eq!(response.header("content-type"), Some("text/html"));
    }

    /// Sends a GET, and hears nothing yet.
    #[track_caller]
    pub(crate) fn begin_poll(&mut self) {
        let target = self.target();
        self.polls.send("GET", &target, "", b"");
    }

    /// What the GET that was sent is answered with.
    #[track_caller]
    pub(crate) fn end_poll(&mut self) -> Vec<Packet> {
        packets(self.eio, &self.polls.client.response())
    }

    /// Polls once.
    #[track_caller]
    pub(crate) fn poll(&mut self) -> Vec<Packet> {
        self.begin_poll();
        self.end_poll()
    }

    /// Polls once, whatever the answer.
    #[track_caller]
    pub(crate) fn try_poll(&mut self) -> Response {
        let target = self.target();
        self.polls.get(&target)
    }

    /// The next packet.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Packet {
        while self.inbox.is_empty() {
            let heard = self.poll();
            self.inbox.extend(heard);
        }
        self.inbox.pop_front().expect("not empty")
    }

    /// The next packet is this text.
    #[track_caller]
    pub(crate) fn hears(&mut self, expected: &str) {
        assert_eq!(self.hear(), text(expected));
    }

    /// What was heard and not asked for yet.
    pub(crate) fn inbox(&mut self) -> Vec<Packet> {
        self.inbox.drain(..).collect()
    }

    /// The session is gone: a poll says that it is unknown.
    #[track_caller]
    pub(crate) fn expect_unknown(&mut self) {
        expect_error(&self.try_poll(), 400, 1, "Session ID unknown");
    }

    /// A WebSocket beside it, open and silent.
    #[track_caller]
    pub(crate) fn websocket(&self) -> Socket {
        let mut client = Client::connect(self.address);
        client.upgrade(&format!("/socket.io/?{}&transport=websocket&sid={}", self.eio.query(), self.sid));
        Socket { eio: self.eio, me: self.me.clone(), client }
    }

    /// Goes over to a WebSocket as the libraries do.
    #[track_caller]
    pub(crate) fn upgrade(mut self) -> Socket {
        let mut socket = self.websocket();
        self.begin_poll();
        socket.say(&text("2probe"));
        socket.hears("3probe");
        assert_eq!(self.end_poll(), [text("6")]);
        socket.say(&text("5"));
        socket
    }
}

/// A session, or what may become one, on a WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) eio: Eio,
    /// Its clientId.
    pub(crate) me: String,
    pub(crate) client: Client,
}

impl Socket {
    /// Opens a session.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, eio: Eio) -> (Self, Opening) {
        Self::open_with(address, eio, "")
    }

    /// Opens a session with more in the query, `&` first.
    #[track_caller]
    pub(crate) fn open_with(address: SocketAddr, eio: Eio, more: &str) -> (Self, Opening) {
        Self::over(Client::connect(address), eio, more)
    }

    /// Opens a session over a TCP connection that exists.
    #[track_caller]
    pub(crate) fn over(client: Client, eio: Eio, more: &str) -> (Self, Opening) {
        Self::over_as(client, eio, fresh_id(), more)
    }

    /// Opens a session of revision 4 with this id and asks for the namespace.
    #[track_caller]
    pub(crate) fn asking(address: SocketAddr, id: &str) -> Self {
        let (mut socket, _) = Self::over_as(Client::connect(address), Eio::Four, id.to_owned(), "");
        socket.say(&text("40"));
        socket
    }

    #[track_caller]
    fn over_as(mut client: Client, eio: Eio, me: String, more: &str) -> (Self, Opening) {
        client.upgrade(&format!("/socket.io/?{}&transport=websocket&clientId={me}{more}", eio.query()));
        let mut socket = Self { eio, me, client };
        let opening = Opening::of(&socket.hear());
        (socket, opening)
    }

    /// Opens a session and is let into the namespace `/`.
    #[track_caller]
    pub(crate) fn join(address: SocketAddr, eio: Eio, more: &str) -> Self {
        let (mut socket, _) = Self::open_with(address, eio, more);
        if eio == Eio::Four {
            socket.say(&text("40"));
        }
        expect_joined(eio, &socket.hear());
        socket
    }

    #[track_caller]
    pub(crate) fn say(&mut self, packet: &Packet) {
        self.client.send(&match (packet, self.eio) {
            (Packet::Text(text), _) => frame::text(text),
            (Packet::Binary(bytes), Eio::Three) => frame::binary([&[4], &bytes[..]].concat()),
            (Packet::Binary(bytes), Eio::Four) => frame::binary(bytes),
        });
    }

    /// The next packet, if one comes.
    pub(crate) fn try_hear(&mut self) -> Result<Packet, Trouble> {
        let frame = self.client.frame()?;
        match (frame.opcode, self.eio) {
            (TEXT, _) => Ok(Packet::Text(String::from_utf8(frame.payload).expect("checked with the frame"))),
            (BINARY, Eio::Four) => Ok(Packet::Binary(frame.payload)),
            (BINARY, Eio::Three) => {
                Ok(binary(frame.payload.strip_prefix(&[4]).ok_or(Trouble::Malformed("no message".into()))?))
            }
            _ => Err(Trouble::Malformed(frame.summary())),
        }
    }

    /// The next packet.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Packet {
        self.try_hear().unwrap_or_else(|trouble| panic!("instead of a packet: {trouble:?}"))
    }

    /// The next packet is this text.
    #[track_caller]
    pub(crate) fn hears(&mut self, expected: &str) {
        assert_eq!(self.hear(), text(expected));
    }

    /// The server closes it, for this reason, and the connection.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, reason: &str) {
        let said = self.client.expect_close(1008);
        assert!(said.contains(reason), "{said:?}");
        self.client.expect_end();
    }
}

/// An id that no other client has.
pub(crate) fn fresh_id() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("client-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The packet that lets a client into the namespace `/`: its name there, where it has one of its own.
#[track_caller]
pub(crate) fn expect_joined(eio: Eio, packet: &Packet) -> Option<String> {
    let Packet::Text(said) = packet else { panic!("{packet:?}") };
    if eio == Eio::Three {
        assert_eq!(said, "40");
        return None;
    }
    let json: Value = serde_json::from_str(said.strip_prefix("40").expect("a connect packet")).expect("JSON");
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(1), "{json}");
    Some(json["sid"].as_str().expect("a string").to_owned())
}

/// A refusal of Engine.IO, as its clients read it.
#[track_caller]
pub(crate) fn expect_error(response: &Response, status: u16, code: u64, message: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let body: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(body, serde_json::json!({"code": code, "message": message}), "{response:?}");
}

/// Whether nothing comes for a while: for what must not happen, which no answer announces.
#[track_caller]
pub(crate) fn expect_held(requests: &mut Requests) {
    requests.client.expect_silence(Duration::from_millis(50));
}
