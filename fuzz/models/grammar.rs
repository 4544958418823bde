//! What clients of each protocol say, near enough to what they should that it gets past the first check: built from
//! decisions, so that fuzzers and dice can make it up. Nothing here knows what the server makes of it.

use std::fmt::Write as _;

use super::input::Input;

/// What a client speaks once it is let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tongue {
    Webshare,
    Pocket,
    Named,
    Network,
    Ws2s,
    SocketIo,
}

impl Tongue {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Webshare, Self::Pocket, Self::Named, Self::Network, Self::Ws2s, Self::SocketIo];
}

/// Names that clients have learnt from the server: keys of partners, ids of sessions.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    pub(crate) keys: Vec<String>,
    pub(crate) sids: Vec<String>,
}

impl Learnt {
    /// Looks for names in what a client was sent. Only so many are kept.
    pub(crate) fn learn(&mut self, said: &[u8]) {
        let said = String::from_utf8_lossy(said);
        for (marker, names) in [("\"key\":\"", &mut self.keys), ("\"sid\":\"", &mut self.sids)] {
            let name = said.split_once(marker).and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name);
            if let Some(name) = name.filter(|name| name.len() < 64 && !names.iter().any(|known| known == name)) {
                if names.len() == 16 {
                    names.remove(0);
                }
                names.push(name.to_owned());
            }
        }
    }
}

fn learnt<'l>(input: &mut Input<'_>, names: &'l [String]) -> &'l str {
    if names.is_empty() { "00000000" } else { &names[input.choice(names.len())] }
}

/// Where clients go, and what is spoken there.
pub(crate) const TARGETS: [(&str, Option<Tongue>); 24] = [
    ("/", None),
    ("/?room=a", Some(Tongue::Pocket)),
    ("/webshare", Some(Tongue::Webshare)),
    ("/webshare?binary=1", Some(Tongue::Webshare)),
    ("/pocket", Some(Tongue::Pocket)),
    ("/pocket?room=a&echo=1", Some(Tongue::Pocket)),
    ("/local/a", Some(Tongue::Named)),
    ("/local/a?echo=1", Some(Tongue::Named)),
    ("/local/a?presence=1", Some(Tongue::Named)),
    ("/broadcast/a", Some(Tongue::Named)),
    ("/broadcast/a/b?presence=1", Some(Tongue::Named)),
    ("/network/a", Some(Tongue::Network)),
    ("/ws2s", Some(Tongue::Ws2s)),
    ("/ws2s?v=2", Some(Tongue::Ws2s)),
    ("/tcp/127.0.0.1:9", None),
    ("/socket.io/?EIO=4&transport=websocket", Some(Tongue::SocketIo)),
    ("/socket.io/?EIO=3&transport=websocket&deviceId=a", Some(Tongue::SocketIo)),
    ("/socket.io/?EIO=4&transport=websocket&clientId=b", Some(Tongue::SocketIo)),
    ("/socket.io/?EIO=3&transport=websocket&clientId=a&b64=1", Some(Tongue::SocketIo)),
    ("/local/%2e%2e", None),
    ("/network/", None),
    ("//evil", None),
    ("/a", Some(Tongue::Network)),
    ("*", None),
];

/// Requests that are no upgrades.
const PLAIN: [&str; 16] = [
    "/",
    "/console",
    "/metrics",
    "/livez",
    "/readyz",
    "/api/live",
    "/client/webshare.js",
    "/client/..%2f",
    "/socket.io/?EIO=4&transport=polling",
    "/socket.io/?EIO=3&transport=polling&deviceId=a",
    "/socket.io/?EIO=3&transport=polling&j=1",
    "/socket.io/?EIO=4&transport=polling&clientId=b",
    "/socket.io/?EIO=5&transport=polling",
    "/local/a",
    "/api/close?client=0.1",
    "/%",
];

/// The head of an upgrade.
pub(crate) fn upgrade(target: &str, input: &mut Input<'_>) -> Vec<u8> {
    let extra = input.one_of(&[
        "",
        "",
        "",
        "",
        "Origin: http://127.0.0.1:1\r\n",
        "Origin: null\r\n",
        "Sec-WebSocket-Protocol: binary\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "X-Forwarded-For: 192.0.2.9\r\n",
        "X-BroadcastWebSocket-Proxy: true\r\n",
        "Content-Length: 5\r\n",
        "Host: other\r\n",
    ]);
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\n{extra}Upgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// A request that is no upgrade, with its body, if it has one.
pub(crate) fn request(input: &mut Input<'_>, learnt_names: &Learnt) -> Vec<u8> {
    let mut target = input.one_of(&PLAIN).to_owned();
    let mut body = Vec::new();
    let mut method = input.one_of(&["GET", "GET", "GET", "GET", "GET", "GET", "POST", "OPTIONS", "DELETE", "HEAD"]);
    if input.choice(2) == 1 {
        let revision = input.one_of(&[4, 3]);
        let sid = learnt(input, &learnt_names.sids);
        target = format!("/socket.io/?EIO={revision}&transport=polling&sid={sid}");
        method = input.one_of(&["GET", "POST", "POST"]);
        if method == "POST" {
            body = payload(input, revision, learnt_names);
        }
    }
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    match input.choice(8) {
        0 => head.push_str("Connection: close\r\n"),
        1 => head.push_str("Origin: http://other.example\r\n"),
        2 => head.push_str("Expect: 100-continue\r\n"),
        3 => head.push_str("Content-Type: application/octet-stream\r\n"),
        _ => {}
    }
    if method == "POST" {
        write!(head, "Content-Length: {}\r\n", body.len() + input.one_of(&[0, 0, 0, 1])).expect("memory");
    }
    head.push_str("\r\n");
    [head.into_bytes(), body].concat()
}

/// Packets as polling frames them.
fn payload(input: &mut Input<'_>, revision: u8, learnt_names: &Learnt) -> Vec<u8> {
    let mut body = Vec::new();
    for number in 0..=input.choice(3) {
        let packet = packet(input, learnt_names);
        if revision == 3 {
            body.extend(format!("{}:", packet.chars().count()).bytes());
        } else if number > 0 {
            body.push(0x1e);
        }
        body.extend(packet.bytes());
    }
    body
}

/// A message, and whether it is text.
pub(crate) fn message(tongue: Tongue, input: &mut Input<'_>, names: &Learnt) -> (bool, Vec<u8>) {
    let text = match tongue {
        Tongue::Webshare => webshare(input, names),
        Tongue::Pocket => pocket(input),
        Tongue::Named => return (input.choice(2) == 0, any(input).into_bytes()),
        Tongue::Network => network(input),
        Tongue::Ws2s => ws2s(input),
        Tongue::SocketIo => packet(input, names),
    };
    let mut bytes = text.into_bytes();
    damage(input, &mut bytes);
    (input.choice(12) != 1, bytes)
}

/// What makes somebody of a client that was just let in, as frames.
pub(crate) fn introduction(tongue: Tongue, input: &mut Input<'_>, names: &Learnt) -> Vec<u8> {
    let texts = match tongue {
        Tongue::Webshare if names.keys.is_empty() || input.choice(2) == 0 => vec![r#"{"command":"key"}"#.to_owned()],
        Tongue::Webshare => {
            let key = names.keys.last().map_or("", String::as_str);
            vec![format!(r#"{{"command":"pair","body":{{"target":"{key}"}}}}"#)]
        }
        Tongue::SocketIo => {
            let partner = input.one_of(&["a", "b"]);
            vec!["40".to_owned(), format!(r#"421["P2P_REGISTER","{partner}"]"#), "431[true]".to_owned()]
        }
        Tongue::Network => vec![r#"{"action":"status"}"#.to_owned()],
        Tongue::Pocket | Tongue::Named | Tongue::Ws2s => Vec::new(),
    };
    // Nothing is wrong with it.
    texts.iter().flat_map(|text| frame(true, text.as_bytes(), &mut Input(&[]))).collect()
}

/// Now and then something is changed, cut off or said twice.
fn damage(input: &mut Input<'_>, bytes: &mut Vec<u8>) {
    let at = input.choice(bytes.len().clamp(1, 256));
    match input.choice(12) {
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= input.byte();
            }
        }
        2 => bytes.truncate(at),
        3 => bytes.insert(at, input.byte()),
        4 => {
            let tail = bytes[at.min(bytes.len())..].to_vec();
            bytes.extend(tail);
        }
        _ => {}
    }
}

/// A text of any kind, often short, now and then long.
fn any(input: &mut Input<'_>) -> String {
    match input.choice(8) {
        0 => "____connect".to_owned(),
        1 => "x".repeat(1 << input.choice(18)),
        2 => String::from_utf8_lossy(&input.bytes()).into_owned(),
        3 => "é\u{1f600}\0\\\"".to_owned(),
        _ => format!("n{}", input.byte()),
    }
}

/// A JSON value of any kind.
fn value(input: &mut Input<'_>) -> String {
    match input.choice(10) {
        0 => "null".to_owned(),
        1 => "[".repeat(1 << input.choice(10)),
        2 => format!("\"{}\"", "\\u00e9".repeat(1 << input.choice(11))),
        3 => "{\"a\":[1,{\"b\":null}],\"a\":2}".to_owned(),
        4 => "1e999".to_owned(),
        5 => "[[],[[]]]".to_owned(),
        6 => "\"\\ud800\"".to_owned(),
        7 => serde_json::Value::String(String::from_utf8_lossy(&input.bytes()).into_owned()).to_string(),
        8 => "{}".to_owned(),
        _ => input.byte().to_string(),
    }
}

fn webshare(input: &mut Input<'_>, names: &Learnt) -> String {
    let command = input.one_of(&["key", "pair", "pair", "unpair", "relay", "relay", "relay", "error", "nonsense"]);
    let body = match command {
        "pair" => format!("{{\"target\":\"{}\"}}", learnt(input, &names.keys)),
        "error" => format!("{{\"error\":{}}}", value(input)),
        _ => value(input),
    };
    match input.choice(6) {
        0 => format!("{{\"command\":\"{command}\"}}"),
        1 => format!("{{\"echo\":{},\"command\":\"{command}\",\"body\":{body}}}", value(input)),
        2 => format!("{{\"body\":{body},\"command\":{},\"echo\":1}}", value(input)),
        _ => format!("{{\"command\":\"{command}\",\"body\":{body}}}"),
    }
}

fn pocket(input: &mut Input<'_>) -> String {
    match input.choice(3) {
        0 => any(input),
        1 => format!("{{\"attr\":{},\"value\":{}}}", value(input), value(input)),
        _ => value(input),
    }
}

fn network(input: &mut Input<'_>) -> String {
    let action = input.one_of(&["broadcast", "message", "status", "nonsense"]);
    let data = value(input);
    match input.choice(4) {
        0 => format!("{{\"action\":\"{action}\"}}"),
        1 => format!("{{\"action\":\"{action}\",\"target\":\"{}\",\"data\":\"x\"}}", input.byte()),
        2 => format!("{{\"action\":\"{action}\",\"data\":{data}}}"),
        _ => format!("{{\"action\":\"{action}\",\"target\":{data},\"data\":\"y\"}}"),
    }
}

fn ws2s(input: &mut Input<'_>) -> String {
    let command = input.one_of(&["connect", "send", "sendb", "close", "ping", "nonsense"]);
    let host = input.one_of(&["127.0.0.1", "localhost", "::1", "0x7f.1", "", "a.b.c", "169.254.169.254"]);
    match input.choice(4) {
        0 => format!("{{\"command\":\"{command}\"}}"),
        1 => format!("{{\"command\":\"{command}\",\"data\":{}}}", value(input)),
        2 => format!("{{\"command\":\"{command}\",\"host\":\"{host}\",\"port\":{}}}", value(input)),
        _ => format!("{{\"command\":\"{command}\",\"host\":\"{host}\",\"port\":9,\"data\":\"eHg=\"}}"),
    }
}

/// An Engine.IO packet, with one of Socket.IO in it more often than not.
fn packet(input: &mut Input<'_>, names: &Learnt) -> String {
    const EVENTS: [&str; 25] = [
        "P2P_REGISTER",
        "P2P_UNREGISTER",
        "P2P_EMIT",
        "P2P_EMIT_ACKNOWLEDGE",
        "P2P_REGISTER_SUCCESS",
        "P2P_REGISTER_STREAM",
        "MULTI_API_ADD_TARGET",
        "ADD_TARGET",
        "CREATE_STREAM",
        "JOIN_ROOM",
        "LEAVE_ROOM",
        "EMIT_ROOM",
        "LIST_CLIENTS",
        "GET_CLIENT_CONNECTED_STATUS",
        "CHECK_API_NAME",
        "CREATE_API",
        "DESTROY_API",
        "USE_API",
        "SUBSCRIBE_DEVICES",
        "UNSUBSCRIBE_DEVICES",
        "PEER_STREAM_DESTROYED",
        "a",
        "b",
        "disconnect",
        "toString",
    ];
    match input.choice(12) {
        0 => {
            input.one_of(&["0", "1", "2", "3", "5", "6", "2probe", "3probe", "40{}", "41", "40/other,", "4"]).to_owned()
        }
        1 => format!("4{}{}[{}]", input.one_of(&["3", "6", "61-"]), input.byte(), value(input)),
        2 => format!("b{}", input.one_of(&["AAEC", "", "=", "BAA"])),
        3 => format!("0{{\"sid\":\"{}\"}}", learnt(input, &names.sids)),
        shape => {
            let event = input.one_of(&EVENTS);
            let id = input.one_of(&["\"a\"", "\"b\"", "1", "{}", "\"__proto__\"", "[\"a\",\"b\"]"]);
            let (kind, number) = (input.one_of(&["2", "2", "2", "51-", "59-"]), input.one_of(&["", "1", "77"]));
            let more = match shape {
                4 => String::new(),
                5 => format!(",{id},\"a\",[{}],null", value(input)),
                6 => format!(",{id},\"{}\",{}", input.one_of(&EVENTS), value(input)),
                7 => format!(",[{id},\"a\",{}]", value(input)),
                8 => ",{\"_placeholder\":true,\"num\":0}".to_owned(),
                _ => format!(",{id}"),
            };
            format!("4{kind}{number}[\"{event}\"{more}]")
        }
    }
}

/// One masked frame. Its header is as it should be, but for what `input` decides now and then.
pub(crate) fn frame(is_text: bool, payload: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut first = if is_text { 0x81 } else { 0x82 };
    let mut has_mask = true;
    match input.choice(24) {
        1 => first &= 0x7f,
        2 => first = 0x80,
        3 => first = 0x00,
        4 => first = 0x89,
        5 => first = 0x88,
        6 => first = 0x8a,
        7 => first ^= 1 << input.choice(8),
        8 => has_mask = false,
        _ => {}
    }
    let mask = if has_mask { [input.byte(), 0x55, 0xaa, 0x0f] } else { [0; 4] };
    let mut bytes = vec![first];
    let flag = if has_mask { 0x80 } else { 0 };
    match payload.len() {
        len @ ..126 => bytes.push(flag | len as u8),
        len @ 126..65536 => {
            bytes.push(flag | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(flag | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    if has_mask {
        bytes.extend(mask);
    }
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}
