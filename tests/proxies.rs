//! Whom a connection is for that comes through a proxy: limits, presence and the log go by the client, and nobody invents
//! an address.

mod common;

use std::net::SocketAddr;

use common::client::{Client, Trouble};
use common::frame::text;
use common::http::{Response, upgrade_request};
use common::process::Process;
use common::server::{TestServer, free_port};
use jackfield::config::{Config, Root};

/// An upgrade with more header fields.
fn upgrade_with(address: SocketAddr, target: &str, fields: &[&str]) -> String {
    let request = upgrade_request(address, target);
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("{}{fields}\r\n", request.strip_suffix("\r\n").expect("a head"))
}

/// What a client that sends `preamble` and then an upgrade gets to hear.
fn knock(server: &TestServer, preamble: &[u8], target: &str, fields: &[&str]) -> (Client, Result<Response, Trouble>) {
    let mut client = Client::connect(server.address());
    client.write(&[preamble, upgrade_with(server.address(), target, fields).as_bytes()].concat());
    let response = client.try_response("GET");
    (client, response)
}

/// The status of the answer.
#[track_caller]
fn status(answer: &Result<Response, Trouble>) -> u16 {
    answer.as_ref().unwrap_or_else(|trouble| panic!("no answer: {trouble:?}")).status
}

/// A server that trusts this machine as a proxy, with two connections for each address.
fn behind_a_proxy(adjust: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.trusted_proxy = vec!["127.0.0.1".to_owned(), "10.0.0.0/8".to_owned()];
        config.admin = vec![free_port(Root::Auto).address];
        config.limits.max_per_address = 2;
        adjust(config);
    })
}

/// A server whose listener expects PROXY headers.
fn proxied(adjust: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.listen[0].proxy = true;
        config.listen.push(free_port(Root::Auto));
        config.limits.max_per_address = 2;
        adjust(config);
    })
}

/// `jackfield_counted_connections`, by a listener without PROXY headers.
fn counted(server: &TestServer) -> f64 {
    let address = *server.admin_addresses().last().or(server.addresses().last()).expect("one at least");
    common::server::Metrics::of(address).value("jackfield_counted_connections")
}

#[test]
fn limits_count_the_client_that_a_trusted_proxy_names() {
    let server = behind_a_proxy(|_| {});
    let open = |field: &str| knock(&server, b"", "/local/a", &[field]);
    let (_one, answer) = open("X-Forwarded-For: 6.6.6.6, 192.0.2.1");
    assert_eq!(status(&answer), 101);
    let (_two, answer) = open("Forwarded: for=192.0.2.1, for=10.1.1.1");
    assert_eq!(status(&answer), 101);
    let (_, answer) = open("X-Forwarded-For: 192.0.2.1");
    assert_eq!(status(&answer), 503);
    let refusal = answer.expect("a refusal");
    assert!(refusal.text().contains("--max-per-address") && refusal.header("retry-after").is_some(), "{refusal:?}");
    assert!(refusal.closes(), "{refusal:?}");
    let (_other, answer) = open("X-Forwarded-For: 192.0.2.2");
    assert_eq!(status(&answer), 101);
    // The proxy itself has no limit: what it sends is its clients'.
    let own: Vec<_> = (0..5).map(|_| server.client("/local/a")).collect();
    assert_eq!(counted(&server), 3.0);
    drop(own);
}

#[test]
fn headers_of_others_are_ignored() {
    let server = TestServer::with(|config| {
        config.trusted_proxy = vec!["10.0.0.0/8".to_owned()];
        config.limits.max_per_address = 1;
    });
    let clients: Vec<_> = (0..3)
        .map(|_| knock(&server, b"", "/local/a", &["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.2"]))
        .collect();
    assert!(clients.iter().all(|(_, answer)| status(answer) == 101));
    assert_eq!(counted(&server), 0.0, "all are this machine's");
}

#[test]
fn two_fields_that_contradict_each_other_are_refused() {
    let server = behind_a_proxy(|_| {});
    let (_, answer) = knock(&server, b"", "/local/a", &["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.9"]);
    assert_eq!(status(&answer), 400);
    assert!(answer.expect("a refusal").text().contains("--trusted-proxy"));
}

#[test]
fn a_proxys_connection_counts_for_the_client_of_its_last_request() {
    let server = behind_a_proxy(|_| {});
    let mut observer = server.metrics();
    let ask = |client: &mut Client, field: &str| {
        client.write(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n").as_bytes());
        client.response().status
    };
    let mut first = Client::connect(server.address());
    let mut second = Client::connect(server.address());
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::2", "192.0.2.1"] {
        let field = format!("X-Forwarded-For: {address}\r\n");
        assert_eq!(ask(&mut first, &field), 200);
        assert_eq!(ask(&mut second, &field), 200);
        let values = observer.read();
        let counts =
            ["jackfield_counted_connections", "jackfield_used{option=\"max-per-address\"}"].map(|name| values[name]);
        assert_eq!(counts, [2.0, 2.0], "{address}");
    }
    // A third that is refused leaves the counts as they are, and so does its end.
    let mut third = Client::connect(server.address());
    assert_eq!(ask(&mut third, "X-Forwarded-For: 192.0.2.1\r\n"), 503);
    third.expect_end();
    assert_eq!(observer.value("jackfield_counted_connections"), 2.0);
    // A request of the proxy's own.
    assert_eq!(ask(&mut second, ""), 200);
    assert_eq!(observer.value("jackfield_counted_connections"), 1.0);
    drop((first, second));
    observer.wait_for("nobody", |values| values["jackfield_counted_connections"] == 0.0);
}

#[test]
fn polling_sessions_are_their_clients() {
    let server = behind_a_proxy(|_| {});
    let mut observer = server.metrics();
    let mut client = Client::connect(server.address());
    let mut open = |address: &str| {
        let request = format!(
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n\r\n"
        );
        client.write(request.as_bytes());
        client.response().status
    };
    // One connection of the proxy, session after session.
    assert_eq!([open("192.0.2.1"), open("192.0.2.1"), open("192.0.2.2")], [200, 200, 200]);
    assert_eq!(open("192.0.2.1"), 503);
    drop(client);
    observer.wait_for("no connection", |values| values["jackfield_counted_connections"] == 0.0);
}

#[test]
fn nobody_is_an_operator_through_a_proxy() {
    let ask = |client: &mut Client, line: &str, field: &str| {
        client.write(format!("{line} HTTP/1.1\r\nHost: localhost\r\nX-Jackfield: 1\r\n{field}\r\n").as_bytes());
        client.response().status
    };
    let server = behind_a_proxy(|config| config.admin.clear());
    // As from a proxy that says nothing of its clients, too: `mode tcp`, or a configuration that only upgrades.
    for field in
        ["X-Forwarded-For: 127.0.0.1\r\n", "", "Forwarded: for=127.0.0.1\r\n", "X-Forwarded-For: 192.0.2.1\r\n"]
    {
        for line in ["GET /metrics", "GET /api/live", "POST /api/close?client=0.1"] {
            assert_eq!(ask(&mut Client::connect(server.address()), line, field), 404, "{line} {field}");
        }
    }
    // Nor behind a request of somebody else's on the same connection.
    let mut client = Client::connect(server.address());
    for field in ["X-Forwarded-For: 192.0.2.1\r\n", "", "", "X-Forwarded-For: 192.0.2.1\r\n", ""] {
        assert_eq!(ask(&mut client, "GET /metrics", field), 404, "{field}");
    }
    // Other addresses of this machine are nobody's proxy.
    let server = behind_a_proxy(|config| {
        config.admin.clear();
        config.trusted_proxy = vec!["127.0.0.9".to_owned()];
    });
    let mut client = Client::connect(server.address());
    assert_eq!(ask(&mut client, "GET /metrics", ""), 200);
    // Fields that some proxies write are enough to doubt who asks.
    for name in ["CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "X-Original-Forwarded-For", "Via", "X-Real-IP"] {
        let mut client = Client::connect(server.address());
        assert_eq!(ask(&mut client, "GET /metrics", &format!("{name}: 192.0.2.1\r\n")), 404, "{name}");
    }
    let server = proxied(|_| {});
    let ask = |preamble: &str| {
        let mut client = Client::connect(server.address());
        client.write(format!("{preamble}GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        client.response().status
    };
    assert_eq!(ask("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"), 404);
    assert_eq!(ask("PROXY UNKNOWN\r\n"), 404);
    assert_eq!(ask("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), 200, "the proxy itself, which looks whether we live");
}

/// What a proxy elsewhere calls this machine is its own, and nobody is exempt from limits for that.
#[test]
fn loopback_is_the_machine_of_whoever_says_so() {
    let server = proxied(|config| config.trusted_proxy = vec!["10.0.0.0/8".to_owned()]);
    let mut clients = Vec::new();
    for field in ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=\"[::1]\""] {
        let (client, answer) = knock(&server, b"PROXY TCP4 10.1.1.1 127.0.0.1 1 2\r\n", "/pocket", &[field]);
        assert_eq!(status(&answer), 101);
        clients.push(client);
        assert_eq!(counted(&server), clients.len() as f64, "{field}");
    }
    // Presence says the same.
    let told = clients[0].any_text();
    assert!(told.contains(r#""address":"10.1.1.1""#), "{told}");
}

#[test]
fn proxy_headers_of_both_versions() {
    let server = proxied(|_| {});
    let v2 =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10"[..], &[192, 0, 2, 1, 127, 0, 0, 1, 1, 2, 3, 4, 0x20, 0, 1, 0]].concat();
    let (mut one, answer) = knock(&server, b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n", "/pocket", &[]);
    assert_eq!(status(&answer), 101);
    let (_two, answer) = knock(&server, &v2, "/pocket", &[]);
    assert_eq!(status(&answer), 101);
    // Presence names the client.
    let pushed = one.any_text();
    assert!(pushed.contains(r#""port":258,"address":"192.0.2.1""#), "{pushed}");
    assert_eq!(counted(&server), 2.0);
    let (_, answer) = knock(&server, b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n", "/pocket", &[]);
    assert_eq!(status(&answer), 503);
    assert!(answer.expect("a refusal").text().contains("--max-per-address"));
    assert_eq!(counted(&server), 2.0);
    // One byte after the other, and in one piece with what follows, which is not taken for part of it.
    let mut slow = Client::connect(server.address());
    for byte in b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n" {
        slow.write(&[*byte]);
    }
    slow.upgrade("/local/a");
    slow.send(&text("heard"));
    slow.round_trip();
    drop((one, slow));
}

#[test]
fn a_listener_for_proxies_hears_nobody_else() {
    let server = proxied(|config| config.limits.handshake_timeout = std::time::Duration::from_millis(300));
    let started = std::time::Instant::now();
    for preamble in [
        &b""[..],
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711\r\n",
        b"PROXY TCP4 192.0.2.256 127.0.0.1 1 2\r\n",
        b"\x16\x03\x01",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0C",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xFF\xFF",
        // A second one is no request.
        b"PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n",
    ] {
        let (_, answer) = knock(&server, preamble, "/local/a", &[]);
        let is_refused = match &answer {
            Ok(response) => response.status == 400 && preamble.starts_with(b"PROXY UNKNOWN"),
            Err(trouble) => matches!(trouble, Trouble::End | Trouble::Reset),
        };
        assert!(is_refused, "{preamble:?}: {answer:?}");
    }
    assert!(started.elapsed() < common::DEADLINE);
    let address = server.addresses()[1];
    let values = common::server::Metrics::of(address).read();
    assert_eq!(values["jackfield_refused_total{option=\"listen\"}"], 6.0, "each is counted once");
    // One that never finishes its header has the time of a handshake.
    let mut half = Client::connect(server.address());
    half.write(b"PROXY TCP4 192.0.2.1 ");
    // What it said was never taken, so the system resets it.
    assert!(matches!(half.end(), Err(Trouble::Reset)));
    assert_eq!(counted(&server), 0.0);
}

#[test]
fn the_log_names_the_client() {
    let server = Process::start(&["-v", "--trusted-proxy", "127.0.0.0/8"]);
    let mut client = Client::connect(server.address());
    client.write(upgrade_with(server.address(), "/local/a", &["Forwarded: for=\"[2001:db8::7]:99\""]).as_bytes());
    assert_eq!(client.response().status, 101);
    server.expect_output("[2001:db8::7]:99: opened /local/a");
    client.close();
    server.expect_output("[2001:db8::7]:99: closed by the client");
}

#[test]
fn guesses_and_bridges_are_the_clients() {
    let target = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = target.local_addr().expect("bound").port();
    let server = behind_a_proxy(|config| {
        config.limits.guess_burst = 2;
        config.limits.guess_interval = std::time::Duration::from_secs(3600);
        config.limits.max_bridges_per_address = 1;
        config.limits.max_per_address = 10;
        config.bridge_allow = vec![format!("127.0.0.1:{port}")];
    });
    let open = |address: &str, path: &str| {
        let (client, answer) = knock(&server, b"", path, &[&format!("X-Forwarded-For: {address}")]);
        assert_eq!(status(&answer), 101);
        client
    };
    let guess = |address: &str| {
        let mut client = open(address, "/webshare");
        client.send(&text(r#"{"command":"key"}"#));
        client.any_text();
        client.send(&text(r#"{"command":"pair","body":{"target":"00000000"}}"#));
        client.any_text()
    };
    for _ in 0..2 {
        assert!(guess("192.0.2.1").contains("TARGET_NOT_FOUND"));
    }
    assert!(guess("192.0.2.1").contains("RATE_LIMITED"));
    assert!(guess("192.0.2.2").contains("TARGET_NOT_FOUND"), "another client has its own");
    let path = format!("/tcp/127.0.0.1:{port}");
    let mut first = open("192.0.2.1", &path);
    first.round_trip();
    let mut second = open("192.0.2.1", &path);
    assert!(second.expect_close(1013).contains("--max-bridges-per-address"));
    let mut other = open("192.0.2.2", &path);
    other.round_trip();
    let mut observer = server.metrics();
    assert_eq!(observer.value("jackfield_used{option=\"max-bridges-per-address\"}"), 1.0);
    drop((first, other));
    observer.wait_for("no bridge", |values| values["jackfield_used{option=\"max-bridges-per-address\"}"] == 0.0);
    assert_eq!(observer.value("jackfield_refused_total{option=\"max-bridges-per-address\"}"), 1.0);
}
