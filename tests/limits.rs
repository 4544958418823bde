//! What a stranger may cost us, over real sockets: each limit is held, and each refusal names the option that sets it.

mod common;

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use common::client::{Client, Trouble};
use common::frame::{CLOSE, Frame, PONG, binary, continuation, ping, pong, text};
use common::http::{Response, upgrade_request};
use common::process::Process;
use common::server::{Metrics, TestServer};

/// Clients at once in tests of memory.
const CROWD: usize = 200;

#[test]
fn messages_up_to_the_limit() {
    let server = TestServer::with(|config| config.limits.max_message = 1000);
    let mut client = server.client("/local/a?echo=1");
    client.send(&binary([7; 1000]));
    client.expect_binary([7; 1000]);
    client.send(&binary([7; 1001]));
    let reason = client.expect_close(1009);
    assert!(reason.contains("--max-message") && reason.contains("1000"), "{reason}");
    client.expect_end();
}

#[test]
fn fragments_up_to_the_limit() {
    let server = TestServer::with(|config| config.limits.max_fragments = 3);
    let mut client = server.client("/local/a?echo=1");
    let start = [text("a").unfinished(), continuation("b").unfinished()];
    for frame in &start {
        client.send(frame);
    }
    client.send(&continuation("c"));
    client.expect_text("abc");
    for frame in &start {
        client.send(frame);
    }
    client.send(&continuation("").unfinished());
    client.round_trip();
    client.send(&continuation(""));
    let reason = client.expect_close(1008);
    assert!(reason.contains("--max-fragments") && reason.contains('3'), "{reason}");
}

/// Sends `count` of these and counts the Pongs before the Close.
fn flood(client: &mut Client, frame: &Frame, count: usize) -> (usize, String) {
    client.write(&frame.bytes().repeat(count));
    let mut pongs = 0;
    loop {
        let received = client.expect_frame();
        if received.opcode == CLOSE {
            assert_eq!(received.close_code(), Some(1008), "{}", received.summary());
            client.expect_end();
            return (pongs, received.close_reason());
        }
        assert_eq!(received.opcode, PONG, "{}", received.summary());
        pongs += 1;
    }
}

#[test]
fn control_frames_up_to_the_burst() {
    let server = TestServer::with(|config| {
        config.limits.control_burst = 20;
        config.limits.control_rate = 1;
    });
    let mut client = server.client("/local/a");
    let (pongs, reason) = flood(&mut client, &ping("a"), 100);
    assert!((20..=25).contains(&pongs), "{pongs} pings were answered");
    assert!(reason.contains("--control-rate"), "{reason}");
    // Pongs cost as much, though nothing comes back.
    let mut client = server.client("/local/a");
    let (pongs, reason) = flood(&mut client, &pong("a"), 100);
    assert_eq!(pongs, 0);
    assert!(reason.contains("--control-rate"), "{reason}");
    server.expect_all_given_back();
}

#[test]
fn control_frames_at_the_allowed_rate_go_on_for_ever() {
    let server = TestServer::with(|config| {
        config.limits.control_burst = 5;
        config.limits.control_rate = 5;
    });
    let mut client = server.client("/local/a");
    for _ in 0..3 {
        for _ in 0..5 {
            client.round_trip();
        }
        // The time that earns five more is what is tested here.
        client.expect_silence(Duration::from_millis(1100));
    }
}

#[test]
fn data_frames_are_not_control_frames() {
    let server = TestServer::with(|config| config.limits.control_burst = 2);
    let mut client = server.client("/local/a?echo=1");
    for index in 0..100 {
        client.send(&text(index.to_string()));
        client.expect_text(index.to_string());
    }
    client.close();
}

/// T23: names that other protocols, logs or pages could misread.
#[test]
fn t23_names() {
    let server = TestServer::start();
    let longest = "n".repeat(255);
    for name in ["a", "A-Z_0.9", "org.mediascape.bbc.tv", "a+b=c*", "-", ".", "..", "...", "a/b/c", &longest] {
        let mut client = Client::connect(server.address());
        client.write(upgrade_request(server.address(), &format!("/local/{name}")).as_bytes());
        assert_eq!(client.response().status, 101, "{name}");
        client.close();
    }
    let too_long = "n".repeat(256);
    let long_segment = format!("a/{too_long}");
    let long_path = "aaa/".repeat(64) + "a";
    for name in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "a>b",
        "a,b",
        "a;b",
        "a:b",
        "a@b",
        "a!b",
        "a'b",
        "a\"b",
        "a<b>",
        "a|b",
        "a{b}",
        "a~b",
        "a%20b",
        "%41",
        "a%00",
        "%E2%80%AE",
        "a%0d%0aPUB",
        "a&b",
        "$a",
        "`a`",
        "(a)",
        "[a]",
        "a^b",
        "a\\b",
        &too_long,
        &long_segment,
        &long_path,
    ] {
        for kind in ["local", "broadcast"] {
            let mut client = Client::connect(server.address());
            client.write(upgrade_request(server.address(), &format!("/{kind}/{name}")).as_bytes());
            let response = client.response();
            assert_eq!(response.status, 404, "{name}: {response:?}");
            assert!(!response.text().contains(name) || name.len() < 3, "{name} is not repeated: {response:?}");
        }
    }
    let mut client = Client::connect(server.address());
    client.write(upgrade_request(server.address(), &format!("/local/{too_long}")).as_bytes());
    assert!(client.response().text().contains("--max-name"), "the option is named");
    // Bytes that no target may contain are not even a request.
    for name in ["a b", "a\tb", "a\u{e9}", "a\u{202e}b", "a\0b", "a\u{7f}", "a\rb"] {
        let mut client = Client::connect(server.address());
        client.write(upgrade_request(server.address(), &format!("/local/{name}")).as_bytes());
        assert_eq!(client.response().status, 400, "{name:?}");
    }
    // Only `/local/` has more than one segment.
    let mut client = Client::connect(server.address());
    client.write(upgrade_request(server.address(), "/broadcast/a/b").as_bytes());
    assert_eq!(client.response().status, 404);
    server.expect_all_given_back();
}

#[test]
fn a_names_limit_can_be_set() {
    let server = TestServer::with(|config| config.limits.max_name = 5);
    server.client("/local/12345").close();
    let mut client = Client::connect(server.address());
    client.write(upgrade_request(server.address(), "/local/123456").as_bytes());
    let response = client.response();
    assert_eq!(response.status, 404);
    assert!(response.text().contains(" 5 ") && response.text().contains("--max-name"), "{response:?}");
}

#[test]
fn connections_up_to_the_limit() {
    let server = TestServer::with(|config| config.limits.max_connections = 4);
    let mut metrics = server.metrics();
    assert_eq!(metrics.value("jackfield_connections"), 1.0);
    let mut clients: Vec<_> = (0..3).map(|_| server.client("/local/a")).collect();
    for _ in 0..5 {
        let mut late = Client::connect(server.address());
        let _ = late.stream().write_all(upgrade_request(server.address(), "/local/a").as_bytes());
        let answer = late.try_response("GET");
        let refusal = answer.expect("it is told why");
        assert_eq!(refusal.status, 503, "{refusal:?}");
        assert!(refusal.text().contains("--max-connections") && refusal.header("retry-after").is_some(), "{refusal:?}");
        late.expect_end();
    }
    let values = metrics.read();
    assert_eq!(values["jackfield_connections"], 4.0);
    assert_eq!(values["jackfield_refused_total{option=\"max-connections\"}"], 5.0);
    assert_eq!(values["jackfield_connections_turned_away_total"], 5.0);
    // Those who are there are not disturbed, and a place that gets free is given away.
    clients[0].round_trip();
    clients.pop().expect("three").close();
    metrics.wait_for("a free place", |values| values["jackfield_connections"] == 3.0);
    let mut late = server.client("/local/a");
    clients[0].send(&text("welcome"));
    late.expect_text("welcome");
}

/// T4: fragments without end and without content.
#[test]
fn t4_tiny_fragments_take_no_memory() {
    let server = Process::start(&[]);
    let mut client = server.client("/local/t4");
    client.round_trip();
    let before = server.memory();
    for part in ["", "x"] {
        let mut message = text(part).unfinished().bytes();
        message.extend(continuation(part).unfinished().bytes().repeat(4094));
        message.extend(continuation(part).bytes());
        for _ in 0..50 {
            client.write(&message);
            client.round_trip();
        }
    }
    // One message that is never finished, by many.
    let open = [text("x").unfinished().bytes(), continuation("").unfinished().bytes().repeat(4000)].concat();
    let mut crowd: Vec<_> = (0..CROWD).map(|_| server.client("/local/t4")).collect();
    for client in &mut crowd {
        client.write(&open);
        client.round_trip();
    }
    let grown = server.memory().resident.saturating_sub(before.resident);
    assert!(grown < 4 * 1024, "{grown} KiB more for {CROWD} clients");
}

/// T6, T39: what a header promises is not reserved.
#[test]
fn t6_t39_promises_take_no_memory() {
    let server = Process::start(&[]);
    let mut first = server.client("/local/t6");
    first.round_trip();
    let before = server.memory();
    let mut crowd: Vec<_> = (0..CROWD).map(|_| server.client("/local/t6")).collect();
    for client in &mut crowd {
        client.round_trip();
        client.send(&binary([1; 10]).claiming(1024 * 1024));
    }
    // Everything has been read once a client that came later is served.
    for client in &mut crowd {
        client.write(&[1; 10]);
    }
    first.round_trip();
    server.client("/local/t6").round_trip();
    let after = server.memory();
    let grown = (after.resident.saturating_sub(before.resident), after.data.saturating_sub(before.data));
    assert!(grown.0 < 8 * 1024 && grown.1 < 16 * 1024, "{grown:?} KiB more, resident and asked for");
}

/// What waits for a slow reader takes about as much as `--max-queue` says, even when it is many tiny messages.
#[test]
fn tiny_messages_that_wait_take_no_more_than_large_ones() {
    const SLOW: usize = 20;
    const QUEUE_KIB: u64 = 64;
    let mark = format!("{QUEUE_KIB}KiB");
    let server = Process::start(&["--max-queue", &mark, "--queue-high", &mark]);
    let mut metrics = Metrics::of(server.address());
    let mut speaker = server.client("/local/tiny?echo=1");
    let slow: Vec<_> = (0..SLOW)
        .map(|_| {
            let mut client = Client::connect_with_buffers(server.address(), 4096);
            client.upgrade("/local/tiny");
            client
        })
        .collect();
    let mut say = |payload: &[u8]| {
        // One at a time, so that each is a read and a write of its own.
        speaker.send(&binary(payload));
        speaker.expect_binary(payload);
    };
    let before = server.memory();
    // First the kernel's buffers, then the queues.
    while metrics.value("jackfield_queued_bytes") == 0.0 {
        say(&[0; 1000]);
    }
    let allowed = 2 * SLOW as u64 * QUEUE_KIB + 3 * 1024;
    while metrics.value("jackfield_too_slow_total") < SLOW as f64 {
        (0..500).for_each(|_| say(&[0]));
        let grown = server.memory().resident.saturating_sub(before.resident);
        assert!(grown < allowed, "{grown} KiB more for {SLOW} queues of {QUEUE_KIB} KiB");
    }
    drop(slow);
}

/// T22, T36: half heads and half headers are held in what they have.
#[test]
fn t36_half_messages_take_what_they_have() {
    let server = Process::start(&[]);
    let mut first = server.client("/local/t36");
    first.round_trip();
    let before = server.memory();
    let mut crowd = Vec::new();
    for index in 0..CROWD {
        let mut client = Client::connect(server.address());
        if index % 2 == 0 {
            client.write(b"GET /local/t36 HTTP/1.1\r\nHost: localhost\r\nX-Half:");
        } else {
            client.upgrade("/local/t36");
            client.write(&binary([0; 200]).bytes()[..5]);
        }
        crowd.push(client);
    }
    server.client("/local/t36").round_trip();
    let grown = server.memory().resident.saturating_sub(before.resident);
    assert!(grown < 2 * 1024, "{grown} KiB more for {CROWD} clients");
}

/// After abuse of every kind nothing is left.
#[test]
fn everything_is_given_back_after_abuse() {
    let server = TestServer::with(|config| config.limits.close_timeout = Duration::from_millis(100));
    let request = upgrade_request(server.address(), "/local/abuse?echo=1&presence=1").into_bytes();
    let frames: [&[u8]; 8] = [
        b"",
        &text("whole").bytes(),
        &text("half").unfinished().bytes(),
        &binary([0; 100_000]).bytes()[..5000],
        &text([0xFF]).bytes(),
        &text("").claiming(u64::MAX).bytes(),
        &ping("").bytes().repeat(1000),
        &[0x88],
    ];
    for round in 0..10 {
        for frames in frames {
            let client = Client::connect(server.address());
            let bytes = [&request[..], frames].concat();
            // Cut anywhere, and gone without a word.
            let cut = if round == 0 { bytes.len() } else { bytes.len() * round / 10 };
            let _ = client.stream().write_all(&bytes[..cut]);
        }
    }
    server.expect_all_given_back();
}

/// What a client that may be turned away is told, if anything: nobody is left waiting.
#[track_caller]
fn answer(client: &mut Client) -> Option<Response> {
    match client.try_response("GET") {
        Err(Trouble::Deadline) => panic!("one is neither let in nor turned away"),
        answer => answer.ok(),
    }
}

/// Others have opened so many that the server meets the end of its descriptors before its own limit.
#[test]
fn t19_a_server_without_any_descriptor_left_says_so_and_lives() {
    let server = Process::start_among_descriptors(120, 70);
    let mut first = server.client("/local/many?echo=1");
    let mut metrics = Metrics::of(server.address());
    let mut crowd: Vec<_> = (0..150)
        .map(|_| {
            let client = Client::connect(server.address());
            let _ = client.stream().write_all(upgrade_request(server.address(), "/local/other").as_bytes());
            client
        })
        .collect();
    let answers: Vec<_> = crowd.iter_mut().filter_map(answer).collect();
    let open = answers.iter().filter(|answer| answer.status == 101).count();
    assert!((5..50).contains(&open), "{open} of 150 were let in");
    let is_told = |answer: &&Response| answer.status == 503 && answer.text().contains("file descriptor");
    assert!(answers.iter().filter(is_told).count() > 10, "{answers:?}");
    // Those who are there are served, by pages too, and those who come later are let in again.
    first.send(&text("still here"));
    first.expect_text("still here");
    assert!(metrics.value("jackfield_connections_turned_away_total") >= 100.0);
    drop(crowd);
    metrics.wait_for("room", |values| values["jackfield_connections"] == 2.0);
    server.client("/local/many").close();
}

#[test]
fn a_server_that_has_no_descriptor_for_a_client_does_not_start() {
    let script = "ulimit -n 60 && exec \"$0\" --listen 127.0.0.1:0";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_jackfield")]).env_clear();
    let output = shell.output().expect("a shell");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("of the 60 file descriptors") && said.contains("`ulimit -n`"), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn a_server_that_runs_out_of_descriptors_lives() {
    // As `ulimit -n 100` does for a shell's children.
    let server = Process::start_with_descriptors(100, &[]);
    let mut first = server.client("/local/many");
    let mut crowd: Vec<_> = (0..150)
        .map(|_| {
            let client = Client::connect(server.address());
            let _ = client.stream().write_all(upgrade_request(server.address(), "/local/many").as_bytes());
            client
        })
        .collect();
    let answers: Vec<_> = crowd.iter_mut().filter_map(answer).collect();
    let open = answers.iter().filter(|answer| answer.status == 101).count();
    assert!((10..100).contains(&open), "{open} of 150 were let in");
    let refusals: Vec<_> = answers.iter().filter(|answer| answer.status != 101).collect();
    assert!(refusals.iter().all(|refusal| refusal.status == 503), "{refusals:?}");
    let names_it = |refusal: &&Response| refusal.text().contains("raise `ulimit -n`; --max-connections is not");
    assert!(refusals.iter().any(names_it), "{refusals:?}");
    first.round_trip();
    first.send(&text("still here"));
    // Those who were let in hear it, and those who were not have made room when they are gone.
    drop(crowd);
    let mut late = loop {
        let mut client = Client::connect(server.address());
        let _ = client.stream().write_all(upgrade_request(server.address(), "/local/many").as_bytes());
        if client.try_response("GET").is_ok_and(|response| response.status == 101) {
            break client;
        }
    };
    first.send(&text("welcome"));
    late.expect_text("welcome");
}
