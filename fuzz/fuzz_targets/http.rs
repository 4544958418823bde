//! Any bytes as a request: nothing panics, cuts between reads change nothing, what was understood means the same when
//! it is written out again, and the guard's verdict is in keeping with what it let pass.
//!
//! The first byte of the input says where the rest is cut; what follows is the request.

#![no_main]

use jackfield::http::guard::is_local_host;
use jackfield::http::{
    Framing, Guard, Method, Request, RequestError, end_of_head, etag_matches, parse, refuse, upgrade,
};
use libfuzzer_sys::fuzz_target;

const MAX_HEAD: usize = 512;
const MAX_HEADERS: usize = 12;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let whole = parse(bytes, MAX_HEAD, MAX_HEADERS);
    cuts_change_nothing(bytes, usize::from(cut), &whole);
    match whole {
        Ok(Some(request)) => {
            rewriting_changes_nothing(&request);
            handshake(&request);
            judged(&request);
        }
        Ok(None) => assert!(bytes.len() < MAX_HEAD),
        Err(error) => readable(error.status(), error.message()),
    }
});

type Outcome<'b> = Result<Option<Request<'b>>, RequestError>;

fn cuts_change_nothing(bytes: &[u8], cut: usize, whole: &Outcome<'_>) {
    let same = |other: &Outcome<'_>| match (whole, other) {
        (Ok(Some(a)), Ok(Some(b))) => meaning(a) == meaning(b),
        (Ok(None), Ok(None)) => true,
        (Err(a), Err(b)) => a == b,
        _ => false,
    };
    let cut = cut.min(bytes.len());
    let early = parse(&bytes[..cut], MAX_HEAD, MAX_HEADERS);
    assert!(matches!(early, Ok(None)) || same(&early), "what is decided stays decided");

    let mut scanned = 0;
    for end in (0..bytes.len()).step_by(cut % 7 + 1).chain([bytes.len()]) {
        match end_of_head(&bytes[..end], scanned, MAX_HEAD) {
            Ok(None) => scanned = end,
            Ok(Some(head)) => {
                assert!(head <= end.min(MAX_HEAD) && same(&parse(&bytes[..head], MAX_HEAD, MAX_HEADERS)));
                return;
            }
            Err(error) => {
                assert!(matches!(whole, Err(other) if *other == error));
                return;
            }
        }
    }
    assert!(matches!(whole, Ok(None)));
}

type Meaning<'b> = (Method<'b>, &'b str, Option<&'b str>, u8, &'b str, Option<&'b str>, u64, [bool; 3]);

fn meaning<'b>(request: &Request<'b>) -> (Meaning<'b>, Vec<(&'b [u8], &'b [u8])>) {
    let says = [request.keep_alive(), request.wants_upgrade(), request.is_forwarded()];
    let head = (
        request.method,
        request.path,
        request.query,
        request.version_minor,
        request.host(),
        request.origin(),
        request.content_length(),
        says,
    );
    (head, request.fields().collect())
}

fn rewriting_changes_nothing(request: &Request<'_>) {
    let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
    let line = format!("{} {}{query} HTTP/1.{}\r\n", request.method.as_str(), request.path, request.version_minor);
    let mut again = line.into_bytes();
    for (name, value) in request.fields() {
        again.extend([name, b": ", value, b"\r\n"].concat());
    }
    // An absolute target is written in origin form; an HTTP/1.0 request may have named its host there alone.
    if !request.host().is_empty() && !request.has_header("host") {
        again.extend(format!("Host: {}\r\n", request.host()).bytes());
    }
    again.extend(b"\r\n");
    let rewritten = parse(&again, usize::MAX, usize::MAX).expect("still acceptable").expect("still complete");
    assert_eq!(meaning(request).0, meaning(&rewritten).0);
    assert!(meaning(&rewritten).1.starts_with(&meaning(request).1));
}

fn handshake(request: &Request<'_>) {
    match upgrade::check(request) {
        Ok(handshake) => {
            assert!(request.wants_upgrade() && request.method == Method::Get && request.version_minor == 1);
            assert!(!request.host().is_empty() && request.content_length() == 0);
            let offered: Vec<_> = handshake.protocols().collect();
            for protocol in offered.iter().copied().map(Some).chain([None, Some("none\r\n")]) {
                let mut out = Vec::new();
                handshake.accept(&mut out, protocol);
                let lines = out.split(|&b| b == b'\n').count() - 1;
                assert_eq!(lines, 5 + usize::from(protocol.is_some_and(|name| offered.contains(&name))));
            }
        }
        Err(error) => readable(error.status(), error.message()),
    }
}

fn judged(request: &Request<'_>) {
    let list = |entries: &[&str]| entries.iter().map(ToString::to_string).collect::<Vec<_>>();
    let guard =
        Guard::new(&list(&["https://a.example"]), &list(&["*.b.example"]), &list(&["pi"])).expect("good entries");
    for loopback in [true, false] {
        match guard.check(request, loopback) {
            Ok(()) => {
                let host = request.host().to_ascii_lowercase();
                let known = host.is_empty()
                    || host.starts_with(|c: char| c == '[' || c.is_ascii_digit())
                    || ["localhost", "b.example", "pi"].iter().any(|name| host.contains(name));
                assert!(known, "{host}");
                assert!(request.origin() != Some("null"));
            }
            Err(refusal) => readable(refusal.status(), refusal.message()),
        }
    }
    assert!(request.host().is_empty() || !is_local_host(request.host()) || guard.check_host(request.host()).is_ok());
    // Any text, not only what a request may carry.
    let (path, query) = (request.path, request.query.unwrap_or_default());
    let _ = guard.check_host(&path[1..]);
    let _ = guard.check_origin(Some(query), &path[1..], true);
    let _ = guard.check_origin(Some(&format!("http://{query}")), query, false);
    let _ = etag_matches(query, path);
    let _ = request.query_flag("a");
    let _ = request.query_value("a");
}

/// A refusal is one response with a status and a body.
fn readable(status: u16, message: &str) {
    let mut out = Vec::new();
    refuse(&mut out, status, message, Framing::CLOSE);
    let text = str::from_utf8(&out).expect("our own words");
    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")) && text.ends_with(&format!("\n{message}\n")));
}
