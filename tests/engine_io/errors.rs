//! Requests that are refused: each error with its number, in words that clients read, and without harm to any session.

use std::net::SocketAddr;

use serde_json::json;

use super::Line;
use super::common::client::Client;
use super::common::engine::{Eio, Polling, REVISIONS, Requests, Socket, expect_error, expect_joined, text};
use super::common::http::{Response, SAMPLE_KEY};
use super::common::server::TestServer;
use super::{ask, echo, echoed, numbers};

/// A refused upgrade.
#[track_caller]
fn upgrade(address: SocketAddr, target: &str, lines: &str) -> Response {
    let mut client = Client::connect(address);
    client.write(
        format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {SAMPLE_KEY}\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
        )
        .as_bytes(),
    );
    let response = client.response();
    assert!(response.closes(), "{response:?}");
    client.expect_end();
    response
}

/// Every error, with the words that stand for it.
const MESSAGES: [&str; 6] = [
    "Transport unknown",
    "Session ID unknown",
    "Bad handshake method",
    "Bad request",
    "Forbidden",
    "Unsupported protocol version",
];

#[test]
fn every_error_has_its_number() {
    let server = TestServer::start();
    let address = server.address();
    let session = Polling::open(address, Eio::Four);
    let (_socket, opening) = Socket::open(address, Eio::Four);
    let (polling, open) = (&session.sid, opening.sid());
    let unknown = "0123456789abcdef0123456789abcdef";
    let rows: Vec<(&str, String, usize)> = vec![
        ("GET", "".into(), 0),
        ("GET", "EIO=4".into(), 0),
        ("GET", "EIO=4&transport=".into(), 0),
        ("GET", "EIO=4&transport=POLLING".into(), 0),
        ("GET", "EIO=4&transport=webtransport".into(), 0),
        ("POST", "transport=flashsocket&sid=x".into(), 0),
        ("DELETE", "EIO=4".into(), 0),
        ("GET", format!("EIO=4&transport=polling&sid={unknown}"), 1),
        ("POST", format!("EIO=3&transport=polling&sid={unknown}"), 1),
        ("GET", "EIO=4&transport=polling&sid=x".into(), 1),
        ("GET", format!("EIO=4&transport=polling&sid={}", "f".repeat(5000)), 1),
        ("GET", "EIO=4&transport=polling&sid=%00%0d%0aX:%20y".into(), 1),
        ("GET", format!("EIO=4&transport=polling&sid={}", polling.to_uppercase() + "0"), 1),
        ("POST", "EIO=4&transport=polling".into(), 2),
        ("POST", "EIO=4&transport=polling&sid=".into(), 2),
        ("PUT", "EIO=3&transport=polling".into(), 2),
        ("PUT", format!("EIO=4&transport=polling&sid={polling}"), 2),
        ("DELETE", format!("EIO=4&transport=polling&sid={polling}"), 2),
        ("BREW", "EIO=4&transport=polling".into(), 2),
        ("GET", "EIO=4&transport=websocket".into(), 3),
        ("GET", format!("EIO=4&transport=websocket&sid={polling}"), 3),
        ("GET", format!("EIO=4&transport=polling&sid={open}"), 3),
        ("POST", format!("EIO=4&transport=polling&sid={open}"), 3),
        ("GET", format!("EIO=3&transport=polling&sid={polling}"), 3),
        ("POST", format!("EIO=3&transport=polling&sid={polling}"), 3),
        ("GET", format!("EIO=5&transport=polling&sid={polling}"), 3),
        ("GET", format!("transport=polling&sid={polling}"), 3),
        ("GET", "transport=polling".into(), 5),
        ("GET", "EIO=2&transport=polling".into(), 5),
        ("GET", "EIO=5&transport=polling".into(), 5),
        ("GET", "EIO=abc&transport=polling".into(), 5),
        ("GET", "EIO=04&transport=polling".into(), 5),
        ("GET", "EIO=&transport=polling".into(), 5),
    ];
    let mut requests = Requests::to(address);
    let own = format!("http://{address}");
    for (method, query, code) in &rows {
        for path in ["/socket.io/", "/socket.io"] {
            let response = requests.ask(method, &format!("{path}?{query}"), &format!("Origin: {own}\r\n"), b"");
            expect_error(&response, 400, *code as u64, MESSAGES[*code]);
            // The page may read why.
            assert_eq!(response.header("access-control-allow-origin"), Some(&own[..]), "{method} {query}");
            assert!(!response.closes(), "{method} {query}");
        }
    }
    let response = requests.ask("GET", "/socket.io/?EIO=4&transport=polling", "Origin: https://evil.example\r\n", b"");
    assert_eq!(response.status, 403);
    let body: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(body["code"], 4);
    assert!(body["message"].as_str().is_some_and(|message| message.contains("--allow-origin")), "{body}");
    let response = requests.ask("HEAD", "/socket.io/?EIO=4&transport=polling", "", b"");
    assert_eq!((response.status, response.body.len()), (400, 0));
    // None of this did anything to the sessions.
    let values = server.metrics().read();
    assert_eq!((values["jackfield_devices"], values["jackfield_polling_sessions"]), (2.0, 1.0));
}

#[test]
fn refused_upgrades_say_why() {
    let server = TestServer::start();
    let address = server.address();
    let session = Polling::open(address, Eio::Three);
    let (_socket, opening) = Socket::open(address, Eio::Three);
    for (query, code) in [
        (String::new(), 0),
        ("EIO=4".into(), 0),
        ("EIO=4&transport=abc".into(), 0),
        ("EIO=4&transport=websocket&sid=x".into(), 1),
        ("EIO=4&transport=polling".into(), 3),
        (format!("EIO=3&transport=websocket&sid={}", opening.sid()), 3),
        (format!("EIO=4&transport=websocket&sid={}", session.sid), 3),
        (format!("transport=websocket&sid={}", session.sid), 3),
        ("transport=websocket".into(), 5),
        ("EIO=abc&transport=websocket".into(), 5),
    ] {
        let response = upgrade(address, &format!("/socket.io/?{query}"), "");
        expect_error(&response, 400, code, MESSAGES[code as usize]);
    }
    let response = upgrade(address, "/socket.io/?EIO=4&transport=websocket", "Origin: https://evil.example\r\n");
    assert_eq!(response.status, 403);
    assert!(response.text().starts_with(r#"{"code":4,"#), "{response:?}");
}

#[test]
fn ids_have_a_length_and_no_control_characters() {
    let server = TestServer::start();
    let address = server.address();
    for member in ["deviceId=", "clientId=%00", "deviceId=a%0d%0aX-Evil:1", &format!("clientId={}", "x".repeat(256))] {
        for eio in REVISIONS {
            let polling = Requests::to(address).get(&format!("/socket.io/?{}&transport=polling&{member}", eio.query()));
            let websocket = upgrade(address, &format!("/socket.io/?{}&transport=websocket&{member}", eio.query()), "");
            for response in [polling, websocket] {
                assert_eq!((response.status, response.header("x-evil")), (400, None), "{response:?}");
                let body: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
                assert_eq!(body["code"], json!(3));
                assert!(body["message"].as_str().is_some_and(|message| message.contains("--max-name")), "{body}");
            }
        }
    }
    server.expect_all_given_back();
    // As long as it may be.
    let id = "é".repeat(127);
    let encoded: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let opened = Requests::to(address).get(&format!("/socket.io/?EIO=4&transport=polling&clientId={encoded}"));
    assert_eq!(opened.status, 200, "{opened:?}");
}

#[test]
fn a_session_on_a_websocket_takes_no_requests() {
    let server = TestServer::start();
    for eio in REVISIONS {
        let session = Polling::join(server.address(), eio, "");
        let (target, sid) = (session.target(), session.sid.clone());
        let mut socket = session.upgrade();
        socket.say_all(&echo(&socket.me, 1, "\"before\"", &[]));
        assert_eq!(socket.hear_all(1), echoed(1, "\"before\"", &[]));
        let mut requests = Requests::to(server.address());
        expect_error(&requests.get(&target), 400, 3, "Bad request");
        expect_error(&requests.post(&target, "2"), 400, 3, "Bad request");
        let second = format!("/socket.io/?{}&transport=websocket&sid={sid}", eio.query());
        expect_error(&upgrade(server.address(), &second, ""), 400, 3, "Bad request");
        socket.say_all(&echo(&socket.me, 2, "\"after\"", &[]));
        assert_eq!(socket.hear_all(1), echoed(2, "\"after\"", &[]));
    }
    server.expect_all_given_back();
}

#[test]
fn nobody_is_disturbed_by_what_others_are_refused() {
    let server = TestServer::start();
    let mut session = Polling::join(server.address(), Eio::Four, "");
    session.begin_poll();
    super::held(&server, 1);
    // Requests in its name that are none.
    let mut stranger = Requests::to(server.address());
    let target = session.target();
    expect_error(&stranger.ask("PUT", &target, "", b"41"), 400, 2, "Bad handshake method");
    let mut stranger = Requests::to(server.address());
    assert_eq!(stranger.ask("POST", &target, "Origin: https://evil.example\r\n", b"1").status, 403);
    let mut stranger = Requests::to(server.address());
    assert_eq!(stranger.ask("POST", &target, "Sec-Fetch-Site: cross-site\r\n", b"1").status, 403);
    session.say(&[ask(1)]);
    assert_eq!(numbers(&session.end_poll()), [1]);
}

#[test]
fn an_unknown_name_is_nobodys_session() {
    let server = TestServer::start();
    // The name of a socket in its namespace is not that of its session.
    let (mut socket, _) = Socket::open(server.address(), Eio::Four);
    socket.say(&text("40"));
    let name = expect_joined(Eio::Four, &socket.hear()).expect("it has one");
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={name}");
    expect_error(&Requests::to(server.address()).get(&target), 400, 1, MESSAGES[1]);
}
