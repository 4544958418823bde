//! The administrative routes: who may use them, what they tell, and that a client is closed by its own name only.

mod common;

use std::net::SocketAddr;
use std::time::Instant;

use common::DEADLINE;
use common::client::Client;
use common::frame::text;
use common::http::{Response, request};
use common::server::TestServer;
use serde_json::Value;

const MEANT: &str = "X-Jackfield: 1\r\n";

fn ask(address: SocketAddr, method: &str, target: &str, lines: &str) -> Response {
    let mut client = Client::connect(address);
    let text = request(method, address, target);
    client.write(format!("{}{lines}\r\n", text.strip_suffix("\r\n").expect("a request")).as_bytes());
    client.response_to(method)
}

fn live(address: SocketAddr) -> Value {
    let response = ask(address, "GET", "/api/live", "");
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(&response.body).expect("JSON")
}

/// The clients of a snapshot that are sessions.
fn sessions(live: &Value) -> Vec<Value> {
    let clients = live["clients"].as_array().expect("a list");
    clients.iter().filter(|client| client.get("protocol").is_some()).cloned().collect()
}

fn free_admin(config: &mut jackfield::config::Config) {
    config.admin = vec!["127.0.0.1:0".parse().expect("an address")];
}

const PATHS: [(&str, &str); 6] = [
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/live"),
    ("GET", "/api/devices"),
    ("POST", "/api/close?client=0.0"),
];

#[test]
fn t25_only_programs_and_own_pages_of_this_machine_are_administrators() {
    let server = TestServer::start();
    let own = format!("Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", server.address());
    for (method, path) in PATHS {
        for lines in ["", "Sec-Fetch-Site: none\r\n", &own] {
            let response = ask(server.address(), method, path, &format!("{MEANT}{lines}"));
            let expected = if method == "POST" { 404 } else { 200 };
            assert_eq!(response.status, expected, "{path} {lines}: {response:?}");
            assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(response.header("access-control-allow-origin"), None, "{path}");
        }
        for lines in [
            "Origin: http://localhost:3000\r\n",
            "Origin: https://evil.example\r\n",
            "Origin: null\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
            "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n",
            "X-Forwarded-For: 127.0.0.1\r\n",
            "Forwarded: for=127.0.0.1\r\n",
            "Via: 1.1 proxy\r\n",
        ] {
            let response = ask(server.address(), method, path, &format!("{MEANT}{lines}"));
            assert_eq!(response.status, 404, "{path} {lines}: {response:?}");
            assert!(response.header("cache-control").is_none(), "{path} {lines}: {response:?}");
        }
        for (host, status) in [("192.168.1.7", 404), ("evil.example", 403)] {
            let mut client = Client::connect(server.address());
            client.write(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{MEANT}\r\n").as_bytes());
            assert_eq!(client.response_to(method).status, status, "{path} {host}");
        }
    }
}

#[test]
fn a_listener_for_administrators_is_the_only_place_for_them() {
    let server = TestServer::with(free_admin);
    let admin = server.admin_addresses()[0];
    assert_eq!(server.addresses().len(), 1);
    for (method, path) in PATHS {
        assert_eq!(ask(server.address(), method, path, MEANT).status, 404, "{path}");
        let expected = if method == "POST" { 404 } else { 200 };
        let response = ask(admin, method, path, MEANT);
        assert_eq!((response.status, response.header("cache-control")), (expected, Some("no-store")), "{path}");
        // Whoever puts a proxy before it has decided who gets there.
        assert_eq!(ask(admin, method, path, &format!("{MEANT}Via: 1.1 proxy\r\n")).status, expected, "{path}");
        for lines in ["Origin: http://localhost:3000\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
            assert_eq!(ask(admin, method, path, &format!("{MEANT}{lines}")).status, 404, "{path} {lines}");
        }
    }
    // The console is there too, and what it connects to.
    assert_eq!(ask(admin, "GET", "/console", "").status, 200);
    Client::open(admin, "/local/a").round_trip();
    let listeners = live(admin)["listeners"].clone();
    assert_eq!(listeners[0]["is_admin"], false);
    assert_eq!((&listeners[1]["is_admin"], &listeners[1]["address"]), (&true.into(), &admin.to_string().into()));
}

#[test]
fn the_snapshot_tells_who_is_there_and_what_joins_them() {
    let server = TestServer::start();
    let mut alice = server.client("/webshare");
    let mut bob = server.client("/webshare");
    let key = |client: &mut Client| {
        client.send(&text(r#"{"command":"key"}"#));
        let reply: Value = serde_json::from_str(&client.any_text()).expect("JSON");
        reply["body"]["key"].as_str().expect("a key").to_owned()
    };
    key(&mut alice);
    let target = key(&mut bob);
    alice.send(&text(format!(r#"{{"command":"pair","body":{{"target":"{target}"}}}}"#)));
    alice.any_text();
    bob.any_text();
    let _members = [server.client("/local/a"), server.client("/local/a"), server.client("/pocket?room=b")];
    let live = live(server.address());
    assert_eq!(live["gauges"]["pairs"], 1);
    assert_eq!(live["gauges"]["channels"], 2);
    assert!(live["resident_bytes"].as_u64().expect("Linux tells") > 100_000);
    assert!(live["counters"]["messages_received"].as_u64() >= Some(3));
    assert!(live["counters"]["sent_bytes"].as_u64() >= Some(100));
    assert_eq!(live["channels"][0], serde_json::json!({"name": "/local/a", "members": 2}));
    assert_eq!(live["limits"][0]["option"], "--max-connections");
    let sessions = sessions(&live);
    assert_eq!(sessions.len(), 5);
    let pair: Vec<&Value> = sessions.iter().filter(|client| client["protocol"] == "webshare").collect();
    assert_eq!((&pair[0]["partner"], &pair[1]["partner"]), (&pair[1]["id"], &pair[0]["id"]));
    assert!(live["pairs"][0].as_array().expect("two").contains(&pair[0]["id"]));
    for client in &sessions {
        assert_eq!((&client["state"], &client["derived"]), (&"open".into(), &"socket".into()), "{client}");
        assert!(client["address"].as_str().expect("text").starts_with("127.0.0.1:"), "{client}");
    }
    // Keys are how strangers pair: no snapshot has them.
    assert!(!live.to_string().contains(&target));
}

#[test]
fn a_snapshot_is_bounded_however_many_are_there() {
    let server = TestServer::start();
    let clients: Vec<_> = (0..260).map(|number| server.idle(&format!("/local/{number}"))).collect();
    let live = live(server.address());
    assert_eq!(live["clients"].as_array().expect("a list").len(), 200);
    assert_eq!(live["channels"].as_array().expect("a list").len(), 100);
    assert!(live["gauges"]["sessions"].as_u64() >= Some(260));
    drop(clients);
}

#[test]
fn a_client_is_closed_by_its_own_name_only() {
    let server = TestServer::start();
    let address = server.address();
    let mut first = server.client("/local/a");
    let id = sessions(&live(address))[0]["id"].as_str().expect("text").to_owned();
    let close = |id: &str, lines: &str| ask(address, "POST", &format!("/api/close?client={id}"), lines).status;
    // Without the intent, by another method, or without a name: nothing.
    assert_eq!(close(&id, ""), 403);
    assert_eq!(ask(address, "GET", &format!("/api/close?client={id}"), MEANT).status, 405);
    let many = "9".repeat(40);
    for bad in ["", "1", "1.", ".1", "-1.1", "a.b", "4294967296.1", "1.1.1", &many] {
        assert_eq!(close(bad, MEANT), 400, "{bad}");
    }
    for gone in ["4294967295.4294967295", "2147483648.0", "0.4000000000"] {
        assert_eq!(close(gone, MEANT), 404, "{gone}");
    }
    first.round_trip();
    assert_eq!(close(&id, MEANT), 200);
    assert_eq!(first.expect_close(1008), "closed by an administrator");
    drop(first);
    // Another one in the same slot is not meant by that name.
    let slot = id.split('.').next().expect("a slot");
    let start = Instant::now();
    let mut others = Vec::new();
    loop {
        others.push(server.client("/local/b"));
        let taken = |client: &Value| client["id"].as_str().expect("text").split('.').next() == Some(slot);
        if sessions(&live(address)).iter().any(taken) {
            break;
        }
        assert!(start.elapsed() < DEADLINE, "the slot is never taken again");
    }
    assert_eq!(close(&id, MEANT), 404);
    others.iter_mut().for_each(Client::round_trip);
}

#[test]
fn nobody_closes_the_connection_that_asks() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    client.write(request("GET", server.address(), "/api/live").as_bytes());
    let live: Value = serde_json::from_slice(&client.response().body).expect("JSON");
    let id = live["clients"][0]["id"].as_str().expect("text").to_owned();
    let target = format!("/api/close?client={id}");
    let text = request("POST", server.address(), &target);
    client.write(format!("{}{MEANT}\r\n", text.strip_suffix("\r\n").expect("a request")).as_bytes());
    assert_eq!(client.response_to("POST").status, 404);
}

#[test]
fn t26_names_are_data_in_the_snapshot() {
    let server = TestServer::start();
    let _room = server.client("/pocket?room=b");
    let hostile = "%3Cimg%20src=x%3E%22%5C%E2%80%AE";
    let mut device = server.client(&format!("/socket.io/?EIO=4&transport=websocket&clientId=a{hostile}"));
    device.any_text();
    device.send(&text("40"));
    device.any_text();
    let _named = server.client("/local/a.b*c=d");
    let live = live(server.address());
    assert_eq!(live["channels"].as_array().expect("a list").len(), 2);
    let devices = ask(server.address(), "GET", "/api/devices", "");
    let devices: Value = serde_json::from_slice(&devices.body).expect("JSON");
    assert_eq!(devices["devices"][0]["id"], "a<img src=x>\"\\\u{202E}");
}

#[test]
fn everybody_is_told_what_is_of_use_to_them() {
    let role =
        |address| -> Value { serde_json::from_slice(&ask(address, "GET", "/console/role", "").body).expect("JSON") };
    let server = TestServer::start();
    let all = serde_json::json!({"is_admin": true, "asks_for_tokens": false, "has_targets": false, "without": []});
    assert_eq!(role(server.address()), all);
    let server = TestServer::with(|config| {
        config.without = vec![jackfield::config::Switch::P2p, jackfield::config::Switch::Ws2s];
        free_admin(config);
    });
    let told = role(server.address());
    assert_eq!((&told["is_admin"], &told["without"]), (&false.into(), &serde_json::json!(["p2p", "ws2s"])));
}
