//! Clients that mean ill, and clients that vanish: the others go on, and whoever had to do with one is told, once.

use std::collections::BTreeMap;

use super::common::client::Client;
use super::common::engine::{
    Eio, Packet, Polling, REVISIONS, Requests, Socket, binary_payload, expect_joined, payload, request, text,
};
use super::common::frame;
use super::common::http::upgrade_request;
use super::common::server::TestServer;
use super::{Dice, Line, echo, echoed, held, quick};

/// Two that know each other: the second is the first's partner and its target.
#[track_caller]
fn acquainted(first: &mut dyn Line, second: &mut dyn Line) {
    let answer = |line: &mut dyn Line, heard: &Packet, what: &str, with: &str| {
        let Packet::Text(said) = heard else { panic!("{heard:?}") };
        let number = said.strip_prefix("42").and_then(|rest| rest.split_once('['));
        let (number, data) = number.unwrap_or_else(|| panic!("{said}"));
        assert!(data.starts_with(what), "{said}");
        line.say_all(&[text(format!("43{number}[{with}]"))]);
    };
    for (event, with) in [("P2P_REGISTER", "true"), ("ADD_TARGET", "")] {
        first.say_all(&[text(format!(r#"421["{event}","{}"]"#, second.me()))]);
        let heard = second.hear_all(1);
        answer(second, &heard[0], &format!("\"{event}\""), with);
        assert_eq!(first.hear_all(1), [text(format!("431[{with}]"))]);
    }
}

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Exit {
    /// It says so, in its namespace or for good.
    Leaves,
    Closes,
    /// Its connections end, with a request under way or without.
    MidPoll,
    MidBody,
    Silently,
    /// It says what nobody may say.
    Garbage,
}

#[test]
fn whoever_goes_however_its_partner_is_told_once_and_its_id_is_free() {
    let server = quick();
    for eio in REVISIONS {
        for exit in [Exit::Leaves, Exit::Closes, Exit::MidPoll, Exit::MidBody, Exit::Silently, Exit::Garbage] {
            // One that says itself that it is there, and can therefore be left alone.
            let mut stays = Socket::join(server.address(), Eio::Three, "");
            let mut goes = Polling::join(server.address(), eio, "");
            acquainted(&mut stays, &mut goes);
            let id = goes.me.clone();
            match exit {
                Exit::Leaves => goes.say(&[text("41")]),
                Exit::Closes => goes.say(&[text("1")]),
                Exit::Garbage => goes.say(&[text("4!")]),
                Exit::Silently => {}
                Exit::MidPoll => {
                    goes.begin_poll();
                    held(&server, 1);
                }
                Exit::MidBody => {
                    let bytes = request(server.address(), "POST", &goes.target(), "", b"4:41/x");
                    goes.posts.client.write(&bytes[..bytes.len() - 1]);
                    held(&server, 1);
                }
            }
            drop(goes);
            let mut told = Vec::new();
            while told.len() < 2 {
                stays.say(&text("2"));
                told.extend([stays.hear()].into_iter().filter(|packet| *packet != text("3")));
                std::thread::sleep(super::LATE / 10);
            }
            let expected = [text(r#"42["P2P_DISCONNECT"]"#), text(format!(r#"42["TARGET_DISCONNECT","{id}"]"#))];
            assert_eq!(told, expected, "{eio:?} {exit:?}");
            // Nothing more of it, and the id is anybody's.
            let mut heir = Socket::asking(server.address(), &id);
            expect_joined(Eio::Four, &heir.hear());
            stays.say_all(&echo(&stays.me.clone(), 1, "1", &[]));
            let rest: Vec<Packet> = std::iter::from_fn(|| Some(stays.hear()))
                .take_while(|packet| *packet != echoed(1, "1", &[])[0])
                .collect();
            assert!(rest.iter().all(|packet| *packet == text("3")), "{eio:?} {exit:?}: {rest:?}");
            heir.say(&text("1"));
            heir.client.expect_close(1000);
        }
        server.metrics().wait_for("their end", |values| values["jackfield_devices"] == 0.0);
    }
}

#[test]
fn a_second_client_with_an_id_is_refused_while_the_first_is_there() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut holder = Polling::join(server.address(), eio, "");
        holder.begin_poll();
        held(&server, 1);
        let mut second = Socket::asking(server.address(), &holder.me);
        // The poll returns, and the next one is the sign of life.
        assert_eq!(holder.end_poll(), [text("6")]);
        holder.begin_poll();
        let Packet::Text(joined) = second.hear() else { panic!("text") };
        assert!(joined.starts_with("40{"), "{joined}");
        let Packet::Text(error) = second.hear() else { panic!("text") };
        assert!(error.contains(&format!("Duplicated clientId {} on connect", holder.me)), "{error}");
        second.hears("41");
        holder.say_all(&echo(&holder.me.clone(), 1, "1", &[]));
        assert_eq!(holder.end_poll(), echoed(1, "1", &[]));
        holder.say(&[text("1")]);
        drop(second);
    }
    server.expect_all_given_back();
}

/// What a client might say, and what a fuzzer makes of it.
fn mutated(dice: &mut Dice, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, dice.below(256) as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let tail = bytes[at..].to_vec();
                bytes.extend(tail);
            }
        }
    }
    bytes
}

/// T12: whatever one client sends, nobody else notices, and nothing is left of it.
#[test]
fn t12_nothing_that_one_sends_disturbs_another() {
    let server = TestServer::start();
    let mut dice = Dice(12);
    let mut neighbours =
        [Polling::join(server.address(), Eio::Three, ""), Polling::join(server.address(), Eio::Four, "")];
    let to = neighbours[0].me.clone();
    for round in 0..400 {
        let eio = REVISIONS[round % 2];
        let hole = r#"{"_placeholder":true,"num":0}"#;
        let packets = [
            text("40"),
            text(r#"42["P2P_EMIT","nobody","e",[1,"é"],null]"#),
            text(format!(r#"42{round}["P2P_REGISTER","nobody"]"#)),
            text(format!(r#"451-["EMIT_ROOM","{to}","e",{hole}]"#)),
            Packet::Binary(vec![1, 2, 3]),
            text(r#"421["JOIN_ROOM","room"]"#),
            text("2probe"),
            text("41"),
        ];
        match round % 4 {
            0 | 1 => {
                let mut session = Polling::open(server.address(), eio);
                let is_binary = eio == Eio::Three && round % 8 < 4;
                let body = if is_binary { binary_payload(&packets) } else { payload(eio, &packets).into_bytes() };
                let kind = if is_binary { "application/octet-stream" } else { "text/plain" };
                let (target, lines) = (session.target(), format!("Content-Type: {kind}\r\n"));
                let response = session.posts.ask("POST", &target, &lines, &mutated(&mut dice, &body));
                assert!(matches!(response.status, 200 | 400), "{response:?}");
            }
            2 => {
                let bytes: Vec<u8> = packets
                    .iter()
                    .flat_map(|packet| match packet {
                        Packet::Text(text) => frame::text(mutated(&mut dice, text.as_bytes())).bytes(),
                        Packet::Binary(bytes) => frame::binary(mutated(&mut dice, bytes)).bytes(),
                    })
                    .collect();
                let target = format!("/socket.io/?{}&transport=websocket&clientId=x{round}", eio.query());
                let mut client = Client::connect(server.address());
                client.write(&[upgrade_request(server.address(), &target).into_bytes(), bytes].concat());
                assert_eq!(client.response().status, 101);
            }
            _ => {
                let target = format!("/socket.io/?{}&transport=polling&sid={:032x}&j=1&b64=1", eio.query(), round);
                let bytes = request(server.address(), "POST", &target, "Origin: http://localhost\r\n", b"4:41/x");
                let mut client = Client::connect(server.address());
                client.write(&mutated(&mut dice, &bytes));
                client.finish_writing();
                // Whatever it was, it is over soon.
                while client.try_response("POST").is_ok() {}
            }
        }
        if round % 20 == 0 {
            for neighbour in &mut neighbours {
                neighbour.say(&echo(&neighbour.me, round, "\"here\"", &[]));
                assert_eq!(neighbour.hear_all(1), echoed(round, "\"here\"", &[]));
            }
        }
    }
    // Sessions of which only the connections have gone have their heartbeat's time; all others are gone.
    let without = |values: &BTreeMap<String, f64>| values["jackfield_devices"] - values["jackfield_polling_sessions"];
    server.metrics().wait_for("the end of all connections", |values| without(values) == 0.0);
    for neighbour in &mut neighbours {
        neighbour.say(&echo(&neighbour.me, 1, "\"still here\"", &[]));
        assert_eq!(neighbour.hear_all(1), echoed(1, "\"still here\"", &[]));
    }
}

#[test]
fn what_a_query_says_twice_counts_once() {
    let server = TestServer::start();
    let mut session = Polling::join(server.address(), Eio::Four, "");
    let stranger = Polling::join(server.address(), Eio::Four, "");
    for (query, status) in [
        (format!("EIO=4&transport=polling&sid={}&sid={}", stranger.sid, session.sid), 200),
        (format!("EIO=4&EIO=3&transport=polling&sid={}", session.sid), 200),
        (format!("EIO=3&EIO=4&transport=polling&sid={}", session.sid), 400),
        (format!("transport=x&EIO=4&transport=polling&sid={}", session.sid), 400),
        (format!("EIO=4&transport=polling&%73id={}", session.sid), 200),
        (format!("EIO=4&transport=polling&sid={}%00", session.sid), 400),
    ] {
        let response = Requests::to(server.address()).post(&format!("/socket.io/?{query}"), "6");
        assert_eq!(response.status, status, "{query}: {response:?}");
    }
    session.say(&echo(&session.me, 1, "1", &[]));
    assert_eq!(session.poll(), echoed(1, "1", &[]));
    let response =
        Requests::to(server.address()).get(&format!("/socket.io/?EIO=4&transport=polling&x={}", "y".repeat(9000)));
    assert_eq!(response.status, 414);
}
