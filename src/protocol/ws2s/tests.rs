use std::io::ErrorKind;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

use super::super::recorder::{Effect, Line as Dialled, World, relayed, sent};
use super::*;
use crate::hub::SessionId;

type Ws2ss = World<Ws2s>;

const CONNECT: &str = r#"{"command":"connect","host":"localhost","port":80}"#;

fn done(who: SessionId, message: &str) -> Effect {
    sent(who, &format!(r#"{{"success":true,"code":0,"message":"{message}"}}"#))
}

fn failed(who: SessionId, code: u8, message: &str) -> Effect {
    sent(who, &format!(r#"{{"success":false,"code":{code},"message":"{message}"}}"#))
}

fn data(who: SessionId, data: &str) -> Effect {
    let text = format!(r#"{{"success":true,"code":-1,"message":"recv data","data":"{data}"}}"#);
    relayed(who, Kind::Text, text.as_bytes())
}

fn base64_data(who: SessionId, bytes: &[u8]) -> Effect {
    data(who, &format!(r#"{}","encoding":"base64"#, STANDARD.encode(bytes)))
}

fn dialled(who: SessionId, host: &str, port: u16) -> Effect {
    Effect::Dialled { who, host: host.to_owned(), port }
}

fn bridged(who: SessionId, bytes: &[u8]) -> Effect {
    Effect::Bridged { who, bytes: bytes.to_vec() }
}

fn no_socket(who: SessionId) -> Effect {
    failed(who, 3, &format!("illegal socket status, please connect again. socketId: {}", who.0))
}

/// A client that is connected to something.
fn connected(world: &mut Ws2ss, dialect: Dialect) -> SessionId {
    let who = world.open(Ws2s::new(dialect));
    connect(world, who);
    who
}

fn connect(world: &mut Ws2ss, who: SessionId) {
    world.text(who, CONNECT);
    world.bridge(who, BridgeEvent::Open);
    assert_eq!(world.line(who), Dialled::Open);
}

/// What reads of these pieces come to in the default dialect.
fn received(pieces: &[&[u8]]) -> Vec<Effect> {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    pieces.iter().filter(|piece| !piece.is_empty()).flat_map(|piece| world.receive(who, piece)).collect()
}

const WHO: SessionId = SessionId(0);

#[test]
fn dialects() {
    for (version, dialect) in [
        (None, Dialect::Text),
        (Some("1"), Dialect::First),
        (Some("2"), Dialect::Base64),
        (Some(""), Dialect::Text),
        (Some("3"), Dialect::Text),
        (Some("2.1"), Dialect::Text),
    ] {
        assert_eq!(Dialect::of(version), dialect, "{version:?}");
    }
}

#[test]
fn the_readmes_example() {
    for (dialect, words) in [
        (Dialect::First, ["done", "done", "done"]),
        (Dialect::Text, ["connect done", "send done", "close done"]),
        (Dialect::Base64, ["connect done", "send done", "close done"]),
    ] {
        let mut world = World::new();
        let who = world.open(Ws2s::new(dialect));
        // As in the README: everything is sent at once.
        assert_eq!(world.text(who, CONNECT), [dialled(who, "localhost", 80)]);
        assert_eq!(world.text(who, r#"{"command":"send","data":"xxxx"}"#), []);
        assert_eq!(world.text(who, r#"{"command":"close"}"#), []);
        assert_eq!(
            world.bridge(who, BridgeEvent::Open),
            [
                done(who, words[0]),
                bridged(who, b"xxxx"),
                done(who, words[1]),
                Effect::HungUp { who },
                done(who, words[2]),
            ]
        );
    }
}

#[test]
fn the_readmes_request_and_response() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    let request = r#"{"command":"send","data":"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"}"#;
    let get = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    assert_eq!(world.text(who, request), [bridged(who, get), done(who, "send done")]);
    assert_eq!(
        world.receive(who, b"HTTP/1.1 200 OK\r\nServer: \"x\"\r\n\r\n\x00\x1f\\/\xc3\xa9"),
        [data(who, r#"HTTP/1.1 200 OK\r\nServer: \"x\"\r\n\r\n\u0000\u001f\\/é"#)],
    );
    assert_eq!(world.bridge(who, BridgeEvent::Ended), [failed(who, 5, "connection closed by peer")]);
}

#[test]
fn any_other_command_succeeds() {
    let mut world = World::new();
    let who = world.open(Ws2s::new(Dialect::Text));
    for (command, name) in [
        ("ping", "ping"),
        ("", ""),
        ("Connect", "Connect"),
        ("close ", "close "),
        ("é😀", "é😀"),
        (r#"a\"b\\\u0000\n"#, r#"a\"b\\\u0000\n"#),
        (r"\ud800", r"\ud800"),
    ] {
        let expected = done(who, &format!("{name} done"));
        assert_eq!(world.text(who, &format!(r#"{{"command":"{command}","data":1}}"#)), [expected], "{command}");
    }
    let first = world.open(Ws2s::new(Dialect::First));
    assert_eq!(world.text(first, r#"{"command":"ping"}"#), [done(first, "done")]);
}

#[test]
fn commands_may_be_escaped() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    let request = r#"{ "d\u0061ta" : "a" , "command" : "\u0073end" }"#;
    assert_eq!(world.text(who, request), [bridged(who, b"a"), done(who, r"\u0073end done")]);
}

#[test]
fn what_is_no_request_is_code_1() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    const NOT_JSON: &str = "JSONDecodeError: the request is not JSON";
    const NO_OBJECT: &str = "TypeError: the request is not an object";
    const NO_STRING: &str = "TypeError: the command is not a string";
    for (text, message) in [
        ("", NOT_JSON),
        ("hello", NOT_JSON),
        (r#"{"command":"close""#, NOT_JSON),
        (r#"{"command":"close"} x"#, NOT_JSON),
        ("1", NO_OBJECT),
        ("null", NO_OBJECT),
        (r#"["command"]"#, NO_OBJECT),
        (r#""close""#, NO_OBJECT),
        ("{}", "KeyError('command'): the request needs it"),
        (r#"{"Command":"close"}"#, "KeyError('command'): the request needs it"),
        (r#"{"command":null}"#, NO_STRING),
        (r#"{"command":1}"#, NO_STRING),
        (r#"{"command":["close"]}"#, NO_STRING),
        (r#"{"command":{"close":1}}"#, NO_STRING),
    ] {
        assert_eq!(world.text(who, text), [failed(who, 1, message)], "{text}");
    }
    // None of it touched the connection.
    assert_eq!(world.text(who, r#"{"command":"send","data":"a"}"#), [bridged(who, b"a"), done(who, "send done")]);
}

#[test]
fn connect_needs_a_target() {
    let mut world = World::new();
    let idle = world.open(Ws2s::new(Dialect::Text));
    let open = connected(&mut world, Dialect::Text);
    const NO_HOST: &str = "TypeError: the host is not a string";
    const NO_PORT: &str = "TypeError: the port is not a whole number";
    const RANGE: &str = "OverflowError: the port must be from 1 to 65535";
    for (members, message) in [
        (r#""port":80"#, "KeyError('host'): the request needs it"),
        (r#""host":"h""#, "KeyError('port'): the request needs it"),
        (r#""host":null,"port":80"#, NO_HOST),
        (r#""host":127,"port":80"#, NO_HOST),
        (r#""host":["h"],"port":80"#, NO_HOST),
        (r#""host":"\ud800","port":80"#, NO_HOST),
        (r#""host":"h","port":"80""#, NO_PORT),
        (r#""host":"h","port":null"#, NO_PORT),
        (r#""host":"h","port":true"#, NO_PORT),
        (r#""host":"h","port":80.0"#, NO_PORT),
        (r#""host":"h","port":8e1"#, NO_PORT),
        (r#""host":"h","port":[80]"#, NO_PORT),
        (r#""host":"h","port":0"#, RANGE),
        (r#""host":"h","port":-0"#, RANGE),
        (r#""host":"h","port":-80"#, RANGE),
        (r#""host":"h","port":65536"#, RANGE),
        (r#""host":"h","port":123456789012345678901234567890"#, RANGE),
    ] {
        let request = format!(r#"{{"command":"connect",{members}}}"#);
        for who in [idle, open] {
            assert_eq!(world.text(who, &request), [failed(who, 1, message)], "{request}");
        }
    }
    assert_eq!(world.line(open), Dialled::Open, "nothing was dialled, so the old connection stays");
}

#[test]
fn hosts_and_ports_go_to_the_dialler_as_they_are() {
    let mut world = World::new();
    for (members, host, port) in [
        (r#""port":1,"host":"""#, "", 1),
        (r#""port":65535,"host":"::1""#, "::1", 65535),
        (r#""port": 22 ,"host": "0x7f.1""#, "0x7f.1", 22),
        (r#""port":1,"host":"h\u00f6st\n\"""#, "höst\n\"", 1),
        (r#""port":1,"host":"first","host":"last""#, "last", 1),
    ] {
        let who = world.open(Ws2s::new(Dialect::Text));
        assert_eq!(world.text(who, &format!(r#"{{"command":"connect",{members}}}"#)), [dialled(who, host, port)]);
    }
}

#[test]
fn tunnels_are_refused_and_absent_ones_ignored() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    let request = |ssh: &str| format!(r#"{{"command":"connect","host":"h","port":1,"ssh_host":{ssh},"ssh_port":22}}"#);
    for ssh in [r#""gate""#, "1", r#"["gate"]"#] {
        assert_eq!(world.text(who, &request(ssh)), [failed(who, 6, "ssh tunnels are not offered")]);
    }
    assert_eq!(world.line(who), Dialled::Open);
    for ssh in ["null", r#""""#, "false"] {
        assert_eq!(world.text(who, &request(ssh)), [dialled(who, "h", 1)]);
        world.bridge(who, BridgeEvent::Open);
    }
}

#[test]
fn every_failure_to_connect_has_its_code() {
    for (error, code, message) in [
        (
            DialError::Forbidden,
            4,
            "ws2s refuse to connect target host: localhost, cause that's a dangerous operation (--bridge-allow)",
        ),
        (
            DialError::Ourselves,
            4,
            "ws2s refuse to connect target host: localhost, cause that's ws2s itself (--bridge-name)",
        ),
        (DialError::Refused, 2, "connection refused"),
        (DialError::NoSuchName, 1, "gaierror(-2, 'Name or service not known')"),
        (DialError::TimedOut, 1, "TimeoutError: the target does not answer (--dial-timeout)"),
        (DialError::TooMany("--max-x"), 1, "OSError: too many at once (--max-x)"),
        (DialError::Unreachable(ErrorKind::HostUnreachable), 1, "OSError: host unreachable"),
    ] {
        for dialect in [Dialect::First, Dialect::Text, Dialect::Base64] {
            let mut world = World::new();
            let who = world.open(Ws2s::new(dialect));
            world.text(who, CONNECT);
            assert_eq!(world.text(who, r#"{"command":"send","data":"a"}"#), []);
            // What waited finds nothing to send to, and the client may try again.
            let expected = [failed(who, code, message), no_socket(who)];
            assert_eq!(world.bridge(who, BridgeEvent::Failed(error)), expected);
            connect(&mut world, who);
        }
    }
}

#[test]
fn the_host_in_a_refusal_cannot_break_out_of_it() {
    let mut world = World::new();
    let who = world.open(Ws2s::new(Dialect::Text));
    world.text(who, r#"{"command":"connect","host":"\",\"code\":0,\n\\\u0000é","port":1}"#);
    let host = r#"\",\"code\":0,\n\\\u0000é"#;
    let reason = "cause that's a dangerous operation (--bridge-allow)";
    assert_eq!(
        world.bridge(who, BridgeEvent::Failed(DialError::Forbidden)),
        [failed(who, 4, &format!("ws2s refuse to connect target host: {host}, {reason}"))],
    );
}

#[test]
fn a_connection_is_replaced_without_a_word() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    // Half a character of the old one must not meet the new one.
    world.receive(who, b"\xe2\x82");
    assert_eq!(world.text(who, CONNECT), [dialled(who, "localhost", 80)]);
    assert_eq!(world.bridge(who, BridgeEvent::Open), [done(who, "connect done")]);
    assert_eq!(world.receive(who, b"\xac"), [base64_data(who, b"\xac")]);
    // The old one is gone even if the new one fails.
    world.text(who, CONNECT);
    assert_eq!(world.bridge(who, BridgeEvent::Failed(DialError::Refused)), [failed(who, 2, "connection refused")]);
    assert_eq!(world.text(who, r#"{"command":"send","data":"a"}"#), [no_socket(who)]);
}

#[test]
fn without_a_connection_there_is_nothing_to_send_to() {
    let mut world = World::new();
    world.open(Ws2s::new(Dialect::Text));
    let who = world.open(Ws2s::new(Dialect::Text));
    let check = |world: &mut Ws2ss| {
        assert_eq!(world.text(who, r#"{"command":"send","data":"a"}"#), [no_socket(who)]);
        assert_eq!(world.text(who, r#"{"command":"sendb","data":"YQ=="}"#), [no_socket(who)]);
        assert_eq!(world.binary(who, b"a"), [no_socket(who)]);
        assert_eq!(world.text(who, r#"{"command":"close"}"#), [done(who, "close done")]);
    };
    check(&mut world);
    for event in [BridgeEvent::Ended, BridgeEvent::Broken(ErrorKind::ConnectionReset)] {
        connect(&mut world, who);
        world.bridge(who, event);
        check(&mut world);
    }
    connect(&mut world, who);
    assert_eq!(world.text(who, r#"{"command":"close"}"#), [Effect::HungUp { who }, done(who, "close done")]);
    check(&mut world);
}

#[test]
fn the_end_of_a_connection_has_its_code_in_each_dialect() {
    for (dialect, ended, broke) in [(Dialect::First, 3, 3), (Dialect::Text, 5, 1), (Dialect::Base64, 5, 1)] {
        let mut world = World::new();
        let who = connected(&mut world, dialect);
        assert_eq!(world.bridge(who, BridgeEvent::Ended), [failed(who, ended, "connection closed by peer")]);
        for (kind, message) in [
            (ErrorKind::ConnectionReset, "ConnectionResetError(104, 'Connection reset by peer')"),
            (ErrorKind::ConnectionAborted, "ConnectionAbortedError(103, 'Software caused connection abort')"),
            (ErrorKind::BrokenPipe, "BrokenPipeError(32, 'Broken pipe')"),
            (ErrorKind::TimedOut, "TimeoutError(110, 'Connection timed out')"),
            (ErrorKind::NetworkDown, "OSError: network down"),
        ] {
            connect(&mut world, who);
            assert_eq!(world.bridge(who, BridgeEvent::Broken(kind)), [failed(who, broke, message)]);
        }
    }
}

#[test]
fn text_is_sent_as_utf_8() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    for (data, bytes) in [
        ("xxxx", "xxxx"),
        ("é€😀", "é€😀"),
        (r"\u00e9\u20ac\ud83d\ude00", "é€😀"),
        (r#"a\r\n\t\b\f\"\\\/\u0000b"#, "a\r\n\t\u{8}\u{c}\"\\/\0b"),
        (&"long ".repeat(50_000), &"long ".repeat(50_000)),
        (&r"\n".repeat(50_000), &"\n".repeat(50_000)),
    ] {
        let request = format!(r#"{{"command":"send","data":"{data}"}}"#);
        assert_eq!(world.text(who, &request), [bridged(who, bytes.as_bytes()), done(who, "send done")]);
    }
    assert_eq!(world.text(who, r#"{"command":"send","data":""}"#), [done(who, "send done")]);
}

#[test]
fn base64_is_sent_as_bytes() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    let long: Vec<u8> = (0..100_000).map(|n| (n * 7 % 256) as u8).collect();
    for (data, bytes) in [
        ("AP8=", &b"\0\xff"[..]),
        ("AP8", b"\0\xff"),
        (r"\u0041P8=", b"\0\xff"),
        (r"\/+\/+", b"\xff\xef\xfe"),
        (&STANDARD.encode(&long), &long),
    ] {
        let request = format!(r#"{{"data":"{data}","command":"sendb"}}"#);
        assert_eq!(world.text(who, &request), [bridged(who, bytes), done(who, "sendb done")]);
    }
    assert_eq!(world.text(who, r#"{"command":"sendb","data":""}"#), [done(who, "sendb done")]);
}

#[test]
fn binary_frames_are_sent_as_they_are() {
    for (dialect, word) in [(Dialect::First, "done"), (Dialect::Text, "sendb done"), (Dialect::Base64, "sendb done")] {
        let mut world = World::new();
        let who = connected(&mut world, dialect);
        assert_eq!(world.binary(who, b"{\0\xff"), [bridged(who, b"{\0\xff"), done(who, word)]);
        assert_eq!(world.binary(who, b""), [done(who, word)]);
    }
}

#[test]
fn data_that_cannot_be_sent_is_not_sent() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    const NO_STRING: &str = "TypeError: the data is not a string";
    const NO_TEXT: &str = "UnicodeEncodeError: the data has half of a surrogate pair";
    const NO_BASE64: &str = "binascii.Error: the data is not base64";
    for (members, message) in [
        (r#""command":"send""#, "KeyError('data'): the request needs it"),
        (r#""command":"sendb""#, "KeyError('data'): the request needs it"),
        (r#""command":"send","data":null"#, NO_STRING),
        (r#""command":"send","data":["a"]"#, NO_STRING),
        (r#""command":"sendb","data":1"#, NO_STRING),
        (r#""command":"send","data":"a\ud800b""#, NO_TEXT),
        (r#""command":"send","data":"\udc00\ud800""#, NO_TEXT),
        (r#""command":"sendb","data":"\ud800""#, NO_TEXT),
        (r#""command":"sendb","data":"a b=""#, NO_BASE64),
        (r#""command":"sendb","data":"YQ==YQ==""#, NO_BASE64),
        (r#""command":"sendb","data":"YWJ!""#, NO_BASE64),
        (r#""command":"sendb","data":"YWJ\n""#, NO_BASE64),
        (r#""command":"sendb","data":"é""#, NO_BASE64),
    ] {
        assert_eq!(world.text(who, &format!("{{{members}}}")), [failed(who, 1, message)], "{members}");
    }
}

#[test]
fn each_read_is_a_message() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Text);
    for text in ["a", "é", "a\u{7f}b", "]}"] {
        assert_eq!(world.receive(who, text.as_bytes()), [data(who, text)]);
    }
    assert_eq!(world.receive(who, b"\"\\\n"), [data(who, r#"\"\\\n"#)]);
    assert_eq!(world.receive(who, &[0; 100_000]), [data(who, &r"\u0000".repeat(100_000))]);
}

#[test]
fn a_character_is_kept_whole_wherever_it_is_cut() {
    let text = "a\"é\\€\n😀é😀€é";
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let pieces = [&text.as_bytes()[..first], &text.as_bytes()[first..second], &text.as_bytes()[second..]];
            let mut read = String::new();
            for effect in received(&pieces) {
                let message: serde_json::Value = serde_json::from_slice(effect.payload().unwrap()).unwrap();
                assert_eq!(message.get("encoding"), None, "cut at {first} and {second}");
                read += message["data"].as_str().unwrap();
            }
            assert_eq!(read, text, "cut at {first} and {second}");
        }
    }
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    let characters = ["a", r#"\""#, "é", r"\\", "€", r"\n", "😀", "é", "😀", "€", "é"];
    assert_eq!(received(&bytes), characters.map(|character| data(WHO, character)));
}

#[test]
fn only_the_cut_character_waits() {
    assert_eq!(received(&["abc€".as_bytes(), b"d\xf0\x9f", b"\x98", b"\x80e\xc3"]).len(), 3);
    assert_eq!(
        received(&[b"abc\xe2\x82", b"\xacd\xf0\x9f", b"\x98", b"\x80e\xc3"]),
        [data(WHO, "abc"), data(WHO, "€d"), data(WHO, "😀e")],
    );
}

#[test]
fn what_is_no_text_comes_as_base64() {
    for pieces in [
        &[&b"\xff"[..]][..],
        &[b"text before\xff and behind"],
        &[b"\xc0\x80"],
        &[b"\xed\xa0\x80"],
        &[b"\xf5\x80\x80\x80"],
        // The rest turns out not to be the rest of the character.
        &[b"\xe2\x82", b"plain"],
        &[b"\xe2", b"\x82", b"\xff"],
        &[b"\xc3", b"\xc3\xa9"],
        &[b"\xf0\x9f\x98", b"x"],
        &[b"\xf0", b"\x9f\x98", b"xy"],
        &[b"\xf0\x9f", b"a"],
        &[b"\xf0\x9f", b"ab\xff"],
        &[b"\xe2", b"a"],
        &[b"\xe2\x82", b"\xac\xff and more that is longer than a few bytes"],
        // A character that is cut at the end of what is no text is no text either.
        &[b"\xff\xe2\x82"],
    ] {
        assert_eq!(received(pieces), [base64_data(WHO, &pieces.concat())], "{pieces:x?}");
    }
    // What comes behind it starts anew.
    assert_eq!(
        received(&[b"\xe2\x82", b"no", b"\xac", b"yes"]),
        [base64_data(WHO, b"\xe2\x82no"), base64_data(WHO, b"\xac"), data(WHO, "yes")],
    );
    assert_eq!(
        received(&[b"\xff\xe2\x82", b"\xac", "€".as_bytes()]),
        [base64_data(WHO, b"\xff\xe2\x82"), base64_data(WHO, b"\xac"), data(WHO, "€")],
    );
}

#[test]
fn a_character_that_is_never_finished_comes_at_the_end() {
    for (dialect, code) in [(Dialect::First, 3), (Dialect::Text, 5)] {
        for cut in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x98"] {
            let mut world = World::new();
            let who = connected(&mut world, dialect);
            assert_eq!(world.receive(who, &[b"a", cut].concat()), [data(who, "a")]);
            let end = failed(who, code, "connection closed by peer");
            assert_eq!(world.bridge(who, BridgeEvent::Ended), [base64_data(who, cut), end]);
            // Nothing of it is left.
            connect(&mut world, who);
            assert_eq!(world.receive(who, b"b"), [data(who, "b")]);
            world.receive(who, cut);
            let effects = world.bridge(who, BridgeEvent::Broken(ErrorKind::ConnectionReset));
            assert_eq!(effects[0], base64_data(who, cut));
            assert_eq!(effects.len(), 2);
        }
    }
}

#[test]
fn the_base64_dialect_knows_no_text() {
    let mut world = World::new();
    let who = connected(&mut world, Dialect::Base64);
    for bytes in [&b"hello"[..], "é".as_bytes(), b"\xe2\x82", b"\xac", b"\xff", &[7; 100_000]] {
        assert_eq!(world.receive(who, bytes), [data(who, &STANDARD.encode(bytes))]);
    }
    assert_eq!(world.bridge(who, BridgeEvent::Ended), [failed(who, 5, "connection closed by peer")]);
}

#[test]
fn a_client_is_small() {
    assert!(size_of::<Ws2s>() <= 24);
}
