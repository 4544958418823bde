//! What one read causes to be written, until it is: at most one vectored write per receiver. Layer 3.
//!
//! A [`Lane`] is one receiver, or one audience, with what it gets, in order. Relayed frames are remembered as places in
//! the receive buffer; what we frame ourselves is written into the lane's own arena, so that a burst of small replies
//! is one slice. Nothing here is allocated for a message: lanes and their buffers are used again.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tungstenite::protocol::frame::coding::{CloseCode, Control};

use crate::access::Grant;
use crate::frame::message::{Framed, Kind, Message};
use crate::frame::pool::Pool;
use crate::frame::write::{push_control, push_data_header};
use crate::hub::SessionId;
use crate::protocol::{Audience, Effects};

/// Lanes kept from one batch to the next, and past which a batch is written before more is handled.
pub(super) const LANES: usize = 64;

/// Bytes of arena that a lane keeps from one batch to the next.
const ARENA_KEPT_BYTES: usize = 64 * 1024;

/// Lanes that keep more: most batches have no others, and one that translates (a bridge's bytes to base64) makes a whole
/// read longer.
const LARGE_LANES: usize = 2;

/// Bytes of arena that those keep: a receive buffer of them in base64, and then some.
const LARGE_ARENA_KEPT_BYTES: usize = 512 * 1024;

/// Parts of an enveloped message, and bytes for a target, from this length on stay where they were received; below it,
/// copying them into the arena costs less than two more entries in a vectored write.
const BORROW_BYTES: usize = 2048;

/// Bytes for audiences, each member's counted, past which a batch is written and its reader has had its turn: one read of
/// messages for a large channel makes many times as much to be written, for tens of milliseconds.
const AUDIENCE_BYTES: usize = 4 * 1024 * 1024;

/// Everything to be written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    lanes: Vec<Lane>,
    /// Lanes in use; invariant: `used ≤ lanes.len()`.
    used: usize,
    /// Messages with buffers of their own.
    owned: Vec<Vec<u8>>,
    /// Bytes for audiences, each member's counted.
    for_audiences: usize,
}

/// What one receiver, or one audience, gets.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The only receiver, or nobody: then it is `audience`.
    pub(super) only: Option<SessionId>,
    /// Whether it goes to what the receiver dialled instead of to itself.
    pub(super) is_bridge: bool,
    audience: Vec<SessionId>,
    version: u64,
    except: Option<SessionId>,
    /// Whether the reading session must wait if this receiver falls behind.
    pub(super) keeps_pace: bool,
    pub(super) arena: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
}

/// Bytes to be written, by where they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Piece {
    pub(super) source: Source,
    pub(super) range: Range<usize>,
}

/// Where bytes are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// In the receive buffer.
    Scratch,
    /// In the lane's arena.
    Arena,
    /// In this one of the batch's own buffers.
    Owned(usize),
}

impl Lane {
    /// Everybody who gets what is in this lane.
    pub(super) fn receivers(&self) -> impl Iterator<Item = SessionId> {
        let many = if self.only.is_some() { &[][..] } else { &self.audience[..] };
        self.only.into_iter().chain(many.iter().copied().filter(|member| Some(*member) != self.except))
    }

    /// Appends bytes, to the last piece if they lie right behind it.
    #[inline]
    fn push(&mut self, source: Source, range: Range<usize>) {
        match self.pieces.last_mut() {
            Some(last) if last.source == source && last.range.end == range.start => last.range.end = range.end,
            _ => self.pieces.push(Piece { source, range }),
        }
    }

    /// Appends what `write` appends to the arena.
    fn frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.arena.len();
        write(&mut self.arena);
        self.push(Source::Arena, start..self.arena.len());
    }
}

impl Batch {
    /// The lanes in the order in which their receivers were first named.
    pub(super) fn lanes(&self) -> &[Lane] {
        &self.lanes[..self.used]
    }

    /// The bytes of a piece of `lane`.
    #[inline]
    pub(super) fn bytes<'a>(&'a self, lane: &'a Lane, piece: &Piece, scratch: &'a [u8]) -> &'a [u8] {
        let buffer = match piece.source {
            Source::Scratch => scratch,
            Source::Arena => &lane.arena,
            Source::Owned(place) => &self.owned[place],
        };
        &buffer[piece.range.clone()]
    }

    /// Whether there is nothing to write, nor a buffer to give back.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.owned.is_empty()
    }

    /// Whether it should be written before more is handled.
    pub(super) fn is_full(&self) -> bool {
        self.used >= LANES || self.is_costly()
    }

    /// Whether writing it takes so long that others must have their turn before more is handled.
    pub(super) fn is_costly(&self) -> bool {
        self.for_audiences >= AUDIENCE_BYTES
    }

    /// Forgets everything, keeping what is worth keeping.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.lanes.truncate(LANES);
        for (place, lane) in self.lanes.iter_mut().take(self.used).enumerate() {
            lane.arena.clear();
            lane.arena.shrink_to(if place < LARGE_LANES { LARGE_ARENA_KEPT_BYTES } else { ARENA_KEPT_BYTES });
            lane.pieces.clear();
            lane.audience.clear();
        }
        for buffer in self.owned.drain(..) {
            pool.give(buffer);
        }
        (self.used, self.for_audiences) = (0, 0);
    }

    /// Appends a control frame for one receiver.
    pub(super) fn control(&mut self, to: SessionId, control: Control, payload: &[u8]) {
        self.lane(to).frame(|out| push_control(out, control, payload));
    }

    /// The lane of one receiver. What it was sent as one of an audience before stays before; an audience that leaves it
    /// out is no obstacle, so that a burst of messages with a receipt each is two lanes.
    #[inline]
    fn lane(&mut self, to: SessionId) -> &mut Lane {
        self.lane_to(to, false)
    }

    /// The lane of what `who` dialled.
    #[inline]
    fn bridge_lane(&mut self, who: SessionId) -> &mut Lane {
        let lane = self.lane_to(who, true);
        lane.keeps_pace = true;
        lane
    }

    #[inline]
    fn lane_to(&mut self, to: SessionId, is_bridge: bool) -> &mut Lane {
        let may_reach = |lane: &Lane| match lane.only {
            Some(only) => only == to && lane.is_bridge == is_bridge,
            None => !is_bridge && lane.except != Some(to),
        };
        if let Some(place) = self.find(may_reach)
            && self.lanes[place].only.is_some()
        {
            return &mut self.lanes[place];
        }
        let lane = self.open();
        (lane.only, lane.is_bridge) = (Some(to), is_bridge);
        lane
    }

    /// The lane of an audience. Whoever has a lane of its own since may be among its members, but for the one left out.
    #[inline]
    fn lane_of(&mut self, to: &Audience<'_>) -> &mut Lane {
        let is_same = |lane: &Lane| lane.only.is_none() && lane.version == to.version && lane.except == to.except;
        let may_reach = |lane: &Lane| lane.only.is_none() || lane.only != to.except;
        if let Some(place) = self.find(may_reach)
            && is_same(&self.lanes[place])
        {
            return &mut self.lanes[place];
        }
        let lane = self.open();
        (lane.only, lane.version, lane.except) = (None, to.version, to.except);
        lane.audience.extend_from_slice(to.members);
        lane
    }

    /// The last lane that `is_it`, of the last [`LANES`]: one message to thousands, each in words of its own, must not look
    /// through thousands for each. Whoever is not found gets another lane, behind all there are.
    #[inline]
    fn find(&self, is_it: impl Fn(&Lane) -> bool) -> Option<usize> {
        let first = self.used.saturating_sub(LANES);
        self.lanes[first..self.used].iter().rposition(is_it).map(|place| first + place)
    }

    fn open(&mut self) -> &mut Lane {
        if self.used == self.lanes.len() {
            self.lanes.push(Lane::default());
        }
        let lane = &mut self.lanes[self.used];
        self.used += 1;
        (lane.keeps_pace, lane.is_bridge) = (false, false);
        lane
    }
}

/// What a session wants done that is not a write.
#[derive(Debug)]
pub(super) enum Deed {
    /// This session's connection is to be closed.
    Close(SessionId, CloseCode, String),
    /// This session wants to talk to this host and port.
    Dial(SessionId, String, u16),
    /// This session wants to hear no more of what it dialled.
    HangUp(SessionId),
    /// This session wants to be called at this time.
    WakeAt(SessionId, Instant),
    /// The connection of the first is the second's.
    HandOver(SessionId, SessionId),
    /// This session has shown a token, which permits this.
    Grant(SessionId, Arc<Grant>),
    /// A token that was shown is not accepted.
    RefuseToken,
}

/// Where the receive buffer is, to tell whether bytes lie in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    base: usize,
    len: usize,
}

impl Place {
    pub(super) fn of(buffer: &[u8]) -> Self {
        Self { base: buffer.as_ptr().addr(), len: buffer.len() }
    }

    /// The part of the buffer that `bytes` are, if they lie in it.
    #[inline]
    fn locate(self, bytes: &[u8]) -> Option<Range<usize>> {
        let start = bytes.as_ptr().addr().checked_sub(self.base)?;
        (start + bytes.len() <= self.len).then(|| start..start + bytes.len())
    }
}

/// What a session does while it reacts: writes go to the batch, the rest waits until the batch is written.
pub(super) struct Actions<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) deeds: &'a mut VecDeque<Deed>,
    pub(super) scratch: Place,
}

impl Actions<'_> {
    /// Frames a message and says where it is now: in the receive buffer, or in a buffer of its own.
    #[inline]
    fn place(&mut self, message: Message<'_>) -> Piece {
        let (buffer, range) = match message.reframe() {
            Framed::InPlace(frame) => match self.scratch.locate(frame) {
                Some(range) => return Piece { source: Source::Scratch, range },
                None => (frame.to_vec(), 0..frame.len()),
            },
            Framed::Owned(buffer, range) => (buffer, range),
        };
        self.batch.owned.push(buffer);
        Piece { source: Source::Owned(self.batch.owned.len() - 1), range }
    }

    /// Says where the payload of a message is.
    #[inline]
    fn place_payload(&mut self, message: Message<'_>) -> Piece {
        if let Some(range) = self.scratch.locate(message.payload()) {
            return Piece { source: Source::Scratch, range };
        }
        let len = message.payload().len();
        let mut piece = self.place(message);
        piece.range.start = piece.range.end - len;
        piece
    }

    fn push_parts(lane: &mut Lane, scratch: Place, kind: Kind, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        lane.frame(|out| push_data_header(out, kind, len));
        for part in parts {
            match scratch.locate(part) {
                Some(range) if part.len() >= BORROW_BYTES => lane.push(Source::Scratch, range),
                _ => lane.frame(|out| out.extend_from_slice(part)),
            }
        }
    }
}

impl Effects for Actions<'_> {
    #[inline]
    fn relay(&mut self, to: SessionId, message: Message<'_>) {
        let Piece { source, range } = self.place(message);
        let lane = self.batch.lane(to);
        lane.keeps_pace = true;
        lane.push(source, range);
    }

    #[inline]
    fn broadcast(&mut self, to: Audience<'_>, message: Message<'_>) {
        let Piece { source, range } = self.place(message);
        self.batch.for_audiences += range.len() * to.members.len();
        self.batch.lane_of(&to).push(source, range);
    }

    fn send(&mut self, to: SessionId, kind: Kind, parts: &[&[u8]]) {
        Self::push_parts(self.batch.lane(to), self.scratch, kind, parts);
    }

    fn send_all(&mut self, to: Audience<'_>, kind: Kind, parts: &[&[u8]]) {
        self.batch.for_audiences += parts.iter().map(|part| part.len()).sum::<usize>() * to.members.len();
        Self::push_parts(self.batch.lane_of(&to), self.scratch, kind, parts);
    }

    fn relay_parts(&mut self, to: SessionId, kind: Kind, parts: &[&[u8]]) {
        let lane = self.batch.lane(to);
        lane.keeps_pace = true;
        Self::push_parts(lane, self.scratch, kind, parts);
    }

    #[inline]
    fn recycle(&mut self, message: Message<'_>) {
        if let Some(buffer) = message.into_buffer() {
            self.batch.owned.push(buffer);
        }
    }

    fn dial(&mut self, who: SessionId, host: &str, port: u16) {
        self.deeds.push_back(Deed::Dial(who, host.to_owned(), port));
    }

    #[inline]
    fn bridge(&mut self, who: SessionId, message: Message<'_>) {
        let Piece { source, range } = self.place_payload(message);
        self.batch.bridge_lane(who).push(source, range);
    }

    fn bridge_bytes(&mut self, who: SessionId, bytes: &[u8]) {
        let lane = self.batch.bridge_lane(who);
        match self.scratch.locate(bytes) {
            Some(range) if bytes.len() >= BORROW_BYTES => lane.push(Source::Scratch, range),
            _ => lane.frame(|out| out.extend_from_slice(bytes)),
        }
    }

    fn hang_up(&mut self, who: SessionId) {
        self.deeds.push_back(Deed::HangUp(who));
    }

    fn ping(&mut self, who: SessionId) {
        self.batch.control(who, Control::Ping, &[]);
    }

    fn wake_at(&mut self, who: SessionId, at: Instant) {
        self.deeds.push_back(Deed::WakeAt(who, at));
    }

    fn hand_over(&mut self, from: SessionId, to: SessionId) {
        self.deeds.push_back(Deed::HandOver(from, to));
    }

    fn grant(&mut self, who: SessionId, grant: Arc<Grant>) {
        self.deeds.push_back(Deed::Grant(who, grant));
    }

    fn refuse_token(&mut self) {
        self.deeds.push_back(Deed::RefuseToken);
    }

    fn close(&mut self, who: SessionId, code: CloseCode, reason: &str) {
        self.deeds.push_back(Deed::Close(who, code, reason.to_owned()));
    }
}

#[cfg(test)]
mod tests;
