use super::*;

#[test]
fn the_readmes_example() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G0, "A"), stage.open(Kin::G0, "B"));
    assert_eq!(stage.emit(a, 0, r#""P2P_REGISTER","B""#), [r#"B 42#["P2P_REGISTER","A"]"#]);
    assert_eq!(stage.emit(b, None, r#""P2P_REGISTER_SUCCESS""#), ["A 430[true]"]);
    assert!(stage.is_pair(a, b));
    assert_eq!(
        stage.emit(a, 1, r#""P2P_EMIT_ACKNOWLEDGE",{"targetDeviceId":"B","event":"testAck","args":[{"a":1},"b",2]}"#),
        [r#"B 42["testAck",[{"a":1},"b",2]]"#, r#"A 431["Server acknowledged"]"#],
    );
    assert_eq!(
        stage.emit(b, None, r#""P2P_EMIT",{"targetDeviceId":"A","event":"testAckFromTarget","args":[{"abc":"test"}]}"#),
        [r#"A 42["testAckFromTarget",[{"abc":"test"}]]"#],
    );
    assert_eq!(stage.close(a), [r#"B 42["P2P_DISCONNECT"]"#]);
    assert!(stage.close(b).is_empty() && stage.is_empty());
}
