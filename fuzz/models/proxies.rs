//! What a proxy says of whom it speaks for: the PROXY header however it is cut, and header fields that begin with anything
//! a client may have made up.

use std::net::{IpAddr, SocketAddr};

use jackfield::http::forwarded;
use jackfield::http::parse as parse_request;
use jackfield::net::proxy::{Fault, MOST_BYTES, Source, parse};

/// Whatever `bytes` are, pieces change nothing, what follows changes nothing, and a fault stays one.
pub(crate) fn check_header(bytes: &[u8]) {
    let whole = parse(bytes);
    for cut in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
        match parse(&bytes[..cut]) {
            Ok(None) => {}
            early => assert_eq!(early, whole, "cut at {cut}"),
        }
    }
    match whole {
        Ok(Some((source, len))) => {
            assert!(len <= bytes.len() && len <= MOST_BYTES);
            assert_eq!(parse(&bytes[..len]), whole);
            assert_eq!(parse(&[&bytes[..len], b"PROXY UNKNOWN\r\n"].concat()), whole);
            if let Source::Client(client) = source {
                assert_eq!(client.ip(), client.ip().to_canonical());
                check_round_trip(client);
            }
        }
        Ok(None) => assert!(bytes.len() < MOST_BYTES),
        Err(Fault::Missing | Fault::Malformed | Fault::TooLong) => {
            assert_eq!(parse(&[bytes, b"\r\n"].concat()), whole, "a fault stays one");
        }
    }
}

/// What a right header says is what is heard, in both versions.
pub(crate) fn check_round_trip(client: SocketAddr) {
    let (ip, port) = (client.ip().to_canonical(), client.port());
    let expected = Source::Client(SocketAddr::new(ip, port));
    let family = if ip.is_ipv4() { "TCP4" } else { "TCP6" };
    let line = format!("PROXY {family} {ip} {ip} {port} 80\r\n");
    assert_eq!(parse(line.as_bytes()), Ok(Some((expected, line.len()))), "{line}");
    let (kind, address) = match ip {
        IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
        IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
    };
    let body = [&address[..], &address, &port.to_be_bytes(), &[0, 80]].concat();
    let len = u16::try_from(body.len()).expect("36 at most").to_be_bytes();
    let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21"[..], &[kind], &len, &body].concat();
    assert_eq!(parse(&header), Ok(Some((expected, header.len()))), "{header:?}");
}

/// Whatever a client puts into the fields, the hop that its proxy appended is the client.
pub(crate) fn check_fields(forged: &str) {
    // That would be other fields.
    if forged.contains(['\r', '\n']) {
        return;
    }
    let proxy: IpAddr = [10, 0, 0, 1].into();
    let client_of = |field: &str, hop: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}: {forged}{hop}\r\n\r\n");
        let request = parse_request(head.as_bytes(), 1 << 16, 64).ok()??;
        Some(forwarded::client(&request, |address| address == proxy).expect("one field does not contradict itself"))
    };
    let expected: SocketAddr = "192.0.2.1:0".parse().expect("an address");
    for (field, hop) in [
        ("X-Forwarded-For", ", 192.0.2.1"),
        ("X-Forwarded-For", ", 192.0.2.1, 10.0.0.1"),
        ("Forwarded", ", for=192.0.2.1"),
        ("Forwarded", ", for=\"192.0.2.1\";proto=https, for=10.0.0.1"),
    ] {
        if let Some(client) = client_of(field, hop) {
            assert_eq!(client, Some(expected), "{field}: {forged}{hop}");
        }
        // Alone it may be anything, and is read without harm.
        let _ = client_of(field, "");
    }
}

/// A header as bytes, and the same as the value of a field.
pub(crate) fn check(bytes: &[u8]) {
    check_header(bytes);
    check_fields(&String::from_utf8_lossy(bytes));
}
