//! Named channels over real sockets, mostly through an independent client: who hears what, and as what.

mod common;

use common::client::Client;
use common::frame::{continuation, ping, text};
use common::http::request;
use common::independent::Independent;
use common::server::{TestServer, free_port};
use jackfield::config::Root;
use tungstenite::Message;

#[test]
fn everybody_on_a_name_hears_everybody_else() {
    let server = TestServer::start();
    let mut clients: Vec<_> = (0..5).map(|_| Independent::open(server.address(), "/local/demo")).collect();
    for speaker in 0..clients.len() {
        let said = format!("I am {speaker}");
        clients[speaker].say(&said);
        for (listener, client) in clients.iter_mut().enumerate() {
            if listener != speaker {
                client.hears(&said);
            }
        }
    }
    for client in &mut clients {
        client.hears_nothing();
    }
    for client in clients {
        client.close();
    }
    server.expect_all_given_back();
}

#[test]
fn messages_of_every_size_and_kind_arrive_unchanged() {
    let server = TestServer::start();
    for path in ["/local/sizes", "/broadcast/sizes"] {
        let mut speaker = Independent::open(server.address(), path);
        let mut one = Independent::open(server.address(), path);
        for listeners in 1..=2 {
            let mut two = (listeners == 2).then(|| Independent::open(server.address(), path));
            for size in [0, 1, 125, 126, 127, 65_535, 65_536, 262_144, 1_048_576] {
                let bytes: Vec<u8> = (0..size).map(|at| (at * 167 + at / 251) as u8).collect();
                let words: String = "aé€😀".chars().cycle().take(size / 3).collect();
                for message in [Message::binary(bytes), Message::text(words)] {
                    speaker.send(message.clone());
                    one.expect(&message);
                    if let Some(two) = &mut two {
                        two.expect(&message);
                    }
                }
            }
        }
    }
}

#[test]
fn fragments_arrive_as_one_message() {
    let server = TestServer::start();
    let mut speaker = server.client("/local/fragments");
    let mut listener = Independent::open(server.address(), "/local/fragments");
    speaker.send(&text("one ").unfinished());
    speaker.send(&continuation("two ").unfinished());
    // Another one's message does not get in between: there is nothing to get between yet.
    let mut other = Independent::open(server.address(), "/local/fragments");
    other.say("meanwhile");
    speaker.expect_text("meanwhile");
    speaker.send(&continuation("three"));
    listener.hears("meanwhile");
    listener.hears("one two three");
    other.hears("one two three");
}

#[test]
fn an_echo_is_for_those_who_ask() {
    let server = TestServer::start();
    let mut echo = Independent::open(server.address(), "/local/echo?echo=1");
    let mut plain = Independent::open(server.address(), "/local/echo");
    echo.say("from echo");
    echo.hears("from echo");
    plain.hears("from echo");
    plain.say("from plain");
    echo.hears("from plain");
    plain.hears_nothing();
    for (query, is_echo) in
        [("?echo", true), ("?echo=true", true), ("?echo=0", false), ("?x=1", false), ("?a&echo=1", true)]
    {
        let mut client = Independent::open(server.address(), &format!("/local/alone{query}"));
        client.say("hello");
        if is_echo {
            client.hears("hello");
        }
        client.hears_nothing();
        client.close();
    }
}

#[test]
fn the_whole_path_is_the_channel() {
    let server = TestServer::start();
    let paths = ["/local/a", "/local/A", "/broadcast/a", "/local/a/b", "/local/a/c", "/local/b", "/local/a.b"];
    let mut pairs = paths.map(|path| [(); 2].map(|()| Independent::open(server.address(), path)));
    for (path, [speaker, _]) in paths.iter().zip(&mut pairs) {
        speaker.say(path);
    }
    for (path, [speaker, listener]) in paths.iter().zip(&mut pairs) {
        listener.hears(path);
        listener.hears_nothing();
        speaker.hears_nothing();
    }
    let mut metrics = server.metrics();
    assert_eq!(metrics.value("jackfield_channels"), 7.0);
    // The query is not part of it.
    let mut other = Independent::open(server.address(), "/local/b?anything=else");
    other.say("hello");
    pairs[5][0].hears("hello");
    pairs[5][1].hears("hello");
}

#[test]
fn channels_are_freed_with_their_last_member() {
    let server = TestServer::start();
    let mut metrics = server.metrics();
    for index in 0..50 {
        Independent::open(server.address(), &format!("/local/name{index}")).vanish();
    }
    metrics.wait_for("no channel", |values| values["jackfield_channels"] == 0.0);
    let first = Independent::open(server.address(), "/local/name");
    let second = Independent::open(server.address(), "/local/name");
    assert_eq!(metrics.value("jackfield_channels"), 1.0);
    first.close();
    metrics.wait_for("one session", |values| values["jackfield_sessions"] == 1.0);
    assert_eq!(metrics.value("jackfield_channels"), 1.0);
    drop(metrics);
    second.close();
    server.expect_all_given_back();
}

#[test]
fn a_plain_request_makes_no_channel() {
    let server = TestServer::start();
    let mut client = Client::connect(server.address());
    client.write(request("GET", server.address(), "/local/looked-at").as_bytes());
    assert_eq!(client.response().status, 426);
    assert_eq!(server.metrics().value("jackfield_channels"), 0.0);
}

#[test]
fn who_left_hears_nothing_and_disturbs_nobody() {
    let server = TestServer::start();
    let mut speaker = Independent::open(server.address(), "/local/leave");
    let mut listener = Independent::open(server.address(), "/local/leave");
    for round in 0..20 {
        let leaver = Independent::open(server.address(), "/local/leave");
        if round % 2 == 0 {
            leaver.vanish();
        } else {
            leaver.close();
        }
        let said = format!("round {round}");
        speaker.say(&said);
        listener.hears(&said);
    }
    listener.hears_nothing();
    speaker.hears_nothing();
}

#[test]
fn presence_is_for_those_who_ask() {
    let server = TestServer::start();
    let open = |query: &str| Independent::open(server.address(), &format!("/local/presence{query}"));
    let mut plain = open("");
    let mut watcher = open("?presence=1");
    // One for the one who is there already.
    watcher.hears("____connect");
    let mut second = open("?presence=1");
    second.hears("____connect");
    second.hears("____connect");
    watcher.hears("____connect");
    let another = open("");
    watcher.hears("____connect");
    second.hears("____connect");
    another.close();
    watcher.hears("____disconnect");
    second.hears("____disconnect");
    second.vanish();
    watcher.hears("____disconnect");
    watcher.hears_nothing();
    plain.hears_nothing();
    // Of another channel nothing is heard.
    let elsewhere = Independent::open(server.address(), "/local/elsewhere");
    watcher.hears_nothing();
    elsewhere.close();
}

#[test]
fn presence_for_everybody_where_it_is_configured() {
    let server = TestServer::with(|config| config.presence = true);
    let mut first = Independent::open(server.address(), "/local/a");
    let mut second = Independent::open(server.address(), "/local/a");
    first.hears("____connect");
    second.hears("____connect");
    second.close();
    first.hears("____disconnect");
}

#[test]
fn presence_cannot_be_spoofed() {
    let server = TestServer::start();
    let mut liar = Independent::open(server.address(), "/local/spoof");
    let mut plain = Independent::open(server.address(), "/local/spoof");
    let mut watcher = Independent::open(server.address(), "/local/spoof?presence=1");
    watcher.hears("____connect");
    watcher.hears("____connect");
    for lie in ["____connect", "____disconnect"] {
        liar.say(lie);
        plain.hears(lie);
    }
    // Only text of exactly these words is ours.
    liar.say("____connected");
    liar.send(Message::binary(&b"____connect"[..]));
    plain.hears("____connected");
    plain.expect(&Message::binary(&b"____connect"[..]));
    watcher.hears("____connected");
    watcher.expect(&Message::binary(&b"____connect"[..]));
    watcher.hears_nothing();
    liar.hears_nothing();
}

#[test]
fn a_burst_keeps_its_order_and_its_borders() {
    let server = TestServer::start();
    let mut speaker = server.client("/local/burst");
    let mut listeners: Vec<_> = (0..3).map(|_| Independent::open(server.address(), "/local/burst")).collect();
    let burst: Vec<u8> = (0..1000).flat_map(|index| text(format!("message {index}")).bytes()).collect();
    speaker.write(&burst);
    speaker.send(&ping("sent"));
    speaker.expect_pong("sent");
    for listener in &mut listeners {
        for index in 0..1000 {
            listener.hears(&format!("message {index}"));
        }
        listener.hears_nothing();
    }
}

#[test]
fn what_several_say_keeps_the_order_of_each() {
    let server = TestServer::start();
    let mut listener = server.client("/local/several");
    let mut speakers: Vec<_> = (0..4).map(|_| server.client("/local/several?echo=0")).collect();
    for round in 0..50 {
        for (number, speaker) in speakers.iter_mut().enumerate() {
            speaker.send(&text(format!("{number} {round}")));
        }
    }
    let mut rounds = [0; 4];
    for _ in 0..200 {
        let said = listener.any_text();
        let (number, round) = said.split_once(' ').expect("two numbers");
        let next = &mut rounds[number.parse::<usize>().expect("a number")];
        assert_eq!(round, next.to_string(), "of {number}");
        *next += 1;
    }
    listener.round_trip();
}

#[test]
fn a_bad_neighbour_disturbs_nobody() {
    let server = TestServer::start();
    let mut speaker = Independent::open(server.address(), "/local/bad");
    let mut listener = Independent::open(server.address(), "/local/bad");
    for bytes in [
        text([0xFF]).bytes(),
        text("x").unmasked().bytes(),
        text("x").reserved(7).bytes(),
        text("x").claiming(u64::MAX).bytes(),
        continuation("x").bytes(),
        vec![0; 1000],
        vec![0xFF; 1000],
    ] {
        let mut bad = server.client("/local/bad");
        bad.write(&text("good").bytes());
        bad.write(&bytes);
        speaker.hears("good");
        listener.hears("good");
        speaker.say("still here");
        listener.hears("still here");
    }
    listener.hears_nothing();
    speaker.hears_nothing();
}

#[test]
fn a_listener_of_named_channels_serves_no_root() {
    let server = TestServer::with(|config| config.listen = vec![free_port(Root::Named), free_port(Root::Auto)]);
    let [named, auto] = server.addresses() else { panic!("two listeners") };
    let mut client = Client::connect(*named);
    client.write(common::http::upgrade_request(*named, "/").as_bytes());
    assert_eq!(client.response().status, 404);
    // Names are shared by all listeners.
    let mut one = Independent::open(*named, "/local/shared");
    let mut two = Independent::open(*auto, "/local/shared");
    one.say("hello");
    two.hears("hello");
}

#[test]
fn two_hundred_members() {
    let server = TestServer::start();
    let mut clients: Vec<_> = (0..200).map(|_| Independent::open(server.address(), "/local/crowd")).collect();
    for round in 0..5 {
        let said = format!("round {round}");
        clients[round].say(&said);
        for (index, client) in clients.iter_mut().enumerate() {
            if index != round {
                client.hears(&said);
            }
        }
    }
    drop(clients);
    server.expect_all_given_back();
}

/// T41: slots, names and buffers are used again and again, by clients that leave in every way; nobody ever hears what was
/// meant for somebody else.
#[test]
fn t41_nobody_hears_what_was_meant_for_those_before() {
    let server = TestServer::start();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..100 {
                    let target = format!("/local/churn{thread}-{}", round % 3);
                    let (mut one, mut other) = (server.client(&target), server.client(&target));
                    for number in 0..3 {
                        let said = format!("{thread} {round} {number}");
                        one.send(&text(&said));
                        other.expect_text(&said);
                        other.send(&text(&said));
                        one.expect_text(&said);
                    }
                    // Things left lying about: half a frame, half a message, unread text, bad frames.
                    match round % 5 {
                        0 => one.write(&text("left over").bytes()[..4]),
                        1 => one.send(&text("left over").unfinished()),
                        2 => one.send(&text("left over")),
                        3 => one.send(&text("left over").reserved(7)),
                        _ => {}
                    }
                    if round % 2 == 0 {
                        drop(one);
                        drop(other);
                    } else {
                        drop(other);
                        drop(one);
                    }
                    server.metrics().read();
                }
            });
        }
    });
    server.expect_all_given_back();
}
