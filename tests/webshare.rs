//! WebShare over real sockets: two clients find each other by a key and relay JSON, on its own path and at `/`.

mod common;

use std::collections::HashSet;
use std::io::Write;

use common::client::Client;
use common::frame::{BINARY, TEXT, binary, close, continuation, text};
use common::independent::Independent;
use common::server::{TestServer, free_port};
use jackfield::config::Root;
use serde_json::{Value, json};
use tungstenite::Message;

/// A WebShare client as the original's script is one: it asks for its key as soon as it is connected.
struct Share {
    client: Independent,
    key: String,
}

impl Share {
    #[track_caller]
    fn open(server: &TestServer, target: &str) -> Self {
        let mut client = Independent::open(server.address(), target);
        client.say(r#"{"echo":{"callbackId":"a3f"},"command":"key"}"#);
        let reply = parse(client.next());
        let key = reply["body"]["key"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned();
        assert_eq!(reply, success("key", json!({"key": key}), json!({"callbackId": "a3f"})));
        Self { client, key }
    }

    /// Two of them, paired by the first.
    #[track_caller]
    fn pair(server: &TestServer) -> (Self, Self) {
        Self::pair_on(server, "/webshare", "/webshare")
    }

    #[track_caller]
    fn pair_on(server: &TestServer, one: &str, other: &str) -> (Self, Self) {
        let (mut alice, mut bob) = (Self::open(server, one), Self::open(server, other));
        assert_eq!(alice.request("pair", json!({"target": bob.key})), success("pair", json!({"with": bob.key}), ECHO));
        assert_eq!(bob.push(), success("pair", json!({"with": alice.key}), Value::Null));
        (alice, bob)
    }

    /// Asks and waits for the reply, which is the next thing that comes.
    #[track_caller]
    fn request(&mut self, command: &str, body: Value) -> Value {
        self.client.say(&json!({"command": command, "body": body, "echo": null}).to_string());
        parse(self.client.next())
    }

    #[track_caller]
    fn push(&mut self) -> Value {
        parse(self.client.next())
    }

    /// Sends `body` and expects the receipt.
    #[track_caller]
    fn relay(&mut self, body: &Value) {
        assert_eq!(self.request("relay", body.clone()), answer(true, "RELAY_SENT", "relay", Value::Null, ECHO));
    }

    /// Expects `body` from the partner.
    #[track_caller]
    fn gets(&mut self, body: &Value) {
        assert_eq!(self.push(), answer(true, "RELAY_OK", "relay", body.clone(), Value::Null));
    }

    #[track_caller]
    fn is_unpaired_from(&mut self, partner: &str) {
        assert_eq!(self.push(), success("unpair", json!({"with": partner}), Value::Null));
        self.client.hears_nothing();
    }
}

const ECHO: Value = Value::Null;

#[track_caller]
fn parse(message: Message) -> Value {
    let Message::Text(text) = message else { panic!("instead of text: {message:?}") };
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn answer(ok: bool, code: &str, command: &str, body: Value, echo: Value) -> Value {
    json!({"ok": ok, "code": code, "body": body, "command": command, "echo": echo})
}

fn success(command: &str, body: Value, echo: Value) -> Value {
    answer(true, "SUCCESS", command, body, echo)
}

fn refusal(command: &str, code: &str) -> Value {
    answer(false, code, command, Value::Null, ECHO)
}

fn command_error(error: &str, echo: Value) -> Value {
    answer(false, "COMMAND_ERROR", "error", json!({"error": error}), echo)
}

#[test]
fn the_readmes_example() {
    let server = TestServer::start();
    for (one, other) in [("/webshare", "/webshare"), ("/", "/"), ("/", "/webshare"), ("/?x=y", "/")] {
        let (mut alice, mut bob) = Share::pair_on(&server, one, other);
        let mut metrics = server.metrics();
        assert_eq!((metrics.value("jackfield_pairs"), metrics.value("jackfield_keys")), (1.0, 2.0));
        alice.relay(&json!({"hello": "dan"}));
        bob.gets(&json!({"hello": "dan"}));
        bob.relay(&json!("my name isnt dan its bob!"));
        alice.gets(&json!("my name isnt dan its bob!"));
        bob.relay(&json!([123, "hello alice!"]));
        alice.gets(&json!([123, "hello alice!"]));
        assert_eq!(alice.request("unpair", Value::Null), success("unpair", json!({"with": bob.key}), ECHO));
        bob.is_unpaired_from(&alice.key);
        assert_eq!(bob.request("relay", json!(1)), refusal("relay", "NOT_PAIRED"));
        assert_eq!(metrics.value("jackfield_pairs"), 0.0);
    }
    server.expect_all_given_back();
}

#[test]
fn keys_are_hexadecimal_and_unlike_each_other() {
    let server = TestServer::start();
    let shares: Vec<_> = (0..100).map(|_| Share::open(&server, "/webshare")).collect();
    let keys: HashSet<_> = shares.iter().map(|share| &share.key).collect();
    assert_eq!(keys.len(), shares.len());
    for key in keys {
        assert!(key.len() == 8 && key.bytes().all(|digit| b"0123456789abcdef".contains(&digit)), "{key}");
    }
    let server = TestServer::with(|config| config.key_digits = 32);
    let mut share = Share::open(&server, "/webshare");
    assert_eq!(share.key.len(), 32);
    assert_eq!(share.request("key", Value::Null)["body"]["key"], json!(share.key), "it stays");
}

/// What a client says for this is passed on as these bytes and no others.
#[test]
fn bodies_and_echoes_pass_byte_for_byte() {
    let server = TestServer::start();
    let (mut one, mut two) = (server.client("/webshare"), server.client("/webshare"));
    two.send(&text(r#"{"command":"key"}"#));
    let reply: Value = serde_json::from_str(&two.any_text()).expect("JSON");
    one.send(&text(json!({"command": "pair", "body": {"target": reply["body"]["key"]}}).to_string()));
    one.any_text();
    two.any_text();
    for value in [
        "9007199254740993",
        "-0.0",
        "1e400",
        "1.10000000000000000000000000001",
        r#""\u00e9\/\ud83d\ude00\ud800""#,
        r#""é😀""#,
        r#"{"b":1,"a":2,"b":3}"#,
        "{ \"spaced\" : [ 1 ,\t2 ] }",
        "[[[[[[]]]]]]",
        "\"\"",
        "null",
        "false",
    ] {
        let request = format!("{{ \"echo\" : {value},\"body\":{value}\n, \"command\" : \"relay\"}}");
        // However it arrives.
        one.send(&text(&request));
        let (start, rest) = request.as_bytes().split_at(request.len() / 2);
        one.send(&text(start).unfinished());
        one.send(&continuation(rest));
        for _ in 0..2 {
            one.expect_text(format!(
                r#"{{"ok":true,"code":"RELAY_SENT","body":null,"command":"relay","echo":{value}}}"#
            ));
            two.expect_text(format!(r#"{{"ok":true,"code":"RELAY_OK","body":{value},"command":"relay","echo":null}}"#));
        }
    }
}

#[test]
fn bodies_of_every_size() {
    let server = TestServer::start();
    let (mut alice, mut bob) = Share::pair(&server);
    for len in [0, 1, 50, 100, 1000, 16_384, 65_400, 65_536, 300_000, 1_000_000] {
        let body = Value::String("0123456789abcdef".chars().cycle().take(len).collect());
        alice.relay(&body);
        bob.gets(&body);
        bob.relay(&body);
        alice.gets(&body);
    }
}

#[test]
fn a_burst_of_relays() {
    let server = TestServer::start();
    let (mut one, mut two) = (server.client("/webshare"), Share::open(&server, "/webshare"));
    let mut requests = text(json!({"command": "pair", "body": {"target": two.key}}).to_string()).bytes();
    for index in 0..1000 {
        let request = format!(r#"{{"echo":{index},"command":"relay","body":{{"number":{index}}}}}"#);
        requests.extend(text(request).bytes());
    }
    requests.extend(text(r#"{"command":"unpair"}"#).bytes());
    one.write(&requests);
    assert!(one.any_text().contains(r#""with""#));
    for index in 0..1000 {
        one.expect_text(format!(r#"{{"ok":true,"code":"RELAY_SENT","body":null,"command":"relay","echo":{index}}}"#));
    }
    assert!(one.any_text().contains(r#""unpair""#));
    assert_eq!(two.push()["command"], "pair");
    for index in 0..1000 {
        two.gets(&json!({"number": index}));
    }
    assert_eq!(two.push()["command"], "unpair");
}

#[test]
fn a_partner_cannot_be_stolen() {
    let server = TestServer::start();
    let (mut alice, mut bob) = Share::pair(&server);
    let mut carol = Share::open(&server, "/webshare");
    for key in [&alice.key, &bob.key] {
        assert_eq!(carol.request("pair", json!({"target": key})), refusal("pair", "ALREADY_PAIRED"));
    }
    let carols = json!({"target": carol.key});
    assert_eq!(alice.request("pair", carols), refusal("pair", "ALREADY_PAIRED"));
    alice.relay(&json!("still"));
    bob.gets(&json!("still"));
    bob.relay(&json!("here"));
    alice.gets(&json!("here"));
    carol.client.hears_nothing();
}

#[test]
fn refusals_of_pair() {
    let server = TestServer::start();
    let mut share = Share::open(&server, "/webshare");
    let own = share.key.clone();
    for (body, code) in [
        (json!(null), "INVALID_ARGUMENTS"),
        (json!("target"), "INVALID_ARGUMENTS"),
        (json!([own]), "INVALID_ARGUMENTS"),
        (json!({}), "INVALID_KEY"),
        (json!({"target": ""}), "INVALID_KEY"),
        (json!({"target": null}), "INVALID_KEY"),
        (json!({"target": ["a"]}), "INVALID_KEY"),
        (json!({"target": own}), "CANNOT_SELF_PAIR"),
        (json!({"target": "nobody"}), "TARGET_NOT_FOUND"),
        (json!({"target": 12}), "TARGET_NOT_FOUND"),
        (json!({"target": "\u{202e}\r\n\0"}), "TARGET_NOT_FOUND"),
        (json!({"target": "f".repeat(100_000)}), "TARGET_NOT_FOUND"),
    ] {
        assert_eq!(share.request("pair", body.clone()), refusal("pair", code), "{body}");
    }
    assert_eq!(share.request("unpair", Value::Null), refusal("unpair", "NOT_PAIRED"));
    // On this machine nobody is kept from guessing.
    for _ in 0..50 {
        assert_eq!(share.request("pair", json!({"target": "0"})), refusal("pair", "TARGET_NOT_FOUND"));
    }
}

#[test]
fn whatever_ends_a_partner_unpairs_the_other_once() {
    let server = TestServer::start();
    for is_initiator in [true, false] {
        for way in ["close", "vanish", "violation", "end of stream"] {
            let mut leaving = server.client("/webshare");
            leaving.send(&text(r#"{"command":"key"}"#));
            let reply: Value = serde_json::from_str(&leaving.any_text()).expect("JSON");
            let key = reply["body"]["key"].as_str().expect("a key").to_owned();
            let mut left = Share::open(&server, "/webshare");
            if is_initiator {
                leaving.send(&text(json!({"command": "pair", "body": {"target": left.key}}).to_string()));
                left.push();
            } else {
                left.request("pair", json!({"target": key}));
            }
            // What it said before still arrives.
            leaving.send(&text(r#"{"command":"relay","body":"goodbye"}"#));
            match way {
                "close" => leaving.send(&close(1001, "")),
                "violation" => leaving.send(&text([0xFF])),
                "end of stream" => leaving.finish_writing(),
                _ => {}
            }
            if way == "vanish" {
                // Unread bytes would reset the connection; these are what a client that just ends leaves behind.
                leaving.any_text();
                leaving.any_text();
                drop(leaving);
            }
            left.gets(&json!("goodbye"));
            left.is_unpaired_from(&key);
            assert_eq!(left.request("pair", json!({"target": key})), refusal("pair", "TARGET_NOT_FOUND"), "{way}");
        }
    }
    server.expect_all_given_back();
}

#[test]
fn what_is_no_request_is_answered_and_survived() {
    let server = TestServer::start();
    let (mut alice, mut bob) = Share::pair(&server);
    for (request, error, echo) in [
        ("", "INVALID_FORMAT", Value::Null),
        ("hello", "INVALID_FORMAT", Value::Null),
        ("{\"command\":\"key\"", "INVALID_FORMAT", Value::Null),
        ("[]", "INVALID_FORMAT", Value::Null),
        ("12", "INVALID_FORMAT", Value::Null),
        ("{}", "INCOMPLETE_FORMAT", Value::Null),
        (r#"{"echo":1}"#, "INCOMPLETE_FORMAT", Value::Null),
        (r#"{"command":"steal","echo":1}"#, "UNKNOWN_COMMAND", json!(1)),
        (r#"{"command":null,"echo":1}"#, "UNKNOWN_COMMAND", json!(1)),
        (r#"{"command":{},"echo":1}"#, "UNKNOWN_COMMAND", json!(1)),
        (r#"{"command":[],"echo":1}"#, "UNKNOWN_COMMAND", json!(1)),
        (r#"{"command":7,"echo":1}"#, "UNKNOWN_COMMAND", json!(1)),
        (r#"{"command":"error","echo":1}"#, "INVALID_REQUEST", json!(1)),
    ] {
        alice.client.say(request);
        assert_eq!(alice.push(), command_error(error, echo), "{request}");
    }
    alice.client.send(Message::binary(&b"\x00\xFF"[..]));
    assert_eq!(alice.push(), command_error("INVALID_REQUEST", Value::Null));
    for deep in ["[".repeat(1_000_000), "{\"a\":".repeat(200_000)] {
        alice.client.say(&format!(r#"{{"command":"relay","body":{deep}"#));
        assert_eq!(alice.push(), command_error("INVALID_FORMAT", Value::Null));
    }
    bob.client.hears_nothing();
    alice.relay(&json!("well"));
    bob.gets(&json!("well"));
}

#[test]
fn binary_frames_pass_for_who_asked() {
    let server = TestServer::start();
    for target in ["/webshare?binary=1", "/?binary=1"] {
        let (mut alice, mut bob) = Share::pair_on(&server, target, "/webshare");
        for size in [0, 1, 125, 126, 65_536, 1_048_576] {
            let bytes: Vec<u8> = (0..size).map(|at| (at * 7 + at / 256) as u8).collect();
            alice.client.send(Message::binary(bytes.clone()));
            bob.client.expect(&Message::binary(bytes));
        }
        // No receipts for these, and the partner did not ask.
        alice.client.hears_nothing();
        bob.client.send(Message::binary(&b"no"[..]));
        assert_eq!(bob.push(), command_error("INVALID_REQUEST", Value::Null));
        bob.relay(&json!("text"));
        alice.gets(&json!("text"));
        drop(bob);
        assert_eq!(alice.push()["command"], "unpair");
        alice.client.send(Message::binary(&b"anybody?"[..]));
        assert_eq!(alice.push(), refusal("relay", "NOT_PAIRED"));
    }
}

#[test]
fn the_first_message_decides_at_the_root() {
    let server = TestServer::start();
    // Everything at once, before the server has said a word.
    let mut early = Client::connect(server.address());
    let requests = [text(r#"{"command":"key"}"#).bytes(), text(r#"{"command":"relay","echo":2}"#).bytes()].concat();
    early.write(&[common::http::upgrade_request(server.address(), "/").as_bytes(), &requests].concat());
    assert_eq!(early.response().status, 101);
    assert!(early.any_text().contains(r#""key":"#));
    early.expect_text(r#"{"ok":false,"code":"NOT_PAIRED","body":null,"command":"relay","echo":2}"#);
    // Once and for good: what would have made it something else is now a bad request.
    early.send(&text("hello"));
    assert!(early.any_text().contains("INVALID_FORMAT"));
    early.close();
    // Who has not spoken belongs to nobody, and has no key.
    let mut silent = server.client("/");
    assert_eq!(server.metrics().value("jackfield_keys"), 0.0);
    silent.round_trip();
    silent.close();
    server.expect_all_given_back();
}

#[test]
fn a_pinned_root_needs_no_first_message() {
    let server = TestServer::with(|config| config.listen = vec![free_port(Root::Webshare)]);
    let mut share = Share::open(&server, "/");
    let mut silent = server.client("/");
    assert_eq!(server.metrics().value("jackfield_keys"), 2.0);
    silent.send(&text("hello"));
    assert!(silent.any_text().contains("INVALID_FORMAT"), "not taken for another protocol's client");
    let (mut alice, mut bob) = Share::pair_on(&server, "/", "/webshare");
    alice.relay(&json!(1));
    bob.gets(&json!(1));
    share.client.hears_nothing();
}

#[test]
fn a_partner_that_does_not_read_pauses_the_other() {
    const COUNT: usize = 150;
    let server = TestServer::with(|config| config.limits.queue_high = 64 * 1024);
    let mut reader = Client::connect_with_buffers(server.address(), 64 * 1024);
    reader.upgrade("/webshare");
    reader.send(&text(r#"{"command":"key"}"#));
    let reply: Value = serde_json::from_str(&reader.any_text()).expect("JSON");
    let mut sender = Client::connect_with_buffers(server.address(), 64 * 1024);
    sender.upgrade("/webshare");
    sender.send(&text(json!({"command": "pair", "body": {"target": reply["body"]["key"]}}).to_string()));
    sender.any_text();
    reader.any_text();
    let body = "x".repeat(100_000);
    let mut stream = sender.stream().try_clone().expect("a descriptor is free");
    let sending = {
        let body = body.clone();
        std::thread::spawn(move || {
            (0..COUNT).try_for_each(|index| {
                let request = format!(r#"{{"command":"relay","echo":{index},"body":"{body}"}}"#);
                stream.write_all(&text(request).bytes())
            })
        })
    };
    let mut metrics = server.metrics();
    metrics.wait_for("a pause", |values| {
        assert!(values["jackfield_queued_bytes"] < 500_000.0, "{values:?}");
        values["jackfield_paused_connections"] == 1.0
    });
    for _ in 0..COUNT {
        let push = reader.expect_frame();
        assert_eq!((push.opcode, push.payload.len() > body.len()), (TEXT, true), "{}", push.summary());
    }
    for index in 0..COUNT {
        sender
            .expect_text(format!(r#"{{"ok":true,"code":"RELAY_SENT","body":null,"command":"relay","echo":{index}}}"#));
    }
    sending.join().expect("the sender does not panic").expect("everything is taken");
    assert_eq!(metrics.value("jackfield_queued_bytes"), 0.0);
}

#[test]
fn a_bad_neighbour_disturbs_nobody() {
    let server = TestServer::start();
    let (mut alice, mut bob) = Share::pair(&server);
    for bytes in [vec![0xFF; 100], binary([0; 10]).unmasked().bytes(), text("").claiming(u64::MAX).bytes()] {
        let mut bad = server.client("/webshare");
        bad.write(&bytes);
        let received = bad.expect_frame();
        assert_ne!(received.opcode, BINARY);
        alice.relay(&json!("fine"));
        bob.gets(&json!("fine"));
    }
}
