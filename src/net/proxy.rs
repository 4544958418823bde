//! What a proxy says before the client's first byte: the PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`).
//! Layer 1, pure: bytes in, an address out.
//!
//! Strict, as whoever may say this may be anybody: what is not exactly one of the two forms is refused, and so is a
//! header that claims more than [`MOST_BYTES`]. Extensions (TLVs) are passed over, their checksum with them; who may speak
//! at all is decided elsewhere, by the address that the connection comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is read, in bytes: version 1 takes at most 107, version 2 up to 232 and its extensions.
pub const MOST_BYTES: usize = 4096;

/// Bytes of the longest line of version 1 with its CR LF (§2.1).
const LINE_BYTES: usize = 107;
/// How version 2 begins (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 before the addresses.
const FIXED_BYTES: usize = 16;

/// Whom a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The proxy itself, which looks whether we live: the connection's own peer is the client.
    Proxy,
    /// Somebody of whom the proxy knows, or says, nothing.
    Unknown,
    /// This client.
    Client(SocketAddr),
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The connection begins with something else.
    Missing,
    /// It begins like one and is none.
    Malformed,
    /// It is longer than [`MOST_BYTES`], or a line longer than 107 bytes.
    TooLong,
}

impl Fault {
    /// One sentence for the log.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Missing => "no PROXY header, which a listener with proxy+ expects (--listen)",
            Self::Malformed => "a malformed PROXY header (--listen)",
            Self::TooLong => "a PROXY header longer than 4096 bytes (--listen)",
        }
    }
}

/// Reads the header at the front of `bytes`: the client, and the header's length. `None` while it is incomplete.
///
/// # Errors
/// [`Fault`], as early as the bytes allow: whatever follows, the connection is refused.
pub fn parse(bytes: &[u8]) -> Result<Option<(Source, usize)>, Fault> {
    let starts = |start: &[u8]| bytes.iter().zip(start).all(|(byte, expected)| byte == expected);
    if starts(SIGNATURE) {
        if bytes.len() < FIXED_BYTES { check_fixed(bytes).map(|()| None) } else { binary(bytes) }
    } else if starts(b"PROXY ") {
        line(bytes)
    } else {
        Err(Fault::Missing)
    }
}

/// What is there of the 16 bytes at the front of version 2 can still become a header.
fn check_fixed(bytes: &[u8]) -> Result<(), Fault> {
    match bytes.get(SIGNATURE.len()) {
        None | Some(0x20 | 0x21) => Ok(()),
        Some(_) => Err(Fault::Malformed),
    }
}

/// Version 2: version and command, family and transport, length, addresses, extensions (§2.2).
fn binary(bytes: &[u8]) -> Result<Option<(Source, usize)>, Fault> {
    check_fixed(bytes)?;
    let len = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let whole = FIXED_BYTES + len;
    if whole > MOST_BYTES {
        return Err(Fault::TooLong);
    }
    let is_local = bytes[12] == 0x20;
    // Family and transport: what is not a stream is none of ours, what is no IP address is nobody we know.
    let needed = match bytes[13] {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(Fault::Malformed),
    };
    if len < needed {
        return Err(Fault::Malformed);
    }
    let Some(addresses) = bytes.get(FIXED_BYTES..whole) else { return Ok(None) };
    let source = match (is_local, needed) {
        (true, _) => Source::Proxy,
        (false, 12) => {
            let address: [u8; 4] = addresses[..4].try_into().expect("12 bytes are there");
            client(Ipv4Addr::from(address).into(), u16::from_be_bytes([addresses[8], addresses[9]]))
        }
        (false, 36) => {
            let address: [u8; 16] = addresses[..16].try_into().expect("36 bytes are there");
            client(Ipv6Addr::from(address).into(), u16::from_be_bytes([addresses[32], addresses[33]]))
        }
        (false, _) => Source::Unknown,
    };
    Ok(Some((source, whole)))
}

/// Version 1: `PROXY TCP4 SOURCE DESTINATION SOURCE_PORT DESTINATION_PORT` and CR LF (§2.1).
fn line(bytes: &[u8]) -> Result<Option<(Source, usize)>, Fault> {
    let window = &bytes[..bytes.len().min(LINE_BYTES)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() >= LINE_BYTES { Err(Fault::TooLong) } else { Ok(None) };
    };
    let text = window[..end].strip_suffix(b"\r").and_then(|text| std::str::from_utf8(text).ok());
    let mut words = text.ok_or(Fault::Malformed)?.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // Whatever stands behind it is to be passed over.
        return Ok(Some((Source::Unknown, end + 1)));
    }
    let (Some(from), Some(to), Some(from_port), Some(to_port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Fault::Malformed);
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(Into::into),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(Into::into),
            _ => None,
        }
    };
    let (Some(from), Some(_), Some(port), Some(_)) = (address(from), address(to), port(from_port), port(to_port))
    else {
        return Err(Fault::Malformed);
    };
    Ok(Some((client(from, port), end + 1)))
}

fn client(address: IpAddr, port: u16) -> Source {
    Source::Client(SocketAddr::new(address.to_canonical(), port))
}

fn port(digits: &str) -> Option<u16> {
    // `parse` alone would take "+80" and "0080".
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).expect("short");
        [&SIGNATURE[..], &[command, family], &len.to_be_bytes(), body].concat()
    }

    fn from(text: &str) -> Source {
        Source::Client(text.parse().expect("an address"))
    }

    /// In any two pieces it comes to the same, and what follows the header is not looked at.
    fn read(bytes: &[u8]) -> Result<Option<(Source, usize)>, Fault> {
        let whole = parse(bytes);
        for cut in 0..bytes.len() {
            match (parse(&bytes[..cut]), whole) {
                (Ok(None), _) => {}
                (early, whole) => assert_eq!(early, whole, "cut at {cut} of {bytes:?}"),
            }
        }
        if let Ok(Some(_)) = whole {
            assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n"].concat()), whole);
        }
        whole
    }

    #[test]
    fn lines_of_version_1() {
        for (line, source) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", from("192.0.2.1:56324")),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", from("255.255.255.255:65535")),
            ("PROXY TCP6 2001:db8::1 ::1 1 0\r\n", from("[2001:db8::1]:1")),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", from("192.0.2.1:1")),
            ("PROXY UNKNOWN\r\n", Source::Unknown),
            ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", Source::Unknown),
        ] {
            assert_eq!(read(line.as_bytes()), Ok(Some((source, line.len()))), "{line}");
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
            "PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 x\r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY \r\n",
            "PROXY TCP4 192.0.2.\u{661} 198.51.100.1 1 2\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(Fault::Malformed), "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!(parse(long.as_bytes()), Err(Fault::TooLong));
        assert_eq!(read(&long.as_bytes()[..106]), Ok(None));
        for start in ["G", "P ", "PROXX", "\r\n\r\n\0\r\nQUIX", "\x16\x03\x01", "\n"] {
            assert_eq!(parse(start.as_bytes()), Err(Fault::Missing), "{start:?}");
        }
        for start in ["", "P", "PROXY", "PROXY ", "\r\n\r\n\0"] {
            assert_eq!(parse(start.as_bytes()), Ok(None), "{start:?}");
        }
    }

    #[test]
    fn headers_of_version_2() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB];
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 0x01, 9, 7);
        let with_tlv = [&v4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        for (header, source) in [
            (v2(0x21, 0x11, &v4), from("192.0.2.1:56324")),
            (v2(0x21, 0x11, &with_tlv), from("192.0.2.1:56324")),
            (v2(0x21, 0x21, &v6), from("[2001::9]:7")),
            (v2(0x21, 0x31, &[0; 216]), Source::Unknown),
            (v2(0x21, 0x00, &[]), Source::Unknown),
            (v2(0x21, 0x00, &[1; 50]), Source::Unknown),
            (v2(0x20, 0x00, &[]), Source::Proxy),
            // Addresses of a LOCAL connection, even of no family that there is, are passed over (§2.2).
            (v2(0x20, 0x11, &v4), Source::Proxy),
            (v2(0x20, 0xFF, &[9; 3]), Source::Proxy),
        ] {
            assert_eq!(read(&header), Ok(Some((source, header.len()))), "{header:?}");
        }
    }

    #[test]
    fn other_headers_are_refused() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB];
        for (header, fault) in [
            (v2(0x11, 0x11, &v4), Fault::Malformed),
            (v2(0x22, 0x11, &v4), Fault::Malformed),
            (v2(0x31, 0x11, &v4), Fault::Malformed),
            (v2(0x21, 0x12, &v4), Fault::Malformed),
            (v2(0x21, 0x10, &v4), Fault::Malformed),
            (v2(0x21, 0x01, &v4), Fault::Malformed),
            (v2(0x21, 0x41, &v4), Fault::Malformed),
            (v2(0x21, 0x11, &v4[..11]), Fault::Malformed),
            (v2(0x21, 0x21, &[0; 35]), Fault::Malformed),
            (v2(0x21, 0x31, &[0; 215]), Fault::Malformed),
            (v2(0x21, 0x11, &[0; MOST_BYTES - FIXED_BYTES + 1]), Fault::TooLong),
            (v2(0x20, 0x00, &[0; MOST_BYTES - FIXED_BYTES + 1]), Fault::TooLong),
        ] {
            assert_eq!(parse(&header), Err(fault), "{:?}", &header[..16]);
        }
        // Refused by its length alone, before any of it has come.
        assert_eq!(parse(&v2(0x21, 0x11, &[0; 5000])[..16]), Err(Fault::TooLong));
        assert_eq!(v2(0x21, 0x11, &[0; MOST_BYTES - FIXED_BYTES]).len(), MOST_BYTES);
    }
}
