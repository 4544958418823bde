//! Engine.IO 3 and 4 and Socket.IO as they go over the wire, through real sockets: what the protocols' documents and their
//! test suites say, and what they leave open to whoever means ill. What the plugin's events mean is tested elsewhere.

#[path = "../common/mod.rs"]
mod common;

mod bodies;
mod bounds;
mod browsers;
mod errors;
mod hostile;
mod protocol;
mod upgrades;

use std::collections::BTreeMap;
use std::time::Duration;

use common::engine::{Packet, Polling, Socket, binary, text};
use common::server::TestServer;

/// A heartbeat that a test can wait for: every 300 ms, and 200 ms of patience.
const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(200);

/// The timer wheel is this much late at most, and the machine a little.
const LATE: Duration = Duration::from_millis(100);

/// A server with a quick heartbeat.
#[track_caller]
fn quick() -> TestServer {
    TestServer::with(|config| {
        (config.limits.device_ping_interval, config.limits.device_ping_timeout) = (INTERVAL, TIMEOUT);
    })
}

/// Reproducible choices.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) as usize % limit
    }
}

/// Waits until the server holds this many requests.
#[track_caller]
fn held(server: &TestServer, count: usize) {
    let is_held = |values: &BTreeMap<String, f64>| values["jackfield_held_requests"] == count as f64;
    server.metrics().wait_for("requests to be held", is_held);
}

/// A namespace that does not exist, which is answered by name in either revision and whatever the plugin does: the way
/// to have the server say something numbered.
fn ask(number: usize) -> Packet {
    text(format!("40/{number},"))
}

/// The number of an answer to [`ask`]; `None` for anything else.
fn answered(packet: &Packet) -> Option<usize> {
    let Packet::Text(said) = packet else { return None };
    said.strip_prefix("44/")?.split_once(',')?.0.parse().ok()
}

/// The numbers of answers to [`ask`]. Anything else but a noop fails the test.
#[track_caller]
fn numbers(packets: &[Packet]) -> Vec<usize> {
    let number = |packet| answered(packet).unwrap_or_else(|| panic!("{packet:?}"));
    packets.iter().filter(|packet| **packet != text("6")).map(number).collect()
}

/// An event that `me` emits to itself: its number, its arguments, and what their placeholders stand for.
fn echo(me: &str, number: usize, arguments: &str, attachments: &[&[u8]]) -> Vec<Packet> {
    event(&format!(r#""P2P_EMIT","{me}","event {number}",[{arguments}],null"#), attachments)
}

/// What comes back.
fn echoed(number: usize, arguments: &str, attachments: &[&[u8]]) -> Vec<Packet> {
    event(&format!(r#""event {number}",{arguments}"#), attachments)
}

fn event(data: &str, attachments: &[&[u8]]) -> Vec<Packet> {
    let head = if attachments.is_empty() { "42".to_owned() } else { format!("45{}-", attachments.len()) };
    let event = text(format!("{head}[{data}]"));
    [event].into_iter().chain(attachments.iter().map(|bytes| binary(*bytes))).collect()
}

/// Something that packets are said to and heard from.
trait Line {
    fn me(&self) -> &str;
    fn say_all(&mut self, packets: &[Packet]);
    fn hear_all(&mut self, count: usize) -> Vec<Packet>;
}

impl Line for Polling {
    fn me(&self) -> &str {
        &self.me
    }

    #[track_caller]
    fn say_all(&mut self, packets: &[Packet]) {
        self.say(packets);
    }

    #[track_caller]
    fn hear_all(&mut self, count: usize) -> Vec<Packet> {
        (0..count).map(|_| self.hear()).collect()
    }
}

impl Line for Socket {
    fn me(&self) -> &str {
        &self.me
    }

    #[track_caller]
    fn say_all(&mut self, packets: &[Packet]) {
        packets.iter().for_each(|packet| self.say(packet));
    }

    #[track_caller]
    fn hear_all(&mut self, count: usize) -> Vec<Packet> {
        (0..count).map(|_| self.hear()).collect()
    }
}
