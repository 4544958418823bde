//! T10, T25: foreign pages and rebound names, on every route, on a listener of this machine and on one of every network.

use std::net::{Ipv4Addr, SocketAddr};

use jackfield::config::{Listen, Root};

use super::common::client::Client;
use super::common::http::SAMPLE_KEY;
use super::common::server::TestServer;

/// Every route: the request line's method and target, and whether it is an upgrade.
const ROUTES: [(&str, &str, bool); 16] = [
    ("GET", "/", true),
    ("GET", "/webshare", true),
    ("GET", "/pocket", true),
    ("GET", "/ws2s", true),
    ("GET", "/local/a", true),
    ("GET", "/broadcast/a", true),
    ("GET", "/tcp/127.0.0.1:1", true),
    ("GET", "/socket.io/?EIO=4&transport=websocket", true),
    ("GET", "/socket.io/?EIO=4&transport=polling", false),
    ("POST", "/socket.io/?EIO=3&transport=polling&sid=x", false),
    ("OPTIONS", "/socket.io/?EIO=4&transport=polling", false),
    ("GET", "/", false),
    ("GET", "/client/webshare.js", false),
    ("GET", "/console", false),
    ("GET", "/metrics", false),
    ("GET", "/api/clients", false),
];

/// The status and the text of the answer.
fn ask(port: SocketAddr, (method, target, is_upgrade): (&str, &str, bool), host: &str, origin: &str) -> (u16, String) {
    let origin = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
    let upgrade = if is_upgrade {
        format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {SAMPLE_KEY}\r\n"
        )
    } else {
        String::new()
    };
    let mut client = Client::connect(port);
    client.write(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{origin}{upgrade}\r\n").as_bytes());
    let response = client.response();
    (response.status, response.text())
}

/// Listeners: this machine's, and every network's; both reached from here.
fn server() -> (TestServer, [SocketAddr; 2]) {
    let server = TestServer::with(|config| {
        config.listen.push(Listen::new((Ipv4Addr::UNSPECIFIED, 0).into(), Root::Auto));
        config.allow_origin = vec!["https://listed.example:8443".to_owned()];
        config.allow_host = vec!["listed.example".to_owned()];
    });
    let open = SocketAddr::from((Ipv4Addr::LOCALHOST, server.addresses()[1].port()));
    let here = server.address();
    (server, [here, open])
}

#[test]
fn t25_names_that_are_not_ours_are_refused_on_every_route() {
    let (_server, listeners) = server();
    for port in listeners {
        for route in ROUTES {
            for host in [
                "evil.example",
                "localhost.evil.example",
                "127.0.0.1.evil.example",
                "127.0.0.1.nip.io",
                "listed.example.evil",
                "xlisted.example",
                "sub.listed.example",
                "xlocalhost",
                "localhost.localdomain",
                "2130706433",
                "0x7f.1",
                "127.1",
            ] {
                let with_port = format!("{host}:{}", port.port());
                for host in [host, &with_port] {
                    let (status, text) = ask(port, route, host, "");
                    assert!(status == 403 && text.contains("--allow-host"), "{route:?} {host}: {status} {text}");
                    // A page that was led here by that name is of the same origin.
                    let (status, text) = ask(port, route, host, &format!("http://{host}"));
                    assert!(status == 403 && text.contains("--allow-host"), "{route:?} {host}: {status} {text}");
                }
            }
            for host in [
                "localhost",
                "LOCALHOST.:1",
                "a.localhost",
                "listed.example:99",
                "Listed.Example.",
                "192.0.2.7",
                "[2001:db8::1]:5",
            ] {
                let (status, text) = ask(port, route, host, "");
                assert_ne!(status, 403, "{route:?} {host}: {text}");
            }
        }
    }
}

#[test]
fn t10_foreign_pages_are_refused_on_every_way_in() {
    let (_server, [here, open]) = server();
    let ways_in = ROUTES.iter().filter(|(_, target, is_upgrade)| *is_upgrade || target.starts_with("/socket.io"));
    for &route in ways_in {
        for port in [here, open] {
            let own = format!("localhost:{}", port.port());
            let foreign = [
                "null".to_owned(),
                "file://".to_owned(),
                "https://evil.example".to_owned(),
                format!("http://evil.example:{}", port.port()),
                format!("http://localhost:{}.evil.example", port.port()),
                format!("http://xlocalhost:{}", port.port()),
                format!("http://{own}@evil.example"),
                "https://listed.example".to_owned(),
                "http://listed.example:8443".to_owned(),
                "https://listed.example:8443.evil.example".to_owned(),
                "https://evil-listed.example:8443".to_owned(),
                "https://sub.listed.example:8443".to_owned(),
                "chrome-extension://abcdef".to_owned(),
                "https://evil.example, https://listed.example:8443".to_owned(),
            ];
            for origin in &foreign {
                let (status, text) = ask(port, route, &own, origin);
                assert_eq!(status, 403, "{route:?} {origin}: {text}");
                let malformed =
                    origin.contains([',', '@']) || origin.matches(':').count() > 1 && origin.contains(".evil");
                assert!(malformed || text.contains("--allow-origin"), "{route:?} {origin}: {text}");
            }
            for origin in ["https://listed.example:8443", "HTTPS://LISTED.example:8443", &format!("http://{own}"), ""] {
                let (status, text) = ask(port, route, &own, origin);
                assert_ne!(status, 403, "{route:?} {origin}: {text}");
            }
        }
        // Pages of this machine, whatever their port, are at home on a listener of this machine only.
        let origin = "http://localhost:3000";
        assert_ne!(ask(here, route, &here.to_string(), origin).0, 403, "{route:?}");
        assert_eq!(ask(open, route, &open.to_string(), origin).0, 403, "{route:?}");
    }
}

#[test]
fn t10_a_foreign_page_is_no_operator() {
    let (_server, listeners) = server();
    for port in listeners {
        let own = format!("localhost:{}", port.port());
        for origin in ["https://evil.example", "http://localhost:3000", "null"] {
            let (status, _) = ask(port, ("GET", "/metrics", false), &own, origin);
            assert!(status == 404 || status == 403, "{origin}: {status}");
        }
        assert_eq!(ask(port, ("GET", "/metrics", false), &own, &format!("http://{own}")).0, 200, "the console");
        assert_eq!(
            ask(port, ("GET", "/metrics", false), "192.0.2.7", "").0,
            404,
            "by an address that is not this machine"
        );
    }
}
