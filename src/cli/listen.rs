//! `[proxy+][tls+][ROOT@]HOST:PORT`, and the originals' own ports. Layer 3, beside `main`.
//!
//! One entry is one listener. A name is looked up once, at start, and its first address is taken, IPv4 before IPv6;
//! `localhost` is always 127.0.0.1 and `*` is 0.0.0.0, so that neither depends on this machine's tables.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::{Listen, Root};

/// Looks a name up: `ToSocketAddrs` outside tests.
pub(super) type Lookup = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// The ports that the original servers listened on, each with its protocol.
const CLASSIC: [(u16, Root); 4] =
    [(9000, Root::Webshare), (8001, Root::Pocket), (9009, Root::Named), (3613, Root::Ws2s)];

/// Stands in front of an entry whose connections begin with a PROXY header.
const PROXY: &str = "proxy+";
/// Stands in front of an entry whose clients speak TLS.
const TLS: &str = "tls+";

/// One entry as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    /// `None` where the entry leaves it to [`resolve`].
    root: Option<Root>,
    /// Whether connections begin with a PROXY header.
    proxy: bool,
    /// Whether clients speak TLS.
    tls: bool,
    place: Place,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Place {
    Address(SocketAddr),
    Name(String, u16),
}

impl From<&Listen> for Entry {
    fn from(listen: &Listen) -> Self {
        Self { root: (listen.root != Root::Auto).then_some(listen.root), ..Self::explicit(listen) }
    }
}

impl Entry {
    /// The entry of an address without a root.
    pub(super) fn plain(address: &SocketAddr) -> Self {
        Self { proxy: false, tls: false, root: None, place: Place::Address(*address) }
    }

    /// The entry that says all about `listen`, leaving nothing to [`resolve`].
    pub(super) fn explicit(listen: &Listen) -> Self {
        Self { root: Some(listen.root), proxy: listen.proxy, tls: listen.tls, place: Place::Address(listen.address) }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.proxy {
            f.write_str(PROXY)?;
        }
        if self.tls {
            f.write_str(TLS)?;
        }
        if let Some(root) = self.root {
            write!(f, "{}@", root.name())?;
        }
        match &self.place {
            Place::Address(address) => address.fmt(f),
            Place::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// Reads one entry; looks nothing up.
///
/// # Errors
/// What is wrong with it and what would be right.
pub(super) fn read(text: &str) -> Result<Entry, String> {
    let (proxy, text) = text.strip_prefix(PROXY).map_or((false, text), |rest| (true, rest));
    let (tls, text) = text.strip_prefix(TLS).map_or((false, text), |rest| (true, rest));
    let (root, text) = match text.split_once('@') {
        Some((name, rest)) => {
            let root = Root::ALL.into_iter().find(|root| root.name() == name);
            let unknown = || format!("the root {name:?} is none of auto, webshare, pocket, ws2s, named, network");
            (Some(root.ok_or_else(unknown)?), rest)
        }
        None => (None, text),
    };
    if text.contains('/') {
        return Err("expected HOST:PORT without a scheme and without a path".to_owned());
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err("expected [ROOT@]HOST:PORT, such as 127.0.0.1:9009".to_owned());
    };
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|_| is_number).ok_or("the port must be from 0 to 65535")?;
    if host.is_empty() {
        return Err(format!("the host is missing: 127.0.0.1:{port} is this machine only, *:{port} every network"));
    }
    let place = if host == "*" {
        Place::Address((Ipv4Addr::UNSPECIFIED, port).into())
    } else if let Some(inner) = host.strip_prefix('[') {
        // Brackets hold an address, or one with a zone, which only the system can look up.
        let inner = inner.strip_suffix(']').ok_or("the bracket is not closed")?;
        match (text.parse::<SocketAddr>(), inner.split_once('%')) {
            (Ok(address), _) => Place::Address(address),
            (Err(_), Some((address, zone))) if address.parse::<IpAddr>().is_ok() && !zone.is_empty() => {
                Place::Name(inner.to_owned(), port)
            }
            _ => return Err("between brackets an IPv6 address is expected, such as [::1]".to_owned()),
        }
    } else if host.contains(':') {
        return Err(format!("an IPv6 address stands in brackets: [{host}]:{port}"));
    } else if host.eq_ignore_ascii_case("localhost") {
        Place::Address((Ipv4Addr::LOCALHOST, port).into())
    } else if let Ok(address) = host.parse::<Ipv4Addr>() {
        Place::Address((address, port).into())
    } else if host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        Place::Name(host.to_owned(), port)
    } else {
        return Err(format!("{host:?} is neither a host name nor an address"));
    };
    Ok(Entry { root, proxy, tls, place })
}

/// Reads an entry that has neither a root nor anything else in front: what it cannot have must not be taken for granted.
///
/// # Errors
/// As [`read`].
pub(super) fn read_plain(text: &str) -> Result<Entry, String> {
    let entry = read(text)?;
    if entry.root.is_some() || entry.proxy || entry.tls {
        return Err("expected HOST:PORT without a root, tls+ or proxy+, such as 127.0.0.1:9100".to_owned());
    }
    Ok(entry)
}

/// Looks the names of addresses for administrators up.
///
/// # Errors
/// A name without an address, or an address that is used twice, here or in `listen`.
pub(super) fn addresses(entries: &[Entry], listen: &[Listen], lookup: Lookup) -> Result<Vec<SocketAddr>, String> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for entry in entries {
        let address = match &entry.place {
            Place::Address(address) => *address,
            Place::Name(name, port) => first_address(name, *port, lookup)?,
        };
        let mut taken = listen.iter().map(|listen| &listen.address).chain(&found);
        if address.port() != 0 && taken.any(|taken| *taken == address) {
            return Err(format!("{address} is listed twice"));
        }
        found.push(address);
    }
    Ok(found)
}

/// Looks the names up and, with `classic`, adds the originals' ports on every host that is listed: an entry that names
/// such a port without a root gets the original's, and a missing port is opened.
///
/// # Errors
/// A name without an address, an address listed twice, none at all.
pub(super) fn resolve(entries: &[Entry], classic: bool, lookup: Lookup) -> Result<Vec<Listen>, String> {
    let mut listen = Vec::new();
    for entry in entries {
        let address = match &entry.place {
            Place::Address(address) => *address,
            Place::Name(name, port) => first_address(name, *port, lookup)?,
        };
        let original = CLASSIC.into_iter().find(|(port, _)| classic && *port == address.port());
        let root = entry.root.or(original.map(|(_, root)| root)).unwrap_or_default();
        listen.push(Listen { proxy: entry.proxy, tls: entry.tls, ..Listen::new(address, root) });
    }
    if classic {
        for mut address in listen.clone().into_iter().map(|listen| listen.address) {
            for (port, root) in CLASSIC {
                address.set_port(port);
                if listen.iter().all(|listen| listen.address != address) {
                    listen.push(Listen::new(address, root));
                }
            }
        }
    }
    if listen.is_empty() {
        return Err("there is nothing to listen on: name at least one HOST:PORT".to_owned());
    }
    for (number, Listen { address, .. }) in listen.iter().enumerate() {
        if address.port() != 0 && listen[..number].iter().any(|earlier| earlier.address == *address) {
            return Err(format!("{address} is listed twice"));
        }
    }
    Ok(listen)
}

fn first_address(name: &str, port: u16, lookup: Lookup) -> Result<SocketAddr, String> {
    let found = lookup(name, port).map_err(|error| format!("{name:?} cannot be looked up: {error}"))?;
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("{name:?} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows `two` (IPv6 listed first), `six` and `none`.
    fn lookup(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let addresses: &[&str] = match name {
            "two" => &["::2", "192.0.2.2"],
            "six" => &["::6"],
            "fe80::1%eth0" => &["fe80::1"],
            "none" => &[],
            _ => return Err(io::Error::other("no such host")),
        };
        Ok(addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect())
    }

    fn resolved(entries: &[&str], classic: bool) -> Result<Vec<String>, String> {
        let entries: Vec<Entry> = entries.iter().map(|entry| read(entry).unwrap()).collect();
        let listen = resolve(&entries, classic, lookup)?;
        Ok(listen.iter().map(|listen| format!("{}@{}", listen.root.name(), listen.address)).collect())
    }

    #[test]
    fn administrators_get_what_is_written_or_nothing() {
        assert_eq!(read_plain("127.0.0.1:9100").unwrap().to_string(), "127.0.0.1:9100");
        for text in ["tls+127.0.0.1:9100", "proxy+127.0.0.1:9100", "auto@127.0.0.1:9100", "proxy+tls+[::1]:1"] {
            assert!(read_plain(text).unwrap_err().contains("without a root, tls+ or proxy+"), "{text}");
        }
    }

    #[test]
    fn entries() {
        for (text, listens) in [
            ("127.0.0.1:9009", "auto@127.0.0.1:9009"),
            ("webshare@127.0.0.1:0", "webshare@127.0.0.1:0"),
            ("named@*:80", "named@0.0.0.0:80"),
            ("pocket@127.0.0.1:8001", "pocket@127.0.0.1:8001"),
            ("auto@[::]:1", "auto@[::]:1"),
            ("[::1]:65535", "auto@[::1]:65535"),
            ("[fe80::1%3]:1", "auto@[fe80::1%3]:1"),
            ("[fe80::1%eth0]:1", "auto@[fe80::1]:1"),
            ("LocalHost:1", "auto@127.0.0.1:1"),
            ("two:1", "auto@192.0.2.2:1"),
            ("six:1", "auto@[::6]:1"),
        ] {
            assert_eq!(resolved(&[text], false).unwrap(), [listens], "{text}");
        }
    }

    #[test]
    fn entries_print_as_they_read() {
        for text in [
            "127.0.0.1:9009",
            "auto@127.0.0.1:9009",
            "named@[::1]:1",
            "webshare@host.example:1",
            "pocket@0.0.0.0:8001",
            "ws2s@host:1",
            "proxy+127.0.0.1:1",
            "proxy+pocket@[::1]:1",
            "tls+127.0.0.1:1",
            "tls+pocket@[::1]:1",
            "proxy+tls+pocket@[::1]:1",
        ] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn malformed_entries_say_what_would_be_right() {
        for (text, message) in [
            ("", "expected [ROOT@]HOST:PORT, such as 127.0.0.1:9009"),
            ("9009", "expected [ROOT@]HOST:PORT, such as 127.0.0.1:9009"),
            (":9009", "the host is missing: 127.0.0.1:9009 is this machine only, *:9009 every network"),
            ("::1:9009", "an IPv6 address stands in brackets: [::1]:9009"),
            ("[::1:9009", "the bracket is not closed"),
            ("[1.2.3.4]:1", "between brackets an IPv6 address is expected, such as [::1]"),
            ("[::x]:1", "between brackets an IPv6 address is expected, such as [::1]"),
            ("[::1%]:1", "between brackets an IPv6 address is expected, such as [::1]"),
            ("host:", "the port must be from 0 to 65535"),
            ("host:+1", "the port must be from 0 to 65535"),
            ("host:65536", "the port must be from 0 to 65535"),
            ("http@host:1", "the root \"http\" is none of auto, webshare, pocket, ws2s, named, network"),
            ("tls+", "expected [ROOT@]HOST:PORT, such as 127.0.0.1:9009"),
            ("pocket@tls+host:1", "\"tls+host\" is neither a host name nor an address"),
            ("http://host:1", "expected HOST:PORT without a scheme and without a path"),
            ("a b:1", "\"a b\" is neither a host name nor an address"),
        ] {
            assert_eq!(read(text).unwrap_err(), message, "{text:?}");
        }
    }

    #[test]
    fn names_without_address_are_refused() {
        assert_eq!(resolved(&["none:1"], false).unwrap_err(), "\"none\" has no address");
        assert_eq!(resolved(&["lost:1"], false).unwrap_err(), "\"lost\" cannot be looked up: no such host");
        let nothing = "there is nothing to listen on: name at least one HOST:PORT";
        assert_eq!(resolved(&[], false).unwrap_err(), nothing);
        assert_eq!(resolved(&["127.0.0.1:1", "localhost:1"], false).unwrap_err(), "127.0.0.1:1 is listed twice");
        assert_eq!(resolved(&["127.0.0.1:0", "127.0.0.1:0"], false).unwrap().len(), 2, "port 0 is another each time");
    }

    #[test]
    fn classic_opens_the_originals_ports_on_every_listed_host() {
        for (entries, listens) in [
            (
                &["127.0.0.1:9009"][..],
                &["named@127.0.0.1:9009", "webshare@127.0.0.1:9000", "pocket@127.0.0.1:8001", "ws2s@127.0.0.1:3613"][..],
            ),
            (
                &["auto@127.0.0.1:9009", "127.0.0.1:8001"],
                &["auto@127.0.0.1:9009", "pocket@127.0.0.1:8001", "webshare@127.0.0.1:9000", "ws2s@127.0.0.1:3613"],
            ),
            (
                &["*:80"],
                &[
                    "auto@0.0.0.0:80",
                    "webshare@0.0.0.0:9000",
                    "pocket@0.0.0.0:8001",
                    "named@0.0.0.0:9009",
                    "ws2s@0.0.0.0:3613",
                ],
            ),
            (
                &["127.0.0.1:0", "[::1]:9000", "127.0.0.1:1"],
                &[
                    "auto@127.0.0.1:0",
                    "webshare@[::1]:9000",
                    "auto@127.0.0.1:1",
                    "webshare@127.0.0.1:9000",
                    "pocket@127.0.0.1:8001",
                    "named@127.0.0.1:9009",
                    "ws2s@127.0.0.1:3613",
                    "pocket@[::1]:8001",
                    "named@[::1]:9009",
                    "ws2s@[::1]:3613",
                ],
            ),
        ] {
            assert_eq!(resolved(entries, true).unwrap(), listens, "{entries:?}");
        }
    }
}
