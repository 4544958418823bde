//! Many at once, on the real binary: ten thousand that say nothing beside a thousand pairs that talk, and then nobody.

mod common;

use common::client::Client;
use common::frame::binary;
use common::process::Process;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of this process that are not clients.
const OWN_DESCRIPTORS: usize = 100;

const PAIRS: usize = 1000;

/// As many clients as descriptors allow, ten thousand beside the pairs at most.
fn affordable_idle() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Refused, the old limit stays, which is read again.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let descriptors = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |current| current as usize);
    descriptors.saturating_sub(OWN_DESCRIPTORS + 2 * PAIRS).min(10_000)
}

#[test]
fn ten_thousand_idle_beside_a_thousand_pairs_and_everything_given_back() {
    let server = Process::start(&[]);
    let mut observer = Client::connect(server.address());
    let gauge = |observer: &mut Client, name: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
        observer.write(request.as_bytes());
        let page = observer.response().text();
        let row = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        row.unwrap_or_else(|| panic!("no {name} in {page}")).parse::<f64>().expect("a number")
    };
    drop((0..100).map(|i| server.client(&format!("/local/warm{i}"))).collect::<Vec<_>>());
    let before = server.memory();

    let idle: Vec<_> = (0..affordable_idle()).map(|_| server.client("/local/idle").into_stream()).collect();
    let with_idle = server.memory();
    let each = with_idle.resident.saturating_sub(before.resident) * 1024 / idle.len() as u64;
    assert!(each <= 512, "{each} resident bytes for each of {} idle connections", idle.len());

    let mut pairs: Vec<_> = (0..PAIRS)
        .map(|i| (server.client(&format!("/local/pair{i}")), server.client(&format!("/local/pair{i}"))))
        .collect();
    assert_eq!(gauge(&mut observer, "jackfield_connections"), (idle.len() + 2 * PAIRS + 1) as f64);
    for round in 0..5u8 {
        let message = |i: usize, way: u8| vec![round ^ way ^ i as u8; 100 + i];
        for (i, (a, b)) in pairs.iter_mut().enumerate() {
            a.send(&binary(message(i, 1)));
            b.send(&binary(message(i, 2)));
        }
        for (i, (a, b)) in pairs.iter_mut().enumerate() {
            b.expect_binary(message(i, 1));
            a.expect_binary(message(i, 2));
        }
    }

    drop((idle, pairs));
    let gauges = ["jackfield_sessions", "jackfield_channels", "jackfield_queued_bytes"];
    let start = std::time::Instant::now();
    while gauge(&mut observer, "jackfield_connections") > 1.0 {
        assert!(start.elapsed() < common::DEADLINE, "clients that have gone are still there");
    }
    for name in gauges {
        assert_eq!(gauge(&mut observer, name), 0.0, "{name}");
    }
    let after = server.memory();
    assert!(
        after.resident <= before.resident + 1024,
        "{} KiB resident before, {} with all, {} after",
        before.resident,
        with_idle.resident,
        after.resident
    );
}
