//! What holds for requests whatever the bytes are: cuts between reads change nothing, nothing panics, and what was
//! understood means the same when it is written out again. The fuzz target `http` checks the same on wilder input.

use jackfield::http::guard::is_local_host;
use jackfield::http::{Guard, Request, RequestError, end_of_head, etag_matches, parse, upgrade};
use proptest::prelude::*;

const MAX_HEAD: usize = 256;
const MAX_HEADERS: usize = 6;

/// Pieces of requests, good and bad, so that random sequences of them get past the first checks.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "OPTIONS * HTTP/1.0\r\n", "HEAD http://a/?b HTTP/1.1\r\n", "Host: a\r\n", "Host: b:1\r\n",
            "Connection: Upgrade, close\r\n", "Upgrade: websocket\r\n", "Sec-WebSocket-Version: 13\r\n", "Content-Length: 3\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Protocol: a,b\r\n", "Origin: null\r\n", "\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec!["\r", "\n", " ", "\t", ":", "\0", ",", "?", "#", "X", "HTTP/", "\r\n\r\n", "\u{e4}"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// A good request, written by parts.
fn good() -> impl Strategy<Value = String> {
    let name = "[A-Z][a-z-]{0,8}".prop_filter("a field with a meaning of its own", |name| {
        !["Host", "Via", "Origin", "Upgrade"].contains(&name.as_str())
    });
    let fields = prop::collection::vec((name, "[ -~]{0,20}"), 0..5);
    ("[A-Z]{1,7}", "/[!-\"$-~]{0,20}", 0..2u8, fields).prop_filter_map("CONNECT", |(method, target, minor, fields)| {
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        (method != "CONNECT").then(|| format!("{method} {target} HTTP/1.{minor}\r\nHost: a\r\n{lines}\r\n"))
    })
}

/// Everything that a request says, for comparison.
fn meaning(request: &Request<'_>) -> String {
    format!("{request:?} {:?} {:?}", request.fields().collect::<Vec<_>>(), upgrade::check(request).err())
}

fn outcome(bytes: &[u8]) -> Result<Option<String>, RequestError> {
    Ok(parse(bytes, MAX_HEAD, MAX_HEADERS)?.map(|request| meaning(&request)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_between_reads_change_nothing(bytes in pieces(), step in 1..9usize) {
        let whole = outcome(&bytes);
        let mut scanned = 0;
        let mut decided = None;
        for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
            // What the server does: look for the end, parse once it is there.
            let found = end_of_head(&bytes[..end], scanned, MAX_HEAD);
            scanned = end;
            let now = match found {
                Ok(None) => None,
                Ok(Some(_)) => Some(outcome(&bytes[..end])),
                Err(error) => Some(Err(error)),
            };
            // What it may do as well: parse at once.
            prop_assert_eq!(now.clone().unwrap_or(Ok(None)), outcome(&bytes[..end]), "the first {} bytes", end);
            if now.is_some() {
                decided = now;
                break;
            }
        }
        prop_assert_eq!(decided.unwrap_or(Ok(None)), whole);
    }

    #[test]
    fn what_follows_a_head_does_not_matter(head in good(), rest in prop::collection::vec(any::<u8>(), 0..40)) {
        let bytes = [head.as_bytes(), &rest].concat();
        let request = parse(&bytes, MAX_HEAD, MAX_HEADERS).expect("good").expect("complete");
        prop_assert_eq!(request.head_len, head.len());
    }

    #[test]
    fn good_requests_are_understood_and_survive_being_rewritten(head in good()) {
        let request = parse(head.as_bytes(), MAX_HEAD, MAX_HEADERS).expect("good").expect("complete");
        let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
        let mut again =
            format!("{} {}{query} HTTP/1.{}\r\n", request.method.as_str(), request.path, request.version_minor);
        for (name, value) in request.fields() {
            again += &format!("{}: {}\r\n", str::from_utf8(name).expect("ASCII"), str::from_utf8(value).expect("ASCII"));
        }
        again += "\r\n";
        prop_assert_eq!(head.split("\r\n").next(), again.split("\r\n").next());
        let rewritten = parse(again.as_bytes(), MAX_HEAD, MAX_HEADERS).expect("still good").expect("complete");
        prop_assert_eq!(
            request.fields().collect::<Vec<_>>(), rewritten.fields().collect::<Vec<_>>()
        );
        prop_assert_eq!(request.keep_alive(), rewritten.keep_alive());
        prop_assert_eq!(request.content_length(), rewritten.content_length());
    }

    #[test]
    fn t25_the_guard_judges_anything_and_trusts_no_stranger(host in "\\PC{0,20}", origin in "\\PC{0,20}", local: bool) {
        let guard = Guard::new(&[], &[], &[]).expect("no entries");
        if guard.check_host(&host).is_ok() {
            prop_assert!(!host.contains(['@', '/', '\\', ' ', ',']));
        }
        prop_assert!(!is_local_host(&host) || guard.check_host(&host).is_ok());
        // A name behind ours is somebody else's.
        let tricked = format!("http://localhost{origin}");
        if guard.check_origin(Some(&tricked), "localhost", local).is_ok() {
            prop_assert!(origin.is_empty() || origin[1..].bytes().all(|b| b.is_ascii_digit()), "{}", tricked);
        }
        let _ = guard.check_origin(Some(&origin), &host, local);
        let _ = etag_matches(&host, &origin);
    }
}
