use super::super::push_list;
use super::*;

const SINCE: u64 = 1_367_930_096_123;

/// How long changes are gathered.
const GATHERED: Duration = Duration::from_millis(100);

fn entry(key: u64, id: &str, state: &str, partner: &str) -> String {
    format!(
        r#"{{"key":{key},"id":"{id}","generation":"later","engine":4,"transport":"websocket","state":"{state}","partner":{partner},"since":{SINCE}}}"#
    )
}

fn changed(who: &str, version: u64, changed: &[String], gone: &[u64]) -> String {
    let gone: Vec<_> = gone.iter().map(ToString::to_string).collect();
    let (changed, gone) = (changed.join(","), gone.join(","));
    format!(r#"{who} 42["DEVICES_CHANGED",{{"version":{version},"changed":[{changed}],"gone":[{gone}]}}]"#)
}

/// Opens one who watches, with the lines of its answer. Whatever happens later can be told at once.
fn watch(stage: &mut Stage, is_operator: bool) -> (SessionId, Vec<String>) {
    let claim = Claim { id: None, generation: Generation::Later, is_operator };
    let (who, _) = stage.come_as("watcher", claim, Revision::Four, Transport::WebSocket, false);
    let lines = stage.emit(who, 1, r#""SUBSCRIBE_DEVICES""#);
    stage.world.advance(GATHERED);
    (who, lines)
}

#[test]
fn clients_are_listed() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G2, "A"), stage.open(Kin::G0, "quoted \"B\""));
    assert_eq!(stage.emit(a, 1, r#""LIST_CLIENTS""#), [r#"A 431[["A","quoted \"B\""]]"#]);
    assert!(stage.emit(a, None, r#""LIST_CLIENTS""#).is_empty());
    for (id, answer) in
        [(r#""A""#, "true"), (r#""quoted \"B\"""#, "true"), (r#""Z""#, "null"), ("null", "null"), ("{}", "null")]
    {
        let event = format!(r#""GET_CLIENT_CONNECTED_STATUS",{id}"#);
        assert_eq!(stage.emit(a, 2, &event), [format!("A 432[{answer}]")]);
    }
    stage.close(b);
    assert_eq!(stage.emit(a, 1, r#""LIST_CLIENTS""#), [r#"A 431[["A"]]"#]);
    for id in ["__proto__", "constructor"] {
        let event = format!(r#""GET_CLIENT_CONNECTED_STATUS","{id}""#);
        assert_eq!(stage.emit(a, 2, &event), ["A 432[null]"]);
    }
}

#[test]
fn a_watcher_sees_everybody_and_every_change() {
    let mut stage = Stage::new();
    let (a, b) = (stage.open(Kin::G5, "A"), stage.open(Kin::G5, "B"));
    let (w, lines) = watch(&mut stage, false);
    let me = entry(3, "?", "nameless", "null").replace("\"?\"", "null");
    let alone = [entry(1, "A", "available", "null"), entry(2, "B", "available", "null"), me];
    assert_eq!(lines, [format!("watcher 431[[{}]]", alone.join(","))]);

    assert_eq!(stage.emit(a, 1, r#""P2P_REGISTER","B""#).len(), 1, "nothing has changed yet");
    let version = stage.world.hub.devices.version();
    let pair = [entry(1, "A", "paired", "\"B\""), entry(2, "B", "paired", "\"A\"")];
    assert_eq!(stage.answer(b, "true"), ["A 431[true]".to_owned(), changed("watcher", version + 2, &pair, &[])]);

    let later = |stage: &mut Stage| stage.world.advance(GATHERED);
    later(&mut stage);
    let (c, lines) = stage.come(Kin::G5, "C");
    let c_there = [entry(4, "C", "available", "null")].map(|entry| entry.replace("096123", "096323"));
    assert_eq!(lines[1..], [changed("watcher", version + 3, &c_there, &[])]);
    later(&mut stage);
    let (n, lines) = stage.come(Kin::G5, "C");
    let n_held = [entry(5, "C", "held", "null")].map(|entry| entry.replace("096123", "096423"));
    assert_eq!(lines[1..], [changed("watcher", version + 4, &n_held, &[])]);
    later(&mut stage);
    let lines = stage.alive(c);
    assert_eq!(lines[3..], [changed("watcher", version + 5, &[], &[5])]);
    assert!(stage.close(n).is_empty());
    later(&mut stage);
    let heard = stage.close(a);
    let heard_of = stage.world.hub.devices.version();
    assert_eq!(heard[1..], [changed("watcher", heard_of, &[entry(2, "B", "available", "null")], &[1])]);

    assert_eq!(stage.emit(w, 7, r#""UNSUBSCRIBE_DEVICES""#), ["watcher 437[]"]);
    assert_eq!(stage.emit(w, 8, r#""UNSUBSCRIBE_DEVICES""#), ["watcher 438[]"]);
    assert!(stage.close(b).is_empty());
    assert!(stage.close(c).is_empty() && stage.close(w).is_empty() && stage.is_empty());
}

#[test]
fn addresses_are_for_the_operator() {
    let mut stage = Stage::new();
    let (w, lines) = watch(&mut stage, true);
    assert!(lines[0].contains(r#","address":"127.0.0.1:1000"}"#), "{lines:?}");
    stage.names.insert(w, "operator".to_owned());
    let (_, lines) = watch(&mut stage, false);
    stage.world.advance(GATHERED);
    assert!(!lines.last().unwrap().contains("address"));
    let (_, lines) = stage.come(Kin::G5, "A");
    assert!(lines.len() == 3 && lines[1].starts_with("operator") && lines[2].starts_with("watcher"));
    assert!(lines[1].contains(r#""address":"127.0.0.1:1002""#) && !lines[2].contains("address"));
}

#[test]
fn subscribing_twice_is_being_told_once() {
    let mut stage = Stage::new();
    let (w, _) = watch(&mut stage, false);
    stage.emit(w, 2, r#""SUBSCRIBE_DEVICES""#);
    assert!(stage.emit(w, None, r#""SUBSCRIBE_DEVICES""#).is_empty());
    let (_, lines) = stage.come(Kin::G5, "A");
    assert_eq!(lines.len(), 2);
    stage.close(w);
    let (_, lines) = stage.come(Kin::G5, "B");
    assert_eq!(lines.len(), 1);
    assert!(!stage.world.hub.devices.has_untold(), "nobody wants to know");
}

#[test]
fn a_change_of_transport_is_a_change() {
    let mut stage = Stage::new();
    let claim = Claim { id: Some("A".into()), generation: Generation::Seed, is_operator: false };
    let (a, _) = stage.come_as("A", claim, Revision::Three, Transport::Polling, false);
    let (w, lines) = watch(&mut stage, false);
    assert!(lines[0].contains(r#""generation":"seed","engine":3,"transport":"polling""#));
    let id = stage.id(a);
    stage.world.hub.devices.set_transport(id, Transport::WebSocket);
    let lines = stage.emit(w, None, r#""LIST_CLIENTS""#);
    assert!(lines[0].contains(r#""transport":"websocket""#), "{lines:?}");
}

#[test]
fn the_operators_list() {
    let mut stage = Stage::new();
    stage.open(Kin::G5, "A");
    let mut out = Vec::new();
    push_list(&mut out, &stage.world.hub.devices);
    let list: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let device = serde_json::json!({
        "key": 1, "id": "A", "generation": "later", "engine": 4, "transport": "websocket",
        "state": "available", "partner": null, "since": SINCE, "address": "127.0.0.1:1000",
    });
    assert_eq!(list["devices"], serde_json::Value::from(vec![device]));
    assert_eq!(list["version"], stage.world.hub.devices.version());
}

#[test]
fn changes_are_gathered() {
    let mut stage = Stage::new();
    let (_, _) = watch(&mut stage, false);
    stage.names.insert(SessionId(0), "first".to_owned());
    let (second, lines) = watch(&mut stage, false);
    let is_event = |line: &&String| line.contains("DEVICES_CHANGED");
    assert_eq!(lines.iter().filter(is_event).count(), 0, "it is told at once of itself, as of all");
    let (a, lines) = stage.come(Kin::G5, "A");
    assert_eq!(lines.iter().filter(is_event).count(), 2);
    // A flood of them is one event for each, in time.
    let mut lines = stage.say(a, "41");
    for _ in 0..1000 {
        let (who, more) = stage.come(Kin::G5, "B");
        lines.extend(more);
        lines.extend(stage.close(who));
    }
    lines.extend(stage.say(a, "40"));
    assert_eq!(lines.iter().filter(is_event).count(), 0);
    assert!(stage.world.sleep(GATHERED - Duration::from_millis(1)).is_empty());
    let effects = stage.world.sleep(Duration::from_millis(1));
    let lines = stage.lines(effects);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains(r#""changed":[{"key":3,"id":"A""#) && lines[0].contains(r#""gone":[4,5,"#));
    assert!(stage.sleep(10).is_empty(), "that was all");

    // Whoever was to be called may leave.
    let mut come = |id| stage.come(Kin::G5, id).1.iter().filter(is_event).count();
    assert_eq!((come("C"), come("D")), (2, 0));
    assert!(stage.close(SessionId(0)).is_empty());
    let effects = stage.world.sleep(GATHERED);
    let lines = stage.lines(effects);
    assert!(lines.len() == 1 && lines[0].starts_with("watcher") && lines[0].contains(r#""id":"D""#), "{lines:?}");
    stage.come(Kin::G5, "E");
    assert!(stage.world.hub.devices.has_untold());
    stage.emit(second, None, r#""UNSUBSCRIBE_DEVICES""#);
    assert!(!stage.world.hub.devices.has_untold(), "nobody wants to know");
}

#[test]
fn long_lists_are_rare() {
    let mut stage = Stage::new();
    let long = "i".repeat(200_000);
    let a = stage.open(Kin::G5, "A");
    let (_, _) = stage.come(Kin::G5, &long);
    let refused = error("A", "Error: too many long lists in one second");
    for event in [r#""LIST_CLIENTS""#, r#""SUBSCRIBE_DEVICES""#] {
        assert!(stage.emit(a, 1, event)[0].starts_with("A 431[["));
        assert!(stage.emit(a, 2, event)[0].starts_with("A 432[["));
        assert_eq!(stage.emit(a, 3, event), [refused.as_str()]);
        stage.world.advance(Duration::from_secs(1));
    }
    // Short ones may be had as often as anybody likes.
    let mut stage = Stage::new();
    let a = stage.open(Kin::G5, "A");
    assert!((0..5000).all(|ack| stage.emit(a, ack, r#""LIST_CLIENTS""#)[0].starts_with("A 43")));
}
