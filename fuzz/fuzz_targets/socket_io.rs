//! Any text as a Socket.IO packet: nothing panics, `serde_json` and a plainer reader agree with what was read, what was
//! read is the same after it was written again, and placeholders are judged as a receiver would judge them.

#![no_main]

use jackfield::protocol::p2p::socket_io::{
    MAX_NAMESPACE_BYTES, Malformed, Packet, PacketType, arguments, elements, event, parse, placeholders_fit, write,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const MAX_ATTACHMENTS: u32 = 10;

fuzz_target!(|text: &str| {
    let parsed = parse(text.as_bytes(), MAX_ATTACHMENTS);
    if let Some(acceptable) = judged(text) {
        assert_eq!(parsed.is_ok(), acceptable, "{parsed:?}");
    }
    placeholders(text);
    // Whatever is no packet must do no harm either.
    let _ = (event(text.as_bytes()), elements(text.as_bytes()).count(), arguments(text.as_bytes()).count());

    let Ok(packet) = parsed else { return };
    rewritten(&packet);
    let Some(data) = packet.data else { return };
    placeholders(str::from_utf8(data).expect("part of a text"));
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    if let Value::Array(values) = &value {
        let read: Vec<Value> = elements(data).map(value_of).collect();
        assert_eq!(&read, values);
    }
    if matches!(packet.kind, PacketType::Event | PacketType::BinaryEvent) {
        let parts = event(data).expect("serde_json takes no half of a surrogate pair either");
        let name = value_of(parts.name_span);
        assert!(name == *parts.name || name.is_number());
        let read: Vec<Value> = arguments(parts.arguments).map(value_of).collect();
        assert_eq!(Some(&name), value.get(0));
        assert_eq!(Some(&read[..]), value.as_array().map(|values| &values[1..]));
    }
});

/// A span holds one value and no space around it.
fn value_of(span: &[u8]) -> Value {
    assert_eq!(span, span.trim_ascii());
    serde_json::from_slice(span).expect("a span is one value")
}

/// Whether a text is a packet, by splitting strings. `None` where `serde_json` cannot say, for what JSON allows and it
/// cannot hold.
fn judged(text: &str) -> Option<bool> {
    let mut rest = text;
    let Some(kind @ '0'..='6') = rest.chars().next() else { return Some(false) };
    rest = &rest[1..];
    if kind >= '5' {
        let Some((count, behind)) = rest.split_once('-') else { return Some(false) };
        let is_number = !count.is_empty() && count.len() <= 9 && count.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || !(1..=MAX_ATTACHMENTS).contains(&count.parse().expect("at most nine digits")) {
            return Some(false);
        }
        rest = behind;
    }
    if rest.starts_with('/') {
        let (namespace, behind) = rest.split_once(',').unwrap_or((rest, ""));
        if namespace.split('?').next().is_some_and(|name| name.len() > MAX_NAMESPACE_BYTES) {
            return Some(false);
        }
        rest = behind;
    }
    let data = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    if rest.len() - data.len() > 15 || data.starts_with([' ', '\t', '\r', '\n']) {
        return Some(false);
    }
    if data.is_empty() {
        return Some(matches!(kind, '0' | '1'));
    }
    let value: Value = serde_json::from_str(data).ok()?;
    Some(match kind {
        '0' => value.is_object(),
        '1' => false,
        '4' => value.is_object() || value.is_string(),
        '3' | '6' => value.is_array(),
        _ => value.get(0).is_some_and(|name| value.is_array() && (name.is_string() || name.is_number())),
    })
}

/// Writes a packet again; reading that must give the same.
fn rewritten(packet: &Packet<'_>) {
    let Packet { kind, attachments, namespace, id, data, .. } = *packet;
    assert_eq!(attachments > 0, kind.is_binary());
    let (prefix, list) = match (kind, id) {
        (PacketType::Event | PacketType::BinaryEvent, _) => (write::event(attachments, namespace, id), true),
        (PacketType::Ack | PacketType::BinaryAck, Some(id)) => (write::ack(attachments, namespace, id), true),
        (PacketType::Connect, None) => (write::connect(namespace), false),
        (PacketType::Disconnect, None) => (write::disconnect(namespace), false),
        _ => return,
    };
    let data = data.unwrap_or_default();
    let text = [&prefix[..prefix.len() - usize::from(list)], data].concat();
    let again = parse(text.strip_prefix(b"4").expect("a message"), attachments);
    assert_eq!(again, Ok(Packet { query: None, ..*packet }));
    if attachments > 1 {
        assert_eq!(parse(&text[1..], attachments - 1), Err(Malformed::TooManyAttachments));
    }
}

/// Whether a receiver finds every attachment it is told to look for.
fn placeholders(data: &str) {
    let fits = placeholders_fit(data.as_bytes(), 2);
    let Ok(value) = serde_json::from_str::<Value>(data) else { return };
    // `Value` does not hold what members of the same name hide, and numbers of any size are one text only when rewritten.
    assert!(!fits || all_fit(&value, 2.0), "{data}");
    let plain = value.to_string();
    assert_eq!(placeholders_fit(plain.as_bytes(), 2), all_fit(&value, 2.0), "{plain}");
}

fn all_fit(value: &Value, attachments: f64) -> bool {
    match value {
        Value::Array(values) => values.iter().all(|value| all_fit(value, attachments)),
        Value::Object(members) => {
            let is_placeholder = members.get("_placeholder") == Some(&Value::Bool(true));
            let number = members.get("num").and_then(Value::as_f64);
            let fits = number.is_some_and(|number| (0.0..attachments).contains(&number));
            (fits || !is_placeholder) && members.values().all(|value| all_fit(value, attachments))
        }
        _ => true,
    }
}
