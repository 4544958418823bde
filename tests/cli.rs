//! The program as it is started: exit codes, what goes to which stream, signals.

use std::io::{BufRead, BufReader, PipeWriter, Write, pipe};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use jackfield::http::guard::Guard;
use jackfield::http::request::MAX_HEADERS;
use jackfield::net::interfaces::own_addresses;
use jackfield::net::targets::Targets;
use proptest::prelude::*;
use rustix::process::{Pid, Signal, kill_process};

fn jackfield(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JACKFIELD_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str]) -> Output {
    jackfield(args).output().expect("it can be started")
}

/// A pipe that nobody will ever read.
fn closed_pipe() -> PipeWriter {
    let (reader, writer) = pipe().expect("a pipe can be had");
    drop(reader);
    writer
}

/// A server, killed if its test fails.
struct Running {
    child: Child,
    address: SocketAddr,
    banner: String,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        Self::spawn(&mut jackfield(args))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("it can be started");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut banner = String::new();
        let address = loop {
            let start = banner.len();
            assert_ne!(out.read_line(&mut banner).expect("text"), 0, "no address in {banner:?}");
            if let Some((_, rest)) = banner[start..].split_once("http://") {
                break rest.split('/').next().and_then(|address| address.parse().ok()).expect("an address");
            }
        };
        // The block ends with the channels, unless there is something to warn of.
        while !banner.contains("/local/NAME") {
            assert_ne!(out.read_line(&mut banner).expect("text"), 0);
        }
        Self { child, address, banner }
    }

    /// Asks for a page and returns the status line.
    fn status_of(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("not zero");
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("it answers");
        line
    }

    /// Sends TERM and returns the exit code.
    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        self.child.wait().expect("it is ours").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serves_where_the_block_says_and_drains_on_term() {
    let server = Running::start(&["--listen", "127.0.0.1:0"]);
    assert_ne!(server.address.port(), 0);
    assert!(server.banner.contains(&format!("http://{}/console", server.address)), "{}", server.banner);
    assert!(server.status_of("/").starts_with("HTTP/1.1 200 "));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn says_where_other_machines_find_the_console() {
    let server = Running::start(&["--listen", "0.0.0.0:0", "--lan", "off"]);
    let port = server.address.port();
    assert!(server.banner.contains(&format!("  console    http://127.0.0.1:{port}/console\n")), "{}", server.banner);
    let own: Vec<IpAddr> = own_addresses().into_iter().filter(IpAddr::is_ipv4).take(3).collect();
    let expected: Vec<String> = own.iter().map(|own| format!("  network    http://{own}:{port}/console")).collect();
    let told: Vec<&str> = server.banner.lines().filter(|line| line.starts_with("  network ")).collect();
    assert_eq!(told, expected, "{}", server.banner);
    for own in own {
        TcpStream::connect((own, port)).expect("it is reached there");
    }
}

#[test]
fn serves_on_when_nobody_reads_its_log() {
    let server = Running::spawn(jackfield(&["--listen", "127.0.0.1:0", "-vv"]).stderr(closed_pipe()));
    for _ in 0..3 {
        assert!(server.status_of("/").starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_log_goes_to_standard_error_with_a_time() {
    let mut server = Running::start(&["--listen", "127.0.0.1:0", "-vv"]);
    let mut log = BufReader::new(server.child.stderr.take().unwrap());
    server.status_of("/");
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.len() == "2000-01-01T00:00:00.000Z".len() && time.ends_with('Z'), "{line}");
    assert!(rest.contains("[jackfield::"), "{line}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn an_address_in_use_is_one_clear_line_and_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: ") && message.contains(&address) && message.lines().count() == 1, "{message}");
    assert!(output.stdout.is_empty(), "nothing was started that could be announced");
}

#[test]
fn wrong_usage_is_exit_2_on_standard_error() {
    for args in
        [&["--no-such"][..], &["--max-name", "0"], &["check", "--max-name", "0"], &["--config", "/no/such/file"]]
    {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && output.stderr.starts_with(b"error: "), "{args:?}");
    }
    let output = jackfield(&[]).env("JACKFIELD_NO_SUCH", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stderr, b"error: unknown variable JACKFIELD_NO_SUCH\n");
}

#[test]
fn check_opens_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = run(&["check", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"# The configuration is valid.") && output.stderr.is_empty());
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let output = jackfield(&["generate", "config"]).stdout(closed_pipe()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}

/// Whether `check` finds `flag value` valid.
fn is_valid(flag: &str, value: &str) -> bool {
    let args = ["jackfield".to_owned(), "check".to_owned(), format!("{flag}={value}")];
    jackfield::cli::parse(args.map(Into::into), []).is_ok()
}

/// `check` must find valid what the server starts with, and nothing else.
fn agrees_with_the_server(entry: &str) -> Result<(), TestCaseError> {
    let entries = [entry.to_owned()];
    prop_assert_eq!(is_valid("--allow-origin", entry), Guard::new(&entries, &[], &[]).is_ok(), "origin {:?}", entry);
    prop_assert_eq!(is_valid("--allow-host", entry), Guard::new(&[], &entries, &[]).is_ok(), "host {:?}", entry);
    prop_assert_eq!(is_valid("--bridge-allow", entry), Targets::parse(&entries).is_ok(), "target {:?}", entry);
    Ok(())
}

#[test]
fn check_and_server_agree_on_the_most_headers() {
    assert!(is_valid("--max-headers", &MAX_HEADERS.to_string()));
    assert!(!is_valid("--max-headers", &(MAX_HEADERS + 1).to_string()));
}

#[test]
fn check_and_server_agree_on_well_known_origins_and_hosts() -> Result<(), TestCaseError> {
    let long_label = format!("{}.example", "a".repeat(64));
    let long_name = "a.".repeat(128);
    let entries = "* null NULL file:// file:/// https://example.com https://example.com/ https://*.a.b chrome-extension://ab \
                   a a:1 a:0 a:65536 a:000080 a:+1 a: *.a *.a:1 *. ** a. a.. .. . a_b [::1] [::1]:1 [::1]x [::1 [1.2.3.4] \
                   1.2.3.4 1.2.3.4:5 http://[::1]:1 1http://a ://a http:// http://a@b http://ä.example";
    let mut entries = entries.split(' ').chain(["", "a b", &long_label, &long_name]);
    entries.try_for_each(agrees_with_the_server)
}

proptest! {
    #[test]
    fn check_and_server_agree_on_origins_and_hosts(
        entry in "([a-z+.1-]{0,4}://)?(\\*\\.)?([a-z0-9._-]{0,6}|\\[[0-9a-f:.]{0,6}\\]|[\\[\\]:/@ %a1.*]{0,6})(:[0-9+]{0,6})?",
    ) {
        agrees_with_the_server(&entry)?;
    }
}
