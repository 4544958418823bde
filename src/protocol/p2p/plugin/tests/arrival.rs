use super::*;
use crate::hub::devices::Standing;

fn duplicate(who: &str, id: &str, name: &str) -> String {
    let text = format!(
        "p2p Socket.io lib: Duplicated clientId {id} on connect, new socket id = {name}, \
         new socket with duplicated clientId will be disconnected"
    );
    error(who, &text)
}

impl Stage {
    /// A client comes whose id is taken.
    fn come_second(&mut self, kin: Kin, id: &str, name: &str) -> SessionId {
        let devices = &self.world.hub.devices;
        let holder = devices.by_name(id).and_then(|holder| devices.get(holder)).expect("it is taken");
        let (is_probed, holder) = (holder.is_probed, self.names[&holder.session].clone());
        let (who, lines) = self.come(kin, id);
        self.names.insert(who, name.to_owned());
        assert_eq!(lines.is_empty(), is_probed, "it is held, and the holder is probed, once");
        assert!(lines.is_empty() || lines == [format!("{holder} ping")], "{lines:?}");
        assert!(matches!(self.device(who).standing, Standing::Held(_)));
        who
    }

    /// The names by which those know their sockets who came last, as far as the server makes them.
    fn is_refused(&mut self, lines: &[String], who: SessionId, id: &str) {
        let name = self.names[&who].clone();
        let [connected, why, ended] = lines else { panic!("{lines:?}") };
        let socket = match connected.strip_prefix(&format!("{name} 40{{\"sid\":\"")) {
            Some(rest) => rest.strip_suffix("\"}").unwrap().to_owned(),
            None => self.device(who).sid.to_string(),
        };
        assert!(connected.starts_with(&format!("{name} 40")));
        assert_eq!(*why, duplicate(&name, id, &socket));
        assert_eq!(*ended, format!("{name} 41"));
        assert_eq!(self.device(who).standing, Standing::Outside);
    }
}

#[test]
fn t33_t27_a_holder_that_answers_keeps_its_id() {
    for (kin, newcomer) in KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b))) {
        let mut stage = Stage::new();
        let (a, p) = (stage.open(kin, "A"), stage.open(Kin::G5, "P"));
        stage.pair(p, a);
        let n = stage.come_second(newcomer, "A", "N");
        // It is not connected, so nothing that it says matters.
        assert!(stage.emit(n, 1, r#""P2P_EMIT","P","x",[]"#).is_empty());
        assert!(stage.say(n, "430[]").is_empty());
        assert_eq!(stage.emit(p, 2, r#""LIST_CLIENTS""#), [r#"P 432[["A","P"]]"#]);
        let lines = stage.alive(a);
        stage.is_refused(&lines, n, "A");
        assert!(stage.alive(a).is_empty(), "once");
        assert!(stage.emit(n, 1, r#""LIST_CLIENTS""#).is_empty(), "it was shown the door");
        assert!(stage.sleep(10).iter().all(|line| line.ends_with(" 2")), "nothing comes of it");
        assert!(stage.close(n).is_empty());
        assert!(stage.is_pair(a, p));
        assert_eq!(stage.emit(p, 3, r#""LIST_CLIENTS""#), [r#"P 433[["A","P"]]"#]);
    }
}

#[test]
fn whatever_the_holder_says_is_a_sign_of_life() {
    for said in ["2", "3", r#"42["y"]"#, "430[]"] {
        let mut stage = Stage::new();
        let a = stage.open(Kin::G2, "A");
        let n = stage.come_second(Kin::G2, "A", "N");
        let lines: Vec<_> = stage.say(a, said).into_iter().filter(|line| line.starts_with('N')).collect();
        stage.is_refused(&lines, n, "A");
    }
}

#[test]
fn a_holder_that_polls_is_probed_by_a_packet_that_says_nothing() {
    let mut stage = Stage::new();
    let claim = |id: &str| Claim { id: Some(id.into()), generation: Generation::Later, is_operator: false };
    let (a, _) = stage.come_as("A", claim("A"), Revision::Four, Transport::Polling, false);
    let (n, lines) = stage.come(Kin::G5, "A");
    stage.names.insert(n, "N".to_owned());
    assert_eq!(lines, ["A 6"]);
    let lines = stage.alive(a);
    stage.is_refused(&lines, n, "A");
}

#[test]
fn a_silent_holder_loses_its_id() {
    for (kin, newcomer) in KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b))) {
        let mut stage = Stage::new();
        let (a, p, q) = (stage.open(kin, "A"), stage.open(Kin::G5, "P"), stage.open(Kin::G5, "Q"));
        stage.names.insert(a, "old A".to_owned());
        stage.names.insert(a, "A".to_owned());
        stage.pair(a, p);
        stage.emit(q, None, r#""ADD_TARGET","A""#);
        stage.emit(a, None, r#""JOIN_ROOM","r""#);
        let n = stage.come_second(newcomer, "A", "N");
        assert!(stage.sleep(4).is_empty());
        let lines = stage.sleep(1);
        let (closed, rest) = lines.split_last().unwrap();
        assert_eq!(*closed, "A closed: another client came with its id, and it gave no sign of life");
        assert_eq!(rest[..2], [r#"P 42["P2P_DISCONNECT"]"#, r#"Q 42["TARGET_DISCONNECT","A"]"#]);
        assert!(rest[2].starts_with("N 40") && rest.len() == 3, "{rest:?}");
        assert!(!stage.world.is_open(a));
        let _ = stage.emit(p, None, r#""P2P_EMIT","A","x",[]"#);
        assert_eq!(stage.device(n).id(), Some("A"));
        for who in [n, p, q] {
            assert!(stage.close(who).is_empty());
        }
        assert!(stage.is_empty());
    }
}

#[test]
fn a_holder_that_is_not_listened_to_is_not_silent() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G2, "A");
    let n = stage.come_second(Kin::G5, "A", "N");
    // As the server does when what it says waits for others.
    for _ in 0..3 {
        stage.sleep(4);
        let now = stage.world.now;
        stage.world.session(a).excuse(now);
        assert!(stage.sleep(1).is_empty(), "nothing is decided");
        stage.world.hub.devices.check();
    }
    let lines = stage.sleep(5);
    assert!(lines[0].starts_with("N 40") && lines[1].starts_with("A closed"), "{lines:?}");
    assert_eq!(stage.device(n).id(), Some("A"));

    stage.names.insert(n, "A".to_owned());
    let o = stage.come_second(Kin::G5, "A", "O");
    stage.sleep(4);
    let now = stage.world.now;
    stage.world.session(n).excuse(now);
    stage.sleep(1);
    let lines = stage.alive(n);
    stage.is_refused(&lines, o, "A");
    assert!(stage.sleep(10).iter().all(|line| !line.contains("closed")));
}

#[test]
fn a_holder_that_leaves_while_it_is_probed_is_succeeded_at_once() {
    for says_so in [true, false] {
        let mut stage = Stage::new();
        let a = stage.open(Kin::G2, "A");
        let n = stage.come_second(Kin::G5, "A", "N");
        let lines = if says_so { stage.say(a, "41") } else { stage.close(a) };
        assert!(lines.len() == 1 && lines[0].starts_with("N 40"), "{lines:?}");
        assert_eq!(stage.device(n).id(), Some("A"));
        assert!(stage.sleep(20).iter().all(|line| line.starts_with("A closed: no namespace") || line == "N 2"));
    }
}

#[test]
fn a_newcomer_that_leaves_while_it_is_held_is_forgotten() {
    for says_so in [true, false] {
        let mut stage = Stage::new();
        let a = stage.open(Kin::G2, "A");
        let n = stage.come_second(Kin::G5, "A", "N");
        assert!(if says_so { stage.say(n, "41") } else { stage.close(n) }.is_empty());
        assert!(stage.alive(a).is_empty());
        assert!(stage.sleep(10).is_empty());
        assert_eq!(stage.device(a).id(), Some("A"));
    }
}

#[test]
fn several_newcomers_are_decided_one_after_the_other() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G2, "A");
    let n = stage.come_second(Kin::G5, "A", "N");
    stage.sleep(2);
    let o = stage.come_second(Kin::G0, "A", "O");
    let p = stage.come_second(Kin::G5, "A", "P");
    // At five seconds the first gets it, and is probed for the others.
    let lines = stage.sleep(3);
    assert!(lines[0].starts_with("N 40"));
    assert_eq!(lines[1..], ["N ping", "A closed: another client came with its id, and it gave no sign of life"]);
    assert!(!stage.world.is_open(a));
    stage.world.hub.devices.check();
    // What the others waited before does not count.
    assert!(stage.sleep(4).is_empty());
    let lines = stage.sleep(1);
    assert_eq!(lines[..2], ["O 40", "O ping"]);
    stage.world.hub.devices.check();
    // This one is there.
    let lines = stage.alive(o);
    stage.is_refused(&lines, p, "A");
    assert!(!stage.world.is_open(n));
    assert_eq!(stage.device(o).id(), Some("A"));
}

#[test]
fn a_holder_that_answers_refuses_all_who_wait() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G2, "A");
    let waiting: Vec<_> = (0..8).map(|number| stage.come_second(Kin::G2, "A", &format!("N{number}"))).collect();
    // A ninth is one too many.
    let (ninth, lines) = stage.come(Kin::G2, "A");
    stage.is_refused(&lines, ninth, "A");
    let lines = stage.alive(a);
    assert_eq!(lines.len(), 24);
    for (lines, who) in lines.chunks(3).zip(waiting) {
        stage.is_refused(lines, who, "A");
    }
}

#[test]
fn a_holder_is_not_probed_all_the_time() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G2, "A");
    let n = stage.come_second(Kin::G5, "A", "N");
    assert!(stage.device(a).is_probed);
    // Whoever comes and goes does not have it asked again.
    stage.close(n);
    for _ in 0..100 {
        let n = stage.come_second(Kin::G5, "A", "N");
        stage.close(n);
    }
    // Nobody waits for the answer any more, but it counts for a while.
    assert!(stage.alive(a).is_empty());
    for _ in 0..100 {
        let (n, lines) = stage.come(Kin::G5, "A");
        stage.names.insert(n, "A".to_owned());
        stage.is_refused(&lines, n, "A");
    }
    stage.sleep(1);
    let n = stage.come_second(Kin::G5, "A", "N");
    assert!(stage.device(a).is_probed);
    assert!(stage.sleep(4).is_empty());
    assert!(stage.sleep(1)[0].starts_with("N 40"));
    assert_eq!(stage.device(n).id(), Some("A"));
}

#[test]
fn the_first_who_waits_may_leave_and_the_next_waits_on() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G2, "A");
    let n = stage.come_second(Kin::G5, "A", "N");
    stage.sleep(3);
    let o = stage.come_second(Kin::G5, "A", "O");
    assert!(stage.close(n).is_empty());
    assert!(stage.sleep(4).is_empty());
    let lines = stage.sleep(1);
    assert!(lines[0].starts_with("O 40") && lines[1].starts_with("A closed"), "{lines:?}");
    assert_eq!(stage.device(o).id(), Some("A"));
    assert!(!stage.world.is_open(a));
}

#[test]
fn with_overwriting_the_newest_has_the_id() {
    let mut stage = Stage::new();
    stage.world.config.device_overwrite = true;
    let (a, p, q) = (stage.open(Kin::G2, "A"), stage.open(Kin::G5, "P"), stage.open(Kin::G5, "Q"));
    stage.names.insert(a, "old".to_owned());
    let _ = stage.emit(a, 1, r#""P2P_REGISTER","P""#);
    stage.answer(p, "true");
    stage.emit(q, None, r#""ADD_TARGET","A""#);
    stage.emit(a, None, r#""JOIN_ROOM","r""#);
    stage.emit(q, 1, r#""P2P_EMIT","A","slow",[]"#);
    let (n, lines) = stage.come(Kin::G5, "A");
    assert_eq!(
        lines[..5],
        [
            r#"P 42["P2P_DISCONNECT"]"#.to_owned(),
            r#"old 42["P2P_DISCONNECT"]"#.to_owned(),
            r#"Q 42["TARGET_DISCONNECT","A"]"#.to_owned(),
            r#"old 42["TARGET_DISCONNECT","Q"]"#.to_owned(),
            error("old", "Error: another client came with this one's clientId and has it now (--device-overwrite)"),
        ]
    );
    assert!(lines[5].starts_with("A 40") && lines.len() == 6);
    assert_eq!(stage.emit(q, None, r#""P2P_EMIT","A","x",[]"#), [r#"A 42["x"]"#]);
    // The old one is connected still: it hears its rooms, and answers what it was asked.
    assert_eq!(stage.emit(p, None, r#""EMIT_ROOM","r","x""#), [r#"old 42["x"]"#]);
    assert_eq!(stage.answer(a, "1"), ["Q 431[1]"]);
    assert!(stage.close(a).is_empty());
    assert_eq!(stage.emit(q, None, r#""P2P_EMIT","A","x",[]"#), [r#"A 42["x"]"#]);
    assert_eq!(stage.device(n).id(), Some("A"));
    for who in [n, p, q] {
        assert!(stage.close(who).is_empty());
    }
    assert!(stage.is_empty());
}

#[test]
fn who_waits_when_overwriting_is_switched_on_waits_for_the_new_holder() {
    let mut stage = Stage::new();
    let a = stage.open(Kin::G2, "A");
    let n = stage.come_second(Kin::G5, "A", "N");
    stage.world.config.device_overwrite = true;
    let (o, lines) = stage.come(Kin::G2, "A");
    assert_eq!(lines[1..], ["A 40", "A ping"]);
    stage.world.hub.devices.check();
    let lines = stage.alive(o);
    stage.is_refused(&lines, n, "A");
    assert_eq!(stage.device(a).id(), None);
}

#[test]
fn a_client_may_come_back_in_the_same_session() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    for _ in 0..3 {
        stage.pair(a, b);
        assert_eq!(stage.say(a, "41"), [r#"B 42["P2P_DISCONNECT"]"#]);
        assert_eq!(stage.emit(b, 1, r#""LIST_CLIENTS""#), [r#"B 431[["B"]]"#]);
        assert!(stage.say(a, "40")[0].starts_with("A 40"));
    }
}
