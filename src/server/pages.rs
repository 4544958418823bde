//! Requests: the pages we serve, and the opening handshake. Layer 3.
//!
//! Every request passes the same gates in the same order: its head is well-formed, its Host is a name of ours, its
//! Origin may connect. Only then does its path mean anything.

use std::fmt::Write as _;
use std::io::IoSlice;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use log::{debug, info};
use sha1::{Digest, Sha1};

use super::conn::{ConnId, Ending, Phase};
use super::exchange::Exchange;
use super::links::Links;
use super::polling::{Action, AnswerTo, Ask, refuse_with};
use crate::assets::{self, ASSETS, Asset, CONTENT_SECURITY_POLICY};
use crate::config::{Config, Root};
use crate::frame::assemble::Window;
use crate::http::end_of_head;
use crate::http::guard::{BadEntry, Guard, is_cross_site, is_local_host, is_own_page, referring_origin};
use crate::http::request::{Method, Request, parse};
use crate::http::response::{Framing, Response, etag_matches, method_not_allowed, not_modified, refuse};
use crate::http::upgrade;
use crate::hub::Hub;
use crate::hub::devices::Transport;
use crate::hub::ids::Key;
use crate::net::reactor::Turn;
use crate::protocol::Session;
use crate::protocol::link::Link;
use crate::protocol::p2p::claim::claim;
use crate::protocol::p2p::engine_io::{Call, Error};
use crate::protocol::p2p::probe::Probe;
use crate::protocol::p2p::{Arrival, Claim, Device};
use crate::protocol::route::route;

/// How long a browser may use our files without asking whether they are still right, in words of RFC 9111 §5.2.2.
const CACHING: &str = "no-cache";

/// What all requests are answered with.
pub(super) struct Pages {
    guard: Guard,
    /// The tag of each asset, in their order: a hash of its content.
    tags: Vec<String>,
}

/// Where a request came from.
#[derive(Clone, Copy)]
struct Origin<'s> {
    root: Root,
    is_loopback_listener: bool,
    is_loopback_peer: bool,
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
    /// A response whose body is the counters.
    Metrics(Framing),
    /// A request to Engine.IO, which needs a session.
    Ask(Ask),
    /// 101; frames follow.
    Session(Session),
    /// 101; frames of a link follow.
    Link(Link),
}

impl Pages {
    pub(super) fn new(config: &Config) -> Result<Self, BadEntry> {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let tag = |asset: &Asset| format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha1::digest(asset.body)));
        let guard = Guard::new(&config.allow_origin, &config.allow_host, &[name])?;
        Ok(Self { guard, tags: ASSETS.iter().map(tag).collect() })
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
            return self.ask(request, from, config, out);
        }
        let is_read = matches!(request.method, Method::Get | Method::Head);
        if request.path == "/metrics" && self.is_operator(request, from) {
            if is_read {
                return Answer::Metrics(framing);
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

    /// Counters are for whoever is on this machine, and for no page and no proxy.
    fn is_operator(&self, request: &Request<'_>, from: Origin<'_>) -> bool {
        from.is_loopback_peer && is_local_host(request.host()) && request.origin().is_none() && !request.is_forwarded()
    }

    /// The session behind an upgrade to Engine.IO: a new one, or one that polls and would rather not.
    fn engine(
        &self,
        request: &Request<'_>,
        from: Origin<'_>,
        config: &Config,
        hub: &mut Hub,
    ) -> Result<Session, (Error, String)> {
        let plain = |error: Error| (error, error.message().to_owned());
        let call = Call::parse(request).map_err(plain)?;
        let Some(sid) = call.sid else {
            let claim = self.claim(request, from, config).map_err(|reason| (Error::BadRequest, reason))?;
            let sid = hub.devices.name().map_err(|error| (Error::BadRequest, error.to_string()))?;
            let arrival = Arrival { sid, transport: Transport::WebSocket, base64_only: call.base64_only, claim };
            return Ok(Session::Device(Box::new(Device::new(call.revision, arrival))));
        };
        let device = Key::parse(&sid).and_then(|sid| hub.devices.by_sid(sid)).ok_or(plain(Error::UnknownSid))?;
        match hub.devices.get(device) {
            Some(known) if known.transport == Transport::Polling && known.revision == call.revision => {
                Ok(Session::Probe(Probe::new(device)))
            }
            _ => Err(plain(Error::BadRequest)),
        }
    }

    fn claim(&self, request: &Request<'_>, from: Origin<'_>, config: &Config) -> Result<Claim, String> {
        let is_own_page = request.origin().is_none_or(|origin| is_own_page(origin, request.host()));
        let is_operator =
            from.is_loopback_peer && is_local_host(request.host()) && is_own_page && !request.is_forwarded();
        claim(request, is_operator, config.limits.max_name)
            .map_err(|bad| format!("an id takes 1 to {} bytes and no control characters (--max-name)", bad.limit))
    }

    /// A request to Engine.IO, or the refusal of one.
    fn ask(&self, request: &Request<'_>, from: Origin<'_>, config: &Config, out: &mut Vec<u8>) -> Answer {
        let framing = Framing { keep_alive: request.keep_alive(), ..Framing::of(request) };
        let mut answer_to = AnswerTo { framing, origin: request.origin().map(Into::into), jsonp: None };
        let refused = match self.engine_action(request, from, config, &mut answer_to) {
            Ok(action) => {
                let max = config.limits.max_message;
                return match usize::try_from(request.content_length()) {
                    Ok(body) if body <= max => {
                        let expects = request.header("Expect");
                        let expects_continue =
                            expects.is_some_and(|expects| expects.eq_ignore_ascii_case("100-continue"));
                        Answer::Ask(Ask { action, body, expects_continue, answer_to })
                    }
                    _ => {
                        answer_to.framing.keep_alive = false;
                        let reason = format!("The body is longer than {max} bytes (--max-message).");
                        refusal_of(413, &reason, answer_to.framing, out)
                    }
                };
            }
            Err(refused) => refused,
        };
        let (error, reason) = refused;
        if error == Error::Forbidden {
            answer_to.origin = None;
        }
        // The body is nothing that is read.
        answer_to.framing.keep_alive &= request.content_length() == 0;
        refuse_with(out, &answer_to, error, reason);
        Answer::Refusal(answer_to.framing, error.status(), reason.unwrap_or(error.message()).to_owned())
    }

    fn engine_action(
        &self,
        request: &Request<'_>,
        from: Origin<'_>,
        config: &Config,
        answer_to: &mut AnswerTo,
    ) -> Result<Action, (Error, Option<&'static str>)> {
        let checked = self.guard.check_origin(request.origin(), request.host(), from.is_loopback_listener);
        checked.map_err(|refusal| (Error::Forbidden, Some(refusal.message())))?;
        if is_cross_site(request) {
            return Err((
                Error::Forbidden,
                Some("Pages of other sites may not do this unseen; use fetch or a WebSocket."),
            ));
        }
        if request.method == Method::Options {
            let headers = request.header("Access-Control-Request-Headers").map(Into::into);
            return Ok(Action::Preflight { headers });
        }
        let call = Call::parse(request).map_err(|error| (error, None))?;
        if call.jsonp.is_some() {
            // A script tag names no origin, and whoever has it gets what we say: it must be known whose it is.
            let is_known = request.has_header("Sec-Fetch-Site")
                || request.origin().is_some()
                || referring_origin(request).is_some_and(|origin| {
                    self.guard.check_origin(Some(origin), request.host(), from.is_loopback_listener).is_ok()
                });
            if !is_known {
                let reason = "JSONP is for pages whose Referer may connect (--allow-origin).";
                return Err((Error::Forbidden, Some(reason)));
            }
        }
        answer_to.jsonp = call.jsonp;
        Ok(match call.sid {
            None => {
                let claim = self.claim(request, from, config);
                let claim = claim.map_err(|_| {
                    (Error::BadRequest, Some("An id is empty, too long (--max-name) or has control characters."))
                })?;
                Action::Open { revision: call.revision, base64_only: call.base64_only, claim }
            }
            Some(sid) if request.method == Method::Get => Action::Poll { sid: sid.into() },
            Some(sid) => {
                let content_type = request.header("Content-Type").map(Into::into);
                Action::Post { sid: sid.into(), content_type }
            }
        })
    }

    fn asset(&self, request: &Request<'_>, asset: &'static Asset, framing: Framing, out: &mut Vec<u8>) -> Answer {
        let place = ASSETS.iter().position(|other| std::ptr::eq(other, asset)).expect("assets come from the table");
        let tag = &self.tags[place];
        if request.header("If-None-Match").is_some_and(|tags| etag_matches(tags, tag)) {
            not_modified(out, tag, framing);
            return Answer::Response(framing);
        }
        let mut response = Response::begin(out, 200, framing)
            .header("ETag", tag)
            .header("Cache-Control", CACHING)
            .header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            .header("Referrer-Policy", "no-referrer");
        if asset.cross_origin {
            response = response
                .header("Access-Control-Allow-Origin", "*")
                .header("Cross-Origin-Resource-Policy", "cross-origin");
        }
        response.head(asset.content_type, asset.body.len());
        Answer::Asset(framing, asset)
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
            Err(error) => (error.status(), error.message().to_owned()),
            Ok(handshake) => {
                // A link's way in is its own: it names no origin, or one that is none.
                match from.links.answer(request, &handshake, from.peer, hub, config, out) {
                    None => {}
                    Some(Ok(link)) => return Answer::Link(link),
                    Some(Err(refused)) => {
                        refused.write(out);
                        return Answer::Refusal(Framing::CLOSE, refused.status, refused.reason);
                    }
                }
                let origin = self.guard.check_origin(request.origin(), request.host(), from.is_loopback_listener);
                let session = match origin {
                    Ok(()) if is_engine(request.path) => {
                        self.engine(request, from, config, hub).map_err(|(error, reason)| (error.status(), reason))
                    }
                    _ => route(request, from.root, config).map_err(|refusal| (refusal.status(), refusal.to_string())),
                };
                match (origin, session) {
                    (Err(refusal), _) => (refusal.status(), refusal.message().to_owned()),
                    (_, Err(refusal)) => refusal,
                    (Ok(()), Ok(session)) => {
                        handshake.accept(out, session.subprotocol(handshake.protocols()));
                        return Answer::Session(session);
                    }
                }
            }
        };
        refusal_of(refused.0, &refused.1, framing, out)
    }
}

/// Whether a path is Engine.IO's, as socket.io clients have it by default.
fn is_engine(path: &str) -> bool {
    matches!(path, "/socket.io/" | "/socket.io")
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
            self.conns[id as usize].carry.keep(received);
            return;
        }
        loop {
            let conn = &mut self.conns[id as usize];
            let (listener, root) = &self.listeners[usize::from(conn.listener)];
            let from = Origin {
                root: *root,
                is_loopback_listener: listener.address().ip().to_canonical().is_loopback(),
                is_loopback_peer: conn.peer.ip().to_canonical().is_loopback(),
                peer: conn.peer.ip(),
                links: &self.links,
            };
            let limits = &self.config.limits;
            let bytes = &self.scratch[window.start..window.end];
            let mut reply = std::mem::take(&mut self.reply);
            reply.clear();
            let answer = match parse(bytes, limits.max_head, limits.max_headers) {
                Ok(None) => {
                    conn.carry.keep(bytes);
                    self.reply = reply;
                    return;
                }
                Err(error) => {
                    info!("{}: bad request: {}", conn.peer, error.message());
                    refuse(&mut reply, error.status(), error.message(), Framing::CLOSE);
                    Answer::Response(Framing::CLOSE)
                }
                Ok(Some(request)) => {
                    window.start += request.head_len;
                    let answer = self.pages.answer(&request, from, &self.config, &mut self.hub, &mut reply);
                    match &answer {
                        Answer::Session(_) | Answer::Link(_) => info!("{}: opened {}", conn.peer, request.path),
                        Answer::Refusal(_, status, reason) => {
                            info!("{}: {status} for {}: {reason}", conn.peer, request.path);
                        }
                        _ => debug!("{}: {} {}", conn.peer, request.method.as_str(), request.path),
                    }
                    answer
                }
            };
            let framing = match answer {
                Answer::Ask(ask) => {
                    self.reply = reply;
                    return self.on_ask(turn, id, ask, window);
                }
                Answer::Session(session) => {
                    self.send_reply(turn, id, &reply, &[]);
                    self.reply = reply;
                    if self.conns[id as usize].phase == Phase::Http {
                        let session = self.open(turn, id, session);
                        self.on_frames(turn, id, session, window);
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
                Answer::Metrics(framing) => {
                    let page = self.metrics_page();
                    Response::begin(&mut reply, 200, framing)
                        .header("Cache-Control", "no-store")
                        .body("text/plain; version=0.0.4; charset=utf-8", page.as_bytes());
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
                debug!("{}: {}", conn.peer, Ending::Answered);
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
            if let Some(rest) = head.get(written..) {
                queue.push(Bytes::copy_from_slice(rest));
            }
            queue.push(Bytes::from_static(&body[written.saturating_sub(head.len())..]));
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
        info!("{}: {}", conn.peer, Ending::TimedOut("no request (--handshake-timeout)"));
        self.finish(turn, id, &reply);
    }

    /// Gauges and counters, a line each, in the text format that Prometheus reads.
    fn metrics_page(&self) -> String {
        let queued: usize = self.conns.iter().map(|(_, conn)| conn.socket.weight()).sum();
        let gauges = [
            ("jackfield_connections", self.conns.len()),
            ("jackfield_sessions", self.sessions.len()),
            ("jackfield_channels", self.hub.channels.len()),
            ("jackfield_pairs", self.hub.pairs.pairs()),
            ("jackfield_keys", self.hub.pairs.len()),
            ("jackfield_bridges", self.bridges.count()),
            ("jackfield_dials", self.dials.len()),
            ("jackfield_links", self.links.discovery.links()),
            ("jackfield_link_attempts", self.links.attempts()),
            ("jackfield_proxies", self.links.discovery.proxies()),
            ("jackfield_devices", self.hub.devices.len()),
            ("jackfield_polling_sessions", self.polling.len()),
            ("jackfield_paused_connections", self.waiting.values().map(Vec::len).sum()),
            ("jackfield_queued_bytes", queued + self.polling.queued()),
        ];
        let mut page = String::new();
        for (name, value) in gauges {
            writeln!(page, "# TYPE {name} gauge\n{name} {value}").expect("writing to memory does not fail");
        }
        let dropped = ("jackfield_announcements_dropped_total", self.links.dropped());
        for (name, value) in self.metrics.rows().into_iter().chain([dropped]) {
            writeln!(page, "# TYPE {name} counter\n{name} {value}").expect("writing to memory does not fail");
        }
        page
    }
}
