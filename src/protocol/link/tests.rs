use super::*;
use crate::hub::SessionId;
use crate::hub::shared::Sharing;
use crate::protocol::Session;
use crate::protocol::named::{Named, Wishes};
use crate::protocol::network::Network;
use crate::protocol::recorder::{Effect, World};
use proptest::prelude::*;

fn world() -> World<Session> {
    let mut world = World::new();
    world.hub().channels.sharing = Some(Box::new(Sharing::new(InstanceId::new([0xEE; 16]), None)));
    world
}

fn link(world: &mut World<Session>, path: &str, far: Far) -> (SessionId, Vec<Effect>) {
    let key = world.hub().channels.sharing.as_ref().expect("shared").key(path);
    world.open_from(None, Session::Link(Box::new(Link::new(key, Cargo::of(path), far, [0; 32]))))
}

fn named(world: &mut World<Session>, presence: bool) -> SessionId {
    let wishes = Wishes { presence, echo: false };
    world.open_from(None, Session::Named(Named::new("/broadcast/a", wishes))).0
}

fn id(byte: u8) -> InstanceId {
    InstanceId::new([byte; 16])
}

fn receivers(effects: &[Effect]) -> Vec<SessionId> {
    effects.iter().flat_map(Effect::receivers).collect()
}

#[test]
fn a_second_link_with_the_same_server_is_closed() {
    let mut world = world();
    let (first, _) = link(&mut world, "/broadcast/a", Far::Dialling(id(1)));
    let (second, effects) = link(&mut world, "/broadcast/a", Far::Dialled(id(1)));
    assert!(matches!(&effects[..], [Effect::Closed { code, .. }] if *code == ALREADY_LINKED), "{effects:?}");
    assert!(world.is_open(first) && !world.is_open(second));
    for (path, other) in [("/broadcast/a", 2), ("/broadcast/b", 1)] {
        let (another, _) = link(&mut world, path, Far::Dialling(id(other)));
        assert!(world.is_open(another), "{path} with {other}");
    }
}

#[test]
fn an_original_that_was_dialled_is_never_written_to() {
    let mut world = world();
    let (member, watcher) = (named(&mut world, false), named(&mut world, true));
    let (original, effects) = link(&mut world, "/broadcast/a", Far::OriginalDialled);
    assert_eq!(effects, []);
    assert_eq!(receivers(&world.text(member, "hello")), [watcher]);
    let mut heard = receivers(&world.text(original, "from there"));
    heard.sort();
    assert_eq!(heard, [member, watcher]);
    assert_eq!(receivers(&world.text(original, "____connect")), [watcher]);
    world.close(member);
    world.close(watcher);
    assert_eq!(world.text(original, "to nobody"), []);
}

#[test]
fn what_a_lost_link_told_of_is_taken_back() {
    let mut world = world();
    let watcher = named(&mut world, true);
    let (there, _) = link(&mut world, "/broadcast/a", Far::Dialling(id(1)));
    for _ in 0..3 {
        assert_eq!(receivers(&world.text(there, "____connect")), [watcher]);
    }
    assert_eq!(receivers(&world.text(there, "____disconnect")), [watcher]);
    let late =
        world.open_from(None, Session::Named(Named::new("/broadcast/a", Wishes { presence: true, echo: false })));
    assert_eq!(late.1.iter().filter(|effect| effect.receivers() == [late.0]).count(), 3, "one here and two there");
    let lost = world.close(there);
    assert_eq!(lost.len(), 2);
    world.text(watcher, "still a channel");
}

proptest! {
    /// Whatever anybody says, nothing that comes from a link goes to a link, and what a member says goes to each link at
    /// most once.
    #[test]
    fn nothing_goes_round(
        is_network: bool,
        said in proptest::collection::vec((0usize..5, 0usize..8, "\\PC{0,12}"), 1..60),
    ) {
        let mut world = world();
        let path = if is_network { "/network/a" } else { "/broadcast/a" };
        let members: Vec<SessionId> = (0..3)
            .map(|number| match is_network {
                true => world.open_from(None, Session::Network(Network::new(path))).0,
                false => named(&mut world, number == 0),
            })
            .collect();
        let links: Vec<SessionId> =
            [Far::Dialled(id(1)), Far::Dialling(id(2))].map(|far| link(&mut world, path, far).0).to_vec();
        let everybody: Vec<SessionId> = members.iter().chain(&links).copied().collect();
        for (who, what, text) in said {
            let quoted = serde_json::to_string(&text).expect("a string");
            let words = match what {
                0 => "____connect".to_owned(),
                1 => "____disconnect".to_owned(),
                2 => "\\____connect".to_owned(),
                3 => format!(r#"{{"action":"broadcast","source":"5","data":{quoted}}}"#),
                4 => r#"{"action":"connect","target":"5"}"#.to_owned(),
                5 => r#"{"action":"disconnect","target":"5"}"#.to_owned(),
                6 => format!(r#"{{"action":"message","source":"5","target":"5","data":{quoted}}}"#),
                _ => text,
            };
            let heard = receivers(&world.text(everybody[who], &words));
            for link in &links {
                let times = heard.iter().filter(|receiver| *receiver == link).count();
                prop_assert!(times <= usize::from(who < 3), "{words:?} by {who}");
            }
            prop_assert!(!heard.contains(&everybody[who]) || is_network);
        }
    }
}
