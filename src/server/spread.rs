//! What many get is not written to all of them in one piece: others would wait for that. Layer 3.
//!
//! What one read brings for audiences is written at once for as long as nobody notices; whoever comes after that has it in
//! its queue, one copy for all unless it is tiny, and is offered it in one of the next turns, a slice of them in each. Whoever
//! sent it is not heard until all of them were, so that nothing piles up; a receiver that takes nothing is no reason to wait.
//!
//! Time is measured, not only bytes: the system takes 16 KiB in two microseconds for a client that reads and in fifty for one
//! that does not, and putting off what would have been written in no time costs a copy.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::conn::{Behind, ConnId, Phase};
use super::exchange::Exchange;
use crate::net::reactor::Turn;

/// The number under which the loop's revisit list knows the next slice; listeners' are below.
pub(super) const SPREAD: u32 = u32::MAX;

/// What one member gets is short up to this length: the system takes microseconds for it however many bytes they are, and
/// putting it off would add a tenth to that.
const SHORT_BYTES: usize = 4096;

/// For how long a batch, or a slice of what was put off, may be written while others wait.
const PATIENCE: Duration = Duration::from_micros(200);

/// Bytes that a batch writes to audiences at once however long that takes, each member's counted: while they are short, 125
/// of them for a thousand, and otherwise.
const SHORT_AT_ONCE_BYTES: usize = 128 * 1024;
const AT_ONCE_BYTES: usize = 16 * 1024;

/// Bytes that are offered in one turn however long that takes.
const SLICE_BYTES: usize = 16 * 1024;

/// What an offer costs beside its bytes, as bytes.
const OFFER_BYTES: usize = 1024;

/// Steps that are put off at most, for the memory of their places in queues.
const MOST_STEPS: usize = 32 * 1024;

/// What was put off, in order.
#[derive(Debug)]
pub(super) struct Spread {
    steps: VecDeque<Step>,
    /// For how long others wait for what is written at once.
    patience: Duration,
    /// Since when this batch is written, once that matters.
    began: Option<Instant>,
    /// Bytes that this batch has written at once.
    written: usize,
    /// Whether the next slice is on the loop's list.
    is_due: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// This connection is to be offered what waits for it.
    Offer(ConnId),
    /// This one may be heard again.
    Hear(ConnId),
}

impl Default for Spread {
    fn default() -> Self {
        Self { steps: VecDeque::new(), patience: PATIENCE, began: None, written: 0, is_due: false }
    }
}

impl Spread {
    /// Where no time passes: only bytes count.
    #[cfg(debug_assertions)]
    pub(super) fn without_clock() -> Self {
        Self { patience: Duration::ZERO, ..Self::default() }
    }

    /// A batch begins. How many steps there are by now.
    #[inline]
    pub(super) fn begin(&mut self) -> usize {
        (self.written, self.began) = (0, None);
        self.steps.len()
    }

    /// Whether a member of an audience is to get its `bytes` later.
    #[inline]
    pub(super) fn puts_off(&mut self, bytes: usize) -> bool {
        let at_once = if bytes <= SHORT_BYTES { SHORT_AT_ONCE_BYTES } else { AT_ONCE_BYTES };
        let is_long = self.written + bytes > at_once;
        if bytes > SHORT_BYTES || is_long {
            let began = *self.began.get_or_insert_with(Instant::now);
            if is_long && began.elapsed() >= self.patience && self.steps.len() < MOST_STEPS {
                return true;
            }
        }
        self.written += bytes;
        false
    }

    /// Has `id` be offered what waits for it.
    pub(super) fn offer_later(&mut self, id: ConnId) {
        self.steps.push_back(Step::Offer(id));
    }

    /// Has the loop come back for the next slice, if there is one.
    #[inline]
    pub(super) fn end_turn(&mut self, turn: &mut Turn) {
        if !self.steps.is_empty() && !self.is_due {
            self.is_due = true;
            turn.revisit(SPREAD);
        }
    }
}

impl Exchange {
    /// A batch is written, of which `reader` is the cause. If it made the steps more than `before`, that waits until they are
    /// done.
    #[inline]
    pub(super) fn await_spread(&mut self, before: usize, reader: Option<ConnId>) {
        if self.spread.steps.len() > before
            && let Some(reader) = reader
            && self.pause(reader, Behind::SPREAD)
        {
            self.spread.steps.push_back(Step::Hear(reader));
        }
    }

    /// One slice of what was put off.
    pub(super) fn spread(&mut self, turn: &mut Turn) {
        self.spread.is_due = false;
        let (began, mut left) = (Instant::now(), SLICE_BYTES);
        while left > 0 || began.elapsed() < self.spread.patience {
            match self.spread.steps.pop_front() {
                Some(Step::Offer(id)) => left = left.saturating_sub(self.offer(turn, id)),
                Some(Step::Hear(id)) => self.hear(turn, id),
                None => return self.spread.steps = VecDeque::new(),
            }
        }
    }

    /// Offers a connection what waits for it; what that costs, as bytes.
    fn offer(&mut self, turn: &mut Turn, id: ConnId) -> usize {
        let Some(conn) = self.conns.get(id as usize).filter(|conn| conn.phase != Phase::Ended) else { return 0 };
        let queued = conn.socket.queued();
        if conn.socket.is_postponed() {
            self.on_writable(turn, id);
            if let Some(conn) = self.conns.get_mut(id as usize)
                && conn.socket.watch()
            {
                self.watch_stall(id);
            }
            return queued + OFFER_BYTES;
        }
        if queued == 0 {
            // It was offered it earlier, as too much waited, and took it.
            self.resume(turn, Behind::socket(id));
        }
        0
    }

    /// Lets a connection be heard again that waited for this.
    fn hear(&mut self, turn: &mut Turn, id: ConnId) {
        if self.conns.get(id as usize).is_some_and(|conn| conn.waits_for == Some(Behind::SPREAD)) {
            self.wait_no_more(id);
            self.go_on(turn, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many members of an audience get `bytes` each at once, of a thousand.
    fn at_once(patience: Duration, bytes: usize) -> usize {
        let mut spread = Spread { patience, ..Spread::default() };
        spread.begin();
        (0..1000).find(|_| spread.puts_off(bytes)).unwrap_or(1000)
    }

    #[test]
    fn while_nobody_has_waited_for_long_nothing_is_put_off() {
        for bytes in [100, SHORT_BYTES, SHORT_BYTES + 1, 1 << 20] {
            assert_eq!(at_once(Duration::MAX, bytes), 1000);
        }
    }

    #[test]
    fn however_long_it_took_so_much_is_written_at_once() {
        assert_eq!(at_once(Duration::ZERO, 100), 1000);
        assert_eq!(at_once(Duration::ZERO, SHORT_BYTES), SHORT_AT_ONCE_BYTES / SHORT_BYTES);
        assert_eq!(at_once(Duration::ZERO, 5000), AT_ONCE_BYTES / 5000);
        assert_eq!(at_once(Duration::ZERO, 1 << 20), 0);
    }

    #[test]
    fn every_batch_begins_anew() {
        let mut spread = Spread::without_clock();
        spread.begin();
        assert!(!spread.puts_off(AT_ONCE_BYTES) && spread.puts_off(AT_ONCE_BYTES));
        spread.begin();
        assert!(!spread.puts_off(AT_ONCE_BYTES) && spread.puts_off(AT_ONCE_BYTES));
    }

    #[test]
    fn what_finds_no_place_is_written_at_once() {
        let mut spread = Spread::without_clock();
        spread.begin();
        for _ in 0..MOST_STEPS {
            assert!(spread.puts_off(1 << 20));
            spread.offer_later(0);
        }
        assert!(!spread.puts_off(1 << 20));
    }
}
