//! Request heads over httparse, as strict as RFC 9112 allows a server to be. Layer 0.
//!
//! A head that two programs could read differently is refused rather than repaired: that is how requests are smuggled
//! past a proxy. Bodies are not read here; [`Request::content_length`] says how long one is. Nothing is allocated: a
//! [`Request`] borrows from the bytes it was parsed from.
//!
//! Feed a growing buffer through [`end_of_head`] and call [`parse`] once it found the end (or call `parse` alone where
//! the head is known to come in few pieces).

use std::borrow::Cow;
use std::mem::MaybeUninit;

use super::authority::Authority;
use super::error::RequestError;
use super::head::{Fields, elements, end_of_head};
use super::query;

/// The most header fields that [`parse`] can be told to accept: they are collected on the stack.
pub const MAX_HEADERS: usize = 256;

/// What the client wants done (RFC 9110 §9). Names are case-sensitive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method<'b> {
    /// A page, or with an upgrade a WebSocket.
    Get,
    /// A page without its body.
    Head,
    /// What is possible here.
    Options,
    /// Anything else but CONNECT, which is refused.
    Other(&'b str),
}

impl<'b> Method<'b> {
    /// The name as it stands in the request line.
    #[must_use]
    pub fn as_str(&self) -> &'b str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Other(name) => name,
        }
    }
}

/// A complete and acceptable request head.
#[derive(Clone, Debug)]
pub struct Request<'b> {
    /// What the client wants done.
    pub method: Method<'b>,
    /// Path as sent, percent-encoding included: printable ASCII that starts with `/`, or `*`.
    pub path: &'b str,
    /// What follows the `?`, if there is one: printable ASCII, percent-encoding included.
    pub query: Option<&'b str>,
    /// 0 or 1: the request is HTTP/1.`version_minor`.
    pub version_minor: u8,
    /// Bytes of the head with its empty line; what follows in the buffer is not part of it.
    pub head_len: usize,
    fields: Fields<'b>,
    facts: Facts<'b>,
}

/// What the fields say that every request is asked for, collected in one pass.
#[derive(Clone, Debug, Default)]
struct Facts<'b> {
    host: Option<&'b str>,
    origin: Option<&'b str>,
    content_length: Option<u64>,
    has_transfer_encoding: bool,
    closes: bool,
    keeps_alive: bool,
    allows_upgrade: bool,
    names_websocket: bool,
    has_websocket_key: bool,
    is_forwarded: bool,
}

/// What proxies and content networks say of the client, or of themselves; beside these, all that begins with
/// `X-Forwarded-`.
const FORWARDING: [&str; 10] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "cdn-loop",
];

/// Reads the request head at the front of `bytes`; `None` while it is incomplete.
///
/// `max_head` is in bytes, see [`end_of_head`]; `max_headers` counts fields and is capped at [`MAX_HEADERS`]. What
/// follows the head is neither looked at nor counted.
///
/// # Errors
/// The first fault from left to right of the head's line endings, then of its request line, then of its fields. How
/// the bytes were cut into reads makes no difference.
pub fn parse(bytes: &[u8], max_head: usize, max_headers: usize) -> Result<Option<Request<'_>>, RequestError> {
    let Some(head_len) = end_of_head(bytes, 0, max_head)? else { return Ok(None) };
    let head = &bytes[..head_len];
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed
        .parse_with_uninit_headers(head, &mut slots[..max_headers.min(MAX_HEADERS)])
        .map_err(|error| RequestError::from_httparse(error, head))?;
    let (httparse::Status::Complete(len), Some(method), Some(target), Some(version_minor)) =
        (status, parsed.method, parsed.path, parsed.version)
    else {
        return Err(RequestError::RequestLine);
    };
    debug_assert_eq!(len, head_len, "httparse ends a head where `end_of_head` does");

    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "CONNECT" => return Err(RequestError::Connect),
        other => Method::Other(other),
    };
    let (authority, path, query) = split_target(target, method)?;
    let mut facts = Facts::collect(parsed.headers, version_minor)?;
    if let Some((text, default_port)) = authority {
        let named = Authority::parse(text).ok_or(RequestError::Target)?;
        let is_same = |host: &str| {
            Authority::parse(host).is_some_and(|host| {
                host.host.is_same(&named.host)
                    && host.port.unwrap_or(default_port) == named.port.unwrap_or(default_port)
            })
        };
        if facts.host.is_some_and(|host| !is_same(host)) {
            return Err(RequestError::HostMismatch);
        }
        facts.host = facts.host.or(Some(text));
    }
    Ok(Some(Request { method, path, query, version_minor, head_len, fields: Fields::of_head(head), facts }))
}

/// Authority with its scheme's port (absolute form only), path and query of a target (RFC 9112 §3.2).
type Target<'b> = (Option<(&'b str, u16)>, &'b str, Option<&'b str>);

fn split_target<'b>(target: &'b str, method: Method<'_>) -> Result<Target<'b>, RequestError> {
    // RFC 3986 allows less; what browsers send unescaped (`{`, `|`) passes. A fragment never belongs in a target.
    if !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Err(RequestError::Target);
    }
    if target == "*" {
        return if method == Method::Options { Ok((None, target, None)) } else { Err(RequestError::Target) };
    }
    let (authority, rest) = if target.starts_with('/') {
        (None, target)
    } else {
        let (scheme, rest) = target.split_once("://").ok_or(RequestError::Target)?;
        let default_port = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => 80,
            _ if scheme.eq_ignore_ascii_case("https") => 443,
            _ => return Err(RequestError::Target),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        (Some((authority, default_port)), rest)
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    Ok((authority, if path.is_empty() { "/" } else { path }, query))
}

impl<'b> Facts<'b> {
    fn collect(fields: &[httparse::Header<'b>], version_minor: u8) -> Result<Self, RequestError> {
        let mut facts = Self::default();
        for &httparse::Header { name, value } in fields {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("host") {
                // RFC 9112 §3.2: more than one Host, or an invalid one, must be answered 400.
                let host = ascii(value).filter(|host| Authority::parse(host).is_some());
                let host = host.ok_or(RequestError::BadHost)?;
                if facts.host.replace(host).is_some() {
                    return Err(RequestError::DuplicateHost);
                }
            } else if is("origin") {
                let origin = ascii(value).ok_or(RequestError::BadOrigin)?;
                if facts.origin.replace(origin).is_some() {
                    return Err(RequestError::DuplicateOrigin);
                }
            } else if is("content-length") {
                // RFC 9112 §6.3 would allow equal repetitions; that is the smuggler's favourite allowance.
                let length = ascii(value).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
                let length = length.and_then(|digits| digits.parse().ok()).ok_or(RequestError::BadContentLength)?;
                if facts.content_length.replace(length).is_some() {
                    return Err(RequestError::DuplicateContentLength);
                }
            } else if is("transfer-encoding") {
                facts.has_transfer_encoding = true;
            } else if is("connection") {
                for option in elements(value) {
                    facts.closes |= option.eq_ignore_ascii_case(b"close");
                    facts.keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    facts.allows_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                }
            } else if is("upgrade") {
                facts.names_websocket |= elements(value).any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
            } else if is("sec-websocket-key") {
                facts.has_websocket_key = true;
            } else if FORWARDING.into_iter().any(is) {
                facts.is_forwarded = true;
            } else {
                let start = name.as_bytes().get(.."x-forwarded-".len());
                facts.is_forwarded |= start.is_some_and(|start| start.eq_ignore_ascii_case(b"x-forwarded-"));
            }
        }
        match (facts.has_transfer_encoding, facts.content_length) {
            // RFC 9112 §6.1: whoever believes the one field sees another request than who believes the other.
            (true, Some(_)) => return Err(RequestError::TransferEncodingWithLength),
            (true, None) => return Err(RequestError::TransferEncoding),
            (false, _) => {}
        }
        if version_minor > 0 && facts.host.is_none() {
            return Err(RequestError::MissingHost);
        }
        Ok(facts)
    }
}

fn ascii(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii())
}

impl<'b> Request<'b> {
    /// All header fields in their order: name as sent, trimmed value.
    #[must_use]
    pub fn fields(&self) -> Fields<'b> {
        self.fields
    }

    /// The values of all fields called `name`, in their order. Values may hold any byte above 0x7f.
    pub fn headers<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        self.fields.filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The value of the only field called `name`; `None` when it is absent, repeated or not ASCII. Not for decisions
    /// in which absence is a permission: those have methods of their own.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'b str> {
        let mut values = self.headers(name);
        let value = values.next()?;
        if values.next().is_some() { None } else { ascii(value) }
    }

    /// Whether there is any field called `name`.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.headers(name).next().is_some()
    }

    /// `host[:port]` that the request is for, well-formed; empty when an HTTP/1.0 request names none.
    #[must_use]
    pub fn host(&self) -> &'b str {
        self.facts.host.unwrap_or_default()
    }

    /// The value of the Origin field, of which there is at most one; unchecked, see [`Guard`](super::Guard).
    #[must_use]
    pub fn origin(&self) -> Option<&'b str> {
        self.facts.origin
    }

    /// Whether the client may send another request after this one (RFC 9112 §9.3).
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        !self.facts.closes && (self.version_minor > 0 || self.facts.keeps_alive)
    }

    /// Bytes of body that follow the head.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.facts.content_length.unwrap_or(0)
    }

    /// Whether this is meant to open a WebSocket, well-formed or not: an Upgrade to websocket, or its key (an Upgrade
    /// field gets lost in proxies). [`upgrade::check`](super::upgrade::check) says whether it does.
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        self.facts.names_websocket || self.facts.has_websocket_key
    }

    /// Whether an Upgrade field lists `websocket` (RFC 6455 §4.2.1, 3).
    pub(super) fn names_websocket(&self) -> bool {
        self.facts.names_websocket
    }

    /// Whether a Connection field lists `upgrade` (RFC 6455 §4.2.1, 4).
    pub(super) fn allows_upgrade(&self) -> bool {
        self.facts.allows_upgrade
    }

    /// Whether a proxy says that it stands between us and the client (Forwarded, X-Forwarded-…, Via, X-Real-IP and
    /// the like): the socket's peer address is then not the client's.
    #[must_use]
    pub fn is_forwarded(&self) -> bool {
        self.facts.is_forwarded
    }

    /// Whether the query's first member called `name` says yes: `?name`, `?name=1` or `?name=true`.
    #[must_use]
    pub fn query_flag(&self, name: &str) -> bool {
        self.query.is_some_and(|query| query::flag(query, name))
    }

    /// The decoded value of the query's first member called `name`, empty for a bare `?name`. It may hold any
    /// character, control characters included. Allocates only where something was escaped.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'b, str>> {
        self.query.and_then(|query| query::value(query, name))
    }
}
