//! What clients that poll say: POSTs, from the first byte of a body to the receipt. Layer 3.
//!
//! A session has one at a time. Its packets are handled in shares, as those of a WebSocket are, and none while a receiver is
//! behind: the receipt, without which a client says nothing more, is withheld until everything was handled and everybody
//! has caught up. That is how backpressure reaches a client that polls.

use std::time::Instant;

use tungstenite::protocol::frame::coding::CloseCode;

use super::super::access::TOO_LONG_BEFORE_A_TOKEN;
use super::super::batch::Deed;
use super::super::conn::{ConnId, Phase};
use super::super::exchange::Exchange;
use super::super::relay::Progress;
use super::Pending;
use super::requests::{Action, AnswerTo, Ask, decline, shared_with};
use crate::frame::message::{HEADROOM, Message};
use crate::http::response::Response;
use crate::hub::SessionId;
use crate::memory::Charge;
use crate::memory::pile::Pile;
use crate::net::reactor::Turn;
use crate::net::scratch::SCRATCH_BYTES;
use crate::net::socket::Received;
use crate::net::timer::Wheel;
use crate::protocol::Protocol;
use crate::protocol::p2p::engine_io::{Error, Malformed, jsonp, payload};

/// Packets of one request. Each is an entry of a few words while they are handled.
const MOST_PACKETS: usize = 65_536;

/// What a client is told that has more.
const TOO_MANY_PACKETS: &str = "one request may have 65536 packets, which no option changes";

const _: () = assert!(MOST_PACKETS == 65_536, "as the sentence says");

/// Packets of one request that are handled in one turn of the loop, as of a WebSocket's messages.
const SHARE: usize = 2048;

/// What a session says.
pub(super) struct Post {
    /// Invariant: `mailboxes[session].post` is this request's connection.
    pub(super) session: SessionId,
    pub(super) answer_to: AnswerTo,
    content_type: Option<Box<str>>,
    /// Bytes of body in all.
    length: usize,
    /// When it began to arrive.
    since: Instant,
    /// The body as far as it is there.
    arrived: Pile,
    /// The body, once it is whole.
    body: Vec<u8>,
    /// For that.
    charge: Charge,
    /// Packets that have been handled.
    handled: usize,
}

impl Post {
    /// What its body holds, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.charge.bytes() + self.arrived.weight()
    }

    /// When its body began to arrive.
    pub(super) fn since(&self) -> Instant {
        self.since
    }
}

impl Exchange {
    /// A POST whose body has `begun` to arrive, perhaps to its end.
    pub(super) fn on_post(&mut self, turn: &mut Turn, id: ConnId, ask: Ask, begun: &[u8]) {
        let Ask { action, body: length, expects_continue, mut answer_to } = ask;
        let Action::Post { revision, sid, content_type } = action else { return };
        let is_whole = begun.len() == length;
        // What of the body is still to come must not be taken for a request.
        let keep_alive = answer_to.framing.keep_alive;
        answer_to.framing.keep_alive &= is_whole;
        let session = match self.session_of(revision, &sid) {
            Ok(session) => session,
            Err(error) => return self.refuse_ask(turn, id, &answer_to, error),
        };
        let most = self.access.max_message(session, &self.config.limits);
        if length > most {
            self.refusals.count(TOO_LONG_BEFORE_A_TOKEN);
            let mut reply = Vec::new();
            decline(&mut reply, &answer_to, 413, TOO_LONG_BEFORE_A_TOKEN);
            return self.answer(turn, id, answer_to.framing, &reply);
        }
        let mailbox = self.polling.mailboxes.get_mut(&session).expect("it polls");
        if mailbox.post.is_some() {
            return self.overlap(turn, id, session, &answer_to);
        }
        answer_to.framing.keep_alive = keep_alive;
        mailbox.post = Some(id);
        let mut arrived = Pile::new(self.memory.charge());
        arrived.extend(begun);
        let charge = self.memory.charge();
        let (since, body) = (turn.now, Vec::new());
        let post =
            Box::new(Post { session, answer_to, content_type, length, since, arrived, body, charge, handled: 0 });
        if is_whole {
            return self.begin_packets(turn, id, post);
        }
        self.polling.asks.insert(id, Pending::Body(post));
        if expects_continue {
            self.write_raw(turn, id, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let patience = self.config.limits.device_ping_timeout;
        turn.wheel.set(&mut self.conns[id as usize].alarm, id, patience.into());
    }

    /// More of a body is there.
    pub(super) fn on_body_readable(&mut self, turn: &mut Turn, id: ConnId) -> Progress {
        let Some(Pending::Body(post)) = self.polling.asks.get_mut(&id) else { return Progress::Stop };
        let asked = (post.length - post.arrived.len()).min(SCRATCH_BYTES);
        let received = match self.conns[id as usize].socket.recv(&mut self.scratch[..asked]) {
            Received::Bytes(received) => received,
            other => return self.on_silence(turn, id, other),
        };
        post.arrived.extend(&self.scratch[..received]);
        self.metrics.on_read(received);
        if post.arrived.len() == post.length
            && let Some(Pending::Body(post)) = self.polling.asks.remove(&id)
        {
            Wheel::clear(&mut self.conns[id as usize].alarm);
            self.begin_packets(turn, id, post);
            self.settle(turn);
        }
        self.progress(id, received, asked)
    }

    /// A body is complete.
    fn begin_packets(&mut self, turn: &mut Turn, id: ConnId, mut post: Box<Post>) {
        let arrived = std::mem::replace(&mut post.arrived, Pile::new(self.memory.charge()));
        let len = arrived.len();
        (post.body, _) = arrived.into_one(|len| vec![0; len]);
        post.body.truncate(len);
        if post.answer_to.jsonp.is_some() {
            // Nothing is no payload either.
            post.body = jsonp::form_payload(&post.body).unwrap_or_default().into_bytes();
            post.content_type = None;
        }
        post.charge.set(post.body.capacity());
        self.handle_packets(turn, id, post);
    }

    /// The next share of a request's packets is due, or its receipt.
    pub(super) fn on_packets(&mut self, turn: &mut Turn, id: ConnId) -> Progress {
        let Some(Pending::Packets(post)) = self.polling.asks.remove(&id) else { return Progress::Stop };
        self.handle_packets(turn, id, post);
        self.settle(turn);
        // What was sent behind the request while nothing was read was announced only once.
        if self.conns[id as usize].phase == Phase::Http { Progress::More(0) } else { Progress::Stop }
    }

    fn handle_packets(&mut self, turn: &mut Turn, id: ConnId, mut post: Box<Post>) {
        let session = post.session;
        let revision = self.polling.mailboxes[&session].revision;
        let decoded = payload::decode_payload(revision, post.content_type.as_deref(), &post.body, MOST_PACKETS);
        let packets = match decoded {
            Ok(packets) => packets,
            Err(malformed) => {
                self.metrics.violations += 1;
                let (reason, told) = match malformed {
                    Malformed::TooMany => (TOO_MANY_PACKETS, Some(TOO_MANY_PACKETS)),
                    _ => ("not a payload of Engine.IO", None),
                };
                self.deeds.push_back(Deed::Close(session, CloseCode::Policy, reason.to_owned()));
                return self.refuse_ask_for(turn, id, &post.answer_to, Error::BadRequest, told);
            }
        };
        let (count, mut handled) = (packets.len(), post.handled);
        for (kind, packet) in packets.into_iter().skip(post.handled).take(SHARE) {
            handled += 1;
            self.metrics.messages += 1;
            let buffer = [&[0; HEADROOM], &packet[..]].concat();
            let end = buffer.len();
            let message = Message::owned(kind, buffer, HEADROOM..end);
            self.act(turn, session, Some(id), |session, cx, fx| session.on_message(cx, message, fx));
            self.settle(turn);
            // It may have ended the session, or waits for somebody.
            if !self.polling.is_posting(session, id) || self.conns[id as usize].waits_for.is_some() {
                break;
            }
        }
        let is_waiting = self.conns[id as usize].waits_for.is_some();
        if !self.polling.is_posting(session, id) {
            self.wait_no_more(id);
        } else if handled < count || is_waiting {
            post.handled = handled;
            self.polling.asks.insert(id, Pending::Packets(post));
            if !is_waiting {
                self.revisit(turn, id);
            }
            return;
        }
        self.give_receipt(turn, id, &post);
    }

    /// Everybody has what a POST said.
    fn give_receipt(&mut self, turn: &mut Turn, id: ConnId, post: &Post) {
        self.polling.end_post(post.session, id);
        let mut reply = Vec::with_capacity(256);
        let framing = post.answer_to.framing;
        let response = Response::begin(&mut reply, 200, framing).header("Cache-Control", "no-store");
        shared_with(response, &post.answer_to).body("text/html", b"ok");
        self.answer(turn, id, framing, &reply);
    }
}
