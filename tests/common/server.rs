//! The server on a thread of the test, through the library, on a free port.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jackfield::config::{Config, Listen, Root};
use jackfield::server::{Handle, Server};

use super::DEADLINE;
use super::client::Client;
use super::http::request;

/// Between two questions for the gauges.
const POLL_PAUSE: Duration = Duration::from_millis(1);

/// Everything that has to be given back.
const GAUGES: [&str; 13] = [
    "jackfield_connections",
    "jackfield_sessions",
    "jackfield_channels",
    "jackfield_pairs",
    "jackfield_bridges",
    "jackfield_dials",
    "jackfield_devices",
    "jackfield_polling_sessions",
    "jackfield_held_requests",
    "jackfield_paused_connections",
    "jackfield_links",
    "jackfield_link_attempts",
    "jackfield_queued_bytes",
];

/// A running server; stopped and joined when dropped, which fails the test if the server's thread panicked.
pub(crate) struct TestServer {
    addresses: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
    handle: Handle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl TestServer {
    /// The defaults, but for the port, which is a free one of 127.0.0.1, and the time between requests.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// The defaults as changed by `adjust`.
    #[track_caller]
    pub(crate) fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { listen: vec![free_port(Root::Auto)], ..Config::default() };
        // An observer may be silent for as long as the test is busy elsewhere.
        config.limits.handshake_timeout = 3 * DEADLINE;
        adjust(&mut config);
        let server = Server::bind(config).unwrap_or_else(|error| panic!("the server does not start: {error}"));
        let (addresses, admin) = (server.addresses(), server.admin_addresses());
        let handle = server.handle();
        let thread = thread::Builder::new().name("jackfield".into()).spawn(move || server.run()).expect("a thread");
        Self { addresses, admin, handle, thread: Some(thread) }
    }

    /// Where the first listener listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where all listeners listen.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where administrators connect.
    pub(crate) fn admin_addresses(&self) -> &[SocketAddr] {
        &self.admin
    }

    /// A WebSocket client on `target`.
    #[track_caller]
    pub(crate) fn client(&self, target: &str) -> Client {
        Client::open(self.address(), target)
    }

    /// Starts the drain, as TERM does; a second time ends it at once.
    pub(crate) fn stop(&self) {
        self.handle.stop();
    }

    /// Has files read again, as HUP does.
    pub(crate) fn reload(&self) {
        self.handle.reload();
    }

    /// Whether the server's thread has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until the server has ended by itself, and returns how that went.
    #[track_caller]
    pub(crate) fn join(mut self) -> io::Result<()> {
        let thread = self.thread.take().expect("joined once");
        let start = Instant::now();
        while !thread.is_finished() {
            assert!(start.elapsed() < DEADLINE, "the server does not end");
            thread::sleep(POLL_PAUSE);
        }
        thread.join().expect("the server's thread does not panic")
    }

    /// An observer of the server's gauges and counters, where administrators connect.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::of(self.admin.first().copied().unwrap_or_else(|| self.address()))
    }

    /// A bare socket with an open WebSocket on `target` that nobody looks at.
    #[track_caller]
    pub(crate) fn idle(&self, target: &str) -> TcpStream {
        Client::open(self.address(), target).into_stream()
    }

    /// Waits until nothing is left of any client: all gauges zero, except for the observer's own connection.
    #[track_caller]
    pub(crate) fn expect_all_given_back(&self) {
        let is_zero = |values: &BTreeMap<String, f64>| {
            GAUGES.iter().all(|gauge| values[*gauge] == if *gauge == "jackfield_connections" { 1.0 } else { 0.0 })
        };
        self.metrics().wait_for("all gauges at zero", is_zero);
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.handle.stop();
        self.handle.stop();
        let result = thread.join();
        if !thread::panicking() {
            result.expect("the server's thread does not panic").expect("the server ends without an error");
        }
    }
}

/// 127.0.0.1 with a free port and this root.
pub(crate) fn free_port(root: Root) -> Listen {
    Listen::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), root)
}

/// One connection that asks for `/metrics` again and again.
pub(crate) struct Metrics {
    client: Client,
    address: SocketAddr,
}

impl Metrics {
    /// Of the server at this address.
    #[track_caller]
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self { client: Client::connect(address), address }
    }

    /// All values now.
    #[track_caller]
    pub(crate) fn read(&mut self) -> BTreeMap<String, f64> {
        self.client.write(request("GET", self.address, "/metrics").as_bytes());
        let response = self.client.response();
        assert_eq!(response.status, 200, "{response:?}");
        let text = response.text();
        let mut values = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once(' ').unwrap_or_else(|| panic!("metrics line {line:?}"));
            let value = value.parse().unwrap_or_else(|_| panic!("metrics line {line:?}"));
            assert_eq!(values.insert(name.to_owned(), value), None, "{name} comes twice");
        }
        for gauge in GAUGES {
            assert!(values.contains_key(gauge), "{gauge} is missing in:\n{text}");
        }
        values
    }

    /// One value now.
    #[track_caller]
    pub(crate) fn value(&mut self, name: &str) -> f64 {
        let values = self.read();
        *values.get(name).unwrap_or_else(|| panic!("{name} is missing in {values:?}"))
    }

    /// Asks until `condition` holds.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, condition: impl Fn(&BTreeMap<String, f64>) -> bool) {
        let start = Instant::now();
        loop {
            let values = self.read();
            if condition(&values) {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "waited for {what}: {values:#?}");
            thread::sleep(POLL_PAUSE);
        }
    }

    /// Waits until the server takes nothing more of what is `written`: its queue is over the mark, and over many answers
    /// of the server not one more byte has gone. In all this time the queue stays in its bound.
    #[track_caller]
    pub(crate) fn wait_until_paused(&mut self, written: &AtomicUsize, high: usize, bound: usize) {
        let start = Instant::now();
        let (mut at, mut answers) = (0, 0);
        while answers < 100 {
            let queued = self.value("jackfield_queued_bytes");
            assert!(queued <= bound as f64, "{queued} bytes are queued, {bound} at most");
            assert!(start.elapsed() < DEADLINE, "the sender never stops: {at} bytes");
            let now = written.load(Ordering::Relaxed);
            answers = if now == at && queued > high as f64 { answers + 1 } else { 0 };
            at = now;
        }
        assert_eq!(self.value("jackfield_paused_connections"), 1.0);
    }
}
