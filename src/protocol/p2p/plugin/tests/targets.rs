use super::*;

const STREAM: &str = r#"{"sourceStreamId":"s","targetStreamId":"t","targetClientId":"B"}"#;

fn info(source: &str) -> String {
    format!(r#"{{"sourceStreamId":"s","targetStreamId":"t","targetClientId":"B","sourceClientId":"{source}"}}"#)
}

#[test]
fn a_target_answers_and_each_is_told_when_the_other_leaves() {
    for (kin_a, kin_b) in [(Kin::G2, Kin::G5), (Kin::G5, Kin::G2), (Kin::G5, Kin::G5), (Kin::G0, Kin::G5)] {
        for a_leaves in [true, false] {
            let mut stage = Stage::new();
            let (a, b) = (stage.open(kin_a, "A"), stage.open(kin_b, "B"));
            // Over and over, from either side, and a stream as well.
            for ack in 0..3 {
                assert_eq!(stage.emit(a, ack, r#""ADD_TARGET","B""#), [r#"B 42#["ADD_TARGET","A"]"#]);
                assert_eq!(stage.answer(b, ""), [format!("A 43{ack}[]")]);
                let stream = format!(r#""CREATE_STREAM",{STREAM}"#);
                assert_eq!(stage.emit(a, ack, &stream), [format!(r#"B 42#["CREATE_STREAM",{}]"#, info("A"))]);
                assert_eq!(stage.answer(b, "null"), [format!("A 43{ack}[null]")]);
                stage.emit(b, None, r#""ADD_TARGET","A""#);
            }
            stage.world.hub.devices.check();
            let (leaving, staying) = if a_leaves { (a, b) } else { (b, a) };
            let (gone, told) = (stage.names[&leaving].clone(), stage.names[&staying].clone());
            assert_eq!(stage.close(leaving), [format!(r#"{told} 42["TARGET_DISCONNECT","{gone}"]"#)]);
            assert!(stage.close(staying).is_empty() && stage.is_empty());
        }
    }
}

#[test]
fn a_partner_that_is_a_target_too_is_told_both() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G2, "A"), stage.open(Kin::G2, "B"));
    stage.pair(a, b);
    stage.emit(a, None, r#""ADD_TARGET","B""#);
    assert_eq!(stage.close(a), [r#"B 42["P2P_DISCONNECT"]"#, r#"B 42["TARGET_DISCONNECT","A"]"#]);
}

#[test]
fn what_a_target_says_is_the_answer() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    stage.emit(a, 1, r#""ADD_TARGET","B""#);
    assert_eq!(stage.answer(b, r#""not now""#), [r#"A 431["not now"]"#]);
    // Without an ack it is asked with one all the same, as clients call that without looking.
    assert_eq!(stage.emit(a, None, r#""ADD_TARGET","B""#), [r#"B 420["ADD_TARGET","A"]"#]);
    assert!(stage.say(b, "430[]").is_empty());
}

#[test]
fn the_seed_is_a_target_as_any_but_has_no_streams() {
    let mut stage = Stage::new();
    let (a, _) = (stage.open(Kin::G5, "A"), stage.open(Kin::G0, "B"));
    assert_eq!(stage.emit(a, 1, r#""ADD_TARGET","B""#), ["A 431[]"]);
    assert!(stage.emit(a, None, r#""ADD_TARGET","B""#).is_empty());
    let why = r#""Stream: the target is of a generation that knows no streams""#;
    assert_eq!(stage.emit(a, 2, &format!(r#""CREATE_STREAM",{STREAM}"#)), [format!("A 432[{why}]")]);
    assert_eq!(stage.emit(a, None, &format!(r#""CREATE_STREAM",{STREAM}"#)), [format!("A 42[\"SERVER_ERROR\",{why}]")]);
}

#[test]
fn who_cannot_be_a_target() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G5, "A");
    for (target, why) in [
        (r#""Z""#, "Client Z is not connected to server"),
        ("5", "Client 5 is not connected to server"),
        (r#""A""#, "a client cannot be its own target"),
        ("null", "targetClientId is not set"),
        ("[]", "targetClientId is not set"),
        ("{}", "targetClientId is not set"),
    ] {
        for event in ["ADD_TARGET", "MULTI_API_ADD_TARGET"] {
            assert_eq!(stage.emit(a, 1, &format!(r#""{event}",{target}"#)), [format!(r#"A 431["Message: {why}"]"#)]);
            assert_eq!(
                stage.emit(a, None, &format!(r#""{event}",{target}"#)),
                [error("A", &format!("Message: {why}"))]
            );
        }
        for event in ["CREATE_STREAM", "MULTI_API_CREATE_STREAM"] {
            let stream = format!(r#""{event}",{{"targetClientId":{target}}}"#);
            assert_eq!(stage.emit(a, 1, &stream), [format!(r#"A 431["Stream: {why}"]"#)]);
        }
    }
    for event in [r#""CREATE_STREAM""#, r#""CREATE_STREAM",null"#, r#""CREATE_STREAM","B""#, r#""CREATE_STREAM",[]"#] {
        assert_eq!(stage.emit(a, 1, event), [r#"A 431["Stream: what is to be created is not an object"]"#]);
    }
}

#[test]
fn channels_of_streams() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    for (channel, event) in [
        (r#""video""#, "CREATE_STREAM-CHANNEL-video"),
        (r#""\"\u00e9""#, r#"CREATE_STREAM-CHANNEL-\"\u00e9"#),
        ("5", "CREATE_STREAM-CHANNEL-5"),
        (r#""""#, "CREATE_STREAM"),
        ("null", "CREATE_STREAM"),
    ] {
        let members = format!(r#""targetClientId":"B","channel":{channel},"argArray":[1,{{}}]"#);
        assert_eq!(
            stage.emit(a, 1, &format!(r#""CREATE_STREAM",{{ {members} }}"#)),
            [format!(r#"B 42#["{event}",{{{members},"sourceClientId":"A"}}]"#)]
        );
        assert_eq!(stage.answer(b, ""), ["A 431[]"]);
    }
    let why = r#"A 431["Stream: the channel is not a string of a few bytes (--max-name)"]"#;
    let long = format!("\"{}\"", "c".repeat(256));
    for channel in ["{}", "[1]", "true", &long] {
        let stream = format!(r#""CREATE_STREAM",{{"targetClientId":"B","channel":{channel}}}"#);
        assert_eq!(stage.emit(a, 1, &stream), [why]);
    }
}

#[test]
fn nobody_creates_a_stream_in_anothers_name() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G5, "A");
    stage.open(Kin::G5, "B");
    for name in ["sourceClientId", r"\u0073ourceClientId"] {
        let lines = stage.emit(a, 1, &format!(r#""CREATE_STREAM",{{"{name}":"C","targetClientId":"B"}}"#));
        let data = &lines[0][lines[0].find('[').unwrap()..];
        let list: Vec<serde_json::Value> = serde_json::from_str(data).unwrap();
        assert_eq!(list[1]["sourceClientId"], "A");
    }
}

#[test]
fn streams_flow() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G2, "B"));
    stage.emit(a, 1, &format!(r#""CREATE_STREAM",{STREAM}"#));
    stage.answer(b, "");
    let event = "P2P_EMIT_STREAM-from-stream-s";
    let chunk = r#"{"_placeholder":true,"num":0}"#;
    assert!(stage.say(a, &format!(r#"451-2["P2P_EMIT","B","{event}",[{chunk}]]"#)).is_empty());
    assert_eq!(stage.attach(a, &[1, 2]), [format!(r#"B 451-#["{event}",{chunk}]"#), "B <040102>".to_owned()]);
    assert_eq!(stage.answer(b, ""), ["A 432[]"]);
    assert_eq!(stage.emit(a, 3, &format!(r#""P2P_EMIT","B","{event}",[null]"#)), [format!(r#"B 42#["{event}",null]"#)]);
    assert_eq!(
        stage.emit(b, None, r#""P2P_EMIT","A","PEER_STREAM_DESTROYED",["t"],null"#),
        [r#"A 42["PEER_STREAM_DESTROYED","t"]"#]
    );
}

#[test]
fn a_target_without_a_listener() {
    let mut stage = Stage::new();
    stage.world.config.limits.call_timeout = Duration::from_secs(3);
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    stage.emit(a, 1, r#""ADD_TARGET","B""#);
    assert_eq!(stage.sleep(3), [r#"A 431["Error: Client B did not answer in time (--call-timeout)"]"#]);
    stage.emit(a, 2, &format!(r#""CREATE_STREAM",{STREAM}"#));
    assert_eq!(
        stage.close(b),
        [r#"A 42["TARGET_DISCONNECT","B"]"#, r#"A 432["Error: Client B left before it answered"]"#]
    );
}

#[test]
fn the_words_of_1_5_0() {
    let mut stage = Stage::new();
    let (a, b, c) = (stage.open(Kin::G2, "A"), stage.open(Kin::G2, "B"), stage.open(Kin::G5, "C"));
    // As long as nothing is known of the target, it is spoken to as the asker speaks.
    assert_eq!(stage.emit(a, 1, r#""MULTI_API_ADD_TARGET","B""#), [r#"B 42#["MULTI_API_ADD_TARGET","A"]"#]);
    assert_eq!(stage.answer(b, "true"), ["A 431[true]"]);
    let old = r#""MULTI_API_ADD_TARGET",{"sourceClientId":"Q","targetClientId":"B"}"#;
    assert_eq!(stage.emit(a, None, old), [r#"B 420["MULTI_API_ADD_TARGET","A"]"#]);
    let stream = format!(r#""MULTI_API_CREATE_STREAM",{STREAM}"#);
    assert_eq!(stage.emit(a, 2, &stream), [format!(r#"B 42#["MULTI_API_CREATE_STREAM",{}]"#, info("A"))]);
    // Then as it speaks itself.
    assert_eq!(stage.emit(c, 1, r#""ADD_TARGET","A""#), [r#"A 42#["MULTI_API_ADD_TARGET","C"]"#]);
    assert_eq!(stage.answer(a, ""), ["C 431[]"]);
    assert_eq!(stage.emit(a, 3, r#""MULTI_API_ADD_TARGET","C""#), [r#"C 42#["ADD_TARGET","A"]"#]);
    assert_eq!(stage.close(a), [r#"C 42["TARGET_DISCONNECT","A"]"#, r#"B 42["MULTI_API_TARGET_DISCONNECT","A"]"#,]);
}

#[test]
fn targets_are_bounded() {
    let mut stage = Stage::new();
    stage.world.config.limits.max_rooms = 2;
    let a = stage.open(Kin::G5, "A");
    let others: Vec<_> = ["B", "C", "D"].map(|id| stage.open(Kin::G0, id)).into();
    // Being somebody's target costs nothing.
    for other in &others {
        stage.emit(*other, None, r#""ADD_TARGET","A""#);
    }
    for target in ["B", "C", "B", "C"] {
        assert_eq!(stage.emit(a, 1, &format!(r#""ADD_TARGET","{target}""#)), ["A 431[]"]);
    }
    let why = "too many targets (--max-rooms)";
    assert_eq!(stage.emit(a, 1, r#""ADD_TARGET","D""#), [format!(r#"A 431["Message: {why}"]"#)]);
    stage.world.hub.devices.check();
    stage.close(others[0]);
    assert_eq!(stage.emit(a, 1, r#""ADD_TARGET","D""#), ["A 431[]"]);
}
