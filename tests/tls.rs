//! TLS as clients see it: every protocol, every end, every fault, and what a flood of them costs.
#![cfg(feature = "tls")]

mod common;

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::client::Client;
use common::server::TestServer;
use common::target::echo;
use common::tls::{Identity, Socket, connect, dial, get, over};
use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection, Error, SupportedProtocolVersion};
use tungstenite::Message;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

/// A server with a plain listener and one for TLS, where that is, and its certificate.
fn start() -> (TestServer, SocketAddr, Identity) {
    start_with(|_| {})
}

fn start_with(adjust: impl FnOnce(&mut jackfield::config::Config)) -> (TestServer, SocketAddr, Identity) {
    let identity = Identity::new("test");
    let server = TestServer::with(|config| {
        identity.listen(config);
        adjust(config);
    });
    let address = server.addresses()[1];
    (server, address, identity)
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|place| (place * 31 + place / 251 + seed) as u8).collect()
}

#[test]
fn every_protocol() {
    let port = echo();
    let (_server, address, identity) = start_with(|config| config.bridge_allow = vec![format!("127.0.0.1:{port}")]);

    let (mut one, mut other) = (identity.socket(address, "/webshare"), identity.socket(address, "/webshare"));
    one.send(r#"{"command":"key"}"#);
    other.send(r#"{"command":"key"}"#);
    let reply: serde_json::Value = serde_json::from_str(&other.text()).expect("JSON");
    one.send(format!(r#"{{"command":"pair","body":{{"target":{}}}}}"#, reply["body"]["key"]));
    one.send(r#"{"command":"relay","body":{"hello":"world"}}"#);
    while !other.text().contains(r#"{"hello":"world"}"#) {}

    let (mut one, mut other) = (identity.socket(address, "/pocket"), identity.socket(address, "/pocket"));
    one.text();
    other.send(r#"{"chan":"a","ev":"b","data":"said"}"#);
    while !one.text().contains("said") {}

    let (mut one, mut other) = (identity.socket(address, "/local/x"), identity.socket(address, "/local/x"));
    one.round_trip();
    other.send("text as it is");
    assert_eq!(one.text(), "text as it is");

    let mut one = identity.socket(address, "/ws2s");
    one.send(format!(r#"{{"command":"connect","host":"127.0.0.1","port":{port}}}"#));
    assert!(one.text().contains("connect done"));
    one.send(r#"{"command":"send","data":"to the target"}"#);
    while !one.text().contains("to the target") {}

    let mut one = identity.socket(address, &format!("/tcp/127.0.0.1:{port}"));
    one.send(bytes(100_000, 1));
    let mut received = Vec::new();
    while received.len() < 100_000 {
        received.extend_from_slice(&one.next().into_data());
    }
    assert!(received == bytes(100_000, 1));

    let mut one = identity.socket(address, "/socket.io/?EIO=4&transport=websocket");
    assert!(one.text().starts_with("0{"));
    let handshake = get(&mut identity.connect(address), "/socket.io/?EIO=4&transport=polling");
    assert!(handshake.starts_with("HTTP/1.1 200 ") && handshake.contains("\"sid\""), "{handshake}");
    assert!(get(&mut identity.connect(address), "/console").contains("<html"));
    assert!(get(&mut identity.connect(address), "/metrics").contains("\njackfield_tls_handshakes_total "));
}

#[test]
fn messages_of_every_size_around_a_records_and_a_chunks_end() {
    let (server, address, identity) = start_with(|config| config.limits.max_message = 8 << 20);
    for version in VERSIONS {
        let socket = || {
            let stream = connect(identity.client_of(&[version]), address, "localhost").expect("a handshake");
            Socket::over(stream, "/local/sizes")
        };
        let (mut one, mut other) = (socket(), socket());
        // A plain client on the same channel gets the same bytes.
        let mut plain = server.client("/local/sizes");
        one.round_trip();
        let edges = [1 << 14, 1 << 16, 1 << 18].into_iter().flat_map(|edge: usize| edge - 30..edge + 4);
        for len in [0, 1, 125, 126].into_iter().chain(edges.step_by(3)).chain([1 << 20, 5 << 20]) {
            let payload = bytes(len, len);
            other.send(payload.clone());
            one.expect_binary(&payload);
            plain.expect_binary(&payload);
        }
        // Many small ones, which come in few records.
        for number in 0..2_000usize {
            other.0.write(Message::binary(bytes(number % 300, number))).expect("taken");
        }
        other.0.flush().expect("taken");
        for number in 0..2_000usize {
            one.expect_binary(&bytes(number % 300, number));
        }
    }
}

#[test]
fn a_slow_reader_pauses_its_partner_and_nothing_is_lost() {
    const COUNT: usize = 300;
    const LEN: usize = 100_000;
    const HIGH: usize = 64 * 1024;
    let (server, address, identity) = start_with(|config| config.limits.queue_high = HIGH);
    let mut reader = identity.socket(address, "/local/slow");
    let mut sender = identity.socket(address, "/local/slow");
    reader.round_trip();
    let written = Arc::new(AtomicUsize::new(0));
    let sending = thread::spawn({
        let written = Arc::clone(&written);
        move || {
            for number in 0..COUNT {
                sender.send(bytes(LEN, number));
                written.fetch_add(1, Ordering::Relaxed);
            }
            sender
        }
    });
    // The mark, one more read's worth, and what was encrypted and not taken.
    server.metrics().wait_until_paused(&written, HIGH, HIGH + 2 * 256 * 1024 + LEN);
    assert!(!sending.is_finished());
    for number in 0..COUNT {
        reader.expect_binary(&bytes(LEN, number));
    }
    let mut sender = sending.join().expect("everything was taken");
    sender.round_trip();
    drop((sender, reader));
    server.expect_all_given_back();
}

#[test]
fn both_ends_are_announced() {
    let (server, address, identity) = start();
    // A request and the client's end in one: the answer comes, and the server's end.
    let mut stream = identity.connect(address);
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.conn.writer().write_all(request.as_bytes()).expect("in memory");
    stream.conn.send_close_notify();
    stream.flush().expect("taken");
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap_or_else(|error| panic!("cut short: {error}"));
    assert!(response.contains("</html>"));

    // A closing handshake.
    let mut socket = identity.socket(address, "/local/x");
    socket.0.close(None).expect("taken");
    while socket.0.read().is_ok() {}
    let stream = socket.0.get_mut();
    assert_eq!(stream.read(&mut [0; 64]).expect("announced, not cut"), 0);

    // Cut without any end.
    let mut socket = identity.socket(address, "/local/x");
    socket.round_trip();
    socket.0.get_ref().sock.shutdown(Shutdown::Both).expect("a live socket");
    server.expect_all_given_back();

    // The server goes.
    let mut socket = identity.socket(address, "/local/x");
    socket.round_trip();
    server.stop();
    match socket.0.read().expect("a goodbye") {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1012),
        message => panic!("instead of a goodbye: {message}"),
    }
    while socket.0.read().is_ok() {}
    server.join().expect("it ends");
}

#[test]
fn names_and_application_protocols() {
    let (_server, address, identity) = start();
    // A name that is none of ours is the client's business; an address is sent as no name at all.
    for host in ["localhost", "127.0.0.1"] {
        let stream = connect(identity.client(), address, host).expect("a handshake");
        assert_eq!(stream.conn.alpn_protocol(), None);
    }
    let with = |protocols: &[&str]| {
        let mut config = identity.client();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        connect(config, address, "localhost")
    };
    let stream = with(&["h2", "http/1.1"]).expect("one is ours");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_alert(with(&["h2"]), AlertDescription::NoApplicationProtocol);
}

#[track_caller]
fn assert_alert<T>(result: std::io::Result<T>, alert: AlertDescription) {
    let error = result.err().expect("refused");
    let found = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    assert_eq!(found, Some(&Error::AlertReceived(alert)), "{error}");
}

/// What a client that speaks the version `minor` of TLS 1.x at most says first.
fn old_hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    // No session, ECDHE-ECDSA with AES-128-CBC, no compression, no extensions.
    body.extend([0, 0, 2, 0xc0, 0x09, 1, 0]);
    let mut hello = vec![1, 0, 0, body.len() as u8];
    hello.extend(body);
    let mut record = vec![22, 3, 1, 0, hello.len() as u8];
    record.extend(hello);
    record
}

/// Everything that comes until the end.
fn to_end(mut stream: impl Read) -> Vec<u8> {
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => received,
    }
}

#[test]
fn what_is_not_tls_or_too_old_is_told_so() {
    let (server, address, _identity) = start();
    for bytes in [old_hello(2), old_hello(1), b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut stream = dial(address);
        stream.write_all(&bytes).expect("taken");
        let answer = to_end(stream);
        // A fatal alert and nothing else: which one depends on what rustls looks at first.
        assert!(matches!(answer[..], [21, 3, _, 0, 2, 2, _]), "{answer:02x?}");
    }
    assert_eq!(server.metrics().value("jackfield_tls_failures_total"), 3.0);
    // And TLS where it is not spoken.
    let mut client = Client::connect(server.address());
    client.write(&old_hello(3));
    assert_eq!(client.response().status, 400);
}

#[test]
fn a_handshake_in_records_of_one_byte_and_segments_of_one_byte() {
    let (_server, address, identity) = start();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(identity.client()), name).expect("a configuration");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("in memory");
    let mut tcp = dial(address);
    for byte in &hello[5..] {
        for byte in [22, 3, 1, 0, 1, *byte] {
            tcp.write_all(&[byte]).expect("taken");
        }
    }
    let mut socket = Socket::over(over(client, tcp).expect("a handshake"), "/local/x?echo=1");
    socket.send("there");
    assert_eq!(socket.text(), "there");
}

#[test]
fn t30_an_endless_handshake_ends_and_costs_nothing() {
    let (server, address, _identity) = start();
    for record in [&[22, 3, 1, 0x40, 0][..], &[23, 3, 3, 0x40, 0], &[22, 3, 1, 0, 1], &[20, 3, 3, 0, 1]] {
        let mut stream = dial(address);
        let mut bytes = record.to_vec();
        // A hello that claims 65,535 bytes, as far as there is room for it.
        let body = usize::from(u16::from_be_bytes([record[3], record[4]]));
        bytes.extend([1, 0, 0xff, 0xff].iter().chain(&[0; 1 << 14]).take(body));
        let mut sent = 0;
        while sent < 64 << 20 {
            match stream.write(&bytes) {
                Ok(written) => sent += written,
                Err(_) => break,
            }
        }
        assert!(sent < 64 << 20, "{record:02x?}: the server took all of it");
        server.metrics().wait_for("the connection's end", |values| values["jackfield_connections"] == 1.0);
    }
    assert_eq!(server.metrics().value("jackfield_tls_failures_total"), 4.0);
}

#[test]
fn t8_a_slow_handshake_ends_at_its_deadline() {
    let (server, address, identity) = start_with(|config| {
        config.limits.handshake_timeout = std::time::Duration::from_millis(400);
    });
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(identity.client()), name).expect("a configuration");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("in memory");
    // Nothing, half a hello, a hello and no more, a handshake and no request.
    let mut streams: Vec<_> = (0..3).map(|_| dial(address)).collect();
    streams[1].write_all(&hello[..hello.len() / 2]).expect("taken");
    streams[2].write_all(&hello).expect("taken");
    let whole = identity.connect(address);
    for stream in streams {
        to_end(stream);
    }
    to_end(whole.sock);
    server.expect_all_given_back();
}

#[test]
fn a_session_is_resumed_without_a_certificate() {
    let (_server, address, identity) = start();
    let config = Arc::new(identity.client());
    let kinds: Vec<_> = (0..2)
        .map(|_| {
            let name = ServerName::try_from("localhost").expect("a name");
            let client = ClientConnection::new(Arc::clone(&config), name).expect("a configuration");
            let mut stream = over(client, dial(address)).expect("a handshake");
            get(&mut stream, "/");
            stream.conn.handshake_kind().expect("done")
        })
        .collect();
    assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
}

#[test]
fn many_at_once_are_all_served() {
    let (server, address, identity) = start();
    let config = Arc::new(identity.client());
    // All hellos are there before anybody waits for an answer: more than a turn takes on.
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let name = ServerName::try_from("localhost").expect("a name");
            let mut client = ClientConnection::new(Arc::clone(&config), name).expect("a configuration");
            let mut tcp = dial(address);
            client.write_tls(&mut tcp).expect("taken");
            (client, tcp)
        })
        .collect();
    let mut sockets: Vec<_> = clients
        .into_iter()
        .map(|(client, tcp)| Socket::over(over(client, tcp).expect("a handshake"), "/local/x?echo=1"))
        .collect();
    for socket in &mut sockets {
        socket.round_trip();
    }
    let values = server.metrics().read();
    assert_eq!(values["jackfield_tls_handshakes_total"], 100.0);
    assert!(values["jackfield_memory_bytes"] >= 400_000.0, "what rustls keeps is on nobody's account: {values:?}");
}

/// T40: handshakes that are almost right, through the real loop, beside somebody who must not notice.
#[test]
fn t40_broken_handshakes_disturb_nobody() {
    let (server, address, identity) = start();
    let neighbour = RefCell::new(identity.socket(address, "/local/x?echo=1"));
    let config = Arc::new(identity.client());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..8);
    let result = runner.run(&(changes, any::<bool>(), 0..3usize), |(changes, is_second, pieces)| {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(Arc::clone(&config), name).expect("a configuration");
        let mut tcp = dial(address);
        let mut flight = Vec::new();
        client.write_tls(&mut flight).expect("in memory");
        if is_second {
            // The hello is good, what follows is not.
            tcp.write_all(&flight).expect("taken");
            while client.is_handshaking() {
                client.read_tls(&mut tcp).expect("an answer");
                client.process_new_packets().expect("a good answer");
            }
            flight.clear();
            client.writer().write_all(b"GET / HTTP/1.1\r\n\r\n").expect("in memory");
            while client.wants_write() {
                client.write_tls(&mut flight).expect("in memory");
            }
        }
        for (place, byte, how) in changes {
            let at = place.index(flight.len().max(1)).min(flight.len());
            match how {
                0 => flight.truncate(at),
                1 => flight.insert(at, byte),
                2 => drop(flight.splice(at..at, flight.clone().into_iter().take(600))),
                _ => flight.iter_mut().skip(at).take(1).for_each(|there| *there ^= byte),
            }
        }
        for piece in flight.chunks(flight.len() / (pieces + 1) + 1) {
            if tcp.write_all(piece).is_err() {
                break;
            }
        }
        tcp.shutdown(Shutdown::Write).ok();
        to_end(tcp);
        let mut neighbour = neighbour.borrow_mut();
        neighbour.send("still here");
        prop_assert_eq!(neighbour.text(), "still here");
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    drop(neighbour);
    server.expect_all_given_back();
}
