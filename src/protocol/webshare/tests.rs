use std::net::SocketAddr;
use std::sync::Arc;

use super::super::recorder::{Effect, World, relayed, sent};
use super::super::{Audience, Protocol};
use super::*;
use crate::access::{Grant, Permit};
use crate::config::Config;
use crate::frame::message::HEADROOM;
use crate::hub::Hub;

type Webshares = World<Webshare>;

fn open(world: &mut Webshares) -> SessionId {
    world.open(Webshare::new(false))
}

/// Asks a client's key the way clients do.
fn key(world: &mut Webshares, who: SessionId) -> String {
    let effects = world.text(who, r#"{"command":"key"}"#);
    let [Effect::Sent { payload, .. }] = &effects[..] else { panic!("{effects:?}") };
    let text = str::from_utf8(payload).unwrap();
    let key = text.strip_prefix(r#"{"ok":true,"code":"SUCCESS","body":{"key":""#).unwrap();
    key.strip_suffix(r#""},"command":"key","echo":null}"#).unwrap().to_owned()
}

fn pair_with(target: &str) -> String {
    format!(r#"{{"command":"pair","body":{{"target":"{target}"}},"echo":"p"}}"#)
}

/// Alice and Bob, paired by Alice, with their keys.
fn paired(world: &mut Webshares) -> (SessionId, String, SessionId, String) {
    let (alice, bob) = (open(world), open(world));
    let (alices, bobs) = (key(world, alice), key(world, bob));
    assert_eq!(
        world.text(alice, &pair_with(&bobs)),
        [with(alice, "pair", &bobs, r#""p""#), with(bob, "pair", &alices, "null")],
    );
    (alice, alices, bob, bobs)
}

fn with(to: SessionId, command: &str, key: &str, echo: &str) -> Effect {
    let body = format!(r#"{{"with":"{key}"}}"#);
    sent(to, &format!(r#"{{"ok":true,"code":"SUCCESS","body":{body},"command":"{command}","echo":{echo}}}"#))
}

fn refused(to: SessionId, command: &str, code: &str, echo: &str) -> Effect {
    sent(to, &format!(r#"{{"ok":false,"code":"{code}","body":null,"command":"{command}","echo":{echo}}}"#))
}

fn command_error(to: SessionId, error: &str, echo: &str) -> Effect {
    let body = format!(r#"{{"error":{error}}}"#);
    sent(to, &format!(r#"{{"ok":false,"code":"COMMAND_ERROR","body":{body},"command":"error","echo":{echo}}}"#))
}

fn receipt(to: SessionId, echo: &str) -> Effect {
    sent(to, &format!(r#"{{"ok":true,"code":"RELAY_SENT","body":null,"command":"relay","echo":{echo}}}"#))
}

fn relay_ok(to: SessionId, body: &str) -> Effect {
    let push = format!(r#"{{"ok":true,"code":"RELAY_OK","body":{body},"command":"relay","echo":null}}"#);
    relayed(to, Kind::Text, push.as_bytes())
}

#[test]
fn the_readmes_example() {
    let mut world = World::new();
    let (alice, bob) = (open(&mut world), open(&mut world));
    let ask = r#"{"echo":{"callbackId":"a1f"},"command":"key"}"#;
    let answer = |to, key: &str| {
        let echo = r#"{"callbackId":"a1f"}"#;
        sent(to, &format!(r#"{{"ok":true,"code":"SUCCESS","body":{{"key":"{key}"}},"command":"key","echo":{echo}}}"#))
    };
    let (alices, bobs) = (key(&mut world, alice), key(&mut world, bob));
    assert_eq!(world.text(alice, ask), [answer(alice, &alices)]);
    assert_eq!(world.text(bob, ask), [answer(bob, &bobs)]);

    let request = format!(r#"{{"echo":{{"callbackId":"b2e"}},"command":"pair","body":{{"target":"{bobs}"}}}}"#);
    assert_eq!(
        world.text(alice, &request),
        [with(alice, "pair", &bobs, r#"{"callbackId":"b2e"}"#), with(bob, "pair", &alices, "null")],
    );
    assert_eq!(
        world.text(alice, r#"{"echo":{"callbackId":"c3d"},"command":"relay","body":{"hello":"dan"}}"#),
        [receipt(alice, r#"{"callbackId":"c3d"}"#), relay_ok(bob, r#"{"hello":"dan"}"#)],
    );
    assert_eq!(
        world.text(bob, r#"{"echo":{"callbackId":"d4c"},"command":"relay","body":"my name isnt dan its bob!"}"#),
        [receipt(bob, r#"{"callbackId":"d4c"}"#), relay_ok(alice, r#""my name isnt dan its bob!""#)],
    );
    assert_eq!(
        world.text(bob, r#"{"echo":{"callbackId":"e5b"},"command":"relay","body":[123,"hello alice!"]}"#),
        [receipt(bob, r#"{"callbackId":"e5b"}"#), relay_ok(alice, r#"[123,"hello alice!"]"#)],
    );
    assert_eq!(world.close(alice), [with(bob, "unpair", &alices, "null")]);
}

#[test]
fn keys_have_the_configured_length_and_stay() {
    for digits in [4, 8, 32] {
        let mut world = Webshares::new();
        world.config.key_digits = digits;
        let (alice, bob) = (open(&mut world), open(&mut world));
        let alices = key(&mut world, alice);
        assert_eq!(alices.len(), usize::from(digits));
        assert_eq!(key(&mut world, alice), alices);
        assert_ne!(key(&mut world, bob), alices);
    }
}

#[test]
fn either_side_may_unpair_and_pair_again() {
    let mut world = World::new();
    let (alice, alices, bob, bobs) = paired(&mut world);
    assert_eq!(
        world.text(bob, r#"{"command":"unpair","echo":[0]}"#),
        [with(bob, "unpair", &alices, "[0]"), with(alice, "unpair", &bobs, "null")],
    );
    for (who, other, own, others) in [(bob, alice, &bobs, &alices), (alice, bob, &alices, &bobs)] {
        assert_eq!(
            world.text(who, &pair_with(others)),
            [with(who, "pair", others, r#""p""#), with(other, "pair", own, "null")],
        );
        assert_eq!(
            world.text(who, r#"{"command":"unpair"}"#),
            [with(who, "unpair", others, "null"), with(other, "unpair", own, "null")],
        );
    }
}

#[test]
fn a_partner_that_is_gone_unpairs() {
    for is_initiator in [true, false] {
        let mut world = World::new();
        let (alice, alices, bob, bobs) = paired(&mut world);
        let (leaving, leavings, left) = if is_initiator { (alice, alices, bob) } else { (bob, bobs, alice) };
        assert_eq!(world.close(leaving), [with(left, "unpair", &leavings, "null")]);
        assert_eq!(world.text(left, r#"{"command":"unpair"}"#), [refused(left, "unpair", "NOT_PAIRED", "null")]);
        let target_is_gone = [refused(left, "pair", "TARGET_NOT_FOUND", r#""p""#)];
        assert_eq!(world.text(left, &pair_with(&leavings)), target_is_gone);
    }
}

#[test]
fn an_unpaired_client_leaves_silently() {
    let mut world = World::new();
    let (alice, _, bob, _) = paired(&mut world);
    world.text(alice, r#"{"command":"unpair"}"#);
    assert_eq!(world.close(alice), []);
    assert_eq!(world.close(bob), []);
    assert!(world.hub.pairs.is_empty());
}

#[test]
fn unpair_and_relay_need_a_partner() {
    let mut world = World::new();
    let alice = open(&mut world);
    for command in ["unpair", "relay"] {
        let request = format!(r#"{{"command":"{command}","body":{{"x":1}},"echo":{{"e":null}}}}"#);
        assert_eq!(world.text(alice, &request), [refused(alice, command, "NOT_PAIRED", r#"{"e":null}"#)]);
    }
}

#[test]
fn pairing_is_refused_in_the_originals_order() {
    let mut world = World::new();
    let (alice, _, _, bobs) = paired(&mut world);
    let carol = open(&mut world);
    let carols = key(&mut world, carol);
    let body = |text: &str| format!(r#"{{"command":"pair","body":{text},"echo":1}}"#);
    // A client with a partner hears nothing else, whatever it asks for.
    for text in ["null", "{}", r#"{"target":"zz"}"#, &format!(r#"{{"target":"{bobs}"}}"#)] {
        assert_eq!(world.text(alice, &body(text)), [refused(alice, "pair", "ALREADY_PAIRED", "1")], "{text}");
    }
    for (text, code) in [
        ("null", "INVALID_ARGUMENTS"),
        ("[]", "INVALID_ARGUMENTS"),
        (r#"["target"]"#, "INVALID_ARGUMENTS"),
        (r#""target""#, "INVALID_ARGUMENTS"),
        ("1", "INVALID_ARGUMENTS"),
        ("true", "INVALID_ARGUMENTS"),
        ("{}", "INVALID_KEY"),
        (r#"{"Target":"a"}"#, "INVALID_KEY"),
        (r#"{"target":null}"#, "INVALID_KEY"),
        (r#"{"target":""}"#, "INVALID_KEY"),
        (r#"{"target":0}"#, "INVALID_KEY"),
        (r#"{"target":-0.0}"#, "INVALID_KEY"),
        (r#"{"target":false}"#, "INVALID_KEY"),
        (r#"{"target":[]}"#, "INVALID_KEY"),
        (r#"{"target":{}}"#, "INVALID_KEY"),
        (r#"{"target":["a"]}"#, "INVALID_KEY"),
        (r#"{"target":{"a":"b"}}"#, "INVALID_KEY"),
        (r#"{"target":"nobody"}"#, "TARGET_NOT_FOUND"),
        (r#"{"target":"ffffffff"}"#, "TARGET_NOT_FOUND"),
        (r#"{"target":"\ud800"}"#, "TARGET_NOT_FOUND"),
        (r#"{"target":12345678}"#, "TARGET_NOT_FOUND"),
        (r#"{"target":true}"#, "TARGET_NOT_FOUND"),
        (&format!(r#"{{"target":"{}"}}"#, bobs.to_uppercase() + "A"), "TARGET_NOT_FOUND"),
        (&format!(r#"{{"target":"{} "}}"#, bobs), "TARGET_NOT_FOUND"),
        (&format!(r#"{{"target":"{}"}}"#, "f".repeat(100_000)), "TARGET_NOT_FOUND"),
        (&format!(r#"{{"target":"{carols}"}}"#), "CANNOT_SELF_PAIR"),
        (&format!(r#"{{"target":"{bobs}"}}"#), "ALREADY_PAIRED"),
    ] {
        assert_eq!(world.text(carol, &body(text)), [refused(carol, "pair", code, "1")], "{text}");
    }
    assert_eq!(world.text(carol, r#"{"command":"pair","echo":1}"#), [refused(carol, "pair", "INVALID_ARGUMENTS", "1")],);
    // Nobody noticed any of it.
    assert_eq!(
        world.text(alice, r#"{"command":"relay","body":1}"#),
        [receipt(alice, "null"), relay_ok(SessionId(1), "1")],
    );
}

#[test]
fn a_partner_cannot_be_stolen() {
    let mut world = World::new();
    let (alice, alices, bob, bobs) = paired(&mut world);
    let carol = open(&mut world);
    for target in [&alices, &bobs] {
        assert_eq!(world.text(carol, &pair_with(target)), [refused(carol, "pair", "ALREADY_PAIRED", r#""p""#)]);
    }
    assert_eq!(world.text(bob, r#"{"command":"relay"}"#), [receipt(bob, "null"), relay_ok(alice, "null")]);
}

#[test]
fn echo_and_body_are_passed_on_byte_for_byte() {
    let mut world = World::new();
    let (alice, _, bob, _) = paired(&mut world);
    for value in [
        "null",
        "false",
        "\"\"",
        "9007199254740993",
        "-0",
        "1e999",
        "123456789012345678901234567890.10",
        r#""\u00e9\/\ud83d\ude00\ud800""#,
        r#""é😀 \u2028""#,
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{ "spaces" : [ 1 ,	2 ] , "body" : {"echo":1} }"#,
        "[[[[[]]]]]",
        r#"{"callbackId":"a\"b\\"}"#,
    ] {
        for text in [
            format!(r#"{{"echo":{value},"command":"relay","body":{value}}}"#),
            format!("\n{{ \"body\" :\t{value} , \"echo\"\r\n: {value} ,\"command\":\"relay\" }} \n"),
            format!(r#"{{"body":1,"x":{value},"command":"relay","echo":2,"echo":{value},"bo\u0064y":{value}}}"#),
        ] {
            assert_eq!(world.text(alice, &text), [receipt(alice, value), relay_ok(bob, value)], "{text}");
        }
        let request = format!(r#"{{"command":"key","echo":{value},"body":[]}}"#);
        let reply = world.text(bob, &request);
        assert!(reply[0].payload().unwrap().ends_with(format!(r#","echo":{value}}}"#).as_bytes()));
    }
}

#[test]
fn large_bodies_pass() {
    let mut world = World::new();
    let (alice, _, bob, _) = paired(&mut world);
    let body = format!("\"{}\"", "0123456789abcdef".repeat(65_536));
    let request = format!(r#"{{"command":"relay","body":{body}}}"#);
    assert_eq!(world.text(alice, &request), [receipt(alice, "null"), relay_ok(bob, &body)]);
}

#[test]
fn what_is_no_request_is_answered_and_survived() {
    let mut world = World::new();
    let (alice, _, bob, _) = paired(&mut world);
    for (text, error, echo) in [
        ("", "INVALID_FORMAT", "null"),
        ("hello", "INVALID_FORMAT", "null"),
        (r#"{"command":"key","echo":1"#, "INVALID_FORMAT", "null"),
        (r#"{"command":"key","echo":1}}"#, "INVALID_FORMAT", "null"),
        (r#"{"command":"key","echo":NaN}"#, "INVALID_FORMAT", "null"),
        ("null", "INVALID_FORMAT", "null"),
        ("1", "INVALID_FORMAT", "null"),
        (r#""key""#, "INVALID_FORMAT", "null"),
        (r#"["command"]"#, "INVALID_FORMAT", "null"),
        ("{}", "INCOMPLETE_FORMAT", "null"),
        (r#"{"echo":1,"body":2}"#, "INCOMPLETE_FORMAT", "null"),
        (r#"{"Command":"key","echo":1}"#, "INCOMPLETE_FORMAT", "null"),
        (r#"{"command":"steal","echo":{"a":[1]}}"#, "UNKNOWN_COMMAND", r#"{"a":[1]}"#),
        (r#"{"command":"Relay"}"#, "UNKNOWN_COMMAND", "null"),
        (r#"{"command":"relay ","echo":0}"#, "UNKNOWN_COMMAND", "0"),
        (r#"{"command":"","echo":0}"#, "UNKNOWN_COMMAND", "0"),
        (r#"{"command":null,"echo":0}"#, "UNKNOWN_COMMAND", "0"),
        (r#"{"command":1,"echo":0}"#, "UNKNOWN_COMMAND", "0"),
        (r#"{"command":{"relay":1},"echo":0}"#, "UNKNOWN_COMMAND", "0"),
        (r#"{"command":["relay"],"echo":0}"#, "UNKNOWN_COMMAND", "0"),
        (r#"{"command":"\ud800","echo":0}"#, "UNKNOWN_COMMAND", "0"),
        (r#"{"command":"error","echo":0}"#, "INVALID_REQUEST", "0"),
        (r#"{"command":"error","body":{},"echo":0}"#, "INVALID_REQUEST", "0"),
        (r#"{"command":"error","body":["error"],"echo":0}"#, "INVALID_REQUEST", "0"),
    ] {
        let error = format!("\"{error}\"");
        assert_eq!(world.text(alice, text), [command_error(alice, &error, echo)], "{text}");
    }
    assert_eq!(world.binary(alice, b"\0\xff"), [command_error(alice, r#""INVALID_REQUEST""#, "null")]);
    let deep = format!(r#"{{"command":"relay","body":{}"#, "[".repeat(1024 * 1024));
    assert_eq!(world.text(alice, &deep), [command_error(alice, r#""INVALID_FORMAT""#, "null")]);
    assert_eq!(world.text(alice, r#"{"command":"relay"}"#), [receipt(alice, "null"), relay_ok(bob, "null")]);
}

#[test]
fn the_error_command_answers_its_own_error() {
    let mut world = World::new();
    let alice = open(&mut world);
    for error in [r#""INVALID_REQUEST""#, "null", r#"{"a": 1}"#, "[]"] {
        let request = format!(r#"{{"command":"error","body":{{"error":{error}}},"echo":"e"}}"#);
        assert_eq!(world.text(alice, &request), [command_error(alice, error, r#""e""#)]);
    }
}

#[test]
fn commands_may_be_escaped() {
    let mut world = World::new();
    let (alice, _, bob, _) = paired(&mut world);
    let request = r#"{"command":"\u0072elay","body":1}"#;
    assert_eq!(world.text(alice, request), [receipt(alice, "null"), relay_ok(bob, "1")]);
}

#[test]
fn binary_frames_pass_as_they_are_for_who_asked() {
    let mut world = World::new();
    let (alice, bob) = (world.open(Webshare::new(true)), open(&mut world));
    let bytes = [0, 0xFF, b'{', b'}'];
    assert_eq!(world.binary(alice, &bytes), [refused(alice, "relay", "NOT_PAIRED", "null")]);
    let bobs = key(&mut world, bob);
    world.text(alice, &pair_with(&bobs));
    assert_eq!(world.binary(alice, &bytes), [relayed(bob, Kind::Binary, &bytes)]);
    assert_eq!(world.binary(alice, b""), [relayed(bob, Kind::Binary, b"")]);
    // Bob did not ask, so he receives only.
    assert_eq!(world.binary(bob, &bytes), [command_error(bob, r#""INVALID_REQUEST""#, "null")]);
    assert_eq!(world.text(bob, r#"{"command":"relay"}"#), [receipt(bob, "null"), relay_ok(alice, "null")]);
}

fn rate_limited(to: SessionId, ms: u32) -> Effect {
    let body = format!(r#"{{"retry_after_ms":{ms}}}"#);
    sent(to, &format!(r#"{{"ok":false,"code":"RATE_LIMITED","body":{body},"command":"pair","echo":"p"}}"#))
}

#[test]
fn t11_keys_cannot_be_scanned() {
    let mut world = World::new();
    world.config.limits.guess_burst = 3;
    let outside: Option<SocketAddr> = Some("192.0.2.1:9".parse().unwrap());
    let open_outside = |world: &mut Webshares| world.open_from(outside, Webshare::new(false)).0;
    let (mallory, bob) = (open_outside(&mut world), open(&mut world));
    let (mallorys, bobs) = (key(&mut world, mallory), key(&mut world, bob));
    let not_found = [refused(mallory, "pair", "TARGET_NOT_FOUND", r#""p""#)];
    for _ in 0..3 {
        assert_eq!(world.text(mallory, &pair_with("0badcafe0")), not_found);
    }
    // Right and wrong keys look the same now.
    assert_eq!(world.text(mallory, &pair_with("0badcafe0")), [rate_limited(mallory, 1000)]);
    assert_eq!(world.text(mallory, &pair_with(&bobs)), [rate_limited(mallory, 1000)]);
    world.advance(Duration::from_micros(250_100));
    assert_eq!(world.text(mallory, &pair_with("junk")), [rate_limited(mallory, 750)]);
    // What no key can be learned from is answered as ever.
    let own = [refused(mallory, "pair", "CANNOT_SELF_PAIR", r#""p""#)];
    assert_eq!(world.text(mallory, &pair_with(&mallorys)), own);
    assert_eq!(world.text(mallory, &pair_with("")), [refused(mallory, "pair", "INVALID_KEY", r#""p""#)]);
    // Neither a new connection nor hanging up helps.
    world.close(mallory);
    let mallory = open_outside(&mut world);
    assert_eq!(world.text(mallory, &pair_with(&bobs)), [rate_limited(mallory, 750)]);
    world.advance(Duration::from_millis(750));
    let mallorys = key(&mut world, mallory);
    assert_eq!(
        world.text(mallory, &pair_with(&bobs)),
        [with(mallory, "pair", &bobs, r#""p""#), with(bob, "pair", &mallorys, "null")],
    );
}

#[test]
fn this_machine_may_guess_as_it_likes() {
    let mut world = World::new();
    let alice = open(&mut world);
    for _ in 0..100 {
        let not_found = [refused(alice, "pair", "TARGET_NOT_FOUND", r#""p""#)];
        assert_eq!(world.text(alice, &pair_with("0")), not_found);
    }
}

/// Effects that only look at where their parts lie.
#[derive(Default)]
struct Places {
    parts: Vec<std::ops::Range<*const u8>>,
}

impl Effects for Places {
    fn relay(&mut self, _: SessionId, _: Message<'_>) {
        unreachable!("text is enveloped");
    }

    fn broadcast(&mut self, _: Audience<'_>, _: Message<'_>) {
        unreachable!("WebShare has two ends");
    }

    fn send(&mut self, _: SessionId, _: Kind, parts: &[&[u8]]) {
        self.parts.extend(parts.iter().map(|part| part.as_ptr_range()));
    }

    fn send_all(&mut self, _: Audience<'_>, _: Kind, _: &[&[u8]]) {
        unreachable!("WebShare has two ends");
    }

    fn relay_parts(&mut self, to: SessionId, kind: Kind, parts: &[&[u8]]) {
        self.send(to, kind, parts);
    }

    fn recycle(&mut self, _: Message<'_>) {}

    fn dial(&mut self, _: SessionId, _: &str, _: u16) {
        unreachable!("WebShare dials nobody");
    }

    fn bridge(&mut self, _: SessionId, _: Message<'_>) {
        unreachable!("WebShare dials nobody");
    }

    fn bridge_bytes(&mut self, _: SessionId, _: &[u8]) {
        unreachable!("WebShare dials nobody");
    }

    fn hang_up(&mut self, _: SessionId) {
        unreachable!("WebShare dials nobody");
    }

    fn ping(&mut self, _: SessionId) {
        unreachable!("WebShare probes nobody");
    }

    fn wake_at(&mut self, _: SessionId, _: std::time::Instant) {
        unreachable!("WebShare waits for nothing");
    }

    fn hand_over(&mut self, _: SessionId, _: SessionId) {
        unreachable!("WebShare has one connection");
    }

    fn grant(&mut self, _: SessionId, _: Arc<Grant>) {
        unreachable!("WebShare has no tokens of its own");
    }

    fn refuse_token(&mut self) {
        unreachable!("WebShare has no tokens of its own");
    }

    fn close(&mut self, _: SessionId, _: CloseCode, _: &str) {}
}

#[test]
fn what_is_relayed_is_not_copied() {
    let (mut hub, config) = (Hub::default(), Config::default());
    let (now, wall) = (std::time::Instant::now(), std::time::SystemTime::now());
    let buffer = &mut Vec::new();
    let mut fx = Places::default();
    let mut clients = [Webshare::new(false), Webshare::new(false)];
    for (id, client) in clients.iter_mut().enumerate() {
        let id = SessionId(id as u32);
        let permit = Permit::default();
        let mut cx = Context { id, address: None, now, wall, permit, hub: &mut hub, config: &config, buffer };
        client.on_open(&mut cx, &mut fx);
    }
    let [alice, bob] = clients.each_ref().map(|client| client.member.unwrap());
    hub.pairs.pair(alice, bob).unwrap();

    let text = br#"{"echo":{"callbackId":"a3f"},"command":"relay","body":{"hello":["dan"]}}"#;
    let mut bytes = [&[0; HEADROOM][..], text].concat();
    let start = bytes.as_ptr().wrapping_add(HEADROOM);
    let message = Message::in_place(Kind::Text, &mut bytes, HEADROOM);
    let permit = Permit::default();
    let mut cx = Context { id: SessionId(0), address: None, now, wall, permit, hub: &mut hub, config: &config, buffer };
    clients[0].on_message(&mut cx, message, &mut fx);

    let span = |part: &[u8]| {
        let at = text.windows(part.len()).position(|window| window == part).unwrap();
        start.wrapping_add(at)..start.wrapping_add(at + part.len())
    };
    assert_eq!(fx.parts.len(), 6);
    assert_eq!(fx.parts[1], span(br#"{"callbackId":"a3f"}"#));
    assert_eq!(fx.parts[4], span(br#"{"hello":["dan"]}"#));
}

#[test]
fn a_client_is_small() {
    assert!(size_of::<Webshare>() <= 12);
}
