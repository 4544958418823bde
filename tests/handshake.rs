//! The opening handshake over real sockets: every MUST of RFC 6455 §4.2.1 by itself, the answer of §4.2.2, and who may
//! open a WebSocket at all (Host and Origin).

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::DEADLINE;
use common::client::{Client, Trouble};
use common::frame::{close, ping, text};
use common::http::{Response, SAMPLE_ACCEPT, SAMPLE_KEY, upgrade_request};
use common::server::TestServer;
use sha1::{Digest, Sha1};

/// Where a client hears itself.
const ECHO: &str = "/local/handshake?echo=1";

/// A request that opens a WebSocket, to be changed.
#[derive(Clone)]
struct Opening {
    line: String,
    fields: Vec<(String, String)>,
    body: String,
}

impl Opening {
    fn new(address: SocketAddr) -> Self {
        let fields = [
            ("Host", address.to_string()),
            ("Upgrade", "websocket".into()),
            ("Connection", "Upgrade".into()),
            ("Sec-WebSocket-Key", SAMPLE_KEY.into()),
            ("Sec-WebSocket-Version", "13".into()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { line: format!("GET {ECHO} HTTP/1.1"), fields, body: String::new() }
    }

    fn line(mut self, line: impl Into<String>) -> Self {
        self.line = line.into();
        self
    }

    fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a field behind the others.
    fn and(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        let before = self.fields.len();
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        assert!(self.fields.len() < before, "{name} was there");
        self
    }

    /// Gives a field another value, or another name's case.
    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        let field = self.fields.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)).expect("it was there");
        *field = (name.into(), value.into());
        self
    }

    fn named(mut self, change: impl Fn(&str) -> String) -> Self {
        for (name, _) in &mut self.fields {
            *name = change(name);
        }
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let fields: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{}\r\n{fields}\r\n{}", self.line, self.body).into_bytes()
    }

    /// Sends it and reads the answer.
    #[track_caller]
    fn ask(&self, address: SocketAddr) -> (Client, Response) {
        let mut client = Client::connect(address);
        client.write(&self.bytes());
        let response = client.response();
        (client, response)
    }
}

/// The opening handshake succeeds, exactly as §4.2.2 says, and frames follow.
#[track_caller]
fn expect_open(what: &str, client: &mut Client, response: &Response, accept: &str) {
    assert_eq!(response.status, 101, "{what}: {response:?}");
    assert_eq!(response.header("upgrade").map(str::to_ascii_lowercase).as_deref(), Some("websocket"), "{what}");
    assert_eq!(response.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"), "{what}");
    assert_eq!(response.header("sec-websocket-accept"), Some(accept), "{what}");
    assert_eq!(response.header("sec-websocket-extensions"), None, "{what}: none are spoken");
    assert_eq!(response.all("content-length"), [""; 0], "{what}: 101 has no body");
    client.send(&text(what));
    client.expect_text(what);
}

/// The opening handshake is refused with a reason that people can read, and the connection is not used further.
#[track_caller]
fn expect_refused(what: &str, client: &mut Client, response: &Response, status: u16) {
    assert_eq!(response.status, status, "{what}: {response:?}");
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"), "{what}");
    assert!(response.text().lines().any(|line| line.len() > 20), "{what}: {:?} is no reason", response.text());
    if status == 426 {
        // RFC 6455 §4.4, RFC 9110 §15.5.22.
        assert_eq!(response.header("sec-websocket-version"), Some("13"), "{what}");
        assert_eq!(response.header("upgrade"), Some("websocket"), "{what}");
    }
    if response.closes() {
        client.expect_end();
    }
}

#[test]
fn good_handshakes_open() {
    let server = TestServer::start();
    let address = server.address();
    let base = Opening::new(address);
    let rows = [
        ("the plain one", base.clone()),
        ("lower-case names", base.clone().named(str::to_ascii_lowercase)),
        ("upper-case names", base.clone().named(str::to_ascii_uppercase)),
        ("Upgrade: WebSocket", base.clone().with("Upgrade", "WebSocket")),
        ("Upgrade: WEBSOCKET", base.clone().with("Upgrade", "WEBSOCKET")),
        ("a list of upgrades", base.clone().with("Upgrade", "h2c, websocket")),
        ("two Upgrade fields", base.clone().and("Upgrade", "h2c")),
        ("Connection: upgrade", base.clone().with("Connection", "upgrade")),
        ("Connection: UPGRADE", base.clone().with("Connection", "UPGRADE")),
        ("Firefox's Connection", base.clone().with("Connection", "keep-alive, Upgrade")),
        ("a list without spaces", base.clone().with("Connection", "keep-alive,Upgrade")),
        ("a list with empty elements", base.clone().with("Connection", ", ,Upgrade,\t,")),
        ("two Connection fields", base.clone().with("Connection", "keep-alive").and("Connection", "Upgrade")),
        ("spaces around values", base.clone().with("Upgrade", "  websocket \t").with("Sec-WebSocket-Version", " 13 ")),
        ("fields in another order", {
            let mut opening = base.clone();
            opening.fields.reverse();
            opening
        }),
        ("extensions that are not spoken", base.clone().and("Sec-WebSocket-Extensions", "permessage-deflate; foo=1")),
        ("a broken list of extensions", base.clone().and("Sec-WebSocket-Extensions", ";;,=\"")),
        (
            "fields that mean nothing",
            base.clone().and("Cookie", "a=b").and("X-Unknown", "\u{e9}\u{4e16}").and("Empty", ""),
        ),
        ("a body of no bytes", base.clone().and("Content-Length", "0")),
        ("an absolute target", base.clone().line(format!("GET http://{address}{ECHO} HTTP/1.1"))),
        ("an empty line first", base.clone().line(format!("\r\nGET {ECHO} HTTP/1.1"))),
        ("Host without a port", base.clone().with("Host", "localhost")),
        ("Host with another port", base.clone().with("Host", "127.0.0.1:1")),
    ];
    for (what, opening) in rows {
        let (mut client, response) = opening.ask(address);
        expect_open(what, &mut client, &response, SAMPLE_ACCEPT);
        client.close();
    }
    server.expect_all_given_back();
}

#[test]
fn the_accept_key_is_made_from_the_clients_key() {
    let server = TestServer::start();
    for seed in 0..20_u8 {
        let key = STANDARD.encode([seed.wrapping_mul(37); 16].map(|byte| byte ^ seed));
        let digest = Sha1::new().chain_update(&key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
        let opening = Opening::new(server.address()).with("Sec-WebSocket-Key", &key[..]);
        let (mut client, response) = opening.ask(server.address());
        expect_open(&key, &mut client, &response, &STANDARD.encode(digest));
    }
    // RFC 6455 §4.1's example of a key, whose spare bits are not zero.
    let (_, response) =
        Opening::new(server.address()).with("Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEC==").ask(server.address());
    assert_eq!(response.status, 101, "{response:?}");
}

#[test]
fn each_broken_demand_is_refused() {
    let server = TestServer::start();
    let address = server.address();
    let base = Opening::new(address);
    let keys = [
        ("", "an empty key"),
        ("dGhlIHNhbXBsZSBub25j", "a key of 15 bytes"),
        ("dGhlIHNhbXBsZSBub25jZWQ=", "a key of 17 bytes"),
        ("dGhlIHNhbXBsZSBub25jZQ", "a key without padding"),
        ("dGhlIHNhbXBsZSBub25jZQ=", "a key with half its padding"),
        ("dGhlIHNhbXBsZSBub25jZQ==x", "a key with something behind"),
        ("dGhlIHNhbXBsZSBub25j-Q==", "a key of the other alphabet"),
        ("dGhl IHNhbXBsZSBub25jZQ==", "a key with a space"),
        ("not base64 of anything!!", "a key that is no base64"),
        ("========================", "a key of padding"),
    ];
    let versions = [
        ("0", "version 0"),
        ("7", "version 7"),
        ("8", "version 8"),
        ("12", "version 12"),
        ("14", "version 14"),
        ("25", "version 25"),
        ("", "an empty version"),
        ("13, 8", "two versions in one field"),
        ("013", "a version with a zero"),
        ("+13", "a version with a sign"),
        ("13.0", "a version with a fraction"),
        ("thirteen", "a version in words"),
    ];
    let mut rows = vec![
        ("no Host", base.clone().without("Host"), 400),
        ("two Hosts", base.clone().and("Host", address.to_string()), 400),
        ("two different Hosts", base.clone().and("Host", "localhost"), 400),
        ("an empty Host", base.clone().with("Host", ""), 400),
        ("a Host with a path", base.clone().with("Host", format!("{address}/x")), 400),
        ("a Host with a user", base.clone().with("Host", format!("user@{address}")), 400),
        ("another host in the target", base.clone().line(format!("GET http://example.com{ECHO} HTTP/1.1")), 400),
        ("no Upgrade", base.clone().without("Upgrade"), 400),
        ("an empty Upgrade", base.clone().with("Upgrade", ""), 400),
        ("Upgrade to something else", base.clone().with("Upgrade", "h2c"), 400),
        ("Upgrade to websockets", base.clone().with("Upgrade", "websockets"), 400),
        ("no Connection", base.clone().without("Connection"), 400),
        ("Connection: keep-alive", base.clone().with("Connection", "keep-alive"), 400),
        ("Connection: close", base.clone().with("Connection", "close"), 400),
        ("Connection: not-upgrade", base.clone().with("Connection", "not-upgrade"), 400),
        ("no key", base.clone().without("Sec-WebSocket-Key"), 400),
        ("two keys", base.clone().and("Sec-WebSocket-Key", SAMPLE_KEY), 400),
        ("no version", base.clone().without("Sec-WebSocket-Version"), 426),
        ("two versions", base.clone().and("Sec-WebSocket-Version", "13"), 400),
        ("two different versions", base.clone().and("Sec-WebSocket-Version", "8"), 400),
        ("HTTP/1.0", base.clone().line(format!("GET {ECHO} HTTP/1.0")), 400),
        ("HTTP/2.0", base.clone().line(format!("GET {ECHO} HTTP/2.0")), 505),
        ("POST", base.clone().line(format!("POST {ECHO} HTTP/1.1")), 400),
        ("PUT", base.clone().line(format!("PUT {ECHO} HTTP/1.1")), 400),
        ("get in lower case", base.clone().line(format!("get {ECHO} HTTP/1.1")), 400),
        ("a body", base.clone().and("Content-Length", "5").body("hello"), 400),
        ("a body that does not come", base.clone().and("Content-Length", "5"), 400),
        ("a chunked body", base.clone().and("Transfer-Encoding", "chunked").body("0\r\n\r\n"), 501),
        (
            "a body of two lengths",
            base.clone().and("Transfer-Encoding", "chunked").and("Content-Length", "5").body("0\r\n\r\n"),
            400,
        ),
        ("a path that nobody serves", base.clone().line("GET /nobody HTTP/1.1"), 404),
        ("a folded field", base.clone().and("X-Folded", "a\r\n b"), 400),
        ("a space before the colon", base.clone().and("X-Space ", "a"), 400),
        ("a bare LF", base.clone().and("X-Line", "a\nX-Other: b"), 400),
        ("a NUL", base.clone().and("X-Nul", "a\0b"), 400),
    ];
    rows.extend(keys.map(|(key, what)| (what, base.clone().with("Sec-WebSocket-Key", key), 400)));
    rows.extend(versions.map(|(version, what)| (what, base.clone().with("Sec-WebSocket-Version", version), 426)));
    for (what, opening, status) in rows {
        let (mut client, response) = opening.ask(address);
        expect_refused(what, &mut client, &response, status);
    }
    server.expect_all_given_back();
}

#[test]
fn subprotocols() {
    let server = TestServer::start();
    let base = Opening::new(server.address());
    // The first one offered, as the original from its second generation on.
    for (offers, chosen) in [
        (&["chat"][..], "chat"),
        (&["chat, superchat"], "chat"),
        (&["superchat,chat"], "superchat"),
        (&[" , v1.json ,v2"], "v1.json"),
        (&["one", "two, three"], "one"),
        (&["a.b-c_d~e!f"], "a.b-c_d~e!f"),
    ] {
        let opening = offers.iter().fold(base.clone(), |opening, offer| opening.and("Sec-WebSocket-Protocol", *offer));
        let (mut client, response) = opening.ask(server.address());
        assert_eq!(response.header("sec-websocket-protocol"), Some(chosen), "{offers:?}");
        expect_open(&format!("{offers:?}"), &mut client, &response, SAMPLE_ACCEPT);
    }
    let (mut client, response) = base.ask(server.address());
    assert_eq!(response.header("sec-websocket-protocol"), None, "none was offered");
    expect_open("no subprotocol", &mut client, &response, SAMPLE_ACCEPT);
    for offers in [&[""][..], &[" , "], &["two words"], &["a", "a"], &["a, b, a"], &["semi;colon"], &["\"quoted\""]] {
        let opening = offers.iter().fold(base.clone(), |opening, offer| opening.and("Sec-WebSocket-Protocol", *offer));
        let (mut client, response) = opening.ask(server.address());
        expect_refused(&format!("{offers:?}"), &mut client, &response, 400);
    }
}

#[test]
fn frames_right_behind_the_request_are_handled() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    let frames = [text("early").bytes(), ping("bird").bytes(), text("late").bytes()].concat();
    client.write(&[&upgrade_request(server.address(), ECHO).into_bytes()[..], &frames].concat());
    assert_eq!(client.response().status, 101);
    client.expect_text("early");
    client.expect_pong("bird");
    client.expect_text("late");
    client.close();
    // Even a whole life in one segment.
    let mut client = Client::connect(server.address());
    let life = [text("a").bytes(), close(1000, "").bytes()].concat();
    client.write(&[&upgrade_request(server.address(), ECHO).into_bytes()[..], &life].concat());
    assert_eq!(client.response().status, 101);
    client.expect_text("a");
    client.expect_close(1000);
    client.expect_end();
}

#[test]
fn half_a_frame_behind_the_request_waits_for_its_rest() {
    let server = TestServer::start();
    let request = upgrade_request(server.address(), ECHO).into_bytes();
    let frame = text("in two parts").bytes();
    for cut in 0..frame.len() {
        let mut client = Client::connect(server.address());
        client.write(&[&request[..], &frame[..cut]].concat());
        assert_eq!(client.response().status, 101);
        client.write(&frame[cut..]);
        client.expect_text("in two parts");
    }
}

#[test]
fn frames_behind_a_refused_request_are_not_requests() {
    let server = TestServer::start();
    let smuggled = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    for opening in [
        Opening::new(server.address()).with("Sec-WebSocket-Version", "12"),
        Opening::new(server.address()).and("Content-Length", smuggled.len().to_string()),
        Opening::new(server.address()).with("Host", "evil.example"),
    ] {
        let mut client = Client::connect(server.address());
        client.write(&opening.body(&smuggled).bytes());
        let response = client.response();
        assert!((400..500).contains(&response.status), "{response:?}");
        client.expect_end();
    }
}

#[test]
fn a_request_may_come_in_segments_of_one_byte() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    for byte in [upgrade_request(server.address(), ECHO).into_bytes(), text("bytewise").bytes()].concat() {
        client.write(&[byte]);
    }
    assert_eq!(client.response().status, 101);
    client.expect_text("bytewise");
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let server = TestServer::start();
    let request = upgrade_request(server.address(), ECHO).into_bytes();
    for cut in 1..request.len() {
        let mut client = Client::connect(server.address());
        client.write(&request[..cut]);
        // Only hears what has been read: asking on another connection gives the server time to read the first part.
        server.metrics().read();
        client.write(&request[cut..]);
        assert_eq!(client.response().status, 101, "cut after {cut}");
    }
}

/// A request whose head has exactly `len` bytes.
fn padded(address: SocketAddr, len: usize) -> Vec<u8> {
    let base = Opening::new(address).and("X-Padding", "").bytes().len();
    Opening::new(address).and("X-Padding", "x".repeat(len - base)).bytes()
}

#[test]
fn a_head_has_at_most_8_kib() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    client.write(&padded(server.address(), 8192));
    assert_eq!(client.response().status, 101, "8 KiB are allowed");
    for len in [8193, 9000, 60_000] {
        let mut client = Client::connect(server.address());
        client.write(&padded(server.address(), len));
        let response = client.response();
        assert_eq!(response.status, 431, "{len}: {response:?}");
        assert!(response.text().contains("--max-head"), "{response:?}");
        client.expect_end();
    }
    let mut client = Client::connect(server.address());
    client.write(&Opening::new(server.address()).line(format!("GET /local/{} HTTP/1.1", "x".repeat(9000))).bytes());
    let response = client.response();
    assert_eq!(response.status, 414, "{response:?}");
    client.expect_end();
}

#[test]
fn a_head_has_at_most_64_fields() {
    let server = TestServer::start();
    let with = |count: usize| {
        let start = Opening::new(server.address());
        let own = start.fields.len();
        (own..count).fold(start, |opening, index| opening.and(&format!("X-{index}"), "y"))
    };
    assert_eq!(with(64).ask(server.address()).1.status, 101);
    for count in [65, 300] {
        let (mut client, response) = with(count).ask(server.address());
        assert_eq!(response.status, 431, "{response:?}");
        assert!(response.text().contains("--max-headers"), "{response:?}");
        client.expect_end();
    }
}

#[test]
fn t8_heads_without_end_cost_nothing_for_long() {
    let server = TestServer::start();
    let start = Instant::now();
    // 2,000 headers, and a megabyte: neither is waited for.
    for filler in ["X: y\r\n".repeat(2000), "x".repeat(1 << 20)] {
        let mut client = Client::connect(server.address());
        let bytes = format!("GET /local/a HTTP/1.1\r\nX: {filler}");
        // The server may have said no, and stopped listening, before all of it is written.
        let _ = std::io::Write::write_all(&mut client.stream(), bytes.as_bytes());
        assert_eq!(client.response().status, 431);
    }
    assert!(start.elapsed() < DEADLINE, "refused, not timed out: {:?}", start.elapsed());
    server.expect_all_given_back();
}

#[test]
fn t8_a_slow_head_is_cut_off() {
    let timeout = Duration::from_millis(200);
    let server = TestServer::with(|config| config.limits.handshake_timeout = timeout);
    // Nothing at all: the connection just ends.
    let start = Instant::now();
    let mut silent = Client::connect(server.address());
    silent.expect_end();
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    // Half a head: told why.
    let start = Instant::now();
    let mut half = Client::connect(server.address());
    half.write(b"GET /local/a HTTP/1.1\r\nHost:");
    let response = half.response();
    assert_eq!(response.status, 408, "{response:?}");
    assert!(response.text().contains("--handshake-timeout"), "{response:?}");
    half.expect_end();
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    // Each new byte does not start the time anew.
    let mut dribble = Client::connect(server.address());
    dribble.set_patience(Duration::from_millis(20));
    let start = Instant::now();
    let response = loop {
        assert!(start.elapsed() < DEADLINE, "the server waits for ever");
        let _ = std::io::Write::write_all(&mut dribble.stream(), b"x");
        match dribble.try_response("GET") {
            Err(Trouble::Deadline) => {}
            outcome => break outcome,
        }
    };
    assert_eq!(response.map(|response| response.status), Ok(408));
    server.expect_all_given_back();
}

#[test]
fn an_open_client_is_not_bound_by_the_handshakes_time() {
    let server = TestServer::with(|config| config.limits.handshake_timeout = Duration::from_millis(100));
    let mut open = server.client(ECHO);
    let mut silent = Client::connect(server.address());
    // The time that `silent` gets began after `open`'s.
    silent.expect_end();
    open.round_trip();
}

#[test]
fn t10_t25_host_and_origin() {
    let server = TestServer::with(|config| {
        config.allow_origin = vec!["https://app.example".into(), "https://ports.example:8443".into()];
        config.allow_host = vec!["jack.example".into(), "*.sub.example".into()];
    });
    let address = server.address();
    let port = address.port();
    let own = format!("http://{address}");
    let own_name = format!("http://localhost:{port}");
    let other_scheme = format!("https://{address}");
    let open = [
        (None, None),
        (None, Some(&own[..])),
        (None, Some(&own_name)),
        (None, Some(&other_scheme)),
        (None, Some("http://localhost:5173")),
        (None, Some("https://localhost")),
        (None, Some("http://127.0.0.1")),
        (None, Some("http://[::1]:3000")),
        (None, Some("https://app.example")),
        (None, Some("https://APP.example")),
        (None, Some("https://app.example:443")),
        (None, Some("https://ports.example:8443")),
        (Some("localhost"), None),
        (Some("LOCALHOST:9009"), None),
        (Some("a.localhost"), None),
        (Some("192.168.1.7:9009"), None),
        (Some("[::1]:9009"), None),
        (Some("jack.example"), None),
        (Some("jack.example:8080"), None),
        (Some("jack.example."), None),
        (Some("deep.down.sub.example"), None),
        (Some("jack.example"), Some("http://jack.example")),
    ];
    let refused = [
        (None, Some("https://evil.example")),
        (None, Some("null")),
        (None, Some("file://")),
        (None, Some("https://evil-app.example")),
        (None, Some("https://app.example.evil.example")),
        (None, Some("https://app.example:8443")),
        (None, Some("http://app.example")),
        (None, Some("https://app.example/")),
        (None, Some("https://app.example@evil.example")),
        (None, Some("https://sub.app.example")),
        (None, Some("https://ports.example")),
        (None, Some("http://localhost.evil.example")),
        (None, Some("http://127.0.0.1.evil.example")),
        (None, Some("http://evillocalhost")),
        (None, Some("chrome-extension://abcdefgh")),
        (None, Some("app.example")),
        (None, Some("")),
        (None, Some("https://app.example https://evil.example")),
        (Some("evil.example"), None),
        (Some("evil.example:9009"), None),
        (Some("evil.example"), Some("http://evil.example")),
        (Some("localhost.evil.example"), None),
        (Some("evillocalhost"), None),
        (Some("sub.example"), None),
        (Some("evilsub.example"), None),
        (Some("127.0.0.1.evil.example"), None),
        (Some("jack.example.evil.example"), None),
    ];
    for (rows, is_open) in [(&open[..], true), (&refused[..], false)] {
        for (host, origin) in rows {
            let what = format!("Host {host:?}, Origin {origin:?}");
            let mut opening = Opening::new(address);
            if let Some(host) = host {
                opening = opening.with("Host", *host);
            }
            if let Some(origin) = origin {
                opening = opening.and("Origin", *origin);
            }
            let (mut client, response) = opening.ask(address);
            if is_open {
                expect_open(&what, &mut client, &response, SAMPLE_ACCEPT);
            } else {
                expect_refused(&what, &mut client, &response, 403);
            }
        }
    }
    // One of each, or neither is believed.
    let (mut client, response) =
        Opening::new(address).and("Origin", &own[..]).and("Origin", "https://evil.example").ask(address);
    expect_refused("two Origins", &mut client, &response, 400);
}

#[test]
fn a_refusal_says_which_option_helps() {
    let server = TestServer::start();
    let (_, response) = Opening::new(server.address()).and("Origin", "https://evil.example").ask(server.address());
    assert!(response.text().contains("--allow-origin"), "{response:?}");
    let (_, response) = Opening::new(server.address()).with("Host", "evil.example").ask(server.address());
    assert!(response.text().contains("--allow-host"), "{response:?}");
}
