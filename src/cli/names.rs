//! The forms of origins and hosts in the operator's lists. Layer 3, beside `main`.
//!
//! The server's guard matches by these entries and refuses the same ones (`tests/cli.rs` holds both together). They are
//! looked at here as well, so that `check` finds them without starting anything and says in which file and line.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `scheme://host[:port]`, `null`, `file://`, or `*` for all.
pub(super) fn is_origin(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    matches!(text, "*" | "null" | "file://")
        || text.split_once("://").is_some_and(|(scheme, rest)| is_scheme(scheme) && is_authority(rest))
}

/// `host[:port]`, `*.domain`, or `*` for all.
pub(super) fn is_host(text: &str) -> bool {
    text == "*" || text.strip_prefix("*.").map_or_else(|| is_authority(text), is_name)
}

/// `host[:port]`, an IPv6 address in brackets (RFC 3986 §3.2).
fn is_authority(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, rest)| {
            address.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
        });
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    (host.parse::<Ipv4Addr>().is_ok() || is_name(host)) && port.is_none_or(is_port)
}

/// Labels of at most 63 bytes in a name of at most 254 (RFC 1035 §2.3.4), with or without a dot at the end.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.len() <= 254 && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

/// 1 to 65535 in at most five digits.
fn is_port(digits: &str) -> bool {
    digits.len() <= 5
        && digits.bytes().all(|b| b.is_ascii_digit())
        && digits.parse::<u16>().is_ok_and(|port| port != 0)
}
