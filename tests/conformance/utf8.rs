//! §5.6, §8.1: text is UTF-8 (RFC 3629), wherever frames and segments cut it, and bad text is refused at its first bad
//! byte.

use crate::case::{Case, binary_back, case, pong_back, text_back};
use crate::common::frame::{Frame, binary, continuation, ping, text};

use crate::case::Expect::Close;

/// Every length and every border of RFC 3629, and words.
const VALID: [(&str, &str); 20] = [
    ("U+0000", "\u{0}"),
    ("U+007F", "\u{7F}"),
    ("U+0080", "\u{80}"),
    ("U+07FF", "\u{7FF}"),
    ("U+0800", "\u{800}"),
    ("U+0FFF", "\u{FFF}"),
    ("U+1000", "\u{1000}"),
    ("U+CFFF", "\u{CFFF}"),
    ("U+D7FF", "\u{D7FF}"),
    ("U+E000", "\u{E000}"),
    ("U+FEFF", "\u{FEFF}"),
    ("U+FFFD", "\u{FFFD}"),
    ("U+FFFF", "\u{FFFF}"),
    ("U+10000", "\u{10000}"),
    ("U+3FFFF", "\u{3FFFF}"),
    ("U+40000", "\u{40000}"),
    ("U+FFFFF", "\u{FFFFF}"),
    ("U+100000", "\u{100000}"),
    ("U+10FFFF", "\u{10FFFF}"),
    ("words", "Κόσμε, 世界, 👩‍👩‍👧 and Grüße"),
];

/// One character of each length, twice.
const ALL_LENGTHS: &str = "aé€😀𐍈ࠀ߿z";

/// Bytes that no text contains: those up to the first at which no continuation could be right any more, and the rest.
const INVALID: [(&str, &[u8], &[u8]); 34] = [
    ("a continuation byte first", b"\x80", b""),
    ("the last continuation byte first", b"\xBF", b"abc"),
    ("a continuation byte too many", b"\xC3\xA9\x80", b""),
    ("an overlong NUL", b"\xC0", b"\x80"),
    ("an overlong slash", b"\xC0", b"\xAF"),
    ("the last overlong form of two bytes", b"\xC1", b"\xBF"),
    ("an overlong slash of three bytes", b"\xE0\x80", b"\xAF"),
    ("the last overlong form of three bytes", b"\xE0\x9F", b"\xBF"),
    ("an overlong slash of four bytes", b"\xF0\x80", b"\x80\xAF"),
    ("the last overlong form of four bytes", b"\xF0\x8F", b"\xBF\xBF"),
    ("the first surrogate", b"\xED\xA0", b"\x80"),
    ("the last high surrogate", b"\xED\xAF", b"\xBF"),
    ("the first low surrogate", b"\xED\xB0", b"\x80"),
    ("the last surrogate", b"\xED\xBF", b"\xBF"),
    ("a pair of surrogates", b"\xED\xA0", b"\x80\xED\xB0\x80"),
    ("U+110000", b"\xF4\x90", b"\x80\x80"),
    ("U+13FFFF", b"\xF4\xBF", b"\xBF\xBF"),
    ("U+140000", b"\xF5", b"\x80\x80\x80"),
    ("U+1FFFFF", b"\xF7", b"\xBF\xBF\xBF"),
    ("a form of five bytes", b"\xF8", b"\x88\x80\x80\x80"),
    ("a form of six bytes", b"\xFC", b"\x84\x80\x80\x80\x80"),
    ("FE", b"\xFE", b""),
    ("FF", b"\xFF", b""),
    ("FE FF, a byte order mark of UTF-16", b"\xFE", b"\xFFa"),
    ("Latin-1", b"caf\xE9 ", b"au lait"),
    ("the start of two bytes before a letter", b"\xC3(", b""),
    ("the start of three bytes before a letter", b"\xE2(", b"\xA1"),
    ("two of three bytes before a letter", b"\xE2\x82(", b""),
    ("the start of four bytes before a letter", b"\xF0(", b"\x8C\xBC"),
    ("two of four bytes before a letter", b"\xF0\x90(", b"\xBC"),
    ("three of four bytes before a letter", b"\xF0\x90\x8C(", b""),
    ("the start of two bytes twice", b"\xC3\xC3", b"\xA9"),
    ("two of three bytes before another character", b"\xE2\x82\xE2", b"\x82\xAC"),
    ("three of four bytes before another character", b"\xF0\x90\x8C\xF0", b"\x90\x8C\xBC"),
];

/// Starts of characters that could still become good ones, with what makes them so.
const UNFINISHED: [(&[u8], &[u8]); 12] = [
    (b"\xC2", b"\x80"),
    (b"\xDF", b"\xBF"),
    (b"\xE0", b"\xA0\x80"),
    (b"\xE0\xA0", b"\x80"),
    (b"\xED", b"\x9F\xBF"),
    (b"\xED\x9F", b"\xBF"),
    (b"\xEF\xBF", b"\xBF"),
    (b"\xF0", b"\x90\x80\x80"),
    (b"\xF0\x90", b"\x80\x80"),
    (b"\xF4", b"\x8F\xBF\xBF"),
    (b"\xF4\x8F", b"\xBF\xBF"),
    (b"\xF4\x8F\xBF", b"\xBF"),
];

/// Offsets around the borders of words and vector registers, and deep in a message.
const OFFSETS: [usize; 22] =
    [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 4095, 65_535, 100_000];

/// Why cases of half a frame are not for the oracle.
const EARLY: &str = "tungstenite looks at a frame when it is complete";

/// Text that must come back as it is.
pub(crate) fn valid() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, sample) in VALID {
        cases.push(case(format!("{name} alone"), &[text(sample)], [text_back(sample)]));
        let among = format!("before {sample} behind");
        cases.push(case(format!("{name} among letters"), &[text(&among)], [text_back(&among)]));
        cases.push(
            case(format!("{name}, one byte at a time"), &[text(sample)], [text_back(sample)]).chopped(1).stepwise(),
        );
        cases.push(case(format!("{name}, one byte per fragment"), &bytewise(sample.as_bytes()), [text_back(sample)]));
    }
    let len = ALL_LENGTHS.len();
    for at in 1..len {
        let (one, two) = ALL_LENGTHS.as_bytes().split_at(at);
        let frames = [text(one).unfinished(), continuation(two)];
        cases.push(case(
            format!("text in fragments of {at} and {} bytes", len - at),
            &frames,
            [text_back(ALL_LENGTHS)],
        ));
        let frames = [text(one).unfinished(), ping("x"), continuation("").unfinished(), continuation(two)];
        cases.push(case(
            format!("text in fragments of {at} and {} bytes with a ping between", len - at),
            &frames,
            [pong_back("x"), text_back(ALL_LENGTHS)],
        ));
        let header = text(ALL_LENGTHS).bytes().len() - len;
        cases.push(
            case(
                format!("text in segments of {at} and {} bytes", len - at),
                &[text(ALL_LENGTHS)],
                [text_back(ALL_LENGTHS)],
            )
            .cut(header + at),
        );
    }
    cases.push(at_every_offset());
    cases.push(long());
    for (start, rest) in UNFINISHED {
        let whole = [start, rest].concat();
        let frames = [text(start).unfinished(), ping("alive"), continuation(rest)];
        cases.push(case(format!("{start:02x?} is waited for"), &frames, [pong_back("alive"), text_back(whole)]));
    }
    for (name, bad, rest) in INVALID {
        let bytes = [bad, rest].concat();
        let frames = [binary(&bytes), binary(bad).unfinished(), continuation(rest)];
        cases.push(case(format!("{name} in binary messages"), &frames, [binary_back(&bytes), binary_back(&bytes)]));
    }
    cases
}

/// Text that must be refused.
pub(crate) fn invalid() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, bad, rest) in INVALID {
        let bytes = [bad, rest].concat();
        let refused = |how: &str, frames: &[Frame]| case(format!("{name}, {how}"), frames, [Close(1007)]);
        cases.push(refused("alone", &[text(&bytes)]));
        let among = [b"good ", &bytes[..], b" good"].concat();
        cases.push(refused("among letters", &[text(among)]));
        cases.push(refused("one byte per fragment", &bytewise(&bytes)));
        cases.push(refused("one byte at a time", &[text(&bytes)]).chopped(1).stepwise());
        cases.push(refused("in the second fragment", &[text("good").unfinished(), continuation(&bytes)]));
        cases.push(case(
            format!("{name}, after good messages"),
            &[text("good"), ping("good"), text(&bytes), text("ignored")],
            [text_back("good"), pong_back("good"), Close(1007)],
        ));
        // Refused before the rest is there: it is never sent.
        cases.push(refused("in a fragment with more to come", &[text(bad).unfinished()]));
        let half = text([b"good ", bad].concat()).claiming(1000);
        cases.push(refused("in a frame with more to come", std::slice::from_ref(&half)).differs(EARLY));
        cases.push(
            refused("in a frame with more to come, one byte at a time", &[half]).chopped(1).stepwise().differs(EARLY),
        );
        if bad.len() > 1 {
            let (first, last) = bad.split_at(bad.len() - 1);
            let frames = [text(first).unfinished(), ping("alive"), continuation(last).unfinished()];
            cases.push(case(
                format!("{name}, over two fragments with more to come"),
                &frames,
                [pong_back("alive"), Close(1007)],
            ));
        }
    }
    for (start, _) in UNFINISHED {
        let refused = |how: &str, frames: &[Frame]| case(format!("{start:02x?} {how}"), frames, [Close(1007)]);
        cases.push(refused("at the end", &[text([b"good ", start].concat())]));
        cases.push(refused("alone", &[text(start)]));
        cases.push(refused("at the end of the last fragment", &[text("good").unfinished(), continuation(start)]));
        cases.push(case(
            format!("{start:02x?} before an empty last fragment"),
            &[text(start).unfinished(), ping("alive"), continuation("")],
            [pong_back("alive"), Close(1007)],
        ));
    }
    for offset in OFFSETS {
        let name = |how| format!("a bad byte {how} {offset} letters");
        let mut bytes = vec![b'a'; offset];
        bytes.push(0xFF);
        cases.push(case(name("after"), &[text(&bytes)], [Close(1007)]));
        bytes.extend_from_slice(&[b'a'; 100]);
        cases.push(case(name("with more behind, after"), &[text(&bytes)], [Close(1007)]));
        let half = text(&bytes[..=offset]).claiming(offset as u64 + 500);
        cases.push(case(name("in half a frame, after"), &[half], [Close(1007)]).differs(EARLY));
    }
    cases
}

/// Every byte a fragment of its own.
fn bytewise(bytes: &[u8]) -> Vec<Frame> {
    let last = bytes.len() - 1;
    bytes
        .iter()
        .enumerate()
        .map(|(index, byte)| {
            let frame = if index == 0 { text([*byte]) } else { continuation([*byte]) };
            if index == last { frame } else { frame.unfinished() }
        })
        .collect()
}

/// A character of four bytes at every place of a vector register.
fn at_every_offset() -> Case {
    let texts: Vec<_> = (0..=130).map(|offset| format!("{}😀{}", "a".repeat(offset), "b".repeat(40))).collect();
    let frames: Vec<_> = texts.iter().map(text).collect();
    let expect: Vec<_> = texts.iter().map(text_back).collect();
    case("a character of four bytes at every offset", &frames, expect)
}

/// More than one receive buffer of text, cut where it happens to be cut.
fn long() -> Case {
    let words = VALID[19].1.repeat(8000);
    case("long text, odd segments", &[text(&words)], [text_back(&words)]).chopped_by(&[997, 4093, 1, 30_011])
}
