//! Engine.IO over plain requests: what sessions without a socket have instead of one. Layer 3.
//!
//! A session that polls has a [`Mailbox`] instead of an outlet. What is written to it is kept there as the very frames
//! that a socket would get, so that nobody who writes need know; a poll takes them out as a payload, and a WebSocket that
//! takes over gets them as they are. The requests are in [`requests`], those that say something in [`posts`].

mod posts;
mod requests;

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::Instant;

use log::info;
use tungstenite::protocol::frame::coding::CloseCode;

use self::requests::Pending;
pub(super) use self::requests::{Action, AnswerTo, Ask, decline, refuse_with};
use super::batch::Deed;
use super::conn::{Behind, ConnId, Phase};
use super::exchange::Exchange;
use crate::frame::message::Kind;
use crate::frame::write::push_data_header;
use crate::http::response::Framing;
use crate::hub::SessionId;
use crate::hub::ids::Key;
use crate::memory::Charge;
use crate::net::listener::Census;
use crate::net::reactor::Turn;
use crate::protocol::Protocol;
use crate::protocol::p2p::engine_io::Error;
use crate::protocol::p2p::{Revision, Transport};

/// Sessions that ended with something unsaid and no poll to say it to: the next one is told. So many of them are kept.
const FAREWELLS: usize = 256;

/// Bytes of what such a session was still to be sent; if it is more, only the end is told.
const FAREWELL_BYTES: usize = 4096;

/// Mailboxes that there is room for however few there are.
const ROOMY: usize = 1024;

/// All sessions that poll, and their requests.
#[derive(Default)]
pub(super) struct Polling {
    mailboxes: HashMap<SessionId, Mailbox>,
    /// Invariant: `asks[c]` is a poll of `s` ⇔ `mailboxes[s].poll = c`, and a POST of `s` ⇒ `mailboxes[s].post = c`.
    asks: HashMap<ConnId, Pending>,
    /// Oldest first; at most [`FAREWELLS`].
    farewells: VecDeque<Farewell>,
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
    /// For them.
    charge: Charge,
    /// The connection of the GET that is held.
    poll: Option<ConnId>,
    /// The connection of the POST that has no receipt yet.
    post: Option<ConnId>,
}

/// What a session that has ended would still have been sent.
struct Farewell {
    sid: Key,
    revision: Revision,
    frames: Vec<u8>,
}

impl Polling {
    /// How many sessions poll.
    pub(super) fn len(&self) -> usize {
        self.mailboxes.len()
    }

    /// How many requests are not answered yet.
    pub(super) fn held(&self) -> usize {
        self.asks.len()
    }

    /// What every session that polls holds, in bytes.
    pub(super) fn weights(&self) -> impl Iterator<Item = (usize, SessionId)> {
        self.mailboxes.iter().map(|(session, mailbox)| (mailbox.frames.capacity(), *session))
    }

    /// What the body of a request on this connection holds, in bytes.
    pub(super) fn body_weight(&self, id: ConnId) -> usize {
        match self.asks.get(&id) {
            Some(Pending::Body(post) | Pending::Packets(post)) => post.weight(),
            _ => 0,
        }
    }

    /// The body of this session's that is still arriving: since when, and what it holds in bytes.
    pub(super) fn body(&self, session: SessionId) -> Option<(Instant, usize)> {
        match self.asks.get(&self.posting(session)?)? {
            Pending::Body(post) => Some((post.since(), post.weight())),
            _ => None,
        }
    }

    /// Each session that polls.
    pub(super) fn holders(&self) -> impl Iterator<Item = SessionId> {
        self.mailboxes.keys().copied()
    }

    /// The most sessions that the clients of one address have.
    pub(super) fn most_of_one(&self) -> usize {
        self.census.most()
    }

    /// Bytes that wait in mailboxes.
    pub(super) fn queued(&self) -> usize {
        self.mailboxes.values().map(|mailbox| mailbox.frames.len()).sum()
    }

    /// Where the client of a session is.
    pub(super) fn peer(&self, session: SessionId) -> Option<SocketAddr> {
        self.mailboxes.get(&session).map(|mailbox| mailbox.peer)
    }

    /// Whether this connection's POST is what the session is saying.
    fn is_posting(&self, session: SessionId, id: ConnId) -> bool {
        self.posting(session) == Some(id)
    }

    /// The connection of what a session is saying.
    pub(super) fn posting(&self, session: SessionId) -> Option<ConnId> {
        self.mailboxes.get(&session)?.post
    }

    /// The session whose request is on this connection, be it that it listens or that it speaks.
    pub(super) fn session(&self, id: ConnId) -> Option<SessionId> {
        match self.asks.get(&id)? {
            Pending::Poll { session, .. } => Some(*session),
            Pending::Body(post) | Pending::Packets(post) => Some(post.session),
        }
    }

    /// A connection with a request of this session that is not answered yet: its poll rather than what it says.
    pub(super) fn connection(&self, session: SessionId) -> Option<ConnId> {
        let mailbox = self.mailboxes.get(&session)?;
        mailbox.poll.or(mailbox.post)
    }

    /// The session that speaks over this connection.
    pub(super) fn speaker(&self, id: ConnId) -> Option<SessionId> {
        match self.asks.get(&id)? {
            Pending::Body(post) | Pending::Packets(post) => Some(post.session),
            Pending::Poll { .. } => None,
        }
    }

    /// The session has said what it had to say.
    fn end_post(&mut self, session: SessionId, id: ConnId) {
        if let Some(mailbox) = self.mailboxes.get_mut(&session) {
            mailbox.post.take_if(|post| *post == id);
        }
    }

    /// Takes a mailbox out, and gives back the table's memory after a crowd has gone.
    fn take(&mut self, session: SessionId) -> Option<Mailbox> {
        let mailbox = self.mailboxes.remove(&session)?;
        if self.mailboxes.capacity() > ROOMY && self.mailboxes.len() < self.mailboxes.capacity() / 8 {
            self.mailboxes.shrink_to(2 * self.mailboxes.len());
            self.asks.shrink_to(2 * self.asks.len());
        }
        Some(mailbox)
    }

    /// What the session of this name would still have been sent.
    fn take_farewell(&mut self, revision: Revision, sid: &str) -> Option<Vec<u8>> {
        let sid = Key::parse(sid)?;
        let is_meant = |farewell: &Farewell| farewell.sid == sid && farewell.revision == revision;
        let place = self.farewells.iter().position(is_meant)?;
        Some(self.farewells.remove(place)?.frames)
    }

    /// Throws away what a session was still to be sent.
    pub(super) fn empty(&mut self, session: SessionId) {
        if let Some(mailbox) = self.mailboxes.get_mut(&session) {
            mailbox.frames = Vec::new();
            mailbox.charge.set(0);
        }
    }

    /// Whether a poll can be answered.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next session whose poll can be answered.
    pub(super) fn next_due(&mut self) -> Option<SessionId> {
        self.due.pop()
    }

    /// All sessions that poll.
    pub(super) fn sessions(&self) -> Vec<SessionId> {
        self.holders().collect()
    }
}

impl Exchange {
    /// The session of this name, which must be one that polls, and in this revision.
    fn session_of(&self, revision: Revision, sid: &str) -> Result<SessionId, Error> {
        let key = Key::parse(sid).ok_or(Error::UnknownSid)?;
        let id = self.hub.devices.by_sid(key).ok_or(Error::UnknownSid)?;
        let session = self.hub.devices.get(id).ok_or(Error::UnknownSid)?.session;
        // One that has a WebSocket does not poll any more.
        let mailbox = self.polling.mailboxes.get(&session).ok_or(Error::BadRequest)?;
        if mailbox.revision == revision { Ok(session) } else { Err(Error::BadRequest) }
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
        let high = self.high_mark();
        let Some(mailbox) = self.polling.mailboxes.get_mut(&session) else { return };
        let limits = &self.config.limits;
        if !keeps_pace && mailbox.frames.len() > limits.max_queue {
            self.metrics.too_slow += 1;
            let reason = format!("too slow: more than {} bytes wait (--max-queue)", limits.max_queue);
            self.deeds.push_back(Deed::Close(session, CloseCode::Again, reason));
            return;
        }
        for slice in slices {
            mailbox.frames.extend_from_slice(slice);
        }
        mailbox.charge.set(mailbox.frames.capacity());
        if mailbox.poll.is_some() {
            self.polling.due.push(session);
        } else if keeps_pace
            && mailbox.frames.len() > high
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
        mailbox.charge.set(mailbox.frames.capacity());
        if mailbox.poll.is_some() {
            self.polling.due.push(session);
        }
    }

    /// Answers the poll of a session with what is in its mailbox.
    pub(super) fn answer_poll(&mut self, turn: &mut Turn, session: SessionId) {
        let Some(mailbox) = self.polling.mailboxes.get_mut(&session) else { return };
        // A ping alone is nothing to be told.
        if Frames(&mailbox.frames).next().is_none() {
            return;
        }
        let Some(id) = mailbox.poll.take() else { return };
        let revision = mailbox.revision;
        let frames = std::mem::take(&mut mailbox.frames);
        mailbox.charge.set(0);
        let Some(Pending::Poll { answer_to, .. }) = self.polling.asks.remove(&id) else { return };
        self.answer_with(turn, id, &answer_to, revision, &frames);
        self.resume(turn, Behind::mailbox(session));
    }

    /// Ends a session that polls. Unless its client did, it is told.
    pub(super) fn close_mailbox(&mut self, turn: &mut Turn, session: SessionId, code: CloseCode, reason: &str) {
        let Some(mailbox) = self.polling.mailboxes.get(&session) else { return };
        match code {
            CloseCode::Normal if !mailbox.frames.is_empty() => {}
            // It ends the poll under way.
            CloseCode::Normal => self.say(session, b"6"),
            _ => self.say(session, b"1"),
        }
        let mailbox = self.polling.mailboxes.get_mut(&session).expect("it is here");
        let frames = std::mem::take(&mut mailbox.frames);
        info!("{}: session closed: {reason}", mailbox.peer);
        self.refusals.count(reason);
        self.act(turn, session, None, |session, cx, fx| session.on_close(cx, fx));
        let mailbox = self.polling.take(session).expect("it is here");
        self.polling.census.leave(mailbox.peer.ip());
        self.forget(session);
        self.resume(turn, Behind::mailbox(session));
        if code != CloseCode::Normal && mailbox.poll.is_none() && Frames(&frames).any(is_message) {
            self.bid_farewell(mailbox.sid, mailbox.revision, &frames);
        }
        self.release_mailbox(turn, mailbox, Error::UnknownSid, &frames);
    }

    /// Keeps what a session that has ended would still have been sent.
    fn bid_farewell(&mut self, sid: Key, revision: Revision, frames: &[u8]) {
        // The last frame says that it is over.
        let frames = if frames.len() > FAREWELL_BYTES { &frames[frames.len() - 3..] } else { frames };
        if self.polling.farewells.len() == FAREWELLS {
            self.polling.farewells.pop_front();
        }
        self.polling.farewells.push_back(Farewell { sid, revision, frames: frames.to_vec() });
    }

    /// Answers the requests of a session that polls no more: the poll with `frames`, what it was saying with `error`.
    fn release_mailbox(&mut self, turn: &mut Turn, mailbox: Mailbox, error: Error, frames: &[u8]) {
        if let Some(id) = mailbox.post
            && let Some(Pending::Body(post) | Pending::Packets(post)) = self.polling.asks.remove(&id)
        {
            // It waits for nobody any more, and what came behind it meanwhile is nothing that will be read.
            self.wait_no_more(id);
            let answer_to = AnswerTo { framing: Framing::CLOSE, ..post.answer_to };
            self.refuse_ask(turn, id, &answer_to, error);
        }
        if let Some(id) = mailbox.poll
            && let Some(Pending::Poll { answer_to, .. }) = self.polling.asks.remove(&id)
        {
            self.answer_with(turn, id, &answer_to, mailbox.revision, frames);
        }
    }

    /// Gives the connection of `from` to `to`.
    pub(super) fn hand_over(&mut self, turn: &mut Turn, from: SessionId, to: SessionId) {
        let Some(id) = self.outlets.get(from) else {
            // It broke with its last word: the session goes on as it was.
            let device = self.polling.mailboxes.get(&to).and_then(|mailbox| self.hub.devices.by_sid(mailbox.sid));
            return device.into_iter().for_each(|device| self.hub.devices.set_transport(device, Transport::Polling));
        };
        self.outlets.set(from, None);
        self.forget(from);
        let Some(mailbox) = self.polling.take(to) else {
            // It ended meanwhile.
            self.conns[id as usize].phase = Phase::Http;
            return self.finish(turn, id, &[]);
        };
        self.polling.census.leave(mailbox.peer.ip());
        self.conns[id as usize].phase = Phase::Open(to);
        self.outlets.set(to, Some(id));
        self.write_raw(turn, id, &mailbox.frames);
        self.resume(turn, Behind::mailbox(to));
        self.act(turn, to, None, |session, cx, fx| session.on_alive(cx, fx));
        // A client that goes over has no request under way; one that has is let go of.
        let mut noop = Vec::with_capacity(3);
        push_data_header(&mut noop, Kind::Text, 1);
        noop.push(b'6');
        self.release_mailbox(turn, mailbox, Error::BadRequest, &noop);
    }
}

/// Whether a packet is more than bookkeeping of Engine.IO.
fn is_message((kind, packet): (Kind, &[u8])) -> bool {
    kind == Kind::Binary || packet.starts_with(b"4")
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
