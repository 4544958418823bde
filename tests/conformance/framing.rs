//! §5.2, §5.3, §5.6: data frames of every form of length, in pieces of every size, unmasked and sent back.

use crate::case::{Case, Expect, binary_back, case, text_back};
use crate::common::frame::{BINARY, TEXT, binary, frame, text};

/// Around every border between the forms of a length.
const SIZES: [usize; 10] = [0, 1, 2, 125, 126, 127, 128, 65_535, 65_536, 200_000];

/// Both kinds of message.
const KINDS: [(&str, u8); 2] = [("text", TEXT), ("binary", BINARY)];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, opcode) in KINDS {
        for size in SIZES {
            let payload = payload(opcode, size);
            let whole = |how: &str| {
                case(format!("{kind} of {size} bytes{how}"), &[frame(opcode, &payload)], [back(opcode, &payload)])
            };
            cases.push(whole(""));
            if size <= 128 {
                cases.push(whole(", one byte at a time").chopped(1));
                cases.push(whole(", odd segments").chopped_by(&[1, 2, 3, 5, 11]));
            } else {
                cases.push(whole(", 997 bytes at a time").chopped(997));
                cases.push(whole(", odd segments").chopped_by(&[1, 3, 7, 31, 127, 511, 2047, 8191, 32_767]));
            }
        }
        cases.extend(cut_headers(kind, opcode));
        cases.extend(masking_keys(kind, opcode));
        cases.push(burst(kind, opcode));
    }
    cases.push(mixed());
    cases.push(case("nothing at all", &[], []));
    cases.push(all_bytes());
    cases.push(short_and_long());
    cases
}

/// Text that is no repetition of itself, or bytes that are not text.
fn payload(opcode: u8, size: usize) -> Vec<u8> {
    (0..size).map(|at| if opcode == TEXT { b'a' + (at * 7 % 26) as u8 } else { (at * 131 + at / 256) as u8 }).collect()
}

fn back(opcode: u8, payload: &[u8]) -> Expect {
    if opcode == TEXT { text_back(payload) } else { binary_back(payload) }
}

/// The header arrives in two parts, cut at every place.
fn cut_headers(kind: &'static str, opcode: u8) -> impl Iterator<Item = Case> {
    let lengths = [(5, 6), (300, 8), (70_000, 14)];
    lengths.into_iter().flat_map(move |(size, header)| {
        (1..=header).map(move |at| {
            let payload = payload(opcode, size);
            case(
                format!("{kind} of {size} bytes, cut after {at}"),
                &[frame(opcode, &payload)],
                [back(opcode, &payload)],
            )
            .cut(at)
        })
    })
}

/// Payloads of all lengths modulo the key and modulo a machine word, under keys that change every byte or none.
fn masking_keys(kind: &'static str, opcode: u8) -> impl Iterator<Item = Case> {
    let keys = [[0; 4], [0xFF; 4], [1, 2, 3, 4], [0x80, 0, 0, 0], [0, 0, 0, 1]];
    keys.into_iter().map(move |key| {
        let payloads: Vec<_> = (0..=17).map(|size| payload(opcode, size)).collect();
        let frames: Vec<_> = payloads.iter().map(|payload| frame(opcode, payload).key(key)).collect();
        let expect: Vec<_> = payloads.iter().map(|payload| back(opcode, payload)).collect();
        case(format!("{kind} of 0 to 17 bytes under key {key:02x?}"), &frames, expect)
    })
}

/// Many messages in one write.
fn burst(kind: &str, opcode: u8) -> Case {
    let payloads: Vec<_> = (0..200).map(|index| payload(opcode, index % 40)).collect();
    let frames: Vec<_> = payloads.iter().map(|payload| frame(opcode, payload)).collect();
    let expect: Vec<_> = payloads.iter().map(|payload| back(opcode, payload)).collect();
    case(format!("200 {kind} messages in one write"), &frames, expect)
}

/// Kinds in turn, in segments that fit no frame.
fn mixed() -> Case {
    let frames: Vec<_> = (0..60).map(|index| frame(KINDS[index % 2].1, payload(TEXT, index * 5))).collect();
    let expect: Vec<_> = (0..60).map(|index| back(KINDS[index % 2].1, &payload(TEXT, index * 5))).collect();
    case("text and binary in turn, odd segments", &frames, expect).chopped_by(&[1, 13, 170, 7])
}

/// Every byte, in one message, as it is.
fn all_bytes() -> Case {
    let bytes: Vec<u8> = (0..=255).collect();
    case("every byte value", &[binary(&bytes)], [binary_back(&bytes)])
}

/// Small messages between large ones keep their order.
fn short_and_long() -> Case {
    let long = payload(BINARY, 100_000);
    let frames = [text("a"), binary(&long), text("b"), binary(""), binary(&long), text("c")];
    let expect =
        [text_back("a"), binary_back(&long), text_back("b"), binary_back(""), binary_back(&long), text_back("c")];
    case("short messages between long ones", &frames, expect)
}
