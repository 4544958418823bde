//! The fast path: from a readable socket to its peers' sockets. Layer 3.
//!
//! One read is one pass through [`Exchange::on_readable`]:
//!
//! 1. *receive* into the loop's scratch, behind what the connection kept from last time ([`Exchange::receive`]);
//! 2. *split* what came into messages, unmasked and checked where they lie, and let the session say who gets what
//!    ([`Exchange::react`]); it says so into the [`Batch`], as places in the scratch;
//! 3. *write* the batch, one vectored write per receiver ([`Exchange::write_batch`]); what a kernel does not take is
//!    copied once, into that receiver's queue, however many receivers it has; so is what takes long because it is for many,
//!    which is written in the next turns ([`super::spread`]);
//! 4. *settle* what is not a write: closings, and pauses of whoever fills a queue faster than it empties.
//!
//! Between the two system calls nothing is allocated, and no payload byte moves but those of small frames in a burst,
//! which close up so that they leave as one slice (see `frame::assemble`).

use std::io::{self, IoSlice};

use bytes::Bytes;
use tungstenite::protocol::frame::coding::{CloseCode, Control};

use super::access::{Awaits, First, first};
use super::batch::{Actions, Batch, Lane, Place};
use super::conn::{Behind, ConnId, Connection, Ending, Phase};
use super::exchange::{Exchange, second};
use crate::frame::assemble::{Item, MessageLimits, Window};
use crate::frame::close::ClosePayload;
use crate::frame::split::{Sender, Violation};
use crate::hub::SessionId;
use crate::memory::Account;
use crate::memory::pile::PIECE_BYTES;
use crate::net::queue::{MAX_SLICES, WriteQueue};
use crate::net::reactor::Turn;
use crate::net::scratch::SCRATCH_BYTES;
use crate::net::socket::{Received, Socket};
use crate::protocol::{Context, Protocol};

/// Bytes that one connection may bring in one turn of the loop, so that a flood cannot starve the others.
const TURN_BYTES: usize = 256 * 1024;

/// Reads that one connection may cause in one turn, so that a flood of small segments cannot either.
const TURN_READS: usize = 16;

/// Messages of one connection that are handled in one turn, and what is written for them to one each: a read full of empty
/// frames holds forty thousand, and one message may be for thousands, to each in words of its own.
const TURN_MESSAGES: usize = 2048;

/// Bytes of requests that are received at once: what is not answered in this turn is kept, and brought back in the next one.
const REQUESTS_BYTES: usize = 16 * 1024;

/// What is missing of a frame from which on it is received straight into the message's own buffer.
const DIRECT_BYTES: usize = 16 * 1024;

/// What one read brought, as far as the loop is concerned.
pub(super) enum Progress {
    /// The socket had less than we asked for: nothing more is there.
    Drained(usize),
    /// There may be more.
    More(usize),
    /// Nothing more is to be read now: it ended, or must wait.
    Stop,
}

/// What a client's bytes came to.
enum Outcome {
    /// More bytes are needed, or the batch is full.
    Fine,
    /// The client closed.
    Closed(Option<CloseCode>),
    /// The client broke a rule.
    Violated(Violation),
    /// The client's first message is one that its protocol is not to hear.
    First(First),
}

impl Exchange {
    /// Reads until the socket is drained or the connection had its share. `has_ended` says that the peer's end of
    /// stream was seen, which no later readiness would announce again.
    pub(super) fn on_readable(&mut self, turn: &mut Turn, id: ConnId, has_ended: bool) {
        let mut bytes = 0;
        for _ in 0..TURN_READS {
            let progress = self.receive(turn, id);
            // What is unread when it has had its share of messages.
            let has_unread = self.conns[id as usize].has_unread;
            match progress {
                Progress::Stop => return,
                Progress::Drained(_) if !has_ended && !has_unread => return,
                Progress::Drained(received) | Progress::More(received) => bytes += received,
            }
            if has_unread || bytes >= TURN_BYTES {
                break;
            }
        }
        self.revisit(turn, id);
    }

    /// One receive, and everything it causes.
    fn receive(&mut self, turn: &mut Turn, id: ConnId) -> Progress {
        let mut most = self.read_bytes();
        let conn = &mut self.conns[id as usize];
        if conn.waits_for.is_some() || conn.is_held || conn.phase == Phase::Ended {
            return Progress::Stop;
        }
        match conn.phase {
            Phase::Bridge(session) => return self.on_bridge_readable(turn, id, session),
            Phase::Polling => return self.on_ask_readable(turn, id),
            Phase::Preamble => return self.on_preamble(turn, id),
            Phase::Linking => return self.on_link_readable(turn, id),
            Phase::Http => most = most.min(REQUESTS_BYTES),
            _ => {}
        }
        if conn.has_unread {
            return self.on_unread(turn, id);
        }
        // A long frame that has begun to arrive: no detour through the scratch.
        if conn.carry.is_empty()
            && let Some(room) = conn.assembler.room(DIRECT_BYTES)
        {
            let asked = room.len();
            let received = match conn.socket.recv(room) {
                Received::Bytes(bytes) => bytes,
                other => return self.on_silence(turn, id, other),
            };
            self.metrics.on_read(received);
            self.on_long_frame(turn, id, received);
            return self.progress(id, received, asked);
        }
        let kept = conn.carry.restore(&mut self.scratch);
        let asked = most.min(SCRATCH_BYTES - kept);
        let received = match conn.socket.recv(&mut self.scratch[kept..kept + asked]) {
            Received::Bytes(bytes) => bytes,
            other => {
                conn.carry.keep(&self.scratch[..kept], &self.memory);
                return self.on_silence(turn, id, other);
            }
        };
        self.metrics.on_read(received);
        let window = Window::new(kept + received);
        match conn.phase {
            Phase::Open(session) => self.on_frames(turn, id, session, window),
            Phase::Http => self.on_requests(turn, id, window, kept),
            Phase::Preamble
            | Phase::Polling
            | Phase::Linking
            | Phase::Dialing(_)
            | Phase::Bridge(_)
            | Phase::Closing
            | Phase::Ended => {}
        }
        self.progress(id, received, asked)
    }

    /// What a receive of `received` bytes says about the rest.
    #[inline]
    pub(super) fn progress(&self, id: ConnId, received: usize, asked: usize) -> Progress {
        let is_drained = self.conns[id as usize].socket.is_drained(received, asked);
        if is_drained { Progress::Drained(received) } else { Progress::More(received) }
    }

    /// A receive brought no bytes.
    pub(super) fn on_silence(&mut self, turn: &mut Turn, id: ConnId, received: Received) -> Progress {
        match received {
            // It may still be reading what was sent before it is told goodbye; once that is written we look again.
            Received::End if self.conns[id as usize].is_owed() => self.part(turn, id),
            Received::End => self.end(turn, id, &Ending::Vanished),
            Received::Failed(error) => self.end(turn, id, &Ending::Broken(error)),
            Received::Later => self.revisit(turn, id),
            Received::Nothing | Received::Bytes(_) => {}
        }
        Progress::Stop
    }

    /// `scratch[window]` holds frames of this session.
    pub(super) fn on_frames(&mut self, turn: &mut Turn, id: ConnId, mut session: SessionId, mut window: Window) {
        self.touch(turn, id);
        let mut share = TURN_MESSAGES;
        loop {
            let before = window.start;
            let outcome = self.react(turn, id, session, &mut window, &mut share);
            // A write takes longer than most messages do.
            share = if self.batch.is_costly() { 0 } else { share.saturating_sub(self.batch.lanes().len()) };
            self.write_batch(Some(id));
            match outcome {
                Outcome::Fine => {}
                Outcome::Closed(code) => {
                    let has_more = window.start < window.end;
                    return self.on_peer_close(turn, id, code, has_more);
                }
                Outcome::Violated(violation) => return self.on_violation(turn, id, violation),
                Outcome::First(first) => {
                    if !self.on_first(turn, id, session, first) {
                        return;
                    }
                }
            }
            // What a session asked for as it opened may have kept everything waiting.
            let is_stuck = window.start == before && self.deeds.is_empty();
            self.settle(turn);
            // The batch was full, or the connection is another session's now, or nobody's.
            match self.conns[id as usize].phase {
                Phase::Open(owner) => session = owner,
                _ => return,
            }
            let is_held = self.conns[id as usize].is_held || share == 0;
            if is_stuck || window.start == window.end || is_held {
                break;
            }
        }
        let conn = &mut self.conns[id as usize];
        conn.has_unread = (conn.is_held || share == 0) && window.start < window.end;
        conn.carry.keep(&self.scratch[window.start..window.end], &self.memory);
    }

    /// Frames that arrived while the connection was held, or requests behind one that was.
    fn on_unread(&mut self, turn: &mut Turn, id: ConnId) -> Progress {
        let conn = &mut self.conns[id as usize];
        conn.has_unread = false;
        let kept = conn.carry.restore(&mut self.scratch);
        match conn.phase {
            Phase::Open(session) => self.on_frames(turn, id, session, Window::new(kept)),
            Phase::Http => self.on_requests(turn, id, Window::new(kept), 0),
            _ => {}
        }
        Progress::More(kept)
    }

    /// Lets the session react to the messages in the window, until they are used up or the batch is full.
    #[inline]
    fn react(
        &mut self,
        turn: &Turn,
        id: ConnId,
        session: SessionId,
        window: &mut Window,
        share: &mut usize,
    ) -> Outcome {
        let Self {
            conns, sessions, hub, batch, deeds, scratch, pool, config, metrics, started, buffer, access, ..
        } = self;
        let conn = &mut conns[id as usize];
        let limits = &config.limits;
        let bytes = access.max_message(session, limits);
        let bounds = MessageLimits { bytes, fragments: limits.max_fragments };
        let (awaits, permit) = (access.awaits(session), access.permit(session));
        let mut is_first = matches!(awaits, Awaits::Token | Awaits::NoToken);
        let place = Place::of(scratch);
        let sender = if conn.end.is_masking() { Sender::Server } else { Sender::Client };
        let (address, now, wall) = (Some(conn.client()), turn.now, turn.wall);
        let mut cx = Context { id: session, address, now, wall, permit, hub, config, buffer };
        let mut fx = Actions { batch, deeds, scratch: place };
        while !fx.batch.is_full() && fx.deeds.is_empty() && *share > 0 {
            *share -= 1;
            match conn.assembler.next_from(sender, scratch, window, bounds, pool) {
                Ok(Some(Item::Message(message))) => {
                    metrics.messages += 1;
                    if is_first {
                        match first(awaits, &message) {
                            First::Other => is_first = false,
                            first => return Outcome::First(first),
                        }
                    }
                    sessions[session.0 as usize].on_message(&mut cx, message, &mut fx);
                }
                Ok(Some(Item::Control(Control::Close, payload))) => match ClosePayload::parse(payload) {
                    Ok(close) => return Outcome::Closed(close.code),
                    Err(violation) => return Outcome::Violated(violation),
                },
                Ok(Some(Item::Control(control, payload))) => {
                    if !conn.controls.take(second(turn.now, *started), limits) {
                        return Outcome::Violated(Violation::TooManyControls);
                    }
                    // RFC 6455 §5.5.2: a ping is answered with its own payload; §5.5.3: a pong is not answered.
                    if control == Control::Ping {
                        fx.batch.control(session, Control::Pong, payload);
                    } else {
                        sessions[session.0 as usize].on_alive(&mut cx, &mut fx);
                    }
                }
                Ok(None) => break,
                Err(violation) => return Outcome::Violated(violation),
            }
        }
        if !is_first && awaits == Awaits::NoToken {
            access.expect_no_token(session);
        }
        Outcome::Fine
    }

    /// `received` bytes of a long frame are in the message's own buffer.
    fn on_long_frame(&mut self, turn: &mut Turn, id: ConnId, received: usize) {
        self.touch(turn, id);
        let Self { conns, sessions, hub, batch, deeds, scratch, pool, config, metrics, buffer, access, .. } = self;
        let conn = &mut conns[id as usize];
        let Phase::Open(session) = conn.phase else { return };
        match conn.assembler.received(received, pool) {
            Ok(Some(message)) => {
                metrics.messages += 1;
                let (address, now, wall) = (Some(conn.client()), turn.now, turn.wall);
                let permit = access.permit(session);
                let mut cx = Context { id: session, address, now, wall, permit, hub, config, buffer };
                let mut fx = Actions { batch, deeds, scratch: Place::of(scratch) };
                sessions[session.0 as usize].on_message(&mut cx, message, &mut fx);
                self.write_batch(Some(id));
                self.pool.warm(&mut self.scratch);
                self.settle(turn);
            }
            Ok(None) => {}
            Err(violation) => self.on_violation(turn, id, violation),
        }
    }

    /// Writes everything in the batch. `reader` is the connection whose bytes caused it: it waits if it must.
    pub(super) fn write_batch(&mut self, reader: Option<ConnId>) {
        if self.batch.is_empty() {
            return;
        }
        let (mut batch, scratch) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.scratch));
        let put_off = self.spread.begin();
        for lane in batch.lanes() {
            for pieces in lane.pieces.chunks(MAX_SLICES) {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                for (slice, piece) in slices.iter_mut().zip(pieces) {
                    *slice = IoSlice::new(batch.bytes(lane, piece, &scratch));
                }
                self.write_lane(lane, &slices[..pieces.len()], reader);
            }
            if self.links.masking > 0 && !lane.is_bridge {
                self.write_masked(&batch, lane, &scratch, reader);
            }
        }
        batch.clear(&mut self.pool);
        (self.batch, self.scratch) = (batch, scratch);
        self.await_spread(put_off, reader);
    }

    /// Writes `slices` to everybody in the lane.
    #[inline]
    fn write_lane(&mut self, lane: &Lane, slices: &[IoSlice<'_>], reader: Option<ConnId>) {
        let (high, hard) = (self.high_mark(), self.config.limits.max_queue);
        // What is left over is copied once for all who are behind; for one receiver, only what is left over.
        let mut shared: Option<Vec<Bytes>> = None;
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        // Somebody has to wait for those who are put off.
        let may_put_off = lane.only.is_none() && reader.is_some();
        for receiver in lane.receivers() {
            let outlets = if lane.is_bridge { &self.bridges } else { &self.outlets };
            let Some(to) = outlets.get(receiver) else {
                if !lane.is_bridge {
                    self.keep(receiver, lane.keeps_pace, slices, reader);
                }
                continue;
            };
            let conn = &mut self.conns[to as usize];
            if conn.end.is_masking() || conn.has_failed {
                continue;
            }
            let is_own = Some(to) == reader;
            if !lane.keeps_pace
                && !is_own
                && conn.socket.weight() > hard
                && let Some(failure) = overdue(&mut conn.socket, hard)
            {
                conn.has_failed = true;
                self.failures.push((to, failure));
                continue;
            }
            self.metrics.on_write(bytes);
            conn.was_written |= lane.is_bridge;
            let mut keep = |written, queue: &mut WriteQueue| match lane.only {
                Some(_) => queue.push_copy(slices, written, &self.memory),
                None => {
                    let shared = shared.get_or_insert_with(|| pieces(slices, &self.memory));
                    push_shared(queue, shared, written, &self.memory);
                }
            };
            let sent = if may_put_off && self.spread.puts_off(bytes) {
                if conn.socket.postpone(|queue| keep(0, queue)) {
                    self.spread.offer_later(to);
                    continue;
                }
                Ok(())
            } else {
                conn.socket.send(slices, keep)
            };
            self.on_sent(to, sent, (lane.keeps_pace || is_own).then_some(high), reader);
        }
    }
}

impl Exchange {
    /// Something was sent to `to`; its sender must wait as soon as more than `high` bytes do, if there is such a mark.
    #[inline]
    fn on_sent(&mut self, to: ConnId, sent: io::Result<()>, high: Option<usize>, reader: Option<ConnId>) {
        let Connection { socket, has_failed, .. } = &mut self.conns[to as usize];
        if let Err(error) = sent {
            *has_failed = true;
            self.failures.push((to, Some(error)));
        } else if socket.queued() > 0 {
            let is_new = socket.watch();
            let waits = high.is_some_and(|high| socket.weight() > high);
            if is_new {
                self.watch_stall(to);
            }
            if waits && let Some(reader) = reader {
                self.pause(reader, Behind::socket(to));
            }
        }
    }

    /// Writes a lane to those of its receivers that we are clients of: masked, which is done once for all of them.
    fn write_masked(&mut self, batch: &Batch, lane: &Lane, scratch: &[u8], reader: Option<ConnId>) {
        let (high, hard) = (self.high_mark(), self.config.limits.max_queue);
        let mut masked: Option<Vec<u8>> = None;
        let mut shared: Option<Vec<Bytes>> = None;
        for receiver in lane.receivers() {
            let Some(to) = self.outlets.get(receiver) else { continue };
            let conn = &mut self.conns[to as usize];
            if !conn.end.is_masking() || conn.has_failed {
                continue;
            }
            let is_own = Some(to) == reader;
            if !lane.keeps_pace && !is_own && conn.socket.weight() > hard {
                conn.has_failed = true;
                self.failures.push((to, None));
                continue;
            }
            let frames = masked.get_or_insert_with(|| {
                let bytes = |piece| batch.bytes(lane, piece, scratch);
                let pieces: Vec<_> = lane.pieces.iter().map(bytes).collect();
                self.links.masks.mask(&pieces.concat())
            });
            self.metrics.writes += 1;
            let frames = [IoSlice::new(frames)];
            let sent = conn.socket.send(&frames, |written, queue| {
                let shared = shared.get_or_insert_with(|| pieces(&frames, &self.memory));
                push_shared(queue, shared, written, &self.memory);
            });
            self.on_sent(to, sent, (lane.keeps_pace || is_own).then_some(high), reader);
        }
    }
}

/// Why a receiver goes for whom more than `hard` bytes wait; not before they were offered to it.
#[cold]
fn overdue(socket: &mut Socket, hard: usize) -> Option<Option<io::Error>> {
    if socket.is_postponed()
        && let Err(error) = socket.flush()
    {
        return Some(Some(error));
    }
    (socket.weight() > hard).then_some(None)
}

/// A copy of the slices for queues to share, in pieces.
fn pieces(slices: &[IoSlice<'_>], memory: &Account) -> Vec<Bytes> {
    let mut left: usize = slices.iter().map(|slice| slice.len()).sum();
    let (mut pieces, mut piece) = (Vec::with_capacity(left.div_ceil(PIECE_BYTES)), Vec::new());
    for slice in slices {
        let mut rest = &slice[..];
        while !rest.is_empty() {
            if piece.is_empty() {
                piece = Vec::with_capacity(left.min(PIECE_BYTES));
            }
            let (fits, beyond) = rest.split_at(rest.len().min(piece.capacity() - piece.len()));
            piece.extend_from_slice(fits);
            (rest, left) = (beyond, left - fits.len());
            if piece.len() == piece.capacity() {
                pieces.push(memory.keep(std::mem::take(&mut piece)));
            }
        }
    }
    debug_assert!(piece.is_empty(), "the last piece is as long as what was left");
    pieces
}

/// Has a queue wait for what `pieces` hold without their first `skip` bytes.
fn push_shared(queue: &mut WriteQueue, pieces: &[Bytes], mut skip: usize, memory: &Account) {
    for piece in pieces {
        let skipped = skip.min(piece.len());
        skip -= skipped;
        queue.push(piece.slice(skipped..), memory);
    }
}
