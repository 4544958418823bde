//! RFC 6455 as a table: bytes in, frames out, close code.
//!
//! Each file of this folder holds the cases of one chapter; `case.rs` says how a case reads and plays it. Every case
//! runs over a real socket against our server: on `/local/NAME?echo=1`, which sends whole messages back, and with one and
//! two listeners on the name, whom only what is right may reach. Every case in which tungstenite's server is as strict as
//! we are runs against that as well, which is what validates the table.

#[path = "../common/mod.rs"]
mod common;

mod case;
mod close;
mod control;
mod fragments;
mod framing;
mod limits;
mod oracle;
mod refusals;
mod utf8;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use case::{Case, Stage};
use common::DEADLINE;
use common::server::TestServer;

/// Connections at once.
const PLAYERS: usize = 4;

/// Plays all cases and reports all failures together.
fn play(server: SocketAddr, cases: &[Case], stage: Stage) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some((index, case)) = take(cases, &next) {
                    if let Err(failure) = case.play(server, stage, index) {
                        failures.lock().expect("no player panics").push(format!("{}: {failure}", case.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no player panics");
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn take<'a>(cases: &'a [Case], next: &AtomicUsize) -> Option<(usize, &'a Case)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    cases.get(index).map(|case| (index, case))
}

/// Plays all cases against a server of ours, which must then have nothing left of them.
fn play_ours(cases: &[Case]) {
    play_ours_on(cases, Stage::Echo);
}

fn play_ours_on(cases: &[Case], stage: Stage) {
    let server = TestServer::with(|config| {
        // A server that ends the connection by a timeout only is too late for any case.
        config.limits.close_timeout = 2 * DEADLINE;
    });
    play(server.address(), cases, stage);
    server.expect_all_given_back();
}

#[test]
fn framing() {
    play_ours(&framing::cases());
}

#[test]
fn control_frames() {
    play_ours(&control::cases());
}

#[test]
fn refused_frames() {
    play_ours(&refusals::cases());
}

#[test]
fn fragmentation() {
    play_ours(&fragments::cases());
}

#[test]
fn valid_text() {
    play_ours(&utf8::valid());
}

#[test]
fn invalid_text() {
    play_ours(&utf8::invalid());
}

#[test]
fn closing_handshake() {
    play_ours(&close::cases());
}

#[test]
fn message_limits() {
    play_ours(&limits::cases());
}

fn all() -> Vec<Case> {
    [
        framing::cases(),
        control::cases(),
        refusals::cases(),
        fragments::cases(),
        utf8::valid(),
        utf8::invalid(),
        close::cases(),
        limits::cases(),
    ]
    .concat()
}

#[test]
fn a_partner_gets_what_is_right_and_nothing_else() {
    play_ours_on(&all(), Stage::Listeners(1));
}

#[test]
fn each_of_many_gets_what_is_right_and_nothing_else() {
    play_ours_on(&all(), Stage::Listeners(2));
}

#[test]
fn tungstenite_agrees() {
    let cases: Vec<Case> = all().into_iter().filter(Case::is_for_the_oracle).collect();
    play(oracle::start(limits::MAX_MESSAGE), &cases, Stage::Oracle);
}

/// What stepwise cases rely on: the server reads each of their chunks by itself.
#[test]
fn the_server_sees_every_border() {
    const BYTES: usize = 100;
    let server = TestServer::start();
    let mut metrics = server.metrics();
    let before = metrics.value("jackfield_reads_total");
    let frame = [common::frame::binary([0; BYTES - 6])];
    let case = case::case("a border behind each byte", &frame, [case::binary_back([0; BYTES - 6])]);
    assert_eq!(case.chopped(1).stepwise().play(server.address(), Stage::Echo, 0), Ok(()));
    let reads = metrics.value("jackfield_reads_total") - before;
    // The opening handshake, its own chunks, the bystander's requests, the closing handshake, and our last question.
    assert_eq!(reads, (1 + BYTES + (BYTES - 1) + 1 + 1) as f64);
}

#[test]
fn the_table_is_whole() {
    let cases = all();
    let names: HashSet<&str> = cases.iter().map(|case| &case.name[..]).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let validated = cases.iter().filter(|case| case.is_for_the_oracle()).count();
    assert!(validated * 3 > cases.len() * 2, "tungstenite validates only {validated} of {} cases", cases.len());
}
