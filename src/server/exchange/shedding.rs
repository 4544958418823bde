//! What happens when there is too much of something: clients that take nothing, memory, connections. Layer 3.
//!
//! As memory fills up ([`crate::memory`]), these happen one after the other:
//!
//! 1. *scarce*, from half on: devices get no more rooms, services, targets and calls than a few each, and links may tell of
//!    nobody new, so that what they may hold for as long as they like leaves room for whoever comes;
//! 2. *tight*, from three quarters on: nobody new is let in (503), reads bring less the less room there is, and whoever sends
//!    to one receiver waits as soon as that falls behind at all and until it has caught up, so that pairs and bridges stop
//!    growing instead of losing anything; whoever has begun a message and does not finish it ([`super::halves`]) is closed,
//!    until five eighths are left;
//! 3. *slow*, from seven eighths on: who has taken nothing for longest is closed;
//! 4. *full*: who holds most is closed, until there is room again.
//!
//! The first two are asked where it matters, all but the first after each event, for the price of reading one number.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::CloseCode;

use super::super::conn::{ConnId, Ending, Phase};
use super::{Exchange, FAREWELL_OWNER, STALL_OWNER};
use crate::http::response::{Framing, refuse};
use crate::hub::SessionId;
use crate::memory::{is_crowded, room};
use crate::net::reactor::Turn;
use crate::net::scratch::SCRATCH_BYTES;
use crate::net::tcp::TcpStream;
use crate::net::timer::{Alarm, Fired};
use crate::protocol::Session;

/// The part of the room that is left below the slow mark which one read may bring while memory is tight, and what it brings
/// at least, in bytes.
const TIGHT_READ_PART: usize = 64;
const TIGHT_READ_BYTES: usize = 2048;

/// Who has taken nothing for less than this is not called slow.
const SLOW: Duration = Duration::from_secs(1);

/// How often, at least, it is looked who has taken nothing, and how often at most when memory runs out.
const SWEEP: Duration = Duration::from_secs(1);

/// Connections that are looked at at once: each may cost a write.
const SWEEP_SHARE: usize = 16;

/// Why a connection goes that is slow while memory is short.
const SLOWEST: &str = "memory is short, and it has taken nothing for longest (--max-memory)";

/// Why a connection goes that holds much while memory is short.
const LARGEST: &str = "memory is short, and it holds most (--max-memory)";

/// Bytes on the account from which on something happens; `usize::MAX` for never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// Whether there are too many already to let anybody in, however little is charged.
    is_crowded: bool,
    /// From here on devices may keep little more.
    scarce: usize,
    /// Below it nobody is watched any more.
    pub(super) calm: usize,
    tight: usize,
    slow: usize,
    full: usize,
}

impl Marks {
    /// Those of a process that is to stay below a ceiling with so many connections; 0 is none.
    pub(super) fn of(ceiling: usize, connections: usize) -> Self {
        let eighths = |count| if ceiling == 0 { usize::MAX } else { room(ceiling, connections) / 8 * count };
        let is_crowded = ceiling > 0 && is_crowded(ceiling, connections);
        Self { is_crowded, scarce: eighths(4), calm: eighths(5), tight: eighths(6), slow: eighths(7), full: eighths(8) }
    }
}

/// Connections for which something waits.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    by_conn: HashMap<ConnId, Stall>,
    /// Those that are still to be looked at in this sweep, which goes on in shares.
    round: Vec<ConnId>,
    /// How long each share of it has.
    pace: Duration,
    alarm: Alarm,
    /// Those who have taken nothing for longest, the slowest last, and when they were looked for.
    slowest: Vec<(Instant, ConnId)>,
    looked_at: Option<Instant>,
}

/// How much a connection had taken, and since when that is so, to the precision of a sweep.
#[derive(Clone, Copy, Debug)]
struct Stall {
    taken: u64,
    since: Instant,
}

impl Exchange {
    /// Whether nobody new is to be let in.
    pub(in crate::server) fn is_closed(&self) -> bool {
        self.is_tight() || self.marks.is_crowded
    }

    /// Connections and sessions that poll, each of which takes something whatever is charged for it.
    pub(in crate::server) fn holders(&self) -> usize {
        self.conns.len() + self.polling.len()
    }

    /// Whether there is so much that those who are there must do with less.
    #[inline]
    pub(in crate::server) fn is_tight(&self) -> bool {
        self.memory.used() >= self.marks.tight
    }

    /// Whether somebody may have to go.
    #[inline]
    pub(in crate::server) fn is_short(&self) -> bool {
        self.memory.used() >= self.marks.slow
    }

    /// Bytes that may wait for one receiver before its sender pauses.
    #[inline]
    pub(in crate::server) fn high_mark(&self) -> usize {
        let high = self.config.limits.queue_high;
        if self.is_tight() { 0 } else { high }
    }

    /// Bytes that may still wait for a receiver when its sender goes on.
    pub(in crate::server) fn low_mark(&self) -> usize {
        self.high_mark() / 4
    }

    /// Bytes that one receive may bring. Whom they are for, and whether those are behind, is known only when they are here;
    /// the less room there is, the less comes before a sender is found to have to wait.
    #[inline]
    pub(in crate::server) fn read_bytes(&self) -> usize {
        if self.is_tight() { self.tight_read_bytes() } else { SCRATCH_BYTES }
    }

    #[cold]
    fn tight_read_bytes(&self) -> usize {
        let room = self.marks.slow.saturating_sub(self.memory.used());
        (room / TIGHT_READ_PART).clamp(TIGHT_READ_BYTES, SCRATCH_BYTES)
    }

    /// The connections or sessions are more or fewer: so is what is left for what they make us remember.
    #[inline]
    pub(in crate::server) fn set_marks(&mut self) {
        self.marks = Marks::of(self.config.limits.max_memory, self.holders());
        self.memory.set_scarce(self.marks.scarce);
    }

    /// Connections for which something waits, as far as was looked.
    pub(in crate::server) fn stalled(&self) -> usize {
        self.stalls.by_conn.len()
    }

    /// Something waits for a connection that was up to date.
    #[cold]
    pub(in crate::server) fn watch_stall(&mut self, id: ConnId) {
        self.fresh.push(id);
    }

    /// Begins to watch those for which something waits since the last look, and looks again in a while.
    #[cold]
    pub(super) fn watch_fresh(&mut self, turn: &mut Turn) {
        if self.stalls.by_conn.is_empty() {
            let sweep = self.sweep();
            turn.wheel.set(&mut self.stalls.alarm, STALL_OWNER, sweep.into());
        }
        for id in self.fresh.drain(..) {
            self.stalls.by_conn.insert(id, Stall { taken: 0, since: turn.now });
        }
    }

    fn sweep(&self) -> Duration {
        let patience = self.config.limits.write_stall_timeout;
        if patience.is_zero() { SWEEP } else { SWEEP.min(patience / 4) }
    }

    /// Looks who has taken something, and lets go of those who have not for too long: a share of them now, so that however
    /// many there are, nobody else waits for long.
    pub(super) fn on_stall_sweep(&mut self, turn: &mut Turn, fired: Fired) {
        if !turn.wheel.has_passed(&mut self.stalls.alarm, fired) {
            return;
        }
        if self.stalls.round.is_empty() {
            self.stalls.round.extend(self.stalls.by_conn.keys());
            let shares = self.stalls.round.len().div_ceil(SWEEP_SHARE).max(1);
            self.stalls.pace = self.sweep() / u32::try_from(shares).unwrap_or(u32::MAX);
        }
        for _ in 0..SWEEP_SHARE {
            let Some(id) = self.stalls.round.pop() else { break };
            // The system says that a socket takes bytes again when much of what it holds is gone, which may be --max-queue:
            // whether it has taken any is found out by offering some.
            if self.conns.get(id as usize).is_some_and(|conn| conn.phase != Phase::Ended) {
                self.on_writable(turn, id);
            }
            self.look_at_stall(turn, id);
        }
        if self.stalls.by_conn.is_empty() {
            (self.stalls.by_conn, self.stalls.round, self.stalls.slowest) = (HashMap::new(), Vec::new(), Vec::new());
        } else {
            turn.wheel.set(&mut self.stalls.alarm, STALL_OWNER, self.stalls.pace.into());
        }
        self.settle(turn);
    }

    /// Whether a connection that was offered bytes has taken any.
    fn look_at_stall(&mut self, turn: &mut Turn, id: ConnId) {
        let Some(stall) = self.stalls.by_conn.get_mut(&id) else { return };
        let conn = self.conns.get(id as usize).filter(|conn| conn.phase != Phase::Ended);
        let Some((conn, taken)) = conn.and_then(|conn| Some((conn, conn.socket.taken()?))) else {
            self.stalls.by_conn.remove(&id);
            return;
        };
        let patience = self.config.limits.write_stall_timeout;
        if taken != stall.taken {
            *stall = Stall { taken, since: turn.now };
        } else if !patience.is_zero()
            && !conn.end.is_ours()
            && turn.now.saturating_duration_since(stall.since) >= patience
        {
            self.stalls.by_conn.remove(&id);
            self.end(turn, id, &Ending::TimedOut("it takes nothing of what waits for it (--write-stall-timeout)"));
        }
    }

    /// Gives memory back at the cost of those who take most of it. Whether there was anybody.
    #[cold]
    pub(super) fn shed(&mut self, turn: &mut Turn) -> bool {
        let mut has_shed = self.shed_halves(turn, self.marks.slow);
        has_shed |= self.shed_slowest(turn);
        if self.memory.used() < self.marks.full {
            return has_shed;
        }
        let of_devices: HashMap<_, _> =
            self.hub.devices.iter().map(|(_, device)| (device.session, device.weight())).collect();
        let kept = |session: SessionId| {
            let pending = self.sessions.get(session.0 as usize).map_or(0, Session::weight);
            pending + of_devices.get(&session).copied().unwrap_or_default()
        };
        let held = |id: usize| {
            let conn = &self.conns[id];
            conn.held() + self.polling.body_weight(id as ConnId) + conn.session().map_or(0, kept)
        };
        let conns = self.conns.iter().map(|(id, _)| (held(id), Holder::Connection(id as ConnId)));
        let mailboxes =
            self.polling.weights().map(|(bytes, session)| (bytes + kept(session), Holder::Mailbox(session)));
        let mut largest: Vec<(usize, Holder)> = conns.chain(mailboxes).filter(|(bytes, _)| *bytes > 0).collect();
        largest.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (_, holder) in largest {
            if self.memory.used() < self.marks.slow {
                break;
            }
            has_shed |= match holder {
                Holder::Connection(id) => self.shed_one(turn, id, LARGEST),
                Holder::Mailbox(session) => {
                    self.metrics.shed += 1;
                    self.close_mailbox(turn, session, CloseCode::Again, LARGEST);
                    true
                }
            };
        }
        has_shed
    }

    /// Lets some of those go who have taken nothing for longest: no more of them than it takes now, as each may have many bytes
    /// of the system's to be freed while others wait. Whether there was anybody.
    fn shed_slowest(&mut self, turn: &mut Turn) -> bool {
        let is_full = self.memory.used() >= self.marks.full;
        let is_due = self.stalls.looked_at.is_none_or(|at| turn.now.saturating_duration_since(at) >= SWEEP / 8);
        if is_due || is_full && self.stalls.slowest.is_empty() {
            self.stalls.looked_at = Some(turn.now);
            self.look_for_slowest(turn.now);
        }
        let mut has_shed = false;
        while self.memory.used() >= self.marks.slow {
            let Some((since, id)) = self.stalls.slowest.pop() else { break };
            // It may have taken something since, or be gone, and another in its place.
            if self.stalls.by_conn.get(&id).is_some_and(|stall| stall.since == since) {
                has_shed |= self.shed_one(turn, id, SLOWEST);
            }
        }
        has_shed
    }

    fn look_for_slowest(&mut self, now: Instant) {
        let Stalls { by_conn, slowest, .. } = &mut self.stalls;
        slowest.clear();
        slowest.extend(by_conn.iter().map(|(id, stall)| (stall.since, *id)));
        slowest.retain(|(since, id)| {
            let is_behind = self.conns.get(*id as usize).is_some_and(|conn| conn.socket.queued() > 0);
            is_behind && now.saturating_duration_since(*since) >= SLOW
        });
        slowest.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// Ends one connection to get back what it holds. It does not read, so it could not be told why; the log is.
    fn shed_one(&mut self, turn: &mut Turn, id: ConnId, reason: &'static str) -> bool {
        match self.conns.get(id as usize).map(|conn| conn.phase) {
            None | Some(Phase::Ended) => return false,
            Some(Phase::Bridge(session)) => {
                let error = std::io::Error::other(reason);
                self.refusals.count(reason);
                self.bridge_failed(turn, id, session, &error);
            }
            Some(_) => self.end(turn, id, &Ending::Shed(reason)),
        }
        self.metrics.shed += 1;
        true
    }

    /// Tells a client that is not let in why, if that can be done without waiting for it.
    pub(super) fn refuse_at_once(&mut self, turn: &mut Turn, stream: TcpStream, reason: &str) {
        self.farewells.say(stream, reason);
        turn.wheel.set(&mut self.farewells.alarm, FAREWELL_OWNER, FAREWELL.into());
    }
}

/// Who holds memory.
#[derive(Clone, Copy)]
enum Holder {
    Connection(ConnId),
    Mailbox(SessionId),
}

/// Connections kept for a moment after they were told why they are not served: closed at once, with the request still on
/// its way, the system would reset them and the client might never see the answer.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    streams: Vec<TcpStream>,
    alarm: Alarm,
}

/// How many of them; past that the oldest goes.
const MOST_FAREWELLS: usize = 16;

/// For how long.
const FAREWELL: Duration = Duration::from_millis(500);

impl Farewells {
    fn say(&mut self, mut stream: TcpStream, reason: &str) {
        answer(&mut stream, reason);
        if self.streams.len() == MOST_FAREWELLS {
            self.streams.remove(0);
        }
        self.streams.push(stream);
    }

    /// For a connection whose descriptor is needed at once.
    pub(super) fn say_in_passing(&mut self, mut stream: TcpStream, reason: &str) {
        // Those that wait have descriptors that are worth more now.
        self.streams.clear();
        answer(&mut stream, reason);
    }

    pub(super) fn on_deadline(&mut self, turn: &mut Turn, fired: Fired) {
        if turn.wheel.has_passed(&mut self.alarm, fired) {
            self.streams.clear();
        }
    }
}

/// Writes 503 and ends our side, as far as the socket takes it: it is new, so it takes all of it.
fn answer(stream: &mut TcpStream, reason: &str) {
    let mut reply = Vec::with_capacity(256);
    refuse(&mut reply, 503, reason, Framing::CLOSE);
    // What has come already would turn the end into a reset.
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write(&reply);
    let _ = stream.shutdown(Shutdown::Write);
}
