//! `/tcp`: whatever a client says and whatever happens to its target, bytes pass in their order and as they are.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use jackfield::frame::message::Kind;
use jackfield::hub::SessionId;
use jackfield::protocol::recorder::{Effect, Line, World, relayed};
use jackfield::protocol::tcp::Tcp;
use jackfield::protocol::{BridgeEvent, DialError};

use super::{ERRORS, MAX_OPERATIONS};
use crate::models::input::Input;

/// Opens, speaks, answers for the targets and closes as `input` decides.
pub(crate) fn run(input: &mut Input<'_>) {
    let mut world = World::new();
    // What each client said before its target answered.
    let mut waiting: BTreeMap<SessionId, Vec<Vec<u8>>> = BTreeMap::new();
    for _ in 0..MAX_OPERATIONS {
        if input.is_used_up() {
            break;
        }
        let open = world.sessions();
        let who = (!open.is_empty()).then(|| input.one_of(&open));
        match (input.choice(8), who) {
            (0, _) | (_, None) => {
                let text = String::from_utf8_lossy(&input.bytes()).into_owned();
                // Any text either names a host and a port, or nothing.
                let target = Tcp::to(&text).unwrap_or_else(|| Tcp::new("host", 1));
                let (who, effects) = world.open_from(None, target);
                let [Effect::Dialled { who: dialler, host, port }] = &effects[..] else { panic!("{effects:?}") };
                assert!(*dialler == who && !host.contains(['[', ']', ' ', '/', '@', '\0']) && *port > 0, "{effects:?}");
                waiting.insert(who, Vec::new());
            }
            (1, Some(who)) => {
                assert_eq!(world.close(who), []);
                waiting.remove(&who);
            }
            (2..=4, Some(who)) => {
                let bytes = input.bytes();
                let is_text = input.choice(2) == 1 && std::str::from_utf8(&bytes).is_ok();
                let effects = world.message(who, if is_text { Kind::Text } else { Kind::Binary }, &bytes);
                match waiting.get_mut(&who) {
                    Some(waiting) => {
                        assert_eq!(effects, []);
                        waiting.push(bytes);
                    }
                    None => assert_eq!(effects, bridged(who, vec![bytes])),
                }
            }
            (_, Some(who)) => happen(&mut world, &mut waiting, who, input),
        }
    }
}

/// Something happens to the target of a client.
fn happen(
    world: &mut World<Tcp>,
    waiting: &mut BTreeMap<SessionId, Vec<Vec<u8>>>,
    who: SessionId,
    input: &mut Input<'_>,
) {
    match (world.line(who), input.choice(4)) {
        (Line::Dialling, 0..=1) => {
            let said = waiting.remove(&who).expect("who dials is waited for");
            assert_eq!(world.bridge(who, BridgeEvent::Open), bridged(who, said));
        }
        (Line::Dialling, _) => {
            waiting.remove(&who);
            let error = input.one_of(&ERRORS);
            let code = match error {
                DialError::Forbidden | DialError::Ourselves | DialError::NotPermitted => 1008,
                DialError::TooMany(_) => 1013,
                _ => 1014,
            };
            expect_close(&world.bridge(who, BridgeEvent::Failed(error)), who, code);
            assert!(!world.is_open(who));
        }
        (Line::Open, 0) => expect_close(&world.bridge(who, BridgeEvent::Ended), who, 1000),
        (Line::Open, 1) => {
            let kind = input.one_of(&[ErrorKind::ConnectionReset, ErrorKind::TimedOut, ErrorKind::Other]);
            expect_close(&world.bridge(who, BridgeEvent::Broken(kind)), who, 1014);
        }
        (Line::Open, _) => {
            let mut bytes = input.bytes();
            bytes.push(0);
            assert_eq!(world.receive(who, &bytes), [relayed(who, Kind::Binary, &bytes)]);
        }
        (Line::Idle, _) => panic!("an open client has a target or awaits one"),
    }
}

fn bridged(who: SessionId, said: Vec<Vec<u8>>) -> Vec<Effect> {
    said.into_iter().filter(|bytes| !bytes.is_empty()).map(|bytes| Effect::Bridged { who, bytes }).collect()
}

/// One close with this code, and a reason that fits.
fn expect_close(effects: &[Effect], client: SessionId, expected: u16) {
    let [Effect::Closed { who, code, reason }] = effects else { panic!("{effects:?}") };
    assert_eq!((*who, u16::from(*code)), (client, expected));
    assert!(!reason.is_empty() && reason.len() <= 123, "{reason}");
}
