use std::time::Duration;

use super::super::Session;
use super::super::recorder::{Effect, World, relayed, sent};
use super::super::root::Undecided;
use super::super::ws2s::Dialect;
use super::*;
use crate::frame::message::HEADROOM;
use crate::hub::SessionId;

type Pockets = World<Pocket>;

/// Joins the room "" and returns what that led to as well.
fn join(world: &mut Pockets) -> (SessionId, Vec<Effect>) {
    enter(world, "")
}

/// Joins a room from 127.0.0.1, with its id as the port.
fn enter(world: &mut Pockets, room: &str) -> (SessionId, Vec<Effect>) {
    let port = world.sessions().last().map_or(0, |last| last.0 + 1);
    world.open_from(Some(([127, 0, 0, 1], port as u16).into()), Pocket::new(room, false))
}

/// Three clients in the room "".
fn three() -> (Pockets, [SessionId; 3]) {
    let mut world = World::new();
    let clients = [(); 3].map(|()| join(&mut world).0);
    (world, clients)
}

fn receipt(to: SessionId, id: &str, attr: &str) -> Effect {
    receipt_at(to, "2013-05-07 12:34:56.123456", id, attr)
}

fn receipt_at(to: SessionId, time: &str, id: &str, attr: &str) -> Effect {
    sent(to, &format!(r#"{{"time":"{time}","messageId":{id},"socket":"sent","attr":"{attr}"}}"#))
}

fn push(what: &str, port: u32) -> String {
    format!(r#"{{"socket":"{what}","port":{port},"address":"127.0.0.1"}}"#)
}

/// One effect reached exactly these with exactly this.
#[track_caller]
fn reached(effect: &Effect, receivers: &[SessionId], kind: Kind, payload: &[u8]) {
    assert_eq!(effect.receivers(), receivers);
    let (Effect::Sent { kind: of, .. } | Effect::Relayed { kind: of, .. } | Effect::Broadcast { kind: of, .. }) =
        effect
    else {
        panic!("{effect:?}");
    };
    assert_eq!((*of, effect.payload()), (kind, Some(payload)), "{effect:?}");
}

#[test]
fn the_readmes_examples() {
    let (mut world, [alice, bob, carol]) = three();
    for (id, text) in [
        ("0.lchkqdo", r#"{"id":"0.lchkqdo","message":"Art can be very abstract.","data":{}}"#),
        ("0.12l60m", r#"{"id":"0.12l60m","message":"socket.message","data":"milk"}"#),
        (
            "0.7a",
            r#"{"id":"0.7a","message":"socket.message","data":{"apples":"green","pie":"cherry","animal":"fishy"}}"#,
        ),
    ] {
        let effects = world.text(alice, text);
        assert_eq!(effects[0], receipt(alice, &format!("\"{id}\""), "json"));
        reached(&effects[1], &[bob, carol], Kind::Text, text.as_bytes());
        assert_eq!(effects.len(), 2);
    }
}

#[test]
fn receipts_of_json_have_the_id_byte_for_byte() {
    let (mut world, [alice, ..]) = three();
    let long = format!("\"{}\"", "9".repeat(100_000));
    for id in [
        r#""0.lchkqdo""#,
        r#""""#,
        "0",
        "9007199254740993",
        "-1.50e+07",
        "true",
        "null",
        r#""\u00e9 é \" \\ \ud83d""#,
        r#"{"a": [1,2 , {}]}"#,
        "[ ]",
        &long,
    ] {
        for text in [
            format!(r#"{{"id":{id}}}"#),
            format!("\r\n {{ \"message\":\"a.b\"\t, \"id\" : {id} , \"data\":{{\"id\":1}} }} "),
            format!(r#"{{"id":"first","\u0069d":{id}}}"#),
        ] {
            assert_eq!(world.text(alice, &text)[0], receipt(alice, id, "json"), "{text}");
        }
    }
    for text in ["{}", "{ }", r#"{"ID":1,"data":{"id":1}}"#, r#"{"message":"a"}"#] {
        assert_eq!(world.text(alice, text)[0], receipt(alice, "null", "json"), "{text}");
    }
}

#[test]
fn receipts_of_other_text_have_its_length_in_bytes() {
    let (mut world, [alice, bob, carol]) = three();
    let deep = "[".repeat(1024 * 1024);
    for text in [
        // JSON, but no object.
        "1",
        "-0.5",
        "null",
        "true",
        r#""id""#,
        r#"[{"id":1}]"#,
        // No JSON, which ends the connection of the original.
        "",
        " ",
        "hello",
        "é€😀",
        "{",
        r#"{"id":1"#,
        r#"{"id":1}}"#,
        r#"{"id":NaN}"#,
        "{'status': 'sent'}",
        "\0",
        &deep,
    ] {
        let effects = world.text(alice, text);
        assert_eq!(effects[0], receipt(alice, &text.len().to_string(), "string"), "{text}");
        reached(&effects[1], &[bob, carol], Kind::Text, text.as_bytes());
        assert_eq!(effects.len(), 2);
    }
}

#[test]
fn binary_stays_binary() {
    let (mut world, [alice, bob, carol]) = three();
    for bytes in [&b""[..], b"\0\xff", br#"{"id":1}"#, &vec![7; 1 << 20]] {
        let effects = world.binary(alice, bytes);
        assert_eq!(effects[0], receipt(alice, &bytes.len().to_string(), "binary"));
        reached(&effects[1], &[bob, carol], Kind::Binary, bytes);
        assert_eq!(effects.len(), 2);
    }
}

#[test]
fn receipts_have_the_time() {
    let (mut world, [alice, ..]) = three();
    world.advance(Duration::from_micros(86_400_000_000 * 24 + 876_544));
    assert_eq!(world.text(alice, "")[0], receipt_at(alice, "2013-05-31 12:34:57.000000", "0", "string"));
}

#[test]
fn all_others_are_told_who_comes_and_goes() {
    let mut world = World::new();
    let (alice, effects) = join(&mut world);
    reached(&effects[0], &[], Kind::Text, push("connected", 0).as_bytes());
    let (bob, effects) = join(&mut world);
    reached(&effects[0], &[alice], Kind::Text, push("connected", 1).as_bytes());
    let (carol, effects) = join(&mut world);
    reached(&effects[0], &[alice, bob], Kind::Text, push("connected", 2).as_bytes());
    assert_eq!(effects.len(), 1);
    let effects = world.close(bob);
    reached(&effects[0], &[alice, carol], Kind::Text, push("disconnected", 1).as_bytes());
    assert_eq!(effects.len(), 1);
    world.close(alice);
    world.close(carol);
    assert!(world.hub.channels.is_empty());
}

#[test]
fn addresses_are_the_clients_own() {
    let mut world = World::new();
    join(&mut world);
    for (address, pushed) in [
        (Some("192.0.2.1:65535"), r#""port":65535,"address":"192.0.2.1""#),
        (Some("[::ffff:192.0.2.1]:1"), r#""port":1,"address":"192.0.2.1""#),
        (Some("[2001:db8::1]:80"), r#""port":80,"address":"2001:db8::1""#),
        (Some("[fe80::1%7]:80"), r#""port":80,"address":"fe80::1""#),
        (None, r#""port":null,"address":null"#),
    ] {
        let address = address.map(|address| address.parse().unwrap());
        let (client, effects) = world.open_from(address, Pocket::new("", false));
        let connected = format!(r#"{{"socket":"connected",{pushed}}}"#);
        assert_eq!(effects[0].payload(), Some(connected.as_bytes()));
        let disconnected = connected.replace("connected", "disconnected");
        assert_eq!(world.close(client)[0].payload(), Some(disconnected.as_bytes()));
    }
}

#[test]
fn what_only_the_server_says_is_said_by_nobody_else() {
    let (mut world, [alice, ..]) = three();
    let deep = format!(r#"{{"a":{}{},"socket":"sent"}}"#, "[".repeat(200), "]".repeat(200));
    for (text, id) in [
        (&*push("connected", 1), "null"),
        (r#"{"time":"","messageId":1,"socket":"sent","attr":"json"}"#, "null"),
        (r#" {"id" : "a", "socket":null} "#, r#""a""#),
        (r#"{"s\u006fcket":"connected"}"#, "null"),
        // Which we do not take for JSON, and others do.
        (&deep, &deep.len().to_string()),
        (r#"{"a":NaN,"socket":"connected"}"#, "30"),
    ] {
        assert_eq!(world.text(alice, text), [receipt(alice, id, "refused")], "{text}");
    }
    let (echoing, _) = world.open_from(None, Pocket::new("", true));
    assert_eq!(world.text(echoing, r#"{"socket":1}"#), [receipt(echoing, "null", "refused")]);
}

#[test]
fn what_others_signal_is_passed_on() {
    let (mut world, [alice, bob, carol]) = three();
    for text in [
        r#"{"message":"socket.reconnect","data":{}}"#,
        r#"{"message":"socket","data":{"socket":"connected"}}"#,
        r#"[{"socket":"connected"}]"#,
        r#"["socket"]"#,
        r#"{"Socket":1,"sockets":2,"socke":3,"":"socket"}"#,
        r#""{\"socket\":1}""#,
        "{socket:1}",
        r#"{"a":["socket":1"#,
        "{\"socket\"",
        r#"{"socket"#,
        "\u{feff}{\"socket\":1}",
    ] {
        reached(&world.text(alice, text)[1], &[bob, carol], Kind::Text, text.as_bytes());
    }
    let binary = br#"{"socket":"connected"}"#;
    reached(&world.binary(alice, binary)[1], &[bob, carol], Kind::Binary, binary);
}

#[test]
fn two_in_a_room_are_a_pair_and_one_is_alone() {
    let mut world = World::new();
    let (alice, _) = join(&mut world);
    let effects = world.text(alice, "a");
    assert_eq!(effects[0], receipt(alice, "1", "string"));
    assert!(effects[1..].iter().all(|effect| effect.receivers().is_empty()), "{effects:?}");
    // A pair waits for each other, so nothing is ever dropped.
    let (bob, _) = join(&mut world);
    assert_eq!(world.text(alice, "a"), [receipt(alice, "1", "string"), relayed(bob, Kind::Text, b"a")]);
    assert_eq!(world.binary(bob, b"b"), [receipt(bob, "1", "binary"), relayed(alice, Kind::Binary, b"b")]);
}

#[test]
fn rooms_are_apart_from_each_other_and_from_channels() {
    let mut world = World::new();
    let mut pairs = Vec::new();
    for room in ["", "a", "A", "local", "pocket.room"] {
        let (alice, effects) = enter(&mut world, room);
        assert_eq!(effects[0].receivers(), []);
        let (bob, effects) = enter(&mut world, room);
        assert_eq!(effects[0].receivers(), [alice]);
        pairs.push((alice, bob));
    }
    for channel in ["/local/a", "/local/", "/", "/broadcast/pocket"] {
        world.hub.channels.join(channel, SessionId(1_000), false);
    }
    for &(alice, bob) in &pairs {
        assert_eq!(world.text(alice, "a"), [receipt(alice, "1", "string"), relayed(bob, Kind::Text, b"a")]);
    }
    for (alice, bob) in pairs {
        assert_eq!(world.close(alice)[0].receivers(), [bob]);
    }
}

#[test]
fn the_echo_comes_after_the_receipt() {
    let mut world = World::new();
    let (alice, _) = world.open_from(None, Pocket::new("", true));
    let echo = |kind, bytes: &[u8]| Effect::Sent { to: alice, kind, payload: bytes.into() };
    let effects = world.text(alice, "{}");
    assert_eq!(effects[..2], [receipt(alice, "null", "json"), echo(Kind::Text, b"{}")]);
    assert!(effects[2..].iter().all(|effect| effect.receivers().is_empty()), "{effects:?}");
    let (bob, _) = world.open_from(None, Pocket::new("", false));
    let expected = [receipt(alice, "1", "binary"), echo(Kind::Binary, b"a"), relayed(bob, Kind::Binary, b"a")];
    assert_eq!(world.binary(alice, b"a"), expected);
    assert_eq!(world.text(bob, "b"), [receipt(bob, "1", "string"), relayed(alice, Kind::Text, b"b")]);
}

#[test]
fn who_has_not_spoken_at_an_undecided_root_is_nobodys() {
    let mut world: World<Session> = World::new();
    let (listener, _) = world.open_from(None, Session::Pocket(Pocket::new("room", false)));
    let open = |world: &mut World<Session>, room| {
        world.open(Session::Undecided(Undecided::new(false, Dialect::of(None), room, true)))
    };
    let (silent, speaker) = (open(&mut world, "room"), open(&mut world, "room"));
    let effects = world.text(listener, "anybody?");
    assert!(effects[1..].iter().all(|effect| effect.receivers().is_empty()), "{effects:?}");
    // Its first message makes it a client of this room, which then hears it.
    let effects = world.text(speaker, "me");
    reached(&effects[0], &[listener], Kind::Text, push("connected", speaker.0).as_bytes());
    assert_eq!(
        effects[1..],
        [receipt(speaker, "2", "string"), sent(speaker, "me"), relayed(listener, Kind::Text, b"me")]
    );
    assert_eq!(world.close(silent), []);
    assert_eq!(world.close(speaker).len(), 1);
    let binary = open(&mut world, "elsewhere");
    assert_eq!(world.binary(binary, b"{}")[1], receipt(binary, "2", "binary"));
}

#[test]
fn lengths_in_digits() {
    for number in [0, 1, 9, 10, 19, 100, 65_535, 1 << 20, usize::MAX] {
        assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
    }
}

#[test]
fn excerpts_stay_on_their_line_and_are_short() {
    let excerpt = |kind, payload: &[u8]| {
        let bytes = [&[0; HEADROOM], payload].concat();
        let end = bytes.len();
        Excerpt(&Message::owned(kind, bytes, HEADROOM..end)).to_string()
    };
    let text = |text: &str| excerpt(Kind::Text, text.as_bytes());
    assert_eq!(text(r#"{"id":"it's"}"#), r#"{"id":"it's"}"#);
    assert_eq!(text("a\r\nb\x1b[31m\u{202e}\\é"), r"a\r\nb\u{1b}[31m\u{202e}\\é");
    assert_eq!(text(&"a".repeat(200)), "a".repeat(200));
    assert_eq!(text(&"a".repeat(201)), "a".repeat(200) + " …");
    assert_eq!(text(&"€".repeat(100)), "€".repeat(66) + " …");
    assert_eq!(excerpt(Kind::Binary, b"\0a\xff\n"), r"\x00a\xff\n");
    assert_eq!(excerpt(Kind::Binary, &[b'a'; 300]), "a".repeat(200) + " …");
    assert_eq!(Sender(None).to_string(), "a client elsewhere");
}

#[test]
fn a_client_is_small() {
    assert!(size_of::<Session>() <= 32);
}
