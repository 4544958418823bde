//! Tokens over real sockets: where they are shown, what they permit, and when that ends.

#[path = "../common/mod.rs"]
mod common;
mod devices;
mod secrets;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::client::{Client, Trouble};
use common::frame::{binary, text};
use common::http::{Response, SAMPLE_KEY};
use common::server::TestServer;
use common::target::Target;
use jackfield::access::{KeyName, Order, Rights, SigningKey};
use jackfield::config::{Config, LanMode, TokenKey};

const SECRET: &[u8] = b"the canary of forty-two characters sings\n";

/// A folder of files that goes away with the test.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jackfield-access-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a place for files");
        Self(path)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a place for files");
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn token_of(subject: &str, seconds: u64, words: &[&str]) -> String {
    signed(SECRET, "key", subject, seconds, words)
}

fn signed(secret: &[u8], kid: &str, subject: &str, seconds: u64, words: &[&str]) -> String {
    let now = SystemTime::now();
    let key = SigningKey::new(KeyName { id: kid.into(), issuer: None }, secret).expect("a good key");
    let order = Order {
        rights: Rights::read(words.iter().copied()).expect("capabilities"),
        expires: now.duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + seconds,
        subject: Some(subject.to_owned()),
        id: Some(format!("of-{subject}")),
    };
    key.sign(&order, now).expect("a token")
}

fn token(words: &[&str]) -> String {
    token_of("alice", 3600, words)
}

/// A server that asks for tokens, changed by `adjust`.
fn server(files: &Files, adjust: impl FnOnce(&mut Config)) -> TestServer {
    let path = files.write("key", SECRET);
    TestServer::with(|config| {
        config.token_key = vec![TokenKey { id: "key".to_owned(), issuer: None, path }];
        adjust(config);
    })
}

/// Where a client shows its token.
#[derive(Clone, Copy, Debug)]
enum Place {
    Bearer,
    Subprotocol,
    FirstMessage,
    Query,
}

const PLACES: [Place; 4] = [Place::Bearer, Place::Subprotocol, Place::FirstMessage, Place::Query];

/// The answer to an opening handshake with more fields than the usual ones.
fn handshake(address: SocketAddr, target: &str, fields: &str) -> (Client, Response) {
    let mut client = Client::connect(address);
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {SAMPLE_KEY}\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    );
    client.write(head.as_bytes());
    let response = client.response();
    (client, response)
}

fn open(address: SocketAddr, target: &str, place: Place, token: &str) -> Client {
    let fields = match place {
        Place::Bearer => format!("Authorization: Bearer {token}\r\n"),
        Place::Subprotocol => format!("Sec-WebSocket-Protocol: jackfield.token.{token}, jackfield\r\n"),
        Place::FirstMessage | Place::Query => String::new(),
    };
    let mark = if target.contains('?') { '&' } else { '?' };
    let target = if let Place::Query = place { format!("{target}{mark}token={token}") } else { target.to_owned() };
    let (mut client, response) = handshake(address, &target, &fields);
    assert_eq!(response.status, 101, "{place:?}: {response:?}");
    let answered = if let Place::Subprotocol = place { Some("jackfield") } else { None };
    assert_eq!(response.header("sec-websocket-protocol"), answered);
    if let Place::FirstMessage = place {
        client.send(&text(format!(r#"{{"token":"{token}"}}"#)));
    }
    client
}

/// Opens a path without a word.
fn bare(server: &TestServer, target: &str) -> Client {
    server.client(target)
}

#[track_caller]
fn expect_refusal(client: &mut Client, reason: &str) {
    assert_eq!(client.expect_close(1008), reason);
    client.expect_end();
}

const NOT_ACCEPTED: &str = "the token is not accepted";

#[test]
fn every_protocol_takes_a_token_in_every_place() {
    let files = Files::new("places");
    let target = Target::listen();
    let (host, port) = ("127.0.0.1", target.port());
    let server = server(&files, |config| {
        config.token_in_query = true;
        config.bridge_allow = vec![format!("{host}:{port}")];
    });
    let address = server.address();
    let all = token(&["all"]);
    for place in PLACES {
        let open = |path: &str| open(address, path, place, &all);
        let (mut one, mut other) = (open("/local/demo"), open("/local/demo"));
        other.round_trip();
        one.send(&text("hello"));
        other.expect_text("hello");
        let mut pocket = open("/pocket?room=r");
        pocket.send(&text("{}"));
        assert!(pocket.any_text().contains(r#""socket":"sent""#));
        for path in ["/webshare", "/"] {
            let mut webshare = open(path);
            webshare.send(&text(r#"{"command":"key"}"#));
            assert!(webshare.any_text().contains(r#""code":"SUCCESS""#));
        }
        let mut ws2s = open("/ws2s");
        ws2s.send(&text(format!(r#"{{"command":"connect","host":"{host}","port":{port}}}"#)));
        ws2s.expect_text(r#"{"success":true,"code":0,"message":"connect done"}"#);
        drop(target.accept());
        let mut tcp = open(&format!("/tcp/{host}:{port}"));
        tcp.send(&binary("ping"));
        let mut line = target.accept();
        line.expect(b"ping");
    }
}

#[test]
fn a_wrong_token_opens_nothing_and_learns_nothing() {
    let files = Files::new("wrong");
    let server = server(&files, |config| config.token_in_query = true);
    let right = token(&["all"]);
    let forged = signed(b"some other secret of thirty-two bytes or more", "key", "alice", 3600, &["all"]);
    let unknown = signed(SECRET, "other", "alice", 3600, &["all"]);
    let [header, _, signature] = right.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let swapped = [header, forged.split('.').nth(1).expect("claims"), &signature[1..]].join(".");
    let without = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJleHAiOjk5OTk5OTk5OTksImphY2tmaWVsZCI6eyJwYWlyIjp0cnVlfX0.";
    for wrong in [&*forged, &unknown, &swapped, without, "x", "a.b.c"] {
        for path in ["/local/demo", "/webshare", "/", "/pocket", "/ws2s", "/tcp/127.0.0.1:1"] {
            let (_, response) = handshake(server.address(), path, &format!("Authorization: Bearer {wrong}\r\n"));
            assert_eq!((response.status, response.header("www-authenticate")), (401, Some("Bearer")), "{wrong}");
            assert!(response.closes() && response.text().contains(NOT_ACCEPTED), "{response:?}");
            for place in [Place::Subprotocol, Place::FirstMessage, Place::Query] {
                let mut client = open(server.address(), path, place, wrong);
                expect_refusal(&mut client, NOT_ACCEPTED);
            }
        }
    }
    server.expect_all_given_back();
}

#[test]
fn one_token_in_one_place() {
    let files = Files::new("one");
    let server = server(&files, |_| {});
    let token = token(&["all"]);
    for fields in [
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}\r\nSec-WebSocket-Protocol: jackfield.token.{token}, jackfield\r\n"),
        format!("Sec-WebSocket-Protocol: jackfield.token.{token}, jackfield.token.{token}x, jackfield\r\n"),
    ] {
        let (_, response) = handshake(server.address(), "/local/demo", &fields);
        assert_eq!(response.status, 401, "{fields}: {response:?}");
    }
    // Off by default, and told so; `?token=1` only announces one.
    let mut client = bare(&server, &format!("/local/demo?token={token}"));
    expect_refusal(&mut client, "tokens are not taken from the URL (--token-in-query); offer a subprotocol");
    let mut client = bare(&server, "/local/demo?token=1");
    client.send(&text(format!(r#"{{"token":"{token}"}}"#)));
    client.round_trip();
    // Basic is for a proxy.
    let fields = format!("Authorization: Basic Zm9vOmJhcg==\r\nSec-WebSocket-Protocol: jackfield.token.{token}, x\r\n");
    let (mut client, response) = handshake(server.address(), "/local/demo", &fields);
    assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, Some("x")));
    client.round_trip();
}

#[test]
fn t22_nothing_is_heard_or_kept_before_a_token() {
    let files = Files::new("budget");
    let server = server(&files, |config| config.limits.token_timeout = Duration::from_millis(200));
    let mut member = open(server.address(), "/local/demo", Place::Bearer, &token(&["all"]));
    member.round_trip();
    for first in
        [text("hello"), text(r#"{"token":7}"#), text(r#"{"tokens":"x"}"#), binary(r#"{"token":"x"}"#), text("")]
    {
        let mut client = bare(&server, "/local/demo");
        client.send(&first);
        expect_refusal(&mut client, "the first message must be a token, {\"token\":\"…\"} (--token-key)");
    }
    // Whatever is larger than a token is not received, be it in one frame or in many.
    let mut client = bare(&server, "/local/demo");
    client.send(&text("x".repeat(4097)));
    let reason = client.expect_close(1009);
    assert!(reason.contains("4096") && reason.contains("--token-key") && !reason.contains("--max-message"), "{reason}");
    let mut client = bare(&server, "/local/demo");
    client.send(&text("x".repeat(3000)).unfinished());
    client.send(&common::frame::continuation("x".repeat(3000)));
    client.expect_close(1009);
    // Whoever says nothing goes, pings or not.
    let mut client = bare(&server, "/local/demo");
    client.round_trip();
    expect_refusal(&mut client, "no token in time (--token-timeout)");
    member.send(&text("echo"));
    member.round_trip();
}

#[test]
fn named_channels_permit_what_is_written() {
    let files = Files::new("named");
    let server = server(&files, |_| {});
    let open = |words: &[&str], path: &str| open(server.address(), path, Place::Bearer, &token(words));
    let mut speaker = open(&["publish=/local/demo"], "/local/demo?presence=1");
    let mut listener = open(&["subscribe=/local/*"], "/local/demo?presence=1");
    let mut both = open(&["all"], "/local/demo");
    both.round_trip();
    listener.expect_text("____connect");
    speaker.send(&text("heard"));
    for client in [&mut listener, &mut both] {
        client.expect_text("heard");
    }
    both.send(&text("to the listener"));
    both.round_trip();
    listener.expect_text("to the listener");
    speaker.round_trip();
    listener.send(&text("not mine to say"));
    expect_refusal(&mut listener, "not permitted: this needs a token that permits speaking here (publish)");
    both.round_trip();
    for (words, path) in [
        (&["subscribe=/local/demo", "publish=/local/demo"][..], "/local/other"),
        (&["pair", "device=*", "tcp=*"], "/local/demo"),
        (&["subscribe=/local/demo"], "/broadcast/demo"),
        (&["subscribe=/local/demo"], "/local/demo/below"),
    ] {
        let mut client = open(words, path);
        let reason = "not permitted: this needs a token that permits this name (subscribe, publish)";
        expect_refusal(&mut client, reason);
    }
    // With nobody to hear it, what a speaker says is gone.
    drop((both, speaker));
    let mut alone = open(&["publish=/local/empty"], "/local/empty?echo=1");
    alone.send(&text("hello"));
    alone.round_trip();
}

#[test]
fn network_channels_permit_what_is_written() {
    let files = Files::new("network");
    let server = server(&files, |_| {});
    let open = |words: &[&str], path: &str| open(server.address(), path, Place::Bearer, &token(words));
    let mut both = open(&["all"], "/network/demo");
    both.round_trip();
    let mut listener = open(&["subscribe=/network/*"], "/network/demo");
    for client in [&mut both, &mut listener] {
        assert!(client.any_text().contains("connect"));
    }
    listener.send(&text(r#"{"action":"status"}"#));
    assert!(listener.any_text().contains("status"));
    both.send(&text(r#"{"action":"broadcast","data":"hello"}"#));
    assert!(listener.any_text().contains("hello"));
    listener.send(&text(r#"{"action":"broadcast","data":"not mine to say"}"#));
    expect_refusal(&mut listener, "not permitted: this needs a token that permits speaking here (publish)");
    assert!(both.any_text().contains("disconnect"));
    for words in [&["publish=/network/demo"][..], &["subscribe=/local/demo", "publish=*"]] {
        let mut client = open(words, "/network/demo");
        expect_refusal(&mut client, "not permitted: this needs a token that permits this name (subscribe, publish)");
    }
    both.round_trip();
}

#[test]
fn pocket_rooms_permit_what_is_written() {
    let files = Files::new("pocket");
    let server = server(&files, |_| {});
    let open = |words: &[&str], path: &str| open(server.address(), path, Place::Bearer, &token(words));
    let mut listener = open(&["subscribe=/pocket/a"], "/pocket?room=a");
    listener.round_trip();
    let mut speaker = open(&["publish=/pocket/a"], "/pocket?room=a&echo=1");
    speaker.send(&text("hello"));
    assert!(speaker.any_text().contains(r#""attr":"string""#));
    speaker.round_trip();
    listener.expect_text("hello");
    listener.send(&text("no"));
    expect_refusal(&mut listener, "not permitted: this needs a token that permits speaking here (publish)");
    for (words, path) in [
        (&["subscribe=/pocket/a"][..], "/pocket"),
        (&["subscribe=/pocket/"], "/pocket?room=a"),
        (&["subscribe=/pocket/*"], "/pocket"),
    ] {
        let mut client = open(words, path);
        let reason = "not permitted: this needs a token that permits this name (subscribe, publish)";
        expect_refusal(&mut client, reason);
    }
    open(&["subscribe=/pocket/"], "/pocket").round_trip();
    // At `/` the first message after the token decides, and what it decides is judged.
    let mut root = open(&["pair"], "/");
    root.send(&text("hello"));
    expect_refusal(&mut root, "not permitted: this needs a token that permits this name (subscribe, publish)");
}

#[test]
fn pairing_and_targets_permit_what_is_written() {
    let files = Files::new("pair");
    let target = Target::listen();
    let (host, port) = ("127.0.0.1", target.port());
    let server = server(&files, |config| {
        config.bridge_allow = vec![format!("{host}:{port}")];
        config.bridge_names = vec![("db".to_owned(), host.to_string(), port)];
    });
    let open = |words: &[&str], path: &str| open(server.address(), path, Place::Bearer, &token(words));
    let mut client = open(&["subscribe=*", "publish=*", "tcp=*", "device=*"], "/webshare");
    expect_refusal(&mut client, "not permitted: this needs a token that permits pairing (pair)");
    let exact = format!("tcp={host}:{port}");
    let by_address = format!("/tcp/{host}:{port}");
    for (words, path, is_permitted) in [
        (&[&*exact][..], &*by_address, true),
        (&[&*exact], "/tcp/db", true),
        (&["tcp=db"], "/tcp/db", true),
        (&["tcp=db"], &by_address, true),
        (&["tcp=other"], "/tcp/db", false),
        (&["tcp=127.0.0.1:1", "tcp=[::1]:*", "tcp=*.example.com:*"], &by_address, false),
        (&["pair", "publish=*"], &by_address, false),
    ] {
        let mut client = open(words, path);
        if is_permitted {
            client.send(&binary("x"));
            target.accept().expect(b"x");
        } else {
            expect_refusal(&mut client, "not permitted: this needs a token that permits this target (tcp)");
        }
    }
    // A token permits nothing that the operator does not allow.
    let mut client = open(&["tcp=*"], "/tcp/127.0.0.1:1");
    expect_refusal(&mut client, "this target is not allowed (--bridge-allow)");
    let mut client = open(&["tcp=127.0.0.1:1"], "/ws2s");
    client.send(&text(format!(r#"{{"command":"connect","host":"{host}","port":{port}}}"#)));
    client.expect_text(format!(
        r#"{{"success":false,"code":4,"message":"ws2s refuse to connect target host: {host}, cause the client's token does not permit it (tcp)"}}"#
    ));
}

/// Nobody is dialled for a token that is worth nothing, or has not been shown yet: the target's first visitor is the one who
/// may.
#[test]
fn t16_nothing_is_dialled_before_a_token() {
    let files = Files::new("dial");
    let target = Target::listen();
    let path = format!("/tcp/127.0.0.1:{}", target.port());
    let server = server(&files, |config| {
        config.token_in_query = true;
        config.bridge_allow = vec![format!("127.0.0.1:{}", target.port())];
    });
    let forged = signed(b"some other secret of thirty-two bytes or more", "key", "alice", 3600, &["all"]);
    for place in [Place::Subprotocol, Place::FirstMessage, Place::Query] {
        expect_refusal(&mut open(server.address(), &path, place, &forged), NOT_ACCEPTED);
    }
    let mut hasty = bare(&server, &path);
    hasty.send(&binary("not mine"));
    expect_refusal(&mut hasty, "the first message must be a token, {\"token\":\"…\"} (--token-key)");
    let _waits = bare(&server, &path);
    let mut client = open(server.address(), &path, Place::FirstMessage, &token(&["tcp=*"]));
    client.send(&binary("mine"));
    let mut line = target.accept();
    line.expect(b"mine");
    assert_eq!(server.metrics().value("jackfield_bridges"), 1.0);
}

#[test]
fn anonymous_clients_may_do_what_is_said_and_nothing_else() {
    let files = Files::new("anonymous");
    let server = server(&files, |config| {
        config.anonymous = vec!["subscribe=/local/news".to_owned()];
        config.limits.max_message = 1000;
    });
    let mut listener = bare(&server, "/local/news");
    listener.round_trip();
    let mut speaker = open(server.address(), "/local/news", Place::Bearer, &token(&["publish=/local/news"]));
    speaker.send(&text("news"));
    listener.expect_text("news");
    listener.send(&text("mine"));
    expect_refusal(&mut listener, "not permitted: this needs a token that permits speaking here (publish)");
    for path in ["/local/other", "/webshare", "/pocket", "/tcp/127.0.0.1:1"] {
        bare(&server, path).expect_close(1008);
    }
    // T35: the same limits hold for those without a token.
    let mut client = bare(&server, "/local/news");
    client.send(&text("x".repeat(1001)));
    client.expect_close(1009);
    // Who has a token for later says so; a token that comes unannounced reaches nobody.
    let all = token(&["all"]);
    let mut late = bare(&server, "/webshare?token=1");
    late.send(&text(format!(r#"{{"token":"{all}"}}"#)));
    late.send(&text(r#"{"command":"key"}"#));
    assert!(late.any_text().contains("SUCCESS"));
    let mut hasty = bare(&server, "/local/news");
    hasty.send(&text(format!(r#"{{"token":"{all}"}}"#)));
    expect_refusal(&mut hasty, "a token as the first message is announced in the URL: ?token=1");
}

#[test]
fn t21_what_expires_ends_while_it_lasts() {
    let files = Files::new("expiry");
    let server = server(&files, |_| {});
    let short = token_of("bob", 2, &["all"]);
    let mut member = open(server.address(), "/local/demo", Place::Bearer, &token(&["all"]));
    let paths = ["/local/demo", "/webshare", "/pocket", "/ws2s"];
    let mut clients: Vec<Client> =
        paths.iter().map(|path| open(server.address(), path, Place::FirstMessage, &short)).collect();
    for client in &mut clients {
        client.round_trip();
    }
    for client in &mut clients {
        expect_refusal(client, "the token has expired");
    }
    member.round_trip();
    let mut client = open(server.address(), "/local/demo", Place::FirstMessage, &short);
    expect_refusal(&mut client, "the token has expired");
    assert_eq!(server.metrics().value("jackfield_grants_ended_total"), 4.0);
}

#[test]
fn t21_a_reload_of_the_list_cuts_sessions_and_drops_what_is_queued() {
    let files = Files::new("revoked");
    let list = files.write("revoked", b"# nobody yet\n");
    let server = server(&files, |config| config.token_revoked = vec![list]);
    let (alice, bob) = (token_of("alice", 3600, &["all"]), token_of("bob", 3600, &["all"]));
    let mut of_alice = open(server.address(), "/local/demo", Place::Bearer, &alice);
    let mut of_bob = open(server.address(), "/local/demo", Place::Subprotocol, &bob);
    let mut pair_of_bob = open(server.address(), "/webshare", Place::FirstMessage, &bob);
    for client in [&mut of_alice, &mut of_bob, &mut pair_of_bob] {
        client.round_trip();
    }
    files.write("revoked", b"# by subject\nbob\n");
    server.reload();
    expect_refusal(&mut of_bob, "the token is not accepted any more");
    expect_refusal(&mut pair_of_bob, "the token is not accepted any more");
    of_alice.round_trip();
    let mut again = open(server.address(), "/local/demo", Place::Subprotocol, &bob);
    expect_refusal(&mut again, NOT_ACCEPTED);
    // By its id. What waits for a reader that is behind is not delivered.
    let mut slow = Client::connect_with_buffers(server.address(), 4096);
    slow.write(upgrade_with(server.address(), "/local/full", &alice).as_bytes());
    assert_eq!(slow.response().status, 101);
    slow.round_trip();
    let carol = token_of("carol", 3600, &["all"]);
    let mut speaker = open(server.address(), "/local/full", Place::Bearer, &carol);
    let big = binary(vec![b'x'; 1_000_000]);
    let speaking = std::thread::spawn(move || {
        for _ in 0..24 {
            speaker.send(&big);
        }
        speaker.round_trip();
    });
    server.metrics().wait_for("a queue", |values| values["jackfield_queued_bytes"] > 100_000.0);
    files.write("revoked", b"of-alice\n");
    server.reload();
    expect_refusal(&mut of_alice, "the token is not accepted any more");
    speaking.join().expect("nobody is waited for any more");
    assert_eq!(server.metrics().value("jackfield_queued_bytes"), 0.0);
    // It gets what its kernel had, which ends within a message: of what was queued nothing follows, not even a goodbye.
    let end = loop {
        match slow.frame() {
            Ok(frame) => assert_eq!(frame.payload.len(), 1_000_000, "{}", frame.summary()),
            Err(end) => break end,
        }
    };
    assert!(matches!(end, Trouble::End | Trouble::Reset), "{end:?}");
}

fn upgrade_with(address: SocketAddr, target: &str, token: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {SAMPLE_KEY}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
}

#[test]
fn t19_t20_a_bad_file_changes_nothing_while_serving() {
    let files = Files::new("reload");
    let list = files.write("revoked", b"bob\n");
    let server = server(&files, |config| config.token_revoked = vec![list.clone()]);
    let (alice, bob) = (token_of("alice", 3600, &["all"]), token_of("bob", 3600, &["all"]));
    let mut of_alice = open(server.address(), "/local/demo", Place::Bearer, &alice);
    let still_as_before = |of_alice: &mut Client| {
        server.reload();
        of_alice.round_trip();
        let mut of_bob = open(server.address(), "/local/demo", Place::Subprotocol, &bob);
        expect_refusal(&mut of_bob, NOT_ACCEPTED);
        open(server.address(), "/local/demo", Place::Bearer, &alice).round_trip();
    };
    for garbage in [&b""[..], b"\n", b"alice\n\xFF\xFE", b"alice\0\n", &[b'a'; 600]] {
        files.write("revoked", garbage);
        still_as_before(&mut of_alice);
    }
    std::fs::remove_file(&list).expect("it was there");
    still_as_before(&mut of_alice);
    std::fs::create_dir(&list).expect("a folder");
    still_as_before(&mut of_alice);
    std::fs::remove_dir(&list).expect("it was there");
    files.write("revoked", b"alice\n");
    for garbage in [&b""[..], b"short\n", b"-----BEGIN PUBLIC KEY-----\n"] {
        files.write("key", garbage);
        still_as_before(&mut of_alice);
    }
    // Whole again, both count; a key that is another's ends what it vouched for.
    files.write("key", SECRET);
    files.write("revoked", b"# nobody\n");
    server.reload();
    let mut of_bob = open(server.address(), "/local/demo", Place::Bearer, &bob);
    of_bob.round_trip();
    files.write("key", b"another secret, as long as the first one was");
    server.reload();
    expect_refusal(&mut of_alice, "the token is not accepted any more");
    expect_refusal(&mut of_bob, "the token is not accepted any more");
}

#[test]
fn t20_bad_files_and_words_refuse_to_start() {
    let files = Files::new("start");
    let good = files.write("good", SECRET);
    let key = |path: &PathBuf| TokenKey { id: "k".to_owned(), issuer: None, path: path.clone() };
    let fails = |adjust: &dyn Fn(&mut Config)| {
        let mut config =
            Config { listen: vec![common::server::free_port(jackfield::config::Root::Auto)], ..Config::default() };
        adjust(&mut config);
        match jackfield::server::Server::bind(config) {
            Ok(_) => panic!("it starts"),
            Err(error) => error.to_string(),
        }
    };
    for (content, why) in [
        (&b""[..], "it is empty"),
        (b"short", "32 are the least"),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "it is PEM, and neither"),
    ] {
        let path = files.write("bad", content);
        let error = fails(&|config| config.token_key = vec![key(&path)]);
        assert!(error.starts_with("--token-key ") && error.contains(why), "{error}");
    }
    let error = fails(&|config| config.token_key = vec![key(&files.0.join("missing"))]);
    assert!(error.contains("No such file"), "{error}");
    let error = fails(&|config| config.token_key = vec![key(&good), key(&good)]);
    assert!(error.contains("same id and issuer"), "{error}");
    let list = files.write("list", b"");
    let error = fails(&|config| {
        config.token_key = vec![key(&good)];
        config.token_revoked = vec![list.clone()];
    });
    assert!(error.starts_with("--token-revoked ") && error.contains("# nobody"), "{error}");
    // Servers that link show no token, so they must know a secret.
    let error = fails(&|config| {
        config.token_key = vec![key(&good)];
        config.lan.mode = LanMode::On;
    });
    assert!(error.contains("--lan-secret-file"), "{error}");
    let error = fails(&|config| config.anonymous = vec!["all".to_owned()]);
    assert_eq!(error, "--anonymous and --token-revoked mean nothing without --token-key");
    let error = fails(&|config| {
        config.token_key = vec![key(&good)];
        config.anonymous = vec!["admin".to_owned()];
    });
    assert!(error.contains("nobody is an administrator"), "{error}");
}

#[test]
fn an_administrator_shows_a_token() {
    let files = Files::new("admin");
    let server = server(&files, |_| {});
    let ask = |fields: &str| {
        let mut client = Client::connect(server.address());
        let address = server.address();
        // As if through a proxy: this machine alone is no reason.
        client.write(
            format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nX-Forwarded-For: 192.0.2.1\r\n{fields}\r\n")
                .as_bytes(),
        );
        client.response().status
    };
    assert_eq!(ask(&format!("Authorization: Bearer {}\r\n", token(&["admin"]))), 200);
    for fields in [
        String::new(),
        format!("Authorization: Bearer {}\r\n", token(&["all"])),
        format!("Authorization: Bearer {}x\r\n", token(&["admin"])),
        format!("Authorization: Basic {}\r\n", token(&["admin"])),
    ] {
        assert_eq!(ask(&fields), 404, "{fields}");
    }
}
