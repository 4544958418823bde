//! T36: half messages held for long cost what they are, and numbers at the edges of their types overflow nothing.

use std::time::Duration;

use super::common::client::Client;
use super::common::http::upgrade_request;
use super::common::process::Process;
use super::common::server::TestServer;
use super::is_long;

const NUMBERS: [&str; 12] = [
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-1",
    "-0",
    "0",
    "1e309",
    "NaN",
    "99999999999999999999999999999999999999999",
    "%00",
];

#[test]
fn t36_numbers_in_queries() {
    let server = TestServer::start();
    for number in NUMBERS {
        for path in [
            "/metrics?limit=",
            "/?v=",
            "/client/webshare.js?v=",
            "/api/clients?limit=",
            "/api/clients?offset=",
            "/socket.io/?EIO=",
        ] {
            let mut client = Client::connect(server.address());
            client.write(format!("GET {path}{number} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
            let status = client.response().status;
            assert!((200..500).contains(&status), "{path}{number}: {status}");
        }
        for path in [
            "/ws2s?v=",
            "/pocket?echo=",
            "/local/a?presence=",
            "/webshare?binary=",
            "/socket.io/?transport=websocket&EIO=",
        ] {
            let mut client = Client::connect(server.address());
            client.write(upgrade_request(server.address(), &format!("{path}{number}")).as_bytes());
            let status = client.response().status;
            assert!(matches!(status, 101 | 400), "{path}{number}: {status}");
        }
        let mut client = Client::connect(server.address());
        client.write(format!("POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\nContent-Length: {number}\r\n\r\n").as_bytes());
        let status = client.response().status;
        assert!(matches!(status, 200 | 400 | 413), "Content-Length: {number}: {status}");
    }
    server.metrics().wait_for("all to be gone", |values| values["jackfield_connections"] <= 1.0);
}

#[test]
fn t36_half_requests_end_in_time() {
    let hold = Duration::from_secs(if is_long() { 60 } else { 2 });
    // The silence is longer than the default interval of pings.
    let server = Process::start(&["--handshake-timeout", "1s", "--ping-interval", "5m"]);
    let mut neighbour = server.client("/local/neighbour");
    neighbour.round_trip();
    let before = server.memory().resident;
    let mut crowd: Vec<_> = (0..200)
        .map(|_| {
            let mut client = Client::connect(server.address());
            client.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: ");
            client
        })
        .collect();
    let start = std::time::Instant::now();
    for client in &mut crowd {
        assert_eq!(client.response().status, 408);
        client.expect_end();
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // Half frames stay, and cost nothing.
    let halves: Vec<_> = (0..200)
        .map(|_| {
            let mut client = server.client("/local/half");
            client.write(&[0x82]);
            client
        })
        .collect();
    neighbour.expect_silence(hold);
    neighbour.round_trip();
    let grown = server.memory().resident.saturating_sub(before);
    assert!(grown < 1024, "{grown} KiB more");
    drop(halves);
}
