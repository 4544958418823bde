//! T18: requests that two programs could read differently, and bytes behind an upgrade: one answer at most, then the end,
//! and nothing that was hidden behind is ever a request.

use super::common::client::{Client, Trouble};
use super::common::frame::text;
use super::common::http::{SAMPLE_KEY, upgrade_request};
use super::common::server::TestServer;

/// What is hidden behind the request; it would be answered with 101 or 200 if it were found.
pub(super) const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Heads that must be refused, each with a body or what pretends to be one behind it.
pub(super) fn corpus() -> Vec<(&'static str, String)> {
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}");
    let get = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n{HIDDEN}");
    vec![
        ("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{HIDDEN}"))),
        ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &format!("5c\r\n{HIDDEN}\r\n0\r\n\r\n"))),
        ("TE.TE", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &format!("0\r\n\r\n{HIDDEN}"))),
        ("TE in disguise", post("Transfer-Encoding: xchunked\r\n", &format!("0\r\n\r\n{HIDDEN}"))),
        ("TE with a space", post("Transfer-Encoding : chunked\r\n", &format!("0\r\n\r\n{HIDDEN}"))),
        ("TE with a tab", post("Transfer-Encoding:\tchunked\r\n", &format!("0\r\n\r\n{HIDDEN}"))),
        ("two lengths", post("Content-Length: 0\r\nContent-Length: 44\r\n", HIDDEN)),
        ("equal lengths", post("Content-Length: 0\r\nContent-Length: 0\r\n", HIDDEN)),
        ("a list of lengths", post("Content-Length: 0, 44\r\n", HIDDEN)),
        ("a signed length", post("Content-Length: +0\r\n", HIDDEN)),
        ("a hexadecimal length", post("Content-Length: 0x2c\r\n", HIDDEN)),
        ("a length of 2^64", post("Content-Length: 18446744073709551616\r\n", HIDDEN)),
        ("two hosts", get("Host: localhost\r\nHost: evil.example\r\n")),
        ("two equal hosts", get("Host: localhost\r\nHost: localhost\r\n")),
        ("no host", get("")),
        ("a folded field", get("Host: localhost\r\nX: a\r\n b\r\n")),
        ("bare LF", format!("GET / HTTP/1.1\nHost: localhost\n\n{HIDDEN}")),
        ("one bare LF", format!("GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n{HIDDEN}")),
        ("bare CR", get("Host: localhost\r\nX: a\rb\r\n")),
        ("NUL", get("Host: localhost\r\nX: a\0b\r\n")),
        ("a space before the colon", get("Host : localhost\r\n")),
        ("an empty name", get("Host: localhost\r\n: x\r\n")),
        ("another host in the target", format!("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n{HIDDEN}")),
        ("HTTP/1.2", format!("GET / HTTP/1.2\r\nHost: localhost\r\n\r\n{HIDDEN}")),
        ("HTTP/2.0", format!("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n{HIDDEN}")),
        ("two spaces", format!("GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n{HIDDEN}")),
        ("a tab", format!("GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n{HIDDEN}")),
        ("CONNECT", format!("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n{HIDDEN}")),
    ]
}

/// An upgrade that is refused.
fn refused_upgrades() -> Vec<String> {
    let upgrade = |line: &str, fields: &str| {
        format!("{line}\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}\r\n{HIDDEN}")
    };
    let key = format!("Sec-WebSocket-Key: {SAMPLE_KEY}\r\n");
    let right = format!("{key}Sec-WebSocket-Version: 13\r\n");
    vec![
        upgrade("GET /local/a HTTP/1.1", &format!("{key}Sec-WebSocket-Version: 7\r\n")),
        upgrade("GET /local/a HTTP/1.1", &key),
        upgrade("GET /local/a HTTP/1.1", "Sec-WebSocket-Version: 13\r\n"),
        upgrade("GET /local/a HTTP/1.0", &right),
        upgrade("POST /local/a HTTP/1.1", &right),
        upgrade("GET /nobody HTTP/1.1", &right),
        upgrade("GET /local/a HTTP/1.1", &format!("{right}Content-Length: 44\r\n")),
        upgrade("GET /local/a HTTP/1.1", &format!("{right}Origin: https://evil.example\r\n")),
    ]
}

#[test]
fn t18_one_answer_and_nothing_behind_it() {
    let server = TestServer::start();
    let mut metrics = server.metrics();
    let mut requests = metrics.value("jackfield_http_requests_total");
    for (what, bytes) in corpus() {
        let mut client = Client::connect(server.address());
        client.write(bytes.as_bytes());
        let response = client.response();
        assert!(matches!(response.status, 400 | 405 | 501 | 505), "{what}: {response:?}");
        assert!(response.closes(), "{what}: {response:?}");
        assert_eq!(client.end(), Ok(()), "{what}: nothing more");
    }
    requests += corpus().len() as f64;
    for bytes in refused_upgrades() {
        let mut client = Client::connect(server.address());
        client.write(bytes.as_bytes());
        let response = client.response();
        let closes = response.header("connection").is_some_and(|options| options.starts_with("close"));
        assert!((400..500).contains(&response.status) && closes, "{bytes}: {response:?}");
        assert_eq!(client.end(), Ok(()), "{bytes}: nothing more");
    }
    requests += refused_upgrades().len() as f64;
    // The page of counters counts itself.
    assert_eq!(metrics.value("jackfield_http_requests_total"), requests + 1.0);
}

#[test]
fn t18_what_follows_an_upgrade_is_frames() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    // Frames in the same segment are the client's first; a request is a frame that is wrong.
    let request = upgrade_request(server.address(), "/local/a?echo=1");
    client.write(&[request.as_bytes(), &text("first").bytes()].concat());
    assert_eq!(client.response().status, 101);
    client.expect_text("first");
    let mut client = Client::connect(server.address());
    client.write(format!("{request}{HIDDEN}").as_bytes());
    assert_eq!(client.response().status, 101);
    client.expect_close(1002);
    assert!(matches!(client.end(), Ok(()) | Err(Trouble::Reset)));
}

/// HTTP/1.0 keeps a connection only if both sides say so, and what it pipelines is answered in order.
#[test]
fn t18_old_clients() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    client.write(format!("GET / HTTP/1.0\r\n\r\n{HIDDEN}").as_bytes());
    assert!(client.response().closes());
    client.expect_end();
    let mut client = Client::connect(server.address());
    client.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /client/webshare.js HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().header("content-type"), Some("text/javascript; charset=utf-8"));
    client.expect_end();
}
