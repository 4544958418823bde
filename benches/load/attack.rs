//! Honest pairs beside an attacker who holds thousands of sockets: what the pairs notice of it, what memory the server
//! takes, and what it refused.
//!
//! The attacker has four equal parts, each of which goes on for as long as it is let: heads that never end; messages of
//! tiny fragments, byte by byte, each byte a segment; messages that claim a mebibyte and dribble; and clients that read
//! nothing of what floods their channel or comes from their partner. Whoever writes and is cut off comes back; who only
//! reads does not notice. All of it is
//! done between the turns of the pairs' own loop, in shares of some ten microseconds, so that the pairs' figures are the
//! server's doing and not a second thread's; half of the pairs relay on a name, half over WebShare.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use socket2::{Domain, Socket, Type};

use crate::Outcome;
use crate::dialect::Dialect;
use crate::load::{Load, Plan};
use crate::measure::{Percentiles, Usage, histogram, resident_bytes, resident_roughly};
use crate::payload::Content;
use crate::target::{Pinning, Program, Server};

/// How long one half of the pairs relays before the other does.
const SLICE: Duration = Duration::from_millis(250);

/// How long a share of the attack waits for the next.
const SHARE: Duration = Duration::from_micros(400);

/// How often memory is looked at, and every how many times the server is asked for its own figures, which it gathers from all
/// its connections while we wait.
const WATCH: Duration = Duration::from_millis(250);
const WATCHES_PER_METRICS: usize = 8;

/// How long the loop rests where nothing is to be done.
const NAP: Duration = Duration::from_micros(20);

/// Sockets that are written to in one share.
const WRITES: usize = 4;

/// Deaf members of one channel.
const DEAF: usize = 100;

/// An attack on honest pairs.
#[derive(Args, Clone, Debug)]
pub(crate) struct AttackArgs {
    /// Honest pairs
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Messages per second of all pairs together
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    /// The attacker's sockets
    #[arg(long, default_value_t = 10_000)]
    sockets: usize,
    /// Seconds of each phase
    #[arg(long, default_value_t = 12.0, value_parser = crate::seconds)]
    seconds: f64,
    /// The server's --max-memory
    #[arg(long, default_value = "64MiB")]
    max_memory: String,
    /// Bytes of each message to those who read nothing: a channel of a hundred gets a hundred times as many
    #[arg(long, default_value = "16K", value_parser = crate::size)]
    flood: usize,
    /// A server to start: jackfield, or a path
    #[arg(long, value_name = "PROGRAM", default_value = "jackfield")]
    server: Program,
    /// An argument for the server (repeatable)
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    server_arg: Vec<String>,
}

/// What one phase showed.
struct Phase {
    latency: Percentiles,
    cpu_share: f64,
    resident: u64,
    account: u64,
}

impl AttackArgs {
    /// Measures the pairs alone, twice, then while the attackers come, then beside them, and prints what that came to.
    pub(crate) fn run(&self) -> Outcome<()> {
        make_room(self.sockets + 4 * self.pairs)?;
        let pinning = Pinning::Apart.apply();
        let mut arguments = vec!["--max-memory".to_owned(), self.max_memory.clone()];
        arguments.extend_from_slice(&self.server_arg);
        let server = Server::start(&self.server, &arguments, false, pinning)?;
        let empty = resident_bytes(server.pid())?;
        let open = |dialect, content| {
            Load::open(Plan {
                url: server.url.clone(),
                dialect,
                groups: self.pairs.div_ceil(2),
                members: 2,
                content,
                size: 125,
                window: 1,
                rate: Some(self.rate),
                ramp: None,
                idle: 0,
                spin: false,
            })
        };
        let mut pairs = [open(Dialect::Named, Content::Binary)?, open(Dialect::Webshare, Content::Ascii)?];
        let mut attack = Attack::new(server.url.address, server.pid(), self.flood);
        let time = Duration::from_secs_f64(self.seconds);
        self.phase(&mut pairs, &mut attack, &server, Duration::from_secs(1))?;
        let quiet = self.phase(&mut pairs, &mut attack, &server, time)?;
        let again = self.phase(&mut pairs, &mut attack, &server, time)?;
        attack.size = self.sockets;
        let coming = self.phase(&mut pairs, &mut attack, &server, time)?;
        let beside = self.phase(&mut pairs, &mut attack, &server, time)?;
        let values = attack.metrics()?;
        let value = |name: &str| values.get(name).copied().unwrap_or(0.0);
        let survivors = value("jackfield_connections") - (4 * self.pairs.div_ceil(2)) as f64 - 1.0;

        println!(
            "{} pairs, {} messages/s of 125 B, beside {} hostile sockets; --max-memory {}",
            2 * self.pairs.div_ceil(2),
            self.rate,
            self.sockets,
            self.max_memory
        );
        println!("  phase             p50 µs   p99 µs  p99.9 µs  × quiet (p50, p99)  server CPU  resident  account");
        for (name, phase) in
            [("quiet", &quiet), ("quiet again", &again), ("while they come", &coming), ("beside", &beside)]
        {
            println!(
                "  {name:16} {:7.0}  {:7.0}   {:7.0}      {:5.2}, {:5.2}       {:5.1} %  {:5.1} MiB  {:5.1} MiB",
                phase.latency.p50,
                phase.latency.p99,
                phase.latency.p99_9,
                phase.latency.p50 / quiet.latency.p50,
                phase.latency.p99 / quiet.latency.p99,
                phase.cpu_share * 100.0,
                mebibytes(phase.resident),
                mebibytes(phase.account)
            );
        }
        println!("  the empty server: {:.1} MiB; no pair lost a message", mebibytes(empty));
        println!(
            "  {survivors} hostile sockets are there; {} were opened in all, {} cut off and opened anew",
            attack.opened, attack.lost
        );
        println!("  shed {}, too slow {}", value("jackfield_shed_total"), value("jackfield_too_slow_total"));
        for (name, count) in values.iter().filter(|(name, _)| name.starts_with("jackfield_refused_total")) {
            println!("  {name} {count}");
        }
        Ok(())
    }

    /// Lets the halves take turns for so long.
    fn phase(&self, pairs: &mut [Load; 2], attack: &mut Attack, server: &Server, time: Duration) -> Outcome<Phase> {
        let (mut latency, before, start): (Histogram<u64>, _, _) =
            (histogram(), Usage::of(server.pid())?, Instant::now());
        (attack.resident, attack.account) = (0, 0);
        for slice in 0.. {
            if start.elapsed() >= time {
                break;
            }
            let load = &mut pairs[slice % 2];
            let mut tally = load.run_beside(SLICE, |now| attack.share(now))?;
            load.finish(&mut tally)?;
            latency.add(&tally.latency)?;
        }
        let used = Usage::of(server.pid())?.since(&before);
        Ok(Phase {
            latency: Percentiles::of(&latency),
            cpu_share: used.cpu_share,
            resident: attack.resident,
            account: attack.account,
        })
    }
}

/// Has the system make room for so many descriptors now: each time that it doubles the table of a process with threads it takes
/// ten milliseconds, which would be found in the figures.
fn make_room(descriptors: usize) -> Outcome<()> {
    let highest = i32::try_from(descriptors)?;
    drop(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), highest)?);
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What a hostile socket does.
#[derive(Clone, Copy, Debug)]
enum Class {
    SlowHead,
    Fragments,
    Promise,
    /// Reads nothing of what comes on its channel; `true` fills it.
    Deaf(bool),
}

/// One of them.
struct Hostile {
    stream: TcpStream,
    class: Class,
    /// Bytes written since the first ones.
    written: usize,
}

/// All of them, and what is watched meanwhile.
struct Attack {
    to: SocketAddr,
    pid: u32,
    /// How many there are to be.
    size: usize,
    sockets: Vec<Hostile>,
    /// Whose turn it is.
    at: usize,
    next: Option<Instant>,
    watched: Option<Instant>,
    watches: usize,
    metrics: Option<TcpStream>,
    opened: usize,
    lost: usize,
    /// The most of this phase, in bytes.
    resident: u64,
    account: u64,
    /// Those that fill channels, and whose turn it is.
    flooders: Vec<usize>,
    flooding: usize,
    flood: Vec<u8>,
}

impl Attack {
    fn new(to: SocketAddr, pid: u32, flood: usize) -> Self {
        Self {
            to,
            pid,
            size: 0,
            sockets: Vec::new(),
            at: 0,
            next: None,
            watched: None,
            watches: 0,
            metrics: None,
            opened: 0,
            lost: 0,
            resident: 0,
            account: 0,
            flooders: Vec::new(),
            flooding: 0,
            flood: [frame(0x82, flood), vec![0; flood]].concat(),
        }
    }

    /// A little more of it, if it is time.
    fn share(&mut self, now: Instant) -> Outcome<()> {
        if self.next.is_some_and(|next| now < next) {
            // The loop never sleeps by itself. Whoever shares the core, or the scheduler, would take its time in one piece.
            std::thread::sleep(NAP);
            return Ok(());
        }
        self.next = Some(now + SHARE);
        if self.watched.is_none_or(|at| now - at >= WATCH) {
            self.watched = Some(now);
            return self.watch();
        }
        if self.sockets.len() < self.size {
            let hostile = self.open(self.sockets.len())?;
            if let Class::Deaf(true) = hostile.class {
                self.flooders.push(self.sockets.len());
            }
            self.sockets.push(hostile);
            return Ok(());
        }
        for _ in 0..WRITES.min(self.sockets.len()) {
            self.at = (self.at + 1) % self.sockets.len();
            self.go_on_or_come_back(self.at)?;
        }
        if let Some(&flooder) = self.flooders.get(self.flooding) {
            self.flooding = (self.flooding + 1) % self.flooders.len();
            self.go_on_or_come_back(flooder)?;
        }
        Ok(())
    }

    fn go_on_or_come_back(&mut self, at: usize) -> Outcome<()> {
        if !self.go_on(at) {
            self.lost += 1;
            self.sockets[at] = self.open(at)?;
        }
        Ok(())
    }

    /// The next bytes of a socket. Whether it is still there, as far as can be seen.
    fn go_on(&mut self, at: usize) -> bool {
        let hostile = &mut self.sockets[at];
        let bytes: &[u8] = match hostile.class {
            Class::SlowHead => b"x",
            // A fragment of one byte, a byte at a time.
            Class::Fragments => {
                let fragment = [0x00, 0x81, 0, 0, 0, 0, b'x'];
                let place = hostile.written % fragment.len();
                &[fragment[place]][..]
            }
            Class::Promise => &[1; 600],
            Class::Deaf(true) => &self.flood[hostile.written % self.flood.len()..],
            Class::Deaf(false) => return true,
        };
        match hostile.stream.write(bytes) {
            Ok(written) => hostile.written += written,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        true
    }

    fn open(&mut self, number: usize) -> Outcome<Hostile> {
        self.opened += 1;
        let (class, path) = match number % 4 {
            0 => (Class::SlowHead, String::new()),
            1 => (Class::Fragments, format!("/local/f{number}")),
            2 => (Class::Promise, format!("/local/p{number}")),
            // Pairs and channels by turns.
            _ if number % 8 == 3 => (Class::Deaf(number % 16 == 3), format!("/local/d{}", number / 16)),
            _ => {
                let (channel, member) = (number / 8 / DEAF, number / 8 % DEAF);
                (Class::Deaf(member == 0), format!("/local/c{channel}"))
            }
        };
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if let Class::Deaf(false) = class {
            socket.set_recv_buffer_size(4096)?;
        }
        let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 2, 0)) + (number % 250) as u32);
        socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into())?;
        socket.set_tcp_nodelay(true)?;
        socket.connect(&self.to.into())?;
        socket.set_nonblocking(true)?;
        let mut stream = TcpStream::from(socket);
        let mut first = match class {
            Class::SlowHead => b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_vec(),
            _ => format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            .into_bytes(),
        };
        match class {
            Class::Fragments => first.extend_from_slice(&[0x01, 0x81, 0, 0, 0, 0, b'x']),
            Class::Promise => {
                first.extend_from_slice(&frame(0x82, 1 << 20));
                first.extend_from_slice(&[1; 3000]);
            }
            Class::SlowHead | Class::Deaf(_) => {}
        }
        // Refused at once, it is noticed when it writes again.
        let _ = stream.write(&first);
        Ok(Hostile { stream, class, written: 0 })
    }

    /// Notes what memory is taken.
    fn watch(&mut self) -> Outcome<()> {
        self.resident = self.resident.max(resident_roughly(self.pid)?);
        self.watches += 1;
        if !self.watches.is_multiple_of(WATCHES_PER_METRICS) {
            return Ok(());
        }
        if let Some(account) = self.metrics()?.get("jackfield_memory_bytes") {
            self.account = self.account.max(*account as u64);
        }
        Ok(())
    }

    /// The server's own figures.
    fn metrics(&mut self) -> Outcome<BTreeMap<String, f64>> {
        let mut stream = match self.metrics.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.to)?,
        };
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut answer = Vec::new();
        let body = loop {
            let mut piece = [0; 16 * 1024];
            let read = stream.read(&mut piece)?;
            if read == 0 {
                return Err("the server closed the connection for its figures".into());
            }
            answer.extend_from_slice(&piece[..read]);
            let text = std::str::from_utf8(&answer)?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() == length.ok_or("an answer has a length")? {
                break body.to_owned();
            }
        };
        self.metrics = Some(stream);
        let value =
            |line: &str| line.rsplit_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Ok(body.lines().filter(|line| !line.starts_with('#')).filter_map(value).collect())
    }
}

/// The header of a client's frame of so many bytes, with a key that changes nothing.
fn frame(first: u8, len: usize) -> Vec<u8> {
    let mut header = vec![first];
    // In the shortest form only (RFC 6455 §5.2).
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..126), _) => header.push(0x80 | len),
        (_, Ok(len)) => {
            header.push(0x80 | 126);
            header.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    header.extend_from_slice(&[0; 4]);
    header
}
