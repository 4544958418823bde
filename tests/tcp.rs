//! `/tcp` over real sockets: every byte in both directions, whoever is slow, and every way in which it can end.

mod common;

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::client::Client;
use common::frame::{BINARY, binary, close, continuation, text};
use common::http::{SAMPLE_KEY, upgrade_request};
use common::independent::Independent;
use common::server::{TestServer, free_port};
use common::target::{Counted, Line, Refusing, Silent, Target, echo, pattern, read_pattern, write_pattern};
use common::{DEADLINE, long};
use jackfield::config::{Config, LanMode, Listen, Root};
use tungstenite::Message;

/// Bytes of a long transfer: all of them, or what does for every day.
const LONG: [usize; 2] = [100_000_000, 10_000_000];

/// The mark of tests with a slow side, so that it is reached soon.
const HIGH: usize = 64 * 1024;

/// What the system may take beyond that without being able to send it.
const HARD: usize = 128 * 1024;

/// What one side may have written when it is found out that the other reads nothing: both marks, what was read and not
/// looked at, and what waits in the four sockets' buffers, with room to spare. The system alone would take 2.5 MB.
const IN_ALL: usize = 1_500_000;

/// What one read may add to a queue that is just below its mark: the loop's receive buffer.
const SCRATCH: usize = 256 * 1024;

/// Buffers so small that most of what is on its way waits in the server.
const SMALL: usize = 64 * 1024;

/// A server that may reach everything on 127.0.0.1.
#[track_caller]
fn server() -> TestServer {
    server_with(|_| {})
}

#[track_caller]
fn server_with(adjust: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.bridge_allow = vec!["127.0.0.0/8:1-65535".to_owned()];
        adjust(config);
    })
}

fn path(port: u16) -> String {
    format!("/tcp/127.0.0.1:{port}")
}

/// A client and the target's end of its connection.
#[track_caller]
fn joined(server: &TestServer) -> (Client, Line) {
    let target = Target::listen();
    let client = server.client(&path(target.port()));
    (client, target.accept())
}

/// Reads binary messages until `total` bytes of the pattern have come.
#[track_caller]
fn expect_pattern(client: &mut Client, total: usize) {
    let mut at = 0;
    while at < total {
        let frame = client.expect_frame();
        assert_eq!(frame.opcode, BINARY, "{}", frame.summary());
        assert!(frame.payload == pattern(at, frame.payload.len()), "another byte after {at} of {total}");
        at += frame.payload.len();
    }
    assert_eq!(at, total);
}

/// Writes `total` bytes of the pattern in messages of `piece` bytes.
fn send_pattern(client: &Client, total: usize, piece: usize) -> JoinHandle<()> {
    let mut stream = client.stream().try_clone().expect("a descriptor is free");
    thread::spawn(move || {
        for from in (0..total).step_by(piece) {
            let frame = binary(pattern(from, piece.min(total - from)));
            std::io::Write::write_all(&mut stream, &frame.bytes()).expect("the server takes our bytes");
        }
    })
}

#[test]
fn bytes_go_both_ways_in_binary_messages() {
    let server = server();
    let (mut client, mut line) = joined(&server);
    for len in [1, 2, 125, 126, 1000, 65_535, 65_536, 300_000] {
        client.send(&binary(pattern(len, len)));
        line.expect(pattern(len, len));
        line.write(pattern(0, len));
        expect_pattern(&mut client, len);
    }
    // Text goes as its bytes, an empty message as none, fragments as one.
    client.send(&text("héllo"));
    client.send(&binary(""));
    client.send(&text(""));
    client.send(&binary("fr").unfinished());
    client.send(&continuation("ag").unfinished());
    client.round_trip();
    client.send(&continuation("ments"));
    line.expect("héllofragments");
    line.write("text");
    client.expect_binary("text");
    client.close();
    line.expect_end();
    drop(line);
    server.expect_all_given_back();
}

#[test]
fn clients_that_are_not_ours() {
    let server = server();
    let mut client = Independent::open(server.address(), &path(echo()));
    for message in [&b"hello"[..], &[0xFF; 70_000], b"\0"] {
        client.send(Message::binary(message.to_vec()));
        let mut heard = Vec::new();
        while heard.len() < message.len() {
            heard.extend_from_slice(&client.next().into_data());
        }
        assert!(heard == message);
    }
    client.close();
    server.expect_all_given_back();
}

#[test]
fn what_is_said_before_the_target_answers_waits() {
    let server = server();
    let target = Target::listen();
    let mut client = Client::connect(server.address());
    let frames = [binary("one ").bytes(), text("two ").bytes(), binary(pattern(0, 300_000)).bytes()].concat();
    client.write(&[upgrade_request(server.address(), &path(target.port())).as_bytes(), &frames].concat());
    let mut line = target.accept();
    assert_eq!(client.response().status, 101);
    line.expect("one two ");
    line.expect(pattern(0, 300_000));
    line.write("hello");
    client.expect_binary("hello");
}

#[test]
fn what_a_target_says_first_is_heard() {
    let server = server();
    let target = Target::listen();
    let mut client = server.client(&path(target.port()));
    let mut line = target.accept();
    line.write("SSH-2.0-x\r\n");
    client.expect_binary("SSH-2.0-x\r\n");
}

#[test]
fn names_of_hosts_and_names_of_targets() {
    let target = Target::listen();
    let port = target.port();
    let server = server_with(|config| {
        config.bridge_allow = vec![format!("127.0.0.1:{port}")];
        config.bridge_names = vec![("some-name".to_owned(), "127.0.0.1".to_owned(), port)];
    });
    for path in [format!("/tcp/localhost:{port}"), "/tcp/some-name".to_owned(), format!("/tcp/127.1:{port}")] {
        let mut client = server.client(&path);
        let mut line = target.accept();
        line.write(&path);
        client.expect_binary(&path);
        client.close();
        line.expect_end();
    }
    // A name opens its target even where nothing else is allowed.
    let server = server_with(|config| {
        config.bridge_allow.clear();
        config.bridge_names = vec![("n".to_owned(), "127.0.0.1".to_owned(), port)];
    });
    let client = server.client("/tcp/n");
    target.accept();
    drop(client);
    server.expect_all_given_back();
}

#[test]
fn ipv6() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("this machine has no IPv6");
        return;
    };
    let port = listener.local_addr().expect("bound").port();
    let server = server_with(|config| config.bridge_allow = vec![format!("[::1]:{port}")]);
    let mut client = server.client(&format!("/tcp/[::1]:{port}"));
    let (mut stream, _) = listener.accept().expect("the server dials");
    std::io::Write::write_all(&mut stream, b"six").expect("a live socket");
    client.expect_binary("six");
}

#[test]
fn what_is_no_target_is_not_found() {
    let server = server();
    for path in
        ["/tcp", "/tcp/", "/tcp/host", "/tcp/host:0", "/tcp/host:65536", "/tcp/::1:80", "/tcp/a:1/b", "/tcp/a%3A1"]
    {
        let mut client = Client::connect(server.address());
        client.write(upgrade_request(server.address(), path).as_bytes());
        let response = client.response();
        assert_eq!(response.status, 404, "{path}");
        assert!(response.text().contains("/tcp/HOST:PORT"), "{path}: {}", response.text());
    }
}

#[test]
fn binary_is_the_subprotocol() {
    let server = server();
    let target = path(echo());
    for (offered, answered) in [
        (None, None),
        (Some("binary"), Some("binary")),
        (Some("base64, binary"), Some("binary")),
        (Some("mqtt, binary"), Some("binary")),
        (Some("mqtt"), Some("mqtt")),
        (Some("base64"), None),
    ] {
        let mut client = Client::connect(server.address());
        let field = offered.map(|offered| format!("Sec-WebSocket-Protocol: {offered}\r\n")).unwrap_or_default();
        client.write(
            format!(
                "GET {target} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: {SAMPLE_KEY}\r\nSec-WebSocket-Version: 13\r\n{field}\r\n",
                server.address()
            )
            .as_bytes(),
        );
        let response = client.response();
        assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, answered), "{offered:?}");
        client.send(&binary("hello"));
        client.expect_binary("hello");
    }
}

/// The upgrade succeeds, and then the client is told why there is nothing behind it.
#[track_caller]
fn expect_failure(server: &TestServer, path: &str, code: u16, words: &str) {
    let mut client = server.client(path);
    let reason = client.expect_close(code);
    assert!(reason.contains(words), "{path}: {reason}");
    client.expect_end();
}

#[test]
fn forbidden_targets_name_the_option() {
    let target = Target::listen();
    let port = target.port();
    for allow in
        [vec![], vec![format!("127.0.0.1:{}", port ^ 1)], vec![format!("127.0.0.2:{port}")], vec![format!("*:{port}")]]
    {
        let server = server_with(|config| config.bridge_allow = allow);
        for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "0.0.0.0", "[::ffff:127.0.0.1]"] {
            expect_failure(&server, &format!("/tcp/{host}:{port}"), 1008, "--bridge-allow");
        }
        target.expect_nobody();
        server.expect_all_given_back();
    }
}

/// Who came out at our own listeners would be this machine: an administrator, and exempt from limits.
#[test]
fn the_bridge_does_not_lead_back_to_the_server() {
    let server = server_with(|config| {
        config.listen.push(Listen::new((Ipv4Addr::UNSPECIFIED, 0).into(), Root::Auto));
        config.lan.mode = LanMode::Off;
        config.admin = vec![free_port(Root::Auto).address];
        config.bridge_allow.push("0.0.0.0:1-65535".to_owned());
    });
    let [one, all] = server.addresses() else { panic!("two listeners") };
    let (one, all, admin) = (one.port(), all.port(), server.admin_addresses()[0].port());
    let everybody = ["127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]"];
    let own = [one, admin].into_iter().flat_map(|port| everybody.map(|host| (host, port)));
    let any = everybody.into_iter().chain(["127.0.0.2", "127.9.9.9"]).map(|host| (host, all));
    for (host, port) in own.chain(any) {
        expect_failure(&server, &format!("/tcp/{host}:{port}"), 1008, "the server itself");
    }
    let mut client = server.client("/ws2s");
    client.send(&text(format!(r#"{{"command":"connect","host":"127.0.0.1","port":{one}}}"#)));
    let refusal = client.any_text();
    assert!(refusal.contains(r#""code":4"#) && refusal.contains("--bridge-name"), "{refusal}");
    drop(client);
    // What is not allowed at all does not say what is there, and nobody else's port at another address is ours.
    expect_failure(&server, &format!("/tcp/[::1]:{one}"), 1008, "--bridge-allow");
    let neighbour = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), one)).expect("it is another address");
    let client = server.client(&format!("/tcp/127.0.0.2:{one}"));
    neighbour.accept().expect("the server dials");
    drop(client);
    server.expect_all_given_back();
    // A name is the operator's own word.
    let free = free_port_now();
    let server = server_with(|config| {
        config.listen[0].address.set_port(free);
        config.bridge_names = vec![("self".to_owned(), "127.0.0.1".to_owned(), free)];
    });
    let mut client = server.client("/tcp/self");
    client.send(&text("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert!(client.expect_frame().payload.starts_with(b"HTTP/1.1 200"));
}

/// A port that was free a moment ago, for what must be known before the server listens.
fn free_port_now() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("bound").port()
}

#[test]
fn unreachable_targets_say_why() {
    let server = server_with(|config| {
        config.bridge_allow = vec!["127.0.0.0/8:1-65535".to_owned(), "nobody.invalid:80".to_owned()];
        config.limits.dial_timeout = Duration::from_millis(300);
    });
    expect_failure(&server, &path(Refusing::new().port()), 1014, "refused the connection");
    let silent = Silent::new();
    expect_failure(&server, &path(silent.port()), 1014, "--dial-timeout");
    server.expect_all_given_back();
    let server = server_with(|config| config.bridge_allow = vec!["nobody.invalid:80".to_owned()]);
    expect_failure(&server, "/tcp/nobody.invalid:80", 1014, "no address");
    server.expect_all_given_back();
}

#[test]
fn as_many_as_the_limit_allows() {
    let server = server_with(|config| config.limits.max_bridges = 2);
    let echo = path(echo());
    let mut first = server.client(&echo);
    let mut second = server.client(&echo);
    for client in [&mut first, &mut second] {
        client.send(&binary("hello"));
        client.expect_binary("hello");
    }
    expect_failure(&server, &echo, 1013, "--max-bridges");
    first.close();
    let mut metrics = server.metrics();
    metrics.wait_for("a free place", |values| values["jackfield_bridges"] == 1.0);
    let mut third = server.client(&echo);
    third.send(&binary("hello"));
    third.expect_binary("hello");
}

#[test]
fn a_target_that_ends_ends_the_client() {
    let server = server();
    // In order, with last words.
    let (mut client, mut line) = joined(&server);
    line.write(pattern(0, 1_000_000));
    drop(line);
    expect_pattern(&mut client, 1_000_000);
    assert_eq!(client.expect_close(1000), "the target closed the connection");
    client.expect_end();
    drop(client);
    // Its side only.
    let (mut client, mut line) = joined(&server);
    client.send(&binary("before"));
    line.expect("before");
    line.write("last words");
    line.finish_writing();
    client.expect_binary("last words");
    client.expect_close(1000);
    client.expect_end();
    line.expect_end();
    drop((client, line));
    // At once.
    let (mut client, line) = joined(&server);
    drop(line);
    client.expect_close(1000);
    client.expect_end();
    drop(client);
    server.expect_all_given_back();
}

#[test]
fn a_target_that_breaks_is_a_bad_gateway() {
    let server = server();
    let (mut client, line) = joined(&server);
    client.round_trip();
    line.reset();
    let reason = client.expect_close(1014);
    assert!(reason.contains("connection reset"), "{reason}");
    client.expect_end();
    drop(client);
    server.expect_all_given_back();
}

#[test]
fn a_silent_bridge_ends_where_that_is_configured() {
    let server = server_with(|config| config.limits.bridge_idle = Duration::from_millis(200));
    let (mut client, mut line) = joined(&server);
    client.expect_close(1014);
    line.expect_end();
    drop((client, line));
    server.expect_all_given_back();
}

#[test]
fn a_bridge_that_is_used_in_one_direction_is_not_silent() {
    let server = server_with(|config| config.limits.bridge_idle = Duration::from_millis(200));
    let (mut client, mut line) = joined(&server);
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        client.send(&text("x"));
        line.expect("x");
        thread::sleep(Duration::from_millis(20));
    }
    line.write("still here");
    client.expect_binary("still here");
}

#[test]
fn what_was_said_before_the_end_reaches_the_target() {
    let server = server();
    const LEN: usize = 4_000_000;
    for says_goodbye in [true, false] {
        let target = Target::listen_with_buffers(SMALL);
        let client = server.client(&path(target.port()));
        let mut line = target.accept();
        let sending = send_pattern(&client, LEN, 100_000);
        let ending = thread::spawn(move || {
            sending.join().expect("everything is taken");
            if says_goodbye {
                client.close();
            } else {
                client.finish_writing();
            }
        });
        read_pattern(line.stream().try_clone().as_mut().expect("a descriptor is free"), LEN);
        line.expect_end();
        ending.join().expect("the client ends");
    }
    server.expect_all_given_back();
}

#[test]
fn a_client_that_vanishes_ends_the_connection() {
    let server = server_with(|config| config.limits.dial_timeout = Duration::from_millis(500));
    let (client, mut line) = joined(&server);
    drop(client);
    line.expect_end();
    drop(line);
    // While the target does not answer: at the latest, the dial's own deadline ends both.
    let silent = Silent::new();
    let mut metrics = server.metrics();
    for says_goodbye in [false, true] {
        let mut client = server.client(&path(silent.port()));
        client.send(&binary("never heard"));
        metrics.wait_for("a dial", |values| values["jackfield_dials"] == 1.0);
        if says_goodbye {
            client.send(&close(1000, ""));
        }
        drop(client);
        metrics.wait_for("no dial", |values| values["jackfield_dials"] == 0.0);
    }
    drop(metrics);
    server.expect_all_given_back();
}

#[test]
fn a_long_transfer_each_way() {
    let server = server();
    let total = long(LONG);
    let target = Target::listen();
    let mut client = server.client(&path(target.port()));
    client.set_patience(3 * DEADLINE);
    let line = target.accept();
    let mut reader = line.stream().try_clone().expect("a descriptor is free");
    let mut writer = line.stream().try_clone().expect("a descriptor is free");
    let sending = send_pattern(&client, total, 65_000);
    let threads = [
        thread::spawn(move || read_pattern(&mut reader, total)),
        thread::spawn(move || {
            write_pattern(&mut writer, total, 50_000).expect("the server takes our bytes");
        }),
    ];
    expect_pattern(&mut client, total);
    sending.join().expect("everything is taken");
    for thread in threads {
        thread.join().expect("the target gets and sends everything");
    }
    client.close();
    drop(line);
    server.expect_all_given_back();
}

#[test]
fn many_at_once() {
    let server = server();
    let echo = path(echo());
    let mut clients: Vec<_> = (0..100).map(|_| server.client(&echo)).collect();
    for round in 0..5 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(&binary(pattern(number * 64, 64 + round)));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            client.expect_binary(pattern(number * 64, 64 + round));
        }
    }
    assert_eq!(server.metrics().value("jackfield_bridges"), 100.0);
    drop(clients);
    server.expect_all_given_back();
}

/// Each answer of a lookup is for who asked, however many are under way: 127.7 is 127.0.0.7, once it was looked up.
#[test]
fn t41_names_that_are_looked_up_at_once_lead_each_to_its_own_target() {
    const COUNT: usize = 40;
    let server = server();
    let target = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port is free");
    let port = target.local_addr().expect("bound").port();
    let answering = thread::spawn(move || {
        let lines = target.incoming().take(COUNT).map(|line| {
            let line = line.expect("a connection");
            let name = line.local_addr().expect("connected").ip().to_string();
            std::io::Write::write_all(&mut &line, name.as_bytes()).expect("it is taken");
            line
        });
        lines.collect::<Vec<_>>()
    });
    let dial = |number: usize| {
        let mut client = Client::connect(server.address());
        client.write(upgrade_request(server.address(), &format!("/tcp/127.{number}:{port}")).as_bytes());
        client
    };
    let mut clients: Vec<_> = (1..=COUNT).map(dial).collect();
    for (place, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.response().status, 101);
        client.expect_binary(format!("127.0.0.{}", place + 1));
    }
    answering.join().expect("all were dialled");
}

#[test]
fn a_target_that_does_not_read_pauses_the_client() {
    let server = server_with(|config| (config.limits.queue_high, config.limits.max_queue) = (HIGH, HARD));
    let total = long(LONG);
    const PIECE: usize = 100_000;
    let target = Target::listen_with_buffers(SMALL);
    let mut client = Client::connect_with_buffers(server.address(), SMALL);
    client.upgrade(&path(target.port()));
    let mut line = target.accept();
    let mut metrics = server.metrics();
    let written = Arc::new(AtomicUsize::new(0));
    let mut stream = Counted(client.stream().try_clone().expect("a descriptor is free"), Arc::clone(&written));
    let sending = thread::spawn(move || {
        for from in (0..total).step_by(PIECE) {
            std::io::Write::write_all(&mut stream, &binary(pattern(from, PIECE)).bytes())?;
        }
        Ok::<_, std::io::Error>(())
    });
    metrics.wait_until_paused(&written, HIGH, HIGH + SCRATCH + PIECE);
    let taken = written.load(Ordering::Relaxed);
    assert!(taken <= IN_ALL, "{taken} bytes were taken for one that does not read");
    // The other direction goes on.
    line.write("slow down");
    client.expect_binary("slow down");
    read_pattern(&mut line.stream(), total);
    sending.join().expect("the sender does not panic").expect("everything is taken at last");
    client.round_trip();
    assert_eq!(metrics.value("jackfield_queued_bytes"), 0.0);
    client.close();
    line.expect_end();
    drop((line, metrics));
    server.expect_all_given_back();
}

#[test]
fn a_client_that_does_not_read_pauses_the_target() {
    let server = server_with(|config| (config.limits.queue_high, config.limits.max_queue) = (HIGH, HARD));
    let total = long(LONG);
    let target = Target::listen_with_buffers(SMALL);
    let mut client = Client::connect_with_buffers(server.address(), SMALL);
    client.upgrade(&path(target.port()));
    let mut line = target.accept();
    let mut metrics = server.metrics();
    let written = Arc::new(AtomicUsize::new(0));
    let mut stream = Counted(line.stream().try_clone().expect("a descriptor is free"), Arc::clone(&written));
    let sending = thread::spawn(move || write_pattern(&mut stream, total, 100_000));
    metrics.wait_until_paused(&written, HIGH, HIGH + SCRATCH);
    let taken = written.load(Ordering::Relaxed);
    assert!(taken <= IN_ALL, "{taken} bytes were taken for one that does not read");
    // The other direction goes on.
    client.send(&text("slow down"));
    line.expect("slow down");
    expect_pattern(&mut client, total);
    sending.join().expect("the sender does not panic").expect("everything is taken at last");
    client.round_trip();
    assert_eq!(metrics.value("jackfield_queued_bytes"), 0.0);
    client.close();
    drop((line, metrics));
    server.expect_all_given_back();
}

#[test]
fn who_is_paused_is_let_go_when_the_other_ends() {
    let server = server_with(|config| {
        config.limits.queue_high = HIGH;
        config.limits.close_timeout = Duration::from_millis(100);
    });
    let mut metrics = server.metrics();
    const TOTAL: usize = 10_000_000;
    for resets in [false, true] {
        // The target goes while the client waits for it.
        let target = Target::listen_with_buffers(SMALL);
        let mut client = Client::connect_with_buffers(server.address(), SMALL);
        client.upgrade(&path(target.port()));
        let line = target.accept();
        let written = Arc::new(AtomicUsize::new(0));
        let mut stream = Counted(client.stream().try_clone().expect("a descriptor is free"), Arc::clone(&written));
        let sending = thread::spawn(move || {
            (0..TOTAL)
                .step_by(100_000)
                .all(|from| std::io::Write::write_all(&mut stream, &binary(pattern(from, 100_000)).bytes()).is_ok())
        });
        metrics.wait_until_paused(&written, HIGH, HIGH + SCRATCH + 100_000);
        if resets {
            line.reset();
        } else {
            drop(line);
        }
        // Data that it has not read makes the system of a target that just closes reset as well.
        client.expect_close(1014);
        drop(client);
        sending.join().expect("the sender does not panic");
        metrics.wait_for("nothing queued", |values| values["jackfield_queued_bytes"] == 0.0);

        // The client goes while the target waits for it.
        let mut client = Client::connect_with_buffers(server.address(), SMALL);
        client.upgrade(&path(target.port()));
        let line = target.accept();
        let written = Arc::new(AtomicUsize::new(0));
        let mut stream = Counted(line.stream().try_clone().expect("a descriptor is free"), Arc::clone(&written));
        let sending = thread::spawn(move || write_pattern(&mut stream, TOTAL, 100_000));
        metrics.wait_until_paused(&written, HIGH, HIGH + SCRATCH);
        drop(client);
        // Its bytes are taken and dropped, or it is told that nobody wants them.
        let _ = sending.join().expect("the sender does not panic");
        drop(line);
        metrics.wait_for("no bridge", |values| values["jackfield_bridges"] == 0.0);
    }
    drop(metrics);
    server.expect_all_given_back();
}

#[test]
fn a_drain_ends_bridges() {
    let server = server();
    let (mut client, mut line) = joined(&server);
    client.send(&binary("last words"));
    line.expect("last words");
    server.stop();
    client.expect_close(1012);
    client.expect_end();
    line.expect_end();
    drop((client, line));
    server.join().expect("it ends in order");
}

#[test]
fn nothing_is_dialled_for_a_plain_request_or_a_foreign_page() {
    let server = server();
    let target = Target::listen();
    let mut client = Client::connect(server.address());
    client.write(common::http::request("GET", server.address(), &path(target.port())).as_bytes());
    assert_eq!(client.response().status, 426);
    let mut client = Client::connect(server.address());
    let request = upgrade_request(server.address(), &path(target.port()));
    client.write(request.replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n").as_bytes());
    assert_eq!(client.response().status, 403);
    target.expect_nobody();
}
