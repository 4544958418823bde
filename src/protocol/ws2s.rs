//! ws2s: a browser gets a TCP socket, spoken about in JSON. Layer 2.
//!
//! What ws2s' servers 1.0 to 2.1 speak (`ws2s-python`). Each message of a client is an object with a `command`; each
//! answer is `{"success": BOOL, "code": NUMBER, "message": STRING}`, and what the target says is pushed in the same form
//! with `data` beside it.
//!
//! | command | members | answer |
//! |---|---|---|
//! | `connect` | `host`: string, `port`: number | code 0 `connect done`, or why not |
//! | `send` | `data`: text, sent as UTF-8 | code 0 `send done` |
//! | `sendb` | `data`: base64 | code 0 `sendb done` |
//! | `close` | | code 0 `close done`, also when there is nothing to close |
//! | any other string `X` | | code 0 `X done`; clients keep alive with `ping` |
//!
//! | code | what happened |
//! |---|---|
//! | −1 | `recv data`: bytes came, in `data` |
//! | 1 | anything without a code of its own. The message begins with Python's name for it, as the original's does |
//! | 2 | `connection refused` |
//! | 3 | `illegal socket status, please connect again. socketId: N`: nothing is connected |
//! | 4 | `ws2s refuse to connect target host: …`: the operator does not allow it |
//! | 5 | `connection closed by peer` |
//! | 6 | a tunnel through ssh was asked for: none is offered (the original documents the code and never sends it) |
//!
//! Commands are carried out strictly in their order: behind a `connect` everything waits for its outcome. A `connect`
//! that dials replaces the connection there may be without a word, even if the new one then fails.
//!
//! Three dialects ([`Dialect`]) differ in the words for success, the code of a target that ends, and in how bytes become
//! `data`. As text, each read is one message, but for a character that it cuts: that waits for its end. A read that is
//! no text, or an end that never comes, is base64, and says so with `"encoding":"base64"`.
//!
//! Where we differ: a binary frame is a `sendb` without the base64; a command that is no string is code 1; after a
//! refused `connect` nothing is connected, so that `send` is code 3; text is sent as it is, not each of its bytes as a
//! character. The data path builds no tree and allocates nothing: `data` goes through one buffer that is used again,
//! outgoing text without escapes not even through that.

mod base64;

use std::borrow::Cow;
use std::io::ErrorKind;

use self::base64::{NotBase64, push_decoded, push_encoded};
use super::{BridgeEvent, Context, DialError, Effects, Protocol};
use crate::frame::message::{Kind, Message};
use crate::frame::utf8::Utf8;
use crate::json::escape::push_escaped;
use crate::json::fields::{self, FieldsError};
use crate::json::unescape::{NoText, inner, push_unescaped};

/// One ws2s client.
#[derive(Debug)]
pub struct Ws2s {
    dialect: Dialect,
    /// The connection to the target, while there is one: with the character that the last read cut.
    line: Option<Utf8>,
    /// What is being dialled, for the answer; empty at all other times.
    host: Box<str>,
}

/// Which of the original's versions a client expects, by the `v` in the query of its URL.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Dialect {
    /// `?v=1`, as 1.0.0 and 1.0.1: success is a plain `done`, a target that ends or breaks is code 3.
    First,
    /// As 1.0.2 and 1.0.3: success names its command, a target that ends is code 5.
    #[default]
    Text,
    /// `?v=2`, as from 2.0.0 on: the same, and `data` is always base64.
    Base64,
}

impl Dialect {
    /// The dialect that `?v=` asks for; what it does not know is the default.
    #[must_use]
    pub fn of(version: Option<&str>) -> Self {
        match version {
            Some("1") => Self::First,
            Some("2") => Self::Base64,
            _ => Self::Text,
        }
    }
}

impl Ws2s {
    /// A client that has not connected to anything yet.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, line: None, host: Box::default() }
    }
}

impl Protocol for Ws2s {
    fn on_open(&mut self, _: &mut Context<'_>, _: &mut impl Effects) {}

    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        let is_binary = message.kind() == Kind::Binary;
        let outcome = if is_binary {
            self.on_bytes(message, cx, fx)
        } else {
            let outcome = self.on_request(&message, cx, fx);
            fx.recycle(message);
            outcome
        };
        if let Err(refusal) = outcome {
            refusal.send(cx, fx);
        }
    }

    fn on_bridge(&mut self, cx: &mut Context<'_>, event: BridgeEvent<'_>, fx: &mut impl Effects) {
        match event {
            BridgeEvent::Open => {
                self.line = Some(Utf8::default());
                self.host = Box::default();
                self.done(b"connect", cx, fx);
            }
            BridgeEvent::Failed(error) => {
                Refusal::Dial(error, std::mem::take(&mut self.host)).send(cx, fx);
            }
            BridgeEvent::Received(message) => self.on_received(message.payload(), cx, fx),
            BridgeEvent::Ended => {
                self.end(cx, fx);
                let code = if self.dialect == Dialect::First { b"3" } else { b"5" };
                answer(code, [b"connection closed by peer", b"", b""], cx, fx);
            }
            BridgeEvent::Broken(kind) => {
                self.end(cx, fx);
                let code = if self.dialect == Dialect::First { b"3" } else { b"1" };
                answer(code, [broken(kind).as_bytes(), b"", b""], cx, fx);
            }
        }
    }

    fn on_close(&mut self, _: &mut Context<'_>, _: &mut impl Effects) {}
}

impl Ws2s {
    fn on_request(
        &mut self,
        message: &Message<'_>,
        cx: &mut Context<'_>,
        fx: &mut impl Effects,
    ) -> Result<(), Refusal> {
        let names = ["command", "data", "host", "port", "ssh_host"];
        let [command, data, host, port, tunnel] = fields::find(message.payload(), names)?;
        let command = command.ok_or(Refusal::Missing("command"))?;
        let name = inner(command).ok_or(Refusal::Other("TypeError: the command is not a string"))?;
        match fields::string(command).as_deref() {
            Some("send") => self.send(data, push_text, cx, fx)?,
            Some("sendb") => self.send(data, push_bytes, cx, fx)?,
            Some("connect") => return self.connect(host, port, tunnel, cx, fx),
            Some("close") => self.hang_up(cx, fx),
            // Any other is a success, and its name is sent back as it was written, escapes and all.
            _ => {}
        }
        self.done(name, cx, fx);
        Ok(())
    }

    /// A binary frame.
    fn on_bytes(&mut self, message: Message<'_>, cx: &mut Context<'_>, fx: &mut impl Effects) -> Result<(), Refusal> {
        self.check_open()?;
        if !message.payload().is_empty() {
            fx.bridge(cx.id, message);
        }
        self.done(b"sendb", cx, fx);
        Ok(())
    }

    /// Dials. Without a target to dial, the connection that is there stays.
    fn connect(
        &mut self,
        host: Option<&[u8]>,
        port: Option<&[u8]>,
        tunnel: Option<&[u8]>,
        cx: &mut Context<'_>,
        fx: &mut impl Effects,
    ) -> Result<(), Refusal> {
        if tunnel.is_some_and(|host| !fields::is_falsy(host)) {
            return Err(Refusal::Tunnel);
        }
        let host = host.ok_or(Refusal::Missing("host"))?;
        let port = port_number(port.ok_or(Refusal::Missing("port"))?)?;
        let host = fields::string(host).ok_or(Refusal::Other("TypeError: the host is not a string"))?;
        self.line = None;
        self.host = (*host).into();
        fx.dial(cx.id, &host, port);
        Ok(())
    }

    /// Sends what `decode` makes of `data` to the target.
    #[inline]
    fn send(
        &mut self,
        data: Option<&[u8]>,
        decode: impl for<'b> FnOnce(&'b mut Vec<u8>, &'b [u8]) -> Result<&'b [u8], Refusal>,
        cx: &mut Context<'_>,
        fx: &mut impl Effects,
    ) -> Result<(), Refusal> {
        let data = data.ok_or(Refusal::Missing("data"))?;
        self.check_open()?;
        let data = inner(data).ok_or(Refusal::Other("TypeError: the data is not a string"))?;
        cx.buffer.clear();
        let bytes = decode(cx.buffer, data)?;
        if !bytes.is_empty() {
            fx.bridge_bytes(cx.id, bytes);
        }
        Ok(())
    }

    fn hang_up(&mut self, cx: &Context<'_>, fx: &mut impl Effects) {
        if self.line.take().is_some() {
            fx.hang_up(cx.id);
        }
    }

    fn check_open(&self) -> Result<(), Refusal> {
        if self.line.is_some() { Ok(()) } else { Err(Refusal::NotConnected) }
    }

    /// Bytes from the target.
    fn on_received(&mut self, bytes: &[u8], cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Some(text) = &mut self.line else { return };
        cx.buffer.clear();
        if self.dialect == Dialect::Base64 {
            push_encoded(cx.buffer, bytes);
            return fx.relay_parts(cx.id, Kind::Text, &[DATA, &cx.buffer[..], DATA_END]);
        }
        let before = *text;
        let cut = before.unfinished();
        if text.push(bytes).is_err() {
            *text = Utf8::default();
            return push_no_text(cut, bytes, cx, fx);
        }
        let rest = text.unfinished().len();
        if bytes.len() > rest {
            // The character that was cut has ended, and the one that is cut now lies in these bytes.
            push_escaped(cx.buffer, cut);
            push_escaped(cx.buffer, &bytes[..bytes.len() - rest]);
            fx.relay_parts(cx.id, Kind::Text, &[DATA, &cx.buffer[..], DATA_END]);
        }
    }

    /// The target has gone: the character that it left unfinished is all there will be.
    fn end(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if let Some(text) = self.line.take()
            && !text.unfinished().is_empty()
        {
            push_no_text(text.unfinished(), &[], cx, fx);
        }
    }

    /// A command was carried out. `command` is as it stands between quotes.
    fn done(&self, command: &[u8], cx: &mut Context<'_>, fx: &mut impl Effects) {
        const START: &[u8] = br#"{"success":true,"code":0,"message":""#;
        match self.dialect {
            Dialect::First => fx.send(cx.id, Kind::Text, &[START, br#"done"}"#]),
            Dialect::Text | Dialect::Base64 => fx.send(cx.id, Kind::Text, &[START, command, br#" done"}"#]),
        }
    }
}

/// What the target said, up to its data.
const DATA: &[u8] = br#"{"success":true,"code":-1,"message":"recv data","data":""#;

/// Behind data in the encoding that is expected.
const DATA_END: &[u8] = br#""}"#;

/// Behind data that is not text where text is expected.
const BASE64_END: &[u8] = br#"","encoding":"base64"}"#;

/// Relays `head` and `tail`, bytes from the target that are no text.
fn push_no_text(head: &[u8], tail: &[u8], cx: &mut Context<'_>, fx: &mut impl Effects) {
    cx.buffer.clear();
    // Three bytes are four digits, so the head is filled up from the tail, and the rest of that begins anew.
    let fill = if head.is_empty() { 0 } else { (3 - head.len()).min(tail.len()) };
    let mut start = [0; 3];
    start[..head.len()].copy_from_slice(head);
    start[head.len()..head.len() + fill].copy_from_slice(&tail[..fill]);
    push_encoded(cx.buffer, &start[..head.len() + fill]);
    push_encoded(cx.buffer, &tail[fill..]);
    fx.relay_parts(cx.id, Kind::Text, &[DATA, &cx.buffer[..], BASE64_END]);
}

/// The bytes of the text that `data` says: `data` itself unless something in it is escaped.
#[inline]
fn push_text<'b>(buffer: &'b mut Vec<u8>, data: &'b [u8]) -> Result<&'b [u8], Refusal> {
    if !data.contains(&b'\\') {
        return Ok(data);
    }
    push_unescaped(buffer, data)?;
    Ok(buffer)
}

/// The bytes whose base64 `data` says.
fn push_bytes<'b>(buffer: &'b mut Vec<u8>, data: &[u8]) -> Result<&'b [u8], Refusal> {
    let mut text = Cow::Borrowed(data);
    // Some writers escape every slash; that buffer is not worth keeping.
    if data.contains(&b'\\') {
        text = Cow::Owned(Vec::with_capacity(data.len()));
        push_unescaped(text.to_mut(), data)?;
    }
    push_decoded(buffer, &text)?;
    Ok(buffer)
}

/// A port as a target can have it. Python has whole numbers that are none, and others.
fn port_number(value: &[u8]) -> Result<u16, Refusal> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Other("TypeError: the port is not a whole number"));
    }
    let number = str::from_utf8(value).ok().and_then(|number| number.parse().ok());
    number.filter(|port| *port != 0).ok_or(Refusal::Other("OverflowError: the port must be from 1 to 65535"))
}

/// Why a command is not carried out.
#[derive(Debug)]
enum Refusal {
    /// Code 1. Python's name for it comes first.
    Other(&'static str),
    /// The request has no member of this name.
    Missing(&'static str),
    /// There is no target to send to.
    NotConnected,
    /// A connection through ssh was asked for.
    Tunnel,
    /// The connection to this host failed.
    Dial(DialError, Box<str>),
}

impl From<FieldsError> for Refusal {
    fn from(error: FieldsError) -> Self {
        Self::Other(match error {
            FieldsError::NotJson => "JSONDecodeError: the request is not JSON",
            FieldsError::NotObject => "TypeError: the request is not an object",
        })
    }
}

impl From<NoText> for Refusal {
    fn from(_: NoText) -> Self {
        Self::Other("UnicodeEncodeError: the data has half of a surrogate pair")
    }
}

impl From<NotBase64> for Refusal {
    fn from(_: NotBase64) -> Self {
        Self::Other("binascii.Error: the data is not base64")
    }
}

impl Refusal {
    fn send(self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        match self {
            Self::Other(message) => answer(b"1", [message.as_bytes(), b"", b""], cx, fx),
            Self::Missing(name) => {
                answer(b"1", [b"KeyError('", name.as_bytes(), b"'): the request needs it"], cx, fx);
            }
            Self::NotConnected => {
                let id = cx.id.0.to_string();
                let message = b"illegal socket status, please connect again. socketId: ";
                answer(b"3", [message, id.as_bytes(), b""], cx, fx);
            }
            Self::Tunnel => answer(b"6", [b"ssh tunnels are not offered", b"", b""], cx, fx),
            Self::Dial(DialError::Forbidden, host) => {
                let mut escaped = Vec::with_capacity(host.len());
                push_escaped(&mut escaped, host.as_bytes());
                let reason = b", cause that's a dangerous operation (--bridge-allow)";
                answer(b"4", [b"ws2s refuse to connect target host: ", &escaped, reason], cx, fx);
            }
            Self::Dial(DialError::Ourselves, host) => {
                let mut escaped = Vec::with_capacity(host.len());
                push_escaped(&mut escaped, host.as_bytes());
                let reason = b", cause that's ws2s itself (--bridge-name)";
                answer(b"4", [b"ws2s refuse to connect target host: ", &escaped, reason], cx, fx);
            }
            Self::Dial(DialError::NotPermitted, host) => {
                let mut escaped = Vec::with_capacity(host.len());
                push_escaped(&mut escaped, host.as_bytes());
                let reason = b", cause the client's token does not permit it (tcp)";
                answer(b"4", [b"ws2s refuse to connect target host: ", &escaped, reason], cx, fx);
            }
            Self::Dial(DialError::Refused, _) => answer(b"2", [b"connection refused", b"", b""], cx, fx),
            Self::Dial(DialError::NoSuchName, _) => {
                answer(b"1", [b"gaierror(-2, 'Name or service not known')", b"", b""], cx, fx);
            }
            Self::Dial(DialError::TimedOut, _) => {
                answer(b"1", [b"TimeoutError: the target does not answer (--dial-timeout)", b"", b""], cx, fx);
            }
            Self::Dial(DialError::TooMany(option), _) => {
                answer(b"1", [b"OSError: too many at once (", option.as_bytes(), b")"], cx, fx);
            }
            Self::Dial(DialError::Unreachable(kind), _) => {
                answer(b"1", [b"OSError: ", kind.to_string().as_bytes(), b""], cx, fx);
            }
        }
    }
}

/// What ended a connection, in Python's words where it has its own.
fn broken(kind: ErrorKind) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        ErrorKind::ConnectionReset => "ConnectionResetError(104, 'Connection reset by peer')",
        ErrorKind::ConnectionAborted => "ConnectionAbortedError(103, 'Software caused connection abort')",
        ErrorKind::BrokenPipe => "BrokenPipeError(32, 'Broken pipe')",
        ErrorKind::TimedOut => "TimeoutError(110, 'Connection timed out')",
        kind => return Cow::Owned(format!("OSError: {kind}")),
    })
}

/// Says that something is not as it should be. The parts of the message are as they stand between quotes.
fn answer(code: &[u8], message: [&[u8]; 3], cx: &Context<'_>, fx: &mut impl Effects) {
    const START: &[u8] = br#"{"success":false,"code":"#;
    let [start, middle, end] = message;
    fx.send(cx.id, Kind::Text, &[START, code, br#","message":""#, start, middle, end, br#""}"#]);
}

#[cfg(test)]
mod tests;
