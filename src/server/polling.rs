//! Engine.IO over plain requests: sessions without a socket, and the requests that carry their packets. Layer 3.
//!
//! A session that polls has a [`Mailbox`] instead of an outlet. What is written to it is kept there as the very frames
//! that a socket would get, so that nobody who writes need know; a poll takes them out as a payload, and a WebSocket that
//! takes over gets them as they are. A GET that finds the mailbox empty is held; a POST is answered when its packets have
//! been handled, and, where a receiver is behind, not before that has caught up.
//!
//! Each request of a connection in [`Phase::Polling`] is in `asks` until it is answered.

use std::collections::HashMap;
use std::io::IoSlice;
use std::net::SocketAddr;

use bytes::Bytes;
use log::{debug, info};
use tungstenite::protocol::frame::coding::CloseCode;

use super::batch::Deed;
use super::conn::{Behind, ConnId, Ending, Phase};
use super::exchange::Exchange;
use super::relay::Progress;
use crate::frame::assemble::Window;
use crate::frame::message::{HEADROOM, Kind, Message};
use crate::frame::write::push_data_header;
use crate::http::response::{Framing, Response, refuse};
use crate::hub::SessionId;
use crate::hub::ids::Key;
use crate::net::listener::Census;
use crate::net::reactor::Turn;
use crate::net::scratch::SCRATCH_BYTES;
use crate::net::socket::Received;
use crate::protocol::p2p::engine_io::{Error, jsonp, payload};
use crate::protocol::p2p::{Arrival, Claim, Device, Revision, Transport};
use crate::protocol::{Protocol, Session};

/// Packets of one request: more would be handled in one turn of the loop than is fair to the others.
const MOST_PACKETS: usize = 4096;

/// Sessions that ended while no poll was there to be told, which the next one is.
const FAREWELLS: usize = 256;

/// Bytes of what such a session was still to be sent; if it is more, only the end is told.
const FAREWELL_BYTES: usize = 4096;

/// All sessions that poll, and their requests.
#[derive(Default)]
pub(super) struct Polling {
    mailboxes: HashMap<SessionId, Mailbox>,
    asks: HashMap<ConnId, Pending>,
    farewells: HashMap<Key, Farewell>,
    /// Sessions with something in the mailbox and a poll to answer.
    due: Vec<SessionId>,
    /// How many sessions the clients of each address have.
    census: Census,
}

/// What a session without a socket has.
struct Mailbox {
    sid: Key,
    revision: Revision,
    peer: SocketAddr,
    /// Whole frames.
    frames: Vec<u8>,
    /// The connection of the GET that is held.
    poll: Option<ConnId>,
    /// The connection of the POST that is arriving.
    post: Option<ConnId>,
}

/// What a session that has ended would still have been sent.
struct Farewell {
    revision: Revision,
    frames: Vec<u8>,
}

/// A request that is not answered yet.
enum Pending {
    /// Its body is arriving.
    Body { ask: Ask, bytes: Vec<u8> },
    /// It waits for something to be said.
    Poll { session: SessionId, answer_to: AnswerTo },
    /// It is answered once whoever is behind has caught up.
    Receipt { answer_to: AnswerTo },
}

/// A request, as far as it matters once its head is gone.
pub(super) struct Ask {
    pub(super) action: Action,
    /// Bytes of body.
    pub(super) body: usize,
    /// The client waits for leave to send it (RFC 9110 §10.1.1).
    pub(super) expects_continue: bool,
    pub(super) answer_to: AnswerTo,
}

/// How the answer must look.
pub(super) struct AnswerTo {
    pub(super) framing: Framing,
    /// The page's origin, which may read the answer.
    pub(super) origin: Option<Box<str>>,
    pub(super) jsonp: Option<u32>,
}

/// What a request is for.
pub(super) enum Action {
    /// A page asks whether it may ask (CORS), naming these headers.
    Preflight { headers: Option<Box<str>> },
    /// A session begins.
    Open { revision: Revision, base64_only: bool, claim: Claim },
    /// What has been said to it?
    Poll { sid: Box<str> },
    /// This is what it says, in a body of this type.
    Post { sid: Box<str>, content_type: Option<Box<str>> },
}

impl Polling {
    /// How many sessions poll.
    pub(super) fn len(&self) -> usize {
        self.mailboxes.len()
    }

    /// Bytes that wait in mailboxes.
    pub(super) fn queued(&self) -> usize {
        self.mailboxes.values().map(|mailbox| mailbox.frames.len()).sum()
    }

    /// Where the client of a session is.
    pub(super) fn peer(&self, session: SessionId) -> Option<SocketAddr> {
        self.mailboxes.get(&session).map(|mailbox| mailbox.peer)
    }

    /// The next session whose poll can be answered.
    pub(super) fn next_due(&mut self) -> Option<SessionId> {
        self.due.pop()
    }

    /// All sessions that poll.
    pub(super) fn sessions(&self) -> Vec<SessionId> {
        self.mailboxes.keys().copied().collect()
    }
}

impl Exchange {
    /// `scratch[window]` is what follows the head of a request.
    pub(super) fn on_ask(&mut self, turn: &mut Turn, id: ConnId, ask: Ask, window: Window) {
        let (rest, conn) = (&self.scratch[window.start..window.end], &mut self.conns[id as usize]);
        let (body, rest) = rest.split_at(ask.body.min(rest.len()));
        let bytes = body.to_vec();
        conn.carry.keep(rest);
        conn.phase = Phase::Polling;
        if bytes.len() == ask.body {
            return self.perform(turn, id, ask, &bytes);
        }
        if ask.expects_continue {
            self.write_raw(turn, id, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let Some(session) = self.polling_session(&ask.action) else { return self.perform(turn, id, ask, &[]) };
        let mailbox = self.polling.mailboxes.get_mut(&session).expect("it polls");
        if mailbox.post.is_some() {
            return self.overlap(turn, id, session, &ask.answer_to);
        }
        mailbox.post = Some(id);
        self.polling.asks.insert(id, Pending::Body { ask, bytes });
        let patience = self.config.limits.device_ping_timeout;
        turn.wheel.set(&mut self.conns[id as usize].alarm, id, patience.into());
    }

    /// The session that an action is about, if there is one and it polls.
    fn polling_session(&self, action: &Action) -> Option<SessionId> {
        match action {
            Action::Poll { sid } | Action::Post { sid, .. } => self.session_of(sid).ok(),
            Action::Preflight { .. } | Action::Open { .. } => None,
        }
    }

    fn session_of(&self, sid: &str) -> Result<SessionId, Error> {
        let key = Key::parse(sid).ok_or(Error::UnknownSid)?;
        let id = self.hub.devices.by_sid(key).ok_or(Error::UnknownSid)?;
        let session = self.hub.devices.get(id).ok_or(Error::UnknownSid)?.session;
        // One that has a WebSocket does not poll any more.
        if self.polling.mailboxes.contains_key(&session) { Ok(session) } else { Err(Error::BadRequest) }
    }

    fn perform(&mut self, turn: &mut Turn, id: ConnId, ask: Ask, body: &[u8]) {
        match ask.action {
            Action::Preflight { headers } => self.preflight(turn, id, &ask.answer_to, headers.as_deref()),
            Action::Open { revision, base64_only, claim } => {
                self.open_polling(turn, id, revision, base64_only, claim, ask.answer_to);
            }
            Action::Poll { sid } => self.poll(turn, id, &sid, ask.answer_to),
            Action::Post { sid, content_type } => {
                self.on_post(turn, id, &sid, content_type.as_deref(), body, ask.answer_to);
            }
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
        base64_only: bool,
        claim: Claim,
        answer_to: AnswerTo,
    ) {
        let peer = self.conns[id as usize].peer;
        let refusal = if self.polling.len() >= self.max_connections {
            Some("too many sessions (--max-connections)")
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
        let device = Device::new(revision, Arrival { sid, transport: Transport::Polling, base64_only, claim });
        let slot = self.sessions.insert(Session::Device(Box::new(device)));
        let session = SessionId(u32::try_from(slot).expect("limited as connections are"));
        let mailbox = Mailbox { sid, revision, peer, frames: Vec::new(), poll: None, post: None };
        self.polling.mailboxes.insert(session, mailbox);
        info!("{peer}: opened /socket.io/, polling");
        self.hold(id, session, answer_to);
        self.act(turn, session, Some(id), |session, cx, fx| session.on_open(cx, fx));
    }

    fn unavailable(&mut self, turn: &mut Turn, id: ConnId, answer_to: &AnswerTo, reason: &str) {
        info!("{}: 503 for /socket.io/: {reason}", self.conns[id as usize].peer);
        let mut reply = Vec::with_capacity(256);
        let response = shared_with(Response::begin(&mut reply, 503, answer_to.framing), answer_to);
        response.header("Retry-After", "5").body("text/plain; charset=utf-8", reason.as_bytes());
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
        crate::net::timer::Wheel::clear(&mut self.conns[id as usize].alarm);
    }

    fn poll(&mut self, turn: &mut Turn, id: ConnId, sid: &str, answer_to: AnswerTo) {
        let session = match self.session_of(sid) {
            Ok(session) => session,
            Err(error) => {
                let farewell = Key::parse(sid).and_then(|sid| self.polling.farewells.remove(&sid));
                return match farewell {
                    Some(Farewell { revision, frames }) => {
                        self.answer_with(turn, id, &answer_to, revision, &frames);
                    }
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
        if device.and_then(|device| self.hub.devices.get(device)).is_some_and(is_upgrading) {
            // The client waits for this poll to end before it goes over to its WebSocket.
            self.say(session, b"6");
        }
        self.act(turn, session, Some(id), |session, cx, fx| session.on_alive(cx, fx));
    }

    /// A second request of the same kind at the same time ends the session, as in the original.
    fn overlap(&mut self, turn: &mut Turn, id: ConnId, session: SessionId, answer_to: &AnswerTo) {
        self.deeds.push_back(Deed::Close(session, CloseCode::Policy, "two requests at once".to_owned()));
        self.refuse_ask(turn, id, answer_to, Error::BadRequest);
    }

    fn on_post(
        &mut self,
        turn: &mut Turn,
        id: ConnId,
        sid: &str,
        content_type: Option<&str>,
        body: &[u8],
        answer_to: AnswerTo,
    ) {
        let session = match self.session_of(sid) {
            Ok(session) => session,
            Err(error) => return self.refuse_ask(turn, id, &answer_to, error),
        };
        let mailbox = self.polling.mailboxes.get_mut(&session).expect("it polls");
        if mailbox.post.take().is_some_and(|other| other != id) {
            return self.overlap(turn, id, session, &answer_to);
        }
        let revision = mailbox.revision;
        let unwrapped;
        let (body, content_type) = if answer_to.jsonp.is_some() {
            unwrapped = jsonp::form_payload(body).unwrap_or_default();
            (unwrapped.as_bytes(), None)
        } else {
            (body, content_type)
        };
        let Ok(packets) = payload::decode_payload(revision, content_type, body, MOST_PACKETS) else {
            self.metrics.violations += 1;
            let reason = "not a payload of Engine.IO".to_owned();
            self.deeds.push_back(Deed::Close(session, CloseCode::Policy, reason));
            return self.refuse_ask(turn, id, &answer_to, Error::BadRequest);
        };
        for (kind, payload) in packets {
            // An earlier one may have ended the session.
            if !self.polling.mailboxes.contains_key(&session) {
                break;
            }
            self.metrics.messages += 1;
            let buffer = [&[0; HEADROOM], &payload[..]].concat();
            let end = buffer.len();
            let message = Message::owned(kind, buffer, HEADROOM..end);
            self.act(turn, session, Some(id), |session, cx, fx| session.on_message(cx, message, fx));
            self.settle(turn);
        }
        if self.conns[id as usize].phase != Phase::Polling {
            return;
        }
        self.polling.asks.insert(id, Pending::Receipt { answer_to });
        if self.conns[id as usize].waits_for.is_none() {
            self.give_receipt(turn, id);
        }
    }

    /// Everybody has what a POST said.
    fn give_receipt(&mut self, turn: &mut Turn, id: ConnId) {
        let Some(Pending::Receipt { answer_to }) = self.polling.asks.remove(&id) else { return };
        let mut reply = Vec::with_capacity(256);
        let response = Response::begin(&mut reply, 200, answer_to.framing).header("Cache-Control", "no-store");
        shared_with(response, &answer_to).body("text/html", b"ok");
        self.answer(turn, id, answer_to.framing, &reply);
    }

    /// A connection whose request is not answered yet is readable.
    pub(super) fn on_ask_readable(&mut self, turn: &mut Turn, id: ConnId) -> Progress {
        let conn = &mut self.conns[id as usize];
        match self.polling.asks.get_mut(&id) {
            Some(Pending::Body { ask, bytes }) => {
                let asked = (ask.body - bytes.len()).min(SCRATCH_BYTES);
                let received = match conn.socket.recv(&mut self.scratch[..asked]) {
                    Received::Bytes(received) => received,
                    other => return self.on_silence(turn, id, other),
                };
                bytes.extend_from_slice(&self.scratch[..received]);
                self.metrics.on_read(received);
                if bytes.len() == ask.body
                    && let Some(Pending::Body { ask, bytes }) = self.polling.asks.remove(&id)
                {
                    self.perform(turn, id, ask, &bytes);
                    self.settle(turn);
                }
                self.progress(id, received, asked)
            }
            Some(Pending::Receipt { .. }) => {
                self.give_receipt(turn, id);
                self.settle(turn);
                Progress::Stop
            }
            // Whatever comes is another request, for later; its end is the end of the poll.
            Some(Pending::Poll { .. }) => {
                let kept = conn.carry.restore(&mut self.scratch);
                let asked = SCRATCH_BYTES - kept;
                let received = conn.socket.recv(&mut self.scratch[kept..]);
                let Received::Bytes(received) = received else {
                    conn.carry.keep(&self.scratch[..kept]);
                    return self.on_silence(turn, id, received);
                };
                self.metrics.on_read(received);
                conn.carry.keep(&self.scratch[..kept + received]);
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
    pub(super) fn on_ask_timeout(&mut self, turn: &mut Turn, id: ConnId) {
        if let Some(Pending::Body { .. }) = self.polling.asks.get(&id) {
            self.abandon_ask(id);
            let mut reply = Vec::new();
            refuse(&mut reply, 408, "The body took too long to arrive (--device-ping-timeout).", Framing::CLOSE);
            self.finish(turn, id, &reply);
        }
    }

    /// A connection is gone whose request was not answered: its session ends too, as in the original. A client that is
    /// still there would not have let go of it.
    pub(super) fn abandon_ask(&mut self, id: ConnId) {
        let session = match self.polling.asks.remove(&id) {
            Some(Pending::Poll { session, .. }) => session,
            Some(Pending::Body { ask, .. }) => match self.polling_session(&ask.action) {
                Some(session) => session,
                None => return,
            },
            Some(Pending::Receipt { .. }) | None => return,
        };
        let Some(mailbox) = self.polling.mailboxes.get_mut(&session) else { return };
        mailbox.poll.take_if(|poll| *poll == id);
        mailbox.post.take_if(|post| *post == id);
        let reason = "the connection of a request was closed before its answer".to_owned();
        self.deeds.push_back(Deed::Close(session, CloseCode::Away, reason));
    }

    /// Keeps what a session without a socket is sent.
    #[cold]
    pub(super) fn keep(
        &mut self,
        session: SessionId,
        keeps_pace: bool,
        slices: &[IoSlice<'_>],
        reader: Option<ConnId>,
    ) {
        let Some(mailbox) = self.polling.mailboxes.get_mut(&session) else { return };
        let limits = &self.config.limits;
        if !keeps_pace && mailbox.frames.len() > limits.max_queue {
            self.metrics.too_slow += 1;
            let reason = format!("too slow: more than {} bytes wait (--max-queue)", limits.max_queue);
            self.deeds.push_back(Deed::Close(session, CloseCode::Policy, reason));
            return;
        }
        for slice in slices {
            mailbox.frames.extend_from_slice(slice);
        }
        if mailbox.poll.is_some() {
            self.polling.due.push(session);
        } else if keeps_pace
            && mailbox.frames.len() > limits.queue_high
            && let Some(reader) = reader
        {
            self.pause(reader, Behind::mailbox(session));
        }
    }

    /// Puts a packet of our own into a mailbox.
    fn say(&mut self, session: SessionId, packet: &[u8]) {
        let Some(mailbox) = self.polling.mailboxes.get_mut(&session) else { return };
        push_data_header(&mut mailbox.frames, Kind::Text, packet.len());
        mailbox.frames.extend_from_slice(packet);
        if mailbox.poll.is_some() {
            self.polling.due.push(session);
        }
    }

    /// Answers the poll of a session with what is in its mailbox.
    pub(super) fn answer_poll(&mut self, turn: &mut Turn, session: SessionId) {
        let Some(mailbox) = self.polling.mailboxes.get_mut(&session) else { return };
        if mailbox.frames.is_empty() {
            return;
        }
        let Some(id) = mailbox.poll.take() else { return };
        let revision = mailbox.revision;
        let frames = std::mem::take(&mut mailbox.frames);
        let Some(Pending::Poll { answer_to, .. }) = self.polling.asks.remove(&id) else { return };
        self.answer_with(turn, id, &answer_to, revision, &frames);
        self.resume(turn, Behind::mailbox(session));
    }

    fn answer_with(&mut self, turn: &mut Turn, id: ConnId, answer_to: &AnswerTo, revision: Revision, frames: &[u8]) {
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
    fn refuse_ask(&mut self, turn: &mut Turn, id: ConnId, answer_to: &AnswerTo, error: Error) {
        debug!("{}: {error:?} at /socket.io/", self.conns[id as usize].peer);
        let mut reply = Vec::with_capacity(256);
        refuse_with(&mut reply, answer_to, error, None);
        self.answer(turn, id, answer_to.framing, &reply);
    }

    /// Sends a response, and goes on with what the client may have sent behind its request.
    fn answer(&mut self, turn: &mut Turn, id: ConnId, framing: Framing, reply: &[u8]) {
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
        if !framing.keep_alive || is_draining || conn.socket.weight() > self.config.limits.queue_high {
            debug!("{}: {}", conn.peer, Ending::Answered);
            return self.finish(turn, id, &[]);
        }
        conn.has_unread = !conn.carry.is_empty();
        if conn.has_unread {
            self.revisit(turn, id);
        }
        self.await_request(turn, id);
    }

    fn write_raw(&mut self, turn: &mut Turn, id: ConnId, bytes: &[u8]) {
        let sent = self.conns[id as usize].socket.send(&[IoSlice::new(bytes)], |written, queue| {
            queue.push(Bytes::copy_from_slice(&bytes[written..]));
        });
        if let Err(error) = sent {
            self.end(turn, id, &Ending::Broken(error));
        }
    }

    /// Ends a session that polls. Unless its client did, it is told.
    pub(super) fn close_mailbox(&mut self, turn: &mut Turn, session: SessionId, code: CloseCode, reason: &str) {
        if !self.polling.mailboxes.contains_key(&session) {
            return;
        }
        if code != CloseCode::Normal {
            self.say(session, b"1");
        }
        let mailbox = self.polling.mailboxes.get_mut(&session).expect("it is here");
        let frames = std::mem::take(&mut mailbox.frames);
        info!("{}: session closed: {reason}", mailbox.peer);
        self.act(turn, session, None, |session, cx, fx| session.on_close(cx, fx));
        let mailbox = self.polling.mailboxes.remove(&session).expect("it is here");
        self.polling.census.leave(mailbox.peer.ip());
        self.forget(session);
        self.resume(turn, Behind::mailbox(session));
        let Mailbox { sid, revision, .. } = mailbox;
        if let Some(id) = mailbox.post
            && let Some(Pending::Body { ask, .. }) = self.polling.asks.remove(&id)
        {
            let answer_to = AnswerTo { framing: Framing::CLOSE, ..ask.answer_to };
            self.refuse_ask(turn, id, &answer_to, Error::UnknownSid);
        }
        if let Some(id) = mailbox.poll
            && let Some(Pending::Poll { answer_to, .. }) = self.polling.asks.remove(&id)
        {
            self.answer_with(turn, id, &answer_to, revision, &frames);
        } else if !frames.is_empty() && self.polling.farewells.len() < FAREWELLS {
            let frames = if frames.len() > FAREWELL_BYTES { frames[frames.len() - 3..].to_vec() } else { frames };
            self.polling.farewells.insert(sid, Farewell { revision, frames });
        }
    }

    /// Gives the connection of `from` to `to`.
    pub(super) fn hand_over(&mut self, turn: &mut Turn, from: SessionId, to: SessionId) {
        let Some(id) = self.outlets.get(from) else { return };
        self.outlets.set(from, None);
        self.forget(from);
        let Some(mailbox) = self.polling.mailboxes.remove(&to) else {
            // It ended meanwhile.
            self.conns[id as usize].phase = Phase::Http;
            return self.finish(turn, id, &[]);
        };
        self.polling.census.leave(mailbox.peer.ip());
        self.conns[id as usize].phase = Phase::Open(to);
        self.outlets.set(to, Some(id));
        self.write_raw(turn, id, &mailbox.frames);
        self.resume(turn, Behind::mailbox(to));
        // A client that goes over has no request under way; one that has is let go of.
        for id in [mailbox.poll, mailbox.post].into_iter().flatten() {
            match self.polling.asks.remove(&id) {
                Some(Pending::Poll { answer_to, .. }) => {
                    let mut noop = Vec::with_capacity(3);
                    push_data_header(&mut noop, Kind::Text, 1);
                    noop.push(b'6');
                    self.answer_with(turn, id, &answer_to, mailbox.revision, &noop);
                }
                Some(Pending::Body { ask, .. }) => {
                    let answer_to = AnswerTo { framing: Framing::CLOSE, ..ask.answer_to };
                    self.refuse_ask(turn, id, &answer_to, Error::BadRequest);
                }
                Some(Pending::Receipt { .. }) | None => {}
            }
        }
    }
}

/// Appends an error of Engine.IO, with the reason in place of its message where there is a better one.
pub(super) fn refuse_with(reply: &mut Vec<u8>, answer_to: &AnswerTo, error: Error, reason: Option<&str>) {
    let body = error.body(reason);
    let response = Response::begin(reply, error.status(), answer_to.framing).header("Cache-Control", "no-store");
    shared_with(response, answer_to).body("application/json", &body);
}

/// Lets the page that asked read the answer, and nobody else (Fetch §3.2).
fn shared_with<'o>(response: Response<'o>, answer_to: &AnswerTo) -> Response<'o> {
    match &answer_to.origin {
        Some(origin) => response
            .header("Access-Control-Allow-Origin", origin)
            .header("Access-Control-Allow-Credentials", "true")
            .header("Vary", "Origin"),
        None => response,
    }
}

/// The messages in a mailbox; control frames, which are for sockets, are passed over.
#[derive(Clone)]
struct Frames<'a>(&'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = (Kind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let [first, second, ..] = self.0 else { return None };
            // What we write is never masked and always in the shortest form (RFC 6455 §5.2).
            let (head, len) = match second {
                126 => (4, usize::from(u16::from_be_bytes(self.0[2..4].try_into().ok()?))),
                127 => (10, usize::try_from(u64::from_be_bytes(self.0[2..10].try_into().ok()?)).ok()?),
                len => (2, usize::from(*len)),
            };
            let payload = self.0.get(head..head + len)?;
            self.0 = &self.0[head + len..];
            match first & 0xF {
                1 => return Some((Kind::Text, payload)),
                2 => return Some((Kind::Binary, payload)),
                _ => {}
            }
        }
    }
}
