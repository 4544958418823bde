use super::*;
use crate::protocol::Session;
use crate::protocol::recorder::{Effect, World};

type Net = World<Session>;

fn world() -> Net {
    World::new()
}

fn join(world: &mut Net) -> (SessionId, String, Vec<Effect>) {
    let (id, effects) = world.open_from(None, Session::Network(Network::new("/network/a")));
    let status = world.text(id, r#"{"action":"status"}"#);
    let said = text(&status[0]);
    let own = said.split('"').nth(7).expect("an id").to_owned();
    assert_eq!(said, format!(r#"{{"action":"status","source":"{own}","target":"{own}"}}"#));
    (id, own, effects)
}

fn text(effect: &Effect) -> String {
    String::from_utf8(effect.payload().expect("a message").to_vec()).expect("text")
}

fn said(effects: &[Effect]) -> Vec<(Vec<SessionId>, String)> {
    effects.iter().map(|effect| (effect.receivers(), text(effect))).collect()
}

#[test]
fn everybody_is_told_of_everybody() {
    let mut world = world();
    let (a, a_id, effects) = join(&mut world);
    assert_eq!(effects, []);
    let (b, b_id, effects) = join(&mut world);
    let mut told = said(&effects);
    told.sort_by_key(|(to, _)| to[0]);
    let connect =
        |source: &str, target: &str| format!(r#"{{"action":"connect","source":"{source}","target":"{target}"}}"#);
    assert_eq!(told, [(vec![a], connect(&a_id, &b_id)), (vec![b], connect(&b_id, &a_id))]);
    let disconnect = format!(r#"{{"action":"disconnect","source":"{a_id}","target":"{b_id}"}}"#);
    assert_eq!(said(&world.close(b)), [(vec![a], disconnect)]);
}

#[test]
fn a_broadcast_reaches_all_others_and_a_message_one() {
    let mut world = world();
    let ((a, a_id, _), (b, b_id, _), (c, ..)) = (join(&mut world), join(&mut world), join(&mut world));
    let effects = world.text(a, r#"{"data":"h\u00e9 \"x\"","action":"broadcast","source":"1"}"#);
    assert_eq!(
        said(&effects),
        [(vec![b, c], format!(r#"{{"action":"broadcast","source":"{a_id}","data":"h\u00e9 \"x\""}}"#))]
    );
    let effects = world.text(a, &format!(r#"{{"action":"message","target":"{b_id}","data":"x"}}"#));
    assert_eq!(
        said(&effects),
        [(vec![b], format!(r#"{{"action":"message","source":"{a_id}","target":"{b_id}","data":"x"}}"#))]
    );
    let effects = world.text(a, &format!(r#"{{"Action":"message","Target":"{a_id}"}}"#));
    assert_eq!(said(&effects), [(vec![a], format!(r#"{{"action":"message","source":"{a_id}","target":"{a_id}"}}"#))]);
    let effects = world.text(a, r#"{"action":"broadcast","data":""}"#);
    assert_eq!(said(&effects), [(vec![b, c], format!(r#"{{"action":"broadcast","source":"{a_id}"}}"#))]);
}

#[test]
fn what_is_not_understood_is_ignored() {
    let mut world = world();
    let ((a, ..), (_, b_id, _)) = (join(&mut world), join(&mut world));
    for text in [
        "",
        "x",
        "[]",
        "{}",
        r#"{"action":"broadcast","data":1}"#,
        r#"{"action":"broadcast","data":{"a":"b"}}"#,
        r#"{"action":"broadcast","data":null}"#,
        r#"{"action":"message","data":"x"}"#,
        r#"{"action":"message","target":"1","data":"x"}"#,
        &format!(r#"{{"action":"message","target":{b_id},"data":"x"}}"#),
        r#"{"action":"connect","target":"5"}"#,
        r#"{"action":"disconnect","target":"5"}"#,
        r#"{"action":"dance"}"#,
        r#"{"action":7}"#,
    ] {
        assert_eq!(world.text(a, text), [], "{text}");
    }
}

#[test]
fn a_binary_frame_ends_the_connection() {
    let mut world = world();
    let (a, ..) = join(&mut world);
    assert!(matches!(world.binary(a, b"x")[..], [Effect::Closed { code: CloseCode::Unsupported, .. }]));
    assert!(!world.is_open(a));
}
