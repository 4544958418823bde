//! The opening handshake of a WebSocket, server side (RFC 6455 §4.2). Layer 0.
//!
//! [`check`] holds a request against every MUST of §4.2.1; [`Handshake::accept`] writes the answer of §4.2.2. Which
//! path speaks which protocol, and whether Origin and Host are welcome, is decided elsewhere. Extensions are never
//! negotiated, so their field is not read at all.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::head::{Fields, elements, is_token};
use super::request::{Method, Request};

/// Appended to the key before hashing (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Base64 of the 20 bytes of a SHA-1.
pub(super) const ACCEPT_BYTES: usize = 28;
/// Subprotocols that a client may offer. Real ones offer a handful; the bound keeps the search for repetitions linear.
pub const MAX_SUBPROTOCOLS: usize = 32;

/// A correct opening handshake that waits for its answer.
#[derive(Clone, Debug)]
pub struct Handshake<'b> {
    key: &'b [u8],
    fields: Fields<'b>,
}

/// Checks that `request` opens a WebSocket as RFC 6455 §4.2.1 demands.
///
/// # Errors
/// The first demand that is not met, in the order in which a client's author wants to hear of it.
pub fn check<'b>(request: &Request<'b>) -> Result<Handshake<'b>, UpgradeError> {
    if request.method != Method::Get {
        return Err(UpgradeError::Method);
    }
    // RFC 9110 §7.8 lets nobody be upgraded from HTTP/1.0; saying so helps who forgot it in a proxy's configuration.
    if request.version_minor == 0 {
        return Err(UpgradeError::HttpVersion);
    }
    if !request.names_websocket() {
        return Err(UpgradeError::Upgrade);
    }
    if !request.allows_upgrade() {
        return Err(UpgradeError::Connection);
    }
    // Where the body would end and the first frame start is what two parsers could disagree about.
    if request.content_length() > 0 {
        return Err(UpgradeError::Body);
    }
    let mut key = None;
    let mut version = None;
    let mut offered = Offered::default();
    for (name, value) in request.fields() {
        if name.eq_ignore_ascii_case(b"sec-websocket-key") {
            if key.replace(value).is_some() {
                return Err(UpgradeError::DuplicateKey);
            }
        } else if name.eq_ignore_ascii_case(b"sec-websocket-version") {
            if version.replace(value).is_some() {
                return Err(UpgradeError::DuplicateVersion);
            }
        } else if name.eq_ignore_ascii_case(b"sec-websocket-protocol") {
            offered.add(value)?;
        }
    }
    // RFC 6455 §4.2.2, 4 and §4.4: the version comes first, as the other fields may mean something else in another.
    if version != Some(b"13") {
        return Err(UpgradeError::Version);
    }
    let key = key.filter(|key| is_key(key)).ok_or(UpgradeError::Key)?;
    Ok(Handshake { key, fields: request.fields() })
}

/// Base64 of exactly 16 bytes. The last digit's spare bits may be set: the RFC's own example sets them (§4.1).
fn is_key(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else { return false };
    digits.len() == 22 && digits.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// The subprotocols seen so far, over all lines.
#[derive(Default)]
struct Offered<'b> {
    names: [&'b [u8]; MAX_SUBPROTOCOLS],
    /// Invariant: `count ≤ MAX_SUBPROTOCOLS`.
    count: usize,
}

impl<'b> Offered<'b> {
    /// RFC 6455 §4.1, 10: tokens, all unique; §11.3.4: several lines count as one list.
    fn add(&mut self, value: &'b [u8]) -> Result<(), UpgradeError> {
        let before = self.count;
        for name in elements(value) {
            if !is_token(name) {
                return Err(UpgradeError::Subprotocol);
            }
            if self.names[..self.count].contains(&name) {
                return Err(UpgradeError::DuplicateSubprotocol);
            }
            let slot = self.names.get_mut(self.count).ok_or(UpgradeError::TooManySubprotocols)?;
            *slot = name;
            self.count += 1;
        }
        if self.count == before { Err(UpgradeError::Subprotocol) } else { Ok(()) }
    }
}

impl<'b> Handshake<'b> {
    /// The subprotocols that the client offers, the preferred one first. Names are case-sensitive.
    pub fn protocols(&self) -> impl Iterator<Item = &'b str> + use<'b> {
        self.fields
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"sec-websocket-protocol"))
            .flat_map(|(_, value)| elements(value))
            .filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// Appends the complete 101 response to `out`; what the server writes next is a frame.
    ///
    /// `protocol` is named in the response if the client offered it and left out otherwise, as a client must fail a
    /// connection with a subprotocol that it did not ask for (RFC 6455 §4.1).
    pub fn accept(&self, out: &mut Vec<u8>, protocol: Option<&str>) {
        self.accept_with(out, protocol, None);
    }

    /// As [`accept`](Self::accept), with one more field, whose name and value are the caller's own.
    pub fn accept_with(&self, out: &mut Vec<u8>, protocol: Option<&str>, field: Option<(&str, &str)>) {
        let accept = accept_key(self.key);
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&accept);
        if let Some(protocol) = protocol.filter(|wanted| self.protocols().any(|offered| offered == *wanted)) {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(protocol.as_bytes());
        }
        if let Some((name, value)) = field {
            debug_assert!(!value.bytes().any(|byte| byte.is_ascii_control()), "a response is never split");
            for part in ["\r\n", name, ": ", value] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// What answers the key of an opening handshake (RFC 6455 §4.2.2, 5.4).
pub(super) fn accept_key(key: &[u8]) -> [u8; ACCEPT_BYTES] {
    let mut accept = [0; ACCEPT_BYTES];
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode_slice(digest, &mut accept).expect("28 digits hold the 20 bytes of a SHA-1");
    accept
}

/// Which demand of RFC 6455 §4.2.1 an opening handshake does not meet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpgradeError {
    /// Not GET.
    Method,
    /// HTTP/1.0.
    HttpVersion,
    /// No `Upgrade: websocket`.
    Upgrade,
    /// No `Connection: Upgrade`.
    Connection,
    /// A body.
    Body,
    /// No version, or another one than 13.
    Version,
    /// Several Sec-WebSocket-Version fields.
    DuplicateVersion,
    /// No key, or not base64 of 16 bytes.
    Key,
    /// Several Sec-WebSocket-Key fields.
    DuplicateKey,
    /// A subprotocol that is no token, or an empty list.
    Subprotocol,
    /// A subprotocol that is offered twice.
    DuplicateSubprotocol,
    /// More than [`MAX_SUBPROTOCOLS`].
    TooManySubprotocols,
}

impl UpgradeError {
    /// The HTTP status to answer with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Version => 426,
            _ => 400,
        }
    }

    /// One sentence for the client and the log.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Method => "A WebSocket is opened with GET.",
            Self::HttpVersion => "A WebSocket needs HTTP/1.1; a proxy in between may have to be told to use it.",
            Self::Upgrade => "The header Upgrade: websocket is missing; a proxy in between may have removed it.",
            Self::Connection => "The header Connection: Upgrade is missing; a proxy in between may have removed it.",
            Self::Body => "A request that opens a WebSocket has no body.",
            Self::Version => "Only Sec-WebSocket-Version: 13 is spoken here.",
            Self::DuplicateVersion => "There is more than one Sec-WebSocket-Version header.",
            Self::Key => "The header Sec-WebSocket-Key is missing or not base64 of 16 bytes.",
            Self::DuplicateKey => "There is more than one Sec-WebSocket-Key header.",
            Self::Subprotocol => "Sec-WebSocket-Protocol is not a list of tokens.",
            Self::DuplicateSubprotocol => "Sec-WebSocket-Protocol names a subprotocol twice.",
            Self::TooManySubprotocols => "Sec-WebSocket-Protocol names more than 32 subprotocols.",
        }
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for UpgradeError {}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const START: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

    /// Checks the handshake `head` (without its empty line) and passes it on.
    fn with<T>(head: &str, then: impl FnOnce(Result<Handshake<'_>, UpgradeError>) -> T) -> T {
        let bytes = format!("{head}\r\n");
        let request = parse(bytes.as_bytes(), 1 << 22, 64).expect(head).expect(head);
        then(check(&request))
    }

    fn answer(head: &str, protocol: Option<&str>) -> String {
        let mut out = b"before ".to_vec();
        with(head, |handshake| handshake.expect(head).accept(&mut out, protocol));
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_the_rfc_says() {
        assert_eq!(
            answer(&format!("{START}{KEY}"), None),
            "before HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
    }

    #[test]
    fn a_subprotocol_is_named_only_if_it_was_offered() {
        let head = format!("{START}{KEY}Sec-WebSocket-Protocol: chat, binary\r\nsec-websocket-protocol: ,base64 ,\r\n");
        with(&head, |handshake| {
            let handshake = handshake.expect("a good handshake");
            assert_eq!(handshake.protocols().collect::<Vec<_>>(), ["chat", "binary", "base64"]);
        });
        assert!(answer(&head, Some("base64")).ends_with("\r\nSec-WebSocket-Protocol: base64\r\n\r\n"));
        for absent in [None, Some("Chat"), Some("x"), Some(""), Some("chat\r\nX: y")] {
            assert!(!answer(&head, absent).contains("Protocol:"), "{absent:?}");
        }
    }

    #[test]
    fn t7_pathological_subprotocols_and_extensions_take_linear_time() {
        let size = 1 << 18;
        let started = std::time::Instant::now();
        for (value, error) in [
            (",".repeat(size), Some(UpgradeError::Subprotocol)),
            (" ".repeat(size) + "a", None),
            ("a".repeat(size), None),
            (" ,\t".repeat(size / 3) + "a", None),
            ((0..size / 8).map(|n| format!("p{n},")).collect(), Some(UpgradeError::TooManySubprotocols)),
            ("a b ".repeat(size / 4), Some(UpgradeError::Subprotocol)),
        ] {
            let head = format!("{START}{KEY}Sec-WebSocket-Protocol: {value}\r\n");
            with(&head, |handshake| assert_eq!(handshake.err(), error));
            let head = format!("{START}{KEY}Sec-WebSocket-Extensions: {value}\r\n");
            with(&head, |handshake| assert_eq!(handshake.err(), None));
        }
        // Quadratic time would be minutes.
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }

    #[test]
    fn as_many_subprotocols_as_allowed_pass() {
        let names = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(",");
        let head = |count| format!("{START}{KEY}Sec-WebSocket-Protocol: {}\r\n", names(count));
        with(&head(MAX_SUBPROTOCOLS), |handshake| {
            assert_eq!(handshake.expect("at the limit").protocols().count(), MAX_SUBPROTOCOLS);
        });
        with(&head(MAX_SUBPROTOCOLS + 1), |handshake| {
            assert_eq!(handshake.err(), Some(UpgradeError::TooManySubprotocols));
        });
        assert!(UpgradeError::TooManySubprotocols.message().contains(&MAX_SUBPROTOCOLS.to_string()));
    }
}
