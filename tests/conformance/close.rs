//! §5.5.1, §7: the closing handshake, and the codes and reasons that a Close frame may carry.

use crate::case::{Case, case, pong_back, text_back};
use crate::common::frame::{CLOSE, binary, close, frame, ping, text};

use crate::case::Expect::{Close, CloseEcho, CloseEmpty};

/// Codes that a client may send: defined, registered, of libraries, of applications (§7.4).
const VALID: [u16; 16] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];

/// Codes that nobody may send (§7.4.1, §7.4.2).
const INVALID: [u16; 17] =
    [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 5001, 9999, 32_768, 65_535];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for code in VALID {
        let closes = [("", ""), (" and a reason", "going away")];
        cases.extend(closes.map(|(how, reason)| {
            let case = case(
                format!("close {code}{how}"),
                &[text("a"), close(code, reason)],
                [text_back("a"), CloseEcho(code, reason.into())],
            );
            if code == 1014 { case.differs("tungstenite does not know 1014") } else { case }
        }));
    }
    for code in INVALID {
        cases.push(case(format!("close {code}"), &[close(code, "")], [Close(1002)]));
        cases.push(case(
            format!("close {code} and a reason"),
            &[text("a"), close(code, "reason")],
            [text_back("a"), Close(1002)],
        ));
    }
    cases.extend(payloads());
    cases.extend(order());
    cases
}

fn payloads() -> Vec<Case> {
    let mut cases = vec![
        case("close without a payload", &[frame(CLOSE, "")], [CloseEmpty]),
        case("close without a payload, one byte at a time", &[frame(CLOSE, "")], [CloseEmpty]).chopped(1),
        case("close with a payload of one byte", &[frame(CLOSE, [3])], [Close(1002)]),
        case("close with a payload of one zero", &[frame(CLOSE, [0])], [Close(1002)]),
    ];
    // T5: nothing but the input comes back.
    for len in [1, 2, 60, 122, 123] {
        let reason = "r".repeat(len);
        let name = format!("close with a reason of {len} bytes");
        cases.push(case(&name[..], &[close(1000, &reason)], [CloseEcho(1000, reason.clone())]));
        cases.push(
            case(format!("{name}, one byte at a time"), &[close(1000, &reason)], [CloseEcho(1000, reason)]).chopped(1),
        );
    }
    for reason in ["Tschüß", "再见", "👋", "\u{0}", "\r\n\t", "\u{10FFFF}", "\u{202E}ltr"] {
        cases.push(case(
            format!("close with the reason {reason:?}"),
            &[close(4000, reason)],
            [CloseEcho(4000, reason.into())],
        ));
    }
    let bad: [(&str, &[u8]); 9] = [
        ("a stray continuation byte", b"bye \x80"),
        ("an overlong slash", b"\xC0\xAF"),
        ("a surrogate", b"\xED\xA0\x80"),
        ("a character beyond the last", b"\xF4\x90\x80\x80"),
        ("a byte that never occurs", b"ok\xFF"),
        ("half a character", b"\xC3"),
        ("two thirds of a character", b"bye \xE2\x82"),
        ("three quarters of a character", b"\xF0\x9F\x91"),
        ("a broken character in the middle", b"a\xE2\x28\xA1z"),
    ];
    for (what, reason) in bad {
        cases.push(case(format!("close with {what} in its reason"), &[close(1000, reason)], [Close(1007)]));
    }
    cases
}

fn order() -> Vec<Case> {
    let both = |name: &str, frames: &[_], expect: &[_]| {
        [case(name, frames, expect), case(format!("{name}, one byte at a time"), frames, expect).chopped(1)]
    };
    let mut cases = Vec::new();
    let behind = [close(1000, ""), text("late")];
    cases.extend(both("text behind the close is ignored", &behind, &[Close(1000)]));
    cases.extend(both("binary behind the close is ignored", &[close(1000, ""), binary([0; 300])], &[Close(1000)]));
    cases.extend(both("a second close is ignored", &[close(1000, ""), close(1001, "")], &[Close(1000)]));
    cases.extend(both(
        "a bad frame behind the close is ignored",
        &[close(3000, ""), text("").reserved(7)],
        &[Close(3000)],
    ));
    cases.extend(both("bad text behind the close is ignored", &[close(1000, ""), text([0xFF])], &[Close(1000)]));
    cases.extend(both(
        "all that came before the close is answered",
        &[text("1"), ping("2"), text("3"), close(1000, "")],
        &[text_back("1"), pong_back("2"), text_back("3"), Close(1000)],
    ));
    let many: Vec<_> = (0..300).map(|_| text("late")).collect();
    cases.push(case("a flood behind the close is ignored", &[vec![close(1000, "")], many].concat(), [Close(1000)]));
    let long = text("x".repeat(300_000));
    cases.push(case("a long message behind the close is ignored", &[close(1000, ""), long], [Close(1000)]));
    for at in 1..close(1000, "bye").bytes().len() {
        let echo = CloseEcho(1000, "bye".into());
        cases.push(case(format!("close cut after {at}"), &[close(1000, "bye")], [echo]).cut(at));
    }
    cases
}
