use super::*;
use crate::hub::shared::{InstanceId, Sharing};
use crate::protocol::Session;
use crate::protocol::link::{Cargo, Far, Link};
use crate::protocol::recorder::{Effect, Recorder, World};

type Net = World<Session>;

fn world() -> Net {
    let mut world = World::new();
    world.hub().channels.sharing = Some(Box::new(Sharing::new(InstanceId::new([0xEE; 16]), None)));
    world
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

/// A link on the same channel, on which `peers` were told of.
fn link(world: &mut Net, peers: std::ops::Range<usize>) -> SessionId {
    let key = world.hub().channels.sharing.as_ref().expect("shared").key("/network/a");
    let far = Far::Dialling(InstanceId::new([peers.start as u8; 16]));
    let link = Link::new(key, Cargo::Network, far, [0; 32]);
    let (link, _) = world.open_from(None, Session::Link(Box::new(link)));
    for peer in peers {
        world.text(link, &format!(r#"{{"action":"connect","target":"{peer}"}}"#));
    }
    link
}

#[test]
fn members_are_told_of_a_lost_link_in_shares() {
    const MEMBERS: usize = 20;
    let mut world = world();
    let members: Vec<_> = (0..MEMBERS).map(|_| join(&mut world)).collect();
    let lost = link(&mut world, 0..300);
    let is_told = |effects: &[Effect], of: &mut Vec<(SessionId, String)>| {
        for effect in effects {
            let text = text(effect);
            assert!(text.contains(r#""action":"disconnect""#), "{text}");
            of.push((effect.receivers()[0], text.split('"').nth(11).expect("a target").to_owned()));
        }
    };
    let mut told = Vec::new();
    let mut effects = world.close(lost);
    assert!(world.hub().peers.has_lost(), "all of them are told of at once");
    while !effects.is_empty() {
        assert!(effects.len() <= LOST_SHARE, "{}", effects.len());
        is_told(&effects, &mut told);
        let mut recorder = Recorder::default();
        tell_lost(world.hub(), &mut recorder);
        effects = recorder.effects;
    }
    told.sort();
    let mut expected: Vec<_> =
        members.iter().flat_map(|(member, ..)| (0..300).map(|peer| (*member, peer.to_string()))).collect();
    expected.sort();
    assert_eq!(told, expected);
}

#[test]
fn a_peer_that_is_back_before_all_were_told_is_not_told_of() {
    let mut world = world();
    let first = join(&mut world).0;
    (1..20).for_each(|_| drop(join(&mut world)));
    let lost = link(&mut world, 0..300);
    world.close(lost);
    let back = link(&mut world, 299..299);
    assert_eq!(world.text(back, r#"{"action":"connect","target":"299"}"#), []);
    // Whoever comes meanwhile knows as much as the others.
    let (newcomer, _, effects) = join(&mut world);
    let told = effects.iter().filter(|effect| effect.receivers() == [newcomer]).count();
    assert_eq!(told, 20 + 300 - LOST_SHARE / 20);
    let effects = world.text(back, r#"{"action":"broadcast","source":"299","data":"hello"}"#);
    assert!(effects.iter().any(|effect| effect.receivers().contains(&first)), "{effects:?}");
}

#[test]
fn a_link_that_tells_of_more_than_there_is_memory_for_is_closed() {
    let mut world = world();
    let (member, ..) = join(&mut world);
    let link = link(&mut world, 0..10);
    let used = world.hub().memory.used();
    assert!(used > 0, "peers cost nothing");
    world.hub().memory.set_scarce(used + 1);
    assert_eq!(world.text(link, r#"{"action":"connect","target":"10"}"#).len(), 1);
    let effects = world.text(link, r#"{"action":"connect","target":"11"}"#);
    let closed = |effect: &Effect| matches!(effect, Effect::Closed { code: CloseCode::Again, reason, .. } if reason.contains("--max-memory"));
    assert!(closed(&effects[0]), "{effects:?}");
    assert!(!world.is_open(link) && world.is_open(member));
    assert_eq!(world.hub().memory.used(), 0);
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
