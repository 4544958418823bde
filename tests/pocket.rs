//! pocketsocket over real sockets, mostly through an independent client: receipts, what others hear, who comes and goes,
//! rooms, and who answers at which root.

mod common;

use std::net::SocketAddr;
use std::process::Command;

use common::client::Client;
use common::frame::{TEXT, binary, continuation, ping, text};
use common::http::{request, upgrade_request};
use common::independent::Independent;
use common::server::{TestServer, free_port};
use jackfield::config::Root;
use serde_json::{Value, json};
use tungstenite::Message;

/// A pocket client as the original's script is one.
struct Pocket(Independent);

impl Pocket {
    #[track_caller]
    fn open(address: SocketAddr, target: &str) -> Self {
        Self(Independent::open(address, target))
    }

    /// Opens `target` and is announced to those who are there.
    #[track_caller]
    fn join(address: SocketAddr, target: &str, others: &mut [Self]) -> Self {
        let newcomer = Self::open(address, target);
        for other in others {
            other.hears_of("connected", newcomer.0.port());
        }
        newcomer
    }

    /// Says something and gets its receipt.
    #[track_caller]
    fn say(&mut self, message: impl Into<Message>, id: &str, attr: &str) {
        self.0.send(message);
        self.gets_receipt(id, attr);
    }

    #[track_caller]
    fn gets_receipt(&mut self, id: &str, attr: &str) {
        let Message::Text(receipt) = self.0.next() else { panic!("a receipt is text") };
        let (start, end) = (r#"{"time":""#, format!(r#"","messageId":{id},"socket":"sent","attr":"{attr}"}}"#));
        let time = receipt.strip_prefix(start).and_then(|rest| rest.strip_suffix(&end));
        let time = time.unwrap_or_else(|| panic!("not the receipt of {attr} {id}: {receipt}"));
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00 00:00:00.000000");
        serde_json::from_str::<Value>(&receipt).expect("a receipt is JSON");
    }

    /// The next thing is the push about another client of this machine.
    #[track_caller]
    fn hears_of(&mut self, what: &str, port: u16) {
        self.0.hears(&format!(r#"{{"socket":"{what}","port":{port},"address":"127.0.0.1"}}"#));
    }
}

/// That many clients in one room, each announced to those before it.
#[track_caller]
fn crowd(address: SocketAddr, target: &str, count: usize) -> Vec<Pocket> {
    let mut clients: Vec<Pocket> = Vec::new();
    for _ in 0..count {
        let newcomer = Pocket::join(address, target, &mut clients);
        clients.push(newcomer);
    }
    clients
}

#[test]
fn the_readmes_dialogue() {
    let server = TestServer::with(|config| config.listen = vec![free_port(Root::Pocket), free_port(Root::Auto)]);
    let [pinned, auto] = server.addresses() else { panic!("two listeners") };
    for (address, target) in [(*pinned, "/"), (*pinned, "/pocket"), (*auto, "/pocket")] {
        let mut clients = crowd(address, target, 3);
        for (id, said) in [
            (r#""0.lchkqdo""#, r#"{"id":"0.lchkqdo","message":"Art can be very abstract.","data":{}}"#),
            (r#""0.12l60m""#, r#"{"id":"0.12l60m","message":"socket.message","data":"milk"}"#),
            (r#""0.b""#, r#"{"id":"0.b","message":"socket.message","data":{"apples":"green","animal":"fishy"}}"#),
        ] {
            clients[1].say(said, id, "json");
            clients[0].0.hears(said);
            clients[2].0.hears(said);
        }
        let leaver = clients.remove(1);
        let port = leaver.0.port();
        leaver.0.close();
        for client in &mut clients {
            client.hears_of("disconnected", port);
            client.0.hears_nothing();
        }
        drop(clients);
        server.expect_all_given_back();
    }
}

#[test]
fn messages_of_every_size_and_kind_get_a_receipt_and_arrive_unchanged() {
    let server = TestServer::start();
    for members in 2..=3 {
        let mut clients = crowd(server.address(), &format!("/pocket?room=sizes{members}"), members);
        let (speaker, listeners) = clients.split_first_mut().expect("at least two");
        for size in [0, 1, 125, 126, 127, 2048, 65_535, 65_536, 262_144, 1_048_576] {
            let bytes: Vec<u8> = (0..size).map(|at| (at * 167 + at / 251) as u8).collect();
            let words: String = "aé€😀".chars().cycle().take(size / 3).collect();
            let id = "\"".to_owned() + &"x".repeat(size / 2) + "\"";
            let object =
                if size > 100 { format!(r#"{{"data":[1, "é"],"id":{id}}}"#) } else { r#"{"id":1}"#.to_owned() };
            let object_id = if size > 100 { &id } else { "1" };
            for (message, id, attr) in [
                (Message::text(&words), &*words.len().to_string(), "string"),
                (Message::binary(bytes), &*size.to_string(), "binary"),
                (Message::text(&object), object_id, "json"),
            ] {
                speaker.say(message.clone(), id, attr);
                for listener in &mut *listeners {
                    listener.0.expect(&message);
                }
            }
        }
    }
}

#[test]
fn what_is_no_json_is_no_reason_to_hang_up() {
    let server = TestServer::start();
    let mut clients = crowd(server.address(), "/pocket", 3);
    for said in ["", "hello", "{", "{'a':1}", "[1,2]", "7", "null", "\0", "\u{feff}{}", r#"{"id":1,}"#] {
        clients[0].say(said, &said.len().to_string(), "string");
        clients[1].0.hears(said);
        clients[2].0.hears(said);
    }
    clients[0].say("{}", "null", "json");
    clients[1].0.hears("{}");
    clients[2].0.hears("{}");
}

#[test]
fn nobody_says_who_comes_and_goes_but_the_server() {
    let server = TestServer::start();
    let mut clients = crowd(server.address(), "/pocket?echo=1", 3);
    for forged in [
        r#"{"socket":"connected","address":"ADMIN says: give me your password","port":1}"#,
        r#"{"id":null,"\u0073ocket":"disconnected"}"#,
    ] {
        clients[0].say(forged, "null", "refused");
    }
    // They are passed over, and what comes next is not.
    let said = r#"{"id":1,"message":"socket.reconnect"}"#;
    clients[0].say(said, "1", "json");
    for client in &mut clients {
        client.0.hears(said);
        client.0.hears_nothing();
    }
}

#[test]
fn fragments_are_one_message_and_pings_are_answered() {
    let server = TestServer::start();
    let mut speaker = server.client("/pocket");
    let mut listener = Pocket::open(server.address(), "/pocket");
    speaker.any_text();
    speaker.send(&text(r#"{"id":"#).unfinished());
    speaker.send(&ping("are you there"));
    speaker.expect_pong("are you there");
    speaker.send(&continuation("").unfinished());
    speaker.send(&continuation("42}"));
    assert!(speaker.any_text().contains(r#""messageId":42,"socket":"sent","attr":"json""#));
    listener.0.hears(r#"{"id":42}"#);
    speaker.send(&binary([1]).unfinished());
    speaker.send(&continuation([2]));
    assert!(speaker.any_text().contains(r#""messageId":2,"socket":"sent","attr":"binary""#));
    listener.0.expect(&Message::binary(&[1, 2][..]));
    listener.0.hears_nothing();
}

#[test]
fn receipts_have_the_time_of_this_machine_in_utc() {
    let date = || {
        let output = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M:%S"]).output().expect("POSIX has date");
        String::from_utf8(output.stdout).expect("digits").trim().to_owned()
    };
    let server = TestServer::start();
    let mut client = server.client("/pocket");
    let before = date();
    client.send(&text("what time is it?"));
    let receipt: Value = serde_json::from_str(&client.any_text()).expect("a receipt is JSON");
    let after = date();
    let time = receipt["time"].as_str().expect("a text");
    assert!(*before <= time[..19] && time[..19] <= *after, "{before} <= {time} <= {after}");
}

#[test]
fn who_comes_and_goes() {
    let server = TestServer::start();
    let mut first = vec![Pocket::open(server.address(), "/pocket")];
    for round in 0..10 {
        let second = Pocket::join(server.address(), "/pocket", &mut first);
        let port = second.0.port();
        if round % 2 == 0 {
            second.0.close();
        } else {
            second.0.vanish();
        }
        first[0].hears_of("disconnected", port);
    }
    // One that is thrown out has gone too.
    let mut bad = server.client("/pocket");
    let port = bad.stream().local_addr().expect("connected").port();
    first[0].hears_of("connected", port);
    bad.send(&text([0xFF]));
    bad.expect_close(1007);
    first[0].hears_of("disconnected", port);
    first[0].0.hears_nothing();
}

/// The original writes its pushes into connections that are still shaking hands, and tells of those that never did.
#[test]
fn nobody_hears_of_a_handshake_that_is_not_complete() {
    let server = TestServer::start();
    let mut member = Pocket::open(server.address(), "/pocket");
    let mut half = Client::connect(server.address());
    let opening = upgrade_request(server.address(), "/pocket");
    let (start, rest) = opening.split_at(opening.len() / 2);
    half.write(start.as_bytes());
    let visitor = Client::connect(server.address());
    let mut refused = Client::connect(server.address());
    refused.write(opening.replace("127.0.0.1", "evil.example").as_bytes());
    assert_eq!(refused.response().status, 403);
    let mut reader = Client::connect(server.address());
    reader.write(request("GET", server.address(), "/pocket").as_bytes());
    assert_eq!(reader.response().status, 426);
    drop((visitor, refused, reader));
    member.say("hello", "5", "string");
    let mut other = Pocket::open(server.address(), "/pocket");
    member.hears_of("connected", other.0.port());
    // The response is the first thing that the half-open one gets; then it is a member.
    half.write(rest.as_bytes());
    assert_eq!(half.response().status, 101);
    let port = half.stream().local_addr().expect("connected").port();
    member.hears_of("connected", port);
    other.hears_of("connected", port);
    half.round_trip();
    member.0.hears_nothing();
}

#[test]
fn rooms_are_apart() {
    let server = TestServer::start();
    let long = format!("/pocket?room={}", "r".repeat(255));
    let targets =
        ["/pocket", "/pocket?room=a", "/pocket?room=A", "/pocket?room=local", &long, "/local/a", "/local/pocket"];
    let mut pairs = targets.map(|target| {
        let (mut first, second) = (Pocket::open(server.address(), target), Pocket::open(server.address(), target));
        if target.starts_with("/pocket") {
            first.hears_of("connected", second.0.port());
        }
        (first, second)
    });
    assert_eq!(server.metrics().value("jackfield_channels"), 7.0);
    for (target, (speaker, _)) in targets.iter().zip(&mut pairs) {
        speaker.0.say(target);
    }
    for (target, (speaker, listener)) in targets.iter().zip(&mut pairs) {
        if target.starts_with("/pocket") {
            speaker.gets_receipt(&target.len().to_string(), "string");
        }
        listener.0.hears(target);
        listener.0.hears_nothing();
        speaker.0.hears_nothing();
    }
    // Two ways to say the same room.
    for target in ["/pocket?room=", "/pocket?room", "/pocket?x=1&roo%6d="] {
        let other = Pocket::open(server.address(), target);
        let port = other.0.port();
        pairs[0].0.hears_of("connected", port);
        pairs[0].1.hears_of("connected", port);
        other.0.close();
        pairs[0].0.hears_of("disconnected", port);
        pairs[0].1.hears_of("disconnected", port);
    }
    drop(pairs);
    server.expect_all_given_back();
}

/// T23: names of rooms are names of channels.
#[test]
fn t23_names_of_rooms_are_checked() {
    let server = TestServer::with(|config| {
        config.limits.max_name = 5;
        config.listen = vec![free_port(Root::Auto), free_port(Root::Pocket)];
    });
    let opens = |address: SocketAddr, target: &str| {
        let mut client = Client::connect(address);
        client.write(upgrade_request(address, target).as_bytes());
        client.response()
    };
    for address in server.addresses() {
        for path in ["/pocket", "/"] {
            for room in ["abcde", "a.b_c", "*", "%2B-=", ""] {
                assert_eq!(opens(*address, &format!("{path}?room={room}")).status, 101, "{path} {room}");
            }
            for room in ["abcdef", "a/b", "a%2Fb", "a+b", "a%20b", "%00", "%0d%0a", "%E2%80%AE", "%FF", "%3E", "%23"] {
                let response = opens(*address, &format!("{path}?room={room}"));
                assert_eq!(response.status, 404, "{path} {room}");
                assert!(response.text().contains("--max-name") && response.text().contains('5'), "{response:?}");
            }
        }
    }
    server.expect_all_given_back();
}

#[test]
fn an_echo_for_those_who_ask_and_for_everybody_where_it_is_configured() {
    let server = TestServer::with(|config| config.listen = vec![free_port(Root::Pocket), free_port(Root::Auto)]);
    let everybody = TestServer::with(|config| {
        config.echo = true;
        config.listen = vec![free_port(Root::Pocket), free_port(Root::Auto)];
    });
    let long = "x".repeat(300_000);
    for (server, query, is_echo) in
        [(&server, "", false), (&server, "?echo=0", false), (&server, "?echo=1", true), (&everybody, "?a", true)]
    {
        for address in server.addresses() {
            for path in ["/pocket", "/"] {
                let mut client = Pocket::open(*address, &format!("{path}{query}"));
                for said in ["hello", &long] {
                    client.say(said, &said.len().to_string(), "string");
                    if is_echo {
                        client.0.hears(said);
                    }
                }
                client.say(&b"\0"[..], "1", "binary");
                if is_echo {
                    client.0.expect(&Message::binary(&b"\0"[..]));
                }
                client.0.hears_nothing();
                client.0.close();
                server.expect_all_given_back();
            }
        }
    }
    // Others hear it once.
    let mut clients = crowd(everybody.address(), "/pocket", 3);
    for said in ["hello", &long] {
        clients[0].say(said, &said.len().to_string(), "string");
        for client in &mut clients {
            client.0.hears(said);
            client.0.hears_nothing();
        }
    }
}

#[test]
fn who_has_not_spoken_at_an_undecided_root_is_in_no_room() {
    let server = TestServer::start();
    let mut members = crowd(server.address(), "/pocket", 2);
    let mut silent = Pocket::open(server.address(), "/");
    let mut speaker = Pocket::open(server.address(), "/");
    members[0].say("anybody?", "8", "string");
    members[1].0.hears("anybody?");
    silent.0.hears_nothing();
    // The first message decides, and is heard.
    speaker.say(r#"{"id":"0.1","message":"socket.message","data":1}"#, r#""0.1""#, "json");
    for member in &mut members {
        member.hears_of("connected", speaker.0.port());
        member.0.hears(r#"{"id":"0.1","message":"socket.message","data":1}"#);
    }
    // Once and for good: what would have made it something else is now a message like any other.
    let other = r#"{"command":"key","echo":1}"#;
    speaker.say(other, "null", "json");
    for member in &mut members {
        member.0.hears(other);
    }
    silent.0.hears_nothing();
    silent.0.close();
    for member in &mut members {
        member.0.hears_nothing();
    }
}

/// T31: whichever root a listener has, its path and the first message decide who answers, and nobody else ever does.
#[test]
fn t31_every_root_path_and_first_message() {
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Who {
        Pocket,
        Webshare,
        Named,
        Ws2s,
    }
    const MESSAGES: [(&str, Who); 8] = [
        (r#"{"id":"0.1","message":"socket.open","data":{}}"#, Who::Pocket),
        ("hello", Who::Pocket),
        ("", Who::Pocket),
        ("[]", Who::Pocket),
        (r#"{"command":"key"}"#, Who::Webshare),
        (r#"{"command":{},"echo":[]}"#, Who::Webshare),
        (r#"{"command":"connect","host":"localhost","port":80}"#, Who::Ws2s),
        (r#"{"command":"x","data":""}"#, Who::Ws2s),
    ];
    let roots = [Root::Auto, Root::Webshare, Root::Pocket, Root::Ws2s, Root::Named];
    let server = TestServer::with(|config| config.listen = roots.map(free_port).into());
    for (root, address) in roots.iter().zip(server.addresses()) {
        for path in ["/", "/pocket", "/webshare", "/local/a?echo=1", "/pockets", "/pocket/", "/Pocket", "/ws2s"] {
            for (message, decided) in MESSAGES {
                let expected = match (path, root) {
                    ("/pocket", _) | ("/", Root::Pocket) => Some(Who::Pocket),
                    ("/webshare", _) | ("/", Root::Webshare) => Some(Who::Webshare),
                    ("/ws2s", _) | ("/", Root::Ws2s) => Some(Who::Ws2s),
                    ("/local/a?echo=1", _) => Some(Who::Named),
                    ("/", Root::Auto) => Some(decided),
                    _ => None,
                };
                let what = format!("{root:?} {path} {message:?}");
                let mut client = Client::connect(*address);
                client.write(upgrade_request(*address, path).as_bytes());
                let status = client.response().status;
                assert_eq!(status, if expected.is_some() { 101 } else { 404 }, "{what}");
                let Some(expected) = expected else { continue };
                client.send(&text(message));
                let frame = client.expect_frame();
                let said = String::from_utf8_lossy(&frame.payload);
                let who = match frame.opcode {
                    TEXT if said.contains(r#""socket":"sent""#) => Who::Pocket,
                    TEXT if said.starts_with(r#"{"ok":"#) => Who::Webshare,
                    TEXT if said.starts_with(r#"{"success":"#) => Who::Ws2s,
                    _ => Who::Named,
                };
                assert_eq!(who, expected, "{what}: {said}");
                client.round_trip();
                client.close();
            }
        }
    }
    server.expect_all_given_back();
}

#[test]
fn a_burst_keeps_its_order() {
    let server = TestServer::start();
    for listeners in [1, 3] {
        let target = format!("/pocket?room=burst{listeners}");
        let mut speaker = server.client(&target);
        let mut others = crowd(server.address(), &target, listeners);
        for _ in 0..listeners {
            speaker.any_text();
        }
        let said = |number: usize| match number % 3 {
            0 => (format!(r#"{{"id":{number}}}"#), "json", number),
            1 => (format!("number {number}"), "string", format!("number {number}").len()),
            // Long enough to stay where it was received.
            _ => ("x".repeat(3_000 + number), "string", 3_000 + number),
        };
        let burst: Vec<u8> = (0..600).flat_map(|number| text(said(number).0).bytes()).collect();
        speaker.write(&burst);
        for number in 0..600 {
            let (_, attr, id) = said(number);
            let receipt: Value = serde_json::from_str(&speaker.any_text()).expect("a receipt is JSON");
            assert_eq!((&receipt["messageId"], &receipt["attr"]), (&json!(id), &json!(attr)), "{number}");
        }
        for other in &mut others {
            for number in 0..600 {
                other.0.hears(&said(number).0);
            }
            other.0.hears_nothing();
        }
    }
}

#[test]
fn who_does_not_read_its_receipts_is_read_no_further() {
    let server = TestServer::with(|config| config.limits.queue_high = 64 * 1024);
    let mut listener = Pocket::open(server.address(), "/pocket");
    let mut flooder = Client::connect_with_buffers(server.address(), 4096);
    flooder.upgrade("/pocket");
    listener.hears_of("connected", flooder.stream().local_addr().expect("connected").port());
    let mut stream = flooder.stream().try_clone().expect("a descriptor is free");
    // What one read brings is answered; a receipt is some sixteen times as long as the smallest message.
    const MESSAGES: usize = 200_000;
    const MOST_QUEUED_BYTES: f64 = 6.0 * 1024.0 * 1024.0;
    let burst = text("").bytes().repeat(MESSAGES);
    let flood = std::thread::spawn(move || std::io::Write::write_all(&mut stream, &burst));
    let mut metrics = server.metrics();
    metrics.wait_for("the pause", |values| {
        assert!(values["jackfield_queued_bytes"] < MOST_QUEUED_BYTES, "{values:?}");
        values["jackfield_paused_connections"] == 1.0
    });
    // Others go on, and when it reads nothing was lost.
    listener.0.send(Message::text("still here"));
    let mut receipts = 0;
    while receipts < MESSAGES {
        receipts += usize::from(flooder.any_text().contains(r#""sent""#));
        if receipts % 10_000 == 0 {
            assert!(metrics.value("jackfield_queued_bytes") < MOST_QUEUED_BYTES);
        }
    }
    flood.join().expect("no panic").expect("all was read");
    let mut heard = 0;
    while heard < MESSAGES {
        heard += usize::from(listener.0.next() == Message::text(""));
    }
}

#[test]
fn a_slow_member_of_a_crowd_is_told_of_and_disturbs_nobody() {
    let server = TestServer::with(|config| {
        config.limits.queue_high = 64 * 1024;
        config.limits.max_queue = 256 * 1024;
    });
    let mut slow = Client::connect_with_buffers(server.address(), 4096);
    slow.upgrade("/pocket");
    let port = slow.stream().local_addr().expect("connected").port();
    let mut clients = crowd(server.address(), "/pocket", 2);
    let (speaker, listener) = clients.split_at_mut(1);
    let (speaker, listener) = (&mut speaker[0], &mut listener[0]);
    let said = "x".repeat(50_000);
    let mut metrics = server.metrics();
    // What the kernel takes for the slow one is the system's affair; then its queue fills.
    loop {
        speaker.say(said.as_str(), "50000", "string");
        listener.0.hears(&said);
        let values = metrics.read();
        assert!(values["jackfield_queued_bytes"] < 512.0 * 1024.0, "the slow one is fed for ever: {values:?}");
        if values["jackfield_too_slow_total"] > 0.0 {
            break;
        }
    }
    speaker.hears_of("disconnected", port);
    listener.hears_of("disconnected", port);
    speaker.say("on", "2", "string");
    listener.0.hears("on");
    drop((slow, clients, metrics));
    server.expect_all_given_back();
}

#[test]
fn a_shutdown_is_told_once() {
    let server = TestServer::start();
    let mut clients: Vec<Client> = (0..5).map(|_| server.client("/pocket")).collect();
    for (there, client) in (1..).zip(&mut clients) {
        (there..5).for_each(|_| assert!(client.any_text().contains(r#""connected""#)));
    }
    server.stop();
    for client in &mut clients {
        client.expect_close(1012);
        client.expect_end();
    }
    drop(clients);
    server.join().expect("it ends in order");
}

#[test]
fn two_hundred_members() {
    let server = TestServer::start();
    let mut clients = crowd(server.address(), "/pocket", 200);
    for speaker in [0, 77, 199] {
        let said = format!(r#"{{"id":{speaker}}}"#);
        clients[speaker].say(said.as_str(), &speaker.to_string(), "json");
        for (number, client) in clients.iter_mut().enumerate() {
            if number != speaker {
                client.0.hears(&said);
            }
        }
    }
    drop(clients);
    server.expect_all_given_back();
}
