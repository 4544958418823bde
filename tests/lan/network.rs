//! A local network of several machines, made of network namespaces that are joined by a bridge, and gone when dropped.
//! Nothing of it is connected with the network of the machine that the test runs on.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::common::independent::Independent;
use crate::common::server::Metrics;

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// The port of every server: each host has its own.
pub(crate) const PORT: u16 = 9009;

/// Several hosts on one link, with the addresses 10.77.0.1 and on.
pub(crate) struct Network {
    prefix: String,
    hosts: usize,
}

/// A server on one of the hosts; killed when dropped.
pub(crate) struct Server {
    child: Child,
    host: Host,
    output: std::path::PathBuf,
}

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    namespace: String,
}

impl Network {
    /// As many hosts on one switch, none of which has joined the network.
    #[track_caller]
    pub(crate) fn new(hosts: usize) -> Self {
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let network = Self { prefix: format!("jf{}-{number}", std::process::id()), hosts };
        let switch = network.switch();
        run(&["ip", "netns", "add", &switch]);
        // Without the delay of a spanning tree, and without a filter that learns who wants which multicast.
        run(&[
            "ip",
            "-n",
            &switch,
            "link",
            "add",
            "name",
            "br0",
            "type",
            "bridge",
            "forward_delay",
            "0",
            "mcast_snooping",
            "0",
        ]);
        run(&["ip", "-n", &switch, "link", "set", "br0", "up"]);
        for number in 1..=hosts {
            let Host { namespace } = network.host(number);
            run(&["ip", "netns", "add", &namespace]);
            // An address may be used at once: nobody else has it.
            let no_dad = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad";
            run(&["ip", "netns", "exec", &namespace, "sh", "-c", no_dad]);
            run(&["ip", "-n", &namespace, "link", "set", "lo", "up"]);
            let port = format!("port{number}");
            run(&[
                "ip", "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
            ]);
            run(&["ip", "-n", &switch, "link", "set", &port, "master", "br0", "up"]);
        }
        network
    }

    /// Puts a host on the network, with its IPv4 address if it is to have one.
    #[track_caller]
    pub(crate) fn join(&self, number: usize, has_ipv4: bool) {
        let Host { namespace } = self.host(number);
        if has_ipv4 {
            run(&["ip", "-n", &namespace, "address", "add", &format!("10.77.0.{number}/24"), "dev", "eth0"]);
        }
        run(&["ip", "-n", &namespace, "link", "set", "eth0", "up"]);
    }

    /// Gives a host one more address.
    #[track_caller]
    pub(crate) fn give(&self, number: usize, address: &str) {
        let Host { namespace } = self.host(number);
        run(&["ip", "-n", &namespace, "address", "add", address, "dev", "eth0"]);
    }

    /// The host of this number, from 1.
    pub(crate) fn host(&self, number: usize) -> Host {
        Host { namespace: format!("{}-{number}", self.prefix) }
    }

    /// Cuts a host's cable, or mends it.
    #[track_caller]
    pub(crate) fn plug(&self, number: usize, is_in: bool) {
        let state = if is_in { "up" } else { "down" };
        run(&["ip", "-n", &self.switch(), "link", "set", &format!("port{number}"), state]);
    }

    fn switch(&self) -> String {
        format!("{}-sw", self.prefix)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let hosts = (1..=self.hosts).map(|number| self.host(number).namespace);
        for namespace in hosts.chain([self.switch()]) {
            let _ = Command::new("ip").args(["netns", "del", &namespace]).stderr(Stdio::null()).status();
        }
    }
}

impl Host {
    /// Does something there, on a thread of its own; sockets that it opens stay there.
    #[track_caller]
    pub(crate) fn within<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.namespace)).expect("the namespace is there");
        let there = thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("we may go there");
            act()
        });
        there.join().expect("what is done there goes well")
    }

    /// Starts a server that all hosts can reach.
    #[track_caller]
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_at("0.0.0.0", arguments)
    }

    /// Starts a server at one of its addresses.
    #[track_caller]
    pub(crate) fn serve_at(&self, address: &str, arguments: &[&str]) -> Server {
        let output = std::env::temp_dir().join(format!("{}.log", self.namespace));
        let log = File::create(&output).expect("a file for the log");
        let mut command = self.command(env!("CARGO_BIN_EXE_jackfield"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(["--listen", &format!("{address}:{PORT}"), "-v"]).args(arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let child = command.spawn().expect("the program starts");
        let server = Server { child, host: self.clone(), output };
        let start = Instant::now();
        while !server.log().contains("listening") {
            assert!(start.elapsed() < Duration::from_secs(10), "it does not start:\n{}", server.log());
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// A program that runs there, once it is started.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]);
        command
    }

    /// A client of this host's own server.
    #[track_caller]
    pub(crate) fn client(&self, target: &str) -> Independent {
        let target = target.to_owned();
        self.within(move || Independent::open(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), &target))
    }

    /// An observer of its server.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        self.within(|| Metrics::of(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))))
    }
}

impl Server {
    /// The host that it runs on.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// A client of it.
    #[track_caller]
    pub(crate) fn client(&self, target: &str) -> Independent {
        self.host.client(target)
    }

    /// Waits until it has this many links.
    #[track_caller]
    pub(crate) fn wait_for_links(&self, count: f64) {
        let mut metrics = self.host.metrics();
        let start = Instant::now();
        while metrics.value("jackfield_links") != count {
            let elapsed = start.elapsed();
            assert!(elapsed < Duration::from_secs(35), "{count} links after {elapsed:?}:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.output).expect("the log is there")
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        let pid = i32::try_from(self.child.id()).expect("process ids are positive");
        kill_process(Pid::from_raw(pid).expect("not zero"), Signal::TERM).expect("our own child");
    }

    /// Bytes of memory that it has resident.
    pub(crate) fn resident(&self) -> usize {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("it runs");
        let pages: usize = statm.split(' ').nth(1).expect("resident").parse().expect("a number");
        pages * 4096
    }

    /// The time that it has worked, on all threads.
    pub(crate) fn worked(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let behind = stat.rsplit_once(')').expect("the name is in brackets").1;
        let ticks: u64 = behind.split(' ').skip(12).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.output);
    }
}

/// Whether namespaces can be made here.
pub(crate) fn is_permitted() -> bool {
    let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
    let probe = format!("jf{}-{number}", std::process::id());
    let ip = |action| Command::new("ip").args(["netns", action, &probe]).stderr(Stdio::null()).status();
    let is_permitted = ip("add").is_ok_and(|status| status.success());
    let _ = ip("del");
    is_permitted
}

#[track_caller]
fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output().expect("the command is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
