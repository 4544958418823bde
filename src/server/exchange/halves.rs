//! Messages that have begun and do not end, while memory fills up. Layer 3.
//!
//! A message of which a part has arrived is memory that its sender alone can free, by sending the rest. While there is room
//! it may take its time: nothing here is kept or looked at. From the *tight* mark on (see [`super::shedding`]) it is looked
//! a few times a second which messages are still the same ones, and who is slow to end one has to go before anybody who is
//! merely slow to read. That goes on until there is an eighth of room below the tight mark, so that whoever is refused is
//! let in again soon and those who went do not come back to a door that is about to close.
//!
//! A sender that is not read because others are behind is not to blame, and is not counted.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::CloseCode;

use super::super::conn::{ConnId, Ending, Phase};
use super::{Exchange, HALVES_OWNER};
use crate::hub::SessionId;
use crate::net::reactor::Turn;
use crate::net::timer::{Alarm, Fired};
use crate::protocol::Session;

/// What is held of a message up to this is not worth sending its sender away, in bytes.
const SMALL_BYTES: usize = 4096;

/// How much of a message must arrive within the patience for its sender not to be called slow, in bytes: an eighth or a
/// quarter of a megabit per second, below which a message of 1 MiB takes half a minute or longer.
const STEP_BYTES: usize = 32 * 1024;

/// How long a message need not grow while memory is tight, which is no hardship for those who are there.
const TIGHT_PATIENCE: Duration = Duration::from_secs(2);

/// The same from where slow readers go on: as long as those may take nothing, so that whoever holds up memory by not
/// sending is found before those whom that hurts.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);

/// Who sends steadily has so long for the whole message, from when memory became tight: 1 MiB in this is a megabit per
/// second.
const LONGEST: Duration = Duration::from_secs(8);

/// How often it is looked who has sent something.
const SWEEP: Duration = Duration::from_millis(250);

/// How long what was seen is true enough when somebody has to go at once.
const FRESH: Duration = Duration::from_millis(100);

/// Why somebody goes.
const UNFINISHED: &str = "memory is short, and a message of its was begun and not finished for long (--max-memory)";

/// Unfinished messages that are watched.
#[derive(Debug, Default)]
pub(super) struct Halves {
    by_holder: HashMap<Holder, Half>,
    /// Those who are slow to finish, the first to go last.
    slow: Vec<(Holder, Mark)>,
    looked_at: Option<Instant>,
    alarm: Alarm,
    is_watching: bool,
}

/// Who holds an unfinished message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Holder {
    Connection(ConnId),
    Mailbox(SessionId),
}

/// What tells an unfinished message from the next of the same client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mark {
    /// Its number among all that were ever put together.
    Number(u64),
    /// When it began.
    Since(Instant),
}

/// An unfinished message.
#[derive(Clone, Copy, Debug)]
struct Half {
    mark: Mark,
    /// What it holds, in bytes.
    bytes: usize,
    /// What it held when it had last grown by a step, and when that was, to the precision of a look.
    grown_to: usize,
    grown: Instant,
    /// When it was seen first.
    seen: Instant,
}

impl Half {
    fn is_slow(&self, now: Instant, patience: Duration) -> bool {
        now.saturating_duration_since(self.grown) >= patience || now.saturating_duration_since(self.seen) >= LONGEST
    }
}

impl Exchange {
    /// Memory is tight: from now on it is watched whose messages are not finished.
    #[cold]
    pub(super) fn watch_halves(&mut self, turn: &mut Turn) {
        if !self.halves.is_watching {
            self.halves.is_watching = true;
            self.look_for_halves(turn.now);
            turn.wheel.set(&mut self.halves.alarm, HALVES_OWNER, SWEEP.into());
        }
    }

    pub(super) fn on_halves_sweep(&mut self, turn: &mut Turn, fired: Fired) {
        if !turn.wheel.has_passed(&mut self.halves.alarm, fired) {
            return;
        }
        if self.memory.used() < self.marks.calm {
            self.halves = Halves::default();
            return;
        }
        self.look_for_halves(turn.now);
        turn.wheel.set(&mut self.halves.alarm, HALVES_OWNER, SWEEP.into());
        if self.is_tight() {
            self.shed_halves(turn, self.marks.calm);
        }
        self.settle(turn);
    }

    /// Lets those go who are slow to finish what they have begun, until no more than `enough` bytes are taken. Whether there
    /// was anybody.
    pub(super) fn shed_halves(&mut self, turn: &mut Turn, enough: usize) -> bool {
        if self.halves.looked_at.is_none_or(|at| turn.now.saturating_duration_since(at) >= FRESH) {
            self.look_for_halves(turn.now);
        }
        let mut has_shed = false;
        while self.memory.used() >= enough {
            let Some((holder, mark)) = self.halves.slow.pop() else { break };
            // It may be finished by now, or its slot another's.
            if self.half_of(holder).is_none_or(|(now, _)| now != mark) {
                continue;
            }
            has_shed = true;
            self.metrics.shed += 1;
            match holder {
                // Who does not read could not be told why, and would go on holding what waits for it.
                Holder::Connection(id) if self.conns[id as usize].socket.queued() > 0 => {
                    self.end(turn, id, &Ending::Shed(UNFINISHED));
                }
                Holder::Connection(id) => self.close(turn, id, CloseCode::Again, UNFINISHED.to_owned()),
                Holder::Mailbox(session) => self.close_mailbox(turn, session, CloseCode::Again, UNFINISHED),
            }
        }
        has_shed
    }

    fn look_for_halves(&mut self, now: Instant) {
        let conns = self.conns.iter().map(|(id, _)| Holder::Connection(id as ConnId));
        let holders = conns.chain(self.polling.holders().map(Holder::Mailbox));
        let mut by_holder = HashMap::new();
        for holder in holders {
            let Some((mark, bytes)) = self.half_of(holder).filter(|(_, bytes)| *bytes > SMALL_BYTES) else { continue };
            let fresh = Half { mark, bytes, grown_to: bytes, grown: now, seen: now };
            let half = match self.halves.by_holder.get(&holder).filter(|before| before.mark == mark) {
                Some(before) if bytes >= before.grown_to + STEP_BYTES => Half { seen: before.seen, ..fresh },
                Some(before) => Half { bytes, ..*before },
                None => fresh,
            };
            by_holder.insert(holder, half);
        }
        let patience = if self.is_short() { SHORT_PATIENCE } else { TIGHT_PATIENCE };
        let mut slow: Vec<_> = by_holder.iter().filter(|(_, half)| half.is_slow(now, patience)).collect();
        slow.sort_unstable_by_key(|(_, half)| (Reverse(half.seen), half.bytes));
        self.halves.slow = slow.into_iter().map(|(holder, half)| (*holder, half.mark)).collect();
        (self.halves.by_holder, self.halves.looked_at) = (by_holder, Some(now));
    }

    /// What somebody has begun to say and could go on to say, and what we hold of it, in bytes.
    fn half_of(&self, holder: Holder) -> Option<(Mark, usize)> {
        let waiting = |session: SessionId| {
            let session = self.sessions.get(session.0 as usize)?;
            Some((session.waits_since()?, Session::weight(session)))
        };
        match holder {
            Holder::Connection(id) => {
                let conn = self.conns.get(id as usize)?;
                let Phase::Open(session) = conn.phase else { return None };
                if conn.waits_for.is_some() || conn.is_held {
                    return None;
                }
                let (waiting, bytes) = (waiting(session), conn.assembler.weight());
                match (waiting, conn.assembler.unfinished()) {
                    (Some((since, kept)), _) => Some((Mark::Since(since), kept + bytes)),
                    (None, Some(number)) => Some((Mark::Number(number), bytes)),
                    (None, None) => None,
                }
            }
            Holder::Mailbox(session) => {
                let body = self.polling.body(session);
                let since = waiting(session).or(body)?.0;
                let bytes = [waiting(session), body].into_iter().flatten().map(|(_, bytes)| bytes).sum();
                Some((Mark::Since(since), bytes))
            }
        }
    }
}
