//! Between the read and the write of a relayed message nothing is allocated, and an idle connection is a few hundred
//! bytes of table. One test, because the counters are the whole program's.

mod common;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;

use common::client::Client;
use common::frame::{binary, close, frame, ping, text};
use common::server::TestServer;
use common::target::Target;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of heap that are in use now.
fn in_use() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

/// Writes and reads without allocating anything itself.
fn exchange(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8], buffer: &mut [u8]) {
    from.write_all(bytes).expect("written");
    to.read_exact(buffer).expect("relayed");
}

fn relaying_allocates_nothing(server: &TestServer) {
    let (sender, receiver) = (server.client("/local/pair"), server.client("/local/pair"));
    let members: Vec<Client> = (0..20).map(|_| server.client("/local/many")).collect();
    let listener = server.client("/local/many");
    let mut observer = server.metrics();
    let sizes: [&[usize]; 2] = [&[0, 1, 125, 126, 1000, 16 * 1024], &[125]];
    // Only the last of the many reads what it gets: the others' part fits into their sockets.
    let routes = [(&sender, &receiver), (members.first().expect("twenty"), &listener)];
    for ((from, to), sizes) in routes.into_iter().zip(sizes) {
        let clone = |client: &Client| client.stream().try_clone().expect("a descriptor");
        let (from, to) = (&mut clone(from), &mut clone(to));
        for size in sizes.iter().copied() {
            for message in [binary(vec![7; size]), text(vec![b'x'; size])] {
                // What does not arrive in one read has to be kept somewhere; this is about what does.
                for burst in [1, 16].into_iter().filter(|burst| burst * size < 32 * 1024) {
                    let bytes = message.bytes().repeat(burst);
                    let header = if size < 126 { 2 } else { 4 };
                    let mut buffer = vec![0; (header + size) * burst];
                    // The first round fills what is kept from then on; the observer must be up to date before counting.
                    for _ in 0..3 {
                        exchange(from, to, &bytes, &mut buffer);
                    }
                    observer.read();
                    let region = Region::new(ALLOCATOR);
                    for _ in 0..50 {
                        exchange(from, to, &bytes, &mut buffer);
                    }
                    let change = region.change();
                    assert_eq!(
                        (change.allocations, change.reallocations),
                        (0, 0),
                        "{size} bytes, {burst} at a time: {change:?}"
                    );
                }
            }
        }
    }
}

/// Receipts too: the sender reads its own, the last of the others what it hears.
fn pocket_allocates_nothing(server: &TestServer) {
    for members in [2, 20] {
        let target = format!("/pocket?room={members}");
        let mut clients: Vec<Client> = (0..members).map(|_| server.client(&target)).collect();
        (1..members).for_each(|_| drop(clients[0].any_text()));
        let clone = |client: &Client| client.stream().try_clone().expect("a descriptor");
        let (mut from, mut to) = (clone(&clients[0]), clone(clients.last().expect("two at least")));
        let mut observer = server.metrics();
        for size in [0, 125, 1000, 16 * 1024] {
            let object = format!(r#"{{"id":"0.lchkqdo","message":"a.b","data":"{}"}}"#, "x".repeat(size));
            for message in [text(&object), text(vec![b'x'; size]), binary(vec![7; size])] {
                // Once to see how long the receipt is; what is heard is what was said without the masking key.
                clients[0].send(&message);
                let mut confirmed = vec![0; 2 + clients[0].any_text().len()];
                clients[members - 1].expect_frame();
                let bytes = message.bytes();
                let mut heard = vec![0; bytes.len() - 4];
                let mut round = || {
                    exchange(&mut from, &mut to, &bytes, &mut heard);
                    from.read_exact(&mut confirmed).expect("confirmed");
                };
                (0..3).for_each(|_| round());
                observer.read();
                let region = Region::new(ALLOCATOR);
                (0..20).for_each(|_| round());
                let change = region.change();
                // What is long and for many is kept until it is written, once for all, with a place in a queue for each.
                let most = if size * members > 128 * 1024 { 20 * 3 * members } else { 0 };
                assert!(change.allocations + change.reallocations <= most, "{size} bytes to {members}: {change:?}");
            }
        }
    }
}

/// Text without escapes and with them, base64 and bytes, each with its answer; and what comes back.
fn bridging_allocates_nothing(server: &TestServer) {
    let target = Target::listen();
    let connect = format!(r#"{{"command":"connect","host":"127.0.0.1","port":{}}}"#, target.port());
    let mut observer = server.metrics();
    for path in ["/ws2s", "/ws2s?v=2", &format!("/tcp/127.0.0.1:{}", target.port())] {
        let mut client = server.client(path);
        let is_tcp = path.starts_with("/tcp");
        if !is_tcp {
            client.send(&text(&connect));
            client.any_text();
        }
        let mut line = target.accept().stream().try_clone().expect("a descriptor");
        for size in [1, 125, 1000, 16 * 1024] {
            let plain = "x".repeat(size);
            let (escaped, base64) = ("\\n".repeat(size), "AAAA".repeat(size));
            let messages = if is_tcp {
                vec![(binary(&plain), size), (text(&plain), size)]
            } else {
                vec![
                    (text(format!(r#"{{"command":"send","data":"{plain}"}}"#)), size),
                    (text(format!(r#"{{"command":"send","data":"{escaped}"}}"#)), size),
                    (text(format!(r#"{{"command":"sendb","data":"{base64}"}}"#)), 3 * size),
                    (binary(&plain), size),
                ]
            };
            for (message, len) in messages {
                let bytes = message.bytes();
                // Once to see how long the answers are.
                client.write(&bytes);
                line.read_exact(&mut vec![0; len]).expect("sent");
                let mut answer = vec![0; if is_tcp { 0 } else { 2 + client.any_text().len() }];
                line.write_all(plain.as_bytes()).expect("written");
                let pushed = client.expect_frame().payload.len();
                let mut pushed = vec![0; pushed + if pushed < 126 { 2 } else { 4 }];
                let mut heard = vec![0; len];
                let mut socket = client.stream().try_clone().expect("a descriptor");
                // A long one may come in two reads, and takes a buffer along then, which must come back.
                let mut in_two = |socket: &mut TcpStream, line: &mut TcpStream| {
                    let (first, second) = bytes.split_at(bytes.len() / 2);
                    socket.write_all(first).expect("written");
                    observer.read();
                    exchange(socket, line, second, &mut heard);
                    socket.read_exact(&mut answer).expect("answered");
                };
                (0..3).for_each(|_| in_two(&mut socket, &mut line));
                let mut round = || {
                    exchange(&mut socket, &mut line, &bytes, &mut heard);
                    socket.read_exact(&mut answer).expect("answered");
                    exchange(&mut line, &mut socket, plain.as_bytes(), &mut pushed);
                };
                (0..3).for_each(|_| round());
                // Only what came in one read each says something: a busy machine may cut a message in two.
                let mut reads = || observer.read()["jackfield_reads_total"];
                let is_whole = (0..20).any(|_| {
                    let before = reads();
                    let region = Region::new(ALLOCATOR);
                    (0..20).for_each(|_| round());
                    let change = region.change();
                    // A read of each end for each round, and the observer's.
                    let is_whole = reads() - before == 41.0;
                    assert!(
                        !is_whole || (change.allocations, change.reallocations) == (0, 0),
                        "{size} bytes through {path}: {change:?}"
                    );
                    is_whole
                });
                assert!(is_whole, "{size} bytes through {path}: never in one read");
            }
        }
    }
}

fn an_idle_connection_is_small(server: &TestServer) {
    const CONNECTIONS: usize = 1000;
    let before = in_use();
    // Bare sockets, so that this side has nothing on the heap.
    let idle: Vec<TcpStream> = (0..CONNECTIONS).map(|_| server.idle("/local/idle")).collect();
    let each = (in_use() - before - (CONNECTIONS * size_of::<TcpStream>()) as isize) / CONNECTIONS as isize;
    assert!((40..=256).contains(&each), "an idle connection takes {each} bytes");
    drop(idle);
}

fn nothing_is_left_of_the_departed(server: &TestServer) {
    let abuse = |round: usize| {
        for target in ["/local/a", "/local/b?presence=1", "/broadcast/c?echo=1", "/webshare", "/pocket", "/ws2s"] {
            let mut client = server.client(target);
            match round % 6 {
                0 => client.send(&close(1000, "")),
                1 => client.send(&frame(3, "")),
                2 => client.send(&text([0xFF])),
                3 => client.write(&binary(vec![0; 40_000]).bytes()[..30_000]),
                4 => client.write(&ping("").bytes().repeat(300)),
                _ => client.write(&[0x81]),
            }
        }
        let mut client = Client::connect(server.address());
        client.write(if round.is_multiple_of(2) { b"GET / HTTP/1.1\r\nHost: local" } else { b"\0\0\r\n\r\n" });
    };
    (0..12).for_each(abuse);
    server.expect_all_given_back();
    let before = in_use();
    (0..200).for_each(abuse);
    server.expect_all_given_back();
    let grown = in_use() - before;
    assert!(grown < 16 * 1024, "{grown} bytes are left of a thousand clients");
}

#[test]
fn what_messages_and_connections_cost() {
    let server = TestServer::with(|config| {
        config.limits.handshake_timeout = std::time::Duration::from_secs(60);
        config.bridge_allow = vec!["127.0.0.1:1-65535".to_owned()];
    });
    relaying_allocates_nothing(&server);
    pocket_allocates_nothing(&server);
    bridging_allocates_nothing(&server);
    server.expect_all_given_back();
    an_idle_connection_is_small(&server);
    server.expect_all_given_back();
    nothing_is_left_of_the_departed(&server);
}
