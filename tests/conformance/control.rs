//! §5.5.2, §5.5.3: Ping and Pong.

use crate::case::{Case, case, pong_back, text_back};
use crate::common::frame::{Frame, close, continuation, ping, pong, text};

use crate::case::Expect::{Close, Text};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [0, 1, 2, 64, 124, 125] {
        let payload: Vec<u8> = (0..size).map(|at| (at * 37 + 128) as u8).collect();
        cases.push(case(format!("ping of {size} bytes"), &[ping(&payload)], [pong_back(&payload)]));
        cases.push(
            case(format!("ping of {size} bytes, one byte at a time"), &[ping(&payload)], [pong_back(&payload)])
                .chopped(1),
        );
        let frames = [pong(&payload), text("still here")];
        cases.push(case(format!("unsolicited pong of {size} bytes is ignored"), &frames, [text_back("still here")]));
    }
    for at in 1..=8 {
        cases.push(case(format!("ping cut after {at}"), &[ping("ab")], [pong_back("ab")]).cut(at));
    }
    cases.push(case("ten pings in one write", &numbered(10), pongs(10)));
    cases.push(case("ten pings, one byte at a time", &numbered(10), pongs(10)).chopped(1));
    cases.push(case("a hundred pings in one write", &numbered(100), pongs(100)));
    cases.push(case(
        "pongs in a row are ignored",
        &[pong(""), pong("a"), pong("b"), ping("c"), pong("d"), text("e")],
        [pong_back("c"), text_back("e")],
    ));
    cases.push(case(
        "pings between messages keep the order",
        &[text("1"), ping("2"), text("3"), ping("4")],
        [text_back("1"), pong_back("2"), text_back("3"), pong_back("4")],
    ));
    cases.push(case(
        "a ping in the middle of a message",
        &[text("one ").unfinished(), ping("now"), continuation("two")],
        [pong_back("now"), text_back("one two")],
    ));
    cases.push(
        case(
            "a ping in the middle of a message, one byte at a time",
            &[text("one ").unfinished(), ping("now"), continuation("two")],
            [pong_back("now"), text_back("one two")],
        )
        .chopped(1),
    );
    cases.push(case(
        "pongs in the middle of a message",
        &[text("one ").unfinished(), pong("x"), continuation("two ").unfinished(), pong(""), continuation("three")],
        [text_back("one two three")],
    ));
    cases.push(many_pings_inside());
    cases.push(case("a ping before the close", &[ping("last"), close(1000, "")], [pong_back("last"), Close(1000)]));
    cases.push(case("a ping behind the close is not answered", &[close(1000, ""), ping("late")], [Close(1000)]));
    cases.push(case(
        "a ping whose payload looks like frames",
        &[ping(close(1000, "").bytes()), text("alive")],
        [pong_back(close(1000, "").bytes()), Text(b"alive".to_vec())],
    ));
    cases
}

fn numbered(count: usize) -> Vec<Frame> {
    (0..count).map(|index| ping(index.to_string())).collect()
}

fn pongs(count: usize) -> Vec<crate::case::Expect> {
    (0..count).map(|index| pong_back(index.to_string())).collect()
}

/// Between any two fragments a ping.
fn many_pings_inside() -> Case {
    let mut frames = vec![text("").unfinished()];
    let mut expect = Vec::new();
    for index in 0..20 {
        frames.push(ping(index.to_string()));
        frames.push(continuation("abc").unfinished());
        expect.push(pong_back(index.to_string()));
    }
    frames.push(continuation(""));
    expect.push(text_back("abc".repeat(20)));
    case("twenty pings inside one message", &frames, expect)
}
