//! The load itself: groups of clients on one thread, messages in flight, every payload checked.
//!
//! A group is a pair, a fan-out or an echo; its first member sends and the others (in an echo, the same) receive. In a
//! closed loop each group keeps `window` messages in flight, and a message counts as done when every receiver has it
//! and its receipts are back. In an open loop messages leave at a fixed rate, whatever the server does, and a latency
//! begins when the message *should* have left: a server that stalls is charged for everything it held up.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::event::Event;
use mio::{Events, Poll};

use crate::Outcome;
use crate::client::{Client, Phase};
use crate::dialect::{Dialect, Incoming, Joining};
use crate::frames::{self, Piece, opcode};
use crate::measure;
use crate::payload::{Content, Payload, Random};
use crate::target::Url;

/// What is read at once.
const SCRATCH_BYTES: usize = 256 * 1024;

/// Connections that are being opened at the same time when no ramp is asked for.
const MAX_OPENING: usize = 128;

/// Without any progress for this long, a run has failed.
const STALL: Duration = Duration::from_secs(10);

/// Messages that may wait for a server that cannot keep up with the rate.
const MAX_IN_FLIGHT: usize = 4_000_000;

/// What to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) url: Url,
    pub(crate) dialect: Dialect,
    pub(crate) groups: usize,
    /// 1 is an echo, 2 a pair, more a fan-out.
    pub(crate) members: usize,
    pub(crate) content: Content,
    /// Bytes of a message; in webshare of its body.
    pub(crate) size: usize,
    /// Messages in flight in each group; unused with a rate.
    pub(crate) window: usize,
    /// Messages per second of all groups together.
    pub(crate) rate: Option<f64>,
    /// Connections opened per second.
    pub(crate) ramp: Option<f64>,
    /// Connections that say nothing.
    pub(crate) idle: usize,
    /// Poll without sleeping.
    pub(crate) spin: bool,
}

/// What happened.
pub(crate) struct Tally {
    pub(crate) elapsed: Duration,
    pub(crate) sent: u64,
    /// Messages that reached a receiver and were right.
    pub(crate) delivered: u64,
    /// From sending, or from when it was due, to being received.
    pub(crate) latency: Histogram<u64>,
    /// From when a message was due to when it was sent.
    pub(crate) lateness: Histogram<u64>,
}

/// Clients that are connected and joined.
pub(crate) struct Load {
    plan: Plan,
    payload: Payload,
    poll: Poll,
    /// Group by group, sender first; then the idle ones.
    clients: Vec<Client>,
    groups: Vec<Group>,
    open: usize,
    joined: usize,
    in_flight: usize,
    is_sending: bool,
    scratch: Vec<u8>,
    random: Random,
    tally: Tally,
}

#[derive(Default)]
struct Group {
    joining: Joining,
    open: usize,
    is_joined: bool,
    /// The number of the next message.
    next: u64,
    /// Messages that are not done, oldest first. The last one is number `next - 1`.
    pending: VecDeque<Pending>,
}

struct Pending {
    since: Instant,
    /// Deliveries and receipts that are missing.
    missing: u32,
}

impl Load {
    /// Connects everybody and joins the groups.
    pub(crate) fn open(plan: Plan) -> Outcome<Self> {
        plan.dialect.check(plan.members, plan.content != Content::Binary)?;
        let payload = Payload::new(plan.content, plan.dialect.payload_bytes(plan.size)?);
        let mut load = Self {
            payload,
            poll: Poll::new()?,
            clients: Vec::new(),
            groups: (0..plan.groups).map(|_| Group::default()).collect(),
            open: 0,
            joined: 0,
            in_flight: 0,
            is_sending: false,
            scratch: vec![0; SCRATCH_BYTES],
            random: Random::new(0x5DEE_CE66),
            tally: Tally::new(),
            plan,
        };
        load.connect()?;
        Ok(load)
    }

    fn connect(&mut self) -> Outcome<()> {
        let total = self.plan.groups * self.plan.members + self.plan.idle;
        let start = Instant::now();
        let mut progress = (start, 0);
        let mut events = Events::with_capacity(1024);
        while self.open < total || self.joined < self.plan.groups {
            let allowed = match self.plan.ramp {
                Some(ramp) => (start.elapsed().as_secs_f64() * ramp) as usize + 1,
                None => self.open + MAX_OPENING,
            };
            while self.clients.len() < allowed.min(total) {
                let token = self.clients.len();
                let client = Client::connect(self.plan.url.address, token as u32, self.poll.registry(), token)
                    .map_err(|error| format!("connection {}: {error}", token + 1))?;
                self.clients.push(client.secure(&self.plan.url)?);
            }
            self.turn(&mut events, Duration::from_millis(5))?;
            let done = self.open + self.joined;
            if done > progress.1 || self.clients.len() < total {
                progress = (Instant::now(), done);
            } else if progress.0.elapsed() > STALL {
                let (open, joined) = (self.open, self.joined);
                return Err(format!("{open} of {total} connections are open, {joined} groups joined").into());
            }
        }
        Ok(())
    }

    /// Sends for this long. Messages stay in flight at the end: more runs may follow, then [`Self::finish`].
    pub(crate) fn run(&mut self, duration: Duration) -> Outcome<Tally> {
        self.run_beside(duration, |_| Ok(()))
    }

    /// As [`run`](Self::run), with something else done in between, again and again, in short shares.
    pub(crate) fn run_beside(
        &mut self,
        duration: Duration,
        mut beside: impl FnMut(Instant) -> Outcome<()>,
    ) -> Outcome<Tally> {
        self.tally = Tally::new();
        self.is_sending = true;
        let start = Instant::now();
        if self.plan.rate.is_none() {
            for group in 0..self.groups.len() {
                self.refill(group, start)?;
            }
        }
        let mut progress = (start, 0);
        let mut events = Events::with_capacity(1024);
        let mut now = start;
        while now - start < duration {
            let mut timeout = (duration - (now - start)).min(Duration::from_secs(1));
            if let Some(rate) = self.plan.rate {
                self.send_due(start, rate, now)?;
                timeout = Duration::ZERO;
            }
            if self.plan.spin {
                timeout = Duration::ZERO;
            }
            self.turn(&mut events, timeout)?;
            beside(now)?;
            now = Instant::now();
            if self.tally.delivered > progress.1 || self.in_flight == 0 {
                progress = (now, self.tally.delivered);
            } else if now - progress.0 > STALL {
                return Err(format!("nothing arrives though {} messages are in flight", self.in_flight).into());
            }
        }
        self.tally.elapsed = start.elapsed();
        Ok(std::mem::replace(&mut self.tally, Tally::new()))
    }

    /// Stops sending and waits for what is in flight, whose latencies belong to `tally`.
    pub(crate) fn finish(&mut self, tally: &mut Tally) -> Outcome<()> {
        self.is_sending = false;
        let start = Instant::now();
        let mut events = Events::with_capacity(1024);
        while self.in_flight > 0 {
            self.turn(&mut events, Duration::from_millis(50))?;
            if start.elapsed() > STALL {
                return Err(format!("{} messages were lost", self.in_flight).into());
            }
        }
        tally.latency.add(&self.tally.latency)?;
        Ok(())
    }

    fn turn(&mut self, events: &mut Events, timeout: Duration) -> Outcome<()> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in events.iter() {
            self.on_event(event).map_err(|error| format!("connection {}: {error}", event.token().0 + 1))?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: &Event) -> Outcome<()> {
        let at = event.token().0;
        if self.clients[at].is_connected_by(event)? {
            if self.plan.dialect.is_websocket() {
                let path = self.path(at);
                self.clients[at].request(&self.plan.url.host, &path)?;
            } else {
                self.clients[at].phase = Phase::Open;
                self.on_open(at)?;
            }
        }
        if event.is_writable() {
            self.clients[at].flush()?;
        }
        if event.is_readable() {
            // Borrowed for the reads, so that what they bring can be looked at while everything else changes.
            let mut scratch = std::mem::take(&mut self.scratch);
            let read = self.on_readable(at, &mut scratch, event.is_read_closed());
            self.scratch = scratch;
            read?;
        }
        Ok(())
    }

    fn on_readable(&mut self, at: usize, scratch: &mut [u8], is_closing: bool) -> Outcome<()> {
        while let Some(read) = self.clients[at].read(scratch)? {
            if read == 0 {
                return Err("closed by the server".into());
            }
            let now = Instant::now();
            self.on_bytes(at, &scratch[..read], now)?;
            if let Some(group) = self.group_of(at)
                && self.is_sending
                && self.plan.rate.is_none()
            {
                self.refill(group, now)?;
            }
            if read < scratch.len() && !is_closing {
                break;
            }
        }
        Ok(())
    }

    fn on_bytes(&mut self, at: usize, mut input: &[u8], now: Instant) -> Outcome<()> {
        if !matches!(self.clients[at].phase, Phase::Open) {
            if !self.clients[at].on_answer(&mut input)? {
                return Ok(());
            }
            self.on_open(at)?;
        }
        while let Some(piece) = self.clients[at].reader.next(&mut input)? {
            match piece {
                Piece::Data { is_text, at: offset, bytes, is_last } => {
                    self.on_data(at, is_text, offset, bytes, is_last, now)?;
                }
                Piece::Control { opcode: opcode::PING, payload } => {
                    let key = Some(self.random.next());
                    let client = &mut self.clients[at];
                    let pong = |out: &mut Vec<u8>| out.extend_from_slice(&payload);
                    frames::append(&mut client.out, opcode::PONG, key, payload.len(), pong);
                    client.flush()?;
                }
                Piece::Control { opcode: opcode::CLOSE, payload } => {
                    let code = payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    return Err(format!("closed by the server with code {code} {reason}").into());
                }
                Piece::Control { .. } => {}
            }
        }
        Ok(())
    }

    fn on_data(
        &mut self,
        at: usize,
        is_text: bool,
        offset: usize,
        bytes: &[u8],
        is_last: bool,
        now: Instant,
    ) -> Outcome<()> {
        let Some(group) = self.group_of(at) else { return Ok(()) };
        let client = &mut self.clients[at];
        if self.plan.dialect.is_enveloped() || !self.groups[group].is_joined {
            if offset == 0 && is_last {
                return self.on_whole(at, group, is_text, bytes, now);
            }
            client.whole.extend_from_slice(bytes);
            if is_last {
                let whole = std::mem::take(&mut client.whole);
                self.on_whole(at, group, is_text, &whole, now)?;
            }
            return Ok(());
        }
        if self.plan.dialect.is_stream() {
            return if is_text { Err("a bridge says text".into()) } else { self.on_stream(at, group, bytes, now) };
        }
        if is_text != self.payload.is_text() || !self.payload.matches(group, client.due, offset, bytes) {
            return Err(wrong(group, client.due));
        }
        if is_last {
            if offset + bytes.len() != self.payload.len() {
                return Err(wrong(group, client.due));
            }
            self.on_delivery(at, group, now);
        }
        Ok(())
    }

    /// The next bytes of messages that follow each other without bounds.
    fn on_stream(&mut self, at: usize, group: usize, mut bytes: &[u8], now: Instant) -> Outcome<()> {
        while !bytes.is_empty() {
            let client = &mut self.clients[at];
            let (part, rest) = bytes.split_at(bytes.len().min(self.payload.len() - client.due_at));
            bytes = rest;
            // Nothing may come back that was not sent.
            let is_sent = client.due < self.groups[group].next;
            if !is_sent || !self.payload.matches(group, client.due, client.due_at, part) {
                return Err(wrong(group, client.due));
            }
            client.due_at += part.len();
            if client.due_at == self.payload.len() {
                client.due_at = 0;
                self.on_delivery(at, group, now);
            }
        }
        Ok(())
    }

    fn on_whole(&mut self, at: usize, group: usize, is_text: bool, message: &[u8], now: Instant) -> Outcome<()> {
        let member = at % self.plan.members;
        let dialect = self.plan.dialect;
        if !self.groups[group].is_joined {
            if let Some((member, text)) = dialect.on_joining(&mut self.groups[group].joining, member, message)? {
                self.say(group * self.plan.members + member, &text)?;
            }
            self.note_joined(group);
            return Ok(());
        }
        let Client { due, unconfirmed, .. } = self.clients[at];
        match dialect.read(message, is_text, member == 0, unconfirmed)? {
            Incoming::Receipt => {
                if unconfirmed >= self.groups[group].next {
                    return Err("a receipt for a message that was not sent".into());
                }
                self.clients[at].unconfirmed += 1;
                self.on_done(group, unconfirmed);
            }
            Incoming::Heartbeat(answer) => self.say(at, answer)?,
            Incoming::Stream(bytes) => self.on_stream(at, group, &bytes, now)?,
            Incoming::Payload(bytes) => {
                if bytes.len() != self.payload.len() || !self.payload.matches(group, due, 0, bytes) {
                    return Err(wrong(group, due));
                }
                self.on_delivery(at, group, now);
            }
        }
        Ok(())
    }

    /// The message that this client was due has come.
    fn on_delivery(&mut self, at: usize, group: usize, now: Instant) {
        let client = &mut self.clients[at];
        let number = client.due;
        client.due += 1;
        let since = self.on_done(group, number);
        measure::record(&mut self.tally.latency, now.saturating_duration_since(since));
        self.tally.delivered += 1;
    }

    /// One delivery or receipt of this message is there. Answers when it was sent.
    fn on_done(&mut self, group: usize, number: u64) -> Instant {
        let group = &mut self.groups[group];
        let oldest = group.next - group.pending.len() as u64;
        let pending = &mut group.pending[(number - oldest) as usize];
        let since = pending.since;
        pending.missing -= 1;
        while group.pending.front().is_some_and(|pending| pending.missing == 0) {
            group.pending.pop_front();
            self.in_flight -= 1;
        }
        since
    }

    fn refill(&mut self, group: usize, now: Instant) -> Outcome<()> {
        if self.groups[group].pending.len() == self.plan.window {
            return Ok(());
        }
        while self.groups[group].pending.len() < self.plan.window {
            self.send(group, now);
        }
        self.clients[group * self.plan.members].flush()?;
        Ok(())
    }

    /// Sends what is due by now at this rate, the groups taking turns.
    fn send_due(&mut self, start: Instant, rate: f64, now: Instant) -> Outcome<()> {
        let due = ((now - start).as_secs_f64() * rate) as u64;
        while self.tally.sent < due {
            let since = start + Duration::from_secs_f64((self.tally.sent + 1) as f64 / rate);
            let group = self.tally.sent as usize % self.groups.len();
            measure::record(&mut self.tally.lateness, now.saturating_duration_since(since));
            self.send(group, since);
            self.clients[group * self.plan.members].flush()?;
        }
        if self.in_flight > MAX_IN_FLIGHT {
            return Err(format!("the server is {MAX_IN_FLIGHT} messages behind the rate").into());
        }
        Ok(())
    }

    fn send(&mut self, at: usize, since: Instant) {
        let group = &mut self.groups[at];
        let out = &mut self.clients[at * self.plan.members].out;
        self.plan.dialect.append(&self.payload, at, group.next, self.random.next(), out);
        let receivers = (self.plan.members - 1).max(1) as u32;
        group.pending.push_back(Pending { since, missing: receivers + self.plan.dialect.receipts() });
        group.next += 1;
        self.in_flight += 1;
        self.tally.sent += 1;
    }

    fn on_open(&mut self, at: usize) -> Outcome<()> {
        self.open += 1;
        let Some(group) = self.group_of(at) else { return Ok(()) };
        self.groups[group].open += 1;
        if let Some(greeting) = self.plan.dialect.greeting(&self.plan.url)? {
            self.say(at, &greeting)?;
        }
        self.note_joined(group);
        Ok(())
    }

    fn note_joined(&mut self, at: usize) {
        let group = &mut self.groups[at];
        if !group.is_joined
            && group.open == self.plan.members
            && self.plan.dialect.is_joined(&group.joining, group.open)
        {
            group.is_joined = true;
            self.joined += 1;
        }
    }

    fn say(&mut self, at: usize, text: &str) -> io::Result<()> {
        let key = Some(self.random.next());
        let client = &mut self.clients[at];
        frames::append(&mut client.out, opcode::TEXT, key, text.len(), |out| out.extend_from_slice(text.as_bytes()));
        client.flush()
    }

    /// The group of a client; idle ones have none.
    fn group_of(&self, at: usize) -> Option<usize> {
        Some(at / self.plan.members).filter(|&group| group < self.groups.len())
    }

    fn path(&self, at: usize) -> String {
        let Plan { dialect, members, .. } = self.plan;
        let group = at / members;
        let name = if group < self.groups.len() { group.to_string() } else { format!("idle-{group}") };
        dialect.path(&self.plan.url, &name, at % members, members == 1)
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            elapsed: Duration::ZERO,
            sent: 0,
            delivered: 0,
            latency: measure::histogram(),
            lateness: measure::histogram(),
        }
    }
}

fn wrong(group: usize, number: u64) -> Box<dyn std::error::Error> {
    format!("a payload is wrong: due was message {number} of group {group}").into()
}
