use super::*;
use crate::http;

const GET: &str = "GET";
const POST: &str = "POST";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

/// What a request of this method, query and further fields asks for, with the `sid` and `j` that it names.
fn call(method: &str, query: &str, fields: &str) -> Result<(Revision, Transport, String, bool, Option<u32>), Error> {
    let text = format!("{method} /socket.io/?{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let request = http::parse(text.as_bytes(), 8192, 64).unwrap().expect("complete");
    let call = Call::parse(&request)?;
    Ok((call.revision, call.transport, call.sid.unwrap_or_default().into_owned(), call.base64_only, call.jsonp))
}

#[test]
fn a_call_says_what_the_query_says() {
    use Revision::{Four, Three};
    use Transport::{Polling, WebSocket};
    for (method, query, fields, revision, transport, sid, base64_only, jsonp) in [
        (GET, "EIO=4&transport=polling&t=abc", "", Four, Polling, "", false, None),
        (GET, "EIO=3&transport=polling", "", Three, Polling, "", false, None),
        (GET, "EIO=3&transport=polling&b64=1", "", Three, Polling, "", true, None),
        (GET, "EIO=4&transport=polling&b64=0", "", Four, Polling, "", true, None),
        (GET, "EIO=4&transport=polling&b64=", "", Four, Polling, "", false, None),
        (GET, "EIO=4&transport=polling&sid=a%20b", "", Four, Polling, "a b", false, None),
        (GET, "EIO=4&transport=polling&sid=", "", Four, Polling, "", false, None),
        (POST, "EIO=4&transport=polling&sid=a", "Content-Length: 1\r\n", Four, Polling, "a", false, None),
        (GET, "EIO=4&transport=websocket", UPGRADE, Four, WebSocket, "", false, None),
        (GET, "EIO=3&transport=websocket&sid=a&j=1", UPGRADE, Three, WebSocket, "a", false, None),
        (GET, "EIO=3&transport=polling&j=0", "", Three, Polling, "", true, Some(0)),
        (GET, "EIO=3&transport=polling&j=1a2", "", Three, Polling, "", true, Some(12)),
        (GET, "EIO=4&transport=polling&j=1", "", Four, Polling, "", false, None),
        (GET, "transport=%70olling&%45IO=4", "", Four, Polling, "", false, None),
    ] {
        let expected = (revision, transport, sid.to_owned(), base64_only, jsonp);
        assert_eq!(call(method, query, fields), Ok(expected), "{method} {query}");
    }
}

#[test]
fn what_a_request_cannot_ask_for_is_refused_in_the_original_order() {
    use Error::{BadMethod, BadRequest, UnknownTransport, UnsupportedVersion};
    for (method, query, fields, error) in [
        (GET, "", "", UnknownTransport),
        (GET, "EIO=4", "", UnknownTransport),
        (POST, "EIO=9&transport=abc&sid=a", "", UnknownTransport),
        (GET, "EIO=4&transport=webtransport", "", UnknownTransport),
        (GET, "EIO=4&transport=Polling", "", UnknownTransport),
        (POST, "EIO=9&transport=polling", "", BadMethod),
        (POST, "EIO=4&transport=polling&sid=", "", BadMethod),
        ("PUT", "EIO=4&transport=polling", "", BadMethod),
        ("HEAD", "EIO=4&transport=polling&sid=a", "", BadMethod),
        (GET, "EIO=4&transport=websocket", "", BadRequest),
        (GET, "EIO=9&transport=websocket&sid=a", "", BadRequest),
        (GET, "EIO=4&transport=polling", UPGRADE, BadRequest),
        (GET, "transport=polling", "", UnsupportedVersion),
        (GET, "EIO=&transport=polling", "", UnsupportedVersion),
        (GET, "EIO=2&transport=polling", "", UnsupportedVersion),
        (GET, "EIO=5&transport=polling", "", UnsupportedVersion),
        (GET, "EIO=abc&transport=websocket", UPGRADE, UnsupportedVersion),
        (GET, "EIO=04&transport=polling", "", UnsupportedVersion),
        (GET, "transport=polling&sid=a", "", BadRequest),
        (GET, "EIO=3&transport=polling&j=", "", BadRequest),
        (GET, "EIO=3&transport=polling&j=abc", "", BadRequest),
        (GET, "EIO=3&transport=polling&j=99999999999", "", BadRequest),
    ] {
        assert_eq!(call(method, query, fields), Err(error), "{method} {query}");
    }
}

#[test]
fn errors_read_as_the_original_writes_them() {
    for (error, status, body) in [
        (Error::UnknownTransport, 400, r#"{"code":0,"message":"Transport unknown"}"#),
        (Error::UnknownSid, 400, r#"{"code":1,"message":"Session ID unknown"}"#),
        (Error::BadMethod, 400, r#"{"code":2,"message":"Bad handshake method"}"#),
        (Error::BadRequest, 400, r#"{"code":3,"message":"Bad request"}"#),
        (Error::Forbidden, 403, r#"{"code":4,"message":"Forbidden"}"#),
        (Error::UnsupportedVersion, 400, r#"{"code":5,"message":"Unsupported protocol version"}"#),
    ] {
        assert_eq!((error.status(), error.body(None)), (status, body.as_bytes().to_vec()));
    }
}

#[test]
fn the_open_packet_says_all_that_a_client_needs() {
    let seconds = Duration::from_secs;
    let mut out = b"kept".to_vec();
    open_packet(&mut out, "a\"b", true, seconds(25), Duration::from_millis(20_500), 1_000_000);
    assert_eq!(
        str::from_utf8(&out).unwrap(),
        r#"kept0{"sid":"a\"b","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20500,"maxPayload":1000000}"#
    );
    out.clear();
    open_packet(&mut out, "s", false, seconds(1), seconds(2), 3);
    assert_eq!(out, br#"0{"sid":"s","upgrades":[],"pingInterval":1000,"pingTimeout":2000,"maxPayload":3}"#);
}

#[test]
fn an_item_is_a_type_and_data() {
    use Kind::{Binary, Text};
    use Revision::{Four, Three};
    for (kind, item, revision, expected) in [
        (Text, &b"4hello"[..], Four, Ok((PacketType::Message, &b"hello"[..]))),
        (Text, b"0{}", Three, Ok((PacketType::Open, b"{}"))),
        (Text, b"1", Three, Ok((PacketType::Close, b""))),
        (Text, b"2probe", Four, Ok((PacketType::Ping, b"probe"))),
        (Text, b"3", Four, Ok((PacketType::Pong, b""))),
        (Text, b"5", Three, Ok((PacketType::Upgrade, b""))),
        (Text, b"6", Three, Ok((PacketType::Noop, b""))),
        (Text, b"7", Four, Err(Malformed::Type)),
        (Text, b"/", Three, Err(Malformed::Type)),
        (Text, b"b4AQID", Three, Err(Malformed::Type)),
        (Text, b"\x04a", Three, Err(Malformed::Type)),
        (Text, b"", Four, Err(Malformed::Empty)),
        (Text, b"", Three, Err(Malformed::Empty)),
        (Binary, b"\x04\x01\x02", Three, Ok((PacketType::Message, b"\x01\x02"))),
        (Binary, b"\x04", Three, Ok((PacketType::Message, b""))),
        (Binary, b"\x07", Three, Err(Malformed::Type)),
        (Binary, b"4", Three, Err(Malformed::Type)),
        (Binary, b"", Three, Err(Malformed::Empty)),
        (Binary, b"\x09", Four, Ok((PacketType::Message, b"\x09"))),
        (Binary, b"", Four, Ok((PacketType::Message, b""))),
    ] {
        assert_eq!(packet(kind, item, revision), expected, "{kind:?} {item:?} {revision:?}");
    }
    for number in 0..=255 {
        let of_digit = PacketType::of(number).map(|kind| (kind as u8, kind.digit()));
        assert_eq!(of_digit, (number <= 6).then(|| (number, b'0' + number)));
    }
}

#[test]
fn base64_items_stand_for_binary_ones() {
    use Kind::{Binary, Text};
    use Revision::{Four, Three};
    for (kind, item, revision, expected) in [
        (Text, &b"bAQID"[..], Four, Ok(Some(&[1, 2, 3][..]))),
        (Text, b"b", Four, Ok(Some(&[]))),
        (Text, b"b4AQID", Three, Ok(Some(&[4, 1, 2, 3]))),
        (Text, b"b4", Three, Ok(Some(&[4]))),
        (Text, b"b4AQ", Three, Ok(Some(&[4, 1]))),
        (Text, b"b", Three, Err(Malformed::Type)),
        (Text, b"b9AQID", Three, Err(Malformed::Type)),
        (Text, b"b4A*Q", Three, Err(Malformed::Base64)),
        (Text, b"4bAQ", Four, Ok(None)),
        (Text, b"", Four, Ok(None)),
        (Binary, b"bAQ", Four, Ok(None)),
    ] {
        let unwrapped = unwrapped(kind, item, revision);
        assert_eq!(unwrapped.as_ref().map(Option::as_deref), expected.as_ref().copied(), "{item:?}");
    }
    for (item, revision, wrapped) in [
        (&[1, 2, 3][..], Four, "bAQID"),
        (&[1], Four, "bAQ=="),
        (&[], Four, "b"),
        (&[4, 1, 2], Three, "b4AQI="),
        (&[4], Three, "b4"),
    ] {
        let mut out = Vec::new();
        push_wrapped(&mut out, item, revision);
        assert_eq!(str::from_utf8(&out).unwrap(), wrapped);
    }
}
