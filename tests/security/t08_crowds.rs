//! T8 and the sum of the others: an attacker with thousands of slow sockets, tiny fragments, huge promises and readers that
//! do not read, while a hundred honest pairs relay. The pairs go on at their pace, memory stays under its ceiling, and
//! every refusal is counted and explained.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::common::client::Client;
use super::common::frame::{binary, continuation, text};
use super::common::http::upgrade_request;
use super::common::process::Process;
use super::common::server::Metrics;
use super::is_long;

/// What the whole process is to stay below.
const CEILING_MIB: u64 = 64;

/// Two members of a channel of their own.
struct Pair {
    one: Client,
    other: Client,
}

/// What one round over all pairs took, at each percentile.
#[derive(Debug)]
struct Latency {
    p99: Duration,
}

/// Each pair says something and hears it, for this long, one after the other.
fn relay(pairs: &mut [Pair], how_long: Duration) -> Latency {
    let mut times = Vec::new();
    let start = Instant::now();
    let frame = binary([7; 125]);
    while start.elapsed() < how_long {
        for pair in pairs.iter_mut() {
            let said = Instant::now();
            pair.one.send(&frame);
            pair.other.expect_binary([7; 125]);
            times.push(said.elapsed());
        }
    }
    times.sort_unstable();
    Latency { p99: times[times.len() * 99 / 100] }
}

/// The attacker's sockets, whatever becomes of them.
struct Crowd(Vec<TcpStream>);

impl Crowd {
    fn gather(server: &Process, count: usize) -> Self {
        let request = |target: &str| upgrade_request(server.address(), target).into_bytes();
        let promise = binary([1; 50]).claiming(1024 * 1024).bytes();
        let fragments = [text("x").unfinished().bytes(), continuation("").unfinished().bytes().repeat(500)].concat();
        let half = binary(vec![1; 60_000]).claiming(1024 * 1024).bytes();
        let sockets = (0..count).filter_map(|index| {
            let socket = TcpStream::connect(server.address()).ok()?;
            let first: Vec<u8> = match index % 6 {
                // A head that never ends, and nothing at all.
                0 => b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_vec(),
                1 => Vec::new(),
                // A first message that never comes to its end, in three ways.
                2 => [request("/"), promise.clone()].concat(),
                3 => [request("/"), fragments.clone()].concat(),
                4 => [request(&format!("/local/{index}")), half.clone()].concat(),
                // A reader that does not read.
                _ => request("/local/flood"),
            };
            socket.set_nonblocking(true).ok()?;
            let _ = (&socket).write(&first);
            Some(socket)
        });
        Self(sockets.collect())
    }

    /// A byte more from everybody, as slow clients do.
    fn dribble(&self) {
        for socket in &self.0 {
            let _ = (&*socket).write(b"x");
        }
    }
}

#[test]
fn t08_an_attacker_does_not_slow_the_others() {
    let (count, how_long) = if is_long() { (10_000, Duration::from_secs(20)) } else { (600, Duration::from_secs(2)) };
    let ceiling = format!("{CEILING_MIB}MiB");
    let server =
        Process::start(&["--max-memory", &ceiling, "--handshake-timeout", "5s", "--write-stall-timeout", "5s"]);
    let mut pairs: Vec<_> = (0..100)
        .map(|index| {
            let target = format!("/local/pair{index}");
            let mut pair = Pair { one: server.client(&target), other: server.client(&target) };
            pair.one.round_trip();
            pair.other.round_trip();
            pair
        })
        .collect();
    relay(&mut pairs, how_long / 10);
    let quiet = relay(&mut pairs, how_long);
    let before = server.memory().resident;
    let gathered = Instant::now();
    let crowd = Crowd::gather(&server, count);
    let gathered = gathered.elapsed();
    let mut metrics = Metrics::of(server.address());
    let is_over = AtomicBool::new(false);
    let (attacked, most, account) = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                crowd.dribble();
                thread::park_timeout(Duration::from_millis(500));
            }
        });
        scope.spawn(|| {
            // What those who do not read are to be flooded with, as fast as a home network brings it.
            let Ok(socket) = TcpStream::connect(server.address()) else { return };
            let _ = (&socket).write_all(upgrade_request(server.address(), "/local/flood").as_bytes());
            let message = binary(vec![1; 16 * 1024]).bytes();
            while !is_over.load(Ordering::Relaxed) && (&socket).write_all(&message).is_ok() {
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        let watch = scope.spawn(|| {
            let (mut most, mut account) = (0, 0.0_f64);
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(server.memory().resident);
                account = account.max(metrics.value("jackfield_memory_bytes"));
                thread::park_timeout(Duration::from_millis(100));
            }
            (most, account)
        });
        let attacked = relay(&mut pairs, how_long);
        is_over.store(true, Ordering::Relaxed);
        let (most, account) = watch.join().expect("it only reads");
        (attacked, most, account)
    });
    let values = Metrics::of(server.address()).read();
    let refused: Vec<_> = values.iter().filter(|(name, _)| name.starts_with("jackfield_refused")).collect();
    eprintln!(
        "{count} sockets in {gathered:?}: quiet {quiet:?}, attacked {attacked:?}; resident {before} KiB, {most} at most; \
         on the account {} KiB at most; {refused:?}",
        account as u64 / 1024
    );
    assert!(account <= (CEILING_MIB << 20) as f64, "{account} bytes on the account");
    assert!(most < CEILING_MIB * 1024, "{most} KiB resident");
    // What limits said, by name: heads in time, and readers that take nothing.
    let refusals = |option: &str| values.get(&format!("jackfield_refused_total{{option=\"{option}\"}}")).copied();
    if is_long() {
        assert!(refusals("handshake-timeout").is_some_and(|count| count >= 3000.0), "{refused:?}");
    }
    // One slow wake-up of a busy machine is not the attacker's.
    let allowed = (quiet.p99 * 2).max(quiet.p99 + Duration::from_millis(2));
    assert!(attacked.p99 <= allowed, "p99 {:?} becomes {:?}", quiet.p99, attacked.p99);
    for pair in &mut pairs {
        pair.one.round_trip();
        pair.other.round_trip();
    }
}

/// A head that comes byte by byte is looked at once: as much of the processor goes into one of eight thousand bytes as into
/// many short ones.
#[test]
fn t08_a_head_that_dribbles_in_is_looked_at_once() {
    let server = Process::start(&[]);
    let mut clock = server.client("/local/clock?echo=1");
    let mut cost_of = |heads: usize, bytes: usize| {
        let worked = server.worked();
        for _ in 0..heads {
            let mut crowd: Vec<_> = (0..8).map(|_| Client::connect(server.address())).collect();
            crowd.iter_mut().for_each(|client| client.write(b"GET / HTTP/1.1\r\nX: "));
            for _ in 0..bytes {
                crowd.iter_mut().for_each(|client| client.write(b"x"));
                // So that each byte is read by itself.
                clock.send(&text("read"));
                clock.expect_text("read");
            }
        }
        server.worked() - worked
    };
    let (short, long) = (cost_of(40, 200), cost_of(1, 8000));
    assert!(long < short * 2, "{short:?} becomes {long:?}");
}
