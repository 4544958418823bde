//! §5.4: messages in fragments, which come back as one frame.

use crate::case::{Case, Expect, binary_back, case, pong_back, text_back};
use crate::common::frame::{BINARY, Frame, TEXT, binary, close, continuation, frame, ping, text};

use crate::case::Expect::{Close, CloseSaying};

/// The default of `--max-fragments`.
const MAX_FRAGMENTS: usize = 4096;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, opcode) in [("text", TEXT), ("binary", BINARY)] {
        for count in [2, 3, 4, 7, 16, 64] {
            let parts: Vec<_> = (0..count).map(|index| format!("part {index} of {count};")).collect();
            let name = format!("{kind} in {count} fragments");
            let expect = [back(opcode, parts.concat())];
            cases.push(case(&name[..], &message(opcode, &parts), expect.clone()));
            cases
                .push(case(format!("{name}, one byte at a time"), &message(opcode, &parts), expect.clone()).chopped(1));
            cases.push(
                case(format!("{name}, odd segments"), &message(opcode, &parts), expect).chopped_by(&[5, 1, 17, 2]),
            );
        }
        for parts in
            [&["", "a"][..], &["a", ""], &["", "", ""], &["", "a", ""], &["a", "", "b"], &["", "", "", "", "x", "", ""]]
        {
            let name = format!("{kind} in fragments {parts:?}");
            cases.push(case(name, &message(opcode, parts), [back(opcode, parts.concat())]));
        }
        let parts: Vec<_> = (0..4).map(|index| char::from(b'a' + index).to_string().repeat(40_000)).collect();
        let expect = [back(opcode, parts.concat())];
        cases.push(case(format!("{kind} in 4 fragments of 40,000 bytes"), &message(opcode, &parts), expect.clone()));
        cases.push(
            case(format!("{kind} in 4 fragments of 40,000 bytes, 997 at a time"), &message(opcode, &parts), expect)
                .chopped(997),
        );
        cases.extend(many(kind, opcode));
        let frames = [frame(opcode, "one").unfinished(), frame(opcode, "two")];
        cases.push(case(format!("new {kind} inside a {kind} message"), &frames, [Close(1002)]));
        let frames = [frame(opcode, "one").unfinished(), frame(opcode, "two").unfinished(), continuation("three")];
        cases.push(case(format!("new {kind} fragments inside a {kind} message"), &frames, [Close(1002)]));
        let frames = [frame(opcode, "").unfinished(), frame(opcode, "")];
        cases.push(case(format!("new empty {kind} inside an empty {kind} message"), &frames, [Close(1002)]));
    }
    cases.extend(wrong_order());
    cases.extend(cut_between());
    cases.extend([
        case(
            "fragmented messages one after another",
            &[
                message(TEXT, &["a", "b"]),
                message(BINARY, &["c", "d", "e"]),
                vec![text("f")],
                message(TEXT, &["", "g"]),
            ]
            .concat(),
            [text_back("ab"), binary_back("cde"), text_back("f"), text_back("g")],
        ),
        case(
            "a fragmented message among a burst",
            &[&[text("a"), text("b")][..], &message(BINARY, &["c", "d"]), &[text("e"), binary("f")]].concat(),
            [text_back("a"), text_back("b"), binary_back("cd"), text_back("e"), binary_back("f")],
        ),
        case(
            "close inside a message",
            &[text("one").unfinished(), close(1000, ""), continuation("two")],
            [Close(1000)],
        ),
        case(
            "a good message before the close inside a message",
            &[text("good"), text("one").unfinished(), ping("x"), close(1001, "bye")],
            [text_back("good"), pong_back("x"), Close(1001)],
        ),
    ]);
    cases
}

/// A message in these parts.
fn message<P: AsRef<[u8]>>(opcode: u8, parts: &[P]) -> Vec<Frame> {
    let last = parts.len() - 1;
    parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let frame = frame(if index == 0 { opcode } else { 0 }, part);
            if index == last { frame } else { frame.unfinished() }
        })
        .collect()
}

fn back(opcode: u8, payload: impl AsRef<[u8]>) -> Expect {
    if opcode == TEXT { text_back(payload) } else { binary_back(payload) }
}

/// As many fragments as there may be, and one more.
fn many(kind: &str, opcode: u8) -> Vec<Case> {
    let why = "tungstenite has no limit on fragments";
    let mut cases = Vec::new();
    for (how, part) in [("empty", ""), ("one-byte", "x")] {
        let parts = vec![part; MAX_FRAGMENTS];
        let expect = [back(opcode, parts.concat())];
        cases.push(case(format!("{kind} in {MAX_FRAGMENTS} {how} fragments"), &message(opcode, &parts), expect));
        let parts = vec![part; MAX_FRAGMENTS + 1];
        let expect = [CloseSaying(1008, "--max-fragments")];
        cases.push(
            case(format!("{kind} in one {how} fragment too many"), &message(opcode, &parts), expect).differs(why),
        );
    }
    let parts = vec!["x"; MAX_FRAGMENTS];
    let frames = [message(opcode, &parts), message(opcode, &parts)].concat();
    cases.push(case(
        format!("{kind} twice in {MAX_FRAGMENTS} fragments"),
        &frames,
        [back(opcode, parts.concat()), back(opcode, parts.concat())],
    ));
    cases
}

/// Continuations of nothing.
fn wrong_order() -> Vec<Case> {
    let mut cases = vec![
        case("text inside a binary message", &[binary("one").unfinished(), text("two")], [Close(1002)]),
        case("binary inside a text message", &[text("one").unfinished(), binary("two")], [Close(1002)]),
        case(
            "new message inside a message, after a ping",
            &[text("one").unfinished(), ping("x"), text("two")],
            [pong_back("x"), Close(1002)],
        ),
        case(
            "continuation after a whole message",
            &[text("whole"), continuation("more")],
            [text_back("whole"), Close(1002)],
        ),
        case(
            "continuation after a fragmented message",
            &[text("one ").unfinished(), continuation("two"), continuation("three")],
            [text_back("one two"), Close(1002)],
        ),
        case("continuation after an empty message", &[text(""), continuation("")], [text_back(""), Close(1002)]),
        case("continuation after a ping", &[ping("x"), continuation("more")], [pong_back("x"), Close(1002)]),
    ];
    for (how, payload) in [("empty ", ""), ("", "abc")] {
        let start = format!("{how}continuation first");
        cases.push(case(format!("{start}, final"), &[continuation(payload)], [Close(1002)]));
        cases.push(case(format!("{start}, not final"), &[continuation(payload).unfinished()], [Close(1002)]));
        cases.push(
            case(format!("{start}, one byte at a time"), &[continuation(payload), text("ignored")], [Close(1002)])
                .chopped(1),
        );
    }
    cases
}

/// Three fragments with a ping among them, cut at every byte.
fn cut_between() -> impl Iterator<Item = Case> {
    let frames = [text("ab").unfinished(), ping(""), continuation("").unfinished(), continuation("cd")];
    let len = frames.iter().map(|frame| frame.bytes().len()).sum();
    (1..len).map(move |at| {
        case(format!("fragments and a ping, cut after {at}"), &frames, [pong_back(""), text_back("abcd")]).cut(at)
    })
}
