//! Thousands of Socket.IO devices at once, half of them polling: what they cost while they say nothing, whether an event
//! reaches each, and whether any is lost.
//!
//! Device n over a WebSocket emits to device n that polls, and back. Heartbeats are answered as clients do, so that a
//! session which the server forgets, or a packet which it loses, ends the run with an error.

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::Args;
use mio::{Events, Poll};

use crate::Outcome;
use crate::client::{Client, Phase};
use crate::frames::{self, Piece, opcode};
use crate::measure::{Usage, resident_bytes};
use crate::target::{Pinning, Program, Server};

/// Connections that are being opened at once: more would be turned away by the listener's queue.
const OPENING: usize = 200;

/// How long the server may be silent before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

const SEPARATOR: char = '\u{1e}';

/// Devices beside each other.
#[derive(Args, Clone, Debug)]
pub(crate) struct DevicesArgs {
    /// Devices that poll
    #[arg(long, default_value_t = 5000)]
    polling: usize,
    /// Devices over WebSockets
    #[arg(long, default_value_t = 5000)]
    websocket: usize,
    /// Seconds of silence to measure
    #[arg(long, default_value_t = 55.0, value_parser = crate::seconds)]
    seconds: f64,
    /// An argument for the server (repeatable)
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    server_arg: Vec<String>,
}

/// One device.
struct Device {
    client: Client,
    /// What has come of a response.
    response: Vec<u8>,
    /// The name of its session, while it polls.
    sid: Option<String>,
    has_joined: bool,
    /// The request under way is a POST.
    is_posting: bool,
    /// Packets to be posted once the request under way is answered.
    waiting: Vec<String>,
    events: usize,
}

/// All of them: first those that poll.
struct Crowd {
    poll: Poll,
    devices: Vec<Device>,
    polling: usize,
    host: String,
    joined: usize,
    events: usize,
    heartbeats: usize,
    key: u32,
}

impl DevicesArgs {
    /// Opens them, measures them, lets them talk, and prints what that came to.
    pub(crate) fn run(&self) -> Outcome<()> {
        let pinning = Pinning::Apart.apply();
        let server = Server::start(&Program::Jackfield, &self.server_arg, false, pinning)?;
        let empty = resident_bytes(server.pid())?;
        let mut crowd = Crowd {
            poll: Poll::new()?,
            devices: Vec::new(),
            polling: self.polling,
            host: server.url.address.to_string(),
            joined: 0,
            events: 0,
            heartbeats: 0,
            key: 1,
        };
        let (total, start) = (self.polling + self.websocket, Instant::now());
        let opening = Usage::of(server.pid())?;
        while crowd.joined < total {
            while crowd.devices.len() < total && crowd.devices.len() - crowd.joined < OPENING {
                crowd.open(&server)?;
            }
            crowd.turn(start + PATIENCE)?;
        }
        let opened = Usage::of(server.pid())?.since(&opening);
        let resident = resident_bytes(server.pid())?;
        let (before, heartbeats) = (Usage::of(server.pid())?, crowd.heartbeats);
        let end = Instant::now() + Duration::from_secs_f64(self.seconds);
        while Instant::now() < end {
            crowd.turn_until(end)?;
        }
        let silent = Usage::of(server.pid())?.since(&before);
        let heartbeats = crowd.heartbeats - heartbeats;

        let (before, start) = (Usage::of(server.pid())?, Instant::now());
        let pairs = self.polling.min(self.websocket);
        for pair in 0..pairs {
            crowd.emit(self.polling + pair, pair)?;
            crowd.emit(pair, self.polling + pair)?;
        }
        while crowd.events < 2 * pairs {
            crowd.turn(start + PATIENCE)?;
        }
        let talked = Usage::of(server.pid())?.since(&before);
        let after = resident_bytes(server.pid())?;

        println!("{} devices polling and {} over WebSockets, none lost", self.polling, self.websocket);
        println!(
            "  opened in {:.1} s, {:.0} µs of server CPU each",
            start_seconds(&opened),
            each(opened.cpu_seconds, total)
        );
        println!(
            "  {:.0} resident bytes each, {:.0} after all have talked",
            (resident - empty) as f64 / total as f64,
            (after.saturating_sub(empty)) as f64 / total as f64
        );
        println!(
            "  silent for {} s: {:.2} % of a core, {heartbeats} heartbeats, {:.1} µs of server CPU each",
            self.seconds,
            silent.cpu_share * 100.0,
            each(silent.cpu_seconds, heartbeats)
        );
        println!(
            "  {} events between the two halves: {:.1} µs of server CPU each",
            2 * pairs,
            each(talked.cpu_seconds, 2 * pairs)
        );
        Ok(())
    }
}

fn start_seconds(used: &crate::measure::Used) -> f64 {
    used.cpu_seconds / used.cpu_share
}

/// Microseconds.
fn each(seconds: f64, count: usize) -> f64 {
    seconds * 1e6 / count.max(1) as f64
}

impl Crowd {
    fn open(&mut self, server: &Server) -> Outcome<()> {
        let at = self.devices.len();
        let number = u32::try_from(at)?;
        let client = Client::connect(server.url.address, number, self.poll.registry(), at)?;
        self.devices.push(Device {
            client,
            response: Vec::new(),
            sid: None,
            has_joined: false,
            is_posting: false,
            waiting: Vec::new(),
            events: 0,
        });
        Ok(())
    }

    /// Handles what comes by `deadline`, which is an error to reach.
    fn turn(&mut self, deadline: Instant) -> Outcome<()> {
        self.turn_until(deadline)?;
        if Instant::now() >= deadline {
            let (joined, events) = (self.joined, self.events);
            return Err(format!("the server is silent: {joined} joined, {events} events").into());
        }
        Ok(())
    }

    fn turn_until(&mut self, deadline: Instant) -> Outcome<()> {
        let mut events = Events::with_capacity(1024);
        self.poll.poll(&mut events, Some(deadline.saturating_duration_since(Instant::now())))?;
        for event in &events {
            let at = event.token().0;
            if self.devices[at].client.is_connected_by(event)? {
                self.greet(at)?;
            }
            self.devices[at].client.flush()?;
            let mut scratch = [0; 16 * 1024];
            while let Some(read) = self.devices[at].client.read(&mut scratch)? {
                if read == 0 {
                    return Err(format!("the server closed device {at}").into());
                }
                self.on_bytes(at, &scratch[..read])?;
            }
        }
        Ok(())
    }

    fn greet(&mut self, at: usize) -> Outcome<()> {
        if at < self.polling {
            let path = format!("/socket.io/?EIO=4&transport=polling&clientId=poll-{at}");
            return self.get(at, &path);
        }
        let path = format!("/socket.io/?EIO=4&transport=websocket&clientId=ws-{}", at - self.polling);
        Ok(self.devices[at].client.request(&self.host, &path)?)
    }

    fn get(&mut self, at: usize, path: &str) -> Outcome<()> {
        let client = &mut self.devices[at].client;
        write!(client.out, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host)?;
        Ok(client.flush()?)
    }

    fn on_bytes(&mut self, at: usize, mut bytes: &[u8]) -> Outcome<()> {
        if at < self.polling {
            self.devices[at].response.extend_from_slice(bytes);
            while let Some(body) = take_response(&mut self.devices[at].response)? {
                self.on_response(at, &body)?;
            }
            return Ok(());
        }
        if !matches!(self.devices[at].client.phase, Phase::Open) && !self.devices[at].client.on_answer(&mut bytes)? {
            return Ok(());
        }
        loop {
            let text = match self.devices[at].client.reader.next(&mut bytes)? {
                None => return Ok(()),
                // Our packets are short and never cut.
                Some(Piece::Data { is_text: true, at: 0, bytes, is_last: true }) => String::from_utf8(bytes.to_vec())?,
                Some(piece) => return Err(format!("device {at} got {piece:?}").into()),
            };
            if let Some(answer) = self.on_packet(at, &text)? {
                self.say(at, &answer)?;
            }
        }
    }

    /// A request of a device that polls is answered; it makes the next.
    fn on_response(&mut self, at: usize, body: &str) -> Outcome<()> {
        if std::mem::take(&mut self.devices[at].is_posting) {
            if body != "ok" {
                return Err(format!("a POST of device {at} was answered {body}").into());
            }
        } else {
            for packet in body.split(SEPARATOR) {
                if let Some(answer) = self.on_packet(at, packet)? {
                    self.devices[at].waiting.push(answer);
                }
            }
        }
        self.next_request(at)
    }

    /// What waits is posted; else the device polls.
    fn next_request(&mut self, at: usize) -> Outcome<()> {
        let device = &mut self.devices[at];
        let sid = device.sid.as_deref().ok_or("a session has a name")?;
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        if device.waiting.is_empty() {
            return self.get(at, &path);
        }
        device.is_posting = true;
        let body = std::mem::take(&mut device.waiting).join(&SEPARATOR.to_string());
        let (len, host, client) = (body.len(), &self.host, &mut device.client);
        write!(client.out, "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len}\r\n\r\n{body}")?;
        Ok(client.flush()?)
    }

    /// Handles a packet; answers what is to be said to it.
    fn on_packet(&mut self, at: usize, packet: &str) -> Outcome<Option<String>> {
        let device = &mut self.devices[at];
        if let Some(open) = packet.strip_prefix('0') {
            let open: serde_json::Value = serde_json::from_str(open)?;
            device.sid = open["sid"].as_str().map(str::to_owned);
            return Ok(Some("40".to_owned()));
        }
        if packet.starts_with("40{") && !device.has_joined {
            device.has_joined = true;
            self.joined += 1;
            return Ok(None);
        }
        if packet == "2" {
            self.heartbeats += 1;
            return Ok(Some("3".to_owned()));
        }
        if packet == r#"42["m",1]"# && device.events == 0 {
            device.events += 1;
            self.events += 1;
            return Ok(None);
        }
        Err(format!("device {at} got {packet:?}").into())
    }

    /// One device emits to another.
    fn emit(&mut self, from: usize, to: usize) -> Outcome<()> {
        let to = if to < self.polling { format!("poll-{to}") } else { format!("ws-{}", to - self.polling) };
        let packet = format!(r#"42["P2P_EMIT","{to}","m",[1],null]"#);
        if from >= self.polling {
            return self.say(from, &packet);
        }
        // Its poll is held; the packet goes over a second connection, as clients do it.
        let device = &self.devices[from];
        let sid = device.sid.as_deref().ok_or("a session has a name")?;
        let mut post = std::net::TcpStream::connect(&self.host)?;
        write!(
            post,
            "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{packet}",
            self.host,
            packet.len()
        )?;
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut post, &mut answer)?;
        if answer.ends_with("ok") { Ok(()) } else { Err(format!("a POST was answered {answer}").into()) }
    }

    fn say(&mut self, at: usize, text: &str) -> Outcome<()> {
        self.key = self.key.wrapping_mul(0x9E37_79B1).wrapping_add(1);
        let client = &mut self.devices[at].client;
        frames::append(&mut client.out, opcode::TEXT, Some(self.key), text.len(), |out| {
            out.extend_from_slice(text.as_bytes());
        });
        Ok(client.flush()?)
    }
}

/// Takes a whole response off the front and returns its body.
fn take_response(received: &mut Vec<u8>) -> Outcome<Option<String>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(received)? else { return Ok(None) };
    let is_length = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("content-length");
    let length = response.headers.iter().find(is_length).ok_or("a response has a length")?;
    let end = head + std::str::from_utf8(length.value)?.parse::<usize>()?;
    if received.len() < end {
        return Ok(None);
    }
    let body = String::from_utf8(received[head..end].to_vec())?;
    if response.code != Some(200) {
        return Err(format!("a request was answered {:?}: {body}", response.code).into());
    }
    received.drain(..end);
    Ok(Some(body))
}
