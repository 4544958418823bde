//! Pages: whose may ask, and may read the answer (CORS), and those that can only write script tags (JSONP).

use std::net::SocketAddr;

use super::common::engine::{Eio, Opening, Packet, REVISIONS, Requests, expect_error, expect_joined, text, unpacked};
use super::common::http::Response;
use super::common::server::TestServer;
use super::{echo, echoed};

/// Every header that lets a page do something.
fn permissions(response: &Response) -> Vec<(&str, &str)> {
    let is_permission = |name: &str| name.starts_with("access-control-") || name == "vary";
    response
        .headers
        .iter()
        .filter(|(name, _)| is_permission(name))
        .map(|(name, value)| (&name[..], &value[..]))
        .collect()
}

fn open(address: SocketAddr, eio: Eio, lines: &str) -> Response {
    Requests::to(address).ask("GET", &format!("/socket.io/?{}&transport=polling", eio.query()), lines, b"")
}

#[test]
fn t10_pages_that_may_connect_may_read_and_others_learn_nothing() {
    let server = TestServer::with(|config| config.allow_origin = vec!["https://app.example".into(), "null".into()]);
    let address = server.address();
    for eio in REVISIONS {
        for origin in
            ["https://app.example", "null", &format!("http://{address}"), "http://localhost:3000", "https://[::1]"]
        {
            let response = open(address, eio, &format!("Origin: {origin}\r\n"));
            assert_eq!(response.status, 200, "{origin}");
            let expected = [
                ("access-control-allow-origin", origin),
                ("access-control-allow-credentials", "true"),
                ("vary", "Origin"),
            ];
            assert_eq!(permissions(&response), expected);
        }
        for origin in [
            "https://evil.example",
            "http://app.example",
            "https://app.example.evil.example",
            "https://evilapp.example",
            "https://app.example:444",
            "file://",
            "https://app.example/",
            "*",
        ] {
            let response = open(address, eio, &format!("Origin: {origin}\r\n"));
            assert_eq!(response.status, 403, "{origin}");
            assert_eq!(permissions(&response), [], "{origin}");
            assert!(response.text().starts_with(r#"{"code":4,"message":""#), "{response:?}");
        }
        // No browser.
        let response = open(address, eio, "");
        assert_eq!((response.status, permissions(&response)), (200, vec![]));
    }
    let server = TestServer::start();
    assert_eq!(open(server.address(), Eio::Four, "Origin: null\r\n").status, 403);
    let server = TestServer::with(|config| config.allow_origin = vec!["*".into()]);
    let response = open(server.address(), Eio::Four, "Origin: https://any.example\r\n");
    assert_eq!(response.header("access-control-allow-origin"), Some("https://any.example"));
}

#[test]
fn every_answer_to_a_page_is_readable() {
    let server = TestServer::with(|config| config.limits.max_message = 1000);
    let lines = "Origin: http://localhost\r\n";
    let mut requests = Requests::to(server.address());
    let opened = requests.ask("GET", "/socket.io/?EIO=4&transport=polling", lines, b"");
    let sid = Opening::of(&text(opened.text())).sid();
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let joined = requests.ask("POST", &target, lines, b"40");
    let polled = requests.ask("GET", &target, lines, b"");
    let long = Requests::to(server.address()).ask("POST", &target, lines, &[b'4'; 1001]);
    assert_eq!(long.status, 413);
    assert!(long.text().contains("--max-message"), "{long:?}");
    let bad = requests.ask("POST", &target, lines, b"x");
    assert_eq!(bad.status, 400);
    for response in [opened, joined, polled, long, bad] {
        assert_eq!(response.header("access-control-allow-origin"), Some("http://localhost"), "{response:?}");
    }
}

#[test]
fn preflights() {
    let server = TestServer::with(|config| config.allow_origin = vec!["https://app.example".into()]);
    let mut requests = Requests::to(server.address());
    let target = "/socket.io/?EIO=4&transport=polling";
    let ask = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type, x-my\r\n";
    let response = requests.ask("OPTIONS", target, &format!("Origin: https://app.example\r\n{ask}"), b"");
    assert_eq!((response.status, &response.body[..]), (204, &b""[..]));
    assert_eq!(response.header("content-length"), None);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "content-type, x-my"),
        ("vary", "Origin"),
    ] {
        assert_eq!(response.header(name), Some(value));
    }
    // The connection goes on, whatever the query; what is no Engine.IO is refused when it is asked.
    let response = requests.ask("OPTIONS", "/socket.io/", "Origin: https://app.example\r\n", b"");
    assert_eq!((response.status, response.header("access-control-allow-headers")), (204, None));
    let response = requests.ask("OPTIONS", target, &format!("Origin: https://evil.example\r\n{ask}"), b"");
    assert_eq!((response.status, permissions(&response)), (403, vec![]));
    let response = requests.ask("OPTIONS", target, "", b"");
    assert_eq!(response.status, 204);
    assert_eq!(response.header("access-control-allow-origin"), None);
}

#[test]
fn what_a_page_of_another_site_asks_for_unseen_is_refused() {
    let server = TestServer::with(|config| config.allow_origin = vec!["https://app.example".into()]);
    for eio in REVISIONS {
        for (lines, status) in [
            ("Sec-Fetch-Site: cross-site\r\n", 403),
            ("Sec-Fetch-Site: same-site\r\n", 403),
            ("Sec-Fetch-Site: same-origin\r\n", 200),
            ("Sec-Fetch-Site: none\r\n", 200),
            ("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n", 403),
            ("Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example\r\n", 200),
            ("Sec-Fetch-Site: cross-site\r\nReferer: https://app.example/\r\n", 403),
        ] {
            let response = open(server.address(), eio, lines);
            assert_eq!(response.status, status, "{lines:?}");
            assert!(status == 200 || response.text().starts_with(r#"{"code":4,"#), "{response:?}");
        }
    }
}

/// A page that polls with script tags.
struct Page {
    requests: Requests,
    sid: String,
    me: String,
}

const PAGE: &str = "Referer: http://localhost:8080/page?x#y\r\n";

impl Page {
    #[track_caller]
    fn open(address: SocketAddr) -> Self {
        let mut requests = Requests::to(address);
        let response = requests.ask("GET", "/socket.io/?EIO=3&transport=polling&j=0&clientId=page", PAGE, b"");
        let said = unpacked(Eio::Three, &payload(&response, 0));
        expect_joined(Eio::Three, &said[1]);
        Self { requests, sid: Opening::of(&said[0]).sid(), me: "page".into() }
    }

    fn target(&self, index: &str) -> String {
        format!("/socket.io/?EIO=3&transport=polling&j={index}&sid={}", self.sid)
    }

    #[track_caller]
    fn poll(&mut self, index: u32) -> Vec<Packet> {
        let response = self.requests.ask("GET", &self.target(&index.to_string()), PAGE, b"");
        unpacked(Eio::Three, &payload(&response, index))
    }

    #[track_caller]
    fn post(&mut self, form: &str) -> Response {
        let lines = format!("{PAGE}Content-Type: application/x-www-form-urlencoded\r\n");
        self.requests.ask("POST", &self.target("0"), &lines, form.as_bytes())
    }

    #[track_caller]
    fn say(&mut self, packets: &[Packet]) {
        // As the library escapes it: line feeds for the form, everything for the field.
        let payload = super::common::engine::payload(Eio::Three, packets);
        let escaped = payload.replace("\\n", "\\\\n").replace('\n', "\\n");
        let field: String = escaped.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let response = self.post(&format!("d={field}"));
        assert_eq!((response.status, &response.text()[..]), (200, "ok"));
        assert_eq!(response.header("content-type"), Some("text/html"));
    }
}

/// The payload that a script hands over.
#[track_caller]
fn payload(response: &Response, index: u32) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("content-type"), Some("text/javascript; charset=UTF-8"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    let script = response.text();
    let string = script.strip_prefix(&format!("___eio[{index}](")).and_then(|rest| rest.strip_suffix(");"));
    let string = string.unwrap_or_else(|| panic!("{script}"));
    assert!(!string.contains(['\u{2028}', '\u{2029}']) && !string.contains("</"), "{string}");
    serde_json::from_str(string).expect("a string")
}

#[test]
fn script_tags_poll_and_forms_post() {
    let server = TestServer::start();
    let mut page = Page::open(server.address());
    let hole = r#"{"_placeholder":true,"num":0}"#;
    for (number, arguments) in
        ["1", r#""a\nb\\nc""#, "\"\u{2028}\u{2029}</script>\"", "\"é€😀 + & = % %41\"", "[\n1]"].iter().enumerate()
    {
        page.say(&echo(&page.me, number, arguments, &[]));
        assert_eq!(page.poll(number as u32 + 7), echoed(number, arguments, &[]));
    }
    page.say(&echo(&page.me, 9, hole, &[&[0, 255, 60, 47]]));
    assert_eq!(page.poll(4_294_967_295), echoed(9, hole, &[&[0, 255, 60, 47]]));
    // An error is no script: nobody reads it.
    page.sid = "x".into();
    let target = page.target("0");
    expect_error(&page.requests.ask("GET", &target, PAGE, b""), 400, 1, "Session ID unknown");
    for index in ["abc", "-", "%00", "4294967296", ""] {
        let response = page.requests.ask("GET", &format!("/socket.io/?EIO=3&transport=polling&j={index}"), PAGE, b"");
        expect_error(&response, 400, 3, "Bad request");
    }
    // What is no digit is stripped: no index can break out of its script.
    let response = page.requests.ask("GET", "/socket.io/?EIO=3&transport=polling&j=1](alert(2));///", PAGE, b"");
    payload(&response, 12);
    // Revision 4 has no such thing.
    let response = page.requests.ask("GET", "/socket.io/?EIO=4&transport=polling&j=1", "", b"");
    assert_eq!(response.header("content-type"), Some("text/plain; charset=UTF-8"));
}

#[test]
fn a_form_that_is_none_ends_the_session() {
    let server = TestServer::start();
    for form in ["", "x=1:2", "d=", "d=1:2&d=1:2", "d=%FF", "d=abc", "1:2"] {
        let mut page = Page::open(server.address());
        expect_error(&page.post(form), 400, 3, "Bad request");
        let target = page.target("0");
        expect_error(&page.requests.ask("GET", &target, PAGE, b""), 400, 1, "Session ID unknown");
    }
    server.expect_all_given_back();
}

/// A script's answer is for whoever wrote the tag: it must be known whose page that is.
#[test]
fn script_tags_are_for_pages_that_may_connect() {
    let server = TestServer::with(|config| config.allow_origin = vec!["https://app.example".into()]);
    for (lines, status) in [
        ("", 403),
        ("Referer: https://app.example/some/page\r\n", 200),
        ("Referer: https://app.example\r\n", 200),
        ("Referer: http://127.0.0.1/\r\n", 200),
        ("Referer: https://evil.example/https://app.example/\r\n", 403),
        ("Referer: https://app.example.evil.example/\r\n", 403),
        ("Referer: https://app.example@evil.example/\r\n", 403),
        ("Referer: https://evil.example?://app.example/\r\n", 403),
        ("Referer: app.example\r\n", 403),
        ("Referer: https://app.example/\r\nReferer: https://evil.example/\r\n", 403),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nReferer: https://evil.example/\r\n", 403),
        ("Origin: https://app.example\r\n", 200),
        ("Origin: https://evil.example\r\n", 403),
    ] {
        let target = "/socket.io/?EIO=3&transport=polling&j=0";
        let response = Requests::to(server.address()).ask("GET", target, lines, b"");
        assert_eq!(response.status, status, "{lines:?}");
        assert!(status == 200 || response.text().starts_with(r#"{"code":4,"#), "{response:?}");
    }
}
