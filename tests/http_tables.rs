//! Requests and opening handshakes against tables: what is refused (T8, T18) and what is understood. No sockets;
//! `http_guard` has Host and Origin, `http_properties` what holds for any bytes.

use jackfield::http::upgrade::{self, UpgradeError};
use jackfield::http::{Method, Request, RequestError, parse};

const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

fn read(bytes: &[u8]) -> Result<Option<Request<'_>>, RequestError> {
    parse(bytes, MAX_HEAD, MAX_HEADERS)
}

fn good(text: &str) -> Request<'_> {
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}")).unwrap_or_else(|| panic!("{text:?}"))
}

/// A head from lines, with its line endings.
fn head(lines: &[&str]) -> String {
    lines.iter().fold(String::new(), |text, line| text + line + "\r\n") + "\r\n"
}

#[test]
fn t18_what_two_servers_could_read_differently_is_refused() {
    use RequestError::*;
    let rows: &[(&[u8], RequestError)] = &[
        // Lengths of the body.
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            TransferEncodingWithLength,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            TransferEncodingWithLength,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
            TransferEncodingWithLength,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\ntRANSFER-eNCODING:\r\ncONTENT-lENGTH: 1\r\n\r\n", TransferEncodingWithLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", HeaderName),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", HeaderName),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n", ControlByte),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", BareCr),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", BareLf),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n", Folded),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", DuplicateContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n", DuplicateContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xd9\xa5\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", BadContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", HeaderName),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n 6\r\n\r\n", Folded),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\0\r\n\r\n", ControlByte),
        // Whom the request is for.
        (b"GET / HTTP/1.1\r\n\r\n", MissingHost),
        (b"GET http://a/ HTTP/1.1\r\n\r\n", MissingHost),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", DuplicateHost),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", DuplicateHost),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", DuplicateHost),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", BadHost),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", BadHost),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BadHost),
        (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BadHost),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BadHost),
        (b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", BadHost),
        (b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", BadHost),
        (b"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", BadHost),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Folded),
        (b"GET / HTTP/1.1\r\nX: y\r\n\tHost: a\r\n\r\n", Folded),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeaderName),
        (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", HostMismatch),
        (b"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", HostMismatch),
        (b"GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", HostMismatch),
        (b"GET https://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", HostMismatch),
        (b"GET http://a./ HTTP/1.1\r\nHost: a\r\n\r\n", HostMismatch),
        (b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", Target),
        (b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n", DuplicateOrigin),
        (b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://\xc3\xa4\r\n\r\n", BadOrigin),
        // Where lines and the head end.
        (b"GET / HTTP/1.1\nHost: a\n\n", BareLf),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", BareLf),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", BareLf),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLf),
        (b"GET / HTTP/1.1\rHost: a\r\n\r\n", BareCr),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BareCr),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\rGET /b HTTP/1.1\r\n\r\n", BareCr),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa4: b\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", ControlByte),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n", ControlByte),
        // The request line.
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", RequestLine),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"\r\n GET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"G\xc3\xa4T / HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /\r\n\r\n", RequestLine),
        (b"GET\r\n\r\n", RequestLine),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/11\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / FTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Version),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Version),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", Version),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version),
        (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", ControlByte),
        (b"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"OPTIONS *? HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Connect),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ControlByte),
    ];
    assert!(rows.len() >= 40);
    for (bytes, error) in rows {
        let text = bytes.escape_ascii();
        assert_eq!(read(bytes).map(|_| ()), Err(*error), "{text}");
        assert!(matches!(error.status(), 400 | 501 | 505) && !error.message().is_empty(), "{text}");
    }
}

#[test]
fn statuses_are_the_ones_of_the_rfc() {
    use RequestError::*;
    for (error, status, option) in [
        (HeadTooLong, 431, "--max-head"),
        (TooManyHeaders, 431, "--max-headers"),
        (TargetTooLong, 414, "--max-head"),
        (TransferEncoding, 501, ""),
        (Version, 505, ""),
        (MissingHost, 400, ""),
    ] {
        assert_eq!(error.status(), status, "{error:?}");
        assert!(error.to_string().contains(option), "{error}");
    }
}

#[test]
fn t8_heads_have_bounds_and_fail_as_soon_as_these_are_passed() {
    let mut lines = vec!["GET / HTTP/1.1", "Host: a"];
    lines.resize(1 + MAX_HEADERS, "X: y");
    assert_eq!(good(&head(&lines)).fields().count(), MAX_HEADERS);
    lines.push("X: y");
    assert_eq!(read(head(&lines).as_bytes()).err(), Some(RequestError::TooManyHeaders));
    lines.resize(2000, "X:");
    assert_eq!(read(head(&lines).as_bytes()).err(), Some(RequestError::TooManyHeaders));
    // The caller's limit may be larger than what the stack holds.
    assert_eq!(parse(head(&lines).as_bytes(), 1 << 20, usize::MAX).err(), Some(RequestError::TooManyHeaders));

    let long = "a".repeat(MAX_HEAD);
    let fits = head(&["GET / HTTP/1.0", &format!("X: {}", &long[..MAX_HEAD - 23])]);
    assert_eq!((fits.len(), good(&fits).head_len), (MAX_HEAD, MAX_HEAD));
    for (bytes, error) in [
        (format!("GET /{long}"), RequestError::TargetTooLong),
        (long.clone(), RequestError::TargetTooLong),
        (format!("GET / HTTP/1.1\r\n{long}"), RequestError::HeadTooLong),
        (format!("GET / HTTP/1.1\r\nX: {}", long.repeat(128)), RequestError::HeadTooLong),
        (fits.replacen("X:", "XY:", 1), RequestError::HeadTooLong),
    ] {
        assert_eq!(read(bytes.as_bytes()).err(), Some(error), "{} bytes", bytes.len());
        assert_eq!(read(&bytes.as_bytes()[..MAX_HEAD]).err(), Some(error), "as early as the limit");
        assert!(matches!(read(&bytes.as_bytes()[..MAX_HEAD - 1]), Ok(None)), "and not before it");
    }
}

#[test]
fn request_lines_are_understood() {
    for (line, method, path, query, host) in [
        ("GET / HTTP/1.1", Method::Get, "/", None, "A.example:80"),
        ("HEAD /a%20b?c=d&e HTTP/1.1", Method::Head, "/a%20b", Some("c=d&e"), "A.example:80"),
        ("OPTIONS * HTTP/1.1", Method::Options, "*", None, "A.example:80"),
        ("get //a/../b?? HTTP/1.1", Method::Other("get"), "//a/../b", Some("?"), "A.example:80"),
        ("DELETE /{|}\\^ HTTP/1.1", Method::Other("DELETE"), "/{|}\\^", None, "A.example:80"),
        ("GET http://a.example HTTP/1.1", Method::Get, "/", None, "A.example:80"),
        ("GET HTTP://a.example:80/x?y HTTP/1.1", Method::Get, "/x", Some("y"), "A.example:80"),
        ("GET http://a.example?y=http://b/ HTTP/1.1", Method::Get, "/", Some("y=http://b/"), "A.example:80"),
    ] {
        let text = head(&[line, "Host: A.example:80"]) + "GET /next HTTP/1.1\r\n";
        let request = good(&text);
        assert_eq!(
            (request.method, request.path, request.query, request.host()),
            (method, path, query, host),
            "{line}"
        );
        assert_eq!(&text[request.head_len..], "GET /next HTTP/1.1\r\n", "{line}");
        assert_eq!(Some(request.method.as_str()), line.split(' ').next());
    }
    let old = head(&["GET / HTTP/1.0"]);
    assert_eq!((good(&old).host(), good(&old).version_minor), ("", 0));
    let old = head(&["GET http://a:81/ HTTP/1.0"]);
    assert_eq!(good(&old).host(), "a:81");
    for (target, host) in
        [("https://a/x", "Host: a:443"), ("https://a:443/x", "Host: a"), ("https://[::1]/x", "Host: [0::1]")]
    {
        assert_eq!(good(&head(&[&format!("GET {target} HTTP/1.1"), host])).path, "/x");
    }
}

#[test]
fn fields_are_found_by_any_case_and_only_when_unambiguous() {
    let text = head(&[
        "GET /?echo=1&room=a+b%2F HTTP/1.1",
        "HOST:a",
        "Origin:  null\t",
        "If-None-Match: \"x\"",
        "X: one",
        "x: two",
        "Name: \u{e4}",
        "Content-Length: 18446744073709551615",
        "Empty:",
    ]);
    let request = good(&text);
    assert_eq!(request.header("if-none-match"), Some("\"x\""));
    assert_eq!(request.header("EMPTY"), Some(""));
    assert_eq!((request.header("x"), request.header("name"), request.header("y")), (None, None, None));
    assert_eq!(request.headers("X").collect::<Vec<_>>(), [b"one", b"two"]);
    assert_eq!(request.headers("name").collect::<Vec<_>>(), ["\u{e4}".as_bytes()]);
    assert!(request.has_header("x") && request.has_header("name") && !request.has_header("y"));
    assert_eq!((request.host(), request.origin()), ("a", Some("null")));
    assert_eq!(request.content_length(), u64::MAX);
    assert!(request.query_flag("echo") && !request.query_flag("room") && !request.query_flag("none"));
    assert_eq!(request.query_value("room").as_deref(), Some("a b/"));
    assert_eq!(request.query_value("none"), None);
    assert_eq!(request.fields().count(), 9 - 1);
}

#[test]
fn connections_persist_as_the_version_and_the_client_say() {
    for (version, connection, keep_alive) in [
        ("1.1", "X: y", true),
        ("1.1", "Connection: close", false),
        ("1.1", "Connection: CLOSE, upgrade", false),
        ("1.1", "Connection: x,\t,close", false),
        ("1.1", "Connection: keep-alive, close", false),
        ("1.1", "Connection: closed", true),
        ("1.0", "X: y", false),
        ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: keep-alive, close", false),
    ] {
        let text = head(&[&format!("GET / HTTP/{version}"), "Host: a", connection]);
        assert_eq!(good(&text).keep_alive(), keep_alive, "{version} {connection}");
    }
    let several = head(&["GET / HTTP/1.1", "Host: a", "Connection: keep-alive", "connection: close"]);
    assert!(!good(&several).keep_alive());
}

#[test]
fn proxies_are_noticed_by_what_they_add() {
    let forwarded = |line: &str| good(&head(&["GET / HTTP/1.1", "Host: a", line])).is_forwarded();
    for line in [
        "Forwarded: for=1.2.3.4",
        "x-forwarded-for: 1.2.3.4",
        "X-FORWARDED-PROTO:",
        "X-Real-IP: a",
        "via: 1.1 a",
        "CF-Connecting-IP: 1.2.3.4",
        "true-client-ip: 1.2.3.4",
        "X-Client-IP:",
        "X-Original-Forwarded-For: a",
    ] {
        assert!(forwarded(line), "{line}");
    }
    for line in ["X-Forwarded: a", "X-Client: a", "Forward: a", "X: x-forwarded-for", "Trivia: a"] {
        assert!(!forwarded(line), "{line}");
    }
}

#[test]
fn handshakes_meet_every_demand_or_say_which_they_miss() {
    use UpgradeError::*;
    const GOOD: [&str; 6] = [
        "GET /chat HTTP/1.1",
        "Host: a",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    // Each row replaces one line of a good handshake (by index; the last index adds one).
    let rows: &[(usize, &str, Result<(), UpgradeError>)] = &[
        (6, "X: y", Ok(())),
        (0, "GET http://a/chat?x=y HTTP/1.1", Ok(())),
        (0, "POST /chat HTTP/1.1", Err(Method)),
        (0, "HEAD /chat HTTP/1.1", Err(Method)),
        (0, "get /chat HTTP/1.1", Err(Method)),
        (0, "GET /chat HTTP/1.0", Err(HttpVersion)),
        (2, "upgrade: WebSocket", Ok(())),
        (2, "UPGRADE: h2c , WEBSOCKET", Ok(())),
        (2, "Upgrade: h2c\r\nUpgrade: websocket", Ok(())),
        (2, "Upgrade: web socket", Err(Upgrade)),
        (2, "Upgrade: websockets", Err(Upgrade)),
        (2, "Upgrade: h2c", Err(Upgrade)),
        (2, "Upgrade:", Err(Upgrade)),
        (2, "X: y", Err(Upgrade)),
        (3, "connection: keep-alive, upgrade", Ok(())),
        (3, "Connection: keep-alive\r\nConnection: UPGRADE", Ok(())),
        (3, "Connection: keep-alive upgrade", Err(Connection)),
        (3, "Connection: upgraded", Err(Connection)),
        (3, "Connection: keep-alive", Err(Connection)),
        (3, "X: y", Err(Connection)),
        (4, "sec-websocket-key:\tAQIDBAUGBwgJCgsMDQ4PEC== ", Ok(())),
        (4, "Sec-WebSocket-Key: ++++//////++++++//////==", Ok(())),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25=ZQ==", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2-_ZQ==", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBs SBub25jZQ==", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBs\u{e4}Bub25jZQ==", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==", Err(Key)),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBub25jZQ==", Err(Key)),
        (4, "Sec-WebSocket-Key: ==", Err(Key)),
        (4, "Sec-WebSocket-Key:", Err(Key)),
        (4, "X: y", Err(Key)),
        (6, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", Err(DuplicateKey)),
        (5, "SEC-WEBSOCKET-VERSION:13", Ok(())),
        (5, "Sec-WebSocket-Version: 8", Err(Version)),
        (5, "Sec-WebSocket-Version: 13, 8", Err(Version)),
        (5, "Sec-WebSocket-Version: 013", Err(Version)),
        (5, "Sec-WebSocket-Version: +13", Err(Version)),
        (5, "Sec-WebSocket-Version: 130", Err(Version)),
        (5, "Sec-WebSocket-Version:", Err(Version)),
        (5, "X: y", Err(Version)),
        (6, "Sec-WebSocket-Version: 13", Err(DuplicateVersion)),
        (6, "Content-Length: 0", Ok(())),
        (6, "Content-Length: 1", Err(Body)),
        (6, "Sec-WebSocket-Protocol: a", Ok(())),
        (6, "Sec-WebSocket-Protocol: a,b\r\nSec-WebSocket-Protocol: c", Ok(())),
        (6, "Sec-WebSocket-Protocol: a, A", Ok(())),
        (6, "Sec-WebSocket-Protocol: a,,b,", Ok(())),
        (6, "Sec-WebSocket-Protocol: v1.x!#$%&'*+-.^_`|~", Ok(())),
        (6, "Sec-WebSocket-Protocol: a, a", Err(DuplicateSubprotocol)),
        (6, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b,a", Err(DuplicateSubprotocol)),
        (6, "Sec-WebSocket-Protocol: a b", Err(Subprotocol)),
        (6, "Sec-WebSocket-Protocol: a;q=1", Err(Subprotocol)),
        (6, "Sec-WebSocket-Protocol: \"a\"", Err(Subprotocol)),
        (6, "Sec-WebSocket-Protocol: \u{e4}", Err(Subprotocol)),
        (6, "Sec-WebSocket-Protocol: ,", Err(Subprotocol)),
        (6, "Sec-WebSocket-Protocol:", Err(Subprotocol)),
        (6, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", Ok(())),
        (6, "Sec-WebSocket-Extensions: ;;,\"", Ok(())),
    ];
    for (index, line, expected) in rows {
        let mut lines = GOOD.to_vec();
        lines.resize(lines.len().max(index + 1), "");
        lines[*index] = line;
        let text = head(&lines);
        let request = good(&text);
        assert!(request.wants_upgrade(), "{line}");
        assert_eq!(upgrade::check(&request).map(|_| ()), *expected, "{line}");
    }
    for error in [Method, HttpVersion, Upgrade, Connection, Body, Key, DuplicateKey, DuplicateVersion, Subprotocol] {
        assert_eq!(error.status(), 400, "{error}");
    }
    assert_eq!(Version.status(), 426);
    for plain in ["X: y", "Upgrade: h2c", "Connection: upgrade"] {
        assert!(!good(&head(&["GET / HTTP/1.1", "Host: a", plain])).wants_upgrade(), "{plain}");
    }
}
