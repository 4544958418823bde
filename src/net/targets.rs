//! Where the bridge may connect to: the operator's `--bridge-allow` entries as questions. Layer 1, pure.
//!
//! An entry is `PATTERN:PORTS`. A *name* (`example.com`, `*.example.com`, `*`) opens public addresses only, because who
//! controls a name decides where it leads; an *address* or range (`127.0.0.1`, `10.0.0.0/8`, `[fd00::]/8`) opens
//! exactly itself, under whatever name it is asked for. So a connection takes two questions: [`Targets::may_match`]
//! before any lookup, and [`Targets::allows`] for each address that a lookup brought. The address that was asked about
//! is the one to connect to; looking up the name again would ask somebody else.
//!
//! Without entries nothing is allowed. This neither looks up names nor connects.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::address::{self, BadNet, Net, Special, is_own};
use crate::http::authority::{self, Authority};

/// Everything that is allowed.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    rules: Vec<Rule>,
}

/// One entry. Each of its fields alone can refuse.
#[derive(Clone, Debug)]
struct Rule {
    pattern: Pattern,
    ports: Ports,
}

#[derive(Clone, Debug)]
enum Pattern {
    /// `*`: public addresses, by whatever name or as they are.
    Public,
    /// Public addresses under this name. Without a trailing dot.
    Name(String),
    /// Public addresses under any name below this one. Without a trailing dot.
    Below(String),
    /// These addresses, under whatever name or as they are.
    Net(Net),
}

/// Inclusive ranges. Invariant: 1 ≤ first ≤ last, and at least one.
#[derive(Clone, Debug)]
struct Ports(Vec<(u16, u16)>);

/// What a client named as a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Host<'a> {
    /// An address in its usual spelling, IPv6 with or without brackets. Never IPv4-mapped: that is the IPv4 address.
    Address(IpAddr),
    /// A name to be looked up, and to be judged by what that brings. Other spellings of addresses (`127.1`, `0x7f.1`,
    /// `2130706433`) are among them: what they mean is for the system to say.
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host without its port. `None` for what is neither address nor name: zone ids, names in other scripts than
    /// ASCII (they have an ASCII form, RFC 5891 §4.4), blanks and control characters, labels and names too long for DNS.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Self::Address(IpAddr::from(address).to_canonical()));
        }
        match Authority::parse(text)? {
            Authority { port: Some(_), .. } => None,
            Authority { host: authority::Host::V4(address), .. } => Some(Self::Address(address.into())),
            Authority { host: authority::Host::V6(address), .. } => {
                Some(Self::Address(IpAddr::from(address).to_canonical()))
            }
            Authority { host: authority::Host::Name(name), .. } => Some(Self::Name(name)),
        }
    }
}

/// How far entries reach at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// To some hosts of the Internet, or to nothing at all.
    Listed,
    /// To every host of the Internet.
    Internet,
    /// To addresses that are not public.
    Inside,
}

/// What is said about one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Connect.
    Allowed,
    /// No entry has this host and this port.
    Unlisted,
    /// An entry has the name and the port, but the address is not public and no entry has the address.
    Special(Special),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("allowed"),
            Self::Unlisted => f.write_str("no entry of --bridge-allow has this host and port"),
            Self::Special(what) => write!(f, "the address is {what}; only an address in --bridge-allow opens it"),
        }
    }
}

impl Targets {
    /// Reads the entries of `--bridge-allow`.
    ///
    /// # Errors
    /// An entry that is wrong, or that could never match and would otherwise be a rule that silently does not work.
    pub fn parse(entries: &[String]) -> Result<Self, BadTarget> {
        let rules =
            entries.iter().map(|entry| Rule::parse(entry).map_err(|wrong| BadTarget { entry: entry.clone(), wrong }));
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Whether nothing is allowed at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How far the entries reach at most; what to warn of.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let is_inside = |rule: &Rule| matches!(&rule.pattern, Pattern::Net(net) if !address::is_public(net));
        if self.rules.iter().any(is_inside) {
            Reach::Inside
        } else if self.rules.iter().any(|rule| matches!(rule.pattern, Pattern::Public)) {
            Reach::Internet
        } else {
            Reach::Listed
        }
    }

    /// Whether any address under `host` and `port` could be allowed. Otherwise not even a lookup is due, which would
    /// tell a stranger's name server that somebody asked.
    #[must_use]
    pub fn may_match(&self, host: &str, port: u16) -> bool {
        match Host::read(host) {
            Some(Host::Address(address)) => self.judge(host, address, port, |_| false) == Verdict::Allowed,
            Some(Host::Name(name)) => {
                let may_match = |pattern: &Pattern| matches!(pattern, Pattern::Net(_)) || pattern.has_name(name);
                self.rules.iter().any(|rule| rule.ports.contain(port) && may_match(&rule.pattern))
            }
            None => false,
        }
    }

    /// Whether `address`, which a lookup of `host` brought or which `host` itself is, may be connected to at `port`.
    #[must_use]
    pub fn allows(&self, host: &str, address: IpAddr, port: u16) -> bool {
        self.judge(host, address, port, is_own) == Verdict::Allowed
    }

    /// As [`allows`](Self::allows), with the reason. `is_own` is asked, last of all, whether an address that looks
    /// public belongs to this machine: [`address::is_own`].
    #[must_use]
    pub fn judge(&self, host: &str, address: IpAddr, port: u16, is_own: impl FnOnce(IpAddr) -> bool) -> Verdict {
        let address = address.to_canonical();
        let name = match Host::read(host) {
            Some(Host::Name(name)) => Some(name),
            Some(Host::Address(literal)) if literal == address => None,
            _ => return Verdict::Unlisted,
        };
        let mut is_name_listed = false;
        for Rule { pattern, .. } in self.rules.iter().filter(|rule| rule.ports.contain(port)) {
            match pattern {
                Pattern::Net(net) if net.contains(address) => return Verdict::Allowed,
                Pattern::Net(_) => {}
                Pattern::Public => is_name_listed = true,
                Pattern::Name(_) | Pattern::Below(_) => {
                    is_name_listed |= name.is_some_and(|name| pattern.has_name(name));
                }
            }
        }
        if !is_name_listed {
            return Verdict::Unlisted;
        }
        match address::special(address) {
            Some(special) => Verdict::Special(special),
            None if is_own(address) => Verdict::Special(address::OWN),
            None => Verdict::Allowed,
        }
    }
}

impl Rule {
    fn parse(entry: &str) -> Result<Self, Wrong> {
        let ipv6 = entry.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (pattern, ports) = match ipv6 {
            Some((address, rest)) => {
                let (prefix, ports) = rest.split_once(':').ok_or(Wrong::Form)?;
                let net = match prefix {
                    _ if address.parse::<Ipv6Addr>().is_err() => return Err(Wrong::Host),
                    "" => address.parse(),
                    _ if prefix.starts_with('/') => format!("{address}{prefix}").parse(),
                    _ => return Err(Wrong::Form),
                };
                (Pattern::Net(net.map_err(Wrong::Net)?), ports)
            }
            None => {
                let (pattern, ports) = entry.split_once(':').ok_or(Wrong::Form)?;
                if ports.contains(':') {
                    return Err(Wrong::Colons);
                }
                (Pattern::parse(pattern)?, ports)
            }
        };
        Ok(Self { pattern, ports: Ports::parse(ports)? })
    }
}

impl Pattern {
    /// Anything but IPv6, which has brackets.
    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "*" {
            return Ok(Self::Public);
        }
        if text.contains('/') {
            return text.parse().map(Self::Net).map_err(Wrong::Net);
        }
        let (name, pattern): (_, fn(String) -> Self) = match text.strip_prefix("*.") {
            Some(domain) => (domain, Self::Below),
            None => (text, Self::Name),
        };
        match Host::read(name) {
            Some(Host::Address(address)) if name == text => Ok(Self::Net(Net::of(address))),
            Some(Host::Name(name)) if ends_in_a_number(name) => Err(Wrong::Spelling),
            Some(Host::Name(name)) if is_localhost(name) => Err(Wrong::Localhost),
            Some(Host::Name(name)) => Ok(pattern(undotted(name).to_owned())),
            None if !text.is_ascii() => Err(Wrong::NotAscii),
            _ => Err(Wrong::Host),
        }
    }

    /// Whether this allows something under `name`.
    fn has_name(&self, name: &str) -> bool {
        let name = undotted(name);
        match self {
            Self::Public => true,
            Self::Name(listed) => listed.eq_ignore_ascii_case(name),
            Self::Below(domain) => authority::is_below(name, domain),
            Self::Net(_) => false,
        }
    }
}

/// A name with a dot behind it is the same name; without one, the system may also try it below its own domains.
fn undotted(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// What no top-level domain looks like, but the system reads as an IPv4 address (WHATWG URL §3.5, `inet_aton`).
fn ends_in_a_number(name: &str) -> bool {
    let last = undotted(name).rsplit('.').next().unwrap_or_default();
    last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X")
}

/// RFC 6761 §6.3: loopback, always.
fn is_localhost(name: &str) -> bool {
    let name = undotted(name);
    name.eq_ignore_ascii_case("localhost") || authority::is_below(name, "localhost")
}

impl Ports {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "*" {
            return Ok(Self(vec![(1, u16::MAX)]));
        }
        let port = |digits: &str| {
            // `parse` alone would take "+80" and "080".
            let is_number = digits.starts_with(|c: char| ('1'..='9').contains(&c));
            digits.parse::<u16>().ok().filter(|_| is_number)
        };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (port(first)?, port(last)?);
            (first <= last).then_some((first, last))
        };
        text.split(',').map(range).collect::<Option<_>>().map(Self).ok_or(Wrong::Ports)
    }

    fn contain(&self, port: u16) -> bool {
        self.0.iter().any(|&(first, last)| (first..=last).contains(&port))
    }
}

/// An entry that is wrong, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadTarget {
    /// The entry as it was written.
    pub entry: String,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with an entry of `--bridge-allow`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wrong {
    /// Not `PATTERN:PORTS`.
    Form,
    /// IPv6 without brackets, or too much.
    Colons,
    /// The pattern is none.
    Host,
    /// The pattern is a name in another script.
    NotAscii,
    /// The pattern is an address as nobody writes it.
    Spelling,
    /// The pattern is a name that never has a public address.
    Localhost,
    /// The pattern is no range of addresses.
    Net(BadNet),
    /// The ports are none.
    Ports,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str(
                "expected HOST:PORTS, such as example.com:443, *.example.com:*, 10.0.0.0/8:80,8000-8100 or [fd00::]/8:22",
            ),
            Self::Colons => f.write_str("there is one colon, before the ports; IPv6 goes into brackets: [fd00::]/8:22"),
            Self::Host => f.write_str("HOST must be a name, *.NAME, *, an address or a range such as 10.0.0.0/8"),
            Self::NotAscii => f.write_str("a name goes in its ASCII form: xn--bcher-kva.example for bücher.example"),
            Self::Spelling => f.write_str("an address is four decimal numbers such as 127.0.0.1, or IPv6 in brackets"),
            Self::Localhost => {
                f.write_str("a name opens public addresses only; for this machine say 127.0.0.1:PORTS and [::1]:PORTS")
            }
            Self::Net(BadNet::Address) => f.write_str("what stands before the / must be an address"),
            Self::Net(BadNet::Prefix(most)) => write!(f, "what stands behind the / must be a number from 0 to {most}"),
            Self::Net(BadNet::Inside(net)) => write!(f, "this range begins elsewhere: say {net}"),
            Self::Net(BadNet::Mapped(address)) => {
                write!(f, "an IPv4 address within IPv6 is judged as IPv4: say {address} and an IPv4 prefix")
            }
            Self::Ports => f.write_str("PORTS must be *, 80, 8000-8100, or several with commas between, from 1 to 65535"),
        }
    }
}

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--bridge-allow {:?}: {}", self.entry, self.wrong)
    }
}

impl std::error::Error for BadTarget {}
