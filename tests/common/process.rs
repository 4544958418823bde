//! The real program as a child process: for signals, exit codes, what it prints and what memory it takes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use super::DEADLINE;
use super::client::Client;

/// A running program; killed when dropped.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// Everything printed so far, both streams together, line by line.
#[derive(Default)]
struct Output {
    so_far: Mutex<Printed>,
    changed: Condvar,
}

#[derive(Default)]
struct Printed {
    text: String,
    ended_streams: usize,
}

impl Process {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts the program on a free port of 127.0.0.1 and waits until it says which.
    #[track_caller]
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_jackfield")), arguments)
    }

    /// As `start`, with a limit on its descriptors.
    #[track_caller]
    pub(crate) fn start_with_descriptors(limit: u32, arguments: &[&str]) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_jackfield")]);
        Self::spawn(shell, arguments)
    }

    /// As `start_with_descriptors`, with so many of them open already.
    #[track_caller]
    pub(crate) fn start_among_descriptors(limit: u32, open: u32) -> Self {
        let mut shell = Command::new("/bin/bash");
        let script = format!(
            "for ((i = 10; i < {end}; i++)); do eval \"exec $i</dev/null\"; done; ulimit -n {limit} && exec \"$0\" \"$@\"",
            end = 10 + open
        );
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_jackfield")]);
        Self::spawn(shell, &[])
    }

    /// As `start`, under strace, which writes the program's calls of the system to the file
    /// `log`: those that `calls` selects ("trace=read,write"), each in one line.
    #[track_caller]
    pub(crate) fn start_traced(log: &Path, calls: &str, arguments: &[&str]) -> Self {
        let mut strace = Command::new("strace");
        // As a grandchild, so that the child is the program.
        strace.args(["-D", "-f", "-qq", "-s", "64", "-e", "signal=none", "-e", calls, "-o"]);
        strace.arg(log).arg(env!("CARGO_BIN_EXE_jackfield"));
        Self::spawn(strace, arguments)
    }

    #[track_caller]
    fn spawn(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = Arc::new(Output::default());
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("a pipe was asked for")),
            Box::new(child.stderr.take().expect("a pipe was asked for")),
        ];
        let readers = streams.map(|stream| {
            let output = Arc::clone(&output);
            thread::spawn(move || output.collect(stream))
        });
        let address = output.wait_for("an address", listening_address);
        Self { child, address, output, readers: readers.into() }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS.
    #[track_caller]
    pub(crate) fn tls_address(&self) -> SocketAddr {
        self.output.wait_for("an address for TLS", |text| listening_address(text.split_once("https://")?.1))
    }

    /// A WebSocket client on `target`.
    #[track_caller]
    pub(crate) fn client(&self, target: &str) -> Client {
        Client::open(self.address, target)
    }

    /// Waits until the output so far contains `needle`.
    #[track_caller]
    pub(crate) fn expect_output(&self, needle: &str) {
        self.output.wait_for(needle, |text| text.contains(needle).then_some(()));
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process ids are positive");
        kill_process(Pid::from_raw(pid).expect("not zero"), signal).expect("our own child");
    }

    /// From now on it can open no descriptor beyond this; returns what the limit was.
    pub(crate) fn limit_descriptors(&self, limit: Option<u64>) -> Option<u64> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("our own child");
        let maximum = getrlimit(Resource::Nofile).maximum;
        prlimit(Some(pid), Resource::Nofile, Rlimit { current: limit, maximum }).expect("our own child").current
    }

    /// Waits for its end: how it ended and everything it printed.
    #[track_caller]
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                break status;
            }
            assert!(start.elapsed() < DEADLINE, "the program does not end; it printed:\n{}", self.output.so_far());
            thread::sleep(Duration::from_millis(1));
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("reading a pipe does not panic");
        }
        (status, self.output.so_far())
    }

    /// How often it has slept and been woken.
    pub(crate) fn wake_ups(&self) -> u64 {
        self.status("voluntary_ctxt_switches:")
    }

    /// Resident memory and size of the data segment, in KiB.
    pub(crate) fn memory(&self) -> Memory {
        Memory { resident: self.status("VmRSS:"), data: self.status("VmData:") }
    }

    /// The time that it has worked, on all threads, to a hundredth of a second.
    pub(crate) fn worked(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("our own child");
        let behind = stat.rsplit_once(')').expect("the name is in brackets").1;
        let ticks = behind.split(' ').skip(12).take(2).map(|ticks| ticks.parse::<u64>().expect("a number"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// A number in the kernel's description of the process.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("our own child");
        let line = status.lines().find(|line| line.starts_with(name)).expect("the kernel tells");
        line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the child takes, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Pages that it has touched.
    pub(crate) resident: u64,
    /// Address space for data that it has asked for, touched or not.
    pub(crate) data: u64,
}

impl Output {
    fn collect(&self, stream: impl Read) {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { break };
            let mut printed = self.so_far.lock().expect("no reader panics");
            printed.text.push_str(&String::from_utf8_lossy(&line));
            printed.text.push('\n');
            self.changed.notify_all();
        }
        self.so_far.lock().expect("no reader panics").ended_streams += 1;
        self.changed.notify_all();
    }

    #[track_caller]
    fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut printed = self.so_far.lock().expect("no reader panics");
        loop {
            if let Some(found) = find(&printed.text) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let is_over = left.is_zero() || printed.ended_streams == 2;
            assert!(!is_over, "waited for {what} in:\n{}", printed.text);
            printed = self.changed.wait_timeout(printed, left).expect("no reader panics").0;
        }
    }

    fn so_far(&self) -> String {
        self.so_far.lock().expect("no reader panics").text.clone()
    }
}

/// The first address with a port in the start-up block.
fn listening_address(text: &str) -> Option<SocketAddr> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))
        .filter_map(|word| word.parse::<SocketAddr>().ok())
        .find(|address| address.port() != 0 && address.ip().is_loopback())
}
