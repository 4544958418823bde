//! T12: what clients of each protocol say, nearly right and wrong in every way, through the real loop, while two pairs that
//! mean well talk on and must not notice. The same words, through a simulated loop and with all that may happen to a
//! connection, are `fuzz/`'s target `server`.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::common::client::Client;
use super::common::frame::{Received, text};
use super::common::server::{Metrics, TestServer};
use super::dice::{Dice, seed};
use super::grammar::{self, Learnt, TARGETS, Tongue};
use super::input::Input;

/// How long they talk.
const SPAN: Duration = Duration::from_millis(2500);

/// How long a neighbour may wait for one message, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(2);

/// What strangers must not hear.
const PRIVATE: &str = "between the two of us";

/// Two that talk: the messages of one arrive at the other, numbered, once each and in order.
struct Pair {
    from: Client,
    to: Client,
    is_webshare: bool,
}

impl Pair {
    fn on_channel(server: &TestServer) -> Self {
        let [from, to] = ["/local/neighbours", "/local/neighbours"].map(|target| server.client(target));
        Self { from, to, is_webshare: false }
    }

    fn by_key(server: &TestServer) -> Self {
        let [mut from, mut to] = ["/webshare", "/webshare"].map(|target| server.client(target));
        to.send(&text(r#"{"command":"key"}"#));
        let reply: Value = serde_json::from_str(&to.any_text()).expect("JSON");
        from.send(&text(format!(r#"{{"command":"pair","body":{{"target":{}}}}}"#, reply["body"]["key"])));
        assert!(from.any_text().contains("SUCCESS"));
        assert!(to.any_text().contains("SUCCESS"));
        Self { from, to, is_webshare: true }
    }

    /// Talks until it is told to stop; how often something was said, and the longest that it took.
    fn talk(mut self, is_over: &AtomicBool) -> (usize, Duration) {
        let (mut said, mut longest) = (0, Duration::ZERO);
        while !is_over.load(Ordering::Relaxed) || said == 0 {
            let (words, began) = (format!("{PRIVATE} {said}"), Instant::now());
            if self.is_webshare {
                self.from.send(&text(format!(r#"{{"command":"relay","body":"{words}"}}"#)));
                let heard: Value = serde_json::from_str(&self.to.any_text()).expect("JSON");
                assert_eq!((&heard["code"], &heard["body"]), (&"RELAY_OK".into(), &words.clone().into()));
                assert!(self.from.any_text().contains("RELAY_SENT"));
            } else {
                self.from.send(&text(words.clone()));
                self.to.expect_text(&words);
            }
            longest = longest.max(began.elapsed());
            said += 1;
        }
        self.from.round_trip();
        self.to.round_trip();
        (said, longest)
    }
}

/// One stranger: what it says, and that it hears nothing but what a server says.
fn say(server: &TestServer, dice: &mut Dice, learnt: &mut Learnt, tongue: Tongue) {
    let decisions = dice.bytes(2000);
    let mut input = Input(&decisions);
    let targets: Vec<_> = TARGETS.iter().filter(|(_, spoken)| spoken.is_none_or(|spoken| spoken == tongue)).collect();
    let mut words = if input.choice(6) == 0 {
        grammar::request(&mut input, learnt)
    } else {
        grammar::upgrade(targets[input.choice(targets.len())].0, &mut input)
    };
    words.extend(grammar::introduction(tongue, &mut input, learnt));
    // The rest is said before the answer is there, as somebody may who is in a hurry.
    for _ in 0..1 + input.choice(24) {
        if input.is_used_up() {
            break;
        }
        let (is_text, payload) = grammar::message(tongue, &mut input, learnt);
        words.extend(grammar::frame(is_text, &payload, &mut input));
    }
    let mut stream = Client::connect(server.address()).into_stream();
    let piece = input.one_of(&[usize::MAX, usize::MAX, 1000, 100]);
    for piece in words.chunks(piece.min(words.len())) {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    match input.choice(4) {
        // It vanishes, maybe with something unread.
        0 => return,
        _ => stream.shutdown(Shutdown::Write).unwrap_or_default(),
    }
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("a stranger waits for the end: {error}"),
        Ok(_) => {}
    }
    assert!(!String::from_utf8_lossy(&heard).contains(PRIVATE), "a stranger hears the neighbours");
    learnt.learn(&heard);
    if let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n")
        && heard.starts_with(b"HTTP/1.1 101 ")
    {
        heard.drain(..end + 4);
        while let Some(frame) = Received::take(&mut heard).expect("a frame as a server's has to be") {
            learnt.learn(&frame.payload);
        }
    }
}

#[test]
fn t12_whatever_is_said_in_each_protocol_disturbs_nobody() {
    let server = TestServer::with(|config| {
        // Who may send others away is not what strangers are.
        config.admin = vec![([127, 0, 0, 1], 0).into()];
        config.limits.close_timeout = Duration::from_millis(200);
        config.limits.device_ping_interval = Duration::from_millis(300);
        config.limits.device_ping_timeout = Duration::from_millis(200);
    });
    let pairs = [Pair::on_channel(&server), Pair::by_key(&server)];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let neighbours = pairs.map(|pair| scope.spawn(|| pair.talk(&is_over)));
        let (begin, mut dice, mut strangers) = (Instant::now(), Dice(seed()), 0);
        let mut learnt = Learnt::default();
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while begin.elapsed() < SPAN {
                for tongue in Tongue::ALL {
                    say(&server, &mut dice, &mut learnt, tongue);
                    strangers += 1;
                }
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        for neighbour in neighbours {
            let (said, longest) = neighbour.join().expect("a neighbour is not disturbed");
            assert!(longest < PATIENCE, "a neighbour waited for {longest:?}, once in {said}");
        }
        said.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(strangers >= 60, "hardly anybody spoke: {strangers}");
        // They got past the first check.
        assert!(!learnt.keys.is_empty() && !learnt.sids.is_empty(), "{learnt:?}");
    });
    Metrics::of(server.admin_addresses()[0]).wait_for("the strangers' end", |values| {
        ["jackfield_sessions", "jackfield_channels", "jackfield_pairs", "jackfield_devices", "jackfield_queued_bytes"]
            .iter()
            .all(|gauge| values[*gauge] == 0.0)
    });
}
