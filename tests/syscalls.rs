//! One read and one write, whatever the burst.

mod common;

use common::frame::{Frame, binary, ping, text};
use common::server::TestServer;
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
