//! The administrative routes: who may use them, what they tell, and that a client is closed by its own name only.

mod common;

use std::net::SocketAddr;
use std::time::Instant;

use common::DEADLINE;
use common::client::Client;
use common::engine::{self, Eio, Packet, Polling, Socket};
use common::frame::text;
use common::http::{Response, request};
use common::server::TestServer;
use jackfield::config::LanMode;
use jackfield::net::interfaces::own_addresses;
use serde_json::{Value, json};

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
    assert_eq!(
        (live["pairs"].as_array().expect("a list").len(), &live["pairs"][0]["protocol"]),
        (1, &"webshare".into())
    );
    assert!(live["pairs"][0]["clients"].as_array().expect("two").contains(&pair[0]["id"]));
    for client in &sessions {
        assert_eq!((&client["state"], &client["derived"]), (&"open".into(), &"socket".into()), "{client}");
        assert!(client["address"].as_str().expect("text").starts_with("127.0.0.1:"), "{client}");
    }
    // Keys are how strangers pair: no snapshot has them.
    assert!(!live.to_string().contains(&target));
}

/// A device that has joined.
fn device(address: SocketAddr, id: &str) -> Socket {
    let mut device = Socket::asking(address, id);
    engine::expect_joined(Eio::Four, &device.hear());
    device
}

/// What a device says that is asked to be somebody's partner.
fn consent(asked: &Packet) -> Packet {
    let Packet::Text(asked) = asked else { panic!("an event is text: {asked:?}") };
    let number = asked.strip_prefix("42").and_then(|rest| rest.split_once('[')).expect("an event").0;
    engine::text(format!("43{number}[true]"))
}

#[test]
fn the_snapshot_tells_which_devices_are_there_and_which_are_paired() {
    let server = TestServer::start();
    let address = server.address();
    let (mut alice, mut bob) = (device(address, "alice"), device(address, "bob"));
    alice.say(&engine::text(r#"421["P2P_REGISTER","bob"]"#));
    let answer = consent(&bob.hear());
    bob.say(&answer);
    alice.hears("431[true]");
    let live = live(address);
    assert_eq!(live["gauges"]["pairs"], 1);
    let find = |id: &str| sessions(&live).into_iter().find(|client| client["device"] == id).expect(id);
    for (id, partner) in [("alice", "bob"), ("bob", "alice")] {
        let client = find(id);
        assert_eq!((&client["protocol"], &client["partner_device"]), (&"socket.io".into(), &partner.into()));
        assert_eq!(client["partner"], find(partner)["id"]);
    }
    let pair = json!({
        "protocol": "socket.io",
        "clients": [find("alice")["id"], find("bob")["id"]],
        "devices": ["alice", "bob"],
    });
    assert_eq!(live["pairs"], json!([pair]));
}

#[test]
fn a_device_that_polls_is_told_of_with_and_without_a_poll_under_way() {
    let server = TestServer::start();
    let address = server.address();
    let (mut alice, mut bob) = (device(address, "alice"), Polling::join(address, Eio::Four, ""));
    let name = bob.me.clone();
    alice.say(&engine::text(format!(r#"421["P2P_REGISTER","{name}"]"#)));
    let answer = consent(&bob.hear());
    bob.say(&[answer]);
    alice.hears("431[true]");
    let pair = |live: &Value| {
        assert_eq!(live["pairs"][0]["devices"], json!(["alice", name]));
        live["pairs"][0]["clients"][1].clone()
    };
    assert_eq!(pair(&live(address)), Value::Null);
    bob.begin_poll();
    server.metrics().wait_for("the poll to be held", |values| values["jackfield_held_requests"] == 1.0);
    let live = live(address);
    let polling = sessions(&live).into_iter().find(|client| client["device"] == *name).expect("it is a client");
    assert_eq!((&polling["state"], &polling["partner_device"]), (&"polling".into(), &"alice".into()));
    assert_eq!(pair(&live), polling["id"]);
    // Closing it ends its session, and with that the pair.
    let target = format!("/api/close?client={}", polling["id"].as_str().expect("text"));
    assert_eq!(ask(address, "POST", &target, MEANT).status, 200);
    alice.hears(r#"42["P2P_DISCONNECT"]"#);
}

#[test]
fn a_client_that_is_not_listed_is_found_by_what_it_is() {
    let server = TestServer::start();
    let address = server.address();
    let mut wanted = server.client("/local/The-One");
    let _device = device(address, "A%20thermometer");
    let mut webshare = server.client("/webshare");
    webshare.send(&text(r#"{"command":"key"}"#));
    let reply: Value = serde_json::from_str(&webshare.any_text()).expect("JSON");
    let key = reply["body"]["key"].as_str().expect("a key").to_owned();
    let crowd: Vec<_> = (0..210).map(|number| server.idle(&format!("/local/{number}"))).collect();
    let find = |query: &str| {
        let response = ask(address, "GET", &format!("/api/live?q={query}"), "");
        assert_eq!(response.status, 200, "{query}: {response:?}");
        let live: Value = serde_json::from_slice(&response.body).expect("JSON");
        let found = live["clients_found"].as_u64().expect("a count");
        assert_eq!(found.min(200) as usize, live["clients"].as_array().expect("a list").len(), "{query}");
        (found, live)
    };
    assert!(!sessions(&live(address)).iter().any(|client| client["channel"] == "/local/The-One"));
    // Whatever the case, and escaped as browsers do.
    for query in ["the-one", "%2Flocal%2FTHE-ONE", "+the-one+"] {
        let (found, live) = find(query);
        assert_eq!((found, &live["clients"][0]["channel"]), (1, &"/local/The-One".into()), "{query}");
        assert!(live["gauges"]["sessions"].as_u64() >= Some(213), "nothing else is left out");
    }
    let (found, live) = find("a+THERMO");
    assert_eq!((found, &live["clients"][0]["device"]), (1, &"A thermometer".into()));
    assert_eq!(find("named").0, 211);
    assert!(find("127.0.0.1").0 >= 213);
    // A key is found by whoever has it, and by nobody who guesses it digit by digit.
    let (found, live) = find(&key);
    assert_eq!((found, &live["clients"][0]["protocol"]), (1, &"webshare".into()));
    assert!(!live.to_string().contains(&key));
    for guess in [&key[1..], &key[..key.len() - 1]] {
        let (_, live) = find(guess);
        assert!(!sessions(&live).iter().any(|client| client["protocol"] == "webshare"), "{guess}");
    }
    for nobody in ["the-two", "%00", "%FF", "%", "<img>"] {
        assert_eq!(find(nobody).0, 0, "{nobody}");
    }
    for (bytes, status) in [(255, 200), (256, 400)] {
        assert_eq!(ask(address, "GET", &format!("/api/live?q={}", "x".repeat(bytes)), "").status, status, "{bytes}");
    }
    // And is closed by the name that it was found under.
    let id = find("the-one").1["clients"][0]["id"].as_str().expect("text").to_owned();
    assert_eq!(ask(address, "POST", &format!("/api/close?client={id}"), MEANT).status, 200);
    wanted.expect_close(1008);
    assert_eq!(find("the-one").0, 0);
    drop(crowd);
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
    assert!(sessions(&live).iter().any(|client| client["device"] == "a<img src=x>\"\\\u{202E}"));
}

#[test]
fn everybody_is_told_what_is_of_use_to_them() {
    let role =
        |address| -> Value { serde_json::from_slice(&ask(address, "GET", "/console/role", "").body).expect("JSON") };
    let server = TestServer::start();
    let all = serde_json::json!({
        "is_admin": true,
        "asks_for_tokens": false,
        "needs_token": false,
        "has_targets": false,
        "has_target_names": false,
        "is_on_network": false,
        "max_message": 1024 * 1024,
        "without": [],
    });
    assert_eq!(role(server.address()), all);
    let server = TestServer::with(|config| {
        config.limits.max_message = 5000;
        config.bridge_names = vec![("redis".to_owned(), "127.0.0.1".to_owned(), 6379)];
    });
    let told = role(server.address());
    let told = (&told["has_targets"], &told["has_target_names"], &told["max_message"]);
    assert_eq!(told, (&true.into(), &true.into(), &5000.into()));
    let server = TestServer::with(|config| {
        config.without = vec![jackfield::config::Switch::P2p, jackfield::config::Switch::Ws2s];
        free_admin(config);
    });
    let told = role(server.address());
    assert_eq!((&told["is_admin"], &told["without"]), (&false.into(), &serde_json::json!(["p2p", "ws2s"])));
}

#[test]
fn only_who_is_here_is_told_where_other_machines_find_the_console() {
    let role = |address: SocketAddr, host: &str, lines: &str| -> Value {
        let mut client = Client::connect(address);
        client.write(format!("GET /console/role HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n").as_bytes());
        serde_json::from_slice(&client.response().body).expect("JSON")
    };
    let server = TestServer::with(|config| {
        config.listen[0].address = "0.0.0.0:0".parse().expect("an address");
        config.lan.mode = LanMode::Off;
    });
    let port = server.address().port();
    let here = SocketAddr::from(([127, 0, 0, 1], port));
    let expected =
        own_addresses().iter().find(|own| own.is_ipv4()).map(|own| json!(format!("http://{own}:{port}/console")));
    for host in [format!("127.0.0.1:{port}"), "localhost".to_owned()] {
        assert_eq!(role(here, &host, "").get("network"), expected.as_ref(), "{host}");
    }
    for (host, lines) in [("192.0.2.7", ""), ("127.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n")] {
        assert_eq!(role(here, host, lines).get("network"), None, "{host} {lines}");
    }
    // Nobody but this machine reaches what is bound to loopback, whoever may do so at the address of administrators.
    let server = TestServer::with(|config| config.admin = vec!["0.0.0.0:0".parse().expect("an address")]);
    assert_eq!(role(server.address(), "localhost", "").get("network"), None);
}
