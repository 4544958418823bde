//! What the clients of a run say: where they connect, how they join each other, what carries a payload.
//!
//! A dialect is a variant with an arm in each method. Those that pass payloads on as they are can be checked while
//! they arrive; an *enveloped* dialect sees whole messages and finds payloads and receipts in them.
//!
//! Behind a bridge is a TCP server, to which messages are a *stream*: the bytes come back in their order, in messages of
//! whatever size the reads had.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Outcome;
use crate::frames::{self, opcode};
use crate::payload::Payload;
use crate::reference::bare;
use crate::target::Url;

const RELAY_HEAD: &[u8] = br#"{"command":"relay","body":""#;
const RELAY_ECHO: &[u8] = br#"","echo":{"callbackId":""#;
const RELAY_TAIL: &[u8] = br#""}}"#;

/// Digits of a webshare client's callback ids.
const CALLBACK_DIGITS: usize = 3;

/// What a webshare relay adds to its body.
const RELAY_BYTES: usize = RELAY_HEAD.len() + RELAY_ECHO.len() + CALLBACK_DIGITS + RELAY_TAIL.len();

const POCKET_HEAD: &[u8] = br#"{"id":"0."#;
const POCKET_MESSAGE: &[u8] = br#"","message":"load.message","data":""#;
const POCKET_TAIL: &[u8] = br#""}"#;

/// Digits of a pocketsocket client's message ids, behind "0.".
const ID_DIGITS: usize = 7;

/// What a pocketsocket message of text adds to its data.
const POCKET_BYTES: usize = POCKET_HEAD.len() + ID_DIGITS + POCKET_MESSAGE.len() + POCKET_TAIL.len();

const SEND_HEAD: &[u8] = br#"{"command":"send","data":""#;
const SENDB_HEAD: &[u8] = br#"{"command":"sendb","data":""#;
const SEND_TAIL: &[u8] = br#""}"#;

/// What a Socket.IO client of the p2p plugin says to one whose id is between these two, and what that one hears.
const EMIT_HEAD: &[u8] = br#"42["P2P_EMIT",""#;
const EMIT_EVENT: &[u8] = br#"","m",[""#;
const EMIT_TAIL: &[u8] = br#""],null]"#;
const EVENT_HEAD: &[u8] = br#"42["m",""#;
const EVENT_TAIL: &[u8] = br#""]"#;

/// Engine.IO's heartbeat.
const ENGINE_PING: &[u8] = b"2";

/// A protocol as its clients speak it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Dialect {
    /// Frames without a handshake or masks, for a server that forwards bytes (`--server raw`).
    Raw,
    /// Frames on the path of the URL, for any server that relays or echoes them.
    Plain,
    /// The same, with a receipt for each message, as `--server bare` gives under `/receipt/`.
    Receipt,
    /// Named WebSockets: `/local/NAME`.
    Named,
    /// webshare: keys, pairing, relays with receipts.
    Webshare,
    /// pocketsocket: a room, messages with receipts; text is JSON with an id.
    Pocket,
    /// Socket.IO 4 over WebSockets: two devices of the p2p plugin, events from the one to the other.
    Socketio,
    /// ws2s to an echo server: text by `send`, binary by `sendb`; what comes back is base64.
    Ws2s,
    /// A TCP bridge to an echo server: `/tcp/HOST:PORT`.
    Tcp,
    /// The same, with a receipt for each message, as `--server bare` gives.
    TcpReceipt,
}

/// What a whole message of an enveloped dialect is.
pub(crate) enum Incoming<'a> {
    /// To the receiver.
    Payload(&'a [u8]),
    /// Some of a stream without bounds between messages.
    Stream(Cow<'a, [u8]>),
    /// To the sender.
    Receipt,
    /// To anybody, who must answer with this.
    Heartbeat(&'static str),
}

/// How far a group is with finding each other.
#[derive(Default)]
pub(crate) struct Joining {
    keys: [Option<String>; 2],
    /// Members that know their partner, or are connected to the target.
    paired: usize,
    /// How often a member heard of another one.
    heard: usize,
}

#[derive(Deserialize)]
struct Reply<'a> {
    ok: bool,
    code: &'a str,
    command: &'a str,
    #[serde(borrow)]
    body: &'a RawValue,
    #[serde(borrow)]
    echo: &'a RawValue,
}

/// What pocketsocket says about a message, or about a client.
#[derive(Deserialize)]
struct Notice<'a> {
    socket: &'a str,
    #[serde(rename = "messageId", borrow)]
    message_id: Option<&'a RawValue>,
    attr: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    success: bool,
    code: i32,
    message: &'a str,
    data: Option<&'a str>,
}

#[derive(Deserialize)]
struct KeyBody {
    key: String,
}

impl Dialect {
    /// Whether a connection begins with the opening handshake and masks its frames.
    pub(crate) fn is_websocket(self) -> bool {
        self != Self::Raw
    }

    /// Whether messages must be seen whole.
    pub(crate) fn is_enveloped(self) -> bool {
        matches!(self, Self::Receipt | Self::Webshare | Self::Pocket | Self::Socketio | Self::Ws2s | Self::TcpReceipt)
    }

    /// Whether there is an echo server behind it.
    pub(crate) fn is_bridge(self) -> bool {
        matches!(self, Self::Ws2s | Self::Tcp | Self::TcpReceipt)
    }

    /// Whether payloads arrive as a stream, in messages of any size.
    pub(crate) fn is_stream(self) -> bool {
        self == Self::Tcp
    }

    /// Where a member of a group connects; `{pair}` in a path stands for the group.
    pub(crate) fn path(self, url: &Url, group: &str, member: usize, is_echo: bool) -> String {
        match self {
            Self::Raw | Self::Plain => url.path.replace("{pair}", group),
            Self::Receipt | Self::TcpReceipt => format!("/receipt/{group}"),
            Self::Named if is_echo => format!("/local/load-{group}?echo=1"),
            Self::Named => format!("/local/load-{group}"),
            Self::Webshare => "/webshare".to_owned(),
            Self::Pocket => format!("/pocket?room=load-{group}"),
            Self::Socketio => format!("/socket.io/?EIO=4&transport=websocket&clientId={group}-{member}"),
            Self::Ws2s => "/ws2s?v=2".to_owned(),
            Self::Tcp => url.target.map_or_else(|| url.path.clone(), |target| format!("/tcp/{target}")),
        }
    }

    /// Bytes of the payload when the messages of a run are to have this size.
    pub(crate) fn payload_bytes(self, size: usize) -> Outcome<usize> {
        match self {
            // The quotes of the JSON string belong to the body.
            Self::Webshare => size.checked_sub(2).filter(|&bytes| bytes > 0),
            _ => Some(size).filter(|&bytes| bytes > 0),
        }
        .ok_or_else(|| format!("--size {size} leaves no room for a payload").into())
    }

    /// Bytes of a whole message of text when the messages of a run are to have this size.
    pub(crate) fn message_bytes(self, size: usize) -> Outcome<usize> {
        let around = match self {
            Self::Webshare => RELAY_BYTES,
            Self::Pocket => POCKET_BYTES,
            // The id of the second member of the first group.
            Self::Socketio => EMIT_HEAD.len() + "0-1".len() + EMIT_EVENT.len() + EMIT_TAIL.len(),
            _ => 0,
        };
        Ok(self.payload_bytes(size)? + around)
    }

    /// Whether this dialect can do what is asked for.
    pub(crate) fn check(self, members: usize, content_is_text: bool) -> Outcome<()> {
        match self {
            Self::Webshare if members != 2 => Err("webshare joins pairs: leave out --fanout and --echo".into()),
            Self::Webshare if !content_is_text => Err("webshare carries text: add --text".into()),
            Self::Socketio if members != 2 => Err("devices emit to one another: leave out --fanout and --echo".into()),
            Self::Socketio if !content_is_text => Err("events carry text here: add --text".into()),
            Self::Pocket if members < 2 => Err("pocketsocket has no echo here: leave out --echo".into()),
            Self::Ws2s | Self::Tcp | Self::TcpReceipt if members != 1 => {
                Err("a bridge leads to an echo server: leave out --fanout".into())
            }
            Self::Receipt if members < 2 => Err("receipts go to senders with a partner: leave out --echo".into()),
            _ => Ok(()),
        }
    }

    /// Answers to a sender for each message, which complete it as the deliveries do.
    pub(crate) fn receipts(self) -> u32 {
        u32::from(self.is_enveloped() && self != Self::Socketio)
    }

    /// Appends the frame of one message.
    pub(crate) fn append(self, payload: &Payload, group: usize, sequence: u64, key: u32, out: &mut Vec<u8>) {
        let opcode = if payload.is_text() { opcode::TEXT } else { opcode::BINARY };
        match self {
            Self::Webshare => frames::append(out, opcode, Some(key), payload.len() + RELAY_BYTES, |out| {
                out.extend_from_slice(RELAY_HEAD);
                payload.write(group, sequence, out);
                out.extend_from_slice(RELAY_ECHO);
                out.extend_from_slice(&callback_id(sequence));
                out.extend_from_slice(RELAY_TAIL);
            }),
            Self::Pocket if payload.is_text() => {
                frames::append(out, opcode, Some(key), payload.len() + POCKET_BYTES, |out| {
                    out.extend_from_slice(POCKET_HEAD);
                    out.extend_from_slice(&hexadecimal::<ID_DIGITS>(sequence));
                    out.extend_from_slice(POCKET_MESSAGE);
                    payload.write(group, sequence, out);
                    out.extend_from_slice(POCKET_TAIL);
                });
            }
            Self::Socketio => {
                let target = format!("{group}-1");
                let around = EMIT_HEAD.len() + target.len() + EMIT_EVENT.len() + EMIT_TAIL.len();
                frames::append(out, opcode, Some(key), payload.len() + around, |out| {
                    out.extend_from_slice(EMIT_HEAD);
                    out.extend_from_slice(target.as_bytes());
                    out.extend_from_slice(EMIT_EVENT);
                    payload.write(group, sequence, out);
                    out.extend_from_slice(EMIT_TAIL);
                });
            }
            Self::Ws2s => {
                let mut data = Vec::with_capacity(payload.len());
                payload.write(group, sequence, &mut data);
                let head = if payload.is_text() { SEND_HEAD } else { SENDB_HEAD };
                if !payload.is_text() {
                    data = STANDARD.encode(&data).into_bytes();
                }
                let len = head.len() + data.len() + SEND_TAIL.len();
                frames::append(out, opcode::TEXT, Some(key), len, |out| {
                    out.extend_from_slice(head);
                    out.extend_from_slice(&data);
                    out.extend_from_slice(SEND_TAIL);
                });
            }
            Self::Tcp | Self::TcpReceipt => {
                frames::append(out, opcode::BINARY, Some(key), payload.len(), |out| {
                    payload.write(group, sequence, out)
                });
            }
            _ => {
                let key = self.is_websocket().then_some(key);
                frames::append(out, opcode, key, payload.len(), |out| payload.write(group, sequence, out));
            }
        }
    }

    /// Reads a whole message of an enveloped dialect; `sequence` is the one whose receipt is due.
    pub(crate) fn read(self, message: &[u8], is_text: bool, is_sender: bool, sequence: u64) -> Outcome<Incoming<'_>> {
        match self {
            Self::Receipt if !is_sender => return Ok(Incoming::Payload(message)),
            Self::TcpReceipt if !is_text => return Ok(Incoming::Stream(Cow::Borrowed(message))),
            Self::Receipt | Self::TcpReceipt if message == &bare::RECEIPT[2..] => return Ok(Incoming::Receipt),
            Self::Receipt | Self::TcpReceipt => return Err("a receipt is not what the reference sends".into()),
            Self::Pocket => return read_pocket(message, is_text, is_sender, sequence),
            Self::Ws2s => return read_ws2s(message),
            Self::Socketio if message == ENGINE_PING => return Ok(Incoming::Heartbeat("3")),
            Self::Socketio => {
                let payload = message.strip_prefix(EVENT_HEAD).and_then(|rest| rest.strip_suffix(EVENT_TAIL));
                return payload.map(Incoming::Payload).ok_or_else(|| unexpected(message));
            }
            _ => {}
        }
        let reply: Reply<'_> = serde_json::from_slice(message)?;
        let (body, echo) = (reply.body.get(), reply.echo.get());
        match (reply.ok, reply.code, reply.command, is_sender) {
            (true, "RELAY_SENT", "relay", true) if body == "null" && has_callback_id(echo, sequence) => {
                Ok(Incoming::Receipt)
            }
            (true, "RELAY_OK", "relay", false) if echo == "null" && body.len() >= 2 => {
                Ok(Incoming::Payload(&body.as_bytes()[1..body.len() - 1]))
            }
            _ => Err(unexpected(message)),
        }
    }

    /// What a member says as soon as it is connected.
    pub(crate) fn greeting(self, url: &Url) -> Outcome<Option<Cow<'static, str>>> {
        Ok(match self {
            Self::Webshare => Some(r#"{"command":"key","echo":{"callbackId":"key"}}"#.into()),
            Self::Socketio => Some("40".into()),
            Self::Ws2s => {
                let target = url.target.ok_or("ws2s needs an echo server to connect to: add --target")?;
                let (host, port) = (target.ip(), target.port());
                Some(format!(r#"{{"command":"connect","host":"{host}","port":{port}}}"#).into())
            }
            _ => None,
        })
    }

    /// Whether the group is complete as far as messages decide that.
    pub(crate) fn is_joined(self, joining: &Joining, members: usize) -> bool {
        match self {
            Self::Webshare | Self::Socketio => joining.paired == 2,
            Self::Ws2s => joining.paired == 1,
            // Each hears of all who come later, and nothing of that is left to disturb the measurement.
            Self::Pocket => joining.heard == members * (members - 1) / 2,
            _ => true,
        }
    }

    /// A message while the group is joining; answers what a member is to say next.
    pub(crate) fn on_joining(
        self,
        joining: &mut Joining,
        member: usize,
        message: &[u8],
    ) -> Outcome<Option<(usize, String)>> {
        match self {
            Self::Webshare => {}
            Self::Pocket => {
                let notice: Notice<'_> = serde_json::from_slice(message)?;
                joining.heard += 1;
                return if notice.socket == "connected" { Ok(None) } else { Err(unexpected(message)) };
            }
            // The session's parameters, then the namespace.
            Self::Socketio if message.starts_with(b"0{") => return Ok(None),
            Self::Socketio if message.starts_with(b"40{") => {
                joining.paired += 1;
                return Ok(None);
            }
            Self::Ws2s => {
                let answer: Answer<'_> = serde_json::from_slice(message)?;
                joining.paired += 1;
                let is_connected = answer.success && answer.message == "connect done";
                return if is_connected { Ok(None) } else { Err(unexpected(message)) };
            }
            _ => return Err(unexpected(message)),
        }
        let reply: Reply<'_> = serde_json::from_slice(message)?;
        match (reply.ok, reply.code, reply.command) {
            (true, "SUCCESS", "key") => {
                let body: KeyBody = serde_json::from_str(reply.body.get())?;
                joining.keys[member] = Some(body.key);
            }
            (true, "SUCCESS", "pair") => {
                joining.paired += 1;
                return Ok(None);
            }
            _ => return Err(unexpected(message)),
        }
        let [Some(_), Some(partner)] = &joining.keys else { return Ok(None) };
        let target = serde_json::to_string(partner)?;
        Ok(Some((0, format!(r#"{{"command":"pair","body":{{"target":{target}}},"echo":{{"callbackId":"par"}}}}"#))))
    }
}

fn read_pocket(message: &[u8], is_text: bool, is_sender: bool, sequence: u64) -> Outcome<Incoming<'_>> {
    if is_sender {
        let notice: Notice<'_> = serde_json::from_slice(message)?;
        let id = notice.message_id.map(RawValue::get).unwrap_or_default();
        return match (notice.socket, notice.attr) {
            ("sent", Some("json")) if has_id(id, &hexadecimal::<ID_DIGITS>(sequence)) => Ok(Incoming::Receipt),
            ("sent", Some("binary")) if id.parse::<usize>().is_ok() => Ok(Incoming::Receipt),
            _ => Err(unexpected(message)),
        };
    }
    if !is_text {
        return Ok(Incoming::Payload(message));
    }
    // That the id is the sender's own was seen by its receipt.
    let data = message
        .strip_prefix(POCKET_HEAD)
        .and_then(|rest| rest.get(ID_DIGITS..))
        .and_then(|rest| rest.strip_prefix(POCKET_MESSAGE))
        .and_then(|rest| rest.strip_suffix(POCKET_TAIL));
    data.map(Incoming::Payload).ok_or_else(|| unexpected(message))
}

fn has_id(value: &str, id: &[u8]) -> bool {
    value.strip_prefix("\"0.").and_then(|rest| rest.strip_suffix('"')).is_some_and(|digits| digits.as_bytes() == id)
}

fn read_ws2s(message: &[u8]) -> Outcome<Incoming<'_>> {
    let answer: Answer<'_> = serde_json::from_slice(message)?;
    match (answer.success, answer.code, answer.message, answer.data) {
        (true, 0, "send done" | "sendb done", None) => Ok(Incoming::Receipt),
        (true, -1, "recv data", Some(data)) => Ok(Incoming::Stream(STANDARD.decode(data)?.into())),
        _ => Err(unexpected(message)),
    }
}

/// A number in hexadecimal digits, the least significant first.
fn hexadecimal<const DIGITS: usize>(number: u64) -> [u8; DIGITS] {
    std::array::from_fn(|digit| b"0123456789abcdef"[(number >> (4 * digit)) as usize & 0xF])
}

fn callback_id(sequence: u64) -> [u8; CALLBACK_DIGITS] {
    hexadecimal(sequence)
}

fn has_callback_id(echo: &str, sequence: u64) -> bool {
    let id = callback_id(sequence);
    echo.as_bytes().windows(id.len() + 2).any(|window| window[0] == b'"' && window[1..=id.len()] == id)
}

fn unexpected(message: &[u8]) -> Box<dyn std::error::Error> {
    let shown = &message[..message.len().min(200)];
    format!("unexpected message from the server: {}", String::from_utf8_lossy(shown)).into()
}
