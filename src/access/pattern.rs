//! Patterns of names and of TCP targets. Layer 0.
//!
//! Nothing is clever here on purpose: a `*` stands alone, or at the very end behind a separator. Anything else with a `*`
//! in it is refused where it is written, instead of meaning less or more than its author thought. Names of channels may
//! themselves contain a `*`; such a name can be permitted only by a pattern that ends in one.

use std::fmt;
use std::net::IpAddr;

use crate::http::authority::{Authority, Host, is_below};

/// Bytes of a pattern: more than any name has.
const MAX_BYTES: usize = 512;

/// What a trailing `*` stands behind: it means a whole part, so that `team*` cannot open `teams` by accident.
const SEPARATORS: [char; 5] = ['/', '.', ':', '-', '_'];

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadPattern {
    /// Empty, or longer than any name.
    Length,
    /// It has control characters.
    Control,
    /// It has a `*` where none may stand.
    Star,
    /// It is no `HOST:PORT`, and no name of a target either.
    Target,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a pattern has 1 to 512 bytes",
            Self::Control => "a pattern has no control characters",
            Self::Star => "a * stands alone, or at the end behind one of / . : - _",
            Self::Target => "a target is NAME, HOST:PORT, *.DOMAIN:PORT, *:PORT (each PORT may be *), or * for all",
        })
    }
}

/// A name, all names that begin with something, or all names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Reads a pattern: a name that means itself, `*` for every name, or `START*` for every name that is `START` with
    /// something behind it, where `START` ends in one of `/ . : - _`.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        check(text)?;
        let start = text.strip_suffix('*').unwrap_or(text);
        let ends_well = start.len() == text.len() || start.is_empty() || start.ends_with(SEPARATORS);
        if start.contains('*') || !ends_well {
            return Err(BadPattern::Star);
        }
        Ok(Self(text.into()))
    }

    /// Whether it permits `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some("") => true,
            Some(start) => name.len() > start.len() && name.starts_with(start),
            None => *self.0 == *name,
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Targets of the bridge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetPattern {
    text: Box<str>,
    what: What,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum What {
    All,
    /// The one that the operator calls this.
    Named,
    /// A host, and a port or every port.
    Host(Hosts, Option<u16>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Hosts {
    All,
    /// However it is spelled.
    Address(IpAddr),
    /// This name, without its trailing dot, whatever its case.
    Name(Box<str>),
    /// Names below this one.
    Below(Box<str>),
}

impl TargetPattern {
    /// Reads `NAME`, `HOST:PORT`, `*.DOMAIN:PORT` or `*:PORT`, where a port may be `*`; or `*`, which is everything.
    /// IPv6 addresses stand in brackets.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        check(text)?;
        let what = match text.rsplit_once(':') {
            _ if text == "*" => What::All,
            None if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) => What::Named,
            None => return Err(BadPattern::Target),
            Some((host, port)) => {
                let port = match port {
                    "*" => None,
                    // The reader of authorities is strict about ports, so it reads this one.
                    port => {
                        Some(Authority::parse(&["h:", port].concat()).and_then(|a| a.port).ok_or(BadPattern::Target)?)
                    }
                };
                What::Host(hosts(host).ok_or(BadPattern::Target)?, port)
            }
        };
        Ok(Self { text: text.into(), what })
    }

    /// Whether it permits this host, as a client names it, and this port.
    #[must_use]
    pub fn matches(&self, host: &str, port: u16) -> bool {
        match &self.what {
            What::All => true,
            What::Named => false,
            What::Host(hosts, wanted) => wanted.is_none_or(|wanted| wanted == port) && hosts.contain(host),
        }
    }

    /// Whether it permits the target that the operator calls `name`.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        match self.what {
            What::All => true,
            What::Named => *self.text == *name,
            What::Host(..) => false,
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Hosts {
    fn contain(&self, host: &str) -> bool {
        let (address, name) = (address(host), host.strip_suffix('.').unwrap_or(host));
        match self {
            Self::All => true,
            Self::Address(own) => address == Some(*own),
            Self::Name(own) => address.is_none() && name.eq_ignore_ascii_case(own),
            Self::Below(own) => address.is_none() && is_below(name, own),
        }
    }
}

fn hosts(text: &str) -> Option<Hosts> {
    if text == "*" {
        return Some(Hosts::All);
    }
    if let Some(domain) = text.strip_prefix("*.") {
        return domain_name(domain).map(Hosts::Below);
    }
    match address(text) {
        // Without brackets it would not be clear where the port begins.
        Some(IpAddr::V6(_)) if !text.starts_with('[') => None,
        Some(address) => Some(Hosts::Address(address)),
        None => domain_name(text).map(Hosts::Name),
    }
}

fn domain_name(text: &str) -> Option<Box<str>> {
    match Authority::parse(text)? {
        Authority { host: Host::Name(name), port: None } => Some(name.strip_suffix('.').unwrap_or(name).into()),
        _ => None,
    }
}

/// The address that a host is, with or without brackets; one that IPv6 wraps is the IPv4 address.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn check(text: &str) -> Result<(), BadPattern> {
    if text.is_empty() || text.len() > MAX_BYTES {
        return Err(BadPattern::Length);
    }
    if text.chars().any(char::is_control) { Err(BadPattern::Control) } else { Ok(()) }
}
