//! Name lookup on helper threads: answers, order, limits, and lookups that hang.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};

use jackfield::net::resolve::{
    Busy, MAX_ADDRESSES, MAX_WAITING, MAX_WAITING_OF_ONE, Resolver, THREADS, THREADS_OF_ONE,
};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Somebody who asks.
fn whom(number: u64) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, number as u8]))
}

/// A resolver for which names that begin with `slow` hang until they are let go.
struct Held {
    resolver: Resolver,
    /// A message each time an answer has come.
    woken: Receiver<()>,
    /// A message when a slow lookup begins.
    begun: Receiver<String>,
    /// Lets one slow lookup end.
    release: Sender<()>,
}

fn held() -> Held {
    let (wake, woken) = channel();
    let (begin, begun) = channel();
    let (release, released) = channel();
    let released = Mutex::new(released);
    let lookup = move |host: &str, port: u16| {
        if host.starts_with("slow") {
            let _ = begin.send(host.to_owned());
            // Nobody is left to let it go when the test is over.
            let _ = released.lock().expect("no panic").recv();
        }
        Ok(vec![IpAddr::from([10, 0, (port >> 8) as u8, port as u8])])
    };
    let resolver = Resolver::with_lookup(lookup, move || wake.send(()).unwrap_or_default());
    Held { resolver, woken, begun, release }
}

impl Held {
    /// The next `count` answers by ticket.
    fn answers(&mut self, count: usize) -> BTreeMap<u64, Vec<IpAddr>> {
        let mut answers = BTreeMap::new();
        for _ in 0..count {
            self.woken.recv().expect("an answer");
            let (ticket, addresses) = self.resolver.next_answer().expect("it woke us");
            assert!(answers.insert(ticket, addresses.expect("addresses")).is_none(), "{ticket} is answered twice");
        }
        assert!(self.resolver.next_answer().is_none());
        answers
    }

    /// Makes every thread hang.
    fn hang(&mut self) {
        for number in 0..THREADS {
            let number = number as u64;
            self.resolver.lookup(whom(number), 1000 + number, &format!("slow{number}"), 1).expect("room");
            self.begun.recv().expect("it begins");
        }
    }
}

#[test]
fn every_lookup_is_answered_under_its_ticket() {
    let mut held = held();
    for ticket in 0..200 {
        held.resolver.lookup(whom(ticket % 4), ticket, "a.example", ticket as u16).expect("room");
    }
    let answers = held.answers(200);
    assert!(answers.iter().all(|(ticket, addresses)| *addresses == [IpAddr::from([10, 0, 0, *ticket as u8])]));
    // It works on when all threads have ended.
    held.resolver.lookup(None, 7, "a.example", 258).expect("room");
    assert_eq!(held.answers(1)[&7], [ip("10.0.1.2")]);
}

#[test]
fn slow_names_do_not_stop_others_until_all_threads_hang() {
    let mut held = held();
    for number in 1..THREADS {
        held.resolver.lookup(whom(number as u64), number as u64, "slow", 1).expect("room");
        held.begun.recv().expect("it begins");
    }
    for _ in 0..20 {
        held.resolver.lookup(None, 100, "fast", 2).expect("room");
        assert_eq!(held.answers(1)[&100], [ip("10.0.0.2")]);
    }
    held.resolver.lookup(whom(50), 50, "slow", 1).expect("room");
    held.begun.recv().expect("it begins");
    held.resolver.lookup(None, 60, "fast", 2).expect("room");
    held.release.send(()).expect("it waits");
    let answers = held.answers(2);
    assert!(answers.contains_key(&60), "the thread that was let go went on with what waited: {answers:?}");
}

#[test]
fn nobody_alone_takes_every_thread_or_all_the_room() {
    let mut held = held();
    let greedy = whom(1);
    for ticket in 0..(THREADS_OF_ONE + MAX_WAITING_OF_ONE) as u64 {
        held.resolver.lookup(greedy, ticket, "slow", 1).expect("room");
        if ticket < THREADS_OF_ONE as u64 {
            held.begun.recv().expect("it begins");
        }
    }
    assert_eq!(held.resolver.lookup(greedy, 999, "slow", 1), Err(Busy));
    for ticket in 1000..1020 {
        held.resolver.lookup(whom(2), ticket, "fast", 1).expect("room");
        assert!(held.answers(1).contains_key(&ticket));
    }
    // Where all threads are busy, the next that is free is for whoever has none.
    held.resolver.lookup(whom(3), 2000, "slow", 1).expect("room");
    held.begun.recv().expect("it begins");
    held.resolver.lookup(whom(2), 2001, "fast", 1).expect("room");
    held.release.send(()).expect("it waits");
    assert!(held.answers(2).contains_key(&2001));
    // What waited goes on as room comes.
    for _ in 0..MAX_WAITING_OF_ONE + THREADS_OF_ONE {
        held.release.send(()).expect("somebody waits");
    }
    assert_eq!(held.answers(MAX_WAITING_OF_ONE + THREADS_OF_ONE).len(), MAX_WAITING_OF_ONE + THREADS_OF_ONE);
}

#[test]
fn those_who_wait_take_turns() {
    let mut held = held();
    held.hang();
    for ticket in 1..=5 {
        held.resolver.lookup(whom(100), ticket, "fast", 1).expect("room");
    }
    for ticket in [6, 7] {
        held.resolver.lookup(whom(101), ticket, "fast", 1).expect("room");
    }
    held.resolver.lookup(whom(102), 8, "fast", 1).expect("room");
    held.release.send(()).expect("it waits");
    let order: Vec<u64> = (0..9)
        .map(|_| {
            held.woken.recv().expect("an answer");
            held.resolver.next_answer().expect("it woke us").0
        })
        .collect();
    assert_eq!(order[1..], [1, 6, 8, 2, 7, 3, 4, 5]);
}

#[test]
fn what_waits_is_bounded_and_those_who_give_up_leave() {
    let mut held = held();
    held.hang();
    for ticket in 0..MAX_WAITING as u64 {
        assert_eq!(held.resolver.lookup(whom(10 + ticket % 2), ticket, "fast", 1), Ok(()));
    }
    assert_eq!(held.resolver.lookup(None, 999, "fast", 1), Err(Busy));
    for ticket in 10..MAX_WAITING as u64 {
        held.resolver.forget(ticket);
    }
    assert_eq!(held.resolver.lookup(None, 999, "fast", 1), Ok(()));
    for _ in 0..THREADS {
        held.release.send(()).expect("it waits");
    }
    let answers = held.answers(THREADS + 11);
    let waited: Vec<u64> = answers.into_keys().filter(|ticket| *ticket < 1000).collect();
    assert_eq!(waited, (0..10).chain([999]).collect::<Vec<_>>());
}

#[test]
fn an_answer_that_came_is_forgotten_too() {
    let mut held = held();
    held.resolver.lookup(None, 1, "fast", 1).expect("room");
    held.woken.recv().expect("an answer");
    held.resolver.forget(1);
    assert!(held.resolver.next_answer().is_none());
    held.resolver.forget(2);
}

#[test]
fn lookups_that_hang_do_not_hold_up_the_end() {
    let mut held = held();
    held.hang();
    held.resolver.lookup(None, 1, "fast", 1).expect("room");
    let Held { resolver, woken, release, begun } = held;
    drop(resolver);
    for _ in 0..THREADS {
        release.send(()).expect("it waits");
    }
    // The waker went with the resolver; what waited was never looked up.
    assert!(woken.recv().is_err());
    assert!(begun.recv().is_err(), "the threads are gone");
}

#[test]
fn answers_have_each_address_once_and_not_too_many() {
    let (wake, woken) = channel();
    let lookup = |host: &str, _| match host {
        "twice" => Ok(["10.0.0.2", "::1", "10.0.0.2", "::ffff:10.0.0.2", "10.0.0.1", "::1"].map(ip).to_vec()),
        "none" => Err(Error::new(ErrorKind::NotFound, "no such name")),
        _ => Ok((0..100).map(|number| IpAddr::from([10, 0, 0, number])).collect()),
    };
    let mut resolver = Resolver::with_lookup(lookup, move || wake.send(()).expect("somebody waits"));
    let mut answer = |host| {
        resolver.lookup(None, 1, host, 80).expect("room");
        woken.recv().expect("an answer");
        resolver.next_answer().expect("it woke us").1
    };
    assert_eq!(answer("twice").expect("addresses"), ["10.0.0.2", "::1", "10.0.0.1"].map(ip), "in the order they came");
    assert_eq!(answer("many").expect("addresses").len(), MAX_ADDRESSES);
    assert_eq!(answer("none").expect_err("nothing").kind(), ErrorKind::NotFound);
}

#[test]
fn lookups_run_side_by_side_but_never_more_than_that() {
    let (wake, woken) = channel();
    let (running, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (seen, together) = (Arc::clone(&most), Barrier::new(THREADS));
    let lookup = move |_: &str, _| {
        seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Passes only when this many look up at once.
        together.wait();
        running.fetch_sub(1, Ordering::SeqCst);
        Ok(Vec::new())
    };
    let mut resolver = Resolver::with_lookup(lookup, move || wake.send(()).expect("somebody waits"));
    for ticket in 0..THREADS as u64 * 8 {
        resolver.lookup(whom(ticket), ticket, "a", 1).expect("room");
    }
    for _ in 0..THREADS * 8 {
        woken.recv().expect("an answer");
    }
    assert_eq!(most.load(Ordering::SeqCst), THREADS);
}

/// The system's own lookup, on the stack that helper threads have.
#[test]
fn the_system_is_asked() {
    let (wake, woken) = channel();
    let mut resolver = Resolver::new(move || wake.send(()).expect("somebody waits"));
    let mut answer = |host| {
        resolver.lookup(None, 1, host, 80).expect("room");
        woken.recv().expect("an answer");
        resolver.next_answer().expect("it woke us").1
    };
    let addresses = answer("localhost").expect("every system knows it");
    assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    assert_eq!(answer("127.0.0.1").expect("an address"), [ip("127.0.0.1")]);
    assert_eq!(answer("::1").expect("an address"), [ip("::1")]);
    assert!(answer("nul\0").is_err(), "no name server is asked for this");
}
