//! Which protocol a WebSocket client gets, by the path it opens. Layer 2.

use std::borrow::Cow;
use std::fmt;

use super::Session;
use super::named::{Named, Wishes};
use super::network::Network;
use super::pocket::Pocket;
use super::root::Undecided;
use super::tcp::Tcp;
use super::webshare::Webshare;
use super::ws2s::{Dialect, Ws2s};
use crate::config::{Config, Root, Switch};
use crate::http::request::Request;

/// Why an upgrade leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// No protocol lives at this path.
    NoSuchPath,
    /// A channel's or a room's name has a character or a length that is not allowed.
    BadName {
        /// Bytes a name may have.
        limit: usize,
    },
    /// What follows `/tcp/` is neither a host and a port nor a target's name.
    BadTarget,
    /// What follows `/tcp/` may be a target's name, but none has it.
    NoSuchTarget,
    /// This listener's `/` answers nobody.
    NoRoot,
    /// The operator has switched this protocol off.
    SwitchedOff(Switch),
    /// The operator has switched off everybody who could answer at `/`.
    AllSwitchedOff,
    /// This listener's `/` answers nobody, but `/NAME` does.
    NoNetworkRoot,
}

impl Refusal {
    /// The status of the response (RFC 9110 §15).
    #[must_use]
    pub fn status(self) -> u16 {
        404
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPath => f.write_str(
                "nothing is here; WebSocket paths are /webshare, /pocket, /ws2s, /tcp/HOST:PORT, /local/NAME, \
                 /broadcast/NAME, /network/NAME",
            ),
            Self::BadTarget => f.write_str(
                "not a target: open /tcp/HOST:PORT, with an IPv6 address in brackets and nothing escaped, or /tcp/NAME",
            ),
            Self::NoSuchTarget => f.write_str("no target has this name (--bridge-name); others are /tcp/HOST:PORT"),
            Self::BadName { limit } => write!(
                f,
                "not a name for a channel or a room: it takes 1 to {limit} of the characters A-Z a-z 0-9 . _ + = * - (--max-name)"
            ),
            Self::SwitchedOff(switch) => write!(f, "{0} is switched off here (--without {0})", switch.name()),
            Self::AllSwitchedOff => f.write_str("everybody who could answer at / is switched off here (--without)"),
            Self::NoNetworkRoot => f.write_str("this port serves network channels: open /NAME"),
            Self::NoRoot => f.write_str("this port serves named channels only: open /local/NAME or /broadcast/NAME"),
        }
    }
}

/// Whether the protocol that lives at a path may be used, whatever the request: the one gate in front of all of them. At
/// the root of a listener that leaves it to the first message, [`Undecided`] asks again for the one that was chosen.
///
/// # Errors
/// [`Refusal::SwitchedOff`], [`Refusal::AllSwitchedOff`].
pub fn admit(path: &str, root: Root, config: &Config) -> Result<(), Refusal> {
    let switch = match path {
        "/webshare" => Switch::Webshare,
        "/pocket" => Switch::Pocket,
        "/ws2s" => Switch::Ws2s,
        "/socket.io" | "/socket.io/" => Switch::P2p,
        "/" => match root {
            Root::Webshare => Switch::Webshare,
            Root::Pocket => Switch::Pocket,
            Root::Ws2s => Switch::Ws2s,
            Root::Named | Root::Network => return Ok(()),
            Root::Auto => {
                let candidates = [Switch::Webshare, Switch::Pocket, Switch::Ws2s];
                let is_left = candidates.iter().any(|switch| !config.without.contains(switch));
                return if is_left { Ok(()) } else { Err(Refusal::AllSwitchedOff) };
            }
        },
        path if path.starts_with("/tcp/") => Switch::Tcp,
        path if path.starts_with("/local/") || path.starts_with("/broadcast/") => Switch::Named,
        path if path.starts_with("/network/") => Switch::Network,
        path if root == Root::Network && !path[1..].contains('/') => Switch::Network,
        _ => return Ok(()),
    };
    is_on(switch, config)
}

/// Whether a protocol is on.
pub(super) fn is_on(switch: Switch, config: &Config) -> Result<(), Refusal> {
    if config.without.contains(&switch) { Err(Refusal::SwitchedOff(switch)) } else { Ok(()) }
}

/// The session behind a request, before its opening handshake.
///
/// # Errors
/// [`Refusal`], to be answered as a response.
pub fn route(request: &Request<'_>, root: Root, config: &Config) -> Result<Session, Refusal> {
    admit(request.path, root, config)?;
    let limit = config.limits.max_name;
    let binary = request.query_flag("binary");
    let wants_echo = || config.echo || request.query_flag("echo");
    match request.path {
        "/" => match root {
            Root::Auto => {
                let room = room(request, limit)?;
                Ok(Session::Undecided(Undecided::new(binary, dialect(request), &room, wants_echo())))
            }
            Root::Webshare => Ok(Session::Webshare(Webshare::new(binary))),
            Root::Pocket => Ok(Session::Pocket(Pocket::new(&room(request, limit)?, wants_echo()))),
            Root::Ws2s => Ok(Session::Ws2s(Ws2s::new(dialect(request)))),
            Root::Named => Err(Refusal::NoRoot),
            Root::Network => Err(Refusal::NoNetworkRoot),
        },
        "/webshare" => Ok(Session::Webshare(Webshare::new(binary))),
        "/pocket" => Ok(Session::Pocket(Pocket::new(&room(request, limit)?, wants_echo()))),
        "/ws2s" => Ok(Session::Ws2s(Ws2s::new(dialect(request)))),
        path if path.starts_with("/network/") => network(path, limit),
        path if path.starts_with("/tcp/") => Ok(Session::Tcp(tcp(&path["/tcp/".len()..], config)?)),
        // The original's only segment is a name; whatever has a path of its own keeps it.
        path if root == Root::Network && !path[1..].contains('/') => network(&format!("/network{path}"), limit),
        path => {
            check_name(path, limit)?;
            let wishes = Wishes {
                presence: config.presence || request.query_flag("presence"),
                echo: request.query_flag("echo"),
            };
            Ok(Session::Named(Named::new(path, wishes)))
        }
    }
}

/// The session of a member of a network channel, whose name is one segment.
fn network(path: &str, limit: usize) -> Result<Session, Refusal> {
    match path.strip_prefix("/network/") {
        Some(name) if is_name(name, limit) => Ok(Session::Network(Network::new(path))),
        _ => Err(Refusal::BadName { limit }),
    }
}

fn dialect(request: &Request<'_>) -> Dialect {
    Dialect::of(request.query_value("v").as_deref())
}

/// The session of a target by its name, or else by its host and port, which no name looks like.
fn tcp(target: &str, config: &Config) -> Result<Tcp, Refusal> {
    match config.bridge_names.iter().find(|(name, ..)| name == target) {
        Some((_, host, port)) => Ok(Tcp::new(host, *port)),
        None if target.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && !target.is_empty() => {
            Err(Refusal::NoSuchTarget)
        }
        None => Tcp::to(target).ok_or(Refusal::BadTarget),
    }
}

/// The pocket room that a request asks for: "" where it names none.
fn room<'b>(request: &Request<'b>, limit: usize) -> Result<Cow<'b, str>, Refusal> {
    let room = request.query_value("room").unwrap_or_default();
    if room.is_empty() || is_name(&room, limit) { Ok(room) } else { Err(Refusal::BadName { limit }) }
}

/// Whether the path is a channel's. The name is its last segment, the whole path the channel, and only `/local/` has
/// more than one segment below it (namedwebsockets, generation A). All that is kept of it counts as its name, so the limit
/// is for the segments together, with the slashes between them.
fn check_name(path: &str, limit: usize) -> Result<(), Refusal> {
    let (names, depth) = match (path.strip_prefix("/local/"), path.strip_prefix("/broadcast/")) {
        (Some(names), _) => (names, usize::MAX),
        (_, Some(names)) => (names, 1),
        _ => return Err(Refusal::NoSuchPath),
    };
    if names.split('/').count() > depth {
        return Err(Refusal::NoSuchPath);
    }
    if names.len() <= limit && names.split('/').all(|name| is_name(name, limit)) {
        Ok(())
    } else {
        Err(Refusal::BadName { limit })
    }
}

/// What namedwebsockets allows, for rooms too.
fn is_name(name: &str, limit: usize) -> bool {
    (1..=limit).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+=*-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::BridgeEvent;
    use super::super::recorder::{Effect, World, sent};
    use super::*;
    use crate::http::request::parse;
    use crate::hub::SessionId;

    /// The session behind a target.
    fn routed(target: &str, root: Root, config: &Config) -> Result<Session, Refusal> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        route(&parse(head.as_bytes(), 1 << 16, 64).expect(target).expect(target), root, config)
    }

    #[test]
    fn targets_have_names_or_hosts_and_ports() {
        let names = [("redis", "127.0.0.1", 6379), ("v6", "::1", 1), ("127.0.0.1", "db.example", 5432)];
        let config = Config {
            bridge_names: names.map(|(name, host, port)| (name.to_owned(), host.to_owned(), port)).to_vec(),
            ..Config::default()
        };
        for (path, host, port) in [
            ("/tcp/redis", "127.0.0.1", 6379),
            ("/tcp/v6", "::1", 1),
            ("/tcp/127.0.0.1", "db.example", 5432),
            ("/tcp/127.0.0.1:80", "127.0.0.1", 80),
            ("/tcp/[::1]:80", "::1", 80),
            ("/tcp/redis:80?token=x", "redis", 80),
        ] {
            let mut world = World::new();
            let session = routed(path, Root::Auto, &config).unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
            let (who, effects) = world.open_from(None, session);
            assert_eq!(effects, [Effect::Dialled { who, host: host.to_owned(), port }], "{path}");
        }
        for (path, refusal) in [
            ("/tcp/Redis", Refusal::NoSuchTarget),
            ("/tcp/127.0.0.2", Refusal::NoSuchTarget),
            ("/tcp/", Refusal::BadTarget),
            ("/tcp/redis/", Refusal::BadTarget),
            ("/tcp/redis:", Refusal::BadTarget),
            ("/tcp/redis%3A80", Refusal::BadTarget),
            ("/tcp/[::1]", Refusal::BadTarget),
            ("/tcp/::1:80", Refusal::BadTarget),
            ("/tcp", Refusal::NoSuchPath),
            ("/ws2s/", Refusal::NoSuchPath),
            ("/ws2sx", Refusal::NoSuchPath),
        ] {
            assert_eq!(routed(path, Root::Auto, &config).expect_err(path), refusal, "{path}");
            assert_eq!(refusal.status(), 404);
        }
    }

    #[test]
    fn ws2s_clients_get_the_dialect_they_ask_for_wherever_they_come_in() {
        const CONNECT: &str = r#"{"command":"connect","host":"h","port":1}"#;
        for (query, word, end) in
            [("", "connect done", 5), ("?v=1", "done", 3), ("?v=2", "connect done", 5), ("?v=x", "connect done", 5)]
        {
            for (path, root) in [("/ws2s", Root::Auto), ("/ws2s", Root::Named), ("/", Root::Ws2s), ("/", Root::Auto)] {
                let mut world = World::new();
                let who = world.open(routed(&format!("{path}{query}"), root, &Config::default()).expect(path));
                assert_eq!(world.text(who, CONNECT), [Effect::Dialled { who, host: "h".to_owned(), port: 1 }]);
                assert_eq!(
                    world.bridge(who, BridgeEvent::Open),
                    [sent(who, &format!(r#"{{"success":true,"code":0,"message":"{word}"}}"#))]
                );
                let end = format!(r#"{{"success":false,"code":{end},"message":"connection closed by peer"}}"#);
                assert_eq!(world.bridge(who, BridgeEvent::Ended), [sent(who, &end)]);
            }
        }
    }

    #[test]
    fn only_targets_prefer_a_subprotocol() {
        let chosen = |path, offered: &[&'static str]| {
            let session = routed(path, Root::Auto, &Config::default()).expect(path);
            session.subprotocol(offered.iter().copied())
        };
        assert_eq!(chosen("/tcp/h:1", &["mqtt", "binary"]), Some("binary"));
        assert_eq!(chosen("/local/a", &["mqtt", "binary"]), Some("mqtt"));
        assert_eq!(chosen("/local/a", &[]), None);
    }

    #[test]
    fn what_was_said_first_is_carried_out_by_who_it_chose() {
        let mut world = World::new();
        let who = world.open(routed("/", Root::Auto, &Config::default()).expect("the root"));
        assert_eq!(who, SessionId(0));
        assert_eq!(
            world.text(who, r#"{"command":"ping"}"#),
            [sent(who, r#"{"success":true,"code":0,"message":"ping done"}"#)]
        );
    }

    #[test]
    fn names_are_what_the_original_allows() {
        let long = "a".repeat(255);
        let long_path = format!("{0}/{0}/b", "a".repeat(126));
        for name in ["a", "A-Z_0.9", "org.mediascape.bbc.tv", "+=*", &long, "a/b/c", &long_path] {
            assert_eq!(check_name(&format!("/local/{name}"), 255), Ok(()), "{name}");
        }
        let bad = Err(Refusal::BadName { limit: 255 });
        for name in
            ["", "a b", "%41", "é", "a/", "/a", "a//b", "a\0", ">", "#", &"a".repeat(256), &format!("{long_path}b")]
        {
            assert_eq!(check_name(&format!("/local/{name}"), 255), bad, "{name}");
        }
        for path in ["/broadcast/a/b", "/locals/a", "/local", "/", "", "/nobody/a"] {
            assert_eq!(check_name(path, 255), Err(Refusal::NoSuchPath), "{path}");
        }
    }
}
