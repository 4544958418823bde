//! §10.4: messages that are too long end the connection with 1009, as soon as a header says so.

use crate::case::{Case, case, pong_back, text_back};
use crate::common::frame::{BINARY, Frame, TEXT, continuation, frame, ping, text};

use crate::case::Expect::{Binary, CloseSaying};

/// The default of `--max-message`.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;

/// Why claims of fragments are not for the oracle.
const EARLY: &str = "tungstenite reads a fragment before it adds it up";

pub(crate) fn cases() -> Vec<Case> {
    let max = MAX_MESSAGE as u64;
    let too_long = || [CloseSaying(1009, "--max-message")];
    let refused = |name: String, frames: &[Frame]| case(name, frames, too_long());
    let mut cases = Vec::new();
    for (kind, opcode) in [("text", TEXT), ("binary", BINARY)] {
        cases.push(refused(format!("{kind} of one byte too many"), &[frame(opcode, "a".repeat(MAX_MESSAGE + 1))]));
        // T6, T39: refused by the header; nothing is waited for, nothing reserved.
        for claimed in [max + 1, 1 << 24, 1 << 31, 1 << 32, 1 << 40, (1 << 62) + 1, (1 << 63) - 1] {
            let name = format!("{kind} that claims {claimed:#x} bytes");
            cases.push(refused(name, &[frame(opcode, "").claiming(claimed)]));
        }
        let claims = [frame(opcode, "").claiming(max + 1).unfinished()];
        cases.push(refused(format!("{kind} fragment that claims one byte too many"), &claims));
        let claims = [frame(opcode, "a").unfinished(), frame(0, "").claiming(max)];
        let name = format!("{kind} whose second fragment claims one byte too many");
        cases.push(refused(name, &claims).differs(EARLY));
        let claims = [frame(opcode, "a").unfinished(), frame(0, "").claiming((1 << 63) - 1)];
        cases.push(refused(format!("{kind} whose second fragment claims everything"), &claims));
    }
    let whole: Vec<u8> = (0..MAX_MESSAGE).map(|at| (at * 31 + at / 4099) as u8).collect();
    cases.push(case("the longest message", &[frame(BINARY, &whole)], [Binary(whole.clone())]));
    let segments = [997, 65_536, 1, 16_384];
    cases.push(
        case("the longest message, odd segments", &[frame(BINARY, &whole)], [Binary(whole.clone())])
            .chopped_by(&segments),
    );
    let quarters: Vec<Frame> = whole
        .chunks(MAX_MESSAGE / 4)
        .enumerate()
        .map(|(index, part)| {
            let frame = frame(if index == 0 { BINARY } else { 0 }, part);
            if index == 3 { frame } else { frame.unfinished() }
        })
        .collect();
    cases.push(case("the longest message in fragments", &quarters, [Binary(whole.clone())]));
    let mut with_empty = quarters[..3].to_vec();
    with_empty.extend([quarters[3].clone().unfinished(), continuation("").unfinished(), continuation("")]);
    cases.push(case("the longest message and empty fragments", &with_empty, [Binary(whole.clone())]));
    let mut with_more = quarters[..3].to_vec();
    with_more.extend([quarters[3].clone().unfinished(), continuation("x")]);
    cases.push(refused("the longest message and one byte in another fragment".into(), &with_more));
    let two = [frame(BINARY, &whole), frame(BINARY, &whole)];
    cases.push(case("the longest message twice", &two, [Binary(whole.clone()), Binary(whole)]));
    cases.push(case(
        "a message too long after good ones",
        &[text("good"), ping("good"), text("").claiming(max + 1), text("ignored")],
        [text_back("good"), pong_back("good"), CloseSaying(1009, "--max-message")],
    ));
    cases.push(refused("a claim too long, one byte at a time".into(), &[text("").claiming(1 << 40)]).chopped(1));
    cases
}
