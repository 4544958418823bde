//! What the log says: who came and went and why, with addresses and options, and never what clients said to each other.

mod common;

use std::sync::{Mutex, OnceLock};

use common::client::Client;
use common::frame::{binary, close, continuation, ping, text};
use common::http::upgrade_request;
use common::process::Process;
use common::server::TestServer;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::process::Signal;

/// Something that occurs in what clients say and nowhere else.
const CANARY: &str = "canary-4b1d";

/// Everything that was logged in this program, whatever its level.
struct Lines(Mutex<Vec<(Level, String)>>);

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{}: {}", record.target(), record.args());
        self.0.lock().expect("no logger panics").push((record.level(), line));
    }

    fn flush(&self) {}
}

/// The program's logger, which all tests of this file share.
fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    let lines = LINES.get_or_init(|| Lines(Mutex::new(Vec::new())));
    if log::set_logger(lines).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
    lines
}

/// What was said up to this level about a client of this port.
fn lines_about(client: &str, level: Level) -> Vec<String> {
    let lines = lines().0.lock().expect("no logger panics");
    let is_about = |line: &str| line.contains(&format!("{client}:")) || line.contains(&format!("{client} "));
    lines.iter().filter(|(of, line)| *of <= level && is_about(line)).map(|(_, line)| line.clone()).collect()
}

fn local_address(client: &Client) -> String {
    client.stream().local_addr().expect("connected").to_string()
}

/// Says the canary in every way there is.
fn sing(server: std::net::SocketAddr) {
    let named = || Client::open(server, "/local/birds?echo=1&presence=1");
    let mut client = named();
    client.send(&text(CANARY));
    client.expect_text(CANARY);
    client.send(&binary(CANARY));
    client.expect_binary(CANARY);
    client.send(&text(CANARY).unfinished());
    client.send(&ping(CANARY));
    client.expect_pong(CANARY);
    client.send(&continuation(CANARY));
    client.expect_text(CANARY.repeat(2));
    client.send(&close(4000, CANARY));
    client.expect_close(4000);
    let bad = [CANARY.as_bytes(), &[0xFF]].concat();
    for frame in [text(&bad), text(CANARY).reserved(4), text(CANARY).unmasked(), continuation(CANARY)] {
        let mut client = named();
        client.send(&frame);
        client.expect_frame();
    }
    let mut client = named();
    client.send(&close(1000, &bad));
    client.expect_close(1007);
    for target in ["/webshare", "/"] {
        let mut client = Client::open(server, target);
        client.send(&text(format!(r#"{{"command":"{CANARY}","echo":"{CANARY}","body":"{CANARY}"}}"#)));
        client.any_text();
        client.send(&text(format!(r#"{{"command":"pair","body":{{"target":"{CANARY}"}}}}"#)));
        client.any_text();
        client.send(&text(format!("{CANARY}{{")));
        client.any_text();
    }
    for target in ["/pocket", "/pocket?room=birds&echo=1", "/"] {
        let mut client = Client::open(server, target);
        client.send(&text(CANARY));
        client.any_text();
        client.send(&text(format!(r#"{{"id":"{CANARY}"}}"#)));
        client.any_text();
        client.send(&binary(CANARY));
        client.expect_frame();
    }
    // Queries and headers may carry secrets too.
    for request in [
        upgrade_request(server, &format!("/local/birds?token={CANARY}")),
        upgrade_request(server, "/local/birds").replace("\r\n\r\n", &format!("\r\nAuthorization: {CANARY}\r\n\r\n")),
        upgrade_request(server, "/local/birds").replace("\r\n\r\n", &format!("\r\nCookie: {CANARY}\r\n\r\n")),
        format!("GET /{CANARY}\n HTTP/1.1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{CANARY}\r\n\r\n"),
    ] {
        let mut client = Client::connect(server);
        client.write(request.as_bytes());
        client.response();
    }
}

#[test]
fn payloads_are_not_logged() {
    lines();
    let server = TestServer::start();
    sing(server.address());
    server.expect_all_given_back();
    let lines = lines().0.lock().expect("no logger panics");
    assert!(!lines.is_empty(), "something is logged");
    for (level, line) in lines.iter().filter(|(level, _)| *level <= Level::Info) {
        assert!(!line.contains(CANARY), "{level}: {line}");
    }
}

#[test]
fn clients_come_and_go_with_their_reasons() {
    lines();
    let server = TestServer::with(|config| config.limits.max_message = 100);
    let mut client = server.client("/local/name");
    let address = local_address(&client);
    client.send(&close(1001, ""));
    client.expect_close(1001);
    server.expect_all_given_back();
    let said = lines_about(&address, Level::Info).join("\n");
    assert!(said.contains("/local/name"), "{said}");
    assert!(said.contains("1001"), "{said}");
    for (frame, words) in [
        (text([0xFF]), ["1007", "UTF-8"]),
        (text("x".repeat(101)), ["1009", "--max-message"]),
        (text("").reserved(1), ["1002", "reserved bit"]),
    ] {
        let mut client = server.client("/local/name");
        let address = local_address(&client);
        client.send(&frame);
        client.expect_frame();
        client.expect_end();
        let said = lines_about(&address, Level::Info).join("\n");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said:?}");
    }
    let client = server.client("/local/name");
    let address = local_address(&client);
    drop(client);
    server.expect_all_given_back();
    let said = lines_about(&address, Level::Info).join("\n");
    assert!(said.contains("without a closing handshake"), "{said}");
}

#[test]
fn refusals_are_logged_with_their_reason() {
    lines();
    let server = TestServer::start();
    for (request, word) in [
        (upgrade_request(server.address(), "/local/a").replace("127.0.0.1", "evil.example"), "--allow-host"),
        (
            upgrade_request(server.address(), "/local/a")
                .replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n"),
            "--allow-origin",
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "Host"),
    ] {
        let mut client = Client::connect(server.address());
        client.write(request.as_bytes());
        assert!(client.response().status >= 400);
        let said = lines_about(&local_address(&client), Level::Info).join("\n");
        assert!(said.contains(word), "{word} in {said:?}");
    }
}

/// T23, T32: what a client says cannot forge a line or move the cursor.
#[test]
fn t23_lines_cannot_be_forged() {
    lines();
    let server = TestServer::start();
    for bytes in [
        &b"GET /a\x1b[31mred HTTP/1.1\r\n\r\n"[..],
        b"GET /\xe2\x80\xae HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: local\x07host\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: \x1b]0;title\x07\r\n\r\n",
        b"BR\x1bEW / HTTP/1.1\r\n\r\n",
        b"\x1b[2J\x1b[H",
    ] {
        let mut client = Client::connect(server.address());
        client.write(bytes);
        client.response();
    }
    let mut client = server.client("/pocket");
    for words in [&b"\x1b[31m"[..], b"a\nb", "\u{202e}".as_bytes(), b"\r2026-01-01 root: owned", b"\0\x7f\xc2\x9b"] {
        for message in [text(words), binary(words)] {
            client.send(&message);
            client.any_text();
        }
    }
    drop(client);
    for reason in ["\u{1b}[31m", "a\nb", "\u{202e}", "\r2026-01-01 root: owned"] {
        let mut client = server.client("/local/a");
        client.send(&close(4000, reason));
        client.expect_close(4000);
    }
    server.expect_all_given_back();
    let lines = lines().0.lock().expect("no logger panics");
    for (level, line) in lines.iter() {
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{level}: {line:?}");
    }
}

#[test]
fn the_program_says_where_it_listens_and_who_comes_when_asked() {
    let program = Process::start(&["-v"]);
    let client = program.client("/local/name");
    let address = local_address(&client);
    client.close();
    sing(program.address());
    program.signal(Signal::TERM);
    let (status, output) = program.wait();
    assert!(status.success(), "{output}");
    assert!(output.contains(&address), "{output}");
    assert!(output.contains("/console"), "the console's address is shown:\n{output}");
    assert!(!output.contains(CANARY), "{output}");
    // Without -v nobody's coming and going is told.
    let program = Process::start(&[]);
    let client = program.client("/local/name");
    let address = local_address(&client);
    client.close();
    program.signal(Signal::TERM);
    let (_, output) = program.wait();
    assert!(!output.contains(&address), "{output}");
}

/// `-v` on a pocket room says who said how much, `-vv` what.
#[test]
fn pocket_messages_are_printed_when_asked() {
    const SONG: &str = r#"{"id":"1","message":"bird.song","data":"canary-4b1d"}"#;
    let said = |verbosity: &[&str]| {
        let program = Process::start(verbosity);
        let mut client = program.client("/pocket");
        let address = local_address(&client);
        client.send(&text(SONG));
        client.any_text();
        client.send(&binary([b'x'; 1000]));
        client.any_text();
        client.close();
        program.signal(Signal::TERM);
        let (_, output) = program.wait();
        let lines = output.lines().filter_map(|line| line.split_once(&format!("{address}: ")));
        lines.map(|(_, said)| said.to_owned()).collect::<Vec<_>>()
    };
    let sizes = [format!("{} bytes of text for the room", SONG.len()), "1000 bytes of binary for the room".to_owned()];
    let texts = [SONG.to_owned(), "x".repeat(200) + " …"];
    for (verbosity, says_size, says_what) in [(&[][..], false, false), (&["-v"], true, false), (&["-vv"], true, true)] {
        let said = said(verbosity);
        for (words, expected) in [(&sizes, says_size), (&texts, says_what)] {
            for words in words {
                assert_eq!(said.contains(words), expected, "{words:?} with {verbosity:?} in {said:#?}");
            }
        }
    }
}
