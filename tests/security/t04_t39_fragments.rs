//! T4, T39: millions of tiny and empty fragments, and bytes one by one: bounded time, bounded memory, and a limit that
//! counts the empty ones.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::common::frame::{binary, continuation, text};
use super::common::process::Process;
use super::common::server::Metrics;
use super::is_long;

#[test]
fn t04_millions_of_tiny_fragments() {
    let fragments = if is_long() { 10_000_000 } else { 400_000 };
    let server = Process::start(&[]);
    let mut client = server.client("/local/a");
    let mut neighbour = server.client("/local/b?echo=1");
    client.round_trip();
    let (before, start) = (server.memory().resident, Instant::now());
    let mut most = before;
    let messages = fragments / 4096 / 2;
    for part in ["", "x"] {
        let mut message = text(part).unfinished().bytes();
        message.extend(continuation(part).unfinished().bytes().repeat(4094));
        message.extend(continuation(part).bytes());
        for index in 0..messages {
            client.write(&message);
            if index % 50 == 0 {
                client.round_trip();
                let asked = Instant::now();
                neighbour.send(&text("still served?"));
                neighbour.expect_text("still served?");
                assert!(asked.elapsed() < Duration::from_secs(1), "a neighbour waits {:?}", asked.elapsed());
                most = most.max(server.memory().resident);
            }
        }
    }
    client.round_trip();
    let each = start.elapsed() / u32::try_from(fragments).expect("fewer");
    assert!(each < Duration::from_micros(20), "{each:?} for each fragment");
    assert!(most - before < 2 * 1024, "{} KiB more", most - before);
    // One more in a message is one too many.
    let mut message = text("").unfinished().bytes();
    message.extend(continuation("").unfinished().bytes().repeat(4096));
    client.write(&message);
    assert!(client.expect_close(1008).contains("--max-fragments"));
}

/// Forty thousand empty messages fit into one read: a client gets its share of a turn, and then it is somebody else's.
#[test]
fn t04_a_flood_of_empty_messages_has_its_share() {
    let server = Process::start(&[]);
    let flood = server.client("/local/flood").into_stream();
    let is_over = AtomicBool::new(false);
    let mut metrics = Metrics::of(server.address());
    let mut each = thread::scope(|scope| {
        scope.spawn(|| {
            let messages = binary("").bytes().repeat(100_000);
            loop {
                if is_over.load(Ordering::Relaxed) || (&flood).write_all(&messages).is_err() {
                    break;
                }
            }
        });
        // Every question is answered in another turn.
        let mut counts = (0..60).map(|_| metrics.value("jackfield_messages_received_total")).collect::<Vec<_>>();
        is_over.store(true, Ordering::Relaxed);
        let _ = flood.shutdown(std::net::Shutdown::Both);
        counts.dedup();
        counts.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    });
    each.sort_by(f64::total_cmp);
    assert!(each.len() > 20, "the flood is there: {each:?}");
    let usual = each[each.len() / 2];
    assert!(usual < 15_000.0, "{usual} messages between two answers to somebody else: {each:?}");
}

#[test]
fn t04_one_byte_at_a_time() {
    let server = Process::start(&[]);
    let mut client = server.client("/local/a?echo=1");
    client.round_trip();
    let before = server.memory().resident;
    let payload = vec![7; 3000];
    for byte in binary(&payload).bytes() {
        client.write(&[byte]);
    }
    client.expect_binary(&payload);
    let grown = server.memory().resident.saturating_sub(before);
    assert!(grown < 1024, "{grown} KiB more");
}

/// T39: ten thousand promises of a megabyte.
#[test]
fn t39_promises_cost_nothing() {
    let count = if is_long() { 5000 } else { 500 };
    let server = Process::start(&[]);
    server.client("/local/a").round_trip();
    let before = server.memory();
    let mut crowd: Vec<_> = (0..count)
        .map(|index| {
            let mut client = server.client(&format!("/local/{index}"));
            client.write(&binary([1; 100]).claiming(1024 * 1024).bytes());
            client
        })
        .collect();
    crowd.iter_mut().for_each(|client| client.write(&[1]));
    server.client("/local/a").round_trip();
    let grown = server.memory().data.saturating_sub(before.data);
    assert!(grown < 2 * 1024 + count, "{grown} KiB more for {count}");
}
