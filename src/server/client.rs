//! Who a connection is for: its peer, or whoever a proxy that is believed says. Layer 3.
//!
//! A listener with `proxy+` learns it from the PROXY header before the first request ([`Exchange::on_preamble`]); requests
//! from a trusted proxy say it one by one ([`Attribution::attribute`]), as such a proxy may send one client's request behind
//! another's. The client's address is what limits, the log, presence and the console go by; the peer's is what the socket
//! has. A connection is in the census exactly once, always under the client that it is for by then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use log::{debug, info};

use super::conn::{ConnId, Connection, Ending, Phase};
use super::exchange::Exchange;
use super::relay::Progress;
use crate::http::forwarded;
use crate::http::request::Request;
use crate::http::response::{Framing, refuse};
use crate::net::address::{BadNet, Net};
use crate::net::listener::Census;
use crate::net::proxy::{self, MOST_BYTES, Source};
use crate::net::reactor::Turn;
use crate::net::socket::Received;

/// What a client is told whose address has as many connections as it may.
pub(super) const TOO_MANY_OF_ONE: &str = "Too many connections from one address (--max-per-address).";

/// How the client's address is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Derivation {
    /// It is the socket's peer.
    Peer,
    /// By the PROXY header.
    ProxyProtocol,
    /// By Forwarded or X-Forwarded-For.
    Forwarded,
    /// Not at all: it is a trusted proxy, which does not say whom it speaks for.
    Proxy,
}

impl Derivation {
    /// Its name, for the log and the console.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "socket",
            Self::ProxyProtocol => "proxy-protocol",
            Self::Forwarded => "forwarded",
            Self::Proxy => "proxy",
        }
    }
}

/// Where a connection comes from. Every connection has one, so it is written smaller than std does: without the flow
/// label of IPv6, which nobody asks for.
#[derive(Debug)]
pub(super) enum Address {
    /// From the client itself, over IPv4.
    V4(Ipv4Addr, u16),
    /// From the client itself, over IPv6: address, zone, port.
    V6(Ipv6Addr, u32, u16),
    /// Through a proxy that is believed.
    Via(Box<Via>),
}

const _: () = assert!(size_of::<Address>() == 24, "a connection without a proxy pays nothing for it");

/// Whom a connection is for that comes through a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Via {
    peer: SocketAddr,
    /// Who sends the requests: by the PROXY header, or else the peer.
    sender: SocketAddr,
    /// How that is known: never by what requests say.
    sender_by: Derivation,
    client: SocketAddr,
    derivation: Derivation,
}

impl Address {
    /// Of a connection from `peer` itself.
    pub(super) fn of(peer: SocketAddr) -> Self {
        match peer {
            SocketAddr::V4(peer) => Self::V4(*peer.ip(), peer.port()),
            SocketAddr::V6(peer) => Self::V6(*peer.ip(), peer.scope_id(), peer.port()),
        }
    }

    /// The other end of the socket where nobody stands between, or else all about who does.
    fn peer(&self) -> Result<SocketAddr, &Via> {
        match self {
            Self::V4(ip, port) => Ok(SocketAddr::new((*ip).into(), *port)),
            Self::V6(ip, scope, port) => Ok(SocketAddrV6::new(*ip, *port, 0, *scope).into()),
            Self::Via(via) => Err(via),
        }
    }

    /// All that is known, as of a connection through a proxy.
    fn via(&self) -> Via {
        match self.peer() {
            Ok(peer) => {
                let by = Derivation::Peer;
                Via { peer, sender: peer, sender_by: by, client: peer, derivation: by }
            }
            Err(via) => *via,
        }
    }
}

impl Connection {
    /// The other end of its socket.
    pub(super) fn peer(&self) -> SocketAddr {
        self.address.peer().unwrap_or_else(|via| via.peer)
    }

    /// The client that it is for, whose limits count.
    pub(super) fn client(&self) -> SocketAddr {
        self.address.peer().unwrap_or_else(|via| via.client)
    }

    /// How that is known.
    pub(super) fn derivation(&self) -> Derivation {
        self.address.peer().map_or_else(|via| via.derivation, |_| Derivation::Peer)
    }

    /// Whether nobody stands between this machine's own client and us, as far as connections tell. Behind the address of a
    /// trusted proxy anybody may be.
    pub(super) fn is_from_here(&self) -> bool {
        self.derivation() == Derivation::Peer && self.peer().ip().to_canonical().is_loopback()
    }

    fn set_address(&mut self, via: Via) {
        if via.client != self.client() {
            debug!("{}: is for {} ({})", via.peer, via.client, via.derivation.as_str());
        }
        self.address = Address::Via(Box::new(via));
    }
}

/// The client that `sender` says a request is for: loopback is the machine of whoever says so.
fn said_by(sender: SocketAddr, client: SocketAddr) -> SocketAddr {
    if client.ip().is_loopback() { SocketAddr::new(sender.ip(), client.port()) } else { client }
}

/// The proxies that are believed.
#[derive(Debug, Default)]
pub(super) struct Trusted(Vec<Net>);

impl Trusted {
    /// Reads the entries of `--trusted-proxy`.
    pub(super) fn parse(entries: &[String]) -> Result<Self, BadProxy> {
        let nets = entries.iter().map(|entry| entry.parse().map_err(|wrong| BadProxy { entry: entry.clone(), wrong }));
        Ok(Self(nets.collect::<Result<_, _>>()?))
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(address))
    }

    /// Whether `peer` may say with a PROXY header whom a connection is for.
    pub(super) fn may_speak_for_others(&self, peer: IpAddr) -> bool {
        peer.to_canonical().is_loopback() || self.has(peer)
    }

    /// How many connections `peer` may have itself: what a proxy sends is counted as its clients'.
    pub(super) fn limit_of(&self, peer: IpAddr, speaks_for_others: bool, limit: usize) -> usize {
        if speaks_for_others || self.has(peer) { usize::MAX } else { limit }
    }
}

/// An entry of `--trusted-proxy` that is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadProxy {
    entry: String,
    wrong: BadNet,
}

impl std::fmt::Display for BadProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "--trusted-proxy {:?}: {}", self.entry, self.wrong)
    }
}

impl std::error::Error for BadProxy {}

/// What it takes to find out whom a request is for.
pub(super) struct Attribution<'a> {
    pub(super) trusted: &'a Trusted,
    pub(super) census: &'a mut Census,
    /// `--max-per-address`.
    pub(super) limit: usize,
}

impl Attribution<'_> {
    /// Finds out whom the request on `conn` is for, and counts the connection as that client's from now on.
    ///
    /// # Errors
    /// The status and the reason of the refusal; the connection is still counted as before.
    pub(super) fn attribute(self, conn: &mut Connection, request: &Request<'_>) -> Result<(), (u16, &'static str)> {
        if self.trusted.0.is_empty() {
            return Ok(());
        }
        let before = conn.address.via();
        if !self.trusted.has(before.sender.ip()) {
            return Ok(());
        }
        let found = forwarded::client(request, |address| self.trusted.has(address));
        let after = match found.map_err(|contradiction| (400, contradiction.message()))? {
            Some(client) => {
                let client = said_by(before.sender, client);
                Via { client, derivation: Derivation::Forwarded, ..before }
            }
            // A request of the proxy's own, maybe behind those of others, or one of whoever it does not tell of.
            None => {
                let is_peer = before.sender_by == Derivation::Peer;
                let derivation = if is_peer { Derivation::Proxy } else { before.sender_by };
                Via { client: before.sender, derivation, ..before }
            }
        };
        if (after.client, after.derivation) == (before.client, before.derivation) {
            return Ok(());
        }
        let limit = self.trusted.limit_of(after.client.ip(), false, self.limit);
        if !self.census.move_to(before.client.ip(), after.client.ip(), limit) {
            return Err((503, TOO_MANY_OF_ONE));
        }
        conn.set_address(after);
        Ok(())
    }
}

impl Exchange {
    /// A connection of a `proxy+` listener is readable: the header is looked at where the system holds it, so that not one
    /// byte behind it is taken.
    pub(super) fn on_preamble(&mut self, turn: &mut Turn, id: ConnId) -> Progress {
        let conn = &mut self.conns[id as usize];
        let seen = match conn.socket.peek(&mut self.scratch[..MOST_BYTES]) {
            Received::Bytes(bytes) => bytes,
            other => return self.on_silence(turn, id, other),
        };
        let (source, len) = match proxy::parse(&self.scratch[..seen]) {
            Ok(Some(header)) => header,
            Ok(None) => return Progress::Stop,
            Err(fault) => {
                self.turned_away(turn, fault.message());
                self.end(turn, id, &Ending::TurnedAway(fault.message()));
                return Progress::Stop;
            }
        };
        match conn.socket.recv(&mut self.scratch[..len]) {
            Received::Bytes(taken) => debug_assert_eq!(taken, len, "what was seen is there"),
            other => return self.on_silence(turn, id, other),
        }
        self.metrics.on_read(len);
        conn.phase = Phase::Http;
        let before = conn.address.via();
        let derivation = Derivation::ProxyProtocol;
        match source {
            Source::Proxy => {}
            Source::Unknown => conn.set_address(Via { sender_by: derivation, derivation, ..before }),
            Source::Client(client) => {
                let client = said_by(before.peer, client);
                let limit = self.trusted.limit_of(client.ip(), false, self.config.limits.max_per_address);
                if !self.census.move_to(before.client.ip(), client.ip(), limit) {
                    // It stays counted as the proxy's.
                    info!("{client}: {}", Ending::TurnedAway(TOO_MANY_OF_ONE));
                    self.turned_away(turn, TOO_MANY_OF_ONE);
                    let mut reply = Vec::new();
                    refuse(&mut reply, 503, TOO_MANY_OF_ONE, Framing::CLOSE);
                    self.finish(turn, id, &reply);
                    return Progress::Stop;
                }
                conn.set_address(Via { sender: client, sender_by: derivation, client, derivation, ..before });
            }
        }
        self.secure(turn, id);
        // The request may have come with it, which nothing else would announce.
        Progress::More(len)
    }
}
