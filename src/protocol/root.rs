//! Who answers at `/`, when neither the URL nor the listener says so: the first message decides. Layer 2.
//!
//! WebShare, pocketsocket and ws2s clients all connect to `/`. What a WebShare or ws2s client says is always an object
//! with a `command`; the commands and the members beside it tell the two apart. Nobody else's first message looks like
//! that, so everything else is pocketsocket, whose messages may be anything.

use super::Session;
use super::pocket::Pocket;
use super::route::{Refusal, is_on};
use super::webshare::Webshare;
use super::ws2s::{Dialect, Ws2s};
use crate::config::{Config, Switch};
use crate::frame::message::{Kind, Message};
use crate::json::fields;

/// The protocols that share `/`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RootProtocol {
    /// An object with a `command`, unless it is ws2s.
    Webshare,
    /// Whatever is neither of the others.
    Pocket,
    /// An object whose `command` is one of ws2s's own, or that has a `host`, `port` or `data` and neither `echo` nor
    /// `body`.
    Ws2s,
}

impl RootProtocol {
    fn switch(self) -> Switch {
        match self {
            Self::Webshare => Switch::Webshare,
            Self::Pocket => Switch::Pocket,
            Self::Ws2s => Switch::Ws2s,
        }
    }
}

/// Decides from a client's first message, once and for good.
#[must_use]
pub fn decide(kind: Kind, payload: &[u8]) -> RootProtocol {
    if kind == Kind::Binary {
        return RootProtocol::Pocket;
    }
    let Ok([Some(command), host, port, data, echo, body]) =
        fields::find(payload, ["command", "host", "port", "data", "echo", "body"])
    else {
        return RootProtocol::Pocket;
    };
    let is_ws2s_command = fields::string(command).is_some_and(|command| WS2S_COMMANDS.contains(&&*command));
    let has_target = host.or(port).or(data).is_some();
    let has_envelope = echo.or(body).is_some();
    if is_ws2s_command || (has_target && !has_envelope) { RootProtocol::Ws2s } else { RootProtocol::Webshare }
}

/// A client of `/` that has said nothing yet. It belongs to no protocol, is in no room and is sent nothing.
#[derive(Debug)]
pub struct Undecided {
    wants_binary: bool,
    dialect: Dialect,
    room: Box<str>,
    wants_echo: bool,
}

impl Undecided {
    /// `binary` is whether it asked for `?binary=1`, should it turn out to be a WebShare client, and `dialect` what it
    /// asked for with `?v=`, should it be a ws2s client; `room` and `echo` are what [`Pocket::new`] takes, should it be
    /// a pocketsocket client.
    #[must_use]
    pub fn new(binary: bool, dialect: Dialect, room: &str, echo: bool) -> Self {
        Self { wants_binary: binary, dialect, room: room.into(), wants_echo: echo }
    }

    /// The session that its first message makes it.
    ///
    /// # Errors
    /// [`Refusal::SwitchedOff`], when the operator has none of this protocol.
    pub fn decide(&self, first: &Message<'_>, config: &Config) -> Result<Session, Refusal> {
        let protocol = decide(first.kind(), first.payload());
        is_on(protocol.switch(), config)?;
        Ok(match protocol {
            RootProtocol::Webshare => Session::Webshare(Webshare::new(self.wants_binary)),
            RootProtocol::Pocket => Session::Pocket(Pocket::new(&self.room, self.wants_echo)),
            RootProtocol::Ws2s => Session::Ws2s(Ws2s::new(self.dialect)),
        })
    }
}

/// What ws2s clients say first, none of which WebShare knows.
const WS2S_COMMANDS: [&str; 5] = ["connect", "send", "sendb", "close", "ping"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_decides() {
        use RootProtocol::{Pocket, Webshare, Ws2s};
        for (text, expected) in [
            // As the original clients say it.
            (r#"{"echo":{"callbackId":"a3f"},"command":"key"}"#, Webshare),
            (r#"{"command":"connect","host":"localhost","port":80}"#, Ws2s),
            (r#"{"command":"ping"}"#, Ws2s),
            (r#"{"id":"0.lchkqdo","message":"socket.open","data":{}}"#, Pocket),
            // By the command alone, whatever stands beside it.
            (r#"{"command":"send","data":"xxxx"}"#, Ws2s),
            (r#"{"command":"sendb"}"#, Ws2s),
            (r#"{"command":"close"}"#, Ws2s),
            (r#"{"command":"close","echo":1}"#, Ws2s),
            (r#"{"body":null,"command":"connect"}"#, Ws2s),
            (r#"{"\u0063ommand":"\u0070ing"}"#, Ws2s),
            // Other commands, by the members beside them.
            (r#"{"command":"other","host":"h"}"#, Ws2s),
            (r#"{"command":"other","port":null}"#, Ws2s),
            (r#"{"command":null,"data":""}"#, Ws2s),
            (r#"{"command":{},"host":1,"port":2,"data":3}"#, Ws2s),
            (r#"{"command":"other","host":"h","echo":null}"#, Webshare),
            (r#"{"command":"relay","data":1,"body":2}"#, Webshare),
            (r#"{"command":"pair","body":{"target":"ab","host":"h"}}"#, Webshare),
            (r#"{"command":"relay"}"#, Webshare),
            (r#"{"command":"Connect"}"#, Webshare),
            (r#"{"command":""}"#, Webshare),
            (r#"{"command":null}"#, Webshare),
            (r#"{"command":["connect"]}"#, Webshare),
            (r#"{"command":"\ud800"}"#, Webshare),
            (r#"{"command":"connect","command":"key"}"#, Webshare),
            // No command, no object, no JSON.
            (r#"{"Command":"key"}"#, Pocket),
            (r#"{"host":"h","port":1}"#, Pocket),
            (r#"{"body":{"command":"key"}}"#, Pocket),
            (r#"[{"command":"key"}]"#, Pocket),
            (r#""command""#, Pocket),
            (r#"{"command":"key""#, Pocket),
            (r#"{"command":"key"} x"#, Pocket),
            ("{}", Pocket),
            ("1", Pocket),
            ("hello", Pocket),
            ("", Pocket),
        ] {
            assert_eq!(decide(Kind::Text, text.as_bytes()), expected, "{text}");
            assert_eq!(decide(Kind::Binary, text.as_bytes()), Pocket, "binary {text}");
        }
    }
}
