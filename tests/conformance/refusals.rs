//! §5.1, §5.2, §5.5: frames that no client may send. Each ends the connection with 1002, after what came before it was
//! answered.

use crate::case::{Case, case, pong_back, text_back};
use crate::common::frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT, continuation, frame, ping, text};

use crate::case::Expect::Close;

/// Why cases with a bad length are not for the oracle.
const LENGTHS: &str = "tungstenite accepts lengths in any form, and calls the 64th bit a limit (1009)";

/// Why frames that end with their header are not for the oracle.
const EARLY: &str = "tungstenite looks at a frame when it is complete";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(reserved_bits());
    cases.extend(reserved_opcodes());
    cases.extend(unmasked());
    cases.extend(control_frames());
    cases.extend(lengths());
    cases
}

/// A case in which a good message and a good ping come first, and something that must be ignored behind.
fn after_good(name: impl std::fmt::Display, bad: &Frame) -> Case {
    case(
        format!("{name}, after good frames"),
        &[text("good"), ping("good"), bad.clone(), text("ignored"), ping("ignored")],
        [text_back("good"), pong_back("good"), Close(1002)],
    )
}

fn reserved_bits() -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in 1..=7 {
        for (kind, opcode) in [("text", TEXT), ("binary", BINARY), ("ping", PING), ("pong", PONG), ("close", CLOSE)] {
            let payload: &[u8] = if opcode == CLOSE { &[3, 0xE8] } else { b"abc" };
            let bad = frame(opcode, payload).reserved(bits);
            cases.push(case(
                format!("{kind} with reserved bits {bits:03b}"),
                std::slice::from_ref(&bad),
                [Close(1002)],
            ));
            if opcode == TEXT || opcode == PING {
                cases.push(after_good(format!("{kind} with reserved bits {bits:03b}"), &bad));
            }
        }
        let frames = [text("one").unfinished(), continuation("two").reserved(bits)];
        cases.push(case(format!("continuation with reserved bits {bits:03b}"), &frames, [Close(1002)]));
    }
    let frames = [text("one").unfinished(), ping("x").reserved(4), continuation("two")];
    cases.push(case("a ping with a reserved bit inside a message", &frames, [Close(1002)]));
    cases.push(
        case("text with reserved bits, one byte at a time", &[text("abc").reserved(4)], [Close(1002)]).chopped(1),
    );
    let compressed = frame(TEXT, [0xCA, 0x48, 0x04, 0x00]).reserved(4);
    cases.push(case("a compressed message without the extension", &[compressed], [Close(1002)]));
    cases.push(
        case("reserved bits before the payload arrives", &[text("").reserved(4).claiming(100)], [Close(1002)])
            .differs(EARLY),
    );
    cases
}

fn reserved_opcodes() -> Vec<Case> {
    let mut cases = Vec::new();
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for (how, payload) in [("without payload", ""), ("with payload", "reserved")] {
            let bad = frame(opcode, payload);
            cases.push(case(format!("opcode {opcode} {how}"), std::slice::from_ref(&bad), [Close(1002)]));
            cases.push(after_good(format!("opcode {opcode} {how}"), &bad));
        }
        let bad = [frame(opcode, "reserved").unfinished()];
        cases.push(case(format!("opcode {opcode}, not final"), &bad, [Close(1002)]));
        let bad = [text("one").unfinished(), frame(opcode, "")];
        cases.push(case(format!("opcode {opcode} inside a message"), &bad, [Close(1002)]));
    }
    cases
}

fn unmasked() -> Vec<Case> {
    let kinds =
        [("text", TEXT, &b"abc"[..]), ("binary", BINARY, b"abc"), ("empty text", TEXT, b""), ("ping", PING, b"abc")];
    let more = [("pong", PONG, &b""[..]), ("close", CLOSE, b"\x03\xE8"), ("empty close", CLOSE, b"")];
    let mut cases = Vec::new();
    for (kind, opcode, payload) in kinds.into_iter().chain(more) {
        let bad = frame(opcode, payload).unmasked();
        cases.push(case(format!("unmasked {kind}"), std::slice::from_ref(&bad), [Close(1002)]));
        cases.push(after_good(format!("unmasked {kind}"), &bad));
    }
    let bad = [text("one").unfinished(), frame(CONTINUATION, "two").unmasked()];
    cases.push(case("unmasked continuation", &bad, [Close(1002)]));
    cases.push(case("unmasked text of 70,000 bytes", &[text("a".repeat(70_000)).unmasked()], [Close(1002)]));
    cases
}

fn control_frames() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, opcode) in [("ping", PING), ("pong", PONG), ("close", CLOSE)] {
        // A close payload that would be good but for its length.
        let mut payload = vec![3, 0xE8];
        payload.resize(126, b'a');
        let bad = frame(opcode, &payload);
        cases.push(case(format!("{kind} of 126 bytes"), std::slice::from_ref(&bad), [Close(1002)]));
        cases.push(after_good(format!("{kind} of 126 bytes"), &bad));
        cases.push(
            case(format!("{kind} of 126 bytes, one byte at a time"), std::slice::from_ref(&bad), [Close(1002)])
                .chopped(1),
        );
        let bad = [frame(opcode, vec![b'a'; 70_000])];
        cases.push(case(format!("{kind} of 70,000 bytes"), &bad, [Close(1002)]));
        let bad = [frame(opcode, "").claiming(126)];
        cases
            .push(case(format!("{kind} of 126 bytes, refused before they arrive"), &bad, [Close(1002)]).differs(EARLY));
        let bad = frame(opcode, &payload[..4]).unfinished();
        cases.push(case(format!("{kind} that is not final"), std::slice::from_ref(&bad), [Close(1002)]));
        cases.push(after_good(format!("{kind} that is not final"), &bad));
        let bad = [frame(opcode, "").length16()];
        cases.push(case(format!("{kind} with a 16-bit length"), &bad, [Close(1002)]).differs(LENGTHS));
        let bad = [frame(opcode, "").length64()];
        cases.push(case(format!("{kind} with a 64-bit length"), &bad, [Close(1002)]).differs(LENGTHS));
    }
    let frames = [ping("a").unfinished(), continuation("b")];
    cases.push(case("a fragmented ping", &frames, [Close(1002)]));
    let frames = [text("one").unfinished(), ping("a").unfinished(), continuation("b")];
    cases.push(case("a fragmented ping inside a message", &frames, [Close(1002)]));
    cases
}

/// "the minimal number of bytes MUST be used to encode the length" and "the most significant bit MUST be 0" (§5.2).
fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, opcode) in [("text", TEXT), ("binary", BINARY)] {
        for size in [0, 1, 125] {
            let bad = frame(opcode, "a".repeat(size)).length16();
            cases.push(case(format!("{kind} of {size} bytes with a 16-bit length"), &[bad], [Close(1002)]));
        }
        for size in [0, 1, 125, 126, 65_535] {
            let bad = frame(opcode, "a".repeat(size)).length64();
            cases.push(case(format!("{kind} of {size} bytes with a 64-bit length"), &[bad], [Close(1002)]));
        }
        // T1: the length that took a server down.
        for claimed in [1 << 63, (1 << 63) + 1, u64::MAX, u64::MAX - 13] {
            let bad = frame(opcode, "").claiming(claimed);
            cases.push(case(format!("{kind} that claims {claimed:#x} bytes"), &[bad], [Close(1002)]));
        }
    }
    let bad = frame(TEXT, "abc").length16();
    cases.push(after_good("text with a length that is not minimal", &bad));
    let bad = [text("one").unfinished(), frame(CONTINUATION, "two").length64()];
    cases.push(case("continuation with a length that is not minimal", &bad, [Close(1002)]));
    let bad = [frame(PING, "").claiming(1 << 63)];
    cases.push(case("ping that claims the top bit", &bad, [Close(1002)]));
    cases.push(
        case("the top bit, one byte at a time", &[frame(BINARY, "").claiming(1 << 63)], [Close(1002)]).chopped(1),
    );
    cases.into_iter().map(|case| case.differs(LENGTHS)).collect()
}
