//! What an honest but broken client says, and what a hostile one does: it is told so, or ignored, and nobody else
//! notices.

use proptest::prelude::*;

use super::super::names;
use super::*;

const RESERVED: &[&str] = &[
    "connect",
    "connect_error",
    "connect_timeout",
    "connecting",
    "error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
    "reconnect",
    "reconnect_attempt",
    "reconnecting",
    "reconnect_error",
    "reconnect_failed",
    "ping",
    "pong",
    "P2P_REGISTER",
    "P2P_REGISTER_SUCCESS",
    "P2P_REGISTER_FAILED",
    "P2P_REGISTER_STREAM",
    "P2P_UNREGISTER",
    "P2P_DISCONNECT",
    "SERVER_ERROR",
    "SERVER_PING",
    "TARGET_DISCONNECT",
    "MULTI_API_TARGET_DISCONNECT",
    "ADD_TARGET",
    "MULTI_API_ADD_TARGET",
    "CREATE_STREAM",
    "CREATE_STREAM-CHANNEL-x",
    "MULTI_API_CREATE_STREAM",
    "DEVICES_CHANGED",
];

/// Events of others that only look like one of those.
const FREE: &[&str] = &[
    "Connect",
    "connected",
    "connect ",
    "errors",
    "message",
    "pings",
    "P2P_EMIT",
    "P2P_EMIT_STREAM",
    "P2P_EMIT_STREAM-from-stream-1",
    "PEER_STREAM_DESTROYED",
    "__proto__",
    "constructor",
    "",
];

#[test]
fn t32_reserved_names_reach_nobody() {
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b) = (stage.open(kin, "A"), stage.open(Kin::G5, "B"));
        stage.emit(b, None, r#""JOIN_ROOM","r""#);
        for name in RESERVED {
            assert!(names::is_reserved(name.as_bytes()), "{name}");
            let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
            for written in [(*name).to_owned(), escaped] {
                let why = error("A", &format!("Error: the event name '{name}' is reserved"));
                for event in [
                    format!(r#""P2P_EMIT",{{"targetDeviceId":"B","event":"{written}","args":[]}}"#),
                    format!(r#""P2P_EMIT_ACKNOWLEDGE",{{"targetClientId":"B","event":"{written}","args":[]}}"#),
                    format!(r#""P2P_EMIT","B","{written}",[],null"#),
                    format!(r#""EMIT_ROOM","r","{written}",1"#),
                    format!(r#""CREATE_API","{written}""#),
                ] {
                    assert_eq!(stage.emit(a, None, &event), [why.as_str()], "{event}");
                }
                assert_eq!(stage.emit(a, 1, &format!(r#""CHECK_API_NAME","{written}""#)), ["A 431[false]"]);
            }
        }
    }
}

#[test]
fn where_memory_is_scarce_a_device_may_keep_little() {
    let mut stage = Stage::new();
    let (a, b, c) = (stage.open(Kin::G2, "A"), stage.open(Kin::G5, "B"), stage.open(Kin::G5, "C"));
    let room = |number| format!("{number}{}", "r".repeat(200));
    let join = |number| format!(r#""JOIN_ROOM","{}""#, room(number));
    for number in 0..20 {
        assert_eq!(stage.emit(a, 1, &join(number)), ["A 431[null]"]);
    }
    stage.world.hub.devices.memory.set_scarce(1000);
    let refused = ["A 431[\"Error: JOIN_ROOM: memory is short (--max-memory)\"]"];
    assert_eq!(stage.emit(a, 1, &join(20)), refused);
    assert_eq!(stage.emit(a, 1, &join(0)), ["A 431[null]"], "it is in that one");
    for event in
        [r#""CREATE_API","s""#, r#""ADD_TARGET","B""#, r#""P2P_EMIT","B","x",[],null"#, r#""P2P_REGISTER","B""#]
    {
        let lines = stage.emit(a, 1, event);
        assert!(lines[0].starts_with("A ") && lines[0].contains("memory is short"), "{event}: {lines:?}");
        assert!(lines[0].contains("(--max-memory)"), "{event}: {lines:?}");
    }
    // What needs nothing to be kept goes on, and so does who has little.
    assert_eq!(stage.emit(a, None, r#""P2P_EMIT","B","x",[],null"#), [r#"B 42["x"]"#]);
    assert_eq!(stage.emit(c, 1, r#""JOIN_ROOM","r""#), ["C 431[null]"]);
    assert_eq!(stage.emit(c, 1, r#""CREATE_API","s""#), ["C 431[null]"]);
    assert_eq!(stage.emit(c, 1, r#""P2P_EMIT","B","x",[],null"#), [r#"B 42#["x"]"#]);
    // So does who gives something back.
    for number in 0..19 {
        assert_eq!(stage.emit(a, 1, &format!(r#""LEAVE_ROOM","{}""#, room(number))), ["A 431[null]"]);
    }
    assert_eq!(stage.emit(a, 1, &join(20)), ["A 431[null]"]);
    for who in [a, b, c] {
        stage.close(who);
    }
    assert!(stage.is_empty());
}

#[test]
fn other_names_reach_their_target() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    stage.emit(b, None, r#""JOIN_ROOM","r""#);
    for name in FREE {
        assert!(!names::is_reserved(name.as_bytes()), "{name}");
        for event in [format!(r#""P2P_EMIT","B","{name}",[1]"#), format!(r#""EMIT_ROOM","r","{name}",1"#)] {
            assert_eq!(stage.emit(a, None, &event), [format!(r#"B 42["{name}",1]"#)]);
        }
    }
}

#[test]
fn what_is_missing_is_said() {
    let mut stage = Stage::new();
    let (a, _) = (stage.open(Kin::G2, "A"), stage.open(Kin::G2, "B"));
    for (event, why) in [
        (r#""P2P_EMIT""#, "targetClientId is not set"),
        (r#""P2P_EMIT",null"#, "targetClientId is not set"),
        (r#""P2P_EMIT",[]"#, "targetClientId is not set"),
        (r#""P2P_EMIT",true,"x",[]"#, "targetClientId is not set"),
        (r#""P2P_EMIT",{}"#, "targetClientId is not set"),
        (r#""P2P_EMIT",{"event":"x","args":[]}"#, "targetClientId is not set"),
        (r#""P2P_EMIT",{"targetClientId":null,"event":"x"}"#, "targetClientId is not set"),
        (r#""P2P_EMIT",{"targetClientId":{"toString":1},"event":"x"}"#, "targetClientId is not set"),
        (r#""P2P_EMIT","B""#, "event must be specified"),
        (r#""P2P_EMIT",{"targetClientId":"B","args":[]}"#, "event must be specified"),
        (r#""P2P_EMIT","B",null,[]"#, "event must be a string"),
        (r#""P2P_EMIT","B",{},[]"#, "event must be a string"),
        (r#""P2P_EMIT","B",true"#, "event must be a string"),
        (r#""P2P_EMIT","B","x",{}"#, "args must be an array"),
        (r#""P2P_EMIT","B","x",1"#, "args must be an array"),
        (r#""P2P_EMIT",{"targetClientId":"B","event":"x","args":"[]"}"#, "args must be an array"),
        (r#""P2P_EMIT","B","\ud800",[]"#, "event must be a string"),
        (r#""P2P_EMIT","\ud800","x",[]"#, "targetClientId is not set"),
        (r#""no such thing""#, "this server knows no event 'no such thing'"),
        (r#""disconnect""#, "this server knows no event 'disconnect'"),
        ("7", "this server knows no event '7'"),
    ] {
        let why = error("A", &format!("Error: {why}"));
        assert_eq!(stage.emit(a, None, event), [why.as_str()], "{event}");
        assert_eq!(stage.emit(a, 1, event), [why], "{event}");
        let acknowledged = event.replace("\"P2P_EMIT\"", "\"P2P_EMIT_ACKNOWLEDGE\"");
        assert_eq!(stage.emit(a, 1, &acknowledged).len(), 1, "{event}");
    }
    let long = format!("\"{}\"", "é".repeat(1000));
    let lines = stage.emit(a, None, &long);
    assert!(lines[0].len() < 400, "what is repeated is cut: {lines:?}");
    assert!(stage.world.is_open(a));
}

#[test]
fn many_arguments_are_many_arguments() {
    let mut stage = Stage::new();
    let (a, _) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    let list = vec!["[{}]"; 50_000].join(",");
    assert_eq!(stage.emit(a, None, &format!(r#""P2P_EMIT","B","x",[{list}]"#)), [format!(r#"B 42["x",{list}]"#)]);
    let lines = stage.emit(a, None, &format!(r#""P2P_REGISTER",{list}"#));
    assert_eq!(lines[0], error("A", "Error: targetClientId is not set"));
}

#[test]
fn t23_prototypes_are_names_like_others() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G2, "__proto__"), stage.open(Kin::G2, "constructor"));
    stage.pair(a, b);
    assert_eq!(stage.emit(b, None, r#""P2P_EMIT","__proto__","x",[]"#), [r#"__proto__ 42["x"]"#]);
    assert_eq!(stage.close(a), [r#"constructor 42["P2P_DISCONNECT"]"#]);
    assert_eq!(stage.emit(b, None, r#""P2P_EMIT","toString","x",[]"#).len(), 1);
}

const EVENTS: &[&str] = &[
    "P2P_EMIT",
    "P2P_EMIT_ACKNOWLEDGE",
    "P2P_REGISTER",
    "P2P_REGISTER_SUCCESS",
    "P2P_REGISTER_FAILED",
    "P2P_UNREGISTER",
    "P2P_REGISTER_STREAM",
    "ADD_TARGET",
    "MULTI_API_ADD_TARGET",
    "CREATE_STREAM",
    "MULTI_API_CREATE_STREAM",
    "JOIN_ROOM",
    "LEAVE_ROOM",
    "EMIT_ROOM",
    "LIST_CLIENTS",
    "GET_CLIENT_CONNECTED_STATUS",
    "CHECK_API_NAME",
    "CREATE_API",
    "DESTROY_API",
    "USE_API",
    "SUBSCRIBE_DEVICES",
    "UNSUBSCRIBE_DEVICES",
    "other",
];

/// Arguments that events have, and some that none has.
const ARGUMENTS: &[&str] = &[
    r#""A""#,
    r#""B""#,
    r#""C""#,
    r#""r""#,
    r#""x""#,
    "7",
    "null",
    "[]",
    r#"[1,{"a":2}]"#,
    "{}",
    r#"{"targetClientId":"A","event":"x","args":[1]}"#,
    r#"{"targetDeviceId":"B","event":"x","args":[]}"#,
    r#"{"targetClientId":"C","channel":"c"}"#,
    r#"{"_placeholder":true,"num":0}"#,
];

/// One client's deed: who, what, with which arguments, and what for.
type Deed = (usize, usize, Vec<usize>, Option<u64>);

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let arguments = proptest::collection::vec(0..ARGUMENTS.len(), 0..4);
    let deed = (0..6usize, 0..EVENTS.len() + 8, arguments, proptest::option::of(0..5u64));
    proptest::collection::vec(deed, 1..80)
}

/// Counts what may be heard only once: of one departure, and in answer to one ack.
fn check_lines(lines: &[String], answers: &mut HashMap<(String, u64), i64>) {
    let mut told = std::collections::HashSet::new();
    for line in lines {
        let (who, said) = line.split_once(' ').unwrap();
        if said.contains("_DISCONNECT\"") {
            assert!(told.insert(line.clone()), "told twice: {line} in {lines:?}");
        }
        let ack =
            said.strip_prefix("43").or_else(|| said.strip_prefix("46").and_then(|rest| Some(rest.split_once('-')?.1)));
        if let Some(ack) = ack {
            let number = ack.split('[').next().unwrap().parse().unwrap();
            let open = answers.entry((who.to_owned(), number)).or_default();
            *open -= 1;
            assert!(*open >= 0, "answered twice: {line}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Six clients, three of which share an id with another, do anything.
    #[test]
    fn t12_whatever_they_do_the_tables_hold(deeds in deeds(), overwrites in any::<bool>()) {
        let mut stage = Stage::new();
        stage.world.config.device_overwrite = overwrites;
        stage.world.config.limits.max_rooms = 2;
        stage.world.config.limits.max_calls = 3;
        let ids = ["A", "B", "C", "A", "B", "C"];
        let mut clients = [None; 6];
        let mut answers = HashMap::new();
        for (place, deed, arguments, ack) in deeds {
            let name = format!("{}{place}", ids[place]);
            let lines = match (clients[place], EVENTS.get(deed)) {
                (Some(who), _) if !stage.world.is_open(who) => {
                    clients[place] = None;
                    Vec::new()
                }
                (None, _) => {
                    let kin = KINDS[(place + deed) % 3];
                    let generation = if kin == Kin::G0 { Generation::Seed } else { Generation::Later };
                    let claim = Claim { id: Some(ids[place].into()), generation, is_operator: deed % 2 == 0 };
                    let revision = if kin == Kin::G5 { Revision::Four } else { Revision::Three };
                    let transport = if deed % 5 == 0 { Transport::Polling } else { Transport::WebSocket };
                    answers.retain(|(who, _), _| *who != name);
                    let (who, lines) = stage.come_as(&name, claim, revision, transport, deed % 7 == 0);
                    clients[place] = Some(who);
                    lines
                }
                (Some(who), Some(event)) => {
                    let list: String = arguments.iter().map(|place| format!(",{}", ARGUMENTS[*place])).collect();
                    if let Some(ack) = ack {
                        *answers.entry((name.clone(), ack)).or_default() += 1;
                    }
                    stage.emit(who, ack, &format!("\"{event}\"{list}"))
                }
                (Some(who), None) => match deed - EVENTS.len() {
                    0 => {
                        clients[place] = None;
                        stage.asked.remove(&who);
                        stage.close(who)
                    }
                    1 => stage.alive(who),
                    2 => stage.sleep(3),
                    3 if stage.device(who).standing != crate::hub::devices::Standing::Outside => stage.say(who, "41"),
                    4..8 => match stage.asked.get(&who) {
                        Some(numbers) if !numbers.is_empty() => {
                            let answer = ["true", "false", "", "null"][deed - EVENTS.len() - 4];
                            stage.answer(who, answer)
                        }
                        _ => Vec::new(),
                    },
                    _ => Vec::new(),
                },
            };
            check_lines(&lines, &mut answers);
            stage.world.hub.devices.check();
        }
        for who in stage.world.sessions() {
            let lines = stage.close(who);
            check_lines(&lines, &mut answers);
            stage.world.hub.devices.check();
        }
        prop_assert!(stage.is_empty());
    }
}
