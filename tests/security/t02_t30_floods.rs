//! T2, T30: what streams in before anybody has said who they are leaves memory flat, however much it is, and compression
//! is not negotiated, so there is nothing to inflate.

use std::io::{ErrorKind, Write};

use super::common::DEADLINE;
use super::common::client::Client;
use super::common::frame::{CLOSE, binary, continuation, text};
use super::common::http::upgrade_request;
use super::common::process::Process;
use super::common::server::{Metrics, TestServer};
use super::is_long;

/// Writes at least `bytes` in pieces, unless the server lets go before: what was taken.
fn pour(client: &Client, piece: &[u8], bytes: usize) -> usize {
    let mut written = 0;
    while written < bytes {
        match client.stream().write(piece) {
            Ok(count) => written += count,
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => break,
            Err(error) => panic!("{error}"),
        }
    }
    written
}

#[test]
fn t02_t30_a_gigabyte_leaves_memory_flat() {
    let bytes = if is_long() { 1 << 30 } else { 48 << 20 };
    let server = Process::start(&["--close-timeout", "500ms"]);
    let mut neighbour = server.client("/local/neighbour");
    neighbour.round_trip();
    let before = server.memory().resident;
    let mut most = 0;
    let mut look = |neighbour: &mut Client| {
        neighbour.round_trip();
        most = most.max(server.memory().resident);
    };
    // As a head: refused after 8 KiB of it.
    let head = Client::connect(server.address());
    pour(&head, &[b'x'; 64 * 1024], bytes);
    look(&mut neighbour);
    // As one message without end, in fragments: refused at --max-message, or at --max-fragments.
    for size in [1, 1000, 60_000] {
        let client = server.client("/");
        let mut first = text("x").unfinished().bytes();
        first.extend(continuation(vec![b'x'; size]).unfinished().bytes().repeat(100));
        let piece = continuation(vec![b'x'; size]).unfinished().bytes().repeat(65_536 / size + 1);
        let _ = client.stream().write_all(&first);
        pour(&client, &piece, bytes);
        look(&mut neighbour);
    }
    // As whole messages that nobody hears: all of it is taken, none of it is kept.
    let client = server.client("/local/alone");
    let piece = binary(vec![1; 256 * 1024]).bytes();
    assert!(pour(&client, &piece, bytes) >= bytes);
    look(&mut neighbour);
    // Whatever came after the refusal was read and thrown away, for as long as a closing handshake may take.
    let values = Metrics::of(server.address()).read();
    for option in ["max-head", "max-fragments", "max-message"] {
        assert!(values[&format!("jackfield_refused_total{{option=\"{option}\"}}")] >= 1.0, "{option}: {values:?}");
    }
    let grown = most.saturating_sub(before);
    assert!(grown < 6 * 1024, "{grown} KiB more after {bytes} bytes, six times");
}

/// What follows a refusal is read, so that the refusal arrives, and thrown away.
#[test]
fn t30_what_follows_a_refusal_is_not_kept() {
    let server = TestServer::with(|config| config.limits.close_timeout = 3 * DEADLINE);
    let mut metrics = server.metrics();
    let mut crowd: Vec<_> = (0..10)
        .map(|_| {
            let mut client = server.client("/local/a");
            client.send(&text("a").unmasked());
            client.expect_close(1002);
            client
        })
        .collect();
    let before = metrics.value("jackfield_received_bytes_total");
    crowd.iter_mut().for_each(|client| client.write(&[0; 100_000]));
    metrics.wait_for("all to be read", |values| values["jackfield_received_bytes_total"] >= before + 1_000_000.0);
    assert_eq!(metrics.value("jackfield_memory_bytes"), 0.0);
}

#[test]
fn t02_compression_is_never_agreed_on() {
    let server = Process::start(&[]);
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=999, x-webkit-deflate-frame",
    ] {
        let mut client = Client::connect(server.address());
        let request = upgrade_request(server.address(), "/local/a");
        let request =
            request.replace("Upgrade: websocket", &format!("Sec-WebSocket-Extensions: {offer}\r\nUpgrade: websocket"));
        client.write(request.as_bytes());
        let response = client.response();
        assert_eq!((response.status, response.header("sec-websocket-extensions")), (101, None), "{offer}");
        // A thousand bytes of zeros in a dozen: nothing of it is inflated.
        client.send(&binary([0x62, 0x60, 0x18, 0x05, 0xA3, 0x60, 0x14, 0, 0]).reserved(4));
        let frame = client.expect_frame();
        assert_eq!((frame.opcode, frame.close_code()), (CLOSE, Some(1002)), "{}", frame.summary());
    }
}
