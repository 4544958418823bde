//! The block that is printed at start: where to go, what is on, what to look out for. Layer 3, beside `main`.
//!
//! People read it, and scripts take the first `http://` in it; so listeners come first, with the address as bound.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::cli::units::Unit;
use crate::cli::{access, bridge, lan};
use crate::config::{Config, Root};
use crate::net::interfaces::{console_urls, own_addresses};

/// URLs at addresses in the network: a few, as a machine with containers has many.
const MOST_URLS: usize = 3;

/// The start-up block for a server that is bound to `addresses`, in the order of `config.listen`, and for administrators
/// to `admin`.
#[must_use]
pub fn banner(config: &Config, addresses: &[SocketAddr], admin: &[SocketAddr]) -> String {
    written(config, addresses, admin, &own_addresses())
}

/// The block on a machine with the addresses `own`.
fn written(config: &Config, addresses: &[SocketAddr], admin: &[SocketAddr], own: &[IpAddr]) -> String {
    let mut out = format!("jackfield {}\n", env!("CARGO_PKG_VERSION"));
    for (address, listen) in addresses.iter().zip(&config.listen) {
        let root = match listen.root {
            Root::Auto => "at / the first message decides who answers",
            Root::Webshare => "at / webshare answers",
            Root::Ws2s => "at / ws2s answers",
            Root::Pocket => "at / pocket answers",
            Root::Named => "at / nobody answers, only paths are served",
            Root::Network => "at /NAME the channel /network/NAME answers",
        };
        let scheme = if listen.tls { "https" } else { "http" };
        let proxied = if listen.proxy { ", for proxies only: with a PROXY header" } else { "" };
        out += &format!("  listening  {:<28} {root}{proxied}\n", format!("{scheme}://{address}/"));
    }
    // Addresses to open, so none where a header must come first, unless there is no other.
    let listeners = || addresses.iter().zip(&config.listen);
    let direct = listeners().find(|(_, listen)| !listen.proxy).or_else(|| listeners().next());
    if let Some((address, listen)) = direct {
        let here = from_here(*address);
        let (http, ws) = if listen.tls { ("https", "wss") } else { ("http", "ws") };
        let presence = if config.presence { "presence for everybody" } else { "presence with ?presence=1" };
        let console = format!("{http}://{here}/console");
        out += &format!("  console    {console}\n");
        // For other machines, a phone say, which the first is of no use to.
        let reached = listeners().map(|(address, listen)| (*address, listen));
        for url in console_urls(reached, own).filter(|url| *url != console).take(MOST_URLS) {
            out += &format!("  network    {url}\n");
        }
        for address in admin {
            out += &format!(
                "  admin      http://{}/console (whoever reaches it is an administrator)\n",
                from_here(*address)
            );
        }
        out += &format!("  webshare   {ws}://{here}/webshare (keys of {} digits)\n", config.key_digits);
        let echo = if config.echo { "echo for everybody" } else { "echo with ?echo=1" };
        out += &format!("  pocket     {ws}://{here}/pocket, rooms with ?room=NAME ({echo})\n");
        out += &format!("  channels   {ws}://{here}/local/NAME and /broadcast/NAME ({presence})\n");
        out += &format!("  ws2s       {ws}://{here}/ws2s (TCP sockets, to where the bridge may go)\n");
        out += &format!("  devices    {http}://{here}/socket.io/ (Socket.IO 2 to 4, and /client/p2p.js)\n");
        if let Some(line) = access::line(config) {
            out += &format!("  access     {line}\n");
        }
        if let Some(line) = lan::line(config) {
            out += &format!("  lan        {line}\n");
        }
        for line in bridge::lines(config, &format!("{ws}://{here}")) {
            out += &format!("  bridge     {line}\n");
        }
    }
    for warning in warnings(config, addresses) {
        out += &format!("  warning    {warning}\n");
    }
    out
}

/// What an operator may not have meant.
pub(super) fn warnings(config: &Config, addresses: &[SocketAddr]) -> Vec<String> {
    let mut out = Vec::new();
    let is_open = |address: &SocketAddr| !is_loopback(address.ip());
    let open: Vec<String> = addresses.iter().filter(|address| is_open(address)).map(ToString::to_string).collect();
    let listeners = addresses.iter().zip(&config.listen);
    let plain = listeners.filter(|(address, listen)| is_open(address) && !listen.tls);
    let plain: Vec<String> = plain.map(|(address, _)| address.to_string()).collect();
    if !plain.is_empty() {
        let plain = plain.join(", ");
        out.push(format!("{plain} can be reached from other machines, without encryption (tls+ in --listen)"));
    }
    for address in config.admin.iter().filter(|address| !is_loopback(address.ip())) {
        out.push(format!("--admin {address} makes whoever reaches it from other machines an administrator"));
    }
    let deaf = addresses
        .iter()
        .zip(&config.listen)
        .filter(|(address, listen)| listen.proxy && !is_loopback(address.ip()) && config.trusted_proxy.is_empty());
    for (address, _) in deaf {
        out.push(format!("{address} hears only proxies on this machine: --trusted-proxy names others"));
    }
    if config.trusted_proxy.iter().any(|entry| entry.ends_with("/0")) {
        out.push("--trusted-proxy with /0 lets every client say that it is somebody else".to_owned());
    }
    if !config.allow_host.is_empty() && config.trusted_proxy.is_empty() && config.admin.is_empty() {
        out.push(
            "--allow-host: if there is a proxy on this machine, whoever comes through it may pass for a program of this \
             machine, and so for an administrator; name the proxy (--trusted-proxy 127.0.0.1), or let administrators \
             connect elsewhere (--admin)"
                .to_owned(),
        );
    }
    let is_any = |list: &[String]| list.iter().any(|entry| entry == "*");
    if is_any(&config.allow_origin) {
        out.push("--allow-origin * lets every web page drive this server through its visitor's browser".to_owned());
    }
    if is_any(&config.allow_host) {
        out.push("--allow-host * answers to every name: nothing keeps DNS rebinding away".to_owned());
    }
    if !open.is_empty() {
        out.extend(bridge::warnings(config, &format!("whoever reaches {}", open.join(", "))));
    } else if is_any(&config.allow_origin) {
        out.extend(bridge::warnings(config, "every web page that is looked at on this machine"));
    }
    let (message, queue) = (config.limits.max_message as u64, config.limits.max_queue as u64);
    if message > queue {
        let (message, queue) = (Unit::Bytes.write(message), Unit::Bytes.write(queue));
        out.push(format!(
            "--max-message {message} is above --max-queue {queue}: a member of a channel that still takes such a message \
             when the next one comes is closed as too slow"
        ));
    }
    out
}

/// Whether only this machine reaches `address`.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// An address under which this machine reaches what is bound to `address`.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Listen;

    fn listening(listen: &[(&str, Root)]) -> (Config, Vec<SocketAddr>) {
        let addresses: Vec<SocketAddr> = listen.iter().map(|(address, _)| address.parse().unwrap()).collect();
        let listen = listen.iter().zip(&addresses).map(|((_, root), &address)| Listen::new(address, *root));
        (Config { listen: listen.collect(), ..Config::default() }, addresses)
    }

    #[test]
    fn the_default() {
        let (config, addresses) = listening(&[("127.0.0.1:9009", Root::Auto)]);
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "jackfield {version}\n  \
             listening  http://127.0.0.1:9009/       at / the first message decides who answers\n  \
             console    http://127.0.0.1:9009/console\n  \
             webshare   ws://127.0.0.1:9009/webshare (keys of 8 digits)\n  \
             pocket     ws://127.0.0.1:9009/pocket, rooms with ?room=NAME (echo with ?echo=1)\n  \
             channels   ws://127.0.0.1:9009/local/NAME and /broadcast/NAME (presence with ?presence=1)\n  \
             ws2s       ws://127.0.0.1:9009/ws2s (TCP sockets, to where the bridge may go)\n  \
             devices    http://127.0.0.1:9009/socket.io/ (Socket.IO 2 to 4, and /client/p2p.js)\n  \
             bridge     off: nothing is allowed (--bridge-allow)\n"
        );
        assert_eq!(banner(&config, &addresses, &[]), expected);
    }

    #[test]
    fn every_listener_as_it_is_bound_and_urls_that_work_from_here() {
        let (mut config, addresses) =
            listening(&[("0.0.0.0:80", Root::Named), ("[::]:81", Root::Webshare), ("[::1]:82", Root::Pocket)]);
        (config.presence, config.echo) = (true, true);
        let text = written(&config, &addresses, &[], &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].contains("http://0.0.0.0:80/ ") && lines[1].ends_with("nobody answers, only paths are served")
        );
        assert!(lines[2].contains("http://[::]:81/ ") && lines[2].ends_with("at / webshare answers"));
        assert!(lines[3].contains("http://[::1]:82/ ") && lines[3].ends_with("at / pocket answers"));
        assert_eq!(lines[4], "  console    http://127.0.0.1:80/console");
        assert!(lines[6].ends_with("(echo for everybody)"));
        assert!(lines[7].ends_with("(presence for everybody)"));
        assert!(lines[10].starts_with("  lan        /broadcast and /network are "), "{}", lines[10]);
        assert_eq!(
            lines[12..],
            [
                "  warning    0.0.0.0:80, [::]:81 can be reached from other machines, without encryption (tls+ in --listen)"
            ]
        );
        config.listen[0].tls = true;
        let text = written(&config, &addresses, &[], &[]);
        assert!(text.contains("  listening  https://0.0.0.0:80/ ") && text.contains("  listening  http://[::]:81/ "));
        assert!(text.contains("https://127.0.0.1:80/console") && text.contains("wss://127.0.0.1:80/pocket"));
        assert!(text.contains("  warning    [::]:81 can be reached"), "{text}");
        let (config, addresses) = listening(&[("[::]:1", Root::Auto)]);
        assert!(written(&config, &addresses, &[], &[]).contains("http://[::1]:1/console"));
    }

    #[test]
    fn urls_for_other_machines_where_they_reach_us() {
        let own = ["192.0.2.2", "192.0.2.3", "10.0.0.1", "10.0.0.2", "2001:db8::2"].map(|own| own.parse().unwrap());
        let network = |listen: &[(&str, Root)], change: fn(&mut Config)| -> Vec<String> {
            let (mut config, addresses) = listening(listen);
            change(&mut config);
            let text = written(&config, &addresses, &[], &own);
            assert!(text.lines().nth(1).unwrap().starts_with("  listening  "), "{text}");
            text.lines().filter_map(|line| line.strip_prefix("  network    ")).map(str::to_owned).collect()
        };
        let all = [("0.0.0.0:9", Root::Auto), ("[::]:8", Root::Auto)];
        let urls = ["http://192.0.2.2:9/console", "http://192.0.2.3:9/console", "http://10.0.0.1:9/console"];
        assert_eq!(network(&all, |_| {}), urls);
        assert_eq!(network(&all, |config| config.listen[0].proxy = true), urls.map(|url| url.replace(":9/", ":8/")));
        let urls = urls.map(|url| url.replace("http", "https"));
        assert_eq!(network(&all, |config| config.listen[0].tls = true), urls);
        // Where it is bound to one of them, that is what the line of the console says, unless another comes first.
        assert_eq!(network(&[("10.0.0.1:9", Root::Auto)], |_| {}), [""; 0]);
        let both = [("127.0.0.1:9", Root::Auto), ("10.0.0.1:8", Root::Auto)];
        assert_eq!(network(&both, |_| {}), ["http://10.0.0.1:8/console"]);
        assert_eq!(network(&both[..1], |_| {}), [""; 0]);
    }

    #[test]
    fn the_ports_that_the_system_chose() {
        let (config, _) = listening(&[("127.0.0.1:0", Root::Auto)]);
        let text = banner(&config, &["127.0.0.1:40001".parse().unwrap()], &[]);
        assert!(text.contains("http://127.0.0.1:40001/ ") && !text.contains(":0/"), "{text}");
    }

    #[test]
    fn warnings_say_what_may_not_have_been_meant() {
        let (mut config, addresses) = listening(&[("127.9.9.9:1", Root::Auto), ("[::ffff:127.0.0.1]:2", Root::Auto)]);
        assert_eq!(warnings(&config, &addresses), [""; 0]);
        config.allow_origin = vec!["https://example.com".to_owned(), "*".to_owned()];
        config.allow_host = vec!["*".to_owned()];
        config.limits.max_message = 16 << 20;
        let elsewhere = ["127.0.0.1:3".parse().unwrap()];
        config.admin = elsewhere.to_vec();
        assert_eq!(
            warnings(&config, &addresses),
            [
                "--allow-origin * lets every web page drive this server through its visitor's browser",
                "--allow-host * answers to every name: nothing keeps DNS rebinding away",
                "--max-message 16MiB is above --max-queue 1MiB: a member of a channel that still takes such a message \
                 when the next one comes is closed as too slow",
            ]
        );
    }

    #[test]
    fn a_proxy_that_nobody_names_is_warned_of() {
        let (mut config, addresses) = listening(&[("127.0.0.1:1", Root::Auto)]);
        config.allow_host = vec!["example.com".to_owned()];
        let [warning] = &warnings(&config, &addresses)[..] else { panic!("one warning") };
        assert!(warning.contains("--trusted-proxy") && warning.contains("--admin"), "{warning}");
        let named = Config { trusted_proxy: vec!["127.0.0.1".to_owned()], ..config.clone() };
        assert_eq!(warnings(&named, &addresses), [""; 0]);
        config.admin = vec!["127.0.0.1:2".parse().unwrap()];
        assert_eq!(warnings(&config, &addresses), [""; 0]);
    }

    #[test]
    fn proxies_are_asked_for_where_they_must_come_first() {
        let (mut config, addresses) = listening(&[("0.0.0.0:1", Root::Auto), ("127.0.0.1:2", Root::Auto)]);
        config.listen[0].proxy = true;
        let text = written(&config, &addresses, &[], &[]);
        assert!(text.contains("decides who answers, for proxies only: with a PROXY header\n"), "{text}");
        assert!(text.contains("  console    http://127.0.0.1:2/console\n"), "{text}");
        let deaf = "0.0.0.0:1 hears only proxies on this machine: --trusted-proxy names others";
        assert!(warnings(&config, &addresses).contains(&deaf.to_owned()), "{text}");
        config.trusted_proxy = vec!["0.0.0.0/0".to_owned()];
        let invented = "--trusted-proxy with /0 lets every client say that it is somebody else";
        let warnings = warnings(&config, &addresses);
        assert!(warnings.contains(&invented.to_owned()) && !warnings.contains(&deaf.to_owned()), "{warnings:?}");
    }

    #[test]
    fn a_bridge_that_strangers_reach_is_warned_of() {
        let (mut config, addresses) = listening(&[("127.0.0.1:1", Root::Auto)]);
        config.bridge_allow = vec!["example.com:80".to_owned(), "10.0.0.0/8:80".to_owned()];
        assert_eq!(warnings(&config, &addresses), [""; 0], "who is on this machine gets there anyway");
        config.allow_origin = vec!["*".to_owned()];
        let inside =
            |audience| format!("--bridge-allow 10.0.0.0/8:80 lets {audience} reach addresses that are not public");
        assert_eq!(warnings(&config, &addresses)[1..], [inside("every web page that is looked at on this machine")]);
        let (open, addresses) = listening(&[("127.0.0.1:1", Root::Auto), ("0.0.0.0:2", Root::Auto)]);
        config.listen = open.listen;
        assert!(warnings(&config, &addresses).contains(&inside("whoever reaches 0.0.0.0:2")));
        let text = banner(&config, &addresses, &[]);
        assert!(
            text.contains("\n  bridge     ws://127.0.0.1:1/tcp/HOST:PORT to example.com:80 10.0.0.0/8:80\n"),
            "{text}"
        );
    }
}
