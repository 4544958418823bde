//! HTTP over real sockets: the pages, keep-alive, conditional requests, refusals, and everything that is not quite HTTP.

mod common;

use std::time::{Duration, Instant};

use common::DEADLINE;
use common::client::{Client, Trouble};
use common::frame::text;
use common::http::{Response, SAMPLE_KEY, request, upgrade_request};
use common::server::TestServer;

/// Pages that exist.
const PAGES: [&str; 6] =
    ["/", "/console", "/client/webshare.js", "/client/named.js", "/client/webshare.mjs", "/favicon.ico"];

/// One request on a connection of its own.
#[track_caller]
fn ask(server: &TestServer, method: &str, target: &str) -> Response {
    let mut client = Client::connect(server.address());
    client.write(request(method, server.address(), target).as_bytes());
    client.response_to(method)
}

/// One request with these header lines, each with its CRLF.
#[track_caller]
fn ask_with(server: &TestServer, target: &str, lines: &str) -> Response {
    let mut client = Client::connect(server.address());
    client.write(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{lines}\r\n", server.address()).as_bytes());
    client.response()
}

#[test]
fn pages_are_served_with_type_tag_and_policy() {
    let server = TestServer::start();
    for page in PAGES {
        let response = ask(&server, "GET", page);
        assert_eq!(response.status, 200, "{page}");
        assert!(!response.body.is_empty(), "{page}");
        let kind = response.header("content-type").expect(page);
        let expected = match page.rsplit_once('.') {
            Some((_, "js" | "mjs")) => "text/javascript; charset=utf-8",
            Some(_) => "image/svg+xml; charset=utf-8",
            None => "text/html; charset=utf-8",
        };
        assert_eq!(kind, expected, "{page}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{page}");
        let tag = response.header("etag").expect(page);
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10, "{page}: {tag}");
        let policy = response.header("content-security-policy").expect(page);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{page}: {policy}");
        let cross_origin = response.header("access-control-allow-origin");
        assert_eq!(cross_origin, page.starts_with("/client/").then_some("*"), "{page}");
        let again = ask(&server, "GET", page);
        assert_eq!((again.header("etag"), &again.body), (Some(tag), &response.body), "{page}");
    }
    let text = ask(&server, "GET", "/").text();
    for word in ["/console", "/webshare", "/local/", "/client/"] {
        assert!(text.contains(word), "/ says what is here: {word}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = TestServer::start();
    for target in ["/", "/console", "/client/named.js", "/nobody", "/local/name", "/metrics"] {
        let mut client = Client::connect(server.address());
        client.write(request("GET", server.address(), target).as_bytes());
        let get = client.response();
        client.write(request("HEAD", server.address(), target).as_bytes());
        let head = client.response_to("HEAD");
        assert_eq!(head.status, get.status, "{target}");
        if target != "/metrics" {
            assert_eq!(head.headers, get.headers, "{target}");
        }
        // No byte of a body came: the next response starts right here.
        client.write(request("GET", server.address(), target).as_bytes());
        assert_eq!(client.response().status, get.status, "{target}");
    }
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let server = TestServer::start();
    let full = ask(&server, "GET", "/client/webshare.js");
    let tag = full.header("etag").expect("checked elsewhere");
    for tags in
        [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), format!("{tag},\"x\""), "*".to_owned()]
    {
        let response = ask_with(&server, "/client/webshare.js", &format!("If-None-Match: {tags}\r\n"));
        assert_eq!(response.status, 304, "{tags}");
        assert_eq!(response.header("etag"), Some(tag), "{tags}");
        assert!(response.body.is_empty(), "{tags}");
    }
    for tags in ["\"other\"", "", "garbage", &tag[..tag.len() - 2], "\"\""] {
        let response = ask_with(&server, "/client/webshare.js", &format!("If-None-Match: {tags}\r\n"));
        assert_eq!((response.status, response.body.len()), (200, full.body.len()), "{tags}");
    }
    // A 304 leaves the connection in order.
    let mut client = Client::connect(server.address());
    let ask = format!("GET / HTTP/1.1\r\nHost: {}\r\nIf-None-Match: *\r\n\r\n", server.address());
    for _ in 0..3 {
        client.write(ask.as_bytes());
        assert_eq!(client.response().status, 304);
    }
}

#[test]
fn a_connection_is_kept_for_as_long_as_it_is_wanted() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    for round in 0..50 {
        let target = PAGES[round % PAGES.len()];
        client.write(request("GET", server.address(), target).as_bytes());
        let response = client.response();
        assert_eq!(response.status, 200);
        assert!(!response.closes());
    }
    // Refusals that leave no doubt about where the next request starts do not end it either.
    for (target, status) in [("/nobody", 404), ("/local/name", 426), ("/", 200)] {
        client.write(request("GET", server.address(), target).as_bytes());
        assert_eq!(client.response().status, status, "{target}");
    }
    client.write(request("POST", server.address(), "/").as_bytes());
    let response = client.response();
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")), "{response:?}");
    // At last it may become a WebSocket.
    client.upgrade("/local/kept?echo=1");
    client.send(&text("after fifty pages"));
    client.expect_text("after fifty pages");
    client.close();
    server.expect_all_given_back();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    let targets = ["/", "/nobody", "/client/named.js", "/metrics", "/local/x", "/console"];
    let requests: String = targets.iter().map(|target| request("GET", server.address(), target)).collect();
    client.write(requests.as_bytes());
    let answers = targets.map(|_| client.response());
    assert_eq!(answers.map(|answer| answer.status), [200, 404, 200, 200, 426, 200]);
    // Up to the one that opens a WebSocket, with a frame behind it.
    let mut all = requests.into_bytes();
    all.extend_from_slice(upgrade_request(server.address(), "/local/pipeline?echo=1").as_bytes());
    all.extend_from_slice(&text("behind").bytes());
    client.write(&all);
    for _ in targets {
        client.response();
    }
    assert_eq!(client.response().status, 101);
    client.expect_text("behind");
}

#[test]
fn a_client_that_asks_and_ends_its_side_gets_its_answer() {
    let server = TestServer::start();
    for target in PAGES {
        let mut client = Client::connect(server.address());
        client.write(request("GET", server.address(), target).as_bytes());
        client.finish_writing();
        assert_eq!(client.response().status, 200, "{target}");
        client.expect_end();
    }
    server.expect_all_given_back();
}

#[test]
fn a_request_decides_whether_the_connection_is_kept() {
    let server = TestServer::start();
    let host = server.address();
    for (head, status, is_kept) in [
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), 200, false),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: x, CLOSE\r\n\r\n"), 200, false),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n"), 200, true),
        (format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n"), 200, false),
        (format!("GET / HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n"), 200, true),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), 200, false),
        (format!("GET /nobody HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), 404, false),
        // A body that nobody reads could be taken for the next request.
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\nGET /nobo"), 200, false),
        (format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\na=b&"), 405, false),
    ] {
        let mut client = Client::connect(host);
        client.write(head.as_bytes());
        let response = client.response();
        assert_eq!(response.status, status, "{head}: {response:?}");
        if is_kept {
            client.write(request("GET", host, "/").as_bytes());
            assert_eq!(client.response().status, 200, "{head}");
        } else {
            assert!(response.closes(), "{head}: {response:?}");
            client.expect_end();
        }
    }
}

/// T18: heads that two programs could read differently, and heads that are none. Answered once, then the connection
/// ends: nothing behind them is taken for a request.
#[test]
fn t18_bad_requests_are_refused_once() {
    let server = TestServer::start();
    let host = format!("Host: {}\r\n", server.address());
    let behind = request("GET", server.address(), "/");
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Host: localhost\r\n\r\n"), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 5, 5\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: +5\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 0x5\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 501),
        (format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n"), 501),
        (format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding : chunked\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\n{host}\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}X: a\nY: b\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}X: a\rY: b\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}X: a\r\n b\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}X : a\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}: a\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}no colon\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n {host}\r\n"), 400),
        (format!("GET  / HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /  HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /a b HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /\u{e9} HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /a\0b HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET nobody HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET * HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /#fragment HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET ftp://{}/ HTTP/1.1\r\n{host}\r\n", server.address()), 400),
        (format!("GET http://evil.example/ HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("CONNECT {} HTTP/1.1\r\n{host}\r\n", server.address()), 400),
        (format!("GET / HTTP/1.2\r\n{host}\r\n"), 505),
        (format!("GET / HTTP/3.0\r\n{host}\r\n"), 505),
        (format!("GET / HTTP/1.1x\r\n{host}\r\n"), 400),
        (format!("GET / http/1.1\r\n{host}\r\n"), 400),
        (format!("GET /\r\n{host}\r\n"), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".to_owned(), 400),
        ("\0\0\0\0".to_owned(), 400),
        ("\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = Client::connect(server.address());
        client.write(format!("{head}{behind}").as_bytes());
        let response = client.response();
        assert_eq!(response.status, status, "{head:?}: {response:?}");
        assert!(response.closes(), "{head:?}: {response:?}");
        assert!(response.text().lines().any(|line| line.len() > 20), "{head:?}: {:?}", response.text());
        client.expect_end();
    }
    server.expect_all_given_back();
}

#[test]
fn targets_lead_nowhere_else() {
    let server = TestServer::start();
    // T24: no redirects but of our own, no files, no decoding of what was encoded.
    for target in [
        "//",
        "//evil.example",
        "//evil.example/%2f..",
        "/\\evil.example",
        "/%2fevil.example",
        "/..",
        "/../etc/passwd",
        "/client/../console",
        "/client/%2e%2e/console",
        "/client//",
        "//client",
        "/client/nobody.js",
        "/client/webshare.js/",
        "/console//",
        "//console/",
        "/console/%2e",
        "/CONSOLE",
        "/console%00",
        "/.git/config",
        "/src/lib.rs",
        "/index.html",
        "/local",
        "/broadcast",
        "/api",
        "/%",
        "/nobody?a=/",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let response = ask(&server, method, target);
            assert!(matches!(response.status, 404 | 405), "{method} {target}: {response:?}");
            assert_eq!(response.header("location"), None, "{target}");
        }
    }
    // The two pages that are easily mistaken: to each other's form, whatever else was asked for, whoever asks.
    for (target, to) in [("/console/", "../console"), ("/client", "client/"), ("/client?a=//evil.example", "client/")] {
        for method in ["GET", "HEAD"] {
            let response = ask(&server, method, target);
            assert_eq!((response.status, response.header("location")), (308, Some(to)), "{method} {target}");
            assert!(!response.text().contains("evil"), "{response:?}");
        }
        let response = ask(&server, "POST", target);
        assert_eq!((response.status, response.header("location")), (405, None), "{target}");
        assert_eq!(ask_with(&server, target, "").header("connection"), Some("keep-alive"));
    }
    // A query changes no page.
    let plain = ask(&server, "GET", "/console");
    let queried = ask(&server, "GET", "/console?a=b&c=%00");
    assert_eq!((queried.status, queried.body), (200, plain.body));
}

/// T31: every path, as an upgrade and not, with every method, complete or not: an answer, and never a crash.
#[test]
fn t31_every_path_method_and_upgrade_is_answered() {
    let server = TestServer::start();
    let paths = [
        "/",
        "/webshare",
        "/pocket",
        "/ws2s",
        "/local/a",
        "/local/",
        "/broadcast/a",
        "/broadcast/a/b",
        "/network/a",
        "/tcp/localhost:1",
        "/socket.io/",
        "/socket.io/?EIO=4&transport=websocket",
        "/client/named.js",
        "/console",
        "/livez",
        "/readyz",
        "/metrics",
        "/api/live",
        "/api/devices",
        "/api/close?client=1.1",
        "/api/clients",
        "/nobody",
        "/local/%00",
        "/local/a?echo=1&presence=1",
        "*",
        "/?resume=x",
        "/webshare?binary=1",
        "/local/a?",
        "/local/a?&&=&echo",
        "/local/a?echo=%zz",
    ];
    let host = server.address();
    let upgrade = format!(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {SAMPLE_KEY}\r\n"
    );
    for path in paths {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE", "BREW"] {
            for lines in ["", &upgrade, "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"] {
                let what = format!("{method} {path} {lines:?}");
                let mut client = Client::connect(host);
                client.write(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n").as_bytes());
                let response = client.response_to(method);
                match response.status {
                    101 => {
                        assert!(method == "GET" && lines == upgrade, "{what}: {response:?}");
                        if path.starts_with("/tcp/") {
                            client.expect_close(1008);
                        } else if path.starts_with("/socket.io/") {
                            assert!(client.any_text().starts_with("0{"), "{what}");
                        } else {
                            client.round_trip();
                        }
                    }
                    200 => assert!(method == "GET" || method == "HEAD", "{what}: {response:?}"),
                    204 => assert_eq!(method, "OPTIONS", "{what}: {response:?}"),
                    400..=499 => assert!(
                        // Socket.IO clients read why in JSON.
                        method == "HEAD"
                            || response.text().starts_with("{\"code\":")
                            || response.text().lines().any(|line| line.len() > 20),
                        "{what}: {response:?}"
                    ),
                    status => panic!("{what}: {status}"),
                }
            }
        }
    }
    server.expect_all_given_back();
}

#[test]
fn counters_are_for_this_machine_only() {
    let server = TestServer::start();
    assert_eq!(ask(&server, "GET", "/metrics").status, 200);
    for lines in [
        "X-Forwarded-For: 192.0.2.1\r\n",
        "Forwarded: for=192.0.2.1\r\n",
        "X-Real-IP: 192.0.2.1\r\n",
        "Via: 1.1 proxy\r\n",
        "Origin: http://localhost\r\n",
        "Origin: https://evil.example\r\n",
    ] {
        let response = ask_with(&server, "/metrics", lines);
        assert!(matches!(response.status, 403 | 404), "{lines}: {response:?}");
        assert!(!response.text().contains("jackfield_"), "{lines}");
    }
    for (host, status) in [("192.168.1.7", 404), ("evil.example", 403)] {
        let mut client = Client::connect(server.address());
        client.write(format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(client.response().status, status, "{host}");
    }
}

#[test]
fn foreign_hosts_get_no_page() {
    let server = TestServer::start();
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"] {
        let mut client = Client::connect(server.address());
        client.write(format!("GET /console HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        let response = client.response();
        assert_eq!(response.status, 403, "{host}: {response:?}");
        assert!(response.text().contains("--allow-host"), "{response:?}");
    }
}

#[test]
fn an_idle_connection_is_closed_between_requests() {
    let timeout = Duration::from_millis(200);
    let server = TestServer::with(|config| config.limits.handshake_timeout = timeout);
    let mut client = Client::connect(server.address());
    let start = Instant::now();
    client.write(request("GET", server.address(), "/").as_bytes());
    assert_eq!(client.response().status, 200);
    client.expect_end();
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
}

#[test]
fn a_client_that_never_reads_its_pages_is_not_fed_without_bound() {
    let server = TestServer::with(|config| config.limits.queue_high = 64 * 1024);
    let mut client = Client::connect_with_buffers(server.address(), 4096);
    let requests = request("GET", server.address(), "/console/console.js").repeat(100);
    let mut metrics = server.metrics();
    let start = Instant::now();
    // As many requests as it takes until the server has had enough of it.
    loop {
        assert!(start.elapsed() < DEADLINE, "the server answers and answers");
        if std::io::Write::write_all(&mut client.stream(), requests.as_bytes()).is_err() {
            break;
        }
        let values = metrics.read();
        assert!(values["jackfield_queued_bytes"] < 1024.0 * 1024.0, "{values:?}");
        if values["jackfield_connections"] == 1.0 || values["jackfield_queued_bytes"] > 64.0 * 1024.0 {
            break;
        }
    }
    // What it finally reads is whole responses, and then the end.
    loop {
        match client.try_response("GET") {
            Ok(response) => assert_eq!(response.status, 200),
            Err(Trouble::End | Trouble::Reset) => break,
            Err(trouble) => panic!("{trouble:?}"),
        }
    }
}
