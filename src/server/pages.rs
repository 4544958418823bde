//! Requests: the pages we serve, and the opening handshake. Layer 3.
//!
//! Every request passes the same gates in the same order: its head is well-formed, its Host is a name of ours, its
//! Origin may connect. Only then does its path mean anything.

mod api;
mod clients;
mod engine;

use std::fmt::Write as _;
use std::io::IoSlice;
use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use log::{debug, info};
use sha1::{Digest, Sha1};

use self::engine::is_engine;
use super::access::{Access, Entrance, Unauthorized, is_token_subprotocol};
use super::client::{Attribution, Derivation};
use super::conn::{ConnId, Connection, Ending, Phase};
use super::exchange::Exchange;
use super::links::Links;
use super::polling::{Action, AnswerTo, Ask, decline};
use crate::assets::{self, ASSETS, Asset, CONTENT_SECURITY_POLICY};
use crate::config::{Config, Root};
use crate::frame::assemble::Window;
use crate::http::end_of_head;
use crate::http::guard::{BadEntry, Guard};
use crate::http::request::{Method, Request, parse};
use crate::http::response::{
    Framing, Response, etag_matches, method_not_allowed, not_modified, redirect, refuse, unauthorized,
};
use crate::http::upgrade;
use crate::hub::Hub;
use crate::net::reactor::Turn;
use crate::protocol::Session;
use crate::protocol::link::Link;
use crate::protocol::route::{admit, route};

/// How long a browser may use our files without asking whether they are still right, in words of RFC 9111 §5.2.2.
const CACHING: &str = "no-cache";

/// Requests of one connection that are answered in one turn of the loop: a read full of short ones holds thousands.
const TURN_REQUESTS: usize = 16;

/// As how many of them one counts that may show a token, whose signature takes as long as that to check.
const SIGNED_REQUESTS: usize = 8;

/// Paths that people try, and where the page is that they mean: relative, so that whatever a proxy puts before our paths
/// stays, and nothing that was asked for is part of it.
const MISTAKEN: [(&str, &str); 2] = [("/console/", "../console"), ("/client", "client/")];

/// What a client is told that wants a session when there is no room for it.
pub(super) const MEMORY_IS_SHORT: &str = "Memory is short (--max-memory): try again later.";

/// What all requests are answered with.
pub(super) struct Pages {
    guard: Guard,
    /// The tag of each asset, in their order: a hash of its content.
    tags: Vec<String>,
    /// The page of clients, and its tag.
    clients: (String, String),
}

/// Where a request came from.
#[derive(Clone, Copy)]
struct Origin<'s> {
    root: Root,
    is_loopback_listener: bool,
    is_loopback_peer: bool,
    /// Memory is short: nobody new is let in.
    is_full: bool,
    /// Whether the listener is the administrators'; `None` where they have none of their own.
    is_admin: Option<bool>,
    /// What judges tokens, and by which clock. A signature is dear: it is looked at only where it decides something.
    access: &'s Access,
    wall: SystemTime,
    peer: IpAddr,
    /// What judges requests for links.
    links: &'s Links,
}

/// What becomes of a request. Its head has been appended to the reply.
enum Answer {
    /// A complete response.
    Response(Framing),
    /// A refusal, with its status and its reason.
    Refusal(Framing, u16, String),
    /// A response whose body follows.
    Asset(Framing, &'static Asset),
    /// What an administrator asks for.
    Call(Framing, api::Call),
    /// A request to Engine.IO, which needs a session.
    Ask(Ask),
    /// 101; frames follow.
    Session(Session, Entrance),
    /// 101; frames of a link follow.
    Link(Link),
}

impl Pages {
    pub(super) fn new(config: &Config) -> Result<Self, BadEntry> {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let tag = |body: &[u8]| format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha1::digest(body)));
        let clients = clients::page();
        let clients_tag = tag(clients.as_bytes());
        let guard = Guard::new(&config.allow_origin, &config.allow_host, &[name])?;
        let tags = ASSETS.iter().map(|asset| tag(asset.body)).collect();
        Ok(Self { guard, tags, clients: (clients, clients_tag) })
    }

    fn answer(
        &self,
        request: &Request<'_>,
        from: Origin<'_>,
        config: &Config,
        hub: &mut Hub,
        out: &mut Vec<u8>,
    ) -> Answer {
        let wants_upgrade = request.wants_upgrade();
        // What follows a refused upgrade may be frames, and is never another request.
        let framing = Framing::of(request);
        let framing = Framing { keep_alive: framing.keep_alive && !wants_upgrade, ..framing };
        // HTTP/1.0 without a Host is no browser's.
        if !(request.version_minor == 0 && request.host().is_empty())
            && let Err(refusal) = self.guard.check_host(request.host())
        {
            return refusal_of(refusal.status(), refusal.message(), framing, out);
        }
        if wants_upgrade {
            return self.upgrade(request, from, config, hub, framing, out);
        }
        if is_engine(request.path) {
            return match admit(request.path, from.root, config) {
                Ok(()) => self.ask(request, from, config, out),
                Err(refusal) => refusal_of(refusal.status(), &refusal.to_string(), framing, out),
            };
        }
        let is_read = matches!(request.method, Method::Get | Method::Head);
        if let Some(call) = api::read(request)
            && api::is_operator(request, from)
        {
            return match call {
                Ok(call) => Answer::Call(framing, call),
                Err(fault) => {
                    api::refuse_call(fault, framing, out);
                    Answer::Response(framing)
                }
            };
        }
        if request.path == api::ROLE && is_read {
            let (is_admin, is_here) = (api::is_operator(request, from), api::is_here(request, from));
            return Answer::Call(framing, api::Call::Role { is_admin, is_here });
        }
        if request.path == "/client/" {
            if is_read {
                return self.client_page(request, framing, out);
            }
        } else if let Some((_, to)) = MISTAKEN.iter().find(|(path, _)| *path == request.path) {
            if is_read {
                redirect(out, to, framing);
                return Answer::Response(framing);
            }
        } else if let Some(asset) = assets::find(request.path) {
            if is_read {
                return self.asset(request, asset, framing, out);
            }
        } else {
            let hint = "This address speaks WebSocket: open it with a WebSocket client.";
            return match route(request, from.root, config) {
                Ok(_) => refusal_of(426, hint, framing, out),
                Err(refusal) => refusal_of(refusal.status(), &refusal.to_string(), framing, out),
            };
        }
        method_not_allowed(out, "GET, HEAD", framing);
        Answer::Response(framing)
    }

    fn asset(&self, request: &Request<'_>, asset: &'static Asset, framing: Framing, out: &mut Vec<u8>) -> Answer {
        let place = ASSETS.iter().position(|other| std::ptr::eq(other, asset)).expect("assets come from the table");
        let tag = &self.tags[place];
        let Some(mut response) = begin_page(request, tag, framing, out) else { return Answer::Response(framing) };
        if asset.cross_origin {
            response = response
                .header("Access-Control-Allow-Origin", "*")
                .header("Cross-Origin-Resource-Policy", "cross-origin");
        }
        response.head(asset.content_type, asset.body.len());
        Answer::Asset(framing, asset)
    }

    fn client_page(&self, request: &Request<'_>, framing: Framing, out: &mut Vec<u8>) -> Answer {
        let (page, tag) = &self.clients;
        if let Some(response) = begin_page(request, tag, framing, out) {
            response.body("text/html; charset=utf-8", page.as_bytes());
        }
        Answer::Response(framing)
    }

    fn upgrade(
        &self,
        request: &Request<'_>,
        from: Origin<'_>,
        config: &Config,
        hub: &mut Hub,
        framing: Framing,
        out: &mut Vec<u8>,
    ) -> Answer {
        let refused = match upgrade::check(request) {
            Ok(_) if from.is_full => (503, MEMORY_IS_SHORT.to_owned()),
            Err(error) => (error.status(), error.message().to_owned()),
            Ok(handshake) => {
                if let Err(refusal) = admit(request.path, from.root, config) {
                    return refusal_of(refusal.status(), &refusal.to_string(), framing, out);
                }
                // A link's way in is its own: it names no origin, or one that is none.
                match from.links.answer(request, &handshake, from.peer, hub, config, out) {
                    None => {}
                    Some(Ok(link)) => return Answer::Link(link),
                    Some(Err(refused)) => {
                        refused.write(out);
                        return Answer::Refusal(Framing::CLOSE, refused.status, refused.reason);
                    }
                }
                let session = if is_engine(request.path) {
                    match self.engine(request, from, config, hub) {
                        Ok(session) => Ok(session),
                        Err(refused) => {
                            let answer_to = AnswerTo { framing, origin: None, jsonp: None };
                            return engine::refusal(refused, &answer_to, out);
                        }
                    }
                } else {
                    let origin = self.guard.check_origin(request.origin(), request.host(), from.is_loopback_listener);
                    origin.map_err(|refusal| (refusal.status(), refusal.message().to_owned())).and_then(|()| {
                        route(request, from.root, config).map_err(|refusal| (refusal.status(), refusal.to_string()))
                    })
                };
                match session {
                    Err(refusal) => refusal,
                    Ok(session) => {
                        let offered = handshake.protocols().filter(|name| !is_token_subprotocol(name));
                        handshake.accept(out, session.subprotocol(offered));
                        return Answer::Session(session, Entrance::Free);
                    }
                }
            }
        };
        refusal_of(refused.0, &refused.1, framing, out)
    }
}

impl Answer {
    /// Whether it begins a session, which somebody may have to vouch for. One that joins another's does not: whose that
    /// is was decided when it began, and its name is a secret.
    fn begins_session(&self) -> bool {
        match self {
            Self::Session(session, _) => !matches!(session, Session::Probe(_)),
            Self::Ask(ask) => matches!(ask.action, Action::Open { .. }),
            _ => false,
        }
    }

    fn set_entrance(&mut self, how: Entrance) {
        match self {
            Self::Session(_, entrance) => *entrance = how,
            Self::Ask(Ask { action: Action::Open { entrance, .. }, .. }) => *entrance = how,
            _ => {}
        }
    }

    /// A refusal instead, as the request's token is worth nothing (RFC 6750 §3). What follows may be frames, or a body.
    fn unauthorized(self, refusal: &Unauthorized, request: &Request<'_>, out: &mut Vec<u8>) -> Self {
        out.clear();
        let framing = Framing { keep_alive: false, ..Framing::of(request) };
        match self {
            Self::Ask(Ask { mut answer_to, .. }) => {
                answer_to.framing = framing;
                decline(out, &answer_to, 401, refusal.0);
            }
            _ => unauthorized(out, refusal.0, framing),
        }
        Self::Refusal(framing, 401, refusal.0.to_owned())
    }
}

/// Begins the response with a page of ours, unless the client has it already, which is then what it is told.
fn begin_page<'o>(request: &Request<'_>, tag: &str, framing: Framing, out: &'o mut Vec<u8>) -> Option<Response<'o>> {
    if request.header("If-None-Match").is_some_and(|tags| etag_matches(tags, tag)) {
        not_modified(out, tag, framing);
        return None;
    }
    let response = Response::begin(out, 200, framing)
        .header("ETag", tag)
        .header("Cache-Control", CACHING)
        .header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .header("Referrer-Policy", "no-referrer");
    Some(response)
}

/// Refuses a request, readably.
fn refusal_of(status: u16, reason: &str, framing: Framing, out: &mut Vec<u8>) -> Answer {
    refuse(out, status, reason, framing);
    Answer::Refusal(framing, status, reason.to_owned())
}

impl Exchange {
    /// `scratch[window]` holds requests, the first `scanned` bytes of which are no whole head, as was seen before.
    pub(super) fn on_requests(&mut self, turn: &mut Turn, id: ConnId, mut window: Window, scanned: usize) {
        let received = &self.scratch[..window.end];
        // A head that dribbles in is looked at once, however many pieces it comes in.
        if scanned > 0 && matches!(end_of_head(received, scanned, self.config.limits.max_head), Ok(None)) {
            self.conns[id as usize].carry.keep(received, &self.memory);
            return;
        }
        let mut share = TURN_REQUESTS;
        loop {
            let is_full = self.is_closed();
            let conn = &mut self.conns[id as usize];
            if share == 0 {
                conn.has_unread = true;
                conn.carry.keep(&self.scratch[window.start..window.end], &self.memory);
                return;
            }
            let (listener, listen) = &self.listeners[usize::from(conn.listener)];
            let from = |conn: &Connection| Origin {
                root: listen.root,
                is_loopback_listener: listener.address().ip().to_canonical().is_loopback()
                    && conn.derivation() == Derivation::Peer,
                is_loopback_peer: conn.is_from_here(),
                is_full,
                is_admin: (self.first_admin < self.listeners.len())
                    .then_some(usize::from(conn.listener) >= self.first_admin),
                access: &self.access,
                wall: turn.wall,
                peer: conn.client().ip(),
                links: &self.links,
            };
            let limits = &self.config.limits;
            let bytes = &self.scratch[window.start..window.end];
            let mut reply = std::mem::take(&mut self.reply);
            reply.clear();
            let answer = match parse(bytes, limits.max_head, limits.max_headers) {
                Ok(None) => {
                    conn.carry.keep(bytes, &self.memory);
                    self.reply = reply;
                    return;
                }
                Err(error) => {
                    info!("{}: bad request: {}", conn.client(), error.message());
                    self.refusals.count(error.message());
                    refuse(&mut reply, error.status(), error.message(), Framing::CLOSE);
                    Answer::Response(Framing::CLOSE)
                }
                Ok(Some(request)) => {
                    window.start += request.head_len;
                    let price = if request.header("Authorization").is_some() { SIGNED_REQUESTS } else { 1 };
                    share = share.saturating_sub(price);
                    let limit = limits.max_per_address;
                    let attribution = Attribution { trusted: &self.trusted, census: &mut self.census, limit };
                    let mut answer = match attribution.attribute(conn, &request) {
                        Ok(()) => self.pages.answer(&request, from(conn), &self.config, &mut self.hub, &mut reply),
                        Err((status, reason)) => refusal_of(status, reason, Framing::CLOSE, &mut reply),
                    };
                    // Only of what would be answered anyway, so that a token opens nothing but what it permits.
                    if answer.begins_session() {
                        match self.access.entrance(&request, &self.config, turn.wall) {
                            Ok(entrance) => answer.set_entrance(entrance),
                            Err(refusal) => {
                                self.metrics.tokens_refused += 1;
                                answer = answer.unauthorized(&refusal, &request, &mut reply);
                            }
                        }
                    }
                    match &answer {
                        Answer::Session(..) | Answer::Link(_) => info!("{}: opened {}", conn.client(), request.path),
                        Answer::Refusal(_, status, reason) => {
                            self.refusals.count(reason);
                            info!("{}: {status} for {}: {reason}", conn.client(), request.path);
                        }
                        _ => debug!("{}: {} {}", conn.client(), request.method.as_str(), request.path),
                    }
                    answer
                }
            };
            let framing = match answer {
                Answer::Ask(ask) => {
                    self.reply = reply;
                    return self.on_ask(turn, id, ask, window);
                }
                Answer::Session(session, entrance) => {
                    self.send_reply(turn, id, &reply, &[]);
                    self.reply = reply;
                    if self.conns[id as usize].phase == Phase::Http {
                        self.open(turn, id, session, entrance);
                        // What it asked for comes before what its client may have sent already.
                        self.settle(turn);
                        let conn = &mut self.conns[id as usize];
                        match conn.phase {
                            Phase::Open(_) if conn.is_held => {
                                conn.carry.keep(&self.scratch[window.start..window.end], &self.memory);
                                conn.has_unread = window.start < window.end;
                            }
                            Phase::Open(session) => self.on_frames(turn, id, session, window),
                            _ => {}
                        }
                    }
                    return;
                }
                Answer::Link(link) => {
                    self.send_reply(turn, id, &reply, &[]);
                    self.reply = reply;
                    if self.conns[id as usize].phase == Phase::Http {
                        let session = self.on_link_accepted(turn, id, link);
                        self.on_frames(turn, id, session, window);
                    }
                    return;
                }
                Answer::Response(framing) | Answer::Refusal(framing, ..) => {
                    self.send_reply(turn, id, &reply, &[]);
                    framing
                }
                Answer::Asset(framing, asset) => {
                    self.send_reply(turn, id, &reply, if framing.head_only { &[] } else { asset.body });
                    framing
                }
                Answer::Call(framing, call) => {
                    self.answer_call(turn, id, call, framing, &mut reply);
                    self.send_reply(turn, id, &reply, &[]);
                    framing
                }
            };
            self.reply = reply;
            self.metrics.requests += 1;
            let conn = &self.conns[id as usize];
            if conn.phase != Phase::Http {
                return;
            }
            // Whoever asks for more than it reads is not kept either.
            if !framing.keep_alive || conn.socket.weight() > self.config.limits.queue_high {
                debug!("{}: {}", conn.client(), Ending::Answered);
                return self.finish(turn, id, &[]);
            }
            self.await_request(turn, id);
            if window.start == window.end {
                return;
            }
        }
    }

    /// Writes a response; a body that is ours for ever is not copied.
    fn send_reply(&mut self, turn: &mut Turn, id: ConnId, head: &[u8], body: &'static [u8]) {
        let conn = &mut self.conns[id as usize];
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        let parts = if body.is_empty() { &slices[..1] } else { &slices[..] };
        let sent = conn.socket.send(parts, |written, queue| {
            queue.push_copy(&[IoSlice::new(head)], written, &self.memory);
            queue.push(Bytes::from_static(&body[written.saturating_sub(head.len())..]), &self.memory);
        });
        if let Err(error) = sent {
            self.end(turn, id, &Ending::Broken(error));
        }
    }

    /// No complete head came in time (RFC 9110 §15.5.9). A connection that is idle between requests just ends.
    pub(super) fn on_request_timeout(&mut self, turn: &mut Turn, id: ConnId) {
        let conn = &self.conns[id as usize];
        let mut reply = Vec::new();
        if !conn.carry.is_empty() {
            refuse(&mut reply, 408, "The request took too long to arrive (--handshake-timeout).", Framing::CLOSE);
        }
        let ending = Ending::TimedOut("no request (--handshake-timeout)");
        info!("{}: {ending}", conn.client());
        self.refusals.count(ending.refusal().unwrap_or_default());
        self.finish(turn, id, &reply);
    }

    /// What there is right now, by the names of the page that shows it.
    pub(super) fn gauges(&self) -> [(&'static str, usize); 18] {
        let queued: usize = self.conns.iter().map(|(_, conn)| conn.socket.weight()).sum();
        [
            ("jackfield_connections", self.conns.len()),
            ("jackfield_sessions", self.sessions.len()),
            ("jackfield_channels", self.hub.channels.len()),
            ("jackfield_pairs", self.hub.pairs.pairs() + self.hub.devices.pairs().count()),
            ("jackfield_keys", self.hub.pairs.len()),
            ("jackfield_bridges", self.bridges.count()),
            ("jackfield_dials", self.dials.len()),
            ("jackfield_links", self.links.discovery.links()),
            ("jackfield_link_attempts", self.links.attempts()),
            ("jackfield_proxies", self.links.discovery.proxies()),
            ("jackfield_devices", self.hub.devices.len()),
            ("jackfield_polling_sessions", self.polling.len()),
            ("jackfield_held_requests", self.polling.held()),
            ("jackfield_paused_connections", self.waiting.values().map(Vec::len).sum()),
            ("jackfield_stalled_connections", self.stalled()),
            ("jackfield_counted_connections", self.census.total()),
            ("jackfield_queued_bytes", queued + self.polling.queued()),
            ("jackfield_memory_bytes", self.memory.used()),
        ]
    }

    /// Gauges and counters, a line each, in the text format that Prometheus reads.
    fn metrics_page(&self) -> String {
        let mut page = String::new();
        for (name, value) in self.gauges() {
            writeln!(page, "# TYPE {name} gauge\n{name} {value}").expect("writing to memory does not fail");
        }
        let usage = self.usage();
        let limits = usage.iter().map(|usage| (usage.option, Some(usage.limit)));
        let used = usage.iter().map(|usage| (usage.option, usage.used));
        write_by_option(&mut page, "jackfield_limit", limits);
        write_by_option(&mut page, "jackfield_used", used);
        let dropped = ("jackfield_announcements_dropped_total", self.links.dropped());
        for (name, value) in self.metrics.rows().into_iter().chain([dropped]) {
            writeln!(page, "# TYPE {name} counter\n{name} {value}").expect("writing to memory does not fail");
        }
        self.refusals.write(&mut page);
        page
    }
}

/// A gauge for every option that has a value.
fn write_by_option(page: &mut String, name: &str, values: impl Iterator<Item = (&'static str, Option<usize>)>) {
    writeln!(page, "# TYPE {name} gauge").expect("writing to memory does not fail");
    for (option, value) in values {
        let Some(value) = value else { continue };
        writeln!(page, "{name}{{option=\"{option}\"}} {value}").expect("writing to memory does not fail");
    }
}
