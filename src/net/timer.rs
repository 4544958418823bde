//! A coarse timer wheel with lazy re-arming. Layer 1.
//!
//! Everything that times out here does so after seconds, and nearly every deadline is overwritten by traffic before it
//! passes. So a deadline is a number in its owner's [`Alarm`], overwriting it costs one store, and the wheel holds one
//! live entry per owner, which looks at that number when it comes round: too early, and the entry moves on.

use std::time::{Duration, Instant};

/// The wheel's resolution. A deadline passes up to two ticks late and never early.
const TICK: Duration = Duration::from_millis(50);

/// Slots, a power of two; deadlines further away than `SLOTS` ticks (51 s) are looked at once a turn.
const SLOTS: u64 = 1024;

/// Words of the map of occupied slots.
const WORDS: usize = (SLOTS / 64) as usize;

/// A span of time in the wheel's unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticks(u32);

impl From<Duration> for Ticks {
    /// Rounds up, and down to half of what a deadline can hold (3.4 years).
    fn from(span: Duration) -> Self {
        let ticks = span.as_millis().div_ceil(TICK.as_millis()).clamp(1, u128::from(u32::MAX / 2));
        Self(u32::try_from(ticks).expect("clamped"))
    }
}

/// An owner's deadline. Stamps are ticks cut to 32 bits and compared by wrapping difference, so the wheel may run for
/// years; 0 means none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alarm {
    due: u32,
    /// The tick in whose slot the owner's live entry waits; entries of other ticks are stale.
    armed: u32,
}

/// An entry that came round: its owner and the stamp it was armed with.
#[derive(Clone, Copy, Debug)]
pub struct Fired {
    /// Whose entry it is.
    pub owner: u32,
    stamp: u32,
}

/// The wheel. Owners are numbers of the caller's choice.
#[derive(Debug)]
pub struct Wheel {
    start: Instant,
    /// The first tick whose slot has not been emptied: the one that the present lies in.
    tick: u64,
    slots: Vec<Vec<u32>>,
    /// Bit n is set if `slots[n]` has entries.
    occupied: [u64; WORDS],
}

impl Wheel {
    /// An empty wheel that begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Self { start: now, tick: 0, slots, occupied: [0; WORDS] }
    }

    /// Sets or moves `owner`'s deadline to `after` from now.
    #[inline]
    pub fn set(&mut self, alarm: &mut Alarm, owner: u32, after: Ticks) {
        let due = self.tick + u64::from(after.0);
        alarm.due = stamp(due);
        if alarm.armed == 0 || is_before(alarm.due, alarm.armed) {
            self.arm(alarm, owner, due);
        }
    }

    /// Takes a deadline away; its entry is dropped when it comes round.
    pub fn clear(alarm: &mut Alarm) {
        alarm.due = 0;
    }

    /// How long the loop may sleep; `None` if nothing waits.
    #[must_use]
    pub fn timeout(&self, now: Instant) -> Option<Duration> {
        let here = self.tick % SLOTS;
        let (first, bit) = ((here / 64) as usize, here % 64);
        let ahead = (0..=WORDS).find_map(|step| {
            let word = (first + step) % WORDS;
            let reachable = match step {
                0 => u64::MAX << bit,
                WORDS => !(u64::MAX << bit),
                _ => u64::MAX,
            };
            let bits = self.occupied[word] & reachable;
            (bits != 0).then(|| (word as u64 * 64 + u64::from(bits.trailing_zeros()) + SLOTS - here) % SLOTS)
        })?;
        let after_start = Duration::from_millis((self.tick + ahead + 1) * TICK.as_millis() as u64);
        Some(after_start.saturating_sub(now.saturating_duration_since(self.start)))
    }

    /// Moves the wheel to `now` and appends what came round to `fired`.
    pub fn advance(&mut self, now: Instant, fired: &mut Vec<Fired>) {
        let elapsed = now.saturating_duration_since(self.start).as_millis() / TICK.as_millis();
        let target = u64::try_from(elapsed).unwrap_or(u64::MAX).max(self.tick);
        // After a long sleep one turn looks at every slot; more turns would look at the same ones again.
        for tick in (self.tick..target).take(SLOTS as usize) {
            let slot = (tick % SLOTS) as usize;
            if self.occupied[slot / 64] & 1 << (slot % 64) != 0 {
                self.occupied[slot / 64] &= !(1 << (slot % 64));
                let entries = std::mem::take(&mut self.slots[slot]);
                fired.extend(entries.into_iter().map(|owner| Fired { owner, stamp: stamp(tick) }));
            }
        }
        self.tick = target;
    }

    /// Whether `fired` means that its owner's deadline has passed. One that was moved meanwhile is armed anew, one of
    /// an owner that is gone or has another entry is dropped.
    pub fn has_passed(&mut self, alarm: &mut Alarm, fired: Fired) -> bool {
        if alarm.armed != fired.stamp {
            return false;
        }
        alarm.armed = 0;
        if alarm.due == 0 {
            return false;
        }
        let now = stamp(self.tick);
        if is_before(alarm.due, now) {
            alarm.due = 0;
            return true;
        }
        self.arm(alarm, fired.owner, self.tick + u64::from(alarm.due.wrapping_sub(now)));
        false
    }

    fn arm(&mut self, alarm: &mut Alarm, owner: u32, due: u64) {
        let at = due.min(self.tick + SLOTS - 1);
        let slot = (at % SLOTS) as usize;
        self.slots[slot].push(owner);
        self.occupied[slot / 64] |= 1 << (slot % 64);
        alarm.armed = stamp(at);
    }
}

/// A tick as an [`Alarm`] keeps it.
fn stamp(tick: u64) -> u32 {
    (tick as u32).max(1)
}

/// Whether stamp `a` lies before `b`, the two being less than half the stamps apart.
fn is_before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Drives a wheel by sleeping exactly as long as it asks.
    fn run(wheel: &mut Wheel, alarms: &mut [Alarm], clock: &mut Instant, until: Instant) -> Vec<(u32, Duration)> {
        let (start, mut passed) = (*clock, Vec::new());
        while let Some(sleep) = wheel.timeout(*clock) {
            *clock += sleep;
            if *clock > until {
                break;
            }
            let mut fired = Vec::new();
            wheel.advance(*clock, &mut fired);
            for entry in fired {
                if wheel.has_passed(&mut alarms[entry.owner as usize], entry) {
                    passed.push((entry.owner, *clock - start));
                }
            }
        }
        passed
    }

    #[test]
    fn deadlines_pass_in_time_and_never_early() {
        let mut clock = Instant::now();
        let mut wheel = Wheel::new(clock);
        let spans = [1, 49, 50, 51, 999, 5_000, 51_150, 51_250, 120_000, 400_000].map(Duration::from_millis);
        let mut alarms = [Alarm::default(); 10];
        for (owner, span) in spans.iter().enumerate() {
            wheel.set(&mut alarms[owner], owner as u32, Ticks::from(*span));
        }
        let end = clock + Duration::from_secs(1000);
        let passed = run(&mut wheel, &mut alarms, &mut clock, end);
        assert_eq!(passed.len(), spans.len());
        for (owner, at) in passed {
            let span = spans[owner as usize];
            assert!(at >= span && at <= span + 3 * TICK, "{span:?} passed at {at:?}");
        }
        assert_eq!(wheel.timeout(clock), None, "nothing is left to wake up for");
    }

    #[test]
    fn traffic_moves_a_deadline_without_a_second_entry() {
        let mut clock = Instant::now();
        let mut wheel = Wheel::new(clock);
        let mut alarms = [Alarm::default()];
        let start = clock;
        for _ in 0..1000 {
            clock += Duration::from_millis(10);
            wheel.advance(clock, &mut Vec::new());
            wheel.set(&mut alarms[0], 0, Ticks::from(Duration::from_secs(1)));
        }
        assert!(wheel.slots.iter().map(Vec::len).sum::<usize>() <= 1);
        let (moved, end) = (clock, clock + Duration::from_secs(60));
        wheel.set(&mut alarms[0], 0, Ticks::from(Duration::from_secs(1)));
        let passed = run(&mut wheel, &mut alarms, &mut clock, end);
        assert!(passed.len() <= 1, "at most once, {:?} after {:?}", passed, moved - start);
    }

    /// T41: what is left of those who had a number before wakes nobody, and goes.
    #[test]
    fn entries_of_those_who_are_gone_vanish() {
        let mut clock = Instant::now();
        let mut wheel = Wheel::new(clock);
        for _ in 0..100 {
            let mut gone = Alarm::default();
            wheel.set(&mut gone, 0, Ticks::from(Duration::from_secs(1)));
            clock += Duration::from_millis(60);
            wheel.advance(clock, &mut Vec::new());
        }
        let mut alarms = [Alarm::default()];
        wheel.set(&mut alarms[0], 0, Ticks::from(Duration::from_secs(30)));
        let end = clock + Duration::from_secs(10);
        assert!(run(&mut wheel, &mut alarms, &mut clock, end).is_empty());
        assert_eq!(wheel.slots.iter().map(Vec::len).sum::<usize>(), 1);
    }

    #[test]
    fn a_deadline_may_move_forward() {
        let mut clock = Instant::now();
        let mut wheel = Wheel::new(clock);
        let mut alarms = [Alarm::default()];
        wheel.set(&mut alarms[0], 0, Ticks::from(Duration::from_secs(40)));
        wheel.set(&mut alarms[0], 0, Ticks::from(Duration::from_secs(1)));
        let end = clock + Duration::from_secs(100);
        let passed = run(&mut wheel, &mut alarms, &mut clock, end);
        assert_eq!(passed.len(), 1);
        assert!(passed[0].1 < Duration::from_secs(2));
    }
}
