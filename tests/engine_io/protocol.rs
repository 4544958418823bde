//! The test suites of the Engine.IO documents, revisions 3 and 4, and of the Socket.IO document, point by point.

use std::time::Instant;

use serde_json::json;

use super::common::DEADLINE;
use super::common::engine::{
    Eio, Opening, Packet, Polling, REVISIONS, Requests, Socket, binary, binary_payload, expect_error, expect_joined,
    packets, text,
};
use super::common::server::TestServer;
use super::{INTERVAL, LATE, Line, TIMEOUT, echo, echoed, held, quick};

#[track_caller]
fn expect_opening(opening: &Opening, upgrades: &[&str]) {
    let expected = json!({
        "sid": opening.sid(), "upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_048_576,
    });
    assert_eq!(opening.0, expected);
    let sid = opening.sid();
    assert!(sid.len() == 32 && sid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{sid}");
}

/// Puts a packet together: its number, its arguments, its attachments.
type Form<'a> = &'a dyn Fn(usize, &str, &[&[u8]]) -> Vec<Packet>;

#[test]
fn a_session_opens() {
    let server = quick();
    for eio in REVISIONS {
        let response = Requests::to(server.address()).get(&format!("/socket.io/?{}&transport=polling", eio.query()));
        let said = packets(eio, &response);
        expect_opening(&Opening::of(&said[0]), &["websocket"]);
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("set-cookie"), None);
        // socket.io 2 is in its namespace at once, and told so in the same breath.
        assert_eq!(said[1..], if eio == Eio::Three { vec![text("40")] } else { vec![] });
        let (mut socket, opening) = Socket::open(server.address(), eio);
        expect_opening(&opening, &[]);
        if eio == Eio::Three {
            socket.hears("40");
        }
    }
    server.expect_all_given_back();
}

#[test]
fn names_of_sessions_are_never_the_same() {
    let server = TestServer::start();
    let mut names: Vec<String> = (0..50)
        .flat_map(|_| {
            let session = Polling::open(server.address(), Eio::Four);
            let (mut socket, opening) = Socket::open(server.address(), Eio::Four);
            socket.say(&text("40"));
            let name = expect_joined(Eio::Four, &socket.hear()).expect("it has one");
            [session.sid, opening.sid(), name]
        })
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 150);
}

#[test]
fn packets_go_both_ways_in_every_framing() {
    let server = TestServer::start();
    let pair = r#"{"_placeholder":true,"num":0},"é€😀",{"_placeholder":true,"num":1}"#;
    let blobs: [&[u8]; 2] = [&[1, 2, 3, 4], &[0; 300]];
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        // One packet, several, and text with binary.
        session.say(&echo(&session.me, 1, "\"hello\"", &[]));
        assert_eq!(session.poll(), echoed(1, "\"hello\"", &[]));
        let several = |form: Form<'_>| {
            [form(1, "1", &[]), form(2, pair, &blobs), form(3, "\"é€😀\"", &[]), form(4, "[[]]", &[])].concat()
        };
        let said = several(&|number, arguments, blobs| echo(&session.me, number, arguments, blobs));
        let heard = several(&echoed);
        session.say(&said);
        assert_eq!(session.poll(), heard);
        if eio == Eio::Three {
            let (target, body) = (session.target(), binary_payload(&said));
            for content_type in ["application/octet-stream", "Application/Octet-Stream; x=y"] {
                let lines = format!("Content-Type: {content_type}\r\n");
                assert_eq!(session.posts.ask("POST", &target, &lines, &body).text(), "ok");
                session.begin_poll();
                let response = session.polls.client.response();
                assert_eq!(response.header("content-type"), Some("application/octet-stream"));
                assert_eq!(packets(eio, &response), heard);
            }
        }
        let mut socket = Socket::join(server.address(), eio, "");
        socket.say_all(&several(&|number, arguments, blobs| echo(&socket.me, number, arguments, blobs)));
        assert_eq!(socket.hear_all(6), heard);
    }
    drop(server);
}

#[test]
fn a_client_without_binary_gets_base64_in_either_transport() {
    let server = TestServer::start();
    let blob: &[u8] = &[0, 159, 146, 150];
    let hole = r#"{"_placeholder":true,"num":0}"#;
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "&b64=1");
        session.say(&echo(&session.me, 7, hole, &[blob]));
        session.begin_poll();
        let response = session.polls.client.response();
        assert_eq!(response.header("content-type"), Some("text/plain; charset=UTF-8"));
        assert_eq!(packets(eio, &response), echoed(7, hole, &[blob]));
        let mut socket = Socket::join(server.address(), eio, "&b64=1");
        socket.say_all(&echo(&socket.me, 7, hole, &[blob]));
        socket.hear();
        socket.hears(if eio == Eio::Three { "b4AJ+Slg==" } else { "bAJ+Slg==" });
        // It may send such too.
        socket.say(&echo(&socket.me, 8, hole, &[blob])[0]);
        socket.say(&text(if eio == Eio::Three { "b4AJ+Slg==" } else { "bAJ+Slg==" }));
        socket.hear();
        socket.hears(if eio == Eio::Three { "b4AJ+Slg==" } else { "bAJ+Slg==" });
    }
}

#[test]
fn a_payload_that_is_none_ends_the_session() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let bad: &[&[u8]] = match eio {
            Eio::Three => &[
                b"",
                b"abc",
                b":",
                b"5:4abc",
                b"1:x",
                b"2:b",
                b"99999999999999999999:4",
                b"3:4ab1",
                b"-1:4",
                b"6:4hello:",
                b"4:\xff\xff\xff\xff",
                b"4:b4!!",
                b"01:2",
            ],
            Eio::Four => &[b"", b"abc", b"\x1e", b"2\x1e", b"\x1e2", b"2\x1e\x1e2", b"b!!", b"7", b"4\xff", b" 2"],
        };
        for body in bad {
            let mut session = Polling::open(server.address(), eio);
            let target = session.target();
            let response = session.posts.post(&target, body);
            expect_error(&response, 400, 3, "Bad request");
            session.expect_unknown();
        }
    }
    // Binary framing is revision 3's, and is not text.
    for (eio, body) in [(Eio::Four, &b"2"[..]), (Eio::Three, b"1:2")] {
        let mut session = Polling::open(server.address(), eio);
        let (target, lines) = (session.target(), "Content-Type: application/octet-stream\r\n");
        expect_error(&session.posts.ask("POST", &target, lines, body), 400, 3, "Bad request");
        session.expect_unknown();
    }
    server.expect_all_given_back();
}

#[test]
fn a_poll_that_is_under_way_is_told_of_the_end() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut session = Polling::open(server.address(), eio);
        session.inbox();
        session.begin_poll();
        let target = session.target();
        let mut other = Requests::to(server.address());
        held(&server, 1);
        expect_error(&other.get(&target), 400, 3, "Bad request");
        assert_eq!(session.end_poll(), [text("1")]);
        session.expect_unknown();
    }
    server.expect_all_given_back();
}

#[test]
fn packets_that_are_none_close_a_websocket() {
    let server = TestServer::start();
    for eio in REVISIONS {
        for packet in [text("abc"), text(""), text("7"), text("b!"), text("é")] {
            let (mut socket, _) = Socket::open(server.address(), eio);
            if eio == Eio::Three {
                socket.hears("40");
            }
            socket.say(&packet);
            socket.expect_close("");
        }
    }
    let (mut socket, _) = Socket::open(server.address(), Eio::Three);
    socket.hears("40");
    for bytes in [&[][..], &[9, 1]] {
        socket.client.send(&super::common::frame::binary(bytes));
        socket.expect_close("Engine.IO");
        (socket, _) = Socket::open(server.address(), Eio::Three);
        socket.hears("40");
    }
    drop(socket);
    server.expect_all_given_back();
}

#[test]
fn revision_3_pings_and_is_ponged() {
    let server = quick();
    let mut session = Polling::join(server.address(), Eio::Three, "");
    let mut socket = Socket::join(server.address(), Eio::Three, "");
    for round in 0..3 {
        session.say(&[text("2")]);
        assert_eq!(session.poll(), [text("3")]);
        session.say(&[text(format!("2{round}"))]);
        assert_eq!(session.poll(), [text(format!("3{round}"))]);
        socket.say(&text("2"));
        socket.hears("3");
        socket.say(&text("2probe"));
        socket.hears("3probe");
    }
}

#[test]
fn revision_4_is_pinged_and_pongs() {
    let server = quick();
    let start = Instant::now();
    let mut session = Polling::join(server.address(), Eio::Four, "");
    let mut socket = Socket::join(server.address(), Eio::Four, "");
    for _ in 0..3 {
        assert_eq!(session.poll(), [text("2")]);
        session.say(&[text("3")]);
        socket.hears("2");
        socket.say(&text("3"));
    }
    assert!(start.elapsed() >= 3 * INTERVAL, "three pings within {:?}", start.elapsed());
}

#[test]
fn a_client_that_is_silent_is_given_up() {
    let server = quick();
    let start = Instant::now();
    let mut polling: Vec<_> = REVISIONS.map(|eio| Polling::join(server.address(), eio, "")).into();
    let sockets: Vec<_> = REVISIONS.map(|eio| Socket::join(server.address(), eio, "")).into();
    for mut socket in sockets {
        if socket.eio == Eio::Four {
            socket.hears("2");
        }
        socket.expect_close("no heartbeat");
        let waited = start.elapsed();
        assert!(waited >= INTERVAL + TIMEOUT, "given up after {waited:?}");
        assert!(waited < INTERVAL + TIMEOUT + LATE + DEADLINE / 4, "given up after {waited:?}");
    }
    server.metrics().wait_for("their end", |values| values["jackfield_polling_sessions"] == 0.0);
    for session in &mut polling {
        expect_error(&session.post(&[text("2")]), 400, 1, "Session ID unknown");
        session.expect_unknown();
    }
    drop(polling);
    server.expect_all_given_back();
}

#[test]
fn a_poll_is_no_heartbeat_but_any_packet_is() {
    let server = quick();
    // Revision 4: one that polls and does not pong is given up, with its poll answered.
    let mut session = Polling::join(server.address(), Eio::Four, "");
    let start = Instant::now();
    assert_eq!(session.poll(), [text("2")]);
    assert_eq!(session.poll(), [text("1")]);
    assert!(start.elapsed() >= TIMEOUT);
    session.expect_unknown();
    // Revision 3: the client's packets, whatever they are, say that it is there.
    let mut session = Polling::join(server.address(), Eio::Three, "");
    let start = Instant::now();
    while start.elapsed() < 2 * (INTERVAL + TIMEOUT) {
        session.say(&[text("6")]);
        std::thread::sleep(INTERVAL);
    }
    session.say(&[text("2")]);
    assert_eq!(session.poll(), [text("3")]);
}

#[test]
fn a_client_may_close() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut session = Polling::open(server.address(), eio);
        session.inbox();
        session.begin_poll();
        held(&server, 1);
        // What stands behind it is for nobody.
        session.say(&[text("1"), text("2"), text("40")]);
        assert_eq!(session.end_poll(), [text("6")]);
        session.expect_unknown();
        let mut session = Polling::open(server.address(), eio);
        session.say(&[text("1")]);
        session.expect_unknown();
        let (mut socket, _) = Socket::open(server.address(), eio);
        if eio == Eio::Three {
            socket.hears("40");
        }
        socket.say(&text("1"));
        socket.client.expect_close(1000);
        socket.client.expect_end();
    }
    server.expect_all_given_back();
}

#[test]
fn the_namespace_is_connected() {
    let server = TestServer::start();
    for hello in ["40", "40/,", r#"40{"token":"123"}"#, r#"40/,{"token":"123"}"#, "40/?a=b,", "40{}"] {
        for eio in REVISIONS {
            let (mut socket, _) = Socket::open(server.address(), eio);
            if eio == Eio::Three {
                // It is connected already, and told only once.
                socket.hears("40");
                socket.say(&text(hello));
                socket.say_all(&echo(&socket.me, 1, "2", &[]));
                assert_eq!(socket.hear_all(1), echoed(1, "2", &[]), "{hello}");
                continue;
            }
            socket.say(&text(hello));
            assert!(expect_joined(eio, &socket.hear()).is_some(), "{hello}");
            // Twice is a mistake.
            socket.say(&text("40"));
            socket.expect_close("connected already");
        }
    }
    server.expect_all_given_back();
}

#[test]
fn other_namespaces_are_refused_and_nothing_else_happens() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut socket = Socket::join(server.address(), eio, "");
        for hello in ["40/random", "40/random,", r#"40/random,{"token":"abc"}"#, "40/random?token=abc"] {
            socket.say(&text(hello));
            socket.hears(match eio {
                Eio::Three => r#"44/random,"Invalid namespace""#,
                Eio::Four => r#"44/random,{"message":"Invalid namespace"}"#,
            });
        }
        socket.say(&text("41/random,"));
        socket.say_all(&echo(&socket.me, 1, "2", &[]));
        assert_eq!(socket.hear_all(1), echoed(1, "2", &[]));
        socket.say(&text(r#"42/random,["message"]"#));
        socket.expect_close("namespace");
    }
}

#[test]
fn who_leaves_the_namespace_may_come_back_for_a_while() {
    let server = quick();
    for eio in REVISIONS {
        let mut socket = Socket::join(server.address(), eio, "");
        socket.say(&text("41"));
        socket.say(&text("40"));
        expect_joined(eio, &socket.hear());
        socket.say(&text("41"));
        let start = Instant::now();
        let reason = loop {
            // It keeps its heart beating.
            let beat = if eio == Eio::Three { "2" } else { "3" };
            socket.say(&text(beat));
            std::thread::sleep(LATE / 2);
            let frame = socket.client.expect_frame();
            if frame.close_code() == Some(1008) && frame.opcode == super::common::frame::CLOSE {
                break frame.close_reason();
            }
        };
        assert!(reason.contains("no namespace"), "{reason}");
        assert!(start.elapsed() >= INTERVAL + TIMEOUT);
    }
}

#[test]
fn events_and_acks_with_and_without_attachments() {
    let server = TestServer::start();
    let two = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    let blobs: [&[u8]; 2] = [&[1, 2, 3], &[4, 5, 6]];
    for eio in REVISIONS {
        let mut socket = Socket::join(server.address(), eio, "");
        let mut session = Polling::join(server.address(), eio, "");
        for line in [&mut socket as &mut dyn Line, &mut session] {
            line.say_all(&echo(line.me(), 456, r#"1,"2",{"3":[false]}"#, &[]));
            assert_eq!(line.hear_all(1), echoed(456, r#"1,"2",{"3":[false]}"#, &[]));
            // It calls itself, and answers itself; our number for that is between us.
            let event = format!(r#"452-789["P2P_EMIT","{}","x",[{two}],null]"#, line.me());
            line.say_all(&[text(event), binary(blobs[0]), binary(blobs[1])]);
            let asked = line.hear_all(3);
            let Packet::Text(event) = &asked[0] else { panic!("{asked:?}") };
            let number = event.strip_prefix("452-").and_then(|rest| rest.strip_suffix(&format!(r#"["x",{two}]"#)));
            let number = number.unwrap_or_else(|| panic!("{event}"));
            assert_eq!(asked[1..], [binary(blobs[0]), binary(blobs[1])]);
            let answer = format!(r#"461-{number}["done",{{"_placeholder":true,"num":0}}]"#);
            line.say_all(&[text(answer), binary(blobs[1])]);
            let answer = r#"461-789["done",{"_placeholder":true,"num":0}]"#;
            assert_eq!(line.hear_all(2), [text(answer), binary(blobs[1])]);
        }
        // An event that is for nobody, acks that nobody waits for.
        socket.say(&text(r#"42["nobody's event",1,"2",{"3":[true]}]"#));
        socket.hears(r#"42["SERVER_ERROR","Error: this server knows no event 'nobody's event'"]"#);
        socket.say_all(&[text("4399[]"), text("461-99[1]")]);
        socket.say(&binary([1]));
        socket.say_all(&echo(&socket.me, 1, "2", &[]));
        assert_eq!(socket.hear_all(1), echoed(1, "2", &[]));
    }
}

#[test]
fn packets_of_socket_io_that_are_none_close_the_session() {
    let server = TestServer::start();
    let hole = r#"{"_placeholder":true,"num":0}"#;
    let alone = [
        "4",
        "4abc",
        "48",
        "42",
        "42{}",
        "42[]",
        r#"42abc["message",1]"#,
        r#"42-1["message",1]"#,
        r#"4299999999999999999999999["message",1]"#,
        r#"42["message",1"#,
        r#"42["message",1]x"#,
        "42[1,2]x",
        "42[{}]",
        "42[null]",
        "43[]",
        "431{}",
        "43",
        r#"45["message"]"#,
        r#"451["message"]"#,
        r#"4565-["message"]"#,
        r#"454294967296-["message"]"#,
        r#"451-["message",{"_placeholder":true,"num":1}]"#,
        r#"451-["message",{"_placeholder":true,"num":-1}]"#,
        r#"451-["message",{"_placeholder":true,"num":"splice"}]"#,
        r#"451-["message",{"_placeholder":true}]"#,
    ];
    let orders: Vec<Vec<Packet>> = alone
        .iter()
        .map(|packet| vec![text(*packet)])
        .chain([
            // An attachment that was not announced, and packets where one was to come.
            vec![binary([1])],
            vec![text(format!(r#"451-["message",{hole}]"#)), binary([1]), binary([2])],
            vec![text(format!(r#"451-["message",{hole}]"#)), text(r#"42["message"]"#)],
            vec![text(format!(r#"452-["message",{hole}]"#)), binary([1]), text("41")],
        ])
        .collect();
    for eio in REVISIONS {
        for order in &orders {
            let mut socket = Socket::join(server.address(), eio, "");
            for packet in order {
                socket.say(packet);
            }
            let frame = loop {
                let frame = socket.client.frame().unwrap_or_else(|trouble| panic!("{order:?}: {trouble:?}"));
                // What was right came first.
                if !frame.payload.starts_with(b"42") {
                    break frame;
                }
            };
            assert_eq!(frame.close_code(), Some(1008), "{order:?}: {}", frame.summary());
            socket.client.expect_end();
            let mut session = Polling::join(server.address(), eio, "");
            // The packets are taken as packets; that they are none is found out behind that.
            session.say(order);
            let response = session.try_poll();
            if response.status == 200 {
                // What was right came first here too, and is said last.
                assert!(response.text().contains("SERVER_ERROR"), "{order:?}: {response:?}");
                session.expect_unknown();
            } else {
                expect_error(&response, 400, 1, "Session ID unknown");
            }
        }
    }
    server.expect_all_given_back();
}

#[test]
fn an_event_before_the_namespace_closes() {
    let server = TestServer::start();
    let (mut socket, _) = Socket::open(server.address(), Eio::Four);
    socket.say(&text(r#"42["message"]"#));
    socket.expect_close("not connected");
    let mut session = Polling::open(server.address(), Eio::Four);
    session.say(&[text(r#"42["message"]"#)]);
    session.expect_unknown();
    drop((socket, session));
    server.expect_all_given_back();
}

#[test]
fn a_heartbeat_may_come_between_an_event_and_its_attachments() {
    let server = TestServer::start();
    let hole = r#"{"_placeholder":true,"num":0}"#;
    for (eio, beat) in [(Eio::Three, "2"), (Eio::Four, "3")] {
        let mut socket = Socket::join(server.address(), eio, "");
        let event = echo(&socket.me, 1, hole, &[&[7]]);
        socket.say_all(&[event[0].clone(), text(beat), event[1].clone()]);
        if eio == Eio::Three {
            socket.hears("3");
        }
        assert_eq!(socket.hear_all(2), echoed(1, hole, &[&[7]]));
    }
}
