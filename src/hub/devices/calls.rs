//! Calls: events that were passed on from one device to another and wait for its answer. Layer 2.
//!
//! A call has a number of ours, under which the callee answers, and belongs to its caller, whose affair its time limit
//! is: all calls take equally long, so the oldest is the next to expire.

use std::collections::VecDeque;
use std::time::Instant;

use slab::Slab;

use super::{DeviceId, Devices, NoRoom};

/// What a caller asked for, which decides how it hears that nobody answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// An event, with an answer that only the two understand.
    Emit,
    /// To be the other's partner.
    Register,
    /// To be its partner's partner in a stream.
    RegisterStream,
    /// To be told when the other leaves.
    Target,
    /// A stream.
    Stream,
}

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Call {
    /// Who asked.
    pub caller: DeviceId,
    /// Who is to answer.
    pub callee: DeviceId,
    /// What for.
    pub purpose: Purpose,
    /// The number under which the caller wants its answer, if it wants one.
    pub ack: Option<u64>,
    /// When it expires.
    pub until: Instant,
}

/// All calls that wait.
#[derive(Debug, Default)]
pub struct Calls {
    table: Slab<(u64, Call)>,
    serial: u64,
}

/// The numbers of one device's calls, oldest first, some of which are over. Invariant: the front is not, and
/// `numbers.len() ≤ 2 × live + SLACK`.
#[derive(Debug, Default)]
pub(super) struct Open {
    numbers: VecDeque<u64>,
    live: usize,
}

impl Open {
    /// How many are not over.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    fn push(&mut self, number: u64) {
        self.numbers.push_back(number);
        self.live += 1;
    }

    /// One of them is over.
    fn settle(&mut self, calls: &Calls) {
        self.live -= 1;
        while self.numbers.front().is_some_and(|number| calls.get(*number).is_none()) {
            self.numbers.pop_front();
        }
        if self.numbers.len() > 2 * self.live + SLACK {
            self.numbers.retain(|number| calls.get(*number).is_some());
        }
        if self.live == 0 && self.numbers.capacity() > 4 * SLACK {
            self.numbers = VecDeque::new();
        }
    }
}

impl Calls {
    fn get(&self, number: u64) -> Option<&Call> {
        let (its_number, call) = self.table.get((number % SLOTS) as usize)?;
        (*its_number == number).then_some(call)
    }

    /// A number is its slot and a count, so that it finds its call without a search and never means a later one.
    fn insert(&mut self, call: Call) -> Result<u64, NoRoom> {
        let entry = self.table.vacant_entry();
        let slot = entry.key() as u64;
        if slot >= SLOTS {
            return Err(NoRoom::Full);
        }
        self.serial = self.serial % SERIALS + 1;
        let number = self.serial * SLOTS + slot;
        entry.insert((number, call));
        Ok(number)
    }
}

impl Devices {
    /// Notes a call, of which its caller may have `limit` at once, and gives it a number.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn call(&mut self, call: Call, limit: usize) -> Result<u64, NoRoom> {
        let (caller, callee) = (self.get(call.caller), self.get(call.callee));
        let Some(caller) = caller.filter(|caller| caller.outgoing.live < limit && callee.is_some()) else {
            return Err(NoRoom::Full);
        };
        if !caller.may_keep_more() {
            return Err(NoRoom::NoMemory);
        }
        let number = self.calls.insert(call)?;
        for (id, is_caller) in [(call.caller, true), (call.callee, false)] {
            let device = self.get_mut(id).expect("it was here a moment ago");
            let open = if is_caller { &mut device.outgoing } else { &mut device.incoming };
            open.push(number);
            device.weigh();
        }
        Ok(number)
    }

    /// Ends the call that `callee` was to answer under this number.
    pub fn answer(&mut self, callee: DeviceId, number: u64) -> Option<Call> {
        self.calls.get(number).filter(|call| call.callee == callee)?;
        self.end(number)
    }

    /// Whether anybody waits for this answer.
    #[must_use]
    pub fn is_waited_for(&self, number: u64) -> bool {
        self.calls.get(number).is_some()
    }

    /// Ends the oldest call of `caller` that has expired.
    pub fn expired(&mut self, caller: DeviceId, now: Instant) -> Option<Call> {
        let number = *self.get(caller)?.outgoing.numbers.front()?;
        self.calls.get(number).filter(|call| call.until <= now)?;
        self.end(number)
    }

    /// When the oldest call of `caller` expires.
    #[inline]
    #[must_use]
    pub fn expiry(&self, caller: DeviceId) -> Option<Instant> {
        let number = *self.get(caller)?.outgoing.numbers.front()?;
        self.calls.get(number).map(|call| call.until)
    }

    /// Ends a call that `caller` made: it does not want to know any more.
    pub fn withdraw(&mut self, caller: DeviceId) -> Option<Call> {
        let number = *self.get(caller)?.outgoing.numbers.front()?;
        self.end(number)
    }

    /// Ends a call that `callee` will not answer any more.
    pub fn unanswered(&mut self, callee: DeviceId) -> Option<Call> {
        let number = *self.get(callee)?.incoming.numbers.front()?;
        self.end(number)
    }

    /// How many calls wait.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.table.len()
    }

    fn end(&mut self, number: u64) -> Option<Call> {
        let (_, call) = self.calls.table.try_remove((number % SLOTS) as usize)?;
        for (id, is_caller) in [(call.caller, true), (call.callee, false)] {
            let slot = id.slot as usize;
            if let Some(device) = self.table.get_mut(slot).filter(|device| device.serial == id.serial) {
                let open = if is_caller { &mut device.outgoing } else { &mut device.incoming };
                open.settle(&self.calls);
                device.weigh();
            }
        }
        if self.calls.table.is_empty() && self.calls.table.capacity() > KEPT {
            self.calls.table = Slab::new();
        }
        Some(call)
    }
}

/// Calls that can wait at once, in the whole server.
const SLOTS: u64 = 1 << 21;

/// How many calls are counted before the count starts again; numbers stay below 10^15, which every client can hold.
const SERIALS: u64 = (1 << 28) - 1;

/// Numbers of calls that are over which are kept rather than sorted out.
const SLACK: usize = 16;

/// Room for calls that is kept when none wait.
const KEPT: usize = 1024;

#[cfg(test)]
impl Calls {
    /// How many calls a device made, or has to answer.
    pub(super) fn of(&self, id: DeviceId, is_caller: bool) -> usize {
        let of = |call: &Call| if is_caller { call.caller } else { call.callee };
        self.table.iter().filter(|(_, (_, call))| of(call) == id).count()
    }
}

#[cfg(test)]
impl Open {
    /// How many of them are not over, and whether the invariants hold.
    pub(super) fn counts(&self, calls: &Calls) -> (usize, bool) {
        let is_live = |number: &&u64| calls.get(**number).is_some();
        let is_sorted = self.numbers.front().is_none_or(|front| is_live(&front));
        let live = self.numbers.iter().filter(is_live).count();
        (live, is_sorted && self.numbers.len() <= 2 * live + SLACK)
    }
}
