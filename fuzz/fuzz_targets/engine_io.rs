//! Any bytes as an Engine.IO request: nothing panics, a body yields packets or nothing, what was decoded is the same after
//! it was encoded again in every framing, and JavaScript's way of counting agrees with ours.
//!
//! The first byte of the input chooses revision, content type and the limit on packets; what follows is the body, the
//! query, the form.

#![no_main]

use std::borrow::Cow;

use jackfield::frame::message::Kind;
use jackfield::http;
use jackfield::protocol::p2p::engine_io::jsonp::{form_payload, push_script};
use jackfield::protocol::p2p::engine_io::payload::{Item, decode_payload, encode_payload};
use jackfield::protocol::p2p::engine_io::{Call, Malformed, Revision, packet, push_wrapped, unwrapped};
use libfuzzer_sys::fuzz_target;

const BINARY: &str = "application/octet-stream";

fuzz_target!(|input: &[u8]| {
    let Some((&choice, body)) = input.split_first() else { return };
    let revision = if choice & 1 == 0 { Revision::Three } else { Revision::Four };
    let content_type = (choice & 2 != 0).then_some(BINARY);
    let max_packets = if choice & 4 == 0 { usize::MAX } else { usize::from(choice >> 3) };

    payload(revision, content_type, max_packets, body);
    item(body);
    if let Ok(text) = str::from_utf8(body) {
        script(text);
        request(text);
    }
    if let Ok(text) = form_payload(body) {
        payload(Revision::Three, None, max_packets, text.as_bytes());
    }
});

fn payload(revision: Revision, content_type: Option<&str>, max_packets: usize, body: &[u8]) {
    let decoded = decode_payload(revision, content_type, body, max_packets);
    if revision == Revision::Three && content_type.is_none() {
        counted_like_javascript(body, max_packets, &decoded);
    }
    let Ok(items) = decoded else { return };
    assert!(items.len() <= max_packets);
    for (kind, item) in &items {
        packet(*kind, item, revision).expect("decoded items are packets");
        assert_eq!(unwrapped(*kind, item, revision), Ok(None), "base64 was resolved");
        assert!(*kind == Kind::Binary || str::from_utf8(item).is_ok());
    }
    for base64_only in [false, true] {
        let mut encoded = Vec::new();
        let borrowed = items.iter().map(|(kind, item)| (*kind, &**item));
        let content_type = encode_payload(revision, base64_only, borrowed, &mut encoded);
        assert!(!(base64_only && content_type == BINARY));
        let again = decode_payload(revision, Some(content_type), &encoded, max_packets);
        assert_eq!(again.as_deref(), Ok(&items[..]), "{encoded:?}");
    }
}

/// The same, said in UTF-16.
fn counted_like_javascript(body: &[u8], max_packets: usize, decoded: &Result<Vec<Item<'_>>, Malformed>) {
    let expected = str::from_utf8(body).ok().and_then(|body| {
        let units: Vec<u16> = body.encode_utf16().collect();
        let mut rest = &units[..];
        let mut items: Vec<Item<'static>> = Vec::new();
        while !rest.is_empty() {
            let colon = rest.iter().position(|&unit| unit == u16::from(b':'))?;
            let digits = String::from_utf16(&rest[..colon]).ok()?;
            let length: usize = digits.parse().ok()?;
            if digits != length.to_string() {
                return None;
            }
            let item = String::from_utf16(rest[colon + 1..].get(..length)?).ok()?.into_bytes();
            rest = &rest[colon + 1 + length..];
            match unwrapped(Kind::Text, &item, Revision::Three).ok()? {
                _ if item.is_empty() => {}
                Some(binary) => items.push((Kind::Binary, Cow::Owned(binary))),
                None => {
                    packet(Kind::Text, &item, Revision::Three).ok()?;
                    items.push((Kind::Text, Cow::Owned(item)));
                }
            }
        }
        (!units.is_empty() && items.len() <= max_packets).then_some(items)
    });
    assert_eq!(decoded.as_ref().ok(), expected.as_ref());
}

/// Bytes as one item, of either kind.
fn item(body: &[u8]) {
    for revision in [Revision::Three, Revision::Four] {
        let _ = packet(Kind::Text, body, revision);
        let _ = unwrapped(Kind::Text, body, revision);
        if packet(Kind::Binary, body, revision).is_ok() {
            let mut wrapped = Vec::new();
            push_wrapped(&mut wrapped, body, revision);
            assert_eq!(unwrapped(Kind::Text, &wrapped, revision).expect("just wrapped").as_deref(), Some(body));
        }
    }
}

fn script(text: &str) {
    let mut script = Vec::new();
    push_script(&mut script, 7, text.as_bytes());
    let script = String::from_utf8(script).expect("text stays text");
    assert!(!script.contains("</") && !script.contains(|character: char| character < ' '));
    assert!(!script.contains(['\u{2028}', '\u{2029}']));
    let string = script.strip_prefix("___eio[7](").and_then(|rest| rest.strip_suffix(");")).expect("one call");
    assert_eq!(serde_json::from_str::<String>(string).ok().as_deref(), Some(text));
}

fn request(query: &str) {
    let head = format!("GET /socket.io/?{query} HTTP/1.1\r\nHost: a\r\n\r\n");
    let Ok(Some(request)) = http::parse(head.as_bytes(), head.len(), 8) else { return };
    match Call::parse(&request) {
        Ok(call) => {
            assert!(call.sid.is_none_or(|sid| !sid.is_empty()));
            assert!(call.jsonp.is_none() || call.base64_only);
        }
        Err(error) => {
            let body: serde_json::Value = serde_json::from_slice(&error.body(None)).expect("JSON");
            assert_eq!(body["code"], error.code());
            assert_eq!(body["message"], error.message());
        }
    }
}
