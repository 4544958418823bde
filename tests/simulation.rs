//! The simulated server: it behaves as one with sockets does, sees time pass without waiting for it, and does nothing that
//! its clients do not cause.
#![cfg(debug_assertions)]

#[cfg(feature = "tls")]
mod common;

use std::net::SocketAddr;
use std::time::Duration;

use jackfield::config::Config;
use jackfield::server::simulation::{ClientEnd, Simulation};

/// The loop comes to rest long before.
const MOST_TURNS: usize = 1000;

fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

fn simulation(adjust: impl FnOnce(&mut Config)) -> Simulation {
    let mut config = Config::default();
    adjust(&mut config);
    Simulation::new(config).expect("a good configuration")
}

fn upgrade(target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

fn open(server: &mut Simulation, target: &str) -> ClientEnd {
    let mut client = server.connect(0, peer());
    client.write(&upgrade(target));
    server.settle(MOST_TURNS);
    assert!(client.read(4096).starts_with(b"HTTP/1.1 101 "));
    client
}

/// A masked binary frame with a mask of zeros, and the same as the server passes it on.
fn frames(payload: &[u8]) -> [Vec<u8>; 2] {
    let len = u16::try_from(payload.len()).expect("short").to_be_bytes();
    let frame = |head: &[u8], mask: &[u8]| [head, &len, mask, payload].concat();
    [frame(&[0x82, 0xfe], &[0; 4]), frame(&[0x82, 126], &[])]
}

fn nothing_is_left(server: &mut Simulation) {
    server.settle(MOST_TURNS);
    server.advance(Duration::from_secs(120), MOST_TURNS);
    assert!(server.holdings().iter().all(|(_, count)| *count == 0), "{:?}", server.holdings());
    assert_eq!(server.patience(), None);
}

#[test]
fn what_arrives_byte_by_byte_is_relayed_whole() {
    let mut server = simulation(|_| {});
    let mut one = server.connect(0, peer());
    for byte in upgrade("/local/a") {
        assert_eq!(one.unread(), 0);
        one.write(&[byte]);
        assert!(server.turn(0));
        server.settle(MOST_TURNS);
    }
    assert!(one.read(4096).starts_with(b"HTTP/1.1 101 "));
    let mut other = open(&mut server, "/local/a");
    let [sent, passed_on] = frames(&[7; 300]);
    for byte in &sent[..sent.len() - 1] {
        one.write(&[*byte]);
        server.settle(MOST_TURNS);
    }
    assert_eq!(other.unread(), 0, "half a frame is nobody's");
    one.write(&sent[sent.len() - 1..]);
    server.settle(MOST_TURNS);
    assert_eq!(other.read(4096), passed_on);
    drop((one, other));
    nothing_is_left(&mut server);
}

#[test]
fn a_partner_that_reads_slowly_loses_nothing_and_stops_the_other() {
    let mut server = simulation(|config| config.limits.queue_high = 10_000);
    let [mut one, mut other] = ["/webshare?binary=1"; 2].map(|target| open(&mut server, target));
    let say = |server: &mut Simulation, client: &mut ClientEnd, text: &str| {
        client.write(&[&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat());
        server.settle(MOST_TURNS);
        String::from_utf8_lossy(&client.read(4096)).into_owned()
    };
    let key = say(&mut server, &mut one, r#"{"command":"key"}"#);
    let key = key.split("\"key\":\"").nth(1).expect("a key")[..8].to_owned();
    say(&mut server, &mut other, &format!(r#"{{"command":"pair","body":{{"target":"{key}"}}}}"#));
    one.read(4096);
    other.set_room(500);
    let (mut sent, mut passed_on) = (Vec::new(), Vec::new());
    for number in 0..400 {
        let [frame, expected] = frames(&[number as u8; 1000]);
        sent.extend(frame);
        passed_on.extend(expected);
    }
    let (mut at, mut heard) = (0, Vec::new());
    while at < sent.len() {
        let taken = one.write(&sent[at..]);
        at += taken;
        server.settle(MOST_TURNS);
        if taken == 0 {
            break;
        }
    }
    assert!(at < 200_000, "the sender is never stopped: {at}");
    assert!((10_000..80_000).contains(&server.most_queued()), "{} bytes wait", server.most_queued());
    assert!(server.most_unfinished() < 70_000, "{} bytes are held", server.most_unfinished());
    while heard.len() < passed_on.len() {
        let before = heard.len();
        heard.extend(other.read(377));
        server.settle(MOST_TURNS);
        at += one.write(&sent[at..]);
        server.settle(MOST_TURNS);
        assert!(heard.len() > before || other.unread() > 0, "nobody goes on after {} bytes", heard.len());
    }
    assert!(heard == passed_on);
    drop((one, other));
    nothing_is_left(&mut server);
}

#[test]
fn deadlines_pass_without_anybody_waiting() {
    let mut server = simulation(|config| config.limits.handshake_timeout = Duration::from_secs(5));
    let mut slow = server.connect(0, peer());
    slow.write(b"GET / HT");
    server.settle(MOST_TURNS);
    server.advance(Duration::from_secs(5), MOST_TURNS);
    assert!(!slow.has_ended() && slow.unread() == 0, "a deadline never passes early");
    server.advance(Duration::from_millis(150), MOST_TURNS);
    assert!(slow.read(4096).starts_with(b"HTTP/1.1 408 "));
    // Silence is asked after, and ends what does not answer.
    let mut silent = open(&mut server, "/local/a");
    server.advance(Duration::from_millis(54_200), MOST_TURNS);
    assert_eq!(silent.read(4096), [0x89, 0]);
    server.advance(Duration::from_millis(10_200), MOST_TURNS);
    assert_eq!(silent.read(2)[0], 0x88);
    drop((slow, silent));
    nothing_is_left(&mut server);
}

#[test]
fn a_drain_says_goodbye_and_ends() {
    let mut server = simulation(|_| {});
    let [mut polite, mut silent] = ["/local/a", "/pocket"].map(|target| open(&mut server, target));
    server.stop();
    assert_eq!([polite.read(2)[0], silent.read(2)[0]], [0x88; 2]);
    polite.write(&[0x88, 0x80, 0, 0, 0, 0]);
    polite.finish();
    server.advance(Duration::from_millis(4900), MOST_TURNS);
    assert!(!server.is_over());
    server.advance(Duration::from_millis(300), MOST_TURNS);
    assert!(server.is_over());
}

#[test]
fn a_reset_ends_what_was_going_on() {
    let mut server = simulation(|_| {});
    let [mut one, mut other] = ["/local/a", "/local/a?presence=1"].map(|target| open(&mut server, target));
    other.read(4096);
    one.write(&frames(&[1; 200])[0][..100]);
    one.reset();
    server.settle(MOST_TURNS);
    assert_eq!(other.read(4096), b"\x81\x0e____disconnect");
    drop((one, other));
    nothing_is_left(&mut server);
}

/// T40: however many shake hands at once, one turn does the arithmetic of a few, and whoever relays meanwhile has its turn
/// with them.
#[cfg(feature = "tls")]
#[test]
fn t40_a_crowd_of_hellos_costs_each_turn_only_so_much() {
    use jackfield::config::{Listen, Root};
    use jackfield::net::tls::HANDSHAKES_PER_TURN;
    use rustls::ClientConnection;
    use rustls::pki_types::ServerName;
    use std::sync::Arc;

    let identity = common::tls::Identity::new("simulated");
    let mut server = simulation(|config| {
        config.listen.push(Listen { tls: true, ..Listen::new(peer(), Root::Auto) });
        (config.tls_cert, config.tls_key) = (Some(identity.cert()), Some(identity.key()));
    });
    let [mut one, mut other] = ["/local/a"; 2].map(|target| open(&mut server, target));
    let config = Arc::new(identity.client());
    let mut crowd: Vec<ClientEnd> = (0..40).map(|_| server.connect(1, peer())).collect();
    server.settle(MOST_TURNS);
    for (number, client) in crowd.iter_mut().enumerate() {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut hello = Vec::new();
        let mut handshake = ClientConnection::new(Arc::clone(&config), name).expect("a configuration");
        handshake.write_tls(&mut hello).expect("in memory");
        // Some of them are not what they seem, and cost no less.
        if number % 3 == 0 {
            hello.extend([22, 3, 3, 0, 4, 1, 0, 0, 0]);
        }
        client.write(&hello);
    }
    let (mut turns, mut answered) = (0, 0);
    while answered < crowd.len() {
        let [sent, passed_on] = frames(&[turns as u8; 200]);
        one.write(&sent);
        assert!(server.turn(turns), "the others are forgotten: {answered}");
        assert_eq!(other.read(4096), passed_on, "a neighbour waits for strangers");
        let now = crowd.iter().filter(|client| client.unread() > 0).count();
        assert!(now - answered <= HANDSHAKES_PER_TURN as usize, "{} in one turn", now - answered);
        (answered, turns) = (now, turns + 1);
        assert!(turns < 60, "only {answered} were answered");
    }
    assert!(turns >= crowd.len() / HANDSHAKES_PER_TURN as usize);
    drop((one, other, crowd));
    nothing_is_left(&mut server);
}

#[test]
fn a_flood_for_a_large_channel_gives_others_their_turn() {
    let mut server = simulation(|_| {});
    let mut members: Vec<_> = (0..64).map(|_| open(&mut server, "/local/crowd")).collect();
    members.iter_mut().for_each(|member| member.set_room(1 << 20));
    let (mut sent, mut passed_on) = (Vec::new(), Vec::new());
    for number in 0..12 {
        let [frame, expected] = frames(&vec![number; 20_000]);
        sent.extend(frame);
        passed_on.extend(expected);
    }
    let mut flooder = members.swap_remove(0);
    assert_eq!(flooder.write(&sent), sent.len());
    server.turn(0);
    // What one read brought is 15 MB for all of them.
    server.turn(0);
    let in_two_turns = members[1].unread();
    assert!(in_two_turns > 0 && in_two_turns < passed_on.len() / 2, "{in_two_turns} of {}", passed_on.len());
    server.settle(MOST_TURNS);
    assert!(members.iter_mut().all(|member| member.read(1 << 20) == passed_on), "all of it, in order");
    drop((flooder, members));
    nothing_is_left(&mut server);
}

/// A channel of so many, each with room for everything.
fn crowd(server: &mut Simulation, count: usize) -> Vec<ClientEnd> {
    let mut members: Vec<_> = (0..count).map(|_| open(server, "/local/crowd")).collect();
    members.iter_mut().for_each(|member| member.set_room(1 << 20));
    members
}

/// T8: what many get is written in slices, and others have their turn between any two of them.
#[test]
fn a_long_message_for_many_lets_others_through_between_its_slices() {
    let mut server = simulation(|_| {});
    let [mut one, mut other] = ["/local/a"; 2].map(|target| open(&mut server, target));
    let mut members = crowd(&mut server, 64);
    let mut speaker = members.swap_remove(0);
    let [sent, passed_on] = frames(&[1; 20_000]);
    speaker.write(&sent);
    let (mut turns, mut written) = (0, 0);
    while written < members.len() * passed_on.len() {
        let [ask, asked] = frames(&[turns as u8; 200]);
        one.write(&ask);
        assert!(server.turn(turns), "the rest is forgotten: {written}");
        assert_eq!(other.read(4096), asked, "a neighbour waits for the crowd");
        let now: usize = members.iter().map(ClientEnd::unread).sum();
        assert!(now - written <= 2 * passed_on.len(), "{} bytes in one turn", now - written);
        (written, turns) = (now, turns + 1);
        assert!(turns < 200, "only {written} bytes were written");
    }
    assert!(members.iter_mut().all(|member| member.read(1 << 20) == passed_on));
    drop((one, other, speaker, members));
    nothing_is_left(&mut server);
}

#[test]
fn whoever_speaks_to_many_is_heard_again_when_all_of_them_were_written_to() {
    let mut server = simulation(|_| {});
    let mut members = crowd(&mut server, 32);
    let mut speaker = members.swap_remove(0);
    let (mut sent, mut passed_on) = (Vec::new(), Vec::new());
    for number in 0..50 {
        let [frame, expected] = frames(&[number; 20_000]);
        sent.extend(frame);
        passed_on.extend(expected);
    }
    assert_eq!(speaker.write(&sent), sent.len());
    // Another one, who is deaf, holds nobody up.
    members[7].set_room(100);
    let (mut turns, mut most) = (0, 0);
    while server.turn(turns) {
        turns += 1;
        most = most.max(server.memory());
        let unread: Vec<usize> =
            members.iter().enumerate().filter(|(at, _)| *at != 7).map(|(_, m)| m.unread()).collect();
        let (least, most) = (unread.iter().min().expect("some"), unread.iter().max().expect("some"));
        assert!(most - least < 400_000, "some are {} bytes ahead of others", most - least);
        assert!(turns < 10_000, "it never comes to rest");
    }
    assert!(most < 1_500_000, "{most} bytes are remembered");
    members.swap_remove(7);
    assert!(members.iter_mut().all(|member| member.read(2 << 20) == passed_on), "all of it, in order");
    drop((speaker, members));
    nothing_is_left(&mut server);
}

#[test]
fn what_comes_meanwhile_stays_behind_what_was_put_off() {
    let mut server = simulation(|_| {});
    let mut members = crowd(&mut server, 20);
    let [long, long_passed_on] = frames(&[1; 20_000]);
    let [short, short_passed_on] = frames(&[2; 300]);
    members[0].write(&long);
    server.turn(0);
    // Somebody who was put off speaks, another asks whether we are there, and a third goes.
    members[18].write(&short);
    members[19].write(&[0x89, 0x80, 0, 0, 0, 0]);
    members.remove(15).reset();
    server.turn(0);
    assert!(members.iter().filter(|member| member.unread() > 0).count() < 10, "nobody was put off");
    server.settle(MOST_TURNS);
    for (number, member) in members.iter_mut().enumerate() {
        let expected = match number {
            0 => short_passed_on.clone(),
            17 => long_passed_on.clone(),
            18 => [&long_passed_on[..], &short_passed_on[..], &[0x8a, 0]].concat(),
            _ => [&long_passed_on[..], &short_passed_on[..]].concat(),
        };
        let heard = member.read(1 << 20);
        if number == 18 {
            // What was said first is first; the pong may be before or behind what came along with it.
            assert_eq!((heard.len(), &heard[..long_passed_on.len()]), (expected.len(), &long_passed_on[..]));
        } else {
            assert!(heard == expected, "{number} heard {} bytes of {}", heard.len(), expected.len());
        }
    }
    drop(members);
    nothing_is_left(&mut server);
}

#[test]
fn too_slow_is_who_does_not_take_what_he_was_offered() {
    let mut server = simulation(|config| config.limits.max_queue = 50_000);
    let mut members = crowd(&mut server, 20);
    let (mut sent, mut passed_on) = (Vec::new(), Vec::new());
    for number in 0..10 {
        let [frame, expected] = frames(&[number; 30_000]);
        sent.extend(frame);
        passed_on.extend(expected);
    }
    // Three speak at once: more than may wait is put off for everybody else.
    for member in &mut members[..3] {
        assert_eq!(member.write(&sent), sent.len());
    }
    members[19].set_room(1000);
    server.settle(MOST_TURNS);
    let deaf = members.pop().expect("the last");
    assert!(members[3..].iter().all(|member| member.unread() == 3 * passed_on.len()), "somebody else was closed");
    assert!(members[..3].iter().all(|member| member.unread() == 2 * passed_on.len()), "a speaker was closed");
    assert!(server.most_queued() < 700_000, "{} bytes wait", server.most_queued());
    drop((deaf, members));
    nothing_is_left(&mut server);
}

#[test]
fn who_takes_nothing_of_what_was_put_off_is_let_go_of_in_time() {
    let mut server = simulation(|config| config.limits.write_stall_timeout = Duration::from_secs(4));
    let mut members = crowd(&mut server, 20);
    members[10].set_room(1000);
    members[0].write(&frames(&[1; 20_000])[0]);
    server.settle(MOST_TURNS);
    server.advance(Duration::from_secs(7), MOST_TURNS);
    members[10].read(1000);
    assert!(members[10].has_ended(), "it may stay for as long as it likes");
    drop(members);
    nothing_is_left(&mut server);
}

/// The ceiling: when memory is short, of those who take nothing only so many go as it takes.
#[test]
fn when_memory_is_short_nobody_goes_who_need_not() {
    let mut server = simulation(|config| config.limits.max_memory = 16 << 20);
    let [mut one, mut other] = ["/local/a"; 2].map(|target| open(&mut server, target));
    let mut deaf = Vec::new();
    let mut speakers = Vec::new();
    for number in 0..250 {
        let target = format!("/local/{number}");
        deaf.push(open(&mut server, &target));
        speakers.push(open(&mut server, &target));
        deaf[number].set_room(100);
    }
    for speaker in &mut speakers {
        speaker.write(&frames(&[1; 20_000])[0]);
        server.settle(MOST_TURNS);
    }
    // They have taken nothing for long when more comes for all of them.
    server.advance(Duration::from_secs(3), MOST_TURNS);
    for speaker in &mut speakers {
        speaker.write(&frames(&[1; 12_000])[0]);
    }
    let (mut turns, mut most, mut least) = (0, 0, usize::MAX);
    let [ask, asked] = frames(&[2; 200]);
    one.write(&ask);
    while server.turn(turns) && turns < 100 {
        assert_eq!(other.read(4096), asked, "a neighbour waits for strangers");
        most = most.max(server.memory());
        if deaf.iter().any(|client| client.line().is_server_gone()) {
            least = least.min(server.memory());
        }
        turns += 1;
        one.write(&ask);
    }
    // Seven eighths of what is for clients where 500 of them are there.
    assert!((7_300_000..7_600_000).contains(&least) && most < 7_600_000, "{least} to {most} bytes");
    drop((one, other, deaf, speakers));
    nothing_is_left(&mut server);
}

#[test]
fn room_that_some_leave_is_there_for_those_who_stay() {
    let mut server = simulation(|config| config.limits.max_memory = 16 << 20);
    let mut holders: Vec<_> = (0..6).map(|number| open(&mut server, &format!("/local/{number}"))).collect();
    let crowd: Vec<_> = (0..6000).map(|_| server.connect(0, peer())).collect();
    server.settle(MOST_TURNS);
    drop(crowd);
    server.settle(MOST_TURNS);
    // All but a byte of 1 MiB, from each: more than there would be beside the others.
    for holder in &mut holders {
        holder.set_room(2 << 20);
        holder.write(&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
        holder.write(&vec![0; (1 << 20) - 1]);
        server.settle(MOST_TURNS);
    }
    // Two of them are in the buffers that the loop has anyway.
    assert!(server.memory() >= 4 << 20, "{} bytes", server.memory());
    assert!(holders.iter().all(|holder| !holder.line().is_server_gone()), "somebody had to go");
    drop(holders);
    nothing_is_left(&mut server);
}

#[test]
fn requests_of_one_client_have_their_share_of_a_turn() {
    let mut server = simulation(|_| {});
    for (field, most) in [("", 32), ("Authorization: Bearer a\r\n", 4)] {
        let mut client = server.connect(0, peer());
        client.set_room(1 << 20);
        server.settle(MOST_TURNS);
        let request = format!("GET /x HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
        client.write(request.repeat(1000).as_bytes());
        let (mut answers, mut turns) = (0, 0);
        while server.turn(0) {
            turns += 1;
            assert!(turns < 1001, "it never ends");
            let now = client.read(1 << 20).windows(13).filter(|bytes| bytes == b"HTTP/1.1 404 ").count();
            assert!(now <= most, "{now} requests were answered in one turn");
            answers += now;
        }
        assert_eq!(answers, 1000);
    }
}
