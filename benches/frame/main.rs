//! What framing costs by itself: our assembler and reframing against tungstenite's `WebSocketContext`, on the same bytes
//! in memory, with allocations counted.
//!
//! `cargo bench --bench frame` prints a table; `cargo bench --bench frame -- --smoke` runs each row once, to see that it
//! still works. Times are the best of several rounds: on a shared machine that is the figure that means something, and
//! only the ratio of two columns does.

#![allow(clippy::print_stdout, reason = "a benchmark's table goes to standard output")]

use std::alloc::System;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use jackfield::frame::assemble::{Assembler, Item, MessageLimits, Window};
use jackfield::frame::pool::Pool;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How long a row is measured; the best round counts.
const ROW: Duration = Duration::from_millis(300);

/// A burst of masked frames.
struct Burst {
    name: String,
    bytes: Vec<u8>,
    frames: usize,
}

impl Burst {
    fn new(is_text: bool, size: usize, frames: usize) -> Self {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        let mut bytes = Vec::new();
        for _ in 0..frames {
            bytes.push(if is_text { 0x81 } else { 0x82 });
            match size {
                0..=125 => bytes.push(0x80 | size as u8),
                126..=65535 => {
                    bytes.push(0x80 | 126);
                    bytes.extend((size as u16).to_be_bytes());
                }
                _ => {
                    bytes.push(0x80 | 127);
                    bytes.extend((size as u64).to_be_bytes());
                }
            }
            bytes.extend(key);
            bytes.extend((0..size).map(|i| b"jackfield "[i % 10] ^ key[i % 4]));
        }
        let kind = if is_text { "text" } else { "binary" };
        Self { name: format!("{kind}, {size} B × {frames}"), bytes, frames }
    }
}

/// Time and allocations of one round.
struct Cost {
    time: Duration,
    allocations: usize,
}

/// The best of as many rounds as fit into the row's time. `prepare` makes what a round uses up and is not measured.
fn measure<T>(is_smoke: bool, mut prepare: impl FnMut() -> T, mut round: impl FnMut(&mut T)) -> Cost {
    let (start, mut best) = (Instant::now(), Cost { time: Duration::MAX, allocations: 0 });
    loop {
        let mut input = prepare();
        let region = Region::new(ALLOCATOR);
        let began = Instant::now();
        round(&mut input);
        let time = began.elapsed();
        if time < best.time {
            best = Cost { time, allocations: region.change().allocations };
        }
        if is_smoke || start.elapsed() > ROW {
            return best;
        }
    }
}

/// Split, unmask, check, frame for the way on.
fn ours(burst: &Burst, is_smoke: bool) -> Cost {
    let limits = MessageLimits { bytes: 1 << 20, fragments: 4096 };
    let (mut assembler, mut pool) = (Assembler::default(), Pool::default());
    measure(
        is_smoke,
        || burst.bytes.clone(),
        |bytes| {
            let (mut window, mut frames) = (Window::new(bytes.len()), 0);
            while let Ok(Some(Item::Message(message))) = assembler.next(bytes, &mut window, limits, &mut pool) {
                black_box(message.reframe());
                frames += 1;
            }
            assert_eq!(frames, burst.frames);
        },
    )
}

/// Read, and write on.
fn tungstenite(burst: &Burst, is_smoke: bool) -> Cost {
    let config = WebSocketConfig::default();
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    measure(
        is_smoke,
        || (),
        |()| {
            let mut wire = Wire(&burst.bytes);
            for _ in 0..burst.frames {
                let message = context.read(&mut wire).expect("the frames are right");
                context.write(&mut wire, message).expect("memory takes everything");
            }
            context.flush(&mut wire).expect("memory takes everything");
        },
    )
}

/// A stream that has these bytes and takes whatever is written.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() {
    let is_smoke = std::env::args().any(|argument| argument == "--smoke" || argument == "--test");
    let mut bursts = Vec::new();
    for is_text in [false, true] {
        for (size, frames) in [(125, 1), (125, 16), (125, 64), (1024, 16), (16 * 1024, 4), (64 * 1024, 2)] {
            bursts.push(Burst::new(is_text, size, frames));
        }
    }
    println!("| burst | ours, ns a frame | tungstenite, ns a frame | ratio | our allocations | theirs |");
    println!("|---|---|---|---|---|---|");
    for burst in &bursts {
        let (ours, theirs) = (ours(burst, is_smoke), tungstenite(burst, is_smoke));
        let each = |cost: &Cost| cost.time.as_nanos() as f64 / burst.frames as f64;
        println!(
            "| {} | {:.0} | {:.0} | {:.2} | {} | {} |",
            burst.name,
            each(&ours),
            each(&theirs),
            each(&ours) / each(&theirs),
            ours.allocations,
            theirs.allocations
        );
    }
}
