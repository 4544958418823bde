//! ws2s over real sockets, in all its dialects: what the seed's README shows, every code, every byte.

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::client::Client;
use common::frame::{Frame, binary, close, continuation, text};
use common::http::upgrade_request;
use common::independent::Independent;
use common::server::{TestServer, free_port};
use common::target::{Counted, Line, Refusing, Silent, Target, echo, pattern, read_pattern, write_pattern};
use common::{DEADLINE, long};
use jackfield::config::{Config, Root};
use serde_json::{Value, json};

/// Bytes of a long transfer: all of them, or what does for every day.
const LONG: [usize; 2] = [10_000_000, 2_000_000];

/// The mark of tests with a slow side, so that it is reached soon.
const HIGH: usize = 64 * 1024;

/// What one read may add to a queue that is just below its mark: the loop's receive buffer.
const SCRATCH: usize = 256 * 1024;

/// Buffers so small that most of what is on its way waits in the server.
const SMALL: usize = 64 * 1024;

const DONE: [&str; 3] = ["connect done", "send done", "close done"];

#[track_caller]
fn server() -> TestServer {
    server_with(|_| {})
}

/// A server that may reach everything on 127.0.0.1.
#[track_caller]
fn server_with(adjust: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.bridge_allow = vec!["127.0.0.0/8:1-65535".to_owned()];
        adjust(config);
    })
}

fn request(members: Value) -> Frame {
    text(members.to_string())
}

fn connect(port: u16) -> Frame {
    request(json!({"command": "connect", "host": "127.0.0.1", "port": port}))
}

fn send(data: &str) -> Frame {
    request(json!({"command": "send", "data": data}))
}

fn sendb(bytes: &[u8]) -> Frame {
    request(json!({"command": "sendb", "data": STANDARD.encode(bytes)}))
}

/// A client that speaks ws2s.
struct Ws2s(Client);

impl Ws2s {
    #[track_caller]
    fn open(server: &TestServer, path: &str) -> Self {
        Self(server.client(path))
    }

    /// A client that is connected to `target`, with the target's end.
    #[track_caller]
    fn joined(server: &TestServer, path: &str, target: &Target) -> (Self, Line) {
        let mut client = Self::open(server, path);
        client.connect(target.port());
        (client, target.accept())
    }

    #[track_caller]
    fn connect(&mut self, port: u16) {
        self.0.send(&connect(port));
        let answer = self.answer();
        assert_eq!((&answer["code"], &answer["success"]), (&json!(0), &json!(true)), "{answer}");
    }

    /// The next message, as JSON.
    #[track_caller]
    fn answer(&mut self) -> Value {
        serde_json::from_str(&self.0.any_text()).expect("answers are JSON")
    }

    #[track_caller]
    fn expect_done(&mut self, message: &str) {
        assert_eq!(self.answer(), json!({"success": true, "code": 0, "message": message}));
    }

    #[track_caller]
    fn expect_failure(&mut self, code: u32, message: &str) {
        assert_eq!(self.answer(), json!({"success": false, "code": code, "message": message}));
    }

    #[track_caller]
    fn expect_no_socket(&mut self) {
        let answer = self.answer();
        assert_eq!(answer["code"], 3, "{answer}");
        let message = answer["message"].as_str().expect("a message");
        assert!(message.starts_with("illegal socket status, please connect again. socketId: "), "{message}");
    }

    /// The next message brings bytes: which ones, and what they came as.
    #[track_caller]
    fn data(&mut self, is_always_base64: bool) -> Vec<u8> {
        let answer = self.answer();
        assert_eq!((&answer["code"], &answer["message"]), (&json!(-1), &json!("recv data")), "{answer}");
        let data = answer["data"].as_str().expect("data is a string");
        match (is_always_base64, answer.get("encoding")) {
            (false, None) => data.as_bytes().to_vec(),
            (false, Some(encoding)) => {
                assert_eq!(encoding, "base64");
                STANDARD.decode(data).expect("base64")
            }
            (true, None) => STANDARD.decode(data).expect("base64"),
            (true, Some(_)) => panic!("it needs no saying: {answer}"),
        }
    }

    #[track_caller]
    fn expect_data(&mut self, text: &str) {
        assert_eq!(self.answer(), json!({"success": true, "code": -1, "message": "recv data", "data": text}));
    }

    #[track_caller]
    fn expect_base64(&mut self, bytes: &[u8]) {
        let data = STANDARD.encode(bytes);
        let expected = json!({"success": true, "code": -1, "message": "recv data", "data": data, "encoding": "base64"});
        assert_eq!(self.answer(), expected);
    }

    /// Everything that came before has been said.
    #[track_caller]
    fn ping(&mut self) {
        self.0.send(&request(json!({"command": "ping"})));
        self.expect_done("ping done");
    }
}

#[test]
fn the_readmes_example() {
    let server = server();
    let target = Target::listen();
    // Word for word, with "localhost" and the port as they are written.
    let requests = [
        format!(r#"{{"command":"connect","host":"localhost","port":{}}}"#, target.port()),
        r#"{"command":"send","data":"xxxx"}"#.to_owned(),
        r#"{"command":"close"}"#.to_owned(),
    ];
    for (path, done) in
        [("/ws2s?v=1", ["done"; 3]), ("/ws2s", DONE), ("/ws2s?v=2", DONE), ("/", DONE), ("/?v=1", ["done"; 3])]
    {
        // All of it in one segment, behind the handshake.
        let mut client = Ws2s(Client::connect(server.address()));
        let frames: Vec<u8> = requests.iter().flat_map(|request| text(request).bytes()).collect();
        client.0.write(&[upgrade_request(server.address(), path).as_bytes(), &frames].concat());
        assert_eq!(client.0.response().status, 101);
        for word in done {
            client.expect_done(word);
        }
        let mut line = target.accept();
        line.expect("xxxx");
        line.expect_end();
        // One after the other, through a client that is not ours.
        let mut client = Independent::open(server.address(), path);
        for (request, word) in requests.iter().zip(done) {
            client.say(request);
            client.hears(&format!(r#"{{"success":true,"code":0,"message":"{word}"}}"#));
        }
        let mut line = target.accept();
        line.expect("xxxx");
        line.expect_end();
        client.close();
    }
    server.expect_all_given_back();
}

#[test]
fn a_request_and_its_response() {
    let server = server();
    let target = Target::listen();
    for (path, code) in [("/ws2s?v=1", 3), ("/ws2s", 5), ("/ws2s?v=2", 5)] {
        let (mut client, mut line) = Ws2s::joined(&server, path, &target);
        let get = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        client.0.send(&send(get));
        client.expect_done(if path == "/ws2s?v=1" { "done" } else { "send done" });
        line.expect(get);
        let response = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\"\\é";
        line.write(response);
        drop(line);
        assert_eq!(String::from_utf8(client.data(path == "/ws2s?v=2")).expect("text"), response);
        client.expect_failure(code, "connection closed by peer");
        client.0.send(&send("more"));
        client.expect_no_socket();
        client.connect(target.port());
        target.accept();
    }
}

#[test]
fn everything_behind_a_connect_waits_for_it() {
    let server = server_with(|config| config.limits.dial_timeout = Duration::from_millis(300));
    let silent = Silent::new();
    let echo = echo();
    let mut client = Ws2s::open(&server, "/ws2s");
    let frames = [connect(silent.port()), send("a"), connect(echo), send("b"), request(json!({"command": "ping"}))];
    client.0.write(&frames.iter().flat_map(Frame::bytes).collect::<Vec<_>>());
    let answer = client.answer();
    assert_eq!(answer["code"], 1, "{answer}");
    assert!(answer["message"].as_str().is_some_and(|message| message.contains("--dial-timeout")), "{answer}");
    client.expect_no_socket();
    client.expect_done("connect done");
    client.expect_done("send done");
    client.expect_done("ping done");
    client.expect_data("b");
    client.0.close();
    server.expect_all_given_back();
}

#[test]
fn fragments_and_pings_wait_as_well() {
    let server = server();
    let target = Target::listen();
    let mut client = Ws2s::open(&server, "/ws2s");
    let parts = [
        connect(target.port()),
        text(r#"{"command":"se"#).unfinished(),
        common::frame::ping("in between"),
        continuation(r#"nd","data":"fragme"#).unfinished(),
        continuation(r#"nts"}"#),
        binary("bytes"),
    ];
    client.0.write(&parts.iter().flat_map(Frame::bytes).collect::<Vec<_>>());
    client.expect_done("connect done");
    client.0.expect_pong("in between");
    client.expect_done("send done");
    client.expect_done("sendb done");
    target.accept().expect("fragmentsbytes");
}

#[test]
fn bytes_in_every_form_reach_the_target_as_they_are() {
    let server = server();
    let target = Target::listen();
    let (mut client, mut line) = Ws2s::joined(&server, "/ws2s", &target);
    let all: Vec<u8> = (0..=255).collect();
    let long = "é\n\"\\/\u{0}😀".repeat(20_000);
    for text in ["plain", "é€😀", "\r\n\t\u{8}\u{c}\"\\/\u{0}\u{7f}\u{2028}", &long] {
        client.0.send(&send(text));
        line.expect(text);
        client.expect_done("send done");
    }
    for bytes in [&all[..], &pattern(0, 100_000)] {
        client.0.send(&sendb(bytes));
        line.expect(bytes);
        client.expect_done("sendb done");
        client.0.send(&binary(bytes));
        line.expect(bytes);
        client.expect_done("sendb done");
    }
    // What cannot be sent is not sent.
    for (members, kind) in [
        (r#""command":"send","data":"a\ud800""#, "UnicodeEncodeError"),
        (r#""command":"sendb","data":"a!b""#, "binascii.Error"),
        (r#""command":"send","data":1"#, "TypeError"),
        (r#""command":"send""#, "KeyError('data')"),
    ] {
        client.0.send(&text(format!("{{{members}}}")));
        let answer = client.answer();
        assert_eq!(answer["code"], 1, "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.starts_with(kind)), "{answer}");
    }
    client.0.send(&request(json!({"command": "close"})));
    client.expect_done("close done");
    line.expect_end();
}

#[test]
fn bytes_from_the_target_come_as_text_where_they_are_text() {
    let server = server();
    let target = Target::listen();
    for path in ["/ws2s", "/ws2s?v=1"] {
        let (mut client, mut line) = Ws2s::joined(&server, path, &target);
        let done = |word| if path == "/ws2s" { word } else { "done" };
        // What was written before the client's ping is read before its next one at the latest.
        let settle = |client: &mut Ws2s| {
            for _ in 0..2 {
                client.0.send(&request(json!({"command": "ping"})));
                client.expect_done(done("ping done"));
            }
        };
        line.write("abc\u{0}\u{1f}\"\\\n€");
        client.expect_data("abc\u{0}\u{1f}\"\\\n€");
        // A character that is cut waits for its end.
        let face = "😀".as_bytes();
        line.write([b"x", &face[..1]].concat());
        client.expect_data("x");
        line.write(&face[1..3]);
        settle(&mut client);
        line.write([&face[3..], b"y"].concat());
        client.expect_data("😀y");
        // No text, and text behind it.
        line.write(b"\xff\xfe");
        client.expect_base64(b"\xff\xfe");
        line.write(b"\xe2\x82");
        settle(&mut client);
        line.write(b"no");
        client.expect_base64(b"\xe2\x82no");
        line.write("€");
        client.expect_data("€");
        // An end that never comes.
        line.write(&face[..3]);
        drop(line);
        client.expect_base64(&face[..3]);
        client.expect_failure(if path == "/ws2s" { 5 } else { 3 }, "connection closed by peer");
    }
}

#[test]
fn bytes_from_the_target_are_base64_for_who_asked() {
    let server = server();
    let target = Target::listen();
    let (mut client, mut line) = Ws2s::joined(&server, "/ws2s?v=2", &target);
    for bytes in [&b"text"[..], b"\xe2\x82", b"\xac\xff"] {
        line.write(bytes);
        assert_eq!(client.data(true), bytes);
    }
    client.0.send(&binary("in"));
    client.expect_done("sendb done");
    line.expect("in");
}

#[test]
fn targets_that_cannot_be_had_have_their_codes() {
    let server = server_with(|config| {
        config.bridge_allow = vec!["127.0.0.1:1-65535".to_owned(), "nobody.invalid:80".to_owned()];
        config.limits.max_bridges = 2;
    });
    let target = Target::listen();
    let refusing = Refusing::new();
    let mut client = Ws2s::open(&server, "/ws2s");
    client.0.send(&connect(refusing.port()));
    client.expect_failure(2, "connection refused");
    client.0.send(&send("a"));
    client.expect_no_socket();
    for host in ["127.0.0.2", "0.0.0.0", "192.168.0.1", "::1", "[::1]", "\u{ff11}27.0.0.1", "", "a b", "\n"] {
        client.0.send(&request(json!({"command": "connect", "host": host, "port": target.port()})));
        let reason = "cause that's a dangerous operation (--bridge-allow)";
        client.expect_failure(4, &format!("ws2s refuse to connect target host: {host}, {reason}"));
        client.0.send(&send("a"));
        client.expect_no_socket();
    }
    target.expect_nobody();
    client.0.send(&request(json!({"command": "connect", "host": "nobody.invalid", "port": 80})));
    client.expect_failure(1, "gaierror(-2, 'Name or service not known')");
    for (members, kind) in [
        (json!({"command": "connect", "port": 80}), "KeyError('host')"),
        (json!({"command": "connect", "host": "127.0.0.1"}), "KeyError('port')"),
        (json!({"command": "connect", "host": "127.0.0.1", "port": "80"}), "TypeError"),
        (json!({"command": "connect", "host": "127.0.0.1", "port": 65536}), "OverflowError"),
        (json!({"command": 1}), "TypeError"),
        (json!({"comand": "connect"}), "KeyError('command')"),
        (json!([]), "TypeError"),
    ] {
        client.0.send(&request(members));
        let answer = client.answer();
        assert_eq!(answer["code"], 1, "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.starts_with(kind)), "{answer}");
    }
    client.0.send(&request(json!({"command": "connect", "host": "h", "port": 1, "ssh_host": "gate"})));
    client.expect_failure(6, "ssh tunnels are not offered");
    client.0.send(&text("hello"));
    assert_eq!(client.answer()["code"], 1);
    // The next one works, and is one of as many as may be open.
    client.connect(target.port());
    let mut line = target.accept();
    let _second = Ws2s::joined(&server, "/ws2s", &target);
    let mut third = Ws2s::open(&server, "/ws2s");
    third.0.send(&connect(target.port()));
    third.expect_failure(1, "OSError: too many at once (--max-bridges)");
    client.0.send(&send("still here"));
    client.expect_done("send done");
    line.expect("still here");
}

#[test]
fn a_connection_that_is_replaced_goes_without_a_word() {
    let server = server();
    let (first, second) = (Target::listen(), Target::listen());
    let (mut client, mut old) = Ws2s::joined(&server, "/ws2s", &first);
    client.0.send(&send("to the first"));
    client.expect_done("send done");
    client.connect(second.port());
    let mut line = second.accept();
    old.expect("to the first");
    old.expect_end();
    client.0.send(&send("to the second"));
    client.expect_done("send done");
    line.expect("to the second");
    line.write("from the second");
    client.expect_data("from the second");
    client.ping();
    // Even if the new one fails.
    client.0.send(&connect(Refusing::new().port()));
    client.expect_failure(2, "connection refused");
    line.expect_end();
    client.0.send(&send("to nobody"));
    client.expect_no_socket();
    drop((old, line));
    client.0.close();
    server.expect_all_given_back();
}

#[test]
fn a_target_that_breaks_has_its_code() {
    let server = server();
    let target = Target::listen();
    for (path, code) in [("/ws2s?v=1", 3), ("/ws2s", 1), ("/ws2s?v=2", 1)] {
        let (mut client, line) = Ws2s::joined(&server, path, &target);
        line.reset();
        client.expect_failure(code, "ConnectionResetError(104, 'Connection reset by peer')");
        client.0.send(&send("a"));
        client.expect_no_socket();
        client.0.close();
    }
    server.expect_all_given_back();
}

#[test]
fn a_target_that_ends_its_side_only_has_ended() {
    let server = server();
    let target = Target::listen();
    let (mut client, mut line) = Ws2s::joined(&server, "/ws2s", &target);
    client.0.send(&send("before"));
    client.expect_done("send done");
    line.write("last words");
    line.finish_writing();
    client.expect_data("last words");
    client.expect_failure(5, "connection closed by peer");
    line.expect("before");
    line.expect_end();
    client.0.send(&request(json!({"command": "close"})));
    client.expect_done("close done");
}

#[test]
fn a_client_that_goes_takes_its_connection_along() {
    let server = server_with(|config| config.limits.dial_timeout = Duration::from_millis(500));
    let target = Target::listen();
    for says_goodbye in [true, false] {
        let (mut client, mut line) = Ws2s::joined(&server, "/ws2s", &target);
        client.0.send(&send("last words"));
        client.expect_done("send done");
        if says_goodbye {
            client.0.close();
        } else {
            drop(client);
        }
        line.expect("last words");
        line.expect_end();
    }
    let silent = Silent::new();
    let mut metrics = server.metrics();
    for says_goodbye in [true, false] {
        let mut client = Ws2s::open(&server, "/ws2s");
        client.0.send(&connect(silent.port()));
        client.0.send(&send("never heard"));
        metrics.wait_for("a dial", |values| values["jackfield_dials"] == 1.0);
        if says_goodbye {
            client.0.send(&close(1000, ""));
        }
        drop(client);
        metrics.wait_for("no dial", |values| values["jackfield_dials"] == 0.0);
    }
    drop(metrics);
    server.expect_all_given_back();
}

#[test]
fn a_pinned_root_is_ws2s_for_everybody() {
    let server = server_with(|config| config.listen = vec![free_port(Root::Ws2s)]);
    let mut client = Ws2s::open(&server, "/");
    client.0.send(&request(json!({"command": "key"})));
    client.expect_done("key done");
    let mut old = Ws2s::open(&server, "/?v=1");
    old.0.send(&text("hello"));
    assert_eq!(old.answer()["code"], 1);
    old.0.send(&request(json!({"command": "ping"})));
    old.expect_done("done");
}

/// Reads until `total` bytes of the pattern have come between the answers to commands.
#[track_caller]
fn expect_pattern(client: &mut Ws2s, total: usize) {
    let mut at = 0;
    while at < total {
        let answer = client.answer();
        if answer["code"] == 0 {
            continue;
        }
        assert_eq!(answer["code"], -1, "{answer}");
        let bytes = STANDARD.decode(answer["data"].as_str().expect("a string")).expect("base64");
        assert!(bytes == pattern(at, bytes.len()), "another byte after {at} of {total}");
        at += bytes.len();
    }
    assert_eq!(at, total);
}

/// Sends `total` bytes of the pattern with `sendb`.
fn send_pattern(client: &Ws2s, total: usize, piece: usize, written: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let mut stream = Counted(client.0.stream().try_clone().expect("a descriptor is free"), Arc::clone(written));
    thread::spawn(move || {
        for from in (0..total).step_by(piece) {
            let frame = sendb(&pattern(from, piece.min(total - from)));
            stream.write_all(&frame.bytes()).expect("the server takes our bytes");
        }
    })
}

#[test]
fn a_long_transfer_each_way() {
    let server = server();
    let total = long(LONG);
    let target = Target::listen();
    let (mut client, line) = Ws2s::joined(&server, "/ws2s?v=2", &target);
    client.0.set_patience(3 * DEADLINE);
    let mut reader = line.stream().try_clone().expect("a descriptor is free");
    let mut writer = line.stream().try_clone().expect("a descriptor is free");
    let sending = send_pattern(&client, total, 50_000, &Arc::default());
    let reading = thread::spawn(move || read_pattern(&mut reader, total));
    let writing = thread::spawn(move || write_pattern(&mut writer, total, 30_000));
    expect_pattern(&mut client, total);
    sending.join().expect("everything is taken");
    reading.join().expect("everything arrives");
    writing.join().expect("the writer does not panic").expect("everything is taken");
    drop((client, line));
    server.expect_all_given_back();
}

#[test]
fn a_long_text_keeps_every_character() {
    let server = server();
    let echo = echo();
    let mut client = Ws2s::open(&server, "/ws2s");
    client.connect(echo);
    let text: String = (0..long(LONG) / 20).map(|number| format!("{number} é€😀\n\"\\\u{0}")).collect();
    let pieces: Vec<char> = text.chars().collect();
    let mut stream = client.0.stream().try_clone().expect("a descriptor is free");
    let sending = thread::spawn(move || {
        for piece in pieces.chunks(10_000) {
            let frame = send(&piece.iter().collect::<String>());
            stream.write_all(&frame.bytes()).expect("the server takes our bytes");
        }
    });
    let mut heard = String::new();
    while heard.len() < text.len() {
        let answer = client.answer();
        assert_eq!(answer.get("encoding"), None, "a character was cut");
        heard += answer["data"].as_str().unwrap_or_default();
    }
    assert!(heard == text, "another text came back");
    sending.join().expect("everything is taken");
}

#[test]
fn a_target_that_does_not_read_pauses_the_client() {
    let server = server_with(|config| config.limits.queue_high = HIGH);
    let total = long(LONG).max(5_000_000);
    let target = Target::listen_with_buffers(SMALL);
    let mut client = Ws2s(Client::connect_with_buffers(server.address(), SMALL));
    client.0.upgrade("/ws2s?v=2");
    client.connect(target.port());
    let mut line = target.accept();
    let mut metrics = server.metrics();
    let written = Arc::default();
    let sending = send_pattern(&client, total, 10_000, &written);
    metrics.wait_until_paused(&written, HIGH, HIGH + SCRATCH);
    // The other direction goes on.
    line.write("slow down");
    loop {
        let answer = client.answer();
        if answer["code"] == -1 {
            assert_eq!(answer["data"], STANDARD.encode("slow down"));
            break;
        }
    }
    read_pattern(&mut line.stream(), total);
    sending.join().expect("everything is taken at last");
    client.0.send(&request(json!({"command": "last"})));
    while client.answer()["message"] != "last done" {}
    assert_eq!(metrics.value("jackfield_queued_bytes"), 0.0);
    drop((client, line, metrics));
    server.expect_all_given_back();
}

#[test]
fn a_client_that_does_not_read_pauses_the_target() {
    let server = server_with(|config| config.limits.queue_high = HIGH);
    let total = long(LONG).max(5_000_000);
    let target = Target::listen_with_buffers(SMALL);
    let mut client = Ws2s(Client::connect_with_buffers(server.address(), SMALL));
    client.0.upgrade("/ws2s?v=2");
    client.connect(target.port());
    let mut line = target.accept();
    let mut metrics = server.metrics();
    let written = Arc::default();
    let mut stream = Counted(line.stream().try_clone().expect("a descriptor is free"), Arc::clone(&written));
    let sending = thread::spawn(move || write_pattern(&mut stream, total, 50_000));
    // In base64 and its envelope one read's worth is longer than it was.
    metrics.wait_until_paused(&written, HIGH, HIGH + 2 * SCRATCH);
    client.0.send(&send("slow down"));
    line.expect("slow down");
    expect_pattern(&mut client, total);
    sending.join().expect("the sender does not panic").expect("everything is taken at last");
    client.0.round_trip();
    assert_eq!(metrics.value("jackfield_queued_bytes"), 0.0);
    drop((client, line, metrics));
    server.expect_all_given_back();
}

#[test]
fn a_target_that_is_paused_may_be_hung_up() {
    let server = server_with(|config| config.limits.queue_high = HIGH);
    let target = Target::listen_with_buffers(SMALL);
    let mut client = Ws2s(Client::connect_with_buffers(server.address(), SMALL));
    client.0.upgrade("/ws2s?v=2");
    client.connect(target.port());
    let line = target.accept();
    let mut metrics = server.metrics();
    let written = Arc::default();
    let mut stream = Counted(line.stream().try_clone().expect("a descriptor is free"), Arc::clone(&written));
    let sending = thread::spawn(move || write_pattern(&mut stream, 5_000_000, 50_000));
    metrics.wait_until_paused(&written, HIGH, HIGH + 2 * SCRATCH);
    client.0.send(&request(json!({"command": "close"})));
    // The rest is taken and thrown away.
    sending.join().expect("the sender does not panic").expect("everything is taken");
    drop(line);
    metrics.wait_for("the end of the target's connection", |values| values["jackfield_connections"] == 2.0);
    // What waited for the client goes out, and the one that waited for the client is no more.
    while client.answer()["message"] != "close done" {}
    client.0.round_trip();
    drop((client, metrics));
    server.expect_all_given_back();
}

#[test]
fn who_does_not_read_answers_is_not_read_either() {
    let server = server_with(|config| config.limits.queue_high = HIGH);
    let mut metrics = server.metrics();
    let mut client = Ws2s(Client::connect_with_buffers(server.address(), SMALL));
    client.0.upgrade("/ws2s");
    const COUNT: usize = 200_000;
    let written = Arc::default();
    let mut stream = Counted(client.0.stream().try_clone().expect("a descriptor is free"), Arc::clone(&written));
    let sending = thread::spawn(move || {
        let frames = request(json!({"command": "ping"})).bytes().repeat(1000);
        (0..COUNT / 1000).try_for_each(|_| stream.write_all(&frames))
    });
    metrics.wait_until_paused(&written, HIGH, HIGH + 4 * SCRATCH);
    for _ in 0..COUNT {
        client.expect_done("ping done");
    }
    sending.join().expect("the sender does not panic").expect("everything is taken at last");
}
