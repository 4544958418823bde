//! The opening handshake of a WebSocket, client side (RFC 6455 §4.1), for connections that we open to other servers.
//! Layer 0: it writes the request and judges the response; connecting, time and randomness are the caller's.
//!
//! It asks for no extension and follows no redirect: whoever answers anything but 101 has refused.

use std::fmt;
use std::mem::MaybeUninit;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::RequestError;
use super::head::{Fields, elements, end_of_head, is_token};
use super::request::MAX_HEADERS;
use super::upgrade::{ACCEPT_BYTES, accept_key};

/// A request that has been written and waits for its response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    /// What the response must say in Sec-WebSocket-Accept.
    accept: [u8; ACCEPT_BYTES],
}

/// What a server answered, whole.
#[derive(Clone, Debug)]
pub struct Reply<'b> {
    /// Bytes of the head with its empty line; frames follow behind a 101.
    pub head_len: usize,
    /// 101, or why not (RFC 9110 §15).
    pub status: u16,
    /// The subprotocol that the server chose, if it chose one.
    pub protocol: Option<&'b str>,
    fields: Fields<'b>,
}

impl Opening {
    /// Appends the request for `path` on `host` (`host[:port]`) to `out`, and hands out what judges the response.
    /// `random` must be unpredictable (RFC 6455 §4.1, 7). `fields` are names and values of further fields; one that
    /// could end its line early is left out.
    #[must_use]
    pub fn write(out: &mut Vec<u8>, host: &str, path: &str, random: [u8; 16], fields: &[(&str, &str)]) -> Self {
        let key = STANDARD.encode(random);
        let fixed = [("Host", host), ("Upgrade", "websocket"), ("Connection", "Upgrade")];
        let websocket = [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", &*key)];
        debug_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "a path is made of what paths are made of");
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in fixed.iter().chain(&websocket).chain(fields) {
            if is_token(name.as_bytes()) && !value.bytes().any(|byte| byte.is_ascii_control()) {
                for part in [name, ": ", value, "\r\n"] {
                    out.extend_from_slice(part.as_bytes());
                }
            }
        }
        out.extend_from_slice(b"\r\n");
        Self { accept: accept_key(key.as_bytes()) }
    }

    /// Reads the response at the front of `bytes`; `None` while its head is incomplete. `offered` are the subprotocols
    /// that the request offered.
    ///
    /// # Errors
    /// A head that is malformed, or a 101 that RFC 6455 §4.1 tells a client to fail.
    pub fn read<'b>(
        &self,
        bytes: &'b [u8],
        offered: &[&str],
        max_head: usize,
    ) -> Result<Option<Reply<'b>>, OpeningError> {
        let Some(head_len) = end_of_head(bytes, 0, max_head)? else { return Ok(None) };
        let head = &bytes[..head_len];
        let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let status = config
            .parse_response_with_uninit_headers(&mut parsed, head, &mut slots)
            .map_err(|_| OpeningError::NoResponse)?;
        let (httparse::Status::Complete(_), Some(status)) = (status, parsed.code) else {
            return Err(OpeningError::NoResponse);
        };
        let fields = Fields::of_head(head);
        let mut reply = Reply { head_len, status, protocol: None, fields };
        if status != 101 {
            return Ok(Some(reply));
        }
        let has = |name: &str, word: &str| {
            fields
                .filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
                .flat_map(|(_, value)| elements(value))
                .any(|element| element.eq_ignore_ascii_case(word.as_bytes()))
        };
        if !has("Upgrade", "websocket") || !has("Connection", "Upgrade") {
            return Err(OpeningError::NoUpgrade);
        }
        if reply.field("Sec-WebSocket-Accept").map(str::as_bytes) != Some(&self.accept) {
            return Err(OpeningError::Accept);
        }
        if reply.field("Sec-WebSocket-Extensions").is_some() {
            return Err(OpeningError::Extension);
        }
        reply.protocol = reply.field("Sec-WebSocket-Protocol");
        if reply.protocol.is_some_and(|chosen| !offered.contains(&chosen)) {
            return Err(OpeningError::Subprotocol);
        }
        Ok(Some(reply))
    }
}

impl<'b> Reply<'b> {
    /// The value of a field that stands there once.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b str> {
        let mut values = self.fields.filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()));
        match (values.next(), values.next()) {
            (Some((_, value)), None) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }
}

/// Why a response opens nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpeningError {
    /// Not the head of an HTTP/1 response.
    NoResponse,
    /// 101 without `Upgrade: websocket` or `Connection: Upgrade`.
    NoUpgrade,
    /// The accept key is missing or wrong: this is no WebSocket server, or somebody else's answer.
    Accept,
    /// An extension that nobody asked for.
    Extension,
    /// A subprotocol that nobody offered.
    Subprotocol,
}

impl From<RequestError> for OpeningError {
    fn from(_: RequestError) -> Self {
        Self::NoResponse
    }
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoResponse => "the answer is no HTTP response",
            Self::NoUpgrade => "the answer does not upgrade",
            Self::Accept => "the accept key is wrong",
            Self::Extension => "an extension that was not asked for",
            Self::Subprotocol => "a subprotocol that was not offered",
        })
    }
}

impl std::error::Error for OpeningError {}

#[cfg(test)]
mod tests {
    use super::super::{parse, upgrade};
    use super::*;

    fn opened(fields: &[(&str, &str)], protocol: Option<&str>) -> (Opening, Vec<u8>) {
        let mut request = Vec::new();
        let opening = Opening::write(&mut request, "192.0.2.1:9009", "/broadcast/a", [7; 16], fields);
        let request = parse(&request, 4096, 64).expect("well-formed").expect("whole");
        let mut response = Vec::new();
        upgrade::check(&request).expect("a handshake").accept(&mut response, protocol);
        (opening, response)
    }

    #[test]
    fn our_server_opens_for_our_client() {
        let offer = [("Sec-WebSocket-Protocol", "p, q"), ("Bad\r\nX", "y"), ("Good", "a\r\nb")];
        let (opening, response) = opened(&offer, Some("q"));
        for len in 0..response.len() {
            assert!(matches!(opening.read(&response[..len], &["p", "q"], 4096), Ok(None)), "{len} bytes");
        }
        let reply = opening.read(&response, &["p", "q"], 4096).expect("good").expect("whole");
        assert_eq!((reply.status, reply.protocol, reply.head_len), (101, Some("q"), response.len()));
        assert_eq!(opening.read(&response, &["p"], 4096).unwrap_err(), OpeningError::Subprotocol);
    }

    #[test]
    fn whatever_a_client_must_fail_is_failed() {
        let (opening, response) = opened(&[], None);
        let response = String::from_utf8(response).expect("ASCII");
        let read = |text: &str| opening.read(text.as_bytes(), &[], 4096).map(|reply| reply.map(|reply| reply.status));
        assert_eq!(read(&response), Ok(Some(101)));
        assert_eq!(read("HTTP/1.1 404 Not Found\r\n\r\n"), Ok(Some(404)));
        for (from, to, error) in [
            ("Upgrade: websocket\r\n", "", OpeningError::NoUpgrade),
            ("Connection: Upgrade\r\n", "", OpeningError::NoUpgrade),
            ("Accept: ", "Accept: x", OpeningError::Accept),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n", OpeningError::Extension),
            ("HTTP/1.1", "SMTP", OpeningError::NoResponse),
            ("101", "1e1", OpeningError::NoResponse),
        ] {
            assert_eq!(read(&response.replacen(from, to, 1)), Err(error), "{from:?} -> {to:?}");
        }
        assert_eq!(read(&"x".repeat(5000)), Err(OpeningError::NoResponse));
    }
}
