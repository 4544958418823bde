//! Backpressure over real sockets: a slow receiver pauses its partner and nothing is lost; on a channel of many nobody is
//! paused and only the slow one goes; a flood starves nobody.

mod common;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::DEADLINE;
use common::client::Client;
use common::frame::{BINARY, CLOSE, PONG, binary, close, ping, text};
use common::server::{Metrics, TestServer};

/// The marks of the tests, small so that they are reached soon.
const HIGH: usize = 64 * 1024;
const HARD: usize = 128 * 1024;

/// What one read may add to a queue that is just below its mark: the loop's receive buffer.
const SCRATCH: usize = 256 * 1024;

/// Buffers so small that most of what is on its way waits in the server.
const SMALL: usize = 64 * 1024;

/// Messages that are far more than all buffers between two clients hold.
const COUNT: usize = 100;

/// Bytes of each.
const LEN: usize = 100_000;

/// The most that a pair's queue may hold: up to the mark, then one more read's worth, or one message if that is longer.
const BOUND: usize = HIGH + SCRATCH + LEN;

/// The payload with this number: it tells its place, and every byte depends on it.
fn payload(number: usize, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut state = number as u64;
    while bytes.len() < len {
        bytes.extend_from_slice(&state.to_be_bytes());
        state = state.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23) ^ number as u64;
    }
    bytes.truncate(len);
    bytes
}

/// One of a pair, with small buffers.
#[track_caller]
fn small(server: &TestServer) -> Client {
    let mut client = Client::connect_with_buffers(server.address(), SMALL);
    client.upgrade("/local/pair");
    client
}

/// A thread that writes numbered messages and counts them.
struct Sender {
    written: Arc<AtomicUsize>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Sender {
    fn start(client: &Client, count: usize, len: usize) -> Self {
        let mut stream: TcpStream = client.stream().try_clone().expect("a descriptor is free");
        let written = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&written);
        let thread = thread::spawn(move || {
            for number in 0..count {
                stream.write_all(&binary(payload(number, len)).bytes())?;
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { written, thread }
    }

    fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// Waits until the server does not take more: its queue is over the mark, and over many answers of the server not
    /// one more message has gone. In all this time the queue stays in its bounds.
    #[track_caller]
    fn wait_until_paused(&self, metrics: &mut Metrics, bound: usize) {
        let start = Instant::now();
        let (mut at, mut answers) = (self.written(), 0);
        while answers < 100 {
            let queued = metrics.value("jackfield_queued_bytes");
            assert!(queued <= bound as f64, "{queued} bytes are queued, {bound} at most");
            assert!(!self.thread.is_finished(), "everything was taken: {} messages", self.written());
            assert!(start.elapsed() < DEADLINE, "the sender never stops: {} messages", self.written());
            let written = self.written();
            answers = if written == at && queued > HIGH as f64 { answers + 1 } else { 0 };
            at = written;
        }
    }
}

#[test]
fn a_slow_reader_pauses_its_partner_and_nothing_is_lost() {
    let server = TestServer::with(|config| config.limits.queue_high = HIGH);
    let mut metrics = server.metrics();
    for (count, len) in [(COUNT, LEN), (100_000, 125)] {
        let mut reader = small(&server);
        let sender = small(&server);
        let sending = Sender::start(&sender, count, len);
        sending.wait_until_paused(&mut metrics, BOUND);
        assert_eq!(metrics.value("jackfield_paused_connections"), 1.0);
        for number in 0..count {
            reader.expect_binary(payload(number, len));
            if number % (count / 10) == 0 {
                let queued = metrics.value("jackfield_queued_bytes");
                assert!(queued <= BOUND as f64, "{queued} bytes are queued, {BOUND} at most");
            }
        }
        sending.thread.join().expect("the sender does not panic").expect("everything is taken at last");
        reader.round_trip();
        assert_eq!(metrics.value("jackfield_queued_bytes"), 0.0);
        assert_eq!(metrics.value("jackfield_paused_connections"), 0.0);
        reader.close();
        sender.close();
    }
    drop(metrics);
    server.expect_all_given_back();
}

#[test]
fn a_paused_sender_still_hears() {
    let server = TestServer::with(|config| config.limits.queue_high = HIGH);
    let mut metrics = server.metrics();
    let mut reader = small(&server);
    let mut sender = small(&server);
    let sending = Sender::start(&sender, COUNT, LEN);
    sending.wait_until_paused(&mut metrics, BOUND);
    reader.send(&text("slow down"));
    sender.expect_text("slow down");
    for number in 0..COUNT {
        reader.expect_binary(payload(number, LEN));
    }
}

#[test]
fn a_paused_sender_goes_on_when_its_partner_has_gone() {
    let server = TestServer::with(|config| {
        config.limits.queue_high = HIGH;
        config.limits.close_timeout = Duration::from_millis(100);
    });
    let mut metrics = server.metrics();
    for says_goodbye in [false, true] {
        let mut reader = small(&server);
        let mut sender = small(&server);
        let sending = Sender::start(&sender, COUNT, LEN);
        sending.wait_until_paused(&mut metrics, BOUND);
        if says_goodbye {
            reader.send(&close(1001, "enough"));
        }
        drop(reader);
        // Nobody is left to hear the rest, so it is taken and dropped.
        sending.thread.join().expect("the sender does not panic").expect("everything is taken");
        sender.round_trip();
        metrics.wait_for("an empty queue", |values| values["jackfield_queued_bytes"] == 0.0);
        // The next one on the name hears what is said from now on.
        let mut next = server.client("/local/pair");
        sender.send(&text("anybody here?"));
        next.expect_text("anybody here?");
    }
    drop(metrics);
    server.expect_all_given_back();
}

#[test]
fn a_partner_that_reads_nothing_for_too_long_is_dropped() {
    let server = TestServer::with(|config| {
        config.limits.queue_high = HIGH;
        config.limits.ping_interval = Duration::from_millis(300);
        config.limits.pong_timeout = Duration::from_millis(300);
        config.limits.close_timeout = Duration::from_millis(100);
    });
    let _reader = small(&server);
    let mut sender = small(&server);
    let sending = Sender::start(&sender, COUNT, LEN);
    // It does not read, so it cannot answer pings. The paused sender cannot be heard, and is not blamed for that.
    sending.thread.join().expect("the sender does not panic").expect("everything is taken");
    sender.send(&ping("still here"));
    // It may have been asked the same meanwhile.
    while sender.expect_frame().opcode != PONG {}
}

#[test]
fn a_sender_that_leaves_while_it_is_paused_is_heard_to_its_end() {
    let server = TestServer::with(|config| config.limits.queue_high = HIGH);
    let mut metrics = server.metrics();
    let mut reader = small(&server);
    let sender = small(&server);
    let sending = Sender::start(&sender, COUNT, LEN);
    sending.wait_until_paused(&mut metrics, BOUND);
    let finishing = thread::spawn(move || {
        sending.thread.join().expect("the sender does not panic").expect("everything is taken");
        sender.close();
    });
    for number in 0..COUNT {
        reader.expect_binary(payload(number, LEN));
    }
    finishing.join().expect("the closing handshake is completed");
    reader.round_trip();
}

#[test]
fn what_came_in_while_the_sender_was_paused_is_read_at_last() {
    let server = TestServer::with(|config| config.limits.queue_high = HIGH);
    let mut metrics = server.metrics();
    let mut reader = small(&server);
    let mut sender = small(&server);
    let mut count = 0;
    while metrics.value("jackfield_paused_connections") == 0.0 {
        assert!(count < 10 * COUNT, "it is never paused");
        sender.send(&binary(payload(count, LEN)));
        count += 1;
    }
    // Little enough that the kernel takes all of it: no later arrival tells the server that it is there.
    for _ in 0..5 {
        sender.send(&binary(payload(count, 1000)));
        count += 1;
    }
    sender.send(&ping("done"));
    for number in 0..count {
        reader.expect_binary(payload(number, if number < count - 5 { LEN } else { 1000 }));
    }
    sender.expect_pong("done");
}

#[test]
fn two_that_talk_without_listening_do_not_block_each_other_for_ever() {
    let server = TestServer::with(|config| config.limits.queue_high = HIGH);
    let mut metrics = server.metrics();
    let mut ends = [small(&server), small(&server)];
    let sendings = ends.each_ref().map(|end| Sender::start(end, COUNT, LEN));
    metrics.wait_for("both to be paused", |values| {
        assert!(values["jackfield_queued_bytes"] <= 2.0 * BOUND as f64, "{values:?}");
        values["jackfield_paused_connections"] == 2.0
    });
    for end in &mut ends {
        for number in 0..COUNT {
            end.expect_binary(payload(number, LEN));
        }
    }
    for sending in sendings {
        sending.thread.join().expect("the sender does not panic").expect("everything is taken at last");
    }
    assert_eq!(metrics.value("jackfield_queued_bytes"), 0.0);
}

#[test]
fn a_client_that_closes_without_reading_gets_what_was_queued() {
    let server = TestServer::with(|config| config.limits.queue_high = 1024 * 1024 * 1024);
    let mut metrics = server.metrics();
    for ends_its_side in [false, true] {
        let mut client = small(&server);
        let mut partner = small(&server);
        let mut count = 0;
        while metrics.value("jackfield_queued_bytes") < 500_000.0 {
            assert!(count < 10 * COUNT, "nothing is ever queued");
            partner.send(&binary(payload(count, LEN)));
            partner.round_trip();
            count += 1;
        }
        client.send(&close(1000, ""));
        if ends_its_side {
            client.finish_writing();
        }
        partner.round_trip();
        for number in 0..count {
            client.expect_binary(payload(number, LEN));
        }
        client.expect_close(1000);
        client.expect_end();
        partner.close();
    }
}

#[test]
fn an_echo_pauses_its_own_client() {
    let server = TestServer::with(|config| config.limits.queue_high = HIGH);
    let mut metrics = server.metrics();
    let mut client = Client::connect_with_buffers(server.address(), SMALL);
    client.upgrade("/local/echo?echo=1");
    let sending = Sender::start(&client, COUNT, LEN);
    sending.wait_until_paused(&mut metrics, BOUND);
    for number in 0..COUNT {
        client.expect_binary(payload(number, LEN));
    }
    sending.thread.join().expect("the sender does not panic").expect("everything is taken at last");
    client.close();
}

#[test]
fn on_a_channel_of_many_only_the_slow_one_goes() {
    const SIZE: usize = 1024;
    const BATCH: usize = 16;
    let server = TestServer::with(|config| {
        config.limits.max_queue = HARD;
        config.limits.close_timeout = DEADLINE;
    });
    let mut metrics = server.metrics();
    let mut slow = Client::connect_with_buffers(server.address(), SMALL);
    slow.upgrade("/local/crowd");
    let mut others: Vec<_> = (0..199).map(|_| server.client("/local/crowd")).collect();
    let mut speaker = others.pop().expect("199 of them");
    let mut number = 0;
    while metrics.value("jackfield_too_slow_total") == 0.0 {
        assert!(number < 10_000, "the slow one is never closed");
        let batch: Vec<_> = (number..number + BATCH).map(|next| payload(next, SIZE)).collect();
        for payload in &batch {
            speaker.send(&binary(payload));
        }
        for other in &mut others {
            for payload in &batch {
                other.expect_binary(payload);
            }
        }
        number += BATCH;
        let queued = metrics.value("jackfield_queued_bytes");
        assert!(queued <= (HARD + SCRATCH) as f64, "{queued} bytes are queued");
    }
    // What was queued for it before, in order and without a gap, then why it ends.
    let mut heard = 0;
    loop {
        let frame = slow.expect_frame();
        if frame.opcode == CLOSE {
            assert_eq!(frame.close_code(), Some(1013), "{}", frame.summary());
            let reason = frame.close_reason();
            assert!(reason.contains("slow") && reason.contains("--max-queue"), "{reason}");
            break;
        }
        assert_eq!((frame.opcode, &frame.payload), (BINARY, &payload(heard, SIZE)), "{}", frame.summary());
        heard += 1;
    }
    slow.expect_end();
    assert!(heard * SIZE > HARD, "it was given {heard} messages");
    assert!(heard < number);
    drop(slow);
    // The others never noticed.
    speaker.send(&text("all here?"));
    for other in &mut others {
        other.expect_text("all here?");
        other.round_trip();
    }
    metrics.wait_for("an empty queue", |values| values["jackfield_queued_bytes"] == 0.0);
    assert_eq!(metrics.value("jackfield_sessions"), 199.0);
    drop((metrics, others, speaker));
    server.expect_all_given_back();
}

#[test]
fn a_slow_one_among_many_pauses_nobody() {
    let server = TestServer::with(|config| {
        // Over the mark at which a pair would pause, and far below the one at which it goes.
        config.limits.queue_high = 1024;
        config.limits.max_queue = 1024 * 1024 * 1024;
    });
    let mut metrics = server.metrics();
    let mut slow = Client::connect_with_buffers(server.address(), SMALL);
    slow.upgrade("/local/crowd");
    let mut listener = server.client("/local/crowd");
    let mut speaker = server.client("/local/crowd");
    let mut count = 0;
    while metrics.value("jackfield_queued_bytes") < 100_000.0 {
        assert!(count < 10 * COUNT, "nothing is ever queued");
        speaker.send(&binary(payload(count, LEN)));
        listener.expect_binary(payload(count, LEN));
        count += 1;
    }
    assert_eq!(metrics.value("jackfield_paused_connections"), 0.0);
    for number in 0..count {
        slow.expect_binary(payload(number, LEN));
    }
    slow.round_trip();
}

/// Two clients of one name, of which one never stops talking and the other never stops listening, until dropped.
struct Flood {
    ends: [TcpStream; 2],
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    fn start(server: &TestServer, len: usize) -> Self {
        let ends = [(); 2].map(|()| {
            let client = server.client(&format!("/local/flood{len}"));
            client.stream().try_clone().expect("a descriptor is free")
        });
        let [mut sender, mut receiver] = ends.each_ref().map(|end| end.try_clone().expect("a descriptor is free"));
        let burst = binary(vec![7; len]).bytes().repeat(1 + 256 * 1024 / (len + 6));
        let threads = vec![
            thread::spawn(move || while sender.write_all(&burst).is_ok() {}),
            thread::spawn(move || {
                // It ends when the connection does.
                let _ = std::io::copy(&mut receiver, &mut std::io::sink());
            }),
        ];
        Self { ends, threads }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_flood_starves_nobody() {
    let server = TestServer::start();
    let floods = [16 * 1024, 125, 0].map(|len| Flood::start(&server, len));
    let mut metrics = server.metrics();
    let before = metrics.value("jackfield_messages_received_total");
    let mut one = server.client("/local/quiet");
    let mut other = server.client("/local/quiet");
    let flooded = |metrics: &mut Metrics| metrics.value("jackfield_messages_received_total") - before;
    let start = Instant::now();
    let mut number = 0;
    // Ten round trips at least, and as many as it takes to see that it was a flood all the while.
    while number < 10 || flooded(&mut metrics) < 10_000.0 {
        one.send(&text(number.to_string()));
        other.expect_text(number.to_string());
        other.send(&text(number.to_string()));
        one.expect_text(number.to_string());
        number += 1;
        let elapsed = start.elapsed();
        assert!(elapsed < DEADLINE, "{number} round trips took {elapsed:?} beside a flood");
    }
    // New clients are served as well.
    server.client("/local/quiet").round_trip();
    metrics.wait_for("everybody but the last is still there", |values| values["jackfield_sessions"] == 8.0);
    drop(floods);
}
