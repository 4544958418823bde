//! Links with other servers: dialled as `discovery` wishes, accepted as it admits, and then connections like any other.
//! Layer 3.
//!
//! Whoever dials is the client of the WebSocket and masks what it sends (RFC 6455 §5.3), which takes a copy; what it
//! receives is relayed where it lies, as from any client. The masking keys come from the system's generator: that no
//! intermediary between two servers is attacked by their users is nothing that we could know.

mod masks;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use mio::Interest;

use super::access::Entrance;
use super::batch::{Actions, Place};
use super::conn::{ConnId, Connection, End, Phase};
use super::exchange::{Exchange, second};
use super::relay::Progress;
use crate::config::Config;
use crate::discovery::announcement::{Announcement, Sighting, is_name};
use crate::discovery::{Bounds, Dial, Discovery, Failure, Refusal, Whom, Wish};
use crate::frame::assemble::Window;
use crate::http::opening::{Opening, Reply};
use crate::http::request::Request;
use crate::http::response::{Framing, Response};
use crate::http::upgrade::Handshake;
use crate::hub::Hub;
use crate::hub::shared::{ChannelKey, InstanceId, News, Sharing};
use crate::net::interfaces::is_neighbour;
use crate::net::mdns::{Mdns, MdnsEvent};
use crate::net::reactor::{Turn, token};
use crate::net::scratch::SCRATCH_BYTES;
use crate::net::socket::{Received, Socket};
use crate::net::stream::Stream;
use crate::net::tcp::TcpStream;
use crate::net::timer::Alarm;
use crate::protocol::Session;
use crate::protocol::link::proof::Nonce;
use crate::protocol::link::{Cargo, Far, INSTANCE, Link, OPEN, ORIGINAL, PROVED};
use crate::protocol::network;
use masks::Masks;
use tungstenite::protocol::frame::coding::CloseCode;

/// The wheel's owner that stands for what discovery wants to do later.
pub(super) const LINKS_OWNER: u32 = u32::MAX - 1;

/// Lookups with this bit are ours; a bridge's count from 1.
pub(super) const LINK_TICKET: u64 = 1 << 63;

/// Until a responder that had too many orders is given the rest.
const ORDER_PAUSE: Duration = Duration::from_millis(100);

/// All that there is between this server and others.
pub(super) struct Links {
    pub(super) is_on: bool,
    pub(super) discovery: Discovery,
    pub(super) masks: Masks,
    attempts: HashMap<ConnId, Attempt>,
    lookups: HashMap<u64, Dial>,
    tickets: u64,
    alarm: Alarm,
    /// When the alarm is set for.
    alarm_at: Option<Instant>,
    /// Addresses of listed servers, as far as they are known.
    listed: HashSet<IpAddr>,
    /// Open links that we dialled.
    pub(super) masking: usize,
    mdns: Option<Mdns>,
}

/// A server that is being dialled.
struct Attempt {
    dial: Dial,
    candidates: VecDeque<SocketAddr>,
    /// The request, once it is sent.
    opening: Option<Opening>,
}

/// Why a request for a link is refused.
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) reason: String,
    /// This server's name, for one that has a right to know that it is known already.
    pub(super) instance: Option<String>,
}

impl Refused {
    /// Appends the refusal.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let response = Response::begin(out, self.status, Framing::CLOSE);
        let response = match &self.instance {
            Some(instance) => response.header(INSTANCE, instance),
            None => response,
        };
        response.body("text/plain; charset=utf-8", format!("{}\n", self.reason).as_bytes());
    }
}

impl Links {
    /// With channels announced at `port`, if they can be: what is wrong is logged, and links by hand work all the same.
    pub(super) fn new(
        config: &Config,
        id: InstanceId,
        addresses: &[SocketAddr],
        waker: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let limits = &config.limits;
        let bounds =
            Bounds { links: limits.max_links, links_per_peer: limits.max_links_per_peer, proxies: limits.max_proxies };
        let is_on = config.lan_is_on();
        let host = format!("jackfield-{}", &id.to_string()[..8]);
        let is_quiet = config.lan.interfaces == ["none"];
        let mdns = if is_on && !is_quiet {
            Mdns::start(&config.lan, limits.announcement_rate, &host, addresses, waker)
        } else {
            Ok(None)
        };
        let mdns = mdns.unwrap_or_else(|error| {
            warn!("channels are not announced: {error}");
            None
        });
        let listed = config.lan.peers.iter().filter_map(|(host, _)| host.parse().ok()).collect();
        Self {
            is_on,
            discovery: Discovery::new(id, config.lan.peers.len(), bounds),
            masks: Masks::default(),
            attempts: HashMap::new(),
            lookups: HashMap::new(),
            tickets: LINK_TICKET,
            alarm: Alarm::default(),
            alarm_at: None,
            listed,
            masking: 0,
            mdns,
        }
    }

    /// How many servers are being dialled.
    pub(super) fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// How many announcements were dropped because they were too many.
    pub(super) fn dropped(&self) -> u64 {
        self.mdns.as_ref().map_or(0, Mdns::dropped)
    }

    /// Answers a request for a link. `None` if it is none, but a client's.
    pub(super) fn answer(
        &self,
        request: &Request<'_>,
        handshake: &Handshake<'_>,
        from: IpAddr,
        hub: &Hub,
        config: &Config,
        out: &mut Vec<u8>,
    ) -> Option<Result<Link, Refused>> {
        let offers = |name: &str| handshake.protocols().any(|offered| offered == name);
        let is_ours = offers(OPEN) || offers(PROVED);
        let is_original =
            self.is_on && !is_ours && request.header(ORIGINAL).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if !is_ours && !is_original {
            return None;
        }
        let from = from.to_canonical();
        let refuse = |status, reason: &str| Some(Err(Refused { status, reason: reason.to_owned(), instance: None }));
        let Some(sharing) = hub.channels.sharing.as_deref().filter(|_| self.is_on) else {
            return refuse(403, "Links with other servers are off here (--lan).");
        };
        let is_known = self.listed.contains(&from) || self.discovery.is_announced(from);
        let is_proved = sharing.secret().is_some();
        // Whoever comes through a proxy on this machine, or on this network, is not therefore here.
        if !is_proved && request.is_forwarded() {
            return refuse(403, "Links that come through a proxy need a secret (--lan-secret-file).");
        }
        if is_original {
            // It names its host as Origin, which the guard would refuse; a page cannot send the field that brought us here.
            let name = request.path.strip_prefix("/broadcast/").filter(|name| is_name(name, config.limits.max_name));
            if !is_known || is_proved || name.is_none() {
                return None;
            }
            let key = sharing.key(request.path);
            return Some(self.admit(key, None, from, sharing).map(|()| {
                handshake.accept(out, None);
                Link::new(key, Cargo::Broadcast, Far::OriginalDialling, Nonce::default())
            }));
        }
        if request.origin().is_some() {
            return refuse(403, "Pages have no links with servers.");
        }
        let wanted = if is_proved { PROVED } else { OPEN };
        if !offers(wanted) {
            return refuse(403, "Both ends of a link have the same secret, or none (--lan-secret-file).");
        }
        let cargo = Cargo::of(request.path);
        let name = request.path.strip_prefix(cargo.prefix());
        let key = match (name, sharing.secret()) {
            (Some(name), None) if is_name(name, config.limits.max_name) => sharing.key(request.path),
            (Some(name), Some(_)) => match ChannelKey::parse(name) {
                Some(key) => key,
                None => return refuse(404, "This is not how a channel is called on a link."),
            },
            _ => return refuse(404, "This is not how a channel is called on a link."),
        };
        let Some(id) = request.header(INSTANCE).and_then(InstanceId::parse) else {
            return refuse(400, "A link needs a Jackfield-Instance of 32 hexadecimal digits.");
        };
        if !is_proved && !is_known && !is_neighbour(from) {
            return refuse(403, "Links come from this network, or from servers that --lan-peer lists.");
        }
        Some(self.admit(key, Some(id), from, sharing).and_then(|()| {
            let nonce = nonce().map_err(|error| Refused { status: 503, reason: error, instance: None })?;
            handshake.accept_with(out, Some(wanted), Some((INSTANCE, &sharing.id().to_string())));
            Ok(Link::new(key, cargo, Far::Dialling(id), nonce))
        }))
    }

    fn admit(&self, key: ChannelKey, id: Option<InstanceId>, from: IpAddr, sharing: &Sharing) -> Result<(), Refused> {
        self.discovery.admit(key, id, from).map_err(|refusal| match refusal {
            Refusal::Ourselves | Refusal::Linked => Refused {
                status: 409,
                reason: "There is a link between the two already, or one on its way.".to_owned(),
                instance: Some(sharing.id().to_string()),
            },
            Refusal::TooMany(option) => {
                Refused { status: 503, reason: format!("Too many links ({option})."), instance: None }
            }
        })
    }

    /// Ends what there is on the network but for links, which end like all connections.
    pub(super) fn retire(&mut self) {
        self.is_on = false;
        self.discovery.retire();
        if let Some(mdns) = &mut self.mdns {
            mdns.withdraw_all();
        }
    }
}

/// Random bytes for a proof.
fn nonce() -> Result<Nonce, String> {
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).map_err(|error| format!("the system's generator of random numbers fails: {error}"))?;
    Ok(nonce)
}

impl Exchange {
    /// Carries out what news of channels and of other servers lead to. `false` if there was nothing to do.
    pub(super) fn tend_links(&mut self, turn: &mut Turn) -> bool {
        if !self.links.is_on {
            return false;
        }
        let mut is_done = true;
        while let Some(news) = self.hub.channels.sharing.as_mut().and_then(|sharing| sharing.next_news()) {
            is_done = false;
            let discovery = &mut self.links.discovery;
            match news {
                News::Up(key, path) => discovery.on_up(key, path, turn.now),
                News::Down(key) => discovery.on_down(key),
                News::Deserted(session, is_deserted) => discovery.on_deserted(session, is_deserted),
                News::Linked(session) => {
                    discovery.on_linked(session);
                    if let Some(conn) = self.outlets.get(session) {
                        info!("{}: linked", self.conns[conn as usize].client());
                    }
                }
            }
        }
        while let Some(wish) = self.links.discovery.next_wish(turn.now) {
            is_done = false;
            self.fulfil(turn, wish);
        }
        let is_late = self.links.mdns.as_ref().is_some_and(Mdns::is_late);
        let retry = is_late.then(|| turn.now + ORDER_PAUSE);
        let due = self.links.discovery.next_due().into_iter().chain(retry).min();
        let is_later = self.links.alarm_at.is_some_and(|at| due.is_none_or(|due| at <= due) && at > turn.now);
        if let Some(due) = due.filter(|_| !is_later) {
            self.links.alarm_at = Some(due);
            turn.wheel.set(&mut self.links.alarm, LINKS_OWNER, due.saturating_duration_since(turn.now).into());
        }
        !is_done
    }

    /// Something that was to be done later may be due.
    pub(super) fn on_links_alarm(&mut self, turn: &mut Turn, fired: crate::net::timer::Fired) {
        if turn.wheel.has_passed(&mut self.links.alarm, fired) {
            self.links.alarm_at = None;
            if let Some(mdns) = &mut self.links.mdns {
                mdns.flush();
            }
            self.tend_links(turn);
        }
    }

    /// The helper threads have something: announcements of others.
    pub(super) fn on_announcements(&mut self, turn: &mut Turn) {
        let max_name = self.config.limits.max_name;
        while let Some(event) = self.links.mdns.as_mut().and_then(Mdns::next_event) {
            let Some(sharing) = self.hub.channels.sharing.as_deref() else { return };
            match event {
                MdnsEvent::Lost(name) => self.links.discovery.on_lost(&name),
                MdnsEvent::Found { name, addresses, txt } => {
                    let entry = |key: &str| txt.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_slice());
                    let Some(sighting) = Sighting::read(entry, sharing, max_name) else { continue };
                    self.links.discovery.on_found(&name, sighting, addresses, turn.now);
                }
            }
        }
    }

    fn fulfil(&mut self, turn: &mut Turn, wish: Wish) {
        match wish {
            Wish::Announce(path) => {
                if let (Some(mdns), Some(sharing)) = (&mut self.links.mdns, &self.hub.channels.sharing) {
                    let Announcement { instance, txt } = Announcement::of(&path, sharing);
                    mdns.announce(&path, instance, txt);
                }
            }
            Wish::Withdraw(path) => {
                if let Some(mdns) = &mut self.links.mdns {
                    mdns.withdraw(&path);
                }
            }
            Wish::Close(session) => {
                if let Some(id) = self.outlets.get(session) {
                    self.close(turn, id, CloseCode::Away, "nobody is on this channel".to_owned());
                }
            }
            Wish::Abandon(key, whom) => {
                self.links.lookups.retain(|_, dial| (dial.key, &dial.whom) != (key, &whom));
                let is_it = |attempt: &Attempt| (attempt.dial.key, &attempt.dial.whom) == (key, &whom);
                let ids: Vec<ConnId> =
                    self.links.attempts.iter().filter(|(_, attempt)| is_it(attempt)).map(|(id, _)| *id).collect();
                for id in ids {
                    self.links.attempts.remove(&id);
                    self.remove(turn, id);
                }
            }
            Wish::Dial(dial) => self.dial_link(turn, dial),
        }
    }

    /// Finds out where the other server is.
    fn dial_link(&mut self, turn: &mut Turn, dial: Dial) {
        let Whom::Listed(place) = dial.whom else {
            let candidates = dial.addresses.iter().copied().collect();
            return self.try_link(turn, dial, candidates);
        };
        let Some((host, port)) = self.config.lan.peers.get(place) else { return };
        if let Ok(address) = host.parse() {
            let candidates = VecDeque::from([SocketAddr::new(address, *port)]);
            return self.try_link(turn, dial, candidates);
        }
        self.links.tickets += 1;
        if self.resolver.lookup(None, self.links.tickets, host, *port).is_ok() {
            self.links.lookups.insert(self.links.tickets, dial);
        } else {
            self.links.discovery.on_failed(dial.key, &dial.whom, Failure::Unreachable, turn.now);
        }
    }

    /// A listed server's name has been looked up.
    pub(super) fn on_link_addresses(&mut self, turn: &mut Turn, ticket: u64, addresses: &[IpAddr]) {
        let Some(dial) = self.links.lookups.remove(&ticket) else { return };
        let Whom::Listed(place) = dial.whom else { return };
        let port = self.config.lan.peers.get(place).map_or(0, |(_, port)| *port);
        self.links.listed.extend(addresses.iter().map(IpAddr::to_canonical));
        self.try_link(turn, dial, addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
    }

    /// Connects to the first of the candidates that can be tried.
    fn try_link(&mut self, turn: &mut Turn, dial: Dial, mut candidates: VecDeque<SocketAddr>) {
        while let Some(address) = candidates.pop_front() {
            if self.conns.len() >= self.max_connections {
                break;
            }
            let stream = match TcpStream::connect(address) {
                Ok(stream) => stream,
                Err(error) => {
                    debug!("{address}: not reached: {error}");
                    continue;
                }
            };
            let entry = self.conns.vacant_entry();
            let id = u32::try_from(entry.key()).expect("descriptors are fewer");
            let conn =
                entry.insert(Connection::new(Socket::new(Stream::plain(stream)), address, 0, &self.config.limits));
            (conn.phase, conn.end) = (Phase::Linking, End::Server);
            conn.since = second(turn.now, self.started);
            let interests = Interest::READABLE | Interest::WRITABLE;
            if turn.registry.register(conn.socket.stream(), token(id), interests).is_err() {
                self.conns.remove(id as usize);
                continue;
            }
            turn.wheel.set(&mut conn.alarm, id, self.config.limits.handshake_timeout.into());
            self.links.attempts.insert(id, Attempt { dial, candidates, opening: None });
            self.set_marks();
            return;
        }
        self.links.discovery.on_failed(dial.key, &dial.whom, Failure::Unreachable, turn.now);
    }

    /// This attempt came to nothing: the next address is tried, unless the server itself said no.
    pub(super) fn fail_link(&mut self, turn: &mut Turn, id: ConnId, why: Failure, what: &str) {
        debug!("{}: no link: {what}", self.conns[id as usize].client());
        self.remove(turn, id);
        let Some(Attempt { dial, candidates, .. }) = self.links.attempts.remove(&id) else { return };
        match why {
            Failure::Unreachable => self.try_link(turn, dial, candidates),
            why => self.links.discovery.on_failed(dial.key, &dial.whom, why, turn.now),
        }
    }

    /// An attempt is ready for something. `false` while it is not connected.
    pub(super) fn on_link_ready(&mut self, turn: &mut Turn, id: ConnId) -> bool {
        let Some(attempt) = self.links.attempts.get_mut(&id) else { return false };
        if attempt.opening.is_some() {
            return true;
        }
        match self.conns[id as usize].socket.stream().connected(self.config.limits.max_queue) {
            Ok(false) => false,
            Err(error) => {
                self.fail_link(turn, id, Failure::Unreachable, &error.to_string());
                false
            }
            Ok(true) => {
                self.ask_for_link(turn, id);
                self.conns[id as usize].phase == Phase::Linking
            }
        }
    }

    /// Sends the opening handshake.
    fn ask_for_link(&mut self, turn: &mut Turn, id: ConnId) {
        let (Some(attempt), Some(sharing)) = (self.links.attempts.get_mut(&id), self.hub.channels.sharing.as_deref())
        else {
            return;
        };
        let dial = &attempt.dial;
        let mut random = [0; 16];
        if let Err(error) = getrandom::fill(&mut random) {
            return self.fail_link(turn, id, Failure::Unreachable, &error.to_string());
        }
        let path = match sharing.secret() {
            Some(_) => format!("{}{}", Cargo::of(&dial.path).prefix(), dial.key),
            None => dial.path.to_string(),
        };
        let peer = self.conns[id as usize].client();
        // A zone means something on this machine only (RFC 6874 §1).
        let host = SocketAddr::new(peer.ip(), peer.port()).to_string();
        let instance = sharing.id().to_string();
        let offer = if sharing.secret().is_some() { PROVED } else { OPEN };
        // No Origin, which the original sends: that is for pages, and its servers ask for none.
        let fields = [(ORIGINAL, "true"), (INSTANCE, &*instance), ("Sec-WebSocket-Protocol", offer)];
        let mut request = Vec::with_capacity(512);
        attempt.opening = Some(Opening::write(&mut request, &host, &path, random, &fields));
        let keep = |written: usize, queue: &mut crate::net::queue::WriteQueue| {
            queue.push_copy(&[std::io::IoSlice::new(&request)], written, &self.memory)
        };
        if let Err(error) = self.conns[id as usize].socket.send(&[std::io::IoSlice::new(&request)], keep) {
            self.fail_link(turn, id, Failure::Unreachable, &error.to_string());
        }
    }

    /// A server that was asked for a link says something.
    pub(super) fn on_link_readable(&mut self, turn: &mut Turn, id: ConnId) -> Progress {
        if self.links.attempts.get(&id).is_none_or(|attempt| attempt.opening.is_none()) {
            return Progress::Stop;
        }
        let conn = &mut self.conns[id as usize];
        let kept = conn.carry.restore(&mut self.scratch);
        let asked = SCRATCH_BYTES - kept;
        let received = match conn.socket.recv(&mut self.scratch[kept..SCRATCH_BYTES]) {
            Received::Bytes(bytes) => bytes,
            Received::Nothing | Received::Later => {
                conn.carry.keep(&self.scratch[..kept], &self.memory);
                return Progress::Stop;
            }
            Received::End => {
                self.fail_link(turn, id, Failure::Unreachable, "it hung up");
                return Progress::Stop;
            }
            Received::Failed(error) => {
                self.fail_link(turn, id, Failure::Unreachable, &error.to_string());
                return Progress::Stop;
            }
        };
        self.metrics.on_read(received);
        self.on_link_reply(turn, id, Window::new(kept + received));
        self.progress(id, received, asked)
    }

    fn on_link_reply(&mut self, turn: &mut Turn, id: ConnId, mut window: Window) {
        let (Some(attempt), Some(sharing)) = (self.links.attempts.get(&id), self.hub.channels.sharing.as_deref())
        else {
            return;
        };
        let Some(opening) = &attempt.opening else { return };
        let bytes = &self.scratch[..window.end];
        let wanted = if sharing.secret().is_some() { PROVED } else { OPEN };
        let reply = match opening.read(bytes, &[wanted], self.config.limits.max_head) {
            Ok(Some(reply)) => reply,
            Ok(None) => return self.conns[id as usize].carry.keep(bytes, &self.memory),
            Err(error) => return self.fail_link(turn, id, Failure::Unreachable, &error.to_string()),
        };
        let far = match judge(&reply, wanted, sharing) {
            Ok(far) => far,
            Err((why, what)) => return self.fail_link(turn, id, why, &what),
        };
        if let Far::Dialled(instance) = far
            && sharing.link(attempt.dial.key, instance).is_some()
        {
            return self.fail_link(turn, id, Failure::Linked(instance), "there is a link already");
        }
        let nonce = match nonce() {
            Ok(nonce) => nonce,
            Err(error) => return self.fail_link(turn, id, Failure::Unreachable, &error),
        };
        window.start += reply.head_len;
        let Some(Attempt { dial, .. }) = self.links.attempts.remove(&id) else { return };
        let cargo = Cargo::of(&dial.path);
        if far == Far::OriginalDialled && cargo == Cargo::Network {
            self.links.discovery.on_failed(dial.key, &dial.whom, Failure::Unreachable, turn.now);
            return self.remove(turn, id);
        }
        let conn = &mut self.conns[id as usize];
        let address = conn.client().ip();
        info!("{}: dialled for {}", conn.client(), dial.path);
        self.links.masking += 1;
        let session =
            self.open(turn, id, Session::Link(Box::new(Link::new(dial.key, cargo, far, nonce))), Entrance::Free);
        self.links.discovery.on_dialled(session, (dial.key, dial.whom), far.instance(), address, turn.now);
        if self.conns[id as usize].phase == Phase::Open(session) {
            self.on_frames(turn, id, session, window);
        }
    }

    /// A link that another server dialled is open.
    pub(super) fn on_link_accepted(&mut self, turn: &mut Turn, id: ConnId, link: Link) -> crate::hub::SessionId {
        let (key, instance) = (link.key(), link.far().instance());
        let conn = &mut self.conns[id as usize];
        conn.end = End::Peer;
        let from = conn.client().ip();
        let session = self.open(turn, id, Session::Link(Box::new(link)), Entrance::Free);
        self.links.discovery.on_accepted(session, key, instance, from, turn.now);
        session
    }

    /// A link is over.
    pub(super) fn on_link_closed(&mut self, turn: &Turn, id: ConnId, session: crate::hub::SessionId) {
        let conn = &self.conns[id as usize];
        if conn.end.is_masking() {
            self.links.masking -= 1;
        }
        self.links.discovery.on_closed(session, turn.now);
    }

    /// Members are told of some peers that are lost.
    pub(super) fn tell_lost(&mut self) {
        let Self { hub, batch, deeds, scratch, .. } = self;
        network::tell_lost(hub, &mut Actions { batch, deeds, scratch: Place::of(scratch) });
        self.write_batch(None);
    }

    /// `frame` as this connection's end sends it.
    pub(super) fn as_sent_on(&mut self, id: ConnId, frame: Vec<u8>) -> Vec<u8> {
        if self.conns[id as usize].end.is_masking() { self.links.masks.mask(&frame) } else { frame }
    }
}

/// Who answered a request for a link.
fn judge(reply: &Reply<'_>, wanted: &str, sharing: &Sharing) -> Result<Far, (Failure, String)> {
    let instance = reply.field(INSTANCE).and_then(InstanceId::parse);
    match (reply.status, reply.protocol, instance) {
        (101 | 409, _, Some(id)) if id == sharing.id() => Err((Failure::Ourselves, "it is this server".to_owned())),
        (409, _, Some(id)) => Err((Failure::Linked(id), "there is a link already".to_owned())),
        (101, Some(protocol), Some(id)) if protocol == wanted => Ok(Far::Dialled(id)),
        (101, None, None) if sharing.secret().is_none() => Ok(Far::OriginalDialled),
        (101, ..) => Err((Failure::Unreachable, "it is no server of ours, or does not want a secret".to_owned())),
        (status, ..) => Err((Failure::Unreachable, format!("it answers {status}"))),
    }
}
