//! The end of the server: everybody is told, what is queued goes out, and it is over in bounded time; by a handle and by
//! signals to the real program.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::DEADLINE;
use common::client::{Client, Trouble};
use common::frame::{BINARY, CLOSE, PING, binary, close, text};
use common::process::Process;
use common::server::TestServer;
use rustix::process::Signal;

#[test]
fn everybody_is_told_and_the_server_ends() {
    let server = TestServer::start();
    let mut clients: Vec<_> =
        ["/local/a", "/local/a", "/local/b?presence=1", "/webshare", "/"].map(|target| server.client(target)).into();
    let mut idle = server.metrics();
    idle.read();
    let mut half = Client::connect(server.address());
    half.write(b"GET / HT");
    server.stop();
    for client in &mut clients {
        let reason = loop {
            let frame = client.expect_frame();
            if frame.opcode == CLOSE {
                assert_eq!(frame.close_code(), Some(1012), "{}", frame.summary());
                break frame.close_reason();
            }
        };
        assert!(reason.contains("shutting down"), "{reason}");
        client.expect_end();
    }
    // A request that is half there is not waited for.
    assert!(matches!(half.end(), Ok(()) | Err(Trouble::Reset)));
    drop(clients);
    server.join().expect("it ends in order");
}

#[test]
fn clients_that_answer_are_not_waited_for() {
    let server = TestServer::with(|config| config.limits.drain_timeout = 10 * DEADLINE);
    let mut clients: Vec<_> = (0..50).map(|_| server.client("/local/a")).collect();
    server.stop();
    for client in &mut clients {
        client.expect_close(1012);
        client.send(&close(1012, ""));
    }
    // They keep TCP open until the server closes it, as RFC 6455 §7.1.1 has it.
    for client in &mut clients {
        client.expect_end();
    }
    drop(clients);
    server.join().expect("long before the drain's time is over");
}

#[test]
fn nobody_is_let_in_any_more() {
    let server = TestServer::with(|config| config.limits.drain_timeout = DEADLINE);
    let mut client = server.client("/local/a");
    server.stop();
    client.expect_close(1012);
    let address = server.address();
    assert!(TcpStream::connect(address).is_err(), "it does not listen any more");
    drop(client);
    server.join().expect("it ends in order");
}

/// A reader that does not read, with this much queued for it.
fn backlog(server: &TestServer, count: usize) -> Client {
    let mut reader = Client::connect_with_buffers(server.address(), 64 * 1024);
    reader.upgrade("/local/backlog?echo=1");
    let messages = binary([7; 100_000]).bytes();
    for _ in 0..count {
        reader.write(&messages);
    }
    server.metrics().wait_for("everything to be received", |values| {
        values["jackfield_messages_received_total"] == count as f64 && values["jackfield_queued_bytes"] > 0.0
    });
    reader
}

/// Enough that the kernel does not take all of it, on its way to a reader with small buffers.
const BACKLOG: usize = 60;

#[test]
fn what_is_queued_goes_out_first() {
    let server = TestServer::with(|config| {
        config.limits.queue_high = 1024 * 1024 * 1024;
        config.limits.drain_timeout = DEADLINE;
    });
    let mut reader = backlog(&server, BACKLOG);
    server.stop();
    for _ in 0..BACKLOG {
        let frame = reader.expect_frame();
        assert_eq!((frame.opcode, frame.payload.len()), (BINARY, 100_000), "{}", frame.summary());
    }
    reader.expect_close(1012);
    reader.expect_end();
    drop(reader);
    server.join().expect("it ends in order");
}

#[test]
fn a_paused_sender_is_told_too() {
    let server = TestServer::with(|config| {
        config.limits.queue_high = 64 * 1024;
        config.limits.drain_timeout = DEADLINE;
    });
    let mut metrics = server.metrics();
    let mut reader = Client::connect_with_buffers(server.address(), 64 * 1024);
    reader.upgrade("/local/pair");
    let mut sender = server.client("/local/pair");
    let mut count = 0;
    while metrics.value("jackfield_paused_connections") == 0.0 {
        assert!(count < 1000, "it is never paused");
        sender.send(&binary([7; 100_000]));
        count += 1;
    }
    server.stop();
    sender.expect_close(1012);
    sender.expect_end();
    drop(sender);
    // The reader gets whole messages, and the goodbye behind them.
    loop {
        let frame = reader.expect_frame();
        if frame.opcode == CLOSE {
            assert_eq!(frame.close_code(), Some(1012), "{}", frame.summary());
            break;
        }
        assert_eq!((frame.opcode, frame.payload.len()), (BINARY, 100_000), "{}", frame.summary());
    }
    reader.expect_end();
    drop(reader);
    server.join().expect("it ends in order");
}

#[test]
fn a_drain_is_over_in_its_time() {
    let timeout = Duration::from_millis(300);
    let server = TestServer::with(|config| {
        config.limits.queue_high = 1024 * 1024 * 1024;
        config.limits.drain_timeout = timeout;
    });
    let _reader = backlog(&server, BACKLOG);
    let silent = server.client("/local/a");
    let start = Instant::now();
    server.stop();
    server.join().expect("it ends in order");
    assert!(start.elapsed() >= timeout, "{:?}: nobody had the time to answer", start.elapsed());
    drop(silent);
}

#[test]
fn a_second_stop_ends_it_at_once() {
    let server = TestServer::with(|config| {
        config.limits.queue_high = 1024 * 1024 * 1024;
        config.limits.drain_timeout = 10 * DEADLINE;
    });
    let mut silent = server.client("/local/a");
    let _reader = backlog(&server, BACKLOG);
    server.stop();
    silent.expect_close(1012);
    assert!(!server.has_ended());
    server.stop();
    server.join().expect("it ends in order");
}

#[test]
fn an_idle_server_ends_at_once() {
    let server = TestServer::with(|config| config.limits.drain_timeout = 10 * DEADLINE);
    server.stop();
    server.join().expect("it ends in order");
    // And one that has served.
    let server = TestServer::with(|config| config.limits.drain_timeout = 10 * DEADLINE);
    server.client("/local/a").close();
    server.stop();
    server.join().expect("it ends in order");
}

#[test]
fn a_client_that_floods_does_not_keep_it_up() {
    let timeout = Duration::from_millis(300);
    let server = TestServer::with(|config| config.limits.drain_timeout = timeout);
    let client = server.client("/local/flood");
    let mut stream = client.stream().try_clone().expect("a descriptor is free");
    let burst = binary([7; 125]).bytes().repeat(2000);
    let flood = std::thread::spawn(move || while stream.write_all(&burst).is_ok() {});
    server.metrics().wait_for("the flood", |values| values["jackfield_messages_received_total"] > 10_000.0);
    server.stop();
    server.join().expect("it ends in order");
    flood.join().expect("it just ends");
}

#[test]
fn what_was_said_just_before_the_stop_is_delivered() {
    let server = TestServer::start();
    let mut listener = server.client("/local/a");
    let mut speaker = server.client("/local/a");
    for number in 0..100 {
        speaker.send(&text(number.to_string()));
    }
    speaker.round_trip();
    server.stop();
    for number in 0..100 {
        listener.expect_text(number.to_string());
    }
    listener.expect_close(1012);
}

#[test]
fn term_and_int_drain_the_program() {
    for signal in [Signal::TERM, Signal::INT] {
        let program = Process::start(&[]);
        let mut client = program.client("/local/a");
        client.round_trip();
        program.signal(signal);
        client.expect_close(1012);
        client.expect_end();
        drop(client);
        let (status, output) = program.wait();
        assert_eq!(status.code(), Some(0), "{signal:?}:\n{output}");
    }
}

#[test]
fn a_second_signal_ends_the_program() {
    let program = Process::start(&["--drain-timeout", "1h"]);
    let mut client = program.client("/local/a");
    program.signal(Signal::TERM);
    client.expect_close(1012);
    // It is still there, waiting for the client to end its side, and takes no newcomers.
    assert!(TcpStream::connect(program.address()).is_err());
    program.signal(Signal::TERM);
    let (status, output) = program.wait();
    assert_eq!(status.code(), Some(0), "{output}");
}

#[test]
fn pings_stop_with_the_goodbye() {
    let server = TestServer::with(|config| {
        config.limits.ping_interval = Duration::from_millis(50);
        config.limits.drain_timeout = Duration::from_millis(400);
    });
    let mut client = server.client("/local/a");
    assert_eq!(client.expect_frame().opcode, PING);
    client.round_trip();
    server.stop();
    loop {
        let frame = client.expect_frame();
        if frame.opcode == CLOSE {
            break;
        }
    }
    client.expect_end();
    server.join().expect("it ends in order");
}
