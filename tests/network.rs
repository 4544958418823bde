//! Network channels over real sockets: the wire of the original's last generation, on one server and across a link.

mod common;

use std::net::SocketAddr;

use common::client::Client;
use common::frame::{binary, text};
use common::http::request;
use common::independent::Independent;
use common::process::Process;
use common::server::{Metrics, TestServer, free_port};
use jackfield::config::{LanMode, Root};

/// What a member is told next, as its action, its source, its target and its data.
fn told(client: &mut Independent) -> [String; 4] {
    let text = client.next().into_text().expect("text").to_string();
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    ["action", "source", "target", "data"].map(|name| value[name].as_str().unwrap_or_default().to_owned())
}

/// A member that knows its id; `peers` of them are there already.
fn member(server: &TestServer, path: &str, peers: usize) -> (Independent, String, Vec<String>) {
    let mut client = Independent::open(server.address(), path);
    let peers: Vec<String> = (0..peers)
        .map(|_| {
            let [action, _, target, _] = told(&mut client);
            assert_eq!(action, "connect");
            target
        })
        .collect();
    client.say(r#"{"action":"status"}"#);
    let [action, id, target, _] = told(&mut client);
    assert_eq!((action.as_str(), &id), ("status", &target));
    (client, id, peers)
}

fn to_one(target: &str, data: &str) -> String {
    format!(r#"{{"action":"message","target":"{target}","data":"{data}"}}"#)
}

/// The status of the answer to an upgrade.
fn answer(address: SocketAddr, path: &str, fields: &str) -> u16 {
    ask(address, path, fields).1
}

fn ask(address: SocketAddr, path: &str, fields: &str) -> (Client, u16) {
    let mut client = Client::connect(address);
    let head = request("GET", address, path);
    let websocket = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    client.write(format!("{}\r\n{websocket}{fields}\r\n", head.trim_end_matches("\r\n")).as_bytes());
    let status = client.response().status;
    (client, status)
}

#[test]
fn the_original_port_serves_names_alone() {
    let server = TestServer::with(|config| config.listen = vec![free_port(Root::Network), free_port(Root::Auto)]);
    let [network, auto] = server.addresses() else { panic!("two listeners") };
    let mut one = Independent::open(*network, "/org.mediascape.bbc.tv");
    let mut two = Independent::open(*auto, "/network/org.mediascape.bbc.tv");
    let [action, ..] = told(&mut one);
    assert_eq!(action, "connect");
    let [action, ..] = told(&mut two);
    assert_eq!(action, "connect");
    one.say(r#"{"action":"broadcast","data":"{\"action\":\"publish\"}"}"#);
    let [action, _, target, data] = told(&mut two);
    assert_eq!([&*action, &*target, &*data], ["broadcast", "", r#"{"action":"publish"}"#]);
    for path in ["/", "/a/b", "/a%20b", "/a/", &format!("/{}", "x".repeat(256))] {
        assert_eq!(answer(*network, path, ""), 404, "{path}");
    }
    // What has a path of its own keeps it.
    Independent::open(*network, "/local/a").hears_nothing();
    let mut client = Client::connect(*network);
    client.write(request("GET", *network, "/console").as_bytes());
    assert_eq!(client.response().status, 200);
    for path in ["/network/a/b", "/network/", "/network/a%20b"] {
        assert_eq!(answer(*auto, path, ""), 404, "{path}");
    }
}

#[test]
fn binary_ends_the_connection_and_nothing_else_does() {
    let server = TestServer::start();
    let mut client = server.client("/network/demo");
    for nonsense in ["", "[", "null", r#"{"action":"message","target":"7"}"#, r#"{"action":"broadcast","data":7}"#] {
        client.send(&text(nonsense));
    }
    client.round_trip();
    client.send(&binary("x"));
    client.expect_close(1003);
    client.expect_end();
    server.expect_all_given_back();
}

#[test]
fn peers_of_two_servers_know_each_other_and_speak_to_all_or_to_one() {
    let linked = |peers: Vec<(String, u16)>| {
        TestServer::with(move |config| {
            config.lan.mode = LanMode::On;
            config.lan.interfaces = vec!["none".to_owned()];
            config.lan.peers = peers;
        })
    };
    let there = linked(Vec::new());
    let here = linked(vec![(there.address().ip().to_string(), there.address().port())]);
    let (mut alice, alice_id, _) = member(&here, "/network/demo", 0);
    here.metrics().wait_for("the link", |values| values["jackfield_links"] == 1.0);
    let (mut bob, bob_id, peers) = member(&there, "/network/demo", 1);
    assert_eq!(peers, [alice_id.as_str()]);
    assert_eq!(told(&mut alice), ["connect", &alice_id, &bob_id, ""]);
    let (mut carol, carol_id, _) = member(&there, "/network/demo", 2);
    assert_eq!(told(&mut alice), ["connect", &alice_id, &carol_id, ""]);
    assert_eq!(told(&mut bob), ["connect", &bob_id, &carol_id, ""]);

    alice.say(r#"{"action":"broadcast","data":"to all"}"#);
    for client in [&mut bob, &mut carol] {
        assert_eq!(told(client), ["broadcast", &alice_id, "", "to all"]);
    }
    bob.say(&to_one(&alice_id, "to alice"));
    assert_eq!(told(&mut alice), ["message", &bob_id, &alice_id, "to alice"]);
    alice.say(&to_one(&carol_id, "to carol"));
    assert_eq!(told(&mut carol), ["message", &alice_id, &carol_id, "to carol"]);
    bob.hears_nothing();

    bob.close();
    assert_eq!(told(&mut alice), ["disconnect", &alice_id, &bob_id, ""]);
    there.stop();
    assert_eq!(told(&mut alice), ["disconnect", &alice_id, &carol_id, ""]);
    alice.say(&to_one(&carol_id, "to nobody"));
    alice.hears_nothing();
}

#[test]
fn t33_a_link_speaks_for_its_own_members_only() {
    let server = TestServer::with(|config| {
        config.lan.mode = LanMode::On;
        config.lan.interfaces = vec!["none".to_owned()];
    });
    let (mut alice, alice_id, _) = member(&server, "/network/demo", 0);
    let (mut bob, bob_id, _) = member(&server, "/network/demo", 1);
    assert_eq!(told(&mut alice)[0], "connect");
    let fields = "Sec-WebSocket-Protocol: jackfield-link\r\nJackfield-Instance: 00112233445566778899aabbccddeeff\r\n";
    let (mut link, status) = ask(server.address(), "/network/demo", fields);
    assert_eq!(status, 101);
    for _ in 0..2 {
        link.any_text();
    }
    for forged in [
        format!(r#"{{"action":"connect","target":"{alice_id}"}}"#),
        format!(r#"{{"action":"disconnect","target":"{alice_id}"}}"#),
        format!(r#"{{"action":"broadcast","source":"{alice_id}","data":"forged"}}"#),
        format!(r#"{{"action":"message","source":"{alice_id}","target":"{bob_id}","data":"forged"}}"#),
        format!(r#"{{"action":"message","source":"7","target":"{bob_id}","data":"nobody"}}"#),
        r#"{"action":"connect","target":"-1"}"#.to_owned(),
        r#"{"action":"connect","target":"\r\nX"}"#.to_owned(),
    ] {
        link.send(&text(forged));
    }
    link.round_trip();
    alice.hears_nothing();
    bob.hears_nothing();
    link.send(&text(r#"{"action":"connect","target":"7"}"#));
    assert_eq!(told(&mut bob), ["connect", &bob_id, "7", ""]);
    link.send(&text(format!(r#"{{"action":"message","source":"7","target":"{bob_id}","data":"its own"}}"#)));
    assert_eq!(told(&mut bob), ["message", "7", &bob_id, "its own"]);
    bob.say(&to_one("7", "back"));
    assert_eq!(link.any_text(), format!(r#"{{"action":"message","source":"{bob_id}","target":"7","data":"back"}}"#));
    drop(link);
    assert_eq!(told(&mut bob), ["disconnect", &bob_id, "7", ""]);
}

/// T39: long messages that lead to nothing leave nothing behind, though nobody is told anything meanwhile.
#[test]
fn t39_what_leads_to_nothing_is_not_kept() {
    const MESSAGES: usize = 64;
    let server = Process::start(&[]);
    let mut metrics = Metrics::of(server.address());
    let mut client = server.client("/network/a");
    let junk = text(format!(r#"{{"action":"nothing","data":"{}"}}"#, "x".repeat(1_000_000)));
    let mut say = |count: usize| (0..count).for_each(|_| client.send(&junk));
    say(4);
    metrics.wait_for("the first ones", |values| values["jackfield_messages_received_total"] == 4.0);
    let before = server.memory().resident;
    say(MESSAGES);
    let total = (4 + MESSAGES) as f64;
    metrics.wait_for("all of them", |values| values["jackfield_messages_received_total"] == total);
    let after = server.memory().resident;
    assert!(after <= before + 8 * 1024, "{before} KiB resident before {MESSAGES} MB of junk, {after} after");
}
