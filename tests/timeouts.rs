//! Time over real sockets: pings for silent clients, the end of those that stay silent, and of those that never finish
//! closing. Times are short by configuration; a test never waits for less than what it tests.

mod common;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use common::client::Client;
use common::frame::{close, pong, text};
use common::process::Process;
use common::server::TestServer;

const SHORT: Duration = Duration::from_millis(150);

#[test]
fn a_silent_client_is_pinged_and_kept_when_it_answers() {
    let server = TestServer::with(|config| {
        config.limits.ping_interval = SHORT;
        config.limits.pong_timeout = common::DEADLINE;
    });
    let start = Instant::now();
    let mut client = server.client("/local/a");
    for round in 1..=3 {
        let payload = client.expect_ping();
        assert!(start.elapsed() >= SHORT * round, "ping {round} after {:?}", start.elapsed());
        client.send(&pong(payload));
    }
    client.close();
}

#[test]
fn a_client_that_does_not_answer_is_dropped() {
    let server = TestServer::with(|config| {
        config.limits.ping_interval = SHORT;
        config.limits.pong_timeout = SHORT;
    });
    let start = Instant::now();
    let mut client = server.client("/local/a");
    client.expect_ping();
    let reason = client.expect_close(1011);
    assert!(reason.contains("--pong-timeout"), "{reason}");
    client.expect_end();
    assert!(start.elapsed() >= SHORT * 2, "after {:?}", start.elapsed());
    drop(client);
    server.expect_all_given_back();
}

#[test]
fn anything_is_a_sign_of_life() {
    let server = TestServer::with(|config| {
        config.limits.ping_interval = SHORT;
        config.limits.pong_timeout = SHORT;
    });
    let mut client = server.client("/local/a");
    for said in [text("data"), pong("unasked"), text("half").unfinished()] {
        client.expect_ping();
        client.send(&said);
    }
    // Even half a header.
    client.expect_ping();
    client.write(&[0x80]);
    client.expect_ping();
    client.expect_close(1011);
}

#[test]
fn a_busy_client_is_not_pinged() {
    let interval = Duration::from_millis(1500);
    let server = TestServer::with(|config| config.limits.ping_interval = interval);
    let mut client = server.client("/local/a?echo=1");
    let start = Instant::now();
    while start.elapsed() < interval + SHORT {
        client.send(&text("busy"));
        client.expect_text("busy");
        client.expect_silence(SHORT / 10);
    }
}

#[test]
fn a_client_that_only_listens_is_pinged_too() {
    let server = TestServer::with(|config| config.limits.ping_interval = SHORT);
    let mut listener = server.client("/local/a");
    let mut speaker = server.client("/local/a");
    // What it is sent says nothing about whether it is still there.
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < common::DEADLINE, "no ping among the messages");
        speaker.send(&text("are you there?"));
        let frame = listener.expect_frame();
        if frame.opcode == common::frame::PING {
            return;
        }
        speaker.expect_silence(SHORT / 30);
    }
}

#[test]
fn no_pings_where_they_are_off() {
    let server = TestServer::with(|config| {
        config.limits.ping_interval = Duration::ZERO;
        config.limits.pong_timeout = Duration::from_millis(1);
    });
    let mut client = server.client("/local/a?echo=1");
    client.expect_silence(4 * SHORT);
    client.send(&text("still here"));
    client.expect_text("still here");
}

#[test]
fn a_client_that_keeps_tcp_open_after_a_close_is_cut_off() {
    let server = TestServer::with(|config| config.limits.close_timeout = SHORT);
    let mut metrics = server.metrics();
    let start = Instant::now();
    let mut client = server.client("/local/a");
    client.send(&text([0xFF]));
    client.expect_close(1007);
    client.expect_end();
    // Our side is open and silent, and its session gone at once.
    assert_eq!(metrics.value("jackfield_sessions"), 0.0);
    metrics.wait_for("the end of the connection", |values| values["jackfield_connections"] == 1.0);
    assert!(start.elapsed() >= SHORT, "after {:?}", start.elapsed());
}

#[test]
fn a_client_that_never_stops_sending_after_a_close_is_cut_off() {
    let server = TestServer::with(|config| config.limits.close_timeout = SHORT);
    let mut client = server.client("/local/a");
    let mut writer = client.stream().try_clone().expect("a descriptor is free");
    let flood = thread::spawn(move || {
        let start = Instant::now();
        let junk = [0; 16 * 1024];
        while writer.write_all(&junk).is_ok() {
            assert!(start.elapsed() < common::DEADLINE, "the server reads for ever");
        }
    });
    // Zeros are an unmasked continuation of nothing.
    client.expect_close(1002);
    flood.join().expect("it is stopped");
    server.expect_all_given_back();
}

#[test]
fn a_client_that_reads_nothing_after_a_close_is_cut_off() {
    let server = TestServer::with(|config| {
        config.limits.close_timeout = SHORT;
        config.limits.queue_high = 1024 * 1024 * 1024;
    });
    let mut metrics = server.metrics();
    let mut client = Client::connect_with_buffers(server.address(), 4096);
    client.upgrade("/local/a?echo=1");
    let message = text("x".repeat(500_000)).bytes();
    metrics.wait_for("a queue", |values| {
        let _ = client.stream().write_all(&message);
        values["jackfield_queued_bytes"] > 0.0
    });
    client.write(&close(1000, "").bytes());
    // What is queued and the Close cannot be delivered, and are not kept for longer than agreed.
    drop(metrics);
    server.expect_all_given_back();
}

/// With nobody connected the loop waits without a timeout: a Pi may sleep.
#[test]
fn an_empty_server_does_not_wake_up() {
    let program = Process::start(&[]);
    for name in ["before anybody came", "after somebody left"] {
        if name.starts_with("after") {
            let mut client = program.client("/local/a");
            client.round_trip();
            client.close();
        }
        // What is still to be done for those who were there is over when two counts are equal.
        let start = Instant::now();
        loop {
            let before = program.wake_ups();
            thread::sleep(Duration::from_secs(1));
            if program.wake_ups() == before {
                break;
            }
            assert!(start.elapsed() < common::DEADLINE, "{name} it wakes up again and again");
        }
    }
}
