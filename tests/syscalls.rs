//! One read and one write, whatever the burst: by the server's own counters, and by the kernel's word.
//!
//! What asks the kernel needs strace and runs only where `JACKFIELD_TEST_STRACE` is set.

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use common::DEADLINE;
use common::frame::{Frame, binary, ping, text};
use common::process::Process;
use common::server::{Metrics, TestServer};
use common::target::Target;

/// Reads and writes that the server makes while `clients[0]` sends all `frames` at once and the others receive them.
fn calls(server: &TestServer, members: usize, target: &str, frames: &[Frame]) -> (f64, f64) {
    let mut sender = server.client(target);
    let mut receivers: Vec<_> = (1..members).map(|_| server.client(target)).collect();
    if target.starts_with("/pocket") {
        // Everybody is told of those who came later.
        for (there, client) in (1..).zip([&mut sender].into_iter().chain(&mut receivers)) {
            (there..members).for_each(|_| drop(client.any_text()));
        }
    }
    let mut metrics = server.metrics();
    let before = metrics.read();
    sender.write(&frames.iter().flat_map(Frame::bytes).collect::<Vec<u8>>());
    for receiver in &mut receivers {
        for _ in frames {
            receiver.expect_frame();
        }
    }
    let after = metrics.read();
    let change = |name: &str| after[name] - before[name];
    // The observer's own question is one read; answers to requests are not counted as writes to receivers.
    (change("jackfield_reads_total") - 1.0, change("jackfield_writes_total"))
}

#[test]
fn a_burst_is_one_read_and_one_write_for_each_receiver() {
    let server = TestServer::start();
    for burst in [1, 2, 16, 64, 150] {
        let small: Vec<Frame> = (0..burst).map(|i| text(format!("message {i}"))).collect();
        assert_eq!(calls(&server, 2, "/local/pair", &small), (1.0, 1.0), "{burst} small messages");
        assert_eq!(calls(&server, 11, "/local/many", &small), (1.0, 10.0), "{burst} small messages to ten");
    }
    for burst in [1, 2, 16] {
        // Too long to be moved: as many slices as messages, still one write.
        let long: Vec<Frame> = (0..burst).map(|i| binary(vec![i as u8; 1500])).collect();
        assert_eq!(calls(&server, 2, "/local/pair", &long), (1.0, 1.0), "{burst} longer messages");
    }
}

#[test]
fn a_burst_for_a_target_is_one_write_to_it_and_one_of_answers() {
    let server = TestServer::with(|config| config.bridge_allow = vec!["127.0.0.1:1-65535".to_owned()]);
    let target = Target::listen();
    let mut metrics = server.metrics();
    for (path, answers) in [(format!("/tcp/127.0.0.1:{}", target.port()), false), ("/ws2s".to_owned(), true)] {
        let mut client = server.client(&path);
        if answers {
            client.send(&text(format!(r#"{{"command":"connect","host":"127.0.0.1","port":{}}}"#, target.port())));
            client.any_text();
        }
        let mut line = target.accept();
        for burst in [1, 2, 16, 64] {
            let before = metrics.read();
            let frames = (0..burst).flat_map(|number| match answers {
                true => text(format!(r#"{{"command":"send","data":"number {number}\n"}}"#)).bytes(),
                false => binary(format!("number {number}\n")).bytes(),
            });
            client.write(&frames.collect::<Vec<u8>>());
            (0..burst).for_each(|number| line.expect(format!("number {number}\n")));
            (0..if answers { burst } else { 0 }).for_each(|_| drop(client.any_text()));
            let after = metrics.read();
            let change = |name: &str| after[name] - before[name];
            assert_eq!(change("jackfield_reads_total") - 1.0, 1.0, "{burst} through {path}");
            assert_eq!(change("jackfield_writes_total"), if answers { 2.0 } else { 1.0 }, "{burst} through {path}");
            // And what comes back in one read leaves in one write.
            line.write("x".repeat(1000));
            assert_eq!(client.expect_frame().payload.iter().filter(|byte| **byte == b'x').count(), 1000);
            let last = metrics.read();
            assert_eq!(last["jackfield_writes_total"] - after["jackfield_writes_total"], 1.0, "{burst} through {path}");
        }
    }
}

#[test]
fn receipts_for_a_burst_are_one_more_write() {
    let server = TestServer::start();
    for burst in [1, 2, 16, 64] {
        let objects: Vec<Frame> = (0..burst).map(|i| text(format!(r#"{{"id":{i},"message":"a.b"}}"#))).collect();
        assert_eq!(calls(&server, 2, "/pocket?room=pair", &objects), (1.0, 2.0), "{burst} messages");
        assert_eq!(calls(&server, 11, "/pocket?room=many", &objects), (1.0, 11.0), "{burst} messages to ten");
        assert_eq!(calls(&server, 11, "/pocket?room=echo&echo=1", &objects), (1.0, 11.0), "{burst} messages to eleven");
    }
}

#[test]
fn pings_in_a_burst_are_answered_in_one_write() {
    let server = TestServer::start();
    let mut client = server.client("/local/alone");
    let mut metrics = server.metrics();
    let before = metrics.read();
    client.write(&ping("are you there").bytes().repeat(20));
    for _ in 0..20 {
        client.expect_pong("are you there");
    }
    let after = metrics.read();
    assert_eq!(after["jackfield_writes_total"] - before["jackfield_writes_total"], 1.0);
}

/// Every call with which the program can wait for sockets, read or write.
const CALLS: &str = "trace=epoll_wait,epoll_pwait,poll,ppoll,read,readv,recvfrom,recvmsg,recvmmsg,write,writev,sendto,\
                     sendmsg,sendmmsg,sendfile,splice";

/// Between two looks at a log that is being written.
const POLL_PAUSE: Duration = Duration::from_millis(1);

/// A frame that strace can show: its masking key changes nothing.
fn legible(frame: Frame) -> Vec<u8> {
    frame.key([0; 4]).bytes()
}

/// The log of strace; removed when dropped.
struct Log(PathBuf);

impl Log {
    fn new(name: &str) -> Self {
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.strace", std::process::id())))
    }

    /// The calls, each with its result, after the last that shows "before" and ahead of the first that shows "after".
    #[track_caller]
    fn between_the_marks(&self) -> Vec<(String, usize)> {
        let start = Instant::now();
        let log = loop {
            let log = fs::read_to_string(&self.0).expect("strace writes a log");
            if log.lines().any(|line| line.contains("after\"")) {
                break log;
            }
            assert!(start.elapsed() < DEADLINE, "the second mark is missing in:\n{log}");
            thread::sleep(POLL_PAUSE);
        };
        let lines: Vec<&str> = log.lines().take_while(|line| !line.contains("after\"")).collect();
        let mark = lines.iter().rposition(|line| line.contains("before\"")).expect("the first mark");
        let call = |line: &&str| {
            let (_, call) = line.split_once(' ')?;
            let (name, rest) = call.trim_start().split_once('(')?;
            let (_, result) = rest.rsplit_once(" = ")?;
            Some((name.to_owned(), result.parse().ok()?))
        };
        let parsed = |line| call(line).unwrap_or_else(|| panic!("{line}: no call that succeeded, in:\n{log}"));
        lines[mark + 1..].iter().map(parsed).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.0);
    }
}

/// The burst came in one read, and went in one write of `written` bytes to each of `receivers`; the program waited once
/// for it and once for what comes behind it.
#[track_caller]
fn expect_one_read_and_one_write(calls: &[(String, usize)], read: usize, written: usize, receivers: usize) {
    let shown = || format!("{calls:#?}");
    let (waits, others): (Vec<_>, Vec<_>) = calls.iter().partition(|(name, _)| name.contains("poll"));
    assert_eq!(waits.len(), 2, "{}", shown());
    let (first, rest) = others.split_first().expect("a read");
    assert_eq!((first.0.as_str(), first.1), ("recvfrom", read), "{}", shown());
    assert_eq!(rest.len(), receivers, "{}", shown());
    for (name, bytes) in rest {
        assert!(matches!(name.as_str(), "sendto" | "writev"), "{}", shown());
        assert_eq!(*bytes, written, "{}", shown());
    }
}

fn has_strace() -> bool {
    let has_strace = env::var_os("JACKFIELD_TEST_STRACE").is_some();
    if !has_strace {
        eprintln!("skipped: JACKFIELD_TEST_STRACE is not set");
    }
    has_strace
}

#[test]
fn the_kernel_sees_one_read_and_one_write_for_a_burst_to_a_channel() {
    if !has_strace() {
        return;
    }
    let payloads: Vec<String> = (10..74).map(|number| format!("message {number}")).collect();
    let burst: Vec<u8> = payloads.iter().flat_map(|payload| legible(text(payload))).collect();
    let written: usize = payloads.iter().map(|payload| 2 + payload.len()).sum();
    for members in [2, 11] {
        let log = Log::new(&format!("channel-{members}"));
        let process = Process::start_traced(&log.0, CALLS, &[]);
        let mut sender = process.client("/local/traced");
        let mut receivers: Vec<_> = (1..members).map(|_| process.client("/local/traced")).collect();
        sender.write(&legible(text("before")));
        receivers.iter_mut().for_each(|receiver| receiver.expect_text("before"));
        sender.write(&burst);
        for receiver in &mut receivers {
            payloads.iter().for_each(|payload| receiver.expect_text(payload));
        }
        sender.write(&legible(text("after")));
        receivers.iter_mut().for_each(|receiver| receiver.expect_text("after"));
        expect_one_read_and_one_write(&log.between_the_marks(), burst.len(), written, receivers.len());
    }
}

#[test]
fn the_kernel_sees_one_read_and_one_write_for_a_burst_to_a_target() {
    if !has_strace() {
        return;
    }
    let payloads: Vec<String> = (10..74).map(|number| format!("message {number}")).collect();
    let burst: Vec<u8> = payloads.iter().flat_map(|payload| legible(binary(payload))).collect();
    let target = Target::listen();
    let log = Log::new("target");
    let place = format!("127.0.0.1:{}", target.port());
    let process = Process::start_traced(&log.0, CALLS, &["--bridge-allow", &place]);
    let mut sender = process.client(&format!("/tcp/{place}"));
    let mut line = target.accept();
    line.write("hello");
    sender.expect_binary("hello");
    // What waited for the dial is read until nothing is left, which the answer to a later client shows to be over.
    let mut observer = Metrics::of(process.address());
    observer.read();
    sender.write(&legible(binary("before")));
    line.expect("before");
    sender.write(&burst);
    line.expect(payloads.concat());
    sender.write(&legible(binary("after")));
    line.expect("after");
    expect_one_read_and_one_write(&log.between_the_marks(), burst.len(), payloads.concat().len(), 1);
}
