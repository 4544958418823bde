//! What the clients of a run say: where they connect, how they join each other, what carries a payload.
//!
//! A dialect is a variant with an arm in each method. Those that pass payloads on as they are can be checked while
//! they arrive; an *enveloped* dialect sees whole messages and finds payloads and receipts in them.

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Outcome;
use crate::frames::{self, opcode};
use crate::payload::Payload;
use crate::reference::bare;

const RELAY_HEAD: &[u8] = br#"{"command":"relay","body":""#;
const RELAY_ECHO: &[u8] = br#"","echo":{"callbackId":""#;
const RELAY_TAIL: &[u8] = br#""}}"#;

/// Digits of a webshare client's callback ids.
const CALLBACK_DIGITS: usize = 3;

/// What a webshare relay adds to its body.
const RELAY_BYTES: usize = RELAY_HEAD.len() + RELAY_ECHO.len() + CALLBACK_DIGITS + RELAY_TAIL.len();

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
}

/// What a whole message of an enveloped dialect is.
pub(crate) enum Incoming<'a> {
    /// To the receiver.
    Payload(&'a [u8]),
    /// To the sender.
    Receipt,
}

/// How far a group is with finding each other.
#[derive(Default)]
pub(crate) struct Joining {
    keys: [Option<String>; 2],
    /// Members that know their partner.
    paired: usize,
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
        matches!(self, Self::Receipt | Self::Webshare)
    }

    /// Where the members of a group connect; `{pair}` in a path stands for the group.
    pub(crate) fn path(self, given: &str, group: &str, is_echo: bool) -> String {
        match self {
            Self::Raw | Self::Plain => given.replace("{pair}", group),
            Self::Receipt => format!("/receipt/{group}"),
            Self::Named if is_echo => format!("/local/load-{group}?echo=1"),
            Self::Named => format!("/local/load-{group}"),
            Self::Webshare => "/webshare".to_owned(),
        }
    }

    /// Bytes of the payload when the messages of a run are to have this size.
    pub(crate) fn payload_bytes(self, size: usize) -> Outcome<usize> {
        match self {
            // The quotes of the JSON string belong to the body.
            Self::Webshare => size.checked_sub(2).filter(|&bytes| bytes > 0),
            // As long as the message that would carry this body through webshare.
            Self::Receipt => Some(size - 2 + RELAY_BYTES),
            _ => Some(size).filter(|&bytes| bytes > 0),
        }
        .ok_or_else(|| format!("--size {size} leaves no room for a payload").into())
    }

    /// Whether this dialect can do what is asked for.
    pub(crate) fn check(self, members: usize, content_is_text: bool) -> Outcome<()> {
        match self {
            Self::Webshare if members != 2 => Err("webshare joins pairs: leave out --fanout and --echo".into()),
            Self::Webshare if !content_is_text => Err("webshare carries text: add --text".into()),
            Self::Receipt if members < 2 => Err("receipts go to senders with a partner: leave out --echo".into()),
            _ => Ok(()),
        }
    }

    /// Answers to a sender for each message, which complete it as the deliveries do.
    pub(crate) fn receipts(self) -> u32 {
        u32::from(self.is_enveloped())
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
            _ => {
                let key = self.is_websocket().then_some(key);
                frames::append(out, opcode, key, payload.len(), |out| payload.write(group, sequence, out));
            }
        }
    }

    /// Reads a whole message of an enveloped dialect; `sequence` is the one that is due.
    pub(crate) fn read(self, message: &[u8], is_sender: bool, sequence: u64) -> Outcome<Incoming<'_>> {
        if self == Self::Receipt {
            return match is_sender {
                false => Ok(Incoming::Payload(message)),
                true if message == &bare::RECEIPT[2..] => Ok(Incoming::Receipt),
                true => Err("a receipt is not what the reference sends".into()),
            };
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
    pub(crate) fn greeting(self) -> Option<&'static str> {
        (self == Self::Webshare).then_some(r#"{"command":"key","echo":{"callbackId":"key"}}"#)
    }

    /// Whether the group is complete as far as messages decide that.
    pub(crate) fn is_joined(self, joining: &Joining) -> bool {
        self != Self::Webshare || joining.paired == 2
    }

    /// A message while the group is joining; answers what a member is to say next.
    pub(crate) fn on_joining(
        self,
        joining: &mut Joining,
        member: usize,
        message: &[u8],
    ) -> Outcome<Option<(usize, String)>> {
        if self != Self::Webshare {
            return Err(unexpected(message));
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

fn callback_id(sequence: u64) -> [u8; CALLBACK_DIGITS] {
    std::array::from_fn(|digit| b"0123456789abcdef"[(sequence >> (4 * digit)) as usize & 0xF])
}

fn has_callback_id(echo: &str, sequence: u64) -> bool {
    let id = callback_id(sequence);
    echo.as_bytes().windows(id.len() + 2).any(|window| window[0] == b'"' && window[1..=id.len()] == id)
}

fn unexpected(message: &[u8]) -> Box<dyn std::error::Error> {
    let shown = &message[..message.len().min(200)];
    format!("unexpected message from the server: {}", String::from_utf8_lossy(shown)).into()
}
