//! Looking up names without making the loop wait. Layer 1.
//!
//! The system's lookup blocks, for ten seconds and more where a name server is silent, so it runs on helper threads. One
//! would let a single dead name server stop everybody; a thread for each lookup would let strangers make threads. There
//! are at most [`THREADS`], started when a lookup waits and ended when none does: a server that bridges nothing has
//! none, and names that hang must be that many at once before others wait. A lookup that is no longer wanted leaves the
//! queue with [`Resolver::forget`], so nobody waits behind those who have given up.
//!
//! Nobody alone can take them all, or make others wait behind what they ask: one address has at most [`THREADS_OF_ONE`],
//! and the next lookup is that of whoever has fewest under way, and among those of whoever's turn is longest past.
//!
//! This judges no address (see [`targets`](super::targets)) and remembers none: the system's resolver has the cache.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Lookups under way at once.
pub const THREADS: usize = 4;
/// Lookups of one asker that are under way at once.
pub const THREADS_OF_ONE: usize = THREADS - 1;
/// Lookups that wait for a thread.
pub const MAX_WAITING: usize = 256;
/// Those of one asker.
pub const MAX_WAITING_OF_ONE: usize = MAX_WAITING / 2;
/// Addresses of one answer; what is beyond them is never dialled.
pub const MAX_ADDRESSES: usize = 16;
/// What a lookup may need: modules of the system's name service run on this stack, and an overrun ends the process.
/// Pages that are not touched cost no memory.
const STACK_BYTES: usize = 256 * 1024;

/// The lookups of one loop.
pub struct Resolver {
    shared: Arc<Shared>,
}

/// A lookup's result, with the ticket under which it was asked for.
pub type Answer = (u64, io::Result<Vec<IpAddr>>);

/// As many lookups wait as may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Busy;

type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<IpAddr>> + Send + Sync;

struct Shared {
    lookup: Box<Lookup>,
    state: Mutex<State>,
}

struct State {
    /// Who has a lookup that waits or is under way, and nobody else; ≤ [`MAX_WAITING`] + [`THREADS`].
    askers: Vec<Asker>,
    /// Invariant: that many wait, ≤ [`MAX_WAITING`], and none unless `running` > 0: a thread takes all that it may before
    /// it ends, and the rest waits for threads that are busy.
    waiting: usize,
    /// Counts turns.
    turns: u64,
    answers: VecDeque<Answer>,
    /// Invariant: ≤ [`THREADS`].
    running: usize,
    /// `None` once the loop is gone.
    waker: Option<Box<dyn Fn() + Send>>,
}

/// Somebody's lookups.
struct Asker {
    /// The address that stands for them; `None` for this machine.
    whom: Option<IpAddr>,
    /// Invariant: ≤ [`MAX_WAITING_OF_ONE`].
    waiting: VecDeque<Request>,
    /// Invariant: ≤ [`THREADS_OF_ONE`].
    under_way: usize,
    /// The number of the turn that it last had, or began to wait in.
    turn: u64,
}

struct Request {
    ticket: u64,
    host: Box<str>,
    port: u16,
}

impl Resolver {
    /// Looks up as the system does. `waker` is called, on a helper thread, whenever an answer has come; it must not
    /// block.
    pub fn new(waker: impl Fn() + Send + 'static) -> Self {
        Self::with_lookup(system, waker)
    }

    /// As [`new`](Self::new), with another way to look up.
    pub fn with_lookup(
        lookup: impl Fn(&str, u16) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
        waker: impl Fn() + Send + 'static,
    ) -> Self {
        let waker: Option<Box<dyn Fn() + Send>> = Some(Box::new(waker));
        let state = State { askers: Vec::new(), waiting: 0, turns: 0, answers: VecDeque::new(), running: 0, waker };
        Self { shared: Arc::new(Shared { lookup: Box::new(lookup), state: Mutex::new(state) }) }
    }

    /// Asks for the addresses of `host`, a name without brackets, port or zone, for `whom`: the address that stands for
    /// who asks, `None` for this machine. The answer comes from [`next_answer`](Self::next_answer) with the same `ticket`.
    ///
    /// # Errors
    /// [`Busy`], when too many wait or no thread can be started.
    pub fn lookup(&mut self, whom: Option<IpAddr>, ticket: u64, host: &str, port: u16) -> Result<(), Busy> {
        let mut state = self.shared.state();
        if state.waiting >= MAX_WAITING {
            return Err(Busy);
        }
        let asker = state.asker(whom);
        if asker.waiting.len() >= MAX_WAITING_OF_ONE {
            return Err(Busy);
        }
        asker.waiting.push_back(Request { ticket, host: host.into(), port });
        let may_begin = asker.under_way < THREADS_OF_ONE;
        state.waiting += 1;
        if may_begin && state.running < THREADS {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("resolver".to_owned()).stack_size(STACK_BYTES);
            if thread.spawn(move || shared.work()).is_ok() {
                state.running += 1;
            } else if state.running == 0 {
                state.forget(ticket);
                return Err(Busy);
            }
        }
        Ok(())
    }

    /// The next answer that has come; never blocks.
    pub fn next_answer(&mut self) -> Option<Answer> {
        self.shared.state().answers.pop_front()
    }

    /// Gives up a lookup. One that a thread is busy with is answered all the same.
    pub fn forget(&mut self, ticket: u64) {
        let mut state = self.shared.state();
        state.forget(ticket);
        state.answers.retain(|(answered, _)| *answered != ticket);
    }
}

impl Drop for Resolver {
    /// Threads end with the lookup that they are busy with; nobody waits for them.
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.askers.iter_mut().for_each(|asker| asker.waiting.clear());
        state.waiting = 0;
        state.answers.clear();
        state.waker = None;
    }
}

impl State {
    /// The entry of `whom`, who is behind all others that wait if it is new.
    fn asker(&mut self, whom: Option<IpAddr>) -> &mut Asker {
        let place = self.askers.iter().position(|asker| asker.whom == whom).unwrap_or_else(|| {
            self.turns += 1;
            self.askers.push(Asker { whom, waiting: VecDeque::new(), under_way: 0, turn: self.turns });
            self.askers.len() - 1
        });
        &mut self.askers[place]
    }

    /// The next lookup that may begin, which has begun with this.
    fn next(&mut self) -> Option<(Option<IpAddr>, Request)> {
        let may = |asker: &&mut Asker| !asker.waiting.is_empty() && asker.under_way < THREADS_OF_ONE;
        let asker = self.askers.iter_mut().filter(may).min_by_key(|asker| (asker.under_way, asker.turn))?;
        let request = asker.waiting.pop_front()?;
        self.turns += 1;
        (asker.under_way, asker.turn) = (asker.under_way + 1, self.turns);
        self.waiting -= 1;
        Some((asker.whom, request))
    }

    /// A lookup of `whom` has ended.
    fn end(&mut self, whom: Option<IpAddr>) {
        self.asker(whom).under_way -= 1;
        self.tidy();
    }

    /// A lookup waits no longer, if it did.
    fn forget(&mut self, ticket: u64) {
        self.askers.iter_mut().for_each(|asker| asker.waiting.retain(|request| request.ticket != ticket));
        self.waiting = self.askers.iter().map(|asker| asker.waiting.len()).sum();
        self.tidy();
    }

    fn tidy(&mut self) {
        self.askers.retain(|asker| asker.under_way > 0 || !asker.waiting.is_empty());
    }
}

impl Shared {
    /// A panic while the lock is held is a bug of ours, and leaves queues that are still queues.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does: look up until nothing waits that may begin.
    fn work(&self) {
        let mut state = self.state();
        while let Some((whom, Request { ticket, host, port })) = state.next() {
            drop(state);
            let addresses = (self.lookup)(&host, port).map(distinct);
            state = self.state();
            state.end(whom);
            let State { answers, waker, .. } = &mut *state;
            if let Some(waker) = waker {
                answers.push_back((ticket, addresses));
                waker();
            }
        }
        state.running -= 1;
    }
}

/// `getaddrinfo(3)`, through the standard library.
fn system(host: &str, port: u16) -> io::Result<Vec<IpAddr>> {
    Ok((host, port).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// Each address once, in the system's order, which prefers what works (RFC 6724), and not too many.
fn distinct(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut distinct = Vec::new();
    for address in addresses.iter().map(IpAddr::to_canonical) {
        if distinct.len() < MAX_ADDRESSES && !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}
