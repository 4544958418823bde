//! `host[:port]`, as it stands in Host fields, absolute targets and origins (RFC 3986 §3.2). Layer 0.
//!
//! Stricter than the grammar where leniency only ever helped attackers: no userinfo, no percent-encoding, no zone ids,
//! no empty port. Addresses are compared as addresses, names without regard to case. This says what an authority is;
//! [`guard`](super::guard) says which ones are welcome.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest name that DNS can carry, with its trailing dot (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 254;
/// RFC 1035 §2.3.4.
const MAX_LABEL_BYTES: usize = 63;
/// Digits of 65535.
const MAX_PORT_DIGITS: usize = 5;

/// A host, and the port if one is written out.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    /// The part before the port.
    pub host: Host<'a>,
    /// 1 to 65535; `None` means the default of whatever scheme applies.
    pub port: Option<u16>,
}

/// A host by address or by name.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// Four decimal numbers. Other spellings of addresses (`127.1`, `0x7f000001`) are names.
    V4(Ipv4Addr),
    /// In brackets.
    V6(Ipv6Addr),
    /// Letters, digits, `-` and `_` in labels; one trailing dot is kept.
    Name(&'a str),
}

impl<'a> Authority<'a> {
    /// Reads all of `text`; `None` when it is anything but `host[:port]`.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(port(rest.strip_prefix(':')?)?) };
            return Some(Self { host: Host::V6(address.parse().ok()?), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, digits)) => (host, Some(port(digits)?)),
            None => (text, None),
        };
        let host = match host.parse() {
            Ok(address) => Host::V4(address),
            Err(_) if is_name(host) => Host::Name(host),
            Err(_) => return None,
        };
        Some(Self { host, port })
    }
}

impl Host<'_> {
    /// Whether both are the same host: equal addresses, or names equal but for case. A trailing dot makes a difference,
    /// as it does to browsers.
    #[must_use]
    pub fn is_same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Self::V4(a), Host::V4(b)) => a == b,
            (Self::V6(a), Host::V6(b)) => a == b,
            (Self::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => false,
        }
    }

    /// Whether this can only be the machine it is said on: 127.0.0.0/8, `::1`, `localhost` and names below it
    /// (RFC 6761 §6.3). A name with a trailing dot is not among them.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
            Self::Name(name) => name.eq_ignore_ascii_case("localhost") || is_below(name, "localhost"),
        }
    }
}

/// Whether `name` is `SOMETHING.domain`, without regard to case.
pub fn is_below(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.as_bytes(), domain.as_bytes());
    name.len() > domain.len() + 1
        && name[name.len() - domain.len()..].eq_ignore_ascii_case(domain)
        && name[name.len() - domain.len() - 1] == b'.'
}

/// Non-empty labels of letters, digits, `-` and `_`, with at most one trailing dot. The underscore is not for hosts,
/// but people name their machines with it and browsers send it.
pub(super) fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= MAX_NAME_BYTES && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

fn port(digits: &str) -> Option<u16> {
    // `parse` alone would take "+80".
    let is_number = (1..=MAX_PORT_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { digits.parse().ok().filter(|&port| port != 0) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_ports_are_read() {
        for (text, host, port) in [
            ("localhost", "Name(\"localhost\")", None),
            ("LOCALHOST.:8080", "Name(\"LOCALHOST.\")", Some(8080)),
            ("a_b-c.example", "Name(\"a_b-c.example\")", None),
            ("127.0.0.1:1", "V4(127.0.0.1)", Some(1)),
            ("[::1]", "V6(::1)", None),
            ("[::FFFF:127.0.0.1]:65535", "V6(::ffff:127.0.0.1)", Some(65535)),
            ("127.1", "Name(\"127.1\")", None),
            ("127.0.0.1.", "Name(\"127.0.0.1.\")", None),
            ("example.com:0080", "Name(\"example.com\")", Some(80)),
        ] {
            let authority = Authority::parse(text).expect(text);
            assert_eq!((format!("{:?}", authority.host).as_str(), authority.port), (host, port), "{text}");
        }
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(128);
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "a:-1",
            "a:8o",
            "a:000080",
            "a:80:80",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[::1]80",
            "[::1]:",
            "[fe80::1%eth0]",
            "[v1.x]",
            "[127.0.0.1]",
            "u@a",
            "u:p@a",
            "a b",
            " a",
            "a ",
            "a/",
            "a?",
            "a#",
            "a\\b",
            "a%2e",
            "ä",
            "a,b",
            "a*",
            "*.a",
            "a\0",
            &long_label,
            &long_name,
        ] {
            assert!(Authority::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn below_means_a_label_more() {
        assert!(is_below("x.localhost", "localhost") && is_below("a.b.LOCALHOST", "localhost"));
        for name in ["localhost", ".localhost", "xlocalhost", "localhost.x", ""] {
            assert!(!is_below(name, "localhost"), "{name:?}");
        }
    }
}
