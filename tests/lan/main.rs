//! Machines on one network that find each other: each is a network namespace, and nobody lists anybody.
//!
//! Needs the right to make namespaces, so it runs where `JACKFIELD_TEST_LAN` is set and says loudly where it does not:
//! `tests/run lan` sets it wherever namespaces can be made.

#[path = "../common/mod.rs"]
mod common;
mod forged;
mod network;

use std::env;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use common::client::Client;
use common::independent::Independent;
use jackfield::net::targets::Targets;
use network::{Network, PORT, Server, is_permitted};

/// What "at once" means between machines: the time from which on a message is heard, after both ends have joined.
const SOON: Duration = Duration::from_secs(2);

/// A network that this many hosts have joined, unless there cannot be one here.
fn network(hosts: usize) -> Option<Network> {
    let network = empty_network(hosts)?;
    (1..=hosts).for_each(|number| network.join(number, true));
    Some(network)
}

fn empty_network(hosts: usize) -> Option<Network> {
    if env::var_os("JACKFIELD_TEST_LAN").is_none() {
        eprintln!("\n!!! NOT TESTED: nothing of the LAN is, as JACKFIELD_TEST_LAN is not set (tests/run lan)\n");
        return None;
    }
    assert!(is_permitted(), "network namespaces are not permitted here, and JACKFIELD_TEST_LAN insists on them");
    Some(Network::new(hosts))
}

fn serve(network: &Network, hosts: usize, arguments: &[&str]) -> Vec<Server> {
    (1..=hosts).map(|number| network.host(number).serve(arguments)).collect()
}

/// One speaks until the other has heard it: how long that took.
fn first_message(speaker: &mut Independent, listener: &mut Independent, since: Instant) -> Duration {
    listener.set_patience(Duration::from_millis(20));
    loop {
        speaker.say("anybody there?");
        if listener.try_next().is_some() {
            let took = since.elapsed();
            listener.set_patience(Duration::from_millis(300));
            while listener.try_next().is_some() {}
            listener.set_patience(common::DEADLINE);
            return took;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "nothing is heard");
    }
}

#[test]
fn two_hosts_that_know_nothing_of_each_other_are_one_channel_soon() {
    let Some(network) = network(2) else { return };
    let servers = serve(&network, 2, &[]);
    for path in ["/broadcast/first", "/broadcast/second"] {
        let mut alice = servers[0].client(path);
        let mut bob = servers[1].client(path);
        let took = first_message(&mut alice, &mut bob, Instant::now());
        eprintln!("the first message on {path} after {took:?}");
        assert!(took < SOON, "{took:?}\n{}", servers[0].log());
        for number in 0..100 {
            alice.say(&format!("alice {number}"));
            bob.say(&format!("bob {number}"));
        }
        for number in 0..100 {
            bob.hears(&format!("alice {number}"));
            alice.hears(&format!("bob {number}"));
        }
        bob.hears_nothing();
        alice.hears_nothing();
    }
    // A name that no label holds, and one that differs in case alone.
    for path in [format!("/broadcast/{}", "x".repeat(255)), "/broadcast/First".to_owned()] {
        let mut alice = servers[0].client(&path);
        let mut bob = servers[1].client(&path);
        assert!(first_message(&mut alice, &mut bob, Instant::now()) < SOON);
    }
}

#[test]
fn many_channels_at_once_are_all_linked() {
    let Some(network) = network(2) else { return };
    let servers = serve(&network, 2, &[]);
    // More than the responder takes orders at once.
    let join = |server: &Server| -> Vec<Independent> {
        (0..200).map(|number| server.client(&format!("/broadcast/channel{number}"))).collect()
    };
    let start = Instant::now();
    let mut clients = [join(&servers[0]), join(&servers[1])];
    for server in &servers {
        server.wait_for_links(200.0);
    }
    eprintln!("200 channels are linked after {:?}", start.elapsed());
    let [ours, theirs] = &mut clients;
    for (number, (one, other)) in ours.iter_mut().zip(theirs).enumerate() {
        one.say(&number.to_string());
        other.hears(&number.to_string());
    }
}

#[test]
fn three_hosts_are_a_mesh_where_everything_is_heard_once_and_in_order() {
    let Some(network) = network(3) else { return };
    let servers = serve(&network, 3, &[]);
    let mut clients: Vec<_> = servers.iter().map(|server| server.client("/broadcast/demo")).collect();
    for server in &servers {
        server.wait_for_links(2.0);
    }
    for speaker in 0..3 {
        for number in 0..200 {
            clients[speaker].say(&format!("{speaker}: {number}"));
        }
        for listener in (0..3).filter(|listener| *listener != speaker) {
            for number in 0..200 {
                clients[listener].hears(&format!("{speaker}: {number}"));
            }
        }
    }
    for client in &mut clients {
        client.hears_nothing();
    }
}

#[test]
fn who_leaves_is_gone_soon_and_who_comes_back_is_there_again() {
    let Some(network) = network(3) else { return };
    let mut servers = serve(&network, 3, &[]);
    let mut watcher = servers[0].client("/network/demo");
    let mut others: Vec<_> = servers[1..].iter().map(|server| server.client("/network/demo")).collect();
    for _ in 0..2 {
        assert!(text(&mut watcher).starts_with(r#"{"action":"connect""#));
    }
    // A clean stop.
    let start = Instant::now();
    servers[2].stop();
    assert!(text(&mut watcher).starts_with(r#"{"action":"disconnect""#));
    let took = start.elapsed();
    eprintln!("a clean stop is seen after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    servers.pop();
    others.pop();
    // It comes back.
    servers.push(network.host(3).serve(&[]));
    others.push(servers[2].client("/network/demo"));
    assert!(text(&mut watcher).starts_with(r#"{"action":"connect""#));
    // A cut cable.
    let start = Instant::now();
    network.plug(2, false);
    watcher.set_patience(Duration::from_secs(40));
    assert!(text(&mut watcher).starts_with(r#"{"action":"disconnect""#));
    let took = start.elapsed();
    eprintln!("a cut cable is seen after {took:?}");
    assert!(took < Duration::from_secs(35), "{took:?}");
    // It is mended.
    network.plug(2, true);
    let start = Instant::now();
    assert!(text(&mut watcher).starts_with(r#"{"action":"connect""#), "{}", servers[0].log());
    eprintln!("a mended cable is seen after {:?}", start.elapsed());
}

/// The next message, as text.
fn text(client: &mut Independent) -> String {
    client.next().into_text().expect("text").to_string()
}

#[test]
fn interfaces_come_later_and_have_ipv6_alone() {
    let Some(network) = empty_network(2) else { return };
    let servers: Vec<_> = (1..=2).map(|number| network.host(number).serve_at("[::]", &[])).collect();
    let mut alice = servers[0].client("/broadcast/demo");
    let mut bob = servers[1].client("/broadcast/demo");
    network.join(1, false);
    network.join(2, false);
    let took = first_message(&mut alice, &mut bob, Instant::now());
    eprintln!("over interfaces that came later the first message after {took:?}");
    assert!(servers.iter().any(|server| server.log().contains("[fe80::")), "{}", servers[0].log());
    alice.hears_nothing();
}

#[test]
fn only_those_who_know_the_secret_are_linked_and_the_name_is_not_announced() {
    let Some(network) = network(3) else { return };
    let [right, wrong] = ["a secret of some length", "a secret of other length"].map(|secret| {
        let path = env::temp_dir().join(format!("jackfield-lan-{}-{}", std::process::id(), secret.len()));
        fs::write(&path, secret).expect("a file for the secret");
        path.to_str().expect("UTF-8").to_owned()
    });
    let one = network.host(1).serve(&["--lan-secret-file", &right]);
    let two = network.host(2).serve(&["--lan-secret-file", &right]);
    for mixed in [&["--lan-secret-file", &*wrong][..], &[]] {
        let three = network.host(3).serve(mixed);
        let mut mallory = three.client("/broadcast/confidential");
        let mut alice = one.client("/broadcast/confidential");
        let mut bob = two.client("/broadcast/confidential");
        let took = first_message(&mut alice, &mut bob, Instant::now());
        eprintln!("with a secret the first message after {took:?}");
        assert!(took < SOON, "{took:?}");
        // By then mallory would have been linked as well.
        thread::sleep(SOON);
        mallory.say("let me in");
        alice.say("for bob");
        bob.hears("for bob");
        bob.hears_nothing();
        mallory.hears_nothing();
        one.wait_for_links(1.0);
        let proxies = three.host().metrics().value("jackfield_proxies");
        assert!(proxies >= 1.0, "the others are seen, as keys: {proxies}");
    }
    for path in [right, wrong] {
        let _ = fs::remove_file(path);
    }
}

#[test]
fn t27_t29_a_flood_of_forged_announcements_is_bounded_and_links_are_untouched() {
    let Some(network) = network(3) else { return };
    let servers = serve(&network, 2, &[]);
    let mut alice = servers[0].client("/broadcast/demo");
    let mut bob = servers[1].client("/broadcast/demo");
    for server in &servers {
        server.wait_for_links(1.0);
    }
    let (before, worked) = (servers[0].resident(), servers[0].worked());
    let start = Instant::now();
    let attacker = network.host(3).within(|| thread::spawn(|| forged::flood(10_000)));
    let mut heard = 0;
    while !attacker.is_finished() || heard < 100 {
        alice.say("still there?");
        bob.hears("still there?");
        heard += 1;
        thread::sleep(Duration::from_millis(5));
    }
    attacker.join().expect("the flood is sent");
    thread::sleep(Duration::from_secs(3));
    let (took, worked, grown) =
        (start.elapsed(), servers[0].worked() - worked, servers[0].resident().saturating_sub(before));
    let mut metrics = servers[0].host().metrics();
    let (proxies, dropped) =
        (metrics.value("jackfield_proxies"), metrics.value("jackfield_announcements_dropped_total"));
    eprintln!(
        "10,000 forged announcements: {grown} bytes more, {worked:?} of work in {took:?}, {proxies} remembered, \
         {dropped} dropped, {heard} messages meanwhile"
    );
    assert!(proxies <= 1024.0);
    assert!(grown < 64 << 20, "{grown} bytes");
    assert!(worked < took.mul_f64(0.8), "{worked:?}");
    // The link is the one that there was: it never closed.
    assert_eq!(servers[0].log().matches(": linked").count(), 1, "{}", servers[0].log());
    alice.say("and now?");
    bob.hears("and now?");
    bob.hears_nothing();
    // Whoever comes now is found all the same.
    let [mut carol, mut dave] = [0, 1].map(|number: usize| servers[number].client("/broadcast/after"));
    let took = first_message(&mut carol, &mut dave, Instant::now());
    eprintln!("after the flood a new channel is linked in {took:?}");
}

/// T14: an address that looks public is the host's own where the host has it, and then no name leads there.
#[test]
fn t14_an_address_of_this_machine_is_not_public_whatever_it_looks_like() {
    let Some(network) = network(2) else { return };
    network.give(1, "93.184.216.34/32");
    let is_allowed = |number| {
        network.host(number).within(|| {
            let targets = Targets::parse(&["*:*".to_owned()]).expect("an entry");
            targets.allows("us.example", Ipv4Addr::new(93, 184, 216, 34).into(), 80)
        })
    };
    assert_eq!((is_allowed(1), is_allowed(2)), (false, true));
}

/// T8: one address has so many connections, and others have theirs.
#[test]
fn t08_connections_of_one_address_are_limited() {
    let Some(network) = network(3) else { return };
    let _server = network.host(1).serve(&["--max-per-address", "3"]);
    let address = SocketAddr::from((Ipv4Addr::new(10, 77, 0, 1), PORT));
    let open = move || Client::open(address, "/local/a");
    let mut clients: Vec<_> = (0..3).map(|_| network.host(2).within(open)).collect();
    let mut late = network.host(2).within(move || Client::connect(address));
    let refusal = late.response();
    assert!(refusal.status == 503 && refusal.text().contains("--max-per-address"), "{refusal:?}");
    late.expect_end();
    network.host(3).within(open).round_trip();
    // A place that gets free is given away.
    clients.pop().expect("three").close();
    let mut metrics = network.host(1).metrics();
    metrics.wait_for("a free place", |values| values["jackfield_used{option=\"max-per-address\"}"] == 2.0);
    network.host(2).within(open).round_trip();
}

/// Whom a PROXY header is believed from: this machine, and whoever the operator lists.
#[test]
fn only_listed_machines_may_speak_for_others() {
    let Some(network) = network(3) else { return };
    let _server = network.host(1).serve_at("proxy+0.0.0.0", &["--trusted-proxy", "10.77.0.3"]);
    let address = SocketAddr::from((Ipv4Addr::new(10, 77, 0, 1), PORT));
    let knock = move || {
        let mut client = Client::connect(address);
        // It may have been turned away already.
        let request = format!("PROXY TCP4 192.0.2.1 10.77.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let _ = client.stream().write_all(request.as_bytes());
        client.response()
    };
    let refusal = network.host(2).within(knock);
    assert!(refusal.status == 503 && refusal.text().contains("--trusted-proxy"), "{refusal:?}");
    assert_eq!(network.host(3).within(knock).status, 200);
}

#[test]
fn ordinary_browsers_see_the_channels() {
    let Some(network) = network(2) else { return };
    let server = network.host(1).serve(&[]);
    let _member = server.client("/broadcast/org.example.demo");
    let host = network.host(2);
    let script = include_str!("avahi.sh");
    let output =
        host.command("unshare").args(["-m", "sh", "-c", script]).stdin(Stdio::null()).output().expect("the shell runs");
    let (seen, trouble) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{trouble}");
    let resolved = seen.lines().find(|line| line.starts_with("=;")).unwrap_or_else(|| panic!("{seen}\n{trouble}"));
    eprintln!("avahi-browse: {resolved}");
    assert!(
        resolved.contains(r".org\.example\.demo\._bws") || resolved.contains("org\\046example\\046demo"),
        "{resolved}"
    );
    assert!(resolved.contains("\"path=/broadcast/org.example.demo\""), "{resolved}");
    assert!(resolved.contains("10.77.0.1;9009"), "{resolved}");
}
