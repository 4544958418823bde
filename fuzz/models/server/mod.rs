//! A whole server, simulated, and clients that do what a fuzzer decides: say what fits no protocol or nearly fits one, in
//! pieces of any size, read slowly or never, vanish, come back, while time passes. After each step:
//!
//! - neighbours that mean well are not disturbed ([`neighbours`]), and nobody hears what only they say;
//! - everybody hears valid HTTP and valid frames and nothing else ([`oracle`]);
//! - the loop comes to rest, what one client may make it hold is bounded, and so is what all of them hold together.
//!
//! When all have gone, nothing is left of them: no session, no key, no byte, no deadline.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield::config::{Config, LanMode, Limits, Listen, Root};
use jackfield::server::simulation::{ClientEnd, Simulation};

use self::neighbours::{Neighbours, PRIVATE};
use self::oracle::Oracle;
use super::grammar::{self, Learnt, TARGETS, Tongue};
use super::input::Input;

mod neighbours;
mod oracle;

/// Clients at once, beside the neighbours.
const MOST_CLIENTS: usize = 8;

/// Steps of one run.
const MOST_STEPS: usize = 96;

/// Pieces in which one step lets what clients say arrive; the rest arrives in later steps.
const PIECES_PER_STEP: usize = 48;

/// The loop comes to rest within so many turns: what eight lines of 64 KiB hold is done in fewer.
const MOST_TURNS: usize = 400;

/// What a client may have said that did not arrive yet, in bytes.
const MOST_UNSENT: usize = 256 * 1024;

/// The listener of the neighbours, whose root is `auto`; the others' roots, and one for administrators.
const PUBLIC: usize = 0;
const LISTENERS: usize = 7;
const ADMIN: usize = LISTENERS;

/// What one read brings at most: all that a line holds.
const READ_BYTES: usize = 65_536;

/// What the answers to the messages of one turn may come to.
const ANSWERS_BYTES: usize = 384 * 1024;

/// What a connection holds in each direction.
const ROOMS: [usize; 6] = [65_536, 65_536, 65_536, 4096, 600, 1];

/// Who clients are.
const PEERS: [[u8; 4]; 4] = [[127, 0, 0, 1], [192, 0, 2, 1], [192, 0, 2, 2], [198, 51, 100, 7]];

fn config(is_tight: bool) -> Config {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let listen = |number: u16, root| Listen::new(address(9000 + number), root);
    let roots = [Root::Auto, Root::Webshare, Root::Pocket, Root::Ws2s, Root::Named, Root::Network];
    let mut config = Config {
        listen: (0..).zip(roots).map(|(number, root)| listen(number, root)).collect(),
        admin: vec![address(9100)],
        trusted_proxy: vec!["198.51.100.7".to_owned()],
        ..Config::default()
    };
    config.listen.push(Listen { proxy: true, ..listen(6, Root::Auto) });
    config.lan.mode = LanMode::Off;
    if is_tight {
        config.limits = Limits {
            max_per_address: 3,
            max_message: 4096,
            max_fragments: 4,
            queue_high: 2048,
            max_queue: 8192,
            max_memory: (6 * 1024 + 1195) * 1024,
            write_stall_timeout: Duration::from_secs(5),
            first_message_timeout: Duration::from_secs(3),
            control_rate: 2,
            control_burst: 8,
            guess_burst: 2,
            max_calls: 2,
            max_rooms: 2,
            max_attachments: 2,
            call_timeout: Duration::from_secs(4),
            device_ping_interval: Duration::from_secs(3),
            device_ping_timeout: Duration::from_secs(2),
            ..config.limits
        };
        config.device_overwrite = true;
    }
    config
}

struct Client {
    end: ClientEnd,
    /// Said, and not arrived yet.
    unsent: VecDeque<u8>,
    /// How much of it arrives at once.
    segment: usize,
    /// It says nothing more once that has arrived.
    is_finishing: bool,
    is_reading: bool,
    oracle: Oracle,
    tongue: Tongue,
    /// Its oracle cannot follow: it may have asked for a head alone, whose length is not that of a body, or broke the
    /// connection, after which nothing has to be whole.
    is_unclear: bool,
    last: Vec<u8>,
}

impl Client {
    fn say(&mut self, bytes: Vec<u8>) {
        self.is_unclear |= bytes.windows(4).any(|four| four.eq_ignore_ascii_case(b"HEAD"));
        if self.unsent.len() + bytes.len() <= MOST_UNSENT && !self.is_finishing {
            self.unsent.extend(&bytes);
            self.last = bytes;
        }
    }

    /// Lets one piece arrive; whether there was one.
    fn send(&mut self) -> bool {
        let piece = self.unsent.len().min(self.segment);
        let sent = self.end.write(&self.unsent.make_contiguous()[..piece]);
        self.unsent.drain(..sent);
        if self.is_finishing && self.unsent.is_empty() {
            self.end.finish();
        }
        sent > 0
    }

    fn listen(&mut self, most: usize, learnt: &mut Learnt, data: &[u8]) {
        let bytes = self.end.read(most);
        let heard = if self.is_unclear { vec![bytes] } else { self.oracle.hear(&bytes) };
        for said in heard {
            let is_private = contains(&said, PRIVATE.as_bytes());
            assert!(!is_private || contains(data, PRIVATE.as_bytes()), "a stranger hears the neighbours");
            learnt.learn(&said);
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

struct World<'d> {
    server: Simulation,
    neighbours: Neighbours,
    clients: Vec<Client>,
    learnt: Learnt,
    data: &'d [u8],
    bounds: Bounds,
}

/// What the server may hold, in bytes.
struct Bounds {
    queued: usize,
    unfinished: usize,
    memory: usize,
}

impl Bounds {
    fn of(limits: &Limits) -> Self {
        let one = Self {
            // A mark is seen after the read that passes it, whose answers may be longer than it is.
            queued: limits.max_queue.max(limits.queue_high) + READ_BYTES + ANSWERS_BYTES,
            // A buffer grows by doubling; what was read and has to wait is kept beside it.
            unfinished: 2 * limits.max_message + limits.max_head + READ_BYTES + 4096,
            memory: 0,
        };
        Self { memory: MOST_CLIENTS * (one.queued + one.unfinished), ..one }
    }
}

/// Plays what `data` decides.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let is_tight = input.choice(2) == 0;
    let config = config(is_tight);
    let bounds = Bounds::of(&config.limits);
    let mut server = Simulation::new(config).expect("a good configuration");
    let neighbours = Neighbours::new(&mut server);
    let mut world = World { server, neighbours, clients: Vec::new(), learnt: Learnt::default(), data, bounds };
    for step in 0..MOST_STEPS {
        if input.is_used_up() {
            break;
        }
        world.step(&mut input);
        world.pass_on(step);
        world.check();
    }
    if input.choice(4) == 1 { world.drain() } else { world.empty() }
}

impl World<'_> {
    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.choice(32);
        if self.clients.is_empty() || operation < 3 {
            return self.connect(input);
        }
        let who = input.choice(self.clients.len());
        let client = &mut self.clients[who];
        match operation {
            3 => client.say(input.bytes()),
            4..=5 => {
                let payload = input.bytes();
                client.say(grammar::frame(input.choice(2) == 0, &payload, input));
            }
            6 => client.say(grammar::request(input, &self.learnt)),
            7 => {
                let (target, tongue) = input.one_of(&TARGETS);
                client.tongue = tongue.unwrap_or(client.tongue);
                client.say(grammar::upgrade(target, input));
            }
            8 => client.is_reading = !client.is_reading,
            9 => client.listen(1 << input.choice(12), &mut self.learnt, self.data),
            10 => client.is_finishing = true,
            11 => {
                client.end.reset();
                client.is_unclear = true;
            }
            12 => drop(self.clients.remove(who)),
            13 => client.segment = input.one_of(&[1, 2, 7, 125, 1000, 65_536]),
            14 => client.end.set_room(input.one_of(&ROOMS)),
            15..=17 => self.wait(input),
            18..=20 => {
                let last = client.last.clone();
                let times = (1 << input.choice(12)).min(65_536 / last.len().max(1));
                for _ in 0..times {
                    client.say(last.clone());
                }
            }
            21 => client.tongue = input.one_of(&Tongue::ALL),
            _ if client.oracle.is_open() => {
                let (is_text, payload) = grammar::message(client.tongue, input, &self.learnt);
                client.say(grammar::frame(is_text, &payload, input));
            }
            _ => client.say(grammar::request(input, &self.learnt)),
        }
    }

    fn connect(&mut self, input: &mut Input<'_>) {
        if self.clients.len() == MOST_CLIENTS {
            self.clients.remove(0);
        }
        let listener = input.choice(2 * LISTENERS + 1);
        let listener = if listener > LISTENERS { PUBLIC } else { listener };
        let peer = SocketAddr::new(IpAddr::from(input.one_of(&PEERS)), 1000);
        let mut client = Client {
            end: self.server.connect(listener, peer),
            unsent: VecDeque::new(),
            segment: usize::MAX,
            is_finishing: false,
            is_reading: true,
            oracle: Oracle::default(),
            tongue: input.one_of(&Tongue::ALL),
            is_unclear: false,
            last: Vec::new(),
        };
        client.end.set_room(input.one_of(&ROOMS));
        client.is_reading = input.choice(4) > 0;
        if listener == ADMIN {
            // Whoever comes there may send anybody away, which is not for strangers.
            let target = input.one_of(&["/metrics", "/api/live", "/api/devices", "/console", "/"]);
            client.say(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes());
            client.is_finishing = true;
        } else if input.choice(8) != 1 {
            if self.is_proxied(listener) {
                client.say(input.one_of(&["PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n", "PROXY UNKNOWN\r\n"]).into());
            }
            let (target, tongue) = input.one_of(&TARGETS);
            client.tongue = tongue.unwrap_or(client.tongue);
            client.say(grammar::upgrade(target, input));
            // Most introduce themselves, or nobody would ever be anybody's partner.
            if input.choice(4) > 0 {
                client.say(grammar::introduction(client.tongue, input, &self.learnt));
            }
        }
        self.clients.push(client);
    }

    fn is_proxied(&self, listener: usize) -> bool {
        listener == LISTENERS - 1
    }

    fn wait(&mut self, input: &mut Input<'_>) {
        let spans = [50, 400, 1100, 2600, 6000, 11_000, 31_000, 61_000].map(Duration::from_millis);
        let span = input.one_of(&spans);
        if input.choice(8) == 1 {
            self.server.jump(span);
            self.server.settle(MOST_TURNS);
            return self.neighbours.listen();
        }
        // Neighbours answer pings in time.
        let slice = Duration::from_secs(4);
        for begin in (0..).map(|number| slice * number).take_while(|begin| *begin < span) {
            self.server.advance(slice.min(span - begin), MOST_TURNS);
            self.server.settle(MOST_TURNS);
            self.neighbours.listen();
            self.server.settle(MOST_TURNS);
        }
    }

    /// Lets arrive what was said, and be heard what was answered.
    fn pass_on(&mut self, first: usize) {
        for piece in 0..PIECES_PER_STEP {
            let mut has_moved = false;
            for client in &mut self.clients {
                has_moved |= client.send();
            }
            has_moved |= self.server.turn(first + piece);
            self.check_bounds();
            for client in self.clients.iter_mut().filter(|client| client.is_reading) {
                has_moved |= client.end.unread() > 0;
                client.listen(usize::MAX, &mut self.learnt, self.data);
            }
            if !has_moved {
                return;
            }
        }
        assert!(self.server.settle(MOST_TURNS) < MOST_TURNS, "the loop does not come to rest");
    }

    fn check(&mut self) {
        self.neighbours.talk(&mut self.server);
        self.check_bounds();
    }

    fn check_bounds(&self) {
        let [queued, unfinished] = [self.server.most_queued(), self.server.most_unfinished()];
        assert!(queued <= self.bounds.queued, "{queued} bytes wait for one client");
        assert!(unfinished <= self.bounds.unfinished, "{unfinished} bytes are kept of one client");
        assert!(self.server.memory() <= self.bounds.memory, "{} bytes are held", self.server.memory());
    }

    /// Everybody goes, and nothing of them stays.
    fn empty(mut self) {
        self.clients.clear();
        self.server.settle(MOST_TURNS);
        self.neighbours.talk(&mut self.server);
        drop(self.neighbours);
        self.server.settle(MOST_TURNS);
        self.server.advance(Duration::from_secs(400), MOST_TURNS);
        let left: Vec<_> = self.server.holdings().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(left, [], "what nobody has any more");
        assert_eq!(self.server.patience(), None, "the loop wakes for nobody");
    }

    /// The server says goodbye in time, whoever is there.
    fn drain(mut self) {
        self.server.stop();
        self.server.advance(Duration::from_secs(6), MOST_TURNS);
        assert!(self.server.is_over(), "the server does not end");
        for client in self.clients.iter_mut() {
            client.listen(usize::MAX, &mut self.learnt, self.data);
        }
    }
}
