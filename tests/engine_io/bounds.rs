//! Bounds: whoever is slow slows down who speaks to it and nobody else, whoever is too many is refused, and of those that
//! have gone nothing is left.

use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::common::DEADLINE;
use super::common::client::Client;
use super::common::engine::{
    Eio, Packet, Polling, REVISIONS, Requests, Socket, binary, expect_error, packets, payload, text,
};
use super::common::frame;
use super::common::process::Process;
use super::common::server::TestServer;
use super::{INTERVAL, Line, ask, echo, echoed, held, numbers};

/// The mark of the tests, small so that it is reached soon.
const HIGH: usize = 64 * 1024;

/// What one read of the sender may add to a queue that is just below its mark.
const SCRATCH: usize = 256 * 1024;

/// Buffers so small that most of what is on its way waits in the server.
const SMALL: usize = 64 * 1024;

/// Bytes of each message of a flood.
const LEN: usize = 20_000;

/// Enough of them that no buffers hold them all.
const COUNT: usize = 200;

/// As many of them as one request holds.
const IN_BODY: usize = 30;

/// An event for another, with a number and an attachment of which every byte depends on that.
fn numbered(to: &str, number: usize) -> [Packet; 2] {
    let event = format!(r#"451-["P2P_EMIT","{to}","n",[{number},{{"_placeholder":true,"num":0}}],null]"#);
    [text(event), binary(vec![number as u8; LEN])]
}

/// What the other gets.
fn heard(number: usize) -> [Packet; 2] {
    [text(format!(r#"451-["n",{number},{{"_placeholder":true,"num":0}}]"#)), binary(vec![number as u8; LEN])]
}

/// How long a quick server waits for a pong: what a busy machine needs for all that a test does with one.
const PATIENCE: Duration = Duration::from_secs(1);

/// A server with a low mark and a heart that beats quickly, or not.
#[track_caller]
fn server(is_quick: bool) -> TestServer {
    TestServer::with(|config| {
        config.limits.queue_high = HIGH;
        if is_quick {
            (config.limits.device_ping_interval, config.limits.device_ping_timeout) = (INTERVAL, PATIENCE);
        }
    })
}

/// A thread that floods `to` over a WebSocket and counts what was taken.
fn flood(sender: &Socket, to: &str, count: usize) -> (Arc<AtomicUsize>, thread::JoinHandle<()>) {
    let (mut stream, to, eio) = (sender.client.stream().try_clone().expect("a descriptor"), to.to_owned(), sender.eio);
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let thread = thread::spawn(move || {
        for number in 0..count {
            let [Packet::Text(event), Packet::Binary(blob)] = numbered(&to, number) else { unreachable!("as made") };
            let blob = if eio == Eio::Three { [&[4], &blob[..]].concat() } else { blob };
            let bytes = [frame::text(event).bytes(), frame::binary(blob).bytes()].concat();
            if stream.write_all(&bytes).is_err() {
                return;
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (written, thread)
}

/// A client on a WebSocket, with small buffers.
#[track_caller]
fn small(server: &TestServer, eio: Eio) -> Socket {
    let client = Client::connect_with_buffers(server.address(), SMALL);
    let (mut socket, _) = Socket::over(client, eio, "");
    if eio == Eio::Four {
        socket.say(&text("40"));
    }
    socket.hear();
    socket
}

#[test]
fn who_does_not_poll_pauses_who_speaks_to_it() {
    let server = server(false);
    for eio in REVISIONS {
        let mut receiver = Polling::join(server.address(), eio, "");
        let mut sender = small(&server, REVISIONS[usize::from(eio == Eio::Three)]);
        let mut metrics = server.metrics();
        let (written, flooding) = flood(&sender, &receiver.me, COUNT);
        metrics.wait_until_paused(&written, HIGH, HIGH + SCRATCH + 2 * LEN);
        // It is spoken to all the same.
        receiver.say(&[text(format!(r#"42["P2P_EMIT","{}","slow down",[],null]"#, sender.me))]);
        sender.hears(r#"42["slow down"]"#);
        for number in 0..COUNT {
            assert_eq!(receiver.hear_all(2), heard(number));
        }
        flooding.join().expect("everything is taken");
        receiver.say(&[text("1")]);
        drop((receiver, sender, metrics));
        server.expect_all_given_back();
    }
}

#[test]
fn a_receipt_waits_until_everybody_has_caught_up() {
    let server = server(false);
    for eio in REVISIONS {
        for is_polling in [true, false] {
            let mut sender = Polling::join(server.address(), eio, "");
            let mut receiver: Box<dyn Line> = match is_polling {
                true => Box::new(Polling::join(server.address(), Eio::Four, "")),
                false => Box::new(small(&server, Eio::Four)),
            };
            let (to, target, mut count) = (receiver.me().to_owned(), sender.target(), 0);
            let mut metrics = server.metrics();
            // A socket takes a lot before anything waits here.
            'posts: loop {
                let all: Vec<Packet> = (count..count + IN_BODY).flat_map(|number| numbered(&to, number)).collect();
                sender.posts.send("POST", &target, "", payload(eio, &all).as_bytes());
                count += IN_BODY;
                sender.posts.client.set_patience(Duration::from_millis(1));
                while sender.posts.client.try_response("POST").is_err() {
                    if metrics.value("jackfield_paused_connections") == 1.0 {
                        break 'posts;
                    }
                    assert!(count < 1000, "it is never paused");
                }
            }
            sender.posts.client.set_patience(DEADLINE);
            // What it said is not pushed on while nobody takes it.
            let queued = metrics.value("jackfield_queued_bytes");
            assert!(queued <= (HIGH + 2 * LEN) as f64, "{queued} bytes are queued");
            // It is spoken to all the same.
            sender.begin_poll();
            held(&server, 2);
            for number in 0..count {
                assert_eq!(receiver.hear_all(2), heard(number));
            }
            let response = sender.posts.client.response();
            assert_eq!((response.status, &response.text()[..]), (200, "ok"));
            sender.say(&[ask(1)]);
            assert_eq!(numbers(&sender.end_poll()), [1]);
            sender.say(&[text("1")]);
            receiver.say_all(&[text("1")]);
        }
    }
    server.expect_all_given_back();
}

#[test]
fn a_second_request_while_the_first_waits_ends_the_session() {
    let server = server(false);
    let mut sender = Polling::join(server.address(), Eio::Four, "");
    let receiver = Polling::join(server.address(), Eio::Four, "");
    let all: Vec<Packet> = (0..IN_BODY).flat_map(|number| numbered(&receiver.me, number)).collect();
    let (target, body) = (sender.target(), payload(Eio::Four, &all));
    sender.posts.send("POST", &target, "", body.as_bytes());
    server.metrics().wait_for("a pause", |values| values["jackfield_paused_connections"] == 1.0);
    expect_error(&Requests::to(server.address()).post(&target, "40/1,"), 400, 3, "Bad request");
    let response = sender.posts.client.response();
    expect_error(&response, 400, 1, "Session ID unknown");
    let values = server.metrics().read();
    assert_eq!((values["jackfield_paused_connections"], values["jackfield_devices"]), (0.0, 1.0));
}

#[test]
fn a_slow_client_has_its_time_for_a_long_answer() {
    let server = TestServer::with(|config| {
        config.limits.handshake_timeout = Duration::from_millis(200);
        config.limits.close_timeout = Duration::from_millis(100);
        config.limits.queue_high = 100_000_000;
    });
    for lines in ["", "Connection: close\r\n"] {
        let mut receiver = Polling::join(server.address(), Eio::Four, "");
        let mut sender = Socket::join(server.address(), Eio::Four, "");
        // More than the sockets hold.
        for number in 0..400 {
            numbered(&receiver.me, number).iter().for_each(|packet| sender.say(packet));
        }
        sender.client.round_trip();
        let mut client = Client::connect_with_buffers(server.address(), SMALL);
        let target = receiver.target();
        client.write(&super::common::engine::request(server.address(), "GET", &target, lines, b""));
        // Longer than anything but a heartbeat may take.
        thread::sleep(Duration::from_secs(1));
        let said = packets(Eio::Four, &client.response());
        assert_eq!(said.len(), 800);
        for number in 0..400 {
            assert_eq!(said[2 * number..][..2], heard(number));
        }
        receiver.posts = Requests::to(server.address());
        receiver.say(&[text("1")]);
    }
}

/// A client that answers its pings while it takes nothing, for longer than anybody may be silent.
fn keep_alive(receiver: &mut Polling) {
    let until = Instant::now() + 2 * (INTERVAL + PATIENCE);
    while Instant::now() < until {
        receiver.say(&[text("2")]);
        thread::sleep(INTERVAL / 2);
    }
}

#[test]
fn who_is_paused_is_not_blamed_for_its_silence() {
    let server = server(true);
    for eio in REVISIONS {
        // Revision 3, which says itself that it is there.
        let mut receiver = Polling::join(server.address(), Eio::Three, "");
        let sender = small(&server, eio);
        let (written, flooding) = flood(&sender, &receiver.me, COUNT);
        server.metrics().wait_for("a pause", |values| values["jackfield_paused_connections"] == 1.0);
        keep_alive(&mut receiver);
        assert!(written.load(Ordering::Relaxed) < COUNT);
        let mut number = 0;
        while number < COUNT {
            match receiver.hear() {
                Packet::Text(said) if said == "3" => {}
                packet => {
                    assert_eq!([packet, receiver.hear()], heard(number));
                    number += 1;
                }
            }
        }
        flooding.join().expect("everything is taken");
        receiver.say(&[text("1")]);
        drop((receiver, sender));
        server.expect_all_given_back();
    }
}

#[test]
fn who_waits_for_its_receipt_is_not_blamed_for_its_silence() {
    let server = server(true);
    for eio in REVISIONS {
        let mut receiver = Polling::join(server.address(), Eio::Three, "");
        let mut sender = Polling::join(server.address(), eio, "");
        let all: Vec<Packet> = (0..IN_BODY).flat_map(|number| numbered(&receiver.me, number)).collect();
        let (target, body) = (sender.target(), payload(eio, &all));
        sender.posts.send("POST", &target, "", body.as_bytes());
        server.metrics().wait_for("a pause", |values| values["jackfield_paused_connections"] == 1.0);
        keep_alive(&mut receiver);
        if eio == Eio::Four {
            // It was asked whether it is there, and cannot say so.
            assert_eq!(sender.poll(), [text("2")]);
        }
        let mut number = 0;
        while number < IN_BODY {
            match receiver.hear() {
                Packet::Text(said) if said == "3" => {}
                packet => {
                    assert_eq!([packet, receiver.hear()], heard(number));
                    number += 1;
                }
            }
        }
        let response = sender.posts.client.response();
        assert_eq!((response.status, &response.text()[..]), (200, "ok"), "{response:?}");
        sender.say(&[text("3"), ask(1)]);
        assert_eq!(numbers(&sender.poll()), [1]);
        for session in [&mut sender, &mut receiver] {
            session.say(&[text("1")]);
        }
    }
    server.expect_all_given_back();
}

#[test]
fn who_waits_for_itself_is_blamed() {
    let server = server(true);
    // One that does not take what it says to itself, and two that flood each other and listen to nobody.
    let mut alone = Polling::join(server.address(), Eio::Three, "");
    let all: Vec<Packet> = (0..IN_BODY).flat_map(|number| numbered(&alone.me, number)).collect();
    let (target, body) = (alone.target(), payload(Eio::Three, &all));
    alone.posts.send("POST", &target, "", body.as_bytes());
    let ends = [small(&server, Eio::Three), small(&server, Eio::Four)];
    let floods = [flood(&ends[0], &ends[1].me, COUNT), flood(&ends[1], &ends[0].me, COUNT)];
    server.metrics().wait_for("their end", |values| values["jackfield_devices"] == 0.0);
    drop((ends, alone));
    for (_, thread) in floods {
        thread.join().expect("it does not panic");
    }
    server.expect_all_given_back();
}

#[test]
fn who_takes_nothing_of_what_is_said_to_many_goes() {
    let server = TestServer::with(|config| config.limits.max_queue = 10_000);
    for eio in REVISIONS {
        let mut slow = Polling::join(server.address(), eio, "");
        let mut quick = Polling::join(server.address(), eio, "");
        let mut speaker = Socket::join(server.address(), eio, "");
        for member in [&mut slow, &mut quick] {
            member.say(&[text(r#"421["JOIN_ROOM","room"]"#)]);
            assert_eq!(member.poll(), [text("431[null]")]);
        }
        for number in 0..100 {
            speaker.say(&text(format!(r#"42["EMIT_ROOM","room","n",{number},"{}"]"#, "x".repeat(200))));
            quick.hears(&format!(r#"42["n",{number},"{}"]"#, "x".repeat(200)));
        }
        server.metrics().wait_for("the end of the slow one", |values| values["jackfield_devices"] == 2.0);
        // It has lost something, and is told that it is over.
        assert_eq!(slow.poll(), [text("1")]);
        slow.expect_unknown();
        // What it is said by us counts the same.
        let mut own = Polling::join(server.address(), eio, "");
        let all: Vec<Packet> = (0..400).map(ask).collect();
        own.say(&all);
        assert_eq!(own.poll(), [text("1")]);
        own.expect_unknown();
        quick.say(&[text("1")]);
    }
    assert_eq!(server.metrics().value("jackfield_too_slow_total"), 4.0);
    server.expect_all_given_back();
}

#[test]
fn slow_bodies_disturb_nobody() {
    let server = TestServer::start();
    let slow: Vec<Polling> = (0..100)
        .map(|_| {
            let mut session = Polling::join(server.address(), Eio::Four, "");
            let target = session.target();
            let bytes = super::common::engine::request(server.address(), "POST", &target, "", &[b'6'; 1000]);
            session.posts.client.write(&bytes[..bytes.len() - 500]);
            session
        })
        .collect();
    held(&server, 100);
    let mut session = Polling::join(server.address(), Eio::Four, "");
    for number in 0..50 {
        session.say(&echo(&session.me, number, "1", &[]));
        assert_eq!(session.poll(), echoed(number, "1", &[]));
    }
    session.say(&[text("1")]);
    drop((slow, session));
    server.expect_all_given_back();
}

/// An address of this machine that is not loopback's, if it has one. Nothing is sent.
fn outside() -> Option<SocketAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().filter(|address| !address.ip().is_loopback() && !address.ip().is_unspecified())
}

#[test]
fn too_many_sessions_are_refused_by_name() {
    let server = TestServer::with(|config| config.limits.max_connections = 5);
    let lines = "Connection: close\r\nOrigin: http://localhost\r\n";
    let open = |address| Requests::to(address).ask("GET", "/socket.io/?EIO=4&transport=polling", lines, b"");
    let mut sessions: Vec<_> = (0..5).map(|_| packets(Eio::Four, &open(server.address()))).collect();
    let response = open(server.address());
    assert_eq!((response.status, response.header("retry-after")), (503, Some("5")), "{response:?}");
    assert!(response.text().contains("--max-connections"), "{response:?}");
    assert_eq!(response.header("access-control-allow-origin"), Some("http://localhost"));
    // One that ends makes room.
    let sid = super::common::engine::Opening::of(&sessions.remove(0)[0]).sid();
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(Requests::to(server.address()).post(&target, "1").text(), "ok");
    assert_eq!(open(server.address()).status, 200);
}

#[test]
fn too_many_sessions_of_one_address_are_refused_by_name() {
    // Only this machine is exempt; without another address there is nobody to be refused.
    let Some(mut address) = outside() else { return };
    let server = TestServer::with(|config| {
        config.listen[0].address.set_ip("0.0.0.0".parse().expect("an address"));
        config.limits.max_per_address = 3;
    });
    address.set_port(server.address().port());
    let open = || {
        let mut requests = Requests::to(address);
        let response = requests.ask("GET", "/socket.io/?EIO=4&transport=polling", "Connection: close\r\n", b"");
        requests.client.expect_end();
        response
    };
    let first = super::common::engine::Opening::of(&packets(Eio::Four, &open())[0]).sid();
    assert_eq!([open().status, open().status], [200; 2]);
    let response = open();
    assert_eq!((response.status, response.header("retry-after")), (503, Some("5")), "{response:?}");
    assert!(response.text().contains("--max-per-address"), "{response:?}");
    // One that goes over to a WebSocket is a connection, and no longer a session without one.
    let mut socket = Client::connect(address);
    socket.upgrade(&format!("/socket.io/?EIO=4&transport=websocket&sid={first}"));
    socket.send(&frame::text("2probe"));
    socket.expect_text("3probe");
    socket.send(&frame::text("5"));
    socket.expect_text("6");
    assert_eq!(open().status, 200);
}

#[test]
fn the_last_poll_says_goodbye() {
    let server = TestServer::start();
    let mut polling: Vec<Polling> = (0..20).map(|n| Polling::join(server.address(), REVISIONS[n % 2], "")).collect();
    let mut idle = Polling::join(server.address(), Eio::Four, "");
    let mut sockets: Vec<Socket> = (0..20).map(|n| Socket::join(server.address(), REVISIONS[n % 2], "")).collect();
    polling.iter_mut().for_each(Polling::begin_poll);
    let bytes = super::common::engine::request(server.address(), "POST", &idle.target(), "", b"40/1,");
    idle.posts.client.write(&bytes[..bytes.len() - 1]);
    held(&server, 21);
    let start = Instant::now();
    server.stop();
    for session in &mut polling {
        assert_eq!(session.end_poll(), [text("1")]);
        session.polls.client.expect_end();
        session.posts.client.expect_end();
    }
    assert!(idle.posts.client.response().closes());
    for socket in &mut sockets {
        socket.client.expect_close(1012);
        socket.client.send(&frame::close(1012, ""));
        socket.client.expect_end();
    }
    drop((polling, idle, sockets));
    server.join().expect("the server ends well");
    assert!(start.elapsed() < Duration::from_secs(5), "the drain waits for nobody");
}

#[test]
fn what_ended_sessions_were_not_told_is_kept_for_some_of_them() {
    let server = TestServer::start();
    let mut sessions: Vec<Polling> = (0..300)
        .map(|number| {
            let mut session = Polling::join(server.address(), Eio::Four, "");
            session.say(&[ask(number), text("4!")]);
            session
        })
        .collect();
    server.metrics().wait_for("their end", |values| values["jackfield_devices"] == 0.0);
    for (number, session) in sessions.iter_mut().enumerate() {
        if number >= 300 - 256 {
            let mut said = session.poll();
            assert_eq!(said.pop(), Some(text("1")));
            assert_eq!(numbers(&said), [number]);
        }
        session.expect_unknown();
    }
    // In the revision that the session had.
    let mut session = Polling::join(server.address(), Eio::Three, "");
    session.say(&[ask(1), text("4!")]);
    session.eio = Eio::Four;
    session.expect_unknown();
    session.eio = Eio::Three;
    assert_eq!(session.poll()[1], text("1"));
    drop((sessions, session));
    server.expect_all_given_back();
}

#[test]
fn a_thousand_sessions_that_are_left_alone_leave_nothing_behind() {
    let options = ["--device-ping-interval", "300ms", "--device-ping-timeout", "200ms"];
    let server = Process::start(&options);
    let mut metrics = super::common::server::Metrics::of(server.address());
    let mut round = |count: usize| {
        let mut requests = Requests::to(server.address());
        for number in 0..count {
            let eio = REVISIONS[number % 2];
            let target = format!("/socket.io/?{}&transport=polling&clientId=client%20{number}", eio.query());
            let said = packets(eio, &requests.get(&target));
            if number % 3 == 0 {
                // It leaves something behind, too.
                let sid = super::common::engine::Opening::of(&said[0]).sid();
                let target = format!("/socket.io/?{}&transport=polling&sid={sid}", eio.query());
                let body = payload(eio, &[text("40"), text(r#"421["JOIN_ROOM","room"]"#), ask(number)]);
                requests.post(&target, body);
            }
        }
        drop(requests);
        metrics.wait_for("their end", |values| {
            ["devices", "polling_sessions", "sessions", "held_requests", "queued_bytes", "channels"]
                .iter()
                .all(|gauge| values[&format!("jackfield_{gauge}")] == 0.0)
        });
        server.memory().resident
    };
    let resident = [round(1000), round(1000), round(1000), round(1000)];
    // The allocator needs a round to come to rest; a session that stays takes more than a kilobyte.
    assert!(resident[3] <= resident[1] + 512, "{resident:?} KiB resident after each thousand");
}
