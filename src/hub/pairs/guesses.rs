//! A budget of wrong keys for each address, so that keys cannot be found by trying.
//!
//! A wrong key costs one unit; an address starts with `guess_burst` of them and earns one back every `guess_interval`.
//! With nothing left it may not try at all, not even the right key: an answer that only a wrong key gets would tell a
//! scanner as much as one that only a right key gets. An address is an IPv4 address or an IPv6 /64, which is what one
//! subscriber can change at will. Loopback and sessions without a socket of ours are exempt; an interval of zero exempts
//! everybody.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::Limits;

/// What addresses have spent. Its memory is bounded, whoever tries.
#[derive(Debug, Default)]
pub struct Guesses {
    /// Invariant: `spent.len() ≤ MAX_ADDRESSES`.
    spent: HashMap<Address, Budget>,
    /// Once `spent` is full, newcomers share the budget of their wider network. Nobody is thrown out for them: that
    /// would hand a scanner with enough addresses a fresh budget for each. Empty, or `SHARED` long.
    shared: Vec<Budget>,
    /// The number of addresses at which restored budgets are dropped, and the earliest time.
    sweep: Option<(usize, Instant)>,
}

/// An IPv4 address as its mapped IPv6 address, or the first half of an IPv6 address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Address {
    V4(u32),
    V6(u64),
}

/// When everything that was spent will have been earned back. In the past: nothing is missing.
#[derive(Clone, Copy, Debug)]
struct Budget {
    restored: Option<Instant>,
}

impl Guesses {
    /// How long `address` must wait before it may try a key; `None` when it may now.
    #[must_use]
    pub fn wait(&self, address: Option<IpAddr>, now: Instant, limits: &Limits) -> Option<Duration> {
        let address = Address::limited(address?)?;
        match self.spent.get(&address) {
            Some(budget) => budget.wait(now, limits),
            None if self.spent.len() < MAX_ADDRESSES => None,
            None => self.shared.get(address.network()).and_then(|budget| budget.wait(now, limits)),
        }
    }

    /// Charges `address` for a wrong key.
    pub fn charge(&mut self, address: Option<IpAddr>, now: Instant, limits: &Limits) {
        let Some(address) = address.and_then(Address::limited) else {
            return;
        };
        if !self.spent.contains_key(&address) {
            self.drop_restored(now, limits);
        }
        let is_full = self.spent.len() >= MAX_ADDRESSES;
        let budget = match self.spent.get_mut(&address) {
            Some(budget) => budget,
            None if is_full => {
                self.shared.resize(SHARED, Budget::UNTOUCHED);
                &mut self.shared[address.network()]
            }
            None => self.spent.entry(address).or_insert(Budget::UNTOUCHED),
        };
        budget.charge(now, limits);
    }

    /// Addresses that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spent.len()
    }

    /// Whether no address is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spent.is_empty()
    }

    /// Forgets addresses that have earned everything back, each time their number has doubled, and at most once in a
    /// `guess_interval`: whoever comes with ever new addresses does not pay us in sweeps.
    fn drop_restored(&mut self, now: Instant, limits: &Limits) {
        let (count, earliest) = *self.sweep.get_or_insert((FIRST_SWEEP, now));
        if self.spent.len() < count || now < earliest {
            return;
        }
        self.spent.retain(|_, budget| !budget.is_restored(now));
        if self.spent.len() < MAX_ADDRESSES && self.shared.iter().all(|budget| budget.is_restored(now)) {
            self.shared = Vec::new();
        }
        let count = (self.spent.len() * 2).clamp(FIRST_SWEEP, MAX_ADDRESSES);
        self.spent.shrink_to(count);
        self.sweep = Some((count, now.checked_add(limits.guess_interval).unwrap_or(now)));
    }
}

impl Address {
    /// Whom a limit for this address binds; nobody for loopback.
    fn limited(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        if address.is_loopback() {
            return None;
        }
        Some(match address {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        })
    }

    /// The place in [`Guesses::shared`]: one for each IPv4 /8, and one that an IPv6 /32 shares with few others.
    fn network(self) -> usize {
        match self {
            Self::V4(address) => address.to_be_bytes()[0].into(),
            Self::V6(half) => {
                let [a, b, c, d, ..] = half.to_be_bytes();
                SHARED / 2 + usize::from(a ^ b.rotate_left(2) ^ c.rotate_left(4) ^ d.rotate_left(6))
            }
        }
    }
}

impl Budget {
    const UNTOUCHED: Self = Self { restored: None };

    fn is_restored(self, now: Instant) -> bool {
        self.restored.is_none_or(|restored| restored <= now)
    }

    /// What is missing, as the time it takes to earn it.
    fn missing(self, now: Instant) -> Duration {
        self.restored.map_or(Duration::ZERO, |restored| restored.saturating_duration_since(now))
    }

    fn wait(self, now: Instant, limits: &Limits) -> Option<Duration> {
        // A burst of none would lock everybody out; configuration demands at least one.
        let usable = limits.guess_interval.saturating_mul(limits.guess_burst.max(1) - 1);
        self.missing(now).checked_sub(usable).filter(|wait| !wait.is_zero())
    }

    fn charge(&mut self, now: Instant, limits: &Limits) {
        let missing = self.missing(now).saturating_add(limits.guess_interval).min(LONGEST_DEBT);
        self.restored = now.checked_add(missing).or(self.restored);
    }
}

/// Remembered addresses: about 200 KB.
const MAX_ADDRESSES: usize = 4096;

/// Budgets for networks, half of them for IPv6: 8 KB, once there are more scanners than [`MAX_ADDRESSES`].
const SHARED: usize = 512;

/// A century: what no clock overflows at.
const LONGEST_DEBT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Addresses below which sweeping is not worth it.
const FIRST_SWEEP: usize = 64;

#[cfg(test)]
mod tests;
