//! The requests that carry the packets of sessions that poll. Layer 3.
//!
//! A GET that finds the mailbox empty is held; a POST is answered when its packets have been handled, and, where a
//! receiver is behind, not before that has caught up. Each request of a connection in [`Phase::Polling`] is in `asks` until
//! it is answered. Who may ask, and what for, was decided with its head, in `pages`.

use std::io::IoSlice;

use log::{debug, info};
use tungstenite::protocol::frame::coding::CloseCode;

use super::super::access::Entrance;
use super::super::batch::Deed;
use super::super::conn::{ConnId, Ending, Phase};
use super::super::exchange::Exchange;
use super::super::pages::MEMORY_IS_SHORT;
use super::super::relay::Progress;
use super::posts::Post;
use super::{Frames, Mailbox};
use crate::frame::assemble::Window;
use crate::http::response::{CHALLENGE, Framing, RETRY_AFTER_S, Response, refuse};
use crate::hub::SessionId;
use crate::hub::ids::Key;
use crate::net::reactor::Turn;
use crate::net::scratch::SCRATCH_BYTES;
use crate::net::socket::Received;
use crate::net::timer::Wheel;
use crate::protocol::p2p::engine_io::{Error, jsonp, payload};
use crate::protocol::p2p::{Arrival, Claim, Device, Revision, Transport};
use crate::protocol::{Protocol, Session};

/// A request that is not answered yet.
pub(super) enum Pending {
    /// It waits for something to be said.
    Poll { session: SessionId, answer_to: AnswerTo },
    /// Its body is arriving.
    Body(Box<Post>),
    /// Its packets are being handled.
    Packets(Box<Post>),
}

/// A request, as far as it matters once its head is gone.
pub(in crate::server) struct Ask {
    pub(in crate::server) action: Action,
    /// Bytes of body; 0 where it means nothing, which is then not kept apart from what follows.
    pub(in crate::server) body: usize,
    /// The client waits for leave to send it (RFC 9110 §10.1.1).
    pub(in crate::server) expects_continue: bool,
    pub(in crate::server) answer_to: AnswerTo,
}

/// How the answer must look.
pub(in crate::server) struct AnswerTo {
    pub(in crate::server) framing: Framing,
    /// The page's origin, which may read the answer.
    pub(in crate::server) origin: Option<Box<str>>,
    pub(in crate::server) jsonp: Option<u32>,
}

/// What a request is for.
pub(in crate::server) enum Action {
    /// A page asks whether it may ask (CORS), naming these headers.
    Preflight { headers: Option<Box<str>> },
    /// A session begins.
    Open { revision: Revision, base64_only: bool, claim: Claim, entrance: Entrance },
    /// What has been said to it?
    Poll { revision: Revision, sid: Box<str> },
    /// This is what it says, in a body of this type.
    Post { revision: Revision, sid: Box<str>, content_type: Option<Box<str>> },
}

impl Exchange {
    /// `scratch[window]` is what follows the head of a request.
    pub(in crate::server) fn on_ask(&mut self, turn: &mut Turn, id: ConnId, mut ask: Ask, window: Window) {
        let (rest, conn) = (&self.scratch[window.start..window.end], &mut self.conns[id as usize]);
        let (body, rest) = rest.split_at(ask.body.min(rest.len()));
        let begun = body.to_vec();
        if rest.len() <= self.config.limits.max_head {
            conn.carry.keep(rest, &self.memory);
        } else {
            // It would be kept, and moved, once for each of many requests.
            ask.answer_to.framing.keep_alive = false;
        }
        conn.phase = Phase::Polling;
        match ask.action {
            Action::Preflight { headers } => self.preflight(turn, id, &ask.answer_to, headers.as_deref()),
            Action::Open { revision, base64_only, claim, entrance } => {
                let device =
                    |sid| Device::new(revision, Arrival { sid, transport: Transport::Polling, base64_only, claim });
                self.open_polling(turn, id, revision, device, entrance, ask.answer_to);
            }
            Action::Poll { revision, sid } => self.poll(turn, id, revision, &sid, ask.answer_to),
            Action::Post { .. } => self.on_post(turn, id, ask, &begun),
        }
    }

    fn preflight(&mut self, turn: &mut Turn, id: ConnId, answer_to: &AnswerTo, headers: Option<&str>) {
        let mut reply = Vec::with_capacity(256);
        let response = Response::begin(&mut reply, 204, answer_to.framing)
            .header("Access-Control-Allow-Methods", "GET, POST")
            .header("Access-Control-Max-Age", "600");
        let response = match headers {
            Some(headers) => response.header("Access-Control-Allow-Headers", headers),
            None => response,
        };
        shared_with(response, answer_to).empty();
        self.answer(turn, id, answer_to.framing, &reply);
    }

    /// A session that polls begins, with this request as its first poll.
    fn open_polling(
        &mut self,
        turn: &mut Turn,
        id: ConnId,
        revision: Revision,
        device: impl FnOnce(Key) -> Device,
        entrance: Entrance,
        answer_to: AnswerTo,
    ) {
        let peer = self.conns[id as usize].client();
        let refusal = if self.is_closed() {
            Some(MEMORY_IS_SHORT)
        } else if self.polling.len() >= self.max_connections {
            Some(match self.is_bound_by_descriptors() {
                true => "too many sessions (`ulimit -n`, above which no --max-connections goes)",
                false => "too many sessions (--max-connections)",
            })
        } else if !self.polling.census.admit(peer.ip(), self.config.limits.max_per_address) {
            Some("too many sessions from one address (--max-per-address)")
        } else {
            None
        };
        if let Some(reason) = refusal {
            return self.unavailable(turn, id, &answer_to, reason);
        }
        let Ok(sid) = self.hub.devices.name() else {
            self.polling.census.leave(peer.ip());
            return self.unavailable(turn, id, &answer_to, "the system's random number generator failed");
        };
        let slot = self.sessions.insert(Session::Device(Box::new(device(sid))));
        let session = SessionId(u32::try_from(slot).expect("limited as connections are"));
        let charge = self.memory.charge();
        let mailbox = Mailbox { sid, revision, peer, frames: Vec::new(), charge, poll: None, post: None };
        self.polling.mailboxes.insert(session, mailbox);
        self.set_marks();
        info!("{peer}: opened /socket.io/, polling");
        self.hold(id, session, answer_to);
        self.enter(turn, session, entrance);
        self.act(turn, session, None, |session, cx, fx| session.on_open(cx, fx));
    }

    fn unavailable(&mut self, turn: &mut Turn, id: ConnId, answer_to: &AnswerTo, reason: &str) {
        self.refusals.count(reason);
        info!("{}: 503 for /socket.io/: {reason}", self.conns[id as usize].client());
        let mut reply = Vec::with_capacity(256);
        decline(&mut reply, answer_to, 503, reason);
        self.answer(turn, id, answer_to.framing, &reply);
    }

    /// Holds a GET until there is something to answer it with.
    fn hold(&mut self, id: ConnId, session: SessionId, answer_to: AnswerTo) {
        let mailbox = self.polling.mailboxes.get_mut(&session).expect("it polls");
        mailbox.poll = Some(id);
        if !mailbox.frames.is_empty() {
            self.polling.due.push(session);
        }
        self.polling.asks.insert(id, Pending::Poll { session, answer_to });
        // The session's heartbeat says how long.
        Wheel::clear(&mut self.conns[id as usize].alarm);
    }

    fn poll(&mut self, turn: &mut Turn, id: ConnId, revision: Revision, sid: &str, answer_to: AnswerTo) {
        let session = match self.session_of(revision, sid) {
            Ok(session) => session,
            Err(error) => {
                return match self.polling.take_farewell(revision, sid) {
                    Some(frames) => self.answer_with(turn, id, &answer_to, revision, &frames),
                    None => self.refuse_ask(turn, id, &answer_to, error),
                };
            }
        };
        // Two polls at once are two clients, or one that is confused (engine.io `polling.js`, "overlap from client").
        if self.polling.mailboxes[&session].poll.is_some() {
            return self.overlap(turn, id, session, &answer_to);
        }
        self.hold(id, session, answer_to);
        let is_upgrading = |device: &crate::hub::devices::Device| device.transport == Transport::Upgrading;
        let device = self.hub.devices.by_sid(self.polling.mailboxes[&session].sid);
        let is_upgrading = device.and_then(|device| self.hub.devices.get(device)).is_some_and(is_upgrading);
        // The client waits for this poll to end before it goes over to its WebSocket.
        if is_upgrading && self.polling.mailboxes[&session].frames.is_empty() {
            self.say(session, b"6");
        }
        self.act(turn, session, None, |session, cx, fx| session.on_alive(cx, fx));
    }

    /// A second request of the same kind at the same time ends the session, as in the original.
    pub(super) fn overlap(&mut self, turn: &mut Turn, id: ConnId, session: SessionId, answer_to: &AnswerTo) {
        self.deeds.push_back(Deed::Close(session, CloseCode::Policy, "two requests at once".to_owned()));
        self.refuse_ask(turn, id, answer_to, Error::BadRequest);
    }

    /// A connection whose request is not answered yet is readable.
    pub(in crate::server) fn on_ask_readable(&mut self, turn: &mut Turn, id: ConnId) -> Progress {
        let conn = &mut self.conns[id as usize];
        match self.polling.asks.get(&id) {
            Some(Pending::Body(_)) => self.on_body_readable(turn, id),
            Some(Pending::Packets(_)) => self.on_packets(turn, id),
            // Whatever comes is another request, for later; its end is the end of the poll.
            Some(Pending::Poll { .. }) => {
                let kept = conn.carry.restore(&mut self.scratch);
                let asked = SCRATCH_BYTES - kept;
                let received = conn.socket.recv(&mut self.scratch[kept..]);
                let Received::Bytes(received) = received else {
                    conn.carry.keep(&self.scratch[..kept], &self.memory);
                    return self.on_silence(turn, id, received);
                };
                self.metrics.on_read(received);
                conn.carry.keep(&self.scratch[..kept + received], &self.memory);
                if kept + received > self.config.limits.max_head {
                    self.end(turn, id, &Ending::TimedOut("it sent too much behind a poll (--max-head)"));
                    return Progress::Stop;
                }
                self.progress(id, received, asked)
            }
            None => Progress::Stop,
        }
    }

    /// The body of a request took too long.
    pub(in crate::server) fn on_ask_timeout(&mut self, turn: &mut Turn, id: ConnId) {
        if let Some(Pending::Body(_)) = self.polling.asks.get(&id) {
            self.abandon_ask(id);
            let mut reply = Vec::new();
            refuse(&mut reply, 408, "The body took too long to arrive (--device-ping-timeout).", Framing::CLOSE);
            self.finish(turn, id, &reply);
        }
    }

    /// A connection is gone whose request was not answered: its session ends too, as in the original. A client that is
    /// still there would not have let go of it.
    pub(in crate::server) fn abandon_ask(&mut self, id: ConnId) {
        let session = match self.polling.asks.remove(&id) {
            Some(Pending::Poll { session, .. }) => session,
            Some(Pending::Body(post) | Pending::Packets(post)) => post.session,
            None => return,
        };
        let Some(mailbox) = self.polling.mailboxes.get_mut(&session) else { return };
        mailbox.poll.take_if(|poll| *poll == id);
        mailbox.post.take_if(|post| *post == id);
        let reason = "the connection of a request was closed before its answer".to_owned();
        self.deeds.push_back(Deed::Close(session, CloseCode::Away, reason));
    }

    pub(super) fn answer_with(
        &mut self,
        turn: &mut Turn,
        id: ConnId,
        answer_to: &AnswerTo,
        revision: Revision,
        frames: &[u8],
    ) {
        let mut body = Vec::with_capacity(frames.len() + 64);
        let mut content_type = payload::encode_payload(revision, answer_to.jsonp.is_some(), Frames(frames), &mut body);
        if let Some(index) = answer_to.jsonp {
            let mut script = Vec::with_capacity(body.len() + 64);
            jsonp::push_script(&mut script, index, &body);
            (body, content_type) = (script, jsonp::CONTENT_TYPE);
        }
        let mut reply = Vec::with_capacity(body.len() + 256);
        let response = Response::begin(&mut reply, 200, answer_to.framing).header("Cache-Control", "no-store");
        shared_with(response, answer_to).body(content_type, &body);
        self.answer(turn, id, answer_to.framing, &reply);
    }

    /// Answers with an error of Engine.IO.
    pub(super) fn refuse_ask(&mut self, turn: &mut Turn, id: ConnId, answer_to: &AnswerTo, error: Error) {
        self.refuse_ask_for(turn, id, answer_to, error, None);
    }

    /// The same, with a `reason` in place of the error's message where there is a better one.
    pub(super) fn refuse_ask_for(
        &mut self,
        turn: &mut Turn,
        id: ConnId,
        answer_to: &AnswerTo,
        error: Error,
        reason: Option<&str>,
    ) {
        debug!("{}: {error:?} at /socket.io/", self.conns[id as usize].client());
        let mut reply = Vec::with_capacity(256);
        refuse_with(&mut reply, answer_to, error, reason);
        self.answer(turn, id, answer_to.framing, &reply);
    }

    /// Sends a response, and goes on with what the client may have sent behind its request.
    pub(super) fn answer(&mut self, turn: &mut Turn, id: ConnId, framing: Framing, reply: &[u8]) {
        self.metrics.requests += 1;
        self.polling.asks.remove(&id);
        if self.conns[id as usize].phase != Phase::Polling {
            return;
        }
        self.conns[id as usize].phase = Phase::Http;
        self.write_raw(turn, id, reply);
        let is_draining = self.is_draining();
        let conn = &mut self.conns[id as usize];
        if conn.phase != Phase::Http {
            return;
        }
        // A long answer takes a slow client its time: as much as it has to answer a ping.
        let is_owed = conn.socket.queued() > 0;
        let stays = framing.keep_alive && !is_draining && conn.socket.weight() <= self.config.limits.queue_high;
        conn.has_unread = stays && !conn.carry.is_empty();
        if !stays {
            debug!("{}: {}", conn.client(), Ending::Answered);
            self.finish(turn, id, &[]);
        } else {
            if conn.has_unread {
                self.revisit(turn, id);
            }
            self.await_request(turn, id);
        }
        if is_owed && !is_draining {
            let limits = &self.config.limits;
            let patience = limits.device_ping_interval + limits.device_ping_timeout;
            turn.wheel.set(&mut self.conns[id as usize].alarm, id, patience.into());
        }
    }

    pub(super) fn write_raw(&mut self, turn: &mut Turn, id: ConnId, bytes: &[u8]) {
        let sent = self.conns[id as usize].socket.send(&[IoSlice::new(bytes)], |written, queue| {
            queue.push_copy(&[IoSlice::new(bytes)], written, &self.memory);
        });
        match sent {
            Err(error) => self.end(turn, id, &Ending::Broken(error)),
            Ok(()) if self.conns[id as usize].socket.watch() => self.watch_stall(id),
            Ok(()) => {}
        }
    }
}

/// Appends an error of Engine.IO, with the reason in place of its message where there is a better one.
pub(in crate::server) fn refuse_with(reply: &mut Vec<u8>, answer_to: &AnswerTo, error: Error, reason: Option<&str>) {
    let body = error.body(reason);
    let response = Response::begin(reply, error.status(), answer_to.framing).header("Cache-Control", "no-store");
    shared_with(response, answer_to).body("application/json", &body);
}

/// Appends a refusal that is none of Engine.IO's errors.
pub(in crate::server) fn decline(reply: &mut Vec<u8>, answer_to: &AnswerTo, status: u16, reason: &str) {
    let response = shared_with(Response::begin(reply, status, answer_to.framing), answer_to);
    let response = response.header("Cache-Control", "no-store");
    let response = match status {
        401 => response.header(CHALLENGE.0, CHALLENGE.1),
        503 => response.header("Retry-After", RETRY_AFTER_S),
        _ => response,
    };
    response.body("text/plain; charset=utf-8", reason.as_bytes());
}

/// Lets the page that asked read the answer, and nobody else (Fetch §3.2).
pub(super) fn shared_with<'o>(response: Response<'o>, answer_to: &AnswerTo) -> Response<'o> {
    match &answer_to.origin {
        Some(origin) => response
            .header("Access-Control-Allow-Origin", origin)
            .header("Access-Control-Allow-Credentials", "true")
            .header("Vary", "Origin"),
        None => response,
    }
}
