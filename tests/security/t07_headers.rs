//! T7: fields that take a bad parser quadratic time are read in linear time.

use std::time::{Duration, Instant};

use jackfield::http::{parse, upgrade};

/// The least time of several that it takes to read a head with this field, repeated to about `bytes`.
fn time_of(field: &str, unit: &str, bytes: usize) -> Duration {
    let head = format!(
        "GET /local/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{field}: {}\r\n\r\n",
        unit.repeat(bytes / unit.len())
    );
    let run = || {
        let start = Instant::now();
        let request = parse(head.as_bytes(), 1 << 20, 64).expect("a good head").expect("a whole one");
        let _ = upgrade::check(&request).map(|handshake| handshake.protocols().count());
        start.elapsed()
    };
    (0..9).map(|_| run()).min().expect("nine")
}

#[test]
fn t07_time_is_linear_in_what_is_read() {
    for field in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Connection", "Upgrade", "X-Forwarded-For"] {
        for unit in [",", ", ", "a,", "\" ,", "; ; ", "a=\"\\\\\\", "a;b=c,", "\t \t "] {
            let short = time_of(field, unit, 16 * 1024);
            // Eight times as long; were it quadratic, it would be sixty-four times. What a busy machine adds is not ours:
            // the least of many counts, as far as that has to be known.
            let allowed = short * 30 + Duration::from_millis(2);
            let longs = (0..20).map(|_| time_of(field, unit, 128 * 1024));
            let long = longs.scan(Duration::MAX, |least, time| {
                *least = time.min(*least);
                Some(*least)
            });
            let least = long.take_while(|least| *least >= allowed).count();
            assert!(least < 20, "{field}: {unit:?}: {short:?} becomes more than {allowed:?}");
        }
    }
}
