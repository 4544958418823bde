//! The loop: wait for readiness, hand it out, look at what has to be looked at again, let deadlines pass. Layer 1.
//!
//! Readiness is edge-triggered. Whoever stops before a socket is drained, because its share of this turn is used up or
//! because it must wait for somebody else, asks to be revisited: nothing else would wake it. One turn is
//!
//! 1. `poll`: sleep until readiness or the next deadline, not at all if somebody is to be revisited;
//! 2. read the clocks, once for the whole turn;
//! 3. `on_ready` for each event, then `on_revisit`, then `on_deadline`, so many in one turn: the rest in the next;
//! 4. `on_turn_end`, where removed connections are really removed: until then their slots stay taken, so a late event
//!    of this turn never reaches a stranger.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant, SystemTime};

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};

use super::timer::{Fired, Wheel};

/// Events taken from the system at once, so that what has just become ready does not wait for hundreds of others.
const EVENTS_PER_TURN: usize = 64;

/// Connections that are revisited in one turn, and deadlines that pass: thousands may have come together.
const REVISITS_PER_TURN: usize = 64;
const DEADLINES_PER_TURN: usize = 16;

/// What the system, or what stands in for it, says of one socket.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// The socket's.
    pub token: Token,
    /// A receive would bring something.
    pub is_readable: bool,
    /// A write would be taken.
    pub is_writable: bool,
    /// The peer has finished, or the connection is broken: what no later readiness announces again.
    pub has_ended: bool,
}

impl From<&Event> for Readiness {
    #[inline]
    fn from(event: &Event) -> Self {
        Self {
            token: event.token(),
            is_readable: event.is_readable(),
            is_writable: event.is_writable(),
            has_ended: event.is_read_closed() || event.is_error(),
        }
    }
}

/// What the loop calls.
pub trait Handler {
    /// A socket is ready.
    fn on_ready(&mut self, turn: &mut Turn, ready: Readiness);

    /// A connection asked to be looked at again.
    fn on_revisit(&mut self, turn: &mut Turn, id: u32);

    /// An entry of the wheel came round (see [`Wheel::has_passed`]).
    fn on_deadline(&mut self, turn: &mut Turn, fired: Fired);

    /// Everything of this turn has been handed out. `false` ends the loop.
    fn on_turn_end(&mut self, turn: &mut Turn) -> bool;
}

/// What a handler may use while it is called.
#[derive(Debug)]
pub struct Turn {
    /// Where sockets are registered.
    pub registry: Registry,
    /// The clock, read once for this turn.
    pub now: Instant,
    /// The wall clock, read along with it.
    pub wall: SystemTime,
    /// Deadlines.
    pub wheel: Wheel,
    revisits: Vec<u32>,
}

impl Turn {
    /// Asks for [`Handler::on_revisit`] before the loop sleeps again, after everybody who asked before.
    pub fn revisit(&mut self, id: u32) {
        self.revisits.push(id);
    }
}

/// The loop's own state.
#[derive(Debug)]
pub struct Reactor {
    poll: Poll,
    turn: Turn,
    /// Empty between two turns; kept for their memory.
    revisits: Vec<u32>,
    /// Deadlines that are to pass.
    fired: Vec<Fired>,
}

impl Reactor {
    /// A loop with nothing registered.
    ///
    /// # Errors
    /// As `epoll_create(2)` or its like.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let (now, wall) = (Instant::now(), SystemTime::now());
        let turn = Turn { registry, now, wall, wheel: Wheel::new(now), revisits: Vec::new() };
        Ok(Self { poll, turn, revisits: Vec::new(), fired: Vec::new() })
    }

    /// For registrations before the loop runs.
    pub fn turn(&mut self) -> &mut Turn {
        &mut self.turn
    }

    /// Runs until a turn ends with `false`.
    ///
    /// # Errors
    /// As `epoll_wait(2)` or its like.
    pub fn run(&mut self, handler: &mut impl Handler) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            let ready = events.iter().map(Readiness::from);
            if !self.hand_out((Instant::now(), SystemTime::now()), ready, handler) {
                return Ok(());
            }
        }
    }

    /// How long the loop may sleep; `None` until something is ready.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let is_done = self.turn.revisits.is_empty() && self.fired.is_empty();
        if is_done { self.turn.wheel.timeout(self.turn.now) } else { Some(Duration::ZERO) }
    }

    /// One turn behind the poll, steps 2 to 4: whether the loop goes on.
    #[inline]
    pub(crate) fn hand_out(
        &mut self,
        (now, wall): (Instant, SystemTime),
        ready: impl Iterator<Item = Readiness>,
        handler: &mut impl Handler,
    ) -> bool {
        let Self { turn, revisits, fired, .. } = self;
        (turn.now, turn.wall) = (now, wall);
        turn.wheel.advance(now, fired);
        revisits.extend(turn.revisits.drain(..turn.revisits.len().min(REVISITS_PER_TURN)));
        for ready in ready {
            handler.on_ready(turn, ready);
        }
        for id in revisits.drain(..) {
            handler.on_revisit(turn, id);
        }
        for entry in fired.drain(..fired.len().min(DEADLINES_PER_TURN)) {
            handler.on_deadline(turn, entry);
        }
        handler.on_turn_end(turn)
    }
}

/// A connection's number as mio's token.
#[must_use]
pub fn token(id: u32) -> Token {
    Token(id as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::timer::{Alarm, Ticks};

    /// What a turn handed out.
    #[derive(Default)]
    struct Recorder {
        revisits: Vec<u32>,
        deadlines: usize,
    }

    impl Handler for Recorder {
        fn on_ready(&mut self, _: &mut Turn, _: Readiness) {}

        fn on_revisit(&mut self, turn: &mut Turn, id: u32) {
            self.revisits.push(id);
            if id == 0 {
                turn.revisit(1000);
            }
        }

        fn on_deadline(&mut self, _: &mut Turn, _: Fired) {
            self.deadlines += 1;
        }

        fn on_turn_end(&mut self, _: &mut Turn) -> bool {
            true
        }
    }

    /// Turns until the loop would sleep; what each handed out.
    fn turns(reactor: &mut Reactor, now: Instant) -> Vec<Recorder> {
        let mut turns = Vec::new();
        while turns.is_empty() || reactor.patience() == Some(Duration::ZERO) {
            let mut recorder = Recorder::default();
            assert!(reactor.hand_out((now, SystemTime::now()), std::iter::empty(), &mut recorder));
            turns.push(recorder);
        }
        turns
    }

    #[test]
    fn a_crowd_that_is_revisited_takes_several_turns_in_its_order() {
        let mut reactor = Reactor::new().expect("a loop");
        (0..1000).for_each(|id| reactor.turn().revisit(id));
        assert_eq!(reactor.patience(), Some(Duration::ZERO));
        let now = reactor.turn().now;
        let turns = turns(&mut reactor, now);
        assert!(turns.iter().all(|turn| turn.revisits.len() <= REVISITS_PER_TURN), "{}", turns.len());
        let order: Vec<u32> = turns.into_iter().flat_map(|turn| turn.revisits).collect();
        assert!(order.into_iter().eq(0..=1000), "somebody is forgotten or was let in before others");
    }

    #[test]
    fn deadlines_that_come_together_take_several_turns() {
        let mut reactor = Reactor::new().expect("a loop");
        let mut alarms: Vec<_> = (0..500).map(|_| Alarm::default()).collect();
        for (owner, alarm) in (0..).zip(&mut alarms) {
            reactor.turn().wheel.set(alarm, owner, Ticks::from(Duration::from_secs(1)));
        }
        let later = reactor.turn().now + Duration::from_secs(2);
        let turns = turns(&mut reactor, later);
        assert!(turns.iter().all(|turn| turn.deadlines <= DEADLINES_PER_TURN), "{}", turns.len());
        assert_eq!(turns.iter().map(|turn| turn.deadlines).sum::<usize>(), 500);
    }
}
