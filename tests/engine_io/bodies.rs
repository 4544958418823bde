//! Requests in every shape in which they may arrive: whole, in pieces, one behind the other, never to their end.

use std::time::Instant;

use super::common::client::Client;
use super::common::engine::{Eio, Polling, REVISIONS, Requests, expect_error, payload, request, text};
use super::common::server::{Metrics, TestServer};
use super::{Line, TIMEOUT, ask, echo, echoed, held, numbers, quick};

/// A POST of packets on the wire.
fn post(session: &Polling, lines: &str, packets: &[super::Packet]) -> Vec<u8> {
    let body = payload(session.eio, packets);
    request(session.address, "POST", &session.target(), lines, body.as_bytes())
}

/// Whoever reads the gauges after something was sent knows that the server has looked at it: it was there before.
#[track_caller]
fn looked_at(metrics: &mut Metrics) {
    metrics.read();
}

#[track_caller]
fn expect_ok(client: &mut Client) {
    let response = client.response();
    assert_eq!((response.status, &response.text()[..]), (200, "ok"), "{response:?}");
}

#[test]
fn a_body_may_come_in_any_two_pieces() {
    let server = TestServer::start();
    let mut metrics = server.metrics();
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        let packets = [
            echo(&session.me, 1, "\"é\"", &[]),
            echo(&session.me, 2, r#"{"_placeholder":true,"num":0}"#, &[&[1, 2, 3]]),
        ]
        .concat();
        let expected = [echoed(1, "\"é\"", &[]), echoed(2, r#"{"_placeholder":true,"num":0}"#, &[&[1, 2, 3]])].concat();
        let bytes = post(&session, "", &packets);
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        for at in (1..head).step_by(7).chain(head - 5..bytes.len()) {
            let (first, second) = bytes.split_at(at);
            session.posts.client.write(first);
            looked_at(&mut metrics);
            session.posts.client.write(second);
            expect_ok(&mut session.posts.client);
            assert_eq!(session.hear_all(3), expected, "cut at {at}");
        }
    }
}

#[test]
fn a_body_may_come_byte_by_byte() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        session.begin_poll();
        for byte in post(&session, "", &echo(&session.me, 1, "\"é\"", &[])) {
            session.posts.client.write(&[byte]);
        }
        expect_ok(&mut session.posts.client);
        assert_eq!(session.end_poll(), echoed(1, "\"é\"", &[]));
    }
}

#[test]
fn a_long_body_is_as_good_as_a_short_one() {
    let server = TestServer::start();
    let limit = 1_048_576;
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        // The whole body, with what the framing adds, is just as long as it may be.
        let arguments = |len: usize| format!("\"{}\"", "x".repeat(len));
        let around = limit - 100;
        let len = around + limit - payload(eio, &echo(&session.me, 1, &arguments(around), &[])).len();
        session.begin_poll();
        session.say(&echo(&session.me, 1, &arguments(len), &[]));
        assert_eq!(session.end_poll(), echoed(1, &arguments(len), &[]));
        let bytes = post(&session, "", &echo(&session.me, 1, &arguments(len + 1), &[]));
        session.posts.client.write(&bytes[..1000]);
        let response = session.posts.client.response();
        assert_eq!(response.status, 413, "{response:?}");
        assert!(response.text().contains("1048576 bytes (--max-message)"), "{response:?}");
        assert!(response.closes());
        // The session has not heard of it.
        session.posts = Requests::to(server.address());
        session.say(&echo(&session.me, 2, "3", &[]));
        assert_eq!(session.poll(), echoed(2, "3", &[]));
    }
    let session = Polling::open(server.address(), Eio::Four);
    for length in ["18446744073709551615", "9223372036854775808", "4294967297"] {
        let mut client = Client::connect(server.address());
        let (target, address) = (session.target(), server.address());
        let head = format!("POST {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
        client.write(head.as_bytes());
        assert_eq!(client.response().status, 413, "{length}");
        client.finish_writing();
        client.expect_end();
    }
}

#[test]
fn requests_may_stand_one_behind_the_other() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        let poll = request(server.address(), "GET", &session.target(), "", b"");
        // POST, poll, POST, poll: each has its answer in its place, as the one before it has been handled.
        let all =
            [post(&session, "", &[ask(1), ask(2)]), poll.clone(), post(&session, "", &[ask(3)]), poll.clone()].concat();
        let mut client = Client::connect(server.address());
        client.write(&all);
        expect_ok(&mut client);
        assert_eq!(numbers(&super::common::engine::packets(eio, &client.response())), [1, 2]);
        expect_ok(&mut client);
        assert_eq!(numbers(&super::common::engine::packets(eio, &client.response())), [3]);
        // Behind a poll that is held everything waits; it is answered by what comes elsewhere.
        client.write(&[poll.clone(), post(&session, "", &[ask(5)]), poll.clone(), poll.clone()].concat());
        held(&server, 1);
        session.say(&[ask(4)]);
        assert_eq!(numbers(&super::common::engine::packets(eio, &client.response())), [4]);
        expect_ok(&mut client);
        assert_eq!(numbers(&super::common::engine::packets(eio, &client.response())), [5]);
        held(&server, 1);
        session.say(&[ask(6)]);
        assert_eq!(numbers(&super::common::engine::packets(eio, &client.response())), [6]);
        // In pieces, while another is held.
        let bytes = [post(&session, "", &[ask(7)]), poll].concat();
        client.write(&bytes[..20]);
        looked_at(&mut server.metrics());
        client.write(&bytes[20..]);
        expect_ok(&mut client);
        assert_eq!(numbers(&super::common::engine::packets(eio, &client.response())), [7]);
    }
}

#[test]
fn too_much_behind_a_poll_ends_it() {
    let server = TestServer::with(|config| config.limits.max_head = 2000);
    let session = Polling::join(server.address(), Eio::Four, "");
    let mut client = Client::connect(server.address());
    client.write(&request(server.address(), "GET", &session.target(), "", b""));
    held(&server, 1);
    client.write(&[b'x'; 3000]);
    assert!(client.try_response("GET").is_err(), "it is cut off");
    drop(session);
    server.expect_all_given_back();
}

/// Behind any request: what is kept of it would be moved with each of many.
#[test]
fn too_much_behind_a_request_is_not_kept() {
    let server = TestServer::with(|config| config.limits.max_head = 2000);
    let mut session = Polling::join(server.address(), Eio::Four, "");
    let bytes = post(&session, "", &[ask(1)]);
    let few = 2000 / bytes.len();
    for (count, stays) in [(few, true), (few + 2, false)] {
        let mut client = Client::connect(server.address());
        client.write(&bytes.repeat(count));
        let response = client.response();
        assert_eq!((response.status, response.closes()), (200, !stays));
        for _ in 1..if stays { count } else { 1 } {
            expect_ok(&mut client);
        }
        if !stays {
            client.expect_end();
        }
    }
    assert_eq!(numbers(&session.poll()), vec![1; few + 1]);
}

#[test]
fn a_connection_is_kept_or_not_as_the_client_asks() {
    let server = TestServer::start();
    let mut session = Polling::join(server.address(), Eio::Four, "");
    for (version, lines, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ] {
        let mut client = Client::connect(server.address());
        let (target, address) = (session.target(), server.address());
        for _ in 0..if stays { 3 } else { 1 } {
            client.write(format!("GET {target} HTTP/{version}\r\nHost: {address}\r\n{lines}\r\n").as_bytes());
            held(&server, 1);
            session.say(&[ask(1)]);
            assert_eq!(client.response().closes(), !stays, "{version} {lines:?}");
        }
        if !stays {
            client.expect_end();
        }
    }
}

#[test]
fn a_client_may_wait_for_leave_to_send_its_body() {
    let server = TestServer::start();
    let mut session = Polling::join(server.address(), Eio::Four, "");
    let expects = "Expect: 100-Continue\r\n";
    let bytes = post(&session, expects, &[ask(1)]);
    let head = bytes.len() - payload(Eio::Four, &[ask(1)]).len();
    let client = &mut session.posts.client;
    client.write(&bytes[..head]);
    let response = client.response();
    assert_eq!((response.status, response.headers.len()), (100, 0), "{response:?}");
    client.write(&bytes[head..]);
    expect_ok(client);
    // Who does not wait needs no leave.
    client.write(&bytes);
    expect_ok(client);
    assert_eq!(numbers(&session.poll()), [1, 1]);
    // No leave for what is refused, and none for who cannot know it.
    let other = String::from_utf8(bytes[..head].to_vec()).expect("text").replace(&session.sid, "x");
    for (head, status) in [
        (other, 400),
        (request_head(&session, &format!("Content-Length: 99999999\r\n{expects}")), 413),
        (request_head(&session, "Content-Length: 1\r\nExpect: 100-continue\r\nOrigin: https://evil.example\r\n"), 403),
    ] {
        let mut client = Client::connect(server.address());
        client.write(head.as_bytes());
        let response = client.response();
        assert_eq!((response.status, response.closes()), (status, true), "{head}: {response:?}");
    }
    let mut client = Client::connect(server.address());
    client.write(
        request_head(&session, "Content-Length: 1\r\nExpect: 100-continue\r\n").replace("/1.1", "/1.0").as_bytes(),
    );
    held(&server, 1);
    client.write(b"3");
    expect_ok(&mut client);
}

/// The head of a POST with these lines.
fn request_head(session: &Polling, lines: &str) -> String {
    format!("POST {} HTTP/1.1\r\nHost: {}\r\n{lines}\r\n", session.target(), session.address)
}

#[test]
fn a_body_that_never_comes_ends_the_session() {
    let server = quick();
    let mut session = Polling::join(server.address(), Eio::Three, "");
    session.begin_poll();
    held(&server, 1);
    let start = Instant::now();
    let bytes = post(&session, "", &[ask(1)]);
    session.posts.client.write(&bytes[..bytes.len() - 1]);
    let response = session.posts.client.response();
    assert!(start.elapsed() >= TIMEOUT);
    assert_eq!(response.status, 408, "{response:?}");
    assert!(response.text().contains("--device-ping-timeout"), "{response:?}");
    assert_eq!(session.end_poll(), [text("1")]);
    session.expect_unknown();
    drop(session);
    server.expect_all_given_back();
}

#[test]
fn a_connection_that_breaks_ends_its_session() {
    let server = TestServer::start();
    for eio in REVISIONS {
        // In the middle of a body, with and without a poll that hears of it.
        for polls in [true, false] {
            let mut session = Polling::join(server.address(), eio, "&deviceId=a");
            if polls {
                session.begin_poll();
                held(&server, 1);
            }
            let bytes = post(&session, "", &[ask(1)]);
            session.posts.client.write(&bytes[..bytes.len() - 1]);
            held(&server, 1 + usize::from(polls));
            session.posts = Requests::to(server.address());
            if polls {
                assert_eq!(session.end_poll(), [text("1")]);
            }
            server.metrics().wait_for("its end", |values| values["jackfield_devices"] == 0.0);
            session.expect_unknown();
        }
        // In the middle of a poll: closed, finished, reset.
        for how in 0..3 {
            let mut session = Polling::join(server.address(), eio, "&deviceId=a");
            session.begin_poll();
            held(&server, 1);
            let Polling { polls, posts, .. } = session;
            match how {
                0 => {}
                1 => polls.client.finish_writing(),
                _ => {
                    let socket = socket2::SockRef::from(polls.client.stream());
                    socket.set_linger(Some(std::time::Duration::ZERO)).expect("a live socket");
                }
            }
            let finished = (how == 1).then_some(polls);
            server.metrics().wait_for("its end", |values| values["jackfield_devices"] == 0.0);
            drop((finished, posts));
            server.expect_all_given_back();
        }
        // Between requests nobody needs a connection.
        let mut session = Polling::join(server.address(), eio, "&deviceId=a");
        (session.polls, session.posts) = (Requests::to(server.address()), Requests::to(server.address()));
        session.say(&[ask(1)]);
        assert_eq!(numbers(&session.poll()), [1]);
        session.say(&[text("1")]);
    }
}

#[test]
fn two_bodies_at_once_end_the_session() {
    let server = TestServer::start();
    for second in [1, 1000] {
        let mut session = Polling::join(server.address(), Eio::Four, "");
        session.begin_poll();
        let bytes = post(&session, "", &[ask(1), ask(2)]);
        session.posts.client.write(&bytes[..bytes.len() - 5]);
        held(&server, 2);
        // The second may be whole or not.
        let mut other = Client::connect(server.address());
        other.write(&bytes[..bytes.len().saturating_sub(second).max(bytes.len() - 5)]);
        if second == 1 {
            other.write(&bytes[bytes.len() - 1..]);
        }
        let response = other.response();
        expect_error(&response, 400, 3, "Bad request");
        let response = session.posts.client.response();
        expect_error(&response, 400, 1, "Session ID unknown");
        assert!(response.closes());
        assert_eq!(session.end_poll(), [text("1")]);
        session.expect_unknown();
        drop((session, other));
        server.expect_all_given_back();
    }
}

/// What is no request is never taken for one: not the body of a request that is refused, however it is cut.
#[test]
fn t18_a_body_is_no_request() {
    let server = TestServer::start();
    let address = server.address();
    let smuggled = request(address, "GET", "/metrics", "", b"");
    let session = Polling::join(address, Eio::Four, "");
    let mut busy = Polling::join(address, Eio::Four, "");
    let unknown = "/socket.io/?EIO=4&transport=polling&sid=x".to_owned();
    let none = "/socket.io/?EIO=4&transport=polling".to_owned();
    let rows = [
        ("POST", unknown.clone(), ""),
        ("POST", unknown.clone(), "Expect: 100-continue\r\n"),
        ("GET", unknown.clone(), ""),
        ("PUT", unknown, ""),
        ("POST", none.clone(), ""),
        ("GET", none.clone(), ""),
        ("HEAD", none.clone(), ""),
        ("DELETE", session.target(), ""),
        ("POST", session.target().replace("EIO=4", "EIO=3"), ""),
        ("GET", session.target().replace("EIO=4", "EIO=3"), ""),
        ("POST", session.target().replace("polling", "websocket"), ""),
        ("OPTIONS", none, "Origin: http://localhost\r\n"),
        ("POST", session.target(), "Origin: https://evil.example\r\n"),
        ("POST", session.target(), "Sec-Fetch-Site: cross-site\r\n"),
    ];
    for (method, target, lines) in rows {
        for at_once in [true, false] {
            let what = format!("{method} {target} {lines:?}, at once: {at_once}");
            let bytes = request(address, method, &target, lines, &smuggled);
            let head = bytes.len() - smuggled.len();
            let mut client = Client::connect(address);
            client.write(if at_once { &bytes } else { &bytes[..head] });
            let response = client.response_to(method);
            // Or it was passed over.
            assert!(at_once || response.closes(), "{what}: {response:?}");
            if !at_once {
                client.write(&bytes[head..]);
            }
            client.finish_writing();
            assert_eq!(client.end(), Ok(()), "{what}");
        }
    }
    // A GET that is held has no body either.
    let bytes = request(address, "GET", &busy.target(), "", &smuggled);
    let mut client = Client::connect(address);
    client.write(&bytes);
    held(&server, 1);
    busy.say(&[ask(1)]);
    assert!(client.response().closes());
    client.finish_writing();
    client.expect_end();
    busy.say(&[ask(2)]);
    assert_eq!(numbers(&busy.poll()), [2]);
    // The first of two bodies, when the second is refused and both are cut short.
    let bytes = request(address, "POST", &busy.target(), "", &smuggled);
    let head = bytes.len() - smuggled.len();
    let mut clients = [Client::connect(address), Client::connect(address)];
    clients[0].write(&bytes[..head]);
    held(&server, 1);
    clients[1].write(&bytes[..head]);
    for client in &mut clients {
        assert!(client.response().closes());
        client.write(&smuggled);
        client.finish_writing();
        client.expect_end();
    }
    // Chunks are refused with the head.
    let mut client = Client::connect(address);
    client.write(request_head(&session, "Transfer-Encoding: chunked\r\n").as_bytes());
    assert!(client.response().closes());
}

/// They are handled in turns, with everybody else between them, and none while nobody takes what they lead to.
#[test]
fn a_request_of_many_packets_is_handled_in_its_order() {
    let server = TestServer::start();
    const COUNT: usize = 15_000;
    for eio in REVISIONS {
        let mut session = Polling::join(server.address(), eio, "");
        let packets: Vec<_> =
            (0..COUNT).flat_map(|number| echo(&session.me, number, &number.to_string(), &[])).collect();
        session.posts.client.write(&post(&session, "", &packets));
        for number in 0..COUNT {
            assert_eq!(session.hear_all(1), echoed(number, &number.to_string(), &[]));
        }
        expect_ok(&mut session.posts.client);
        // There is an end to it.
        let body = if eio == Eio::Three { "1:6".repeat(70_000) } else { format!("6{}", "\u{1e}6".repeat(69_999)) };
        let target = session.target();
        let reason = "one request may have 65536 packets, which no option changes";
        expect_error(&session.posts.post(&target, body), 400, 3, reason);
        session.expect_unknown();
    }
    server.expect_all_given_back();
}
