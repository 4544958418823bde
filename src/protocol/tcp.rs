//! `/tcp/HOST:PORT`: the bytes of a TCP connection in WebSocket messages, nothing else. Layer 2.
//!
//! What websockify speaks, so noVNC and every other client of it connects unchanged: what a client sends, text or
//! binary, goes to the target as it is, and what the target sends comes in binary messages. Where one message ends and
//! the next begins means nothing. `/tcp/NAME` is a target that the operator has given a name.
//!
//! The opening handshake succeeds before the target is dialled, because a browser does not show a page why one failed.
//! So a target that cannot be had is told by the close: 1008 when it is not allowed, 1013 when a limit is reached, 1014
//! (Bad Gateway, IANA's registry of close codes) when it cannot be reached or breaks; 1000 when it ends in order.

use tungstenite::protocol::frame::coding::CloseCode;

use super::{BridgeEvent, Context, DialError, Effects, Protocol};
use crate::frame::message::Message;
use crate::http::authority::{Authority, Host};

/// "Bad Gateway", which the framing library has no name for.
const BAD_GATEWAY: CloseCode = CloseCode::Bad(1014);

/// One client of one target.
#[derive(Debug)]
pub struct Tcp {
    /// Until it is dialled.
    target: Option<(Box<str>, u16)>,
}

impl Tcp {
    /// A client that will be connected to `host` and `port`.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { target: Some((host.into(), port)) }
    }

    /// A client of what follows `/tcp/`: `HOST:PORT`, an IPv6 address in brackets, nothing escaped. `None` when it is
    /// anything else.
    #[must_use]
    pub fn to(target: &str) -> Option<Self> {
        let Authority { host, port: Some(port) } = Authority::parse(target)? else { return None };
        Some(match host {
            Host::V4(address) => Self::new(&address.to_string(), port),
            Host::V6(address) => Self::new(&address.to_string(), port),
            Host::Name(name) => Self::new(name, port),
        })
    }
}

/// The subprotocol for a client that offers these: `binary` is how noVNC says what is spoken here. Other names say what
/// the target speaks (`mqtt`), so the first is taken; but `base64` is websockify's word for what is not spoken.
pub fn subprotocol<'o>(mut offered: impl Iterator<Item = &'o str>) -> Option<&'o str> {
    let mut first = None;
    let binary = offered.find(|name| {
        first = first.or((*name != "base64").then_some(*name));
        *name == "binary"
    });
    binary.or(first)
}

impl Protocol for Tcp {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if let Some((host, port)) = self.target.take() {
            fx.dial(cx.id, &host, port);
        }
    }

    #[inline]
    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        if !message.payload().is_empty() {
            fx.bridge(cx.id, message);
        }
    }

    #[inline]
    fn on_bridge(&mut self, cx: &mut Context<'_>, event: BridgeEvent<'_>, fx: &mut impl Effects) {
        match event {
            BridgeEvent::Received(message) => fx.relay(cx.id, message),
            BridgeEvent::Open => {}
            BridgeEvent::Failed(error) => {
                let (code, reason) = failure(error);
                fx.close(cx.id, code, &reason);
            }
            BridgeEvent::Ended => fx.close(cx.id, CloseCode::Normal, "the target closed the connection"),
            BridgeEvent::Broken(kind) => {
                fx.close(cx.id, BAD_GATEWAY, &format!("the connection to the target broke: {kind}"));
            }
        }
    }

    fn on_close(&mut self, _: &mut Context<'_>, _: &mut impl Effects) {}
}

/// To a client whose token does not have the target.
const NOT_PERMITTED: &str = "not permitted: this needs a token that permits this target (tcp)";

/// To a client that would come out where it went in.
const OURSELVES: &str = "this target is the server itself, which only a name opens (--bridge-name)";

/// How a target that cannot be had is told. The target itself is not named: behind a `NAME` it is nobody's business.
fn failure(error: DialError) -> (CloseCode, String) {
    match error {
        DialError::Forbidden => (CloseCode::Policy, "this target is not allowed (--bridge-allow)".to_owned()),
        DialError::Ourselves => (CloseCode::Policy, OURSELVES.to_owned()),
        DialError::NotPermitted => (CloseCode::Policy, NOT_PERMITTED.to_owned()),
        DialError::TooMany(option) => (CloseCode::Again, format!("too many at once ({option})")),
        DialError::NoSuchName => (BAD_GATEWAY, "the target's name has no address".to_owned()),
        DialError::Refused => (BAD_GATEWAY, "the target refused the connection".to_owned()),
        DialError::TimedOut => (BAD_GATEWAY, "the target does not answer (--dial-timeout)".to_owned()),
        DialError::Unreachable(kind) => (BAD_GATEWAY, format!("the target cannot be reached: {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::super::recorder::{Effect, Line, World, relayed};
    use super::*;
    use crate::frame::message::Kind;
    use crate::hub::SessionId;

    fn dialled(who: SessionId, host: &str, port: u16) -> Effect {
        Effect::Dialled { who, host: host.to_owned(), port }
    }

    fn bridged(who: SessionId, bytes: &[u8]) -> Effect {
        Effect::Bridged { who, bytes: bytes.to_vec() }
    }

    fn closed(who: SessionId, code: u16, reason: &str) -> Effect {
        assert!(reason.len() <= 123, "{reason} does not fit");
        let code = if code == 1014 { BAD_GATEWAY } else { code.into() };
        Effect::Closed { who, code, reason: reason.to_owned() }
    }

    fn open(world: &mut World<Tcp>) -> SessionId {
        let (who, effects) = world.open_from(None, Tcp::new("host", 1));
        assert_eq!(effects, [dialled(who, "host", 1)]);
        assert_eq!(world.bridge(who, BridgeEvent::Open), []);
        who
    }

    #[test]
    fn targets() {
        for (text, host, port) in [
            ("localhost:80", "localhost", 80),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]:65535", "::1", 65535),
            ("[0:0::FFFF:1]:22", "::ffff:1", 22),
            ("db_1.example.com.:5432", "db_1.example.com.", 5432),
            // What this means is for the system to say, and for the policy to judge.
            ("127.1:80", "127.1", 80),
            ("2130706433:80", "2130706433", 80),
        ] {
            let mut world = World::new();
            let target = Tcp::to(text).unwrap_or_else(|| panic!("{text}"));
            let (who, effects) = world.open_from(None, target);
            assert_eq!(effects, [dialled(who, host, port)], "{text}");
        }
        for text in [
            "",
            ":",
            "host",
            "host:",
            ":80",
            "host:0",
            "host:65536",
            "host:+80",
            "host:80:80",
            "::1:80",
            "[::1]",
            "[::1",
            "[::1%25eth0]:80",
            "[127.0.0.1]:80",
            "host%3A80",
            "a b:80",
            "user@host:80",
            "host:80/",
            "/host:80",
            "h\u{f6}st:80",
            "*:80",
        ] {
            assert!(Tcp::to(text).is_none(), "{text}");
        }
    }

    #[test]
    fn bytes_go_both_ways_as_they_are() {
        let mut world = World::new();
        let who = open(&mut world);
        assert_eq!(world.binary(who, &[0, 0xFF]), [bridged(who, &[0, 0xFF])]);
        assert_eq!(world.text(who, "hello"), [bridged(who, b"hello")]);
        assert_eq!(world.binary(who, b""), []);
        assert_eq!(world.text(who, ""), []);
        assert_eq!(world.receive(who, b"text"), [relayed(who, Kind::Binary, b"text")]);
        assert_eq!(world.receive(who, &[0xFF; 70_000]), [relayed(who, Kind::Binary, &[0xFF; 70_000])]);
        assert_eq!(world.close(who), []);
    }

    #[test]
    fn what_is_said_before_the_target_answers_waits() {
        let mut world = World::new();
        let (who, _) = world.open_from(None, Tcp::new("host", 1));
        assert_eq!(world.text(who, "first"), []);
        assert_eq!(world.binary(who, b"second"), []);
        assert_eq!(world.bridge(who, BridgeEvent::Open), [bridged(who, b"first"), bridged(who, b"second")]);
    }

    #[test]
    fn a_target_that_cannot_be_had_is_told_by_the_close() {
        for (error, code, reason) in [
            (DialError::Forbidden, 1008, "this target is not allowed (--bridge-allow)"),
            (DialError::Ourselves, 1008, "this target is the server itself, which only a name opens (--bridge-name)"),
            (DialError::NotPermitted, 1008, NOT_PERMITTED),
            (DialError::TooMany("--max-x"), 1013, "too many at once (--max-x)"),
            (DialError::NoSuchName, 1014, "the target's name has no address"),
            (DialError::Refused, 1014, "the target refused the connection"),
            (DialError::TimedOut, 1014, "the target does not answer (--dial-timeout)"),
            (
                DialError::Unreachable(ErrorKind::NetworkUnreachable),
                1014,
                "the target cannot be reached: network unreachable",
            ),
        ] {
            let mut world = World::new();
            let (who, _) = world.open_from(None, Tcp::new("host", 1));
            world.text(who, "unheard");
            assert_eq!(world.bridge(who, BridgeEvent::Failed(error)), [closed(who, code, reason)]);
            assert!(!world.is_open(who));
            assert_eq!(u16::from(failure(error).0), code);
        }
    }

    #[test]
    fn the_end_of_the_target_is_the_end() {
        for (event, code, reason) in [
            (BridgeEvent::Ended, 1000, "the target closed the connection"),
            (
                BridgeEvent::Broken(ErrorKind::ConnectionReset),
                1014,
                "the connection to the target broke: connection reset",
            ),
        ] {
            let mut world = World::new();
            let who = open(&mut world);
            world.receive(who, b"last words");
            assert_eq!(world.bridge(who, event), [closed(who, code, reason)]);
            assert_eq!(world.line(who), Line::Idle);
        }
    }

    #[test]
    fn binary_is_preferred_and_base64_is_not_spoken() {
        for (offered, chosen) in [
            (&[][..], None),
            (&["binary"][..], Some("binary")),
            (&["base64", "binary"], Some("binary")),
            (&["mqtt", "binary"], Some("binary")),
            (&["base64", "mqtt", "mqttv3.1"], Some("mqtt")),
            (&["base64"], None),
            (&["Binary"], Some("Binary")),
        ] {
            assert_eq!(subprotocol(offered.iter().copied()), chosen, "{offered:?}");
        }
    }

    #[test]
    fn a_client_is_small() {
        assert!(size_of::<Tcp>() <= 24);
    }
}
