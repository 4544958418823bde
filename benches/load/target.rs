//! The server under test: where it is, and how to start one on a core of its own.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::dialect::Dialect;
use crate::secure::Certificate;

/// How long a server may take to say where it listens.
const START: Duration = Duration::from_secs(20);

/// What a server that we start prints in front of the port it got.
const ANNOUNCEMENTS: [&str; 3] = ["http://127.0.0.1:", "ws://127.0.0.1:", "https://127.0.0.1:"];

/// A WebSocket URL with its address looked up.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    pub(crate) address: SocketAddr,
    /// As the Host header says it.
    pub(crate) host: String,
    pub(crate) path: String,
    /// The echo server that a bridge is to lead to.
    pub(crate) target: Option<SocketAddr>,
    /// How TLS is spoken, if it is.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("ws://").or_else(|| text.strip_prefix("http://")).ok_or(
            "the URL must begin with ws:// (TLS is spoken with servers that are started: --server jackfield-tls)",
        )?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let with_port = if host.rsplit(']').next().is_some_and(|end| end.contains(':')) {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let mut addresses = with_port.to_socket_addrs().map_err(|error| format!("{with_port}: {error}"))?;
        let address = addresses.next().ok_or_else(|| format!("{with_port} has no address"))?;
        Ok(Self { address, host: host.to_owned(), path: path.to_owned(), target: None, tls: None })
    }
}

impl Url {
    fn local(port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { address, host: address.to_string(), path: "/{pair}".to_owned(), target: None, tls: None }
    }
}

/// A server that can be started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    /// The reference *raw*.
    Raw,
    /// The reference *bare WS*.
    Bare,
    /// What a bridge leads to.
    Echo,
    /// This crate's server as it was built with this bench.
    Jackfield,
    /// The same, spoken to over TLS.
    Secure,
    /// Another build of it, or anything that takes `--listen` and prints its URL.
    Path(PathBuf),
}

impl FromStr for Program {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "raw" => Self::Raw,
            "bare" => Self::Bare,
            "jackfield" => Self::Jackfield,
            "jackfield-tls" => Self::Secure,
            path => Self::Path(path.into()),
        })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Bare => f.write_str("bare WS"),
            Self::Echo => f.write_str("echo"),
            Self::Jackfield => f.write_str("jackfield"),
            Self::Secure => f.write_str("jackfield with TLS"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl Program {
    /// What its clients speak unless told otherwise.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Raw | Self::Echo => Dialect::Raw,
            Self::Bare => Dialect::Plain,
            _ => Dialect::Named,
        }
    }

    /// The arguments with which it bridges to this address.
    pub(crate) fn bridge_arguments(&self, target: SocketAddr) -> Vec<String> {
        match self {
            Self::Raw | Self::Bare | Self::Echo => vec!["--target".to_owned(), target.to_string()],
            Self::Jackfield | Self::Secure | Self::Path(_) => vec!["--bridge-allow".to_owned(), target.to_string()],
        }
    }

    /// Its binary; the references are in this one.
    pub(crate) fn path(&self) -> Outcome<PathBuf> {
        Ok(match self {
            Self::Raw | Self::Bare | Self::Echo => std::env::current_exe()?,
            Self::Jackfield | Self::Secure => env!("CARGO_BIN_EXE_jackfield").into(),
            Self::Path(path) => path.clone(),
        })
    }

    fn arguments(&self, is_fanout: bool) -> &'static [&'static str] {
        match self {
            Self::Raw if is_fanout => &["reference", "raw", "--fanout"],
            Self::Raw => &["reference", "raw"],
            Self::Bare => &["reference", "bare"],
            Self::Echo => &["reference", "echo"],
            Self::Jackfield | Self::Path(_) => &["--listen", "127.0.0.1:0"],
            // What it listens with is in its certificate's arguments.
            Self::Secure => &[],
        }
    }
}

/// Which cores the two sides of a measurement have to themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pinning {
    /// The server on core 0, the generator on core 1.
    Apart,
    /// Wherever the kernel puts them.
    None,
}

impl Pinning {
    /// Pins this process. Without a second core or the `taskset` command nobody is pinned.
    pub(crate) fn apply(self) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let pid = std::process::id().to_string();
        let taskset = || {
            let pinned = Command::new("taskset").args(["-cp", "1", &pid]).stdout(Stdio::null()).status();
            pinned.is_ok_and(|status| status.success())
        };
        if self == Self::Apart && cores > 1 && taskset() { Self::Apart } else { Self::None }
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: Url,
    _certificate: Option<Certificate>,
}

impl Server {
    /// Starts a server and waits until it says where it listens.
    pub(crate) fn start(program: &Program, extra: &[String], is_fanout: bool, pinning: Pinning) -> Outcome<Self> {
        let path = program.path()?;
        let certificate = if *program == Program::Secure { Some(Certificate::make()?) } else { None };
        let mut command = match pinning {
            // taskset becomes the server, so that the child's id is the server's.
            Pinning::Apart => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(&path);
                command
            }
            Pinning::None => Command::new(&path),
        };
        // A reference ends with its standard input.
        command.args(certificate.iter().flat_map(Certificate::arguments));
        command.args(program.arguments(is_fanout)).args(extra).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", path.display()))?;
        let stdout = child.stdout.take().ok_or("standard output was asked for")?;
        // From here on an error stops the child.
        let tls = certificate.as_ref().map(|certificate| Arc::clone(&certificate.client));
        let mut server = Self { child, url: Url::local(0), _certificate: certificate };
        let port = announced_port(stdout).map_err(|error| format!("{}: {error}", path.display()))?;
        server.url = Url { tls, ..Url::local(port) };
        Ok(server)
    }

    /// Starts the echo server of a bridge, on the generator's core: the server's is its own.
    pub(crate) fn echo() -> Outcome<Self> {
        Self::start(&Program::Echo, &[], false, Pinning::None)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the measurement has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds the port in what a server prints. A thread goes on reading, so that the server never waits for us.
fn announced_port(stdout: ChildStdout) -> Outcome<u16> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(port) = port_in(&line) {
                // Only the first one is waited for.
                let _ = sender.send(port);
            }
        }
    });
    receiver.recv_timeout(START).map_err(|_| "the server does not say where it listens".into())
}

fn port_in(line: &str) -> Option<u16> {
    let (_, rest) = ANNOUNCEMENTS.iter().find_map(|before| line.split_once(before))?;
    let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
