//! T1, T6: frame headers that took servers down, as the very first thing a client says, to every protocol; neighbours go
//! on, and a reason comes back.

use super::common::frame::{CLOSE, binary, continuation, frame, ping, text};
use super::common::server::TestServer;

/// Every way in.
const PATHS: [&str; 8] = [
    "/",
    "/webshare",
    "/pocket",
    "/ws2s",
    "/local/a",
    "/broadcast/a",
    "/tcp/127.0.0.1:1",
    "/socket.io/?EIO=4&transport=websocket",
];

#[test]
fn t01_t06_bad_frames_before_anything_else() {
    // A crowd of dials that fail would say so first on /tcp.
    let server = TestServer::with(|config| config.bridge_allow = Vec::new());
    let mut neighbour = server.client("/local/neighbour?echo=1");
    let frames: Vec<(&str, Vec<u8>, u16)> = vec![
        ("the top bit of the length", binary("").claiming(0x8000_0000_0000_0001).bytes(), 1002),
        ("all bits of the length", binary("").claiming(u64::MAX).bytes(), 1002),
        ("the largest length", binary("").claiming(u64::MAX >> 1).bytes(), 1009),
        ("a length above 32 bits", text("").claiming(1 << 32).bytes(), 1009),
        ("one byte too many", binary("").claiming(1024 * 1024 + 1).bytes(), 1009),
        ("a short length in 16 bits", binary([0; 5]).length16().bytes(), 1002),
        ("a short length in 64 bits", binary([0; 5]).length64().bytes(), 1002),
        ("a ping of 126 bytes", ping([0; 126]).bytes(), 1002),
        ("a ping of a gigabyte", ping("").claiming(1 << 30).bytes(), 1002),
        ("a ping in two", ping("").unfinished().bytes(), 1002),
        ("a close of one byte", frame(CLOSE, [3]).bytes(), 1002),
        ("a close of a reserved status", frame(CLOSE, [0x03, 0xED]).bytes(), 1002),
        ("no mask", text("a").unmasked().bytes(), 1002),
        ("compressed", text("a").reserved(4).bytes(), 1002),
        ("a reserved bit", text("a").reserved(1).bytes(), 1002),
        ("a reserved opcode", frame(3, "").bytes(), 1002),
        ("a reserved control frame", frame(0xF, "").bytes(), 1002),
        ("a continuation of nothing", continuation("a").bytes(), 1002),
    ];
    for path in PATHS {
        for (what, bytes, code) in &frames {
            let mut client = server.client(path);
            if !path.starts_with("/tcp/") {
                client.write(bytes);
            }
            // What the protocol says first is not what is looked for.
            let closed = loop {
                let frame = client.frame().unwrap_or_else(|trouble| panic!("{path}: {what}: {trouble:?}"));
                if frame.opcode == CLOSE {
                    break frame;
                }
            };
            let expected = if path.starts_with("/tcp/") { 1008 } else { *code };
            assert_eq!(closed.close_code(), Some(expected), "{path}: {what}: {}", closed.summary());
            assert!(!closed.close_reason().is_empty(), "{path}: {what}: the reason is missing");
        }
        neighbour.send(&text(path));
        neighbour.expect_text(path);
    }
}

/// T5: a reason that comes back is the one that was sent, and nothing from anybody's memory is in it.
#[test]
fn t05_what_a_close_brings_back_is_only_its_status() {
    let server = TestServer::start();
    for len in 0..=123 {
        let mut client = server.client("/local/a");
        let payload = [&1000_u16.to_be_bytes()[..], &vec![b'r'; len]].concat();
        client.send(&frame(CLOSE, &payload));
        let answer = client.expect_frame();
        assert_eq!((answer.opcode, &answer.payload[..]), (CLOSE, &1000_u16.to_be_bytes()[..]), "{len}");
        client.expect_end();
    }
}
