//! WebShare: two clients find each other by a key and relay JSON to each other. Layer 2.
//!
//! What sock-share's `server.py`, `commands/special.py` and `commands/enums.py` speak. Every message is a JSON object in
//! a text frame. A request is `{"echo": ANY, "command": STRING, "body": ANY}`, of which only the command is needed. Each
//! gets one reply `{"ok": BOOL, "code": STRING, "body": ANY, "command": STRING, "echo": ANY}` with its own echo; a
//! partner is told about it by a push in the same form, whose echo is null, after the reply.
//!
//! | command | body | reply | push to the partner |
//! |---|---|---|---|
//! | `key` | | SUCCESS `{"key": OWN}` | |
//! | `pair` | `{"target": KEY}` | SUCCESS `{"with": TARGET}` | SUCCESS `{"with": INITIATOR}` |
//! | `unpair` | | SUCCESS `{"with": PARTNER}` | SUCCESS `{"with": SENDER}`, also when the sender is gone |
//! | `relay` | anything | RELAY_SENT null | RELAY_OK, the same body |
//! | `error` | `{"error": ANY}` | COMMAND_ERROR, the same body | |
//!
//! Refusals have `ok` false, a null body and the request's command and echo, in this order of checks:
//!
//! - `pair`: ALREADY_PAIRED; INVALID_ARGUMENTS when the body is no object; INVALID_KEY for no target, or one that Python
//!   takes for false or cannot hash; CANNOT_SELF_PAIR; RATE_LIMITED `{"retry_after_ms": N}`; TARGET_NOT_FOUND, which a
//!   number is, too; ALREADY_PAIRED when the target is.
//! - `unpair` and `relay`: NOT_PAIRED.
//!
//! What is no request gets COMMAND_ERROR `{"error": E}` with the command `error`. E is INVALID_REQUEST for a binary
//! frame, INVALID_FORMAT for what is no JSON object and INCOMPLETE_FORMAT for one without a command, all with a null
//! echo; UNKNOWN_COMMAND, and INVALID_REQUEST for an `error` without its error, have the request's echo.
//!
//! Where we differ: a client with a partner cannot be taken from it. Nothing that a client says ends its connection.
//! Wrong keys are limited for each address; past the limit a right key is answered RATE_LIMITED like a wrong one. `NaN`
//! and `Infinity`, which Python reads, are no JSON. A client that asked for it (`?binary=1`) may send binary frames,
//! which its partner gets as they are and without a receipt; without a partner the answer is a relay's NOT_PAIRED.
//!
//! Echoes and bodies are passed on byte for byte. A relayed message is scanned once and neither copied nor allocated.

use std::time::Duration;

use tungstenite::protocol::frame::coding::CloseCode;

use super::{Context, Effects, Protocol};
use crate::frame::message::{Kind, Message};
use crate::hub::SessionId;
use crate::hub::ids::Key;
use crate::hub::pairs::MemberId;
use crate::json::fields;

/// One WebShare client.
#[derive(Debug)]
pub struct Webshare {
    /// `None` until the session is open, once it is gone, and for one that could not be given a key.
    member: Option<MemberId>,
    may_send_binary: bool,
}

impl Webshare {
    /// A client that has not opened yet; `binary` is whether it asked for `?binary=1`.
    #[must_use]
    pub fn new(binary: bool) -> Self {
        Self { member: None, may_send_binary: binary }
    }
}

impl Webshare {
    /// What it is among those that pair.
    pub(super) fn member(&self) -> Option<MemberId> {
        self.member
    }
}

impl Protocol for Webshare {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if !cx.permit.may_pair() {
            return fx.close(cx.id, CloseCode::Policy, "not permitted: this needs a token that permits pairing (pair)");
        }
        match cx.hub.pairs.join(cx.id, cx.config.key_digits) {
            Ok(member) => self.member = Some(member),
            Err(error) => {
                log::error!("{error}");
                fx.close(cx.id, CloseCode::Error, "the server cannot make keys");
            }
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        let Some(member) = self.member else {
            return;
        };
        if message.kind() == Kind::Binary {
            return self.on_binary(member, message, cx, fx);
        }
        on_request(member, message.payload(), cx, fx);
        fx.recycle(message);
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Some(member) = self.member.take() else {
            return;
        };
        let key = cx.hub.pairs.key(member);
        if let Some(partner) = cx.hub.pairs.leave(member) {
            tell(fx, partner, "unpair", key, NULL);
        }
    }
}

/// Does what a request asks for.
#[inline]
fn on_request(member: MemberId, text: &[u8], cx: &mut Context<'_>, fx: &mut impl Effects) {
    let (command, body, echo) = match fields::find(text, ["command", "body", "echo"]) {
        Ok([Some(command), body, echo]) => (command, body.unwrap_or(NULL), echo.unwrap_or(NULL)),
        Ok([None, ..]) => return refuse(fx, cx.id, "INCOMPLETE_FORMAT", NULL),
        Err(_) => return refuse(fx, cx.id, "INVALID_FORMAT", NULL),
    };
    match Command::read(command) {
        Some(Command::Relay) => relay(member, body, echo, cx, fx),
        Some(Command::Key) => {
            let key = cx.hub.pairs.key(member).text();
            let body = [br#"{"key":""#, key.as_bytes(), br#""}"#];
            Reply { ok: true, code: "SUCCESS", body, command: "key", echo }.send(fx, cx.id);
        }
        Some(Command::Pair) => match pair(member, body, cx) {
            Ok(target) => tell_both("pair", member, target, echo, cx, fx),
            Err(refusal) => refusal.send(fx, cx.id, "pair", echo),
        },
        Some(Command::Unpair) => match cx.hub.pairs.unpair(member) {
            Some(partner) => tell_both("unpair", member, partner, echo, cx, fx),
            None => Refusal::Code("NOT_PAIRED").send(fx, cx.id, "unpair", echo),
        },
        Some(Command::Error) => match fields::find(body, ["error"]) {
            Ok([Some(error)]) => command_error(fx, cx.id, [br#"{"error":"#, error, b"}"], echo),
            _ => refuse(fx, cx.id, "INVALID_REQUEST", echo),
        },
        None => refuse(fx, cx.id, "UNKNOWN_COMMAND", echo),
    }
}

impl Webshare {
    fn on_binary(&self, member: MemberId, message: Message<'_>, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if !self.may_send_binary {
            return refuse(fx, cx.id, "INVALID_REQUEST", NULL);
        }
        match cx.hub.pairs.partner(member) {
            Some(partner) => fx.relay(cx.hub.pairs.session(partner), message),
            None => Refusal::Code("NOT_PAIRED").send(fx, cx.id, "relay", NULL),
        }
    }
}

/// sock-share `commands/special.py`, one class each.
#[derive(Clone, Copy)]
enum Command {
    Key,
    Pair,
    Unpair,
    Relay,
    Error,
}

impl Command {
    fn read(value: &[u8]) -> Option<Self> {
        match value {
            br#""relay""# => Some(Self::Relay),
            value => Self::named(&fields::string(value)?),
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "key" => Some(Self::Key),
            "pair" => Some(Self::Pair),
            "unpair" => Some(Self::Unpair),
            "relay" => Some(Self::Relay),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// Why a command that was understood is not carried out.
enum Refusal {
    Code(&'static str),
    RateLimited(Duration),
}

impl Refusal {
    fn send(self, fx: &mut impl Effects, to: SessionId, command: &str, echo: &[u8]) {
        match self {
            Self::Code(code) => Reply { ok: false, code, body: NO_BODY, command, echo }.send(fx, to),
            Self::RateLimited(wait) => {
                // Rounded up: who waits exactly as long is served.
                let wait = wait.as_nanos().div_ceil(1_000_000).to_string();
                let body = [br#"{"retry_after_ms":"#, wait.as_bytes(), b"}"];
                Reply { ok: false, code: "RATE_LIMITED", body, command, echo }.send(fx, to);
            }
        }
    }
}

/// Pairs a member with the key in `body`, checking in the original's order.
fn pair(member: MemberId, body: &[u8], cx: &mut Context<'_>) -> Result<MemberId, Refusal> {
    let pairs = &mut cx.hub.pairs;
    if pairs.partner(member).is_some() {
        return Err(Refusal::Code("ALREADY_PAIRED"));
    }
    let Ok([target]) = fields::find(body, ["target"]) else {
        return Err(Refusal::Code("INVALID_ARGUMENTS"));
    };
    let is_hashable = |target: &&[u8]| !fields::is_object(target) && !fields::is_array(target);
    let Some(target) = target.filter(|target| !fields::is_falsy(target)).filter(is_hashable) else {
        return Err(Refusal::Code("INVALID_KEY"));
    };
    let key = fields::string(target).and_then(|target| Key::parse(&target));
    if key == Some(pairs.key(member)) {
        return Err(Refusal::Code("CANNOT_SELF_PAIR"));
    }
    let (address, limits) = (cx.address.map(|address| address.ip()), &cx.config.limits);
    if let Some(wait) = pairs.guesses.wait(address, cx.now, limits) {
        return Err(Refusal::RateLimited(wait));
    }
    let Some(target) = key.and_then(|key| pairs.find(key)) else {
        pairs.guesses.charge(address, cx.now, limits);
        return Err(Refusal::Code("TARGET_NOT_FOUND"));
    };
    // The member itself is free and not the target, so what is left is a target that is taken.
    pairs.pair(member, target).map_err(|_| Refusal::Code("ALREADY_PAIRED"))?;
    Ok(target)
}

/// The fast path: three parts each for the receipt and the push.
#[inline]
fn relay(member: MemberId, body: &[u8], echo: &[u8], cx: &mut Context<'_>, fx: &mut impl Effects) {
    let Some(partner) = cx.hub.pairs.partner(member) else {
        return Refusal::Code("NOT_PAIRED").send(fx, cx.id, "relay", echo);
    };
    let partner = cx.hub.pairs.session(partner);
    const RECEIPT: &[u8] = br#"{"ok":true,"code":"RELAY_SENT","body":null,"command":"relay","echo":"#;
    const PUSH: &[u8] = br#"{"ok":true,"code":"RELAY_OK","body":"#;
    fx.send(cx.id, Kind::Text, &[RECEIPT, echo, b"}"]);
    fx.relay_parts(partner, Kind::Text, &[PUSH, body, br#","command":"relay","echo":null}"#]);
}

/// Tells a member that `command` was carried out with `other`, and then `other` about the member.
fn tell_both(
    command: &str,
    member: MemberId,
    other: MemberId,
    echo: &[u8],
    cx: &mut Context<'_>,
    fx: &mut impl Effects,
) {
    let pairs = &cx.hub.pairs;
    tell(fx, cx.id, command, pairs.key(other), echo);
    tell(fx, pairs.session(other), command, pairs.key(member), NULL);
}

fn tell(fx: &mut impl Effects, to: SessionId, command: &str, with: Key, echo: &[u8]) {
    let with = with.text();
    let body = [br#"{"with":""#, with.as_bytes(), br#""}"#];
    Reply { ok: true, code: "SUCCESS", body, command, echo }.send(fx, to);
}

/// Answers what is no request at all.
fn refuse(fx: &mut impl Effects, to: SessionId, error: &str, echo: &[u8]) {
    command_error(fx, to, [br#"{"error":""#, error.as_bytes(), br#""}"#], echo);
}

fn command_error(fx: &mut impl Effects, to: SessionId, body: [&[u8]; 3], echo: &[u8]) {
    Reply { ok: false, code: "COMMAND_ERROR", body, command: "error", echo }.send(fx, to);
}

/// A reply or a push: the five keys that each of them has.
struct Reply<'a> {
    ok: bool,
    code: &'a str,
    /// The JSON in three parts: what is sent lies between two constants.
    body: [&'a [u8]; 3],
    command: &'a str,
    echo: &'a [u8],
}

impl Reply<'_> {
    fn send(self, fx: &mut impl Effects, to: SessionId) {
        let start: &[u8] = if self.ok { br#"{"ok":true,"code":""# } else { br#"{"ok":false,"code":""# };
        let [open, value, close] = self.body;
        let (code, command) = (self.code.as_bytes(), self.command.as_bytes());
        const BODY: &[u8] = br#"","body":"#;
        const COMMAND: &[u8] = br#","command":""#;
        const ECHO: &[u8] = br#"","echo":"#;
        fx.send(to, Kind::Text, &[start, code, BODY, open, value, close, COMMAND, command, ECHO, self.echo, b"}"]);
    }
}

/// What absent members are taken for.
const NULL: &[u8] = b"null";

/// The body of replies that have none.
const NO_BODY: [&[u8]; 3] = [b"", NULL, b""];

#[cfg(test)]
mod tests;
