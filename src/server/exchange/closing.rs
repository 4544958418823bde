//! How connections come to an end: asked for by a session, by the client, by a rule, by time, or by the operator.
//!
//! Whatever the cause, a session departs once ([`Exchange::depart`]), and a connection is removed once
//! ([`Exchange::remove`]) and keeps its slot until the turn is over. Ending one may cause the end of any number of others,
//! so what ends one only notes that; [`Exchange::settle`] carries it out, one after the other.

use std::io;

use log::info;
use tungstenite::protocol::frame::coding::{CloseCode, Control};

use super::super::access::TOO_LONG_BEFORE_A_TOKEN;
use super::super::batch::Deed;
use super::super::conn::{Behind, ConnId, Ending, Phase};
use super::{DRAIN_OWNER, Exchange, Outlets};
use crate::config::LIFE;
use crate::discovery::Failure;
use crate::frame::split::Violation;
use crate::frame::write::{push_close, push_control};
use crate::net::queue::WriteQueue;
use crate::net::reactor::Turn;
use crate::net::scratch::Carry;
use crate::protocol::Protocol;

/// The number under which the loop's revisit list knows that there is something left of those who left: some whose writes
/// failed are still to be ended, or members to be told of a link's peers. Connections' are below.
pub(super) const REST: u32 = u32::MAX - 1;

/// What those who leave in one turn may have written to others, so that a crowd that leaves together cannot starve those
/// who stay.
const LEAVING_WRITES: usize = 1024;

/// Those who leave in one turn.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// What was written for them to others.
    writes: usize,
    /// Whether some may have been put off in the turn before, behind whom all others have to wait.
    was_full: bool,
    /// Whether the loop's list has [`REST`].
    is_due: bool,
}

impl Leaving {
    /// Whether no others may leave in this turn.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.writes >= LEAVING_WRITES
    }

    /// Whether one that may be about to leave is put off.
    #[inline]
    pub(super) fn must_wait(&self) -> bool {
        self.was_full || self.is_full()
    }
}

impl Exchange {
    /// Has the loop come back for those who could not leave in this turn.
    #[inline]
    pub(super) fn end_turn_of_leaving(&mut self, turn: &mut Turn) {
        self.leaving.was_full = self.leaving.is_full();
        self.leaving.writes = 0;
        if (!self.failures.is_empty() || self.hub.peers.has_lost()) && !self.leaving.is_due {
            self.leaving.is_due = true;
            turn.revisit(REST);
        }
    }

    /// A share of what is left of those who left.
    pub(super) fn go_on_with_rest(&mut self, turn: &mut Turn) {
        self.leaving.is_due = false;
        self.tell_lost();
        self.settle(turn);
    }
}

impl Exchange {
    /// Carries out what sessions and failed writes asked for, and what that leads to, one after the other: ending one
    /// connection may cause the end of any number of others, so nothing that ends one calls this.
    #[inline]
    pub(in crate::server) fn settle(&mut self, turn: &mut Turn) {
        let is_settled = self.failures.is_empty()
            && self.deeds.is_empty()
            && self.fresh.is_empty()
            && !self.polling.is_due()
            && !self.links.is_on
            && !self.is_tight();
        if !is_settled {
            self.settle_all(turn);
        }
    }

    fn settle_all(&mut self, turn: &mut Turn) {
        if !self.fresh.is_empty() {
            self.watch_fresh(turn);
        }
        if self.is_tight() {
            self.watch_halves(turn);
        }
        loop {
            if !self.leaving.is_full()
                && let Some((id, error)) = self.failures.pop()
            {
                match error {
                    Some(error) => self.on_broken(turn, id, error),
                    None => self.on_too_slow(turn, id),
                }
            } else if let Some(deed) = self.deeds.pop_front() {
                match deed {
                    Deed::Close(session, code, reason) => match self.outlets.get(session) {
                        Some(id) => self.close(turn, id, code, reason),
                        None => self.close_mailbox(turn, session, code, &reason),
                    },
                    Deed::Dial(session, host, port) => self.dial(turn, session, host, port),
                    Deed::HangUp(session) => self.hang_up(turn, session),
                    Deed::WakeAt(session, at) => self.wake_at(turn, session, at),
                    Deed::HandOver(from, to) => self.hand_over(turn, from, to),
                    Deed::Grant(session, grant) => self.on_grant(turn, session, grant),
                    Deed::RefuseToken => self.metrics.tokens_refused += 1,
                }
            } else if let Some(session) = self.polling.next_due() {
                self.answer_poll(turn, session);
            } else if self.tend_links(turn) {
                continue;
            } else if !self.is_short() || !self.shed(turn) {
                return;
            }
        }
    }

    /// A connection broke, whoever is at its other end.
    pub(in crate::server) fn on_broken(&mut self, turn: &mut Turn, id: ConnId, error: io::Error) {
        match self.conns[id as usize].phase {
            Phase::Bridge(session) => self.bridge_failed(turn, id, session, &error),
            Phase::Linking => self.fail_link(turn, id, Failure::Unreachable, &error.to_string()),
            _ => self.end(turn, id, &Ending::Broken(error)),
        }
    }

    fn on_too_slow(&mut self, turn: &mut Turn, id: ConnId) {
        if matches!(self.conns[id as usize].phase, Phase::Open(_)) {
            self.metrics.too_slow += 1;
            let limit = self.config.limits.max_queue;
            self.close(turn, id, CloseCode::Again, format!("too slow: more than {limit} bytes wait (--max-queue)"));
        }
    }

    pub(in crate::server) fn on_violation(&mut self, turn: &mut Turn, id: ConnId, violation: Violation) {
        self.metrics.violations += 1;
        let reason = match (violation, self.conns[id as usize].phase) {
            (Violation::TooLong { limit }, Phase::Open(session)) if !self.access.is_bound_by_option(session, limit) => {
                TOO_LONG_BEFORE_A_TOKEN.to_owned()
            }
            _ => violation.to_string(),
        };
        self.close(turn, id, violation.code(), reason);
    }

    /// We start the closing handshake (RFC 6455 §7.1.2): what waits goes out, then the Close frame, then our end of the
    /// stream; the client has a while for its side.
    pub(in crate::server) fn close(&mut self, turn: &mut Turn, id: ConnId, code: CloseCode, reason: String) {
        let mut frame = Vec::with_capacity(128);
        push_close(&mut frame, Some(code), &reason);
        self.depart(turn, id, &Ending::ByUs(code, reason));
        self.finish(turn, id, &frame);
    }

    /// The client closed: its status goes back (RFC 6455 §5.5.1) and the connection with it, unless bytes that it should
    /// not have sent are still on their way, whose loss would reset the connection before it reads our answer.
    pub(in crate::server) fn on_peer_close(
        &mut self,
        turn: &mut Turn,
        id: ConnId,
        code: Option<CloseCode>,
        has_more: bool,
    ) {
        let mut frame = Vec::with_capacity(4);
        push_close(&mut frame, code, "");
        self.depart(turn, id, &Ending::ByPeer(code));
        self.finish(turn, id, &frame);
        let conn = &mut self.conns[id as usize];
        if conn.phase == Phase::Closing && conn.socket.queued() == 0 && !has_more {
            self.remove(turn, id);
        }
    }

    /// Sends the last bytes and the end of our side.
    pub(in crate::server) fn finish(&mut self, turn: &mut Turn, id: ConnId, last: &[u8]) {
        if self.conns[id as usize].phase == Phase::Ended {
            return;
        }
        self.wait_no_more(id);
        let conn = &mut self.conns[id as usize];
        conn.phase = Phase::Closing;
        let masked = if conn.end.is_masking() { self.links.masks.mask(last) } else { Vec::new() };
        let last = if conn.end.is_masking() { &masked[..] } else { last };
        conn.carry = Carry::default();
        conn.assembler.abandon(&mut self.pool);
        (conn.is_held, conn.has_unread) = (false, false);
        let keep =
            |written: usize, queue: &mut WriteQueue| queue.push_copy(&[io::IoSlice::new(last)], written, &self.memory);
        if let Err(error) = conn.socket.send(&[io::IoSlice::new(last)], keep) {
            return self.end(turn, id, &Ending::Broken(error));
        }
        conn.socket.finish();
        turn.wheel.set(&mut conn.alarm, id, self.spans.close);
        // Whatever is still to be read is thrown away, and nothing else would announce what is there already.
        self.revisit(turn, id);
    }

    /// Our side ends when what waits has been written.
    pub(in crate::server) fn part(&mut self, turn: &mut Turn, id: ConnId) {
        let conn = &mut self.conns[id as usize];
        if conn.phase == Phase::Http {
            conn.phase = Phase::Closing;
            conn.socket.finish();
            turn.wheel.set(&mut conn.alarm, id, self.spans.close);
        }
    }

    /// The connection is over, now.
    pub(in crate::server) fn end(&mut self, turn: &mut Turn, id: ConnId, why: &Ending) {
        self.depart(turn, id, why);
        self.remove(turn, id);
    }

    /// Ends the session, if there is one, and tells whoever has to do with it.
    fn depart(&mut self, turn: &mut Turn, id: ConnId, why: &Ending) {
        let conn = &mut self.conns[id as usize];
        if conn.phase != Phase::Ended && conn.phase != Phase::Closing {
            info!("{}: {why}", conn.client());
            self.refusals.count(why.refusal().unwrap_or_default());
        }
        if conn.phase == Phase::Polling {
            return self.abandon_ask(id);
        }
        let Some(session) = conn.session() else { return };
        let is_link = conn.end.is_link();
        conn.phase = Phase::Closing;
        // One that was never let in was never opened.
        if !self.access.is_locked(session) {
            let before = self.metrics.writes;
            let receivers = self.act(turn, session, None, |session, cx, fx| session.on_close(cx, fx));
            self.leaving.writes += receivers.max((self.metrics.writes - before) as usize);
        }
        if is_link {
            self.on_link_closed(turn, id, session);
        }
        self.hang_up(turn, session);
        self.outlets.set(session, None);
        self.forget(session);
        self.resume(turn, Behind::socket(id));
    }

    /// Takes the connection out of everything but its slot.
    pub(in crate::server) fn remove(&mut self, turn: &mut Turn, id: ConnId) {
        if self.conns[id as usize].phase == Phase::Ended {
            return;
        }
        self.wait_no_more(id);
        let conn = &mut self.conns[id as usize];
        conn.phase = Phase::Ended;
        conn.socket.part();
        conn.assembler.abandon(&mut self.pool);
        conn.forget();
        if !conn.end.is_ours() {
            self.census.leave(conn.client().ip());
        }
        self.ended.push(id);
        self.resume(turn, Behind::socket(id));
    }

    /// Frees the slots of what ended in this turn, and the tables' memory after a crowd has gone.
    pub(in crate::server) fn free_slots(&mut self) {
        let conns = &self.conns;
        self.failures.retain(|(id, _)| conns[*id as usize].phase != Phase::Ended);
        for id in self.ended.drain(..) {
            self.conns.remove(id as usize);
        }
        self.set_marks();
        for session in self.ended_sessions.drain(..) {
            self.sessions.remove(session.0 as usize);
        }
        // Each time they have halved again: a straggler in a high slot makes most attempts idle, and all of them a look
        // through the whole table.
        if self.conns.len() < self.shrinks_below {
            self.shrinks_below = self.conns.len() / 2;
            self.conns.shrink_to_fit();
            self.sessions.shrink_to_fit();
            self.outlets.shrink(self.sessions.capacity());
            self.bridges.shrink(self.sessions.capacity());
            self.ended = Vec::new();
            self.ended_sessions = Vec::new();
        }
    }

    pub(in crate::server) fn on_passed_deadline(&mut self, turn: &mut Turn, id: ConnId) {
        let conn = &mut self.conns[id as usize];
        match conn.phase {
            Phase::Preamble => {
                let what = "no PROXY header, which a listener with proxy+ expects (--handshake-timeout)";
                self.end(turn, id, &Ending::TimedOut(what));
            }
            Phase::Http => self.on_request_timeout(turn, id),
            Phase::Polling => self.on_ask_timeout(turn, id),
            Phase::Open(_) if conn.waits_for.is_some() || conn.is_held => {
                // We do not read what would tell us that the other server is there; it must not think the same of us.
                if conn.end.is_link() {
                    self.send_control(turn, id, Control::Pong);
                }
                self.touch(turn, id);
            }
            Phase::Open(session)
                if self.spans.first_message.is_some() && self.sessions[session.0 as usize].must_speak() =>
            {
                let limit = self.config.limits.first_message_timeout;
                let reason = format!("nothing said within {limit:?} (--first-message-timeout)");
                self.close(turn, id, CloseCode::Policy, reason);
            }
            Phase::Open(_) if conn.is_pinged => {
                let limit = self.config.limits.pong_timeout;
                let reason = format!("no answer to a ping within {limit:?} (--pong-timeout)");
                self.close(turn, id, CloseCode::Error, reason);
            }
            Phase::Open(_) => {
                conn.is_pinged = true;
                turn.wheel.set(&mut conn.alarm, id, self.spans.pong);
                self.send_control(turn, id, Control::Ping);
            }
            Phase::Bridge(session) => self.on_bridge_idle(turn, id, session),
            Phase::Linking => self.fail_link(turn, id, Failure::Unreachable, "no answer (--handshake-timeout)"),
            // A dial has a deadline of its own.
            Phase::Dialing(_) => {}
            Phase::Closing => self.end(turn, id, &Ending::TimedOut("the closing handshake (--close-timeout)")),
            Phase::Ended => {}
        }
    }

    /// Sends an empty control frame.
    fn send_control(&mut self, turn: &mut Turn, id: ConnId, control: Control) {
        let mut frame = Vec::with_capacity(8);
        push_control(&mut frame, control, &[]);
        let frame = self.as_sent_on(id, frame);
        let keep = |written: usize, queue: &mut WriteQueue| {
            queue.push_copy(&[io::IoSlice::new(&frame)], written, &self.memory)
        };
        if let Err(error) = self.conns[id as usize].socket.send(&[io::IoSlice::new(&frame)], keep) {
            self.end(turn, id, &Ending::Broken(error));
        }
    }

    /// Stops accepting, says goodbye to everybody, and ends when they have gone or time is up. Asked twice, it ends now.
    pub(in crate::server) fn drain(&mut self, turn: &mut Turn) {
        if self.drains_until.is_some() {
            info!(target: LIFE, "stopped");
            self.is_stopped = true;
            return;
        }
        let limit = self.config.limits.drain_timeout;
        info!(target: LIFE, "draining: {} connections, {limit:?} at most (--drain-timeout)", self.conns.len());
        self.drains_until = Some(turn.now + limit);
        turn.wheel.set(&mut self.drain_alarm, DRAIN_OWNER, limit.into());
        self.spans.close = limit.into();
        self.listeners.clear();
        self.links.retire();
        // Everybody goes: nobody is told of the others any more, which in one large room would take all the time there is.
        self.outlets = Outlets::default();
        for session in self.polling.sessions() {
            self.close_mailbox(turn, session, CloseCode::Restart, "the server is shutting down");
        }
        let ids: Vec<ConnId> = self.conns.iter().map(|(id, _)| id as ConnId).collect();
        for id in ids {
            match self.conns[id as usize].phase {
                Phase::Preamble | Phase::Http | Phase::Polling | Phase::Linking => {
                    self.end(turn, id, &Ending::TimedOut("the server is shutting down"))
                }
                Phase::Open(_) => {
                    self.close(turn, id, CloseCode::Restart, "the server is shutting down".to_owned());
                }
                // Bridges end with their sessions.
                Phase::Dialing(_) | Phase::Bridge(_) | Phase::Closing | Phase::Ended => {}
            }
        }
    }
}
