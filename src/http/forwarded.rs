//! Which client a request is for, by what the proxies on its way say: Forwarded (RFC 7239) and X-Forwarded-For. Layer 0.
//!
//! Each proxy appends the address that it was spoken to from, so the fields are read from the right, and only as long as
//! the one who wrote a hop is trusted: the first hop that is no trusted proxy's is the client, and what stands before it
//! is hearsay. Whether the connection itself comes from a trusted proxy must have been asked before.
//!
//! A proxy writes one of the two fields and lets the other pass as the client sent it, so neither can win over the other:
//! where both are there, they must come to the same client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::request::Request;

/// The most hops that are looked at: more proxies in a row are a loop.
const MOST_HOPS: usize = 32;

/// The two fields name different clients: one of them is the client's own invention.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Contradiction;

impl Contradiction {
    /// One sentence for the client and the log.
    #[must_use]
    pub fn message(self) -> &'static str {
        "Forwarded and X-Forwarded-For name different clients: the proxy (--trusted-proxy) must remove the one that it \
         does not write."
    }
}

/// The client of a request that came from a trusted proxy, with port 0 where none is named. `None` when the fields say
/// nothing that can be read: then it is the proxy itself.
///
/// # Errors
/// [`Contradiction`].
pub fn client(request: &Request<'_>, is_trusted: impl Fn(IpAddr) -> bool) -> Result<Option<SocketAddr>, Contradiction> {
    let (standard, customary) = ("Forwarded", "X-Forwarded-For");
    let by_standard = || {
        let hops: Vec<&[u8]> = values(request, standard).flat_map(|value| rsplit_unquoted(value, b',').rev()).collect();
        furthest(&hops, hop, &is_trusted)
    };
    let by_custom = || {
        let hops: Vec<&[u8]> =
            values(request, customary).flat_map(|value| value.split(|&b| b == b',')).map(<[u8]>::trim_ascii).collect();
        furthest(&hops, |hop| node(hop, false), &is_trusted)
    };
    match (request.has_header(standard), request.has_header(customary)) {
        (true, false) => Ok(by_standard()),
        (false, true) => Ok(by_custom()),
        (false, false) => Ok(None),
        (true, true) => match (by_standard(), by_custom()) {
            (Some(one), Some(other)) if one.ip() == other.ip() => Ok(Some(if one.port() == 0 { other } else { one })),
            (None, None) => Ok(None),
            _ => Err(Contradiction),
        },
    }
}

fn values<'b, 'n>(request: &Request<'b>, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
    request.headers(name)
}

/// The hop furthest from us that a trusted proxy vouches for.
fn furthest<'b>(
    hops: &[&'b [u8]],
    read: impl Fn(&'b [u8]) -> Option<SocketAddr>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let mut client = None;
    for hop in hops.iter().rev().take(MOST_HOPS) {
        let address = read(hop)?;
        client = Some(address);
        if !is_trusted(address.ip()) {
            return client;
        }
    }
    if hops.len() > MOST_HOPS { None } else { client }
}

/// Splits at separators outside of quotes, from the right: a quote that a client opens and never closes must not swallow
/// what the proxy appended. Escapes, which no address needs, are not known.
fn rsplit_unquoted(value: &[u8], separator: u8) -> std::vec::IntoIter<&[u8]> {
    let mut is_quoted = false;
    let parts = value.rsplit(move |&byte| {
        is_quoted ^= byte == b'"';
        !is_quoted && byte == separator
    });
    parts.map(<[u8]>::trim_ascii).collect::<Vec<_>>().into_iter()
}

/// The `for` of one element: `for=NODE;proto=https` in any order (RFC 7239 §4). More than one is none.
fn hop(element: &[u8]) -> Option<SocketAddr> {
    let mut found = None;
    for pair in rsplit_unquoted(element, b';') {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        if name.eq_ignore_ascii_case(b"for") {
            let value = match value {
                [b'"', inner @ .., b'"'] => inner,
                // RFC 7239 §4: what has colons and brackets must be quoted; many do not.
                bare => bare,
            };
            if found.replace(node(value, true)?).is_some() {
                return None;
            }
        }
    }
    found
}

/// An address, with a port or without (RFC 7239 §6). `unknown` and invented names say nothing. Without
/// `is_bracketed` IPv6 may stand as it is, as X-Forwarded-For has it.
fn node(text: &[u8], is_bracketed: bool) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let (address, port): (IpAddr, _) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        (address.parse::<Ipv6Addr>().ok()?.into(), rest)
    } else if let Some(address) = (!is_bracketed).then(|| text.parse::<Ipv6Addr>().ok()).flatten() {
        (address.into(), "")
    } else {
        let end = text.find(':').unwrap_or(text.len());
        (text[..end].parse::<Ipv4Addr>().ok()?.into(), &text[end..])
    };
    let port = match port.strip_prefix(':') {
        // A port may be hidden behind an invented name (RFC 7239 §6.3).
        Some(name) if name.starts_with('_') => 0,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        None if port.is_empty() => 0,
        _ => return None,
    };
    Some(SocketAddr::new(address.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    /// The client of a request with these fields, where everything in 10.0.0.0/8 and ::1 is trusted.
    fn of(fields: &[&str]) -> Result<Option<String>, Contradiction> {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            fields.iter().map(|f| format!("{f}\r\n")).collect::<String>()
        );
        let request = parse(head.as_bytes(), 1 << 16, 64).expect("good").expect("whole");
        let is_trusted = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.is_loopback(),
        };
        client(&request, is_trusted).map(|client| client.map(|client| client.to_string()))
    }

    #[test]
    fn fields_are_read_from_the_right_past_trusted_hops() {
        for (fields, client) in [
            (&["X-Forwarded-For: 192.0.2.1"][..], Some("192.0.2.1:0")),
            (&["X-Forwarded-For: 6.6.6.6, 192.0.2.1"], Some("192.0.2.1:0")),
            (&["X-Forwarded-For: 6.6.6.6,192.0.2.1 , 10.0.0.1,10.9.9.9"], Some("192.0.2.1:0")),
            (&["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 192.0.2.1,10.0.0.1"], Some("192.0.2.1:0")),
            (&["X-Forwarded-For: nonsense, 192.0.2.1"], Some("192.0.2.1:0")),
            (&["X-Forwarded-For: 192.0.2.1:80"], Some("192.0.2.1:80")),
            (&["X-Forwarded-For: 2001:db8::1"], Some("[2001:db8::1]:0")),
            (&["X-Forwarded-For: [2001:db8::1]:80, ::1"], Some("[2001:db8::1]:80")),
            (&["X-Forwarded-For: ::ffff:192.0.2.1, ::ffff:10.0.0.1"], Some("192.0.2.1:0")),
            // All trusted: the furthest of them.
            (&["X-Forwarded-For: 10.0.0.2, 10.0.0.1"], Some("10.0.0.2:0")),
            (&["Forwarded: for=192.0.2.1"], Some("192.0.2.1:0")),
            (&["Forwarded: proto=http;FOR=\"192.0.2.1:47011\";by=10.0.0.1"], Some("192.0.2.1:47011")),
            (&["Forwarded: for=6.6.6.6, for=\"[2001:db8:cafe::17]:4711\""], Some("[2001:db8:cafe::17]:4711")),
            (&["Forwarded: for=\"[2001:db8::1]:_x\", for=10.0.0.1"], Some("[2001:db8::1]:0")),
            (&["Forwarded: for=6.6.6.6", "Forwarded: for=192.0.2.1"], Some("192.0.2.1:0")),
            (&["Forwarded: for=\"6.6.6.6, for=7.7.7.7\", for=192.0.2.1"], Some("192.0.2.1:0")),
            // What the client opened, the proxy's hop does not close.
            (&["Forwarded: for=\"6.6.6.6, for=192.0.2.1"], Some("192.0.2.1:0")),
            (&["Forwarded: for=\"6.6.6.6, for=\"[2001:db8::1]:5\""], Some("[2001:db8::1]:5")),
            (&[], None),
            (&["X-Real-IP: 192.0.2.1"], None),
        ] {
            assert_eq!(of(fields), Ok(client.map(str::to_owned)), "{fields:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for hop in [
            "",
            "unknown",
            "_hidden",
            "192.0.2.1:",
            "192.0.2.1:x",
            "192.0.2.1:65536",
            "192.0.2.01",
            "192.0.2",
            "x:80",
            "[::1",
            "[192.0.2.1]",
            "[::1]80",
            "[fe80::1%1]",
            "localhost",
            "1",
            "192.0.2.1 80",
            "\"192.0.2.1",
            "é",
        ] {
            assert_eq!(of(&[&format!("X-Forwarded-For: 192.0.2.1, {hop}")]), Ok(None), "{hop:?}");
            assert_eq!(of(&[&format!("Forwarded: for=192.0.2.1, for={hop}")]), Ok(None), "{hop:?}");
        }
        for element in ["for", "proto=http", "for=192.0.2.1;for=192.0.2.2", "for=192.0.2.1;x", "for=2001:db8::1", ";"] {
            assert_eq!(of(&[&format!("Forwarded: for=192.0.2.9, {element}")]), Ok(None), "{element:?}");
        }
        let hops = |count| format!("X-Forwarded-For: 192.0.2.1{}", ", 10.0.0.1".repeat(count));
        assert_eq!(of(&[&hops(31)]), Ok(Some("192.0.2.1:0".to_owned())));
        assert_eq!(of(&[&hops(32)]), Ok(None), "a loop");
    }

    #[test]
    fn both_fields_must_agree() {
        let custom = "X-Forwarded-For: 192.0.2.1";
        assert_eq!(of(&[custom, "Forwarded: for=\"192.0.2.1:9\""]), Ok(Some("192.0.2.1:9".to_owned())));
        assert_eq!(
            of(&["X-Forwarded-For: 192.0.2.1:8", "Forwarded: for=192.0.2.1"]),
            Ok(Some("192.0.2.1:8".to_owned()))
        );
        for forged in ["Forwarded: for=192.0.2.2", "Forwarded: for=unknown", "Forwarded: proto=http", "Forwarded:"] {
            assert_eq!(of(&[custom, forged]), Err(Contradiction), "{forged}");
        }
        assert_eq!(of(&["X-Forwarded-For: x", "Forwarded: for=192.0.2.2"]), Err(Contradiction));
        assert_eq!(of(&["X-Forwarded-For: x", "Forwarded: for=y"]), Ok(None));
    }
}
