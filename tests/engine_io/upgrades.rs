//! From polling to a WebSocket: nothing is lost, nothing overtakes, and whatever goes wrong leaves the session as it was.

use std::thread;

use super::common::DEADLINE;
use super::common::engine::{Eio, Packet, Polling, REVISIONS, Socket, binary, expect_error, payload, request, text};
use super::common::frame;
use super::common::server::TestServer;
use super::{Dice, INTERVAL, Line, TIMEOUT, answered, ask, echo, echoed, held, numbers, quick};

/// The number of an event that another client emitted.
#[track_caller]
fn number(packet: &Packet) -> usize {
    let Packet::Text(said) = packet else { panic!("{packet:?}") };
    let number = said.strip_prefix("42[\"n\",").and_then(|rest| rest.split(',').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

/// An event with this number for another client.
fn numbered(to: &str, number: usize, len: usize) -> Packet {
    text(format!("42[\"P2P_EMIT\",\"{to}\",\"n\",[{number},\"{}\"],null]", "x".repeat(len)))
}

/// One client floods another, which upgrades at some moment, and says numbered things itself all the while.
#[track_caller]
fn flood(server: &TestServer, eio: Eio, seed: u64) {
    const COUNT: usize = 400;
    let mut dice = Dice(seed);
    let mut session = Polling::join(server.address(), eio, "");
    let mut sender = Socket::join(server.address(), REVISIONS[dice.below(2)], "");
    let (me, other) = (session.me.clone(), sender.me.clone());
    let lens: Vec<usize> = (0..COUNT).map(|_| if dice.below(10) == 0 { dice.below(30_000) } else { 10 }).collect();
    let mut stream = sender.client.stream().try_clone().expect("a descriptor is free");
    let flooding = thread::spawn(move || {
        for (number, len) in lens.into_iter().enumerate() {
            let Packet::Text(event) = numbered(&me, number, len) else { unreachable!("it is text") };
            std::io::Write::write_all(&mut stream, &frame::text(event).bytes()).expect("the server takes our bytes");
        }
    });
    let (mut heard, mut said) = (Vec::new(), 0);
    let hear = |heard: &mut Vec<usize>, all: &[Packet]| {
        heard.extend(all.iter().filter(|packet| **packet != text("6")).map(number));
    };
    let say = |session: &mut Polling, said: &mut usize| {
        session.say(&[numbered(&other, *said, 5), numbered(&other, *said + 1, 5)]);
        *said += 2;
    };
    for _ in 0..dice.below(6) {
        if heard.len() < COUNT {
            hear(&mut heard, &session.poll());
        }
        say(&mut session, &mut said);
    }
    for _ in 0..dice.below(3) {
        // A try that comes to nothing, at one stage or another.
        let mut socket = session.websocket();
        let stage = dice.below(3);
        if stage > 0 {
            socket.say(&text("2probe"));
            socket.hears("3probe");
        }
        if stage > 1 {
            hear(&mut heard, &session.poll());
            say(&mut session, &mut said);
        }
        drop(socket);
        let values = |values: &std::collections::BTreeMap<String, f64>| values["jackfield_sessions"] == 2.0;
        server.metrics().wait_for("the end of the try", values);
        if heard.len() < COUNT {
            hear(&mut heard, &session.poll());
        }
    }
    let is_polling = dice.below(2) == 0;
    let mut socket = session.websocket();
    if is_polling {
        session.begin_poll();
    }
    socket.say(&text("2probe"));
    socket.hears("3probe");
    if is_polling {
        hear(&mut heard, &session.end_poll());
    }
    for _ in 0..dice.below(3) {
        say(&mut session, &mut said);
        hear(&mut heard, &session.poll());
    }
    socket.say(&text("5"));
    for _ in 0..50 {
        socket.say(&numbered(&other, said, 5));
        said += 1;
    }
    while heard.len() < COUNT {
        let packet = socket.hear();
        hear(&mut heard, &[packet]);
    }
    assert_eq!(heard, (0..COUNT).collect::<Vec<_>>(), "seed {seed}");
    flooding.join().expect("everything is taken");
    for expected in 0..said {
        assert_eq!(number(&sender.hear()), expected, "seed {seed}");
    }
    // And nothing twice.
    socket.say(&ask(1));
    let last = std::iter::from_fn(|| Some(socket.hear())).find(|packet| *packet != text("6"));
    assert_eq!(last.as_ref().and_then(answered), Some(1), "{last:?}");
}

#[test]
fn nothing_is_lost_and_nothing_overtakes() {
    let server = TestServer::with(|config| config.limits.queue_high = 64 * 1024);
    for seed in 0..15 {
        for eio in REVISIONS {
            flood(&server, eio, seed);
            server.expect_all_given_back();
        }
    }
}

#[test]
fn the_client_finishes_its_poll_and_goes_over() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        let mut socket = session.websocket();
        // No poll is under way: the next one is answered at once, with just enough.
        socket.say(&text("2probe"));
        socket.hears("3probe");
        assert_eq!(session.poll(), [text("6")]);
        assert_eq!(session.poll(), [text("6")]);
        // It is still a poll.
        session.say(&[ask(1)]);
        assert_eq!(numbers(&session.poll()), [1]);
        socket.say(&text("5"));
        // What it says with the same breath is said to the session.
        socket.say_all(&echo(&socket.me.clone(), 1, "2", &[]));
        assert_eq!(socket.hear_all(1), echoed(1, "2", &[]));
    }
}

#[test]
fn everything_may_come_at_once() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        session.say(&[ask(1)]);
        let target = format!("/socket.io/?{}&transport=websocket&sid={}", eio.query(), session.sid);
        let Packet::Text(third) = ask(3) else { unreachable!("it is text") };
        let hole = r#"{"_placeholder":true,"num":0}"#;
        let event = echo(&session.me, 4, hole, &[&[9; 70_000]]);
        let (Packet::Text(event), Packet::Binary(blob)) = (&event[0], &event[1]) else { unreachable!("{event:?}") };
        let blob = if eio == Eio::Three { [&[4], &blob[..]].concat() } else { blob.clone() };
        let bytes = [
            super::common::http::upgrade_request(server.address(), &target).into_bytes(),
            frame::text("2probe").bytes(),
            frame::text("5").bytes(),
            frame::text(third).bytes(),
            frame::text(event).bytes(),
            frame::binary(blob).bytes(),
        ]
        .concat();
        let mut client = super::common::client::Client::connect(server.address());
        client.write(&bytes);
        assert_eq!(client.response().status, 101);
        let mut socket = Socket { eio, me: session.me.clone(), client };
        socket.hears("3probe");
        assert_eq!(numbers(&[socket.hear()]), [1]);
        socket.hears("6");
        assert_eq!(numbers(&[socket.hear()]), [3]);
        assert_eq!(socket.hear_all(2), echoed(4, hole, &[&[9; 70_000]]));
    }
}

#[test]
fn a_try_that_breaks_off_changes_nothing() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        let orders: &[&[Packet]] = &[
            &[],
            &[text("2probe")],
            &[text("5")],
            &[text("2")],
            &[text("4hello")],
            &[text("3probe")],
            &[text("")],
            &[text("é")],
            &[binary([2])],
            &[text("2probe"), text("2probe")],
            &[text("2probe"), text("4hello")],
            &[text("2probe"), binary([5])],
            &[text("2probe"), text("5x")],
        ];
        for order in orders {
            let mut socket = session.websocket();
            for packet in *order {
                socket.say(packet);
            }
            let is_answered = order.first() == Some(&text("2probe"));
            if is_answered {
                socket.hears("3probe");
            }
            if order.len() != usize::from(is_answered) {
                socket.expect_close("upgrade");
            }
            drop(socket);
            server.metrics().wait_for("its end", |values| values["jackfield_sessions"] == 1.0);
            session.say(&[ask(7)]);
            assert_eq!(numbers(&session.poll()), [7], "{order:?}");
            // It polls again: its poll is held.
            session.begin_poll();
            held(&server, 1);
            session.say(&[ask(8)]);
            assert_eq!(numbers(&session.end_poll()), [8], "{order:?}");
        }
        let mut socket = session.upgrade();
        socket.say(&ask(9));
        assert_eq!(numbers(&[socket.hear()]), [9]);
        drop(socket);
        server.expect_all_given_back();
    }
}

#[test]
fn of_two_tries_the_first_to_ask_goes_on() {
    let server = TestServer::start();
    let mut session = Polling::join(server.address(), Eio::Four, "");
    let (mut first, mut second) = (session.websocket(), session.websocket());
    first.say(&text("2probe"));
    first.hears("3probe");
    second.say(&text("2probe"));
    second.expect_close("upgrade");
    // Once one is under way there is no other.
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", session.sid);
    let mut client = super::common::client::Client::connect(server.address());
    client.write(super::common::http::upgrade_request(server.address(), &target).as_bytes());
    expect_error(&client.response(), 400, 3, "Bad request");
    assert_eq!(session.poll(), [text("6")]);
    first.say(&text("5"));
    first.say(&ask(1));
    assert_eq!(numbers(&[first.hear()]), [1]);
}

#[test]
fn a_session_that_ends_takes_its_try_along() {
    let server = TestServer::start();
    for eio in REVISIONS {
        for is_asked in [false, true] {
            let mut session = Polling::join(server.address(), eio, "");
            let mut socket = session.websocket();
            if is_asked {
                socket.say(&text("2probe"));
                socket.hears("3probe");
            }
            session.say(&[text("1")]);
            socket.say(&text(if is_asked { "5" } else { "2probe" }));
            socket.expect_close("the session has ended");
        }
    }
    server.expect_all_given_back();
}

#[test]
fn requests_under_way_are_let_go_of() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        let mut socket = session.websocket();
        socket.say(&text("2probe"));
        socket.hears("3probe");
        assert_eq!(session.poll(), [text("6")]);
        // A body that is not complete.
        let bytes = request(server.address(), "POST", &session.target(), "", b"20:40/1,40/2,");
        session.posts.client.write(&bytes[..bytes.len() - 3]);
        held(&server, 1);
        socket.say(&text("5"));
        let response = session.posts.client.response();
        expect_error(&response, 400, 3, "Bad request");
        assert!(response.closes());
        socket.say(&ask(1));
        assert_eq!(numbers(&[socket.hear()]), [1]);
        drop((session, socket));
        server.expect_all_given_back();
    }
}

#[test]
fn what_waits_goes_first_however_much_it_is() {
    let server = TestServer::with(|config| config.limits.queue_high = 32 * 1024);
    for eio in REVISIONS {
        let session = Polling::join(server.address(), eio, "");
        let mut sender = Socket::join(server.address(), eio, "");
        let mut metrics = server.metrics();
        for number in 0..50 {
            sender.say(&numbered(&session.me, number, 10_000));
        }
        metrics.wait_for("the sender to be paused", |values| values["jackfield_paused_connections"] == 1.0);
        let mut socket = session.websocket();
        socket.say(&text("2probe"));
        socket.hears("3probe");
        socket.say(&text("5"));
        let mut expected = 0;
        while expected < 50 {
            let packet = socket.hear();
            if packet != text("6") {
                assert_eq!(number(&packet), expected);
                expected += 1;
            }
        }
        metrics.wait_for("the sender to go on", |values| values["jackfield_paused_connections"] == 0.0);
        drop((session, sender, socket, metrics));
        server.expect_all_given_back();
    }
}

#[test]
fn the_heart_goes_on_beating() {
    let server = quick();
    let mut socket = Polling::join(server.address(), Eio::Four, "").upgrade();
    for _ in 0..3 {
        socket.hears("2");
        socket.say(&text("3"));
    }
    socket.hears("2");
    socket.expect_close("no heartbeat");
    let mut socket = Polling::join(server.address(), Eio::Three, "").upgrade();
    for _ in 0..3 {
        socket.say(&text("2"));
        socket.hears("3");
        thread::sleep(INTERVAL / 2);
    }
    let start = std::time::Instant::now();
    socket.expect_close("no heartbeat");
    assert!(start.elapsed() >= (INTERVAL + TIMEOUT) / 2 && start.elapsed() < DEADLINE);
    drop(socket);
    server.expect_all_given_back();
}

/// Everything ends in the same moments in which the client goes over, in every order that the machine comes up with.
#[test]
fn whatever_comes_together_leaves_nothing_behind() {
    let server = TestServer::start();
    for round in 0..60 {
        let eio = REVISIONS[round % 2];
        let mut session = Polling::join(server.address(), eio, "");
        let mut socket = session.websocket();
        socket.say(&text("2probe"));
        socket.hears("3probe");
        if round % 3 == 0 {
            session.begin_poll();
        }
        let close = request(server.address(), "POST", &session.target(), "", payload(eio, &[text("1")]).as_bytes());
        match round % 5 {
            0 => {
                session.posts.client.write(&close);
                socket.say(&text("5"));
            }
            1 => {
                socket.say(&text("5"));
                session.posts.client.write(&close);
            }
            2 => {
                socket.client.write(&[frame::text("5").bytes(), frame::close(1000, "").bytes()].concat());
                session.posts.client.write(&close);
            }
            3 => socket
                .client
                .write(&[frame::text("5").bytes(), frame::text("1").bytes(), frame::text("5").bytes()].concat()),
            _ => {
                session.posts.client.write(&close[..close.len() - 1]);
                socket.say(&text("5"));
                session.posts.client.write(&close[close.len() - 1..]);
            }
        }
        drop((session, socket));
    }
    server.expect_all_given_back();
    let mut session = Polling::join(server.address(), Eio::Four, "");
    session.say(&[ask(1)]);
    assert_eq!(numbers(&session.poll()), [1]);
}
