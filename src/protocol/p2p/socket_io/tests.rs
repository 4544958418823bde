use proptest::prelude::*;
use serde_json::Value;

use super::*;
use PacketType::{Ack, BinaryAck, BinaryEvent, Connect, ConnectError, Disconnect, Event};

const MAX_ATTACHMENTS: u32 = 10;

/// A packet without a query.
fn packet<'t>(kind: PacketType, attachments: u32, namespace: &'t str, id: Option<u64>, data: &'t str) -> Packet<'t> {
    let data = (!data.is_empty()).then_some(data.as_bytes());
    Packet { kind, attachments, namespace, query: None, id, data }
}

#[test]
fn packets_read_as_the_original_writes_them() {
    for (text, expected) in [
        ("0", packet(Connect, 0, "/", None, "")),
        ("0{}", packet(Connect, 0, "/", None, "{}")),
        (r#"0{"token":"a"}"#, packet(Connect, 0, "/", None, r#"{"token":"a"}"#)),
        ("0/admin", packet(Connect, 0, "/admin", None, "")),
        ("0/admin,", packet(Connect, 0, "/admin", None, "")),
        (r#"0/admin,{"a":1}"#, packet(Connect, 0, "/admin", None, r#"{"a":1}"#)),
        ("0/admin?a=1&b=/,", Packet { query: Some("a=1&b=/"), ..packet(Connect, 0, "/admin", None, "") }),
        ("0/?a", Packet { query: Some("a"), ..packet(Connect, 0, "/", None, "") }),
        ("1", packet(Disconnect, 0, "/", None, "")),
        ("1/admin,", packet(Disconnect, 0, "/admin", None, "")),
        (r#"2["a"]"#, packet(Event, 0, "/", None, r#"["a"]"#)),
        (r#"212["a",1]"#, packet(Event, 0, "/", Some(12), r#"["a",1]"#)),
        (r#"20["a"]"#, packet(Event, 0, "/", Some(0), r#"["a"]"#)),
        (r#"2007["a"]"#, packet(Event, 0, "/", Some(7), r#"["a"]"#)),
        (r#"2999999999999999["a"]"#, packet(Event, 0, "/", Some(999_999_999_999_999), r#"["a"]"#)),
        (r#"2/admin,12["a",{}]"#, packet(Event, 0, "/admin", Some(12), r#"["a",{}]"#)),
        (r#"2/a/b,1["x"]"#, packet(Event, 0, "/a/b", Some(1), r#"["x"]"#)),
        (r#"2/,["a"]"#, packet(Event, 0, "/", None, r#"["a"]"#)),
        (r#"2["a" , 1 ] "#, packet(Event, 0, "/", None, r#"["a" , 1 ]"#)),
        ("2[1]", packet(Event, 0, "/", None, "[1]")),
        ("2[-1.5e3,2]", packet(Event, 0, "/", None, "[-1.5e3,2]")),
        ("312[]", packet(Ack, 0, "/", Some(12), "[]")),
        ("312[1]", packet(Ack, 0, "/", Some(12), "[1]")),
        ("3[1]", packet(Ack, 0, "/", None, "[1]")),
        (r#"4"x""#, packet(ConnectError, 0, "/", None, r#""x""#)),
        (r#"4/admin,{"message":"x"}"#, packet(ConnectError, 0, "/admin", None, r#"{"message":"x"}"#)),
        (r#"51-["a",{}]"#, packet(BinaryEvent, 1, "/", None, r#"["a",{}]"#)),
        (r#"510-/admin,7["a"]"#, packet(BinaryEvent, 10, "/admin", Some(7), r#"["a"]"#)),
        (r#"501-["a"]"#, packet(BinaryEvent, 1, "/", None, r#"["a"]"#)),
        ("61-7[]", packet(BinaryAck, 1, "/", Some(7), "[]")),
    ] {
        assert_eq!(parse(text.as_bytes(), MAX_ATTACHMENTS), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_packet_is_refused() {
    use Malformed::{Attachments, Id, NotJson, Shape, TooManyAttachments, Type};
    for (text, error) in [
        ("", Type),
        ("7", Type),
        ("a", Type),
        ("-", Type),
        ("0null", Shape),
        ("0[]", Shape),
        ("0\"a\"", Shape),
        ("1{}", Shape),
        ("1null", Shape),
        ("2", Shape),
        ("212", Shape),
        ("2/admin", Shape),
        (r#"2/admin["a"]"#, Shape),
        ("2[]", Shape),
        ("2[null]", Shape),
        ("2[[\"a\"]]", Shape),
        ("2[{}]", Shape),
        ("2{}", Shape),
        ("2\"a\"", Shape),
        (r#"2 ["a"]"#, Shape),
        ("2\t[\"a\"]", Shape),
        (r#"21 ["a"]"#, Shape),
        (r#"21 2["a"]"#, NotJson),
        (r#"2["a""#, NotJson),
        (r#"2["a"]]"#, NotJson),
        (r#"2["a",]"#, NotJson),
        (r#"2["a"]["b"]"#, NotJson),
        ("2['a']", NotJson),
        (r#"2-1["a"]"#, NotJson),
        (r#"21.5["a"]"#, NotJson),
        ("2 ", NotJson),
        (r#"21000000000000000["a"]"#, Id),
        (r#"299999999999999999999["a"]"#, Id),
        ("312", Shape),
        ("312{}", Shape),
        ("4", Shape),
        ("41", Shape),
        ("4null", Shape),
        ("4[]", Shape),
        ("5", Attachments),
        (r#"5["a"]"#, Attachments),
        (r#"5-["a"]"#, Attachments),
        (r#"50-["a"]"#, Attachments),
        (r#"51["a"]"#, Attachments),
        (r#"5-1-["a"]"#, Attachments),
        (r#"51.5-["a"]"#, Attachments),
        (r#"51e0-["a"]"#, Attachments),
        (r#"511-["a"]"#, TooManyAttachments),
        (r#"599999999999999999999-["a"]"#, TooManyAttachments),
        ("51-", Shape),
        ("51-[]", Shape),
        ("61-", Shape),
    ] {
        assert_eq!(parse(text.as_bytes(), MAX_ATTACHMENTS), Err(error), "{text}");
    }
    assert_eq!(parse(b"0/\xff,", MAX_ATTACHMENTS), Err(Malformed::Namespace));
    let deep = |levels: usize| format!("2[\"a\",{}1{}]", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(deep(126).as_bytes(), 0).is_ok());
    assert_eq!(parse(deep(127).as_bytes(), 0), Err(NotJson));
    assert_eq!(parse(deep(100_000).as_bytes(), 0), Err(NotJson));
}

#[test]
fn namespaces_have_a_longest_name() {
    let text = |bytes: usize| format!("0/{}?query,", "n".repeat(bytes - 1));
    assert_eq!(parse(text(128).as_bytes(), 0).unwrap().namespace.len(), 128);
    assert_eq!(parse(text(129).as_bytes(), 0), Err(Malformed::Namespace));
    let longest = format!("/{}", "n".repeat(127));
    assert_eq!(write::event(u32::MAX, &longest, Some(u64::MAX)).len(), 2 + 11 + 129 + 20 + 1);
}

#[test]
fn an_event_is_a_name_and_arguments() {
    for (data, name, name_span, rest) in [
        (r#"["a"]"#, "a", r#""a""#, ""),
        (r#"["a",1]"#, "a", r#""a""#, "1"),
        (r#"[ "a" , 1 , [2, "]"] ]"#, "a", r#""a""#, r#"1 , [2, "]"]"#),
        (r#"["\u0061\n\"",{}]"#, "a\n\"", r#""\u0061\n\"""#, "{}"),
        (r#"["",null]"#, "", r#""""#, "null"),
        (r#"["é,[",0]"#, "é,[", r#""é,[""#, "0"),
        ("[-1e2,2]", "-1e2", "-1e2", "2"),
    ] {
        let expected = EventData { name: name.into(), name_span: name_span.as_bytes(), arguments: rest.as_bytes() };
        assert_eq!(event(data.as_bytes()), Ok(expected), "{data}");
    }
    for data in ["", "[]", "[null]", "[[]]", "[{}]", "[true]", "{}", "\"a\"", r#"["\ud800"]"#, "[", "[\"a", "[\"a]"] {
        assert_eq!(event(data.as_bytes()), Err(Malformed::Shape), "{data}");
    }
}

#[test]
fn a_plain_name_is_borrowed() {
    assert!(matches!(event(br#"["P2P_EMIT",1]"#).unwrap().name, Cow::Borrowed("P2P_EMIT")));
}

#[test]
fn elements_and_arguments_differ_in_their_brackets() {
    let spans =
        |elements: Elements<'_>| elements.map(|span| str::from_utf8(span).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(spans(elements(b"[1,[2],\"3\"]")), ["1", "[2]", "\"3\""]);
    assert_eq!(spans(elements(b"[]")), [""; 0]);
    assert_eq!(spans(elements(b"{}")), [""; 0]);
    assert_eq!(spans(arguments(b"[1],[2]")), ["[1]", "[2]"]);
    assert_eq!(spans(arguments(b"")), [""; 0]);
    let mut walk = arguments(br#""room","event",1,{"a":2}"#);
    assert_eq!((walk.next(), walk.next()), (Some(&br#""room""#[..]), Some(&br#""event""#[..])));
    assert_eq!(walk.rest(), br#"1,{"a":2}"#);
}

#[test]
fn placeholders_are_judged_as_receivers_do() {
    for (data, fits) in [
        (r#"["a"]"#, true),
        (r#"["a",{"_placeholder":true,"num":0}]"#, true),
        (r#"["a",{"num":0,"_placeholder":true}]"#, true),
        (r#"["a",{"x":0,"num":0,"y":[],"_placeholder":true,"z":{}}]"#, true),
        (r#"["a",{"_placeholder":1,"num":9}]"#, true),
        (r#"["a",{"_placeholder":"true","num":9}]"#, true),
        (r#"["a",{"_placeholder":[true],"num":9}]"#, true),
        (r#"["a",{"placeholder":true,"num":9}]"#, true),
        (r#"["a","_placeholder",true,{"num":9}]"#, true),
        (r#"["a",{"_placeholder":true,"num":-0}]"#, true),
        (r#"["a",{"_placeholder":true,"num":0.5}]"#, true),
        (r#"["a",{"_placeholder":true,"num":0e0}]"#, true),
        (r#"["a",{"_placeholder":true,"num":9,"num":0}]"#, true),
        (r#"["a",{"_placeholder":true,"_placeholder":false,"num":9}]"#, true),
        (r#"["a",{"_placeholder":true,"_placeholder":{},"num":9}]"#, true),
        (r#"{"_placeholder":true,"num":0}"#, true),
        ("1", true),
        (r#"["a",{"_placeholder":true,"num":1}]"#, false),
        (r#"["a",{"_placeholder":true}]"#, false),
        (r#"["a",{"_placeholder":true,"num":"0"}]"#, false),
        (r#"["a",{"_placeholder":true,"num":-1}]"#, false),
        (r#"["a",{"_placeholder":true,"num":1e0}]"#, false),
        (r#"["a",{"_placeholder":true,"num":1e999}]"#, false),
        (r#"["a",{"_placeholder":true,"num":0,"num":9}]"#, false),
        (r#"["a",{"_placeholder":true,"num":0,"num":{}}]"#, false),
        (r#"["a",{"_placeholder":true,"num":[0]}]"#, false),
        (r#"["a",{"_placeholder":true,"num":null}]"#, false),
        (r#"["a",{"_placeholder":false,"_placeholder":true,"num":9}]"#, false),
        (r#"["a",{"\u005fplaceholder":true,"n\u0075m":9}]"#, false),
        (r#"["a",{"\u005f\u0070\u006c\u0061\u0063\u0065\u0068\u006f\u006c\u0064\u0065\u0072":true,"num":9}]"#, false),
        (r#"["a",{"x":[{"y":{"_placeholder":true,"num":9}}]}]"#, false),
        (r#"["a",{"_placeholder":true,"x":{"num":0}}]"#, false),
        (r#"["a",{"_placeholder":true,"x":{"_placeholder":true,"num":0}}]"#, false),
        (r#"["a",{"_placeholder":{"_placeholder":true,"num":9},"num":1}]"#, false),
        // The receiver would not look inside; nobody writes such.
        (r#"["a",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":9}}]"#, false),
        (r#"["a",{"b":{"_placeholder":true,"num":9},"b":1}]"#, false),
        ("[", false),
        ("", false),
        ("[1,]", false),
    ] {
        assert_eq!(placeholders_fit(data.as_bytes(), 1), fits, "{data}");
    }
    assert!(placeholders_fit(br#"[{"_placeholder":true,"num":9}]"#, 10));
    assert!(!placeholders_fit(br#"[{"_placeholder":true,"num":10}]"#, 10));
    assert!(!placeholders_fit(br#"[{"_placeholder":true,"num":0}]"#, 0));
    let deep = |num| format!("{}{{\"_placeholder\":true,\"num\":{num}}}{}", "[".repeat(126), "]".repeat(126));
    assert!(placeholders_fit(deep(0).as_bytes(), 1));
    assert!(!placeholders_fit(deep(1).as_bytes(), 1));
}

#[test]
fn packets_are_written_as_the_original_writes_them() {
    for (prefix, expected) in [
        (write::event(0, "/", None), "42["),
        (write::event(0, "/", Some(0)), "420["),
        (write::event(0, "/admin", Some(17)), "42/admin,17["),
        (write::event(1, "/", Some(17)), "451-17["),
        (write::event(10, "/admin", None), "4510-/admin,["),
        (write::ack(0, "/", 17), "4317["),
        (write::ack(1, "/admin", 3), "461-/admin,3["),
        (write::connect("/"), "40"),
        (write::connect("/admin"), "40/admin,"),
        (write::disconnect("/"), "41"),
        (write::disconnect("/admin"), "41/admin,"),
    ] {
        assert_eq!(str::from_utf8(&prefix).unwrap(), expected);
    }
    type Writer = fn(&mut Vec<u8>, &str, &str);
    for (push, namespace, text, expected) in [
        (write::push_connect_with_sid as Writer, "/", "x", r#"40{"sid":"x"}"#),
        (write::push_connect_with_sid, "/admin", "x", r#"40/admin,{"sid":"x"}"#),
        (write::push_error, "/", "a\"b", r#"44"a\"b""#),
        (write::push_error, "/admin", "Invalid namespace", r#"44/admin,"Invalid namespace""#),
        (write::push_connect_error, "/", "x", r#"44{"message":"x"}"#),
        (write::push_connect_error, "/admin", "Invalid namespace", r#"44/admin,{"message":"Invalid namespace"}"#),
    ] {
        let mut out = b"kept".to_vec();
        push(&mut out, namespace, text);
        assert_eq!(str::from_utf8(&out).unwrap(), format!("kept{expected}"));
    }
}

/// An event as a session writes it.
fn relayed(prefix: &[u8], event: &EventData<'_>) -> Vec<u8> {
    let comma: &[u8] = if event.arguments.is_empty() { b"" } else { b"," };
    [prefix, event.name_span, comma, event.arguments, write::END].concat()
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        name in "\\PC{0,12}", values in prop::collection::vec("\\PC{0,8}|[0-9]{1,3}", 0..4),
        attachments in 0..=10u32, namespace in "/[a-z/]{0,10}", id in prop::option::of(0..1_000_000_000_000_000u64)
    ) {
        let values: Vec<Value> = values.into_iter().map(Value::from).collect();
        let data = Value::from([&[Value::from(name.as_str())], &values[..]].concat()).to_string();
        let parts = event(data.as_bytes()).unwrap();
        prop_assert_eq!(&*parts.name, name.as_str());
        let spans: Vec<Value> = arguments(parts.arguments).map(|span| serde_json::from_slice(span).unwrap()).collect();
        prop_assert_eq!(spans, values);

        let text = relayed(&write::event(attachments, &namespace, id), &parts);
        let read = parse(text.strip_prefix(b"4").unwrap(), 10).unwrap();
        let kind = if attachments > 0 { BinaryEvent } else { Event };
        prop_assert_eq!(read, packet(kind, attachments, &namespace, id, &data));
    }

    #[test]
    fn any_text_is_read_or_refused(text in r#"[0-7]([0-9]{0,2}-)?(/[a-z?]{0,3},?)?[0-9]{0,2}[\[\]{}",:a1 ]{0,8}"#) {
        let Ok(packet) = parse(text.as_bytes(), 10) else { return Ok(()) };
        let is_json = packet.data.is_none_or(|data| serde_json::from_slice::<Value>(data).is_ok());
        prop_assert!(is_json);
        if matches!(packet.kind, Event | BinaryEvent) {
            let parts = event(packet.data.unwrap()).unwrap();
            prop_assert_eq!(elements(packet.data.unwrap()).count(), 1 + arguments(parts.arguments).count());
        }
    }
}
