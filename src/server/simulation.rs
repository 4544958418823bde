//! A whole server without sockets, clocks and threads, for tests and fuzzing: clients are [lines](crate::net::simulated) in
//! memory, time is what it is told. Layer 3, and only in builds that check themselves (debug assertions).
//!
//! It is the server of [`super::Server`] behind the same loop: [`Simulation::turn`] hands out readiness where
//! [`Reactor::run`](crate::net::reactor::Reactor::run) would have polled for it. What is not simulated: the bridge and links,
//! which dial the system's network, so configurations must have neither targets nor peers; and keys come from the system's
//! generator, so nothing may depend on what they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::Token;

use super::StartError;
use super::control::{Controls, WAKER};
use super::exchange::{Exchange, FIRST_LISTENER};
use super::spread::Spread;
use crate::config::{Config, Listen, Root};
use crate::net::listener::Listener;
use crate::net::reactor::{Reactor, Readiness};
use crate::net::simulated::{Door, Line};

pub use crate::net::simulated::ClientEnd;

/// Connections at once, where the configuration sets no bound: there are no descriptors that would.
const MAX_CONNECTIONS: usize = 10_000;

/// When it begins, in seconds of the wall clock since 1970.
const BEGINNING_SECONDS: u64 = 1_800_000_000;

/// A server whose world is in memory.
pub struct Simulation {
    reactor: Reactor,
    exchange: Exchange,
    doors: Vec<Arc<Door>>,
    lines: Vec<Arc<Line>>,
    now: Instant,
    wall: SystemTime,
    is_over: bool,
}

impl Simulation {
    /// A server that listens where `config` says, as far as it can tell.
    ///
    /// # Errors
    /// As [`super::Server::bind`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        let mut reactor = Reactor::new().map_err(StartError::System)?;
        let turn = reactor.turn();
        let controls = Controls::new(&turn.registry).map_err(StartError::System)?;
        let now = turn.now;
        let first_admin = config.listen.len();
        let admins = config.admin.iter().map(|address| Listen::new(*address, Root::Auto));
        let (mut doors, mut listeners) = (Vec::new(), Vec::new());
        for listen in config.listen.iter().copied().chain(admins) {
            let door = Arc::new(Door::default());
            doors.push(Arc::clone(&door));
            listeners.push((Listener::simulated(listen.address, door), listen));
        }
        let most = config.limits.max_connections;
        let max_connections = if most == 0 { MAX_CONNECTIONS } else { most };
        let mut exchange = Exchange::new(config, listeners, first_admin, controls, max_connections, now)?;
        exchange.spread = Spread::without_clock();
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(BEGINNING_SECONDS);
        Ok(Self { reactor, exchange, doors, lines: Vec::new(), now, wall, is_over: false })
    }

    /// A client from `peer` comes to a listener: its number in the configuration, administrators' behind the others.
    pub fn connect(&mut self, listener: usize, peer: SocketAddr) -> ClientEnd {
        let client = self.doors[listener].knock(peer);
        self.lines.push(client.line());
        client
    }

    /// One turn of the loop: everything that is new is handed out, the lines' from the `first`-th on and round. Whether
    /// there was anything to do.
    pub fn turn(&mut self, first: usize) -> bool {
        let is_due = self.reactor.patience().is_some_and(|patience| patience.is_zero());
        let mut ready = self.news(first);
        if ready.is_empty() && !is_due || self.is_over {
            return false;
        }
        self.hand_out(ready.drain(..));
        true
    }

    /// Turns until there is nothing to do, at most `most` of them: how many it took.
    pub fn settle(&mut self, most: usize) -> usize {
        (0..most).find(|first| !self.turn(*first)).unwrap_or(most)
    }

    /// Time passes, as it does for a loop that is awake whenever it should be: each deadline is seen when it comes.
    pub fn advance(&mut self, span: Duration, most_turns: usize) {
        let end = self.now + span;
        while let Some(patience) = self.reactor.patience().filter(|patience| self.now + *patience <= end) {
            self.pass(patience);
            self.hand_out(std::iter::empty());
            self.settle(most_turns);
            if self.is_over {
                return;
            }
        }
        self.jump(end - self.now);
    }

    /// Time passes at once, as it does for a machine that slept.
    pub fn jump(&mut self, span: Duration) {
        self.pass(span);
        if !self.is_over {
            self.hand_out(std::iter::empty());
        }
    }

    /// As [`super::Handle::stop`].
    pub fn stop(&mut self) {
        self.exchange.controls.handle().stop();
        let order = Readiness { token: WAKER, is_readable: true, is_writable: false, has_ended: false };
        if !self.is_over {
            self.hand_out([order].into_iter());
        }
    }

    /// Whether the loop has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The time until which the loop would sleep if nothing came; `None`: for ever.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        self.reactor.patience()
    }

    /// Bytes that clients make the server remember.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.exchange.memory.used()
    }

    /// The most that waits for one client, in bytes.
    #[must_use]
    pub fn most_queued(&self) -> usize {
        let Exchange { conns, polling, .. } = &self.exchange;
        let sockets = conns.iter().map(|(_, conn)| conn.socket.weight());
        sockets.chain(polling.weights().map(|(bytes, _)| bytes)).max().unwrap_or(0)
    }

    /// The most that one client has begun and not finished, or that was not looked at yet, in bytes.
    #[must_use]
    pub fn most_unfinished(&self) -> usize {
        let Exchange { conns, polling, .. } = &self.exchange;
        let held = conns.iter().map(|(id, conn)| conn.held() - conn.socket.weight() + polling.body_weight(id as u32));
        held.max().unwrap_or(0)
    }

    /// What the server has of each kind of thing that comes and goes with clients. When all of them have gone and enough
    /// time has passed, all of it is zero.
    #[must_use]
    pub fn holdings(&self) -> Vec<(&'static str, usize)> {
        self.exchange.holdings()
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        self.wall += span;
    }

    fn hand_out(&mut self, ready: impl Iterator<Item = Readiness>) {
        self.is_over |= !self.reactor.hand_out((self.now, self.wall), ready, &mut self.exchange);
        if self.is_over {
            self.exchange.conns.clear();
        }
    }

    fn news(&mut self, first: usize) -> Vec<Readiness> {
        let waiting = self.doors.iter().enumerate().filter(|(_, door)| !door.is_empty());
        let token = |number| Token(FIRST_LISTENER + number);
        let knocks = waiting.map(|(number, _)| Readiness {
            token: token(number),
            is_readable: true,
            is_writable: false,
            has_ended: false,
        });
        let mut news: Vec<Readiness> = knocks.collect();
        self.lines.retain(|line| !line.is_server_gone());
        let (before, behind) = self.lines.split_at(first % self.lines.len().max(1));
        news.extend(behind.iter().chain(before).filter_map(|line| line.readiness()));
        news
    }
}

impl Exchange {
    fn holdings(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("connections", self.conns.len()),
            ("sessions", self.sessions.len()),
            ("outlets", self.outlets.count()),
            ("bridges", self.bridges.count()),
            ("dials", self.dials.len()),
            ("bridged addresses", self.bridged.total()),
            ("counted addresses", self.census.total()),
            ("mailboxes", self.polling.len()),
            ("requests held", self.polling.held()),
            ("addresses that poll", self.polling.most_of_one()),
            ("alarms", self.alarms.len()),
            ("stalled", self.stalled()),
            ("waiting", self.waiting.len()),
            ("deeds", self.deeds.len()),
            ("failures", self.failures.len()),
            ("memory", self.memory.used()),
            ("keys", self.hub.pairs.len()),
            ("channels", self.hub.channels.len()),
            ("devices", self.hub.devices.len()),
            ("channels with peers", usize::from(!self.hub.peers.is_clear())),
            ("relations of devices", usize::from(!self.hub.devices.is_clear())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::conn::Behind;
    use super::*;
    use crate::config::LanMode;

    fn open(server: &mut Simulation, target: &str) -> ClientEnd {
        open_with(server, target, "")
    }

    fn open_with(server: &mut Simulation, target: &str, fields: &str) -> ClientEnd {
        let mut client = server.connect(0, SocketAddr::from(([127, 0, 0, 1], 1)));
        client.set_room(1 << 20);
        let request = "HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
        client.write(format!("GET {target} {request}{fields}\r\n").as_bytes());
        server.settle(1000);
        assert!(client.read(4096).starts_with(b"HTTP/1.1 101 "));
        client
    }

    fn frame(len: u16) -> Vec<u8> {
        [&[0x82, 0xfe][..], &len.to_be_bytes(), &[0; 4 + 65_535][..4 + usize::from(len)]].concat()
    }

    /// Of several that were put off, all with the same number of bytes waiting, the last speaks to nobody and waits for the
    /// one before it, as only sessions that both talk to one and are one of many do.
    fn waits_for_one_that_was_put_off() -> (Simulation, Vec<ClientEnd>) {
        let mut config = Config::default();
        (config.limits.queue_high, config.limits.max_queue) = (10_000, 15_000);
        let mut server = Simulation::new(config).expect("a good configuration");
        let mut members: Vec<_> = (0..10).map(|_| open(&mut server, "/local/crowd")).collect();
        members[0].write(&frame(20_000));
        server.turn(0);
        server.exchange.pause(9, Behind::socket(8));
        assert_eq!(members[8].unread(), 0, "it was not put off");
        (server, members)
    }

    #[test]
    fn whoever_waits_for_one_that_was_put_off_is_heard_again() {
        let (mut server, mut members) = waits_for_one_that_was_put_off();
        server.settle(1000);
        members[9].write(&frame(200));
        server.settle(1000);
        assert_eq!(members[8].unread(), 20_004 + 204);
    }

    /// A server with so many members of one network channel, who have been told of each other.
    fn crowd(members: usize) -> (Simulation, Vec<ClientEnd>) {
        let mut config = Config::default();
        config.lan.mode = LanMode::On;
        config.lan.interfaces = vec!["none".to_owned()];
        config.limits.max_per_address = members + 10;
        let mut server = Simulation::new(config).expect("a good configuration");
        let mut members: Vec<_> = (0..members).map(|_| open(&mut server, "/network/crowd")).collect();
        members.iter_mut().for_each(|member| drop(member.read(1 << 20)));
        (server, members)
    }

    #[test]
    fn what_a_link_tells_many_members_takes_it_several_turns() {
        const PEERS: u64 = 100;
        let (mut server, mut members) = crowd(100);
        let fields =
            "Sec-WebSocket-Protocol: jackfield-link\r\nJackfield-Instance: 00112233445566778899aabbccddeeff\r\n";
        let mut link = open_with(&mut server, "/network/crowd", fields);
        let say = |id: u64| {
            let text = format!(r#"{{"action":"connect","target":"{}"}}"#, id + 100);
            [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0][..], text.as_bytes()].concat()
        };
        link.write(&(0..PEERS).flat_map(say).collect::<Vec<_>>());
        server.turn(0);
        let after_one = members[0].unread();
        server.settle(1000);
        let after_all = members[0].unread();
        assert!(0 < after_one && after_one <= after_all / 4, "{after_one} of {after_all} bytes in one turn");
        members[0].read(1 << 20);
        drop(link);
        server.turn(0);
        assert!(members[0].unread() < after_all / 2, "members are told of the whole link at once");
        server.settle(1000);
        assert_eq!(members[0].unread(), after_all + PEERS as usize * "dis".len());
    }

    #[test]
    fn a_crowd_that_leaves_together_takes_several_turns() {
        for leave in [ClientEnd::finish, ClientEnd::reset] {
            let (mut server, mut members) = crowd(200);
            members[100..].iter_mut().for_each(leave);
            let mut before = server.exchange.conns.len();
            while server.turn(0) {
                let left = server.exchange.conns.len();
                assert!(before - left <= 1024 / 100 + 1, "{} of {before} left in one turn", before - left);
                before = left;
            }
            assert_eq!(before, 100, "who stays was ended, or who left was not");
            let text = r#"{"action":"disconnect","source":"","target":""}"#;
            assert!(members[..100].iter().all(|member| member.unread() > 100 * text.len()));
        }
    }

    /// Who has more waiting than may wait is offered it before its turn, and nothing waits when that comes.
    #[test]
    fn whoever_waits_for_one_that_was_offered_early_is_heard_again() {
        let (mut server, mut members) = waits_for_one_that_was_put_off();
        members[1].write(&frame(300));
        server.turn(1);
        assert_eq!(members[8].unread(), 20_004 + 304, "it was called too slow, or still waits");
        members[9].write(&frame(200));
        server.settle(1000);
        assert_eq!(members[8].unread(), 20_004 + 304 + 204);
    }

    /// What a client of Socket.IO says while it is not heard is not silence.
    #[test]
    fn whoever_is_not_heard_until_others_were_told_is_not_called_silent() {
        let mut server = Simulation::new(Config::default()).expect("a good configuration");
        let mut device = open(&mut server, "/socket.io/?EIO=4&transport=websocket&clientId=a");
        device.write(&[0x81, 0x82, 0, 0, 0, 0, b'4', b'0']);
        server.settle(1000);
        server.exchange.pause(0, Behind::SPREAD);
        server.advance(Duration::from_secs(100), 1000);
        assert!(!device.line().is_server_gone(), "it was cut off");
        server.exchange.wait_no_more(0);
        server.advance(Duration::from_secs(100), 1000);
        assert!(device.line().is_server_gone(), "nobody expects anything of it");
    }
}
