use super::*;
use crate::protocol::recorder::Effect;

#[test]
fn what_is_said_to_a_room_reaches_the_others_in_it() {
    let mut stage = Stage::new();
    let (a, b, c, d) =
        (stage.open(Kin::G5, "A"), stage.open(Kin::G2, "B"), stage.open(Kin::G0, "C"), stage.open(Kin::G5, "D"));
    for who in [a, b, c] {
        let name = stage.names[&who].clone();
        for ack in [1, 2] {
            assert_eq!(stage.emit(who, ack, r#""JOIN_ROOM","r""#), [format!("{name} 43{ack}[null]")]);
        }
    }
    let mut heard = stage.emit(a, None, r#""EMIT_ROOM","r","x",1,{"a":[]}"#);
    heard.sort();
    assert_eq!(heard, [r#"B 42["x",1,{"a":[]}]"#, r#"C 42["x",1,{"a":[]}]"#]);
    // From outside too.
    assert_eq!(stage.emit(d, 3, r#""EMIT_ROOM","r","x""#).len(), 4);
    assert_eq!(stage.emit(d, 4, r#""EMIT_ROOM","s","x""#), ["D 434[null]"]);
    assert_eq!(stage.emit(b, 5, r#""LEAVE_ROOM","r""#), ["B 435[null]"]);
    assert_eq!(stage.emit(b, 6, r#""LEAVE_ROOM","r""#), ["B 436[null]"], "again");
    assert_eq!(stage.emit(a, None, r#""EMIT_ROOM","\u0072",7"#), [r#"C 42["7"]"#]);
    stage.say(c, "41");
    assert!(stage.emit(a, None, r#""EMIT_ROOM","r","x""#).is_empty());
    for who in [a, b, c, d] {
        assert!(stage.close(who).is_empty());
    }
    assert!(stage.is_empty());
}

#[test]
fn a_room_is_written_to_once_and_waits_for_nobody() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G5, "A");
    let others = ["B", "C", "D"].map(|id| stage.open(Kin::G5, id));
    for who in others {
        stage.emit(who, None, r#""JOIN_ROOM","r""#);
    }
    let effects = stage.world.text(a, r#"42["EMIT_ROOM","r","x",1]"#);
    let [Effect::Broadcast { members, payload, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((&members[..], &payload[..]), (&others[..], &br#"42["x",1]"#[..]));
}

#[test]
fn attachments_are_written_in_each_members_manner() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G5, "A");
    let claim = |id: &str| Claim { id: Some(id.into()), generation: Generation::Later, is_operator: false };
    let mut members = vec![stage.open(Kin::G5, "B"), stage.open(Kin::G2, "C")];
    for (id, revision) in [("D", Revision::Four), ("E", Revision::Three)] {
        members.push(stage.come_as(id, claim(id), revision, Transport::WebSocket, true).0);
    }
    for who in members {
        stage.emit(who, None, r#""JOIN_ROOM","r""#);
    }
    let event = r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    let list = &event[1..event.len() - 1];
    stage.say(a, &format!(r#"452-["EMIT_ROOM","r","x",{list}]"#));
    stage.attach(a, &[0, 255]);
    let heard = stage.attach(a, b"a");
    let of = |name: &str| -> Vec<&str> {
        heard.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect()
    };
    let text = format!(r#"452-["x",{list}]"#);
    assert_eq!(of("B"), [&text, "<00ff>", "<61>"]);
    assert_eq!(of("C"), [&text, "<0400ff>", "<0461>"]);
    assert_eq!(of("D"), [&text, "bAP8=", "bYQ=="]);
    assert_eq!(of("E"), [&text, "b4AP8=", "b4YQ=="]);
}

#[test]
fn rooms_have_names_and_a_number() {
    let mut stage = Stage::new();
    stage.world.config.limits.max_rooms = 2;
    stage.world.config.limits.max_name = 5;
    let a = stage.open(Kin::G5, "A");
    let b = stage.open(Kin::G5, "B");
    for (event, why) in [
        (r#""JOIN_ROOM""#, "JOIN_ROOM: the name is not a string"),
        (r#""JOIN_ROOM",null"#, "JOIN_ROOM: the name is not a string"),
        (r#""JOIN_ROOM",["r"]"#, "JOIN_ROOM: the name is not a string"),
        (r#""JOIN_ROOM","""#, "JOIN_ROOM: the name is empty"),
        (r#""JOIN_ROOM","123456""#, "JOIN_ROOM: the name has more than 5 bytes (--max-name)"),
        (r#""LEAVE_ROOM",{}"#, "LEAVE_ROOM: the name is not a string"),
        (r#""EMIT_ROOM","r""#, "EMIT_ROOM: room and event must be strings"),
        (r#""EMIT_ROOM","r",null"#, "EMIT_ROOM: room and event must be strings"),
        (r#""EMIT_ROOM",{},"x""#, "EMIT_ROOM: room and event must be strings"),
    ] {
        assert_eq!(stage.emit(a, None, event), [error("A", &format!("Error: {why}"))]);
        assert_eq!(stage.emit(a, 1, event), [format!(r#"A 431["Error: {why}"]"#)]);
    }
    for room in ["r", "7", "r"] {
        assert_eq!(stage.emit(a, 1, &format!(r#""JOIN_ROOM","{room}""#)), ["A 431[null]"]);
    }
    assert_eq!(stage.emit(a, 1, r#""JOIN_ROOM","s""#), [r#"A 431["Error: JOIN_ROOM: too many rooms (--max-rooms)"]"#]);
    assert_eq!(stage.emit(b, None, r#""EMIT_ROOM",7,"x""#), [r#"A 42["x"]"#]);
    stage.emit(a, None, r#""LEAVE_ROOM",7"#);
    assert_eq!(stage.emit(a, 1, r#""JOIN_ROOM","s""#), ["A 431[null]"]);
}
