//! Our few responses, written into a vector. Layer 0.
//!
//! Every response has a length of its own, so the connection can be kept; there is no chunked coding and no Date (RFC
//! 9110 §6.6.1 asks for one only from servers with a clock, and this layer has none). Header values come from us; one
//! that could end its line early is left out, whoever made it.

use std::io::Write;

use super::head::{elements, is_token};
use super::request::{Method, Request};

/// How a response must be framed: what the request says about it, whatever the answer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Framing {
    /// Whether another request may follow; if not, the caller closes after this response.
    pub keep_alive: bool,
    /// Whether the request was HEAD: same head as for GET, no body (RFC 9110 §9.3.2).
    pub head_only: bool,
}

impl Framing {
    /// For requests that could not be understood.
    pub const CLOSE: Self = Self { keep_alive: false, head_only: false };

    /// What `request` asks for. A request with a body closes, as its body is nothing that we read.
    #[must_use]
    pub fn of(request: &Request<'_>) -> Self {
        Self {
            keep_alive: request.keep_alive() && request.content_length() == 0,
            head_only: request.method == Method::Head,
        }
    }
}

/// A response under construction. Order: [`begin`](Self::begin), any number of [`header`](Self::header), then one of
/// [`body`](Self::body), [`head`](Self::head), [`empty`](Self::empty).
#[derive(Debug)]
#[must_use = "a response needs an end"]
pub struct Response<'o> {
    out: &'o mut Vec<u8>,
    framing: Framing,
}

impl<'o> Response<'o> {
    /// Appends the status line and what every response carries. Status 426 gets the fields that RFC 9110 §15.5.22 and
    /// RFC 6455 §4.4 demand.
    pub fn begin(out: &'o mut Vec<u8>, status: u16, framing: Framing) -> Self {
        let upgrade = status == 426;
        let connection = match (framing.keep_alive, upgrade) {
            (true, false) => "keep-alive",
            (false, false) => "close",
            (true, true) => "keep-alive, Upgrade",
            (false, true) => "close, Upgrade",
        };
        write!(out, "HTTP/1.1 {status} {}\r\nConnection: {connection}\r\n", reason(status))
            .expect("writing to a vector cannot fail");
        out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
        if upgrade {
            out.extend_from_slice(b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        }
        Self { out, framing }
    }

    /// Appends a field. Nothing is written if `name` is no token or `value` holds a control byte: a response is never
    /// split (RFC 9110 §5.5).
    pub fn header(self, name: &str, value: &str) -> Self {
        if is_token(name.as_bytes()) && !value.bytes().any(|b| b.is_ascii_control()) {
            for part in [name, ": ", value, "\r\n"] {
                self.out.extend_from_slice(part.as_bytes());
            }
        }
        self
    }

    /// Ends the response with a body, left out for HEAD.
    pub fn body(self, content_type: &str, body: &[u8]) {
        let head_only = self.framing.head_only;
        let out = self.typed(content_type, body.len());
        if !head_only {
            out.extend_from_slice(body);
        }
    }

    /// Ends the head of a response whose body of `len` bytes the caller writes itself, unless
    /// [`head_only`](Framing::head_only).
    pub fn head(self, content_type: &str, len: usize) {
        self.typed(content_type, len);
    }

    /// Ends a response that has no body by its status: 204 or 304 (RFC 9112 §6.3).
    pub fn empty(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    fn typed(self, content_type: &str, len: usize) -> &'o mut Vec<u8> {
        let Self { out, .. } = self.header("Content-Type", content_type);
        write!(out, "Content-Length: {len}\r\n\r\n").expect("writing to a vector cannot fail");
        out
    }
}

/// Appends a refusal that people can read: the status, and one sentence that says why.
pub fn refuse(out: &mut Vec<u8>, status: u16, message: &str, framing: Framing) {
    let response = Response::begin(out, status, framing);
    let response = if status == 503 { response.header("Retry-After", RETRY_AFTER_S) } else { response };
    readable(response, status, message);
}

/// Appends 401 (RFC 9110 §15.5.2): a bearer's token (RFC 6750 §3) is needed, or is not accepted.
pub fn unauthorized(out: &mut Vec<u8>, message: &str, framing: Framing) {
    readable(Response::begin(out, 401, framing).header(CHALLENGE.0, CHALLENGE.1), 401, message);
}

/// The field that every 401 has.
pub const CHALLENGE: (&str, &str) = ("WWW-Authenticate", "Bearer");

/// Appends 405; `allow` lists the methods that would do (RFC 9110 §15.5.6).
pub fn method_not_allowed(out: &mut Vec<u8>, allow: &str, framing: Framing) {
    let response = Response::begin(out, 405, framing).header("Allow", allow);
    readable(response, 405, &format!("This method is not for this address; it takes {allow}."));
}

/// Appends 308 (RFC 9110 §15.4.9): the page is at `to`, a reference relative to what was asked for. The caller says what
/// that is, no request.
pub fn redirect(out: &mut Vec<u8>, to: &'static str, framing: Framing) {
    let response = Response::begin(out, 308, framing).header("Location", to).header("Cache-Control", "no-cache");
    readable(response, 308, &format!("This page is at {to}."));
}

/// Appends 304: what the client has is still right (RFC 9110 §15.4.5).
pub fn not_modified(out: &mut Vec<u8>, etag: &str, framing: Framing) {
    Response::begin(out, 304, framing).header("ETag", etag).empty();
}

/// When a client that found no room may try again, in seconds (RFC 9110 §10.2.3).
pub const RETRY_AFTER_S: &str = "5";

fn readable(response: Response<'_>, status: u16, message: &str) {
    let text = format!("{status} {}\n\n{message}\n", reason(status));
    response.body("text/plain; charset=utf-8", text.as_bytes());
}

/// Whether the value of an If-None-Match field matches `etag`, so that 304 is the answer: weak comparison, lists, `*`
/// (RFC 9110 §13.1.2). Malformed members match nothing.
#[must_use]
pub fn etag_matches(if_none_match: &str, etag: &str) -> bool {
    let wanted = etag.strip_prefix("W/").unwrap_or(etag);
    if elements(if_none_match.as_bytes()).eq([b"*"]) {
        return true;
    }
    let mut rest = if_none_match;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        rest = rest.strip_prefix("W/").unwrap_or(rest);
        // A comma may stand inside the quotes.
        let Some((tag, tail)) = rest.strip_prefix('"').and_then(|inner| inner.split_once('"')) else { return false };
        if wanted.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) == Some(tag) {
            return true;
        }
        rest = tail;
    }
}

/// RFC 9110 §15, RFC 6585; empty for what we never send, as RFC 9112 §4 allows.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Framing = Framing { keep_alive: true, head_only: false };
    const HEAD: Framing = Framing { keep_alive: true, head_only: true };

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("our responses are UTF-8")
    }

    #[test]
    fn a_page_has_type_length_and_body() {
        let page = |framing| {
            written(|out| Response::begin(out, 200, framing).header("ETag", "\"1\"").body("text/html", "ä!".as_bytes()))
        };
        let head = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nX-Content-Type-Options: nosniff\r\nETag: \"1\"\r\n\
                    Content-Type: text/html\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(page(KEEP), format!("{head}ä!"));
        assert_eq!(page(HEAD), head, "HEAD has the head of GET and no body");
        assert_eq!(page(Framing::CLOSE), format!("{head}ä!").replace("keep-alive", "close"));
        let by_hand = written(|out| Response::begin(out, 200, KEEP).header("ETag", "\"1\"").head("text/html", 3));
        assert_eq!(by_hand, head);
    }

    #[test]
    fn a_refusal_is_readable() {
        assert_eq!(
            written(|out| refuse(out, 431, "Too long (--max-head).", Framing::CLOSE)),
            "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 60\r\n\r\n\
             431 Request Header Fields Too Large\n\nToo long (--max-head).\n"
        );
    }

    #[test]
    fn statuses_bring_the_fields_they_demand() {
        let upgrade = written(|out| refuse(out, 426, "x", Framing::CLOSE));
        for field in ["Connection: close, Upgrade\r\n", "\nUpgrade: websocket\r\n", "\nSec-WebSocket-Version: 13\r\n"] {
            assert!(upgrade.contains(field), "{upgrade}");
        }
        let method = written(|out| method_not_allowed(out, "GET, HEAD", KEEP));
        assert!(method.contains("\r\nAllow: GET, HEAD\r\n") && method.ends_with("it takes GET, HEAD.\n"), "{method}");
        let same = written(|out| not_modified(out, "\"a\"", KEEP));
        assert!(same.ends_with("\r\nETag: \"a\"\r\n\r\n") && !same.contains("\r\nContent-"), "{same}");
        let moved = written(|out| redirect(out, "../a", KEEP));
        assert!(moved.starts_with("HTTP/1.1 308 Permanent Redirect\r\n") && moved.contains("\r\nLocation: ../a\r\n"));
        assert!(written(|out| Response::begin(out, 599, KEEP).empty()).starts_with("HTTP/1.1 599 \r\n"));
    }

    #[test]
    fn a_header_cannot_split_a_response() {
        let clean = written(|out| Response::begin(out, 204, KEEP).empty());
        for (name, value) in [
            ("X", "a\r\nSet-Cookie: b"),
            ("X", "a\nb"),
            ("X", "a\rb"),
            ("X", "\0"),
            ("X", "\x7f"),
            ("X", "\t"),
            ("X\r\nY", "a"),
            ("X:", "a"),
            ("X ", "a"),
            ("", "a"),
        ] {
            assert_eq!(written(|out| Response::begin(out, 204, KEEP).header(name, value).empty()), clean, "{value:?}");
        }
        let page = written(|out| Response::begin(out, 200, KEEP).body("a\r\n\r\nb", b"c"));
        assert!(!page.contains("\r\nContent-Type") && page.ends_with("\r\n\r\nc"), "{page}");
    }

    #[test]
    fn etags_match_weakly_and_in_lists() {
        for (field, etag, expected) in [
            ("\"a\"", "\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("\"b\", W/\"a\"", "\"a\"", true),
            (",, \"b\"\t,\"a\" ,", "\"a\"", true),
            ("\"b,c\",\"a\"", "\"a\"", true),
            ("*", "\"a\"", true),
            (" * ", "\"a\"", true),
            ("\"*\"", "\"a\"", false),
            ("\"b\", *", "\"a\"", false),
            ("\"x,\"a\"", "\"a\"", false),
            ("\"b,a\"", "\"a\"", false),
            ("\"A\"", "\"a\"", false),
            ("w/\"a\"", "\"a\"", false),
            ("a", "\"a\"", false),
            ("a", "a", false),
            ("\"a", "\"a\"", false),
            ("", "\"a\"", false),
            ("\"\"", "\"\"", true),
            ("W/", "\"a\"", false),
            ("\"ä\"", "\"a\"", false),
        ] {
            assert_eq!(etag_matches(field, etag), expected, "{field} against {etag}");
        }
    }

    #[test]
    fn a_body_we_do_not_read_ends_the_connection() {
        let framing = |head: &str| {
            let head = format!("{head}Host: a\r\n\r\n");
            Framing::of(&super::super::parse(head.as_bytes(), 1024, 64).expect("good").expect("complete"))
        };
        assert_eq!(framing("GET / HTTP/1.1\r\n"), KEEP);
        assert_eq!(framing("HEAD / HTTP/1.1\r\n"), HEAD);
        assert_eq!(framing("GET / HTTP/1.1\r\nContent-Length: 0\r\n"), KEEP);
        assert_eq!(framing("GET / HTTP/1.1\r\nContent-Length: 1\r\n"), Framing::CLOSE);
        assert_eq!(framing("GET / HTTP/1.1\r\nConnection: close\r\n"), Framing::CLOSE);
    }
}
