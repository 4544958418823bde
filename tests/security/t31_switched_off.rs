//! T31: every subset of switched-off protocols × every path × every first message: refused, never a handler, no crash.

use jackfield::config::{Config, Root, Switch};

use super::common::client::Client;
use super::common::frame::{CLOSE, Frame, TEXT, binary, text};
use super::common::http::upgrade_request;
use super::common::server::{TestServer, free_port};

/// Every path that is a protocol's, and whose.
const PATHS: [(&str, Switch); 12] = [
    ("/webshare", Switch::Webshare),
    ("/webshare?binary=1&resume=x", Switch::Webshare),
    ("/pocket", Switch::Pocket),
    ("/pocket?room=a&echo=1", Switch::Pocket),
    ("/ws2s", Switch::Ws2s),
    ("/ws2s?v=2", Switch::Ws2s),
    ("/local/a", Switch::Named),
    ("/broadcast/a?presence=1", Switch::Named),
    ("/tcp/127.0.0.1:1", Switch::Tcp),
    ("/tcp/name", Switch::Tcp),
    ("/socket.io/?EIO=4&transport=websocket", Switch::P2p),
    ("/network/a", Switch::Network),
];

/// What a client may say first at `/`, and whose client that makes it.
fn first_messages() -> Vec<(Frame, Switch)> {
    let mut all: Vec<(Frame, Switch)> = [
        (r#"{"command":"key"}"#, Switch::Webshare),
        (r#"{"command":"relay","body":1}"#, Switch::Webshare),
        (r#"{"command":null}"#, Switch::Webshare),
        (r#"{"command":"connect","host":"127.0.0.1","port":1}"#, Switch::Ws2s),
        (r#"{"command":"ping"}"#, Switch::Ws2s),
        (r#"{"command":"x","data":""}"#, Switch::Ws2s),
        (r#"{"id":"0.1","message":"socket.open","data":{}}"#, Switch::Pocket),
        ("2probe", Switch::Pocket),
        ("hello", Switch::Pocket),
        ("", Switch::Pocket),
    ]
    .map(|(message, switch)| (text(message), switch))
    .into();
    all.push((binary([0xFF]), Switch::Pocket));
    all
}

/// All subsets of the protocols.
fn subsets() -> impl Iterator<Item = Vec<Switch>> {
    let all = Switch::ALL;
    (0..1_usize << all.len()).map(move |bits| {
        all.into_iter().enumerate().filter(|(place, _)| bits & 1 << place != 0).map(|(_, switch)| switch).collect()
    })
}

/// Every listener with a root of its own.
fn server(without: &[Switch]) -> TestServer {
    TestServer::with(|config: &mut Config| {
        config.without = without.to_vec();
        config.listen = ROOTS.map(|(root, _)| free_port(root)).to_vec();
    })
}

/// Roots, with whose they are; `Auto`'s is decided later.
const ROOTS: [(Root, Option<Switch>); 5] = [
    (Root::Auto, None),
    (Root::Webshare, Some(Switch::Webshare)),
    (Root::Pocket, Some(Switch::Pocket)),
    (Root::Ws2s, Some(Switch::Ws2s)),
    (Root::Named, None),
];

#[test]
fn t31_paths() {
    for without in subsets() {
        let server = server(&without);
        for (path, switch) in PATHS {
            let is_off = without.contains(&switch);
            let address = server.address();
            let option = format!("--without {}", switch.name());
            let mut client = Client::connect(address);
            client.write(upgrade_request(address, path).as_bytes());
            let answer = client.response();
            if is_off {
                assert_eq!(answer.status, 404, "{path} without {without:?}: {answer:?}");
                assert!(answer.text().contains(&option), "{path} without {without:?}: {answer:?}");
            } else if path != "/tcp/name" {
                assert_eq!(answer.status, 101, "{path} without {without:?}: {answer:?}");
            }
            // As a plain request it is no way in either.
            for method in ["GET", "OPTIONS"] {
                let mut client = Client::connect(address);
                client.write(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
                let answer = client.response();
                assert!(
                    !is_off || answer.status == 404 && answer.text().contains(&option),
                    "{method} {path}: {answer:?}"
                );
            }
        }
        if without.contains(&Switch::P2p) {
            for query in
                ["EIO=4&transport=polling", "EIO=3&transport=polling", "EIO=4&transport=polling&sid=x", "", "j=0"]
            {
                let mut client = Client::connect(server.address());
                let head =
                    format!("POST /socket.io/?{query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n2");
                client.write(head.as_bytes());
                assert_eq!(client.response().status, 404, "{query}");
            }
        }
    }
}

/// Where `/NAME` is a network channel, it is switched off with the others.
#[test]
fn t31_names_at_a_network_root() {
    for without in subsets() {
        let is_off = without.contains(&Switch::Network);
        let server = TestServer::with(|config: &mut Config| {
            config.without = without.clone();
            config.listen = vec![free_port(Root::Network)];
        });
        let mut client = Client::connect(server.address());
        client.write(upgrade_request(server.address(), "/name").as_bytes());
        let answer = client.response();
        assert_eq!(answer.status, if is_off { 404 } else { 101 }, "without {without:?}: {answer:?}");
        assert!(!is_off || answer.text().contains("--without network"), "without {without:?}: {answer:?}");
    }
}

#[test]
fn t31_roots_and_first_messages() {
    for without in subsets().filter(|without| without.len() <= 3 || without.len() == Switch::ALL.len()) {
        let server = server(&without);
        for (place, (root, owner)) in ROOTS.into_iter().enumerate() {
            let address = server.addresses()[place];
            let shared = [Switch::Webshare, Switch::Pocket, Switch::Ws2s];
            let is_off = match root {
                Root::Named => true,
                Root::Auto => shared.iter().all(|switch| without.contains(switch)),
                _ => owner.is_some_and(|owner| without.contains(&owner)),
            };
            for (message, chosen) in first_messages() {
                let mut client = Client::connect(address);
                client.write(upgrade_request(address, "/").as_bytes());
                let answer = client.response();
                assert_eq!(answer.status, if is_off { 404 } else { 101 }, "{root:?} without {without:?}: {answer:?}");
                if is_off {
                    assert!(root == Root::Named || answer.text().contains("--without"), "{answer:?}");
                    continue;
                }
                client.send(&message);
                if root == Root::Auto && without.contains(&chosen) {
                    let reason = client.expect_close(1008);
                    assert!(reason.contains(&format!("--without {}", chosen.name())), "{reason}");
                    client.expect_end();
                } else {
                    // Its own protocol answers, whatever it thinks of the message.
                    let frame = client.expect_frame();
                    assert!(matches!(frame.opcode, TEXT | CLOSE), "{}", frame.summary());
                }
            }
        }
    }
}
