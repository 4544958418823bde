//! Every generation with every other: what they share works, in the receiver's form.

use super::*;

/// Emits in every form that a client of this generation has.
fn forms(kin: Kin, target: &str) -> Vec<String> {
    match kin {
        Kin::G0 => vec![format!(r#"{{"targetDeviceId":"{target}","event":"x","args":[1,{{"a":"b"}}]}}"#)],
        _ => vec![
            format!(r#"{{"targetClientId":"{target}","event":"x","args":[1,{{"a":"b"}}]}}"#),
            format!(r#""{target}","x",[1,{{"a":"b"}}],null"#),
            format!(r#""{target}","x",[1,{{"a":"b"}}]"#),
        ],
    }
}

#[test]
fn any_two_generations_pair_and_emit() {
    for (kin_a, kin_b) in KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b))) {
        let mut stage = Stage::new();
        let (a, b) = (stage.open(kin_a, "A"), stage.open(kin_b, "B"));
        stage.pair(a, b);
        for (from, to, sender, receiver) in [(a, b, kin_a, "B"), (b, a, kin_b, "A")] {
            let is_seed = stage.device(to).is_seed();
            let sender_name = stage.names[&from].clone();
            let heard = if is_seed { r#"["x",[1,{"a":"b"}]]"# } else { r#"["x",1,{"a":"b"}]"# };
            for form in forms(sender, receiver) {
                assert_eq!(
                    stage.emit(from, None, &format!(r#""P2P_EMIT",{form}"#)),
                    [format!("{receiver} 42{heard}")],
                    "{kin_a:?} {kin_b:?}"
                );
                let event = if form.starts_with('{') { "P2P_EMIT_ACKNOWLEDGE" } else { "P2P_EMIT" };
                let heard_with_ack = stage.emit(from, 7, &format!(r#""{event}",{form}"#));
                if is_seed {
                    let ack = format!(r#"{sender_name} 437["Server acknowledged"]"#);
                    assert_eq!(heard_with_ack, [format!("{receiver} 42{heard}"), ack]);
                } else {
                    assert_eq!(heard_with_ack, [format!("{receiver} 42#{heard}")]);
                    assert_eq!(stage.answer(to, r#""got",[{}]"#), [format!(r#"{sender_name} 437["got",[{{}}]]"#)]);
                }
            }
        }
        let left = stage.close(a);
        assert_eq!(left, [r#"B 42["P2P_DISCONNECT"]"#]);
        assert!(stage.close(b).is_empty() && stage.is_empty());
    }
}

#[test]
fn attachments_reach_either_revision() {
    for (kin_a, kin_b) in KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b))) {
        let mut stage = Stage::new();
        let (a, b) = (stage.open(kin_a, "A"), stage.open(kin_b, "B"));
        let binary = |kin| if kin == Kin::G5 { "<00ff>" } else { "<0400ff>" };
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        let emitted =
            format!(r#"451-3["P2P_EMIT_ACKNOWLEDGE",{{"targetClientId":"B","event":"x","args":[{placeholder}]}}]"#);
        assert!(stage.say(a, &emitted).is_empty());
        let heard = stage.attach(a, &[0, 255]);
        let bytes = format!("B {}", binary(kin_b));
        if kin_b == Kin::G0 {
            let ack = r#"A 433["Server acknowledged"]"#.to_owned();
            assert_eq!(heard, [format!(r#"B 451-["x",[{placeholder}]]"#), bytes, ack]);
            continue;
        }
        assert_eq!(heard, [format!(r#"B 451-#["x",{placeholder}]"#), bytes]);
        let number = stage.asked.get_mut(&b).unwrap().remove(0);
        assert!(stage.say(b, &format!("461-{number}[{placeholder}]")).is_empty());
        let answered = stage.attach(b, &[0, 255]);
        assert_eq!(answered, [format!("A 461-3[{placeholder}]"), format!("A {}", binary(kin_a))]);
    }
}
