//! One Engine.IO session and its upgrade as dialogues, with time that passes when it is told to.

use std::time::Duration;

use super::probe::Probe;
use super::{Arrival, Claim, Device, Revision, Transport};
use crate::frame::message::Kind;
use crate::hub::SessionId;
use crate::hub::devices::{Device as Known, DeviceId, Generation};
use crate::protocol::Session;
use crate::protocol::recorder::{Effect, World, sent};

const REVISIONS: [Revision; 2] = [Revision::Three, Revision::Four];

/// What a client hears, as lines; who is to be called when is left out.
fn lines(effects: Vec<Effect>) -> Vec<String> {
    effects
        .iter()
        .filter(|effect| !matches!(effect, Effect::Woken { .. }))
        .map(|effect| format!("{effect:?}"))
        .collect()
}

fn arrival(world: &mut World<Session>, transport: Transport, base64_only: bool) -> Arrival {
    let claim = Claim { id: None, generation: Generation::Later, is_operator: false };
    let sid = world.hub.devices.name().expect("seeded");
    Arrival { sid, transport, base64_only, claim }
}

/// A client that has opened a session, and said nothing yet.
fn opened(world: &mut World<Session>, revision: Revision, transport: Transport) -> (SessionId, DeviceId) {
    let arrival = arrival(world, transport, false);
    let sid = arrival.sid;
    let (who, effects) = world.open_from(None, Session::Device(Box::new(Device::new(revision, arrival))));
    let heard = lines(effects);
    let upgrades = if transport == Transport::Polling { "[\"websocket\"]" } else { "[]" };
    let opening = format!(
        "send Text to {}: 0{{\"sid\":\"{sid}\",\"upgrades\":{upgrades},\"pingInterval\":25000,\"pingTimeout\":20000,\
         \"maxPayload\":{}}}",
        who.0, world.config.limits.max_message
    );
    assert_eq!(heard[0], opening);
    let joined = format!("send Text to {}: 40", who.0);
    assert_eq!(heard[1..], if revision == Revision::Three { vec![joined] } else { vec![] });
    (who, world.hub.devices.by_sid(sid).expect("it is there"))
}

/// A client that is in its namespace.
fn joined(world: &mut World<Session>, revision: Revision) -> SessionId {
    let (who, _) = opened(world, revision, Transport::WebSocket);
    if revision == Revision::Four {
        assert!(lines(world.text(who, "40"))[0].contains(": 40{\"sid\":\""));
    }
    who
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[track_caller]
fn expect_closed(effects: Vec<Effect>, who: SessionId, part: &str) {
    let [Effect::Closed { who: closed, code, reason }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((*closed, u16::from(*code)), (who, 1008));
    assert!(reason.contains(part), "{reason}");
}

/// Without those that ask to be called.
fn quiet(effects: Vec<Effect>) -> Vec<Effect> {
    effects.into_iter().filter(|effect| !matches!(effect, Effect::Woken { .. })).collect()
}

#[test]
fn revision_4_is_pinged_until_it_does_not_pong() {
    let mut world = World::new();
    let who = joined(&mut world, Revision::Four);
    for _ in 0..3 {
        assert_eq!(quiet(world.sleep(seconds(24))), []);
        assert_eq!(quiet(world.sleep(seconds(1))), [sent(who, "2")]);
        assert_eq!(quiet(world.sleep(seconds(19))), []);
        assert_eq!(quiet(world.text(who, "3")), []);
        // One that nobody asked for moves nothing.
        world.text(who, "3");
    }
    assert_eq!(quiet(world.sleep(seconds(25))), [sent(who, "2")]);
    // Whatever else it says is no answer.
    world.text(who, "6");
    world.text(who, "41/x,");
    assert_eq!(quiet(world.sleep(seconds(19))), []);
    expect_closed(quiet(world.sleep(seconds(1))), who, "--device-ping-interval, --device-ping-timeout");
    assert!(world.hub.devices.is_empty());
}

#[test]
fn revision_3_is_heard_until_it_says_nothing() {
    let mut world = World::new();
    let who = joined(&mut world, Revision::Three);
    for said in ["2", "2probe", "6", "41/x,", "3"] {
        assert_eq!(quiet(world.sleep(seconds(44))), []);
        let expected = said.strip_prefix('2').map(|data| sent(who, &format!("3{data}")));
        assert_eq!(quiet(world.text(who, said)), expected.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(quiet(world.sleep(seconds(44))), []);
    world.alive(who);
    assert_eq!(quiet(world.sleep(seconds(44))), []);
    expect_closed(quiet(world.sleep(seconds(1))), who, "no heartbeat");
    assert!(world.hub.devices.is_empty());
}

#[test]
fn who_was_not_listened_to_has_its_time_again() {
    for revision in REVISIONS {
        let mut device = Device::new(revision, arrival(&mut World::new(), Transport::WebSocket, false));
        let world: World<Session> = World::new();
        let (limits, now) = (&world.config.limits, world.now);
        (device.heard, device.pinged) = (Some(now), Some(now));
        let late = now + seconds(45);
        assert!(device.is_lost(late, limits));
        device.excuse(late);
        assert!(!device.is_lost(late, limits));
        assert!(!device.is_lost(late + seconds(19), limits));
        assert!(device.is_lost(late + seconds(45), limits));
        // Nobody is asked for what it was not asked for.
        device.pinged = None;
        device.excuse(late);
        assert_eq!(device.pinged, None);
    }
}

#[test]
fn the_namespace_is_waited_for() {
    let mut world = World::new();
    let (who, _) = opened(&mut world, Revision::Four, Transport::Polling);
    assert_eq!(quiet(world.sleep(seconds(25))), [sent(who, "2")]);
    world.text(who, "3");
    assert_eq!(quiet(world.sleep(seconds(19))), []);
    expect_closed(quiet(world.sleep(seconds(1))), who, "no namespace was connected in time");
    // As long again from when it was left.
    for revision in REVISIONS {
        let who = joined(&mut world, revision);
        world.sleep(seconds(20));
        assert_eq!(quiet(world.text(who, "41")), []);
        // Leaving twice is leaving once.
        world.text(who, "41");
        for _ in 0..4 {
            world.sleep(seconds(11));
            world.text(who, if revision == Revision::Four { "3" } else { "6" });
        }
        expect_closed(quiet(world.sleep(seconds(1))), who, "no namespace was connected in time");
        let who = joined(&mut world, revision);
        world.text(who, "41");
        assert!(lines(world.text(who, "40"))[0].contains(": 40"));
        assert_eq!(quiet(world.sleep(seconds(24))), []);
        world.close(who);
    }
    assert!(world.hub.devices.is_empty());
}

#[test]
fn nobody_asks_to_be_called_for_every_message() {
    for revision in REVISIONS {
        let mut world = World::new();
        let who = joined(&mut world, revision);
        let mut calls = 0;
        for _ in 0..1000 {
            let effects = world.text(who, "41/x,");
            calls += effects.iter().filter(|effect| matches!(effect, Effect::Woken { .. })).count();
        }
        assert_eq!(calls, 0);
    }
}

#[test]
fn packets_that_mean_nothing_change_nothing() {
    for revision in REVISIONS {
        let mut world = World::new();
        let who = joined(&mut world, revision);
        for said in ["0", "0{}", "5", "6", "3", "41/x", "41/x,"] {
            assert_eq!(quiet(world.text(who, said)), [], "{said}");
        }
        // A ping in the wrong direction.
        assert_eq!(quiet(world.text(who, "2")).is_empty(), revision == Revision::Four);
        assert!(world.is_open(who));
    }
}

#[test]
fn a_client_says_goodbye() {
    for revision in REVISIONS {
        let mut world = World::new();
        let who = joined(&mut world, revision);
        let effects = quiet(world.text(who, "1"));
        assert!(matches!(&effects[..], [Effect::Closed { code, .. }] if u16::from(*code) == 1000), "{effects:?}");
        assert!(world.hub.devices.is_empty());
        // The same as an item of bytes, in the one revision that has types there.
        let who = joined(&mut world, revision);
        let effects = quiet(world.binary(who, &[1]));
        let code = if revision == Revision::Three { 1000 } else { 1008 };
        assert!(matches!(&effects[..], [Effect::Closed { code: is, .. }] if u16::from(*is) == code), "{effects:?}");
    }
}

/// The event with these attachments, for somebody who is not there: it is complete when that is said.
fn event(count: usize, holes: usize) -> String {
    let holes: Vec<String> = (0..holes).map(|hole| format!(r#"{{"_placeholder":true,"num":{hole}}}"#)).collect();
    format!(r#"45{count}-["P2P_EMIT",{{"targetClientId":"x","event":"y","args":[{}]}}]"#, holes.join(","))
}

/// What it leads to.
const COMPLETE: &str = "Could not find target client";

fn attachment(revision: Revision, bytes: &[u8]) -> Vec<u8> {
    if revision == Revision::Three { [&[4], bytes].concat() } else { bytes.to_vec() }
}

#[test]
fn an_event_is_complete_with_its_attachments() {
    for revision in REVISIONS {
        for count in [1, 2, 10] {
            let mut world = World::new();
            let who = joined(&mut world, revision);
            assert_eq!(quiet(world.text(who, &event(count, count))), [], "{count}");
            for number in 1..=count {
                // A heartbeat does not come between, in either direction.
                world.text(who, if revision == Revision::Four { "3" } else { "6" });
                let heard = lines(world.binary(who, &attachment(revision, &[7; 10])));
                assert_eq!(heard.iter().any(|line| line.contains(COMPLETE)), number == count, "{heard:?}");
            }
        }
    }
}

#[test]
fn attachments_may_be_text_that_stands_for_them() {
    for revision in REVISIONS {
        let mut world = World::new();
        let who = joined(&mut world, revision);
        world.text(who, &event(2, 2));
        assert_eq!(quiet(world.text(who, if revision == Revision::Three { "b4AAAA" } else { "bAAAA" })), []);
        assert!(lines(world.binary(who, &attachment(revision, b"")))[0].contains(COMPLETE));
        for text in ["b!", "b4!", "bA", "b"] {
            let who = joined(&mut world, revision);
            world.text(who, &event(2, 2));
            let effects = quiet(world.text(who, text));
            // An empty one is one in the revision that has no type in front.
            assert_eq!(world.is_open(who), text == "b" && revision == Revision::Four, "{text}: {effects:?}");
        }
    }
}

#[test]
fn attachments_have_bounds() {
    for revision in REVISIONS {
        let mut world = World::new();
        world.config.limits.max_message = 1000;
        let who = joined(&mut world, revision);
        expect_closed(quiet(world.text(who, &event(11, 1))), who, "--max-attachments");
        let who = joined(&mut world, revision);
        expect_closed(quiet(world.text(who, &event(0, 0))), who, "Socket.IO");
        // All together are one message.
        let who = joined(&mut world, revision);
        world.text(who, &event(3, 1));
        assert_eq!(quiet(world.binary(who, &attachment(revision, &[7; 450]))), []);
        expect_closed(quiet(world.binary(who, &attachment(revision, &[7; 900]))), who, "--max-message");
        // The digit that says that it is a message of Engine.IO does not count.
        let rest = event(2, 1).len() - 1;
        for (last, fits) in [(1000 - 10 - rest, true), (1001 - 10 - rest, false)] {
            let who = joined(&mut world, revision);
            world.text(who, &event(2, 1));
            world.binary(who, &attachment(revision, &[7; 10]));
            world.binary(who, &attachment(revision, &vec![7; last]));
            assert_eq!(world.is_open(who), fits, "{last}");
        }
        let devices = world.hub.devices.len();
        // Nobody gets anything of what was not completed.
        let who = joined(&mut world, revision);
        world.text(who, &event(2, 1));
        world.binary(who, &attachment(revision, &[7; 10]));
        assert_eq!(quiet(world.close(who)), []);
        assert_eq!(world.hub.devices.len(), devices);
    }
}

#[test]
fn what_comes_in_the_wrong_place_is_a_fault() {
    for revision in REVISIONS {
        let mut world = World::new();
        for packet in ["40", "41", r#"42["x"]"#, "430[]", &event(1, 1), "40/x,"] {
            let who = joined(&mut world, revision);
            world.text(who, &event(1, 1));
            expect_closed(quiet(world.text(who, packet)), who, "an attachment was to come");
        }
        let who = joined(&mut world, revision);
        expect_closed(quiet(world.binary(who, &attachment(revision, &[1]))), who, "no attachment was to come");
        let who = joined(&mut world, revision);
        expect_closed(quiet(world.text(who, &event(1, 2))), who, "names no attachment");
        let who = joined(&mut world, revision);
        world.text(who, "41");
        expect_closed(quiet(world.text(who, r#"42["x"]"#)), who, "not connected");
    }
}

/// A session that polls, and a WebSocket that is tried out beside it.
fn tried(world: &mut World<Session>, revision: Revision) -> (SessionId, DeviceId, SessionId) {
    let (session, device) = opened(world, revision, Transport::Polling);
    let probe = try_out(world, device);
    (session, device, probe)
}

fn try_out(world: &mut World<Session>, device: DeviceId) -> SessionId {
    let (probe, effects) = world.open_from(None, Session::Probe(Probe::new(device)));
    assert_eq!(lines(effects), Vec::<String>::new());
    probe
}

fn transport(world: &World<Session>, device: DeviceId) -> Option<Transport> {
    world.hub.devices.get(device).map(|device: &Known| device.transport)
}

#[test]
fn an_upgrade() {
    for revision in REVISIONS {
        let mut world = World::new();
        let (session, device, probe) = tried(&mut world, revision);
        assert_eq!(quiet(world.text(probe, "2probe")), [sent(probe, "3probe"), sent(session, "6")]);
        assert_eq!(transport(&world, device), Some(Transport::Upgrading));
        assert_eq!(quiet(world.text(probe, "5")), [Effect::HandedOver { from: probe, to: session }]);
        assert_eq!(transport(&world, device), Some(Transport::WebSocket));
        assert!(world.is_open(session) && !world.is_open(probe));
        // The trial is over: its deadline means nothing any more.
        assert_eq!(quiet(world.sleep(seconds(20))), []);
        // There is no second one.
        let probe = try_out(&mut world, device);
        expect_closed(quiet(world.text(probe, "2probe")), probe, "upgrade");
        assert_eq!(transport(&world, device), Some(Transport::WebSocket));
    }
}

#[test]
fn an_upgrade_that_comes_to_nothing() {
    let orders: [&[&str]; 7] =
        [&["5"], &["2"], &["4x"], &["2probe", "2probe"], &["2probe", "3probe"], &["2probe", "1"], &["2probe", ""]];
    for revision in REVISIONS {
        for order in orders {
            let mut world = World::new();
            let (session, device, probe) = tried(&mut world, revision);
            let (last, before) = order.split_last().expect("not empty");
            for said in before {
                world.text(probe, said);
            }
            expect_closed(quiet(world.text(probe, last)), probe, "upgrade");
            assert_eq!(transport(&world, device), Some(Transport::Polling), "{order:?}");
            // The next one may do better.
            let probe = try_out(&mut world, device);
            world.text(probe, "2probe");
            assert_eq!(quiet(world.text(probe, "5")), [Effect::HandedOver { from: probe, to: session }]);
        }
        // Bytes are nothing that is said here, whatever they spell.
        let mut world = World::new();
        let (_, device, probe) = tried(&mut world, revision);
        expect_closed(quiet(world.message(probe, Kind::Binary, b"2probe")), probe, "upgrade");
        // One that is silent has its time, whether it has asked or not.
        for has_asked in [false, true] {
            let probe = try_out(&mut world, device);
            if has_asked {
                world.text(probe, "2probe");
            }
            assert_eq!(quiet(world.sleep(Duration::from_millis(9_999))), []);
            expect_closed(quiet(world.sleep(Duration::from_millis(1))), probe, "took too long");
            assert_eq!(transport(&world, device), Some(Transport::Polling));
        }
        // Of two, the one that has not asked takes nothing from the one that has.
        let (first, second) = (try_out(&mut world, device), try_out(&mut world, device));
        world.text(first, "2probe");
        world.close(second);
        assert_eq!(transport(&world, device), Some(Transport::Upgrading));
        world.close(first);
        assert_eq!(transport(&world, device), Some(Transport::Polling));
    }
}

#[test]
fn a_session_that_ends_while_another_transport_is_tried() {
    for said in ["2probe", "5"] {
        let mut world = World::new();
        let (session, device, probe) = tried(&mut world, Revision::Four);
        if said == "5" {
            world.text(probe, "2probe");
        }
        world.close(session);
        // Its slot may be somebody else's by now.
        let (_, stranger) = opened(&mut world, Revision::Four, Transport::Polling);
        assert_ne!(device, stranger);
        expect_closed(quiet(world.text(probe, said)), probe, "the session has ended");
        assert_eq!(transport(&world, stranger), Some(Transport::Polling));
    }
}
