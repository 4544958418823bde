//! The load generator: what a relayed message costs, in CPU time of the server, beside the least that it could cost.
//!
//! ```text
//! cargo bench --bench load                                 our server, one pair, 125 bytes, one message in flight
//! cargo bench --bench load -- --pairs 50 --size 16K --window 4 --seconds 5
//! cargo bench --bench load -- --server bare                the same load on a reference: raw, bare, or a path
//! cargo bench --bench load -- --url ws://host/path --echo  any server that echoes (or relays, with {pair} in the path)
//! cargo bench --bench load -- --dialect webshare --text --window 16
//! cargo bench --bench load -- --dialect pocket --text --fanout 200
//! cargo bench --bench load -- --dialect ws2s --size 64K    through a bridge to an echo server, in base64; --text in text
//! cargo bench --bench load -- --dialect tcp --size 64K --window 4
//! cargo bench --bench load -- --fanout 1000                one name with a thousand members
//! cargo bench --bench load -- --pairs 50 --rate 20000      an open loop; latency counts from when a message was due
//! cargo bench --bench load -- --idle 10000 --pairs 100     idle connections beside the load; resident bytes for each
//! cargo bench --bench load -- --connect 16                 accept, upgrade, close, in a loop
//! cargo bench --bench load -- devices                      5,000 devices that poll and 5,000 over WebSockets
//! cargo bench --bench load -- attack                       100 pairs, alone and beside 10,000 hostile sockets
//! cargo bench --bench load -- --server jackfield-tls       the same load over TLS
//! cargo bench --bench load -- table                        the table of ratios to the references
//! cargo bench --bench load -- table --tls                  the table of what TLS costs, beside the plain server
//! cargo bench --bench load -- table --rows '125 B' --rounds 5
//! cargo bench --bench load -- table --smoke                a moment of everything; fails when a payload is wrong
//! ```
//!
//! Every payload carries its number and is checked to its last byte; a wrong, lost or reordered message ends the run
//! with an error. Client frames are really masked, each with a key of its own. The generator is one thread; where
//! there are two cores and `taskset`, the server has core 0 and the generator core 1, and the report says which of
//! them was saturated. CPU time is the scheduler's own account of the server (`/proc/PID/task/*/schedstat`), kernel
//! work for its system calls included.
//!
//! `benches/load/`: [`load`] the groups and their messages, [`connect`] handshakes, [`devices`] crowds of Socket.IO
//! devices, [`attack`] crowds of attackers, [`client`] one connection, [`frames`] and [`payload`] what it says, [`dialect`] how, [`target`] the server,
//! [`measure`] the kernel's figures, [`report`] one measurement, [`table`] and [`rows`] all of them, [`reference`] the
//! yardsticks, [`secure`] TLS.

#![allow(clippy::print_stdout, reason = "what it measures goes to standard output")]

mod attack;
mod client;
mod connect;
mod devices;
mod dialect;
mod frames;
mod load;
mod measure;
mod payload;
mod reference;
mod report;
mod rows;
mod secure;
mod table;
mod target;

use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rustix::process::{Resource, getrlimit, setrlimit};

use connect::Connects;
use dialect::Dialect;
use load::Plan;
use payload::Content;
use reference::{Exchange, Grouping, bare::Bare, echo::Echo, raw::Raw};
use report::Run;
use target::{Pinning, Program, Server, Url};

/// A value, or the sentence that tells the user why there is none.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, Parser)]
#[command(name = "load", about = "Measures what a relayed message costs", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    mode: Option<Mode>,
    #[command(flatten)]
    load: LoadArgs,
    /// Cargo says so when it runs benches.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Print the ratios to the references as a Markdown table
    Table(table::TableArgs),
    /// Thousands of Socket.IO devices at once: memory, CPU time, and whether any is lost
    Devices(devices::DevicesArgs),
    /// A hundred pairs alone and beside thousands of attackers' sockets: latency, memory, refusals
    Attack(attack::AttackArgs),
    /// Be a reference server
    #[command(hide = true)]
    Reference {
        kind: ReferenceKind,
        /// Everybody is joined with everybody, on a server that does not look at paths
        #[arg(long)]
        fanout: bool,
        /// Be a bridge to this address
        #[arg(long)]
        target: Option<SocketAddr>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReferenceKind {
    Raw,
    Bare,
    Echo,
}

#[derive(Args, Debug)]
struct LoadArgs {
    /// A running server
    #[arg(long, value_name = "ws://HOST/PATH", conflicts_with = "server")]
    url: Option<Url>,
    /// A server to start: raw, bare, jackfield, jackfield-tls, or a path
    #[arg(long, value_name = "PROGRAM", default_value = "jackfield")]
    server: Program,
    /// An argument for the server that is started (repeatable)
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    server_arg: Vec<String>,
    /// The process whose CPU time and memory are measured, with --url
    #[arg(long, requires = "url")]
    pid: Option<u32>,
    /// What the clients speak [default: what the server does]
    #[arg(long)]
    dialect: Option<Dialect>,
    /// The echo server that a bridge leads to [default: one is started]
    #[arg(long, value_name = "HOST:PORT")]
    target: Option<SocketAddr>,
    /// Groups of connections
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pairs: usize,
    /// Members of a group, of which one sends
    #[arg(long, value_name = "MEMBERS", value_parser = at_least_one)]
    fanout: Option<usize>,
    /// Groups of one, whose messages come back
    #[arg(long, conflicts_with = "fanout")]
    echo: bool,
    /// Bytes of a message (K and M are 1024 and 1024²)
    #[arg(long, default_value = "125", value_parser = size)]
    size: usize,
    /// Send text instead of binary; `mixed` has characters beyond ASCII
    #[arg(long, value_name = "ascii|mixed", num_args = 0..=1, require_equals = true, default_missing_value = "ascii")]
    text: Option<Content>,
    /// Messages in flight in each group
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    window: usize,
    /// Messages per second in all, whether or not the server keeps up
    #[arg(long)]
    rate: Option<f64>,
    /// Connections opened per second
    #[arg(long)]
    ramp: Option<f64>,
    /// Seconds to measure, after a fifth of that to warm up
    #[arg(long, alias = "duration", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Connections that say nothing, beside the load
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// Only connect: so many at a time, upgraded and closed, over and over
    #[arg(long, value_name = "CONNECTIONS", value_parser = at_least_one)]
    connect: Option<usize>,
    /// With --connect: end each connection with Close frames
    #[arg(long, requires = "connect")]
    goodbye: bool,
    /// Never sleep in the generator, as with --rate
    #[arg(long)]
    spin: bool,
    /// Do not give server and generator a core each
    #[arg(long)]
    no_pin: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    // `cargo test --benches` runs this without any argument: then a moment of everything is right.
    let is_test = std::env::args_os().len() == 1;
    let cli = Cli::parse();
    let done = match cli.mode {
        Some(Mode::Reference { kind, fanout, target }) => serve(kind, fanout, target),
        Some(Mode::Table(table)) => raise_descriptor_limit().and_then(|()| table.run()),
        Some(Mode::Devices(devices)) => raise_descriptor_limit().and_then(|()| devices.run()),
        Some(Mode::Attack(attack)) => raise_descriptor_limit().and_then(|()| attack.run()),
        None if is_test => raise_descriptor_limit().and_then(|()| table::TableArgs::smoke().run()),
        None => raise_descriptor_limit().and_then(|()| cli.load.run()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

impl LoadArgs {
    fn run(&self) -> Outcome<()> {
        let pinning = if self.no_pin || self.url.is_some() { Pinning::None } else { Pinning::Apart.apply() };
        let unspoken = if self.url.is_some() { Dialect::Plain } else { self.server.dialect() };
        let dialect = self.dialect.unwrap_or(unspoken);
        let is_bridged = dialect.is_bridge() || self.target.is_some();
        let members = if self.echo || is_bridged { self.fanout.unwrap_or(1) } else { self.fanout.unwrap_or(2) };
        let echo = if is_bridged && self.target.is_none() { Some(Server::echo()?) } else { None };
        let target = self.target.or_else(|| echo.as_ref().map(|echo| echo.url.address));
        let mut arguments = target.map_or_else(Vec::new, |target| self.server.bridge_arguments(target));
        arguments.extend_from_slice(&self.server_arg);
        let server = match self.url {
            Some(_) => None,
            None => Some(Server::start(&self.server, &arguments, members > 2, pinning)?),
        };
        let url = self.url.clone().or_else(|| server.as_ref().map(|server| server.url.clone()));
        let url = Url { target, ..url.ok_or("there is a URL or a server")? };
        if dialect == Dialect::Plain && self.pairs > 1 && members > 1 && !url.path.contains("{pair}") {
            return Err("several pairs on one path would all hear each other: put {pair} into the URL".into());
        }
        let run = Run { seconds: self.seconds, pid: self.pid.or(server.as_ref().map(Server::pid)) };
        let report = match self.connect {
            Some(slots) => run.connects(&mut Connects::open(url, dialect, slots, self.goodbye)?)?,
            None => run.load(&Plan {
                url,
                dialect,
                groups: self.pairs,
                members,
                content: self.text.unwrap_or(Content::Binary),
                size: self.size,
                window: self.window,
                rate: self.rate,
                ramp: self.ramp,
                idle: self.idle,
                spin: self.spin,
            })?,
        };
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
            return Ok(());
        }
        let name = if self.url.is_some() { "the server at the URL".to_owned() } else { self.server.to_string() };
        let pinned = if pinning == Pinning::Apart { "server on core 0, generator on core 1" } else { "not pinned" };
        print!("{name} ({pinned})\n{report}");
        Ok(())
    }
}

fn serve(kind: ReferenceKind, fanout: bool, target: Option<SocketAddr>) -> Outcome<()> {
    // Whoever started us holds our standard input open.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let grouping = if fanout { Grouping::FanOut } else { Grouping::Pairs };
    match kind {
        ReferenceKind::Raw => {
            let exchange = Exchange::<Raw>::bind(grouping, target)?;
            println!("http://{}/", exchange.address()?);
            exchange.run()?;
        }
        ReferenceKind::Bare => {
            let exchange = Exchange::<Bare>::bind(grouping, target)?;
            println!("http://{}/", exchange.address()?);
            exchange.run()?;
        }
        ReferenceKind::Echo => {
            let exchange = Exchange::<Echo>::bind(grouping, None)?;
            println!("http://{}/", exchange.address()?);
            exchange.run()?;
        }
    }
    Ok(())
}

/// As many descriptors as the system lets us have; servers that we start inherit the limit.
fn raise_descriptor_limit() -> Outcome<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(|error| format!("the limit on open files: {error}").into())
}

fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.to_ascii_uppercase() {
        upper if upper.ends_with('K') => (&text[..text.len() - 1], 1024),
        upper if upper.ends_with('M') => (&text[..text.len() - 1], 1024 * 1024),
        _ => (text, 1),
    };
    match digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err("expected a number of bytes like 125, 16K or 1M".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a number from 1 on".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && seconds < 1e6 => Ok(seconds),
        _ => Err("expected a number of seconds".to_owned()),
    }
}
