//! The process-wide memory ceiling and what happens on the way there, in its order; and clients that take nothing.

mod common;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::DEADLINE;
use common::client::Client;
use common::frame::{binary, text};
use common::http::upgrade_request;
use common::server::{Metrics, TestServer};
use jackfield::config::Config;

const MIB: usize = 1024 * 1024;

/// What clients may make the server remember, and the ceiling that leaves as much, less a KiB for each connection.
const CEILING: usize = 16 * MIB;
const MAX_MEMORY: usize = 6 * MIB + CEILING / 6 * 7;

fn server(adjust: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.limits.max_memory = MAX_MEMORY;
        config.limits.max_queue = 8 * MIB;
        adjust(config);
    })
}

/// A member that does not read, with small buffers in the kernel.
fn deaf(server: &TestServer, target: &str) -> Client {
    let mut client = Client::connect_with_buffers(server.address(), 4096);
    client.upgrade(target);
    client
}

/// A member of a channel of its own.
fn alone(server: &TestServer) -> Client {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    server.client(&format!("/local/{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// Lacks one byte of a message, after `bytes`.
fn half_message(server: &TestServer, bytes: usize) -> Client {
    let mut client = alone(server);
    client.write(&binary(vec![1; bytes]).claiming(bytes as u64 + 1).bytes());
    client
}

/// Messages that take the two buffers which the loop has anyway, so that those of later ones are on the account.
fn hold_the_pool(server: &TestServer) -> [Client; 2] {
    [half_message(server, 100_000), half_message(server, 100_000)]
}

/// Has sent one byte of a message of so many.
fn begun_message(server: &TestServer, bytes: usize) -> Client {
    let mut client = alone(server);
    client.write(&binary([1]).claiming(bytes as u64).bytes());
    client
}

/// Does it again until so much more memory is taken.
#[track_caller]
fn fill(metrics: &mut Metrics, bytes: usize, mut again: impl FnMut()) {
    let (start, before) = (Instant::now(), memory(metrics));
    while memory(metrics) < before + bytes {
        assert!(start.elapsed() < DEADLINE, "memory is never taken: {:?}", metrics.read());
        again();
    }
}

/// Who speaks, who takes nothing of the megabyte that waits for it by now, and who reads all of it.
fn slow_channel(server: &TestServer, metrics: &mut Metrics) -> [Client; 3] {
    let mut speaker = server.client("/local/slow");
    let slow = deaf(server, "/local/slow");
    let mut reads = server.client("/local/slow");
    fill(metrics, MIB, || {
        speaker.send(&binary(vec![0; 500_000]));
        reads.expect_binary(vec![0; 500_000]);
    });
    [speaker, slow, reads]
}

fn memory(metrics: &mut Metrics) -> usize {
    metrics.value("jackfield_memory_bytes") as usize
}

/// Waits until the account holds at least this much.
#[track_caller]
fn wait_for_memory(metrics: &mut Metrics, bytes: usize) {
    metrics.wait_for("memory to be taken", |values| values["jackfield_memory_bytes"] >= bytes as f64);
}

#[test]
fn everything_that_waits_is_on_the_account_and_comes_off_it() {
    let server = server(|config| config.limits.handshake_timeout = 3 * DEADLINE);
    let mut metrics = server.metrics();
    assert_eq!(memory(&mut metrics), 0);
    // Half a head, half a message, a queue, a mailbox, half a body.
    let mut head = Client::connect(server.address());
    head.write(&[b"GET / HTTP/1.1\r\nX: ", &[b'x'; 4000][..]].concat());
    wait_for_memory(&mut metrics, 4000);
    let before = memory(&mut metrics);
    assert!(before < 5000, "{before}");
    let pool = hold_the_pool(&server);
    let half = half_message(&server, 500_000);
    wait_for_memory(&mut metrics, before + 500_000);
    let (mut speaker, slow) = (server.client("/local/q"), [deaf(&server, "/local/q"), deaf(&server, "/local/q")]);
    fill(&mut metrics, MIB, || speaker.send(&binary(vec![0; 500_000])));
    let queued = metrics.value("jackfield_queued_bytes");
    assert!(queued >= MIB as f64, "{queued}");
    let mut poller = Client::connect(server.address());
    poller.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let opening = poller.response().text();
    let sid = opening.split('"').nth(3).expect("an id").to_owned();
    let before = memory(&mut metrics);
    poller.write(
        format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 700000\r\n\r\n"
        )
        .as_bytes(),
    );
    poller.write(&[b'x'; 600_000]);
    wait_for_memory(&mut metrics, before + 600_000);
    drop((head, pool, half, speaker, slow, poller));
    metrics.wait_for("an empty account", |values| values["jackfield_memory_bytes"] == 0.0);
}

/// Attachments that wait for those behind them are on the account, and whoever holds most of them goes.
#[test]
fn attachments_that_wait_for_more_are_on_the_account() {
    let server = server(|_| {});
    let mut metrics = server.metrics();
    let event = r#"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    let device = |bytes: usize| {
        let mut device = server.client("/socket.io/?EIO=4&transport=websocket");
        device.send(&text("40"));
        device.send(&text(event));
        device.send(&binary(vec![1; bytes]));
        device
    };
    let one = device(500_000);
    wait_for_memory(&mut metrics, 500_000);
    drop(one);
    metrics.wait_for("an empty account", |values| values["jackfield_memory_bytes"] == 0.0);
    let bystander = half_message(&server, 200_000);
    let mut devices: Vec<_> = (0..20).map(|_| server.client("/socket.io/?EIO=4&transport=websocket")).collect();
    for device in &mut devices {
        device.send(&text("40"));
        device.send(&text(event));
        // It may be over before all is written.
        let _ = device.stream().write_all(&binary(vec![1; MIB - 1000]).bytes());
    }
    metrics.wait_for("room", |values| {
        values["jackfield_memory_bytes"] <= CEILING as f64 && values["jackfield_shed_total"] > 0.0
    });
    let shed = metrics.value("jackfield_shed_total");
    assert!((1.0..=8.0).contains(&shed), "{shed} were closed");
    drop((bystander, devices));
    metrics.wait_for("an empty account", |values| values["jackfield_memory_bytes"] == 0.0);
}

/// Names of rooms and services and open calls are on the account: with little left, who has much gets no more, and nobody
/// has to go.
#[test]
fn what_devices_have_names_for_is_on_the_account() {
    let server = server(|config| config.limits.max_rooms = 100_000);
    let mut metrics = server.metrics();
    let name = "n".repeat(240);
    let open = |number| server.client(&format!("/socket.io/?EIO=4&transport=websocket&clientId=d{number}"));
    let mut devices: Vec<_> = (0..3).map(open).collect();
    for (number, device) in devices.iter_mut().enumerate() {
        device.any_text();
        device.send(&text("40"));
        device.any_text();
        let before = memory(&mut metrics);
        let mut frames = Vec::new();
        for event in ["JOIN_ROOM", "CREATE_API"] {
            (0..3000).for_each(|index| {
                let event = format!(r#"420["{event}","{number}-{index}-{name}"]"#);
                frames.extend(text(event).bytes());
            });
        }
        // Each is answered, and read here: nothing else is on the account.
        let mut writer = device.stream().try_clone().expect("a live socket");
        let writing = thread::spawn(move || writer.write_all(&frames));
        let answers: Vec<_> = (0..6000).map(|_| device.any_text()).collect();
        writing.join().expect("no panic").expect("it is never cut off");
        let refused = answers.iter().filter(|answer| answer.contains("--max-memory")).count();
        let taken = memory(&mut metrics) - before;
        if number < 2 {
            assert_eq!(refused, 0, "there is room for it");
            assert!(taken > 6000 * 2 * 240, "{taken}: {}", answers[0]);
        } else {
            assert!(refused > 4000, "{refused}: {}", memory(&mut metrics));
        }
    }
    let values = metrics.read();
    assert!(values["jackfield_memory_bytes"] < (CEILING / 16 * 9) as f64, "{values:?}");
    assert_eq!(values["jackfield_shed_total"], 0.0, "{values:?}");
    assert!(is_open(&server), "they cannot keep others out");
    drop(devices);
    metrics.wait_for("an empty account", |values| values["jackfield_memory_bytes"] == 0.0);
}

/// A session that polls takes as much as a connection, and needs none of its own.
#[test]
fn sessions_that_poll_count_as_connections_do() {
    let server = server(|config| config.limits.max_memory = 8 * MIB);
    let mut metrics = server.metrics();
    const USED: &str = "jackfield_used{option=\"max-memory\"}";
    let before = metrics.value(USED);
    let mut client = Client::connect(server.address());
    let mut opened = 0;
    let refusal = loop {
        client.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = client.response();
        if answer.status != 200 {
            break answer;
        }
        opened += 1;
        assert!(opened < 2000, "nobody is ever refused");
    };
    assert!(refusal.status == 503 && refusal.text().contains("--max-memory"), "{refusal:?}");
    assert!(opened > 500, "{opened}");
    let used = metrics.value(USED) - before;
    assert!(used >= f64::from(opened) * 1024.0, "{used} for {opened}");
}

#[test]
fn what_many_share_is_counted_once() {
    let server = server(|_| {});
    let mut metrics = server.metrics();
    let members: Vec<_> = (0..30).map(|_| deaf(&server, "/local/all")).collect();
    let mut speaker = server.client("/local/all?echo=1");
    for _ in 0..6 {
        speaker.send(&binary(vec![0; MIB]));
        speaker.expect_binary(vec![0; MIB]);
    }
    let values = metrics.read();
    assert!(values["jackfield_queued_bytes"] > 60.0 * MIB as f64, "{values:?}");
    let used = values["jackfield_memory_bytes"];
    assert!(used < 7.0 * MIB as f64, "{used}");
    assert_eq!(values["jackfield_shed_total"], 0.0);
    drop(members);
    metrics.wait_for("an empty account", |values| values["jackfield_memory_bytes"] == 0.0);
}

#[test]
fn first_new_sessions_are_refused_with_a_reason() {
    let server = server(|_| {});
    let mut metrics = server.metrics();
    let mut first = server.client("/local/a");
    // Twelve of sixteen, which wait for two that do not read.
    let holders = ["/local/x", "/local/y"].map(|target| {
        let (mut speaker, slow, mut reads) = (server.client(target), deaf(&server, target), server.client(target));
        fill(&mut metrics, CEILING / 8 * 3, || {
            speaker.send(&binary(vec![0; 500_000]));
            reads.expect_binary(vec![0; 500_000]);
        });
        (speaker, slow, reads)
    });
    for request in [
        upgrade_request(server.address(), "/local/a"),
        upgrade_request(server.address(), "/socket.io/?EIO=4&transport=websocket"),
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
    ] {
        let mut client = Client::connect(server.address());
        client.write(request.as_bytes());
        let answer = client.response();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.text().contains("--max-memory") && answer.header("retry-after").is_some(), "{answer:?}");
    }
    let values = metrics.read();
    assert_eq!(values["jackfield_refused_total{option=\"max-memory\"}"], 3.0);
    assert_eq!(values["jackfield_shed_total"], 0.0, "nobody has to go yet");
    // Who is there is served, and so are pages.
    first.round_trip();
    let mut page = Client::connect(server.address());
    page.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(page.response().status, 200);
    drop(holders);
    metrics.wait_for("room", |values| values["jackfield_memory_bytes"] == 0.0);
    server.client("/local/a").close();
}

/// Whether somebody new is let in.
fn is_open(server: &TestServer) -> bool {
    let mut client = Client::connect(server.address());
    client.write(upgrade_request(server.address(), "/local/new").as_bytes());
    let answer = client.response();
    assert!(answer.status == 101 || answer.text().contains("--max-memory"), "{answer:?}");
    answer.status == 101
}

/// Has every holder say a little more again and again, as somebody would who wants to stay, until somebody new is let in.
/// Whoever is gone by then says no more.
#[track_caller]
fn drip_until_open(server: &TestServer, holders: &mut [Client], mut meanwhile: impl FnMut()) {
    let start = Instant::now();
    while !is_open(server) {
        assert!(start.elapsed() < DEADLINE, "nobody new is ever let in");
        for holder in holders.iter_mut() {
            let _ = holder.stream().write_all(&[1]);
        }
        meanwhile();
        // The pace at which they say it is what is tested here.
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn who_does_not_finish_a_message_goes_before_who_is_slow_to_read() {
    let server = server(|config| config.limits.max_message = 3 * MIB);
    let mut metrics = server.metrics();
    let pool = hold_the_pool(&server);
    // It has taken nothing for longest, and goes on so.
    let [mut speaker, slow, mut reads] = slow_channel(&server, &mut metrics);
    let mut small = half_message(&server, 3000);
    let mut holders: Vec<_> = (0..14).map(|_| begun_message(&server, MIB)).collect();
    // It says much all the time, and all of it in time.
    let mut steady = begun_message(&server, 3 * MIB);
    let mut left = 3 * MIB - 1;
    for holder in &mut holders[..12] {
        holder.write(&vec![1; MIB - 1000]);
    }
    wait_for_memory(&mut metrics, CEILING / 4 * 3);
    assert!(!is_open(&server));
    // Longer than it takes to be called slow; then there is so little room that slow readers would go.
    speaker.expect_silence(Duration::from_millis(1300));
    for holder in &mut holders[12..] {
        holder.write(&vec![1; MIB - 1000]);
    }
    drip_until_open(&server, &mut holders, || {
        let share = 20_000.min(left - 1);
        steady.write(&vec![1; share]);
        left -= share;
    });
    let values = metrics.read();
    let shed = values["jackfield_shed_total"];
    assert!((2.0..=9.0).contains(&shed), "those who are in the way, and no more than it takes: {values:?}");
    assert!(values["jackfield_refused_total{option=\"max-memory\"}"] > shed, "{values:?}");
    // Who reads is told why; none of the others had to go.
    let mut told = 0;
    for mut holder in holders {
        let mut byte = [0; 1];
        holder.stream().set_nonblocking(true).expect("a live socket");
        if matches!(holder.stream().peek(&mut byte), Ok(1)) {
            holder.stream().set_nonblocking(false).expect("a live socket");
            let reason = holder.expect_close(1013);
            assert!(reason.contains("not finished") && reason.contains("--max-memory"), "{reason}");
            told += 1;
        }
    }
    assert_eq!(f64::from(told), shed);
    steady.write(&vec![1; left]);
    steady.round_trip();
    small.write(&[1]);
    small.round_trip();
    speaker.send(&text("after"));
    reads.expect_text("after");
    drop((slow, pool));
}

/// The same of what Socket.IO makes of several messages, or of a request.
#[test]
fn who_does_not_finish_an_event_or_a_body_makes_room_for_others() {
    let server = server(|config| config.limits.device_ping_timeout = DEADLINE);
    let mut metrics = server.metrics();
    let event = r#"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    let mut devices: Vec<_> = (0..7).map(|_| server.client("/socket.io/?EIO=4&transport=websocket")).collect();
    let mut pollers: Vec<_> = (0..7)
        .map(|_| {
            let mut poller = Client::connect(server.address());
            poller.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let opening = poller.response().text();
            (poller, opening.split('"').nth(3).expect("an id").to_owned())
        })
        .collect();
    for device in &mut devices {
        device.send(&text("40"));
        device.send(&text(event));
        device.send(&binary(vec![1; MIB - 100_000]));
    }
    for (poller, sid) in &mut pollers {
        poller.write(
            format!(
                "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: localhost\r\n\
                 Content-Length: {MIB}\r\n\r\n"
            )
            .as_bytes(),
        );
        poller.write(&vec![b'x'; MIB - 100_000]);
    }
    wait_for_memory(&mut metrics, CEILING / 4 * 3);
    let mut pollers: Vec<_> = pollers.into_iter().map(|(poller, _)| poller).collect();
    drip_until_open(&server, &mut pollers, || {});
    drip_until_open(&server, &mut [], || {});
    let shed = metrics.value("jackfield_shed_total");
    assert!((2.0..=8.0).contains(&shed), "{shed} were closed");
    drop((devices, pollers));
    metrics.wait_for("an empty account", |values| values["jackfield_memory_bytes"] == 0.0);
}

#[test]
fn then_who_has_taken_nothing_for_longest_goes() {
    let server = server(|_| {});
    let mut metrics = server.metrics();
    // Let in while there is room, with a message that has only begun.
    let mut holders: Vec<_> = (0..14).map(|_| begun_message(&server, MIB)).collect();
    let [mut speaker, _slow, _reads] = slow_channel(&server, &mut metrics);
    // Longer than it takes to be called slow.
    speaker.expect_silence(Duration::from_millis(2500));
    assert_eq!(metrics.value("jackfield_stalled_connections"), 1.0);
    for holder in &mut holders {
        holder.write(&vec![1; MIB - 2]);
    }
    metrics.wait_for("the slow one to go", |values| values["jackfield_shed_total"] > 0.0);
    for holder in &mut holders {
        holder.write(&[1]);
        holder.round_trip();
    }
    let values = metrics.read();
    assert_eq!(values["jackfield_shed_total"], 1.0, "the slow one alone, though others hold more: {values:?}");
    metrics.wait_for("nobody to be watched", |values| values["jackfield_stalled_connections"] == 0.0);
}

#[test]
fn above_the_ceiling_those_go_that_hold_most() {
    let server = server(|config| config.limits.max_message = 8 * MIB);
    let mut metrics = server.metrics();
    let mut small: Vec<_> = (0..4).map(|_| half_message(&server, 200_000)).collect();
    let mut bystander = server.client("/local/a?echo=1");
    // Let in while there was room.
    let mut large: Vec<_> = (0..4).map(|_| begun_message(&server, 8 * MIB)).collect();
    for client in &mut large {
        // It may be over before all is written.
        let frame = vec![1; 5 * MIB];
        let _ = client.stream().write_all(&frame);
    }
    metrics.wait_for("some to go", |values| values["jackfield_shed_total"] >= 1.0);
    let values = metrics.read();
    assert!(values["jackfield_memory_bytes"] <= CEILING as f64, "{values:?}");
    assert!(values["jackfield_refused_total{option=\"max-memory\"}"] >= 1.0, "{values:?}");
    for client in &mut small {
        client.write(&[1]);
        client.round_trip();
    }
    bystander.send(&text("still here"));
    bystander.expect_text("still here");
}

/// The producers of pairs wait, and nothing is lost, though what they want to say is many times the ceiling and the buffers
/// of the system together, and the usual high mark would let the queues of a quarter of them take all there is.
#[test]
fn pairs_stop_their_producers_and_lose_nothing() {
    const PAIRS: usize = 60;
    const BYTES: usize = 8 * MIB;
    let server = server(|config| config.limits.queue_high = MIB);
    let mut metrics = server.metrics();
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let mut receiver = Client::connect_with_buffers(server.address(), 16 * 1024);
        receiver.upgrade("/webshare?binary=1");
        receiver.send(&text(r#"{"command":"key"}"#));
        let reply = receiver.any_text();
        let key = reply.split("\"key\":\"").nth(1).and_then(|rest| rest.split('"').next().map(str::to_owned));
        let mut sender = server.client("/webshare?binary=1");
        sender.send(&text(format!(
            r#"{{"command":"pair","body":{{"target":"{}"}}}}"#,
            key.unwrap_or_else(|| panic!("no key in {reply}"))
        )));
        sender.any_text();
        receiver.any_text();
        pairs.push((sender, receiver));
    }
    let written = Arc::new(AtomicUsize::new(0));
    let mut receivers = Vec::new();
    let mut senders = Vec::new();
    for (index, (sender, receiver)) in pairs.into_iter().enumerate() {
        receivers.push(receiver);
        let written = Arc::clone(&written);
        senders.push(thread::spawn(move || {
            let message = binary(vec![index as u8; 32 * 1024]).bytes();
            for _ in 0..BYTES / (32 * 1024) {
                sender.stream().write_all(&message).expect("it is never cut off");
                written.fetch_add(message.len(), Ordering::Relaxed);
            }
            sender
        }));
    }
    let start = Instant::now();
    let (mut most, mut last, mut still) = (0, 0, 0);
    while still < 50 {
        most = most.max(memory(&mut metrics));
        let now = written.load(Ordering::Relaxed);
        still = if now == last { still + 1 } else { 0 };
        last = now;
        assert!(start.elapsed() < DEADLINE, "they never wait");
    }
    assert!(most <= CEILING, "{most}");
    let values = metrics.read();
    assert_eq!((values["jackfield_shed_total"], values["jackfield_too_slow_total"]), (0.0, 0.0), "nobody is dropped");
    let readers: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(index, mut receiver)| {
            thread::spawn(move || {
                for _ in 0..BYTES / (32 * 1024) {
                    receiver.expect_binary(vec![index as u8; 32 * 1024]);
                }
            })
        })
        .collect();
    for reader in readers {
        reader.join().expect("all of it arrives, in order");
    }
    drop(senders);
}

#[test]
fn who_takes_nothing_of_what_waits_is_let_go() {
    let server = TestServer::with(|config| {
        config.limits.write_stall_timeout = Duration::from_secs(3);
        config.limits.max_queue = 64 * MIB;
    });
    let mut metrics = server.metrics();
    let mut speaker = server.client("/local/a");
    // Alone it would make its sender wait.
    let deaf = deaf(&server, "/local/a");
    let mut reads = server.client("/local/a");
    fill(&mut metrics, MIB, || {
        speaker.send(&binary(vec![0; 500_000]));
        reads.expect_binary(vec![0; 500_000]);
    });
    metrics.wait_for("it to go", |values| values["jackfield_connections"] == 3.0);
    let values = metrics.read();
    assert_eq!(values["jackfield_refused_total{option=\"write-stall-timeout\"}"], 1.0, "{values:?}");
    assert_eq!(values["jackfield_memory_bytes"], 0.0);
    drop(deaf);
}

#[test]
fn who_takes_little_of_what_waits_stays() {
    let server = TestServer::with(|config| {
        config.limits.write_stall_timeout = Duration::from_secs(3);
        config.limits.max_queue = 64 * MIB;
    });
    let mut metrics = server.metrics();
    let mut speaker = server.client("/local/a");
    let slow = deaf(&server, "/local/a");
    let mut reads = server.client("/local/a");
    fill(&mut metrics, 4 * MIB, || {
        speaker.send(&binary(vec![0; 500_000]));
        reads.expect_binary(vec![0; 500_000]);
    });
    let stream: TcpStream = slow.into_stream();
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a live socket");
    let start = Instant::now();
    let mut buffer = [0; 64 * 1024];
    while start.elapsed() < Duration::from_secs(8) {
        match std::io::Read::read(&mut &stream, &mut buffer) {
            Ok(bytes) => assert!(bytes > 0, "it was let go"),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
        }
        // The pace at which it takes its bytes is what is tested here.
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(metrics.value("jackfield_connections"), 4.0);
}

#[test]
fn who_must_speak_has_so_long() {
    let server = TestServer::with(|config| config.limits.first_message_timeout = Duration::from_millis(500));
    let mut silent = server.client("/");
    // Bytes that are no message buy no time.
    silent.round_trip();
    let mut speaks = server.client("/");
    speaks.send(&text("hello"));
    speaks.any_text();
    let mut quiet = server.client("/local/a");
    let reason = silent.expect_close(1008);
    assert!(reason.contains("--first-message-timeout"), "{reason}");
    speaks.expect_ping();
    speaks.round_trip();
    quiet.round_trip();
}
