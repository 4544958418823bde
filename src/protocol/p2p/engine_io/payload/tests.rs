use proptest::prelude::*;

use super::*;
use Kind::{Binary, Text};
use Revision::{Four, Three};

const PLENTY: usize = 1000;

/// One of the four ways in which items travel.
#[derive(Clone, Copy, Debug)]
struct Framing {
    revision: Revision,
    base64_only: bool,
}

fn decode(revision: Revision, content_type: Option<&str>, body: &[u8]) -> Result<Vec<(Kind, Vec<u8>)>, Malformed> {
    let items = decode_payload(revision, content_type, body, PLENTY)?;
    Ok(items.into_iter().map(|(kind, item)| (kind, item.into_owned())).collect())
}

fn encode(framing: Framing, items: &[(Kind, Vec<u8>)]) -> (Vec<u8>, &'static str) {
    let mut out = b"kept".to_vec();
    let items = items.iter().map(|(kind, item)| (*kind, item.as_slice()));
    let content_type = encode_payload(framing.revision, framing.base64_only, items, &mut out);
    (out.strip_prefix(b"kept").unwrap().to_vec(), content_type)
}

fn text(item: &str) -> (Kind, Vec<u8>) {
    (Text, item.as_bytes().to_vec())
}

fn binary(item: &[u8]) -> (Kind, Vec<u8>) {
    (Binary, item.to_vec())
}

#[test]
fn payloads_read_as_the_original_writes_them() {
    let plain = Framing { revision: Three, base64_only: false };
    let base64 = Framing { revision: Three, base64_only: true };
    let four = Framing { revision: Four, base64_only: false };
    let texts = || vec![text("4hello"), text("4é€😀"), text("2probe"), text("6")];
    let mixed = || vec![text("4€"), binary(&[4, 1, 2, 3, 255]), text("4😀é"), binary(&[4])];
    let long = [&[4][..], &[7; 300]].concat();
    for (framing, items, payload) in [
        (plain, texts(), "6:4hello5:4é€😀6:2probe1:6".as_bytes()),
        (base64, texts(), "6:4hello5:4é€😀6:2probe1:6".as_bytes()),
        (base64, mixed(), "2:4€10:b4AQID/w==4:4😀é2:b4".as_bytes()),
        (
            plain,
            mixed(),
            b"\x00\x04\xff4\xe2\x82\xac\x01\x05\xff\x04\x01\x02\x03\xff\x00\x07\xff4\xf0\x9f\x98\x80\xc3\xa9\x01\x01\xff\x04",
        ),
        (plain, vec![binary(&long)], &[&b"\x01\x03\x00\x01\xff"[..], &long].concat()),
        (plain, vec![], b"0:"),
        (
            four,
            vec![text("4hello"), binary(&[1, 2, 3, 255]), text("6"), text("4é\n")],
            "4hello\x1ebAQID/w==\x1e6\x1e4é\n".as_bytes(),
        ),
        (four, vec![binary(&[]), text("4")], b"b\x1e4"),
    ] {
        let (written, content_type) = encode(framing, &items);
        assert_eq!(written, payload, "{framing:?} {items:?}");
        assert_eq!(decode(framing.revision, Some(content_type), payload), Ok(items), "{framing:?}");
    }
}

#[test]
fn text_payloads_of_revision_3_are_whole_or_nothing() {
    use Malformed::{Base64, Empty, Length, Type};
    for (body, expected) in [
        ("6:4hello", Ok(vec![text("4hello")])),
        ("6:4hello2:4€", Ok(vec![text("4hello"), text("4€")])),
        ("3:4😀", Ok(vec![text("4😀")])),
        ("4::::4", Err(Type)),
        ("4:4::4", Ok(vec![text("4::4")])),
        ("0:", Ok(vec![])),
        ("6:4hello0:", Ok(vec![text("4hello")])),
        ("4:b4AQ", Ok(vec![binary(&[4, 1])])),
        ("6:b4AQ==", Ok(vec![binary(&[4, 1])])),
        ("6:b4AQID", Ok(vec![binary(&[4, 1, 2, 3])])),
        ("2:b4", Ok(vec![binary(&[4])])),
        ("", Err(Empty)),
        ("6:4hell", Err(Length)),
        ("7:4hello", Err(Length)),
        ("5:4hello", Err(Length)),
        ("2:4😀", Err(Length)),
        ("1:4😀", Err(Length)),
        ("4:4😀", Err(Length)),
        ("06:4hello", Err(Length)),
        ("00:", Err(Length)),
        ("0x6:4hello", Err(Length)),
        ("1e0:4", Err(Length)),
        ("1.0:4", Err(Length)),
        (" 1:4", Err(Length)),
        ("+1:4", Err(Length)),
        ("-1:4", Err(Length)),
        ("1: 4", Err(Type)),
        (":", Err(Length)),
        (":4", Err(Length)),
        ("a:4", Err(Length)),
        ("6", Err(Length)),
        ("6:4hello2", Err(Length)),
        ("99999999999999999999:4", Err(Length)),
        ("18446744073709551617:4", Err(Length)),
        ("1:7", Err(Type)),
        ("1:b", Err(Type)),
        ("6:b9AQID", Err(Type)),
        ("5:b4A*Q", Err(Base64)),
        ("6:b4-_-_", Err(Base64)),
        ("3:b4A", Err(Base64)),
        ("6:4hello1:9", Err(Type)),
    ] {
        assert_eq!(decode(Three, Some(TEXT), body.as_bytes()), expected, "{body}");
        assert_eq!(decode(Three, None, body.as_bytes()), expected, "{body}");
    }
    assert_eq!(decode(Three, None, b"2:4\xff"), Err(Malformed::Utf8));
}

#[test]
fn binary_payloads_of_revision_3_are_whole_or_nothing() {
    use Malformed::{Empty, Length, Type, Utf8};
    for (body, expected) in [
        (&b"\x00\x06\xff4hello"[..], Ok(vec![text("4hello")])),
        (b"\x01\x04\xff\x04\x01\x02\x03", Ok(vec![binary(&[4, 1, 2, 3])])),
        (b"\x00\x04\xff4\xe2\x82\xac\x01\x01\xff\x04", Ok(vec![text("4€"), binary(&[4])])),
        (b"\x00\x06\xffb4AQID", Ok(vec![binary(&[4, 1, 2, 3])])),
        (b"\x00\x01\x00\xff434567890", Err(Length)),
        (b"\x00\x01\x00\xff4234567890", Ok(vec![text("4234567890")])),
        (b"", Err(Empty)),
        (b"\x00", Err(Length)),
        (b"\x00\x01", Err(Length)),
        (b"\x00\xff4", Err(Length)),
        (b"\x00\x01\xff", Err(Length)),
        (b"\x00\x02\xff4", Err(Length)),
        (b"\x01\x09\xff\x04\x01", Err(Length)),
        (b"\x00\x00\x06\xff4hello", Err(Length)),
        (b"\x00\x0a\xff4", Err(Length)),
        (b"\x00\x01\x804", Err(Length)),
        (b"\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff\x04", Err(Length)),
        (b"\x00\x00\xff", Err(Empty)),
        (b"\x01\x00\xff", Err(Empty)),
        (b"\x01\x01\xff\x09", Err(Type)),
        (b"\x00\x01\xff9", Err(Type)),
        (b"\x02\x01\xff4", Err(Type)),
        (b"\x00\x02\xff4\xff", Err(Utf8)),
        (b"\x00\x02\xff4\xe2\x00\x02\xff4\xe2", Err(Utf8)),
        (b"\x01\x01\xff\x04\x00", Err(Length)),
    ] {
        assert_eq!(decode(Three, Some(BINARY), body), expected, "{body:?}");
    }
}

#[test]
fn payloads_of_revision_4_are_whole_or_nothing() {
    use Malformed::{Base64, Empty, Type, Utf8};
    for (body, expected) in [
        (&b"4hello"[..], Ok(vec![text("4hello")])),
        (b"4hello\x1e2", Ok(vec![text("4hello"), text("2")])),
        (b"2probe", Ok(vec![text("2probe")])),
        (b"4\x1ebAQ\x1e6", Ok(vec![text("4"), binary(&[1]), text("6")])),
        (b"bAQID", Ok(vec![binary(&[1, 2, 3])])),
        (b"bAQ==", Ok(vec![binary(&[1])])),
        (b"bAR==", Ok(vec![binary(&[1])])),
        (b"bAQI=", Ok(vec![binary(&[1, 2])])),
        (b"b", Ok(vec![binary(&[])])),
        (b"", Err(Empty)),
        (b"abc", Err(Type)),
        (b"7", Err(Type)),
        (b"4a\x1e", Err(Empty)),
        (b"\x1e4a", Err(Empty)),
        (b"4a\x1e\x1e4b", Err(Empty)),
        (b"4a\x1e9", Err(Type)),
        (b"bA*Q", Err(Base64)),
        (b"bA", Err(Base64)),
        (b"b=", Err(Base64)),
        (b"bAQ=\x1e4", Ok(vec![binary(&[1]), text("4")])),
        (b"4a\x1e4\xff", Err(Utf8)),
        (b"6:4hello", Ok(vec![text("6:4hello")])),
    ] {
        assert_eq!(decode(Four, Some("text/plain;charset=UTF-8"), body), expected, "{body:?}");
    }
}

#[test]
fn only_revision_3_has_binary_payloads() {
    let body = b"\x00\x01\xff2";
    for content_type in [BINARY, "application/octet-stream; charset=x", "Application/Octet-Stream"] {
        assert_eq!(decode(Three, Some(content_type), body), Ok(vec![text("2")]));
        assert_eq!(decode(Four, Some(content_type), b"2"), Err(Malformed::ContentType));
    }
    for content_type in [None, Some(""), Some("text/plain"), Some("application/octet-streams")] {
        assert_eq!(decode(Three, content_type, b"1:2"), Ok(vec![text("2")]), "{content_type:?}");
        assert_eq!(decode(Four, content_type, b"2"), Ok(vec![text("2")]), "{content_type:?}");
    }
}

#[test]
fn more_packets_than_allowed_are_refused() {
    for (revision, content_type, one) in
        [(Three, TEXT, &b"1:2"[..]), (Three, BINARY, b"\x00\x01\xff2"), (Four, TEXT, b"2")]
    {
        let separator: &[u8] = if revision == Four { b"\x1e" } else { b"" };
        let of = |count| vec![one; count].join(separator);
        assert_eq!(decode_payload(revision, Some(content_type), &of(16), 16).unwrap().len(), 16);
        assert_eq!(decode_payload(revision, Some(content_type), &of(17), 16), Err(Malformed::TooMany));
    }
}

/// Bodies made to be slow or large: each is read in time linear in its length, which a quadratic reader would show as
/// minutes, and none is allocated for.
#[test]
fn hostile_bodies_are_read_in_linear_time() {
    const BYTES: usize = 4 << 20;
    for (revision, content_type, body) in [
        (Three, TEXT, b"9".repeat(BYTES)),
        (Three, TEXT, b"0:".repeat(BYTES / 2)),
        (Three, TEXT, b"1:4".repeat(BYTES / 3)),
        (Three, TEXT, "2:4é".repeat(BYTES / 5).into_bytes()),
        (Three, TEXT, [b"4194000:4".to_vec(), "é".repeat(BYTES / 2).into_bytes()].concat()),
        (Three, BINARY, vec![9; BYTES]),
        (Three, BINARY, vec![0; BYTES]),
        (Three, BINARY, b"\x00\x01\xff4".repeat(BYTES / 4)),
        (Four, TEXT, b"4\x1e".repeat(BYTES / 2)),
        (Four, TEXT, b"b\x1e".repeat(BYTES / 2)),
        (Four, TEXT, vec![b'b'; BYTES]),
    ] {
        let _ = decode_payload(revision, Some(content_type), &body, usize::MAX);
        assert!(decode_payload(revision, Some(content_type), &body, 16).map_or(0, |items| items.len()) <= 16);
    }
}

#[test]
fn utf16_is_counted_as_javascript_does() {
    for string in ["", "a", "é", "€", "😀", "aé€😀\u{ffff}\u{10000}", "plain text of some length, longer than a word"]
    {
        let units: Vec<_> = string.encode_utf16().collect();
        assert_eq!(utf16_len(string.as_bytes()), units.len());
        for count in 0..=units.len() + 1 {
            let expected = units.get(..count).and_then(|prefix| String::from_utf16(prefix).ok());
            assert_eq!(utf16_prefix(string, count), expected.map(|prefix| prefix.len()), "{count} of {string}");
        }
    }
}

fn framings() -> impl Strategy<Value = Framing> {
    (prop_oneof![Just(Three), Just(Four)], any::<bool>())
        .prop_map(|(revision, base64_only)| Framing { revision, base64_only })
}

/// Packets that a session might send: without the separator of revision 4, which JSON escapes.
fn items(revision: Revision) -> impl Strategy<Value = Vec<(Kind, Vec<u8>)>> {
    let text = ("[0-6]", "[^\u{1e}]{0,20}").prop_map(|(digit, data)| (Text, format!("{digit}{data}").into_bytes()));
    let binary = (0..=6u8, prop::collection::vec(any::<u8>(), 0..40)).prop_map(move |(kind, mut data)| {
        if revision == Three {
            data.insert(0, kind);
        }
        (Binary, data)
    });
    prop::collection::vec(prop_oneof![text, binary], 1..8)
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(
        (framing, items) in framings().prop_flat_map(|framing| (Just(framing), items(framing.revision)))
    ) {
        let (payload, content_type) = encode(framing, &items);
        let is_framed = framing.revision == Three && !framing.base64_only && items.iter().any(|(kind, _)| *kind == Binary);
        prop_assert_eq!(content_type == BINARY, is_framed);
        prop_assert_eq!(decode(framing.revision, Some(content_type), &payload), Ok(items));
    }

    #[test]
    fn a_cut_payload_of_revision_3_yields_nothing(
        (items, base64_only) in (items(Three), any::<bool>()), cut in any::<prop::sample::Index>()
    ) {
        let (payload, content_type) = encode(Framing { revision: Three, base64_only }, &items);
        let whole_items = |end: &usize| decode(Three, Some(content_type), &payload[..*end]);
        let end = cut.index(payload.len());
        if let Ok(decoded) = whole_items(&end) {
            // The cut fell between two items.
            prop_assert!(decoded.len() < items.len());
            prop_assert_eq!(&decoded[..], &items[..decoded.len()]);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        framing in framings(), body in prop::collection::vec(prop_oneof![0..12u8, 48..60u8, Just(255), any::<u8>()], 0..60)
    ) {
        for content_type in [TEXT, BINARY] {
            if let Ok(items) = decode(framing.revision, Some(content_type), &body) {
                let (payload, content_type) = encode(framing, &items);
                if !items.is_empty() {
                    prop_assert_eq!(decode(framing.revision, Some(content_type), &payload), Ok(items));
                }
            }
        }
    }
}
