use super::*;
use crate::protocol::recorder::relayed;

#[test]
fn arguments_are_passed_on_as_they_are() {
    let mut stage = Stage::new();
    let (a, _) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    for (arguments, heard) in [
        ("[]", ""),
        ("[ ]", ""),
        ("null", ""),
        ("[1]", ",1"),
        ("[ 1.0 , 123456789012345678901 ]", ",1.0 , 123456789012345678901"),
        (r#"["\u0041",{"b":1,"a":2,"__proto__":3}]"#, r#","\u0041",{"b":1,"a":2,"__proto__":3}"#),
        ("[null,[[]],{}]", ",null,[[]],{}"),
    ] {
        for form in [
            format!(r#""B","x",{arguments},null"#),
            format!(r#""B","x",{arguments}"#),
            format!(r#"{{"targetClientId":"B","event":"x","args":{arguments}}}"#),
            format!(r#"{{"targetDeviceId":null,"targetClientId":"B","event":"x","args":{arguments},"more":1}}"#),
            format!(r#"{{"event":"x","args":{arguments},"targetDeviceId":"B"}},null"#),
        ] {
            assert_eq!(stage.emit(a, None, &format!(r#""P2P_EMIT",{form}"#)), [format!(r#"B 42["x"{heard}]"#)]);
        }
    }
    // Without any.
    for form in [r#""B","x""#, r#"{"targetClientId":"B","event":"x"}"#] {
        assert_eq!(stage.emit(a, None, &format!(r#""P2P_EMIT",{form}"#)), [r#"B 42["x"]"#]);
    }
}

#[test]
fn the_sender_waits_for_a_slow_receiver() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    let effects = stage.world.text(a, r#"42["P2P_EMIT","B","x",[1],null]"#);
    assert_eq!(effects, [relayed(b, Kind::Text, br#"42["x",1]"#)]);
}

#[test]
fn numbers_may_be_names() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G2, "A"), stage.open(Kin::G0, "5"));
    assert_eq!(stage.emit(a, None, r#""P2P_EMIT",5,7,[1]"#), [r#"5 42["7",[1]]"#]);
    assert_eq!(
        stage.emit(b, None, r#""P2P_EMIT",{"targetDeviceId":"A","event":-1.5,"args":[1]}"#),
        [r#"A 42["-1.5",1]"#]
    );
}

#[test]
fn a_target_is_found_anew_when_its_id_changes_hands() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    let emit = r#""P2P_EMIT","B","x",[]"#;
    assert_eq!(stage.emit(a, None, emit), [r#"B 42["x"]"#]);
    stage.close(b);
    assert_eq!(stage.emit(a, None, emit), [error("A", "Error: Core: Client B is not connected to server")]);
    let c = stage.open(Kin::G0, "B");
    assert_eq!(stage.emit(a, None, emit), [r#"B 42["x",[]]"#]);
    assert_eq!(stage.emit(a, None, r#""P2P_EMIT","A","x",[]"#), [r#"A 42["x"]"#], "to itself");
    assert_eq!(stage.emit(a, None, r#""P2P_EMIT","\u0042","x",[]"#), [r#"B 42["x",[]]"#]);
    // It left the namespace only.
    stage.say(c, "41");
    assert_eq!(stage.emit(a, None, emit).len(), 1);
    assert!(stage.emit(a, None, emit)[0].contains("not connected"));
}

#[test]
fn nobody_is_there() {
    let mut stage = Stage::new();
    let (a, s) = (stage.open(Kin::G2, "A"), stage.open(Kin::G0, "S"));
    let gone = "Error: Could not find target client 'Z' socket";
    let form = r#"{"targetDeviceId":"Z","event":"x","args":[]}"#;
    for (who, name) in [(a, "A"), (s, "S")] {
        assert_eq!(stage.emit(who, None, &format!(r#""P2P_EMIT",{form}"#)), [error(name, gone)]);
    }
    // The original's ack never comes, but for the seed's.
    assert_eq!(stage.emit(a, 1, &format!(r#""P2P_EMIT_ACKNOWLEDGE",{form}"#)), [error("A", gone)]);
    assert_eq!(
        stage.emit(s, 1, &format!(r#""P2P_EMIT_ACKNOWLEDGE",{form}"#)),
        [error("S", gone), r#"S 431["Server acknowledged"]"#.to_owned()]
    );
    assert_eq!(
        stage.emit(a, 2, r#""P2P_EMIT","Z","x",[]"#),
        [error("A", "Error: Core: Client Z is not connected to server")]
    );
    let long = "Z".repeat(1000);
    let lines = stage.emit(a, None, &format!(r#""P2P_EMIT","{long}","x",[]"#));
    assert!(lines[0].len() < 400, "{lines:?}");
}

#[test]
fn answers_go_to_who_asked_once() {
    let mut stage = Stage::new();
    let (a, b, c) = (stage.open(Kin::G5, "A"), stage.open(Kin::G2, "B"), stage.open(Kin::G5, "C"));
    let emit = r#""P2P_EMIT","B","x",[]"#;
    for (who, ack) in [(a, 7), (c, 7), (a, 8)] {
        assert_eq!(stage.emit(who, ack, emit), [r#"B 42#["x"]"#]);
    }
    let [first, second, third] = stage.asked[&b][..] else { panic!() };
    assert_eq!(stage.say(b, &format!("43{third}[3]")), ["A 438[3]"]);
    assert_eq!(stage.say(b, &format!("43{second}[2, \"x\"]")), [r#"C 437[2, "x"]"#]);
    // Nobody but B may answer, and that once.
    assert!(stage.say(c, &format!("43{first}[1]")).is_empty());
    assert_eq!(stage.say(b, &format!("43{first}[]")), ["A 437[]"]);
    for number in [first, second, third, 0, 1, 999_999_999_999_999] {
        assert!(stage.say(b, &format!("43{number}[1]")).is_empty());
    }
    assert_eq!(stage.world.hub.devices.calls(), 0);
}

#[test]
fn an_answer_to_who_has_gone_is_nobodys() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G2, "B"));
    stage.emit(a, 7, r#""P2P_EMIT","B","x",[]"#);
    // It is in the same session, but another socket, which never asked.
    stage.say(a, "41");
    stage.say(a, "40");
    assert!(stage.answer(b, "1").is_empty());
    stage.emit(a, 7, r#""P2P_EMIT","B","x",[]"#);
    stage.close(a);
    stage.open(Kin::G5, "A");
    assert!(stage.answer(b, "1").is_empty());
}

#[test]
fn calls_end_in_time() {
    let mut stage = Stage::new();
    stage.world.config.limits.call_timeout = Duration::from_secs(4);
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G2, "B"));
    for ack in 0..3 {
        stage.emit(a, ack, r#""P2P_EMIT","B","x",[]"#);
        assert!(stage.sleep(1).is_empty());
    }
    let second = stage.asked[&b][1];
    stage.say(b, &format!("43{second}[]"));
    let late = error("A", "Error: Client B did not answer in time (--call-timeout)");
    assert_eq!(stage.sleep(1), [late.as_str()]);
    assert!(stage.sleep(1).is_empty());
    assert_eq!(stage.sleep(1), [late]);
    assert!(stage.answer(b, "1").is_empty(), "too late");
    // A callee that leaves is not waited for.
    stage.emit(a, 5, r#""P2P_EMIT","B","x",[]"#);
    assert_eq!(stage.close(b), [error("A", "Error: Client B left before it answered")]);
    assert_eq!(stage.world.hub.devices.calls(), 0);
}

#[test]
fn calls_are_bounded() {
    let mut stage = Stage::new();
    stage.world.config.limits.max_calls = 2;
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G2, "B"));
    let emit = r#""P2P_EMIT","B","x",[]"#;
    for ack in 0..2 {
        assert_eq!(stage.emit(a, ack, emit).len(), 1);
    }
    let full = error("A", "Error: too many calls wait for an answer (--max-calls)");
    assert_eq!(stage.emit(a, 2, emit), [full]);
    assert_eq!(stage.emit(a, None, emit), [r#"B 42["x"]"#]);
    stage.answer(b, "");
    assert_eq!(stage.emit(a, 3, emit), [r#"B 42#["x"]"#]);
}

#[test]
fn a_slow_call_does_not_keep_the_others() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G2, "B"));
    let emit = r#""P2P_EMIT","B","x",[]"#;
    stage.emit(a, 0, emit);
    let slow = stage.asked.get_mut(&b).unwrap().remove(0);
    for ack in 1..2000 {
        stage.emit(a, ack, emit);
        assert_eq!(stage.answer(b, ""), [format!("A 43{ack}[]")]);
        stage.world.hub.devices.check();
    }
    assert_eq!(stage.say(b, &format!("43{slow}[]")), ["A 430[]"]);
}

#[test]
fn a_nameless_client_may_emit_in_the_oldest_form() {
    let mut stage = Stage::new();
    let b = stage.open(Kin::G2, "B");
    let claim = Claim { id: None, generation: Generation::Later, is_operator: false };
    let (a, lines) = stage.come_as("?", claim, Revision::Three, Transport::WebSocket, false);
    assert_eq!(lines, ["? 40"]);
    let form = r#"{"targetDeviceId":"B","event":"x","args":[1]}"#;
    assert_eq!(stage.emit(a, None, &format!(r#""P2P_EMIT",{form}"#)), [r#"B 42["x",1]"#]);
    assert_eq!(stage.emit(a, 1, &format!(r#""P2P_EMIT_ACKNOWLEDGE",{form}"#)), [r#"B 42#["x",1]"#]);
    assert_eq!(stage.answer(b, "2"), ["? 431[2]"]);
    assert_eq!(stage.emit(a, 2, r#""LIST_CLIENTS""#), [r#"? 432[["B"]]"#]);
    let nameless = error("?", "Error: this client gave no clientId or deviceId, or has lost it");
    for event in
        [r#""P2P_EMIT","B","x",[]"#, r#""P2P_REGISTER","B""#, r#""JOIN_ROOM","r""#, r#""ADD_TARGET","B""#, r#""y""#]
    {
        assert_eq!(stage.emit(a, None, event), [nameless.as_str()]);
    }
    assert!(stage.close(a).is_empty() && stage.close(b).is_empty() && stage.is_empty());
}
