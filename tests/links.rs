//! Links between servers that list each other, over loopback: what they carry, how they are refused, and how they end.
//! What machines on a network do is in `lan/`.

mod common;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use common::client::Client;
use common::http::request;
use common::independent::Independent;
use common::server::TestServer;
use jackfield::config::{Config, LanMode, Secret};
use tungstenite::Message;
use tungstenite::handshake::server::{Request, Response};

/// A server whose channels are linked with those of `peers`, and which announces nothing.
fn linked(peers: &[SocketAddr]) -> TestServer {
    linked_with(peers, |_| {})
}

fn linked_with(peers: &[SocketAddr], adjust: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.lan.mode = LanMode::On;
        config.lan.interfaces = vec!["none".to_owned()];
        config.lan.peers = peers.iter().map(|peer| (peer.ip().to_string(), peer.port())).collect();
        adjust(config);
    })
}

/// A secret, as all who have it have it.
fn secret(config: &mut Config, secret: &str) {
    config.lan.secret = Some(Secret::new(secret.as_bytes()));
}

fn wait_for_links(server: &TestServer, count: f64) {
    server.metrics().wait_for("links", |values| values["jackfield_links"] == count);
}

#[test]
fn a_channel_of_two_servers_is_one() {
    let there = linked(&[]);
    let here = linked(&[there.address()]);
    let mut alice = Independent::open(here.address(), "/broadcast/demo");
    let mut bob = Independent::open(there.address(), "/broadcast/demo");
    let mut stranger = Independent::open(there.address(), "/broadcast/other");
    for server in [&here, &there] {
        wait_for_links(server, 1.0);
    }
    alice.say("hello");
    bob.hears("hello");
    bob.say("hello yourself");
    alice.hears("hello yourself");
    for size in [0, 1, 125, 126, 65_535, 65_536, 1_048_576] {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 167 + at / 251) as u8).collect();
        let words: String = "aé€😀".chars().cycle().take(size / 3).collect();
        for message in [Message::binary(bytes), Message::text(words)] {
            alice.send(message.clone());
            bob.expect(&message);
            bob.send(message.clone());
            alice.expect(&message);
        }
    }
    alice.hears_nothing();
    stranger.hears_nothing();
    drop((alice, bob, stranger));
    for server in [&here, &there] {
        server.expect_all_given_back();
    }
}

#[test]
fn three_servers_have_no_loop_and_everybody_hears_everything_once_and_in_order() {
    let one = linked(&[]);
    let two = linked(&[one.address()]);
    let three = linked(&[one.address(), two.address()]);
    let servers = [&one, &two, &three];
    let mut clients: Vec<_> = servers
        .iter()
        .flat_map(|server| (0..2).map(|_| Independent::open(server.address(), "/broadcast/demo")))
        .collect();
    for server in servers {
        wait_for_links(server, 2.0);
    }
    for speaker in 0..clients.len() {
        for number in 0..50 {
            clients[speaker].say(&format!("{speaker}: {number}"));
        }
        for listener in (0..clients.len()).filter(|listener| *listener != speaker) {
            for number in 0..50 {
                clients[listener].hears(&format!("{speaker}: {number}"));
            }
        }
    }
    for client in &mut clients {
        client.hears_nothing();
    }
}

#[test]
fn two_that_list_each_other_have_one_link() {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = first.local_addr().expect("bound");
    let there = linked(&[address]);
    drop(first);
    let here = linked_with(&[there.address()], |config| config.listen[0].address = address);
    let mut alice = Independent::open(here.address(), "/broadcast/demo");
    let mut bob = Independent::open(there.address(), "/broadcast/demo");
    for server in [&here, &there] {
        wait_for_links(server, 1.0);
    }
    // Whoever dials second has had its time to do so.
    std::thread::sleep(Duration::from_secs(1));
    for number in 0..20 {
        alice.say(&number.to_string());
        bob.hears(&number.to_string());
    }
    bob.hears_nothing();
    wait_for_links(&here, 1.0);
}

#[test]
fn presence_counts_those_on_other_servers_and_cannot_be_spoofed() {
    let there = linked(&[]);
    let here = linked(&[there.address()]);
    let mut alice = Independent::open(here.address(), "/broadcast/demo?presence=1");
    let mut plain = Independent::open(here.address(), "/broadcast/demo");
    alice.hears("____connect");
    let bob = Independent::open(there.address(), "/broadcast/demo");
    alice.hears("____connect");
    let mut carol = Independent::open(there.address(), "/broadcast/demo?presence=1");
    alice.hears("____connect");
    for _ in 0..3 {
        carol.hears("____connect");
    }
    for text in ["____connect", r"\____connect", r"\\____disconnect"] {
        carol.say(text);
        plain.hears(text);
    }
    alice.hears(r"\____connect");
    alice.hears(r"\\____disconnect");
    bob.close();
    alice.hears("____disconnect");
    carol.hears("____disconnect");
    there.stop();
    alice.hears("____disconnect");
    alice.hears_nothing();
    plain.hears_nothing();
}

#[test]
fn a_server_that_comes_back_is_linked_again() {
    let there = linked(&[]);
    let address = there.address();
    let here = linked(&[address]);
    let mut alice = Independent::open(here.address(), "/broadcast/demo");
    wait_for_links(&here, 1.0);
    drop(there);
    wait_for_links(&here, 0.0);
    let there = linked_with(&[], |config| config.listen[0].address = address);
    let mut bob = Independent::open(there.address(), "/broadcast/demo");
    wait_for_links(&here, 1.0);
    alice.say("again");
    bob.hears("again");
}

/// Nothing but the clock says when: nobody speaks, nobody comes and nobody looks.
#[test]
fn a_server_that_cannot_be_reached_is_dialled_again() {
    let there = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let here = linked(&[there.local_addr().expect("bound")]);
    let _alice = Independent::open(here.address(), "/broadcast/demo");
    let (sender, attempts) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..3 {
            let attempt = there.accept().expect("a dial");
            drop(attempt);
            if sender.send(()).is_err() {
                break;
            }
        }
    });
    for _ in 0..3 {
        attempts.recv_timeout(common::DEADLINE).expect("another attempt");
    }
}

#[test]
fn with_a_secret_those_who_know_it_are_linked_and_nobody_else() {
    let there = linked_with(&[], |config| secret(config, "correct horse battery"));
    let mut bob = Independent::open(there.address(), "/broadcast/demo");
    for wrong in [Some("another horse battery"), None] {
        let here = linked_with(&[there.address()], |config| {
            if let Some(wrong) = wrong {
                secret(config, wrong);
            }
        });
        let mut mallory = Independent::open(here.address(), "/broadcast/demo");
        here.metrics().wait_for("an attempt", |values| values["jackfield_reads_total"] > 3.0);
        mallory.say("let me in");
        bob.say("nobody else hears this");
        mallory.hears_nothing();
        bob.hears_nothing();
    }
    let here = linked_with(&[there.address()], |config| secret(config, "correct horse battery"));
    let mut alice = Independent::open(here.address(), "/broadcast/demo");
    wait_for_links(&here, 1.0);
    // The dialler is linked with the last word; whoever accepted was before that.
    alice.say("it is me");
    bob.hears("it is me");
    bob.say("so it is");
    alice.hears("so it is");
}

/// A request for a link with the server at `address`, and what is answered.
fn ask(address: SocketAddr, path: &str, fields: &str) -> (Client, u16) {
    ask_on(Client::connect(address), address, path, fields)
}

fn ask_on(mut client: Client, address: SocketAddr, path: &str, fields: &str) -> (Client, u16) {
    let head = request("GET", address, path);
    let head = head.trim_end_matches("\r\n");
    let websocket = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    client.write(format!("{head}\r\n{websocket}\r\n{fields}\r\n\r\n").as_bytes());
    let status = client.response().status;
    (client, status)
}

const ID: &str = "Jackfield-Instance: 00112233445566778899aabbccddeeff";

#[test]
fn requests_that_are_no_links_are_refused() {
    let open = linked(&[]);
    let closed = linked_with(&[], |config| secret(config, "correct horse battery"));
    let off = TestServer::start();
    let key = "0".repeat(64);
    let offer = "Sec-WebSocket-Protocol: jackfield-link";
    let prove = "Sec-WebSocket-Protocol: jackfield-link.hmac-sha256";
    for (server, path, fields, status) in [
        (&open, "/broadcast/a", format!("{offer}\r\n{ID}"), 101),
        (&open, "/network/a", format!("{offer}\r\n{ID}"), 101),
        // Loopback is a neighbour, but not who comes through a proxy there.
        (&open, "/network/a", format!("{offer}\r\n{ID}\r\nX-Forwarded-For: 203.0.113.7"), 403),
        (&open, "/broadcast/a", format!("{offer}\r\n{ID}\r\nForwarded: for=203.0.113.7"), 403),
        (&closed, &format!("/network/{key}"), format!("{prove}\r\n{ID}\r\nX-Forwarded-For: 203.0.113.7"), 101),
        (&open, "/broadcast/a", offer.to_owned(), 400),
        (&open, "/broadcast/a", format!("{offer}\r\nJackfield-Instance: x"), 400),
        (&open, "/broadcast/a", format!("{prove}\r\n{ID}"), 403),
        (&open, "/broadcast/a", format!("{offer}\r\n{ID}\r\nOrigin: http://127.0.0.1"), 403),
        (&open, "/local/a", format!("{offer}\r\n{ID}"), 404),
        (&open, "/broadcast/a/b", format!("{offer}\r\n{ID}"), 404),
        (&open, "/", format!("{offer}\r\n{ID}"), 404),
        (&closed, "/broadcast/a", format!("{offer}\r\n{ID}"), 403),
        (&closed, "/broadcast/a", format!("{prove}\r\n{ID}"), 404),
        (&closed, &format!("/broadcast/{key}"), format!("{prove}\r\n{ID}"), 101),
        (&off, "/broadcast/a", format!("{offer}\r\n{ID}"), 403),
        // From an original proxy that nobody announced or listed: a page of somewhere else, for all we know.
        (&open, "/broadcast/a", "X-BroadcastWebSocket-Proxy: true\r\nOrigin: somehost".to_owned(), 403),
        (&off, "/broadcast/a", "X-BroadcastWebSocket-Proxy: true\r\nOrigin: somehost".to_owned(), 403),
    ] {
        let (_client, answered) = ask(server.address(), path, &fields);
        assert_eq!(answered, status, "{path} {fields}");
    }
}

/// Without a secret, whoever is not on a network of this machine must be listed.
#[test]
fn links_from_elsewhere_are_refused() {
    let server = linked_with(&[], |config| config.listen[0].proxy = true);
    let to = server.address();
    for (from, status) in
        [("TCP4 203.0.113.9 127.0.0.1", 403), ("TCP6 2001:db8::9 ::1", 403), ("TCP4 127.0.0.1 127.0.0.1", 101)]
    {
        let fields = format!("Sec-WebSocket-Protocol: jackfield-link\r\n{ID}");
        let mut client = Client::connect(to);
        client.write(format!("PROXY {from} 40000 {}\r\n", to.port()).as_bytes());
        assert_eq!(ask_on(client, to, "/broadcast/a", &fields).1, status, "{from}");
    }
}

/// Without a secret anybody on the network may claim to have any number of members.
#[test]
fn what_links_tell_of_is_memory_and_has_a_bound() {
    const CLAIMED: usize = 5000;
    // Half of what is left for clients is there for about fourteen thousand.
    let server = linked_with(&[], |config| config.limits.max_memory = 15 * 512 * 1024);
    let mut metrics = server.metrics();
    let words: Vec<u8> = (0..CLAIMED)
        .flat_map(|id| common::frame::text(format!(r#"{{"action":"connect","target":"{id}"}}"#)).bytes())
        .collect();
    let claim = |number: usize| {
        let fields = format!("Sec-WebSocket-Protocol: jackfield-link\r\nJackfield-Instance: {number:032}");
        let (mut link, status) = ask(server.address(), &format!("/network/{number}"), &fields);
        assert_eq!(status, 101);
        link.write(&words);
        link
    };
    let mut links: Vec<_> = (0..3).map(claim).collect();
    links.iter_mut().for_each(Client::round_trip);
    let used = metrics.value("jackfield_memory_bytes");
    assert!((3.0 * 4096.0 * 24.0..3.0 * 4096.0 * 64.0).contains(&used), "{used} bytes for three times 4096 peers");
    claim(3).expect_close(1013);
    links.iter_mut().for_each(Client::round_trip);
    drop(links);
    metrics.wait_for("memory to be given back", |values| values["jackfield_memory_bytes"] == 0.0);
}

#[test]
fn t33_the_name_of_a_server_that_is_linked_is_not_taken() {
    let server = linked(&[]);
    let fields = format!("Sec-WebSocket-Protocol: jackfield-link\r\n{ID}");
    let mut listener = Independent::open(server.address(), "/broadcast/a");
    let (mut first, status) = ask(server.address(), "/broadcast/a", &fields);
    assert_eq!(status, 101);
    first.expect_text("____connect");
    assert_eq!(ask(server.address(), "/broadcast/a", &fields).1, 409);
    first.send(&common::frame::text("still here"));
    listener.hears("still here");
}

#[test]
fn whoever_proves_nothing_learns_nothing_and_is_told_nothing() {
    let server = linked_with(&[], |config| {
        secret(config, "correct horse battery");
        config.limits.handshake_timeout = Duration::from_millis(200);
    });
    let mut member = Independent::open(server.address(), "/broadcast/a");
    let fields = format!("Sec-WebSocket-Protocol: jackfield-link.hmac-sha256\r\n{ID}");
    let path = format!("/broadcast/{}", "0".repeat(64));
    let mut reasons = Vec::new();
    for words in [Some(vec![0; 64]), Some(vec![0; 3]), Some(Vec::new()), None] {
        let (mut client, status) = ask(server.address(), &path, &fields);
        assert_eq!(status, 101);
        let challenge = client.expect_frame();
        assert_eq!(challenge.payload.len(), 32);
        if let Some(words) = words {
            client.send(&common::frame::binary(words));
        }
        reasons.push(client.expect_close(1008));
    }
    reasons.dedup();
    assert_eq!(reasons, ["not proved"]);
    member.hears_nothing();
}

#[test]
fn an_original_proxy_hears_what_is_said_here_and_says_nothing() {
    // Listed, as discovery would have it announced.
    let server = linked(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 9))]);
    let mut alice = Independent::open(server.address(), "/broadcast/a");
    let fields = "X-BroadcastWebSocket-Proxy: true\r\nOrigin: somehost";
    let (mut proxy, status) = ask(server.address(), "/broadcast/a", fields);
    assert_eq!(status, 101);
    proxy.expect_text("____connect");
    alice.say("hello");
    proxy.expect_text("hello");
    proxy.send(&common::frame::text("not on this link"));
    proxy.round_trip();
    alice.hears_nothing();
}

#[test]
fn two_ends_on_two_servers_wait_for_each_other_and_lose_nothing() {
    let there = linked(&[]);
    let here = linked(&[there.address()]);
    let mut alice = Independent::open(here.address(), "/broadcast/demo");
    let mut bob = Independent::open(there.address(), "/broadcast/demo");
    for server in [&here, &there] {
        wait_for_links(server, 1.0);
    }
    // Far more than queues and kernels hold while Bob reads nothing.
    let message = "x".repeat(64 * 1024);
    let count = 1000;
    let speaker = std::thread::spawn(move || {
        for number in 0..count {
            alice.say(&format!("{number} {message}"));
        }
        alice
    });
    std::thread::sleep(Duration::from_millis(500));
    for number in 0..count {
        let heard = bob.next().into_text().expect("text");
        assert!(heard.starts_with(&format!("{number} ")), "{number}: {}", &heard[..8]);
    }
    let mut alice = speaker.join().expect("spoke");
    alice.hears_nothing();
    wait_for_links(&here, 1.0);
}

#[test]
fn an_original_that_is_dialled_is_heard_and_never_spoken_to() {
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let server = linked(&[proxy.local_addr().expect("bound")]);
    let mut alice = Independent::open(server.address(), "/broadcast/a");
    let (stream, _) = proxy.accept().expect("dialled");
    let mut asked = None;
    #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
    let look = |request: &Request, response: Response| {
        asked = Some((request.uri().path().to_owned(), request.headers()["x-broadcastwebsocket-proxy"].clone()));
        Ok(response)
    };
    let mut proxy = tungstenite::accept_hdr(stream, look).expect("a handshake");
    assert_eq!(asked, Some(("/broadcast/a".to_owned(), "true".parse().expect("a value"))));
    wait_for_links(&server, 1.0);
    alice.say("not for originals that were dialled");
    for message in [Message::text("hello"), Message::binary(vec![7; 70_000])] {
        proxy.send(message.clone()).expect("taken");
        alice.expect(&message);
    }
    proxy.send(Message::Ping("anything?".into())).expect("taken");
    assert_eq!(proxy.read().expect("answered, masked"), Message::Pong("anything?".into()));
    // RFC 6455 §5.1: a client fails the connection when a server's frame is masked.
    proxy.get_mut().write_all(&[0x81, 0x80, 1, 2, 3, 4]).expect("taken");
    match proxy.read().expect("a Close frame") {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1002, "{}", frame.reason),
        other => panic!("{other:?}"),
    }
    alice.hears_nothing();
}
