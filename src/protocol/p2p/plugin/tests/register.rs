use super::*;

const ALONE: &str = r#"42["P2P_DISCONNECT"]"#;

fn refused(who: &str, ack: u64, target: &str) -> [String; 2] {
    [error(who, &format!("Error: Target client {target} refuses the connection")), format!("{who} 43{ack}[false]")]
}

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

#[test]
fn whoever_leaves_the_other_is_told_once() {
    for (kin_a, kin_b) in KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b))) {
        for a_leaves in [true, false] {
            for says_so in [true, false] {
                let mut stage = Stage::new();
                let (a, b) = (stage.open(kin_a, "A"), stage.open(kin_b, "B"));
                stage.pair(a, b);
                let (leaving, staying, name) = if a_leaves { (a, b, "B") } else { (b, a, "A") };
                let heard = if says_so { stage.say(leaving, "41") } else { stage.close(leaving) };
                assert_eq!(heard, [format!("{name} {ALONE}")]);
                if says_so {
                    assert!(stage.close(leaving).is_empty());
                }
                assert!(stage.close(staying).is_empty() && stage.is_empty());
            }
        }
    }
}

#[test]
fn who_is_not_there_cannot_be_a_partner() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G2, "A");
    assert_eq!(
        stage.emit(a, 4, r#""P2P_REGISTER","Z""#),
        [
            error("A", "Error: Could not find target client 'Z' socket"),
            error("A", "Error: Target client is not registered to the server"),
            "A 434[false]".to_owned(),
        ],
    );
    assert_eq!(
        stage.emit(a, 5, r#""P2P_REGISTER","A""#),
        [error("A", "Error: Target client ID can not be the same as source client ID"), "A 435[false]".to_owned()],
    );
    for target in ["null", "{}", "[]", "true", "[\"B\"]"] {
        assert_eq!(
            stage.emit(a, 6, &format!(r#""P2P_REGISTER",{target}"#)),
            [error("A", "Error: targetClientId is not set"), "A 436[false]".to_owned()],
        );
    }
    assert_eq!(stage.emit(a, None, r#""P2P_REGISTER""#), [error("A", "Error: targetClientId is not set")]);
}

#[test]
fn a_busy_target_refuses() {
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b, c) = (stage.open(kin, "A"), stage.open(kin, "B"), stage.open(kin, "C"));
        stage.pair(a, b);
        assert_eq!(stage.emit(c, 2, r#""P2P_REGISTER","B""#), [r#"B 42#["P2P_REGISTER","C"]"#]);
        assert_eq!(stage.reject(b), refused("C", 2, "B"));
        assert!(stage.is_pair(a, b));
        assert!(stage.close(c).is_empty());
    }
}

#[test]
fn a_target_that_says_yes_has_left_its_partner() {
    // The seed's clients unregister without a word.
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b, c) = (stage.open(kin, "A"), stage.open(kin, "B"), stage.open(kin, "C"));
        stage.pair(a, b);
        stage.emit(c, 2, r#""P2P_REGISTER","B""#);
        assert_eq!(stage.accept(b), [format!("A {ALONE}"), "C 432[true]".to_owned()]);
        assert!(stage.is_pair(b, c));
        assert!(stage.close(a).is_empty());
        assert_eq!(stage.close(c), [format!("B {ALONE}")]);
    }
}

#[test]
fn a_source_that_asks_another_has_left_its_partner() {
    let mut stage = Stage::new();
    let (a, b, c) = (stage.open(Kin::G0, "A"), stage.open(Kin::G0, "B"), stage.open(Kin::G0, "C"));
    stage.pair(a, b);
    stage.emit(a, 2, r#""P2P_REGISTER","C""#);
    assert_eq!(stage.reject(c), refused("A", 2, "C"));
    assert!(stage.is_pair(a, b), "it keeps it when that fails");
    stage.emit(a, 3, r#""P2P_REGISTER","C""#);
    assert_eq!(stage.accept(c), [format!("B {ALONE}"), "A 433[true]".to_owned()]);
    assert!(stage.is_pair(a, c));
    // Nothing that B does concerns A any more.
    assert!(stage.close(b).is_empty());
}

#[test]
fn asking_ones_partner_again_is_fine_whatever_it_says() {
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b) = (stage.open(kin, "A"), stage.open(kin, "B"));
        stage.pair(a, b);
        for (ack, is_yes) in [(5, true), (6, false)] {
            stage.emit(a, ack, r#""P2P_REGISTER","B""#);
            let heard = if is_yes { stage.accept(b) } else { stage.reject(b) };
            assert_eq!(heard, [format!("A 43{ack}[true]")]);
            assert!(stage.is_pair(a, b));
        }
    }
}

#[test]
fn two_that_ask_each_other_are_partners() {
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b) = (stage.open(kin, "A"), stage.open(kin, "B"));
        stage.emit(a, 1, r#""P2P_REGISTER","B""#);
        stage.emit(b, 2, r#""P2P_REGISTER","A""#);
        assert_eq!(stage.accept(b), ["A 431[true]"]);
        assert_eq!(stage.accept(a), ["B 432[true]"]);
        assert!(stage.is_pair(a, b));
    }
}

#[test]
fn one_that_is_taken_while_it_asks_stays_with_who_took_it() {
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b, c) = (stage.open(kin, "A"), stage.open(kin, "B"), stage.open(kin, "C"));
        stage.emit(a, 1, r#""P2P_REGISTER","C""#);
        stage.emit(b, 2, r#""P2P_REGISTER","A""#);
        assert_eq!(stage.accept(a), ["B 432[true]"]);
        let [why, no] = refused("A", 1, "C");
        assert_eq!(stage.accept(c), [format!("C {ALONE}"), why, no]);
        assert!(stage.is_pair(a, b));
    }
}

#[test]
fn one_that_got_its_wish_is_not_taken_by_who_asked_meanwhile() {
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b, c) = (stage.open(kin, "A"), stage.open(kin, "B"), stage.open(kin, "C"));
        stage.emit(a, 1, r#""P2P_REGISTER","C""#);
        stage.emit(b, 2, r#""P2P_REGISTER","A""#);
        assert_eq!(stage.accept(c), ["A 431[true]"]);
        // It took B, and then heard that it has C.
        assert_eq!(stage.accept(a), refused("B", 2, "A"));
        assert!(stage.is_pair(a, c));
    }
}

#[test]
fn asking_ones_partner_again_outweighs_who_asked_meanwhile() {
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b, c) = (stage.open(kin, "A"), stage.open(kin, "B"), stage.open(kin, "C"));
        stage.pair(a, b);
        // B has forgotten A without a word, takes C, and then hears that it has A.
        stage.emit(b, 1, r#""P2P_REGISTER","A""#);
        stage.emit(c, 2, r#""P2P_REGISTER","B""#);
        assert_eq!(stage.reject(a), ["B 431[true]"]);
        assert_eq!(stage.accept(b), refused("C", 2, "B"));
        assert!(stage.is_pair(a, b));
    }
}

#[test]
fn a_second_yes_means_that_the_first_was_forgotten() {
    for kin in KINDS {
        let mut stage = Stage::new();
        let (a, b, c) = (stage.open(kin, "A"), stage.open(kin, "B"), stage.open(kin, "C"));
        stage.emit(a, 1, r#""P2P_REGISTER","B""#);
        stage.emit(c, 2, r#""P2P_REGISTER","B""#);
        assert_eq!(stage.accept(b), ["A 431[true]"]);
        let [why, no] = refused("C", 2, "B");
        assert_eq!(stage.accept(b), [format!("A {ALONE}"), format!("B {ALONE}"), why, no]);
        assert!(!stage.is_pair(a, b) && !stage.is_pair(c, b));
    }
}

#[test]
fn an_answer_is_to_the_oldest_question_though_nobody_waits_for_that() {
    let mut stage = Stage::new();
    let (a, b, c) = (stage.open(Kin::G0, "A"), stage.open(Kin::G0, "B"), stage.open(Kin::G0, "C"));
    stage.emit(a, 1, r#""P2P_REGISTER","B""#);
    assert!(stage.close(a).is_empty());
    stage.emit(c, 2, r#""P2P_REGISTER","B""#);
    // It took A, which has gone, so it must forget that, and refused C.
    assert_eq!(stage.emit(b, None, r#""P2P_REGISTER_SUCCESS""#), [format!("B {ALONE}")]);
    assert_eq!(stage.emit(b, None, r#""P2P_REGISTER_FAILED""#), refused("C", 2, "B"));
    // Nobody asks any more.
    for answer in ["SUCCESS", "FAILED"] {
        assert!(stage.emit(b, None, &format!(r#""P2P_REGISTER_{answer}""#)).is_empty());
    }
}

#[test]
fn a_target_that_never_answers() {
    for kin in KINDS {
        let mut stage = Stage::new();
        stage.world.config.limits.call_timeout = Duration::from_secs(10);
        let (a, b) = (stage.open(kin, "A"), stage.open(kin, "B"));
        stage.emit(a, 1, r#""P2P_REGISTER","B""#);
        assert!(stage.sleep(9).is_empty());
        let why = error("A", "Error: Client B did not answer in time (--call-timeout)");
        assert_eq!(stage.sleep(1), [why, "A 431[false]".to_owned()]);
        // A late yes is undone.
        assert_eq!(stage.accept(b), [format!("B {ALONE}")]);
        assert!(!stage.is_pair(a, b));
    }
}

#[test]
fn a_target_that_leaves_before_it_answers() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G0, "B"));
    stage.emit(a, 1, r#""P2P_REGISTER","B""#);
    let why = error("A", "Error: Client B left before it answered");
    assert_eq!(stage.close(b), [why, "A 431[false]".to_owned()]);
}

#[test]
fn either_form_of_answer_counts_once() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G2, "A"), stage.open(Kin::G2, "B"));
    stage.emit(a, 1, r#""P2P_REGISTER","B""#);
    assert_eq!(stage.emit(b, None, r#""P2P_REGISTER_SUCCESS""#), ["A 431[true]"]);
    assert!(stage.answer(b, "false").is_empty(), "the event came first");
    assert!(stage.is_pair(a, b));

    let c = stage.open(Kin::G2, "C");
    stage.emit(c, 1, r#""P2P_REGISTER","A""#);
    stage.emit(b, 1, r#""P2P_REGISTER","A""#);
    assert_eq!(stage.answer(a, "false"), refused("C", 1, "A"));
    assert!(stage.emit(a, None, r#""P2P_REGISTER_FAILED""#).is_empty(), "it answers with acks");
    assert_eq!(stage.answer(a, "true"), ["B 431[true]"]);
}

#[test]
fn unregistering_frees_both() {
    let told = |who: &str| format!(r#"{who} 420["P2P_UNREGISTER"]"#);
    let alone = |who: &str| format!("{who} {ALONE}");
    for (kin_a, kin_b) in [(Kin::G2, Kin::G0), (Kin::G2, Kin::G2), (Kin::G5, Kin::G2), (Kin::G5, Kin::G0)] {
        let mut stage = Stage::new();
        let (a, b) = (stage.open(kin_a, "A"), stage.open(kin_b, "B"));
        stage.pair(a, b);
        // B answered with an ack, so it knows what unregistering is, unless it is the seed's.
        let bs = if kin_b == Kin::G0 { alone("B") } else { told("B") };
        assert_eq!(stage.emit(a, 9, r#""P2P_UNREGISTER""#), [told("A"), bs, "A 439[]".to_owned()]);
        assert!(!stage.is_pair(a, b));
        assert_eq!(stage.emit(a, 10, r#""P2P_UNREGISTER""#), ["A 4310[]"]);
        // What they do with the acks is nobody's affair.
        assert!(stage.say(b, "430[]").is_empty());
        assert!(stage.close(a).is_empty(), "B was told");
        assert!(stage.close(b).is_empty() && stage.is_empty());
    }
    // Of a source nobody knows which of the two it understands.
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G2, "A"), stage.open(Kin::G2, "B"));
    stage.pair(a, b);
    assert_eq!(stage.emit(b, None, r#""P2P_UNREGISTER""#), [told("B"), told("A"), alone("A")]);
}

#[test]
fn streams_of_partners() {
    let mut stage = Stage::new();
    let (a, b, c) = (stage.open(Kin::G2, "A"), stage.open(Kin::G2, "B"), stage.open(Kin::G0, "C"));
    assert_eq!(stage.emit(a, 1, r#""P2P_REGISTER_STREAM","B""#), [r#"B 42#["P2P_REGISTER_STREAM"]"#]);
    assert_eq!(stage.answer(b, "true"), ["A 431[true]"]);
    stage.emit(a, 2, r#""P2P_REGISTER_STREAM","B""#);
    assert_eq!(stage.answer(b, "false"), ["A 432[false]"]);
    assert_eq!(
        stage.emit(a, 3, r#""P2P_REGISTER_STREAM","C""#),
        [error("A", "Error: Target client knows no streams"), "A 433[false]".to_owned()]
    );
    let lines = stage.emit(a, 4, r#""P2P_REGISTER_STREAM","Z""#);
    assert_eq!(lines.last().unwrap(), "A 434[false]");
    let chunk = r#"{"_placeholder":true,"num":0}"#;
    let emit =
        format!(r#"451-5["P2P_EMIT_ACKNOWLEDGE",{{"targetClientId":"B","event":"P2P_EMIT_STREAM","args":[{chunk}]}}]"#);
    stage.say(a, &emit);
    assert_eq!(stage.attach(a, b"abc"), [format!(r#"B 451-#["P2P_EMIT_STREAM",{chunk}]"#), "B <04616263>".to_owned()]);
    assert_eq!(stage.answer(b, ""), ["A 435[]"]);
    assert!(stage.close(c).is_empty());
}

#[test]
fn an_id_is_quoted_as_json_demands() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G2, "A\"\\"), stage.open(Kin::G2, "B/é"));
    assert_eq!(stage.emit(a, 1, r#""P2P_REGISTER","B\/\u00e9""#), [r#"B/é 42#["P2P_REGISTER","A\"\\"]"#]);
    assert_eq!(stage.answer(b, "true"), [r#"A"\ 431[true]"#]);
}

#[test]
fn questions_are_bounded() {
    let mut stage = Stage::new();
    stage.world.config.limits.max_calls = 2;
    let (a, _) = (stage.open(Kin::G2, "A"), stage.open(Kin::G0, "B"));
    for ack in 0..2 {
        assert_eq!(stage.emit(a, ack, r#""P2P_REGISTER","B""#).len(), 1);
    }
    let c = stage.open(Kin::G2, "C");
    let why = error("C", "Error: too many registrations wait for the target's answer (--max-calls)");
    assert_eq!(stage.emit(c, 1, r#""P2P_REGISTER","B""#), [why, "C 431[false]".to_owned()]);
    stage.open(Kin::G0, "D");
    let why = error("A", "Error: too many calls wait for an answer (--max-calls)");
    assert_eq!(stage.emit(a, 3, r#""P2P_REGISTER","D""#), [why, "A 433[false]".to_owned()]);
}
